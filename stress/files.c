/*
 * files.c - the file that a run changes; see files.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page.h"
#include "report.h"

enum { FILE_MODE = 0666 }; /* less the umask */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Ours, empty or not there: then it may be overwritten without --force. */
static void check_may_overwrite(const char *path)
{
	char head[PAGE_SIZE_MIN];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0)
		trouble("opening %s", path);
	n = read(fd, head, sizeof head);
	close(fd);
	if (n == 0 || (n > 0 && page_begins_file(head, (size_t)n)))
		return;
	fprintf(stderr, "mpool-stress: %s exists and was not made by this program; --force overwrites it\n", path);
	exit(EXIT_TROUBLE);
}

static int open_one(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, FILE_MODE);

	if (fd < 0)
		trouble("opening %s", path);
	return fd;
}

/* The temporary file has no name from the start, so it cannot stay behind. */
static void open_temporary(struct files *f, const char *directory, int direct)
{
	char *path;

	if (asprintf(&path, "%s/mpool-stress.XXXXXX", directory) < 0)
		trouble("no memory for a file name");
	f->fd = mkstemp(path);
	if (f->fd < 0)
		trouble("making %s", path);
	if (direct != 0) {
		close(f->fd);
		f->fd = open_one(path, O_RDWR | direct);
	}
	f->plain_fd = open_one(path, O_RDONLY | direct);
	unlink(path);
	free(path);
}

void files_open(const struct options *o, struct files *f)
{
	const char *file = o->file != NULL ? o->file : ".";
	int direct = o->direct ? O_DIRECT : 0;

	if (is_directory(file)) {
		open_temporary(f, file, direct);
		return;
	}
	if (!o->force)
		check_may_overwrite(file);
	f->fd = open_one(file, O_RDWR | O_CREAT | O_TRUNC | direct);
	f->plain_fd = open_one(file, O_RDONLY | direct);
}
