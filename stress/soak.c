/*
 * soak.c - does the process use more and more of the machine?; see soak.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "soak.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "report.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { TRIES = 20 };

struct usage {
	uint64_t resident, addresses; /* bytes */
	uint64_t descriptors;
};

static struct usage now_used, most; /* most: in the warm-up, and what was complained of since */

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

/* The watch has some for a moment, when somebody seems to be stuck. */
static uint64_t least_descriptors(uint64_t bound)
{
	uint64_t least = count_descriptors();

	for (unsigned n = 0; n < TRIES && least > bound; n++) {
		uint64_t again = count_descriptors();

		least = again < least ? again : least;
		sched_yield();
	}
	return least;
}

static void read_usage(struct usage *u)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL || fscanf(file, "%" SCNu64 " %" SCNu64, &u->addresses, &u->resident) != 2)
		trouble("/proc/self/statm");
	fclose(file);
	u->addresses *= page;
	u->resident *= page;
	u->descriptors = least_descriptors(most.descriptors);
}

static void raise_to(uint64_t *most_so_far, uint64_t used)
{
	if (*most_so_far < used)
		*most_so_far = used;
}

/* Complains once for each step of `bound`. */
static void hold_to(const char *what, uint64_t used, uint64_t *at_first, uint64_t bound)
{
	if (used <= *at_first + bound)
		return;
	fault("%s grew to %" PRIu64 ", from %" PRIu64 " at most in the warm-up or at the last complaint", what, used,
	      *at_first);
	*at_first = used;
}

void soak_look(double now)
{
	read_usage(&now_used);
	if (now < SOAK_WARM_UP) {
		raise_to(&most.resident, now_used.resident);
		raise_to(&most.addresses, now_used.addresses);
		raise_to(&most.descriptors, now_used.descriptors);
		return;
	}
	hold_to("the number of descriptors", now_used.descriptors, &most.descriptors, 0);
	if (SANITIZED)
		return;
	hold_to("resident memory", now_used.resident, &most.resident, SOAK_RESIDENT);
	hold_to("the address space", now_used.addresses, &most.addresses, SOAK_ADDRESSES);
}

uint64_t soak_resident(void)
{
	return now_used.resident;
}
