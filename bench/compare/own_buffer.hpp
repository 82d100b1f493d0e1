/*
 * own_buffer.hpp - a page's worth of memory for each thread, aligned for O_DIRECT.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

namespace compare {

struct Freer {
	void operator()(unsigned char *p) const { free(p); }
};

constexpr size_t LARGEST_PAGE = 4096;

/* The calling thread's, until it ends. */
inline unsigned char *own_buffer()
{
	static thread_local std::unique_ptr<unsigned char, Freer> buffer;
	if (!buffer)
		buffer.reset(static_cast<unsigned char *>(aligned_alloc(LARGEST_PAGE, LARGEST_PAGE)));
	if (!buffer)
		throw std::bad_alloc();
	return buffer.get();
}

} // namespace compare
