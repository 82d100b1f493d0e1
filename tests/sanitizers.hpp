// sanitizers.hpp - is this a sanitized build, and what follows for the tests.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_SANITIZERS_HPP
#define MPOOL_TESTS_SANITIZERS_HPP

#include <cstddef>

// gcc has macros, clang has features.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

namespace test {

#ifdef __SANITIZE_THREAD__
constexpr bool tsan = true;
#else
constexpr bool tsan = false;
#endif
#ifdef __SANITIZE_ADDRESS__
constexpr bool asan = true;
#else
constexpr bool asan = false;
#endif
constexpr bool sanitized = tsan || asan;
#ifdef MPOOL_COVERAGE
constexpr bool slow = true;
#else
constexpr bool slow = tsan;
#endif

// A count for an ordinary build, made smaller for a sanitized one.
constexpr size_t shrink(size_t n, size_t tsan_factor = 6, size_t asan_factor = 4)
{
	size_t f = tsan ? tsan_factor : asan ? asan_factor : 1;
	return n / f ? n / f : 1;
}

// A test case that takes longer hangs, by the watchdog's clock, which goes no faster
// than a busy machine lets it.  The longest takes 15, under an emulator 40.
constexpr unsigned seconds_per_case = sanitized || slow ? 600 : 300;

} // namespace test

#endif
