/*
 * watchdog.c - see watchdog.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fair.h"

enum {
	LOOK_MS = 250,
	MS_IN_SECOND = 1000,
	NS_IN_MS = 1000000,
	GRACE_LOOKS = 40,     /* after SIGALRM */
	NO_WATCH_SLOWER = 50, /* times: the clock goes at least as fast, should its watcher be gone */
	WHAT_BYTES = 512,
};

/* Of the watched, its children and its watcher. */
struct shared {
	_Atomic uint64_t ms;    /* the watcher's: of its clock */
	_Atomic uint64_t begun; /* the watched's: what has begun, by number; even: it has ended */
	char what[WHAT_BYTES];
};

static struct shared *shared;
static uint64_t started_ms;
static unsigned limit;
static pid_t watcher;

static uint64_t wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MS_IN_SECOND + (uint64_t)t.tv_nsec / NS_IN_MS;
}

static void doze(void)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * NS_IN_MS};
	nanosleep(&pause, NULL);
}

static bool root_is_gone(const struct fair *f)
{
	return getppid() != f->root;
}

/* The watched says that it is out of time, and ends; if it cannot, we do. */
static _Noreturn void bark(struct fair *f, double begun, double wall, double ran)
{
	prctl(PR_SET_PDEATHSIG, 0);
	fprintf(stderr,
		"\nwatchdog: \"%s\" has not ended in %.0f seconds in which it could have run "
		"(%.0f by the wall clock, %.0f of processor time).  This is where it is:\n",
		shared->what, f->now - begun, f->wall - wall, f->ran - ran);
	fair_print(f, stderr);
	fflush(stderr);
	kill(f->root, SIGALRM);
	for (unsigned n = 0; n < GRACE_LOOKS && !root_is_gone(f); n++)
		doze();
	fair_kill_others(f);
	if (!root_is_gone(f)) {
		fprintf(stderr, "\nout of time: %s\n", shared->what);
		kill(f->root, SIGKILL);
	}
	_exit(EXIT_FAILURE);
}

static _Noreturn void watch(pid_t root)
{
	struct fair f;
	uint64_t seen = 0;
	double begun = 0, wall = 0, ran = 0;

	fair_begin(&f, root);
	while (!root_is_gone(&f)) {
		doze();
		fair_look(&f);
		atomic_store(&shared->ms, (uint64_t)(f.now * MS_IN_SECOND));
		uint64_t now = atomic_load(&shared->begun);
		if (now != seen || now % 2 == 0) {
			seen = now;
			begun = f.now;
			wall = f.wall;
			ran = f.ran;
		} else if (f.now - begun > limit) {
			bark(&f, begun, wall, ran);
		}
	}
	_exit(EXIT_SUCCESS);
}

void watchdog_start(unsigned limit_seconds)
{
	const char *given = getenv("MPOOL_TEST_SECONDS");
	pid_t root = getpid();
	void *map = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	limit = given != NULL && atoi(given) > 0 ? (unsigned)atoi(given) : limit_seconds;
	started_ms = wall_ms();
	if (map == MAP_FAILED)
		return;
	shared = map;
	/* Orphans of what it starts are watched too, and killed with it. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);
	watcher = fork();
	if (watcher != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "watchdog");
	/* What ends the watched, at the terminal or by its group, is not for us. */
	signal(SIGINT, SIG_IGN);
	signal(SIGALRM, SIG_IGN);
	watch(root);
}

void watchdog_begin(const char *what)
{
	if (shared == NULL)
		return;
	strncpy(shared->what, what, sizeof shared->what - 1);
	atomic_store(&shared->begun, (atomic_load(&shared->begun) + 1) | 1);
}

void watchdog_end(void)
{
	if (shared != NULL)
		atomic_store(&shared->begun, (atomic_load(&shared->begun) | 1) + 1);
}

const char *watchdog_what(void)
{
	return shared != NULL ? shared->what : "";
}

void watchdog_stop(void)
{
	if (watcher <= 0)
		return;
	kill(watcher, SIGKILL);
	while (waitpid(watcher, NULL, 0) < 0 && errno == EINTR)
		;
	watcher = 0;
}

uint64_t watchdog_ms(void)
{
	uint64_t least = (wall_ms() - started_ms) / NO_WATCH_SLOWER;
	uint64_t ms = shared != NULL ? atomic_load(&shared->ms) : 0;
	return ms > least ? ms : least;
}
