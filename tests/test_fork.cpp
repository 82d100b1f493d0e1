// test_fork.cpp - a process forks while its threads use pools: the child goes on with its
// copies of them, whatever the other threads were at, and the parent notices nothing.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"
#include "support.hpp"

#include <csignal>
#include <memory>

#include <sys/syscall.h>

using namespace test;

// The library's process-wide locks, as fork.c takes and releases them.
extern "C" {
void thread_before_fork(void);
void thread_after_fork(bool child);
void mem_before_fork(void);
void mem_after_fork(void);
}

#ifdef __SANITIZE_THREAD__
// A child that ends would complain of threads that its parent had not joined yet.
extern "C" const char *__tsan_default_options();
extern "C" const char *__tsan_default_options()
{
	return "report_thread_leaks=0";
}
#endif

namespace {

constexpr pgno_t page_size = 512;
constexpr pgno_t pages = 60;
constexpr pgno_t childs = 12;       // pages behind these, which children write and their parent does not
constexpr unsigned bystanders = 64; // pools that are only open: what a fork does may not depend on them
constexpr unsigned most_pins = 40;  // of the threads that are Busy

// In a child, in a function that returns what it ends with: 0, all is well.
#define CHILD_CHECK(what)                                                                                           \
	do {                                                                                                        \
		if (!(what)) {                                                                                      \
			fprintf(stderr, "%s:%d: in a child: %s: %s\n", __FILE__, __LINE__, #what, strerror(errno)); \
			return 1;                                                                                   \
		}                                                                                                   \
	} while (0)

// ... and in one that does not return.
#define CHILD_CHECK_EXIT(what)    \
	do {                      \
		if (!(what))      \
			_exit(1); \
	} while (0)

bool refused(bool failed)
{
	return failed && errno == EBADF;
}

// Every call on a pool but mpool_close.
bool all_refused(MPOOL *mp, void *pinned)
{
	pgno_t number = 0;
	struct mpool_stats st;
	return refused(!mpool_get(mp, 0, 0)) && refused(!mpool_get(mp, 0, MPOOL_IGNOREPIN)) &&
	       refused(!(mpool_new)(mp, &number)) && refused(!mpool_new_flags(mp, &number, MPOOL_PAGE_REQUEST)) &&
	       refused(mpool_put(mp, pinned, MPOOL_DIRTY) == -1) && refused(mpool_delete(mp, pinned) == -1) &&
	       refused(mpool_abandoned(mp, pinned, 0) == -1) && refused(mpool_sync(mp) == -1) &&
	       refused(mpool_stats(mp, &st, sizeof st) == -1);
}

bool shows(MPOOL *mp, pgno_t pgno, uint64_t version)
{
	void *page = mpool_get(mp, pgno, 0);
	return page && is(page, page_size, pgno, version) && mpool_put(mp, page, 0) == 0;
}

bool modify(MPOOL *mp, pgno_t pgno, uint64_t version)
{
	void *page = mpool_get(mp, pgno, 0);
	if (!page)
		return false;
	fill(page, page_size, pgno, version);
	return mpool_put(mp, page, MPOOL_DIRTY) == 0;
}

bool file_holds(int fd, pgno_t pgno, uint64_t version)
{
	char bytes[page_size];
	return pread(fd, bytes, page_size, static_cast<off_t>(pgno * page_size)) == page_size &&
	       is(bytes, page_size, pgno, version);
}

uint64_t pinned_in(MPOOL *mp)
{
	struct mpool_stats st;
	return mpool_stats(mp, &st, sizeof st) == 0 ? st.pinned : UINT64_MAX;
}

// A pool of this process's own: opened, used, flushed, closed.
int use_own_pool(int fd, uint64_t version)
{
	MPOOL *mp = mpool_open(nullptr, fd, page_size, 4);
	CHILD_CHECK(mp);
	for (pgno_t i = 0; i < 12; i++)
		CHILD_CHECK(modify(mp, i, version));
	CHILD_CHECK(mpool_sync(mp) == 0);
	for (pgno_t i = 0; i < 12; i++)
		CHILD_CHECK(file_holds(fd, i, version));
	CHILD_CHECK(mpool_close(mp) == 0);
	return 0;
}

// A pool of the parent's, whose file has `pages` pages of version 0 and `childs` more: every
// kind of call, evictions and growth.  What the child writes are pages of its own.
int use_inherited(MPOOL *mp, int fd, uint64_t version)
{
	std::vector<void *> pinned;
	for (unsigned round = 0; round < 2; round++)
		for (pgno_t i = 2; i < pages; i++)
			CHILD_CHECK(shows(mp, i, 0));
	for (pgno_t i = pages; i < pages + childs; i++)
		CHILD_CHECK(modify(mp, i, version));
	// More than there is room for.
	for (pgno_t i = pages - 20; i < pages + childs; i++) {
		pinned.push_back(mpool_get(mp, i, 0));
		CHILD_CHECK(pinned.back());
	}
	for (void *page : pinned)
		CHILD_CHECK(mpool_put(mp, page, 0) == 0);
	CHILD_CHECK(mpool_sync(mp) == 0);
	for (pgno_t i = pages; i < pages + childs; i++)
		CHILD_CHECK(file_holds(fd, i, version));
	pgno_t made = 0;
	void *page = (mpool_new)(mp, &made);
	CHILD_CHECK(page && made >= pages + childs && all_bytes(page, page_size, 0));
	CHILD_CHECK(mpool_delete(mp, page) == 0);
	struct mpool_stats st;
	// Pages that the parent's other threads had pinned were written while pinned.
	CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0 && st.dirty <= st.pinned);
	return 0;
}

// A pool of the parent's, with a page that the forking thread has pinned.
struct Inherited {
	MPOOL *mp;
	void *pinned;
};

int child(const Inherited &parents, const File &file, int own, uint64_t version)
{
	CHILD_CHECK(is(parents.pinned, page_size, 1, 1));
	CHILD_CHECK(mpool_abandoned(parents.mp, parents.pinned, 0) == 0); // nobody else had it
	int wrong = use_inherited(parents.mp, file.fd(), version);
	if (wrong)
		return wrong;
	CHILD_CHECK(is(parents.pinned, page_size, 1, 1));
	CHILD_CHECK(mpool_put(parents.mp, parents.pinned, 0) == 0);
	CHILD_CHECK(pinned_in(parents.mp) <= most_pins);
	CHILD_CHECK(mpool_close(parents.mp) == 0);
	// The memory may serve the next one.
	return use_own_pool(own, version);
}

// Threads that open, close, attach to and use pools until it goes.
class Busy {
public:
	Busy(const File &file, MPOOL *shared) : file_(file), shared_(shared)
	{
		for (unsigned t = 0; t < 2; t++)
			threads_.start([this] { open_and_close(); });
		threads_.start([this] { come_and_go(); });
		for (unsigned t = 0; t < 2; t++)
			threads_.start([this, t] { get_and_put(t); });
	}
	~Busy() { stop(); }
	void stop()
	{
		over_ = true;
		threads_.join();
	}
	Report report;

private:
	void open_and_close()
	{
		while (!over_ && !report.any()) {
			MPOOL *mp = mpool_open(nullptr, file_.fd(), page_size, 2);
			void *page = mp ? mpool_get(mp, 3, 0) : nullptr;
			report.check(page && mpool_put(mp, page, 0) == 0, "a pool opened while others fork");
			if (mp)
				mpool_close(mp);
		}
	}
	void come_and_go()
	{
		while (!over_ && !report.any())
			run_threads(1, [this](unsigned) {
				void *page = mpool_get(shared_, 5, 0);
				report.check(page && mpool_put(shared_, page, 0) == 0, "a thread's first get");
			});
	}
	void get_and_put(unsigned seed)
	{
		Random random(seed);
		while (!over_ && !report.any()) {
			pgno_t pgno = 2 + static_cast<pgno_t>(random.below(pages - 2));
			void *page = mpool_get(shared_, pgno, 0);
			report.check(page && is(page, page_size, pgno, 0), "bytes while others fork");
			// Now and then more than there is room for.
			void *more[12] = {};
			if (random.below(50) == 0)
				for (pgno_t i = 0; i < 12; i++)
					report.check((more[i] = mpool_get(shared_, 10 + i, 0)), "mpool_get");
			for (void *m : more)
				if (m)
					report.check(mpool_put(shared_, m, 0) == 0, "mpool_put");
			report.check(mpool_put(shared_, page, random.below(2) ? MPOOL_DIRTY : 0) == 0, "mpool_put");
			if (random.below(500) == 0)
				report.check(mpool_sync(shared_) == 0, "mpool_sync");
		}
	}

	const File &file_;
	MPOOL *shared_;
	std::atomic<bool> over_{false};
	Threads threads_;
};

// What a thread is stopped in, while another one forks.
enum Where { in_read, in_read_twice, in_filter, in_write, in_write_filter, in_sync_write, in_fsync, wheres };

// Stops calls of the process that made it, from `arm` on.
class Stop {
public:
	explicit Stop(fault::Op op) : op_(op) {}
	void arm() { armed_ = true; }
	void pass(fault::Op op)
	{
		if (armed_ && op == op_ && getpid() == process_)
			gate_.pass();
	}
	void await(unsigned n) { gate_.await(n); }
	void open() { gate_.open(); }

private:
	const fault::Op op_;
	const pid_t process_ = getpid();
	std::atomic<bool> armed_{false};
	Gate gate_;
};

void filter_in(void *stop, pgno_t, void *)
{
	static_cast<Stop *>(stop)->pass(fault::Op::read);
}
void filter_out(void *stop, pgno_t, void *)
{
	static_cast<Stop *>(stop)->pass(fault::Op::write);
}

} // namespace

TEST_CASE("a process may fork at any time while its threads use, open and close pools")
{
	if (asan || tsan)
		return; // they leave locks of their own held in the child, of malloc and of clocks
	const unsigned forks = static_cast<unsigned>(shrink(1000));
	File file(page_size, pages + childs), own(page_size, 12);
	std::vector<std::unique_ptr<Pool>> others;
	for (unsigned i = 0; i < bystanders; i++)
		others.emplace_back(new Pool(file.fd(), page_size, 1));
	Pool shared(file.fd(), page_size, 8);
	// Modified and pinned: no child writes it.
	void *pinned = shared.get(1);
	fill(pinned, page_size, 1, 1);
	{
		Busy busy(file, shared);
		Rounds rounds(forks);
		for (uint64_t version = 1; rounds.more() && !busy.report.any(); version++) {
			int verdict = in_child([&] { return child({shared, pinned}, file, own.fd(), version); });
			CAPTURE(version);
			REQUIRE(verdict == 0);
			REQUIRE(own.holds(11, version)); // what the child synced is there
		}
		busy.stop();
		busy.report.require_none();
	}
	CHECK(shared.stats().pinned == 1);
	shared.put(pinned, MPOOL_DIRTY);
	shared.sync();
	CHECK(file.holds(1, 1));
	for (pgno_t i = 2; i < pages; i++)
		REQUIRE(file.holds(i, 0));
}

TEST_CASE("a fork waits for a thread that holds one of the library's locks, and the child has them free")
{
	const bool of_pools = GENERATE(true, false);
	CAPTURE(of_pools);
	File file(page_size, pages + childs), own(page_size, 12);
	Pool pool(file.fd(), page_size, 4), closed(file.fd(), page_size, 1);
	closed.close(); // its arena is kept, for the child to take
	void *pinned = pool.get(1);
	fill(pinned, page_size, 1, 1);
	std::atomic<bool> held{false};
	Threads holder;
	holder.start([&] {
		of_pools ? thread_before_fork() : mem_before_fork();
		held = true;
		// A fork that does not wait for us happens in this time.
		std::this_thread::sleep_for(std::chrono::milliseconds(100));
		of_pools ? thread_after_fork(false) : mem_after_fork();
	});
	while (!held)
		std::this_thread::yield();
	CHECK(in_child([&] { return child({pool, pinned}, file, own.fd(), 1); }) == 0);
	pool.put(pinned);
}

TEST_CASE("a child goes on with its copy of a pool, and its parent with its own")
{
	File file(page_size, pages + childs);
	Pool pool(file.fd(), page_size, 8);
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 1);
	void *pinned = pool.get(0);
	struct mpool_stats before = pool.stats();
	REQUIRE(in_child([&] {
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(pool, &st, sizeof st) == 0);
		CHILD_CHECK(st.hits == before.hits && st.misses == before.misses && st.dirty == 4 && st.pinned == 1);
		// The modification is the child's, too: nobody else has to put it.
		fill(pinned, page_size, 0, 7);
		CHILD_CHECK(mpool_put(pool, pinned, MPOOL_DIRTY) == 0);
		CHILD_CHECK(mpool_put(pool, pinned, 0) == -1 && errno == EINVAL);
		for (pgno_t i = 1; i < 4; i++)
			CHILD_CHECK(shows(pool, i, 1));
		CHILD_CHECK(mpool_sync(pool) == 0);
		CHILD_CHECK(file_holds(file.fd(), 0, 7) && file_holds(file.fd(), 3, 1));
		CHILD_CHECK(mpool_close(pool) == 0);
		return 0;
	}) == 0);
	// The parent's is as it was, and writes over what the child has written.
	CHECK(pool.stats().dirty == 4);
	CHECK(pool.stats().pinned == 1);
	CHECK(is(pinned, page_size, 0, 1));
	pool.put(pinned);
	pool.sync();
	for (pgno_t i = 0; i < 4; i++)
		CHECK(file.holds(i, 1));
}

TEST_CASE("a server that becomes a daemon goes on with the pool that it opened before")
{
	File file(page_size, 10);
	int told[2];
	REQUIRE(pipe(told) == 0);
	// daemon ends the child, and its own child goes on.
	CHECK(in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 4);
		CHILD_CHECK(mp && modify(mp, 1, 1));
		void *pinned = mpool_get(mp, 2, 0);
		CHILD_CHECK(pinned && daemon(1, 1) == 0);
		bool right = modify(mp, 3, 1) && mpool_put(mp, pinned, 0) == 0;
		for (pgno_t i = 4; i < 10; i++)
			right = right && shows(mp, i, 0);
		right = right && mpool_sync(mp) == 0 && mpool_close(mp) == 0;
		return write(told[1], right ? "y" : "n", 1) == 1 ? 0 : 1;
	}) == 0);
	close(told[1]);
	char answer = 0;
	CHECK(read(told[0], &answer, 1) == 1);
	CHECK(answer == 'y');
	close(told[0]);
	CHECK(file.holds(1, 1));
	CHECK(file.holds(3, 1));
}

TEST_CASE("whatever the other threads were at, the child ends it and goes on")
{
	const int where = GENERATE(range(0, int{wheres}));
	CAPTURE(where);
	const bool reads = where <= in_filter, syncs = where >= in_sync_write;
	const unsigned threads = where == in_read_twice ? 2 : 1;
	File file(page_size, pages + childs), own(page_size, 12);
	Pool pool(file.fd(), page_size, 8);
	Stop stop(reads ? fault::Op::read : where == in_fsync ? fault::Op::sync : fault::Op::write);
	const bool filtered_ones = where == in_filter || where == in_write_filter;
	if (filtered_ones)
		mpool_filter(pool, filter_in, filter_out, &stop);
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (!filtered_ones)
			stop.pass(call.op);
		return fault::real();
	});
	void *pinned = pool.get(1);
	fill(pinned, page_size, 1, 1);
	for (pgno_t i = 2; i < 9; i++)
		pool.modify(i, 0);
	Report report;
	Threads others;
	stop.arm();
	for (unsigned t = 0; t < threads; t++)
		others.start([&] {
			if (syncs) {
				report.check(mpool_sync(pool) == 0, "mpool_sync");
				return;
			}
			// A page that is not there, for which a modified one has to go.
			void *page = mpool_get(pool, 30, 0);
			report.check(page && is(page, page_size, 30, 0) && mpool_put(pool, page, 0) == 0, "mpool_get");
		});
	stop.await(1);
	int childs_verdict = in_child([&] { return child({pool, pinned}, file, own.fd(), 1); });
	// And of a child's child, whose parent has not called the pool.
	int its_childs = in_child([&] { return in_child([&] { return child({pool, pinned}, file, own.fd(), 2); }); });
	stop.open();
	others.join();
	CHECK(childs_verdict == 0);
	CHECK(its_childs == 0);
	report.require_none();
	pool.put(pinned, MPOOL_DIRTY);
	pool.sync();
	CHECK(file.holds(1, 1));
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("pins of the other threads stay in the child, to be put there, and their pages count as abandoned")
{
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 4);
	void *own = pool.get(0), *both = pool.get(1), *others[20];
	run_threads(1, [&](unsigned) { // one that has ended
		others[0] = mpool_get(pool, 2, 0);
	});
	Gate stay;
	Threads thread;
	thread.start([&] { // and one that is between its calls
		mpool_get(pool, 1, 0);
		for (pgno_t i = 1; i < 20; i++) // more than a stripe has room for
			others[i] = mpool_get(pool, 2 + i, 0);
		stay.pass();
	});
	stay.await(1);
	int childs_verdict = in_child([&] {
		CHILD_CHECK(pinned_in(pool) == 22);
		CHILD_CHECK(mpool_abandoned(pool, own, 0) == 0);
		CHILD_CHECK(mpool_abandoned(pool, both, 0) == 1);
		CHILD_CHECK(mpool_put(pool, both, 0) == 0 && mpool_put(pool, both, 0) == 0);
		CHILD_CHECK(mpool_put(pool, both, 0) == -1 && errno == EINVAL);
		for (void *page : others) {
			CHILD_CHECK(mpool_abandoned(pool, page, 0) == 1);
			CHILD_CHECK(
				mpool_abandoned(pool, page, MPOOL_FORGIVE) == 1 && mpool_abandoned(pool, page, 0) == 0);
			CHILD_CHECK(mpool_put(pool, page, MPOOL_DIRTY) == 0);
			CHILD_CHECK(mpool_put(pool, page, 0) == -1 && errno == EINVAL);
		}
		CHILD_CHECK(pinned_in(pool) == 1);
		CHILD_CHECK(mpool_put(pool, own, 0) == 0 && mpool_sync(pool) == 0);
		for (pgno_t i = 0; i < pages; i++)
			CHILD_CHECK(shows(pool, i, 0));
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(pool, &st, sizeof st) == 0 && st.overflow == 0);
		CHILD_CHECK(mpool_close(pool) == 0);
		return 0;
	});
	stay.open();
	thread.join();
	CHECK(childs_verdict == 0);
	CHECK(mpool_abandoned(pool, both, 0) == 0); // the parent's
	pool.put(both);
	pool.put(both);
	pool.put(own);
	for (void *page : others)
		pool.put(page);
	CHECK(pool.stats().pinned == 0);
}

namespace {

// A filter that forks, and what its child finds.
struct Forker {
	MPOOL *in, *other;
	int own;
	bool forks;
	int verdict;
};

int in_filters_child(const Forker &f)
{
	char bytes[page_size];
	CHILD_CHECK(all_refused(f.in, bytes));
	for (pgno_t i = 0; i < 12; i++)
		CHILD_CHECK(shows(f.other, i, 0));
	// Nor is it the child's child's.
	pid_t pid = fork();
	if (pid == 0)
		_exit(all_refused(f.in, bytes) && shows(f.other, 3, 0) ? 0 : 1);
	int status = -1;
	CHILD_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	CHILD_CHECK(mpool_close(f.in) == 0 && mpool_close(f.other) == 0);
	return use_own_pool(f.own, 1);
}

void forking(void *forker, pgno_t, void *)
{
	Forker *f = static_cast<Forker *>(forker);
	if (!std::exchange(f->forks, false))
		return;
	pid_t pid = fork();
	if (pid == 0) {
		_exit(in_filters_child(*f));
	}
	int status = -1;
	f->verdict = pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

int forking_hook(void *forker, const pgno_t *, void *const *, size_t)
{
	forking(forker, 0, nullptr);
	return 0;
}

} // namespace

TEST_CASE("in a child latches of the other threads are free, and the forking thread keeps its own")
{
	bool latched_only = GENERATE(false, true);
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 8);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, latched_only) == 0);
	void *own = pool.get(0), *shared = pool.get(1);
	REQUIRE(mpool_latch(pool, own, MPOOL_EXCLUSIVE) == 0);
	REQUIRE(mpool_latch(pool, shared, MPOOL_SHARED) == 0);
	Gate stay;
	Threads thread;
	std::atomic<unsigned> wrong{0};
	thread.start([&] {
		for (pgno_t i = 2; i < 24; i++) // more than a line of marks has room for
			wrong += mpool_latch(pool, mpool_get(pool, i, 0), i % 2 ? MPOOL_SHARED : MPOOL_EXCLUSIVE) != 0;
		wrong += mpool_latch(pool, mpool_get(pool, 1, 0), MPOOL_SHARED) != 0;
		mpool_get(pool, 24, 0);
		stay.pass();
	});
	stay.await(1);
	REQUIRE(wrong == 0);
	int childs_verdict = in_child([&] {
		for (pgno_t i = 2; i < 25; i++) {
			void *page = mpool_get(pool, i, 0);
			CHILD_CHECK(page && mpool_latch(pool, page, MPOOL_EXCLUSIVE | MPOOL_TRY) == 0);
			bool exclusive = i < 24 && i % 2 == 0;
			CHILD_CHECK(mpool_abandoned(pool, page, 0) == (exclusive || !latched_only));
			CHILD_CHECK(mpool_unlatch(pool, page, 0) == 0 && mpool_put(pool, page, 0) == 0);
		}
		CHILD_CHECK(mpool_latch(pool, own, MPOOL_SHARED) == -1 && errno == EDEADLK);
		CHILD_CHECK(mpool_abandoned(pool, own, 0) == 0);
		CHILD_CHECK(mpool_unlatch(pool, own, MPOOL_DIRTY) == 0);
		CHILD_CHECK(mpool_unlatch(pool, shared, 0) == 0 && mpool_unlatch(pool, shared, 0) == -1);
		CHILD_CHECK(mpool_latch(pool, shared, MPOOL_EXCLUSIVE | MPOOL_TRY) == 0);
		return mpool_close(pool);
	});
	stay.open();
	thread.join();
	CHECK(childs_verdict == 0);
	REQUIRE(mpool_unlatch(pool, own, 0) == 0);
	REQUIRE(mpool_unlatch(pool, shared, 0) == 0);
}

TEST_CASE("a filter or hook that forks leaves its child every pool but the one that it is for")
{
	File file(page_size, 20), own(page_size, 12);
	Pool pool(file.fd(), page_size, 4), other(file.fd(), page_size, 4);
	Forker forker = {pool, other, own.fd(), false, -1};
	mpool_filter(pool, forking, forking, &forker);
	SECTION("pgin")
	{
		forker.forks = true;
		CHECK(pool.shows(7, 0));
	}
	SECTION("pgout")
	{
		pool.modify(1, 1);
		forker.forks = true;
		pool.sync();
		CHECK(file.holds(1, 1));
	}
	SECTION("before_write")
	{
		struct mpool_hooks hooks = {nullptr, nullptr, forking_hook, &forker};
		mpool_filter(pool, nullptr, nullptr, nullptr);
		REQUIRE(mpool_hooks(pool, &hooks, sizeof hooks) == 0);
		pool.modify(1, 1);
		forker.forks = true;
		pool.sync();
		CHECK(file.holds(1, 1));
	}
	CHECK(forker.verdict == 0);
}

TEST_CASE("a child's child has the pools that neither of them opened")
{
	File file(page_size, pages + childs), own(page_size, 12);
	Pool pool(file.fd(), page_size, 8);
	void *pinned = pool.get(1);
	fill(pinned, page_size, 1, 1);
	pool.modify(2, 0);
	const auto last = [&](uint64_t version) {
		return in_child([&] { return child({pool, pinned}, file, own.fd(), version); });
	};
	SECTION("before the first call")
	{
		CHECK(in_child([&] { return last(1); }) == 0);
		CHECK(in_child([&] { return in_child([&] { return last(2); }); }) == 0);
	}
	SECTION("after it")
	{
		CHECK(in_child([&] {
			CHILD_CHECK(shows(pool, 3, 0));
			return last(1) ? 1 : child({pool, pinned}, file, own.fd(), 2);
		}) == 0);
	}
	SECTION("after its parent has closed it")
	{
		CHECK(in_child([&] {
			Pool next(file.fd(), page_size, 8);
			void *its = next.get(4);
			return in_child([&] {
				CHILD_CHECK(mpool_close(next) == 0);
				return in_child([&] { return child({pool, pinned}, file, own.fd(), 1); });
			})
			               ? 1
			               : mpool_put(next, its, 0);
		}) == 0);
	}
	pool.put(pinned);
}

TEST_CASE("a pool that a child opened is its own child's as well")
{
	File own(page_size, 12);
	REQUIRE(in_child([&] {
		MPOOL *mp = mpool_open(nullptr, own.fd(), page_size, 4);
		CHILD_CHECK(mp && modify(mp, 1, 1));
		CHILD_CHECK(in_child([&] {
			CHILD_CHECK(shows(mp, 1, 1) && modify(mp, 2, 2) && mpool_sync(mp) == 0 && mpool_close(mp) == 0);
			return 0;
		}) == 0);
		CHILD_CHECK(file_holds(own.fd(), 1, 1) && file_holds(own.fd(), 2, 2));
		CHILD_CHECK(modify(mp, 1, 3) && mpool_sync(mp) == 0 && mpool_close(mp) == 0);
		return 0;
	}) == 0);
	CHECK(own.holds(1, 3));
}

TEST_CASE("a child that only closes what it has of its parent's takes nothing with it")
{
	File file(page_size, 12);
	std::vector<std::unique_ptr<Pool>> many;
	for (unsigned i = 0; i < bystanders; i++) {
		many.emplace_back(new Pool(file.fd(), page_size, 4));
		many.back()->modify(1, i);
	}
	size_t fds = open_fds().size();
	CHECK(in_child([&] {
		for (std::unique_ptr<Pool> &pool : many)
			CHILD_CHECK(pool->close() == 0);
		CHILD_CHECK(open_fds().size() <= fds);
		return 0;
	}) == 0);
	CHECK(file.holds(1, 0));
	// And one that calls each, and closes it.
	CHECK(in_child([&] {
		for (unsigned i = 0; i < bystanders; i++)
			CHILD_CHECK(shows(*many[i], 1, i) && modify(*many[i], 2, i) && many[i]->close() == 0);
		return 0;
	}) == 0);
	for (unsigned i = 0; i < bystanders; i++)
		CHECK(many[i]->shows(1, i));
}

TEST_CASE("what was written and not synced before a fork is written again by the child's sync")
{
	const pgno_t maxcache = 1024;
	File file(page_size, 2 * maxcache);
	Pool pool(file.fd(), page_size, maxcache);
	const struct mpool_stats before = [&] {
		// Batches are written, and some of each stays in memory for a while.
		struct mpool_stats st;
		pgno_t i = 0;
		do {
			pool.modify(i++, 1);
			st = pool.stats();
		} while (i < 2 * maxcache && st.writes < st.evictions + 2);
		return st;
	}();
	REQUIRE(before.writes >= before.evictions + 2);
	CHECK(in_child([&] {
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(pool, &st, sizeof st) == 0);
		CHILD_CHECK(st.dirty == before.dirty + before.writes - before.evictions);
		CHILD_CHECK(mpool_sync(pool) == 0 && mpool_stats(pool, &st, sizeof st) == 0 && st.dirty == 0);
		return 0;
	}) == 0);
	CHECK(pool.stats().dirty == before.dirty);
}

namespace {

// A lock of this process's own, so that the library closes no descriptor of the file.
void lock_file(int fd)
{
	struct flock all = {};
	all.l_type = F_WRLCK;
	all.l_whence = SEEK_SET;
	REQUIRE(fcntl(fd, F_SETLK, &all) == 0);
}

fault::Fate as_the_kernel_has_it(const fault::Call &call)
{
	return call.op == fault::Op::sync && fault::is_told(call.fd) ? fault::error(EIO) : fault::real();
}

// A pool of this process's own, which opens the file anew, and a sync, whatever that says.
int write_anew(int fd)
{
	MPOOL *mp = mpool_open(nullptr, fd, page_size, 4);
	CHILD_CHECK(mp);
	for (pgno_t i = pages; i < pages + childs; i++)
		CHILD_CHECK(modify(mp, i, 1));
	(void)mpool_sync(mp);
	CHILD_CHECK(mpool_close(mp) == 0);
	return 0;
}

// A fork, of which nothing comes.
bool forks_in_vain()
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

} // namespace

TEST_CASE("what a parent is to be told its child does not take, whatever of the file it opens anew")
{
	// What the child has of its parent's: let go with the pool, or when the pool has one of the child's own; or
	// let go already.
	enum { by_closing, by_renewing, before };
	const int let_go = GENERATE(range(0, before + 1));
	CAPTURE(let_go);
	File file(page_size, pages + childs);
	lock_file(file.fd());
	std::unique_ptr<Pool> opened(new Pool(file.fd(), page_size, 4));
	fault::Script script(file.fd(), as_the_kernel_has_it);
	opened->modify(0, 1);
	opened->sync();
	if (let_go == before)
		opened.reset();
	int go[2];
	REQUIRE(pipe(go) == 0);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		char c;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bool right = read(go[0], &c, 1) == 1;
		if (right && let_go != before)
			right = (let_go == by_closing ? mpool_close(*opened) : mpool_sync(*opened)) == 0;
		_exit(right ? write_anew(file.fd()) : 1);
	}
	if (!opened)
		opened.reset(new Pool(file.fd(), page_size, 4));
	const Pool &pool = *opened;
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 2);
	pool.crowd_out(10);
	REQUIRE(pool.stats().dirty == 0);
	fault::write_back_fails(file.fd());
	REQUIRE(write(go[1], "x", 1) == 1);
	int status = -1;
	REQUIRE(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(mpool_sync(pool) == -1);
		CHECK(errno == EIO);
	}
	close(go[0]);
	close(go[1]);
}

TEST_CASE("what a descriptor told of before is no failure of the pool that it is for now")
{
	File file(page_size, pages + childs);
	lock_file(file.fd());
	Pool pool(file.fd(), page_size, 4);
	pool.modify(0, 1);
	pool.sync();
	CHECK(in_child([&] {
		bool fails = true;
		fault::Script script(file.fd(), [&](const fault::Call &call) {
			return fails && call.op == fault::Op::sync ? fault::error(EIO) : fault::real();
		});
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 4);
		CHILD_CHECK(mp && modify(mp, pages, 1) && mpool_sync(mp) == -1 && mpool_close(mp) == 0);
		fails = false;
		// The parent's, which has a witness of its own from here on.
		CHILD_CHECK(mpool_sync(pool) == 0 && mpool_sync(pool) == 0 && mpool_close(pool) == 0);
		CHILD_CHECK((mp = mpool_open(nullptr, file.fd(), page_size, 4)));
		CHILD_CHECK(modify(mp, pages, 2) && mpool_sync(mp) == 0);
		fails = true;
		CHILD_CHECK(modify(mp, pages, 3) && mpool_sync(mp) == -1 && mpool_close(mp) == 0);
		fails = false;
		// And those that others have too: all that there are.
		CHILD_CHECK(forks_in_vain());
		MPOOL *both[2];
		for (MPOOL *&one : both)
			CHILD_CHECK((one = mpool_open(nullptr, file.fd(), page_size, 4)) && modify(one, pages, 4) &&
				    mpool_sync(one) == 0);
		for (MPOOL *one : both)
			CHILD_CHECK(mpool_close(one) == 0);
		return 0;
	}) == 0);
}

namespace {

// A child that is held up before its first sync, and in that one's fsync.
class HeldUp {
public:
	HeldUp()
	{
		REQUIRE(pipe(begin_) == 0);
		REQUIRE(pipe(there_) == 0);
		REQUIRE(pipe(end_) == 0);
	}
	~HeldUp()
	{
		for (int fd : {begin_[0], begin_[1], there_[0], there_[1], end_[0], end_[1]})
			close(fd);
	}
	void fork_with(MPOOL *mp)
	{
		child_ = fork();
		REQUIRE(child_ >= 0);
		if (child_ == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(waits(begin_) && mpool_sync(mp) == 0 ? 0 : errno);
		}
	}
	// What becomes of a call: of the script, in both.
	fault::Fate pass(const fault::Call &call)
	{
		if (getpid() != parent_ && call.op == fault::Op::sync && !(tells(there_) && waits(end_)))
			_exit(1);
		return as_the_kernel_has_it(call);
	}
	void await_fsync() { REQUIRE((tells(begin_) && waits(there_))); }
	// What its sync gave: 0, or errno.
	int await_end()
	{
		int status = -1;
		REQUIRE(tells(end_));
		REQUIRE(waitpid(child_, &status, 0) == child_);
		REQUIRE(WIFEXITED(status));
		return WEXITSTATUS(status);
	}
	void kill()
	{
		int status = -1;
		REQUIRE(::kill(child_, SIGKILL) == 0);
		REQUIRE(waitpid(child_, &status, 0) == child_);
	}

private:
	static bool tells(const int *pipe) { return write(pipe[1], "x", 1) == 1; }
	static bool waits(const int *pipe)
	{
		char c;
		return read(pipe[0], &c, 1) == 1;
	}
	int begin_[2], there_[2], end_[2];
	const pid_t parent_ = getpid();
	pid_t child_ = -1;
};

int sync_error(MPOOL *mp)
{
	return mpool_sync(mp) == 0 ? 0 : errno;
}

} // namespace

TEST_CASE("while a child does not come back from an fsync its parent does not know of pages that have left")
{
	enum { comes_back, is_told, dies };
	const int child_does = GENERATE(range(0, dies + 1));
	CAPTURE(child_does);
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 4);
	HeldUp child;
	fault::Script script(file.fd(), [&](const fault::Call &call) { return child.pass(call); });
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 2);
	pool.crowd_out(10);
	REQUIRE(pool.stats().dirty == 0);
	child.fork_with(pool);
	child.await_fsync();
	CHECK(sync_error(pool) == EAGAIN);
	if (child_does == is_told)
		fault::write_back_fails(file.fd());
	if (child_does == dies)
		child.kill();
	else
		CHECK(child.await_end() == (child_does == is_told ? EIO : 0));
	for (unsigned i = 0; i < 2; i++)
		CHECK(sync_error(pool) == (child_does == comes_back ? 0 : child_does == is_told ? EIO : EAGAIN));
}

TEST_CASE("while a child does not come back from an fsync its parent has another witness, if no page has left")
{
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 4);
	HeldUp child;
	fault::Script script(file.fd(), [&](const fault::Call &call) { return child.pass(call); });
	// What the old one told of is nothing to the new one.
	pool.modify(0, 2);
	pool.sync();
	fault::write_back_fails(file.fd());
	CHECK(sync_error(pool) == EIO);
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 2);
	pool.crowd_out(10);
	child.fork_with(pool);
	CHECK(sync_error(pool) == 0);
	pool.modify(0, 3);
	child.await_fsync();
	CHECK(sync_error(pool) == EAGAIN);
	for (unsigned i = 0; i < 2; i++)
		CHECK(sync_error(pool) == 0);
	CHECK(file.holds(0, 3));
	CHECK(child.await_end() == 0);
}

namespace {

// A thread that opens a pool, has it write, and closes it, over and over; a fork takes place
// while there is one, at any moment of its first write.
class FirstWrites {
public:
	explicit FirstWrites(const File &file) : file_(file)
	{
		thread_.start([this] {
			while (!over_ && !report.any())
				use(mpool_open(nullptr, file_.fd(), page_size, 1));
		});
	}
	~FirstWrites() { stop(); }
	void stop()
	{
		over_ = true;
		thread_.join();
	}
	// What the child ends with; -1: there is no pool just now.
	int fork_beside()
	{
		std::lock_guard<std::mutex> stays(lock_);
		return pool_ ? in_child([this] {
			CHILD_CHECK(mpool_sync(pool_) == 0);
			return 0;
		})
		             : -1;
	}
	Report report;

private:
	void show(MPOOL *mp)
	{
		std::lock_guard<std::mutex> with(lock_);
		pool_ = mp;
	}
	void use(MPOOL *mp)
	{
		report.check(mp, "mpool_open");
		if (!mp)
			return;
		show(mp);
		// More than it keeps.
		for (pgno_t i = 0; i < 20; i++)
			report.check(modify(mp, i, i), "a modification");
		show(nullptr);
		report.check(mpool_close(mp) == 0, "mpool_close");
	}

	const File &file_;
	std::mutex lock_;
	MPOOL *pool_ = nullptr;
	std::atomic<bool> over_{false};
	Threads thread_;
};

} // namespace

TEST_CASE("a child finds each descriptor that its copy of a pool names")
{
	if (asan || tsan)
		return; // they leave locks of their own held in the child, of malloc and of clocks
	// The kernel copies descriptors, then memory: so that the latter takes a while.
	std::vector<char> memory(32u << 20, 1);
	File file(page_size, pages);
	FirstWrites writes(file);
	Rounds rounds(shrink(500));
	int verdict = -1;
	for (bool more = rounds.more(); more && !writes.report.any(); more = verdict == -1 || rounds.more()) {
		verdict = writes.fork_beside();
		REQUIRE(verdict <= 0);
		if (verdict == -1)
			std::this_thread::yield();
	}
	writes.stop();
	writes.report.require_none();
}

TEST_CASE("a child that is refused membarrier pays for fences")
{
	if (!can_filter())
		return;
	File file(page_size, pages + childs), own(page_size, 12);
	Pool pool(file.fd(), page_size, 8);
	void *pinned = pool.get(1);
	fill(pinned, page_size, 1, 1);
	CHECK(in_child([&] {
		CHILD_CHECK(install_filter({SYS_membarrier}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW));
		return child({pool, pinned}, file, own.fd(), 1);
	}) == 0);
	pool.put(pinned);
}

TEST_CASE("threads of a child use its pools, and its exec finds nothing of them")
{
	if (sanitized)
		return; // as above; and ThreadSanitizer does not follow threads of a child
	File file(page_size, pages + childs), own(page_size, 12);
	Pool pool(file.fd(), page_size, 8);
	void *pinned = pool.get(1);
	fill(pinned, page_size, 1, 1);
	Busy busy(file, pool);
	// All of them are the first to call it.
	const auto use_all = [&](uint64_t version) {
		std::atomic<int> wrong{0};
		run_threads(4, [&](unsigned t) {
			for (pgno_t i = 2; i < pages; i++)
				if (!shows(pool, (i + 10 * t) % (pages - 2) + 2, 0))
					wrong = 1;
			if (t == 0 && use_own_pool(own.fd(), version) != 0)
				wrong = 1;
		});
		return wrong.load();
	};
	for (uint64_t version = 1; version < 20; version++) {
		CHECK(in_child([&] {
			CHILD_CHECK(use_all(version) == 0);
			return child({pool, pinned}, file, own.fd(), version);
		}) == 0);
		// One of its threads forks, while the others make the first call.
		CHECK(in_child([&] {
			std::atomic<int> status{-1};
			Threads thread;
			thread.start([&] {
				pid_t pid = fork();
				if (pid == 0) {
					// The page was pinned by a thread that is not here.
					CHILD_CHECK_EXIT(mpool_abandoned(pool, pinned, 0) == 1);
					CHILD_CHECK_EXIT(mpool_put(pool, pinned, 0) == 0);
					_exit(use_inherited(pool, file.fd(), version));
				}
				int its = -1;
				waitpid(pid, &its, 0);
				status = its;
			});
			CHILD_CHECK(use_all(version) == 0);
			thread.join();
			CHILD_CHECK(status == 0);
			return child({pool, pinned}, file, own.fd(), version);
		}) == 0);
	}
	// The thread that forked ends before anybody calls the pool: its pin is anybody's.
	CHECK(in_child([&] {
		int result = -1;
		run_threads(1, [&](unsigned) {
			void *its = mpool_get(pool, 40, 0);
			pid_t pid = its ? fork() : -1;
			if (pid == 0) {
				static MPOOL *mp;
				static void *page;
				mp = pool;
				page = its;
				pthread_t next;
				const pthread_t forked = pthread_self();
				static pthread_t before;
				before = forked;
				pthread_create(
					&next, nullptr,
					[](void *) -> void * {
						pthread_join(before, nullptr);
						_exit(mpool_abandoned(mp, page, 0) == 0 &&
									mpool_put(mp, page, 0) == 0 &&
									mpool_put(mp, page, 0) == -1 && shows(mp, 41, 0)
								? 0
								: 1);
					},
					nullptr);
				pthread_exit(nullptr);
			}
			waitpid(pid, &result, 0);
			mpool_put(pool, its, 0);
		});
		CHILD_CHECK(result == 0); // an exit status of the child's is none of ours
		return 0;
	}) == 0);
	CHECK(in_child([] {
		execl("/bin/true", "true", nullptr);
		return 1;
	}) == 0);
	busy.stop();
	busy.report.require_none();
	pool.put(pinned);
}
