/* resize.c - see resize.h. */
#include "core/resize.h"

/* The first table is for that many pages at least, if the pool ever holds them. */
#define FIRST_ENTRIES 1024u
/* Buckets to drain in one step: a few microseconds. */
#define DRAIN_BUCKETS 16u
/* ... in a pass that should find no entries: takes as long. */
#define QUIET_BUCKETS 256u

uint64_t resize_first(uint32_t frames, uint32_t pages)
{
	uint64_t entries = pages < FIRST_ENTRIES ? FIRST_ENTRIES : pages;
	return entries < frames ? entries : frames;
}

/* Too full at three quarters: a new table is two thirds full, and concurrent misses need some of the rest. */
static bool too_full(const struct table *t)
{
	return table_entries(t) * 4 > (uint64_t)t->buckets * LINE_WORDS * 3;
}

/* More than twice what segment 0 needs, and no more entries than that are in use. */
static bool too_large(const struct core *c, const struct table *t)
{
	uint64_t frames = frames_capacity(&c->frames);
	return TABLE_ENTRIES_OF(t->buckets) > 2 * frames + TABLE_ENTRIES_OF(1) && table_entries(t) <= frames;
}

/* Replace the table by one of the same size, with the next factor. */
static int rehash(struct core *c, uint32_t me, const struct table *t)
{
	return table_replace(&c->tables, me, t, TABLE_ENTRIES_OF(t->buckets), table_factor_number(t) + 1);
}

int resize_renew(struct core *c, struct stripe *me)
{
	epoch_enter(&c->epoch, me);
	const struct table *t = table_head(&c->tables);
	/* There is always one. */
	if (!t)
		__builtin_unreachable();
	int made = rehash(c, me->id, t);
	epoch_leave(me);
	return made;
}

int resize_grow(struct core *c, uint32_t me, const struct table *full)
{
	uint64_t frames = frames_capacity(&c->frames), entries = TABLE_ENTRIES_OF(full->buckets);
	if (table_clumped(full, true))
		return rehash(c, me, full);
	/* The last doubling of a pool that fills is limited to what it needs. */
	entries = entries < frames && 2 * entries > frames ? frames : 2 * entries;
	return table_replace(&c->tables, me, full, entries, table_factor_number(full));
}

/* Move entry `e`, which was found at `from`, unless its frame is claimed.  False: the head is full there. */
static bool move(struct core *c, const struct stripe *me, const struct table_ref *from, uint64_t e)
{
	uint32_t f = entry_who(e);
	struct frame *fr = frame_live(&c->frames, f);
	if (!fr || !frame_claim(fr, me->id))
		return true;
	/* Under the claim the entry does not change. */
	bool moved = true;
	if (atomic_load(from->word) == e) {
		FRAME_CHECK_HELD(fr, entry_page(e));
		moved = table_move(&c->tables, from);
	}
	core_unclaim(c, f, fr);
	return moved;
}

void resize_hit(struct core *c, const struct stripe *me, const struct table_ref *at, uint64_t e)
{
	if (at->table != table_head(&c->tables) && entry_state(e) == ENTRY_RESIDENT)
		(void)move(c, me, at, e);
}

/* Move the resident entries of bucket `b`.  False: the head is full there. */
static bool drain_bucket(struct core *c, const struct stripe *me, struct table *t, uint32_t b)
{
	for (unsigned s = 0; s < LINE_WORDS; s++) {
		struct table_ref ref = {t, b, &t->bucket[b].word[s]};
		uint64_t e = atomic_load(ref.word);
		if (e != ENTRY_FREE && entry_state(e) == ENTRY_RESIDENT && !move(c, me, &ref, e))
			return false;
		/* Claimed and loading entries are left for the next pass; evictable ones are evicted before that anyway. */
		if (e != ENTRY_FREE && atomic_load(ref.word) != ENTRY_FREE)
			atomic_store(&t->left, true);
	}
	return true;
}

/*
 * A pass over an older table has come to its end.  True: it is empty for good.
 * Only the second pass that finds nothing can tell: entries are placed in it as
 * long as sections last in which it was the head.
 */
static bool pass_ends(struct core *c, struct table *t)
{
	bool none = !atomic_load(&t->left), quiet = atomic_load(&t->quiet);
	if (none && quiet)
		return true;
	if (none)
		atomic_store(&t->quiet, epoch_passed(&c->epoch, atomic_load(&t->since)));
	atomic_store(&t->left, false);
	atomic_store(&t->drained, 0);
	return false;
}

/* Drain some buckets of the oldest table.  Returns it if they were its last, or NULL. */
static struct table *drain_some(struct core *c, const struct stripe *me)
{
	struct table *t = table_oldest(&c->tables);
	if (!t)
		return NULL;
	if (atomic_load(&t->since) == 0)
		atomic_store(&t->since, epoch_stamp(&c->epoch));
	uint32_t b = atomic_load(&t->drained);
	uint32_t step = atomic_load(&t->quiet) ? QUIET_BUCKETS : DRAIN_BUCKETS;
	for (uint32_t i = 0; i < step && b < t->buckets && drain_bucket(c, me, t, b); i++)
		b++;
	atomic_store(&t->drained, b);
	return b == t->buckets ? t : NULL;
}

/* With the drain's role. */
static void drain(struct core *c, struct stripe *me)
{
	epoch_enter(&c->epoch, me);
	struct table *t = drain_some(c, me);
	epoch_leave(me);
	/* Only the holder of the role unlinks it. */
	if (!t || !pass_ends(c, t))
		return;
	epoch_enter(&c->epoch, me);
	table_unlink(&c->tables, t);
	epoch_leave(me);
	epoch_retire(&c->epoch, me, t->id);
}

void resize_step(struct core *c, struct stripe *me)
{
	epoch_enter(&c->epoch, me);
	struct table *t = table_head(&c->tables);
	bool older = atomic_load_explicit(&t->next, memory_order_relaxed) != TABLE_NONE;
	/* If there is no memory for it, the table goes on working, only slower. */
	if (too_full(t))
		(void)resize_grow(c, me->id, t);
	else if (!older && table_clumped(t, false))
		(void)rehash(c, me->id, t);
	else if (!older && !epoch_waiting(&c->epoch) && too_large(c, t))
		(void)table_replace(&c->tables, me->id, t, frames_capacity(&c->frames), table_factor_number(t));
	epoch_leave(me);
	uint32_t nobody = 0;
	if (older && atomic_compare_exchange_strong(&c->tables.state->draining, &nobody, me->id + 1)) {
		drain(c, me);
		atomic_store(&c->tables.state->draining, 0);
	}
}
