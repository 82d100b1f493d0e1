// test_replay.cpp - mpool-replay counts what it says: the misses of the pool, of LRU
// and of the best that can be, on traces counted by hand, by other means, and by others.
//
// MPOOL_TRACES in the environment names a directory of traces with an anchors.tsv,
// to be compared with; without it that case only says so.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "replay/anchors.hpp"
#include "replay/made.hpp"
#include "replay/pool.hpp"
#include "replay/reference.hpp"
#include "replay/trace.hpp"

using namespace replay;
using Pages = std::vector<uint32_t>;

namespace {

constexpr uint32_t PAGE_BYTES = 64;

Trace trace(const Pages &pages)
{
	return trace_of("test", "", pages);
}

uint64_t pool(const Pages &pages, uint32_t cache_pages, unsigned threads = 1)
{
	return pool_misses(trace(pages), {cache_pages, PAGE_BYTES, threads});
}

// A directory that goes with the object.
struct Directory {
	std::string path = test::tmp_dir() + "/replay-XXXXXX";
	Directory() { REQUIRE(mkdtemp(&path[0]) != nullptr); }
	Directory(const Directory &) = delete;
	Directory &operator=(const Directory &) = delete;
	~Directory() { std::filesystem::remove_all(path); }

	std::string file(const std::string &name, const std::string &bytes) const
	{
		std::ofstream(path + "/" + name, std::ios::binary) << bytes;
		return path + "/" + name;
	}
};

// ---- the same by the simplest means ----

uint32_t simple_lru(const Pages &pages, uint32_t cache_pages)
{
	Pages cached; // the last one was requested last
	uint32_t misses = 0;
	for (uint32_t page : pages) {
		auto at = std::find(cached.begin(), cached.end(), page);
		misses += at == cached.end();
		if (at != cached.end())
			cached.erase(at);
		else if (cached.size() == cache_pages)
			cached.erase(cached.begin());
		cached.push_back(page);
	}
	return misses;
}

// Every victim is tried at every miss from request `i` on.
uint32_t least_misses(const Pages &pages, size_t i, const std::set<uint32_t> &cached, uint32_t cache_pages)
{
	while (i < pages.size() && cached.count(pages[i]) != 0)
		i++;
	if (i == pages.size())
		return 0;
	auto missed = [&](std::set<uint32_t> left) {
		left.insert(pages[i]);
		return 1 + least_misses(pages, i + 1, left, cache_pages);
	};
	if (cached.size() < cache_pages)
		return missed(cached);
	uint32_t least = UINT32_MAX;
	for (uint32_t victim : cached) {
		std::set<uint32_t> left = cached;
		left.erase(victim);
		least = std::min(least, missed(left));
	}
	return least;
}

Pages random_pages(uint64_t seed, size_t requests, uint32_t distinct)
{
	Pages pages(requests);
	for (size_t i = 0; i < requests; i++)
		pages[i] = static_cast<uint32_t>(test::mix(seed << 32 | i) % distinct);
	return pages;
}

} // namespace

// ---- LRU and OPT --------------------------------------------------------------

TEST_CASE("LRU and OPT of the textbooks' reference strings")
{
	Trace belady = trace({1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5});
	CHECK(lru_misses(belady, 3) == 10);
	CHECK(lru_misses(belady, 4) == 8);
	CHECK(opt_misses(belady, 3) == 7);
	CHECK(opt_misses(belady, 4) == 6);
	Trace silberschatz = trace({7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1});
	CHECK(lru_misses(silberschatz, 3) == 12);
	CHECK(opt_misses(silberschatz, 3) == 9);
}

TEST_CASE("LRU and OPT where all fits, and where nothing does")
{
	Trace t = trace({9, 8, 9, 8, 8, 9});
	for (uint32_t cache_pages : {2u, 3u, 1000000u}) {
		CHECK(lru_misses(t, cache_pages) == 2);
		CHECK(opt_misses(t, cache_pages) == 2);
	}
	CHECK(lru_misses(t, 1) == 5);
	CHECK(opt_misses(t, 1) == 5);
}

TEST_CASE("LRU and OPT of a loop larger than the cache")
{
	Pages pages;
	for (uint32_t i = 0; i < 50; i++)
		pages.push_back(i % 5);
	CHECK(lru_misses(trace(pages), 4) == 50);
	// The first 5; then, in each 4 requests, the one page that is not there.
	CHECK(opt_misses(trace(pages), 4) == 5 + 11);
}

TEST_CASE("LRU and OPT miss what the simplest programs for them miss")
{
	for (uint64_t seed = 0; seed < 60; seed++) {
		Pages pages = random_pages(seed, 14, 5);
		for (uint32_t cache_pages : {1u, 2u, 3u, 4u}) {
			CAPTURE(seed, cache_pages);
			REQUIRE(lru_misses(trace(pages), cache_pages) == simple_lru(pages, cache_pages));
			REQUIRE(opt_misses(trace(pages), cache_pages) == least_misses(pages, 0, {}, cache_pages));
		}
	}
}

// Others measured the same, and rounded to four digits.
TEST_CASE("LRU and OPT miss what anchors.tsv says")
{
	const char *directory = getenv("MPOOL_TRACES");
	if (directory == nullptr) {
		WARN("skipped: MPOOL_TRACES names no directory of traces");
		return;
	}
	Anchors anchors(directory);
	unsigned lru = 0, opt = 0;
	for (const std::string &path : trace_files(directory)) {
		Trace t = read_trace(path);
		for (uint32_t cache_pages = 1; cache_pages <= t.distinct; cache_pages++)
			for (const Anchor &a : anchors.of(t, cache_pages)) {
				CAPTURE(t.name, cache_pages, a.policy, a.miss_ratio);
				if (a.policy == "LRU") {
					lru++;
					CHECK(agrees(a, lru_misses(t, cache_pages), t.requests()));
				} else if (a.policy == "Belady") {
					opt++;
					CHECK(agrees(a, opt_misses(t, cache_pages), t.requests()));
				}
			}
	}
	CHECK(lru > 0);
	CHECK(opt == lru);
}

// ---- the pool -------------------------------------------------------------------

TEST_CASE("the pool's misses are those that any policy has, where there is no choice")
{
	CHECK(pool({1, 1, 2, 2, 1, 1, 3, 1}, 1) == 5);    // one page is in memory
	CHECK(pool({5, 6, 7, 5, 6, 7, 7, 6, 5}, 3) == 3); // all are
	CHECK(pool({1, 2, 1, 2, 3, 3, 3}, 2) == 3);       // no page comes again after it had to go
	CHECK(pool({0, 1, 2, 3, 4}, 2) == 5);             // none comes again at all
	CHECK(pool({0xfffffffe, 0, 0xfffffffe}, 2) == 2); // as far apart as pages can be
}

TEST_CASE("the pool misses no less than OPT, and at the most all")
{
	for (uint32_t cache_pages : {1u, 2u, 16u, 100u, 499u}) {
		CAPTURE(cache_pages);
		Pages pages = random_pages(cache_pages, 5000, 500);
		uint64_t misses = pool(pages, cache_pages);
		CHECK(misses >= opt_misses(trace(pages), cache_pages));
		CHECK(misses <= pages.size());
	}
}

TEST_CASE("several threads replay every request once")
{
	Pages pages = random_pages(1, 20000, 300);
	Trace t = trace(pages);
	for (unsigned threads : {1u, 2u, 4u, 16u}) {
		CAPTURE(threads);
		CHECK(pool(pages, 300, threads) == t.distinct);
		CHECK(pool(pages, 30, threads) >= opt_misses(t, 30 + threads)); // a thread may have one more pinned
	}
}

// ---- traces ---------------------------------------------------------------------

TEST_CASE("a trace is numbers of 32 bits, or text")
{
	Directory d;
	const std::string bytes("\x01\x00\x00\x00\xfe\xff\xff\xff\x01\x00\x00\x00\x00\x01\x02\x03", 16);
	const Pages pages = {1, 0xfffffffe, 1, 0x03020100};
	Trace t = read_trace(d.file("a.u32", bytes));
	CHECK(t.pages == pages);
	CHECK(t.ranks == Pages{0, 1, 0, 2});
	CHECK(t.distinct == 3);
	CHECK(t.name == "a");
	CHECK_FALSE(t.own());
	CHECK(read_trace(d.file("b.bin", bytes)).pages == pages);
	CHECK(read_trace(d.file("c.txt", "1\n4294967294 1\r\n\n\t50462976")).pages == pages);
	CHECK(read_trace(d.file("digits.u32", "1234")).pages == Pages{0x34333231});
	write_trace(t, d.path + "/again.u32");
	CHECK(read_trace(d.path + "/again.u32").pages == pages);
	CHECK(trace_files(d.path) == std::vector<std::string>{d.path + "/a.u32", d.path + "/again.u32",
					     d.path + "/c.txt", d.path + "/digits.u32"});
}

TEST_CASE("what is no trace is refused")
{
	Directory d;
	CHECK_THROWS_WITH(trace_files(d.path), test::ContainsSubstring("no trace"));
	CHECK_THROWS_WITH(read_trace(d.path + "/none.u32"), test::ContainsSubstring("none.u32"));
	CHECK_THROWS_WITH(read_trace(d.file("a.u32", "12345")), test::ContainsSubstring("5 bytes"));
	CHECK_THROWS_WITH(read_trace(d.file("a.u32", "")), test::ContainsSubstring("requests"));
	CHECK_THROWS_WITH(read_trace(d.file("a.u32", "\xff\xff\xff\xff")), test::ContainsSubstring("4294967295"));
	CHECK_THROWS_WITH(read_trace(d.file("a.txt", "1\n2 x3\n")), test::ContainsSubstring("a.txt:2: 'x3'"));
	CHECK_THROWS_WITH(read_trace(d.file("a.txt", "4294967296")), test::ContainsSubstring("a.txt:1"));
	CHECK_THROWS_WITH(read_trace(d.file("a.txt", "18446744073709551617")), test::ContainsSubstring("a.txt:1"));
	CHECK_THROWS_WITH(read_trace(d.file("a.txt", "-1")), test::ContainsSubstring("'-1'"));
}

TEST_CASE("pieces of a trace are replayed at once")
{
	Trace t = trace({1, 2, 3, 4, 5, 6, 7});
	CHECK(in_pieces(t, 1).pages == t.pages);
	CHECK(in_pieces(t, 2).pages == Pages{1, 5, 2, 6, 3, 7, 4});
	CHECK(in_pieces(t, 3).pages == Pages{1, 4, 7, 2, 5, 3, 6});
	CHECK(in_pieces(t, 7).pages == t.pages);
	CHECK(in_pieces(t, 100).pages == t.pages);
}

TEST_CASE("our own traces are the same each time, and what they are said to be")
{
	for (const Made &m : made_traces()) {
		CAPTURE(m.name);
		CHECK(m.pages() == m.pages());
		CHECK(made_trace(m.name) == &m);
		CHECK(make(m).own());
	}
	CHECK(made_trace("none") == nullptr);

	CHECK(make(*made_trace("loop")).distinct == 2000);
	CHECK(lru_misses(make(*made_trace("loop")), 1999) == make(*made_trace("loop")).requests());
	CHECK(make(*made_trace("scan")).distinct == 21000);
	CHECK(make(*made_trace("dying")).distinct == 2000);

	// What is wanted once only is the scan's, and no trace says so of its own.
	Trace plain = make(*made_trace("scan")), flagged = make(*made_trace("scan-once"));
	CHECK(plain.pages == flagged.pages);
	CHECK_FALSE(plain.wanted_once(1000));
	CHECK_FALSE(flagged.wanted_once(999));
	CHECK(flagged.wanted_once(1000));
	CHECK(in_pieces(flagged, 2).wanted_once(1000));
	// The pool is told: a scan that passes once costs the others next to nothing.
	CHECK(pool_misses(make(*made_trace("beside-once")), {1000, 64, 1}) + 2000 <
		pool_misses(make(*made_trace("beside")), {1000, 64, 1}));

	Pages sweep = made_trace("sweep")->pages();
	CHECK(*std::max_element(sweep.begin(), sweep.end()) == 3999);
	for (size_t i = 1; i < sweep.size(); i++)
		REQUIRE((sweep[i] == sweep[i - 1] + 1 || sweep[i] + 1 == sweep[i - 1]));

	Pages window = made_trace("window")->pages();
	for (size_t i = 0; i < window.size(); i++)
		REQUIRE((window[i] >= i / 4 && window[i] < i / 4 + 5000));

	// A page is a hit in a cache of 500 if fewer than that are above it: 1 - exp(-1) of those not new.  At
	// first no page has so many above it, so the second half alone counts.
	Pages drift = made_trace("drift")->pages(), first(drift.begin(), drift.begin() + drift.size() / 2);
	uint32_t misses = lru_misses(trace(drift), 500) - lru_misses(trace(first), 500);
	CHECK(2.0 * misses / static_cast<double>(drift.size()) == test::Approx(0.05 + 0.95 * exp(-1)).margin(0.005));

	// The most frequent page of 10,000: 1 / (1 + 1/2^0.99 + ...), a tenth.
	Pages zipf = made_trace("zipf")->pages();
	std::sort(zipf.begin(), zipf.end());
	size_t most = 0;
	for (auto at = zipf.begin(); at != zipf.end();) {
		auto end = std::upper_bound(at, zipf.end(), *at);
		most = std::max(most, static_cast<size_t>(end - at));
		at = end;
	}
	CHECK(static_cast<double>(most) / static_cast<double>(zipf.size()) == test::Approx(0.1).margin(0.005));
}

// ---- anchors --------------------------------------------------------------------

TEST_CASE("anchors are found by trace and size, if they are of that trace")
{
	Directory d;
	const std::string head = "trace\trequests\tdistinct\tcache_pages\tpolicy\tmiss_ratio\n";
	Trace t = trace({1, 2, 1});
	CHECK(Anchors(d.path).of(t, 16).empty());
	CHECK(Anchors("").of(t, 16).empty());

	d.file("anchors.tsv", head + "test\t3\t2\t16\tLRU\t0.6667\ntest\t3\t2\t16\tA-b\t0.5\n"
				     "test\t3\t2\t17\tLRU\t0.1\nother\t4\t2\t16\tLRU\t0.2\n");
	const std::vector<Anchor> found = Anchors(d.path).of(t, 16);
	REQUIRE(found.size() == 2);
	CHECK(found[0].policy == "LRU");
	CHECK(found[0].miss_ratio == 0.6667);
	CHECK(found[1].policy == "A-b");

	for (const char *line : {"test\t4\t2\t16\tLRU\t0.6667\n", "test\t3\t3\t16\tLRU\t0.6667\n"}) {
		d.file("anchors.tsv", head + line);
		CHECK_THROWS_WITH(Anchors(d.path).of(t, 16), test::ContainsSubstring("other requests"));
	}
	for (const char *line :
		{"test\t3\t2\t16\tLRU\n", "test\t3\t2\t16\tLRU\t1.5\n", "test\t3\t2\t16\tLRU\t0.5\tx\n", "\n"}) {
		d.file("anchors.tsv", head + line);
		CHECK_THROWS_WITH(Anchors(d.path), test::ContainsSubstring("not a line"));
	}
	d.file("anchors.tsv", "trace\n");
	CHECK_THROWS_WITH(Anchors(d.path), test::ContainsSubstring("first line"));
}

TEST_CASE("an anchor agrees to its fourth digit")
{
	CHECK(agrees({"LRU", 0.6667}, 2, 3));
	CHECK_FALSE(agrees({"LRU", 0.6666}, 2, 3));
	CHECK(agrees({"LRU", 0.7823}, 78230, 100000));
	CHECK(agrees({"LRU", 0.7823}, 78234, 100000));
	CHECK_FALSE(agrees({"LRU", 0.7823}, 78236, 100000));
	CHECK_FALSE(agrees({"LRU", 0.7823}, 78224, 100000));
}
