/* ahead.c - see ahead.h. */
#include "api/ahead.h"

#include <errno.h>

#include "api/batch.h"

/* Pages of the first read of a thread that reads in the file's order. */
#define AHEAD_FIRST 4u

enum ahead ahead_begin(MPOOL *mp, struct io *io, struct attachment *a, uint32_t number, uint32_t *frame,
                       uint32_t *at_page, struct table_ref *at)
{
	for (;;) {
		struct want want = {.io = io, .number = number};
		if (extent_have(io, a->stripe, number, &want.page) != 0)
			return AHEAD_NO_ROOM;
		uint32_t page = *at_page = want.page;
		epoch_enter(&mp->core.epoch, a->stripe);
		uint64_t e = table_find(&mp->core.tables, page, at);
		enum load_state begun = LOAD_LOST;
		if (!entry_valid(e) && *frame != FRAME_NONE)
			begun = load_begin(mp, a, page, e, at);
		if (begun == LOAD_WON && want_moved(&want)) {
			load_withdraw(mp, a, page, at);
			begun = LOAD_LOST;
		}
		epoch_leave(a->stripe);
		if (entry_valid(e))
			return entry_in_memory(e) ? AHEAD_THERE : AHEAD_BUSY;
		if (begun == LOAD_WON && pageio_stands(&io->file, number, NULL) == STANDS)
			return AHEAD_WON;
		if (begun == LOAD_WON) { /* the file is cut, or about to be */
			(void)load_fail(mp, a, &(struct load){.page = page, .frame = FRAME_NONE, .at = *at});
			return AHEAD_NO_ROOM;
		}
		if (*frame == FRAME_NONE)
			*frame = frame_alloc_ahead(&mp->evict, a, page);
		if (*frame == FRAME_NONE || begun == LOAD_NO_MEMORY)
			return AHEAD_NO_ROOM;
	}
}

void ahead_expect(MPOOL *mp, struct attachment *a, uint32_t page, enum ahead before, uint32_t *frame)
{
	if (before == AHEAD_WON && *frame == FRAME_NONE)
		*frame = frame_alloc_ahead(&mp->evict, a, page);
}

uint32_t ahead_window(MPOOL *mp, struct attachment *a, const struct want *want)
{
	uint32_t page = want->number;
	uint32_t most = atomic_load_explicit(&mp->readahead, memory_order_relaxed);
	if (most <= 1)
		return 1;
	uint32_t n = 1, last = a->ahead_last;
	if (page > last && page - last <= a->ahead_window)
		n = a->ahead_window < AHEAD_FIRST ? AHEAD_FIRST : 2 * a->ahead_window;
	n = n < most ? n : most;
	n = n < BATCH_PAGES ? n : BATCH_PAGES;
	uint32_t end = pageio_pages(&want->io->file) - page;
	n = n < end ? n : end;
	a->ahead_window = n;
	a->ahead_next = page;
	a->ahead_last = page + n - 1;
	return n;
}

uint32_t ahead_entered(MPOOL *mp, const struct attachment *a, const struct want *want, uint32_t *from)
{
	uint32_t page = want->number;
	uint32_t most = atomic_load_explicit(&mp->readahead, memory_order_relaxed), n = 2 * a->ahead_window;
	/* Two misses in the file's order may be chance. */
	if (a->ahead_window <= 1 || (a->ahead_window <= AHEAD_FIRST && a->ahead_window < most))
		return 0;
	if (page < a->ahead_next || page > a->ahead_last)
		return 0;
	if (hooks_convert(&want->io->file.hooks) || !pageio_direct(&want->io->file))
		return 0;
	n = n < most ? n : most;
	n = n < BATCH_PAGES ? n : BATCH_PAGES;
	*from = a->ahead_last + 1;
	uint32_t pages = pageio_pages(&want->io->file), end = pages > *from ? pages - *from : 0;
	return n < end ? n : end;
}

void ahead_on_way(struct attachment *a, uint32_t from, uint32_t n)
{
	a->ahead_next = from; /* none of them: until the thread misses a page behind the last */
	a->ahead_last = from + n - 1;
	a->ahead_window = n > 0 ? n : a->ahead_window;
}

/* Begin to load what is not in memory of the pages after the first of the batch. */
static void begin_next(struct batch *b, struct attachment *a, const struct want *want, uint32_t n)
{
	uint32_t frame = FRAME_NONE, first = want->number, page;
	enum ahead begun = AHEAD_THERE;
	for (uint32_t i = 1; i < n && begun != AHEAD_NO_ROOM; i++) {
		struct table_ref at;
		ahead_expect(b->mp, a, first + i, begun, &frame);
		begun = ahead_begin(b->mp, want->io, a, first + i, &frame, &page, &at);
		if (begun != AHEAD_WON)
			continue;
		batch_add(b, page, frame, &at, i);
		frame = FRAME_NONE;
	}
	if (frame != FRAME_NONE)
		frame_free(&b->mp->evict, frame);
}

bool ahead_load(MPOOL *mp, struct attachment *a, const struct want *want, const struct load *l, uint32_t n,
                struct pinned *p)
{
	BATCH(b);
	if (!batch_get(&b, mp, n))
		return false;
	batch_add(&b, l->page, l->frame, &l->at, 0);
	begin_next(&b, a, want, n);
	batch_read(&b);
	for (unsigned i = 1; i < b.n; i++)
		if (b.load[i].error)
			load_fail(mp, a, &b.load[i]);
		else
			load_leave(mp, a, &b.load[i], b.load[i].read);
	l = &b.load[0];
	if (l->error)
		errno = l->error;
	*p = l->error ? load_fail(mp, a, l) : load_publish(mp, a, l, want, l->read);
	return true;
}
