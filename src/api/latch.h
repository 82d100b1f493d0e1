/*
 * latch.h - what latches and optimistic reads begin with.
 *
 * Owns nothing: core/latch.h has the words.
 */
#ifndef MPOOL_API_LATCH_H
#define MPOOL_API_LATCH_H

#include "api/call.h"
#include "core/latch.h"

/* In a call: the pool has latches from now on.  0, or an errno. */
int latches_begin(MPOOL *mp);

#endif
