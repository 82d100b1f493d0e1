// power.hpp - what a file can be after the power fails: a log of the writes and
// fsyncs of a pool, and at each point of it everything that the disk may hold.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// What a disk may hold of a sector, at a point of the log: what the last write
// left there that an fsync has covered, one that began after the write had
// ended and that has ended well; or what any later write brought that has begun
// by then.  Each sector for itself: writes are torn at its bounds, and overtake
// each other.  After an fsync that failed, what was written before it ended may
// never reach the disk, unless it is written again.
//
// Every 8-byte word of a page says of which page, place and version it is, so
// that a mixture is seen for what it is, and a page torn while it was rewritten
// is no alarm: it is right if each word is of the version promised, or a later.
//
// Since the promise is about each sector, looking at all that each may hold is
// looking at all that the file may be.
#ifndef MPOOL_TESTS_POWER_HPP
#define MPOOL_TESTS_POWER_HPP

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <mpool.h>

namespace power {

constexpr size_t sector_size = 512, page_size = 2048;
constexpr size_t sectors_a_page = page_size / sector_size, words_a_page = page_size / 8;
constexpr size_t words_a_sector = sector_size / 8;

using Version = uint32_t; // 0: all zeros, as the file begins

uint64_t word_of(pgno_t pgno, size_t index, Version version);
// False: no version of that word of the page is like this.
bool version_of(pgno_t pgno, size_t index, uint64_t word, Version &version);

// By page: the version that it has, at least.
using Versions = std::vector<Version>;

struct Event {
	enum Kind { write_begins, write_ends, fsync_begins, fsync_ends, fsync_fails, promise } kind;
	uint64_t id;  // of the write
	off_t offset; // of a write that begins,
	std::vector<char> bytes;
	Versions versions; // of a promise
};

// Threads add to it; the order of their calls is that of the log.
class Log {
public:
	uint64_t write_begins(off_t offset, const void *bytes, size_t size);
	void write_ends(uint64_t id);
	void fsync_begins();
	void fsync_ends(bool well);
	// A sync has returned 0, before which these had been put.
	void promise(const Versions &versions);

	const std::vector<Event> &events() const { return events_; } // when all is quiet

private:
	void add(Event event);
	std::mutex mutex_;
	std::vector<Event> events_;
	uint64_t writes_ = 0;
};

// The disk, at a point of the log.
class Disk {
public:
	explicit Disk(size_t pages);

	// The next event.  What is wrong at a cut after it; empty: nothing, whatever
	// the disk holds.
	std::string take(const Event &event);

	const Versions &promised() const { return promised_; }
	size_t uncertain() const; // sectors that may be one thing or another
	// What the file may be.  `choose` gets a number n and returns one below it;
	// 0: what is certainly there, n - 1: what was written last.
	std::vector<char> image(const std::function<size_t(size_t)> &choose) const;

private:
	struct Content {
		std::vector<char> bytes; // none: zeros, or the file ends before
		uint64_t write;
		bool ended, covered, doomed;
		Version least;
	};
	std::string write_begins(const Event &event);
	std::string promise(const Versions &versions);
	std::string judge(size_t sector) const;
	template <class F> void each_content(F f);

	std::vector<std::vector<Content>> may_hold_; // by sector, in order
	Versions promised_;
	bool in_fsync_ = false;
};

// What is wrong with a file's bytes, beside what was promised; empty: nothing.
std::string wrong_in(const char *bytes, size_t size, const Versions &promised);

} // namespace power

#endif
