// test_power_log.cpp - the power fails under the write-ahead log of examples/wal.h: no page on the disk is newer
// than the log there, at any point, and what was committed is there when the log has been replayed.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"
#include "support.hpp"

#include <array>
#include <map>
#include <memory>

#include "wal.h"

using namespace test;
using fault::Call;
using fault::Op;

namespace {

constexpr size_t page_size = 2048, sector = 512;
constexpr pgno_t pages = 48, maxcache = 12;
constexpr unsigned updaters = 3;
constexpr size_t updates = 1500; // by each thread
constexpr unsigned cuts = 60;

// A slot holds the LSN of the record that has set it; the first is the page's own.
constexpr size_t slots = page_size / 8;

uint64_t seed_of_run()
{
	const char *given = getenv("MPOOL_TEST_SEED");
	return given ? strtoull(given, nullptr, 0)
	             : mix(static_cast<uint64_t>(getpid()) ^ static_cast<uint64_t>(time(nullptr)));
}

// What happens to the two files, in the order in which it does.
struct Event {
	enum Kind { write_begins, write_ends, flush_begins, flush_ends, committed } kind;
	bool log;    // which file
	uint64_t id; // of the write, or the flush; or the LSN that was committed
	off_t offset;
	std::vector<char> bytes;
};

class Events {
public:
	void add(Event event)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		all_.push_back(std::move(event));
	}
	uint64_t write_begins(bool log, const Call &call)
	{
		const char *from = static_cast<const char *>(call.from);
		std::lock_guard<std::mutex> lock(mutex_);
		all_.push_back({Event::write_begins, log, writes_, call.offset, {from, from + call.bytes}});
		return writes_++;
	}
	// In the order of their numbers, from 1.
	uint64_t flush_begins(bool log)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		all_.push_back({Event::flush_begins, log, ++flushes_, 0, {}});
		return flushes_;
	}
	const std::vector<Event> &all() const { return all_; } // when all is quiet

private:
	std::mutex mutex_;
	std::vector<Event> all_;
	uint64_t writes_ = 0, flushes_ = 0;
};

// What the disk may hold of a file: of each sector what is certain, and whatever was written since.
class Disk {
public:
	void take(const Event &event)
	{
		switch (event.kind) {
		case Event::write_begins:
			for (size_t done = 0; done < event.bytes.size();) {
				size_t at = static_cast<size_t>(event.offset) + done, into = at % sector;
				size_t n = std::min(sector - into, event.bytes.size() - done);
				std::vector<Content> &may = may_hold_[at / sector];
				if (may.empty())
					may.push_back({std::vector<char>(sector), 0, true, 0});
				Content next = {may.back().bytes, event.id, false, uncovered};
				memcpy(next.bytes.data() + into, event.bytes.data() + done, n);
				may.push_back(std::move(next));
				done += n;
			}
			break;
		case Event::write_ends:
			each([&](Content &c) { c.ended |= c.write == event.id; });
			break;
		case Event::flush_begins:
			each([&](Content &c) { c.covered = c.ended ? std::min(c.covered, event.id) : uncovered; });
			break;
		default:
			for (auto &of : may_hold_) {
				std::vector<Content> &may = of.second;
				size_t certain = may.size() - 1;
				while (may[certain].covered > event.id)
					certain--;
				may.erase(may.begin(), may.begin() + static_cast<std::ptrdiff_t>(certain));
				may.front().covered = 0; // also by one that began before, and ends later
			}
		}
	}

	// `choose` gets a number n and returns one below it: 0 is what is certain, n - 1 what came last.
	void write_image(int fd, const std::function<size_t(size_t)> &choose) const
	{
		for (const auto &of : may_hold_) {
			const Content &c = of.second[choose(of.second.size())];
			REQUIRE(pwrite(fd, c.bytes.data(), sector, static_cast<off_t>(of.first * sector)) ==
				static_cast<ssize_t>(sector));
		}
	}

private:
	struct Content {
		std::vector<char> bytes;
		uint64_t write;
		bool ended;
		uint64_t covered; // by the flush of that number, and all later ones
	};
	static constexpr uint64_t uncovered = UINT64_MAX;
	template <class F> void each(F f)
	{
		for (auto &of : may_hold_)
			for (Content &c : of.second)
				f(c);
	}
	std::map<size_t, std::vector<Content>> may_hold_;
};

// Threads update two pages at a time, by the log; some commit; one makes checkpoints.
class Run {
public:
	explicit Run(uint64_t seed) : seed_(seed), data_(page_size), log_(1)
	{
		data_.truncate(off_t{pages} * page_size);
	}

	void run(unsigned cleaners)
	{
		fault::Script script(
			data_.fd(), [this](const Call &call) { return begins(call); },
			[this](const Call &call, ssize_t result) { ends(call, result); });
		script.also(log_.fd());
		Pool pool(data_.fd(), page_size, maxcache);
		struct mpool_hooks hooks = {nullptr, nullptr, wal_before_write, &wal_};
		REQUIRE(mpool_hooks(pool, &hooks, sizeof hooks) == 0);
		REQUIRE(mpool_tune(pool, MPOOL_LATCHED, 1) == 0);
		REQUIRE(wal_replay(&wal_, log_.fd(), pool) == 0);
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, cleaners) == 0);
		std::atomic<unsigned> left{updaters};
		run_threads(updaters + 1, [&](unsigned t) {
			if (t < updaters) {
				update(pool, t);
				left--;
			}
			while (t == updaters && left > 0 && !report_.any())
				checkpoint(pool);
		});
		report_.require_none();
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 0) == 0);
		evictions = pool.stats().evictions;
	}

	const std::vector<Event> &events() const { return events_.all(); }
	uint64_t evictions = 0;
	std::atomic<uint64_t> checkpoints{0};

private:
	fault::Fate begins(const Call &call)
	{
		bool log = call.fd == log_.fd();
		if (call.op == Op::sync) {
			flush_ = events_.flush_begins(log);
			for (int n = 0; n < 5; n++)
				std::this_thread::yield(); // a disk takes its time
			return fault::at_most(0);          // none of this disk's
		}
		if (call.op == Op::write)
			write_ = events_.write_begins(log, call);
		return fault::real();
	}

	void ends(const Call &call, ssize_t)
	{
		bool log = call.fd == log_.fd();
		if (call.op == Op::write)
			events_.add({Event::write_ends, log, write_, 0, {}});
		else if (call.op == Op::sync)
			events_.add({Event::flush_ends, log, flush_, 0, {}});
	}

	char *lock(const Pool &pool, pgno_t page)
	{
		void *at = mpool_get(pool, page, 0);
		report_.check(at != nullptr, "mpool_get");
		report_.check(at && mpool_latch(pool, at, MPOOL_EXCLUSIVE) == 0, "mpool_latch");
		return static_cast<char *>(at);
	}

	// The value is the record's LSN, which is known when it has been appended: nobody else appends meanwhile.
	void update(const Pool &pool, unsigned t)
	{
		Random random(seed_ * (updaters + 1) + t);
		for (size_t n = 0; n < shrink(updates) && !report_.any(); n++) {
			pgno_t a = static_cast<pgno_t>(random.below(pages - 1));
			pgno_t b = a + 1 + static_cast<pgno_t>(random.below(pages - 1 - a));
			char *at[2] = {lock(pool, a), lock(pool, b)};
			if (report_.any())
				return;
			wal_change change[WAL_CHANGES] = {};
			pthread_rwlock_rdlock(&updating_);
			uint64_t lsn;
			{
				std::lock_guard<std::mutex> appending(appending_);
				lsn = wal_.end + sizeof(wal_record);
				for (unsigned i = 0; i < 2; i++)
					change[i] = {i ? b : a,
						static_cast<uint32_t>(8 * (1 + random.below(slots - 1))), lsn};
				report_.check(wal_append(&wal_, change) == lsn, "wal_append");
			}
			for (unsigned i = 0; i < 2; i++) {
				memcpy(at[i], &lsn, sizeof lsn);
				if (random.below(8) == 0)
					std::this_thread::yield();
				memcpy(at[i] + change[i].at, &lsn, sizeof lsn);
				report_.check(mpool_unlatch(pool, at[i], MPOOL_DIRTY) == 0, "mpool_unlatch");
				report_.check(mpool_put(pool, at[i], MPOOL_DIRTY) == 0, "mpool_put");
			}
			pthread_rwlock_unlock(&updating_);
			if (random.below(10) != 0)
				continue;
			report_.check(wal_flush(&wal_, lsn) == 0, "wal_flush");
			events_.add({Event::committed, true, lsn, 0, {}});
		}
	}

	void checkpoint(const Pool &pool)
	{
		pthread_rwlock_wrlock(&updating_);
		uint64_t end = wal_.end;
		pthread_rwlock_unlock(&updating_);
		ssize_t left = mpool_sync_range(pool, 0, MAX_PAGE_NUMBER, MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE);
		report_.check(left >= 0, "mpool_sync_range");
		if (left == 0)
			report_.check(wal_cut(&wal_, end) == 0, "wal_cut");
		checkpoints += left == 0;
	}

	uint64_t seed_;
	File data_, log_;
	Events events_;
	Report report_;
	wal wal_ = {0, 0, 0, 0, PTHREAD_MUTEX_INITIALIZER};
	std::mutex appending_;
	pthread_rwlock_t updating_ = PTHREAD_RWLOCK_INITIALIZER;
	static thread_local uint64_t write_, flush_; // that this thread is making
};

thread_local uint64_t Run::write_, Run::flush_;

// How far the log is certainly on the disk.
class LogEnd {
public:
	void take(const Event &event)
	{
		if (!event.log || event.kind == Event::committed)
			return;
		if (event.kind == Event::write_begins && event.offset > 0)
			begun_[event.id] = static_cast<uint64_t>(event.offset) + event.bytes.size();
		else if (event.kind == Event::write_ends && begun_.count(event.id))
			ended_ = std::max(ended_, begun_[event.id]);
		else if (event.kind == Event::flush_begins)
			covers_[event.id] = ended_;
		else if (event.kind == Event::flush_ends)
			certain = std::max(certain, covers_[event.id]);
	}
	uint64_t certain = WAL_FIRST;

private:
	std::map<uint64_t, uint64_t> begun_, covers_;
	uint64_t ended_ = WAL_FIRST;
};

// The first page that is newer than the log, wherever the power fails; empty: none.
std::string newer_than_log(const std::vector<Event> &events)
{
	LogEnd log;
	for (size_t i = 0; i < events.size(); i++) {
		const Event &event = events[i];
		log.take(event);
		if (event.log || event.kind != Event::write_begins)
			continue;
		for (size_t at = 0; at + 8 <= event.bytes.size(); at += 8) {
			uint64_t lsn;
			memcpy(&lsn, event.bytes.data() + at, sizeof lsn);
			if (lsn > log.certain)
				return "event " + std::to_string(i) + ": page " +
				       std::to_string((static_cast<size_t>(event.offset) + at) / page_size) + " has " +
				       std::to_string(lsn) + ", and the log ends at " + std::to_string(log.certain);
		}
	}
	return {};
}

// Every record that was ever appended.
std::map<uint64_t, wal_record> records(const std::vector<Event> &events)
{
	std::map<uint64_t, wal_record> all;
	for (const Event &event : events)
		if (event.log && event.kind == Event::write_begins && event.offset > 0) {
			wal_record r;
			memcpy(&r, event.bytes.data(), sizeof r);
			all[r.end] = r;
		}
	return all;
}

// After the power was cut: the log is replayed, and the pages are as the records up to its end have left them.
std::string wrong_after(const Disk &data, const Disk &log, const std::map<uint64_t, wal_record> &all,
	uint64_t committed, const std::function<size_t(size_t)> &choose)
{
	File pages_file(page_size), log_file(1);
	pages_file.truncate(off_t{pages} * page_size);
	data.write_image(pages_file.fd(), choose);
	log.write_image(log_file.fd(), choose);
	Pool pool(pages_file.fd(), page_size, maxcache);
	wal w = {0, 0, 0, 0, PTHREAD_MUTEX_INITIALIZER};
	struct mpool_hooks hooks = {nullptr, nullptr, wal_before_write, &w};
	REQUIRE(mpool_hooks(pool, &hooks, sizeof hooks) == 0);
	if (wal_replay(&w, log_file.fd(), pool) < 0)
		return std::string("the log cannot be replayed: ") + strerror(errno);
	if (w.end < committed)
		return "committed is " + std::to_string(committed) + ", and the log ends at " + std::to_string(w.end);
	std::vector<std::array<uint64_t, slots>> expected(pages);
	for (const auto &r : all)
		for (const wal_change &c : r.second.change)
			if (r.first <= w.end && c.at)
				expected[c.page][c.at / 8] = expected[c.page][0] = r.first;
	for (pgno_t i = 0; i < pages; i++) {
		void *page = pool.get(i);
		bool same = memcmp(static_cast<char *>(page) + 8, &expected[i][1], page_size - 8) == 0;
		pool.put(page);
		if (!same)
			return "page " + std::to_string(i) + " is not as the log has it, up to " +
			       std::to_string(w.end);
	}
	return {};
}

} // namespace

TEST_CASE("wherever the power fails no page is newer than the log; replayed, it has all that was committed")
{
	const unsigned cleaners = GENERATE(0u, 1u);
	const uint64_t seed = seed_of_run();
	INFO("MPOOL_TEST_SEED=" << seed);
	Run run(seed);
	run.run(cleaners);
	const std::vector<Event> &events = run.events();
	REQUIRE(newer_than_log(events) == "");

	const std::map<uint64_t, wal_record> all = records(events);
	Disk data, log;
	Random random(seed);
	uint64_t committed = 0;
	size_t share = std::max<size_t>(1, events.size() / shrink(cuts));
	unsigned cut = 0;
	for (size_t i = 0; i < events.size(); i++) {
		if (events[i].kind == Event::committed)
			committed = std::max(committed, events[i].id);
		else
			(events[i].log ? log : data).take(events[i]);
		if (random.below(share) != 0 && i + 1 < events.size())
			continue;
		for (unsigned kind = 0; kind < 3; kind++) { // nothing uncertain is there; all of it; by chance
			INFO("cut after event " << i << ", image " << kind);
			REQUIRE(wrong_after(data, log, all, committed, [&](size_t n) {
				return kind == 0 ? 0 : kind == 1 ? n - 1 : static_cast<size_t>(random.below(n));
			}) == "");
		}
		cut++;
	}
	// Is this the run that it is meant to be?
	CHECK(run.evictions > 0);
	CHECK(run.checkpoints > 0);
	CHECK(committed > 0);
	CHECK(cut >= shrink(cuts) / 2);
	WARN(events.size() << " cuts, " << run.checkpoints << " checkpoints, " << run.evictions << " evictions, " << cut
			   << " replays");
}
