/* ring.c - see ring.h. */
#include "io/ring.h"

#include <errno.h>
#include <stdlib.h>

#ifndef MPOOL_URING
#define MPOOL_URING 0
#endif

#if MPOOL_URING
#include <liburing.h>

#include <poll.h>

#include "core/tsan.h"
#include "os/descriptor.h"
#include "os/notify.h"

struct ring {
	struct io_uring u;
	unsigned depth;
	unsigned used; /* reads that are not returned yet */
	/* Those that the kernel was not told of yet, in the order of its queue; no other entry stands between them. */
	struct read_queue queued;
	unsigned n_queued;
	struct read_queue refused; /* ... and would not take */
	bool broken;               /* the kernel takes no more */
	int wake;                  /* -1: none */
	bool armed;                /* the kernel waits for it, or is about to */
};

/* The wake has an entry of the kernel's queue, and no read. */
#define WAKE_ENTRIES 1u

struct ring *ring_open(unsigned depth)
{
	struct ring *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	/* A program may have closed a standard descriptor: none of ours has its number. */
	struct low low;
	descriptor_take_low(&low);
	/* The thread waits for its completions: they need not interrupt it. */
	int error = io_uring_queue_init(depth + WAKE_ENTRIES, &r->u, IORING_SETUP_COOP_TASKRUN);
	if (error == -EINVAL) /* before Linux 5.19 */
		error = io_uring_queue_init(depth + WAKE_ENTRIES, &r->u, 0);
	descriptor_give_low(&low);
	if (error) {
		free(r);
		errno = -error;
		return NULL;
	}
	r->depth = depth;
	r->wake = -1;
	return r;
}

unsigned ring_depth(const struct ring *r)
{
	return r->depth;
}

void ring_close(struct ring *r)
{
	io_uring_queue_exit(&r->u);
	free(r);
}

bool ring_idle(const struct ring *r)
{
	return r->used == 0;
}

void ring_wake_by(struct ring *r, int wake)
{
	r->wake = wake;
}

/* Before any read is queued: see `queued`. */
static void arm(struct ring *r)
{
	struct io_uring_sqe *e = r->wake >= 0 && !r->armed && r->n_queued == 0 ? io_uring_get_sqe(&r->u) : NULL;
	if (!e)
		return;
	io_uring_prep_poll_add(e, r->wake, POLLIN);
	io_uring_sqe_set_data(e, NULL);
	r->armed = true;
}

bool ring_start(struct ring *r, const struct pageio *io, struct io_read *read)
{
	if (r->broken || r->used == r->depth)
		return false;
	arm(r);
	struct io_uring_sqe *e = io_uring_get_sqe(&r->u);
	if (!e)
		return false;
	uint64_t at = (uint64_t)pageio_offset(io, read->page);
	if (read->n == 1)
		io_uring_prep_read(e, io->fd, read->iov->iov_base, (unsigned)read->iov->iov_len, at);
	else
		io_uring_prep_readv(e, io->fd, read->iov, read->n, at);
	io_uring_sqe_set_data(e, read);
	read_push(&r->queued, read);
	r->n_queued++;
	r->used++;
	return true;
}

/* Those that the kernel has taken are its own. */
static void note_taken(struct ring *r)
{
	for (unsigned left = io_uring_sq_ready(&r->u); r->n_queued > left; r->n_queued--)
		read_pop(&r->queued);
}

/* The kernel takes no more: who queued the rest reads it in another way. */
static void give_up(struct ring *r, int error)
{
	r->broken = true;
	for (struct io_read *read; (read = read_pop(&r->queued)); r->n_queued--) {
		read->result = -error;
		read_push(&r->refused, read);
	}
}

/* Tell the kernel, and wait for a completion.  False: the time is over. */
static bool tell(struct ring *r, unsigned wait_us)
{
	struct __kernel_timespec ts = {wait_us / 1000000, wait_us % 1000000 * 1000};
	struct io_uring_cqe *e;
	int error;
	if (r->broken)
		error = wait_us ? io_uring_wait_cqe_timeout(&r->u, &e, &ts) : io_uring_wait_cqe(&r->u, &e);
	else if (wait_us)
		error = io_uring_submit_and_wait_timeout(&r->u, &e, 1, &ts, NULL);
	else
		error = io_uring_submit_and_wait(&r->u, 1);
	note_taken(r);
	if (error == -ETIME)
		return false;
	/* Its queues are full, say: it takes more when what it has is done. */
	if (error < 0 && error != -EINTR && r->n_queued > 0 && r->used == r->n_queued)
		give_up(r, -error);
	return true;
}

static void take_wake(struct ring *r)
{
	r->armed = false;
	notify_event_take(r->wake);
}

struct io_read *ring_next(struct ring *r, unsigned wait_us)
{
	for (;;) {
		struct io_uring_cqe *e;
		struct io_read *read = read_pop(&r->refused);
		if (!read && io_uring_peek_cqe(&r->u, &e) == 0) {
			read = io_uring_cqe_get_data(e);
			if (read)
				read->result = e->res;
			io_uring_cqe_seen(&r->u, e);
			if (!read) {
				take_wake(r);
				return NULL;
			}
			for (unsigned i = 0; i < read->n; i++)
				tsan_written(read->iov[i].iov_base, read->iov[i].iov_len);
		}
		if (read) {
			r->used--;
			return read;
		}
		arm(r);
		if ((r->used == 0 && r->wake < 0) || !tell(r, wait_us))
			return NULL;
	}
}

#else

struct ring *ring_open(unsigned depth)
{
	(void)depth;
	errno = ENOSYS;
	return NULL;
}

/* Nobody has a ring. */
unsigned ring_depth(const struct ring *r)
{
	return r ? 1 : 0;
}

void ring_close(struct ring *r)
{
	(void)r;
}

bool ring_idle(const struct ring *r)
{
	return !r;
}

void ring_wake_by(struct ring *r, int wake)
{
	(void)r;
	(void)wake;
}

bool ring_start(struct ring *r, const struct pageio *io, struct io_read *read)
{
	(void)r;
	(void)io;
	(void)read;
	return false;
}

struct io_read *ring_next(struct ring *r, unsigned wait_us)
{
	(void)r;
	(void)wait_us;
	return NULL;
}

#endif
