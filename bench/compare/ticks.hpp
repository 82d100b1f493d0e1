/*
 * ticks.hpp - the cheapest clock that can time one get.
 *
 * On x86 the processor's time-stamp counter, fenced: nothing timed begins before
 * ticks_before has its value, and all of it is over before ticks_after has its.
 * Elsewhere the system's monotonic clock.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace compare {

/* CLOCK_MONOTONIC, in nanoseconds. */
inline uint64_t nanoseconds()
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return static_cast<uint64_t>(t.tv_sec) * UINT64_C(1000000000) + static_cast<uint64_t>(t.tv_nsec);
}

#if defined(__x86_64__)
inline uint64_t ticks_before()
{
	_mm_lfence();
	uint64_t t = __rdtsc();
	_mm_lfence();
	return t;
}

inline uint64_t ticks_after()
{
	unsigned processor;
	uint64_t t = __rdtscp(&processor); /* waits for what is before it */
	_mm_lfence();
	return t;
}
#else
inline uint64_t ticks_before()
{
	return nanoseconds();
}

inline uint64_t ticks_after()
{
	return nanoseconds();
}
#endif

struct TickRate {
	double nanoseconds_each; /* a tick's length */
	double step;             /* nanoseconds by which the clock goes on at a time, at least */
	double cost;             /* nanoseconds that timing nothing takes: in every figure, not taken off */
	const char *clock;
};

/* Measured at the first call, which takes some 20 ms. */
const TickRate &tick_rate();

} // namespace compare
