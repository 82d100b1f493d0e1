/*
 * output.hpp - the two files that report.py reads.
 *
 * The CSV file has a line a round, cell and figure, and grows while the program
 * runs; the JSON file beside it says what was measured where, and is written last.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "cases.hpp"
#include "machine.hpp"
#include "measure.hpp"
#include "options.hpp"
#include "register.hpp"

namespace compare {

class Output {
public:
	/* Makes the CSV file. */
	explicit Output(const Options &);

	void figures(const Case &, const Subject &, unsigned threads, unsigned round, const Figures &);
	/* The same said again, of another case of the workload, is kept once. */
	void absent(const std::string &workload, const Subject &, const std::string &why);
	/* Writes the JSON file.  `took`: seconds. */
	void finish(const std::vector<Case> &, const std::vector<Subject> &, double took);

private:
	struct Absent {
		std::string workload, subject, why;
	};

	std::string about(const std::vector<Case> &, const std::vector<Subject> &, double took) const;

	const Options &options;
	Others others;
	std::ofstream csv;
	std::vector<Absent> absentees;
};

} // namespace compare
