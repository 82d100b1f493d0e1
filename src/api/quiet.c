/* quiet.c - see quiet.h. */
#include "api/quiet.h"

#include "core/latch.h"

#include "core/changed.h"

/* A pool with more frames is not looked at after each sync. */
#define SYNC_FRAMES 256u

#define expect MPOOL_CHECKED

static uint32_t stripes_of(const MPOOL *mp)
{
	return atomic_load(&mp->core.pins.state->stripes);
}

/* Is a thread in a call, other than `me`; of this process, and not the one that recovers others? */
static bool is_quiet(const MPOOL *mp, const struct stripe *me)
{
	uint32_t n = stripes_of(mp);
	for (uint32_t id = 0; id < n; id++) {
		const struct stripe *s = pin_stripe(&mp->core.pins, id);
		if (s != me && s != mp->sharing.recovery_stripe && stripe_of(s, mp->core.pins.member) &&
		    atomic_load(&s->busy) != BUSY_NOT)
			return false;
	}
	return true;
}

static void check_stripes(const MPOOL *mp)
{
	uint32_t n = stripes_of(mp);
	for (uint32_t id = 0; id < n; id++) {
		const struct stripe *s = pin_stripe(&mp->core.pins, id);
		if (!stripe_of(s, mp->core.pins.member) || s == mp->sharing.recovery_stripe)
			continue;
		expect(atomic_load(&s->section) == EPOCH_OUTSIDE, "nobody is in a call, and a stripe in a section", id,
		       atomic_load(&s->section));
		expect(!atomic_load(&s->putting), "nobody is in a call, and a stripe in a put", id, 1);
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			uint64_t w = atomic_load(&s->slots.word[i]);
			expect(!slot_trying(w), "nobody is in a call, and a slot tries for a page", id, w);
			expect(!slot_pins(w, slot_frame(w)) ||
			               atomic_load(&frame_of(&mp->core.frames, slot_frame(w))->word) != FRAME_FREE,
			       "a slot pins a frame that is free", id, w);
		}
	}
}

/* ---- frames and entries ------------------------------------------------- */

struct used {
	MPOOL *mp;
	uint64_t frames;
};

static void check_frame(void *to, uint32_t frame, struct frame *fr)
{
	struct used *used = to;
	struct table_ref at;
	uint32_t w = atomic_load(&fr->word);
	if (w == FRAME_FREE)
		return;
	used->frames++;
	expect(w & FRAME_USED, "a frame's word is neither free nor used", frame, w);
	expect(!frame_claimed(w), "nobody is in a call, and a frame is claimed", frame, w);
	expect(!(w & FRAME_WRITING), "nobody is in a call, and a page is being written", frame, w);
	expect(changed_told(&used->mp->core.frames, frame), "a page is modified, or not flushed, and no bit tells",
	       frame, w);
	uint64_t e = table_find(&used->mp->core.tables, atomic_load(&fr->page), &at);
	expect(entry_in_memory(e) && entry_who(e) == frame, "a frame is used, and no entry names it", frame, e);
}

static void check_entry(const MPOOL *mp, uint64_t e)
{
	expect(entry_in_memory(e), "nobody is in a call, and a page is being loaded", e, 0);
	const struct frame *fr = frame_of(&mp->core.frames, entry_who(e));
	expect(atomic_load(&fr->word) != FRAME_FREE, "the frame of a page is free", e, atomic_load(&fr->word));
	expect(atomic_load(&fr->page) == entry_page(e), "the frame of a page has another", e, atomic_load(&fr->page));
}

/* How many entries it has. */
static uint64_t check_table(const MPOOL *mp, struct table *t)
{
	struct table_counts is = {0};
	for (uint32_t b = 0; b < t->buckets; b++)
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			uint64_t e = atomic_load(&t->bucket[b].word[i]);
			if (e == ENTRY_FREE)
				continue;
			check_entry(mp, e);
			table_count(t, b, e, &is);
		}
	if (!mp->core.recovered) {
		struct table_counts says = table_counts(t);
		expect(says.entries == is.entries, "a table counts other entries than it has", says.entries,
		       is.entries);
		expect(says.spills == is.spills, "a table counts other spills than it has", says.spills, is.spills);
		expect(says.far == is.far, "a table counts other far entries than it has", says.far, is.far);
	}
	return is.entries;
}

static void check_memory(MPOOL *mp)
{
	struct used used = {mp, 0};
	uint64_t entries = 0;
	frames_each(&mp->core.frames, check_frame, &used);
	for (struct table *t = table_head(&mp->core.tables); t; t = table_older(&mp->core.tables, t))
		entries += check_table(mp, t);
	expect(entries == used.frames, "there are other entries than frames in use", entries, used.frames);
}

/* ---- shards ------------------------------------------------------------- */

static int32_t bits_of(const _Atomic uint64_t *bits, const struct shard *sh)
{
	int32_t n = 0;
	for (uint32_t i = 0; i < atomic_load(&sh->count); i += BITS_PER_WORD)
		n += __builtin_popcountll(atomic_load(&bits[(sh->first + i) / BITS_PER_WORD]));
	return n;
}

static void expect_count(const _Atomic uint64_t *bits, const struct shard *sh, const _Atomic int32_t *count,
                         const char *what)
{
	expect(bits_of(bits, sh) == atomic_load(count), what, (uint32_t)bits_of(bits, sh),
	       (uint32_t)atomic_load(count));
}

static void check_shards(const MPOOL *mp)
{
	const struct clock_state *c = mp->evict.clock;
	const struct segment *base = &mp->core.frames.base;
	uint32_t n = atomic_load(&c->shards), frames = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct shard *sh = &c->shard[i];
		frames += atomic_load(&sh->count);
		if (mp->core.recovered)
			continue;
		expect_count(base->free_bits, sh, &sh->hinted, "a shard counts other hints than it has");
		expect_count(base->hot_bits, sh, &sh->policy.hot, "a shard counts other hot frames than it has");
		expect_count(base->once_bits, sh, &sh->policy.once,
		             "a shard counts other frames wanted once than it has");
	}
	expect(frames == frames_capacity(&mp->core.frames), "the shards have other frames than there are", frames,
	       frames_capacity(&mp->core.frames));
	expect(frames_used(&mp->core.frames) <= frames || atomic_load(&c->tail_used),
	       "more frames were used than there are", frames, frames_used(&mp->core.frames));
}

static void check_roles(const MPOOL *mp)
{
	uint32_t draining = atomic_load(&mp->core.tables.state->draining);
	uint32_t reclaiming = atomic_load(&mp->core.epoch.state->reclaimer);
	uint32_t unlisting = atomic_load(&mp->core.pins.state->unlister);
	uint32_t syncing = atomic_load(&mp->io.file.state->syncing);
	expect(!draining && !reclaiming, "nobody is in a call, and drains a table or reclaims", draining, reclaiming);
	expect(!(uint32_t)atomic_load(&mp->core.frames.state->sweeping), "nobody is in a call, and bits are swept", 1,
	       0);
	expect(!unlisting && !syncing, "nobody is in a call, and unlists stripes or syncs", unlisting, syncing);
	uint64_t cut = atomic_load(&mp->io.file.state->cut), end = atomic_load(&mp->io.file.state->end);
	expect(!cut && !(end & END_CUTTING), "nobody is in a call, and the file is being cut", cut, end);
	expect(mp->core.recovered || !atomic_load(&core_member(&mp->core)->evictors), "nobody is in a call, and evicts",
	       atomic_load(&core_member(&mp->core)->evictors), 0);
}

/* ---- latches, which are held outside of calls ---------------------------- */

static void check_latch(void *to, uint32_t frame, struct frame *fr)
{
	const MPOOL *mp = to;
	uint64_t w = latch_now(&mp->core, frame), owner = (w & LATCH_OWNER) >> LATCH_OWNER_SHIFT;
	(void)fr;
	expect(!owner || (owner <= stripes_of(mp) &&
	                  atomic_load(&pin_stripe(&mp->core.pins, (uint32_t)owner - 1)->owner) ==
	                          stripe_owner(STRIPE_OWNED, mp->core.pins.member)),
	       "a page is latched by no thread", frame, w);
	expect(!(w & LATCH_TURN), "nobody is in a call, and a latch is to be somebody's next", frame, w);
}

static void check_mark(void *to, uint32_t frame)
{
	const MPOOL *mp = to;
	expect(latch_now(&mp->core, frame) & LATCH_SHARED, "a page is latched shared, and its word does not say so",
	       frame, latch_now(&mp->core, frame));
}

static void check_latches(MPOOL *mp)
{
	frames_each(&mp->core.frames, check_latch, mp);
	latch_each_mark(&mp->core, check_mark, mp);
}

/* ---- a process leaves --------------------------------------------------- */

/* Of a shared pool: this process has no claim.  Frames of the overflow may go any moment, and are left out. */
static void check_own_claims(const MPOOL *mp)
{
	uint32_t n = frames_used(&mp->core.frames);
	for (uint32_t f = 0; f < n; f++) {
		uint32_t w = atomic_load(&mp->core.frames.base.frame[f].word), owner = w >> FRAME_OWNER_SHIFT;
		expect(!owner || !stripe_of(pin_stripe(&mp->core.pins, owner - 1), mp->core.pins.member),
		       "a process leaves a pool, and has claimed a frame", f, w);
	}
}

void quiet_check_close(MPOOL *mp)
{
	if (stripes_of(mp) == 0 || !is_quiet(mp, NULL))
		return;
	check_stripes(mp);
	if (region_shared(&mp->core.region)) {
		check_own_claims(mp);
		return;
	}
	check_memory(mp);
	check_shards(mp);
	check_roles(mp);
	check_latches(mp);
}

void quiet_check_sync(MPOOL *mp, const struct stripe *me)
{
	if (region_shared(&mp->core.region) || atomic_load(&mp->core.pins.state->users) != USERS_ONE ||
	    frames_capacity(&mp->core.frames) > SYNC_FRAMES || !is_quiet(mp, me))
		return;
	check_stripes(mp);
	check_memory(mp);
	check_shards(mp);
	check_roles(mp);
	check_latches(mp);
}
