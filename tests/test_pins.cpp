// test_pins.cpp - pins of many threads: put by others, outliving their thread,
// never lost, never miscounted, and keeping the bytes that they hold.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <deque>

using namespace test;

TEST_CASE("a pin can be put by any thread")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 2);
	Report report;
	std::vector<void *> pages(40);
	for (pgno_t i = 0; i < 40; i++)
		pages[i] = pool.get(i);
	run_threads(4, [&](unsigned t) {
		for (unsigned i = t; i < 40; i += 4) {
			report.check(is(pages[i], 512, i, 0), "bytes");
			report.check(mpool_put(pool, pages[i], 0) == 0, "put of another's pin");
			errno = 0;
			report.check(mpool_put(pool, pages[i], 0) == -1 && errno == EINVAL, "second put of it");
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	pool.touch(50, 100);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("a modification that another thread puts dirty is written")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 4);
	std::vector<void *> pages(100);
	run_threads(1, [&](unsigned) {
		for (pgno_t i = 0; i < 100; i++) {
			pages[i] = mpool_get(pool, i, 0);
			fill(pages[i], 512, i, 1);
		}
	});
	for (void *page : pages)
		pool.put(page, MPOOL_DIRTY);
	pool.sync();
	for (pgno_t i = 0; i < 100; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("pins handed from thread to thread are never lost and never missed")
{
	const unsigned producers = 3, consumers = 3;
	const size_t each = shrink(30000);
	const pgno_t pages = 40;
	File file(256, pages);
	Pool pool(file.fd(), 256, 5);
	Report report;
	std::mutex mutex;
	std::condition_variable changed;
	std::deque<std::pair<pgno_t, void *>> handed;
	unsigned producing = producers;
	run_threads(producers + consumers, [&](unsigned t) {
		Random random(t);
		if (t < producers) {
			for (size_t n = 0; n < each && !report.any(); n++) {
				pgno_t pgno = static_cast<pgno_t>(random.below(random.below(2) ? 3 : pages));
				void *page = mpool_get(pool, pgno, 0);
				if (!report.check(page != nullptr, "mpool_get"))
					break;
				// Own pins of the same page, beside the one handed over.
				if (random.below(4) == 0) {
					report.check(mpool_get(pool, pgno, 0) == page, "one address");
					report.check(mpool_put(pool, page, 0) == 0, "own mpool_put");
				}
				std::unique_lock<std::mutex> lock(mutex);
				changed.wait(lock, [&] { return handed.size() < 50; });
				handed.emplace_back(pgno, page);
				changed.notify_all();
			}
			std::lock_guard<std::mutex> lock(mutex);
			producing--;
			changed.notify_all();
			return;
		}
		for (;;) {
			std::unique_lock<std::mutex> lock(mutex);
			changed.wait(lock, [&] { return !handed.empty() || producing == 0; });
			if (handed.empty())
				return;
			auto [pgno, page] = handed.front();
			handed.pop_front();
			changed.notify_all();
			lock.unlock();
			report.check(is(page, 256, pgno, 0), "bytes");
			report.check(mpool_put(pool, page, 0) == 0, "put of another's pin");
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, pages);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("a put finds its pin while other pins of the page come and go around it")
{
	// One thread's pins are put by another, which has pins of its own that a
	// third one puts, and that one never gets: whose pin a put takes is open,
	// but there is always one.
	Rounds rounds(shrink(200000));
	File file(128, 4);
	Pool pool(file.fd(), 128, 4);
	void *page = pool.get(1);
	pool.put(page);
	Report report;
	struct alignas(128) Box {
		std::atomic<unsigned> handed{0}, put{0};
		std::atomic<bool> last{false}; // no more are handed
	} boxes[2];
	auto get_for = [&](Box &box) {
		for (unsigned turn = 0; box.handed - box.put >= 2; turn++) {
			if (report.any())
				return;
			if (turn % 64 == 63)
				std::this_thread::yield();
		}
		if (!report.check(mpool_get(pool, 1, 0) == page, "one address"))
			return;
		box.handed++;
	};
	// False: there is none, and will be none.
	auto put_from = [&](Box &box) {
		for (unsigned turn = 0; box.handed == box.put; turn++) {
			if (report.any() || (box.last && box.handed == box.put))
				return false;
			if (turn % 64 == 63)
				std::this_thread::yield();
		}
		report.check(mpool_put(pool, page, 0) == 0, "put of a pin that is there");
		box.put++;
		return true;
	};
	run_threads(3, [&](unsigned t) {
		switch (t) {
		case 0:
			while (rounds.more() && !report.any())
				get_for(boxes[0]);
			boxes[0].last = true;
			break;
		case 1:
			do
				get_for(boxes[1]);
			while (put_from(boxes[0]));
			boxes[1].last = true;
			break;
		case 2:
			while (put_from(boxes[1]))
				;
			break;
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
}

TEST_CASE("the pins of a thread that ended are held until others put them")
{
	const unsigned count = static_cast<unsigned>(shrink(200, 4, 2));
	const unsigned each = 20; // more than a thread is likely to keep in one place
	File file(128, count * each + 200);
	Pool pool(file.fd(), 128, 4);
	std::vector<void *> pages(count * each);
	for (unsigned t = 0; t < count; t++)
		run_threads(1, [&](unsigned) {
			for (unsigned i = 0; i < each; i++)
				pages[t * each + i] = mpool_get(pool, t * each + i, 0);
		});
	CHECK(pool.stats().pinned == count * each);
	pool.touch(count * each, count * each + 200);
	for (unsigned i = 0; i < count * each; i++) {
		REQUIRE(pages[i] != nullptr);
		REQUIRE(is(pages[i], 128, i, 0));
	}
	// Half by this thread, half by new ones.
	for (unsigned i = 0; i < count * each; i += 2)
		pool.put(pages[i]);
	Report report;
	run_threads(4, [&](unsigned t) {
		for (unsigned i = 1 + 2 * t; i < count * each; i += 8)
			report.check(mpool_put(pool, pages[i], 0) == 0, "put of an ended thread's pin");
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	for (void *page : pages)
		REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
}

TEST_CASE("threads that start after others ended with pins held pin and put as any")
{
	const unsigned generations = static_cast<unsigned>(shrink(100, 4, 2));
	File file(128, 400);
	Pool pool(file.fd(), 128, 4);
	Report report;
	std::vector<void *> left;
	for (unsigned g = 0; g < generations; g++) {
		void *kept[2] = {};
		run_threads(2, [&](unsigned t) {
			// A thread may be handed what an ended one used; what that holds stays.
			for (pgno_t i = 200; i < 212; i++) {
				visit(report, pool, i);
			}
			kept[t] = mpool_get(pool, 2 * g + t, 0);
			report.check(kept[t] != nullptr, "mpool_get");
		});
		left.insert(left.end(), kept, kept + 2);
		REQUIRE(pool.stats().pinned == left.size());
	}
	report.require_none();
	for (size_t i = 0; i < left.size(); i++)
		REQUIRE(is(left[i], 128, i, 0));
	for (void *page : left)
		pool.put(page);
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("a put of a page that nobody has pinned fails while others pin other pages")
{
	const size_t rounds = shrink(30000);
	File file(128, 50);
	Pool pool(file.fd(), 128, 100); // nothing leaves it
	pool.touch(0, 50);
	void *unpinned = pool.get(49);
	pool.put(unpinned);
	Report report;
	run_threads(4, [&](unsigned t) {
		Random random(t);
		for (size_t n = 0; n < rounds && !report.any(); n++) {
			if (t == 0) {
				errno = 0;
				report.check(
					mpool_put(pool, unpinned, MPOOL_DIRTY) == -1 && errno == EINVAL, "wrong put");
				continue;
			}
			void *page = mpool_get(pool, static_cast<pgno_t>(random.below(49)), 0);
			report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("the bytes of a pinned page do not change while others evict")
{
	const size_t misses = shrink(60000);
	const pgno_t pages = 500;
	File file(512, pages);
	Pool pool(file.fd(), 512, 12);
	Report report;
	std::atomic<unsigned> churning{2};
	run_threads(5, [&](unsigned t) {
		Random random(t);
		if (t < 2) {
			for (size_t n = 0; n < misses / 2 && !report.any(); n++) {
				pgno_t pgno = static_cast<pgno_t>(random.below(pages));
				void *page = mpool_get(pool, pgno, 0);
				report.check(page && mpool_put(pool, page, n % 3 ? 0 : MPOOL_DIRTY) == 0, "mpool_put");
			}
			churning--;
			return;
		}
		while (churning > 0 && !report.any()) {
			pgno_t pgno = static_cast<pgno_t>(random.below(pages));
			void *page = mpool_get(pool, pgno, 0);
			if (!report.check(page != nullptr, "mpool_get"))
				return;
			for (int n = 0; n < 30; n++)
				report.check(is(page, 512, pgno, 0), "bytes under a pin");
			report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
		}
	});
	report.require_none();
	CHECK(pool.stats().evictions > misses / 10);
}

TEST_CASE("a put by another thread cannot take what a thread peeks at with MPOOL_IGNOREPIN")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 2);
	Report report;
	void *page = pool.get(7, MPOOL_IGNOREPIN);
	run_threads(1, [&](unsigned) {
		errno = 0;
		report.check(mpool_put(pool, page, MPOOL_DIRTY) == -1 && errno == EINVAL,
			"put of a page that nobody pinned");
		// Both frames are needed.
		for (pgno_t i = 10; i < 60; i += 2) {
			void *one = mpool_get(pool, i, 0), *other = mpool_get(pool, i + 1, 0);
			report.check(mpool_put(pool, one, 0) == 0 && mpool_put(pool, other, 0) == 0,
				"get and put of others");
		}
	});
	report.require_none();
	CHECK(is(page, 512, 7, 0));
	pool.touch(60, 100); // ends the peek
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().cached <= 2);
}

TEST_CASE("a page that one thread deletes while its getter gets it again is never another page's")
{
	Rounds rounds(shrink(1000));
	const pgno_t pages = 40;
	File file(256, pages);
	Pool pool(file.fd(), 256, 6);
	Report report;
	std::atomic<void *> handed{nullptr};
	std::atomic<bool> over{false};
	run_threads(3, [&](unsigned t) {
		Random random(t);
		if (t == 0) { // gets page 1 twice; the first pin is for the deleter
			while (rounds.more()) {
				void *first = mpool_get(pool, 1, 0);
				handed = first;
				for (unsigned again = 0; again < 20; again++) {
					void *page = mpool_get(pool, 1, 0);
					for (unsigned look = 0; look < 20; look++)
						report.check(is(page, 256, 1, 0), "bytes of a pinned page");
					report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
				}
				while (handed)
					std::this_thread::yield();
			}
			over = true;
		} else if (t == 1) {
			while (!over)
				if (void *page = handed.load()) {
					// It goes, unless the getter was there first.
					if (mpool_delete(pool, page) != 0 &&
						report.check(errno == EBUSY, "mpool_delete"))
						report.check(
							mpool_put(pool, page, 0) == 0, "mpool_put of the first pin");
					handed = nullptr;
				} else {
					std::this_thread::yield();
				}
		} else {
			while (!over) { // takes the frames that become free
				pgno_t pgno = 2 + static_cast<pgno_t>(random.below(pages - 2));
				visit(report, pool, pgno);
			}
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
}
