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
 *   retired --release: the one reclaimer of epoch.h--> absent, or, a table: cached
 *   cached --revive: who replaces a table, CAS--> live
 *
 * A retired chunk is not found by region_live any more, but a thread that found it before
 * may still read it; the epoch tells when the last of these has left its section.  A hit
 * reads the newest table outside of any section: so the memory of a table is never freed
 * before the pool is closed.  Once released it is cached: its address stays valid, all its
 * words are zero, and it is used again when a table of its size is needed.
 *
 * A private region takes its chunks from mem.h; a word is an address.  A shared one is an
 * object that each process maps as a whole (share/object.h); a word is an offset.  Its
 * chunks are cut off a free end, and the place of a released one is kept for the next chunk
 * of its number, which has its size.  Memory is allocated (region_commit) before it is
 * touched: a process that touches memory which the system cannot give is killed.
 *
 * While memory for a chunk is allocated and filled, it is in the process's record as a
 * pending allocation, so that it is not lost if the process dies.
 */
#ifndef MPOOL_REGION_H
#define MPOOL_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/mem.h"

/* Numbers of chunks, by kind. */
enum {
	CHUNK_HEADER = 0, /* the pool's shared words */
	STRIPE_CHUNKS = 19,
	CHUNK_STRIPES = CHUNK_HEADER + 1, /* of pin.h */
	SEGMENT_CHUNKS = 28,
	CHUNK_SEGMENTS = CHUNK_STRIPES + STRIPE_CHUNKS,  /* of frame.h */
	CHUNK_LATCHES = CHUNK_SEGMENTS + SEGMENT_CHUNKS, /* of latch.h: one for each segment, */
	CHUNK_MARKS = CHUNK_LATCHES + SEGMENT_CHUNKS,    /* ... and for each chunk of stripes */
	CHUNK_CATALOG = CHUNK_MARKS + STRIPE_CHUNKS,     /* of io/catalog.h */
	TABLE_CHUNKS = 64,
	CHUNK_TABLES = CHUNK_CATALOG + 1, /* of table.h */
	CHUNK_COUNT = CHUNK_TABLES + TABLE_CHUNKS
};

/* Or-ed to a chunk's address or offset. */
#define CHUNK_RETIRED ((uint64_t)1)
#define CHUNK_CACHED  ((uint64_t)2)
#define CHUNK_FLAGS   (CHUNK_RETIRED | CHUNK_CACHED)

/* In the object of a shared region. */
struct region_state {
	_Atomic uint64_t chunk[CHUNK_COUNT];
	_Atomic uint64_t bytes[CHUNK_TABLES]; /* of the chunk that has, or had, the number; a table says it itself */
	_Atomic uint64_t vacant[CHUNK_COUNT]; /* offset of the place it had; 0: none */
	_Atomic uint64_t top;                 /* from here on nothing was ever used */
	uint64_t end;
};

/* Memory that a process has allocated for a chunk and not yet given its number. */
struct pending_alloc {
	_Atomic uint64_t place; /* 0: none */
	_Atomic uint64_t bytes;
};
/* So many threads of a process are recorded at once; the allocations of more are not. */
#define PENDING_MAX 4u

struct region {
	struct mem mem;                /* this process's own */
	_Atomic uint64_t *word;        /* offset or address | flag, by number; 0: absent */
	uintptr_t base;                /* what offsets count from; 0: the region is private */
	struct region_state *state;    /* NULL: private */
	struct pending_alloc *pending; /* this process's; NULL: the pool is only being made, or joined */
	_Atomic uint64_t own[CHUNK_COUNT];
};

void region_init(struct region *r);
/* The region is one that others share, mapped at `base`, with the chunks of `state`. */
void region_share(struct region *r, void *base, struct region_state *state);
/* Frees every chunk of a private region. */
void region_fini(struct region *r);

/* For memory that is not meant for a certain number, and stays to the end. */
#define CHUNK_ANY CHUNK_COUNT

/*
 * region_alloc / region_add: make zeroed memory, fill it in, then give it its
 * number.  region_add fails when somebody else's chunk has the number (live or
 * retired); the caller then frees its own with region_free.
 */
void *region_alloc(struct region *r, unsigned id, uint64_t bytes, size_t align);
/* ... of which, in a shared region, no more than the first `now` bytes have memory yet. */
void *region_alloc_part(struct region *r, unsigned id, uint64_t bytes, size_t align, uint64_t now);
/* ... of which the first `raw` bytes need not be zero. */
void *region_alloc_raw(struct region *r, unsigned id, uint64_t bytes, size_t align, size_t raw);
void region_free(struct region *r, unsigned id, void *p, size_t bytes);
bool region_add(struct region *r, unsigned id, void *p, size_t bytes);

/* It stays to the end, and is no pending allocation any more: memory for CHUNK_ANY. */
void region_keep(const struct region *r, const void *p);

/* Free the pending allocations of a process that died. */
void region_recover(struct region *r, struct pending_alloc *its);

/* Have memory behind these bytes of a shared region.  False: there is none. */
bool region_commit(const struct region *r, const void *p, size_t bytes);
/* Give the memory of these bytes back, as far as whole pages go; the addresses stay. */
void region_discard(const struct region *r, void *p, size_t bytes);

/* live -> retired; false: it was not live. */
bool region_withdraw(struct region *r, unsigned id);
/* retired -> absent, and the memory is freed; or -> cached.  By epoch.c only. */
void region_release(struct region *r, unsigned id);
/* cached -> live; false: it was not cached. */
bool region_revive(struct region *r, unsigned id);

static inline bool region_shared(const struct region *r)
{
	return r->base != 0;
}

/* The chunk, also if it is retired or cached; NULL: absent.  Acquire: pairs with region_add. */
static inline void *region_at(const struct region *r, unsigned id)
{
	uint64_t w = atomic_load_explicit(&r->word[id], memory_order_acquire) & ~CHUNK_FLAGS;
	return w ? (void *)(r->base + (uintptr_t)w) : NULL;
}

/* The chunk unless it is absent, retired or cached. */
static inline void *region_live(const struct region *r, unsigned id)
{
	uint64_t w = atomic_load_explicit(&r->word[id], memory_order_acquire);
	return w == 0 || w & CHUNK_FLAGS ? NULL : (void *)(r->base + (uintptr_t)w);
}

static inline bool region_cached(const struct region *r, unsigned id)
{
	return atomic_load_explicit(&r->word[id], memory_order_acquire) & CHUNK_CACHED;
}

static inline bool region_retired(const struct region *r, unsigned id)
{
	return atomic_load_explicit(&r->word[id], memory_order_acquire) & CHUNK_RETIRED;
}

#endif
