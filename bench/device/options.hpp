/*
 * options.hpp - what the command line asks for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace device {

struct Options {
	std::vector<std::string> workloads; /* empty: all */
	std::vector<std::string> subjects;  /* empty: all */
	std::vector<unsigned> depths = {1, 4, 16, 32, 64};
	unsigned rounds = 5;
	unsigned milliseconds = 500; /* of a cell that reads; the others take a multiple */
	uint32_t pages = 131072;
	std::string directory = ".";
	std::string csv = "results.csv";
	bool list = false;

	bool wants_workload(const std::string &) const;
	bool wants_subject(const std::string &) const;
};

/* Ends the program when it cannot be understood. */
Options parse_options(int argc, char **argv);

} // namespace device
