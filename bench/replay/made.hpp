/*
 * made.hpp - our own traces, for those who have none.
 *
 * Each is one kind of use of a pool, drawn from a fixed seed: the same in every run.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trace.hpp"

namespace replay {

/* Before the name of one of our own: no trace of a file is taken for it. */
constexpr char OWN[] = "own:";

struct Made {
	const char *name;
	const char *what; /* its parameters, for a person */
	std::vector<uint32_t> (*pages)();
	bool (*once)(uint32_t page); /* as Trace has it */
};

const std::vector<Made> &made_traces();
/* Of the name without OWN; null: there is none. */
const Made *made_trace(const std::string &name);
Trace make(const Made &);

} // namespace replay
