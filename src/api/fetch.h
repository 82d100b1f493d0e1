/*
 * fetch.h - get a page: pin it where it is, or bring it in.
 *
 * Owns no state.  Of the threads that want a page which is not in memory one inserts its
 * entry, and is its only loader; the others wait for it (core/table.h has the states).
 */
#ifndef MPOOL_FETCH_H
#define MPOOL_FETCH_H

#include "api/call.h"

/* What is wanted of a page. */
enum fill_mode {
	FILL_READ,     /* mpool_get: read it, unless it is in memory */
	FILL_ZERO,     /* mpool_new: zeros, unless a get came first */
	FILL_ZERO_EXCL /* mpool_new, requested: zeros; EEXIST if it is in memory */
};

struct want {
	uint32_t page;
	enum fill_mode fill;
	uint64_t slot_flags; /* 0: a pin; SLOT_PEEK */
	bool once;           /* MPOOL_ONCE */
	uint32_t frame;      /* one to load it into, claimed already; FRAME_NONE: none yet */
};

/* A pin, or peek, of the calling thread's. */
struct pinned {
	uint32_t frame; /* FRAME_NONE: not pinned */
	_Atomic uint64_t *slot;
};

/* Not pinned: errno tells why. */
struct pinned page_fetch(MPOOL *mp, struct attachment *a, struct want want);

#endif
