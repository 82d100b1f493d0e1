/*
 * kill_report.c - what is counted and printed; see kill.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <inttypes.h>
#include <stdio.h>

#include "kill.h"
#include "report.h"

enum { MILLI_OF_MICRO = 1000 };

const char *const kill_call_name[CALLS] = {
	[CALL_NONE] = "between two calls",
	[CALL_CHANGE] = "changing a page",
	[CALL_GET] = "get",
	[CALL_GET_AGAIN] = "get, page held",
	[CALL_PUT] = "put",
	[CALL_PUT_DIRTY] = "put, dirty",
	[CALL_NEW] = "new",
	[CALL_REQUEST] = "new, requested",
	[CALL_DELETE] = "delete",
	[CALL_ABANDONED] = "abandoned",
	[CALL_SYNC] = "sync",
	[CALL_STATS] = "stats",
	[CALL_OPEN] = "open",
	[CALL_CLOSE] = "close",
	[CALL_THREADS] = "main thread",
	[CALL_PARKED] = "at rest",
	[CALL_ENDED] = "not there",
};

void kill_print_start(const struct options *o)
{
	char rounds[32] = "", time[32] = "";

	if (o->rounds > 0)
		snprintf(rounds, sizeof rounds, "%u rounds, ", o->rounds);
	if (o->seconds > 0)
		snprintf(time, sizeof time, "%u s, ", o->seconds);
	printf("kill: %u processes of %u threads, %s%s%" PRIu32 " to %" PRIu32 " pages of %" PRIu32
	       " bytes, cache %" PRIu32 "%s, seed %" PRIu64 "\n",
	       o->processes, o->threads, rounds, time, o->pages, o->pages_max, o->page_size, o->cache,
	       o->direct ? ", O_DIRECT" : "", o->seed);
}

void kill_print_progress(const struct kill *k, const struct kill_tally *t)
{
	const struct findings *f = &k->board->found;

	printf("%5.0f s %8lu rounds %8lu killed %10" PRIu64 " reads %10" PRIu64 " changes %6" PRIu64
	       " half-changed pages mended  pages %" PRIu32 "\n",
	       report_seconds(), t->rounds, t->killed, f->reads, f->changes, f->mended_half,
	       atomic_load(&k->board->allotted));
}

static void print_by_call(const struct kill_tally *t)
{
	printf("\n%-22s%12s%12s%16s\n", "threads killed in", "", "with pins", "in a change");
	for (int i = 0; i < CALLS; i++)
		if (t->by_call[i].threads > 0)
			printf("  %-20s%12lu%12lu%16lu\n", kill_call_name[i], t->by_call[i].threads,
			       t->by_call[i].with_pins, t->by_call[i].with_half);
}

static void print_strokes(const struct kill_tally *t)
{
	printf("rounds              %12lu\n", t->rounds);
	printf("processes killed    %12lu\n", t->killed);
	printf("  inside the pool   %12lu\n", t->killed_inside);
	printf("  soon after another%12lu\n", t->together);
	printf("  beside one stopped%12lu\n", t->while_stopped);
	printf("  at a chosen call  %12lu\n", t->aimed);
	printf("  long a zombie     %12lu\n", t->reaped_late);
	printf("processes stopped   %12lu\n", t->stopped);
	printf("  threads went on   %12lu\n", t->went_on);
	printf("  threads might wait%12lu\n", t->waited);
	printf("processes that left %12lu\n", t->quit);
}

static void print_found(const struct findings *f)
{
	printf("opens               %12" PRIu64 "\n", f->opens);
	printf("reads               %12" PRIu64 "\n", f->reads);
	printf("changes             %12" PRIu64 "\n", f->changes);
	printf("new pages           %12" PRIu64 "\n", f->news);
	printf("deletes             %12" PRIu64 "\n", f->deletes);
	printf("syncs               %12" PRIu64 "\n", f->syncs);
	printf("pages in a change when their owner died, and found\n");
	printf("  as before         %12" PRIu64 "\n", f->mended_old);
	printf("  changed           %12" PRIu64 "\n", f->mended_new);
	printf("  half, and marked  %12" PRIu64 "\n", f->mended_half);
	printf("  deleted, or afresh%12" PRIu64 "\n", f->mended_upset);
	printf("marks of a death    %12" PRIu64 "\n", f->abandoned_seen);
	printf("checks at rest      %12" PRIu64 "  (%" PRIu64 " of the file too)\n", f->checks, f->files_checked);
	printf("longest wait at rest%12.1f ms\n", (double)f->slowest_recovery / MILLI_OF_MICRO);
	printf("  for a mark        %12.1f ms\n", (double)f->slowest_mark / MILLI_OF_MICRO);
}

void kill_print_summary(const struct kill *k, const struct kill_tally *t)
{
	print_by_call(t);
	print_strokes(t);
	print_found(&k->board->found);
	printf("faults              %12lu\n", faults());
}

static void print_actor(const struct kill *k, unsigned process, unsigned thread)
{
	struct actor *a = &k->board->actor[kill_actor_number(k->o, process, thread)];
	pgno_t pgno = atomic_load(&a->pgno);

	fprintf(stderr, "    %s %u: %" PRIu64 " calls, %s", thread == k->o->threads ? "main thread" : "thread", thread,
	        atomic_load(&a->steps), kill_call_name[atomic_load(&a->call)]);
	if (pgno != KILL_NO_PAGE)
		fprintf(stderr, ", page %" PRIu32, pgno);
	for (unsigned i = 0; i < KILL_HELD_MAX; i++)
		if (atomic_load(&a->held[i]) != KILL_NOT_HELD)
			fprintf(stderr, "%s %" PRIu32, i == 0 ? ", holds" : "", atomic_load(&a->held[i]) - 1);
	fprintf(stderr, "\n");
}

void kill_print_actors(const struct kill *k)
{
	for (unsigned p = 0; p < k->o->processes; p++) {
		fprintf(stderr, "  process %u, %s the pool\n", p,
		        atomic_load(&k->board->member[p].inside) ? "in" : "not in");
		for (unsigned i = 0; i <= k->o->threads; i++)
			print_actor(k, p, i);
	}
	fprintf(stderr, "  the witness\n");
	print_actor(k, k->o->processes, 0);
}
