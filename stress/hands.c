/*
 * hands.c - one worker, and what it does to one page; see hands.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "hands.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "draw.h"
#include "page.h"
#include "report.h"
#include "watch.h"

enum {
	HOT_PAGES_MIN = 4, /* pages that every thread goes for */
	HOT_ONE_IN = 3,    /* one choice in so many is a hot page */
};

unsigned below(struct worker *w, unsigned n)
{
	return draw_below(&w->random, n);
}

bool flip(struct worker *w)
{
	return below(w, 2) == 0;
}

enum truth_access any_access(struct worker *w)
{
	return flip(w) ? TRUTH_WRITE : TRUTH_READ;
}

/* Any page, the first ones often: many threads must meet at one page. */
bool choose_page(struct worker *w, pgno_t *pgno)
{
	pgno_t pages = truth_allotted(w->run->truth);
	pgno_t hot = w->run->o->cache / 2 > HOT_PAGES_MIN ? w->run->o->cache / 2 : HOT_PAGES_MIN;

	if (pages == 0)
		return false;
	if (hot < pages && below(w, HOT_ONE_IN) == 0)
		*pgno = below(w, hot);
	else
		*pgno = below(w, pages);
	return true;
}

void lock_page(struct worker *w, pgno_t pgno, enum truth_access access)
{
	watch_doing(w->place, DOING_LOCK, pgno);
	truth_lock(w->run->truth, pgno, access);
}

void unlock_page(struct worker *w, pgno_t pgno)
{
	truth_unlock(w->run->truth, pgno);
}

void *get_page(struct worker *w, pgno_t pgno, unsigned flags)
{
	void *page;

	watch_doing(w->place, DOING_GET, pgno);
	page = mpool_get(w->run->pool, pgno, flags);
	if (page == NULL)
		fault("mpool_get: page %" PRIu32 ": no page (%s); the file has %" PRIu32 " or more", pgno,
		      strerror(errno), truth_allotted(w->run->truth));
	else
		w->tally.gets++;
	return page;
}

/* A page that stays pinned stays marked: so a marked one is saved without MPOOL_DIRTY. */
void put_page(struct worker *w, const struct pin *pin)
{
	unsigned flags = pin->version != 0 && !pin->marked ? MPOOL_DIRTY : 0;

	watch_doing(w->place, DOING_PUT, pin->pgno);
	if (mpool_put(w->run->pool, pin->page, flags) != 0)
		fault("mpool_put: page %" PRIu32 " at %p, pinned: %s", pin->pgno, pin->page, strerror(errno));
	else if (pin->version != 0)
		truth_put(w->run->truth, pin->pgno, pin->version);
}

/* Under the page's lock: it must show exactly the last version. */
void check_page(struct worker *w, const char *where, pgno_t pgno, const void *page)
{
	uint64_t expected = truth_version(w->run->truth, pgno);
	struct page_view view;

	watch_doing(w->place, DOING_CHECK, pgno);
	page_read(page, w->run->o->page_size, &view);
	if (!page_is(&view, pgno, expected))
		fault_page(where, pgno, expected, &view);
}

/* Under the page's write lock. */
void write_page(struct worker *w, struct pin *pin)
{
	pin->version = truth_advance(w->run->truth, pin->pgno);
	page_write(pin->page, w->run->o->page_size, pin->pgno, pin->version, w->name);
}

/* A pinned page has one address, whoever gets it. */
void *get_again(struct worker *w, const struct pin *pin)
{
	void *page = get_page(w, pin->pgno, 0);

	if (page != NULL && page != pin->page)
		fault("mpool_get: page %" PRIu32 " is pinned at %p, another get gives %p", pin->pgno, pin->page, page);
	return page;
}

/* Gets and locks a page, in either order: users do both. */
bool enter_page(struct worker *w, pgno_t pgno, enum truth_access access, struct pin *pin)
{
	bool lock_first = flip(w);

	if (lock_first)
		lock_page(w, pgno, access);
	*pin = (struct pin){.pgno = pgno, .page = get_page(w, pgno, 0)};
	if (pin->page == NULL) {
		if (lock_first)
			unlock_page(w, pgno);
		return false;
	}
	if (!lock_first)
		lock_page(w, pgno, access);
	return true;
}

/* Puts and unlocks it, in either order. */
void leave_page(struct worker *w, const struct pin *pin)
{
	bool put_first = flip(w);

	if (put_first)
		put_page(w, pin);
	unlock_page(w, pin->pgno);
	if (!put_first)
		put_page(w, pin);
}

/* Checks a locked page, and writes it where the lock allows and chance wills. */
void use_page(struct worker *w, const char *where, struct pin *pin, enum truth_access access)
{
	check_page(w, where, pin->pgno, pin->page);
	if (access == TRUTH_WRITE && flip(w))
		write_page(w, pin);
}

/* With locks held already, so the lock comes first, and only if nobody has it. */
bool enter_further_page(struct worker *w, pgno_t pgno, enum truth_access access, struct pin *pin)
{
	if (!truth_try_lock(w->run->truth, pgno, access))
		return false;
	*pin = (struct pin){.pgno = pgno, .page = get_page(w, pgno, 0)};
	if (pin->page == NULL)
		unlock_page(w, pgno);
	return pin->page != NULL;
}
