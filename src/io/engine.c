/* engine.c - see engine.h. */
#include "io/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "os/transfer.h"

static struct engine *engine_make(struct io *io)
{
	struct engine *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->io = &io->file;
	e->shared = region_shared(&io->core->region);
	atomic_init(&e->depth, ENGINE_DEPTH);
	background_init(&e->background, io->core, &io->file);
	return e;
}

struct engine *engine_of(struct io *io)
{
	struct engine *e = atomic_load(&io->engine), *made;
	if (e || !(made = engine_make(io)))
		return e;
	if (atomic_compare_exchange_strong(&io->engine, &e, made))
		return made;
	background_end(&made->background);
	free(made); /* another thread was first */
	return e;
}

void engine_close(struct io *io)
{
	struct engine *e = atomic_exchange(&io->engine, NULL);
	if (!e)
		return;
	background_end(&e->background);
	for (unsigned i = 0; i < ENGINE_RINGS; i++)
		if (e->rings[i])
			ring_close(e->rings[i]);
	if (e->workers)
		workers_close(e->workers);
	free(e);
}

void engine_forked(struct io *io)
{
	struct engine *e = atomic_load(&io->engine);
	if (!e)
		return;
	/* Rings are let be: ring.h. */
	for (unsigned i = 0; i < ENGINE_RINGS; i++)
		e->rings[i] = NULL;
	workers_drop(e->workers);
	e->workers = NULL;
	e->background = (struct background){0};
	background_init(&e->background, io->core, &io->file);
}

enum engine_kind engine_kind(const struct engine *e)
{
	enum engine_kind wanted = atomic_load(&e->wanted);
	if (wanted != ENGINE_AUTO)
		return wanted;
	return e->shared || atomic_load(&e->refused) ? ENGINE_WORKERS : ENGINE_RING;
}

/* ---- rings -------------------------------------------------------------- */

static struct ring *ring_get(struct engine *e)
{
	for (unsigned i = 0; i < ENGINE_RINGS; i++) {
		/* Acquire: what its last user did in it is done. */
		struct ring *r = atomic_load_explicit(&e->rings[i], memory_order_relaxed);
		if (!r || !(r = atomic_exchange_explicit(&e->rings[i], NULL, memory_order_acquire)))
			continue;
		if (ring_depth(r) == atomic_load(&e->depth))
			return r;
		ring_close(r);
	}
	struct ring *r = ring_open(atomic_load(&e->depth));
	if (!r)
		atomic_store(&e->refused, errno);
	return r;
}

static void ring_put(struct engine *e, struct ring *r)
{
	for (unsigned i = 0; i < ENGINE_RINGS; i++) {
		struct ring *none = NULL;
		/* Release: pairs with ring_get. */
		if (atomic_compare_exchange_strong_explicit(&e->rings[i], &none, r, memory_order_release,
		                                            memory_order_relaxed))
			return;
	}
	ring_close(r);
}

/* False: there is no ring. */
static bool read_by_ring(struct engine *e, struct io_read *reads, unsigned n)
{
	struct ring *r = ring_get(e);
	if (!r)
		return false;
	unsigned begun = 0;
	transfer_begin();
	while (begun < n || !ring_idle(r)) {
		while (begun < n && ring_start(r, e->io, &reads[begun]))
			begun++;
		if (!ring_idle(r))
			ring_next(r, 0);
		else if (begun < n)
			read_now(e->io, &reads[begun++]); /* the ring takes none any more */
	}
	transfer_end();
	ring_put(e, r);
	return true;
}

/* ---- all of them -------------------------------------------------------- */

static struct workers *workers_of(struct engine *e)
{
	struct workers *w = atomic_load(&e->workers), *made;
	if (w || !(made = workers_open(e->io, ENGINE_DEPTH_MAX)))
		return w;
	workers_limit(made, atomic_load(&e->depth));
	if (atomic_compare_exchange_strong(&e->workers, &w, made))
		return made;
	workers_close(made); /* another thread was first */
	return w;
}

int engine_want(struct engine *e, uint64_t kind)
{
	if (kind >= ENGINE_KINDS || (kind == ENGINE_RING && e->shared))
		return EINVAL;
	if (kind == ENGINE_RING) {
		struct ring *r = ring_get(e);
		if (!r)
			return atomic_load(&e->refused);
		ring_put(e, r);
	}
	atomic_store(&e->wanted, (uint32_t)kind);
	return 0;
}

int engine_set_depth(struct engine *e, uint64_t depth)
{
	if (depth == 0 || depth > ENGINE_DEPTH_MAX)
		return EINVAL;
	atomic_store(&e->depth, (uint32_t)depth);
	struct workers *w = atomic_load(&e->workers);
	if (w)
		workers_limit(w, (unsigned)depth);
	return 0;
}

void engine_read(struct engine *e, struct io_read *reads, unsigned n)
{
	enum engine_kind kind = n > 1 ? engine_kind(e) : ENGINE_PLAIN;
	if (kind == ENGINE_RING && read_by_ring(e, reads, n))
		return;
	struct workers *w = kind == ENGINE_PLAIN ? NULL : workers_of(e);
	if (w)
		workers_read(w, reads, n);
	for (unsigned i = 0; !w && i < n; i++)
		read_now(e->io, &reads[i]);
}

/* ---- reads that nobody waits for ---------------------------------------- */

struct attachment *engine_background(struct engine *e, const struct background_above *above)
{
	return background_begin(&e->background, above);
}

/* Has the background a ring, or can it have one? */
static bool ring_in_background(struct engine *e)
{
	struct background *b = &e->background;
	if (background_has_ring(b))
		return true;
	struct ring *r = ring_get(e);
	if (!r)
		return false;
	bool given = background_give_ring(b, r);
	if (!given)
		ring_put(e, r);
	return given || background_has_ring(b);
}

void engine_start(struct engine *e, struct io_read *read)
{
	struct background *b = &e->background;
	enum engine_kind kind = engine_kind(e);
	struct workers *w = NULL;
	if (kind == ENGINE_WORKERS || (kind == ENGINE_RING && !ring_in_background(e)))
		w = workers_of(e);
	if (!w) {
		background_read(b, read);
		return;
	}
	background_elsewhere(b);
	workers_start(w, read, background_done, b);
}
