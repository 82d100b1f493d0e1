// test_maxcache.cpp - MPOOL_MAXCACHE: a pool becomes smaller and larger while it is used, and memory goes back.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <random>

using namespace test;

namespace {

constexpr size_t size = 4096;

uint64_t tuned(const Pool &pool)
{
	uint64_t pages = 0;
	REQUIRE(mpool_tuned(pool, MPOOL_MAXCACHE, &pages) == 0);
	return pages;
}

// Misses of a loop over the pages, once it has been gone through.
uint64_t misses(const Pool &pool, pgno_t pages)
{
	pool.touch(0, pages);
	uint64_t before = pool.stats().misses;
	for (int i = 0; i < 5; i++)
		pool.touch(0, pages);
	return pool.stats().misses - before;
}

} // namespace

TEST_CASE("MPOOL_MAXCACHE lowered evicts at once, and raised again lets the pool fill")
{
	const pgno_t pages = GENERATE(64u, 300u, 10000u), less = GENERATE(1u, 2u, 50u, 63u);
	CAPTURE(pages, less);
	File file(512, pages);
	Pool pool(file.fd(), 512, pages);
	CHECK(tuned(pool) == pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, less) == 0);
	CHECK(tuned(pool) == less);
	CHECK(pool.stats().maxcache == less);
	CHECK(pool.stats().cached <= less);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < pages; i++)
		CHECK(pool.shows(i, 1));
	CHECK(pool.stats().cached <= less);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
	pool.touch(0, pages);
	CHECK(pool.stats().cached == pages);
	uint64_t before = pool.stats().misses;
	for (pgno_t i = 0; i < pages; i++)
		CHECK(pool.shows(i, 1));
	CHECK(pool.stats().misses == before);
	pool.sync();
	for (pgno_t i = 0; i < pages; i += 7)
		CHECK(file.holds(i, 1));
}

// A pool's parts are of what it was opened for, and no more of them fit in its memory.
TEST_CASE("a pool that was made smaller has as many parts as before when it is raised again, and not more")
{
	const pgno_t pages = GENERATE(4096u, 8191u, 8192u, 12287u, 40000u, 300001u), less = GENERATE(1u, 100u, 4097u);
	CAPTURE(pages, less);
	File file(16);
	Pool pool(file.fd(), 16, pages);
	auto make = [&] {
		pgno_t pgno;
		void *page = pool.make(pgno);
		pool.put(page);
	};
	for (pgno_t i = 0; i < pages; i += 100)
		make();
	for (int round = 0; round < 3; round++) {
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, std::min(less, pages)) == 0);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages - 1) == 0);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
		CHECK(pool.stats().processes == 1);
		CHECK(pool.stats().deaths == 0);
		make();
	}
}

TEST_CASE("the miss ratio follows MPOOL_MAXCACHE")
{
	const pgno_t pages = 1000;
	File file(512, pages);
	Pool pool(file.fd(), 512, pages);
	CHECK(misses(pool, pages) == 0);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 500) == 0);
	uint64_t half = misses(pool, pages);
	// A loop that is twice as long as the pool: about half of it can stay.
	CHECK(half > 5 * 400);
	CHECK(half < 5 * 800);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 100) == 0);
	CHECK(misses(pool, pages) > half);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
	CHECK(misses(pool, pages) == 0);
}

TEST_CASE("memory goes back to the system when MPOOL_MAXCACHE is lowered")
{
	if (sanitized)
		return;            // what it keeps beside memory that was used is in the figures
	const pgno_t pages = 8000; // 32 MB
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (int i = 0; i < 3; i++) {
		pool.touch(0, pages);
		const size_t full = statm().resident;
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 100) == 0);
		const size_t less = statm().resident;
		CAPTURE(full, less);
		CHECK(full - less > (pages - 100) * size * 9 / 10);
		pool.touch(0, pages);
		CHECK(statm().resident < less + 200 * size);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
	}
	for (pgno_t i = 0; i < pages; i++)
		CHECK(pool.shows(i, 0));
}

TEST_CASE("a page that is pinned above a lowered MPOOL_MAXCACHE stays, can be put, and goes then")
{
	const pgno_t pages = 500;
	File file(512, pages);
	Pool pool(file.fd(), 512, pages);
	std::vector<void *> held;
	for (pgno_t i = 0; i < pages; i++)
		held.push_back(pool.get(i));
	const bool keeps = GENERATE(false, true);
	for (pgno_t i = 0; i < pages; i++)
		if (i % 50 != 7)
			pool.put(held[i]);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 5) == 0);
	CHECK(pool.stats().pinned == 10);
	CHECK(pool.stats().cached >= 10);
	CHECK(pool.stats().cached <= 15);
	for (pgno_t i = 7; i < pages; i += 50) {
		CHECK(is(held[i], 512, i, 0));
		CHECK(mpool_get(pool, i, 0) == held[i]);
		pool.put(held[i]);
		fill(held[i], 512, i, 1);
	}
	if (keeps) {
		// Raised again, they are pages as any.
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
		CHECK(pool.stats().overflow == 0);
	}
	for (pgno_t i = 7; i < pages; i += 50)
		pool.put(held[i], MPOOL_DIRTY);
	REQUIRE_FAILS(mpool_put(pool, held[7], 0), EINVAL);
	for (int round = 0; round < 20 && !keeps; round++)
		pool.touch(0, 20);
	if (!keeps) {
		CHECK(pool.stats().cached <= 5);
		CHECK(pool.stats().overflow == 0);
	}
	for (pgno_t i = 7; i < pages; i += 50)
		CHECK(pool.shows(i, 1));
	pool.sync();
	for (pgno_t i = 7; i < pages; i += 50)
		CHECK(file.holds(i, 1));
}

TEST_CASE("nothing is evicted for frames that are free when MPOOL_MAXCACHE is raised, though one of them was pinned")
{
	const pgno_t pages = 500, less = GENERATE(1u, 10u, 64u, 300u);
	CAPTURE(less);
	File file(512, 2 * pages);
	Pool pool(file.fd(), 512, pages);
	for (pgno_t i = 0; i < pages - 1; i++)
		pool.put(pool.get(i, MPOOL_ONCE)); // each would be the first to go
	void *last = pool.get(pages - 1);          // the frames before it are free, and used
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, less) == 0);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
	pool.put(last);
	const uint64_t evictions = pool.stats().evictions, room = pages - pool.stats().cached;
	pool.touch(pages, static_cast<pgno_t>(pages + room));
	CHECK(pool.stats().evictions == evictions);
	CHECK(pool.stats().cached == pages);
}

// The thread knows of frames that were evictable when the pool was as large as before: they are among those that were given back.
TEST_CASE("a full pool that was made smaller and larger again is full before it evicts, whatever it was used for")
{
	const pgno_t pages = GENERATE(500u, 10000u), all = pages + pages / 5;
	CAPTURE(pages);
	File file(512, all);
	Pool pool(file.fd(), 512, pages);
	std::mt19937 random(1);
	for (pgno_t i = 0; i < 2 * pages; i++)
		pool.put(pool.get(random() % all));
	for (int round = 0; round < 6; round++) {
		CAPTURE(round);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 60) == 0);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
		const uint64_t before = pool.stats().evictions;
		const pgno_t room = pages - static_cast<pgno_t>(pool.stats().cached);
		for (pgno_t i = 0, misses = 0; misses < room; i++) {
			void *page = mpool_get(pool, i, MPOOL_CACHED);
			misses += page == nullptr;
			pool.put(page ? page : pool.get(i));
		}
		CHECK(pool.stats().evictions == before);
		CHECK(pool.stats().cached == pages);
		pool.touch(0, all);
	}
}

// So many frames are free, in one part of the pool or in several: so many pages come in before one goes.
static void fill_what_is_free(Pool &pool, pgno_t pages, pgno_t first)
{
	const uint64_t before = pool.stats().evictions;
	const pgno_t room = pages - static_cast<pgno_t>(pool.stats().cached);
	CAPTURE(room);
	pool.touch(first, first + room);
	CHECK(pool.stats().evictions == before);
	CHECK(pool.stats().cached == pages);
	pool.touch(first + room, first + room + 1);
	CHECK(pool.stats().evictions == before + 1);
}

TEST_CASE("a pool that becomes larger while a page behind it was pinned is full before it evicts")
{
	const pgno_t pages = GENERATE(500u, 10000u, 40000u), less = GENERATE(60u, 250u, 5000u, 9000u);
	CAPTURE(pages, less);
	if (less >= pages)
		return;
	File file(64, 2 * pages + 1);
	Pool pool(file.fd(), 64, pages);
	pool.touch(0, pages - 1);
	void *last = pool.get(pages - 1);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, less) == 0);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
	pool.put(last);
	CHECK(pool.stats().cached < pages);
	fill_what_is_free(pool, pages, pages);
}

TEST_CASE("what was forgotten makes room for pages of all parts of a pool before one goes")
{
	const pgno_t pages = GENERATE(500u, 10000u, 40000u), first = GENERATE(0u, 3u, 250u), n = pages / 3;
	CAPTURE(pages, first);
	File file(64, 2 * pages + 1);
	Pool pool(file.fd(), 64, pages);
	pool.touch(0, pages);
	REQUIRE(mpool_invalidate(pool, first, n) == 0);
	CHECK(pool.stats().cached == pages - n);
	fill_what_is_free(pool, pages, pages);
}

TEST_CASE("what is free makes room before what is evictable")
{
	const pgno_t pages = GENERATE(40u, 900u, 10000u), evictable = pages / 4 * 3, n = GENERATE(1u, 17u);
	const bool knows = GENERATE(false, true); // of some that are evictable
	CAPTURE(pages, n, knows);
	File file(64, 2 * pages + 2);
	Pool pool(file.fd(), 64, pages);
	pool.touch(0, pages);
	REQUIRE(mpool_clean(pool, evictable) == static_cast<ssize_t>(evictable));
	if (knows)
		pool.touch(pages, pages + 1);
	for (pgno_t i = 2, deleted = 0; deleted < n; i++) {
		void *page = mpool_get(pool, i * 7 % pages, MPOOL_CACHED);
		deleted += page != nullptr;
		if (page)
			REQUIRE(mpool_delete(pool, page) == 0);
	}
	fill_what_is_free(pool, pages, pages + 1);
}

TEST_CASE("a page that is latched above a lowered MPOOL_MAXCACHE stays until it is unlatched")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 100);
	pool.touch(0, 99);
	void *page = pool.get(99);
	REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
	pool.put(page);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 1) == 0);
	CHECK(is(page, 512, 99, 0));
	fill(page, 512, 99, 1);
	REQUIRE(mpool_unlatch(pool, page, MPOOL_DIRTY) == 0);
	pool.sync();
	CHECK(file.holds(99, 1));
	CHECK(pool.stats().cached <= 1);
}

TEST_CASE("what cannot be written when MPOOL_MAXCACHE is lowered is not lost")
{
	File file(512, 100);
	Fd reads = file.reopen(O_RDONLY);
	Pool pool(reads, 512, 100);
	for (pgno_t i = 0; i < 100; i++)
		pool.modify(i, 1);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 10) == 0);
	CHECK(pool.stats().dirty == 100);
	for (pgno_t i = 0; i < 100; i++)
		CHECK(pool.shows(i, 1));
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 100) == 0);
	CHECK(pool.stats().dirty == 100);
}

TEST_CASE("MPOOL_MAXCACHE: 0 is 1, and more than the pool was opened for is ENOMEM")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 100);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 0) == 0);
	CHECK(tuned(pool) == 1);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_MAXCACHE, 101), ENOMEM);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_MAXCACHE, MAX_PAGE_NUMBER), ENOMEM);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_MAXCACHE, UINT64_C(1) << 32), EINVAL);
	CHECK(tuned(pool) == 1);
}

TEST_CASE("a child of fork has the limit that its parent has, and sets its own")
{
	File file(512, 200);
	Pool pool(file.fd(), 512, 200);
	pool.touch(0, 200);
	std::atomic<bool> stop{false};
	Threads tunes;
	tunes.start([&] {
		for (uint64_t n = 0; !stop; n++)
			if (mpool_tune(pool, MPOOL_MAXCACHE, n % 2 ? 200 : 3) != 0)
				abort();
	});
	// The parent may be between its new limit and the evictions for it, which are not the child's to do before it misses or tunes.
	int result = 0;
	for (int i = 0; i < 30 && result == 0; i++)
		result = in_child([&] {
			for (pgno_t p = 0; p < 200; p++) {
				void *page = mpool_get(pool, p, 0);
				if (!page || !is(page, 512, p, 0) || mpool_put(pool, page, 0) != 0)
					return 1;
			}
			const uint64_t limit = pool.stats().maxcache;
			if ((limit != 3 && limit != 200) || mpool_tune(pool, MPOOL_MAXCACHE, 2) != 0)
				return 2;
			return pool.stats().cached <= 2 ? 0 : 3;
		});
	stop = true;
	tunes.join();
	REQUIRE(result == 0);
}

// Threads get, modify and put pages, some of which they keep for a while, and sync; another makes the pool larger and smaller.
TEST_CASE("a pool is made larger and smaller while threads use it")
{
	const pgno_t pages = 400;
	File file(512, pages);
	Pool pool(file.fd(), 512, pages);
	const bool latches = GENERATE(false, true), cleaners = GENERATE(false, true);
	if (latches) {
		uint64_t version;
		(void)mpool_peek(pool, 0, &version);
	}
	if (cleaners)
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 1) == 0);
	std::atomic<bool> stop{false};
	std::vector<std::atomic<uint64_t>> version(pages);
	Report report;
	Threads threads;
	for (unsigned t = 0; t < 3; t++)
		threads.start([&, t] {
			Random random(t);
			std::vector<std::pair<pgno_t, void *>> held;
			while (!stop && !report.any()) {
				pgno_t p = static_cast<pgno_t>(random.below(pages / 3) * 3 + t);
				if (p >= pages)
					continue;
				void *page = mpool_get(pool, p, 0);
				if (!report.check(page, "get"))
					break;
				report.check(is(page, 512, p, version[p]), "bytes");
				bool modify = random.below(3) == 0;
				if (modify)
					fill(page, 512, p, ++version[p]);
				if (!modify && held.size() < 8) {
					held.emplace_back(p, page);
					continue;
				}
				report.check(mpool_put(pool, page, modify ? MPOOL_DIRTY : 0) == 0, "put");
				if (held.size() == 8) {
					for (auto &h : held)
						report.check(mpool_put(pool, h.second, MPOOL_DIRTY) == 0, "put, late");
					held.clear();
				}
				if (random.below(200) == 0)
					report.check(mpool_sync(pool) == 0, "sync");
			}
			for (auto &h : held)
				mpool_put(pool, h.second, MPOOL_DIRTY);
		});
	Random random(7);
	for (int i = 0; i < 300 && !report.any(); i++)
		report.check(mpool_tune(pool, MPOOL_MAXCACHE, 1 + random.below(pages)) == 0, "tune");
	stop = true;
	threads.join();
	report.require_none();
	if (cleaners)
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 0) == 0);
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, 10) == 0);
	pool.sync();
	CHECK(pool.stats().cached <= 10);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < pages; i++) {
		CHECK(pool.shows(i, version[i]));
		CHECK(file.holds(i, version[i]));
	}
	// Nothing is lost of what there was room for.
	REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
	pool.touch(0, pages);
	CHECK(pool.stats().cached == pages);
	CHECK(misses(pool, pages) == 0);
}
