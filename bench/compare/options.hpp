/*
 * options.hpp - what the command line asks for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <string>
#include <vector>

namespace compare {

struct Options {
	bool full = false;
	bool list = false;
	bool no_huge = false; /* no transparent huge pages */
	unsigned rounds = 3;
	unsigned milliseconds = 60; /* a cell's length */
	std::vector<unsigned> threads = {1, 2, 64};
	std::vector<std::string> workloads; /* all when empty */
	std::vector<std::string> subjects;  /* likewise */
	std::string directory = ".";
	std::string csv = "mpool-bench.csv";
	std::string about; /* the JSON file beside it */

	bool wants_workload(const std::string &name) const;
	bool wants_subject(const std::string &id) const;
};

/* Ends the program with a message when the command line is wrong. */
Options parse_options(int argc, char **argv);

} // namespace compare
