/*
 * submit.h - runs that a store has begun (mpool_store's submit), and what a call waits for together with them.
 *
 * Owns the lock by which a pool's threads wait for such runs, and the requests (struct mpool_io) while the store has them.
 *
 *   not begun --submit--> the store's ------------------done, by any thread--> arrived --> returned to who waits
 *             --submit refused--> made by who waits, by readv or writev -----> arrived
 *             --a store without it, or a file--> in the workers' hands ------> arrived
 *
 * So a call can wait for runs of files and of stores at once.  What is begun by a thread ends in its own time; the thread that
 * a store has call `done` takes the lock, tells, and is gone: it begins nothing, for the store may hold locks of its own.
 */
#ifndef MPOOL_SUBMIT_H
#define MPOOL_SUBMIT_H

#include <pthread.h>
#include <stdbool.h>

#include "io/run.h"
#include "io/store.h"
#include "io/workers.h"

/* Of a pool. */
struct submits {
	pthread_mutex_t lock; /* guards what each call has */
};
void submits_init(struct submits *s);
/* Nobody waits, and nothing is in flight. */
void submits_end(struct submits *s);

/*
 * Has its store begun it?  Then `done` is called when it is, by any thread, perhaps before this returns.  `waiter`: for whom store_wait is called
 * until then; NULL: nobody.
 */
bool submit_start(struct io_run *run, void (*done)(void *of, struct io_run *run), void *of, const void *waiter);

/* Runs that their maker waits for. */
struct submit_call {
	struct submits *of;
	pthread_cond_t changed;
	unsigned left;             /* have not arrived */
	const struct store *store; /* whose they all are, and which he helps while he waits; NULL */
	unsigned low;              /* he sleeps until no more than so many are left; */
	bool each;                 /* or until one has arrived */
	struct run_queue arrived;
};
void submit_begin(struct submit_call *c, struct submits *s, const struct store *store, bool each);
/* All were returned. */
void submit_end(struct submit_call *c);
/* Begin one: by its store if it has a submit and `submit` is true; else by the workers, NULL: by this thread. */
void submit_add(struct submit_call *c, struct io_run *run, bool submit, struct workers *w);
/*
 * One that has arrived, and was not returned before.  If none has, wait for one, and, but of `each`, until no more than `low`
 * are left.  NULL: all were returned; or, of `each`, `wait_us` microseconds have gone by (0: no limit).
 */
struct io_run *submit_next(struct submit_call *c, unsigned low, unsigned wait_us);

#endif
