/*
 * sync.h - write modified pages, and bring what was written to stable storage.
 *
 * Owns the turn to flush, which one thread of all processes has at a time, and the numbers of
 * flushes.
 *
 * Writing takes no turn: any number of threads do it at once, each with frames that it has
 * claimed.  Sync closes the entries of what it writes as eviction does (core/window.h), reopens
 * them (L) once the copy is made, and frees nothing.  A page that stays pinned is
 * written while pinned, and stays dirty.
 *
 * Those who have written share a flush.  Each needs one that begins after its last write: the
 * number of the next one (sync_next).  Whoever finds the turn free makes that flush, for all
 * who wait; those who come while one is in progress wait for the one after it, and one
 * of them makes it, for all of them.
 *
 *   writer   pwrite, noted in the frames; then flushes loaded: number = flushes + 1   }  pairs with
 *   leader   flushes + 1 (L); then the flush; the frames; flushed <- flushes (L)      }
 *
 * What a flush says is said to all of them.  A flush that fails makes pages modified again, and
 * so does who cannot know any more what one had to say: the count `undone` goes up after all
 * frames are dirty again, and before the flush counts as ended.  Who syncs loads it before
 * it looks at the first frame, and again when its flush has ended: unchanged, all it has seen
 * written is on stable storage.
 *
 * A leader that dies is recovered as what it held was: the turn is nobody's, what was written is
 * dirty again, and those who wait write it again, and one of them flushes.
 */
#ifndef MPOOL_SYNC_H
#define MPOOL_SYNC_H

#include <limits.h>
#include <stdbool.h>

#include "io/io.h"

/* Which pages to write, and how. */
struct sync_range {
	uint32_t first, n;
	bool whole;        /* those that could be written torn only are withheld: they stay modified */
	uint32_t withheld; /* so many are */
};
#define SYNC_ALL ((struct sync_range){0, PAGE_NONE, false, 0})

/* Write every page of them that is modified now.  0, or errno. */
int sync_write(struct io *io, struct stripe *me, struct sync_range *range);

/* Take the turn: wait for it; or if nobody has it.  Give it back. */
void sync_begin(struct io *io, const struct stripe *me);
bool sync_try(struct io *io, const struct stripe *me);
void sync_end(struct io *io);

/* The count of `undone`, and the first flush that covers what is written now. */
uint64_t sync_undone(const struct io *io);
uint32_t sync_next(struct io *io);
/* Wait until flush `number` has ended.  True: the caller has the turn, and is to make it. */
bool sync_lead(struct io *io, const struct stripe *me, uint32_t number);
/*
 * With the turn: wait until as many have come as were in the last flush, or waiting, when it ended, but for no
 * longer than half of such a flush.  They were all woken then, and if they sync again one flush is for all of them: who
 * went ahead with a part would make each wait for two.
 */
void sync_gather(struct io *io);
/* With the turn: flush, and what it means for the pages written since the last one. */
void sync_flush(struct io *io, struct stripe *me);
/* With the turn: the cut that a failed flush has left in doubt is made again, if there is one.  0, or an errno. */
int sync_cut_again(struct io *io, struct stripe *me);
/*
 * What flush `number`, which has ended, had to say for whom `undone` was `since` when it began: 0, or an errno, or
 * SYNC_AGAIN: what was written is, or may be, modified again, and it was not this flush that failed.
 */
#define SYNC_AGAIN INT_MIN /* no errno, nor what a hook gives */
int sync_result(const struct io *io, uint32_t number, uint64_t since);

/*
 * Everything that was modified when `undone` was `since` is written and flushed; was everything, when it was
 * that?  If not, pages that were written may be modified for want of a flush.
 */
void sync_mend(struct io *io, uint64_t since);
bool sync_mended(const struct io *io, uint64_t since);

/*
 * A process died, to which the stripes belong for which `dead` is true.  If it died in a
 * flush, its result is lost: what was written since the last one is dirty
 * again.  In an epoch section.
 */
void sync_recover(struct io *io, stripe_test *dead, void *of);

/*
 * The result of writes since the last flush may be reported to another process: they are
 * dirty again.  In an epoch section; with the turn, or nobody can have it.
 */
void sync_distrust(struct io *io);

/*
 * Somebody died in a flush, and pages had left: ask another witness at once, for should
 * all who ask die, nobody could know any more.  With the pool's lock, in no epoch section.
 */
void sync_settle(struct io *io, struct stripe *me);

#endif
