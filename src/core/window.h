/*
 * window.h - the closed window: which of a batch of frames are unpinned.
 *
 * Owns nothing.  A window is a thread's batch of victims: frames that it has claimed, and
 * whose entries it has closed.  One heavy barrier and one scan of the stripes then tell
 * for all of them which are pinned:
 *
 *   claim (L, frame) -> close (L, entry) -> barrier_heavy -> scan -> for each:
 *     pinned             reopen, unclaim
 *     unpinned, clean    evictable: the entry stays closing, and the claim is dropped; whoever
 *                        needs a frame next claims it, and frees the entry (L)
 *     unpinned, dirty    dirty off, writing on (one L) -> copy -> closing still (L);
 *                        rescued meanwhile: writing off, dirty on, forget the copy;
 *                        else write the copy -> writing off, unsynced on -> evictable:
 *                        the entry was closing all the while
 *
 * (No barrier while the pool has one user: pin.h.)
 *
 * Why it is correct: a get pins by a store to its slot and then loads the entry again.  If
 * that load came before our closing, the barrier makes its store visible to our scan.  If
 * it came after, it saw "closing", and the get must make the entry resident (rescue it),
 * whereupon our locked step on the entry fails.  Only the holder of the claim closes, so
 * an entry that is still closing was never rescued.
 *
 * Sync reopens the entry (L) once the copy is made, and frees nothing.
 *
 * A thread stopped anywhere in here keeps the frames that it has claimed from being used
 * for other pages; their own pages can be got all the while.
 */
#ifndef MPOOL_WINDOW_H
#define MPOOL_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

/* Victims of one barrier.  It costs 10 us, and each victim 60 bytes of stack. */
#define WINDOW_MAX 128u
/* Places of the map a victim: it is never full. */
#define WINDOW_SPREAD 4u

enum { VICTIM_SHARED = 1, VICTIM_EXCLUSIVE = 2 };

struct victim {
	uint32_t frame;
	uint32_t page;
	struct frame *fr;
	struct table_ref entry;
	uint32_t pins;   /* found by the scan; UINT32_MAX: as many, or more */
	uint32_t tries;  /* gets before their re-check */
	uint32_t peeks;  /* of MPOOL_IGNOREPIN */
	uint32_t own;    /* of these, pins and tries of this process */
	uint8_t latched; /* by whomever, without a pin too: VICTIM_... */
};

struct window {
	unsigned n;
	struct victim victim[WINDOW_MAX];
	unsigned places;                         /* of the map that are in use */
	uint8_t map[WINDOW_SPREAD * WINDOW_MAX]; /* frame -> victim + 1, open addressing; filled by the scan */
};

/* Victims that are clean, unpinned and closing: their frames may be emptied.  Claimed still. */
struct evictable {
	unsigned n;
	struct victim *victim[WINDOW_MAX];
};

/*
 * Add a frame that the caller has claimed, and close its entry, if it is not
 * closing already (evictable).  Fails, and drops the claim, if the frame has no entry (it is being
 * emptied or filled).
 */
bool window_add(struct core *c, struct window *w, uint32_t frame);
/* The barrier, and the scan: sets each victim's pins, and whether it is latched. */
void window_scan(struct core *c, const struct stripe *me, struct window *w);
static inline bool victim_pinned(const struct victim *v)
{
	return v->pins > 0 || v->tries > 0 || v->peeks > 0;
}
static inline bool victim_busy(const struct victim *v)
{
	return victim_pinned(v) || v->latched;
}
/* closing -> resident; false: it was rescued, which comes to the same. */
bool victim_reopen(const struct victim *v);
/* Drop the claim, and tell who waits for it. */
void victim_release(struct core *c, const struct victim *v);
/*
 * Is it closing still?  Then nobody has rescued it, and what was copied before is whole.
 * A locked step: see window.c.
 */
bool victim_closed(const struct victim *v);
/* Is the page of this frame, which the caller has claimed, evictable?  In an epoch section. */
bool victim_evictable(struct core *c, struct victim *v, uint32_t frame);

static inline uint32_t victim_word(const struct victim *v)
{
	return atomic_load(&v->fr->word);
}

/* One locked step on the frame's word, of which we hold the claim. */
static inline void victim_change(const struct victim *v, uint32_t off, uint32_t on)
{
	uint32_t w = victim_word(v);
	while (!frame_step(v->fr, &w, (w & ~off) | on))
		;
}

/* Wait until nobody claims `frame`, or it no longer has page `page`. */
void frame_wait(struct core *c, struct stripe *me, uint32_t frame, uint32_t page);
/* Sleep until another's read of `page`, by its number in the pool, has ended.  False: there is none. */
bool page_wait(struct core *c, struct stripe *me, uint32_t page);

#endif
