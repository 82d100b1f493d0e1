/*
 * ring_full.c - see ring_full.h.
 *
 * The two read from a pipe, in which there is nothing until the ring waits; or tells the kernel once more,
 * so that a ring that asks again and again ends.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ring_full.h"

#include <unistd.h>

#include "io/ring.h"

#if MPOOL_URING
#include <liburing.h>

#define BYTES    512
#define BEGIN_US 1000

static struct {
	int error, write_to;
	struct ring_full result;
} full;

static void give(void)
{
	static const char bytes[BYTES];
	if (write(full.write_to, bytes, sizeof bytes) != sizeof bytes)
		full.result.first = -1;
}

int __real_io_uring_submit_and_wait(struct io_uring *u, unsigned n);
int __wrap_io_uring_submit_and_wait(struct io_uring *u, unsigned n);
int __wrap_io_uring_submit_and_wait(struct io_uring *u, unsigned n)
{
	if (!full.error)
		return __real_io_uring_submit_and_wait(u, n);
	if (++full.result.told == 2)
		give();
	return -full.error;
}

int __real___io_uring_get_cqe(struct io_uring *u, struct io_uring_cqe **e, unsigned submit, unsigned n, sigset_t *mask);
int __wrap___io_uring_get_cqe(struct io_uring *u, struct io_uring_cqe **e, unsigned submit, unsigned n, sigset_t *mask);
int __wrap___io_uring_get_cqe(struct io_uring *u, struct io_uring_cqe **e, unsigned submit, unsigned n, sigset_t *mask)
{
	/* A look does not wait. */
	if (full.error && n > 0 && full.result.waited++ == 0 && full.result.told < 2)
		give();
	return __real___io_uring_get_cqe(u, e, submit, n, mask);
}

static int run(struct ring *r, int error)
{
	char bytes[2][BYTES];
	struct iovec iov[2] = {{bytes[0], BYTES}, {bytes[1], BYTES}};
	int ends[2];
	if (pipe(ends) != 0)
		return -1;
	struct pageio io = {.fd = ends[0], .pagesize = BYTES};
	struct io_run read[2] = {{.file = &io, .n = 1, .iov = &iov[0]}, {.file = &io, .n = 1, .iov = &iov[1]}};
	full.write_to = ends[1];
	full.result = (struct ring_full){0};
	ring_start(r, &read[0]);
	struct io_run *none = ring_next(r, BEGIN_US);
	ring_start(r, &read[1]);
	full.error = error;
	struct io_run *done = ring_next(r, 0);
	full.error = 0;
	full.result.first = !none && done == &read[0] ? (int)done->result : -1;
	give();
	done = ring_next(r, 0);
	full.result.second = done == &read[1] ? (int)done->result : -1;
	full.result.broken = ring_broken(r);
	close(ends[0]);
	close(ends[1]);
	return 0;
}
#endif

int ring_full(int error, struct ring_full *result)
{
	struct ring *r = ring_open(4);
	int ran = -1;
#if MPOOL_URING
	if (r) {
		ran = run(r, error);
		*result = full.result;
	}
#else
	(void)error;
	(void)result;
#endif
	if (r)
		ring_close(r);
	return ran;
}
