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
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL_ON(mp, io, a);
	if (!a)
		return NULL;
	if (page >= pageio_pages(&io->file)) {
		errno = EINVAL;
		return NULL;
	}
	bool peek = flags & MPOOL_IGNOREPIN;
	struct want want = {.io = io,
	                    .number = page,
	                    .slot_flags = peek ? SLOT_PEEK : 0,
	                    .once = flags & MPOOL_ONCE,
	                    .frame = FRAME_NONE};
	struct pinned p = flags & MPOOL_CACHED ? page_cached(mp, a, &want) : page_fetch(mp, a, want);
	if (p.frame == FRAME_NONE) {
		if (flags & MPOOL_CACHED)
			failed_tell(mp, io, page);
		return NULL;
	}
	if (peek)
		thread_peek(a, p.slot);
	return tsan_take(&mp->core.region, frame_page(&mp->core.frames, p.frame));
}

/* Of an attached file, with flags, or where barriers are fences. */
__attribute__((noinline)) static void *get_attached_slow(MPOOL *mp, pgno_t page, unsigned flags, struct stripe *s)
{
	const struct attached *f = handle_of(mp)->attached;
	void *bytes = page_hit_of(f->pool, &f->handle.map, s, page, true);
	return likely(bytes) ? bytes : get_slow(mp, page, flags);
}

/* Where there is more to a hit: of the first file others may have pages with the numbers that it does not have. */
__attribute__((noinline)) static void *get_other(MPOOL *mp, pgno_t page, unsigned flags, struct stripe *s)
{
	if (unlikely(flags & (MPOOL_IGNOREPIN | MPOOL_ONCE)))
		return get_slow(mp, page, flags);
	if (handle_of(mp)->attached)
		return get_attached_slow(mp, page, flags, s);
	void *bytes = pageio_has(&mp->io.file, page) ? page_hit(mp, s, page, true) : NULL;
	return likely(bytes) ? bytes : get_slow(mp, page, flags);
}

static inline __attribute__((always_inline)) void *get_attached(MPOOL *mp, pgno_t page, struct stripe *s)
{
	/* What the slow path needs waits in memory: for registers others would have to be saved, in every hit. */
	MPOOL *volatile handle = mp;
	volatile pgno_t number = page;
	const struct attached *f = (const struct attached *)handle_of(mp);
	void *bytes = page_hit_of(f->pool, &f->handle.map, s, page, false);
	return likely(bytes) ? bytes : get_slow(handle, number, 0);
}

/* One test for what is not the hit of a pool with one file. */
#define GET_MORE (HITS_ATTACHED | HITS_OTHER | MPOOL_IGNOREPIN | MPOOL_ONCE)

PUBLIC void *mpool_get(MPOOL *mp, pgno_t page, unsigned int flags)
{
	struct stripe *s;
	WHERE_BEGIN();
	if (unlikely(!thread_knows(handle_of(mp)->serial, &s)))
		return get_slow(mp, page, flags);
	uint64_t how = flags | handle_hits(mp);
	if (unlikely(how & GET_MORE))
		return likely(how == HITS_ATTACHED) ? get_attached(mp, page, s) : get_other(mp, page, flags, s);
	void *bytes = page_hit(mp, s, page, false);
	return likely(bytes) ? bytes : get_slow(mp, page, flags);
}
