// test_top.cpp - mpool-top shows what is there, and nothing that it looks at can
// hurt it; it removes what nobody uses, and that alone.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// Where the system lets it, the program has a /dev/shm of its own (watchdog/place.h), so
// that it sees no pools but its own, and may remove all that are stale.
#include "support.hpp"

#include <csignal>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include <poll.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>

#include "fault_mem.hpp"
#include "looking.h"

using namespace test;

// So many of the next reads of an object's header give what no process can have left.
static unsigned torn_reads;

extern "C" ssize_t __real_pread(int fd, void *to, size_t bytes, off_t at);
extern "C" ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at);

ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at)
{
	// Larger than anything else that is read of a small pool.
	constexpr size_t header_bytes = 16 << 10;
	ssize_t n = __real_pread(fd, to, bytes, at);
	if (torn_reads > 0 && bytes >= header_bytes) {
		memset(to, 0, bytes);
		torn_reads--;
	}
	return n;
}

namespace {

constexpr pgno_t page_size = 4096, pages = 100, maxcache = 50;

// ---- A place of its own -----------------------------------------------------------

std::string directory()
{
	return "/dev/shm/mpool-" + std::to_string(geteuid()) + "/";
}

std::set<std::string> objects()
{
	std::set<std::string> names;
	if (DIR *dir = opendir(directory().c_str())) {
		while (const dirent *e = readdir(dir))
			if (e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0 && e->d_type != DT_SOCK)
				names.insert(e->d_name);
		closedir(dir);
	}
	return names;
}

std::string key_of(const char *what)
{
	return "test_top-" + std::to_string(getpid()) + "-" + what;
}

// ---- Processes that share a pool ----------------------------------------------------

// A child that has a pool open and does what it is told.
int status_of(pid_t pid);

class Member {
public:
	// `number`: in a PID namespace of its own, where that is its number.
	Member(const std::string &key, const File &file, pid_t number = 0, pgno_t room = maxcache)
	{
		int to[2], from[2];
		REQUIRE(pipe2(to, O_CLOEXEC) == 0);
		REQUIRE(pipe2(from, O_CLOEXEC) == 0);
		pid_ = fork();
		REQUIRE(pid_ >= 0);
		if (pid_ == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGTERM, SIG_DFL); // which is not for Catch, here
			::close(to[1]);
			::close(from[0]);
			if (number > 0)
				go_apart(number);
			serve(key, file.path(), to[0], from[1], room);
		}
		::close(to[0]);
		::close(from[1]);
		to_ = to[1];
		from_ = from[0];
		REQUIRE(answer());
	}
	Member(const Member &) = delete;
	Member &operator=(const Member &) = delete;
	~Member()
	{
		// Nothing is left behind, where nobody else would remove it.
		if (pid_ > 0) {
			go_on();
			tell('q', 0);
			end();
		}
		::close(to_);
		::close(from_);
	}

	pid_t pid() const { return pid_; }
	void keep(pgno_t page) { REQUIRE(tell('k', page)); }     // get it
	void touch(pgno_t page) { REQUIRE(tell('t', page)); }    // get it and put it
	void dirty(pgno_t page) { REQUIRE(tell('d', page)); }    // ... modified
	void prefetch(pgno_t page) { REQUIRE(tell('p', page)); } // ... and wait until it is there
	void clean(pgno_t n) { REQUIRE(tell('c', n)); }          // make room for n pages

	void leave()
	{
		REQUIRE(tell('q', 0));
		REQUIRE(end() == 0);
	}
	void kill()
	{
		::kill(pid_, SIGKILL);
		end();
	}
	void stop()
	{
		int status;
		::kill(pid_, SIGSTOP);
		REQUIRE(waitpid(pid_, &status, WUNTRACED) == pid_);
		REQUIRE(WIFSTOPPED(status));
	}
	void go_on() { ::kill(pid_, SIGCONT); }

private:
	struct Order {
		char what;
		pgno_t page;
	};

public:
	// What goes on has that number in a PID namespace of its own; this process waits for it.  Where there
	// can be none, it ends with 77.
	static void go_apart(pid_t number)
	{
		if (unshare(CLONE_NEWPID) != 0)
			_exit(77);
		go_on_in_child(); // as the namespace's number 1
		int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		std::string last = std::to_string(number - 1);
		if (fd < 0 || write(fd, last.data(), last.size()) != static_cast<ssize_t>(last.size()))
			_exit(77);
		::close(fd);
		go_on_in_child();
		if (getpid() != number)
			_exit(77);
	}

private:
	static void go_on_in_child()
	{
		pid_t child = fork();
		if (child != 0)
			_exit(child > 0 ? status_of(child) : 1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}

	static bool prefetched(MPOOL *mp, pgno_t page)
	{
		uint64_t n;
		int efd = eventfd(0, EFD_CLOEXEC);
		bool done = efd >= 0 && mpool_prefetch(mp, &page, 1, efd) == 1 && read(efd, &n, sizeof n) == sizeof n;
		::close(efd);
		return done;
	}
	[[noreturn]] static void serve(const std::string &key, const std::string &path, int from, int to, pgno_t room)
	{
		int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
		MPOOL *mp = mpool_open_key(key.data(), key.size(), fd, page_size, room);
		char done = mp != nullptr;
		Order order{};
		while (write(to, &done, 1) == 1 && done && read(from, &order, sizeof order) == sizeof order) {
			if (order.what == 'q') {
				done = mpool_close(mp) == 0;
				(void)!write(to, &done, 1);
				_exit(0);
			}
			if (order.what == 'p') {
				done = prefetched(mp, order.page);
				continue;
			}
			if (order.what == 'c') {
				done = mpool_clean(mp, order.page) == static_cast<ssize_t>(order.page);
				continue;
			}
			void *page = mpool_get(mp, order.page, 0);
			done = page &&
			       (order.what == 'k' || mpool_put(mp, page, order.what == 'd' ? MPOOL_DIRTY : 0) == 0);
		}
		_exit(1);
	}
	bool answer() const
	{
		char done = 0;
		return read(from_, &done, 1) == 1 && done;
	}
	bool tell(char what, pgno_t page) const
	{
		Order order{what, page};
		return write(to_, &order, sizeof order) == sizeof order && answer();
	}
	int end()
	{
		int status = 0;
		pid_t pid = std::exchange(pid_, -1);
		while (waitpid(pid, &status, 0) < 0)
			REQUIRE(errno == EINTR);
		return status;
	}

	pid_t pid_;
	int to_ = -1, from_ = -1;
};

// The pool of that key after a crash of all: its object's name.  Others may make
// pools meanwhile, but not of its hash, FNV-1a, with which the name begins.
std::string leave_stale(const std::string &key, const File &file)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (unsigned char c : key)
		hash = (hash ^ c) * 0x100000001b3;
	char prefix[20];
	snprintf(prefix, sizeof prefix, "%016llx-", static_cast<unsigned long long>(hash));
	Member m(key, file);
	m.dirty(1);
	std::string name;
	for (const std::string &n : objects())
		if (n.compare(0, strlen(prefix), prefix) == 0)
			name = n;
	m.kill();
	REQUIRE(!name.empty());
	return name;
}

// ---- The tool ----------------------------------------------------------------------

struct Result {
	int status; // of its exit, or 1000 + its signal
	std::string out, err;
};

std::string read_back(FILE *f)
{
	std::string text;
	char part[4096];
	rewind(f);
	for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
		text.append(part, n);
	fclose(f);
	return text;
}

[[noreturn]] void become_top(const std::vector<std::string> &options)
{
	std::vector<char *> argv{const_cast<char *>("mpool-top")};
	for (const std::string &o : options)
		argv.push_back(const_cast<char *>(o.c_str()));
	argv.push_back(nullptr);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(MPOOL_TOP, argv.data());
	_exit(127);
}

int status_of(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		REQUIRE(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

Result top(const std::vector<std::string> &options)
{
	FILE *out = tmpfile(), *err = tmpfile();
	REQUIRE(out != nullptr);
	REQUIRE(err != nullptr);
	pid_t pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		become_top(options);
	}
	int status = status_of(pid);
	return {status, read_back(out), read_back(err)};
}

using Row = std::map<std::string, std::string>;

std::vector<std::string> words(const std::string &line)
{
	std::istringstream in(line);
	std::vector<std::string> w;
	for (std::string word; in >> word;)
		w.push_back(word);
	return w;
}

// The rows of one kind, "pool" or "process", in which `column` is `value`.
std::vector<Row> rows(
	const std::string &table, const std::string &kind, const std::string &column, const std::string &value)
{
	std::vector<Row> found;
	std::vector<std::string> names;
	std::istringstream in(table);
	for (std::string line; std::getline(in, line);) {
		std::vector<std::string> w = words(line);
		REQUIRE(!w.empty());
		if (w[0] == "#" + kind)
			names = w;
		if (w[0] != kind)
			continue;
		REQUIRE(w.size() == names.size());
		Row row;
		for (size_t i = 1; i < w.size(); i++)
			row[names[i]] = w[i];
		if (row[column] == value)
			found.push_back(row);
	}
	REQUIRE(!names.empty());
	return found;
}

std::string table()
{
	Result r = top({"--once"});
	INFO(r.err);
	REQUIRE(r.status == 0);
	REQUIRE(r.err.empty());
	return r.out;
}

Row pool_row(const std::string &column, const std::string &value)
{
	std::string t = table();
	INFO(t);
	std::vector<Row> r = rows(t, "pool", column, value);
	REQUIRE(r.size() == 1);
	return r[0];
}

Row process_row(const std::string &t, pid_t pid)
{
	INFO(t);
	std::vector<Row> r = rows(t, "process", "pid", std::to_string(pid));
	REQUIRE(r.size() == 1);
	return r[0];
}

// ---- It on a terminal ----------------------------------------------------------------

class Screen {
public:
	explicit Screen(const std::vector<std::string> &options, unsigned short lines = 40)
	{
		struct winsize size{};
		size.ws_row = lines;
		size.ws_col = 200;
		pid_ = forkpty(&fd_, nullptr, nullptr, &size);
		REQUIRE(pid_ >= 0);
		if (pid_ == 0)
			become_top(options);
	}
	Screen(const Screen &) = delete;
	Screen &operator=(const Screen &) = delete;
	~Screen()
	{
		if (pid_ > 0) {
			kill(pid_, SIGKILL);
			status_of(pid_);
		}
		close(fd_);
	}

	// Until all of these were shown in a frame; what was.
	std::string await(const std::vector<std::string> &texts)
	{
		for (std::string frame; read_some();) {
			size_t end; // a frame ends with what clears the rest of the screen
			while ((end = seen_.find("\033[J")) != std::string::npos) {
				frame = seen_.substr(0, end);
				seen_.erase(0, end + strlen("\033[J"));
				bool all = true;
				for (const std::string &t : texts)
					all = all && frame.find(t) != std::string::npos;
				if (all)
					return frame;
			}
		}
		FAIL("it ended: " << seen_);
		return "";
	}
	void type(char key) const { REQUIRE(write(fd_, &key, 1) == 1); }
	void press(const char *key) const
	{
		REQUIRE(write(fd_, key, strlen(key)) == static_cast<ssize_t>(strlen(key)));
	}
	void await_stop() const
	{
		int status;
		REQUIRE(waitpid(pid_, &status, WUNTRACED) == pid_);
		REQUIRE(WIFSTOPPED(status));
	}
	void go_on() const { kill(pid_, SIGCONT); }
	void read_rest()
	{
		while (read_some())
			;
	}
	int status()
	{
		read_rest();
		return status_of(std::exchange(pid_, -1));
	}
	bool cooked() const
	{
		struct termios t;
		REQUIRE(tcgetattr(fd_, &t) == 0);
		return (t.c_lflag & (ICANON | ECHO)) == (ICANON | ECHO);
	}
	const std::string &last() const { return seen_; }

private:
	bool read_some()
	{
		char part[4096];
		ssize_t n = read(fd_, part, sizeof part);
		if (n > 0)
			seen_.append(part, static_cast<size_t>(n));
		return n > 0;
	}

	pid_t pid_;
	int fd_ = -1;
	std::string seen_;
};

} // namespace

// ---- What is shown ---------------------------------------------------------------------

TEST_CASE("a pool is listed with its processes and what they do")
{
	File file(page_size, pages);
	std::string key = key_of("live");
	Member a(key, file), b(key, file);
	a.keep(0);
	a.keep(1);
	a.keep(1);
	a.dirty(3);
	b.keep(1);
	b.keep(2);
	b.stop();

	Row r = pool_row("key", key);
	CHECK(r["state"] == "live");
	CHECK(r["processes"] == "2");
	CHECK(r["deaths"] == "0");
	CHECK(r["pagesize"] == std::to_string(page_size));
	CHECK(r["maxcache"] == std::to_string(maxcache));
	CHECK(r["cached"] == "4");
	CHECK(r["dirty"] == "1");
	CHECK(r["pinned"] == "3");
	CHECK(r["overflow"] == "0");
	CHECK(r["abandoned"] == "0");
	CHECK(r["hits"] == "2");
	CHECK(r["misses"] == "4");
	CHECK(r["reads"] == "4");
	CHECK(r["writes"] == "0");
	CHECK(r["evictions"] == "0");
	CHECK(r["pages"] == std::to_string(pages));
	CHECK(r["file"] == file.path());
	struct stat before, after;
	REQUIRE(fstat(file.fd(), &before) == 0);
	CHECK(r["device"] == std::to_string(before.st_dev));
	CHECK(r["inode"] == std::to_string(before.st_ino));
	do { // the kernel may make small pages one large one meanwhile
		REQUIRE(stat((directory() + r["object"]).c_str(), &before) == 0);
		r = pool_row("key", key);
		REQUIRE(stat((directory() + r["object"]).c_str(), &after) == 0);
	} while (before.st_blocks != after.st_blocks);
	CHECK(r["memory"] == std::to_string(after.st_blocks * 512));

	std::string t = table();
	Row ra = process_row(t, a.pid()), rb = process_row(t, b.pid());
	CHECK(ra["key"] == key);
	CHECK((ra["state"] == "sleeping" || ra["state"] == "running")); // it may still be about to
	CHECK(rb["state"] == "stopped");
	CHECK(ra["pinned"] == "2");
	CHECK(rb["pinned"] == "2");
	CHECK(ra["command"] == "test_top");

	b.go_on();
	b.leave();
	a.leave();
	CHECK(rows(table(), "pool", "key", key).empty());
}

TEST_CASE("what was done ahead of need is shown, of a large pool too")
{
	const pgno_t room = GENERATE(50u, 1000000u); // frames' words and marks: in one page of memory, and far apart
	File file(page_size, pages);
	std::string key = key_of("early");
	Member a(key, file, 0, room);
	Row r = pool_row("key", key);
	for (const char *what : {"ahead", "ahead_used", "ahead_wasted", "cleaned", "write_waits", "write_errno"})
		CHECK(r[what] == "0");
	for (pgno_t page : {1u, 2u, 3u})
		a.prefetch(page);
	a.touch(2);
	a.dirty(7);
	a.clean(3);
	r = pool_row("key", key);
	CHECK(r["ahead"] == "3");
	CHECK(r["ahead_used"] == "1");
	CHECK(r["ahead_wasted"] == "0");
	CHECK(r["cleaned"] == "3");
	CHECK(r["cached"] == "4");
	Screen s({"--interval=0.02"});
	s.await({key, "read ahead 3 ", "used 1 ", "wasted 0", "cleaned 3 ", "waits for cleaners 0"});
	s.await({key, "read ahead/s 0 ", "used/s 0 ", "wasted/s 0", "cleaned/s 0 ", "waits for cleaners/s 0"});
	s.type('q');
	CHECK(s.status() == 0);
	a.leave();
}

TEST_CASE("pages beyond maxcache are counted, and who has them pinned")
{
	File file(page_size, pages);
	std::string key = key_of("overflow");
	Member a(key, file);
	for (pgno_t i = 0; i < maxcache + 20; i++)
		a.keep(i);
	Row r = pool_row("key", key);
	CHECK(r["pinned"] == std::to_string(maxcache + 20));
	CHECK(r["overflow"] == "20");
	CHECK(process_row(table(), a.pid())["pinned"] == std::to_string(maxcache + 20));
}

TEST_CASE("a death is shown, before it is noticed and after")
{
	File file(page_size, pages);
	std::string key = key_of("death");
	Member a(key, file), b(key, file);
	b.keep(5);
	a.stop();
	pid_t dead = b.pid();
	b.kill();

	std::string t = table();
	Row r = pool_row("key", key);
	CHECK(process_row(t, dead)["state"] == "dead");
	CHECK(process_row(t, dead)["pinned"] == "1");
	CHECK(r["state"] == "live");
	CHECK(r["deaths"] == "0");
	CHECK(r["processes"] == "2");

	a.go_on();
	while (pool_row("key", key)["deaths"] == "0") // or the test case is out of time
		;
	t = table();
	r = pool_row("key", key);
	CHECK(rows(t, "process", "pid", std::to_string(dead)).empty());
	CHECK(r["deaths"] == "1");
	CHECK(r["processes"] == "1");
	CHECK(r["pinned"] == "0");
	CHECK(r["abandoned"] == "1");
}

TEST_CASE("keys are shown as one word")
{
	File file(page_size, pages);
	std::string odd = key_of("a b\n\xff\"\\"), zeros = key_of("z") + std::string(2, '\0');
	Member a(odd, file), b("", file), c("-", file), d(zeros, file), e(zeros.substr(0, zeros.size() - 1), file);
	std::string shown = key_of("a\\x20b\\x0a\\xff\\x22\\x5c"), two = key_of("z\\x00\\x00"), one = key_of("z\\x00");
	std::string t = table();
	CHECK(rows(t, "pool", "key", two).size() == 1);
	CHECK(rows(t, "pool", "key", one).size() == 1);
	CHECK(rows(t, "pool", "key", shown).size() == 1);
	CHECK(rows(t, "pool", "key", "\"\"").size() == 1);
	CHECK(rows(t, "pool", "key", "\\x2d").size() == 1);
	for (Member *m : {&a, &b, &c, &d, &e})
		m->kill();
	for (const std::string &key : {shown, two, one, std::string("\"\""), std::string("\\x2d")}) {
		CHECK(pool_row("key", key)["state"] == "stale");
		CHECK(top({"--remove", key}).status == 0);
		CHECK(rows(table(), "pool", "key", key).empty());
	}
	CHECK(top({"--remove", "\\x2"}).status == 2);
	CHECK(top({"--remove", "\\n"}).status == 2);
}

// How often the process's threads have slept so far.
static unsigned long sleeps(pid_t pid)
{
	unsigned long sum = 0;
	std::string tasks = "/proc/" + std::to_string(pid) + "/task/";
	DIR *dir = opendir(tasks.c_str());
	REQUIRE(dir != nullptr);
	while (const dirent *e = readdir(dir)) {
		FILE *f = e->d_name[0] == '.' ? nullptr : fopen((tasks + e->d_name + "/status").c_str(), "re");
		char line[256];
		for (unsigned long n; f && fgets(line, sizeof line, f);)
			sum += sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 ? n : 0;
		if (f)
			fclose(f);
	}
	closedir(dir);
	return sum;
}

TEST_CASE("a look wakes no process")
{
	if (tsan)
		return; // it has a thread of its own, which sleeps and wakes
	File file(page_size, pages);
	std::string key = key_of("asleep");
	Member a(key, file);
	unsigned long before;
	do { // until what it did before has come to rest, or the test case is out of time
		before = sleeps(a.pid());
		for (unsigned look = 0; look < 10; look++)
			CHECK(pool_row("key", key)["state"] == "live");
	} while (sleeps(a.pid()) != before);
}

// ---- On a terminal -----------------------------------------------------------------------

TEST_CASE("on a terminal it shows rates, until q")
{
	File file(page_size, pages);
	std::string key = key_of("screen");
	Member a(key, file);
	a.dirty(7);
	Screen s({"--interval=0.02"});
	// First what it did since it was made, then what it does now: nothing.
	s.await({key, "live", file.path(), "gets 1 ", "dirty 1 "});
	std::string frame =
		s.await({key, "gets/s 0 ", "deaths 0 (+0)", std::to_string(a.pid()), "sleeping", "test_top"});
	CHECK_FALSE(s.cooked());
	// A frame in which something went on.
	auto rate = [](const std::string &f) {
		size_t at = f.find("gets/s ");
		return at == std::string::npos ? "0" : words(f.substr(at + strlen("gets/s ")))[0];
	};
	do {
		a.touch(7);
		frame = s.await({key});
	} while (rate(frame) == "0");
	CHECK(frame.find("hits 100.00%") != std::string::npos);
	a.leave();
	do
		frame = s.await({"mpool-top"});
	while (frame.find(key) != std::string::npos);
	s.type('q');
	CHECK(s.status() == 0);
	CHECK(s.cooked());
	CHECK(s.last().find("\033[?25h") != std::string::npos);
}

TEST_CASE("it says which the pool's file is when another is at its path by now")
{
	File file(page_size, pages), other(page_size, 1);
	std::string key = key_of("elsewhere");
	Member a(key, file);
	struct stat st;
	REQUIRE(fstat(file.fd(), &st) == 0);
	std::string inode = "inode " + std::to_string(st.st_ino) + " of device ";
	Screen s({"--interval=0.02"});
	CHECK(s.await({key, file.path(), "cached"}).find(inode) == std::string::npos);
	REQUIRE(rename(other.path().c_str(), file.path().c_str()) == 0);
	s.await({key, file.path(), inode});
	REQUIRE(unlink(file.path().c_str()) == 0);
	s.await({key, file.path(), inode});
	s.type('q');
	CHECK(s.status() == 0);
}

TEST_CASE("what has no room on the terminal can be moved to")
{
	File file(page_size, pages);
	std::string key = key_of("moves");
	Member a(key, file), b(key, file);
	// The pools of others may be there, too.
	Screen s({"--interval=0.02"}, 6);
	auto lines = [](const std::string &frame) {
		unsigned from = 0, to = 0, all = 0;
		size_t at = frame.find("  lines ");
		if (at != std::string::npos)
			REQUIRE(sscanf(&frame[at], "  lines %u-%u of %u", &from, &to, &all) == 3);
		CHECK(to == from + 4);
		return std::make_pair(from, all);
	};
	CHECK(lines(s.await({"mpool-top", "  lines "})).first == 1);
	auto pressed = [&](const char *what, auto there) {
		s.press(what);
		for (;;) {
			std::string frame = s.await({"mpool-top", "  lines "});
			auto [from, all] = lines(frame);
			if (there(from, all))
				return frame;
		}
	};
	pressed("\033[B", [](unsigned from, unsigned) { return from == 2; });
	pressed("\033[A", [](unsigned from, unsigned) { return from == 1; });
	std::string end = pressed("\033[F", [](unsigned from, unsigned all) { return from == all - 4; });
	std::string begin = pressed("\033[H", [](unsigned from, unsigned) { return from == 1; });
	if (place_is_own()) { // no other pools
		std::string last = std::to_string(std::max(a.pid(), b.pid()));
		CHECK(begin.find(file.path()) != std::string::npos);
		CHECK(begin.find(last) == std::string::npos);
		CHECK(end.find(file.path()) == std::string::npos);
		CHECK(end.find(last) != std::string::npos);
	}
	pressed("\033[5~", [](unsigned from, unsigned) { return from == 1; }); // nothing is above
	pressed("\033[6~", [](unsigned from, unsigned all) { return from == std::min(6u, all - 4); });
	s.type('q');
	CHECK(s.status() == 0);
}

TEST_CASE("a member in another PID namespace is not taken for the process that has its number here")
{
	pid_t us = getpid();
	if (pid_t child = fork(); child == 0) {
		Member::go_apart(us);
		_exit(0);
	} else if (status_of(child) != 0) {
		WARN("skipped: the system gives no PID namespace in which a process has a number of our choice");
		return;
	}
	File file(page_size, pages);
	std::string key = key_of("namespace");
	Member a(key, file), b(key, file, us);
	b.keep(3);
	std::string t = table();
	Row r = process_row(t, us);
	CHECK(r["key"] == key);
	CHECK(r["state"] == "elsewhere");
	CHECK(r["command"] == "-");
	CHECK(r["pinned"] == "1");
	CHECK(process_row(t, a.pid())["command"] == "test_top");
	Screen s({"--interval=0.02"});
	s.await({key, "elsewhere", "(in another PID namespace)"});
	s.type('q');
	CHECK(s.status() == 0);
}

TEST_CASE("Ctrl-C ends it too, and leaves the terminal as it was")
{
	Screen s({"--interval=1000"});
	while (s.cooked())
		std::this_thread::yield();
	s.type('\003');
	CHECK(s.status() == 0);
	CHECK(s.cooked());
}

TEST_CASE("Ctrl-Z gives the terminal back until it goes on")
{
	Screen s({"--interval=1000"});
	s.await({"mpool-top"});
	s.type('\032');
	s.await_stop();
	CHECK(s.cooked());
	s.go_on();
	s.await({"mpool-top"});
	CHECK_FALSE(s.cooked());
	s.type('q');
	CHECK(s.status() == 0);
}

TEST_CASE("wrong usage is told")
{
	CHECK(top({"--interval=0"}).status == 2);
	CHECK(top({"--interval=x"}).status == 2);
	CHECK(top({"surplus"}).status == 2);
	CHECK(top({"--remove=x", "--remove-stale"}).status == 2);
}

// ---- Removing ------------------------------------------------------------------------------

TEST_CASE("a stale pool is removed, by its key")
{
	File file(page_size, pages);
	std::string key = key_of("stale"), name = leave_stale(key, file);
	Row r = pool_row("key", key);
	CHECK(r["state"] == "stale");
	CHECK(r["object"] == name);
	CHECK(r["dirty"] == "1");
	CHECK(r["processes"] == "1");

	CHECK(top({"--remove", key + "x"}).status == 1);
	CHECK(objects().count(name) == 1);
	CHECK(top({"--remove", key}).status == 0);
	CHECK(objects().count(name) == 0);
	Result again = top({"--remove", key});
	CHECK(again.status == 1);
	CHECK(again.err.find("no such pool") != std::string::npos);
	// And the key is as good as new.
	Member(key, file).leave();
}

TEST_CASE("a stale pool of another key whose hash is the same is left alone")
{
	File file(page_size, pages);
	std::string one = key_of("one"), other = key_of("other");
	// Under no object's name, so that the making of the other does not sweep it away.
	std::string aside = directory() + "aside";
	REQUIRE(rename((directory() + leave_stale(other, file)).c_str(), aside.c_str()) == 0);
	std::string name = leave_stale(one, file), clash = name.substr(0, 17) + "9";
	// As if their hashes were the same.
	REQUIRE(rename(aside.c_str(), (directory() + clash).c_str()) == 0);
	CHECK(top({"--remove", one}).status == 0);
	CHECK(objects().count(name) == 0);
	CHECK(pool_row("object", clash)["key"] == other);
	CHECK(top({"--remove", one}).status == 1);
	REQUIRE(unlink((directory() + clash).c_str()) == 0);
}

TEST_CASE("a pool that a live process has is not removed")
{
	File file(page_size, pages);
	std::string key = key_of("kept");
	Member a(key, file);
	a.touch(1);
	a.stop();
	Result r = top({"--remove", key});
	CHECK(r.status == 1);
	CHECK(r.err.find("a live process has it") != std::string::npos);
	if (place_is_own())
		CHECK(top({"--remove-stale"}).out.find(key) == std::string::npos);
	Row row = pool_row("key", key);
	CHECK(row["state"] == "live");
	a.go_on();
	a.touch(1);
	CHECK(pool_row("key", key)["hits"] == "1");
	a.leave();
}

TEST_CASE("all stale pools are removed, half made ones too, and no others")
{
	if (!place_is_own()) {
		WARN("skipped: the system gives no /dev/shm of its own");
		return;
	}
	File file(page_size, pages);
	std::string live = key_of("live"), stale = key_of("stale");
	Member a(live, file);
	std::set<std::string> kept = objects();
	REQUIRE(kept.size() == 1);
	leave_stale(stale, file);
	std::string empty = "0123456789abcdef-0", exposed = "0123456789abcde0-0", link = "0123456789abcde1-0";
	Fd(open((directory() + empty).c_str(), O_CREAT | O_RDWR, 0600));
	Fd(open((directory() + exposed).c_str(), O_CREAT | O_RDWR, 0600));
	REQUIRE(chmod((directory() + exposed).c_str(), 0644) == 0);
	REQUIRE(symlink(file.path().c_str(), (directory() + link).c_str()) == 0);
	Fd((open((directory() + "other").c_str(), O_WRONLY | O_CLOEXEC)));
	kept.insert(exposed);
	kept.insert(link);

	CHECK(pool_row("object", empty)["state"] == "stale");
	CHECK(pool_row("object", empty)["key"] == "-");
	CHECK(pool_row("object", exposed)["state"] == "untrusted");
	CHECK(pool_row("object", link)["state"] == "untrusted");
	Result r = top({"--remove-stale"});
	CHECK(r.status == 0);
	CHECK(r.out.find("removed " + stale) != std::string::npos);
	CHECK(r.out.find(empty) != std::string::npos);
	CHECK(objects() == kept);
	for (const std::string &name : {exposed, link})
		unlink((directory() + name).c_str());
	CHECK(top({"--remove-stale"}).out.empty());
}

// Is the process in a nap?  Or has ended, which is none to wait for.
static bool naps(pid_t pid)
{
	long call = -1;
	FILE *f = fopen(("/proc/" + std::to_string(pid) + "/syscall").c_str(), "re");
	bool known = f && fscanf(f, "%ld", &call) == 1;
	if (f)
		fclose(f);
	siginfo_t ended{};
	return (known && (call == SYS_nanosleep || call == SYS_clock_nanosleep)) ||
	       (waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == pid);
}

TEST_CASE("what somebody is about to make is not stale, and not removed")
{
	File file(page_size, pages);
	std::string key = key_of("changing"), name = leave_stale(key, file);
	// As mpool_open has it: a lock on one byte of the lock file, by the key's hash.
	Fd lock(open((directory() + "lock").c_str(), O_RDWR | O_CLOEXEC));
	struct flock l{};
	l.l_type = F_WRLCK;
	l.l_whence = SEEK_SET;
	l.l_start = static_cast<off_t>(strtoull(name.substr(0, 16).c_str(), nullptr, 16) >> 2);
	l.l_len = 1;
	REQUIRE(fcntl(lock, F_SETLK, &l) == 0);
	CHECK(pool_row("key", key)["state"] == "changing");
	Result r = top({"--remove", key}); // ten seconds
	CHECK(r.status == 1);
	CHECK(r.err.find("just opening or closing it") != std::string::npos);
	CHECK(objects().count(name) == 1);
	// Who has it only for a while is waited for.
	pid_t pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		become_top({"--remove", key});
	while (!naps(pid))
		std::this_thread::yield(); // or the test case is out of time
	CHECK(objects().count(name) == 1);
	lock.reset();
	CHECK(status_of(pid) == 0);
	CHECK(objects().count(name) == 0);
}

TEST_CASE("what is not to be trusted is neither looked into nor removed")
{
	File file(page_size, pages);
	std::string key = key_of("exposed"), name = leave_stale(key, file), path = directory() + name;
	REQUIRE(chmod(path.c_str(), 0640) == 0);
	Row r = pool_row("object", name);
	CHECK(r["state"] == "untrusted");
	CHECK(r["key"] == "-");
	Result refused = top({"--remove", key});
	CHECK(refused.status == 1);
	CHECK(refused.err.find("not to be trusted") != std::string::npos);
	REQUIRE(chmod(path.c_str(), 0600) == 0);
	CHECK(top({"--remove", key}).status == 0);
}

TEST_CASE("no directory is no pools, and one that others may enter is refused")
{
	if (!place_is_own()) {
		WARN("skipped: the system gives no /dev/shm of its own");
		return;
	}
	std::string aside = "/dev/shm/aside", there = directory();
	there.pop_back();
	mkdir(there.c_str(), 0700);
	REQUIRE(rename(there.c_str(), aside.c_str()) == 0);
	std::string t = table();
	CHECK(t.find("\npool") == std::string::npos);
	{
		Screen s({"--interval=0.02"});
		s.await({"0 pools", "shares a pool"});
		s.type('q');
		CHECK(s.status() == 0);
	}
	CHECK(top({"--remove=x"}).err.find("no such pool") != std::string::npos);
	CHECK(top({"--remove-stale"}).status == 0);
	CHECK(access(there.c_str(), F_OK) != 0);
	REQUIRE(mkdir(there.c_str(), 0700) == 0);
	REQUIRE(chmod(there.c_str(), 0755) == 0);
	CHECK(top({"--once"}).status == 1);
	CHECK(top({"--remove=x"}).status == 1);
	CHECK(top({"--remove-stale"}).status == 1);
	REQUIRE(rmdir(there.c_str()) == 0);
	REQUIRE(rename(aside.c_str(), there.c_str()) == 0);
}

// ---- Damage ----------------------------------------------------------------------------------

TEST_CASE("a pool in use that is damaged is shown as that, and kept")
{
	File file(page_size, pages);
	std::string key = key_of("damaged"), name;
	Member a(key, file);
	name = pool_row("key", key)["object"];
	a.stop();
	Fd object(open((directory() + name).c_str(), O_RDWR | O_CLOEXEC));
	REQUIRE(pwrite(object, "damage", 6, 16) == 6);
	Row r = pool_row("object", name);
	CHECK(r["state"] == "damaged");
	CHECK(r["key"] == "-");
	CHECK(top({"--remove", key}).status == 1);
	CHECK(objects().count(name) == 1);
	a.kill();
	CHECK(pool_row("object", name)["state"] == "stale");
	CHECK(top({"--remove", key}).status == 0);
	CHECK(objects().count(name) == 0);
}

TEST_CASE("whatever an object holds, a look at it does no harm, to either")
{
	File file(page_size, pages);
	std::string name = leave_stale(key_of("any"), file), path = directory() + name;
	Fd object(open(path.c_str(), O_RDWR | O_CLOEXEC));
	auto memory = [&] {
		struct stat st;
		REQUIRE(fstat(object, &st) == 0);
		return st.st_blocks;
	};
	REQUIRE(looking_counted(name.c_str()) == 1);

	// Every word of what it begins with, preamble, key and header, is something else, in turn.
	constexpr off_t begin_bytes = 64 << 10, word = 8;
	const uint64_t values[] = {0, UINT64_MAX, UINT64_C(0x7fffffff), UINT64_C(1) << 62};
	off_t at = 0;
	unsigned refused = 0;
	for (; at < begin_bytes && (at = lseek(object, at, SEEK_DATA)) >= 0 && at < begin_bytes; at += word) {
		uint64_t was;
		REQUIRE(pread(object, &was, sizeof was, at) == sizeof was);
		// Most are zero, and of no use yet: for those one will do.
		for (size_t i = 0; i < (was ? std::size(values) : 1); i++) {
			uint64_t v =
				was ? values[i] : values[1 + static_cast<size_t>(at / word) % (std::size(values) - 1)];
			INFO("word at " << at << ", " << v);
			REQUIRE(pwrite(object, &v, sizeof v, at) == sizeof v);
			int counted = looking_counted(name.c_str());
			REQUIRE(counted >= 0);
			refused += counted == 0;
		}
		REQUIRE(pwrite(object, &was, sizeof was, at) == sizeof was);
	}
	CHECK(refused > 0);
	REQUIRE(looking_counted(name.c_str()) == 1);

	// No memory where it had some: a look gives it none.
	for (off_t hole = 0; hole < begin_bytes; hole += page_size) {
		std::vector<char> was(page_size);
		REQUIRE(pread(object, was.data(), page_size, hole) == page_size);
		REQUIRE(fallocate(object, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole, page_size) == 0);
		blkcnt_t had = memory();
		REQUIRE(looking_counted(name.c_str()) >= 0);
		REQUIRE(memory() == had);
		if (!all_bytes(was.data(), page_size, 0))
			REQUIRE(pwrite(object, was.data(), page_size, hole) == page_size);
	}
	REQUIRE(looking_counted(name.c_str()) == 1);

	// Cut short.
	for (off_t length : {off_t(1) << 30, off_t(1) << 15, off_t(1) << 13, off_t(100), off_t(0)}) {
		REQUIRE(ftruncate(object, length) == 0);
		REQUIRE(looking_counted(name.c_str()) == 0);
	}
	REQUIRE(unlink(path.c_str()) == 0);
}

TEST_CASE("a look for which there is no memory fails, and keeps none")
{
	File file(page_size, pages);
	std::string key = key_of("memory"), name = leave_stale(key, file);
	fault::Held before = fault::held();
	uint64_t n = 0;
	for (bool asked = true; asked; n++) {
		int counted;
		{
			fault::Refusal refusal(fault::Ask::memory, n, 1);
			counted = looking_counted(name.c_str());
			asked = refusal.asked() > n;
		}
		INFO("request " << n);
		CHECK(counted == (asked ? -1 : 1));
		CHECK(fault::held() == before);
	}
	CHECK(n > 5);
	CHECK(top({"--remove", key}).status == 0);
}

// What look.h promises: so many copies in a row must look damaged.
TEST_CASE("a copy of an object that was just changing is no sign of damage")
{
	constexpr unsigned looks = 8;
	File file(page_size, pages);
	std::string key = key_of("torn"), name = leave_stale(key, file);
	torn_reads = looks - 1;
	CHECK(looking_counted(name.c_str()) == 1);
	CHECK(torn_reads == 0);
	torn_reads = looks;
	CHECK(looking_counted(name.c_str()) == 0);
	CHECK(torn_reads == 0);
	CHECK(top({"--remove", key}).status == 0);
}

// ---- Among processes at work ----------------------------------------------------------------

namespace {

// Until it is killed, or `end` says so: join, work, leave.
[[noreturn]] void hammer(const std::string &key, const std::string &path, uint64_t seed)
{
	Random random(seed);
	int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		MPOOL *mp = mpool_open(const_cast<char *>(key.c_str()), fd, page_size,
			static_cast<pgno_t>(1 + random.below(2 * maxcache)));
		if (!mp)
			_exit(errno);
		for (uint64_t n = random.below(5000); n > 0; n--) {
			void *page = mpool_get(mp, static_cast<pgno_t>(random.below(pages)), 0);
			if (!page || (random.below(100) && mpool_put(mp, page, random.below(4) ? 0 : MPOOL_DIRTY) != 0))
				_exit(errno);
		}
		if (mpool_close(mp) != 0)
			_exit(errno);
	}
}

class Hammers {
public:
	Hammers(const std::string &key, const File &file) : key_(key), path_(file.path())
	{
		for (pid_t &pid : pid_)
			begin(pid);
	}
	~Hammers()
	{
		for (pid_t pid : pid_) {
			kill(pid, SIGKILL);
			status_of(pid);
		}
	}
	// One of them is killed, wherever it is, and another takes its place.
	void replace(uint64_t which)
	{
		pid_t &pid = pid_[which % 3];
		kill(pid, SIGKILL);
		int status = status_of(pid);
		begin(pid);
		INFO("the errno of a process that failed, or 1009");
		REQUIRE(status == 1000 + SIGKILL);
	}

private:
	void begin(pid_t &pid)
	{
		pid = fork();
		REQUIRE(pid >= 0);
		if (pid == 0)
			hammer(key_, path_, ++seed_);
		seed_++;
	}

	std::string key_, path_;
	pid_t pid_[3];
	uint64_t seed_ = 0;
};

} // namespace

TEST_CASE("processes that join, work, leave and die make no look fail")
{
	File file(page_size, pages);
	std::string key = key_of("hammered");
	Hammers hammers(key, file);
	Screen s({"--interval=0.01"});
	// Some must find it, or the test case is out of time.
	const unsigned enough = static_cast<unsigned>(shrink(200));
	for (unsigned looks = 0, found = 0; looks < enough || found == 0; looks++) {
		std::string t = table();
		INFO(t);
		for (Row &r : rows(t, "pool", "key", key)) {
			CHECK((r["state"] == "live" || r["state"] == "changing" || r["state"] == "stale"));
			found++;
		}
		// A pool whose state changes under the look has a name, if nothing else.
		for (Row &r : rows(t, "pool", "key", "-"))
			CHECK((r["state"] == "changing" || r["state"] == "stale" || !place_is_own()));
		s.await({"mpool-top"});
		if (looks % 8 == 7)
			hammers.replace(looks / 8);
	}
	s.type('q');
	CHECK(s.status() == 0);
}
