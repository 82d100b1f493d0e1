/* run.c - see run.h. */
#include "io/run.h"

#include <errno.h>

void run_now(struct io_run *r)
{
	const struct pageio *io = r->file;
	off_t at = pageio_offset(io, r->page);
	ssize_t n = r->write ? store_write(io->store, io->fd, r->iov->iov_base, r->iov->iov_len, at)
	                     : store_readv(io->store, io->fd, r->iov, (int)r->n, at);
	r->result = n < 0 ? -errno : n;
	r->called = true;
}

uint32_t run_finish(struct io_run *r)
{
	/* Whatever a ring's try has failed with, it is the system call's errno that counts. */
	if (r->called && r->result < 0 && r->result != -EINTR) {
		errno = (int)-r->result;
		return 0;
	}
	size_t done = r->result > 0 ? (size_t)r->result : 0;
	return r->write ? pageio_write_rest(r->file, r->page, r->n, r->iov->iov_base, done)
	                : pageio_readv(r->file, r->page, r->iov, r->n, done);
}
