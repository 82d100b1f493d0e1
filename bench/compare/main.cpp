/*
 * mpool-bench - libmpool beside other page caches, at the same work.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * What keeps the comparison fair:
 *
 *  - All subjects do the same work on pages of the same bytes, drawn by the same
 *    generator, in a round and for a number of threads from the same seeds; the
 *    measured loops are templates, so that no subject pays for a call that its own
 *    user would not make.
 *  - Every subject is set up as well as its own users would; each adaptor's file
 *    says how and why.
 *  - The rounds are interleaved (run.cpp).
 *  - What every thread read is added up and compared with what the draws alone
 *    say; files that were changed are read at the end; where all pages are in
 *    memory, a pool that reads one ends the program.
 *
 * options.cpp has the options, cases.cpp the workloads, measure.cpp how a cell
 * is measured, loops.hpp the loops.
 */
#include <cstdio>
#include <exception>

#include <sys/prctl.h>

#include "cases.hpp"
#include "failure.hpp"
#include "run.hpp"

namespace compare {

static std::vector<Subject> wanted_subjects(const Options &options)
{
	std::vector<Subject> wanted;
	for (const Subject &s : subjects_in_order())
		if (options.wants_subject(s.id))
			wanted.push_back(s);
	return wanted;
}

static std::vector<Case> wanted_cases(const Options &options)
{
	std::vector<Case> wanted;
	for (const Case &c : all_cases(options))
		if (options.wants_workload(c.workload))
			wanted.push_back(c);
	return wanted;
}

static void list(const std::vector<Case> &cases, const std::vector<Subject> &subjects)
{
	printf("workloads:\n");
	for (const Case &c : cases)
		printf("  %-22s %s\n", c.name().c_str(), c.what);
	printf("subjects:\n");
	for (const Subject &s : subjects) {
		Description d = s.describe();
		printf("  %-22s %s %s\n", s.id.c_str(), d.name.c_str(), d.version.c_str());
	}
}

static void run(const Options &options, const std::vector<Case> &cases, const std::vector<Subject> &subjects)
{
	double expected = 0;
	for (const Case &c : cases)
		expected += expected_seconds(c, options, subjects);

	Output output(options);
	Scratch scratch(options.directory);
	Processors processors;
	Progress progress(expected);
	Bench bench = {options, subjects, scratch, processors, output, progress};
	for (const Case &c : cases)
		run_case(c, bench);
	output.finish(cases, subjects, progress.seconds());
	progress.end();
}

static void compare_all(int argc, char **argv)
{
	Options options = parse_options(argc, argv);
	if (options.no_huge && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		throw_errno("doing without huge pages");
	std::vector<Case> cases = wanted_cases(options);
	std::vector<Subject> subjects = wanted_subjects(options);
	if (options.list)
		list(cases, subjects);
	else
		run(options, cases, subjects);
}

} // namespace compare

int main(int argc, char **argv)
{
	try {
		compare::compare_all(argc, argv);
	} catch (const std::exception &e) {
		fprintf(stderr, "\nmpool-bench: %s\n", e.what());
		return 1;
	}
	return 0;
}
