/* prefetch.c - mpool_prefetch; see prefetch.h. */
#include "api/prefetch.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/ahead.h"
#include "api/batch.h"
#include "api/failed.h"
#include "core/resize.h"
#include "io/engine.h"
#include "os/notify.h"

/* A prefetch of which somebody is to be told. */
struct group {
	struct group *next;  /* of those that wait for what others load */
	int efd;             /* -1: the call was left in the middle, and nobody is to be told any more */
	_Atomic size_t left; /* reads of its own; and 1 while its call is not over */
	size_t n;
	uint32_t page[]; /* that others were loading */
};

/* A read of the background's: adjacent pages. */
struct ahead_read {
	struct io_run read;  /* first: the engine knows no more */
	struct group *group; /* NULL: nobody is to be told */
	bool asked;          /* for these pages, by the program */
	struct load *load;
	struct iovec iov[];
};

struct prefetch {
	pthread_mutex_t lock; /* guards all that follows */
	struct group *waiting;
};

static struct prefetch *prefetch_of(MPOOL *mp)
{
	struct prefetch *p = atomic_load(&mp->prefetch), *made;
	if (p || !(made = calloc(1, sizeof *made)))
		return p;
	pthread_mutex_init(&made->lock, NULL);
	if (atomic_compare_exchange_strong(&mp->prefetch, &p, made))
		return made;
	pthread_mutex_destroy(&made->lock);
	free(made); /* another thread was first */
	return p;
}

void prefetch_close(MPOOL *mp)
{
	struct prefetch *p = atomic_exchange(&mp->prefetch, NULL);
	if (p)
		pthread_mutex_destroy(&p->lock);
	free(p);
	failed_end(mp);
	later_now(&mp->later);
}

/* ---- groups ------------------------------------------------------------- */

static void tell(MPOOL *mp, struct group *g)
{
	if (g->efd >= 0)
		notify_event_of_program(g->efd);
	later_free(&mp->later, g);
}

/* Is some page of the group being loaded still?  Those that are not leave its list. */
static bool waits(MPOOL *mp, const struct attachment *a, struct group *g)
{
	bool loading = false;
	epoch_enter(&mp->core.epoch, a->stripe);
	while (g->n > 0 && !loading) {
		struct table_ref at;
		loading = entry_loading(table_find(&mp->core.tables, g->page[g->n - 1], &at));
		g->n -= !loading;
	}
	epoch_leave(a->stripe);
	return loading;
}

/* One thing less is left of the group; the last tells, or has the background look for what others load. */
static void group_less(MPOOL *mp, const struct attachment *a, struct group *g)
{
	if (!g || atomic_fetch_sub(&g->left, 1) > 1)
		return;
	if (!waits(mp, a, g)) {
		tell(mp, g);
		return;
	}
	struct prefetch *p = atomic_load(&mp->prefetch);
	pthread_mutex_lock(&p->lock);
	g->next = p->waiting;
	p->waiting = g;
	pthread_mutex_unlock(&p->lock);
	background_look(&atomic_load(&mp->io.engine)->background);
}

/* ---- the background ----------------------------------------------------- */

/* Until the end of the block, whichever way it is left: a filter may end the thread. */
struct finishing {
	MPOOL *mp;
	struct attachment *a;
	struct ahead_read *h;
	uint32_t done; /* pages */
};

static void finished(const struct finishing *f)
{
	for (uint32_t i = f->done; i < f->h->read.n; i++)
		load_fail(f->mp, f->a, &f->h->load[i]);
	group_less(f->mp, f->a, f->h->group);
	later_free(&f->mp->later, f->h);
}

/* Publish it, or note that it has failed. */
static void end(MPOOL *mp, struct attachment *a, const struct load *l, bool asked)
{
	if (!l->error) {
		load_leave(mp, a, l, l->read);
		return;
	}
	/* Before the entry is free: who finds that finds this. */
	if (asked)
		failed_note(mp, l->page, l->error);
	load_fail(mp, a, l);
}

static void finish(struct attachment *a, struct io_run *read)
{
	MPOOL *mp = pool_of(a->core);
	struct ahead_read *h = (struct ahead_read *)read;
	__attribute__((cleanup(finished))) struct finishing f = {mp, a, h, 0};
	loads_finish(mp, read, h->load);
	for (; f.done < read->n; f.done++) {
		struct load *l = &h->load[f.done];
		load_decode(mp, l);
		end(mp, a, l, h->asked);
	}
}

static bool look(struct attachment *a, bool last)
{
	MPOOL *mp = pool_of(a->core);
	struct prefetch *p = atomic_load(&mp->prefetch);
	pthread_mutex_lock(&p->lock);
	struct group *g = p->waiting, *next;
	p->waiting = NULL;
	pthread_mutex_unlock(&p->lock);
	bool any = false;
	for (; g; g = next) {
		next = g->next;
		if (last || !waits(mp, a, g)) {
			tell(mp, g);
			continue;
		}
		any = true;
		pthread_mutex_lock(&p->lock);
		g->next = p->waiting;
		p->waiting = g;
		pthread_mutex_unlock(&p->lock);
	}
	return any;
}

static const struct background_above above = {finish, look};

/* ---- the call ----------------------------------------------------------- */

struct call {
	MPOOL *mp;
	struct io *io; /* of the file */
	struct attachment *a;
	struct prefetch *prefetch;
	struct engine *engine;
	uint32_t background; /* its stripe's number */
	struct group *group; /* NULL: nobody is to be told */
	bool asked;          /* by the program */
	uint32_t frame;      /* one that is not needed yet; FRAME_NONE */
	size_t done;         /* pages that are in memory, or being loaded */
	bool over;           /* it was not left in the middle, by a filter */
};

static void call_over(const struct call *c)
{
	struct group *g = c->group;
	if (!g)
		return;
	if (!c->over)
		g->efd = -1;
	if (c->over && c->done == 0)
		free(g); /* nothing was begun */
	else
		group_less(c->mp, c->a, g);
}

/* The call does not load them: there is no memory. */
static void let_fail(const struct call *c, const struct load *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (c->asked)
			failed_note(c->mp, l[i].page, ENOMEM);
		errno = ENOMEM;
		load_fail(c->mp, c->a, &l[i]);
	}
}

/* Hand adjacent pages over to the background. */
static void start(const struct call *c, struct load *l, unsigned n)
{
	struct ahead_read *h = malloc(sizeof *h + n * (sizeof *h->iov + sizeof *h->load));
	if (!h) {
		let_fail(c, l, n);
		return;
	}
	h->load = (struct load *)(void *)(h->iov + n);
	memcpy(h->load, l, n * sizeof *l);
	for (unsigned i = 0; i < n; i++) {
		h->iov[i] = (struct iovec){load_bytes(c->mp, &l[i]), c->mp->io.file.pagesize};
		frame_hand_over(frame_of(&c->mp->core.frames, l[i].frame), c->background);
		table_hand_over(&l[i].at, l[i].page, c->a->stripe->id, c->background);
	}
	h->read = read_of(c->mp, l->page, n, h->iov);
	h->group = c->group;
	h->asked = c->asked;
	if (c->group)
		atomic_fetch_add(&c->group->left, 1);
	engine_start(c->engine, &h->read);
}

/* A page that was never written needs no read. */
static void fill_zeros(const struct call *c, struct load *l)
{
	memset(load_bytes(c->mp, l), 0, c->mp->io.file.pagesize);
	load_decode(c->mp, l);
	end(c->mp, c->a, l, c->asked);
}

/* Begin to load pages of the list, at most a batch.  How many are in memory or being loaded now; *more: the next may be too. */
static size_t some(struct call *c, const pgno_t *number, size_t n, bool *more)
{
	BATCH(b);
	enum ahead begun = AHEAD_THERE;
	size_t i = 0;
	*more = false;
	if (!batch_get(&b, c->mp, n))
		return 0;
	for (; i < n && b.n < b.room; i++) {
		struct table_ref at;
		uint32_t page;
		ahead_expect(c->mp, c->a, number[i], begun, &c->frame);
		begun = ahead_begin(c->mp, c->io, c->a, number[i], &c->frame, &page, &at);
		if (begun == AHEAD_NO_ROOM)
			break;
		if (begun == AHEAD_BUSY && c->group)
			c->group->page[c->group->n++] = page;
		if (begun != AHEAD_WON)
			continue;
		batch_add(&b, page, c->frame, &at, 0);
		c->frame = FRAME_NONE;
	}
	*more = b.n == b.room && i < n;
	batch_sort(&b);
	for (unsigned from = 0, run; from < b.n; from += run ? run : 1)
		if ((run = batch_run(&b, from)))
			start(c, &b.load[from], run);
		else
			fill_zeros(c, &b.load[from]);
	if (b.n > 0)
		resize_step(&c->mp->core, c->a->stripe);
	return i;
}

static void all(struct call *c, const pgno_t *page, size_t n)
{
	for (bool more = true; more;)
		c->done += some(c, page + c->done, n - c->done, &more);
	if (c->frame != FRAME_NONE)
		frame_free(&c->mp->evict, c->frame);
}

/* How many pages of the list there are in the file, before the first that is not. */
static size_t valid(const struct io *io, const pgno_t *page, size_t n)
{
	uint32_t pages = pageio_pages(&io->file);
	size_t i = 0;
	while (i < n && page[i] < pages)
		i++;
	return i;
}

/* What the call needs.  False and errno. */
static bool prepare(struct call *c, size_t n, int efd)
{
	MPOOL *mp = c->mp;
	c->prefetch = prefetch_of(mp);
	c->engine = engine_of(&mp->io);
	if (efd >= 0)
		c->group = calloc(1, sizeof *c->group + n * sizeof c->group->page[0]);
	if (!c->prefetch || !c->engine || !failed_begin(mp) || (efd >= 0 && !c->group)) {
		errno = ENOMEM;
		return false;
	}
	const struct attachment *background = engine_background(c->engine, &above);
	if (!background)
		return false;
	c->background = background->stripe->id;
	later_now(&mp->later);
	if (c->group) {
		c->group->efd = efd;
		c->group->left = 1;
	}
	return true;
}

uint32_t prefetch_ahead(MPOOL *mp, struct io *io, struct attachment *a, uint32_t number, uint32_t n)
{
	pgno_t list[BATCH_PAGES];
	struct call c = {.mp = mp, .io = io, .a = a, .frame = FRAME_NONE, .over = true};
	if (!prepare(&c, n, -1) || engine_kind(c.engine) == ENGINE_PLAIN)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		list[i] = number + i;
	all(&c, list, n);
	return (uint32_t)c.done;
}

PUBLIC ssize_t mpool_prefetch(MPOOL *mp, const pgno_t *pgnos, size_t n, int efd)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL_ON(mp, io, a);
	if (!a)
		return -1;
	__attribute__((cleanup(call_over))) struct call c = {
		.mp = mp, .io = io, .a = a, .asked = true, .frame = FRAME_NONE, .over = true};
	size_t there = valid(io, pgnos, n);
	if (there == 0 && n > 0)
		errno = EINVAL;
	if (there == 0)
		return n > 0 ? -1 : 0;
	if (!prepare(&c, there, efd))
		return -1;
	c.over = false;
	all(&c, pgnos, there);
	c.over = true;
	return (ssize_t)c.done;
}
