/*
 * cleaner.h - threads that write modified pages before their frames are needed.
 *
 * Owns the threads of this process that clean a pool: as many as were asked for, and none
 * unless they were.  Of each shard they keep as many frames free or evictable (clock.h, the hints)
 * as the evictions of the next tenth of a second will take, by those of the last, but never more
 * than a sixteenth, or half of its cold ones.  They sleep while enough are, and are woken by
 * who takes one of the last (demand.h).  Those made evictable stay in memory until they are taken, and a get of one keeps it.
 *
 *   none --cleaner_set, n--> n threads --cleaner_set, fewer; cleaner_end--> fewer, none
 *
 * A cleaner has a stripe as other threads have, and is in one call from its beginning to its
 * end: so what it has claimed is found should its process die or fork (share/recover.h).  It
 * has all signals blocked.  In the child of a fork there is none; the child's first call begins
 * as many anew (cleaner_forked, cleaner_again).  Filters (pgout) run there.
 */
#ifndef MPOOL_CLEANER_H
#define MPOOL_CLEANER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "evict/clock.h"

#define CLEANERS_MAX 64u

struct cleaners {
	struct evict *ev;
	pthread_mutex_t lock; /* guards all that follows; held while threads come and go */
	pthread_cond_t begun;
	int error; /* of the thread that begins; -1: it has not said so far */
	_Atomic uint32_t wanted;
	uint32_t threads;
	struct cleaner {
		struct cleaners *of;
		uint32_t number;
		pthread_t thread;
	} cleaner[CLEANERS_MAX];
};

void cleaner_init(struct cleaners *c, struct evict *ev);
/* There are to be so many from now on.  0, or an errno: EINVAL; EAGAIN or ENOMEM, and there are as many as before. */
int cleaner_set(struct cleaners *c, uint64_t n);
/* Nobody is in a call, or begins one. */
void cleaner_end(struct cleaners *c);
/* In the child of a fork: the threads are the parent's.  And as many anew, if they can be had. */
void cleaner_forked(struct cleaners *c);
void cleaner_again(struct cleaners *c);

#endif
