// test_sweep.cpp - every read, write and fsync of a set of workloads fails in
// turn, and comes short, and is interrupted: sweep.hpp says what must be true
// after each.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/syscall.h>

#include "seccomp.hpp"
#include "sweep_child.hpp"

using namespace sweep;
using test::sanitized;

namespace {

// Fewer cases than these are not the sweep that this is meant to be.
constexpr uint64_t least_io = test::slow ? 400 : 7900, least_memory = sanitized ? 40 : 450,
		   least_hooks = test::slow ? 40 : 250;

// Under ThreadSanitizer, ten times slower, calls at that distance fail, elsewhere
// every one; and what takes thousands of pages is for neither sanitizer.
uint64_t stride_of(const Workload &work)
{
	return !test::slow ? 1 : work.shape.pages >= 100 ? 29 : 5;
}
constexpr pgno_t most_pages = sanitized ? 1000 : MAX_PAGE_NUMBER;

uint64_t sweep_io()
{
	uint64_t cases = 0;
	for (const Workload &work : small)
		for (const Fault &fault : io_faults)
			cases += every_call(work, fault, stride_of(work));
	for (const Workload &work : large)
		for (const Fault &fault : io_faults)
			if (fault.kind == Fault::fsyncs && work.shape.maxcache < 10000 && !sanitized)
				cases += every_call(work, fault);
	return cases;
}

uint64_t sweep_hooks()
{
	uint64_t cases = 0;
	for (const Workload &work : small)
		for (const Fault &fault : hook_faults)
			cases += work.shape.hooks ? every_call(work, fault, stride_of(work)) : 0;
	return cases;
}

uint64_t sweep_memory()
{
	uint64_t cases = 0;
	for (const std::vector<Workload> *works : {&small, &large})
		for (const Workload &work : *works)
			for (const std::vector<Fault> *faults : {&memory_faults, &advice_faults})
				for (const Fault &fault : *faults)
					if (work.shape.pages <= most_pages)
						cases += every_call(work, fault, sanitized && works == &large ? 5 : 1);
	return cases;
}

} // namespace

TEST_CASE("each read, write and fsync fails in turn")
{
	uint64_t cases = sweep_io();
	WARN(cases << " cases");
	CHECK(cases >= least_io);
}

TEST_CASE("each call of a hook is refused in turn")
{
	uint64_t cases = sweep_hooks();
	WARN(cases << " cases");
	CHECK(cases >= least_hooks);
}

TEST_CASE("each request for memory is refused in turn")
{
	uint64_t cases = sweep_memory();
	WARN(cases << " cases");
	CHECK(cases >= least_memory);
}

TEST_CASE("the memory of a small pool is given back as it was had, whole")
{
	test::File file(512, 20);
	test::Pool(file.fd(), 512, 4).touch(0, 1); // what a thread has of all pools
	const fault::Held before = fault::held();
	for (pgno_t frames : {1u, 4u, 16u}) {
		CAPTURE(frames);
		test::Pool pool(file.fd(), 512, frames);
		CHECK(fault::held().blocks > before.blocks);
		pool.modify(3, 1);
		pool.touch(0, 20);
		REQUIRE(pool.close() == 0);
		CHECK(fault::held() == before);
	}
}

TEST_CASE("in a process that never used a pool no key can be had, at first", "[.fresh]")
{
	test::File file(512, 4);
	test::Pool pool(file.fd(), 512, 2);
	{
		fault::Refusal refusal(fault::Ask::key, 0, 3);
		for (int n = 0; n < 3; n++)
			REQUIRE_NULL(mpool_get(pool, 0, 0), ENOMEM);
		REQUIRE(refusal.asked() == 3);
	}
	REQUIRE(pool.shows(0, 0));
}

TEST_CASE("the key that tells of a thread's end is refused, and the next call has one")
{
	// It is asked for once in the life of a process, so this needs a new one.
	int result = test::in_child([] {
		execl("/proc/self/exe", "test_sweep", "[.fresh]", static_cast<char *>(nullptr));
		return 1;
	});
	REQUIRE(result == 0);
}

namespace {

// One thread gets page 10 and fails, stopped in the middle by `in_call`; another
// waits for the page meanwhile, and gets it.
thread_local bool is_first = false;

struct Waiter {
	test::Report report;
	test::Gate in_call;
	test::Threads threads;

	template <class Before> void run(const test::Pool &pool, int error, Before before)
	{
		std::atomic<bool> known{false}, calling{false};
		threads.start([&] {
			// The pool knows this thread before: it needs no more memory.  By a page that the
			// other one gets as well, so that there is none that needs no write to go.
			void *page = mpool_get(pool, 0, 0);
			report.check(page && mpool_put(pool, page, 0) == 0, "the waiter's first get");
			known = true;
			in_call.await(1);
			calling = true;
			page = mpool_get(pool, 10, 0);
			report.check(page && is_right(pool, page), "the get that waited");
		});
		while (!known)
			std::this_thread::yield();
		threads.start([&, error] {
			is_first = true;
			before();
			errno = 0;
			report.check(!mpool_get(pool, 10, 0) && errno == error, "the get that fails");
		});
		while (!calling)
			std::this_thread::yield();
		for (int n = 0; n < 100; n++)
			std::this_thread::yield(); // so that it waits, most times
		in_call.open();
		threads.join();
		report.require_none();
	}

	static bool is_right(const test::Pool &pool, void *page)
	{
		return test::is(page, 512, 10, 0) && mpool_put(pool, page, 0) == 0;
	}
};

} // namespace

TEST_CASE("who waits for a page that another thread cannot make room for makes it, and gets the page")
{
	for (size_t round = 0; round < test::shrink(50); round++) {
		test::File file(512, 20);
		test::Pool pool(file.fd(), 512, 2);
		Waiter waiter;
		{
			fault::Script script(file.fd(), [&](const fault::Call &call) {
				if (call.op != fault::Op::write || !is_first)
					return fault::real();
				waiter.in_call.pass();
				return fault::error(ENOSPC);
			});
			waiter.run(pool, ENOSPC, [&] {
				for (pgno_t i = 0; i < 2; i++) {
					void *page = mpool_get(pool, i, 0);
					test::fill(page, 512, i, 1);
					waiter.report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
				}
			});
		}
		CHECK(pool.stats().pinned == 0);
		CHECK(pool.shows(0, 1));
		CHECK(pool.shows(1, 1));
		pool.sync();
		CHECK(pool.stats().overflow == 0);
		REQUIRE(file.holds(0, 1));
		REQUIRE(file.holds(1, 1));
	}
}

TEST_CASE("who waits for a page that another thread has no memory to pin reads it again")
{
	for (size_t round = 0; round < test::shrink(50); round++) {
		test::File file(512, 20);
		test::Pool pool(file.fd(), 512, 20);
		Waiter waiter;
		std::atomic<bool> stopped{false};
		const pgno_t slots = 8; // pins that need no memory of a thread's own
		fault::Script script(file.fd(), [&](const fault::Call &call) {
			if (call.covers(10, 512) && !stopped.exchange(true))
				waiter.in_call.pass();
			return fault::real();
		});
		std::unique_ptr<fault::Refusal> refusal;
		waiter.run(pool, ENOMEM, [&] {
			for (pgno_t i = 0; i < slots; i++)
				waiter.report.check(mpool_get(pool, i, 0) != nullptr, "a pin");
			refusal = std::make_unique<fault::Refusal>(fault::Ask::memory, 0, 1);
		});
		refusal.reset();
		CHECK(script.reads() == slots + 2); // page 10 twice
		CHECK(pool.stats().pinned == slots);
		REQUIRE(pool.shows(10, 0));
	}
}

namespace {

// Its pools use fences. 0: it cannot be done here.
uint64_t without_membarrier(uint64_t (*sweep)())
{
	if (!test::can_filter()) {
		WARN("skipped: this kernel has no seccomp");
		return 0;
	}
	return in_child([&] {
		if (!test::install_filter({SYS_membarrier}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW))
			throw Wrong("no filter");
		return sweep();
	});
}

} // namespace

TEST_CASE("where the kernel refuses membarrier each read, write and fsync fails in turn")
{
	uint64_t cases = without_membarrier(sweep_io);
	WARN(cases << " cases");
	CHECK((cases >= least_io || !test::can_filter()));
}

TEST_CASE("where the kernel refuses membarrier each request for memory is refused in turn")
{
	uint64_t cases = without_membarrier(sweep_memory);
	WARN(cases << " cases");
	CHECK((cases >= least_memory || !test::can_filter()));
}
