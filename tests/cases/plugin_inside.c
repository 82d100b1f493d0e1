/*
 * plugin_inside.c - the plug-in of plugin.c, with libmpool.a in it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <stddef.h>

#include <mpool.h>

#include "plugin.h"

__attribute__((visibility("default"))) plugin_step plugin;

static MPOOL *pool;

int plugin(int step, int fd)
{
	if (step == PLUGIN_OPEN) {
		pool = mpool_open(NULL, fd, PLUGIN_PAGE, 10);
		return pool ? 0 : errno;
	}
	if (step == PLUGIN_CLOSE)
		return mpool_close(pool);
	void *page = mpool_get(pool, 0, 0);
	return page ? mpool_put(pool, page, 0) : errno;
}
