/*
 * tsd.c - threads use a pool in the last round of their key destructors, after the
 * library was told of their end.  Their stripes serve later threads: 10,000 such
 * threads leave no more memory, and no more for an eviction to look at, than 1,000.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <time.h>

#include "case.h"

enum { PAGE = 512, PAGES = 1000, CACHED = 20, WARM = 1000, THREADS = 10000, MISSES = 2000, MOST_LEFT = 64 * 1024 };
/* What a miss may cost afterwards, in times of what it cost before; it was 200 times. */
static const double most = 10;

static MPOOL *mp;
static pthread_key_t key;
static _Thread_local int rounds;

static void use(unsigned n)
{
	void *page = mpool_get(mp, n, 0);
	MUST(page && mpool_put(mp, page, 0) == 0);
}

static void thread_ends(void *value)
{
	use(0);
	/* Once more than there are rounds, and so in the last. */
	if (++rounds <= PTHREAD_DESTRUCTOR_ITERATIONS)
		MUST(pthread_setspecific(key, value) == 0);
}

static void *thread(void *value)
{
	use(0);
	MUST(pthread_setspecific(key, value) == 0);
	return NULL;
}

static void threads_come_and_go(int n)
{
	for (int i = 0; i < n; i++) {
		pthread_t t;
		MUST(pthread_create(&t, NULL, thread, &key) == 0);
		MUST(pthread_join(t, NULL) == 0);
	}
}

static double miss(void)
{
	struct timespec from, to;
	MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from) == 0);
	for (unsigned i = 0; i < MISSES; i++)
		use(i * 7 % PAGES);
	MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to) == 0);
	return ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9) / MISSES;
}

int main(void)
{
	mp = mpool_open(NULL, case_file(PAGES * PAGE), PAGE, CACHED);
	MUST(mp);
	use(0); /* the library's key first: the other's destructor runs after its */
	MUST(pthread_key_create(&key, thread_ends) == 0);
	threads_come_and_go(WARM);
	double before = miss();
	size_t used = mallinfo2().uordblks;
	threads_come_and_go(THREADS);
	size_t left = mallinfo2().uordblks;
	double after = miss();
	printf("a miss: %.2f us before, %.2f after; %zu bytes in use before, %zu after\n", before * 1e6, after * 1e6,
		used, left);
	RIGHT(left < used + MOST_LEFT, "%zu bytes were in use, and %zu are after %d threads", used, left, THREADS);
	RIGHT(after < most * before, "a miss takes %.2f us, and took %.2f before", after * 1e6, before * 1e6);
	return 0;
}
