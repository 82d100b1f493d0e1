/* load.c - see load.h. */
#include "api/load.h"

#include <errno.h>

#include "api/failed.h"
#include "core/latch.h"
#include "core/resize.h"
#include "core/tsan.h"

const struct pinned not_pinned = {FRAME_NONE, NULL};

struct pinned load_fail(MPOOL *mp, struct attachment *a, const struct load *l)
{
	int error = errno;
	epoch_enter(&mp->core.epoch, a->stripe);
	table_end_load(&l->at, l->page, a->stripe->id);
	epoch_leave(a->stripe);
	if (l->frame != FRAME_NONE)
		frame_free(&mp->evict, l->frame);
	wait_notify(mp->core.wait, wait_for_page(l->page));
	errno = error;
	return not_pinned;
}

/* The frame's page is about to be published: if it is on the torn-page list, mark the frame abandoned; if it was requested anew, take it off. */
static void inherit_torn_mark(MPOOL *mp, uint32_t page, const struct want *want, uint32_t frame, struct frame *fr)
{
	latch_whole(&mp->core, frame);
	if (want->fill == FILL_ZERO_EXCL)
		torn_remove(mp->io.torn, page);
	else if (torn_has(mp->io.torn, page))
		latch_abandon(&mp->core, frame, fr);
}

/* The frame is of this page from now on, whose entry is loading still. */
static struct frame *install(MPOOL *mp, const struct load *l, const struct want *want, enum mark mark)
{
	struct frame *fr = frame_of(&mp->core.frames, l->frame);
	inherit_torn_mark(mp, l->page, want, l->frame, fr);
	atomic_store_explicit(&fr->page, l->page, memory_order_relaxed);
	atomic_store_explicit(frame_mark(&mp->core.frames, l->frame), mark, memory_order_relaxed);
	page_installed(&mp->evict, l->frame, l->page, want->once);
	return fr;
}

/* False: it is stale. */
static bool publish(MPOOL *mp, const struct attachment *a, const struct load *l)
{
	tsan_give(&mp->core.region, frame_page(&mp->core.frames, l->frame)); /* another process may move the entry */
	FRAME_CHECK_HELD(frame_of(&mp->core.frames, l->frame), l->page);
	return table_publish(&l->at, l->page, a->stripe->id, l->frame);
}

/* What was read is not to be used any more. */
static struct pinned give_up(MPOOL *mp, struct attachment *a, const struct load *l, unsigned reads)
{
	stripe_count(a->stripe, COUNT_READS, reads);
	errno = LOAD_STALE;
	return load_fail(mp, a, l);
}

/* It is published: others may have its frame. */
static void release(MPOOL *mp, const struct attachment *a, const struct load *l, struct frame *fr, unsigned reads)
{
	core_unclaim(&mp->core, l->frame, fr);
	wait_notify(mp->core.wait, wait_for_page(l->page));
	stripe_count(a->stripe, COUNT_READS, reads);
}

struct pinned load_publish(MPOOL *mp, struct attachment *a, const struct load *l, const struct want *want,
                           unsigned reads)
{
	_Atomic uint64_t *slot = thread_slot(&mp->core, a, l->frame);
	if (!slot) {
		errno = ENOMEM;
		return load_fail(mp, a, l);
	}
	struct frame *fr = install(mp, l, want, MARK_CLEAR);
	failed_forget(mp, l->page);
	extent_count(&mp->io, l->page, IO_MISSES, want->fill == FILL_READ);
	extent_count(&mp->io, l->page, IO_READS, reads);
	/* The slot before the entry: an evictor of the page must see the pin.  A try
	 * until then: no put may take it for a pin. */
	pin_try(slot, l->frame);
	pin_show(&mp->core.pins, slot_stripe(slot), mp->core.barrier);
	if (!publish(mp, a, l)) {
		pin_back_out(slot);
		return give_up(mp, a, l, reads);
	}
	pin_confirm(slot, l->frame, want->slot_flags);
	where_took(&mp->where, slot);
	release(mp, a, l, fr, reads);
	stripe_count(a->stripe, COUNT_MISSES, want->fill == FILL_READ);
	return (struct pinned){l->frame, slot};
}

void load_leave(MPOOL *mp, struct attachment *a, const struct load *l, unsigned reads)
{
	static const struct want ahead = {.fill = FILL_READ, .once = true};
	struct frame *fr = install(mp, l, &ahead, MARK_AHEAD);
	failed_forget(mp, l->page);
	extent_count(&mp->io, l->page, IO_READS, reads);
	ahead_count(&mp->evict); /* before it can be used */
	if (publish(mp, a, l)) {
		release(mp, a, l, fr, reads);
		return;
	}
	page_forgotten(&mp->evict, l->frame);
	(void)give_up(mp, a, l, reads);
}

void load_withdraw(MPOOL *mp, const struct attachment *a, uint32_t page, const struct table_ref *at)
{
	table_end_load(at, page, a->stripe->id);
	wait_notify(mp->core.wait, wait_for_page(page));
}

enum load_state load_begin(MPOOL *mp, struct attachment *a, uint32_t page, uint64_t seen, struct table_ref *at)
{
	switch (table_insert(&mp->core.tables, page, a->stripe->id, seen, at)) {
	case INSERT_WON:
		return LOAD_WON;
	case INSERT_FULL:
		return resize_grow(&mp->core, a->stripe->id, at->table) == 0 ? LOAD_LOST : LOAD_NO_MEMORY;
	default:
		return LOAD_LOST;
	}
}
