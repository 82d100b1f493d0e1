/*
 * open.c - mpool_open, mpool_open_key, mpool_open_store, mpool_close.
 *
 * Owns no state.  A private pool is made here, a shared one in share/join.c.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/fork.h"
#include "api/prefetch.h"
#include "api/quiet.h"
#include "core/resize.h"
#include "io/engine.h"
#include "share/join.h"

#undef mpool_open

/*
 * A private pool's header has the shards there are; then comes the state of its one
 * member, then the torn-page list, which is short in a small pool.
 */
#define WHOLE_LINES(bytes) (((bytes) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE)
struct private_header {
	size_t members, torn, bytes; /* where they are; all of it */
	uint32_t torn_buckets;
};

static struct private_header measure_header(uint32_t frames)
{
	struct private_header h;
	h.members = offsetof(struct header, clock.shard) + clock_shards(frames) * sizeof(struct shard);
	h.torn = h.members + WHOLE_LINES(offsetof(struct member_state, member) + sizeof(struct member));
	h.torn_buckets = frames / TORN_PLACES < TORN_BUCKETS ? frames / TORN_PLACES + 1 : TORN_BUCKETS;
	h.bytes =
		h.torn + offsetof(struct torn_state, page) + h.torn_buckets * sizeof(((struct torn_state *)0)->page[0]);
	return h;
}

/* A private pool is opened in one block of memory; the pages are in it too if they are few. */
static void begin_block(MPOOL *mp, size_t header, uint32_t pages, uint32_t frames)
{
	size_t table = table_bytes_for(resize_first(frames, pages));
	size_t bytes = header + pin_first_bytes() + table + 2 * sizeof(struct stripe) + CACHE_LINE;
	uint64_t segment = frames_bytes(mp->io.file.pagesize, frames) + mp->io.file.align;
	mem_block_begins(&mp->core.region.mem, bytes + segment <= MEM_BLOCK_MAX ? bytes + segment : bytes);
}

/* Where a pool's pages are. */
struct place {
	struct share_key key; /* `at`: NULL: the pool is private */
	int fd;
	/* NULL: it is the file. */
	const struct mpool_store *store;
	size_t size;
	void *cookie;
};

/* 0, or an errno. */
static int open_place(MPOOL *mp, const struct place *p, uint32_t pagesize, uint32_t *pages, bool *tail)
{
	if (!p->store)
		return pageio_open(&mp->io.file, p->fd, pagesize, pages, tail) != 0 ? errno : 0;
	atomic_store(&mp->io.stores, true);
	return pageio_open_store(&mp->io.file, p->store, p->size, p->cookie, pagesize, pages, tail);
}

/* A pool of this process's own.  0, or an errno. */
static int open_private(MPOOL *mp, const struct place *p, uint32_t pagesize, uint32_t maxcache)
{
	uint32_t pages, frames = maxcache ? maxcache : 1;
	bool tail;
	int error = open_place(mp, p, pagesize, &pages, &tail);
	if (error)
		return error;
	struct private_header at = measure_header(frames);
	begin_block(mp, at.bytes, pages, frames);
	struct header *h = region_alloc(&mp->core.region, CHUNK_HEADER, at.bytes, CACHE_LINE);
	if (!h)
		return ENOMEM;
	region_add(&mp->core.region, CHUNK_HEADER, h, at.bytes);
	header_attach(&mp->sharing, h, barrier_available(BARRIER_PROCESS) ? BARRIER_PROCESS : BARRIER_FENCE, 0);
	mp->core.members = (struct member_state *)(void *)((char *)h + at.members);
	mp->io.torn = (struct torn_state *)(void *)((char *)h + at.torn);
	mp->io.torn->buckets = at.torn_buckets;
	/* The pages last: they are the least likely to fit, and what they begin with leaves a gap. */
	if (!pin_make(&mp->core.pins, 1) || table_init(&mp->core.tables, 0, resize_first(frames, pages)) != 0 ||
	    frames_init(&mp->core.frames, &mp->core.region, &h->frame, pagesize, frames, mp->io.file.align) != 0)
		return ENOMEM;
	mem_block_ends(&mp->core.region.mem);
	epoch_init(&h->epoch);
	frames = frames_capacity(&mp->core.frames);
	clock_init(&h->clock, frames);
	atomic_store(&mp->core.members->top, 1);
	atomic_store(&mp->core.members->member[0].state, MEMBER_IN);
	mp->core.region.pending = mp->core.members->member[0].pending;
	pageio_init(&mp->io.file, &h->pageio, pages, tail);
	return 0;
}

void pool_link(MPOOL *mp)
{
	mp->core.above = &call_above;
	mp->io.core = mp->evict.core = mp->sharing.core = &mp->core;
	mp->evict.io = mp->sharing.io = mp->io.pool = &mp->io;
	mp->io.file.hooks.pool = &mp->io.file.hooks;
	mp->io.counts = mp->io.own_counts;
	mp->sharing.evict = &mp->evict;
}

static MPOOL *open_pool(const struct place *p, pgno_t pagesize, pgno_t maxcache)
{
	NO_CANCELLATION;
	if (fork_error()) {
		errno = ENOMEM;
		return NULL;
	}
	MPOOL *mp = aligned_alloc(_Alignof(MPOOL), sizeof *mp);
	if (!mp)
		return NULL;
	memset(mp, 0, sizeof *mp);
	pool_link(mp);
	cleaner_init(&mp->cleaners, &mp->evict);
	if (!thread_pool_opened(&mp->core)) {
		cleaner_end(&mp->cleaners);
		free(mp);
		errno = ENOMEM;
		return NULL;
	}
	region_init(&mp->core.region);
	pageio_none(&mp->io.file);
	int error = p->key.at ? share_open(&mp->sharing, p->key, p->fd, pagesize, maxcache)
	                      : open_private(mp, p, pagesize, maxcache);
	if (error) {
		pageio_close_store(&mp->io.file, false);
		cleaner_end(&mp->cleaners);
		thread_pool_closed(&mp->core);
		region_fini(&mp->core.region);
		free(mp);
		errno = error;
		return NULL;
	}
	peek_open(mp);
	where_open(&mp->where);
	return mp;
}

PUBLIC MPOOL *mpool_open(void *key, int fd, pgno_t pagesize, pgno_t maxcache)
{
	/* One that is too long need not be looked at to its end. */
	struct place p = {.key = {key, key ? strnlen(key, MPOOL_KEY_MAX + 1) : 0}, .fd = fd};
	return open_pool(&p, pagesize, maxcache);
}

PUBLIC MPOOL *mpool_open_key(const void *key, size_t keylen, int fd, pgno_t pagesize, pgno_t maxcache)
{
	if (key)
		return open_pool(&(struct place){.key = {key, keylen}, .fd = fd}, pagesize, maxcache);
	errno = EINVAL;
	return NULL;
}

PUBLIC MPOOL *mpool_open_store(const struct mpool_store *store, size_t size, void *cookie, pgno_t pagesize,
                               pgno_t maxcache)
{
	if (store)
		return open_pool(&(struct place){.fd = -1, .store = store, .size = size, .cookie = cookie}, pagesize,
		                 maxcache);
	errno = EINVAL;
	return NULL;
}

PUBLIC int mpool_close(MPOOL *mp)
{
	NO_CANCELLATION;
	if (handle_of(mp)->attached)
		return attached_close(handle_of(mp)->attached);
	bool parents = thread_is_parents(&mp->core);
	if (parents)
		call_forked(mp);
	cleaner_end(&mp->cleaners); /* its threads use the pool */
	engine_close(&mp->io);      /* its threads use the pool */
	prefetch_close(mp);
	if (!parents)
		quiet_check_close(mp);
	where_close(&mp->where, &mp->core, !parents);
	thread_pool_closed(&mp->core);
	if (region_shared(&mp->core.region))
		share_close(&mp->sharing, parents);
	else
		pageio_close(&mp->io.file, false);
	/* The child of a fork has not what its parent's stores have. */
	attached_end(mp, !parents);
	pageio_close_store(&mp->io.file, !parents);
	for (unsigned i = 0; i < WRITE_BUFFERS; i++)
		if (mp->io.buffers[i])
			mem_free(&mp->core.region.mem, mp->io.buffers[i]);
	for (unsigned i = 0; i < SMALL_BUFFERS; i++)
		if (mp->io.small[i])
			mem_free(&mp->core.region.mem, mp->io.small[i]);
	region_fini(&mp->core.region);
	free(mp);
	return 0;
}
