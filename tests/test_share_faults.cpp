// test_share_faults.cpp - shared pools where the system refuses something, where
// somebody has tampered with the objects, and where an object is damaged: a clear
// error, nothing left behind, and never a crash.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "share.hpp"
#include "share_inside.h"

#include <cstdarg>
#include <map>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>

using namespace test;

// ---- Calls of the kernel's that fail -----------------------------------------------

namespace {

// Of the calling thread: the call of that number, from 0, fails.
thread_local int64_t fails = -1, asked;
thread_local const char *failed;

bool strike(const char *call, int error)
{
	if (fails < 0 || asked++ != fails)
		return false;
	failed = call;
	errno = error;
	return true;
}

struct Striking {
	explicit Striking(int64_t n) { asked = 0, failed = nullptr, fails = n; }
	~Striking() { fails = -1; }
};

} // namespace

static bool pretends();

#define WRAP(type, call, parameters, arguments, error, failure) \
	extern "C" type __real_##call parameters;               \
	extern "C" type __wrap_##call parameters;               \
	extern "C" type __wrap_##call parameters                \
	{                                                       \
		if (strike(#call, error))                       \
			return failure;                         \
		return __real_##call arguments;                 \
	}

WRAP(int, open, (const char *path, int flags, long mode), (path, flags, mode), EMFILE, -1)
WRAP(int, openat, (int dir, const char *path, int flags, long mode), (dir, path, flags, mode), ENFILE, -1)
WRAP(int, fcntl, (int fd, int command, long argument), (fd, command, argument), ENOLCK, -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), ENOSPC, -1)
WRAP(int, ftruncate, (int fd, off_t length), (fd, length), ENOSPC, -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), EIO, -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), EPERM, -1)
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode), EPERM, -1)
WRAP(int, stat, (const char *path, struct stat *st), (path, st), EACCES, -1)
WRAP(int, fstatat, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags), EIO, -1)
WRAP(int, unlink, (const char *path), (path), EROFS, -1)
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), EROFS, -1)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), ENFILE, -1)
WRAP(int, socketpair, (int domain, int type, int protocol, int *pair), (domain, type, protocol, pair), EMFILE, -1)
WRAP(int, bind, (int fd, const struct sockaddr *to, socklen_t bytes), (fd, to, bytes), ENOSPC, -1)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), ENOBUFS, -1)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), ENOMEM, -1)
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms), EINTR, -1)
WRAP(ssize_t, pread, (int fd, void *to, size_t bytes, off_t at), (fd, to, bytes, at), EIO, -1)
WRAP(ssize_t, readlink, (const char *path, char *to, size_t bytes), (path, to, bytes), EACCES, -1)
static void *aligned_map(size_t bytes, int prot, int flags, int fd, off_t from);
extern "C" void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t from);
extern "C" void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t from);
extern "C" void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t from)
{
	if (strike("mmap", ENOMEM))
		return MAP_FAILED;
	return fd >= 0 && pretends() ? aligned_map(bytes, prot, flags, fd, from)
	                             : __real_mmap(at, bytes, prot, flags, fd, from);
}
WRAP(int, madvise, (void *at, size_t bytes, int advice), (at, bytes, advice), ENOMEM, -1)
WRAP(int, munlock, (const void *at, size_t bytes), (at, bytes), ENOMEM, -1)
WRAP(int, mprotect, (void *at, size_t bytes, int prot), (at, bytes, prot), ENOMEM, -1)
WRAP(int, flock, (int fd, int operation), (fd, operation), ENOLCK, -1)
WRAP(int, epoll_create1, (int flags), (flags), EMFILE, -1)
WRAP(int, eventfd, (unsigned first, int flags), (first, flags), ENFILE, -1)
WRAP(int, inotify_init1, (int flags), (flags), EMFILE, -1)
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask), ENOSPC, -1)
WRAP(int, pthread_create, (pthread_t * t, const pthread_attr_t *attr, void *(*f)(void *), void *arg), (t, attr, f, arg),
	EAGAIN, EAGAIN)
WRAP(DIR *, fdopendir, (int fd), (fd), ENOMEM, nullptr)
WRAP(void *, malloc, (size_t bytes), (bytes), ENOMEM, nullptr)
WRAP(void *, calloc, (size_t n, size_t bytes), (n, bytes), ENOMEM, nullptr)
WRAP(void *, aligned_alloc, (size_t align, size_t bytes), (align, bytes), ENOMEM, nullptr)

namespace {

// What the system's page is said to be; 0: what it is.
long pretended_page;

} // namespace

static bool pretends()
{
	return pretended_page != 0;
}

extern "C" long __real_sysconf(int name);
extern "C" long __wrap_sysconf(int name);
extern "C" long __wrap_sysconf(int name)
{
	return pretended_page && name == _SC_PAGESIZE ? pretended_page : __real_sysconf(name);
}

// As where pages are so large, a mapping begins with one.
static void *aligned_map(size_t bytes, int prot, int flags, int fd, off_t from)
{
	const size_t page = static_cast<size_t>(pretended_page);
	char *room = static_cast<char *>(
		__real_mmap(nullptr, bytes + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	if (room == MAP_FAILED)
		return room;
	char *at = pointer<char>((static_cast<uint64_t>(word(room)) + page - 1) / page * page);
	return __real_mmap(at, bytes, prot, flags | MAP_FIXED, fd, from);
}

namespace {

constexpr pgno_t page_size = 512;

// ---- What a process has -----------------------------------------------------------

// Mappings of objects.
unsigned objects_mapped()
{
	unsigned n = 0;
	char line[4096 + 256];
	FILE *f = fopen("/proc/self/maps", "re");
	CHILD_CHECK(f);
	while (fgets(line, sizeof line, f))
		n += strstr(line, "/dev/shm/mpool-") != nullptr;
	fclose(f);
	return n;
}

// Of the calling process: as when it was made?
struct Clean {
	size_t fds = open_fds().size();
	unsigned maps = objects_mapped();
	bool still() const { return open_fds().size() == fds && objects_mapped() == maps; }
};

bool works(MPOOL *mp, pgno_t pgno)
{
	void *page = mpool_get(mp, pgno, 0);
	return page && is(page, page_size, pgno, 0) && mpool_put(mp, page, 0) == 0;
}

// f in a child with an empty /dev/shm of that size; its result, or -1: it may not have one.
int in_own_shm(const char *size, const std::function<int()> &f)
{
	constexpr int none = 77;
	int result = in_child([&] { return place_own(size) ? f() : none; });
	return result == none ? -1 : result;
}

#define REQUIRE_IN_OWN_SHM(size, ...)                                 \
	do {                                                          \
		int result_ = in_own_shm(size, __VA_ARGS__);          \
		if (result_ == -1)                                    \
			SKIP_CASE("no mount namespace of one's own"); \
		REQUIRE(result_ == 0);                                \
	} while (0)

} // namespace

// ---- Trust --------------------------------------------------------------------------

TEST_CASE("a directory of objects that is not the user's alone is refused with EACCES")
{
	const int way = GENERATE(0, 1, 2, 3, 4, 5);
	CAPTURE(way);
	File file(page_size, 3);
	Key key;
	REQUIRE_IN_OWN_SHM("64m", [&] {
		const std::string dir = objects_dir();
		switch (way) {
		case 0:
			CHILD_CHECK(mkdir(dir.c_str(), 0700) == 0 && chown(dir.c_str(), 65534, 65534) == 0);
			break;
		case 1:
			CHILD_CHECK(mkdir(dir.c_str(), 0700) == 0 && chmod(dir.c_str(), 0750) == 0);
			break;
		case 2:
			CHILD_CHECK(mkdir(dir.c_str(), 0700) == 0 && chmod(dir.c_str(), 0701) == 0);
			break;
		case 3:
			CHILD_CHECK(mkdir("/dev/shm/elsewhere", 0700) == 0 &&
				    symlink("/dev/shm/elsewhere", dir.c_str()) == 0);
			break;
		case 4:
			CHILD_CHECK(close(creat(dir.c_str(), 0700)) == 0);
			break;
		default:
			CHILD_CHECK(mkfifo(dir.c_str(), 0700) == 0);
		}
		Clean before;
		CHILD_CHECK(!mpool_open(key.get(), file.fd(), page_size, 4) && errno == EACCES);
		CHILD_CHECK(before.still());
		// With it out of the way, all is well.
		CHILD_CHECK(rename(dir.c_str(), "/dev/shm/away") == 0);
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
		CHILD_CHECK(mp && works(mp, 1) && mpool_close(mp) == 0);
		struct stat st;
		CHILD_CHECK(stat(dir.c_str(), &st) == 0 && (st.st_mode & 07777) == 0700);
		return 0;
	});
}

TEST_CASE("directory and objects are for the user alone, whatever the umask")
{
	const mode_t mask = GENERATE(0u, 077u, 0777u);
	File file(page_size, 3);
	Key key;
	REQUIRE_IN_OWN_SHM("64m", [&] {
		umask(mask);
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
		CHILD_CHECK(mp);
		struct stat st;
		CHILD_CHECK(stat(objects_dir().c_str(), &st) == 0 && (st.st_mode & 07777) == 0700);
		CHILD_CHECK(stat(key.objects()[0].c_str(), &st) == 0 && (st.st_mode & 07777) == 0600);
		MPOOL *two = mpool_open(key.get(), -1, page_size, 4);
		CHILD_CHECK(two && works(two, 1) && mpool_close(two) == 0 && mpool_close(mp) == 0);
		return 0;
	});
}

TEST_CASE("whatever the umask of who shares a pool first, the user shares pools from then on")
{
	constexpr uid_t nobody = 65534;
	const mode_t umasks = GENERATE(0, 0077, 0277, 0377, 0777);
	CAPTURE(umasks);
	Key key;
	File file(page_size, 3);
	REQUIRE_IN_OWN_SHM("64m", [&] {
		CHILD_CHECK(geteuid() != 0 || setuid(nobody) == 0); // root may do anything
		for (mode_t mask : {umasks, static_cast<mode_t>(022)}) {
			umask(mask);
			MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
			CHILD_CHECK(mp && works(mp, 1) && mpool_close(mp) == 0);
		}
		return 0;
	});
}

TEST_CASE(
	"where the file may not be opened for writing who reads makes a pool for readers, and a writer is refused with EROFS")
{
	constexpr uid_t nobody = 65534;
	Key key;
	File file(page_size, 10);
	Fd writing = file.reopen(O_RDWR), reading = file.reopen(O_RDONLY);
	REQUIRE(chmod(file.path().c_str(), 0444) == 0);
	REQUIRE_IN_OWN_SHM("64m", [&] {
		CHILD_CHECK(geteuid() != 0 || setuid(nobody) == 0); // root may do anything
		MPOOL *reader = mpool_open(key.get(), reading, page_size, 4);
		CHILD_CHECK(reader && works(reader, 1));
		// Of those that are refused nothing stays; the reader's watch may open what it needs meanwhile.
		constexpr unsigned refused = 10;
		Clean before;
		for (unsigned i = 0; i < refused; i++)
			CHILD_CHECK(!mpool_open(key.get(), writing, page_size, 4) && errno == EROFS);
		CHILD_CHECK(open_fds().size() < before.fds + refused && objects_mapped() < before.maps + refused);
		CHILD_CHECK(works(reader, 2));
		MPOOL *two = mpool_open(key.get(), reading, page_size, 4),
		      *three = mpool_open(key.get(), -1, page_size, 4);
		CHILD_CHECK(two && works(two, 3) && three && works(three, 4));
		// What is put dirty nobody can write, and everybody is told.
		void *page = mpool_get(two, 5, 0);
		CHILD_CHECK(page && mpool_put(two, page, MPOOL_DIRTY) == 0);
		for (MPOOL *mp : {reader, two, three})
			CHILD_CHECK(mpool_sync(mp) == -1 && errno == EBADF);
		CHILD_CHECK(mpool_close(three) == 0 && mpool_close(two) == 0 && mpool_close(reader) == 0);
		// The writer makes it: its own descriptor is the only one that there is, and serves all.
		MPOOL *writer = mpool_open(key.get(), writing, page_size, 4);
		CHILD_CHECK(writer && (page = mpool_get(writer, 5, 0)));
		fill(page, page_size, 5, 1);
		CHILD_CHECK(mpool_put(writer, page, MPOOL_DIRTY) == 0 && mpool_sync(writer) == 0);
		reader = mpool_open(key.get(), reading, page_size, 4);
		CHILD_CHECK(reader && (page = mpool_get(reader, 5, 0)) && is(page, page_size, 5, 1));
		fill(page, page_size, 5, 2);
		CHILD_CHECK(mpool_put(reader, page, MPOOL_DIRTY) == 0 && mpool_sync(reader) == 0);
		CHILD_CHECK(mpool_close(reader) == 0 && mpool_close(writer) == 0);
		return 0;
	});
	CHECK(file.holds(5, 2));
}

TEST_CASE("who has all its memory locked shares a pool, and takes no more memory for it than others")
{
	Key key;
	File file(page_size, 10);
	int result = in_own_shm("64m", [&] {
		struct statfs before, after;
		if (mlockall(MCL_FUTURE) != 0)
			return 78;
		CHILD_CHECK(statfs("/dev/shm", &before) == 0);
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
		if (!mp && errno == EAGAIN)
			return 78; // it may not lock so much
		CHILD_CHECK(mp && works(mp, 1));
		CHILD_CHECK(statfs("/dev/shm", &after) == 0);
		CHILD_CHECK(after.f_bfree > before.f_bfree / 2);
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	});
	if (result == -1 || result == 78)
		SKIP_CASE("no mount namespace of one's own, or memory may not be locked");
	REQUIRE(result == 0);
}

TEST_CASE("an object that is not the user's alone, or no object, is refused, and its members go on")
{
	Key key;
	File file(page_size, 3);
	Member a(key, file.fd(), page_size, 4);
	const std::string object = key.objects()[0], away = objects_dir() + "/away";
	const int way = GENERATE(0, 1, 2, 3, 4, 5);
	CAPTURE(way);
	int expected = EACCES;
	switch (way) {
	case 0:
		if (geteuid() != 0 || chown(object.c_str(), 65534, 65534) != 0)
			SKIP_CASE("not root");
		break;
	case 1:
		REQUIRE(chmod(object.c_str(), 0640) == 0);
		break;
	case 2:
		REQUIRE(chmod(object.c_str(), 0604) == 0);
		break;
	case 3:
		REQUIRE(rename(object.c_str(), away.c_str()) == 0);
		REQUIRE(symlink(away.c_str(), object.c_str()) == 0);
		break;
	case 4:
		REQUIRE(rename(object.c_str(), away.c_str()) == 0);
		REQUIRE(mkfifo(object.c_str(), 0600) == 0);
		break;
	default:
		REQUIRE(rename(object.c_str(), away.c_str()) == 0);
		REQUIRE(mkdir(object.c_str(), 0700) == 0);
		expected = EISDIR;
	}
	Member b;
	REQUIRE_ANSWER_FAILS(b.try_open(key, file.fd(), page_size, 4), expected);
	CHECK(a.shows(1, 0));
	CHECK(a.stats().processes == 1);
	if (way >= 3) {
		REQUIRE(remove(object.c_str()) == 0);
		REQUIRE(rename(away.c_str(), object.c_str()) == 0);
	} else {
		REQUIRE(chmod(object.c_str(), 0600) == 0);
		REQUIRE(chown(object.c_str(), geteuid(), getegid()) == 0);
	}
	b.open(key, -1, page_size, 4);
	CHECK(b.shows(2, 0));
}

namespace {

// Offsets in an object's preamble; see share.c.
enum : off_t {
	at_magic = 0,
	at_version = 8,
	at_bytes = 12,
	at_header_bytes = 16,
	at_pagesize = 20,
	at_limit = 24,
	at_unit = 28,
	at_barrier = 32,
	at_key_bytes = 36,
	at_flags = 40,
	at_align = 44,
	at_dev = 48,
	at_ino = 56,
	at_total = 64,
	at_key_at = 72,
	at_header_at = 80,
	at_frames_at = 88,
	at_chunks_at = 96,
	at_check = 104,
	at_path = 112
};

uint64_t number_at(int fd, off_t at, size_t bytes)
{
	uint64_t n = 0;
	REQUIRE(pread(fd, &n, bytes, at) == static_cast<ssize_t>(bytes));
	return n;
}

} // namespace

TEST_CASE("an object whose beginning is wrong in anything is refused with EBADMSG, and its members go on")
{
	Key key;
	File file(page_size, 3);
	Member a(key, file.fd(), page_size, 4), b;
	Fd object(open(key.objects()[0].c_str(), O_RDWR | O_CLOEXEC));
	REQUIRE(object >= 0);
	// It is where this test thinks it is.
	REQUIRE(number_at(object, at_header_bytes, 4) == inside_header_bytes());
	REQUIRE(number_at(object, at_pagesize, 4) == page_size);
	const off_t key_at = static_cast<off_t>(number_at(object, at_key_at, 8));
	for (off_t at : {static_cast<off_t>(at_magic), static_cast<off_t>(at_version), static_cast<off_t>(at_bytes),
		     static_cast<off_t>(at_header_bytes), static_cast<off_t>(at_pagesize), static_cast<off_t>(at_limit),
		     static_cast<off_t>(at_unit), static_cast<off_t>(at_barrier), static_cast<off_t>(at_key_bytes),
		     static_cast<off_t>(at_flags), static_cast<off_t>(at_align), static_cast<off_t>(at_dev),
		     static_cast<off_t>(at_ino), static_cast<off_t>(at_total), static_cast<off_t>(at_key_at),
		     static_cast<off_t>(at_header_at), static_cast<off_t>(at_frames_at),
		     static_cast<off_t>(at_chunks_at), static_cast<off_t>(at_check), static_cast<off_t>(at_path),
		     static_cast<off_t>(at_path) + 1000, key_at})
		for (unsigned char change : {0x01, 0x80, 0xff}) {
			CAPTURE(at, change);
			unsigned char was, is;
			REQUIRE(pread(object, &was, 1, at) == 1);
			is = was ^ change;
			REQUIRE(pwrite(object, &is, 1, at) == 1);
			REQUIRE_ANSWER_FAILS(b.try_open(key, file.fd(), page_size, 4), EBADMSG);
			REQUIRE(pwrite(object, &was, 1, at) == 1);
		}
	CHECK(a.shows(1, 0));
	b.open(key, -1, page_size, 4);
	CHECK(b.shows(2, 0));
}

TEST_CASE("an object that was cut short is refused with EBADMSG")
{
	Key key;
	File file(page_size, 3);
	Member a(key, file.fd(), page_size, 4), b;
	const std::string object = key.objects()[0];
	struct stat st;
	REQUIRE(stat(object.c_str(), &st) == 0);
	a.stop(); // it would find that its memory is gone
	for (off_t length : {st.st_size - 1, st.st_size + 1, st.st_size / 2, static_cast<off_t>(5000),
		     static_cast<off_t>(112), static_cast<off_t>(1), static_cast<off_t>(0)}) {
		CAPTURE(length);
		REQUIRE(truncate(object.c_str(), length) == 0);
		REQUIRE_ANSWER_FAILS(b.try_open(key, file.fd(), page_size, 4), EBADMSG);
	}
	a.kill();
	REQUIRE(comes([&] { return key.deserted(); }));
	b.open(key, file.fd(), page_size, 4); // it is stale now, and replaced
	CHECK(b.shows(1, 0));
}

// ---- Damage ------------------------------------------------------------------------

namespace {

// The bytes of a file, and where it has none.
class Image {
public:
	explicit Image(int fd) : fd_(fd)
	{
		off_t end = lseek(fd, 0, SEEK_END);
		for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
			off_t to = lseek(fd, at, SEEK_HOLE);
			std::vector<char> bytes(static_cast<size_t>(to - at));
			REQUIRE(pread(fd, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()));
			parts_[at] = std::move(bytes);
			at = to;
		}
		off_t from = 0;
		for (auto &part : parts_) {
			if (part.first > from)
				holes_.emplace_back(from, part.first - from);
			from = part.first + static_cast<off_t>(part.second.size());
		}
		holes_.emplace_back(from, end - from);
	}
	void restore() const
	{
		for (auto &hole : holes_)
			if (hole.second > 0)
				REQUIRE(fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole.first,
						hole.second) == 0);
		for (auto &part : parts_)
			REQUIRE(pwrite(fd_, part.second.data(), part.second.size(), part.first) ==
				static_cast<ssize_t>(part.second.size()));
	}
	size_t size() const
	{
		size_t n = 0;
		for (auto &part : parts_)
			n += part.second.size();
		return n;
	}
	// The n-th byte that there is.
	off_t place(uint64_t n) const
	{
		for (auto &part : parts_) {
			if (n < part.second.size())
				return part.first + static_cast<off_t>(n);
			n -= part.second.size();
		}
		abort();
	}

private:
	int fd_;
	std::map<off_t, std::vector<char>> parts_;
	std::vector<std::pair<off_t, off_t>> holes_;
};

} // namespace

TEST_CASE("who joins a pool whose object is scribbled over gets an error or the pool, and does not crash or hang")
{
	const char *wanted = getenv("MPOOL_TEST_SCRIBBLES");
	const unsigned trials = wanted ? static_cast<unsigned>(atoi(wanted)) : static_cast<unsigned>(shrink(1000));
	const char *seeded = getenv("MPOOL_TEST_SEED");
	const uint64_t seed = seeded ? strtoull(seeded, nullptr, 0) : 1;
	Key key;
	File file(page_size, 3000);
	Member a(key, file.fd(), page_size, 40);
	// Something of everything: a grown pool, an overflow, more than one table.
	Member c(key, -1, page_size, 60);
	for (pgno_t i = 0; i < 100; i++)
		a.get(i);
	c.touch(0, 3000);
	c.modify(200, 1);
	c.close();
	a.stop();
	Fd object(open(key.objects()[0].c_str(), O_RDWR | O_CLOEXEC));
	const Image image(object);
	const off_t header = static_cast<off_t>(number_at(object, at_header_at, 8));
	REQUIRE(number_at(object, at_header_bytes, 4) == inside_header_bytes());
	std::vector<off_t> in_use; // bytes of the header that say something
	for (off_t at = header; at < header + static_cast<off_t>(inside_header_bytes()); at += 8)
		if (number_at(object, at, 8) != 0)
			for (off_t i = 0; i < 8; i++)
				in_use.push_back(at + i);
	Random random(seed);
	std::map<int, unsigned> ended;
	for (unsigned n = 0; n < trials; n++) {
		const unsigned where = static_cast<unsigned>(random.below(8));
		std::string what;
		for (uint64_t flips = 1 + random.below(4); flips > 0; flips--) {
			off_t at = where == 0  ? static_cast<off_t>(random.below(static_cast<uint64_t>(header)))
			           : where < 3 ? header + static_cast<off_t>(random.below(inside_header_bytes()))
			           : where < 6 ? in_use[random.below(in_use.size())]
			                       : image.place(random.below(image.size()));
			unsigned char was = 0,
				      is = static_cast<unsigned char>(random.below(3) == 0 ? 0xff : random.below(256));
			REQUIRE(pread(object, &was, 1, at) == 1);
			REQUIRE(pwrite(object, &is, 1, at) == 1);
			char text[80];
			snprintf(text, sizeof text, " %lld: %02x to %02x;", static_cast<long long>(at - header), was,
				is);
			what += text;
		}
		INFO("seed " << seed << ", trial " << n << ", from the header:" << what);
		int end = in_child([&] {
			errno = 0;
			int result = mpool_open(key.get(), -1, page_size, 50) ? 0 : errno;
			if (tsan)
				syscall(SYS_exit_group, result); // its _exit waits for a second
			return result;
		});
		ended[end]++;
		CHECK(end < 1000);
		CHECK((end == 0 || end == EBADMSG || end == EACCES || end == EINVAL));
		image.restore();
	}
	std::string text;
	for (auto &e : ended)
		text += " " + std::to_string(e.second) + " times " + (e.first >= 1000 ? "signal" : strerror(e.first));
	WARN("of " << trials << ":" << text);
	CHECK(ended[0] > 0);
	CHECK(ended[EBADMSG] > 0);
	key.may_be_left();
}

TEST_CASE("a count that is cleared while its process lives divides nothing by zero, and does not become very many")
{
	Key key;
	File file(page_size, 200);
	Member a(key, file.fd(), page_size, 4);
	Fd object(open(key.objects()[0].c_str(), O_RDWR | O_CLOEXEC));
	const off_t at = static_cast<off_t>(number_at(object, at_header_at, 8) + inside_evictors_at());
	// As after a count that was cleared in the middle of an eviction, which then ended.
	const uint32_t one_less = UINT32_MAX;
	REQUIRE(pwrite(object, &one_less, sizeof one_less, at) == sizeof one_less);
	a.touch(0, 100);
	CHECK(a.shows(1, 0));
	CHECK(number_at(object, at, 4) == 0);
}

TEST_CASE("a number of shards that is cleared while there are cleaners divides nothing by zero")
{
	if (sanitized)
		return; // a child of fork starts no threads there
	Key key;
	File file(page_size, 200);
	CHECK(in_child([&] {
		const uint32_t none = 0;
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
		CHILD_CHECK(mp && mpool_tune(mp, MPOOL_CLEANERS, 1) == 0);
		Fd object(open(key.objects()[0].c_str(), O_RDWR | O_CLOEXEC));
		const auto at = number_at(object, at_header_at, 8) + inside_shards_at();
		CHILD_CHECK(pwrite(object, &none, sizeof none, static_cast<off_t>(at)) == sizeof none);
		// No shard has a frame: each get asks for a round, and waits for it.
		for (pgno_t i = 0; i < 20; i++)
			CHILD_CHECK(works(mp, i));
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
}

TEST_CASE("where the system's pages are large, the parts of an object begin with one")
{
	const long page = GENERATE(16384, 65536);
	CAPTURE(page);
	Key key;
	File file(page_size, 20);
	CHECK(in_child([&] {
		pretended_page = page;
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
		CHILD_CHECK(mp && works(mp, 1));
		Fd object(open(key.objects()[0].c_str(), O_RDWR | O_CLOEXEC));
		for (off_t at : {static_cast<off_t>(at_header_at), static_cast<off_t>(at_frames_at),
			     static_cast<off_t>(at_chunks_at)})
			CHILD_CHECK(number_at(object, at, 8) % static_cast<uint64_t>(page) == 0);
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
}

// ---- No room ---------------------------------------------------------------------

TEST_CASE("where /dev/shm is small there is an error, or a pool that works as far as it goes")
{
	const char *size =
		GENERATE("4k", "8k", "16k", "64k", "128k", "256k", "512k", "1m", "2m", "4m", "8m", "16m", "32m");
	CAPTURE(size);
	Key key;
	const pgno_t big = 4096, pages = 2000;
	File file(big, pages);
	REQUIRE_IN_OWN_SHM(size, [&] {
		Clean before;
		for (pgno_t maxcache : {1u, 64u, 3000u}) {
			MPOOL *mp = mpool_open(key.get(), file.fd(), big, maxcache);
			if (!mp) {
				CHILD_CHECK(errno == ENOSPC || errno == ENOMEM);
				CHILD_CHECK(before.still() && key.objects().empty());
				continue;
			}
			struct statfs room;
			CHILD_CHECK(statfs("/dev/shm", &room) == 0);
			std::vector<void *> pins;
			for (pgno_t i = 0; i < pages; i++) {
				void *page = mpool_get(mp, i, 0);
				CHILD_CHECK(page || errno == ENOMEM || errno == ENOSPC);
				if (!page)
					break;
				CHILD_CHECK(is(page, big, i, 0));
				pins.push_back(page);
			}
			// What there is it uses: a page for a page, but for what the pins need, and portions.
			const size_t free = room.f_bfree, enough = free / 4 * 3 > 8 ? free / 4 * 3 - 8 : 0;
			CHILD_CHECK(pins.size() >= std::min<size_t>({enough, maxcache, pages}));
			MPOOL *two = mpool_open(key.get(), -1, big, maxcache * 2);
			CHILD_CHECK(two || errno == ENOMEM || errno == ENOSPC);
			pgno_t made;
			void *page = (mpool_new)(mp, &made);
			CHILD_CHECK(page || errno == ENOMEM || errno == ENOSPC);
			if (page)
				CHILD_CHECK(mpool_put(mp, page, 0) == 0);
			for (void *pin : pins)
				CHILD_CHECK(mpool_put(mp, pin, MPOOL_DIRTY) == 0);
			CHILD_CHECK(mpool_sync(mp) == 0);
			// With the pins gone, there is room for one page at a time, if there ever was.
			for (pgno_t i = 0; i < pages && !pins.empty(); i++) {
				page = mpool_get(mp, i, 0);
				CHILD_CHECK(page && is(page, big, i, 0) && mpool_put(mp, page, 0) == 0);
			}
			if (two)
				CHILD_CHECK(mpool_close(two) == 0);
			CHILD_CHECK(mpool_close(mp) == 0 && before.still() && key.objects().empty());
		}
		return 0;
	});
	for (pgno_t i = 0; i < pages; i += 7)
		REQUIRE(file.holds(i, 0));
}

TEST_CASE("a /dev/shm that fills up under a pool stops nothing but its growth")
{
	Key key;
	const pgno_t big = 4096, pages = 3000;
	File file(big, pages);
	REQUIRE_IN_OWN_SHM("32m", [&] {
		MPOOL *mp = mpool_open(key.get(), file.fd(), big, 64);
		CHILD_CHECK(mp && mpool_put(mp, mpool_get(mp, 0, 0), 0) == 0); // a thread's first call needs memory
		int filler = open("/dev/shm/filler", O_RDWR | O_CREAT, 0600);
		std::vector<char> bytes(big, 'f');
		while (write(filler, bytes.data(), big) > 0)
			continue;
		CHILD_CHECK(errno == ENOSPC);
		for (pgno_t i = 0; i < pages; i++) {
			void *page = mpool_get(mp, i, 0);
			CHILD_CHECK(page && is(page, big, i, 0) && mpool_put(mp, page, MPOOL_DIRTY) == 0);
		}
		std::vector<void *> pins;
		void *page;
		for (pgno_t i = 0; (page = mpool_get(mp, i, 0)); i++) {
			CHILD_CHECK(i < pages && is(page, big, i, 0));
			pins.push_back(page);
		}
		CHILD_CHECK(errno == ENOMEM || errno == ENOSPC);
		CHILD_CHECK(pins.size() >= 16); // as many as it had memory for
		// More is asked for; there is memory for it when there is.
		MPOOL *two = mpool_open(key.get(), -1, big, 2000);
		CHILD_CHECK(two || errno == ENOMEM || errno == ENOSPC);
		if (two)
			CHILD_CHECK(!mpool_get(two, pages - 1, 0) && (errno == ENOMEM || errno == ENOSPC));
		for (pgno_t i = 0; i < pins.size(); i++)
			CHILD_CHECK(is(pins[i], big, i, 0));
		CHILD_CHECK(ftruncate(filler, 0) == 0);
		if (!two)
			CHILD_CHECK((two = mpool_open(key.get(), -1, big, 2000)));
		for (pgno_t i = 0; i < 1000; i++) {
			CHILD_CHECK((page = mpool_get(two, i, 0)) && is(page, big, i, 0));
			CHILD_CHECK(mpool_put(two, page, 0) == 0);
		}
		for (void *pin : pins)
			CHILD_CHECK(mpool_put(mp, pin, 0) == 0);
		CHILD_CHECK(mpool_sync(two) == 0 && mpool_close(two) == 0 && mpool_close(mp) == 0);
		return 0;
	});
}

TEST_CASE("a pool that was made smaller works when /dev/shm is full, and grows as far as there is memory")
{
	const bool latches = GENERATE(false, true);
	CAPTURE(latches);
	Key key;
	const pgno_t big = 4096, pages = 3000;
	File file(big, pages);
	REQUIRE_IN_OWN_SHM("32m", [&] {
		MPOOL *mp = mpool_open(key.get(), file.fd(), big, pages);
		CHILD_CHECK(mp);
		auto gets = [&](pgno_t n) {
			for (pgno_t i = 0; i < n; i++) {
				void *page = mpool_get(mp, i, 0);
				CHILD_CHECK(page && is(page, big, i, 0) && mpool_put(mp, page, 0) == 0);
			}
		};
		gets(pages);
		CHILD_CHECK(mpool_tune(mp, MPOOL_MAXCACHE, 64) == 0);
		int filler = open("/dev/shm/filler", O_RDWR | O_CREAT, 0600);
		std::vector<char> bytes(big, 'f');
		off_t taken = 0;
		while (write(filler, bytes.data(), big) > 0)
			taken += big;
		CHILD_CHECK(errno == ENOSPC);
		CHILD_CHECK(taken > static_cast<off_t>(big) * (pages - 64) * 9 / 10);
		gets(pages);
		// There is no memory for more, but who gets pages one at a time does not mind.
		(void)mpool_tune(mp, MPOOL_MAXCACHE, pages);
		gets(pages);
		uint64_t version;
		if (latches)
			(void)mpool_peek(mp, 0, &version);
		CHILD_CHECK(mpool_tune(mp, MPOOL_MAXCACHE, 10) == 0);
		gets(pages);
		CHILD_CHECK(ftruncate(filler, 0) == 0);
		CHILD_CHECK(mpool_tune(mp, MPOOL_MAXCACHE, pages) == 0);
		gets(pages);
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0 && st.cached == pages);
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	});
}

TEST_CASE("a /dev/shm that was full for long stops no growth once there is room again")
{
	constexpr pgno_t tiny = 16, maxcache = 200000, before = 70000, meanwhile = 60000, after = 80000;
	Key key;
	File file(tiny);
	REQUIRE_IN_OWN_SHM("64m", [&] {
		MPOOL *mp = mpool_open(key.get(), file.fd(), tiny, maxcache);
		CHILD_CHECK(mp);
		auto make = [&] {
			pgno_t pgno;
			void *page = (mpool_new)(mp, &pgno);
			return page && mpool_put(mp, page, 0) == 0;
		};
		for (pgno_t i = 0; i < before; i++)
			CHILD_CHECK(make());
		int filler = open("/dev/shm/filler", O_RDWR | O_CREAT, 0600);
		std::vector<char> bytes(4096, 'f');
		while (write(filler, bytes.data(), bytes.size()) > 0)
			continue;
		// The table gets too full, and then each of these asks for a larger one, in vain.
		for (pgno_t i = 0; i < meanwhile; i++)
			CHILD_CHECK(make());
		CHILD_CHECK(ftruncate(filler, 0) == 0);
		for (pgno_t i = 0; i < after; i++)
			CHILD_CHECK(make());
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	});
}

TEST_CASE("where descriptors run out an open fails with EMFILE, or works, and keeps nothing")
{
	Key key;
	File file(page_size, 10);
	const bool joining = GENERATE(false, true), bare = GENERATE(false, true);
	CAPTURE(joining, bare);
	std::unique_ptr<Member> other;
	if (joining)
		other.reset(new Member(key, file.fd(), page_size, 4));
	Common<unsigned> refused;
	CHECK(in_child([&] {
		struct rlimit all;
		getrlimit(RLIMIT_NOFILE, &all);
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 4); // what a first pool keeps
		CHILD_CHECK(mp && mpool_close(mp) == 0);
		// Without standard input, output and error: theirs are the first, and are not to be kept.
		for (int fd = STDIN_FILENO; bare && fd <= STDERR_FILENO; fd++)
			close(fd);
		Clean before;
		unsigned worked = 0;
		if (bare) { // and with room for these alone
			struct rlimit three = {STDERR_FILENO + 1, all.rlim_max};
			CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &three) == 0);
			CHILD_CHECK(!mpool_open(key.get(), file.fd(), page_size, 4) && errno == EMFILE);
			setrlimit(RLIMIT_NOFILE, &all);
			CHILD_CHECK(before.still() && key.objects().size() == joining);
		}
		for (rlim_t more = 0; worked < 3; more++) {
			CHILD_CHECK(more < 30);
			int next = fcntl(file.fd(), F_DUPFD_CLOEXEC,
				static_cast<long>(STDERR_FILENO + 1)); // the lowest that is free
			close(next);
			struct rlimit few = {static_cast<rlim_t>(next) + more, all.rlim_max};
			CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
			mp = mpool_open(key.get(), file.fd(), page_size, 4);
			int error = errno;
			bool well = mp && works(mp, 3) && works(mp, 4);
			if (mp)
				CHILD_CHECK(mpool_close(mp) == 0);
			setrlimit(RLIMIT_NOFILE, &all);
			CHILD_CHECK(mp ? well : error == EMFILE);
			CHILD_CHECK(before.still() && key.objects().size() == joining);
			*refused += !mp;
			worked += mp != nullptr;
		}
		return 0;
	}) == 0);
	CHECK(*refused >= 2);
	if (joining) {
		CHECK(other->shows(5, 0));
		CHECK(other->stats().processes == 1);
		CHECK(other->stats().deaths == 0);
	}
}

TEST_CASE("where files must be small there is an error or a smaller object, and no signal")
{
	const rlim_t most = GENERATE(as<rlim_t>{}, 0, 4096, 1 << 20, 100 << 20, rlim_t(1) << 30, rlim_t(100) << 30);
	CAPTURE(most);
	Key key;
	File file(page_size, 100);
	CHECK(in_child([&] {
		struct rlimit all, l;
		CHILD_CHECK(getrlimit(RLIMIT_FSIZE, &all) == 0);
		l = {most, all.rlim_max};
		CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &l) == 0);
		Clean before;
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 16);
		if (most < 32 << 20) {
			CHILD_CHECK(!mp && errno == EFBIG);
		} else {
			CHILD_CHECK(mp && works(mp, 3));
			struct stat st;
			CHILD_CHECK(
				stat(key.objects()[0].c_str(), &st) == 0 && static_cast<rlim_t>(st.st_size) <= most);
			MPOOL *two = mpool_open(key.get(), -1, page_size, 1000);
			CHILD_CHECK(two && works(two, 7) && mpool_close(two) == 0);
			// More than it can ever hold is refused, and clearly.
			two = mpool_open(key.get(), -1, page_size, 0x7fffffff);
			CHILD_CHECK(!two && (errno == ENOSPC || errno == ENOMEM));
			CHILD_CHECK(works(mp, 8) && mpool_close(mp) == 0);
		}
		CHILD_CHECK(before.still());
		CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &all) == 0); // for what is written of this process at its end
		return 0;
	}) == 0);
}

TEST_CASE("a pool of more pages than an object can have is refused with EFBIG")
{
	constexpr pgno_t large = 1 << 20;
	Key key;
	File file(page_size, 3);
	CHECK(in_child([&] {
		Clean before;
		CHILD_CHECK(!mpool_open(key.get(), file.fd(), large, 0x7fffffff) && errno == EFBIG);
		CHILD_CHECK(before.still() && key.objects().empty());
		return 0;
	}) == 0);
}

TEST_CASE("pins beyond what an object has addresses for are refused with ENOMEM, and what is pinned stays")
{
	constexpr pgno_t large = 1 << 16, pages = 4000;
	constexpr rlim_t most = 64 << 20; // the object's size: far less than all of these pages
	Key key;
	File file(large);
	REQUIRE(ftruncate(file.fd(), static_cast<off_t>(large) * pages) == 0);
	CHECK(in_child([&] {
		struct rlimit all, l;
		CHILD_CHECK(getrlimit(RLIMIT_FSIZE, &all) == 0);
		l = {most, all.rlim_max};
		CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &l) == 0);
		MPOOL *mp = mpool_open(key.get(), file.fd(), large, 16);
		CHILD_CHECK(mp);
		std::vector<char *> pins;
		void *page;
		while (pins.size() < pages && (page = mpool_get(mp, static_cast<pgno_t>(pins.size()), 0))) {
			memset(page, static_cast<int>(pins.size()), large);
			pins.push_back(static_cast<char *>(page));
		}
		CHILD_CHECK(pins.size() >= 16 && pins.size() < most / large && errno == ENOMEM);
		for (size_t i = 0; i < pins.size(); i++) {
			CHILD_CHECK(pins[i][0] == static_cast<char>(i) && pins[i][large - 1] == static_cast<char>(i));
			CHILD_CHECK(mpool_put(mp, pins[i], 0) == 0);
		}
		// With some of them put, there is room.
		CHILD_CHECK((page = mpool_get(mp, pages - 1, 0)) && mpool_put(mp, page, 0) == 0);
		CHILD_CHECK(mpool_close(mp) == 0);
		CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &all) == 0);
		return 0;
	}) == 0);
}

TEST_CASE("where addresses are few there is ENOMEM or a smaller object")
{
	if (sanitized)
		SKIP_CASE("a sanitizer needs more addresses than there are");
	Key key;
	File file(page_size, 100);
	const rlim_t more = GENERATE(as<rlim_t>{}, 1 << 20, 16 << 20, 256 << 20, rlim_t(4) << 30);
	CAPTURE(more);
	CHECK(in_child([&] {
		size_t now = 0;
		FILE *f = fopen("/proc/self/statm", "re");
		CHILD_CHECK(f && fscanf(f, "%zu", &now) == 1);
		fclose(f);
		struct rlimit l = {now * 4096 + more, RLIM_INFINITY};
		Clean before;
		CHILD_CHECK(setrlimit(RLIMIT_AS, &l) == 0);
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 16);
		if (!mp)
			CHILD_CHECK(errno == ENOMEM);
		CHILD_CHECK(mp || more < 256 << 20);
		if (mp)
			CHILD_CHECK(works(mp, 3) && mpool_close(mp) == 0);
		CHILD_CHECK(before.still() && key.objects().empty());
		return 0;
	}) == 0);
	// Who joins cannot have a smaller one.
	Member other(key, file.fd(), page_size, 4);
	CHECK(in_child([&] {
		Clean before;
		struct rlimit l = {rlim_t(8) << 30, RLIM_INFINITY};
		CHILD_CHECK(setrlimit(RLIMIT_AS, &l) == 0);
		CHILD_CHECK(!mpool_open(key.get(), -1, page_size, 16) && errno == ENOMEM);
		CHILD_CHECK(before.still());
		return 0;
	}) == 0);
	CHECK(other.stats().processes == 1);
}

TEST_CASE("a pool is shared where the kernel has no membarrier, and who lacks it alone is refused with ENOTSUP")
{
	if (!can_filter())
		SKIP_CASE("no seccomp");
	auto refuse = +[](Here &, Args) -> int64_t {
		return install_filter({SYS_membarrier}, SECCOMP_RET_ERRNO | ENOSYS, SECCOMP_RET_ALLOW) ? 0 : -1;
	};
	Key key;
	File file(page_size, 100);
	{
		Member a, b, c;
		a.succeed("seccomp", a.call(refuse));
		b.succeed("seccomp", b.call(refuse));
		a.open(key, file.fd(), page_size, 8);
		b.open(key, -1, page_size, 8);
		c.open(key, -1, page_size, 8); // it could, and does without
		a.modify(3, 1);
		CHECK(b.shows(3, 1));
		c.modify(4, 1);
		for (Member *m : {&a, &b, &c})
			m->touch(0, 100);
		b.get(5);
		a.sync();
		CHECK(file.holds(3, 1));
		CHECK(file.holds(4, 1));
		b.kill();
		CHECK(comes([&] { return a.stats().deaths == 1; }));
		CHECK(c.stats().pinned == 0);
	}
	Member a(key, file.fd(), page_size, 8), b;
	b.succeed("seccomp", b.call(refuse));
	REQUIRE_ANSWER_FAILS(b.try_open(key, -1, page_size, 8), ENOTSUP);
	CHECK(a.shows(5, 0));
	CHECK(a.stats().processes == 1);
}

// ---- A process that does not go on ----------------------------------------------------

// Ten seconds of patience, longer where the one who waits has to wait for a processor too.
TEST_CASE("a process that is stopped while it opens or closes a pool holds up others' opens and closes only so long")
{
	Key key;
	File file(page_size, 10);
	Member a(key, file.fd(), page_size, 4), b(key, -1, page_size, 4), c;
	// Stopped, it would have this, the key's lock; see share.c.
	Fd locks(open((objects_dir() + "/lock").c_str(), O_RDWR | O_CLOEXEC));
	struct flock lock = {};
	lock.l_type = F_WRLCK;
	lock.l_start = static_cast<off_t>(hash_of(static_cast<char *>(key.get())) >> 2);
	lock.l_len = 1;
	REQUIRE(fcntl(locks, F_SETLK, word(&lock)) == 0);
	c.tell(does::open, static_cast<uint64_t>(word(key.get())), static_cast<uint64_t>(-1), page_size, 4);
	b.tell(does::close);
	CHECK(a.shows(3, 0));
	a.sync();
	Answer answer = c.hear();
	CHECK(answer.value == -1);
	CHECK(answer.error == ETIMEDOUT);
	CHECK(b.hear().value == 0);
	CHECK(comes([&] { return a.stats().processes == 1; }));
	locks.reset(); // it goes on
	c.open(key, -1, page_size, 4);
	CHECK(c.shows(4, 0));
}

// Is a thread of that process asleep, and neither for a death (poll) nor for what it is told (recv)?
static bool waits_for_a_lock(pid_t pid)
{
	bool waits = false;
	const std::string tasks = "/proc/" + std::to_string(pid) + "/task/";
	DIR *dir = opendir(tasks.c_str());
	REQUIRE(dir);
	while (const dirent *e = readdir(dir)) {
		long call = -1;
		FILE *f = fopen((tasks + e->d_name + "/syscall").c_str(), "re");
		if (f && fscanf(f, "%ld", &call) == 1)
			waits = waits || call == SYS_futex || call == SYS_clock_nanosleep;
		if (f)
			fclose(f);
	}
	closedir(dir);
	return waits;
}

TEST_CASE(
	"a process that is stopped with the pool's lock holds up opens and closes only so long, also when another has died")
{
	Key key;
	File file(page_size, 10);
	Member a(key, file.fd(), page_size, 4), b(key, -1, page_size, 4), c;
	Common<std::atomic<bool>> locked;
	Process holder([&] {
		Fd object(open(key.objects()[0].c_str(), O_RDONLY | O_CLOEXEC));
		CHILD_CHECK(flock(object, LOCK_EX) == 0);
		*locked = true;
		pause();
		return 0;
	});
	REQUIRE(comes([&] { return locked->load(); }));
	b.kill();
	REQUIRE(comes([&] { return waits_for_a_lock(a.pid()); }));
	c.tell(does::open, static_cast<uint64_t>(word(key.get())), static_cast<uint64_t>(-1), page_size, 4);
	REQUIRE(comes([&] { return waits_for_a_lock(c.pid()); }));
	a.tell(does::close);
	Answer answer = c.hear();
	CHECK(answer.value == -1);
	CHECK(answer.error == ETIMEDOUT);
	CHECK(a.hear().value == 0);
	holder.kill();
	c.open(key, file.fd(), page_size, 4);
	CHECK(c.shows(4, 0));
	CHECK(c.stats().processes == 1);
}

// ---- Each call in turn -------------------------------------------------------------

namespace {

enum class Sweep { make, join, close, close_last };

// The n-th call fails.  False: there are not so many.
bool sweep_one(Sweep sweep, const Key &key, const File &file, int64_t n, bool &refused)
{
	const bool alone = sweep == Sweep::make || sweep == Sweep::close_last, closing = sweep >= Sweep::close;
	Common<bool> struck, failed_open;
	std::unique_ptr<Member> other;
	if (!alone)
		other.reset(new Member(key, file.fd(), page_size, 4));
	int ended = in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), page_size, 4); // what a first pool keeps
		CHILD_CHECK(mp && works(mp, 1) && mpool_close(mp) == 0);
		Clean before;
		if (closing) {
			CHILD_CHECK((mp = mpool_open(key.get(), file.fd(), page_size, 6)) && mpool_get(mp, 5, 0));
			{
				Striking striking(n);
				CHILD_CHECK(mpool_close(mp) == 0);
			}
		} else {
			int error = 0;
			errno = 0;
			{
				Striking striking(n);
				mp = mpool_open(key.get(), file.fd(), page_size, 6);
				error = errno;
			}
			*failed_open = !mp;
			if (!mp) {
				CHILD_CHECK(error != 0 && error != EEXIST && error != EAGAIN);
				CHILD_CHECK(key.objects().size() == !alone);
			} else {
				CHILD_CHECK(works(mp, 2) && works(mp, 3) && mpool_close(mp) == 0);
			}
		}
		*struck = failed != nullptr;
		if (!before.still())
			fprintf(stderr, "something is left, %s having failed\n", failed ? failed : "nothing");
		CHILD_CHECK(before.still());
		// And the next one is well.
		CHILD_CHECK((mp = mpool_open(key.get(), file.fd(), page_size, 6)) && works(mp, 7));
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0 && st.processes == (alone ? 1 : 2) && st.pinned == 0);
		CHILD_CHECK(mpool_close(mp) == 0 && before.still());
		return 0;
	});
	CAPTURE(n);
	REQUIRE(ended == 0);
	if (other) {
		REQUIRE(other->shows(4, 0));
		REQUIRE(other->stats().processes == 1);
	}
	refused = *failed_open;
	return *struck;
}

} // namespace

TEST_CASE("whatever call fails when a pool is opened or closed, there is an error or a pool, and nothing is left")
{
	const int which = GENERATE(0, 1, 2, 3);
	const Sweep sweep = static_cast<Sweep>(which);
	CAPTURE(which);
	Key key;
	File file(page_size, 20);
	unsigned refusals = 0, n = 0;
	for (bool refused = false; sweep_one(sweep, key, file, n, refused); n++)
		refusals += refused;
	WARN((which == 0          ? "making"
		     : which == 1 ? "joining"
				  : "closing")
		<< ": " << n << " calls, " << refusals << " refusals");
	CHECK(n >= (sweep >= Sweep::close ? 3 : 15));
	CHECK((sweep >= Sweep::close || refusals >= 10));
}

namespace {

enum class FileSweep { attach, attach_held, close, close_held };

// Nothing of a file: three descriptors.  One more may be there than was, for the watch may get its own late; and whoever hands
// descriptors over is a thread that may not be done.
bool nothing_left(const Clean &before)
{
	return comes([&] { return open_fds().size() < before.fds + 3 && objects_mapped() == before.maps; });
}

// The n-th call fails, of an attach or a close of a file, which another member of the pool holds too, or not.
bool sweep_file(FileSweep sweep, const Key &key, const File &file, const File &other, int64_t n, bool &refused)
{
	const bool held = sweep == FileSweep::attach_held || sweep == FileSweep::close_held;
	const bool closing = sweep >= FileSweep::close;
	Common<bool> struck, failed_attach;
	int ended = in_child([&] {
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 6);
		MPOOL *of_another = mpool_open(key.get(), file.fd(), page_size, 6);
		CHILD_CHECK(mp && of_another);
		MPOOL *theirs = held ? mpool_attach(of_another, other.fd()) : nullptr;
		CHILD_CHECK(!held || (theirs && works(theirs, 4)));
		Clean before;
		MPOOL *ours = closing ? mpool_attach(mp, other.fd()) : nullptr;
		CHILD_CHECK(!closing || (ours && works(ours, 5)));
		int error = 0, result = 0;
		{
			Striking striking(n);
			errno = 0;
			if (closing)
				result = mpool_close(ours);
			else
				ours = mpool_attach(mp, other.fd());
			error = errno;
		}
		*struck = failed != nullptr;
		*failed_attach = !closing && !ours;
		CHILD_CHECK((result == 0 && (closing || ours)) || error != 0);
		if (closing)
			CHILD_CHECK(result == 0 || (works(ours, 5) && mpool_close(ours) == 0));
		else if (ours)
			CHILD_CHECK(works(ours, 5) && works(mp, 3) && mpool_close(ours) == 0);
		bool still = nothing_left(before);
		if (!still)
			fprintf(stderr, "something is left, %s having failed\n", failed ? failed : "nothing");
		CHILD_CHECK(still);
		// And the next one is well.
		CHILD_CHECK((ours = mpool_attach(mp, other.fd())) && works(ours, 6));
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(ours, &st, sizeof st) == 0 && st.processes == (held ? 2 : 1) && st.pinned == 0);
		CHILD_CHECK(mpool_close(ours) == 0 && nothing_left(before));
		CHILD_CHECK(!held || (works(theirs, 4) && mpool_close(theirs) == 0));
		CHILD_CHECK(mpool_close(of_another) == 0 && mpool_close(mp) == 0);
		return 0;
	});
	CAPTURE(n);
	REQUIRE(ended == 0);
	refused = *failed_attach;
	return *struck;
}

} // namespace

TEST_CASE("whatever call fails when a file is attached or closed, there is an error or a handle, and nothing is left")
{
	const int which = GENERATE(0, 1, 2, 3);
	const FileSweep sweep = static_cast<FileSweep>(which);
	CAPTURE(which);
	Key key;
	File file(page_size, 20), other(page_size, 20);
	unsigned refusals = 0, n = 0;
	for (bool refused = false; sweep_file(sweep, key, file, other, n, refused); n++)
		refusals += refused;
	WARN((sweep >= FileSweep::close ? "closing" : "attaching")
		<< ": " << n << " calls, " << refusals << " refusals");
	CHECK(n >= (sweep >= FileSweep::close ? 3 : 8));
	CHECK((sweep >= FileSweep::close || refusals >= 3));
}
