/*
 * pool.h - what a pool is made of, and what a file is that is attached to one: the handles that mpool_open and
 * mpool_attach return.
 *
 * A program's MPOOL * leads to a struct handle, which is first in a pool, and in an attached file.  Calls that are more
 * than a hit begin by asking which pool it is, and which file: handle_pool, handle_io.  All that follows is of the pool,
 * and of pages by the numbers that they have there (io/extent.h).
 *
 * The pool is this process's own: addresses, descriptor, filters, settings, threads.  What
 * processes that share a pool share is the header (share/header.h), in the region, and
 * whatever else is in the region's chunks.
 */
#ifndef MPOOL_POOL_H
#define MPOOL_POOL_H

#include "api/where.h"
#include "core/core.h"
#include "evict/cleaner.h"
#include "evict/clock.h"
#include "io/extent.h"
#include "io/io.h"
#include "mpool.h"
#include "mpool_peek.h"
#include "os/later.h"
#include "share/header.h"
#include "share/sharing.h"

/* The calls of mpool.h.  None calls another by that name, which may be somebody else's in a program. */
#define PUBLIC __attribute__((visibility("default")))

struct failed;
struct prefetch;

struct MPOOL {
	struct core core; /* first: the handle, and what a hit needs */
	struct io io;
	struct evict evict;
	struct cleaners cleaners;
	struct sharing sharing;
	struct mpool_view view, no_view;     /* of peek.c */
	_Atomic uint32_t readahead;          /* pages at the most; ahead.h */
	_Atomic(struct prefetch *) prefetch; /* NULL: nothing was prefetched so far */
	_Atomic(struct failed *) failed;     /* the same; failed.h */
	later_list later;                    /* what prefetches do not need any more */
	struct attached *attached;           /* handles of files, with extent_lock */
#if MPOOL_CHECK > 1
	struct where where;
#endif
};

/* The handle whose core that is. */
static inline MPOOL *pool_of(struct core *c)
{
	return (MPOOL *)(void *)((char *)c - offsetof(MPOOL, core));
}

struct attached {
	struct handle handle; /* first, */
	MPOOL *pool;          /* and in the same line */
	struct io *io;
	struct mpool_view no_view; /* of peek.c */
	struct attached *next, **before;
};
/* Of a private pool; in a shared one processes share the file, and the handles of a process its `io` (share/files.h). */
struct attached_file {
	struct attached attached;
	struct io io;
	struct pageio_state state;
};

static inline const struct handle *handle_of(const MPOOL *mp)
{
	return (const void *)mp;
}
/* Relaxed: it changes when the first file is attached, and a hit that began before is of the first file. */
static inline uint64_t handle_hits(const MPOOL *mp)
{
	return atomic_load_explicit(&handle_of(mp)->hits, memory_order_relaxed);
}
static inline MPOOL *handle_pool(MPOOL *mp)
{
	struct attached *f = handle_of(mp)->attached;
	return unlikely(f) ? f->pool : mp;
}
/*
 * For calls that need no more than the core, and no page's number.  Does the calling thread know the pool?  Its stripe in *s;
 * and the handle in *mp is the pool.
 */
static inline __attribute__((always_inline)) bool handle_knows(MPOOL **mp, struct stripe **s)
{
	uint64_t serial = handle_of(*mp)->at_core;
	if (likely(thread_last.serial == serial)) {
		*s = thread_last.stripe;
		return true;
	}
	/* What follows loads again: the compiler would keep it in a register, and each call on a plain pool pay for that. */
	atomic_signal_fence(memory_order_seq_cst);
	if (likely((serial ^ thread_last.serial) == HANDLE_ATTACHED)) {
		*mp = ((const struct attached *)handle_of(*mp))->pool;
		*s = thread_last.stripe;
		return true;
	}
	*mp = handle_pool(*mp);
	return thread_knows(handle_of(*mp)->serial, s);
}
static inline struct io *handle_io(MPOOL *mp)
{
	struct attached *f = handle_of(mp)->attached;
	if (likely(!f))
		return &mp->io;
	/* Another handle of the file's, or this one, may have found its map too short.  Acquire, release: pairs with extent_word. */
	struct extent_map *map = atomic_load_explicit(&f->io->map, memory_order_acquire);
	if (unlikely(atomic_load_explicit(&f->handle.map, memory_order_relaxed) != map))
		atomic_store_explicit(&f->handle.map, map, memory_order_release);
	return f->io;
}

/* Set the pointers between its parts, and nothing else. */
void pool_link(MPOOL *mp);
/* It is made, or joined: what mpool_peek.h looks at. */
void peek_open(MPOOL *mp);
static inline void peek_frames(MPOOL *mp, uint64_t frames)
{
	__atomic_store_n(&mp->view.frames, frames, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mp->core.handle.frames, frames, __ATOMIC_SEQ_CST);
}
/* It has another file now.  After extents_begin, or with `several`: pairs with begin in peek.c. */
static inline void peek_slowly(MPOOL *mp)
{
	peek_frames(mp, 0);
}
/* mpool_close of an attached file. */
int attached_close(struct attached *f);
/* The pool is closed, and its attached files with it. */
void attached_end(MPOOL *mp, bool tell_stores);

#endif
