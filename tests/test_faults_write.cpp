// test_faults_write.cpp - writes that fail, are interrupted, or come short, and
// real disks that are full: a page that is not in the file stays modified, its
// bytes are not lost, and a later try succeeds.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <csignal>

#include <sys/mount.h>

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Op;

TEST_CASE("interrupted and short writes are continued where they ended")
{
	const size_t at_most = GENERATE(size_t{1}, size_t{100}, size_t{511}, size_t{513}, size_t{100000});
	const bool by_sync = GENERATE(false, true);
	CAPTURE(at_most, by_sync);
	File file(512, 40);
	Pool pool(file.fd(), 512, by_sync ? 40 : 4);
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op != Op::write)
				return fault::real();
			return call.nth % 3 == 0 ? fault::error(EINTR) : fault::at_most(at_most);
		});
		for (pgno_t i = 0; i < 40; i++)
			if (i % 5) // adjacent pages, and gaps
				pool.modify(i, 1);
		pool.sync();
	}
	for (pgno_t i = 0; i < 40; i++) {
		REQUIRE(file.holds(i, i % 5 ? 1 : 0));
		REQUIRE(pool.shows(i, i % 5 ? 1 : 0));
	}
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("a write that fails to make room loses nothing: the page stays modified, and can be written later")
{
	const int number = GENERATE(ENOSPC, EIO, EDQUOT, EFBIG);
	const pgno_t maxcache = GENERATE(1u, 4u, 50u);
	CAPTURE(number, maxcache);
	File file(512, 200);
	Pool pool(file.fd(), 512, maxcache);
	for (pgno_t i = 0; i < maxcache; i++)
		pool.modify(i, 1);
	{
		fault::Script script(file.fd(),
			[&](const Call &call) { return call.op == Op::write ? fault::error(number) : fault::real(); });
		for (pgno_t i = 100; i < 120; i++) {
			REQUIRE_NULL(mpool_get(pool, i, 0), number);
			pgno_t pgno = 0;
			REQUIRE_NULL((mpool_new)(pool, &pgno), number);
		}
		CHECK(script.writes() > 0);
		CHECK(pool.stats().dirty == maxcache);
		CHECK(pool.stats().cached == maxcache);
		CHECK(pool.stats().pages == 200);
		CHECK(pool.stats().overflow == 0);
		CHECK(pool.stats().pinned == 0);
		// The pages in memory can be got all the time.
		for (pgno_t i = 0; i < maxcache; i++)
			REQUIRE(pool.shows(i, 1));
	}
	for (pgno_t i = 0; i < maxcache; i++)
		REQUIRE(file.holds(i, 0));
	pool.crowd_out(100);
	CHECK(pool.stats().dirty == 0);
	pgno_t pgno;
	pool.put(pool.make(pgno));
	CHECK(pgno == 200);
	pool.sync();
	for (pgno_t i = 0; i < maxcache; i++)
		REQUIRE(file.holds(i, 1));
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("one page that cannot be written leaves the rest of the pool usable")
{
	File file(512, 300);
	Pool pool(file.fd(), 512, 8);
	pool.touch(1, 9); // so that page 0 comes in cold, and is the next to go
	pool.modify(0, 1);
	unsigned failed = 0;
	std::atomic<unsigned> tried{0};
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op != Op::write || !call.covers(0, 512))
				return fault::real();
			tried++;
			return fault::error(EIO);
		});
		for (pgno_t i = 10; i < 300; i++) {
			errno = 0;
			void *page = mpool_get(pool, i, 0);
			if (!page) {
				REQUIRE(errno == EIO);
				failed++;
				continue;
			}
			REQUIRE(is(page, 512, i, 0));
			pool.put(page, i % 2 ? MPOOL_DIRTY : 0);
		}
		CHECK(pool.stats().overflow == 0);
		CHECK(pool.shows(0, 1));
	}
	CHECK(tried > 0);
	CHECK(failed < 290); // at least the clean frames can be had
	pool.sync();
	CHECK(file.holds(0, 1));
}

TEST_CASE("when no page can be written, those that need not be make room")
{
	File file(512, 300);
	Pool pool(file.fd(), 512, 16);
	pool.touch(0, 1);
	for (pgno_t i = 1; i < 16; i++)
		pool.modify(i, 1);
	{
		fault::Script script(file.fd(),
			[](const Call &call) { return call.op == Op::write ? fault::error(EIO) : fault::real(); });
		for (pgno_t i = 16; i < 300; i++)
			REQUIRE(pool.shows(i, 0));
		CHECK(script.writes() > 0);
		CHECK(pool.stats().overflow == 0);
	}
	pool.sync();
	for (pgno_t i = 1; i < 16; i++)
		CHECK(file.holds(i, 1));
}

TEST_CASE("ten thousand failed writes cost the pool nothing")
{
	const size_t times = shrink(10000);
	File file(512, 100);
	Pool pool(file.fd(), 512, 3);
	for (pgno_t i = 0; i < 3; i++)
		pool.modify(i, 1);
	{
		fault::Script script(file.fd(),
			[&](const Call &call) { return call.op == Op::write ? fault::error(ENOSPC) : fault::real(); });
		for (size_t n = 0; n < times; n++) {
			REQUIRE_NULL(mpool_get(pool, static_cast<pgno_t>(10 + n % 90), 0), ENOSPC);
			if (n % 10 == 0)
				REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
		}
	}
	CHECK(pool.stats().cached == 3);
	CHECK(pool.stats().dirty == 3);
	CHECK(pool.stats().pinned == 0);
	for (pgno_t i = 0; i < 3; i++)
		REQUIRE(pool.shows(i, 1));
	pool.touch(10, 100);
	CHECK(pool.stats().overflow == 0);
	pool.sync();
	for (pgno_t i = 0; i < 3; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("a sync that fails gives the errno, keeps pages modified, and the next one writes them")
{
	const int number = GENERATE(EIO, ENOSPC, EDQUOT, EFBIG);
	CAPTURE(number);
	File file(512, 60);
	Pool pool(file.fd(), 512, 100);
	for (pgno_t i = 0; i < 60; i++)
		pool.modify(i, 1);
	SECTION("every write fails")
	{
		fault::Script script(file.fd(),
			[&](const Call &call) { return call.op == Op::write ? fault::error(number) : fault::real(); });
		REQUIRE_FAILS(mpool_sync(pool), number);
		CHECK(pool.stats().dirty == 60);
		REQUIRE_FAILS(mpool_sync(pool), number);
		CHECK(pool.stats().dirty == 60);
	}
	SECTION("one page's write fails")
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			return call.op == Op::write && call.covers(17, 512) ? fault::error(number) : fault::real();
		});
		REQUIRE_FAILS(mpool_sync(pool), number);
		CHECK(pool.stats().dirty >= 1);
		CHECK(pool.shows(17, 1));
	}
	SECTION("a write fails in the middle")
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op != Op::write)
				return fault::real();
			return call.nth == 0 ? fault::at_most(100) : fault::error(number);
		});
		REQUIRE_FAILS(mpool_sync(pool), number);
		CHECK(pool.stats().dirty == 60);
	}
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < 60; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("a write that fails while its page is got again loses nothing")
{
	File file(512, 200);
	Pool pool(file.fd(), 512, 2);
	Report report;
	for (pgno_t i = 0; i < 2; i++)
		pool.modify(i, 1);
	Gate in_write;
	std::atomic<bool> stopped{false};
	std::atomic<pgno_t> writing{0};
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op != Op::write || stopped.exchange(true))
				return fault::real();
			writing = static_cast<pgno_t>(call.offset / 512);
			in_write.pass();
			return fault::error(EIO);
		});
		Threads threads;
		threads.start([&] {
			errno = 0;
			void *page = mpool_get(pool, 100, 0);
			if (page)
				report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
			else
				report.check(errno == EIO, "errno of a failed write");
		});
		in_write.await(1);
		void *page = pool.get(writing);
		REQUIRE(is(page, 512, writing, 1));
		fill(page, 512, writing, 2);
		pool.put(page, GENERATE(0, MPOOL_DIRTY)); // marked anyway, for the write failed
		in_write.open();
		threads.join();
		report.require_none();
	}
	pool.touch(100, 200);
	pool.sync();
	for (pgno_t i = 0; i < 2; i++)
		REQUIRE(file.holds(i, i == writing ? 2 : 1));
}

TEST_CASE("writes that fail now and then under many threads lose nothing")
{
	const pgno_t maxcache = GENERATE(3u, 20u);
	CAPTURE(maxcache);
	const unsigned count = 6;
	const pgno_t each = 10;
	const size_t rounds = shrink(5000);
	File file(256, count * each);
	Pool pool(file.fd(), 256, maxcache);
	Report report;
	std::vector<unsigned> version(count * each);
	std::atomic<uint64_t> failed{0};
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op != Op::write)
				return fault::real();
			switch (mix(call.nth) % 8) {
			case 0:
				failed++;
				return fault::error(ENOSPC);
			case 1:
				return fault::error(EINTR);
			case 2:
				return fault::at_most(100);
			default:
				return fault::real();
			}
		});
		run_threads(count + 1, [&](unsigned t) {
			if (t == count) { // one that syncs
				for (size_t n = 0; n < rounds / 50; n++) {
					errno = 0;
					report.check(mpool_sync(pool) == 0 || errno == ENOSPC, "mpool_sync");
				}
				return;
			}
			Random random(t);
			for (size_t n = 0; n < rounds && !report.any(); n++) {
				pgno_t pgno = static_cast<pgno_t>(t * each + random.below(each));
				errno = 0;
				void *page = mpool_get(pool, pgno, 0);
				if (!page) {
					report.check(errno == ENOSPC, "errno of a failed write");
					continue;
				}
				report.check(is(page, 256, pgno, version[pgno]), "bytes");
				if (random.below(2) == 0) {
					report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
					continue;
				}
				// Words whole, for a sync may copy the page meanwhile.
				uint64_t bytes[32];
				fill(bytes, 256, pgno, ++version[pgno]);
				for (size_t i = 0; i < 32; i++)
					__atomic_store_n(static_cast<uint64_t *>(page) + i, bytes[i], __ATOMIC_RELAXED);
				report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
			}
		});
	}
	report.require_none();
	CHECK(failed > 0);
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().pinned == 0);
	for (pgno_t i = 0; i < count * each; i++) {
		REQUIRE(file.holds(i, version[i]));
		REQUIRE(pool.shows(i, version[i]));
	}
	CHECK(pool.stats().overflow == 0);
}

// ---- Real ones ----------------------------------------------------------------

namespace {

// A limit of this process's files, while it lives.
class FileLimit {
public:
	explicit FileLimit(rlim_t bytes)
	{
		getrlimit(RLIMIT_FSIZE, &old_);
		struct rlimit limit = old_;
		limit.rlim_cur = bytes;
		old_action_ = signal(SIGXFSZ, SIG_IGN);
		ok = setrlimit(RLIMIT_FSIZE, &limit) == 0;
	}
	~FileLimit()
	{
		setrlimit(RLIMIT_FSIZE, &old_);
		signal(SIGXFSZ, old_action_);
	}
	bool ok;

private:
	struct rlimit old_;
	void (*old_action_)(int);
};

} // namespace

TEST_CASE("at the limit of a file's size sync fails with EFBIG, and succeeds when it is raised")
{
	File file(1000, 10);
	Pool pool(file.fd(), 1000, 30);
	for (pgno_t n = 10; n < 25; n++) {
		pgno_t pgno;
		void *page = pool.make(pgno);
		fill(page, 1000, pgno, 1);
		pool.put(page, MPOOL_DIRTY);
	}
	pool.modify(3, 1);
	int first = 0, first_errno = 0;
	uint64_t dirty = 0;
	int other = 0, other_errno = 0;
	bool ok = false;
	{
		FileLimit limit(14500); // in the middle of a page
		ok = limit.ok;
		errno = 0;
		first = mpool_sync(pool);
		first_errno = errno;
		dirty = pool.stats().dirty;
		errno = 0;
		other = mpool_sync(pool);
		other_errno = errno;
	}
	REQUIRE(ok);
	CHECK(first == -1);
	CHECK(first_errno == EFBIG);
	CHECK(dirty >= 11);
	CHECK(other == -1);
	CHECK(other_errno == EFBIG);
	for (pgno_t i = 10; i < 25; i++)
		REQUIRE(pool.shows(i, 1));
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	CHECK(file.length() == 25000);
	for (pgno_t i = 10; i < 25; i++)
		REQUIRE(file.holds(i, 1));
	CHECK(file.holds(3, 1));
}

TEST_CASE("on a full file system calls fail with ENOSPC, and nothing is lost when there is room again")
{
	std::string dir = tmp_dir() + "/full-XXXXXX";
	REQUIRE(mkdtemp(&dir[0]) != nullptr);
	if (mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=256k") != 0) {
		WARN("skipped: no small file system can be mounted here: " << strerror(errno));
		rmdir(dir.c_str());
		return;
	}
	struct Unmount {
		std::string dir;
		~Unmount()
		{
			umount2(dir.c_str(), MNT_DETACH);
			rmdir(dir.c_str());
		}
	} unmount{dir};
	Fd fd(open((dir + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	Fd filler(open((dir + "/filler").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	REQUIRE((fd >= 0 && filler >= 0));
	std::vector<char> some(128 << 10, 'f');
	REQUIRE(write(filler, some.data(), some.size()) == static_cast<ssize_t>(some.size()));

	const pgno_t pages = 50; // 200k, and there is room for 128k
	Pool pool(fd, 4096, 10);
	unsigned made = 0, failed = 0;
	for (pgno_t n = 0; n < pages; n++) {
		pgno_t pgno;
		errno = 0;
		void *page = (mpool_new)(pool, &pgno);
		if (!page) {
			REQUIRE(errno == ENOSPC);
			failed++;
			continue;
		}
		REQUIRE(pgno == made);
		made++;
		fill(page, 4096, pgno, 1);
		pool.put(page, MPOOL_DIRTY);
	}
	CHECK(failed > 0);
	CHECK(made > 20);
	REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
	CHECK(pool.stats().dirty > 0);
	REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
	REQUIRE(ftruncate(filler, 0) == 0);
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < made; i++) {
		REQUIRE(pool.shows(i, 1));
		char page[4096];
		REQUIRE(pread(fd, page, 4096, i * 4096) == 4096);
		REQUIRE(is(page, 4096, i, 1));
	}
}
