// clock.hpp - vector clocks: what a thread knows of the others.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef EXPLORE_CLOCK_HPP
#define EXPLORE_CLOCK_HPP

#include <cstdint>

namespace explore {

// Thread 0 sets a run up and checks it at the end; the others are explored.
constexpr unsigned kThreads = 8;
// Processes of a run; most have one, number 0.
constexpr unsigned kProcesses = 4;
constexpr uint32_t kNever = UINT32_MAX;

struct Clock {
	uint32_t at[kThreads] = {};

	void join(const Clock &other)
	{
		for (unsigned t = 0; t < kThreads; t++)
			if (at[t] < other.at[t])
				at[t] = other.at[t];
	}
	bool knows(unsigned thread, uint32_t time) const { return time <= at[thread]; }
};

} // namespace explore

#endif
