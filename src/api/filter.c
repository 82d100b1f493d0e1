/* filter.c - mpool_filter, mpool_hooks. */
#include <errno.h>

#include "api/pool.h"
#include "core/thread.h"

PUBLIC void mpool_filter(MPOOL *mp, mpool_filter_t *pgin, mpool_filter_t *pgout, void *pgcookie)
{
	hooks_set_filters(&mp->io.file.hooks, pgin, pgout, pgcookie);
}

PUBLIC int mpool_hooks(MPOOL *mp, const struct mpool_hooks *hooks, size_t size)
{
	struct hooks *h = &mp->io.file.hooks;
	int error = thread_filtering.of == h ? EDEADLK : hooks_set(h, hooks, size);
	if (error)
		errno = error;
	return error ? -1 : 0;
}
