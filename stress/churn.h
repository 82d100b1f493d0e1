/*
 * churn.h - one run of the churn mode, as its parts share it.
 *
 * churn.c      makes the file and the pool, checks and sums up; a run in one process
 * processes.c  a run in several processes, and who of them does what
 * crew.c       starts and replaces a process's workers
 * worker.c     what a worker does
 * proof.c      what must hold after a sync, and at the end
 */
#ifndef STRESS_CHURN_H
#define STRESS_CHURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "handover.h"
#include "mpool.h"
#include "options.h"
#include "truth.h"

struct tally {
	uint64_t operation[OPERATIONS];
	uint64_t gets;      /* calls of mpool_get that gave a page */
	uint64_t busy;      /* deletes refused since others had the page pinned */
	uint64_t processes; /* that joined; 0: the pool is private */
	uint64_t threads;   /* that began */
	uint64_t cancelled;
	uint64_t orphans; /* pins that outlived the thread that took them */
	uint64_t syncs_checked;
	uint64_t pages_exact; /* after a checked sync: held exactly the version put before it */
	uint64_t pages_newer; /* held that or a newer one, while it was being changed */
};

/* What all processes of a run see and change. */
struct common {
	_Atomic bool interrupted;
	_Atomic pgno_t reserved; /* pages allotted, or about to be */
	/* The greatest maxcache that was asked for: by calls that have begun, that have returned. */
	_Atomic pgno_t cache_asked, cache_given;
	pthread_mutex_t mutex;
	struct tally sum; /* of threads that ended; guarded by mutex */
};

struct churn {
	const struct options *o;
	struct common *common;
	char *key;            /* of the pool; NULL: private */
	pgno_t cache;         /* what this process asks for */
	unsigned first_place; /* of this process's threads, in the watch table */
	uint64_t first_life;  /* of its threads, less 1 */
	MPOOL *pool;
	int fd;       /* the pool's */
	int plain_fd; /* the same file, for reading around the pool */
	struct truth *truth;
	struct handover *handover;
	double deadline; /* this process's, on report_seconds' clock; INFINITY: a signal ends it */
	double growth;   /* seconds in which the file grows */
};

/* Time to stop: the deadline, too many faults, or a signal. */
bool churn_over(const struct churn *run);

void churn_add_tally(struct churn *run, const struct tally *t);

/* The calling process opens the pool, by `fd`, which may be -1 when it exists; and leaves it. */
void churn_open_pool(struct churn *run, int fd);
void churn_close_pool(struct churn *run);

/* For the process that checks: lines of progress from now on; and the end, when all workers are gone. */
void churn_tell(struct churn *run);
void churn_conclude(struct churn *run);

/* From the memory's form of a page to the file's, and back. */
void churn_to_file(void *cookie, pgno_t pgno, void *page);
void churn_to_memory(void *cookie, pgno_t pgno, void *page);

#endif
