/*
 * soak.c - does the process use more and more of the machine?
 *
 * Owns the bounds.  What is used at most during the warm-up is the measure: the file has
 * grown by its end, all threads were there, every kind of call was made.  Sanitizers keep
 * memory for purposes of their own, so of a sanitized program only the descriptors are
 * looked at.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "report.h"
#include "run.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { TRIES = 20, SOAK_WARM_UP = 2 * SOAK_GROWTH, MEBI_BITS = 20 };

enum { DESCRIPTORS, RESIDENT, ADDRESSES, USAGES };

static struct {
	const char *what;
	uint64_t may_grow;
	uint64_t most; /* in the warm-up, and what was complained of since */
} usage[USAGES] = {
	[DESCRIPTORS] = {.what = "the number of descriptors"},
	[RESIDENT] = {.what = "resident memory", .may_grow = UINT64_C(32) << MEBI_BITS},
	[ADDRESSES] = {.what = "the address space", .may_grow = UINT64_C(512) << MEBI_BITS},
};

static uint64_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (directory == NULL)
		trouble("/proc/self/fd");
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n;
}

/* The guard has some for a moment, when somebody seems to be stuck. */
static uint64_t least_descriptors(void)
{
	uint64_t least = count_descriptors();

	for (unsigned n = 0; n < TRIES && least > usage[DESCRIPTORS].most; n++) {
		uint64_t again = count_descriptors();

		least = again < least ? again : least;
		sched_yield();
	}
	return least;
}

uint64_t soak_look(double now)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), used[USAGES];
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL || fscanf(file, "%" SCNu64 " %" SCNu64, &used[ADDRESSES], &used[RESIDENT]) != 2)
		trouble("/proc/self/statm");
	fclose(file);
	used[ADDRESSES] *= page;
	used[RESIDENT] *= page;
	used[DESCRIPTORS] = least_descriptors();
	for (unsigned i = 0; i < (SANITIZED ? RESIDENT : USAGES); i++) {
		uint64_t bound = now < SOAK_WARM_UP ? 0 : usage[i].may_grow;

		if (used[i] <= usage[i].most + bound)
			continue;
		if (now >= SOAK_WARM_UP)
			fault("%s grew to %" PRIu64 ", from %" PRIu64
			      " at most in the warm-up or at the last complaint",
			      usage[i].what, used[i], usage[i].most);
		usage[i].most = used[i];
	}
	return used[RESIDENT];
}
