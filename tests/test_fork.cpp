// test_fork.cpp - a process forks while its threads use pools: the child can open
// its own, never touches its parent's files, and the parent notices nothing.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <csignal>

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
extern "C" const char *__tsan_default_options() { return "report_thread_leaks=0"; }
#endif

namespace {

constexpr pgno_t page_size = 512;
constexpr pgno_t pages = 60;
constexpr unsigned bystanders = 64; // pools that are only open: the list of pools is looked through for long
constexpr unsigned child_seconds = 20;

// What a child found, by the number it ends with.
enum Verdict { all_well, call_not_refused, pinned_bytes, own_open, own_pages, own_sync, own_close, parents_close, grandchild };

bool refused(bool failed) { return failed && errno == EBADF; }

// Every call on a pool of the parent's but mpool_close.
bool all_refused(MPOOL *mp, void *pinned)
{
	pgno_t number = 0;
	struct mpool_stats st;
	return refused(!mpool_get(mp, 0, 0)) && refused(!mpool_get(mp, 0, MPOOL_IGNOREPIN)) &&
	       refused(!(mpool_new)(mp, &number)) && refused(!mpool_new_flags(mp, &number, MPOOL_PAGE_REQUEST)) &&
	       refused(mpool_put(mp, pinned, MPOOL_DIRTY) == -1) && refused(mpool_delete(mp, pinned) == -1) &&
	       refused(mpool_sync(mp) == -1) && refused(mpool_stats(mp, &st, sizeof st) == -1);
}

// A pool of this process's own: opened, used, flushed, closed.
Verdict use_own_pool(int fd, uint64_t version)
{
	MPOOL *mp = mpool_open(nullptr, fd, page_size, 4);
	if (!mp)
		return own_open;
	for (pgno_t i = 0; i < 12; i++) {
		void *page = mpool_get(mp, i, 0);
		if (!page)
			return own_pages;
		fill(page, page_size, i, version);
		if (mpool_put(mp, page, MPOOL_DIRTY) != 0)
			return own_pages;
	}
	if (mpool_sync(mp) != 0)
		return own_sync;
	for (pgno_t i = 0; i < 12; i++) {
		char bytes[page_size];
		if (pread(fd, bytes, page_size, static_cast<off_t>(i * page_size)) != page_size ||
		    !is(bytes, page_size, i, version))
			return own_sync;
	}
	return mpool_close(mp) == 0 ? all_well : own_close;
}

// A pool of the parent's, with a page that the forking thread has pinned.
struct Inherited {
	MPOOL *mp;
	void *pinned;
};

Verdict child(const Inherited &parents, int fd, uint64_t version)
{
	if (!all_refused(parents.mp, parents.pinned))
		return call_not_refused;
	if (!is(parents.pinned, page_size, 1, 1))
		return pinned_bytes;
	Verdict v = use_own_pool(fd, version);
	if (v != all_well)
		return v;
	if (mpool_close(parents.mp) != 0)
		return parents_close;
	// The memory may serve the next one.
	return use_own_pool(fd, version + 1);
}

// Threads that open, close, attach to and use pools until it goes.
class Busy {
public:
	Busy(const File &file, MPOOL *shared) : file_(file), shared_(shared)
	{
		for (unsigned t = 0; t < 2; t++)
			threads_.start([this] { open_and_close(); });
		threads_.start([this] { come_and_go(); });
		threads_.start([this] { get_and_put(); });
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
	void get_and_put()
	{
		Random random(1);
		while (!over_ && !report.any()) {
			pgno_t pgno = 2 + static_cast<pgno_t>(random.below(pages - 2));
			void *page = mpool_get(shared_, pgno, 0);
			report.check(page && is(page, page_size, pgno, 0), "bytes while others fork");
			report.check(mpool_put(shared_, page, MPOOL_DIRTY) == 0, "mpool_put");
			if (random.below(500) == 0)
				report.check(mpool_sync(shared_) == 0, "mpool_sync");
		}
	}

	const File &file_;
	MPOOL *shared_;
	std::atomic<bool> over_{false};
	Threads threads_;
};

} // namespace

TEST_CASE("a process may fork at any time while its threads use, open and close pools")
{
	if (asan)
		return; // it leaves locks of its own malloc held in the child
	const unsigned forks = static_cast<unsigned>(shrink(80));
	File file(page_size, pages), own(page_size, 12);
	std::vector<std::unique_ptr<Pool>> others;
	for (unsigned i = 0; i < bystanders; i++)
		others.emplace_back(new Pool(file.fd(), page_size, 1));
	Pool shared(file.fd(), page_size, 8);
	// Modified and pinned: it must not reach the file by any child.
	void *pinned = shared.get(1);
	fill(pinned, page_size, 1, 1);
	{
		Busy busy(file, shared);
		for (unsigned n = 0; n < forks && !busy.report.any(); n++) {
			uint64_t version = 2 * n + 1;
			int verdict = in_child([&] { return child({shared, pinned}, own.fd(), version); }, child_seconds);
			CAPTURE(n);
			REQUIRE(verdict == all_well);
			REQUIRE(own.holds(11, version + 1)); // what the child synced is there
		}
		busy.stop();
		busy.report.require_none();
	}
	CHECK(file.holds(1, 0));
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
	File file(page_size, pages), own(page_size, 12);
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
	CHECK(in_child([&] { return child({pool, pinned}, own.fd(), 1); }, child_seconds) == all_well);
	pool.put(pinned);
}

TEST_CASE("nothing of a parent's pool is written by the child, whatever it calls")
{
	File file(page_size, pages), own(page_size, 12);
	Pool pool(file.fd(), page_size, 4);
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 1);
	void *pinned = pool.get(1);
	REQUIRE(in_child([&] {
		mpool_sync(pool);
		for (pgno_t i = 0; i < pages; i++)
			if (void *page = mpool_get(pool, i, 0))
				mpool_put(pool, page, MPOOL_DIRTY);
		mpool_put(pool, pinned, MPOOL_DIRTY);
		mpool_sync(pool);
		return static_cast<int>(child({pool, pinned}, own.fd(), 1));
	}) == all_well);
	for (pgno_t i = 0; i < 4; i++)
		CHECK(file.holds(i, 0));
	// The parent's is as it was.
	CHECK(pool.stats().dirty == 4);
	CHECK(pool.stats().pinned == 1);
	pool.put(pinned);
	pool.sync();
	for (pgno_t i = 0; i < 4; i++)
		CHECK(file.holds(i, 1));
}

TEST_CASE("a pool that a child opened is not its own child's")
{
	File own(page_size, 12), next(page_size, 12);
	REQUIRE(in_child([&] {
		MPOOL *mp = mpool_open(nullptr, own.fd(), page_size, 4);
		void *page = mp ? mpool_get(mp, 1, 0) : nullptr;
		if (!page)
			return static_cast<int>(own_open);
		fill(page, page_size, 1, 1);
		pid_t pid = fork();
		if (pid == 0)
			_exit(child({mp, page}, next.fd(), 7));
		int status;
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			return static_cast<int>(grandchild);
		if (mpool_put(mp, page, MPOOL_DIRTY) != 0 || mpool_sync(mp) != 0)
			return static_cast<int>(own_sync);
		return static_cast<int>(mpool_close(mp) == 0 ? all_well : own_close);
	}) == all_well);
	CHECK(own.holds(1, 1));
	CHECK(next.holds(1, 8));
}

TEST_CASE("threads of a child use its pools, and its exec finds nothing of them")
{
	if (sanitized)
		return; // as above; and ThreadSanitizer does not follow threads of a child
	File file(page_size, pages), own(page_size, 12);
	Pool pool(file.fd(), page_size, 4);
	void *pinned = pool.get(1);
	Busy busy(file, pool);
	CHECK(in_child([&] {
		Verdict verdicts[3] = {};
		std::vector<std::thread> threads;
		for (int t = 0; t < 3; t++)
			threads.emplace_back([&, t] { verdicts[t] = use_own_pool(own.fd(), 1); });
		for (std::thread &t : threads)
			t.join();
		return static_cast<int>(verdicts[0] ? verdicts[0] : verdicts[1] ? verdicts[1] : verdicts[2]);
	}, child_seconds) == all_well);
	CHECK(in_child([] {
		execl("/bin/true", "true", nullptr);
		return 1;
	}, child_seconds) == 0);
	busy.stop();
	busy.report.require_none();
	pool.put(pinned);
}
