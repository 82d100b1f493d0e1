/*
 * hit.h - a hit.
 *
 * Owns no state.  It needs the calling thread's stripe and nothing else of its own.
 */
#ifndef MPOOL_HIT_H
#define MPOOL_HIT_H

#include "api/pool.h"
#include "core/tsan.h"

/*
 * The page, pinned; NULL: it takes more than this.
 *
 * Three plain stores to the thread's own two lines, and no other write but, now and then, the
 * frame's mark.  It finds pages near their home in the newest table, in frames of segment 0, and
 * neither is ever freed, so it needs no epoch section; page_fetch does all else.
 */
static inline void *page_hit(MPOOL *mp, struct stripe *s, uint32_t page)
{
	_Atomic uint64_t *word = table_peek(&mp->core.tables, page);
	if (unlikely(!word))
		return NULL;
	/* Acquire: pairs with table_publish: the page's bytes are there. */
	uint64_t e = atomic_load_explicit(word, memory_order_acquire);
	uint64_t f = entry_resident_frame(e, page);
	_Atomic uint64_t *slot;
	if (unlikely(f >= mp->core.frames.base.count || !stripe_find(s, 0, &slot)))
		return NULL;
	pin_try(slot, f);
	barrier_light(mp->core.barrier); /* pairs with barrier_heavy in window_scan */
	if (unlikely(atomic_load_explicit(word, memory_order_acquire) != e || !stripe_listed(s))) {
		pin_back_out(slot);
		return NULL;
	}
	pin_confirm(slot, f, 0);
	where_took(&mp->where, slot);
	frame_touch_base(&mp->core.frames, f);
	stripe_count(s, COUNT_HITS, 1);
	return tsan_take(&mp->core.region, frame_page_base(&mp->core.frames, f));
}

#endif
