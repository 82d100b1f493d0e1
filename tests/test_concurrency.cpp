// test_concurrency.cpp - many threads at once: one read for a page, numbers that
// nobody gets twice, no modification lost to eviction, and pools that grow.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>

#include <sys/syscall.h>

#include "fault_io.hpp"

using namespace test;

namespace {

// Threads that say where they are, and whoever waits until all have said it.
class Count {
public:
	void add()
	{
		std::lock_guard<std::mutex> lock(mutex_);
		count_++;
		changed_.notify_all();
	}
	void await(unsigned n)
	{
		std::unique_lock<std::mutex> lock(mutex_);
		changed_.wait(lock, [&] { return count_ >= n; });
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	unsigned count_ = 0;
};

// Gives threads that are about to call the pool a chance to be inside and wait
// there.  Nothing that is checked depends on it.
void let_sleep(const std::vector<std::atomic<pid_t>> &tids)
{
	for (int n = 0; n < 300; n++) {
		if (std::all_of(tids.begin(), tids.end(), [](pid_t tid) { return asleep(tid); }))
			return;
		std::this_thread::yield();
	}
}

} // namespace

TEST_CASE("a page that 64 threads miss at once is read once and has one address")
{
	const unsigned count = 64;
	const pgno_t rounds = static_cast<pgno_t>(shrink(20, 4));
	File file(4096, rounds);
	Pool pool(file.fd(), 4096, 10);
	std::atomic<uint64_t> reads{0};
	for (pgno_t pgno = 0; pgno < rounds; pgno++) {
		Gate in_read, start;
		Count calling;
		std::vector<std::atomic<pid_t>> tids(count);
		std::vector<void *> pages(count);
		std::vector<char> right(count);
		fault::Script script(file.fd(), [&](const fault::Call &call) {
			if (call.covers(pgno, 4096)) {
				reads.fetch_add(1, std::memory_order_relaxed);
				in_read.pass();
			}
			return fault::real();
		});
		Threads threads;
		for (unsigned t = 0; t < count; t++)
			threads.start([&, t] {
				tids[t] = static_cast<pid_t>(syscall(SYS_gettid));
				start.pass();
				calling.add();
				pages[t] = mpool_get(pool, pgno, 0);
				right[t] = pages[t] && is(pages[t], 4096, pgno, 0);
			});
		start.await(count);
		start.open();
		in_read.await(1);
		calling.await(count);
		let_sleep(tids);
		in_read.open();
		threads.join();
		REQUIRE(script.reads() == 1);
		for (unsigned t = 0; t < count; t++) {
			REQUIRE(right[t]);
			REQUIRE(pages[t] == pages[0]);
		}
		CHECK(pool.stats().pinned == 1);
		for (unsigned t = 0; t < count; t++)
			pool.put(pages[t]);
		CHECK(pool.stats().pinned == 0);
	}
	CHECK(pool.stats().reads == rounds);
	CHECK(pool.stats().misses == rounds);
}

TEST_CASE("threads that miss the same pages in any order read each page once")
{
	const pgno_t pages = 2000;
	File file(256, pages);
	Pool pool(file.fd(), 256, pages);
	Report report;
	run_threads(16, [&](unsigned t) {
		std::vector<pgno_t> order(pages);
		for (pgno_t i = 0; i < pages; i++)
			order[i] = i;
		Random random(t / 4); // four at a time go the same way
		for (pgno_t i = pages - 1; i > 0; i--)
			std::swap(order[i], order[random.below(i + 1)]);
		for (pgno_t pgno : order) {
			if (!visit(report, pool, pgno))
				return;
		}
	});
	report.require_none();
	struct mpool_stats st = pool.stats();
	CHECK(st.reads == pages);
	CHECK(st.misses == pages);
	CHECK(st.hits == 15 * pages);
	CHECK(st.pinned == 0);
}

TEST_CASE("64 threads share a pool of three pages")
{
	const size_t gets = shrink(1500);
	const pgno_t pages = 200;
	File file(256, pages);
	Pool pool(file.fd(), 256, 3);
	Report report;
	run_threads(64, [&](unsigned t) {
		Random random(t);
		for (size_t n = 0; n < gets && !report.any(); n++) {
			pgno_t pgno = static_cast<pgno_t>(random.below(pages));
			void *page = mpool_get(pool, pgno, 0);
			if (!report.check(page != nullptr, "mpool_get"))
				return;
			report.check(is(page, 256, pgno, 0), "bytes");
			if (n % 16 == 0)
				std::this_thread::yield();
			report.check(is(page, 256, pgno, 0), "bytes, later");
			report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, pages);
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().cached <= 3);
}

TEST_CASE("mpool_new gives each number to one caller")
{
	const unsigned count = 16;
	const size_t each = shrink(500);
	const pgno_t maxcache = GENERATE(3u, 100000u);
	CAPTURE(maxcache);
	File file(256, 5);
	Pool pool(file.fd(), 256, maxcache);
	Report report;
	std::vector<std::vector<pgno_t>> numbers(count);
	run_threads(count, [&](unsigned t) {
		for (size_t n = 0; n < each; n++) {
			pgno_t pgno = 0;
			void *page = (mpool_new)(pool, &pgno);
			if (!report.check(page != nullptr, "mpool_new"))
				return;
			report.check(all_bytes(page, 256, 0), "zeros");
			fill(page, 256, pgno, 1);
			numbers[t].push_back(pgno);
			report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
		}
	});
	report.require_none();
	std::vector<pgno_t> all;
	for (const std::vector<pgno_t> &some : numbers)
		all.insert(all.end(), some.begin(), some.end());
	std::sort(all.begin(), all.end());
	REQUIRE(all.size() == count * each);
	for (size_t i = 0; i < all.size(); i++)
		REQUIRE(all[i] == i + 5);
	CHECK(pool.stats().pages == 5 + count * each);
	pool.sync();
	CHECK(file.length() == static_cast<off_t>(256 * (5 + count * each)));
	for (size_t i = 0; i < all.size(); i++)
		REQUIRE(file.holds(i + 5, 1));
}

TEST_CASE("no modification is lost while threads evict each other's pages")
{
	const pgno_t maxcache = GENERATE(1u, 2u, 8u, 40u);
	CAPTURE(maxcache);
	const unsigned count = 4;
	const size_t rounds = shrink(25000);
	const pgno_t pages = 64;
	struct Counters {
		uint64_t n[8];
	};
	File file(sizeof(Counters));
	file.truncate(sizeof(Counters) * pages);
	Pool pool(file.fd(), sizeof(Counters), maxcache);
	Report report;
	// The order of what threads do to one page's bytes is the caller's matter.
	std::vector<std::mutex> owner(pages);
	std::vector<uint64_t> expected(pages);
	run_threads(count, [&](unsigned t) {
		Random random(t);
		for (size_t n = 0; n < rounds && !report.any(); n++) {
			pgno_t pgno = static_cast<pgno_t>(random.below(pages));
			void *page = mpool_get(pool, pgno, 0);
			if (!report.check(page != nullptr, "mpool_get"))
				return;
			{
				std::lock_guard<std::mutex> lock(owner[pgno]);
				Counters *c = static_cast<Counters *>(page);
				for (uint64_t &number : c->n)
					report.check(number == expected[pgno], "an addition was lost");
				expected[pgno]++;
				for (uint64_t &number : c->n)
					number++;
			}
			report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
		}
	});
	report.require_none();
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < pages; i++) {
		Counters c;
		REQUIRE(pread(file.fd(), &c, sizeof c, i * sizeof c) == sizeof c);
		for (uint64_t number : c.n)
			REQUIRE(number == expected[i]);
	}
}

TEST_CASE("pages go on to be hit while the pool fills from empty to many pages")
{
	const pgno_t pages = static_cast<pgno_t>(shrink(60000, 6));
	const pgno_t hot = 100;
	File file(64, pages);
	Pool pool(file.fd(), 64, pages);
	pool.touch(0, hot);
	Report report;
	std::atomic<bool> filled{false};
	std::atomic<unsigned> hitting{0};
	run_threads(3, [&](unsigned t) {
		if (t == 0) {
			while (hitting < 2)
				std::this_thread::yield();
			for (pgno_t i = hot; i < pages; i++) {
				if (!visit(report, pool, i))
					break;
			}
			filled = true;
			return;
		}
		Random random(t);
		hitting++;
		while (!filled && !report.any()) {
			visit(report, pool, static_cast<pgno_t>(random.below(hot)));
		}
	});
	report.require_none();
	struct mpool_stats st = pool.stats();
	CHECK(st.reads == pages);
	CHECK(st.cached == pages);
	CHECK(st.pinned == 0);
}

TEST_CASE("the pool grows past maxcache and comes back while others use it")
{
	const size_t rounds = shrink(200);
	const pgno_t pages = 600;
	File file(128, pages);
	Pool pool(file.fd(), 128, 4);
	Report report;
	std::atomic<unsigned> working{3};
	run_threads(4, [&](unsigned t) {
		if (t == 3) {
			while (working > 0) {
				struct mpool_stats st = pool.stats();
				report.check(st.pages == pages && st.maxcache == 4, "mpool_stats");
			}
			return;
		}
		Random random(t);
		std::vector<std::pair<pgno_t, void *>> held;
		for (size_t n = 0; n < rounds && !report.any(); n++) {
			for (uint64_t more = random.below(200); more > 0; more--) {
				pgno_t pgno = static_cast<pgno_t>(random.below(pages));
				void *page = mpool_get(pool, pgno, 0);
				if (!report.check(page != nullptr, "mpool_get"))
					break;
				held.emplace_back(pgno, page);
			}
			for (auto [pgno, page] : held) {
				report.check(is(page, 128, pgno, 0), "bytes");
				report.check(mpool_put(pool, page, pgno % 7 ? 0 : MPOOL_DIRTY) == 0, "mpool_put");
			}
			held.clear();
			// Misses, by which it comes back.
			for (int some = 0; some < 50; some++) {
				void *page = mpool_get(pool, static_cast<pgno_t>(random.below(pages)), 0);
				report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
			}
		}
		working--;
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, pages);
	pool.touch(0, pages);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(pool.shows(i, 0));
}

TEST_CASE("of threads that request one page afresh at once, one gets it")
{
	const size_t rounds = shrink(300);
	File file(128, 10);
	Pool pool(file.fd(), 128, 4);
	for (size_t n = 0; n < rounds; n++) {
		Report report;
		std::atomic<unsigned> got{0};
		std::atomic<void *> made{nullptr};
		run_threads(4, [&](unsigned) {
			pgno_t pgno = 5;
			errno = 0;
			void *page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
			if (page) {
				got++;
				made = page;
				report.check(all_bytes(page, 128, 0), "zeros");
			} else {
				report.check(errno == EEXIST, "errno of mpool_new");
			}
		});
		report.require_none();
		REQUIRE(got == 1);
		memset(made, 0xff, 128);
		REQUIRE(mpool_delete(pool, made) == 0);
	}
	CHECK(pool.stats().pinned == 0);
}
