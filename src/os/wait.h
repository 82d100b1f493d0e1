/*
 * wait.h - waiting for a page's read, or for a frame's claim, without a lock.
 *
 * Owns a small array of event counts.  The events: page p is loaded, or its read failed
 * (on the queue of p); frame f is not claimed any more, or its latch is free, or not shared any more (on the
 * queue of f); no thread syncs, or cuts the file, any more (on one queue each).  A waiter announces itself, checks the condition once more, and
 * sleeps only if no event came since it announced itself.  A thread that changes what others
 * may wait for makes the change first, then loads whether anybody waits: one load when
 * nobody does.
 *
 *   wait_prepare   count loaded, waiting <-L-   }  pairs with  { the change (L), waiting loaded,
 *   check again                                 }              { waiting <- 0, count + 1 (L)
 *
 * The word `waiting` also says for which event: other events of the queue wake nobody.
 * With more threads than cores a reader may be preempted for milliseconds, and those that
 * wait for it must not wake up at every other page's event.
 *
 *   somebody waits (1 bit), mixed (1 bit: for different events), kind and number
 *   (34 bits: of the first); 0: nobody waits.
 *
 * The word does not count the waiters: a thread that wakes them clears it, and all of them
 * check again, and announce themselves again if they must.  So a waiter that does not sleep
 * after all, or dies, causes at most one wake-up too many.  A process that dies while it
 * wakes others may leave sleepers that the word does not show: after a death all are woken.
 */
#ifndef MPOOL_WAIT_H
#define MPOOL_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/line.h"

#define WAIT_QUEUES 64

/* What is waited for. */
static inline uint64_t wait_for_page(uint32_t page)
{
	return page;
}
static inline uint64_t wait_for_frame(uint32_t frame)
{
	return (uint64_t)1 << 32 | frame;
}

static inline uint64_t wait_for_latch(uint32_t frame)
{
	return (uint64_t)2 << 32 | frame;
}

/* The turn to sync; no frame has that number. */
static inline uint64_t wait_for_sync(void)
{
	return wait_for_frame(UINT32_MAX);
}

/* Others that are about to sync; nor has any frame that one. */
static inline uint64_t wait_for_company(void)
{
	return wait_for_frame(UINT32_MAX - 1);
}

/* The file is not being cut any more; nor that. */
static inline uint64_t wait_for_cut(void)
{
	return wait_for_frame(UINT32_MAX - 2);
}

/* The pool is not being made larger or smaller any more; nor that. */
static inline uint64_t wait_for_limit(void)
{
	return wait_for_frame(UINT32_MAX - 3);
}

/* The role of the catalog is free, or a file is closed; nor that. */
static inline uint64_t wait_for_catalog(void)
{
	return wait_for_frame(UINT32_MAX - 4);
}

struct wait_queue {
	_Alignas(CACHE_LINE) _Atomic uint64_t waiting;
	_Atomic uint32_t count; /* of events; the futex */
};

struct wait_state {
	struct wait_queue queue[WAIT_QUEUES];
	bool shared; /* by processes; set before the pool is used */
};

static inline struct wait_queue *wait_queue_of(struct wait_state *w, uint64_t what)
{
	return &w->queue[what % WAIT_QUEUES];
}

/* How long to sleep at a time, in milliseconds. */
#define WAIT_FOR_EVER 0u

/* Announce; then check the condition again, and sleep only if it does not hold. */
uint32_t wait_prepare(struct wait_queue *q, uint64_t what);
/* False: no event came within `timeout_ms`; WAIT_FOR_EVER: no limit. */
bool wait_sleep(const struct wait_state *w, struct wait_queue *q, uint32_t count, unsigned timeout_ms);

/* The same, for a time that is not much. */
bool wait_sleep_ns(const struct wait_state *w, struct wait_queue *q, uint32_t count, uint64_t timeout_ns);

/* After the change: wake those that wait for it.  They all check again. */
void wait_notify(struct wait_state *w, uint64_t what);
/* After a change for which there may be waiters on any queue. */
void wait_notify_all(struct wait_state *w);
/*
 * After a death: wake all sleepers, also those that `waiting` does not show.  The dead process
 * may have cleared it and not woken them.
 */
void wait_wake_all(struct wait_state *w);

#endif
