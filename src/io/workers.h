/*
 * workers.h - runs in flight by threads.
 *
 * Owns a pool's threads that read and write, and the queue of runs that none has begun.  Threads
 * come as runs do, up to so many, and stay until there are to be fewer, or the pool is closed.
 * Who waits for all of his runs helps: so they are made where there can be no thread, too.
 *
 *   queued --a thread, or who waits for it--> being made --> done
 *
 * A thread works for others and knows nothing of pages: its process dies with it, and the
 * kernel ends a process only when what its threads transfer is over.  So these may read into
 * the frames of a shared pool, and write its pages, as a ring may not: what a ring has in flight
 * outlives the process, and would arrive in frames that others have taken over, or in the
 * file over what others have written since.
 *
 * In the child of a fork there are no threads: workers_drop.
 */
#ifndef MPOOL_WORKERS_H
#define MPOOL_WORKERS_H

#include <stdbool.h>

#include "io/run.h"

struct workers;

/* At most `room` threads, none so far; NULL: no memory. */
struct workers *workers_open(unsigned room);
/* There are to be `most` at the most from now on: those that are too many end, which is waited for. */
void workers_limit(struct workers *w, unsigned most);
/* Nobody waits for a run, and none is queued. */
void workers_close(struct workers *w);
/* The threads do not exist; nor do the runs. */
void workers_drop(struct workers *w);

/* Runs that their maker waits for: of all of them, or of `each`, one after the other as they are done. */
struct workers_call {
	unsigned left; /* not made yet */
	bool each;
	struct run_queue done;
};
void workers_begin(struct workers_call *c, bool each);
/* Have another run made. */
void workers_add(struct workers *w, struct workers_call *c, struct io_run *run);
/*
 * Wait until all that were added are made, or, of `each`, one; a run that is made, and was not returned
 * before; NULL: all were, or `wait_us` microseconds have gone by (0: no limit).
 */
struct io_run *workers_next(struct workers *w, struct workers_call *c, unsigned wait_us);
/*
 * Have a run made.  `done` is called when it is, by the thread that made it; by this one, before
 * the call returns, if there can be no thread.
 */
void workers_start(struct workers *w, struct io_run *run, void (*done)(void *of, struct io_run *run), void *of);

#endif
