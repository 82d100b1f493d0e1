/*
 * pidns - members of a pool in PID namespaces of their own, as in containers that
 * share one /dev/shm: their numbers are the same.  One of them has the pool's lock,
 * and is slow; others wait for it, and die.  The lock is not taken from the living.
 */
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "case.h"

enum { WAITERS = 6, PAGE = 4096, PATIENCE = 6000, A_WHILE = 30 };

static struct common {
	_Atomic bool armed, go_on; /* the holder is to be slow; it need not be any more */
	_Atomic int inside, left;  /* of the holder */
	_Atomic int asked, taken;  /* of others, while it is inside */
	_Atomic int joined;
	_Atomic pid_t pid[WAITERS + 2]; /* as the first namespace has them */
} *common;

static bool holder;

/* The library's own calls come by here: the program's names come first. */
int flock(int fd, int operation)
{
	static int (*real)(int, int);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "flock");
	bool inside = common && common->inside && !common->left;
	if (inside && !holder)
		common->asked++;
	int result = real(fd, operation);
	if (result != 0 || !common)
		return result;
	if (!holder) {
		if (inside && !common->left)
			common->taken++;
	} else if (common->armed && !common->inside) {
		common->inside = 1;
		while (!common->go_on)
			usleep(1000);
		common->left = 1;
	}
	return result;
}

static bool comes(_Atomic int *what, int to)
{
	for (int i = 0; i < PATIENCE && *what < to; i++)
		usleep(10000);
	return *what >= to;
}

/* A member, in a namespace of its own; `n`: 0 is the holder, 1 the one that dies first. */
static void member(int n, int file)
{
	pid_t outer = fork();
	MUST(outer >= 0);
	if (outer > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWPID) != 0)
		_exit(CASE_SKIPPED);
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid > 0) {
		common->pid[n] = pid;
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	holder = n == 0;
	MPOOL *mp = mpool_open(case_key(), file, PAGE, 8);
	MUST(mp && mpool_get(mp, (pgno_t)n % 4, 0));
	common->joined++;
	for (;;)
		pause();
}

static void each_waiter(int signal)
{
	for (int i = 2; i < WAITERS + 2; i++)
		kill(common->pid[i], signal);
}

/* A thread of it that runs on might yet see the death, before another of its threads has taken the signal. */
static bool is_stopped(pid_t pid)
{
	char path[sizeof "/proc//stat" + 3 * sizeof(int)], line[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *stat = fopen(path, "re");
	if (!stat)
		return false;
	bool read = fgets(line, sizeof line, stat);
	fclose(stat);
	const char *name_ends = read ? strrchr(line, ')') : NULL;
	return name_ends && name_ends[1] == ' ' && name_ends[2] == 'T';
}

static bool all_stopped(void)
{
	for (int i = 2; i < WAITERS + 2; i++)
		for (int n = 0; !is_stopped(common->pid[i]); n++, usleep(10000))
			if (n == PATIENCE)
				return false;
	return true;
}

int main(void)
{
	/* It has a name: they see nothing of each other in /proc. */
	char name[] = "pidns.XXXXXX";
	int file = mkostemp(name, O_CLOEXEC), probe = fork();
	MUST(probe >= 0);
	if (probe == 0)
		_exit(unshare(CLONE_NEWPID) != 0);
	int status;
	MUST(waitpid(probe, &status, 0) == probe);
	if (status) {
		unlink(name);
		SKIP("no PID namespace of one's own");
	}
	common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(common != MAP_FAILED);
	case_key();
	MUST(file >= 0 && ftruncate(file, 8 * PAGE) == 0);
	for (int n = 0; n < WAITERS + 2; n++)
		member(n, file);
	MUST(comes(&common->joined, WAITERS + 2));
	/* The holder alone is to notice the first death; then the others are to want the lock. */
	each_waiter(SIGSTOP);
	MUST(all_stopped());
	common->armed = true;
	kill(common->pid[1], SIGKILL);
	MUST(comes(&common->inside, 1));
	each_waiter(SIGCONT);
	for (int i = 0; i < PATIENCE && !common->taken && common->asked < WAITERS; i++)
		usleep(10000);
	for (int i = 2; i < WAITERS + 1; i++) {
		kill(common->pid[i], SIGKILL);
		usleep(20000);
	}
	/* Unless one gets it, which then asks no more. */
	for (int i = 0, asked = common->asked; i < PATIENCE && !common->taken && common->asked < asked + A_WHILE; i++)
		usleep(10000);
	RIGHT(common->taken == 0, "the pool's lock was taken %d times from who has it and lives", common->taken);
	common->go_on = true;
	holder = false;
	MPOOL *mp = mpool_open(case_key(), file, PAGE, 8);
	RIGHT(mp, "nobody has the lock any more, and mpool_open says %s", strerror(errno));
	struct mpool_stats st = {0};
	for (int i = 0; i < PATIENCE && st.deaths < WAITERS; i++) {
		MUST(mpool_stats(mp, &st, sizeof st) == 0);
		usleep(10000);
	}
	RIGHT(st.deaths == WAITERS && st.processes == 3, "%lu deaths, %lu processes", (unsigned long)st.deaths,
		(unsigned long)st.processes);
	mpool_close(mp);
	kill(common->pid[0], SIGKILL);
	kill(common->pid[WAITERS + 1], SIGKILL);
	while (wait(NULL) > 0)
		;
	/* What is left goes with the next that is made. */
	MUST((mp = mpool_open(case_key(), file, PAGE, 8)));
	mpool_close(mp);
	unlink(name);
	return 0;
}
