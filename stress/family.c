/*
 * family.c - one process that starts others; see family.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "family.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

enum { NANOSECONDS = 1000000000, SWEEP_SECONDS = 10 };

static pid_t parent;
static sigset_t usual, child_ended;

void family_start(void)
{
	parent = getpid();
	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ended, &usual);
}

pid_t family_fork(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		trouble("starting a process");
	if (pid == 0) {
		/* Dead already?  Then no signal will come. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(EXIT_TROUBLE);
		sigprocmask(SIG_SETMASK, &usual, NULL);
	}
	return pid;
}

void family_doze(double seconds)
{
	struct timespec limit = {.tv_sec = (time_t)seconds};

	limit.tv_nsec = (long)((seconds - (double)limit.tv_sec) * NANOSECONDS);
	sigtimedwait(&child_ended, NULL, &limit);
}

pid_t family_wait(double seconds, int *status)
{
	pid_t pid = waitpid(-1, status, WNOHANG);

	if (pid > 0 || seconds <= 0)
		return pid > 0 ? pid : 0;
	family_doze(seconds);
	pid = waitpid(-1, status, WNOHANG);
	return pid > 0 ? pid : 0;
}

void family_kill(pid_t pid)
{
	if (pid == 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* In a child, for it must not hang this process when it hangs the pool. */
void family_sweep_away(char *key, int fd, pgno_t page_size)
{
	pid_t pid = family_fork();
	MPOOL *pool;

	if (pid == 0) {
		alarm(SWEEP_SECONDS);
		pool = mpool_open(key, fd, page_size, 1);
		if (pool != NULL)
			mpool_close(pool);
		_exit(EXIT_OK);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
