/*
 * share_inside.h - where things are in the object of a shared pool, for tests that
 * damage them: C++ cannot include the library's headers.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef SHARE_INSIDE_H
#define SHARE_INSIDE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The header, and in it how many of the first member's threads evict, and how many shards there are. */
size_t inside_header_bytes(void);
size_t inside_evictors_at(void);
size_t inside_shards_at(void);

#ifdef __cplusplus
}
#endif

#endif
