/*
 * lock.h - locks of the kernel's on files, and how one is kept by a process's memory.
 *
 * Owns the mutex under which such a lock is begun.  A lock belongs to an open file.  That is
 * held open by nothing but a mapping that a fork does not copy, so the lock is released when
 * the memory of the process is, by exit, kill or exec, and no sooner:
 *
 *   lock_begin, the file opened, lock_bytes or lock_all, lock_keep, lock_begun
 *
 * The mutex is held from first to last, and a fork waits for it: a child forked between
 * the opening of a file and its closing would have the lock too.  A vfork does not wait: a
 * child made at that moment has the lock until it executes a program, even if the lock is
 * released meanwhile.
 */
#ifndef MPOOL_LOCK_H
#define MPOOL_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A lock that is released with the process's memory. */
struct hold {
	void *map;      /* what holds it; NULL: not held */
	int descriptor; /* of a pool's lock, without a map: what it was taken by */
};

/* Before the file is opened; for a fork, before that. */
void lock_begin(void);
/* The lock on the open file `fd` lasts until hold_end.  False and errno. */
bool lock_keep(struct hold *h, int fd);
/* Close it; -1: it was not opened. */
void lock_begun(int fd);
void hold_end(struct hold *h);

/* Take the lock on a byte of it.  False and errno; EAGAIN, EACCES: it is taken. */
bool lock_byte(int fd, off_t byte);
/* Has anybody one on a byte of those?  Who has it by `fd` itself is not seen.  True on error. */
bool lock_bytes_taken(int fd, off_t first, off_t bytes);

/* Take the lock on the file as a whole, which is another than those of bytes.  False and errno; EWOULDBLOCK: it is taken. */
bool lock_file(int fd);
void lock_file_end(int fd);

#endif
