// test_faults_sync.cpp - fsync that fails, and syncs that meet the write-backs
// of others: 0 means on stable storage, and nothing else does.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Op;

namespace {

// How often each page was written.
class Written {
public:
	explicit Written(pgno_t pages) : times_(pages) {}
	void note(const Call &call)
	{
		for (pgno_t i = 0; i < times_.size(); i++)
			if (call.op == Op::write && call.covers(i, 512))
				times_[i].fetch_add(1, std::memory_order_relaxed);
	}
	unsigned operator[](pgno_t i) const { return times_[i]; }

private:
	std::vector<std::atomic<unsigned>> times_;
};

} // namespace

TEST_CASE("mpool_sync flushes the file after it wrote")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 10);
	std::atomic<uint64_t> writes_at_sync{0};
	std::atomic<uint64_t> writes{0};
	fault::Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			writes++;
		if (call.op == Op::sync)
			writes_at_sync = writes.load();
		return fault::real();
	});
	for (pgno_t i = 0; i < 10; i += 2)
		pool.modify(i, 1);
	pool.sync();
	CHECK(script.syncs() >= 1);
	CHECK(script.writes() >= 1);
	CHECK(writes_at_sync == script.writes());

	// Also for pages that eviction wrote, when nothing is modified any more.
	pool.modify(1, 1);
	pool.crowd_out(10);
	REQUIRE(pool.stats().dirty == 0);
	uint64_t syncs = script.syncs();
	pool.sync();
	CHECK(script.syncs() > syncs);
}

TEST_CASE("when fsync fails the pages are modified again, and the next sync rewrites them")
{
	const int number = GENERATE(EIO, ENOSPC, EDQUOT);
	const unsigned failures = GENERATE(1u, 3u);
	CAPTURE(number, failures);
	File file(512, 20);
	Pool pool(file.fd(), 512, 30);
	Written written(20);
	fault::Script script(file.fd(), [&](const Call &call) {
		written.note(call);
		return call.op == Op::sync && call.nth < failures ? fault::error(number) : fault::real();
	});
	for (pgno_t i = 0; i < 20; i += 2)
		pool.modify(i, 1);
	for (unsigned n = 1; n <= failures; n++) {
		REQUIRE_FAILS(mpool_sync(pool), number);
		CHECK(pool.stats().dirty == 10);
		for (pgno_t i = 0; i < 20; i++)
			REQUIRE(written[i] == (i % 2 ? 0 : n));
	}
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < 20; i++)
		REQUIRE(written[i] == (i % 2 ? 0 : failures + 1));
	pool.sync();
	for (pgno_t i = 0; i < 20; i++) {
		REQUIRE(written[i] == (i % 2 ? 0 : failures + 1));
		REQUIRE(file.holds(i, i % 2 ? 0 : 1));
	}
}

TEST_CASE("pages written by earlier successful syncs are not written again when fsync fails")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 30);
	for (pgno_t i = 0; i < 10; i++)
		pool.modify(i, 1);
	pool.sync();
	for (pgno_t i = 10; i < 20; i++)
		pool.modify(i, 1);
	fault::Script script(
		file.fd(), [&](const Call &call) { return call.op == Op::sync ? fault::error(EIO) : fault::real(); });
	REQUIRE_FAILS(mpool_sync(pool), EIO);
	CHECK(pool.stats().dirty == 10);
}

TEST_CASE("a page modified, written by a sync whose fsync failed, is not evicted unwritten")
{
	File file(512, 200);
	Pool pool(file.fd(), 512, 8);
	Written written(200);
	fault::Script script(file.fd(), [&](const Call &call) {
		written.note(call);
		return call.op == Op::sync && call.nth == 0 ? fault::error(EIO) : fault::real();
	});
	pool.modify(3, 1);
	REQUIRE_FAILS(mpool_sync(pool), EIO);
	REQUIRE(written[3] == 1);
	pool.crowd_out(50);
	CHECK(written[3] == 2);
	CHECK(pool.shows(3, 1));
}

TEST_CASE("when fsync fails after eviction wrote a page that left memory, every later sync fails with EIO")
{
	const int number = GENERATE(EIO, ENOSPC, EAGAIN);
	CAPTURE(number);
	File file(512, 20);
	Pool pool(file.fd(), 512, 1);
	pool.modify(0, 1);
	void *page = pool.get(1); // in the only place
	pool.put(page);
	REQUIRE(pool.stats().writes == 1);
	REQUIRE(pool.stats().cached == 1);
	{
		fault::Script script(file.fd(),
			[&](const Call &call) { return call.op == Op::sync ? fault::error(number) : fault::real(); });
		REQUIRE_FAILS(mpool_sync(pool), EIO);
	}
	for (int n = 0; n < 5; n++) {
		pool.modify(2, 1);
		REQUIRE_FAILS(mpool_sync(pool), EIO);
	}
	// The rest works.
	for (pgno_t i = 3; i < 20; i++)
		REQUIRE(pool.shows(i, 0));
}

TEST_CASE("when fsync succeeded after eviction wrote a page, a later failure says nothing of that page")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 1);
	pool.modify(0, 1);
	pool.touch(1, 2);
	REQUIRE(pool.stats().writes == 1);
	pool.sync();
	{
		fault::Script script(file.fd(),
			[&](const Call &call) { return call.op == Op::sync ? fault::error(ENOSPC) : fault::real(); });
		pool.put(pool.get(1), MPOOL_DIRTY);
		REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
	}
	pool.sync();
	CHECK(pool.stats().dirty == 0);
}

TEST_CASE("mpool_sync waits for the write-back of a page by another thread, and flushes after it")
{
	const bool fails = GENERATE(false, true);
	CAPTURE(fails);
	for (size_t round = 0; round < shrink(30); round++) {
		File file(512, 100);
		Pool pool(file.fd(), 512, 4);
		for (pgno_t i = 0; i < 4; i++)
			pool.modify(i, 1);
		Gate in_write;
		Report report;
		std::atomic<bool> stopped{false}, evicting{true};
		std::atomic<pgno_t> first{0}, end{0};
		fault::Script script(file.fd(), [&](const Call &call) {
			if (call.op == Op::write && !stopped.exchange(true)) {
				first = static_cast<pgno_t>(call.offset / 512);
				end = first + static_cast<pgno_t>(call.bytes / 512);
				in_write.pass();
				return fails ? fault::error(EIO) : fault::real();
			}
			if (call.op == Op::sync)
				for (pgno_t i = first; i < end; i++)
					report.check(file.holds(i, 1), "flushed before a page was written");
			return fault::real();
		});
		Threads threads;
		threads.start([&] {
			errno = 0;
			void *page = mpool_get(pool, 50, 0);
			if (page)
				report.check(mpool_put(pool, page, 0) == 0, "mpool_put");
			else
				report.check(fails && errno == EIO, "mpool_get");
			evicting = false;
		});
		in_write.await(1);
		std::atomic<bool> calling{false};
		threads.start([&] {
			calling = true;
			report.check(mpool_sync(pool) == 0, "mpool_sync");
			for (pgno_t i = 0; i < 4; i++)
				report.check(file.holds(i, 1), "a modification is not in the file");
		});
		while (!calling)
			std::this_thread::yield();
		for (int n = 0; n < 100; n++)
			std::this_thread::yield(); // lets a sync that does not wait show it
		in_write.open();
		threads.join();
		report.require_none();
	}
}

TEST_CASE("two pools on one descriptor: what the one is told of a failed write-back does not keep it from the other")
{
	File file(512, 40);
	Pool one(file.fd(), 512, 4), two(file.fd(), 512, 4);
	fault::Script script(file.fd(), [&](const Call &call) {
		return call.op == Op::sync && fault::is_told(call.fd) ? fault::error(EIO) : fault::real();
	});
	for (pgno_t i = 0; i < 4; i++)
		one.modify(i, 1);
	one.crowd_out(20);
	REQUIRE(one.stats().dirty == 0);
	fault::write_back_fails(file.fd());
	CHECK(mpool_sync(two) == -1); // it has nothing to lose, and asks by the descriptor
	for (unsigned i = 0; i < 2; i++) {
		CHECK(mpool_sync(one) == -1);
		CHECK(errno == EIO);
	}
}

TEST_CASE("an interrupted fsync is called again")
{
	File file(512, 10);
	Pool pool(file.fd(), 512, 3);
	pool.modify(0, 1);
	fault::Script script(file.fd(), [](const Call &call) {
		return call.op == Op::sync && call.nth < 3 ? fault::error(EINTR) : fault::real();
	});
	pool.sync();
	CHECK(script.syncs() == 4);
}

TEST_CASE("a sync that could not write one page says so, whatever it could write after it")
{
	const pgno_t pages = 300; // more than one buffer's worth
	File file(512, pages);
	Pool pool(file.fd(), 512, pages);
	const bool pinned = GENERATE(false, true);
	CAPTURE(pinned);
	for (pgno_t i = 0; i < (pinned ? 2 : pages); i++)
		pool.modify(i, 1);
	void *stays = pinned ? pool.get(1) : nullptr; // such a page comes last
	{
		fault::Script script(file.fd(), [](const Call &call) {
			return call.op == Op::write && call.covers(0, 512) ? fault::error(ENOSPC) : fault::real();
		});
		REQUIRE_FAILS(mpool_sync(pool), ENOSPC);
	}
	if (pinned)
		pool.put(stays);
	pool.sync();
	CHECK(file.holds(0, 1));
}

TEST_CASE("pages that eviction wrote while an fsync was under way, and kept, are at risk until the next one")
{
	const pgno_t maxcache = 1024; // large enough to choose several pages at once
	File file(512, maxcache + 1);
	Pool pool(file.fd(), 512, maxcache);
	Report report;
	Written written(maxcache + 1);
	Gate in_fsync;
	const bool first_fails = GENERATE(true, false);
	CAPTURE(first_fails);
	std::atomic<unsigned> fsyncs{0};
	fault::Script script(file.fd(), [&](const Call &call) {
		written.note(call);
		if (call.op != Op::sync)
			return fault::real();
		unsigned nth = fsyncs++;
		if (nth == 0)
			in_fsync.pass();
		return nth == (first_fails ? 0 : 1) ? fault::error(EIO) : fault::real();
	});
	pool.touch(0, maxcache);
	Threads syncing;
	syncing.start([&] { report.check(mpool_sync(pool) == (first_fails ? -1 : 0), "the first mpool_sync"); });
	in_fsync.await(1);
	for (pgno_t i = 0; i < maxcache; i++)
		pool.modify(i, 1);
	pool.touch(maxcache, maxcache + 1);
	// One of them has left memory, the others stay until somebody needs their frames.
	std::vector<pgno_t> early;
	for (pgno_t i = 0; i < maxcache; i++)
		if (written[i] == 1)
			early.push_back(i);
	REQUIRE(early.size() >= 2);
	in_fsync.open();
	syncing.join();
	report.require_none();
	REQUIRE_FAILS(mpool_sync(pool), EIO);
	REQUIRE_FAILS(mpool_sync(pool), EIO); // for the one that has left
	size_t again = 0;
	for (pgno_t i : early)
		again += written[i] >= 2;
	CHECK(again == early.size() - 1);
}

TEST_CASE("a page that eviction wrote while an fsync was under way is not called safe when that fsync fails")
{
	File file(512, 60);
	Pool pool(file.fd(), 512, 2);
	Report report;
	Written written(60);
	Gate in_fsync, in_write;
	const bool left = GENERATE(true, false); // it left memory, or is just being written
	CAPTURE(left);
	std::atomic<bool> stop_fsync{true}, stop_write{!left};
	fault::Script script(file.fd(), [&](const Call &call) {
		written.note(call);
		if (call.op == Op::sync && stop_fsync.exchange(false)) {
			in_fsync.pass();
			return fault::error(EIO);
		}
		if (call.op == Op::write && call.covers(1, 512) && stop_write.exchange(false))
			in_write.pass();
		return fault::real();
	});
	pool.modify(0, 1);
	void *stays = pool.get(0); // what is said of page 1 must not come from this one
	Threads syncing, evicting;
	syncing.start([&] {
		errno = 0;
		report.check(mpool_sync(pool) == -1 && errno == EIO, "the mpool_sync whose fsync failed");
	});
	in_fsync.await(1);
	pool.modify(1, 1);
	evicting.start([&] {
		for (pgno_t i = 10; i < 60; i++) {
			void *page = mpool_get(pool, i, 0);
			report.check(page && mpool_put(pool, page, 0) == 0, "mpool_put");
		}
	});
	if (left)
		evicting.join();
	else
		in_write.await(1);
	REQUIRE(written[1] == 1);
	in_fsync.open();
	syncing.join();
	in_write.open();
	evicting.join();
	report.require_none();
	pool.put(stays);
	// The kernel may have lost page 1, and has said so.
	errno = 0;
	int result = mpool_sync(pool);
	int number = errno;
	if (result == 0)
		CHECK(written[1] == 2);
	else
		CHECK(number == EIO);
	if (left) {
		CHECK(result == -1);
		REQUIRE_FAILS(mpool_sync(pool), EIO);
	}
}

TEST_CASE("syncs of several threads, of which some fsyncs fail, never call lost pages safe")
{
	// A model of stable storage: what was written is safe when an fsync that
	// began later succeeds, and may be lost when one fails.
	const size_t rounds = shrink(300);
	const unsigned count = 3;
	const pgno_t each = 8, pages = count * each;
	File file(512, pages);
	Pool pool(file.fd(), 512, 100); // nothing is evicted
	Report report;
	std::mutex mutex;
	uint64_t now = 0;                     // counts calls
	std::vector<uint64_t> pending(pages); // when it was written, if not flushed since
	std::vector<uint64_t> safe(pages);    // when the last write that is safe was
	fault::Script script(file.fd(), [&](const Call &call) {
		std::lock_guard<std::mutex> lock(mutex);
		now++;
		if (call.op == Op::write)
			for (pgno_t i = 0; i < pages; i++)
				if (call.covers(i, 512))
					pending[i] = now;
		if (call.op != Op::sync)
			return fault::real();
		bool fails = mix(call.nth) % 3 == 0;
		for (pgno_t i = 0; i < pages; i++) {
			if (pending[i] && !fails)
				safe[i] = pending[i];
			pending[i] = 0; // flushed or lost: the system forgets it
		}
		return fails ? fault::error(EIO) : fault::real();
	});
	std::atomic<unsigned> failed{0};
	run_threads(count, [&](unsigned t) {
		for (size_t n = 0; n < rounds && !report.any(); n++) {
			uint64_t put_after;
			{
				std::lock_guard<std::mutex> lock(mutex);
				put_after = now;
			}
			for (pgno_t pgno = t * each; pgno < (t + 1) * each; pgno++) {
				void *page = mpool_get(pool, pgno, 0);
				if (!report.check(page != nullptr, "mpool_get"))
					return;
				report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
			}
			errno = 0;
			if (mpool_sync(pool) != 0) {
				report.check(errno == EIO, "errno of mpool_sync");
				failed++;
				continue;
			}
			std::lock_guard<std::mutex> lock(mutex);
			for (pgno_t pgno = t * each; pgno < (t + 1) * each; pgno++)
				report.check(safe[pgno] > put_after, "a sync succeeded for a page that may be lost");
		}
	});
	report.require_none();
	CHECK(failed > 0);
	int result = -1;
	for (int n = 0; n < 50 && result != 0; n++)
		result = mpool_sync(pool);
	CHECK(result == 0);
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < pages; i++)
		CHECK(pending[i] == 0);
}

TEST_CASE("mpool_sync_range writes, or flushes, or both, as its flags say")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 20);
	fault::Script script(file.fd(), [&](const Call &) { return fault::real(); });
	for (pgno_t i = 0; i < 20; i++)
		pool.modify(i, 1);
	CHECK(mpool_sync_range(pool, 0, 2, MPOOL_WRITE) == 0);
	CHECK((script.writes() == 1 && script.syncs() == 0));
	CHECK(mpool_sync_range(pool, 0, 2, MPOOL_FLUSH) == 0);
	CHECK((script.writes() == 1 && script.syncs() == 1));
	CHECK(mpool_sync_range(pool, 2, 2, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	CHECK((script.writes() == 2 && script.syncs() == 2));
	// Nothing of it is modified; it may be that another wrote it, and nobody has flushed it.
	CHECK(mpool_sync_range(pool, 2, 2, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	CHECK((script.writes() == 2 && script.syncs() == 3));
}

TEST_CASE("when a page of mpool_sync_range cannot be written the others are, and the file is not flushed")
{
	const int number = GENERATE(EIO, ENOSPC, EDQUOT);
	CAPTURE(number);
	File file(512, 20);
	Pool pool(file.fd(), 512, 20);
	std::atomic<bool> fails{true};
	fault::Script script(file.fd(), [&](const Call &call) {
		return fails && call.op == Op::write && call.covers(2, 512) ? fault::error(number) : fault::real();
	});
	for (pgno_t i = 0; i < 20; i += 2)
		pool.modify(i, 1);
	REQUIRE_FAILS(mpool_sync_range(pool, 0, 6, MPOOL_WRITE | MPOOL_FLUSH), number);
	CHECK((file.holds(0, 1) && !file.holds(2, 1) && file.holds(4, 1) && !file.holds(6, 1)));
	CHECK(script.syncs() == 0);
	REQUIRE_FAILS(mpool_sync_range(pool, 2, 1, MPOOL_WRITE), number);
	// Its own pages can be written.
	CHECK(mpool_sync_range(pool, 6, 2, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	fails = false;
	CHECK(mpool_sync_range(pool, 0, 6, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	CHECK(file.holds(2, 1));
	CHECK(pool.stats().write_errno == static_cast<uint64_t>(number)); // until all has been synced
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
}

TEST_CASE(
	"mpool_sync_range of all pages, written and flushed, is mpool_sync: it has made up for the failures before it")
{
	const pgno_t pages = 10;
	const pgno_t n = GENERATE(as<pgno_t>{}, 9, 10, 11, MAX_PAGE_NUMBER);
	const bool whole = GENERATE(false, true), pinned = GENERATE(false, true),
		   all = n >= pages && !(whole && pinned);
	CAPTURE(n, whole, pinned);
	File file(512, pages);
	Pool pool(file.fd(), 512, pages);
	{
		fault::Script script(file.fd(), [](const fault::Call &c) {
			return c.op == fault::Op::write ? fault::error(ENOSPC) : fault::real();
		});
		pool.modify(3, 1);
		REQUIRE(mpool_sync(pool) == -1);
		REQUIRE(pool.stats().write_errno == ENOSPC);
	}
	void *page = pool.get(5);
	if (pinned)
		pool.put(pool.get(5), MPOOL_DIRTY);
	CHECK(mpool_sync_range(pool, 0, n, MPOOL_WRITE | MPOOL_FLUSH | (whole ? MPOOL_WHOLE : 0)) ==
		(whole && pinned ? 1 : 0));
	CHECK(pool.stats().write_errno == static_cast<uint64_t>(all ? 0 : ENOSPC));
	pool.put(page);
	pool.sync();
	CHECK(pool.stats().write_errno == 0);
}

TEST_CASE("when the flush of mpool_sync_range fails its pages are modified again")
{
	const int number = GENERATE(EIO, ENOSPC, EDQUOT);
	CAPTURE(number);
	File file(512, 20);
	Pool pool(file.fd(), 512, 20);
	Written written(20);
	fault::Script script(file.fd(), [&](const Call &call) {
		written.note(call);
		return call.op == Op::sync && call.nth == 0 ? fault::error(number) : fault::real();
	});
	for (pgno_t i = 0; i < 20; i++)
		pool.modify(i, 1);
	CHECK(mpool_sync_range(pool, 0, 2, MPOOL_WRITE) == 0);
	REQUIRE_FAILS(mpool_sync_range(pool, 4, 2, MPOOL_WRITE | MPOOL_FLUSH), number);
	CHECK(pool.stats().dirty == 20);
	CHECK(mpool_sync_range(pool, 4, 2, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	CHECK((written[4] == 2 && written[5] == 2 && written[0] == 1));

	// What was written before is to be flushed: so it is written again.
	CHECK(mpool_sync_range(pool, 0, 2, MPOOL_FLUSH) == 0);
	CHECK((written[0] == 2 && written[1] == 2));
	CHECK(pool.stats().dirty == 0);
	// And from then on a flush is one.
	pool.modify(7, 2);
	uint64_t writes = script.writes();
	CHECK(mpool_sync_range(pool, 0, 2, MPOOL_FLUSH) == 0);
	CHECK(script.writes() == writes);
}

TEST_CASE("a flush that has to write is not for who has a latch, as another had failed before")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 20);
	fault::Script script(file.fd(), [&](const Call &call) {
		return call.op == Op::sync && call.nth == 0 ? fault::error(EIO) : fault::real();
	});
	pool.modify(0, 1);
	CHECK(mpool_sync_range(pool, 0, 1, MPOOL_WRITE) == 0);
	REQUIRE_FAILS(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH), EIO);
	void *page = pool.get(0);
	REQUIRE(mpool_latch(pool, page, MPOOL_EXCLUSIVE) == 0);
	REQUIRE_FAILS(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH), EDEADLK);
	REQUIRE(mpool_unlatch(pool, page, 0) == 0);
	CHECK(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH) == 0);
	CHECK(file.holds(0, 1));
	pool.put(page);
}

TEST_CASE("when a flush fails after eviction wrote a page that left memory, mpool_sync_range fails for good")
{
	File file(512, 60);
	Pool pool(file.fd(), 512, 4);
	fault::Script script(file.fd(), [&](const Call &call) {
		return call.op == Op::sync && call.nth == 0 ? fault::error(EIO) : fault::real();
	});
	pool.modify(0, 1);
	pool.crowd_out(10);
	REQUIRE_FAILS(mpool_sync_range(pool, 5, 1, MPOOL_FLUSH), EIO);
	REQUIRE_FAILS(mpool_sync_range(pool, 5, 1, MPOOL_FLUSH), EIO);
	REQUIRE_FAILS(mpool_sync_range(pool, 5, 1, MPOOL_WRITE | MPOOL_FLUSH), EIO);
	CHECK(mpool_sync_range(pool, 5, 1, MPOOL_WRITE) == 0);
}

TEST_CASE("a flush with MPOOL_WHOLE that has to write, as another had failed before, writes no pinned page")
{
	File file(512, 20);
	Pool pool(file.fd(), 512, 20);
	fault::Script script(file.fd(), [&](const Call &call) {
		return call.op == Op::sync && call.nth == 0 ? fault::error(EIO) : fault::real();
	});
	for (pgno_t i = 0; i < 3; i++)
		pool.modify(i, 1);
	CHECK(mpool_sync_range(pool, 0, 3, MPOOL_WRITE) == 0);
	REQUIRE_FAILS(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH | MPOOL_WHOLE), EIO);
	void *page = pool.get(1);
	fill(page, 512, 1, 2);
	for (int n = 0; n < 2; n++) // it is not over with the first
		CHECK(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH | MPOOL_WHOLE) == 1);
	CHECK(file.holds(1, 1));
	CHECK(pool.stats().dirty == 1);
	pool.put(page, MPOOL_DIRTY);
	CHECK(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH | MPOOL_WHOLE) == 0);
	CHECK(file.holds(1, 2));
	CHECK(pool.stats().dirty == 0);
	uint64_t writes = script.writes();
	pool.modify(2, 3);
	CHECK(mpool_sync_range(pool, 0, 1, MPOOL_FLUSH | MPOOL_WHOLE) == 0);
	CHECK(script.writes() == writes);
}
