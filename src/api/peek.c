/*
 * peek.c - mpool_peek, mpool_unchanged, and what mpool_peek.h looks at of a pool.
 *
 * Owns the pool's views.  A view's `frames`, all else of it being as it was at open, but for `words`, which are there before:
 *
 *   0 --in a call on the pool, with latches ready--> those of segment 0
 *   those of segment 0 --in a child of fork, before it goes on (core/thread.c)--> 0
 *
 * A peek writes nothing but the frame's mark:
 *
 *   entry, resident in a frame of segment 0; the frame's latch word (acquire), without an owner; the entry again: the
 *   same.  Then the caller reads; an acquire fence; the word again: of that version, without an owner.
 *
 * Why it is right: who changes the page is its owner before (latch.h), and its version is another after.  Who takes it out
 * of the frame closes the entry, and then changes the version, before the entry is free: so a reader that has taken
 * the new version finds the entry closing, or gone, at its second look.  Only then can the page come into another frame,
 * and be changed there, or another page come into this one.  (A get in time makes a closing entry resident again; then the page is not taken out.)
 *
 * Segment 0, the latch words and the newest table are mapped as long as the pool is open, and memory of frames that were ever in use is
 * never given back: so neither the caller nor a peek reads what is not there, however late.
 */
#include <errno.h>
#include <stddef.h>

#include "api/latch.h"
#include "core/latch.h"
#include "mpool_peek.h"

_Static_assert(offsetof(struct table, buckets) == offsetof(struct mpool_view_table, buckets) &&
                       offsetof(struct table, factor) == offsetof(struct mpool_view_table, factor) &&
                       offsetof(struct table, bucket) == MPOOL_VIEW_BUCKETS && LINE_WORDS == MPOOL_VIEW_WORDS &&
                       sizeof(struct line) == MPOOL_VIEW_WORDS * sizeof(uint64_t) && TABLE_NEAR == 2,
               "a view is of tables as they are");
_Static_assert(LATCH_VERSION_SHIFT == MPOOL_VIEW_SHIFT && LATCH_SEEN_BITS == MPOOL_VIEW_VERSION &&
                       LATCH_OWNER == MPOOL_VIEW_OWNER && LATCH_OTHER == MPOOL_VIEW_OTHER &&
                       (LATCH_OWNER | LATCH_LOOK) == MPOOL_VIEW_ASK,
               "... of latch words");
_Static_assert(ENTRY_RESIDENT == 0 && ENTRY_WHO_SHIFT == 32 && MARK_USED == MPOOL_VIEW_USED,
               "... of entries and marks");

void peek_open(MPOOL *mp)
{
	const struct frames *fs = &mp->core.frames;
	mp->view = (struct mpool_view){
		.table = (struct mpool_view_table *const *)(uintptr_t)&mp->core.tables.newest,
		.pages = fs->base.pages,
		.stride = fs->stride,
		.marks = (uint8_t *)(uintptr_t)fs->base.mark,
		.pool = mp,
	};
	mp->no_view = (struct mpool_view){.pool = mp};
}

PUBLIC const struct mpool_view *mpool_view(MPOOL *mp, uint32_t layout)
{
	return layout == MPOOL_VIEW_LAYOUT ? &mp->view : &mp->no_view;
}

/* How many frames may be peeked at; 0: it has not begun. */
static inline uint64_t frames_of(const MPOOL *mp)
{
	/* Acquire: pairs with begin. */
	return __atomic_load_n(&mp->view.frames, __ATOMIC_ACQUIRE);
}

/* Their words, for who has found that there are some. */
static inline const _Atomic uint64_t *words_of(const MPOOL *mp)
{
	return (const _Atomic uint64_t *)__atomic_load_n(&mp->view.words, __ATOMIC_RELAXED);
}

/* In a call: there are frames from now on.  0, or an errno. */
static int begin(MPOOL *mp)
{
	int error = latches_begin(mp);
	if (error)
		return error;
	thread_views(&mp->core, &mp->view.frames);
	__atomic_store_n(&mp->view.words, (const uint64_t *)(uintptr_t)latch_words(&mp->core), __ATOMIC_RELAXED);
	/* Release: who finds them finds latches ready. */
	__atomic_store_n(&mp->view.frames, mp->core.frames.base.count, __ATOMIC_RELEASE);
	return 0;
}

/* The page in frame f, and its version; the word that was found in *w. */
static inline const void *found(const MPOOL *mp, uint64_t f, uint64_t w, uint64_t *version)
{
	frame_touch_base(&mp->core.frames, f);
	*version = latch_seen((uint32_t)f, w);
	return frame_page_base(&mp->core.frames, f);
}

enum look { LOOK_FOUND, LOOK_NOT, LOOK_AGAIN };

/* By the whole of the page's path.  In an epoch section.  LOOK_FOUND: the frame, and its word. */
static enum look look(MPOOL *mp, uint32_t page, uint32_t *f, uint64_t *w)
{
	struct table_ref at;
	uint64_t e = table_find(&mp->core.tables, page, &at);
	*f = entry_who(e);
	if (e == ENTRY_FREE || entry_state(e) != ENTRY_RESIDENT || *f >= mp->core.frames.base.count)
		return LOOK_NOT;
	*w = atomic_load_explicit(&words_of(mp)[*f], memory_order_acquire);
	bool abandoned = (*w & LATCH_LOOK) && atomic_load(&mp->core.frames.base.frame[*f].word) & FRAME_ABANDONED;
	if (latch_owned(*w) || abandoned)
		return LOOK_NOT;
	return atomic_load_explicit(at.word, memory_order_acquire) == e ? LOOK_FOUND : LOOK_AGAIN;
}

/* Any peek that the fast path below did not finish. */
__attribute__((noinline)) static const void *peek_slow(MPOOL *mp, uint32_t page, uint64_t *version)
{
	CALL(mp, a);
	if (!a)
		return NULL;
	int error = frames_of(mp) ? 0 : begin(mp);
	enum look seen = LOOK_AGAIN;
	uint32_t f;
	uint64_t w;
	while (!error && seen == LOOK_AGAIN) {
		epoch_enter(&mp->core.epoch, a->stripe);
		seen = look(mp, page, &f, &w);
		epoch_leave(a->stripe);
	}
	if (seen == LOOK_FOUND)
		return found(mp, f, w, version);
	errno = error ? error : EAGAIN;
	return NULL;
}

PUBLIC const void *mpool_peek(MPOOL *mp, pgno_t page, uint64_t *version)
{
	uint64_t frames = frames_of(mp);
	const _Atomic uint64_t *entry = table_peek(&mp->core.tables, page);
	if (unlikely(!entry))
		return peek_slow(mp, page, version);
	/* Acquire: pairs with table_publish: the page's bytes are there. */
	uint64_t e = atomic_load_explicit(entry, memory_order_acquire);
	uint64_t f = entry_resident_frame(e, page);
	if (unlikely(f >= frames))
		return peek_slow(mp, page, version);
	/* Acquire: pairs with latch_release: the owner's bytes; and with latch_changed: whose version it is, his closing. */
	uint64_t w = atomic_load_explicit(&words_of(mp)[f], memory_order_acquire);
	/* Acquire: what the caller reads is read after it. */
	if (unlikely((w & (LATCH_OWNER | LATCH_LOOK)) || atomic_load_explicit(entry, memory_order_acquire) != e))
		return peek_slow(mp, page, version);
	return found(mp, f, w, version);
}

PUBLIC int mpool_unchanged(MPOOL *mp, const void *page, uint64_t version)
{
	uint64_t f = version >> LATCH_SEEN_BITS;
	(void)page; /* it is that frame's */
	if (unlikely(f >= frames_of(mp)))
		return 0;
	/* What the caller has read is read before: who has read a byte of an owner's, or of the next page in the frame, finds
	 * the word changed.  Pairs with barrier_stores in latch_own, and in handed_out. */
	barrier_loads();
	uint64_t w = atomic_load_explicit(&words_of(mp)[f], memory_order_relaxed);
	return !((w ^ version << LATCH_VERSION_SHIFT) & ~LATCH_OTHER);
}
