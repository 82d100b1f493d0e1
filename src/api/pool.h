/*
 * pool.h - what a pool is made of: the handle that mpool_open returns.
 *
 * The handle is this process's own: addresses, descriptor, filters.  What
 * processes that share a pool share is `header`, in the region, and whatever else
 * is in the region's chunks.
 */
#ifndef MPOOL_POOL_H
#define MPOOL_POOL_H

#include "evict/clock.h"
#include "io/doubt.h"
#include "core/epoch.h"
#include "core/frame.h"
#include "share/member.h"
#include "mpool.h"
#include "io/pageio.h"
#include "core/pin.h"
#include "core/region.h"
#include "share/share.h"
#include "core/table.h"
#include "core/thread.h"
#include "os/wait.h"

/* Write buffers kept: for as many threads to write back at once without asking the system for memory. */
#define SPARES 4u

struct header {
	/* Loaded by every hit, written seldom. */
	_Alignas(CACHE_LINE) struct table_state table;
	struct epoch_state epoch;
	_Alignas(CACHE_LINE) struct pageio_state pageio;
	_Alignas(CACHE_LINE) struct frame_state frame;
	struct pin_state pin;
	struct wait_state wait;
	struct clock_state clock; /* the last of a private pool's, with as many shards as it needs */
	struct doubt_state doubt;
	struct member_state members;
	struct region_state region;
};

struct MPOOL {
	/* Loaded by every hit, never written after open: lines of their own. */
	_Alignas(CACHE_LINE) uint64_t serial;
	enum barrier barrier; /* see barrier.h */
	struct header *header;
	struct member_state *members; /* of a private pool: one */
	struct doubt_state *doubt;
	struct tables tables;
	struct epoch epoch;
	struct frames frames;
	struct pins pins;
	struct pageio io;
	/* Written now and then. */
	_Alignas(CACHE_LINE) _Atomic(void *) spare[SPARES]; /* write buffers that nobody uses just now, or NULL */
	struct region region;
	struct sharing sharing; /* of a shared pool */
	_Atomic uint64_t forks; /* that this process came from when it opened or adopted the pool */
	uint32_t place;         /* among the open pools; thread.h */
};

/* The rooms of a pool whose header is there, for this process. */
void pool_rooms(MPOOL *mp, struct header *h, enum barrier barrier, unsigned member);

/* membarrier is refused from now on, and no thread is in a call: barriers are fences. */
void pool_fence(MPOOL *mp);

/* How long to sleep for something that another process may be dead to give. */
static inline unsigned pool_patience(MPOOL *mp)
{
	return !region_shared(&mp->region) || atomic_load(&mp->sharing.watch.awake) ? WAIT_FOR_EVER : UNWATCHED_MS;
}

/* The claim's owner: claimed -> unclaimed, and -> free. */
static inline void pool_unclaim(MPOOL *mp, uint32_t frame, struct frame *fr)
{
	frame_unclaim(fr);
	wait_tell(&mp->header->wait, wait_for_frame(frame));
}

static inline void pool_free_frame(MPOOL *mp, uint32_t frame, struct frame *fr)
{
	frame_free(fr);
	wait_tell(&mp->header->wait, wait_for_frame(frame));
}

#endif
