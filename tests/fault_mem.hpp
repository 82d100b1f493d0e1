// fault_mem.hpp - the library's requests for memory, refused and counted.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// Programs that use it are linked with --wrap for the calls in fault_mem.cpp, so
// it sees those of the library and of the test's own objects, which make none,
// and not those within the C++ library.
#ifndef MPOOL_TESTS_FAULT_MEM_HPP
#define MPOOL_TESTS_FAULT_MEM_HPP

#include <cstdint>

namespace fault {

// What is refused.  Memory: mmap, malloc and its kin, jemalloc's mallocx, and the
// keys of threads, which take some as well.  Key: the making of one alone, which
// happens once in a process.  Advice: madvise, which only matters to how much
// memory is used.
enum class Ask { memory, key, advice };

// While it lives, requests number `first` (from 0) to before first + times are
// refused.  One at a time, and none may be under way at its end.
class Refusal {
public:
	static constexpr uint64_t for_ever = UINT64_MAX;
	Refusal(Ask ask, uint64_t first, uint64_t times);
	~Refusal();
	Refusal(const Refusal &) = delete;
	Refusal &operator=(const Refusal &) = delete;

	uint64_t asked() const; // until now
};

// What was asked for and not given back, since the program began.
struct Held {
	int64_t maps, map_bytes; // mmap
	int64_t blocks;          // malloc and its kin
	int64_t arena_blocks;    // mallocx
	int64_t never_had;       // times that munmap was called for what is no mapping
};
Held held();
inline bool operator==(const Held &a, const Held &b)
{
	return a.maps == b.maps && a.map_bytes == b.map_bytes && a.blocks == b.blocks &&
	       a.arena_blocks == b.arena_blocks && a.never_had == b.never_had;
}

} // namespace fault

#endif
