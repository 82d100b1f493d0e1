/*
 * notice.h - what a writer tells readers: which bytes have changed.
 *
 * Little-endian numbers of 64 bits: magic, generation, sequence, size, flags, and of each range the first byte and the end.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_RADOS_NOTICE_H
#define MPOOL_RADOS_NOTICE_H

#include "ranges.h"

#include <stdbool.h>
#include <stddef.h>

/* One that has come, and waits for the reader's thread. */
struct notice {
	struct notice *next;
	uint64_t id, watch; /* for the answer */
	uint64_t generation, sequence, size;
	bool all; /* everything may have changed */
	unsigned int n;
	struct range at[];
};

/* Of these bytes; NULL: they are none, or there is no memory. */
struct notice *notice_read(const void *data, size_t bytes);

#endif
