/* sync.c - see sync.h. */
#include "io/sync.h"

#include <errno.h>
#include <stdlib.h>

#include "core/changed.h"
#include "core/latch.h"
#include "io/extent.h"
#include "io/writeback.h"
#include "os/time.h"
#include "os/transfer.h"

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

/* Up to so many pages are looked for in the table, one by one; those of a longer range among all frames. */
#define LOOKED_UP 64u

struct collect {
	struct io *io;
	const struct sync_range *range;
	struct modified_list *list;
};

static void collect_modified(void *collect, uint32_t frame, struct frame *fr)
{
	const struct collect *c = collect;
	if (!(atomic_load(&fr->word) & (FRAME_DIRTY | FRAME_WRITING)))
		return;
	uint32_t page = atomic_load_explicit(&fr->page, memory_order_relaxed);
	struct whose is = whose_page(c->io, page);
	if (is.io == c->io && is.page - c->range->first < c->range->n)
		modified_add(c->list, page, frame);
}

/* A page that is not found, or in a frame that has another by now, was written before it left. */
static void collect_page(struct io *io, const struct collect *c, uint32_t page)
{
	struct table_ref at;
	uint64_t e = page == PAGE_NONE ? ENTRY_FREE : table_find(&io->core->tables, page, &at);
	struct frame *fr = entry_in_frame(e) ? frame_live(&io->core->frames, entry_who(e)) : NULL;
	if (fr)
		collect_modified((void *)(uintptr_t)c, entry_who(e), fr);
}

static void collect(struct io *io, struct stripe *me, const struct sync_range *range, struct modified_list *list)
{
	struct collect c = {io, range, list};
	epoch_enter(&io->core->epoch, me);
	if (range->n > LOOKED_UP)
		changed_each(&io->core->frames, collect_modified, &c);
	epoch_leave(me);
	for (uint32_t i = 0; range->n <= LOOKED_UP && i < range->n; i++) {
		uint32_t page = extent_find(io, me, range->first + i);
		epoch_enter(&io->core->epoch, me);
		collect_page(io, &c, page);
		epoch_leave(me);
	}
	if (list->n > 1)
		qsort(list->at, list->n, sizeof list->at[0], by_page_number);
}

/* What becomes of a page that is pinned when it is looked at. */
enum pinned { LOOKED_AT_AGAIN, WRITTEN_PINNED, WRITTEN_LATCHED, WITHHELD };
/* So often a page that is to be written whole is looked at, until it is found unpinned. */
#define WHOLE_LOOKS 4u
/* So often one that is modified under latches, until its writers are to wait while it is copied.  (The explorer's do soon.) */
#ifndef LATCH_LOOKS
#define LATCH_LOOKS 3u
#endif

/* A look at modified pages. */
struct look {
	unsigned number;
	enum pinned pinned;
	bool turn;                  /* it is at one page, which nobody modifies under a latch (latch_take_turn) */
	struct modified_list later; /* what is to be looked at again */
};

/* Before a function of the program's is called, and before anything is waited for. */
static void end_turn(const struct io *io, struct look *look, uint32_t frame)
{
	if (look->turn)
		latch_end_turn(io->core, frame);
	look->turn = false;
}

/*
 * Copy a page that others may have pinned, its entry open; WRITTEN_PINNED: it stays dirty, for they may be modifying it.
 * False: the program does not let it be, *refused; or it was modified under a latch meanwhile: nothing has changed.
 * Dirty is off before the latch is looked at: who modifies the page afterwards marks it again.
 */
static bool copy_open(struct io *io, const struct victim *v, struct buffer *b, struct look *look, int *refused)
{
	char *copy = write_buffer_room(io, b);
	bool keep = look->pinned == WRITTEN_PINNED;
	uint32_t noted = victim_word(v) & FRAME_WRITTEN_PINNED;
	/* Whoever has marked it may not have come to the bit; should the flush fail, it is found by that. */
	changed_see_to(&io->core->frames, v->frame);
	victim_change(v, keep ? 0 : FRAME_DIRTY, FRAME_WRITING | (keep ? FRAME_WRITTEN_PINNED : 0));
	const _Atomic uint64_t *word = latch_word(io->core, v->frame);
	/* Sequentially consistent, after dirty is off: whose change is not seen here finds it off, and marks the page again. */
	uint64_t before = word ? atomic_load(word) : 0;
	bool whole = !latch_writes(before);
	if (whole) {
		writeback_copy_racy(copy, frame_page(&io->core->frames, v->frame), io->file.pagesize);
		barrier_loads(); /* pairs with barrier_stores in latch_own */
		whole = latch_same(before, latch_now(io->core, v->frame));
	}
	end_turn(io, look, v->frame);
	if (whole && !keep)
		victim_note_torn(io, v);
	int error = whole ? writeback_encode(io, v, copy) : 0;
	if (!whole || error) {
		*refused = error;
		victim_change(v, FRAME_WRITING | (FRAME_WRITTEN_PINNED & ~noted), keep ? 0 : FRAME_DIRTY);
		return false;
	}
	b->used++;
	return true;
}

/* The page that the window was given last: it may be another file's by now. */
static void not_ours(struct io *io, struct window *w)
{
	const struct victim *v = &w->victim[w->n - 1];
	if (extent_is_of(io, v->page))
		return;
	victim_reopen(v);
	victim_release(io->core, v);
	w->n--;
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
		else if (window_add(io->core, w, m.frame))
			not_ours(io, w);
	}
	epoch_leave(me);
	return i;
}

/* Where all latch what they modify, pins say nothing: WRITTEN_LATCHED. */
static enum pinned pinned_pages(const struct io *io, const struct sync_range *range, unsigned look)
{
	if (atomic_load(&io->core->latch->latched))
		return WRITTEN_LATCHED;
	if (range->whole)
		return look < WHOLE_LOOKS ? LOOKED_AT_AGAIN : WITHHELD;
	return look == 1 ? LOOKED_AT_AGAIN : WRITTEN_PINNED;
}

/* Copy a dirty page.  False: it is not to be, or cannot be, as it is just now, or *refused; its entry is open again. */
static bool copy_dirty(struct io *io, const struct victim *v, struct buffer *b, struct look *look, int *refused)
{
	if (victim_pinned(v) || (v->latched & VICTIM_EXCLUSIVE)) {
		victim_reopen(v);
	} else {
		end_turn(io, look, v->frame); /* nobody waits */
		if (writeback_copy_unpinned(io, v, b, true, refused))
			return true;
	}
	/* Or it was rescued, and would be again. */
	return !*refused && (look->pinned == WRITTEN_PINNED || look->pinned == WRITTEN_LATCHED) &&
	       copy_open(io, v, b, look, refused);
}

/* Copy what the window holds; what is not copied is looked at again, or is withheld, or refused. */
static void sync_copy(struct io *io, struct window *w, struct buffer *b, struct copied *c, struct sync_range *range,
                      struct look *look)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		int refused = 0;
		if (!(victim_word(v) & FRAME_DIRTY)) {
			victim_reopen(v);
		} else if (copy_dirty(io, v, b, look, &refused)) {
			c->victim[c->n++] = v;
			continue;
		} else if (refused) {
			c->refused = refused;
		} else if (look->pinned == WITHHELD && !latch_writes(latch_now(io->core, v->frame))) {
			range->withheld++;
		} else {
			modified_add(&look->later, v->page, v->frame);
		}
		victim_release(io->core, v);
	}
}

static void sync_done(struct io *io, const struct copied *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct victim *v = c->victim[i];
		if (victim_word(v) & FRAME_DIRTY) /* pinned: dirty stays, written or not */
			victim_change(v, FRAME_WRITING, c->written[i] ? FRAME_UNSYNCED(writeback_turn(io, v)) : 0);
		else
			writeback_done(io, v, c->written[i]);
		victim_release(io->core, v);
	}
}

/* Write the pages of `l`, in page order, but those that could not be claimed, or are to be looked at again.  0, or errno. */
static int sync_pass(struct io *io, struct stripe *me, const struct modified_list *l, struct sync_range *range,
                     struct look *look)
{
	BUFFER(b, io);
	int error = 0;
	if (!write_buffer_get(io, &b, l->n))
		return ENOMEM;
	for (size_t i = 0; i < l->n;) {
		struct window w;
		struct copied c;
		c.n = 0;
		c.refused = 0;
		b.used = 0;
		i = sync_claim(io, me, &w, &b, l, i, &look->later);
		if (w.n == 0)
			continue;
		window_scan(io->core, me, &w);
		sync_copy(io, &w, &b, &c, range, look);
		int failed = writeback_write(io, me, &c, &b);
		failed = c.refused ? c.refused : failed;
		error = error ? error : failed;
		sync_done(io, &c);
	}
	return error;
}

static void look_ends(struct look *look)
{
	modified_free(&look->later);
}

/* Those that are not written of `l`, or, with the turn of the first page's latch, of that one, are in look->later.  0, or errno. */
static int take_look(struct io *io, struct stripe *me, const struct modified_list *l, struct sync_range *range,
                     struct look *look)
{
	/* With nothing claimed: the latch's owner may need a frame, or sync, too. */
	look->turn = look->number > LATCH_LOOKS && latch_take_turn(io->core, me, l->at[0].frame, l->at[0].page);
	struct modified_list now = {.at = l->at, .n = look->turn ? 1 : l->n};
	int error = sync_pass(io, me, &now, range, look);
	end_turn(io, look, l->at[0].frame);
	for (size_t i = now.n; i < l->n; i++)
		modified_add(&look->later, l->at[i].page, l->at[i].frame);
	return error;
}

int sync_write(struct io *io, struct stripe *me, struct sync_range *range)
{
	MODIFIED_LIST(l);
	range->withheld = 0;
	collect(io, me, range, &l);
	int error = 0;
	/* First those unpinned at some instant; then the rest, while they are pinned. */
	for (unsigned n = 1; l.n > 0 && !l.no_memory; n++) {
		__attribute__((cleanup(look_ends))) struct look look = {n, pinned_pages(io, range, n), false, {0}};
		int failed = take_look(io, me, &l, range, &look);
		error = error ? error : failed;
		modified_free(&l);
		l = look.later;
		look.later.at = NULL;
		if (l.n > 0)
			frame_wait(io->core, me, l.at[0].frame, l.at[0].page);
		if (l.n > 0)
			latch_outlast(io->core, me, l.at[0].frame, l.at[0].page);
	}
	return l.no_memory ? ENOMEM : error;
}

/* The result of an fsync, for the pages written before it. */
struct fsync_end {
	struct io *io;
	struct stripe *me; /* NULL: nobody else is in a call, or the pool has one file */
	uint32_t covered;  /* unsynced bits of the turn that it covers */
	bool failed;
	uint32_t busy, busy_page; /* one that is to be looked at again, since others have claimed it; FRAME_NONE */
};

static void step_ended(const struct fsync_end *end, struct frame *fr)
{
	/* A failure may be that of any write that was done before fsync returned,
	 * whatever its turn, or is done and not yet noted. */
	uint32_t mask = end->failed ? FRAME_UNSYNCED_ANY | FRAME_WRITING : end->covered;
	uint32_t w = atomic_load(&fr->word), to;
	do {
		if (!(w & mask))
			return;
		to = end->failed ? (w & ~FRAME_UNSYNCED_ANY) | FRAME_DIRTY : w & ~mask;
	} while (!frame_step(fr, &w, to));
}

static bool is_of(struct io *io, const struct frame *fr)
{
	return extent_is_of(io, atomic_load_explicit(&fr->page, memory_order_relaxed));
}

/*
 * Of several files: the frame may get another's page while we look, written, and noted in the word as ours was: what is
 * known of ours must not be said of that.  So it is claimed for the step, and who has it claimed is waited for.
 */
static void step_claimed(struct fsync_end *end, uint32_t frame, struct frame *fr)
{
	if (!frame_claim(fr, end->me->id)) {
		end->busy = frame;
		end->busy_page = atomic_load_explicit(&fr->page, memory_order_relaxed);
		return;
	}
	if (is_of(end->io, fr))
		step_ended(end, fr);
	core_unclaim(end->io->core, frame, fr);
}

static void fsync_ended(void *fsync_end, uint32_t frame, struct frame *fr)
{
	struct fsync_end *end = fsync_end;
	uint32_t any = end->failed ? FRAME_CHANGED & ~FRAME_DIRTY : end->covered;
	bool several = extents_are(end->io);
	if (several && (!(atomic_load(&fr->word) & any) || !is_of(end->io, fr)))
		return;
	if (several && end->me)
		step_claimed(end, frame, fr);
	else
		step_ended(end, fr);
}

/* Numbers go round. */
static bool is_later(uint32_t number, uint32_t than)
{
	return (int32_t)(number - than) > 0;
}

/* The word `undone`: the errno of the flush, 0: none has failed; its number; and, above, the count. */
#define UNDONE_NUMBER 12
#define UNDONE_COUNT  (UNDONE_NUMBER + 32)
#define UNDONE_ERRNO  ((1u << UNDONE_NUMBER) - 1)

/* Writes have failed, or may have: if written pages have left memory, they are lost. */
static void lose_what_left(struct io *io)
{
	if (pageio_left_any(&io->file))
		atomic_store(&io->file.state->lost, true);
}

/* After the frames, and before the flush counts as ended: see the head of sync.h. */
static void undo(struct io *io, int error)
{
	struct pageio_state *st = io->file.state;
	/* Who has the turn, or recovers who had it, is alone in this. */
	uint64_t count = (atomic_load(&st->undone) >> UNDONE_COUNT) + 1, number = atomic_load(&st->flushes);
	atomic_store(&st->undone, count << UNDONE_COUNT | number << UNDONE_NUMBER | ((unsigned)error & UNDONE_ERRNO));
}

static void note_in_frames(struct io *io, struct stripe *me, unsigned turn, bool failed)
{
	struct fsync_end end = {.io = io, .me = me, .covered = FRAME_UNSYNCED(turn), .failed = failed};
	do {
		/* Each file has a turn of its own; bits are swept by one thread at a time. */
		bool sweep = !failed && !atomic_exchange(&io->pool->sweeping, true);
		end.busy = FRAME_NONE;
		epoch_enter(&io->core->epoch, me);
		if (sweep)
			changed_sweep(&io->core->frames, fsync_ended, &end);
		else
			changed_each(&io->core->frames, fsync_ended, &end);
		epoch_leave(me);
		if (sweep)
			atomic_store(&io->pool->sweeping, false);
		if (end.busy != FRAME_NONE)
			frame_wait(io->core, me, end.busy, end.busy_page);
	} while (end.busy != FRAME_NONE);
}

/* A cut that is in doubt is made again.  0, or an errno. */
static int cut_again(struct io *io, struct stripe *me)
{
	if (!pageio_is_cut_again(&io->file))
		return 0;
	bool file = !io->file.store; /* a fork waits for no store */
	if (file)
		transfer_begin();
	int error = pageio_cut_again(&io->file);
	if (file)
		transfer_end();
	/* What was written meanwhile may have been cut off: it has stayed. */
	note_in_frames(io, me, 0, true);
	pageio_cut_settled(&io->file, error);
	return error;
}

int sync_cut_again(struct io *io, struct stripe *me)
{
	if (!pageio_is_cut_again(&io->file))
		return 0;
	int error = cut_again(io, me);
	undo(io, 0);
	return error;
}

/* Half of a flush, and no more than that. */
#define GATHER_NS_MAX (5 * NS_PER_MS)

void sync_gather(struct io *io)
{
	struct pageio_state *st = io->file.state;
	uint32_t wanted = atomic_load(&st->came_before) + atomic_load(&st->together);
	uint64_t ns = atomic_load(&st->flush_ns) / 2;
	struct wait_queue *q = wait_queue_of(io->core->wait, wait_for_company());
	if (!is_later(wanted, atomic_load(&st->came)))
		return;
	uint32_t count = wait_prepare(q, wait_for_company());
	/* Sequentially consistent, before `came`: pairs with sync_next. */
	atomic_store(&st->wanted, wanted);
	if (is_later(wanted, atomic_load(&st->came)))
		wait_sleep_ns(io->core->wait, q, count, ns < GATHER_NS_MAX ? ns : GATHER_NS_MAX);
}

/* Flush, and what follows from it. */
static void flush(struct io *io, struct stripe *me, unsigned turn)
{
	struct pageio_state *st = io->file.state;
	int error = pageio_flush(&io->file), fresh = error == EAGAIN ? pageio_fresh(&io->file) : NO_WITNESS;
	if (error)
		pageio_cut_doubted(&io->file);
	else
		pageio_cut_flushed(&io->file);
	note_in_frames(io, me, turn, error != 0);
	pageio_cut_decided(&io->file);
	/* After the frames: a page that left before its frame's word was loaded has
	 * set `left` by now. */
	if (error == EAGAIN)
		pageio_renew(&io->file, fresh);
	else if (error && !pageio_unreached(&io->file, error))
		lose_what_left(io);
	else if (!error)
		/* A page for which it is set now was written before the flip. */
		atomic_store(&st->left[turn], false);
	/* If that fails, or whoever makes it is not to be reached, the next sync tries. */
	if (error && !pageio_unreached(&io->file, error))
		(void)cut_again(io, me);
	if (error)
		undo(io, error);
	pageio_noted(&io->file);
}

void sync_flush(struct io *io, struct stripe *me)
{
	struct pageio_state *st = io->file.state;
	uint32_t before = atomic_exchange(&st->came_before, atomic_load(&st->came));
	uint64_t began = time_ns();
	uint32_t flushes = atomic_load(&st->flushes);
	/* Sequentially consistent, before the flush: see the heads of pageio.h and sync.h.  No cut is in doubt when that begins. */
	atomic_store(&st->flushes, flushes + 1);
	int error = sync_cut_again(io, me);
	if (error)
		undo(io, error);
	else
		flush(io, me, pageio_turn_of(flushes));
	atomic_store(&st->flush_ns, time_ns() - began);
	atomic_store(&st->together, atomic_load(&st->came) - before);
	/* Last: who waits for it then finds all of the above. */
	atomic_store(&st->flushed, flushes + 1);
}

/* ---- one flush at a time, for all who wait ------------------------------- */

uint64_t sync_undone(const struct io *io)
{
	/* Sequentially consistent, before the frames are looked at: pairs with undo, after they are dirty. */
	return atomic_load(&io->file.state->undone);
}

uint32_t sync_next(struct io *io)
{
	struct pageio_state *st = io->file.state;
	/* Sequentially consistent, after the writes: pairs with sync_flush. */
	uint32_t number = atomic_load(&st->flushes) + 1;
	/* The last of those that whoever has the turn waits for. */
	uint32_t came = atomic_fetch_add(&st->came, 1) + 1;
	if (came == atomic_load(&st->wanted))
		wait_notify(io->core->wait, wait_for_company());
	return number;
}

static bool flush_ended(const struct io *io, uint32_t number)
{
	return !is_later(number, atomic_load(&io->file.state->flushed));
}

int sync_result(const struct io *io, uint32_t number, uint64_t since)
{
	uint64_t undone = atomic_load(&io->file.state->undone);
	int error = (int)(undone & UNDONE_ERRNO);
	if (atomic_load(&io->file.state->lost))
		return EIO;
	if (undone == since)
		return 0;
	/* After a later one's failure it is not known any more what was before it. */
	return !error || is_later((uint32_t)(undone >> UNDONE_NUMBER), number) ? SYNC_AGAIN : error;
}

void sync_mend(struct io *io, uint64_t since)
{
	/* An older one, stored late, costs a flush some pages more. */
	atomic_store(&io->file.state->mended, since);
}

bool sync_mended(const struct io *io, uint64_t since)
{
	return atomic_load(&io->file.state->mended) == since;
}

bool sync_try(struct io *io, const struct stripe *me)
{
	uint32_t nobody = 0;
	return atomic_compare_exchange_strong(&io->file.state->syncing, &nobody, me->id + 1);
}

void sync_begin(struct io *io, const struct stripe *me)
{
	struct wait_queue *q = wait_queue_of(io->core->wait, wait_for_sync());
	while (!sync_try(io, me)) {
		uint32_t count = wait_prepare(q, wait_for_sync());
		/* Sequentially consistent, after the announcement: pairs with sync_end. */
		if (sync_try(io, me))
			return;
		core_sleep(io->core, q, count, wait_for_sync());
	}
}

/* The turn, for flush `number`; *ended: it is not needed any more. */
static bool try_to_lead(struct io *io, const struct stripe *me, uint32_t number, bool *ended)
{
	*ended = flush_ended(io, number);
	if (*ended || !sync_try(io, me))
		return false;
	*ended = flush_ended(io, number); /* it may have, before we had the turn */
	if (*ended)
		sync_end(io);
	return !*ended;
}

bool sync_lead(struct io *io, const struct stripe *me, uint32_t number)
{
	struct wait_queue *q = wait_queue_of(io->core->wait, wait_for_sync());
	bool ended, lead = try_to_lead(io, me, number, &ended);
	while (!lead && !ended) {
		uint32_t count = wait_prepare(q, wait_for_sync());
		/* Sequentially consistent, after the announcement: pairs with sync_end. */
		lead = try_to_lead(io, me, number, &ended);
		if (!lead && !ended)
			core_sleep(io->core, q, count, wait_for_sync());
	}
	return lead;
}

void sync_end(struct io *io)
{
	atomic_store(&io->file.state->syncing, 0);
	wait_notify(io->core->wait, wait_for_sync());
}

void sync_recover(struct io *io, stripe_test *dead, void *of)
{
	struct pageio_state *st = io->file.state;
	uint32_t syncing = atomic_load(&st->syncing);
	if (!syncing || !dead(of, syncing - 1))
		return;
	changed_recover_sweep(&io->core->frames);
	sync_distrust(io);
	bool left = pageio_left_any(&io->file);
	if (left && pageio_blind(&io->file))
		lose_what_left(io);
	/* Nothing depends on the result that the dead process had; or it is recorded as lost. */
	if (!left || atomic_load(&st->lost))
		pageio_noted(&io->file);
	sync_end(io);
}

void sync_settle(struct io *io, struct stripe *me)
{
	const struct pageio_state *st = io->file.state;
	if (atomic_load(&st->doubtful) == 0 || atomic_load(&io->file.generation) != atomic_load(&st->generation) ||
	    !sync_try(io, me))
		return;
	sync_flush(io, me);
	sync_end(io);
}

void sync_distrust(struct io *io)
{
	struct fsync_end end = {.io = io, .failed = true};
	pageio_cut_doubted(&io->file);
	changed_each(&io->core->frames, fsync_ended, &end);
	pageio_cut_decided(&io->file);
	undo(io, 0);
}
