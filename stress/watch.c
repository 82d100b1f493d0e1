/*
 * watch.c - who is doing what, and is anybody stuck?; see watch.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "watch.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../tests/watchdog/fair.h"
#include "report.h"

#define LOOK_EVERY 0.25 /* seconds */
enum { MICRO = 1000000, MILLI = 1000, TICK = 1000 };

static struct place *table;
static unsigned table_size, limit;
static _Atomic uint64_t *micros; /* of the guard's clock; shared */
void (*watch_before_abort)(void);

#define DOING_NAME(name, text) [DOING_##name] = text,
const char *const doing_name[DOINGS] = {DOINGS_OF(DOING_NAME)};

#define COUNT_NAME(name, text) [COUNT_##name] = text,
static const char *const count_name[COUNTS] = {COUNTS_OF(COUNT_NAME)};

void watch_make(unsigned places, unsigned limit_seconds)
{
	table_size = places;
	limit = limit_seconds;
	micros = shared_make(sizeof *micros);
	table = shared_make(table_size * sizeof *table);
	for (unsigned i = 0; i < table_size; i++)
		watch_doing(&table[i], DOING_ENDED, NO_PAGE);
}

struct place *watch_place(unsigned number)
{
	return &table[number];
}

/* --- what a thread notes ------------------------------------------------------- */

/*
 * The place's own thread alone writes, so these need no locked operation: they
 * must order nothing between the threads that the pool is to order.
 */
void watch_count(struct place *at, unsigned count, uint64_t more)
{
	uint64_t now = atomic_load_explicit(&at->count[count], memory_order_relaxed);

	atomic_store_explicit(&at->count[count], now + more, memory_order_relaxed);
}

/* Signal fences: in this order, should the thread be killed in between. */
static void now_doing(struct place *at, enum doing doing)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&at->doing, doing, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

void watch_doing(struct place *at, enum doing doing, pgno_t pgno)
{
	uint64_t steps = atomic_load_explicit(&at->steps, memory_order_relaxed);

	atomic_store_explicit(&at->pgno, pgno, memory_order_relaxed);
	now_doing(at, doing);
	atomic_store_explicit(&at->steps, steps + 1, memory_order_relaxed);
}

void watch_done(struct place *at)
{
	now_doing(at, DOING_NOTHING);
}

uint64_t watch_sum(unsigned count)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < table_size; i++)
		sum += atomic_load_explicit(&table[i].count[count], memory_order_relaxed);
	return sum;
}

uint64_t watch_operations(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OPERATIONS; i++)
		sum += watch_sum(i);
	return sum;
}

void watch_print_counts(void)
{
	for (unsigned i = 0; i < COUNTS; i++)
		if (watch_sum(i) != 0)
			printf("%-26s%12" PRIu64 "\n", i < OPERATIONS ? operations[i].name : count_name[i],
			       watch_sum(i));
}

/* --- waiting ------------------------------------------------------------------- */

bool wait_while(_Atomic int *word, int value, unsigned milliseconds)
{
	const struct timespec most = {.tv_sec = milliseconds / MILLI, .tv_nsec = milliseconds % MILLI * (long)MICRO};
	double until = report_seconds() + (double)milliseconds / MILLI;

	while (atomic_load(word) == value && (milliseconds == FOREVER || report_seconds() < until))
		syscall(SYS_futex, word, FUTEX_WAIT, value, milliseconds == FOREVER ? NULL : &most, NULL, 0);
	return atomic_load(word) != value;
}

void wake(_Atomic int *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	errno = pthread_create(thread, NULL, run, arg);
	if (errno != 0)
		trouble("starting a thread");
}

static void *run_ticker(void *arg)
{
	struct ticker *t = arg;

	while (!wait_while(&t->stop, 0, TICK))
		t->tick();
	return NULL;
}

void ticker_start(struct ticker *t, void (*tick)(void))
{
	t->tick = tick;
	start_thread(&t->thread, run_ticker, t);
}

void ticker_stop(struct ticker *t)
{
	atomic_store(&t->stop, 1);
	wake(&t->stop);
	pthread_join(t->thread, NULL);
}

/* --- the guard ----------------------------------------------------------------- */

static struct fair fair;
static bool doubted; /* at the last look */
static double looked_at;

double watch_seconds(void)
{
	return (double)atomic_load(micros) / MICRO;
}

static void pass_time(double wall)
{
	double before = fair.now, passed = wall - looked_at;

	if (doubted) {
		fair_look(&fair);
		passed = fair.now - before;
	}
	looked_at = wall;
	atomic_fetch_add(micros, (uint64_t)(passed * MICRO));
}

static void remember_doubt(bool doubt)
{
	if (doubt && !doubted)
		fair_begin(&fair, getpid());
	else if (!doubt && doubted)
		fair_end(&fair);
	doubted = doubt;
}

static void print_place(unsigned i)
{
	struct place *p = &table[i];
	pgno_t pgno = atomic_load(&p->pgno);

	fprintf(stderr, "  place %u: %" PRIu64 " calls, the last %.0f s ago: %s", i, atomic_load(&p->steps),
	        watch_seconds() - p->seen_at, doing_name[atomic_load(&p->doing)]);
	if (pgno != NO_PAGE)
		fprintf(stderr, ", page %" PRIu32, pgno);
	for (unsigned h = 0; h < HELD_MAX; h++)
		if (atomic_load(&p->held[h]) != 0)
			fprintf(stderr, ", holds %" PRIu64, atomic_load(&p->held[h]) - 1);
	for (unsigned l = 0; l < LATCHED_MAX; l++)
		if (atomic_load(&p->latched[l]) != 0)
			fprintf(stderr, ", latches %" PRIu64, atomic_load(&p->latched[l]) - 1);
	fprintf(stderr, "\n");
}

_Noreturn void watch_hang(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "mpool-stress: hang: for %u s, %s\n", limit, what);
	for (unsigned i = 0; i < table_size; i++)
		print_place(i);
	report_again();
	if (watch_before_abort != NULL)
		watch_before_abort();
	abort();
}

/* Nobody who waits for a call of the pool's is never stuck. */
static bool in_a_call(const struct place *p)
{
	int doing = atomic_load(&p->doing);

	return doing != DOING_NOTHING && doing < DOING_AIMS;
}

void watch_look(bool doubt)
{
	double now;

	if (report_seconds() - looked_at < LOOK_EVERY)
		return;
	pass_time(report_seconds());
	now = watch_seconds();
	for (unsigned i = 0; i < table_size; i++) {
		struct place *p = &table[i];
		uint64_t steps = atomic_load(&p->steps);
		char what[LINE_SIZE];

		if (steps != p->steps_seen || !in_a_call(p)) {
			p->steps_seen = steps;
			p->seen_at = now;
		} else if (now - p->seen_at >= limit) {
			snprintf(what, sizeof what, "place %u has been in one call", i);
			watch_hang(what);
		}
		doubt = doubt || now - p->seen_at >= WATCH_DOUBT;
	}
	remember_doubt(doubt);
}

void watch_guard(void)
{
	watch_look(false);
}
