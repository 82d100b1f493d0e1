/*
 * policy.h - which page is worth its frame: hot and cold frames, ages, ghosts.
 *
 * Owns, for each frame of segment 0, its past (four bytes) and whether it is hot, or
 * wanted once only (a bit each); for each shard its time, its hands and the two numbers by which it
 * adapts; and the ghosts, six bytes each, as many as frames: what is remembered of
 * pages that were evicted.
 *
 * Victims are cold frames.  A page earns a hot frame only if it came back sooner
 * than the hot page that it replaces was last used: LIRS's comparison, made with
 * ages instead of a stack.  Why that works: src/README.md.
 *
 *   cold  --a page comes in, and there is room for hot ones: for it if it has a ghost,
 *           or nothing was evicted for it, or there is much room; or it has a ghost, and
 *           the hot hand finds a frame unused for longer-->  hot
 *   hot   --found by the hot hand; or its page leaves-->  cold
 *
 *   once  a cold one whose page was only ever got with MPOOL_ONCE: the first to go.  It
 *           takes no ghost and leaves none, its miss is none in the shard's time, and
 *           nothing is learned from it.  Who finds it marked, so got without the
 *           flag, makes it a page that has just come in, without a ghost
 *
 * Time is counted in the misses of the shard.  A page's past, and its ghost's:
 *
 *   stamp    when it came, or a hand last saw it marked (20 bits, in units of a
 *            256th of the shard: wrong after 4096 times the shard, and no harm)
 *   away     how long it was away before it came, at most 12 % too little (8 bits)
 *   proven   it has been used again: it had a ghost, or the cold hand saw its mark
 *   was hot  it came in hot
 *   ghost    of an empty frame: its last page was evicted and left one
 *
 * Of a shard:
 *
 *   share   the frames that are to be cold.  More when pages that came in hot came
 *           back early, and when all cold ones are claimed; fewer when one comes
 *           back that was hot before, and with each cold victim
 *   trust   how much is to be believed of one early return: going up and down a
 *           range looks like reuse, and is none
 *
 * All of it is hints: a wrong one costs a read that could have been saved, and no
 * more.  So any thread may change any of it, by relaxed operations; nothing here
 * orders anything, and what two threads change at once may be lost.  Only the counts
 * of hot frames and of those wanted once add up: they follow the bits, each changed by one locked operation;
 * a process that dies between bit and count leaves that wrong until policy_recount.
 * A hit writes nothing of this (frame.h has the mark).
 */
#ifndef MPOOL_POLICY_H
#define MPOOL_POLICY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

struct policy {
	_Atomic uint64_t now; /* misses of the shard */
	_Atomic int32_t hot;  /* hot frames */
	_Atomic int32_t once; /* frames of pages wanted once only */
	_Atomic uint32_t share;
	_Atomic int32_t trust;
	_Atomic uint32_t cold_hand, hot_hand, once_hand; /* frames of the shard to look at next */
	_Atomic uint32_t random;
	_Atomic uint32_t ghosts; /* those of so many frames have memory (of a shared pool) */
};

/* The frames of a shard. */
struct policy_of {
	struct policy *p;
	const struct frames *fs;
	uint32_t first, count;
	uint32_t used; /* of these; the others were never used */
};

/*
 * What choosing one victim may look at: words of bits, of 64 frames each, and frames.
 * A third of it is for each kind: cold, hot, wanted once.
 */
#define POLICY_STEPS 512u

/* How a victim is looked for. */
struct policy_search {
	bool (*skip)(const void *of, uint32_t frame, uint32_t word); /* NULL: none is */
	const void *of;
	bool everywhere; /* look at all of the shard if need be, not at POLICY_STEPS */
	bool once;       /* pages wanted once only before others */
	uint32_t steps;  /* done by the last policy_victim */
};

/*
 * The page has come into frame `f` of the shard `o`, or leaves it; the caller has the
 * frame claimed.  Its ghost is, or will be, in the shard `home`.  `once`: it is wanted once only.
 */
void policy_enter(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page, bool once);
void policy_leave(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page);
/* There is no page in the frame, and none to remember. */
void policy_drop(const struct policy_of *o, uint32_t f);

/* The frame that is to go next, unclaimed just now, or free.  FRAME_NONE: none was found. */
uint32_t policy_victim(const struct policy_of *o, struct policy_search *search);
/* How many may be chosen at once, of `most`: were all cold frames, a page that came in last would go with them. */
uint32_t policy_batch(const struct policy_of *o, uint32_t most);

/* After a death: count the hot frames, and those wanted once, anew. */
void policy_recount(const struct policy_of *o);

#endif
