// test_truncate.cpp - mpool_truncate and mpool_invalidate: what they drop, what they refuse, and what others
// find meanwhile.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"
#include "support.hpp"

#include <array>

using namespace test;

namespace {

constexpr size_t size = 512;
constexpr pgno_t pages = 20;

// Other threads come and go while the file is cut: so often.
constexpr int rounds = 300;

// The call of a test that goes wrong.
void must(bool right)
{
	if (!right)
		abort();
}

} // namespace

// ---- mpool_truncate -----------------------------------------------------------

TEST_CASE("mpool_truncate drops the pages behind the end, and cuts the file")
{
	const pgno_t left = GENERATE(0u, 1u, 7u, pages - 1, pages);
	const pgno_t cache = GENERATE(2u, pages, 300u);
	CAPTURE(left, cache);
	File file(size, pages);
	Pool pool(file.fd(), size, cache);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	REQUIRE(mpool_truncate(pool, left) == 0);
	CHECK(file.length() == static_cast<off_t>(left * size));
	CHECK(pool.stats().pages == left);
	CHECK(pool.stats().cached <= left);
	CHECK(pool.stats().dirty <= left);
	for (pgno_t i = left; i < pages; i++) {
		REQUIRE_NULL(mpool_get(pool, i, 0), EINVAL);
		REQUIRE_NULL(mpool_get(pool, i, MPOOL_CACHED), EINVAL);
	}
	for (pgno_t i = 0; i < left; i++)
		CHECK(pool.shows(i, 1));
	pool.sync();
	CHECK(file.length() == static_cast<off_t>(left * size));
	for (pgno_t i = 0; i < left; i++)
		CHECK(file.holds(i, 1));
	pgno_t made;
	void *page = pool.make(made);
	CHECK(made == left);
	CHECK(all_bytes(page, size, 0));
	fill(page, size, made, 2);
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	CHECK(file.holds(left, 2));
	CHECK(file.length() == static_cast<off_t>((left + 1) * size));
}

TEST_CASE("a page that is made after mpool_truncate is zeros, when it is evicted and got again, too")
{
	File file(size, pages);
	Pool pool(file.fd(), size, 2);
	const bool flushed = GENERATE(false, true);
	CAPTURE(flushed);
	REQUIRE(mpool_truncate(pool, 5) == 0);
	if (flushed)
		pool.sync();
	for (pgno_t i = 5; i < 10; i++) {
		pgno_t made;
		pool.put(pool.make(made));
		CHECK(made == i);
	}
	for (pgno_t i = 5; i < 10; i++)
		CHECK(pool.shows_bytes(i, 0));
	pool.modify(8, 3);
	pool.sync();
	for (pgno_t i = 5; i < 8; i++)
		CHECK(pool.shows_bytes(i, 0));
	CHECK(pool.shows(8, 3));
}

TEST_CASE("mpool_truncate of what is pinned, looked at or latched changes nothing")
{
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	void *page = pool.get(pages - 1);
	const int how = GENERATE(0, 1, 2, 3, 4);
	CAPTURE(how);
	if (how == 1)
		REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
	if (how == 2)
		REQUIRE(mpool_latch(pool, page, MPOOL_SHARED) == 0);
	if (how == 1 || how == 2)
		pool.put(page);
	Threads looks;
	Gate gate;
	if (how >= 3) {
		pool.put(page);
		looks.start([&] {
			must(mpool_get(pool, pages - 1, how == 3 ? unsigned(MPOOL_IGNOREPIN) : 0));
			gate.pass();
		});
		gate.await(1);
	}
	for (pgno_t left : {0u, 3u, pages - 1}) {
		REQUIRE_FAILS(mpool_truncate(pool, left), EBUSY);
		CHECK(pool.stats().pages == pages);
		CHECK(pool.stats().dirty == pages);
		CHECK(pool.stats().cached == pages);
		CHECK(pool.stats().forgotten == 0);
		CHECK(file.length() == static_cast<off_t>(pages * size));
	}
	if (how == 1 || how == 2)
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
	gate.open();
	looks.join();
	if (how == 0 || how == 4)
		pool.put(page);
	pool.sync();
	for (pgno_t i = 0; i < pages; i++)
		CHECK(file.holds(i, 1));
	// Nobody waits for the end any more.
	REQUIRE(mpool_invalidate(pool, pages - 2, 1) == 0);
	CHECK(pool.shows(pages - 2, 1));
	// One that is before the end is in nobody's way.
	page = pool.get(2);
	REQUIRE(mpool_truncate(pool, 3) == 0);
	CHECK(pool.stats().forgotten == 1 + pages - 3);
	pool.put(page);
}

TEST_CASE("mpool_truncate makes a file longer")
{
	File file(size, 3, size / 2);
	Pool pool(file.fd(), size, 4);
	REQUIRE(mpool_truncate(pool, 10) == 0);
	CHECK(file.length() == static_cast<off_t>(10 * size));
	CHECK(pool.stats().pages == 10);
	for (pgno_t i = 3; i < 10; i++)
		CHECK(pool.shows_bytes(i, 0));
	pgno_t made;
	pool.put(pool.make(made));
	CHECK(made == 10);
	CHECK(pool.shows(2, 0));
}

TEST_CASE("mpool_truncate cuts a partial page off")
{
	File file(size, 3, size / 2);
	Pool pool(file.fd(), size, 4);
	REQUIRE(mpool_truncate(pool, 3) == 0);
	CHECK(file.length() == static_cast<off_t>(3 * size));
	pgno_t made;
	void *page = pool.make(made);
	CHECK(made == 3);
	fill(page, size, made, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.crowd_out(0);
	CHECK(pool.shows(3, 1));
}

TEST_CASE("a page where a partial page was cut off is read, when there are pages behind it in the file")
{
	File file(size, 3, size / 2);
	Pool pool(file.fd(), size, 4);
	REQUIRE(mpool_truncate(pool, 3) == 0);
	REQUIRE(mpool_truncate(pool, 6) == 0);
	pool.modify(5, 1);
	pool.sync();
	std::string bytes(size, '\0');
	fill(&bytes[0], size, 3, 2);
	REQUIRE(pwrite(file.fd(), bytes.data(), size, off_t{3} * size) == static_cast<ssize_t>(size));
	CHECK(pool.shows(3, 2));
}

TEST_CASE("mpool_truncate of a file that may not be written, or cannot be so long, changes nothing")
{
	File file(size, pages);
	Fd reads = file.reopen(O_RDONLY);
	{
		Pool pool(reads, size, pages);
		pool.touch(0, pages);
		REQUIRE_FAILS(mpool_truncate(pool, 3), EBADF);
		CHECK(pool.stats().pages == pages);
		CHECK(pool.stats().cached == pages);
		CHECK(pool.shows(pages - 1, 0));
	}
	const pgno_t large = 1u << 31;
	Pool pool(file.fd(), large, 1);
	REQUIRE_FAILS(mpool_truncate(pool, MAX_PAGE_NUMBER), EFBIG);
	CHECK(pool.stats().pages == 0);
	CHECK(file.length() == static_cast<off_t>(pages * size));
}

TEST_CASE("an optimistic read of a page that is cut off, or forgotten, is found to be one")
{
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	uint64_t version, last;
	pool.touch(0, pages);
	(void)mpool_peek(pool, 5, &version);
	const void *page = mpool_peek(pool, 5, &version), *other = mpool_peek(pool, 2, &last);
	REQUIRE(page != nullptr);
	REQUIRE(mpool_unchanged(pool, page, version) == 1);
	const bool cut = GENERATE(true, false);
	REQUIRE((cut ? mpool_truncate(pool, 5) : mpool_invalidate(pool, 5, 1)) == 0);
	CHECK(mpool_unchanged(pool, page, version) == 0);
	CHECK(mpool_unchanged(pool, other, last) == 1);
	REQUIRE_NULL(const_cast<void *>(mpool_peek(pool, 5, &version)), EAGAIN);
}

TEST_CASE("mpool_truncate waits for a read of a page that it cuts off, and nobody gets the page")
{
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	Gate gate;
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (call.op == fault::Op::read && call.covers(8, size))
			gate.pass();
		return fault::real();
	});
	std::atomic<int> error{0}, late{0};
	std::atomic<bool> cut{false};
	Threads reader;
	reader.start([&] {
		errno = 0;
		error = mpool_get(pool, 8, 0) ? -1 : errno;
	});
	gate.await(1);
	{
		Waits cutter([&] {
			must(mpool_truncate(pool, 5) == 0);
			cut = true;
		});
		// Nor does one that comes now; and pages before the end are nobody's business.
		Waits getter([&] { late = mpool_get(pool, 9, 0) ? -1 : errno; });
		REQUIRE_NULL(mpool_get(pool, 9, MPOOL_CACHED), EAGAIN);
		CHECK(pool.shows(4, 0));
		CHECK_FALSE(cut);
		CHECK(file.length() == static_cast<off_t>(pages * size));
		gate.open();
	}
	reader.join();
	CHECK(error == EINVAL);
	CHECK(late == EINVAL);
	CHECK(file.length() == static_cast<off_t>(5 * size));
	CHECK(pool.stats().cached <= 5);
}

TEST_CASE("mpool_truncate waits for a write of a page that it cuts off, which so comes to nothing")
{
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	Gate gate;
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (call.op == fault::Op::write && call.covers(pages - 1, size))
			gate.pass();
		return fault::real();
	});
	Threads writer;
	writer.start([&] { must(mpool_sync(pool) == 0); });
	gate.await(1);
	std::atomic<bool> cut{false};
	{
		Waits cutter([&] {
			must(mpool_truncate(pool, 5) == 0);
			cut = true;
		});
		CHECK(pool.shows(2, 1));
		CHECK_FALSE(cut);
		gate.open();
	}
	writer.join();
	CHECK(file.length() == static_cast<off_t>(5 * size));
	pool.sync();
	CHECK(file.length() == static_cast<off_t>(5 * size));
}

TEST_CASE("pages that could not be written are dropped by mpool_truncate")
{
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	{
		fault::Script script(file.fd(), [&](const fault::Call &call) {
			bool behind = call.op == fault::Op::write &&
			              call.offset + static_cast<off_t>(call.bytes) > static_cast<off_t>(5 * size);
			return behind ? fault::error(EIO) : fault::real();
		});
		REQUIRE_FAILS(mpool_sync(pool), EIO);
	}
	REQUIRE(mpool_truncate(pool, 5) == 0);
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
	CHECK(file.length() == static_cast<off_t>(5 * size));
	for (pgno_t i = 0; i < 5; i++)
		CHECK(file.holds(i, 1));
}

namespace {

// What belongs there, word by word: another thread may look at the page, or write the same.
void fill_words(void *page, uint64_t pgno)
{
	std::array<uint64_t, size / sizeof(uint64_t)> whole;
	fill(whole.data(), size, pgno, 0);
	for (size_t i = 0; i < whole.size(); i++)
		__atomic_store_n(static_cast<uint64_t *>(page) + i, whole[i], __ATOMIC_RELAXED);
}

// Each word is what belongs there, or zero.
bool is_or_zeros(void *page, uint64_t pgno)
{
	std::array<uint64_t, size / sizeof(uint64_t)> whole;
	fill(whole.data(), size, pgno, 0);
	for (size_t i = 0; i < whole.size(); i++) {
		const uint64_t word = __atomic_load_n(static_cast<uint64_t *>(page) + i, __ATOMIC_RELAXED);
		if (word != 0 && word != whole[i])
			return false;
	}
	return true;
}

} // namespace

// A file is cut again and again while threads get, make, modify and sync pages of it: each page shows what it is, every number
// is given to one, and no page that was cut off comes back.
TEST_CASE("a file is cut while threads get, make, modify and sync its pages")
{
	File file(size, pages);
	Pool pool(file.fd(), size, GENERATE(4u, 64u));
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> cuts{0}, busy{0}, wrong{0}, made{0};
	std::vector<std::thread> threads;
	for (unsigned t = 0; t < 3; t++)
		threads.emplace_back([&, t] {
			for (uint64_t n = mix(t); !stop; n = mix(n)) {
				pgno_t p = static_cast<pgno_t>(n % 40), number = p;
				void *page = n % 7 == 0 ? (mpool_new)(pool, &number) : mpool_get(pool, p, 0);
				if (!page) {
					wrong += errno != EINVAL;
					continue;
				}
				made += n % 7 == 0;
				// Of its own number, or never written, be it that another thread writes it just now.
				wrong += !is_or_zeros(page, number);
				bool modify = n % 3 == 0 && number >= 10;
				if (modify)
					fill_words(page, number);
				wrong += mpool_put(pool, page, modify ? MPOOL_DIRTY : 0) != 0;
				if (n % 31 == 0)
					wrong += mpool_sync(pool) != 0;
				if (n % 17 == 0)
					wrong += mpool_invalidate(pool, p, 10) != 0 && errno != EBUSY;
			}
		});
	for (int i = 0; i < rounds; i++) {
		int result = mpool_truncate(pool, 10 + static_cast<pgno_t>(mix(static_cast<uint64_t>(i)) % 20));
		cuts += result == 0;
		busy += result != 0 && errno == EBUSY;
	}
	stop = true;
	for (std::thread &t : threads)
		t.join();
	CHECK(wrong == 0);
	CHECK(cuts + busy == rounds);
	REQUIRE(mpool_truncate(pool, 10) == 0);
	for (pgno_t i = 0; i < 10; i++)
		CHECK(pool.shows(i, 0));
	pool.sync();
	CHECK(file.length() == static_cast<off_t>(10 * size));
	CHECK(pool.stats().cached <= 10);
}

TEST_CASE("who waits while a file is cut has no frame that the cut waits for")
{
	// Where hooks are called frames are had before the page is begun.
	const bool makes = GENERATE(false, true);
	CAPTURE(makes);
	const pgno_t few = 100, all = 200;
	const int cuts = 10000;
	File file(size, all);
	Pool pool(file.fd(), size, 5);
	struct mpool_hooks hooks = {};
	hooks.before_write = [](void *, const pgno_t *, void *const *, size_t) { return 0; };
	REQUIRE(mpool_hooks(pool, &hooks, sizeof hooks) == 0);
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> wrong{0};
	std::thread user([&] {
		for (pgno_t i = 0; !stop; i = (i + 1) % all) {
			pgno_t number = i;
			void *page = makes && i % 8 == 0 ? (mpool_new)(pool, &number) : mpool_get(pool, i, 0);
			wrong += page ? mpool_put(pool, page, 0) != 0 : errno != EINVAL;
		}
	});
	for (int i = 0; i < cuts; i++)
		wrong += mpool_truncate(pool, i % 2 == 0 ? few : all) != 0 && errno != EBUSY;
	stop = true;
	user.join();
	CHECK(wrong == 0);
}

TEST_CASE("numbers that mpool_new gives while the file is cut are each one's own")
{
	File file(size, 10);
	Pool pool(file.fd(), size, 64);
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> wrong{0};
	constexpr pgno_t numbers = 4096; // that are looked at; there are more if the file is seldom cut
	std::atomic<int> owner[numbers] = {};
	std::vector<std::thread> threads;
	for (int t = 1; t <= 3; t++)
		threads.emplace_back([&, t] {
			while (!stop) {
				pgno_t number;
				void *page = (mpool_new)(pool, &number);
				if (!page) {
					wrong++;
					continue;
				}
				// While it is pinned it is nobody else's.
				int nobody = 0;
				bool looked = number < numbers;
				wrong += looked && !owner[number].compare_exchange_strong(nobody, t);
				wrong += !all_bytes(page, size, 0);
				if (looked)
					owner[number] = 0;
				wrong += mpool_put(pool, page, 0) != 0;
			}
		});
	for (int i = 0; i < rounds; i++)
		wrong += mpool_truncate(pool, 10) != 0 && errno != EBUSY;
	stop = true;
	for (std::thread &t : threads)
		t.join();
	CHECK(wrong == 0);
}

// ---- mpool_invalidate ----------------------------------------------------------

TEST_CASE("pages that mpool_invalidate forgets are read anew")
{
	const pgno_t first = GENERATE(0u, 3u, pages - 1), n = GENERATE(0u, 1u, 5u, pages, MAX_PAGE_NUMBER);
	CAPTURE(first, n);
	File file(size, pages);
	Pool pool(file.fd(), size, 100);
	pool.touch(0, pages);
	for (pgno_t i = 0; i < pages; i++)
		file.write_page(i, 1);
	REQUIRE(mpool_invalidate(pool, first, n) == 0);
	const pgno_t end = n < pages - first ? first + n : pages;
	CHECK(pool.stats().forgotten == end - first);
	CHECK(pool.stats().cached == pages - (end - first));
	CHECK(pool.stats().evictions == 0);
	for (pgno_t i = 0; i < pages; i++)
		CHECK(pool.shows(i, i >= first && i < end));
}

TEST_CASE("mpool_invalidate leaves pages that are modified, pinned or latched, and forgets the others")
{
	File file(size, pages);
	Pool pool(file.fd(), size, 100);
	const pgno_t n = GENERATE(as<pgno_t>{}, pages, MAX_PAGE_NUMBER);
	CAPTURE(n);
	pool.touch(0, pages);
	pool.modify(3, 7);
	void *pinned = pool.get(5), *latched = pool.get(6);
	REQUIRE(mpool_latch(pool, latched, MPOOL_EXCLUSIVE) == 0);
	pool.put(latched);
	for (pgno_t i = 0; i < pages; i++)
		file.write_page(i, 1);
	REQUIRE_FAILS(mpool_invalidate(pool, 0, n), EBUSY);
	CHECK(pool.stats().forgotten == pages - 3);
	CHECK(pool.shows(3, 7));
	CHECK(is(pinned, size, 5, 0));
	CHECK(is(latched, size, 6, 0));
	for (pgno_t i = 0; i < pages; i++)
		if (i != 3 && i != 5 && i != 6)
			CHECK(pool.shows(i, 1));
	pool.put(pinned);
	REQUIRE(mpool_unlatch(pool, latched, 0) == 0);
	pool.sync();
	CHECK(file.holds(3, 7));
	REQUIRE(mpool_invalidate(pool, 0, n) == 0);
	CHECK(pool.shows(5, 1));
	CHECK(pool.shows(6, 1));
	CHECK(pool.shows(3, 7));
}

TEST_CASE("mpool_invalidate waits for a read that is under way, and what it has read nobody gets")
{
	File file(size, pages);
	Pool pool(file.fd(), size, pages);
	Gate gate;
	std::atomic<unsigned> reads{0};
	// It has read what was there before.
	fault::Script script(
		file.fd(), [](const fault::Call &) { return fault::real(); },
		[&](const fault::Call &call, ssize_t) {
			if (call.op == fault::Op::read && call.covers(8, size) && reads++ == 0)
				gate.pass();
		},
		fault::Script::nobody_looks);
	std::atomic<bool> old{false}, invalid{false};
	const bool many = GENERATE(false, true);
	Threads reader;
	reader.start([&] {
		pgno_t list[] = {7, 8, 9};
		void *page[3] = {};
		must(!many || mpool_getv(pool, list, page, 3, 0) == 0);
		if (!many)
			page[1] = mpool_get(pool, 8, 0);
		old = !is(page[1], size, 8, 1);
		for (void *p : page)
			if (p)
				mpool_put(pool, p, 0);
	});
	gate.await(1);
	file.write_page(8, 1);
	{
		Waits caller([&] {
			// The reader may have the page again, of after the call, before this has seen that.
			must(mpool_invalidate(pool, 8, 1) == 0);
			invalid = true;
		});
		CHECK(pool.shows(2, 0));
		CHECK_FALSE(invalid);
		gate.open();
	}
	reader.join();
	CHECK_FALSE(old);
	CHECK(pool.shows(8, 1));
	CHECK(reads == 2);
}

TEST_CASE("a page that another has written behind what was in the file is read after mpool_invalidate")
{
	File file(size, 2);
	Pool pool(file.fd(), size, 4);
	pgno_t made;
	pool.put(pool.make(made));
	CHECK(made == 2);
	CHECK(pool.shows_bytes(2, 0));
	file.write_page(2, 1);
	REQUIRE(mpool_invalidate(pool, 2, 1) == 0);
	CHECK(pool.shows(2, 1));
}

TEST_CASE("pages that were prefetched and are forgotten unused count as wasted")
{
	File file(size, pages);
	Pool pool(file.fd(), size, 100);
	const pgno_t list[] = {1, 2, 3, 4};
	REQUIRE(mpool_prefetch(pool, list, 4, -1) == 4);
	while (pool.stats().reads < 4) // counted when they are in memory
		sched_yield();
	REQUIRE(mpool_invalidate(pool, 1, 2) == 0);
	CHECK(pool.stats().ahead_wasted == 2);
	REQUIRE(mpool_truncate(pool, 4) == 0);
	CHECK(pool.stats().ahead_wasted == 3);
	CHECK(pool.stats().ahead == 4);
}

TEST_CASE("pages beyond maxcache are cut off and forgotten like any others")
{
	File file(size, pages);
	Pool pool(file.fd(), size, 1);
	std::vector<void *> held;
	for (pgno_t i = 0; i < pages; i++)
		held.push_back(pool.get(i));
	for (pgno_t i = 5; i < pages; i++)
		pool.put(held[i], MPOOL_DIRTY);
	REQUIRE(mpool_truncate(pool, 5) == 0);
	CHECK(pool.stats().cached == 5);
	for (pgno_t i = 0; i < 5; i++)
		pool.put(held[i]);
	REQUIRE(mpool_invalidate(pool, 0, pages) == 0);
	CHECK(pool.stats().cached == 0);
	pool.touch(0, 5);
}

TEST_CASE("mpool_truncate by a descriptor that was closed, and is another file's, cuts no file")
{
	File file(size, pages), other(size, pages);
	int fd = dup(file.fd());
	REQUIRE(fd >= 0);
	Pool pool(fd, size, pages);
	pool.touch(0, pages);
	REQUIRE(dup2(other.fd(), fd) == fd);
	REQUIRE_FAILS(mpool_truncate(pool, 3), EBADF);
	CHECK(file.length() == static_cast<off_t>(pages * size));
	CHECK(other.length() == static_cast<off_t>(pages * size));
	CHECK(pool.stats().pages == pages);
	REQUIRE(dup2(file.fd(), fd) == fd);
	REQUIRE(mpool_truncate(pool, 3) == 0);
	CHECK(pool.close() == 0);
	close(fd);
}

// ---- in a pool that processes share ----------------------------------------------

namespace {

std::string key_of(const char *what)
{
	return std::string("test_truncate ") + what + " " + std::to_string(getpid());
}

MPOOL *open_shared(const File &file, const std::string &key)
{
	MPOOL *mp = mpool_open(const_cast<char *>(key.c_str()), file.fd(), size, 64);
	must(mp);
	return mp;
}

} // namespace

TEST_CASE("what one process cuts off or forgets is so for all that share the pool")
{
	if (sanitized)
		return; // a child has no threads there
	File file(size, pages);
	const std::string key = key_of("all");
	MPOOL *mp = open_shared(file, key);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(mpool_put(mp, mpool_get(mp, i, 0), i >= 5 ? unsigned(MPOOL_DIRTY) : 0) == 0);
	file.write_page(3, 1);
	CHECK(in_child([&] {
		MPOOL *own = open_shared(file, key);
		must(mpool_invalidate(own, 0, 5) == 0);
		must(mpool_truncate(own, 5) == 0);
		must(mpool_close(own) == 0);
		return 0;
	}) == 0);
	REQUIRE_NULL(mpool_get(mp, 5, 0), EINVAL);
	void *page = mpool_get(mp, 3, 0);
	CHECK(is(page, size, 3, 1));
	REQUIRE_FAILS(mpool_truncate(mp, 3), EBUSY);
	CHECK(in_child([&] {
		MPOOL *own = open_shared(file, key);
		must(mpool_truncate(own, 3) == -1 && errno == EBUSY);
		must(mpool_close(own) == 0);
		return 0;
	}) == 0);
	REQUIRE(mpool_put(mp, page, 0) == 0);
	REQUIRE(mpool_sync(mp) == 0);
	CHECK(file.length() == static_cast<off_t>(5 * size));
	pgno_t made;
	page = (mpool_new)(mp, &made);
	REQUIRE(page != nullptr);
	CHECK(made == 5);
	REQUIRE(mpool_put(mp, page, 0) == 0);
	mpool_close(mp);
}

TEST_CASE("a torn page that is cut off is whole when it is made again")
{
	if (sanitized)
		return; // the same
	File file(size, pages);
	const std::string key = key_of("torn");
	MPOOL *mp = open_shared(file, key);
	REQUIRE(in_child([&] {
		MPOOL *own = open_shared(file, key);
		void *page = mpool_get(own, 7, 0);
		must(mpool_put(own, page, MPOOL_DIRTY) == 0 && mpool_get(own, 7, 0) == page);
		return 0; // with the page pinned
	}) == 0);
	// It is written so, and leaves memory.
	void *page = nullptr;
	for (int abandoned = 0; !abandoned;) {
		page = mpool_get(mp, 7, 0);
		REQUIRE(page != nullptr);
		abandoned = mpool_abandoned(mp, page, 0);
		REQUIRE(mpool_put(mp, page, 0) == 0);
	}
	REQUIRE(mpool_sync(mp) == 0);
	REQUIRE(mpool_invalidate(mp, 7, 1) == 0);
	page = mpool_get(mp, 7, 0);
	CHECK(mpool_abandoned(mp, page, 0) == 1);
	REQUIRE(mpool_put(mp, page, 0) == 0);
	REQUIRE(mpool_truncate(mp, 7) == 0);
	pgno_t made;
	page = (mpool_new)(mp, &made);
	REQUIRE(page != nullptr);
	CHECK(made == 7);
	CHECK(mpool_abandoned(mp, page, 0) == 0);
	REQUIRE(mpool_put(mp, page, 0) == 0);
	mpool_close(mp);
}

TEST_CASE("the child of a fork does not make its parent's cut again, whatever the file has by then")
{
	File file(size, 10);
	Pool pool(file.fd(), size, 20);
	REQUIRE(mpool_truncate(pool, 4) == 0);
	int ready[2];
	REQUIRE(pipe(ready) == 0);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		char byte;
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 0)
			_exit(1);
		pool.modify(1, 2);
		_exit(mpool_sync(pool) == 0 ? 0 : 2);
	}
	close(ready[0]);
	for (pgno_t i = 4, made; i < 8; i++) {
		pool.put(pool.make(made));
		pool.modify(made, 1);
	}
	pool.sync();
	close(ready[1]);
	int status;
	REQUIRE(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
	CHECK(file.length() == off_t{8} * static_cast<off_t>(size));
	for (pgno_t i = 4; i < 8; i++)
		CHECK(file.holds(i, 1));
	CHECK(file.holds(1, 2));
}

TEST_CASE("the child of a fork has its pool's file cut, or as it was, whatever its parent was at")
{
	File file(size, pages);
	Pool pool(file.fd(), size, 64);
	std::atomic<bool> stop{false};
	pool.touch(0, pages);
	Threads cutter;
	cutter.start([&] {
		for (uint64_t n = 0; !stop; n++) {
			must(mpool_truncate(pool, n % 2 ? pages : 5) == 0);
			for (pgno_t i = 0; i < (n % 2 ? pages : 5); i++)
				must(mpool_put(pool, mpool_get(pool, i, 0), MPOOL_DIRTY) == 0);
		}
	});
	int result = 0;
	for (int i = 0; i < 30 && result == 0; i++)
		result = in_child([&] {
			for (pgno_t p = 0; p < pages; p++) {
				void *page = mpool_get(pool, p, 0);
				must(page || (p >= 5 && errno == EINVAL));
				if (page)
					must(mpool_put(pool, page, 0) == 0);
			}
			return 0;
		});
	stop = true;
	cutter.join();
	REQUIRE(result == 0);
}
