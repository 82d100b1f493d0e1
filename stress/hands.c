/*
 * hands.c - what a thread does to one page; see run.h.
 *
 * Owns the rules of every get, latch and put: a page is locked while its bytes are looked at or
 * changed, must show the last version, and is put as it was used.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "page.h"
#include "report.h"
#include "run.h"

enum {
	HOT_PAGES_MIN = 4,   /* pages that every thread goes for */
	HOT_ONE_IN = 3,      /* one choice in so many is a hot page */
	LOCK_TRIES = 50,     /* for a page in others' hands, where nobody is stopped or killed */
	LIFE_BITS = 32,      /* a writer is named by place and life */
	MARK_PAUSE = 200000, /* nanoseconds between two looks for the mark of a death */
	LINGER_ONE_IN = 4,   /* changes with another page got in the middle of them */
	SLOW_ONE_IN = 16,    /* changes that take their time */
	SLOW_MICRO = 50,     /* so much at most */
	MICRO = 1000000,
	LATCHED_STEP = 61, /* so that neighbours are latched, and not */
	COUNTED_OF = 16,   /* one page of so many is_counted */
};

#define READERS (UINT32_C(1) << 31)

/* --- what a page must hold ----------------------------------------------------- */

bool record_lock(struct record *r, unsigned place, enum access access)
{
	uint32_t seen = atomic_load(&r->lock), mine;

	do {
		if (seen != 0 && (access == ACCESS_WRITE || (seen & READERS) == 0))
			return false;
		mine = access == ACCESS_WRITE ? place + 1 : (seen | READERS) + 1;
	} while (!atomic_compare_exchange_weak(&r->lock, &seen, mine));
	return true;
}

void record_unlock(struct record *r)
{
	uint32_t seen = atomic_load(&r->lock), left;

	do
		left = seen > READERS + 1 ? seen - 1 : 0;
	while (!atomic_compare_exchange_weak(&r->lock, &seen, left));
}

static bool is_upset(uint64_t upsets)
{
	return upsets % 2 != 0;
}

bool record_sure(struct record *r)
{
	return atomic_load(&r->version) == atomic_load(&r->put) && !is_upset(atomic_load(&r->upsets));
}

bool record_upset(struct record *r)
{
	bool before = is_upset(atomic_load(&r->upsets));

	if (!before)
		atomic_fetch_add(&r->upsets, 1);
	return before;
}

void record_settle(struct record *r)
{
	if (is_upset(atomic_load(&r->upsets)))
		atomic_fetch_add(&r->upsets, 1);
}

void raise_to(_Atomic uint64_t *most, uint64_t value)
{
	uint64_t seen = atomic_load(most);

	while (seen < value && !atomic_compare_exchange_weak(most, &seen, value))
		;
}

/* --- choices ------------------------------------------------------------------- */

struct worker *worker_make(unsigned number, uint64_t life)
{
	struct worker *w = calloc(1, sizeof *w);

	if (w == NULL)
		trouble("no memory for a thread's pins");
	w->at = watch_place(number);
	w->number = number;
	w->name = (uint64_t)number << LIFE_BITS | life;
	w->random = draw_start(run.o->seed ^ w->name);
	w->buffer = page_buffer(run.o->page_size);
	images_thread(w);
	return w;
}

void worker_free(struct worker *w)
{
	images_thread(NULL);
	free(w->buffer);
	free(w);
}

unsigned below(struct worker *w, unsigned n)
{
	return draw_below(&w->random, n);
}

bool flip(struct worker *w)
{
	return below(w, 2) == 0;
}

enum access any_access(struct worker *w)
{
	return run.killing || flip(w) ? ACCESS_WRITE : ACCESS_READ;
}

bool to_be_avoided(pgno_t pgno)
{
	unsigned count = atomic_load(&run.board->avoid_count);

	for (unsigned i = 0; i < count; i++)
		if (atomic_load(&run.board->avoid[i]) == pgno)
			return true;
	return false;
}

bool choose_page_of(struct worker *w, const struct file *f, pgno_t *pgno)
{
	unsigned pages = (unsigned)atomic_load(&f->allotted), hot = run.o->cache / 2;

	if (pages == 0)
		return false;
	hot = hot > HOT_PAGES_MIN ? hot : HOT_PAGES_MIN;
	*pgno = f->first + below(w, hot < pages && below(w, HOT_ONE_IN) == 0 ? hot : pages);
	return !to_be_avoided(*pgno);
}

bool choose_page(struct worker *w, pgno_t *pgno)
{
	return choose_page_of(w, choose_file(w), pgno);
}

/* --- locks --------------------------------------------------------------------- */

bool is_latched(pgno_t pgno)
{
	return (uint64_t)pgno * LATCHED_STEP % PERCENT < run.o->latched;
}

bool all_latched(void)
{
	return run.o->latched == PERCENT;
}

/* The thread's latch of the page; of NO_PAGE: one that it has not; NULL: none. */
static struct latch *latch_of(struct worker *w, pgno_t pgno)
{
	for (unsigned i = 0; i < LATCHED_MAX; i++)
		if (pgno == NO_PAGE ? w->latch[i].kind == LATCH_NONE
		                    : w->latch[i].kind != LATCH_NONE && w->latch[i].pgno == pgno)
			return &w->latch[i];
	return NULL;
}

static bool has_latches(const struct worker *w)
{
	for (unsigned i = 0; i < LATCHED_MAX; i++)
		if (w->latch[i].kind != LATCH_NONE)
			return true;
	return false;
}

void note_latch(struct worker *w, pgno_t pgno, bool exclusive)
{
	struct latch *l = latch_of(w, NO_PAGE);

	*l = (struct latch){exclusive ? LATCH_EXCLUSIVE : LATCH_SHARED, pgno};
	if (exclusive)
		atomic_store_explicit(&w->at->latched[l - w->latch], (uint64_t)pgno + 1, memory_order_release);
}

void forget_latch(struct worker *w, pgno_t pgno)
{
	struct latch *l = latch_of(w, pgno);

	if (l == NULL)
		return;
	atomic_store_explicit(&w->at->latched[l - w->latch], 0, memory_order_release);
	l->kind = LATCH_NONE;
}

/* Who has a latch waits for no other; and nobody, while one is stopped. */
static bool latch_page(struct worker *w, const struct pin *pin, enum access access)
{
	bool has = latch_of(w, pin->pgno) != NULL, exclusive = access == ACCESS_WRITE;
	bool tries = has_latches(w) || atomic_load(&run.board->calm) || (w->hired && flip(w));
	unsigned flags = (exclusive ? MPOOL_EXCLUSIVE : MPOOL_SHARED) | (tries ? MPOOL_TRY : 0);
	int error;

	watch_doing(w->at, !exclusive ? DOING_SHARE : tries ? DOING_TRY : DOING_LATCH, pin->pgno);
	error = mpool_latch(any_handle(w, pin->pgno), pin->page, flags) != 0 ? errno : 0;
	if (error == 0 && !has)
		note_latch(w, pin->pgno, exclusive);
	watch_done(w->at);
	watch_count(w->at, error != 0 ? COUNT_REFUSED : exclusive ? COUNT_LATCHES : COUNT_SHARED, 1);
	if (has ? error != EDEADLK : error != 0 && !(tries && error == EBUSY)) {
		errno = error;
		fault_call(has ? "mpool_latch, once more," : "mpool_latch of a page that is pinned", pin->pgno);
	}
	return error == 0;
}

static void unlatch_page(struct worker *w, const struct pin *pin, unsigned flags)
{
	const struct latch *l = latch_of(w, pin->pgno);

	watch_doing(w->at, l->kind == LATCH_EXCLUSIVE ? DOING_UNLATCH : DOING_UNSHARE, pin->pgno);
	forget_latch(w, pin->pgno);
	if (mpool_unlatch(any_handle(w, pin->pgno), pin->page, flags) != 0)
		fault_call("mpool_unlatch of a page that is latched", pin->pgno);
	watch_done(w->at);
}

bool upgrade_page(struct worker *w, const struct pin *pin, uint64_t version)
{
	int error;

	watch_doing(w->at, DOING_UPGRADE, pin->pgno);
	error = mpool_upgrade(any_handle(w, pin->pgno), pin->page, version) != 0 ? errno : 0;
	if (error == 0)
		note_latch(w, pin->pgno, true);
	else if (error != EAGAIN)
		fault_call("mpool_upgrade of a page that is pinned", pin->pgno);
	watch_done(w->at);
	watch_count(w->at, error == 0 ? COUNT_UPGRADES : COUNT_REFUSED, 1);
	return error == 0;
}

static bool lock_record(struct worker *w, pgno_t pgno, enum access access)
{
	struct record *r = &run.record[pgno];
	bool done = record_lock(r, w->number, run.killing ? ACCESS_WRITE : access);

	/* Threads that want one page are to meet there, as those do that wait for a lock. */
	for (unsigned tries = 0; !done && !run.killing && tries < LOCK_TRIES; tries++) {
		sched_yield();
		done = record_lock(r, w->number, access);
	}
	return done;
}

bool lock_page(struct worker *w, const struct pin *pin, enum access access)
{
	bool latched = is_latched(pin->pgno);
	bool done = latched ? latch_page(w, pin, access) : lock_record(w, pin->pgno, access);

	if (done && latched && access == ACCESS_READ && run.killing && !record_sure(&run.record[pin->pgno])) {
		unlatch_page(w, pin, 0);
		done = latch_page(w, pin, ACCESS_WRITE);
	}
	watch_count(w->at, COUNT_LOCKED, !done);
	return done;
}

void unlock_page(struct worker *w, const struct pin *pin)
{
	if (is_latched(pin->pgno))
		unlatch_page(w, pin, 0);
	else
		record_unlock(&run.record[pin->pgno]);
}

/* --- get and put --------------------------------------------------------------- */

static unsigned noted_at(const struct worker *w, uint64_t what)
{
	unsigned i = 0;

	while (i < HELD_MAX && atomic_load_explicit(&w->at->held[i], memory_order_relaxed) != what)
		i++;
	return i;
}

static void note(struct worker *w, unsigned i, uint64_t what)
{
	if (i < HELD_MAX)
		atomic_store_explicit(&w->at->held[i], what, memory_order_release);
}

/* A pin that goes from thread to thread is noted by none: that happens only where nobody is killed. */
void note_pin(struct worker *w, struct pin *pin)
{
	pin->noted = run.killing ? noted_at(w, 0) : HELD_MAX;
	note(w, pin->noted, (uint64_t)pin->pgno + 1);
}

void forget_pin(struct worker *w, const struct pin *pin)
{
	note(w, pin->noted, 0);
}

/* Relaxed: it must order nothing that the pool is to order. */
bool is_counted(pgno_t pgno)
{
	return !run.killing && pgno % COUNTED_OF == 0;
}

void count_pin(pgno_t pgno)
{
	if (!is_counted(pgno))
		return;
	atomic_fetch_add_explicit(&run.record[pgno].pins_begun, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&run.record[pgno].pins, 1, memory_order_relaxed);
}

static void uncount_pin(pgno_t pgno)
{
	if (is_counted(pgno))
		atomic_fetch_sub_explicit(&run.record[pgno].pins, 1, memory_order_relaxed);
}

bool pin_begins(pgno_t pgno)
{
	bool shared = share_page(pgno);

	if (shared)
		count_pin(pgno);
	return shared;
}

void pin_ends(pgno_t pgno)
{
	uncount_pin(pgno);
	unshare_page(pgno);
}

bool get_page(struct worker *w, pgno_t pgno, struct pin *pin)
{
	bool again = run.killing && noted_at(w, (uint64_t)pgno + 1) < HELD_MAX;

	*pin = (struct pin){.pgno = pgno};
	if (!pin_begins(pgno))
		return false;
	do {
		watch_count(w->at, COUNT_GETS_BEGUN, 1);
		watch_doing(w->at, again ? DOING_GET_AGAIN : DOING_GET, pgno);
		pin->page = mpool_get(handle_of(file_of(pgno)), page_in(pgno), 0);
	} while (pin->page == NULL && is_refusal());
	if (pin->page == NULL) {
		fault_call("mpool_get", pgno);
		pin_ends(pgno);
	} else {
		watch_count(w->at, COUNT_GETS, 1);
		note_pin(w, pin);
	}
	watch_done(w->at);
	return pin->page != NULL;
}

bool get_again(struct worker *w, const struct pin *pin, struct pin *other)
{
	if (!get_page(w, pin->pgno, other))
		return false;
	if (other->page != pin->page)
		fault("mpool_get: page %" PRIu32 " is pinned at %p, another get gives %p", pin->pgno, pin->page,
		      other->page);
	return true;
}

/* A page that stays pinned stays marked: so a marked one is saved without MPOOL_DIRTY. */
void put_page(struct worker *w, const struct pin *pin)
{
	unsigned flags = pin->version != 0 && !pin->marked ? MPOOL_DIRTY : 0;

	watch_doing(w->at, flags != 0 ? DOING_PUT_DIRTY : DOING_PUT, pin->pgno);
	forget_pin(w, pin);
	if (mpool_put(any_handle(w, pin->pgno), pin->page, flags) != 0)
		fault_call("mpool_put of a page that is pinned", pin->pgno);
	else if (pin->version != 0) /* after the unlocking, puts come back in any order: the highest counts */
		raise_to(&run.record[pin->pgno].put, pin->version);
	pin_ends(pin->pgno);
	watch_done(w->at);
}

bool enter_page(struct worker *w, pgno_t pgno, enum access access, struct pin *pin)
{
	bool lock_first = !is_latched(pgno) && flip(w);

	if (lock_first && !lock_page(w, &(struct pin){.pgno = pgno}, access))
		return false;
	if (!get_page(w, pgno, pin)) {
		if (lock_first)
			record_unlock(&run.record[pgno]);
		return false;
	}
	if (!lock_first && !lock_page(w, pin, access)) {
		put_page(w, pin);
		return false;
	}
	return true;
}

/* A latch may outlive the pin; and, where nobody is killed, end before the page is marked, or mark it itself. */
static void leave_latched(struct worker *w, struct pin pin)
{
	bool mark = pin.version != 0 && flip(w);

	if (flip(w)) {
		share_page(pin.pgno);
		put_page(w, &pin);
		unlatch_page(w, &pin, 0);
		unshare_page(pin.pgno);
		return;
	}
	if (pin.version != 0 && run.killing)
		save_through_another_pin(w, &pin);
	unlatch_page(w, &pin, mark ? MPOOL_DIRTY : 0);
	if (mark && pin.version != 0) {
		raise_to(&run.record[pin.pgno].put, pin.version);
		pin.version = 0;
	}
	put_page(w, &pin);
}

void leave_page(struct worker *w, const struct pin *pin)
{
	bool put_first = run.killing || flip(w);

	if (is_latched(pin->pgno)) {
		leave_latched(w, *pin);
		return;
	}
	if (put_first)
		put_page(w, pin);
	record_unlock(&run.record[pin->pgno]);
	if (!put_first)
		put_page(w, pin);
}

/* --- writing ------------------------------------------------------------------- */

/* Most of those who die in a change die here. */
static void linger(struct worker *w)
{
	bool slow = below(w, SLOW_ONE_IN) == 0;
	double until = report_seconds() + (double)below(w, SLOW_MICRO) / MICRO;
	struct pin other;
	pgno_t pgno;

	while (slow && report_seconds() < until)
		;
	if (below(w, LINGER_ONE_IN) == 0 && noted_at(w, 0) < HELD_MAX && choose_page(w, &pgno) &&
	    get_page(w, pgno, &other))
		put_page(w, &other);
}

/* In two halves. */
void write_page(struct worker *w, struct pin *pin)
{
	size_t size = run.o->page_size, half = size / 2;

	/* In this order: who dies in between has changed nothing yet. */
	pin->version = atomic_fetch_add(&run.record[pin->pgno].version, 1) + 1;
	page_write(w->buffer, size, pin->pgno, pin->version, w->name);
	watch_doing(w->at, DOING_CHANGE, pin->pgno);
	memcpy(pin->page, w->buffer, half);
	if (run.killing)
		linger(w);
	watch_doing(w->at, DOING_CHANGE, pin->pgno);
	memcpy((char *)pin->page + half, w->buffer + half, size - half);
	watch_done(w->at);
}

void save_through_another_pin(struct worker *w, struct pin *pin)
{
	struct pin other;

	if (!get_again(w, pin, &other))
		return;
	other.version = pin->version;
	put_page(w, &other);
	pin->version = 0;
	pin->marked = !all_latched(); /* else a pinned page does not stay marked */
}

/* --- checking, and mending ----------------------------------------------------- */

int look_abandoned(struct worker *w, const struct pin *pin, unsigned flags)
{
	int result;

	watch_doing(w->at, DOING_ABANDONED, pin->pgno);
	result = mpool_abandoned(any_handle(w, pin->pgno), pin->page, flags);
	if (result != 0 && result != 1)
		fault_call("mpool_abandoned of a page that is pinned", pin->pgno);
	watch_done(w->at);
	return result;
}

int forgive_page(struct worker *w, const struct pin *pin)
{
	struct record *r = &run.record[pin->pgno];
	uint64_t deaths = r->deaths;
	int result;

	atomic_fetch_add(&r->forgivings, 1);
	result = look_abandoned(w, pin, MPOOL_FORGIVE);
	atomic_store(&r->deaths_forgiven, deaths);
	return result;
}

/* The others learn of a death a little after it: so a mark may come a little late, but it comes. */
static bool mark_comes(struct worker *w, const struct pin *pin)
{
	const struct timespec pause = {.tv_nsec = MARK_PAUSE};
	double since = watch_seconds();

	while (look_abandoned(w, pin, 0) != 1) {
		if (watch_seconds() - since > run.o->watchdog / 2.0)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

void check_older(const char *where, pgno_t pgno, const struct page_view *view)
{
	uint64_t newest = atomic_load(&run.record[pgno].version);
	bool header = view->state == PAGE_INTACT || view->state == PAGE_DAMAGED;

	/* Of a page of zeros, who was killed may have written the end first. */
	if ((header && (view->pgno != pgno || view->version > newest)) ||
	    (view->state == PAGE_FOREIGN && !run.killing && !is_lossy(file_of(pgno))))
		fault_page(where, pgno, newest, view);
}

/* Whose writer was killed while he changed it: it is old, new, or marked. */
static void check_changed(struct worker *w, const char *where, const struct pin *pin, const struct page_view *view)
{
	struct record *r = &run.record[pin->pgno];
	uint64_t put = atomic_load(&r->put), begun = atomic_load(&r->version);

	if (page_is(view, pin->pgno, put))
		watch_count(w->at, COUNT_OLD, 1);
	else if (view->state == PAGE_INTACT && view->pgno == pin->pgno && view->version > put && view->version <= begun)
		watch_count(w->at, COUNT_NEW, 1); /* the last one begun, or, if menders died too, one before */
	else if (view->state == PAGE_INTACT || view->state == PAGE_ZERO)
		fault_page(where, pin->pgno, put, view);
	else if (mark_comes(w, pin))
		watch_count(w->at, COUNT_HALF, 1);
	else
		fault("%s: page %" PRIu32 ": a process died while it changed it to version %" PRIu64
		      ", it is half that, and mpool_abandoned does not say so",
		      where, pin->pgno, begun);
}

static void mend(struct worker *w, const char *where, struct pin *pin, const struct page_view *view)
{
	struct record *r = &run.record[pin->pgno];

	if (is_upset(atomic_load(&r->upsets)) || may_be_older(pin->pgno)) {
		check_older(where, pin->pgno, view);
		watch_count(w->at, COUNT_UPSET, 1);
	} else {
		check_changed(w, where, pin, view);
	}
	write_page(w, pin);
	forgive_page(w, pin);
	save_through_another_pin(w, pin);
	record_settle(r);
}

void check_page(struct worker *w, const char *where, struct pin *pin)
{
	struct record *r = &run.record[pin->pgno];
	uint64_t expected = atomic_load(&r->version);
	struct page_view view;
	bool sure;

	page_read(pin->page, run.o->page_size, &view);
	/* Of one that is not latched, who finds it upset has made it so himself, where nobody is killed. */
	sure = !is_upset(atomic_load(&r->upsets)) && (!run.killing || record_sure(r));
	if (sure && page_is(&view, pin->pgno, expected))
		return;
	watch_count(w->at, COUNT_LOST, sure);
	if (sure && !may_be_older(pin->pgno))
		fault_page(where, pin->pgno, expected, &view);
	else if (sure || (is_latched(pin->pgno) && latch_of(w, pin->pgno)->kind == LATCH_SHARED))
		check_older(where, pin->pgno, &view);
	else
		mend(w, where, pin, &view);
}
