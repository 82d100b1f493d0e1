/*
 * descriptor.h - descriptors of the library's own.
 *
 * Owns the kept descriptors: those of users' files that the library is done with and may
 * not close yet; one list for the process.
 *
 * No descriptor of the library has the number of a standard one.  A program may run with its
 * standard input, output or error closed, and what it prints then must not end up in a
 * pool's object or file.
 *
 * Closing any descriptor of a file releases all locks of fcntl's F_SETLK that the process
 * has on it (POSIX), whichever library took them.  So a descriptor of a user's file is
 * released: closed if no such lock is on the file, which F_OFD_GETLK tells also of the own
 * process's; otherwise kept, until a later release or open finds that there is none.  A kept
 * one is used again when the same file is opened in the same way, so that there are never
 * more of them than were open at one time:
 *
 *   ours --release, file locked--> kept --no lock any more--> closed
 *                                  kept --the file is opened, or received, again--> ours
 *
 * A descriptor whose open file description other processes have too has a name, a number
 * that is the same in all of them, and is used again by that name only: the kernel reports a
 * failed write-back once for all that have the description.  One that was open at a fork is
 * also the other process's, and may be a witness there: it is used again only by a caller
 * that can share it (pageio.h).  If there are more than KEPT_MAX, the one that was kept for
 * longest is closed all the same.
 */
#ifndef MPOOL_DESCRIPTOR_H
#define MPOOL_DESCRIPTOR_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KEPT_MAX 256u

/* What of the way a file is opened is the pool's business. */
#define FILE_FLAGS (O_ACCMODE | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME)

/*
 * The names by which a descriptor is opened again, `way` from 0; a further one is for when
 * the one before is ENOENT.  False: there are no more.  /proc/self is the main thread's,
 * which may have ended, or have other descriptors; Linux older than 3.17 has nothing else.
 */
#define DESCRIPTOR_NAME_MAX (sizeof "/proc/thread-self/fd/" + 3 * sizeof(int))
bool descriptor_name(int fd, unsigned way, char name[DESCRIPTOR_NAME_MAX]);

/* One that is the library's own, and not of a user's file (descriptor_let_go); -1: there is none. */
void descriptor_close(int fd);
/* What was just opened, above the standard ones.  -1 and errno, as they were, or of the moving. */
int descriptor_apart(int fd);

/* Open a user's file by some path, above the standard ones, not inherited.  -1 and errno. */
int descriptor_open(const char *path, int flags);
/*
 * The same file as `fd`'s, opened once more: an open file description that nobody else
 * has, its offset 0, to which the kernel tells from now on what goes wrong.  -1 and
 * errno, ENOENT: no /proc.
 */
int descriptor_again(int fd, int flags);
/*
 * How often the process has forked, and those that it comes from, and 1.  And what is
 * the name of a descriptor that was opened when it was so often: 0, nobody else has it;
 * or DESCRIPTOR_ELSEWHERE.
 */
#define DESCRIPTOR_ELSEWHERE UINT64_MAX
uint64_t descriptor_forks(void);
uint64_t descriptor_since(uint64_t forks);
/* One that is kept of the same file, opened in the same way, and named so; -1. */
int descriptor_elsewhere(int fd, int flags);
/* Have done with a user's file.  `name`: other processes may have the same open file description; 0: they have not. */
void descriptor_let_go(int fd, uint64_t name);
/* The one of that name, if it is kept; -1. */
int descriptor_kept(uint64_t name);

/* Which file, object or socket it is.  0, or an errno. */
int descriptor_identity(int fd, uint64_t *device, uint64_t *inode);
/* How it is opened: O_RDONLY and the like; -1 and errno. */
int descriptor_flags(int fd);
/* Is `fd` that file, object or socket still? */
bool descriptor_is(int fd, uint64_t device, uint64_t inode);
/* Is it certain that `fd` is not that file, object or socket?  A program may close what it does not know, and have another by that number. */
bool descriptor_is_another(int fd, uint64_t device, uint64_t inode);

/* The path by which `fd` is had, as readlink(2) gives it. */
ssize_t descriptor_path(int fd, char *to, size_t bytes);

/*
 * While these are taken, what is opened or received is above the standard
 * descriptors.  A user's file that came to have one of their numbers could not be
 * moved without closing one of its descriptors.
 */
struct low {
	int fd[3];
	unsigned n;
};
void descriptor_take_low(struct low *low);
void descriptor_give_low(struct low *low);

/*
 * A fork waits from before a descriptor is opened until its number is where a child of the
 * fork looks for it.  The kernel copies the table of descriptors first and the memory after
 * that, while the other threads run on: a child could find a number and no descriptor.
 */
void descriptor_begin(void);
void descriptor_noted(void);

/* Around a fork; see fork.h. */
void descriptor_before_fork(void);
void descriptor_after_fork(void);

#endif
