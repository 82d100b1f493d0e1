// scenario.cpp - see scenario.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "scenario.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include <sys/uio.h>
#include <unistd.h>

#include "inside.h"
#include "mpool.h"
#include "object.h"

namespace explore {

namespace {

// A page: its number and a mark (0 in pages that are new), then how often each thread has modified it.
constexpr unsigned kWords = kThreads;
constexpr size_t kPage = kWords * sizeof(uint64_t);
constexpr uint64_t kMark = UINT64_C(0x70616765) << 32;
constexpr unsigned kTokens = 4;
// Pages of a file in which many have one home.
constexpr unsigned kManyPages = 128;

using Words = uint64_t *;

struct Op {
	char what;
	unsigned arg;                 // the page, as the script calls it, or a token
	std::vector<unsigned> list{}; // pages
};
constexpr unsigned kNewPage = UINT_MAX;
constexpr char kThreadEnd = 'E';
// Pages of a list.
constexpr unsigned kListed = 8;

struct Pin {
	unsigned page;
	Words at;
	unsigned deaths = 0; // that had been when it was got
};

// A modification that was put dirty.
struct Put {
	uint64_t count;
	uint32_t time; // of its thread
};

// A thread's latch of a page; where it is, exclusive.
struct Latched {
	Words at;
	bool exclusive;
};

// Of a process that died: who was the owner in the pool's words, until somebody has recovered it.
struct DeadLatch {
	unsigned page;
	Words at;
	uint32_t owner;
};

struct Worker {
	std::vector<Pin> held;
	std::map<unsigned, Latched> latched;
	std::map<unsigned, uint64_t> version;   // noted
	std::map<unsigned, uint64_t> latchings; // by others, when it was
	unsigned new_page = 0;
	std::map<unsigned, Words> last; // where a page was
	Pin peek{0, nullptr};
	char doing = 0;                         // the call that it is in
	unsigned waits = 0;                     // for that token, in before_write; 0: for none
	std::multiset<unsigned> out, announced; // pages that were shown to the hook, and are not written yet
	unsigned looked = 0;                    // for so many who died
};

// What a process that died had pinned.
struct DeadPin {
	MPOOL *pool;
	Pin pin;
};

struct Offer {
	Pin pin;
	unsigned by;
};

struct Signal {
	bool given = false;
	Token token;
};

struct State {
	const Scenario *scenario;
	MPOOL *pool[kProcesses];
	MPOOL *file[kProcesses][kFiles]; // that are attached
	Worker worker[kThreads];
	std::vector<inside_pin> pins;           // of all threads
	std::vector<unsigned> pinner;           // whose they are, by process
	std::vector<DeadPin> dead_pins;         // which nobody has noticed yet
	std::vector<DeadLatch> dead_latches;    // the same
	std::map<unsigned, uint64_t> latchings; // exclusive ones, of each page
	bool latched_only;                      // MPOOL_LATCHED
	std::map<const void *, Token> stored;   // by where pages are: what is known to who reads what was stored there
	std::set<unsigned> abandoned;           // pages that were
	std::set<unsigned> torn;                // of these: modified, and not forgiven
	std::map<unsigned, unsigned> forgiven;  // at so many deaths
	std::set<unsigned> left_latched;        // pages, by threads that ended or are gone
	std::set<unsigned> theirs;              // pages of threads that are not in the child
	unsigned deaths;
	unsigned deaths_certain; // of those, of members of the pool
	std::vector<Offer> offered;
	Token offer;
	Token fork;
	bool forked;
	std::set<int> asked; // descriptors by which a thread was in an fsync that is not in the child
	bool not_called;     // the pool, in the child: the first call takes its time
	Signal signal[kTokens];
	std::vector<struct mpool_io *> requests; // that the store has
	Token request;                           // what who made them knew
	bool store_ends;
	std::map<unsigned, uint64_t> count[kThreads];       // modifications made
	std::map<unsigned, std::vector<Put>> put[kThreads]; // ... and put
	std::map<unsigned, bool> loose;                     // pages whose modifications may go
	std::map<unsigned, bool> loose_before;              // ... when a thread began to cut the file,
	unsigned cuts, cut = UINT_MAX;                      // to so many pages, while it is under way
	unsigned left = UINT_MAX;                           // pages that were left when it was cut last
	unsigned must_be_cut = UINT_MAX;                    // whoever cut it to that many died, and the file was cut
	bool made;                                          // some were made
	bool limited;                                       // MPOOL_MAXCACHE was set
	std::vector<unsigned> number;                       // by the script's names
	bool deletes;                                       // some are deleted
	bool others;                                        // some put what is not theirs
	bool last_made;                                     // no number may be left
	unsigned prefetches[kProcesses];                    // that have begun something
	bool fault;
} s;

bool fault_seen;

// By call and by what the thread was about to do.
std::map<char, std::map<const void *, uint64_t>> died_at;

MPOOL *pool()
{
	return s.pool[space_of(current())];
}

unsigned file_of(unsigned page)
{
	return page >= kFar ? 2 : page % 2;
}

// The handle of the file that the page is had by; nullptr: this process has none.
MPOOL *&handle(unsigned page)
{
	unsigned p = space_of(current());
	return s.scenario->attached && file_of(page) ? s.file[p][file_of(page)] : s.pool[p];
}

MPOOL *by(unsigned page)
{
	return handle(page);
}

std::vector<Op> parse(const std::string &script)
{
	std::vector<Op> ops;
	for (size_t i = 0; i < script.size(); i++) {
		if (script[i] == ' ')
			continue;
		Op op{script[i], 0};
		if (op.what == 'v' || op.what == 'r') {
			while (i + 1 < script.size() && std::isdigit(script[i + 1]))
				op.list.push_back(static_cast<unsigned>(script[++i] - '0'));
		} else if (i + 1 < script.size() && script[i + 1] == '@') {
			op.arg = kNewPage;
			i++;
		} else {
			char *end;
			op.arg = static_cast<unsigned>(std::strtoul(&script[i + 1], &end, 10));
			i = static_cast<size_t>(end - &script[0]) - 1;
		}
		ops.push_back(op);
	}
	return ops;
}

unsigned page_number(const Op &op)
{
	return op.arg == kNewPage ? s.worker[current()].new_page : s.number.at(op.arg);
}

// ---- pins ------------------------------------------------------------------

Pin *held(unsigned page)
{
	for (Pin &p : s.worker[current()].held)
		if (p.page == page)
			return &p;
	return nullptr;
}

void pins_add(const Pin &pin)
{
	s.pins.push_back({pin.at, pin.page});
	s.pinner.push_back(space_of(current()));
	if (running())
		look();
}

void pins_remove(const Pin &pin, unsigned process)
{
	for (size_t i = 0; i < s.pins.size(); i++)
		if (s.pins[i].page == pin.at && s.pins[i].number == pin.page && s.pinner[i] == process) {
			s.pins.erase(s.pins.begin() + static_cast<long>(i));
			s.pinner.erase(s.pinner.begin() + static_cast<long>(i));
			return;
		}
}

Pin release(const Pin &pin)
{
	Pin copy = pin;
	std::vector<Pin> &h = s.worker[current()].held;
	pins_remove(copy, space_of(current()));
	h.erase(h.begin() + (&pin - h.data()));
	return copy;
}

// ---- what a page holds -----------------------------------------------------

uint64_t word(Words page, unsigned w)
{
	plain_read(&page[w], sizeof *page, __builtin_return_address(0));
	return page[w];
}

void check_page(const Pin &pin)
{
	bool made = !s.scenario->one_bucket && pin.page >= s.scenario->pages;
	uint64_t mark = made ? 0 : kMark | pin.page, is = word(pin.at, 0);
	// One that was cut off may be made again.
	if (is != mark && !(is == 0 && s.made && s.loose[pin.page]))
		fail("page %u holds what is not its own: %#llx", pin.page, static_cast<unsigned long long>(is));
	if (s.loose[pin.page])
		return;
	uint64_t mine = s.count[current()][pin.page], there = word(pin.at, current());
	if (there != mine)
		fail("page %u has %llu modifications of this thread, which made %llu", pin.page,
			static_cast<unsigned long long>(there), static_cast<unsigned long long>(mine));
}

void check_held()
{
	Worker &w = s.worker[current()];
	for (const Pin &p : w.held)
		check_page(p);
	if (w.peek.at && *w.peek.at != (kMark | w.peek.page))
		fail("page %u went away under a look with MPOOL_IGNOREPIN", w.peek.page);
	if (w.peek.at)
		pins_remove(w.peek, space_of(current()));
	w.peek.at = nullptr;
}

// Nobody has it, or they all share it; and all of it is there to be read.
void latched_now(Worker &w, unsigned page, Words at, bool exclusive)
{
	for (const Worker &other : s.worker) {
		auto l = other.latched.find(page);
		if (l != other.latched.end() && (exclusive || l->second.exclusive))
			fail("page %u is latched by two, by one of them exclusively", page);
	}
	w.latched[page] = {at, exclusive};
	s.latchings[page] += exclusive;
	plain_read(at, kPage, __builtin_return_address(0));
}

void modify_page(const Pin &pin)
{
	unsigned me = current();
	plain_write(&pin.at[me], sizeof *pin.at, nullptr);
	pin.at[me] = ++s.count[me][pin.page];
}

// ---- the calls -------------------------------------------------------------

// Processes that could tell are stopped, or a write-back has failed.
bool sync_excused(int error)
{
	return (error == EAGAIN && s.scenario->silent) || (error == EIO && file_lost_some());
}

bool excused(int error)
{
	if (!s.scenario->fails || !s.fault)
		return false;
	return error == (s.scenario->fails == fail_memory ? ENOMEM : EIO);
}

// ---- latches ---------------------------------------------------------------

void latch_page(unsigned page, unsigned mode, bool only_try)
{
	Pin *p = held(page);
	Worker &w = s.worker[current()];
	if (!p)
		return;
	Words at = p->at;
	if (mpool_latch(pool(), at, mode | (only_try ? static_cast<unsigned>(MPOOL_TRY) : 0u)) != 0) {
		s.not_called = false;
		if (!(only_try && errno == EBUSY) && !excused(errno))
			fail("latch of page %u fails: %s", page, std::strerror(errno));
		return;
	}
	s.not_called = false;
	latched_now(w, page, at, mode == MPOOL_EXCLUSIVE);
}

// What is read of a page that others change is not of the library's doing: the explorer takes it for acquire loads of release
// stores.  That fences will do is for litmus tests.
void note_store(const void *at)
{
	s.stored[at].release();
}

void peek_and_read(unsigned page)
{
	uint64_t version, copy[kWords];
	const void *at = mpool_peek(by(page), page, &version);
	if (!at) {
		s.not_called = false;
		if (errno != EAGAIN && !excused(errno))
			fail("peek at page %u fails: %s", page, std::strerror(errno));
		return;
	}
	auto from = static_cast<const volatile uint64_t *>(at);
	for (unsigned i = 0; i < kWords; i++) {
		if (i < 2 && running())
			point(false); // it may have become another page before, or be changed in the middle
		if (in_object(at) && !memory_is_there(at))
			fail("page %u is peeked at, and its memory was given back", page);
		copy[i] = from[i];
		s.stored[at].acquire();
		s.stored[const_cast<const uint64_t *>(&from[i])].acquire();
	}
	// Nobody changes it between the peek and the answer, if that is yes: so it is now as it was.
	uint64_t now[kWords];
	for (unsigned t = 0; t < kWords; t++)
		now[t] = s.count[t][page];
	if (running())
		point(false);
	if (!mpool_unchanged(by(page), at, version) || s.loose[page])
		return;
	if (copy[0] != (kMark | page))
		fail("page %u is unchanged, and was another: %#llx", page, static_cast<unsigned long long>(copy[0]));
	for (unsigned t = 1; t < kWords; t++)
		if (copy[t] != now[t] && (s.deaths == 0 || process_of(t) == process_of(current())))
			fail("page %u is unchanged, with %llu of %llu modifications of thread %u", page,
				static_cast<unsigned long long>(copy[t]), static_cast<unsigned long long>(now[t]), t);
}

bool peeks(const Scenario &scenario)
{
	for (const std::string &text : scenario.threads)
		if (text.find('p') != std::string::npos)
			return true;
	return false;
}

void note_version(unsigned page)
{
	Pin *p = held(page);
	Worker &w = s.worker[current()];
	if (!p || !inside_version(pool(), p->at, &w.version[page]))
		return;
	w.latchings[page] = s.latchings[page];
	if (running())
		point();
}

void upgrade_page(unsigned page)
{
	Pin *p = held(page);
	Worker &w = s.worker[current()];
	if (!p || !w.latchings.count(page))
		return;
	Words at = p->at;
	if (mpool_upgrade(pool(), at, w.version[page]) != 0) {
		if (errno != EAGAIN && !excused(errno))
			fail("upgrade of page %u fails: %s", page, std::strerror(errno));
		return;
	}
	if (s.latchings[page] != w.latchings[page])
		fail("page %u was latched exclusively since its version was noted, and can be upgraded", page);
	latched_now(w, page, at, true);
}

void unlatch_page(unsigned page, bool dirty)
{
	Worker &w = s.worker[current()];
	auto l = w.latched.find(page);
	if (l == w.latched.end())
		return; // it was only tried
	Words at = l->second.at;
	if (dirty)
		modify_page({page, at});
	w.latched.erase(l);
	int result = mpool_unlatch(pool(), at, dirty ? MPOOL_DIRTY : 0);
	s.not_called = false;
	if (result != 0)
		fail("unlatch of page %u fails: %s", page, std::strerror(errno));
	if (dirty)
		s.put[current()][page].push_back({s.count[current()][page], knowledge().order.at[current()]});
}

// The thread ends, or is gone with its process: its latches are nobody's, soon.
void latches_go(unsigned thread)
{
	Worker &w = s.worker[thread];
	for (const auto &l : w.latched) {
		if (!l.second.exclusive)
			continue;
		s.abandoned.insert(l.first);
		s.left_latched.insert(l.first);
		s.latchings[l.first]++;
		s.dead_latches.push_back({l.first, l.second.at, inside_latch_owner(s.pool[0], l.second.at)});
	}
	w.latched.clear();
}

// ---- the other calls -------------------------------------------------------

void get(unsigned page, char what)
{
	if (what == 'H')
		hit_begins();
	auto at = static_cast<Words>(mpool_get(by(page), page, 0));
	if (what == 'H')
		hit_ends();
	s.not_called = false;
	if (at && page >= s.left && !s.made && s.cuts == 1)
		fail("page %u was cut off, and can be got", page);
	if (!at) {
		bool full = s.scenario->narrow && errno == EFBIG;
		if (!(what == 'Y' && errno == EINVAL) && !full && !excused(errno))
			fail("get of page %u fails: %s", page, std::strerror(errno));
		return;
	}
	Pin pin{page, at, s.deaths};
	pins_add(pin);
	s.worker[current()].held.push_back(pin);
	s.worker[current()].last[page] = at;
	check_page(pin);
}

void get_number_of_another(unsigned page)
{
	const void *at = mpool_get(pool(), inside_numbers_attached() + page, 0);
	s.not_called = false;
	if (at)
		fail("another file's page %u can be got of the first", page);
	else if (errno != EINVAL)
		fail("get of a number that the file does not have fails: %s", std::strerror(errno));
}

void got(unsigned page, void *at)
{
	Pin pin{page, static_cast<Words>(at), s.deaths};
	pins_add(pin);
	s.worker[current()].held.push_back(pin);
	s.worker[current()].last[page] = pin.at;
}

void getv(const Op &op)
{
	pgno_t list[kListed] = {};
	void *at[kListed] = {};
	size_t n = op.list.size();
	for (size_t i = 0; i < n; i++)
		list[i] = s.number.at(op.list[i]);
	int result = mpool_getv(pool(), list, at, n, 0);
	s.not_called = false;
	bool cut = s.cuts > 0 && errno == EINVAL;
	if (result != 0 && !excused(errno) && !cut)
		fail("getv fails: %s", std::strerror(errno));
	for (size_t i = 0; i < n; i++) {
		if (result != 0 && at[i])
			fail("getv has failed, and has an address");
		if (result == 0)
			got(list[i], at[i]);
	}
	check_held();
}

void prefetch(const Op &op)
{
	pgno_t list[kListed] = {};
	size_t n = op.list.size();
	for (size_t i = 0; i < n; i++)
		list[i] = s.number.at(op.list[i]);
	ssize_t begun = mpool_prefetch(pool(), list, n, kEvent);
	s.not_called = false;
	if (begun < 0 && !excused(errno) && !(s.cuts > 0 && errno == EINVAL))
		fail("prefetch fails: %s", std::strerror(errno));
	s.prefetches[space_of(current())] += begun > 0;
}

void get_cached(unsigned page)
{
	void *at = mpool_get(by(page), page, MPOOL_CACHED);
	s.not_called = false;
	if (!at && errno != EAGAIN && !excused(errno) && !(s.cuts > 0 && errno == EINVAL))
		fail("get of page %u, if it is in memory, fails: %s", page, std::strerror(errno));
	if (at) {
		got(page, at);
		check_page(s.worker[current()].held.back());
	}
}

void tune(int what, unsigned value)
{
	if (mpool_tune(pool(), what, value) != 0 && !excused(errno))
		fail("tune fails: %s", std::strerror(errno));
}

void have_cleaners(unsigned n)
{
	tune(MPOOL_CLEANERS, n);
	if (n == 0)
		maid_ends();
}

// Each event is told once.
void end_background()
{
	inside_end_background(pool());
	unsigned told = maid_ends();
	if (told != s.prefetches[space_of(current())])
		fail("%u prefetches have begun something, and %u events were told", s.prefetches[space_of(current())],
			told);
}

void put_back(const Pin &pin, bool dirty, bool own)
{
	unsigned me = current();
	bool quick = own && !s.not_called;
	if (quick)
		hit_begins();
	int result = mpool_put(by(pin.page), pin.at, dirty ? MPOOL_DIRTY : 0);
	if (quick)
		hit_ends();
	s.not_called = false;
	if (result != 0)
		fail("put of page %u fails: %s", pin.page, std::strerror(errno));
	if (dirty)
		s.put[me][pin.page].push_back({s.count[me][pin.page], knowledge().order.at[me]});
}

void put(unsigned page, bool dirty)
{
	Pin *p = held(page);
	if (!p)
		return; // its get failed, and was excused
	if (dirty)
		modify_page(*p);
	put_back(release(*p), dirty, true);
}

void peek_at(unsigned page)
{
	auto at = static_cast<Words>(mpool_get(pool(), page, MPOOL_IGNOREPIN));
	if (!at && !excused(errno) && !(s.cuts > 0 && errno == EINVAL))
		fail("look at page %u fails: %s", page, std::strerror(errno));
	if (at && word(at, 0) != (kMark | page))
		fail("a look at page %u shows what is not its own", page);
	s.worker[current()].peek = {page, at, 0};
	if (at)
		pins_add({page, at, 0}); // until the thread's next call
	if (running())
		point();
}

// Another thread's pin is put, or its page deleted, meanwhile: either may be too late.
void put_others(unsigned page)
{
	void *at = nullptr;
	for (const Worker &w : s.worker)
		if (w.last.count(page))
			at = w.last.at(page);
	if (mpool_put(pool(), at, MPOOL_DIRTY) != 0 && errno != EINVAL)
		fail("put of another thread's page %u: %s", page, std::strerror(errno));
}

void new_page(bool requested, unsigned page)
{
	pgno_t number = page;
	void *at = mpool_new_flags(pool(), &number, requested ? MPOOL_PAGE_REQUEST : MPOOL_PAGE_NEXT);
	if (!at) {
		if (!(requested && errno == EEXIST) && !(s.last_made && errno == EFBIG) && !excused(errno))
			fail("no new page: %s", std::strerror(errno));
		return;
	}
	Pin pin{number, static_cast<Words>(at), s.deaths};
	s.made = true;
	s.loose[number] |= requested;
	for (const Worker &w : s.worker)
		for (const Pin &p : w.held)
			if (p.page == number && !requested && s.cuts > 0 && w.new_page == number)
				fail("page %u was made by two", number);
	s.worker[current()].new_page = number;
	s.worker[current()].held.push_back(pin);
	pins_add(pin);
	check_page(pin);
}

// What was modified behind the new end goes, if it succeeds; else nothing has changed.
void cut_file(unsigned pages)
{
	if (s.cuts++ == 0)
		s.loose_before = s.loose;
	s.cut = pages;
	for (unsigned n = pages; n < s.scenario->pages + kTokens; n++)
		s.loose[n] = true;
	int result = mpool_truncate(pool(), pages);
	s.not_called = false;
	if (result != 0 && errno != EBUSY && !excused(errno))
		fail("the file cannot be cut: %s", std::strerror(errno));
	if (result == 0)
		s.left = std::min(s.left, pages);
	else if (s.cuts == 1 && s.left == UINT_MAX)
		s.loose = s.loose_before;
	if (result != 0 && s.cuts == 1 && !s.made && file_pages() < s.scenario->pages)
		fail("the file is not cut, and has %u pages", file_pages());
	if (result == 0 && !s.made && s.cuts == 1 && file_pages() > pages && !file_lost_some())
		fail("the file is cut to %u pages, and has %u", pages, file_pages());
	s.cut = UINT_MAX;
}

void forget_page(unsigned page)
{
	unsigned me = current();
	uint64_t count = ++s.count[me][page];
	bool was_loose = s.loose[page];
	s.loose[page] = true;
	file_write_by_another(page, me, count);
	int result = mpool_invalidate(pool(), page, 1);
	s.not_called = false;
	if (result != 0 && errno != EBUSY && !excused(errno))
		fail("page %u cannot be forgotten: %s", page, std::strerror(errno));
	s.loose[page] = result != 0 || was_loose;
}

// False: others have it pinned too.
bool delete_pinned(const Pin &pin)
{
	if (mpool_delete(pool(), pin.at) == 0)
		return true;
	if (errno != EBUSY && !(errno == EINVAL && s.others))
		fail("delete of page %u fails: %s", pin.page, std::strerror(errno));
	return false;
}

void delete_page(unsigned page)
{
	Pin *p = held(page);
	if (!p)
		return;
	Pin pin = release(*p);
	// An exclusive latch of its own goes with the page.
	Worker &w = s.worker[current()];
	auto l = w.latched.find(page);
	bool latched = l != w.latched.end();
	Latched own = latched ? l->second : Latched{};
	w.latched.erase(page);
	if (!delete_pinned(pin)) {
		if (latched)
			w.latched[page] = own;
		pins_add(pin);
		w.held.push_back(pin);
	}
}

// A thread of the parent was in an fsync at the fork, which never ends here: what that is told is not known.
bool parent_may_be_told(int error)
{
	return error == EAGAIN && s.asked.count(file_synced_by());
}

int sync_all()
{
	for (MPOOL *attached : s.file[space_of(current())])
		if (attached && mpool_sync(attached) != 0)
			return -1;
	return mpool_sync(pool());
}

// mpool_sync; or of one page: WRITE and FLUSH; one after the other; WHOLE with both.
ssize_t sync_call(const Op &op)
{
	if (op.what == 'S')
		return sync_all();
	pgno_t page = page_number(op);
	if (op.what == 't' && mpool_sync_range(by(page), page, 1, MPOOL_WRITE) != 0)
		return -1;
	return mpool_sync_range(by(page), page, 1,
		op.what == 't'   ? MPOOL_FLUSH
		: op.what == 'w' ? MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE
				 : MPOOL_WRITE | MPOOL_FLUSH);
}

void sync(const Op &op)
{
	std::map<unsigned, uint64_t> promised[kThreads];
	const Clock &known = knowledge().order;
	for (unsigned t = 0; t < kThreads; t++)
		for (const auto &of_page : s.put[t])
			for (const Put &p : of_page.second)
				if (known.knows(t, p.time))
					promised[t][of_page.first] = p.count;
	ssize_t withheld = sync_call(op);
	if (withheld < 0) {
		if (!excused(errno) && !sync_excused(errno) && !parent_may_be_told(errno))
			fail("sync fails: %s", std::strerror(errno));
		return;
	}
	if (withheld > (op.what == 'w'))
		fail("sync says that it withholds %zd pages", withheld);
	for (unsigned t = 0; t < kThreads && withheld == 0; t++)
		for (const auto &p : promised[t]) {
			if (s.loose[p.first] || !by(p.first) || (op.what != 'S' && p.first != page_number(op)))
				continue;
			auto stable = reinterpret_cast<const uint64_t *>(file_stable(p.first));
			if (!stable || stable[t] < p.second)
				fail("sync has returned, and page %u of the file lacks what thread %u put before",
					p.first, t);
		}
}

void clean(unsigned frames)
{
	ssize_t made = mpool_clean(pool(), frames);
	if (made < 0 && !excused(errno))
		fail("clean fails: %s", std::strerror(errno));
	if (made > static_cast<ssize_t>(frames))
		fail("clean makes more frames evictable than it is to: %zd", made);
}

void offer(unsigned page)
{
	Pin *p = held(page);
	if (!p)
		return;
	Pin pin = *p;
	std::vector<Pin> &h = s.worker[current()].held;
	h.erase(h.begin() + (p - h.data()));
	if (running())
		point();
	s.offered.push_back({pin, current()});
	s.offer.release();
	wake(&s.offered);
}

// Wait for another thread's pin of the page, and take it over.
Pin await_offer(unsigned page)
{
	for (;;) {
		for (size_t i = 0; i < s.offered.size(); i++) {
			Pin pin = s.offered[i].pin;
			if (pin.page != page || s.offered[i].by == current())
				continue;
			s.offered.erase(s.offered.begin() + static_cast<long>(i));
			s.offer.acquire();
			return pin;
		}
		block(&s.offered);
	}
}

void put_offered(unsigned page, bool dirty)
{
	Pin pin = await_offer(page);
	if (dirty)
		modify_page(pin);
	pins_remove(pin, space_of(current()));
	put_back(pin, dirty, false);
}

void delete_offered(unsigned page)
{
	Pin pin = await_offer(page);
	pins_remove(pin, space_of(current()));
	if (!delete_pinned(pin) && !s.others)
		put_back(pin, false, false);
}

void put_unpinned(unsigned page)
{
	Words at = s.worker[current()].last[page];
	if (!at)
		return;
	if (mpool_put(pool(), at, 0) == 0)
		fail("put of page %u, which nobody has pinned, succeeds", page);
	if (errno != EINVAL)
		fail("put of page %u, which nobody has pinned: %s", page, std::strerror(errno));
}

void give_token(Signal &signal)
{
	if (running())
		point();
	signal.token.release();
	signal.given = true;
	wake(&signal);
}

void await_token(Signal &signal)
{
	while (!signal.given)
		block(&signal);
	signal.token.acquire();
}

// ---- a store ----------------------------------------------------------------

ssize_t store_readv(void *, const struct iovec *iov, int n, uint64_t at)
{
	return preadv(kFile, iov, n, static_cast<off_t>(at));
}

ssize_t store_writev(void *, const struct iovec *iov, int n, uint64_t at)
{
	ssize_t done = 0, part = 0;
	for (int i = 0; i < n && part >= 0; i++) {
		part = pwrite(kFile, iov[i].iov_base, iov[i].iov_len, static_cast<off_t>(at) + done);
		done += part > 0 ? part : 0;
	}
	return done > 0 || part >= 0 ? done : -1;
}

int store_flush(void *)
{
	return fdatasync(kFile);
}

int store_size(void *, uint64_t *bytes)
{
	*bytes = file_pages() * kPage;
	return 0;
}

void answer(struct mpool_io *io)
{
	ssize_t n = (io->op == MPOOL_IO_READ ? store_readv : store_writev)(nullptr, io->iov, io->iovcnt, io->offset);
	io->done(io, n < 0 ? -errno : n);
}

int store_submit(void *, struct mpool_io *io)
{
	bool helped = s.scenario->store == Scenario::store_helped;
	if (!running() || s.scenario->store == Scenario::store_at_once || (helped && !io->waiter)) {
		answer(io);
		return 0;
	}
	point();
	s.requests.push_back(io);
	s.request.release();
	wake(&s.requests);
	return 0;
}

// Who waits answers one, whosever it is.
int store_wait(void *, const void *, int, int)
{
	point();
	if (s.requests.empty())
		return -1;
	struct mpool_io *io = s.requests.back();
	s.requests.pop_back();
	s.request.acquire();
	answer(io);
	return 0;
}

// Nothing is in flight.
void store_close(void *)
{
	if (!s.requests.empty())
		fail("a store is closed that has %zu requests", s.requests.size());
}

void answer_all()
{
	while (!s.store_ends || !s.requests.empty()) {
		if (s.requests.empty()) {
			block(&s.requests);
			continue;
		}
		struct mpool_io *io = s.requests.back(); // in no order
		s.requests.pop_back();
		s.request.acquire();
		answer(io);
	}
}

void end_store()
{
	s.store_ends = true;
	wake(&s.requests);
}

MPOOL *open_store()
{
	struct mpool_store store = {
		store_size, store_readv, store_writev, store_flush, nullptr, nullptr, store_close, nullptr};
	if (s.scenario->store != Scenario::store_blocks)
		store.submit = store_submit;
	if (s.scenario->store == Scenario::store_helped)
		store.wait = store_wait;
	return mpool_open_store(&store, sizeof store, nullptr, kPage, s.scenario->frames);
}

// ---- hooks -----------------------------------------------------------------

// The page is one's own, in memory and in the file; or it was never written.
int hook_result(unsigned page, const void *bytes)
{
	auto at = static_cast<Words>(const_cast<void *>(bytes));
	uint64_t mark = word(at, 0);
	if (mark != (kMark | page) && mark != 0)
		fail("a hook is given page %u, and it is not: %#llx", page, static_cast<unsigned long long>(mark));
	return running() && hook_fails() ? EIO : 0;
}

int hook_in(void *, pgno_t page, void *bytes)
{
	return hook_result(page, bytes);
}

int hook_out(void *, pgno_t page, void *bytes)
{
	int result = hook_result(page, bytes);
	if (result == 0)
		s.worker[current()].out.insert(page);
	return result;
}

int hook_before_write(void *, const pgno_t *pages, void *const *copies, size_t n)
{
	Worker &w = s.worker[current()];
	if (w.waits)
		await_token(s.signal[w.waits]);
	int result = hook_result(pages[0], copies[0]);
	for (size_t i = 0; i < n; i++) {
		if (w.out.count(pages[i]) == 0)
			fail("page %u is about to be written, and out was not given it", pages[i]);
		w.out.erase(pages[i]);
		if (result == 0)
			w.announced.insert(pages[i]);
	}
	if (!w.out.empty())
		fail("page %u has gone through out, and is not among what is about to be written", *w.out.begin());
	return result;
}

void hook_sees_write(unsigned page)
{
	Worker &w = s.worker[current()];
	if (w.announced.count(page) == 0)
		fail("page %u is written, and before_write was not told, or refused it", page);
	w.announced.erase(w.announced.find(page));
}

void set_hooks(unsigned token)
{
	struct mpool_hooks hooks = {hook_in, hook_out, hook_before_write, nullptr};
	s.worker[current()].waits = token;
	if (mpool_hooks(pool(), &hooks, sizeof hooks) != 0)
		fail("hooks: %s", std::strerror(errno));
	file_writes = hook_sees_write;
}

// ---- processes ---------------------------------------------------------------

void look_for_dead(unsigned n)
{
	Worker &w = s.worker[current()];
	w.looked = n ? n : w.looked + 1;
	while (s.deaths < w.looked)
		block(&s.deaths);
	inside_recover(pool());
}

void ask_abandoned(unsigned page)
{
	Pin *p = held(page);
	if (!p)
		return;
	// Held all the while, it was not read again.
	bool was = s.abandoned.count(page) && p->deaths == 0, none = s.deaths == 0, torn = s.torn.count(page);
	int is = mpool_abandoned(pool(), p->at, 0);
	if (is < 0)
		fail("of page %u, which is pinned, it cannot be told whether it was abandoned: %s", page,
			std::strerror(errno));
	if (was && !is)
		fail("page %u was pinned by a process that died, and does not count as abandoned", page);
	if (none && is && s.deaths == 0 && !s.left_latched.count(page))
		fail("nobody died, and page %u counts as abandoned", page);
	if (is && s.forked && !s.theirs.count(page))
		fail("page %u was pinned by no thread that is gone, and counts as abandoned", page);
	if (torn && !is)
		fail("page %u was left half-modified and is written so, and does not count as abandoned", page);
	const auto forgiven = s.forgiven.find(page);
	if (is && forgiven != s.forgiven.end() && forgiven->second == s.deaths)
		fail("page %u was forgiven, nobody died since, and it counts as abandoned", page);
}

void forgive(unsigned page)
{
	Pin *p = held(page);
	if (!p)
		return;
	s.torn.erase(page);
	if (mpool_abandoned(pool(), p->at, MPOOL_FORGIVE) < 0)
		fail("page %u, which is pinned, cannot be forgiven: %s", page, std::strerror(errno));
	s.forgiven[page] = s.deaths;
}

void join()
{
	unsigned frames = s.scenario->joins ? s.scenario->joins : s.scenario->frames;
	static char key[] = "key";
	MPOOL *mp = mpool_open(key, kFile, kPage, frames);
	if (!mp)
		fail("a process cannot join: %s", std::strerror(errno));
	s.pool[process_of(current())] = mp;
}

// All threads of the process have let go of the pages they knew of.
void pins_of_process_go(unsigned process, bool died)
{
	for (unsigned t = 1; t < kThreads; t++) {
		Worker &w = s.worker[t];
		if (process_of(t) != process)
			continue;
		if (died)
			latches_go(t);
		w.latched.clear();
		for (const Pin &pin : w.held)
			if (died)
				s.dead_pins.push_back({s.pool[process], pin});
		w.held.clear();
		w.peek.at = nullptr;
	}
	for (size_t i = s.offered.size(); i-- > 0;)
		if (process_of(s.offered[i].by) == process)
			s.offered.erase(s.offered.begin() + static_cast<long>(i));
	// And those that are just being handed on.
	for (size_t i = s.pins.size(); i-- > 0;)
		if (s.pinner[i] == process)
			pins_remove(
				{s.pins[i].number, static_cast<Words>(const_cast<void *>(s.pins[i].page)), 0}, process);
}

// By one who holds it, and is dead or stopped, it is not handed over.
void attach(unsigned page)
{
	int fd = file_has ? kOtherFile + static_cast<int>(file_of(page)) : kFile;
	MPOOL *mp = mpool_attach(pool(), fd);
	if (!mp && !excused(errno) && !((s.deaths > 0 || s.scenario->silent) && errno == EAGAIN))
		fail("mpool_attach fails: %s", std::strerror(errno));
	handle(page) = mp;
}

void close_attached(unsigned page)
{
	MPOOL *mp = handle(page);
	handle(page) = nullptr;
	if (mp && mpool_close(mp) != 0)
		fail("close of an attached file fails: %s", std::strerror(errno));
}

void leave()
{
	unsigned process = process_of(current());
	pins_of_process_go(process, false);
	mpool_close(pool());
	s.pool[process] = nullptr;
	for (MPOOL *&attached : s.file[process])
		attached = nullptr;
}

// Threads are not in the child: what they had pinned stays so, and may be put by others.
void threads_gone(unsigned process)
{
	for (unsigned t = 1; t < kThreads; t++) {
		Worker &w = s.worker[t];
		if (process_of(t) != process)
			continue;
		for (const Pin &pin : w.held)
			if (!s.latched_only)
				s.abandoned.insert(pin.page);
		latches_go(t);
		if (w.peek.at)
			pins_remove(w.peek, 0);
		w.held.clear();
		w.peek.at = nullptr;
		s.fork.release_of(t);
		int asked = w.doing == 'S' ? inside_asked(s.pool[0], file_offset) : -1;
		if (asked >= 0)
			s.asked.insert(asked);
	}
	// What they were just putting, or deleting, is anybody's guess; what they were handing on is pinned.
	system_died(process);
	if (tracing())
		trace_line("IS NOT IN THE CHILD", nullptr, process, nullptr);
}

void process_died(unsigned process, const void *code)
{
	died_at[s.worker[current()].doing][code]++;
	s.deaths++;
	if (is_gone(process))
		return threads_gone(process);
	// While it joins or leaves it may be one or not.
	bool leaves = s.worker[current()].doing == 'Z';
	s.deaths_certain += s.pool[process] && !leaves;
	pins_of_process_go(process, true);
	system_died(process);
	for (MPOOL *&attached : s.file[process])
		attached = nullptr;
	// Whoever recovers it has nothing changed, or everything.
	if (s.worker[current()].doing == 's' && s.cuts == 1 && s.cut < file_pages())
		s.loose = s.loose_before;
	else if (s.worker[current()].doing == 's' && s.cuts == 1 && s.cut != UINT_MAX)
		s.must_be_cut = s.cut;
	if (tracing())
		trace_line("DIES", nullptr, process, code);
	wake(&s.deaths);
}

// A page is marked before its pin goes.
void watch_dead_latches()
{
	for (size_t i = s.dead_latches.size(); i-- > 0;) {
		const DeadLatch &d = s.dead_latches[i];
		if (const char *wrong = inside_dead_latch_wrong(s.pool[0], d.at, d.page, d.owner))
			fail("%s", wrong);
		if (inside_latch_owner(s.pool[0], d.at) == d.owner)
			continue;
		if (inside_modified(s.pool[0], d.at))
			s.torn.insert(d.page);
		s.dead_latches.erase(s.dead_latches.begin() + static_cast<long>(i));
	}
}

void watch_dead_pins()
{
	for (size_t i = s.dead_pins.size(); i-- > 0;) {
		bool gone;
		const DeadPin &d = s.dead_pins[i];
		const char *wrong = inside_abandoned_wrong(s.pool[0], d.pool, d.pin.at, &gone);
		if (wrong && !s.latched_only)
			fail("%s", wrong);
		if (!gone)
			continue;
		if (!s.latched_only)
			s.abandoned.insert(d.pin.page);
		if (!s.latched_only && inside_modified(s.pool[0], d.pin.at))
			s.torn.insert(d.pin.page);
		s.dead_pins.erase(s.dead_pins.begin() + static_cast<long>(i));
	}
}

void fork_off(unsigned process)
{
	fork_without(process);
	s.forked = s.not_called = true;
	s.fork.acquire();
	object_forks();
	object_forked();
}

void perform(const Op &op)
{
	check_held();
	s.worker[current()].doing = op.what;
	if (file_has && std::strchr("GHYDPIkowt", op.what) && !by(page_number(op)))
		return;
	switch (op.what) {
	case 'G':
	case 'H':
	case 'Y':
		return get(page_number(op), op.what);
	case 'P':
		return put(page_number(op), false);
	case 'D':
		return put(page_number(op), true);
	case 'I':
		return peek_at(page_number(op));
	case 'N':
		return new_page(false, 0);
	case 'R':
		return new_page(true, page_number(op));
	case 'M':
		s.last_made = true;
		return new_page(true, MAX_PAGE_NUMBER - 1);
	case '=':
		s.limited = true;
		return tune(MPOOL_MAXCACHE, op.arg);
	case 's':
		return cut_file(op.arg);
	case '%':
		return forget_page(page_number(op));
	case 'B':
		return put_others(page_number(op));
	case 'X':
		return delete_page(page_number(op));
	case 'S':
	case 'o':
	case 't':
	case 'w':
		return sync(op);
	case 'c':
		return clean(op.arg);
	case 'O':
		return offer(page_number(op));
	case 'F':
	case 'f':
		return put_offered(page_number(op), op.what == 'f');
	case 'x':
		return delete_offered(page_number(op));
	case 'V':
		return put_unpinned(page_number(op));
	case 'T':
		return give_token(s.signal[op.arg]);
	case 'W':
		return await_token(s.signal[op.arg]);
	case '&':
		return answer_all();
	case '^':
		return end_store();
	case 'L':
		return look_for_dead(op.arg);
	case 'C':
		return fork_off(op.arg);
	case 'A':
		return ask_abandoned(page_number(op));
	case 'K':
		return forgive(page_number(op));
	case 'E':
		return file_write_back_fails();
	case 'U':
		return file_sync_by_another();
	case 'v':
		return getv(op);
	case 'r':
		return prefetch(op);
	case 'k':
		return get_cached(page_number(op));
	case 'Q':
		return set_hooks(op.arg);
	case 'a':
		return tune(MPOOL_READAHEAD, op.arg);
	case '/':
		return tune(MPOOL_IO_DEPTH, op.arg);
	case 'e':
		return tune(MPOOL_IO_ENGINE, op.arg);
	case 'h':
		return have_cleaners(op.arg);
	case 'l':
	case 'y':
		return latch_page(page_number(op), MPOOL_EXCLUSIVE, op.what == 'y');
	case 'd':
	case 'z':
		return latch_page(page_number(op), MPOOL_SHARED, op.what == 'z');
	case 'u':
	case 'm':
		return unlatch_page(page_number(op), op.what == 'm');
	case 'p':
		return peek_and_read(page_number(op));
	case 'j':
		return note_version(page_number(op));
	case 'g':
		return upgrade_page(page_number(op));
	case 'i':
		tune(MPOOL_LATCHED, op.arg);
		s.latched_only = op.arg;
		return;
	case '+':
		return attach(page_number(op));
	case '#':
		return get_number_of_another(page_number(op));
	case '-':
		return close_attached(page_number(op));
	case '$':
		close_attached(page_number(op));
		return attach(page_number(op));
	case 'b':
		return maid_works();
	case 'q':
		return end_background();
	case 'J':
		return join();
	case 'Z':
		return leave();
	default:
		std::abort();
	}
}

// ---- a run -----------------------------------------------------------------

void watch_words()
{
	// A latch keeps the page in its frame as a pin does.
	static std::vector<inside_pin> kept;
	kept = s.pins;
	for (const Worker &w : s.worker)
		for (const auto &l : w.latched)
			kept.push_back({l.second.at, l.first});
	if (const char *wrong = inside_wrong(s.pool[0], kept.data(), static_cast<unsigned>(kept.size()), s.deletes))
		fail("%s", wrong);
}

void watch_pool()
{
	if (!as_before())
		watch_words();
	watch_dead_latches();
	watch_dead_pins();
}

std::string name_in_pool(const void *at)
{
	char name[64];
	inside_name(s.pool[0], at, name, sizeof name);
	return name;
}

// The script's pages: 0, 1, 2, ... or, in one bucket, whichever have their home there.
void choose_numbers()
{
	s.number.clear();
	for (unsigned n = 0; n < (s.scenario->one_bucket ? kManyPages : s.scenario->pages + kTokens); n++)
		if (!s.scenario->one_bucket || inside_home(s.pool[0], n) == 0)
			s.number.push_back(n);
}

// A thread's script: of which process, what it does before, and what in the run.
struct Script {
	unsigned process = 0;
	bool shared = false, doomed = false, joins = false, gone = false;
	std::vector<Op> before, ops;
};

Script read_script(std::string text)
{
	Script script;
	size_t colon = text.find(':'), bar;
	if (colon != std::string::npos) {
		script.process = static_cast<unsigned>(text[0] - '0');
		script.gone = text[colon - 1] == '~';
		script.shared = !script.gone;
		script.doomed = script.gone || text[colon - 1] == '!';
		text.erase(0, colon + 1);
	}
	if ((bar = text.find('|')) != std::string::npos)
		script.before = parse(text.substr(0, bar));
	script.ops = parse(bar == std::string::npos ? text : text.substr(bar + 1));
	for (const Op &op : script.ops)
		script.joins |= op.what == 'J';
	return script;
}

// Those of a scenario, which are read once for all of its runs.
const std::vector<Script> &scripts_of(const Scenario &scenario)
{
	static std::vector<std::string> texts;
	static std::vector<Script> scripts;
	if (texts != scenario.threads) {
		texts = scenario.threads;
		scripts.clear();
		for (const std::string &text : texts)
			scripts.push_back(read_script(text));
	}
	return scripts;
}

// Open the pool, or join it, as the thread's process.
void open_pool(unsigned thread, bool shared)
{
	static char key[] = "key";
	as_thread(thread, [&] {
		MPOOL *mp = s.scenario->store ? open_store()
		                              : mpool_open(shared ? key : nullptr, kFile, kPage, s.scenario->frames);
		if (!mp)
			fail("mpool_open fails: %s", std::strerror(errno));
		s.pool[space_of(thread)] = mp;
	});
}

void open_pools(const std::vector<Script> &scripts)
{
	bool shared = false;
	for (unsigned t = 1; t <= scripts.size(); t++) {
		set_process(t, scripts[t - 1].process);
		shared |= scripts[t - 1].shared;
		if (scripts[t - 1].gone)
			set_gone(scripts[t - 1].process);
		if (scripts[t - 1].doomed)
			doom(scripts[t - 1].process);
	}
	if (shared) {
		unsigned most = std::max(s.scenario->frames, s.scenario->joins);
		object_begin(memory_object(object_bytes(kPage, most)), most, s.scenario->watched, s.scenario->silent);
	}
	for (unsigned t = 1; t <= scripts.size(); t++)
		for (const Op &op : scripts[t - 1].ops)
			if (op.what == 'b')
				maid_wanted(space_of(t));
	for (unsigned t = 1; t <= scripts.size(); t++)
		if (!s.pool[space_of(t)] && !scripts[t - 1].joins)
			open_pool(t, shared);
}

// Does a process hold the file from the beginning to the end?
bool is_kept(const std::vector<Script> &scripts, unsigned file)
{
	bool kept[kProcesses] = {}, lost[kProcesses] = {};
	for (const Script &script : scripts) {
		for (const Op &op : script.before)
			kept[script.process] |= op.what == '+' && file_of(op.arg) == file;
		for (const Op &op : script.ops)
			lost[script.process] |= (op.what == '-' || op.what == '$') && file_of(op.arg) == file;
		lost[script.process] |= script.doomed;
	}
	for (unsigned p = 0; p < kProcesses; p++)
		if (kept[p] && !lost[p])
			return true;
	return false;
}

void set_up(const Scenario &scenario, const Options &options)
{
	process_runs = object_process;
	file_has = nullptr;
	object_forget_all();
	memory_begin(options.model);
	unsigned pages = scenario.one_bucket ? kManyPages : scenario.pages;
	file_begin(kPage, pages);
	for (unsigned n = 0; n < pages; n++)
		*reinterpret_cast<Words>(file_fill(n)) = kMark | n;
	file_filled();
	system_begin(scenario.fenced);
	s = State{};
	s.scenario = &scenario;
	stored = peeks(scenario) ? note_store : nullptr;
	const std::vector<Script> &scripts = scripts_of(scenario);
	open_pools(scripts);
	choose_numbers();
	if (scenario.narrow)
		inside_narrow(s.pool[0]);
	bool shared = false;
	for (const Script &script : scripts)
		shared |= script.shared;
	if (scenario.attached && shared)
		file_has = file_of;
	else if (scenario.attached)
		as_thread(1, [] {
			attach(1);
			attach(kFar);
		});
	if (file_has)
		for (unsigned n = 0; n < s.number.size(); n++)
			s.loose[n] = file_of(n) && !is_kept(scripts, file_of(n));
	for (unsigned t = 1; t <= scenario.threads.size(); t++) {
		const Script &script = scripts[t - 1];
		if (script.gone)
			for (const std::vector<Op> *some : {&script.before, &script.ops})
				for (const Op &op : *some)
					s.theirs.insert(op.arg);
		for (const Op &op : script.ops) {
			bool deletes = op.what == 'X' || op.what == 'x';
			s.others |= op.what == 'B';
			s.deletes |= deletes;
			if (deletes || (op.what == '$' && !shared))
				s.loose[page_number(op)] = true;
		}
		as_thread(t, [&] {
			for (const Op &op : script.before)
				perform(op);
		});
	}
	if (scenario.unlisting)
		inside_unlist(s.pool[0]);
	watch = watch_pool;
	name_word = name_in_pool;
	died = process_died;
}

void plant_fault(const Scenario &scenario, unsigned nth)
{
	Faults f;
	s.fault = nth > 0;
	(scenario.fails == fail_reads           ? f.read
		: scenario.fails == fail_writes ? f.write
		: scenario.fails == fail_syncs  ? f.sync
		: scenario.fails == fail_hooks  ? f.hook
						: f.memory) = nth;
	file_faults(scenario.fails ? f : Faults{});
}

void thread_body(unsigned t)
{
	for (const Op &op : scripts_of(*s.scenario)[t - 1].ops)
		perform(op);
	check_held();
	s.worker[t].doing = kThreadEnd;
	latches_go(t);
	thread_end();
}

// The last sync may fail for good only if an fsync did before.
bool file_is_lost()
{
	return sync_excused(errno);
}

uint64_t last_put(unsigned t, unsigned page)
{
	const std::vector<Put> &puts = s.put[t][page];
	return puts.empty() ? 0 : puts.back().count;
}

std::string check_file()
{
	for (unsigned t = 1; t < kThreads; t++)
		for (const auto &count : s.count[t]) {
			auto stable = reinterpret_cast<const uint64_t *>(file_stable(count.first));
			uint64_t there = stable ? stable[t] : 0;
			if (!alive(process_of(t)) && there <= count.second && there >= last_put(t, count.first))
				continue; // it died in between
			if (!s.loose[count.first] && there != count.second)
				return "page " + std::to_string(count.first) + " of the file has " +
				       std::to_string(there) + " modifications of thread " + std::to_string(t) +
				       ", which made " + std::to_string(count.second);
		}
	return "";
}

// Let `body` be a thread of the process.
void as_process(unsigned process, const std::function<void()> &body)
{
	unsigned t = 1;
	while (process_of(t) != process)
		t++;
	as_thread(t, body);
}

// Who shares the pool, and who has died, is told right.
std::string check_processes()
{
	struct mpool_stats st;
	unsigned living = 0;
	for (unsigned p = 0; p < kProcesses; p++)
		living += s.pool[p] && alive(p);
	int result = -1;
	as_process(0, [&] { result = mpool_stats(pool(), &st, sizeof st); });
	if (result != 0)
		return "at the end there are no statistics";
	if (st.processes != living)
		return std::to_string(living) + " processes share the pool, and " + std::to_string(st.processes) +
		       " are counted";
	if (!s.forked && (st.deaths > s.deaths || st.deaths < s.deaths_certain))
		return std::to_string(s.deaths) + " processes have died, and " + std::to_string(st.deaths) +
		       " are counted";
	if (!s.dead_latches.empty())
		return "a dead process's latch of page " + std::to_string(s.dead_latches[0].page) + " is still there";
	if (!s.dead_pins.empty())
		return "a dead process's pin of page " + std::to_string(s.dead_pins[0].pin.page) + " is still there";
	return "";
}

// Nobody is in a call any more.
std::string check_end()
{
	std::string wrong;
	as_process(0, [] { inside_recover(pool()); }); // whom nobody had to
	watch_dead_latches();
	watch_dead_pins();
	if (s.forked) // whatever nobody had to call it for
		as_process(0, [] {
			struct mpool_stats st;
			mpool_stats(pool(), &st, sizeof st);
		});
	unsigned known = static_cast<unsigned>(s.pins.size());
	if (s.forked && inside_wrong(s.pool[0], s.pins.data(), known, false))
		return std::string("at the end ") + inside_wrong(s.pool[0], s.pins.data(), known, false);
	if (const char *left = inside_left_over(
		    s.pool[0], s.forked ? inside_pins(s.pool[0], known) : known, s.deaths > 0, s.limited))
		return std::string("at the end ") + left;
	if (!(wrong = check_processes()).empty())
		return wrong;
	for (size_t i = 0; i < s.pins.size() && wrong.empty(); i++)
		as_process(s.pinner[i], [&] {
			if (mpool_put(pool(), const_cast<void *>(s.pins[i].page), 0) != 0)
				wrong = "at the end the pin of page " + std::to_string(s.pins[i].number) +
				        " cannot be put";
		});
	if (!wrong.empty())
		return wrong;
	bool synced = false;
	for (unsigned p = 1; p < kProcesses; p++)
		if (file_has && alive(p) && s.pool[p])
			as_process(p, [&] {
				if (sync_all() != 0)
					wrong = std::string("at the end sync fails: ") + std::strerror(errno);
			});
	if (!wrong.empty())
		return wrong;
	as_process(0, [&] {
		if ((synced = sync_all() == 0))
			wrong = check_file();
		else if (!file_is_lost() && !parent_may_be_told(errno))
			wrong = std::string("at the end sync fails: ") + std::strerror(errno);
	});
	for (unsigned p = 0; p < kProcesses; p++)
		if (s.pool[p] && object_open(s.pool[p]))
			as_process(p, [&] { mpool_close(pool()); });
	for (unsigned t = 1; t <= s.scenario->threads.size(); t++)
		if (alive(process_of(t)))
			as_thread(t, thread_end);
	if (wrong.empty() && !s.made && s.cuts == 1 && file_pages() > s.must_be_cut)
		wrong = "at the end the file has pages that were cut off when its process died";
	if (wrong.empty() && synced && !s.made && s.cuts == 1 && s.left != UINT_MAX && file_stable(s.left))
		wrong = "at the end what was cut off is on stable storage";
	if (wrong.empty() && memory_blocks() != 0)
		wrong = "at the end " + std::to_string(memory_blocks()) + " blocks of memory are left";
	return wrong;
}

} // namespace

std::string run_once(const Scenario &scenario, const Options &options, Decider &decider)
{
	decider.begin();
	watch = nullptr;
	file_writes = nullptr;
	set_up(scenario, options);
	plant_fault(scenario, options.nth);
	std::string wrong = run(decider, static_cast<unsigned>(scenario.threads.size()), thread_body);
	watch = nullptr;
	fault_seen |= file_faulted();
	file_faults(Faults{});
	return wrong.empty() ? check_end() : wrong;
}

bool is_deadly(const Scenario &scenario)
{
	for (const std::string &text : scenario.threads)
		if (read_script(text).doomed)
			return true;
	return false;
}

bool forks(const Scenario &scenario)
{
	for (const std::string &text : scenario.threads)
		if (read_script(text).gone)
			return true;
	return false;
}

static const char *call_name(char what)
{
	switch (what) {
	case 'G':
	case 'Y':
	case '#':
	case 'k':
		return "get";
	case 'H':
		return "hit";
	case 'P':
	case 'F':
		return "put";
	case 'D':
	case 'f':
		return "put dirty";
	case 'I':
		return "look";
	case 'N':
	case 'R':
		return "new";
	case 'X':
	case 'x':
		return "delete";
	case 'S':
	case 'o':
	case 't':
	case 'w':
		return "sync";
	case 'c':
		return "clean";
	case 's':
		return "truncate";
	case '%':
		return "invalidate";
	case '=':
		return "maxcache";
	case 'L':
		return "recovery";
	case 'C':
		return "fork";
	case 'J':
		return "join";
	case 'Z':
		return "leave";
	case '+':
		return "attach";
	case '-':
		return "close";
	case 'l':
	case 'd':
	case 'y':
	case 'z':
		return "latch";
	case 'u':
	case 'm':
		return "unlatch";
	case 'g':
		return "upgrade";
	case 'p':
		return "peek";
	case 'v':
		return "getv";
	case 'r':
		return "prefetch";
	case 'b':
		return "background";
	case 'q':
		return "background's end";
	case kThreadEnd:
		return "thread end";
	default:
		return "between calls";
	}
}

Deaths deaths_so_far()
{
	Deaths d;
	std::set<const void *> places;
	std::map<std::string, uint64_t> by_call;
	for (const auto &call : died_at)
		for (const auto &at : call.second) {
			d.all += at.second;
			by_call[call_name(call.first)] += at.second;
			places.insert(at.first);
		}
	d.places = static_cast<unsigned>(places.size());
	for (const auto &call : by_call)
		d.by_call += (d.by_call.empty() ? "" : ", ") + call.first + " " + std::to_string(call.second);
	return d;
}

bool fault_happened()
{
	bool was = fault_seen;
	fault_seen = false;
	return was;
}

} // namespace explore
