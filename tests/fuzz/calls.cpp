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

#include "model.hpp"

using fuzz::Dirty;
using fuzz::fail;
using fuzz::faults;
using fuzz::Faults;
using fuzz::in_call;
using fuzz::Model;
using fuzz::trace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

constexpr uint32_t page_sizes[] = {1, 3, 8, 13, 32, 64, 100, 512};
constexpr unsigned pages_at_start = 12, caches = 10, pins_most = 40, calls_most = 400;
constexpr int fault_errors[] = {EIO, ENOSPC, EINTR, EDQUOT, EFBIG};
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
	bool filters;

	explicit Setup(Input &in)
	{
		page_size = page_sizes[in.below(sizeof page_sizes / sizeof page_sizes[0])];
		length = in.below(pages_at_start + 1) * uint64_t{page_size};
		filters = in.below(3) == 0;
		if (in.below(3) == 0)
			length += page_size / 2; // a partial page
	}
};

class Run {
public:
	explicit Run(Input &in) : in_(in), setup_(in), model_(setup_.page_size, setup_.length, setup_.filters) {}
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
	void stats();
	void wrong_open();
	void arm();
	void *some_address();
	uint32_t some_page();
	bool too_many() const { return model_.pinned().size() >= pins_most; }

	Input &in_;
	Setup setup_;
	Model model_;
	MPOOL *mp_ = nullptr;
	void *last_ = nullptr; // an address that the pool gave once
	bool peeking_ = false; // a look at the statistics would end it
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
	if (faults.struck)
		model_.cache_may_be_smaller(mp_);
	if (model_.the_filter())
		mpool_filter(mp_, model_.the_filter(), model_.the_filter(), &model_);
}

void Run::close()
{
	trace("mpool_close");
	struct mpool_stats st;
	if (mpool_stats(mp_, &st, sizeof st) == 0)
		fuzz::evictions_seen += st.evictions;
	if (mpool_close(mp_) != 0)
		fail("mpool_close: %s", strerror(errno));
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
	else if (!(request && error == EEXIST && model_.seen(pgno)))
		may_fail("mpool_new", error);
}

void Run::erase(void *address)
{
	uint32_t pgno;
	bool pinned = model_.pinned_at(address, &pgno);
	unsigned pins = pinned ? model_.page(pgno).pins : 0;
	trace("mpool_delete(%p), pinned %u times", address, pins);
	Call call;
	int result = mpool_delete(mp_, address);
	int error = call.end();
	if (result == 0 && pins != 1)
		fail("mpool_delete of a page pinned %u times succeeds", pins);
	if (result == 0)
		model_.deleted(pgno);
	else if (faults.struck)
		may_fail("mpool_delete", error);
	else if (pins != 1)
		expect("mpool_delete", error, pins == 0 ? EINVAL : EBUSY);
	else
		fail("mpool_delete of page %u: %s", pgno, strerror(error));
}

void Run::sync()
{
	trace("mpool_sync");
	Call call;
	int result = mpool_sync(mp_);
	int error = call.end();
	model_.synced(result, error);
	if (result == 0)
		model_.check_file();
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
	peeking_ = false;
	// Gets and puts come oftener than the rest.
	switch (in_.below(32)) {
	default:
		get(some_page(), 0);
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
	if (!peeking_)
		model_.check(mp_);
	fuzz::calls_made++;
}

void Run::go()
{
	fault::Script script(model_.fd(), [this](const fault::Call &call) { return model_.on_call(call); });
	open();
	for (unsigned n = 0; n < calls_most && !in_.done(); n++)
		step();
	// The end: nothing goes wrong any more, and all is as it must be.
	faults = Faults();
	while (!model_.pinned().empty())
		put(model_.page(model_.pinned().back()).address, MPOOL_DIRTY);
	sync();
	model_.check(mp_);
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
