/*
 * core.h - what the threads of a pool share without a lock, put together.
 *
 * Owns nothing.  `struct core` belongs to this process: addresses, and what this process
 * knows.  What processes share is in the states that its parts point to, in the region.
 *
 * The core, and what is between, call the folders above by a table of three functions, and in no other way:
 *
 *   overdue  a wait has lasted for core_timeout(): has a process died that is waited for?
 *   left     a thread has left a call by a filter's longjmp or exception, and has made
 *            another call, or has ended: give back what the first call held
 *   wanted   a page was not written, for this process has no descriptor of its file: ask for it (share/files.h); true: it is worth while to
 *            look again
 */
#ifndef MPOOL_CORE_H
#define MPOOL_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/epoch.h"
#include "core/frame.h"
#include "core/member.h"
#include "core/pin.h"
#include "core/region.h"
#include "core/table.h"
#include "os/probe.h"
#include "os/wait.h"

/* Where deaths are not told (watch.h): after how long a wait checks for dead processes, in milliseconds. */
#define UNWATCHED_MS 50u

struct core;
struct latch_state;
struct core_above {
	/* True: a process had died, and what was waited for may have come. */
	bool (*overdue)(struct core *c);
	void (*left)(struct core *c, struct stripe *s);
	bool (*wanted)(struct core *c, struct stripe *me);
};

struct attached;
struct extent_map;
/*
 * What a program has of a file: first in the pool, for the file that it was opened with, and first in what a file is that
 * is attached (api/pool.h).  In the line are what every call compares first, and what a hit of an attached file needs of it.
 *
 *   serial   the pool's
 *   at_core  the same, for calls that need no more than the core, and no page's number: it begins with this; of an attached
 *            file's handle with HANDLE_ATTACHED, which no pool has: the core is elsewhere
 *   hits     what is looked at beside the flags of a get: HITS_...; of an attached file it says so with the core's barriers
 *   frames   that may be peeked at; 0: look further (api/peek.c)
 *   map      of an attached file: io/extent.h
 */
#define HANDLE_ATTACHED (UINT64_C(1) << 63)
/* Bits that no flags have, of a form that x86 compares and tests in one instruction. */
#define HITS_PLAIN    UINT64_C(0)            /* of the pool's only file; barriers cost nothing */
#define HITS_ATTACHED (~(uint64_t)INT32_MAX) /* of an attached file; the same */
#define HITS_OTHER \
	(UINT64_C(1) << 32) /* barriers are fences, or the pool has, or had, more files, and this is the first */
struct handle {
	uint64_t serial, at_core;
	_Atomic uint64_t hits;
	_Atomic(struct extent_map *) map;
	struct attached *attached; /* NULL: the first file's */
	uint64_t frames;
};

struct core {
	/* Loaded by every hit, and all but written never after open: lines of their own. */
	_Alignas(CACHE_LINE) struct handle handle;
	enum barrier barrier; /* see barrier.h */
	struct tables tables;
	struct epoch epoch;
	struct frames frames;
	struct pins pins;
	struct wait_state *wait;
	struct member_state *members;            /* of a private pool: one */
	struct latch_state *latch;               /* of latch.h */
	_Atomic(_Atomic uint64_t *) latch_words; /* of segment 0, once latches are ready; NULL: not yet */
	const struct core_above *above;
	/* Written now and then. */
	_Alignas(CACHE_LINE) struct region region;
	_Atomic bool deaths_told; /* to this process; false: its waiters must check themselves */
	_Atomic uint64_t forks;   /* that this process came from when it opened or adopted the pool */
	uint32_t place;           /* among the open pools; thread.h */
	uint64_t *view;           /* what thread_views was given; NULL: nothing */
	_Atomic uint64_t peeked;  /* of api/peek.c */
#if MPOOL_CHECK
	_Atomic bool recovered; /* something was, in a private pool: counts may be too high (api/quiet.h) */
#endif
};

/* The core of this process, by the pool's shared states; `member` is this process's number. */
struct core_states {
	struct table_state *table;
	struct epoch_state *epoch;
	struct pin_state *pin;
	struct wait_state *wait;
	struct member_state *members;
	struct latch_state *latch;
};
void core_attach(struct core *c, const struct core_states *st, enum barrier barrier, unsigned member);

/* Hits are not plain any more: see SEVERAL_... of table.h.  Is that to be done? */
void core_told(struct core *c);
static inline bool core_untold(const struct core *c)
{
	/* Relaxed: newest_is, which counts, looks again. */
	return atomic_load_explicit(&c->tables.state->several, memory_order_relaxed) != SEVERAL_NONE &&
	       !atomic_load_explicit(&c->tables.told, memory_order_relaxed);
}

/* membarrier is refused from now on, and no thread is in a call: barriers are fences. */
void core_fence(struct core *c);

/* This process's record. */
static inline struct member *core_member(const struct core *c)
{
	return &c->members->member[c->pins.member];
}

/* How long to sleep for what another process is to do, which may be dead: in milliseconds. */
static inline unsigned core_timeout(const struct core *c)
{
	return !region_shared(&c->region) || atomic_load(&c->deaths_told) ? WAIT_FOR_EVER : UNWATCHED_MS;
}

static inline bool core_overdue(struct core *c)
{
	return c->above->overdue(c);
}

/* Sleep, unless an event came since wait_prepare; after a timeout check for dead processes.  `what`: as there. */
static inline void core_sleep(struct core *c, struct wait_queue *q, uint32_t count, uint64_t what)
{
	MPOOL_PROBE(wait, c, (uint32_t)(what >> 32), (uint32_t)what);
	if (!wait_sleep(c->wait, q, count, core_timeout(c)))
		core_overdue(c);
	MPOOL_PROBE(wait_done, c, (uint32_t)(what >> 32), (uint32_t)what);
	(void)what; /* without probes */
}

/* The claim's owner: claimed -> unclaimed, and -> free. */
static inline void core_unclaim(struct core *c, uint32_t frame, struct frame *fr)
{
	frame_unclaim(fr);
	wait_notify(c->wait, wait_for_frame(frame));
}

static inline void core_free_frame(struct core *c, uint32_t frame, struct frame *fr)
{
	frame_word_free(fr);
	wait_notify(c->wait, wait_for_frame(frame));
}

#endif
