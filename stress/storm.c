/*
 * storm.c - signals and cancellations that strike workers; see storm.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "storm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"

enum {
	PAUSE_NANOSECONDS = 50000,
	CANCEL_ONE_IN = 64, /* strokes, of which the others are signals */
	STORM_SIGNAL = SIGUSR1,
};

static pthread_t thread;
static _Atomic bool over;
static const struct options *options;
static const struct storm_calls *on;

static void on_signal(int number)
{
	(void)number;
}

static void *run_storm(void *unused)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
	struct drand48_data state;
	long place, stroke;

	(void)unused;
	srand48_r((long)options->seed, &state);
	while (!atomic_load(&over)) {
		lrand48_r(&state, &place);
		lrand48_r(&state, &stroke);
		place %= options->threads;
		if (options->cancel && stroke % CANCEL_ONE_IN == 0)
			on->cancel((unsigned)place);
		else if (options->signals)
			on->signal((unsigned)place, STORM_SIGNAL);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

void storm_start(const struct options *o, const struct storm_calls *calls)
{
	/* Without SA_RESTART: a system call that can be interrupted is. */
	struct sigaction action = {.sa_handler = on_signal};

	if (!o->signals && !o->cancel)
		return;
	options = o;
	atomic_store(&over, false);
	on = calls;
	sigaction(STORM_SIGNAL, &action, NULL);
	errno = pthread_create(&thread, NULL, run_storm, NULL);
	if (errno != 0)
		trouble("starting a thread");
}

void storm_stop(void)
{
	if (options == NULL)
		return;
	atomic_store(&over, true);
	pthread_join(thread, NULL);
}
