// test_modules.cpp - modules of the library by themselves: searching a line, telling
// a page by its address, when memory is freed, and the table's insertions and
// moves under the eyes of many threads.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "modules.h"
#include "support.hpp"

#include <algorithm>

using namespace test;

TEST_CASE("pins of a page are counted however many there are")
{
	const pgno_t pages = 64;
	File file(512, pages);
	Pool pool(file.fd(), 512, 4);
	void *page = pool.get(7);
	REQUIRE(module_pin_often(pool, page));
	pool.put(page); // 2^32 are left
	const std::string was(static_cast<const char *>(page), 512);
	for (int round = 0; round < 10; round++)
		pool.touch(8, pages);
	CHECK(std::string(static_cast<const char *>(page), 512) == was);
	CHECK(pool.stats().pinned == 1);
	CHECK(pool.get(7) == page);
}

TEST_CASE("scans do not look at the stripes of threads that have used the pool and hold nothing")
{
	const pgno_t pages = 512;
	const unsigned threads = 200;
	const bool sleep = GENERATE(true, false);
	File file(512, pages);
	Pool pool(file.fd(), 512, 16);
	Gate end;
	std::vector<std::thread> all;
	for (unsigned t = 0; t < threads; t++)
		all.emplace_back([&] {
			// Not by REQUIRE, which is for one thread at a time.
			void *page = mpool_get(pool, 0, 0);
			if (!page || mpool_put(pool, page, 0) != 0)
				abort();
			end.pass();
		});
	end.await(threads);
	auto finish = [&] {
		end.open();
		for (std::thread &thread : all)
			thread.join();
	};
	if (!sleep)
		finish();
	CAPTURE(sleep, module_stripes(pool).looked_at);
	REQUIRE(module_stripes(pool).all >= threads);
	for (unsigned round = 0; round < 4; round++)
		pool.touch(1, pages);
	CHECK(module_stripes(pool).looked_at <= 4);
	// Whoever comes back is looked at again.
	void *page = pool.get(3);
	pool.touch(4, pages);
	CHECK(pool.get(3) == page);
	if (sleep)
		finish();
}

TEST_CASE("where there are as many stripes as there may be no thread gets another")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 4);
	pool.touch(0, 4);
	CHECK(module_stripes_run_out(pool));
	pool.touch(4, 4);
}

TEST_CASE("a line of eight words is searched as a loop would search it")
{
	Random random(1);
	for (int n = 0; n < 20000; n++) {
		uint64_t words[8];
		for (uint64_t &word : words)
			word = uint64_t{random.below(1u << 31)} << 32 | random.below(12);
		for (uint32_t key = 0; key < 12; key++) {
			int first = -1;
			for (int i = 7; i >= 0; i--)
				if (static_cast<uint32_t>(words[i]) == key)
					first = i;
			if (module_line_find(words, key) != first)
				FAIL("key " << key << " of round " << n);
		}
	}
	uint64_t words[8] = {0xffffffff, 1, 0, 0, 0, 0, 0, uint64_t{0xffffffff} << 32 | 7};
	CHECK(module_line_find(words, 0xffffffff) == 0);
	CHECK(module_line_find(words, 7) == 7);
}

TEST_CASE("the address of a page, and no other, leads to its frame")
{
	for (pgno_t size : {1u, 16u, 17u, 64u, 1000u, 4096u, 12288u, 65536u, 99999u})
		for (uint32_t frames : {1u, 2u, 3u, 63u, 1000u}) {
			CAPTURE(size, frames);
			CHECK(module_frame_wrong(size, frames) == 0);
		}
}

TEST_CASE("a sync looks at what is changed, and a sweep leaves nothing to look at")
{
	for (uint32_t frames : {1u, 8u, 63u, 511u, 512u, 513u, 5000u})
		for (uint32_t nth : {1u, 3u, 700u}) {
			CAPTURE(frames, nth);
			struct module_changed_result r;
			module_changed(frames, nth, &r);
			CHECK(r.missed == 0);
			CHECK(r.looked_at <= 8 * r.marked);
			CHECK(r.kept == r.looked_at);
			CHECK(r.after == 0);
			CHECK(r.dead == std::min(frames, 512u));
		}
}

TEST_CASE("what was replaced is freed when those who may look at it have left, and not before")
{
	struct module_epoch_steps steps;
	REQUIRE(module_epoch(&steps) == 0);
	CHECK(steps.found_before);
	CHECK_FALSE(steps.found_retired);
	CHECK(steps.kept_in_section);
	CHECK_FALSE(steps.kept_for_later);
	CHECK(steps.gone);
}

TEST_CASE("sixteen torn pages are remembered, many more as a rule, and none that was taken off")
{
	struct module_torn_result result;
	module_torn(1000, &result);
	CHECK(result.first >= 16);
	CHECK(result.all >= 800);
	CHECK(result.all <= 1000);
	CHECK(result.removed == 0);
	module_torn(10000, &result);
	CHECK(result.all == 1024); // all places
	CHECK(result.removed == 0);
}

TEST_CASE("who waits is woken by what it waits for, and by nothing else")
{
	struct module_wait_result result;
	module_wait(&result);
	CHECK_FALSE(result.other_page);
	CHECK_FALSE(result.frame);
	CHECK(result.page);
	CHECK(result.other_when_mixed);
	CHECK_FALSE(result.after);
}

TEST_CASE("one thread loads a page, and a page that moves to another table is never out of sight")
{
	const uint32_t pages = 3000;
	for (size_t round = 0; round < shrink(40); round++) {
		struct module_table_result result;
		REQUIRE(module_table(3, pages, &result) == 0);
		CHECK(result.loaders == pages);
		CHECK(result.lost_sight == 0);
		CHECK(result.wrong == 0);
		CHECK(result.entries == pages);
		CHECK(result.moved > 0);
	}
}

TEST_CASE("what a thread in a section keeps of the overflow is given back when it has left")
{
	const pgno_t pages = 3000;
	File file(512, 2 * pages);
	Pool pool(file.fd(), 512, 10);
	pool.touch(0, 100);
	const uint64_t before = pool.stats().metadata;
	std::vector<void *> held;
	for (pgno_t i = 0; i < pages; i++)
		held.push_back(pool.get(i));
	const uint64_t grown = pool.stats().metadata;
	void *section = module_section(pool);
	REQUIRE(section);
	for (void *page : held)
		pool.put(page);
	pool.touch(pages, 2 * pages);
	CHECK(pool.stats().overflow == 0);
	INFO(before << " bytes of bookkeeping before, " << grown << " while pinned");
	CHECK(pool.stats().metadata > before + (grown - before) / 3);
	module_section_leave(section);
	pool.touch(0, pages); // one segment a miss, and the table
	CHECK(pool.stats().metadata < before + (grown - before) / 10);
}

TEST_CASE("hits move what is left in a table that was replaced")
{
	const pgno_t pages = 12000, page_size = 64;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 4 * pages);
	pool.touch(0, pages);
	pgno_t last = 0;
	for (pgno_t n = 0; n < pages && module_older_entries(pool) == 0; n++)
		pool.put(pool.make(last));
	REQUIRE(module_older_entries(pool) > 0);
	const uint64_t misses = pool.stats().misses;
	pool.touch(0, last + 1);
	REQUIRE(pool.stats().misses == misses);
	CHECK(module_older_entries(pool) == 0);
}

TEST_CASE("a table that was replaced is looked at without danger, gives its memory back, and is used again")
{
	const uint32_t pages = 20000;
	struct module_cached_result result;
	REQUIRE(module_table_cached(pages, static_cast<unsigned>(shrink(300)), &result) == 0);
	CHECK(result.seen > 0);
	CHECK(result.wrong == 0);
	CHECK(result.lost == 0);
	CHECK(result.backed == 0);
	CHECK(result.tables <= 6); // three sizes; of each one in use and one replaced at the most
}

TEST_CASE("a table whose pages do not spread knows it, and another factor spreads them")
{
	const uint32_t bad_stride = 832040; // a Fibonacci number: the golden ratio's own
	for (uint32_t stride : {1u, 2u, 7u, 64u, 100u, 1000u, 4096u, 65536u, 1000000u}) {
		CAPTURE(stride);
		CHECK(module_table_clumped(4000, 4000, stride, 0) == 0);
	}
	CHECK(module_table_clumped(4000, 4000, bad_stride, 0) == 2);
	CHECK(module_table_clumped(4000, 4000, bad_stride, 1) == 0);
	// All find a place, but few of them one where a hit looks.
	CHECK(module_table_clumped(6000, 2000, 4181, 0) == 1);
	CHECK(module_table_clumped(6000, 2000, 4181, 1) == 0);
	// With the last factor there is none left to try: it is walked on in.
	CHECK(module_table_clumped(6000, 2000, 58738, 7) == 0);
}

TEST_CASE("who hears of closings is told which file it was, and when too many came to know")
{
	const unsigned few = 100;
	File a(512, 1), b(512, 1);
	const char *const paths[2] = {a.path().c_str(), b.path().c_str()};
	struct module_closings told;
	if (module_closings(paths, few, &told) != 0) {
		WARN("skipped: no instance of inotify to be had");
		return;
	}
	CHECK(told.of[0] == few);
	CHECK(told.of[1] == few);
	CHECK(told.any == 0);
	CHECK(told.others == 0);
	unsigned most = 0;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	REQUIRE(f);
	REQUIRE(fscanf(f, "%u", &most) == 1);
	fclose(f);
	REQUIRE(module_closings(paths, most / 2 + few, &told) == 0);
	CHECK(told.any == 1);
	CHECK(told.others == 0);
}
