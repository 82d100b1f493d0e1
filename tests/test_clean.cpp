// test_clean.cpp - room made ahead of need: mpool_clean, MPOOL_CLEANERS; and a device that
// cannot write, or is slow to.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Op;

namespace {

// Waits with a limit are over at once, or have none; and how often a thread has begun one without.
std::atomic<bool> in_no_time{false}, however_long{false};
thread_local std::atomic<unsigned> *waits_of_thread;

} // namespace

extern "C" {
int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	if (however_long)
		return pthread_cond_wait(c, m);
	return in_no_time ? ETIMEDOUT : __real_pthread_cond_timedwait(c, m, t);
}
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	if (waits_of_thread)
		++*waits_of_thread;
	return __real_pthread_cond_wait(c, m);
}
}

namespace {

constexpr size_t page_size = 512;

fault::Fate no_writes(const Call &call)
{
	return call.op == Op::write ? fault::error(ENOSPC) : fault::real();
}

ssize_t clean(const Pool &pool, size_t n)
{
	errno = 0;
	ssize_t made = mpool_clean(pool, n);
	INFO("mpool_clean: " << strerror(errno));
	REQUIRE(made >= 0);
	return made;
}

// All of its frames have pages, modified all.
void modify_all(const Pool &pool, pgno_t pages)
{
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
}

} // namespace

// ---- mpool_clean ------------------------------------------------------------

TEST_CASE("mpool_clean makes room, which costs no write later, and the pages stay until it is taken")
{
	const pgno_t frames = GENERATE(4u, 64u, 1000u, 9000u);
	// A page looks for a frame in its own shard first, and not every shard has as many.
	const pgno_t part = frames / 4, taken = frames < 8192 ? part : part / 2;
	CAPTURE(frames);
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	REQUIRE(pool.stats().dirty == frames);
	CHECK(clean(pool, 0) == 0);
	REQUIRE(clean(pool, part) == part);
	CHECK(pool.stats().dirty == frames - part);
	CHECK(pool.stats().cached == frames);
	CHECK(pool.stats().evictions == 0);
	CHECK(pool.stats().cleaned == part);
	fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
	pool.touch(frames, frames + taken);
	CHECK(script.writes() == 0);
	CHECK(pool.stats().evictions == taken);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("a page that mpool_clean made evictable is in memory, and stays if it is got")
{
	const pgno_t frames = 200;
	File file(page_size, 3 * frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	for (unsigned round = 0; round < 3; round++) {
		CAPTURE(round);
		REQUIRE(clean(pool, frames) == frames);
		CHECK(pool.stats().dirty == 0);
		CHECK(clean(pool, frames) == 0); // they are evictable
		uint64_t rescues = pool.stats().rescues, reads = pool.stats().reads;
		for (pgno_t i = 0; i < frames; i++)
			REQUIRE(pool.shows(i, 1));
		CHECK(pool.stats().rescues == rescues + frames);
		CHECK(pool.stats().reads == reads);
		if (round == 1)
			modify_all(pool, frames);
	}
	pool.crowd_out(frames);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("what mpool_clean made evictable stays while frames are left that were never used, and makes room then")
{
	const pgno_t frames = GENERATE(64u, 900u), first = frames / 4, part = first / 2;
	CAPTURE(frames);
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, first);
	REQUIRE(clean(pool, part) == part);
	fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
	for (pgno_t i = first; i < frames; i++)
		pool.modify(i, 1);
	CHECK(pool.stats().evictions == 0);
	CHECK(pool.stats().cached == frames);
	pool.touch(frames, frames + part);
	CHECK(pool.stats().evictions == part);
	CHECK(pool.stats().dirty == frames - part);
	CHECK(script.writes() == 0);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("mpool_clean leaves what is pinned, and says how much it made")
{
	const pgno_t frames = 100, pinned = 60;
	File file(page_size, frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	std::vector<void *> held;
	for (pgno_t i = 0; i < pinned; i++)
		held.push_back(pool.get(i));
	CHECK(clean(pool, SIZE_MAX) == frames - pinned);
	CHECK(pool.stats().dirty == pinned);
	CHECK(clean(pool, 1) == 0);
	for (void *page : held)
		pool.put(page);
	CHECK(clean(pool, 10) == 10);
	CHECK(clean(pool, SIZE_MAX) == pinned - 10);
}

TEST_CASE("mpool_clean writes a batch in the order of the file, neighbours by one call")
{
	const pgno_t frames = 400, part = 100;
	File file(page_size, frames);
	Pool pool(file.fd(), page_size, frames);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify((i * 7) % frames, 1);
	off_t last = -1;
	bool ordered = true;
	uint64_t calls = 0;
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			ordered = ordered && (call.op != Op::write || call.offset > last);
			last = call.offset;
			return fault::real();
		});
		REQUIRE(clean(pool, part) == part);
		calls = script.writes();
	}
	CHECK(ordered);
	CHECK(calls <= part);
	REQUIRE(clean(pool, frames) == frames - part);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("mpool_clean where nothing can be written: the clean pages make room; without any it fails")
{
	const pgno_t frames = GENERATE(16u, 500u), modified = frames / 2;
	CAPTURE(frames);
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	pool.touch(0, frames);
	modify_all(pool, modified);
	{
		fault::Script script(file.fd(), no_writes);
		CHECK(clean(pool, frames) == frames - modified);
		CHECK(script.writes() == 1); // no other is tried
		CHECK(pool.stats().write_errno == ENOSPC);
		CHECK(pool.stats().dirty == modified);
		errno = 0;
		CHECK(mpool_clean(pool, 1) == -1);
		CHECK(errno == ENOSPC);
		CHECK(script.writes() > 0);
	}
	CHECK(clean(pool, frames) == modified);
	pool.touch(frames, 2 * frames);
	for (pgno_t i = 0; i < modified; i++)
		REQUIRE(file.holds(i, 1));
}

// ---- a device that cannot write ---------------------------------------------

TEST_CASE("a thousand gets while all other frames have pages that cannot be written")
{
	const pgno_t frames = GENERATE(2u, 7u, 64u, 300u, 9000u);
	const size_t gets = 1000;
	CAPTURE(frames);
	File file(page_size, frames + gets);
	Pool pool(file.fd(), page_size, frames);
	pool.touch(0, frames);
	modify_all(pool, frames - 1);
	fault::Script script(file.fd(), no_writes);
	for (pgno_t i = 0; i < gets; i++)
		REQUIRE(pool.shows(frames + i, 0));
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().dirty == frames - 1);
}

TEST_CASE("a page beyond maxcache that is evictable makes room where no write can")
{
	// More than are looked at at once.
	const pgno_t frames = 4, beyond = GENERATE(4u, 200u), gets = 300;
	CAPTURE(beyond);
	File file(page_size, frames + beyond + gets);
	Pool pool(file.fd(), page_size, frames);
	std::vector<void *> held;
	for (pgno_t i = 0; i < frames + beyond; i++)
		held.push_back(pool.get(i));
	const uint64_t most = pool.stats().overflow;
	fault::Script script(file.fd(), no_writes);
	for (pgno_t i = 0; i < frames + beyond; i++)
		pool.put(held[i], i + 1 < frames + beyond ? MPOOL_DIRTY : 0);
	for (pgno_t i = 0; i < gets; i++)
		REQUIRE(pool.shows(frames + beyond + i, 0));
	CHECK(pool.stats().overflow <= most);
}

TEST_CASE("the first write that failed is told until a sync has succeeded")
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	CHECK(pool.stats().write_errno == 0);
	{
		fault::Script script(file.fd(), no_writes);
		REQUIRE_NULL(mpool_get(pool, 50, 0), ENOSPC);
		CHECK(pool.stats().write_errno == ENOSPC);
	}
	{
		fault::Script script(file.fd(),
			[](const Call &call) { return call.op == Op::write ? fault::error(EIO) : fault::real(); });
		REQUIRE_NULL(mpool_get(pool, 50, 0), EIO);
		REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
		CHECK(pool.stats().write_errno == ENOSPC);
	}
	{
		fault::Script script(file.fd(),
			[](const Call &call) { return call.op == Op::sync ? fault::error(EDQUOT) : fault::real(); });
		REQUIRE_FAILS(mpool_sync(pool), EDQUOT); // all is written
		CHECK(pool.stats().write_errno == ENOSPC);
	}
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
}

// ---- MPOOL_CLEANERS ---------------------------------------------------------

namespace {

void tune(const Pool &pool, uint64_t cleaners)
{
	errno = 0;
	int result = mpool_tune(pool, MPOOL_CLEANERS, cleaners);
	INFO("mpool_tune: " << strerror(errno));
	REQUIRE(result == 0);
	uint64_t value = 99;
	REQUIRE(mpool_tuned(pool, MPOOL_CLEANERS, &value) == 0);
	REQUIRE(value == cleaners);
}

unsigned threads_now()
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/task");
	REQUIRE(dir != nullptr);
	while (const dirent *e = readdir(dir))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

// A thread that was joined may be there a little longer.  ThreadSanitizer has one of its own from the first on.
bool threads_come_to(unsigned n)
{
	while (threads_now() > n)
		sched_yield();
	return threads_now() == n;
}

// Which thread makes the calls of the test's own.
bool is_own(const std::thread::id &own)
{
	return std::this_thread::get_id() == own;
}

} // namespace

TEST_CASE("cleaners are as many as one asks for, and none otherwise; the pool's end is theirs")
{
	File file(page_size, 100);
	std::thread([] {}).join();
	while (threads_now() > 1 + tsan)
		sched_yield();
	const unsigned before = threads_now();
	{
		Pool pool(file.fd(), page_size, 16);
		pool.touch(0, 100);
		uint64_t value = 99;
		REQUIRE(mpool_tuned(pool, MPOOL_CLEANERS, &value) == 0);
		CHECK(value == 0);
		CHECK(threads_come_to(before));
		for (unsigned n : {1u, 4u, 2u, 0u, 3u}) {
			CAPTURE(n);
			tune(pool, n);
			CHECK(threads_come_to(before + n));
			pool.touch(0, 100);
			for (pgno_t i = 0; i < 100; i++)
				pool.modify(i, n);
		}
		REQUIRE_FAILS(mpool_tune(pool, MPOOL_CLEANERS, 65), EINVAL);
		REQUIRE_FAILS(mpool_tune(pool, MPOOL_CLEANERS, UINT64_MAX), EINVAL);
		CHECK(threads_come_to(before + 3));
	}
	CHECK(threads_come_to(before));
}

TEST_CASE("with cleaners a get writes nothing, and all that was modified is in the file at the end")
{
	const pgno_t frames = GENERATE(1u, 5u, 64u, 500u), pages = 5 * frames;
	const uint64_t cleaners = GENERATE(1u, 3u);
	CAPTURE(frames, cleaners);
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, frames);
	tune(pool, cleaners);
	const std::thread::id own = std::this_thread::get_id();
	std::atomic<unsigned> by_gets{0};
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			by_gets += call.op == Op::write && is_own(own);
			return fault::real();
		});
		for (uint64_t version = 1; version <= 3; version++)
			for (pgno_t i = 0; i < pages; i++)
				pool.modify(i, version);
		CHECK(by_gets == 0);
		CHECK(script.writes() > 0);
		tune(pool, 0);
	}
	CHECK(pool.stats().cleaned > 0);
	// It has waited rather than grown.
	CHECK(pool.stats().overflow <= frames);
	pool.sync();
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(file.holds(i, 3));
}

TEST_CASE("with cleaners a get does not wait for a write that is stuck while a clean page can go")
{
	const pgno_t frames = GENERATE(8u, 300u), pages = 2 * frames;
	CAPTURE(frames);
	File file(page_size, pages + 100);
	Pool pool(file.fd(), page_size, frames);
	pool.touch(0, frames);
	modify_all(pool, frames / 2);
	Gate in_write;
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op == Op::write)
				in_write.pass();
			return fault::real();
		});
		tune(pool, 1);
		// Clean ones are there, and so it is for whatever comes.
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE(pool.shows(pages > i + frames ? frames + i : i, i < frames / 2 && pages <= i + frames));
		for (pgno_t i = 0; i < 50; i++)
			REQUIRE(pool.shows(pages + i, 0));
		CHECK(pool.stats().overflow == 0);
		in_write.open();
		tune(pool, 0);
	}
}

namespace {

// Three threads get pages while all frames are modified and the write of one is held up.  How many had to wait.
uint64_t gets_beside_a_write()
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	Gate in_write;
	std::atomic<unsigned> got{0};
	Report report;
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op == Op::write)
				in_write.pass();
			return fault::real();
		});
		tune(pool, 1);
		however_long = true; // or on a busy machine it would take too long, and the pool grow
		Threads threads;
		for (pgno_t t = 0; t < 3; t++)
			threads.start([&, t] {
				visit(report, pool, 50 + t);
				got++;
			});
		in_write.await(1);
		// All frames are modified, or being written.
		while (pool.stats().pinned > 0)
			sched_yield();
		CHECK(got == 0);
		CHECK(pool.stats().overflow == 0);
		// What is in memory is got all the while.
		for (pgno_t i = 0; i < frames; i++)
			REQUIRE(pool.shows(i, 1));
		in_write.open();
		threads.join();
		however_long = false;
		report.require_none();
		tune(pool, 0);
	}
	CHECK(got == 3);
	CHECK(pool.stats().overflow == 0);
	return pool.stats().write_waits;
}

} // namespace

TEST_CASE("with cleaners a get waits while a write is in flight, and takes what it leaves")
{
	// It may be that no thread ran before the write went on: then once more.
	const unsigned rounds = 100;
	unsigned round = 0;
	while (gets_beside_a_write() == 0 && round < rounds)
		round++;
	CHECK(round < rounds);
}

TEST_CASE("a filter that ends a cleaner's thread leaves nobody waiting")
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	static pthread_t ours;
	static std::atomic<unsigned> ended;
	ours = pthread_self();
	ended = 0;
	mpool_filter(
		pool, nullptr,
		[](void *, pgno_t, void *) {
			if (!pthread_equal(pthread_self(), ours)) {
				ended++;
				pthread_exit(nullptr);
			}
		},
		nullptr);
	tune(pool, 1);
	modify_all(pool, frames);
	for (pgno_t i = 50; i < 70; i++)
		REQUIRE(pool.shows(i, 0));
	// Who needs a frame writes again himself.
	CHECK(ended == 1);
	CHECK(pool.stats().writes > 0);
	tune(pool, 0);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("with cleaners and all pages pinned the pool grows, and shrinks when they are put")
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	tune(pool, 2);
	std::vector<void *> held;
	for (pgno_t i = 0; i < 30; i++)
		held.push_back(pool.get(i));
	CHECK(pool.stats().overflow == 30 - frames);
	for (void *page : held)
		pool.put(page, MPOOL_DIRTY);
	tune(pool, 0);
	pool.sync();
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("with cleaners the pool does not grow while a page is modified and not pinned, wherever the hands are")
{
	// More pinned ones lie between than the choice of a victim looks at.
	const pgno_t frames = 1000, left = 500;
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	std::vector<void *> pinned;
	for (pgno_t i = 0; i < frames; i++)
		if (i == left)
			pool.modify(i, 1);
		else
			pinned.push_back(pool.get(i));
	tune(pool, 1);
	REQUIRE(pool.shows(frames, 0));
	CHECK(file.holds(left, 1));
	CHECK(pool.stats().overflow == 0);
	tune(pool, 0);
	for (void *page : pinned)
		pool.put(page);
}

TEST_CASE("with cleaners who has a latch waits for no write: others may be waiting for the latch")
{
	const pgno_t frames = 8;
	const unsigned mode = GENERATE(MPOOL_SHARED, MPOOL_EXCLUSIVE);
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify(i, 1);
	Gate in_write;
	std::atomic<unsigned> waits{0};
	std::atomic<bool> done{false};
	fault::Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			in_write.pass();
		return fault::real();
	});
	tune(pool, 1);
	Threads threads;
	Report report;
	threads.start([&] {
		waits_of_thread = &waits;
		void *page = mpool_get(pool, 0, 0);
		if (report.check(page && mpool_latch(pool, page, mode) == 0, "mpool_latch")) {
			void *other = mpool_get(pool, 50, 0);
			done = true;
			report.check(other && mpool_put(pool, other, 0) == 0, "a page beside it");
			report.check(mpool_unlatch(pool, page, 0) == 0, "mpool_unlatch");
		}
		report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
	});
	while (!done && waits == 0)
		sched_yield();
	CHECK(done);
	in_write.open();
	threads.join();
	report.require_none();
	tune(pool, 0);
}

TEST_CASE("with cleaners mpool_getv of more pages than the pool keeps waits for no write when it has begun to read")
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	// All modified but one, and writes that do not end: others could wait for what it reads.
	pool.touch(0, 1);
	for (pgno_t i = 1; i < frames; i++)
		pool.modify(i, 1);
	Gate in_write;
	std::atomic<unsigned> waits{0};
	std::atomic<bool> done{false};
	fault::Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			in_write.pass();
		return fault::real();
	});
	tune(pool, 1);
	in_no_time = true; // who has begun nothing takes the clean one
	Threads threads;
	Report report;
	threads.start([&] {
		waits_of_thread = &waits;
		std::vector<pgno_t> list;
		for (pgno_t i = 0; i < 20; i++)
			list.push_back(40 + i);
		std::vector<void *> addr(list.size());
		report.check(mpool_getv(pool, list.data(), addr.data(), list.size(), 0) == 0, "mpool_getv");
		done = true;
		for (size_t i = 0; i < list.size(); i++)
			if (report.check(addr[i] && is(addr[i], page_size, list[i], 0), "its bytes"))
				report.check(mpool_put(pool, addr[i], 0) == 0, "mpool_put");
	});
	while (!done && waits == 0)
		sched_yield();
	CHECK(done);
	in_no_time = false;
	in_write.open();
	threads.join();
	report.require_none();
	tune(pool, 0);
	pool.sync();
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(pool.shows(i, i > 0));
}

TEST_CASE("who waits in line while others take what comes waits for the next, and the pool does not grow")
{
	const pgno_t frames = 12, wait = 4;
	const uint64_t cleaners = GENERATE(1u, 2u);
	CAPTURE(cleaners);
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify(2 * i, 1); // a write each
	Gate first, all;
	fault::Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			(call.nth == 0 ? first : all).pass();
		return fault::real();
	});
	tune(pool, cleaners);
	however_long = true;
	Threads threads;
	Report report;
	Gate over;
	std::atomic<unsigned> waits{0}, got{0};
	for (pgno_t i = 0; i < wait; i++)
		threads.start([&, i] {
			waits_of_thread = &waits;
			void *page = mpool_get(pool, 50 + i, 0);
			got++;
			over.pass();
			report.check(page && mpool_put(pool, page, 0) == 0, "a page");
		});
	while (waits < wait)
		sched_yield();
	first.open();
	all.await(1); // another round is at its write: the frame that came is gone
	CHECK(got <= 1);
	all.open();
	over.await(wait);
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().write_waits == wait);
	over.open();
	threads.join();
	however_long = false;
	report.require_none();
	tune(pool, 0);
}

TEST_CASE("a call that waits for a write that takes long has waited once")
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	Gate in_write;
	std::atomic<unsigned> waits{0};
	fault::Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			in_write.pass();
		return fault::real();
	});
	tune(pool, 1);
	in_no_time = true;
	Threads threads;
	Report report;
	threads.start([&] {
		waits_of_thread = &waits;
		visit(report, pool, 50);
	});
	// It took long, and there is no clean page: now it waits however long it takes.
	while (waits == 0)
		sched_yield();
	in_no_time = false;
	in_write.open();
	threads.join();
	report.require_none();
	tune(pool, 0);
	CHECK(pool.stats().write_waits == 1);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE(
	"with cleaners, where nothing can be written, gets go on while a page can go; then they fail, and go on after")
{
	const pgno_t frames = GENERATE(4u, 200u);
	const uint64_t cleaners = GENERATE(1u, 3u);
	CAPTURE(frames, cleaners);
	File file(page_size, frames + 300);
	Pool pool(file.fd(), page_size, frames);
	pool.touch(0, frames);
	tune(pool, cleaners);
	{
		fault::Script script(file.fd(), no_writes);
		modify_all(pool, frames - 1);
		for (pgno_t i = 0; i < 300; i++)
			REQUIRE(pool.shows(frames + i, 0));
		pool.modify(frames + 299, 1);
		for (unsigned i = 0; i < 100; i++)
			REQUIRE_NULL(mpool_get(pool, frames + i, 0), ENOSPC);
		CHECK(pool.stats().overflow == 0);
		CHECK(pool.stats().write_errno == ENOSPC);
		REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
		tune(pool, cleaners - 1);
	}
	pool.touch(frames, frames + 200);
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
	for (pgno_t i = 0; i + 1 < frames; i++)
		REQUIRE(file.holds(i, 1));
	REQUIRE(file.holds(frames + 299, 1));
}

// ---- runs in flight together -------------------------------------------------

namespace {

// A pool that this process alone has, or that has a key.
class Either {
public:
	Either(bool shared, int fd, pgno_t size, pgno_t maxcache)
	{
		static unsigned number = 0;
		std::string key = "test_clean " + std::to_string(getpid()) + " " + std::to_string(number++);
		mp_ = mpool_open(shared ? key.c_str() : nullptr, fd, size, maxcache);
		REQUIRE((mp_ || (shared && errno == ENOTSUP)));
	}
	Either(const Either &) = delete;
	Either &operator=(const Either &) = delete;
	~Either()
	{
		if (mp_)
			mpool_close(mp_);
	}
	// False: there are no shared pools here.
	bool there() const { return mp_; }
	operator MPOOL *() const { return mp_; }
	struct mpool_stats stats() const
	{
		struct mpool_stats st;
		REQUIRE(mpool_stats(mp_, &st, sizeof st) == 0);
		return st;
	}
	// Pages `from` to before `to`, each `step`th.
	void modify(pgno_t from, pgno_t to, pgno_t step, size_t size) const
	{
		for (pgno_t i = from; i < to; i += step) {
			void *page = mpool_get(mp_, i, 0);
			REQUIRE(page != nullptr);
			fill(page, size, i, 1);
			REQUIRE(mpool_put(mp_, page, MPOOL_DIRTY) == 0);
		}
	}

private:
	MPOOL *mp_;
};

bool use(MPOOL *mp, uint64_t engine)
{
	if (mpool_tune(mp, MPOOL_IO_ENGINE, engine) == 0)
		return true;
	REQUIRE(engine == MPOOL_IO_RING);
	WARN("io_uring is refused here: " << strerror(errno));
	return false;
}

} // namespace

TEST_CASE("a device that answers only when 32 writes are outstanding gets them from mpool_clean")
{
	constexpr unsigned wanted = 32;
	const pgno_t frames = 400;
	const bool shared = GENERATE(false, true);
	CAPTURE(shared);
	File file(page_size, 2 * frames);
	Either pool(shared, file.fd(), page_size, frames);
	if (!pool.there())
		return;
	REQUIRE(use(pool, MPOOL_IO_WORKERS));
	pool.modify(0, 2 * frames, 2, page_size); // no two are neighbours
	std::mutex mutex;
	std::condition_variable all;
	unsigned outstanding = 0;
	{
		fault::Script script(file.fd(), [&](const Call &) {
			std::unique_lock<std::mutex> lock(mutex);
			if (++outstanding % wanted == 0)
				all.notify_all();
			unsigned round = (outstanding - 1) / wanted;
			all.wait(lock, [&] { return outstanding >= (round + 1) * wanted; });
			return fault::real();
		});
		CHECK(mpool_clean(pool, 2 * wanted) == 2 * wanted);
		CHECK(script.writes() == 2 * wanted);
	}
	CHECK(pool.stats().dirty == frames - 2 * wanted);
	CHECK(pool.stats().writes == 2 * wanted);
	unsigned held = 0;
	for (pgno_t i = 0; i < 2 * frames; i += 2)
		held += file.holds(i, 1);
	CHECK(held == 2 * wanted);
}

TEST_CASE("a read does not come after a whole batch of writes: few are in flight while the device answers")
{
	constexpr unsigned few = 8, batch = 64;
	const pgno_t frames = 400;
	File file(page_size, 2 * frames);
	Either pool(false, file.fd(), page_size, frames);
	REQUIRE(use(pool, MPOOL_IO_WORKERS));
	pool.modify(0, 2 * frames, 2, page_size); // no two are neighbours
	// The call waits for a write before any ends: by then it has begun as many as it does, each by a thread.
	Gate in_write;
	std::atomic<unsigned> waits{0};
	const unsigned before = threads_now();
	unsigned begun = 0;
	{
		fault::Script script(file.fd(), [&](const Call &) {
			in_write.pass();
			return fault::real();
		});
		however_long = true; // the device answers, however late
		Threads threads;
		threads.start([&] {
			waits_of_thread = &waits;
			CHECK(mpool_clean(pool, batch) == batch);
			waits_of_thread = nullptr;
		});
		while (waits == 0)
			sched_yield();
		begun = threads_now() - before - 1;
		in_write.open();
		threads.join();
		however_long = false;
		CHECK(script.writes() == batch);
	}
	CHECK(begun <= few);
	CHECK(pool.stats().writes == batch);
}

TEST_CASE("each write makes room when it is done, whatever becomes of the others")
{
	const pgno_t frames = 100, runs = 8;
	const uint64_t stuck = GENERATE(0u, 3u, 7u);
	CAPTURE(stuck);
	File file(page_size, 3 * frames);
	Pool pool(file.fd(), page_size, frames);
	REQUIRE(use(pool, MPOOL_IO_WORKERS));
	for (pgno_t i = 0; i < 2 * frames; i += 2)
		pool.modify(i, 1);
	Gate in_write;
	fault::Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write && call.nth == stuck)
			in_write.pass();
		return fault::real();
	});
	ssize_t made = 0;
	Threads threads;
	threads.start([&] { made = mpool_clean(pool, runs); });
	in_write.await(1);
	while (pool.stats().cleaned < runs - 1)
		sched_yield();
	for (pgno_t i = 0; i < runs - 1; i++)
		REQUIRE(pool.shows(2 * frames + i, 0));
	CHECK(script.writes() == runs);
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().cleaned == runs - 1);
	in_write.open();
	threads.join();
	CHECK(made == runs);
	CHECK(pool.stats().cleaned == runs);
	for (pgno_t i = 0; i < 2 * frames; i += 2)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("what is written is written by the engine: io_uring for a pool of one's own, threads for a shared one")
{
	constexpr pgno_t size = 4096, frames = 256, pages = 60;
	const bool shared = GENERATE(false, true), direct = GENERATE(false, true);
	const uint64_t engine = GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_RING, MPOOL_IO_WORKERS);
	CAPTURE(shared, direct, engine);
	File file(size, frames);
	if (direct && fcntl(file.fd(), F_SETFL, O_DIRECT) != 0)
		return; // this file system has none of it
	Either pool(shared, file.fd(), size, frames);
	if (!pool.there())
		return;
	if (shared && engine == MPOOL_IO_RING) {
		REQUIRE_FAILS(mpool_tune(pool, MPOOL_IO_ENGINE, engine), EINVAL);
		return;
	}
	if (!use(pool, engine))
		return;
	pool.modify(0, pages, 3, size);
	const unsigned before = threads_now();
	{
		fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
		CHECK(mpool_clean(pool, pages) == pages / 3);
		bool ring = !shared && pool.stats().engine == MPOOL_IO_RING;
		// What goes by a ring goes through no call that is wrapped.
		if (engine == MPOOL_IO_RING || (engine == MPOOL_IO_AUTO && direct && ring))
			CHECK(script.writes() == 0);
		else
			CHECK(script.writes() == pages / 3);
		// Where the kernel's memory takes what is written nobody else is needed.
		if (engine == MPOOL_IO_PLAIN || (engine == MPOOL_IO_AUTO && !direct))
			CHECK(threads_now() <= before);
	}
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().writes == pages / 3);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(file.holds(i, i % 3 == 0));
	REQUIRE(mpool_sync(pool) == 0);
}

TEST_CASE("short and interrupted writes of a batch are continued where they stopped")
{
	const uint64_t engine = GENERATE(MPOOL_IO_PLAIN, MPOOL_IO_WORKERS);
	const size_t part = GENERATE(1u, 511u, 512u, 700u, 1u << 20);
	CAPTURE(engine, part);
	const pgno_t frames = 400, pages = 100;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, frames);
	REQUIRE(use(pool, engine));
	for (pgno_t i = 0; i < pages; i++)
		if (i % 7 != 0) // runs of six pages
			pool.modify(i, 1);
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			return call.nth % 3 == 2 ? fault::error(EINTR) : fault::at_most(part);
		});
		REQUIRE(clean(pool, pages) == pages - pages / 7 - 1);
	}
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().write_errno == 0);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(file.holds(i, i % 7 != 0));
}

TEST_CASE("who cleans a pool is told of a write-back that failed, whoever was told before")
{
	const uint64_t engine = GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_RING, MPOOL_IO_WORKERS);
	CAPTURE(engine);
	File file(page_size, 100);
	Pool one(file.fd(), page_size, 40), two(file.fd(), page_size, 4);
	if (!use(one, engine))
		return;
	for (pgno_t i = 0; i < 40; i += 2)
		one.modify(i, 1);
	REQUIRE(clean(one, 20) == 20);
	one.crowd_out(50);
	fault::Script script(file.fd(), [&](const Call &call) {
		return call.op == Op::sync && fault::is_told(call.fd) ? fault::error(EIO) : fault::real();
	});
	fault::write_back_fails(file.fd());
	CHECK(mpool_sync(two) == -1); // it has nothing to lose, and asks by the descriptor
	REQUIRE_FAILS(mpool_sync(one), EIO);
}

TEST_CASE("mpool_clean tells why no write could be begun")
{
	const pgno_t frames = 16;
	File file(page_size, frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	// Before its first write the pool opens the file for itself.
	struct rlimit before, none;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = 0;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
	errno = 0;
	ssize_t made = mpool_clean(pool, 1);
	int error = errno;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(made == -1);
	CHECK(error == EMFILE);
	CHECK(pool.stats().write_errno == EMFILE);
	CHECK(clean(pool, frames) == frames);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("of a batch what cannot be written stays modified, the first error is kept, and the rest is written")
{
	const uint64_t engine = GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_RING, MPOOL_IO_WORKERS);
	const pgno_t gap = GENERATE(2u, 7u);
	CAPTURE(engine, gap);
	constexpr pgno_t frames = 400, pages = 100, limit = 31;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, frames);
	if (!use(pool, engine))
		return;
	for (pgno_t i = 0; i < pages; i++)
		if (i % gap != 0)
			pool.modify(i, 1);
	// In the middle of page 31.
	struct rlimit before;
	REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
	struct rlimit small = before;
	small.rlim_cur = limit * page_size + 100;
	auto ignored = signal(SIGXFSZ, SIG_IGN);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
	errno = 0;
	ssize_t made = mpool_clean(pool, pages);
	int error = errno;
	for (unsigned again = 0; made > 0 && again < pages; again++)
		made = mpool_clean(pool, pages);
	error = made < 0 ? errno : error;
	REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
	signal(SIGXFSZ, ignored);
	CHECK(made == -1);
	CHECK(error == EFBIG);
	CHECK(pool.stats().write_errno == EFBIG);
	uint64_t left = 0;
	for (pgno_t i = limit; i < pages; i++)
		left += i % gap != 0;
	CHECK(pool.stats().dirty >= left);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(pool.shows(i, i % gap != 0));
	for (pgno_t i = limit; i < pages; i++)
		REQUIRE(file.holds(i, 0) == (i != limit || i % gap == 0));
	REQUIRE(mpool_clean(pool, pages) >= 0);
	CHECK(pool.stats().dirty == 0);
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(file.holds(i, i % gap != 0));
}

TEST_CASE("cleaners come and go under many threads, and no page is lost")
{
	const pgno_t frames = GENERATE(6u, 200u), each = 4 * frames / 6 + 10;
	CAPTURE(frames);
	const unsigned count = 6;
	const size_t rounds = shrink(3000);
	File file(page_size, count * each);
	Pool pool(file.fd(), page_size, frames);
	Report report;
	std::vector<unsigned> version(count * each);
	std::atomic<bool> done{false};
	Threads tuner;
	tuner.start([&] {
		for (uint64_t n = 1; !done; n = (n + 1) % 4)
			report.check(mpool_tune(pool, MPOOL_CLEANERS, n) == 0, "mpool_tune");
	});
	run_threads(count, [&](unsigned t) {
		Random random(t);
		for (size_t i = 0; i < rounds && !report.any(); i++) {
			pgno_t page = static_cast<pgno_t>(t * each + random.below(each));
			if (random.below(2))
				visit(report, pool, page, version[page]);
			else if (write_version(report, pool, page, version[page] + 1))
				version[page]++;
			if (random.below(200) == 0)
				report.check(mpool_sync(pool) == 0, "mpool_sync");
			if (random.below(200) == 0)
				report.check(mpool_clean(pool, 1 + random.below(20)) >= 0, "mpool_clean");
		}
	});
	done = true;
	tuner.join();
	report.require_none();
	pool.sync();
	for (pgno_t i = 0; i < count * each; i++)
		REQUIRE(file.holds(i, version[i]));
}

TEST_CASE("the child of a fork has no cleaners but those that its first call begins, and they clean")
{
	if (sanitized)
		return; // a lock of theirs may be held at the fork; or the child may have no threads
	const pgno_t frames = 50;
	File file(page_size, 300);
	Pool pool(file.fd(), page_size, frames);
	tune(pool, 2);
	modify_all(pool, 100);
	int result = in_child([&] {
		if (threads_now() != 1)
			return 1;
		uint64_t value = 0;
		if (mpool_tuned(pool, MPOOL_CLEANERS, &value) != 0 || value != 2)
			return 2;
		for (pgno_t i = 100; i < 300; i++) {
			void *page = mpool_get(pool, i, 0);
			if (!page || mpool_put(pool, page, MPOOL_DIRTY) != 0)
				return 3;
		}
		if (threads_now() != 3)
			return 6;
		if (mpool_tune(pool, MPOOL_CLEANERS, 0) != 0 || !threads_come_to(1))
			return 4;
		return mpool_sync(pool) == 0 && mpool_close(pool) == 0 ? 0 : 5;
	});
	CHECK(result == 0);
	// One that does nothing with it.
	CHECK(in_child([&] { return mpool_close(pool); }) == 0);
	for (pgno_t i = 0; i < 100; i++)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("a process with cleaners that is killed leaves the others all of the pool")
{
	if (sanitized)
		return; // a lock of theirs may be held at the fork; or the child may have no threads
	const pgno_t frames = 64, pages = 400;
	const bool both = GENERATE(false, true);
	CAPTURE(both);
	File file(page_size, pages);
	std::string key = "test_clean " + std::to_string(getpid());
	auto churn = [&](MPOOL *mp, Random &random) {
		void *page = mpool_get(mp, static_cast<pgno_t>(random.below(pages)), 0);
		return page && mpool_put(mp, page, MPOOL_DIRTY) == 0;
	};
	MPOOL *mp = mpool_open(key.c_str(), file.fd(), page_size, frames);
	if (!mp && errno == ENOTSUP)
		return; // there are no shared pools here
	REQUIRE(mp != nullptr);
	if (both)
		REQUIRE(mpool_tune(mp, MPOOL_CLEANERS, 1) == 0);
	for (unsigned round = 0; round < 5; round++) {
		CAPTURE(round);
		int ends = in_child([&] {
			MPOOL *own = mpool_open(key.c_str(), file.fd(), page_size, frames);
			if (!own || mpool_tune(own, MPOOL_CLEANERS, 2) != 0)
				return 1;
			Random random(getpid());
			for (unsigned i = 0; i < 300 + 100 * round; i++)
				if (!churn(own, random))
					return 2;
			raise(SIGKILL);
			return 3;
		});
		REQUIRE(ends == 1000 + SIGKILL);
		Random random(round);
		for (unsigned i = 0; i < 1000; i++)
			REQUIRE(churn(mp, random));
	}
	std::vector<pgno_t> all;
	std::vector<void *> addr(frames);
	for (pgno_t i = 0; i < frames; i++)
		all.push_back(i);
	REQUIRE(mpool_tune(mp, MPOOL_CLEANERS, 0) == 0);
	REQUIRE(mpool_sync(mp) == 0);
	REQUIRE(mpool_getv(mp, all.data(), addr.data(), frames, 0) == 0);
	struct mpool_stats st;
	REQUIRE(mpool_stats(mp, &st, sizeof st) == 0);
	CHECK(st.overflow == 0); // no frame is lost
	CHECK(st.deaths == 5);
	REQUIRE(mpool_close(mp) == 0);
}

TEST_CASE("where there can be no thread, mpool_tune fails, and there are as many cleaners as before")
{
	if (sanitized)
		return; // they need memory of their own there
	File file(page_size, 10);
	int result = in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 4);
		uint64_t value = 9;
		if (!mp || mpool_tune(mp, MPOOL_CLEANERS, 1) != 0)
			return 1;
		// Of the address space: a thread's stack is some.
		struct rlimit as;
		as.rlim_cur = as.rlim_max = statm().size;
		if (setrlimit(RLIMIT_AS, &as) != 0)
			return 77;
		if (mpool_tune(mp, MPOOL_CLEANERS, 64) == 0 || errno != EAGAIN)
			return 2;
		if (mpool_tuned(mp, MPOOL_CLEANERS, &value) != 0 || value != 1 || !threads_come_to(2))
			return 3;
		return mpool_close(mp);
	});
	CHECK((result == 0 || result == 77));
}
