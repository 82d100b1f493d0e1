/*
 * get.c - mpool_get.
 *
 * Owns no state.  The fast path needs the calling thread's stripe and nothing else of
 * its own; the slow path may do everything.
 */
#include <errno.h>

#include "api/fetch.h"
#include "core/tsan.h"

/* Any get that the fast path below did not finish. */
__attribute__((noinline)) static void *get_slow(MPOOL *mp, pgno_t page, unsigned flags)
{
	CALL(mp, a);
	if (!a)
		return NULL;
	if (page >= pageio_pages(&mp->io.file)) {
		errno = EINVAL;
		return NULL;
	}
	bool peek = flags & MPOOL_IGNOREPIN;
	struct pinned p =
		page_fetch(mp, a, (struct want){page, FILL_READ, peek ? SLOT_PEEK : 0, flags & MPOOL_ONCE, FRAME_NONE});
	if (p.frame == FRAME_NONE)
		return NULL;
	if (peek)
		thread_peek(a, p.slot);
	return tsan_take(&mp->core.region, frame_page(&mp->core.frames, p.frame));
}

/*
 * The hit: three plain stores to the thread's own two lines, and no other write.
 * It finds pages near their home in the newest table, in frames of segment 0, and neither
 * is ever freed, so it needs no epoch section; get_slow does all else.
 */
PUBLIC void *mpool_get(MPOOL *mp, pgno_t page, unsigned int flags)
{
	struct stripe *s;
	WHERE_BEGIN();
	if (unlikely(!thread_knows(mp->core.serial, &s) || (flags & (MPOOL_IGNOREPIN | MPOOL_ONCE))))
		return get_slow(mp, page, flags);
	_Atomic uint64_t *word = table_peek(&mp->core.tables, page);
	if (unlikely(!word))
		return get_slow(mp, page, flags);
	/* Acquire: pairs with table_publish: the page's bytes are there. */
	uint64_t e = atomic_load_explicit(word, memory_order_acquire);
	uint64_t f = entry_resident_frame(e, page);
	_Atomic uint64_t *slot;
	if (unlikely(f >= mp->core.frames.base.count || !stripe_find(s, 0, &slot)))
		return get_slow(mp, page, flags);
	pin_try(slot, f);
	barrier_light(mp->core.barrier); /* pairs with barrier_heavy in window_scan */
	if (unlikely(atomic_load_explicit(word, memory_order_acquire) != e || !stripe_listed(s))) {
		pin_back_out(slot);
		return get_slow(mp, page, flags);
	}
	pin_confirm(slot, f, 0);
	where_took(&mp->where, slot);
	frame_touch_base(&mp->core.frames, f);
	stripe_count(s, COUNT_HITS, 1);
	return tsan_take(&mp->core.region, frame_page_base(&mp->core.frames, f));
}
