/*
 * reads.c - read pages at random through a pool over NBD.
 *
 *   mpool-nbd-reads URI getv|prefetch DEPTH SECONDS
 *
 * The pool has room for a 64th of the pages, so nearly all are read; prints how many it has read from the server a second.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpool_nbd.h>

enum {
	PAGE = 4096,
	BATCH = 512, /* pages of a getv, of which DEPTH are in flight */
	ROOM = 64,   /* one of so many pages is in memory */
	LEAST = 4 * BATCH,
};

static uint64_t state = 1;

/* xorshift */
static uint64_t random_number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double seconds(void)
{
	const double ns = 1e-9;
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * ns;
}

static uint64_t reads(MPOOL *mp)
{
	struct mpool_stats stats;
	if (mpool_stats(mp, &stats, sizeof stats) != 0)
		err(1, "mpool_stats");
	return stats.reads;
}

static void put(MPOOL *mp, void *page)
{
	if (page == NULL || mpool_put(mp, page, 0) != 0)
		err(1, "a page");
}

/* A batch at once. */
static void by_getv(MPOOL *mp, const pgno_t *pgnos)
{
	void *pages[BATCH];
	if (mpool_getv(mp, pgnos, pages, BATCH, 0) != 0)
		err(1, "mpool_getv");
	for (int i = 0; i < BATCH; i++)
		put(mp, pages[i]);
}

/* Lists of the depth's length, each begun before the last one's pages are got. */
static void by_prefetch(MPOOL *mp, const pgno_t *pgnos, int depth)
{
	int done = 0;
	for (int i = 0; i < BATCH; i += depth) {
		int n = i + depth < BATCH ? depth : BATCH - i;
		if (mpool_prefetch(mp, pgnos + i, (size_t)n, -1) < 0)
			err(1, "mpool_prefetch");
		for (; done < i; done++)
			put(mp, mpool_get(mp, pgnos[done], 0));
	}
	for (; done < BATCH; done++)
		put(mp, mpool_get(mp, pgnos[done], 0));
}

int main(int argc, char *argv[])
{
	if (argc != 5)
		errx(2, "usage: mpool-nbd-reads URI getv|prefetch DEPTH SECONDS");
	int depth = atoi(argv[3]);
	double end, begin;
	if (depth < 1 || depth > BATCH || (strcmp(argv[2], "getv") != 0 && strcmp(argv[2], "prefetch") != 0))
		errx(2, "getv or prefetch, and a depth of 1 to %d", BATCH);
	void *store = mpool_nbd_connect(argv[1], NULL, 0);
	uint64_t bytes;
	if (store == NULL || mpool_nbd_store.size(store, &bytes) != 0)
		err(1, "%s", argv[1]);
	uint64_t pages = bytes / PAGE;
	pgno_t room = pages / ROOM > LEAST ? (pgno_t)(pages / ROOM) : LEAST;
	MPOOL *mp = mpool_open_store(&mpool_nbd_store, sizeof mpool_nbd_store, store, PAGE, room);
	if (mp == NULL || mpool_tune(mp, MPOOL_IO_DEPTH, (uint64_t)depth) != 0)
		err(1, "the pool");
	begin = seconds();
	end = begin + atof(argv[4]);
	while (seconds() < end) {
		pgno_t pgnos[BATCH];
		for (int i = 0; i < BATCH; i++)
			pgnos[i] = (pgno_t)(random_number() % pages);
		if (strcmp(argv[2], "getv") == 0)
			by_getv(mp, pgnos);
		else
			by_prefetch(mp, pgnos, depth);
	}
	printf("%.0f\n", (double)reads(mp) / (seconds() - begin));
	return mpool_close(mp);
}
