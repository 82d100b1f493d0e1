/*
 * crew.c - the threads of one process; see crew.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "crew.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"
#include "storm.h"
#include "worker.h"

enum { MILLI = 1000, NANO_IN_MILLI = 1000000 };

/* One slot for each worker; the thread in it changes. */
struct crew {
	struct churn *run;
	unsigned place;
	uint64_t life;
	pthread_t thread;
	/* Guarded by the crew's mutex: */
	bool working; /* the thread is there to be signalled, or cancelled */
	bool ended;
};

static pthread_mutex_t crew_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t crew_changed = PTHREAD_COND_INITIALIZER;
static struct crew *the_crew; /* for the storm */
static bool crew_gone;        /* no worker is left; guarded by crew_mutex */

/* However the thread ended. */
static void say_ended(void *crew)
{
	struct crew *c = crew;

	pthread_mutex_lock(&crew_mutex);
	c->working = false;
	c->ended = true;
	pthread_cond_broadcast(&crew_changed);
	pthread_mutex_unlock(&crew_mutex);
}

static void *run_worker(void *arg)
{
	struct crew *c = arg;

	pthread_cleanup_push(say_ended, c);
	worker_live(c->run, c->run->first_place + c->place, c->life);
	pthread_cleanup_pop(true);
	return NULL;
}

static void start_worker(struct crew *c)
{
	c->life++;
	/* Under the mutex, so that nobody strikes a thread whose name is not there yet. */
	pthread_mutex_lock(&crew_mutex);
	errno = pthread_create(&c->thread, NULL, run_worker, c);
	if (errno != 0)
		trouble("starting a thread");
	c->working = true;
	pthread_mutex_unlock(&crew_mutex);
}

static void signal_worker(unsigned place, int number)
{
	pthread_mutex_lock(&crew_mutex);
	if (the_crew[place].working)
		pthread_kill(the_crew[place].thread, number);
	pthread_mutex_unlock(&crew_mutex);
}

static void cancel_worker(unsigned place)
{
	pthread_mutex_lock(&crew_mutex);
	if (the_crew[place].working)
		pthread_cancel(the_crew[place].thread);
	pthread_mutex_unlock(&crew_mutex);
}

static struct crew *wait_for_end(struct crew *crew, unsigned n)
{
	struct crew *found = NULL;

	pthread_mutex_lock(&crew_mutex);
	for (;;) {
		for (unsigned i = 0; i < n && found == NULL; i++)
			if (crew[i].ended)
				found = &crew[i];
		if (found != NULL)
			break;
		pthread_cond_wait(&crew_changed, &crew_mutex);
	}
	found->ended = false;
	pthread_mutex_unlock(&crew_mutex);
	return found;
}

/* Until the run is over, a thread that ends is replaced by a new one. */
void crew_work(struct churn *run)
{
	static const struct storm_calls strokes = {.signal = signal_worker, .cancel = cancel_worker};
	unsigned n = run->o->threads, left = n;
	struct crew *crew = calloc(n, sizeof *crew);

	if (crew == NULL)
		trouble("no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		crew[i] = (struct crew){.run = run, .place = i, .life = run->first_life};
		start_worker(&crew[i]);
	}
	the_crew = crew;
	storm_start(run->o, &strokes);
	while (left > 0) {
		struct crew *c = wait_for_end(crew, n);

		pthread_join(c->thread, NULL);
		if (churn_over(run))
			left--;
		else
			start_worker(c);
	}
	storm_stop();
	free(crew);
	pthread_mutex_lock(&crew_mutex);
	crew_gone = true;
	pthread_cond_broadcast(&crew_changed);
	pthread_mutex_unlock(&crew_mutex);
}

static void add_milliseconds(struct timespec *t, unsigned ms)
{
	t->tv_sec += ms / MILLI;
	t->tv_nsec += ms % MILLI * NANO_IN_MILLI;
	if (t->tv_nsec >= MILLI * NANO_IN_MILLI) {
		t->tv_sec++;
		t->tv_nsec -= MILLI * NANO_IN_MILLI;
	}
}

bool crew_wait(unsigned ms)
{
	struct timespec next;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &next);
	add_milliseconds(&next, ms);
	pthread_mutex_lock(&crew_mutex);
	while (!crew_gone && pthread_cond_clockwait(&crew_changed, &crew_mutex, CLOCK_MONOTONIC, &next) == 0)
		;
	go_on = !crew_gone;
	pthread_mutex_unlock(&crew_mutex);
	return go_on;
}
