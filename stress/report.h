/*
 * report.h - what the program found wrong.
 *
 * Owns the count of faults and their print-out (standard error, one line each,
 * with the time since the start).  Any thread of any process may report: the count
 * is one for all that were forked after report_start.
 */
#ifndef STRESS_REPORT_H
#define STRESS_REPORT_H

#include <stdbool.h>

#include "mpool.h"
#include "page.h"

enum {
	EXIT_OK = 0,
	EXIT_FAULTS = 1,  /* the pool broke a promise */
	EXIT_TROUBLE = 2, /* wrong usage, or the test could not be run at all */
};

/*
 * Starts the clock and the count.  After `limit` faults no more are printed.  `again`: the
 * command that makes the same choices from the same seed.
 */
void report_start(unsigned limit, uint64_t seed, const char *again);
/* Prints that command to standard error, and what it cannot promise. */
void report_again(void);
double report_seconds(void); /* since report_start */

void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The page's bytes in `view`, seen at `where`, are not version `expected` of page `pgno`. */
void fault_page(const char *where, pgno_t pgno, uint64_t expected, const struct page_view *view);

unsigned long faults(void);
bool faults_too_many(void); /* the limit is reached: what follows is only more of the same */

/* Prints the last line of a run, and returns the exit status that goes with it. */
int report_verdict(void);

/* The test itself cannot go on: a message, errno's text, EXIT_TROUBLE. */
void trouble(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
