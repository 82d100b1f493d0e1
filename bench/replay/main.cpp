/*
 * mpool-replay - what libmpool's eviction misses of a trace.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * trace.cpp reads traces, made.cpp makes our own, pool.cpp replays them through the
 * library's public calls, reference.cpp computes what LRU and the best that can be
 * (OPT) miss, anchors.cpp has what others measured.
 */
#include <cstdio>
#include <exception>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "anchors.hpp"
#include "compare/progress.hpp"
#include "made.hpp"
#include "options.hpp"
#include "output.hpp"
#include "pool.hpp"
#include "reference.hpp"
#include "trace.hpp"

namespace replay {

/* About what a request takes, in seconds: in the pool, and of LRU and OPT. */
constexpr double REQUEST_SECONDS = 1e-6;
constexpr double REFERENCE_SECONDS = 2e-7;

using compare::Progress;

struct Bench {
	const Options &options;
	Output &output;
	Progress &progress;
};

static std::vector<Trace> wanted_traces(const Options &options)
{
	std::vector<Trace> traces;
	std::set<std::string> names;

	for (const std::string &from : options.traces) {
		bool own = from.rfind(OWN, 0) == 0;
		traces.push_back(own ? make(*made_trace(from.substr(sizeof OWN - 1))) : read_trace(from));
		if (!names.insert(traces.back().name).second)
			throw std::runtime_error("two traces are named " + traces.back().name);
	}
	return traces;
}

/* Each once: parts of a small trace may be the same. */
static std::set<uint32_t> cache_sizes(const Trace &t, const Options &options)
{
	std::set<uint32_t> sizes;
	for (const CacheSize &size : options.sizes)
		sizes.insert(size.pages_of(t));
	return sizes;
}

static double expected_seconds(const Trace &t, const Options &options)
{
	double replays = static_cast<double>(options.threads.size()) * REQUEST_SECONDS;
	double references = (options.pieces ? static_cast<double>(options.threads.size()) : 1) * REFERENCE_SECONDS;
	return t.requests() * static_cast<double>(cache_sizes(t, options).size()) * (replays + references);
}

static void save(const Trace &t, const std::string &directory)
{
	std::string name = t.own() ? t.name.substr(sizeof OWN - 1) : t.name;
	write_trace(t, directory + "/" + name + ".u32");
}

/* The requests in one order, and what is known of them beside libmpool's misses. */
class Order {
public:
	Order(const Trace &t, const std::string &anchors_directory) : trace(t), anchors(anchors_directory) {}

	/* All but libmpool's misses. */
	Cell cell(uint32_t cache_pages, unsigned threads)
	{
		Cell c = {trace, cache_pages, threads, 0, 0, 0, anchors.of(trace, cache_pages)};
		auto [found, is_new] = known.insert({cache_pages, {}});
		if (is_new)
			found->second = {lru_misses(trace, cache_pages), opt_misses(trace, cache_pages)};
		c.lru = found->second.lru;
		c.opt = found->second.opt;
		check_anchors(c);
		return c;
	}

private:
	struct Misses {
		uint32_t lru, opt;
	};

	/* Anchors of another trace would be no measure; LRU is the one that shows it. */
	static void check_anchors(const Cell &c)
	{
		for (const Anchor &a : c.anchors)
			if (a.policy == "LRU" && !agrees(a, c.lru, c.trace.requests()))
				throw std::runtime_error(c.trace.name + ", " + std::to_string(c.cache_pages) +
				                         " pages: LRU misses " + std::to_string(c.lru) +
				                         " here, and another share in anchors.tsv");
	}

	const Trace &trace;
	const Anchors anchors;
	std::map<uint32_t, Misses> known; /* by cache_pages */
};

static void replay_order(Order &order, const Trace &t, unsigned threads, const Bench &bench)
{
	for (uint32_t cache_pages : cache_sizes(t, bench.options)) {
		Cell c = order.cell(cache_pages, threads);
		c.misses = pool_misses(t, {cache_pages, bench.options.page_bytes, threads});
		bench.progress.end(); /* its line makes room for this one */
		bench.output.cell(c);
		bench.progress.done(REQUEST_SECONDS * t.requests());
	}
}

static void replay_trace(const Trace &t, const Bench &bench)
{
	Order in_time(t, t.directory);

	bench.progress.begin(t.name, expected_seconds(t, bench.options));
	for (unsigned threads : bench.options.threads) {
		if (threads == 1 || !bench.options.pieces) {
			replay_order(in_time, t, threads, bench);
		} else {
			Trace cut = in_pieces(t, threads);
			Order cut_order(cut, ""); /* the anchors are not of this order */
			replay_order(cut_order, cut, threads, bench);
		}
	}
}

static void list()
{
	for (const Made &m : made_traces())
		printf("%s%-11s %s\n", OWN, m.name, m.what);
}

static void replay_all(const Options &options)
{
	std::vector<Trace> traces = wanted_traces(options);
	double expected = 0;
	for (const Trace &t : traces) {
		expected += expected_seconds(t, options);
		if (!options.save.empty())
			save(t, options.save);
	}

	Output output(options);
	Progress progress(expected);
	Bench bench = {options, output, progress};
	for (const Trace &t : traces)
		replay_trace(t, bench);
	progress.end();
}

} // namespace replay

int main(int argc, char **argv)
{
	replay::Options options = replay::parse_options(argc, argv);
	try {
		if (options.list)
			replay::list();
		else
			replay::replay_all(options);
	} catch (const std::exception &e) {
		fprintf(stderr, "\nmpool-replay: %s\n", e.what());
		return 1;
	}
	return 0;
}
