/* sync.c - mpool_sync, mpool_sync_range. */
#include <errno.h>

#include "api/call.h"
#include "api/quiet.h"
#include "io/sync.h"
#include "os/probe.h"
#include "share/witness.h"

/* Pages could not be written: what is told is why writes began to fail, be it that it was not sync's. */
static int first_failure(const struct io *io, int error)
{
	int kept = pageio_failure(&io->file);
	return error && kept ? kept : error;
}

/* Have witnesses, which changes with the turn only, and no cut that is in doubt.  0, or an errno. */
static int have_witnesses(MPOOL *mp, struct io *io, struct stripe *me)
{
	/* Who has attached a file has its. */
	bool current = io->slot || witness_current(&mp->sharing);
	if (current && !pageio_is_cut_again(&io->file))
		return 0;
	sync_begin(io, me);
	int error = current ? 0 : witness_have(&mp->sharing, me);
	if (!error)
		error = sync_cut_again(io, me);
	sync_end(io);
	return error;
}

/* Be covered by a flush that begins from now on, be it another's.  0, an errno, or SYNC_AGAIN. */
static int flush(MPOOL *mp, struct io *io, struct stripe *me, uint64_t since)
{
	uint32_t number = sync_next(io);
	if (!sync_lead(io, me, number))
		return sync_result(io, number, since);
	int error = io->slot ? 0 : witness_have(&mp->sharing, me);
	if (!error) {
		sync_gather(io);
		sync_flush(io, me);
		error = sync_result(io, number, since);
	}
	sync_end(io);
	return error;
}

/* Of some pages.  0, an errno, or SYNC_AGAIN. */
static int write_and_flush(MPOOL *mp, struct io *io, struct stripe *me, struct sync_range *range)
{
	/* Before the writes: it may be that pages are to be written again. */
	int error = have_witnesses(mp, io, me);
	uint64_t since = sync_undone(io);
	if (!error)
		error = sync_write(io, me, range);
	return error ? error : flush(mp, io, me, since);
}

/* Of all; `all` is SYNC_ALL, but perhaps for its `whole`. */
static int sync_all(MPOOL *mp, struct io *io, struct stripe *me, struct sync_range *all)
{
	int kept = pageio_failure(&io->file), error = have_witnesses(mp, io, me);
	uint64_t since = sync_undone(io);
	if (!error)
		error = first_failure(io, sync_write(io, me, all));
	if (!error)
		error = flush(mp, io, me, since);
	if (!error && all->withheld == 0) {
		sync_mend(io, since);
		pageio_forget_failure(&io->file, kept);
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
static int flush_written(MPOOL *mp, struct io *io, const struct attachment *a, struct sync_range *range)
{
	uint64_t since = sync_undone(io);
	bool whole = range->whole;
	*range = SYNC_ALL;
	range->whole = whole;
	if (!sync_mended(io, since))
		return may_wait(a) ? sync_all(mp, io, a->stripe, range) : EDEADLK;
	int error = have_witnesses(mp, io, a->stripe);
	return error ? error : flush(mp, io, a->stripe, since);
}

PUBLIC int mpool_sync(MPOOL *mp)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL_ON(mp, io, a);
	if (!may_wait(a))
		return -1;
	MPOOL_PROBE(sync_start, &mp->core);
	int error;
	do
		error = sync_all(mp, io, a->stripe, &SYNC_ALL);
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
static int sync_range(MPOOL *mp, struct io *io, const struct attachment *a, struct sync_range *range, unsigned flags)
{
	if (!(flags & MPOOL_WRITE))
		return flush_written(mp, io, a, range);
	if (flags & MPOOL_FLUSH)
		return range->n == PAGE_NONE ? sync_all(mp, io, a->stripe, range)
		                             : write_and_flush(mp, io, a->stripe, range);
	return sync_write(io, a->stripe, range);
}

PUBLIC ssize_t mpool_sync_range(MPOOL *mp, pgno_t first, pgno_t n, unsigned flags)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL_ON(mp, io, a);
	if (!a)
		return -1;
	if ((flags & ~(MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE)) || !(flags & (MPOOL_WRITE | MPOOL_FLUSH))) {
		errno = EINVAL;
		return -1;
	}
	if ((flags & MPOOL_WRITE) && !may_wait(a))
		return -1;
	/* No page is modified from the end on. */
	uint32_t pages = pageio_pages(&io->file), beyond = first < pages ? pages - first : 0;
	struct sync_range range = {.first = first, .n = n < beyond ? n : beyond, .whole = flags & MPOOL_WHOLE};
	/* All of them: that is what mpool_sync does, and forgets of earlier failures. */
	if (first == 0 && n >= pages)
		range.n = PAGE_NONE;
	int error;
	MPOOL_PROBE(sync_start, &mp->core);
	do
		error = sync_range(mp, io, a, &range, flags);
	while (error == SYNC_AGAIN);
	MPOOL_PROBE(sync_done, &mp->core, error);
	if (!error)
		return range.withheld;
	errno = error;
	return -1;
}
