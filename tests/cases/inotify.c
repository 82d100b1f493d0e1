/*
 * inotify - more processes have shared pools than the user may have instances of
 * inotify: other programs still get some, and a death is noticed all the same, with
 * one pool for all as with one for each two.
 */
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "case.h"

enum { PROCESSES = 140, INSTANCES_MOST = 1024, PAGE = 4096, PATIENCE = 6000 };

/* How many more there are to be had, up to `most`, which are not too many. */
static int instances(int most)
{
	int n = 0, fd[INSTANCES_MOST];
	while (n < most && (fd[n] = inotify_init1(IN_CLOEXEC)) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

static int limit(void)
{
	int n = 0;
	FILE *f = fopen("/proc/sys/fs/inotify/max_user_instances", "re");
	if (!f || fscanf(f, "%d", &n) != 1)
		SKIP("the number of instances is not known");
	fclose(f);
	return n;
}

static void try_with(int pools)
{
	pid_t pid[PROCESSES];
	int ready[2], file = case_file(4 * PAGE), max = limit(), lives = 0;
	char key[96], c;
	if (max > INSTANCES_MOST)
		SKIP("there are very many instances");
	int before = instances(max);
	if (before < max / 2)
		SKIP("most instances are taken by others");
	MUST(pipe(ready) == 0);
	for (int i = 0; i < PROCESSES; i++) {
		MUST((pid[i] = fork()) >= 0);
		if (pid[i] > 0)
			continue;
		snprintf(key, sizeof key, "%s.%d", case_key(), i % pools);
		MPOOL *mp = mpool_open(key, file, PAGE, 4);
		MUST(write(ready[1], mp ? "y" : "n", 1) == 1);
		for (;;)
			pause();
	}
	for (int i = 0; i < PROCESSES; i++) {
		MUST(read(ready[0], &c, 1) == 1);
		lives += c == 'y';
	}
	RIGHT(lives == PROCESSES, "%d of %d have opened a pool", lives, PROCESSES);
	/* All threads have asked by then: each has done so before it was asked to look again. */
	sleep(2);
	int left = instances(max);
	RIGHT(before - left <= max / 4, "%d processes have taken %d of %d instances", PROCESSES, before - left, max);
	/* Who dies is recovered, by whoever is told, or looks. */
	snprintf(key, sizeof key, "%s.0", case_key());
	MPOOL *mp = mpool_open(key, file, PAGE, 4);
	struct mpool_stats st = {0};
	MUST(mp && mpool_stats(mp, &st, sizeof st) == 0);
	uint64_t deaths = st.deaths;
	kill(pid[0], SIGKILL);
	MUST(waitpid(pid[0], NULL, 0) == pid[0]);
	for (int i = 0; i < PATIENCE && st.deaths == deaths; i++) {
		usleep(10000);
		MUST(mpool_stats(mp, &st, sizeof st) == 0);
	}
	RIGHT(st.deaths == deaths + 1, "%lu deaths are recovered", (unsigned long)(st.deaths - deaths));
	for (int i = 1; i < PROCESSES; i++)
		kill(pid[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	mpool_close(mp);
	close(ready[0]);
	close(ready[1]);
	close(file);
}

int main(void)
{
	case_key();
	try_with(1);
	try_with(PROCESSES / 2);
	/* What they have left goes with the next that is made. */
	int file = case_file(4 * PAGE);
	MPOOL *mp = mpool_open(case_key(), file, PAGE, 4);
	MUST(mp);
	mpool_close(mp);
	return 0;
}
