/*
 * ticks.cpp - what a tick is, and what looking at the clock costs; see ticks.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ticks.hpp"

#include <numeric>

#include "histogram.hpp"

namespace compare {

/* The counter against the system's clock, over 20 ms. */
static double nanoseconds_each_tick()
{
	constexpr uint64_t LONG_ENOUGH = 20000000;
	uint64_t start = nanoseconds(), first = ticks_before(), end;
	do
		end = nanoseconds();
	while (end - start < LONG_ENOUGH);
	return static_cast<double>(end - start) / static_cast<double>(ticks_after() - first);
}

/* How long it takes to time nothing. */
static Histogram ticks_of_nothing()
{
	Histogram h;
	h.reserve();
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t start = ticks_before();
		h.add(ticks_after() - start);
	}
	return h;
}

/* The counter of some processors goes on by many at a time. */
static uint64_t step_in_ticks()
{
	uint64_t step = 0, first = ticks_before();
	for (unsigned i = 0; i < 1000; i++)
		step = std::gcd(step, ticks_before() - first);
	return step;
}

static TickRate measure_rate()
{
	TickRate rate;
	rate.nanoseconds_each = nanoseconds_each_tick();
	rate.step = static_cast<double>(step_in_ticks()) * rate.nanoseconds_each;
	rate.cost = static_cast<double>(ticks_of_nothing().quantile(0.5)) * rate.nanoseconds_each;
#if defined(__x86_64__)
	rate.clock = "time-stamp counter, fenced";
#else
	rate.clock = "clock_gettime";
#endif
	return rate;
}

const TickRate &tick_rate()
{
	static const TickRate rate = measure_rate();
	return rate;
}

} // namespace compare
