/*
 * cases.hpp - the workloads, each a case or several that differ in a parameter.
 *
 * A case says which pages there are, how many a pool may hold, and what threads
 * do with them; nothing in it depends on who takes part.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "part.hpp"

namespace compare {

struct Options;

/* How a cell is measured. */
enum class Shape {
	plain,     /* every thread does the same */
	scan,      /* thread 0 goes through the file, the others use few pages of it */
	latency,   /* thread 0 is timed, the other evicts */
	append,    /* plain, on a file that is empty at first */
	sync,      /* one thread; the sync is what is timed */
	memory,    /* nothing is timed */
	latches,   /* plain; a get locks the page */
	processes, /* plain; where processes share the pool, they do it as well as threads */
	deaths,    /* processes that share a pool die */
};

struct Case {
	const char *workload;
	const char *what;      /* for a reader of the results */
	std::string parameter; /* empty when the workload has only one case */
	Shape shape = Shape::plain;
	Loop loop = Loop::read;
	Loop scan = Loop::scan; /* of Shape::scan: thread 0's */

	uint32_t page_bytes = 4096;
	uint32_t file_pages = 0;
	uint32_t cache_pages = 0;
	/* The pages that are drawn: 0, stride, 2 * stride, ...: `range` of them, or all when that is 0. */
	uint32_t stride = 1;
	uint32_t range = 0;
	bool own_page = false; /* not drawn: the first thread has the first page, and so on */

	bool modifies = false;
	bool appends = false;
	bool syncs = false;
	bool direct = false;

	std::vector<unsigned> threads; /* the cells */
	unsigned idle = 0;             /* further threads, which know the pool and sleep */
	std::vector<std::string> only; /* the subjects; all that are not shared when empty */
	const char *why_only = "";     /* the others are not among them */

	bool evicts() const { return file_pages > cache_pages || appends; }
	bool own_file() const { return modifies || appends; }
	uint32_t pages_drawn() const { return range != 0 ? range : file_pages; }
	/* As in messages. */
	std::string name() const { return parameter.empty() ? workload : workload + (" " + parameter); }
};

/* Zipf: how often the most wanted pages are drawn. */
constexpr double ZIPF_EXPONENT = 0.99;
constexpr uint32_t ZIPF_DRAWS = 1u << 20;

/* Latency: the pages that are always in memory. */
constexpr uint32_t HELD_PAGES = 16;

/* Sync: the pages modified before each. */
constexpr uint32_t SYNC_PAGES = 2500;

/* All cases in the order in which they run, with the threads that the options ask for. */
std::vector<Case> all_cases(const Options &);

/* The names of all workloads, in that order. */
std::vector<std::string> workload_names();

/* Page numbers by Zipf's law, which page is wanted how much being arbitrary. */
std::vector<uint32_t> zipf_draws(uint32_t pages);

} // namespace compare
