/*
 * measure.hpp - the workloads, round by round.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include "compare/files.hpp"
#include "figures.hpp"
#include "options.hpp"
#include "store.hpp"

namespace trees {

struct Work {
	const char *name;
	const char *what;
};

const std::vector<Work> &works();

/* The stores that were asked for. */
std::vector<Kind> wanted_kinds(const Options &);

/* Throws Wrong, or what a store threw. */
void measure_all(const Options &, const compare::Scratch &, FigureFile &);

} // namespace trees
