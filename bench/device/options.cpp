/*
 * options.cpp - see options.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.hpp"

#include "works.hpp"

namespace device {

constexpr unsigned MAX_DEPTH = 1024;
constexpr uint32_t LEAST_PAGES = 2048;
constexpr uint32_t MOST_PAGES = 1 << 28;

enum { KEY_PAGES = ASKED_OTHERS };

static error_t parse(int key, char *arg, argp_state *state)
{
	auto &o = *static_cast<Options *>(state->input);

	switch (key) {
	case 'd':
		o.depths = numbers_of(state, arg, "--depth", MAX_DEPTH);
		return 0;
	case KEY_PAGES:
		o.pages = static_cast<uint32_t>(number(state, arg, "--pages", LEAST_PAGES, MOST_PAGES));
		return 0;
	default:
		return parse_asked(o, key, arg, state, works, subjects_here);
	}
}

static const argp_option argp_options[] = {
	{"workload", 'w', "NAME,...", 0, "Run these workloads only", 0},
	{"subject", 's', "ID,...", 0, "Measure these subjects only", 0},
	{"depth", 'd', "N,...", 0, "Reads in flight, where a workload has several (1,4,16,32,64)", 0},
	{"rounds", ASKED_ROUNDS, "N", 0, "Measure everything so often (5)", 0},
	{"time", ASKED_TIME, "MS", 0,
         "Milliseconds of a round that reads (500); those that write take four times as long", 0},
	{"pages", KEY_PAGES, "N", 0, "Pages of 4096 bytes in the file (128k)", 0},
	{"directory", ASKED_DIRECTORY, "DIR", 0, "Make the files here, on the device that is to be measured (.)", 0},
	{"csv", ASKED_CSV, "FILE", 0,
         "Write the figures to FILE, and what was measured to a .json beside it (results.csv)", 0},
	{"list", ASKED_LIST, nullptr, 0, "List workloads and subjects, and end", 0},
	{nullptr, 0, nullptr, 0, nullptr, 0},
};

static const argp parser = {
	argp_options, parse,
	nullptr,      "Measure how libmpool and others bring pages from a device, and write while they do.",
	nullptr,      nullptr,
	nullptr,
};

Options parse_options(int argc, char **argv)
{
	Options o;
	argp_program_version = "mpool-device " MPOOL_VERSION;
	argp_err_exit_status = ASKED_STATUS_USAGE;
	argp_parse(&parser, argc, argv, 0, nullptr, &o);
	return o;
}

} // namespace device
