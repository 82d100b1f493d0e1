/*
 * operations.c - what a worker does; see options.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mpool_peek.h"
#include "page.h"
#include "report.h"
#include "run.h"

enum {
	CLEAN_ONE_IN = 8,   /* of the new pages, left as they are */
	KEEP_ONE_IN = 4,    /* of the new pages, kept pinned */
	FORGIVE_ONE_IN = 8, /* of the pages read, if some are killed */
	SCAN = 12,          /* pages */
	LOOKS = 3,          /* at a page that changes meanwhile */
	RANGE = 64,         /* pages that are synced at most */
	FLUSH_ONE_IN = 32,  /* of these syncs: it takes a disk's time */
	WRONG_TRIES = 8,    /* for numbers of pages that are in memory */
	EXTENT = 256,       /* numbers that a file has at least */
	CANARY = 0xa5,      /* a byte that mpool_stats does not write by chance */
};

_Static_assert(HOLD_MAX + SEVERAL_MAX + 2 <= HELD_MAX, "a thread has a place for every pin");

#define WRONG_PAGE (MAX_PAGE_NUMBER - 1)

/* --- get and put --------------------------------------------------------------- */

/* Get a page, check it, put it. */
static void do_read(struct worker *w, pgno_t pgno)
{
	struct pin pin;

	if (!enter_page(w, pgno, ACCESS_READ, &pin))
		return;
	check_page(w, "read", &pin);
	if (run.killing && below(w, FORGIVE_ONE_IN) == 0 && forgive_page(w, &pin) == 1)
		watch_count(w->at, COUNT_MARKS, 1);
	leave_page(w, &pin);
}

/* Get, check, write the next version, put dirty. */
static void do_write(struct worker *w, pgno_t pgno)
{
	struct pin pin;

	if (!enter_page(w, pgno, ACCESS_WRITE, &pin))
		return;
	check_page(w, "write", &pin);
	write_page(w, &pin);
	leave_page(w, &pin);
}

/* Checks a locked page, and writes it where the lock allows and chance wills. */
static void use_page(struct worker *w, const char *where, struct pin *pin, enum access access)
{
	check_page(w, where, pin);
	if (access == ACCESS_WRITE && (run.killing || flip(w)))
		write_page(w, pin);
}

/* The same with several pages at a time. */
static void do_several(struct worker *w, pgno_t pgno)
{
	struct pin pins[SEVERAL_MAX];
	unsigned wanted = 2 + below(w, run.o->several - 1), got = 0;

	do {
		enum access access = any_access(w);

		if (!enter_page(w, pgno, access, &pins[got]))
			break;
		use_page(w, "several pages", &pins[got++], access);
	} while (got < wanted && choose_page(w, &pgno));
	while (got-- > 0)
		leave_page(w, &pins[got]);
}

/* One page got twice. */
static void do_nest(struct worker *w, pgno_t pgno)
{
	struct pin outer, inner;

	if (!enter_page(w, pgno, ACCESS_READ, &outer))
		return;
	if (get_again(w, &outer, &inner))
		put_page(w, &inner);
	/* One pin is left, so the page must be. */
	check_page(w, "after one put of a page got twice", &outer);
	leave_page(w, &outer);
}

/* Get without pinning. */
static void do_peek(struct worker *w, pgno_t pgno)
{
	struct pin pin = {.pgno = pgno};

	/* To latch a page it takes a pin; and so it does to be counted. */
	if (is_latched(pgno) || is_counted(pgno) || !share_page(pgno))
		return;
	if (!lock_page(w, &pin, ACCESS_READ)) {
		unshare_page(pgno);
		return;
	}
	watch_count(w->at, COUNT_GETS_BEGUN, 1);
	watch_doing(w->at, DOING_GET, pgno);
	pin.page = mpool_get(handle_of(file_of(pgno)), page_in(pgno), MPOOL_IGNOREPIN);
	if (pin.page != NULL) {
		watch_count(w->at, COUNT_GETS, 1);
		check_page(w, "get with MPOOL_IGNOREPIN", &pin);
	} else if (!is_refusal()) {
		fault_call("mpool_get with MPOOL_IGNOREPIN", pgno);
	}
	watch_done(w->at);
	record_unlock(&run.record[pgno]);
	/* Its next call ends it: else its file could not be closed. */
	if (file_of(pgno) != run.file)
		pool_stats(w->at);
	unshare_page(pgno);
}

/* --- optimistic reads ------------------------------------------------------------- */

/* Any of these versions, unless it was upset meanwhile. */
static void check_peeked(struct worker *w, pgno_t pgno, const struct before *before)
{
	struct record *r = &run.record[pgno];
	uint64_t newest = atomic_load(&r->version);
	struct page_view view;
	bool right;

	if (before->upsets % 2 != 0 || atomic_load(&r->upsets) != before->upsets || may_be_older(pgno))
		return;
	page_read(w->buffer, run.o->page_size, &view);
	right = view.state == PAGE_ZERO ? before->put == 0
	                                : view.state == PAGE_INTACT && view.pgno == pgno &&
	                                          before->put <= view.version && view.version <= newest;
	if (!right)
		fault_page("mpool_peek, and unchanged", pgno, before->put, &view);
}

/* Copies the page to the worker's buffer, if it can be had unchanged; its version. */
static bool peek_page(struct worker *w, pgno_t pgno, uint64_t *version)
{
	struct before before;
	const void *page;
	bool same = false;

	if (!share_page(pgno))
		return false;
	before = look_before(&run.record[pgno]);
	watch_doing(w->at, DOING_LOOK, pgno);
	page = mpool_peek(handle_of(file_of(pgno)), page_in(pgno), version);
	if (page != NULL) {
		mpool_load_bytes(w->buffer, page, run.o->page_size);
		same = mpool_unchanged(any_handle(w, pgno), page, *version) == 1;
	} else if (errno != EAGAIN) {
		fault_call("mpool_peek", pgno);
	}
	watch_done(w->at);
	watch_count(w->at, same ? COUNT_LOOKS : page != NULL ? COUNT_CHANGED : COUNT_NOT_SEEN, 1);
	if (same)
		check_peeked(w, pgno, &before);
	unshare_page(pgno);
	return same;
}

/* Read a page without a pin; or, if that cannot be, with one. */
static void do_unchanged(struct worker *w, pgno_t pgno)
{
	uint64_t version;
	bool done = false;

	if (!is_latched(pgno))
		return;
	for (unsigned i = 0; i < LOOKS && !done; i++)
		done = peek_page(w, pgno, &version);
	if (!done)
		do_read(w, pgno);
}

/* Write a page, if it is the one that was read without a pin. */
static void do_upgrade(struct worker *w, pgno_t pgno)
{
	uint64_t version;
	struct pin pin;

	if (!is_latched(pgno) || !peek_page(w, pgno, &version) || !get_page(w, pgno, &pin))
		return;
	if (!upgrade_page(w, &pin, version)) {
		put_page(w, &pin);
		return;
	}
	if (memcmp(w->buffer, pin.page, run.o->page_size) != 0)
		fault("mpool_upgrade: page %" PRIu32 " is another than mpool_peek gave", pgno);
	check_page(w, "after mpool_upgrade", &pin);
	write_page(w, &pin);
	leave_page(w, &pin);
}

/* --- several reads in flight ----------------------------------------------------- */

/* Get a page if it is in memory. */
static void do_cached(struct worker *w, pgno_t pgno)
{
	struct pin pin = {.pgno = pgno};
	bool lock_first = !is_latched(pgno);

	if (!pin_begins(pgno))
		return;
	if (lock_first && !lock_page(w, &pin, ACCESS_READ)) {
		pin_ends(pgno);
		return;
	}
	watch_count(w->at, COUNT_GETS_BEGUN, 1);
	watch_doing(w->at, DOING_GET, pgno);
	pin.page = mpool_get(handle_of(file_of(pgno)), page_in(pgno), MPOOL_CACHED);
	if (pin.page != NULL) {
		watch_count(w->at, COUNT_GETS, 1);
		note_pin(w, &pin);
	} else if (errno != EAGAIN && !is_refusal()) {
		fault_call("mpool_get with MPOOL_CACHED", pgno);
	}
	watch_done(w->at);
	if (pin.page == NULL) {
		pin_ends(pgno);
		if (lock_first)
			unlock_page(w, &pin);
		return;
	}
	if (!lock_first && !lock_page(w, &pin, ACCESS_READ)) {
		put_page(w, &pin);
		return;
	}
	check_page(w, "get with MPOOL_CACHED", &pin);
	leave_page(w, &pin);
}

/* Wait until a prefetch is over, which is told once. */
static void await_event(int event, pgno_t pgno)
{
	uint64_t told = 0;

	while (read(event, &told, sizeof told) < 0 && errno == EINTR)
		;
	if (told != 1)
		fault("mpool_prefetch: page %" PRIu32 ": its eventfd has %" PRIu64, pgno, told);
}

/* Prefetch a page, or it and some that follow. */
static void do_prefetch(struct worker *w, pgno_t pgno)
{
	pgno_t list[SEVERAL_MAX];
	struct file *f = file_of(pgno);
	unsigned wanted = run.killing ? 1 : 1 + below(w, SEVERAL_MAX), n = 0;
	int event, state;
	ssize_t begun;

	if (!share_file(f))
		return;
	event = eventfd(0, EFD_CLOEXEC);
	if (event < 0)
		trouble("eventfd");
	for (; n < wanted && pgno + n < page_end(f); n++)
		list[n] = page_in(pgno) + n;
	/* Nothing that a worker does is a cancellation point: crew.c. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	watch_doing(w->at, DOING_GET, pgno);
	begun = mpool_prefetch(handle_of(f), list, n, event);
	/* Its file may be closed while the pages are being read. */
	unshare_file(f);
	if (begun < 0)
		fault_call("mpool_prefetch", pgno);
	else if (begun > 0)
		await_event(event, pgno);
	watch_done(w->at);
	close(event);
	pthread_setcancelstate(state, NULL);
}

/* Get several pages by one call, and check each. */
static void do_batch(struct worker *w, pgno_t pgno)
{
	const struct file *f = file_of(pgno);
	pgno_t list[SEVERAL_MAX];
	void *at[SEVERAL_MAX];
	unsigned wanted = 2 + below(w, SEVERAL_MAX - 1), n = 0;

	do {
		if (!pin_begins(pgno))
			break;
		list[n++] = page_in(pgno);
	} while (n < wanted && choose_page_of(w, f, &pgno));
	if (n == 0)
		return;
	watch_count(w->at, COUNT_GETS_BEGUN, n);
	watch_doing(w->at, DOING_GET, pgno);
	if (mpool_getv(handle_of(f), list, at, n, flip(w) ? MPOOL_ONCE : 0) != 0) {
		if (!is_refusal())
			fault_call("mpool_getv", pgno);
		while (n > 0)
			pin_ends(f->first + list[--n]);
	}
	watch_count(w->at, COUNT_GETS, n);
	watch_done(w->at);
	while (n-- > 0) {
		struct pin pin = {.pgno = f->first + list[n], .page = at[n]};

		note_pin(w, &pin);
		if (lock_page(w, &pin, ACCESS_READ)) {
			check_page(w, "getv", &pin);
			unlock_page(w, &pin);
		}
		put_page(w, &pin);
	}
}

/* Some pages in the file's order, which are read ahead. */
static void do_scan(struct worker *w, pgno_t pgno)
{
	pgno_t end = page_end(file_of(pgno));

	for (unsigned i = 0; i < SCAN && pgno + i < end; i++)
		do_read(w, pgno + i);
}

/* --- pins that last ------------------------------------------------------------ */

static bool take_held(struct worker *w, struct pin *pin)
{
	unsigned i;

	if (w->held_count == 0)
		return false;
	i = below(w, w->held_count);
	*pin = w->held[i];
	w->held[i] = w->held[--w->held_count];
	return true;
}

/* Put a page kept. */
static void do_release(struct worker *w)
{
	struct pin pin;

	if (take_held(w, &pin))
		put_page(w, &pin);
}

/* Get a page and keep it. */
static void do_hold(struct worker *w, pgno_t pgno)
{
	if (w->held_count == HOLD_MAX)
		do_release(w);
	else if (get_page(w, pgno, &w->held[w->held_count]))
		w->held_count++;
}

/* Check, or write, a page kept; whoever may be killed leaves none that is changed. */
static void do_look(struct worker *w)
{
	enum access access = any_access(w);
	struct pin *pin;

	if (w->held_count == 0)
		return;
	pin = &w->held[below(w, w->held_count)];
	if (!lock_page(w, pin, access))
		return;
	use_page(w, "a page kept pinned", pin, access);
	if (pin->version != 0 && (run.killing || flip(w)))
		save_through_another_pin(w, pin);
	unlock_page(w, pin);
}

/*
 * Pins on their way from one thread to another, which nobody has: the giver may be gone by
 * then.  A hand-over orders the two threads, no more: a mutex would order all threads and so
 * hide from ThreadSanitizer what the pool fails to order.
 *
 * None of pages that are latched: who latches one must have it pinned, and of several pins the pool cannot tell which
 * was another thread's.
 */
static struct pin *_Atomic left_pins[LEFT_MAX];

static bool leave_for_others(struct worker *w, const struct pin *pin)
{
	unsigned from = below(w, LEFT_MAX);
	struct pin *left = malloc(sizeof *left);
	bool done = false;

	if (left == NULL)
		trouble("no memory for a pin");
	*left = *pin;
	for (unsigned i = 0; i < LEFT_MAX && !done && !run.killing && !is_latched(pin->pgno); i++) {
		struct pin *none = NULL;

		done = atomic_compare_exchange_strong_explicit(&left_pins[(from + i) % LEFT_MAX], &none, left,
		                                               memory_order_release, memory_order_relaxed);
	}
	if (!done)
		free(left);
	return done;
}

static bool take_of_others(struct worker *w, struct pin *pin)
{
	unsigned from = below(w, LEFT_MAX);
	struct pin *left = NULL;

	for (unsigned i = 0; i < LEFT_MAX && left == NULL; i++)
		left = atomic_exchange_explicit(&left_pins[(from + i) % LEFT_MAX], NULL, memory_order_acquire);
	if (left == NULL)
		return false;
	*pin = *left;
	free(left);
	return true;
}

/* Get a page, or take one kept, for another thread to put. */
static void do_give(struct worker *w, pgno_t pgno)
{
	struct pin pin;

	if ((flip(w) || !take_held(w, &pin)) && !get_page(w, pgno, &pin))
		return;
	if (!leave_for_others(w, &pin))
		put_page(w, &pin);
}

/* Check or write a page that another thread got, and put it. */
static void do_take(struct worker *w)
{
	enum access access = any_access(w);
	struct pin pin;

	if (!take_of_others(w, &pin))
		return;
	if (lock_page(w, &pin, access)) {
		use_page(w, "a page pinned by another thread", &pin, access);
		leave_page(w, &pin);
	} else {
		put_page(w, &pin);
	}
}

void part_with_pins(struct worker *w)
{
	struct pin pin;

	while (take_held(w, &pin)) {
		if (flip(w) && leave_for_others(w, &pin))
			watch_count(w->at, COUNT_ORPHANS, 1);
		else
			put_page(w, &pin);
	}
}

void drain(struct worker *w, unsigned leave)
{
	struct pin pin;

	while (take_of_others(w, &pin)) {
		if (lock_page(w, &pin, ACCESS_READ)) {
			check_page(w, "a page left pinned by an ended thread", &pin);
			unlock_page(w, &pin);
		}
		if (pin.version == 0 && leave > 0 && !is_counted(pin.pgno))
			leave--;
		else
			put_page(w, &pin);
	}
}

/* --- pages come and go --------------------------------------------------------- */

/* The file grows evenly over the time of the run, or the first part of a soak. */
static bool reserve_page(struct file *f)
{
	double grown = run.growth > 0 ? report_seconds() / run.growth : 0, part = run_part();
	uint64_t most, reserved = atomic_load(&f->reserved);

	part = part > grown ? part : grown;
	most = f->pages + (uint64_t)((f->pages_max - f->pages) * (part < 1 ? part : 1));
	do
		if (reserved >= (most == 0 ? 1 : most))
			return false;
	while (!atomic_compare_exchange_weak(&f->reserved, &reserved, reserved + 1));
	return true;
}

/* With a share of the file, which is the pin's then. */
static bool new_page(struct worker *w, struct file *f, struct pin *pin)
{
	MPOOL *pool = handle_of(f);
	pgno_t pgno = NO_PAGE;

	*pin = (struct pin){.pgno = NO_PAGE, .noted = HELD_MAX};
	watch_doing(w->at, DOING_NEW, NO_PAGE);
	do
		pin->page = flip(w) ? mpool_new(pool, &pgno) : mpool_new(pool, &pgno, MPOOL_PAGE_NEXT);
	while (pin->page == NULL && is_refusal());
	if (pin->page == NULL) {
		fault_call("mpool_new", NO_PAGE);
	} else if (pgno >= f->records) {
		fault("mpool_new: page number %" PRIu32 " was skipped to", pgno);
		pin->page = NULL;
	} else {
		pin->pgno = f->first + pgno;
		note_pin(w, pin);
		count_pin(pin->pgno);
		if (atomic_exchange(&run.record[pin->pgno].allotted, true))
			fault("mpool_new: page number %" PRIu32 " was given twice", pin->pgno);
		raise_to(&f->allotted, (uint64_t)pgno + 1);
	}
	watch_done(w->at);
	return pin->page != NULL;
}

static void do_new(struct worker *w)
{
	struct file *f = choose_file(w);
	struct pin pin;

	if (!share_file(f))
		return;
	if (!reserve_page(f) || !new_page(w, f, &pin)) {
		unshare_file(f);
		return;
	}
	if (w->held_count < HOLD_MAX && below(w, KEEP_ONE_IN) == 0) {
		w->held[w->held_count++] = pin;
		return;
	}
	/* Others may have got it, and written it, before us. */
	if (!lock_page(w, &pin, ACCESS_WRITE)) {
		put_page(w, &pin);
		return;
	}
	check_page(w, "new page", &pin);
	if (below(w, CLEAN_ONE_IN) != 0)
		write_page(w, &pin);
	leave_page(w, &pin);
}

/* The put comes before the unlock: until it is done the page is upset. */
static void rewrite(struct worker *w, struct pin *pin)
{
	write_page(w, pin);
	put_page(w, pin);
	record_settle(&run.record[pin->pgno]);
}

static bool drop_page(struct worker *w, struct pin *pin)
{
	bool dropped;

	watch_doing(w->at, DOING_DELETE, pin->pgno);
	forget_pin(w, pin);
	if (is_latched(pin->pgno))
		forget_latch(w, pin->pgno);
	dropped = mpool_delete(any_handle(w, pin->pgno), pin->page) == 0;
	if (dropped) {
		pin_ends(pin->pgno);
	} else {
		note_pin(w, pin);
		if (is_latched(pin->pgno))
			note_latch(w, pin->pgno, true);
		if (errno == EBUSY)
			watch_count(w->at, COUNT_BUSY, 1);
		else
			fault_call("mpool_delete of a page that is pinned", pin->pgno);
	}
	watch_done(w->at);
	return dropped;
}

/* Once more, after it was dropped: a latch is gone with the page, and others may come first. */
static bool enter_dropped(struct worker *w, struct pin *pin)
{
	bool latched = is_latched(pin->pgno);

	if (!get_page(w, pin->pgno, pin)) {
		if (!latched)
			unlock_page(w, pin);
		return false;
	}
	if (latched && !lock_page(w, pin, ACCESS_WRITE)) {
		put_page(w, pin);
		return false;
	}
	return true;
}

/* Drop a page from memory; who locks it then finds it upset, and mends it. */
static void do_delete(struct worker *w, pgno_t pgno)
{
	struct file *f = file_of(pgno);
	struct pin pin;

	if (!enter_page(w, pgno, ACCESS_WRITE, &pin))
		return;
	/* Its file is to stay until it is mended. */
	share_file(f);
	check_page(w, "before mpool_delete", &pin);
	record_upset(&run.record[pgno]);
	if (!drop_page(w, &pin) || enter_dropped(w, &pin)) {
		check_page(w, "after mpool_delete", &pin);
		leave_page(w, &pin);
	}
	unshare_file(f);
}

static void check_requested(const struct pin *pin, pgno_t given)
{
	struct page_view view;

	if (given != page_in(pin->pgno))
		fault("MPOOL_PAGE_REQUEST: wanted page %" PRIu32 ", got page %" PRIu32, page_in(pin->pgno), given);
	page_read(pin->page, run.o->page_size, &view);
	if (view.state != PAGE_ZERO)
		fault_page("MPOOL_PAGE_REQUEST", pin->pgno, 0, &view);
}

/* Make a page afresh. */
static void do_request(struct worker *w, pgno_t pgno)
{
	struct record *r = &run.record[pgno];
	struct pin pin = {.pgno = pgno};
	pgno_t wanted = page_in(pgno);
	bool was_upset;

	/* One that is to be latched would be there before it is. */
	if (is_latched(pgno) || !share_page(pgno))
		return;
	if (!lock_page(w, &pin, ACCESS_WRITE)) {
		unshare_page(pgno);
		return;
	}
	was_upset = record_upset(r);
	pin_begins(pgno);
	watch_doing(w->at, DOING_REQUEST, pgno);
	pin.page = mpool_new(handle_of(file_of(pgno)), &wanted, MPOOL_PAGE_REQUEST);
	if (pin.page != NULL)
		note_pin(w, &pin);
	else
		pin_ends(pgno);
	if (pin.page == NULL && errno != EEXIST && !is_refusal())
		fault_call("MPOOL_PAGE_REQUEST", pgno);
	watch_done(w->at);
	if (pin.page != NULL) {
		check_requested(&pin, wanted);
		rewrite(w, &pin);
	} else if (!was_upset) {
		record_settle(r);
	}
	record_unlock(r);
	unshare_page(pgno);
}

/* --- the rest ------------------------------------------------------------------ */

static void do_sync(struct worker *w)
{
	struct file *f = choose_file(w);

	if (!share_file(f))
		return;
	check_sync(w, f);
	unshare_file(f);
}

/* Of a page that is counted: what must be the same, and 0 pins, if nobody had it pinned from one look to the other. */
struct pins_seen {
	uint64_t now, begun;
};

static struct pins_seen look_at_pins(pgno_t pgno)
{
	const struct record *r = &run.record[pgno];

	return (struct pins_seen){atomic_load(&r->pins), atomic_load(&r->pins_begun)};
}

static unsigned any_range_flags(struct worker *w)
{
	unsigned flags = MPOOL_WRITE | (flip(w) ? MPOOL_WHOLE : 0);

	if (below(w, FLUSH_ONE_IN) == 0)
		flags = flip(w) ? flags | MPOOL_FLUSH : MPOOL_FLUSH;
	return flags;
}

/* mpool_sync_range; of one page: is it in the file, or was there a cause to withhold it? */
static void sync_range(struct worker *w, pgno_t pgno)
{
	unsigned flags = any_range_flags(w);
	pgno_t n = flip(w) ? 1 : 1 + below(w, RANGE);
	struct before before = look_before(&run.record[pgno]);
	bool allotted = atomic_load(&run.record[pgno].allotted), whole = flags & MPOOL_WHOLE, pinned;
	struct pins_seen pins = look_at_pins(pgno), after;
	ssize_t withheld;

	watch_doing(w->at, DOING_SYNC, NO_PAGE);
	images_may_tear(!whole);
	withheld = mpool_sync_range(handle_of(file_of(pgno)), page_in(pgno), n, flags);
	images_may_tear(false);
	watch_done(w->at);
	if (withheld < 0 && !is_refusal())
		fault_call("mpool_sync_range", pgno);
	if (withheld <= 0) {
		if (withheld == 0 && n == 1 && (flags & MPOOL_WRITE))
			check_saved(w, "in the file after mpool_sync_range", pgno, &before);
		return;
	}
	watch_count(w->at, COUNT_WITHHELD, (uint64_t)withheld);
	after = look_at_pins(pgno);
	pinned = !is_counted(pgno) || !allotted || pins.now != 0 || after.begun != pins.begun;
	if (!whole || all_latched() || withheld > n || (n == 1 && !pinned))
		fault("mpool_sync_range: %zd of %" PRIu32 " pages from page %" PRIu32
		      " on are withheld without a cause",
		      withheld, n, pgno);
}

static void do_range(struct worker *w, pgno_t pgno)
{
	if (!share_page(pgno))
		return;
	sync_range(w, pgno);
	unshare_page(pgno);
}

static void do_stats(struct worker *w)
{
	uint64_t least = atomic_load(&run.board->cache_given), most;
	struct mpool_stats st = pool_stats(w->at);

	most = atomic_load(&run.board->cache_asked);
	if (st.pagesize != run.o->page_size || st.maxcache < least || st.maxcache > most)
		fault_stats("of another size than it was opened with", &st);
	memset(&st, CANARY, sizeof st);
	mpool_stats(run.pool, &st, offsetof(struct mpool_stats, misses));
	if (*(unsigned char *)&st.misses != CANARY)
		fault("mpool_stats: wrote more than the bytes asked for");
}

static void expect_invalid(bool failed, const char *call)
{
	if (!failed || errno != EINVAL)
		fault("%s: must fail with EINVAL: %s", call, failed ? strerror(errno) : "it did not fail");
}

/* By numbers from the top down the pool knows the attached files' pages. */
static pgno_t any_wrong_page(struct worker *w)
{
	return WRONG_PAGE - (run.o->files == 0 ? 0 : below(w, run.o->files * EXTENT));
}

/* Wrong calls must fail, and change nothing: the other checks would notice. */
static void do_wrong(struct worker *w)
{
	watch_doing(w->at, DOING_PUT, NO_PAGE);
	expect_invalid(mpool_put(run.pool, w, MPOOL_DIRTY) != 0, "mpool_put of an address that is no page");
	if (w->held_count > 0)
		expect_invalid(mpool_put(run.pool, (char *)w->held[0].page + 1, MPOOL_DIRTY) != 0,
		               "mpool_put of an address inside a page");
	watch_doing(w->at, DOING_GET, NO_PAGE);
	for (unsigned i = 0; i < WRONG_TRIES; i++)
		expect_invalid(mpool_get(run.pool, any_wrong_page(w), 0) == NULL,
		               "mpool_get of a page that the file has not");
	watch_done(w->at);
}

/* --- the table ----------------------------------------------------------------- */

/*
 * Reads and writes make up most; a sync flushes the disk, so it must be rare.  Those that are
 * killed hand no pins over: nobody could tell who had them; and of them it must be known which
 * page they are getting, so that it is one at a time.
 */
const struct operation operations[OPERATIONS] = {
	[OP_READ] = {"read", 4000, 220, .on_page = do_read},
	[OP_WRITE] = {"write", 2500, 250, .on_page = do_write},
	[OP_SEVERAL] = {"several", 400, 128, .on_page = do_several},
	[OP_NEST] = {"nest", 300, 20, .on_page = do_nest},
	[OP_HOLD] = {"hold", 500, 100, .on_page = do_hold},
	[OP_LOOK] = {"look", 500, 100, .alone = do_look},
	[OP_RELEASE] = {"release", 400, 80, .alone = do_release},
	[OP_GIVE] = {"give", 500, 0, .on_page = do_give},
	[OP_TAKE] = {"take", 500, 0, .alone = do_take},
	[OP_NEW] = {"new", 100, 40, .alone = do_new},
	[OP_PEEK] = {"peek", 200, 0, .on_page = do_peek},
	[OP_UNCHANGED] = {"unchanged", 1500, 120, .on_page = do_unchanged},
	[OP_UPGRADE] = {"upgrade", 300, 60, .on_page = do_upgrade},
	[OP_CACHED] = {"cached", 200, 40, .on_page = do_cached},
	[OP_PREFETCH] = {"prefetch", 100, 30, .waits = true, .on_page = do_prefetch},
	[OP_BATCH] = {"batch", 200, 0, .on_page = do_batch},
	[OP_SCAN] = {"scan", 100, 0, .on_page = do_scan},
	[OP_DELETE] = {"delete", 50, 30, .waits = true, .on_page = do_delete},
	[OP_REQUEST] = {"request", 50, 30, .waits = true, .on_page = do_request},
	[OP_SYNC] = {"sync", 1, 2, .waits = true, .alone = do_sync},
	[OP_RANGE] = {"range", 60, 20, .waits = true, .on_page = do_range},
	[OP_FILE] = {"file", 100, 40, .waits = true, .alone = file_go_or_come},
	[OP_STATS] = {"stats", 10, 20, .alone = do_stats},
	[OP_WRONG] = {"wrong", 10, 10, .alone = do_wrong},
};

static unsigned draw_operation(struct worker *w)
{
	const unsigned *weight = run.o->weight;
	unsigned sum = 0, drawn, op = 0;

	for (unsigned i = 0; i < OPERATIONS; i++)
		sum += weight[i];
	drawn = below(w, sum);
	while (drawn >= weight[op])
		drawn -= weight[op++];
	return op;
}

void operate(struct worker *w)
{
	unsigned op = draw_operation(w);
	pgno_t pgno;

	/* Most of the time syncs are rare, for they take long; but they must meet. */
	if (op == OP_STATS && atomic_load(&run.board->flushing))
		op = OP_SYNC;
	if (operations[op].waits && atomic_load(&run.board->calm))
		return;
	if (operations[op].alone != NULL)
		operations[op].alone(w);
	else if (choose_page(w, &pgno))
		operations[op].on_page(w, pgno);
	watch_count(w->at, op, 1);
}
