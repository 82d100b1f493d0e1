// test_stopped.cpp - a thread that is stopped at any instruction of a hit, a put
// or an eviction delays nobody, and nobody takes anything from it meanwhile.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <csignal>
#include <map>

#include <pthread.h>

using namespace test;

namespace {

constexpr pgno_t page_size = 512;

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

// How often it was done.
size_t freeze_often(size_t times, const std::function<void(unsigned)> &victim, const std::function<void()> &others)
{
	const unsigned victims = 2;
	Freezer freezer;
	std::atomic<bool> done{false};
	std::atomic<pthread_t> ids[victims];
	std::atomic<uint64_t> steps[victims] = {};
	uint64_t seen[victims] = {};
	Gate ready;
	Threads threads;
	for (unsigned t = 0; t < victims; t++)
		threads.start([&, t] {
			ids[t] = pthread_self();
			ready.pass();
			for (; !done; steps[t]++)
				victim(t);
		});
	ready.await(victims);
	ready.open();
	Random random(1);
	Rounds rounds(times);
	for (size_t n = 0; rounds.more(); n++) {
		// It has gone on since the last time: whoever is let go has no processor yet.
		while (steps[n % victims] == seen[n % victims])
			std::this_thread::yield();
		seen[n % victims] = steps[n % victims];
		for (uint64_t spin = random.below(3000); spin > 0; spin--)
			__asm__ volatile("");
		freezer.during(ids[n % victims], others);
	}
	done = true;
	threads.join();
	return rounds.done();
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
	uint64_t others = 0; // misses, each of them
	const size_t times = freeze_often(
		500,
		[&](unsigned t) {
			for (int n = 0; n < 50; n++) {
				void *page = mpool_get(pool, t, 0);
				report.check(page && is(page, 16, t, 0), "the page that was got");
				report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
			}
		},
		[&] {
			// As many at once as there are frames: nothing else can stay but what is pinned.
			for (pgno_t first = 10; first < 10 + 6 * maxcache; first += maxcache) {
				void *pages[maxcache];
				for (pgno_t i = 0; i < maxcache; i++, others++) {
					pages[i] = mpool_get(pool, first + i, 0);
					report.check(pages[i] && is(pages[i], page_size, first + i, 0), "bytes");
				}
				for (void *page : pages)
					report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
			}
		});
	report.require_none();
	CHECK(pool.stats().misses > others + times / 20); // what is hit did leave memory, when it was not pinned
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("a put of another's pin, stopped at any instruction, finds a pin wherever it has gone meanwhile")
{
	if (sanitized) {
		WARN("skipped: sanitizers put signals off, to where they are not in the way");
		return;
	}
	// The helper pins the page, for the putter.  While the putter looks for these
	// pins this thread, the pool's first, gets the page as often, and the helper,
	// its last, puts them: all pins are there all the time, but, for one who looks
	// from the first to the last, behind him.
	const unsigned between = 300, pins = 50;
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 10);
	void *page = pool.get(1);
	pool.put(page);
	Report report;
	Gate attached, over;
	Threads threads;
	for (unsigned n = 0; n < between; n++)
		threads.start([&] {
			report.check(mpool_put(pool, mpool_get(pool, 2, 0), 0) == 0, "mpool_put");
			attached.pass();
			over.pass();
		});
	attached.await(between);

	enum Task { none, get, put, end };
	struct Worker {
		std::atomic<Task> task{none};
		std::atomic<unsigned> left{0}; // of the task
		void begin(Task what, unsigned times)
		{
			left = times;
			task = what;
		}
		void finish()
		{
			while (task != none)
				std::this_thread::yield();
		}
	} helper, putter;
	auto serve = [&](Worker &me) {
		for (;;) {
			while (me.task == none)
				std::this_thread::yield();
			if (me.task == end)
				return;
			for (; me.left > 0; me.left--)
				if (me.task == get)
					report.check(mpool_get(pool, 1, 0) == page, "one address");
				else
					report.check(mpool_put(pool, page, 0) == 0, "put of a pin that is there");
			me.task = none;
		}
	};
	std::atomic<pthread_t> putter_id;
	Gate ready;
	threads.start([&] {
		putter_id = pthread_self();
		ready.pass();
		serve(putter);
	});
	threads.start([&] {
		ready.pass();
		serve(helper);
	});
	ready.await(2);
	ready.open();

	Freezer freezer;
	Random random(1);
	Rounds rounds(200);
	for (unsigned n = 0; rounds.more() && !report.any(); n++) {
		helper.begin(get, pins);
		helper.finish();
		putter.begin(put, pins);
		while (putter.left > pins - 1 - n % (pins / 2))
			;
		for (uint64_t spin = random.below(3000); spin > 0; spin--)
			__asm__ volatile("");
		freezer.during(putter_id, [&] {
			unsigned left = putter.left;
			for (unsigned i = 0; i < left; i++)
				report.check(mpool_get(pool, 1, 0) == page, "one address");
			helper.begin(put, left);
			helper.finish();
		});
		putter.finish();
	}
	putter.begin(end, 0);
	helper.begin(end, 0);
	attached.open();
	over.open();
	threads.join();
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
