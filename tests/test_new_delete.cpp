// test_new_delete.cpp - mpool_new and mpool_delete: numbers that no other call
// gets, zeros and never another page's bytes, the end of the numbers, requested
// pages, and pages forgotten.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

using namespace test;

TEST_CASE("new pages have consecutive numbers from the end of the file")
{
	File file(512, 7);
	Pool pool(file.fd(), 512, 3);
	for (pgno_t expected = 7; expected < 60; expected++) {
		pgno_t pgno = 12345;
		void *page = pool.make(pgno);
		REQUIRE(pgno == expected);
		REQUIRE(pool.stats().pages == expected + 1);
		pool.put(page, expected % 2 ? MPOOL_DIRTY : 0);
	}
}

TEST_CASE("a new page is pinned, and is filled with zeros even where other pages were")
{
	File file(512, 50);
	Pool pool(file.fd(), 512, 3);
	for (int n = 0; n < 50; n++) {
		for (pgno_t i = 0; i < 50; i++) {
			void *page = pool.get(i);
			memset(page, 0xff, 512);
			pool.put(page);
		}
		pgno_t pgno;
		void *page = pool.make(pgno);
		REQUIRE(all_bytes(page, 512, 0));
		CHECK(pool.stats().pinned == 1);
		memset(page, 0xff, 512);
		pool.put(page, n % 2 ? MPOOL_DIRTY : 0);
		REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	}
}

TEST_CASE("a page that was never written reads as zeros, also after it left memory")
{
	File file(512, 30);
	Pool pool(file.fd(), 512, 2);
	pgno_t pgno;
	for (int n = 0; n < 10; n++) {
		void *page = pool.make(pgno);
		memset(page, 0xff, 512); // and not put dirty: never written
		pool.put(page);
	}
	pool.crowd_out(0);
	for (pgno_t i = 30; i < 40; i++)
		REQUIRE(pool.shows_bytes(i, 0));
	CHECK(file.length() == 30 * 512);

	// Also when a page behind it was written.
	void *page = pool.make(pgno);
	REQUIRE(pgno == 40);
	fill(page, 512, 40, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	pool.crowd_out(0);
	for (pgno_t i = 30; i < 40; i++)
		REQUIRE(pool.shows_bytes(i, 0));
	CHECK(pool.shows(40, 1));
	CHECK(file.length() == 41 * 512);
}

TEST_CASE("a page in the place of a partial tail reads as zeros until it is written")
{
	File file(1000, 20, 700);
	Pool pool(file.fd(), 1000, 2);
	pgno_t pgno;
	void *page = pool.make(pgno);
	REQUIRE(pgno == 20);
	REQUIRE(all_bytes(page, 1000, 0));
	pool.put(page);
	pool.crowd_out(0);
	REQUIRE(pool.shows_bytes(20, 0));

	SECTION("also when a page behind it was written")
	{
		page = pool.make(pgno);
		REQUIRE(pgno == 21);
		fill(page, 1000, 21, 1);
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		pool.crowd_out(0);
		CHECK(pool.shows_bytes(20, 0));
		CHECK(pool.shows(21, 1));
	}
	SECTION("and is what was written then")
	{
		pool.modify(20, 1);
		pool.sync();
		pool.crowd_out(0);
		CHECK(pool.shows(20, 1));
		CHECK(file.holds(20, 1));
		CHECK(file.length() == 21 * 1000);
	}
	SECTION("and is zeros in the file when it is put dirty untouched")
	{
		pool.put(pool.get(20), MPOOL_DIRTY);
		pool.sync();
		CHECK(file.holds_bytes(20, 0));
	}
}

TEST_CASE("the file grows when a new page is put dirty and written, not before")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 8);
	pgno_t pgno;
	void *plain = pool.make(pgno);
	void *dirty = pool.make(pgno);
	REQUIRE(pgno == 5);
	pool.sync();
	CHECK(file.length() == 4 * 512);
	pool.put(plain);
	fill(dirty, 512, 5, 3);
	pool.put(dirty, MPOOL_DIRTY);
	CHECK(file.length() == 4 * 512);
	pool.sync();
	CHECK(file.length() == 6 * 512);
	CHECK(file.holds_bytes(4, 0));
	CHECK(file.holds(5, 3));
}

TEST_CASE("when the page numbers run out mpool_new fails with EFBIG, again and again")
{
	const bool one_left = GENERATE(false, true);
	File file(1);
	file.truncate(one_left ? 0xfffffffe : 0xffffffff);
	Pool pool(file.fd(), 1, 10);
	pgno_t pgno = 0;
	if (one_left) {
		char *page = static_cast<char *>(pool.make(pgno));
		CHECK(pgno == 0xfffffffe);
		*page = 'x';
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		CHECK(file.length() == 0xffffffff);
	}
	for (int i = 0; i < 1000; i++)
		REQUIRE_NULL((mpool_new)(pool, &pgno), EFBIG);
	for (int i = 0; i < 10; i++)
		REQUIRE_NULL(mpool_new_flags(pool, &pgno, MPOOL_PAGE_NEXT), EFBIG);
	CHECK(pool.stats().pages == 0xffffffff);
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.shows_bytes(0xfffffffe, one_left ? 'x' : 0));
	REQUIRE_NULL(mpool_get(pool, 0xffffffff, 0), EINVAL);
	pgno = MAX_PAGE_NUMBER;
	REQUIRE_NULL(mpool_new_flags(pool, &pgno, MPOOL_PAGE_REQUEST), EINVAL);
}

TEST_CASE("mpool_new with MPOOL_PAGE_NEXT is the two-argument call")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 2);
	for (pgno_t expected = 4; expected < 10; expected++) {
		pgno_t pgno = 0;
		void *page = mpool_new(pool, &pgno, MPOOL_PAGE_NEXT);
		REQUIRE(page != nullptr);
		REQUIRE(pgno == expected);
		REQUIRE(all_bytes(page, 512, 0));
		pool.put(page);
	}
}

TEST_CASE("MPOOL_PAGE_REQUEST makes the page afresh, whatever the file holds")
{
	File file(512, 30);
	Pool pool(file.fd(), 512, 3);
	pgno_t pgno = 9;
	void *page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
	REQUIRE(page != nullptr);
	CHECK(pgno == 9);
	CHECK(all_bytes(page, 512, 0));
	REQUIRE(pool.get(9) == page);
	pool.put(page);
	CHECK(pool.stats().pages == 30);
	pool.put(page, MPOOL_DIRTY);
	pool.crowd_out(10);
	CHECK(pool.shows_bytes(9, 0));
	pool.sync();
	CHECK(file.holds_bytes(9, 0));
	CHECK(file.holds(8, 0));
	CHECK(file.holds(10, 0));
}

TEST_CASE("MPOOL_PAGE_REQUEST of a page that is in the pool fails with EEXIST")
{
	File file(512, 30);
	Pool pool(file.fd(), 512, 8);
	pgno_t pgno = 3;
	void *page = pool.get(3);
	REQUIRE_NULL(mpool_new_flags(pool, &pgno, MPOOL_PAGE_REQUEST), EEXIST);
	CHECK(is(page, 512, 3, 0));
	fill(page, 512, 3, 1);
	pool.put(page, MPOOL_DIRTY);
	// The frame that a call has taken is free again, however often.
	for (unsigned i = 0; i < 20; i++)
		REQUIRE_NULL(mpool_new_flags(pool, &pgno, MPOOL_PAGE_REQUEST), EEXIST);
	CHECK(pool.stats().overflow == 0);
	CHECK(pgno == 3);
	CHECK(pool.shows(3, 1));
	page = pool.make(pgno);
	REQUIRE_NULL(mpool_new_flags(pool, &pgno, MPOOL_PAGE_REQUEST), EEXIST);
	pool.put(page);
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("MPOOL_PAGE_REQUEST behind the end makes the pages between, which read as zeros")
{
	File file(512, 10, 300);
	Pool pool(file.fd(), 512, 3);
	pgno_t pgno = 40;
	void *page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
	REQUIRE(page != nullptr);
	CHECK(pgno == 40);
	CHECK(all_bytes(page, 512, 0));
	fill(page, 512, 40, 1);
	pool.put(page, MPOOL_DIRTY);
	CHECK(pool.stats().pages == 41);
	for (pgno_t i = 10; i < 40; i++)
		REQUIRE(pool.shows_bytes(i, 0));
	REQUIRE_NULL(mpool_get(pool, 41, 0), EINVAL);

	page = pool.make(pgno);
	CHECK(pgno == 41);
	pool.put(page);
	pool.sync();
	CHECK(file.holds(40, 1));
	for (pgno_t i = 10; i < 40; i++)
		REQUIRE(pool.shows_bytes(i, 0));
}

TEST_CASE("the highest page number can be requested")
{
	File file(1, 3);
	Pool pool(file.fd(), 1, 3);
	pgno_t pgno = 0xfffffffe;
	void *page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
	REQUIRE(page != nullptr);
	pool.put(page);
	CHECK(pool.stats().pages == 0xffffffff);
	REQUIRE_NULL((mpool_new)(pool, &pgno), EFBIG);
	CHECK(pool.shows_bytes(0xfffffffd, 0));
}

TEST_CASE("mpool_new takes any flag but MPOOL_PAGE_REQUEST for MPOOL_PAGE_NEXT")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	pgno_t next = 10;
	for (unsigned flags : {0u, 2u, 3u, 4u, 0x80000000u, 0xffffffffu}) {
		pgno_t pgno = 20;
		void *page = mpool_new_flags(pool, &pgno, flags);
		REQUIRE(page);
		CHECK(pgno == next++);
		pool.put(page);
	}
}

TEST_CASE("mpool_new refuses the number that no page has with EINVAL")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	pgno_t pgno = MAX_PAGE_NUMBER;
	REQUIRE_NULL(mpool_new_flags(pool, &pgno, MPOOL_PAGE_REQUEST), EINVAL);
	CHECK(pool.stats().pages == 10);
	CHECK(pool.stats().pinned == 0);
	pool.put(pool.make(pgno));
	CHECK(pgno == 10);
}

TEST_CASE("mpool_delete forgets a page without writing it")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 8);
	void *page = pool.get(3);
	fill(page, 512, 3, 1);
	pool.put(page, MPOOL_DIRTY);
	REQUIRE(pool.get(3) == page);
	REQUIRE(mpool_delete(pool, page) == 0);
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.stats().cached == 0);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	REQUIRE_FAILS(mpool_delete(pool, page), EINVAL);
	pool.sync();
	CHECK(pool.stats().writes == 0);
	CHECK(file.holds(3, 0));
	CHECK(pool.shows(3, 0));
}

TEST_CASE("mpool_delete leaves the page number used")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	pgno_t pgno;
	void *page = pool.make(pgno);
	REQUIRE(pgno == 10);
	memset(page, 0xff, 512);
	REQUIRE(mpool_delete(pool, page) == 0);
	CHECK(pool.stats().pages == 11);
	page = pool.make(pgno);
	CHECK(pgno == 11);
	CHECK(all_bytes(page, 512, 0));
	pool.put(page, MPOOL_DIRTY);
	CHECK(pool.shows_bytes(10, 0));
	pgno = 10;
	page = pool.get(10);
	REQUIRE(mpool_delete(pool, page) == 0);
	page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
	REQUIRE(page != nullptr);
	pool.put(page);
}

TEST_CASE("mpool_delete of a page pinned more than once fails with EBUSY and keeps every pin")
{
	File file(512, 30);
	Pool pool(file.fd(), 512, 2);
	void *page = pool.get(3);
	REQUIRE(pool.get(3) == page);
	fill(page, 512, 3, 1);
	REQUIRE_FAILS(mpool_delete(pool, page), EBUSY);
	CHECK(pool.stats().pinned == 1);
	pool.crowd_out(4);
	CHECK(is(page, 512, 3, 1));
	pool.put(page, MPOOL_DIRTY);

	// A pin of another thread counts too, and so does its put.
	run_threads(1, [&](unsigned) {
		if (mpool_get(pool, 3, 0) != page)
			abort();
	});
	REQUIRE_FAILS(mpool_delete(pool, page), EBUSY);
	run_threads(1, [&](unsigned) {
		if (mpool_put(pool, page, 0) != 0)
			abort();
	});
	REQUIRE(mpool_delete(pool, page) == 0);
	CHECK(pool.shows(3, 0));
}

TEST_CASE("mpool_delete undoes the get of another thread")
{
	File file(512, 30);
	Pool pool(file.fd(), 512, 2);
	void *page = pool.get(3);
	fill(page, 512, 3, 1);
	run_threads(1, [&](unsigned) {
		if (mpool_delete(pool, page) != 0)
			abort();
	});
	CHECK(pool.stats().pinned == 0);
	CHECK(pool.shows(3, 0));
}

TEST_CASE("mpool_delete refuses what is no pinned page of the pool with EINVAL")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 8);
	Pool other(file.fd(), 512, 8);
	char *page = static_cast<char *>(pool.get(1));
	char *foreign = static_cast<char *>(other.get(1));
	char *unpinned = static_cast<char *>(pool.get(2));
	char here[512];
	pool.put(unpinned);
	REQUIRE_FAILS(mpool_delete(pool, nullptr), EINVAL);
	REQUIRE_FAILS(mpool_delete(pool, here), EINVAL);
	REQUIRE_FAILS(mpool_delete(pool, page + 1), EINVAL);
	REQUIRE_FAILS(mpool_delete(pool, page + 64), EINVAL);
	REQUIRE_FAILS(mpool_delete(pool, foreign), EINVAL);
	REQUIRE_FAILS(mpool_delete(pool, unpinned), EINVAL);
	CHECK(pool.stats().pinned == 1);
	CHECK(pool.stats().cached == 2);
	pool.put(page);
	other.put(foreign);
}

TEST_CASE("pages deleted and got by many threads are always whole")
{
	const size_t rounds = shrink(20000);
	File file(256, 16);
	Pool pool(file.fd(), 256, 6);
	Report report;
	std::atomic<unsigned> deleted{0};
	run_threads(4, [&](unsigned t) {
		Random random(t);
		for (size_t n = 0; n < rounds && !report.any(); n++) {
			pgno_t pgno = static_cast<pgno_t>(random.below(16));
			void *page = mpool_get(pool, pgno, 0);
			if (!report.check(page != nullptr, "mpool_get"))
				return;
			report.check(is(page, 256, pgno, 0), "bytes");
			if (random.below(2)) {
				if (mpool_delete(pool, page) == 0) {
					deleted++;
					continue;
				}
				report.check(errno == EBUSY, "mpool_delete");
			}
			report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
		}
	});
	report.require_none();
	CHECK(deleted > 0);
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, 16);
	CHECK(pool.stats().overflow == 0);
}
