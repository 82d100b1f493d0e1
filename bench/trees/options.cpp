/*
 * options.cpp - see options.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.hpp"

#include "measure.hpp"

namespace trees {

constexpr unsigned MAX_THREADS = 64;
constexpr uint64_t LEAST_KEYS = 1000;
constexpr uint64_t MOST_KEYS = UINT64_C(1) << 32;

static error_t parse(int key, char *arg, argp_state *state)
{
	auto &o = *static_cast<Options *>(state->input);

	switch (key) {
	case 't':
		o.threads = numbers_of(state, arg, "--threads", MAX_THREADS);
		return 0;
	case 'k':
		o.keys = number(state, arg, "--keys", LEAST_KEYS, MOST_KEYS);
		return 0;
	default:
		return parse_asked(o, key, arg, state, works, kinds);
	}
}

static const argp_option argp_options[] = {
	{"workload", 'w', "NAME,...", 0, "Run these workloads only", 0},
	{"subject", 's', "ID,...", 0, "Measure these subjects only", 0},
	{"threads", 't', "N,...", 0, "Numbers of threads (1,2)", 0},
	{"keys", 'k', "N", 0, "Keys that are inserted, of 8 bytes, with values of 120 (2000000)", 0},
	{"rounds", ASKED_ROUNDS, "N", 0, "Measure everything so often (3)", 0},
	{"time", ASKED_TIME, "MS", 0, "Milliseconds of a cell that has no given number of keys to insert (300)", 0},
	{"directory", ASKED_DIRECTORY, "DIR", 0, "Make the stores here (.)", 0},
	{"csv", ASKED_CSV, "FILE", 0,
         "Write the figures to FILE, and what was measured to a .json beside it (results.csv)", 0},
	{"list", ASKED_LIST, nullptr, 0, "List workloads and subjects, and end", 0},
	{nullptr, 0, nullptr, 0, nullptr, 0},
};

static const argp parser = {
	argp_options,
	parse,
	nullptr,
	"Compare trees of keys and values: the same operations by the tree of examples/tree and by others.",
	nullptr,
	nullptr,
	nullptr,
};

Options parse_options(int argc, char **argv)
{
	Options o;
	argp_program_version = "mpool-trees " MPOOL_VERSION;
	argp_err_exit_status = ASKED_STATUS_USAGE;
	argp_parse(&parser, argc, argv, 0, nullptr, &o);
	return o;
}

} // namespace trees
