// calls.cpp - sequences of calls, made of an input's bytes, held against the model.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// The entry point is libFuzzer's; replay.cpp calls it too.  Any bytes are an
// input: each call takes what it needs of them, and the end of the bytes is the
// end of the run.
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "beside.hpp"
#include "model.hpp"

using fuzz::Dirty;
using fuzz::fail;
using fuzz::faults;
using fuzz::Faults;
using fuzz::in_call;
using fuzz::Latch;
using fuzz::Model;
using fuzz::Peek;
using fuzz::Scope;
using fuzz::trace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

constexpr uint32_t page_sizes[] = {1, 3, 8, 13, 32, 64, 100, 512};
constexpr unsigned pages_at_start = 12, caches = 10, pins_most = 40, peeks_most = 40, calls_most = 400;
constexpr int fault_errors[] = {EIO, ENOSPC, EINTR, EDQUOT, EFBIG};
constexpr uint32_t extent = 256; // numbers that the pool gives a file at a time, from the top down
constexpr unsigned beside_from = 208, beside_to = 248; // of an input's first byte: there is a second file
constexpr unsigned char canary = 0xa5;

class Input {
public:
	Input(const uint8_t *data, size_t size) : at_(data), end_(data + size) {}
	bool done() const { return at_ == end_; }
	unsigned byte() { return done() ? 0 : *at_++; }
	unsigned below(unsigned n) { return byte() % n; }
	uint32_t word()
	{
		uint32_t w = 0;
		for (int i = 0; i < 4; i++)
			w = w << 8 | byte();
		return w;
	}

private:
	const uint8_t *at_, *end_;
};

// The library's calls are made within one of these.
class Call {
public:
	Call()
	{
		faults.begin();
		errno = 0;
		in_call = true;
	}
	// After it: what errno is.
	int end()
	{
		in_call = false;
		return errno;
	}
};

// What the pool is made for.
struct Setup {
	uint32_t page_size;
	uint64_t length;
	bool filters, beside;
	unsigned hooks;

	explicit Setup(Input &in)
	{
		unsigned first = in.byte();
		page_size = page_sizes[first % (sizeof page_sizes / sizeof page_sizes[0])];
		beside = first >= beside_from && first < beside_to;
		length = in.below(pages_at_start + 1) * uint64_t{page_size};
		filters = in.below(3) == 0;
		if (in.below(3) == 0)
			length += page_size / 2; // a partial page
		hooks = in.below(2) == 0 ? in.below(fuzz::all_hooks + 1) : fuzz::no_hooks;
	}
};

class Run {
public:
	explicit Run(Input &in)
	    : in_(in), setup_(in), model_(setup_.page_size, setup_.length, setup_.filters, setup_.hooks),
	      beside_(setup_.page_size)
	{
	}
	void go();

private:
	void open();
	void close();
	void step();
	void get(uint32_t pgno, unsigned flags);
	void put_one(bool modify);
	void put(void *address, unsigned flags);
	void modify();
	void make(uint32_t pgno, unsigned flags);
	void erase(void *address);
	void sync();
	void sync_range(uint32_t first, uint32_t n, unsigned flags);
	void latch(void *address, unsigned flags);
	void unlatch(void *address, unsigned flags);
	void upgrade(void *address, const Peek &peek);
	void peek(uint32_t pgno);
	void look_again();
	void hooks();
	void tune();
	void resize(unsigned maxcache);
	void truncate(uint32_t pages);
	void invalidate(uint32_t first, uint32_t n);
	void stats();
	void step_page(unsigned which);
	void step_beside();
	void step_latch(unsigned which);
	void wrong_open();
	void arm();
	void *some_address();
	void *some_latched();
	uint32_t some_page();
	bool too_many() const { return model_.pinned().size() >= pins_most; }

	Input &in_;
	Setup setup_;
	Model model_;
	fuzz::Beside beside_;
	MPOOL *mp_ = nullptr;
	void *last_ = nullptr; // an address that the pool gave once
	bool peeking_ = false; // a look at the statistics would end it
	std::vector<Peek> peeks_;
};

// A call may fail only of what was made to go wrong in it.
void may_fail(const char *call, int error)
{
	if (!faults.struck)
		fail("%s: %s, though nothing went wrong", call, strerror(error));
	if (error != faults.struck_error)
		fail("%s: %s, not %s", call, strerror(error), strerror(faults.struck_error));
}

void expect(const char *call, int error, int expected)
{
	if (error != expected)
		fail("%s: %s, not %s", call, strerror(error), strerror(expected));
}

void must_fail(const char *call, ssize_t result, int error, int expected)
{
	if (result >= 0)
		fail("%s succeeds", call);
	expect(call, error, expected);
}

void Run::open()
{
	uint32_t maxcache = in_.below(caches);
	trace("mpool_open: pages of %u bytes, %u cached", setup_.page_size, maxcache);
	do {
		Call call;
		mp_ = mpool_open(nullptr, model_.fd(), setup_.page_size, maxcache);
		int error = call.end();
		if (!mp_)
			may_fail("mpool_open", error);
	} while (!mp_);
	model_.opened(maxcache);
	beside_.pool_opened();
	if (faults.struck)
		model_.cache_may_be_smaller(mp_);
	if (model_.the_filter())
		mpool_filter(mp_, model_.the_filter(), model_.the_filter(), &model_);
	if (setup_.hooks)
		hooks();
	peeks_.clear();
}

// Such as they are; of a later version that asks for more they are refused, and of an earlier one cut short.
void Run::hooks()
{
	struct {
		struct mpool_hooks hooks;
		void *later;
	} own = {model_.the_hooks(), &own};
	Call wrong;
	int result = mpool_hooks(mp_, &own.hooks, sizeof own);
	int error = wrong.end();
	if (result == 0)
		fail("mpool_hooks of a later version succeeds");
	expect("mpool_hooks of a later version", error, EINVAL);
	own.later = nullptr;
	Call call;
	result = mpool_hooks(mp_, &own.hooks, setup_.page_size % 2 ? sizeof own : sizeof own.hooks);
	error = call.end();
	if (result != 0)
		fail("mpool_hooks: %s", strerror(error));
}

void Run::close()
{
	trace("mpool_close");
	struct mpool_stats st;
	if (mpool_stats(mp_, &st, sizeof st) == 0)
		fuzz::evictions_seen += st.evictions;
	if (mpool_close(mp_) != 0)
		fail("mpool_close: %s", strerror(errno));
	beside_.pool_closed();
	model_.check_file();
}

uint32_t Run::some_page()
{
	unsigned choice = in_.byte();
	uint64_t pages = model_.pages();
	if (choice >= 252)
		return in_.word();
	if (choice >= 244)
		return static_cast<uint32_t>(pages + choice - 248); // near the end
	return static_cast<uint32_t>(choice % (pages > 0 && pages < 32 ? pages : 32));
}

void *Run::some_address()
{
	unsigned choice = in_.below(8);
	if (choice == 0)
		return nullptr;
	if (choice == 1)
		return this;
	if (choice < 4 || model_.pinned().empty())
		return last_;
	uint32_t pgno = model_.pinned()[in_.below(static_cast<unsigned>(model_.pinned().size()))];
	char *page = static_cast<char *>(model_.page(pgno).address);
	return choice < 7 ? page : page + 1 + in_.byte() % 64;
}

void *Run::some_latched()
{
	if (model_.latched().empty())
		return some_address();
	uint32_t pgno = model_.latched()[in_.below(static_cast<unsigned>(model_.latched().size()))];
	return model_.page(pgno).address;
}

void Run::get(uint32_t pgno, unsigned flags)
{
	if (too_many())
		return;
	trace("mpool_get(%u, %#x)", pgno, flags);
	Call call;
	void *page = mpool_get(mp_, pgno, flags);
	int error = call.end();
	if (pgno >= model_.pages() && page)
		fail("mpool_get of page %u, of %ju", pgno, static_cast<uintmax_t>(model_.pages()));
	if (!page && pgno >= model_.pages() && !faults.struck)
		expect("mpool_get of no page", error, EINVAL);
	else if (!page)
		may_fail("mpool_get", error);
	if (!page && faults.struck)
		model_.failed();
	if (!page)
		return;
	model_.gets++;
	model_.look(pgno, page);
	last_ = page;
	peeking_ = flags & MPOOL_IGNOREPIN;
	if (!peeking_)
		model_.got(pgno, page);
}

void Run::put(void *address, unsigned flags)
{
	uint32_t pgno;
	bool pinned = model_.pinned_at(address, &pgno);
	trace("mpool_put(%p, %#x)%s", address, flags, pinned ? "" : ", which is wrong");
	Call call;
	int result = mpool_put(mp_, address, flags);
	int error = call.end();
	if (result != 0 && faults.struck)
		may_fail("mpool_put", error);
	else if (pinned && result != 0)
		fail("mpool_put of page %u, pinned: %s", pgno, strerror(error));
	else if (!pinned && result == 0)
		fail("mpool_put of what is not pinned succeeds");
	else if (!pinned)
		expect("mpool_put of what is not pinned", error, EINVAL);
	else
		model_.put(pgno, flags & MPOOL_DIRTY);
}

void Run::modify()
{
	if (model_.pinned().empty())
		return;
	uint32_t pgno = model_.pinned()[in_.below(static_cast<unsigned>(model_.pinned().size()))];
	unsigned char value = static_cast<unsigned char>(in_.byte());
	trace("page %u is modified", pgno);
	unsigned char *page = static_cast<unsigned char *>(model_.page(pgno).address);
	for (uint32_t i = 0; i < setup_.page_size; i++)
		page[i] = static_cast<unsigned char>(value + i * 3);
	model_.modified(pgno);
}

void Run::put_one(bool dirty)
{
	if (model_.pinned().empty())
		return;
	uint32_t pgno = model_.pinned()[in_.below(static_cast<unsigned>(model_.pinned().size()))];
	put(model_.page(pgno).address, dirty ? MPOOL_DIRTY : 0);
}

void Run::make(uint32_t pgno, unsigned flags)
{
	if (too_many())
		return;
	bool request = flags == MPOOL_PAGE_REQUEST;
	uint64_t pages = model_.pages();
	uint32_t number = pgno;
	trace("mpool_new(%u, %#x)", pgno, flags);
	Call call;
	void *page = flags == MPOOL_PAGE_NEXT ? (mpool_new)(mp_, &number) : mpool_new_flags(mp_, &number, flags);
	int error = call.end();
	if (page && request && model_.page(pgno).latch != Latch::none)
		fail("page %u was made afresh, and is latched", pgno);
	if (page) {
		if (request ? number != pgno : pages == MAX_PAGE_NUMBER)
			fail("mpool_new gave page %u", number);
		if (request && (model_.page(pgno).pins > 0 || model_.page(pgno).dirty == Dirty::yes))
			fail("page %u was made afresh, and was in the pool", pgno);
		model_.made(number, page, !request);
		last_ = page;
		return;
	}
	model_.failed();
	if (number != pgno)
		fail("mpool_new failed, and changed the number");
	if (faults.struck && error == ENOMEM) {
		model_.number_may_be_used(mp_, request ? pgno : pages);
		return;
	}
	if (request && pgno == MAX_PAGE_NUMBER)
		expect("MPOOL_PAGE_REQUEST of no number", error, EINVAL);
	else if (!request && pages == MAX_PAGE_NUMBER)
		expect("mpool_new with no number left", error, EFBIG);
	else if (!(request && error == EEXIST && model_.seen(pgno)) && !(error == EFBIG && model_.beside_it))
		may_fail("mpool_new", error);
}

void Run::erase(void *address)
{
	uint32_t pgno;
	bool pinned = model_.pinned_at(address, &pgno);
	unsigned pins = pinned ? model_.page(pgno).pins : 0;
	bool shared = pinned && model_.page(pgno).latch == Latch::shared;
	trace("mpool_delete(%p), pinned %u times%s", address, pins, shared ? ", and latched" : "");
	Call call;
	int result = mpool_delete(mp_, address);
	int error = call.end();
	if (result == 0 && (pins != 1 || shared))
		fail("mpool_delete of a page pinned %u times%s succeeds", pins, shared ? ", and latched," : "");
	if (result == 0)
		model_.deleted(pgno);
	else if (faults.struck)
		may_fail("mpool_delete", error);
	else if (pins != 1 || shared)
		expect("mpool_delete", error, pins == 0 ? EINVAL : EBUSY);
	else
		fail("mpool_delete of page %u: %s", pgno, strerror(error));
}

void Run::sync()
{
	trace("mpool_sync");
	model_.syncs(Scope());
	Call call;
	int result = mpool_sync(mp_);
	int error = call.end();
	if (model_.exclusive() > 0)
		must_fail("mpool_sync with a latch", result, error, EDEADLK);
	else
		model_.synced(result, error);
	if (result == 0)
		model_.check_file();
}

void Run::resize(unsigned maxcache)
{
	trace("mpool_tune: %u cached", maxcache);
	Call call;
	int result = mpool_tune(mp_, MPOOL_MAXCACHE, maxcache);
	int error = call.end();
	if (result == 0 && !model_.cache_fits(maxcache))
		fail("mpool_tune: %u pages, more than the pool has addresses for", maxcache);
	if (result == 0)
		model_.cache_is(maxcache);
	else if (!model_.cache_fits(maxcache))
		expect("mpool_tune", error, ENOMEM);
	else
		may_fail("mpool_tune", error);
	if (faults.struck)
		model_.failed(); // what could not be written is there still
}

void Run::sync_range(uint32_t first, uint32_t n, unsigned flags)
{
	trace("mpool_sync_range(%u, %u, %#x)", first, n, flags);
	Scope scope = {first, n, flags};
	bool wrong = (flags & ~unsigned{MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE}) != 0 ||
	             (flags & (MPOOL_WRITE | MPOOL_FLUSH)) == 0;
	model_.syncs(scope);
	Call call;
	ssize_t result = mpool_sync_range(mp_, first, n, flags);
	int error = call.end();
	if (wrong)
		must_fail("mpool_sync_range with wrong flags", result, error, EINVAL);
	else if (model_.exclusive() > 0 && (flags & MPOOL_WRITE))
		must_fail("mpool_sync_range with a latch", result, error, EDEADLK);
	else if (model_.exclusive() > 0 && result != 0 && error == EDEADLK && model_.undone())
		;
	else
		model_.synced(result, error);
	model_.syncs(Scope());
	if (result >= 0)
		model_.check_file();
}

// ---- Latches, and optimistic reads ----------------------------------------------

void Run::latch(void *address, unsigned flags)
{
	uint32_t pgno;
	bool pinned = model_.pinned_at(address, &pgno);
	unsigned mode = flags & ~unsigned{MPOOL_TRY};
	bool wrong = mode != MPOOL_SHARED && mode != MPOOL_EXCLUSIVE;
	trace("mpool_latch(%p, %#x)%s", address, flags, pinned ? "" : ", which is not pinned");
	Call call;
	int result = mpool_latch(mp_, address, flags);
	int error = call.end();
	if (result != 0 && faults.struck)
		may_fail("mpool_latch", error);
	else if (!pinned || wrong)
		must_fail("mpool_latch of what is not pinned, or with wrong flags", result, error, EINVAL);
	else if (model_.page(pgno).latch != Latch::none)
		must_fail("mpool_latch, once more,", result, error, EDEADLK);
	else if (result != 0)
		fail("mpool_latch of page %u: %s", pgno, strerror(error));
	else
		model_.latched(pgno, mode == MPOOL_EXCLUSIVE);
}

void Run::unlatch(void *address, unsigned flags)
{
	uint32_t pgno;
	bool latched = model_.latched_at(address, &pgno), wrong = (flags & ~unsigned{MPOOL_DIRTY}) != 0;
	trace("mpool_unlatch(%p, %#x)%s", address, flags, latched ? "" : ", which is not latched");
	Call call;
	int result = mpool_unlatch(mp_, address, flags);
	int error = call.end();
	if (result != 0 && faults.struck)
		may_fail("mpool_unlatch", error);
	else if (wrong)
		must_fail("mpool_unlatch with wrong flags", result, error, EINVAL);
	else if (!latched && model_.pinned_at(address, &pgno))
		must_fail("mpool_unlatch of what is not latched", result, error, EPERM);
	else if (!latched)
		must_fail("mpool_unlatch of what is not latched", result, error, error == EPERM ? EPERM : EINVAL);
	else if (result != 0)
		fail("mpool_unlatch of page %u: %s", pgno, strerror(error));
	else
		model_.unlatched(pgno, flags & MPOOL_DIRTY);
}

void Run::upgrade(void *address, const Peek &peek)
{
	uint32_t pgno;
	bool pinned = model_.pinned_at(address, &pgno);
	trace("mpool_upgrade(%p, a version of page %u)", address, peek.pgno);
	Call call;
	int result = mpool_upgrade(mp_, address, peek.version);
	int error = call.end();
	if (result != 0 && faults.struck)
		may_fail("mpool_upgrade", error);
	else if (!pinned)
		must_fail("mpool_upgrade of what is not pinned", result, error, EINVAL);
	else if (model_.page(pgno).latch != Latch::none)
		must_fail("mpool_upgrade of a latched page", result, error, EDEADLK);
	else if (peek.pgno != pgno || model_.changed(peek) || (result != 0 && !model_.unchanged(peek)))
		must_fail("mpool_upgrade of a page that was changed", result, error, EAGAIN);
	else if (result != 0)
		fail("mpool_upgrade of page %u, unchanged: %s", pgno, strerror(error));
	else
		model_.latched(pgno, true);
}

void Run::peek(uint32_t pgno)
{
	struct mpool_stats st;
	uint64_t version = 0;
	if (mpool_stats(mp_, &st, sizeof st) != 0)
		fail("mpool_stats: %s", strerror(errno));
	trace("mpool_peek(%u)", pgno);
	Call call;
	const void *page = mpool_peek(mp_, pgno, &version);
	int error = call.end();
	bool there = pgno < model_.pages() && model_.seen(pgno);
	if (!page && faults.struck)
		may_fail("mpool_peek", error);
	else if (!page)
		expect("mpool_peek", error, EAGAIN);
	if (page && (!there || model_.page(pgno).latch == Latch::exclusive))
		fail("page %u is peeked at, which %s", pgno, there ? "is latched" : "nobody has got");
	if (!page && !faults.struck && there && model_.page(pgno).pins > 0 && st.overflow == 0 &&
		model_.page(pgno).latch != Latch::exclusive)
		fail("page %u is pinned, and cannot be peeked at", pgno);
	if (!page)
		return;
	if (peeks_.size() == peeks_most)
		peeks_.erase(peeks_.begin());
	peeks_.push_back(model_.peeked(pgno, page, version));
}

void Run::look_again()
{
	if (peeks_.empty())
		return;
	const Peek &peek = peeks_[in_.below(static_cast<unsigned>(peeks_.size()))];
	trace("mpool_unchanged of page %u", peek.pgno);
	Call call;
	int result = mpool_unchanged(mp_, peek.address, peek.version);
	call.end();
	if (result != 0 && result != 1)
		fail("mpool_unchanged: %d", result);
	if (result == 1 && model_.changed(peek))
		fail("page %u is unchanged, they say, and was latched exclusively, or deleted", peek.pgno);
	if (result == 0 && model_.unchanged(peek))
		fail("page %u is changed, they say, and was pinned or latched by a reader since", peek.pgno);
}

void Run::tune()
{
	uint64_t value = in_.below(4), now = 0;
	trace("MPOOL_LATCHED is to be %u", static_cast<unsigned>(value));
	Call call;
	int result = mpool_tune(mp_, MPOOL_LATCHED, value);
	int error = call.end();
	if (result != 0 && faults.struck)
		may_fail("mpool_tune", error);
	else if (value > 1)
		must_fail("mpool_tune", result, error, EINVAL);
	else if (result != 0)
		fail("mpool_tune: %s", strerror(error));
	else
		model_.all_latch(value == 1);
	if (result == 0 && (mpool_tuned(mp_, MPOOL_LATCHED, &now) != 0 || now != value))
		fail("mpool_tuned: %u", static_cast<unsigned>(now));
}

void Run::truncate(uint32_t pages)
{
	// A file that is longer than its pages are used takes nobody's memory.
	bool pinned = model_.any_pinned(pages, UINT64_MAX);
	trace("mpool_truncate(%u)%s", pages, pinned ? ", of what is pinned" : "");
	Call call;
	int result = mpool_truncate(mp_, pages);
	int error = call.end();
	if (result == 0 && pinned)
		fail("mpool_truncate succeeds, of pinned pages");
	if (result == 0)
		model_.truncated(pages);
	else if (pinned && !faults.struck)
		expect("mpool_truncate", error, EBUSY);
	else if (!pinned && !(error == EFBIG && model_.beside_it))
		may_fail("mpool_truncate", error);
}

void Run::invalidate(uint32_t first, uint32_t n)
{
	// Another writes one of them, that no write of the pool's own can come after.
	if (first < model_.pages() && model_.any_dirty(first, 1) == Dirty::no && !model_.any_pinned(first, 1)) {
		trace("page %u is written by another", first);
		model_.written_by_another(first, static_cast<unsigned char>(in_.byte()));
		n = n ? n : 1;
	}
	bool pinned = model_.any_pinned(first, n);
	Dirty dirty = model_.any_dirty(first, n);
	trace("mpool_invalidate(%u, %u)", first, n);
	Call call;
	int result = mpool_invalidate(mp_, first, n);
	int error = call.end();
	if (result == 0 && (pinned || dirty == Dirty::yes))
		fail("mpool_invalidate succeeds, of pages that are pinned or modified");
	if (result != 0 && error == EBUSY && !pinned && dirty == Dirty::no)
		fail("mpool_invalidate: some are busy, and none is");
	if (result != 0 && error != EBUSY)
		may_fail("mpool_invalidate", error);
	// How long the file is is looked at in any case.
	model_.invalidated(first, result == 0 || error == EBUSY ? n : 0);
}

void Run::stats()
{
	unsigned char bytes[sizeof(struct mpool_stats) + 16];
	size_t size = in_.below(sizeof bytes);
	trace("mpool_stats of %zu bytes", size);
	memset(bytes, canary, sizeof bytes);
	Call call;
	int result = mpool_stats(mp_, reinterpret_cast<struct mpool_stats *>(bytes), size);
	int error = call.end();
	if (result != 0)
		may_fail("mpool_stats", error);
	for (size_t i = size; i < sizeof bytes; i++)
		if (bytes[i] != canary)
			fail("mpool_stats of %zu bytes wrote byte %zu", size, i);
}

// Beside the pool that is open: each fails, and nothing changes.
void Run::wrong_open()
{
	char key[sizeof "fuzz_calls " + 3 * sizeof(pid_t)];
	int ends[2], expected;
	unsigned which = in_.below(5);
	uint32_t page_size = setup_.page_size;
	void *name = nullptr;
	if (pipe2(ends, O_CLOEXEC) != 0)
		abort();
	int fd = model_.fd();
	switch (which) {
	case 0:
		/* Nobody has such a pool, and who makes one must bring the file. */
		snprintf(key, sizeof key, "fuzz_calls %d", static_cast<int>(getpid()));
		name = key;
		fd = -1;
		expected = EBADF;
		break;
	case 1:
		page_size = 0;
		expected = EINVAL;
		break;
	case 2:
		fd = -1;
		expected = EBADF;
		break;
	case 3:
		fd = ends[0];
		expected = ESPIPE;
		break;
	default:
		fcntl(model_.fd(), F_SETFL, O_APPEND);
		expected = EINVAL;
		break;
	}
	trace("mpool_open, wrong in way %u", which);
	Call call;
	MPOOL *mp = mpool_open(name, fd, page_size, in_.word());
	int error = call.end();
	fcntl(model_.fd(), F_SETFL, 0);
	if (mp)
		fail("mpool_open, wrong in way %u, succeeds", which);
	if (!faults.struck || error != faults.struck_error) // of two errors, either
		expect("mpool_open", error, expected);
	::close(ends[0]);
	::close(ends[1]);
}

void Run::arm()
{
	faults.kind = static_cast<Faults::Kind>(in_.below(Faults::KINDS));
	faults.countdown = in_.below(4);
	faults.error = fault_errors[in_.below(sizeof fault_errors / sizeof fault_errors[0])];
	faults.shorter = in_.below(3) == 0 ? in_.byte() : 0;
	trace("from now on fault %d of %s after %u", faults.kind, strerror(faults.error), faults.countdown);
}

void Run::step()
{
	unsigned which = in_.below(48);
	peeking_ = false;
	if (which == 7 && setup_.beside)
		step_beside();
	else if (which < 32)
		step_page(which);
	else
		step_latch(which - 32);
	if (!peeking_)
		model_.check(mp_, beside_.others());
	fuzz::calls_made++;
}

// Calls on the second file, several at a time: most calls are the first one's.
void Run::step_beside()
{
	// By such a number the pool has its pages.
	get(MAX_PAGE_NUMBER - 2 * extent + 1 + in_.below(2) * extent + in_.below(fuzz::Beside::pages), 0);
	for (unsigned n = 1 + in_.below(4); n > 0; n--) {
		unsigned which = in_.below(16);
		if (!beside_.attached())
			beside_.attach(mp_, model_);
		else if (which == 0)
			beside_.close();
		else if (which == 1)
			beside_.sync(model_);
		else if (which < 5)
			beside_.put();
		else if (which < 9)
			beside_.modify(static_cast<unsigned char>(in_.byte()));
		else
			beside_.get(in_.below(fuzz::Beside::pages + 1), model_);
	}
	beside_.put(); // its address is for no call of the first file's
}

// Latches, and what goes with them.
void Run::step_latch(unsigned which)
{
	static const unsigned modes[] = {
		MPOOL_SHARED, MPOOL_EXCLUSIVE, MPOOL_SHARED | MPOOL_TRY, MPOOL_EXCLUSIVE | MPOOL_TRY};
	switch (which) {
	case 0:
	case 1:
		latch(some_address(), modes[in_.below(4)]);
		break;
	case 2:
		latch(some_address(), in_.byte());
		break;
	case 3:
		modify(); // and mark it
			  /* fall through */
	case 4:
		unlatch(some_latched(), MPOOL_DIRTY);
		break;
	case 5:
	case 6:
		unlatch(some_latched(), 0);
		break;
	case 7:
		unlatch(some_address(), in_.byte());
		break;
	case 8:
	case 9:
		if (!peeks_.empty())
			upgrade(some_address(), peeks_[in_.below(static_cast<unsigned>(peeks_.size()))]);
		break;
	case 10:
	case 11:
		peek(some_page());
		break;
	case 12:
		look_again();
		break;
	case 13:
		sync_range(some_page(), in_.byte(), 1 + in_.below(7));
		break;
	case 14:
		sync_range(in_.below(2) ? 0 : some_page(), in_.below(2) ? MAX_PAGE_NUMBER : in_.word(), in_.byte());
		break;
	case 15:
		tune();
		break;
	}
}

void Run::step_page(unsigned which)
{
	// Gets and puts come oftener than the rest.
	switch (which) {
	default:
		get(some_page(), 0);
		break;
	case 0:
		truncate(some_page());
		break;
	case 1:
		invalidate(some_page() % 256, in_.byte());
		break;
	case 2:
		invalidate(0, MAX_PAGE_NUMBER);
		break;
	case 3:
		resize(in_.below(caches));
		break;
	case 8:
		get(some_page(), MPOOL_IGNOREPIN);
		break;
	case 9:
		get(some_page(), in_.word() & ~uint32_t{MPOOL_IGNOREPIN | MPOOL_CACHED});
		break;
	case 10:
	case 11:
	case 12:
		put_one(false);
		break;
	case 13:
	case 14:
	case 15:
	case 16:
		modify(); // and mark it
			  /* fall through */
	case 17:
		put_one(true);
		break;
	case 18:
		modify();
		break;
	case 19:
		put(some_address(), in_.word());
		break;
	case 20:
	case 21:
		make(some_page(), MPOOL_PAGE_NEXT);
		break;
	case 22:
		make(some_page(), MPOOL_PAGE_REQUEST);
		break;
	case 23:
		make(some_page(), in_.byte());
		break;
	case 24:
	case 25:
		erase(some_address());
		break;
	case 26:
		sync();
		break;
	case 27:
		stats();
		break;
	case 28:
		wrong_open();
		break;
	case 29:
		close();
		open();
		break;
	case 30:
	case 31:
		arm();
		break;
	}
}

void Run::go()
{
	fault::Script script(model_.fd(), [this](const fault::Call &call) { return model_.on_call(call); });
	open();
	for (unsigned n = 0; n < calls_most && !in_.done(); n++)
		step();
	// The end: nothing goes wrong any more, and all is as it must be.
	faults = Faults();
	while (!model_.latched().empty())
		unlatch(model_.page(model_.latched().back()).address, 0);
	while (!model_.pinned().empty())
		put(model_.page(model_.pinned().back()).address, MPOOL_DIRTY);
	sync();
	model_.check(mp_, beside_.others());
	close();
}

} // namespace

namespace fuzz {
unsigned long calls_made, evictions_seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input in(data, size);
	fuzz::trace_clear();
	faults = Faults();
	Run(in).go();
	return 0;
}
