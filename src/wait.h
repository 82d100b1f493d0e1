/*
 * wait.h - waiting for a page's read, or for a frame's claim, without a lock.
 *
 * Owns a small array of event counts.  "Page p is loaded, or failed to" is told
 * on the one of p, "nobody claims frame f any more" on the one of f.
 * Whoever waits announces itself, looks once more, and sleeps only if nothing
 * was told since it began to look.  Whoever changes what others may wait for
 * changes it first, then looks whether anybody waits: one load when nobody does.
 *
 *   wait_begin   waiters + 1 (L), count loaded     }  pairs with  { the change (L),
 *   look again                                     }              { waiters loaded
 */
#ifndef MPOOL_WAIT_H
#define MPOOL_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

#include "line.h"

#define WAIT_QUEUES 16

struct wait_queue {
	_Alignas(CACHE_LINE) _Atomic uint32_t count; /* events told; the futex */
	_Atomic uint32_t waiters;
};

struct wait_state {
	struct wait_queue queue[WAIT_QUEUES];
};

static inline struct wait_queue *wait_queue_of(struct wait_state *w, uint32_t page_or_frame)
{
	return &w->queue[page_or_frame % WAIT_QUEUES];
}

/* Announce; then look again, and call exactly one of the two that follow. */
uint32_t wait_begin(struct wait_queue *q);
void wait_cancel(struct wait_queue *q);
void wait_sleep(struct wait_queue *q, uint32_t count);

/* After the change: wake those who wait.  They all look again. */
void wait_tell(struct wait_queue *q);

#endif
