/* cut.c - see cut.h. */
#include "evict/cut.h"

#include <errno.h>
#include <stdlib.h>

#include "core/latch.h"
#include "core/window.h"
#include "io/extent.h"
#include "io/sync.h"
#include "os/transfer.h"

enum { CUT_BEGUN = 1, CUT_FILE, CUT_DONE };
/* Up to so many pages are looked for one by one; those of a longer range among all entries. */
#define LOOKED_UP 64u

/* ---- the turn ----------------------------------------------------------- */

static struct pageio_state *state_of(const struct io *io)
{
	return io->file.state;
}

/* Of whose entries `table_each` tells. */
struct cut_file {
	struct evict *ev;
	struct io *io;
};

static uint64_t cut_word(uint32_t pages, unsigned step, const struct stripe *me)
{
	return (uint64_t)(me->id + 1) << CUT_OWNER_SHIFT | (uint64_t)step << CUT_STEP_SHIFT | pages;
}

static bool try_turn(const struct io *io, uint64_t word)
{
	uint64_t nobody = 0;
	return atomic_compare_exchange_strong(&state_of(io)->cut, &nobody, word);
}

static void take_turn(struct evict *ev, const struct io *io, uint64_t word)
{
	struct wait_queue *q = wait_queue_of(ev->core->wait, wait_for_cut());
	while (!try_turn(io, word)) {
		uint32_t count = wait_prepare(q, wait_for_cut());
		/* Sequentially consistent, after the announcement: pairs with end_turn. */
		if (try_turn(io, word))
			return;
		core_sleep(ev->core, q, count, wait_for_cut());
	}
}

static void end_turn(struct evict *ev, const struct io *io)
{
	atomic_store(&state_of(io)->cut, 0);
	wait_notify(ev->core->wait, wait_for_cut());
}

void cut_outlast(struct evict *ev, const struct io *io, uint32_t page)
{
	struct wait_queue *q = wait_queue_of(ev->core->wait, wait_for_cut());
	uint32_t count = wait_prepare(q, wait_for_cut());
	/* Sequentially consistent, after the announcement: pairs with end_turn, after the end was changed. */
	if (pageio_stands(&io->file, page, NULL) == STANDS_LATER)
		core_sleep(ev->core, q, count, wait_for_cut());
}

/* ---- which pages -------------------------------------------------------- */

/* Of a range, those that are in memory, or being loaded. */
struct pages {
	struct io *io;
	uint32_t first, n; /* of the file's numbers */
	uint32_t *at;      /* the pool's numbers; NULL: all of the range are to be looked for */
	size_t listed, room;
	bool no_memory;
};

static void pages_free(const struct pages *p)
{
	free(p->at);
}
#define PAGES(p, of, its_first, its_n) \
	__attribute__((cleanup(pages_free))) struct pages p = {.io = (of), .first = (its_first), .n = (its_n)}

static void list_page(void *to, const struct table_ref *at, uint64_t e)
{
	struct pages *p = to;
	struct whose is = whose_page(p->io, entry_page(e));
	(void)at;
	if (is.io != p->io || is.page - p->first >= p->n || p->no_memory)
		return;
	if (p->listed == p->room) {
		size_t room = p->room ? 2 * p->room : 1024;
		uint32_t *more = realloc(p->at, room * sizeof *more);
		p->no_memory = !more;
		if (!more)
			return;
		p->at = more;
		p->room = room;
	}
	p->at[p->listed++] = entry_page(e);
}

/* 0, or ENOMEM. */
static int list_pages(struct evict *ev, struct stripe *me, struct pages *p)
{
	if (p->n <= LOOKED_UP) {
		p->listed = p->n;
		return 0;
	}
	epoch_enter(&ev->core->epoch, me);
	table_each(&ev->core->tables, list_page, p);
	epoch_leave(me);
	return p->no_memory ? ENOMEM : 0;
}

static uint32_t page_number(const struct pages *p, struct stripe *me, size_t i)
{
	return p->at ? p->at[i] : extent_find(p->io, me, p->first + (uint32_t)i);
}

/* ---- taking them out ---------------------------------------------------- */

struct out {
	struct evict *ev;
	struct io *io;
	struct stripe *me;
	bool cut; /* modified or not: they become leaving; else the clean ones are forgotten */
	int error;
	struct window w;
};

static void forgotten(struct evict *ev, uint32_t frame)
{
	page_forgotten(ev, frame);
	/* Relaxed: it is a count. */
	atomic_fetch_add_explicit(&ev->clock->forgotten, 1, memory_order_relaxed);
	frame_free(ev, frame);
}

static bool victim_leaves(const struct out *o, const struct victim *v)
{
	/* The scan saw no pin: if it was not rescued since, it has none, and nobody can have one now. */
	return o->error == 0 && !victim_busy(v) && table_leave(&v->entry, v->page, v->frame);
}

static bool victim_forgotten(const struct out *o, const struct victim *v)
{
	if (victim_busy(v) || (victim_word(v) & FRAME_DIRTY) || !victim_take_out(o->ev, o->me, v))
		return false;
	forgotten(o->ev, v->frame);
	return true;
}

static void settle(struct out *o)
{
	if (o->w.n > 0)
		window_scan(o->ev->core, o->me, &o->w);
	for (unsigned i = 0; i < o->w.n; i++) {
		const struct victim *v = &o->w.victim[i];
		if (o->cut ? victim_leaves(o, v) : victim_forgotten(o, v))
			continue;
		victim_reopen(v); /* or it was rescued */
		victim_release(o->ev->core, v);
		o->error = EBUSY;
	}
	o->w.n = 0;
}

enum look { LOOK_OUT, LOOK_AGAIN, LOOK_CLAIMED, LOOK_ENTRY };

/* Add the page in frame `f` to the window. */
static enum look take(struct out *o, uint32_t page, uint32_t f)
{
	struct core *c = o->ev->core;
	struct frame *fr = frame_live(&c->frames, f);
	if (!fr)
		return LOOK_AGAIN;
	if (!frame_claim(fr, o->me->id))
		return LOOK_CLAIMED;
	/* The claim was acquired, and its owners before stored the number. */
	bool its = atomic_load_explicit(&fr->page, memory_order_relaxed) == page, ours = extent_is_of(o->io, page);
	if (its && ours)
		return window_add(c, &o->w, f) ? LOOK_OUT : LOOK_AGAIN;
	core_unclaim(c, f, fr);
	/* Another file has the number now: ours has left. */
	return its ? LOOK_OUT : LOOK_AGAIN;
}

/* OUT: it is in no entry, or in the window.  CLAIMED: its frame is, by another.  ENTRY: it is stale, or leaving, and to be waited for. */
static enum look look(struct out *o, uint32_t page, uint32_t *f)
{
	struct core *c = o->ev->core;
	struct table_ref at;
	enum look found = LOOK_ENTRY;
	epoch_enter(&c->epoch, o->me);
	uint64_t e = table_find(&c->tables, page, &at);
	*f = entry_who(e);
	/* Tentative: whoever has it looks at the end of the file, and reads, later. */
	if (!entry_valid(e) || (o->cut && entry_state(e) == ENTRY_LEAVING))
		found = LOOK_OUT;
	else if (entry_in_memory(e))
		found = take(o, page, *f);
	else if (entry_state(e) == ENTRY_LOADING && !table_make_stale(&at, e))
		found = LOOK_AGAIN;
	epoch_leave(o->me);
	return found;
}

/* Sleep while the page's entry is stale, or leaving.  True: it was stale. */
static bool await_entry(const struct out *o, uint32_t page)
{
	struct core *c = o->ev->core;
	struct wait_queue *q = wait_queue_of(c->wait, wait_for_page(page));
	bool stale = false, waits = true;
	while (waits) {
		uint32_t count = wait_prepare(q, wait_for_page(page));
		struct table_ref at;
		epoch_enter(&c->epoch, o->me);
		uint64_t e = table_find(&c->tables, page, &at);
		epoch_leave(o->me);
		waits = e != ENTRY_FREE && (entry_state(e) == ENTRY_STALE || entry_state(e) == ENTRY_LEAVING);
		stale |= waits && entry_state(e) == ENTRY_STALE;
		if (waits)
			core_sleep(c, q, count, wait_for_page(page));
	}
	return stale;
}

static void take_out(struct out *o, uint32_t page)
{
	uint32_t f;
	enum look found;
	while ((found = look(o, page, &f)) != LOOK_OUT && !(o->cut && o->error)) {
		/* Others may wait for what is claimed: for leaving pages, and nothing else, while this thread sleeps. */
		bool own = o->w.n > 0;
		settle(o);
		/* The page may be listed twice, and was in the window: it is looked at again, for nobody waits for himself. */
		if (own)
			continue;
		if (found == LOOK_CLAIMED)
			frame_wait(o->ev->core, o->me, f, page);
		/* What is loaded after one that was stale is read after the call began. */
		if (found == LOOK_ENTRY && await_entry(o, page) && !o->cut)
			return;
	}
	if (o->w.n == WINDOW_MAX)
		settle(o);
}

static int take_all_out(struct out *o, const struct pages *p)
{
	for (size_t i = 0; i < p->listed && !(o->cut && o->error); i++)
		if (page_number(p, o->me, i) != PAGE_NONE)
			take_out(o, page_number(p, o->me, i));
	settle(o);
	return o->error;
}

/* ---- to forget ---------------------------------------------------------- */

int cut_forget(struct evict *ev, struct io *io, struct stripe *me, uint32_t first, uint32_t n)
{
	struct out o = {.ev = ev, .io = io, .me = me};
	PAGES(p, io, first, n < PAGE_NONE - first ? n : PAGE_NONE - first);
	take_turn(ev, io, cut_word(PAGE_NONE, CUT_BEGUN, me));
	int error = pageio_look_again(&io->file);
	end_turn(ev, io);
	error = error ? error : list_pages(ev, me, &p);
	return error ? error : take_all_out(&o, &p);
}

/* ---- to cut ------------------------------------------------------------- */

static void returns(void *cut_file, const struct table_ref *at, uint64_t e)
{
	const struct cut_file *cut = cut_file;
	struct evict *ev = cut->ev;
	if (entry_state(e) != ENTRY_LEAVING || !extent_is_of(cut->io, entry_page(e)) ||
	    !table_return(at, entry_page(e), entry_who(e)))
		return;
	core_unclaim(ev->core, entry_who(e), frame_of(&ev->core->frames, entry_who(e)));
	wait_notify(ev->core->wait, wait_for_page(entry_page(e)));
}

static void leaves(void *cut_file, const struct table_ref *at, uint64_t e)
{
	const struct cut_file *cut = cut_file;
	struct evict *ev = cut->ev;
	if (entry_state(e) != ENTRY_LEAVING || !extent_is_of(cut->io, entry_page(e)))
		return;
	latch_changed(ev->core, entry_who(e));
	if (table_free(at, e))
		forgotten(ev, entry_who(e));
	wait_notify(ev->core->wait, wait_for_page(entry_page(e)));
}

/* The end is being cut no more.  In an epoch section. */
static void undo(struct evict *ev, struct io *io)
{
	table_each(&ev->core->tables, returns, &(struct cut_file){ev, io});
	atomic_fetch_and(&state_of(io)->end, ~END_CUTTING);
}

static bool is_behind(void *to, uint32_t page)
{
	const struct pages *p = to;
	struct whose is = whose_page(p->io, page);
	return is.io == p->io && is.page - p->first < p->n;
}

/* The file is cut, or, not `seen`, taken for it.  In an epoch section; it may have been done before, by one that died. */
static void finish(struct evict *ev, struct io *io, uint32_t pages, bool seen)
{
	_Atomic uint64_t *end = &state_of(io)->end;
	uint64_t was = atomic_load(end);
	if (!(was & END_CUTTING))
		return;
	pageio_cut_noted(&io->file, pages);
	if (!seen)
		pageio_cut_unseen(&io->file);
	torn_cut(io->torn, is_behind, &(struct pages){.io = io, .first = pages, .n = PAGE_NONE - pages});
	table_each(&ev->core->tables, leaves, &(struct cut_file){ev, io});
	/* Last, in one step: the numbers that were given meanwhile are worth nothing from then on. */
	while (!atomic_compare_exchange_weak(end, &was, ((was >> END_CUTS_SHIFT) + 1) << END_CUTS_SHIFT | pages))
		;
}

/* 0, or an errno: it is as it was. */
static int cut_file(struct io *io, const struct stripe *me, uint32_t pages)
{
	_Atomic uint64_t *cut = &state_of(io)->cut;
	bool file = !io->file.store; /* a fork waits for no store */
	if (file)
		transfer_begin();
	atomic_store(cut, cut_word(pages, CUT_FILE, me));
	int error = pageio_cut(&io->file, pages);
	atomic_store(cut, cut_word(pages, error ? CUT_BEGUN : CUT_DONE, me));
	if (file)
		transfer_end();
	return error;
}

int cut_to(struct evict *ev, struct io *io, struct stripe *me, uint32_t pages)
{
	struct out o = {.ev = ev, .io = io, .me = me, .cut = true};
	PAGES(p, io, pages, PAGE_NONE - pages);
	take_turn(ev, io, cut_word(pages, CUT_BEGUN, me));
	/* No flush covers a part of it, nor is an earlier cut made again meanwhile. */
	sync_begin(io, me);
	/* Sequentially consistent, before any entry is looked at: pairs with pageio_stands. */
	atomic_fetch_or(&state_of(io)->end, END_CUTTING);
	int error = list_pages(ev, me, &p);
	if (!error)
		error = take_all_out(&o, &p);
	/* What is above the limit are other files' numbers. */
	if (!error && pages > atomic_load(&state_of(io)->limit))
		error = EFBIG;
	if (!error)
		error = cut_file(io, me, pages);
	epoch_enter(&ev->core->epoch, me);
	if (error)
		undo(ev, io);
	else
		finish(ev, io, pages, true);
	epoch_leave(me);
	sync_end(io);
	end_turn(ev, io);
	return error;
}

/* ---- who had the turn is gone ------------------------------------------- */

void cut_recover(struct evict *ev, struct io *io, stripe_test *dead, void *of)
{
	uint64_t cut = atomic_load(&state_of(io)->cut);
	uint32_t owner = (uint32_t)(cut >> CUT_OWNER_SHIFT), pages = (uint32_t)cut;
	unsigned step = (unsigned)((cut & CUT_STEP) >> CUT_STEP_SHIFT);
	if (!owner || !dead(of, owner - 1))
		return;
	uint32_t before = check_act_for(owner);
	/* Who cannot look at the file takes it for cut: it was about to be, and is by the next sync. */
	bool blind = io->slot && !file_here(io);
	if (step == CUT_DONE || (step == CUT_FILE && (blind || pageio_is_cut(&io->file, pages))))
		finish(ev, io, pages, step == CUT_DONE || !blind);
	else
		undo(ev, io);
	(void)check_act_for(before);
	end_turn(ev, io);
}
