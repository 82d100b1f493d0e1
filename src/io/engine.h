/*
 * engine.h - how a pool has many runs (run.h) in flight at once: reads, or writes.
 *
 * Owns the pool's rings and the threads that transfer, from the first call that needs them on.
 * What serves is
 *
 *   plain    the calling thread's preadv(2) or pwrite(2), one after the other
 *   ring     io_uring: each call that waits for its runs has a ring to itself meanwhile
 *   workers  threads
 *   submit   of a store of the program's that has it (submit.h): there it is what a ring is for files
 *
 * Unless it is told which (mpool_tune), a private pool has a ring, and workers where that is
 * refused, or has taken no more; a shared one has workers, never a ring (workers.h tells why).
 * What may pass, a lack of memory or of descriptors, is tried again now and then.  And writes to
 * a file that is not open for O_DIRECT are plain: they end in the kernel's memory, and a ring
 * or another thread takes longer for such a one than the call itself.
 *
 * Where one of a flight's runs is of a store, those of files are the workers', so that one wait is for all.
 *
 * Runs that somebody waits for are a flight's, from flight_begin to the end of flight_next:
 *
 *   not begun --room in the ring; its turn--> in flight --> returned by flight_next
 *
 * A fork waits for a flight.  So between the two its maker waits for nobody, and runs no filter.
 *
 * Reads that nobody waits for are the background's (background.h).
 */
#ifndef MPOOL_ENGINE_H
#define MPOOL_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/core.h"
#include "io/background.h"
#include "io/io.h"
#include "io/run.h"
#include "io/ring.h"
#include "io/submit.h"
#include "io/workers.h"

enum engine_kind { ENGINE_AUTO, ENGINE_PLAIN, ENGINE_RING, ENGINE_WORKERS, ENGINE_KINDS };

/* Runs in flight, unless it is tuned; and at the most. */
#define ENGINE_DEPTH     64u
#define ENGINE_DEPTH_MAX 1024u
/* Of a flight whose runs are waited for one by one. */
#define FLIGHT_LEAST       8u
#define FLIGHT_PATIENCE_US 2000u
/* Rings that wait for a call that needs one: so many threads have runs in flight at once without making more. */
#define ENGINE_RINGS 4u

struct engine {
	bool shared; /* the pool is */
	/* Of the pool's first file; NULL: that is no store. */
	const struct store *store;
	_Atomic uint32_t wanted; /* enum engine_kind */
	_Atomic uint32_t depth;
	_Atomic int refused;     /* errno with which a ring was, or took no more; 0: none was */
	_Atomic uint32_t missed; /* calls that would have had one since */
	_Atomic(struct ring *) rings[ENGINE_RINGS];
	_Atomic(struct workers *) workers;
	struct submits submits;
	struct background background;
};

/* The pool's, made if need be; NULL: no memory. */
struct engine *engine_of(struct io *io);
/* If the pool has one; nobody is in a call. */
void engine_close(struct io *io);
/* The same, in the child of a fork: it has the parent's settings, and nothing else of it. */
void engine_forked(struct io *io);

/* Which serves now: not AUTO; of a store with submit, RING. */
enum engine_kind engine_kind(const struct engine *e);
/* 0, or an errno: EINVAL; that of a ring that was refused. */
int engine_want(struct engine *e, uint64_t kind);
int engine_set_depth(struct engine *e, uint64_t depth);

struct flight {
	struct engine *engine;
	struct ring *ring;       /* that makes them; */
	struct workers *workers; /* or these; or neither: the calling thread */
	struct workers_call call;
	bool stores; /* one is of a store: */
	struct submit_call submit;
	struct io_run *runs;
	unsigned n, begun, ended;
	unsigned most, limit; /* in flight at once; what that may grow to */
};
/*
 * Make the runs, all of them in flight at once; flight_next then waits for the next that is done,
 * in any order; NULL: all are.  A flight whose runs are waited for one by one (`each`) makes
 * none by the calling thread, if others can; and has FLIGHT_LEAST in flight, that a read which
 * somebody needs meanwhile does not come after all of them: twice as many whenever none is done
 * for FLIGHT_PATIENCE_US, as of a device that is far away.
 */
void flight_begin(struct flight *f, struct io *io, struct io_run *runs, unsigned n, bool each);
struct io_run *flight_next(struct flight *f);
/* Begin no more.  The number of the first that is not made. */
unsigned flight_stop(struct flight *f);
/* The same at once: when it returns each has its result. */
void engine_make(struct io *io, struct io_run *runs, unsigned n);

/* The background's thread, which is to call `above`; NULL and errno: there is none. */
struct attachment *engine_background(struct engine *e, const struct background_above *above);
/* Start a read, which the background finishes. */
void engine_start(struct engine *e, struct io_run *read);

#endif
