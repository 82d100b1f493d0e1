/*
 * reads.c - how many pages a second come from a Ceph cluster, so many in flight.
 *
 *   mpool-rados CONF NAME PAGES              make them
 *   mpool-rados CONF NAME PAGES HOW DEPTH SECONDS   read them at random; prints pages a second, and microseconds of processor time a page
 *
 * HOW is `getv`: 512 pages with each call, DEPTH of them in flight; `prefetch`: each page is prefetched DEPTH pages before it is got; `store`: the store's
 * functions alone.  The pool has a 64th of the pages in memory; hits are not counted.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "mpool_rados.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 4096, FILL = 1 << 20, CACHED_PART = 64, DEPTH_MOST = 256, BATCH = 512, ARGUMENTS = 7, NS = 1000000000 };

static struct mpool_rados_how how = {.pool = "pages"};
static uint64_t pages, state = 88172645463325252u;
static unsigned int depth;

static double clock_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / NS;
}

static pgno_t next_page(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (pgno_t)(state % pages);
}

/* Each page has its number. */
static void check(const void *page, pgno_t pgno)
{
	pgno_t is;
	memcpy(&is, page, sizeof is);
	if (is != pgno)
		errx(1, "page %u is page %u", (unsigned)pgno, (unsigned)is);
}

static void make(void)
{
	static char bytes[FILL];
	const struct mpool_store *calls = mpool_rados_calls();
	how.flags = MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE;
	MPOOL_RADOS *r = mpool_rados_open(&how, sizeof how);
	if (r == NULL)
		err(1, "%s", how.name);
	for (uint64_t at = 0; at < pages * PAGE; at += FILL) {
		struct iovec v = {bytes, FILL};
		for (size_t i = 0; i < FILL / PAGE; i++) {
			pgno_t pgno = (pgno_t)(at / PAGE + i);
			memset(bytes + i * PAGE, (int)pgno, PAGE);
			memcpy(bytes + i * PAGE, &pgno, sizeof pgno);
		}
		if (calls->writev(r, &v, 1, at) != FILL)
			err(1, "write");
	}
	if (calls->flush(r) != 0)
		err(1, "flush");
	mpool_rados_close(r);
}

/* ---- ways to read: pages that were read until then ------------------------------- */

static uint64_t by_getv(MPOOL *mp, double until)
{
	pgno_t which[BATCH];
	void *at[BATCH];
	while (clock_of(CLOCK_MONOTONIC) < until) {
		for (unsigned int i = 0; i < BATCH; i++)
			which[i] = next_page();
		if (mpool_getv(mp, which, at, BATCH, 0) != 0)
			err(1, "mpool_getv");
		for (unsigned int i = 0; i < BATCH; i++) {
			check(at[i], which[i]);
			mpool_put(mp, at[i], 0);
		}
	}
	return 0;
}

static uint64_t by_prefetch(MPOOL *mp, double until)
{
	pgno_t window[DEPTH_MOST];
	for (unsigned int i = 0; i < depth; i++)
		mpool_prefetch(mp, &(pgno_t){window[i] = next_page()}, 1, -1);
	for (unsigned int i = 0; clock_of(CLOCK_MONOTONIC) < until; i = (i + 1) % depth) {
		void *page = mpool_get(mp, window[i], 0);
		if (page == NULL)
			err(1, "mpool_get");
		check(page, window[i]);
		mpool_put(mp, page, 0);
		mpool_prefetch(mp, &(pgno_t){window[i] = next_page()}, 1, -1);
	}
	return 0;
}

struct one {
	struct mpool_io io;
	struct iovec v;
	char page[PAGE];
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static struct one *done[DEPTH_MOST];
static unsigned int n_done;

static void is_done(struct mpool_io *io, ssize_t bytes)
{
	if (bytes != PAGE)
		errx(1, "read: %zd", bytes);
	pthread_mutex_lock(&lock);
	done[n_done++] = io->own;
	pthread_cond_signal(&over);
	pthread_mutex_unlock(&lock);
}

static void begin(MPOOL_RADOS *r, struct one *o)
{
	o->v = (struct iovec){o->page, PAGE};
	o->io = (struct mpool_io){MPOOL_IO_READ, (uint64_t)next_page() * PAGE, &o->v, 1, is_done, o, NULL};
	if (mpool_rados_calls()->submit(r, &o->io) != 0)
		err(1, "submit");
}

static uint64_t by_store(MPOOL_RADOS *r, double until)
{
	struct one *all = calloc(depth, sizeof *all), *mine[DEPTH_MOST];
	uint64_t reads = 0;
	unsigned int flying = depth;
	if (all == NULL)
		err(1, NULL);
	for (unsigned int i = 0; i < depth; i++)
		begin(r, &all[i]);
	while (flying > 0) {
		pthread_mutex_lock(&lock);
		while (n_done == 0)
			pthread_cond_wait(&over, &lock);
		unsigned int n = n_done;
		memcpy(mine, done, n * sizeof mine[0]);
		n_done = 0;
		pthread_mutex_unlock(&lock);
		reads += n;
		for (unsigned int i = 0; i < n; i++) {
			check(mine[i]->page, (pgno_t)(mine[i]->io.offset / PAGE));
			if (clock_of(CLOCK_MONOTONIC) < until)
				begin(r, mine[i]);
			else
				flying--;
		}
	}
	free(all);
	return reads;
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != ARGUMENTS)
		errx(2, "usage: mpool-rados CONF NAME PAGES [getv|prefetch|store DEPTH SECONDS]");
	how.conf = argv[1];
	how.name = argv[2];
	pages = strtoull(argv[3], NULL, 10);
	if (argc == 4) {
		make();
		return 0;
	}
	MPOOL_RADOS *r;
	struct mpool_stats before, after;
	how.flags = MPOOL_RADOS_READER;
	MPOOL *mp = mpool_open_rados(&how, sizeof how, PAGE, (pgno_t)(pages / CACHED_PART), &r);
	if (mp == NULL)
		err(1, "%s", how.name);
	depth = (unsigned int)atoi(argv[5]);
	if (depth == 0 || depth > DEPTH_MOST)
		errx(2, "a depth is 1 to %d", DEPTH_MOST);
	mpool_tune(mp, MPOOL_IO_DEPTH, depth);
	double begun = clock_of(CLOCK_MONOTONIC), worked = clock_of(CLOCK_PROCESS_CPUTIME_ID),
	       until = begun + atof(argv[6]);
	mpool_stats(mp, &before, sizeof before);
	uint64_t reads = strcmp(argv[4], "getv") == 0       ? by_getv(mp, until)
	                 : strcmp(argv[4], "prefetch") == 0 ? by_prefetch(mp, until)
	                                                    : by_store(r, until);
	mpool_stats(mp, &after, sizeof after);
	double took = clock_of(CLOCK_MONOTONIC) - begun;
	worked = clock_of(CLOCK_PROCESS_CPUTIME_ID) - worked;
	if (reads == 0)
		reads = after.reads - before.reads;
	printf("%.0f %.1f\n", (double)reads / took, worked / (double)reads * 1e6);
	mpool_rados_close(r);
	return 0;
}
