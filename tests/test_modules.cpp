// test_modules.cpp - modules of the library by themselves: searching a line, telling
// a page by its address, when memory is freed, and the table's insertions and
// moves under the eyes of many threads.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "modules.h"
#include "store.hpp"
#include "support.hpp"

#include <algorithm>

using namespace test;

TEST_CASE("pins of a page are counted however many there are")
{
	const pgno_t pages = 64;
	File file(512, pages);
	Pool pool(file.fd(), 512, 4);
	void *page = pool.get(7);
	REQUIRE(module_pin_often(pool, page));
	pool.put(page); // 2^32 are left
	const std::string was(static_cast<const char *>(page), 512);
	for (int round = 0; round < 10; round++)
		pool.touch(8, pages);
	CHECK(std::string(static_cast<const char *>(page), 512) == was);
	CHECK(pool.stats().pinned == 1);
	// Evictors pass by what is pinned; others find it so when they have it claimed.
	REQUIRE_FAILS(mpool_invalidate(pool, 7, 1), EBUSY);
	CHECK(pool.get(7) == page);
}

TEST_CASE("scans do not look at the stripes of threads that have used the pool and hold nothing")
{
	const pgno_t pages = 512;
	const unsigned threads = 200;
	const bool sleep = GENERATE(true, false);
	File file(512, pages);
	Pool pool(file.fd(), 512, 16);
	Gate end;
	std::vector<std::thread> all;
	for (unsigned t = 0; t < threads; t++)
		all.emplace_back([&] {
			// Not by REQUIRE, which is for one thread at a time.
			void *page = mpool_get(pool, 0, 0);
			if (!page || mpool_put(pool, page, 0) != 0)
				abort();
			end.pass();
		});
	end.await(threads);
	auto finish = [&] {
		end.open();
		for (std::thread &thread : all)
			thread.join();
	};
	if (!sleep)
		finish();
	CAPTURE(sleep, module_stripes(pool).looked_at);
	REQUIRE(module_stripes(pool).all >= threads);
	for (unsigned round = 0; round < 4; round++)
		pool.touch(1, pages);
	CHECK(module_stripes(pool).looked_at <= 4);
	// Whoever comes back is looked at again.
	void *page = pool.get(3);
	pool.touch(4, pages);
	CHECK(pool.get(3) == page);
	if (sleep)
		finish();
}

TEST_CASE("where there are as many stripes as there may be no thread gets another")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 4);
	pool.touch(0, 4);
	CHECK(module_stripes_run_out(pool));
	pool.touch(4, 4);
}

TEST_CASE("a line of eight words is searched as a loop would search it")
{
	Random random(1);
	for (int n = 0; n < 20000; n++) {
		uint64_t words[8];
		for (uint64_t &word : words)
			word = uint64_t{random.below(1u << 31)} << 32 | random.below(12);
		for (uint32_t key = 0; key < 12; key++) {
			int first = -1;
			for (int i = 7; i >= 0; i--)
				if (static_cast<uint32_t>(words[i]) == key)
					first = i;
			if (module_line_find(words, key) != first)
				FAIL("key " << key << " of round " << n);
		}
	}
	uint64_t words[8] = {0xffffffff, 1, 0, 0, 0, 0, 0, uint64_t{0xffffffff} << 32 | 7};
	CHECK(module_line_find(words, 0xffffffff) == 0);
	CHECK(module_line_find(words, 7) == 7);
}

TEST_CASE("the address of a page, and no other, leads to its frame")
{
	for (pgno_t size : {1u, 16u, 17u, 64u, 1000u, 4096u, 12288u, 65536u, 99999u})
		for (uint32_t frames : {1u, 2u, 3u, 63u, 1000u}) {
			CAPTURE(size, frames);
			CHECK(module_frame_wrong(size, frames) == 0);
		}
}

TEST_CASE("a sync looks at what is changed, and a sweep leaves nothing to look at")
{
	for (uint32_t frames : {1u, 8u, 63u, 511u, 512u, 513u, 5000u})
		for (uint32_t nth : {1u, 3u, 700u}) {
			CAPTURE(frames, nth);
			struct module_changed_result r;
			module_changed(frames, nth, &r);
			CHECK(r.missed == 0);
			CHECK(r.looked_at <= 8 * r.marked);
			CHECK(r.kept == r.looked_at);
			CHECK(r.after == 0);
			CHECK(r.dead == std::min(frames, 512u));
		}
}

TEST_CASE("what was replaced is freed when those who may look at it have left, and not before")
{
	struct module_epoch_steps steps;
	REQUIRE(module_epoch(&steps) == 0);
	CHECK(steps.found_before);
	CHECK_FALSE(steps.found_retired);
	CHECK(steps.kept_in_section);
	CHECK_FALSE(steps.kept_for_later);
	CHECK(steps.gone);
}

TEST_CASE("sixteen torn pages are remembered, many more as a rule, and none that was taken off")
{
	struct module_torn_result result;
	module_torn(1000, &result);
	CHECK(result.first >= 16);
	CHECK(result.all >= 800);
	CHECK(result.all <= 1000);
	CHECK(result.removed == 0);
	module_torn(10000, &result);
	CHECK(result.all == 1024); // all places
	CHECK(result.removed == 0);
}

TEST_CASE("who waits is woken by what it waits for, and by nothing else")
{
	struct module_wait_result result;
	module_wait(&result);
	CHECK_FALSE(result.other_page);
	CHECK_FALSE(result.frame);
	CHECK(result.page);
	CHECK(result.other_when_mixed);
	CHECK_FALSE(result.after);
}

TEST_CASE("one thread loads a page, and a page that moves to another table is never out of sight")
{
	const uint32_t pages = 3000;
	for (size_t round = 0; round < shrink(40); round++) {
		struct module_table_result result;
		REQUIRE(module_table(3, pages, &result) == 0);
		CHECK(result.loaders == pages);
		CHECK(result.lost_sight == 0);
		CHECK(result.wrong == 0);
		CHECK(result.entries == pages);
		CHECK(result.moved > 0);
	}
}

TEST_CASE("what a thread in a section keeps of the overflow is given back when it has left")
{
	const pgno_t pages = 3000;
	File file(512, 2 * pages);
	Pool pool(file.fd(), 512, 10);
	pool.touch(0, 100);
	const uint64_t before = pool.stats().metadata;
	std::vector<void *> held;
	for (pgno_t i = 0; i < pages; i++)
		held.push_back(pool.get(i));
	const uint64_t grown = pool.stats().metadata;
	void *section = module_section(pool);
	REQUIRE(section);
	for (void *page : held)
		pool.put(page);
	pool.touch(pages, 2 * pages);
	CHECK(pool.stats().overflow == 0);
	INFO(before << " bytes of bookkeeping before, " << grown << " while pinned");
	CHECK(pool.stats().metadata > before + (grown - before) / 3);
	module_section_leave(section);
	pool.touch(0, pages); // one segment a miss, and the table
	CHECK(pool.stats().metadata < before + (grown - before) / 10);
}

TEST_CASE("hits move what is left in a table that was replaced")
{
	const pgno_t pages = 12000, page_size = 64;
	File file(page_size, pages);
	Pool pool(file.fd(), page_size, 4 * pages);
	pool.touch(0, pages);
	pgno_t last = 0;
	for (pgno_t n = 0; n < pages && module_older_entries(pool) == 0; n++)
		pool.put(pool.make(last));
	REQUIRE(module_older_entries(pool) > 0);
	const uint64_t misses = pool.stats().misses;
	pool.touch(0, last + 1);
	REQUIRE(pool.stats().misses == misses);
	CHECK(module_older_entries(pool) == 0);
}

TEST_CASE("a table that was replaced is looked at without danger, gives its memory back, and is used again")
{
	const uint32_t pages = 20000;
	struct module_cached_result result;
	REQUIRE(module_table_cached(pages, static_cast<unsigned>(shrink(300)), &result) == 0);
	CHECK(result.seen > 0);
	CHECK(result.wrong == 0);
	CHECK(result.lost == 0);
	CHECK(result.backed == 0);
	CHECK(result.tables <= 6); // three sizes; of each one in use and one replaced at the most
}

TEST_CASE("a table whose pages do not spread knows it, and another factor spreads them")
{
	const uint32_t bad_stride = 832040; // a Fibonacci number: the golden ratio's own
	for (uint32_t stride : {1u, 2u, 7u, 64u, 100u, 1000u, 4096u, 65536u, 1000000u}) {
		CAPTURE(stride);
		CHECK(module_table_clumped(4000, 4000, stride, 0) == 0);
	}
	CHECK(module_table_clumped(4000, 4000, bad_stride, 0) == 2);
	CHECK(module_table_clumped(4000, 4000, bad_stride, 1) == 0);
	// All find a place, but few of them one where a hit looks.
	CHECK(module_table_clumped(6000, 2000, 4181, 0) == 1);
	CHECK(module_table_clumped(6000, 2000, 4181, 1) == 0);
	// With the last factor there is none left to try: it is walked on in.
	CHECK(module_table_clumped(6000, 2000, 58738, 7) == 0);
}

TEST_CASE("a page is found wherever in the table there was a place for it")
{
	CHECK(module_table_lost(6000, 2000, 1) == 0);
	CHECK(module_table_lost(6000, 2000, 4181) == 0); // few are where a hit looks
}

TEST_CASE("a buffer for writes that is made and kept while the pool is smaller is as large as others")
{
	const unsigned pages = 64;
	for (unsigned less : {1u, 10u, 30u}) {
		File file(512, pages);
		Pool pool(file.fd(), 512, pages);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, less) == 0);
		CHECK(module_write_buffer_pages(pool) == pages);
		REQUIRE(mpool_tune(pool, MPOOL_MAXCACHE, pages) == 0);
		CHECK(module_write_buffer_pages(pool) == pages);
	}
}

TEST_CASE("who hears of closings is told which file it was, and when too many came to know")
{
	const unsigned few = 100;
	File a(512, 1), b(512, 1);
	const char *const paths[2] = {a.path().c_str(), b.path().c_str()};
	struct module_closings told;
	if (module_closings(paths, few, &told) != 0) {
		WARN("skipped: no instance of inotify to be had");
		return;
	}
	CHECK(told.of[0] == few);
	CHECK(told.of[1] == few);
	CHECK(told.any == 0);
	CHECK(told.others == 0);
	unsigned most = 0;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	REQUIRE(f);
	REQUIRE(fscanf(f, "%u", &most) == 1);
	fclose(f);
	REQUIRE(module_closings(paths, most / 2 + few, &told) == 0);
	CHECK(told.any == 1);
	CHECK(told.others == 0);
}

namespace {

const unsigned many_rounds = 20; // more than who waits has patience for

// Until `over`: unlatch a page and latch it again, each time that somebody sleeps for want of it, and before he wakes.  In how many rounds?
unsigned latch_back_to_back(const Pool &pool, void *page, bool modified, const std::atomic<bool> &over)
{
	unsigned rounds = 0;
	for (; !over && rounds < many_rounds; rounds++) {
		while (!over && !module_latch_awaited(pool, page))
			sched_yield();
		if (!module_latch_again(pool, page, modified))
			REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
	}
	return rounds;
}

} // namespace

TEST_CASE("who waits for a latch gets it although its owner takes it again at once")
{
	const unsigned mode = GENERATE(unsigned{MPOOL_EXCLUSIVE}, unsigned{MPOOL_SHARED});
	const bool two = GENERATE(false, true);
	CAPTURE(mode, two);
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	void *page = pool.get(0);
	for (unsigned n = 0; n < 20; n++) {
		REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
		std::atomic<bool> over{false};
		std::atomic<unsigned> in{0};
		Threads others;
		for (unsigned t = 0; t < 1u + two; t++)
			others.start([&] {
				void *p = mpool_get(pool, 0, 0);
				if (mpool_latch(pool, p, mode) != 0)
					abort();
				if (++in == 1u + two)
					over = true;
				if (mpool_unlatch(pool, p, 0) != 0 || mpool_put(pool, p, 0) != 0)
					abort();
			});
		unsigned rounds = latch_back_to_back(pool, page, false, over);
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		others.join();
		REQUIRE(rounds < many_rounds);
	}
	pool.put(page);
}

TEST_CASE("a latch that is to be another's next can be read beside it, and had by nobody else")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	void *page = pool.get(0);
	uint64_t version = 0;
	REQUIRE(mpool_peek(pool, 0, &version) == page);
	REQUIRE(module_latch_turn_begin(pool, page));
	REQUIRE_FAILS(mpool_latch(pool, page, MPOOL_EXCLUSIVE | MPOOL_TRY), EBUSY);
	REQUIRE_FAILS(mpool_upgrade(pool, page, version), EAGAIN);
	CHECK(mpool_unchanged(pool, page, version) == 1);
	std::atomic<bool> in{false};
	Threads others;
	others.start([&] {
		void *p = mpool_get(pool, 0, 0);
		if (mpool_latch(pool, p, MPOOL_EXCLUSIVE) != 0)
			abort();
		in = true;
		if (mpool_unlatch(pool, p, 0) != 0 || mpool_put(pool, p, 0) != 0)
			abort();
	});
	while (!in && !module_latch_awaited(pool, page))
		sched_yield();
	CHECK_FALSE(in);
	for (unsigned flags : {0u, unsigned{MPOOL_TRY}}) {
		REQUIRE(mpool_latch(pool, page, MPOOL_SHARED | flags) == 0);
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
	}
	module_latch_turn_end(pool, page);
	others.join();
	CHECK(in);
	REQUIRE_FAILS(mpool_upgrade(pool, page, version), EAGAIN); // it was changed since, for all that is known
	REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE | MPOOL_TRY) == 0);
	REQUIRE(mpool_unlatch(pool, page, 0) == 0);
	pool.put(page);
}

namespace {

// The program is not to be called in anybody's turn.
struct NotInTurn {
	MPOOL *mp;
	const void *page;
	std::atomic<bool> was_in{false};
	static int out(void *self, pgno_t, void *)
	{
		auto s = static_cast<NotInTurn *>(self);
		if (module_latch_turn(s->mp, s->page))
			s->was_in = true;
		return 0;
	}
};

} // namespace

TEST_CASE("a sync comes to an end although the writer of a page latches it again at once")
{
	const int latched_only = GENERATE(0, 1);
	const unsigned flags = GENERATE(unsigned(MPOOL_WRITE | MPOOL_FLUSH), unsigned(MPOOL_WRITE | MPOOL_WHOLE));
	CAPTURE(latched_only, flags);
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	REQUIRE(mpool_tune(pool, MPOOL_LATCHED, static_cast<size_t>(latched_only)) == 0);
	NotInTurn check;
	struct mpool_hooks hooks = {};
	hooks.cookie = &check;
	hooks.out = NotInTurn::out;
	REQUIRE(mpool_hooks(pool, &hooks, sizeof hooks) == 0);
	void *page = pool.get(0);
	check.mp = pool;
	check.page = page;
	for (unsigned n = 0; n < 20; n++) {
		REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
		fill(page, 512, 0, n + 1);
		pool.modify(0, n + 1);
		std::atomic<bool> over{false};
		ssize_t withheld = -1;
		Threads others;
		others.start([&] {
			withheld = mpool_sync_range(pool, 0, 4, flags);
			over = true;
		});
		unsigned rounds = latch_back_to_back(pool, page, true, over);
		REQUIRE(mpool_unlatch(pool, page, 0) == 0);
		others.join();
		REQUIRE(rounds < many_rounds);
		REQUIRE(withheld == ((flags & MPOOL_WHOLE) && !latched_only ? 1 : 0));
		REQUIRE(file.holds(0, n + 1) == (withheld == 0));
	}
	CHECK_FALSE(check.was_in);
	pool.put(page);
}

TEST_CASE("who is to copy a page waits for no latch of another that is in its frame by now")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	void *page = pool.get(0);
	REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
	CHECK(module_latch_is_anothers(pool, page, 1));
	REQUIRE(mpool_unlatch(pool, page, 0) == 0);
	pool.put(page);
}

TEST_CASE(
	"a page that is latched is waited for, and not withheld, though one that was to be written with it has left memory")
{
	const unsigned looks = 3; // then pages whose writers latch them are looked at in turn, if they are there
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	void *gone = pool.get(0), *page = pool.get(1);
	pool.modify(0, 1);
	pool.modify(1, 1);
	for (void *p : {gone, page}) {
		REQUIRE(mpool_latch(pool, p, MPOOL_EXCLUSIVE) == 0);
		pool.put(p);
	}
	std::atomic<bool> over{false};
	ssize_t withheld = -1;
	Threads others;
	others.start([&] {
		withheld = mpool_sync_range(pool, 0, 4, MPOOL_WRITE | MPOOL_WHOLE);
		over = true;
	});
	for (unsigned n = 1; n <= looks; n++) {
		while (!over && !module_latch_awaited(pool, gone))
			sched_yield();
		if (n == looks)
			CHECK(module_frame_becomes(pool, gone, 3) == 0);
		CHECK(module_latch_again(pool, gone, false));
	}
	while (!over && !module_latch_awaited(pool, page))
		sched_yield();
	CHECK_FALSE(over);
	CHECK(module_frame_becomes(pool, gone, 0) == 3);
	for (void *p : {gone, page})
		CHECK(mpool_unlatch(pool, p, 0) == 0);
	others.join();
	CHECK(withheld == 0);
	CHECK(file.holds(1, 1));
}

TEST_CASE("who has written what is distrusted then writes it again, whatever a flush says")
{
	File file(512, 4);
	Pool pool(file.fd(), 512, 4);
	pool.modify(0, 1);
	CHECK(module_distrust_told(pool));
	pool.sync();
}

TEST_CASE(
	"who is covered by a flush writes again when a later one has failed, before it could see that its own had not")
{
	Store store(512, 4);
	auto calls = store.calls();
	MPOOL *mp = mpool_open_store(&calls, sizeof calls, &store, 512, 4);
	REQUIRE(mp);
	REQUIRE(mpool_sync(mp) == 0); // the calling thread's first call on the pool
	struct module_flushes told;
	auto fails = [](void *to) {
		static_cast<Store *>(to)->fate = [](const Store::Request &r) -> ssize_t {
			return r.op == MPOOL_IO_FLUSH ? -EIO : static_cast<ssize_t>(r.bytes);
		};
	};
	module_flushes(mp, fails, &store, &told);
	CHECK(told.first == 0);
	CHECK(told.first_later == MODULE_AGAIN);
	CHECK(told.second == EIO);
	store.fate = nullptr;
	CHECK(mpool_sync(mp) == 0);
	CHECK(mpool_close(mp) == 0);
}
