// test_sync_range.cpp - mpool_sync_range: which pages it writes, whole ones, and what
// is on stable storage.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

using namespace test;

namespace {

constexpr size_t size = 512;

// Is the version in the file, of each page in the range and of none beside?
void check_written(const File &file, pgno_t pages, pgno_t first, pgno_t end)
{
	for (pgno_t i = 0; i < pages; i++) {
		CAPTURE(i, first, end);
		CHECK(file.holds(i, 1) == (i >= first && i < end));
	}
}

} // namespace

TEST_CASE("mpool_sync_range writes the modified pages of its range, and no others")
{
	const pgno_t pages = 200;
	const pgno_t first = GENERATE(0u, 3u, 100u), n = GENERATE(1u, 64u, 65u, 100u);
	const unsigned flags = GENERATE(unsigned(MPOOL_WRITE), unsigned(MPOOL_WRITE | MPOOL_FLUSH),
		unsigned(MPOOL_WRITE | MPOOL_WHOLE), unsigned(MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE));
	CAPTURE(first, n, flags);
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	REQUIRE(mpool_sync_range(pool, first, n, flags) == 0);
	check_written(file, pages, first, first + n);
	CHECK(pool.stats().dirty == pages - n);
	CHECK(pool.stats().writes == n);
	// They are clean: there is nothing to write any more.
	REQUIRE(mpool_sync_range(pool, first, n, flags) == 0);
	CHECK(pool.stats().writes == n);
	pool.sync();
	check_written(file, pages, 0, pages);
}

TEST_CASE("mpool_sync_range leaves out what lies behind the end")
{
	const pgno_t pages = 10;
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	const unsigned flags = GENERATE(unsigned(MPOOL_WRITE), unsigned(MPOOL_WRITE | MPOOL_FLUSH));
	CHECK(mpool_sync_range(pool, pages, 1, flags) == 0);
	CHECK(mpool_sync_range(pool, MAX_PAGE_NUMBER, MAX_PAGE_NUMBER, flags) == 0);
	CHECK(mpool_sync_range(pool, 0, 0, flags) == 0);
	check_written(file, pages, 0, 0);
	CHECK(mpool_sync_range(pool, 7, MAX_PAGE_NUMBER, flags) == 0);
	check_written(file, pages, 7, pages);
	CHECK(mpool_sync_range(pool, 0, MAX_PAGE_NUMBER, flags) == 0);
	check_written(file, pages, 0, pages);
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("mpool_sync_range of pages that were just made makes the file longer")
{
	File file(size, 1);
	Pool pool(file.fd(), size, 4);
	pgno_t pgno;
	void *page = pool.make(pgno);
	fill(page, size, pgno, 1);
	pool.put(page, MPOOL_DIRTY);
	REQUIRE(pgno == 1);
	REQUIRE(mpool_sync_range(pool, pgno, 1, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	CHECK(file.holds(pgno, 1));
}

TEST_CASE("mpool_sync_range refuses flags that say nothing, or that it does not know")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 4);
	pool.modify(0, 1);
	for (unsigned flags : {0u, unsigned(MPOOL_WHOLE), 8u, MPOOL_WRITE | 8u, MPOOL_FLUSH | 0x80000000u, ~0u}) {
		CAPTURE(flags);
		REQUIRE_FAILS(mpool_sync_range(pool, 0, 4, flags), EINVAL);
	}
	CHECK(pool.stats().dirty == 1);
	CHECK(pool.stats().writes == 0);
	// There is nothing to be withheld.
	CHECK(mpool_sync_range(pool, 0, 4, MPOOL_FLUSH | MPOOL_WHOLE) == 0);
	CHECK(mpool_sync_range(pool, 0, 4, MPOOL_FLUSH) == 0);
	CHECK(pool.stats().writes == 0);
}

TEST_CASE("a pinned page is written by mpool_sync_range, and stays modified; with MPOOL_WHOLE it is withheld")
{
	const pgno_t pages = GENERATE(4u, 100u);
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	void *one = pool.get(1), *two = pool.get(2);
	const unsigned flags = MPOOL_WRITE | GENERATE(0u, unsigned(MPOOL_FLUSH));

	CHECK(mpool_sync_range(pool, 0, pages, flags | MPOOL_WHOLE) == 2);
	CHECK_FALSE(file.holds(1, 1));
	CHECK_FALSE(file.holds(2, 1));
	CHECK(file.holds(0, 1));
	CHECK(file.holds(pages - 1, 1));
	CHECK(pool.stats().dirty == 2);
	CHECK(mpool_sync_range(pool, 2, 1, flags | MPOOL_WHOLE) == 1);
	CHECK(mpool_sync_range(pool, 3, 1, flags | MPOOL_WHOLE) == 0);

	CHECK(mpool_sync_range(pool, 1, 1, flags) == 0);
	CHECK(file.holds(1, 1));
	CHECK_FALSE(file.holds(2, 1));
	CHECK(pool.stats().dirty == 2); // it may be in the middle of a modification

	pool.put(one);
	pool.put(two);
	CHECK(mpool_sync_range(pool, 0, pages, flags | MPOOL_WHOLE) == 0);
	CHECK(file.holds(2, 1));
	CHECK(pool.stats().dirty == 0);
	// A pin of a page that was not modified withholds nothing.
	void *clean = pool.get(1);
	CHECK(mpool_sync_range(pool, 0, pages, flags | MPOOL_WHOLE) == 0);
	pool.put(clean);
}

TEST_CASE("mpool_sync_range finds modified pages beyond maxcache")
{
	const pgno_t pages = 200;
	const pgno_t n = GENERATE(1u, 150u);
	File file(size, pages);
	Pool pool(file.fd(), size, 4);
	std::vector<void *> held;
	for (pgno_t i = 0; i < pages; i++) {
		held.push_back(pool.get(i));
		fill(held.back(), size, i, 1);
		pool.get(i);
		pool.put(held.back(), MPOOL_DIRTY);
	}
	REQUIRE(pool.stats().overflow > 150);
	CHECK(mpool_sync_range(pool, 20, n, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	check_written(file, pages, 20, 20 + n);
	CHECK(mpool_sync_range(pool, 20, n, MPOOL_WRITE | MPOOL_WHOLE) == n);
	for (void *page : held)
		pool.put(page);
	CHECK(mpool_sync_range(pool, 20, n, MPOOL_WRITE | MPOOL_WHOLE) == 0);
}

TEST_CASE("mpool_sync_range writes what pgout makes of a page")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 4);
	mpool_filter_t *invert = [](void *, pgno_t, void *page) {
		for (size_t i = 0; i < size; i++)
			static_cast<unsigned char *>(page)[i] ^= 0xff;
	};
	mpool_filter(pool, nullptr, invert, nullptr);
	void *page = pool.get(2);
	memset(page, 0x0f, size);
	pool.put(page, MPOOL_DIRTY);
	CHECK(mpool_sync_range(pool, 2, 1, MPOOL_WRITE) == 0);
	CHECK(file.holds_bytes(2, 0xf0));
	CHECK(pool.shows_bytes(2, 0x0f));
}
