/*
 * otherkey - another process has the lock of key X, and is stopped; a thread of this
 * one opens X.  Its other threads open and close Y meanwhile, without waiting for it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/wait.h>

#include "case.h"

enum { ROUNDS = 5, PAGE = 4096 };

static char x[96], y[96];
static int fd;
static _Atomic int opening, done;

static void *open_x(void *unused)
{
	(void)unused;
	opening = 1;
	MPOOL *mp = mpool_open(x, fd, PAGE, 4);
	int error = errno;
	done = 1;
	RIGHT(!mp && error == ETIMEDOUT, "mpool_open of the key that is locked: %s", mp ? "a pool" : strerror(error));
	return NULL;
}

/* As share.c has it. */
static off_t lock_of(const char *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	return (off_t)(h >> 2);
}

/* A process that has the lock of X until it is killed. */
static pid_t locker(void)
{
	int ready[2];
	char c;
	MUST(pipe(ready) == 0);
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		char path[64];
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lock_of(x), .l_len = 1};
		snprintf(path, sizeof path, "/dev/shm/mpool-%u/lock", (unsigned)geteuid());
		int file = open(path, O_RDWR | O_CLOEXEC);
		MUST(file >= 0 && fcntl(file, F_OFD_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	MUST(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	return pid;
}

int main(void)
{
	pthread_t thread;
	snprintf(x, sizeof x, "%s.x", case_key());
	snprintf(y, sizeof y, "%s.y", case_key());
	fd = case_file(4 * PAGE);
	MPOOL *kept = mpool_open(y, fd, PAGE, 4);
	MUST(kept);
	pid_t pid = locker();
	MUST(pthread_create(&thread, NULL, open_x, NULL) == 0);
	while (!opening)
		usleep(1000);
	for (int i = 0; i < ROUNDS; i++) {
		MPOOL *mp = mpool_open(y, fd, PAGE, 4);
		MUST(mp);
		mpool_close(mp);
	}
	mpool_close(kept);
	RIGHT(!done, "opens and closes of another key waited until the open of the locked one gave up");
	MUST(pthread_join(thread, NULL) == 0);
	kill(pid, 9);
	MUST(waitpid(pid, NULL, 0) == pid);
	MPOOL *mp = mpool_open(x, fd, PAGE, 4);
	RIGHT(mp, "the lock's holder is dead, and mpool_open says %s", strerror(errno));
	mpool_close(mp);
	return 0;
}
