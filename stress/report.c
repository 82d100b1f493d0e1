/*
 * report.c - what the program found wrong; see report.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MESSAGE_SIZE = 512, NANOSECONDS = 1000000000, PRINTED = 20 };

/* No lock: a process that is killed while it reports would keep it. */
struct found {
	_Atomic unsigned long count;
	char first[MESSAGE_SIZE]; /* written by whoever counts to 1 */
};

static struct found *found; /* shared by the processes; NULL before report_start */
static const struct options *options;
static struct timespec started;

void *shared_make(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		trouble("no memory of %zu bytes for all processes", size);
	return memory;
}

void report_start(const struct options *o)
{
	options = o;
	found = shared_make(sizeof *found);
	clock_gettime(CLOCK_MONOTONIC, &started);
}

double report_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / NANOSECONDS;
}

void report_again(void)
{
	fprintf(stderr, "again, with the same choices but not the same interleaving of threads:\n  %s\n",
	        options->again);
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
	if (number <= PRINTED)
		fprintf(stderr, "fault %lu at %.3f s, seed %u: %s\n", number, at, options->seed, message);
	if (number == PRINTED)
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
	char header[MESSAGE_SIZE / 2] = "";

	if (view->state == PAGE_INTACT || view->state == PAGE_DAMAGED)
		snprintf(header, sizeof header, ": its header says page %" PRIu32 " version %" PRIu64 " by %#" PRIx64,
		         view->pgno, view->version, view->writer);
	if (view->state == PAGE_DAMAGED)
		snprintf(header + strlen(header), sizeof header - strlen(header), ", from byte %zu on it is not that",
		         view->first_wrong);
	fault("%s: page %" PRIu32 ": expected version %" PRIu64 ", found %s%s", where, pgno, expected, wrong, header);
}

void fault_call(const char *call, pgno_t pgno)
{
	if (pgno == NO_PAGE)
		fault("%s: %s", call, strerror(errno));
	else
		fault("%s: page %" PRIu32 ": %s", call, pgno, strerror(errno));
}

void fault_stats(const char *what, const struct mpool_stats *st)
{
	fault("mpool_stats: %s: hits %" PRIu64 ", misses %" PRIu64 ", cached %" PRIu64 ", dirty %" PRIu64
	      ", pinned %" PRIu64 ", overflow %" PRIu64 ", pages %" PRIu64 ", maxcache %" PRIu64 ", pagesize %" PRIu64
	      ", processes %" PRIu64 ", deaths %" PRIu64,
	      what, st->hits, st->misses, st->cached, st->dirty, st->pinned, st->overflow, st->pages, st->maxcache,
	      st->pagesize, st->processes, st->deaths);
}

unsigned long faults(void)
{
	return found == NULL ? 0 : atomic_load(&found->count);
}

bool faults_too_many(void)
{
	return faults() >= PRINTED;
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
