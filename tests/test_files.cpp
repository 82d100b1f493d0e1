// test_files.cpp - mpool-files counts what it says: many files in one pool miss what one file does.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include "files/moving.hpp"

using namespace files;

TEST_CASE("eight files whose use moves miss in one pool what one file misses")
{
	Moving m;
	m.file_pages = 500;
	m.memory_pages = 600;
	m.stay = 5000;
	m.requests = 80000;
	const std::vector<Request> requests = requests_of(m);
	const uint64_t one_pool = one_pool_misses(m, requests), one_file = one_file_misses(m, requests),
		       pool_each = pool_each_misses(m, requests);
	CAPTURE(one_pool, one_file, pool_each);
	CHECK(one_pool * 100 <= one_file * 102);
	// With a pool each the memory is where the use is not.
	CHECK(pool_each >= 2 * one_pool);
}

TEST_CASE("the requests to eight files are the same in every run, and go to one file for a while")
{
	Moving m;
	m.stay = 1000;
	m.requests = 16000;
	const std::vector<Request> requests = requests_of(m), again = requests_of(m);
	REQUIRE(requests.size() == m.requests);
	for (uint32_t begin = 0; begin < m.requests; begin += m.stay) {
		uint32_t used = 0;
		for (uint32_t i = begin; i < begin + m.stay; i++) {
			REQUIRE(requests[i].file < FILES);
			REQUIRE(requests[i].page < m.file_pages);
			REQUIRE(requests[i].file == again[i].file);
			REQUIRE(requests[i].page == again[i].page);
			used += requests[i].file == begin / m.stay % FILES;
		}
		CHECK(used > m.stay * 8 / 10);
	}
}
