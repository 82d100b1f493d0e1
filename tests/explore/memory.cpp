// memory.cpp - see memory.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace explore {

void forget_threads(); // schedule.cpp
extern "C" void *__real_memset(void *, int, size_t);
extern "C" int __real_madvise(void *, size_t, int);

std::string (*name_word)(const void *at);
void (*watch)();

static Model model;

// While somebody looks on, the library's functions are his and not the run's.
static bool looking;

// ---- the arena -------------------------------------------------------------

// Never given back in a run, so that whoever touches it too late is found.  Blocks of kLarge and more, of which a run touches
// a few pages, have a part of their own, which the system empties.
constexpr size_t kSmalls = 4 << 20, kArena = 2 * kSmalls, kLarge = 1 << 18;
constexpr size_t kGrain = 16; // of blocks, and of alignment at least
constexpr size_t kSystemPage = 4096;
constexpr size_t kShadowGrain = 8;

alignas(kSystemPage) static char arena[kArena];
static size_t used, used_larges = kSmalls;
static size_t used_most, used_larges_most = kSmalls; // in any run of the scenario
static size_t blocks[kProcesses];
static char *object;
static size_t object_bytes;
constexpr size_t kSmallGrains = kSmalls / kGrain;
static uint16_t block_at[kSmallGrains + (kArena - kSmalls) / kSystemPage]; // its number + 1; 0: nothing is there

static size_t grain_at(size_t offset)
{
	return offset < kSmalls ? offset / kGrain : kSmallGrains + (offset - kSmalls) / kSystemPage;
}

// A block: who touched it last.  To free it is to change all of it.
struct Block {
	unsigned process;
	uint32_t touched[kThreads];
};
static std::vector<Block> made;

struct Head {
	size_t bytes;
	size_t pad;
};

// ---- words -----------------------------------------------------------------

struct Store {
	uint64_t value;
	uint32_t seen[kThreads]; // the time at which a thread wrote or first read it
	bool sc;
	uint64_t sc_time;
	Clock order, visible; // of whom it releases
};

// Older ones are forgotten: a load that old is no use to find anything.
static const unsigned kStores = 8;

struct Word {
	size_t offset;
	unsigned n;
	Store store[kStores];
};

static std::vector<Word> words;
static size_t words_used;
static uint32_t word_at[kArena]; // by offset: its number + 1

static uint64_t sc_time;
static Clock fenced_visible;

// ---- which words matter ----------------------------------------------------

constexpr uint8_t kWritten = 1 << 7; // the other bits: by which threads it was touched
static uint8_t touched[kArena];      // by offset; in all runs of the scenario
static bool matters[kArena];         // what had been learnt when these runs began
static bool all_matter;
static bool more_matter; // than did then

static bool is_shared(uint8_t t)
{
	uint8_t who = t & static_cast<uint8_t>(~kWritten);
	return (t & kWritten) && (who & (who - 1));
}

static void word_point(const void *at, bool write, const void *code)
{
	size_t offset = static_cast<size_t>(static_cast<const char *>(at) - arena);
	uint8_t by = static_cast<uint8_t>(touched[offset] | 1u << (current() - 1) | (write ? kWritten : 0));
	if (by != touched[offset]) {
		touched[offset] = by;
		more_matter |= is_shared(by) && !matters[offset];
	}
	if (all_matter || matters[offset])
		point(write, code);
	else
		no_point();
}

void words_all_matter(bool all)
{
	all_matter = all;
}

void words_forget()
{
	for (void *of_words : {static_cast<void *>(touched), static_cast<void *>(matters)}) {
		std::memset(of_words, 0, used_most);
		std::memset(static_cast<char *>(of_words) + kSmalls, 0, used_larges_most - kSmalls);
	}
	used_most = 0;
	used_larges_most = kSmalls;
}

static bool learnt_of(size_t from, size_t to)
{
	bool learnt = false;
	for (size_t i = from; i < to; i++)
		if (is_shared(touched[i]) && !matters[i])
			learnt = matters[i] = true;
	return learnt;
}

bool words_learnt()
{
	bool smalls = learnt_of(0, used_most);
	more_matter = false;
	return learnt_of(kSmalls, used_larges_most) || smalls;
}

bool words_to_learn()
{
	return more_matter;
}

// ---- plain memory ----------------------------------------------------------

struct Shadow {
	uint32_t run;
	uint8_t writer;
	uint32_t written;
	uint32_t read[kThreads];
};
static Shadow shadow[kArena / kShadowGrain];
static uint32_t run_number;

void memory_begin(Model m)
{
	std::memset(arena, 0, used);
	std::memset(block_at, 0, (used / kGrain + 1) * sizeof *block_at);
	if (used_larges > kSmalls) {
		__real_madvise(arena + kSmalls, used_larges - kSmalls, MADV_DONTNEED);
		std::fill(block_at + kSmallGrains, block_at + grain_at(used_larges), uint16_t{0});
		used_larges = kSmalls;
	}
	made.clear();
	for (size_t i = 0; i < words_used; i++)
		word_at[words[i].offset] = 0;
	words_used = 0;
	used = 0;
	std::fill(std::begin(blocks), std::end(blocks), size_t{0});
	object = nullptr;
	object_bytes = 0;
	run_number++;
	sc_time = 0;
	fenced_visible = Clock{};
	model = m;
	looking = false; // the run before may have ended while somebody did
	forget_threads();
}

// Where it is in the part of the arena that is used up to `*end`.
static size_t place(size_t bytes, size_t align, size_t grain, size_t *end, size_t most)
{
	align = std::max(align, grain);
	size_t from = (*end + sizeof(Head) + grain + align - 1) / align * align;
	if (from + bytes > most - grain)
		fail("the arena is too small");
	*end = (from + bytes + grain - 1) / grain * grain;
	return from;
}

void *memory_get(size_t bytes, size_t align)
{
	bool large = bytes >= kLarge;
	size_t &end = large ? used_larges : used;
	size_t from = place(bytes, align, large ? kSystemPage : kGrain, &end, large ? kArena : kSmalls);
	*reinterpret_cast<Head *>(arena + from - sizeof(Head)) = {bytes, 0};
	unsigned process = process_of(current());
	made.push_back(Block{process, {}});
	std::fill(block_at + grain_at(from), block_at + grain_at(end), static_cast<uint16_t>(made.size()));
	used_most = std::max(used_most, used);
	used_larges_most = std::max(used_larges_most, used_larges);
	blocks[process]++;
	return arena + from;
}

size_t memory_size(const void *p)
{
	return reinterpret_cast<const Head *>(static_cast<const char *>(p) - sizeof(Head))->bytes;
}

// A block is about to go: nobody may be looking at it.
static void left_by_all(const Block &b)
{
	for (unsigned t = 1; running() && t < kThreads; t++)
		if (t != current() && alive(process_of(t)) && !knowledge().order.knows(t, b.touched[t]))
			fail("memory is freed that thread %u has touched, and may still be touching", t);
}

void memory_give(void *p)
{
	size_t from = static_cast<size_t>(static_cast<char *>(p) - arena);
	if (!in_arena(p) || !block_at[grain_at(from)])
		fail("memory is freed that is not in use");
	const Block &b = made[block_at[grain_at(from)] - 1u];
	left_by_all(b);
	size_t last = grain_at(from + memory_size(p) - 1);
	std::fill(block_at + grain_at(from), block_at + last + 1, uint16_t{0});
	blocks[b.process]--;
}

size_t memory_blocks()
{
	size_t n = 0;
	for (unsigned p = 0; p < kProcesses; p++)
		n += alive(p) ? blocks[p] : 0;
	return n;
}

// ---- an object --------------------------------------------------------------

void *memory_object(size_t bytes)
{
	size_t from = (used + kGrain + kMemoryPage - 1) / kMemoryPage * kMemoryPage;
	if (from + bytes > kSmalls - kGrain)
		fail("the arena is too small");
	used = from + bytes;
	used_most = std::max(used_most, used);
	object = arena + from;
	object_bytes = bytes;
	return object;
}

bool in_object(const void *p)
{
	const char *c = static_cast<const char *>(p);
	return c >= object && c < object + object_bytes;
}

void memory_populate(void *p, size_t bytes)
{
	size_t from = static_cast<size_t>(static_cast<char *>(p) - arena) / kGrain;
	made.push_back(Block{});
	for (size_t g = from; g < from + bytes / kGrain; g++)
		if (!block_at[g])
			block_at[g] = static_cast<uint16_t>(made.size());
}

bool memory_is_there(const void *p)
{
	return block_at[grain_at(static_cast<size_t>(static_cast<const char *>(p) - arena))] != 0;
}

// What there was of stores and accesses is forgotten: it is other memory from now on.
void memory_remove(void *p, size_t bytes)
{
	size_t from = static_cast<size_t>(static_cast<char *>(p) - arena);
	for (size_t g = from / kGrain; g < (from + bytes) / kGrain; g++) {
		if (block_at[g] && block_at[g] != block_at[g - 1])
			left_by_all(made[block_at[g] - 1u]);
		shadow[g * kGrain / kShadowGrain].run = shadow[(g + 1) * kGrain / kShadowGrain - 1].run = 0;
	}
	std::fill(block_at + from / kGrain, block_at + (from + bytes) / kGrain, uint16_t{0});
	std::fill(word_at + from, word_at + from + bytes, 0);
	__real_memset(p, 0, bytes);
}

bool in_arena(const void *p)
{
	const char *c = static_cast<const char *>(p);
	return c >= arena && c < arena + kArena;
}

// ---- tracing ---------------------------------------------------------------

static bool trace_on;

void trace(bool on)
{
	trace_on = on;
}
bool tracing()
{
	return trace_on && running();
}

// The source line of an address in this program, as addr2line has it.
static std::string code_line(const void *code)
{
	static std::map<const void *, std::string> known;
	std::string &line = known[code];
	if (!line.empty() || !code)
		return line;
	char command[128], text[256] = "?";
	// The call is before the address it returns to.
	std::snprintf(command, sizeof command, "addr2line -s -e /proc/%d/exe %p 2>&1", getpid(),
		static_cast<const void *>(static_cast<const char *>(code) - 1));
	if (FILE *pipe = popen(command, "r")) {
		if (!std::fgets(text, sizeof text, pipe))
			std::strcpy(text, "?");
		pclose(pipe);
	}
	line = text;
	line = line.substr(0, line.find_first_of(" \n"));
	return line;
}

static std::string name_of(const void *at)
{
	if (!at || !name_word)
		return "";
	looking = true;
	std::string name = name_word(at);
	looking = false;
	return name;
}

void trace_line(const char *what, const void *at, uint64_t value, const void *code)
{
	std::printf("  %*s%u  %-10s %-24s %#-14llx %s\n", static_cast<int>(current() - 1) * 2, "", current(), what,
		name_of(at).c_str(), static_cast<unsigned long long>(value), code_line(code).c_str());
}

// ---- atomic words ----------------------------------------------------------

static bool acquires(Order o)
{
	return model == Model::x86 || o == Order::acquire || o == Order::acq_rel || o == Order::seq_cst;
}
static bool releases(Order o)
{
	return model == Model::x86 || o == Order::release || o == Order::acq_rel || o == Order::seq_cst;
}

static void touch(const void *at, const void *code)
{
	size_t offset = static_cast<size_t>(static_cast<const char *>(at) - arena);
	uint16_t block = block_at[grain_at(offset)];
	if (!block)
		fail("memory that was freed, or never was, is touched from %s", code_line(code).c_str());
	made[block - 1u].touched[current()] = knowledge().order.at[current()] + 1;
}

// Nearly all accesses are of 8 or 4 bytes, which the compiler is to know: the explorer does little else.
static uint64_t raw(const void *at, unsigned bytes)
{
	uint64_t value = 0;
	if (bytes == sizeof(uint64_t))
		std::memcpy(&value, at, sizeof(uint64_t));
	else if (bytes == sizeof(uint32_t))
		std::memcpy(&value, at, sizeof(uint32_t));
	else
		std::memcpy(&value, at, bytes);
	return value;
}

static void raw_write(void *at, unsigned bytes, uint64_t value)
{
	if (bytes == sizeof(uint64_t))
		std::memcpy(at, &value, sizeof(uint64_t));
	else if (bytes == sizeof(uint32_t))
		std::memcpy(at, &value, sizeof(uint32_t));
	else
		std::memcpy(at, &value, bytes);
}

static void tick()
{
	Knowledge &k = knowledge();
	k.order.at[current()]++;
	k.visible.at[current()]++;
}

static Word *find(const void *at)
{
	uint32_t n = word_at[static_cast<const char *>(at) - arena];
	return n ? &words[n - 1] : nullptr;
}

static Word *find_or_make(const void *at, unsigned bytes)
{
	if (Word *w = find(at))
		return w;
	if (words_used == words.size())
		words.emplace_back();
	Word &w = words[words_used++];
	w.offset = static_cast<size_t>(static_cast<const char *>(at) - arena);
	word_at[w.offset] = static_cast<uint32_t>(words_used);
	w.n = 1;
	w.store[0] = Store{};
	w.store[0].value = raw(at, bytes); // known to all: from before the run
	return &w;
}

static bool known(const Store &s, const Clock &visible)
{
	for (unsigned t = 0; t < kThreads; t++)
		if (visible.knows(t, s.seen[t]))
			return true;
	return false;
}

// The oldest store that a load by the current thread may give.
static unsigned oldest_for_load(const Word &w, Order order)
{
	const Knowledge &k = knowledge();
	for (unsigned i = w.n; --i > 0;) {
		const Store &s = w.store[i];
		if (known(s, k.visible) || (s.sc && s.sc_time <= k.fenced))
			return i;
		if (order == Order::seq_cst && (s.sc || known(s, fenced_visible)))
			return i;
	}
	return 0;
}

static void saw(Store &s, Order order)
{
	Knowledge &k = knowledge();
	uint32_t now = k.visible.at[current()];
	if (now < s.seen[current()])
		s.seen[current()] = now;
	if (acquires(order)) {
		k.order.join(s.order);
		k.visible.join(s.visible);
	}
}

static Store &append(Word &w)
{
	if (w.n == kStores) {
		std::memmove(&w.store[0], &w.store[1], (kStores - 1) * sizeof w.store[0]);
		w.n--;
	}
	Store &s = w.store[w.n++];
	s = Store{};
	for (uint32_t &seen : s.seen)
		seen = kNever;
	return s;
}

// `last`: the store before, if this one continues what it released.
static void append_store(Word &w, uint64_t value, Order order, const Store *last)
{
	const Knowledge &k = knowledge();
	Clock order_before, visible_before;
	if (last) {
		order_before = last->order;
		visible_before = last->visible;
	}
	Store &s = append(w);
	s.value = value;
	s.seen[current()] = k.visible.at[current()];
	s.order = order_before;
	s.visible = visible_before;
	if (releases(order)) {
		s.order.join(k.order);
		s.visible.join(k.visible);
	}
	if (order == Order::seq_cst) {
		s.sc = true;
		s.sc_time = ++sc_time;
	}
}

static void fence_of(unsigned thread)
{
	Knowledge &k = knowledge(thread);
	k.visible.join(fenced_visible);
	fenced_visible = k.visible;
	k.fenced = sc_time;
}

static bool direct(const void *at)
{
	return !running() || looking || !in_arena(at);
}

void look()
{
	changed();
	looking = true;
	watch();
	looking = false;
}

uint64_t load(const void *at, unsigned bytes, Order order, const void *code)
{
	if (direct(at))
		return raw(at, bytes);
	word_point(at, false, code);
	touch(at, code);
	tick();
	uint64_t value;
	if (Word *w = find(at)) {
		unsigned oldest = oldest_for_load(*w, order), i = w->n - 1;
		i -= choose(i - oldest + 1);
		bool stale = i < w->n - 1;
		value = w->store[i].value;
		saw(w->store[i], order);
		if (tracing())
			trace_line(stale ? "load OLD" : "load", at, value, code);
	} else {
		choose(1);
		value = raw(at, bytes);
		if (tracing())
			trace_line("load", at, value, code);
	}
	return value;
}

void store(void *at, unsigned bytes, uint64_t value, Order order, const void *code)
{
	if (direct(at)) {
		raw_write(at, bytes, value);
		return;
	}
	word_point(at, true, code);
	touch(at, code);
	tick();
	if (tracing())
		trace_line(order == Order::seq_cst ? "store sc" : "store", at, value, code);
	append_store(*find_or_make(at, bytes), value, order, nullptr);
	raw_write(at, bytes, value);
	if (model == Model::x86 && order == Order::seq_cst)
		fence_of(current());
	look();
}

uint64_t modify(void *at, unsigned bytes, Change change, uint64_t operand, Order order, const void *code)
{
	uint64_t mask = bytes == 8 ? ~UINT64_C(0) : (UINT64_C(1) << bytes * 8) - 1;
	if (direct(at)) {
		uint64_t old = raw(at, bytes);
		raw_write(at, bytes, change(old, operand) & mask);
		return old;
	}
	word_point(at, true, code);
	touch(at, code);
	tick();
	Word *w = find_or_make(at, bytes);
	Store last = w->store[w->n - 1];
	saw(w->store[w->n - 1], order);
	uint64_t value = change(last.value, operand) & mask;
	if (tracing())
		trace_line("modify", at, value, code);
	append_store(*w, value, order, &last);
	raw_write(at, bytes, value);
	if (model == Model::x86)
		fence_of(current());
	look();
	return last.value;
}

bool compare_exchange(
	void *at, unsigned bytes, uint64_t *expected, uint64_t value, Order order, Order failure, const void *code)
{
	if (direct(at)) {
		uint64_t old = raw(at, bytes);
		bool same = old == *expected;
		if (same)
			raw_write(at, bytes, value);
		*expected = old;
		return same;
	}
	word_point(at, true, code);
	touch(at, code);
	tick();
	Word *w = find_or_make(at, bytes);
	Store last = w->store[w->n - 1];
	bool same = last.value == *expected;
	saw(w->store[w->n - 1], same ? order : failure);
	if (tracing())
		trace_line(same ? "cas" : "cas FAILS", at, same ? value : last.value, code);
	if (same) {
		append_store(*w, value, order, &last);
		raw_write(at, bytes, value);
	}
	if (model == Model::x86)
		fence_of(current());
	*expected = last.value;
	if (same)
		look();
	return same;
}

void fence()
{
	if (!running())
		return;
	tick();
	if (tracing())
		trace_line("fence", nullptr, 0, nullptr);
	fence_of(current());
}

void heavy_barrier(bool of_all)
{
	if (!running())
		return;
	tick();
	fence_of(current());
	unsigned mine = space_of(current());
	for (unsigned t = 1; t < kThreads; t++) {
		if (t == current() || !started(t) || !(of_all || space_of(t) == mine))
			continue;
		// Of who died all is in memory.
		if (alive(process_of(t)))
			point();
		fence_of(t);
		if (tracing())
			trace_line("interrupts", nullptr, t, nullptr);
	}
	fence_of(current());
}

// ---- plain memory ----------------------------------------------------------

static Shadow &shadow_of(size_t grain)
{
	Shadow &s = shadow[grain];
	if (s.run != run_number) {
		s = Shadow{};
		s.run = run_number;
	}
	return s;
}

static void race(unsigned other, const char *did, const void *at, const void *code)
{
	fail("data race with thread %u, which %s %s; from %s", other, did, name_of(at).c_str(),
		code_line(code).c_str());
}

void (*stored)(const void *at);

static void plain(const void *at, size_t bytes, bool write, const void *code)
{
	if (direct(at) || bytes == 0)
		return;
	touch(at, code);
	const Clock &order = knowledge().order;
	size_t from = static_cast<size_t>(static_cast<const char *>(at) - arena);
	for (size_t g = from / kShadowGrain; g <= (from + bytes - 1) / kShadowGrain; g++) {
		Shadow &s = shadow_of(g);
		if (s.written && s.writer != current() && !order.knows(s.writer, s.written))
			race(s.writer, "wrote", at, code);
		for (unsigned t = 0; write && t < kThreads; t++)
			if (s.read[t] && t != current() && !order.knows(t, s.read[t]))
				race(t, "read", at, code);
		if (write) {
			s.writer = static_cast<uint8_t>(current());
			s.written = order.at[current()] + 1;
		} else {
			s.read[current()] = order.at[current()] + 1;
		}
	}
}

void plain_read(const void *at, size_t bytes, const void *code)
{
	plain(at, bytes, false, code);
}

void plain_write(void *at, size_t bytes, const void *code)
{
	plain(at, bytes, true, code);
	if (stored && bytes > 0)
		stored(at);
}

void Token::release()
{
	if (!running())
		return;
	tick();
	order.join(knowledge().order);
	visible.join(knowledge().visible);
}

void Token::release_of(unsigned thread)
{
	Knowledge &k = knowledge(thread);
	k.order.at[thread]++;
	k.visible.at[thread]++;
	order.join(k.order);
	visible.join(k.visible);
}

void Token::acquire() const
{
	if (!running())
		return;
	tick();
	knowledge().order.join(order);
	knowledge().visible.join(visible);
}

} // namespace explore
