/*
 * options.cpp - see options.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>

#include <sys/stat.h>

#include "../lists.hpp"
#include "made.hpp"
#include "pool.hpp"

namespace replay {

constexpr uint32_t PERCENT_LEAST_PAGES = 16; /* a part of a small trace is at least that */
constexpr unsigned MAX_THREADS = 1024;
constexpr uint32_t MAX_PAGE_BYTES = 1 << 20;

uint32_t CacheSize::pages_of(const Trace &t) const
{
	if (!percent)
		return number;
	return std::max(static_cast<uint32_t>(uint64_t{t.distinct} * number / 100), PERCENT_LEAST_PAGES);
}

static std::vector<CacheSize> parse_sizes(const char *arg, argp_state *state)
{
	std::vector<CacheSize> sizes;
	for (std::string word : words_of(state, arg, "--cache")) {
		bool percent = !word.empty() && word.back() == '%';
		if (percent)
			word.pop_back();
		sizes.push_back(
			{static_cast<uint32_t>(number(state, word.c_str(), "--cache", 1, percent ? 100 : UINT32_MAX)),
		         percent});
	}
	return sizes;
}

static bool parse_split(const std::string &arg, argp_state *state)
{
	if (arg != "turns" && arg != "pieces")
		argp_error(state, "--split: '%s' is neither 'turns' nor 'pieces'", arg.c_str());
	return arg == "pieces";
}

static bool is_directory(const std::string &path)
{
	struct stat st;
	return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *parse_directory(const char *arg, argp_state *state)
{
	if (!is_directory(arg))
		argp_error(state, "--save: '%s' is not a directory", arg);
	return arg;
}

static void add_traces_of(const std::string &directory, Options &o, argp_state *state)
{
	try {
		for (const std::string &path : trace_files(directory))
			o.traces.push_back(path);
	} catch (const std::exception &e) {
		argp_failure(state, EXIT_FAILURE, 0, "%s", e.what());
	}
}

static void add_own(Options &o)
{
	for (const Made &m : made_traces())
		o.traces.push_back(std::string(OWN) + m.name);
}

static void parse_trace(const std::string &arg, Options &o, argp_state *state)
{
	if (arg == "own")
		add_own(o);
	else if (is_directory(arg))
		add_traces_of(arg, o, state);
	else if (arg.rfind(OWN, 0) == 0 && made_trace(arg.substr(sizeof OWN - 1)) == nullptr)
		argp_error(state, "there is no trace '%s'; see --list", arg.c_str());
	else
		o.traces.push_back(arg);
}

enum { STATUS_USAGE = 2 };
enum { KEY_SPLIT = 256, KEY_PAGE_SIZE, KEY_TSV, KEY_SAVE, KEY_LIST };

static error_t parse(int key, char *arg, argp_state *state)
{
	auto &o = *static_cast<Options *>(state->input);

	switch (key) {
	case 'c':
		o.sizes = parse_sizes(arg, state);
		return 0;
	case 't':
		o.threads = numbers_of(state, arg, "--threads", MAX_THREADS);
		return 0;
	case KEY_SPLIT:
		o.pieces = parse_split(arg, state);
		return 0;
	case KEY_PAGE_SIZE:
		o.page_bytes = static_cast<uint32_t>(number(state, arg, "--page-size", PAGE_BYTES_MIN, MAX_PAGE_BYTES));
		return 0;
	case KEY_TSV:
		o.tsv = arg;
		return 0;
	case KEY_SAVE:
		o.save = parse_directory(arg, state);
		return 0;
	case KEY_LIST:
		o.list = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_trace(arg, o, state);
		return 0;
	case ARGP_KEY_NO_ARGS:
		add_own(o);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const argp_option argp_options[] = {
	{"cache", 'c', "N[%][,N[%]]", 0,
         "Pages to keep in memory, or percent of the trace's distinct pages, at least 16 (1%,5%,10%,20%,50%)", 0},
	{"threads", 't', "N[,N]", 0, "Replay by so many threads (1)", 0},
	{"split", KEY_SPLIT, "HOW", 0,
         "How several threads share the requests: 'turns', each takes the next one of all (the default); or 'pieces', "
         "the trace is cut into as many pieces as there are threads, which are replayed at once, a request of each "
         "in turn",
         0},
	{"page-size", KEY_PAGE_SIZE, "BYTES", 0, "Bytes of a page, 4 or more (64)", 0},
	{"tsv", KEY_TSV, "FILE", 0, "Write all figures to FILE, for report.py", 0},
	{"save", KEY_SAVE, "DIR", 0, "Write the traces to DIR, as NAME.u32, for other programs", 0},
	{"list", KEY_LIST, nullptr, 0, "List the program's own traces, and end", 0},
	{nullptr, 0, nullptr, 0, nullptr, 0},
};

static const argp parser = {
	argp_options,
	parse,
	"[TRACE...]",
	"Replay traces of page requests through libmpool and print the misses, beside those of LRU and of the best "
	"that can be (OPT).\vTRACE is a file of page numbers, text or 32 bits each, the least byte first (.u32); or a "
	"directory of files *.u32 and *.txt; or own:NAME, one of the program's own traces, or own, all of these, "
	"which is the default. Where a file anchors.tsv is beside a trace, the figures of other policies in it are "
	"compared, too.",
	nullptr,
	nullptr,
	nullptr,
};

Options parse_options(int argc, char **argv)
{
	Options o;
	argp_program_version = "mpool-replay " MPOOL_VERSION;
	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&parser, argc, argv, 0, nullptr, &o);
	return o;
}

} // namespace replay
