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

#endif
