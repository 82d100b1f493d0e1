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
#include "os/time.h"

struct ring {
	struct io_uring u;
	unsigned depth;
	unsigned used; /* runs that are not returned yet */
	/* Those that the kernel was not told of yet, in the order of its queue; no other entry stands between them. */
	struct run_queue queued;
	unsigned n_queued;
	struct run_queue refused; /* ... and would not take */
	int broken;               /* errno with which the kernel takes no more; 0: it does */
	int wake;                 /* -1: none */
	bool armed;               /* the kernel waits for it, or is about to */
};

/* The wake has an entry of the kernel's queue, and no run. */
#define WAKE_ENTRIES 1u
/* Between two looks for what is done, where the kernel does not let us wait. */
#define LOOK_NS (100 * NS_PER_US)

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

int ring_broken(const struct ring *r)
{
	return r->broken;
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

/* Before any run is queued: see `queued`. */
static void arm(struct ring *r)
{
	struct io_uring_sqe *e = r->wake >= 0 && !r->armed && r->n_queued == 0 ? io_uring_get_sqe(&r->u) : NULL;
	if (!e)
		return;
	io_uring_prep_poll_add(e, r->wake, POLLIN);
	io_uring_sqe_set_data(e, NULL);
	r->armed = true;
}

static void prepare(struct io_uring_sqe *e, struct io_run *run)
{
	const struct pageio *io = run->file;
	uint64_t at = (uint64_t)pageio_offset(io, run->page);
	if (run->write)
		io_uring_prep_write(e, io->fd, run->iov->iov_base, (unsigned)run->iov->iov_len, at);
	else if (run->n == 1)
		io_uring_prep_read(e, io->fd, run->iov->iov_base, (unsigned)run->iov->iov_len, at);
	else
		io_uring_prep_readv(e, io->fd, run->iov, run->n, at);
	io_uring_sqe_set_data(e, run);
}

bool ring_start(struct ring *r, struct io_run *run)
{
	if (r->broken || r->used == r->depth)
		return false;
	arm(r);
	struct io_uring_sqe *e = io_uring_get_sqe(&r->u);
	if (!e)
		return false;
	prepare(e, run);
	run_push(&r->queued, run);
	r->n_queued++;
	r->used++;
	return true;
}

/* Those that the kernel has taken are its own. */
static void note_taken(struct ring *r)
{
	for (unsigned left = io_uring_sq_ready(&r->u); r->n_queued > left; r->n_queued--)
		run_pop(&r->queued);
}

/* The kernel takes no more: who queued the rest has it made in another way. */
static void give_up(struct ring *r, int error)
{
	r->broken = error;
	for (struct io_run *run; (run = run_pop(&r->queued)); r->n_queued--) {
		run->result = -error;
		run_push(&r->refused, run);
	}
}

/* Wait for a completion, and tell nothing.  0, or minus an errno. */
static int await_one(struct ring *r, unsigned wait_us)
{
	struct __kernel_timespec ts = {wait_us / 1000000, wait_us % 1000000 * 1000};
	struct io_uring_cqe *e;
	return wait_us ? io_uring_wait_cqe_timeout(&r->u, &e, &ts) : io_uring_wait_cqe(&r->u, &e);
}

/* Tell the kernel what is queued, and wait for a completion. */
static int submit(struct ring *r, unsigned wait_us)
{
	struct __kernel_timespec ts = {wait_us / 1000000, wait_us % 1000000 * 1000};
	struct io_uring_cqe *e;
	int error = wait_us ? io_uring_submit_and_wait_timeout(&r->u, &e, 1, &ts, NULL)
	                    : io_uring_submit_and_wait(&r->u, 1);
	note_taken(r);
	return error;
}

/* Does a call's error mean that it is to be made again? */
static bool passes(int error)
{
	return error >= 0 || error == -EINTR;
}

/* Tell the kernel, and wait for a completion.  False: the time is over. */
static bool tell(struct ring *r, unsigned wait_us)
{
	int error = r->broken ? await_one(r, wait_us) : submit(r, wait_us);
	if (error == -ETIME)
		return false;
	if (passes(error))
		return true;
	bool full = error == -EAGAIN || error == -EBUSY;
	if (r->n_queued > 0 && !(full && r->used > r->n_queued)) {
		give_up(r, -error);
		return true;
	}
	/* It takes more when what it has is done. */
	error = r->broken ? error : await_one(r, wait_us);
	if (!passes(error) && error != -ETIME)
		time_nap(LOOK_NS); /* it does not let us wait, and completes what it has all the same */
	return error != -ETIME;
}

static void take_wake(struct ring *r)
{
	r->armed = false;
	notify_event_take(r->wake);
}

struct io_run *ring_next(struct ring *r, unsigned wait_us)
{
	for (;;) {
		struct io_uring_cqe *e;
		struct io_run *run = run_pop(&r->refused);
		if (!run && io_uring_peek_cqe(&r->u, &e) == 0) {
			run = io_uring_cqe_get_data(e);
			if (run)
				run->result = e->res;
			io_uring_cqe_seen(&r->u, e);
			if (!run) {
				take_wake(r);
				return NULL;
			}
			for (unsigned i = 0; i < run->n && !run->write; i++)
				tsan_written(run->iov[i].iov_base, run->iov[i].iov_len);
		}
		if (run) {
			r->used--;
			return run;
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

int ring_broken(const struct ring *r)
{
	return r ? 0 : ENOSYS;
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

bool ring_start(struct ring *r, struct io_run *run)
{
	(void)r;
	(void)run;
	return false;
}

struct io_run *ring_next(struct ring *r, unsigned wait_us)
{
	(void)r;
	(void)wait_us;
	return NULL;
}

#endif
