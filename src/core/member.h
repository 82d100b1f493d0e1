/*
 * member.h - the processes that share a pool: their records.
 *
 * Owns the records, in the pool's header.  A private pool has one member, number 0,
 * whose state nobody asks for.  A member is alive while it holds its lock of the kernel's
 * (share/liveness.h).
 *
 * A record, and who may change it, all under the pool's lock:
 *
 *   free --who joins, with the liveness lock--> in --who leaves--> free
 *                                               in --who recovers it, dead--> free, one death more
 */
#ifndef MPOOL_MEMBER_H
#define MPOOL_MEMBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/region.h"

#define MEMBERS_MAX  256u
#define MEMBER_IN    1u
#define MEMBER_DEATH 2u /* ... and above: how many with this number have died */

struct member {
	_Atomic uint32_t state;
	_Atomic uint32_t evictors;                 /* of clock.h: its threads that are evicting a batch */
	_Atomic uint32_t watching;                 /* of watch.h: it is told of deaths */
	int32_t pid;                               /* to look for its files, and for people to read */
	int32_t fd;                                /* of the file, in that process */
	_Atomic uint32_t generation;               /* of the pool's witnesses that it has; 0: none (witness.h) */
	_Atomic uint64_t door;                     /* by which it hands them out; 0: it does not (hand.h) */
	int64_t since;                             /* when it joined, in seconds of the day's clock */
	struct pending_alloc pending[PENDING_MAX]; /* of region.h */
};

struct member_state {
	_Atomic uint32_t top; /* members are below this number */
	struct member member[MEMBERS_MAX];
};

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

#endif
