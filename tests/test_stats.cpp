// test_stats.cpp - mpool_stats counts right and fills no more than it is asked
// to, and mpool_stat prints to standard error.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

using namespace test;

TEST_CASE("a page that was chosen to go, and is got before its frame is needed, is a rescue and no miss")
{
	const pgno_t maxcache = 1024; // large enough to choose several at once
	File file(64);
	file.truncate(64 * (maxcache + 1));
	Pool pool(file.fd(), 64, maxcache);
	pool.touch(0, maxcache + 1);
	struct mpool_stats before = pool.stats();
	CHECK(before.misses == maxcache + 1);
	CHECK(before.evictions == 1);
	CHECK(before.rescues == 0);
	// They are all there, the others that were chosen too, but one.
	struct mpool_stats after = before;
	pgno_t got = 0;
	for (pgno_t page = maxcache; after.misses == before.misses; page--, got++) {
		REQUIRE(got <= maxcache);
		pool.touch(page, page + 1);
		after = pool.stats();
	}
	CHECK(after.rescues > 0);
	CHECK(after.hits == got - 1);
}

TEST_CASE("mpool_stats counts what the pool did and holds")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 10);
	struct mpool_stats st = pool.stats();
	CHECK(st.hits == 0);
	CHECK(st.misses == 0);
	CHECK(st.reads == 0);
	CHECK(st.writes == 0);
	CHECK(st.evictions == 0);
	CHECK(st.rescues == 0);
	CHECK(st.cached == 0);
	CHECK(st.dirty == 0);
	CHECK(st.pinned == 0);
	CHECK(st.overflow == 0);
	CHECK(st.pages == 100);
	CHECK(st.maxcache == 10);
	CHECK(st.pagesize == 512);

	pool.touch(0, 5);
	void *a = pool.get(0), *again = pool.get(0), *b = pool.get(1);
	pool.put(pool.get(2), MPOOL_DIRTY);
	st = pool.stats();
	CHECK(st.misses == 5);
	CHECK(st.reads == 5);
	CHECK(st.hits == 4);
	CHECK(st.cached == 5);
	CHECK(st.dirty == 1);
	CHECK(st.pinned == 2); // pages, not pins
	CHECK(st.evictions == 0);
	CHECK(st.writes == 0);
	CHECK(st.metadata > 0);

	pool.sync();
	st = pool.stats();
	CHECK(st.writes == 1);
	CHECK(st.dirty == 0);
	CHECK(st.cached == 5);

	pool.put(a);
	pool.put(again);
	pool.put(b);
	pool.touch(20, 90);
	st = pool.stats();
	CHECK(st.misses == 75);
	CHECK(st.reads == 75);
	CHECK(st.hits == 4);
	CHECK(st.pinned == 0);
	CHECK(st.cached <= 10);
	CHECK(st.cached >= 5);
	CHECK(st.evictions == 75 - st.cached);
	CHECK(st.overflow == 0);

	pgno_t pgno;
	void *page = pool.make(pgno);
	CHECK(pool.stats().pages == 101);
	CHECK(pool.stats().pinned == 1);
	pool.put(page);
}

TEST_CASE("mpool_stats counts the work of threads that ended")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 20);
	pool.touch(0, 10);
	for (int n = 0; n < 5; n++)
		run_threads(8, [&](unsigned) {
			for (pgno_t i = 0; i < 10; i++)
				if (mpool_put(pool, mpool_get(pool, i, 0), 0) != 0)
					abort();
		});
	CHECK(pool.stats().hits == 5 * 8 * 10);
	CHECK(pool.stats().reads == 10);
}

TEST_CASE("maxcache 0 counts as 1")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 0);
	CHECK(pool.stats().maxcache == 1);
	pool.touch(0, 10);
	CHECK(pool.stats().cached == 1);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("a pool never keeps more than maxcache pages that are not pinned")
{
	const pgno_t maxcache = GENERATE(1u, 2u, 3u, 17u, 64u, 200u);
	CAPTURE(maxcache);
	File file(64, 1000);
	Pool pool(file.fd(), 64, maxcache);
	for (pgno_t i = 0; i < 1000; i++) {
		pool.modify(i, 1);
		REQUIRE(pool.stats().cached <= maxcache);
		REQUIRE(pool.stats().overflow == 0);
	}
}

TEST_CASE("mpool_stats fills the first bytes that it is asked for, and no more")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 10);
	pool.touch(0, 10);
	const struct mpool_stats whole = pool.stats();
	unsigned char bytes[sizeof whole + 64];
	for (size_t size = 0; size <= sizeof whole; size++) {
		memset(bytes, 0xc3, sizeof bytes);
		REQUIRE(mpool_stats(pool, reinterpret_cast<struct mpool_stats *>(bytes), size) == 0);
		REQUIRE(memcmp(bytes, &whole, size) == 0);
		REQUIRE(all_bytes(bytes + size, sizeof bytes - size, 0xc3));
	}
	// A program built with a later version's longer struct.
	memset(bytes, 0xc3, sizeof bytes);
	REQUIRE(mpool_stats(pool, reinterpret_cast<struct mpool_stats *>(bytes), sizeof bytes) == 0);
	REQUIRE(memcmp(bytes, &whole, sizeof whole) == 0);
}

TEST_CASE("mpool_stat prints to standard error, and nothing to standard output")
{
	File file(512, 10), err, out;
	Pool pool(file.fd(), 512, 31);
	pool.touch(0, 10);
	fflush(stdout);
	fflush(stderr);
	Fd old_err(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)), old_out(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
	REQUIRE(dup2(err.fd(), STDERR_FILENO) >= 0);
	REQUIRE(dup2(out.fd(), STDOUT_FILENO) >= 0);
	mpool_stat(pool);
	fflush(stdout);
	fflush(stderr);
	dup2(old_err, STDERR_FILENO);
	dup2(old_out, STDOUT_FILENO);
	char text[10000] = "";
	ssize_t n = pread(err.fd(), text, sizeof text - 1, 0);
	INFO(text);
	REQUIRE(n > 0);
	CHECK(text[n - 1] == '\n');
	CHECK(strstr(text, "31") != nullptr); // maxcache, for one
	CHECK(strstr(text, "512") != nullptr);
	CHECK(out.length() == 0);
}

TEST_CASE("bookkeeping is at most 32 bytes for each page of a full pool")
{
	const pgno_t pages = tsan ? 10000u : GENERATE(10000u, 100000u);
	const pgno_t page_size = GENERATE(64u, 512u);
	CAPTURE(pages, page_size);
	File file(page_size, 0);
	file.truncate(static_cast<off_t>(page_size) * (pages + 1000));
	Statm before = statm();
	Pool pool(file.fd(), page_size, pages);
	pool.touch(0, pages);
	struct mpool_stats st = pool.stats();
	CHECK(st.cached == pages);
	double each = static_cast<double>(st.metadata) / static_cast<double>(st.cached);
	CHECK(each <= 32);
	Statm after = statm();
	double real = (static_cast<double>(after.resident) - static_cast<double>(before.resident)) / pages - page_size;
	WARN(pages << " pages of " << page_size << " bytes: bookkeeping " << each
		   << " bytes a page; resident memory beyond the pages " << real << " bytes a page");
	// The number is honest: the process did not grow by much more.
	if (!sanitized)
		CHECK(real <= 32 + 1e6 / pages);
	// And it stays so when pages come and go.
	pool.touch(0, pages + 1000);
	st = pool.stats();
	CHECK(static_cast<double>(st.metadata) / static_cast<double>(st.cached) <= 32);
}

TEST_CASE("pages whose numbers do not spread over the table cost no more than others")
{
	// A Fibonacci number, at which the table's first factor fails.
	const pgno_t stride = 832040, count = 4000;
	const unsigned size = 16;
	File file(size, 0);
	file.truncate(off_t{stride} * count * size);
	Pool pool(file.fd(), size, count);
	for (pgno_t i = 0; i < count; i++) {
		void *page = pool.get(i * stride);
		memcpy(page, &i, sizeof i);
		pool.put(page, MPOOL_DIRTY);
	}
	for (pgno_t i = 0; i < count; i++) {
		void *page = pool.get(i * stride);
		REQUIRE(memcmp(page, &i, sizeof i) == 0);
		pool.put(page);
	}
	struct mpool_stats st = pool.stats();
	CHECK(st.misses == count);
	CHECK(st.metadata <= 32.0 * count);
}

// That the hits move them is shown by test_modules, which can look into the tables.
TEST_CASE("a table that was replaced goes within two passes of the drain over it")
{
	const pgno_t pages = 12000;
	const uint64_t line = 64, slow_pass = 16, quick_pass = 256; // lines that one miss looks at
	File file(64, pages);
	Pool pool(file.fd(), 64, 4 * pages);
	pool.touch(0, pages);
	const uint64_t before = pool.stats().metadata;
	pgno_t last = 0;
	for (pgno_t n = 0; n < pages && pool.stats().metadata == before; n++)
		pool.put(pool.make(last));
	const uint64_t both = pool.stats().metadata; // the new table beside the old one
	REQUIRE(both > before);
	pool.touch(0, last + 1);
	// The older one has fewer lines than what was added.
	const uint64_t lines = (both - before) / line, misses = lines / slow_pass + lines / quick_pass + 2;
	for (uint64_t n = 0; n < misses && pool.stats().metadata == both; n++)
		pool.put(pool.make(last));
	CHECK(pool.stats().metadata < both);
}
