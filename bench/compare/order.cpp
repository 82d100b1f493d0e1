/*
 * order.cpp - the subjects, and their order in tables.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "register.hpp"

#include <algorithm>

namespace compare {

/* This library, its peers, simple ways, and what bounds all of them. */
static const char *const order[] = {
	"mpool",
	"mpool-static",
	"mpool-peek",
	"mpool-peek-inline",
	"mpool-shared",
	"mpool-latch",
	"mpool-latch-shared",
	"bdb",
	"bdb-shared",
	"hcc",
	"lru",
	"sqlite",
	"mutex",
	"mmap",
	"array",
	"pread",
	"pwritev",
	"exchange",
	"pthread-mutex",
	"pthread-rwlock",
	"pthread-rwlock-shared",
};

/* Made at the first call, which can come from any file's initialization. */
std::vector<Subject> &registered_subjects()
{
	static std::vector<Subject> all;
	return all;
}

/* One that the list has forgotten comes last. */
static size_t rank_of(const Subject &s)
{
	size_t rank = 0;
	for (const char *id : order) {
		if (s.id == id)
			break;
		rank++;
	}
	return rank;
}

std::vector<Subject> subjects_in_order()
{
	std::vector<Subject> all = registered_subjects();
	std::stable_sort(all.begin(), all.end(),
	                 [](const Subject &a, const Subject &b) { return rank_of(a) < rank_of(b); });
	return all;
}

} // namespace compare
