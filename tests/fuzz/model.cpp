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

Model::Model(uint32_t page_size, uint64_t length, bool filters)
    : fd_(memfd_create("fuzz", MFD_CLOEXEC)), page_size_(page_size), filters_(filters), length_(length)
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
	maxcache_ = maxcache ? maxcache : 1;
	pages_ = std::min<uint64_t>(length_ / page_size_, MAX_PAGE_NUMBER);
	extent_ = pages_;
	tail_ = length_ % page_size_ ? pages_ : UINT64_MAX;
	page_.clear();
	pinned_.clear();
	most_pinned_ = 0;
	gets = reads_ = writes_ = 0;
	may_be_lost_ = lost_ = failed_before_ = false;
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
	}
	return it->second;
}

void Model::look(uint32_t pgno, const void *address)
{
	Page &p = page(pgno);
	if (memcmp(p.bytes.data(), address, page_size_) == 0)
		return;
	// What nobody marked may have been dropped, if nobody held it.
	if (p.pins == 0 && p.dirty != Dirty::yes) {
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
	if (p.pins > 0 && p.address != address)
		fail("page %" PRIu32 " is pinned at %p, and now at %p", pgno, p.address, address);
	if (pinned_at(address, &other) && other != pgno)
		fail("page %" PRIu32 " is where page %" PRIu32 " is pinned", pgno, other);
	if (p.pins++ == 0)
		pinned_.push_back(pgno);
	p.address = address;
	most_pinned_ = std::max(most_pinned_, pinned_.size());
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
}

void Model::made(uint32_t pgno, void *address, bool next)
{
	if (next ? pgno != pages_ : pgno >= MAX_PAGE_NUMBER)
		fail("mpool_new gave page %" PRIu32 ", of %" PRIu64, pgno, pages_);
	pages_ = std::max<uint64_t>(pages_, pgno + UINT64_C(1));
	Page &p = page(pgno);
	p.bytes.assign(page_size_, 0);
	p.dirty = filters_ ? Dirty::yes : Dirty::no;
	got(pgno, address);
	look(pgno, address);
}

void Model::cache_may_be_smaller(MPOOL *mp)
{
	struct mpool_stats st;
	if (mpool_stats(mp, &st, sizeof st) == 0 && st.maxcache < maxcache_ && st.maxcache > 0)
		maxcache_ = static_cast<uint32_t>(st.maxcache);
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
	put(pgno, false);
	p.dirty = Dirty::no;
	p.bytes = in_file(pgno);
}

void Model::synced(int result, int error)
{
	if (result != 0 && !faults.struck && !(error == EIO && (lost_ || may_be_lost_)))
		fail("mpool_sync: %s, of nothing", strerror(error));
	if (result == 0 && (faults.sync_struck || lost_))
		fail("mpool_sync succeeds, though %s", lost_ ? "a page was lost" : "fsync failed");
	if (result != 0 && faults.struck && error != faults.struck_error && error != EIO && !faults.before.count(error))
		fail("mpool_sync: %s, not %s", strerror(error), strerror(faults.struck_error));
	for (auto &[pgno, p] : page_) {
		if (result == 0 && p.dirty == Dirty::yes && p.pins == 0)
			fail("mpool_sync left page %" PRIu32 " unwritten", pgno);
		if (result == 0 && p.dirty == Dirty::maybe && !p.unsynced)
			fail("mpool_sync calls page %" PRIu32 " safe, which it did not write again after fsync failed",
				pgno);
		if (result == 0 && p.dirty == Dirty::maybe)
			p.dirty = Dirty::yes; // it is pinned
		if (faults.sync_struck && p.unsynced) {
			// In memory it is modified again; if it left, EIO is the answer, for good.
			bool in_memory = p.kept || error != EIO;
			p.dirty = p.dirty == Dirty::yes || in_memory ? Dirty::yes : Dirty::maybe;
			may_be_lost_ |= !in_memory;
		}
		if (result == 0 || faults.sync_struck)
			p.unsynced = false;
	}
	lost_ |= result != 0 && !faults.struck;
	may_be_lost_ &= result != 0;
	failed_before_ |= result != 0;
	if (result == 0)
		faults.before.clear();
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
		if (page(static_cast<uint32_t>(pgno)).dirty == Dirty::no)
			fail("page %" PRIu64 " is written, and nobody modified it", pgno);
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
		if (p.pins == 0)
			p.dirty = Dirty::no;
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
	if (call.op == fault::Op::write)
		wrote(static_cast<uint64_t>(call.offset), bytes);
	if (call.op == fault::Op::read)
		reads_ += (static_cast<uint64_t>(call.offset) + bytes) % page_size_ == 0;
	return fault::at_most(bytes);
}

void Model::check(MPOOL *mp)
{
	struct mpool_stats st;
	for (uint32_t pgno : pinned_)
		look(pgno, page(pgno).address);
	if (mpool_stats(mp, &st, sizeof st) != 0)
		fail("mpool_stats: %s", strerror(errno));
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
	if (st.hits + st.misses != gets)
		fail("mpool_stats: %" PRIu64 " hits and %" PRIu64 " misses of %" PRIu64 " gets", st.hits, st.misses,
			gets);
	if (st.reads > reads_ || (!failed_before_ && st.reads != reads_) || st.writes != writes_)
		fail("mpool_stats: %" PRIu64 " reads and %" PRIu64 " writes, expected %" PRIu64 " and %" PRIu64,
			st.reads, st.writes, reads_, writes_);
	if (st.cached < st.pinned || st.cached < st.dirty || st.overflow > st.cached ||
		st.cached - st.overflow > maxcache_ || st.cached > page_.size())
		fail("mpool_stats: %" PRIu64 " cached, %" PRIu64 " of them overflow", st.cached, st.overflow);
	// One is being got while all others are pinned.
	if (!failed_before_ && st.cached > std::max<uint64_t>(maxcache_, most_pinned_ + 1))
		fail("mpool_stats: %" PRIu64 " cached, with no more than %zu ever pinned", st.cached, most_pinned_);
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
