/* delete.c - mpool_delete. */
#include <errno.h>

#include "api/call.h"
#include "core/latch.h"
#include "core/tsan.h"
#include "io/writeback.h"

/* The caller's exclusive latch of the page; NULL: it has none. */
static _Atomic uint64_t *own_latch(const MPOOL *mp, const struct attachment *a, const struct victim *v)
{
	_Atomic uint64_t *word = v->latched ? latch_word(&mp->core, v->frame) : NULL;
	return word && latch_owned_by(atomic_load(word), a->stripe->id) ? word : NULL;
}

/* The page is in no table any more: the caller's latch of it ends. */
static void end_latch(MPOOL *mp, struct attachment *a, uint32_t frame, _Atomic uint64_t *latch)
{
	a->latches--;
	if (latch_release(latch, a->stripe->id))
		latch_tell_all(&mp->core, frame, latch);
}

/* The closed window of mpool_delete.  0, or an errno; EAGAIN: try again. */
static int delete_victim(MPOOL *mp, struct attachment *a, const struct victim *v)
{
	_Atomic uint64_t *latch = own_latch(mp, a, v);
	bool latched = v->latched && !latch;
	if (v->pins != 1 || v->tries + v->peeks > 0 || v->own == 0 || latched) {
		int error = v->own == 0 ? EINVAL : v->pins > 0 || latched ? EBUSY : EAGAIN;
		if (!victim_reopen(v))
			error = EAGAIN; /* rescued: there is one pin more */
		victim_release(&mp->core, v);
		return error;
	}
	/* Earlier writes of the page may fail like those of any other that leaves memory. */
	uint32_t word = atomic_load(&v->fr->word);
	pageio_left(&whose_page(&mp->io, v->page).io->file, word & FRAME_UNSYNCED(0), word & FRAME_UNSYNCED(1));
	if (word & FRAME_WRITTEN_PINNED)
		victim_note_torn(&mp->io, v);
	tsan_give(&mp->core.region, frame_page(&mp->core.frames, v->frame));
	FRAME_CHECK_HELD(v->fr, v->page);
	epoch_enter(&mp->core.epoch, a->stripe);
	latch_changed(&mp->core, v->frame);
	bool freed = table_free(&v->entry, entry_word(v->page, ENTRY_CLOSING, v->frame));
	epoch_leave(a->stripe);
	if (!freed) {
		victim_release(&mp->core, v);
		return EAGAIN;
	}
	if (latch)
		end_latch(mp, a, v->frame, latch);
	pin_lock_puts(&mp->core.pins);
	_Atomic uint64_t *slot = pin_find(&mp->core.pins, v->frame);
	if (slot)
		pin_drop(slot, v->frame);
	frame_free(&mp->evict, v->frame);
	return 0;
}

PUBLIC int mpool_delete(MPOOL *mp, void *pgaddr)
{
	mp = handle_pool(mp);
	CALL(mp, a);
	if (!a)
		return -1;
	int error;
	do {
		struct window w;
		w.n = 0;
		error = EAGAIN;
		epoch_enter(&mp->core.epoch, a->stripe);
		uint32_t f = frame_at(&mp->core.frames, pgaddr);
		struct frame *fr = f == FRAME_NONE ? NULL : frame_live(&mp->core.frames, f);
		uint32_t word = fr ? atomic_load(&fr->word) : FRAME_FREE;
		uint32_t page = fr ? atomic_load_explicit(&fr->page, memory_order_relaxed) : PAGE_NONE;
		bool claimed = fr && frame_claim(fr, a->stripe->id);
		bool closed = claimed && window_add(&mp->core, &w, f);
		epoch_leave(a->stripe);
		if (closed) {
			window_scan(&mp->core, a->stripe, &w);
			/* One look may miss a get that counts up (pin_entry): its count in the one
			 * slot before, its try in the other after.  A scan that missed the try
			 * sees the count the second time, and no get can begin in between. */
			if (w.victim[0].pins == 1 && w.victim[0].tries == 0)
				window_scan(&mp->core, a->stripe, &w);
			error = delete_victim(mp, a, &w.victim[0]);
		} else if (word == FRAME_FREE) {
			error = EINVAL;
		} else if (!claimed) {
			frame_wait(&mp->core, a->stripe, f, page);
		}
	} while (error == EAGAIN);
	if (!error)
		return 0;
	errno = error;
	return -1;
}
