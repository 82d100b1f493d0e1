/*
 * handover.h - pins on their way from one thread to another.
 *
 * Owns a number of places, each with room for one pin; any thread leaves pins
 * there, and any thread takes them.  What is there belongs to nobody until it
 * is taken: the giver's thread may be gone by then.
 */
#ifndef STRESS_HANDOVER_H
#define STRESS_HANDOVER_H

#include <stdbool.h>

#include "mpool.h"

/* One pin, to be put once. */
struct pin {
	pgno_t pgno;
	void *page;
	uint64_t version; /* not 0: the page was modified to this version, to be saved with the put */
	bool marked;      /* another pin was put with MPOOL_DIRTY while this one lasted */
};

struct handover;

struct handover *handover_make(unsigned places);
void handover_free(struct handover *h);

/*
 * `from`, any number, says where to look first.  False, and nothing happens,
 * when all places are full, or empty.
 */
bool handover_give(struct handover *h, unsigned from, const struct pin *pin);
bool handover_take(struct handover *h, unsigned from, struct pin *pin);

#endif
