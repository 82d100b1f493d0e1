// test_pools.cpp - many pools in one process, used in turn, opened and closed by
// several threads; and threads that end when nobody hears of it any more.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <memory>

#include <pthread.h>

using namespace test;

namespace {

// Bytes of the two pages of pool number n; what is put unmodified stays as long as it is in memory.
const pgno_t kSize = 256;

void mark(MPOOL *mp, unsigned n)
{
	for (pgno_t i = 0; i < 2; i++) {
		void *page = mpool_get(mp, i, 0);
		REQUIRE(page != nullptr);
		fill(page, kSize, i, n);
		REQUIRE(mpool_put(mp, page, 0) == 0);
	}
}

bool is_marked(MPOOL *mp, pgno_t i, unsigned n)
{
	void *page = mpool_get(mp, i, 0);
	return page && is(page, kSize, i, n) && mpool_put(mp, page, 0) == 0;
}

// A thread that uses a pool in the last round of destructors, after the library's own.
struct Late {
	MPOOL *mp;
	unsigned rounds;
};
pthread_key_t late_key;

void late_end(void *late)
{
	Late *l = static_cast<Late *>(late);
	void *page = mpool_get(l->mp, l->rounds % 2, 0);
	if (!page || mpool_put(l->mp, page, 0) != 0)
		abort();
	if (++l->rounds < 2 * PTHREAD_DESTRUCTOR_ITERATIONS)
		pthread_setspecific(late_key, l);
}

// The key after the library's, which the pool's first use has made: so it is the later in each round.
void make_late_key()
{
	static bool made = pthread_key_create(&late_key, late_end) == 0;
	REQUIRE(made);
}

void *late_thread(void *mp)
{
	static thread_local Late late;
	late = {static_cast<MPOOL *>(mp), 0};
	late_end(&late);
	return nullptr;
}

void late_threads(MPOOL *mp, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pthread_t thread;
		REQUIRE(pthread_create(&thread, nullptr, late_thread, mp) == 0);
		REQUIRE(pthread_join(thread, nullptr) == 0);
	}
}

} // namespace

TEST_CASE("pools that take turns are not mistaken for each other")
{
	const unsigned count = static_cast<unsigned>(shrink(300, 4, 40)), threads = 3;
	File file(kSize, 2);
	std::vector<std::unique_ptr<Pool>> pools;
	std::vector<unsigned> numbers;
	unsigned next = 0;
	auto open = [&] {
		auto pool = std::make_unique<Pool>(file.fd(), kSize, 4);
		mark(*pool, next);
		numbers.push_back(next++);
		pools.push_back(std::move(pool));
	};
	for (unsigned i = 0; i < count; i++)
		open();
	for (unsigned round = 0; round < 6; round++) {
		Report report;
		run_threads(threads, [&](unsigned t) {
			Random random(round * threads + t);
			// Each pool, then some again and again; the second thread a few of them only.
			for (unsigned i = 0; i < 4 * count; i++) {
				unsigned k = i < count ? i : static_cast<unsigned>(random.below(count));
				if (t == 1)
					k = k % 7 * (count / 7);
				report.check(is_marked(*pools[k], i % 2, numbers[k]), "the pool's own page");
			}
		});
		report.require_none();
		for (unsigned k = 0; k < count; k++)
			REQUIRE(is_marked(*pools[k], 1, numbers[k]));
		// A third of them goes, and others take their places; this thread knows of the rest.
		for (unsigned k = 0; k < count / 3; k++) {
			pools.erase(pools.begin() + k);
			numbers.erase(numbers.begin() + k);
		}
		while (pools.size() < count)
			open();
	}
}

TEST_CASE("a thread's look with MPOOL_IGNOREPIN ends with its next call on the pool, whatever it used in between")
{
	File file(kSize, 4);
	Pool pool(file.fd(), kSize, 2), other(file.fd(), kSize, 2);
	pool.touch(0, 2);
	CHECK(pool.get(0, MPOOL_IGNOREPIN) != nullptr);
	other.touch(0, 2);
	void *page = pool.get(1); // a hit, and the look is over
	bool made_room = false;
	run_threads(1, [&](unsigned) {
		void *third = mpool_get(pool, 2, 0);
		struct mpool_stats st;
		made_room = third && mpool_stats(pool, &st, sizeof st) == 0 && st.overflow == 0 &&
		            mpool_put(pool, third, 0) == 0;
	});
	CHECK(made_room);
	pool.put(page);
}

TEST_CASE("a pin is in the pool whose page it is, however many pools a thread uses")
{
	File file(kSize, 2);
	std::vector<std::unique_ptr<Pool>> pools(40);
	std::vector<void *> pages;
	for (auto &pool : pools)
		pool = std::make_unique<Pool>(file.fd(), kSize, 4);
	run_threads(1, [&](unsigned) {
		for (auto &pool : pools) { // so that all pages are there to be hit
			void *page = mpool_get(*pool, 0, 0);
			if (!page || mpool_put(*pool, page, 0) != 0)
				abort();
		}
	});
	for (auto &pool : pools)
		pages.push_back(pool->get(0));
	for (size_t i = 0; i < pools.size(); i++) {
		CHECK(pools[i]->stats().pinned == 1);
		pools[i]->put(pages[i]);
		CHECK(pools[i]->stats().pinned == 0);
	}
	// And the thread has one stripe in each, however often it comes back.
	Statm before = statm();
	for (int round = 0; round < 1000; round++)
		for (auto &pool : pools) {
			void *page = mpool_get(*pool, 0, 0);
			REQUIRE(mpool_put(*pool, page, 0) == 0);
		}
	if (!sanitized)
		CHECK(statm().resident < before.resident + 1000000);
}

TEST_CASE("pools that other threads closed leave nothing behind")
{
	if (sanitized) {
		WARN("skipped: sanitizers keep memory that is freed");
		return;
	}
	File file(kSize, 2);
	std::vector<std::unique_ptr<Pool>> pools(50);
	auto open_all = [&] {
		for (auto &pool : pools)
			pool = std::make_unique<Pool>(file.fd(), kSize, 4);
	};
	auto use_all = [&] {
		for (auto &pool : pools)
			if (!is_marked(*pool, 0, 0))
				abort();
	};
	size_t before = 0;
	for (unsigned round = 0; round < 40; round++) {
		open_all();
		use_all();
		// Another thread closes them.
		run_threads(1, [&](unsigned) {
			for (auto &pool : pools)
				if (pool->close() != 0)
					abort();
		});
		if (round == 10)
			before = statm().resident;
	}
	INFO("resident " << before << " -> " << statm().resident);
	CHECK(statm().resident < before + 300000);
}

TEST_CASE("threads that end when nobody hears of it leave their stripes to others")
{
	if (sanitized) {
		WARN("skipped: sanitizers keep memory that is freed");
		return;
	}
	File file(kSize, 2);
	Pool pool(file.fd(), kSize, 4);
	pool.put(pool.get(0));
	make_late_key();
	late_threads(pool, 1000);
	size_t before = statm().resident;
	late_threads(pool, 6000);
	INFO("resident " << before << " -> " << statm().resident);
	// A stripe alone would be 768,000 bytes.
	CHECK(statm().resident < before + 300000);
}

TEST_CASE("a thread that lives keeps its stripe while others end unheard of")
{
	if (sanitized) {
		WARN("skipped: in a thread's last destructors ThreadSanitizer has left it already");
		return;
	}
	const unsigned living = 3;
	const pgno_t pages = 20;
	File file(kSize, pages);
	Pool pool(file.fd(), kSize, pages);
	pool.put(pool.get(0));
	make_late_key();
	Report report;
	std::atomic<bool> stop{false};
	{
		Threads threads;
		for (unsigned t = 0; t < living; t++)
			threads.start([&] {
				while (!stop) {
					void *page[pages];
					for (pgno_t i = 0; i < pages; i++)
						report.check((page[i] = mpool_get(pool, i, 0)) != nullptr, "mpool_get");
					for (pgno_t i = 0; i < pages; i++)
						report.check(mpool_put(pool, page[i], 0) == 0, "mpool_put");
				}
			});
		late_threads(pool, shrink(300));
		stop = true;
	}
	report.require_none();
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("the thread that forked lives in the child")
{
	File file(kSize, 30);
	Pool pool(file.fd(), kSize, 4);
	pool.put(pool.get(0));
	int result = in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), kSize, 30);
		std::vector<void *> pages;
		for (pgno_t i = 0; i < 20; i++)
			pages.push_back(mpool_get(mp, i, 0));
		std::atomic<unsigned> wrong{0};
		for (unsigned n = 0; n < 10; n++)
			run_threads(2, [&](unsigned) {
				for (pgno_t i = 0; i < 30; i++) {
					void *page = mpool_get(mp, i, 0);
					wrong += !page || mpool_put(mp, page, 0) != 0;
				}
			});
		for (void *page : pages)
			wrong += mpool_put(mp, page, 0) != 0;
		struct mpool_stats st;
		wrong += mpool_stats(mp, &st, sizeof st) != 0 || st.pinned != 0;
		return wrong != 0 || mpool_close(mp) != 0;
	});
	CHECK(result == 0);
}
