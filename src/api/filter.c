/* filter.c - mpool_filter, mpool_hooks. */
#include <errno.h>

#include "api/pool.h"
#include "core/thread.h"

PUBLIC void mpool_filter(MPOOL *mp, mpool_filter_t *pgin, mpool_filter_t *pgout, void *pgcookie)
{
	hooks_set_filters(&handle_io(mp)->file.hooks, pgin, pgout, pgcookie);
}

PUBLIC int mpool_hooks(MPOOL *mp, const struct mpool_hooks *hooks, size_t size)
{
	struct hooks *h = &handle_io(mp)->file.hooks;
	int error = thread_filtering.of == h->pool ? EDEADLK : hooks_set(h, hooks, size);
	if (error)
		errno = error;
	return error ? -1 : 0;
}
