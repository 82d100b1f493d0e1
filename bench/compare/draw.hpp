/*
 * draw.hpp - which page comes next.
 *
 * The same sources drive the measured loops and, afterwards, the sums that those
 * must have come to.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <vector>

#include "page.hpp"
#include "part.hpp"

namespace compare {

/* Knuth's MMIX generator: one multiplication and one addition. */
inline uint64_t next_state(uint64_t state)
{
	return state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

/* `range` is a variable, so that one page costs the same draw as many. */
inline uint32_t below(uint64_t state, uint64_t range)
{
	return static_cast<uint32_t>(((state >> 32) * range) >> 32);
}

/*
 * The draws of one of `threads` threads in a round: the same for all subjects.
 * They are others with another number of threads, or a pool would have in memory
 * what the cell before drew last.
 */
inline Draws draws_of(unsigned round, unsigned threads, unsigned thread)
{
	Draws d;
	d.state = mixed(uint64_t{round} << 32 | threads << 16 | thread);
	return d;
}

/* Pages drawn uniformly. */
class Uniform {
public:
	explicit Uniform(const Part &p) : state(p.draws.state), first(p.first), stride(p.stride), range(p.range) {}

	uint32_t next()
	{
		state = next_state(state);
		return first + below(state, range) * stride;
	}

	/* Whether to modify the page drawn last: a bit that did not choose it. */
	bool modify() const { return (state >> 31 & 1) != 0; }

	void save(Draws &d) const { d.state = state; }

private:
	uint64_t state;
	const uint32_t first, stride;
	const uint64_t range;
};

/* Pages that were drawn beforehand. */
class Sequence {
public:
	explicit Sequence(const Part &p)
	    : pages(p.sequence->data()), length(static_cast<uint32_t>(p.sequence->size())), position(p.draws.position)
	{
	}

	uint32_t next()
	{
		uint32_t page = pages[position];
		position = position + 1 == length ? 0 : position + 1;
		return page;
	}

	void save(Draws &d) const { d.position = position; }

private:
	const uint32_t *const pages;
	const uint32_t length;
	uint32_t position;
};

/* All pages in turn, round and round. */
class InTurn {
public:
	explicit InTurn(const Part &p) : first(p.first), stride(p.stride), range(p.range), position(p.draws.position) {}

	uint32_t next()
	{
		uint32_t page = first + position * stride;
		position = position + 1 == range ? 0 : position + 1;
		return page;
	}

	void save(Draws &d) const { d.position = position; }

private:
	const uint32_t first, stride, range;
	uint32_t position;
};

/* A B-tree's pages: the root, its children, and theirs. */
constexpr uint32_t ROOT = 0;
constexpr uint32_t CHILDREN = 100;
constexpr uint32_t LEAVES = CHILDREN * CHILDREN;
constexpr uint32_t TREE_PAGES = 1 + CHILDREN + LEAVES;

inline uint32_t inner_page(uint32_t leaf)
{
	return 1 + leaf / CHILDREN;
}

inline uint32_t leaf_page(uint32_t leaf)
{
	return 1 + CHILDREN + leaf;
}

} // namespace compare
