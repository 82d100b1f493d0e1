/*
 * reference.hpp - what other policies miss of a trace, computed without a pool.
 *
 * All requests count, the first of each page, too.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>

#include "trace.hpp"

namespace replay {

/* The page that was requested longest ago goes. */
uint32_t lru_misses(const Trace &, uint32_t cache_pages);

/*
 * The page goes that is requested again last, or never: no policy that has each
 * page in memory when it is requested misses less.  Belady's.
 */
uint32_t opt_misses(const Trace &, uint32_t cache_pages);

} // namespace replay
