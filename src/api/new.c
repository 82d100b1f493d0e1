/* new.c - mpool_new, mpool_new_flags, mpool_newf. */
#include <errno.h>

#include "api/fetch.h"
#include "core/tsan.h"

#undef mpool_new

static void *new_page(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	bool request = flags == MPOOL_PAGE_REQUEST; /* anything else: the next, as in FreeBSD */
	CALL(mp, a);
	if (!a)
		return NULL;
	if (request ? *pgnoaddr == PAGE_NONE : pageio_pages(&mp->io.file) == PAGE_NONE) {
		errno = request ? EINVAL : EFBIG;
		return NULL;
	}
	/* The frame first, so that no number is used up when there is none; then
	 * the number, which no other call gets from here on. */
	uint32_t f = frame_alloc(&mp->evict, a, request ? *pgnoaddr : pageio_pages(&mp->io.file), true);
	if (f == FRAME_NONE)
		return NULL;
	uint32_t page = pageio_extend(&mp->io.file, request ? *pgnoaddr : PAGE_NONE);
	if (page == PAGE_NONE) {
		frame_free(&mp->evict, f);
		errno = EFBIG;
		return NULL;
	}
	struct pinned p = page_fetch(mp, a, (struct want){page, request ? FILL_ZERO_EXCL : FILL_ZERO, 0, false, f});
	if (p.frame == FRAME_NONE)
		return NULL;
	*pgnoaddr = page;
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
