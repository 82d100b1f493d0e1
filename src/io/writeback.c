/* writeback.c - see writeback.h. */
#include "io/writeback.h"

#include <errno.h>
#include <stdlib.h>

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
	/* A private pool's capacity stays, and so does the size of its buffers. */
	if (!region_shared(&io->core->region) && b->pages > frames_capacity(&io->core->frames))
		b->pages = frames_capacity(&io->core->frames);
	b->small = most <= SMALL_PAGES && SMALL_PAGES < b->pages;
	if (b->small)
		b->pages = SMALL_PAGES;
	b->bytes = b->small ? take(io->small, SMALL_BUFFERS) : take(io->buffers, WRITE_BUFFERS);
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
	struct io *io = b->io;
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

bool writeback_copy_unpinned(struct io *io, const struct victim *v, struct buffer *b, bool reopen, int *refused)
{
	char *copy = write_buffer_room(io, b);
	/* Both at once: sync takes a page neither dirty nor being written for done. */
	victim_change(v, FRAME_DIRTY, FRAME_WRITING);
	writeback_copy_racy(copy, frame_page(&io->core->frames, v->frame), io->file.pagesize);
	/* Who has rescued it may have modified the page under the copy. */
	bool whole = reopen ? victim_reopen(v) : victim_closed(v);
	int error = whole ? pageio_encode(&io->file, v->page, copy) : 0;
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

static unsigned run_length(const struct copied *c, unsigned from)
{
	unsigned n = 1;
	while (from + n < c->n && c->victim[from + n]->page == c->victim[from]->page + n)
		n++;
	return n;
}

/* Of the run from number `i` on so many pages are written; fewer than n: errno tells why.  *error: of the first that failed. */
static void run_written(struct io *io, struct stripe *me, struct copied *c, unsigned i, unsigned n, uint32_t written,
                        int *error)
{
	(void)io; /* a build without probes */
	MPOOL_PROBE(write, io->core, c->victim[i]->page, n, written < n ? errno : 0);
	if (written < n && !*error)
		*error = errno;
	for (unsigned j = 0; j < n; j++)
		c->written[i + j] = j < written;
	stripe_count(me, COUNT_WRITES, written);
	(void)io; /* without probes */
}

/* The run from number `i` on.  Its length; *error: of the first that failed. */
static unsigned write_run(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b, unsigned i,
                          int *error)
{
	unsigned n = run_length(c, i);
	const char *from = b->bytes + (size_t)i * io->file.pagesize;
	run_written(io, me, c, i, n, pageio_write(&io->file, c->victim[i]->page, n, from), error);
	return n;
}

/* Before the first of the copies is written.  0, or an errno: none of them is to be, or is written. */
static int announce(struct io *io, struct copied *c, const struct buffer *b)
{
	pgno_t page[WINDOW_MAX];
	void *copy[WINDOW_MAX];
	if (c->n == 0 || !io->file.hooks.own.before_write)
		return 0;
	for (unsigned i = 0; i < c->n; i++) {
		page[i] = c->victim[i]->page;
		copy[i] = b->bytes + (size_t)i * io->file.pagesize;
		c->written[i] = false;
	}
	return pageio_before_write(&io->file, page, copy, c->n);
}

int writeback_write(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b)
{
	int error = announce(io, c, b);
	for (unsigned i = error ? c->n : 0; i < c->n;)
		i += write_run(io, me, c, b, i, &error);
	if (error)
		pageio_failed(&io->file, error);
	return error;
}

void writeback_done(struct io *io, const struct victim *v, bool written)
{
	if (written)
		victim_change(v, FRAME_WRITING | FRAME_WRITTEN_PINNED, FRAME_UNSYNCED(pageio_turn(&io->file)));
	else
		victim_change(v, FRAME_WRITING, FRAME_DIRTY);
}

/* ---- eviction ----------------------------------------------------------- */

/*
 * Sort the victims of a scanned window: clean ones are evictable, and go to `r`; dirty ones
 * are copied, if they fit the buffer, and go to `c`; pinned ones are released.
 */
static void settle(struct io *io, struct window *w, struct evictable *r, struct buffer *b, struct copied *c)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		if (victim_busy(v)) {
			frame_touch(&io->core->frames, v->frame);
			victim_reopen(v);
		} else if (!(victim_word(v) & FRAME_DIRTY)) {
			r->victim[r->n++] = v;
			continue;
		} else if (b->used == b->pages) {
			victim_reopen(v);
		} else if (writeback_copy_unpinned(io, v, b, false, &c->refused)) {
			c->victim[c->n++] = v;
			continue;
		}
		victim_release(io->core, v);
	}
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

/* The window's victims are sorted into *r and *c, the copies in `b`, which gets memory if need be. */
static void window_copy(struct io *io, struct stripe *me, struct window *w, struct evictable *r, struct buffer *b,
                        struct copied *c, int *error)
{
	r->n = c->n = 0;
	c->refused = 0;
	if (any_dirty(w)) {
		/* The copies are made in this order, and written in it. */
		qsort(w->victim, w->n, sizeof w->victim[0], by_page);
		if (!write_buffer_get(io, b, WINDOW_MAX))
			*error = ENOMEM; /* the clean ones can go all the same */
	}
	window_scan(io->core, me, w);
	settle(io, w, r, b, c);
}

bool window_evict(struct io *io, struct stripe *me, struct window *w, struct evictable *r, int *error)
{
	BUFFER(b, io);
	struct copied c;
	window_copy(io, me, w, r, &b, &c, error);
	if (c.refused)
		*error = c.refused;
	if (c.n > 0) {
		int failed = writeback_write(io, me, &c, &b);
		if (failed)
			*error = failed;
		settle_written(io, &c, 0, c.n, r);
	}
	return c.refused;
}

void window_evict_clean(struct io *io, struct stripe *me, struct window *w, struct evictable *r)
{
	struct buffer none = {.io = io}; /* with room for none */
	struct copied c;
	r->n = c.n = 0;
	window_scan(io->core, me, w);
	settle(io, w, r, &none, &c);
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

static void failed_to_write(const struct io *io, int failed, int *error)
{
	pageio_failed(&io->file, failed);
	*error = *error ? *error : failed;
}

/* The copies as runs, but for those that may not be written. */
static void gather(struct io *io, struct writing *to, int *error)
{
	struct copied *c = &to->copied;
	size_t page = io->file.pagesize;
	for (unsigned i = 0, n; i < c->n; i += n) {
		n = run_length(c, i);
		int refused = pageio_may_write(&io->file, c->victim[i]->page, n);
		if (refused) {
			failed_to_write(io, refused, error);
			settle_unwritten(io, c, i, i + n);
			continue;
		}
		struct iovec *iov = &to->iov[to->n];
		*iov = (struct iovec){to->buffer->bytes + i * page, n * page};
		to->run[to->n++] = (struct io_run){.page = c->victim[i]->page, .n = n, .write = true, .iov = iov};
	}
}

/* The number of the run's first copy. */
static unsigned first_copy(const struct io *io, const struct writing *to, const struct io_run *run)
{
	return (unsigned)((size_t)((const char *)run->iov->iov_base - to->buffer->bytes) / io->file.pagesize);
}

/* No other is begun. */
static void stop_writing(struct io *io, struct writing *to)
{
	unsigned begun = flight_stop(&to->flight);
	for (unsigned i = begun; i < to->n; i++) {
		unsigned first = first_copy(io, to, &to->run[i]);
		settle_unwritten(io, &to->copied, first, first + to->run[i].n);
	}
	to->n = begun;
}

void window_evict_begin(struct io *io, struct stripe *me, struct window *w, struct evictable *r, struct buffer *b,
                        struct writing *to, int *error)
{
	window_copy(io, me, w, r, b, &to->copied, error);
	to->buffer = b;
	to->begun = false;
}

/* Tell the program, and have all of them in flight. */
static void begin_writing(struct io *io, struct writing *to, int *error)
{
	/* Whoever needs one of the clean ones has it by now: this may block. */
	int refused = announce(io, &to->copied, to->buffer);
	to->begun = true;
	to->n = 0;
	if (refused) {
		failed_to_write(io, refused, error);
		settle_unwritten(io, &to->copied, 0, to->copied.n);
	} else {
		gather(io, to, error);
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
	unsigned first = first_copy(io, to, run), n = run->n;
	run_written(io, me, &to->copied, first, n, run_finish(&io->file, run), &failed);
	if (failed) {
		failed_to_write(io, failed, error);
		stop_writing(io, to);
	}
	settle_written(io, &to->copied, first, first + n, r);
	return true;
}
