/* sync.c - mpool_sync, mpool_sync_range. */
#include <errno.h>

#include "api/call.h"
#include "api/quiet.h"
#include "io/sync.h"
#include "os/probe.h"
#include "share/witness.h"

/* Pages could not be written: what is told is why writes began to fail, be it that it was not sync's. */
static int first_failure(const MPOOL *mp, int error)
{
	int kept = pageio_failure(&mp->io.file);
	return error && kept ? kept : error;
}

/* Have witnesses, which changes with the turn only.  0, or an errno. */
static int have_witnesses(MPOOL *mp, struct stripe *me)
{
	if (witness_current(&mp->sharing))
		return 0;
	sync_begin(&mp->io, me);
	int error = witness_have(&mp->sharing, me);
	sync_end(&mp->io);
	return error;
}

/* Be covered by a flush that begins from now on, be it another's.  0, an errno, or SYNC_AGAIN. */
static int flush(MPOOL *mp, struct stripe *me, uint64_t since)
{
	uint32_t number = sync_next(&mp->io);
	if (!sync_lead(&mp->io, me, number))
		return sync_result(&mp->io, number, since);
	int error = witness_have(&mp->sharing, me);
	if (!error) {
		sync_gather(&mp->io);
		sync_flush(&mp->io, me);
		error = sync_result(&mp->io, number, since);
	}
	sync_end(&mp->io);
	return error;
}

/* Of some pages.  0, an errno, or SYNC_AGAIN. */
static int write_and_flush(MPOOL *mp, struct stripe *me, struct sync_range *range)
{
	/* Before the writes: it may be that pages are to be written again. */
	int error = have_witnesses(mp, me);
	uint64_t since = sync_undone(&mp->io);
	if (!error)
		error = sync_write(&mp->io, me, range);
	return error ? error : flush(mp, me, since);
}

/* Of all. */
static int sync_all(MPOOL *mp, struct stripe *me)
{
	int kept = pageio_failure(&mp->io.file), error = have_witnesses(mp, me);
	uint64_t since = sync_undone(&mp->io);
	if (!error)
		error = first_failure(mp, sync_write(&mp->io, me, &SYNC_ALL));
	if (!error)
		error = flush(mp, me, since);
	if (!error) {
		sync_mend(&mp->io, since);
		pageio_forget_failure(&mp->io.file, kept);
	}
	return error;
}

/* A sync waits for exclusive latches: the caller must have none.  False and errno. */
static bool may_wait(const struct attachment *a)
{
	if (a && a->latches > 0)
		errno = EDEADLK;
	return a && a->latches == 0;
}

/* What was written is flushed; if some of that is modified again, since a flush came to nothing, all is written. */
static int flush_written(MPOOL *mp, const struct attachment *a)
{
	uint64_t since = sync_undone(&mp->io);
	if (!sync_mended(&mp->io, since))
		return may_wait(a) ? sync_all(mp, a->stripe) : EDEADLK;
	int error = have_witnesses(mp, a->stripe);
	return error ? error : flush(mp, a->stripe, since);
}

PUBLIC int mpool_sync(MPOOL *mp)
{
	CALL(mp, a);
	if (!may_wait(a))
		return -1;
	MPOOL_PROBE(sync_start, &mp->core);
	int error;
	do
		error = sync_all(mp, a->stripe);
	while (error == SYNC_AGAIN);
	MPOOL_PROBE(sync_done, &mp->core, error);
	if (error) {
		errno = error;
		return -1;
	}
	clock_trim(&mp->evict, a->stripe); /* everything is clean: trim the overflow */
	quiet_check_sync(mp, a->stripe);
	return 0;
}

/* As the flags say.  0, an errno, or SYNC_AGAIN. */
static int sync_range(MPOOL *mp, const struct attachment *a, struct sync_range *range, unsigned flags)
{
	if (!(flags & MPOOL_WRITE))
		return flush_written(mp, a);
	if (flags & MPOOL_FLUSH)
		return write_and_flush(mp, a->stripe, range);
	return sync_write(&mp->io, a->stripe, range);
}

PUBLIC ssize_t mpool_sync_range(MPOOL *mp, pgno_t first, pgno_t n, unsigned flags)
{
	CALL(mp, a);
	if (!a)
		return -1;
	if ((flags & ~(MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE)) || !(flags & (MPOOL_WRITE | MPOOL_FLUSH))) {
		errno = EINVAL;
		return -1;
	}
	if ((flags & MPOOL_WRITE) && !may_wait(a))
		return -1;
	/* No page is modified from the end on. */
	uint32_t pages = pageio_pages(&mp->io.file), beyond = first < pages ? pages - first : 0;
	struct sync_range range = {.first = first, .n = n < beyond ? n : beyond, .whole = flags & MPOOL_WHOLE};
	int error;
	MPOOL_PROBE(sync_start, &mp->core);
	do
		error = sync_range(mp, a, &range, flags);
	while (error == SYNC_AGAIN);
	MPOOL_PROBE(sync_done, &mp->core, error);
	if (!error)
		return range.withheld;
	errno = error;
	return -1;
}
