/*
 * worker.h - a thread that uses the pool at random.
 */
#ifndef STRESS_WORKER_H
#define STRESS_WORKER_H

#include <stdint.h>

#include "churn.h"

/*
 * Works until its life or the run is over.  `place` is its place in the watch
 * table, `life` tells it from those who were there before.  Pins that it has
 * when its life ends it puts, or leaves to others.
 */
void worker_live(struct churn *run, unsigned place, uint64_t life);

/* Pages that all workers together can have pinned at once, or a few more. */
uint64_t worker_pins_max(const struct options *o);

/*
 * At the end, by the main thread: puts what was left to others.  But up to `leave` of
 * those pins stay, whose pages were not modified: mpool_close must see to them.
 */
void worker_drain(struct churn *run, unsigned leave);

#endif
