/*
 * manypools.c - one thread opens thousands of pools, uses each, uses them in turn, and
 * closes them, while other threads come and go.  Each of it costs so much a pool,
 * however many there are: eight times as many cost about eight times the processor's time.
 * So no thread stalls another by a lock of the library's: who has one does not sleep.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "case.h"

enum { FEW = 500, MANY = 8 * FEW, PAGE = 4096, TURNS = 20, TRIES = 5 };
/* What is linear costs 8 times as much, and twice that where the many do not fit the caches; what is square, 64 times. */
static const double most = 48;

enum part { OPEN, FIRST_USE, IN_TURN, CLOSE, PARTS };
static const char *const names[PARTS] = {"to open", "the first use", "use in turn", "to close"};

static MPOOL *pool[MANY];
static int fd;

static double processor_time(void)
{
	struct timespec t;
	MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void use(MPOOL *mp)
{
	void *page = mpool_get(mp, 0, 0);
	MUST(page && mpool_put(mp, page, 0) == 0);
}

static void *use_one(void *mp)
{
	use(mp);
	return NULL;
}

static double part(enum part what, int n)
{
	double began = processor_time();
	for (int i = 0; i < n; i++)
		if (what == OPEN)
			MUST((pool[i] = mpool_open(NULL, fd, PAGE, 8)));
		else if (what == FIRST_USE)
			use(pool[i]);
		else if (what == CLOSE)
			MUST(mpool_close(pool[i]) == 0);
	for (int turn = 0; what == IN_TURN && turn < TURNS; turn++)
		for (int i = 0; i < n; i++)
			use(pool[i]);
	return processor_time() - began;
}

/* The least of some tries: other work of the machine's makes it more, never less. */
static void measure(int n, double *least)
{
	for (int what = 0; what < PARTS; what++)
		least[what] = 1e9;
	for (int i = 0; i < TRIES; i++)
		for (int what = 0; what < PARTS; what++) {
			double took = part(what, n);
			least[what] = took < least[what] ? took : least[what];
			/* A thread that uses one pool only, and ends. */
			pthread_t thread;
			if (what == OPEN || what == IN_TURN) {
				MUST(pthread_create(&thread, NULL, use_one, pool[n - 1]) == 0);
				MUST(pthread_join(thread, NULL) == 0);
			}
		}
}

int main(void)
{
	double few[PARTS], many[PARTS];
	bool linear = true;
	fd = case_file(PAGE);
	measure(FEW, few);
	measure(MANY, many);
	for (int what = 0; what < PARTS; what++) {
		double times = many[what] / few[what];
		printf("%s: %.2f us a pool of %d, %.2f of %d: %.1f times in all\n", names[what], few[what] / FEW * 1e6,
			FEW, many[what] / MANY * 1e6, MANY, times);
		linear &= times < most;
	}
	RIGHT(linear, "%d pools cost far more than %d times what %d cost", MANY, MANY / FEW, FEW);
	return 0;
}
