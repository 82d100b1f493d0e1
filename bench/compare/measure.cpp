/*
 * measure.cpp - see measure.hpp.
 *
 * Reads are counted from before the first thread starts to after the last one has
 * ended, the warm-up included, as pools count exactly only while nobody works; so
 * what they are set against is counted over the same time.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "measure.hpp"

#include <algorithm>
#include <functional>

#include "draw.hpp"
#include "ticks.hpp"
#include "verify.hpp"

namespace compare {

/* ---- what the threads did ---- */

namespace {

using Members = std::vector<Member>;
using Iterator = Members::const_iterator;

/* Some of the threads. */
struct Some {
	Iterator begin, end;
};

/* A run of the threads, and what the pool read from the file meanwhile. */
struct Outcome {
	Members members;
	uint64_t reads; /* or NOT_COUNTED */
};

} // namespace

static Some all_of(const Outcome &o)
{
	return {o.members.begin(), o.members.end()};
}

static Some all_but_first_of(const Outcome &o)
{
	return {o.members.begin() + 1, o.members.end()};
}

static uint64_t sum(Some some, const std::function<uint64_t(const Member &)> &value)
{
	uint64_t n = 0;
	for (Iterator m = some.begin; m != some.end; ++m)
		n += value(*m);
	return n;
}

static uint64_t gets_of(Some some)
{
	return sum(some, [](const Member &m) { return m.part.gets; });
}

/* From the first start to the last end. */
static double seconds(Some some, uint64_t Member::*started)
{
	uint64_t start = UINT64_MAX, end = 0;
	for (Iterator m = some.begin; m != some.end; ++m) {
		start = std::min(start, (*m).*started);
		end = std::max(end, m->end);
	}
	return static_cast<double>(end - start) * 1e-9;
}

static double operations_per_second(Some some)
{
	return static_cast<double>(sum(some, [](const Member &m) { return m.measured; })) /
	       seconds(some, &Member::start);
}

static double share(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

static Members run_members(const Conditions &c, Entrant &entrant, std::vector<Part> parts, By by)
{
	if (by == By::threads)
		return run_crew(entrant.pool(), std::move(parts), c.time, c.processors);
	return run_processes([&] { return entrant.join(); }, std::move(parts), c.time, c.processors);
}

static Outcome run(const Conditions &c, Entrant &entrant, std::vector<Part> parts, By by = By::threads)
{
	entrant.pool().threads(static_cast<unsigned>(parts.size()));
	uint64_t before = entrant.pool().reads();
	Outcome o = {run_members(c, entrant, std::move(parts), by), 0};
	uint64_t after = entrant.pool().reads();
	o.reads = after == NOT_COUNTED ? NOT_COUNTED : after - before;
	entrant.modified += sum(all_of(o), [](const Member &m) { return m.part.modified; });
	if (!c.in.evicts() && o.reads != NOT_COUNTED && o.reads != 0)
		throw Wrong(std::to_string(o.reads) + " pages were read though all were in memory: these are no hits");
	return o;
}

static void add_reads(Figures &figures, const Outcome &o)
{
	if (o.reads != NOT_COUNTED)
		figures.push_back(
			{"reads_per_second", static_cast<double>(o.reads) / seconds(all_of(o), &Member::warm_start)});
}

/* ---- parts ---- */

static Part part_of(const Conditions &c, unsigned threads, unsigned thread, unsigned round)
{
	Part p;
	p.loop = c.in.loop;
	p.thread = thread;
	p.stride = c.in.stride;
	p.range = c.in.own_page ? 1 : c.in.pages_drawn();
	p.first = c.in.own_page ? thread : 0;
	p.sequence = &c.sequence;
	p.draws = draws_of(round, threads, thread);
	/* Threads begin at places of one long sequence that differ, and differ every round. */
	if (!c.sequence.empty())
		p.draws.position = below(next_state(p.draws.state), c.sequence.size());
	return p;
}

static std::vector<Part> parts_of(const Conditions &c, unsigned threads, unsigned round)
{
	std::vector<Part> parts;
	for (unsigned i = 0; i < threads; i++)
		parts.push_back(part_of(c, threads, i, round));
	return parts;
}

/* ---- one function a shape ---- */

static Figures measure_plain(const Conditions &c, Entrant &entrant, unsigned threads, unsigned round)
{
	Outcome o = run(c, entrant, parts_of(c, threads, round));
	Figures figures = {{"ops_per_second", operations_per_second(all_of(o))}};
	if (!c.in.evicts() || o.reads == NOT_COUNTED)
		return figures;
	add_reads(figures, o);
	uint64_t gets = gets_of(all_of(o));
	figures.push_back({"hit_ratio", share(gets - std::min(gets, o.reads), gets)});
	return figures;
}

/* How many of the pages that a scan got are among those that the others want. */
static uint64_t wanted_in_scan(const Conditions &c, const Part &scan, uint32_t start)
{
	auto multiples_below = [&](uint64_t n) { return (n + c.in.stride - 1) / c.in.stride; };
	return multiples_below(start + scan.gets) - multiples_below(start);
}

/*
 * The other threads' gets are what counts, and how many of them were hits.  That is
 * known from the reads of all: the scan comes back to a page that nobody else wants
 * only after nine times as many others as the pool can hold, so all these are reads.
 */
static Figures measure_scan(const Conditions &c, Entrant &entrant, unsigned threads, unsigned round)
{
	std::vector<Part> parts = parts_of(c, threads, round);
	uint32_t start = entrant.scan_position;
	parts[0].loop = c.in.scan;
	parts[0].stride = 1;
	parts[0].range = c.in.file_pages;
	parts[0].draws.position = start;

	Outcome o = run(c, entrant, std::move(parts));
	const Part &scan = o.members[0].part;
	entrant.scan_position = scan.draws.position;
	Figures figures = {{"ops_per_second", operations_per_second(all_but_first_of(o))}};
	if (o.reads == NOT_COUNTED)
		return figures;
	add_reads(figures, o);
	uint64_t wanted = wanted_in_scan(c, scan, start);
	uint64_t gets = gets_of(all_but_first_of(o)) + wanted;
	uint64_t passing = scan.gets - wanted;
	uint64_t misses = o.reads - std::min(o.reads, passing);
	figures.push_back({"hit_ratio", share(gets - std::min(gets, misses), gets)});
	return figures;
}

static void add_percentiles(Figures &figures, const Histogram &ticks)
{
	const TickRate &rate = tick_rate();
	auto ns = [&](uint64_t t) { return static_cast<double>(t) * rate.nanoseconds_each; };
	figures.push_back({"p50_ns", ns(ticks.quantile(0.5))});
	figures.push_back({"p99_ns", ns(ticks.quantile(0.99))});
	figures.push_back({"p999_ns", ns(ticks.quantile(0.999))});
	figures.push_back({"max_ns", ns(ticks.max())});
	figures.push_back({"clock_ns", rate.cost});
}

/* The held pages are pinned by this thread too: they are hits whatever the pool evicts. */
static Figures measure_latency(const Conditions &c, Entrant &entrant, unsigned threads, unsigned round)
{
	std::vector<Part> parts = parts_of(c, threads, round);
	parts[0].loop = Loop::timed;
	parts[0].range = HELD_PAGES;
	parts[0].ticks.reserve();
	parts[1].first = HELD_PAGES;
	parts[1].range = c.in.file_pages - HELD_PAGES;

	entrant.pool().hold(0, HELD_PAGES);
	Outcome o = run(c, entrant, std::move(parts));
	entrant.pool().release();
	Figures figures = {{"evictor_ops_per_second", operations_per_second(all_but_first_of(o))}};
	add_percentiles(figures, o.members[0].part.ticks);
	add_reads(figures, o);
	return figures;
}

/* Every page is read again through the pool; in the first round the file is looked
 * at too, which takes a sync of all. */
static Figures measure_append(const Conditions &c, Entrant &entrant, unsigned threads, unsigned round)
{
	entrant.open_empty();
	Outcome o = run(c, entrant, parts_of(c, threads, round));
	uint64_t pages = gets_of(all_of(o));
	uint32_t wrong = entrant.pool().load_appended(static_cast<uint32_t>(pages));
	if (wrong != 0)
		throw Wrong(std::to_string(wrong) + " of the pages appended are not as they were put");
	if (round == 0)
		entrant.close_and_check_appended(pages);
	return {{"ops_per_second", operations_per_second(all_of(o))}};
}

/* Distinct pages, in no order. */
static std::vector<uint32_t> scattered(uint32_t file_pages, uint32_t wanted, Draws draws)
{
	std::vector<uint32_t> pages(file_pages);
	for (uint32_t i = 0; i < file_pages; i++)
		pages[i] = i;
	for (uint32_t i = 0; i < wanted; i++)
		std::swap(pages[i], pages[i + below(draws.state = next_state(draws.state), file_pages - i)]);
	pages.resize(wanted);
	return pages;
}

static Figures measure_sync(const Conditions &c, Entrant &entrant, unsigned, unsigned round)
{
	entrant.pool().modify(scattered(c.in.file_pages, SYNC_PAGES, draws_of(round, 1, 0)), 0);
	entrant.modified += SYNC_PAGES;
	uint64_t start = nanoseconds();
	entrant.pool().sync();
	uint64_t end = nanoseconds();
	return {{"pages_per_second", SYNC_PAGES * 1e9 / static_cast<double>(end - start)}};
}

/* What an operation takes each of them. */
static Figures measure_time(const Conditions &c, Entrant &entrant, By by, unsigned threads, unsigned round,
                            const char *metric)
{
	Outcome o = run(c, entrant, parts_of(c, threads, round), by);
	return {{metric, threads * 1e9 / operations_per_second(all_of(o))}};
}

Figures measure(const Conditions &c, Entrant &entrant, By by, unsigned threads, unsigned round)
{
	switch (c.in.shape) {
	case Shape::plain:
		return measure_plain(c, entrant, threads, round);
	case Shape::scan:
		return measure_scan(c, entrant, threads, round);
	case Shape::latency:
		return measure_latency(c, entrant, threads, round);
	case Shape::append:
		return measure_append(c, entrant, threads, round);
	case Shape::sync:
		return measure_sync(c, entrant, threads, round);
	case Shape::processes:
		return measure_time(c, entrant, by, threads, round,
		                    by == By::threads ? "ns_by_threads" : "ns_by_processes");
	case Shape::latches:
		return measure_time(c, entrant, by, threads, round, "pair_ns");
	case Shape::memory:
	case Shape::deaths:
		break;
	}
	return {};
}

} // namespace compare
