/* read.c - see read.h. */
#include "io/read.h"

#include <errno.h>

void read_now(const struct pageio *io, struct io_read *r)
{
	ssize_t n = preadv(io->fd, r->iov, (int)r->n, pageio_offset(io, r->page));
	r->result = n < 0 ? -errno : n;
}

uint32_t read_finish(const struct pageio *io, struct io_read *r)
{
	/* Whatever the try has failed with, it is the system call's errno that counts. */
	return pageio_readv(io, r->page, r->iov, r->n, r->result > 0 ? (size_t)r->result : 0);
}
