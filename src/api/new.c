/* new.c - mpool_new, mpool_new_flags, mpool_newf. */
#include <errno.h>

#include "api/fetch.h"
#include "core/tsan.h"

#undef mpool_new

static void *new_page(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	bool request = flags == MPOOL_PAGE_REQUEST; /* anything else: the next, as in FreeBSD */
	CALL_ON(mp, io, a);
	if (!a)
		return NULL;
	if (request ? *pgnoaddr == PAGE_NONE : pageio_pages(&io->file) == PAGE_NONE) {
		errno = request ? EINVAL : EFBIG;
		return NULL;
	}
	struct want want = {.io = io, .fill = request ? FILL_ZERO_EXCL : FILL_ZERO};
	struct pinned p = not_pinned;
	while (p.frame == FRAME_NONE) {
		uint32_t number = request ? *pgnoaddr : pageio_pages(&io->file), in_pool;
		int error = extent_have(io, a->stripe, number, &in_pool);
		if (error) {
			errno = error;
			return NULL;
		}
		/* The frame first, so that no number is used up when there is none; then
		 * the number, which no other call gets from here on, until the file is cut. */
		want.frame = frame_alloc(&mp->evict, a, in_pool, true);
		if (want.frame == FRAME_NONE)
			return NULL;
		want.number = pageio_extend(&io->file, request ? *pgnoaddr : PAGE_NONE, &want.cuts);
		if (want.number == PAGE_NONE) {
			frame_free(&mp->evict, want.frame);
			errno = EFBIG;
			return NULL;
		}
		p = page_fetch(mp, a, want);
		if (p.frame == FRAME_NONE && errno != LOAD_STALE)
			return NULL;
	}
	*pgnoaddr = want.number;
	return tsan_take(&mp->core.region, frame_page(&mp->core.frames, p.frame));
}

PUBLIC void *mpool_new(MPOOL *mp, pgno_t *pgnoaddr)
{
	WHERE_BEGIN();
	return new_page(mp, pgnoaddr, MPOOL_PAGE_NEXT);
}

PUBLIC void *mpool_new_flags(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	WHERE_BEGIN();
	return new_page(mp, pgnoaddr, flags);
}

PUBLIC void *mpool_newf(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	WHERE_BEGIN();
	return new_page(mp, pgnoaddr, flags);
}
