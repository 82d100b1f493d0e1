/* sync.c - mpool_sync. */
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

/* 0, or an errno. */
static int sync_pool(MPOOL *mp, struct stripe *me)
{
	sync_begin(&mp->io, me);
	int kept = pageio_failure(&mp->io.file);
	/* Before the writes: it may be that pages are to be written again. */
	int error = witness_have(&mp->sharing, me);
	if (!error)
		error = first_failure(mp, sync_write(&mp->io, me));
	if (!error)
		error = sync_flush(&mp->io, me);
	if (!error)
		pageio_forget_failure(&mp->io.file, kept);
	sync_end(&mp->io);
	return error;
}

PUBLIC int mpool_sync(MPOOL *mp)
{
	CALL(mp, a);
	if (!a)
		return -1;
	MPOOL_PROBE(sync_start, &mp->core);
	int error = sync_pool(mp, a->stripe);
	MPOOL_PROBE(sync_done, &mp->core, error);
	if (error) {
		errno = error;
		return -1;
	}
	clock_trim(&mp->evict, a->stripe); /* everything is clean: trim the overflow */
	quiet_check_sync(mp, a->stripe);
	return 0;
}
