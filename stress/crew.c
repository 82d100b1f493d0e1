/*
 * crew.c - the threads of one process; see run.h.
 *
 * Owns a place for each: until the process is to leave the pool, a thread that ends there
 * is replaced by a new one.  And the storm, a thread that strikes the others with signals,
 * whose handler interrupts system calls, and cancellations; when is up to the system.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "report.h"
#include "run.h"

enum {
	STORM_MILLISECONDS = 1,
	STROKES = 20,       /* so many at a time */
	CANCEL_ONE_IN = 64, /* strokes, of which the others are signals */
	STORM_SIGNAL = SIGUSR1,
};

/* One for each place; the thread in it changes. */
struct member {
	unsigned number; /* of the place */
	uint64_t life;
	pthread_t thread;
	bool there; /* guarded by mutex: it can be struck */
	_Atomic bool ended;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct member *crew;
static _Atomic int ends; /* of threads, so far */
static _Atomic int calm; /* the storm is over */

/* --- a thread ------------------------------------------------------------------ */

void park(struct place *at)
{
	int pause = atomic_load(&run.board->pause);

	if (!is_pause(pause))
		return;
	atomic_store(&at->parked_for, pause);
	watch_doing(at, DOING_PARKED, NO_PAGE);
	wait_while(&run.board->pause, pause, FOREVER);
	watch_doing(at, DOING_NOTHING, NO_PAGE);
}

/* However the thread ended: of itself, or cancelled.  Pins may outlive it. */
static void leave(void *worker)
{
	struct worker *w = worker;

	part_with_pins(w);
	watch_doing(w->at, DOING_ENDED, NO_PAGE);
	worker_free(w);
}

static void say_ended(void *member)
{
	struct member *m = member;

	atomic_store(&m->ended, true);
	atomic_fetch_add(&ends, 1);
	wake(&ends);
}

/*
 * A request to cancel the thread may come at any time, in the middle of a call
 * too; but calls on the pool are no cancellation points, and neither is anything
 * else here, but between two operations.
 */
static void work(struct worker *w)
{
	unsigned life = 1 + below(w, 2 * run.o->life);

	watch_count(w->at, COUNT_THREADS, 1);
	while (life > 0 && !stay_over()) {
		if (is_pause(atomic_load(&run.board->pause))) {
			part_with_pins(w);
			park(w->at);
			continue;
		}
		operate(w);
		life--;
		pthread_testcancel();
	}
}

static void count_cancelled(void *worker)
{
	watch_count(((struct worker *)worker)->at, COUNT_CANCELLED, 1);
}

static void *live(void *member)
{
	struct member *m = member;
	struct worker *w = worker_make(m->number, m->life);

	w->hired = true;
	pthread_cleanup_push(say_ended, m);
	pthread_cleanup_push(leave, w);
	pthread_cleanup_push(count_cancelled, w);
	work(w);
	pthread_cleanup_pop(false);
	pthread_cleanup_pop(true);
	pthread_cleanup_pop(true);
	return NULL;
}

/* --- the storm ----------------------------------------------------------------- */

static void on_signal(int number)
{
	(void)number;
}

static void strike(struct member *m, bool cancel)
{
	pthread_mutex_lock(&mutex);
	if (m->there && cancel)
		pthread_cancel(m->thread);
	else if (m->there && run.o->signals)
		pthread_kill(m->thread, STORM_SIGNAL);
	pthread_mutex_unlock(&mutex);
}

static void *storm(void *unused)
{
	uint64_t random = draw_start(run.o->seed);

	(void)unused;
	while (!wait_while(&calm, 0, STORM_MILLISECONDS))
		for (unsigned i = 0; i < STROKES; i++)
			strike(&crew[draw_below(&random, run.o->threads)],
			       run.o->cancel && draw_below(&random, CANCEL_ONE_IN) == 0);
	return NULL;
}

/* --- the crew ------------------------------------------------------------------ */

static void start(struct member *m)
{
	m->life++;
	atomic_store(&m->ended, false);
	watch_doing(watch_place(m->number), DOING_NOTHING, NO_PAGE);
	start_thread(&m->thread, live, m);
	m->there = true;
}

/* It is replaced; false: by none. */
static bool replace(struct member *m)
{
	pthread_mutex_lock(&mutex);
	pthread_join(m->thread, NULL);
	m->there = false;
	if (!stay_over())
		start(m);
	else
		atomic_store(&m->ended, false);
	pthread_mutex_unlock(&mutex);
	return m->there;
}

static void keep_at_work(unsigned left)
{
	while (left > 0) {
		int seen = atomic_load(&ends);

		for (unsigned i = 0; i < run.o->threads; i++)
			if (atomic_load(&crew[i].ended) && !replace(&crew[i]))
				left--;
		if (left > 0)
			wait_while(&ends, seen, FOREVER);
	}
}

/* Places are the process's: in a later stay their threads have later lives. */
static void make_crew(uint64_t first_life)
{
	crew = calloc(run.o->threads, sizeof *crew);
	if (crew == NULL)
		trouble("no memory for %u threads", run.o->threads);
	for (unsigned i = 0; i < run.o->threads; i++)
		crew[i] = (struct member){.number = place_number(run.process, i), .life = first_life};
}

void crew_work(uint64_t first_life)
{
	/* Without SA_RESTART: a system call that can be interrupted is. */
	struct sigaction action = {.sa_handler = on_signal};
	bool stormy = run.o->signals || run.o->cancel;
	pthread_t storm_thread;

	if (crew == NULL)
		make_crew(first_life);
	watch_doing(run.main, DOING_THREADS, NO_PAGE);
	for (unsigned i = 0; i < run.o->threads; i++)
		start(&crew[i]);
	if (stormy) {
		sigaction(STORM_SIGNAL, &action, NULL);
		atomic_store(&calm, 0);
		start_thread(&storm_thread, storm, NULL);
	}
	keep_at_work(run.o->threads);
	if (stormy) {
		atomic_store(&calm, 1);
		wake(&calm);
		pthread_join(storm_thread, NULL);
	}
}
