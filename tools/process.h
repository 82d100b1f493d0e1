/*
 * process.h - what the system says of a process that shares a pool.
 *
 * Owns nothing: it reads /proc.  That a process lives, its liveness lock says (look.h);
 * /proc adds whether it runs, and what it is called, where its number is one that
 * can be seen from here.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TOOLS_PROCESS_H
#define MPOOL_TOOLS_PROCESS_H

#include "look.h"

enum { COMMAND_MAX = 64 };

struct process {
	const char *state;         /* running, sleeping, blocked, stopped, dead; elsewhere: in another PID
	                    * namespace; alive: no more is known */
	char command[COMMAND_MAX]; /* as the system has it; empty: unknown */
};

struct process process_of(const struct look_process *p);

/* What a pool's state is called. */
const char *state_name(enum look_state state);

/* For people: the pools by state and key, their processes by number. */
void look_sort(struct look *l);

#endif
