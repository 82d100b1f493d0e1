/*
 * measure.hpp - the workloads' loops, and what they share.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <ctime>
#include <memory>

#include "compare/histogram.hpp"
#include "compare/ticks.hpp"
#include "peer.hpp"
#include "works.hpp"

namespace device {

/* The subject for which nobody modifies pages. */
constexpr const char *READS_ALONE = "mpool-reads";

/* reading.cpp: one thread */
Figures read_at_random(const Bench &, const Cell &);
Figures read_in_order(const Bench &, const Cell &);
Figures event_loop(const Bench &, const Cell &);

/* mixing.cpp: several threads */
Figures mix(const Bench &, const Cell &);
Figures open_loop(const Bench &, const Cell &);
Figures half(const Bench &, const Cell &);
Figures half_modify(const Bench &, const Cell &);

constexpr double SECOND = 1e9; /* nanoseconds */
constexpr double MICRO = 1e3;

/* Processor time of this process, in nanoseconds. */
inline double processor_time()
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return static_cast<double>(t.tv_sec) * SECOND + static_cast<double>(t.tv_nsec);
}

/* The median and the tail, up to so many nines, under their names; of nothing there are none. */
inline void add_quantiles(Figures &f, const std::string &prefix, const compare::Histogram &h, unsigned nines)
{
	static constexpr std::pair<const char *, double> tail[] = {
		{"p50_us", 0.5}, {"p99_us", 0.99}, {"p999_us", 0.999}, {"p9999_us", 0.9999}};

	for (unsigned i = 0; i < nines && h.count() > 0; i++)
		f.push_back({prefix + tail[i].first, static_cast<double>(h.quantile(tail[i].second)) / MICRO});
}

/* The cell's peer, open on the file, of which the kernel's memory has what the place says. */
class Opened {
public:
	Opened(const Bench &, const Cell &, uint32_t file_pages, uint32_t cache_pages);
	~Opened();
	Opened(const Opened &) = delete;
	Opened &operator=(const Opened &) = delete;

	Peer &operator*() const { return *peer; }
	Peer *operator->() const { return peer.get(); }

	/* For the cold place: the kernel's memory has nothing of the file, again. */
	void chill();

private:
	void warm() const;

	const Place place;
	compare::Descriptor file;
	std::unique_ptr<Peer> peer;
};

} // namespace device
