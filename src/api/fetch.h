/*
 * fetch.h - get a page: pin it where it is, or bring it in.
 *
 * Owns no state.  Of the threads that want a page which is not in memory one inserts its
 * entry, and is its only loader; the others wait for it (core/table.h has the states).
 */
#ifndef MPOOL_FETCH_H
#define MPOOL_FETCH_H

#include "api/load.h"

/* Not pinned: errno tells why. */
struct pinned page_fetch(MPOOL *mp, struct attachment *a, struct want want);

/*
 * Without waiting and without reading: pin the page if it is in memory, or become its loader.
 * BUSY: it is being loaded, by whomever.  FAILED: an errno in *error.  (The others are not returned.)
 * Where a write may have to wait for the program (io/hooks.h) want->frame is had before; `waits` as in frame_alloc.  It
 * is the caller's, unless it has WON.
 */
enum start { START_PINNED, START_WON, START_BUSY, START_FAILED, START_AGAIN, START_NO_ROOM };
enum start page_start(MPOOL *mp, struct attachment *a, struct want *want, bool waits, struct pinned *p,
                      struct table_ref *at, int *error);
/* Pin the page if it is in memory.  Not pinned: EAGAIN, or an errno. */
struct pinned page_cached(MPOOL *mp, struct attachment *a, struct want *want);

#endif
