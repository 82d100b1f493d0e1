// test_clean.cpp - room made ahead of need: mpool_clean, MPOOL_CLEANERS; and a device that
// cannot write, or is slow to.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Op;

namespace {

constexpr size_t page_size = 512;

fault::Fate no_writes(const Call &call)
{
	return call.op == Op::write ? fault::error(ENOSPC) : fault::real();
}

ssize_t clean(const Pool &pool, size_t n)
{
	errno = 0;
	ssize_t made = mpool_clean(pool, n);
	INFO("mpool_clean: " << strerror(errno));
	REQUIRE(made >= 0);
	return made;
}

// All of its frames have pages, modified all.
void modify_all(const Pool &pool, pgno_t pages)
{
	for (pgno_t i = 0; i < pages; i++)
		pool.modify(i, 1);
}

} // namespace

// ---- mpool_clean ------------------------------------------------------------

TEST_CASE("mpool_clean makes room, which costs no write later, and the pages stay until it is taken")
{
	const pgno_t frames = GENERATE(4u, 64u, 1000u, 9000u);
	// A page looks for a frame in its own shard first, and not every shard has as many.
	const pgno_t part = frames / 4, taken = frames < 8192 ? part : part / 2;
	CAPTURE(frames);
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	REQUIRE(pool.stats().dirty == frames);
	CHECK(clean(pool, 0) == 0);
	REQUIRE(clean(pool, part) == part);
	CHECK(pool.stats().dirty == frames - part);
	CHECK(pool.stats().cached == frames);
	CHECK(pool.stats().evictions == 0);
	CHECK(pool.stats().cleaned == part);
	fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
	pool.touch(frames, frames + taken);
	CHECK(script.writes() == 0);
	CHECK(pool.stats().evictions == taken);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(pool.shows(i, 1));
}

TEST_CASE("a page that mpool_clean made evictable is in memory, and stays if it is got")
{
	const pgno_t frames = 200;
	File file(page_size, 3 * frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	for (unsigned round = 0; round < 3; round++) {
		CAPTURE(round);
		REQUIRE(clean(pool, frames) == frames);
		CHECK(pool.stats().dirty == 0);
		CHECK(clean(pool, frames) == 0); // they are evictable
		uint64_t rescues = pool.stats().rescues, reads = pool.stats().reads;
		for (pgno_t i = 0; i < frames; i++)
			REQUIRE(pool.shows(i, 1));
		CHECK(pool.stats().rescues == rescues + frames);
		CHECK(pool.stats().reads == reads);
		if (round == 1)
			modify_all(pool, frames);
	}
	pool.crowd_out(frames);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("mpool_clean leaves what is pinned, and says how much it made")
{
	const pgno_t frames = 100, pinned = 60;
	File file(page_size, frames);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	std::vector<void *> held;
	for (pgno_t i = 0; i < pinned; i++)
		held.push_back(pool.get(i));
	CHECK(clean(pool, SIZE_MAX) == frames - pinned);
	CHECK(pool.stats().dirty == pinned);
	CHECK(clean(pool, 1) == 0);
	for (void *page : held)
		pool.put(page);
	CHECK(clean(pool, 10) == 10);
	CHECK(clean(pool, SIZE_MAX) == pinned - 10);
}

TEST_CASE("mpool_clean writes a batch in the order of the file, neighbours by one call")
{
	const pgno_t frames = 400, part = 100;
	File file(page_size, frames);
	Pool pool(file.fd(), page_size, frames);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify((i * 7) % frames, 1);
	off_t last = -1;
	bool ordered = true;
	uint64_t calls = 0;
	{
		fault::Script script(file.fd(), [&](const Call &call) {
			ordered = ordered && (call.op != Op::write || call.offset > last);
			last = call.offset;
			return fault::real();
		});
		REQUIRE(clean(pool, part) == part);
		calls = script.writes();
	}
	CHECK(ordered);
	CHECK(calls <= part);
	REQUIRE(clean(pool, frames) == frames - part);
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("mpool_clean where nothing can be written: the clean pages make room; without any it fails")
{
	const pgno_t frames = GENERATE(16u, 500u), modified = frames / 2;
	CAPTURE(frames);
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	pool.touch(0, frames);
	modify_all(pool, modified);
	{
		fault::Script script(file.fd(), no_writes);
		CHECK(clean(pool, frames) == frames - modified);
		CHECK(pool.stats().write_errno == ENOSPC);
		CHECK(pool.stats().dirty == modified);
		errno = 0;
		CHECK(mpool_clean(pool, 1) == -1);
		CHECK(errno == ENOSPC);
		CHECK(script.writes() > 0);
	}
	CHECK(clean(pool, frames) == modified);
	pool.touch(frames, 2 * frames);
	for (pgno_t i = 0; i < modified; i++)
		REQUIRE(file.holds(i, 1));
}

// ---- a device that cannot write ---------------------------------------------

TEST_CASE("a thousand gets while all other frames have pages that cannot be written")
{
	const pgno_t frames = GENERATE(2u, 7u, 64u, 300u, 9000u);
	const size_t gets = 1000;
	CAPTURE(frames);
	File file(page_size, frames + gets);
	Pool pool(file.fd(), page_size, frames);
	pool.touch(0, frames);
	modify_all(pool, frames - 1);
	fault::Script script(file.fd(), no_writes);
	for (pgno_t i = 0; i < gets; i++)
		REQUIRE(pool.shows(frames + i, 0));
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().dirty == frames - 1);
}

TEST_CASE("a page beyond maxcache that is evictable makes room where no write can")
{
	// More than are looked at at once.
	const pgno_t frames = 4, beyond = GENERATE(4u, 200u), gets = 300;
	CAPTURE(beyond);
	File file(page_size, frames + beyond + gets);
	Pool pool(file.fd(), page_size, frames);
	std::vector<void *> held;
	for (pgno_t i = 0; i < frames + beyond; i++)
		held.push_back(pool.get(i));
	const uint64_t most = pool.stats().overflow;
	fault::Script script(file.fd(), no_writes);
	for (pgno_t i = 0; i < frames + beyond; i++)
		pool.put(held[i], i + 1 < frames + beyond ? MPOOL_DIRTY : 0);
	for (pgno_t i = 0; i < gets; i++)
		REQUIRE(pool.shows(frames + beyond + i, 0));
	CHECK(pool.stats().overflow <= most);
}

TEST_CASE("the first write that failed is told until a sync has succeeded")
{
	const pgno_t frames = 8;
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, frames);
	modify_all(pool, frames);
	CHECK(pool.stats().write_errno == 0);
	{
		fault::Script script(file.fd(), no_writes);
		REQUIRE_NULL(mpool_get(pool, 50, 0), ENOSPC);
		CHECK(pool.stats().write_errno == ENOSPC);
	}
	{
		fault::Script script(file.fd(),
			[](const Call &call) { return call.op == Op::write ? fault::error(EIO) : fault::real(); });
		REQUIRE_NULL(mpool_get(pool, 50, 0), EIO);
		REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
		CHECK(pool.stats().write_errno == ENOSPC);
	}
	{
		fault::Script script(file.fd(),
			[](const Call &call) { return call.op == Op::sync ? fault::error(EDQUOT) : fault::real(); });
		REQUIRE_FAILS(mpool_sync(pool), EDQUOT); // all is written
		CHECK(pool.stats().write_errno == ENOSPC);
	}
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
}
