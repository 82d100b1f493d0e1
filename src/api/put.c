/* put.c - mpool_put; see put.h. */
#include "api/put.h"

#include <errno.h>

#include "core/changed.h"
#include "core/tsan.h"
#include "core/window.h"

enum proof { PROOF_AGAIN, PROOF_CLAIMED, PROOF_UNPINNED };

/*
 * Is the frame unpinned?  A scan that finds no pin proves nothing, since a pin
 * can move from slot to slot behind it; a closed window without tries proves
 * it.  Called in an epoch section, which it leaves.
 */
static enum proof prove(MPOOL *mp, struct attachment *a, uint32_t frame, struct frame *fr)
{
	struct window w;
	w.n = 0;
	bool claimed = frame_claim(fr, a->stripe->id);
	bool closed = claimed && window_add(&mp->core, &w, frame);
	epoch_leave(a->stripe);
	if (!closed)
		return claimed ? PROOF_AGAIN : PROOF_CLAIMED;
	const struct victim *v = &w.victim[0];
	window_scan(&mp->core, a->stripe, &w);
	bool rescued = !victim_reopen(v);
	victim_release(&mp->core, v);
	/* A pin of another process cannot be put by this one. */
	return v->own > 0 || rescued ? PROOF_AGAIN : PROOF_UNPINNED;
}

/*
 * A put that found no pin, of a frame that another thread has claimed: that may be a
 * loader, which reads, so sleep; but a correct put finds its pin in one or two more scans,
 * and must not wait for another thread.
 */
#define PUT_LOOKS 64

int page_put(MPOOL *mp, struct attachment *a, const void *pgaddr, unsigned flags)
{
	for (unsigned look = 1;; look++) {
		epoch_enter(&mp->core.epoch, a->stripe);
		uint32_t f = frame_at(&mp->core.frames, pgaddr);
		struct frame *fr = f == FRAME_NONE ? NULL : frame_live(&mp->core.frames, f);
		if (!fr || atomic_load(&fr->word) == FRAME_FREE) {
			epoch_leave(a->stripe);
			break;
		}
		_Atomic uint64_t *slot = thread_slot_of(a, f);
		if (!slot) {
			pin_lock_puts(&mp->core.pins);
			slot = pin_find(&mp->core.pins, f);
		}
		if (!slot) {
			uint32_t page = atomic_load_explicit(&fr->page, memory_order_relaxed);
			enum proof proof = prove(mp, a, f, fr);
			if (proof == PROOF_UNPINNED)
				break;
			if (proof == PROOF_CLAIMED && look % PUT_LOOKS == 0)
				frame_wait(&mp->core, a->stripe, f, page);
			continue;
		}
		if (flags & MPOOL_DIRTY)
			frame_set_dirty(&mp->core.frames, f);
		tsan_give(&mp->core.region, pgaddr);
		bool dropped = pin_drop(slot, f);
		epoch_leave(a->stripe);
		if (dropped)
			return 0;
	}
	errno = EINVAL;
	return -1;
}

/* Any put that the fast path below did not finish. */
__attribute__((noinline)) static int put_slow(MPOOL *mp, const void *pgaddr, unsigned flags)
{
	CALL(mp, a);
	return a ? page_put(mp, a, pgaddr, flags) : -1;
}

/*
 * A put of a modified page whose bit is off; the rest of the fast path.  The call that follows it is the last
 * thing that the fast path does, so that this needs no registers there.
 */
__attribute__((noinline)) static int put_noting(MPOOL *mp, struct stripe *s, _Atomic uint64_t *slot, uint32_t f,
                                                const void *pgaddr)
{
	changed_note(mp->core.frames.base.changed_bits, f);
	tsan_give(&mp->core.region, pgaddr);
	return pin_drop_own(&mp->core.pins, s, slot, f) ? 0 : put_slow(mp, pgaddr, MPOOL_DIRTY);
}

/* The calling thread's pin, in its stripe. */
static inline __attribute__((always_inline)) int put_fast(MPOOL *mp, struct stripe *s, const void *pgaddr,
                                                          unsigned flags)
{
	uint64_t f = frame_quotient(&mp->core.frames, mp->core.frames.base.pages, pgaddr);
	_Atomic uint64_t *slot;
	if (unlikely(f >= mp->core.frames.base.count || !stripe_find(s, slot_pin(f), &slot)))
		return put_slow(mp, pgaddr, flags);
	if (unlikely(flags & MPOOL_DIRTY)) {
		/* Dirty before unpinned: an evictor that finds no pin must find the mark. */
		frame_mark_dirty(&mp->core.frames.base.frame[f]);
		if (unlikely(!changed_bit(mp->core.frames.base.changed_bits, f)))
			return put_noting(mp, s, slot, (uint32_t)f, pgaddr);
	}
	tsan_give(&mp->core.region, pgaddr);
	if (likely(pin_drop_own(&mp->core.pins, s, slot, (uint32_t)f)))
		return 0;
	return put_slow(mp, pgaddr, flags);
}

PUBLIC int mpool_put(MPOOL *mp, void *pgaddr, unsigned int flags)
{
	struct stripe *s;
	return likely(handle_knows(&mp, &s)) ? put_fast(mp, s, pgaddr, flags) : put_slow(mp, pgaddr, flags);
}
