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
 * robust: should its holder die, the next one takes it over, and does again what
 * the first was at.
 */
#ifndef MPOOL_MEMBER_H
#define MPOOL_MEMBER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "line.h"
#include "region.h"

#define MEMBERS_MAX 256u
/* Life locks are past what any object holds; the kernel does not mind. */
#define LIFE_BYTES ((off_t)1 << 62)

#define MEMBER_IN    1u
#define MEMBER_DEATH 2u /* ... and above: how many with this number have died */

struct member {
	_Atomic uint32_t state;
	_Atomic uint32_t evictors; /* clock room: threads of it that have a batch in hand */
	int32_t pid;               /* to look for its files, and for people to read */
	int32_t fd;                /* of the file, in that process */
	int64_t since;             /* when it joined, in seconds of the day's clock */
	struct making making[MAKINGS]; /* region room */
};

struct member_state {
	pthread_mutex_t lock;
	_Atomic uint32_t top; /* members are below this number */
	struct member member[MEMBERS_MAX];
};

/*
 * Robust locks in shared memory, which the pool's is.  Whatever a holder that died was at must be done again by who comes next.  member_lock: 0, or
 * ETIMEDOUT: not within `seconds` (0: for ever), or another errno: it is no lock
 * any more.  member_lock_soon: the same, within some milliseconds.
 */
int member_lock_init(pthread_mutex_t *lock);
int member_lock(pthread_mutex_t *lock, unsigned seconds);
int member_lock_soon(pthread_mutex_t *lock);

static inline bool member_in(const struct member *m)
{
	return atomic_load(&m->state) & MEMBER_IN;
}

/* How many there are, and how many have died. */
uint32_t member_count(const struct member_state *ms);
uint64_t member_deaths(const struct member_state *ms);

/* A process's life lock. */
struct life {
	void *map; /* what holds it; NULL: not held */
};
/* Take that of a member.  0, or an errno: EAGAIN, EACCES: it is taken. */
int life_begin(struct life *life, int object, uint32_t member);
void life_end(struct life *life);
/* Does the member live?  `object`: any descriptor of the object. */
bool life_goes_on(int object, uint32_t member);
/* Does any? */
bool life_any(int object);

/* Around a fork; see fork.h. */
void member_before_fork(void);
void member_after_fork(void);

#endif
