/*
 * storm.h - signals and cancellations that strike workers at random.
 *
 * Owns a thread that picks a place, and what to do there, from the run's seed: send
 * the worker a signal, whose handler interrupts system calls, or cancel it.  When
 * that happens is up to the system.
 */
#ifndef STRESS_STORM_H
#define STRESS_STORM_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Call these for a place; a place whose worker is just ending is passed by. */
struct storm_calls {
	void (*signal)(unsigned place, int number);
	void (*cancel)(unsigned place);
};

void storm_start(const struct options *o, const struct storm_calls *calls);
void storm_stop(void);

#endif
