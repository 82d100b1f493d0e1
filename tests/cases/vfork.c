/*
 * vfork - a process is killed while a child that it made by posix_spawn has not
 * executed anything yet: that child has its memory, pins and all, so it lives.  Once
 * the child executes, the death is noticed, by who makes no call.
 */
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "case.h"

enum { PAGE = 4096, PATIENCE = 6000, A_WHILE = 50 };

extern char **environ;

static struct mpool_stats stats(MPOOL *mp)
{
	struct mpool_stats st;
	MUST(mpool_stats(mp, &st, sizeof st) == 0);
	return st;
}

/* Joins, pins a page, and makes a child that hangs before it executes. */
static void spawn(const char *fifo, int ready)
{
	char name[] = "true", *arguments[] = {name, NULL};
	posix_spawn_file_actions_t actions;
	pid_t child;
	MPOOL *mp = mpool_open(case_key(), -1, PAGE, 4);
	MUST(mp && mpool_get(mp, 3, 0));
	MUST(posix_spawn_file_actions_init(&actions) == 0);
	MUST(posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, fifo, O_RDONLY, 0) == 0);
	MUST(write(ready, "x", 1) == 1);
	posix_spawn(&child, "/bin/true", &actions, NULL, arguments, environ);
	_exit(0);
}

int main(void)
{
	int file = case_file(8 * PAGE), ready[2], status, writer = -1;
	char fifo[64], c;
	snprintf(fifo, sizeof fifo, "./vfork.%ld", (long)getpid());
	MUST(mkfifo(fifo, 0600) == 0 && pipe(ready) == 0);
	case_key();
	MPOOL *mp = mpool_open(case_key(), file, PAGE, 4);
	MUST(mp);
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0)
		spawn(fifo, ready[1]);
	MUST(read(ready[0], &c, 1) == 1);
	/* Until the child is there it may be killed too early: then there is nothing to be seen. */
	for (int i = 0; i < A_WHILE; i++)
		usleep(10000);
	kill(pid, SIGKILL);
	MUST(waitpid(pid, &status, 0) == pid);
	for (int i = 0; i < A_WHILE && stats(mp).deaths == 0; i++)
		usleep(10000);
	if (stats(mp).deaths == 1) {
		unlink(fifo);
		SKIP("the child was not there in time, or has memory of its own here");
	}
	/* A writer comes: the child goes on, and executes. */
	for (int i = 0; i < PATIENCE && writer < 0; i++) {
		writer = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		usleep(writer < 0 ? 10000 : 0);
	}
	MUST(writer >= 0 && unlink(fifo) == 0);
	for (int i = 0; i < PATIENCE && stats(mp).deaths == 0; i++)
		usleep(10000);
	struct mpool_stats st = stats(mp);
	RIGHT(st.deaths == 1 && st.pinned == 0 && st.processes == 1, "deaths %lu, pages pinned %lu, processes %lu",
		(unsigned long)st.deaths, (unsigned long)st.pinned, (unsigned long)st.processes);
	mpool_close(mp);
	return 0;
}
