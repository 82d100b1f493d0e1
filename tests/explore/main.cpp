// main.cpp - the schedule explorer's command line.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <argp.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "scenario.hpp"

using namespace explore;

namespace {

enum Key {
	key_bound = 'b',
	key_random = 'n',
	key_seed = 's',
	key_replay = 'r',
	key_nth = 'f',
	key_model = 'm',
	key_list = 'l',
	key_deeper = 'd',
	key_time = 't',
	key_deaths = 'k',
	key_forks = 'c',
	key_half = 'p'
};

constexpr int kUsage = 2; // the exit status of a command line that asks for nothing that there is

struct Arguments {
	std::vector<std::string> names;
	int bound = -1, deeper = 0;
	uint64_t random = 0, seed = 1;
	unsigned seconds = 0;
	std::string replay;
	bool replays = false, list = false, deaths = false, forks = false;
	unsigned half = 0; // 1 or 2; 0: both
	Options options;
};

const argp_option kOptions[] = {
	{"bound", key_bound, "N", 0, "Explore all runs with up to N deviations, in every scenario", 0},
	{"deeper", key_deeper, "N", 0, "... with up to N more than the scenario's own bound", 0},
	{"random", key_random, "N", 0,
		"Make N random scenarios, and some random runs of each; or N random runs of those named", 0},
	{"seed", key_seed, "N", 0, "The first of them (1)", 0},
	{"seconds", key_time, "N", 0, "Go on with random scenarios for that long", 0},
	{"deaths", key_deaths, nullptr, 0, "All scenarios in which a process dies, instead of all others", 0},
	{"forks", key_forks, nullptr, 0, "All scenarios in which a process forks, instead", 0},
	{"half", key_half, "1|2", 0,
		"Every other scenario of those that were not named, from the first or the second on", 0},
	{"model", key_model, "c11|x86", 0, "What memory may do (c11)", 0},
	{"replay", key_replay, "N:A,...", 0, "Make one run again, and print it", 0},
	{"fails", key_nth, "N", 0, "... in which the N-th call failed", 0},
	{"list", key_list, nullptr, 0, "Print the scenarios", 0},
	{nullptr, 0, nullptr, 0, nullptr, 0},
};

uint64_t number(const char *option, const char *text, argp_state *state)
{
	char *end;
	errno = 0;
	uint64_t n = std::strtoull(text, &end, 10);
	if (*end || end == text || errno || *text == '-')
		argp_error(state, "%s: \"%s\" is not a number", option, text);
	return n;
}

error_t parse(int key, char *arg, argp_state *state)
{
	auto &a = *static_cast<Arguments *>(state->input);
	switch (key) {
	case key_bound:
		a.bound = static_cast<int>(number("--bound", arg, state));
		return 0;
	case key_deeper:
		a.deeper = static_cast<int>(number("--deeper", arg, state));
		return 0;
	case key_random:
		a.random = number("--random", arg, state);
		return 0;
	case key_seed:
		a.seed = number("--seed", arg, state);
		return 0;
	case key_time:
		a.seconds = static_cast<unsigned>(number("--seconds", arg, state));
		return 0;
	case key_nth:
		a.options.nth = static_cast<unsigned>(number("--fails", arg, state));
		return 0;
	case key_replay:
		a.replay = arg;
		a.replays = true;
		return 0;
	case key_model:
		if (std::strcmp(arg, "c11") != 0 && std::strcmp(arg, "x86") != 0)
			argp_error(state, "--model: \"%s\" is neither c11 nor x86", arg);
		a.options.model = *arg == 'x' ? Model::x86 : Model::c11;
		return 0;
	case key_deaths:
		a.deaths = true;
		return 0;
	case key_forks:
		a.forks = true;
		return 0;
	case key_half:
		a.half = static_cast<unsigned>(number("--half", arg, state));
		if (a.half != 1 && a.half != 2)
			argp_error(state, "--half: there is a first and a second");
		return 0;
	case key_list:
		a.list = true;
		return 0;
	case ARGP_KEY_ARG:
		a.names.push_back(arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const argp kArgp = {kOptions, parse, "[SCENARIO...]",
	"Run the library's own code in small scenarios, in every order of its threads' steps up to a number of "
	"deviations, with every value that a load may give. Prints the run that goes wrong.",
	nullptr, nullptr, nullptr};

// ---- telling -----------------------------------------------------------------

using Seconds = std::chrono::duration<double>;
const auto start = std::chrono::steady_clock::now();

double seconds()
{
	return Seconds(std::chrono::steady_clock::now() - start).count();
}

// ... of the processor, however busy the machine is.
double worked()
{
	return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

std::string described(const Scenario &s)
{
	std::string text = s.name + ": " + std::to_string(s.frames) + " frames;";
	for (const std::string &t : s.threads)
		text += " [" + t + "]";
	return text;
}

// One run again, step by step.
std::string print_run(const Scenario &s, const Options &options, const Choices &choices)
{
	Replay replay(choices);
	words_all_matter(true);
	trace(true);
	std::string wrong = run_once(s, options, replay);
	trace(false);
	words_all_matter(false);
	return wrong;
}

// The run in words, and how to have it again.
void tell(const Scenario &s, const Options &options, const Choices &choices, const std::string &wrong)
{
	std::printf("\nWRONG %s\n  %s\n", described(s).c_str(), wrong.c_str());
	std::fflush(stdout);
	std::string again = print_run(s, options, choices);
	if (again != wrong)
		std::printf("  NOT THE SAME: %s\n", again.c_str());
	std::printf("  again: explore %s --replay '%s'%s%s\n\n", s.name.c_str(), to_string(choices).c_str(),
		options.nth ? (" --fails " + std::to_string(options.nth)).c_str() : "",
		options.model == Model::x86 ? " --model x86" : "");
	std::fflush(stdout);
}

struct Total {
	uint64_t runs = 0;
	bool wrong = false;
};

// ---- exploring ---------------------------------------------------------------

// Of a random run.
constexpr unsigned kChanges = 4;
// With one deviation there are some hundred runs, with two some thousand.
constexpr uint64_t kRunsToLearn = 50, kRunsToLearnMore = 500;

// All runs of a decider, or until one shows that more words matter; false: one went wrong.
bool all_runs(const Scenario &s, const Options &options, Decider &decider, Total *total, bool until_learnt = false)
{
	do {
		total->runs++;
		std::string wrong = run_once(s, options, decider);
		if (!wrong.empty()) {
			tell(s, options, decider.choices(), wrong);
			total->wrong = true;
			return false;
		}
	} while (!(until_learnt && words_to_learn()) && decider.next());
	return true;
}

// Bounds from 0 on, so that the first wrong run has few deviations; each again, from its
// first run on, as soon as one has shown words to be shared that were not known to be.
bool all_bounds(const Scenario &s, const Options &options, unsigned bound, Total *total)
{
	for (unsigned b = 0; b <= bound; b++)
		do {
			Exhaustive decider(b);
			if (!all_runs(s, options, decider, total, true))
				return false;
		} while (words_learnt());
	return true;
}

// Random runs show most of those words, before the many runs that would have to be made again.
// False: one of them went wrong, which is told when no run with few deviations does.
bool words_by_chance(const Scenario &s, const Options &options, Random decider)
{
	bool well = true;
	words_all_matter(true);
	do
		well &= run_once(s, options, decider).empty();
	while (decider.next());
	words_all_matter(false);
	words_learnt();
	return well;
}

// A line on what was explored of a scenario since worked() was `before`, which adds to the total.
void tell_line(const Scenario &s, const std::string &how, const Total &here, double before, const std::string &more,
	Total *total)
{
	std::printf("%-28s %-8s %10llu runs  %6.1f s%s\n", s.name.c_str(), how.c_str(),
		static_cast<unsigned long long>(here.runs), worked() - before, more.c_str());
	std::fflush(stdout);
	total->runs += here.runs;
	total->wrong |= here.wrong;
}

constexpr uint64_t kRunsOfRandom = 50;
constexpr double kTellEvery = 10;

void explore_random(const Arguments &a, Total *total)
{
	double told = seconds();
	words_all_matter(true);
	uint64_t seed = a.seed;
	for (; seed - a.seed < a.random || (a.seconds && seconds() < a.seconds); seed++) {
		Scenario s = random_scenario(seed);
		Random decider(seed, kRunsOfRandom, kChanges);
		if (!all_runs(s, a.options, decider, total))
			break;
		if (seconds() - told > kTellEvery) {
			told = seconds();
			std::printf("... %llu random scenarios, %.0f s\n",
				static_cast<unsigned long long>(seed - a.seed), told);
			std::fflush(stdout);
		}
	}
	std::printf("random scenarios %llu to %llu, %llu runs of each\n", static_cast<unsigned long long>(a.seed),
		static_cast<unsigned long long>(seed - 1), static_cast<unsigned long long>(kRunsOfRandom));
}

void explore_by_chance(const Scenario &s, const Arguments &a, uint64_t runs, Total *total)
{
	Total here;
	double before = worked();
	words_all_matter(true);
	Random decider(a.seed, runs, kChanges);
	all_runs(s, a.options, decider, &here);
	words_all_matter(false);
	tell_line(s, "random", here, before, "", total);
}

void explore_all(const Scenario &s, const Arguments &a, Total *total)
{
	Total here;
	double before = worked();
	if (s.by_chance && a.bound < 0 && a.deeper == 0)
		return explore_by_chance(s, a, s.by_chance, total);
	unsigned deeper = static_cast<unsigned>(a.deeper) - (s.by_chance && a.deeper > 0);
	unsigned bound = a.bound >= 0 ? static_cast<unsigned>(a.bound) : s.bound + deeper;
	Options options = a.options;
	options.nth = s.fails ? 1 : 0;
	fault_happened();
	words_forget();
	Random by_chance(a.seed, bound > 1 ? kRunsToLearnMore : kRunsToLearn, kChanges);
	bool well = bound == 0 || words_by_chance(s, options, by_chance);
	while (all_bounds(s, options, bound, &here) && s.fails && fault_happened())
		options.nth++;
	if (!well && !here.wrong) {
		options.nth = s.fails ? 1 : 0;
		words_all_matter(true);
		all_runs(s, options, by_chance, &here);
		words_all_matter(false);
	}
	std::string failures = s.fails ? "  " + std::to_string(options.nth - 1) + " failures" : "";
	tell_line(s, "bound " + std::to_string(bound), here, before, failures, total);
}

bool wanted(const Arguments &a, const Scenario &s)
{
	for (const std::string &n : a.names)
		if (n == s.name)
			return true;
	return a.names.empty() && forks(s) == a.forks && (a.forks || is_deadly(s) == a.deaths);
}

const char kRandomPrefix[] = "random-";

int replay(const Arguments &a)
{
	Choices choices;
	if (a.names.size() != 1 || !from_string(a.replay, &choices)) {
		std::fprintf(stderr, "explore: --replay wants one scenario, and decisions as NUMBER:ALTERNATIVE,...\n");
		return kUsage;
	}
	Scenario one;
	for (const Scenario &s : scenarios())
		if (s.name == a.names[0])
			one = s;
	if (a.names[0].compare(0, sizeof kRandomPrefix - 1, kRandomPrefix) == 0)
		one = random_scenario(std::strtoull(&a.names[0][sizeof kRandomPrefix - 1], nullptr, 10));
	if (one.name.empty()) {
		std::fprintf(stderr, "explore: no scenario %s\n", a.names[0].c_str());
		return kUsage;
	}
	std::printf("%s\n", described(one).c_str());
	std::string wrong = print_run(one, a.options, choices);
	std::printf("%s\n", wrong.empty() ? "all is well" : wrong.c_str());
	return wrong.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
	Arguments a;
	argp_program_version = "explore " MPOOL_VERSION;
	argp_err_exit_status = kUsage;
	argp_parse(&kArgp, argc, argv, 0, nullptr, &a);
	if (a.replays)
		return replay(a);
	Total total;
	unsigned explored = 0, there = 0;
	for (const Scenario &s : scenarios()) {
		if (!wanted(a, s) || (a.names.empty() && !a.deaths && !a.forks && (a.random || a.seconds)))
			continue;
		if (a.half && a.names.empty() && there++ % 2 != a.half - 1)
			continue;
		explored++;
		if (a.list)
			std::printf("%s\n", described(s).c_str());
		else if (a.random)
			explore_by_chance(s, a, a.random, &total);
		else
			explore_all(s, a, &total);
		if (total.wrong)
			break; // its run is printed; fix that first
	}
	if (a.list)
		return 0;
	if (a.names.empty() && !a.deaths && !a.forks && (a.random || a.seconds))
		explore_random(a, &total);
	else if (explored == 0) {
		std::fprintf(stderr, "explore: no such scenario\n");
		return kUsage;
	}
	Deaths deaths = deaths_so_far();
	if (deaths.all > 0)
		std::printf("deaths: %llu, at %u places: %s\n", static_cast<unsigned long long>(deaths.all),
			deaths.places, deaths.by_call.c_str());
	std::printf("explored: %llu runs, %llu steps, %.0f s: %s\n", static_cast<unsigned long long>(total.runs),
		static_cast<unsigned long long>(steps_of_all_runs()), worked(), total.wrong ? "WRONG" : "all well");
	return total.wrong ? 1 : 0;
}
