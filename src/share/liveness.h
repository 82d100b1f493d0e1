/*
 * liveness.h - is a process that shares the pool alive?  And the lock of the pool.
 *
 * Owns the liveness locks and the pool's lock.  The records of the processes are in
 * core/member.h.
 *
 * A process is alive as long as it has its liveness lock: a lock of the kernel's on one byte
 * of the object, at LIVENESS_BYTES + its number.  It is released when the memory of the process
 * is, by exit, kill or exec, and no sooner (os/lock.h); and neither a child nor another process
 * with the same pid can be taken for it.
 *
 * The pool's lock is for joins, leaves and recovery, not for pages.  It is one of the
 * kernel's as well, on the whole object, and held in the same way.  It names no
 * process or thread, since one pid may mean two processes in two PID namespaces, and it is
 * released with its holder's memory: the next holder then does again what the first had
 * begun.  Threads of one process exclude each other too, since each has an open file of its
 * own.  A waiter polls: the kernel's own waiting has no timeout.
 */
#ifndef MPOOL_LIVENESS_H
#define MPOOL_LIVENESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/member.h"
#include "os/lock.h"

/* Liveness locks are beyond the end of any object, which the kernel allows. */
#define LIVENESS_BYTES ((off_t)1 << 62)

/*
 * Take the first lock that is free of `n` bytes of a file, from that one on, until
 * hold_end.  0, or an errno: EAGAIN, EACCES: all are taken.
 */
int hold_byte(struct hold *h, int dir, const char *name, off_t byte, uint32_t n);

/* Of a pool: how to open it again. */
struct member_object {
	int fd; /* holds no lock */
	dev_t dev;
	ino_t ino;
	const char *path; /* or NULL */
};
/* Is the descriptor still of that object?  A program may close descriptors that it does not know. */
bool member_is(int fd, const struct member_object *o);

/*
 * The pool's lock.  member_lock: 0, or ETIMEDOUT: not within `seconds`, or another
 * errno: it cannot be had.  member_lock_soon: the same, within some milliseconds.
 */
int member_lock(struct hold *h, const struct member_object *o, unsigned seconds);
int member_lock_soon(struct hold *h, const struct member_object *o);
void member_unlock(struct hold *h);

/* Take the liveness lock of a member.  0, or an errno: EAGAIN, EACCES: it is taken. */
int liveness_lock(struct hold *liveness, const struct member_object *o, uint32_t member);
/* Is the member alive?  `object`: any descriptor of the object.  True on error. */
bool member_alive(int object, uint32_t member);
/* Is any?  True on error. */
bool liveness_any(int object);

/* Around a fork; see fork.h. */
void member_before_fork(void);
void member_after_fork(bool child);

#endif
