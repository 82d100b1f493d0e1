/*
 * run.hpp - the cases, round by round.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <vector>

#include "cases.hpp"
#include "files.hpp"
#include "options.hpp"
#include "output.hpp"
#include "processors.hpp"
#include "progress.hpp"
#include "register.hpp"

namespace compare {

/* What all cases are run with. */
struct Bench {
	const Options &options;
	const std::vector<Subject> &subjects; /* those asked for, in order */
	const Scratch &scratch;
	const Processors &processors;
	Output &output;
	Progress &progress;
};

/* About how long a case takes, in seconds. */
double expected_seconds(const Case &, const Options &, const std::vector<Subject> &);

/* Throws std::runtime_error that names the subject and the workload. */
void run_case(const Case &, Bench &);

} // namespace compare
