/*
 * store.h - what the parts of this library have in common: the pages of one name, as a process has them.
 *
 * A writer has two threads: the keeper renews the lease (lease.c), the helper does what must wait for the cluster and that a
 * submit must not (store.c).  A reader has one, which forgets what notices name (reader.c).  librados has its own,
 * which call `done` of requests and put notices into the queue; they wait for nothing.
 *
 * Locks: `heading`, held while the head is written and readers are told, before `lock`, which is held for no call of
 * librados that waits and for none of the pool's.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_RADOS_STORE_H
#define MPOOL_RADOS_STORE_H

#include "head.h"
#include "mpool_rados.h"
#include "ranges.h"

#include <pthread.h>
#include <stdbool.h>

enum { MS = 1000, NS_PER_MS = 1000000, NAME_MOST = 200 };

/* What the library exports: its objects are compiled with hidden visibility. */
#define PUBLIC __attribute__((visibility("default")))

struct notice;
struct request;

struct mpool_rados {
	/* Set by mpool_rados_open, and not changed. */
	struct mpool_rados_how how; /* without its strings; what was 0 is what it stands for */
	char name[NAME_MOST + 1];
	bool writer;
	uint64_t object;
	rados_t cluster;
	rados_ioctx_t io;

	pthread_mutex_t heading;
	struct head head; /* under heading: as this process last wrote it; a reader's is below */

	pthread_mutex_t lock; /* all that follows is under it */
	pthread_cond_t woken; /* something below has changed */
	bool stop;
	uint64_t size;

	/* A writer's. */
	pthread_t keeper, helper;
	bool fenced;                   /* it is the writer no more, for good */
	uint64_t confirmed;            /* when the lease was last renewed; milliseconds of now_ms */
	uint64_t reach;                /* what head.reach is at least */
	struct ranges changed;         /* what was written, or may have been, since the last notice */
	struct request *first, **last; /* for the helper */

	/* A reader's. */
	pthread_t reader;
	MPOOL *mp;                     /* the pool that is served, or NULL */
	uint64_t page;                 /* bytes of its pages */
	bool in_pool;                  /* the thread is in calls of it */
	uint64_t watch;                /* librados' name of the watch */
	bool watching;                 /* there is one */
	bool broken;                   /* it has failed: notices may be missing */
	bool missed;                   /* all is to be forgotten */
	bool wanted;                   /* somebody waits for a look at the head */
	int looked;                    /* how the last look ended: 0, or an errno's negative */
	uint64_t looks;                /* how many there were */
	uint64_t generation, sequence; /* of the last notice that was followed */
	uint64_t current;              /* all that syncs wrote that had returned at this time is read */
	struct notice *queue, **queue_last;

	uint64_t notices, unanswered, dropped; /* mpool_rados_stats */
};

/* Milliseconds of a clock that goes on while the machine sleeps. */
uint64_t now_ms(void);
/* Wait for `woken`, so long at the most; with `lock` held. */
void wait_ms(struct mpool_rados *r, uint64_t ms);
/* An errno's negative, as librados has it, to -1 and errno. */
int failed(int error);
/* A thread that takes no signals. */
int start_thread(pthread_t *thread, void *(*run)(void *), void *of);

/* lease.c: 0, or an errno's negative. */
int lease_take(struct mpool_rados *r);
void lease_give(struct mpool_rados *r);
void *lease_keep(void *r);
/* Is it the writer, as far as it can know?  With `lock` held. */
bool lease_holds(const struct mpool_rados *r);
/* That error says that it is not. */
int lease_told(struct mpool_rados *r, int error);

/* notice.c: tell readers, and wait for them. */
int notice_send(struct mpool_rados *r, const struct head *h, const struct ranges *changed, bool all);

/* reader.c */
int reader_start(struct mpool_rados *r);
void reader_stop(struct mpool_rados *r);

#endif
