// test_share_latch.cpp - latches of pages that processes share: they exclude each other there
// too, and those of a process that dies are free, and its pages abandoned.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "share.hpp"

using namespace test;

namespace {

constexpr pgno_t page_size = 512;
constexpr unsigned exclusive_try = MPOOL_EXCLUSIVE | MPOOL_TRY, shared_try = MPOOL_SHARED | MPOOL_TRY;

int64_t latch(Here &h, Args a)
{
	return mpool_latch(h.mp, pointer<void>(a[0]), static_cast<unsigned>(a[1]));
}
int64_t unlatch(Here &h, Args a)
{
	return mpool_unlatch(h.mp, pointer<void>(a[0]), static_cast<unsigned>(a[1]));
}
int64_t tune(Here &h, Args a)
{
	return mpool_tune(h.mp, static_cast<int>(a[0]), a[1]);
}
int64_t tuned(Here &h, Args a)
{
	uint64_t value = 0;
	return mpool_tuned(h.mp, static_cast<int>(a[0]), &value) == 0 ? static_cast<int64_t>(value) : -1;
}
// As often as a[1] says: one to each of two words of page a[0], by its latch.
int64_t add(Here &h, Args a)
{
	for (uint64_t i = 0; i < a[1]; i++) {
		uint64_t *page = static_cast<uint64_t *>(mpool_get(h.mp, static_cast<pgno_t>(a[0]), 0));
		if (!page || mpool_latch(h.mp, page, i % 4 ? MPOOL_EXCLUSIVE : MPOOL_SHARED) != 0)
			return -1;
		if (page[0] != page[1])
			return 1;
		if (i % 4) {
			page[0]++;
			page[1]++;
		}
		if (mpool_unlatch(h.mp, page, i % 4 ? MPOOL_DIRTY : 0) != 0 || mpool_put(h.mp, page, 0) != 0)
			return -1;
	}
	return 0;
}
int64_t sum(Here &h, Args a)
{
	uint64_t *page = static_cast<uint64_t *>(mpool_get(h.mp, static_cast<pgno_t>(a[0]), 0));
	int64_t n = page ? static_cast<int64_t>(page[0]) : -1;
	return page && mpool_put(h.mp, page, 0) == 0 ? n : -1;
}

// Another thread of the process has the latch, and goes with it.
int64_t latch_elsewhere(Here &h, Args a)
{
	int error = 0;
	static std::atomic<bool> has;
	has = false;
	MPOOL *mp = h.mp;
	pgno_t pgno = static_cast<pgno_t>(a[0]);
	unsigned flags = static_cast<unsigned>(a[1]);
	std::thread([=, &error] {
		void *page = mpool_get(mp, pgno, 0);
		error = page && mpool_latch(mp, page, flags) == 0 ? 0 : errno;
		has = true;
		if (!error)
			for (;;)
				pause();
	}).detach();
	while (!has)
		nap();
	errno = error;
	return error ? -1 : 0;
}

struct Two {
	Key key;
	File file;
	Member a, b;
	uint64_t page_a, page_b;
	explicit Two(pgno_t maxcache = 8) : file(page_size, 60)
	{
		a.open(key, file.fd(), page_size, maxcache);
		b.open(key, file.fd(), page_size, maxcache);
		page_a = a.get(0);
		page_b = b.get(0);
	}
};

void succeed(const Answer &answer)
{
	INFO(strerror(answer.error));
	REQUIRE(answer.value == 0);
}

} // namespace

TEST_CASE("a latch excludes other processes")
{
	Two two;
	succeed(two.a.call(latch, two.page_a, MPOOL_EXCLUSIVE));
	REQUIRE_ANSWER_FAILS(two.b.call(latch, two.page_b, exclusive_try), EBUSY);
	REQUIRE_ANSWER_FAILS(two.b.call(latch, two.page_b, shared_try), EBUSY);
	REQUIRE_ANSWER_FAILS(two.b.call(unlatch, two.page_b), EPERM);
	two.b.tell(latch, two.page_b, MPOOL_EXCLUSIVE);
	CHECK(!two.b.answers(20));
	two.a.fill(two.page_a, 0, 1);
	succeed(two.a.call(unlatch, two.page_a, MPOOL_DIRTY));
	succeed(two.b.hear());
	CHECK(two.b.is(two.page_b, 0, 1));
	succeed(two.b.call(unlatch, two.page_b));

	succeed(two.a.call(latch, two.page_a, MPOOL_SHARED));
	succeed(two.b.call(latch, two.page_b, MPOOL_SHARED));
	succeed(two.b.call(unlatch, two.page_b));
	REQUIRE_ANSWER_FAILS(two.b.call(latch, two.page_b, exclusive_try), EBUSY);
	two.b.tell(latch, two.page_b, MPOOL_EXCLUSIVE);
	CHECK(!two.b.answers(20));
	succeed(two.a.call(unlatch, two.page_a));
	succeed(two.b.hear());
	REQUIRE_ANSWER_FAILS(two.a.call(latch, two.page_a, shared_try), EBUSY);
	succeed(two.b.call(unlatch, two.page_b));
}

TEST_CASE("a page latched by one process stays while the other needs frames")
{
	Two two(4);
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	succeed(two.a.call(latch, two.page_a, mode));
	two.a.fill(two.page_a, 0, 1);
	two.a.put(two.page_a);
	two.b.put(two.page_b);
	two.b.touch(1, 60);
	two.b.touch(1, 60);
	CHECK(two.a.is(two.page_a, 0, 1));
	succeed(two.a.call(unlatch, two.page_a, MPOOL_DIRTY));
	two.b.touch(1, 60);
	two.b.touch(1, 60);
	CHECK(two.b.shows(0, 1));
}

TEST_CASE("a process that dies leaves its latches to nobody")
{
	Two two;
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	bool kept = GENERATE(false, true), waits = GENERATE(false, true), elsewhere = GENERATE(false, true);
	if (elsewhere)
		succeed(two.a.call(latch_elsewhere, 0, mode));
	else
		succeed(two.a.call(latch, two.page_a, mode));
	if (kept)
		two.a.put(two.page_a);
	if (waits) {
		two.b.tell(latch, two.page_b, MPOOL_EXCLUSIVE);
		CHECK(!two.b.answers(5));
	}
	two.a.kill();
	if (!waits)
		two.b.tell(latch, two.page_b, MPOOL_EXCLUSIVE);
	succeed(two.b.hear());
	bool pinned = !kept || elsewhere;
	CHECK(two.b.abandoned(two.page_b, MPOOL_FORGIVE) == (pinned || mode == MPOOL_EXCLUSIVE));
	succeed(two.b.call(unlatch, two.page_b));
	succeed(two.b.call(latch, two.page_b, MPOOL_SHARED));
	succeed(two.b.call(unlatch, two.page_b));
}

TEST_CASE("a process that dies while it waits for a latch has left nothing half-modified")
{
	Two two;
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	succeed(two.a.call(tune, MPOOL_LATCHED, 1));
	succeed(two.a.call(latch, two.page_a, mode));
	two.b.tell(latch, two.page_b, MPOOL_EXCLUSIVE);
	CHECK(!two.b.answers(20));
	two.b.kill();
	succeed(two.a.call(unlatch, two.page_a));
	succeed(two.a.call(latch, two.page_a, MPOOL_EXCLUSIVE));
	REQUIRE(comes([&] { return two.a.stats().deaths == 1; }));
	CHECK(two.a.abandoned(two.page_a) == 0);
	succeed(two.a.call(unlatch, two.page_a));
}

TEST_CASE("with MPOOL_LATCHED a pin is no sign of a modification")
{
	Two two;
	bool latched_only = GENERATE(false, true);
	uint64_t own = two.a.get(1), other = two.b.get(1);
	succeed(two.b.call(tune, MPOOL_LATCHED, latched_only));
	CHECK(two.a.call(tuned, MPOOL_LATCHED).value == latched_only);
	succeed(two.a.call(latch, own, MPOOL_EXCLUSIVE));
	two.a.kill();
	succeed(two.b.call(latch, other, MPOOL_EXCLUSIVE));
	CHECK(two.b.abandoned(other) == 1);
	CHECK(two.b.abandoned(two.page_b) == !latched_only);
	succeed(two.b.call(unlatch, other));
}

TEST_CASE("a process that closes the pool leaves its latches to nobody")
{
	Two two;
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	succeed(two.a.call(latch, two.page_a, mode));
	two.b.tell(latch, two.page_b, MPOOL_EXCLUSIVE);
	CHECK(!two.b.answers(5));
	two.a.close();
	succeed(two.b.hear());
	CHECK(two.b.abandoned(two.page_b) == 0);
	succeed(two.b.call(unlatch, two.page_b));
}

TEST_CASE("a pool that grows has latches for its new frames")
{
	Two two(2);
	succeed(two.a.call(latch, two.page_a, MPOOL_EXCLUSIVE));
	Member c(two.key, two.file.fd(), page_size, 30);
	std::vector<uint64_t> page;
	for (pgno_t i = 1; i < 40; i++) {
		page.push_back(c.get(i));
		succeed(c.call(latch, page.back(), i % 2 ? MPOOL_EXCLUSIVE : MPOOL_SHARED));
	}
	for (uint64_t p : page) {
		succeed(c.call(unlatch, p));
		c.put(p);
	}
	succeed(two.a.call(unlatch, two.page_a));
}

TEST_CASE("processes change a page by its latch, and lose nothing")
{
	Two two(3);
	const uint64_t rounds = shrink(4000);
	two.a.put(two.page_a);
	two.b.put(two.page_b);
	// Zeros, which a file's pages are not.
	pgno_t pgno;
	uint64_t page = two.a.make(pgno);
	two.a.put(page, MPOOL_DIRTY);
	Member c(two.key, two.file.fd(), page_size, 3);
	two.a.tell(add, pgno, rounds);
	two.b.tell(add, pgno, rounds);
	c.touch(0, 60); // it may be evicted now and then
	succeed(two.a.hear());
	succeed(two.b.hear());
	CHECK(c.call(sum, pgno).value == static_cast<int64_t>(2 * (rounds - (rounds + 3) / 4)));
}
