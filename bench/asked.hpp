/*
 * asked.hpp - the options that mpool-device and mpool-trees have in common.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <string>
#include <vector>

#include "lists.hpp"

struct Asked {
	std::vector<std::string> workloads; /* empty: all */
	std::vector<std::string> subjects;  /* empty: all */
	unsigned rounds;
	unsigned milliseconds; /* of a cell */
	std::string directory = ".";
	std::string csv = "results.csv";
	bool list = false;

	Asked(unsigned r, unsigned ms) : rounds(r), milliseconds(ms) {}

	bool wants_workload(const std::string &name) const { return is_wanted(workloads, name); }
	bool wants_subject(const std::string &id) const { return is_wanted(subjects, id); }
};

enum { ASKED_STATUS_USAGE = 2 };
enum { ASKED_ROUNDS = 256, ASKED_TIME, ASKED_DIRECTORY, ASKED_CSV, ASKED_LIST, ASKED_OTHERS };

/* One of them, of a program that these functions tell the workloads and subjects of; else ARGP_ERR_UNKNOWN. */
template <class Works, class Subjects>
error_t parse_asked(Asked &o, int key, char *arg, argp_state *state, const Works &works, const Subjects &subjects)
{
	constexpr unsigned MAX_ROUNDS = 1000;
	constexpr unsigned MAX_MILLISECONDS = 60'000;

	switch (key) {
	case 'w':
		o.workloads = known_words_of(state, arg, "--workload", works(), [](const auto &w) { return w.name; });
		return 0;
	case 's':
		o.subjects = known_words_of(
			state, arg, "--subject", subjects(), [](const auto &s) { return s.id; }, " in this build");
		return 0;
	case ASKED_ROUNDS:
		o.rounds = static_cast<unsigned>(number(state, arg, "--rounds", 1, MAX_ROUNDS));
		return 0;
	case ASKED_TIME:
		o.milliseconds = static_cast<unsigned>(number(state, arg, "--time", 1, MAX_MILLISECONDS));
		return 0;
	case ASKED_DIRECTORY:
		o.directory = arg;
		return 0;
	case ASKED_CSV:
		o.csv = arg;
		return 0;
	case ASKED_LIST:
		o.list = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}
