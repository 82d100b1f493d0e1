/*
 * priority.c - a real-time thread puts the pin of a thread that it keeps off the processor.
 *
 * The first put of another's pin waits for who is between two stores of a put of its own:
 * here a thread of a lower priority, on the same processor.  Each pool can show it once.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "case.h"

enum { PAGE = 4096, POOLS = 600, PAUSE_NS = 1000000, STEP_NS = 1237 };
/* Of the real-time thread's own processor time, at a put: sleeping takes none. */
#define MOST 0.02

static MPOOL *_Atomic pool;
static void *_Atomic handed;
static atomic_int turn;
static atomic_bool stop;

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pause_for(long ns)
{
	struct timespec t = {0, ns};
	nanosleep(&t, NULL);
}

static bool on_one_processor(void)
{
	cpu_set_t allowed, one;
	CPU_ZERO(&one);
	MUST(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &allowed))
			CPU_SET(i, &one);
	return pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0;
}

/* Hands a pin on, and then puts its own pins, again and again. */
static void *low(void *unused)
{
	int seen = 0;
	(void)unused;
	while (!stop) {
		if (turn == seen)
			continue;
		seen = turn;
		MPOOL *mp = pool;
		handed = mpool_get(mp, 1, 0);
		while (!stop && turn == seen) {
			void *page = mpool_get(mp, 0, 0);
			mpool_put(mp, page, 0);
		}
	}
	return NULL;
}

int main(void)
{
	struct sched_param high = {.sched_priority = 1}, none = {.sched_priority = 0};
	double worst = 0;
	pthread_t thread;
	int fd = case_file(256 * PAGE);
	if (!on_one_processor())
		SKIP("threads cannot be kept on one processor");
	MUST(pthread_create(&thread, NULL, low, NULL) == 0);
	if (sched_setscheduler(0, SCHED_FIFO, &high) != 0) {
		stop = true;
		pthread_join(thread, NULL);
		SKIP("real-time threads are not allowed");
	}
	for (int i = 0; i < POOLS && worst < MOST; i++) {
		handed = NULL;
		MPOOL *mp = mpool_open(NULL, fd, PAGE, 16);
		MUST(mp);
		pool = mp;
		turn++;
		while (!handed)
			pause_for(PAUSE_NS / 5);
		pause_for(PAUSE_NS + i * STEP_NS);
		double from = seconds(CLOCK_THREAD_CPUTIME_ID);
		MUST(mpool_put(mp, handed, 0) == 0);
		double took = seconds(CLOCK_THREAD_CPUTIME_ID) - from;
		worst = took > worst ? took : worst;
	}
	stop = true;
	sched_setscheduler(0, SCHED_OTHER, &none);
	pthread_join(thread, NULL);
	printf("the longest put took %.1f us of processor time\n", worst * 1e6);
	RIGHT(worst < MOST, "a put took %.0f ms of processor time", worst * 1e3);
	return 0;
}
