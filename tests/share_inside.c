/*
 * share_inside.c - see share_inside.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "share_inside.h"

#include "api/pool.h"

size_t inside_header_bytes(void)
{
	return sizeof(struct header);
}

size_t inside_evictors_at(void)
{
	return offsetof(struct header, members.member[0].evictors);
}

size_t inside_shards_at(void)
{
	return offsetof(struct header, clock.shards);
}
