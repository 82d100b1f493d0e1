/*
 * ahead.h - pages that are brought in before anybody asks for them: begun, and read ahead.
 *
 * Owns, of each thread, how far it has read ahead in a pool (struct attachment).  A thread that
 * misses pages in the file's order reads more at once each time, up to MPOOL_READAHEAD:
 *
 *   window 1  --a miss behind the last one, no farther than its window-->  AHEAD_FIRST, then doubled
 *   any       --a miss elsewhere-->                                       1
 *
 * Of a file that is open for O_DIRECT, and where no filter has to run, the window that follows is begun
 * when the thread has read one, or waits for a page of the last that was begun, and is waited for by nobody
 * (prefetch_ahead): so the device reads while the thread works.  Other files' next pages the kernel reads
 * by itself.
 *
 * The pages beside the one that was asked for take frames only from those that cost nothing:
 * free, or of clean cold pages that were asked for (frame_alloc_ahead).
 */
#ifndef MPOOL_AHEAD_H
#define MPOOL_AHEAD_H

#include "api/load.h"

/*
 * Begin to load page `number` of the file, which nobody has asked for.  WON: `at` is its entry, *frame its frame, *page its number in the pool.
 * *frame: FRAME_NONE, or one that is left from the call before; what is left at last is the
 * caller's to free.  THERE: it is in memory; BUSY: somebody loads *page; NO_ROOM: no frame that
 * costs nothing, no memory, or no number.
 */
enum ahead { AHEAD_WON, AHEAD_THERE, AHEAD_BUSY, AHEAD_NO_ROOM };
enum ahead ahead_begin(MPOOL *mp, struct io *io, struct attachment *a, uint32_t number, uint32_t *frame, uint32_t *page,
                       struct table_ref *at);

/*
 * The same is to be done of the next page of a list: where the one before was WON, it will be, too, as a rule.
 * With the frame at hand the table is searched once.
 */
void ahead_expect(MPOOL *mp, struct attachment *a, uint32_t page, enum ahead before, uint32_t *frame);

/* How many pages a miss of the page is to bring in: 1, or more that follow it in the file. */
uint32_t ahead_window(MPOOL *mp, struct attachment *a, const struct want *want);
/*
 * The thread has come to the page, of the last window that was begun: which pages are to be on their way next?
 * How many, from *from on; 0: none.  And so many of them are.
 */
uint32_t ahead_entered(MPOOL *mp, const struct attachment *a, const struct want *want, uint32_t *from);
void ahead_on_way(struct attachment *a, uint32_t from, uint32_t n);
/* Load the page of `l`, which is wanted, and of the next n - 1 what is not in memory.  False: no memory, nothing is done. */
bool ahead_load(MPOOL *mp, struct attachment *a, const struct want *want, const struct load *l, uint32_t n,
                struct pinned *p);

#endif
