/*
 * where.h - which call took a pin that is never put.
 *
 * Owns, in builds that check themselves (os/check.h, 2), and when the environment has MPOOL_PINS
 * as the pool is opened: for each slot of this process's stripes, where mpool_get, mpool_getv or
 * mpool_new returned to when the slot's pin was last made.  Whose slot it is writes it; mpool_close
 * tells those whose pin is there still.  Nothing here orders anything.
 */
#ifndef MPOOL_WHERE_H
#define MPOOL_WHERE_H

#include "core/core.h"

#if MPOOL_CHECK > 1

struct where_block;
struct where {
	_Atomic(struct where_block *) *block; /* NULL: it was not asked for */
};

extern _Thread_local const void *where_from;

/* In a public call that pins: its caller is who takes the pin. */
#define WHERE_BEGIN() (where_from = __builtin_return_address(0))

void where_open(struct where *w);
/* The calling thread has just made a pin in its slot. */
void where_took(const struct where *w, _Atomic uint64_t *slot);
/* `ours`: the pool is this process's, and so the pins. */
void where_close(struct where *w, const struct core *c, bool ours);

#else

#define WHERE_BEGIN()              ((void)0)
#define where_open(w)              ((void)0)
#define where_took(w, slot)        ((void)0)
#define where_close(w, core, ours) ((void)(ours))

#endif

#endif
