/*
 * torn.h - pages of the file that may be half of a modification.
 *
 * Owns the torn-page list: pages that were written after a process had died with them
 * pinned, so that the file may have them in the middle of a modification.  While such a
 * page is in memory its frame is marked abandoned (frame.h); the list keeps the mark from
 * the page's eviction until it is read again.  A page that was not written since the death
 * is not torn: the file has it as it was before.
 *
 * A page is on it from its write (writeback), or, if a sync wrote it while it was
 * pinned and it is deleted instead of being written again, from its deletion (mpool_delete),
 * until it is forgiven (mpool_abandoned), requested anew (mpool_new) or cut off (mpool_truncate), or its file, an attached
 * one, is closed.  The list is a set
 * of buckets, each a line; should one be full, the page that has its first place is
 * forgotten.  Each place is one word, so a process may die anywhere in this.
 *
 *   a write, or delete:  page added to the list, then the frame's word loaded again
 *   mpool_abandoned:     abandoned off in the frame's word, then page removed from the list
 *
 * All sequentially consistent: whichever of the two comes later removes the page.  A
 * process that dies between its two steps leaves a forgiven page on the list, which has to
 * be forgiven once more.
 */
#ifndef MPOOL_TORN_H
#define MPOOL_TORN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/line.h"

#define TORN_BUCKETS 64u
#define TORN_PLACES  (CACHE_LINE / sizeof(uint32_t))

struct torn_state {
	/* Was a page ever added?  Each miss loads this, and mostly nothing else. */
	_Atomic uint32_t any;
	uint32_t buckets; /* as many as there are of these */
	/* A page's number + 1, or 0. */
	_Alignas(CACHE_LINE) _Atomic uint32_t page[TORN_BUCKETS][TORN_PLACES];
};

void torn_add(struct torn_state *t, uint32_t page);
bool torn_has(const struct torn_state *t, uint32_t page);
void torn_remove(struct torn_state *t, uint32_t page);
/* There are none any more of the pages of which `behind` is true. */
typedef bool torn_test(void *to, uint32_t page);
void torn_cut(struct torn_state *t, torn_test *behind, void *to);

#endif
