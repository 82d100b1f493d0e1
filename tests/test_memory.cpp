// test_memory.cpp - a pool grows past maxcache while everything is pinned, comes
// back, and gives all memory back when it is closed.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <memory>

using namespace test;

namespace {

// Misses until the pool is back at maxcache; at most about `limit`.
unsigned misses_to_shrink(const Pool &pool, pgno_t from, pgno_t to, unsigned limit)
{
	unsigned n = 0;
	pgno_t i = from;
	while (pool.stats().overflow != 0 && n < limit)
		for (int some = 0; some < 16; some++, n++) {
			pool.put(pool.get(i));
			i = i + 1 == to ? from : i + 1;
		}
	return n;
}

} // namespace

TEST_CASE("two pages can be pinned at once in a pool of one")
{
	const pgno_t maxcache = GENERATE(0u, 1u);
	File file(512, 20);
	Pool pool(file.fd(), 512, maxcache);
	void *a = pool.get(0), *b = pool.get(1);
	CHECK(a != b);
	CHECK(is(a, 512, 0, 0));
	CHECK(is(b, 512, 1, 0));
	CHECK(pool.stats().cached == 2);
	CHECK(pool.stats().pinned == 2);
	CHECK(pool.stats().overflow == 1);
	pgno_t pgno;
	void *c = pool.make(pgno);
	CHECK(pool.stats().overflow == 2);
	CHECK(is(a, 512, 0, 0));
	pool.put(a, MPOOL_DIRTY);
	pool.put(b);
	pool.put(c);
	misses_to_shrink(pool, 2, 20, 18);
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().cached == 1);
	CHECK(file.holds(0, 0));
}

TEST_CASE("a thread can pin any number of pages, and the pool comes back to maxcache after")
{
	const pgno_t maxcache = GENERATE(3u, 1000u);
	CAPTURE(maxcache);
	const pgno_t pages = static_cast<pgno_t>(shrink(10000, 4, 1));
	File file(64, 2 * pages);
	Pool pool(file.fd(), 64, maxcache);
	std::vector<void *> pinned(pages);
	for (int round = 0; round < 2; round++) {
		for (pgno_t i = 0; i < pages; i++) {
			pinned[i] = mpool_get(pool, i, 0);
			REQUIRE(pinned[i] != nullptr);
		}
		struct mpool_stats st = pool.stats();
		CHECK(st.pinned == pages);
		CHECK(st.cached == pages);
		CHECK(st.overflow == pages - maxcache);
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE(is(pinned[i], 64, i, 0));
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE(mpool_put(pool, pinned[i], i % 10 ? 0 : MPOOL_DIRTY) == 0);
		CHECK(pool.stats().pinned == 0);
		unsigned misses = misses_to_shrink(pool, pages, 2 * pages, 2 * pages);
		CHECK(pool.stats().overflow == 0);
		CHECK(pool.stats().cached <= maxcache);
		WARN("maxcache " << maxcache << ": about " << misses << " misses to come back from " << pages
				 << " pages");
		// The addresses of frames that were given back are no pages'.
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE_FAILS(mpool_put(pool, pinned[i], MPOOL_DIRTY), EINVAL);
	}
	pool.sync();
	for (pgno_t i = 0; i < pages; i += 10)
		REQUIRE(file.holds(i, 0));
}

TEST_CASE("the memory of pages beyond maxcache is given back when they are gone")
{
	if (sanitized) {
		WARN("skipped: sanitizers keep memory that is freed");
		return;
	}
	const pgno_t size = 4096, pages = 8000, maxcache = 50;
	File file(size, 0);
	file.truncate(off_t{size} * (pages + 20000));
	Statm before = statm();
	Pool pool(file.fd(), size, maxcache);
	std::vector<void *> pinned;
	for (pgno_t i = 0; i < pages; i++)
		pinned.push_back(pool.get(i));
	size_t full = statm().resident - before.resident;
	CHECK(full >= size_t{size} * pages);
	for (void *page : pinned)
		pool.put(page);
	misses_to_shrink(pool, pages, pages + 20000, 20000);
	CHECK(pool.stats().overflow == 0);
	size_t left = statm().resident - before.resident;
	INFO("grown by " << full << " bytes, " << left << " left");
	CHECK(left < full / 4);
}

TEST_CASE("memory and descriptors are as before after a thousand pools were opened, used and closed")
{
	const size_t pools = shrink(1000);
	File file(1000, 300);
	auto use = [&] {
		Pool pool(file.fd(), 1000, 100);
		pool.touch(0, 150);
		for (pgno_t i = 0; i < 150; i++)
			pool.modify(i, 0);
		for (pgno_t i = 0; i < 300; i++)
			pool.get(i); // and left pinned
		pgno_t pgno;
		pool.put(pool.make(pgno));
		pool.get(0, MPOOL_IGNOREPIN);
		REQUIRE(pool.close() == 0);
	};
	for (int i = 0; i < 10; i++)
		use();
	Statm before = statm();
	size_t fds = open_fds().size();
	for (size_t i = 0; i < pools; i++)
		use();
	Statm after = statm();
	INFO("resident " << before.resident << " -> " << after.resident << ", mapped " << before.size << " -> "
			 << after.size);
	CHECK(open_fds().size() == fds);
	// One page (of the thousands used) kept in each pool would be a megabyte.
	if (!sanitized) {
		CHECK(after.resident < before.resident + 500000);
		CHECK(after.size < before.size + 500000);
	}
}

TEST_CASE("memory is as before after many threads used many pools")
{
	if (sanitized) {
		WARN("skipped: sanitizers keep memory that is freed");
		return;
	}
	File file(1000, 300);
	auto use = [&] {
		Pool pool(file.fd(), 1000, 10);
		run_threads(4, [&](unsigned) {
			for (pgno_t i = 0; i < 30; i++)
				if (!mpool_get(pool, i, 0))
					abort();
		});
		REQUIRE(pool.close() == 0);
	};
	for (int i = 0; i < 20; i++)
		use();
	Statm before = statm();
	for (int i = 0; i < 500; i++)
		use();
	Statm after = statm();
	INFO("resident " << before.resident << " -> " << after.resident);
	CHECK(after.resident < before.resident + 500000);
}

TEST_CASE("threads that come and go use no more memory than those that are there at once")
{
	File file(512, 30);
	Pool pool(file.fd(), 512, 10);
	auto use = [&] {
		run_threads(4, [&](unsigned) {
			void *pages[20];
			for (pgno_t i = 0; i < 20; i++)
				pages[i] = mpool_get(pool, i, 0);
			for (void *page : pages)
				if (mpool_put(pool, page, 0) != 0)
					abort();
		});
	};
	for (int i = 0; i < 20; i++)
		use();
	Statm before = statm();
	for (size_t i = 0; i < shrink(1000); i++)
		use();
	CHECK(pool.stats().pinned == 0);
	if (!sanitized)
		CHECK(statm().resident < before.resident + 300000);
}

TEST_CASE("where memory runs out calls fail with ENOMEM, and work again when there is some")
{
	if (sanitized) {
		WARN("skipped: sanitizers need more memory than a limit leaves");
		return;
	}
	const pgno_t size = 1 << 20, pages = 400;
	File file(size, 0);
	file.truncate(off_t{size} * pages);
	int result = in_child([&] {
		struct rlimit limit;
		limit.rlim_cur = limit.rlim_max = statm().size + (64 << 20);
		if (setrlimit(RLIMIT_AS, &limit) != 0)
			return 1;
		errno = 0;
		MPOOL *mp = mpool_open(nullptr, file.fd(), size, 8);
		if (!mp)
			return 2;
		std::vector<void *> pinned;
		pinned.reserve(pages);
		for (pgno_t i = 0; i < pages; i++) {
			errno = 0;
			void *page = mpool_get(mp, i, 0);
			if (!page)
				break;
			memset(page, 1, size);
			pinned.push_back(page);
		}
		if (errno != ENOMEM)
			return 3;
		if (pinned.size() < 8 || pinned.size() == pages)
			return 4;
		for (int i = 0; i < 100; i++) {
			errno = 0;
			if (mpool_get(mp, pages - 1, 0) || errno != ENOMEM)
				return 5;
		}
		for (void *page : pinned)
			if (mpool_put(mp, page, 0) != 0)
				return 6;
		for (pgno_t i = 0; i < pages; i++) {
			void *page = mpool_get(mp, i, 0);
			if (!page)
				return 7;
			if (mpool_put(mp, page, 0) != 0)
				return 8;
		}
		return mpool_close(mp) == 0 ? 0 : 9;
	});
	CHECK(result == 0);
}

TEST_CASE("memory beyond maxcache is given back also when its pages are deleted")
{
	const pgno_t pages = 3000;
	File file(512, pages);
	Pool pool(file.fd(), 512, 10);
	pool.touch(0, 100);
	const uint64_t before = pool.stats().metadata;
	std::vector<void *> held;
	for (pgno_t i = 0; i < pages; i++)
		held.push_back(pool.get(i));
	REQUIRE(pool.stats().overflow == pages - 10);
	const uint64_t grown = pool.stats().metadata;
	for (void *page : held)
		REQUIRE(mpool_delete(pool, page) == 0);
	CHECK(pool.stats().overflow == 0);
	// One segment a miss, and the table.
	pool.touch(0, pages);
	INFO(before << " bytes of bookkeeping before, " << grown << " while pinned");
	CHECK(pool.stats().metadata < before + (grown - before) / 10);
}

TEST_CASE("memory is as before after a hundred pools were open at once, again and again")
{
	File file(4096, 50);
	auto round = [&] {
		std::vector<std::unique_ptr<Pool>> pools;
		for (int i = 0; i < 100; i++) {
			pools.push_back(std::make_unique<Pool>(file.fd(), 4096, 50));
			pools.back()->touch(0, 50);
		}
	};
	round();
	Statm before = statm();
	for (int i = 0; i < 5; i++)
		round();
	INFO("resident " << before.resident << " -> " << statm().resident);
	if (!sanitized)
		CHECK(statm().resident < before.resident + 6000000);
}
