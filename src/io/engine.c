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
	e->shared = region_shared(&io->core->region);
	e->store = io->pool->file.store;
	atomic_init(&e->depth, ENGINE_DEPTH);
	submits_init(&e->submits);
	background_init(&e->background, io->core, &e->refused, &e->depth);
	return e;
}

struct engine *engine_of(struct io *io)
{
	struct engine *e = atomic_load(&io->pool->engine), *made;
	if (e || !(made = engine_open(io)))
		return e;
	if (atomic_compare_exchange_strong(&io->pool->engine, &e, made))
		return made;
	background_end(&made->background);
	submits_end(&made->submits);
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
	submits_end(&e->submits);
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
	submits_init(&e->submits);
	e->background = (struct background){0};
	background_init(&e->background, io->core, &e->refused, &e->depth);
}

/* Of files. */
static enum engine_kind kind_of_files(const struct engine *e)
{
	enum engine_kind wanted = atomic_load(&e->wanted);
	if (wanted != ENGINE_AUTO)
		return wanted;
	return e->shared || atomic_load(&e->refused) ? ENGINE_WORKERS : ENGINE_RING;
}

/* Of a store; RING: its submit. */
static enum engine_kind kind_of_store(const struct engine *e, const struct store *s)
{
	enum engine_kind wanted = atomic_load(&e->wanted);
	if (wanted == ENGINE_PLAIN)
		return ENGINE_PLAIN;
	return store_submits(s) && wanted != ENGINE_WORKERS ? ENGINE_RING : ENGINE_WORKERS;
}

enum engine_kind engine_kind(const struct engine *e)
{
	return e->store ? kind_of_store(e, e->store) : kind_of_files(e);
}

/* ---- rings -------------------------------------------------------------- */

static bool may_pass(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENFILE || error == EAGAIN || error == EBUSY;
}

/* Which serves a call that is beginning. */
static enum engine_kind serving(struct engine *e, const struct io_run *run)
{
	int refused = atomic_load(&e->refused);
	bool choose = atomic_load(&e->wanted) == ENGINE_AUTO;
	if (run->file->store)
		return kind_of_store(e, run->file->store);
	if (choose && run->write && !pageio_direct(run->file))
		return ENGINE_PLAIN;
	if (choose && !e->shared && refused && may_pass(refused) &&
	    (atomic_fetch_add_explicit(&e->missed, 1, memory_order_relaxed) + 1) % REFUSAL_CALLS == 0)
		atomic_store(&e->refused, 0);
	return kind_of_files(e);
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

/* ---- flights ------------------------------------------------------------ */

/* May it begin another now? */
static bool may_begin(const struct flight *f)
{
	return f->begun < f->n && f->begun - f->ended < f->most;
}

/* For how long it waits for one that it has begun before it begins more than it should; 0: until one is done. */
static unsigned patience(const struct flight *f)
{
	return f->begun < f->n && f->most < f->limit ? FLIGHT_PATIENCE_US : 0;
}

static struct io_run *next_of_ring(struct flight *f)
{
	while (may_begin(f) && ring_start(f->ring, &f->runs[f->begun]))
		f->begun++;
	return ring_idle(f->ring) ? NULL : ring_next(f->ring, patience(f));
}

static struct io_run *next_of_workers(struct flight *f)
{
	for (; may_begin(f); f->begun++)
		workers_add(f->workers, &f->call, &f->runs[f->begun]);
	return workers_next(f->workers, &f->call, patience(f));
}

static struct io_run *next_of_stores(struct flight *f)
{
	bool submit = f->submit.store || atomic_load(&f->engine->wanted) != ENGINE_WORKERS;
	for (; may_begin(f); f->begun++)
		submit_add(&f->submit, &f->runs[f->begun], submit, f->workers);
	/* Half of them, before others are begun: to be woken for each would cost more.  Who helps the store is not woken. */
	unsigned low = f->begun == f->n ? 0 : f->submit.store ? f->most - 1 : f->most / 2;
	return submit_next(&f->submit, low, patience(f));
}

/* The next that is done; NULL: none is; as none is in flight, or in time. */
static struct io_run *next_done(struct flight *f)
{
	if (f->stores)
		return next_of_stores(f);
	return f->ring ? next_of_ring(f) : f->workers ? next_of_workers(f) : NULL;
}

/* Nothing of it is in flight. */
static void flight_end(struct flight *f)
{
	if (f->stores)
		submit_end(&f->submit);
	f->stores = false;
	if (!f->ring)
		return;
	transfer_end();
	ring_put(f->engine, f->ring);
	f->ring = NULL;
}

/* ---- all of them -------------------------------------------------------- */

static struct workers *workers_of(struct engine *e)
{
	struct workers *w = atomic_load(&e->workers), *made;
	if (w || !(made = workers_open(ENGINE_DEPTH_MAX)))
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
	if (kind >= ENGINE_KINDS || (kind == ENGINE_RING && (e->shared || (e->store && !store_submits(e->store)))))
		return EINVAL;
	int error = kind == ENGINE_RING && !e->store ? try_ring(e) : 0;
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

/* Is one of them of a store? */
static bool any_of_store(const struct io *io, const struct io_run *runs, unsigned n)
{
	bool stores = atomic_load_explicit(&io->pool->stores, memory_order_relaxed);
	for (unsigned i = 0; stores && i < n; i++)
		if (runs[i].file->store)
			return true;
	return false;
}

/* The store that they are all of, if who waits for them can help it; or NULL. */
static const struct store *store_of_all(const struct io_run *runs, unsigned n)
{
	const struct store *s = runs[0].file->store;
	for (unsigned i = 1; i < n; i++)
		if (runs[i].file->store != s)
			return NULL;
	return store_submits(s) && store_waits(s) ? s : NULL;
}

static void begin_with_stores(struct flight *f, bool each)
{
	unsigned depth = atomic_load(&f->engine->depth);
	enum engine_kind wanted = atomic_load(&f->engine->wanted);
	if (wanted == ENGINE_PLAIN)
		return;
	f->stores = true;
	f->workers = workers_of(f->engine);
	f->limit = depth;
	f->most = f->most < depth ? f->most : depth;
	const struct store *s = wanted == ENGINE_WORKERS ? NULL : store_of_all(f->runs, f->n);
	submit_begin(&f->submit, &f->engine->submits, s, each);
}

void flight_begin(struct flight *f, struct io *io, struct io_run *runs, unsigned n, bool each)
{
	/* Without memory for an engine they are made one after the other. */
	struct engine *e = n > 1 ? engine_of(io) : NULL;
	*f = (struct flight){.engine = e,
	                     .runs = runs,
	                     .n = n,
	                     .most = each ? FLIGHT_LEAST : ENGINE_DEPTH_MAX,
	                     .limit = ENGINE_DEPTH_MAX};
	if (e && any_of_store(io, runs, n)) {
		begin_with_stores(f, each);
		return;
	}
	enum engine_kind kind = e ? serving(e, runs) : ENGINE_PLAIN;
	if (kind == ENGINE_RING && (f->ring = ring_get(e)))
		transfer_begin();
	else if (kind != ENGINE_PLAIN && (f->workers = workers_of(e)))
		workers_begin(&f->call, each);
}

struct io_run *flight_next(struct flight *f)
{
	struct io_run *r;
	while (!(r = next_done(f)) && f->ended < f->begun)
		/* The device takes its time: not for what it has. */
		f->most = f->most < f->limit / 2 ? 2 * f->most : f->limit;
	if (!r && f->begun < f->n)
		run_now(r = &f->runs[f->begun++]); /* there is no engine, or it takes none any more */
	if (r)
		f->ended++;
	else
		flight_end(f);
	return r;
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
	enum engine_kind kind = serving(e, read);
	struct workers *w = NULL;
	read->submitted = kind == ENGINE_RING && read->file->store;
	if (read->submitted) {
		background_read(b, read);
		return;
	}
	if (kind == ENGINE_WORKERS || (kind == ENGINE_RING && !ring_in_background(e)))
		w = workers_of(e);
	if (!w) {
		background_read(b, read);
		return;
	}
	background_elsewhere(b);
	workers_start(w, read, background_done, b);
}
