/*
 * pool.hpp - a trace through the pool.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>

#include "trace.hpp"

namespace replay {

constexpr uint32_t PAGE_BYTES_MIN = 4; /* a page holds its number */

struct PoolSetup {
	uint32_t cache_pages;
	uint32_t page_bytes;
	unsigned threads; /* whoever of them is free takes the next request */
};

/*
 * Opens a pool on a file of nothing but a hole, gets and puts each page in turn, and
 * returns how many pages were read.  Throws when a page is not the one asked for, or
 * the pool counts otherwise.
 */
uint64_t pool_misses(const Trace &, const PoolSetup &);

} // namespace replay
