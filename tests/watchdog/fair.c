/*
 * fair.c - see fair.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "fair.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Seconds that a look may count: if it was longer, the watcher, too, was not given its time; or all were stopped. */
#define MOST_BETWEEN_LOOKS 0.5

enum {
	THREADS_LOOKED_AT = 256, /* of one process: more are not more to learn from */
	DISK_SLOWER = 20,        /* times: who waits for a disk may wait for others' transfers */
	BLIND_SLOWER = 10,       /* times: without /proc it is not known who waits for what */
	NAME_BYTES = 300,
	TEXT_BYTES = 1024,
};

static double wall_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_text(const char *name, char *text, size_t bytes)
{
	FILE *f = fopen(name, "re");
	if (f == NULL)
		return false;
	size_t n = fread(text, 1, bytes - 1, f);
	fclose(f);
	text[n] = 0;
	return n > 0;
}

/* What follows the name, which may have anything in it. */
static const char *after_name(const char *stat)
{
	const char *end = strrchr(stat, ')');
	return end != NULL && end[1] == ' ' ? end + 2 : NULL;
}

static bool read_process(struct fair_process *p, const char *name)
{
	char path[NAME_BYTES], text[TEXT_BYTES];
	uint64_t user, system, children_user, children_system;

	snprintf(path, sizeof path, "/proc/%s/stat", name);
	if (!read_text(path, text, sizeof text) || after_name(text) == NULL)
		return false;
	*p = (struct fair_process){.pid = (pid_t)atoi(name)};
	if (sscanf(after_name(text),
		    "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		    " %*d %*d %u %*d %" SCNu64,
		    &p->state, &p->parent, &user, &system, &children_user, &children_system, &p->threads,
		    &p->started) != 8)
		return false;
	p->ran = user + system + children_user + children_system;
	return true;
}

static bool keep(struct fair *f, const struct fair_process *p)
{
	if (f->processes == f->room) {
		size_t room = f->room > 0 ? 2 * f->room : TEXT_BYTES;
		struct fair_process *more = realloc(f->process, room * sizeof *more);
		if (more == NULL)
			return false;
		f->process = more;
		f->room = room;
	}
	f->process[f->processes++] = *p;
	return true;
}

static bool has_watched_parent(const struct fair *f, const struct fair_process *p)
{
	for (size_t i = 0; i < f->processes; i++)
		if (f->process[i].watched && f->process[i].pid == p->parent)
			return true;
	return false;
}

/* The root, and whose parent is watched. */
static void choose_watched(struct fair *f)
{
	bool more = true;
	for (size_t i = 0; i < f->processes; i++)
		f->process[i].watched = f->process[i].pid == f->root;
	while (more) {
		more = false;
		for (size_t i = 0; i < f->processes; i++) {
			struct fair_process *p = &f->process[i];
			if (!p->watched && p->pid != getpid() && has_watched_parent(f, p))
				p->watched = more = true;
		}
	}
}

static void read_processes(struct fair *f)
{
	struct fair_process p;
	DIR *directory = opendir("/proc");
	f->processes = 0;
	if (directory == NULL)
		return;
	for (struct dirent *e; (e = readdir(directory)) != NULL;)
		if (isdigit((unsigned char)e->d_name[0]) && read_process(&p, e->d_name) && !keep(f, &p))
			break;
	closedir(directory);
	choose_watched(f);
}

/* Calls `each` with the folder of each thread of a process, and its number. */
static void for_threads(
	const struct fair_process *p, void (*each)(const char *folder, const char *number, void *arg), void *arg)
{
	char path[NAME_BYTES];
	snprintf(path, sizeof path, "/proc/%d/task", (int)p->pid);
	DIR *directory = opendir(path);
	if (directory == NULL)
		return;
	unsigned left = THREADS_LOOKED_AT;
	for (struct dirent *e; left > 0 && (e = readdir(directory)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		left--;
		each(path, e->d_name, arg);
	}
	closedir(directory);
}

struct states {
	unsigned runnable, at_disk;
};

static void count_state(struct states *s, char state)
{
	s->runnable += state == 'R';
	s->at_disk += state == 'D';
}

/* The looking thread is one that runs, always. */
static bool is_looking(pid_t thread)
{
	return thread == (pid_t)syscall(SYS_gettid);
}

static void count_thread(const char *folder, const char *number, void *arg)
{
	if (is_looking((pid_t)atoi(number)))
		return;
	char path[2 * NAME_BYTES], text[TEXT_BYTES];
	snprintf(path, sizeof path, "%s/%s/stat", folder, number);
	if (read_text(path, text, sizeof text) && after_name(text) != NULL)
		count_state(arg, *after_name(text));
}

/* False: nothing is known of them. */
static bool count_states(struct fair *f, struct states *s, uint64_t *ticks)
{
	bool any = false;
	*s = (struct states){0};
	*ticks = 0;
	for (size_t i = 0; i < f->processes; i++) {
		const struct fair_process *p = &f->process[i];
		if (!p->watched)
			continue;
		any = true;
		*ticks += p->ran;
		if (p->threads > 1)
			for_threads(p, count_thread, s);
		else if (!is_looking(p->pid))
			count_state(s, p->state);
	}
	return any;
}

static double processors(void)
{
	cpu_set_t set;
	long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (double)n : 1;
}

void fair_begin(struct fair *f, pid_t root)
{
	struct states s;
	*f = (struct fair){.root = root};
	f->looked_at = f->begun_at = wall_seconds();
	read_processes(f);
	count_states(f, &s, &f->ticks);
}

/* The part of the last `dt` seconds that they were given. */
static double given(const struct fair *f, const struct states *s, double ran, double dt)
{
	double runnable = (f->runnable + s->runnable) / 2; /* between the looks */
	double asked = runnable < processors() ? runnable : processors();
	if (s->at_disk > 0)
		return 1.0 / DISK_SLOWER;
	if (asked * dt <= ran)
		return 1;
	/* They slept for a part of it, if less than one was runnable; and ran for a part of the rest. */
	return asked < 1 ? 1 - asked + ran / dt : ran / dt / asked;
}

void fair_look(struct fair *f)
{
	struct states s;
	uint64_t ticks;
	double at = wall_seconds(), dt = at - f->looked_at;

	read_processes(f);
	bool known = count_states(f, &s, &ticks);
	f->wall = at - f->begun_at;
	f->looked_at = at;
	if (!known) {
		f->now += dt / BLIND_SLOWER;
		return;
	}
	/* Processes whose parent ended without waiting for them take their ticks along. */
	double ran = ticks > f->ticks ? (double)(ticks - f->ticks) / (double)sysconf(_SC_CLK_TCK) : 0;
	double part = given(f, &s, ran, dt);
	f->now += (dt < MOST_BETWEEN_LOOKS ? dt : MOST_BETWEEN_LOOKS) * (part < 1 ? part : 1);
	f->ran += ran;
	f->ticks = ticks;
	f->runnable = s.runnable;
}

static void trim(char *text)
{
	text[strcspn(text, "\n")] = 0;
}

static void print_thread(const char *folder, const char *number, void *arg)
{
	char path[2 * NAME_BYTES], stat[TEXT_BYTES], place[TEXT_BYTES] = "?", call[TEXT_BYTES] = "?",
						     name[TEXT_BYTES] = "?";
	snprintf(path, sizeof path, "%s/%s/stat", folder, number);
	if (!read_text(path, stat, sizeof stat) || after_name(stat) == NULL)
		return;
	snprintf(path, sizeof path, "%s/%s/wchan", folder, number);
	read_text(path, place, sizeof place);
	snprintf(path, sizeof path, "%s/%s/syscall", folder, number);
	read_text(path, call, sizeof call);
	snprintf(path, sizeof path, "%s/%s/comm", folder, number);
	read_text(path, name, sizeof name);
	call[strcspn(call, " ")] = 0;
	trim(call);
	trim(name);
	trim(place);
	fprintf(arg, "    thread %s, %s: state %c, system call %s, in the kernel at %s\n", number, name,
		*after_name(stat), call, place);
}

void fair_print(const struct fair *f, FILE *to)
{
	for (size_t i = 0; i < f->processes; i++) {
		const struct fair_process *p = &f->process[i];
		if (!p->watched)
			continue;
		fprintf(to, "  process %d, of %d:\n", (int)p->pid, (int)p->parent);
		for_threads(p, print_thread, to);
	}
}

void fair_kill_others(const struct fair *f)
{
	for (size_t i = 0; i < f->processes; i++) {
		const struct fair_process *p = &f->process[i];
		struct fair_process now;
		char number[NAME_BYTES];
		snprintf(number, sizeof number, "%d", (int)p->pid);
		/* The number may be another's by now. */
		if (p->watched && p->pid != f->root && read_process(&now, number) && now.started == p->started)
			kill(p->pid, SIGKILL);
	}
}

void fair_end(struct fair *f)
{
	free(f->process);
	*f = (struct fair){0};
}
