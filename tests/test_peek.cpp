// test_peek.cpp - mpool_peek, mpool_unchanged, and mpool_peek.h: that what was read was the page
// at one instant, whatever others did.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <mpool_peek.h>

#include <csignal>

#include "share.hpp"
#include "support.hpp"

using namespace test;

namespace {

constexpr pgno_t page_size = 512;
constexpr size_t words = page_size / sizeof(uint64_t);

// What one peek gave.
struct Seen {
	const void *page;
	uint64_t version;
};

// The two ways of it: calls, and the header's inline ones.
class Way {
public:
	Way(MPOOL *mp, bool is_inline)
	    : mp_(mp), inline_(is_inline), view_(mpool_view(mp, is_inline ? MPOOL_VIEW_LAYOUT : 0))
	{
	}
	Seen peek(pgno_t pgno) const
	{
		Seen s{nullptr, 0};
		s.page = !inline_ ? mpool_peek(mp_, pgno, &s.version) : mpool_peek_view(view_, pgno, &s.version);
		return s;
	}
	bool unchanged(const Seen &s) const
	{
		return !inline_ ? mpool_unchanged(mp_, s.page, s.version)
		                : mpool_unchanged_view(view_, s.page, s.version);
	}

private:
	MPOOL *mp_;
	bool inline_;
	const struct mpool_view *view_;
};

// For the main thread.
Seen must_see(const Way &way, pgno_t pgno)
{
	errno = 0;
	Seen s = way.peek(pgno);
	INFO("mpool_peek of page " << pgno << ": " << strerror(errno));
	REQUIRE(s.page != nullptr);
	return s;
}

bool is_refused(const Way &way, pgno_t pgno)
{
	errno = 0;
	return way.peek(pgno).page == nullptr && errno == EAGAIN;
}

// A page's words are all the same number, but for the page's in the first.
void write_words(void *page, pgno_t pgno, uint64_t n)
{
	auto *w = static_cast<uint64_t *>(page);
	mpool_store64(w, uint64_t{pgno} << 32 | n);
	for (size_t i = 1; i < words; i++)
		mpool_store64(w + i, n);
}

// What was read; UINT64_MAX: it is torn, or another page.
uint64_t number_in(const uint64_t *w, pgno_t pgno)
{
	for (size_t i = 1; i < words; i++)
		if (w[i] != w[1])
			return UINT64_MAX;
	return w[0] == (uint64_t{pgno} << 32 | w[1]) ? w[1] : UINT64_MAX;
}

bool latch_and_write(MPOOL *mp, pgno_t pgno, uint64_t n)
{
	void *page = mpool_get(mp, pgno, 0);
	if (!page || mpool_latch(mp, page, MPOOL_EXCLUSIVE) != 0)
		return false;
	write_words(page, pgno, n);
	return mpool_unlatch(mp, page, MPOOL_DIRTY) == 0 && mpool_put(mp, page, 0) == 0;
}

} // namespace

TEST_CASE("a page in memory can be peeked at")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	Way way(pool, GENERATE(false, true));
	REQUIRE(is_refused(way, 0));   // not in memory
	REQUIRE(is_refused(way, 100)); // nor in the file
	pool.touch(0, 1);
	Seen s = must_see(way, 0);
	CHECK(way.unchanged(s));
	void *page = pool.get(0);
	CHECK(page == s.page);
	CHECK(way.unchanged(s));
	SECTION("what changes nothing")
	{
		REQUIRE(mpool_latch(pool, page, MPOOL_SHARED) == 0);
		CHECK(way.unchanged(s));
		CHECK(way.peek(0).page == page);
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		CHECK(way.unchanged(s));
		CHECK(way.peek(0).version == s.version);
		pool.touch(1, 3);
		CHECK(way.unchanged(s));
		CHECK(pool.get(0) == page);
	}
	SECTION("an exclusive latch")
	{
		REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
		CHECK(!way.unchanged(s));
		CHECK(is_refused(way, 0));
		pool.touch(1, 2);
		must_see(way, 1);
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		CHECK(!way.unchanged(s));
		Seen again = must_see(way, 0);
		CHECK(again.page == page);
		CHECK(again.version != s.version);
		CHECK(way.unchanged(again));
	}
	SECTION("an upgrade, which wants it unchanged")
	{
		REQUIRE(mpool_upgrade(pool, page, s.version) == 0);
		CHECK(is_refused(way, 0));
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		REQUIRE_FAILS(mpool_upgrade(pool, page, s.version), EAGAIN);
	}
	SECTION("delete")
	{
		REQUIRE(mpool_delete(pool, page) == 0);
		CHECK(!way.unchanged(s));
		CHECK(is_refused(way, 0));
		pool.touch(0, 1);
		CHECK(!way.unchanged(s));
		must_see(way, 0);
		page = pool.get(0);
	}
	SECTION("another page, or none")
	{
		pool.touch(1, 2);
		Seen other = must_see(way, 1);
		CHECK(other.page != s.page);
		CHECK(other.version != s.version);
		CHECK(!way.unchanged({s.page, UINT64_MAX}));
	}
	SECTION("a page with the version of another")
	{
		pool.touch(1, 2);
		Seen other = must_see(way, 1);
		const Seen crossed{other.page, s.version}, back{s.page, other.version}, nowhere{nullptr, s.version};
		CHECK((way.unchanged(crossed) && way.unchanged(back) && way.unchanged(nowhere)));
		REQUIRE_FAILS(mpool_upgrade(pool, page, other.version), EAGAIN);
		REQUIRE(latch_and_write(pool, 0, 1));
		CHECK((!way.unchanged(s) && !way.unchanged(crossed) && !way.unchanged(nowhere)));
		CHECK((way.unchanged(other) && way.unchanged(back)));
		REQUIRE_FAILS(mpool_upgrade(pool, page, other.version), EAGAIN);
		CHECK(way.unchanged(other));
	}
	pool.put(page);
}

TEST_CASE("a page that has left memory looks changed, wherever it is now")
{
	File file(page_size, 100);
	const pgno_t frames = GENERATE(1u, 2u, 16u);
	Pool pool(file.fd(), page_size, frames);
	Way way(pool, GENERATE(false, true));
	pool.touch(0, 1);
	Seen s = must_see(way, 0);
	pool.crowd_out(50);
	CHECK(!way.unchanged(s));
	CHECK(is_refused(way, 0));
	bool elsewhere = false;
	for (pgno_t i = 10; i < 40; i++) {
		// In one frame, and in another, and changed there.
		pool.touch(1, 1 + i % 5);
		REQUIRE(latch_and_write(pool, 0, i));
		Seen now = must_see(way, 0);
		CHECK(!way.unchanged(s));
		elsewhere |= now.page != s.page;
		void *page = pool.get(0);
		REQUIRE_FAILS(mpool_upgrade(pool, page, s.version), EAGAIN);
		pool.put(page);
		s = now;
		CHECK(way.unchanged(s));
		pool.crowd_out(50 + i % 20);
		CHECK(!way.unchanged(s));
	}
	CHECK((elsewhere || frames <= 2));
}

TEST_CASE("a page that a sync finds pinned can be peeked at after it, be it written or withheld")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	Way way(pool, GENERATE(false, true));
	const unsigned whole = GENERATE(0u, unsigned(MPOOL_WHOLE)), latched = GENERATE(0u, 1u);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, latched) == 0);
	void *page = pool.get(0);
	pool.modify(0, 1);
	REQUIRE(mpool_sync_range(pool, 0, 8, MPOOL_WRITE | whole) == (whole && !latched));
	Seen s = must_see(way, 0);
	CHECK(s.page == page);
	// Nor was it about to go.
	pool.touch(0, 1);
	CHECK(pool.stats().rescues == 0);
	CHECK(way.unchanged(s));
	pool.put(page);
}

TEST_CASE("a page beyond maxcache is not peeked at")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 4);
	Way way(pool, GENERATE(false, true));
	std::vector<void *> page;
	for (pgno_t i = 0; i < 40; i++)
		page.push_back(pool.get(i));
	unsigned seen = 0;
	for (pgno_t i = 0; i < 40; i++) {
		Seen s = way.peek(i);
		seen += s.page != nullptr;
		CHECK((s.page ? s.page == page[i] && way.unchanged(s) : errno == EAGAIN));
	}
	CHECK(seen == 4);
	for (void *p : page)
		pool.put(p);
}

TEST_CASE("a header of another layout than the library's makes calls")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	const struct mpool_view *view = mpool_view(pool, MPOOL_VIEW_LAYOUT + 1);
	uint64_t version;
	errno = 0;
	CHECK((mpool_peek(pool, 0, &version) == nullptr && errno == EAGAIN));
	pool.touch(0, 1);
	REQUIRE(mpool_peek(pool, 0, &version) != nullptr);
	const void *page = mpool_peek_view(view, 0, &version);
	REQUIRE(page != nullptr);
	CHECK(mpool_unchanged_view(view, page, version));
	REQUIRE(latch_and_write(pool, 0, 1));
	CHECK(!mpool_unchanged_view(view, page, version));
	CHECK(mpool_peek_view(view, 7, &version) == nullptr);
}

TEST_CASE("a page that is only peeked at stays in memory")
{
	File file(page_size, 4000);
	Pool pool(file.fd(), page_size, 400);
	Way way(pool, GENERATE(false, true));
	pool.touch(0, 400);
	// Others come, and come back; of the first 40 pages the even ones are looked at.
	unsigned refused = 0, kept[2] = {0, 0};
	for (pgno_t n = 0; n < 20000; n++) {
		pgno_t page = 400 + static_cast<pgno_t>(mix(n) % 800);
		pool.touch(page, page + 1);
		refused += !way.peek(static_cast<pgno_t>(n % 20 * 2)).page;
	}
	for (pgno_t i = 0; i < 40; i++)
		kept[i % 2] += way.peek(i).page != nullptr;
	CAPTURE(refused, kept[0], kept[1]);
	CHECK(kept[0] >= 15);
	CHECK(kept[1] <= 5);
}

TEST_CASE("who does not peek has no memory for it")
{
	File file(page_size, 1000);
	Pool pool(file.fd(), page_size, 1000);
	pool.touch(0, 1000);
	uint64_t before = pool.stats().metadata;
	Way way(pool, true);
	CHECK(pool.stats().metadata == before);
	must_see(way, 0);
	CHECK(pool.stats().metadata == before + 1000 * sizeof(uint64_t));
}

TEST_CASE("an abandoned page is not peeked at before it is forgiven")
{
	// The child of a fork has of the other thread's page what it had left there.
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	const bool peeked = GENERATE(false, true), is_inline = GENERATE(false, true);
	pool.touch(0, 2);
	if (peeked)
		must_see(Way(pool, is_inline), 0);
	Gate has, may_end;
	std::thread other([&] {
		void *page = mpool_get(pool, 0, 0);
		if (peeked && mpool_latch(pool, page, MPOOL_EXCLUSIVE) != 0)
			abort();
		has.open();
		may_end.pass();
		if (peeked && mpool_unlatch(pool, page, 0) != 0)
			abort();
		mpool_put(pool, page, 0);
	});
	has.pass();
	Process child([&] {
		Way way(pool, is_inline);
		CHILD_CHECK(is_refused(way, 0));
		Seen s = way.peek(1);
		CHILD_CHECK(s.page && way.unchanged(s));
		void *page = mpool_get(pool, 0, 0);
		CHILD_CHECK(page && mpool_abandoned(pool, page, 0) == 1 && is_refused(way, 0));
		CHILD_CHECK(mpool_abandoned(pool, page, MPOOL_FORGIVE) == 1);
		s = way.peek(0);
		CHILD_CHECK(s.page == page && way.unchanged(s));
		return 0;
	});
	CHECK(child.wait() == 0);
	may_end.open();
	other.join();
	must_see(Way(pool, is_inline), 0);
}

TEST_CASE("in a child of fork what was seen before looks changed")
{
	Key key;
	File file(page_size, 8);
	const bool shared = GENERATE(false, true), is_inline = GENERATE(false, true);
	MPOOL *mp = mpool_open(shared ? key.get() : nullptr, file.fd(), page_size, 4);
	REQUIRE(mp != nullptr);
	Way way(mp, is_inline);
	mpool_put(mp, mpool_get(mp, 0, 0), 0);
	Seen s = must_see(way, 0);
	Process child([&] {
		CHILD_CHECK(!way.unchanged(s));
		Seen now = way.peek(0);
		// A shared pool is not the child's.
		CHILD_CHECK(shared ? !now.page && errno == EBADF : now.page && way.unchanged(now));
		return 0;
	});
	CHECK(child.wait() == 0);
	CHECK(way.unchanged(s));
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("a shared pool's page is peeked at by one process and changed by another")
{
	Key key;
	File file(page_size, 8);
	MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
	MPOOL *other = mpool_open(key.get(), -1, page_size, 4); // as another process's
	REQUIRE(mp != nullptr);
	REQUIRE(other != nullptr);
	Way way(mp, GENERATE(false, true));
	void *page = mpool_get(other, 0, 0);
	Seen s = must_see(way, 0);
	REQUIRE(mpool_latch(other, page, MPOOL_EXCLUSIVE) == 0);
	CHECK(!way.unchanged(s));
	CHECK(is_refused(way, 0));
	write_words(page, 0, 7);
	REQUIRE(mpool_unlatch(other, page, MPOOL_DIRTY) == 0);
	CHECK(!way.unchanged(s));
	s = must_see(way, 0);
	uint64_t copy[words];
	mpool_load_bytes(copy, s.page, page_size);
	CHECK(way.unchanged(s));
	CHECK(number_in(copy, 0) == 7);
	REQUIRE(mpool_put(other, page, 0) == 0);
	while (way.unchanged(s))
		for (pgno_t i = 1; i < 8; i++)
			mpool_put(other, mpool_get(other, i, 0), 0);
	CHECK(!way.unchanged(s));
	CHECK(mpool_close(other) == 0);
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("a process that dies with a page latched leaves it to be got, not peeked at")
{
	Key key;
	File file(page_size, 8);
	Common<std::atomic<bool>> may_begin;
	Process child([&] { // before there are threads
		while (!*may_begin)
			nap();
		MPOOL *own = mpool_open(key.get(), -1, page_size, 4);
		CHILD_CHECK(own);
		void *page = mpool_get(own, 0, 0);
		CHILD_CHECK(page && mpool_get(own, 1, 0) && mpool_latch(own, page, MPOOL_EXCLUSIVE) == 0);
		write_words(page, 0, 1);
		raise(SIGKILL);
		return 0;
	});
	MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
	REQUIRE(mp != nullptr);
	Way way(mp, GENERATE(false, true));
	const bool latched_only = GENERATE(false, true);
	REQUIRE(mpool_tune(mp, MPOOL_LATCHED, latched_only) == 0);
	mpool_put(mp, mpool_get(mp, 0, 0), 0);
	mpool_put(mp, mpool_get(mp, 1, 0), 0);
	Seen s = must_see(way, 0), t = must_see(way, 1);
	*may_begin = true;
	CHECK(child.wait() == 1000 + SIGKILL);
	void *page = mpool_get(mp, 0, 0);
	REQUIRE(page != nullptr);
	REQUIRE(comes([&] { return mpool_abandoned(mp, page, 0) == 1; }));
	CHECK(!way.unchanged(s));
	CHECK(is_refused(way, 0));
	// A pin alone, in such a pool, says nothing; else the other page is abandoned, too.
	REQUIRE(comes([&] { return mpool_latch(mp, page, MPOOL_EXCLUSIVE | MPOOL_TRY) == 0; }));
	CHECK((way.peek(1).page != nullptr) == latched_only);
	CHECK(way.unchanged(t));
	write_words(page, 0, 2);
	CHECK(mpool_abandoned(mp, page, MPOOL_FORGIVE) == 1);
	REQUIRE(mpool_unlatch(mp, page, MPOOL_DIRTY) == 0);
	s = must_see(way, 0);
	CHECK(way.unchanged(s));
	mpool_put(mp, page, 0);
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("an abandoned page that is evicted and read again is not peeked at")
{
	Key key;
	File file(page_size, 8);
	Common<std::atomic<bool>> may_begin;
	Process child([&] { // before there are threads
		while (!*may_begin)
			nap();
		MPOOL *own = mpool_open(key.get(), -1, page_size, 2);
		void *page = own ? mpool_get(own, 0, 0) : nullptr;
		CHILD_CHECK(page && mpool_put(own, mpool_get(own, 0, 0), MPOOL_DIRTY) == 0);
		raise(SIGKILL);
		return 0;
	});
	MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 2);
	REQUIRE(mp != nullptr);
	Way way(mp, GENERATE(false, true));
	mpool_put(mp, mpool_get(mp, 0, 0), 0);
	const bool peeked = GENERATE(true, false);
	if (peeked)
		must_see(way, 0);
	*may_begin = true;
	CHECK(child.wait() == 1000 + SIGKILL);
	void *page = mpool_get(mp, 0, 0);
	REQUIRE(comes([&] { return mpool_abandoned(mp, page, 0) == 1; }));
	CHECK(is_refused(way, 0)); // also if this is the first peek
	mpool_put(mp, page, 0);
	for (pgno_t i = 1; i < 8; i++)
		mpool_put(mp, mpool_get(mp, i, 0), 0);
	page = mpool_get(mp, 0, 0);
	CHECK(mpool_abandoned(mp, page, 0) == 1);
	CHECK(is_refused(way, 0));
	mpool_put(mp, page, 0);
	// Other pages in those frames are whole.
	for (pgno_t i = 1; i < 8; i++) {
		mpool_put(mp, mpool_get(mp, i, 0), 0);
		must_see(way, i);
	}
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("mpool_look and mpool_read give a page whether or not it can be peeked at")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 4);
	REQUIRE(latch_and_write(pool, 3, 5));
	unsigned char bytes[100];
	auto *first = reinterpret_cast<const unsigned char *>(bytes);
	auto right = [&] {
		memset(bytes, 0xee, sizeof bytes);
		for (size_t offset : {size_t{8}, size_t{9}, size_t{15}, size_t{page_size - 41}})
			for (size_t n : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{41}}) {
				if (mpool_read(pool, 3, offset, bytes, n) != 0)
					return false;
				for (size_t i = 0; i < n; i++)
					if (first[i] != ((offset + i) % 8 == 0 ? 5 : 0))
						return false;
			}
		return bytes[99] == 0xee;
	};
	CHECK(right());
	SECTION("it is not in memory")
	{
		pool.crowd_out(50);
		CHECK(right());
	}
	SECTION("the caller has it latched")
	{
		void *page = pool.get(3);
		REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
		CHECK(right());
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		pool.put(page);
	}
	SECTION("it is not to be had")
	{
		REQUIRE_FAILS(mpool_read(pool, 100, 0, bytes, 1), EINVAL);
	}
	SECTION("it changes each time that it is looked at")
	{
		struct Changing {
			MPOOL *mp;
			unsigned looks;
		} c = {pool, 0};
		int result = mpool_look(
			pool, 3,
			[](void *arg, const void *) {
				auto *self = static_cast<Changing *>(arg);
				// Not when it is latched.
				if (++self->looks <= MPOOL_PEEKS && !latch_and_write(self->mp, 3, self->looks))
					abort();
				return static_cast<int>(self->looks);
			},
			&c);
		CHECK(result == MPOOL_PEEKS + 1);
	}
	CHECK(pool.stats().pinned == 0);
	void *page = pool.get(3);
	CHECK(mpool_latch(pool, page, MPOOL_EXCLUSIVE | MPOOL_TRY) == 0);
	pool.put(page);
}

TEST_CASE("a store of any bytes is what a load gives")
{
	alignas(8) unsigned char page[64], out[64], in[64];
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = static_cast<unsigned char>(mix(i));
	for (size_t at = 0; at < 12; at++)
		for (size_t n = 0; n + at <= 40; n++) {
			memset(page, 0xaa, sizeof page);
			memset(out, 0xbb, sizeof out);
			mpool_store_bytes(page + at, in + 3, n);
			REQUIRE(memcmp(page + at, in + 3, n) == 0);
			REQUIRE((all_bytes(page, at, 0xaa) && all_bytes(page + at + n, sizeof page - at - n, 0xaa)));
			mpool_load_bytes(out + 5, page + at, n);
			REQUIRE(memcmp(out + 5, in + 3, n) == 0);
			REQUIRE((all_bytes(out, 5, 0xbb) && all_bytes(out + 5 + n, sizeof out - 5 - n, 0xbb)));
		}
	mpool_store8(page, 0x12);
	mpool_store16(page + 2, 0x1234);
	mpool_store32(page + 4, 0x12345678);
	mpool_store64(page + 8, UINT64_C(0x123456789abcdef0));
	CHECK(mpool_load8(page) == 0x12);
	CHECK(mpool_load16(page + 2) == 0x1234);
	CHECK(mpool_load32(page + 4) == 0x12345678);
	CHECK(mpool_load64(page + 8) == UINT64_C(0x123456789abcdef0));
}

TEST_CASE("what is unchanged was the page at one instant")
{
	const pgno_t pages = 12;
	const pgno_t frames = GENERATE(3u, 12u);
	const bool shared = GENERATE(false, true), is_inline = GENERATE(false, true);
	CAPTURE(frames, shared, is_inline);
	Key key;
	File file(page_size, pages);
	MPOOL *mp = mpool_open(shared ? key.get() : nullptr, file.fd(), page_size, frames);
	MPOOL *other = shared ? mpool_open(key.get(), -1, page_size, frames) : mp;
	REQUIRE(mp != nullptr);
	REQUIRE(other != nullptr);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(latch_and_write(mp, i, 1));
	// The last number of each page that a writer has put.
	std::atomic<uint64_t> put[pages];
	for (auto &p : put)
		p = 1;
	std::atomic<unsigned> writing{2};
	std::atomic<uint64_t> looked{0};
	Report report;
	Threads threads;
	for (unsigned t = 0; t < 2; t++)
		threads.start([&, t] {
			MPOOL *own = t ? other : mp;
			for (uint64_t n = 2; (n < 2000 || looked < 200) && !report.any(); n++) {
				const auto pgno = static_cast<pgno_t>(mix(n * 2 + t) % (pages / 2) * 2 + t);
				uint64_t next = put[pgno].load(std::memory_order_relaxed) + 1;
				if (!report.check(latch_and_write(own, pgno, next), "a modification"))
					break;
				put[pgno].store(next, std::memory_order_release);
			}
			writing--;
		});
	for (unsigned t = 0; t < 2; t++)
		threads.start([&, t] {
			Way way(mp, is_inline);
			for (uint64_t n = 0; writing > 0 && !report.any(); n++) {
				const auto pgno = static_cast<pgno_t>(mix(n * 2 + t + 1000000) % pages);
				uint64_t copy[words];
				Seen s = way.peek(pgno);
				if (s.page)
					mpool_load_bytes(copy, s.page, page_size);
				// What had been put by then, wherever the page was, must be in it.
				uint64_t least = put[pgno].load(std::memory_order_acquire);
				if (s.page && way.unchanged(s)) {
					uint64_t is = number_in(copy, pgno);
					report.check(is != UINT64_MAX && is >= least, "what was unchanged");
					looked++;
				} else if (mpool_read(mp, pgno, 0, copy, page_size) == 0) {
					report.check(
						number_in(copy, pgno) != UINT64_MAX && number_in(copy, pgno) >= least,
						"what was read");
				} else {
					report.wrong("mpool_read");
				}
			}
		});
	threads.join();
	report.require_none();
	CHECK(looked > 0);
	for (pgno_t i = 0; i < pages; i++) {
		uint64_t copy[words];
		REQUIRE(mpool_read(mp, i, 0, copy, page_size) == 0);
		CHECK(number_in(copy, i) == put[i]);
	}
	if (shared)
		CHECK(mpool_close(other) == 0);
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("what is peeked at while it is deleted, moved in the table and made anew")
{
	const pgno_t pages = 400;
	const bool is_inline = GENERATE(false, true);
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 300);
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(latch_and_write(pool, i, i));
	pool.sync();
	std::atomic<bool> stop{false};
	Report report;
	Threads threads;
	threads.start([&] {
		Way way(pool, is_inline);
		for (uint64_t n = 0; !stop && !report.any(); n++) {
			const auto pgno = static_cast<pgno_t>(mix(n) % pages);
			uint64_t copy[words];
			Seen s = way.peek(pgno);
			if (!s.page)
				continue;
			mpool_load_bytes(copy, s.page, page_size);
			if (way.unchanged(s))
				report.check(number_in(copy, pgno) == pgno || all_bytes(copy, page_size, 0), "bytes");
		}
	});
	threads.start([&] {
		for (unsigned n = 0; n < 4000 && !report.any(); n++) {
			const auto pgno = static_cast<pgno_t>(mix(n + 77) % pages);
			void *page = mpool_get(pool, pgno, 0);
			if (!report.check(page != nullptr, "mpool_get"))
				break;
			if (n % 3 == 0 ? !report.check(mpool_delete(pool, page) == 0, "mpool_delete")
				       : !report.check(mpool_put(pool, page, 0) == 0, "mpool_put"))
				break;
			if (n % 3 != 0)
				continue;
			pgno_t again = pgno;
			page = mpool_new_flags(pool, &again, MPOOL_PAGE_REQUEST);
			if (!report.check(
				    page != nullptr && mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0, "mpool_new"))
				break;
			write_words(page, pgno, pgno);
			if (!report.check(mpool_unlatch(pool, page, MPOOL_DIRTY) == 0 && mpool_put(pool, page, 0) == 0,
				    "mpool_unlatch"))
				break;
		}
		stop = true;
	});
	threads.join();
	report.require_none();
}
