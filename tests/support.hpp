// support.hpp - what all tests share: temporary files, pools, page patterns,
// threads that report, counters, limits of time.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_SUPPORT_HPP
#define MPOOL_TESTS_SUPPORT_HPP

#include "catch.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// The struct and the function of one name are what g++ -Wshadow warns of.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <mpool.h>
#pragma GCC diagnostic pop

#include "sanitizers.hpp"
#include "seccomp.hpp"
#include "watchdog/place.h"
#include "watchdog/watchdog.h"

#ifdef MPOOL_COVERAGE
extern "C" void __gcov_dump(void);
#endif

namespace test {

// ---- Errors -------------------------------------------------------------

// The call fails in the way of its type, with this errno.
#define REQUIRE_NULL(call, err)              \
	do {                                 \
		INFO(#call);                 \
		errno = 0;                   \
		void *result_ = (call);      \
		int errno_ = errno;          \
		REQUIRE(result_ == nullptr); \
		REQUIRE(errno_ == (err));    \
	} while (0)

#define REQUIRE_FAILS(call, err)          \
	do {                              \
		INFO(#call);              \
		errno = 0;                \
		int result_ = (call);     \
		int errno_ = errno;       \
		REQUIRE(result_ == -1);   \
		REQUIRE(errno_ == (err)); \
	} while (0)

// ---- Page patterns --------------------------------------------------------

inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

// The bytes of a page in its `version`: no part of it is like a part of another.
inline void fill(void *page, size_t size, uint64_t pgno, uint64_t version)
{
	char *to = static_cast<char *>(page);
	uint64_t seed = mix(mix(pgno) + version);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = mix(seed + i);
		memcpy(to + i, &word, size - i < 8 ? size - i : 8);
	}
}

inline bool is(const void *page, size_t size, uint64_t pgno, uint64_t version)
{
	const char *p = static_cast<const char *>(page);
	uint64_t seed = mix(mix(pgno) + version);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = mix(seed + i);
		if (memcmp(p + i, &word, size - i < 8 ? size - i : 8) != 0)
			return false;
	}
	return true;
}

inline bool all_bytes(const void *page, size_t size, unsigned char byte)
{
	const unsigned char *p = static_cast<const unsigned char *>(page);
	for (size_t i = 0; i < size; i++)
		if (p[i] != byte)
			return false;
	return true;
}

// ---- Files ------------------------------------------------------------------

// Where temporary files go: the environment's word, or the build's.
inline std::string tmp_dir()
{
	const char *dir = getenv("MPOOL_TEST_TMPDIR");
	std::string path = dir ? dir : MPOOL_TEST_TMPDIR;
	mkdir(path.c_str(), 0777);
	return path;
}

class Fd {
public:
	explicit Fd(int fd = -1) : fd_(fd) {}
	Fd(Fd &&from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
	Fd &operator=(Fd &&) = delete;
	~Fd() { reset(); }
	void reset()
	{
		if (fd_ >= 0)
			close(fd_);
		fd_ = -1;
	}
	operator int() const { return fd_; }

private:
	int fd_;
};

// A file in tmp_dir(), open for reading and writing, gone at the end.  It holds
// `pages` pages of version 0, and `tail` bytes of 0x5a.
class File {
public:
	explicit File(size_t page_size = 1, size_t pages = 0, size_t tail = 0)
	    : path_(tmp_dir() + "/test-XXXXXX"), size_(page_size)
	{
		fd_ = mkostemp(&path_[0], O_CLOEXEC);
		REQUIRE(fd_ >= 0);
		for (size_t i = 0; i < pages; i++)
			write_page(i, 0);
		if (tail) {
			std::string bytes(tail, '\x5a');
			REQUIRE(pwrite(fd_, bytes.data(), tail, static_cast<off_t>(pages * size_)) ==
				static_cast<ssize_t>(tail));
		}
	}
	File(const File &) = delete;
	File &operator=(const File &) = delete;
	~File()
	{
		close(fd_);
		unlink(path_.c_str());
	}

	int fd() const { return fd_; }
	const std::string &path() const { return path_; }
	Fd reopen(int flags) const { return Fd(open(path_.c_str(), flags | O_CLOEXEC)); }

	off_t length() const
	{
		struct stat st;
		REQUIRE(fstat(fd_, &st) == 0);
		return st.st_size;
	}

	void truncate(off_t length) const { REQUIRE(ftruncate(fd_, length) == 0); }

	void write_page(uint64_t pgno, uint64_t version) const
	{
		std::vector<char> page(size_);
		fill(page.data(), size_, pgno, version);
		REQUIRE(pwrite(fd_, page.data(), size_, static_cast<off_t>(pgno * size_)) ==
			static_cast<ssize_t>(size_));
	}

	// The page as the file holds it: read past the pool, by another descriptor.
	std::vector<char> read_page(uint64_t pgno) const
	{
		Fd other = reopen(O_RDONLY);
		return read_page(other, pgno);
	}
	std::vector<char> read_page(int fd, uint64_t pgno) const
	{
		std::vector<char> page(size_);
		ssize_t n = pread(fd, page.data(), size_, static_cast<off_t>(pgno * size_));
		page.resize(n < 0 ? 0 : static_cast<size_t>(n));
		return page;
	}

	bool holds(uint64_t pgno, uint64_t version) const
	{
		std::vector<char> page = read_page(pgno);
		return page.size() == size_ && is(page.data(), size_, pgno, version);
	}
	bool holds_bytes(uint64_t pgno, unsigned char byte) const
	{
		std::vector<char> page = read_page(pgno);
		return page.size() == size_ && all_bytes(page.data(), size_, byte);
	}

private:
	std::string path_;
	size_t size_;
	int fd_ = -1;
};

// ---- Pools --------------------------------------------------------------------

class Pool {
public:
	Pool(int fd, pgno_t page_size, pgno_t maxcache)
	    : Pool(mpool_open(nullptr, fd, page_size, maxcache), static_cast<size_t>(page_size))
	{
	}
	// One that was opened just now.
	Pool(MPOOL *mp, size_t page_size) : mp_(mp), size_(page_size)
	{
		INFO("it is not opened: " << strerror(errno));
		REQUIRE(mp_ != nullptr);
	}
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;
	~Pool()
	{
		if (mp_)
			mpool_close(mp_);
	}
	operator MPOOL *() const { return mp_; }
	int close() { return mpool_close(std::exchange(mp_, nullptr)); }
	size_t page_size() const { return size_; }

	struct mpool_stats stats() const
	{
		struct mpool_stats st;
		memset(&st, 0xee, sizeof st);
		if (mpool_stats(mp_, &st, sizeof st) != 0)
			abort();
		return st;
	}

	// The calls as tests want them: they must succeed.  Any thread may make them: Catch, which is for one thread, is
	// called only when one has failed.
	void *get(pgno_t pgno, unsigned flags = 0) const
	{
		errno = 0;
		void *page = mpool_get(mp_, pgno, flags);
		if (page == nullptr)
			FAIL("mpool_get of page " << pgno << ": " << strerror(errno));
		return page;
	}
	void put(void *page, unsigned flags = 0) const
	{
		errno = 0;
		if (mpool_put(mp_, page, flags) != 0)
			FAIL("mpool_put: " << strerror(errno));
	}
	void *make(pgno_t &pgno) const
	{
		errno = 0;
		void *page = (mpool_new)(mp_, &pgno);
		if (page == nullptr)
			FAIL("mpool_new: " << strerror(errno));
		return page;
	}
	void sync() const
	{
		errno = 0;
		if (mpool_sync(mp_) != 0)
			FAIL("mpool_sync: " << strerror(errno));
	}

	// Get, look, put.
	bool shows(pgno_t pgno, uint64_t version) const
	{
		void *page = get(pgno);
		bool same = is(page, size_, pgno, version);
		put(page);
		return same;
	}
	bool shows_bytes(pgno_t pgno, unsigned char byte) const
	{
		void *page = get(pgno);
		bool same = all_bytes(page, size_, byte);
		put(page);
		return same;
	}
	// Get, change, put dirty.
	void modify(pgno_t pgno, uint64_t version) const
	{
		void *page = get(pgno);
		fill(page, size_, pgno, version);
		put(page, MPOOL_DIRTY);
	}
	// Evict whatever is not pinned, and is none of the pages from `from` on: as many of
	// those as the pool keeps are pinned at once.  (While others come and go, a page may stay.)
	void crowd_out(pgno_t from) const
	{
		std::vector<void *> pinned;
		for (uint64_t n = stats().maxcache; n > 0; n--)
			pinned.push_back(get(from++));
		struct mpool_stats st = stats();
		REQUIRE(st.cached == st.pinned);
		for (void *page : pinned)
			put(page);
	}
	// Get and put each of pages [from, to), one after the other.
	void touch(pgno_t from, pgno_t to) const
	{
		for (pgno_t i = from; i < to; i++)
			put(get(i));
	}

private:
	MPOOL *mp_;
	size_t size_;
};

// ---- Threads ------------------------------------------------------------------

// What threads found wrong: Catch's assertions are for the main thread alone.
// Nothing is locked while nothing is wrong, so that the tests do not order by
// chance what the pool must order.
class Report {
public:
	void wrong(const std::string &what)
	{
		if (count_.fetch_add(1) < 5) {
			std::lock_guard<std::mutex> lock(mutex_);
			text_ += "\n  " + what;
		}
	}
	bool check(bool right, const char *what)
	{
		if (!right)
			wrong(what + std::string(" (errno: ") + strerror(errno) + ")");
		return right;
	}
	bool any() const { return count_.load(std::memory_order_relaxed) != 0; }
	// On the main thread, after the others ended.
	void require_none()
	{
		INFO(count_.load() << " wrong:" << text_);
		REQUIRE(count_.load() == 0);
	}

private:
	std::atomic<unsigned> count_{0};
	std::mutex mutex_;
	std::string text_;
};

// For a thread: gets the page, which must show that version, and puts it.
inline bool visit(Report &report, const Pool &pool, pgno_t pgno, uint64_t version = 0, unsigned put = 0)
{
	void *page = mpool_get(pool, pgno, 0);
	if (!report.check(page != nullptr, "mpool_get"))
		return false;
	bool right = report.check(is(page, pool.page_size(), pgno, version), "bytes");
	return report.check(mpool_put(pool, page, put) == 0, "mpool_put") && right;
}

// ... and this: gets it, writes that version, puts it.
inline bool write_version(Report &report, const Pool &pool, pgno_t pgno, uint64_t version)
{
	void *page = mpool_get(pool, pgno, 0);
	if (!report.check(page != nullptr, "mpool_get"))
		return false;
	fill(page, pool.page_size(), pgno, version);
	return report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
}

// Opens once; threads wait before it.
class Gate {
public:
	void open()
	{
		std::lock_guard<std::mutex> lock(mutex_);
		open_ = true;
		changed_.notify_all();
	}
	void pass()
	{
		std::unique_lock<std::mutex> lock(mutex_);
		waiting_++;
		changed_.notify_all();
		changed_.wait(lock, [this] { return open_; });
	}
	// Until `n` threads have come to it.
	void await(unsigned n)
	{
		std::unique_lock<std::mutex> lock(mutex_);
		changed_.wait(lock, [this, n] { return waiting_ >= n; });
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	unsigned waiting_ = 0;
	bool open_ = false;
};

// Threads that are joined when this goes, at the latest.
class Threads {
public:
	~Threads() { join(); }
	template <class F> void start(F f) { threads_.emplace_back(std::move(f)); }
	void join()
	{
		for (std::thread &t : threads_)
			t.join();
		threads_.clear();
	}

private:
	std::vector<std::thread> threads_;
};

// Does that thread of this process sleep in the kernel?
inline bool asleep(pid_t tid)
{
	char text[512] = "";
	FILE *f = fopen(("/proc/self/task/" + std::to_string(tid) + "/stat").c_str(), "re");
	if (!f)
		return false;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	const char *after_name = strrchr(text, ')');
	return after_name && after_name[1] == ' ' && after_name[2] == 'S';
}

// Until all of them do, three times: who waits for memory's lock is not with all others at once.
inline void await_sleep(const std::vector<std::atomic<pid_t>> &tids)
{
	for (int times = 0; times < 3;) {
		bool all = std::all_of(tids.begin(), tids.end(), [](pid_t tid) { return tid && asleep(tid); });
		times = all ? times + 1 : 0;
		std::this_thread::yield();
	}
}

// A thread that makes a call which waits for somebody; made when it does.
class Waits {
public:
	explicit Waits(std::function<void()> call)
	    : thread_([this, call] {
		      tid_ = gettid();
		      call();
	      })
	{
		while (!tid_ || !asleep(tid_))
			sched_yield();
	}
	~Waits() { join(); }
	void join()
	{
		if (thread_.joinable())
			thread_.join();
	}

private:
	std::atomic<pid_t> tid_{0};
	std::thread thread_;
};

// f(0) ... f(n - 1), each on its own thread, started together; then all joined.
inline void run_threads(unsigned n, const std::function<void(unsigned)> &f)
{
	Gate start;
	Threads threads;
	for (unsigned i = 0; i < n; i++)
		threads.start([&, i] {
			start.pass();
			f(i);
		});
	start.await(n);
	start.open();
}

// Rounds of threads that must meet in each: as many as asked for, or fewer, where they
// meet so seldom that they would take too long.
class Rounds {
public:
	explicit Rounds(size_t most) : most_(most) {}
	size_t done() const { return done_; }
	// For one thread, before each round.
	bool more() { return done_ < most_ && watchdog_ms() < end_ && ++done_; }

private:
	static constexpr unsigned ms_at_most = 20000;
	const uint64_t end_ = watchdog_ms() + ms_at_most;
	const size_t most_;
	size_t done_ = 0;
};

// A random number generator for one thread.
class Random {
public:
	explicit Random(uint64_t seed) : state_(mix(seed)) {}
	uint64_t operator()() { return mix(state_++); }
	uint64_t below(uint64_t n) { return (*this)() % n; }

private:
	uint64_t state_;
};

// ---- The process --------------------------------------------------------------

struct Statm {
	size_t size, resident; // bytes
};

inline Statm statm()
{
	malloc_trim(0); // what the allocator keeps of earlier tests is nobody's growth
	Statm s{};
	FILE *f = fopen("/proc/self/statm", "re");
	REQUIRE(f != nullptr);
	int n = fscanf(f, "%zu %zu", &s.size, &s.resident);
	fclose(f);
	REQUIRE(n == 2);
	size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
	s.size *= page;
	s.resident *= page;
	return s;
}

inline std::vector<int> open_fds()
{
	std::vector<int> fds;
	DIR *dir = opendir("/proc/self/fd");
	REQUIRE(dir != nullptr);
	while (const dirent *e = readdir(dir))
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
			fds.push_back(atoi(e->d_name));
	closedir(dir);
	return fds;
}

// Runs f in a child process, which ends with the number that f returns, or of
// the signal that killed it plus 1000.  The child must not use Catch.  If it hangs,
// the test case does, and the watchdog says where.
inline int in_child(const std::function<int()> &f)
{
	fflush(nullptr);
	pid_t pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGALRM, SIG_DFL);
		int result = f();
#ifdef MPOOL_COVERAGE
		if (!filtered)
			__gcov_dump(); // which exit would have done
#endif
		_exit(result);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		REQUIRE(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

} // namespace test

#endif
