// mpool-files [DIRECTORY] [ROUNDS] - many files in one pool: what is missed, what a hit takes, what a file that comes and goes takes.
//
// Misses are counted, of the same requests in every run (moving.hpp).  Times are processor time of one thread; each round measures each
// way once, in turn, and ratios are of one round each, so what slows the machine for a while slows both; printed are
// the medians, with the least and the most.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include <mpool.h>

#include "compare/failure.hpp"
#include "moving.hpp"
#include "number.h"

namespace {

using compare::throw_errno;

constexpr pgno_t kPage = 4096, kPages = 64, kUsed = 16;
constexpr unsigned kHits = 100000, kOpens = 500;

void must(bool right, const char *what)
{
	if (!right)
		throw_errno(what);
}

double now_ns()
{
	struct timespec t;
	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "clock_gettime");
	return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// A file of a few pages, which goes with the object.
class Pages {
public:
	explicit Pages(const std::string &directory) : path_(directory + "/mpool-files.XXXXXX")
	{
		fd_ = mkstemp(&path_[0]);
		must(fd_ >= 0, path_.c_str());
		const std::vector<char> zeros(size_t{kPage} * kPages);
		must(write(fd_, zeros.data(), zeros.size()) == static_cast<ssize_t>(zeros.size()), "write");
	}
	~Pages()
	{
		unlink(path_.c_str());
		close(fd_);
	}
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;

	int fd() const { return fd_; }
	int open() const
	{
		int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
		must(fd >= 0, "open");
		return fd;
	}

private:
	std::string path_;
	int fd_;
};

class Pool {
public:
	explicit Pool(const Pages &pages) : mp_(mpool_open(nullptr, pages.fd(), kPage, kPages))
	{
		must(mp_, "mpool_open");
	}
	~Pool() { mpool_close(mp_); }
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;
	operator MPOOL *() const { return mp_; }

private:
	MPOOL *mp_;
};

void hits(MPOOL *mp, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		void *page = mpool_get(mp, i % kUsed, 0);
		if (page == nullptr || mpool_put(mp, page, 0) != 0)
			throw_errno("mpool_get");
	}
}

void attached(const Pages &pages, MPOOL *pool)
{
	int fd = pages.open();
	MPOOL *file = mpool_attach(pool, fd);
	must(file != nullptr, "mpool_attach");
	hits(file, 1);
	must(mpool_close(file) == 0, "mpool_close");
	close(fd);
}

void read_alone(const Pages &pages)
{
	char bytes[kPage];
	int fd = pages.open();
	must(pread(fd, bytes, kPage, 0) == static_cast<ssize_t>(kPage), "pread");
	close(fd);
}

struct Way {
	const char *name;
	unsigned times;
	std::function<void(unsigned)> run;
	size_t against; // which way its ratio is to
	double goal;    // its ratio at the most; 0: none
	std::vector<double> ns = {}, ratio = {};
};

double median(std::vector<double> values)
{
	std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
	return values[values.size() / 2];
}

std::string summary(const std::vector<double> &values, int digits)
{
	const auto ends = std::minmax_element(values.begin(), values.end());
	char text[100];
	snprintf(text, sizeof text, "%.*f (%.*f, %.*f)", digits, median(values), digits, *ends.first, digits,
	         *ends.second);
	return text;
}

const char *verdict(double ratio, double goal)
{
	return goal == 0 ? "" : ratio <= goal ? "reached" : "**missed**";
}

void measure(std::vector<Way> &ways, unsigned rounds)
{
	for (unsigned r = 0; r < rounds; r++)
		for (Way &w : ways) {
			w.run(w.times / 10); // warm
			const double began = now_ns();
			w.run(w.times);
			w.ns.push_back((now_ns() - began) / w.times);
			w.ratio.push_back(w.ns.back() / ways[w.against].ns.back());
		}
}

std::string goal_of(double goal)
{
	char text[40] = "";
	if (goal != 0)
		snprintf(text, sizeof text, "at most %.2f", goal);
	return text;
}

void print_times(const std::vector<Way> &ways)
{
	printf("| one thread | ns: median (least, most) | times the first of its kind | goal | verdict |\n"
	       "|---|--:|--:|--:|---|\n");
	for (const Way &w : ways)
		printf("| %s | %s | %s | %s | %s |\n", w.name, summary(w.ns, 1).c_str(), summary(w.ratio, 2).c_str(),
		       goal_of(w.goal).c_str(), verdict(median(w.ratio), w.goal));
}

void print_misses()
{
	constexpr double kGoal = 1.02;
	const files::Moving m;
	const std::vector<files::Request> requests = files::requests_of(m);
	const auto one_file = static_cast<double>(one_file_misses(m, requests));
	const auto row = [&](const char *name, uint64_t misses, double goal) {
		const double ratio = static_cast<double>(misses) / one_file;
		printf("| %s | %.2f | %.3f | %s | %s |\n", name,
		       100 * static_cast<double>(misses) / static_cast<double>(requests.size()), ratio,
		       goal_of(goal).c_str(), verdict(ratio, goal));
	};
	printf("| eight files whose use moves | %% missed | times one file | goal | verdict |\n"
	       "|---|--:|--:|--:|---|\n");
	row("all pages in one file, in one pool", static_cast<uint64_t>(one_file), 0);
	row("eight files, attached to one pool", one_pool_misses(m, requests), kGoal);
	row("eight files, a pool each with an eighth of the memory", pool_each_misses(m, requests), 0);
	printf("\n");
}

void run(const std::string &directory, unsigned rounds)
{
	const Pages pages(directory);
	const Pool alone(pages), several(pages);
	MPOOL *file = mpool_attach(several, pages.fd());
	must(file != nullptr, "mpool_attach");
	std::vector<Way> ways = {
		{"a hit and its put: a pool with one file", kHits, [&](unsigned n) { hits(alone, n); }, 0, 0},
		{"... the first of several", kHits, [&](unsigned n) { hits(several, n); }, 0, 1.1},
		{"... an attached file", kHits, [&](unsigned n) { hits(file, n); }, 0, 1.1},
		{"open, pread, close", kOpens,
	         [&](unsigned n) {
			 for (unsigned i = 0; i < n; i++)
				 read_alone(pages);
		 },
	         3, 0},
		{"open, attach, get, put, close both", kOpens,
	         [&](unsigned n) {
			 for (unsigned i = 0; i < n; i++)
				 attached(pages, several);
		 },
	         3, 3},
	};
	print_misses();
	measure(ways, rounds);
	print_times(ways);
}

struct Asked {
	std::string directory = ".";
	unsigned rounds = 99;
};

constexpr int kStatusUsage = 2;

error_t parse(int key, char *arg, argp_state *state)
{
	constexpr unsigned kMaxRounds = 10000;
	auto &o = *static_cast<Asked *>(state->input);

	if (key != ARGP_KEY_ARG || state->arg_num > 1)
		return ARGP_ERR_UNKNOWN;
	if (state->arg_num == 0)
		o.directory = arg;
	else
		o.rounds = static_cast<unsigned>(number(state, arg, "ROUNDS", 1, kMaxRounds));
	return 0;
}

const argp parser = {
	nullptr,
	parse,
	"[DIRECTORY] [ROUNDS]",
	"Measure many files in one pool: what is missed of eight files whose use moves, what a hit takes, and what a file that "
	"comes and goes takes, with a file in the directory (.), in so many rounds (99).",
	nullptr,
	nullptr,
	nullptr,
};

} // namespace

int main(int argc, char **argv)
try {
	Asked o;
	argp_program_version = "mpool-files " MPOOL_VERSION;
	argp_err_exit_status = kStatusUsage;
	argp_parse(&parser, argc, argv, 0, nullptr, &o);
	run(o.directory, o.rounds);
	return 0;
} catch (const std::exception &e) {
	fprintf(stderr, "mpool-files: %s\n", e.what());
	return 1;
}
