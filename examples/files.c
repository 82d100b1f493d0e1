/*
 * files.c - how often each byte occurs in some files, their pages all in one pool.
 *
 *   files FILE ...
 *
 * Files are opened when they are needed, and stay attached: the pages that are used are kept, of whichever file.
 */
#include <err.h>
#include <fcntl.h>
#include <mpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PAGE = 4096, CACHE = 256 };

static int open_file(const char *path, pgno_t *pages)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) != 0)
		err(1, "%s", path);
	*pages = (pgno_t)(st.st_size / PAGE); /* a partial page at the end is none */
	return fd;
}

static void count(MPOOL *file, pgno_t pages, unsigned long long seen[256])
{
	for (pgno_t i = 0; i < pages; i++) {
		unsigned char *page = mpool_get(file, i, 0);
		if (page == NULL)
			err(1, "page %lu", (unsigned long)i);
		for (int k = 0; k < PAGE; k++)
			seen[page[k]]++;
		if (mpool_put(file, page, 0) != 0)
			err(1, "mpool_put");
	}
}

int main(int argc, char *argv[])
{
	unsigned long long seen[256] = {0};
	MPOOL *pool = NULL;
	for (int i = 1; i < argc; i++) {
		pgno_t pages;
		int fd = open_file(argv[i], &pages); /* stays open until the pool is closed */
		MPOOL *file = pool ? mpool_attach(pool, fd) : mpool_open(NULL, fd, PAGE, CACHE);
		if (file == NULL)
			err(1, "%s", argv[i]);
		if (pool == NULL)
			pool = file; /* the first one's handle is the pool's */
		count(file, pages, seen);
	}
	for (int i = 0; i < 256; i++)
		if (seen[i] > 0)
			printf("%02x %llu\n", i, seen[i]);
	if (pool != NULL && mpool_close(pool) != 0) /* and all that is attached */
		err(1, "mpool_close");
	return 0;
}
