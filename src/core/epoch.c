/* epoch.c - see epoch.h. */
#include "core/epoch.h"

void epoch_init(struct epoch_state *e)
{
	atomic_init(&e->now, EPOCH_FIRST);
}

uint64_t epoch_now(const struct epoch *e)
{
	return atomic_load(&e->state->now);
}

uint64_t epoch_stamp(const struct epoch *e)
{
	/* Locked: readers who load a later epoch see what was changed before. */
	return atomic_fetch_add(&e->state->now, 1);
}

void epoch_retire(const struct epoch *e, const struct stripe *me, unsigned id)
{
	/* It is not freed before its real stamp is stored. */
	atomic_store(&e->state->stamp[id], STAMP_RETIRING | me->id);
	if (!region_withdraw(e->region, id))
		return;
	atomic_store(&e->state->waiting, true);
	atomic_store(&e->state->stamp[id], epoch_stamp(e));

	uint64_t before = epoch_now(e);
	pin_barrier(e->pins, e->barrier);
	epoch_reclaim(e, me, before);
}

/* The oldest epoch of any open section. */
static uint64_t oldest_section(const struct epoch *e)
{
	uint64_t oldest = UINT64_MAX;
	struct listed l = LISTED_FIRST(e->pins);
	for (const struct stripe *s; (s = listed_next(&l));) {
		/* Acquire: pairs with the release in epoch_enter and epoch_leave. */
		uint64_t section = atomic_load_explicit(&s->section, memory_order_acquire);
		if (section != EPOCH_OUTSIDE && section < oldest)
			oldest = section;
	}
	return oldest;
}

bool epoch_passed(const struct epoch *e, uint64_t stamp)
{
	pin_barrier(e->pins, e->barrier); /* pairs with barrier_light in epoch_enter */
	return stamp < oldest_section(e);
}

void epoch_reclaim(const struct epoch *e, const struct stripe *me, uint64_t before)
{
	uint32_t nobody = 0;
	/* One at a time: two could free one chunk, the second after its number was
	 * given to another chunk.  No thread waits for the role. */
	if (!epoch_waiting(e) || !atomic_compare_exchange_strong(&e->state->reclaimer, &nobody, me->id + 1))
		return;
	/* Before the chunks are checked: a chunk withdrawn after that sets it again. */
	atomic_store(&e->state->waiting, false);
	uint64_t oldest = oldest_section(e);
	for (unsigned id = 0; id < CHUNK_COUNT; id++) {
		if (!region_retired(e->region, id))
			continue;
		uint64_t stamp = atomic_load(&e->state->stamp[id]);
		if (!(stamp & STAMP_RETIRING) && stamp < before && stamp < oldest)
			region_release(e->region, id);
		else
			atomic_store(&e->state->waiting, true);
	}
	atomic_store(&e->state->reclaimer, 0);
}

void epoch_recover(const struct epoch *e, stripe_test *dead, void *of)
{
	for (unsigned id = 0; id < CHUNK_COUNT; id++) {
		uint64_t stamp = atomic_load(&e->state->stamp[id]);
		if ((stamp & STAMP_RETIRING) && dead(of, (uint32_t)stamp) && region_retired(e->region, id))
			atomic_store(&e->state->stamp[id], epoch_stamp(e));
	}
	/* It may have died after a withdrawal and before setting it, or in a release. */
	atomic_store(&e->state->waiting, true);
	uint32_t reclaimer = atomic_load(&e->state->reclaimer);
	if (reclaimer && dead(of, reclaimer - 1))
		atomic_store(&e->state->reclaimer, 0);
}
