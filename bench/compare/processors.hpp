/*
 * processors.hpp - which processor a thread runs on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <string>
#include <vector>

namespace compare {

/* One processor of each core that this process may use. */
class Processors {
public:
	Processors();

	size_t cores() const { return processors.size(); }
	/* Binds the calling thread, one of `threads`, to a core; does nothing when there
	 * are more threads than cores. */
	void bind(unsigned thread, unsigned threads) const;

private:
	std::vector<int> processors;
};

} // namespace compare
