// sweep_child.hpp - a sweep in a child process, whose limits, filters and file
// systems are its own.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_SWEEP_CHILD_HPP
#define MPOOL_TESTS_SWEEP_CHILD_HPP

#include <sys/mman.h>

#include "sweep.hpp"

namespace sweep {

// `f` returns the number of cases, or 0: it cannot be done here.
inline uint64_t in_child(const std::function<uint64_t()> &f)
{
	// What the child has to say.
	struct Said {
		uint64_t cases;
		char wrong[500];
	};
	void *shared = mmap(nullptr, sizeof(Said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
	Said *said = new (shared) Said{};
	int result = test::in_child([&] {
		try {
			said->cases = f();
		} catch (const std::exception &wrong) {
			strncpy(said->wrong, wrong.what(), sizeof said->wrong - 1);
			return 1;
		}
		return 0;
	});
	INFO(said->wrong);
	REQUIRE(result == 0);
	uint64_t cases = said->cases;
	munmap(shared, sizeof(Said));
	return cases;
}

} // namespace sweep

#endif
