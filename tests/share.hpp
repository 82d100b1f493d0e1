// share.hpp - what the tests of shared pools share: keys, processes that do as
// they are told, and a /dev/shm of the test's own.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// The process that runs the test cases opens no pool: it only forks others that
// do.  So it has no threads, and ThreadSanitizer follows its children.  A child
// has its parent's addresses, so it is told what to do by the address of a function.
#ifndef MPOOL_TESTS_SHARE_HPP
#define MPOOL_TESTS_SHARE_HPP

#include "support.hpp"

#include <algorithm>
#include <csignal>
#include <memory>
#include <new>

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>

namespace test {

// ---- Objects ----------------------------------------------------------------

inline std::string objects_dir()
{
	return "/dev/shm/mpool-" + std::to_string(geteuid());
}

inline uint64_t hash_of(const std::string &key)
{
	uint64_t h = 0xcbf29ce484222325;
	for (unsigned char c : key)
		h = (h ^ c) * 0x100000001b3;
	return h;
}

// A key, and the objects of it.  At its end there must be none: all have closed.
class Key {
public:
	// One of this process's own.
	explicit Key(const std::string &rest = "")
	    : Key(nullptr, "tests " + std::to_string(getpid()) + " " + next() + rest)
	{
	}
	// Exactly these bytes.
	static Key exactly(const std::string &bytes) { return Key(nullptr, bytes); }
	Key(Key &&from) noexcept : name_(std::move(from.name_)), left_(from.left_) { from.left_ = true; }
	Key &operator=(Key &&) = delete;
	~Key()
	{
		std::vector<std::string> left = objects();
		if (!left_) {
			INFO("objects left");
			CHECK(left.empty());
		}
		for (const std::string &object : left)
			unlink(object.c_str());
	}
	// Nobody was there to remove it.
	void may_be_left() { left_ = true; }

	void *get() const { return const_cast<char *>(name_.c_str()); }
	std::string prefix() const
	{
		char name[20];
		snprintf(name, sizeof name, "%016llx-", static_cast<unsigned long long>(hash_of(name_)));
		return name;
	}
	// Paths.
	std::vector<std::string> objects() const
	{
		std::vector<std::string> found;
		if (DIR *dir = opendir(objects_dir().c_str())) {
			while (const dirent *e = readdir(dir))
				if (strncmp(e->d_name, prefix().c_str(), prefix().size()) == 0)
					found.push_back(objects_dir() + "/" + e->d_name);
			closedir(dir);
		}
		return found;
	}
	// Does no process live that shares it?  Who reads in /proc of one that dies keeps its
	// memory, and so its liveness lock, for that long, reaped or not.
	bool deserted() const { return processes() == 0; }
	// Liveness locks that are held.
	size_t processes() const
	{
		size_t n = 0;
		for (const std::string &object : objects()) {
			Fd fd(open(object.c_str(), O_RDONLY | O_CLOEXEC));
			for (off_t from = 0; fd >= 0; n++) {
				struct flock any = {};
				any.l_type = F_WRLCK;
				any.l_start = from;
				if (fcntl(fd, F_OFD_GETLK, &any) == 0 && any.l_type == F_UNLCK)
					break;
				from = any.l_start + any.l_len;
			}
		}
		return n;
	}

private:
	Key(std::nullptr_t, std::string name) : name_(std::move(name)) {}
	static std::string next()
	{
		static unsigned n;
		return std::to_string(n++);
	}
	std::string name_;
	bool left_ = false;
};

// ---- Processes ----------------------------------------------------------------

// A T that this process and those it forks from now on all see.
template <class T> class Common {
public:
	Common()
	{
		void *p = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		REQUIRE(p != MAP_FAILED);
		t_ = new (p) T();
	}
	Common(const Common &) = delete;
	~Common() { munmap(t_, sizeof(T)); }
	T *operator->() const { return t_; }
	T &operator*() const { return *t_; }

private:
	T *t_;
};

inline void nap()
{
	usleep(500);
}

// Wait until it is so.  False: it has not come about in time, by the watchdog's clock.
constexpr uint64_t ms_to_come = 60000;
template <class F> bool comes(F so)
{
	const uint64_t end = watchdog_ms() + ms_to_come;
	while (!so())
		if (watchdog_ms() > end)
			return so();
		else
			nap();
	return true;
}

// In a child, which must not use Catch: what is wrong is printed, and ends it.
constexpr int child_found_wrong = 99;
#define CHILD_CHECK(so)                                                                                            \
	do {                                                                                                       \
		if (!(so)) {                                                                                       \
			fprintf(stderr, "%s:%d: in a child: %s (%s)\n", __FILE__, __LINE__, #so, strerror(errno)); \
			_exit(child_found_wrong);                                                                  \
		}                                                                                                  \
	} while (0)

// A child that runs f, and is killed when this goes.
class Process {
public:
	template <class F> explicit Process(F f)
	{
		fflush(nullptr);
		pid_ = fork();
		REQUIRE(pid_ >= 0);
		if (pid_ == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGALRM, SIG_DFL);
			int result = f();
#ifdef MPOOL_COVERAGE
			if (!filtered)
				__gcov_dump();
#endif
			_exit(result);
		}
	}
	Process(const Process &) = delete;
	Process &operator=(const Process &) = delete;
	~Process()
	{
		if (pid_ > 0) {
			::kill(pid_, SIGKILL);
			wait();
		}
	}
	pid_t pid() const { return pid_; }
	bool running() const { return pid_ > 0; }
	void send(int signal) const { REQUIRE(::kill(pid_, signal) == 0); }
	// As in_child has it.
	int wait()
	{
		int status = 0;
		while (waitpid(pid_, &status, 0) < 0)
			if (errno != EINTR)
				abort();
		pid_ = -1;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	}
	// Returns when it is dead and all of it is gone.
	void kill()
	{
		send(SIGKILL);
		wait();
	}
	// Returns when it has stopped.
	void stop() const
	{
		send(SIGSTOP);
		int status = 0;
		REQUIRE(waitpid(pid_, &status, WUNTRACED) == pid_);
		REQUIRE(WIFSTOPPED(status));
	}
	void go_on() const { send(SIGCONT); }

protected:
	pid_t pid_ = -1;
};

// What a member has.  Of the child alone.
struct Here {
	MPOOL *mp = nullptr;    // the one it is asked about
	MPOOL *other = nullptr; // put aside
	size_t size = 0;        // of pages
};

// What it is told to do: -1 and errno, or a value.
using Args = const uint64_t *;
using Does = int64_t (*)(Here &, Args);
struct Answer {
	int64_t value;
	int error;
};

template <class T> T *pointer(uint64_t word)
{
	return reinterpret_cast<T *>(word);
}
inline int64_t word(const void *p)
{
	return reinterpret_cast<int64_t>(p);
}

namespace does {

inline int64_t open(Here &h, Args a)
{
	h.size = a[2];
	h.mp = mpool_open(
		pointer<void>(a[0]), static_cast<int>(a[1]), static_cast<pgno_t>(a[2]), static_cast<pgno_t>(a[3]));
	return h.mp ? 0 : -1;
}
inline int64_t close(Here &h, Args)
{
	return mpool_close(std::exchange(h.mp, nullptr));
}
inline int64_t swap(Here &h, Args)
{
	std::swap(h.mp, h.other);
	return 0;
}
inline int64_t get(Here &h, Args a)
{
	void *page = mpool_get(h.mp, static_cast<pgno_t>(a[0]), static_cast<unsigned>(a[1]));
	return page ? word(page) : -1;
}
inline int64_t put(Here &h, Args a)
{
	return mpool_put(h.mp, pointer<void>(a[0]), static_cast<unsigned>(a[1]));
}
inline int64_t forget(Here &h, Args a)
{
	return mpool_delete(h.mp, pointer<void>(a[0]));
}
inline int64_t abandoned(Here &h, Args a)
{
	return mpool_abandoned(h.mp, pointer<void>(a[0]), static_cast<unsigned>(a[1]));
}
inline int64_t sync(Here &h, Args)
{
	return mpool_sync(h.mp);
}
// a[0]: where to store the number; 0: nowhere.
inline int64_t make(Here &h, Args a)
{
	pgno_t pgno;
	void *page = (mpool_new)(h.mp, a[0] ? pointer<pgno_t>(a[0]) : &pgno);
	return page ? word(page) : -1;
}
inline int64_t fill(Here &h, Args a)
{
	test::fill(pointer<void>(a[0]), h.size, a[1], a[2]);
	return 0;
}
inline int64_t is(Here &h, Args a)
{
	return test::is(pointer<void>(a[0]), h.size, a[1], a[2]);
}
inline int64_t shows(Here &h, Args a)
{
	void *page = mpool_get(h.mp, static_cast<pgno_t>(a[0]), 0);
	if (!page)
		return -1;
	int64_t same = test::is(page, h.size, a[0], a[1]);
	return mpool_put(h.mp, page, 0) == 0 ? same : -1;
}
inline int64_t modify(Here &h, Args a)
{
	void *page = mpool_get(h.mp, static_cast<pgno_t>(a[0]), 0);
	if (!page)
		return -1;
	test::fill(page, h.size, a[0], a[1]);
	return mpool_put(h.mp, page, MPOOL_DIRTY);
}
// Get and put pages a[0] to before a[1].
inline int64_t touch(Here &h, Args a)
{
	for (uint64_t i = a[0]; i < a[1]; i++) {
		void *page = mpool_get(h.mp, static_cast<pgno_t>(i), 0);
		if (!page || mpool_put(h.mp, page, 0) != 0)
			return -1;
	}
	return 0;
}
inline int64_t stats(Here &h, Args a)
{
	return mpool_stats(h.mp, pointer<struct mpool_stats>(a[0]), sizeof(struct mpool_stats));
}
inline int64_t open_fds(Here &, Args)
{
	return static_cast<int64_t>(test::open_fds().size());
}
inline int64_t close_fd(Here &, Args a)
{
	return ::close(static_cast<int>(a[0]));
}

} // namespace does

// A process that does what it is told.  What it is asked for by name must succeed;
// `call` gives any outcome.
class Member : public Process {
public:
	Member() : Member(Pair()) {}
	Member(const Key &key, int fd, pgno_t page_size, pgno_t maxcache) : Member()
	{
		open(key, fd, page_size, maxcache);
	}
	~Member()
	{
		if (!running() || stopped_ || busy_)
			return; // to be killed
		shutdown(line_, SHUT_WR);
		wait();
	}

	// Tell it, and hear what came of it.
	void tell(Does what, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0)
	{
		Told told = {what, {a, b, c, d}};
		busy_ = true;
		REQUIRE(::send(line_, &told, sizeof told, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof told));
	}
	Answer hear()
	{
		Answer answer{};
		ssize_t n = recv(line_, &answer, sizeof answer, 0);
		INFO("a member that should answer has ended");
		REQUIRE(n == static_cast<ssize_t>(sizeof answer));
		busy_ = false;
		return answer;
	}
	// Has it an answer by then?
	bool answers(int ms) const
	{
		struct pollfd p = {line_, POLLIN, 0};
		return poll(&p, 1, ms) == 1;
	}
	Answer call(Does what, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0)
	{
		tell(what, a, b, c, d);
		return hear();
	}
	int64_t succeed(const char *what, Answer answer)
	{
		INFO(what << ": " << strerror(answer.error));
		REQUIRE(answer.value != -1);
		return answer.value;
	}

	Answer try_open(const Key &key, int fd, pgno_t page_size, pgno_t maxcache)
	{
		return call(does::open, word(key.get()), static_cast<uint64_t>(fd), page_size, maxcache);
	}
	void open(const Key &key, int fd, pgno_t page_size, pgno_t maxcache)
	{
		succeed("mpool_open", try_open(key, fd, page_size, maxcache));
	}
	void close() { succeed("mpool_close", call(does::close)); }
	void swap() { call(does::swap); }
	uint64_t get(pgno_t pgno) { return static_cast<uint64_t>(succeed("mpool_get", call(does::get, pgno))); }
	void put(uint64_t page, unsigned flags = 0) { succeed("mpool_put", call(does::put, page, flags)); }
	void sync() { succeed("mpool_sync", call(does::sync)); }
	void fill(uint64_t page, pgno_t pgno, uint64_t version) { call(does::fill, page, pgno, version); }
	bool is(uint64_t page, pgno_t pgno, uint64_t version) { return call(does::is, page, pgno, version).value; }
	bool shows(pgno_t pgno, uint64_t version) { return succeed("get and put", call(does::shows, pgno, version)); }
	void modify(pgno_t pgno, uint64_t version) { succeed("modifying", call(does::modify, pgno, version)); }
	void touch(pgno_t from, pgno_t to) { succeed("get and put", call(does::touch, from, to)); }
	// As Pool::crowd_out.
	void crowd_out(pgno_t from)
	{
		std::vector<uint64_t> pinned;
		for (uint64_t n = stats().maxcache; n > 0; n--)
			pinned.push_back(get(from++));
		struct mpool_stats st = stats();
		REQUIRE(st.cached == st.pinned);
		for (uint64_t page : pinned)
			put(page);
	}
	int abandoned(uint64_t page, unsigned flags = 0)
	{
		return static_cast<int>(succeed("mpool_abandoned", call(does::abandoned, page, flags)));
	}
	struct mpool_stats stats()
	{
		succeed("mpool_stats", call(does::stats, word(&(*memory_)->stats)));
		return (*memory_)->stats;
	}
	uint64_t make(pgno_t &pgno)
	{
		uint64_t page = static_cast<uint64_t>(succeed("mpool_new", call(does::make, word(&(*memory_)->pgno))));
		pgno = (*memory_)->pgno;
		return page;
	}

	void stop()
	{
		Process::stop();
		stopped_ = true;
	}
	void go_on()
	{
		Process::go_on();
		stopped_ = false;
	}

private:
	struct Told {
		Does what;
		uint64_t a[4];
	};
	struct Pair {
		int end[2];
		Pair() { REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, end) == 0); }
	};
	struct Data {
		struct mpool_stats stats;
		pgno_t pgno;
	};
	using Memory = Common<Data>;

	explicit Member(Pair pair) : Member(pair, std::unique_ptr<Memory>(new Memory())) {}
	Member(Pair pair, std::unique_ptr<Memory> memory)
	    : Process([&] { return serve(pair); }), line_(pair.end[0]), memory_(std::move(memory))
	{
		::close(pair.end[1]);
	}
	static int serve(Pair pair)
	{
		Here here;
		Told told;
		::close(pair.end[0]);
		while (recv(pair.end[1], &told, sizeof told, 0) == static_cast<ssize_t>(sizeof told)) {
			Answer answer{};
			errno = 0;
			answer.value = told.what(here, told.a);
			answer.error = errno;
			if (::send(pair.end[1], &answer, sizeof answer, MSG_NOSIGNAL) < 0)
				return 1;
		}
		if (here.mp)
			mpool_close(here.mp);
		if (here.other)
			mpool_close(here.other);
		return 0;
	}

	Fd line_;
	bool busy_ = false, stopped_ = false;
	std::unique_ptr<Memory> memory_;
};

#define REQUIRE_ANSWER_FAILS(call, err)          \
	do {                                     \
		INFO(#call);                     \
		Answer answer_ = (call);         \
		REQUIRE(answer_.value == -1);    \
		REQUIRE(answer_.error == (err)); \
	} while (0)

// The rest of a test case cannot be done here.
#define SKIP_CASE(reason)                 \
	do {                              \
		WARN("skipped: " reason); \
		return;                   \
	} while (0)

// mpool_open of a shared pool, by processes that all do so: on a machine that is busy enough those before it take longer than
// the library waits for them.
inline MPOOL *open_however_long(void *key, int fd, pgno_t page_size, pgno_t maxcache)
{
	MPOOL *mp;
	do
		mp = mpool_open(key, fd, page_size, maxcache);
	while (!mp && errno == ETIMEDOUT);
	return mp;
}

// Processes that meet: each waits until all have come.  False, and it is said: one has
// found something wrong, and comes no further.
struct Meeting {
	std::atomic<unsigned> came{0};
	std::atomic<bool> over{false};
	bool all(unsigned n, unsigned round)
	{
		const uint64_t end = watchdog_ms() + ms_to_come;
		came.fetch_add(1);
		while (came.load() < n * (round + 1))
			if (over.load())
				return false;
			else if (watchdog_ms() > end)
				return tell_of(n, round);
			else
				sched_yield();
		return true;
	}

private:
	bool tell_of(unsigned n, unsigned round) const
	{
		fprintf(stderr, "in a child: in round %u only %u of %u processes came to the meeting in time\n", round,
			came.load() - n * round, n);
		return false;
	}
};

} // namespace test

#endif
