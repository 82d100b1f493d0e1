/* run.c - see run.h. */
#include "io/run.h"

#include <errno.h>
#include <unistd.h>

void run_now(const struct pageio *io, struct io_run *r)
{
	off_t at = pageio_offset(io, r->page);
	ssize_t n = r->write ? pwrite(io->fd, r->iov->iov_base, r->iov->iov_len, at)
	                     : preadv(io->fd, r->iov, (int)r->n, at);
	r->result = n < 0 ? -errno : n;
	r->called = true;
}

uint32_t run_finish(const struct pageio *io, struct io_run *r)
{
	/* Whatever a ring's try has failed with, it is the system call's errno that counts. */
	if (r->called && r->result < 0 && r->result != -EINTR) {
		errno = (int)-r->result;
		return 0;
	}
	size_t done = r->result > 0 ? (size_t)r->result : 0;
	return r->write ? pageio_write_rest(io, r->page, r->n, r->iov->iov_base, done)
	                : pageio_readv(io, r->page, r->iov, r->n, done);
}
