/*
 * options.hpp - what the command line asks for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <vector>

#include "asked.hpp"

namespace device {

/* A cell that writes takes a multiple of the time. */
struct Options : Asked {
	std::vector<unsigned> depths = {1, 4, 16, 32, 64};
	uint32_t pages = 131072;

	Options() : Asked(5, 500) {}
};

/* Ends the program when it cannot be understood. */
Options parse_options(int argc, char **argv);

} // namespace device
