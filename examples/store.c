/*
 * store.c - a pool whose pages are in a directory, a file each: where a page was never written there is no file.
 *
 *   store DIRECTORY            print what its pages have
 *   store DIRECTORY PAGE TEXT  have the text on that page
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 100, CACHE = 10 };

static int size(void *directory, uint64_t *bytes)
{
	(void)directory;
	*bytes = (uint64_t)PAGE * PAGES;
	return 0;
}

/* Requests begin with a page; fewer bytes than were asked for is an answer, and the rest is asked for anew. */
static int open_page(void *directory, uint64_t offset, int flags)
{
	char name[32];
	snprintf(name, sizeof name, "%06llu", (unsigned long long)(offset / PAGE));
	return openat(*(int *)directory, name, flags, 0666);
}

static ssize_t read_page(void *directory, const struct iovec *iov, int n, uint64_t offset)
{
	(void)n;
	size_t asked = iov->iov_len < PAGE - offset % PAGE ? iov->iov_len : PAGE - offset % PAGE;
	int fd = open_page(directory, offset, O_RDONLY);
	ssize_t done = fd < 0 ? -1 : pread(fd, iov->iov_base, asked, (off_t)(offset % PAGE));
	if (fd >= 0)
		close(fd);
	else if (errno == ENOENT)
		memset(iov->iov_base, 0, (size_t)(done = (ssize_t)asked));
	return done;
}

static ssize_t write_page(void *directory, const struct iovec *iov, int n, uint64_t offset)
{
	(void)n;
	size_t asked = iov->iov_len < PAGE - offset % PAGE ? iov->iov_len : PAGE - offset % PAGE;
	int fd = open_page(directory, offset, O_WRONLY | O_CREAT);
	ssize_t done = fd < 0 ? -1 : pwrite(fd, iov->iov_base, asked, (off_t)(offset % PAGE));
	/* The page is safe from here on; its name is when the directory is flushed. */
	if (fd >= 0 && fsync(fd) != 0)
		done = -1;
	if (fd >= 0 && close(fd) != 0)
		done = -1;
	return done;
}

static int flush(void *directory)
{
	return fsync(*(int *)directory);
}

static void end(void *directory)
{
	close(*(int *)directory);
}

int main(int argc, char *argv[])
{
	const struct mpool_store store = {
		.size = size, .readv = read_page, .writev = write_page, .flush = flush, .close = end};
	int directory = argc == 2 || argc == 4 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	if (directory < 0)
		errx(1, "usage: store DIRECTORY [PAGE TEXT]");
	MPOOL *mp = mpool_open_store(&store, sizeof store, &directory, PAGE, CACHE);
	if (mp == NULL)
		err(1, "mpool_open_store");
	pgno_t first = argc == 4 ? (pgno_t)atoi(argv[2]) : 0, last = argc == 4 ? first : PAGES - 1;
	for (pgno_t i = first; i <= last; i++) {
		char *page = mpool_get(mp, i, 0);
		if (page == NULL)
			err(1, "page %lu", (unsigned long)i);
		if (argc == 4)
			snprintf(page, PAGE, "%s", argv[3]);
		else if (page[0] != 0)
			printf("%lu: %s\n", (unsigned long)i, page);
		if (mpool_put(mp, page, argc == 4 ? MPOOL_DIRTY : 0) != 0)
			err(1, "mpool_put");
	}
	if (mpool_sync(mp) != 0)
		err(1, "mpool_sync");
	return mpool_close(mp);
}
