/* fetch.c - see fetch.h. */
#include "api/fetch.h"

#include <errno.h>
#include <string.h>

#include "api/ahead.h"
#include "api/prefetch.h"
#include "api/put.h"
#include "core/changed.h"
#include "core/resize.h"
#include "core/tsan.h"
#include "core/window.h"
#include "evict/cut.h"
#include "os/probe.h"

/*
 * After the slot was set: is the page of `e` still in its frame?  Rescues it if
 * its entry is closing.
 */
static bool entry_holds(MPOOL *mp, struct attachment *a, const struct table_ref *at, uint64_t e)
{
	uint32_t page = entry_page(e), f = entry_who(e);
	for (;;) {
		/* Acquire: pairs with table_publish: the page's bytes are there. */
		uint64_t now = atomic_load_explicit(at->word, memory_order_acquire);
		if (now == entry_word(page, ENTRY_RESIDENT, f))
			return true;
		if (now != entry_word(page, ENTRY_CLOSING, f))
			return false;
		/* Rescue: the closer's next step on the entry will fail. */
		if (table_reopen(at, page, f)) {
			stripe_count(a->stripe, COUNT_RESCUES, 1);
			frame_rescued(&mp->evict, f);
			return true;
		}
	}
}

/*
 * Pin the frame of `e`, which was found at `at`.  Not pinned: the entry, or the page's number, has
 * changed (*error stays 0), or no memory.
 */
static struct pinned pin_entry(MPOOL *mp, struct attachment *a, const struct want *want, const struct table_ref *at,
                               uint64_t e, int *error)
{
	uint32_t f = entry_who(e);
	_Atomic uint64_t *slot = thread_slot(&mp->core, a, f);
	if (!slot) {
		*error = ENOMEM;
		return not_pinned;
	}
	pin_try(slot, f);
	pin_show(&mp->core.pins, slot_stripe(slot), mp->core.barrier); /* pairs with barrier_heavy in window_scan */
	if (!entry_holds(mp, a, at, e) || want_moved(want)) {
		pin_back_out(slot);
		return not_pinned;
	}
	/* If the thread has pinned the frame already, count up that slot while the
	 * try protects the frame: a thousand pins of one page take one slot. */
	_Atomic uint64_t *pinned = want->slot_flags ? NULL : thread_slot_of(a, f);
	if (pinned && pin_again(pinned, f)) {
		pin_back_out(slot);
		return (struct pinned){f, pinned};
	}
	pin_confirm(slot, f, want->slot_flags);
	return (struct pinned){f, slot};
}

/* Fill the frame.  1: read; 0: zeros; -1 and errno. */
static int fill(MPOOL *mp, const struct want *want, uint32_t f)
{
	char *bytes = tsan_take(&mp->core.region, frame_page(&mp->core.frames, f));
	int reads = 0;
	if (want->fill == FILL_ZERO_EXCL)
		memset(bytes, 0, mp->io.file.pagesize);
	else
		reads = pageio_read(&want->io->file, want->number, bytes, want->fill == FILL_ZERO);
	if (reads != 0)
		MPOOL_PROBE(read, &mp->core, want->page, 1u, reads < 0 ? errno : 0);
	/* New zeros have an external form only after they were written. */
	if (want->fill != FILL_READ && hooks_convert(&want->io->file.hooks))
		frame_set_dirty(&mp->core.frames, f);
	return reads;
}

/* The caller has won the insertion at `at`, and is the only loader of the page. */
static struct pinned load(MPOOL *mp, struct attachment *a, struct want *want, const struct table_ref *at)
{
	uint32_t page = want->page;
	struct load l = {.page = page, .frame = want->frame, .at = *at};
	if (l.frame == FRAME_NONE)
		l.frame = frame_alloc(&mp->evict, a, page, true);
	want->frame = FRAME_NONE; /* used, or freed */
	if (l.frame == FRAME_NONE)
		return load_fail(mp, a, &l);
	uint32_t n = want->fill == FILL_READ ? ahead_window(mp, a, want) : 1;
	struct pinned p;
	if (n > 1 && ahead_load(mp, a, want, &l, n, &p))
		return p;
	int reads = fill(mp, want, l.frame);
	return reads < 0 ? load_fail(mp, a, &l) : load_publish(mp, a, &l, want, (unsigned)reads);
}

/* The thread has come to the page, for which it has waited, or is about to: what follows is to be on its way. */
static void read_on(MPOOL *mp, struct attachment *a, const struct want *want)
{
	int error = errno;
	uint32_t from, n = ahead_entered(mp, a, want, &from);
	if (n > 0)
		ahead_on_way(a, from, prefetch_ahead(mp, want->io, a, from, n));
	errno = error;
}

/*
 * The caller has the page's entry, or a pin, and so a cut that begins now finds that: is there such a page?  WON: there is.
 * BUSY: not for sure.
 */
static enum start page_stands(const struct want *want, int *error)
{
	bool made = want->fill != FILL_READ;
	enum stands s = pageio_stands(&want->io->file, want->number, made ? &want->cuts : NULL);
	if (s == STANDS_NOT)
		*error = made ? LOAD_STALE : EINVAL;
	return s == STANDS ? START_WON : s == STANDS_NOT ? START_FAILED : START_BUSY;
}

/* The caller has won the insertion at `at`.  If there is no such page, it has not. */
static enum start begun_for(MPOOL *mp, struct attachment *a, const struct want *want, const struct table_ref *at,
                            int *error)
{
	enum start s = page_stands(want, error);
	if (s != START_WON)
		(void)load_fail(mp, a, &(struct load){.page = want->page, .frame = FRAME_NONE, .at = *at});
	else if (want->fill == FILL_READ)
		MPOOL_PROBE(miss, &mp->core, want->page);
	return s;
}

/* A page that mpool_new has found in memory is pinned: is the number good for anything? */
static enum start found_made(MPOOL *mp, struct attachment *a, const struct want *want, struct pinned *p, int *error)
{
	/* While it is pinned it cannot be cut off. */
	if (page_stands(want, error) != START_FAILED)
		return START_PINNED;
	(void)page_put(mp, a, frame_page(&mp->core.frames, p->frame), 0);
	*p = not_pinned;
	return START_FAILED;
}

/* The page is in memory, by its entry `e` at `at`: pin it.  In an epoch section, which it leaves. */
static struct pinned hit(MPOOL *mp, struct attachment *a, const struct want *want, const struct table_ref *at,
                         uint64_t e, int *error)
{
	struct pinned p = pin_entry(mp, a, want, at, e, error);
	if (p.frame != FRAME_NONE)
		resize_hit(&mp->core, a->stripe, at, e);
	epoch_leave(a->stripe);
	if (p.frame == FRAME_NONE)
		return p;
	where_took(&mp->where, p.slot);
	/* Once is no reason to keep it, but it was not brought in for nothing. */
	if (!want->once)
		frame_touch(&mp->core.frames, p.frame);
	else
		frame_not_ahead(&mp->core.frames, p.frame);
	stripe_count(a->stripe, COUNT_HITS, want->fill == FILL_READ);
	return p;
}

/* One try.  AGAIN: what was seen has changed meanwhile. */
static enum start start_once(MPOOL *mp, struct attachment *a, struct want *want, struct pinned *p, struct table_ref *at,
                             int *error)
{
	if ((*error = extent_have(want->io, a->stripe, want->number, &want->page)))
		return START_FAILED;
	epoch_enter(&mp->core.epoch, a->stripe);
	uint64_t e = table_find(&mp->core.tables, want->page, at);
	if (entry_in_memory(e) && want->fill != FILL_ZERO_EXCL) {
		*p = hit(mp, a, want, at, e, error);
		if (p->frame == FRAME_NONE)
			return *error ? START_FAILED : START_AGAIN;
		return want->fill == FILL_READ ? START_PINNED : found_made(mp, a, want, p, error);
	}
	/* Who loads a page waits for no hook of a write: others may wait for the page. */
	bool room = want->frame != FRAME_NONE || !hooks_write(&mp->io.file.hooks);
	enum load_state begun = entry_valid(e) || !room ? LOAD_LOST : load_begin(mp, a, want->page, e, at);
	if (begun == LOAD_WON && want_moved(want)) {
		load_withdraw(mp, a, want->page, at);
		begun = LOAD_LOST;
	}
	epoch_leave(a->stripe);
	if (begun == LOAD_WON)
		return begun_for(mp, a, want, at, error);
	if (begun == LOAD_NO_MEMORY)
		*error = ENOMEM;
	else if (entry_in_memory(e))
		*error = EEXIST; /* and it is not to be */
	if (*error)
		return START_FAILED;
	return entry_valid(e) ? START_BUSY : room ? START_AGAIN : START_NO_ROOM;
}

enum start page_start(MPOOL *mp, struct attachment *a, struct want *want, bool waits, struct pinned *p,
                      struct table_ref *at, int *error)
{
	enum start s;
	*p = not_pinned;
	*error = 0;
	while ((s = start_once(mp, a, want, p, at, error)) == START_AGAIN || s == START_NO_ROOM) {
		if (s == START_NO_ROOM)
			want->frame = frame_alloc(&mp->evict, a, want->page, waits);
		if (s == START_NO_ROOM && want->frame == FRAME_NONE) {
			*error = errno;
			return START_FAILED;
		}
	}
	return s;
}

static void give_back(MPOOL *mp, struct want *want)
{
	if (want->frame != FRAME_NONE)
		frame_free(&mp->evict, want->frame);
	want->frame = FRAME_NONE;
}

/* Another loads the page, or is about to take it out. */
static void await_other(MPOOL *mp, struct attachment *a, struct want *want)
{
	read_on(mp, a, want);
	/* Who cuts the file may wait for the frame, by the page that it had: so nobody sleeps with one. */
	give_back(mp, want);
	if (!page_wait(&mp->core, a->stripe, want->page))
		cut_outlast(&mp->evict, want->io, want->number);
}

struct pinned page_fetch(MPOOL *mp, struct attachment *a, struct want want)
{
	struct pinned p;
	struct table_ref at;
	enum start s;
	int error;
	do {
		while ((s = page_start(mp, a, &want, true, &p, &at, &error)) == START_BUSY)
			await_other(mp, a, &want);
		if (s == START_WON) {
			p = load(mp, a, &want, &at);
			error = p.frame == FRAME_NONE ? errno : 0;
			read_on(mp, a, &want);
			resize_step(&mp->core, a->stripe);
		}
	} while (s == START_WON && error == LOAD_STALE);
	give_back(mp, &want);
	if (error)
		errno = error;
	return p;
}

struct pinned page_cached(MPOOL *mp, struct attachment *a, struct want *want)
{
	struct pinned p = not_pinned;
	int error = 0;
	while (p.frame == FRAME_NONE && !error) {
		struct table_ref at;
		want->page = extent_find(want->io, a->stripe, want->number);
		if (want->page == PAGE_NONE) {
			error = EAGAIN;
			continue;
		}
		epoch_enter(&mp->core.epoch, a->stripe);
		uint64_t e = table_find(&mp->core.tables, want->page, &at);
		if (entry_in_memory(e)) {
			p = hit(mp, a, want, &at, e, &error);
			continue;
		}
		epoch_leave(a->stripe);
		error = EAGAIN;
	}
	errno = error ? error : errno;
	return p;
}
