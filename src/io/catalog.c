/* catalog.c - see catalog.h. */
#include "io/catalog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void extent_lock(void)
{
	pthread_mutex_lock(&lock);
}

void extent_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* ---- this process's own --------------------------------------------------- */

int catalog_join(struct io *first)
{
	struct region *r = &first->core->region;
	struct catalog *c = calloc(1, sizeof *c);
	if (!c)
		return ENOMEM;
	c->region = r;
	c->first = first;
	c->file = mem_alloc(&r->mem, FILES_MAX * sizeof *c->file, CACHE_LINE);
	if (!c->file) {
		free(c);
		return ENOMEM;
	}
	first->catalog = c;
	return 0;
}

void catalog_leave(struct io *first)
{
	struct catalog *c = first->catalog;
	if (!c)
		return;
	mem_free(&c->region->mem, c->file);
	free(c);
	first->catalog = NULL;
}

/* What all calls on it need, whatever file the slot has. */
static void file_begin(struct catalog *c, uint32_t file)
{
	struct io *io = &c->file[file], *first = c->first;
	io->core = first->core;
	io->pool = first;
	io->torn = first->torn;
	io->slot = catalog_slot(c, file);
	io->counts = io->slot->counts;
	pageio_none(&io->file);
	io->file.state = &io->slot->pageio;
	io->file.shared = true;
	io->file.pagesize = first->file.pagesize;
	io->file.align = first->file.align;
	io->file.hooks.pool = &first->file.hooks;
}

struct io *catalog_file(struct catalog *c, uint32_t file)
{
	_Atomic bool *ready = &c->file_ready[file / FILE_BLOCK];
	/* Acquire: pairs with the release below. */
	if (likely(atomic_load_explicit(ready, memory_order_acquire)))
		return &c->file[file];
	extent_lock();
	/* Relaxed: it changes with the lock. */
	if (!atomic_load_explicit(ready, memory_order_relaxed))
		for (uint32_t i = 0; i < FILE_BLOCK; i++)
			file_begin(c, file / FILE_BLOCK * FILE_BLOCK + i);
	/* Release: who finds it ready finds what was set. */
	atomic_store_explicit(ready, true, memory_order_release);
	extent_unlock();
	return &c->file[file];
}

/* ---- blocks --------------------------------------------------------------- */

int catalog_make(struct io *first)
{
	struct region *r = &first->core->region;
	if (catalog_is(first))
		return 0;
	struct catalog_state *st = region_alloc(r, CHUNK_CATALOG, sizeof *st, CACHE_LINE);
	if (!st)
		return ENOMEM;
	atomic_store(&st->low, EXTENT_TOP + 1);
	region_add(r, CHUNK_CATALOG, st, sizeof *st);
	return 0;
}

static void *at_offset(const struct catalog *c, const _Atomic uint64_t *block)
{
	/* Acquire: pairs with have_block. */
	uint64_t offset = atomic_load_explicit(block, memory_order_acquire);
	return offset ? (void *)(c->region->base + (uintptr_t)offset) : NULL;
}

/* False: there is no memory. */
static bool have_block(const struct catalog *c, _Atomic uint64_t *block, size_t bytes)
{
	uint64_t none = 0;
	if (atomic_load(block))
		return true;
	void *p = region_alloc(c->region, CHUNK_ANY, bytes, CACHE_LINE);
	if (!p)
		return false;
	/* Before it is found, as in region_add: who dies in between leaves addresses, and memory, that nobody has. */
	region_keep(c->region, p);
	/* Release: it is zeros. */
	if (!atomic_compare_exchange_strong(block, &none, (uintptr_t)p - c->region->base))
		region_free(c->region, CHUNK_ANY, p, bytes);
	return true;
}

/* ---- slots ---------------------------------------------------------------- */

uint32_t catalog_files(const struct catalog *c)
{
	const struct catalog_state *st = catalog_state(c);
	uint32_t n = st ? atomic_load(&st->files) : 0;
	return n < FILES_MAX ? n : FILES_MAX;
}

struct file_slot *catalog_slot(const struct catalog *c, uint32_t file)
{
	struct file_slot *block = at_offset(c, &catalog_state(c)->file_block[file / FILE_BLOCK]);
	return &block[file % FILE_BLOCK];
}

uint32_t catalog_free_slot(struct catalog *c)
{
	struct catalog_state *st = catalog_state(c);
	uint32_t n = catalog_files(c);
	for (uint32_t i = 0; i < n; i++)
		if (file_state_of(catalog_slot(c, i)) == FILE_FREE)
			return i;
	if (n == FILES_MAX || !have_block(c, &st->file_block[n / FILE_BLOCK], FILE_BLOCK * sizeof(struct file_slot)))
		return FILES_MAX;
	catalog_slot(c, n)->number = n;
	atomic_store(&st->files, n + 1);
	return n;
}

uint32_t file_holders(const struct file_slot *s)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < MEMBER_WORDS; i++)
		n += (uint32_t)__builtin_popcountll(atomic_load(&s->holders[i]));
	return n;
}

/* ---- whose ---------------------------------------------------------------- */

/* NULL: its block is not there. */
static struct extent_owner *extent_at(const struct catalog *c, const struct catalog_state *st, uint32_t e)
{
	struct extent_owner *block = at_offset(c, &st->extent_block[(EXTENT_TOP - e) / EXTENT_BLOCK]);
	return block ? &block[(EXTENT_TOP - e) % EXTENT_BLOCK] : NULL;
}

static uint64_t owner_word(const struct file_slot *s, uint32_t index)
{
	uint64_t generation = file_generation(s) & ((1u << OWNER_GENERATION_BITS) - 1);
	return OWNER_IS | generation << (OWNER_INDEX_BITS + OWNER_SLOT_BITS) | (uint64_t)s->number << OWNER_INDEX_BITS |
	       index;
}

static uint32_t owner_slot(uint64_t owner)
{
	return (uint32_t)(owner >> OWNER_INDEX_BITS) & (FILES_MAX - 1);
}

struct whose catalog_whose(struct catalog *c, uint32_t page)
{
	const struct catalog_state *st = catalog_state(c);
	uint32_t e = page / EXTENT_PAGES;
	/* Acquire: who has the number of a page has it after the extent was given. */
	if (!st || e < atomic_load_explicit(&st->low, memory_order_acquire) || e > EXTENT_TOP)
		return (struct whose){c->first, page};
	const struct extent_owner *at = extent_at(c, st, e);
	/* Acquire, as above: while the page has an entry, or its frame a claim, this does not change. */
	uint64_t owner = at ? atomic_load_explicit(&at->owner, memory_order_acquire) : 0;
	if (!owner)
		return (struct whose){NULL, page}; /* a hint that was late */
	return (struct whose){catalog_file(c, owner_slot(owner)), (uint32_t)owner * EXTENT_PAGES + page % EXTENT_PAGES};
}

/* ---- the role ------------------------------------------------------------- */

static bool try_role(struct catalog_state *st, const struct stripe *me)
{
	uint32_t nobody = 0;
	return atomic_compare_exchange_strong(&st->who, &nobody, me->id + 1);
}

static void role_begin(const struct catalog *c, struct catalog_state *st, const struct stripe *me)
{
	struct core *core = c->first->core;
	struct wait_queue *q = wait_queue_of(core->wait, wait_for_catalog());
	while (!try_role(st, me)) {
		uint32_t count = wait_prepare(q, wait_for_catalog());
		/* Sequentially consistent, after the announcement: pairs with role_end. */
		if (try_role(st, me))
			return;
		core_sleep(core, q, count, wait_for_catalog());
	}
}

static void role_end(const struct catalog *c, struct catalog_state *st)
{
	atomic_store(&st->who, 0);
	wait_notify(c->first->core->wait, wait_for_catalog());
}

/* ---- links, with the role ------------------------------------------------- */

static _Atomic uint32_t *chain_of(struct catalog_state *st, uint64_t owner)
{
	return &st->chain[number_hash((uint32_t)owner ^ owner_slot(owner) << (OWNER_INDEX_BITS - OWNER_SLOT_BITS)) %
	                  CATALOG_CHAINS];
}

static void push(_Atomic uint32_t *list, struct extent_owner *at, uint32_t e)
{
	atomic_store(&at->next, atomic_load(list));
	atomic_store(list, e);
}

static uint32_t find(const struct catalog *c, struct catalog_state *st, uint64_t owner)
{
	uint32_t e = atomic_load(chain_of(st, owner));
	while (e != EXTENT_NONE && atomic_load(&extent_at(c, st, e)->owner) != owner)
		e = atomic_load(&extent_at(c, st, e)->next);
	return e;
}

static void unlink_extent(const struct catalog *c, struct catalog_state *st, uint32_t e)
{
	struct extent_owner *at = extent_at(c, st, e);
	_Atomic uint32_t *from = chain_of(st, atomic_load(&at->owner));
	while (atomic_load(from) != e)
		from = &extent_at(c, st, atomic_load(from))->next;
	atomic_store(from, atomic_load(&at->next));
}

static uint32_t take_free(const struct catalog *c, struct catalog_state *st)
{
	uint32_t e = atomic_load(&st->free);
	if (e != EXTENT_NONE)
		atomic_store(&st->free, atomic_load(&extent_at(c, st, e)->next));
	return e;
}

/* One that was never used; NONE: the first file has what is left, or its memory was not prepared. */
static uint32_t take_new(const struct catalog *c, struct catalog_state *st)
{
	uint32_t e = atomic_load(&st->low) - 1;
	if (e == EXTENT_NONE || !extent_at(c, st, e) || !pageio_limit(&c->first->file, e * EXTENT_PAGES))
		return EXTENT_NONE;
	/* Release: pairs with catalog_whose. */
	atomic_store(&st->low, e);
	return e;
}

static uint32_t give(const struct catalog *c, struct catalog_state *st, uint64_t owner)
{
	uint32_t e = take_free(c, st);
	if (e == EXTENT_NONE)
		e = take_new(c, st);
	if (e == EXTENT_NONE)
		return EXTENT_NONE;
	struct extent_owner *at = extent_at(c, st, e);
	/* Release, before a page with such a number is in memory: pairs with catalog_whose. */
	atomic_store(&at->owner, owner);
	push(chain_of(st, owner), at, e);
	return e;
}

/* Memory for the next one that was never used, before the role.  False: there is none. */
static bool prepare(const struct catalog *c, struct catalog_state *st)
{
	uint32_t low = atomic_load(&st->low), next = low > EXTENT_NONE + 1 ? low - 1 : low;
	return have_block(c, &st->extent_block[(EXTENT_TOP - next) / EXTENT_BLOCK],
	                  EXTENT_BLOCK * sizeof(struct extent_owner));
}

/* Is there nothing more to prepare? */
static bool is_prepared(const struct catalog *c, const struct catalog_state *st)
{
	uint32_t low = atomic_load(&st->low);
	return low == EXTENT_NONE + 1 || extent_at(c, st, low - 1);
}

uint32_t catalog_extent(struct catalog *c, struct stripe *me, struct file_slot *s, uint32_t index, bool wanted,
                        int *error)
{
	struct catalog_state *st = catalog_state(c);
	uint64_t owner = owner_word(s, index);
	*error = wanted && !prepare(c, st) ? ENOMEM : 0;
	role_begin(c, st, me);
	uint32_t e = find(c, st, owner);
	if (e == EXTENT_NONE && wanted && !*error) {
		e = give(c, st, owner);
		/* Others may have used up what was prepared: then there is more to prepare. */
		*error = e != EXTENT_NONE ? 0 : is_prepared(c, st) ? EFBIG : EAGAIN;
	}
	role_end(c, st);
	if (e != EXTENT_NONE)
		*error = 0;
	return e;
}

void catalog_each(struct catalog *c, const struct file_slot *s, extent_seen *see, void *to)
{
	const struct catalog_state *st = catalog_state(c);
	uint64_t of = owner_word(s, 0);
	for (uint32_t e = EXTENT_TOP, low = atomic_load(&st->low); e >= low; e--) {
		const struct extent_owner *at = extent_at(c, st, e);
		uint64_t owner = at ? atomic_load(&at->owner) : 0;
		if (owner && (owner ^ of) >> OWNER_INDEX_BITS == 0)
			see(to, e, (uint32_t)owner);
	}
}

struct taking {
	struct catalog *c;
	struct catalog_state *st;
};

static void take_back(void *taking, uint32_t e, uint32_t index)
{
	const struct taking *t = taking;
	struct extent_owner *at = extent_at(t->c, t->st, e);
	(void)index;
	unlink_extent(t->c, t->st, e);
	atomic_store(&at->owner, 0);
	push(&t->st->free, at, e);
}

bool catalog_take_back(struct catalog *c, struct stripe *me, const struct file_slot *s, bool waits)
{
	struct taking t = {c, catalog_state(c)};
	if (waits)
		role_begin(c, t.st, me);
	else if (!try_role(t.st, me))
		return false;
	catalog_each(c, s, take_back, &t);
	role_end(c, t.st);
	return true;
}

/* ---- who had the role is gone --------------------------------------------- */

/* The links are made anew, from the owners. */
static void link_anew(const struct catalog *c, struct catalog_state *st)
{
	uint32_t low = atomic_load(&st->low);
	for (uint32_t i = 0; i < CATALOG_CHAINS; i++)
		atomic_store(&st->chain[i], EXTENT_NONE);
	atomic_store(&st->free, EXTENT_NONE);
	for (uint32_t e = EXTENT_TOP; e >= low; e--) {
		struct extent_owner *at = extent_at(c, st, e);
		uint64_t owner = at ? atomic_load(&at->owner) : 0;
		if (at)
			push(owner ? chain_of(st, owner) : &st->free, at, e);
	}
}

void catalog_recover(struct catalog *c, stripe_test *dead, void *of)
{
	struct catalog_state *st = c ? catalog_state(c) : NULL;
	uint32_t who = st ? atomic_load(&st->who) : 0;
	if (!who || !dead(of, who - 1))
		return;
	link_anew(c, st);
	/* It may have tried a lower one, that the first file has. */
	uint32_t low = atomic_load(&st->low);
	atomic_store(&c->first->file.state->limit, low > EXTENT_TOP ? PAGE_NONE : low * EXTENT_PAGES);
	role_end(c, st);
}

static bool blocks_sound(const _Atomic uint64_t *block, unsigned n, uint64_t bytes, uint64_t end)
{
	for (unsigned i = 0; i < n; i++)
		if (atomic_load(&block[i]) > end - bytes)
			return false;
	return true;
}

bool catalog_sound(const struct catalog *c, uint64_t end)
{
	const struct catalog_state *st = catalog_state(c);
	if (!st)
		return true;
	uint32_t files = atomic_load(&st->files);
	return files <= FILES_MAX && atomic_load(&st->low) > EXTENT_NONE && atomic_load(&st->low) <= EXTENT_TOP + 1 &&
	       blocks_sound(st->file_block, FILE_BLOCKS, FILE_BLOCK * sizeof(struct file_slot), end) &&
	       blocks_sound(st->extent_block, EXTENT_BLOCKS, EXTENT_BLOCK * sizeof(struct extent_owner), end) &&
	       (files == 0 || atomic_load(&st->file_block[(files - 1) / FILE_BLOCK]));
}
