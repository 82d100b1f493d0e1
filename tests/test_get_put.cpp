// test_get_put.cpp - mpool_get and mpool_put: one address for a page, every pin
// counted, only pinned pages put, bytes that stay while they are pinned, pages
// reported as missing or cut off, and MPOOL_IGNOREPIN.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <set>

using namespace test;

TEST_CASE("a page has one address while it is pinned")
{
	File file(256, 30);
	Pool pool(file.fd(), 256, 4);
	pool.touch(0, 4); // so that page 5 comes in cold, and is tried before others
	void *first = pool.get(5);
	for (int i = 0; i < 20; i++)
		REQUIRE(pool.get(5) == first);
	run_threads(4, [&](unsigned) {
		void *page = mpool_get(pool, 5, 0);
		if (page != first || mpool_put(pool, page, 0) != 0)
			abort();
	});
	pool.crowd_out(6);
	REQUIRE(pool.get(5) == first);
	CHECK(pool.stats().reads == 9);
	for (int i = 0; i < 22; i++)
		pool.put(first);
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("a page number that is not below the number of pages is refused with EINVAL")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 4);
	for (pgno_t pgno : {10u, 11u, 1000u, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu})
		REQUIRE_NULL(mpool_get(pool, pgno, 0), EINVAL);
	CHECK(pool.stats().cached == 0);
	CHECK(pool.stats().reads == 0);
	pgno_t pgno;
	void *page = pool.make(pgno);
	REQUIRE(pgno == 10);
	REQUIRE(pool.get(10) == page);
	REQUIRE_NULL(mpool_get(pool, 11, 0), EINVAL);
	pool.put(page);
	pool.put(page);
}

TEST_CASE("mpool_get ignores unknown flags")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 2);
	for (unsigned flags : {0x02u, 0x80u, 0x80000000u, 0xfffffffeu}) {
		void *page = pool.get(3, flags);
		REQUIRE(is(page, 512, 3, 0));
		CHECK(pool.stats().pinned == 1);
		pool.put(page);
		REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	}
}

TEST_CASE("two gets need two puts")
{
	File file(512, 50);
	Pool pool(file.fd(), 512, 2);
	void *page = pool.get(0);
	REQUIRE(pool.get(0) == page);
	pool.put(page);
	// Still pinned: others cannot push it out.
	CHECK(pool.stats().pinned == 1);
	pool.crowd_out(1);
	CHECK(is(page, 512, 0, 0));
	uint64_t reads = pool.stats().reads;
	REQUIRE(pool.get(0) == page);
	CHECK(pool.stats().reads == reads);
	pool.put(page);
	pool.put(page);
	CHECK(pool.stats().pinned == 0);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
}

TEST_CASE("every one of very many pins of a page is counted")
{
	const unsigned pins = 100000;
	File file(64, 10);
	Pool pool(file.fd(), 64, 2);
	void *page = pool.get(0);
	for (unsigned i = 1; i < pins; i++)
		REQUIRE(mpool_get(pool, 0, 0) == page);
	for (unsigned i = 1; i < pins; i++)
		REQUIRE(mpool_put(pool, page, 0) == 0);
	CHECK(pool.stats().pinned == 1);
	pool.crowd_out(1);
	CHECK(is(page, 64, 0, 0));
	pool.put(page);
	CHECK(pool.stats().pinned == 0);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
}

TEST_CASE("mpool_put refuses what is no pinned page of the pool with EINVAL, and changes nothing")
{
	const pgno_t size = 512;
	File file(size, 20);
	File other_file(size, 20);
	Pool pool(file.fd(), size, 8);
	Pool other(other_file.fd(), size, 8);
	char *pinned = static_cast<char *>(pool.get(0));
	char *foreign = static_cast<char *>(other.get(0));
	char *unpinned = static_cast<char *>(pool.get(1));
	pool.put(unpinned);
	std::vector<char> heap(4 * size);
	char stack[size] = {};

	auto refuses = [&](void *wrong) {
		for (unsigned flags : {0u, unsigned{MPOOL_DIRTY}}) {
			struct mpool_stats before = pool.stats();
			REQUIRE_FAILS(mpool_put(pool, wrong, flags), EINVAL);
			struct mpool_stats after = pool.stats();
			REQUIRE(after.pinned == before.pinned);
			REQUIRE(after.dirty == 0);
			REQUIRE(after.cached == before.cached);
		}
	};
	SECTION("NULL and addresses that are nothing's")
	{
		refuses(nullptr);
		refuses(reinterpret_cast<void *>(uintptr_t{1}));
		refuses(reinterpret_cast<void *>(uintptr_t{0xdead0000}));
		refuses(reinterpret_cast<void *>(UINTPTR_MAX));
		refuses(reinterpret_cast<void *>(UINTPTR_MAX / 2 + 1));
	}
	SECTION("other memory")
	{
		refuses(stack);
		refuses(heap.data());
		static char data[size];
		refuses(data);
		MPOOL *itself = pool;
		refuses(itself);
	}
	SECTION("addresses inside a pinned page, and near it")
	{
		for (size_t at : {size_t{1}, size_t{8}, size_t{64}, size_t{size / 2}, size_t{size - 1}})
			refuses(pinned + at);
		refuses(pinned - 1);
		refuses(pinned - size);
		refuses(pinned + 2 * size);
		for (size_t i = 0; i < 20; i++)
			refuses(pinned + (i + 1) * 100 * size);
	}
	SECTION("another pool's page")
	{
		refuses(foreign);
	}
	SECTION("a cached page that is not pinned")
	{
		refuses(unpinned);
	}
	SECTION("a page that left memory")
	{
		pool.crowd_out(2);
		refuses(unpinned);
	}
	// The one pin is still there, and is one.
	CHECK(is(pinned, size, 0, 0));
	pool.put(pinned);
	refuses(pinned);
	CHECK(is(foreign, size, 0, 0));
	other.put(foreign);
	pool.sync();
	CHECK(pool.stats().writes == 0);
}

TEST_CASE("mpool_put refuses what is near the pages beyond maxcache, and changes nothing")
{
	const pgno_t size = 64, pages = 200;
	File file(size);
	file.truncate(size * pages);
	Pool pool(file.fd(), size, 1);
	std::set<char *> pinned;
	for (pgno_t i = 0; i < pages; i++)
		pinned.insert(static_cast<char *>(pool.get(i)));
	REQUIRE(pool.stats().overflow == pages - 1);
	for (char *page : pinned)
		// As far as the memory beside a segment's pages reaches, and into them.
		for (ptrdiff_t away :
			{ptrdiff_t{-16}, ptrdiff_t{16}, ptrdiff_t{size}, ptrdiff_t{size * 2}, ptrdiff_t{size * 8}})
			if (!pinned.count(page + away))
				REQUIRE_FAILS(mpool_put(pool, page + away, 0), EINVAL);
	CHECK(pool.stats().pinned == pages);
	for (char *page : pinned)
		pool.put(page);
}

TEST_CASE("a second put of a page fails while others are pinned, and takes nobody's pin")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 2);
	void *a = pool.get(0), *b = pool.get(1), *c = pool.get(2);
	pool.put(b);
	REQUIRE_FAILS(mpool_put(pool, b, MPOOL_DIRTY), EINVAL);
	REQUIRE_FAILS(mpool_put(pool, b, 0), EINVAL);
	CHECK(pool.stats().pinned == 2);
	pool.crowd_out(3);
	CHECK(is(a, 512, 0, 0));
	CHECK(is(c, 512, 2, 0));
	pool.put(a);
	pool.put(c);
	CHECK(pool.stats().pinned == 0);
}

TEST_CASE("MPOOL_DIRTY gets a page written, a plain put does not")
{
	File file(512, 40);
	Pool pool(file.fd(), 512, 4);
	for (pgno_t i = 0; i < 10; i++) {
		void *page = pool.get(i);
		fill(page, 512, i, 1);
		pool.put(page, i % 2 ? MPOOL_DIRTY : 0);
	}
	SECTION("by eviction")
	{
		pool.crowd_out(20);
	}
	SECTION("by sync")
	{
		pool.sync();
	}
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < 10; i++)
		CHECK(file.holds(i, i % 2));
	CHECK(pool.stats().writes == 5);
}

TEST_CASE("a page stays modified when it is put plainly later, or by one who only read it")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	pool.modify(0, 1);
	pool.put(pool.get(0));
	void *page = pool.get(1);
	REQUIRE(pool.get(1) == page);
	fill(page, 512, 1, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.put(page);
	CHECK(pool.stats().dirty == 2);
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	CHECK(file.holds(0, 1));
	CHECK(file.holds(1, 1));
}

TEST_CASE("pinned pages keep their address and bytes while others come and go")
{
	const size_t cycles = shrink(200);
	File file(512, 300);
	Pool pool(file.fd(), 512, 20);
	std::vector<void *> pages;
	for (pgno_t i = 0; i < 15; i++)
		pages.push_back(pool.get(i));
	for (size_t n = 0; n < cycles; n++) {
		pool.touch(15, 300);
		pool.crowd_out(15);
		for (pgno_t i = 0; i < 15; i++)
			REQUIRE(is(pages[i], 512, i, 0));
	}
	for (pgno_t i = 0; i < 15; i++)
		REQUIRE(pool.get(i) == pages[i]);
	for (void *page : pages) {
		pool.put(page);
		pool.put(page);
	}
}

TEST_CASE("pages in use all the time stay, and the pool does not grow, while many others come and go")
{
	const pgno_t maxcache = 1024, used = 16, others = 6 * maxcache;
	File file(64);
	file.truncate(64 * (used + others));
	Pool pool(file.fd(), 64, maxcache);
	for (pgno_t i = 0; i < others; i++) {
		pool.touch(0, used);
		pool.touch(used + i, used + i + 1);
	}
	struct mpool_stats st = pool.stats();
	CHECK(st.misses == used + others); // each page was read once
	CHECK(st.overflow == 0);
	CHECK(st.cached == maxcache);
}

TEST_CASE("a file cut short underneath gives EIO until it is restored")
{
	File file(1000, 20);
	Pool pool(file.fd(), 1000, 8);
	void *page = pool.get(0);
	SECTION("to nothing")
	{
		file.truncate(0);
	}
	SECTION("to a part of the page")
	{
		file.truncate(10 * 1000 + 999);
	}
	for (int i = 0; i < 100; i++)
		REQUIRE_NULL(mpool_get(pool, 10, 0), EIO);
	CHECK(pool.stats().cached == 1);
	CHECK(pool.stats().pinned == 1);
	// What is in memory is still there.
	CHECK(is(page, 1000, 0, 0));
	REQUIRE(pool.get(0) == page);
	for (pgno_t i = 0; i < 20; i++)
		file.write_page(i, 7);
	CHECK(pool.shows(10, 7));
	pool.put(page);
	pool.put(page);
}

TEST_CASE("a descriptor that cannot be read gives mpool_get its error")
{
	File file(512, 4);
	Fd fd = file.reopen(O_WRONLY);
	Pool pool(fd, 512, 4);
	for (int i = 0; i < 10; i++)
		REQUIRE_NULL(mpool_get(pool, 1, 0), EBADF);
	CHECK(pool.stats().cached == 0);
	pgno_t pgno;
	pool.put(pool.make(pgno), MPOOL_DIRTY);
	pool.sync();
	CHECK(file.holds_bytes(4, 0));
}

TEST_CASE("a page got with MPOOL_IGNOREPIN stays until the thread's next call, and needs no put")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 1);
	char *page = static_cast<char *>(pool.get(5, MPOOL_IGNOREPIN));
	REQUIRE(is(page, 512, 5, 0));
	// Others come and go through the only place.
	run_threads(2, [&](unsigned t) {
		for (int n = 0; n < 20; n++)
			for (pgno_t i = 10 + t; i < 60; i += 2) {
				void *other = mpool_get(pool, i, 0);
				if (!other || !is(other, 512, i, 0) || mpool_put(pool, other, 0) != 0)
					abort();
			}
	});
	CHECK(is(page, 512, 5, 0));
	// It is not pinned.
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
	CHECK(pool.stats().pinned == 0);
	for (pgno_t i = 0; i < 100; i++)
		REQUIRE(is(pool.get(i, MPOOL_IGNOREPIN), 512, i, 0));
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, 10);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("MPOOL_IGNOREPIN leaves the pins that a page has")
{
	File file(512, 100);
	Pool pool(file.fd(), 512, 2);
	void *page = pool.get(5);
	REQUIRE(pool.get(5, MPOOL_IGNOREPIN) == page);
	pool.crowd_out(10);
	CHECK(is(page, 512, 5, 0));
	REQUIRE(pool.get(5, MPOOL_IGNOREPIN) == page);
	pool.put(page);
	REQUIRE_FAILS(mpool_put(pool, page, 0), EINVAL);
}

TEST_CASE("a page that a thread got with MPOOL_IGNOREPIN can go when the thread has ended")
{
	File file(512, 200);
	Pool pool(file.fd(), 512, 1);
	pool.touch(199, 200); // a thread that uses its first pool looks for others that are gone: this one is none
	for (unsigned n = 0; n < 50; n++)
		run_threads(1, [&](unsigned) {
			if (!mpool_get(pool, n, MPOOL_IGNOREPIN))
				abort();
		});
	pool.touch(100, 200);
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().cached <= 1);
}

TEST_CASE("what a thread has pinned of two pools in turn is each one's own")
{
	File file(512, 4), other(512, 4);
	Pool pool(file.fd(), 512, 4), second(other.fd(), 512, 4);
	pool.touch(0, 4);
	second.touch(0, 4);
	std::vector<void *> held, held_of_second;
	for (pgno_t i = 0; i < 4; i++) { // all of them hits
		held.push_back(pool.get(i));
		held_of_second.push_back(second.get(i));
		CHECK(pool.stats().pinned == i + 1);
		CHECK(second.stats().pinned == i + 1);
		// The statistics' calls were the last ones on their pools.
		pool.put(pool.get(i));
		second.put(second.get(i));
	}
	for (pgno_t i = 0; i < 4; i++) {
		pool.put(held[i]);
		CHECK(pool.stats().pinned == 3 - i);
		CHECK(second.stats().pinned == 4);
	}
	for (void *page : held_of_second)
		second.put(page);
	CHECK(second.stats().pinned == 0);
}

TEST_CASE("a page that a thread got with MPOOL_IGNOREPIN can go after that thread's next call, a hit")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	pool.touch(0, 4);
	void *peeked = mpool_get(pool, 0, MPOOL_IGNOREPIN);
	REQUIRE(peeked != nullptr);
	void *other = mpool_get(pool, 1, 0);
	REQUIRE(other != nullptr);
	// A page that somebody looks at or pins cannot be deleted.
	run_threads(1, [&](unsigned) {
		void *page = mpool_get(pool, 0, 0);
		if (page != peeked || mpool_delete(pool, page) != 0)
			abort();
	});
	CHECK(mpool_put(pool, other, 0) == 0);
}

TEST_CASE("MPOOL_IGNOREPIN of several threads never shows a page that is going")
{
	const size_t gets = shrink(20000);
	File file(256, 64);
	Pool pool(file.fd(), 256, 3);
	Report report;
	run_threads(4, [&](unsigned t) {
		Random random(t);
		for (size_t n = 0; n < gets && !report.any(); n++) {
			pgno_t pgno = static_cast<pgno_t>(random.below(64));
			void *page = mpool_get(pool, pgno, MPOOL_IGNOREPIN);
			if (report.check(page != nullptr, "mpool_get"))
				report.check(is(page, 256, pgno, 0), "bytes");
		}
	});
	report.require_none();
	CHECK(pool.stats().pinned == 0);
	pool.touch(0, 64);
	CHECK(pool.stats().overflow == 0);
}
