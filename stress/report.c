/*
 * report.c - what the program found wrong; see report.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "report.h"
#include "patience.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared.h"

enum { MESSAGE_SIZE = 512, NANOSECONDS = 1000000000 };

/* No lock: a process that is killed while it reports would keep it. */
struct found {
	_Atomic unsigned long count;
	char first[MESSAGE_SIZE]; /* written by whoever counts to 1 */
};

static struct found *found; /* shared by the processes; NULL before report_start */
static unsigned print_limit;
static uint64_t run_seed;
static const char *run_again;
static struct timespec started;

void report_start(unsigned limit, uint64_t seed, const char *again)
{
	print_limit = limit;
	run_seed = seed;
	run_again = again;
	found = shared_make(sizeof *found);
	clock_gettime(CLOCK_MONOTONIC, &started);
	patience_start();
}

double report_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / NANOSECONDS;
}

void report_again(void)
{
	fprintf(stderr, "again, with the same choices but not the same interleaving of threads:\n  %s\n", run_again);
}

void fault(const char *format, ...)
{
	char message[MESSAGE_SIZE];
	double at = report_seconds();
	unsigned long number;
	int state;
	va_list ap;

	/* Printing is a cancellation point, and the caller may hold a page's lock. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);

	number = atomic_fetch_add(&found->count, 1) + 1;
	if (number == 1)
		strcpy(found->first, message);
	if (number <= print_limit)
		fprintf(stderr, "fault %lu at %.3f s, seed %" PRIu64 ": %s\n", number, at, run_seed, message);
	if (number == print_limit)
		fprintf(stderr, "%lu faults: further ones are counted, not printed\n", number);
	pthread_setcancelstate(state, NULL);
}

static const char *what_is_wrong(pgno_t pgno, uint64_t expected, const struct page_view *view)
{
	if (view->state == PAGE_FOREIGN)
		return "bytes that were never written here";
	if (view->state == PAGE_ZERO)
		return "zeros";
	if (view->pgno != pgno)
		return "another page's bytes";
	if (view->state == PAGE_DAMAGED)
		return "a mixture of bytes";
	if (view->version < expected)
		return "an older version";
	return "a version that was never put";
}

void fault_page(const char *where, pgno_t pgno, uint64_t expected, const struct page_view *view)
{
	const char *wrong = what_is_wrong(pgno, expected, view);

	if (view->state == PAGE_ZERO || view->state == PAGE_FOREIGN)
		fault("%s: page %" PRIu32 ": expected version %" PRIu64 ", found %s", where, pgno, expected, wrong);
	else if (view->state == PAGE_DAMAGED)
		fault("%s: page %" PRIu32 ": expected version %" PRIu64 ", found %s: its header says "
		      "page %" PRIu32 " version %" PRIu64 " by %#" PRIx64 ", byte %zu is the first not of it",
		      where, pgno, expected, wrong, view->pgno, view->version, view->writer, view->first_wrong);
	else
		fault("%s: page %" PRIu32 ": expected version %" PRIu64 ", found %s: "
		      "page %" PRIu32 " version %" PRIu64 " by %#" PRIx64,
		      where, pgno, expected, wrong, view->pgno, view->version, view->writer);
}

unsigned long faults(void)
{
	return found == NULL ? 0 : atomic_load(&found->count);
}

bool faults_too_many(void)
{
	return faults() >= print_limit;
}

int report_verdict(void)
{
	unsigned long n = faults();

	if (n == 0) {
		printf("verdict: OK\n");
		return EXIT_OK;
	}
	report_again();
	printf("verdict: FAILED (%lu fault%s; the first: %s)\n", n, n == 1 ? "" : "s", found->first);
	return EXIT_FAULTS;
}

void trouble(const char *format, ...)
{
	int error = errno;
	va_list ap;

	fprintf(stderr, "mpool-stress: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(EXIT_TROUBLE);
}
