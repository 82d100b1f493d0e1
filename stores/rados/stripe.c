/*
 * stripe.c - pages as objects: byte b is in object NAME.%016x of number b / object size, as RBD has its images.
 *
 * A request is cut into pieces that are in an object each, which are in flight together; who completes the last of
 * them calls `done`.  An object that is not there, or is shorter, is zeros.
 *
 * libradosstriper has the same objects, but takes and gives back a lock of RADOS's around each call, and waits for it in
 * the call that is to be asynchronous: bench/README.md has the figures.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "stripe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OID_MAX = NAME_MOST + 1 + 16 + 1 };

static void object_name(const struct mpool_rados *r, uint64_t number, char oid[OID_MAX])
{
	snprintf(oid, OID_MAX, "%s.%016" PRIx64, r->name, number);
}

/* Copy between a piece's own memory and the request's. */
static void copy(const struct mpool_io *io, size_t from, char *memory, size_t bytes, bool in)
{
	for (int i = 0; bytes > 0; i++) {
		const struct iovec *v = &io->iov[i];
		if (from >= v->iov_len) {
			from -= v->iov_len;
			continue;
		}
		size_t part = v->iov_len - from < bytes ? v->iov_len - from : bytes;
		char *at = (char *)v->iov_base + from;
		memcpy(in ? at : memory, in ? memory : at, part);
		memory += part;
		bytes -= part;
		from = 0;
	}
}

/* Where the piece's bytes are, if they are in one place of the request's memory. */
static char *in_place(const struct mpool_io *io, size_t from, size_t bytes)
{
	for (int i = 0; i < io->iovcnt; i++) {
		const struct iovec *v = &io->iov[i];
		if (from < v->iov_len)
			return bytes <= v->iov_len - from ? (char *)v->iov_base + from : NULL;
		from -= v->iov_len;
	}
	return NULL;
}

/* ---- the end of a request ------------------------------------------------------ */

static void written(struct mpool_rados *r, const struct request *q, int error)
{
	uint64_t end = q->offset + q->bytes;
	pthread_mutex_lock(&r->lock);
	/* Of one that failed, too: some of it may be there. */
	ranges_add(&r->changed, q->offset, end);
	if (error == 0 && end > r->size)
		r->size = end;
	pthread_mutex_unlock(&r->lock);
}

static void release(struct request *q)
{
	for (unsigned int i = 0; i < q->pieces; i++) {
		free(q->piece[i].own);
		if (q->piece[i].completion != NULL)
			rados_aio_release(q->piece[i].completion);
	}
	free(q);
}

void stripe_end(struct request *q, int error)
{
	struct mpool_io *io = q->io;
	ssize_t result = (ssize_t)q->bytes;
	if (q->r->writer)
		error = lease_told(q->r, error);
	if (io->op == MPOOL_IO_WRITE && q->bytes > 0)
		written(q->r, q, error);
	if (error != 0)
		result = error;
	release(q);
	io->done(io, result);
}

/* One part of it has ended. */
static void part_done(struct request *q, int error)
{
	int none = 0;
	/* Relaxed: the count below orders it. */
	if (error != 0)
		atomic_compare_exchange_strong_explicit(&q->error, &none, error, memory_order_relaxed,
		                                        memory_order_relaxed);
	/* Release, what this part has read and its error; acquire, those of all others, in who is the last. */
	if (atomic_fetch_sub_explicit(&q->left, 1, memory_order_acq_rel) == 1)
		stripe_end(q, atomic_load_explicit(&q->error, memory_order_relaxed));
}

static void piece_done(rados_completion_t completion, void *of)
{
	struct piece *p = of;
	struct request *q = p->request;
	int result = rados_aio_get_return_value(completion);
	if (q->io->op == MPOOL_IO_READ) {
		if (result == -ENOENT)
			result = 0;
		if (result >= 0) {
			memset(p->memory + result, 0, p->bytes - (size_t)result);
			if (p->own != NULL)
				copy(q->io, p->from, p->own, p->bytes, true);
		}
	}
	part_done(q, result < 0 ? result : 0);
}

/* ---- the beginning ------------------------------------------------------------- */

static bool prepare(struct request *q, struct piece *p, size_t from, size_t bytes)
{
	*p = (struct piece){.request = q, .from = from, .bytes = bytes, .memory = in_place(q->io, from, bytes)};
	if (p->memory == NULL) {
		if ((p->own = malloc(bytes)) == NULL)
			return false;
		p->memory = p->own;
		if (q->io->op == MPOOL_IO_WRITE)
			copy(q->io, from, p->own, bytes, false);
	}
	return rados_aio_create_completion2(p, piece_done, &p->completion) == 0;
}

struct request *stripe_request(struct mpool_rados *r, struct mpool_io *io)
{
	uint64_t bytes = 0, end;
	for (int i = 0; i < io->iovcnt; i++)
		bytes += io->iov[i].iov_len;
	if (io->op == MPOOL_IO_READ) {
		pthread_mutex_lock(&r->lock);
		uint64_t size = r->size;
		pthread_mutex_unlock(&r->lock);
		if (io->offset >= size)
			bytes = 0;
		else if (bytes > size - io->offset)
			bytes = size - io->offset;
	}
	end = io->offset + bytes;
	unsigned int pieces = bytes == 0 ? 0 : (unsigned int)((end - 1) / r->object - io->offset / r->object + 1);
	struct request *q = calloc(1, sizeof *q + pieces * sizeof q->piece[0]);
	if (q == NULL)
		return NULL;
	q->r = r;
	q->io = io;
	q->offset = io->offset;
	q->bytes = (size_t)bytes;
	uint64_t at = io->offset;
	for (; q->pieces < pieces; q->pieces++) {
		uint64_t next = (at / r->object + 1) * r->object;
		size_t part = (size_t)((next < end ? next : end) - at);
		if (!prepare(q, &q->piece[q->pieces], (size_t)(at - io->offset), part)) {
			q->pieces++;
			release(q);
			return NULL;
		}
		at += part;
	}
	return q;
}

void stripe_go(struct request *q)
{
	/* One more, this call's own, so that nobody ends the request before all of it has begun. */
	atomic_init(&q->left, q->pieces + 1);
	struct mpool_rados *r = q->r;
	for (unsigned int i = 0; i < q->pieces; i++) {
		struct piece *p = &q->piece[i];
		char oid[OID_MAX];
		uint64_t at = q->offset + p->from;
		object_name(r, at / r->object, oid);
		int error = q->io->op == MPOOL_IO_READ
		                    ? rados_aio_read(r->io, oid, p->completion, p->memory, p->bytes, at % r->object)
		                    : rados_aio_write(r->io, oid, p->completion, p->memory, p->bytes, at % r->object);
		if (error < 0)
			part_done(q, error);
	}
	part_done(q, 0);
}

int stripe_cut(struct mpool_rados *r, uint64_t from, uint64_t to)
{
	/* From the end, so that what is left is always without holes. */
	for (uint64_t end = to; end > from;) {
		uint64_t number = (end - 1) / r->object, first = number * r->object;
		char oid[OID_MAX];
		object_name(r, number, oid);
		int error = first >= from ? rados_remove(r->io, oid) : rados_trunc(r->io, oid, from - first);
		if (error != 0 && error != -ENOENT)
			return error;
		end = first;
	}
	return 0;
}
