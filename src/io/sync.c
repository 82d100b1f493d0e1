/* sync.c - see sync.h. */
#include "io/sync.h"

#include <errno.h>
#include <stdlib.h>

#include "io/writeback.h"

/* A modified page, when sync began. */
struct modified {
	uint32_t page;
	uint32_t frame;
};

struct modified_list {
	struct modified *at;
	size_t n, room;
	bool no_memory;
};

static void modified_free(struct modified_list *l)
{
	free(l->at);
	l->at = NULL;
}
#define MODIFIED_LIST(l) __attribute__((cleanup(modified_free))) struct modified_list l = {0}

static void modified_add(struct modified_list *l, uint32_t page, uint32_t frame)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 1024;
		struct modified *at = realloc(l->at, room * sizeof *at);
		if (!at) {
			l->no_memory = true;
			return;
		}
		l->at = at;
		l->room = room;
	}
	l->at[l->n++] = (struct modified){page, frame};
}

static int by_page_number(const void *a, const void *b)
{
	const struct modified *x = a, *y = b;
	return (x->page > y->page) - (x->page < y->page);
}

static void collect_modified(void *list, uint32_t frame, struct frame *fr)
{
	if (atomic_load(&fr->word) & (FRAME_DIRTY | FRAME_WRITING))
		modified_add(list, atomic_load_explicit(&fr->page, memory_order_relaxed), frame);
}

/* Write a page while it is pinned, its entry open: it stays dirty.  False: the program does not let it be, *refused. */
static bool copy_pinned(struct io *io, const struct victim *v, struct buffer *b, int *refused)
{
	char *copy = write_buffer_room(io, b);
	victim_change(v, 0, FRAME_WRITING | FRAME_WRITTEN_PINNED);
	writeback_copy_racy(copy, frame_page(&io->core->frames, v->frame), io->file.pagesize);
	int error = pageio_encode(&io->file, v->page, copy);
	if (error) {
		*refused = error;
		victim_change(v, FRAME_WRITING, 0);
		return false;
	}
	b->used++;
	return true;
}

/* Claim up to a buffer's worth of the list from `from` on; what others have claimed goes to `later`. */
static size_t sync_claim(struct io *io, struct stripe *me, struct window *w, const struct buffer *b,
                         const struct modified_list *l, size_t from, struct modified_list *later)
{
	size_t i = from;
	w->n = 0;
	epoch_enter(&io->core->epoch, me); /* a frame of the overflow may be gone by now */
	for (; i < l->n && w->n < b->pages; i++) {
		struct modified m = l->at[i];
		struct frame *fr = frame_live(&io->core->frames, m.frame);
		uint32_t word = fr ? atomic_load(&fr->word) : FRAME_FREE;
		if (!(word & (FRAME_DIRTY | FRAME_WRITING)))
			continue;
		/* Another page is in the frame by now: ours was written before it left. */
		if (atomic_load_explicit(&fr->page, memory_order_relaxed) != m.page)
			continue;
		if (!frame_claim(fr, me->id))
			modified_add(later, m.page, m.frame);
		else
			window_add(io->core, w, m.frame);
	}
	epoch_leave(me);
	return i;
}

/* Copy what the window holds; pinned pages only if `force`, else they go to `later`. */
static void sync_copy(struct io *io, struct window *w, struct buffer *b, struct copied *c, bool force,
                      struct modified_list *later)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		bool dirty = victim_word(v) & FRAME_DIRTY, copied = false;
		int refused = 0;
		if (dirty && !victim_busy(v))
			copied = writeback_copy_unpinned(io, v, b, true, &refused);
		else
			victim_reopen(v);
		/* Rescued, and it would be again: it is written while pinned, later. */
		if (dirty && !copied && !refused && force)
			copied = copy_pinned(io, v, b, &refused);
		if (copied) {
			c->victim[c->n++] = v;
			continue;
		}
		if (refused)
			c->refused = refused;
		else if (dirty)
			modified_add(later, v->page, v->frame);
		victim_release(io->core, v);
	}
}

static void sync_done(struct io *io, const struct copied *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct victim *v = c->victim[i];
		if (victim_word(v) & FRAME_DIRTY) /* pinned: dirty stays, written or not */
			victim_change(v, FRAME_WRITING, c->written[i] ? FRAME_UNSYNCED(pageio_turn(&io->file)) : 0);
		else
			writeback_done(io, v, c->written[i]);
		victim_release(io->core, v);
	}
}

/*
 * Write the pages of `l`, in page order.  `later`: those that could not be
 * claimed, and, unless `force`, those that were pinned.  Returns 0, or errno.
 */
static int sync_pass(struct io *io, struct stripe *me, const struct modified_list *l, bool force,
                     struct modified_list *later)
{
	BUFFER(b, io);
	int error = 0;
	if (!write_buffer_get(io, &b))
		return ENOMEM;
	for (size_t i = 0; i < l->n;) {
		struct window w;
		struct copied c;
		c.n = 0;
		c.refused = 0;
		b.used = 0;
		i = sync_claim(io, me, &w, &b, l, i, later);
		if (w.n == 0)
			continue;
		window_scan(io->core, me, &w);
		sync_copy(io, &w, &b, &c, force, later);
		int failed = writeback_write(io, me, &c, &b);
		failed = c.refused ? c.refused : failed;
		error = error ? error : failed;
		sync_done(io, &c);
	}
	return error;
}

int sync_write(struct io *io, struct stripe *me)
{
	MODIFIED_LIST(l);
	epoch_enter(&io->core->epoch, me);
	frames_each(&io->core->frames, collect_modified, &l);
	epoch_leave(me);
	if (l.n > 0)
		qsort(l.at, l.n, sizeof l.at[0], by_page_number);
	int error = 0;
	/* First those unpinned at some instant; then the rest, while they are pinned. */
	for (bool force = false; l.n > 0 && !l.no_memory; force = true) {
		MODIFIED_LIST(later);
		int failed = sync_pass(io, me, &l, force, &later);
		error = error ? error : failed;
		modified_free(&l);
		l = later;
		later.at = NULL;
		if (l.n > 0)
			frame_wait(io->core, me, l.at[0].frame, l.at[0].page);
	}
	return l.no_memory ? ENOMEM : error;
}

/* The result of an fsync, for the pages written before it. */
struct fsync_end {
	uint32_t covered; /* unsynced bits of the turn that it covers */
	bool failed;
};

static void fsync_ended(void *fsync_end, uint32_t frame, struct frame *fr)
{
	const struct fsync_end *end = fsync_end;
	/* A failure may be that of any write that was done before fsync returned,
	 * whatever its turn, or is done and not yet noted. */
	uint32_t mask = end->failed ? FRAME_UNSYNCED_ANY | FRAME_WRITING : end->covered;
	uint32_t w = atomic_load(&fr->word), to;
	(void)frame;
	do {
		if (!(w & mask))
			return;
		to = end->failed ? (w & ~FRAME_UNSYNCED_ANY) | FRAME_DIRTY : w & ~mask;
	} while (!frame_step(fr, &w, to));
}

/* Writes have failed, or may have: if written pages have left memory, they are lost. */
static void lose_what_left(struct io *io)
{
	if (pageio_left_any(&io->file))
		atomic_store(&io->file.state->lost, true);
}

int sync_flush(struct io *io, struct stripe *me)
{
	struct pageio_state *st = io->file.state;
	unsigned turn = atomic_load(&st->turn);
	/* Sequentially consistent, before fsync: see the head of pageio.h. */
	atomic_store(&st->turn, 1 - turn);
	int error = pageio_flush(&io->file), fresh = error == EAGAIN ? pageio_fresh(&io->file) : NO_WITNESS;
	struct fsync_end end = {FRAME_UNSYNCED(turn), error != 0};
	epoch_enter(&io->core->epoch, me);
	frames_each(&io->core->frames, fsync_ended, &end);
	epoch_leave(me);
	/* After the frames: a page that left before its frame's word was loaded has
	 * set `left` by now. */
	if (error == EAGAIN)
		pageio_renew(&io->file, fresh);
	else if (error)
		lose_what_left(io);
	else
		/* A page for which it is set now was written before the flip. */
		atomic_store(&st->left[turn], false);
	pageio_noted(&io->file);
	return atomic_load(&st->lost) ? EIO : error;
}

/* ---- one sync at a time -------------------------------------------------- */

bool sync_try(struct io *io, const struct stripe *me)
{
	uint32_t nobody = 0;
	return atomic_compare_exchange_strong(&io->file.state->syncing, &nobody, me->id + 1);
}

void sync_begin(struct io *io, const struct stripe *me)
{
	struct wait_queue *q = wait_queue_of(io->core->wait, wait_for_sync());
	for (;;) {
		uint32_t count = wait_prepare(q, wait_for_sync());
		/* Sequentially consistent, after the announcement: pairs with sync_end. */
		if (sync_try(io, me))
			return;
		core_sleep(io->core, q, count, wait_for_sync());
	}
}

void sync_end(struct io *io)
{
	atomic_store(&io->file.state->syncing, 0);
	wait_notify(io->core->wait, wait_for_sync());
}

void sync_recover(struct io *io, stripe_test *dead, void *of)
{
	uint32_t syncing = atomic_load(&io->file.state->syncing);
	if (!syncing || !dead(of, syncing - 1))
		return;
	sync_distrust(io);
	bool left = pageio_left_any(&io->file);
	if (left && pageio_blind(&io->file))
		lose_what_left(io);
	/* Nothing depends on the result that the dead process had; or it is recorded as lost. */
	if (!left || atomic_load(&io->file.state->lost))
		pageio_noted(&io->file);
	sync_end(io);
}

void sync_settle(struct io *io, struct stripe *me)
{
	const struct pageio_state *st = io->file.state;
	if (atomic_load(&st->doubtful) == 0 || io->file.generation != atomic_load(&st->generation) || !sync_try(io, me))
		return;
	(void)sync_flush(io, me); /* its result is recorded */
	sync_end(io);
}

void sync_distrust(struct io *io)
{
	struct fsync_end end = {0, true};
	frames_each(&io->core->frames, fsync_ended, &end);
}
