// test_sync_close.cpp - mpool_sync brings every modification to the file and
// nothing else, and says so; mpool_close writes nothing and gives all back.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <memory>

using namespace test;

TEST_CASE("mpool_sync brings the pool back to maxcache")
{
	File file(64, 10);
	Pool pool(file.fd(), 64, 1);
	std::vector<void *> pages;
	for (pgno_t i = 0; i < 10; i++)
		pages.push_back(pool.get(i));
	CHECK(pool.stats().overflow == 9);
	for (void *page : pages)
		pool.put(page, MPOOL_DIRTY);
	pool.sync();
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("mpool_sync of an unmodified pool writes nothing")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 4);
	pool.sync();
	pool.touch(0, 10);
	pool.sync();
	CHECK(pool.stats().writes == 0);
}

TEST_CASE("after mpool_sync another descriptor reads what was put")
{
	File file(512, 500);
	Pool pool(file.fd(), 512, 100);
	Fd second = file.reopen(O_RDONLY);
	for (unsigned version = 1; version < 10; version++) {
		for (pgno_t i = version; i < 500; i += 3)
			pool.modify(i, version);
		pool.sync();
		CHECK(pool.stats().dirty == 0);
		for (pgno_t i = version; i < 500; i += 3)
			REQUIRE(is(file.read_page(second, i).data(), 512, i, version));
	}
	uint64_t writes = pool.stats().writes;
	pool.sync();
	CHECK(pool.stats().writes == writes);
}

TEST_CASE("mpool_sync writes a modified page that is still pinned, and leaves it marked")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 4);
	pool.modify(3, 1);
	void *page = pool.get(3);
	REQUIRE(pool.get(3) == page);
	pool.sync();
	CHECK(file.holds(3, 1));
	CHECK(pool.stats().dirty == 1);

	// What is changed under the pin is not lost, though put plainly.
	fill(page, 512, 3, 2);
	pool.sync();
	CHECK(file.holds(3, 2));
	CHECK(pool.stats().dirty == 1);
	fill(page, 512, 3, 3);
	pool.put(page);
	pool.put(page);
	pool.sync();
	CHECK(file.holds(3, 3));
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("mpool_sync leaves a page alone that is pinned and was never put dirty")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 4);
	void *page = pool.get(3);
	fill(page, 512, 3, 1);
	pool.sync();
	CHECK(file.holds(3, 0));
	CHECK(pool.stats().writes == 0);
	CHECK(is(page, 512, 3, 1));
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	CHECK(file.holds(3, 1));
}

TEST_CASE("mpool_sync does not wait for the caller's own pins, nor for another thread's")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 4);
	std::vector<void *> pages;
	for (pgno_t i = 0; i < 50; i++) {
		pool.modify(i, 1);
		pages.push_back(pool.get(i));
	}
	run_threads(1, [&](unsigned) {
		if (!mpool_get(pool, 60, 0) || mpool_sync(pool) != 0)
			abort();
	});
	for (pgno_t i = 0; i < 50; i++)
		REQUIRE(file.holds(i, 1));
	pool.sync();
	for (void *page : pages)
		pool.put(page);
}

TEST_CASE("mpool_sync works while every page is pinned and modified in one of few places")
{
	File file(64, 20);
	Pool pool(file.fd(), 64, 1);
	pool.modify(0, 1);
	void *a = pool.get(0);
	pool.sync();
	CHECK(file.holds(0, 1));
	pool.put(a, MPOOL_DIRTY);
	pool.sync();
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("with a read-only descriptor mpool_sync fails with EBADF and the page stays modified")
{
	File file(512, 10);
	Fd fd = file.reopen(O_RDONLY);
	Pool pool(fd, 512, 4);
	pool.touch(0, 10);
	pool.sync(); // nothing to write
	pool.modify(3, 1);
	for (int i = 0; i < 10; i++) {
		REQUIRE_FAILS(mpool_sync(pool), EBADF);
		REQUIRE(pool.stats().dirty == 1);
	}
	CHECK(pool.shows(3, 1));
	// It stays while there is room for others.
	pool.touch(4, 6);
	CHECK(pool.shows(3, 1));
	CHECK(pool.stats().writes == 0);
	CHECK(file.holds(3, 0));
	REQUIRE(pool.close() == 0);
	CHECK(file.holds(3, 0));
}

TEST_CASE("a modified page that cannot be written is not lost to make room")
{
	File file(512, 200);
	Fd fd = file.reopen(O_RDONLY);
	Pool pool(fd, 512, 1);
	pool.modify(3, 1);
	for (pgno_t i = 10; i < 200; i++) {
		errno = 0;
		void *page = mpool_get(pool, i, 0);
		if (page)
			pool.put(page);
		else
			REQUIRE(errno == EBADF);
		pgno_t pgno;
		errno = 0;
		page = (mpool_new)(pool, &pgno);
		if (page)
			pool.put(page);
		else
			REQUIRE(errno == EBADF);
	}
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().dirty == 1);
	CHECK(pool.shows(3, 1));
	void *page = pool.get(3);
	REQUIRE(mpool_delete(pool, page) == 0);
	pool.touch(10, 20);
}

TEST_CASE("mpool_close writes nothing")
{
	File file(512, 50);
	{
		Pool pool(file.fd(), 512, 100);
		for (pgno_t i = 0; i < 50; i++)
			pool.modify(i, 1);
		pgno_t pgno;
		pool.put(pool.make(pgno), MPOOL_DIRTY);
		CHECK(pool.stats().writes == 0);
		CHECK(pool.stats().dirty == 51);
		REQUIRE(pool.close() == 0);
	}
	CHECK(file.length() == 50 * 512);
	for (pgno_t i = 0; i < 50; i++)
		REQUIRE(file.holds(i, 0));
}

TEST_CASE("mpool_close succeeds with pages pinned, by threads that are gone too")
{
	File file(512, 50);
	for (int n = 0; n < 20; n++) {
		Pool pool(file.fd(), 512, 4);
		for (pgno_t i = 0; i < 20; i++)
			pool.get(i);
		run_threads(3, [&](unsigned t) {
			if (!mpool_get(pool, t, 0) || !mpool_get(pool, t + 30, MPOOL_IGNOREPIN))
				abort();
		});
		REQUIRE(pool.close() == 0);
	}
}

TEST_CASE("threads outlive a pool, and use the next one")
{
	const size_t rounds = shrink(300);
	const unsigned workers = 3;
	File one(512, 20), two(512, 20);
	for (pgno_t i = 0; i < 20; i++)
		two.write_page(i, 1);
	// Rounds are handed to the workers and back.
	std::mutex mutex;
	std::condition_variable changed;
	size_t round = 0;
	unsigned done = 0;
	MPOOL *mp = nullptr;
	Report report;
	Threads threads;
	for (unsigned t = 0; t < workers; t++)
		threads.start([&, t] {
			for (size_t n = 1; n <= rounds; n++) {
				std::unique_lock<std::mutex> lock(mutex);
				changed.wait(lock, [&] { return round == n; });
				lock.unlock();
				for (pgno_t i = t; i < 20; i++) {
					void *page = mpool_get(mp, i, 0);
					if (!report.check(page != nullptr, "mpool_get"))
						break;
					report.check(is(page, 512, i, n % 2), "bytes of the pool's own file");
					if (i != 7) // held when the pool closes
						report.check(mpool_put(mp, page, 0) == 0, "mpool_put");
				}
				lock.lock();
				done++;
				changed.notify_all();
			}
		});
	for (size_t n = 1; n <= rounds; n++) {
		Pool pool(n % 2 ? two.fd() : one.fd(), 512, 4);
		std::unique_lock<std::mutex> lock(mutex);
		mp = pool;
		done = 0;
		round = n;
		changed.notify_all();
		changed.wait(lock, [&] { return done == workers; });
		CHECK(pool.stats().pinned == 1);
	}
	threads.join();
	report.require_none();
}

TEST_CASE("a thread's pins in one pool are none in another")
{
	File file(64, 40);
	Pool a(file.fd(), 64, 3), b(file.fd(), 64, 3);
	for (int n = 0; n < 100; n++) {
		void *in_a = a.get(1), *in_b = b.get(1);
		a.put(in_a);
		REQUIRE(a.stats().pinned == 0);
		REQUIRE(b.stats().pinned == 1);
		REQUIRE_FAILS(mpool_put(a, in_a, 0), EINVAL);
		REQUIRE_FAILS(mpool_put(a, in_b, 0), EINVAL);
		REQUIRE_FAILS(mpool_put(b, in_a, 0), EINVAL);
		a.crowd_out(10);
		b.crowd_out(20);
		REQUIRE(is(in_b, 64, 1, 0));
		a.put(a.get(1));
		b.put(in_b);
		REQUIRE(b.stats().pinned == 0);
	}
}

TEST_CASE("a thread uses many pools in turn, opened and closed in any order")
{
	const pgno_t count = 100;
	File file(64, count);
	std::vector<std::unique_ptr<Pool>> pools;
	for (pgno_t i = 0; i < count; i++)
		pools.push_back(std::make_unique<Pool>(file.fd(), 64, 3));
	std::vector<void *> pages(count);
	for (pgno_t i = 0; i < count; i++)
		pages[i] = pools[i]->get(i);
	for (pgno_t i = 0; i < count; i++)
		for (pgno_t j = 0; j < count; j += 7)
			REQUIRE(pools[j]->shows(i, 0));
	for (pgno_t i = 0; i < count; i += 2)
		pools[i].reset();
	for (pgno_t i = 1; i < count; i += 2) {
		REQUIRE(is(pages[i], 64, i, 0));
		REQUIRE_FAILS(mpool_put(*pools[i], pages[(i + 2) % count | 1], 0), EINVAL);
		pools[i]->put(pages[i]);
		REQUIRE_FAILS(mpool_put(*pools[i], pages[i], 0), EINVAL);
	}
	for (pgno_t i = 0; i < count; i += 2)
		pools[i] = std::make_unique<Pool>(file.fd(), 64, 3);
	for (pgno_t i = 0; i < count; i++) {
		REQUIRE(pools[i]->shows(i, 0));
		REQUIRE(pools[i]->stats().pinned == 0);
	}
}
