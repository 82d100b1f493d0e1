/*
 * get.c - mpool_get.
 *
 * Owns no state.  The fast path is hit.h's; the slow path may do everything.
 */
#include <errno.h>

#include "api/failed.h"
#include "api/fetch.h"
#include "api/hit.h"
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
	struct want want = {page, FILL_READ, peek ? SLOT_PEEK : 0, flags & MPOOL_ONCE, FRAME_NONE};
	struct pinned p = flags & MPOOL_CACHED ? page_cached(mp, a, &want) : page_fetch(mp, a, want);
	if (p.frame == FRAME_NONE) {
		if (flags & MPOOL_CACHED)
			failed_tell(mp, page);
		return NULL;
	}
	if (peek)
		thread_peek(a, p.slot);
	return tsan_take(&mp->core.region, frame_page(&mp->core.frames, p.frame));
}

PUBLIC void *mpool_get(MPOOL *mp, pgno_t page, unsigned int flags)
{
	struct stripe *s;
	WHERE_BEGIN();
	if (unlikely(!thread_knows(mp->core.serial, &s) || (flags & (MPOOL_IGNOREPIN | MPOOL_ONCE))))
		return get_slow(mp, page, flags);
	void *bytes = page_hit(mp, s, page);
	return likely(bytes) ? bytes : get_slow(mp, page, flags);
}
