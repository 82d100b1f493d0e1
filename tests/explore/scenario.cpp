// scenario.cpp - see scenario.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "scenario.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "inside.h"
#include "mpool.h"

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
	unsigned arg; // the page, as the script calls it, or a token
};
constexpr unsigned kNewPage = UINT_MAX;

struct Pin {
	unsigned page;
	Words at;
};

// A modification that was put dirty.
struct Put {
	uint64_t count;
	uint32_t time; // of its thread
};

struct Worker {
	std::vector<Op> before, ops;
	std::vector<Pin> held;
	unsigned new_page = 0;
	std::map<unsigned, Words> last; // where a page was
	Pin peek{0, nullptr};
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
	MPOOL *pool;
	Worker worker[kThreads];
	std::vector<inside_pin> pins; // of all threads
	std::vector<Offer> offered;
	Token offer;
	Signal signal[kTokens];
	std::map<unsigned, uint64_t> count[kThreads];        // modifications made
	std::map<unsigned, std::vector<Put>> put[kThreads];  // ... and put
	std::map<unsigned, bool> loose;                      // pages whose modifications may go
	std::vector<unsigned> number;                        // by the script's names
	bool deletes;   // some are deleted
	bool others;    // some put what is not theirs
	bool last_made; // no number may be left
	bool fault;
} s;

bool fault_seen;

std::vector<Op> parse(const std::string &script)
{
	std::vector<Op> ops;
	for (size_t i = 0; i < script.size(); i++) {
		if (script[i] == ' ')
			continue;
		Op op{script[i], 0};
		if (i + 1 < script.size() && script[i + 1] == '@') {
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
	if (running())
		look();
}

void pins_remove(const Pin &pin)
{
	for (size_t i = 0; i < s.pins.size(); i++)
		if (s.pins[i].page == pin.at && s.pins[i].number == pin.page) {
			s.pins.erase(s.pins.begin() + static_cast<long>(i));
			return;
		}
}

Pin release(const Pin &pin)
{
	Pin copy = pin;
	std::vector<Pin> &h = s.worker[current()].held;
	pins_remove(copy);
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
	if (is != mark)
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
		pins_remove(w.peek);
	w.peek.at = nullptr;
}

void modify_page(const Pin &pin)
{
	unsigned me = current();
	plain_write(&pin.at[me], sizeof *pin.at, nullptr);
	pin.at[me] = ++s.count[me][pin.page];
}

// ---- the calls -------------------------------------------------------------

bool excused(int error)
{
	if (!s.scenario->fails || !s.fault)
		return false;
	return error == (s.scenario->fails == fail_memory ? ENOMEM : EIO);
}

void get(unsigned page, char what)
{
	if (what == 'H')
		hit_begins();
	auto at = static_cast<Words>(mpool_get(s.pool, page, 0));
	if (what == 'H')
		hit_ends();
	if (!at) {
		if (!(what == 'Y' && errno == EINVAL) && !excused(errno))
			fail("get of page %u fails: %s", page, std::strerror(errno));
		return;
	}
	Pin pin{page, at};
	pins_add(pin);
	s.worker[current()].held.push_back(pin);
	s.worker[current()].last[page] = at;
	check_page(pin);
}

void put_back(const Pin &pin, bool dirty, bool own)
{
	unsigned me = current();
	if (own)
		hit_begins();
	int result = mpool_put(s.pool, pin.at, dirty ? MPOOL_DIRTY : 0);
	if (own)
		hit_ends();
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

void look_at(unsigned page)
{
	auto at = static_cast<Words>(mpool_get(s.pool, page, MPOOL_IGNOREPIN));
	if (!at && !excused(errno))
		fail("look at page %u fails: %s", page, std::strerror(errno));
	if (at && word(at, 0) != (kMark | page))
		fail("a look at page %u shows what is not its own", page);
	s.worker[current()].peek = {page, at};
	if (at)
		pins_add({page, at}); // until the thread's next call
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
	if (mpool_put(s.pool, at, MPOOL_DIRTY) != 0 && errno != EINVAL)
		fail("put of another thread's page %u: %s", page, std::strerror(errno));
}

void new_page(bool requested, unsigned page)
{
	pgno_t number = page;
	void *at = mpool_new_flags(s.pool, &number, requested ? MPOOL_PAGE_REQUEST : MPOOL_PAGE_NEXT);
	if (!at) {
		if (!(requested && errno == EEXIST) && !(s.last_made && errno == EFBIG) && !excused(errno))
			fail("no new page: %s", std::strerror(errno));
		return;
	}
	Pin pin{number, static_cast<Words>(at)};
	s.loose[number] |= requested;
	s.worker[current()].new_page = number;
	s.worker[current()].held.push_back(pin);
	pins_add(pin);
	check_page(pin);
}

// False: others have it pinned too.
bool delete_pinned(const Pin &pin)
{
	if (mpool_delete(s.pool, pin.at) == 0)
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
	if (!delete_pinned(pin)) {
		pins_add(pin);
		s.worker[current()].held.push_back(pin);
	}
}

void sync()
{
	std::map<unsigned, uint64_t> promised[kThreads];
	const Clock &known = knowledge().order;
	for (unsigned t = 0; t < kThreads; t++)
		for (const auto &of_page : s.put[t])
			for (const Put &p : of_page.second)
				if (known.knows(t, p.time))
					promised[t][of_page.first] = p.count;
	if (mpool_sync(s.pool) != 0) {
		if (!excused(errno))
			fail("sync fails: %s", std::strerror(errno));
		return;
	}
	for (unsigned t = 0; t < kThreads; t++)
		for (const auto &p : promised[t]) {
			if (s.loose[p.first])
				continue;
			auto stable = reinterpret_cast<const uint64_t *>(file_stable(p.first));
			if (!stable || stable[t] < p.second)
				fail("sync has returned, and page %u of the file lacks what thread %u put before", p.first, t);
		}
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
	pins_remove(pin);
	put_back(pin, dirty, false);
}

void delete_offered(unsigned page)
{
	Pin pin = await_offer(page);
	pins_remove(pin);
	if (!delete_pinned(pin) && !s.others)
		put_back(pin, false, false);
}

void put_unpinned(unsigned page)
{
	Words at = s.worker[current()].last[page];
	if (!at)
		return;
	if (mpool_put(s.pool, at, 0) == 0)
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

void perform(const Op &op)
{
	check_held();
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
		return look_at(page_number(op));
	case 'N':
		return new_page(false, 0);
	case 'R':
		return new_page(true, page_number(op));
	case 'M':
		s.last_made = true;
		return new_page(true, MAX_PAGE_NUMBER - 1);
	case 'B':
		return put_others(page_number(op));
	case 'X':
		return delete_page(page_number(op));
	case 'S':
		return sync();
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
	default:
		std::abort();
	}
}

// ---- a run -----------------------------------------------------------------

void watch_pool()
{
	if (const char *wrong = inside_wrong(s.pool, s.pins.data(), static_cast<unsigned>(s.pins.size()), s.deletes))
		fail("%s", wrong);
}

std::string name_in_pool(const void *at)
{
	char name[64];
	inside_name(s.pool, at, name, sizeof name);
	return name;
}

// The script's pages: 0, 1, 2, ... or, in one bucket, whichever have their home there.
void choose_numbers()
{
	s.number.clear();
	for (unsigned n = 0; n < (s.scenario->one_bucket ? kManyPages : s.scenario->pages + kTokens); n++)
		if (!s.scenario->one_bucket || inside_home(s.pool, n) == 0)
			s.number.push_back(n);
}

void set_up(const Scenario &scenario, const Options &options)
{
	memory_begin(options.model);
	unsigned pages = scenario.one_bucket ? kManyPages : scenario.pages;
	file_begin(kPage, pages);
	for (unsigned n = 0; n < pages; n++)
		*reinterpret_cast<Words>(file_fill(n)) = kMark | n;
	file_filled();
	system_begin(scenario.fenced);
	s = State{};
	s.scenario = &scenario;
	s.pool = mpool_open(nullptr, kFile, kPage, scenario.frames);
	if (!s.pool)
		fail("mpool_open fails: %s", std::strerror(errno));
	choose_numbers();
	for (unsigned t = 1; t <= scenario.threads.size(); t++) {
		const std::string &script = scenario.threads[t - 1];
		size_t bar = script.find('|');
		Worker &w = s.worker[t];
		if (bar != std::string::npos)
			w.before = parse(script.substr(0, bar));
		w.ops = parse(bar == std::string::npos ? script : script.substr(bar + 1));
		for (const Op &op : w.ops) {
			bool deletes = op.what == 'X' || op.what == 'x';
			s.others |= op.what == 'B';
			s.deletes |= deletes;
			if (deletes)
				s.loose[page_number(op)] = true;
		}
		as_thread(t, [&] {
			for (const Op &op : w.before)
				perform(op);
		});
	}
	watch = watch_pool;
	name_word = name_in_pool;
}

void plant_fault(const Scenario &scenario, unsigned nth)
{
	Faults f;
	s.fault = nth > 0;
	(scenario.fails == fail_reads    ? f.read
	 : scenario.fails == fail_writes ? f.write
	 : scenario.fails == fail_syncs  ? f.sync
	                                 : f.memory) = nth;
	file_faults(scenario.fails ? f : Faults{});
}

void thread_body(unsigned t)
{
	for (const Op &op : s.worker[t].ops)
		perform(op);
	check_held();
	thread_end();
}

// The last sync may fail for good only if an fsync did before.
bool file_is_lost()
{
	return s.scenario->fails == fail_syncs && errno == EIO;
}

std::string check_file()
{
	for (unsigned t = 1; t < kThreads; t++)
		for (const auto &count : s.count[t]) {
			auto stable = reinterpret_cast<const uint64_t *>(file_stable(count.first));
			uint64_t there = stable ? stable[t] : 0;
			if (!s.loose[count.first] && there != count.second)
				return "page " + std::to_string(count.first) + " of the file has " + std::to_string(there) +
				       " modifications of thread " + std::to_string(t) + ", which made " +
				       std::to_string(count.second);
		}
	return "";
}

// Nobody is in a call any more.
std::string check_end()
{
	std::string wrong;
	if (const char *left = inside_left_over(s.pool, static_cast<unsigned>(s.pins.size())))
		return std::string("at the end ") + left;
	for (const inside_pin &pin : s.pins)
		if (mpool_put(s.pool, const_cast<void *>(pin.page), 0) != 0)
			return "at the end the pin of page " + std::to_string(pin.number) + " cannot be put";
	if (mpool_sync(s.pool) == 0)
		wrong = check_file();
	else if (!file_is_lost())
		wrong = std::string("at the end sync fails: ") + std::strerror(errno);
	mpool_close(s.pool);
	thread_end();
	for (unsigned t = 1; t <= s.scenario->threads.size(); t++)
		as_thread(t, thread_end);
	if (wrong.empty() && memory_blocks() != 0)
		wrong = "at the end " + std::to_string(memory_blocks()) + " blocks of memory are left";
	return wrong;
}

} // namespace

std::string run_once(const Scenario &scenario, const Options &options, Decider &decider)
{
	decider.begin();
	watch = nullptr;
	set_up(scenario, options);
	plant_fault(scenario, options.nth);
	std::string wrong = run(decider, static_cast<unsigned>(scenario.threads.size()), thread_body);
	watch = nullptr;
	fault_seen |= file_faulted();
	file_faults(Faults{});
	return wrong.empty() ? check_end() : wrong;
}

bool fault_happened()
{
	bool was = fault_seen;
	fault_seen = false;
	return was;
}

} // namespace explore
