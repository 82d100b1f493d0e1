/*
 * head.c - see head.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "head.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STATE      "mpool.state"
#define GENERATION "mpool.generation"
#define FORMAT     "mpool 1 object %" PRIu64 " size %" PRIu64 " reach %" PRIu64 " generation %" PRIu64 " sequence %" PRIu64
#define FORMAT_IN \
	"mpool 1 object %" SCNu64 " size %" SCNu64 " reach %" SCNu64 " generation %" SCNu64 " sequence %" SCNu64
enum { STATE_MAX = 256, GENERATION_MAX = 32, FIELDS = 5 };

static void set(rados_write_op_t op, const struct head *h)
{
	char text[STATE_MAX], generation[GENERATION_MAX];
	int length = snprintf(text, sizeof text, FORMAT, h->object, h->size, h->reach, h->generation, h->sequence);
	rados_write_op_setxattr(op, STATE, text, (size_t)length);
	length = snprintf(generation, sizeof generation, "%" PRIu64, h->generation);
	rados_write_op_setxattr(op, GENERATION, generation, (size_t)length);
}

int head_create(rados_ioctx_t io, const char *name, uint64_t object)
{
	rados_write_op_t op = rados_create_write_op();
	rados_write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, NULL);
	set(op, &(struct head){.object = object});
	int error = rados_write_op_operate(op, io, name, NULL, 0);
	rados_release_write_op(op);
	return error == -EEXIST ? 0 : error;
}

int head_read(rados_ioctx_t io, const char *name, struct head *h)
{
	char text[STATE_MAX + 1];
	int length = rados_getxattr(io, name, STATE, text, STATE_MAX);
	if (length == -ENODATA || length == -ERANGE)
		return -EINVAL;
	if (length < 0)
		return length;
	text[length] = 0;
	if (sscanf(text, FORMAT_IN, &h->object, &h->size, &h->reach, &h->generation, &h->sequence) != FIELDS)
		return -EINVAL;
	return h->object == 0 ? -EINVAL : 0;
}

int head_write(rados_ioctx_t io, const char *name, uint64_t generation, const struct head *h)
{
	char text[GENERATION_MAX];
	int length = snprintf(text, sizeof text, "%" PRIu64, generation);
	rados_write_op_t op = rados_create_write_op();
	rados_write_op_cmpxattr(op, GENERATION, LIBRADOS_CMPXATTR_OP_EQ, text, (size_t)length);
	set(op, h);
	int error = rados_write_op_operate(op, io, name, NULL, 0);
	rados_release_write_op(op);
	return error;
}
