/*
 * clock.h - a frame for a page: free frames, victims, growth beyond the capacity and back.
 *
 * Owns the shards, the hints (bits that say where free and evictable frames are), and the
 * flags of the overflow.  The frame's word is the truth about every frame; what is kept
 * here only says where to look, and may be wrong or lost at any time.
 *
 * A shard is a range of segment 0's frames with a policy of its own, whose hands choose
 * its victims (policy.h).  frame_alloc looks for a frame in the shard of the page's hash
 * first, in this order:
 *
 *   1. a free frame of this shard; a frame never used yet, or a free one, of any shard; one of this shard whose
 *      page is evictable (core/window.h)
 *   2. a victim of this shard's policy: unclaimed, and unpinned as the window shows
 *   3. the same of the other shards
 *   4. a frame of the overflow: more pages are pinned than the pool holds
 *
 * Victims are closed in batches, with one heavy barrier for all of them.  The caller takes
 * one; the others stay evictable, for whichever thread needs a frame next.  When several
 * threads evict at once their batches are smaller: otherwise many of them, blocked in their
 * writes, would have all frames of a small pool claimed, and it would have to grow.  The
 * only line that all missing threads write is that of a shard, chosen by the page's hash.
 *
 * The search for a victim is bounded (POLICY_STEPS).  Only when it found none, and the next
 * step would be to grow, it is repeated over all frames, with the set of pinned frames
 * known (struct pinned_set).
 *
 * While frames of the overflow are in use, each thread that needs a frame first evicts
 * what it can of them, so that the pool returns to its capacity as pins are released.
 * Empty segments are retired (epoch.h), all but the first.  Scanning all pins and frames
 * for each miss would cost too much while thousands are pinned: so after a search that
 * found nothing, an eighth as many overflow frames as there are pins are taken without
 * another search (`backoff`).
 *
 * No thread waits here for another.  Claimed frames are skipped.  While a thread is in the
 * program's out or before_write (io/hooks.h), others take clean pages first, wherever they are.
 *
 * But where this process has cleaners (cleaner.h), a thread writes nothing here: it takes what
 * is free or evictable, of any shard; then waits in the line (demand.h) while a cleaner's write
 * is in flight; then takes a clean page that would have stayed, and only then lets the pool
 * grow.  The overflow is the cleaners' to evict.
 *
 * Two flags say that the overflow may need work: `overflow_used`, some of its frames may
 * be in use; `overflow_reclaimable`, there may be segments to retire.  A thread that does
 * the work clears the flag, looks at the frames or segments, and sets the flag again if
 * any are left; a thread that takes a frame, or makes a segment, sets it afterwards.  So
 * the flag is set whenever there is work, but for an instant.
 *
 * The capacity is changed by one thread at a time, whose role `limiting` is; it waits for nothing meanwhile.  Where a shared pool's
 * grows, the last shard grows up to its full size, then shards are added.
 * Where it is lowered, shards end, or become smaller; raised again, they are as they were: where a shard begins never changes.
 * What is in the frames behind them, the tail, is evicted then and there, but what is pinned or latched: that
 * is left to the misses and syncs that follow, each of which looks at some of the tail, as long as there is one (`tail_used`).
 * From its end the tail is given back to the system, a piece at a time, each with the role: who needs a frame, and does not get that, lets
 * it be.  No policy, and no hint, knows its frames; a thread that was
 * late, and takes one, sees that (handed_out), and says that there is a tail.  Where pages of a shared pool may be looked at without a pin
 * the tail's memory is kept: who is late may read it, and where the system has none left to give that ends its process.
 *
 * A role, and a piece, of a process that dies: recovery ends them (clock_recover_claims, clock_recover).
 */
#ifndef MPOOL_CLOCK_H
#define MPOOL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/thread.h"
#include "evict/demand.h"
#include "evict/policy.h"
#include "io/io.h"

/* A shard has at least that many frames, so that small pools have one. */
#define SHARD_FRAMES 4096u
#define SHARDS_MAX   64u

struct shard {
	/* Read by every miss, of any shard: on a line that only a pool that grows writes. */
	_Alignas(CACHE_LINE) _Atomic uint32_t count;
	_Atomic uint32_t most;                       /* the most frames it ever had: the next one's begin there */
	uint32_t first;                              /* stored once */
	_Alignas(CACHE_LINE) _Atomic int32_t hinted; /* about how many of its free_bits are set */
	_Atomic uint32_t hinted_at;                  /* the word of them to search first */
	_Atomic int32_t spare;                       /* about how many of these are of free frames */
	struct policy policy;
};

struct clock_state {
	_Atomic bool overflow_used;        /* see above */
	_Atomic bool overflow_reclaimable; /* the same */
	_Atomic uint32_t overflow_next;    /* where to search for a free one first */
	_Atomic uint32_t backoff;          /* overflow frames that may be taken without another search */
	_Atomic uint32_t shards;
	_Atomic uint32_t made;      /* there were once; those from `shards` on have no frames now */
	_Atomic bool spare;         /* a shard may have free frames that have hints */
	_Atomic bool lowered;       /* the capacity was, once */
	_Atomic bool tail_used;     /* frames behind the capacity may be in use */
	_Atomic uint32_t tail_at;   /* where they are looked at next */
	_Atomic uint32_t limiting;  /* number of the stripe that changes the capacity + 1; 0: none */
	_Atomic uint64_t ahead;     /* pages that were brought in ahead of need, */
	_Atomic uint64_t wasted;    /* and those of them that left unused */
	_Atomic uint64_t cleaned;   /* frames that were made evictable ahead of need, */
	_Atomic uint64_t waits;     /* and how often a thread waited for one (demand.h) */
	_Atomic uint64_t forgotten; /* pages that mpool_truncate and mpool_invalidate took out */
	_Atomic uint32_t batch;     /* victims to a barrier, at the most */
	_Atomic uint32_t budget;    /* victims of all threads together */
	struct shard shard[SHARDS_MAX];
};

/* This process's own: what eviction needs of the pool. */
struct evict {
	struct core *core;
	struct io *io;
	struct clock_state *clock; /* in the header */
	/* This process's cleaners and who waits for them; and victims that they are about to make evictable. */
	struct demand demand;
	_Atomic int32_t coming[SHARDS_MAX];
};

struct victim;

/* Shards of a pool of so many frames. */
uint32_t clock_shards(uint32_t frames);
void clock_init(struct clock_state *c, uint32_t frames);
/* After a death: before the dead one's claims are dropped, for it may have been giving memory back. */
void clock_recover_claims(struct evict *ev, stripe_test *dead, void *of);
/* ... and after: set the flags and count the hints, which the dead process may not have done. */
void clock_recover(struct evict *ev, stripe_test *dead, void *of);
/*
 * The capacity is to be `frames`, from now on; what has no room any more is evicted, and memory given
 * back.  0; ENOMEM: so many were not asked for when the pool was opened; ENOSPC: there is no memory.  A write that fails
 * leaves its page to later evictions.
 */
int clock_limit(struct evict *ev, struct stripe *me, uint32_t frames);
/*
 * By who joins a shared pool, and is in no call, but counts as busy: `frames` are asked for, and the capacity is to be that at
 * least.  0; ENOMEM: there are no addresses; ENOSPC; ETIMEDOUT: after `waits` waits somebody else changes it still.
 */
int clock_ask(struct evict *ev, const struct stripe *me, uint32_t frames, unsigned waits);
/* Are the shards as this code makes them, for at most `limit` frames? */
bool clock_sound(const struct clock_state *c, uint32_t limit);

/*
 * A frame for `page`, claimed by the calling thread and named by no entry.  FRAME_NONE and
 * errno: ENOMEM, or that of the write of a victim that failed.
 *
 * `waits`: it may wait for a cleaner, where there are any, and for the program's hooks in a write; not, if it has
 * begun loads that others may wait for, who are to come in: then the pool grows.
 */
uint32_t frame_alloc(struct evict *ev, struct attachment *a, uint32_t page, bool waits);
/*
 * The same for a page that nobody has asked for, of frames that cost nothing: it writes no page,
 * the pool does not grow, and neither a hot page nor one that was brought in ahead of need and
 * not used yet makes room.  FRAME_NONE: there is none.
 */
uint32_t frame_alloc_ahead(struct evict *ev, struct attachment *a, uint32_t page);
/* Such a page was brought in. */
void ahead_count(struct evict *ev);
/* How many were, and how many of them left unused. */
void ahead_counts(const struct evict *ev, uint64_t *ahead, uint64_t *wasted);
/*
 * Make up to `n` frames evictable, ahead of need.  Dirty pages are written, a batch in the
 * file's order.  How many were; *error: errno of the first write that failed, after which none is tried.
 */
uint32_t clock_clean(struct evict *ev, struct stripe *me, uint32_t n, int *error);
/*
 * The same, by a cleaner: each shard is to have its part of what `next` evictions take, free or
 * evictable.  *made: how many were made.  True: some were, and there is little again.
 */
bool clock_ahead(struct evict *ev, struct stripe *me, uint32_t next, uint32_t *made, int *error);
/* A get has rescued the page of the frame, which so is no evictable one. */
void frame_rescued(struct evict *ev, uint32_t frame);
/* By the claim's owner, of a frame that no entry names. */
void frame_free(struct evict *ev, uint32_t frame);

/* The page has come into the frame (wanted once only, if `once`), or leaves it, both claimed by the caller. */
void page_installed(struct evict *ev, uint32_t frame, uint32_t page, bool once);
void page_evicted(struct evict *ev, uint32_t frame, uint32_t page);
/* It leaves it, and not to make room. */
void page_forgotten(struct evict *ev, uint32_t frame);
/*
 * The entry of a clean victim that was found unpinned is freed: its frame is claimed still, and no entry names it.  False: it
 * was rescued, or an fsync has just failed and it is dirty; its entry is open.
 */
bool victim_take_out(struct evict *ev, struct stripe *me, const struct victim *v);

/* Evict what can be evicted of the overflow, and retire its empty segments. */
void clock_trim(struct evict *ev, struct stripe *me);

#endif
