/* region.c - see region.h. */
#include "core/region.h"

#include "os/map.h"

void region_init(struct region *r)
{
	mem_init(&r->mem);
	r->base = 0;
	r->state = NULL;
	r->pending = NULL;
	r->word = r->own;
	for (unsigned i = 0; i < CHUNK_COUNT; i++)
		atomic_init(&r->own[i], 0);
}

void region_share(struct region *r, void *base, struct region_state *state)
{
	r->base = (uintptr_t)base;
	r->state = state;
	r->word = state->chunk;
}

void region_fini(struct region *r)
{
	for (unsigned i = 0; i < CHUNK_COUNT && !region_shared(r); i++)
		if (region_at(r, i))
			mem_free(&r->mem, region_at(r, i));
	mem_fini(&r->mem);
}

/* ---- memory of a shared region ------------------------------------------ */

bool region_commit(const struct region *r, const void *p, size_t bytes)
{
	if (!region_shared(r) || bytes == 0)
		return true;
	uintptr_t grain = map_page();
	uintptr_t from = (uintptr_t)p & ~(grain - 1), to = ((uintptr_t)p + bytes + grain - 1) & ~(grain - 1);
	return map_populate((void *)from, to - from);
}

void region_discard(const struct region *r, void *p, size_t bytes)
{
	uintptr_t grain = map_page();
	uintptr_t from = ((uintptr_t)p + grain - 1) & ~(grain - 1), to = ((uintptr_t)p + bytes) & ~(grain - 1);
	if (!region_shared(r))
		mem_discard(p, bytes);
	else if (to > from)
		map_remove((void *)from, to - from);
}

/* Chunks begin and end with a page. */
static size_t whole_pages(size_t bytes)
{
	size_t grain = map_page();
	return (bytes + grain - 1) & ~(grain - 1);
}

/* The place of the last chunk of that number, or one that was never used; 0: there is none. */
static uint64_t take_place(struct region_state *st, unsigned id, size_t bytes)
{
	uint64_t place = id == CHUNK_ANY ? 0 : atomic_exchange(&st->vacant[id], 0);
	if (place)
		return place;
	uint64_t top = atomic_load(&st->top);
	do
		if (bytes > st->end - top)
			return 0;
	while (!atomic_compare_exchange_weak(&st->top, &top, top + bytes));
	return top;
}

/* A place nobody uses: for the next chunk of that number, unless there is one. */
static void leave_place(struct region_state *st, unsigned id, uint64_t place)
{
	uint64_t none = 0;
	if (id != CHUNK_ANY)
		atomic_compare_exchange_strong(&st->vacant[id], &none, place);
}

/* Record that memory is allocated at `place`; not recorded if PENDING_MAX are already. */
static void pending_begin(const struct region *r, uint64_t place, uint64_t bytes)
{
	for (unsigned i = 0; r->pending && i < PENDING_MAX; i++) {
		uint64_t none = 0;
		if (atomic_compare_exchange_strong(&r->pending[i].place, &none, place)) {
			atomic_store(&r->pending[i].bytes, bytes);
			return;
		}
	}
}

/* A place at the end of all, which was never used after all, is any chunk's again. */
static void return_place(struct region_state *st, uint64_t place, uint64_t bytes)
{
	uint64_t top = place + bytes;
	atomic_compare_exchange_strong(&st->top, &top, place);
}

static void pending_end(const struct region *r, const void *p)
{
	uint64_t place = (uintptr_t)p - r->base;
	for (unsigned i = 0; r->pending && i < PENDING_MAX; i++)
		if (atomic_load(&r->pending[i].place) == place) {
			atomic_store(&r->pending[i].bytes, 0);
			atomic_store(&r->pending[i].place, 0);
		}
}

void region_keep(const struct region *r, const void *p)
{
	pending_end(r, p);
}

void region_recover(struct region *r, struct pending_alloc *its)
{
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		uint64_t place = atomic_load(&its[i].place), bytes = atomic_load(&its[i].bytes);
		/* The addresses are not used again. */
		if (place && bytes && region_shared(r))
			map_remove((void *)(r->base + (uintptr_t)place), bytes);
		atomic_store(&its[i].bytes, 0);
		atomic_store(&its[i].place, 0);
		/* After: who does this again must not free it again. */
		if (place && !region_shared(r))
			mem_free(&r->mem, (void *)(uintptr_t)place);
	}
}

/*
 * Hidden from ThreadSanitizer: that a chunk which had this place before is done with
 * goes through other processes, which it does not see.
 */
__attribute__((no_sanitize("thread"), noinline)) static void fill_with_zeros(void *p, size_t bytes)
{
	/* Chunks begin with a page of memory. */
	volatile uint64_t *w = p;
	for (size_t i = 0; i < bytes / sizeof *w; i++)
		w[i] = 0;
	volatile char *rest = (volatile char *)p + bytes / sizeof *w * sizeof *w;
	for (size_t i = 0; i < bytes % sizeof *w; i++)
		rest[i] = 0;
}

/* ---- chunks ------------------------------------------------------------- */

/* Of a shared region: `now` bytes have memory. */
static void *alloc_shared(struct region *r, unsigned id, uint64_t bytes, uint64_t now)
{
	uint64_t place = take_place(r->state, id, whole_pages(bytes));
	if (!place)
		return NULL;
	void *p = (void *)(r->base + (uintptr_t)place);
	pending_begin(r, place, whole_pages(bytes));
	map_remove(p, whole_pages(bytes)); /* who had it before may have died before it did this */
	if (region_commit(r, p, now)) {
		/* Zeros by now, in most cases; and what was never used is in any. */
		if (id != CHUNK_ANY)
			fill_with_zeros(p, now);
		return p;
	}
	region_free(r, id, p, bytes);
	/* Whoever tries again and again while there is no memory must not run out of addresses. */
	if (id == CHUNK_ANY)
		return_place(r->state, place, whole_pages(bytes));
	return NULL;
}

void *region_alloc_raw(struct region *r, unsigned id, uint64_t bytes, size_t align, size_t raw)
{
	if (bytes > PTRDIFF_MAX)
		return NULL;
	if (region_shared(r))
		return alloc_shared(r, id, bytes, bytes);
	void *own = mem_alloc_raw(&r->mem, (size_t)bytes, align, raw);
	if (own)
		pending_begin(r, (uintptr_t)own, bytes);
	return own;
}

void *region_alloc_part(struct region *r, unsigned id, uint64_t bytes, size_t align, uint64_t now)
{
	return region_shared(r) && bytes <= PTRDIFF_MAX ? alloc_shared(r, id, bytes, now)
	                                                : region_alloc_raw(r, id, bytes, align, 0);
}

void *region_alloc(struct region *r, unsigned id, uint64_t bytes, size_t align)
{
	return region_alloc_raw(r, id, bytes, align, 0);
}

void region_free(struct region *r, unsigned id, void *p, size_t bytes)
{
	if (!region_shared(r)) {
		pending_end(r, p); /* before: the memory may be another's after */
		mem_free(&r->mem, p);
		return;
	}
	map_remove(p, whole_pages(bytes));
	pending_end(r, p);
	leave_place(r->state, id, (uintptr_t)p - r->base);
}

bool region_add(struct region *r, unsigned id, void *p, size_t bytes)
{
	uint64_t absent = 0;
	/* The same whoever makes a chunk of that number. */
	if (r->state && id < CHUNK_TABLES)
		atomic_store(&r->state->bytes[id], bytes);
	/* Before it is found: once it is, it may be given back, and its place be somebody else's. */
	pending_end(r, p);
	/* Release: what the maker filled in is seen by who finds the chunk. */
	return atomic_compare_exchange_strong(&r->word[id], &absent, (uintptr_t)p - r->base);
}

bool region_withdraw(struct region *r, unsigned id)
{
	uint64_t w = atomic_load(&r->word[id]);
	/* Sequentially consistent: comes before the stamp that epoch_retire takes. */
	return w && !(w & CHUNK_FLAGS) && atomic_compare_exchange_strong(&r->word[id], &w, w | CHUNK_RETIRED);
}

void region_release(struct region *r, unsigned id)
{
	void *p = region_at(r, id);
	uint64_t place = (uintptr_t)p - r->base;
	if (id >= CHUNK_TABLES) {
		atomic_store(&r->word[id], place | CHUNK_CACHED);
	} else if (!region_shared(r)) {
		atomic_store(&r->word[id], 0);
		mem_free(&r->mem, p);
	} else {
		/* A process that dies in between has it done again (epoch_recover). */
		map_remove(p, whole_pages(atomic_load(&r->state->bytes[id])));
		leave_place(r->state, id, place);
		atomic_store(&r->word[id], 0);
	}
}

bool region_revive(struct region *r, unsigned id)
{
	uint64_t w = atomic_load(&r->word[id]);
	/* Sequentially consistent: of two that want it, one gets it. */
	return (w & CHUNK_CACHED) && atomic_compare_exchange_strong(&r->word[id], &w, w & ~CHUNK_CACHED);
}
