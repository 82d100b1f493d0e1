/*
 * ahead.h - pages that are brought in before anybody asks for them: begun, and read ahead.
 *
 * Owns, of each thread, how far it has read ahead in a pool (struct attachment).  A thread that
 * misses pages in the file's order reads more at once each time, up to MPOOL_READAHEAD:
 *
 *   window 1  --a miss behind the last one, no farther than its window-->  AHEAD_FIRST, then doubled
 *   any       --a miss elsewhere-->                                       1
 *
 * The pages beside the one that was asked for take frames only from those that cost nothing:
 * free, or of clean cold pages that were asked for (frame_alloc_ahead).
 */
#ifndef MPOOL_AHEAD_H
#define MPOOL_AHEAD_H

#include "api/load.h"

/*
 * Begin to load a page that nobody has asked for.  WON: `at` is its entry, *frame its frame.
 * *frame: FRAME_NONE, or one that is left from the call before; what is left at last is the
 * caller's to free.  THERE: it is in memory; BUSY: somebody loads it; NO_ROOM: no frame that
 * costs nothing, or no memory.
 */
enum ahead { AHEAD_WON, AHEAD_THERE, AHEAD_BUSY, AHEAD_NO_ROOM };
enum ahead ahead_begin(MPOOL *mp, struct attachment *a, uint32_t page, uint32_t *frame, struct table_ref *at);

/*
 * The same is to be done of the next page of a list: where the one before was WON, it will be, too, as a rule.
 * With the frame at hand the table is searched once.
 */
void ahead_expect(MPOOL *mp, struct attachment *a, uint32_t page, enum ahead before, uint32_t *frame);

/* How many pages a miss of `page` is to bring in: 1, or more that follow it. */
uint32_t ahead_window(MPOOL *mp, struct attachment *a, uint32_t page);
/* Load the page of `l`, which is wanted, and of the next n - 1 what is not in memory.  False: no memory, nothing is done. */
bool ahead_load(MPOOL *mp, struct attachment *a, const struct want *want, const struct load *l, uint32_t n,
                struct pinned *p);

#endif
