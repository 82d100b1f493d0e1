/* sync.c - mpool_sync. */
#include <errno.h>

#include "api/call.h"
#include "api/quiet.h"
#include "io/sync.h"
#include "os/probe.h"
#include "share/witness.h"

/* 0, or an errno. */
static int sync_pool(MPOOL *mp, struct stripe *me)
{
	sync_begin(&mp->io, me);
	/* Before the writes: it may be that pages are to be written again. */
	int error = witness_have(&mp->sharing, me);
	if (!error)
		error = sync_write(&mp->io, me);
	if (!error)
		error = sync_flush(&mp->io, me);
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
