/*
 * options.hpp - what the command line asks for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trace.hpp"

namespace replay {

/* Pages to keep in memory: so many, or such a part of the trace's pages. */
struct CacheSize {
	uint32_t number;
	bool percent;

	uint32_t pages_of(const Trace &) const;
};

struct Options {
	std::vector<std::string> traces; /* files and names of our own, directories taken apart */
	std::vector<CacheSize> sizes = {{1, true}, {5, true}, {10, true}, {20, true}, {50, true}};
	std::vector<unsigned> threads = {1};
	bool pieces = false; /* the threads' requests are far apart in time, not next to each other */
	uint32_t page_bytes = 64;
	std::string tsv;  /* empty: none is written */
	std::string save; /* a directory; empty: the traces are not written */
	bool list = false;
};

/* Ends the program when it cannot be understood. */
Options parse_options(int argc, char **argv);

} // namespace replay
