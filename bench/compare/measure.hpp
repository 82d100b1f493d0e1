/*
 * measure.hpp - one run of one cell, and the figures that it gives.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <vector>

#include "cases.hpp"
#include "crew.hpp"
#include "entrant.hpp"
#include "processors.hpp"

namespace compare {

struct Figure {
	const char *metric;
	double value;
};

using Figures = std::vector<Figure>;

/* Who the members of a cell are. */
enum class By {
	threads,
	processes, /* of one thread each; the pool must be one that processes share */
};

/* What the cells of a case have in common. */
struct Conditions {
	const Case &in;
	const CellTime &time;
	const Processors &processors;
	const std::vector<uint32_t> &sequence; /* of Loop::sequence */
};

/* Throws what run_crew throws, and Wrong when a pool of which nothing is to be
 * evicted read pages. */
Figures measure(const Conditions &, Entrant &, By, unsigned threads, unsigned round);

} // namespace compare
