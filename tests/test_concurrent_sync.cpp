// test_concurrent_sync.cpp - sync and filters while other threads get, put and
// evict: what was put before a sync is in the file after it, and no page ever
// shows the file's form.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>

#include <sys/syscall.h>
#include <unistd.h>

#include "fault_io.hpp"

using namespace test;

namespace {

constexpr size_t words = 32;
constexpr size_t page_size = words * 8;

// Each word is written whole, as the versions of a page go up.
void write_words(void *page, uint64_t value)
{
	uint64_t *w = static_cast<uint64_t *>(page);
	for (size_t i = 0; i < words; i++)
		__atomic_store_n(w + i, value, __ATOMIC_RELAXED);
}

} // namespace

TEST_CASE("every modification put before a sync is in the file after it")
{
	const pgno_t maxcache = GENERATE(4u, 1000u);
	CAPTURE(maxcache);
	const size_t syncs = shrink(150);
	const pgno_t pages = 60;
	const unsigned writers = 3;
	File file(page_size);
	file.truncate(page_size * pages);
	Pool pool(file.fd(), page_size, maxcache);
	Report report;
	std::vector<std::atomic<uint64_t>> put(pages);
	std::atomic<bool> done{false};
	run_threads(writers + 1, [&](unsigned t) {
		if (t < writers) {
			Random random(t);
			while (!done && !report.any()) {
				pgno_t pgno = static_cast<pgno_t>(random.below(pages / writers) * writers + t);
				uint64_t version = put[pgno].load(std::memory_order_relaxed) + 1;
				void *page = mpool_get(pool, pgno, 0);
				if (!report.check(page != nullptr, "mpool_get"))
					return;
				write_words(page, version);
				report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
				put[pgno].store(version, std::memory_order_release);
			}
			return;
		}
		Fd other = file.reopen(O_RDONLY);
		for (size_t n = 0; n < syncs && !report.any(); n++) {
			std::vector<uint64_t> before(pages);
			for (pgno_t i = 0; i < pages; i++)
				before[i] = put[i].load(std::memory_order_acquire);
			report.check(mpool_sync(pool) == 0, "mpool_sync");
			for (pgno_t i = 0; i < pages; i++) {
				uint64_t page[words];
				report.check(pread(other, page, page_size, i * page_size) == page_size, "pread");
				for (uint64_t word : page)
					report.check(word >= before[i], "an older version is in the file");
			}
		}
		done = true;
	});
	report.require_none();
	pool.sync();
	for (pgno_t i = 0; i < pages; i++) {
		uint64_t page[words];
		REQUIRE(pread(file.fd(), page, page_size, i * page_size) == page_size);
		for (uint64_t word : page)
			REQUIRE(word == put[i]);
	}
}

TEST_CASE("a page modified under a long pin while others sync is in the file at last")
{
	const size_t rounds = shrink(2000);
	File file(page_size);
	file.truncate(page_size * 8);
	Pool pool(file.fd(), page_size, 4);
	Report report;
	std::atomic<bool> done{false};
	run_threads(3, [&](unsigned t) {
		if (t == 0) {
			while (!done)
				report.check(mpool_sync(pool) == 0, "mpool_sync");
			return;
		}
		void *page = mpool_get(pool, t, 0);
		for (uint64_t n = 1; n <= rounds; n++) {
			// Marked, still pinned, and modified again.
			report.check(mpool_get(pool, t, 0) == page, "mpool_get");
			write_words(page, 2 * n);
			report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
			write_words(page, 2 * n + 1);
		}
		report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
		if (t == 1)
			done = true;
	});
	report.require_none();
	pool.sync();
	for (pgno_t i : {1u, 2u}) {
		uint64_t page[words];
		REQUIRE(pread(file.fd(), page, page_size, i * page_size) == page_size);
		for (uint64_t word : page)
			REQUIRE(word == 2 * rounds + 1);
	}
}

TEST_CASE("threads that sync at once all succeed, and all their pages are in the file")
{
	const size_t rounds = shrink(100);
	File file(512, 40);
	Pool pool(file.fd(), 512, 10);
	Report report;
	run_threads(4, [&](unsigned t) {
		Fd other = file.reopen(O_RDONLY);
		for (unsigned version = 1; version <= rounds && !report.any(); version++) {
			for (pgno_t i = t; i < 40; i += 4) {
				if (!write_version(report, pool, i, version))
					return;
			}
			report.check(mpool_sync(pool) == 0, "mpool_sync");
			for (pgno_t i = t; i < 40; i += 4)
				report.check(
					is(file.read_page(other, i).data(), 512, i, version), "the page in the file");
		}
	});
	report.require_none();
	CHECK(pool.stats().dirty == 0);
}

namespace {

void cipher(void *, pgno_t pgno, void *page)
{
	unsigned char *p = static_cast<unsigned char *>(page);
	for (size_t i = 0; i < page_size; i++)
		p[i] ^= static_cast<unsigned char>(0xa5 + pgno + 7 * i);
}

} // namespace

TEST_CASE("no page ever shows the file's form while others sync and evict")
{
	const pgno_t maxcache = GENERATE(4u, 30u, 100u);
	CAPTURE(maxcache);
	const size_t rounds = shrink(15000);
	const pgno_t pages = 60;
	File file(page_size);
	for (pgno_t i = 0; i < pages; i++) {
		char page[page_size];
		fill(page, page_size, i, 0);
		cipher(nullptr, i, page);
		REQUIRE(pwrite(file.fd(), page, page_size, i * page_size) == page_size);
	}
	Pool pool(file.fd(), page_size, maxcache);
	mpool_filter(pool, cipher, cipher, nullptr);
	Report report;
	std::atomic<unsigned> reading{3};
	std::atomic<unsigned> syncs{0};
	run_threads(5, [&](unsigned t) {
		Random random(t);
		if (t == 0) {
			while (reading > 0 && !report.any()) {
				report.check(mpool_sync(pool) == 0, "mpool_sync");
				syncs++;
			}
			return;
		}
		for (size_t n = 0; (t == 1 ? reading > 0 : n < rounds || syncs < 20) && !report.any(); n++) {
			pgno_t pgno = static_cast<pgno_t>(random.below(pages));
			void *page = mpool_get(pool, pgno, 0);
			if (!report.check(page != nullptr, "mpool_get"))
				break;
			for (int look = 0; look < 3; look++)
				report.check(is(page, page_size, pgno, 0), "the memory's form");
			// Marked without being changed, so that readers may look meanwhile.
			report.check(mpool_put(pool, page, t == 1 || n % 4 == 0 ? MPOOL_DIRTY : 0) == 0, "mpool_put");
		}
		if (t != 1)
			reading--;
	});
	report.require_none();
	CHECK(pool.stats().writes > 0);
	pool.sync();
	for (pgno_t i = 0; i < pages; i++) {
		std::vector<char> page = file.read_page(i);
		REQUIRE(page.size() == page_size);
		cipher(nullptr, i, page.data());
		REQUIRE(is(page.data(), page_size, i, 0));
	}
}

TEST_CASE("filters run on several threads at once for different pages")
{
	// If they did not, this would wait for ever.
	struct Meeting {
		std::mutex mutex;
		std::condition_variable changed;
		unsigned here = 0;
	} meeting;
	File file(512, 8);
	Pool pool(file.fd(), 512, 8);
	mpool_filter_t *meet = [](void *cookie, pgno_t, void *) {
		Meeting *m = static_cast<Meeting *>(cookie);
		std::unique_lock<std::mutex> lock(m->mutex);
		m->here++;
		m->changed.notify_all();
		m->changed.wait(lock, [&] { return m->here >= 4; });
	};
	mpool_filter(pool, meet, nullptr, &meeting);
	Report report;
	run_threads(4, [&](unsigned t) {
		void *page = mpool_get(pool, t, 0);
		report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
	});
	report.require_none();
}

TEST_CASE("mpool_sync ends beside a thread that gets the page again and again while it is copied")
{
	// So large that each copy takes much longer than the getter stays away.
	const pgno_t size = sanitized ? 4 << 20 : 256 << 20;
	File file;
	file.truncate(size);
	Pool pool(file.fd(), size, 2);
	Report report;
	std::atomic<bool> over{false};
	Threads threads;
	threads.start([&] {
		while (!over) {
			report.check(mpool_put(pool, mpool_get(pool, 0, 0), 0) == 0, "mpool_put");
			// Seldom there when sync looks, always there before it has copied.
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
		}
	});
	for (int n = 0; n < 3; n++) {
		void *page = pool.get(0);
		static_cast<char *>(page)[n] = 1;
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		char byte = 0;
		CHECK(pread(file.fd(), &byte, 1, n) == 1);
		CHECK(byte == 1);
	}
	over = true;
	threads.join();
	report.require_none();
}

namespace {

// One call for each thread, of its own page; half of them of all.
int commit(const Pool &pool, unsigned t)
{
	return t % 2 ? mpool_sync(pool) : static_cast<int>(mpool_sync_range(pool, t, 1, MPOOL_WRITE | MPOOL_FLUSH));
}

// Threads that sync while another is in a flush, which then ends; they need one more.
struct Together {
	static constexpr unsigned threads = 8;
	File file{page_size, threads + 1};
	Pool pool{file.fd(), page_size, threads + 1};
	Report report;
	Gate in_first;
	std::vector<std::atomic<pid_t>> tids = std::vector<std::atomic<pid_t>>(threads);
	std::atomic<unsigned> failed{0};

	// Of the first flush, of the one after it; the number of flushes.
	unsigned run(bool first_fails, bool second_fails)
	{
		std::atomic<unsigned> flushes{0};
		fault::Script script(file.fd(), [&](const fault::Call &call) {
			if (call.op != fault::Op::sync)
				return fault::real();
			unsigned nth = flushes++;
			if (nth == 0)
				in_first.pass();
			bool fails = (nth == 0 && first_fails) || (nth == 1 && second_fails);
			return fails ? fault::error(EIO) : fault::real();
		});
		Threads syncing;
		pool.modify(threads, 1);
		syncing.start([&] { report.check((mpool_sync(pool) != 0) == first_fails, "the first mpool_sync"); });
		in_first.await(1);
		for (unsigned t = 0; t < threads; t++)
			syncing.start([&, t] {
				report.check(write_version(report, pool, t, 1), "a modification");
				tids[t] = static_cast<pid_t>(syscall(SYS_gettid));
				if (commit(pool, t) != 0) {
					report.check(errno == EIO, "errno");
					failed++;
				}
			});
		await_sleep(tids);
		in_first.open();
		syncing.join();
		report.require_none();
		return flushes;
	}
};

} // namespace

TEST_CASE("those who sync while another flushes share one flush")
{
	Together t;
	CHECK(t.run(false, false) == 2);
	CHECK(t.failed == 0);
	for (pgno_t i = 0; i < Together::threads; i++)
		CHECK(t.file.holds(i, 1));
	CHECK(t.pool.stats().dirty == 0);
}

TEST_CASE("those who share a flush share its failure")
{
	Together t;
	CHECK(t.run(false, true) == 2);
	CHECK(t.failed == Together::threads);
	// What they wrote is modified again.
	CHECK(t.pool.stats().dirty == Together::threads);
	uint64_t writes = t.pool.stats().writes;
	t.pool.sync();
	CHECK(t.pool.stats().writes - writes == Together::threads);
}

TEST_CASE("who wrote while a flush failed that was to cover others is not told that all is well")
{
	Together t;
	CHECK(t.run(true, false) <= 2);
	CHECK(t.failed == Together::threads);
	CHECK(t.pool.stats().dirty == Together::threads + 1);
	t.pool.sync();
	CHECK(t.pool.stats().dirty == 0);
}
