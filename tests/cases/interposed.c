/*
 * interposed.c - a program has functions of its own by names of the library's: what it
 * calls of the library does not call them.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "case.h"

#undef mpool_new
#undef mpool_open

static int called;

/* A wrapper of the program's own, say, that counts, or wants a lock. */
void *mpool_new_flags(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	(void)mp, (void)pgnoaddr, (void)flags;
	called++;
	return NULL;
}

int mpool_stats(MPOOL *mp, struct mpool_stats *st, size_t size)
{
	(void)mp, (void)st, (void)size;
	called++;
	return -1;
}

int mpool_sync(MPOOL *mp)
{
	(void)mp;
	called++;
	return -1;
}

void *mpool_get(MPOOL *mp, pgno_t pgno, unsigned int flags)
{
	(void)mp, (void)pgno, (void)flags;
	called++;
	return NULL;
}

MPOOL *mpool_open_key(const void *key, size_t keylen, int fd, pgno_t pagesize, pgno_t maxcache)
{
	(void)key, (void)keylen, (void)fd, (void)pagesize, (void)maxcache;
	called++;
	return NULL;
}

int main(void)
{
	pgno_t pgno;
	MPOOL *mp = mpool_open(case_key(), case_file(0), 512, 4);
	MUST(mp);
	void *page = mpool_new(mp, &pgno), *other = mpool_newf(mp, &pgno, MPOOL_PAGE_NEXT);
	RIGHT(page && other, "no page: the library calls the program's mpool_new_flags");
	MUST(mpool_put(mp, page, MPOOL_DIRTY) == 0 && mpool_delete(mp, other) == 0);
	mpool_stat(mp);
	MUST(mpool_close(mp) == 0);
	RIGHT(called == 0, "%d calls", called);
	return 0;
}
