/*
 * writeback.h - the closed window: to know that frames are unpinned, and to
 * empty or write them.
 *
 * Owns who syncs, one at a time.  A window is one thread's set of claimed frames
 * ("the victims") whose entries it closes, after which one heavy barrier and one
 * scan of the stripes tell for all of them who is pinned:
 *
 *   claim (L, frame) -> close (L, entry) -> barrier_heavy -> scan -> for each:
 *     pinned             reopen, unclaim
 *     unpinned, clean    "ready"; see below
 *     unpinned, dirty    dirty off, writing on (one L) -> copy -> closing still (L);
 *                        rescued meanwhile: writing off, dirty on, forget the copy;
 *                        else write the copy -> writing off, unsynced on -> free the
 *                        entry (L), as above: it was closing all the while
 *
 * (No barrier while the pool has one user: pin.h.)
 *
 * Why it is right: a get pins by a store to its slot and then looks at the entry
 * again.  If that look came before our closing, the barrier makes its store
 * visible to our scan.  If it came after, it saw "closing" and can only go on
 * by making the entry resident (rescue), and then our locked step on the entry
 * fails.  Only the holder of the claim closes, so an entry still closing was
 * never rescued.
 *
 * Sync reopens the entry (L) once the copy is made, and frees nothing.
 *
 * A thread stopped anywhere in here holds back the frames it has claimed and no
 * others; every one of their pages can be got all the while.
 */
#ifndef MPOOL_WRITEBACK_H
#define MPOOL_WRITEBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"
#include "mpool.h"
#include "core/table.h"

/* Victims of one barrier.  It costs 10 us, and each victim 60 bytes of stack. */
#define WINDOW_MAX 128u
/* Places of the map a victim: it is never full. */
#define WINDOW_SPREAD 4u

struct victim {
	uint32_t frame;
	uint32_t page;
	struct frame *fr;
	struct table_ref entry;
	uint32_t pins;  /* found by the scan; UINT32_MAX: as many, or more */
	uint32_t tries; /* gets that are about to find out */
	uint32_t peeks; /* of MPOOL_IGNOREPIN */
	uint32_t own;   /* of these, pins and tries of this process */
};

struct window {
	unsigned n;
	struct victim victim[WINDOW_MAX];
	unsigned places; /* of the map that are in use */
	uint8_t map[WINDOW_SPREAD * WINDOW_MAX]; /* frame -> victim + 1, open addressing; filled by the scan */
};

/* Victims that may be emptied, claimed still. */
struct ready {
	unsigned n;
	struct victim *victim[WINDOW_MAX];
};

/*
 * Add a frame that the caller has claimed, and close its entry, if it is not
 * ready.  Fails, and drops the claim, if the frame has no entry (it is being
 * emptied or filled).
 */
bool window_add(MPOOL *mp, struct window *w, uint32_t frame);
/* The barrier, and the scan: sets each victim's pins. */
void window_scan(MPOOL *mp, const struct stripe *me, struct window *w);
static inline bool victim_busy(const struct victim *v)
{
	return v->pins > 0 || v->tries > 0 || v->peeks > 0;
}
/* closing -> resident; false: it was rescued, which comes to the same. */
bool victim_reopen(const struct victim *v);
/* Drop the claim, and tell who waits for it. */
void victim_release(MPOOL *mp, const struct victim *v);

/* The file has the victim's page as it stands, or soon will: if a process left it so that died, it is in doubt. */
void victim_note_doubt(MPOOL *mp, const struct victim *v);

/*
 * Make ready what can be evicted.  Dirty victims are written, in page order.  All
 * other claims are dropped.  *error: errno of a write that failed.
 */
void window_evict(MPOOL *mp, struct stripe *me, struct window *w, struct ready *r, int *error);

/* Is the page of a frame, which the caller has claimed, ready?  In an epoch section. */
bool victim_ready(MPOOL *mp, struct victim *v, uint32_t frame);
/*
 * Empty the frame of a ready page: claimed still, and named by no entry.  False:
 * rescued, or an fsync failed just now and it is dirty; its entry is open.
 */
bool victim_empty(MPOOL *mp, struct stripe *me, const struct victim *v);

/* Wait until nobody claims `frame`, or it no longer has page `page`. */
void frame_wait(MPOOL *mp, struct stripe *me, uint32_t frame, uint32_t page);

/*
 * A process, whose stripes `dead` tells, died: if in a sync, whatever its fsync had
 * to say is lost, so what was written since the last one is modified again.  In an
 * epoch section.
 */
void writeback_recover(MPOOL *mp, stripe_test *dead, void *of);

/*
 * Whether what was written since the last fsync reaches stable storage is told to
 * somebody else, perhaps: it is modified again.  In an epoch section.
 */
void writeback_distrust(MPOOL *mp);

/*
 * Somebody died in an fsync, and pages had left: ask another witness at once, for should
 * all who ask die, nobody could know any more.  With the pool's lock, in no epoch section.
 */
void writeback_settle(MPOOL *mp, struct stripe *me);

/* Take the turn to sync, if nobody has it; give it back. */
bool writeback_turn(MPOOL *mp, const struct stripe *me);
void writeback_turn_over(MPOOL *mp);

/* What mpool_sync promises.  0, or -1 and errno. */
int writeback_sync(MPOOL *mp, struct stripe *me);

#endif
