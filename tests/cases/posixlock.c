/* A process that joins a shared pool has fcntl locks of its own on the file: they stay when it leaves, and when it cannot join. */
#include "case.h"

#include <sys/wait.h>

static int file;

static char *key_of(pid_t pid)
{
	static char key[64];
	snprintf(key, sizeof key, "libmpool.case.posixlock.%ld", (long)pid);
	return key;
}

/* Has somebody a lock on the file's first byte?  Asked by a process that has none. */
static int locked(void)
{
	int status;
	pid_t p = fork();
	if (p == 0) {
		struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
		_exit(fcntl(file, F_GETLK, &l) == 0 && l.l_type != F_UNLCK);
	}
	MUST(waitpid(p, &status, 0) == p);
	return WEXITSTATUS(status);
}

static void lock(short type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
	MUST(fcntl(file, F_SETLK, &l) == 0);
}

static int descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static MPOOL *use(char *key)
{
	MPOOL *mp = mpool_open(key, file, 4096, 10);
	RIGHT(mp, "open: %s", strerror(errno));
	char *page = mpool_get(mp, 0, 0);
	RIGHT(page, "get: %s", strerror(errno));
	*page = 1;
	RIGHT(mpool_put(mp, page, MPOOL_DIRTY) == 0 && mpool_sync(mp) == 0, "sync: %s", strerror(errno));
	return mp;
}

int main(void)
{
	int told[2], end[2];
	char c;
	file = case_file(1 << 20);
	MUST(pipe(told) == 0 && pipe(end) == 0);
	pid_t maker = fork();
	if (maker == 0) {
		close(end[1]);
		MPOOL *mp = mpool_open(key_of(getppid()), file, 4096, 10);
		_exit(mp && write(told[1], "x", 1) == 1 && read(end[0], &c, 1) == 0 ? 0 : 1);
	}
	MUST(read(told[0], &c, 1) == 1);
	char *key = key_of(getpid());
	int before = descriptors();
	lock(F_WRLCK);
	int kept = 0;
	for (int i = 0; i < 20; i++) {
		MPOOL *mp = use(i % 2 ? key : NULL);
		RIGHT(locked(), "round %d: the lock is gone while the pool is open", i);
		MUST(mpool_close(mp) == 0);
		RIGHT(locked(), "round %d: the lock is gone with the pool", i);
		if (i == 3)
			kept = descriptors();
	}
	RIGHT(descriptors() == kept, "%d descriptors, and %d after some rounds less", descriptors(), kept);
	MPOOL *mp = mpool_open(key, file, 4096, 2000000000); /* more than it has addresses for */
	RIGHT(!mp && locked(), "the lock is gone with a join that failed: %s", mp ? "it did not" : strerror(errno));
	lock(F_UNLCK);
	MUST(mpool_close(use(NULL)) == 0);
	RIGHT(descriptors() == before, "%d descriptors, and %d before", descriptors(), before);
	close(end[1]);
	waitpid(maker, NULL, 0);
	return 0;
}
