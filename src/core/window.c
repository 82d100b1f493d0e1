/* window.c - see window.h. */
#include "core/window.h"

#include <string.h>

#include "core/latch.h"

/* The victim that a claimed frame would be, and its page's entry. */
static uint64_t victim_look(struct core *c, struct victim *v, uint32_t frame)
{
	*v = (struct victim){.frame = frame, .fr = frame_of(&c->frames, frame)};
	/* The claim was acquired, and its owners before stored the number. */
	v->page = atomic_load_explicit(&v->fr->page, memory_order_relaxed);
	return table_find(&c->tables, v->page, &v->entry);
}

bool window_add(struct core *c, struct window *w, uint32_t frame)
{
	struct victim *v = &w->victim[w->n];
	uint64_t e = victim_look(c, v, frame);
	FRAME_CHECK_HELD(v->fr, v->page);
	/* Closing, and the claim was free: it was evictable, which is as good as closed by
	 * us.  A get may rescue it now, as it may at any time until the entry is freed. */
	bool evictable = e == entry_word(v->page, ENTRY_CLOSING, frame);
	if (!evictable &&
	    !(e == entry_word(v->page, ENTRY_RESIDENT, frame) && table_close(&v->entry, v->page, frame))) {
		victim_release(c, v);
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
		v->latched = 0;
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

/* The victim of that frame, or NULL. */
static struct victim *victim_of(struct window *w, uint32_t frame)
{
	unsigned at = map_start(w, frame);
	while (w->map[at] && w->victim[w->map[at] - 1].frame != frame)
		at = map_next(w, at);
	return w->map[at] ? &w->victim[w->map[at] - 1] : NULL;
}

static void victim_seen(void *scan, const struct stripe *s, uint64_t slot)
{
	const struct scan *sc = scan;
	struct victim *v = victim_of(sc->window, slot_frame(slot));
	if (!v)
		return;
	v->tries += slot_trying(slot);
	v->peeks += slot_peek(slot);
	if (!slot_peek(slot))
		pins_add(v, slot_count(slot));
	v->own += !slot_peek(slot) && stripe_of(s, sc->member);
}

static void mark_of_victim(void *window, uint32_t frame)
{
	struct victim *v = victim_of(window, frame);
	if (v)
		v->latched |= VICTIM_SHARED;
}

/*
 * After the scan of the slots: who latches a page has it pinned then, and may put the pin, and keep the latch.  So
 * who finds its slot empty (acquire) finds the latch, and that there are any.
 */
static void find_latches(struct core *c, struct window *w)
{
	bool shared = false;
	for (unsigned i = 0; i < w->n; i++)
		shared |= (latch_now(c, w->victim[i].frame) & LATCH_SHARED) != 0;
	/* Marks before owners: an owner that waits for a mark is one when the mark goes. */
	if (shared)
		latch_each_mark(c, mark_of_victim, w);
	for (unsigned i = 0; i < w->n; i++)
		if (latch_owned(latch_now(c, w->victim[i].frame)))
			w->victim[i].latched |= VICTIM_EXCLUSIVE;
}

void window_scan(struct core *c, const struct stripe *me, struct window *w)
{
	uint64_t before = epoch_now(&c->epoch);
	map_fill(w);
	bool unlisting = pin_unlist_begin(&c->pins, me);
	/* Pairs with barrier_light in a get, between its slot and its re-check. */
	pin_barrier(&c->pins, c->barrier);
	uint32_t vain = pin_scan(&c->pins, victim_seen, &(struct scan){w, c->pins.member});
	pin_unlist_end(&c->pins, unlisting, vain);
	if (latches_on(c))
		find_latches(c, w);
	epoch_reclaim(&c->epoch, me, before); /* our barrier serves it as well */
}

bool victim_reopen(const struct victim *v)
{
	FRAME_CHECK_HELD(v->fr, v->page);
	return table_reopen(&v->entry, v->page, v->frame);
}

/*
 * Nobody has rescued it so far.  Only we can close it, so it was not in between either.
 * A locked step that changes nothing: what was copied before must not be what a
 * rescuer writes after it.  A load, of whatever order, would let the copy's loads sink
 * below it, and so does a load after an acquire fence.  Pairs with the rescue, in
 * table_reopen, which reads what this step stored, or makes it fail.
 */
bool victim_closed(const struct victim *v)
{
	FRAME_CHECK_HELD(v->fr, v->page);
	return table_stay_closed(&v->entry, v->page, v->frame);
}

void victim_release(struct core *c, const struct victim *v)
{
	core_unclaim(c, v->frame, v->fr);
}

bool victim_evictable(struct core *c, struct victim *v, uint32_t frame)
{
	uint64_t e = victim_look(c, v, frame);
	return e == entry_word(v->page, ENTRY_CLOSING, frame);
}

void frame_wait(struct core *c, struct stripe *me, uint32_t frame, uint32_t page)
{
	struct wait_queue *q = wait_queue_of(c->wait, wait_for_frame(frame));
	for (;;) {
		uint32_t count = wait_prepare(q, wait_for_frame(frame));
		epoch_enter(&c->epoch, me);
		struct frame *fr = frame_live(&c->frames, frame);
		bool claimed = fr && frame_claimed(atomic_load(&fr->word)) &&
		               atomic_load_explicit(&fr->page, memory_order_relaxed) == page;
		epoch_leave(me);
		if (!claimed)
			return;
		core_sleep(c, q, count, wait_for_frame(frame));
	}
}

bool page_wait(struct core *c, struct stripe *me, uint32_t page)
{
	struct wait_queue *q = wait_queue_of(c->wait, wait_for_page(page));
	struct table_ref at;
	uint32_t count = wait_prepare(q, wait_for_page(page));
	epoch_enter(&c->epoch, me);
	bool wait = entry_waited_for(table_find(&c->tables, page, &at));
	epoch_leave(me);
	if (wait)
		core_sleep(c, q, count, wait_for_page(page));
	return wait;
}
