/*
 * run.h - a run: a transfer of adjacent pages, a read or a write, as the engines know it.
 *
 * Owns nothing.  Who makes a run keeps it, and the memory that it fills or has its bytes from,
 * until it is done.
 */
#ifndef MPOOL_RUN_H
#define MPOOL_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "io/pageio.h"

/* Pages of a run at the most: what one system call takes. */
#define RUN_PAGES 256u

struct io_run {
	struct io_run *next; /* of an engine's queue */
	const struct pageio *file;
	uint32_t page, n;  /* its pages `page` to page + n - 1 */
	bool write;        /* which pageio_may_write has allowed */
	struct iovec *iov; /* n, one a page; of a write one, with all of them */
	ssize_t result;    /* of one try: bytes, or minus an errno, */
	bool called;       /* which is a system call's, or a store's */
	bool submitted;    /* the background is to give it to its store, or has (background.h) */
	/* Of workers.h and submit.h: who is told. */
	void (*done)(void *of, struct io_run *run);
	void *of;
	struct mpool_io request; /* of submit.h */
};

static inline unsigned run_pieces(const struct io_run *r)
{
	return r->write ? 1 : r->n;
}

static inline size_t run_bytes(const struct io_run *r)
{
	return (size_t)r->n * r->file->pagesize;
}

/* A queue of runs, first in, first out. */
struct run_queue {
	struct io_run *first, **end; /* end: NULL is the same as &first */
};

static inline void run_push(struct run_queue *q, struct io_run *r)
{
	r->next = NULL;
	*(q->first ? q->end : &q->first) = r;
	q->end = &r->next;
}

static inline struct io_run *run_pop(struct run_queue *q)
{
	struct io_run *r = q->first;
	if (r)
		q->first = r->next;
	return r;
}

/* It was popped just now, and is first again. */
static inline void run_unpop(struct run_queue *q, struct io_run *r)
{
	r->next = q->first;
	if (!q->first)
		q->end = &r->next;
	q->first = r;
}

/* One try, by the calling thread. */
void run_now(struct io_run *r);
/* The try is done: how many of the pages are there, or written.  Fewer than n: errno tells why. */
uint32_t run_finish(struct io_run *r);

#endif
