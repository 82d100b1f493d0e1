// test_store.cpp - mpool_open_store, mpool_attach_store: pages that are in a store of the program's; many requests to it in
// flight; stores that fail, answer late, in part, or not at all for a while.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>
#include <memory>

#include "event.hpp"
#include "fault_mem.hpp"
#include "store.hpp"

using namespace test;

namespace {

constexpr size_t size = 512;

std::vector<void *> getv(const Pool &pool, const std::vector<pgno_t> &pages)
{
	std::vector<void *> addr(pages.size());
	errno = 0;
	int result = mpool_getv(pool, pages.data(), addr.data(), pages.size(), 0);
	INFO("mpool_getv: " << strerror(errno));
	REQUIRE(result == 0);
	return addr;
}

void put_all(const Pool &pool, const std::vector<void *> &addr, unsigned flags = 0)
{
	for (void *page : addr)
		pool.put(page, flags);
}

bool cached(const Pool &pool, pgno_t page)
{
	void *addr = mpool_get(pool, page, MPOOL_CACHED);
	if (addr)
		pool.put(addr);
	return addr;
}

void prefetch(const Pool &pool, const std::vector<pgno_t> &pages)
{
	Event event;
	REQUIRE(mpool_prefetch(pool, pages.data(), pages.size(), event) == static_cast<ssize_t>(pages.size()));
	CHECK(event.await() == 1);
}

// `n` pages, none of which is another's neighbour.
std::vector<pgno_t> scattered(pgno_t n, pgno_t from = 0)
{
	std::vector<pgno_t> pages;
	for (pgno_t i = 0; i < n; i++)
		pages.push_back(from + 2 * i);
	return pages;
}

const char *name_of(Store::Answers a)
{
	const char *names[] = {"blocking", "at once", "later", "shuffled", "together", "refused", "helped"};
	return names[a];
}

#define EVERY_ANSWER \
	GENERATE(Store::blocking, Store::at_once, Store::later, Store::shuffled, Store::refused, Store::helped)
#define EVERY_SUBMIT GENERATE(Store::at_once, Store::later, Store::shuffled, Store::helped)

} // namespace

TEST_CASE("a pool on a store has its pages, and brings modified ones there")
{
	const Store::Answers answers = EVERY_ANSWER;
	INFO(name_of(answers));
	Store store(size, 40, answers);
	{
		StorePool pool(store, size, 8);
		CHECK(pool.stats().pages == 40);
		for (pgno_t i = 0; i < 40; i++)
			CHECK(pool.shows(i, 0));
		for (pgno_t i = 0; i < 40; i += 3)
			pool.modify(i, 1);
		pgno_t made;
		void *page = pool.make(made);
		CHECK(made == 40);
		CHECK(all_bytes(page, size, 0));
		fill(page, size, made, 5);
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		for (pgno_t i = 0; i < 40; i++)
			CHECK(store.keeps(i, i % 3 == 0));
		CHECK(store.keeps(40, 5));
		CHECK(store.closed == 0);
		CHECK(pool.stats().device == 0);
		CHECK(pool.stats().inode == 0);
	}
	CHECK(store.closed == 1);
}

TEST_CASE("getv, prefetch, read-ahead, clean, cleaners and sync come by what a store has, whoever answers, and when")
{
	const Store::Answers answers = EVERY_ANSWER;
	const uint64_t engine = GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_WORKERS);
	INFO(name_of(answers) << ", engine " << engine);
	constexpr pgno_t pages = 600;
	Store store(size, pages, answers);
	StorePool pool(store, size, 200);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, engine) == 0);
	std::vector<pgno_t> list = scattered(100);
	std::vector<void *> addr = getv(pool, list);
	for (size_t i = 0; i < list.size(); i++)
		CHECK(is(addr[i], size, list[i], 0));
	for (size_t i = 0; i < list.size(); i++)
		fill(addr[i], size, list[i], 1);
	put_all(pool, addr, MPOOL_DIRTY);
	prefetch(pool, scattered(70, 301));
	for (pgno_t i : scattered(70, 301))
		CHECK(cached(pool, i));
	pool.sync();
	for (pgno_t i : list)
		CHECK(store.keeps(i, 1));
	REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 32) == 0);
	for (pgno_t i = 450; i < pages; i++)
		CHECK(pool.shows(i, 0));
	for (pgno_t i : scattered(60, 450))
		pool.modify(i, 2);
	REQUIRE(mpool_clean(pool, 200) >= 0);
	for (pgno_t i : scattered(60, 450))
		CHECK(store.holds(i, 2));
	REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 1) == 0);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 3);
	pool.sync();
	for (pgno_t i = 0; i < pages; i++)
		CHECK(store.keeps(i, 3));
	bool submits = answers != Store::blocking && answers != Store::refused && engine == MPOOL_IO_AUTO;
	CHECK((store.submitted > 0) == submits);
	REQUIRE(pool.close() == 0);
	CHECK(store.closed == 1);
	CHECK(store.outstanding == 0);
}

TEST_CASE("a store that answers only when 32 requests are outstanding gets them from getv, prefetch, sync and clean")
{
	constexpr unsigned wanted = 32;
	constexpr pgno_t pages = 8 * wanted;
	Store store(size, pages, Store::together, wanted);
	StorePool pool(store, size, 2 * pages);
	put_all(pool, getv(pool, scattered(wanted)));
	prefetch(pool, scattered(wanted, 2 * wanted));
	CHECK(store.submitted == 2 * wanted);
	for (pgno_t i : scattered(2 * wanted)) {
		void *page = pool.get(i);
		fill(page, size, i, 1);
		pool.put(page, MPOOL_DIRTY);
	}
	pool.sync();
	CHECK(store.submitted == 4 * wanted);
	for (pgno_t i : scattered(2 * wanted))
		CHECK(store.keeps(i, 1));
	for (pgno_t i : scattered(wanted))
		pool.modify(i, 2);
	// Eight at first, and more as none is answered.
	REQUIRE(mpool_clean(pool, pages) >= wanted);
	for (pgno_t i : scattered(wanted))
		CHECK(store.holds(i, 2));
	CHECK(store.most >= wanted);
}

TEST_CASE("who waits for requests that he has submitted helps the store, if that wants it")
{
	Store store(size, 200, Store::helped);
	StorePool pool(store, size, 100);
	// Nobody else answers.
	put_all(pool, getv(pool, scattered(40)), MPOOL_DIRTY);
	CHECK(store.submitted == 40);
	CHECK(store.helps == 40);
	pool.sync();
	CHECK(store.helps == 80);
	put_all(pool, getv(pool, scattered(40)), MPOOL_DIRTY);
	REQUIRE(mpool_clean(pool, 100) == 40);
	CHECK(store.helps >= 120);
	CHECK(store.outstanding == 0);
}

TEST_CASE("who prefetches submits, and the pool's thread helps the store")
{
	Store store(size, 200, Store::helped);
	StorePool pool(store, size, 100);
	store.hold_up();
	const std::vector<pgno_t> pages = scattered(20);
	Event event;
	REQUIRE(mpool_prefetch(pool, pages.data(), pages.size(), event) == 20);
	CHECK(store.submitted == 20);
	CHECK(store.waited == 20);
	CHECK(store.reads == 0);
	store.go_on();
	CHECK(event.await() == 1);
	CHECK(store.helps >= 20);
	REQUIRE(mpool_tune(pool, MPOOL_IO_DEPTH, 3) == 0);
	prefetch(pool, scattered(40, 41));
	CHECK(store.waited == 60);
	for (pgno_t i : scattered(40, 41))
		CHECK(pool.shows(i, 0));
}

TEST_CASE("while the pool's thread helps a store, it sees to what it has to for others")
{
	File file(size, 100);
	Store store(size, 100, Store::helped), second(size, 100, Store::helped), third(size, 100);
	Pool pool(file.fd(), size, 300);
	struct mpool_store calls = store.calls(), of_second = second.calls(), of_third = third.calls();
	MPOOL *of = mpool_attach_store(pool, &calls, sizeof calls, &store);
	MPOOL *other = mpool_attach_store(pool, &of_second, sizeof of_second, &second);
	MPOOL *blocking = mpool_attach_store(pool, &of_third, sizeof of_third, &third);
	REQUIRE((of && other && blocking));
	const std::vector<pgno_t> pages = scattered(10);
	auto read_ahead = [&](MPOOL *mp, Event &event) {
		REQUIRE(mpool_prefetch(mp, pages.data(), pages.size(), event) == 10);
	};
	Event helped, asked;
	store.hold_up();
	SECTION("of a file, of another store, and of one that has no submit")
	{
		read_ahead(of, helped);
		while (store.helps == 0)
			std::this_thread::yield();
		for (MPOOL *mp : {static_cast<MPOOL *>(pool), other, blocking}) {
			read_ahead(mp, asked);
			CHECK(asked.await() == 1);
		}
		CHECK(second.waited == 0);
	}
	SECTION("when it has had a file's before, it helps nobody")
	{
		read_ahead(pool, asked);
		CHECK(asked.await() == 1);
		if (pool.stats().engine == MPOOL_IO_RING) {
			read_ahead(of, helped);
			CHECK(helped.await() == 1);
			CHECK(store.waited == 0);
		} else {
			store.go_on();
			read_ahead(of, helped);
			CHECK(helped.await() == 1);
		}
		read_ahead(of, asked); // they are there
		CHECK(asked.await() == 1);
		return;
	}
	SECTION("pages that others load, which time alone tells of")
	{
		std::atomic<bool> begun{false}, goes_on{false};
		third.fate = [&](const Store::Request &r) {
			begun = true;
			while (!goes_on)
				std::this_thread::yield();
			return static_cast<ssize_t>(r.bytes);
		};
		std::thread getter([&] {
			void *page = mpool_get(blocking, 0, 0);
			if (!page || mpool_put(blocking, page, 0) != 0)
				abort();
		});
		while (!begun)
			std::this_thread::yield();
		read_ahead(of, helped);
		pgno_t same = 0;
		REQUIRE(mpool_prefetch(blocking, &same, 1, asked) == 1);
		goes_on = true;
		CHECK(asked.await() == 1);
		getter.join();
	}
	CHECK(store.reads == 0);
	store.go_on();
	CHECK(helped.await() == 1);
	CHECK(store.reads == 10);
}

TEST_CASE("where runs of a file and of a store, or of two stores, are waited for at once, no store is helped")
{
	File file(size, 100);
	Store store(size, 100, Store::at_once), second(size, 100, Store::at_once);
	Pool pool(file.fd(), size, 300);
	struct mpool_store calls = store.calls(), of_second = second.calls();
	calls.wait = of_second.wait = [](void *, const void *, int, int) { return -1; };
	MPOOL *of = mpool_attach_store(pool, &calls, sizeof calls, &store);
	MPOOL *other = mpool_attach_store(pool, &of_second, sizeof of_second, &second);
	REQUIRE((of && other));
	bool with_file = GENERATE(true, false);
	for (pgno_t i : scattered(20))
		for (MPOOL *mp : {with_file ? static_cast<MPOOL *>(pool) : other, of}) {
			void *page = mpool_get(mp, i, 0);
			REQUIRE(page);
			fill(page, size, i, 1);
			REQUIRE(mpool_put(mp, page, MPOOL_DIRTY) == 0);
		}
	REQUIRE(mpool_clean(pool, 100) >= 40);
	CHECK(store.submitted == 20);
	CHECK(store.waited + second.waited == 0);
	for (pgno_t i : scattered(20)) {
		CHECK(store.holds(i, 1));
		CHECK((with_file || second.holds(i, 1)));
	}
	REQUIRE(mpool_close(other) == 0);
	REQUIRE(mpool_close(of) == 0);
}

TEST_CASE("no more requests are in flight than MPOOL_IO_DEPTH says")
{
	const Store::Answers answers = EVERY_SUBMIT;
	INFO(name_of(answers));
	constexpr pgno_t pages = 400;
	Store store(size, pages, answers);
	StorePool pool(store, size, 2 * pages);
	REQUIRE(mpool_tune(pool, MPOOL_IO_DEPTH, 5) == 0);
	put_all(pool, getv(pool, scattered(90)), MPOOL_DIRTY);
	prefetch(pool, scattered(90, 200));
	pool.sync();
	put_all(pool, getv(pool, scattered(90)), MPOOL_DIRTY);
	REQUIRE(mpool_clean(pool, pages) >= 0);
	CHECK(store.most <= 5);
	CHECK(store.submitted == 4 * 90);
}

TEST_CASE("MPOOL_IO_RING of a store is its submit")
{
	uint64_t value;
	{
		Store store(size, 10);
		StorePool pool(store, size, 4);
		REQUIRE_FAILS(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_RING), EINVAL);
		REQUIRE(mpool_tuned(pool, MPOOL_IO_ENGINE, &value) == 0);
		CHECK(value == MPOOL_IO_AUTO);
		CHECK(pool.stats().engine == MPOOL_IO_WORKERS);
	}
	Store store(size, 10, Store::at_once);
	StorePool pool(store, size, 4);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_AUTO) == 0);
	CHECK(pool.stats().engine == MPOOL_IO_RING);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_RING) == 0);
	CHECK(pool.stats().engine == MPOOL_IO_RING);
	put_all(pool, getv(pool, {1, 3}));
	CHECK(store.submitted == 2);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	CHECK(pool.stats().engine == MPOOL_IO_WORKERS);
	put_all(pool, getv(pool, {5, 7}));
	CHECK(store.submitted == 2);
	CHECK(store.reads == 4);
}

TEST_CASE("a get that misses one page reads it by readv, and a submit that fails is made so")
{
	Store store(size, 10, Store::later);
	StorePool pool(store, size, 4);
	CHECK(pool.shows(3, 0));
	CHECK(store.submitted == 0);
	CHECK(store.reads == 1);
	Store refusing(size, 10, Store::refused);
	StorePool other(refusing, size, 4);
	put_all(other, getv(other, {1, 3, 5}));
	CHECK(refusing.reads == 3);
}

TEST_CASE("what a store fails with is the call's errno, and works again when the store does")
{
	const Store::Answers answers = GENERATE(Store::blocking, Store::at_once, Store::later);
	const int error = GENERATE(EIO, ETIMEDOUT, ENXIO);
	INFO(name_of(answers) << ", " << strerror(error));
	Store store(size, 60, answers);
	StorePool pool(store, size, 20);
	std::atomic<bool> fails{true};
	store.fate = [&](const Store::Request &r) {
		return fails ? -static_cast<ssize_t>(error) : static_cast<ssize_t>(r.bytes);
	};
	REQUIRE_NULL(mpool_get(pool, 3, 0), error);
	const std::vector<pgno_t> pages = {1, 2, 3, 9, 17};
	std::vector<void *> addr(pages.size());
	REQUIRE_FAILS(mpool_getv(pool, pages.data(), addr.data(), pages.size(), 0), error);
	prefetch(pool, {30, 32, 33});
	REQUIRE_NULL(mpool_get(pool, 32, MPOOL_CACHED), error);
	CHECK(pool.stats().cached == 0);
	CHECK(pool.stats().pinned == 0);
	fails = false;
	put_all(pool, getv(pool, pages));
	prefetch(pool, {30, 32, 33});
	CHECK(pool.shows(32, 0));
	for (pgno_t i : pages)
		pool.modify(i, 1);
	fails = true;
	REQUIRE_FAILS(mpool_sync(pool), error);
	CHECK(mpool_clean(pool, 20) <= 20);
	CHECK(pool.stats().dirty == pages.size());
	CHECK(pool.stats().write_errno == static_cast<uint64_t>(error));
	// What has to be written to make room fails with that.
	std::vector<void *> pinned;
	for (pgno_t i = 40; i < 55; i++)
		CHECK(mpool_get(pool, i, 0) == nullptr);
	fails = false;
	pool.sync();
	for (pgno_t i : pages)
		CHECK(store.keeps(i, 1));
	pool.crowd_out(20);
	for (pgno_t i : pages)
		CHECK(pool.shows(i, 1));
}

TEST_CASE("a store that cannot be reached is asked once for neighbours, and another error is each page's own")
{
	Store store(size, 60, Store::at_once);
	StorePool pool(store, size, 30);
	int error = ENOTCONN;
	store.fate = [&](const Store::Request &r) {
		bool fails = error == ENOTCONN || (r.offset <= 12 * size && r.offset + r.bytes > 12 * size);
		return fails ? -static_cast<ssize_t>(error) : static_cast<ssize_t>(r.bytes);
	};
	const std::vector<pgno_t> pages = {10, 11, 12, 13, 14, 30};
	std::vector<void *> addr(pages.size());
	REQUIRE_FAILS(mpool_getv(pool, pages.data(), addr.data(), pages.size(), 0), ENOTCONN);
	CHECK(store.reads == 2);
	error = EIO;
	REQUIRE_FAILS(mpool_getv(pool, pages.data(), addr.data(), pages.size(), 0), EIO);
	CHECK(cached(pool, 14));
	CHECK(!cached(pool, 12));
	CHECK(pool.shows(11, 0));
}

TEST_CASE("answers that make no sense are EIO")
{
	const Store::Answers answers = GENERATE(Store::blocking, Store::at_once);
	// No errno; more than was asked for; nothing at all.
	const ssize_t answer = GENERATE(as<ssize_t>{}, -5000, 1 << 30, 0);
	INFO(name_of(answers) << ", " << answer);
	Store store(size, 60, answers);
	StorePool pool(store, size, 20);
	std::atomic<bool> fails{true};
	store.fate = [&](const Store::Request &r) { return fails ? answer : static_cast<ssize_t>(r.bytes); };
	store.all_said = true;
	REQUIRE_NULL(mpool_get(pool, 3, 0), EIO);
	const std::vector<pgno_t> pages = {1, 5, 9};
	std::vector<void *> addr(pages.size());
	REQUIRE_FAILS(mpool_getv(pool, pages.data(), addr.data(), pages.size(), 0), EIO);
	fails = false;
	for (pgno_t i : pages)
		pool.modify(i, 1);
	fails = true;
	REQUIRE_FAILS(mpool_sync(pool), EIO);
	CHECK(pool.stats().dirty == pages.size());
	fails = false;
	pool.sync();
	CHECK(store.keeps(5, 1));
}

TEST_CASE("short and interrupted answers of every length are continued where they stopped")
{
	const Store::Answers answers = GENERATE(Store::blocking, Store::at_once, Store::later);
	INFO(name_of(answers));
	constexpr size_t small = 96;
	for (size_t length = 1; length <= 3 * small; length += 5) {
		CAPTURE(length);
		Store store(small, 40, answers);
		std::atomic<unsigned> calls{0};
		store.fate = [&](const Store::Request &r) {
			return ++calls % 3 == 0 ? -EINTR : static_cast<ssize_t>(std::min(r.bytes, length));
		};
		StorePool pool(store, small, 20);
		CHECK(pool.shows(7, 0));
		std::vector<void *> addr = getv(pool, {1, 2, 3, 10, 20, 21});
		CHECK(is(addr[2], small, 3, 0));
		CHECK(is(addr[5], small, 21, 0));
		put_all(pool, addr);
		prefetch(pool, {30, 31, 32, 35});
		CHECK(pool.shows(31, 0));
		for (pgno_t i : {1, 2, 3, 10, 30, 31, 32})
			pool.modify(i, length);
		pool.sync();
		for (pgno_t i : {1, 2, 3, 10, 30, 31, 32})
			CHECK(store.keeps(i, length));
	}
}

TEST_CASE("a store that comes and goes loses nothing that is modified")
{
	const Store::Answers answers = EVERY_SUBMIT;
	INFO(name_of(answers));
	constexpr pgno_t pages = 120;
	Store store(size, pages, answers);
	StorePool pool(store, size, 30);
	std::atomic<unsigned> calls{0};
	// Away for ten calls of thirty, and every seventh answer is short.
	store.fate = [&](const Store::Request &r) {
		unsigned n = calls++;
		return n % 30 >= 20 ? -ENOTCONN : static_cast<ssize_t>(n % 7 == 0 ? (r.bytes + 1) / 2 : r.bytes);
	};
	std::vector<uint64_t> version(pages, 0);
	Random random(7);
	unsigned failed = 0;
	for (unsigned n = 1; n < 3000; n++) {
		pgno_t i = static_cast<pgno_t>(random.below(pages));
		void *page = mpool_get(pool, i, 0);
		if (!page) {
			REQUIRE(errno == ENOTCONN);
			failed++;
			continue;
		}
		REQUIRE(is(page, size, i, version[i]));
		if (n % 2) {
			version[i] = n;
			fill(page, size, i, n);
		}
		pool.put(page, n % 2 ? MPOOL_DIRTY : 0);
		if (n % 100 == 0 && mpool_sync(pool) != 0)
			REQUIRE(errno == ENOTCONN);
		if (n % 150 == 0)
			(void)mpool_clean(pool, 20);
	}
	CHECK(failed > 0);
	store.fate = nullptr;
	pool.sync();
	for (pgno_t i = 0; i < pages; i++)
		CHECK(store.keeps(i, version[i]));
}

TEST_CASE("a flush that fails makes what was written modified again")
{
	const int error = GENERATE(EIO, ETIMEDOUT, EAGAIN);
	CAPTURE(error);
	Store store(size, 60, Store::at_once);
	StorePool pool(store, size, 20);
	bool fails = true;
	store.fate = [&](const Store::Request &r) {
		return fails && r.op == MPOOL_IO_FLUSH ? -static_cast<ssize_t>(error) : static_cast<ssize_t>(r.bytes);
	};
	pool.modify(3, 1);
	pool.modify(5, 1);
	REQUIRE_FAILS(mpool_sync(pool), error == EAGAIN ? EIO : error);
	CHECK(pool.stats().dirty == 2);
	CHECK(store.flushes == 1);
	store.cut();
	CHECK(!store.holds(3, 1));
	fails = false;
	pool.sync();
	CHECK(store.keeps(3, 1));
	CHECK(store.keeps(5, 1));
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE(
	"after a flush that says what was written may be lost, what has left memory is; a store out of reach has lost nothing")
{
	const int error = GENERATE(EIO, ENOSPC, EAGAIN, ETIMEDOUT, ENOTCONN, ECONNRESET, ECONNABORTED, ECONNREFUSED,
		EPIPE, ESHUTDOWN, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENETRESET);
	const bool lost = error == EIO || error == ENOSPC || error == EAGAIN;
	INFO(strerror(error));
	Store store(size, 60);
	StorePool pool(store, size, 8);
	bool fails = true;
	store.fate = [&](const Store::Request &r) {
		return fails && r.op == MPOOL_IO_FLUSH ? -static_cast<ssize_t>(error) : static_cast<ssize_t>(r.bytes);
	};
	pool.modify(3, 1);
	REQUIRE(mpool_sync_range(pool, 3, 1, MPOOL_WRITE) == 0);
	pool.crowd_out(20);
	CHECK(!cached(pool, 3));
	REQUIRE(mpool_sync(pool) == -1);
	fails = false;
	for (unsigned i = 0; i < 3; i++) {
		if (lost)
			REQUIRE_FAILS(mpool_sync(pool), EIO);
		else
			pool.sync();
	}
	CHECK((lost || store.keeps(3, 1)));
}

TEST_CASE("a store is attached beside a file, and beside a store, in one memory")
{
	const Store::Answers answers = EVERY_ANSWER;
	INFO(name_of(answers));
	File file(size, 300);
	Store store(size, 300, answers), second(size, 50, Store::later);
	{
		Pool pool(file.fd(), size, 64);
		struct mpool_store calls = store.calls(), of_second = second.calls();
		MPOOL *of = mpool_attach_store(pool, &calls, sizeof calls, &store);
		REQUIRE(of != nullptr);
		MPOOL *other = mpool_attach_store(of, &of_second, sizeof of_second, &second);
		REQUIRE(other != nullptr);
		for (pgno_t i = 0; i < 300; i++) {
			pool.modify(i, 1);
			void *page = mpool_get(of, i, 0);
			REQUIRE(page != nullptr);
			CHECK(is(page, size, i, 0));
			fill(page, size, i, 2);
			REQUIRE(mpool_put(of, page, MPOOL_DIRTY) == 0);
			page = mpool_get(other, i % 50, 0);
			REQUIRE(page != nullptr);
			CHECK(is(page, size, i % 50, i < 50 ? 0 : 3));
			fill(page, size, i % 50, 3);
			REQUIRE(mpool_put(other, page, MPOOL_DIRTY) == 0);
			if (i % 50 == 0)
				REQUIRE(mpool_clean(pool, 40) >= 0);
		}
		struct mpool_stats st;
		REQUIRE(mpool_stats(of, &st, sizeof st) == 0);
		CHECK(st.pages == 300);
		for (MPOOL *mp : {of, static_cast<MPOOL *>(pool)}) {
			std::vector<pgno_t> list = scattered(20);
			std::vector<void *> addr(list.size());
			REQUIRE(mpool_getv(mp, list.data(), addr.data(), list.size(), 0) == 0);
			for (size_t i = 0; i < list.size(); i++) {
				CHECK(is(addr[i], size, list[i], mp == of ? 2 : 1));
				REQUIRE(mpool_put(mp, addr[i], 0) == 0);
			}
		}
		REQUIRE(mpool_sync(of) == 0);
		for (pgno_t i = 0; i < 300; i++)
			CHECK(store.keeps(i, 2));
		CHECK(second.flushes == 0);
		REQUIRE(mpool_sync(other) == 0);
		for (pgno_t i = 0; i < 50; i++)
			CHECK(second.keeps(i, 3));
		pool.sync();
		for (pgno_t i = 0; i < 300; i++)
			CHECK(file.holds(i, 1));
		void *page = mpool_get(of, 7, 0);
		REQUIRE(page != nullptr);
		REQUIRE_FAILS(mpool_close(of), EBUSY);
		CHECK(store.closed == 0);
		REQUIRE(mpool_put(of, page, 0) == 0);
		REQUIRE(mpool_close(of) == 0);
		CHECK(store.closed == 1);
		CHECK(second.closed == 0);
		CHECK(pool.shows(8, 1));
	}
	CHECK(second.closed == 1);
}

TEST_CASE("a store is truncated by its truncate, and mpool_invalidate asks how long it is")
{
	Store store(size, 30);
	StorePool pool(store, size, 20);
	pool.touch(20, 30);
	REQUIRE(mpool_truncate(pool, 12) == 0);
	CHECK(store.bytes() == 12 * size);
	CHECK(pool.stats().pages == 12);
	REQUIRE_NULL(mpool_get(pool, 12, 0), EINVAL);
	pgno_t made;
	pool.put(pool.make(made));
	CHECK(made == 12);
	store.size_error = ETIMEDOUT;
	pool.touch(3, 4);
	REQUIRE_FAILS(mpool_invalidate(pool, 0, 30), ETIMEDOUT);
	CHECK(cached(pool, 3));
	store.size_error = 0;
	REQUIRE(mpool_invalidate(pool, 0, 12) == 0);
	CHECK(!cached(pool, 3));
	store.truncate_error = ENOSPC;
	REQUIRE_FAILS(mpool_truncate(pool, 5), ENOSPC);
	CHECK(pool.shows(11, 0));
	struct mpool_store calls = store.calls();
	calls.truncate = nullptr;
	MPOOL *other = mpool_attach_store(pool, &calls, sizeof calls, &store);
	REQUIRE(other != nullptr);
	REQUIRE_FAILS(mpool_truncate(other, 5), ENOTSUP);
}

// Of the pages that are made after the cut the last is modified, and no other: those between are holes.
TEST_CASE("a cut that a failed flush has lost is made again, and what was made behind it is there")
{
	const int error = GENERATE(EIO, EAGAIN, ETIMEDOUT);
	const pgno_t pages = 10, to = 4, made = GENERATE(0u, 1u, 3u, 9u);
	const bool refused = GENERATE(false, true);
	const bool seen =
		GENERATE(false, true); // it is to be seen that the cut is lost; or the next power cut would show it
	CAPTURE(error, made, refused, seen);
	Store store(size, pages);
	StorePool pool(store, size, 32);
	bool fails = true;
	store.fate = [&](const Store::Request &r) {
		if (r.op != MPOOL_IO_FLUSH || !fails)
			return static_cast<ssize_t>(r.bytes);
		if (seen)
			store.cut();
		else
			store.forget();
		store.truncate_error = refused ? EPERM : 0;
		return -static_cast<ssize_t>(error);
	};
	REQUIRE(mpool_truncate(pool, to) == 0);
	pgno_t last = to;
	for (pgno_t i = 0; i < made; i++)
		pool.put(pool.make(last));
	if (made > 0)
		pool.modify(last, 7);
	pool.modify(1, 1);
	REQUIRE_FAILS(mpool_sync(pool), error == EAGAIN ? EIO : error);
	fails = false;
	// Who gives up has lost nothing that the store has still.
	CHECK((seen || made == 0 || store.holds(last, 7)));
	if (refused) {
		REQUIRE_FAILS(mpool_sync(pool), EPERM);
		REQUIRE_FAILS(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH), EPERM);
		if (made > 0)
			REQUIRE_FAILS(mpool_sync_range(pool, last, 1, MPOOL_WRITE), EPERM);
		CHECK(mpool_sync_range(pool, 1, 1, MPOOL_WRITE) == 0);
		store.truncate_error = 0;
	}
	pool.sync();
	store.cut();
	CHECK(store.bytes() == (to + made) * size);
	CHECK(store.keeps(1, 1));
	CHECK((made == 0 || store.keeps(last, 7)));
	REQUIRE(mpool_invalidate(pool, 0, MAX_PAGE_NUMBER) == 0);
	for (pgno_t i = to; seen && i + 1 < to + made; i++) {
		CAPTURE(i);
		const char *page = static_cast<const char *>(pool.get(i));
		CHECK(std::all_of(page, page + size, [](char byte) { return byte == 0; }));
		pool.put(const_cast<char *>(page));
	}
	// It is on stable storage: no later failure is of it.
	const unsigned cuts = store.truncates;
	fails = true;
	REQUIRE(mpool_sync(pool) == -1);
	CHECK(store.truncates == cuts);
	CHECK(store.bytes() == (to + made) * size);
}

TEST_CASE("a sync that was begun before a flush lost a cut makes it again before it flushes")
{
	const pgno_t to = 4;
	Store store(size, 10);
	StorePool pool(store, size, 32);
	std::atomic<bool> fails{true}, writes{false}, goes_on{false};
	store.fate = [&](const Store::Request &r) {
		writes = writes || r.op == MPOOL_IO_WRITE;
		while (r.op == MPOOL_IO_WRITE && !goes_on)
			std::this_thread::yield();
		bool failed = r.op == MPOOL_IO_FLUSH && fails.exchange(false);
		if (failed)
			store.cut();
		return failed ? -ETIMEDOUT : static_cast<ssize_t>(r.bytes);
	};
	REQUIRE(mpool_truncate(pool, to) == 0);
	pool.modify(1, 1);
	int result = -1;
	std::thread syncs([&] { result = mpool_sync(pool); });
	while (!writes)
		std::this_thread::yield();
	CHECK(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH) == -1);
	goes_on = true;
	syncs.join();
	CHECK(result == 0);
	store.cut();
	CHECK(store.bytes() == to * size);
	CHECK(store.keeps(1, 1));
}

TEST_CASE("a page that is written while a lost cut cannot be made again stays in memory")
{
	Store store(size, 40);
	StorePool pool(store, size, 8);
	bool fails = true;
	store.fate = [&](const Store::Request &r) {
		bool failed = fails && r.op == MPOOL_IO_FLUSH;
		if (failed)
			store.cut();
		return failed ? -ETIMEDOUT : static_cast<ssize_t>(r.bytes);
	};
	REQUIRE(mpool_truncate(pool, 30) == 0);
	pgno_t made;
	pool.put(pool.make(made), MPOOL_DIRTY);
	pool.modify(made, 5);
	REQUIRE_FAILS(mpool_sync(pool), ETIMEDOUT);
	// It was not tried: the store was not to be reached.
	CHECK(store.truncates == 1);
	pool.modify(3, 1);
	REQUIRE(mpool_sync_range(pool, 0, MAX_PAGE_NUMBER, MPOOL_WRITE) == 0);
	CHECK(mpool_invalidate(pool, 3, 1) == 0);
	REQUIRE_FAILS(mpool_invalidate(pool, made, 1), EBUSY);
	CHECK(cached(pool, made));
	fails = false;
	pool.sync();
	CHECK(store.truncates == 3);
	CHECK(store.bytes() == 31 * size);
	CHECK(store.keeps(made, 5));
	CHECK(mpool_invalidate(pool, made, 1) == 0);
	CHECK(pool.shows(made, 5));
}

TEST_CASE("a cut is not made again where a page has left memory since, nor where others have made the store longer")
{
	const bool left = GENERATE(false, true);
	CAPTURE(left);
	Store store(size, 40);
	StorePool pool(store, size, 8);
	bool fails = true;
	store.fate = [&](const Store::Request &r) {
		return fails && r.op == MPOOL_IO_FLUSH ? -EIO : static_cast<ssize_t>(r.bytes);
	};
	REQUIRE(mpool_truncate(pool, 30) == 0);
	if (left) {
		pool.modify(3, 1);
		REQUIRE(mpool_sync_range(pool, 3, 1, MPOOL_WRITE) == 0);
		REQUIRE(mpool_invalidate(pool, 3, 1) == 0);
	} else {
		store.grow(50 * size);
	}
	REQUIRE_FAILS(mpool_sync(pool), EIO);
	CHECK(store.truncates == 1);
	CHECK(store.bytes() == (left ? 30 : 50) * size);
	fails = false;
	CHECK(mpool_sync(pool) == (left ? -1 : 0));
	CHECK(store.bytes() == (left ? 30 : 50) * size);
}

TEST_CASE("a partial page at a store's end is no page")
{
	Store store(size, 10);
	REQUIRE(store.calls().truncate(&store, 9 * size + 100) == 0);
	StorePool pool(store, size, 8);
	CHECK(pool.stats().pages == 9);
	pgno_t made;
	void *page = pool.make(made);
	CHECK(made == 9);
	CHECK(all_bytes(page, size, 0));
	fill(page, size, 9, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	CHECK(store.keeps(9, 1));
}

TEST_CASE("what mpool_open_store and mpool_attach_store refuse leaves the store to the caller")
{
	Store store(size, 10, Store::at_once);
	struct mpool_store calls = store.calls();
	struct {
		struct mpool_store known;
		void *later[2];
	} more = {calls, {nullptr, nullptr}};
	File file(size, 4);
	Pool pool(file.fd(), size, 4);
	auto refuses = [&](const struct mpool_store *s, size_t n, int error) {
		REQUIRE_NULL(mpool_open_store(s, n, &store, size, 4), error);
		REQUIRE_NULL(mpool_attach_store(pool, s, n, &store), error);
		CHECK(store.closed == 0);
	};
	refuses(nullptr, sizeof calls, EINVAL);
	more.later[1] = &file;
	refuses(&more.known, sizeof more, EINVAL);
	REQUIRE_NULL(mpool_open_store(&calls, sizeof calls, &store, 0, 4), EINVAL);
	for (unsigned i = 0; i < 4; i++) {
		struct mpool_store s = calls;
		if (i == 0)
			s.size = nullptr;
		if (i == 1)
			s.readv = nullptr;
		if (i == 2)
			s.writev = nullptr;
		if (i == 3)
			s.flush = nullptr;
		refuses(&s, sizeof s, EINVAL);
	}
	refuses(&calls, offsetof(struct mpool_store, flush), EINVAL);
	refuses(&calls, sizeof calls - 1, EINVAL);
	store.size_error = ENOTCONN;
	refuses(&calls, sizeof calls, ENOTCONN);
	store.size_error = 0;
	const std::string key = "test_store " + std::to_string(getpid());
	Pool shared(mpool_open_key(key.data(), key.size(), file.fd(), size, 4), size);
	REQUIRE_NULL(mpool_attach_store(shared, &calls, sizeof calls, &store), ENOTSUP);
	CHECK(store.closed == 0);
	more.later[1] = nullptr;
	MPOOL *mp = mpool_open_store(&more.known, sizeof more, &store, size, 4);
	REQUIRE(mp != nullptr);
	// The structure is copied.
	more.known.readv = nullptr;
	void *page = mpool_get(mp, 3, 0);
	CHECK(is(page, size, 3, 0));
	REQUIRE(mpool_close(mp) == 0);
	CHECK(store.closed == 1);
	// Up to `flush`: a store without what comes after.
	Store plain(size, 10, Store::at_once);
	calls = plain.calls();
	mp = mpool_open_store(&calls, offsetof(struct mpool_store, truncate), &plain, size, 4);
	REQUIRE(mp != nullptr);
	pgno_t list[] = {1, 3};
	void *addr[2];
	REQUIRE(mpool_getv(mp, list, addr, 2, 0) == 0);
	CHECK(plain.submitted == 0);
	for (void *p : addr)
		REQUIRE(mpool_put(mp, p, 0) == 0);
	REQUIRE_FAILS(mpool_truncate(mp, 2), ENOTSUP);
	REQUIRE(mpool_close(mp) == 0);
	CHECK(plain.closed == 0);
}

namespace {

// The call, which fails for want of memory at the most, and does not again.
template <class Call> bool in_the_end(const Call &call)
{
	return call() || (errno == ENOMEM && call());
}

// All calls that ask for memory, on a store and on one that is attached, the `first`-th request for it refused.  False: something is wrong.
bool all_calls(uint64_t first, bool *refused)
{
	Store store(size, 200, Store::at_once), second(size, 200);
	struct mpool_store calls = store.calls(), of_second = second.calls();
	fault::Refusal refusal(fault::Ask::memory, first, 1);
	MPOOL *pool = mpool_open_store(&calls, sizeof calls, &store, size, 150);
	bool right = store.closed == 0 && (pool || errno == ENOMEM);
	if (!pool && !(pool = mpool_open_store(&calls, sizeof calls, &store, size, 150)))
		return false;
	MPOOL *mp = mpool_attach_store(pool, &of_second, sizeof of_second, &second);
	right = right && second.closed == 0 && (mp || errno == ENOMEM);
	if (!mp && !(mp = mpool_attach_store(pool, &of_second, sizeof of_second, &second)))
		return false;
	pgno_t list[40];
	void *addr[40];
	for (MPOOL *of : {pool, mp}) {
		for (pgno_t i = 0; i < 40; i++)
			list[i] = 2 * i;
		right = in_the_end([&] { return mpool_getv(of, list, addr, 40, 0) == 0; }) && right;
		for (pgno_t i = 0; i < 40 && right; i++) {
			right = is(addr[i], size, list[i], 0);
			fill(addr[i], size, list[i], 1);
			right = in_the_end([&] { return mpool_put(of, addr[i], MPOOL_DIRTY) == 0; }) && right;
		}
		for (pgno_t i = 0; i < 20; i++)
			list[i] = 101 + 2 * i;
		right = in_the_end([&] { return mpool_prefetch(of, list, 20, -1) >= 0; }) && right;
		right = in_the_end([&] { return mpool_clean(of, 20) >= 0; }) && right;
		right = in_the_end([&] { return mpool_sync(of) == 0; }) && right;
	}
	right = mpool_close(pool) == 0 && right && store.closed == 1 && second.closed == 1;
	for (pgno_t i = 0; i < 40; i++)
		right = right && store.keeps(2 * i, 1) && second.keeps(2 * i, 1);
	*refused = refusal.asked() > first;
	return right;
}

} // namespace

TEST_CASE("where memory runs out a store stays the caller's until it is opened, calls fail, and nothing is lost")
{
	uint64_t first = 0;
	fault::Held before = {};
	for (bool refused = true; refused; first++) {
		bool right = false;
		// A thread of its own, that what threads keep of pools goes with it.
		std::thread([&] { right = all_calls(first, &refused); }).join();
		CAPTURE(first);
		REQUIRE(right);
		if (first > 2)
			CHECK(before == fault::held());
		before = fault::held();
	}
	CHECK(first > 20);
}

TEST_CASE("close waits for what is in flight, and then calls the store's once")
{
	const Store::Answers answers = GENERATE(Store::later, Store::shuffled);
	const bool attached = GENERATE(false, true);
	INFO(name_of(answers) << (attached ? ", attached" : ""));
	for (unsigned round = 0; round < 20; round++) {
		Store store(size, 200, answers);
		File file(size, 4);
		Gate answer;
		store.fate = [&](const Store::Request &r) {
			answer.pass();
			return static_cast<ssize_t>(r.bytes);
		};
		struct mpool_store calls = store.calls();
		MPOOL *pool = attached ? mpool_open(nullptr, file.fd(), size, 150)
		                       : mpool_open_store(&calls, sizeof calls, &store, size, 150);
		MPOOL *mp = attached ? mpool_attach_store(pool, &calls, sizeof calls, &store) : pool;
		REQUIRE(mp != nullptr);
		Event event;
		std::vector<pgno_t> list = scattered(100);
		REQUIRE(mpool_prefetch(mp, list.data(), list.size(), event) == 100);
		Threads late;
		late.start([&] { answer.open(); });
		REQUIRE(mpool_close(mp) == 0);
		CHECK(store.closed == 1);
		CHECK(store.outstanding == 0);
		CHECK(event.await() == 1);
		late.join();
		if (attached)
			REQUIRE(mpool_close(pool) == 0);
	}
}

TEST_CASE("eight threads get, put, prefetch, clean and sync pages of a store, and of a file beside it")
{
	const Store::Answers answers = EVERY_ANSWER;
	INFO(name_of(answers));
	constexpr pgno_t pages = 160;
	constexpr unsigned threads = 8;
	Store store(size, pages, answers);
	File file(size, pages);
	{
		StorePool pool(store, size, 100);
		MPOOL *beside = mpool_attach(pool, file.fd());
		REQUIRE(beside != nullptr);
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 1) == 0);
		REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 16) == 0);
		Report wrong;
		// Each thread writes pages of its own, and all read all.
		run_threads(threads, [&](unsigned self) {
			Random random(self);
			std::vector<uint64_t> version(pages, 0), of_file(pages, 0);
			for (unsigned n = 1; n < 400; n++) {
				pgno_t i = static_cast<pgno_t>(random.below(pages / threads) * threads + self);
				MPOOL *mp = n % 3 ? static_cast<MPOOL *>(pool) : beside;
				std::vector<uint64_t> &its = n % 3 ? version : of_file;
				void *page = mpool_get(mp, i, 0);
				if (!wrong.check(page != nullptr, "get"))
					return;
				wrong.check(is(page, size, i, its[i]), "bytes");
				its[i] = n;
				fill(page, size, i, n);
				wrong.check(mpool_put(mp, page, MPOOL_DIRTY) == 0, "put");
				pgno_t list[12];
				void *addr[12];
				for (pgno_t &p : list)
					p = static_cast<pgno_t>(random.below(pages));
				if (n % 10 == 0)
					wrong.check(mpool_prefetch(mp, list, 12, -1) >= 0, "prefetch");
				if (n % 10 == 5 && wrong.check(mpool_getv(mp, list, addr, 12, 0) == 0, "getv"))
					for (void *p : addr)
						wrong.check(mpool_put(mp, p, 0) == 0, "put of getv");
				if (n % 100 == 50)
					wrong.check(mpool_sync(mp) == 0, "sync");
				if (n % 100 == 75)
					wrong.check(mpool_clean(pool, 10) >= 0, "clean");
			}
			for (pgno_t i = self; i < pages; i += threads) {
				void *page = mpool_get(pool, i, 0);
				if (wrong.check(page != nullptr, "get"))
					wrong.check(
						is(page, size, i, version[i]) && mpool_put(pool, page, 0) == 0, "last");
			}
		});
		wrong.require_none();
		pool.sync();
		REQUIRE(mpool_sync(beside) == 0);
	}
	CHECK(store.closed == 1);
	CHECK(store.outstanding == 0);
}

TEST_CASE("syncs at the same time share a store's flush, and what it fails with")
{
	constexpr unsigned threads = 6;
	Store store(size, 60);
	StorePool pool(store, size, 60);
	Gate first;
	std::atomic<unsigned> flushes{0};
	store.fate = [&](const Store::Request &r) {
		if (r.op == MPOOL_IO_FLUSH && ++flushes == 1)
			first.pass();
		return r.op == MPOOL_IO_FLUSH && flushes > 1 ? -ENXIO : static_cast<ssize_t>(r.bytes);
	};
	std::atomic<unsigned> failed{0}, begun{0};
	Threads others;
	others.start([&] { failed += mpool_sync(pool) != 0; });
	first.await(1);
	for (unsigned i = 0; i < threads; i++)
		others.start([&, i] {
			pool.modify(i, 1);
			begun++;
			failed += mpool_sync(pool) != 0 && errno == ENXIO;
		});
	while (begun < threads)
		std::this_thread::yield();
	first.open();
	others.join();
	CHECK(failed == threads);
	CHECK(pool.stats().dirty == threads);
}

TEST_CASE("a store's functions that call the pool are refused")
{
	// By who makes the call; and by threads, of which the pool knows only that they are in a function.
	const Store::Answers answers = GENERATE(Store::at_once, Store::blocking);
	Store store(size, 10, answers);
	StorePool pool(store, size, 4);
	std::atomic<unsigned> refused{0}, calls{0};
	store.fate = [&](const Store::Request &r) {
		calls++;
		bool hooks = mpool_hooks(pool, nullptr, 0) == -1 && errno == EDEADLK;
		refused += hooks && (answers == Store::blocking || (!mpool_get(pool, 9, 0) && errno == EDEADLK));
		return static_cast<ssize_t>(r.bytes);
	};
	pool.modify(3, 1);
	put_all(pool, getv(pool, {1, 5}));
	pool.sync();
	CHECK(calls == 5);
	CHECK(refused == calls);
}

TEST_CASE("filters and hooks see a store's pages as a file's")
{
	const Store::Answers answers = EVERY_ANSWER;
	INFO(name_of(answers));
	Store store(size, 40, answers);
	StorePool pool(store, size, 20);
	auto turn = [](void *, pgno_t, void *page) {
		for (size_t i = 0; i < size; i++)
			static_cast<char *>(page)[i] = static_cast<char>(~static_cast<char *>(page)[i]);
		return 0;
	};
	struct mpool_hooks hooks = {};
	hooks.in = turn;
	hooks.out = turn;
	static std::atomic<unsigned> told;
	told = 0;
	hooks.before_write = [](void *, const pgno_t *, void *const *, size_t n) {
		told += static_cast<unsigned>(n);
		return 0;
	};
	REQUIRE(mpool_hooks(pool, &hooks, sizeof hooks) == 0);
	put_all(pool, getv(pool, {1, 3, 5}), MPOOL_DIRTY);
	prefetch(pool, {10, 12});
	pool.sync();
	CHECK(told == 3);
	CHECK(store.keeps(3, 0));
	REQUIRE(mpool_close(mpool_attach(pool, File(size, 1).fd())) == 0);
}

TEST_CASE("the child of a fork has not its parent's pool on a store, and closes it without the store")
{
	if (sanitized)
		return;
	const bool attached = GENERATE(false, true);
	const Store::Answers answers = GENERATE(Store::later, Store::blocking);
	INFO(name_of(answers) << (attached ? ", attached" : ""));
	Store store(size, 60, answers);
	File file(size, 4);
	struct mpool_store calls = store.calls();
	MPOOL *pool = attached ? mpool_open(nullptr, file.fd(), size, 40)
	                       : mpool_open_store(&calls, sizeof calls, &store, size, 40);
	MPOOL *mp = attached ? mpool_attach_store(pool, &calls, sizeof calls, &store) : pool;
	REQUIRE(mp != nullptr);
	Gate answer;
	store.fate = [&](const Store::Request &r) {
		answer.pass();
		return static_cast<ssize_t>(r.bytes);
	};
	std::vector<pgno_t> list = scattered(20);
	Event event;
	REQUIRE(mpool_prefetch(mp, list.data(), list.size(), event) == 20);
	answer.await(1);
	// It does not wait for what the store has.
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); // should it hang
		store.fate = nullptr;             // nobody opens the gate here
		errno = 0;
		bool refused = !mpool_get(mp, 3, 0) && errno == EBADF;
		refused = refused && mpool_sync(pool) == -1 && errno == EBADF;
		refused = refused && (!attached || mpool_close(mp) == 0) && mpool_close(pool) == 0;
		_exit(refused && store.closed == 0 ? 0 : 1);
	}
	answer.open();
	int status = -1;
	REQUIRE(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
	CHECK(event.await() == 1);
	REQUIRE(mpool_close(pool) == 0);
	CHECK(store.closed == 1);
}

TEST_CASE("after power cuts a store has of each page what was synced last, or what was put since")
{
	const Store::Answers answers = GENERATE(Store::blocking, Store::at_once);
	INFO(name_of(answers));
	constexpr pgno_t pages = 60;
	Store store(size, pages, answers);
	Random random(3);
	// Of each page: what was synced, and what was put last.
	std::vector<uint64_t> synced(pages, 0), put(pages, 0);
	uint64_t version = 0;
	for (unsigned round = 0; round < 60; round++) {
		CAPTURE(round);
		unsigned flushes = 0, fails = static_cast<unsigned>(random.below(4));
		store.fate = [&](const Store::Request &r) {
			bool fail = r.op == MPOOL_IO_FLUSH && ++flushes == fails;
			return fail ? -ETIMEDOUT : static_cast<ssize_t>(r.bytes);
		};
		StorePool pool(store, size, 20);
		for (pgno_t i = 0; i < pages; i++) {
			void *page = pool.get(i);
			uint64_t had = synced[i];
			while (had <= put[i] && !is(page, size, i, had))
				had++;
			REQUIRE(had <= put[i]);
			synced[i] = put[i] = had;
			pool.put(page);
		}
		for (uint64_t left = random.below(200); left > 0; left--) {
			pgno_t i = static_cast<pgno_t>(random.below(pages));
			pool.modify(i, put[i] = ++version);
			if (random.below(20) == 0 && mpool_sync(pool) == 0)
				synced = put;
			if (random.below(30) == 0)
				REQUIRE(mpool_clean(pool, 10) >= 0);
		}
		REQUIRE(pool.close() == 0);
		store.cut_some(random);
	}
}
