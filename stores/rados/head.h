/*
 * head.h - the object that has the name: how many bytes there are, who writes them, and what was told to readers.
 *
 * It is two attributes.  mpool.state is a line of text with all of struct head; mpool.generation has the generation alone:
 * every change is made on condition that it is still the one that the changer has, so who is not the writer any
 * more changes nothing.  The same object is locked (lease.c) and watched (reader.c).
 *
 * Functions return 0, or an errno's negative, as librados does: -ECANCELED of a generation that is over.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_RADOS_HEAD_H
#define MPOOL_RADOS_HEAD_H

#include <rados/librados.h>
#include <stdint.h>

struct head {
	uint64_t object;     /* bytes of an object; never changes */
	uint64_t size;       /* bytes there are */
	uint64_t reach;      /* no object has anything from this byte on */
	uint64_t generation; /* counts writers; 0: there was none */
	uint64_t sequence;   /* counts notices */
};

int head_create(rados_ioctx_t io, const char *name, uint64_t object);
int head_read(rados_ioctx_t io, const char *name, struct head *h);
/* While the generation is `generation`: becomes *h. */
int head_write(rados_ioctx_t io, const char *name, uint64_t generation, const struct head *h);

#endif
