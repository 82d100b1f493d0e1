/*
 * options.cpp - see options.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.hpp"

#include <algorithm>
#include <cstdlib>

#include "lists.hpp"
#include "works.hpp"

namespace device {

constexpr unsigned MAX_DEPTH = 1024;
constexpr unsigned MAX_ROUNDS = 1000;
constexpr unsigned MAX_MILLISECONDS = 60'000;
constexpr uint32_t LEAST_PAGES = 2048;
constexpr uint32_t MOST_PAGES = 1 << 28;

static bool wants(const std::vector<std::string> &wanted, const std::string &name)
{
	return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
}

bool Options::wants_workload(const std::string &name) const
{
	return wants(workloads, name);
}

bool Options::wants_subject(const std::string &id) const
{
	return wants(subjects, id);
}

static void look_for_workloads(const Options &o, argp_state *state)
{
	for (const std::string &name : o.workloads)
		if (std::none_of(works().begin(), works().end(), [&](const Work &w) { return name == w.name; }))
			argp_error(state, "there is no workload '%s'; see --list", name.c_str());
}

static void look_for_subjects(const Options &o, argp_state *state)
{
	for (const std::string &id : o.subjects)
		if (!is_subject(id))
			argp_error(state, "there is no subject '%s' in this build; see --list", id.c_str());
}

enum { STATUS_USAGE = 2 };
enum { KEY_ROUNDS = 256, KEY_TIME, KEY_PAGES, KEY_DIRECTORY, KEY_CSV, KEY_LIST };

static error_t parse(int key, char *arg, argp_state *state)
{
	auto &o = *static_cast<Options *>(state->input);

	switch (key) {
	case 'w':
		o.workloads = words_of(state, arg, "--workload");
		look_for_workloads(o, state);
		return 0;
	case 's':
		o.subjects = words_of(state, arg, "--subject");
		look_for_subjects(o, state);
		return 0;
	case 'd':
		o.depths = numbers_of(state, arg, "--depth", MAX_DEPTH);
		return 0;
	case KEY_ROUNDS:
		o.rounds = static_cast<unsigned>(number(state, arg, "--rounds", 1, MAX_ROUNDS));
		return 0;
	case KEY_TIME:
		o.milliseconds = static_cast<unsigned>(number(state, arg, "--time", 1, MAX_MILLISECONDS));
		return 0;
	case KEY_PAGES:
		o.pages = static_cast<uint32_t>(number(state, arg, "--pages", LEAST_PAGES, MOST_PAGES));
		return 0;
	case KEY_DIRECTORY:
		o.directory = arg;
		return 0;
	case KEY_CSV:
		o.csv = arg;
		return 0;
	case KEY_LIST:
		o.list = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const argp_option argp_options[] = {
	{"workload", 'w', "NAME,...", 0, "Run these workloads only", 0},
	{"subject", 's', "ID,...", 0, "Measure these subjects only", 0},
	{"depth", 'd', "N,...", 0, "Reads in flight, where a workload has several (1,4,16,32,64)", 0},
	{"rounds", KEY_ROUNDS, "N", 0, "Measure everything so often (5)", 0},
	{"time", KEY_TIME, "MS", 0,
         "Milliseconds of a round that reads (500); those that write take four times as long", 0},
	{"pages", KEY_PAGES, "N", 0, "Pages of 4096 bytes in the file (128k)", 0},
	{"directory", KEY_DIRECTORY, "DIR", 0, "Make the files here, on the device that is to be measured (.)", 0},
	{"csv", KEY_CSV, "FILE", 0,
         "Write the figures to FILE, and what was measured to a .json beside it (results.csv)", 0},
	{"list", KEY_LIST, nullptr, 0, "List workloads and subjects, and end", 0},
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
	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&parser, argc, argv, 0, nullptr, &o);
	return o;
}

} // namespace device
