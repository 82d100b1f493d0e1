/* epoch.c - see epoch.h. */
#include "epoch.h"

void epoch_init(struct epoch_state *e)
{
	atomic_init(&e->now, EPOCH_FIRST);
	for (unsigned i = 0; i < CHUNK_COUNT; i++)
		atomic_init(&e->stamp[i], STAMP_NONE);
}

uint64_t epoch_now(const struct epoch *e)
{
	return atomic_load(&e->state->now);
}

void epoch_retire(const struct epoch *e, unsigned id)
{
	if (!region_withdraw(e->region, id))
		return;
	atomic_fetch_add(&e->state->limbo, 1);
	/* Locked: readers who load a later epoch see the withdrawal.  Until the
	 * stamp is stored the chunk has none, and nobody frees it. */
	uint64_t stamp = atomic_fetch_add(&e->state->now, 1);
	atomic_store(&e->state->stamp[id], stamp);

	uint64_t before = epoch_now(e);
	barrier_heavy(e->fenced);
	epoch_reclaim(e, before);
}

/* The oldest epoch that anybody still reads in. */
static uint64_t oldest_section(const struct epoch *e)
{
	uint64_t oldest = UINT64_MAX;
	uint32_t n = atomic_load(&e->pins->state->stripes);
	for (uint32_t id = 0; id < n; id++) {
		/* Acquire: pairs with the release in epoch_enter and epoch_leave. */
		uint64_t s = atomic_load_explicit(&pin_stripe(e->pins, id)->section, memory_order_acquire);
		if (s != EPOCH_OUTSIDE && s < oldest)
			oldest = s;
	}
	return oldest;
}

void epoch_reclaim(const struct epoch *e, uint64_t before)
{
	uint32_t nobody = 0;
	/* One at a time: two could free one chunk, the second one after its number
	 * was given to another.  Nobody waits for it. */
	if (!epoch_waiting(e) || !atomic_compare_exchange_strong(&e->state->reclaimer, &nobody, 1))
		return;
	uint64_t oldest = oldest_section(e);
	for (unsigned id = 0; id < CHUNK_COUNT; id++) {
		if (!region_in_limbo(e->region, id))
			continue;
		uint64_t stamp = atomic_load(&e->state->stamp[id]);
		if (stamp == STAMP_NONE || stamp >= before || stamp >= oldest)
			continue;
		atomic_store(&e->state->stamp[id], STAMP_NONE);
		region_release(e->region, id);
		atomic_fetch_sub(&e->state->limbo, 1);
	}
	atomic_store(&e->state->reclaimer, 0);
}
