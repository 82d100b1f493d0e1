/* lock.c - see lock.h. */
#include "os/lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include "os/descriptor.h"
#include "os/map.h"

static pthread_mutex_t beginning = PTHREAD_MUTEX_INITIALIZER; /* a leaf: see fork.h */

void lock_begin(void)
{
	pthread_mutex_lock(&beginning);
}

bool lock_keep(struct hold *h, int fd)
{
	h->map = map_keeping_open(fd);
	return h->map;
}

void lock_begun(int fd)
{
	descriptor_close(fd);
	pthread_mutex_unlock(&beginning);
}

void hold_end(struct hold *h)
{
	if (h->map)
		map_end_keeping(h->map);
	h->map = NULL;
}

static struct flock bytes_of(off_t first, off_t bytes)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = bytes};
}

bool lock_byte(int fd, off_t byte)
{
	struct flock lock = bytes_of(byte, 1);
	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool lock_bytes_taken(int fd, off_t first, off_t bytes)
{
	struct flock lock = bytes_of(first, bytes);
	return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool lock_file(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void lock_file_end(int fd)
{
	(void)flock(fd, LOCK_UN);
}
