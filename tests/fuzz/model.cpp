// model.cpp - see model.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "model.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fuzz {

Faults faults;
bool in_call;

namespace {

constexpr size_t calls_shown = 60;
constexpr unsigned char tail_byte = 0x5a;

std::vector<std::string> calls;

__attribute__((format(printf, 1, 0))) std::string formatted(const char *format, va_list ap)
{
	char text[512];
	vsnprintf(text, sizeof text, format, ap);
	return text;
}

} // namespace

void trace_clear()
{
	calls.clear();
}

void trace(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	calls.push_back(formatted(format, ap));
	va_end(ap);
}

void fail(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	std::string text = formatted(format, ap);
	va_end(ap);
	fprintf(stderr, "fuzz: the calls, the last one last:\n");
	for (size_t i = calls.size() > calls_shown ? calls.size() - calls_shown : 0; i < calls.size(); i++)
		fprintf(stderr, "  %zu %s\n", i, calls[i].c_str());
	fprintf(stderr, "fuzz: FAILED: %s\n", text.c_str());
	abort();
}

Model::Model(uint32_t page_size, uint64_t length, bool filters, unsigned hooks)
    : fd_(memfd_create("fuzz", MFD_CLOEXEC)), page_size_(page_size), filters_(filters), hooks_(hooks), length_(length)
{
	if (fd_ < 0)
		abort();
	for (uint64_t at = 0; at < length; at += page_size) {
		uint32_t pgno = static_cast<uint32_t>(at / page_size);
		Bytes bytes(page_size);
		size_t here = static_cast<size_t>(std::min<uint64_t>(page_size, length - at));
		for (size_t i = 0; i < here; i++)
			bytes[i] = here < page_size ? tail_byte : static_cast<unsigned char>(pgno * 37 + i * 11 + 1);
		if (pwrite(fd_, bytes.data(), here, static_cast<off_t>(at)) != static_cast<ssize_t>(here))
			abort();
		file_[pgno] = bytes;
	}
}

Model::~Model()
{
	close(fd_);
}

void Model::opened(uint32_t maxcache)
{
	maxcache_ = maxcache_at_open_ = maxcache ? maxcache : 1;
	pages_ = std::min<uint64_t>(length_ / page_size_, MAX_PAGE_NUMBER);
	extent_ = pages_;
	tail_ = length_ % page_size_ ? pages_ : UINT64_MAX;
	page_.clear();
	pinned_.clear();
	latched_.clear();
	changes_.clear();
	announced_.clear();
	most_staying_ = 0;
	all_latch_ = undone_ = false;
	gets = reads_ = writes_ = 0;
	beside_it = false;
	may_be_lost_ = lost_ = failed_before_ = cut_unsynced_ = false;
}

// Its own inverse, and zeros become something else.
void Model::convert(uint32_t pgno, Bytes &bytes) const
{
	for (size_t i = 0; filters_ && i < bytes.size(); i++)
		bytes[i] ^= static_cast<unsigned char>(pgno * 7 + i + 0x80);
}

void Model::filter(void *model, pgno_t pgno, void *page)
{
	const Model *m = static_cast<const Model *>(model);
	unsigned char *bytes = static_cast<unsigned char *>(page);
	Bytes copy(bytes, bytes + m->page_size_);
	m->convert(pgno, copy);
	memcpy(page, copy.data(), copy.size());
}

// What the file is to have, or has.
void Model::check_image(const char *where, uint32_t pgno, const void *image)
{
	Bytes expected = page(pgno).bytes;
	convert(pgno, expected);
	if (memcmp(expected.data(), image, page_size_) != 0)
		fail("%s is given wrong bytes of page %" PRIu32, where, pgno);
	if (page(pgno).dirty == Dirty::no)
		fail("%s is given page %" PRIu32 ", which nobody modified", where, pgno);
}

int Model::refusal(Faults::Kind kind)
{
	if (!faults.due(kind))
		return 0;
	faults.strike();
	failed_before_ = true;
	return faults.struck_error;
}

int Model::in(void *model, pgno_t pgno, void *page)
{
	Model *m = static_cast<Model *>(model);
	Bytes expected = m->unwritten(pgno) ? Bytes(m->page_size_) : m->raw(pgno);
	if (memcmp(expected.data(), page, m->page_size_) != 0)
		fail("in is given wrong bytes of page %" PRIu32, pgno);
	return m->refusal(Faults::in_refuses);
}

int Model::out(void *model, pgno_t pgno, void *page)
{
	Model *m = static_cast<Model *>(model);
	m->check_image("out", pgno, page);
	return m->refusal(Faults::out_refuses);
}

int Model::before_write(void *model, const pgno_t *pgnos, void *const *pages, size_t n)
{
	Model *m = static_cast<Model *>(model);
	m->announced_.clear();
	for (size_t i = 0; i < n; i++)
		m->check_image("before_write", pgnos[i], pages[i]);
	int error = m->refusal(Faults::batch_refused);
	if (error == 0)
		m->announced_.insert(pgnos, pgnos + n);
	return error;
}

struct mpool_hooks Model::the_hooks()
{
	struct mpool_hooks hooks = {};
	hooks.in = hooks_ & hook_in ? in : nullptr;
	hooks.out = hooks_ & hook_out ? out : nullptr;
	hooks.before_write = hooks_ & hook_before_write ? before_write : nullptr;
	hooks.cookie = this;
	return hooks;
}

Bytes Model::raw(uint32_t pgno) const
{
	auto it = file_.find(pgno);
	return it == file_.end() ? Bytes(page_size_) : it->second;
}

Bytes Model::in_file(uint32_t pgno) const
{
	Bytes bytes = unwritten(pgno) ? Bytes(page_size_) : raw(pgno);
	convert(pgno, bytes);
	return bytes;
}

Page &Model::page(uint32_t pgno)
{
	auto it = page_.find(pgno);
	if (it == page_.end()) {
		it = page_.emplace(pgno, Page()).first;
		it->second.bytes = in_file(pgno);
		it->second.changes = changes_[pgno];
	}
	return it->second;
}

void Model::look(uint32_t pgno, const void *address)
{
	Page &p = page(pgno);
	if (memcmp(p.bytes.data(), address, page_size_) == 0)
		return;
	// What nobody marked may have been dropped, if nobody held it.
	if (!p.stays() && p.dirty != Dirty::yes) {
		p.bytes = in_file(pgno);
		if (memcmp(p.bytes.data(), address, page_size_) == 0)
			return;
	}
	fail("page %" PRIu32 " has wrong bytes", pgno);
}

void Model::got(uint32_t pgno, void *address)
{
	uint32_t other;
	Page &p = page(pgno);
	if (p.stays() && p.address != address)
		fail("page %" PRIu32 " is pinned, or latched, at %p, and now at %p", pgno, p.address, address);
	if ((pinned_at(address, &other) || latched_at(address, &other)) && other != pgno)
		fail("page %" PRIu32 " is where page %" PRIu32 " is pinned, or latched", pgno, other);
	if (p.pins++ == 0)
		pinned_.push_back(pgno);
	p.address = address;
	std::set<uint32_t> staying(pinned_.begin(), pinned_.end());
	staying.insert(latched_.begin(), latched_.end());
	most_staying_ = std::max(most_staying_, staying.size());
}

void Model::modified(uint32_t pgno)
{
	Page &p = page(pgno);
	memcpy(p.bytes.data(), p.address, page_size_);
}

void Model::put(uint32_t pgno, bool dirty)
{
	Page &p = page(pgno);
	if (dirty)
		p.dirty = Dirty::yes;
	if (--p.pins > 0)
		return;
	p.kept = false;
	pinned_.erase(std::find(pinned_.begin(), pinned_.end(), pgno));
	leaves(p);
}

void Model::leaves(Page &p)
{
	p.leaves += !p.stays();
}

void Model::latched(uint32_t pgno, bool exclusive)
{
	page(pgno).latch = exclusive ? Latch::exclusive : Latch::shared;
	latched_.push_back(pgno);
}

void Model::unlatched(uint32_t pgno, bool dirty)
{
	Page &p = page(pgno);
	if (dirty)
		p.dirty = Dirty::yes;
	p.changes += p.latch == Latch::exclusive;
	p.latch = Latch::none;
	latched_.erase(std::find(latched_.begin(), latched_.end(), pgno));
	leaves(p);
}

unsigned Model::exclusive() const
{
	unsigned n = 0;
	for (uint32_t pgno : latched_)
		n += page_.at(pgno).latch == Latch::exclusive;
	return n;
}

Peek Model::peeked(uint32_t pgno, const void *address, uint64_t version)
{
	uint32_t other;
	const Page &p = page(pgno);
	look(pgno, address);
	if (p.stays() && p.address != address)
		fail("page %" PRIu32 " is pinned, or latched, at %p, and peeked at at %p", pgno, p.address, address);
	if ((pinned_at(address, &other) || latched_at(address, &other)) && other != pgno)
		fail("page %" PRIu32 " is peeked at where page %" PRIu32 " is", pgno, other);
	return {pgno, address, version, p.changes, p.leaves, p.stays()};
}

bool Model::changed(const Peek &peek)
{
	const Page &p = page(peek.pgno);
	return p.changes != peek.changes || p.latch == Latch::exclusive;
}

bool Model::unchanged(const Peek &peek)
{
	const Page &p = page(peek.pgno);
	return !changed(peek) && peek.stayed && p.stays() && p.leaves == peek.leaves;
}

void Model::made(uint32_t pgno, void *address, bool next)
{
	if (next ? pgno != pages_ : pgno >= MAX_PAGE_NUMBER)
		fail("mpool_new gave page %" PRIu32 ", of %" PRIu64, pgno, pages_);
	pages_ = std::max<uint64_t>(pages_, pgno + UINT64_C(1));
	Page &p = page(pgno);
	p.bytes.assign(page_size_, 0);
	p.dirty = filters_ || (hooks_ & (hook_in | hook_out)) ? Dirty::yes : Dirty::no;
	got(pgno, address);
	look(pgno, address);
}

void Model::cache_may_be_smaller(MPOOL *mp)
{
	struct mpool_stats st;
	if (mpool_stats(mp, &st, sizeof st) == 0 && st.maxcache < maxcache_ && st.maxcache > 0)
		maxcache_ = maxcache_at_open_ = static_cast<uint32_t>(st.maxcache);
}

void Model::number_may_be_used(MPOOL *mp, uint64_t pgno)
{
	struct mpool_stats st;
	if (mpool_stats(mp, &st, sizeof st) == 0 && st.pages == pgno + 1)
		pages_ = st.pages > pages_ ? st.pages : pages_;
}

void Model::deleted(uint32_t pgno)
{
	Page &p = page(pgno);
	if (p.latch == Latch::exclusive)
		unlatched(pgno, false);
	put(pgno, false);
	p.changes++;
	p.dirty = Dirty::no;
	p.bytes = in_file(pgno);
}

bool Model::any_pinned(uint64_t first, uint64_t n) const
{
	auto within = [&](uint32_t p) { return p >= first && p - first < n; };
	return std::any_of(pinned_.begin(), pinned_.end(), within) ||
	       std::any_of(latched_.begin(), latched_.end(), within);
}

Dirty Model::any_dirty(uint64_t first, uint64_t n) const
{
	Dirty any = Dirty::no;
	for (const auto &[pgno, p] : page_)
		if (pgno >= first && pgno - first < n && p.dirty != Dirty::no && any != Dirty::yes)
			any = p.dirty;
	return any;
}

void Model::truncated(uint32_t pages)
{
	pages_ = pages;
	extent_ = std::min<uint64_t>(extent_, pages);
	tail_ = tail_ >= pages ? UINT64_MAX : tail_;
	length_ = uint64_t{pages} * page_size_;
	for (auto it = page_.lower_bound(pages); it != page_.end(); it = page_.erase(it)) {
		cut_unsynced_ |= it->second.unsynced;
		changes_[it->first] = it->second.changes + 1;
	}
	file_.erase(file_.lower_bound(pages), file_.end());
}

void Model::invalidated(uint64_t first, uint64_t n)
{
	// What another has made longer is looked at again.
	uint64_t whole = std::min<uint64_t>(length_ / page_size_, pages_);
	extent_ = std::max(extent_, whole);
	tail_ = tail_ < whole ? UINT64_MAX : tail_;
	for (auto &[pgno, p] : page_)
		if (pgno >= first && pgno - first < n && !p.stays() && p.dirty == Dirty::no) {
			p.bytes = in_file(pgno);
			p.changes++;
		}
}

void Model::written_by_another(uint32_t pgno, unsigned char byte)
{
	Bytes bytes(page_size_, byte);
	if (pwrite(fd_, bytes.data(), page_size_, static_cast<off_t>(uint64_t{pgno} * page_size_)) != page_size_)
		abort();
	file_[pgno] = bytes;
	length_ = std::max(length_, (pgno + uint64_t{1}) * page_size_);
}

void Model::synced(ssize_t result, int error)
{
	const Scope all, scope = std::exchange(scope_, all);
	// Where it writes all that is modified.
	const Scope &wrote = scope.only_flushes() && undone_ ? all : scope;
	size_t least = 0, most = 0;
	for (uint32_t pgno : pinned_) {
		const Page &p = page(pgno);
		bool withheld = scope.whole() && !all_latch_ && wrote.writes(pgno);
		least += withheld && p.dirty == Dirty::yes;
		most += withheld && p.dirty != Dirty::no;
	}
	bool any_withheld = result > 0;
	if (result > 0 || (result == 0 && least > 0)) {
		if (static_cast<size_t>(result) < least || static_cast<size_t>(result) > most)
			fail("mpool_sync_range withholds %zd pages, expected %zu to %zu", result, least, most);
		result = 0;
	}
	if (result != 0 && !faults.struck && !(error == EIO && (lost_ || may_be_lost_)))
		fail("mpool_sync: %s, of nothing", strerror(error));
	if (result == 0 && scope.flushes() && !flushed_)
		fail("mpool_sync succeeds without a flush");
	if (result == 0 && (faults.sync_struck || (lost_ && scope.flushes())))
		fail("mpool_sync succeeds, though %s", lost_ ? "a page was lost" : "fsync failed");
	if (result != 0 && faults.struck && error != faults.struck_error && error != EIO && !faults.before.count(error))
		fail("mpool_sync: %s, not %s", strerror(error), strerror(faults.struck_error));
	for (auto &[pgno, p] : page_) {
		bool written = result == 0 && wrote.writes(pgno);
		if (written && p.dirty == Dirty::yes && p.pins == 0)
			fail("mpool_sync left page %" PRIu32 " unwritten", pgno);
		if (written && p.dirty == Dirty::maybe && p.pins > 0 && scope.whole())
			continue;
		if (written && p.dirty == Dirty::maybe && !p.unsynced && !scope.flushes())
			continue; // it has left, perhaps: the next flush tells
		if (written && p.dirty == Dirty::maybe && !p.unsynced)
			fail("mpool_sync calls page %" PRIu32 " safe, which it did not write again after fsync failed",
				pgno);
		if (written && p.dirty == Dirty::maybe)
			p.dirty = all_latch_ ? Dirty::no : Dirty::yes; // it is pinned
		if (faults.sync_struck && p.unsynced) {
			// In memory it is modified again; if it left, EIO is the answer, for good.
			bool in_memory = p.kept || error != EIO;
			p.dirty = p.dirty == Dirty::yes || in_memory ? Dirty::yes : Dirty::maybe;
			may_be_lost_ |= !in_memory;
		}
		if (flushed_ || faults.sync_struck)
			p.unsynced = false;
	}
	may_be_lost_ |= faults.sync_struck && cut_unsynced_ && error == EIO;
	cut_unsynced_ &= (result != 0 || !scope.flushes()) && !faults.sync_struck;
	lost_ |= result != 0 && !faults.struck;
	may_be_lost_ &= result != 0 || !scope.flushes();
	failed_before_ |= result != 0;
	bool is_sync = (scope.flags & all.flags) == all.flags && scope.first == 0 && scope.n >= pages_;
	undone_ =
		faults.sync_struck || (undone_ && (result != 0 || any_withheld || !(is_sync || scope.only_flushes())));
	if (result == 0 && is_sync && !any_withheld)
		faults.before.clear();
}

bool Model::latched_at(const void *address, uint32_t *pgno) const
{
	for (uint32_t p : latched_)
		if (page_.at(p).address == address) {
			*pgno = p;
			return true;
		}
	return false;
}

bool Model::pinned_at(const void *address, uint32_t *pgno) const
{
	for (uint32_t p : pinned_)
		if (page_.at(p).address == address) {
			*pgno = p;
			return true;
		}
	return false;
}

// The pool's own copy of the page is what goes to the file, and it is marked.
void Model::check_write(const fault::Call &call)
{
	uint64_t at = static_cast<uint64_t>(call.offset);
	for (uint64_t pgno = at / page_size_; pgno * page_size_ < at + call.bytes; pgno++) {
		if (pgno >= pages_)
			fail("page %" PRIu64 " is written, of %" PRIu64, pgno, pages_);
		const Page &p = page(static_cast<uint32_t>(pgno));
		if (p.dirty == Dirty::no)
			fail("page %" PRIu64 " is written, and nobody modified it", pgno);
		if (p.latch == Latch::exclusive)
			fail("page %" PRIu64 " is written, and is latched exclusively", pgno);
		if (p.pins > 0 && scope_.whole() && !all_latch_)
			fail("page %" PRIu64 " is written by MPOOL_WHOLE, and is pinned", pgno);
		if ((hooks_ & hook_before_write) && !announced_.count(static_cast<uint32_t>(pgno)))
			fail("page %" PRIu64 " is written, and before_write was not told", pgno);
	}
}

void Model::wrote(uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes;
	run_start_ = at == run_end_ && at % page_size_ != 0 ? run_start_ : at;
	run_end_ = end;
	for (uint64_t n = at / page_size_; n * page_size_ < end; n++) {
		uint32_t pgno = static_cast<uint32_t>(n);
		uint64_t start = n * page_size_, from = std::max(at, start), to = std::min(end, start + page_size_);
		Bytes now = page(pgno).bytes, file = raw(pgno);
		convert(pgno, now);
		std::copy(now.begin() + static_cast<long>(from - start), now.begin() + static_cast<long>(to - start),
			file.begin() + static_cast<long>(from - start));
		file_[pgno] = file;
		if (run_start_ > start || end < start + page_size_)
			continue;
		// All of it.
		Page &p = page(pgno);
		// If it left once since the last fsync, what was written then is at risk.
		p.kept = p.pins > 0 && (p.kept || !p.unsynced);
		p.unsynced = true;
		if (p.pins == 0 || all_latch_)
			p.dirty = Dirty::no;
		announced_.erase(pgno);
		extent_ = std::max(extent_, n + 1);
		tail_ = tail_ == n ? UINT64_MAX : tail_;
		writes_++;
	}
	length_ = std::max(length_, end);
}

fault::Fate Model::on_call(const fault::Call &call)
{
	if (!in_call)
		return fault::real();
	Faults::Kind kind = call.op == fault::Op::read    ? Faults::read_fails
	                    : call.op == fault::Op::write ? Faults::write_fails
	                                                  : Faults::sync_fails;
	size_t bytes = call.bytes;
	if (call.op == fault::Op::write)
		check_write(call);
	if (call.op == fault::Op::read &&
		unwritten(static_cast<uint32_t>(static_cast<uint64_t>(call.offset) / page_size_)))
		fail("a page is read that was never written, at %jd", static_cast<intmax_t>(call.offset));
	if (faults.due(kind)) {
		if (faults.shorter == 0 || call.op == fault::Op::sync || bytes == 1) {
			// An interrupted call is no failure: it is made again.
			if (faults.error == EINTR)
				faults.kind = Faults::none;
			else
				faults.strike();
			return fault::error(faults.error);
		}
		// Some of it, and the next one fails.
		bytes = 1 + faults.shorter % (bytes - 1);
		faults.shorter = 0;
		faults.countdown = 0;
	}
	flushed_ |= call.op == fault::Op::sync; // also when the call fails, for a page that was lost before
	if (call.op == fault::Op::write)
		wrote(static_cast<uint64_t>(call.offset), bytes);
	if (call.op == fault::Op::read)
		reads_ += (static_cast<uint64_t>(call.offset) + bytes) % page_size_ == 0;
	return fault::at_most(bytes);
}

void Model::check(MPOOL *mp, const Others &others)
{
	struct mpool_stats st;
	for (uint32_t pgno : pinned_)
		look(pgno, page(pgno).address);
	if (mpool_stats(mp, &st, sizeof st) != 0)
		fail("mpool_stats: %s", strerror(errno));
	st.pinned -= others.pinned;
	st.dirty -= others.dirty;
	st.reads -= others.reads;
	st.writes -= others.writes;
	size_t surely = 0, perhaps = 0;
	for (const auto &[pgno, p] : page_) {
		surely += p.dirty == Dirty::yes;
		perhaps += p.dirty != Dirty::no;
	}
	if (st.pages != pages_ || st.maxcache != maxcache_ || st.pagesize != page_size_)
		fail("mpool_stats: %" PRIu64 " pages of %" PRIu64 ", cache %" PRIu64 ", expected %" PRIu64 ", %" PRIu32
		     ", %" PRIu32,
			st.pages, st.pagesize, st.maxcache, pages_, page_size_, maxcache_);
	if (st.pinned != pinned_.size())
		fail("mpool_stats: %" PRIu64 " pinned, expected %zu", st.pinned, pinned_.size());
	if (st.dirty < surely || st.dirty > perhaps)
		fail("mpool_stats: %" PRIu64 " dirty, expected %zu to %zu", st.dirty, surely, perhaps);
	if (st.hits + st.misses != gets + others.gets)
		fail("mpool_stats: %" PRIu64 " hits and %" PRIu64 " misses of %" PRIu64 " gets", st.hits, st.misses,
			gets);
	if (st.reads > reads_ || (!failed_before_ && st.reads != reads_) || st.writes != writes_)
		fail("mpool_stats: %" PRIu64 " reads and %" PRIu64 " writes, expected %" PRIu64 " and %" PRIu64,
			st.reads, st.writes, reads_, writes_);
	if (st.cached < st.pinned || st.cached < st.dirty || st.overflow > st.cached ||
		st.cached - st.overflow > maxcache_ || st.cached > page_.size() + others.cached)
		fail("mpool_stats: %" PRIu64 " cached, %" PRIu64 " of them overflow", st.cached, st.overflow);
	// One is being got while all others are pinned, one of another file's among them.
	uint64_t staying = most_staying_ + (beside_it ? 1 : 0);
	uint64_t most = resized_ ? maxcache_ + staying + 1 : std::max<uint64_t>(maxcache_, staying + 1);
	if (!failed_before_ && st.cached > most)
		fail("mpool_stats: %" PRIu64 " cached, with no more than %zu ever pinned or latched", st.cached,
			most_staying_);
}

void Model::check_file() const
{
	struct stat st;
	if (fstat(fd_, &st) != 0 || static_cast<uint64_t>(st.st_size) != length_)
		fail("the file has %jd bytes, expected %" PRIu64, static_cast<intmax_t>(st.st_size), length_);
	for (const auto &[pgno, expected] : file_) {
		Bytes bytes(page_size_);
		if (pread(fd_, bytes.data(), page_size_, static_cast<off_t>(static_cast<uint64_t>(pgno) * page_size_)) <
			0)
			abort();
		if (bytes != expected)
			fail("page %" PRIu32 " is wrong in the file", pgno);
	}
}

} // namespace fuzz
