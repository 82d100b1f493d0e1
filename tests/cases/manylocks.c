/*
 * manylocks.c - a program has fcntl locks of its own on more files than the library keeps
 * descriptors for.  Those of the last KEPT_MAX files stay, no more descriptors than that are
 * kept, and all are closed once the locks are gone.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "case.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { KEPT_MAX = 256, FILES = KEPT_MAX + 40, DESCRIPTORS = 2 * FILES + 100 };

static int file[FILES];

static int descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void lock(int fd, short type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
	MUST(fcntl(fd, F_SETLK, &l) == 0);
}

/* How many of the files from `first` on are locked?  Asked by a process that has no locks. */
static int locked(int first)
{
	int told[2], n = 0;
	MUST(pipe(told) == 0);
	pid_t p = fork();
	if (p == 0) {
		for (int i = first; i < FILES; i++) {
			struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
			n += fcntl(file[i], F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
		}
		_exit(write(told[1], &n, sizeof n) != sizeof n);
	}
	MUST(p > 0 && read(told[0], &n, sizeof n) == sizeof n && waitpid(p, NULL, 0) == p);
	close(told[0]);
	close(told[1]);
	return n;
}

static void use(int fd)
{
	MPOOL *mp = mpool_open(NULL, fd, 4096, 2);
	RIGHT(mp, "open: %s", strerror(errno));
	char *page = mpool_get(mp, 0, 0);
	RIGHT(page, "get: %s", strerror(errno));
	*page = 1;
	RIGHT(mpool_put(mp, page, MPOOL_DIRTY) == 0 && mpool_sync(mp) == 0, "sync: %s", strerror(errno));
	RIGHT(mpool_close(mp) == 0, "close: %s", strerror(errno));
}

int main(void)
{
	struct rlimit limit;
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_max < DESCRIPTORS)
		SKIP("too few descriptors are allowed");
	limit.rlim_cur = DESCRIPTORS;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int i = 0; i < FILES; i++)
		file[i] = case_file(4096);
	int before = descriptors();
	for (int i = 0; i < FILES; i++) {
		lock(file[i], F_WRLCK);
		use(file[i]);
	}
	RIGHT(descriptors() <= before + KEPT_MAX, "%d descriptors, and %d before", descriptors(), before);
	RIGHT(locked(FILES - KEPT_MAX) == KEPT_MAX, "of the last %d files %d are locked", KEPT_MAX,
		locked(FILES - KEPT_MAX));
	for (int i = 0; i < FILES; i++)
		lock(file[i], F_UNLCK);
	for (int i = 0; i < FILES; i++)
		use(file[i]);
	RIGHT(descriptors() == before, "%d descriptors, and %d before", descriptors(), before);
	return 0;
}
