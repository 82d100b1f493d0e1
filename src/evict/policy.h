/*
 * policy.h - the replacement policy: hot and cold frames, ages, ghosts.
 *
 * Owns, for each frame of segment 0, its past (four bytes), and two bits: whether it is hot,
 * and whether its page is wanted once only; for each shard its time, its hands and the two
 * numbers that adapt (share, trust); and the ghosts, six bytes each, as many as frames: the
 * pasts of pages that were evicted.
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
 *   once  a cold frame whose page was only ever got with MPOOL_ONCE, or was brought in
 *           ahead of need and not got yet: evicted before any
 *           other.  The page takes no ghost and leaves none, its miss does not count in
 *           the shard's time, and nothing adapts to it.  A hand that finds the frame
 *           marked, so got without the flag, treats the page as one that has just come
 *           in, without a ghost
 *
 * Time is counted in the misses of the shard.  A page's past, and its ghost's:
 *
 *   stamp    when it came, or a hand last saw it marked (20 bits, in units of a
 *            256th of the shard: wrong after 4096 times the shard, and no harm)
 *   away     how long it was out of memory before it came, at most 12 % too little (8 bits)
 *   proven   it has been used again: it had a ghost, or the cold hand saw its mark
 *   was hot  it came in hot
 *   ghost    of an empty frame: its last page was evicted and left one
 *
 * Of a shard:
 *
 *   share   the frames that are to be cold.  More when pages that came in hot came
 *           back early, and when all cold ones are claimed; fewer when one comes
 *           back that was hot before, and with each cold victim
 *   trust   whether one early return counts as reuse: a scan that goes up and down a
 *           range makes pages return early once, and not again
 *
 * All of it is hints: a wrong one costs a read that could have been saved, and no more.
 * So any thread may change any of it, by relaxed operations; nothing here orders other
 * stores, and of two concurrent changes one may be lost.  Only the counts of hot frames
 * and of those wanted once are exact: each change of a bit is one locked operation, and
 * the thread that made it changes the count.  A process that dies between the two leaves
 * the count wrong until policy_recount.  A hit writes nothing of this (frame.h has the
 * mark).
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
	_Atomic uint32_t ghosts; /* for so many of them there is memory (of a shared pool) */
};

/* The frames of a shard. */
struct policy_of {
	struct policy *p;
	const struct frames *fs;
	uint32_t first, count;
	uint32_t used; /* of these; the others were never used */
};

/*
 * Words of bits, of 64 frames each, and frames that the choice of one victim may look at,
 * in all.  A third of them is for each kind: cold, hot, wanted once.
 */
#define POLICY_STEPS 512u

/* How a victim is looked for. */
struct policy_search {
	bool (*skip)(const void *of, uint32_t frame, uint32_t word); /* is the frame to be skipped?  NULL: none is */
	const void *of;
	bool everywhere; /* search all of the shard if need be, not only POLICY_STEPS */
	bool once;       /* pages wanted once only before others, */
	bool only_once;  /* and no others */
	bool gentle;     /* no hot page that was used since a hand has passed it, though there be no other */
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

/* The frame to evict next, unclaimed when it was looked at, or free.  FRAME_NONE: none was found. */
uint32_t policy_victim(const struct policy_of *o, struct policy_search *search);
/*
 * How many victims to choose at once, at most `most`: no more than are cold, for hot pages are not to go for those
 * that come in meanwhile.  A page that is used after it was chosen is rescued, and stays.
 */
uint32_t policy_batch(const struct policy_of *o, uint32_t most);
/* Frames of pages wanted once only, about. */
uint32_t policy_once(const struct policy_of *o);

/* After a death: count the hot frames, and those wanted once, anew. */
void policy_recount(const struct policy_of *o);

#endif
