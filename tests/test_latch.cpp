// test_latch.cpp - mpool_latch, mpool_unlatch, mpool_upgrade in one process: what they promise,
// and that nobody sees what another has latched.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

using namespace test;

namespace {

constexpr pgno_t page_size = 512;

// Does the call, on a thread of its own, fail with that errno?  0: it succeeds, and is undone.
int latch_elsewhere(MPOOL *mp, pgno_t pgno, unsigned flags)
{
	int result = 0;
	std::thread([&] {
		void *page = mpool_get(mp, pgno, 0);
		if (!page || mpool_latch(mp, page, flags) != 0)
			result = errno;
		else
			mpool_unlatch(mp, page, 0);
		mpool_put(mp, page, 0);
	}).join();
	return result;
}

void latch(MPOOL *mp, void *page, unsigned flags)
{
	errno = 0;
	int result = mpool_latch(mp, page, flags);
	INFO("mpool_latch: " << strerror(errno));
	REQUIRE(result == 0);
}

void unlatch(MPOOL *mp, void *page, unsigned flags = 0)
{
	errno = 0;
	int result = mpool_unlatch(mp, page, flags);
	INFO("mpool_unlatch: " << strerror(errno));
	REQUIRE(result == 0);
}

constexpr unsigned exclusive_try = MPOOL_EXCLUSIVE | MPOOL_TRY, shared_try = MPOOL_SHARED | MPOOL_TRY;

} // namespace

TEST_CASE("a page is latched by one thread exclusively, or by many shared")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	void *page = pool.get(0);
	unsigned mode = GENERATE(0u, static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	if (mode)
		latch(pool, page, mode);
	CHECK(latch_elsewhere(pool, 0, exclusive_try) == (mode ? EBUSY : 0));
	CHECK(latch_elsewhere(pool, 0, exclusive_try) == (mode ? EBUSY : 0)); // the first has left all as it was
	CHECK(latch_elsewhere(pool, 0, shared_try) == (mode == MPOOL_EXCLUSIVE ? EBUSY : 0));
	CHECK(latch_elsewhere(pool, 1, exclusive_try) == 0);
	if (mode)
		unlatch(pool, page);
	CHECK(latch_elsewhere(pool, 0, exclusive_try) == 0);
	CHECK(latch_elsewhere(pool, 0, shared_try) == 0);
	pool.put(page);
}

TEST_CASE("what a latch is refused with")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	void *page = pool.get(0);
	char *bytes = static_cast<char *>(page);
	int own = 0;

	SECTION("no pinned page of the caller's")
	{
		REQUIRE_FAILS(mpool_latch(pool, &own, MPOOL_EXCLUSIVE), EINVAL);
		REQUIRE_FAILS(mpool_latch(pool, nullptr, MPOOL_SHARED), EINVAL);
		REQUIRE_FAILS(mpool_latch(pool, bytes + 16, MPOOL_EXCLUSIVE), EINVAL);
		void *other = nullptr;
		std::thread([&] { other = mpool_get(pool, 1, 0); }).join();
		REQUIRE_FAILS(mpool_latch(pool, other, MPOOL_EXCLUSIVE), EINVAL);
		REQUIRE_FAILS(mpool_upgrade(pool, other, 0), EINVAL);
		pool.put(other);
		REQUIRE_FAILS(mpool_latch(pool, other, MPOOL_EXCLUSIVE), EINVAL);
	}
	SECTION("a peek is no pin")
	{
		void *peeked = pool.get(1, MPOOL_IGNOREPIN);
		REQUIRE_FAILS(mpool_latch(pool, peeked, MPOOL_SHARED), EINVAL);
	}
	SECTION("other flags")
	{
		for (unsigned flags : {0u, 3u, 4u, 7u, 8u, 0x101u, 0x80000001u})
			REQUIRE_FAILS(mpool_latch(pool, page, flags), EINVAL);
		latch(pool, page, MPOOL_EXCLUSIVE);
		for (unsigned flags : {2u, 3u, 0x80000000u})
			REQUIRE_FAILS(mpool_unlatch(pool, page, flags), EINVAL);
		unlatch(pool, page);
	}
	SECTION("the thread has one")
	{
		for (unsigned first : {MPOOL_EXCLUSIVE, MPOOL_SHARED}) {
			latch(pool, page, first);
			for (unsigned more : {MPOOL_EXCLUSIVE, MPOOL_SHARED}) {
				REQUIRE_FAILS(mpool_latch(pool, page, more), EDEADLK);
				REQUIRE_FAILS(mpool_latch(pool, page, more | MPOOL_TRY), EDEADLK);
			}
			REQUIRE_FAILS(mpool_upgrade(pool, page, 0), EDEADLK);
			unlatch(pool, page);
		}
	}
	SECTION("the thread has none")
	{
		REQUIRE_FAILS(mpool_unlatch(pool, page, 0), EPERM);
		latch(pool, page, MPOOL_EXCLUSIVE);
		std::thread([&] { own = mpool_unlatch(pool, page, 0) == -1 ? errno : 0; }).join();
		CHECK(own == EPERM);
		unlatch(pool, page);
		REQUIRE_FAILS(mpool_unlatch(pool, page, MPOOL_DIRTY), EPERM);
		CHECK(pool.stats().dirty == 0);
		latch(pool, page, MPOOL_SHARED);
		std::thread([&] { own = mpool_unlatch(pool, page, 0) == -1 ? errno : 0; }).join();
		CHECK(own == EPERM);
		unlatch(pool, page);
		REQUIRE_FAILS(mpool_unlatch(pool, page, 0), EPERM);
		REQUIRE_FAILS(mpool_unlatch(pool, &own, 0), EINVAL);
		REQUIRE_FAILS(mpool_unlatch(pool, bytes + 16, 0), EINVAL);
	}
	SECTION("no version is that one")
	{
		REQUIRE_FAILS(mpool_upgrade(pool, page, UINT64_MAX), EAGAIN);
		CHECK(latch_elsewhere(pool, 0, exclusive_try) == 0);
	}
	pool.put(page);
}

TEST_CASE("an unlatch with MPOOL_DIRTY marks the page")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	void *page = pool.get(3);
	latch(pool, page, mode);
	fill(page, page_size, 3, 1);
	unlatch(pool, page);
	CHECK(pool.stats().dirty == 0);
	latch(pool, page, mode);
	unlatch(pool, page, MPOOL_DIRTY);
	CHECK(pool.stats().dirty == 1);
	pool.put(page);
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	Pool again(file.fd(), page_size, 4);
	CHECK(again.shows(3, 1));
}

TEST_CASE("a latched page stays in memory, its pins put or not")
{
	File file(page_size, 40);
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	pgno_t maxcache = GENERATE(1u, 4u);
	bool overflow = GENERATE(false, true);
	Pool pool(file.fd(), page_size, maxcache);
	std::vector<void *> first;
	for (pgno_t i = 0; overflow && i < maxcache; i++)
		first.push_back(pool.get(30 + i));
	void *page = pool.get(0);
	latch(pool, page, mode);
	fill(page, page_size, 0, 1);
	pool.put(page);
	for (void *p : first)
		pool.put(p);
	for (unsigned round = 0; round < 3; round++) {
		pool.touch(1, 30);
		REQUIRE(mpool_clean(pool, 4) >= 0);
	}
	CHECK(is(page, page_size, 0, 1)); // it was not written, nor read again
	CHECK(latch_elsewhere(pool, 0, exclusive_try) == EBUSY);
	unlatch(pool, page, MPOOL_DIRTY);
	REQUIRE_FAILS(mpool_latch(pool, page, mode), EINVAL); // there is no pin
	pool.touch(1, 30);
	pool.touch(1, 30);
	CHECK(pool.shows(0, 1));
	CHECK(pool.stats().cached <= maxcache + 8);
}

TEST_CASE("who needs room passes by latched pages, and the pool does not grow for them")
{
	File file(page_size, 40);
	unsigned mode = GENERATE(static_cast<unsigned>(MPOOL_EXCLUSIVE), static_cast<unsigned>(MPOOL_SHARED));
	pgno_t latched = GENERATE(1u, 2u, 3u);
	unsigned flags = GENERATE(0u, static_cast<unsigned>(MPOOL_DIRTY));
	bool others_first = GENERATE(false, true);
	Pool pool(file.fd(), page_size, 4);
	std::vector<void *> pages;
	for (pgno_t i = 0; i < 4 - latched && others_first; i++)
		pool.put(pool.get(4 + i), i == 2 ? 0 : MPOOL_DIRTY);
	for (pgno_t i = 0; i < latched; i++) {
		pages.push_back(pool.get(i));
		pool.put(pages.back(), flags);
		REQUIRE(pool.get(i) == pages.back());
		latch(pool, pages.back(), mode);
		pool.put(pages.back());
	}
	for (pgno_t i = 8; i < 40; i++) {
		pool.put(pool.get(i), i % 2 ? MPOOL_DIRTY : 0);
		REQUIRE(pool.stats().overflow == 0);
	}
	for (void *page : pages)
		unlatch(pool, page);
}

TEST_CASE("mpool_delete ends the caller's exclusive latch, and no other")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	void *page = pool.get(0);
	latch(pool, page, MPOOL_EXCLUSIVE);
	REQUIRE(mpool_delete(pool, page) == 0);
	REQUIRE_FAILS(mpool_unlatch(pool, page, 0), EINVAL);
	page = pool.get(0);
	CHECK(latch_elsewhere(pool, 0, exclusive_try) == 0);
	latch(pool, page, MPOOL_SHARED);
	REQUIRE_FAILS(mpool_delete(pool, page), EBUSY);
	unlatch(pool, page);
	Gate has, may_end;
	std::thread other([&] {
		void *p = mpool_get(pool, 0, 0);
		if (mpool_latch(pool, p, MPOOL_EXCLUSIVE) != 0)
			abort();
		mpool_put(pool, p, 0);
		has.open();
		may_end.pass();
		mpool_unlatch(pool, p, 0);
	});
	has.pass();
	REQUIRE_FAILS(mpool_delete(pool, page), EBUSY);
	may_end.open();
	other.join();
	REQUIRE(mpool_delete(pool, page) == 0);
}

TEST_CASE("a thread has as many latches as it likes")
{
	const pgno_t pages = 300;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, GENERATE(20u, 300u));
	std::vector<void *> page;
	for (pgno_t i = 0; i < pages; i++)
		page.push_back(pool.get(i));
	for (pgno_t i = 0; i < pages; i++)
		latch(pool, page[i], i % 3 ? MPOOL_SHARED : MPOOL_EXCLUSIVE);
	for (pgno_t i = 0; i < pages; i += 7) {
		REQUIRE_FAILS(mpool_latch(pool, page[i], MPOOL_SHARED), EDEADLK);
		REQUIRE(latch_elsewhere(pool, i, exclusive_try) == EBUSY);
		REQUIRE(latch_elsewhere(pool, i, shared_try) == (i % 3 ? 0 : EBUSY));
	}
	for (pgno_t i = 0; i < pages; i++)
		unlatch(pool, page[pages - 1 - i]);
	for (pgno_t i = 0; i < pages; i += 7)
		REQUIRE(latch_elsewhere(pool, i, exclusive_try) == 0);
	for (void *p : page)
		pool.put(p);
}

TEST_CASE("a page that a thread has latched besides seven others is no other's for it")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 8);
	std::vector<void *> page;
	for (pgno_t i = 0; i < 8; i++)
		page.push_back(pool.get(i));
	for (void *p : page)
		latch(pool, p, MPOOL_SHARED);
	unlatch(pool, page[0]);
	REQUIRE_FAILS(mpool_latch(pool, page[7], MPOOL_SHARED), EDEADLK);
	for (pgno_t i = 1; i < 8; i++)
		unlatch(pool, page[i]);
	CHECK(latch_elsewhere(pool, 7, exclusive_try) == 0);
	for (void *p : page)
		pool.put(p);
}

TEST_CASE("a thread that ends leaves its latches to nobody")
{
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, GENERATE(2u, 40u));
	unsigned latched_only = GENERATE(0u, 1u);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, latched_only) == 0);
	std::vector<void *> page;
	for (pgno_t i = 0; i < 40; i++)
		page.push_back(pool.get(i));
	// Two wait, soon, for what the first has.
	Gate has, may_end;
	std::thread first([&] {
		for (pgno_t i = 0; i < 40; i++)
			if (mpool_latch(pool, mpool_get(pool, i, 0), i % 2 ? MPOOL_SHARED : MPOOL_EXCLUSIVE) != 0)
				abort();
		has.open();
		may_end.pass();
	});
	has.pass();
	std::atomic<int> coming{2};
	Threads others;
	for (pgno_t i : {0u, 39u})
		others.start([&, i] {
			void *p = mpool_get(pool, i, 0);
			coming--;
			if (mpool_latch(pool, p, MPOOL_EXCLUSIVE) != 0 || mpool_unlatch(pool, p, 0) != 0)
				abort();
			mpool_put(pool, p, 0);
		});
	while (coming > 0)
		sched_yield();
	may_end.open();
	first.join();
	others.join();
	for (pgno_t i = 0; i < 40; i++) {
		CHECK(mpool_abandoned(pool, page[i], MPOOL_FORGIVE) == (i % 2 == 0));
		latch(pool, page[i], exclusive_try);
		unlatch(pool, page[i]);
		pool.put(page[i]);
		pool.put(page[i]);
	}
}

TEST_CASE("a pool is closed with latches held")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	latch(pool, pool.get(0), MPOOL_EXCLUSIVE);
	latch(pool, pool.get(1), MPOOL_SHARED);
	REQUIRE(pool.close() == 0);
	Pool next(file.fd(), page_size, 4);
	latch(next, next.get(0), MPOOL_EXCLUSIVE);
}

TEST_CASE("MPOOL_LATCHED is 0 or 1")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	uint64_t value = 7;
	REQUIRE(mpool_tuned(pool, MPOOL_LATCHED, &value) == 0);
	CHECK(value == 0);
	REQUIRE_FAILS(mpool_tune(pool, MPOOL_LATCHED, 2), EINVAL);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, 1) == 0);
	REQUIRE(mpool_tuned(pool, MPOOL_LATCHED, &value) == 0);
	CHECK(value == 1);
}

TEST_CASE("a pool without latches has no memory for them")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 100);
	pool.touch(0, 100);
	uint64_t before = pool.stats().metadata;
	void *page = pool.get(0);
	REQUIRE_FAILS(mpool_unlatch(pool, page, 0), EPERM);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, 1) == 0);
	CHECK(pool.stats().metadata == before);
	latch(pool, page, MPOOL_EXCLUSIVE);
	CHECK(pool.stats().metadata == before + 100 * sizeof(uint64_t));
}

// ---- together -------------------------------------------------------------------

namespace {

// Plain words: ThreadSanitizer sees whether a latch orders them.
struct Account {
	uint64_t a, b;
};

// Each thread changes and reads pages by latches alone; a page's two words are always the same.
void change_and_read(MPOOL *mp, pgno_t pages, uint64_t seed, size_t rounds, std::atomic<uint64_t> &changes)
{
	Random random(seed);
	for (size_t i = 0; i < rounds; i++) {
		void *page = mpool_get(mp, static_cast<pgno_t>(random.below(pages)), 0);
		Account *account = static_cast<Account *>(page);
		unsigned mode = random.below(3) ? MPOOL_SHARED : MPOOL_EXCLUSIVE, flags = 0;
		if (!page)
			abort();
		if (mpool_latch(mp, page, mode | (random.below(4) ? 0u : static_cast<unsigned>(MPOOL_TRY))) != 0) {
			if (errno != EBUSY)
				abort();
			mpool_put(mp, page, 0);
			continue;
		}
		if (account->a != account->b)
			abort();
		if (mode == MPOOL_EXCLUSIVE) {
			account->a++;
			account->b++;
			changes++;
			flags = MPOOL_DIRTY;
		}
		// The pin may go before the latch does.
		bool pin_first = random.below(2);
		if (pin_first)
			mpool_put(mp, page, 0);
		if (mpool_unlatch(mp, page, flags) != 0)
			abort();
		if (!pin_first)
			mpool_put(mp, page, 0);
	}
}

} // namespace

TEST_CASE("threads change pages by their latches, and lose nothing")
{
	const pgno_t pages = GENERATE(1u, 12u);
	pgno_t maxcache = GENERATE(2u, 12u);
	unsigned threads = GENERATE(2u, 4u);
	File file(page_size, 0);
	REQUIRE(ftruncate(file.fd(), static_cast<off_t>(pages) * page_size) == 0);
	Pool pool(file.fd(), page_size, maxcache);
	std::atomic<uint64_t> changes{0};
	{
		Threads all;
		for (unsigned i = 0; i < threads; i++)
			all.start([&, i] { change_and_read(pool, pages, i, shrink(6000), changes); });
	}
	uint64_t sum = 0;
	for (pgno_t i = 0; i < pages; i++) {
		void *page = pool.get(i);
		sum += static_cast<Account *>(page)->a;
		pool.put(page);
	}
	CHECK(sum == changes);
}

TEST_CASE("who wants a page exclusively gets in among readers who never leave it")
{
	File file(page_size, 1);
	Pool pool(file.fd(), page_size, 4);
	std::atomic<bool> over{false};
	std::atomic<unsigned> in{0};
	Threads readers;
	// At each instant one of them has it, or is about to: none leaves before the other is in.
	for (unsigned i = 0; i < 2; i++)
		readers.start([&] {
			void *page = mpool_get(pool, 0, 0);
			while (!over) {
				mpool_latch(pool, page, MPOOL_SHARED);
				unsigned turn = in.fetch_add(1) + 1;
				// Or the writer is in line, who lets nobody else in.
				for (unsigned look = 0; look < 1000 && in == turn && !over; look++)
					sched_yield();
				mpool_unlatch(pool, page, 0);
			}
			mpool_put(pool, page, 0);
		});
	void *page = pool.get(0);
	for (unsigned i = 0; i < 20; i++) {
		latch(pool, page, MPOOL_EXCLUSIVE);
		unlatch(pool, page);
	}
	over = true;
	readers.join();
	pool.put(page);
}

TEST_CASE("the first latches of a pool are made by many threads at once")
{
	File file(page_size, 8);
	for (unsigned round = 0; round < shrink(100); round++) {
		Pool pool(file.fd(), page_size, 4);
		std::atomic<unsigned> in{0};
		Threads all;
		for (unsigned i = 0; i < 4; i++)
			all.start([&, i] {
				void *page = mpool_get(pool, i % 2, 0);
				if (mpool_latch(pool, page, i < 2 ? MPOOL_EXCLUSIVE : MPOOL_SHARED) != 0)
					abort();
				in++;
				mpool_unlatch(pool, page, 0);
				mpool_put(pool, page, 0);
			});
		all.join();
		REQUIRE(in == 4);
	}
}

// ---- whole images -----------------------------------------------------------------

namespace {

// Each page is of one word, over and over.
void fill_words(void *page, uint64_t word)
{
	for (size_t i = 0; i < page_size / sizeof word; i++)
		memcpy(static_cast<char *>(page) + i * sizeof word, &word, sizeof word);
}

bool is_whole(const void *page)
{
	return memcmp(page, static_cast<const char *>(page) + sizeof(uint64_t), page_size - sizeof(uint64_t)) == 0;
}

struct Images {
	std::atomic<uint64_t> written{0}, torn{0};
};

void look_at_image(void *cookie, pgno_t, void *page)
{
	Images *images = static_cast<Images *>(cookie);
	images->written++;
	images->torn += !is_whole(page);
}

} // namespace

TEST_CASE("a page whose writers latch it is written only as it was at one instant")
{
	const pgno_t pages = 12;
	pgno_t maxcache = GENERATE(4u, 12u);
	unsigned latched_only = GENERATE(0u, 1u);
	bool pinned = GENERATE(false, true), whole = GENERATE(false, true);
	File file(page_size, 0);
	REQUIRE(ftruncate(file.fd(), static_cast<off_t>(pages) * page_size) == 0);
	Pool pool(file.fd(), page_size, maxcache);
	Images images;
	mpool_filter(pool, nullptr, look_at_image, &images);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, latched_only) == 0);
	std::vector<void *> own;
	for (pgno_t i = 0; pinned && i < pages; i++)
		own.push_back(pool.get(i)); // by who does nothing
	std::atomic<unsigned> working{3};
	std::atomic<uint64_t> withheld{0};
	Report report;
	Threads all;
	for (unsigned t = 0; t < 3; t++)
		all.start([&, t] {
			Random random(t);
			for (size_t i = 0; i < shrink(3000); i++) {
				pgno_t n = static_cast<pgno_t>(random.below(pages));
				void *page = mpool_get(pool, n, 0);
				bool ok = report.check(page != nullptr, "get") &&
				          report.check(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0, "latch");
				if (!ok)
					break;
				report.check(is_whole(page), "a page is torn");
				bool pin_first = random.below(2);
				if (pin_first)
					mpool_put(pool, page, 0);
				fill_words(page, t * 1000000 + i);
				report.check(mpool_unlatch(pool, page, MPOOL_DIRTY) == 0, "unlatch");
				if (!pin_first)
					mpool_put(pool, page, 0);
			}
			working--;
		});
	all.start([&] {
		while (working > 0) {
			ssize_t left =
				whole ? mpool_sync_range(pool, 0, pages, MPOOL_WRITE | MPOOL_WHOLE) : mpool_sync(pool);
			report.check(left >= 0, "sync");
			withheld += left > 0;
		}
	});
	all.join();
	report.require_none();
	if (latched_only)
		CHECK(withheld == 0);
	for (void *page : own)
		pool.put(page);
	pool.sync();
	CHECK(images.torn == 0);
	CHECK(images.written > 0);
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("with MPOOL_LATCHED a page that stays pinned is written, and is clean then")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	unsigned latched_only = GENERATE(0u, 1u);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, latched_only) == 0);
	void *page = pool.get(0), *pin = pool.get(0);
	latch(pool, page, MPOOL_EXCLUSIVE);
	fill(page, page_size, 0, 1);
	unlatch(pool, page, MPOOL_DIRTY);
	CHECK(mpool_sync_range(pool, 0, 8, MPOOL_WRITE | MPOOL_WHOLE) == (latched_only ? 0 : 1));
	pool.sync();
	CHECK(pool.stats().dirty == (latched_only ? 0 : 1));
	Pool again(file.fd(), page_size, 4);
	CHECK(again.shows(0, 1));
	latch(pool, page, MPOOL_SHARED);
	pool.put(pin, MPOOL_DIRTY);
	CHECK(mpool_sync_range(pool, 0, 8, MPOOL_WRITE | MPOOL_WHOLE) == (latched_only ? 0 : 1));
	unlatch(pool, page);
	pool.put(page);
	pool.sync();
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("a sync waits for a latch, and who has one may not sync")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	bool pinned = GENERATE(false, true);
	pool.modify(0, 1);
	void *page = pool.get(0);
	latch(pool, page, MPOOL_EXCLUSIVE);
	REQUIRE_FAILS(mpool_sync(pool), EDEADLK);
	REQUIRE_FAILS(static_cast<int>(mpool_sync_range(pool, 4, 1, MPOOL_WRITE)), EDEADLK);
	REQUIRE(mpool_sync_range(pool, 4, 1, MPOOL_FLUSH) == 0);
	if (!pinned)
		pool.put(page);
	std::atomic<bool> synced{false};
	Threads other;
	other.start([&] {
		if (mpool_sync(pool) != 0)
			abort();
		synced = true;
	});
	for (pgno_t i = 1; i < 8; i++) // others go on
		REQUIRE(latch_elsewhere(pool, i, MPOOL_EXCLUSIVE) == 0);
	fill(page, page_size, 0, 2);
	CHECK(!synced);
	unlatch(pool, page, MPOOL_DIRTY);
	other.join();
	if (pinned)
		pool.put(page);
	Pool again(file.fd(), page_size, 4);
	CHECK(again.shows(0, 2));
}

TEST_CASE("MPOOL_WHOLE withholds a page that is pinned, and waits for one that is latched")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	pool.modify(0, 1);
	pool.modify(1, 1);
	void *pinned = pool.get(0), *page = pool.get(1);
	latch(pool, page, MPOOL_EXCLUSIVE);
	pool.put(page);
	std::atomic<bool> synced{false};
	std::atomic<ssize_t> withheld{-1};
	Threads other;
	other.start([&] {
		withheld = mpool_sync_range(pool, 0, 8, MPOOL_WRITE | MPOOL_WHOLE);
		synced = true;
	});
	for (pgno_t i = 0; i < 100; i++) // meanwhile it looks at both
		REQUIRE(latch_elsewhere(pool, 2 + i % 6, MPOOL_EXCLUSIVE) == 0);
	fill(page, page_size, 1, 2);
	CHECK(!synced);
	unlatch(pool, page, MPOOL_DIRTY);
	other.join();
	CHECK(withheld == 1);
	pool.put(pinned);
	Pool again(file.fd(), page_size, 4);
	CHECK(again.shows(0, 0));
	CHECK(again.shows(1, 2));
}

TEST_CASE("a sync goes on beside its caller's shared latch, for which another waits")
{
	File file(page_size, 8);
	Pool pool(file.fd(), page_size, 4);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, GENERATE(0u, 1u)) == 0);
	pool.modify(0, 1);
	void *page = pool.get(0);
	latch(pool, page, MPOOL_SHARED);
	Threads other;
	other.start([&] {
		void *p = mpool_get(pool, 0, 0);
		if (mpool_latch(pool, p, MPOOL_EXCLUSIVE) != 0 || mpool_unlatch(pool, p, 0) != 0)
			abort();
		mpool_put(pool, p, 0);
	});
	while (latch_elsewhere(pool, 0, shared_try) == 0) // until it is in line
		sched_yield();
	pool.sync();
	unlatch(pool, page);
	other.join();
	pool.put(page);
	Pool again(file.fd(), page_size, 4);
	CHECK(again.shows(0, 1));
}
