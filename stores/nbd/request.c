/* request.c - see request.h. */
#include "request.h"

#include <stdlib.h>
#include <string.h>

void commands_push(struct commands *l, struct command *c)
{
	c->after = NULL;
	c->before = l->last;
	*(l->last ? &l->last->after : &l->first) = c;
	l->last = c;
}

void commands_remove(struct commands *l, struct command *c)
{
	*(c->before ? &c->before->after : &l->first) = c->after;
	*(c->after ? &c->after->before : &l->last) = c->before;
}

void requests_push(struct requests *l, struct request *r)
{
	r->next = NULL;
	*(l->first ? &l->last->next : &l->first) = r;
	l->last = r;
}

size_t iov_bytes(const struct iovec *iov, int n)
{
	size_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* Is it one piece of memory? */
static bool iov_is_one(const struct iovec *iov, int n)
{
	for (int i = 1; i < n; i++)
		if ((char *)iov[i - 1].iov_base + iov[i - 1].iov_len != iov[i].iov_base)
			return false;
	return true;
}

/* The first bytes of all pieces, from `copy` or to it. */
static void iov_copy(const struct iovec *iov, char *copy, size_t bytes, bool to_iov)
{
	for (; bytes > 0; iov++) {
		size_t n = iov->iov_len < bytes ? iov->iov_len : bytes;
		if (to_iov)
			memcpy(iov->iov_base, copy, n);
		else
			memcpy(copy, iov->iov_base, n);
		copy += n;
		bytes -= n;
	}
}

struct request *request_make(struct mpool_io *io, size_t bytes, size_t most)
{
	size_t n = bytes ? (bytes + most - 1) / most : 1; /* a flush is one */
	bool copied = bytes && !iov_is_one(io->iov, io->iovcnt);
	size_t head = sizeof(struct request) + n * sizeof(struct command);
	struct request *r = malloc(head + (copied ? bytes : 0));
	if (!r)
		return NULL;
	*r = (struct request){.io = io, .n = (unsigned)n, .left = (unsigned)n};
	if (copied)
		r->copy = (char *)r + head;
	if (copied && io->op == MPOOL_IO_WRITE)
		iov_copy(io->iov, r->copy, bytes, false);
	char *at = copied ? r->copy : bytes ? io->iov[0].iov_base : NULL;
	for (size_t i = 0, done = 0; i < n; i++, done += most)
		r->command[i] = (struct command){
			.of = r,
			.offset = io->offset + done,
			.bytes = bytes - done < most ? bytes - done : most,
			.at = at ? at + done : NULL,
		};
	return r;
}

bool request_done(struct request *r)
{
	return --r->left == 0;
}

/* The bytes up to the first command that has failed; or its errno, if it is the first one. */
static ssize_t result(const struct request *r)
{
	size_t bytes = 0;
	for (unsigned i = 0; i < r->n; i++) {
		if (r->command[i].error)
			return i ? (ssize_t)bytes : -r->command[i].error;
		bytes += r->command[i].bytes;
	}
	return (ssize_t)bytes;
}

void request_tell(struct request *r)
{
	struct mpool_io *io = r->io;
	ssize_t bytes = result(r);
	if (r->copy && io->op == MPOOL_IO_READ && bytes > 0)
		iov_copy(io->iov, r->copy, (size_t)bytes, true);
	free(r);
	io->done(io, bytes);
}
