// test_eviction.cpp - which pages the pool keeps: one property for each kind of use,
// held against LRU's misses of the same requests; and the policy's module by itself:
// how far its hands go for a victim, and what it counts.
//
// The bounds guard the property, not the last digit: each is about halfway between
// what the policy does and what it does without the rule that the case is about.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "modules.h"
#include "support.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdarg>
#include <list>
#include <numeric>
#include <random>
#include <thread>
#include <unordered_map>

#include <sys/syscall.h>

using namespace test;
using Pages = std::vector<uint32_t>;

namespace {

constexpr uint32_t CACHE = 1000;

// The page that was used longest ago goes.
class Lru {
public:
	explicit Lru(size_t pages) : most(pages) {}
	bool misses(uint32_t page)
	{
		auto at = place.find(page);
		bool miss = at == place.end();
		if (!miss)
			order.erase(at->second);
		else if (order.size() == most) {
			place.erase(order.back());
			order.pop_back();
		}
		order.push_front(page);
		place[page] = order.begin();
		return miss;
	}

private:
	size_t most;
	std::list<uint32_t> order;
	std::unordered_map<uint32_t, std::list<uint32_t>::iterator> place;
};

// A pool on a file that is one hole.
class Replayed {
public:
	Replayed(uint32_t cache, const Pages &pages)
	    : size((off_t{*std::max_element(pages.begin(), pages.end())} + 1) * PAGE)
	{
		file.truncate(size);
		Pool pool(file.fd(), PAGE, cache);
		Lru reference(cache);
		for (uint32_t page : pages) {
			pool.put(pool.get(page));
			lru += reference.misses(page);
		}
		misses = pool.stats().misses;
		n = pages.size();
	}
	double ratio() const { return static_cast<double>(misses) / static_cast<double>(n); }
	double lru_ratio() const { return static_cast<double>(lru) / static_cast<double>(n); }
	std::string text() const
	{
		return "missed " + std::to_string(ratio()) + ", LRU " + std::to_string(lru_ratio());
	}

	uint64_t misses = 0, lru = 0;

private:
	static constexpr unsigned PAGE = 16;
	off_t size;
	size_t n = 0;
	File file{PAGE};
};

class Zipf {
public:
	Zipf(uint32_t pages, double exponent, uint64_t seed) : random(seed), shares(pages), page_of(pages)
	{
		double sum = 0;
		for (uint32_t rank = 0; rank < pages; rank++)
			shares[rank] = sum += 1 / std::pow(rank + 1, exponent);
		std::iota(page_of.begin(), page_of.end(), 0u);
		for (uint32_t i = pages - 1; i > 0; i--)
			std::swap(page_of[i], page_of[random.below(i + 1)]);
	}
	uint32_t next()
	{
		double x = random.below(1u << 30) / static_cast<double>(1u << 30) * shares.back();
		auto rank = std::upper_bound(shares.begin(), shares.end(), x) - shares.begin();
		return page_of[std::min(static_cast<size_t>(rank), shares.size() - 1)];
	}

private:
	Random random;
	std::vector<double> shares; // of the draws, on the first 1, 2, ... ranks; not scaled
	Pages page_of;              // of each rank
};

// ---- kinds of use, about a pool of `cache` pages ----

// Twice the pool, in turn, round and round.
Pages loop(uint32_t cache)
{
	constexpr uint32_t ROUNDS = 40;
	Pages pages;
	for (uint32_t i = 0; i < ROUNDS * 2 * cache; i++)
		pages.push_back(i % (2 * cache));
	return pages;
}

Pages zipf(uint32_t cache)
{
	Zipf draws(20 * cache, 0.9, 1);
	Pages pages(150 * cache);
	for (uint32_t &page : pages)
		page = draws.next();
	return pages;
}

// Draws from a hot set of half of the pool; between them scans, thrice the pool, of pages not seen before.
constexpr uint32_t SCANS = 15;

uint32_t scan_length(uint32_t cache)
{
	return 3 * cache;
}

Pages scan(uint32_t cache)
{
	Random random(2);
	uint32_t hot = cache / 2, next = hot;
	Pages pages;
	for (uint32_t i = 0; i < SCANS; i++) {
		for (uint32_t n = 0; n < 5 * cache; n++)
			pages.push_back(random.below(hot));
		for (uint32_t n = 0; n < scan_length(cache); n++)
			pages.push_back(next++);
	}
	return pages;
}

// Nine of ten draws from a set of half of the pool, another one each time; the others from anywhere.
Pages shift(uint32_t cache)
{
	Random random(3);
	uint32_t hot = cache / 2, file = 20 * cache;
	Pages pages;
	for (uint32_t set = 0; set < 10; set++)
		for (uint32_t n = 0; n < 20 * cache; n++)
			pages.push_back(random.below(10) ? set * hot + random.below(hot) : random.below(file));
	return pages;
}

// Up to the last page and down to the first.
Pages sweep(uint32_t cache)
{
	uint32_t last = 2 * cache - 1;
	Pages pages;
	for (uint32_t i = 0; i < 60 * cache; i++) {
		uint32_t at = i % (2 * last);
		pages.push_back(at <= last ? at : 2 * last - at);
	}
	return pages;
}

// A loop, draws by Zipf's law and scans, turn by turn.
Pages mixed(uint32_t cache)
{
	Zipf draws(10 * cache, 0.9, 4);
	Pages pages;
	uint32_t at = 0, next = 20 * cache;
	for (uint32_t i = 0; i < 40 * cache; i++) {
		pages.push_back(draws.next());
		pages.push_back(draws.next());
		pages.push_back(10 * cache + at++ % (2 * cache));
		if (i / cache % 4 == 3)
			pages.push_back(next++);
	}
	return pages;
}

uint32_t dying_loop(uint32_t cache)
{
	return cache * 9 / 10;
}

// A hot set as large as the pool, then a loop through others that fit.
Pages dying(uint32_t cache, uint32_t rounds)
{
	Random random(5);
	uint32_t loop = dying_loop(cache);
	Pages pages;
	for (uint32_t i = 0; i < 40 * cache; i++)
		pages.push_back(random.below(cache));
	for (uint32_t i = 0; i < rounds * loop; i++)
		pages.push_back(cache + i % loop);
	return pages;
}

// Draws from a window half as large again as the pool, which slides; then a loop, far longer than all ghosts.
Pages window_then_loop(uint32_t cache)
{
	Random random(8);
	uint32_t window = cache * 3 / 2, top = 0;
	Pages pages;
	for (uint32_t i = 0; i < 60 * cache; i++) {
		pages.push_back(i / 4 + static_cast<uint32_t>(random.below(window)));
		top = std::max(top, pages.back() + 1);
	}
	for (uint32_t i = 0; i < 120 * cache; i++)
		pages.push_back(top + i % (10 * cache));
	return pages;
}

// What a search for a victim took, of so many hundredths of them.
uint32_t steps_at(const module_policy_result &r, double part)
{
	double all = 0, upto = 0;
	for (uint64_t n : r.victims)
		all += static_cast<double>(n);
	uint32_t steps = 0;
	while (steps < MODULE_STEPS && (upto += static_cast<double>(r.victims[steps])) < part * all)
		steps++;
	return steps;
}

module_policy_result policy_alone(uint32_t frames, const Pages &requests)
{
	module_policy_result r;
	REQUIRE(module_policy(frames, requests.data(), requests.size(), &r) == 0);
	return r;
}

// Draws from four times the pool, the lower numbers far more often; as zipf(), and quickly made for large pools.
Pages skewed(uint32_t cache)
{
	Random random(6);
	Pages pages(4 * size_t{cache} + 100000);
	for (uint32_t &page : pages) {
		double part = random.below(1u << 30) / static_cast<double>(1u << 30);
		page = static_cast<uint32_t>(4 * cache * part * part * part);
	}
	return pages;
}

// Twice the pool in turn, twice.
Pages loop_twice(uint32_t cache)
{
	Pages pages(4 * size_t{cache});
	for (uint32_t i = 0; i < pages.size(); i++)
		pages[i] = i % (2 * cache);
	return pages;
}

} // namespace

// ---- what is missed ----

TEST_CASE("eviction: of a loop twice as long as the pool, about half is hit, where LRU hits nothing")
{
	Replayed r(CACHE, loop(CACHE));
	INFO(r.text());
	CHECK(r.lru_ratio() == 1);
	CHECK(r.ratio() < 0.6);
}

TEST_CASE("eviction: scans leave a hot set in memory")
{
	Replayed r(CACHE, scan(CACHE));
	INFO(r.text());
	const uint64_t first = CACHE / 2 + SCANS * scan_length(CACHE); // nobody can have them in memory
	CHECK(r.lru >= first + (SCANS - 1) * CACHE / 2);
	CHECK(r.misses <= first + SCANS * CACHE / 20);
}

TEST_CASE("eviction: pages drawn by Zipf's law are told apart by how often they come")
{
	Replayed r(CACHE, zipf(CACHE));
	INFO(r.text());
	CHECK(r.ratio() < r.lru_ratio() - 0.05);
}

TEST_CASE("eviction: a hot set that becomes another is followed about as fast as by LRU")
{
	Replayed r(CACHE, shift(CACHE));
	INFO(r.text());
	CHECK(r.ratio() < r.lru_ratio() + 0.02);
}

TEST_CASE("eviction: going up and down a range is not taken for use again")
{
	Replayed r(CACHE, sweep(CACHE));
	INFO(r.text());
	CHECK(r.ratio() < r.lru_ratio() + 0.02);
}

TEST_CASE("eviction: a loop, draws by Zipf's law and scans in one")
{
	Replayed r(CACHE, mixed(CACHE));
	INFO(r.text());
	CHECK(r.ratio() < r.lru_ratio() - 0.08);
}

TEST_CASE("eviction: a hot set that is not used any more makes room in the end")
{
	const uint32_t rounds = 40;
	Replayed some(CACHE, dying(CACHE, rounds)), more(CACHE, dying(CACHE, 2 * rounds));
	INFO(some.text() << "; in " << rounds << " rounds more " << more.misses - some.misses << " misses");
	CHECK(more.misses - some.misses < rounds * dying_loop(CACHE) / 20);
}

TEST_CASE("eviction: a pool of 16 pages is no worse than LRU")
{
	const uint32_t cache = 16;
	auto use = GENERATE(loop, zipf, scan, shift, sweep, mixed);
	Replayed r(cache, use(cache));
	INFO(r.text());
	CHECK(r.ratio() < r.lru_ratio() + 0.02);
}

TEST_CASE("eviction: pages that are held in cold frames, as by threads that miss, do not drive the hot ones out")
{
	const pgno_t cache = 100, held = 10, rounds = 40;
	File file(16);
	file.truncate(off_t{16} * 4 * cache);
	Pool pool(file.fd(), 16, cache);
	pool.touch(0, cache);
	std::vector<void *> pinned;
	for (pgno_t page = cache; page < cache + held; page++)
		pinned.push_back(pool.get(page));
	uint64_t before = pool.stats().misses;
	for (pgno_t round = 0; round < rounds; round++)
		pool.touch(2 * cache, 4 * cache);
	double ratio = static_cast<double>(pool.stats().misses - before) / (rounds * 2 * cache);
	for (void *page : pinned)
		pool.put(page);
	INFO("missed " << ratio);
	CHECK(ratio < 0.75);
}

TEST_CASE("eviction: a miss that now and then finds all cold frames busy, as with threads, costs the hot ones little")
{
	// By turns a page of a hot set and one that nobody wants again; now and then two of these are held at once.
	const pgno_t cache = 100, hot = 90, misses = 20000, held_each = 25;
	File file(16);
	file.truncate(off_t{16} * (cache + misses));
	Pool pool(file.fd(), 16, cache);
	Random random(7);
	pool.touch(0, hot);
	uint64_t before = pool.stats().misses;
	for (pgno_t i = 0; i < misses; i++) {
		void *page = pool.get(hot + i);
		if (i % held_each == 0)
			pool.put(pool.get(hot + ++i));
		pool.put(page);
		pool.put(pool.get(static_cast<pgno_t>(random.below(hot))));
	}
	double lost = static_cast<double>(pool.stats().misses - before - misses) / (misses / held_each);
	INFO("hot pages lost each time: " << lost);
	CHECK(lost < 1);
}

TEST_CASE("eviction: when use turns from what is recent to a long loop, the frames that were cold take a part of it")
{
	const Pages pages = window_then_loop(CACHE);
	Replayed r(CACHE, pages);
	INFO(r.text());
	CHECK(r.ratio() < r.lru_ratio() - 0.03);
}

// ---- what it takes ----

TEST_CASE("eviction: a victim is found in few steps, and never in more than a bound")
{
	// The last: a shard of a pool of a million pages, and all of these in one shard.
	const uint32_t frames = sanitized ? GENERATE(16u, 1000u) : GENERATE(16u, 1000u, 15625u, 1000000u);
	for (bool skew : {true, false}) {
		module_policy_result r = policy_alone(frames, skew ? skewed(frames) : loop_twice(frames));
		uint32_t median = steps_at(r, 0.5), most = steps_at(r, 1);
		WARN(frames << " frames, " << (skew ? "skewed draws" : "a loop")
			    << ": words and frames looked at for a victim: "
			    << "median " << median << ", 99 % " << steps_at(r, 0.99) << ", at most " << most);
		CHECK(median <= 4);
		CHECK(most <= r.bound);
		CHECK(r.hot == r.hot_bits);
		CHECK(r.recounted == r.hot_bits);
	}
}

TEST_CASE("eviction: a search may end in vain, but not where growing would be the next thing")
{
	const uint32_t frames = GENERATE(100u, 200000u); // the last word is whole, or is not
	for (uint32_t one : {0u, frames / 2, frames - 1}) {
		CAPTURE(frames, one);
		struct module_policy_only r;
		REQUIRE(module_policy_only(frames, one, &r) == 0);
		CHECK(r.steps <= r.bound);
		CHECK(r.found);
	}
}

TEST_CASE("eviction: a pool that is all pinned but for one page takes that one, and does not grow")
{
	const pgno_t cache = GENERATE(16u, 1000u, 10000u);
	File file(16);
	file.truncate(off_t{16} * 3 * cache);
	Pool pool(file.fd(), 16, cache);
	pool.touch(0, 2 * cache); // frames of every kind
	std::vector<void *> pinned;
	for (pgno_t page = 0; page + 1 < cache; page++)
		pinned.push_back(pool.get(page));
	for (pgno_t page = 2 * cache; page < 2 * cache + 10; page++) {
		pool.put(pool.get(page));
		CHECK(pool.stats().overflow == 0);
	}
	for (void *page : pinned)
		pool.put(page);
}

TEST_CASE("eviction: a page that was deleted leaves its frame as one never used")
{
	// All hot pages are deleted; as many others come in hot, and a scan leaves them in memory.
	File file(16);
	file.truncate(off_t{16} * 20 * CACHE);
	Pool pool(file.fd(), 16, CACHE);
	pool.touch(0, CACHE);
	for (pgno_t page = 0; page < CACHE; page++)
		REQUIRE(mpool_delete(pool, pool.get(page)) == 0);
	pool.touch(CACHE, 2 * CACHE);
	pool.touch(2 * CACHE, 4 * CACHE);
	uint64_t before = pool.stats().misses;
	pool.touch(CACHE, 2 * CACHE);
	CHECK(pool.stats().misses - before < CACHE / 4);
}

TEST_CASE("eviction: nothing is learned from pages wanted once only")
{
	const uint32_t frames = 1000;
	struct module_policy_once r;
	REQUIRE(module_policy_once(frames, &r) == 0);
	// A hundredth of the frames is cold, and what was in them may leave a ghost.
	CHECK(r.ghosts <= frames / 100);
	CHECK(r.misses == 0);
	CHECK(r.hot == 0);
	CHECK(r.trust == 0);
	CHECK(r.counted > 0);
	CHECK(r.counted <= frames / 100);
	CHECK(r.counted == r.recounted);
}

TEST_CASE("eviction: what room hot pages leave that were evicted is not for pages never seen")
{
	for (uint32_t frames : {100u, 1000u, 5000u}) {
		struct module_policy_room r;
		REQUIRE(module_policy_room(frames, &r) == 0);
		CHECK(r.evicted == 0);
		CHECK(r.forgotten == r.lost);
	}
}

// ---- barriers: what other threads pay for an eviction ----

namespace {

constexpr uint32_t page_size = 64;
std::atomic<uint64_t> barriers{0};

} // namespace

extern "C" {
long __real_syscall(long number, ...);

// All that is called with syscall() has at most six arguments.
long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list list;
	va_start(list, number);
	for (long &argument : a)
		argument = va_arg(list, long);
	va_end(list);
	if (number == SYS_membarrier)
		barriers.fetch_add(1, std::memory_order_relaxed);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
}

TEST_CASE("eviction: one barrier is for many pages, of several shards")
{
	// Frames, and what of them a barrier is for at the least: cold ones are a fiftieth, and shards have 4096 frames.
	struct Size {
		uint32_t frames, least;
	};
	const auto [frames, least] = GENERATE(Size{150, 2}, Size{1000, 18}, Size{4000, 80}, Size{16384, 112});
	CAPTURE(frames);
	File file(page_size);
	file.truncate(off_t{page_size} * 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	// With one thread alone there would be none.
	std::thread([&] { pool.touch(0, 1); }).join();
	pool.touch(0, frames);
	std::mt19937 random(frames);
	uint64_t evicted = pool.stats().evictions, made = barriers.load();
	for (uint32_t i = 0; i < 10 * frames; i++)
		pool.put(pool.get(random() % (2 * frames)));
	evicted = pool.stats().evictions - evicted;
	made = barriers.load() - made;
	CHECK(evicted > frames);
	if (made > 0) // or fences serve
		CHECK(evicted / made >= least);
}
