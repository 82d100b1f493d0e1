/*
 * crew.h - the threads of one process that use the pool.
 *
 * Owns a place for each: while the run goes on, a thread that ends there is
 * replaced by a new one.  The storm's strokes go through here too.
 */
#ifndef STRESS_CREW_H
#define STRESS_CREW_H

#include <stdbool.h>

#include "churn.h"

/* Keeps a worker at every place until churn_over, and returns when all have ended. */
void crew_work(struct churn *run);

/* Waits for so long, or until crew_work is done: then it says false. */
bool crew_wait(unsigned milliseconds);

#endif
