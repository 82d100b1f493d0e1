// model.hpp - what a pool that one thread uses must do, call by call.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// Owns the file and what is true of it: its bytes, seen at each write; each
// page's bytes in the pool, pins, and whether it is modified.  The model does
// not know which pages are in memory, as that is the pool's own business; where
// the answer depends on it, it allows both, and goes on from what it sees.
#ifndef MPOOL_TESTS_FUZZ_MODEL_HPP
#define MPOOL_TESTS_FUZZ_MODEL_HPP

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../fault_io.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <mpool.h>
#pragma GCC diagnostic pop

namespace fuzz {

using Bytes = std::vector<unsigned char>;

// The pool broke a promise: says so, with the calls that led there, and aborts.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// For fail: what is called now.
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_clear();

// What is to go wrong, and what did, in the call that is made just now.
struct Faults {
	enum Kind {
		none,
		read_fails,
		write_fails,
		sync_fails,
		no_memory,
		in_refuses,
		out_refuses,
		batch_refused,
		KINDS
	};
	Kind kind = none;
	unsigned countdown = 0; // calls of the kind until then
	int error = 0;
	size_t shorter = 0; // not 0: the transfer before it is cut to that many bytes
	// Since the last call began:
	bool struck = false;
	int struck_error = 0;
	bool sync_struck = false;
	// ... and before, since the last sync that succeeded: the pool keeps the first error of a write.
	std::set<int> before;

	void begin()
	{
		if (struck)
			before.insert(struck_error);
		struck = sync_struck = false;
	}
	bool due(Kind of) { return kind == of && countdown-- == 0; }
	void strike()
	{
		struck = true;
		struck_error = kind == no_memory ? 12 /* ENOMEM */ : error;
		sync_struck |= kind == sync_fails;
		kind = none;
	}
};
extern Faults faults;
// Is a call of the library's under way?  Else nothing of the test's own fails.
extern bool in_call;
extern unsigned long calls_made, evictions_seen; // the pages that are got after them show what was lost

enum class Dirty { no, maybe, yes };
enum class Latch { none, shared, exclusive };

struct Page {
	Bytes bytes; // in the pool, if it is there
	unsigned pins = 0;
	void *address = nullptr; // while it is pinned
	Dirty dirty = Dirty::no;
	bool unsynced = false; // written since the last fsync that succeeded
	bool kept = false;     // and pinned ever since
	Latch latch = Latch::none;
	uint64_t changes = 0; // exclusive latches that have ended, deletions, and cuts, or that it was forgotten
	uint64_t leaves = 0;  // so often it was neither pinned nor latched, and may have left memory

	bool stays() const { return pins > 0 || latch != Latch::none; }
};

// What mpool_peek gave.
struct Peek {
	uint32_t pgno;
	const void *address;
	uint64_t version, changes, leaves;
	bool stayed; // it was pinned or latched
};

// Of a sync: which pages, and what for.  mpool_sync is of all.
struct Scope {
	uint32_t first = 0, n = MAX_PAGE_NUMBER;
	unsigned flags = MPOOL_WRITE | MPOOL_FLUSH;

	bool writes(uint32_t pgno) const { return (flags & MPOOL_WRITE) && pgno >= first && pgno - first < n; }
	bool flushes() const { return flags & MPOOL_FLUSH; }
	bool only_flushes() const { return !(flags & MPOOL_WRITE); }
	bool whole() const { return flags & MPOOL_WHOLE; }
};

// What the pool's statistics have of another file.
struct Others {
	uint64_t pinned, dirty, gets, reads, writes, cached;
};

// Which hooks there are.
enum Hooks : unsigned { hook_in = 1, hook_out = 2, hook_before_write = 4, no_hooks = 0, all_hooks = 7 };

class Model {
public:
	Model(uint32_t page_size, uint64_t length, bool filters, unsigned hooks);
	~Model();
	Model(const Model &) = delete;
	Model &operator=(const Model &) = delete;

	int fd() const { return fd_; }
	uint32_t page_size() const { return page_size_; }
	uint64_t pages() const { return pages_; }
	bool filters() const { return filters_; }

	// The pool is opened, or opened again after it was closed: all is as the file has it.
	void opened(uint32_t maxcache);
	// mpool_open found too little memory, and made do with less.
	void cache_may_be_smaller(MPOOL *mp);
	// mpool_tune: is there room for so many?  There is from now on.
	bool cache_fits(uint64_t pages) const { return pages <= maxcache_at_open_; }
	void cache_is(uint64_t pages)
	{
		maxcache_ = pages ? static_cast<uint32_t>(pages) : 1;
		resized_ = true;
	}
	// A page's record; it begins as what the file has.
	Page &page(uint32_t pgno);
	// A get, or peek, gave `address`: are its bytes right?
	void look(uint32_t pgno, const void *address);
	void got(uint32_t pgno, void *address);
	void modified(uint32_t pgno); // the caller has changed its bytes, at its address
	void put(uint32_t pgno, bool dirty);
	void made(uint32_t pgno, void *address, bool next);
	void deleted(uint32_t pgno);
	// A sync begins; and ends: how many pages were withheld, or -1.
	void syncs(const Scope &scope)
	{
		scope_ = scope;
		flushed_ = false;
	}
	void synced(ssize_t result, int error);
	// The thread has latched the page, or it has ended that latch.
	void latched(uint32_t pgno, bool exclusive);
	void unlatched(uint32_t pgno, bool dirty);
	unsigned exclusive() const;
	// A flush has failed, and nothing has made up for it.
	bool undone() const { return undone_; }
	// MPOOL_LATCHED.
	void all_latch(bool do_they) { all_latch_ = do_they; }
	// What a peek of the page gave; and what is known of it now: was it changed, is it surely unchanged?
	Peek peeked(uint32_t pgno, const void *address, uint64_t version);
	bool changed(const Peek &peek);
	bool unchanged(const Peek &peek);
	// mpool_truncate, mpool_invalidate: may it be done?  It is.  Another writes a page that is not in memory, or clean.
	bool any_pinned(uint64_t first, uint64_t n) const;
	Dirty any_dirty(uint64_t first, uint64_t n) const;
	void truncated(uint32_t pages);
	void invalidated(uint64_t first, uint64_t n);
	void written_by_another(uint32_t pgno, unsigned char byte);
	// mpool_new of that page failed for want of memory: the number may be used up.
	void number_may_be_used(MPOOL *mp, uint64_t pgno);
	// A get or new failed that may have done some of its work.
	void failed() { failed_before_ = true; }
	// Was the page ever got or made, so that it may be in memory?
	bool seen(uint32_t pgno) const { return page_.count(pgno) > 0; }

	// Pinned pages, and which of them is at an address; none: nullptr.
	const std::vector<uint32_t> &pinned() const { return pinned_; }
	bool pinned_at(const void *address, uint32_t *pgno) const;
	// Latched pages, pinned or not.
	const std::vector<uint32_t> &latched() const { return latched_; }
	bool latched_at(const void *address, uint32_t *pgno) const;

	// All pinned pages' bytes, and the statistics.
	void check(MPOOL *mp, const Others &others);
	// The file's bytes, read around the pool.
	void check_file() const;

	fault::Fate on_call(const fault::Call &call);
	uint64_t gets = 0;      // that succeeded, since it was opened
	bool beside_it = false; // another file has been in the pool, and may have numbers

private:
	void wrote(uint64_t at, uint64_t bytes);
	void check_write(const fault::Call &call);
	Bytes in_file(uint32_t pgno) const; // as the pool would read it now
	void convert(uint32_t pgno, Bytes &bytes) const;
	static void filter(void *model, pgno_t pgno, void *page);
	static int in(void *model, pgno_t pgno, void *page);
	static int out(void *model, pgno_t pgno, void *page);
	static int before_write(void *model, const pgno_t *pgnos, void *const *pages, size_t n);
	int refusal(Faults::Kind kind);
	void check_image(const char *where, uint32_t pgno, const void *image);
	void leaves(Page &p);
	Bytes raw(uint32_t pgno) const;
	bool unwritten(uint32_t pgno) const { return pgno >= extent_ || pgno == tail_; }

public:
	mpool_filter_t *the_filter() const { return filters_ ? filter : nullptr; }
	struct mpool_hooks the_hooks();

private:
	int fd_;
	uint32_t page_size_;
	bool filters_;
	unsigned hooks_;
	std::map<uint32_t, Bytes> file_; // pages that are not all zeros, perhaps partly past the end
	uint64_t length_;
	// Since it was opened:
	uint32_t maxcache_ = 0, maxcache_at_open_ = 0;
	bool resized_ = false; // what was pinned beyond the limit is so still when it is raised
	uint64_t pages_ = 0, extent_ = 0, tail_ = 0;
	std::map<uint32_t, Page> page_;
	std::map<uint32_t, uint64_t> changes_; // of pages that were cut off
	std::vector<uint32_t> pinned_, latched_;
	size_t most_staying_ = 0; // pinned or latched
	std::set<uint32_t> announced_;
	Scope scope_;
	bool flushed_ = false; // since the sync began
	bool all_latch_ = false;
	bool undone_ = false; // a flush has failed: a flush alone writes all that is modified
	uint64_t reads_ = 0, writes_ = 0;
	uint64_t run_start_ = 0, run_end_ = 0; // a write that goes on after a short one
	bool may_be_lost_ = false, lost_ = false;
	bool cut_unsynced_ =
		false; // a page was written, not flushed, and cut off: the pool may know of one that left memory
	bool failed_before_ = false; // some call failed: statistics of the overflow are looser
};

} // namespace fuzz

#endif
