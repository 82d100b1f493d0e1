/* map.c - see map.h. */
#include "os/map.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* linux/mman.h, since Linux 5.14 */
#endif

size_t map_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* For addresses alone. */
static void *map_file(int fd, size_t bytes, int flags)
{
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED | flags, fd, 0);
	if (map != MAP_FAILED)
		return map;
	/*
	 * That is what a lack of memory that may be locked is called, if all is to be (mlockall); it
	 * would be taken for another's lock.
	 */
	errno = errno == EAGAIN ? ENOMEM : errno;
	return NULL;
}

void *map_object(int object, size_t bytes)
{
	/* A program may have all that it maps locked in memory (mlockall), where it can be accessed: of this, all of /dev/shm. */
	void *map = map_file(object, bytes, MAP_NORESERVE);
	if (!map)
		return NULL;
	(void)madvise(map, bytes, MADV_DONTDUMP); /* a core file with all of it could fill the disk */
	if (munlock(map, bytes) == 0 && mprotect(map, bytes, PROT_READ | PROT_WRITE) == 0)
		return map;
	int error = errno;
	munmap(map, bytes);
	errno = error;
	return NULL;
}

void *map_keeping_open(int fd)
{
	void *map = map_file(fd, map_page(), 0);
	if (!map || madvise(map, map_page(), MADV_DONTFORK) == 0)
		return map;
	int error = errno;
	munmap(map, map_page());
	errno = error;
	return NULL;
}

void map_end(void *p, size_t bytes)
{
	munmap(p, bytes);
}

void map_end_keeping(void *p)
{
	munmap(p, map_page());
}

bool map_addresses_left(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	munmap(p, bytes);
	return true;
}

bool map_populate(void *p, size_t bytes)
{
	return madvise(p, bytes, MADV_POPULATE_WRITE) == 0;
}

void map_remove(void *p, size_t bytes)
{
	(void)madvise(p, bytes, MADV_REMOVE);
}

void map_huge(void *p, size_t bytes)
{
	(void)madvise(p, bytes, MADV_HUGEPAGE); /* or without */
}
