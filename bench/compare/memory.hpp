/*
 * memory.hpp - how much memory a pool takes beside the pages' own bytes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include "cases.hpp"
#include "entrant.hpp"

namespace compare {

/*
 * Opens the entrant and loads all pages in a process of its own, and returns what
 * its resident memory has grown by, less the bytes of the pages, for each page.
 * The kernel's own memory, page tables say, is not in it.
 */
double bytes_beside_a_page(Entrant &, const Case &);

} // namespace compare
