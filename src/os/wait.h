/*
 * wait.h - waiting for a page's read, or for a frame's claim, without a lock.
 *
 * Owns a small array of event counts.  "Page p is loaded, or failed to" is told
 * on the one of p, "nobody claims frame f any more" on the one of f, and "nobody
 * syncs any more" on one.
 * Whoever waits announces itself, looks once more, and sleeps only if nothing
 * was told since it began to look.  Whoever changes what others may wait for
 * changes it first, then looks whether anybody waits: one load when nobody does.
 *
 *   wait_prepare   count loaded, waiting <-L-   }  pairs with  { the change (L), waiting loaded,
 *   look again                                }              { waiting <- 0, count + 1 (L)
 *
 * The word `waiting` also says for what: events of anything else wake nobody.
 * With more threads than cores a reader may be preempted for milliseconds, and
 * those who wait for it must not wake up at every other page's event.
 *
 *   somebody waits (1 bit), mixed (1 bit: for different things), kind and number
 *   (33 bits: of the first); 0: nobody waits.
 *
 * It counts nobody: who wakes the sleepers clears the word, and all of them look
 * again, and announce themselves again if they must.  So a waiter that finds that
 * it need not sleep, or dies, leaves at most one wake-up in vain behind.  Who dies
 * while it wakes leaves sleepers that nobody knows of: after a death all are woken.
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

/* The turn to sync; no frame has that number. */
static inline uint64_t wait_for_sync(void)
{
	return wait_for_frame(UINT32_MAX);
}

struct wait_queue {
	_Alignas(CACHE_LINE) _Atomic uint64_t waiting;
	_Atomic uint32_t count; /* events told; the futex */
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

/* Announce; then look again, and sleep only if that is in vain. */
uint32_t wait_prepare(struct wait_queue *q, uint64_t what);
/* False: nothing was told in `patience` milliseconds. */
bool wait_sleep(const struct wait_state *w, struct wait_queue *q, uint32_t count, unsigned patience);

/* After the change: wake those who wait for it.  They all look again. */
void wait_notify(struct wait_state *w, uint64_t what);
/* After a change that anybody may wait for. */
void wait_notify_all(struct wait_state *w);
/*
 * After a death: who died while it woke others may have wiped out that they wait, and
 * never come to wake them.
 */
void wait_wake_all(struct wait_state *w);

#endif
