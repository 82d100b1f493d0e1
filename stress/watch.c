/*
 * watch.c - who is doing what, and is anybody stuck?; see watch.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "watch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "patience.h"
#include "report.h"
#include "shared.h"

enum {
	LINE_SIZE = 64, /* one cache line a place: watching must not slow the watched */
	MAIN_FROM_END = 1,
	TELLER_FROM_END = 2,
	OWN_PLACES = 2,
};

struct place {
	alignas(LINE_SIZE) _Atomic uint64_t steps; /* changes with everything the thread does */
	_Atomic uint64_t operations;
	_Atomic int doing;
	_Atomic pgno_t pgno;
	/* The guard's own. */
	uint64_t steps_seen;
	double seen_at; /* by patience_seconds */
};

static struct place *table;
static unsigned table_size;
static unsigned main_place;
static unsigned limit;
static void (*before_abort)(void);
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* A thread that does something once a second until it is told to stop. */
struct clockwork {
	pthread_t thread;
	void (*tick)(void *);
	void *arg;
	pthread_cond_t stop;
	bool stopping; /* guarded by mutex */
};

static struct clockwork guard = {.stop = PTHREAD_COND_INITIALIZER};
static struct clockwork teller = {.stop = PTHREAD_COND_INITIALIZER};

static const char *const doing_name[DOING_COUNT] = {
	[DOING_NOTHING] = "nothing",
	[DOING_LOCK] = "waiting for this program's own lock of the page",
	[DOING_CHECK] = "checking or writing the page's bytes",
	[DOING_GET] = "mpool_get",
	[DOING_PUT] = "mpool_put",
	[DOING_NEW] = "mpool_new",
	[DOING_REQUEST] = "mpool_new with MPOOL_PAGE_REQUEST",
	[DOING_DELETE] = "mpool_delete",
	[DOING_SYNC] = "mpool_sync",
	[DOING_STATS] = "mpool_stats",
	[DOING_OPEN] = "mpool_open",
	[DOING_CLOSE] = "mpool_close",
};

static const char *place_name(unsigned i)
{
	if (i == table_size - MAIN_FROM_END)
		return "main thread, place";
	return i == table_size - TELLER_FROM_END ? "progress lines, place" : "place";
}

static void print_place(unsigned i, double now)
{
	struct place *p = &table[i];
	pgno_t pgno = atomic_load(&p->pgno);

	fprintf(stderr, "  %s %u: %" PRIu64 " operations, last step %.0f s ago: %s", place_name(i), i,
	        atomic_load(&p->operations), now - p->seen_at, doing_name[atomic_load(&p->doing)]);
	if (pgno != WATCH_NO_PAGE)
		fprintf(stderr, ", page %" PRIu32, pgno);
	fprintf(stderr, "\n");
}

static _Noreturn void hang(unsigned culprit, double now)
{
	fflush(stdout);
	fprintf(stderr, "mpool-stress: hang: place %u has been at one step for %u s\n", culprit, limit);
	for (unsigned i = 0; i < table_size; i++)
		print_place(i, now);
	report_again();
	if (before_abort != NULL)
		before_abort();
	abort();
}

void watch_look(void)
{
	double now = patience_seconds();
	unsigned culprit = table_size;
	bool doubt = false;

	for (unsigned i = 0; i < table_size; i++) {
		struct place *p = &table[i];
		uint64_t steps = atomic_load(&p->steps);

		if (steps != p->steps_seen || atomic_load(&p->doing) == DOING_NOTHING) {
			p->steps_seen = steps;
			p->seen_at = now;
		} else if (now - p->seen_at >= limit) {
			culprit = i;
		} else if (now - p->seen_at >= PATIENCE_DOUBT) {
			doubt = true;
		}
	}
	patience_look(doubt);
	if (culprit < table_size)
		hang(culprit, now);
}

/* False when it is told to stop before the time has come. */
static bool wait_until(struct clockwork *c, const struct timespec *next)
{
	bool go_on;

	pthread_mutex_lock(&mutex);
	while (!c->stopping && pthread_cond_clockwait(&c->stop, &mutex, CLOCK_MONOTONIC, next) == 0)
		;
	go_on = !c->stopping;
	pthread_mutex_unlock(&mutex);
	return go_on;
}

static void *run_clockwork(void *arg)
{
	struct clockwork *c = arg;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (next.tv_sec++; wait_until(c, &next); next.tv_sec++)
		c->tick(c->arg);
	return NULL;
}

static void start_clockwork(struct clockwork *c, void (*tick)(void *), void *arg)
{
	c->tick = tick;
	c->arg = arg;
	errno = pthread_create(&c->thread, NULL, run_clockwork, c);
	if (errno != 0)
		trouble("starting a thread");
}

static void stop_clockwork(struct clockwork *c)
{
	pthread_mutex_lock(&mutex);
	c->stopping = true;
	pthread_cond_signal(&c->stop);
	pthread_mutex_unlock(&mutex);
	pthread_join(c->thread, NULL);
}

static void look(void *unused)
{
	(void)unused;
	watch_look();
}

void watch_make(unsigned places, unsigned limit_seconds)
{
	table_size = places + OWN_PLACES;
	main_place = table_size - MAIN_FROM_END;
	table = shared_make(table_size * sizeof *table);
	for (unsigned i = 0; i < table_size; i++)
		table[i] = (struct place){.pgno = WATCH_NO_PAGE};
	limit = limit_seconds;
}

void watch_before_abort(void (*call)(void))
{
	before_abort = call;
}

void watch_free(void)
{
	shared_free(table, table_size * sizeof *table);
}

void watch_start(unsigned places, unsigned limit_seconds)
{
	watch_make(places, limit_seconds);
	start_clockwork(&guard, look, NULL);
}

void watch_stop(void)
{
	stop_clockwork(&guard);
	watch_free();
}

void watch_move_main(unsigned place)
{
	main_place = place;
}

static void (*tell_progress)(void *);

static void tell(void *arg)
{
	unsigned place = table_size - TELLER_FROM_END;

	watch_doing(place, DOING_STATS, WATCH_NO_PAGE);
	tell_progress(arg);
	watch_rest(place);
}

void watch_tell(void (*progress)(void *), void *arg)
{
	tell_progress = progress;
	start_clockwork(&teller, tell, arg);
}

void watch_quiet(void)
{
	stop_clockwork(&teller);
}

unsigned watch_main_place(void)
{
	return main_place;
}

/*
 * The place's own thread alone writes, so these need no locked operation: they
 * must order nothing between the threads that the pool is to order.
 */
static void bump(_Atomic uint64_t *counter)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + 1, memory_order_relaxed);
}

void watch_doing(unsigned place, enum doing doing, pgno_t pgno)
{
	struct place *p = &table[place];

	atomic_store_explicit(&p->doing, doing, memory_order_relaxed);
	atomic_store_explicit(&p->pgno, pgno, memory_order_relaxed);
	bump(&p->steps);
}

void watch_done(unsigned place)
{
	bump(&table[place].operations);
}

void watch_rest(unsigned place)
{
	watch_doing(place, DOING_NOTHING, WATCH_NO_PAGE);
}

uint64_t watch_operations(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < table_size; i++)
		sum += atomic_load_explicit(&table[i].operations, memory_order_relaxed);
	return sum;
}
