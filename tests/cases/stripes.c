/*
 * stripes.c - a miss beside many threads that have used the pool, and sleep or have ended.
 *
 * It may take twice as long as beside one; asked for is less than four times, of the
 * missing thread's own processor time.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "case.h"

enum { PAGE = 4096, CACHE = 64, PAGES = 4096, THREADS = 1500, GETS = 3000, ROUNDS = 15, TIMES = 4 };

static MPOOL *pool;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int used;  /* threads that have used the pool */
static bool over; /* they may end */

static void *use(void *unused)
{
	(void)unused;
	void *page = mpool_get(pool, 0, 0);
	MUST(page && mpool_put(pool, page, 0) == 0);
	pthread_mutex_lock(&lock);
	used++;
	pthread_cond_broadcast(&changed);
	while (!over)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of misses all over the file, the best of some rounds. */
static double cost(void)
{
	unsigned long x = 88172645463325252ul;
	double best = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		double from = seconds();
		for (int i = 0; i < GETS; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			void *page = mpool_get(pool, (pgno_t)(x % PAGES), 0);
			MUST(page && mpool_put(pool, page, 0) == 0);
		}
		double took = seconds() - from;
		best = took < best ? took : best;
	}
	return best;
}

static void end(pthread_t *thread, int n)
{
	pthread_mutex_lock(&lock);
	over = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

/* Beside `n` threads that have used the pool, all at once, and sleep since, or have ended. */
static double cost_beside(int n, bool ended)
{
	pthread_attr_t small;
	pthread_t *thread = calloc((size_t)n, sizeof *thread);
	MUST(thread && pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 65536) == 0);
	pool = mpool_open(NULL, case_file((off_t)PAGES * PAGE), PAGE, CACHE);
	MUST(pool);
	used = 0;
	over = false;
	for (int i = 0; i < n; i++)
		if (pthread_create(&thread[i], &small, use, NULL) != 0)
			SKIP("so many threads are not to be had");
	pthread_mutex_lock(&lock);
	while (used < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	if (ended)
		end(thread, n);
	double took = cost();
	if (!ended)
		end(thread, n);
	free(thread);
	mpool_close(pool);
	return took;
}

int main(void)
{
	double one = cost_beside(1, false), ended = cost_beside(THREADS, true), asleep = cost_beside(THREADS, false);
	printf("us a miss: %.2f beside one thread, beside %d %.2f when they have ended and %.2f when they sleep\n",
		one / GETS * 1e6, THREADS, ended / GETS * 1e6, asleep / GETS * 1e6);
	RIGHT(ended < TIMES * one, "threads that have ended make a miss %.1f times as long", ended / one);
	RIGHT(asleep < TIMES * one, "threads that sleep make a miss %.1f times as long", asleep / one);
	return 0;
}
