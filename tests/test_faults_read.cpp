// test_faults_read.cpp - reads that fail, are interrupted, or come short: the
// thread that read gets the error, nobody waits for ever, nothing half-read is
// seen, nothing is lost of the pool, and the next get tries again.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Op;

TEST_CASE("a failed read gives its errno, and the next get tries again")
{
	const int number = GENERATE(EIO, ENOMEM, EAGAIN, ENXIO, EBADF);
	CAPTURE(number);
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	fault::Script script(
		file.fd(), [&](const Call &call) { return call.nth < 2 ? fault::error(number) : fault::real(); });
	REQUIRE_NULL(mpool_get(pool, 4, 0), number);
	REQUIRE_NULL(mpool_get(pool, 4, 0), number);
	CHECK(pool.stats().cached == 0);
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.shows(4, 0));
	CHECK(script.reads() == 3);
	CHECK(pool.stats().reads == 1);
}

TEST_CASE("ten thousand failed reads cost the pool nothing")
{
	const size_t times = shrink(10000);
	File file(512, 100);
	Pool pool(file.fd(), 512, 3);
	void *pinned = pool.get(99);
	{
		fault::Script script(file.fd(), [&](const Call &) { return fault::error(EIO); });
		for (size_t n = 0; n < times; n++)
			REQUIRE_NULL(mpool_get(pool, static_cast<pgno_t>(n % 99), n % 3 ? 0 : MPOOL_IGNOREPIN), EIO);
		CHECK(script.reads() == times);
	}
	CHECK(pool.stats().cached == 1);
	CHECK(pool.stats().pinned == 1);
	CHECK(is(pinned, 512, 99, 0));
	// There is room for the two others, without an eviction.
	uint64_t evictions = pool.stats().evictions;
	pool.touch(0, 2);
	pool.touch(0, 2);
	CHECK(pool.stats().cached == 3);
	CHECK(pool.stats().evictions == evictions);
	CHECK(pool.stats().overflow == 0);
	pool.put(pinned);
	for (pgno_t i = 0; i < 100; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("an interrupted read is continued")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	fault::Script script(
		file.fd(), [&](const Call &call) { return call.nth < 20 ? fault::error(EINTR) : fault::real(); });
	CHECK(pool.shows(4, 0));
	CHECK(script.reads() == 21);
	CHECK(pool.stats().reads == 1);
}

TEST_CASE("a short read is continued where it ended")
{
	const size_t at_most = GENERATE(size_t{1}, size_t{7}, size_t{511}, size_t{512});
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	fault::Script script(file.fd(),
		[&](const Call &call) { return call.nth % 3 == 2 ? fault::error(EINTR) : fault::at_most(at_most); });
	for (pgno_t i = 0; i < 10; i++)
		REQUIRE(pool.shows(i, 0));
}

TEST_CASE("a read that fails in the middle of a page leaves nothing to be seen")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	SECTION("with an error")
	{
		fault::Script script(file.fd(),
			[&](const Call &call) { return call.nth == 0 ? fault::at_most(100) : fault::error(EIO); });
		REQUIRE_NULL(mpool_get(pool, 4, 0), EIO);
	}
	SECTION("with the end of the file")
	{
		fault::Script script(
			file.fd(), [&](const Call &call) { return fault::at_most(call.nth == 0 ? 100 : 0); });
		REQUIRE_NULL(mpool_get(pool, 4, 0), EIO);
	}
	file.write_page(4, 1);
	CHECK(pool.shows(4, 1));
}

TEST_CASE("pgin does not see a page whose read failed")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	std::atomic<unsigned> seen{0};
	mpool_filter(
		pool, [](void *cookie, pgno_t, void *) { (*static_cast<std::atomic<unsigned> *>(cookie))++; }, nullptr,
		&seen);
	fault::Script script(
		file.fd(), [&](const Call &call) { return call.nth == 0 ? fault::error(EIO) : fault::real(); });
	REQUIRE_NULL(mpool_get(pool, 4, 0), EIO);
	CHECK(seen == 0);
	CHECK(pool.shows(4, 0));
	CHECK(seen == 1);
}

TEST_CASE("a read that fails while others wait for it fails for the thread that read, and for no other")
{
	const unsigned count = 16;
	for (pgno_t pgno = 0; pgno < shrink(20); pgno++) {
		File file(512, 30);
		Pool pool(file.fd(), 512, 3);
		Gate in_read;
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.nth != 0)
				return fault::real();
			in_read.pass();
			return fault::error(EIO);
		});
		std::atomic<unsigned> calling{0}, failed{0}, wrong{0};
		Threads threads;
		for (unsigned t = 0; t < count; t++)
			threads.start([&] {
				calling++;
				errno = 0;
				void *page = mpool_get(pool, pgno, 0);
				if (!page) {
					failed++;
					wrong += errno != EIO;
				} else {
					wrong += !is(page, 512, pgno, 0);
					wrong += mpool_put(pool, page, 0) != 0;
				}
			});
		in_read.await(1);
		while (calling < count)
			std::this_thread::yield();
		in_read.open();
		threads.join();
		REQUIRE(wrong == 0);
		REQUIRE(failed == 1);
		REQUIRE(script.reads() == 2);
		REQUIRE(pool.stats().pinned == 0);
	}
}

TEST_CASE("when every read fails, each thread that waits gets the error of a read of its own")
{
	const unsigned count = 16;
	File file(512, 30);
	Pool pool(file.fd(), 512, 3);
	for (unsigned round = 0; round < shrink(100); round++) {
		fault::Script script(file.fd(), [&](const Call &) { return fault::error(EIO); });
		std::atomic<unsigned> wrong{0};
		run_threads(count, [&](unsigned) {
			errno = 0;
			wrong += mpool_get(pool, 5, 0) || errno != EIO;
		});
		REQUIRE(wrong == 0);
		REQUIRE(script.reads() == count);
	}
	CHECK(pool.stats().cached == 0);
	CHECK(pool.shows(5, 0));
}

TEST_CASE("reads that fail now and then under many threads do no harm")
{
	const pgno_t maxcache = GENERATE(3u, 20u);
	CAPTURE(maxcache);
	const size_t gets = shrink(10000);
	const pgno_t pages = 60;
	File file(256, pages);
	Pool pool(file.fd(), 256, maxcache);
	Report report;
	std::atomic<uint64_t> failed{0};
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			switch (mix(call.nth) % 10) {
			case 0:
				return fault::error(EIO);
			case 1:
				return fault::error(EINTR);
			case 2:
				return fault::at_most(100);
			default:
				return fault::real();
			}
		});
		run_threads(8, [&](unsigned t) {
			Random random(t);
			for (size_t n = 0; n < gets && !report.any(); n++) {
				pgno_t pgno = static_cast<pgno_t>(random.below(pages));
				errno = 0;
				void *page = mpool_get(pool, pgno, 0);
				if (!page) {
					report.check(errno == EIO, "errno of a failed read");
					failed++;
					continue;
				}
				report.check(is(page, 256, pgno, 0), "bytes");
				report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
			}
		});
	}
	report.require_none();
	CHECK(failed > 0);
	CHECK(pool.stats().pinned == 0);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().cached <= maxcache);
}
