/*
 * engine.h - how a pool has many reads in flight at once.
 *
 * Owns the pool's rings and reading threads, from the first call that needs them on.  What
 * serves is
 *
 *   plain    the calling thread's preadv(2), one after the other
 *   ring     io_uring: each call that waits for its reads has a ring to itself meanwhile
 *   workers  threads
 *
 * Unless it is told which (mpool_tune), a private pool has a ring, and workers from the first
 * refusal on; a shared one has workers, never a ring (workers.h tells why).
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
#include "io/read.h"
#include "io/ring.h"
#include "io/workers.h"

enum engine_kind { ENGINE_AUTO, ENGINE_PLAIN, ENGINE_RING, ENGINE_WORKERS, ENGINE_KINDS };

/* Reads in flight, unless it is tuned; and at the most. */
#define ENGINE_DEPTH     64u
#define ENGINE_DEPTH_MAX 1024u
/* Rings that wait for a call that needs one: so many threads read at once without making more. */
#define ENGINE_RINGS 4u

struct engine {
	const struct pageio *io;
	bool shared;             /* the pool is */
	_Atomic uint32_t wanted; /* enum engine_kind */
	_Atomic uint32_t depth;
	_Atomic int refused; /* errno with which a ring was; 0: none was */
	_Atomic(struct ring *) rings[ENGINE_RINGS];
	_Atomic(struct workers *) workers;
	struct background background;
};

/* The pool's, made if need be; NULL: no memory. */
struct engine *engine_of(struct io *io);
/* If the pool has one; nobody is in a call. */
void engine_close(struct io *io);
/* The same, in the child of a fork: it has the parent's settings, and nothing else of it. */
void engine_forked(struct io *io);

/* Which serves now: not AUTO. */
enum engine_kind engine_kind(const struct engine *e);
/* 0, or an errno: EINVAL; that of a ring that was refused. */
int engine_want(struct engine *e, uint64_t kind);
int engine_set_depth(struct engine *e, uint64_t depth);

/* Make the reads, all of them in flight at once; when it returns each has its result. */
void engine_read(struct engine *e, struct io_read *reads, unsigned n);

/* The background's thread, which is to call `above`; NULL and errno: there is none. */
struct attachment *engine_background(struct engine *e, const struct background_above *above);
/* Start a read, which the background finishes. */
void engine_start(struct engine *e, struct io_read *read);

#endif
