/*
 * works.cpp - see works.hpp.  reading.cpp and mixing.cpp measure.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "works.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "fio.hpp"
#include "measure.hpp"

namespace device {

const std::vector<Subject> &subjects()
{
	static const std::vector<Subject> all = {
		{"mpool", "mpool", nullptr, nullptr},
		{"mpool-getv", "mpool-getv", nullptr, nullptr},
		{"mpool-prefetch", "mpool-prefetch", nullptr, nullptr},
		{"mpool-ahead", "mpool-ahead", nullptr, nullptr},
		{"mpool-cleaner", "mpool-cleaner", nullptr, nullptr},
		{READS_ALONE, "mpool", "libmpool, reads alone", "as libmpool, but nobody writes"},
		{"mpool-events", "mpool-events", nullptr, nullptr},
		{"mpool-waits", "mpool", "libmpool, gets that wait", "as libmpool; the loop waits for each page"},
		{"bdb", "bdb", nullptr, nullptr},
		{"bdb-trickle", "bdb-trickle", nullptr, nullptr},
		{"rocksdb", "rocksdb", nullptr, nullptr},
		{"mmap", "mmap", nullptr, nullptr},
		{"mmap-order", "mmap-order", nullptr, nullptr},
		{"pread", "pread", nullptr, nullptr},
		{"pread-far", "pread-far", nullptr, nullptr},
		{"fio", nullptr, "fio",
	         "io_uring or libaio at depths of more than 1, else psync; no pool: the device's own figures"},
	};
	return all;
}

const std::vector<Work> &works()
{
	const Place direct = Place::direct, cold = Place::cold, cached = Place::cached;
	static const std::vector<Work> all = {
		{"random",
	         "one thread reads the file in random order, each page once",
	         "depth",
	         {direct, cold},
	         {},
	         {"mpool", "mpool-getv", "mpool-prefetch", "rocksdb", "bdb", "mmap", "pread", "fio"},
	         read_at_random},
		{"order",
	         "one thread reads the file from its beginning to its end",
	         "threads",
	         {direct, cold, cached},
	         {1},
	         {"mpool", "mpool-ahead", "bdb", "mmap-order", "pread", "fio"},
	         read_in_order},
		{"mix",
	         "two threads get pages by Zipf's law, exponent 0.8, and modify every second one; the file is five times the cache",
	         "threads",
	         {direct, cached},
	         {2},
	         {"mpool", "mpool-cleaner", READS_ALONE, "bdb", "bdb-trickle", "mmap", "pread"},
	         mix},
		{"open",
	         "the same as an open loop: eight threads take requests that are due at half of the rate of fio's mix",
	         "threads",
	         {direct},
	         {8},
	         {"mpool", "mpool-cleaner", READS_ALONE, "pread"},
	         open_loop},
		{"loop",
	         "an event loop: requests of 2,000 gets of 100 hot pages are due every 100 us, beside 8 who read cold pages at random",
	         "readers",
	         {direct, cold},
	         {8},
	         {"mpool-events", "mpool-waits", "mmap"},
	         event_loop},
		{"half",
	         "threads get pages drawn uniformly; half of the file is in the pool, all of it in the kernel's memory",
	         "threads",
	         {cached},
	         {1, 2},
	         {"mpool", "bdb", "pread", "pread-far"},
	         half},
		{"half-modify",
	         "as half, but every second get modifies the page",
	         "threads",
	         {cached},
	         {2, 64},
	         {"mpool", "mpool-cleaner", "bdb", "bdb-trickle"},
	         half_modify},
	};
	return all;
}

static const Subject *find_subject(const std::string &id)
{
	for (const Subject &s : subjects())
		if (id == s.id)
			return &s;
	return nullptr;
}

const Subject &subject_of(const std::string &id)
{
	const Subject *s = find_subject(id);
	if (s == nullptr)
		throw std::logic_error("no subject " + id);
	return *s;
}

static bool is_here(const Subject &s)
{
	return s.peer != nullptr ? kind_of(s.peer) != nullptr : has_fio();
}

bool is_subject(const std::string &id)
{
	const Subject *s = find_subject(id);
	return s != nullptr && is_here(*s);
}

std::vector<Subject> subjects_here()
{
	std::vector<Subject> some;
	for (const Subject &s : subjects())
		if (is_subject(s.id))
			some.push_back(s);
	return some;
}

std::string name_of(const Subject &s)
{
	return s.name != nullptr ? s.name : kind_of(s.peer)->name;
}

std::string setup_of(const Subject &s)
{
	return s.setup != nullptr ? s.setup : kind_of(s.peer)->setup;
}

const char *name_of(Place p)
{
	switch (p) {
	case Place::direct:
		return "direct";
	case Place::cold:
		return "cold";
	case Place::cached:
		break;
	}
	return "cached";
}

/* libdb of Debian is built without O_DIRECT; what is mapped is in the kernel's memory. */
static bool can_be_at(const std::string &subject, Place p)
{
	return p != Place::direct || (subject.rfind("bdb", 0) != 0 && subject.rfind("mmap", 0) != 0);
}

/* Those that read one page after the other do so at any depth. */
static bool has_depth(const std::string &subject)
{
	return subject != "mpool" && subject != "bdb" && subject != "pread";
}

static bool takes_part(const Work &w, const std::string &subject, Place p, unsigned parameter)
{
	if (!is_subject(subject) || !can_be_at(subject, p))
		return false;
	if (strcmp(w.name, "open") == 0 && !has_fio())
		return false; /* it names the rate */
	return strcmp(w.parameter, "depth") != 0 || parameter == 1 || has_depth(subject);
}

std::vector<std::vector<Cell>> groups_of(const Work &w, const Options &o)
{
	std::vector<std::vector<Cell>> groups;

	for (Place p : w.places)
		for (unsigned parameter : w.parameters.empty() ? o.depths : w.parameters) {
			std::vector<Cell> group;
			for (const char *s : w.subjects)
				if (o.wants_subject(s) && takes_part(w, s, p, parameter))
					group.push_back({&w, p, parameter, s});
			if (!group.empty())
				groups.push_back(group);
		}
	return groups;
}

} // namespace device
