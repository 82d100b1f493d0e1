// test_ahead.cpp - several reads in flight: mpool_getv, mpool_prefetch, MPOOL_CACHED,
// MPOOL_READAHEAD, by each engine.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <future>

#include "event.hpp"
#include "fault_io.hpp"
#include "share.hpp" // SKIP_CASE

using namespace test;
using fault::Call;
using fault::Op;

namespace {

constexpr size_t page_size = 512;

// The engine, if there is such a one here; else the test ends.
void use_engine(const Pool &pool, uint64_t engine)
{
	if (engine != MPOOL_IO_RING) {
		REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, engine) == 0);
		return;
	}
	if (mpool_tune(pool, MPOOL_IO_ENGINE, engine) != 0)
		WARN("io_uring is refused here: " << strerror(errno) << "; threads instead");
}

#define EVERY_ENGINE GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_RING, MPOOL_IO_WORKERS)

std::vector<void *> getv(const Pool &pool, const std::vector<pgno_t> &pages, unsigned flags = 0)
{
	std::vector<void *> addr(pages.size());
	errno = 0;
	int result = mpool_getv(pool, pages.data(), addr.data(), pages.size(), flags);
	INFO("mpool_getv: " << strerror(errno));
	REQUIRE(result == 0);
	return addr;
}

void put_all(const Pool &pool, const std::vector<void *> &addr)
{
	for (void *page : addr)
		pool.put(page);
}

bool cached(const Pool &pool, pgno_t page)
{
	void *addr = mpool_get(pool, page, MPOOL_CACHED);
	if (!addr) {
		REQUIRE(errno == EAGAIN);
		return false;
	}
	pool.put(addr);
	return true;
}

void prefetch(const Pool &pool, const std::vector<pgno_t> &pages)
{
	Event event;
	REQUIRE(mpool_prefetch(pool, pages.data(), pages.size(), event) == static_cast<ssize_t>(pages.size()));
	CHECK(event.await() == 1);
}

} // namespace

TEST_CASE("getv pins each page of the list, whatever is in memory before")
{
	const int engine = EVERY_ENGINE;
	const pgno_t maxcache = GENERATE(1u, 7u, 100u);
	CAPTURE(engine, maxcache);
	File file(page_size, 60);
	Pool pool(file.fd(), page_size, maxcache);
	use_engine(pool, engine);
	pool.touch(10, 14);
	const std::vector<pgno_t> pages = {59, 3, 4, 5, 12, 40, 3, 0, 41, 42, 12};
	std::vector<void *> addr = getv(pool, pages);
	for (size_t i = 0; i < pages.size(); i++)
		CHECK(is(addr[i], page_size, pages[i], 0));
	CHECK(addr[1] == addr[6]);
	CHECK(addr[4] == addr[10]);
	CHECK(pool.stats().pinned == pages.size() - 2);
	put_all(pool, addr);
	CHECK(pool.stats().pinned == 0);
	// As often as it was in the list, and no more.
	REQUIRE_FAILS(mpool_put(pool, addr[1], 0), EINVAL);
	CHECK(pool.stats().engine >= MPOOL_IO_PLAIN);
}

TEST_CASE("getv of more pages than the pool keeps, and than one batch has, is one call all the same")
{
	const int engine = EVERY_ENGINE;
	const pgno_t pages = 700;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 5);
	use_engine(pool, engine);
	std::vector<pgno_t> list;
	for (pgno_t i = 0; i < pages; i++)
		list.push_back((i * 277) % pages);
	std::vector<void *> addr = getv(pool, list);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(is(addr[i], page_size, list[i], 0));
	CHECK(pool.stats().reads == pages);
	CHECK(pool.stats().misses == pages);
	put_all(pool, addr);
	// Each sync trims a part.
	for (unsigned n = 0; n < pages && pool.stats().overflow > 0; n++)
		pool.sync();
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("neighbours are read by one system call")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 50);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_PLAIN) == 0);
	fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
	put_all(pool, getv(pool, {8, 3, 2, 4, 50, 51}));
	CHECK(script.reads() == 3);
}

TEST_CASE("getv is all or nothing: the error is that of the first page that failed")
{
	File file(page_size, 60);
	Pool pool(file.fd(), page_size, 20);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, GENERATE(MPOOL_IO_PLAIN, MPOOL_IO_WORKERS)) == 0);
	pool.touch(1, 3);
	const std::vector<pgno_t> pages = {1, 30, 9, 31, 7, 2};
	std::vector<void *> addr(pages.size(), &file);
	{
		fault::Script script(file.fd(), [](const Call &call) {
			return call.covers(9, page_size)   ? fault::error(ENXIO)
			       : call.covers(7, page_size) ? fault::error(EIO)
			                                   : fault::real();
		});
		REQUIRE_FAILS(mpool_getv(pool, pages.data(), addr.data(), pages.size(), 0), ENXIO);
	}
	for (void *page : addr)
		CHECK(page == nullptr);
	CHECK(pool.stats().pinned == 0);
	addr = getv(pool, pages);
	for (size_t i = 0; i < pages.size(); i++)
		CHECK(is(addr[i], page_size, pages[i], 0));
	put_all(pool, addr);
}

TEST_CASE("getv refuses what is not there, and pins nothing")
{
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 20);
	pgno_t pages[] = {1, 10, 2};
	void *addr[3];
	REQUIRE_FAILS(mpool_getv(pool, pages, addr, 3, 0), EINVAL);
	CHECK(addr[0] == nullptr);
	REQUIRE_FAILS(mpool_getv(pool, pages, addr, 1, MPOOL_IGNOREPIN), EINVAL);
	CHECK(mpool_getv(pool, pages, addr, 0, 0) == 0);
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().cached == 0);
}

TEST_CASE("getv with MPOOL_CACHED gives what is in memory, or EAGAIN")
{
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 20);
	pool.touch(2, 5);
	put_all(pool, getv(pool, {4, 2, 3}, MPOOL_CACHED));
	pgno_t pages[] = {2, 3, 7};
	void *addr[3];
	REQUIRE_FAILS(mpool_getv(pool, pages, addr, 3, MPOOL_CACHED), EAGAIN);
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().reads == 3);
}

TEST_CASE("short and interrupted vectored reads are continued where they stopped")
{
	const size_t bytes = GENERATE(1u, 511u, 512u, 513u, 1500u);
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, 40);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_PLAIN) == 0);
	fault::Script script(file.fd(),
		[&](const Call &call) { return call.nth % 3 == 1 ? fault::error(EINTR) : fault::at_most(bytes); });
	std::vector<pgno_t> pages = {20, 21, 22, 23, 24, 5, 6};
	std::vector<void *> addr = getv(pool, pages);
	for (size_t i = 0; i < pages.size(); i++)
		CHECK(is(addr[i], page_size, pages[i], 0));
	put_all(pool, addr);
}

TEST_CASE("a file that was cut short: the pages before its end are had, the others are EIO")
{
	const int engine = EVERY_ENGINE;
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, 40);
	use_engine(pool, engine);
	file.truncate(20 * page_size);
	pgno_t pages[] = {18, 19, 20, 21};
	void *addr[4];
	REQUIRE_FAILS(mpool_getv(pool, pages, addr, 4, 0), EIO);
	put_all(pool, getv(pool, {18, 19}));
	Event event;
	REQUIRE(mpool_prefetch(pool, pages, 4, event) == 4);
	CHECK(event.await() == 1);
	CHECK(cached(pool, 18));
	// The error is told once.
	REQUIRE_NULL(mpool_get(pool, 20, MPOOL_CACHED), EIO);
	REQUIRE_NULL(mpool_get(pool, 20, MPOOL_CACHED), EAGAIN);
	REQUIRE_NULL(mpool_get(pool, 21, MPOOL_CACHED), EIO);
}

TEST_CASE("a server that answers only when 32 requests are outstanding gets them, from getv and from prefetch")
{
	constexpr unsigned wanted = 32;
	File file(page_size, 2 * wanted);
	Pool pool(file.fd(), page_size, 2 * wanted);
	// Threads: what io_uring has in flight goes through no wrapped call.
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	std::mutex mutex;
	std::condition_variable all;
	unsigned outstanding = 0;
	fault::Script script(file.fd(), [&](const Call &) {
		std::unique_lock<std::mutex> lock(mutex);
		if (++outstanding % wanted == 0)
			all.notify_all();
		unsigned round = (outstanding - 1) / wanted;
		all.wait(lock, [&] { return outstanding >= (round + 1) * wanted; });
		return fault::real();
	});
	std::vector<pgno_t> odd, even;
	for (pgno_t i = 0; i < wanted; i++) {
		even.push_back(2 * i);
		odd.push_back(2 * i + 1);
	}
	std::vector<void *> addr = getv(pool, even);
	for (pgno_t i = 0; i < wanted; i++)
		CHECK(is(addr[i], page_size, even[i], 0));
	prefetch(pool, odd);
	for (pgno_t i : odd)
		CHECK(cached(pool, i));
	CHECK(script.reads() == 2 * wanted);
	put_all(pool, addr);
}

TEST_CASE("threads whose lists overlap in any order all get theirs, and each page is read once")
{
	const int engine = EVERY_ENGINE;
	constexpr pgno_t pages = 64;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, pages);
	use_engine(pool, engine);
	Report wrong;
	run_threads(4, [&](unsigned self) {
		for (unsigned round = 0; round < 20; round++) {
			std::vector<pgno_t> list;
			for (pgno_t i = 0; i < pages; i++)
				list.push_back((self % 2 ? i : pages - 1 - i) ^ (self / 2 ? 21u : 0u));
			std::vector<void *> addr(pages);
			if (!wrong.check(mpool_getv(pool, list.data(), addr.data(), pages, 0) == 0, "getv"))
				return;
			for (pgno_t i = 0; i < pages; i++)
				wrong.check(is(addr[i], page_size, list[i], 0), "bytes");
			for (void *page : addr)
				wrong.check(mpool_put(pool, page, 0) == 0, "put");
		}
	});
	wrong.require_none();
	CHECK(pool.stats().reads == pages);
}

TEST_CASE("a get that is to find the page in memory reads nothing, and waits for nobody")
{
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 4);
	REQUIRE_NULL(mpool_get(pool, 3, MPOOL_CACHED), EAGAIN);
	REQUIRE_NULL(mpool_get(pool, 10, MPOOL_CACHED), EINVAL);
	CHECK(pool.stats().reads == 0);
	pool.touch(3, 4);
	CHECK(cached(pool, 3));
	// Another thread is reading it.
	std::mutex mutex;
	std::condition_variable changed;
	bool reading = false, may = false;
	fault::Script script(file.fd(), [&](const Call &) {
		std::unique_lock<std::mutex> lock(mutex);
		reading = true;
		changed.notify_all();
		changed.wait(lock, [&] { return may; });
		return fault::real();
	});
	std::thread reader([&] { pool.put(mpool_get(pool, 5, 0)); });
	{
		std::unique_lock<std::mutex> lock(mutex);
		changed.wait(lock, [&] { return reading; });
	}
	void *page = mpool_get(pool, 5, MPOOL_CACHED);
	int error = errno;
	// A prefetch counts it, and its eventfd waits for it.
	Event event;
	pgno_t five = 5;
	ssize_t begun = mpool_prefetch(pool, &five, 1, event);
	uint64_t early = event.count();
	{
		std::lock_guard<std::mutex> lock(mutex);
		may = true;
	}
	changed.notify_all();
	reader.join();
	CHECK(page == nullptr);
	CHECK(error == EAGAIN);
	CHECK(begun == 1);
	CHECK(early == 0);
	CHECK(event.await() == 1);
	CHECK(cached(pool, 5));
}

TEST_CASE("what was prefetched is in memory, by whichever engine, and read once")
{
	const int engine = EVERY_ENGINE;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 60);
	use_engine(pool, engine);
	std::vector<pgno_t> list = {70, 3, 4, 5, 99, 3, 50, 51};
	prefetch(pool, list);
	struct mpool_stats st = pool.stats();
	CHECK(st.reads == 7);
	CHECK(st.ahead == 7);
	CHECK(st.ahead_used == 0);
	CHECK(st.pinned == 0);
	for (pgno_t page : list)
		CHECK(pool.shows(page, 0));
	st = pool.stats();
	CHECK(st.reads == 7);
	CHECK(st.misses == 0);
	CHECK(st.ahead_used == 7);
	// All are in memory: it is told at once.
	prefetch(pool, list);
	CHECK(pool.stats().reads == 7);
}

TEST_CASE("threads whose prefetch is the pool's first at the same time all begin theirs")
{
	const int engine = EVERY_ENGINE;
	File file(page_size, 100);
	for (unsigned n = 0; n < 200; n++) {
		Pool pool(file.fd(), page_size, 60);
		use_engine(pool, engine);
		Report wrong;
		run_threads(4, [&](unsigned self) {
			pgno_t page = self;
			wrong.check(mpool_prefetch(pool, &page, 1, -1) == 1, "prefetch");
		});
		wrong.require_none();
	}
}

TEST_CASE("without an eventfd a prefetch is a prefetch all the same, and close waits for it")
{
	const int engine = EVERY_ENGINE;
	File file(page_size, 100);
	for (unsigned n = 0; n < 20; n++) {
		Pool pool(file.fd(), page_size, 60);
		use_engine(pool, engine);
		std::vector<pgno_t> list = {70, 3, 4, 5, 99};
		REQUIRE(mpool_prefetch(pool, list.data(), list.size(), -1) == 5);
		CHECK(pool.shows(4, 0));
	}
	Event event;
	{
		Pool pool(file.fd(), page_size, 60);
		use_engine(pool, engine);
		pgno_t page = 7;
		REQUIRE(mpool_prefetch(pool, &page, 1, event) == 1);
	}
	CHECK(event.count() == 1);
}

TEST_CASE("a prefetch takes no room of what is pinned, modified or waits to be used, and does not grow the pool")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 8);
	Event event;
	pgno_t list[] = {50, 51, 52, 53, 54, 55, 56, 57, 58, 59};
	SECTION("pinned")
	{
		std::vector<void *> pins = getv(pool, {0, 1, 2, 3, 4, 5, 6, 7});
		CHECK(mpool_prefetch(pool, list, 10, event) == 0);
		put_all(pool, pins);
	}
	SECTION("modified")
	{
		for (pgno_t i = 0; i < 8; i++)
			pool.modify(i, 1);
		uint64_t writes = pool.stats().writes;
		CHECK(mpool_prefetch(pool, list, 10, event) == 0);
		CHECK(pool.stats().writes == writes);
	}
	SECTION("waiting to be used")
	{
		REQUIRE(mpool_prefetch(pool, list, 10, event) == 8);
		CHECK(event.await() == 1);
		pgno_t others[] = {20, 21};
		CHECK(mpool_prefetch(pool, others, 2, event) == 0);
		for (unsigned i = 0; i < 8; i++)
			CHECK(cached(pool, list[i]));
	}
	CHECK(event.count() == 0);
	CHECK(pool.stats().overflow == 0);
	REQUIRE_FAILS(static_cast<int>(mpool_prefetch(pool, std::vector<pgno_t>{100, 1}.data(), 2, event)), EINVAL);
	// A part of the list: up to what is not there.
	pool.sync();
	pgno_t ends[] = {1, 2, 100, 3};
	CHECK(mpool_prefetch(pool, ends, 4, -1) <= 2);
	CHECK(mpool_prefetch(pool, ends, 0, event) == 0);
}

TEST_CASE("pages that were prefetched and not used are the first to go")
{
	File file(page_size, 200);
	Pool pool(file.fd(), page_size, 64);
	pool.touch(0, 56);
	pool.touch(0, 56);
	std::vector<pgno_t> list = {100, 101, 102, 103, 104, 105, 106, 107};
	prefetch(pool, list);
	pool.put(pool.get(103)); // but this one
	pool.touch(150, 157);
	for (pgno_t page : list)
		CHECK(cached(pool, page) == (page == 103));
	for (pgno_t page = 0; page < 56; page++)
		CHECK(cached(pool, page));
	CHECK(pool.stats().ahead_wasted == 7);
	CHECK(pool.stats().ahead_used == 1);
}

TEST_CASE("filters run on each page once, whoever completes its read")
{
	const int engine = EVERY_ENGINE;
	struct Seen {
		std::atomic<unsigned> in{0};
	} seen;
	auto pgin = [](void *cookie, pgno_t, void *page) {
		static_cast<Seen *>(cookie)->in++;
		for (size_t i = 0; i < page_size; i++)
			static_cast<unsigned char *>(page)[i] ^= 0xff;
	};
	File file(page_size, 50);
	Pool pool(file.fd(), page_size, 50);
	use_engine(pool, engine);
	mpool_filter(pool, pgin, pgin, &seen);
	std::vector<void *> addr = getv(pool, {1, 2, 30});
	prefetch(pool, {10, 11, 40});
	CHECK(seen.in == 6);
	for (pgno_t page : {1u, 2u, 30u, 10u, 11u, 40u}) {
		char *bytes = static_cast<char *>(pool.get(page));
		std::vector<char> copy(bytes, bytes + page_size);
		for (char &c : copy)
			c = static_cast<char>(~c);
		CHECK(is(copy.data(), page_size, page, 0));
		pool.put(bytes);
	}
	put_all(pool, addr);
	mpool_filter(pool, nullptr, nullptr, nullptr);
}

TEST_CASE("pages that were never written are zeros, to getv and to prefetch")
{
	const int engine = EVERY_ENGINE;
	File file(page_size, 3);
	Pool pool(file.fd(), page_size, 3);
	use_engine(pool, engine);
	for (pgno_t i = 3; i < 8; i++) {
		pgno_t made;
		pool.put(pool.make(made), 0);
	}
	pool.crowd_out(0);
	prefetch(pool, {7, 6});
	CHECK(pool.shows_bytes(6, 0));
	std::vector<void *> addr = getv(pool, {2, 4, 5});
	CHECK(is(addr[0], page_size, 2, 0));
	CHECK(all_bytes(addr[1], page_size, 0));
	CHECK(all_bytes(addr[2], page_size, 0));
	put_all(pool, addr);
}

TEST_CASE("a page that is there before its prefetch is over counts as not used")
{
	struct Gate {
		std::promise<void> entered, open;
	} gate;
	auto pgin = [](void *cookie, pgno_t page, void *) {
		if (page == 1) {
			static_cast<Gate *>(cookie)->entered.set_value();
			static_cast<Gate *>(cookie)->open.get_future().wait();
		}
	};
	File file(page_size, 1);
	Pool pool(file.fd(), page_size, 10);
	mpool_filter(pool, pgin, nullptr, &gate);
	pgno_t made;
	REQUIRE(mpool_delete(pool, pool.make(made)) == 0);
	REQUIRE(made == 1); // it was never written: the call itself fills it, with the read of page 0 begun
	std::thread caller([&] { prefetch(pool, {0, 1}); });
	gate.entered.get_future().wait();
	while (pool.stats().reads == 0)
		std::this_thread::yield();
	CHECK(pool.stats().ahead_used == 0);
	gate.open.set_value();
	caller.join();
	CHECK(pool.stats().ahead == 2);
	CHECK(pool.stats().ahead_used == 0);
	mpool_filter(pool, nullptr, nullptr, nullptr);
}

TEST_CASE("a scan in file order reads more and more at once, up to what was tuned; random gets do not")
{
	File file(page_size, 1000);
	Pool pool(file.fd(), page_size, 200);
	fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
	uint64_t limit = GENERATE(0u, 1u, 8u, 64u);
	REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, limit) == 0);
	uint64_t value = 99;
	REQUIRE(mpool_tuned(pool, MPOOL_READAHEAD, &value) == 0);
	CHECK(value == limit);
	const unsigned flags = GENERATE(0u, static_cast<unsigned>(MPOOL_ONCE));
	for (pgno_t i = 100; i < 900; i++) {
		void *page = pool.get(i, flags);
		REQUIRE(is(page, page_size, i, 0));
		pool.put(page);
	}
	struct mpool_stats st = pool.stats();
	CHECK(st.reads <= 800 + limit);
	if (limit <= 1) {
		CHECK(script.reads() == 800);
	} else {
		CHECK(script.reads() <= 800 / limit + 10);
		CHECK(st.misses == script.reads());
		CHECK(st.ahead_used + st.misses >= 800);
		CHECK(st.ahead_wasted <= limit);
	}
	uint64_t before = script.reads(), pages = st.reads;
	for (pgno_t i = 0; i < 100; i++)
		pool.put(pool.get((i * 389) % 100 * 7 % 100, 0));
	CHECK(pool.stats().reads - pages == script.reads() - before);
}

TEST_CASE("of a file open for O_DIRECT the next window is on its way while the thread works, and nobody waits for it")
{
	constexpr pgno_t size = 4096, pages = 400;
	const bool filtered = GENERATE(false, true);
	CAPTURE(filtered);
	File file(size, pages);
	if (fcntl(file.fd(), F_SETFL, O_DIRECT) != 0)
		return; // this file system has none of it
	Pool pool(file.fd(), size, 2 * pages);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 16) == 0);
	if (filtered)
		mpool_filter(pool, [](void *, pgno_t, void *) {}, nullptr, nullptr);
	// Page 0; 1 to 4; 5 to 12, by who gets them; then 13 to 28, which are held up.
	Gate held;
	std::atomic<pgno_t> last{0};
	fault::Script script(file.fd(), [&](const Call &call) {
		auto first = static_cast<pgno_t>(call.offset / static_cast<off_t>(size));
		last = std::max<pgno_t>(last, first + static_cast<pgno_t>(call.bytes / size) - 1);
		if (first >= 13 && !filtered)
			held.pass();
		return fault::real();
	});
	for (pgno_t i = 0; i < 13; i++)
		REQUIRE(pool.shows(i, 0));
	if (filtered) {                     // its pages would wait for one thread that runs the filter
		REQUIRE(pool.close() == 0); // which waits for what is on its way
		CHECK(last == 12);
		return;
	}
	held.await(1);
	CHECK(last == 28);
	Threads threads;
	// Who comes to a page that is not there yet has the one after that begun.
	pgno_t seen = 0;
	threads.start([&] {
		while (last < 44)
			sched_yield();
		seen = last;
		held.open();
	});
	REQUIRE(pool.shows(13, 0));
	for (pgno_t i = 14; i < pages; i++)
		REQUIRE(pool.shows(i, 0));
	threads.join();
	CHECK(seen == 44);
	CHECK(pool.stats().ahead_wasted == 0);
	CHECK(pool.stats().reads == pages);
	CHECK(pool.stats().cached == pages);
}

TEST_CASE("an error in a page that was read ahead is not the error of the one that was asked for")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 50);
	REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 32) == 0);
	fault::Script script(file.fd(), [](const Call &call) {
		// As the kernel does: what comes before the fault is read.
		off_t bad = 12 * page_size;
		if (!call.covers(12, page_size))
			return fault::real();
		return call.offset < bad ? fault::at_most(static_cast<size_t>(bad - call.offset)) : fault::error(EIO);
	});
	for (pgno_t i = 0; i < 12; i++)
		REQUIRE(pool.shows(i, 0));
	REQUIRE_NULL(mpool_get(pool, 12, 0), EIO);
	for (pgno_t i = 13; i < 100; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("more reads than may be in flight are made all the same, of getv and of prefetch")
{
	const int engine = EVERY_ENGINE;
	constexpr pgno_t pages = 300;
	File file(page_size, 2 * pages);
	Pool pool(file.fd(), page_size, 2 * pages);
	use_engine(pool, engine);
	REQUIRE(mpool_tune(pool, MPOOL_IO_DEPTH, 2) == 0);
	std::vector<pgno_t> even, some_odd;
	for (pgno_t i = 0; i < pages; i++) {
		even.push_back(2 * i);
		if (i % 3 == 0)
			some_odd.push_back(2 * i + 1);
	}
	prefetch(pool, even);
	put_all(pool, getv(pool, some_odd));
	CHECK(pool.stats().reads == even.size() + some_odd.size());
	for (pgno_t page : even)
		CHECK(cached(pool, page));
}

TEST_CASE("fewer requests in flight: the threads that are too many end, and those that stay do the rest")
{
	constexpr unsigned many = 20;
	File file(page_size, 4 * many);
	Pool pool(file.fd(), page_size, 4 * many);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	auto threads_now = [] {
		unsigned n = 0;
		DIR *dir = opendir("/proc/self/task");
		REQUIRE(dir != nullptr);
		while (const dirent *e = readdir(dir))
			n += e->d_name[0] != '.';
		closedir(dir);
		return n;
	};
	prefetch(pool, {3 * many}); // the thread that completes them comes, and one that reads
	const unsigned before = threads_now() - 1;
	std::vector<pgno_t> list;
	for (pgno_t i = 0; i < 2 * many; i += 2)
		list.push_back(i);
	{
		Gate all;
		std::atomic<unsigned> there{0};
		fault::Script script(file.fd(), [&](const Call &) {
			if (++there == many)
				all.open();
			all.pass();
			return fault::real();
		});
		put_all(pool, getv(pool, list));
	}
	CHECK(threads_now() >= before + many - 1); // the caller reads, too
	for (unsigned depth : {7u, 1u, 3u}) {
		CAPTURE(depth);
		REQUIRE(mpool_tune(pool, MPOOL_IO_DEPTH, depth) == 0);
		// One that was joined may be there a little longer.
		while (threads_now() > before + depth)
			sched_yield();
		prefetch(pool, {2 * many + 2 * depth, 2 * many + 2 * depth + 1, 3 * many + 2 * depth});
		CHECK(threads_now() <= before + depth);
		put_all(pool, getv(pool, list));
	}
}

TEST_CASE("settings are checked, and told")
{
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 10);
	uint64_t value;
	REQUIRE_FAILS(mpool_tune(pool, 0, 1), EINVAL);
	REQUIRE_FAILS(mpool_tune(pool, 99, 1), EINVAL);
	REQUIRE_FAILS(mpool_tuned(pool, 99, &value), EINVAL);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_IO_ENGINE, 4), EINVAL);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_IO_DEPTH, 0), EINVAL);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_IO_DEPTH, 1025), EINVAL);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_READAHEAD, UINT64_MAX), EINVAL);
	CHECK(mpool_tuned(pool, MPOOL_IO_DEPTH, &value) == 0);
	CHECK(value == 64);
	REQUIRE(mpool_tune(pool, MPOOL_IO_DEPTH, 2) == 0);
	CHECK(mpool_tuned(pool, MPOOL_IO_DEPTH, &value) == 0);
	CHECK(value == 2);
	put_all(pool, getv(pool, {0, 2, 4, 6, 8}));
	CHECK(mpool_tuned(pool, MPOOL_IO_ENGINE, &value) == 0);
	CHECK(value == MPOOL_IO_AUTO);
}

TEST_CASE("a child of fork goes on with a pool of which its parent reads ahead")
{
	if (sanitized)
		SKIP_CASE("a lock of the sanitizer's may be held at the fork, or the child may have no threads");
	const int engine = EVERY_ENGINE;
	File file(page_size, 400);
	Pool pool(file.fd(), page_size, 100);
	use_engine(pool, engine);
	for (pgno_t round = 0; round < 10; round++) {
		std::vector<pgno_t> list;
		for (pgno_t i = 0; i < 30; i++)
			list.push_back((round * 31 + i * 13) % 400);
		REQUIRE(mpool_prefetch(pool, list.data(), list.size(), -1) >= 0);
		CHECK(in_child([&] {
			for (pgno_t i = 0; i < 400; i += 7) {
				void *page = mpool_get(pool, i, 0);
				if (!page || !is(page, page_size, i, 0) || mpool_put(pool, page, 0) != 0)
					return 1;
			}
			pgno_t two[] = {5, 200};
			void *addr[2];
			if (mpool_getv(pool, two, addr, 2, 0) != 0 || !is(addr[1], page_size, 200, 0))
				return 2;
			Event own;
			if (mpool_prefetch(pool, two, 2, own) != 2 || own.await() != 1)
				return 3;
			return mpool_close(pool) == 0 ? 0 : 4;
		}) == 0);
		for (pgno_t page : list)
			CHECK(pool.shows(page, 0));
	}
}
