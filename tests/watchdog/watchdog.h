/*
 * watchdog.h - who hangs is ended, and it is said where he was.
 *
 * A process of its own watches the one that starts it, and all that this one starts,
 * with the clock of fair.h: what is only slow, because others use the machine, is let
 * go on.  What has not ended in its time gets SIGALRM, after a report of what each
 * thread is at; and soon after it, SIGKILL, with all that it has started.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TESTS_WATCHDOG_H
#define MPOOL_TESTS_WATCHDOG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Once, before there are threads.  MPOOL_TEST_SECONDS in the environment is a limit that overrides this one. */
void watchdog_start(unsigned limit_seconds);
/* Something begins, and has the limit's time to end. */
void watchdog_begin(const char *what);
void watchdog_end(void);
/* What has begun and not ended, in bytes that stay where they are. */
const char *watchdog_what(void);
void watchdog_stop(void);

/*
 * Milliseconds of the fair clock, for limits within a test; in the processes it starts too.
 * It goes in steps of some hundred.
 */
uint64_t watchdog_ms(void);

#ifdef __cplusplus
}
#endif

#endif
