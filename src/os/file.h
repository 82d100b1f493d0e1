/*
 * file.h - files and directories, by their names.
 *
 * Owns nothing.  What processes of one user share is made for that user alone, whatever the
 * umask.  Files are named in a directory that is open, which a symbolic link does not lead
 * away from.
 */
#ifndef MPOOL_FILE_H
#define MPOOL_FILE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Make a directory for the user alone.  False and errno, EEXIST: something of that name is there. */
bool file_make_directory(const char *path);
/* Open one, which is no symbolic link.  -1 and errno, ELOOP, ENOTDIR: it is something else. */
int file_open_directory(const char *path);
/* What is in it: file_next until NULL, then file_entries_end.  NULL and errno. */
DIR *file_entries(int dir);
const char *file_next(DIR *entries);
void file_entries_end(DIR *entries);

/* Open to read and write what is made if it is not there, or, if `only_new`, what is made.  -1 and errno. */
int file_make(int dir, const char *name, bool only_new);
/* It is for the user alone from now on, even if it was made under a umask that keeps the user out.  False and errno. */
bool file_make_private(int fd);
/* Is it of that type (S_IFREG, ...), and the user's, and nobody else may use it? */
bool file_is_private(int fd, mode_t type);
/* Open what is there, or what has that path.  -1 and errno. */
int file_open(int dir, const char *name, int flags);
int file_open_path(const char *path, int flags);
/* False and errno. */
bool file_remove(int dir, const char *name);
void file_remove_path(const char *path);

/* Is what has that name, or that path, the file?  False and errno; ENOENT: it is another. */
bool file_named_is(int dir, const char *name, uint64_t device, uint64_t inode);
bool file_at_path_is(const char *path, uint64_t device, uint64_t inode);

/* All of these bytes?  They need not be there. */
bool file_read(int fd, void *to, size_t bytes, uint64_t at);
/* How many there are, and a change of that.  0, or an errno. */
int file_bytes(int fd, uint64_t *bytes);
int file_set_bytes(int fd, uint64_t bytes);
/* The number in a file of the kernel's; `none`: it cannot be read. */
unsigned file_number(const char *path, unsigned none);

#endif
