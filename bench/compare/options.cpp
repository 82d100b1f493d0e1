/*
 * options.cpp - see options.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.hpp"

#include <algorithm>
#include <cstdlib>

#include <sys/stat.h>

#include "../lists.hpp"
#include "cases.hpp"
#include "page.hpp"
#include "register.hpp"

namespace compare {

static bool is_among(const std::string &name, const std::vector<std::string> &list)
{
	return std::find(list.begin(), list.end(), name) != list.end();
}

bool Options::wants_workload(const std::string &name) const
{
	return is_wanted(workloads, name);
}

bool Options::wants_subject(const std::string &id) const
{
	return is_wanted(subjects, id);
}

namespace {

/* What is given replaces what --quick or --full would mean, whatever stands first. */
struct Parsed {
	Options options;
	unsigned rounds = 0, milliseconds = 0;
	std::vector<unsigned> threads;
};

} // namespace

/* The subjects of other projects, where this program was built with them. */
struct Peer {
	const char *id, *package;
};
constexpr Peer peers[] = {
	{"bdb", "libdb5.3-dev"},   {"bdb-shared", "libdb5.3-dev"}, {"hcc", "librocksdb-dev"},
	{"lru", "librocksdb-dev"}, {"sqlite", "libsqlite3-dev"},
};

constexpr unsigned MAX_THREADS = MODIFIED_WORDS; /* each has its own */
constexpr unsigned MAX_ROUNDS = 100000;
constexpr unsigned MAX_MILLISECONDS = 60000;

static std::string joined(const std::vector<std::string> &words)
{
	std::string all;
	for (const std::string &word : words)
		all += (all.empty() ? "" : ", ") + word;
	return all;
}

/* Of a subject that this program was built without: what would have to be installed. */
static std::string absence_of(const std::string &name)
{
	for (const Peer &p : peers)
		if (name == p.id)
			return std::string(" in this build, which wants Debian's package ") + p.package;
	return "";
}

static std::vector<std::string> parse_names(const char *kind, const char *arg, const std::vector<std::string> &known,
                                            argp_state *state)
{
	std::vector<std::string> names = words_of(state, arg, kind);
	for (const std::string &name : names)
		if (!is_among(name, known))
			argp_error(state, "%s: there is no '%s'%s; there are: %s", kind, name.c_str(),
			           absence_of(name).c_str(), joined(known).c_str());
	return names;
}

static std::vector<std::string> subject_ids()
{
	std::vector<std::string> ids;
	for (const Subject &s : subjects_in_order())
		ids.push_back(s.id);
	return ids;
}

static const char *parse_directory(const char *arg, argp_state *state)
{
	struct stat st;

	if (stat(arg, &st) != 0 || !S_ISDIR(st.st_mode))
		argp_error(state, "--directory: '%s' is not a directory", arg);
	return arg;
}

enum { STATUS_USAGE = 2 };
enum { KEY_LIST = 256, KEY_NO_HUGE };

static error_t parse(int key, char *arg, argp_state *state)
{
	auto &p = *static_cast<Parsed *>(state->input);
	Options &o = p.options;

	switch (key) {
	case 'q':
		o.full = false;
		return 0;
	case 'f':
		o.full = true;
		return 0;
	case 'w':
		o.workloads = parse_names("--workload", arg, workload_names(), state);
		return 0;
	case 's':
		o.subjects = parse_names("--subject", arg, subject_ids(), state);
		return 0;
	case 't':
		p.threads = numbers_of(state, arg, "--threads", MAX_THREADS);
		return 0;
	case 'r':
		p.rounds = static_cast<unsigned>(number(state, arg, "--rounds", 1, MAX_ROUNDS));
		return 0;
	case 'm':
		p.milliseconds = static_cast<unsigned>(number(state, arg, "--time", 1, MAX_MILLISECONDS));
		return 0;
	case 'd':
		o.directory = parse_directory(arg, state);
		return 0;
	case 'c':
		o.csv = arg;
		return 0;
	case KEY_NO_HUGE:
		o.no_huge = true;
		return 0;
	case KEY_LIST:
		o.list = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is not an option", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const argp_option argp_options[] = {
	{"quick", 'q', nullptr, 0, "3 rounds of 60 ms a cell; 1, 2 and 64 threads (the default)", 0},
	{"full", 'f', nullptr, 0, "9 rounds of 200 ms a cell; 1, 2, 4, 16 and 64 threads; more pages", 0},
	{"workload", 'w', "NAME[,NAME]", 0, "Only these workloads", 0},
	{"subject", 's', "NAME[,NAME]", 0, "Only these subjects", 0},
	{"threads", 't', "N[,N]", 0, "These numbers of threads, where a workload does not fix them", 0},
	{"rounds", 'r', "N", 0, "Run every cell N times", 0},
	{"time", 'm', "MS", 0, "Milliseconds a cell", 0},
	{"directory", 'd', "DIR", 0, "Make the temporary files here (the current directory)", 0},
	{"no-huge", KEY_NO_HUGE, nullptr, 0, "Use no transparent huge pages, for any subject", 0},
	{"csv", 'c', "FILE", 0,
         "Write every round's numbers to FILE (mpool-bench.csv), and what was measured where beside it, in .json", 0},
	{"list", KEY_LIST, nullptr, 0, "List the workloads and the subjects, and end", 0},
	{nullptr, 0, nullptr, 0, nullptr, 0},
};

static const argp parser = {
	argp_options, parse,
	nullptr,      "Compare page caches: the same work on the same pages through libmpool and through others.",
	nullptr,      nullptr,
	nullptr,
};

static std::string with_json(const std::string &csv)
{
	size_t slash = csv.find_last_of('/'), dot = csv.find_last_of('.');
	bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
	return (has_extension ? csv.substr(0, dot) : csv) + ".json";
}

Options parse_options(int argc, char **argv)
{
	Parsed p;
	argp_program_version = "mpool-bench " MPOOL_VERSION;
	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&parser, argc, argv, 0, nullptr, &p);
	Options &o = p.options;
	if (o.full) {
		o.rounds = 9;
		o.milliseconds = 200;
		o.threads = {1, 2, 4, 16, 64};
	}
	o.rounds = p.rounds != 0 ? p.rounds : o.rounds;
	o.milliseconds = p.milliseconds != 0 ? p.milliseconds : o.milliseconds;
	o.threads = !p.threads.empty() ? p.threads : o.threads;
	o.about = with_json(o.csv);
	return o;
}

} // namespace compare
