/* engine.c - see engine.h. */
#include "io/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "os/transfer.h"

/* A refusal that may pass: after so many calls that did without, a ring is asked for again. */
#define REFUSAL_CALLS 1024u

static struct engine *engine_open(struct io *io)
{
	struct engine *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->io = &io->file;
	e->shared = region_shared(&io->core->region);
	atomic_init(&e->depth, ENGINE_DEPTH);
	background_init(&e->background, io->core, &io->file, &e->refused);
	return e;
}

struct engine *engine_of(struct io *io)
{
	struct engine *e = atomic_load(&io->engine), *made;
	if (e || !(made = engine_open(io)))
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
	background_init(&e->background, io->core, &io->file, &e->refused);
}

enum engine_kind engine_kind(const struct engine *e)
{
	enum engine_kind wanted = atomic_load(&e->wanted);
	if (wanted != ENGINE_AUTO)
		return wanted;
	return e->shared || atomic_load(&e->refused) ? ENGINE_WORKERS : ENGINE_RING;
}

/* ---- rings -------------------------------------------------------------- */

static bool may_pass(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENFILE || error == EAGAIN || error == EBUSY;
}

/* Which serves a call that is beginning. */
static enum engine_kind serving(struct engine *e, bool writes)
{
	int refused = atomic_load(&e->refused);
	bool choose = atomic_load(&e->wanted) == ENGINE_AUTO;
	if (choose && writes && !pageio_direct(e->io))
		return ENGINE_PLAIN;
	if (choose && !e->shared && refused && may_pass(refused) &&
	    (atomic_fetch_add_explicit(&e->missed, 1, memory_order_relaxed) + 1) % REFUSAL_CALLS == 0)
		atomic_store(&e->refused, 0);
	return engine_kind(e);
}

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
	int error = r ? 0 : errno;
	if (atomic_load(&e->refused) != error)
		atomic_store(&e->refused, error);
	errno = error;
	return r;
}

static void ring_put(struct engine *e, struct ring *r)
{
	int broken = ring_broken(r);
	if (broken)
		atomic_store(&e->refused, broken);
	for (unsigned i = 0; i < ENGINE_RINGS && !broken; i++) {
		struct ring *none = NULL;
		/* Release: pairs with ring_get. */
		if (atomic_compare_exchange_strong_explicit(&e->rings[i], &none, r, memory_order_release,
		                                            memory_order_relaxed))
			return;
	}
	ring_close(r);
}

/* The next that is done; NULL: all are, and the ring is put back. */
static struct io_run *next_of_ring(struct flight *f)
{
	while (f->begun < f->n && ring_start(f->ring, f->io, &f->runs[f->begun]))
		f->begun++;
	struct io_run *r = ring_idle(f->ring) ? NULL : ring_next(f->ring, 0);
	if (!r && f->begun < f->n)
		run_now(f->io, r = &f->runs[f->begun++]); /* the ring takes none any more */
	if (!r) {
		transfer_end();
		ring_put(f->engine, f->ring);
		f->ring = NULL;
	}
	return r;
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

/* Can a ring be had now?  0, or an errno. */
static int try_ring(struct engine *e)
{
	struct ring *r = ring_get(e);
	if (!r)
		return errno;
	ring_put(e, r);
	return 0;
}

int engine_want(struct engine *e, uint64_t kind)
{
	if (kind >= ENGINE_KINDS || (kind == ENGINE_RING && e->shared))
		return EINVAL;
	int error = kind == ENGINE_RING ? try_ring(e) : 0;
	if (error)
		return error;
	if (kind == ENGINE_AUTO)
		atomic_store(&e->refused, 0); /* ask anew */
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

void flight_begin(struct flight *f, struct io *io, struct io_run *runs, unsigned n, bool each)
{
	/* Without memory for an engine they are made one after the other. */
	struct engine *e = n > 1 ? engine_of(io) : NULL;
	enum engine_kind kind = e ? serving(e, runs->write) : ENGINE_PLAIN;
	*f = (struct flight){.io = &io->file, .engine = e, .runs = runs, .n = n};
	if (kind == ENGINE_RING && (f->ring = ring_get(e))) {
		transfer_begin();
	} else if (kind != ENGINE_PLAIN && (f->workers = workers_of(e))) {
		workers_begin(f->workers, &f->call, runs, n, each);
		f->begun = n;
	}
}

struct io_run *flight_next(struct flight *f)
{
	if (f->ring)
		return next_of_ring(f);
	if (f->workers)
		return workers_next(f->workers, &f->call);
	if (f->begun == f->n)
		return NULL;
	run_now(f->io, &f->runs[f->begun]);
	return &f->runs[f->begun++];
}

unsigned flight_stop(struct flight *f)
{
	f->n = f->begun;
	return f->n;
}

void engine_make(struct io *io, struct io_run *runs, unsigned n)
{
	struct flight f;
	flight_begin(&f, io, runs, n, false);
	while (flight_next(&f))
		;
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

void engine_start(struct engine *e, struct io_run *read)
{
	struct background *b = &e->background;
	enum engine_kind kind = serving(e, false);
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
