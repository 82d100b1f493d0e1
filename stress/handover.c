/*
 * handover.c - pins on their way from one thread to another; see handover.h.
 *
 * A place has a state of its own:
 *
 *   empty -> busy -> full      the giver's, around its store of the pin
 *   full  -> busy -> empty     the taker's, around its load
 *
 * Whoever finds a place busy goes on to the next, so a thread stopped in the
 * middle holds up nobody.  (A ring would not do: the producers of Concurrency
 * Kit's wait for each other in a loop, and with more threads than cores they
 * spend their whole time slices there.  ThreadSanitizer cannot follow it either.)
 *
 * A hand-over orders the two threads, no more: a mutex would order all threads
 * and so hide from ThreadSanitizer what the pool fails to order.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "handover.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "report.h"

enum state { STATE_EMPTY, STATE_BUSY, STATE_FULL };

struct place {
	_Atomic int state;
	struct pin pin;
};

struct handover {
	unsigned places;
	struct place place[];
};

struct handover *handover_make(unsigned places)
{
	struct handover *h = calloc(1, sizeof *h + places * sizeof h->place[0]);

	if (h == NULL)
		trouble("no memory for %u pins", places);
	h->places = places;
	return h;
}

void handover_free(struct handover *h)
{
	free(h);
}

/* A place in that state, which is busy now, and ours; or NULL. */
static struct place *occupy(struct handover *h, unsigned from, int wanted)
{
	for (unsigned i = 0; i < h->places; i++) {
		struct place *p = &h->place[(from % h->places + i) % h->places];
		int expected = wanted;

		if (atomic_load_explicit(&p->state, memory_order_relaxed) == wanted &&
		    atomic_compare_exchange_strong_explicit(&p->state, &expected, STATE_BUSY, memory_order_acquire,
		                                            memory_order_relaxed))
			return p;
	}
	return NULL;
}

bool handover_give(struct handover *h, unsigned from, const struct pin *pin)
{
	struct place *p = occupy(h, from, STATE_EMPTY);

	if (p == NULL)
		return false;
	p->pin = *pin;
	atomic_store_explicit(&p->state, STATE_FULL, memory_order_release);
	return true;
}

bool handover_take(struct handover *h, unsigned from, struct pin *pin)
{
	struct place *p = occupy(h, from, STATE_FULL);

	if (p == NULL)
		return false;
	*pin = p->pin;
	atomic_store_explicit(&p->state, STATE_EMPTY, memory_order_release);
	return true;
}
