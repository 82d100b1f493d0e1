/*
 * background.h - the pool's own thread, which completes reads that nobody waits for.
 *
 * Owns that thread, its ring, and what was given to it.  It comes with the first such read,
 * and stays until the pool is closed.
 *
 *   given --it tells its ring, or a store, or reads by itself--> in flight --> done --> finished
 *         --who gives tells the store, if there is room--------> in flight
 *   in the workers' hands (workers.h) -------------------------> done --> finished
 *
 * Finishing a read is to publish its pages, which is the matter of who gave it: the thread
 * calls upwards for that (struct background_above), and for what else waits to be looked at.
 *
 * The thread has a stripe as others have, and is in one call from its beginning to its end: so
 * what it holds is found should the process die or fork (share/recover.h).  It has all signals
 * blocked.  In the child of a fork there is none of it.
 */
#ifndef MPOOL_BACKGROUND_H
#define MPOOL_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/thread.h"
#include "io/run.h"
#include "io/ring.h"
#include "io/submit.h"

struct background_above {
	/* The read is done. */
	void (*finish)(struct attachment *a, struct io_run *read);
	/* After each: is anything left that time alone may change?  `last`: nothing comes after this. */
	bool (*look)(struct attachment *a, bool last);
};

struct background {
	struct core *core;
	const struct background_above *above;
	pthread_mutex_t lock; /* guards all that follows */
	pthread_cond_t changed;
	bool runs, ends;
	bool in_ring;                   /* the thread waits for its ring, and is woken by `wake` */
	bool looks;                     /* there is something to look at */
	struct run_queue given, done;   /* `done`: by workers, and stores */
	struct run_queue of_stores;     /* given, too */
	struct run_queue arrived;       /* by the ring, while a filter was to run: the thread's own */
	unsigned elsewhere;             /* in the workers' hands, or a store's; */
	unsigned submitted;             /* of these: in a store's, */
	const _Atomic uint32_t *depth;  /* at the most: the engine's; */
	unsigned waited;                /* of these: for which the thread helps, while it waits, */
	const struct store *store;      /* this store; then it has no ring */
	bool in_store;                  /* it does, or has nothing to do any more, and is woken by */
	int store_wake;                 /* an eventfd; -1: not open; */
	bool store_woken;               /* and was */
	_Atomic(struct ring *) ring;    /* NULL: none; a broken one is closed when nothing is in flight */
	int wake;                       /* an eventfd; -1: there is no ring */
	_Atomic int *refused;           /* the engine's: with what a ring took no more */
	_Atomic(struct attachment *) a; /* the thread's, once it runs */
	int error;                      /* why it does not; background.c */
	pthread_t thread;
	pthread_t self; /* the same, by itself: nobody is told of a read before */
};

void background_init(struct background *b, struct core *c, _Atomic int *refused, const _Atomic uint32_t *depth);
/* Nobody is in a call.  What was given is finished first. */
void background_end(struct background *b);

/* Have the thread; its attachment, or NULL and errno. */
struct attachment *background_begin(struct background *b, const struct background_above *above);
/* Has it a ring?  From now on this one is its own; false: it has one already, or no descriptor is left. */
bool background_has_ring(const struct background *b);
bool background_give_ring(struct background *b, struct ring *r);

/* Give it a read: one that is `submitted` is for its store, which may be told by this thread. */
void background_read(struct background *b, struct io_run *read);
/* One more is in the workers' hands; they call background_done with it. */
void background_elsewhere(struct background *b);
void background_done(void *background, struct io_run *read);
/* There is something for `look`. */
void background_look(struct background *b);

#endif
