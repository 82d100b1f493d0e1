// test_progress.cpp - a thread that is stopped inside a read, a write-back, an
// fsync or a filter delays nobody else.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <csignal>

#include <pthread.h>

#include "fault_io.hpp"

using namespace test;

namespace {

constexpr pgno_t page_size = 512;

// What the others do meanwhile: hits, puts, misses that evict, new pages.
void work(const Pool &pool, void *pinned, pgno_t hot, pgno_t from, pgno_t to)
{
	for (int n = 0; n < 3; n++) {
		for (pgno_t i = from; i < to; i++) {
			REQUIRE(pool.shows(i, 0));
			REQUIRE(pool.get(hot) == pinned);
			pool.put(pinned);
		}
		pgno_t pgno;
		void *page = pool.make(pgno);
		REQUIRE(all_bytes(page, page_size, 0));
		pool.put(page);
		pool.stats();
	}
}

} // namespace

TEST_CASE("while a thread is stopped inside a read, hits, puts and other misses go on")
{
	const pgno_t maxcache = GENERATE(1u, 3u, 64u);
	CAPTURE(maxcache);
	File file(page_size, 300);
	Pool pool(file.fd(), page_size, maxcache);
	Gate gate;
	Report report;
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (call.op == fault::Op::read && call.covers(7, page_size))
			gate.pass();
		return fault::real();
	});
	void *pinned = pool.get(0), *other = pool.get(1);
	Threads threads;
	threads.start([&] { visit(report, pool, 7); });
	gate.await(1);
	pool.put(other, MPOOL_DIRTY);
	work(pool, pinned, 0, 100, 300);
	run_threads(1, [&](unsigned) { report.check(mpool_put(pool, pinned, 0) == 0, "put by another thread"); });
	gate.open();
	threads.join();
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.shows(7, 0));
}

TEST_CASE("while a thread is stopped inside a write-back, the page can be got and changed, and evictions go on")
{
	const pgno_t maxcache = GENERATE(2u, 4u, 64u, 256u);
	const bool by_sync = GENERATE(false, true);
	CAPTURE(maxcache, by_sync);
	File file(page_size, 1000);
	Pool pool(file.fd(), page_size, maxcache);
	Report report;
	for (pgno_t i = 0; i < maxcache; i++)
		pool.modify(i, 1);
	REQUIRE(pool.stats().writes == 0);

	Gate gate;
	std::atomic<bool> stopped{false};
	off_t offset = 0;
	size_t bytes = 0;
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (call.op == fault::Op::write && !stopped.exchange(true)) {
			offset = call.offset;
			bytes = call.bytes;
			gate.pass();
		}
		return fault::real();
	});
	Threads threads;
	threads.start([&] {
		if (by_sync) {
			report.check(mpool_sync(pool) == 0, "mpool_sync that was stopped");
			return;
		}
		for (pgno_t i = 900; !stopped && i < 1000; i++) {
			visit(report, pool, i);
		}
	});
	gate.await(1);
	const pgno_t first = static_cast<pgno_t>(offset / page_size);
	const pgno_t end = first + static_cast<pgno_t>(bytes / page_size);
	REQUIRE(first < end);
	REQUIRE(end <= maxcache);

	uint64_t reads = script.reads();
	std::vector<void *> got;
	for (pgno_t i = first; i < end; i++) {
		got.push_back(pool.get(i));
		REQUIRE(is(got.back(), page_size, i, 1));
	}
	CHECK(script.reads() == reads);
	// Changed while its older bytes are on their way to the file.
	fill(got[0], page_size, first, 2);
	pool.put(got[0], MPOOL_DIRTY);
	REQUIRE(pool.get(first) == got[0]);
	work(pool, got[0], first, 300, 800);
	for (pgno_t i = first + 1; i < end; i++)
		REQUIRE(is(got[i - first], page_size, i, 1));
	for (void *page : got)
		pool.put(page);
	gate.open();
	threads.join();
	report.require_none();

	pool.sync();
	for (pgno_t i = 0; i < maxcache; i++)
		REQUIRE(file.holds(i, i == first ? 2 : 1));
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().pinned == 0);
	pool.touch(300, 900);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("while a thread is stopped inside a filter, others go on")
{
	struct Stop {
		Gate gate;
		std::atomic<bool> in{false}, out{false};
	} stop;
	const bool out = GENERATE(false, true);
	CAPTURE(out);
	File file(page_size, 300);
	Pool pool(file.fd(), page_size, 16);
	mpool_filter(
		pool,
		[](void *cookie, pgno_t, void *) {
			Stop *s = static_cast<Stop *>(cookie);
			if (s->in.exchange(false))
				s->gate.pass();
		},
		[](void *cookie, pgno_t, void *) {
			Stop *s = static_cast<Stop *>(cookie);
			if (s->out.exchange(false))
				s->gate.pass();
		},
		&stop);
	Report report;
	void *pinned = pool.get(0);
	pool.modify(1, 0);
	(out ? stop.out : stop.in) = true;
	Threads threads;
	threads.start([&] {
		if (out) {
			report.check(mpool_sync(pool) == 0, "mpool_sync that was stopped");
			return;
		}
		visit(report, pool, 7);
	});
	stop.gate.await(1);
	work(pool, pinned, 0, 100, 300);
	REQUIRE(pool.shows(1, 0));
	stop.gate.open();
	threads.join();
	report.require_none();
	pool.put(pinned);
}

TEST_CASE("while a sync is stopped inside fsync, others go on")
{
	File file(page_size, 300);
	Pool pool(file.fd(), page_size, 16);
	Gate gate;
	std::atomic<bool> stopped{false};
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (call.op == fault::Op::sync && !stopped.exchange(true))
			gate.pass();
		return fault::real();
	});
	Report report;
	void *pinned = pool.get(0);
	for (pgno_t i = 1; i < 10; i++)
		pool.modify(i, 1);
	Threads threads;
	threads.start([&] { report.check(mpool_sync(pool) == 0, "mpool_sync that was stopped"); });
	gate.await(1);
	work(pool, pinned, 0, 100, 300);
	for (pgno_t i = 1; i < 10; i++)
		pool.modify(i, 2);
	gate.open();
	threads.join();
	report.require_none();
	pool.put(pinned);
	pool.sync();
	for (pgno_t i = 1; i < 10; i++)
		REQUIRE(file.holds(i, 2));
}

TEST_CASE("signals do not end a wait for another thread's read")
{
	struct sigaction action = {}, old;
	action.sa_handler = [](int) {};
	REQUIRE(sigaction(SIGUSR2, &action, &old) == 0); // and calls are not restarted
	const unsigned count = 8;
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 3);
	Gate gate;
	Report report;
	fault::Script script(file.fd(), [&](const fault::Call &) {
		gate.pass();
		return fault::real();
	});
	std::atomic<unsigned> calling{0}, done{0};
	std::atomic<pthread_t> ids[count];
	Threads threads;
	for (unsigned t = 0; t < count; t++)
		threads.start([&, t] {
			ids[t] = pthread_self();
			calling++;
			visit(report, pool, 7);
			done++;
		});
	gate.await(1);
	while (calling < count)
		std::this_thread::yield();
	for (unsigned n = 0; n < 50 * count; n++) {
		REQUIRE(pthread_kill(ids[n % count], SIGUSR2) == 0);
		std::this_thread::yield();
	}
	CHECK(done == 0);
	gate.open();
	threads.join();
	report.require_none();
	CHECK(script.reads() == 1);
	sigaction(SIGUSR2, &old, nullptr);
}
