/*
 * fault_client.c - a program that uses a pool while strace makes its system calls
 * fail: each call of the pool that fails does so with the errno named, is made
 * again, and then succeeds; and at the end the file has every page.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * fault_client FILE ERRNO - prints how many calls failed.  1: something is wrong.
 *
 * It reads and writes FILE itself with read and write, so that every pread64,
 * pwrite64 and fsync of it is the pool's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpool.h>

enum { page_size = 512, pages_at_first = 10, pages = 14, cached = 3 };

static MPOOL *mp;
static int allowed, failures;
static char version[pages]; /* by page: the byte that all of it is made of */

static void wrong(const char *what)
{
	fprintf(stderr, "wrong: %s (errno: %s, after %d failures)\n", what, strerror(errno), failures);
	exit(1);
}

/* A call failed: it may, once. */
static void failed(const char *call)
{
	if (errno != allowed || ++failures > 1)
		wrong(call);
}

static int is_all(const char *page, char byte)
{
	return page[0] == byte && memcmp(page, page + 1, page_size - 1) == 0;
}

static void use(pgno_t pgno, char next)
{
	char *page;
	while (!(page = mpool_get(mp, pgno, 0)))
		failed("mpool_get");
	if (!is_all(page, version[pgno]))
		wrong("the bytes of a page");
	if (next)
		memset(page, version[pgno] = next, page_size);
	if (mpool_put(mp, page, next ? MPOOL_DIRTY : 0) != 0)
		wrong("mpool_put");
}

static void append(char byte)
{
	pgno_t pgno;
	char *page;
	while (!(page = (mpool_new)(mp, &pgno)))
		failed("mpool_new");
	if (pgno >= pages || !is_all(page, 0))
		wrong("a new page");
	memset(page, version[pgno] = byte, page_size);
	if (mpool_put(mp, page, MPOOL_DIRTY) != 0)
		wrong("mpool_put");
}

/* False: a page was written and left memory before an fsync failed, which is for good. */
static int sync_all(void)
{
	int lost = 0;
	while (mpool_sync(mp) != 0 && !lost) {
		lost = failures > 0 && errno == EIO;
		if (!lost)
			failed("mpool_sync");
	}
	return !lost;
}

static void file_is_right(const char *path)
{
	char page[page_size];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < pages; i++)
		if (read(fd, page, page_size) != page_size || !is_all(page, version[i]))
			wrong("a page of the file");
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	allowed = atoi(argv[2]);
	int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (int i = 0; i < pages_at_first; i++) {
		char page[page_size];
		memset(page, version[i] = (char)('a' + i), page_size);
		if (write(fd, page, page_size) != page_size)
			wrong("making the file");
	}
	mp = mpool_open(NULL, fd, page_size, cached);
	if (!mp)
		wrong("mpool_open");
	int safe = 1;
	for (char next = 'A'; next <= 'B'; next++) {
		for (pgno_t i = 0; i < pages_at_first; i++)
			use(i, i % 3 ? next : 0);
		append(next);
		append(next);
		safe &= sync_all();
	}
	for (pgno_t i = 0; i < pages; i++)
		use(i, 0);
	safe &= sync_all();
	if (safe)
		file_is_right(argv[1]);
	if (mpool_close(mp) != 0 || close(fd) != 0)
		wrong("mpool_close");
	printf("%d\n", failures);
	return 0;
}
