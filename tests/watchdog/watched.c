/*
 * watched.c - run a command that may neither hang nor meet others' pools.
 *
 *   watched [--seconds N] COMMAND [ARGUMENT...]
 *
 * The command has a /dev/shm of its own, where the system lets it (place.h), and so
 * many seconds of the fair clock (fair.h) to end; then it is told where it hangs, and
 * killed with all that it has started.  Ends as the command does.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fair.h"
#include "place.h"

enum {
	SECONDS = 1800, /* of the fair clock: of what takes minutes */
	LOOK_NS = 250000000,
	STATUS_USAGE = 2,
	STATUS_HANGS = 124,
	STATUS_NO_COMMAND = 127,
	STATUS_OF_SIGNALS = 128,
};

static pid_t start(char **command, const sigset_t *mask)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(command[0], command);
	fprintf(stderr, "watched: %s: %s\n", command[0], strerror(errno));
	_exit(STATUS_NO_COMMAND);
}

static _Noreturn void bark(struct fair *f, pid_t pid, char **command)
{
	fprintf(stderr, "\nout of time:");
	for (char **word = command; *word != NULL; word++)
		fprintf(stderr, " %s", *word);
	fprintf(stderr,
		"\nwatched: it has not ended in %.0f seconds in which it could have run "
		"(%.0f by the wall clock, %.0f of processor time).  This is where it is:\n",
		f->now, f->wall, f->ran);
	fair_print(f, stderr);
	kill(pid, SIGKILL);
	fair_kill_others(f);
	_exit(STATUS_HANGS);
}

/* Orphans come to us, and are waited for as well. */
static bool has_ended(pid_t pid, int *status)
{
	int its;
	for (pid_t ended; (ended = waitpid(-1, &its, WNOHANG)) > 0;)
		if (ended == pid) {
			*status = WIFEXITED(its) ? WEXITSTATUS(its) : STATUS_OF_SIGNALS + WTERMSIG(its);
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seconds", required_argument, NULL, 's'}, {0}};
	const struct timespec look = {.tv_nsec = LOOK_NS};
	unsigned seconds = SECONDS;
	sigset_t ended, mask;
	struct fair f;
	int status = 0;

	for (int option; (option = getopt_long(argc, argv, "+", options, NULL)) != -1;)
		if (option != 's' || (seconds = (unsigned)atoi(optarg)) == 0)
			return STATUS_USAGE;
	if (optind == argc) {
		fprintf(stderr, "usage: watched [--seconds N] COMMAND [ARGUMENT...]\n");
		return STATUS_USAGE;
	}
	if (!place_own(NULL))
		fprintf(stderr, "watched: the system gives no /dev/shm of its own: the user's pools are seen\n");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, &mask);
	pid_t pid = start(argv + optind, &mask);
	if (pid < 0) {
		fprintf(stderr, "watched: %s\n", strerror(errno));
		return STATUS_NO_COMMAND;
	}
	fair_begin(&f, getpid());
	while (!has_ended(pid, &status)) {
		sigtimedwait(&ended, NULL, &look);
		fair_look(&f);
		if (f.now > seconds)
			bark(&f, pid, argv + optind);
	}
	/* What it has left behind would keep whoever reads our output. */
	fair_look(&f);
	fair_kill_others(&f);
	fair_end(&f);
	return status;
}
