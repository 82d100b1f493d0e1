// test_filter.cpp - mpool_filter: pages are in the file's form in the file and
// in the memory's form in memory, and no reader ever sees anything else.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

using namespace test;

namespace {

constexpr size_t page_size = 256;

// A cipher that is its own inverse, other for each page.
void cipher(pgno_t pgno, void *page)
{
	unsigned char *p = static_cast<unsigned char *>(page);
	for (size_t i = 0; i < page_size; i++)
		p[i] ^= static_cast<unsigned char>(0xa5 + pgno + 7 * i);
}

// The cookie: what the filters were given.
struct Seen {
	std::atomic<unsigned> in{0}, out{0};
	std::atomic<void *> last_out{nullptr};
	std::atomic<pgno_t> last_pgno{MAX_PAGE_NUMBER};
};

void pgin(void *cookie, pgno_t pgno, void *page)
{
	Seen *seen = static_cast<Seen *>(cookie);
	seen->in++;
	seen->last_pgno = pgno;
	cipher(pgno, page);
}

void pgout(void *cookie, pgno_t pgno, void *page)
{
	Seen *seen = static_cast<Seen *>(cookie);
	seen->out++;
	seen->last_out = page;
	seen->last_pgno = pgno;
	cipher(pgno, page);
}

// The page as the file holds it, deciphered.
bool file_holds(const File &file, pgno_t pgno, uint64_t version)
{
	std::vector<char> page = file.read_page(pgno);
	if (page.size() != page_size)
		return false;
	cipher(pgno, page.data());
	return is(page.data(), page_size, pgno, version);
}

// A file whose pages are all ciphered.
void cipher_file(const File &file, pgno_t pages)
{
	for (pgno_t i = 0; i < pages; i++) {
		char page[page_size];
		fill(page, page_size, i, 0);
		cipher(i, page);
		REQUIRE(pwrite(file.fd(), page, page_size, i * page_size) == page_size);
	}
}

// A pool with both filters, of a file whose first pages are ciphered.
struct CipheredPool : Pool {
	CipheredPool(const File &file, pgno_t pages, pgno_t maxcache, Seen &seen)
	    : Pool(file.fd(), ::page_size, maxcache)
	{
		cipher_file(file, pages);
		mpool_filter(*this, pgin, pgout, &seen);
	}
};

} // namespace

TEST_CASE("pages go through pgin after each read and through pgout before each write")
{
	const pgno_t pages = 30;
	const pgno_t maxcache = GENERATE(1u, 4u, 100u);
	File file(page_size, pages);
	Seen seen;
	CipheredPool pool(file, pages, maxcache, seen);
	for (unsigned n = 0; n < 3; n++)
		for (pgno_t i = 0; i < pages; i++)
			REQUIRE(pool.shows(i, 0));
	CHECK(seen.in == pool.stats().reads);
	CHECK(seen.out == 0);
	for (pgno_t i = 0; i < pages; i += 2)
		pool.modify(i, 1);
	pool.sync();
	CHECK(seen.out == pool.stats().writes);
	CHECK(seen.out >= pages / 2);
	for (pgno_t i = 0; i < pages; i++) {
		REQUIRE(file_holds(file, i, i % 2 == 0));
		// Memory has its own form after the sync too.
		REQUIRE(pool.shows(i, i % 2 == 0));
	}
	CHECK(seen.in == pool.stats().reads);
}

TEST_CASE("filters get the cookie and the number of the page")
{
	File file(page_size, 30);
	Seen seen;
	CipheredPool pool(file, 30, 2, seen);
	for (pgno_t i : {7u, 29u, 0u, 13u}) {
		unsigned in = seen.in;
		REQUIRE(pool.shows(i, 0));
		REQUIRE(seen.in == in + 1);
		REQUIRE(seen.last_pgno == i);
		pool.modify(i, 1);
		unsigned out = seen.out;
		pool.sync();
		REQUIRE(seen.out == out + 1);
		REQUIRE(seen.last_pgno == i);
	}
}

TEST_CASE("pgout works on a copy, never on the page that readers see")
{
	File file(page_size, 10);
	Seen seen;
	CipheredPool pool(file, 10, 4, seen);
	SECTION("of a page that is pinned")
	{
		pool.modify(3, 1);
		void *page = pool.get(3);
		pool.sync();
		CHECK(seen.last_out != page);
		CHECK(is(page, page_size, 3, 1));
		pool.put(page);
	}
	SECTION("of a page that is not")
	{
		void *page = pool.get(3);
		fill(page, page_size, 3, 1);
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		CHECK(seen.last_out != page);
		REQUIRE(pool.get(3) == page);
		CHECK(is(page, page_size, 3, 1));
		pool.put(page);
	}
	CHECK(seen.out == 1);
	CHECK(file_holds(file, 3, 1));
}

TEST_CASE("either filter may be missing")
{
	File file(page_size, 10);
	Seen seen;
	SECTION("pgin alone")
	{
		cipher_file(file, 10);
		Pool pool(file.fd(), page_size, 2);
		mpool_filter(pool, pgin, nullptr, &seen);
		REQUIRE(pool.shows(3, 0));
		pool.modify(3, 1);
		pool.sync();
		CHECK(file.holds(3, 1));
		CHECK(seen.out == 0);
	}
	SECTION("pgout alone")
	{
		Pool pool(file.fd(), page_size, 2);
		mpool_filter(pool, nullptr, pgout, &seen);
		REQUIRE(pool.shows(3, 0));
		pool.modify(3, 1);
		pool.sync();
		CHECK(file_holds(file, 3, 1));
		CHECK(pool.shows(3, 1));
		CHECK(seen.in == 0);
	}
	SECTION("both")
	{
		Pool pool(file.fd(), page_size, 2);
		mpool_filter(pool, pgin, pgout, &seen);
		mpool_filter(pool, nullptr, nullptr, nullptr);
		pool.modify(3, 1);
		pool.sync();
		CHECK(file.holds(3, 1));
		CHECK(seen.in + seen.out == 0);
	}
}

TEST_CASE("a new page is zeros in a pool with filters, and is ciphered in the file")
{
	File file(page_size, 10, 100);
	Seen seen;
	CipheredPool pool(file, 10, 2, seen);
	pgno_t pgno;
	void *page = pool.make(pgno);
	REQUIRE(pgno == 10);
	REQUIRE(all_bytes(page, page_size, 0));
	fill(page, page_size, 10, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	CHECK(file_holds(file, 10, 1));
	pool.crowd_out(0);
	CHECK(pool.shows(10, 1));
}

TEST_CASE("a page that was never written reads as zeros in a pool with filters too")
{
	File file(page_size, 10, 100);
	Seen seen;
	CipheredPool pool(file, 10, 2, seen);
	pgno_t pgno;
	for (int i = 0; i < 3; i++)
		pool.put(pool.make(pgno));
	REQUIRE(pgno == 12);
	pool.crowd_out(0);
	for (pgno_t i = 10; i < 13; i++)
		REQUIRE(pool.shows_bytes(i, 0));

	// Also when a page behind it was written, and the file has a hole there.
	void *page = pool.make(pgno);
	REQUIRE(pgno == 13);
	fill(page, page_size, 13, 1);
	pool.put(page, MPOOL_DIRTY);
	pool.sync();
	pool.crowd_out(0);
	for (pgno_t i = 10; i < 13; i++) {
		CAPTURE(i);
		CHECK(pool.shows_bytes(i, 0));
	}
	CHECK(pool.shows(13, 1));
}

TEST_CASE("each page that comes in goes through pgin, also one that was never written")
{
	File file(page_size, 3, 100); // with a tail that is no page
	Seen seen;
	CipheredPool pool(file, 3, 2, seen);
	pgno_t pgno = 9;
	void *page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
	REQUIRE(page);
	REQUIRE(pgno == 9);
	CHECK(all_bytes(page, page_size, 0));
	fill(page, page_size, 9, 1);
	std::vector<char> ciphered(page_size);
	auto shows_ciphered_zeros = [&](pgno_t n) {
		std::fill(ciphered.begin(), ciphered.end(), 0);
		cipher(n, ciphered.data());
		unsigned in = seen.in;
		void *p = pool.get(n);
		bool right = memcmp(p, ciphered.data(), page_size) == 0 && seen.in == in + 1 && seen.last_pgno == n;
		pool.put(p);
		return right;
	};
	// Before and after a page behind them is written; each is crowded out by the next.
	for (bool written : {false, true}) {
		CAPTURE(written);
		if (written) {
			pool.put(page, MPOOL_DIRTY);
			pool.sync();
		}
		for (pgno_t n : {3u, 4u, 8u}) {
			CAPTURE(n);
			CHECK(shows_ciphered_zeros(n));
			pool.crowd_out(0);
		}
	}
	CHECK(seen.out == 1);
	CHECK(pool.shows(9, 1));
}

TEST_CASE("pgin does not run on a page that is made, wherever it is")
{
	File file(page_size, 3);
	Seen seen;
	CipheredPool pool(file, 3, 10, seen);
	// Before the file's end, behind it, and then in a hole of the file.
	for (pgno_t n : {1u, 9u, 5u}) {
		CAPTURE(n);
		pgno_t pgno = n;
		void *page = mpool_new(pool, &pgno, MPOOL_PAGE_REQUEST);
		REQUIRE(page);
		CHECK(all_bytes(page, page_size, 0));
		fill(page, page_size, n, 1);
		pool.put(page, MPOOL_DIRTY);
		pool.sync();
		CHECK(file_holds(file, n, 1));
	}
	CHECK(seen.in == 0);
}
