/*
 * anchors.cpp - see anchors.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "anchors.hpp"

#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace replay {

static const char *const header = "trace\trequests\tdistinct\tcache_pages\tpolicy\tmiss_ratio";

/* A ratio has four digits. */
constexpr double ROUNDED = 0.5e-4;
constexpr double EXACT = 1e-9; /* what binary fractions may add to that */

void Anchors::read_line(const std::string &line)
{
	std::istringstream fields(line);
	std::string trace;
	uint64_t requests = 0, distinct = 0, cache_pages = 0;
	Anchor a = {};

	std::getline(fields, trace, '\t');
	fields >> requests >> distinct >> cache_pages >> a.policy >> a.miss_ratio;
	if (!fields || !(fields >> std::ws).eof() || !(a.miss_ratio >= 0 && a.miss_ratio <= 1))
		throw std::runtime_error(path + ": not a line of miss ratios: " + line);
	Size &size = sizes.insert({{trace, cache_pages}, {requests, distinct, {}}}).first->second;
	size.anchors.push_back(a);
}

Anchors::Anchors(const std::string &directory) : path(directory + "/anchors.tsv")
{
	std::ifstream file;
	std::string line;

	if (!directory.empty())
		file.open(path);
	if (!file.is_open())
		return;
	if (!std::getline(file, line) || line != header)
		throw std::runtime_error(path + ": the first line is not: " + header);
	while (std::getline(file, line))
		read_line(line);
}

const std::vector<Anchor> &Anchors::of(const Trace &t, uint32_t cache_pages) const
{
	static const std::vector<Anchor> none;

	auto found = sizes.find({t.name, cache_pages});
	if (found == sizes.end())
		return none;
	if (found->second.requests != t.requests() || found->second.distinct != t.distinct)
		throw std::runtime_error(path + ": " + t.name + " has other requests there");
	return found->second.anchors;
}

bool agrees(const Anchor &a, uint32_t misses, uint32_t requests)
{
	return std::fabs(static_cast<double>(misses) / requests - a.miss_ratio) <= ROUNDED + EXACT;
}

} // namespace replay
