/*
 * open.c - mpool_open, mpool_open_key, mpool_close.
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

/* A pool of this process's own.  0, or an errno. */
static int open_private(MPOOL *mp, int fd, uint32_t pagesize, uint32_t maxcache)
{
	uint32_t pages, frames = maxcache ? maxcache : 1;
	bool tail;
	if (pageio_open(&mp->io.file, fd, pagesize, &pages, &tail) != 0)
		return errno;
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
	mp->evict.io = mp->sharing.io = &mp->io;
	mp->sharing.evict = &mp->evict;
}

/* `key`: at NULL: the pool is private. */
static MPOOL *open_pool(struct share_key key, int fd, pgno_t pagesize, pgno_t maxcache)
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
	int error = key.at ? share_open(&mp->sharing, key, fd, pagesize, maxcache)
	                   : open_private(mp, fd, pagesize, maxcache);
	if (error) {
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
	return open_pool((struct share_key){key, key ? strnlen(key, MPOOL_KEY_MAX + 1) : 0}, fd, pagesize, maxcache);
}

PUBLIC MPOOL *mpool_open_key(const void *key, size_t keylen, int fd, pgno_t pagesize, pgno_t maxcache)
{
	if (key)
		return open_pool((struct share_key){key, keylen}, fd, pagesize, maxcache);
	errno = EINVAL;
	return NULL;
}

PUBLIC int mpool_close(MPOOL *mp)
{
	NO_CANCELLATION;
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
