/*
 * moving.hpp - eight files whose use moves, in one pool, in one file, and in a pool each: what is missed.
 *
 * The requests are drawn from a fixed seed, and one thread makes them: the counts are the same in every run.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <vector>

namespace files {

constexpr uint32_t FILES = 8;

struct Moving {
	uint32_t file_pages = 2000;
	uint32_t memory_pages = 2400; /* of all pools together */
	uint32_t stay = 20000;        /* requests, of which 9 of 10 go to one file; then to the next */
	uint32_t requests = 320000;
};

struct Request {
	uint32_t file, page;
};

std::vector<Request> requests_of(const Moving &);

/* Misses of all these requests.  Throw where a page is not the one asked for. */
uint64_t one_pool_misses(const Moving &, const std::vector<Request> &); /* one pool, with the files attached */
uint64_t one_file_misses(const Moving &,
                         const std::vector<Request> &); /* one pool of one file that has all their pages */
uint64_t pool_each_misses(const Moving &, const std::vector<Request> &); /* each with an eighth of the memory */

} // namespace files
