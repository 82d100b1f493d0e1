/*
 * options.hpp - what the command line asks for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <vector>

#include "asked.hpp"

namespace trees {

/* The time is of a cell that does not insert a given number of keys. */
struct Options : Asked {
	std::vector<unsigned> threads = {1, 2};
	uint64_t keys = 2'000'000;

	Options() : Asked(3, 300) {}

	unsigned most_threads() const { return threads.back(); }
};

/* Ends the program when it cannot be understood. */
Options parse_options(int argc, char **argv);

} // namespace trees
