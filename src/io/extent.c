/* extent.c - see extent.h. */
#include "io/extent.h"

#include <errno.h>
#include <stdlib.h>

static struct extents *extents_of(const struct io *io)
{
	/* Acquire: pairs with extents_begin. */
	return atomic_load_explicit(&io->pool->extents, memory_order_acquire);
}

int extents_begin(struct io *first)
{
	struct extents *none = NULL, *x;
	if (extents_are(first))
		return 0;
	if (!(x = calloc(1, sizeof *x)))
		return ENOMEM;
	atomic_init(&x->low, EXTENT_TOP + 1);
	/* Release: pairs with extents_are. */
	if (!atomic_compare_exchange_strong(&first->extents, &none, x))
		free(x); /* another thread was first */
	return 0;
}

void extents_end(struct io *first)
{
	struct extents *x = extents_of(first);
	struct extent *block;
	/* They were made one after the other.  Relaxed: nobody uses the pool any more. */
	for (unsigned i = 0; x && i < EXTENT_BLOCKS; i++) {
		if (!(block = atomic_load_explicit(&x->block[i], memory_order_relaxed)))
			break;
		free(block);
	}
	free(x);
}

/* ---- one extent --------------------------------------------------------- */

/* NULL: its block is not there. */
static struct extent *extent_at(const struct extents *x, uint32_t e)
{
	/* Acquire: pairs with use_block. */
	struct extent *b = atomic_load_explicit(&x->block[(EXTENT_TOP - e) / EXTENT_BLOCK], memory_order_acquire);
	return b ? &b[(EXTENT_TOP - e) % EXTENT_BLOCK] : NULL;
}

/* Relaxed: it changes with the lock; who has neither that nor a page of it takes it for a hint. */
static uint32_t index_of(const struct extent *at)
{
	return atomic_load_explicit(&at->index, memory_order_relaxed);
}

struct whose extent_whose(struct io *first, const struct extents *x, uint32_t page)
{
	uint32_t e = page / EXTENT_PAGES;
	/* Acquire, here and of the file: who has the number of a page has it after the extent was given out. */
	if (e < atomic_load_explicit(&x->low, memory_order_acquire) || e > EXTENT_TOP)
		return (struct whose){first, page};
	const struct extent *at = extent_at(x, e);
	/* A statement of its own: what stands in one list has no order. */
	struct io *io = atomic_load_explicit(&at->of, memory_order_acquire);
	return (struct whose){io, index_of(at) * EXTENT_PAGES + page % EXTENT_PAGES};
}

/* With the lock: the file has the extent for those of its pages. */
static void give(struct io *io, struct extents *x, uint32_t e, uint32_t index)
{
	struct extent *at = extent_at(x, e);
	/* Relaxed, as in index_of.  Release: pairs with extent_whose. */
	atomic_store_explicit(&at->index, index, memory_order_relaxed);
	atomic_store_explicit(&at->of, io, memory_order_release);
	/* Release: who has the number by the map finds whose it is.  Relaxed: the map changes with the lock. */
	atomic_store_explicit(&atomic_load_explicit(&io->map, memory_order_relaxed)->word[index],
	                      extent_to_word(e, index), memory_order_release);
}

/* ---- memory, which is had before the lock -------------------------------- */

struct prepared {
	struct extent_map *map; /* a longer one; NULL: it was long enough */
	struct extent *block;   /* the next; NULL: it is there */
};

static struct extent_map *map_of(const struct io *io)
{
	/* Acquire: pairs with use_map, and extent_map_begin. */
	return atomic_load_explicit(&io->map, memory_order_acquire);
}

static struct extent_map *new_map(uint32_t n)
{
	struct extent_map *m = calloc(1, sizeof *m + n * sizeof m->word[0]);
	if (m)
		m->n = n;
	return m;
}

static uint32_t extents_for(uint32_t pages)
{
	return pages / EXTENT_PAGES + (pages % EXTENT_PAGES > 0);
}

static bool prepare_map(const struct io *io, uint32_t number, struct prepared *p)
{
	uint32_t n = map_of(io)->n, needed = extents_for(number) + 1;
	bool longer = number / EXTENT_PAGES >= n;
	if (longer)
		p->map = new_map(needed > 2 * n ? needed : 2 * n);
	return p->map || !longer;
}

static bool prepare_block(const struct io *io, struct prepared *p)
{
	const struct extents *x = extents_of(io);
	/* Relaxed: use_block looks again, with the lock. */
	uint32_t low = atomic_load_explicit(&x->low, memory_order_relaxed),
		 next = low > EXTENT_NONE + 1 ? low - 1 : low;
	bool further = !extent_at(x, next);
	if (further)
		p->block = calloc(EXTENT_BLOCK, sizeof *p->block);
	return p->block || !further;
}

/* With the lock: what is needed of it is used. */
static void use_map(struct io *io, struct prepared *p)
{
	struct extent_map *m = map_of(io);
	if (p->map && p->map->n > m->n) {
		/* Relaxed: they change with the lock. */
		for (uint32_t i = 0; i < m->n; i++)
			atomic_init(&p->map->word[i], atomic_load_explicit(&m->word[i], memory_order_relaxed));
		p->map->shorter = m;
		/* Release: who finds it finds its words.  Pairs with extent_word, and map_of. */
		atomic_store_explicit(&io->map, p->map, memory_order_release);
		p->map = NULL;
	}
}

static void use_block(struct io *io, struct prepared *p)
{
	struct extents *x = extents_of(io);
	/* Relaxed: it changes with the lock. */
	uint32_t low = atomic_load_explicit(&x->low, memory_order_relaxed);
	if (p->block && low > EXTENT_NONE + 1 && !extent_at(x, low - 1)) {
		/* Release: it is zeros.  Pairs with extent_at. */
		atomic_store_explicit(&x->block[(EXTENT_TOP - (low - 1)) / EXTENT_BLOCK], p->block,
		                      memory_order_release);
		p->block = NULL;
	}
}

/* ---- an extent is had, with the lock ------------------------------------- */

static uint32_t take_free(struct extents *x)
{
	uint32_t e = x->free;
	if (e != EXTENT_NONE)
		x->free = index_of(extent_at(x, e));
	return e;
}

/* One that was never used; NONE: the first file has what is left, or its memory was not prepared. */
static uint32_t take_new(struct io *first, struct extents *x)
{
	/* Relaxed: it changes with the lock. */
	uint32_t e = atomic_load_explicit(&x->low, memory_order_relaxed) - 1;
	if (e == EXTENT_NONE || !extent_at(x, e) || !pageio_limit(&first->file, e * EXTENT_PAGES))
		return EXTENT_NONE;
	/* Release: pairs with extent_whose. */
	atomic_store_explicit(&x->low, e, memory_order_release);
	return e;
}

/* Is no page of it in memory, nor on the way, nor on the torn-page list? */
static bool idle(const struct io *first, struct stripe *me, const struct extent *at, uint32_t e)
{
	struct core *c = first->core;
	/* Sequentially consistent: a page that is made meanwhile has its number before it is inserted. */
	uint32_t pages = pageio_pages(&atomic_load(&at->of)->file), before = index_of(at) * EXTENT_PAGES;
	uint32_t n = pages > before ? pages - before : 0;
	bool any = false;
	epoch_enter(&c->epoch, me);
	for (uint32_t i = 0; i < n && i < EXTENT_PAGES && !any; i++) {
		struct table_ref ref;
		any = table_find(&c->tables, e * EXTENT_PAGES + i, &ref) != ENTRY_FREE ||
		      torn_has(first->torn, e * EXTENT_PAGES + i);
	}
	epoch_leave(me);
	return !any;
}

/* Take it from its file, unless that has a page of it in memory. */
static bool take_away(const struct io *first, struct stripe *me, const struct extent *at, uint32_t e)
{
	struct extent_map *map = map_of(atomic_load(&at->of));
	uint32_t index = index_of(at);
	/* Sequentially consistent: pairs with extent_page, after an insertion. */
	for (struct extent_map *m = map; m && index < m->n; m = m->shorter)
		atomic_store(&m->word[index], EXTENT_NONE);
	/* Pairs with barrier_light in a get, between its slot and its look at the map. */
	pin_barrier(&first->core->pins, first->core->barrier);
	if (idle(first, me, at, e))
		return true;
	atomic_store(&map->word[index], extent_to_word(e, index));
	return false;
}

/* One that a file has, and nothing of it in memory. */
static uint32_t reuse(const struct io *first, struct extents *x, struct stripe *me)
{
	/* Relaxed: it changes with the lock. */
	uint32_t low = atomic_load_explicit(&x->low, memory_order_relaxed);
	for (uint32_t n = EXTENT_TOP + 1 - low; n > 0; n--) {
		uint32_t e = x->hand = x->hand > low && x->hand <= EXTENT_TOP ? x->hand - 1 : EXTENT_TOP;
		const struct extent *at = extent_at(x, e);
		const struct io *of = atomic_load(&at->of);
		/* Its closer goes by the map: a word that is away for a moment would hide an extent with pages. */
		if (of && of->closing)
			continue;
		if (idle(first, me, at, e) && take_away(first, me, at, e))
			return e;
	}
	return EXTENT_NONE;
}

/* With the lock.  False: there is none for it. */
static bool have_one(struct io *io, struct stripe *me, uint32_t index)
{
	struct extents *x = extents_of(io);
	struct io *first = io->pool;
	uint32_t e = take_free(x);
	if (e == EXTENT_NONE)
		e = take_new(first, x);
	if (e == EXTENT_NONE)
		e = reuse(first, x, me);
	if (e != EXTENT_NONE)
		give(io, x, e, index);
	return e != EXTENT_NONE;
}

static bool is_mapped(const struct io *io, uint32_t number)
{
	return number / EXTENT_PAGES < map_of(io)->n;
}

/* Of a private pool.  0, or an errno. */
static int give_own(struct io *io, struct stripe *me, uint32_t number)
{
	struct prepared p = {0};
	int error = prepare_map(io, number, &p) && prepare_block(io, &p) ? 0 : ENOMEM;
	extent_lock();
	if (!error) {
		use_map(io, &p);
		use_block(io, &p);
		/* Others may have been first. */
		if (is_mapped(io, number) && extent_page(io, number) == PAGE_NONE &&
		    !have_one(io, me, number / EXTENT_PAGES))
			error = EFBIG;
	}
	extent_unlock();
	free(p.map);
	free(p.block);
	return error;
}

/* ---- of a shared pool: catalog.h has it, and the map what is known of that -- */

/* The extent is the file's, for as long as this process has it.  False: there is no memory. */
static bool map_extent(struct io *io, uint32_t number, uint32_t e)
{
	struct prepared p = {0};
	bool mapped = prepare_map(io, number, &p);
	extent_lock();
	if (mapped) {
		use_map(io, &p);
		struct extent_map *m = map_of(io);
		uint32_t index = number / EXTENT_PAGES;
		mapped = index < m->n;
		/* Release: who has the number by the map finds whose it is. */
		if (mapped)
			atomic_store_explicit(&m->word[index], extent_to_word(e, index), memory_order_release);
	}
	extent_unlock();
	free(p.map);
	return mapped;
}

/* The file has the extent, and this process knows it.  0, or an errno. */
static int give_shared(struct io *io, struct stripe *me, uint32_t number)
{
	int error;
	uint32_t e = catalog_extent(io->pool->catalog, me, io->slot, number / EXTENT_PAGES, true, &error);
	if (e != EXTENT_NONE && !map_extent(io, number, e))
		error = ENOMEM;
	/* Others have used up what was prepared. */
	return error == EAGAIN ? 0 : error;
}

uint32_t extent_find(struct io *io, struct stripe *me, uint32_t number)
{
	uint32_t page = extent_page(io, number), e;
	int error;
	if (page != PAGE_NONE || !io->slot)
		return page;
	e = catalog_extent(io->pool->catalog, me, io->slot, number / EXTENT_PAGES, false, &error);
	if (e == EXTENT_NONE)
		return PAGE_NONE;
	/* Without memory it is found the same way the next time. */
	(void)map_extent(io, number, e);
	return e * EXTENT_PAGES + number % EXTENT_PAGES;
}

int extent_give(struct io *io, struct stripe *me, uint32_t number, uint32_t *page)
{
	/* Others were first, and made the last page that can be. */
	int error = number == PAGE_NONE ? EFBIG : 0;
	while (!error && (*page = extent_page(io, number)) == PAGE_NONE)
		error = io->slot ? give_shared(io, me, number) : give_own(io, me, number);
	return error;
}

/* ---- files -------------------------------------------------------------- */

int extent_map_begin(struct io *io)
{
	uint32_t n = extents_for(pageio_pages(&io->file));
	struct extent_map *m = new_map(n > 0 ? n : 1);
	if (!m)
		return ENOMEM;
	/* Release: pairs with extent_word, and map_of. */
	atomic_store_explicit(&io->map, m, memory_order_release);
	return 0;
}

void extent_map_end(struct io *io)
{
	struct extent_map *m = map_of(io), *shorter;
	/* Relaxed: this process makes no call on the file any more. */
	atomic_store_explicit(&io->map, NULL, memory_order_relaxed);
	for (; m; m = shorter) {
		shorter = m->shorter;
		free(m);
	}
}

int extent_attach(struct io *io)
{
	int error = extent_map_begin(io);
	if (error)
		return error;
	struct extents *x = extents_of(io);
	extent_lock();
	io->next = x->files;
	io->before = &x->files;
	if (io->next)
		io->next->before = &io->next;
	x->files = io;
	extent_unlock();
	return 0;
}

/* Of each that a private pool's file has. */
static void each_own(const struct io *io, extent_seen *see, void *to)
{
	const struct extent_map *m = map_of(io);
	for (uint32_t i = 0; i < m->n; i++) {
		/* Relaxed: nobody gives it any. */
		uint32_t w = atomic_load_explicit(&m->word[i], memory_order_relaxed);
		if (w != EXTENT_NONE)
			see(to, extent_of_word(w, i), i);
	}
}

void extent_each(struct io *io, extent_seen *see, void *to)
{
	if (io->slot)
		catalog_each(io->pool->catalog, io->slot, see, to);
	else
		each_own(io, see, to);
}

/* With the lock: it is free. */
static void give_up(void *extents, uint32_t e, uint32_t index)
{
	struct extents *x = extents;
	struct extent *at = extent_at(x, e);
	(void)index;
	/* Release, and relaxed, as in give. */
	atomic_store_explicit(&at->of, NULL, memory_order_release);
	atomic_store_explicit(&at->index, x->free, memory_order_relaxed);
	x->free = e;
}

void extent_closing(struct io *io)
{
	extent_lock();
	io->closing = true;
	extent_unlock();
}

void extent_detach(struct io *io)
{
	extent_lock();
	each_own(io, give_up, extents_of(io));
	*io->before = io->next;
	if (io->next)
		io->next->before = io->before;
	extent_unlock();
	extent_map_end(io);
}

static void each_shared(struct catalog *c, void (*see)(struct io *io, void *to), void *to)
{
	for (uint32_t i = 0, n = catalog_files(c); i < n; i++)
		if (file_state_of(catalog_slot(c, i)) != FILE_FREE)
			see(catalog_file(c, i), to);
}

void extent_each_file(const struct io *first, void (*see)(struct io *io, void *to), void *to)
{
	const struct extents *x = extents_of(first);
	if (first->pool->catalog)
		each_shared(first->pool->catalog, see, to);
	if (!x)
		return;
	extent_lock();
	for (struct io *io = x->files; io; io = io->next)
		see(io, to);
	extent_unlock();
}
