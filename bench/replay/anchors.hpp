/*
 * anchors.hpp - what other policies miss of a trace, as somebody measured it.
 *
 * A file anchors.tsv beside traces has a line a trace, size and policy: trace,
 * requests, distinct pages, cache_pages, policy, miss_ratio, with tabs between them,
 * under a line that says so.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trace.hpp"

namespace replay {

struct Anchor {
	std::string policy;
	double miss_ratio;
};

class Anchors {
public:
	/* None, if the directory has no such file, or has no name. */
	explicit Anchors(const std::string &directory);

	/* Throws when the file speaks of another trace of that name. */
	const std::vector<Anchor> &of(const Trace &, uint32_t cache_pages) const;

private:
	struct Size {
		uint64_t requests, distinct;
		std::vector<Anchor> anchors;
	};

	void read_line(const std::string &line);

	std::string path;
	std::map<std::pair<std::string, uint64_t>, Size> sizes; /* by trace and cache_pages */
};

/* The same to the last digit that an anchor has. */
bool agrees(const Anchor &, uint32_t misses, uint32_t requests);

} // namespace replay
