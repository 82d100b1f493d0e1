/*
 * mixing.cpp - threads that get and modify pages at the same time.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "compare/draw.hpp"
#include "compare/failure.hpp"
#include "compare/histogram.hpp"
#include "fio.hpp"
#include "measure.hpp"
#include "threads.hpp"

namespace device {

using compare::Histogram;
using compare::nanoseconds;

/* ---- which page is next ---- */

/* By Zipf's law, or rather the continuous law that has its shape: rank r with probability r^-0.8. */
class Zipf {
public:
	explicit Zipf(uint32_t n) : pages(n), span(std::pow(n, POWER) - 1) {}

	uint32_t page(uint64_t state) const
	{
		double u = static_cast<double>(state >> 32) / 4294967296.0;
		auto rank = static_cast<uint32_t>(std::pow(1 + span * u, 1 / POWER) - 1);
		/* Pages that are hot do not stand together in the file. */
		return static_cast<uint32_t>(uint64_t{std::min(rank, pages - 1)} * SCATTER % pages);
	}

private:
	static constexpr double POWER = 1 - 0.8;
	static constexpr uint32_t SCATTER = 2654435761; /* a prime, so that no two ranks have the same place */

	const uint32_t pages;
	const double span;
};

class Uniform {
public:
	explicit Uniform(uint32_t n) : pages(n) {}

	uint32_t page(uint64_t state) const { return compare::below(state, pages); }

private:
	const uint64_t pages;
};

/* A bit that did not choose the page. */
static bool is_to_modify(uint64_t state)
{
	return (state >> 31 & 1) != 0;
}

constexpr uint32_t WARM_CACHES = 5;  /* so many draws a page of the cache before anything is measured */
constexpr unsigned WARMER = 1 << 16; /* whose draws are no thread's */

/* The same for all subjects of a round. */
static uint64_t first_state(const Bench &b, unsigned thread)
{
	return compare::mixed(uint64_t{b.round} << 32 | thread);
}

/* ---- threads ---- */

enum class Phase { warming, measuring, over };

struct Doing {
	unsigned threads;
	bool modifies;
	bool timed;              /* each get for itself */
	uint64_t warm, measured; /* nanoseconds */
};

struct Done {
	uint64_t operations = 0;
	Histogram took;
};

/* Closed loops: each thread does one operation after the other. */
template <class Draw> class Crew {
public:
	Crew(const Bench &b, Peer &p, const Draw &d, const Doing &w)
	    : bench(b), peer(p), draw(d), doing(w), done(w.threads)
	{
	}

	Figures run()
	{
		for (Done &d : done)
			d.took.reserve();
		run_threads(doing.threads, [this](unsigned t) { work(t); }, [this] { direct(); });
		return figures();
	}

private:
	void work(unsigned thread)
	{
		Done &mine = done[thread];
		uint64_t state = first_state(bench, thread);
		for (Phase now; (now = phase.load(std::memory_order_acquire)) != Phase::over;) {
			state = compare::next_state(state);
			uint64_t before = doing.timed ? nanoseconds() : 0;
			peer.visit(draw.page(state), thread, doing.modifies && is_to_modify(state));
			if (now != Phase::measuring)
				continue;
			mine.operations++;
			if (doing.timed)
				mine.took.add(nanoseconds() - before);
		}
	}

	void direct()
	{
		sleep_for(doing.warm);
		reads = peer.reads();
		began = nanoseconds();
		phase.store(Phase::measuring, std::memory_order_release);
		sleep_for(doing.measured);
		phase.store(Phase::over, std::memory_order_release);
		ended = nanoseconds();
		reads_after = peer.reads();
	}

	static void sleep_for(uint64_t time) { std::this_thread::sleep_for(std::chrono::nanoseconds(time)); }

	Figures figures() const
	{
		Histogram all;
		all.reserve();
		double operations = 0, seconds = static_cast<double>(ended - began) / SECOND;
		for (const Done &d : done) {
			operations += static_cast<double>(d.operations);
			all.add_all(d.took);
		}
		Figures f = {{"pages_per_second", operations / seconds}};
		if (reads != NOT_COUNTED) {
			auto read = static_cast<double>(reads_after - reads);
			f.push_back({"reads_per_second", read / seconds});
			if (operations > 0)
				f.push_back({"hit_ratio", std::max(0.0, 1 - read / operations)});
		}
		if (doing.timed)
			add_quantiles(f, "", all, 4);
		return f;
	}

private:
	const Bench &bench;
	Peer &peer;
	const Draw &draw;
	const Doing doing;
	std::vector<Done> done; /* by thread */
	std::atomic<Phase> phase{Phase::warming};
	uint64_t reads = 0, reads_after = 0;
	uint64_t began = 0, ended = 0;
};

/*
 * The cache is as draws leave it that only read.  What a policy keeps changes for a while after the
 * beginning, and who is slower would be measured nearer to that.
 */
template <class Draw> static void warm(const Bench &b, Peer &peer, const Draw &draw, uint32_t cache_pages)
{
	std::vector<uint32_t> pages(size_t{cache_pages} * WARM_CACHES);
	uint64_t state = first_state(b, WARMER);
	for (uint32_t &page : pages) {
		state = compare::next_state(state);
		page = draw.page(state);
	}
	peer.warm(pages.data(), pages.size());
}

/* ---- the mix ---- */

constexpr uint32_t FILE_TO_CACHE = 5;
constexpr unsigned TIMES_LONGER = 4; /* than a cell that reads: the device is to have written for a while */

static uint64_t long_time(const Bench &b)
{
	return uint64_t{b.options.milliseconds} * TIMES_LONGER * 1'000'000;
}

static bool modifies(const Cell &c)
{
	return c.subject != READS_ALONE;
}

Figures mix(const Bench &b, const Cell &c)
{
	const uint32_t cache = b.options.pages / FILE_TO_CACHE;
	Opened peer(b, c, b.options.pages, cache);
	Zipf draw(b.options.pages);
	warm(b, *peer, draw, cache);
	return Crew<Zipf>(b, *peer, draw, {c.parameter, modifies(c), true, long_time(b) / 2, long_time(b)}).run();
}

/* ---- half of the file in memory ---- */

constexpr uint32_t HALF_FILE = 20'000;

static Figures half_cached(const Bench &b, const Cell &c, bool modify)
{
	const uint32_t pages = std::min(HALF_FILE, b.options.pages), cache = pages / 2;
	const uint64_t time = uint64_t{b.options.milliseconds} * 1'000'000;
	Opened peer(b, c, pages, cache);
	Uniform draw(pages);
	warm(b, *peer, draw, cache);
	Figures f = Crew<Uniform>(b, *peer, draw, {c.parameter, modify, false, time / 2, time}).run();
	/* What it did is all reads. */
	if (peer->reads() == NOT_COUNTED)
		f.push_back({"reads_per_second", f.front().value});
	return f;
}

Figures half(const Bench &b, const Cell &c)
{
	return half_cached(b, c, false);
}

Figures half_modify(const Bench &b, const Cell &c)
{
	return half_cached(b, c, true);
}

/* ---- the open loop ---- */

constexpr uint64_t LATE =
	1'000'000; /* nanoseconds after it was due, at its end: a read alone takes a fifth of it at most */
constexpr double OF_FIO = 0.5;
constexpr uint64_t BEGIN_IN = 1'000'000; /* nanoseconds, so that all threads are there */

/* What fio does of the mix with as many requests at once; once a round, so that all subjects have the same rate. */
static double rate_of(const Bench &b, const Cell &c)
{
	static std::map<unsigned, double> by_round;
	auto [at, is_new] = by_round.insert({b.round, 0});
	if (is_new)
		at->second = OF_FIO * fio_pages_per_second({b.overwritten.path(), "randrw", PAGE_BYTES, b.options.pages,
		                                            c.parameter, c.place, b.options.milliseconds});
	return at->second;
}

struct Lateness {
	uint64_t late = 0;
	Histogram took;
};

static void sleep_until(uint64_t due)
{
	struct timespec t;

	t.tv_sec = static_cast<time_t>(due / 1'000'000'000);
	t.tv_nsec = static_cast<long>(due % 1'000'000'000);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR)
		;
}

/* Whichever thread is free takes the next request, sleeps until it is due, and does it: `late` from then on. */
static std::vector<Lateness> run_open_loop(const Bench &b, Peer &peer, const Cell &c, double rate)
{
	const Zipf draw(b.options.pages);
	const double every = SECOND / rate;
	const auto requests = static_cast<uint64_t>(static_cast<double>(long_time(b)) / every) + 1;
	const uint64_t begin = nanoseconds() + BEGIN_IN;
	std::atomic<uint64_t> next{0};
	std::vector<Lateness> all(c.parameter);

	for (Lateness &l : all)
		l.took.reserve();
	run_threads(
		c.parameter,
		[&](unsigned thread) {
			for (uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < requests;) {
				uint64_t state = compare::mixed(first_state(b, 0) + i);
				uint64_t due = begin + static_cast<uint64_t>(static_cast<double>(i) * every);
				sleep_until(due);
				peer.visit(draw.page(state), thread, modifies(c) && is_to_modify(state));
				uint64_t took = nanoseconds() - due;
				all[thread].took.add(took);
				all[thread].late += took > LATE;
			}
		},
		[] {});
	return all;
}

Figures open_loop(const Bench &b, const Cell &c)
{
	const uint32_t cache = b.options.pages / FILE_TO_CACHE;
	const double rate = rate_of(b, c);
	Opened peer(b, c, b.options.pages, cache);
	warm(b, *peer, Zipf(b.options.pages), cache);
	run_open_loop(b, *peer, c, rate); /* until it writes as much as it evicts */
	const uint64_t waits = peer->write_waits();
	double late = 0;
	Histogram took;
	took.reserve();
	for (const Lateness &l : run_open_loop(b, *peer, c, rate)) {
		late += static_cast<double>(l.late);
		took.add_all(l.took);
	}
	const auto requests = static_cast<double>(took.count());
	Figures f = {{"rate", rate}, {"late_per_1000", late * 1000 / requests}};
	if (waits != NOT_COUNTED)
		f.push_back({"waits_per_1000", static_cast<double>(peer->write_waits() - waits) * 1000 / requests});
	add_quantiles(f, "", took, 4);
	return f;
}

} // namespace device
