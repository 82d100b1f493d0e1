/*
 * cut.c - mpool_truncate, mpool_invalidate.
 *
 * Owns no state: see evict/cut.h.
 */
#include <errno.h>

#include "api/call.h"
#include "evict/cut.h"

/* 0, or -1 and errno. */
static int result(int error)
{
	errno = error ? error : errno;
	return error ? -1 : 0;
}

PUBLIC int mpool_truncate(MPOOL *mp, pgno_t pages)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL_ON(mp, io, a);
	return a ? result(cut_to(&mp->evict, io, a->stripe, pages)) : -1;
}

PUBLIC int mpool_invalidate(MPOOL *mp, pgno_t first, pgno_t n)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL_ON(mp, io, a);
	return a ? result(cut_forget(&mp->evict, io, a->stripe, first, n)) : -1;
}
