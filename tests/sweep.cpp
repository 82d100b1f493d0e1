// sweep.cpp - the model, the faults, the workloads.  See sweep.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "sweep.hpp"

#include <exception>
#include <sstream>

#include <dirent.h>

using fault::Call;
using fault::Op;
using test::fill;
using test::is;

namespace sweep {

namespace {

size_t count_fds()
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

// The filter: the file's form of a page.
void convert(void *, pgno_t pgno, void *page)
{
	char *bytes = static_cast<char *>(page);
	for (size_t i = 0; i < 512; i++)
		bytes[i] = static_cast<char>(bytes[i] ^ (0x5a + pgno));
}

} // namespace

// ---- The model ----------------------------------------------------------------

Subject::Subject(const Shape &shape, const Fault &fault)
    : shape_(shape), fault_(fault), held_(fault::held()), fds_(count_fds()), page_(shape.pages), next_(shape.pages)
{
	file_ = std::make_unique<test::File>(shape.page_size);
	std::vector<char> bytes(size_t{shape.pages} * shape.page_size + shape.tail, '\x5a');
	for (pgno_t i = 0; i < shape.pages; i++) {
		char *page = bytes.data() + size_t{i} * shape.page_size;
		page_[i].version = page_[i].put = 0;
		fill(page, shape.page_size, i, 0);
		if (shape.filter)
			convert(nullptr, i, page);
	}
	beside_ = std::make_unique<test::Fd>(file_->reopen(O_RDWR));
	require(pwrite(*beside_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
		"making the file");
}

Subject::~Subject()
{
	if (mp_)
		mpool_close(mp_);
}

void Subject::require(bool right, const char *what, uint64_t number) const
{
	if (!right)
		throw Wrong(number == no_number ? what : what + (" " + std::to_string(number)));
}

bool Subject::again(const char *call, bool first)
{
	int error = errno;
	std::string what =
		call + std::string(" failed, after ") + std::to_string(failures_) + " failures: " + strerror(error);
	require(!over_ && fault_.errors.count(error) == 1, what.c_str());
	failures_++;
	require(fault_.for_ever || failures_ == 1, what.c_str());
	return first && !fault_.for_ever;
}

bool Subject::open()
{
	for (bool first = true; !mp_; first = false) {
		errno = 0;
		mp_ = mpool_open(nullptr, fd(), shape_.page_size, shape_.maxcache);
		if (!mp_ && !(fault_.kind == Fault::memory && again("mpool_open", first)))
			return false;
	}
	if (shape_.hooks)
		set_hooks();
	else if (shape_.filter)
		mpool_filter(mp_, convert, convert, nullptr);
	return true;
}

void Subject::set_hooks()
{
	struct mpool_hooks hooks = {hook_in, hook_out, hook_before_write, this};
	require(mpool_hooks(mp_, &hooks, sizeof hooks) == 0, "mpool_hooks");
}

int Subject::hooked(Fault::Kind kind)
{
	if (kind != fault_.kind)
		return 0;
	uint64_t n = hooked_++;
	return n >= refuse_from_ && n - refuse_from_ < refuse_times_ ? *fault_.errors.begin() : 0;
}

void Subject::refuse(uint64_t nth, uint64_t times)
{
	hooked_ = 0;
	refuse_from_ = nth;
	refuse_times_ = times;
}

int Subject::hook_in(void *subject, pgno_t pgno, void *page)
{
	convert(nullptr, pgno, page);
	return static_cast<Subject *>(subject)->hooked(Fault::ins);
}

int Subject::hook_out(void *subject, pgno_t pgno, void *page)
{
	convert(nullptr, pgno, page);
	return static_cast<Subject *>(subject)->hooked(Fault::outs);
}

int Subject::hook_before_write(void *subject, const pgno_t *pgnos, void *const *, size_t n)
{
	Subject *s = static_cast<Subject *>(subject);
	int refused = s->hooked(Fault::batches);
	s->announced_.clear();
	if (!refused)
		s->announced_.insert(pgnos, pgnos + n);
	return refused;
}

bool Subject::shows(const char *bytes, pgno_t pgno, uint64_t version) const
{
	if (version == zeros)
		return test::all_bytes(bytes, shape_.page_size, 0);
	return is(bytes, shape_.page_size, pgno, version);
}

void *Subject::get(pgno_t pgno, unsigned flags)
{
	void *page = nullptr;
	for (bool first = true; !page; first = false) {
		errno = 0;
		page = mpool_get(mp_, pgno, flags);
		if (!page && !(fault_.kind != Fault::fsyncs && again("mpool_get", first)))
			return nullptr;
	}
	require(shows(static_cast<char *>(page), pgno, page_[pgno].version),
		"mpool_get does not give what was put last of page", pgno);
	return page;
}

void Subject::rewrite(void *page, pgno_t pgno)
{
	page_[pgno].version = ++version_;
	fill(page, shape_.page_size, pgno, version_);
}

bool Subject::put(void *page, pgno_t pgno, unsigned flags)
{
	for (bool first = true;; first = false) {
		errno = 0;
		if (mpool_put(mp_, page, flags) == 0) {
			if (flags & MPOOL_DIRTY)
				page_[pgno].put = page_[pgno].version;
			return true;
		}
		if (!(fault_.kind == Fault::memory && again("mpool_put", first))) {
			left_over_.emplace_back(page, pgno);
			return false;
		}
	}
}

// A new page has that number; those before it went to calls that failed.
void Subject::numbered(pgno_t pgno)
{
	require(pgno >= next_ && pgno - next_ <= maybe_used_, "mpool_new gave the number", pgno);
	next_ = pgno + 1;
	maybe_used_ = 0;
	page_.resize(next_);
}

void *Subject::make(pgno_t &pgno)
{
	void *page = nullptr;
	for (bool first = true; !page; first = false) {
		errno = 0;
		pgno = MAX_PAGE_NUMBER;
		page = (mpool_new)(mp_, &pgno);
		if (page)
			break;
		maybe_used_ += fault_.kind == Fault::memory;
		require(pgno == MAX_PAGE_NUMBER, "mpool_new failed and gave a number");
		if (!(fault_.kind != Fault::fsyncs && again("mpool_new", first)))
			return nullptr;
	}
	numbered(pgno);
	require(shows(static_cast<char *>(page), pgno, zeros), "a new page is not zeros");
	return page;
}

void *Subject::request(pgno_t pgno)
{
	void *page = nullptr;
	pgno_t wanted = pgno;
	for (bool first = true; !page; first = false) {
		errno = 0;
		page = mpool_new_flags(mp_, &pgno, MPOOL_PAGE_REQUEST);
		require(pgno == wanted, "mpool_new changed the number requested");
		if (page)
			break;
		if (fault_.kind == Fault::memory && pgno >= next_)
			maybe_used_ = std::max(maybe_used_, pgno - next_ + 1);
		if (!(fault_.kind != Fault::fsyncs && again("mpool_new of a page requested", first)))
			return nullptr;
	}
	if (pgno >= next_) {
		next_ = pgno + 1;
		maybe_used_ = 0;
		page_.resize(next_);
	}
	page_[pgno].version = page_[pgno].put = zeros;
	require(shows(static_cast<char *>(page), pgno, zeros), "a page requested is not zeros");
	return page;
}

bool Subject::forget(void *page, pgno_t pgno)
{
	if (page_[pgno].torn) // what the next get would read is no version of it
		return put(page, pgno, MPOOL_DIRTY) && false;
	for (bool first = true;; first = false) {
		errno = 0;
		if (mpool_delete(mp_, page) == 0) {
			page_[pgno].version = page_[pgno].put = version_in_file(pgno);
			return true;
		}
		if (!(fault_.kind == Fault::memory && again("mpool_delete", first))) {
			left_over_.emplace_back(page, pgno);
			return false;
		}
	}
}

// A sync failed: because a page was written, left memory, and its fsync failed?
bool Subject::for_good()
{
	int error = errno;
	bool lost = false;
	for (const Page &page : page_)
		lost |= page.lost;
	struct mpool_stats st;
	if (fsyncs_failed_ > 0 && lost && mpool_stats(mp_, &st, sizeof st) == 0 && st.evictions > 0)
		for_good_ |= error == EIO && failures_ > 0;
	errno = error;
	return for_good_;
}

bool Subject::sync()
{
	for (bool first = true;; first = false) {
		flushed_ = false;
		errno = 0;
		if (mpool_sync(mp_) == 0)
			break;
		if (for_good())
			return false;
		if (!(fault_.kind != Fault::reads && fault_.kind != Fault::ins && again("mpool_sync", first)))
			return false;
	}
	undone_ = false;
	require(!for_good_, "mpool_sync succeeded after a page was lost");
	require(flushed_, "mpool_sync succeeded without an fsync that did");
	for (pgno_t i = 0; i < page_.size(); i++)
		require(!page_[i].pending && !page_[i].lost,
			"mpool_sync succeeded, and this page is not on stable storage:", i);
	file_is_right();
	return true;
}

bool Subject::sync_range(pgno_t first, pgno_t n, unsigned flags, pgno_t pinned)
{
	bool writes = flags & MPOOL_WRITE, flushes = flags & MPOOL_FLUSH;
	ssize_t withheld;
	for (bool begun = true;; begun = false) {
		flushed_ = false;
		errno = 0;
		if ((withheld = mpool_sync_range(mp_, first, n, flags)) >= 0)
			break;
		if (flushes && for_good())
			return false;
		if (!(fault_.kind != Fault::reads && fault_.kind != Fault::ins && again("mpool_sync_range", begun)))
			return false;
	}
	require(withheld == static_cast<ssize_t>(flags & MPOOL_WHOLE ? pinned : 0),
		"mpool_sync_range withholds so many pages:", static_cast<uint64_t>(withheld));
	require(!flushes || (flushed_ && !for_good_), "mpool_sync_range succeeded without an fsync that did");
	for (pgno_t i = 0; i < page_.size(); i++) {
		bool of_it = (writes && i >= first && i - first < n) || (!writes && undone_);
		require(!flushes || !page_[i].pending, "mpool_sync_range succeeded, and did not flush page", i);
		require(!flushes || !of_it || !page_[i].lost,
			"mpool_sync_range succeeded, and did not write what a flush has lost, page", i);
		require(!of_it || withheld > 0 || in_file(i),
			"mpool_sync_range succeeded, and the file has an old page", i);
	}
	if (!writes)
		undone_ = false;
	return true;
}

bool Subject::latch(void *page, unsigned flags)
{
	for (bool first = true;; first = false) {
		errno = 0;
		if (mpool_latch(mp_, page, flags) == 0)
			return true;
		if (!(fault_.kind == Fault::memory && again("mpool_latch", first)))
			return false;
	}
}

void Subject::unlatch(void *page, pgno_t pgno, unsigned flags)
{
	require(mpool_unlatch(mp_, page, flags) == 0, "mpool_unlatch failed");
	if (flags & MPOOL_DIRTY)
		page_[pgno].put = page_[pgno].version;
}

bool Subject::peek(pgno_t pgno)
{
	uint64_t version;
	for (bool first = true;; first = false) {
		errno = 0;
		const void *page = mpool_peek(mp_, pgno, &version);
		if (page) {
			require(shows(static_cast<const char *>(page), pgno, page_[pgno].version),
				"mpool_peek does not give what was put last of page", pgno);
			require(mpool_unchanged(mp_, page, version) == 1, "nobody has changed page", pgno);
			return true;
		}
		if (errno == EAGAIN || !(fault_.kind == Fault::memory && again("mpool_peek", first)))
			return false;
	}
}

bool Subject::stats(struct mpool_stats &st)
{
	for (bool first = true;; first = false) {
		errno = 0;
		if (mpool_stats(mp_, &st, sizeof st) == 0)
			return true;
		if (!(fault_.kind == Fault::memory && again("mpool_stats", first)))
			return false;
	}
}

void Subject::modify(pgno_t pgno)
{
	void *page = get(pgno);
	if (!page)
		return;
	rewrite(page, pgno);
	put(page, pgno, MPOOL_DIRTY);
}

void Subject::touch(pgno_t from, pgno_t to)
{
	for (pgno_t i = from; i < to && i < next_; i++)
		if (void *page = get(i))
			put(page, i);
}

// As test::Pool::crowd_out; a page that cannot be had leaves a frame to another.
void Subject::crowd_out(pgno_t from)
{
	std::vector<std::pair<void *, pgno_t>> pinned;
	for (pgno_t i = from; i < next_ && pinned.size() < shape_.maxcache; i++)
		if (void *page = get(i))
			pinned.emplace_back(page, i);
	for (auto &pin : pinned)
		put(pin.first, pin.second);
}

bool Subject::append(bool dirty)
{
	pgno_t pgno;
	void *page = make(pgno);
	if (!page)
		return false;
	if (dirty)
		rewrite(page, pgno);
	put(page, pgno, dirty ? MPOOL_DIRTY : 0);
	return true;
}

// ---- The file ------------------------------------------------------------------

void Subject::written(const Call &call, ssize_t result)
{
	for (off_t at = call.offset; at < call.offset + result;) {
		size_t pgno = static_cast<size_t>(at) / shape_.page_size;
		if (pgno >= page_.size())
			throw Wrong("a write behind the last page");
		if (shape_.hooks && !announced_.count(static_cast<pgno_t>(pgno)))
			throw Wrong("a write that before_write was not called for");
		page_[pgno].pending = true;
		page_[pgno].lost = false;
		at = static_cast<off_t>((pgno + 1) * shape_.page_size);
		page_[pgno].torn = at > call.offset + result;
	}
}

// As Linux does it: what a failed fsync did not write is forgotten.
void Subject::flushed(ssize_t result)
{
	flushed_ = result == 0;
	fsyncs_failed_ += result != 0 && errno != EINTR;
	if (result != 0 && errno == EINTR)
		return;
	undone_ |= result != 0;
	for (Page &page : page_) {
		page.lost |= page.pending && result != 0;
		page.pending = false;
	}
}

uint64_t Subject::version_in_file(pgno_t pgno) const
{
	std::vector<char> page = file_->read_page(*beside_, pgno);
	if (page.size() < shape_.page_size || pgno >= next_ || shows(page.data(), pgno, zeros))
		return zeros;
	for (uint64_t version = page_[pgno].version == zeros ? 0 : page_[pgno].version; version > 0; version--)
		if (is(page.data(), page.size(), pgno, version))
			return version;
	return 0;
}

// What was put last, or, while the page is pinned, what was written to it since; or it was never put dirty, perhaps.
bool Subject::is_saved(pgno_t pgno, char *bytes) const
{
	const Page &page = page_[pgno];
	if (page.put == zeros)
		return true;
	if (shape_.filter)
		convert(nullptr, pgno, bytes);
	return shows(bytes, pgno, page.version) || shows(bytes, pgno, page.put);
}

bool Subject::in_file(pgno_t pgno) const
{
	std::vector<char> bytes(shape_.page_size);
	require(pread(*beside_, bytes.data(), bytes.size(), static_cast<off_t>(pgno) * shape_.page_size) >= 0,
		"reading the file");
	return is_saved(pgno, bytes.data());
}

void Subject::file_is_right() const
{
	std::vector<char> file(page_.size() * shape_.page_size);
	require(pread(*beside_, file.data(), file.size(), 0) >= 0, "reading the file");
	for (pgno_t i = 0; i < page_.size(); i++)
		require(is_saved(i, file.data() + size_t{i} * shape_.page_size),
			"mpool_sync succeeded, and the file has an old page", i);
}

// ---- The end --------------------------------------------------------------------

namespace {

const pgno_t portion = 64; // pages of the overflow that one sync drops, at least

} // namespace

void Subject::finish()
{
	over_ = true;
	for (auto &pin : std::exchange(left_over_, {}))
		require(put(pin.first, pin.second, MPOOL_DIRTY), "a pin that could not be put, still cannot be");
	struct mpool_stats st;
	stats(st);
	require(st.pinned == 0, "so many pages are pinned at the end:", st.pinned);
	require(st.pages >= next_ && st.pages - next_ <= maybe_used_, "the number of pages");
	next_ = static_cast<pgno_t>(st.pages);
	page_.resize(next_);
	touch(0, next_);
	// What is beyond maxcache goes in portions: a sync, and most misses, take one each.
	for (uint64_t i = 0; stats(st) && st.overflow > 0 && i <= next_ / portion; i++) {
		touch(0, next_);
		sync();
	}
	require(st.pinned == 0, "a page stays pinned");
	require(sync() || for_good_, "mpool_sync at the end");
	require(sync() || for_good_, "mpool_sync once more");
	stats(st);
	require(st.dirty == 0 || for_good_, "pages are modified after mpool_sync");
	stats(st);
	require(st.overflow == 0, "so many pages are beyond maxcache at the end:", st.overflow);
	require(st.cached <= st.maxcache, "so many pages are in memory at the end:", st.cached);
	touch(0, next_);
}

void Subject::close()
{
	if (mp_)
		require(mpool_close(std::exchange(mp_, nullptr)) == 0, "mpool_close");
	beside_.reset();
	file_.reset();
	fault::Held now = fault::held();
	std::ostringstream what;
	what << "not given back: " << now.maps - held_.maps << " mappings, " << now.map_bytes - held_.map_bytes
	     << " bytes of them, " << now.blocks - held_.blocks << " blocks of malloc's, "
	     << now.arena_blocks - held_.arena_blocks << " of an arena's; " << now.never_had - held_.never_had
	     << " given back that were no mappings";
	require(now == held_, what.str().c_str());
	require(count_fds() == fds_, "descriptors are open that were not");
}

// ---- Faults ---------------------------------------------------------------------

using fault::at_most;
using fault::error;

const size_t half_page = 256, one_page_and_a_half = 768; // where pages have 512 bytes

const std::vector<Fault> io_faults = {
	{Fault::reads, "read: EIO", {error(EIO)}, false, {EIO}},
	{Fault::reads, "read: EIO from then on", {error(EIO)}, true, {EIO}},
	{Fault::reads, "read: EINTR", {error(EINTR)}, false, {}},
	{Fault::reads, "read: one byte", {at_most(1)}, false, {}},
	{Fault::reads, "read: half a page", {at_most(half_page)}, false, {}},
	{Fault::reads, "read: half a page, then EIO", {at_most(half_page), error(EIO)}, false, {EIO}},
	{Fault::reads, "read: the end of the file", {at_most(0)}, false, {EIO}},
	{Fault::reads, "read: half a page, then the end of the file", {at_most(half_page), at_most(0)}, false, {EIO}},
	{Fault::writes, "write: EIO", {error(EIO)}, false, {EIO}},
	{Fault::writes, "write: ENOSPC", {error(ENOSPC)}, false, {ENOSPC}},
	{Fault::writes, "write: EFBIG", {error(EFBIG)}, false, {EFBIG}},
	{Fault::writes, "write: EDQUOT", {error(EDQUOT)}, false, {EDQUOT}},
	{Fault::writes, "write: ENOSPC from then on", {error(ENOSPC)}, true, {ENOSPC}},
	{Fault::writes, "write: EINTR", {error(EINTR)}, false, {}},
	{Fault::writes, "write: one byte", {at_most(1)}, false, {}},
	{Fault::writes, "write: a page and a half", {at_most(one_page_and_a_half)}, false, {}},
	{Fault::writes, "write: a page and a half, then ENOSPC", {at_most(one_page_and_a_half), error(ENOSPC)}, false,
		{ENOSPC}},
	{Fault::writes, "write: nothing", {at_most(0)}, false, {EIO}},
	{Fault::fsyncs, "fsync: EIO", {error(EIO)}, false, {EIO}},
	{Fault::fsyncs, "fsync: ENOSPC", {error(ENOSPC)}, false, {ENOSPC, EIO}},
	{Fault::fsyncs, "fsync: EDQUOT", {error(EDQUOT)}, false, {EDQUOT, EIO}},
	{Fault::fsyncs, "fsync: EINTR", {error(EINTR)}, false, {}},
	{Fault::fsyncs, "fsync: EIO from then on", {error(EIO)}, true, {EIO}},
};

const std::vector<Fault> memory_faults = {
	{Fault::memory, "memory: refused once", {}, false, {ENOMEM}},
	{Fault::memory, "memory: refused from then on", {}, true, {ENOMEM}},
};

const std::vector<Fault> advice_faults = {
	{Fault::advice, "madvise: refused once", {}, false, {}},
	{Fault::advice, "madvise: refused from then on", {}, true, {}},
};

const std::vector<Fault> hook_faults = {
	{Fault::ins, "in: refuses once", {}, false, {EPROTO}},
	{Fault::ins, "in: refuses from then on", {}, true, {EPROTO}},
	{Fault::outs, "out: refuses once", {}, false, {EPROTO}},
	{Fault::outs, "out: refuses from then on", {}, true, {EPROTO}},
	{Fault::batches, "before_write: refuses once", {}, false, {EPROTO}},
	{Fault::batches, "before_write: refuses from then on", {}, true, {EPROTO}},
};

namespace {

bool is_hook(const Fault &fault)
{
	return fault.kind == Fault::ins || fault.kind == Fault::outs || fault.kind == Fault::batches;
}

Op op_of(const Fault &fault)
{
	return fault.kind == Fault::reads ? Op::read : fault.kind == Fault::writes ? Op::write : Op::sync;
}

// A disk has no part in this: fsync says that all is well, and does nothing.
fault::Fate unharmed(const Call &call)
{
	return call.op == Op::sync ? at_most(0) : fault::real();
}

fault::Fate fate_of(const Fault &fault, const Call &call, uint64_t nth)
{
	if (fault.fates.empty() || call.op != op_of(fault) || call.nth < nth)
		return unharmed(call);
	uint64_t i = call.nth - nth;
	if (i < fault.fates.size())
		return fault.fates[i];
	return fault.for_ever ? fault.fates.back() : unharmed(call);
}

// The reads, writes and fsyncs of a pool while it lives.
class Watched : public fault::Script {
public:
	Watched(Subject &s, Decide decide)
	    : Script(
		      s.fd(), std::move(decide),
		      [&s](const Call &call, ssize_t result) {
			      if (call.op == Op::write)
				      s.written(call, result);
			      else if (call.op == Op::sync)
				      s.flushed(result);
		      },
		      s.beside())
	{
	}
};

// Calls until now of the kind that fails.
uint64_t calls_of(const Subject &s, const Fault &fault, const fault::Script &script, const fault::Refusal &refusal)
{
	if (is_hook(fault))
		return s.hooked();
	switch (fault.kind) {
	case Fault::reads:
		return script.reads();
	case Fault::writes:
		return script.writes();
	case Fault::fsyncs:
		return script.syncs();
	default:
		return refusal.asked();
	}
}

// One run; was there an n-th call to fail?
bool run_once(const Workload &work, const Fault &fault, uint64_t nth)
{
	bool met;
	Subject s(work.shape, fault);
	{
		Watched script(s, [&](const Call &call) { return fate_of(fault, call, nth); });
		const uint64_t never = fault::Refusal::for_ever, times = fault.for_ever ? never : 1;
		fault::Refusal refusal(fault.kind == Fault::advice ? fault::Ask::advice : fault::Ask::memory,
			fault.fates.empty() && !is_hook(fault) ? nth : never, times);
		s.refuse(nth, times);
		if (s.open())
			work.run(s);
		met = calls_of(s, fault, script, refusal) > nth;
		s.refuse(0, 0);
	}
	Watched script(s, unharmed);
	if (s.open())
		s.finish();
	s.close();
	return met;
}

} // namespace

uint64_t every_call(const Workload &work, const Fault &fault, uint64_t stride)
{
	uint64_t nth = 0, runs = 0;
	try {
		for (; run_once(work, fault, nth); nth += stride)
			runs++;
	} catch (const Wrong &wrong) {
		std::ostringstream what;
		what << work.name << ", " << fault.name << " at call " << nth << ": " << wrong.what();
		throw Wrong(what.str());
	}
	return runs;
}

unsigned within(
	const Workload &work, const Fault &fault, const std::function<void()> &begin, const std::function<void()> &end)
{
	Subject s(work.shape, fault);
	Watched script(s, unharmed);
	begin();
	try {
		if (s.open())
			work.run(s);
	} catch (...) {
		end();
		throw;
	}
	end();
	if (s.open())
		s.finish();
	s.close();
	return s.failures();
}

// ---- Workloads ------------------------------------------------------------------

namespace {

// On a thread of its own, which has then ended.
void on_thread(const std::function<void()> &f)
{
	std::exception_ptr wrong;
	std::thread([&] {
		try {
			f();
		} catch (...) {
			wrong = std::current_exception();
		}
	}).join();
	if (wrong)
		std::rethrow_exception(wrong);
}

// Reads, modifications and evictions in a pool much too small; runs of adjacent pages.
void evict(Subject &s)
{
	for (int round = 0; round < 2; round++) {
		for (pgno_t i = 0; i < 24; i++)
			if (i % 6 < 4)
				s.modify(i);
			else
				s.touch(i, i + 1);
		s.sync();
		s.touch(0, 24);
	}
	for (pgno_t i : {3, 1, 2, 0, 9, 7, 8})
		s.modify(i);
	s.crowd_out(12);
	s.touch(0, 10);
	s.get(20, MPOOL_IGNOREPIN);
	s.modify(21);
	s.sync();
}

// Modified pages that all stay in memory, adjacent and apart, and several syncs.
void write_back(Subject &s)
{
	for (int round = 0; round < 4; round++) {
		for (pgno_t i = 0; i < 40; i++)
			if ((i + static_cast<pgno_t>(round)) % 7 != 0)
				s.modify(i);
		s.sync();
	}
	void *pinned = s.get(5);
	if (pinned) {
		s.rewrite(pinned, 5);
		s.sync(); // pinned, and not yet put dirty
		s.put(pinned, 5, MPOOL_DIRTY);
	}
	s.sync();
}

// New pages, on the file's partial tail as well, requested ones, deleted ones.
void append(Subject &s)
{
	for (int i = 0; i < 12; i++)
		s.append(i % 3 != 0);
	void *page = s.request(s.pages() + 3);
	if (page) {
		pgno_t pgno = s.pages() - 1;
		s.rewrite(page, pgno);
		s.put(page, pgno, MPOOL_DIRTY);
	}
	s.sync();
	s.touch(0, s.pages());
	for (pgno_t pgno : {4, 9, 2})
		if (pgno < s.pages() && (page = s.get(pgno))) {
			s.rewrite(page, pgno);
			s.forget(page, pgno);
		}
	s.modify(1);
	s.crowd_out(2);
	s.touch(1, s.pages());
	if (s.pages() > 6 && (page = s.get(6)) && s.forget(page, 6) && (page = s.request(6))) {
		s.rewrite(page, 6);
		s.put(page, 6, MPOOL_DIRTY);
	}
	s.append(true);
	s.sync();
	s.touch(0, s.pages());
}

void filters(Subject &s)
{
	for (int round = 0; round < 2; round++) {
		for (pgno_t i = 0; i < 12; i += 2)
			s.modify(i);
		s.crowd_out(5);
		s.touch(0, 12);
		s.append(round == 0);
		s.append(round != 0);
		s.touch(0, s.pages());
		s.sync();
	}
}

// More pins of one thread than its stripe holds and than the pool has frames for.
void pins(Subject &s)
{
	const pgno_t many = 150;
	std::vector<std::pair<void *, pgno_t>> pinned;
	for (pgno_t i = 0; i < many; i++)
		if (void *page = s.get(i))
			pinned.emplace_back(page, i);
	for (pgno_t i = 0; i < 10; i++) // once more
		if (void *page = s.get(i))
			pinned.emplace_back(page, i);
	struct mpool_stats st;
	s.stats(st);
	for (size_t i = 0; i < pinned.size() && i < many; i += 5)
		if (pinned[i].second == i) // a prefix: those after a failed get are left as they are
			s.rewrite(pinned[i].first, pinned[i].second);
	s.sync();
	for (auto &pin : pinned)
		s.put(pin.first, pin.second, MPOOL_DIRTY);
	s.touch(many, many + 20);
	s.sync();
	s.touch(0, many + 20);
}

// Threads whose first call may be any, and that leave pins behind.
void threads(Subject &s)
{
	std::vector<std::pair<void *, pgno_t>> pinned;
	on_thread([&] {
		for (pgno_t i = 0; i < 6; i++)
			if (void *page = s.get(i))
				pinned.emplace_back(page, i);
		s.modify(7);
	});
	size_t n = pinned.size();
	on_thread([&] {
		if (n > 0)
			s.put(pinned[0].first, pinned[0].second, MPOOL_DIRTY);
	});
	on_thread([&] {
		if (n > 1)
			s.forget(pinned[1].first, pinned[1].second);
	});
	on_thread([&] { s.sync(); });
	on_thread([&] {
		struct mpool_stats st;
		s.stats(st);
	});
	on_thread([&] { s.append(true); });
	on_thread([&] { s.get(8, MPOOL_IGNOREPIN); });
	on_thread([&] {
		for (size_t i = 2; i < n; i++)
			s.put(pinned[i].first, pinned[i].second);
		s.touch(0, 12);
		s.sync();
	});
}

// The first latch and the first peek, which need memory; more latches of a thread than it has place for; latches
// of pages beyond maxcache; on threads that have none yet.
void latches(Subject &s)
{
	struct mpool_stats before, after;
	s.stats(before);
	for (pgno_t i = 0; i < 4; i++)
		s.peek(i);
	std::vector<std::pair<void *, pgno_t>> pinned;
	for (pgno_t i = 0; i < 24; i++)
		if (void *page = s.get(i))
			pinned.emplace_back(page, i);
	for (auto &pin : pinned) {
		if (!s.latch(pin.first, pin.second % 2 ? MPOOL_EXCLUSIVE : MPOOL_EXCLUSIVE | MPOOL_TRY))
			continue;
		s.rewrite(pin.first, pin.second);
		s.unlatch(pin.first, pin.second, MPOOL_DIRTY);
	}
	if (s.stats(after) && s.failures() == 0 && after.metadata < before.metadata + sizeof(uint64_t) * after.maxcache)
		throw Wrong("latches of no memory");
	std::vector<std::pair<void *, pgno_t>> latched;
	for (auto &pin : pinned)
		if (s.latch(pin.first, MPOOL_SHARED))
			latched.push_back(pin);
	s.sync_range(0, 24, MPOOL_WRITE);
	for (auto &pin : latched)
		s.unlatch(pin.first, pin.second);
	for (auto &pin : pinned)
		s.put(pin.first, pin.second);
	on_thread([&] { s.peek(23); });
	for (unsigned mode : {MPOOL_SHARED, MPOOL_EXCLUSIVE})
		on_thread([&] {
			void *page = s.get(5);
			bool latched_it = page && s.latch(page, mode);
			if (page)
				s.put(page, 5);
			if (latched_it)
				s.unlatch(page, 5);
		});
	s.touch(0, 24);
	s.sync();
}

// Modified pages that are written, flushed, and withheld, some of them and all.
void ranges(Subject &s)
{
	for (pgno_t i = 0; i < 30; i++)
		s.modify(i);
	s.sync_range(3, 5, MPOOL_WRITE);
	s.sync_range(0, 0, MPOOL_FLUSH);
	s.sync_range(6, 4, MPOOL_WRITE | MPOOL_FLUSH);
	s.sync_range(0, 0, MPOOL_FLUSH);
	for (pgno_t i = 0; i < 40; i += 3)
		s.modify(i);
	if (void *page = s.get(9)) {
		bool is_dirty = s.failures() == 0;
		if (is_dirty)
			s.sync_range(8, 4, MPOOL_WRITE | MPOOL_WHOLE, 1);
		s.rewrite(page, 9);
		s.put(page, 9, MPOOL_DIRTY);
	}
	s.sync_range(0, MAX_PAGE_NUMBER, MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE);
	s.modify(2);
	s.sync_range(2, 1, MPOOL_WRITE);
	s.sync_range(39, 100, MPOOL_FLUSH | MPOOL_WHOLE);
	s.sync();
}

// Pages that hooks see in and out, by evictions, syncs of ranges, and of all.
void hooks(Subject &s)
{
	filters(s);
	for (pgno_t i = 1; i < 12; i += 3)
		s.modify(i);
	s.sync_range(0, 6, MPOOL_WRITE);
	s.sync_range(0, MAX_PAGE_NUMBER, MPOOL_WRITE | MPOOL_FLUSH);
	s.append(true);
	s.touch(0, s.pages());
	s.sync();
}

// A table that grows, and frames for twice as many pages as there was room for.
void grow(Subject &s)
{
	for (pgno_t i = 0; i < 2500 && s.append(i % 3 == 0); i++)
		;
	s.sync();
	s.touch(0, s.pages());
}

// Pages 0 to n - 1 with their pins, or as many as can be had.
std::vector<std::pair<void *, pgno_t>> pin_pages(Subject &s, pgno_t n)
{
	std::vector<std::pair<void *, pgno_t>> pinned;
	for (pgno_t i = 0; i < n; i++) {
		void *page = s.get(i);
		if (!page)
			break;
		pinned.emplace_back(page, i);
	}
	return pinned;
}

// A table that grows for pinned pages and shrinks when they are put.
void shrink(Subject &s)
{
	for (auto &pin : pin_pages(s, 1100))
		s.put(pin.first, pin.second, pin.second % 4 ? 0 : MPOOL_DIRTY);
	s.touch(0, s.pages());
	s.touch(0, s.pages());
	s.sync();
}

// So many pins that the note of them, made when all is pinned, needs memory too.
void all_pinned(Subject &s)
{
	for (auto &pin : pin_pages(s, 16500))
		s.put(pin.first, pin.second);
}

} // namespace

const std::vector<Workload> small = {
	{"evict", {512, 4, 24, 0, false}, evict},
	{"write back", {512, 64, 40, 0, false}, write_back},
	{"append", {512, 4, 3, 100, false}, append},
	{"filters", {512, 3, 12, 0, true}, filters},
	{"pins", {512, 4, 200, 0, false}, pins},
	{"threads", {512, 4, 12, 0, false}, threads},
	{"latches", {512, 8, 24, 0, false}, latches},
	{"ranges", {512, 64, 40, 0, false}, ranges},
	{"hooks", {512, 3, 12, 0, true, true}, hooks},
};

const std::vector<Workload> large = {
	{"grow", {16, 3000, 0, 0, false}, grow},
	{"shrink", {16, 4, 1500, 0, false}, shrink},
	{"all pinned", {8, 16400, 16600, 0, false}, all_pinned},
};

} // namespace sweep
