/*
 * latch.c - mpool_latch, mpool_unlatch, mpool_upgrade; see core/latch.h.
 *
 * Owns no state.  The fast paths are for pages of segment 0 that the thread has pinned once, in its first stripe.
 */
#include "api/latch.h"

#include <errno.h>

#include "core/changed.h"
#include "share/liveness.h"
#include "share/object.h"

static int make(MPOOL *mp)
{
	if (!region_shared(&mp->core.region))
		return latches_make(&mp->core);
	/* Nobody else makes them now. */
	struct hold lock = {NULL, -1};
	struct member_object object = share_object(&mp->sharing);
	int error = member_lock(&lock, &object, LOCK_TIMEOUT_S);
	if (error)
		return error;
	error = latches_make(&mp->core);
	member_unlock(&lock);
	return error;
}

int latches_begin(MPOOL *mp)
{
	int error = latches_ready(&mp->core) ? 0 : make(mp);
	/* Release: pairs with the fast paths. */
	if (!error && !atomic_load_explicit(&mp->core.latch_words, memory_order_relaxed))
		atomic_store_explicit(&mp->core.latch_words, latch_words(&mp->core), memory_order_release);
	return error;
}

/* 0, or -1 and errno. */
static int result(int error)
{
	errno = error ? error : errno;
	return error ? -1 : 0;
}

/* ---- the thread's own ---------------------------------------------------- */

/* The mark of its shared latch of the frame, or NULL. */
static _Atomic uint64_t *own_mark(const MPOOL *mp, const struct attachment *a, uint32_t f)
{
	unsigned number = 0;
	for (const struct stripe *s; (s = thread_stripe(a, f, number)); number++) {
		struct line *marks = latch_marks(&mp->core, s->id);
		_Atomic uint64_t *mark = marks ? marks_find(marks, mark_of(f)) : NULL;
		if (mark)
			return mark;
	}
	return NULL;
}

/* An empty one, for the frame; NULL: no memory. */
static _Atomic uint64_t *empty_mark(MPOOL *mp, struct attachment *a, uint32_t f)
{
	unsigned number = 0;
	do {
		for (const struct stripe *s; (s = thread_stripe(a, f, number)); number++) {
			struct line *marks = latch_marks_made(&mp->core, s->id);
			_Atomic uint64_t *mark = marks ? marks_find(marks, 0) : NULL;
			if (number == 0)
				a->marks = marks;
			if (mark || !marks)
				return mark;
		}
		number = 1;
	} while (thread_more(&mp->core, a));
	return NULL;
}

/* The frame of a page that the thread has pinned, or FRAME_NONE. */
static uint32_t pinned_frame(const MPOOL *mp, const struct attachment *a, const void *page)
{
	uint32_t f = frame_at(&mp->core.frames, page);
	return f != FRAME_NONE && thread_slot_of(a, f) ? f : FRAME_NONE;
}

/* The word of that page's latch, which the thread has not.  0, or an errno. */
static int find_word(MPOOL *mp, const struct attachment *a, uint32_t f, _Atomic uint64_t **word)
{
	if (f == FRAME_NONE)
		return EINVAL;
	int error = latches_begin(mp);
	if (error)
		return error;
	*word = latch_word_made(&mp->core, f);
	if (!*word)
		return ENOMEM;
	return latch_owned_by(atomic_load(*word), a->stripe->id) || own_mark(mp, a, f) ? EDEADLK : 0;
}

static int latch_page(MPOOL *mp, struct attachment *a, const void *page, unsigned flags)
{
	unsigned mode = flags & ~(unsigned)MPOOL_TRY;
	bool only_try = flags & MPOOL_TRY;
	if (mode != MPOOL_SHARED && mode != MPOOL_EXCLUSIVE)
		return EINVAL;
	_Atomic uint64_t *word, *mark;
	uint32_t f = pinned_frame(mp, a, page);
	int error = find_word(mp, a, f, &word);
	if (error)
		return error;
	if (mode == MPOOL_SHARED)
		return (mark = empty_mark(mp, a, f)) ? latch_shared(&mp->core, f, word, mark, only_try) : ENOMEM;
	error = latch_exclusive(&mp->core, f, word, a->stripe->id, only_try);
	a->latches += !error;
	return error;
}

static int upgrade_page(MPOOL *mp, struct attachment *a, const void *page, uint64_t version)
{
	_Atomic uint64_t *word;
	uint32_t f = pinned_frame(mp, a, page);
	int error = find_word(mp, a, f, &word);
	if (!error)
		error = latch_upgrade(&mp->core, f, word, a->stripe->id, version);
	a->latches += !error;
	return error;
}

/* Is a page in the frame? */
static bool in_use(const MPOOL *mp, const struct attachment *a, uint32_t f)
{
	epoch_enter(&mp->core.epoch, a->stripe);
	const struct frame *fr = frame_live(&mp->core.frames, f);
	bool used = fr && atomic_load(&fr->word) != FRAME_FREE;
	epoch_leave(a->stripe);
	return used;
}

static int unlatch_page(MPOOL *mp, struct attachment *a, const void *page, unsigned flags)
{
	uint32_t f = frame_at(&mp->core.frames, page);
	if (f == FRAME_NONE || (flags & ~(unsigned)MPOOL_DIRTY))
		return EINVAL;
	_Atomic uint64_t *word = latches_ready(&mp->core) ? latch_word(&mp->core, f) : NULL;
	bool exclusive = word && latch_owned_by(atomic_load(word), a->stripe->id);
	_Atomic uint64_t *mark = word && !exclusive ? own_mark(mp, a, f) : NULL;
	if (!exclusive && !mark)
		return in_use(mp, a, f) ? EPERM : EINVAL;
	/* The latch keeps the page in its frame. */
	if (flags & MPOOL_DIRTY)
		frame_set_dirty(&mp->core.frames, f);
	if (mark) {
		latch_unmark(&mp->core, f, word, mark);
		return 0;
	}
	a->latches--;
	if (latch_release(word, a->stripe->id))
		latch_tell_all(&mp->core, f, word);
	return 0;
}

/* ---- the calls ----------------------------------------------------------- */

__attribute__((noinline)) static int latch_slow(MPOOL *mp, const void *page, unsigned flags)
{
	CALL(mp, a);
	return a ? result(latch_page(mp, a, page, flags)) : -1;
}

__attribute__((noinline)) static int unlatch_slow(MPOOL *mp, const void *page, unsigned flags)
{
	CALL(mp, a);
	return a ? result(unlatch_page(mp, a, page, flags)) : -1;
}

__attribute__((noinline)) static int tell_slow(const MPOOL *mp, uint32_t f, _Atomic uint64_t *word)
{
	latch_tell_all(&mp->core, f, word);
	return 0;
}

/* Those of segment 0, of a pool with latches, once this process has found them; else NULL. */
static inline _Atomic uint64_t *words_at_hand(const MPOOL *mp)
{
	/* Acquire: pairs with latches_begin. */
	return atomic_load_explicit(&mp->core.latch_words, memory_order_acquire);
}

/* The number of a page's frame, in segment 0; or more than there are. */
static inline uint64_t quotient(const MPOOL *mp, const void *page)
{
	return frame_quotient(&mp->core.frames, mp->core.frames.base.pages, page);
}

/* Neither is made part of what is for exclusive latches: that has its few values in registers. */
__attribute__((noinline)) static int latch_beside(MPOOL *mp, void *page, struct attachment *a, _Atomic uint64_t *words)
{
	uint64_t f = quotient(mp, page), w = atomic_load_explicit(&words[f], memory_order_relaxed);
	_Atomic uint64_t *mark;
	if (unlikely(!latch_sharable(w) || !a->marks || a->groups > 0 || marks_find(a->marks, mark_of((uint32_t)f)) ||
	             !(mark = marks_find(a->marks, 0)) || !latch_mark(&mp->core, (uint32_t)f, &words[f], mark, &w)))
		return latch_slow(mp, page, MPOOL_SHARED);
	return 0;
}

__attribute__((noinline)) static int unlatch_shared(MPOOL *mp, void *page, struct attachment *a, unsigned flags)
{
	uint64_t f = quotient(mp, page);
	_Atomic uint64_t *mark = a->marks ? marks_find(a->marks, mark_of((uint32_t)f)) : NULL;
	if (unlikely(!mark))
		return unlatch_slow(mp, page, flags);
	if (flags & MPOOL_DIRTY)
		frame_set_dirty_base(&mp->core.frames, f);
	latch_unmark(&mp->core, (uint32_t)f, &latch_words(&mp->core)[f], mark);
	return 0;
}

/* Before the latch goes: without a pin, an evictor that finds no latch must find the mark. */
__attribute__((noinline)) static int unlatch_dirty(MPOOL *mp, uint64_t f, struct attachment *a)
{
	_Atomic uint64_t *word = &latch_words(&mp->core)[f];
	frame_set_dirty_base(&mp->core.frames, f);
	a->latches--;
	return latch_release(word, a->stripe->id) ? tell_slow(mp, (uint32_t)f, word) : 0;
}

PUBLIC int mpool_latch(MPOOL *mp, void *page, unsigned int flags)
{
	struct stripe *s;
	if (unlikely(!handle_knows(&mp, &s)))
		return latch_slow(mp, page, flags);
	_Atomic uint64_t *slot, *words = words_at_hand(mp);
	uint64_t f = quotient(mp, page);
	if (unlikely(!words || f >= mp->core.frames.base.count || !stripe_find(s, slot_pin(f), &slot)))
		return latch_slow(mp, page, flags);
	if (flags == MPOOL_SHARED)
		return latch_beside(mp, page, thread_last.a, words);
	uint64_t w = atomic_load_explicit(&words[f], memory_order_relaxed);
	if (unlikely(flags != MPOOL_EXCLUSIVE || (w & (LATCH_OWNER | LATCH_SHARED | LATCH_TURN)) ||
	             !latch_own(&words[f], &w, s->id, 0)))
		return latch_slow(mp, page, flags);
	thread_last.a->latches++;
	return 0;
}

PUBLIC int mpool_unlatch(MPOOL *mp, void *page, unsigned int flags)
{
	struct stripe *s;
	if (unlikely(!handle_knows(&mp, &s)))
		return unlatch_slow(mp, page, flags);
	_Atomic uint64_t *words = words_at_hand(mp);
	uint64_t f = quotient(mp, page);
	if (unlikely(!words || f >= mp->core.frames.base.count || (flags & ~(unsigned)MPOOL_DIRTY)))
		return unlatch_slow(mp, page, flags);
	if (!latch_owned_by(atomic_load_explicit(&words[f], memory_order_relaxed), s->id))
		return unlatch_shared(mp, page, thread_last.a, flags);
	if (flags & MPOOL_DIRTY)
		return unlatch_dirty(mp, f, thread_last.a);
	thread_last.a->latches--;
	return unlikely(latch_release(&words[f], s->id)) ? tell_slow(mp, (uint32_t)f, &words[f]) : 0;
}

PUBLIC int mpool_upgrade(MPOOL *mp, void *page, uint64_t version)
{
	mp = handle_pool(mp);
	CALL(mp, a);
	return a ? result(upgrade_page(mp, a, page, version)) : -1;
}
