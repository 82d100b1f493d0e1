/*
 * member.h - who shares a pool: its processes, and whether they live.
 *
 * Owns the members' records in the header, and the lock of the pool.  A private
 * pool has one member, number 0, which is never asked about.
 *
 * A process is alive as long as it has its life lock: a lock of the kernel's on
 * one byte of the object (fcntl F_OFD_SETLK), at LIFE_BYTES + its number.  Such a
 * lock belongs to an open file, and that is held open by nothing but a mapping
 * that a fork does not copy: so it goes when the memory of the process goes, by
 * exit, kill or exec, and no sooner; neither a child nor a process of the same
 * number can be taken for it.
 *
 * A record, and who may change it, all under the pool's lock:
 *
 *   free --who joins, with the life lock--> in --who leaves--> free
 *                                           in --who recovers it, dead--> free, one death more
 *
 * The pool's lock is for joins, leaves, growth and recovery, not for pages.  It is
 * one of the kernel's as well, on the whole object (flock(2)), and held in the same
 * way: no number of a process or thread says whose it is, which in two PID namespaces
 * could be two, and it goes when its holder's memory goes: the next one has it then,
 * and does again what the first was at.  Threads of one process exclude each other
 * too, since each has an open file of its own.  Who waits looks again and again: the
 * kernel's own waiting has no end that could be set.
 *
 * What holds such a lock is opened, locked, mapped and closed under a mutex that a
 * fork waits for.  A vfork does not: a child that was made in that moment keeps the
 * lock until it executes something, be it given back or not.
 */
#ifndef MPOOL_MEMBER_H
#define MPOOL_MEMBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/line.h"
#include "core/region.h"

#define MEMBERS_MAX 256u
/* Life locks are past what any object holds; the kernel does not mind. */
#define LIFE_BYTES ((off_t)1 << 62)

#define MEMBER_IN    1u
#define MEMBER_DEATH 2u /* ... and above: how many with this number have died */

struct member {
	_Atomic uint32_t state;
	_Atomic uint32_t evictors; /* clock room: threads of it that have a batch in hand */
	_Atomic uint32_t watching; /* watch room: it is told of deaths */
	int32_t pid;               /* to look for its files, and for people to read */
	int32_t fd;                /* of the file, in that process */
	_Atomic uint32_t generation; /* of the pool's witnesses that it has; 0: none (witness.h) */
	_Atomic uint64_t door;       /* by which it hands them out; 0: it does not (hand.h) */
	int64_t since;             /* when it joined, in seconds of the day's clock */
	struct making making[MAKINGS]; /* region room */
};

struct member_state {
	_Atomic uint32_t top; /* members are below this number */
	struct member member[MEMBERS_MAX];
};

/* A lock that goes with the process's memory. */
struct hold {
	void *map;      /* what holds it; NULL: not held */
	int descriptor; /* of a pool's lock, without a map: what it was taken by */
};
void hold_end(struct hold *h);
/*
 * Take the first that is free of `n` bytes of a file, from that one on.  0, or an
 * errno: EAGAIN, EACCES: all are taken.
 */
int hold_byte(struct hold *h, int dir, const char *name, off_t byte, uint32_t n);

/* Of a pool: how to open it again. */
struct member_object {
	int fd; /* holds no lock */
	dev_t dev;
	ino_t ino;
	const char *path; /* or NULL */
};
/* Is it that one?  A program may close what it does not know. */
bool member_is(int fd, const struct member_object *o);

/*
 * The pool's lock.  member_lock: 0, or ETIMEDOUT: not within `seconds`, or another
 * errno: it cannot be had.  member_lock_soon: the same, within some milliseconds.
 */
int member_lock(struct hold *h, const struct member_object *o, unsigned seconds);
int member_lock_soon(struct hold *h, const struct member_object *o);
void member_unlock(struct hold *h);

/* Members are below this number, whatever another process has written there. */
static inline uint32_t member_top(const struct member_state *ms)
{
	uint32_t top = atomic_load(&ms->top);
	return top < MEMBERS_MAX ? top : MEMBERS_MAX;
}

static inline bool member_in(const struct member *m)
{
	return atomic_load(&m->state) & MEMBER_IN;
}

/* How many there are, and how many have died. */
uint32_t member_count(const struct member_state *ms);
uint64_t member_deaths(const struct member_state *ms);

/* Take the life lock of a member.  0, or an errno: EAGAIN, EACCES: it is taken. */
int life_begin(struct hold *life, const struct member_object *o, uint32_t member);
/* Does the member live?  `object`: any descriptor of the object. */
bool life_goes_on(int object, uint32_t member);
/* Does any? */
bool life_any(int object);

/* Around a fork; see fork.h. */
void member_before_fork(void);
void member_after_fork(bool child);

#endif
