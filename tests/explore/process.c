/*
 * process.c - thread.c for the explorer, and what of its variables each process has
 * for itself.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "mpool.h" /* before the names of thread.c */

#include "core/thread.c"

#include "api/pool.h"
#include "object.h"
#include "os/transfer.h"

/* More pools than a process of a scenario opens. */
#define POOLS_AT_ONCE 4

struct of_process {
	struct place places[POOLS_AT_ONCE];
	uint32_t used, free, open;
	struct user users;
};
static struct of_process kept[OBJECT_PROCESSES];
static unsigned process;

void object_forks(void)
{
	transfer_before_fork();
	thread_before_fork();
}

void object_forked(void)
{
	thread_after_fork(true);
	transfer_after_fork(true);
}

/* The library's own: a pool's are in memory that it got. */
bool object_fork_waits_for(const void *mutex)
{
	extern char __data_start, _end;
	uintptr_t at = (uintptr_t)mutex;
	return mutex != &adopting && at >= (uintptr_t)&__data_start && at < (uintptr_t)&_end;
}

static void keep(struct of_process *p)
{
	memcpy(p->places, places_first, sizeof p->places);
	p->used = places_used;
	p->free = place_free;
	p->open = pools_open;
	p->users = users;
}

static void bring_back(const struct of_process *p)
{
	memcpy(places_first, p->places, sizeof p->places);
	places_used = p->used;
	place_free = p->free;
	pools_open = p->open;
	users = p->users;
}

unsigned object_process_now(void)
{
	return process;
}

void object_process(unsigned p)
{
	keep(&kept[process]);
	process = p;
	bring_back(&kept[p]);
}

void object_processes_begin(void)
{
	for (process = OBJECT_PROCESSES; process-- > 0;)
		kept[process] = (struct of_process){.free = PLACE_NONE, .users = {.next = &users, .before = &users}};
	process = 0;
	bring_back(&kept[0]);
	/* Of a run that went wrong, whose memory is gone. */
	inherited = forgotten = NULL;
}

bool object_open(MPOOL *mp)
{
	bool open = false;
	keep(&kept[process]);
	for (unsigned p = 0; p < OBJECT_PROCESSES; p++)
		for (unsigned i = 0; i < POOLS_AT_ONCE; i++)
			open |= kept[p].places[i].c == &mp->core;
	return open;
}

void object_forget_all(void)
{
	unsigned now = process;
	for (unsigned p = 0; p < OBJECT_PROCESSES; p++) {
		object_process(p);
		for (unsigned i = 0; i < POOLS_AT_ONCE; i++)
			if (places_first[i].c)
				thread_pool_closed(places_first[i].c);
	}
	object_processes_begin();
	object_process(now);
}
