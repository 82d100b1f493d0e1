/*
 * read.h - a read of adjacent pages, as the engines know it.
 *
 * Owns nothing.  Who makes a read keeps it, and the memory that it fills, until it is done.
 */
#ifndef MPOOL_READ_H
#define MPOOL_READ_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "io/pageio.h"

/* Pages of a read at the most: what one system call takes. */
#define READ_PAGES 256u

struct io_read {
	struct io_read *next; /* of an engine's queue */
	uint32_t page, n;     /* pages `page` to page + n - 1 */
	struct iovec *iov;    /* n, one a page */
	ssize_t result;       /* of one try: bytes, or minus an errno */
	/* Of workers.h: who is told. */
	void (*done)(void *of, struct io_read *read);
	void *of;
};

/* A queue of reads, first in, first out. */
struct read_queue {
	struct io_read *first, **end; /* end: NULL is the same as &first */
};

static inline void read_push(struct read_queue *q, struct io_read *r)
{
	r->next = NULL;
	*(q->first ? q->end : &q->first) = r;
	q->end = &r->next;
}

static inline struct io_read *read_pop(struct read_queue *q)
{
	struct io_read *r = q->first;
	if (r)
		q->first = r->next;
	return r;
}

/* It was popped just now, and is first again. */
static inline void read_unpop(struct read_queue *q, struct io_read *r)
{
	r->next = q->first;
	if (!q->first)
		q->end = &r->next;
	q->first = r;
}

/* One try, by the calling thread. */
void read_now(const struct pageio *io, struct io_read *r);
/* The read is done: how many of its pages are there.  Fewer than n: errno tells why. */
uint32_t read_finish(const struct pageio *io, struct io_read *r);

#endif
