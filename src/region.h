/*
 * region.h - a pool's memory, addressed by index, never by pointer.
 *
 * Owns the chunks a pool is made of, each known by its number.  A word stored
 * in a chunk may name a chunk, a frame, a stripe or a table by number and
 * nothing by address, so that processes may map a region where they like.
 *
 * A chunk's word, and who may change it:
 *
 *   absent --add: any thread, CAS--> live --withdraw: who proved it unused, CAS-->
 *   limbo --release: the epoch room's one reclaimer--> absent, or, a table: at rest
 *   at rest --revive: who replaces a table, CAS--> live
 *
 * A chunk in limbo can no longer be found by region_live, but those who found
 * it before may still look at it; the epoch room knows when the last one left.
 * A hit looks at the newest table without the epoch room's leave: so a table at
 * rest keeps its address until the pool is closed, all its words zero, and is
 * taken again where one of its size is wanted.
 */
#ifndef MPOOL_REGION_H
#define MPOOL_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem.h"

/* Numbers of chunks, by kind. */
enum {
	CHUNK_HEADER = 0, /* the pool's shared words */
	STRIPE_CHUNKS = 16,
	CHUNK_STRIPES = CHUNK_HEADER + 1, /* pin room */
	SEGMENT_CHUNKS = 28,
	CHUNK_SEGMENTS = CHUNK_STRIPES + STRIPE_CHUNKS, /* frame room */
	TABLE_CHUNKS = 64,
	CHUNK_TABLES = CHUNK_SEGMENTS + SEGMENT_CHUNKS, /* table room */
	CHUNK_COUNT = CHUNK_TABLES + TABLE_CHUNKS
};

/* Or-ed to a chunk's address. */
#define CHUNK_LIMBO ((uintptr_t)1)
#define CHUNK_REST  ((uintptr_t)2)
#define CHUNK_FLAGS (CHUNK_LIMBO | CHUNK_REST)

struct region {
	struct mem mem;
	_Atomic uintptr_t chunk[CHUNK_COUNT]; /* address | flag; 0: absent */
};

void region_init(struct region *r);
void region_fini(struct region *r); /* frees every chunk */

/*
 * region_alloc / region_add: make zeroed memory, fill it in, then give it its
 * number.  region_add fails when somebody else's chunk has the number (live or
 * in limbo); the caller then frees its own with region_free.
 */
void *region_alloc(struct region *r, size_t bytes, size_t align);
void region_free(struct region *r, void *p);
bool region_add(struct region *r, unsigned id, void *p);

/* live -> limbo; false: it was not live. */
bool region_withdraw(struct region *r, unsigned id);
/* limbo -> absent, and the memory is freed; or -> at rest.  The epoch room's alone. */
void region_release(struct region *r, unsigned id);
/* at rest -> live; false: it was not at rest. */
bool region_revive(struct region *r, unsigned id);

/* The chunk, in limbo or at rest too; NULL: absent.  Acquire: pairs with region_add. */
static inline void *region_at(const struct region *r, unsigned id)
{
	return (void *)(atomic_load_explicit(&r->chunk[id], memory_order_acquire) & ~CHUNK_FLAGS);
}

/* The chunk unless it is absent, in limbo or at rest. */
static inline void *region_live(const struct region *r, unsigned id)
{
	uintptr_t w = atomic_load_explicit(&r->chunk[id], memory_order_acquire);
	return w & CHUNK_FLAGS ? NULL : (void *)w;
}

static inline bool region_at_rest(const struct region *r, unsigned id)
{
	return atomic_load_explicit(&r->chunk[id], memory_order_acquire) & CHUNK_REST;
}

static inline bool region_in_limbo(const struct region *r, unsigned id)
{
	return atomic_load_explicit(&r->chunk[id], memory_order_acquire) & CHUNK_LIMBO;
}

#endif
