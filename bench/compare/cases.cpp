/*
 * cases.cpp - see cases.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "cases.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "draw.hpp"
#include "options.hpp"

namespace compare {

/* ---- the parts that cases share ---- */

static Case all_cached(const char *workload, const char *what, uint32_t pages)
{
	Case c;
	c.workload = workload;
	c.what = what;
	c.file_pages = c.cache_pages = pages;
	return c;
}

static Case partly_cached(const char *workload, const char *what, uint32_t pages, uint32_t cached)
{
	Case c = all_cached(workload, what, pages);
	c.cache_pages = cached;
	return c;
}

/* ---- one function a workload ---- */

using Cases = std::vector<Case>;

/* First: later, memory that other workloads gave back would be there to be taken again unseen. */
static void memory(Cases &cases, const Options &)
{
	for (uint32_t bytes : {4096u, 1024u}) {
		Case c = all_cached("memory", "resident memory beside the pages' own bytes, of 100,000 pages", 100000);
		c.parameter = std::to_string(bytes);
		c.shape = Shape::memory;
		c.page_bytes = bytes;
		c.threads = {1};
		cases.push_back(c);
	}
}

static void cached(Cases &cases, const Options &)
{
	cases.push_back(all_cached("hot", "all threads get one page", 1));
	cases.push_back(all_cached("uniform-1000", "1,000 pages in memory, drawn uniformly", 1000));
	cases.push_back(all_cached("uniform-10000", "10,000 pages in memory, drawn uniformly", 10000));
	cases.push_back(all_cached("uniform-100000", "100,000 pages in memory, drawn uniformly", 100000));
}

static void zipf(Cases &cases, const Options &)
{
	Case c = all_cached("zipf", "100,000 pages in memory, drawn by Zipf's law, exponent 0.99", 100000);
	c.loop = Loop::sequence;
	cases.push_back(c);
}

static void btree(Cases &cases, const Options &)
{
	Case c = all_cached("btree", "descents from a root over 100 inner pages to 10,000 leaves, all in memory",
	                    TREE_PAGES);
	c.loop = Loop::descend;
	c.range = LEAVES;
	cases.push_back(c);
}

static void half(Cases &cases, const Options &)
{
	cases.push_back(partly_cached("half",
	                              "20,000 pages drawn uniformly, 10,000 in memory, the file in the kernel's cache",
	                              20000, 10000));
}

static void half_direct(Cases &cases, const Options &)
{
	Case c = partly_cached("half-direct",
	                       "4,000 pages drawn uniformly, 2,000 in memory, the file read with O_DIRECT", 4000, 2000);
	c.direct = true;
	cases.push_back(c);
}

static void modify(Cases &cases, const Options &)
{
	Case c = partly_cached("modify", "as half, but every second get modifies the page", 20000, 10000);
	c.loop = Loop::modify;
	c.modifies = c.syncs = true;
	cases.push_back(c);
}

static void scan(Cases &cases, const Options &)
{
	constexpr uint32_t pages = 100000, hot = 5000;
	Case c = partly_cached("scan", "gets of 5,000 pages while one thread goes through 100,000; 10,000 in memory",
	                       pages, 10000);
	c.shape = Shape::scan;
	c.range = hot;
	c.stride = pages / hot;
	cases.push_back(c);
	c.workload = "scan-once";
	c.what = "as scan, and the pool is told that the scan's pages are wanted once only";
	c.scan = Loop::scan_once;
	c.only = {"mpool"};
	c.why_only = "it cannot be told";
	cases.push_back(c);
}

static void append(Cases &cases, const Options &)
{
	Case c = partly_cached("append", "new pages; 1,000 in memory", 0, 1000);
	c.shape = Shape::append;
	c.loop = Loop::append;
	c.appends = c.syncs = true;
	cases.push_back(c);
}

static void sync(Cases &cases, const Options &)
{
	Case c = all_cached("sync", "sync of 2,500 modified pages, scattered among 10,000 in memory", 10000);
	c.shape = Shape::sync;
	c.modifies = c.syncs = true;
	c.threads = {1};
	cases.push_back(c);
}

static void latency(Cases &cases, const Options &)
{
	Case c = partly_cached("latency",
	                       "gets of pages in memory while another thread evicts; 1,000 of 20,000 in memory", 20000,
	                       1000);
	c.shape = Shape::latency;
	c.threads = {2};
	cases.push_back(c);
}

constexpr const char *GROWTH_OF_FEW = "growth is looked at for a few subjects only";

static void growth_pages(Cases &cases, const Options &options)
{
	for (uint32_t pages : {1000u, 10000u, 100000u, 1000000u, 4000000u}) {
		if (pages > 1000000 && !options.full)
			continue;
		Case c = all_cached("growth-pages", "pages of 1024 bytes in memory, drawn uniformly: how many", pages);
		c.parameter = std::to_string(pages);
		c.page_bytes = 1024;
		c.threads = {2};
		c.only = {"mpool", "array", "hcc", "bdb"};
		c.why_only = GROWTH_OF_FEW;
		cases.push_back(c);
	}
}

static void growth_threads(Cases &cases, const Options &)
{
	for (unsigned idle : {1u, 10u, 100u, 1000u}) {
		Case c = partly_cached("growth-threads", "as half, with further threads that used the pool and sleep",
		                       20000, 10000);
		c.parameter = std::to_string(idle);
		c.threads = {2};
		c.idle = idle;
		c.only = {"mpool", "hcc", "bdb", "mutex"};
		c.why_only = GROWTH_OF_FEW;
		cases.push_back(c);
	}
}

static void latches(Cases &cases, const Options &)
{
	Case c = all_cached("latch-own", "threads lock and unlock a page each, over and over", 2);
	c.shape = Shape::latches;
	c.own_page = true;
	c.threads = {1, 2};
	c.only = {"mpool-latch",   "mpool-latch-shared", "exchange",
	          "pthread-mutex", "pthread-rwlock",     "pthread-rwlock-shared"};
	c.why_only = "no lock of a page";
	cases.push_back(c);
	c.workload = "latch-same";
	c.what = "two threads lock and unlock the same page";
	c.file_pages = c.cache_pages = 1;
	c.own_page = false;
	c.threads = {2};
	cases.push_back(c);
}

static void processes(Cases &cases, const Options &)
{
	for (uint32_t pages : {1u, 1000u, 10000u, 100000u}) {
		Case c = all_cached("processes",
		                    "two threads, and two processes that share the pool, get pages in memory, drawn "
		                    "uniformly",
		                    pages);
		c.parameter = std::to_string(pages);
		c.shape = Shape::processes;
		c.threads = {2};
		c.only = {"mpool", "mpool-shared", "bdb", "bdb-shared"};
		c.why_only = "processes do not share it";
		cases.push_back(c);
	}
}

static void deaths(Cases &cases, const Options &)
{
	for (uint32_t pages : {1000u, 100000u}) {
		Case c = all_cached("deaths", "processes that share a pool are killed: what the others notice", pages);
		c.parameter = std::to_string(pages);
		c.shape = Shape::deaths;
		c.threads = {2};
		c.only = {"mpool-shared"};
		c.why_only = "no process survives another's death, or none shares it";
		cases.push_back(c);
	}
}

/* ---- all of them ---- */

/* What the options ask for, where a workload does not say itself. */
static void choose_threads(Case &c, const Options &options)
{
	if (c.threads.empty())
		c.threads = options.threads;
	if (c.shape != Shape::scan)
		return;
	auto too_few = [](unsigned n) { return n < 2; };
	c.threads.erase(std::remove_if(c.threads.begin(), c.threads.end(), too_few), c.threads.end());
}

std::vector<Case> all_cases(const Options &options)
{
	Cases cases;
	for (auto add : {memory, cached, zipf, btree, latches, half, half_direct, modify, scan, append, sync, latency,
	                 growth_pages, growth_threads, processes, deaths})
		add(cases, options);
	for (Case &c : cases)
		choose_threads(c, options);
	return cases;
}

std::vector<std::string> workload_names()
{
	std::vector<std::string> names;
	for (const Case &c : all_cases(Options()))
		if (names.empty() || names.back() != c.workload)
			names.push_back(c.workload);
	return names;
}

/* ---- Zipf's law ---- */

/* Which share of the draws falls on the first 1, 2, ... ranks. */
static std::vector<double> zipf_shares(uint32_t pages)
{
	std::vector<double> shares(pages);
	double sum = 0;
	for (uint32_t rank = 0; rank < pages; rank++)
		shares[rank] = sum += 1 / std::pow(rank + 1, ZIPF_EXPONENT);
	for (double &share : shares)
		share /= sum;
	return shares;
}

/* Which page has which rank. */
static std::vector<uint32_t> scrambled(uint32_t pages, uint64_t &state)
{
	std::vector<uint32_t> order(pages);
	std::iota(order.begin(), order.end(), 0);
	for (uint32_t i = pages - 1; i > 0; i--)
		std::swap(order[i], order[below(state = next_state(state), i + 1)]);
	return order;
}

std::vector<uint32_t> zipf_draws(uint32_t pages)
{
	uint64_t state = mixed(pages);
	std::vector<double> shares = zipf_shares(pages);
	std::vector<uint32_t> page_of_rank = scrambled(pages, state);
	std::vector<uint32_t> draws(ZIPF_DRAWS);
	for (uint32_t &page : draws) {
		state = next_state(state);
		double x = static_cast<double>(state >> 32) / 4294967296.0;
		auto rank = static_cast<size_t>(std::upper_bound(shares.begin(), shares.end(), x) - shares.begin());
		page = page_of_rank[std::min<size_t>(rank, pages - 1)];
	}
	return draws;
}

} // namespace compare
