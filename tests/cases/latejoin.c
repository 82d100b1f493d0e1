/*
 * latejoin FILE BACK MOUNT early|late: pages are evicted, the kernel's write-back of them
 * fails, another program's fsync is told; a process that has joined before, or joins
 * now, syncs; and once more when the writer is dead.
 */
#include "case.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

static const char *file;

static void another_syncs(void)
{
	pid_t p = fork();
	if (p == 0) {
		int fd = open(file, O_RDONLY);
		_exit(fsync(fd) != 0);
	}
	MUST(waitpid(p, NULL, 0) == p);
}

int main(int argc, char **argv)
{
	char filler[4096], c, *key = case_key();
	int told[2], end[2];
	MUST(argc == 5 && pipe(told) == 0 && pipe(end) == 0);
	file = argv[1];
	bool late = strcmp(argv[4], "late") == 0;
	int mount = open(argv[3], O_RDONLY);
	MUST(mount >= 0);
	pid_t writer = fork();
	if (writer == 0) {
		MPOOL *mp = mpool_open(key, open(file, O_RDWR), 4096, 8);
		MUST(mp);
		for (pgno_t i = 0; i < 100; i++) {
			char *page = mpool_get(mp, i, 0);
			MUST(page);
			memset(page, 'N', 4096);
			MUST(mpool_put(mp, page, MPOOL_DIRTY) == 0);
		}
		MUST(write(told[1], "x", 1) == 1 && read(end[0], &c, 1) == 1);
		_exit(0);
	}
	MUST(read(told[0], &c, 1) == 1);
	MPOOL *mp = late ? NULL : mpool_open(key, -1, 4096, 8);
	(void)syncfs(mount);
	another_syncs();
	snprintf(filler, sizeof filler, "%s/filler", argv[2]);
	MUST(unlink(filler) == 0);
	if (late)
		mp = mpool_open(key, -1, 4096, 8);
	RIGHT(mp, "join: %s", strerror(errno));
	RIGHT(mpool_sync(mp) != 0 && errno == EIO, "sync: %s", strerror(errno));
	MUST(kill(writer, SIGKILL) == 0 && waitpid(writer, NULL, 0) == writer);
	RIGHT(mpool_sync(mp) != 0 && errno == EIO, "sync, the writer being dead: %s", strerror(errno));
	return mpool_close(mp);
}
