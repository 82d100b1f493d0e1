/*
 * machine.cpp - see machine.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "machine.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "processors.hpp"
#include "ticks.hpp"

namespace compare {

constexpr double GIB = 1024.0 * 1024.0 * 1024.0;

/* The rest of the first line of `path` that starts with `name`; empty when there is none. */
static std::string line_of(const char *path, const std::string &name)
{
	std::ifstream file(path);
	for (std::string line; std::getline(file, line);)
		if (line.compare(0, name.size(), name) == 0) {
			size_t value = line.find_first_not_of("\t :", name.size());
			return value == std::string::npos ? "" : line.substr(value);
		}
	return "";
}

static uint64_t kibibytes_of(const char *path, const char *name)
{
	return strtoull(line_of(path, name).c_str(), nullptr, 10) * 1024;
}

uint64_t available_memory()
{
	return kibibytes_of("/proc/meminfo", "MemAvailable");
}

uint64_t resident_memory()
{
	const char *rollup = "/proc/self/smaps_rollup";
	return kibibytes_of(rollup, "Anonymous") + kibibytes_of(rollup, "Pss_Shmem");
}

static std::string memory_text()
{
	char text[32];

	snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(kibibytes_of("/proc/meminfo", "MemTotal")) / GIB);
	return text;
}

static std::string kernel_text()
{
	struct utsname u;

	return uname(&u) == 0 ? std::string(u.sysname) + " " + u.release + " " + u.machine : "";
}

static std::string compiler_text()
{
#ifdef __clang__
	return __VERSION__;
#else
	return "GCC " __VERSION__;
#endif
}

/* "always [madvise] never": the word in brackets is the setting. */
static std::string huge_pages_text(const std::string &whose)
{
	if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1)
		return "off for this process";
	std::string all = line_of(("/sys/kernel/mm/transparent_hugepage/" + whose).c_str(), "");
	size_t open = all.find('['), close = all.find(']');
	return open == std::string::npos || close == std::string::npos ? all : all.substr(open + 1, close - open - 1);
}

static std::string clock_text()
{
	const TickRate &rate = tick_rate();
	char text[120];

	snprintf(text, sizeof text, "%s: steps of %.3g ns; timing nothing takes %.3g ns", rate.clock, rate.step,
	         rate.cost);
	return text;
}

std::vector<std::pair<std::string, std::string>> machine_facts()
{
	return {
		{"cpu", line_of("/proc/cpuinfo", "model name")},
		{"cores", std::to_string(Processors().cores())},
		{"memory", memory_text()},
		{"kernel", kernel_text()},
		{"compiler", compiler_text()},
		{"thp", huge_pages_text("enabled")},
		{"thp_shared", huge_pages_text("shmem_enabled")},
		{"threads", "each bound to a core of its own where there are not more of them than cores"},
		{"clock of single gets", clock_text()},
	};
}

static double seconds_of(const struct timeval &t)
{
	return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

static double processor_seconds(int whose)
{
	struct rusage r;

	return getrusage(whose, &r) == 0 ? seconds_of(r.ru_utime) + seconds_of(r.ru_stime) : 0;
}

Others::Times Others::now()
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	Times times = {static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9, 0, 0,
	               processor_seconds(RUSAGE_SELF) + processor_seconds(RUSAGE_CHILDREN)};

	/* All processors' ticks, in the order of proc(5). */
	double user = 0, nice = 0, system = 0, idle, iowait, irq = 0, softirq = 0, steal = 0;
	std::istringstream(line_of("/proc/stat", "cpu ")) >> user >> nice >> system >> idle >> iowait >> irq >>
		softirq >> steal;
	auto hertz = static_cast<double>(sysconf(_SC_CLK_TCK));
	times.busy = (user + nice + system + irq + softirq) / hertz;
	times.stolen = steal / hertz;
	return times;
}

Others::Others() : begin(now())
{
	std::string line = line_of("/proc/loadavg", "");
	load_average = line.substr(0, line.find(' '));
}

static std::string decimals(double value)
{
	char text[32];

	snprintf(text, sizeof text, "%.2f", std::max(value, 0.0));
	return text;
}

std::vector<std::pair<std::string, std::string>> Others::facts() const
{
	Times end = now();
	double seconds = end.at - begin.at;
	if (end.busy <= begin.busy || seconds <= 0)
		return {};
	return {
		{"processors", decimals((end.busy - begin.busy - (end.own - begin.own)) / seconds)},
		{"stolen", decimals((end.stolen - begin.stolen) / seconds)},
		{"load_average", load_average},
	};
}

std::string date_now()
{
	char text[32];
	time_t now = time(nullptr);
	struct tm utc;

	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	return text;
}

} // namespace compare
