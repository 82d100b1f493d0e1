// sweep.hpp - "fail at every call in turn": workloads through the public calls,
// run with the first, the second, the third ... call of a kind failing, until a
// run needs no more; and a model of the pool that says after each what is true.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// What is checked in each run: each call fails only where the fault allows it,
// and with its errno; one fault fails one call at most, and the same call made
// again succeeds; a page that is got shows what was last put; after a sync that
// returned 0 the file holds that, and each write of it was covered by an fsync
// that did not fail; at the end nothing is pinned, nothing is beyond maxcache, a
// pass over all pages finds them right, and memory and descriptors are as before.
//
// It can run in a child process too, so it knows nothing of Catch: what is wrong
// is thrown.
#ifndef MPOOL_TESTS_SWEEP_HPP
#define MPOOL_TESTS_SWEEP_HPP

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>

#include "fault_io.hpp"
#include "fault_mem.hpp"
#include "support.hpp"

namespace sweep {

struct Wrong : std::runtime_error {
	using std::runtime_error::runtime_error;
};

// One kind of fault.
struct Fault {
	enum Kind { reads, writes, fsyncs, memory, advice, ins, outs, batches } kind; // the last three: hooks
	const char *name;
	std::vector<fault::Fate> fates; // of the n-th call, and of those that follow it
	bool for_ever;                  // the last of them is that of all calls to come
	std::set<int> errors;           // that calls may fail with; none: no call may fail
};

struct Shape {
	pgno_t page_size, maxcache;
	pgno_t pages;       // in the file, of version 0
	size_t tail;        // bytes after them
	bool filter;        // the file's form is another than the memory's
	bool hooks = false; // ... by hooks, in place of a filter
};

// A pool under test, its file, and what must be true of them.
class Subject {
public:
	Subject(const Shape &shape, const Fault &fault);
	~Subject();
	Subject(const Subject &) = delete;
	Subject &operator=(const Subject &) = delete;

	// The calls, and what the model says of each.  One that fails as the fault
	// allows is made once more, unless the fault is for ever.  False, nullptr: it
	// failed again.
	bool open();
	void *get(pgno_t pgno, unsigned flags = 0);
	bool put(void *page, pgno_t pgno, unsigned flags = 0);
	void *make(pgno_t &pgno);
	void *request(pgno_t pgno);
	bool forget(void *page, pgno_t pgno); // mpool_delete
	bool sync();
	// mpool_sync_range; `pinned`: pages that MPOOL_WHOLE is to leave as they are, if it is made.
	bool sync_range(pgno_t first, pgno_t n, unsigned flags, pgno_t pinned = 0);
	bool latch(void *page, unsigned flags);
	void unlatch(void *page, pgno_t pgno, unsigned flags = 0);
	bool peek(pgno_t pgno); // false: get it
	bool stats(struct mpool_stats &st);

	// Of these.
	void modify(pgno_t pgno);
	void touch(pgno_t from, pgno_t to);
	void crowd_out(pgno_t from); // what is none of the pages from there on
	bool append(bool dirty);     // false: no page was made
	void rewrite(void *page, pgno_t pgno);

	pgno_t pages() const { return next_; }
	unsigned failures() const { return failures_; }
	// The pool is as it was made, and no more faults come: all must be well.
	void finish();
	void close();

	// For the script of its reads, writes and fsyncs.
	int fd() const { return file_->fd(); }
	int beside() const { return *beside_; }
	void written(const fault::Call &call, ssize_t result);
	void flushed(ssize_t result);
	// From call number `nth` of the kind on hooks refuse, so often.
	void refuse(uint64_t nth, uint64_t times);
	uint64_t hooked() const { return hooked_; } // calls of that kind until now

private:
	enum : uint64_t { zeros = UINT64_MAX, no_number = UINT64_MAX };
	struct Page {
		uint64_t version = zeros; // in memory
		uint64_t put = zeros;     // put dirty: what a sync owes
		bool pending = false;     // written, and not flushed since
		bool lost = false;        // ... and the fsync failed
		bool torn = false;        // the last write ended in the middle of it
	};

	static int hook_in(void *subject, pgno_t pgno, void *page);
	static int hook_out(void *subject, pgno_t pgno, void *page);
	static int hook_before_write(void *subject, const pgno_t *pgnos, void *const *pages, size_t n);
	int hooked(Fault::Kind kind);
	void set_hooks();
	// A call failed: may it, and should it be made again?
	bool again(const char *call, bool first);
	void require(bool right, const char *what, uint64_t number = no_number) const;
	bool shows(const char *bytes, pgno_t pgno, uint64_t version) const;
	bool for_good();
	void numbered(pgno_t pgno);
	uint64_t version_in_file(pgno_t pgno) const;
	bool is_saved(pgno_t pgno, char *bytes) const;
	bool in_file(pgno_t pgno) const;
	void file_is_right() const;

	Shape shape_;
	const Fault &fault_;
	fault::Held held_;
	size_t fds_;
	std::unique_ptr<test::File> file_;
	std::unique_ptr<test::Fd> beside_; // the file, past the pool
	MPOOL *mp_ = nullptr;
	std::vector<Page> page_;
	std::vector<std::pair<void *, pgno_t>> left_over_; // pins that could not be put
	pgno_t next_ = 0;                                  // number of the next page
	pgno_t maybe_used_ = 0;                            // numbers of calls that failed
	uint64_t version_ = 0;
	unsigned failures_ = 0, fsyncs_failed_ = 0;
	bool over_ = false;     // no more faults come
	bool for_good_ = false; // a page may be lost, so that every sync fails with EIO
	bool flushed_ = false;  // an fsync did not fail since
	bool undone_ = false;   // a flush failed, and none succeeded since: it writes all then
	uint64_t hooked_ = 0, refuse_from_ = UINT64_MAX, refuse_times_ = 0;
	std::set<pgno_t> announced_; // what before_write was called for, and is not written yet
};

struct Workload {
	const char *name;
	Shape shape;
	std::function<void(Subject &)> run;
};

extern const std::vector<Workload> small; // for every kind of fault
extern const std::vector<Workload> large; // of thousands of pages: for memory, writes and fsync

extern const std::vector<Fault> io_faults, memory_faults, advice_faults, hook_faults;

// Run `work` with call number 0, `stride`, 2 * stride, ... of the fault's kind
// failing, until a run needs no more.  Returns how many runs met the fault.
uint64_t every_call(const Workload &work, const Fault &fault, uint64_t stride = 1);

// Run `work` once, with a fault that is `begin`'s to bring and `end`'s to take
// away.  Returns how many calls failed.
unsigned within(
	const Workload &work, const Fault &fault, const std::function<void()> &begin, const std::function<void()> &end);

} // namespace sweep

#endif
