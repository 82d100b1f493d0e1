/*
 * clock.h - which frame next: free frames, the hands' victims, growth and its undoing.
 *
 * Owns the shards, the hints where free and ready frames are, and the flags of the
 * overflow.  The frame's word is the truth about every frame; what stands
 * here only says where to look, and may be wrong or lost at any time.
 *
 * A shard is a range of segment 0's frames with a policy of its own, whose hands
 * choose its victims (policy.h).  A page looks for a frame in the shard of its hash
 * first, in this order:
 *
 *   1. a free one here, or one whose page is ready to go (writeback.h); then one
 *      never used yet, in any shard
 *   2. a victim of this shard's policy: unclaimed, and unpinned as the window shows
 *   3. the same of the other shards
 *   4. the overflow: more pages are pinned than the pool holds
 *
 * Victims are closed in batches, one heavy barrier for all; one is for the
 * caller, the others are ready for whoever needs a frame next.  Threads that
 * evict at once have smaller batches: with many of them, blocked in their writes,
 * a small pool would be claimed from end to end, and have to grow.  What all
 * threads that miss write is the line of a shard, at random by the page's hash.
 *
 * A victim is looked for within bounds (POLICY_STEPS).  Only after a vain look, when
 * all pins are known and the next thing would be to grow, the hands go all the way.
 *
 * While there are frames in the overflow, each thread in need of one first
 * empties what it can of them, so that the pool returns to its capacity as pins
 * are released; segments that are empty go back to the system through the epoch
 * room, all but the first.  Looking at every pin and frame for each page would
 * cost too much while thousands are pinned: after a vain look, an eighth as many
 * frames as there are pins are taken without looking again ("backoff").
 *
 * Nobody waits here for another thread.  A claimed frame is passed by.
 *
 * Two flags say that there may be something to do in the overflow: `overflow_used`, frames
 * of it may be in use; `overflow_reclaimable`, there may be segments to be given back.  Who does
 * something about it clears the flag, then looks, and sets it again if anything is
 * left; who takes a frame, or makes a segment, sets it afterwards.  So it is set
 * whenever there is something, but for an instant.
 *
 * A shared pool's capacity grows: the last shard grows up to its full size, then
 * shards are added, by one thread at a time (the pool's lock, member.h).
 */
#ifndef MPOOL_CLOCK_H
#define MPOOL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/thread.h"
#include "evict/policy.h"
#include "io/io.h"

/* A shard has at least that many frames, so that small pools have one. */
#define SHARD_FRAMES 4096u
#define SHARDS_MAX   64u

struct shard {
	_Alignas(CACHE_LINE) _Atomic int32_t hinted; /* bits set among its free_bits, about */
	_Atomic uint32_t hinted_at;                  /* the word of them to look at first */
	_Atomic uint32_t count;
	uint32_t first;
	struct policy policy;
};

struct clock_state {
	_Atomic bool overflow_used;        /* see above */
	_Atomic bool overflow_reclaimable; /* the same */
	_Atomic uint32_t overflow_next;    /* where to look for a free one of them first */
	_Atomic uint32_t backoff;          /* overflow frames to be taken without another look */
	_Atomic uint32_t shards;
	_Atomic uint32_t batch;  /* victims to a barrier, at the most */
	_Atomic uint32_t budget; /* victims of all threads together */
	struct shard shard[SHARDS_MAX];
};

/* This process's own: what eviction needs of the pool. */
struct evict {
	struct core *core;
	struct io *io;
	struct clock_state *clock; /* in the header */
};

/* Shards of a pool of so many frames. */
uint32_t clock_shards(uint32_t frames);
void clock_init(struct clock_state *c, uint32_t frames);
/* The shards are to cover so many frames, more than they do. */
void clock_cover(struct clock_state *c, uint32_t frames);
/* What the threads of a dead process may have left: flags not set, hints not counted. */
void clock_recover(struct evict *ev);
/* Are the shards as this code makes them, for at most `limit` frames? */
bool clock_sound(const struct clock_state *c, uint32_t limit);

/*
 * A frame for `page`, claimed by `me` and named by no entry.  FRAME_NONE: none,
 * and errno: ENOMEM, or that of the write which failed to make room.
 */
uint32_t frame_alloc(struct evict *ev, struct attachment *a, uint32_t page);
/* The claim's owner gives back a frame that no entry names. */
void frame_free(struct evict *ev, uint32_t frame);

/* The page has come into the frame (wanted once only, if `once`), or leaves it, both claimed by the caller. */
void page_installed(struct evict *ev, uint32_t frame, uint32_t page, bool once);
void page_evicted(struct evict *ev, uint32_t frame, uint32_t page);

/* Empty what can be emptied of the overflow. */
void clock_trim(struct evict *ev, struct stripe *me);

#endif
