/* fetch.c - see fetch.h. */
#include "api/fetch.h"

#include <errno.h>
#include <string.h>

#include "api/ahead.h"
#include "api/prefetch.h"
#include "core/changed.h"
#include "core/resize.h"
#include "core/tsan.h"
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
 * Pin the frame of `e`, which was found at `at`.  Not pinned: the entry has
 * changed (*error stays 0), or no memory.
 */
static struct pinned pin_entry(MPOOL *mp, struct attachment *a, const struct table_ref *at, uint64_t e,
                               uint64_t slot_flags, int *error)
{
	uint32_t f = entry_who(e);
	_Atomic uint64_t *slot = thread_slot(&mp->core, a, f);
	if (!slot) {
		*error = ENOMEM;
		return not_pinned;
	}
	pin_try(slot, f);
	pin_show(&mp->core.pins, slot_stripe(slot), mp->core.barrier); /* pairs with barrier_heavy in window_scan */
	if (!entry_holds(mp, a, at, e)) {
		pin_back_out(slot);
		return not_pinned;
	}
	/* If the thread has pinned the frame already, count up that slot while the
	 * try protects the frame: a thousand pins of one page take one slot. */
	_Atomic uint64_t *pinned = slot_flags ? NULL : thread_slot_of(a, f);
	if (pinned && pin_again(pinned, f)) {
		pin_back_out(slot);
		return (struct pinned){f, pinned};
	}
	pin_confirm(slot, f, slot_flags);
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
		reads = pageio_read(&mp->io.file, want->page, bytes, want->fill == FILL_ZERO);
	if (reads != 0)
		MPOOL_PROBE(read, &mp->core, want->page, 1u, reads < 0 ? errno : 0);
	/* New zeros have an external form only after they were written. */
	if (want->fill != FILL_READ && hooks_convert(&mp->io.file.hooks))
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
	uint32_t n = want->fill == FILL_READ ? ahead_window(mp, a, page) : 1;
	struct pinned p;
	if (n > 1 && ahead_load(mp, a, want, &l, n, &p))
		return p;
	int reads = fill(mp, want, l.frame);
	return reads < 0 ? load_fail(mp, a, &l) : load_publish(mp, a, &l, want, (unsigned)reads);
}

/* The thread has come to `page`, for which it has waited, or is about to: what follows is to be on its way. */
static void read_on(MPOOL *mp, struct attachment *a, uint32_t page)
{
	int error = errno;
	uint32_t from, n = ahead_entered(mp, a, page, &from);
	if (n > 0)
		ahead_on_way(a, from, prefetch_ahead(mp, a, from, n));
	errno = error;
}

/* Sleep until another thread's read of `page` has ended. */
static void wait_for_load(MPOOL *mp, struct attachment *a, uint32_t page)
{
	struct wait_queue *q = wait_queue_of(mp->core.wait, wait_for_page(page));
	struct table_ref at;
	uint32_t count = wait_prepare(q, wait_for_page(page));
	epoch_enter(&mp->core.epoch, a->stripe);
	bool loading = entry_state(table_find(&mp->core.tables, page, &at)) == ENTRY_LOADING;
	epoch_leave(a->stripe);
	if (loading)
		core_sleep(&mp->core, q, count, wait_for_page(page));
}

/* The page is in memory, by its entry `e` at `at`: pin it.  In an epoch section, which it leaves. */
static struct pinned hit(MPOOL *mp, struct attachment *a, const struct want *want, const struct table_ref *at,
                         uint64_t e, int *error)
{
	struct pinned p = pin_entry(mp, a, at, e, want->slot_flags, error);
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
static enum start start_once(MPOOL *mp, struct attachment *a, const struct want *want, struct pinned *p,
                             struct table_ref *at, int *error)
{
	epoch_enter(&mp->core.epoch, a->stripe);
	uint64_t e = table_find(&mp->core.tables, want->page, at);
	if (entry_in_memory(e) && want->fill != FILL_ZERO_EXCL) {
		*p = hit(mp, a, want, at, e, error);
		return p->frame != FRAME_NONE ? START_PINNED : *error ? START_FAILED : START_AGAIN;
	}
	/* Who loads a page waits for no hook of a write: others may wait for the page. */
	bool room = want->frame != FRAME_NONE || !hooks_write(&mp->io.file.hooks);
	enum load_state begun = entry_valid(e) || !room ? LOAD_LOST : load_begin(mp, a, want->page, e, at);
	epoch_leave(a->stripe);
	if (begun == LOAD_WON) {
		if (want->fill == FILL_READ)
			MPOOL_PROBE(miss, &mp->core, want->page);
		return START_WON;
	}
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

struct pinned page_fetch(MPOOL *mp, struct attachment *a, struct want want)
{
	struct pinned p;
	struct table_ref at;
	enum start s;
	int error;
	while ((s = page_start(mp, a, &want, true, &p, &at, &error)) == START_BUSY) {
		read_on(mp, a, want.page);
		wait_for_load(mp, a, want.page);
	}
	if (s == START_WON) {
		p = load(mp, a, &want, &at);
		error = p.frame == FRAME_NONE ? errno : 0;
		read_on(mp, a, want.page);
		resize_step(&mp->core, a->stripe);
	}
	if (want.frame != FRAME_NONE)
		frame_free(&mp->evict, want.frame);
	if (error)
		errno = error;
	return p;
}

struct pinned page_cached(MPOOL *mp, struct attachment *a, const struct want *want)
{
	struct pinned p = not_pinned;
	int error = 0;
	while (p.frame == FRAME_NONE && !error) {
		struct table_ref at;
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
