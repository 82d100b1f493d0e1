/*
 * manypools.c - one thread opens thousands of pools, uses each, uses them in turn, and
 * closes them, while other threads come and go.  Each of it costs so much a pool,
 * however many there are: eight times as many cost about eight times the processor's time.
 * So no thread stalls another by a lock of the library's: who has one does not sleep.
 * Gets that go from pool to pool cost no search for the thread's part of each, and a pool that is open
 * has memory in proportion to its pages.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "case.h"

enum { FEW = 500, MANY = 8 * FEW, PAGE = 4096, TURNS = 20, TRIES = 5 };
/* What is linear costs 8 times as much, and twice that where the many do not fit the caches; what is square, 64 times. */
static const double most = 48;

/*
 * A get and a put, beside those of one pool: of few pools about the same, of many what memory that is in no cache costs.
 * Twice and three times as much is let pass.
 */
enum { TOGETHER = 16, APART = 100, TOGETHER_TIMES = 3, APART_TIMES = 8, USES = 200000 };
/* Of a pool that has all its pages in memory: bytes beside theirs. */
enum { CACHE = 5, MOST_BYTES = 23 * 1024 };

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

/* Gets of so many pools in turn: the least of some tries. */
static double in_turn(int n)
{
	double least = 1e9;
	for (int i = 0; i < TRIES; i++) {
		double began = processor_time();
		for (int turn = 0; turn < USES / n; turn++)
			for (int k = 0; k < n; k++)
				use(pool[k]);
		double took = (processor_time() - began) / (USES / n * n);
		least = took < least ? took : least;
	}
	return least;
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

static void beside_one_another(void)
{
	size_t before = in_use();
	for (int i = 0; i < APART; i++) {
		MUST((pool[i] = mpool_open(NULL, fd, PAGE, CACHE)));
		for (pgno_t k = 0; k < CACHE; k++) {
			void *page = mpool_get(pool[i], k, 0);
			MUST(page && mpool_put(pool[i], page, 0) == 0);
		}
	}
	size_t each = (in_use() - before) / APART - CACHE * PAGE;
	double one = in_turn(1), together = in_turn(TOGETHER), apart = in_turn(APART);
	printf("a pool of %d pages has %zu bytes beside them; ns a get: %.1f, of %d pools %.1f, of %d %.1f\n", CACHE,
		each, one * 1e9, TOGETHER, together * 1e9, APART, apart * 1e9);
	RIGHT(each < MOST_BYTES, "a pool has %zu bytes beside its pages", each);
	RIGHT(together < TOGETHER_TIMES * one, "gets of %d pools in turn take %.1f times as long", TOGETHER,
		together / one);
	RIGHT(apart < APART_TIMES * one, "gets of %d pools in turn take %.1f times as long", APART, apart / one);
	for (int i = 0; i < APART; i++)
		MUST(mpool_close(pool[i]) == 0);
}

int main(void)
{
	double few[PARTS], many[PARTS];
	bool linear = true;
	fd = case_file(CACHE * PAGE);
	beside_one_another();
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
