/* region.c - see region.h. */
#include "region.h"

void region_init(struct region *r)
{
	mem_init(&r->mem);
	for (unsigned i = 0; i < CHUNK_COUNT; i++)
		atomic_init(&r->chunk[i], 0);
}

void region_fini(struct region *r)
{
	for (unsigned i = 0; i < CHUNK_COUNT; i++)
		if (region_at(r, i))
			mem_free(&r->mem, region_at(r, i));
	mem_fini(&r->mem);
}

void *region_alloc(struct region *r, size_t bytes, size_t align)
{
	return mem_alloc(&r->mem, bytes, align);
}

void region_free(struct region *r, void *p)
{
	mem_free(&r->mem, p);
}

bool region_add(struct region *r, unsigned id, void *p)
{
	uintptr_t absent = 0;
	/* Release: what the maker filled in is seen by who finds the chunk. */
	return atomic_compare_exchange_strong(&r->chunk[id], &absent, (uintptr_t)p);
}

bool region_withdraw(struct region *r, unsigned id)
{
	uintptr_t w = atomic_load(&r->chunk[id]);
	/* Sequentially consistent: comes before the stamp that epoch_retire takes. */
	return w && !(w & CHUNK_FLAGS) && atomic_compare_exchange_strong(&r->chunk[id], &w, w | CHUNK_LIMBO);
}

void region_release(struct region *r, unsigned id)
{
	void *p = region_at(r, id);
	bool table = id >= CHUNK_TABLES;
	atomic_store(&r->chunk[id], table ? (uintptr_t)p | CHUNK_REST : 0);
	if (!table)
		mem_free(&r->mem, p);
}

bool region_revive(struct region *r, unsigned id)
{
	uintptr_t w = atomic_load(&r->chunk[id]);
	/* Sequentially consistent: of two that want it, one gets it. */
	return (w & CHUNK_REST) && atomic_compare_exchange_strong(&r->chunk[id], &w, w & ~CHUNK_REST);
}
