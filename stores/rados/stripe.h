/*
 * stripe.h - a request to the store, and the pieces that it is made of.
 *
 * Made by stripe_request; then stripe_go begins it, once, and it is gone when it is done; or stripe_end ends it with an
 * error, and it was not begun.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_RADOS_STRIPE_H
#define MPOOL_RADOS_STRIPE_H

#include "store.h"

struct piece {
	struct request *request;
	rados_completion_t completion;
	size_t from, bytes; /* of the request's bytes */
	char *memory;       /* where they are */
	char *own;          /* the same, where they are in several places of the request's; or NULL */
};

struct request {
	struct request *next; /* of the helper's queue */
	struct mpool_rados *r;
	struct mpool_io *io;
	uint64_t offset;
	size_t bytes;              /* a read ends where the store does */
	_Atomic unsigned int left; /* parts that have not ended */
	_Atomic int error;         /* the first */
	unsigned int pieces;
	struct piece piece[];
};

/* NULL: there is no memory. */
struct request *stripe_request(struct mpool_rados *r, struct mpool_io *io);
void stripe_go(struct request *q);
void stripe_end(struct request *q, int error);
/* Remove what objects have from byte `from` on, up to `to`: 0, or an errno's negative. */
int stripe_cut(struct mpool_rados *r, uint64_t from, uint64_t to);

#endif
