/*
 * patience.h - how long has one been waited for, on a machine that may be busy?
 *
 * Owns a clock for the limits of time, in memory that processes share.  While all is
 * well it is any clock.  When somebody seems to be stuck, it goes only as fast as the
 * machine lets this process and those it has started go (tests/watchdog/fair.h): who
 * waits for a processor does not hang.
 */
#ifndef STRESS_PATIENCE_H
#define STRESS_PATIENCE_H

#include <stdbool.h>

/* Waited for as long as that, one seems to be stuck. */
#define PATIENCE_DOUBT 5.0

/* Before there are threads and other processes. */
void patience_start(void);
/*
 * Sets the clock.  Of one thread of the process that has begun it, again and again;
 * `doubt`: somebody seems to be stuck.
 */
void patience_look(bool doubt);
double patience_seconds(void);

#endif
