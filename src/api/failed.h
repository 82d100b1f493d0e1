/*
 * failed.h - what prefetches have failed with, for the gets with MPOOL_CACHED that come for it.
 *
 * Owns the failures that are remembered: a few pages, the oldest of which are forgotten first.
 *
 *   none --failed_note, by who lets a load fail, before its entry is free--> remembered
 *   remembered --failed_tell: told once; failed_forget: the page is loaded; too many newer ones--> none
 *
 * A pool that prefetches nothing has no list, and who loads its pages looks at one pointer.
 */
#ifndef MPOOL_FAILED_H
#define MPOOL_FAILED_H

#include "api/pool.h"

/* Pages that are remembered. */
#define FAILED_PAGES 64u

struct failed {
	pthread_mutex_t lock; /* guards all that follows; `n` may be loaded without */
	_Atomic unsigned n;
	unsigned next;
	struct {
		const struct io *io; /* whose */
		uint32_t page;       /* which of its pages; */
		int error;           /* 0: none */
	} of[FAILED_PAGES];
};

/* Have the list.  False: no memory. */
bool failed_begin(MPOOL *mp);
void failed_end(MPOOL *mp);
/* The same, in the child of a fork: a thread that is not in it may have the lock. */
void failed_forked(MPOOL *mp);

void failed_note(MPOOL *mp, uint32_t page, int error);
/* errno, which is EAGAIN, becomes what the file's page's prefetch has failed with, if it has: once. */
void failed_tell(MPOOL *mp, const struct io *io, uint32_t number);
/* The file is closed. */
void failed_close(MPOOL *mp, const struct io *io);

void failed_forget_one(MPOOL *mp, struct failed *f, uint32_t page);
/* The page is in memory now, by whatever load: by its only loader, before he publishes it. */
static inline void failed_forget(MPOOL *mp, uint32_t page)
{
	/* Acquire: the list is there.  What was noted of this page was so before its entry was free, which the loader has found. */
	struct failed *f = atomic_load_explicit(&mp->failed, memory_order_acquire);
	if (f && atomic_load_explicit(&f->n, memory_order_relaxed) > 0)
		failed_forget_one(mp, f, page);
}

#endif
