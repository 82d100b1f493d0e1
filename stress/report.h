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
#include "options.h"
#include "page.h"

enum {
	EXIT_OK = 0,
	EXIT_FAULTS = 1,  /* the pool broke a promise */
	EXIT_TROUBLE = 2, /* wrong usage, or the test could not be run at all */
};

/* Starts the clock and the count. */
void report_start(const struct options *o);
/* Prints the command that makes the same choices to standard error, and what it cannot promise. */
void report_again(void);
double report_seconds(void); /* since report_start */

void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The page's bytes in `view`, seen at `where`, are not version `expected` of page `pgno`. */
void fault_page(const char *where, pgno_t pgno, uint64_t expected, const struct page_view *view);

/* The call, about this page or NO_PAGE, failed and must not: with errno's text. */
void fault_call(const char *call, pgno_t pgno);
/* What mpool_stats says does not hold together. */
void fault_stats(const char *what, const struct mpool_stats *st);
#define NO_PAGE MAX_PAGE_NUMBER

unsigned long faults(void);
bool faults_too_many(void); /* what follows is only more of the same */

/* Prints the last line of a run, and returns the exit status that goes with it. */
int report_verdict(void);

/* The test itself cannot go on: a message, errno's text, EXIT_TROUBLE. */
void trouble(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * Memory that all processes of a run see, zeros at first.  Made before the fork, it lies
 * at the same address in every process after it, so pointers into it may stand in it.
 */
void *shared_make(size_t size);

#endif
