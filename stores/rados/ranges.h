/*
 * ranges.h - which bytes were written since the last notice: a set of ranges that never takes more room.
 *
 * When there are more ranges than there is room for the set is made coarser: it has at least what was added, and may have
 * more, which costs readers that read anew what has not changed, and nothing else.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_RADOS_RANGES_H
#define MPOOL_RADOS_RANGES_H

#include <stdint.h>

enum { RANGES_MAX = 512 };

/* Bytes first to end - 1. */
struct range {
	uint64_t first, end;
};

struct ranges {
	uint64_t grain; /* firsts and ends are multiples of it; 0: 1 */
	unsigned int n;
	struct range at[RANGES_MAX + 1]; /* in order, and apart; one more for ranges_add while it works */
};

void ranges_add(struct ranges *s, uint64_t first, uint64_t end);
void ranges_add_all(struct ranges *s, const struct ranges *other);

#endif
