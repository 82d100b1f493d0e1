/*
 * tune.c - mpool_tune, mpool_tuned.
 *
 * Owns no state: each setting is its module's.
 */
#include <errno.h>

#include "api/call.h"
#include "core/latch.h"
#include "core/resize.h"
#include "io/engine.h"

/* More than any read ahead has. */
#define READAHEAD_MAX (1u << 20)

static int set_readahead(MPOOL *mp, uint64_t value)
{
	if (value > READAHEAD_MAX)
		return EINVAL;
	atomic_store(&mp->readahead, (uint32_t)value);
	return 0;
}

static int set_latched(MPOOL *mp, uint64_t value)
{
	if (value > 1)
		return EINVAL;
	atomic_store(&mp->core.latch->latched, (uint32_t)value);
	return 0;
}

static int set_maxcache(MPOOL *mp, struct attachment *a, uint64_t value)
{
	if (value > MAX_PAGE_NUMBER)
		return EINVAL;
	int error = clock_limit(&mp->evict, a->stripe, value ? (uint32_t)value : 1);
	/* The table becomes as small as it may be, or larger when there is more to hold. */
	if (!error)
		resize_step(&mp->core, a->stripe);
	return error;
}

static int set(MPOOL *mp, struct attachment *a, int what, uint64_t value)
{
	if (what == MPOOL_MAXCACHE)
		return set_maxcache(mp, a, value);
	if (what == MPOOL_LATCHED)
		return set_latched(mp, value);
	if (what == MPOOL_READAHEAD)
		return set_readahead(mp, value);
	if (what == MPOOL_CLEANERS)
		return cleaner_set(&mp->cleaners, value);
	if (what != MPOOL_IO_ENGINE && what != MPOOL_IO_DEPTH)
		return EINVAL;
	struct engine *e = engine_of(&mp->io);
	if (!e)
		return ENOMEM;
	return what == MPOOL_IO_ENGINE ? engine_want(e, value) : engine_set_depth(e, value);
}

static int get(MPOOL *mp, int what, uint64_t *value)
{
	const struct engine *e = atomic_load(&mp->io.engine);
	switch (what) {
	case MPOOL_MAXCACHE:
		*value = frames_capacity(&mp->core.frames);
		return 0;
	case MPOOL_READAHEAD:
		*value = atomic_load(&mp->readahead);
		return 0;
	case MPOOL_LATCHED:
		*value = atomic_load(&mp->core.latch->latched);
		return 0;
	case MPOOL_CLEANERS:
		*value = atomic_load(&mp->cleaners.wanted);
		return 0;
	case MPOOL_IO_ENGINE:
		*value = e ? atomic_load(&e->wanted) : ENGINE_AUTO;
		return 0;
	case MPOOL_IO_DEPTH:
		*value = e ? atomic_load(&e->depth) : ENGINE_DEPTH;
		return 0;
	default:
		return EINVAL;
	}
}

/* 0, or -1 and errno. */
static int result(int error)
{
	errno = error ? error : errno;
	return error ? -1 : 0;
}

PUBLIC int mpool_tune(MPOOL *mp, int what, uint64_t value)
{
	mp = handle_pool(mp);
	CALL(mp, a);
	return a ? result(set(mp, a, what, value)) : -1;
}

PUBLIC int mpool_tuned(MPOOL *mp, int what, uint64_t *value)
{
	mp = handle_pool(mp);
	CALL(mp, a);
	return a ? result(get(mp, what, value)) : -1;
}
