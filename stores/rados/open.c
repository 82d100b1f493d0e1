/*
 * open.c - a pool and its store, opened and closed together.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.h"

#include <errno.h>

PUBLIC MPOOL *mpool_open_rados(const struct mpool_rados_how *how, size_t size, pgno_t pagesize, pgno_t maxcache,
                               MPOOL_RADOS **store)
{
	const struct mpool_store *calls = mpool_rados_calls();
	MPOOL_RADOS *r = mpool_rados_open(how, size);
	if (r == NULL)
		return NULL;
	MPOOL *mp = mpool_open_store(calls, sizeof *calls, r, pagesize, maxcache);
	int error = errno;
	if (mp == NULL) {
		calls->close(r);
	} else if (mpool_rados_serve(r, mp) != 0) {
		error = errno;
		mpool_rados_close(r);
		mp = NULL;
	} else if (store != NULL) {
		*store = r;
	}
	errno = error;
	return mp;
}
