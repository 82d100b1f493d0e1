/*
 * old_client_bsd.c - a program for the later BSDs: mpool_new with three
 * arguments, mpool_delete, MPOOL_IGNOREPIN, mpool_stat.  It must compile and run
 * unmodified.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <sys/types.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mpool.h>

#define PSIZE 1024

int old_client_bsd(int);

/* Returns 0, or the line that failed. */
int old_client_bsd(int fd)
{
	MPOOL *mp;
	pgno_t pgno;
	void *p;
	char *c;

	if ((mp = mpool_open(NULL, fd, PSIZE, 8)) == NULL)
		return (__LINE__);
	mpool_filter(mp, NULL, NULL, NULL);

	/* A page asked for, and the next one. */
	pgno = 4;
	if ((p = mpool_new(mp, &pgno, MPOOL_PAGE_REQUEST)) == NULL || pgno != 4)
		return (__LINE__);
	(void)memset(p, 'r', PSIZE);
	if (mpool_put(mp, p, MPOOL_DIRTY) != 0)
		return (__LINE__);
	if ((p = mpool_new(mp, &pgno, MPOOL_PAGE_NEXT)) == NULL || pgno != 5)
		return (__LINE__);
	(void)memset(p, 'n', PSIZE);
	if (mpool_put(mp, p, MPOOL_DIRTY) != 0)
		return (__LINE__);
	if (mpool_sync(mp) != 0)
		return (__LINE__);

	/* A page looked at and not put. */
	if ((c = mpool_get(mp, 4, MPOOL_IGNOREPIN)) == NULL || c[0] != 'r')
		return (__LINE__);
	if ((c = mpool_get(mp, 5, MPOOL_IGNOREPIN)) == NULL || c[0] != 'n')
		return (__LINE__);

	/* A page forgotten. */
	if ((p = mpool_new(mp, &pgno, MPOOL_PAGE_NEXT)) == NULL || pgno != 6)
		return (__LINE__);
	if (mpool_delete(mp, p) != 0)
		return (__LINE__);

	mpool_stat(mp);
	if (mpool_close(mp) != 0)
		return (__LINE__);
	return (0);
}
