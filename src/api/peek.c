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
	const struct attached *f = handle_of(mp)->attached;
	if (f)
		return &f->no_view;
	return layout == MPOOL_VIEW_LAYOUT ? &mp->view : &mp->no_view;
}

/* How many frames may be peeked at; 0: it has not begun. */
static inline uint64_t frames_of(const MPOOL *mp)
{
	/* Acquire: pairs with begin. */
	return __atomic_load_n(&handle_of(mp)->frames, __ATOMIC_ACQUIRE);
}

/* The same, of a pool of however many files. */
static inline uint64_t peeked(const MPOOL *mp)
{
	/* Acquire: pairs with begin. */
	return atomic_load_explicit(&mp->core.peeked, memory_order_acquire);
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
	atomic_store_explicit(&mp->core.peeked, mp->core.frames.base.count, memory_order_release);
	peek_frames(mp, mp->core.frames.base.count);
	/* Sequentially consistent: pairs with peek_slowly. */
	if (extents_are(&mp->io))
		peek_frames(mp, 0);
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
__attribute__((noinline)) static const void *peek_slow(MPOOL *mp, uint32_t number, uint64_t *version)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL(mp, a);
	if (!a)
		return NULL;
	int error = peeked(mp) ? 0 : begin(mp);
	enum look seen = LOOK_AGAIN;
	uint32_t f = FRAME_NONE;
	uint64_t w = 0;
	while (!error && seen == LOOK_AGAIN) {
		uint32_t page = number < pageio_pages(&io->file) ? extent_page(io, number) : PAGE_NONE;
		epoch_enter(&mp->core.epoch, a->stripe);
		seen = page == PAGE_NONE ? LOOK_NOT : look(mp, page, &f, &w);
		epoch_leave(a->stripe);
		/* Who has found another's page by that number finds the map changed. */
		if (seen == LOOK_FOUND && extent_page(io, number) != page)
			seen = LOOK_AGAIN;
	}
	if (seen == LOOK_FOUND)
		return found(mp, f, w, version);
	errno = error ? error : EAGAIN;
	return NULL;
}

/*
 * A page to peek at, by its key, in one of the first `frames` frames.  `in`: NULL, or the word of a file's map, which must be
 * `is` still: who has found another's page by a number that is not his any more finds the map changed.
 */
struct sought {
	uint64_t key, frames;
	const _Atomic uint32_t *in;
	uint32_t is;
};

/* NULL: it takes more than this. */
static inline __attribute__((always_inline)) const void *peek_in(MPOOL *mp, struct sought p, uint64_t *version)
{
	const _Atomic uint64_t *entry = table_peek(&mp->core.tables, p.key);
	if (unlikely(!entry))
		return NULL;
	/* Acquire: pairs with table_publish: the page's bytes are there. */
	uint64_t e = atomic_load_explicit(entry, memory_order_acquire);
	uint64_t f = entry_resident_frame(e, p.key);
	if (unlikely(f >= p.frames))
		return NULL;
	/* Acquire: pairs with latch_release: the owner's bytes; and with latch_changed: whose version it is, his closing. */
	uint64_t w = atomic_load_explicit(&words_of(mp)[f], memory_order_acquire);
	/* Acquire: what the caller reads is read after it. */
	if (unlikely((w & (LATCH_OWNER | LATCH_LOOK)) || atomic_load_explicit(entry, memory_order_acquire) != e) ||
	    (p.in && unlikely(atomic_load(p.in) != p.is)))
		return NULL;
	return found(mp, f, w, version);
}

/* In a pool of several files; or it takes more. */
__attribute__((noinline)) static const void *peek_other(MPOOL *handle, uint32_t page, uint64_t *version)
{
	MPOOL *mp = handle_pool(handle);
	const struct attached *f = handle_of(handle)->attached;
	const _Atomic uint32_t *word = f ? extent_word(&f->handle.map, page) : NULL;
	uint32_t w = word ? atomic_load_explicit(word, memory_order_acquire) : EXTENT_NONE;
	const void *bytes = NULL;
	if (w != EXTENT_NONE)
		bytes = peek_in(mp, (struct sought){extent_key(w, page), peeked(mp), word, w}, version);
	else if (!f && pageio_has(&mp->io.file, page))
		bytes = peek_in(mp, (struct sought){entry_key(page), peeked(mp), NULL, 0}, version);
	return likely(bytes) ? bytes : peek_slow(handle, page, version);
}

PUBLIC const void *mpool_peek(MPOOL *mp, pgno_t page, uint64_t *version)
{
	uint64_t frames = frames_of(mp);
	/* Without frames it may be another handle than the first file's. */
	if (unlikely(!frames))
		return peek_other(mp, page, version);
	const void *bytes = peek_in(mp, (struct sought){entry_key(page), frames, NULL, 0}, version);
	return likely(bytes) ? bytes : peek_slow(mp, page, version);
}

static inline int unchanged(const MPOOL *mp, uint64_t f, uint64_t version)
{
	/* What the caller has read is read before: who has read a byte of an owner's, or of the next page in the frame, finds
	 * the word changed.  Pairs with barrier_stores in latch_own, and in handed_out. */
	barrier_loads();
	uint64_t w = atomic_load_explicit(&words_of(mp)[f], memory_order_relaxed);
	return !((w ^ version << LATCH_VERSION_SHIFT) & ~LATCH_OTHER);
}

/* In a pool of several files; or there is no such frame, or nobody has peeked in this process. */
__attribute__((noinline)) static int unchanged_other(MPOOL *handle, uint64_t f, uint64_t version)
{
	const MPOOL *mp = handle_pool(handle);
	return f < peeked(mp) && unchanged(mp, f, version);
}

PUBLIC int mpool_unchanged(MPOOL *mp, const void *page, uint64_t version)
{
	uint64_t f = version >> LATCH_SEEN_BITS;
	(void)page; /* it is that frame's */
	if (unlikely(f >= frames_of(mp)))
		return unchanged_other(mp, f, version);
	return unchanged(mp, f, version);
}
