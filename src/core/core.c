/* core.c - see core.h. */
#include "core/core.h"

void core_attach(struct core *c, const struct core_states *st, enum barrier barrier, unsigned member)
{
	c->barrier = barrier;
	if (barrier == BARRIER_FENCE)
		atomic_store(&c->handle.hits, HITS_OTHER);
	c->wait = st->wait;
	c->members = st->members;
	c->latch = st->latch;
	c->pins = (struct pins){&c->region, st->pin, barrier == BARRIER_FENCE ? PUTS_LOCKED : PUTS_PLAIN, member};
	c->epoch = (struct epoch){&c->region, &c->pins, st->epoch, barrier};
	c->tables = (struct tables){NULL, &c->region, st->table, false};
}

void core_told(struct core *c)
{
	atomic_store(&c->handle.hits, HITS_OTHER);
	/* Sequentially consistent, after the hits: pairs with newest_is. */
	atomic_store(&c->tables.told, true);
}

void core_fence(struct core *c)
{
	c->barrier = c->epoch.barrier = BARRIER_FENCE;
	atomic_store(&c->handle.hits, HITS_OTHER);
	atomic_store(&c->pins.puts, PUTS_LOCKED);
}
