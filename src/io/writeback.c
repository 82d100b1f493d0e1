/* writeback.c - see writeback.h. */
#include "io/writeback.h"

#include <errno.h>
#include <stdlib.h>

#include "io/extent.h"

/* A write buffer holds that much, or one page if that is more. */
#define BUFFER_BYTES ((size_t)1 << 20)

/* ---- copies ------------------------------------------------------------- */

static char *take(_Atomic(void *) *buffers, unsigned n)
{
	char *bytes = NULL;
	for (unsigned i = 0; i < n && !bytes; i++)
		/* Acquire: pairs with the release in keep. */
		if (atomic_load_explicit(&buffers[i], memory_order_relaxed))
			bytes = atomic_exchange(&buffers[i], NULL);
	return bytes;
}

bool write_buffer_get(struct io *io, struct buffer *b, size_t most)
{
	size_t page = io->file.pagesize;
	b->used = 0;
	b->pages = page < BUFFER_BYTES ? (unsigned)(BUFFER_BYTES / page) : 1;
	if (b->pages > WINDOW_MAX)
		b->pages = WINDOW_MAX;
	/* A private pool has no more frames than it was opened with, and the size of its buffers stays. */
	if (!region_shared(&io->core->region) && b->pages > io->core->frames.base.count)
		b->pages = io->core->frames.base.count;
	b->small = most <= SMALL_PAGES && SMALL_PAGES < b->pages;
	if (b->small)
		b->pages = SMALL_PAGES;
	b->bytes = b->small ? take(io->pool->small, SMALL_BUFFERS) : take(io->pool->buffers, WRITE_BUFFERS);
	if (!b->bytes)
		b->bytes = mem_alloc(&io->core->region.mem, b->pages * page, io->file.align);
	if (!b->bytes) {
		b->pages = 0; /* there is room for none */
		errno = ENOMEM;
	}
	return b->bytes;
}

/* What there is no place for. */
static char *keep(_Atomic(void *) *buffers, unsigned n, char *bytes)
{
	for (unsigned i = 0; i < n && bytes; i++)
		if (!atomic_load_explicit(&buffers[i], memory_order_relaxed))
			bytes = atomic_exchange(&buffers[i], bytes);
	return bytes;
}

void write_buffer_put(struct buffer *b)
{
	struct io *io = b->io->pool;
	b->bytes = b->small ? keep(io->small, SMALL_BUFFERS, b->bytes) : keep(io->buffers, WRITE_BUFFERS, b->bytes);
	if (b->bytes)
		mem_free(&io->core->region.mem, b->bytes);
	b->bytes = NULL;
}

char *write_buffer_room(const struct io *io, const struct buffer *b)
{
	return b->bytes + (size_t)b->used * io->file.pagesize;
}

/* Four registers' worth of a page: a word at a time takes four times as long (180 ns for 4 KiB, and 44). */
typedef uint64_t piece __attribute__((vector_size(16), aligned(8), may_alias));
struct pieces {
	piece a, b, c, d;
};

/* Hidden from ThreadSanitizer, which rightly calls this a race. */
__attribute__((no_sanitize("thread"), noinline)) void writeback_copy_racy(char *to, const char *from, size_t bytes)
{
	/* Pages start at multiples of PAGE_ALIGN, copies at what follows. */
	size_t n = (uintptr_t)to % sizeof(uint64_t) == 0 ? bytes / sizeof(struct pieces) : 0;
	const volatile struct pieces *p = (const volatile void *)from;
	struct pieces *copy = (void *)to;
	for (size_t i = 0; i < n; i++) {
		piece a = p[i].a, b = p[i].b, c = p[i].c, d = p[i].d;
		copy[i].a = a;
		copy[i].b = b;
		copy[i].c = c;
		copy[i].d = d;
	}
	const volatile char *rest = from;
	for (size_t i = n * sizeof(struct pieces); i < bytes; i++)
		to[i] = rest[i];
}

/* The list before the word: torn.h. */
void victim_note_torn(struct io *io, const struct victim *v)
{
	if (!(victim_word(v) & FRAME_ABANDONED))
		return;
	torn_add(io->torn, v->page);
	if (!(victim_word(v) & FRAME_ABANDONED))
		torn_remove(io->torn, v->page);
}

int writeback_encode(struct io *io, const struct victim *v, void *copy)
{
	struct whose is = whose_page(io, v->page);
	return pageio_encode(&is.io->file, is.page, copy);
}

bool writeback_copy_unpinned(struct io *io, const struct victim *v, struct buffer *b, bool reopen, int *refused)
{
	char *copy = write_buffer_room(io, b);
	/* Both at once: sync takes a page neither dirty nor being written for done. */
	victim_change(v, FRAME_DIRTY, FRAME_WRITING);
	writeback_copy_racy(copy, frame_page(&io->core->frames, v->frame), io->file.pagesize);
	/* Who has rescued it may have modified the page under the copy. */
	bool whole = reopen ? victim_reopen(v) : victim_closed(v);
	int error = whole ? writeback_encode(io, v, copy) : 0;
	if (!whole || error) {
		victim_change(v, FRAME_WRITING, FRAME_DIRTY);
		if (error && !reopen)
			victim_reopen(v);
		*refused = error ? error : *refused;
		return false;
	}
	victim_note_torn(io, v);
	b->used++;
	return true;
}

/* ---- writing ------------------------------------------------------------ */

static int by_page(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;
	return (x->page > y->page) - (x->page < y->page);
}

/* Whose is copy number `i`? */
static struct whose whose_copy(struct io *io, const struct copied *c, unsigned i)
{
	return whose_page(io, c->victim[i]->page);
}

/* Of copies before number `to`, neighbours in their file. */
static unsigned run_length(const struct io *io, const struct copied *c, unsigned from, unsigned to)
{
	unsigned n = 1;
	uint32_t most = extent_neighbours(io, c->victim[from]->page);
	while (from + n < to && n < most && c->victim[from + n]->page == c->victim[from]->page + n)
		n++;
	return n;
}

/* Of the run from number `i` on so many pages are written; fewer than n: errno tells why.  *error: of the first that failed. */
static void run_written(struct io *io, struct stripe *me, struct copied *c, unsigned i, unsigned n, uint32_t written,
                        int *error)
{
	int failed = written < n ? errno : 0;
	MPOOL_PROBE(write, io->core, c->victim[i]->page, n, failed);
	if (failed)
		pageio_failed(&whose_copy(io, c, i).io->file, failed);
	*error = *error ? *error : failed;
	for (unsigned j = 0; j < n; j++)
		c->written[i + j] = j < written;
	stripe_count(me, COUNT_WRITES, written);
	extent_count(io, c->victim[i]->page, IO_WRITES, written);
}

/* The number of the run's first copy. */
static unsigned first_copy(const struct io *io, const struct buffer *b, const struct io_run *run)
{
	return (unsigned)((size_t)((const char *)run->iov->iov_base - b->bytes) / io->file.pagesize);
}

/* A write of so many copies, from number `i` on, which are neighbours in their file. */
static struct io_run run_of_copies(struct io *io, const struct copied *c, const struct buffer *b, unsigned i,
                                   unsigned n, struct iovec *iov)
{
	struct whose is = whose_copy(io, c, i);
	*iov = (struct iovec){b->bytes + (size_t)i * io->file.pagesize, (size_t)n * io->file.pagesize};
	return (struct io_run){.file = &is.io->file, .page = is.page, .n = n, .write = true, .iov = iov};
}

/* Copies on their way to a store, from which an answer takes its time. */
struct far {
	struct io_run run[WINDOW_MAX];
	struct iovec iov[WINDOW_MAX];
};

/* As write_copies, all runs in flight at once. */
static void write_far(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b, unsigned i,
                      unsigned to, struct far *f, int *error)
{
	unsigned runs = 0;
	for (unsigned n; i < to; i += n) {
		n = run_length(io, c, i, to);
		struct whose is = whose_copy(io, c, i);
		int refused = pageio_may_write(&is.io->file, is.page, n);
		if (refused) {
			errno = refused;
			run_written(io, me, c, i, n, 0, error);
			continue;
		}
		f->run[runs] = run_of_copies(io, c, b, i, n, &f->iov[runs]);
		runs++;
	}
	struct flight flight;
	flight_begin(&flight, io, f->run, runs, false);
	for (struct io_run *r; (r = flight_next(&flight));)
		run_written(io, me, c, first_copy(io, b, r), r->n, run_finish(r), error);
}

/* The copies from number `i` to before `to`, run by run.  *error: of the first that failed. */
static void write_copies(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b, unsigned i,
                         unsigned to, int *error)
{
	bool far = to - i > 1 && atomic_load_explicit(&io->pool->stores, memory_order_relaxed);
	struct far *f = far ? malloc(sizeof *f) : NULL;
	if (f) {
		write_far(io, me, c, b, i, to, f, error);
		free(f);
		return;
	}
	/* Of a store, without memory, one after the other, too. */
	for (unsigned n; i < to; i += n) {
		n = run_length(io, c, i, to);
		struct whose is = whose_copy(io, c, i);
		const char *from = b->bytes + (size_t)i * io->file.pagesize;
		run_written(io, me, c, i, n, pageio_write(&is.io->file, is.page, n, from), error);
	}
}

/* Before the first of `n` copies of one file is written, from number `from` on.  0, or an errno: none of them is to be, or is written. */
static int announce(struct io *io, struct copied *c, const struct buffer *b, unsigned from, unsigned n)
{
	pgno_t page[WINDOW_MAX];
	void *copy[WINDOW_MAX];
	struct io *of = n > 0 ? whose_copy(io, c, from).io : NULL;
	if (!of || !of->file.hooks.own.before_write)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		page[i] = whose_copy(io, c, from + i).page;
		copy[i] = b->bytes + (size_t)(from + i) * io->file.pagesize;
		c->written[from + i] = false;
	}
	return pageio_before_write(&of->file, page, copy, n);
}

int writeback_write(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b)
{
	int error = announce(io, c, b, 0, c->n);
	if (!error)
		write_copies(io, me, c, b, 0, c->n, &error);
	return error;
}

/* From number `from` on so many copies, `most` at the most, are of one file. */
static unsigned of_one_file(struct io *io, const struct copied *c, unsigned from, unsigned most)
{
	const struct io *of = whose_copy(io, c, from).io;
	unsigned n = 1;
	while (from + n < c->n && n < most && (!extents_are(io) || whose_copy(io, c, from + n).io == of))
		n++;
	return n;
}

/*
 * Who needs room takes what may be written: of a batch that the program refuses, parts, half as large after each that
 * it refuses, and twice after each that it does not.  How many copies may be, from number `from` on, *most at the
 * most; 0: that one may not.
 */
static unsigned announce_part(struct io *io, struct copied *c, const struct buffer *b, unsigned from, unsigned *most)
{
	unsigned n = of_one_file(io, c, from, *most);
	int refused;
	while ((refused = announce(io, c, b, from, n)) && n > 1)
		n /= 2;
	*most = refused ? 1 : 2 * n;
	c->refused = refused ? refused : c->refused;
	return refused ? 0 : n;
}

unsigned writeback_turn(struct io *io, const struct victim *v)
{
	return pageio_turn(&whose_page(io, v->page).io->file);
}

void writeback_done(struct io *io, const struct victim *v, bool written)
{
	if (written)
		victim_change(v, FRAME_WRITING | FRAME_WRITTEN_PINNED, FRAME_UNSYNCED(writeback_turn(io, v)));
	else
		victim_change(v, FRAME_WRITING, FRAME_DIRTY);
}

/* ---- eviction ----------------------------------------------------------- */

/*
 * May this process write the page of a frame that it has claimed?  Of a file that another process has attached, it needs the
 * descriptor, and the filters and hooks, that its holders have; the first of these can be had (share/files.h).
 */
static bool may_write(struct io *io, const struct victim *v)
{
	struct io *of = extents_are(io) ? whose_page(io, v->page).io : NULL;
	if (!of || !of->slot)
		return true;
	/* Sequentially consistent, after the claim: pairs with files_close. */
	bool here = file_here(of);
	if (!here)
		atomic_store(&io->pool->wanted, of);
	return here && atomic_load(&of->file.state->form) == hooks_form(&of->file.hooks);
}

/* Dirty victims are copied, if they may be written and fit the buffer, and go to `c`; the others are released. */
static void settle_dirty(struct io *io, struct victim *const *dirty, unsigned n, struct buffer *b, struct copied *c)
{
	for (unsigned i = 0; i < n; i++) {
		struct victim *v = dirty[i];
		if (b->used == b->pages) {
			victim_reopen(v);
		} else if (!may_write(io, v)) {
			c->others = true;
			victim_reopen(v);
		} else if (writeback_copy_unpinned(io, v, b, false, &c->refused)) {
			c->victim[c->n++] = v;
			continue;
		}
		victim_release(io->core, v);
	}
}

/*
 * Sort the victims of a scanned window: clean ones are evictable, and go to `r`; dirty ones
 * are copied, and go to `c`; busy ones are released.  `clean_first`: if there are clean ones, dirty ones stay.
 */
static void settle(struct io *io, struct window *w, bool clean_first, struct evictable *r, struct buffer *b,
                   struct copied *c)
{
	struct victim *dirty[WINDOW_MAX];
	unsigned n = 0;
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		if (victim_busy(v)) {
			frame_touch_held(&io->core->frames, v->frame);
			victim_reopen(v);
			victim_release(io->core, v);
		} else if (!(victim_word(v) & FRAME_DIRTY)) {
			r->victim[r->n++] = v;
		} else {
			dirty[n++] = v;
		}
	}
	if (clean_first && r->n > 0)
		b->pages = b->used; /* no room for any */
	settle_dirty(io, dirty, n, b, c);
}

/* The copies up to `to` are written; their entries are closing still, unless a get has rescued them. */
static void settle_written(struct io *io, const struct copied *c, unsigned from, unsigned to, struct evictable *r)
{
	for (unsigned i = from; i < to; i++) {
		struct victim *v = c->victim[i];
		writeback_done(io, v, c->written[i]);
		if (c->written[i]) {
			r->victim[r->n++] = v;
		} else {
			victim_reopen(v);
			victim_release(io->core, v);
		}
	}
}

static bool any_dirty(const struct window *w)
{
	for (unsigned i = 0; i < w->n; i++)
		if (victim_word(&w->victim[i]) & FRAME_DIRTY)
			return true;
	return false;
}

/* The window's victims are sorted into *r and *c, as settle has it, the copies in `b`, which gets memory if need be. */
static void window_copy(struct io *io, struct stripe *me, struct window *w, bool clean_first, struct evictable *r,
                        struct buffer *b, struct copied *c, int *error)
{
	r->n = c->n = 0;
	c->refused = 0;
	c->others = false;
	if (any_dirty(w)) {
		/* The copies are made in this order, and written in it. */
		qsort(w->victim, w->n, sizeof w->victim[0], by_page);
		if (!write_buffer_get(io, b, WINDOW_MAX))
			*error = ENOMEM; /* the clean ones can go all the same */
	}
	window_scan(io->core, me, w);
	settle(io, w, clean_first, r, b, c);
}

bool window_evict(struct io *io, struct stripe *me, struct window *w, struct evictable *r, int *error)
{
	BUFFER(b, io);
	struct copied c;
	/* The program may have the write wait, for as long as it likes: clean ones do not wait with it. */
	window_copy(io, me, w, hooks_announce(&io->file.hooks), r, &b, &c, error);
	int failed = 0;
	for (unsigned i = 0, n, most = WINDOW_MAX; i < c.n; i += n ? n : 1) {
		n = announce_part(io, &c, &b, i, &most);
		write_copies(io, me, &c, &b, i, i + n, &failed);
	}
	settle_written(io, &c, 0, c.n, r);
	if (failed || c.refused)
		*error = failed ? failed : c.refused;
	return c.refused || c.others;
}

void window_evict_clean(struct io *io, struct stripe *me, struct window *w, struct evictable *r)
{
	struct buffer none = {.io = io}; /* with room for none */
	struct copied c;
	r->n = c.n = 0;
	window_scan(io->core, me, w);
	settle(io, w, false, r, &none, &c);
}

/* ---- runs in flight together -------------------------------------------- */

/* Those from number `from` to before `to` are not written: they are dirty still, and let go of. */
static void settle_unwritten(struct io *io, struct copied *c, unsigned from, unsigned to)
{
	struct evictable none = {0};
	for (unsigned i = from; i < to; i++)
		c->written[i] = false;
	settle_written(io, c, from, to, &none);
}

static void failed_to_write(const struct pageio *file, int failed, int *error)
{
	pageio_failed(file, failed);
	*error = *error ? *error : failed;
}

/* The copies from number `i` to before `end` as runs, but for those that may not be written. */
static void gather(struct io *io, struct writing *to, unsigned i, unsigned end, int *error)
{
	struct copied *c = &to->copied;
	for (unsigned n; i < end; i += n) {
		n = run_length(io, c, i, end);
		struct whose is = whose_copy(io, c, i);
		int refused = pageio_may_write(&is.io->file, is.page, n);
		if (refused) {
			failed_to_write(&is.io->file, refused, error);
			settle_unwritten(io, c, i, i + n);
			continue;
		}
		to->run[to->n] = run_of_copies(io, c, to->buffer, i, n, &to->iov[to->n]);
		to->n++;
	}
}

/* No other is begun. */
static void stop_writing(struct io *io, struct writing *to)
{
	unsigned begun = flight_stop(&to->flight);
	for (unsigned i = begun; i < to->n; i++) {
		unsigned first = first_copy(io, to->buffer, &to->run[i]);
		settle_unwritten(io, &to->copied, first, first + to->run[i].n);
	}
	to->n = begun;
}

void window_evict_begin(struct io *io, struct stripe *me, struct window *w, struct evictable *r, struct buffer *b,
                        struct writing *to, int *error)
{
	/* Clean ones are let go of before the program is told. */
	window_copy(io, me, w, false, r, b, &to->copied, error);
	to->buffer = b;
	to->begun = false;
}

/* Tell the program, and have all of them in flight. */
static void begin_writing(struct io *io, struct writing *to, int *error)
{
	/* Whoever needs one of the clean ones has it by now: this may block. */
	struct copied *c = &to->copied;
	to->begun = true;
	to->n = 0;
	for (unsigned i = 0, n, most = WINDOW_MAX; i < c->n; i += n ? n : 1) {
		n = announce_part(io, c, to->buffer, i, &most);
		gather(io, to, i, i + n, error);
		if (n == 0)
			settle_unwritten(io, c, i, i + 1);
	}
	flight_begin(&to->flight, io, to->run, to->n, true);
}

bool window_evict_next(struct io *io, struct stripe *me, struct writing *to, struct evictable *r, int *error)
{
	if (!to->begun)
		begin_writing(io, to, error);
	struct io_run *run = flight_next(&to->flight);
	int failed = 0;
	r->n = 0;
	if (!run)
		return false;
	unsigned first = first_copy(io, to->buffer, run), n = run->n;
	run_written(io, me, &to->copied, first, n, run_finish(run), &failed);
	if (failed) {
		*error = *error ? *error : failed;
		stop_writing(io, to);
	}
	settle_written(io, &to->copied, first, first + n, r);
	return true;
}
