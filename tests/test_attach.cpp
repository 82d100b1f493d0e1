// test_attach.cpp - mpool_attach: many files in one pool, each with numbers, hooks, syncs and errors of its
// own; what a close of one leaves of the others; what happens when the pool's numbers run out.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include <sys/eventfd.h>

#include <mpool_peek.h>

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Fate;
using fault::Op;
using fault::Script;

namespace {

constexpr size_t size = 512;
// Pages of an extent.
constexpr pgno_t extent = 256;

// A file in a pool, beside the one it was opened with.  Its pages are told from another file's by `salt`.
class Attached {
public:
	Attached(MPOOL *pool, pgno_t pages, uint64_t salt, size_t page_size = size)
	    : file_(page_size, 0), salt_(salt), size_(page_size)
	{
		std::vector<char> page(page_size);
		for (pgno_t i = 0; i < pages; i++) {
			fill(page.data(), page_size, at(i), 0);
			REQUIRE(pwrite(file_.fd(), page.data(), page_size, static_cast<off_t>(i * page_size)) ==
				static_cast<ssize_t>(page_size));
		}
		mp_ = mpool_attach(pool, file_.fd());
		INFO("mpool_attach: " << strerror(errno));
		REQUIRE(mp_ != nullptr);
	}
	Attached(const Attached &) = delete;
	Attached &operator=(const Attached &) = delete;
	~Attached()
	{
		if (mp_)
			mpool_close(mp_);
	}
	operator MPOOL *() const { return mp_; }
	int fd() const { return file_.fd(); }
	int close() { return mpool_close(std::exchange(mp_, nullptr)); }
	void gone() { mp_ = nullptr; }
	uint64_t at(uint64_t pgno) const { return salt_ << 32 | pgno; }

	bool shows(pgno_t pgno, uint64_t version) const
	{
		void *page = mpool_get(mp_, pgno, 0);
		bool same = page && is(page, size_, at(pgno), version);
		return page && mpool_put(mp_, page, 0) == 0 && same;
	}
	bool modify(pgno_t pgno, uint64_t version) const
	{
		void *page = mpool_get(mp_, pgno, 0);
		if (!page)
			return false;
		fill(page, size_, at(pgno), version);
		return mpool_put(mp_, page, MPOOL_DIRTY) == 0;
	}
	bool holds(pgno_t pgno, uint64_t version) const
	{
		std::vector<char> page = file_.read_page(pgno);
		return page.size() == size_ && is(page.data(), size_, at(pgno), version);
	}
	struct mpool_stats stats() const
	{
		struct mpool_stats st;
		REQUIRE(mpool_stats(mp_, &st, sizeof st) == 0);
		return st;
	}

private:
	File file_;
	uint64_t salt_;
	size_t size_;
	MPOOL *mp_ = nullptr;
};

// Of the calling thread: called after each search of the table, with the page's number in the pool.
thread_local std::function<void(pgno_t)> after_search;

// A pool whose first file leaves that many extents to others: it is sparse, and has pages of 16 bytes.
constexpr size_t tiny = 16;
class Narrow {
public:
	explicit Narrow(unsigned extents, pgno_t maxcache) : first(tiny)
	{
		// The topmost has the number that is no page's.
		pages = static_cast<pgno_t>(0xffffff00u - extents * extent);
		first.truncate(static_cast<off_t>(pages) * static_cast<off_t>(tiny));
		pool.reset(new Pool(first.fd(), tiny, maxcache));
	}
	operator MPOOL *() const { return *pool; }
	File first;
	pgno_t pages;
	std::unique_ptr<Pool> pool;
};

} // namespace

extern "C" {
struct tables;
struct table_ref;
uint64_t __real_table_find(struct tables *ts, uint32_t page, struct table_ref *at);
uint64_t __wrap_table_find(struct tables *ts, uint32_t page, struct table_ref *at);
uint64_t __wrap_table_find(struct tables *ts, uint32_t page, struct table_ref *at)
{
	uint64_t found = __real_table_find(ts, page, at);
	// A copy: it may put an end to itself.
	if (auto call = after_search)
		call(page);
	return found;
}
}

TEST_CASE("an attached file's pages are in the pool, by numbers from 0")
{
	const pgno_t pages = 700; // more than two extents
	File file(size, 10);
	Pool pool(file.fd(), size, GENERATE(8u, 2000u));
	Attached one(pool, pages, 1), other(one, pages, 2); // by any of the pool's handles
	std::map<void *, int> at;
	for (int round = 0; round < 2; round++)
		for (pgno_t i = 0; i < pages; i++) {
			CAPTURE(i);
			REQUIRE(one.shows(i, 0));
			REQUIRE(other.shows(i, 0));
			REQUIRE(pool.shows(i % 10, 0));
		}
	// Three pages of one number.
	void *a = pool.get(7), *b = mpool_get(one, 7, 0), *c = mpool_get(other, 7, 0);
	CHECK((a != b && b != c && a != c));
	CHECK(mpool_get(one, 7, 0) == b);
	// A page may be put by any handle of its pool.
	CHECK(mpool_put(other, b, 0) == 0);
	CHECK(mpool_put(pool, b, 0) == 0);
	CHECK(mpool_put(one, c, 0) == 0);
	CHECK(mpool_put(other, a, 0) == 0);
	REQUIRE_FAILS(mpool_put(one, b, 0), EINVAL);
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().cached <= pool.stats().maxcache);
}

TEST_CASE("a number that its file does not have is no other file's page")
{
	File file(size, 3);
	Pool pool(file.fd(), size, 64);
	uint64_t seen;
	REQUIRE(pool.shows(1, 0));
	REQUIRE(mpool_peek(pool, 1, &seen) != nullptr); // when it was the only file
	Attached other(pool, 5, 1);
	for (pgno_t i = 0; i < 5; i++)
		REQUIRE(other.shows(i, 0));
	REQUIRE_NULL(mpool_get(other, 5, 0), EINVAL);
	REQUIRE_NULL(mpool_get(other, MAX_PAGE_NUMBER, 0), EINVAL);
	REQUIRE_NULL(mpool_get(pool, 3, 0), EINVAL);
	// Those that the other's pages have in the pool, and all near them.
	for (pgno_t i = MAX_PAGE_NUMBER; i > MAX_PAGE_NUMBER - 3 * extent; i--) {
		uint64_t version;
		REQUIRE_NULL(mpool_get(pool, i, 0), EINVAL);
		REQUIRE_NULL(mpool_get(pool, i, MPOOL_CACHED), EINVAL);
		REQUIRE_NULL(const_cast<void *>(mpool_peek(pool, i, &version)), EAGAIN);
		REQUIRE_NULL(
			const_cast<void *>(mpool_peek_view(mpool_view(pool, MPOOL_VIEW_LAYOUT), i, &version)), EAGAIN);
		void *page;
		REQUIRE_FAILS(mpool_getv(pool, &i, &page, 1, 0), EINVAL);
		REQUIRE_FAILS(static_cast<int>(mpool_prefetch(pool, &i, 1, -1)), EINVAL);
	}
	CHECK(mpool_peek(pool, 2, nullptr) == nullptr);
}

TEST_CASE("mpool_attach fails as mpool_open does, and changes nothing")
{
	File file(size, 3);
	Pool pool(file.fd(), size, 4);
	REQUIRE_NULL(mpool_attach(pool, -1), EBADF);
	int ends[2];
	REQUIRE(pipe(ends) == 0);
	REQUIRE_NULL(mpool_attach(pool, ends[0]), ESPIPE);
	close(ends[0]);
	close(ends[1]);
	Fd appends = file.reopen(O_RDWR | O_APPEND);
	REQUIRE_NULL(mpool_attach(pool, appends), EINVAL);
	CHECK(pool.shows(2, 0));
	CHECK(pool.close() == 0);
}

TEST_CASE("an attached file grows by mpool_new, and by numbers that are asked for")
{
	File file(size, 1);
	Pool pool(file.fd(), size, 32);
	Attached other(pool, 3, 1);
	for (pgno_t i = 3; i < 3 * extent; i++) {
		pgno_t number = 0;
		void *page = (mpool_new)(other, &number);
		REQUIRE(page != nullptr);
		REQUIRE(number == i);
		REQUIRE(all_bytes(page, size, 0));
		fill(page, size, other.at(i), 1);
		REQUIRE(mpool_put(other, page, MPOOL_DIRTY) == 0);
	}
	pgno_t number = 1000;
	void *page = mpool_new_flags(other, &number, MPOOL_PAGE_REQUEST);
	REQUIRE(page != nullptr);
	fill(page, size, other.at(1000), 1);
	REQUIRE_NULL(mpool_new_flags(other, &(number = 1000), MPOOL_PAGE_REQUEST), EEXIST);
	REQUIRE(mpool_put(other, page, MPOOL_DIRTY) == 0);
	REQUIRE(mpool_sync(other) == 0);
	for (pgno_t i = 3; i < 3 * extent; i++)
		REQUIRE(other.holds(i, 1));
	CHECK(other.holds(1000, 1));
	CHECK(other.stats().pages == 1001);
	CHECK(pool.stats().pages == 1);
	CHECK(file.length() == static_cast<off_t>(size));
}

TEST_CASE("a sync brings its own file's pages to stable storage, and no others")
{
	const pgno_t pages = GENERATE(3u, 300u); // looked up, and looked for
	File file(size, pages);
	Pool pool(file.fd(), size, 2000);
	Attached one(pool, pages, 1), other(pool, pages, 2);
	auto modify = [&](uint64_t version) {
		for (pgno_t i = 0; i < pages; i++) {
			pool.modify(i, version);
			REQUIRE(one.modify(i, version));
			REQUIRE(other.modify(i, version));
		}
	};
	modify(1);
	Script script(one.fd(), [](const Call &) { return fault::real(); });
	REQUIRE(mpool_sync(one) == 0);
	CHECK(script.syncs() == 1);
	for (pgno_t i = 0; i < pages; i++) {
		REQUIRE(one.holds(i, 1));
		REQUIRE(other.holds(i, 0));
		REQUIRE(file.holds(i, 0));
	}
	CHECK(one.stats().dirty == 0);
	CHECK(other.stats().dirty == pages);
	CHECK(pool.stats().dirty == 2 * pages);
	pool.sync();
	CHECK(file.holds(pages - 1, 1));
	CHECK(other.holds(pages - 1, 0));
	modify(2);
	REQUIRE(mpool_sync_range(other, 1, 1, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(other.holds(i, i == 1 ? 2 : 0));
	REQUIRE(one.holds(1, 1));
	REQUIRE(mpool_sync(other) == 0);
	REQUIRE(mpool_sync(one) == 0);
	CHECK(script.syncs() == 2);
	CHECK(other.holds(pages - 1, 2));
}

TEST_CASE("a failed fsync makes the pages of its own file modified again, and fails its own sync")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1), other(pool, 4, 2);
	for (pgno_t i = 0; i < 4; i++) {
		pool.modify(i, 1);
		REQUIRE(one.modify(i, 1));
		REQUIRE(other.modify(i, 1));
		// Written, and not flushed.
		REQUIRE(mpool_sync_range(one, i, 1, MPOOL_WRITE) == 0);
		REQUIRE(mpool_sync_range(other, i, 1, MPOOL_WRITE) == 0);
	}
	{
		Script script(
			one.fd(), [](const Call &c) { return c.op == Op::sync ? fault::error(EIO) : fault::real(); });
		REQUIRE_FAILS(mpool_sync(one), EIO);
		REQUIRE(mpool_sync(other) == 0);
		pool.sync();
	}
	CHECK(one.stats().dirty == 4);
	CHECK(other.stats().dirty == 0);
	CHECK(pool.stats().dirty == 4);
	REQUIRE(mpool_sync(one) == 0);
	CHECK(one.stats().dirty == 0);
}

TEST_CASE("an fsync that succeeds leaves what other files' pages wait for")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1), other(pool, 4, 2);
	for (pgno_t i = 0; i < 4; i++) {
		REQUIRE(one.modify(i, 1));
		REQUIRE(other.modify(i, 1));
	}
	REQUIRE(mpool_sync_range(one, 0, 4, MPOOL_WRITE) == 0);
	REQUIRE(mpool_sync(other) == 0);
	pool.sync();
	Script script(one.fd(), [](const Call &c) { return c.op == Op::sync ? fault::error(EIO) : fault::real(); });
	REQUIRE_FAILS(mpool_sync(one), EIO);
	CHECK(one.stats().dirty == 4);
}

TEST_CASE("a page that was written and has left memory is lost to its own file only")
{
	File file(size, 400);
	Pool pool(file.fd(), size, 4);
	Attached one(pool, 4, 1), other(pool, 4, 2);
	REQUIRE(one.modify(0, 1));
	pool.crowd_out(0); // evicted, so it was written
	REQUIRE(one.holds(0, 1));
	REQUIRE(other.modify(0, 1));
	{
		Script script(
			one.fd(), [](const Call &c) { return c.op == Op::sync ? fault::error(EIO) : fault::real(); });
		REQUIRE_FAILS(mpool_sync(one), EIO);
	}
	REQUIRE_FAILS(mpool_sync(one), EIO);
	REQUIRE(mpool_sync(other) == 0);
	pool.sync();
}

TEST_CASE("a write that fails is told by the sync of its own file")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1), other(pool, 4, 2);
	REQUIRE(one.modify(0, 1));
	REQUIRE(other.modify(0, 1));
	pool.modify(0, 1);
	{
		Script script(one.fd(),
			[](const Call &c) { return c.op == Op::write ? fault::error(ENOSPC) : fault::real(); });
		errno = 0;
		CHECK(mpool_clean(pool, 64) >= 0);
		CHECK(one.stats().write_errno == ENOSPC);
		CHECK(other.stats().write_errno == 0);
		CHECK(pool.stats().write_errno == 0);
		REQUIRE(mpool_sync(other) == 0);
		pool.sync();
		REQUIRE_FAILS(mpool_sync(one), ENOSPC);
	}
	CHECK(one.stats().dirty == 1);
	REQUIRE(mpool_sync(one) == 0);
	CHECK(one.holds(0, 1));
}

TEST_CASE("an eviction that is taken back, since a flush has failed, is not counted")
{
	const pgno_t frames = 16, its = 4;
	File file(size, 100);
	Pool pool(file.fd(), size, frames);
	Attached one(pool, its, 1);
	for (pgno_t i = 0; i < its; i++)
		REQUIRE(one.modify(i, 1));
	// They are written, and evictable.
	REQUIRE(mpool_clean(pool, frames) == static_cast<ssize_t>(its));
	{
		Script script(one.fd(), [](const Call &) { return fault::error(EIO); });
		REQUIRE_FAILS(mpool_sync(one), EIO);
		pool.touch(0, 100);
		CHECK(one.stats().evictions == 0);
		CHECK(one.stats().cached == its);
	}
	REQUIRE(mpool_sync(one) == 0);
	for (pgno_t i = 0; i < its; i++)
		CHECK(one.holds(i, 1));
}

TEST_CASE("a closed file's pages leave memory, and no others; nothing of it is written")
{
	File file(size, 10);
	Pool pool(file.fd(), size, 2000);
	Attached one(pool, 600, 1), other(pool, 600, 2);
	for (pgno_t i = 0; i < 600; i++) {
		REQUIRE(one.modify(i, 1));
		REQUIRE(other.modify(i, 1));
	}
	pool.touch(0, 10);
	CHECK(pool.stats().cached == 1210);
	{
		Script script(one.fd(), [](const Call &) { return fault::real(); });
		REQUIRE(one.close() == 0);
		CHECK(script.writes() == 0);
		CHECK(script.syncs() == 0);
	}
	CHECK(pool.stats().cached == 610);
	CHECK(other.stats().cached == 600);
	for (pgno_t i = 0; i < 600; i++)
		REQUIRE(other.shows(i, 1));
	// What had its numbers is another file's.
	Attached next(pool, 600, 3);
	for (pgno_t i = 0; i < 600; i++)
		REQUIRE(next.shows(i, 0));
	REQUIRE(mpool_sync(other) == 0);
	REQUIRE(other.holds(599, 1));
}

TEST_CASE("a file with a page in use is not closed, and nothing has changed")
{
	File file(size, 10);
	Pool pool(file.fd(), size, 8);
	Attached one(pool, 4, 1);
	REQUIRE(one.modify(0, 1));
	void *page = mpool_get(one, 1, 0);
	REQUIRE(page != nullptr);
	SECTION("pinned")
	{
		REQUIRE_FAILS(mpool_close(one), EBUSY);
		REQUIRE(mpool_put(one, page, 0) == 0);
	}
	SECTION("pinned by another thread")
	{
		std::thread([&] { page = mpool_get(one, 1, 0); }).join();
		REQUIRE(mpool_put(one, page, 0) == 0);
		REQUIRE_FAILS(mpool_close(one), EBUSY);
		REQUIRE(mpool_put(one, page, 0) == 0);
	}
	SECTION("latched")
	{
		unsigned mode = GENERATE(unsigned(MPOOL_SHARED), unsigned(MPOOL_EXCLUSIVE));
		REQUIRE(mpool_latch(one, page, mode) == 0);
		REQUIRE(mpool_put(one, page, 0) == 0);
		REQUIRE_FAILS(mpool_close(one), EBUSY);
		REQUIRE(mpool_unlatch(one, page, 0) == 0);
	}
	SECTION("looked at without a pin")
	{
		REQUIRE(mpool_put(one, page, 0) == 0);
		Gate looked, end;
		std::thread looker([&] {
			page = mpool_get(one, 2, MPOOL_IGNOREPIN);
			looked.open();
			end.pass();
			mpool_put(one, mpool_get(one, 2, MPOOL_CACHED | MPOOL_ONCE), 0); // its next call
		});
		looked.pass();
		int result = mpool_close(one), error = errno;
		end.open();
		looker.join();
		REQUIRE(result == -1);
		REQUIRE(error == EBUSY);
	}
	CHECK(one.shows(0, 1));
	CHECK(one.stats().dirty == 1);
	CHECK(one.close() == 0);
	// Pages of others in use are no matter.
	page = pool.get(3);
	Attached two(pool, 4, 2);
	REQUIRE(two.shows(1, 0));
	CHECK(two.close() == 0);
	pool.put(page);
}

TEST_CASE("each file has filters and hooks of its own, which see its numbers")
{
	struct Seen {
		std::vector<pgno_t> in, out, before;
		int refuse = 0;
	};
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 300, 1), other(pool, 300, 2);
	Seen seen[2];
	struct mpool_hooks hooks = {};
	hooks.in = [](void *s, pgno_t n, void *) { return static_cast<Seen *>(s)->in.push_back(n), 0; };
	hooks.out = [](void *s, pgno_t n, void *) { return static_cast<Seen *>(s)->out.push_back(n), 0; };
	hooks.before_write = [](void *s, const pgno_t *n, void *const *, size_t count) {
		Seen *seen = static_cast<Seen *>(s);
		seen->before.insert(seen->before.end(), n, n + count);
		return seen->refuse;
	};
	MPOOL *of[2] = {one, other};
	for (int i = 0; i < 2; i++) {
		hooks.cookie = &seen[i];
		REQUIRE(mpool_hooks(of[i], &hooks, sizeof hooks) == 0);
	}
	for (pgno_t i : {0u, 255u, 256u, 299u}) {
		REQUIRE(one.modify(i, 1));
		REQUIRE(other.modify(i, 1));
	}
	pool.modify(0, 1);
	const std::vector<pgno_t> all = {0, 255, 256, 299};
	CHECK(seen[0].in == all);
	CHECK(seen[1].in == all);
	// One batch of both, and of a third: who refuses keeps his own, and no more.
	seen[0].refuse = EPERM;
	CHECK(mpool_clean(pool, 64) > 0);
	for (Seen &s : seen) {
		std::sort(s.before.begin(), s.before.end());
		std::sort(s.out.begin(), s.out.end());
		// Who refuses is asked for parts.
		s.before.erase(std::unique(s.before.begin(), s.before.end()), s.before.end());
		CHECK(s.before == all);
		CHECK(s.out == all);
	}
	CHECK(one.stats().dirty == 4);
	CHECK(other.stats().dirty == 0);
	CHECK(pool.stats().dirty == 4);
	for (pgno_t i : all) {
		CHECK(one.holds(i, 0));
		CHECK(other.holds(i, 1));
	}
	CHECK(file.holds(0, 1));
	REQUIRE_FAILS(mpool_sync(one), EPERM);
	REQUIRE(mpool_sync(other) == 0);
	seen[0].refuse = 0;
	REQUIRE(mpool_sync(one) == 0);
	CHECK(one.holds(299, 1));
}

TEST_CASE("neighbours in the pool that are two files' are written each to its own")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, extent, 1), other(pool, extent, 2);
	REQUIRE(one.modify(0, 1)); // its numbers are above the other's
	REQUIRE(other.modify(extent - 1, 1));
	CHECK(mpool_clean(pool, 64) > 0);
	CHECK(one.holds(0, 1));
	CHECK(other.holds(extent - 1, 1));
	struct stat st;
	REQUIRE(fstat(other.fd(), &st) == 0);
	CHECK(st.st_size == static_cast<off_t>(extent * size));
	// A file's second 256 have numbers below the first.
	Attached third(pool, 2 * extent, 3);
	REQUIRE(third.modify(0, 1));
	REQUIRE(third.modify(2 * extent - 1, 1));
	CHECK(mpool_clean(pool, 64) > 0);
	CHECK(third.holds(0, 1));
	CHECK(third.holds(2 * extent - 1, 1));
}

TEST_CASE("a file's filters give its pages the form that it has, and no other's")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1);
	auto flip = [](void *, pgno_t, void *page) {
		for (size_t i = 0; i < size; i++)
			static_cast<unsigned char *>(page)[i] ^= 0xff;
	};
	mpool_filter(one, flip, flip, nullptr);
	void *page = mpool_get(one, 1, 0);
	REQUIRE(page != nullptr);
	flip(nullptr, 1, page);
	CHECK(is(page, size, one.at(1), 0));
	fill(page, size, one.at(1), 1);
	flip(nullptr, 1, page);
	REQUIRE(mpool_put(one, page, MPOOL_DIRTY) == 0);
	pool.modify(1, 1);
	pool.sync();
	REQUIRE(mpool_sync(one) == 0);
	CHECK(one.holds(1, 1));
	CHECK(file.holds(1, 1));
}

TEST_CASE("a call on the pool by any handle is refused in a hook of any of its files")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1), other(pool, 4, 2);
	struct Try {
		MPOOL *mp;
		int error, set;
	} by = {other, 0, 0};
	struct mpool_hooks hooks = {};
	hooks.cookie = &by;
	hooks.in = [](void *t, pgno_t, void *) {
		Try *by = static_cast<Try *>(t);
		by->error = mpool_sync(by->mp) == 0 ? 0 : errno;
		by->set = mpool_hooks(by->mp, nullptr, 0) == 0 ? 0 : errno;
		return 0;
	};
	REQUIRE(mpool_hooks(one, &hooks, sizeof hooks) == 0);
	REQUIRE(one.shows(0, 0));
	CHECK(by.error == EDEADLK);
	CHECK(by.set == EDEADLK);
}

TEST_CASE("pages of attached files are had several at a time, prefetched and read ahead")
{
	const pgno_t pages = 3 * extent;
	File file(size, 4);
	Pool pool(file.fd(), size, 4 * extent);
	Attached one(pool, pages, 1), other(pool, pages, 2);
	if (GENERATE(false, true))
		REQUIRE(mpool_tune(one, MPOOL_READAHEAD, 64) == 0);
	std::vector<pgno_t> list;
	for (pgno_t i = extent - 40; i < extent + 40; i++)
		list.push_back(i);
	std::vector<void *> addr(list.size());
	REQUIRE(mpool_getv(one, list.data(), addr.data(), list.size(), 0) == 0);
	for (size_t i = 0; i < list.size(); i++) {
		REQUIRE(is(addr[i], size, one.at(list[i]), 0));
		REQUIRE(mpool_put(one, addr[i], 0) == 0);
	}
	int efd = eventfd(0, 0);
	REQUIRE(mpool_prefetch(other, list.data(), list.size(), efd) == static_cast<ssize_t>(list.size()));
	uint64_t told;
	REQUIRE(read(efd, &told, sizeof told) == sizeof told);
	close(efd);
	REQUIRE(mpool_getv(other, list.data(), addr.data(), list.size(), MPOOL_CACHED) == 0);
	for (size_t i = 0; i < list.size(); i++) {
		REQUIRE(is(addr[i], size, other.at(list[i]), 0));
		REQUIRE(mpool_put(other, addr[i], 0) == 0);
	}
	REQUIRE_NULL(mpool_get(other, 0, MPOOL_CACHED), EAGAIN);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(other.shows(i, 0));
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(one.shows(i, 0));
}

TEST_CASE("what a prefetch of an attached file failed with is told once, for that file's page")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1), other(pool, 4, 2);
	const pgno_t n = 2;
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	{
		Script script(
			one.fd(), [](const Call &c) { return c.op == Op::read ? fault::error(EIO) : fault::real(); });
		int efd = eventfd(0, 0);
		REQUIRE(mpool_prefetch(one, &n, 1, efd) == 1);
		uint64_t told;
		REQUIRE(read(efd, &told, sizeof told) == sizeof told);
		close(efd);
	}
	REQUIRE_NULL(mpool_get(other, 2, MPOOL_CACHED), EAGAIN);
	REQUIRE_NULL(mpool_get(pool, 2, MPOOL_CACHED), EAGAIN);
	SECTION("told")
	{
		REQUIRE_NULL(mpool_get(one, 2, MPOOL_CACHED), EIO);
		REQUIRE_NULL(mpool_get(one, 2, MPOOL_CACHED), EAGAIN);
	}
	SECTION("closed")
	{
		REQUIRE(one.close() == 0);
		// Its numbers are the next one's; and so may be its address.
		for (uint64_t i = 0; i < 20; i++) {
			Attached next(pool, 4, 3 + i);
			REQUIRE_NULL(mpool_get(next, 2, MPOOL_CACHED), EAGAIN);
		}
	}
}

TEST_CASE("a file is closed while what was prefetched of it is being read")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 64, 1);
	std::vector<pgno_t> list;
	for (pgno_t i = 0; i < 32; i++)
		list.push_back(2 * i);
	Gate reading, go;
	std::atomic<bool> first{true};
	Script script(one.fd(), [&](const Call &) {
		if (first.exchange(false)) {
			reading.open();
			go.pass();
		}
		return fault::real();
	});
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, MPOOL_IO_WORKERS) == 0);
	REQUIRE(mpool_prefetch(one, list.data(), list.size(), -1) > 0);
	reading.pass();
	Waits closer([&] { one.close(); });
	go.open();
	closer.join();
	CHECK(pool.stats().cached == 0);
}

TEST_CASE("pages of attached files are latched, peeked at, deleted and forgiven")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	uint64_t version, before;
	bool already = GENERATE(false, true); // the pool was peeked at when it had one file
	const struct mpool_view *view = mpool_view(pool, MPOOL_VIEW_LAYOUT);
	REQUIRE(pool.shows(1, 0));
	const void *first = already ? mpool_peek(pool, 1, &before) : nullptr;
	Attached one(pool, 4, 1);
	REQUIRE(one.shows(1, 0));
	if (already) {
		CHECK(mpool_unchanged(pool, first, before));
		CHECK(mpool_unchanged_view(view, first, before));
	}
	const void *page = mpool_peek(one, 1, &version);
	REQUIRE(page != nullptr);
	CHECK(is(page, size, one.at(1), 0));
	CHECK(mpool_unchanged(one, page, version));
	CHECK(mpool_unchanged(pool, page, version));
	CHECK(mpool_peek_view(mpool_view(one, MPOOL_VIEW_LAYOUT), 1, &version) == page);
	CHECK(mpool_peek_view(view, 1, &before) != page);
	void *pinned = mpool_get(one, 1, 0);
	REQUIRE(pinned == page);
	CHECK(mpool_abandoned(one, pinned, 0) == 0);
	REQUIRE(mpool_latch(one, pinned, MPOOL_EXCLUSIVE) == 0);
	CHECK_FALSE(mpool_unchanged(one, page, version));
	fill(pinned, size, one.at(1), 1);
	REQUIRE(mpool_unlatch(one, pinned, MPOOL_DIRTY) == 0);
	CHECK_FALSE(mpool_unchanged(one, page, version));
	REQUIRE(mpool_latch(one, pinned, MPOOL_SHARED) == 0);
	REQUIRE(mpool_unlatch(pool, pinned, 0) == 0);
	char bytes[size];
	REQUIRE(mpool_read(one, 1, 0, bytes, size) == 0);
	CHECK(is(bytes, size, one.at(1), 1));
	REQUIRE(mpool_read(pool, 1, 0, bytes, size) == 0);
	CHECK(is(bytes, size, 1, 0));
	REQUIRE(mpool_delete(one, pinned) == 0);
	CHECK(one.shows(1, 0)); // it was not written
	REQUIRE_NULL(const_cast<void *>(mpool_peek(one, 4, &version)), EAGAIN);
}

TEST_CASE("a closed file's page is no page any more for who peeked at it")
{
	File file(size, 4);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 4, 1);
	REQUIRE(one.shows(1, 0));
	uint64_t version;
	const void *page = mpool_peek(one, 1, &version);
	REQUIRE(page != nullptr);
	REQUIRE(one.close() == 0);
	CHECK_FALSE(mpool_unchanged(pool, page, version));
}

TEST_CASE("evictions are counted by file, and for the pool together")
{
	const pgno_t pages = 100, maxcache = 8;
	File file(size, pages);
	Pool pool(file.fd(), size, maxcache);
	Attached one(pool, pages, 1), other(pool, pages, 2);
	// All that is missed and not in memory any more was evicted.
	auto evicted = [](const Attached &a) {
		struct mpool_stats st = a.stats();
		CHECK(st.evictions == st.misses - st.cached);
		return st.evictions;
	};
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(one.shows(i, 0));
	CHECK(evicted(one) >= pages - maxcache);
	CHECK(evicted(other) == 0);
	for (pgno_t i = 0; i < pages / 2; i++)
		REQUIRE((other.shows(i, 0) && pool.shows(i, 0)));
	struct mpool_stats all = pool.stats();
	CHECK(evicted(one) + evicted(other) <= all.evictions);
	CHECK(all.evictions == all.misses - all.cached);
}

TEST_CASE("an attached file's statistics are its own")
{
	File file(size, 8);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 8, 1);
	pool.touch(0, 5);
	for (pgno_t i = 0; i < 3; i++)
		REQUIRE(one.modify(i, 1));
	void *page = mpool_get(one, 0, 0);
	REQUIRE(mpool_sync_range(one, 0, 2, MPOOL_WRITE) == 0);
	struct mpool_stats st = one.stats();
	struct stat is;
	REQUIRE(fstat(one.fd(), &is) == 0);
	CHECK(st.pages == 8);
	CHECK(st.pagesize == size);
	CHECK(st.inode == is.st_ino);
	CHECK(st.cached == 3);
	CHECK(st.misses == 3);
	CHECK(st.reads == 3);
	CHECK(st.writes == 2);
	CHECK(st.dirty == 2); // one is pinned
	CHECK(st.pinned == 1);
	CHECK(st.maxcache == 64);
	REQUIRE(mpool_put(one, page, 0) == 0);
	st = pool.stats();
	CHECK(st.cached == 8);
	CHECK(st.misses == 8);
	CHECK(st.writes == 2);
}

TEST_CASE("the pool's close closes the files that are attached")
{
	size_t fds = open_fds().size();
	{
		File file(size, 8);
		Pool pool(file.fd(), size, 64);
		Attached one(pool, 8, 1), two(pool, 8, 2);
		REQUIRE(one.modify(1, 1));
		REQUIRE(mpool_sync(one) == 0);
		REQUIRE(two.modify(1, 1));
		REQUIRE(pool.close() == 0);
		one.gone();
		two.gone();
	}
	CHECK(open_fds().size() == fds);
}

TEST_CASE("a child of fork goes on with the files that its parent had attached")
{
	File file(size, 8);
	Pool pool(file.fd(), size, 64);
	Attached one(pool, 8, 1), two(pool, 8, 2);
	REQUIRE(one.modify(1, 1));
	REQUIRE(two.modify(1, 1));
	REQUIRE(mpool_sync_range(two, 1, 1, MPOOL_WRITE) == 0);
	REQUIRE(in_child([&] {
		if (!one.shows(1, 1) || !two.shows(1, 1) || !one.modify(2, 2))
			return 1;
		if (two.stats().dirty != 1) // it cannot know what is told to its parent
			return 2;
		if (mpool_sync(one) != 0 || mpool_sync(two) != 0)
			return 3;
		Attached three(pool, 4, 3);
		if (!three.shows(3, 0) || !one.shows(2, 2))
			return 4;
		return two.close() == 0 && three.close() == 0 && one.close() == 0 && pool.close() == 0 ? 0 : 5;
	}) == 0);
	CHECK(one.holds(2, 2));
	CHECK(two.holds(1, 1));
	CHECK(one.shows(1, 1));
}

TEST_CASE("an attached file is cut, and its pages forgotten, and no other's")
{
	const pgno_t pages = GENERATE(10u, 300u); // looked up, and looked for
	File file(size, pages);
	Pool pool(file.fd(), size, 2000);
	Attached one(pool, pages, 1), other(pool, pages, 2);
	for (pgno_t i = 0; i < pages; i++) {
		pool.modify(i, 1);
		REQUIRE(one.modify(i, 1));
		REQUIRE(other.modify(i, 1));
	}
	void *page = mpool_get(one, 7, 0);
	REQUIRE_FAILS(mpool_truncate(one, 5), EBUSY);
	REQUIRE(mpool_truncate(one, 8) == 0);
	REQUIRE(mpool_put(one, page, 0) == 0);
	REQUIRE(mpool_truncate(one, 5) == 0);
	REQUIRE_NULL(mpool_get(one, 5, 0), EINVAL);
	CHECK(one.stats().pages == 5);
	CHECK(one.stats().cached == 5);
	CHECK(other.stats().dirty == pages);
	CHECK(pool.stats().dirty == 2 * pages + 5);
	REQUIRE_FAILS(mpool_invalidate(one, 0, MAX_PAGE_NUMBER), EBUSY);
	REQUIRE(mpool_sync(one) == 0);
	REQUIRE(mpool_invalidate(one, 0, MAX_PAGE_NUMBER) == 0);
	CHECK(one.stats().cached == 0);
	CHECK(pool.stats().cached == 2 * pages);
	CHECK(one.shows(4, 1));
	pgno_t number = 0;
	page = (mpool_new)(one, &number);
	CHECK(number == 5);
	CHECK(all_bytes(page, size, 0));
	REQUIRE(mpool_put(one, page, 0) == 0);
	REQUIRE(mpool_sync(other) == 0);
	CHECK(other.holds(pages - 1, 1));
}

TEST_CASE("the first file is cut, and what is attached stays")
{
	const pgno_t pages = 300;
	File file(size, pages);
	Pool pool(file.fd(), size, 2000);
	Attached one(pool, pages, 1);
	for (pgno_t i = 0; i < pages; i++) {
		pool.modify(i, 1);
		REQUIRE(one.modify(i, 1));
	}
	void *page = mpool_get(one, 200, 0);
	REQUIRE(mpool_truncate(pool, 3) == 0);
	CHECK(pool.stats().cached == pages + 3);
	pool.sync();
	REQUIRE(mpool_invalidate(pool, 0, MAX_PAGE_NUMBER) == 0);
	CHECK(pool.stats().cached == pages);
	REQUIRE(mpool_put(one, page, 0) == 0);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(one.shows(i, 1));
	REQUIRE(mpool_sync(one) == 0);
	CHECK(one.holds(pages - 1, 1));
	CHECK(file.length() == 3 * static_cast<off_t>(size));
}

// ---- where numbers run out ----------------------------------------------------

TEST_CASE("files have more pages than the pool has numbers, if fewer are in memory")
{
	Narrow pool(2, 4);
	Attached one(pool, 3 * extent, 1, tiny), two(pool, 10, 2, tiny), three(pool, extent + 1, 3, tiny);
	for (int round = 0; round < 3; round++) {
		for (pgno_t i : {0u, 300u, 600u, 767u}) {
			REQUIRE(one.modify(i, 1u + static_cast<unsigned>(round)));
			REQUIRE(two.shows(i % 10, 0));
			pool.pool->crowd_out(0); // what is in memory is evicted
			REQUIRE(three.shows(extent, 0));
			pool.pool->crowd_out(0);
			REQUIRE(one.shows(i, 1u + static_cast<unsigned>(round)));
			pool.pool->crowd_out(0);
		}
	}
	REQUIRE(mpool_sync(one) == 0);
	for (pgno_t i : {0u, 300u, 600u, 767u})
		CHECK(one.holds(i, 3));
}

TEST_CASE("the first file is not made longer than the numbers that are left for it")
{
	File file(size, 10);
	Pool pool(file.fd(), size, 10);
	Attached one(pool, 10, 1);
	REQUIRE(mpool_put(one, mpool_get(one, 0, 0), 0) == 0);
	REQUIRE_FAILS(mpool_truncate(pool, MAX_PAGE_NUMBER), EFBIG);
	CHECK(pool.stats().pages == 10);
	CHECK(file.length() == static_cast<off_t>(10 * size));
	REQUIRE(mpool_truncate(pool, 20) == 0);
	CHECK(pool.stats().pages == 20);
}

TEST_CASE("where all numbers are in use there is EFBIG, until a page leaves memory")
{
	Narrow pool(2, 4);
	Attached one(pool, 3 * extent, 1, tiny), two(pool, 10, 2, tiny);
	void *a = mpool_get(one, 0, 0), *b = mpool_get(one, 300, 0);
	REQUIRE(a != nullptr);
	REQUIRE(b != nullptr);
	REQUIRE_NULL(mpool_get(two, 0, 0), EFBIG);
	REQUIRE_NULL(mpool_get(one, 600, 0), EFBIG);
	REQUIRE_NULL(mpool_get(two, 0, MPOOL_CACHED), EAGAIN);
	pgno_t number = 0;
	REQUIRE_NULL((mpool_new)(two, &number), EFBIG);
	CHECK(two.stats().pages == 10);
	// The numbers that others have the first file cannot have.
	REQUIRE_NULL((mpool_new)(pool, &number), EFBIG);
	CHECK(pool.pool->stats().pages == pool.pages);
	const pgno_t list[3] = {0, 300, 600};
	void *addr[3];
	REQUIRE_FAILS(mpool_getv(one, list, addr, 3, 0), EFBIG);
	CHECK(mpool_prefetch(two, list, 1, -1) == 0);
	REQUIRE(mpool_put(one, b, 0) == 0);
	pool.pool->crowd_out(0);
	REQUIRE(two.shows(0, 0));
	REQUIRE(is(a, tiny, one.at(0), 0));
	REQUIRE(mpool_put(one, a, 0) == 0);
}

TEST_CASE("a number that is found in use when it is just being taken away stays its file's")
{
	Narrow pool(1, 4);
	Attached one(pool, 10, 1, tiny), two(pool, 10, 2, tiny);
	REQUIRE(one.shows(0, 0));
	pool.pool->crowd_out(0);
	REQUIRE(one.stats().cached == 0);
	// All of its pages were looked for, and none is in memory; then one of them comes.
	bool came = false;
	after_search = [&](pgno_t page) {
		if (page % extent != 9)
			return;
		after_search = nullptr;
		std::thread([&] { came = one.shows(5, 0); }).join();
	};
	REQUIRE_NULL(mpool_get(two, 0, 0), EFBIG);
	REQUIRE(came);
	const uint64_t reads = one.stats().reads;
	CHECK(one.shows(5, 0));
	CHECK(one.stats().reads == reads);
	// When it has left, the number is the other's.
	pool.pool->crowd_out(0);
	CHECK(two.shows(0, 0));
}

TEST_CASE("a closed file's numbers are for the next")
{
	Narrow pool(1, 4);
	for (uint64_t i = 1; i <= 3; i++) {
		Attached one(pool, 10, i, tiny);
		REQUIRE(one.modify(5, 1));
		REQUIRE(one.close() == 0);
	}
}

TEST_CASE("the first file takes numbers, and leaves fewer to the others")
{
	Narrow pool(2, 4);
	for (pgno_t i = 0; i < extent; i++) {
		pgno_t number = 0;
		pool.pool->put(pool.pool->make(number));
		REQUIRE(number == pool.pages + i);
	}
	Attached one(pool, 3 * extent, 1, tiny);
	void *a = mpool_get(one, 0, 0);
	REQUIRE(a != nullptr);
	REQUIRE_NULL(mpool_get(one, 300, 0), EFBIG);
	pgno_t number = 0;
	REQUIRE_NULL((mpool_new)(pool, &number), EFBIG);
	number = MAX_PAGE_NUMBER - 1;
	REQUIRE_NULL(mpool_new_flags(pool, &number, MPOOL_PAGE_REQUEST), EFBIG);
	REQUIRE(mpool_put(one, a, 0) == 0);
}

TEST_CASE("threads have the right pages while numbers go from file to file")
{
	const unsigned threads = 4;
	Narrow pool(threads + 1, 2 * threads);
	std::vector<std::unique_ptr<Attached>> files;
	for (uint64_t i = 0; i < 8; i++)
		files.emplace_back(new Attached(pool, 2 * extent, i + 1, tiny));
	Report report;
	Rounds rounds(4000);
	std::atomic<bool> end{false};
	run_threads(threads, [&](unsigned t) {
		Random random(t);
		while (t == 0 ? rounds.more() : !end.load(std::memory_order_relaxed)) {
			const Attached &f = *files[random.below(files.size())];
			pgno_t n = static_cast<pgno_t>(random.below(2 * extent));
			void *page = mpool_get(f, n, 0);
			if (!page) {
				report.check(errno == EFBIG, "mpool_get");
				continue;
			}
			report.check(is(page, tiny, f.at(n), 0), "bytes");
			report.check(mpool_put(f, page, random.below(4) == 0 ? MPOOL_DIRTY : 0) == 0, "mpool_put");
		}
		end = true;
	});
	report.require_none();
}

// ---- many files ---------------------------------------------------------------

TEST_CASE("ten thousand files are attached, used and closed while threads get and put")
{
	const pgno_t pages = 100;
	File file(size, pages);
	Pool pool(file.fd(), size, 60);
	Attached stays(pool, 600, 1);
	// All the same file, by one descriptor: a handle each.
	File many(size, 4);
	Report report;
	std::atomic<unsigned> running{2};
	std::atomic<bool> end{false};
	Threads others;
	for (unsigned t = 0; t < 2; t++)
		others.start([&, t] {
			Random random(t);
			while (!end.load(std::memory_order_relaxed)) {
				pgno_t n = static_cast<pgno_t>(random.below(600));
				visit(report, pool, n % pages);
				void *page = mpool_get(stays, n, 0);
				if (!report.check(page != nullptr, "mpool_get"))
					continue;
				report.check(is(page, size, stays.at(n), 0), "bytes");
				report.check(mpool_put(stays, page, n % 7 == 0 ? MPOOL_DIRTY : 0) == 0, "mpool_put");
			}
		});
	Rounds rounds(10000);
	std::vector<MPOOL *> open;
	Random random(9);
	while (rounds.more()) {
		MPOOL *mp = mpool_attach(pool, many.fd());
		if (!report.check(mp != nullptr, "mpool_attach"))
			break;
		open.push_back(mp);
		for (unsigned i = 0; i < 3; i++) {
			MPOOL *of = open[random.below(open.size())];
			pgno_t n = static_cast<pgno_t>(random.below(4));
			void *page = mpool_get(of, n, 0);
			if (report.check(page != nullptr, "mpool_get of one of many")) {
				report.check(is(page, size, n, 0), "bytes of one of many");
				report.check(mpool_put(of, page, 0) == 0, "mpool_put of one of many");
			}
		}
		if (random.below(4) == 0) {
			size_t i = random.below(open.size());
			report.check(mpool_close(open[i]) == 0, "mpool_close");
			open[i] = open.back();
			open.pop_back();
		}
	}
	for (MPOOL *mp : open)
		report.check(mpool_close(mp) == 0, "mpool_close");
	end = true;
	others.join();
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().cached <= 61);
}
