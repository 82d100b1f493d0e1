/*
 * process.c - see process.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAT_MAX = 256 };

/* The beginning of a file of the process's in /proc; empty: there is none. */
static void read_proc(int32_t pid, const char *name, char *to, size_t size)
{
	char path[STAT_MAX];
	int fd;
	ssize_t n = 0;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, to, size - 1);
		close(fd);
	}
	to[n > 0 ? n : 0] = '\0';
}

static const char *word_for(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
	case 'I':
		return "sleeping";
	case 'D':
		return "blocked";
	case 'T':
	case 't':
		return "stopped";
	default:
		/* Or on its way out: what lives has its liveness lock. */
		return "alive";
	}
}

struct process process_of(const struct look_process *p)
{
	struct process process = {.state = "dead"};
	char stat[STAT_MAX];

	if (!p->alive)
		return process;
	if (p->where != LOOK_HERE) {
		process.state = p->where == LOOK_ELSEWHERE ? "elsewhere" : "alive";
		return process;
	}
	read_proc(p->pid, "comm", process.command, sizeof process.command);
	process.command[strcspn(process.command, "\n")] = '\0';
	read_proc(p->pid, "stat", stat, sizeof stat);
	/* "number (name) state ...", and the name may be anything. */
	const char *end = strrchr(stat, ')');
	process.state = word_for(end != NULL && end[1] == ' ' ? end[2] : '\0');
	return process;
}

const char *state_name(enum look_state state)
{
	static const char *const name[] = {
		[LOOK_LIVE] = "live",       [LOOK_CHANGING] = "changing",   [LOOK_STALE] = "stale",
		[LOOK_DAMAGED] = "damaged", [LOOK_UNTRUSTED] = "untrusted",
	};

	return name[state];
}

static int by_pid(const void *a, const void *b)
{
	const struct look_process *x = a, *y = b;

	return x->pid != y->pid ? (x->pid > y->pid) - (x->pid < y->pid) : (x->since > y->since) - (x->since < y->since);
}

static int by_state_and_key(const void *a, const void *b)
{
	const struct look_pool *x = a, *y = b;
	size_t both = x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes; /* 0 of a key that is not known */
	int order = (x->state > y->state) - (x->state < y->state);

	if (order == 0 && both > 0)
		order = memcmp(x->key, y->key, both);
	if (order == 0)
		order = (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);

	return order != 0 ? order : strcmp(x->name, y->name);
}

void look_sort(struct look *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->pool[i].processes > 0)
			qsort(l->pool[i].process, l->pool[i].processes, sizeof *l->pool[i].process, by_pid);
	if (l->n > 0)
		qsort(l->pool, l->n, sizeof *l->pool, by_state_and_key);
}
