/*
 * mpool_rados.h - pages of libmpool in a Ceph cluster: as objects of RADOS, which one machine writes and many read.
 *
 * The manual page mpool_rados(3) tells of the calls; stores/rados/README.md of what the machines say to each other.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_RADOS_H
#define MPOOL_RADOS_H

#include <mpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The pages of one name, as this process has them. */
typedef struct mpool_rados MPOOL_RADOS;

/* mpool_rados_open: one of the first two, and perhaps the third. */
#define MPOOL_RADOS_READER 0x01 /* reads, and is told what the writer has changed */
#define MPOOL_RADOS_WRITER 0x02 /* reads and writes, alone */
#define MPOOL_RADOS_CREATE 0x04 /* where there is nothing of the name, make it, without a page */

/* What is to be opened, and how.  0, or NULL, stands for what is usual. */
struct mpool_rados_how {
	const char *conf;     /* the cluster's ceph.conf; as librados finds it */
	const char *client;   /* the user's name, without "client."; "admin" */
	const char *pool;     /* RADOS's pool; must be given */
	const char *name;     /* of the pages, which begins the names of their objects; must be given */
	unsigned int flags;   /* MPOOL_RADOS_... */
	unsigned int object;  /* bytes of an object, where it is created: a power of two from 64 KiB to 32 MiB; 4 MiB */
	unsigned int timeout; /* seconds after which what the cluster does not answer fails (ETIMEDOUT); 30 */
	unsigned int lease;   /* seconds that a writer says nothing, and then another may take its place; 15 */
	unsigned int fence;   /* seconds that the cluster refuses whom this writer takes the place of; a day */
	unsigned int notice;  /* seconds that a sync waits for readers to have forgotten what has changed; 5 */
	unsigned int watch;   /* seconds after which the cluster takes a reader for gone that says nothing; 15 */
	unsigned int check_ms; /* so often a reader looks whether it has missed a notice; 2000 */
};

/* No timeout: calls wait until the cluster answers. */
#define MPOOL_RADOS_WAIT 0xffffffffu

/*
 * mpool_rados_open - connect to the cluster, and open, or create, the pages of a name.
 *
 * size is sizeof *how.  What it returns is the cookie of mpool_rados_calls' functions.
 *
 * EBUSY      MPOOL_RADOS_WRITER: there is a writer, whose lease has not ended
 * ENOENT     there is no such RADOS pool; or nothing of the name, and MPOOL_RADOS_CREATE is not given
 * EINVAL     *how makes no sense; or what has the name is something else
 * ETIMEDOUT  the cluster does not answer
 * ENOMEM, EACCES, EPERM, ...  as librados gave it
 */
MPOOL_RADOS *mpool_rados_open(const struct mpool_rados_how *how, size_t size);

/* mpool_rados_calls - the store's functions, for mpool_open_store and mpool_attach_store, with an MPOOL_RADOS as the cookie. */
const struct mpool_store *mpool_rados_calls(void);

/*
 * mpool_rados_serve - these are the pages of that pool, or handle: from now on what a reader is told is forgotten by it.
 *
 * It forgets all first.  NULL: of no pool; when it has returned the store is in no call of the pool's, as is needed before
 * its mpool_close.  A writer is told nothing, and forgets nothing.
 *
 * ETIMEDOUT, ...  as mpool_rados_refresh; the pool is served all the same
 */
int mpool_rados_serve(MPOOL_RADOS *r, MPOOL *mp);

/*
 * mpool_rados_refresh - a reader reads from now on what every sync that has returned by now has written.
 *
 * It asks the cluster whether anything was missed.  It waits for pages to be put that have changed and are pinned.
 * Of a writer it does nothing.
 *
 * ETIMEDOUT, ...  the cluster does not answer, as librados gave it
 */
int mpool_rados_refresh(MPOOL_RADOS *r);

/* mpool_rados_close - close the pool that is served, which closes the store; where none is, the store alone. */
int mpool_rados_close(MPOOL_RADOS *r);

/* mpool_open_rados - all of it: open the pages of a name, a pool of them, and serve it.  *store is for the other calls. */
MPOOL *mpool_open_rados(const struct mpool_rados_how *how, size_t size, pgno_t pagesize, pgno_t maxcache,
                        MPOOL_RADOS **store);

struct mpool_rados_stats {
	uint64_t size;       /* bytes there are */
	uint64_t object;     /* bytes of an object */
	uint64_t generation; /* how many writers there were */
	uint64_t sequence;   /* of the last notice */
	uint64_t notices;    /* that were sent, or have come */
	uint64_t unanswered; /* writer: how often a reader has not answered a notice in time */
	uint64_t dropped;    /* reader: how often it forgot everything */
	uint64_t age_ms;     /* reader: every sync that had returned so long ago is in what is read */
	uint64_t fenced;     /* writer: 1: another has taken its place, or its lease cannot be told */
};

/* mpool_rados_stats - fill the first `size` bytes of *st.  Returns 0. */
int mpool_rados_stats(MPOOL_RADOS *r, struct mpool_rados_stats *st, size_t size);

#ifdef __cplusplus
}
#endif

#endif
