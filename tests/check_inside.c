/*
 * check_inside.c - see check_inside.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "check_inside.h"

#include <stdlib.h>

#include "api/pool.h"
#include "core/changed.h"
#include "core/latch.h"
#include "core/thread.h"
#include "core/window.h"

/* Numbers of stripes that are not there: nobody's, and another one's. */
enum { ONE = 5, OTHER = 6 };

static struct frame *frame_with(MPOOL *mp, uint32_t page)
{
	for (uint32_t f = 0; f < mp->core.frames.base.count; f++)
		if (mp->core.frames.base.frame[f].page == page && mp->core.frames.base.frame[f].word != FRAME_FREE)
			return &mp->core.frames.base.frame[f];
	abort();
}

/* The page's frame, claimed, and its entry. */
static struct victim victim_of(MPOOL *mp, uint32_t page)
{
	struct victim v = {.page = page, .fr = frame_with(mp, page)};
	v.frame = (uint32_t)(v.fr - mp->core.frames.base.frame);
	check_act_for(ONE + 1);
	if (!frame_claim(v.fr, ONE) || table_find(&mp->core.tables, page, &v.entry) == ENTRY_FREE)
		abort();
	return v;
}

/* ---- a frame's word ----------------------------------------------------- */

static void unclaim_anothers(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	check_act_for(OTHER + 1);
	frame_unclaim(v.fr);
}

static void unclaim_unclaimed(MPOOL *mp, char *page)
{
	(void)page;
	frame_unclaim(frame_with(mp, 1));
	frame_word_free(frame_with(mp, 1));
}

static void free_twice(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	frame_word_free(v.fr);
	frame_word_free(v.fr);
}

static void claim_for_another(MPOOL *mp, char *page)
{
	(void)page;
	check_act_for(ONE + 1);
	frame_claim(frame_with(mp, 1), OTHER);
}

static void clean_unwritten(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	frame_set_dirty(&mp->core.frames, v.frame);
	victim_change(&v, FRAME_DIRTY, 0);
}

static void write_what_is_clean(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	victim_change(&v, FRAME_DIRTY, FRAME_WRITING);
}

static void written_and_synced(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	frame_set_dirty(&mp->core.frames, v.frame);
	victim_change(&v, FRAME_DIRTY, FRAME_WRITING);
	victim_change(&v, FRAME_WRITING, 0);
}

static void unclaim_while_writing(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	frame_set_dirty(&mp->core.frames, v.frame);
	victim_change(&v, FRAME_DIRTY, FRAME_WRITING);
	frame_unclaim(v.fr);
}

/* ---- an entry ----------------------------------------------------------- */

static void reopen_unclaimed(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	table_close(&v.entry, v.page, v.frame);
	frame_unclaim(v.fr);
	victim_reopen(&v);
}

static void close_another_page(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	v.fr->page = 2;
	victim_closed(&v);
}

static void load_for_another(MPOOL *mp, char *page)
{
	struct table_ref at;
	(void)page;
	check_act_for(OTHER + 1);
	table_insert(&mp->core.tables, 9, ONE, ENTRY_FREE, &at);
}

static void count_too_few(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	v.entry.table->entries = 0;
	table_free(&v.entry, entry_word(v.page, ENTRY_RESIDENT, v.frame));
}

/* ---- a slot, a stripe --------------------------------------------------- */

static _Atomic uint64_t *slot_of(const MPOOL *mp, const char *page)
{
	_Atomic uint64_t *slot = stripe_slot_of(thread_last.stripe, frame_at(&mp->core.frames, page));
	if (!slot)
		abort();
	return slot;
}

static void try_in_a_pin(MPOOL *mp, char *page)
{
	pin_try(slot_of(mp, page), 1);
}

static void back_out_of_a_pin(MPOOL *mp, char *page)
{
	pin_back_out(slot_of(mp, page));
}

static void confirm_without_a_try(MPOOL *mp, char *page)
{
	(void)mp;
	(void)page;
	pin_confirm(&thread_last.stripe->slots.word[LINE_WORDS - 1], 1, 0);
}

static void try_in_an_orphan(MPOOL *mp, char *page)
{
	(void)page;
	pin_orphan(&mp->core.pins, thread_last.stripe);
	pin_try(&thread_last.stripe->slots.word[LINE_WORDS - 1], 1);
}

static void give_up_pins(MPOOL *mp, char *page)
{
	(void)mp;
	(void)page;
	pin_give_up(thread_last.stripe);
}

static void section_in_a_section(MPOOL *mp, char *page)
{
	(void)page;
	epoch_enter(&mp->core.epoch, thread_last.stripe);
	epoch_enter(&mp->core.epoch, thread_last.stripe);
}

static void section_left_twice(MPOOL *mp, char *page)
{
	(void)page;
	epoch_enter(&mp->core.epoch, thread_last.stripe);
	epoch_leave(thread_last.stripe);
	epoch_leave(thread_last.stripe);
}

/* ---- what others see only in time --------------------------------------- */

static void hand_out_a_pinned_frame(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 0);
	(void)page;
	frame_free(&mp->evict, v.frame);
	check_act_for(0);
	for (pgno_t n = 4; n < 16; n++)
		mpool_put(mp, mpool_get(mp, n, 0), 0);
}

static void keep_a_claim(MPOOL *mp, char *page)
{
	(void)page;
	(void)victim_of(mp, 1);
}

static void lose_an_entry(MPOOL *mp, char *page)
{
	struct victim v = victim_of(mp, 1);
	(void)page;
	table_free(&v.entry, entry_word(v.page, ENTRY_RESIDENT, v.frame));
	frame_unclaim(v.fr);
}

static void exchange_pages(MPOOL *mp, char *page)
{
	struct frame *one = frame_with(mp, 1), *two = frame_with(mp, 2);
	(void)page;
	one->page = 2;
	two->page = 1;
}

static void keep_a_try(MPOOL *mp, char *page)
{
	(void)mp;
	(void)page;
	pin_try(&thread_last.stripe->slots.word[LINE_WORDS - 1], 1);
}

static void miscount_entries(MPOOL *mp, char *page)
{
	(void)page;
	table_head(&mp->core.tables)->entries++;
}

static void miscount_hints(MPOOL *mp, char *page)
{
	(void)page;
	mp->evict.clock->shard[0].hinted++;
}

static void miscount_hot(MPOOL *mp, char *page)
{
	(void)page;
	mp->evict.clock->shard[0].policy.hot--;
}

static void keep_the_drain(MPOOL *mp, char *page)
{
	(void)page;
	mp->core.tables.state->draining = ONE;
}

/* ---- a latch ------------------------------------------------------------- */

static _Atomic uint64_t *latch_of(MPOOL *mp)
{
	if (latches_make(&mp->core) != 0)
		abort();
	return latch_words(&mp->core);
}

static void release_anothers(MPOOL *mp, char *page)
{
	uint64_t w = 0;
	(void)page;
	latch_own(latch_of(mp), &w, ONE, 0);
	latch_release(latch_of(mp), OTHER);
}

static void release_nobodys(MPOOL *mp, char *page)
{
	(void)page;
	latch_release(latch_of(mp), ONE);
}

static void release_shared(MPOOL *mp, char *page)
{
	uint64_t w = LATCH_SHARED;
	(void)page;
	*latch_of(mp) = w;
	latch_own(latch_of(mp), &w, ONE, 0);
	latch_release(latch_of(mp), ONE);
}

static void leave_to_nobody(MPOOL *mp, char *page)
{
	uint64_t w = 0;
	(void)page;
	latch_own(latch_of(mp), &w, ONE, 0);
}

static void mark_unshared(MPOOL *mp, char *page)
{
	(void)page;
	(void)latch_of(mp);
	latch_marks_made(&mp->core, 0)->word[0] = mark_of(0);
}

const struct planted planted[] = {
	{"a latch is released by another", "a latch is changed by one that does not own it", release_anothers},
	{"a latch is released that nobody has", "a latch's word makes a step", release_nobodys},
	{"a latch is released that may be shared", "a latch's word makes a step", release_shared},
	{"a latch is left to nobody", "a page is latched by no thread", leave_to_nobody},
	{"a mark is set, and the word not", "a page is latched shared, and its word does not say so", mark_unshared},
	{"a claim is dropped by another", "one that does not hold its claim", unclaim_anothers},
	{"what nobody has claimed becomes free", "a frame becomes free that nobody had claimed", unclaim_unclaimed},
	{"a frame becomes free twice", "a frame becomes free that nobody had claimed", free_twice},
	{"a claim is made for another", "one that does not hold its claim", claim_for_another},
	{"a mark is taken off, and nothing written", "a frame's word makes a step", clean_unwritten},
	{"a clean page is written", "a frame's word makes a step", write_what_is_clean},
	{"a page is written, and nobody is to sync it", "a frame's word makes a step", written_and_synced},
	{"a claim is dropped in a write", "a frame's word makes a step", unclaim_while_writing},
	{"an entry is opened without its frame's claim", "does not hold its frame's claim", reopen_unclaimed},
	{"an entry is kept closed, and its frame has another page", "its frame has another", close_another_page},
	{"an entry is inserted for another", "by one that does not own it", load_for_another},
	{"more entries are freed than were placed", "counts fewer entries than none", count_too_few},
	{"a slot that pins is taken for another page", "a slot makes a step", try_in_a_pin},
	{"a pin is dropped like a try", "a slot makes a step", back_out_of_a_pin},
	{"a pin is made without a try", "a slot makes a step", confirm_without_a_try},
	{"a slot of nobody's stripe is used", "whose stripe no thread has", try_in_an_orphan},
	{"a stripe is given up with its pins", "is given up, and holds a page", give_up_pins},
	{"a section begins in a section", "begins in another", section_in_a_section},
	{"a section ends twice", "ends that did not begin", section_left_twice},
	{"a pinned frame is handed out", "a frame is handed out that is pinned", hand_out_a_pinned_frame},
	{"a claim is left over", "nobody is in a call, and a frame is claimed", keep_a_claim},
	{"an entry is lost", "a frame is used, and no entry names it", lose_an_entry},
	{"two frames have each other's page", "a frame is used, and no entry names it", exchange_pages},
	{"a try is left over", "a slot tries for a page", keep_a_try},
	{"an entry is counted twice", "a table counts other entries than it has", miscount_entries},
	{"a hint is counted that is not there", "a shard counts other hints than it has", miscount_hints},
	{"a hot frame is not counted", "a shard counts other hot frames than it has", miscount_hot},
	{"a role is left over", "nobody is in a call, and drains a table", keep_the_drain},
};
const size_t planted_steps = sizeof planted / sizeof *planted;

size_t planted_entry_steps(size_t *of)
{
	/* Page 7's, in frame 3 or of the stripe who acts. */
	const uint64_t state[] = {ENTRY_FREE, entry_word(7, ENTRY_TENTATIVE, ONE), entry_word(7, ENTRY_LOADING, ONE),
		entry_word(7, ENTRY_RESIDENT, 3), entry_word(7, ENTRY_CLOSING, 3)};
	const size_t n = sizeof state / sizeof *state;
	size_t pass = 0;
	uint32_t before = check_act_for(ONE + 1);
	for (size_t from = 0; from < n; from++)
		for (size_t to = 0; to < n; to++)
			pass += entry_step_wrong(state[from], state[to]) == NULL;
	check_act_for(before);
	*of = n * n;
	return pass;
}
