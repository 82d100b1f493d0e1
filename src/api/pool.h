/*
 * pool.h - what a pool is made of: the handle that mpool_open returns.
 *
 * The handle is this process's own: addresses, descriptor, filters, settings, threads.  What
 * processes that share a pool share is the header (share/header.h), in the region, and
 * whatever else is in the region's chunks.
 */
#ifndef MPOOL_POOL_H
#define MPOOL_POOL_H

#include "api/where.h"
#include "core/core.h"
#include "evict/cleaner.h"
#include "evict/clock.h"
#include "io/io.h"
#include "mpool.h"
#include "mpool_peek.h"
#include "os/later.h"
#include "share/header.h"
#include "share/sharing.h"

/* The calls of mpool.h.  None calls another by that name, which may be somebody else's in a program. */
#define PUBLIC __attribute__((visibility("default")))

struct failed;
struct prefetch;

struct MPOOL {
	struct core core; /* first: what a hit needs */
	struct io io;
	struct evict evict;
	struct cleaners cleaners;
	struct sharing sharing;
	struct mpool_view view, no_view;     /* of peek.c */
	_Atomic uint32_t readahead;          /* pages at the most; ahead.h */
	_Atomic(struct prefetch *) prefetch; /* NULL: nothing was prefetched so far */
	_Atomic(struct failed *) failed;     /* the same; failed.h */
	later_list later;                    /* what prefetches do not need any more */
#if MPOOL_CHECK > 1
	struct where where;
#endif
};

/* The handle whose core that is. */
static inline MPOOL *pool_of(struct core *c)
{
	return (MPOOL *)(void *)((char *)c - offsetof(MPOOL, core));
}

/* Set the pointers between its parts, and nothing else. */
void pool_link(MPOOL *mp);
/* It is made, or joined: what mpool_peek.h looks at. */
void peek_open(MPOOL *mp);

#endif
