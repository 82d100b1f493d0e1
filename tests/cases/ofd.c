/*
 * ofd FILE BACK MOUNT: which descriptors are told of a write-back by the kernel that
 * failed.  Not the library's doing, but what its promise of mpool_sync rests on: each open
 * file description that was there before is told once, whoever else was told, by whom the
 * bytes were written, and by whichever of its descriptors it asks; one that is opened later,
 * when somebody was told, is not.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "case.h"

enum { PAGE = 4096, PAGES = 100 };

/* A description of the file of its own. */
static int again(int fd)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, O_RDWR);
	MUST(own >= 0);
	return own;
}

static void told(int fd, const char *who)
{
	RIGHT(fsync(fd) != 0, "%s is not told", who);
}

static void not_told(int fd, const char *who)
{
	RIGHT(fsync(fd) == 0, "%s is told: %s", who, strerror(errno));
}

int main(int argc, char **argv)
{
	char bytes[PAGE];
	MUST(argc == 4);
	int mount = open(argv[3], O_RDONLY), fd = open(argv[1], O_RDWR);
	MUST(mount >= 0 && fd >= 0);
	int own = again(fd), copy = dup(fd);
	MUST(copy >= 0);
	memset(bytes, 'N', sizeof bytes);
	for (int i = 0; i < PAGES; i++)
		MUST(pwrite(fd, bytes, PAGE, (off_t)i * PAGE) == PAGE);
	(void)syncfs(mount);
	told(fd, "who wrote");
	not_told(fd, "who wrote, again");
	not_told(copy, "another descriptor of the same description");
	int late = again(fd);
	told(own, "another description, that was there before the writes");
	not_told(own, "that one, again");
	not_told(late, "a description that came when somebody was told");
	return 0;
}
