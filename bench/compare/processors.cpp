/*
 * processors.cpp - see processors.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "processors.hpp"

#include <fstream>
#include <set>
#include <utility>

#include <pthread.h>
#include <sched.h>

namespace compare {

/* A number of /sys/devices/system/cpu/cpuN/topology; -1 when unknown. */
static int topology(int cpu, const char *name)
{
	std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + name);
	int value = -1;
	return file >> value ? value : -1;
}

/* Processors of unknown core count as one each. */
Processors::Processors()
{
	cpu_set_t set;
	std::set<std::pair<int, int>> taken;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(static_cast<unsigned>(cpu), &set))
			continue;
		int core = topology(cpu, "core_id");
		if (core == -1 || taken.emplace(topology(cpu, "physical_package_id"), core).second)
			processors.push_back(cpu);
	}
}

void Processors::bind(unsigned thread, unsigned threads) const
{
	cpu_set_t one;

	if (threads > processors.size())
		return;
	CPU_ZERO(&one);
	CPU_SET(static_cast<unsigned>(processors[thread]), &one);
	/* Where it is forbidden, threads run where they may. */
	pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

} // namespace compare
