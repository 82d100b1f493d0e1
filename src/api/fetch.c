/* fetch.c - see fetch.h. */
#include "api/fetch.h"

#include <errno.h>
#include <string.h>

#include "core/resize.h"
#include "core/tsan.h"

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

/* The caller has won the insertion at `at`, and is the only loader of the page. */
static struct pinned load(MPOOL *mp, struct attachment *a, struct want *want, const struct table_ref *at)
{
	uint32_t page = want->page;
	struct load l = {page, want->frame != FRAME_NONE ? want->frame : frame_alloc(&mp->evict, a, page), *at};
	want->frame = FRAME_NONE; /* used, or freed */
	if (l.frame == FRAME_NONE)
		return load_fail(mp, a, &l);
	int reads = fill(mp, want, l.frame);
	return reads < 0 ? load_fail(mp, a, &l) : load_publish(mp, a, &l, want, (unsigned)reads);
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
	enum load_state begun = entry_valid(e) ? LOAD_LOST : load_begin(mp, a, page, e, &at);
	if (begun == LOAD_NO_MEMORY)
		*error = ENOMEM;
	epoch_leave(a->stripe);
	if (begun == LOAD_WON) {
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
	else
		where_took(&mp->where, p.slot);
	return p;
}
