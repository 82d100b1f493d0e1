/* file.c - see file.h. */
#include "os/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/descriptor.h"

#define ONLY_THE_USER 0700
#define ONLY_TO_USE   0600
#define FOR_OTHERS    077
#define DECIMAL       10

/* ---- directories -------------------------------------------------------- */

bool file_make_directory(const char *path)
{
	if (mkdir(path, ONLY_THE_USER) != 0)
		return false;
	(void)chmod(path, ONLY_THE_USER); /* whatever the umask; nobody else may put another there */
	return true;
}

int file_open_directory(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

DIR *file_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		descriptor_close(fd);
	return d;
}

const char *file_next(DIR *entries)
{
	const struct dirent *e = readdir(entries);
	return e ? e->d_name : NULL;
}

void file_entries_end(DIR *entries)
{
	closedir(entries);
}

/* ---- files -------------------------------------------------------------- */

int file_make(int dir, const char *name, bool only_new)
{
	int only = only_new ? O_EXCL : 0;
	return openat(dir, name, O_RDWR | O_CREAT | only | O_NOFOLLOW | O_CLOEXEC, ONLY_TO_USE);
}

bool file_make_private(int fd)
{
	return fchmod(fd, ONLY_TO_USE) == 0;
}

bool file_is_private(int fd, mode_t type)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
	       !(st.st_mode & FOR_OTHERS);
}

int file_open(int dir, const char *name, int flags)
{
	return openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

int file_open_path(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

bool file_remove(int dir, const char *name)
{
	return unlinkat(dir, name, 0) == 0;
}

void file_remove_path(const char *path)
{
	(void)unlink(path);
}

static bool is(const struct stat *st, uint64_t device, uint64_t inode)
{
	if ((uint64_t)st->st_dev == device && st->st_ino == inode)
		return true;
	errno = ENOENT;
	return false;
}

bool file_named_is(int dir, const char *name, uint64_t device, uint64_t inode)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is(&st, device, inode);
}

bool file_at_path_is(const char *path, uint64_t device, uint64_t inode)
{
	struct stat st;
	return stat(path, &st) == 0 && is(&st, device, inode);
}

/* ---- what is in one ----------------------------------------------------- */

bool file_read(int fd, void *to, size_t bytes, uint64_t at)
{
	ssize_t n = pread(fd, to, bytes, (off_t)at);
	return n >= 0 && (size_t)n == bytes;
}

int file_bytes(int fd, uint64_t *bytes)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return errno;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int file_set_bytes(int fd, uint64_t bytes)
{
	return ftruncate(fd, (off_t)bytes) == 0 ? 0 : errno;
}

unsigned file_number(const char *path, unsigned none)
{
	char digits[16] = "";
	int fd = file_open_path(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, digits, sizeof digits - 1);
	descriptor_close(fd);
	return n > 0 ? (unsigned)strtoul(digits, NULL, DECIMAL) : none;
}
