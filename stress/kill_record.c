/*
 * kill_record.c - what every page must hold, when any writer may die; see kill.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "draw.h"
#include "kill.h"
#include "page.h"
#include "patience.h"
#include "report.h"

enum {
	MARK_PAUSE = 200000, /* nanoseconds between two looks for the mark of a death */
	MICRO = 1000000,
	LINGER_ONE_IN = 4, /* changes with another page got in the middle of them */
	SLOW_ONE_IN = 16,  /* changes that take their time */
	SLOW_MICRO = 50,   /* so much at most */
	HOT_PAGES = 4,     /* pages that all go for, the watched ones among them */
	HOT_ONE_IN = 3,
};

void kill_wait_while(_Atomic int *word, int value)
{
	while (atomic_load(word) == value)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

void kill_wake(_Atomic int *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static struct record *record_of(const struct hand *h, pgno_t pgno)
{
	return &h->k->record[pgno];
}

/* --- get and put -------------------------------------------------------------- */

static unsigned free_place(const struct hand *h)
{
	unsigned i = 0;

	while (i < KILL_HELD_MAX && atomic_load(&h->a->held[i]) != KILL_NOT_HELD)
		i++;
	return i;
}

bool hand_may_hold(const struct hand *h)
{
	return free_place(h) < KILL_HELD_MAX;
}

void hand_hold(struct hand *h, struct kill_pin *pin)
{
	pin->held = free_place(h);
	if (pin->held < KILL_HELD_MAX)
		atomic_store(&h->a->held[pin->held], pin->pgno + 1);
}

static bool holds(const struct hand *h, pgno_t pgno)
{
	for (unsigned i = 0; i < KILL_HELD_MAX; i++)
		if (atomic_load(&h->a->held[i]) == pgno + 1)
			return true;
	return false;
}

static bool to_be_avoided(const struct board *b, pgno_t pgno)
{
	uint64_t count = atomic_load(&b->avoid_count);

	for (uint64_t i = 0; i < count; i++)
		if (atomic_load(&b->avoid[i]) == pgno)
			return true;
	return false;
}

bool hand_choose(struct hand *h, pgno_t *pgno)
{
	pgno_t pages = atomic_load(&h->k->board->allotted);

	if (pages > HOT_PAGES && draw_below(&h->random, HOT_ONE_IN) == 0)
		pages = HOT_PAGES;
	*pgno = draw_below(&h->random, pages);
	return !to_be_avoided(h->k->board, *pgno);
}

bool hand_get(struct hand *h, pgno_t pgno, struct kill_pin *pin)
{
	*pin = (struct kill_pin){.pgno = pgno};
	atomic_fetch_add_explicit(&h->a->gets_begun, 1, memory_order_relaxed);
	kill_begin(h->a, holds(h, pgno) ? CALL_GET_AGAIN : CALL_GET, pgno);
	pin->page = mpool_get(h->pool, pgno, 0);
	if (pin->page == NULL) {
		fault("mpool_get: page %" PRIu32 ": no page (%s)", pgno, strerror(errno));
	} else {
		atomic_fetch_add_explicit(&h->a->gets_done, 1, memory_order_relaxed);
		hand_hold(h, pin);
	}
	kill_end(h->a);
	return pin->page != NULL;
}

void hand_put(struct hand *h, const struct kill_pin *pin, bool dirty)
{
	kill_begin(h->a, dirty ? CALL_PUT_DIRTY : CALL_PUT, pin->pgno);
	if (pin->held < KILL_HELD_MAX)
		atomic_store(&h->a->held[pin->held], KILL_NOT_HELD);
	if (mpool_put(h->pool, pin->page, dirty ? MPOOL_DIRTY : 0) != 0)
		fault("mpool_put: page %" PRIu32 " at %p, pinned: %s", pin->pgno, pin->page, strerror(errno));
	kill_end(h->a);
}

/* --- the owner ------------------------------------------------------------------ */

bool record_own(struct hand *h, pgno_t pgno)
{
	unsigned nobody = 0;

	return atomic_compare_exchange_strong(&record_of(h, pgno)->owner, &nobody, h->number + 1);
}

void record_disown(struct hand *h, pgno_t pgno)
{
	atomic_store(&record_of(h, pgno)->owner, 0);
}

static void linger(struct hand *h)
{
	bool slow = draw_below(&h->random, SLOW_ONE_IN) == 0;
	double until = report_seconds() + (double)draw_below(&h->random, SLOW_MICRO) / MICRO;
	struct kill_pin other;
	pgno_t pgno;

	while (slow && report_seconds() < until)
		;
	if (draw_below(&h->random, LINGER_ONE_IN) == 0 && hand_may_hold(h) && hand_choose(h, &pgno) &&
	    hand_get(h, pgno, &other))
		hand_put(h, &other, false);
}

/*
 * In two halves, between which the thread may be for long: most of those who die in
 * a change die there.
 */
static void change_bytes(struct hand *h, const struct kill_pin *pin, uint64_t version)
{
	size_t size = h->k->o->page_size, half = size / 2;

	page_write(h->buffer, size, pin->pgno, version, h->number);
	kill_begin(h->a, CALL_CHANGE, pin->pgno);
	memcpy(pin->page, h->buffer, half);
	linger(h);
	kill_begin(h->a, CALL_CHANGE, pin->pgno);
	memcpy((char *)pin->page + half, h->buffer + half, size - half);
	kill_end(h->a);
}

void record_change(struct hand *h, const struct kill_pin *pin)
{
	struct record *r = record_of(h, pin->pgno);
	uint64_t version = atomic_load(&r->version) + 1;

	/* In this order: who dies in between has changed nothing yet. */
	if (atomic_load(&r->phase) == PHASE_SURE)
		atomic_store(&r->phase, PHASE_CHANGING);
	atomic_store(&r->version, version);
	change_bytes(h, pin, version);
}

void record_saved(struct hand *h, pgno_t pgno)
{
	struct record *r = record_of(h, pgno);

	atomic_store(&r->version_put, atomic_load(&r->version));
	atomic_store(&r->phase, PHASE_SURE);
}

void record_upset(struct hand *h, pgno_t pgno)
{
	atomic_store(&record_of(h, pgno)->phase, PHASE_UPSET);
}

bool record_allot(const struct kill *k, pgno_t pgno)
{
	pgno_t seen = atomic_load(&k->board->allotted);

	if (atomic_exchange(&k->record[pgno].allotted, true))
		return false;
	while (seen <= pgno && !atomic_compare_exchange_weak(&k->board->allotted, &seen, pgno + 1))
		;
	return true;
}

/* --- mending -------------------------------------------------------------------- */

static int look_abandoned(struct hand *h, const struct kill_pin *pin, unsigned flags)
{
	int result;

	kill_begin(h->a, CALL_ABANDONED, pin->pgno);
	result = mpool_abandoned(h->pool, pin->page, flags);
	if (result != 0 && result != 1)
		fault("mpool_abandoned: page %" PRIu32 " at %p, pinned: %d (%s)", pin->pgno, pin->page, result,
		      strerror(errno));
	kill_end(h->a);
	return result;
}

int record_forgive(struct hand *h, const struct kill_pin *pin)
{
	struct record *r = record_of(h, pin->pgno);
	uint64_t deaths = r->deaths;
	int result;

	atomic_fetch_add(&r->forgivings, 1);
	result = look_abandoned(h, pin, MPOOL_FORGIVE);
	atomic_store(&r->deaths_forgiven, deaths);
	return result;
}

static void raise_to(_Atomic uint64_t *most, uint64_t value)
{
	uint64_t seen = atomic_load(most);

	while (seen < value && !atomic_compare_exchange_weak(most, &seen, value))
		;
}

/* The others learn of a death a little after it: so a mark may come a little late, but it comes. */
static bool mark_comes(struct hand *h, const struct kill_pin *pin)
{
	const struct timespec pause = {.tv_nsec = MARK_PAUSE};
	double begun = report_seconds(), took = 0, patient_since = patience_seconds();

	while (look_abandoned(h, pin, 0) != 1) {
		took = report_seconds() - begun;
		if (patience_seconds() - patient_since > h->k->o->watchdog / 2.0)
			return false;
		nanosleep(&pause, NULL);
	}
	raise_to(&h->k->board->found.slowest_mark, (uint64_t)(took * MICRO));
	return true;
}

/* Whose owner died while he changed it: it is old, new, or marked. */
static void examine_changed(struct hand *h, const char *where, const struct kill_pin *pin, const struct page_view *view)
{
	struct findings *found = &h->k->board->found;
	struct record *r = record_of(h, pin->pgno);

	if (page_is(view, pin->pgno, atomic_load(&r->version_put))) {
		found->mended_old++;
	} else if (view->state == PAGE_INTACT && view->pgno == pin->pgno &&
	           view->version > atomic_load(&r->version_put) && view->version <= atomic_load(&r->version)) {
		found->mended_new++; /* the last one begun, or, if menders died too, one before */
	} else if (view->state == PAGE_INTACT || view->state == PAGE_ZERO) {
		fault_page(where, pin->pgno, atomic_load(&r->version_put), view);
	} else if (mark_comes(h, pin)) {
		found->mended_half++;
	} else {
		fault("%s: page %" PRIu32 ": a process died while it changed it to version %" PRIu64
		      ", it is half that, and mpool_abandoned does not say so",
		      where, pin->pgno, atomic_load(&r->version));
	}
}

/* Whose owner died around mpool_delete and the like: any older version, or a torn one. */
static void examine_upset(struct hand *h, const char *where, const struct kill_pin *pin, const struct page_view *view)
{
	struct record *r = record_of(h, pin->pgno);
	bool header = view->state == PAGE_INTACT || view->state == PAGE_DAMAGED;

	if (header && (view->pgno != pin->pgno || view->version > atomic_load(&r->version)))
		fault_page(where, pin->pgno, atomic_load(&r->version_put), view);
	else
		h->k->board->found.mended_upset++;
}

static void mend(struct hand *h, const char *where, const struct kill_pin *pin, const struct page_view *view)
{
	struct kill_pin other;

	if (atomic_load(&record_of(h, pin->pgno)->phase) == PHASE_UPSET)
		examine_upset(h, where, pin, view);
	else
		examine_changed(h, where, pin, view);
	record_change(h, pin);
	record_forgive(h, pin);
	if (!hand_get(h, pin->pgno, &other))
		return;
	if (other.page != pin->page)
		fault("mpool_get: page %" PRIu32 " is pinned at %p, another get gives %p", pin->pgno, pin->page,
		      other.page);
	hand_put(h, &other, true);
	record_saved(h, pin->pgno);
}

void record_check(struct hand *h, const char *where, const struct kill_pin *pin)
{
	struct record *r = record_of(h, pin->pgno);
	uint64_t expected = atomic_load(&r->version);
	struct page_view view;

	page_read(pin->page, h->k->o->page_size, &view);
	if (atomic_load(&r->phase) != PHASE_SURE)
		mend(h, where, pin, &view);
	else if (!page_is(&view, pin->pgno, expected))
		fault_page(where, pin->pgno, expected, &view);
}
