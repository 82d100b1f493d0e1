/*
 * part.hpp - one thread's part of a cell: what it is to do, and what it did.
 *
 * A thread runs a loop twice on one part: to warm up, and to be measured.  The
 * second run goes on where the first one stopped drawing.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "histogram.hpp"

namespace compare {

/* The measured loops, which loops.hpp has. */
enum class Loop {
	read,      /* gets of pages drawn uniformly */
	sequence,  /* gets of pages drawn before */
	descend,   /* root, inner page, leaf: a child is got before its parent is put */
	modify,    /* as read, but half of the gets are to modify */
	scan,      /* gets of all pages in the file's order, round and round */
	scan_once, /* the same, and the pool is told that each page is wanted once only, if it can be */
	append,    /* new pages */
	timed,     /* gets of a few pages in turn, each timed */
};

/* A thread looks at the flag that stops it once a batch. */
constexpr unsigned BATCH = 32;

/* Where drawing stands; the same values give the same draws. */
struct Draws {
	uint64_t state = 0;    /* the generator's */
	uint32_t position = 0; /* in a sequence, or of a scan */
};

/* What was done, in all runs so far. */
struct Done {
	uint64_t operations = 0;
	uint64_t gets = 0;     /* new pages count */
	uint64_t sum = 0;      /* of the words read */
	uint64_t modified = 0; /* words modified */
};

struct Part : Done {
	/* What to do. */
	Loop loop = Loop::read;
	unsigned thread = 0;
	uint32_t first = 0; /* pages first, first + stride, ... : `range` of them */
	uint32_t stride = 1;
	uint32_t range = 1;
	const std::vector<uint32_t> *sequence = nullptr;
	const std::atomic<bool> *stop = nullptr;
	Draws draws;

	Histogram ticks; /* of Loop::timed */
};

} // namespace compare
