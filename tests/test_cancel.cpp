// test_cancel.cpp - a thread cancelled in a call finishes the call first; what
// it had pinned is there for others to put.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include "fault_io.hpp"

#include <pthread.h>

using namespace test;
using fault::Call;
using fault::Op;

namespace {

constexpr pgno_t page_size = 512;
constexpr pgno_t pages = 40;
constexpr pgno_t cache = 8;

enum Making { by_get, by_peek, by_new, by_request };

// Where the library's reads, writes and fsyncs can be made to wait.  The wait is
// a read(2) of a pipe: a cancellation point, like the call it stands before.
class Trap {
public:
	Trap() { REQUIRE(pipe2(pipe_, O_CLOEXEC) == 0); }
	~Trap()
	{
		close(pipe_[0]);
		close(pipe_[1]);
	}
	fault::Fate operator()(const Call &call)
	{
		if (call.op == op_ && armed_.exchange(false)) {
			caught_ = true;
			char byte;
			while (read(pipe_[0], &byte, 1) < 0 && errno == EINTR)
				;
		}
		return fault::real();
	}
	void arm(Op op)
	{
		op_ = op;
		caught_ = false;
		armed_ = true;
	}
	void await_catch() const
	{
		while (!caught_)
			std::this_thread::yield();
	}
	void let_go() { REQUIRE(write(pipe_[1], "", 1) == 1); }

private:
	int pipe_[2];
	Op op_ = Op::read;
	std::atomic<bool> armed_{false}, caught_{false};
};

// A thread of pthreads' own, that can be cancelled: it makes one call, says that
// it came back, and then comes to a cancellation point.
class Victim {
public:
	explicit Victim(std::function<void()> call) : call_(std::move(call))
	{
		REQUIRE(pthread_create(&thread_, nullptr, run, this) == 0);
	}
	~Victim() { join(); }
	void cancel() { REQUIRE(pthread_cancel(thread_) == 0); }
	void join()
	{
		if (joined_)
			return;
		void *result;
		pthread_join(thread_, &result);
		joined_ = true;
		cancelled_ = result == PTHREAD_CANCELED;
	}
	bool returned() const { return returned_; }
	bool cancelled() const { return cancelled_; }

private:
	static void *run(void *victim)
	{
		Victim *v = static_cast<Victim *>(victim);
		v->call_();
		v->returned_ = true;
		pthread_testcancel();
		return nullptr;
	}
	std::function<void()> call_;
	pthread_t thread_;
	std::atomic<bool> returned_{false};
	bool joined_ = false, cancelled_ = false;
};

// The pool is as good as any: each page can be got, modified, evicted and synced
// by others, none is pinned, and all fit.
void require_sound(const File &file, const Pool &pool, uint64_t version)
{
	CHECK(pool.stats().pinned == 0);
	Report report;
	run_threads(3, [&](unsigned t) {
		for (pgno_t i = t; i < pages; i += 3) {
			if (!write_version(report, pool, i, version))
				return;
		}
		report.check(mpool_sync(pool) == 0, "mpool_sync");
	});
	report.require_none();
	pool.sync();
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(file.holds(i, version));
	pool.touch(0, pages);
	struct mpool_stats st = pool.stats();
	CHECK(st.pinned == 0);
	CHECK(st.dirty == 0);
	CHECK(st.overflow == 0);
	CHECK(st.cached == cache);
	CHECK(st.reads == st.misses);
}

} // namespace

TEST_CASE("a thread cancelled while its page is read finishes the get, and others put its pin")
{
	const bool waited_for = GENERATE(false, true);
	CAPTURE(waited_for);
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, cache);
	Trap trap;
	fault::Script script(file.fd(), std::ref(trap));
	void *page = nullptr;
	trap.arm(Op::read);
	Victim victim([&] { page = mpool_get(pool, 7, 0); });
	trap.await_catch();
	victim.cancel();
	Threads waiters;
	Report report;
	if (waited_for)
		waiters.start([&] {
			void *same = mpool_get(pool, 7, 0);
			report.check(same && is(same, page_size, 7, 0), "bytes of the page waited for");
			report.check(mpool_put(pool, same, 0) == 0, "mpool_put");
		});
	trap.let_go();
	victim.join();
	REQUIRE(victim.returned());
	CHECK(victim.cancelled());
	waiters.join();
	report.require_none();
	REQUIRE(page != nullptr);
	CHECK(pool.stats().pinned == 1);
	CHECK(script.reads() == 1);
	// Its pin is in force until another thread puts it.
	pool.crowd_out(10);
	CHECK(is(page, page_size, 7, 0));
	pool.put(page);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	require_sound(file, pool, 1);
}

TEST_CASE("a thread cancelled while it writes a page to make room finishes what it does")
{
	const Making call = GENERATE(by_get, by_peek, by_new, by_request);
	CAPTURE(call);
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, cache);
	for (pgno_t i = 0; i < cache; i++)
		pool.modify(i, 1);
	Trap trap;
	fault::Script script(file.fd(), std::ref(trap));
	void *page = nullptr;
	pgno_t number = 30;
	trap.arm(Op::write);
	Victim victim([&] {
		page = call == by_get    ? mpool_get(pool, number, 0)
		       : call == by_peek ? mpool_get(pool, number, MPOOL_IGNOREPIN)
		       : call == by_new  ? (mpool_new)(pool, &number)
		                         : mpool_new_flags(pool, &number, MPOOL_PAGE_REQUEST);
	});
	trap.await_catch();
	victim.cancel();
	trap.let_go();
	victim.join();
	REQUIRE(victim.returned());
	CHECK(victim.cancelled());
	REQUIRE(page != nullptr);
	CHECK(pool.stats().pages == (call == by_new ? pages + 1 : pages));
	CHECK(pool.stats().pinned == (call == by_peek ? 0 : 1));
	if (call != by_peek)
		pool.put(page);
	require_sound(file, pool, 2);
}

TEST_CASE("a thread cancelled in mpool_sync finishes it")
{
	const Op op = GENERATE(Op::write, Op::sync);
	CAPTURE(static_cast<int>(op));
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, cache);
	for (pgno_t i = 0; i < cache; i++)
		pool.modify(i, 1);
	Trap trap;
	fault::Script script(file.fd(), std::ref(trap));
	int result = -2;
	trap.arm(op);
	Victim victim([&] { result = mpool_sync(pool); });
	trap.await_catch();
	victim.cancel();
	trap.let_go();
	victim.join();
	REQUIRE(victim.returned());
	CHECK(victim.cancelled());
	CHECK(result == 0);
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < cache; i++)
		CHECK(file.holds(i, 1));
	require_sound(file, pool, 2);
}

TEST_CASE("no call is a cancellation point")
{
	File file(page_size, pages), quiet;
	int err = dup(STDERR_FILENO);
	Report report;
	bool before = false, after = false;
	Fd to = quiet.reopen(O_WRONLY);
	Victim victim([&] {
		// The request is there from the beginning: the first point would do.
		pthread_cancel(pthread_self());
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 2);
		if (!report.check(mp != nullptr, "mpool_open"))
			return;
		mpool_filter(mp, nullptr, nullptr, nullptr);
		for (pgno_t i = 0; i < 10; i++) {
			void *page = mpool_get(mp, i, 0);
			report.check(page && mpool_get(mp, i, 0) == page, "mpool_get");
			report.check(mpool_put(mp, page, 0) == 0, "mpool_put");
			report.check(mpool_put(mp, page, MPOOL_DIRTY) == 0, "mpool_put");
			report.check(mpool_put(mp, page, 0) == -1 && errno == EINVAL, "wrong mpool_put");
		}
		pgno_t number;
		void *page = (mpool_new)(mp, &number);
		report.check(page && mpool_put(mp, page, MPOOL_DIRTY) == 0, "mpool_new");
		number = 5;
		page = mpool_new_flags(mp, &number, MPOOL_PAGE_REQUEST);
		report.check(page && mpool_delete(mp, page) == 0, "mpool_delete");
		struct mpool_stats st;
		report.check(mpool_stats(mp, &st, sizeof st) == 0 && st.writes > 0, "mpool_stats");
		dup2(to, STDERR_FILENO);
		mpool_stat(mp);
		dup2(err, STDERR_FILENO);
		report.check(mpool_sync(mp) == 0, "mpool_sync");
		report.check(mpool_close(mp) == 0, "mpool_close");
		// And it is as it was: cancellable, or not.
		int state;
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		before = state == PTHREAD_CANCEL_ENABLE;
		mp = mpool_open(nullptr, file.fd(), page_size, 2);
		report.check(mp && mpool_get(mp, 1, 0) && mpool_close(mp) == 0,
			"a pool of a thread that cannot be cancelled");
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
		after = state == PTHREAD_CANCEL_DISABLE;
	});
	victim.join();
	close(err);
	report.require_none();
	REQUIRE(victim.returned());
	CHECK(victim.cancelled());
	CHECK(before);
	CHECK(after);
	CHECK(quiet.length() > 0);
}

TEST_CASE("pins of threads cancelled anywhere are held until others put them")
{
	const unsigned count = static_cast<unsigned>(shrink(60));
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, cache);
	std::vector<void *> held;
	for (unsigned n = 0; n < count; n++) {
		// Cancelled while it gets and puts; it keeps what it has pinned just then.
		std::atomic<void *> pinned{nullptr};
		std::atomic<uint64_t> turns{0};
		Random random(n);
		Victim victim([&] {
			for (;;) {
				pgno_t pgno = static_cast<pgno_t>(random.below(pages));
				pinned = mpool_get(pool, pgno, 0);
				pthread_testcancel();
				void *page = pinned.exchange(nullptr);
				if (!page || mpool_put(pool, page, turns % 3 ? 0 : MPOOL_DIRTY) != 0)
					return;
				turns++;
			}
		});
		while (turns < 20 && !victim.returned())
			std::this_thread::yield();
		victim.cancel();
		victim.join();
		REQUIRE(!victim.returned());
		REQUIRE(pinned != nullptr);
		held.push_back(pinned);
	}
	for (void *page : held)
		pool.put(page);
	for (void *page : held)
		REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	require_sound(file, pool, 1);
}
