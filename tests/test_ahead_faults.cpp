// test_ahead_faults.cpp - several reads in flight where something is refused, fails, forks, or
// does not return: the calls go on in another way or fail with the errno told, and nothing is
// lost or left over.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <csignal>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "fault_io.hpp"
#include "fault_mem.hpp"
#include "ring_full.h"
#include "seccomp.hpp"
#include "share.hpp" // SKIP_CASE
#include "support.hpp"

using namespace test;
using fault::Call;

// ---- what is refused ---------------------------------------------------------------

namespace {

// What the calling thread has done: locks taken, searches of a table.
thread_local uint64_t locks_taken, searches;
// Which process has made each of the last locks; and how many this one has destroyed that another made.
struct Made {
	static constexpr unsigned most = 64;
	std::atomic<const void *> at[most] = {};
	std::atomic<pid_t> by[most] = {};
	std::atomic<unsigned> next{0}, others{0};
	void by_now(const void *lock)
	{
		end(lock, false);
		unsigned i = next++ % most;
		at[i] = lock;
		by[i] = getpid();
	}
	void end(const void *lock, bool destroyed = true)
	{
		for (unsigned i = 0; i < most; i++)
			if (at[i] == lock) {
				others += destroyed && by[i] != getpid();
				at[i] = nullptr;
			}
	}
} made;

// Calls that are refused from now on: so many pass before.
constexpr int never = 1 << 30;
std::atomic<int> threads_pass{never}, events_pass{never};

bool passes(std::atomic<int> &left)
{
	return left == never || left.fetch_sub(1) > 0;
}

} // namespace

extern "C" {
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
	return passes(threads_pass) ? __real_pthread_create(t, attr, f, arg) : EAGAIN;
}
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	locks_taken++;
	return __real_pthread_mutex_lock(m);
}
int __real_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	made.by_now(m);
	return __real_pthread_mutex_init(m, attr);
}
int __real_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m)
{
	made.end(m);
	return __real_pthread_mutex_destroy(m);
}
struct tables;
struct table_ref;
uint64_t __real_table_find(struct tables *ts, uint32_t page, struct table_ref *at);
uint64_t __wrap_table_find(struct tables *ts, uint32_t page, struct table_ref *at);
uint64_t __wrap_table_find(struct tables *ts, uint32_t page, struct table_ref *at)
{
	searches++;
	return __real_table_find(ts, page, at);
}
int __real_eventfd(unsigned first, int flags);
int __wrap_eventfd(unsigned first, int flags);
int __wrap_eventfd(unsigned first, int flags)
{
	if (passes(events_pass))
		return __real_eventfd(first, flags);
	errno = EMFILE;
	return -1;
}
}

namespace {

constexpr size_t page_size = 512;
constexpr pgno_t pages = 400;

// An eventfd that was there before anything is refused.
class Event {
public:
	Event() : fd_(__real_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
	operator int() const { return fd_; }
	bool await() const
	{
		struct pollfd p = {fd_, POLLIN, 0};
		while (poll(&p, 1, -1) != 1)
			if (errno != EINTR)
				return false;
		return count() == 1;
	}
	uint64_t count() const
	{
		uint64_t n = 0;
		return read(fd_, &n, sizeof n) == sizeof n ? n : 0;
	}

private:
	Fd fd_;
};

// What children find wrong is their result: they must not use Catch.
#define SAYS(what, condition)                                                                          \
	do {                                                                                           \
		if (!(condition)) {                                                                    \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, what, strerror(errno)); \
			return false;                                                                  \
		}                                                                                      \
	} while (0)

bool shows(MPOOL *mp, pgno_t page)
{
	void *at = mpool_get(mp, page, 0);
	SAYS("get", at);
	bool right = is(at, page_size, page, 0);
	SAYS("put", mpool_put(mp, at, 0) == 0);
	return right;
}

// One call of each kind.  Each is well, or fails with one of these errors, and then nothing is left of it.
class Calls {
public:
	Calls(MPOOL *mp, std::initializer_list<int> errors) : mp_(mp), errors_(errors) {}

	bool getv(const std::vector<pgno_t> &list)
	{
		std::vector<void *> addr(list.size());
		errno = 0;
		if (mpool_getv(mp_, list.data(), addr.data(), list.size(), 0) != 0) {
			for (void *at : addr)
				SAYS("pinned", !at);
			return excused("getv");
		}
		for (size_t i = 0; i < list.size(); i++) {
			SAYS("bytes", is(addr[i], page_size, list[i], 0));
			SAYS("put", mpool_put(mp_, addr[i], 0) == 0);
		}
		return true;
	}
	bool prefetch(const std::vector<pgno_t> &list)
	{
		errno = 0;
		ssize_t n = mpool_prefetch(mp_, list.data(), list.size(), event_);
		if (n < 0)
			return event_.count() == 0 && excused("prefetch");
		if (n == 0)
			return event_.count() == 0;
		SAYS("event", event_.await());
		for (ssize_t i = 0; i < n; i++) {
			errno = 0;
			void *at = mpool_get(mp_, list[static_cast<size_t>(i)], MPOOL_CACHED);
			if (!at && errno != EAGAIN && !excused("cached"))
				return false;
			SAYS("bytes", !at || is(at, page_size, list[static_cast<size_t>(i)], 0));
			SAYS("put", !at || mpool_put(mp_, at, 0) == 0);
		}
		return true;
	}
	bool scan(pgno_t from, pgno_t to)
	{
		for (pgno_t i = from; i < to; i++) {
			errno = 0;
			void *at = mpool_get(mp_, i, 0);
			if (!at && !excused("get"))
				return false;
			SAYS("bytes", !at || is(at, page_size, i, 0));
			SAYS("put", !at || mpool_put(mp_, at, 0) == 0);
		}
		return true;
	}
	bool all()
	{
		return getv({9, 3, 4, 200, 77, 5, 3}) && prefetch({100, 20, 21, 300, 22, 110}) && getv({100, 21, 50}) &&
		       prefetch({5, 150, 160}) && scan(30, 60);
	}
	unsigned failures() const { return failures_; }
	int event() const { return event_; }

private:
	bool excused(const char *call)
	{
		failures_++;
		for (int error : errors_)
			if (errno == error)
				return true;
		fprintf(stderr, "%s: %s\n", call, strerror(errno));
		return false;
	}
	MPOOL *mp_;
	std::vector<int> errors_;
	Event event_;
	unsigned failures_ = 0;
};

// A pool, the calls under a fault that `begin` brings and `end` takes away, and the same once more without.
// Nothing must be left of it.  How many calls failed; -1: something is wrong.
int under(uint64_t engine, std::initializer_list<int> errors, const std::function<void()> &begin,
	const std::function<void()> &end)
{
	File file(page_size, pages);
	size_t fds = open_fds().size();
	MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 60);
	if (!mp || mpool_tune(mp, MPOOL_READAHEAD, 16) != 0)
		return -1;
	if (mpool_tune(mp, MPOOL_IO_ENGINE, engine) != 0 && engine != MPOOL_IO_RING)
		return -1;
	begin();
	Calls calls(mp, errors);
	bool right = calls.all();
	end();
	Calls after(mp, {});
	right = right && after.all();
	struct mpool_stats st;
	right = right && mpool_stats(mp, &st, sizeof st) == 0 && st.pinned == 0 && st.overflow == 0;
	for (pgno_t i = 0; right && i < pages; i++)
		right = shows(mp, i);
	right = mpool_close(mp) == 0 && right;
	// Of `calls` and `after` there is one each.
	return right && open_fds().size() == fds + 2 ? static_cast<int>(calls.failures()) : -1;
}

const uint64_t engines[] = {MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_RING, MPOOL_IO_WORKERS};

} // namespace

TEST_CASE("each request for memory is refused in turn to getv, prefetch and a scan")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		under(engine, {}, [] {}, [] {}); // what is had once in a process
		fault::Held before = fault::held();
		bool met = true;
		for (uint64_t n = 0; met; n++) {
			CAPTURE(n);
			const uint64_t times = n % 2 ? 1 : 3;
			std::unique_ptr<fault::Refusal> refusal;
			int failures = under(
				engine, {ENOMEM, EAGAIN},
				[&] { refusal = std::make_unique<fault::Refusal>(fault::Ask::memory, n, times); },
				[&] {
					met = refusal->asked() > n;
					refusal.reset();
				});
			REQUIRE(failures >= 0);
			// A read of three pages that is not made fails each of them.
			REQUIRE(failures <= static_cast<int>(3 * times));
			REQUIRE(fault::held() == before);
		}
	}
}

TEST_CASE("a scan that has no memory to read ahead reads page by page")
{
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 60);
	REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 16) == 0);
	pool.touch(0, 40);
	fault::Refusal refusal(fault::Ask::memory, 0, fault::Refusal::for_ever);
	for (pgno_t i = 40; i < 90; i++)
		REQUIRE(pool.shows(i, 0));
}

TEST_CASE("each read of getv, prefetch and a scan fails in turn, is interrupted, and comes short")
{
	const fault::Fate fate =
		GENERATE(fault::error(EIO), fault::error(EINTR), fault::at_most(1), fault::at_most(700));
	// What io_uring has in flight goes through no wrapped call.
	for (uint64_t engine : {MPOOL_IO_PLAIN, MPOOL_IO_WORKERS}) {
		uint64_t reads = 1;
		for (uint64_t n = 0; n < reads; n++) {
			CAPTURE(engine, n, fate.kind, fate.error, fate.bytes);
			File file(page_size, pages);
			Pool pool(file.fd(), page_size, 60);
			REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, engine) == 0);
			REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 16) == 0);
			{
				fault::Script script(file.fd(), [&](const Call &call) {
					return call.nth == n || call.nth == n + 1 ? fate : fault::real();
				});
				Calls calls(pool, {EIO});
				REQUIRE(calls.all());
				REQUIRE((fate.error == EIO || calls.failures() == 0));
				reads = script.reads();
				REQUIRE(calls.getv({395, 396, 398}));
			}
			for (pgno_t i = 0; i < pages; i++)
				REQUIRE(pool.shows(i, 0));
			CHECK(pool.stats().pinned == 0);
		}
		CHECK(reads > 10);
	}
}

TEST_CASE("where there can be no thread, or only so many, reads are made by those who wait for them")
{
	for (uint64_t engine : engines)
		for (int pass : {0, 1, 2, 3}) {
			CAPTURE(engine, pass);
			int failures =
				under(engine, {EAGAIN}, [&] { threads_pass = pass; }, [] { threads_pass = never; });
			REQUIRE(failures >= 0);
			// It is prefetch alone that must have one, and getv may take those that there are.
			REQUIRE(failures <= (engine == MPOOL_IO_PLAIN && pass > 0 ? 0 : 2));
		}
}

TEST_CASE("where there are no descriptors left for a ring's eventfd, threads read")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		REQUIRE(under(engine, {}, [] { events_pass = 0; }, [] { events_pass = never; }) == 0);
	}
}

TEST_CASE("where io_uring is refused, in whichever way, threads read, and nothing else is noticed")
{
	if (!can_filter())
		return;
	const int error = GENERATE(EPERM, ENOSYS, ENOMEM, EMFILE);
	CAPTURE(error);
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		CHECK(in_child([&] {
			if (!install_filter({SYS_io_uring_setup}, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error),
				    SECCOMP_RET_ALLOW))
				return 2;
			return under(engine, {}, [] {}, [] {}) == 0 ? 0 : 1;
		}) == 0);
	}
}

TEST_CASE("a ring that the kernel takes nothing from any more loses nothing")
{
	if (!can_filter())
		return;
	const int error = GENERATE(EPERM, EAGAIN, EBUSY, EBADF, EINVAL);
	CAPTURE(error);
	for (uint64_t engine : {MPOOL_IO_AUTO, MPOOL_IO_RING}) {
		CAPTURE(engine);
		CHECK(in_child([&] {
			bool installed = true;
			auto refuse = [&] {
				installed = install_filter({SYS_io_uring_enter},
					SECCOMP_RET_ERRNO | static_cast<uint32_t>(error), SECCOMP_RET_ALLOW);
			};
			return under(engine, {}, refuse, [] {}) == 0 && installed ? 0 : 1;
		}) == 0);
	}
}

TEST_CASE("a ring that the kernel takes nothing from any more is closed, and threads read from then on")
{
	if (!can_filter())
		return;
	const bool by_prefetch = GENERATE(false, true);
	CAPTURE(by_prefetch);
	CHECK(in_child([&] {
		File file(page_size, pages);
		auto rings = [] {
			unsigned n = 0;
			for (int fd : open_fds()) {
				char name[64] = "";
				std::string link = "/proc/self/fd/" + std::to_string(fd);
				n += readlink(link.c_str(), name, sizeof name - 1) > 0 && strstr(name, "io_uring");
			}
			return n;
		};
		struct mpool_stats st;
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 100);
		auto refuse = [] {
			return install_filter({SYS_io_uring_enter}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
		};
		// A thread of the pool's has the filter of who starts it.
		if (!mp || (by_prefetch && !refuse()))
			return 1;
		Calls calls(mp, {});
		if (!by_prefetch && !calls.getv({1, 3, 5}))
			return 2;
		if (mpool_tune(mp, MPOOL_IO_ENGINE, MPOOL_IO_RING) != 0)
			return 0; // it is refused here
		if (mpool_tune(mp, MPOOL_IO_ENGINE, MPOOL_IO_AUTO) != 0 || rings() != 1 || (!by_prefetch && !refuse()))
			return 3;
		for (pgno_t i = 10; i < 40; i += 10)
			if (!(by_prefetch ? calls.prefetch({i, i + 2, i + 4}) : calls.getv({i, i + 2, i + 4})))
				return 4;
		if (mpool_stats(mp, &st, sizeof st) != 0 || st.engine != MPOOL_IO_WORKERS || st.engine_errno != EPERM)
			return 5;
		if (rings() != 0)
			return 6;
		return mpool_close(mp) == 0 ? 0 : 7;
	}) == 0);
}

TEST_CASE("a ring that takes nothing just now waits for what it has in flight; with another error it takes no more")
{
	for (int error : {EAGAIN, EBUSY, EPERM}) {
		CAPTURE(error);
		struct ring_full r;
		if (ring_full(error, &r) != 0)
			return; // there are none here
		CHECK(r.told == 1);
		if (error != EPERM) {
			CHECK(r.waited == 1);
			CHECK(r.first == 512);
			CHECK(r.second == 512);
			CHECK(r.broken == 0);
		} else {
			CHECK(r.broken == EPERM);
		}
	}
}

TEST_CASE("a refusal of io_uring that may pass is none for ever")
{
	const bool tuned = GENERATE(false, true);
	CAPTURE(tuned);
	CHECK(in_child([&] {
		File file(page_size, pages);
		struct mpool_stats st;
		struct rlimit before, few;
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 8);
		Calls calls(mp, {});
		if (!mp || getrlimit(RLIMIT_NOFILE, &before) != 0)
			return 1;
		auto engine = [&] { return mpool_stats(mp, &st, sizeof st) == 0 ? st.engine : UINT64_MAX; };
		// More than the pool keeps: some of them are read.
		auto read = [&](pgno_t i) {
			std::vector<pgno_t> list;
			for (pgno_t k = 0; k < 12; k++)
				list.push_back((7 * i + 31 * k) % pages);
			return calls.getv(list);
		};
		few = before;
		few.rlim_cur = static_cast<rlim_t>(*open_fds().rbegin()) + 1;
		if (setrlimit(RLIMIT_NOFILE, &few) != 0)
			return 2;
		for (int fd; (fd = dup(file.fd())) >= 0;)
			;
		if (!read(1) || engine() != MPOOL_IO_WORKERS || st.engine_errno != EMFILE)
			return st.engine_errno == 0 || st.engine_errno == EMFILE ? 3 : 0; // it is refused here
		if (setrlimit(RLIMIT_NOFILE, &before) != 0)
			return 4;
		if (tuned && mpool_tune(mp, MPOOL_IO_ENGINE, MPOOL_IO_AUTO) != 0)
			return 5;
		for (pgno_t i = 0; i < (tuned ? 1 : 1100); i++)
			if (!read(2 + i))
				return 6;
		if (engine() != MPOOL_IO_RING || st.engine_errno != 0)
			return 7;
		return mpool_close(mp) == 0 ? 0 : 8;
	}) == 0);
}

TEST_CASE("signals that come all the time neither stop reads nor repeat them")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		CHECK(in_child([&] {
			struct sigaction act = {};
			act.sa_handler = [](int) {};
			sigaction(SIGALRM, &act, nullptr);
			struct itimerval often = {{0, 200}, {0, 200}};
			setitimer(ITIMER_REAL, &often, nullptr);
			for (unsigned n = 0; n < 20; n++)
				if (under(engine, {}, [] {}, [] {}) != 0)
					return 1;
			return 0;
		}) == 0);
	}
}

TEST_CASE("a program without standard descriptors reads, and keeps their numbers free")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		CHECK(in_child([&] {
			File file(page_size, pages);
			for (int fd = 0; fd < 3; fd++)
				close(fd);
			MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 60);
			if (!mp || (mpool_tune(mp, MPOOL_IO_ENGINE, engine) != 0 && engine != MPOOL_IO_RING))
				return 1;
			int result = 0;
			{
				Calls calls(mp, {});
				std::vector<int> own = {calls.event()};
				result = calls.all() ? 0 : 2;
				for (int fd = 0; fd < 3; fd++)
					if (fcntl(fd, F_GETFD) >= 0 && fd != own[0])
						result = 3;
			}
			return mpool_close(mp) == 0 ? result : 4;
		}) == 0);
	}
}

// ---- who comes together ------------------------------------------------------------

TEST_CASE("threads whose prefetches are a pool's first are all served")
{
	for (size_t round = 0; round < shrink(100); round++) {
		File file(page_size, 40);
		Pool pool(file.fd(), page_size, 40);
		Report report;
		run_threads(4, [&](unsigned self) {
			pgno_t page = self;
			errno = 0;
			if (mpool_prefetch(pool, &page, 1, -1) != 1)
				report.wrong(std::string("mpool_prefetch: ") + strerror(errno));
		});
		report.require_none();
	}
}

TEST_CASE("a prefetch goes on behind what is in memory, however long the list is")
{
	constexpr pgno_t many = 1000;
	File file(page_size, many);
	Pool pool(file.fd(), page_size, many);
	pool.touch(0, 300);
	std::vector<pgno_t> list;
	for (pgno_t i = 0; i < many; i++)
		list.push_back(i);
	Event event;
	REQUIRE(mpool_prefetch(pool, list.data(), list.size(), event) == static_cast<ssize_t>(many));
	CHECK(event.await());
	CHECK(pool.stats().cached == many);
}

// ---- forks -------------------------------------------------------------------------

namespace {

// While a read is in flight, `n` threads fork, which wait for it, and another read waits for them.  Then it ends.
// Each child runs `f`, and has ended with 0.
bool forks_wait(const std::function<bool()> &f, unsigned n)
{
	File file(page_size, pages);
	MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 60);
	SAYS("open", mp && mpool_tune(mp, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	auto *reading = new Gate;
	auto script = std::make_unique<fault::Script>(file.fd(), [&](const Call &call) {
		if (call.covers(7, page_size))
			reading->pass();
		return fault::real();
	});
	pgno_t page = 7, other = 100;
	Event first, second;
	SAYS("prefetch", mpool_prefetch(mp, &page, 1, first) == 1);
	reading->await(1);
	std::atomic<unsigned> wrong{0};
	std::atomic<bool> opened{false};
	Threads threads;
	for (unsigned i = 0; i < n; i++) {
		std::atomic<pid_t> thread{0};
		threads.start([&] {
			thread = static_cast<pid_t>(syscall(SYS_gettid));
			pid_t child = fork();
			if (child == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL); // should it hang
				if (!opened)
					_exit(1); // it was not waited for
				script.reset();   // there may be one
				_exit(f() ? 0 : 1);
			}
			int status = 0;
			while (waitpid(child, &status, 0) < 0 && errno == EINTR)
				;
			wrong += status != 0;
		});
		while (!thread || !asleep(thread))
			std::this_thread::yield();
	}
	// Threads that wait for the forks, with nothing in flight.
	SAYS("prefetch", mpool_prefetch(mp, &other, 1, second) == 1);
	opened = true;
	reading->open();
	threads.join();
	SAYS("events", first.await() && second.await());
	SAYS("close", mpool_close(mp) == 0);
	SAYS("children", wrong == 0);
	return true;
}

bool reads_by_threads()
{
	return under(MPOOL_IO_WORKERS, {}, [] {}, [] {}) == 0;
}

} // namespace

TEST_CASE("threads that fork at once while reads are in flight have children that read")
{
	if (sanitized)
		SKIP_CASE("a lock of the sanitizer's may be held at the fork, or the child may have no threads");
	CHECK(in_child([] { return forks_wait(reads_by_threads, 2) ? 0 : 1; }) == 0);
}

TEST_CASE("a child for whose fork others waited forks while others wait, and so does its child")
{
	if (sanitized)
		SKIP_CASE("a lock of the sanitizer's may be held at the fork, or the child may have no threads");
	auto grandchild = [] { return forks_wait(reads_by_threads, 1); };
	auto child = [&] { return forks_wait(grandchild, 1); };
	CHECK(in_child([&] { return forks_wait(child, 1) ? 0 : 1; }) == 0);
}

namespace {

// A filter that waits for what the program has locked.
struct Locked {
	Gate filtering;
	std::mutex mutex;
};

} // namespace

TEST_CASE("a filter that waits for a thread which forks is not waited for by that fork")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		Locked locked;
		locked.filtering.open();
		File file(page_size, pages);
		Pool pool(file.fd(), page_size, 60);
		if (mpool_tune(pool, MPOOL_IO_ENGINE, engine) != 0)
			continue; // io_uring is refused here
		auto pgin = [](void *cookie, pgno_t, void *) {
			auto *l = static_cast<Locked *>(cookie);
			l->filtering.pass();
			std::lock_guard<std::mutex> lock(l->mutex);
		};
		mpool_filter(pool, pgin, nullptr, &locked);
		Event event;
		std::vector<pgno_t> list;
		for (pgno_t i = 0; i < 30; i++)
			list.push_back(3 * i);
		{
			std::lock_guard<std::mutex> lock(locked.mutex);
			REQUIRE(mpool_prefetch(pool, list.data(), list.size(), event) == 30);
			locked.filtering.await(1);
			CHECK(in_child([] { return 0; }) == 0);
		}
		CHECK(event.await());
		for (pgno_t page : list)
			CHECK(pool.shows(page, 0));
	}
}

TEST_CASE("a filter that ends the pool's own thread has failed for its page, and the thread goes on")
{
	const uint64_t engine = GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_WORKERS);
	CAPTURE(engine);
	File file(page_size, pages);
	std::atomic<bool> ends{true};
	Pool pool(file.fd(), page_size, 60);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, engine) == 0);
	auto pgin = [](void *cookie, pgno_t page, void *) {
		if (page % 10 == 5 && *static_cast<std::atomic<bool> *>(cookie))
			pthread_exit(nullptr);
	};
	mpool_filter(pool, pgin, nullptr, &ends);
	Event event;
	std::vector<pgno_t> list = {1, 2, 15, 3, 25, 40, 26, 35, 36, 37};
	for (unsigned round = 0; round < 3; round++) {
		REQUIRE(mpool_prefetch(pool, list.data(), list.size(), event) == static_cast<ssize_t>(list.size()));
		CHECK(event.await());
		// As what stood behind it in one read.
		for (pgno_t page : {15u, 25u, 26u, 35u, 36u, 37u})
			REQUIRE_NULL(mpool_get(pool, page, MPOOL_CACHED), EAGAIN);
		for (pgno_t page : {1u, 2u, 3u, 40u})
			CHECK(pool.shows(page, 0));
	}
	ends = false;
	for (pgno_t page : list)
		CHECK(pool.shows(page, 0));
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("a shared pool has no ring: its reads would outlive the process")
{
	File file(page_size, pages);
	const std::string key = "tests ahead " + std::to_string(getpid());
	CHECK(in_child([&] {
		MPOOL *mp = mpool_open(const_cast<char *>(key.c_str()), file.fd(), page_size, 60);
		struct mpool_stats st;
		if (!mp || mpool_tune(mp, MPOOL_IO_ENGINE, MPOOL_IO_RING) == 0 || errno != EINVAL)
			return 1;
		Calls calls(mp, {});
		if (!calls.all() || mpool_stats(mp, &st, sizeof st) != 0 || st.engine != MPOOL_IO_WORKERS)
			return 2;
		return mpool_close(mp) == 0 ? 0 : 3;
	}) == 0);
}

TEST_CASE("a read given to a thread that waits for its ring is begun at once, each time")
{
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 300);
	for (pgno_t i = 0; i < 200; i++) {
		Event event;
		REQUIRE(mpool_prefetch(pool, &i, 1, event) == 1);
		// While the first is in flight, or just after.
		pgno_t other = i + 200;
		REQUIRE(mpool_prefetch(pool, &other, 1, -1) == 1);
		CHECK(event.await());
		CHECK(pool.shows(other, 0));
	}
}

TEST_CASE("what one page of a read fails with is not its neighbours' error")
{
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, 40);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_PLAIN) == 0);
	fault::Script script(file.fd(), [](const Call &call) {
		// As the kernel does: what comes before the fault is read.
		off_t bad = 12 * page_size;
		if (!call.covers(12, page_size))
			return fault::real();
		return call.offset < bad ? fault::at_most(static_cast<size_t>(bad - call.offset)) : fault::error(EIO);
	});
	const pgno_t list[] = {10, 11, 12, 13, 14};
	Event event;
	REQUIRE(mpool_prefetch(pool, list, 5, event) == 5);
	REQUIRE(event.await());
	for (pgno_t page : list) {
		void *at = mpool_get(pool, page, MPOOL_CACHED);
		CHECK(!at == (page == 12));
		if (at)
			pool.put(at);
	}
}

TEST_CASE("a prefetch whose reads no thread takes makes them itself")
{
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, 40);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	threads_pass = 1; // the pool's own
	const pgno_t list[] = {1, 5, 9};
	Event event;
	ssize_t begun = mpool_prefetch(pool, list, 3, event);
	bool told = begun == 3 && event.await();
	threads_pass = never;
	CHECK(told);
	for (pgno_t page : list)
		CHECK(pool.shows(page, 0));
}

TEST_CASE("what a prefetch failed with is told once, and not when the page was loaded since")
{
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 20);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_PLAIN) == 0);
	const pgno_t list[] = {3, 30, 60};
	{
		fault::Script script(file.fd(), [](const Call &) { return fault::error(EIO); });
		Event event;
		REQUIRE(mpool_prefetch(pool, list, 3, event) == 3);
		REQUIRE(event.await());
	}
	CHECK(pool.stats().ahead == 0); // nothing was brought in
	CHECK(pool.stats().ahead_used == 0);
	REQUIRE_NULL(mpool_get(pool, 3, MPOOL_CACHED), EIO);
	REQUIRE_NULL(mpool_get(pool, 3, MPOOL_CACHED), EAGAIN);
	// By a get; and by another prefetch.
	CHECK(pool.shows(30, 0));
	Event event;
	REQUIRE(mpool_prefetch(pool, &list[2], 1, event) == 1);
	REQUIRE(event.await());
	CHECK(pool.stats().ahead == 1);
	pool.crowd_out(100);
	for (pgno_t page : {30, 60})
		REQUIRE_NULL(mpool_get(pool, page, MPOOL_CACHED), EAGAIN);
}

TEST_CASE("pages whose reads ahead fail, or are not over, do not count as used")
{
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 100);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 16) == 0);
	{
		Gate in_read;
		fault::Script script(file.fd(), [&](const Call &) {
			in_read.pass();
			return fault::real();
		});
		const pgno_t list[] = {200, 210, 220};
		Event event;
		REQUIRE(mpool_prefetch(pool, list, 3, event) == 3);
		in_read.await(3);
		CHECK(pool.stats().ahead == 0);
		CHECK(pool.stats().ahead_used == 0);
		in_read.open();
		REQUIRE(event.await());
		CHECK(pool.stats().ahead == 3);
		CHECK(pool.stats().ahead_used == 0);
	}
	fault::Script script(file.fd(), [](const Call &call) {
		// What is read ahead begins at page 2.
		off_t good = 3 * page_size;
		if (call.offset >= good)
			return fault::error(EIO);
		return fault::at_most(static_cast<size_t>(good - call.offset));
	});
	for (pgno_t page : {0, 1, 2})
		REQUIRE(pool.shows(page, 0));
	CHECK(pool.stats().ahead_used <= 1); // page 2, if page 1 brought it in
	CHECK(pool.stats().ahead <= 4);
}

TEST_CASE("an eventfd whose count is full and that blocks does not stop the thread that tells it")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		File file(page_size, pages);
		Pool pool(file.fd(), page_size, 100);
		if (mpool_tune(pool, MPOOL_IO_ENGINE, engine) != 0)
			continue;
		Fd full(__real_eventfd(0, EFD_CLOEXEC));
		const uint64_t most = UINT64_MAX - 1;
		REQUIRE(write(full, &most, sizeof most) == sizeof most);
		const pgno_t first = 1, second = 50;
		REQUIRE(mpool_prefetch(pool, &first, 1, full) == 1);
		Event event;
		REQUIRE(mpool_prefetch(pool, &second, 1, event) == 1);
		REQUIRE(event.await());
		CHECK(pool.shows(first, 0));
		uint64_t count = 0;
		REQUIRE(read(full, &count, sizeof count) == sizeof count);
		CHECK(count == most);
	}
}

TEST_CASE("a page that is prefetched takes one search of the table, and one lock to start its read")
{
	for (uint64_t engine : engines) {
		CAPTURE(engine);
		File file(page_size, pages);
		Pool pool(file.fd(), page_size, 200);
		if (mpool_tune(pool, MPOOL_IO_ENGINE, engine) != 0 || engine == MPOOL_IO_WORKERS)
			continue;
		const pgno_t first = 399;
		REQUIRE(mpool_prefetch(pool, &first, 1, -1) == 1); // whatever comes with the first
		if (pool.stats().engine == MPOOL_IO_WORKERS)
			continue; // no ring
		auto cost = [&](pgno_t from, size_t n) {
			std::vector<pgno_t> list;
			for (pgno_t i = 0; i < n; i++)
				list.push_back(from + 2 * i);
			searches = locks_taken = 0;
			REQUIRE(mpool_prefetch(pool, list.data(), n, -1) == static_cast<ssize_t>(n));
		};
		cost(0, 1);
		const uint64_t one = locks_taken;
		cost(10, 21);
		CHECK(searches <= 21 + 1);
		CHECK(locks_taken == one + 20);
	}
}

TEST_CASE("a child of fork destroys no lock that its parent has made, which may be held")
{
	for (bool uses : {false, true}) {
		CAPTURE(uses);
		File file(page_size, pages);
		Pool pool(file.fd(), page_size, 60);
		Calls calls(pool, {});
		REQUIRE(calls.all());
		CHECK(in_child([&] {
			made.others = 0;
			if (uses && !shows(pool, 300))
				return 1;
			if (mpool_close(pool) != 0)
				return 2;
			return made.others == 0 ? 0 : 3;
		}) == 0);
	}
}
