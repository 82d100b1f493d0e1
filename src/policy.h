/*
 * policy.h - which page is worth its frame: hot and cold frames, and ghosts.
 *
 * Owns, for each frame of segment 0, its past (four bytes) and whether it is hot
 * (a bit), or wanted once only (another); for each shard its time, hands, and the two numbers by which it adapts;
 * and the ghosts: what is remembered of pages that were evicted, six bytes each, as
 * many as frames.
 *
 * All of it is hints.  A wrong one costs a read that could have been saved, and no
 * more; so every word is changed by plain or relaxed operations, by any thread, and
 * nothing here orders anything.  A hit writes the frame's mark, if it is off, and
 * nothing else (frame.h).
 *
 * A page earns a hot frame only if it came back sooner than the hot page that it
 * replaces was last used: LIRS's comparison, made with ages instead of a stack.
 * Time is counted in the shard's misses.
 *
 *   past   stamp (20 bits: when the page came, or the hand last saw it marked, in
 *          units of a 256th of the shard), rp (8 bits: how long it stayed away the
 *          time before, logarithmic), proven (a reuse has been seen), was hot (it
 *          came in hot)
 *   ghost  the same, and 16 bits of the page's hash; in buckets of eight
 *
 * Pages wanted once only (MPOOL_ONCE) have a bit of their own as long as nobody has
 * got them otherwise: they are cold, the first to go, leave no ghost and take none, and
 * nothing is learned from them; their misses are not counted in the time either.  Who
 * finds one marked makes it a page that has just come.
 *
 *   share  the frames that are to be cold, in twentieths: grows when pages that
 *          were let in hot come back early, shrinks when cold ones that were
 *          proven go unused
 *   trust  how much one early return is to be believed, in hundredths: going up
 *          and down a range looks like reuse, and is none
 */
#ifndef MPOOL_POLICY_H
#define MPOOL_POLICY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

#define GHOST_BUCKET 8u

struct policy {
	_Atomic uint32_t now;      /* misses of the shard, modulo 2^32 */
	_Atomic uint32_t hot;      /* hot frames, about */
	_Atomic uint32_t share;    /* in 1/SHARE_UNIT frames */
	_Atomic int32_t trust;     /* in 1/TRUST_UNIT */
	_Atomic uint32_t once;     /* frames of pages wanted once only, about */
	_Atomic uint32_t cold_hand, hot_hand, once_hand;
	_Atomic uint32_t random;
	_Atomic uint32_t ghosts; /* those of so many frames have memory (of a shared pool) */
};

/* The frames that a policy is about. */
struct policy_of {
	struct policy *p;
	const struct frames *fs;
	uint32_t first, count; /* the shard's */
	uint32_t used;         /* of these; the rest was never used */
};

/*
 * The page has come into frame `f`, of shard `o`; `home`: the shard that its ghost would be in;
 * `once`: it is wanted once only.
 */
void policy_enter(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page, bool once);
/* It leaves. */
void policy_leave(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page);

/* Victims to a barrier, at the most. */
uint32_t policy_batch(const struct policy_of *o, uint32_t most);

/*
 * The frame that is to go next, FRAME_NONE: none could be found.  `once`: pages wanted once only
 * before others.  `looked`: frames looked at.
 */
typedef bool frame_spared(const void *of, uint32_t f, uint32_t word);
uint32_t policy_victim(const struct policy_of *o, bool once, frame_spared *spared, const void *of, uint32_t *looked);

/* Count what cannot be counted on after a death. */
void policy_recount(const struct policy_of *o);

#endif
