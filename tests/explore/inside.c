/*
 * inside.c - see inside.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "share/hand.h"
#include "inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/pool.h"
#include "core/changed.h"
#include "core/latch.h"
#include "io/catalog.h"
#include "io/engine.h"
#include "share/recover.h"

#define ENTRIES_MAX 256u
#define NOW(word)   atomic_load_explicit(&(word), memory_order_relaxed)

static char wrong[256];

#define WRONG(...) (snprintf(wrong, sizeof wrong, __VA_ARGS__), wrong)

struct seen {
	uint64_t entry;
	const struct table *table;
};

static struct table *newest(MPOOL *mp)
{
	struct table *t = region_at(&mp->core.region, NOW(mp->sharing.header->table.head));
	if (!t)
		abort();
	return t;
}

static struct table *older(MPOOL *mp, const struct table *t)
{
	return NOW(t->next) == TABLE_NONE ? NULL : region_at(&mp->core.region, NOW(t->next));
}

/* All valid entries; how many they are. */
static unsigned entries_of(MPOOL *mp, struct seen *seen)
{
	unsigned n = 0;
	for (struct table *t = newest(mp); t; t = older(mp, t))
		for (uint32_t b = 0; b < t->buckets; b++)
			for (unsigned i = 0; i < LINE_WORDS && n < ENTRIES_MAX; i++) {
				uint64_t e = NOW(t->bucket[b].word[i]);
				if (entry_valid(e))
					seen[n++] = (struct seen){e, t};
			}
	return n;
}

static const char *pair_wrong(const struct seen *a, const struct seen *b)
{
	bool same_page = entry_page(a->entry) == entry_page(b->entry);
	bool frames = entry_in_frame(a->entry) && entry_in_frame(b->entry);
	bool same_frame = frames && entry_who(a->entry) == entry_who(b->entry);
	/* An entry that moves is in both tables for an instant. */
	if (same_page && !(same_frame && a->table != b->table))
		return WRONG("page %" PRIu32 " has two entries: %#" PRIx64 " and %#" PRIx64, entry_page(a->entry),
			a->entry, b->entry);
	if (same_frame && !same_page)
		return WRONG("pages %" PRIu32 " and %" PRIu32 " are both in frame %" PRIu32, entry_page(a->entry),
			entry_page(b->entry), entry_who(a->entry));
	return NULL;
}

/* Entries of one key, page or frame, by that key; no more than half of the places are taken. */
#define PLACES (2 * ENTRIES_MAX)
struct by_key {
	uint16_t entry[PLACES]; /* its number, and one; 0: none */
};

/* Entry number `i` against those of the same key before it, and from now on for those after it. */
static const char *key_wrong(struct by_key *by, uint32_t key, const struct seen *seen, unsigned i)
{
	const char *found = NULL;
	unsigned at = key % PLACES;
	for (; by->entry[at] && !found; at = (at + 1) % PLACES)
		found = pair_wrong(&seen[i], &seen[by->entry[at] - 1]);
	by->entry[at] = (uint16_t)(i + 1);
	return found;
}

static const char *entry_wrong(MPOOL *mp, uint64_t e)
{
	if (!entry_in_frame(e))
		return NULL;
	const struct frame *fr = frame_of(&mp->core.frames, entry_who(e));
	if (NOW(fr->word) == FRAME_FREE)
		return WRONG("page %" PRIu32 " is in frame %" PRIu32 ", which is free", entry_page(e), entry_who(e));
	if (NOW(fr->page) != entry_page(e))
		return WRONG("page %" PRIu32 " is in frame %" PRIu32 ", whose page is %" PRIu32, entry_page(e),
			entry_who(e), NOW(fr->page));
	return NULL;
}

static const struct seen *in_frame(const struct seen *seen, unsigned n, uint32_t frame)
{
	for (unsigned i = 0; i < n; i++)
		if (entry_in_frame(seen[i].entry) && entry_who(seen[i].entry) == frame)
			return &seen[i];
	return NULL;
}

static const char *pin_wrong(MPOOL *mp, const struct seen *seen, unsigned n, const struct inside_pin *pin)
{
	uint32_t f = frame_at(&mp->core.frames, pin->page);
	if (f == FRAME_NONE)
		return WRONG("the pinned page %" PRIu32 " is in no frame", pin->number);
	const struct seen *s = in_frame(seen, n, f);
	if (!s)
		return WRONG("page %" PRIu32 " has left frame %" PRIu32 ", where it is pinned", pin->number, f);
	/* Of an attached file only the place in its extent is known. */
	uint32_t other = entry_page(s->entry) ^ pin->number;
	bool several = NOW(mp->io.extents) || catalog_is(&mp->io);
	if (several ? other % EXTENT_PAGES : other)
		return WRONG("page %" PRIu32 " is in frame %" PRIu32 ", where page %" PRIu32 " is pinned",
			entry_page(s->entry), f, pin->number);
	return NULL;
}

/* Do scans look at the stripe? */
static bool is_listed(MPOOL *mp, uint32_t id)
{
	struct listed l = LISTED_FIRST(&mp->core.pins);
	const struct stripe *s;
	do
		s = listed_next(&l);
	while (s && s->id != id);
	return s;
}

static const char *slots_wrong(MPOOL *mp, const struct seen *seen, unsigned n)
{
	uint32_t stripes = NOW(mp->sharing.header->pin.stripes);
	for (uint32_t id = 0; id < stripes; id++) {
		const struct stripe *s = pin_stripe(&mp->core.pins, id);
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			uint64_t w = NOW(s->slots.word[i]);
			if (slot_pins(w, slot_frame(w)) && !in_frame(seen, n, slot_frame(w)))
				return WRONG("a slot of stripe %" PRIu32 " pins frame %" PRIu32 ", which no page is in",
					id, slot_frame(w));
			if (slot_pins(w, slot_frame(w)) && !is_listed(mp, id))
				return WRONG("a slot of stripe %" PRIu32 " has a pin, and no scan looks at it", id);
		}
	}
	return NULL;
}

const char *inside_wrong(MPOOL *mp, const struct inside_pin *pins, unsigned n, bool deletes)
{
	struct seen seen[ENTRIES_MAX];
	unsigned entries = entries_of(mp, seen);
	const char *found = NULL;
	struct by_key pages = {{0}}, frames = {{0}};
	for (unsigned i = 0; i < entries && !found; i++) {
		found = entry_wrong(mp, seen[i].entry);
		if (!found)
			found = key_wrong(&pages, entry_page(seen[i].entry), seen, i);
		if (!found && entry_in_frame(seen[i].entry))
			found = key_wrong(&frames, entry_who(seen[i].entry), seen, i);
	}
	for (unsigned i = 0; i < n && !found; i++)
		found = pin_wrong(mp, seen, entries, &pins[i]);
	return found || deletes ? found : slots_wrong(mp, seen, entries);
}

/* ---- when nobody is in a call ------------------------------------------- */

void inside_narrow(MPOOL *mp)
{
	mp->sharing.header->pageio.end = EXTENT_TOP * EXTENT_PAGES;
}

void inside_unlist(MPOOL *mp)
{
	atomic_init(&mp->sharing.header->pin.vain, UINT32_MAX / 2);
}

void inside_recover(MPOOL *mp)
{
	recover_dead(&mp->sharing);
}

const char *inside_abandoned_wrong(MPOOL *mp, MPOOL *dead, const void *page, bool *gone)
{
	uint32_t f = frame_at(&mp->core.frames, page);
	*gone = true;
	for (uint32_t id = 0; id < NOW(mp->sharing.header->pin.stripes); id++) {
		struct stripe *s = pin_stripe(&mp->core.pins, id);
		if (stripe_of(s, dead->core.pins.member) && stripe_slot_of(s, f))
			*gone = false;
	}
	if (*gone && !(NOW(frame_of(&mp->core.frames, f)->word) & FRAME_ABANDONED))
		return WRONG("a dead process's pin of frame %" PRIu32 " goes, and the page is not marked abandoned", f);
	return NULL;
}

/* As latch_word has it, which would be steps of the run. */
static uint64_t newest_latch(MPOOL *mp, uint32_t f)
{
	const struct frames *fs = &mp->core.frames;
	uint32_t over = f < fs->base.count || f == FRAME_NONE ? 0 : (f - fs->base.count) / fs->unit + 1;
	unsigned k = over ? 32 - (unsigned)__builtin_clz(over) : 0;
	uint32_t first = k ? fs->base.count + (fs->unit << (k - 1)) - fs->unit : 0;
	const _Atomic uint64_t *words = f == FRAME_NONE ? NULL : region_at(&mp->core.region, CHUNK_LATCHES + k);
	return words ? NOW(words[f - first]) : 0;
}

bool inside_version(MPOOL *mp, const void *page, uint64_t *version)
{
	uint32_t f = frame_at(&mp->core.frames, page);
	uint64_t w = newest_latch(mp, f);
	*version = latch_seen(f, w);
	return NOW(mp->core.latch->on) == LATCHES_READY && !latch_owned(w);
}

uint32_t inside_latch_owner(MPOOL *mp, const void *page)
{
	return (uint32_t)((newest_latch(mp, frame_at(&mp->core.frames, page)) & LATCH_OWNER) >> LATCH_OWNER_SHIFT);
}

const char *inside_dead_latch_wrong(MPOOL *mp, const void *page, uint32_t number, uint32_t owner)
{
	uint32_t f = frame_at(&mp->core.frames, page);
	const struct frame *fr = frame_of(&mp->core.frames, f);
	if (inside_latch_owner(mp, page) == owner || NOW(fr->word) & FRAME_ABANDONED || NOW(fr->page) != number)
		return NULL;
	return WRONG("a latch of frame %" PRIu32 " goes whose owner is gone, and the page is not marked abandoned", f);
}

int inside_asked(MPOOL *mp, off_t (*offset)(int fd))
{
	int fd = NOW(mp->io.file.witness[0]);
	return fd >= 0 && (offset(fd) & ASKING_ALL) ? fd : -1;
}

bool inside_hand(const struct sharing *sh, const struct io *asked, struct handed *h)
{
	const struct io *of = asked->slot ? &sh->io->catalog->file[asked->slot->number] : sh->io;
	const struct pageio *io = &of->file;
	h->n = 0;
	if (asked->slot && NOW(of->here) != NOW(asked->slot->state) / (1u << FILE_STATE_BITS) + 1)
		return false;
	h->generation = NOW(io->generation);
	for (; h->n < WITNESSES && NOW(io->witness[h->n]) != NO_WITNESS; h->n++)
		h->fd[h->n] = NOW(io->witness[h->n]);
	return h->n > 0 && h->generation == NOW(io->state->generation);
}

bool inside_modified(MPOOL *mp, const void *page)
{
	return NOW(frame_of(&mp->core.frames, frame_at(&mp->core.frames, page))->word) & (FRAME_DIRTY | FRAME_WRITING);
}

static const char *stripes_left(MPOOL *mp, unsigned pins)
{
	uint64_t held = 0;
	uint32_t stripes = NOW(mp->sharing.header->pin.stripes);
	for (uint32_t id = 0; id < stripes; id++) {
		struct stripe *s = pin_stripe(&mp->core.pins, id);
		if (NOW(s->section) != EPOCH_OUTSIDE)
			return WRONG("stripe %" PRIu32 " is in an epoch section", id);
		if (NOW(s->putting))
			return WRONG("stripe %" PRIu32 " is in a put", id);
		if (NOW(s->busy))
			return WRONG("stripe %" PRIu32 " is in a call", id);
		if (NOW(s->listed) && NOW(s->owner) != STRIPE_UNUSED && !is_listed(mp, id))
			return WRONG("the owner of stripe %" PRIu32 " takes it for listed, and it is not", id);
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			uint64_t w = NOW(s->slots.word[i]);
			if (slot_trying(w))
				return WRONG("stripe %" PRIu32 " tries for frame %" PRIu32, id, slot_frame(w));
			held += slot_peek(w) ? 0 : slot_count(w);
		}
	}
	if (NOW(mp->sharing.header->pin.unlister))
		return WRONG("somebody unlists stripes still");
	if (held != pins)
		return WRONG("%" PRIu64 " pins are held, and should be %u", held, pins);
	return NULL;
}

unsigned inside_pins(MPOOL *mp, unsigned known)
{
	uint64_t held = 0;
	for (uint32_t id = 0; id < NOW(mp->sharing.header->pin.stripes); id++)
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			uint64_t w = NOW(pin_stripe(&mp->core.pins, id)->slots.word[i]);
			held += slot_peek(w) ? 0 : slot_count(w);
		}
	return held < known ? known : (unsigned)held;
}

static uint16_t spill_now(struct table *t, uint32_t b)
{
	return NOW(((_Atomic uint16_t *)(void *)&t->bucket[t->buckets + 1])[b]);
}

static bool count_wrong(uint64_t is, uint64_t should, bool died)
{
	return died ? is < should : is != should;
}

/* The counts of a table, and what they should be. */
static const char *table_left(struct table *t, bool died)
{
	uint64_t entries = 0, far = 0;
	uint16_t spill[ENTRIES_MAX] = {0};
	for (uint32_t b = 0; b < t->buckets; b++)
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			uint64_t e = NOW(t->bucket[b].word[i]);
			if (e == ENTRY_FREE)
				continue;
			if (entry_state(e) > ENTRY_CLOSING)
				return WRONG("page %" PRIu32 " is being loaded", entry_page(e));
			uint32_t distance = 0;
			for (uint32_t at = table_home(t, entry_page(e)); at != b;
				at = (at + 1) % t->buckets, distance++)
				if (at < ENTRIES_MAX)
					spill[at]++;
			entries++;
			far += distance >= TABLE_NEAR;
		}
	if (count_wrong(NOW(t->entries), entries, died))
		return WRONG("table %" PRIu32 " counts %" PRIu64 " entries, and has %" PRIu64, t->id, NOW(t->entries),
			entries);
	if (count_wrong(NOW(t->far), far, died))
		return WRONG(
			"table %" PRIu32 " counts %" PRIu64 " far entries, and has %" PRIu64, t->id, NOW(t->far), far);
	for (uint32_t b = 0; b < t->buckets && b < ENTRIES_MAX; b++)
		if (count_wrong(spill_now(t, b), spill[b], died))
			return WRONG("bucket %" PRIu32 " of table %" PRIu32 " counts %u spills, and has %u", b, t->id,
				spill_now(t, b), spill[b]);
	return NULL;
}

struct frames_left {
	MPOOL *mp;
	struct seen seen[ENTRIES_MAX];
	unsigned entries;
	bool overflow;
	const char *found;
};

static void frame_left(void *to, uint32_t f, struct frame *fr)
{
	struct frames_left *left = to;
	uint32_t w = NOW(fr->word);
	left->overflow |= f >= left->mp->core.frames.base.count && w != FRAME_FREE;
	if (left->found || w == FRAME_FREE)
		return;
	if (frame_claimed(w))
		left->found = WRONG("frame %" PRIu32 " is claimed", f);
	else if (w & FRAME_WRITING)
		left->found = WRONG("frame %" PRIu32 " is being written", f);
	else if (!changed_told(&left->mp->core.frames, f))
		left->found = WRONG("frame %" PRIu32 " is changed, and no bit tells", f);
	else if (!in_frame(left->seen, left->entries, f))
		left->found = WRONG("frame %" PRIu32 " is used, and no page is in it", f);
}

static const char *frames_left(MPOOL *mp)
{
	struct frames_left left = {.mp = mp};
	left.entries = entries_of(mp, left.seen);
	frames_each(&mp->core.frames, frame_left, &left);
	if (!left.found && frames_used(&mp->core.frames) > frames_capacity(&mp->core.frames) &&
		!NOW(mp->sharing.header->clock.tail_used))
		return WRONG("there is a tail, and nobody is told");
	if (NOW(mp->sharing.header->clock.limiting))
		return WRONG("somebody changes the capacity still");
	if (!left.found && left.overflow && !NOW(mp->sharing.header->clock.overflow_used))
		return WRONG("frames of the overflow are in use, and nobody is told");
	return left.found;
}

/* Nobody is in a call, and the threads have ended: no latch is left. */
static void latch_left(void *to, uint32_t f, struct frame *fr)
{
	struct frames_left *left = to;
	(void)fr;
	if (!left->found && latch_owned(newest_latch(left->mp, f)))
		left->found = WRONG("frame %" PRIu32 " is latched", f);
	if (!left->found && (newest_latch(left->mp, f) & LATCH_TURN))
		left->found = WRONG("frame %" PRIu32 " is to be somebody's next, and nobody waits", f);
}

static void mark_left(void *to, uint32_t f)
{
	struct frames_left *left = to;
	left->found = WRONG("somebody has a shared latch of frame %" PRIu32, f);
}

static const char *latches_left(MPOOL *mp)
{
	struct frames_left left = {.mp = mp};
	frames_each(&mp->core.frames, latch_left, &left);
	latch_each_mark(&mp->core, mark_left, &left);
	return left.found;
}

static const char *shards_left(MPOOL *mp)
{
	struct clock_state *c = &mp->sharing.header->clock;
	uint32_t covered = 0, capacity = frames_capacity(&mp->core.frames);
	for (uint32_t i = 0; i < NOW(c->shards); i++)
		covered += NOW(c->shard[i].count);
	if (covered != capacity)
		return WRONG("the shards have %" PRIu32 " frames, and there are %" PRIu32, covered, capacity);
	return NULL;
}

static const char *hints_left(MPOOL *mp)
{
	struct clock_state *c = &mp->sharing.header->clock;
	for (uint32_t i = 0; i < NOW(mp->core.members->top); i++)
		if (NOW(mp->core.members->member[i].evictors))
			return WRONG("threads are counted as evicting");
	for (uint32_t i = 0; i < NOW(c->shards); i++) {
		const struct shard *sh = &c->shard[i];
		int32_t bits = 0;
		for (uint32_t w = sh->first / 64; w * 64 < sh->first + NOW(sh->count); w++)
			bits += __builtin_popcountll(NOW(mp->core.frames.base.free_bits[w]));
		if (NOW(sh->hinted) != bits)
			return WRONG("shard %" PRIu32 " counts %" PRId32 " hints, and has %" PRId32, i,
				(int32_t)NOW(sh->hinted), bits);
	}
	return NULL;
}

static const char *roles_left(MPOOL *mp)
{
	if (NOW(mp->sharing.header->table.draining) || NOW(mp->sharing.header->epoch.reclaimer) ||
		NOW(mp->sharing.header->pageio.syncing))
		return WRONG("a thread is counted as draining, reclaiming or syncing");
	if (NOW(mp->sharing.header->pageio.cut) || (NOW(mp->sharing.header->pageio.end) & END_CUTTING))
		return WRONG("the file is being cut still");
	for (unsigned i = 0; i < NOW(mp->core.members->top); i++)
		if (NOW(mp->core.members->member[i].evictors))
			return WRONG("member %u is counted as evicting", i);
		else if (NOW(mp->core.members->member[i].pending[0].place))
			return WRONG("member %u has memory of no chunk", i);
	return NULL;
}

static const char *file_left(MPOOL *mp, const struct file_slot *s)
{
	bool held = false;
	for (uint32_t m = 0; m < MEMBERS_MAX; m++) {
		bool has = NOW(s->holders[m / 64]) & member_bit(m);
		held |= has;
		if (has && NOW(s->state) % (1u << FILE_STATE_BITS) != FILE_FREE &&
			!(NOW(mp->core.members->member[m].state) & MEMBER_IN))
			return WRONG("file %" PRIu32 " is held by member %" PRIu32 ", who is gone", s->number, m);
	}
	if (NOW(s->state) % (1u << FILE_STATE_BITS) == FILE_IN && !held)
		return WRONG("file %" PRIu32 " is in, and nobody holds it", s->number);
	if (NOW(s->state) % (1u << FILE_STATE_BITS) == FILE_CLOSING && (uint32_t)NOW(s->closer))
		return WRONG("file %" PRIu32 " is being closed still", s->number);
	if (NOW(s->pageio.syncing))
		return WRONG("a thread is counted as syncing file %" PRIu32, s->number);
	return NULL;
}

/* How often the list has the extent. */
static unsigned listed_in(const struct extent_owner *first, uint32_t list, uint32_t extent)
{
	unsigned n = 0;
	for (uint32_t e = list, i = 0; e != EXTENT_NONE && i <= EXTENT_TOP; i++) {
		n += e == extent;
		e = NOW(first[EXTENT_TOP - e].next);
	}
	return n;
}

static const char *catalog_left(MPOOL *mp)
{
	struct catalog *c = mp->io.catalog;
	if (!c || !catalog_is(&mp->io))
		return NULL;
	const struct catalog_state *st = catalog_state(c);
	uint32_t low = NOW(st->low);
	const char *found = NULL;
	if (NOW(st->who))
		return WRONG("a thread is counted as changing the catalog");
	if (NOW(mp->sharing.header->pageio.limit) != (low > EXTENT_TOP ? PAGE_NONE : low * EXTENT_PAGES))
		return WRONG("the first file ends at %" PRIu32 ", and extents begin with %" PRIu32,
			NOW(mp->sharing.header->pageio.limit), low);
	for (uint32_t i = 0; i < NOW(st->files) && !found; i++)
		found = file_left(mp, catalog_slot(c, i));
	/* One block has all extents. */
	const struct extent_owner *first = (const void *)(mp->core.region.base + NOW(st->extent_block[0]));
	for (uint32_t e = low; e <= EXTENT_TOP && !found; e++) {
		uint64_t owner = NOW(first[EXTENT_TOP - e].owner);
		unsigned in_chains = 0, is_free = listed_in(first, NOW(st->free), e);
		for (unsigned i = 0; i < CATALOG_CHAINS; i++)
			in_chains += listed_in(first, NOW(st->chain[i]), e);
		if (in_chains != !!owner || is_free != !owner)
			found = WRONG("extent %" PRIu32 " is %u times in chains, %u times free", e, in_chains, is_free);
		else if (owner && NOW(catalog_slot(c, owner >> OWNER_INDEX_BITS & (FILES_MAX - 1))->state) %
						  (1u << FILE_STATE_BITS) ==
					  FILE_FREE)
			found = WRONG("extent %" PRIu32 " is of a file that is closed", e);
	}
	return found;
}

static const char *tables_left(MPOOL *mp)
{
	struct seen seen[ENTRIES_MAX];
	unsigned n = entries_of(mp, seen);
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			if (entry_page(seen[i].entry) == entry_page(seen[j].entry))
				return WRONG("page %" PRIu32 " has two entries", entry_page(seen[i].entry));
	for (unsigned id = CHUNK_TABLES; id < CHUNK_COUNT; id++) {
		struct table *lost = region_live(&mp->core.region, id);
		for (struct table *t = newest(mp); t && lost; t = older(mp, t))
			if (t == lost)
				lost = NULL;
		if (lost)
			return WRONG("table %u is there, and not linked", id);
	}
	return NULL;
}

static const char *chunks_left(MPOOL *mp)
{
	for (unsigned id = 0; id < CHUNK_COUNT; id++)
		if (region_retired(&mp->core.region, id) && !NOW(mp->sharing.header->epoch.waiting))
			return WRONG("chunk %u is retired, and nobody is told", id);
		else if (region_retired(&mp->core.region, id) &&
			 (NOW(mp->sharing.header->epoch.stamp[id]) & STAMP_RETIRING))
			return WRONG("chunk %u is retired for good", id);
	for (unsigned k = 2; k < SEGMENT_CHUNKS; k++)
		if (region_live(&mp->core.region, CHUNK_SEGMENTS + k) &&
			!NOW(mp->sharing.header->clock.overflow_reclaimable))
			return WRONG("segment %u is there, and nobody is told", k);
	return NULL;
}

const char *inside_left_over(MPOOL *mp, unsigned pins, bool died, bool limited)
{
	const char *found = stripes_left(mp, pins);
	for (struct table *t = newest(mp); t && !found; t = older(mp, t))
		found = table_left(t, died);
	if (!found)
		found = tables_left(mp);
	if (!found)
		found = frames_left(mp);
	if (!found)
		found = shards_left(mp);
	/* Hints are counted anew after a death, while others change them. */
	if (!found && !died && !limited)
		found = hints_left(mp);
	if (!found)
		found = roles_left(mp);
	if (!found)
		found = catalog_left(mp);
	if (!found)
		found = latches_left(mp);
	return found ? found : chunks_left(mp);
}

/* ---- names -------------------------------------------------------------- */

static bool within(const void *at, const void *first, size_t bytes, size_t *offset)
{
	*offset = (size_t)((const char *)at - (const char *)first);
	return (const char *)at >= (const char *)first && *offset < bytes;
}

static bool name_stripe(MPOOL *mp, const void *at, char *name, size_t bytes)
{
	size_t o;
	for (uint32_t id = 0; id < NOW(mp->sharing.header->pin.stripes); id++) {
		const struct stripe *s = pin_stripe(&mp->core.pins, id);
		if (!within(at, s, sizeof *s, &o))
			continue;
		if (o < sizeof s->slots)
			snprintf(name, bytes, "stripe %" PRIu32 " slot %zu", id, o / sizeof(uint64_t));
		else
			snprintf(name, bytes, "stripe %" PRIu32 " %s", id,
				o == offsetof(struct stripe, section)   ? "section"
				: o == offsetof(struct stripe, busy)    ? "busy"
				: o == offsetof(struct stripe, owner)   ? "owner"
				: o == offsetof(struct stripe, putting) ? "putting"
									: "counter");
		return true;
	}
	return false;
}

static bool name_table(MPOOL *mp, const void *at, char *name, size_t bytes)
{
	size_t o;
	for (unsigned id = CHUNK_TABLES; id < CHUNK_COUNT; id++) {
		struct table *t = region_at(&mp->core.region, id);
		if (!t || !within(at, t, t->bytes, &o))
			continue;
		size_t in = o - sizeof *t, lines = (t->buckets + (size_t)1) * sizeof(struct line);
		unsigned n = id - CHUNK_TABLES;
		if (o < sizeof *t)
			snprintf(name, bytes, "table %u %s", n,
				o == offsetof(struct table, entries)   ? "entries"
				: o == offsetof(struct table, far)     ? "far"
				: o == offsetof(struct table, next)    ? "next"
				: o == offsetof(struct table, drained) ? "drained"
								       : "head line");
		else if (in < lines)
			snprintf(name, bytes, "table %u bucket %zu word %zu", n, in / sizeof(struct line),
				in % sizeof(struct line) / sizeof(uint64_t));
		else
			snprintf(name, bytes, "table %u spill %zu", n, (in - lines) / sizeof(uint16_t));
		return true;
	}
	return false;
}

static bool name_frame(MPOOL *mp, const void *at, char *name, size_t bytes)
{
	size_t o;
	for (unsigned k = 0; k < SEGMENT_CHUNKS; k++) {
		struct segment seg = mp->core.frames.base;
		if (k > 0 && !frame_segment(&mp->core.frames, k, &seg))
			continue;
		if (within(at, seg.frame, seg.count * sizeof(struct frame), &o))
			snprintf(name, bytes, "frame %zu %s", seg.first + o / sizeof(struct frame),
				o % sizeof(struct frame) ? "page number" : "word");
		else if (within(at, seg.pages, seg.count * mp->core.frames.stride, &o))
			snprintf(name, bytes, "frame %zu byte %zu", seg.first + o / mp->core.frames.stride,
				o % mp->core.frames.stride);
		else if (within(at, seg.mark, seg.count, &o))
			snprintf(name, bytes, "frame %zu mark", seg.first + o);
		else if (within(at, seg.free_bits, (seg.count + 63) / 64 * 8, &o))
			snprintf(name, bytes, "hints %u.%zu", k, o / 8);
		else
			continue;
		return true;
	}
	return false;
}

static bool name_latch(MPOOL *mp, const void *at, char *name, size_t bytes)
{
	size_t o;
	for (unsigned k = 0; k < SEGMENT_CHUNKS; k++) {
		const struct frames *fs = &mp->core.frames;
		uint64_t n = k ? (uint64_t)fs->unit << (k - 1) : fs->base.count;
		uint64_t first = k ? fs->base.count + n - fs->unit : 0;
		const _Atomic uint64_t *words = region_at(&mp->core.region, CHUNK_LATCHES + k);
		if (words && within(at, words, n * sizeof *words, &o)) {
			snprintf(name, bytes, "latch of frame %zu", (size_t)first + o / sizeof *words);
			return true;
		}
	}
	for (unsigned k = 0; k < STRIPE_CHUNKS; k++) {
		const struct line *marks = region_at(&mp->core.region, CHUNK_MARKS + k);
		uint32_t first = STRIPES_FIRST * ((1u << k) - 1), n = STRIPES_FIRST << k;
		if (marks && within(at, marks, n * sizeof *marks, &o)) {
			snprintf(name, bytes, "stripe %zu mark %zu", first + o / sizeof *marks,
				o % sizeof *marks / sizeof(uint64_t));
			return true;
		}
	}
	return false;
}

static const struct {
	const char *name;
	size_t from, bytes;
} header_words[] = {
#define WORD(what, member) {what, offsetof(struct header, member), sizeof(((struct header *)0)->member)}
	WORD("table head", table.head),
	WORD("draining", table.draining),
	WORD("stripes", pin.stripes),
	WORD("latches", latch),
	WORD("epoch", epoch.now),
	WORD("waiting", epoch.waiting),
	WORD("reclaimer", epoch.reclaimer),
	WORD("stamp", epoch.stamp),
	WORD("the end", pageio.end),
	WORD("cut", pageio.cut),
	WORD("extent", pageio.extent),
	WORD("tail", pageio.tail),
	WORD("flushes", pageio.flushes),
	WORD("flushed", pageio.flushed),
	WORD("sweeping", frame.sweeping),
	WORD("undone", pageio.undone),
	WORD("left", pageio.left),
	WORD("lost", pageio.lost),
	WORD("clock", clock),
	WORD("doubtful", pageio.doubtful),
	WORD("witnesses", pageio.witnesses),
	WORD("generation", pageio.generation),
	WORD("newest", pageio.newest),
	WORD("wait queue", wait),
	WORD("syncing", pageio.syncing),
	WORD("member", members.member),
	WORD("chunk word", region.chunk),
	WORD("vacant place", region.vacant),
};

void inside_name(MPOOL *mp, const void *at, char *name, size_t bytes)
{
	size_t o;
	if (within(at, mp->sharing.header, sizeof *mp->sharing.header, &o)) {
		for (size_t i = 0; i < sizeof header_words / sizeof *header_words; i++)
			if (o - header_words[i].from < header_words[i].bytes) {
				snprintf(name, bytes, "%s+%zu", header_words[i].name, o - header_words[i].from);
				return;
			}
		snprintf(name, bytes, "header+%zu", o);
	} else if (within(at, mp, sizeof *mp, &o)) {
		snprintf(name, bytes, "%s",
			o == offsetof(MPOOL, core.pins.puts)       ? "mode of puts"
			: o == offsetof(MPOOL, core.tables.newest) ? "newest table"
			: o >= offsetof(MPOOL, io.buffers)         ? "write buffer"
			: o >= offsetof(MPOOL, core.region)        ? "chunk word"
								   : "handle");
	} else if (!name_stripe(mp, at, name, bytes) && !name_latch(mp, at, name, bytes) &&
		   !name_table(mp, at, name, bytes) && !name_frame(mp, at, name, bytes)) {
		snprintf(name, bytes, "memory");
	}
}

uint32_t inside_home(MPOOL *mp, uint32_t n)
{
	return table_home(newest(mp), n);
}

uint32_t inside_numbers_attached(void)
{
	return EXTENT_TOP * EXTENT_PAGES;
}

void inside_end_background(MPOOL *mp)
{
	struct engine *e = NOW(mp->io.engine);
	if (!e)
		return;
	pthread_mutex_lock(&e->background.lock);
	e->background.ends = true;
	pthread_cond_broadcast(&e->background.changed);
	pthread_mutex_unlock(&e->background.lock);
}
