// test_open.cpp - mpool_open: which descriptors, page sizes and cache sizes make
// a pool, what is refused with which errno, and that the caller's descriptor is
// left alone.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>

#include <linux/loop.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

using namespace test;

TEST_CASE("a page size of 0 is refused with EINVAL")
{
	File file(4096, 4);
	REQUIRE_NULL(mpool_open(nullptr, file.fd(), 0, 10), EINVAL);
}

TEST_CASE("a descriptor that is not open is refused with EBADF")
{
	REQUIRE_NULL(mpool_open(nullptr, -1, 4096, 10), EBADF);
	int fd = -1;
	{
		File file;
		fd = file.fd();
	}
	REQUIRE_NULL(mpool_open(nullptr, fd, 4096, 10), EBADF);
}

TEST_CASE("a descriptor that only names a file is refused with EBADF")
{
	File file(4096, 4);
	Fd names(open(file.path().c_str(), O_PATH | O_CLOEXEC));
	REQUIRE(names >= 0);
	REQUIRE_NULL(mpool_open(nullptr, names, 4096, 10), EBADF);
}

TEST_CASE("what is neither a regular file nor a block device is refused with ESPIPE")
{
	SECTION("a pipe")
	{
		int ends[2];
		REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
		Fd r(ends[0]), w(ends[1]);
		REQUIRE_NULL(mpool_open(nullptr, r, 4096, 10), ESPIPE);
		REQUIRE_NULL(mpool_open(nullptr, w, 4096, 10), ESPIPE);
	}
	SECTION("a socket")
	{
		int ends[2];
		REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
		Fd a(ends[0]), b(ends[1]);
		REQUIRE_NULL(mpool_open(nullptr, a, 4096, 10), ESPIPE);
	}
	SECTION("a directory")
	{
		Fd fd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		REQUIRE(fd >= 0);
		REQUIRE_NULL(mpool_open(nullptr, fd, 4096, 10), ESPIPE);
	}
	SECTION("a character device")
	{
		for (const char *name : {"/dev/null", "/dev/zero"}) {
			Fd fd(open(name, O_RDWR | O_CLOEXEC));
			REQUIRE(fd >= 0);
			REQUIRE_NULL(mpool_open(nullptr, fd, 4096, 10), ESPIPE);
		}
	}
	SECTION("an event count")
	{
		Fd fd(eventfd(0, EFD_CLOEXEC));
		REQUIRE_NULL(mpool_open(nullptr, fd, 4096, 10), ESPIPE);
	}
}

TEST_CASE("who makes a shared pool must bring a file, as for a private one")
{
	File file(4096, 4);
	std::string key = "test_open " + std::to_string(getpid());
	int ends[2];
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	Fd r(ends[0]), w(ends[1]), appends(open(file.path().c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
	REQUIRE_NULL(mpool_open(&key[0], file.fd(), 0, 10), EINVAL);
	REQUIRE_NULL(mpool_open(&key[0], -1, 4096, 10), EBADF);
	REQUIRE_NULL(mpool_open(&key[0], r, 4096, 10), ESPIPE);
	REQUIRE_NULL(mpool_open(&key[0], appends, 4096, 10), EINVAL);
	MPOOL *mp = mpool_open(&key[0], file.fd(), 4096, 10);
	REQUIRE(mp != nullptr);
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("an open that failed keeps nothing")
{
	File file(4096, 4);
	int pipe_ends[2];
	REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
	Fd r(pipe_ends[0]), w(pipe_ends[1]);
	size_t fds = open_fds().size();
	auto fail = [&] {
		return !mpool_open(nullptr, file.fd(), 0, 10) && !mpool_open(nullptr, -1, 4096, 10) &&
		       !mpool_open(nullptr, r, 4096, 0xffffffff);
	};
	for (int i = 0; i < 100; i++)
		REQUIRE(fail());
	Statm before = statm();
	for (int i = 0; i < 10000; i++)
		REQUIRE(fail());
	CHECK(open_fds().size() == fds);
	if (!sanitized)
		CHECK(statm().size < before.size + (1 << 20));
}

TEST_CASE("pages of every size in pools of every size are read, modified and written")
{
	const pgno_t size = GENERATE(1u, 64u, 1000u, 4096u, 65536u);
	const pgno_t maxcache = GENERATE(0u, 1u, 2u, 3u, 1000u);
	CAPTURE(size, maxcache);
	const pgno_t pages = 37;

	File file(size, pages, size / 2);
	{
		Pool pool(file.fd(), size, maxcache);
		REQUIRE(pool.stats().pages == pages);
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE(pool.shows(i, 0));
		// Odd pages change twice, and others stay as they are.
		for (unsigned version = 1; version <= 2; version++)
			for (pgno_t i = 1; i < pages; i += 2)
				pool.modify(i, version);
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE(pool.shows(i, i % 2 ? 2 : 0));
		for (pgno_t n = pages; n < pages + 5; n++) {
			pgno_t pgno;
			void *page = pool.make(pgno);
			REQUIRE(pgno == n);
			REQUIRE(all_bytes(page, size, 0));
			fill(page, size, pgno, 2);
			pool.put(page, MPOOL_DIRTY);
		}
		pool.sync();
		for (pgno_t i = 0; i < pages + 5; i++) {
			CAPTURE(i);
			REQUIRE(file.holds(i, i >= pages || i % 2 ? 2 : 0));
		}
		for (pgno_t i = 0; i < pages + 5; i++)
			REQUIRE(pool.shows(i, i >= pages || i % 2 ? 2 : 0));
		REQUIRE(pool.stats().pinned == 0);
		REQUIRE(pool.close() == 0);
	}
	CHECK(file.length() == static_cast<off_t>(size) * (pages + 5));
}

TEST_CASE("a partial page at the end of the file is not a page")
{
	File file(1000, 3, 999);
	Pool pool(file.fd(), 1000, 10);
	CHECK(pool.stats().pages == 3);
	CHECK(pool.shows(2, 0));
	REQUIRE_NULL(mpool_get(pool, 3, 0), EINVAL);
	REQUIRE_NULL(mpool_get(pool, 3, MPOOL_CACHED), EINVAL); // and not one that is not in memory
}

TEST_CASE("an empty file, and one shorter than a page, has no page")
{
	for (size_t length : {0, 1, 4095}) {
		File file(4096, 0, length);
		Pool pool(file.fd(), 4096, 10);
		CHECK(pool.stats().pages == 0);
		REQUIRE_NULL(mpool_get(pool, 0, 0), EINVAL);
		pgno_t pgno = 77;
		void *page = pool.make(pgno);
		CHECK(pgno == 0);
		pool.put(page);
	}
}

TEST_CASE("the descriptor's offset never moves, and the descriptor stays open and as it was")
{
	File file(512, 20, 100);
	Fd fd = file.reopen(O_RDWR);
	REQUIRE(lseek(fd, 7, SEEK_SET) == 7);
	const int flags = fcntl(fd, F_GETFL);
	const int fdflags = fcntl(fd, F_GETFD);
	const size_t open_before = open_fds().size();
	auto unmoved = [&] { return lseek(fd, 0, SEEK_CUR) == 7; };
	{
		Pool pool(fd, 512, 3);
		REQUIRE(unmoved());
		pool.touch(0, 20);
		REQUIRE(unmoved());
		for (pgno_t i = 0; i < 20; i++)
			pool.modify(i, 1);
		pgno_t pgno;
		pool.put(pool.make(pgno), MPOOL_DIRTY);
		REQUIRE(unmoved());
		pool.sync();
		REQUIRE(unmoved());
		mpool_stat(pool);
		REQUIRE(pool.close() == 0);
	}
	CHECK(unmoved());
	CHECK(fcntl(fd, F_GETFL) == flags);
	CHECK(fcntl(fd, F_GETFD) == fdflags);
	CHECK(open_fds().size() == open_before);
	char byte;
	CHECK(read(fd, &byte, 1) == 1);
}

TEST_CASE("descriptors that a pool opens for itself are not inherited")
{
	File file(4096, 4);
	std::vector<int> before = open_fds();
	Pool pool(file.fd(), 4096, 10);
	pool.modify(0, 1);
	pool.sync();
	for (int fd : open_fds())
		if (std::find(before.begin(), before.end(), fd) == before.end())
			CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("the largest maxcache costs nothing that is not used")
{
	const pgno_t size = GENERATE(1u, 4096u, 65536u);
	if ((sanitized && size > 4096) || (tsan && size > 1))
		return; // there are no addresses for it beside the sanitizer's own
	CAPTURE(size);
	File file(size, 50);
	Statm before = statm();
	Pool pool(file.fd(), size, 0xffffffff);
	CHECK(pool.stats().maxcache == 1u << 28); // FRAMES_MAX / 2
	for (pgno_t i = 0; i < 50; i++)
		pool.modify(i, 1);
	pool.sync();
	for (pgno_t i = 0; i < 50; i++)
		REQUIRE(file.holds(i, 1));
	CHECK(pool.stats().reads == 50);
	if (!sanitized)
		CHECK(statm().resident < before.resident + 50 * size + (16 << 20));
}

TEST_CASE("pages far behind the first four gigabytes are their own")
{
	const uint64_t size = 4096;
	File file(size);
	if (ftruncate(file.fd(), off_t{1} << 43) != 0) {
		WARN("skipped: no file of 8 terabytes here: " << strerror(errno));
		return;
	}
	Pool pool(file.fd(), size, 3);
	const pgno_t pages[] = {0, 0x000fffff, 0x00100000, 0x00100001, 0x0fffffff, 0x10000000, 0x20000000, 0x40000000,
		0x7ffffffe, 0x7fffffff};
	REQUIRE(pool.stats().pages == 0x80000000);
	for (pgno_t pgno : pages)
		pool.modify(pgno, 1);
	pool.sync();
	for (pgno_t pgno : pages) {
		CAPTURE(pgno);
		REQUIRE(file.holds(pgno, 1));
		REQUIRE(pool.shows(pgno, 1));
	}
	REQUIRE(pool.shows_bytes(0x60000000, 0));
	pgno_t pgno;
	pool.put(pool.make(pgno));
	CHECK(pgno == 0x80000000);
	REQUIRE_NULL(mpool_get(pool, 0x80000001, 0), EINVAL);
}

TEST_CASE("a maxcache that there are no addresses for is refused with ENOMEM, and not made smaller")
{
	if (sanitized) {
		WARN("skipped: sanitizers need more memory than a limit leaves");
		return;
	}
	File file(4096, 3);
	int result = in_child([&] {
		struct rlimit limit;
		limit.rlim_cur = limit.rlim_max = statm().size + (256 << 20);
		if (setrlimit(RLIMIT_AS, &limit) != 0)
			return 1;
		errno = 0;
		if (mpool_open(nullptr, file.fd(), 4096, 100000) || errno != ENOMEM)
			return 2;
		MPOOL *mp = mpool_open(nullptr, file.fd(), 4096, 1000);
		struct mpool_stats st;
		if (!mp || mpool_stats(mp, &st, sizeof st) != 0 || st.maxcache != 1000)
			return 3;
		return mpool_close(mp) == 0 ? 0 : 4;
	});
	CHECK(result == 0);
}

TEST_CASE("the largest page size, in the largest pool too, is not mistaken for a small one")
{
	const pgno_t size = GENERATE(0x80000000u, 0xffffffffu);
	const pgno_t maxcache = GENERATE(1u, 3u, 0x80000000u, 0xffffffffu);
	CAPTURE(size, maxcache);
	File file(4096, 3);
	errno = 0;
	MPOOL *mp = mpool_open(nullptr, file.fd(), size, maxcache);
	if (!mp) {
		CHECK(errno == ENOMEM);
		return;
	}
	struct mpool_stats st;
	REQUIRE(mpool_stats(mp, &st, sizeof st) == 0);
	CHECK(st.pagesize == size);
	CHECK(st.pages == 0);
	CHECK(st.maxcache >= 1);
	REQUIRE_NULL(mpool_get(mp, 0, 0), EINVAL);
	REQUIRE(mpool_close(mp) == 0);
}

TEST_CASE("a file of more bytes than there are page numbers has the pages that can be numbered")
{
	File file(1);
	file.truncate(off_t{5} << 30);
	Pool pool(file.fd(), 1, 10);
	CHECK(pool.stats().pages == MAX_PAGE_NUMBER);
	CHECK(pool.shows_bytes(0xfffffffe, 0));
	REQUIRE_NULL(mpool_get(pool, MAX_PAGE_NUMBER, 0), EINVAL);
	pgno_t pgno;
	REQUIRE_NULL((mpool_new)(pool, &pgno), EFBIG);
}

namespace {

// A block device whose bytes are those of a file.
class Loop {
public:
	explicit Loop(int file)
	{
		Fd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
		int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
		if (number < 0)
			return;
		device_ = open(("/dev/loop" + std::to_string(number)).c_str(), O_RDWR | O_CLOEXEC);
		if (device_ >= 0 && ioctl(device_, LOOP_SET_FD, file) != 0) {
			close(device_);
			device_ = -1;
		}
	}
	Loop(const Loop &) = delete;
	Loop &operator=(const Loop &) = delete;
	~Loop()
	{
		if (device_ < 0)
			return;
		ioctl(device_, LOOP_CLR_FD, 0);
		close(device_);
	}
	int fd() const { return device_; }

private:
	int device_ = -1;
};

} // namespace

TEST_CASE("a block device works, and a full one gives ENOSPC and keeps the page modified")
{
	File file(4096, 64);
	Loop loop(file.fd());
	if (loop.fd() < 0) {
		WARN("skipped: no loop device can be made here: " << strerror(errno));
		return;
	}
	Pool pool(loop.fd(), 4096, 8);
	REQUIRE(pool.stats().pages == 64);
	for (pgno_t i = 0; i < 64; i++)
		REQUIRE(pool.shows(i, 0));
	for (pgno_t i = 0; i < 64; i += 3)
		pool.modify(i, 1);
	pool.sync();
	for (pgno_t i = 0; i < 64; i++)
		REQUIRE(file.holds(i, i % 3 ? 0 : 1));

	// Behind its end there is no room.
	pgno_t pgno;
	void *page = pool.make(pgno);
	REQUIRE(pgno == 64);
	fill(page, 4096, pgno, 1);
	pool.put(page, MPOOL_DIRTY);
	REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
	CHECK(pool.stats().dirty == 1);
	REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
	CHECK(pool.shows(64, 1));
	REQUIRE(pool.close() == 0);
}

TEST_CASE("a descriptor opened with O_DIRECT works with the page sizes that it can transfer, "
	  "and refuses others with EINVAL")
{
	const pgno_t size = GENERATE(4096u, 1000u, 512u, 6144u, 1u, 65536u);
	CAPTURE(size);
	const pgno_t pages = 20;
	File file(size, pages);
	Fd fd = file.reopen(O_RDWR | O_DIRECT);
	if (fd < 0) {
		WARN("skipped: no O_DIRECT here: " << strerror(errno));
		return;
	}
	// The file system itself says what it can transfer.
	void *aligned = nullptr;
	REQUIRE(posix_memalign(&aligned, 65536, 65536) == 0);
	bool can = pread(fd, aligned, size, size) == static_cast<ssize_t>(size);
	free(aligned);
	if (!can) {
		REQUIRE_NULL(mpool_open(nullptr, fd, size, 4), EINVAL);
		return;
	}
	if (size == 1000 || size == 1)
		WARN("pages of " << size << " bytes are not refused: this file system can transfer them");

	Pool pool(fd, size, 4);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(pool.shows(i, 0));
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
	pgno_t pgno;
	void *page = pool.make(pgno);
	REQUIRE(pgno == pages);
	fill(page, size, pgno, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	for (pgno_t i = 0; i <= pages; i++)
		REQUIRE(file.holds(i, 1));
	for (pgno_t i = 0; i <= pages; i++)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("a descriptor that can only write at the end of the file is refused with EINVAL")
{
	File file(512, 10);
	Fd appends(open(file.path().c_str(), O_RDWR | O_APPEND));
	REQUIRE_NULL(mpool_open(nullptr, appends, 512, 3), EINVAL);
	Fd reads(open(file.path().c_str(), O_RDONLY | O_APPEND));
	Pool pool(reads, 512, 3);
	CHECK(pool.shows(9, 0));
}
