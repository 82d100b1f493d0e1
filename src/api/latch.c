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

int latches_begin(MPOOL *mp)
{
	if (latches_ready(&mp->core))
		return 0;
	if (!region_shared(&mp->core.region))
		return latches_make(&mp->core);
	/* Nobody else makes them now, or lets the pool grow. */
	struct hold lock = {NULL, -1};
	struct member_object object = share_object(&mp->sharing);
	int error = member_lock(&lock, &object, LOCK_TIMEOUT_S);
	if (error)
		return error;
	error = latches_make(&mp->core);
	member_unlock(&lock);
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

/* The number of a page's frame in segment 0, where there are latches and the thread's next call may be a hit; or more than there are. */
static inline uint64_t frame_at_hand(const MPOOL *mp, const struct attachment *a, const void *page)
{
	return likely(a && latches_ready(&mp->core))
	               ? frame_quotient(&mp->core.frames, mp->core.frames.base.pages, page)
	               : UINT64_MAX;
}

PUBLIC int mpool_latch(MPOOL *mp, void *page, unsigned int flags)
{
	struct attachment *a = thread_attached(mp->core.serial);
	uint64_t f = frame_at_hand(mp, a, page);
	_Atomic uint64_t *slot, *mark;
	if (unlikely(f >= mp->core.frames.base.count || !stripe_find(a->stripe, slot_pin(f), &slot)))
		return latch_slow(mp, page, flags);
	_Atomic uint64_t *word = &latch_words(&mp->core)[f];
	uint64_t w = atomic_load_explicit(word, memory_order_relaxed);
	if (flags == MPOOL_EXCLUSIVE) {
		if (unlikely((w & (LATCH_OWNER | LATCH_SHARED)) || !latch_own(word, &w, a->stripe->id)))
			return latch_slow(mp, page, flags);
		a->latches++;
		return 0;
	}
	if (unlikely(flags != MPOOL_SHARED || !latch_sharable(w) || !a->marks ||
	             marks_find(a->marks, mark_of((uint32_t)f)) || !(mark = marks_find(a->marks, 0)) ||
	             !latch_mark(&mp->core, (uint32_t)f, word, mark, &w)))
		return latch_slow(mp, page, flags);
	return 0;
}

PUBLIC int mpool_unlatch(MPOOL *mp, void *page, unsigned int flags)
{
	struct attachment *a = thread_attached(mp->core.serial);
	uint64_t f = frame_at_hand(mp, a, page);
	if (unlikely(f >= mp->core.frames.base.count || (flags & ~(unsigned)MPOOL_DIRTY)))
		return unlatch_slow(mp, page, flags);
	_Atomic uint64_t *word = &latch_words(&mp->core)[f];
	bool exclusive = latch_owned_by(atomic_load_explicit(word, memory_order_relaxed), a->stripe->id);
	_Atomic uint64_t *mark = exclusive || !a->marks ? NULL : marks_find(a->marks, mark_of((uint32_t)f));
	if (unlikely(!exclusive && !mark))
		return unlatch_slow(mp, page, flags);
	/* Before the latch goes: without a pin, an evictor that finds no latch must find the mark. */
	if (flags & MPOOL_DIRTY)
		frame_set_dirty_base(&mp->core.frames, f);
	if (mark) {
		latch_unmark(&mp->core, (uint32_t)f, word, mark);
		return 0;
	}
	a->latches--;
	return unlikely(latch_release(word, a->stripe->id)) ? tell_slow(mp, (uint32_t)f, word) : 0;
}

PUBLIC int mpool_upgrade(MPOOL *mp, void *page, uint64_t version)
{
	CALL(mp, a);
	return a ? result(upgrade_page(mp, a, page, version)) : -1;
}
