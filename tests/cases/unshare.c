/* A thread with descriptors of its own opens a shared pool; another process joins it. */
#include "case.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

static int fd, others[20];

static int join(void)
{
	MPOOL *mp = mpool_open(case_key(), fd, 4096, 10);
	struct mpool_stats st;
	if (!mp || mpool_stats(mp, &st, sizeof st) != 0)
		return 1;
	int *page = mpool_get(mp, 3, 0);
	return st.processes == 2 && page && *page == 77 ? 0 : 2;
}

static void *body(void *unused)
{
	int status;
	(void)unused;
	if (unshare(CLONE_FILES) != 0)
		SKIP("no descriptors of a thread's own");
	for (int i = 0; i < 20; i++)
		close(others[i]); /* so that their numbers are free here only */
	MPOOL *mp = mpool_open(case_key(), fd, 4096, 10);
	RIGHT(mp, "open: %s", strerror(errno));
	int *page = mpool_get(mp, 3, 0);
	RIGHT(page, "get: %s", strerror(errno));
	*page = 77;
	RIGHT(mpool_put(mp, page, MPOOL_DIRTY) == 0, "put: %s", strerror(errno));
	pid_t p = fork();
	if (p == 0)
		_exit(join());
	MUST(waitpid(p, &status, 0) == p);
	RIGHT(status == 0, "the other process: %d: 1: cannot join, 2: has another pool", WEXITSTATUS(status));
	RIGHT(mpool_sync(mp) == 0 && mpool_close(mp) == 0, "sync: %s", strerror(errno));
	return NULL;
}

int main(void)
{
	pthread_t t;
	fd = case_file(1 << 20);
	(void)case_key();
	for (int i = 0; i < 20; i++)
		MUST((others[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	MUST(pthread_create(&t, NULL, body, NULL) == 0 && pthread_join(t, NULL) == 0);
	return 0;
}
