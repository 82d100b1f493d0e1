// test_once.cpp - MPOOL_ONCE: a page wanted once only is the first to go, and what
// others use stays, as if nobody had got it.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

using namespace test;

namespace {

const pgno_t size = 64;

void touch_once(const Pool &pool, pgno_t from, pgno_t to)
{
	for (pgno_t i = from; i < to; i++)
		pool.put(pool.get(i, MPOOL_ONCE));
}

// Are all of [from, to) in memory?  They are afterwards, and used.
bool all_cached(const Pool &pool, pgno_t from, pgno_t to)
{
	uint64_t reads = pool.stats().reads;
	pool.touch(from, to);
	return pool.stats().reads == reads;
}

// Draws that like low numbers better, from 3 times as many pages as the pool holds.
class Work {
public:
	static const pgno_t pages = 3000;

	explicit Work(const Pool &pool) : pool_(pool) {}
	void step()
	{
		uint64_t reads = pool_.stats().reads, n = random_.below(pages);
		pool_.put(pool_.get(static_cast<pgno_t>(n * n / pages)));
		missed_ += pool_.stats().reads - reads;
		steps_++;
	}
	double missed() const { return static_cast<double>(missed_) / static_cast<double>(steps_); }

private:
	const Pool &pool_;
	Random random_{7};
	uint64_t missed_ = 0, steps_ = 0;
};

// What the work misses beside so many pages of a scan to each of its steps.
double missed_beside_scan(const File &file, pgno_t file_pages, unsigned to_a_step, unsigned flags)
{
	const size_t steps = shrink(60000);
	Pool pool(file.fd(), size, 1000);
	Work work(pool);
	pgno_t at = Work::pages;
	for (size_t n = 0; n < steps; n++) {
		work.step();
		for (unsigned i = 0; i < to_a_step; i++) {
			pool.put(pool.get(at, flags));
			at = at + 1 < file_pages ? at + 1 : Work::pages;
		}
	}
	return work.missed();
}

} // namespace

TEST_CASE("a scan with MPOOL_ONCE costs those who use other pages nothing")
{
	const pgno_t file_pages = 20000;
	File file(size, file_pages);
	double alone = missed_beside_scan(file, file_pages, 0, 0);
	double flagged = missed_beside_scan(file, file_pages, 4, MPOOL_ONCE);
	double plain = missed_beside_scan(file, file_pages, 4, 0);
	CAPTURE(alone, flagged, plain);
	CHECK(flagged < alone + 0.01);
	CHECK(plain > alone + 0.05); // or the scan would tell nothing
}

TEST_CASE("pages got with MPOOL_ONCE are the first to go, however often they were got with it")
{
	const unsigned times = GENERATE(1u, 3u);
	const unsigned flags = GENERATE(unsigned{MPOOL_ONCE}, MPOOL_ONCE | 0x400u);
	CAPTURE(times, flags);
	File file(size, 200);
	Pool pool(file.fd(), size, 20);
	for (unsigned n = 0; n < times; n++)
		for (pgno_t i = 0; i < 10; i++)
			pool.put(pool.get(i, flags));
	CHECK(pool.stats().reads == 10);
	pool.touch(100, 120);
	CHECK(all_cached(pool, 100, 120));
}

TEST_CASE("pages got with MPOOL_ONCE go before those that came in last")
{
	File file(size, 6000);
	Pool pool(file.fd(), size, 1000);
	pool.touch(0, 980); // a pool's first pages are the last to go, all but a fiftieth
	touch_once(pool, 5000, 5010);
	pool.touch(1000, 1010);
	touch_once(pool, 5010, 5500);
	CHECK(all_cached(pool, 1000, 1010));
	CHECK(all_cached(pool, 0, 980));
}

TEST_CASE("pages got with MPOOL_ONCE that are pinned do not make the pool grow")
{
	File file(size, 400);
	Pool pool(file.fd(), size, 100);
	std::vector<void *> pinned;
	for (pgno_t i = 0; i < 50; i++)
		pinned.push_back(pool.get(i, MPOOL_ONCE));
	pool.touch(100, 300);
	CHECK(pool.stats().cached == 100);
	for (void *page : pinned)
		pool.put(page);
}

TEST_CASE("a page got with MPOOL_ONCE that was pinned when it could have gone is wanted once only all the same")
{
	const bool latched = GENERATE(false, true); // instead of pinned
	CAPTURE(latched);
	File file(size, 700);
	Pool pool(file.fd(), size, 20);
	pool.touch(0, 12);
	std::vector<void *> held;
	for (pgno_t i = 100; i < 103; i++) {
		held.push_back(pool.get(i, MPOOL_ONCE));
		if (latched) {
			REQUIRE(mpool_latch(pool, held.back(), MPOOL_SHARED) == 0);
			pool.put(held.back());
		}
	}
	touch_once(pool, 200, 400); // the hands come to them
	for (void *page : held)
		if (latched)
			REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		else
			pool.put(page);
	touch_once(pool, 400, 700);
	for (pgno_t i = 100; i < 103; i++)
		REQUIRE_NULL(mpool_get(pool, i, MPOOL_CACHED), EAGAIN);
	CHECK(all_cached(pool, 0, 12));
}

TEST_CASE("pages got with MPOOL_ONCE and MPOOL_IGNOREPIN are not pinned, and the first to go")
{
	File file(size, 200);
	Pool pool(file.fd(), size, 20);
	for (int n = 0; n < 2; n++)
		for (pgno_t i = 0; i < 10; i++) {
			void *page = pool.get(i, MPOOL_ONCE | MPOOL_IGNOREPIN);
			CHECK(is(page, size, i, 0));
			CHECK(pool.stats().pinned == 0);
		}
	CHECK(pool.stats().reads == 10);
	pool.touch(100, 120);
	CHECK(all_cached(pool, 100, 120));
}

TEST_CASE("a page got with MPOOL_ONCE is pinned and put as any other")
{
	File file(size, 200);
	Pool pool(file.fd(), size, 4);
	void *page = pool.get(7, MPOOL_ONCE);
	REQUIRE(pool.get(7, MPOOL_ONCE) == page);
	REQUIRE(pool.get(7) == page);
	pool.put(page);
	pool.put(page);
	pool.touch(10, 100);
	touch_once(pool, 100, 200);
	CHECK(is(page, size, 7, 0));
	fill(page, size, 7, 1);
	pool.put(page, MPOOL_DIRTY);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	touch_once(pool, 100, 200);
	pool.sync();
	CHECK(file.holds(7, 1));
	CHECK(pool.stats().overflow == 0);
	REQUIRE_NULL(mpool_get(pool, 200, MPOOL_ONCE), EINVAL);
}

TEST_CASE("a page that was in memory stays there when it is got with MPOOL_ONCE")
{
	File file(size, 300);
	Pool pool(file.fd(), size, 20);
	pool.touch(0, 18);
	for (int n = 0; n < 3; n++)
		touch_once(pool, 0, 18);
	touch_once(pool, 100, 300);
	CHECK(all_cached(pool, 0, 18));
}

TEST_CASE("a get without the flag makes a page got with MPOOL_ONCE one as any other")
{
	File file(size, 300);
	Pool pool(file.fd(), size, 20);
	touch_once(pool, 0, 10);
	pool.touch(0, 10);
	pool.touch(50, 58);
	touch_once(pool, 0, 10); // that changes nothing any more
	touch_once(pool, 100, 300);
	CHECK(all_cached(pool, 0, 10));
	CHECK(all_cached(pool, 50, 58));
}

TEST_CASE("new pages are none that are wanted once only, whatever the flags say")
{
	File file(size, 300);
	Pool pool(file.fd(), size, 20);
	for (pgno_t i = 0; i < 18; i++) {
		pgno_t pgno = 0;
		void *page = mpool_new_flags(pool, &pgno, MPOOL_ONCE);
		REQUIRE(page != nullptr);
		REQUIRE(pgno == 300 + i);
		CHECK(all_bytes(page, size, 0));
		pool.put(page);
	}
	touch_once(pool, 100, 300);
	CHECK(pool.stats().reads == 200);
	CHECK(all_cached(pool, 300, 318));
}

namespace {

// Reads of one page wait before a gate.
struct SlowPage {
	static const pgno_t pgno = 5;
	Gate gate;
	static void read(void *self, pgno_t which, void *)
	{
		if (which == pgno)
			static_cast<SlowPage *>(self)->gate.pass();
	}
};

} // namespace

TEST_CASE("of threads that wait for one page, one without MPOOL_ONCE makes it a page as any other")
{
	const bool first_once = GENERATE(false, true);
	CAPTURE(first_once);
	for (size_t round = 0; round < shrink(50); round++) {
		File file(size, 300);
		Pool pool(file.fd(), size, 20);
		SlowPage slow;
		mpool_filter(pool, SlowPage::read, nullptr, &slow);
		auto get = [&](bool once) {
			void *page = mpool_get(pool, SlowPage::pgno, once ? MPOOL_ONCE : 0);
			if (!page || !is(page, size, SlowPage::pgno, 0) || mpool_put(pool, page, 0) != 0)
				abort();
		};
		Threads threads;
		threads.start([&] { get(first_once); });
		slow.gate.await(1);
		threads.start([&] { get(!first_once); });
		slow.gate.open();
		threads.join();
		CHECK(pool.stats().reads == 1);
		pool.touch(50, 67);
		touch_once(pool, 100, 300);
		REQUIRE(all_cached(pool, SlowPage::pgno, SlowPage::pgno + 1));
		REQUIRE(all_cached(pool, 50, 67));
	}
}

TEST_CASE("scans with MPOOL_ONCE that get the next page before they put the last leave others' pages")
{
	const unsigned scanners = 3;
	const pgno_t used = 150, file_pages = 3000;
	File file(size, file_pages);
	Pool pool(file.fd(), size, 200);
	pool.touch(0, used);
	Report report;
	run_threads(scanners, [&](unsigned t) {
		void *last = nullptr;
		for (pgno_t i = used + t; i < file_pages && !report.any(); i += scanners) {
			void *page = mpool_get(pool, i, MPOOL_ONCE);
			if (report.check(page != nullptr, "mpool_get"))
				report.check(is(page, size, i, 0), "bytes");
			if (last)
				report.check(mpool_put(pool, last, 0) == 0, "mpool_put");
			last = page;
		}
		report.check(mpool_put(pool, last, 0) == 0, "mpool_put");
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().overflow == 0);
	CHECK(all_cached(pool, 0, used));
}
