/* fetch.c - see fetch.h. */
#include "api/fetch.h"

#include <errno.h>
#include <string.h>

#include "core/resize.h"
#include "core/tsan.h"

static const struct pinned not_pinned = {FRAME_NONE, NULL};

/*
 * After the slot was set: is the page of `e` still in its frame?  Rescues it if
 * its entry is closing.
 */
static bool entry_holds(struct attachment *a, const struct table_ref *at, uint64_t e)
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
	if (!entry_holds(a, at, e)) {
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

/* Undo an insertion: the page could not be loaded. */
static struct pinned load_failed(MPOOL *mp, struct attachment *a, uint32_t page, const struct table_ref *at,
                                 uint32_t frame)
{
	int error = errno;
	epoch_enter(&mp->core.epoch, a->stripe);
	table_free(at, entry_word(page, ENTRY_LOADING, a->stripe->id));
	epoch_leave(a->stripe);
	if (frame != FRAME_NONE)
		frame_free(&mp->evict, frame);
	wait_notify(mp->core.wait, wait_for_page(page));
	errno = error;
	return not_pinned;
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
	/* New zeros have an external form only after they were written. */
	if (want->fill != FILL_READ && (mp->io.file.pgin || mp->io.file.pgout))
		frame_set_dirty(frame_of(&mp->core.frames, f));
	return reads;
}

/* The frame's page is about to be published: if it is on the torn-page list, mark the frame abandoned; if it was requested anew, take it off. */
static void inherit_torn_mark(MPOOL *mp, const struct want *want, struct frame *fr)
{
	if (want->fill == FILL_ZERO_EXCL)
		torn_remove(mp->io.torn, want->page);
	else if (torn_has(mp->io.torn, want->page))
		atomic_fetch_or(&fr->word, FRAME_ABANDONED);
}

/* The caller has won the insertion at `at`, and is the only loader of the page. */
static struct pinned load(MPOOL *mp, struct attachment *a, struct want *want, const struct table_ref *at)
{
	uint32_t page = want->page;
	uint32_t f = want->frame != FRAME_NONE ? want->frame : frame_alloc(&mp->evict, a, page);
	want->frame = FRAME_NONE; /* used, or freed */
	if (f == FRAME_NONE)
		return load_failed(mp, a, page, at, f);
	struct frame *fr = frame_of(&mp->core.frames, f);
	int reads = fill(mp, want, f);
	if (reads < 0)
		return load_failed(mp, a, page, at, f);
	_Atomic uint64_t *slot = thread_slot(&mp->core, a, f);
	if (!slot) {
		errno = ENOMEM;
		return load_failed(mp, a, page, at, f);
	}
	inherit_torn_mark(mp, want, fr);
	atomic_store_explicit(&fr->page, page, memory_order_relaxed);
	atomic_store_explicit(frame_mark(&mp->core.frames, f), 0, memory_order_relaxed);
	page_installed(&mp->evict, f, page, want->once);
	/* The slot before the entry: an evictor of the page must see the pin.  A try
	 * until then: no put may take it for a pin. */
	pin_try(slot, f);
	pin_show(&mp->core.pins, slot_stripe(slot), mp->core.barrier);
	tsan_give(&mp->core.region, frame_page(&mp->core.frames, f)); /* another process may move the entry */
	table_publish(at, page, a->stripe->id, f);
	pin_confirm(slot, f, want->slot_flags);
	core_unclaim(&mp->core, f, fr);
	wait_notify(mp->core.wait, wait_for_page(page));
	stripe_count(a->stripe, COUNT_MISSES, want->fill == FILL_READ);
	stripe_count(a->stripe, COUNT_READS, (uint64_t)reads);
	return (struct pinned){f, slot};
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
		core_sleep(&mp->core, q, count);
}

/* One try: search the table, then pin the page, load it, or wait for its loader.  Not pinned and *error 0: try again. */
static struct pinned fetch_once(MPOOL *mp, struct attachment *a, struct want *want, int *error)
{
	struct table_ref at;
	struct pinned p = not_pinned;
	uint32_t page = want->page;
	epoch_enter(&mp->core.epoch, a->stripe);
	uint64_t e = table_find(&mp->core.tables, page, &at);
	if (entry_in_memory(e) && want->fill != FILL_ZERO_EXCL) {
		p = pin_entry(mp, a, &at, e, want->slot_flags, error);
		if (p.frame != FRAME_NONE)
			resize_hit(&mp->core, a->stripe, &at, e);
		epoch_leave(a->stripe);
		if (p.frame != FRAME_NONE) {
			if (!want->once)
				frame_touch(&mp->core.frames, p.frame);
			stripe_count(a->stripe, COUNT_HITS, want->fill == FILL_READ);
		}
		return p;
	}
	enum insertion in = entry_valid(e) ? INSERT_LOST : table_insert(&mp->core.tables, page, a->stripe->id, e, &at);
	if (in == INSERT_FULL && resize_grow(&mp->core, a->stripe->id, at.table) != 0)
		*error = ENOMEM;
	epoch_leave(a->stripe);
	if (in == INSERT_WON) {
		p = load(mp, a, want, &at);
		if (p.frame == FRAME_NONE)
			*error = errno;
		resize_step(&mp->core, a->stripe);
	} else if (entry_in_memory(e)) {
		*error = EEXIST;
	} else if (entry_valid(e)) {
		wait_for_load(mp, a, page);
	}
	return p;
}

struct pinned page_fetch(MPOOL *mp, struct attachment *a, struct want want)
{
	struct pinned p;
	int error = 0;
	do
		p = fetch_once(mp, a, &want, &error);
	while (p.frame == FRAME_NONE && !error);
	if (want.frame != FRAME_NONE)
		frame_free(&mp->evict, want.frame);
	if (error)
		errno = error;
	return p;
}
