/*
 * torn.h - pages of the file that may be half of a modification.
 *
 * Owns the list of pages that were written after a process had died with them
 * pinned, so that their bytes in the file are as it left them.  While such a page is in
 * memory, its frame's word tells (frame.h: abandoned); this list is for when it was
 * evicted and is read again.  A page that was not written since is not in doubt: what
 * the file has of it is whole.
 *
 * A page is on it from its write (writeback), or, if a sync wrote it while it was
 * pinned and it is deleted instead of being written again, from then (mpool_delete),
 * until it is forgiven (mpool_abandoned) or made anew (mpool_new).  The list is a set
 * of buckets, each a line; should one be full, the page that has its first place is
 * forgotten.  Each place is one word, so a process may die anywhere in this.
 *
 *   a write, or delete:  the page on the list, then a look at the frame's word
 *   a pardon:            the frame's word, then the page off the list
 *
 * All sequentially consistent: whichever is the later of the two takes the page off.
 * Who dies between its two steps leaves a forgiven page on the list, which is then to
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
	/* Was there ever one?  Every miss asks, and mostly no more than this. */
	_Atomic uint32_t any;
	uint32_t buckets; /* as many as there are of these */
	/* A page's number + 1, or 0. */
	_Alignas(CACHE_LINE) _Atomic uint32_t page[TORN_BUCKETS][TORN_PLACES];
};

void torn_add(struct torn_state *t, uint32_t page);
bool torn_has(const struct torn_state *t, uint32_t page);
void torn_remove(struct torn_state *t, uint32_t page);

#endif
