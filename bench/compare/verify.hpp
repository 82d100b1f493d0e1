/*
 * verify.hpp - what the loops must have come to, and what files must hold.
 *
 * The sums come from the draws alone: no pool and no page is looked at.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "part.hpp"

namespace compare {

/* A pool did not do what was asked of it: the program ends. */
struct Wrong : std::runtime_error {
	using std::runtime_error::runtime_error;
};

/* The part as it was before its first run, and after its last: "" when right. */
std::string what_is_wrong(const Part &before, const Part &after);

/* Reads the whole file, whose pages are as fill_page made them but for the
 * modified words, and returns the sum of these.  Throws Wrong. */
uint64_t modified_in_file(const char *path, uint32_t page_bytes, uint32_t pages);

/* Exactly these pages, each as stamp_page left it.  Throws Wrong. */
void check_appended_file(const char *path, uint32_t page_bytes, uint64_t pages);

} // namespace compare
