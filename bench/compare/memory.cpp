/*
 * memory.cpp - see memory.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "memory.hpp"

#include <algorithm>

#include "child.hpp"
#include "machine.hpp"

namespace compare {

/* Signed: another part of the process may have given memory back. */
static double growth_by_loading(Entrant &entrant)
{
	auto before = static_cast<double>(resident_memory());
	entrant.open();
	entrant.load();
	return static_cast<double>(resident_memory()) - before;
}

/* In a process of its own, in which nobody else took memory and gave it back. */
static double growth_in_child(Entrant &entrant)
{
	Common<double> growth(0.0);

	Child child([&] { *growth = growth_by_loading(entrant); });
	child.join();
	return *growth;
}

double bytes_beside_a_page(Entrant &entrant, const Case &c)
{
	double pages = c.file_pages;
	return std::max(0.0, growth_in_child(entrant) / pages - c.page_bytes);
}

} // namespace compare
