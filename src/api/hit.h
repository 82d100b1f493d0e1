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
 * The page with that key (core/table.h), pinned; NULL: it takes more than this.  `fenced`: barriers may be fences.
 * `in`: NULL, or the word of a file's map, which must be that still.
 *
 * Three plain stores to the thread's own two lines, and no other write but, now and then, the
 * frame's mark.  It finds pages near their home in the newest table, in frames of segment 0, and
 * neither is ever freed, so it needs no epoch section; page_fetch does all else.
 */
static inline __attribute__((always_inline)) void *page_hit_in(MPOOL *mp, struct stripe *s, uint64_t key, bool fenced,
                                                               const _Atomic uint32_t *in, uint32_t is)
{
	MPOOL_CHECKED(fenced || mp->core.barrier != BARRIER_FENCE, "a hit goes without the fence that it needs", key,
	              mp->core.barrier);
	_Atomic uint64_t *word = table_peek(&mp->core.tables, key);
	if (unlikely(!word))
		return NULL;
	/* Acquire: pairs with table_publish: the page's bytes are there. */
	uint64_t e = atomic_load_explicit(word, memory_order_acquire);
	uint64_t f = entry_resident_frame(e, key);
	_Atomic uint64_t *slot;
	if (unlikely(f >= mp->core.frames.base.count || !stripe_find(s, 0, &slot)))
		return NULL;
	pin_try(slot, f);
	/* Pairs with barrier_heavy in window_scan. */
	barrier_light(fenced ? mp->core.barrier : BARRIER_PROCESS);
	if (unlikely(atomic_load_explicit(word, memory_order_acquire) != e || !stripe_listed(s)) ||
	    (in && unlikely(atomic_load(in) != is))) {
		pin_back_out(slot);
		return NULL;
	}
	pin_confirm(slot, f, 0);
	where_took(&mp->where, slot);
	frame_touch_base(&mp->core.frames, f);
	stripe_count(s, COUNT_HITS, 1);
	void *bytes = tsan_take(&mp->core.region, frame_page_base(&mp->core.frames, f));
	/* So that who asks whether there is a page asks no more. */
	if (!bytes)
		__builtin_unreachable();
	return bytes;
}

/* Page `number` of the attached file that has the map. */
static inline __attribute__((always_inline)) void *page_hit_of(MPOOL *mp, const _Atomic(struct extent_map *) *map,
                                                               struct stripe *s, uint32_t number, bool fenced)
{
	const _Atomic uint32_t *word = extent_word(map, number);
	/* Acquire: the extent is the file's. */
	uint32_t w = word ? atomic_load_explicit(word, memory_order_acquire) : EXTENT_NONE;
	if (unlikely(w == EXTENT_NONE))
		return NULL;
	return page_hit_in(mp, s, extent_key(w, number), fenced, word, w);
}

/* The page of the first file, which has it. */
static inline __attribute__((always_inline)) void *page_hit(MPOOL *mp, struct stripe *s, uint32_t page, bool fenced)
{
	return page_hit_in(mp, s, entry_key(page), fenced, NULL, EXTENT_NONE);
}

#endif
