// test_hitpath.cpp - a hit makes no system call and waits for no lock: it runs in
// a child whose kernel kills it at the first system call.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <mpool_peek.h>

#include "support.hpp"

#include <csignal>

#include <sys/syscall.h>

#include "seccomp.hpp"

using namespace test;

namespace {

enum { ok = 0, wrong = 1, no_filter = 2 };

// From here on the thread may end the process, and nothing else.
bool forbid_system_calls()
{
	return install_filter({SYS_exit_group}, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
}

bool skipped()
{
	if (sanitized) {
		WARN("skipped: sanitizers make system calls of their own");
		return true;
	}
	if (!can_filter()) {
		WARN("skipped: this kernel has no seccomp");
		return true;
	}
	return false;
}

void require_ok(int result)
{
	INFO("1031: killed for a system call; 1014: out of time");
	REQUIRE(result == ok);
}

const size_t hits = 1000000;

// Of pages that are all in the pool, each gone through `hit` once before.
template <class Hit> void require_no_system_call(Hit hit)
{
	if (skipped())
		return;
	const pgno_t pages = 100;
	File file(512, pages);
	require_ok(in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), 512, pages);
		for (pgno_t i = 0; i < pages; i++)
			if (!hit(mp, i))
				return int{wrong};
		if (!forbid_system_calls())
			return int{no_filter};
		for (size_t n = 0; n < hits; n++)
			if (!hit(mp, static_cast<pgno_t>(mix(n) % pages)))
				return int{wrong};
		return int{ok};
	}));
}

} // namespace

TEST_CASE("the child of these tests is killed for a system call")
{
	if (skipped())
		return;
	int result = in_child([] {
		if (!forbid_system_calls())
			return int{no_filter};
		syscall(SYS_getppid);
		return int{ok};
	});
	REQUIRE(result == 1000 + SIGSYS);
}

TEST_CASE("a million hits and puts make no system call")
{
	if (skipped())
		return;
	const unsigned flags = GENERATE(0u, unsigned{MPOOL_DIRTY});
	const pgno_t maxcache = GENERATE(3u, 1000u);
	CAPTURE(flags, maxcache);
	const pgno_t cached = maxcache / 2 + 1;
	File file(4096, 1000);
	require_ok(in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), 4096, maxcache);
		for (pgno_t i = 0; i < cached; i++)
			if (mpool_put(mp, mpool_get(mp, i, 0), 0) != 0)
				return int{wrong};
		if (!forbid_system_calls())
			return int{no_filter};
		for (size_t n = 0; n < hits; n++) {
			pgno_t pgno = static_cast<pgno_t>(mix(n) % cached);
			void *page = mpool_get(mp, pgno, 0);
			if (!page || mpool_put(mp, page, flags) != 0)
				return int{wrong};
		}
		return int{ok};
	}));
}

TEST_CASE("a million peeks make no system call")
{
	const bool is_inline = GENERATE(false, true);
	require_no_system_call([&](MPOOL *mp, pgno_t pgno) {
		// The first must bring the page in.
		uint64_t version;
		const struct mpool_view *view = mpool_view(mp, MPOOL_VIEW_LAYOUT);
		const void *page = is_inline ? mpool_peek_view(view, pgno, &version) : mpool_peek(mp, pgno, &version);
		if (!page)
			return mpool_put(mp, mpool_get(mp, pgno, 0), 0) == 0;
		return (is_inline ? mpool_unchanged_view(view, page, version) : mpool_unchanged(mp, page, version)) ==
		       1;
	});
}

TEST_CASE("hits with several pages pinned at once make no system call")
{
	if (skipped())
		return;
	File file(512, 1000);
	require_ok(in_child([&] {
		const unsigned pinned = 40;
		MPOOL *mp = mpool_open(nullptr, file.fd(), 512, 1000);
		void *pages[pinned];
		for (pgno_t i = 0; i < 1000; i++)
			if (mpool_put(mp, mpool_get(mp, i, 0), 0) != 0)
				return int{wrong};
		for (int warm = 0; warm < 2; warm++) {
			if (warm == 1 && !forbid_system_calls())
				return int{no_filter};
			for (size_t n = 0; n < hits / pinned / 2; n++) {
				for (unsigned i = 0; i < pinned; i++)
					if (!(pages[i] = mpool_get(mp, static_cast<pgno_t>(mix(n + i) % 1000), 0)))
						return int{wrong};
				for (unsigned i = 0; i < pinned; i++)
					if (mpool_put(mp, pages[n % 2 ? i : pinned - 1 - i], 0) != 0)
						return int{wrong};
			}
		}
		return int{ok};
	}));
}

TEST_CASE("hits with MPOOL_IGNOREPIN make no system call")
{
	require_no_system_call([](MPOOL *mp, pgno_t pgno) { return mpool_get(mp, pgno, MPOOL_IGNOREPIN) != nullptr; });
}

TEST_CASE("hits with MPOOL_ONCE make no system call")
{
	// Half of the pages come in without.
	require_no_system_call([n = 0u](MPOOL *mp, pgno_t pgno) mutable {
		void *page = mpool_get(mp, pgno, n++ < 100 && pgno % 2 == 0 ? 0 : MPOOL_ONCE);
		return page && mpool_put(mp, page, 0) == 0;
	});
}

TEST_CASE("threads that hit the same pages, while another evicts and syncs, make no system call")
{
	if (skipped())
		return;
	// A lock that another holds would be waited for in futex, and kill.
	const bool sync = GENERATE(false, true);
	CAPTURE(sync);
	const unsigned hitters = 3;
	const pgno_t hot = 10, maxcache = 100;
	File file(512, 2000);
	require_ok(in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), 512, maxcache);
		// Others first: what comes into a full pool is what the evictor tries.
		for (pgno_t i = hot; i < hot + maxcache; i++)
			if (mpool_put(mp, mpool_get(mp, i, 0), 0) != 0)
				return int{wrong};
		// Held by this thread, so that they are in memory all the time.
		for (pgno_t i = 0; i < hot; i++)
			if (!mpool_get(mp, i, 0))
				return int{wrong};
		std::atomic<unsigned> ready{0}, done{0};
		std::atomic<bool> failed{false};
		std::vector<std::thread> threads;
		for (unsigned t = 0; t < hitters; t++)
			threads.emplace_back([&, t] {
				// The first call makes what is the thread's own.
				failed = failed || mpool_put(mp, mpool_get(mp, 0, 0), 0) != 0 || !forbid_system_calls();
				ready++;
				while (ready < hitters)
					;
				for (size_t n = 0; n < hits / hitters && !failed; n++) {
					void *page = mpool_get(mp, static_cast<pgno_t>(mix(n + t) % hot), 0);
					if (!page || mpool_put(mp, page, n % 8 ? 0 : MPOOL_DIRTY) != 0)
						failed = true;
				}
				done++;
				// The end of a thread makes system calls: the process ends first.
				for (;;)
					__asm__ volatile("");
			});
		pgno_t pgno = hot;
		while (done < hitters) {
			void *page = mpool_get(mp, pgno, 0);
			if (!page || mpool_put(mp, page, 0) != 0)
				failed = true;
			pgno = pgno == 1999 ? hot : pgno + 1;
			if (sync && pgno % 100 == 0 && mpool_sync(mp) != 0)
				failed = true;
		}
		_exit(failed ? wrong : ok);
		return int{ok};
	}));
}

namespace {

// Additions by several threads that evict each other's pages; 0 when none is lost.
int churn(int fd, int lost)
{
	const pgno_t pages = 40;
	const unsigned count = 4;
	MPOOL *mp = mpool_open(nullptr, fd, 64, 6);
	if (!mp)
		return lost;
	std::vector<std::mutex> owner(pages);
	std::vector<uint64_t> expected(pages);
	std::atomic<bool> failed{false};
	{
		std::vector<std::thread> threads;
		for (unsigned t = 0; t < count; t++)
			threads.emplace_back([&, t] {
				Random random(t);
				for (size_t n = 0; n < shrink(100000) && !failed; n++) {
					pgno_t pgno = static_cast<pgno_t>(random.below(pages));
					uint64_t *page = static_cast<uint64_t *>(mpool_get(mp, pgno, 0));
					if (!page) {
						failed = true;
						break;
					}
					{
						std::lock_guard<std::mutex> lock(owner[pgno]);
						if (*page != expected[pgno])
							failed = true;
						expected[pgno] = ++*page;
					}
					if (mpool_put(mp, page, MPOOL_DIRTY) != 0)
						failed = true;
				}
			});
		for (std::thread &thread : threads)
			thread.join();
	}
	struct mpool_stats st;
	mpool_stats(mp, &st, sizeof st);
	if (failed || st.pinned || !st.evictions || mpool_sync(mp) != 0 || mpool_close(mp) != 0)
		return lost;
	for (pgno_t i = 0; i < pages; i++) {
		uint64_t number = 0;
		if (pread(fd, &number, sizeof number, i * 64) != sizeof number || number != expected[i])
			return lost;
	}
	return 0;
}

} // namespace

TEST_CASE("where the kernel refuses membarrier the pool works as well")
{
	if (!can_filter()) {
		WARN("skipped: this kernel has no seccomp");
		return;
	}
	const int number = GENERATE(EPERM, ENOSYS, EINVAL);
	CAPTURE(number);
	File file(64);
	file.truncate(64 * 40);
	require_ok(in_child([&] {
		if (!install_filter(
			    {SYS_membarrier}, SECCOMP_RET_ERRNO | static_cast<uint32_t>(number), SECCOMP_RET_ALLOW))
			return int{no_filter};
		return churn(file.fd(), wrong);
	}));
}

TEST_CASE("where membarrier is refused later on, the process ends: it does not go on without barriers")
{
	if (skipped())
		return;
	File file(64);
	file.truncate(64 * 40);
	int result = in_child([&] {
		signal(SIGILL, SIG_DFL); // which Catch would report
		signal(SIGTRAP, SIG_DFL);
		// No page has to go yet, so no barrier is made; and not by one thread for itself alone.
		MPOOL *mp = mpool_open(nullptr, file.fd(), 64, 4);
		for (int threads = 0; threads < 2; threads++)
			std::thread([&] { mpool_put(mp, mpool_get(mp, 0, 0), 0); }).join();
		if (!install_filter({SYS_membarrier}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW))
			return int{no_filter};
		for (pgno_t i = 0; i < 40; i++)
			mpool_put(mp, mpool_get(mp, i, 0), 0);
		return int{wrong};
	});
	CHECK((result == 1000 + SIGILL || result == 1000 + SIGTRAP)); // as the processor has it
}

TEST_CASE("in a child of fork a new pool works")
{
	File file(64);
	file.truncate(64 * 40);
	Pool pool(file.fd(), 64, 4); // the parent has used the library
	pool.touch(0, 40);
	require_ok(in_child([&] { return churn(file.fd(), wrong); }));
	pool.touch(0, 40);
	CHECK(pool.stats().pinned == 0);
}
