/*
 * resize.h - the table follows the number of pages.
 *
 * Owns the drain, the role of the thread that moves entries from a replaced table to the
 * newest.  A table that is too full, too clumped, or far too large after an overflow, is
 * replaced by a new head at once.  Each miss then moves a few buckets of its entries, and
 * each hit the entry that it found; lookups search both tables meanwhile.  The empty
 * table is retired (epoch.h), since gets may still be reading it.
 *
 * An entry is moved under the claim of its frame (see table.h), pinned or not:
 * the frame stays the same.
 */
#ifndef MPOOL_RESIZE_H
#define MPOOL_RESIZE_H

#include "core/core.h"

/* Entries to make the first table for. */
uint64_t resize_first(uint32_t frames, uint32_t pages);

/* After a miss: replace the table if need be, and drain a few buckets of an older one. */
void resize_step(struct core *c, struct stripe *me);

/* A hit found `e` at `at`: in a table that was replaced, it moves, so that the next one is fast. */
void resize_hit(struct core *c, const struct stripe *me, const struct table_ref *at, uint64_t e);

/* `full`, the newest table when it was searched, has no free word near some page's home.  0, or -1: no memory. */
int resize_grow(struct core *c, uint32_t me, const struct table *full);

/* Another table is the head from now on, of the same size, or made by others meanwhile.  0, or -1: no memory. */
int resize_renew(struct core *c, struct stripe *me);

#endif
