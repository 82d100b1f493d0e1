/*
 * fair.h - a clock for limits of time: it goes as fast as the machine lets the
 * watched ones go.
 *
 * What hangs must fail, and what is only slow must not, however busy the machine
 * is.  The difference: who hangs is not waiting for a processor.  So this clock
 * looks, a few times a second, at a process and all that it has started:
 *
 *   all their threads sleep            it goes as any clock does
 *   some run, or wait for a processor  it goes by the share that they get of the processors they could use
 *   some wait for a disk               it goes slowly
 *
 * It takes no more than its looks: no signal, no thread, nothing of the watched.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TESTS_FAIR_H
#define MPOOL_TESTS_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct fair_process {
	pid_t pid, parent;
	uint64_t started; /* by the kernel's count: with the number, which process it is */
	uint64_t ran;     /* ticks of processor time, of its children that were waited for too */
	char state;       /* of its first thread */
	unsigned threads;
	bool watched;
};

struct fair {
	pid_t root;
	double now;  /* seconds since fair_begin, by this clock */
	double wall; /* ... by the wall clock */
	double ran;  /* ... of processor time, of all of them */
	/* The last look's own. */
	double looked_at, begun_at;
	uint64_t ticks;
	double runnable; /* threads */
	struct fair_process *process;
	size_t processes, room;
};

/* Watch `root` and what it starts, but for the calling process, should it be of these. */
void fair_begin(struct fair *f, pid_t root);
/* Look, and set the clock. */
void fair_look(struct fair *f);
/* A line on each of the threads that are watched: what it is at. */
void fair_print(const struct fair *f, FILE *to);
/* All but the root are sent SIGKILL. */
void fair_kill_others(const struct fair *f);
void fair_end(struct fair *f);

#endif
