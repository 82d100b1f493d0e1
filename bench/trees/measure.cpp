/*
 * measure.cpp - see measure.hpp.
 *
 * The stores are open side by side, and grow together: a load is cut into as many slices as there are rounds
 * and numbers of threads, and each round inserts its slices into all of them in turn.  Then lookups have their
 * rounds in the same way, each round beginning one store further on than the round before.  Where the cache is small, and
 * where each put is to be durable, the stores are closed and opened again as that needs.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "measure.hpp"

#include <algorithm>
#include <deque>
#include <functional>

#include "compare/ticks.hpp"
#include "contender.hpp"

namespace trees {

constexpr const char *INSERT_RANDOM = "insert-random", *INSERT_ORDER = "insert-order", *LOOKUP = "lookup",
		     *COMMIT = "commit", *LOOKUP_LARGE = "lookup-large", *INSERT_LARGE = "insert-large";

const std::vector<Work> &works()
{
	static const std::vector<Work> all = {
		{INSERT_RANDOM,
	         "all keys are inserted in random order, into memory that holds them; one checkpoint, at the end"},
		{INSERT_ORDER, "the same in the order of the keys, each thread at a place of its own"},
		{LOOKUP, "lookups of keys drawn uniformly, all in memory"},
		{COMMIT, "further keys are inserted at random, each durable when its call returns"},
		{LOOKUP_LARGE,
	         "lookups of keys drawn uniformly; keys and values are five times as large as the cache, and not in "
	         "the kernel's memory"},
		{INSERT_LARGE, "further keys are inserted at random, with the same cache; none durable by itself"},
	};
	return all;
}

std::vector<Kind> wanted_kinds(const Options &o)
{
	std::vector<Kind> wanted;
	for (const Kind &k : kinds())
		if (o.wants_subject(k.id))
			wanted.push_back(k);
	return wanted;
}

namespace {

constexpr uint64_t PAGE_BYTES = 4096;
constexpr uint64_t ROOM = 4;  /* pages are half empty, and have heads; in times what keys and values have */
constexpr uint64_t LARGE = 5; /* times the cache */
constexpr uint64_t CACHE_LEAST = 1 << 20;
constexpr uint64_t LOG_TIMES = 4, LOG_LEAST = 16 << 20;
constexpr uint64_t KEYS_CHECKED = 100'000;

class Trial {
public:
	Trial(const Options &o, const compare::Scratch &s, FigureFile &f) : options(o), scratch(s), output(f) {}

	void insert_in_order()
	{
		begin(Order::own);
		load(INSERT_ORDER);
		contenders.clear();
	}

	void all_others()
	{
		begin(Order::random);
		load(INSERT_RANDOM);
		look_up();
		commit();
		large();
		contenders.clear();
	}

private:
	using Cell = std::function<void(Contender &, unsigned threads, unsigned round)>;

	uint64_t bytes() const { return options.keys * ENTRY_BYTES; }

	Setup setup(bool large, Durable durable) const
	{
		const uint64_t cache = large ? bytes() / LARGE : bytes() * ROOM;
		return {"", std::max(cache, CACHE_LEAST), std::max(bytes() * LOG_TIMES, LOG_LEAST), durable,
		        options.most_threads()};
	}

	bool wants(const char *work) const { return options.wants_workload(work); }

	void add(const char *work, unsigned threads, const Contender &c, unsigned round, const Figures &f)
	{
		output.add({work, std::to_string(threads), c.kind().id}, round, f);
	}

	static Figures per_second(const Run &r)
	{
		return {{"ops_per_second", static_cast<double>(r.operations) / r.seconds}};
	}

	/* The same draws for all stores of a round. */
	static uint64_t seed(unsigned threads, unsigned round) { return uint64_t{round} << 32 | threads << 16; }

	void begin(Order order)
	{
		kinds = wanted_kinds(options);
		for (const Kind &k : kinds)
			contenders.emplace_back(k, order, scratch.path(""));
		for (Contender &c : contenders)
			c.open(setup(false, Durable::later));
	}

	void reopen(Contender &c, bool large, Durable durable)
	{
		c.close();
		if (large)
			c.chill();
		c.open(setup(large, durable));
	}

	void rounds(const Cell &cell)
	{
		for (unsigned round = 0; round < options.rounds; round++)
			for (unsigned threads : options.threads)
				for (size_t i = 0; i < contenders.size(); i++)
					cell(contenders[(i + round) % contenders.size()], threads, round);
	}

	void check(Contender &c) { c.check(options.keys, std::max<uint64_t>(options.keys / KEYS_CHECKED, 1)); }

	void load(const char *work)
	{
		const uint64_t slices = options.rounds * options.threads.size();
		std::vector<double> took(contenders.size());
		rounds([&](Contender &c, unsigned threads, unsigned round) {
			const auto at = std::find(options.threads.begin(), options.threads.end(), threads) -
			                options.threads.begin();
			const uint64_t slice = round * options.threads.size() + static_cast<uint64_t>(at);
			Run r = c.insert(threads, options.keys * slice / slices, options.keys * (slice + 1) / slices,
			                 processors);
			took[index_of(c)] += r.seconds;
			if (wants(work))
				add(work, threads, c, round, per_second(r));
		});
		for (Contender &c : contenders) {
			const uint64_t start = compare::nanoseconds();
			c.checkpoint();
			const double all =
				took[index_of(c)] + static_cast<double>(compare::nanoseconds() - start) * 1e-9;
			if (wants(work))
				add(work, 0, c, 0,
				    {{"with_checkpoint_per_second", static_cast<double>(options.keys) / all}});
			check(c);
		}
	}

	void look_up()
	{
		if (!wants(LOOKUP))
			return;
		rounds([&](Contender &c, unsigned threads, unsigned round) {
			c.look_up_for(threads, warm_up(), options.keys, ~seed(threads, round), processors);
			add(LOOKUP, threads, c, round,
			    per_second(c.look_up_for(threads, options.milliseconds, options.keys, seed(threads, round),
			                             processors)));
		});
	}

	void commit()
	{
		if (!wants(COMMIT))
			return;
		for (Contender &c : contenders)
			reopen(c, false, Durable::each);
		rounds([&](Contender &c, unsigned threads, unsigned round) {
			add(COMMIT, threads, c, round,
			    per_second(c.insert_for(threads, options.milliseconds, processors)));
		});
		for (Contender &c : contenders)
			check(c);
	}

	/* One store at a time has the machine's memory and device. */
	void large()
	{
		if (!wants(LOOKUP_LARGE) && !wants(INSERT_LARGE))
			return;
		for (Contender &c : contenders)
			c.close();
		const uint64_t cached = setup(true, Durable::later).cache_bytes / PAGE_BYTES;
		rounds([&](Contender &c, unsigned threads, unsigned round) {
			reopen(c, true, Durable::later);
			/* The cache is full; who has none, but the kernel's, has as much there. */
			c.look_up(options.most_threads(), cached, options.keys, ~seed(threads, round), processors);
			if (wants(LOOKUP_LARGE))
				add(LOOKUP_LARGE, threads, c, round,
				    per_second(c.look_up_for(threads, options.milliseconds, options.keys,
				                             seed(threads, round), processors)));
			if (wants(INSERT_LARGE))
				add(INSERT_LARGE, threads, c, round,
				    per_second(c.insert_for(threads, options.milliseconds, processors)));
			c.close();
		});
		for (Contender &c : contenders) {
			reopen(c, false, Durable::later);
			check(c);
		}
	}

	unsigned warm_up() const { return options.milliseconds / 6 + 1; }
	size_t index_of(const Contender &c) const
	{
		return static_cast<size_t>(std::find_if(contenders.begin(), contenders.end(),
		                                        [&](const Contender &d) { return &c == &d; }) -
		                           contenders.begin());
	}

	const Options &options;
	const compare::Scratch &scratch;
	FigureFile &output;
	const compare::Processors processors;
	std::vector<Kind> kinds;
	std::deque<Contender> contenders;
};

} // namespace

void measure_all(const Options &options, const compare::Scratch &scratch, FigureFile &output)
{
	Trial trial(options, scratch, output);
	if (options.wants_workload(INSERT_ORDER))
		trial.insert_in_order();
	for (const char *work : {INSERT_RANDOM, LOOKUP, COMMIT, LOOKUP_LARGE, INSERT_LARGE})
		if (options.wants_workload(work))
			return trial.all_others();
}

} // namespace trees
