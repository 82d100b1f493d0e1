/*
 * output.hpp - what came out: a line on standard output, and rows of a file.
 *
 * The file has a row a trace, size, number of threads and policy, with tabs between
 * its fields, and is what report.py reads.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "anchors.hpp"
#include "options.hpp"
#include "trace.hpp"

namespace replay {

/* One trace, size and number of threads. */
struct Cell {
	const Trace &trace;
	uint32_t cache_pages;
	unsigned threads;
	uint64_t misses; /* libmpool's */
	uint32_t lru, opt;
	std::vector<Anchor> anchors;
};

class Output {
public:
	/* Makes the file that is asked for. */
	explicit Output(const Options &);

	void cell(const Cell &);

private:
	void print(const Cell &);
	void rows(const Cell &);
	void row(const Cell &, const std::string &policy, double miss_ratio);

	const Options &options;
	bool headed = false;
	std::ofstream tsv;
};

} // namespace replay
