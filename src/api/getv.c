/*
 * getv.c - mpool_getv.
 *
 * Owns no state.  The pages of a list are had a batch (batch.h) at a time: first those that are
 * in memory are pinned, and the insertions won of those that nobody has or loads; then these
 * are read, all in flight at once, and published; then those are waited for that others were
 * loading, or that are to be read again.  The caller waits with pins, and with no load of its own that anybody could wait for.
 */
#include <errno.h>
#include <limits.h>

#include "api/batch.h"
#include "api/failed.h"
#include "api/fetch.h"
#include "api/hit.h"
#include "api/put.h"
#include "core/resize.h"
#include "core/tsan.h"

#define GETV_FLAGS ((unsigned)MPOOL_ONCE | (unsigned)MPOOL_CACHED)

struct getv {
	MPOOL *mp;
	struct io *io; /* of the file */
	struct attachment *a;
	const pgno_t *page;
	void **addr; /* of those that are pinned; NULL */
	size_t n;
	unsigned flags;
	bool done;
};

static struct want want_of(const struct getv *g, size_t i)
{
	return (struct want){.io = g->io, .number = g->page[i], .once = g->flags & MPOOL_ONCE, .frame = FRAME_NONE};
}

static void had(const struct getv *g, size_t i, struct pinned p)
{
	MPOOL *mp = g->mp;
	if (p.frame != FRAME_NONE)
		g->addr[i] = tsan_take(&mp->core.region, frame_page(&mp->core.frames, p.frame));
}

/* All or none: also when a filter does not return. */
static void undo(struct getv *g)
{
	int error = errno;
	for (size_t i = 0; i < g->n && !g->done; i++)
		if (g->addr[i]) {
			(void)page_put(g->mp, g->a, g->addr[i], 0);
			g->addr[i] = NULL;
		}
	errno = error;
}

/* Have page `i` if it is in memory; begin to load it if nobody has it.  0, or an errno. */
static int begin(const struct getv *g, struct batch *b, size_t i)
{
	struct want want = want_of(g, i);
	struct table_ref at;
	struct pinned p;
	int error = 0;
	/* With loads begun it does not wait. */
	bool waits = b->n == 0;
	enum start s = page_start(g->mp, g->a, &want, waits, &p, &at, &error);
	if (s == START_PINNED)
		had(g, i, p);
	if (s != START_WON && want.frame != FRAME_NONE)
		frame_free(&g->mp->evict, want.frame);
	if (s != START_WON)
		return error;
	bool room = b->load || batch_get(b, g->mp, g->n - i);
	uint32_t f = want.frame;
	if (f == FRAME_NONE && room)
		f = frame_alloc(&g->mp->evict, g->a, want.page, waits);
	struct load l = {.page = want.page, .frame = f, .at = at};
	if (room && f != FRAME_NONE) {
		batch_add(b, want.page, f, &at, (unsigned)i);
		return 0;
	}
	load_fail(g->mp, g->a, &l);
	return errno;
}

/* Publish what was read; or let all of it go, if there is an error.  0, or the errno of the first page of the list. */
static int end(const struct getv *g, const struct batch *b, int error)
{
	unsigned first = UINT_MAX;
	int found = 0;
	for (unsigned i = 0; i < b->n; i++) {
		const struct load *l = &b->load[i];
		struct want want = want_of(g, l->index);
		if (l->error)
			errno = l->error;
		struct pinned p =
			error || l->error ? load_fail(g->mp, g->a, l) : load_publish(g->mp, g->a, l, &want, l->read);
		had(g, l->index, p);
		bool stale = !error && p.frame == FRAME_NONE && errno == LOAD_STALE;
		if (p.frame == FRAME_NONE && !stale && l->index < first) {
			first = l->index;
			found = errno;
		}
	}
	return error ? error : found;
}

/* What others were loading, and what is to be read again.  0, or an errno. */
static int wait_for_others(const struct getv *g, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct pinned p = g->addr[i] ? not_pinned : page_fetch(g->mp, g->a, want_of(g, i));
		if (!g->addr[i] && p.frame == FRAME_NONE)
			return errno;
		had(g, i, p);
	}
	return 0;
}

/* The pages from *from on that fit a batch; *from is the next then.  0, or an errno. */
static int some(const struct getv *g, size_t *from)
{
	BATCH(b);
	size_t i = *from;
	int error = 0;
	for (; i < g->n && !error && (b.n == 0 || b.n < b.room); i++)
		if (!g->addr[i])
			error = begin(g, &b, i);
	if (!error && b.n > 0) {
		batch_sort(&b);
		batch_read(&b);
	}
	error = end(g, &b, error);
	if (b.n > 0)
		resize_step(&g->mp->core, g->a->stripe);
	if (!error)
		error = wait_for_others(g, *from, i);
	*from = i;
	return error;
}

/* All of them are in memory, or EAGAIN. */
static int cached(const struct getv *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct want want = want_of(g, i);
		struct pinned p = g->addr[i] ? not_pinned : page_cached(g->mp, g->a, &want);
		if (!g->addr[i] && p.frame == FRAME_NONE) {
			failed_tell(g->mp, g->io, g->page[i]);
			return errno;
		}
		had(g, i, p);
	}
	return 0;
}

static void *hit_of(const struct getv *g, uint32_t number)
{
	struct stripe *s = g->a->stripe;
	return g->io == &g->mp->io ? page_hit(g->mp, s, number, true)
	                           : page_hit_of(g->mp, &g->io->map, s, number, true);
}

/* 0, or an errno. */
static int all(const struct getv *g)
{
	int error = 0;
	uint32_t pages = pageio_pages(&g->io->file);
	for (size_t i = 0; i < g->n; i++)
		if (g->page[i] >= pages)
			return EINVAL;
	for (size_t i = 0; i < g->n && !(g->flags & MPOOL_ONCE); i++)
		g->addr[i] = hit_of(g, g->page[i]);
	if (g->flags & MPOOL_CACHED)
		return cached(g);
	for (size_t next = 0; next < g->n && !error;)
		error = some(g, &next);
	return error;
}

PUBLIC int mpool_getv(MPOOL *mp, const pgno_t *pgnos, void **addrs, size_t n, unsigned int flags)
{
	WHERE_BEGIN();
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	if (flags & ~GETV_FLAGS) {
		errno = EINVAL;
		return -1;
	}
	CALL_ON(mp, io, a);
	for (size_t i = 0; i < n; i++)
		addrs[i] = NULL;
	if (!a)
		return -1;
	__attribute__((cleanup(undo))) struct getv g = {mp, io, a, pgnos, addrs, n, flags, false};
	int error = all(&g);
	g.done = !error;
	errno = error ? error : errno;
	return error ? -1 : 0;
}
