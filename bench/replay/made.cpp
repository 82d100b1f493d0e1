/*
 * made.cpp - see made.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "made.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compare/draw.hpp"
#include "compare/page.hpp"

namespace replay {

namespace {

using Pages = std::vector<uint32_t>;

constexpr uint32_t REQUESTS = 200000; /* of a trace, where nothing else is said */
constexpr uint64_t SEED = 1;

class Random {
public:
	uint32_t below(uint32_t range) { return compare::below(state = compare::next_state(state), range); }

	/* At least 0 and less than 1. */
	double part() { return below(UINT32_MAX) / static_cast<double>(UINT32_MAX); }

	/* With this mean, cut down to whole numbers. */
	uint32_t exponential(double mean) { return static_cast<uint32_t>(-mean * std::log(1 - part())); }

private:
	uint64_t state = compare::mixed(SEED);
};

/* Ranks drawn by Zipf's law, and the pages that have them, which lie anywhere. */
class Zipf {
public:
	Zipf(uint32_t pages, double exponent, Random &r) : random(r), shares(pages), page_of_rank(pages)
	{
		double sum = 0;
		for (uint32_t rank = 0; rank < pages; rank++)
			shares[rank] = sum += 1 / std::pow(rank + 1, exponent);
		std::iota(page_of_rank.begin(), page_of_rank.end(), 0);
		for (uint32_t i = pages - 1; i > 0; i--)
			std::swap(page_of_rank[i], page_of_rank[random.below(i + 1)]);
	}

	uint32_t next()
	{
		double x = random.part() * shares.back();
		auto rank = std::upper_bound(shares.begin(), shares.end(), x) - shares.begin();
		return page_of_rank[std::min<size_t>(static_cast<size_t>(rank), shares.size() - 1)];
	}

private:
	Random &random;
	std::vector<double> shares; /* of the draws, on the first 1, 2, ... ranks; not scaled */
	Pages page_of_rank;
};

/* ---- the traces ---- */

constexpr uint32_t ZIPF_PAGES = 10000;

Pages zipf_law(double exponent)
{
	Random random;
	Zipf draws(ZIPF_PAGES, exponent, random);
	Pages pages(REQUESTS);
	for (uint32_t &page : pages)
		page = draws.next();
	return pages;
}

Pages zipf()
{
	return zipf_law(0.99);
}

Pages zipf_flat()
{
	return zipf_law(0.6);
}

Pages loop()
{
	constexpr uint32_t LOOP = 2000;
	Pages pages(REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++)
		pages[i] = i % LOOP;
	return pages;
}

constexpr uint32_t SCAN_HOT = 1000; /* pages that are not the scan's */

Pages scan()
{
	constexpr uint32_t HOT = SCAN_HOT, HOT_REQUESTS = 10000, SCANNED = 5000, FILE = 20000;
	Random random;
	Pages pages;
	for (uint32_t at = 0; pages.size() < REQUESTS; at += SCANNED) {
		for (uint32_t i = 0; i < HOT_REQUESTS; i++)
			pages.push_back(random.below(HOT));
		for (uint32_t i = 0; i < SCANNED; i++)
			pages.push_back(HOT + (at + i) % FILE);
	}
	pages.resize(REQUESTS);
	return pages;
}

bool of_scan(uint32_t page)
{
	return page >= SCAN_HOT;
}

constexpr uint32_t BESIDE_PAGES = ZIPF_PAGES; /* that are not the scan's */

Pages beside()
{
	constexpr double EXPONENT = 0.8;
	constexpr uint32_t SCANNED = 4; /* requests of the scan to one other */
	Random random;
	Zipf draws(BESIDE_PAGES, EXPONENT, random);
	Pages pages(REQUESTS);
	uint32_t at = 0;
	for (uint32_t i = 0; i < REQUESTS; i++)
		pages[i] = i % (SCANNED + 1) == 0 ? draws.next() : BESIDE_PAGES + at++;
	return pages;
}

bool of_scan_beside(uint32_t page)
{
	return page >= BESIDE_PAGES;
}

Pages btree()
{
	constexpr double EXPONENT = 0.8;
	Random random;
	Zipf leaves(compare::LEAVES, EXPONENT, random);
	Pages pages;
	while (pages.size() < REQUESTS) {
		uint32_t leaf = leaves.next();
		pages.insert(pages.end(), {compare::ROOT, compare::inner_page(leaf), compare::leaf_page(leaf)});
	}
	return pages;
}

Pages shift()
{
	constexpr uint32_t FILE = 10000, HOT = 500, STAY = 20000, OF_TEN = 9;
	Random random;
	Pages pages(REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t first = i / STAY * HOT;
		pages[i] = random.below(10) < OF_TEN ? first + random.below(HOT) : random.below(FILE);
	}
	return pages;
}

/* Up to the last page and down to the first, each once a sweep. */
Pages sweep()
{
	constexpr uint32_t LAST = 3999;
	Pages pages(REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t at = i % (2 * LAST);
		pages[i] = at <= LAST ? at : 2 * LAST - at;
	}
	return pages;
}

Pages window()
{
	constexpr uint32_t WINDOW = 5000, STEP = 4;
	Random random;
	Pages pages(REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++)
		pages[i] = i / STEP + random.below(WINDOW);
	return pages;
}

/* The page requested last is at the end of `stack`. */
uint32_t drawn_from(Pages &stack, uint32_t depth)
{
	auto at = stack.end() - 1 - std::min<ptrdiff_t>(depth, static_cast<ptrdiff_t>(stack.size()) - 1);
	std::rotate(at, at + 1, stack.end());
	return stack.back();
}

Pages drift()
{
	constexpr uint32_t NEW_OF = 20;
	constexpr double DEPTH = 500;
	Random random;
	Pages pages(REQUESTS), stack;
	for (uint32_t &page : pages)
		if (stack.empty() || random.below(NEW_OF) == 0)
			stack.push_back(page = static_cast<uint32_t>(stack.size()));
		else
			page = drawn_from(stack, random.exponential(DEPTH));
	return pages;
}

Pages dying()
{
	constexpr uint32_t HOT = 1100, LOOP = 900, PHASE = 40000;
	Random random;
	Pages pages(2 * PHASE);
	for (uint32_t i = 0; i < PHASE; i++) {
		pages[i] = random.below(HOT);
		pages[PHASE + i] = HOT + i % LOOP;
	}
	return pages;
}

} // namespace

const std::vector<Made> &made_traces()
{
	static const std::vector<Made> all = {
		{"zipf", "10,000 pages drawn by Zipf's law, exponent 0.99", zipf, nullptr},
		{"zipf-flat", "10,000 pages drawn by Zipf's law, exponent 0.6", zipf_flat, nullptr},
		{"loop", "2,000 pages in turn, round and round", loop, nullptr},
		{"scan",
	         "10,000 draws from a hot set of 1,000 pages, then 5,000 pages of a file of 20,000 in turn, and again",
	         scan, nullptr},
		{"scan-once", "scan, with the file's pages got with MPOOL_ONCE", scan, of_scan},
		{"beside",
	         "1 of 5 requests to 10,000 pages drawn by Zipf's law, exponent 0.8; the others go once "
	         "through a file of 160,000",
	         beside, nullptr},
		{"beside-once", "beside, with the file's pages got with MPOOL_ONCE", beside, of_scan_beside},
		{"btree",
	         "descents from a root over 100 inner pages to 10,000 leaves, drawn by Zipf's law, exponent 0.8", btree,
	         nullptr},
		{"shift",
	         "9 of 10 draws from 500 hot pages, the others from all 10,000; after 20,000 draws the next 500 are hot",
	         shift, nullptr},
		{"sweep", "4,000 pages up and down", sweep, nullptr},
		{"window", "draws from a window of 5,000 pages, which slides by one page every 4 draws", window,
	         nullptr},
		{"drift",
	         "1 of 20 requests to a new page, the others to one requested lately: its place from the last "
	         "is exponential, mean 500",
	         drift, nullptr},
		{"dying", "40,000 draws from 1,100 pages, then 40,000 requests to 900 others in turn, round and round",
	         dying, nullptr},
	};
	return all;
}

const Made *made_trace(const std::string &name)
{
	for (const Made &m : made_traces())
		if (name == m.name)
			return &m;
	return nullptr;
}

Trace make(const Made &m)
{
	Trace t = trace_of(std::string(OWN) + m.name, "", m.pages());
	t.once = m.once;
	return t;
}

} // namespace replay
