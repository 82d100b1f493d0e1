/*
 * old_client.c - a program of 1994, as it was written then: it must compile and
 * run unmodified against today's header.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <sys/types.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <mpool.h>

#define PSIZE 512

static int nin, nout;

static void swapin(cookie, pgno, page) void *cookie;
pgno_t pgno;
void *page;
{
	++nin;
	((char *)page)[PSIZE - 1] ^= *(char *)cookie + (char)pgno;
}

static void swapout(cookie, pgno, page) void *cookie;
pgno_t pgno;
void *page;
{
	++nout;
	((char *)page)[PSIZE - 1] ^= *(char *)cookie + (char)pgno;
}

/* Returns 0, or the line that failed. */
int old_client(fd)
int fd;
{
	MPOOL *mp;
	pgno_t pgno, i;
	char *p, cookie = 'c';

	if ((mp = mpool_open(NULL, fd, PSIZE, 4)) == NULL)
		return (__LINE__);
	mpool_filter(mp, swapin, swapout, &cookie);
	for (i = 0; i < 20; ++i) {
		if ((p = mpool_new(mp, &pgno)) == NULL)
			return (__LINE__);
		if (pgno != i)
			return (__LINE__);
		p[0] = i;
		p[PSIZE - 1] = 'x';
		if (mpool_put(mp, p, MPOOL_DIRTY))
			return (__LINE__);
	}
	for (i = 0; i < 20; ++i) {
		if ((p = mpool_get(mp, i, 0)) == NULL)
			return (__LINE__);
		if (p[0] != (char)i || p[PSIZE - 1] != 'x')
			return (__LINE__);
		if (mpool_put(mp, p, 0))
			return (__LINE__);
	}
	if (mpool_sync(mp) == -1)
		return (__LINE__);
	if (nin == 0 || nout < 20)
		return (__LINE__);
	if (mpool_close(mp) == -1)
		return (__LINE__);
	return (0);
}
