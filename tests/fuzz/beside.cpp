// beside.cpp - see beside.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "beside.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {

namespace {

// 0, or errno; the library's calls are made within one of these.
template <class F> int called(F call)
{
	faults.begin();
	errno = 0;
	in_call = true;
	bool done = call();
	in_call = false;
	return done ? 0 : errno;
}

void may_fail(const char *call, int error)
{
	if (!faults.struck || error != faults.struck_error)
		fail("%s of the file beside: %s", call, strerror(error));
}

struct mpool_stats stats(MPOOL *mp)
{
	struct mpool_stats st = {};
	if (mpool_stats(mp, &st, sizeof st) != 0)
		fail("mpool_stats of the file beside: %s", strerror(errno));
	return st;
}

} // namespace

Beside::Beside(uint32_t page_size) : fd_(memfd_create("beside", MFD_CLOEXEC)), page_size_(page_size)
{
	if (fd_ < 0)
		abort();
	for (uint32_t p = 0; p < pages; p++) {
		Bytes bytes = filled(0);
		if (pwrite(fd_, bytes.data(), page_size_, static_cast<off_t>(p) * page_size_) != page_size_)
			abort();
		since_[p] = {0};
	}
}

Beside::~Beside()
{
	::close(fd_);
}

// No page of the first file has all these bytes by chance, if it has some.
Bytes Beside::filled(unsigned char value) const
{
	Bytes bytes(page_size_);
	for (uint32_t i = 0; i < page_size_; i++)
		bytes[i] = static_cast<unsigned char>(value ^ (i * 5));
	return bytes;
}

void Beside::attach(MPOOL *mp, Model &model)
{
	trace("mpool_attach");
	int error = called([&] { return (mp_ = mpool_attach(mp, fd_)) != nullptr; });
	if (error)
		may_fail("mpool_attach", error);
	model.beside_it = true;
}

void Beside::get(uint32_t pgno, Model &model)
{
	put();
	trace("mpool_get(%u) of the file beside", pgno);
	void *page = nullptr;
	int error = called([&] { return (page = mpool_get(mp_, pgno, 0)) != nullptr; });
	if (page && pgno >= pages)
		fail("mpool_get of page %u of the file beside, which has none", pgno);
	if (!page && faults.struck)
		model.failed();
	if (!page && !faults.struck && pgno >= pages && error == EINVAL)
		return;
	if (!page && !faults.struck && error == EFBIG && model.pages() > MAX_PAGE_NUMBER / 2)
		return; // the first file has the numbers
	if (!page) {
		may_fail("mpool_get", error);
		return;
	}
	gets_++;
	pinned_ = page;
	pinned_page_ = pgno;
	if (memcmp(page, filled(value_[pgno]).data(), page_size_) != 0)
		fail("page %u of the file beside has wrong bytes", pgno);
}

void Beside::modify(unsigned char value)
{
	if (!pinned_)
		return;
	trace("page %u of the file beside is modified, and put", pinned_page_);
	memcpy(pinned_, filled(value).data(), page_size_);
	value_[pinned_page_] = value;
	since_[pinned_page_].insert(value);
	dirty_[pinned_page_] = true;
	int error = called([&] { return mpool_put(mp_, pinned_, MPOOL_DIRTY) == 0; });
	if (error)
		fail("mpool_put of the file beside: %s", strerror(error));
	pinned_ = nullptr;
}

void Beside::put()
{
	if (pinned_ && called([&] { return mpool_put(mp_, pinned_, 0) == 0; }) != 0)
		fail("mpool_put of the file beside: %s", strerror(errno));
	pinned_ = nullptr;
}

void Beside::sync(const Model &model)
{
	trace("mpool_sync of the file beside");
	int error = called([&] { return mpool_sync(mp_) == 0; });
	if (model.exclusive() > 0 && error != EDEADLK)
		fail("mpool_sync of the file beside, with a latch: %s", strerror(error));
	if (error && model.exclusive() == 0)
		may_fail("mpool_sync", error);
	for (uint32_t p = 0; p < pages && !error; p++)
		since_[p] = {value_[p]};
	if (!error)
		left();
}

// What the file has; it is in memory no more, or all is in the file.
void Beside::left()
{
	for (uint32_t p = 0; p < pages; p++) {
		Bytes bytes(page_size_);
		if (pread(fd_, bytes.data(), page_size_, static_cast<off_t>(p) * page_size_) != page_size_)
			abort();
		if (!since_[p].count(bytes[0]) || bytes != filled(bytes[0]))
			fail("page %u of the file beside is wrong in the file", p);
		value_[p] = bytes[0];
		since_[p] = {bytes[0]};
		dirty_[p] = dirty_[p] && pinned_ && p == pinned_page_; // it stays marked
	}
}

void Beside::close()
{
	trace("mpool_close of the file beside%s", pinned_ ? ", of which a page is pinned" : "");
	struct mpool_stats st = stats(mp_);
	int error = called([&] { return mpool_close(mp_) == 0; });
	if (pinned_ && error != EBUSY)
		fail("mpool_close of the file beside, with a pinned page: %s", strerror(error));
	if (pinned_)
		return;
	if (error) {
		may_fail("mpool_close", error);
		return;
	}
	reads_ += st.reads;
	writes_ += st.writes;
	mp_ = nullptr;
	left();
}

void Beside::pool_opened()
{
	gets_ = reads_ = writes_ = 0;
}

void Beside::pool_closed()
{
	pinned_ = nullptr;
	if (mp_)
		left();
	mp_ = nullptr;
}

Others Beside::others() const
{
	Others o = {};
	o.gets = gets_;
	o.reads = reads_;
	o.writes = writes_;
	if (!mp_)
		return o;
	struct mpool_stats st = stats(mp_);
	uint64_t most = static_cast<uint64_t>(std::count(dirty_, dirty_ + pages, true));
	if (st.pages != pages || st.pinned != (pinned_ ? 1 : 0) || st.dirty > most || st.cached > pages)
		fail("mpool_stats of the file beside: %" PRIu64 " pages, %" PRIu64 " pinned, %" PRIu64
		     " dirty, %" PRIu64 " cached",
			st.pages, st.pinned, st.dirty, st.cached);
	o.pinned = st.pinned;
	o.dirty = st.dirty;
	o.cached = st.cached;
	o.reads += st.reads;
	o.writes += st.writes;
	return o;
}

} // namespace fuzz
