/* writeback.c - see writeback.h. */
#include "io/writeback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/pool.h"
#include "share/recover.h"
#include "share/witness.h"

/* A write buffer holds that much, or one page if that is more. */
#define BUFFER_BYTES ((size_t)1 << 20)

/* ---- the window --------------------------------------------------------- */

/* The victim that a claimed frame would be, and its page's entry. */
static uint64_t victim_look(MPOOL *mp, struct victim *v, uint32_t frame)
{
	*v = (struct victim){.frame = frame, .fr = frame_of(&mp->frames, frame)};
	/* The claim was acquired, and its owners before stored the number. */
	v->page = atomic_load_explicit(&v->fr->page, memory_order_relaxed);
	return table_find(&mp->tables, v->page, &v->entry);
}

bool window_add(MPOOL *mp, struct window *w, uint32_t frame)
{
	struct victim *v = &w->victim[w->n];
	uint64_t e = victim_look(mp, v, frame);
	/* Closing, and the claim was free: it was ready, which is as good as closed by
	 * us.  Should a get come now, it comes as it may at any time from here on. */
	bool ready = e == entry_word(v->page, ENTRY_CLOSING, frame);
	if (!ready && !(e == entry_word(v->page, ENTRY_RESIDENT, frame) && table_close(&v->entry, v->page, frame))) {
		victim_release(mp, v);
		return false;
	}
	w->n++;
	return true;
}

static unsigned map_start(const struct window *w, uint32_t frame)
{
	return hash_place(number_hash(frame), w->places);
}

static unsigned map_next(const struct window *w, unsigned at)
{
	return at + 1 < w->places ? at + 1 : 0;
}

static void map_fill(struct window *w)
{
	w->places = w->n * WINDOW_SPREAD;
	memset(w->map, 0, w->places);
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		unsigned at = map_start(w, v->frame);
		while (w->map[at])
			at = map_next(w, at);
		w->map[at] = (uint8_t)(i + 1);
		v->pins = v->tries = v->peeks = v->own = 0;
	}
}

/* Where a scan leaves what it has seen. */
struct scan {
	struct window *window;
	unsigned member; /* this process */
};

/* A number that does not fit says no less than the largest that does. */
static void pins_add(struct victim *v, uint64_t count)
{
	v->pins = count > UINT32_MAX - v->pins ? UINT32_MAX : v->pins + (uint32_t)count;
}

static void victim_seen(void *scan, const struct stripe *s, uint64_t slot)
{
	const struct scan *sc = scan;
	struct window *w = sc->window;
	uint32_t frame = slot_frame(slot);
	for (unsigned at = map_start(w, frame); w->map[at]; at = map_next(w, at)) {
		struct victim *v = &w->victim[w->map[at] - 1];
		if (v->frame != frame)
			continue;
		v->tries += slot_trying(slot);
		v->peeks += slot_peek(slot);
		if (!slot_peek(slot))
			pins_add(v, slot_count(slot));
		v->own += !slot_peek(slot) && stripe_of(s, sc->member);
	}
}

void window_scan(MPOOL *mp, const struct stripe *me, struct window *w)
{
	uint64_t before = epoch_now(&mp->epoch);
	map_fill(w);
	bool unlisting = pin_unlist_begin(&mp->pins, me);
	/* Pairs with barrier_light in a get, between its slot and its re-check. */
	pin_barrier(&mp->pins, mp->barrier);
	uint32_t vain = pin_scan(&mp->pins, victim_seen, &(struct scan){w, mp->pins.member});
	pin_unlist_end(&mp->pins, unlisting, vain);
	epoch_reclaim(&mp->epoch, me, before); /* our barrier serves it as well */
}

bool victim_reopen(const struct victim *v)
{
	return table_reopen(&v->entry, v->page, v->frame);
}

/*
 * Nobody has rescued it so far.  Only we can close it, so it was not in between either.
 * A locked step that changes nothing: what was copied before must not be what a
 * rescuer writes after it.  A load, of whatever order, would let the copy's loads sink
 * below it, and so does a load after an acquire fence.  Pairs with the rescue, in
 * table_reopen, which reads what this step stored, or makes it fail.
 */
static bool victim_closed(const struct victim *v)
{
	return table_stay_closed(&v->entry, v->page, v->frame);
}

void victim_release(MPOOL *mp, const struct victim *v)
{
	pool_unclaim(mp, v->frame, v->fr);
}

static uint32_t frame_word(const struct victim *v)
{
	return atomic_load(&v->fr->word);
}

/* One locked step on the frame's word, of which we hold the claim. */
static void frame_change(const struct victim *v, uint32_t off, uint32_t on)
{
	uint32_t w = frame_word(v);
	while (!atomic_compare_exchange_weak(&v->fr->word, &w, (w & ~off) | on))
		;
}

/* ---- copies ------------------------------------------------------------- */

/* Given back also when a filter does not return. */
struct buffer {
	MPOOL *mp;
	char *bytes;
	unsigned pages; /* it has room for */
	unsigned used;
};

static bool buffer_get(MPOOL *mp, struct buffer *b)
{
	size_t page = mp->io.pagesize;
	b->used = 0;
	b->pages = page < BUFFER_BYTES ? (unsigned)(BUFFER_BYTES / page) : 1;
	if (b->pages > WINDOW_MAX)
		b->pages = WINDOW_MAX;
	/* A private pool's capacity stays, and so does the size of the spare ones. */
	if (!region_shared(&mp->region) && b->pages > frames_capacity(&mp->frames))
		b->pages = frames_capacity(&mp->frames);
	b->bytes = NULL;
	for (unsigned i = 0; i < SPARES && !b->bytes; i++)
		/* Acquire: pairs with the release in buffer_put. */
		if (atomic_load_explicit(&mp->spare[i], memory_order_relaxed))
			b->bytes = atomic_exchange(&mp->spare[i], NULL);
	if (!b->bytes)
		b->bytes = mem_alloc(&mp->region.mem, b->pages * page, mp->io.align);
	if (!b->bytes) {
		b->pages = 0; /* there is room for none */
		errno = ENOMEM;
	}
	return b->bytes;
}

static void buffer_put(struct buffer *b)
{
	MPOOL *mp = b->mp;
	for (unsigned i = 0; i < SPARES && b->bytes; i++)
		if (!atomic_load_explicit(&mp->spare[i], memory_order_relaxed))
			b->bytes = atomic_exchange(&mp->spare[i], b->bytes);
	if (b->bytes)
		mem_free(&mp->region.mem, b->bytes);
	b->bytes = NULL;
}
#define BUFFER(b, mp) __attribute__((cleanup(buffer_put))) struct buffer b = {.mp = mp}

/* The next page's room in the buffer. */
static char *buffer_room(const MPOOL *mp, const struct buffer *b)
{
	return b->bytes + (size_t)b->used * mp->io.pagesize;
}

/*
 * Copy a page that others may be modifying: a pinned one, which sync writes as
 * it stands, or one that is rescued during the copy.  A torn copy does no harm:
 * the first stays dirty and is written again, the second is thrown away.  Hidden
 * from ThreadSanitizer, which rightly calls this a race.
 */
__attribute__((no_sanitize("thread"), noinline)) static void copy_as_it_stands(char *to, const char *from, size_t bytes)
{
	/* Pages start at multiples of PAGE_ALIGN, copies at what follows. */
	size_t words = (uintptr_t)to % sizeof(uint64_t) == 0 ? bytes / sizeof(uint64_t) : 0;
	const volatile uint64_t *w = (const volatile void *)from;
	const volatile char *c = from;
	for (size_t i = 0; i < words; i++)
		((uint64_t *)(void *)to)[i] = w[i];
	for (size_t i = words * sizeof(uint64_t); i < bytes; i++)
		to[i] = c[i];
}

/* The list before the word: doubt.h. */
void victim_note_doubt(MPOOL *mp, const struct victim *v)
{
	if (!(frame_word(v) & FRAME_ABANDONED))
		return;
	doubt_add(mp->doubt, v->page);
	if (!(frame_word(v) & FRAME_ABANDONED))
		doubt_remove(mp->doubt, v->page);
}

/*
 * Copy a dirty page that the scan found unpinned.  `reopen`: the entry, which is
 * closing, is open again afterwards.  False: rescued meanwhile, and dirty as
 * before.
 */
static bool copy_unpinned(MPOOL *mp, const struct victim *v, struct buffer *b, bool reopen)
{
	char *copy = buffer_room(mp, b);
	/* Both at once: sync takes a page neither dirty nor being written for done. */
	frame_change(v, FRAME_DIRTY, FRAME_WRITING);
	copy_as_it_stands(copy, frame_page(&mp->frames, v->frame), mp->io.pagesize);
	if (reopen ? !victim_reopen(v) : !victim_closed(v)) {
		/* The rescuer may have modified the page under the copy. */
		frame_change(v, FRAME_WRITING, FRAME_DIRTY);
		return false;
	}
	victim_note_doubt(mp, v);
	pageio_encode(&mp->io, v->page, copy);
	b->used++;
	return true;
}

/* ---- writing ------------------------------------------------------------ */

static int by_page(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;
	return (x->page > y->page) - (x->page < y->page);
}

/* Victims that were copied, in page order; their copies stand in the buffer one after the other. */
struct copied {
	unsigned n;
	struct victim *victim[WINDOW_MAX];
	bool written[WINDOW_MAX];
};

static unsigned run_length(const struct copied *c, unsigned from)
{
	unsigned n = 1;
	while (from + n < c->n && c->victim[from + n]->page == c->victim[from]->page + n)
		n++;
	return n;
}

/*
 * Write the copies, adjacent pages in one call.  Notes for each whether it was
 * written; returns 0, or the first errno.
 */
static int write_copies(MPOOL *mp, struct stripe *me, struct copied *c, const struct buffer *b)
{
	int error = 0;
	for (unsigned i = 0, n; i < c->n; i += n) {
		n = run_length(c, i);
		const char *from = b->bytes + (size_t)i * mp->io.pagesize;
		uint32_t written = pageio_write(&mp->io, c->victim[i]->page, n, from);
		if (written < n && !error)
			error = errno;
		for (unsigned j = 0; j < n; j++)
			c->written[i + j] = j < written;
		stripe_count(me, COUNT_WRITES, written);
	}
	return error;
}

/* The write of an unpinned page is done, or failed. */
static void write_done(MPOOL *mp, const struct victim *v, bool written)
{
	if (written)
		frame_change(v, FRAME_WRITING | FRAME_AS_IT_STOOD, FRAME_UNSYNCED(pageio_turn(&mp->io)));
	else
		frame_change(v, FRAME_WRITING, FRAME_DIRTY);
}

/* ---- eviction ----------------------------------------------------------- */

bool victim_ready(MPOOL *mp, struct victim *v, uint32_t frame)
{
	uint64_t e = victim_look(mp, v, frame);
	return e == entry_word(v->page, ENTRY_CLOSING, frame);
}

bool victim_empty(MPOOL *mp, struct stripe *me, const struct victim *v)
{
	uint32_t word = frame_word(v);
	/*
	 * Say that it leaves, then look again whether it may.  Pairs with flush,
	 * which makes frames dirty first and then asks who has left.
	 */
	pageio_left(&mp->io, word & FRAME_UNSYNCED(0), word & FRAME_UNSYNCED(1));
	if (frame_word(v) & FRAME_DIRTY) {
		victim_reopen(v);
		return false;
	}
	epoch_enter(&mp->epoch, me);
	bool freed = table_free(&v->entry, entry_word(v->page, ENTRY_CLOSING, v->frame));
	epoch_leave(me);
	if (!freed)
		return false;
	clock_left(mp, v->frame, v->page);
	/* Ours now, and nothing else. */
	frame_change(v, ~FRAME_OWNER, FRAME_USED);
	stripe_count(me, COUNT_EVICTIONS, 1);
	return true;
}

/*
 * Deal with each victim of a scanned window.  Those that are ready are kept,
 * dirty ones, if there is a buffer with room, go to `c`; the others are released.
 */
static void settle(MPOOL *mp, struct window *w, struct ready *r, struct buffer *b, struct copied *c)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		if (victim_busy(v)) {
			frame_touch(&mp->frames, v->frame);
			victim_reopen(v);
		} else if (!(frame_word(v) & FRAME_DIRTY)) {
			r->victim[r->n++] = v;
			continue;
		} else if (b->used == b->pages) {
			victim_reopen(v);
		} else if (copy_unpinned(mp, v, b, false)) {
			c->victim[c->n++] = v;
			continue;
		}
		victim_release(mp, v);
	}
}

/* The copies are written, and the entries closing still, unless a get came first. */
static void settle_written(MPOOL *mp, const struct copied *c, struct ready *r)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct victim *v = c->victim[i];
		write_done(mp, v, c->written[i]);
		if (c->written[i]) {
			r->victim[r->n++] = v;
		} else {
			victim_reopen(v);
			victim_release(mp, v);
		}
	}
}

static bool any_dirty(const struct window *w)
{
	for (unsigned i = 0; i < w->n; i++)
		if (frame_word(&w->victim[i]) & FRAME_DIRTY)
			return true;
	return false;
}

void window_evict(MPOOL *mp, struct stripe *me, struct window *w, struct ready *r, int *error)
{
	BUFFER(b, mp);
	struct copied c;
	r->n = c.n = 0;
	if (any_dirty(w)) {
		/* The copies are made in this order, and written in it. */
		qsort(w->victim, w->n, sizeof w->victim[0], by_page);
		if (!buffer_get(mp, &b))
			*error = ENOMEM; /* the clean ones can go all the same */
	}
	window_scan(mp, me, w);
	settle(mp, w, r, &b, &c);
	if (c.n > 0) {
		int failed = write_copies(mp, me, &c, &b);
		if (failed)
			*error = failed;
		settle_written(mp, &c, r);
	}
}

/* ---- sync --------------------------------------------------------------- */

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

/* Write a pinned page as it stands: it stays dirty. */
static void copy_pinned(MPOOL *mp, const struct victim *v, struct buffer *b)
{
	char *copy = buffer_room(mp, b);
	victim_reopen(v);
	frame_change(v, 0, FRAME_WRITING | FRAME_AS_IT_STOOD);
	copy_as_it_stands(copy, frame_page(&mp->frames, v->frame), mp->io.pagesize);
	pageio_encode(&mp->io, v->page, copy);
	b->used++;
}

/* Claim up to a buffer's worth of the list from `from` on; what others have claimed goes to `later`. */
static size_t sync_claim(MPOOL *mp, struct stripe *me, struct window *w, const struct buffer *b,
                         const struct modified_list *l, size_t from, struct modified_list *later)
{
	size_t i = from;
	w->n = 0;
	epoch_enter(&mp->epoch, me); /* a frame of the overflow may be gone by now */
	for (; i < l->n && w->n < b->pages; i++) {
		struct modified m = l->at[i];
		struct frame *fr = frame_live(&mp->frames, m.frame);
		uint32_t word = fr ? atomic_load(&fr->word) : FRAME_FREE;
		if (!(word & (FRAME_DIRTY | FRAME_WRITING)))
			continue;
		/* Another page is in the frame by now: ours was written before it left. */
		if (atomic_load_explicit(&fr->page, memory_order_relaxed) != m.page)
			continue;
		if (!frame_claim(fr, me->id))
			modified_add(later, m.page, m.frame);
		else
			window_add(mp, w, m.frame);
	}
	epoch_leave(me);
	return i;
}

/* Copy what the window holds; pinned pages only if `force`, else they go to `later`. */
static void sync_copy(MPOOL *mp, struct window *w, struct buffer *b, struct copied *c, bool force,
                      struct modified_list *later)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct victim *v = &w->victim[i];
		bool dirty = frame_word(v) & FRAME_DIRTY;
		if (dirty && victim_busy(v) && force) {
			copy_pinned(mp, v, b);
			c->victim[c->n++] = v;
			continue;
		}
		if (dirty && !victim_busy(v)) {
			bool copied = copy_unpinned(mp, v, b, true);
			/* Rescued, and by now it would be again: as it stands then. */
			if (!copied && force) {
				copy_pinned(mp, v, b);
				copied = true;
			}
			if (copied) {
				c->victim[c->n++] = v;
				continue;
			}
		} else {
			victim_reopen(v);
		}
		if (dirty)
			modified_add(later, v->page, v->frame);
		victim_release(mp, v);
	}
}

static void sync_done(MPOOL *mp, const struct copied *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct victim *v = c->victim[i];
		if (frame_word(v) & FRAME_DIRTY) /* pinned: dirty stays, written or not */
			frame_change(v, FRAME_WRITING, c->written[i] ? FRAME_UNSYNCED(pageio_turn(&mp->io)) : 0);
		else
			write_done(mp, v, c->written[i]);
		victim_release(mp, v);
	}
}

/*
 * Write the pages of `l`, in page order.  `later`: those that could not be
 * claimed, and, unless `force`, those that were pinned.  Returns 0, or errno.
 */
static int sync_pass(MPOOL *mp, struct stripe *me, const struct modified_list *l, bool force,
                     struct modified_list *later)
{
	BUFFER(b, mp);
	int error = 0;
	if (!buffer_get(mp, &b))
		return ENOMEM;
	for (size_t i = 0; i < l->n;) {
		struct window w;
		struct copied c;
		c.n = 0;
		b.used = 0;
		i = sync_claim(mp, me, &w, &b, l, i, later);
		if (w.n == 0)
			continue;
		window_scan(mp, me, &w);
		sync_copy(mp, &w, &b, &c, force, later);
		int failed = write_copies(mp, me, &c, &b);
		error = error ? error : failed;
		sync_done(mp, &c);
	}
	return error;
}

void frame_wait(MPOOL *mp, struct stripe *me, uint32_t frame, uint32_t page)
{
	struct wait_queue *q = wait_queue_of(&mp->header->wait, wait_for_frame(frame));
	for (;;) {
		uint32_t count = wait_begin(q, wait_for_frame(frame));
		epoch_enter(&mp->epoch, me);
		struct frame *fr = frame_live(&mp->frames, frame);
		bool claimed = fr && frame_claimed(atomic_load(&fr->word)) &&
		               atomic_load_explicit(&fr->page, memory_order_relaxed) == page;
		epoch_leave(me);
		if (!claimed)
			return;
		if (!wait_sleep(&mp->header->wait, q, count, pool_patience(mp)))
			recover_dead(mp);
	}
}

/* Write every page that is modified now.  0, or errno. */
static int write_modified(MPOOL *mp, struct stripe *me)
{
	MODIFIED_LIST(l);
	epoch_enter(&mp->epoch, me);
	clock_each_frame(mp, collect_modified, &l);
	epoch_leave(me);
	if (l.n > 0)
		qsort(l.at, l.n, sizeof l.at[0], by_page_number);
	int error = 0;
	/* First those unpinned at some instant; then the rest as they stand. */
	for (bool force = false; l.n > 0 && !l.no_memory; force = true) {
		MODIFIED_LIST(later);
		int failed = sync_pass(mp, me, &l, force, &later);
		error = error ? error : failed;
		modified_free(&l);
		l = later;
		later.at = NULL;
		if (l.n > 0)
			frame_wait(mp, me, l.at[0].frame, l.at[0].page);
	}
	return l.no_memory ? ENOMEM : error;
}

/* An fsync has ended: what it says of the pages written before. */
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
	} while (!atomic_compare_exchange_weak(&fr->word, &w, to));
}

/* Pages that were written are gone, or nobody can tell: those that left memory are not to be had again. */
static void lose_what_left(MPOOL *mp)
{
	if (pageio_left_any(&mp->io))
		atomic_store(&mp->io.state->lost, true);
}

/* fsync, and what it means for the pages written since the last one.  0, or errno. */
static int flush(MPOOL *mp, struct stripe *me)
{
	struct pageio_state *st = mp->io.state;
	unsigned turn = atomic_load(&st->turn);
	/* Sequentially consistent, before fsync: see the head of pageio.h. */
	atomic_store(&st->turn, 1 - turn);
	int error = pageio_flush(&mp->io), fresh = error == EAGAIN ? pageio_fresh(&mp->io) : NO_WITNESS;
	struct fsync_end end = {FRAME_UNSYNCED(turn), error != 0};
	epoch_enter(&mp->epoch, me);
	clock_each_frame(mp, fsync_ended, &end);
	epoch_leave(me);
	/* After the frames: a page that left before its frame was looked at has
	 * said so by now. */
	if (error == EAGAIN)
		pageio_renew(&mp->io, fresh);
	else if (error)
		lose_what_left(mp);
	else
		/* Who says now that it left in that turn was written before the flip. */
		atomic_store(&st->left[turn], false);
	pageio_noted(&mp->io);
	return atomic_load(&st->lost) ? EIO : error;
}

/* ---- one sync at a time -------------------------------------------------- */

bool writeback_turn(MPOOL *mp, const struct stripe *me)
{
	uint32_t nobody = 0;
	return atomic_compare_exchange_strong(&mp->io.state->syncing, &nobody, me->id + 1);
}

static void sync_begin(MPOOL *mp, const struct stripe *me)
{
	struct wait_queue *q = wait_queue_of(&mp->header->wait, wait_for_sync());
	for (;;) {
		uint32_t count = wait_begin(q, wait_for_sync());
		/* Sequentially consistent, after the announcement: pairs with writeback_turn_over. */
		if (writeback_turn(mp, me))
			return;
		if (!wait_sleep(&mp->header->wait, q, count, pool_patience(mp)))
			recover_dead(mp);
	}
}

void writeback_turn_over(MPOOL *mp)
{
	atomic_store(&mp->io.state->syncing, 0);
	wait_tell(&mp->header->wait, wait_for_sync());
}

void writeback_recover(MPOOL *mp, stripe_test *dead, void *of)
{
	uint32_t syncing = atomic_load(&mp->io.state->syncing);
	if (!syncing || !dead(of, syncing - 1))
		return;
	writeback_distrust(mp);
	bool left = pageio_left_any(&mp->io);
	if (left && pageio_blind(&mp->io))
		lose_what_left(mp);
	/* Nothing that is on record depends on what the dead one was told; or all is lost. */
	if (!left || atomic_load(&mp->io.state->lost))
		pageio_noted(&mp->io);
	writeback_turn_over(mp);
}

void writeback_settle(MPOOL *mp, struct stripe *me)
{
	const struct pageio_state *st = mp->io.state;
	if (atomic_load(&st->doubtful) == 0 || mp->io.generation != atomic_load(&st->generation) ||
	    !writeback_turn(mp, me))
		return;
	(void)flush(mp, me); /* whatever it says is noted */
	writeback_turn_over(mp);
}

void writeback_distrust(MPOOL *mp)
{
	struct fsync_end end = {0, true};
	clock_each_frame(mp, fsync_ended, &end);
}

int writeback_sync(MPOOL *mp, struct stripe *me)
{
	sync_begin(mp, me);
	/* Before the writes: it may be that pages are to be written again. */
	int error = witness_have(mp, me);
	if (!error)
		error = write_modified(mp, me);
	if (!error)
		error = flush(mp, me);
	writeback_turn_over(mp);
	if (!error)
		return 0;
	errno = error;
	return -1;
}
