// test_progress.cpp - a thread that is stopped delays nobody: not inside a read,
// a write-back or a filter, and not at any instruction of a hit or an eviction.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <csignal>
#include <map>

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
	threads.start([&] {
		void *page = mpool_get(pool, 7, 0);
		report.check(page && is(page, page_size, 7, 0), "the page whose read was stopped");
		report.check(page && mpool_put(pool, page, 0) == 0, "its put");
	});
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
			void *page = mpool_get(pool, i, 0);
			report.check(page && is(page, page_size, i, 0), "mpool_get that was stopped");
			report.check(page && mpool_put(pool, page, 0) == 0, "its put");
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
		void *page = mpool_get(pool, 7, 0);
		report.check(page && is(page, page_size, 7, 0), "the page whose filter was stopped");
		report.check(page && mpool_put(pool, page, 0) == 0, "its put");
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
			void *page = mpool_get(pool, 7, 0);
			report.check(page && is(page, page_size, 7, 0), "mpool_get");
			report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
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

// ---- Threads stopped at any instruction ------------------------------------

namespace {

// A thread that stands still from a signal until it is let go.
struct Freezer {
	static int let_go[2]; // a pipe
	static std::atomic<bool> frozen;

	static void handler(int)
	{
		int saved = errno;
		frozen.store(true);
		char byte;
		while (read(let_go[0], &byte, 1) < 0 && errno == EINTR)
			;
		errno = saved;
	}

	Freezer()
	{
		REQUIRE(pipe2(let_go, O_CLOEXEC) == 0);
		struct sigaction action = {};
		action.sa_handler = handler;
		action.sa_flags = SA_RESTART;
		REQUIRE(sigaction(SIGUSR1, &action, &old_) == 0);
	}
	~Freezer()
	{
		sigaction(SIGUSR1, &old_, nullptr);
		close(let_go[0]);
		close(let_go[1]);
	}

	template <class F> void during(pthread_t thread, F f)
	{
		frozen = false;
		REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
		while (!frozen)
			std::this_thread::yield();
		f();
		REQUIRE(write(let_go[1], "", 1) == 1);
	}

private:
	struct sigaction old_;
};

int Freezer::let_go[2];
std::atomic<bool> Freezer::frozen{false};

void freeze_often(size_t times, const std::function<void(unsigned)> &victim, const std::function<void()> &others)
{
	const unsigned victims = 2;
	Freezer freezer;
	std::atomic<bool> done{false};
	std::atomic<pthread_t> ids[victims];
	Gate ready;
	Threads threads;
	for (unsigned t = 0; t < victims; t++)
		threads.start([&, t] {
			ids[t] = pthread_self();
			ready.pass();
			while (!done)
				victim(t);
		});
	ready.await(victims);
	ready.open();
	Random random(1);
	for (size_t n = 0; n < times; n++) {
		for (uint64_t spin = random.below(3000); spin > 0; spin--)
			__asm__ volatile("");
		freezer.during(ids[n % victims], others);
	}
	done = true;
	threads.join();
}

} // namespace

TEST_CASE("a thread stopped at any instruction of a hit delays no other hit, miss or put")
{
	if (sanitized) {
		WARN("skipped: sanitizers put signals off, to where they are not in the way");
		return;
	}
	File file(page_size, 200);
	Pool pool(file.fd(), page_size, 40);
	pool.touch(0, 20);
	Report report;
	pgno_t next = 50;
	freeze_often(
	    600,
	    [&](unsigned) {
		    for (pgno_t i = 0; i < 12; i++) {
			    void *page = mpool_get(pool, i, 0);
			    report.check(page && mpool_put(pool, page, i % 5 ? 0 : MPOOL_DIRTY) == 0, "mpool_put");
		    }
	    },
	    [&] {
		    for (pgno_t i = 0; i < 12; i++) {
			    void *page = mpool_get(pool, i, 0);
			    report.check(page && is(page, page_size, i, 0), "bytes");
			    report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
		    }
		    void *page = mpool_get(pool, next, 0);
		    report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
		    next = next == 199 ? 50 : next + 1;
	    });
	report.require_none();
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("a thread stopped at any instruction of a hit has the page or has it not, whatever is evicted meanwhile")
{
	if (sanitized) {
		WARN("skipped: sanitizers put signals off, to where they are not in the way");
		return;
	}
	const pgno_t maxcache = 6;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, maxcache);
	Report report;
	freeze_often(
	    500,
	    [&](unsigned t) {
		    for (int n = 0; n < 50; n++) {
			    void *page = mpool_get(pool, t, 0);
			    report.check(page && is(page, 16, t, 0), "the page that was got");
			    report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
		    }
	    },
	    [&] {
		    for (pgno_t i = 10; i < 10 + 6 * maxcache; i++) {
			    void *page = mpool_get(pool, i, 0);
			    report.check(page && is(page, page_size, i, 0), "bytes");
			    report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
		    }
	    });
	report.require_none();
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("a thread stopped at any instruction of a miss, an eviction or a put delays no other page's")
{
	if (sanitized) {
		WARN("skipped: sanitizers put signals off, to where they are not in the way");
		return;
	}
	const pgno_t maxcache = GENERATE(8u, 100u, 1000u);
	CAPTURE(maxcache);
	const pgno_t each = maxcache; // pages of one thread; two and the others have three times the pool
	File file(page_size, 3 * each);
	Pool pool(file.fd(), page_size, maxcache);
	Report report;
	std::map<unsigned, Random> random;
	for (unsigned t = 0; t < 3; t++)
		random.emplace(t, Random(t));
	// No page of one is got by another, so nobody may have to wait.
	auto churn = [&](unsigned t, int n) {
		Random &r = random.at(t);
		for (; n > 0; n--) {
			pgno_t pgno = static_cast<pgno_t>(t * each + r.below(each));
			void *page = mpool_get(pool, pgno, 0);
			report.check(page && is(page, page_size, pgno, 0), "bytes");
			report.check(page && mpool_put(pool, page, n % 3 ? 0 : MPOOL_DIRTY) == 0, "mpool_put");
		}
	};
	churn(0, 1000);
	freeze_often(400, [&](unsigned t) { churn(t, 10); }, [&] { churn(2, 40); });
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, 3 * each);
	CHECK(pool.stats().overflow == 0);
	pool.sync();
}
