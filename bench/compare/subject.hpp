/*
 * subject.hpp - what a pool has to offer to take part in the comparison.
 *
 * An adaptor is a class of this shape, one a source file, and nothing else in
 * the program knows the pool behind it:
 *
 *   class Adaptor {
 *   public:
 *     struct Pin { unsigned char *bytes; ... };       bytes == nullptr: failed (errno)
 *     static Description describe();
 *     static const char *cannot(const Work &);        nullptr: takes part; else why not
 *     explicit Adaptor(const Setup &);                throws std::runtime_error
 *     ~Adaptor();                                     frees everything
 *     Pin get(uint32_t page);                         pinned, to be read
 *     Pin get_once(uint32_t page);                    optional: get, of a page wanted once only
 *     Pin get_to_modify(uint32_t page);               pinned, to be modified
 *     void put(Pin &);
 *     void put_modified(Pin &);
 *     Pin append(uint32_t *page);                     a new page at the end, to be modified, zeroed
 *     void sync();                                    all that was modified, on stable storage
 *     uint64_t reads() const;                         pages read from the file since the start, or
 *                                                     NOT_COUNTED
 *     void threads(unsigned);                         optional: so many use it at once from now on;
 *                                                     before the first call, any number
 *   };
 *
 * Gets, puts, appends and sync are called by many threads at once.  An adaptor
 * that only reads says so in cannot(), and takes the other calls from ReadsOnly.
 * The measured loops are templates over the adaptor (loops.hpp): no subject pays
 * for a call through a pointer that its user would not make.
 *
 * Every adaptor is set up as well as its own users would: describe().setup says
 * how, and why that is its best.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace compare {

/* What a workload needs; an adaptor that lacks one of these cannot take part. */
struct Work {
	const char *name;
	bool modifies;
	bool appends;
	bool syncs;
	bool evicts;  /* the file is larger than the cache */
	bool direct;  /* the file is opened with O_DIRECT */
	bool latches; /* a get is a lock of the page */
};

struct Setup {
	const char *path; /* the file, in which pages are as page.hpp says */
	int fd;           /* open on it for reading and writing; O_DIRECT if `direct` */
	bool direct;
	uint32_t page_bytes;
	uint32_t file_pages;
	/* A directory in memory, which names a pool that processes share, and is there for what it
	 * keeps in files; others open the pool by the same.  nullptr: nobody does. */
	const char *shared;
	/* Hold this many pages.  When that is the whole file, hold every page, and
	 * take what memory that needs; otherwise hold this many and no more. */
	uint32_t cache_pages;
};

constexpr uint64_t NOT_COUNTED = UINT64_MAX;

struct Description {
	std::string name; /* short, as in a table's head */
	std::string version;
	std::string setup; /* a sentence or two: how, and why that is its best */
};

/* A pin that is known by the page's address. */
struct AddressPin {
	unsigned char *bytes;
};

/* The calls that an adaptor has refused in cannot(), as it only reads. */
template <class Pin> class ReadsOnly {
public:
	Pin get_to_modify(uint32_t) { refused(); }
	void put_modified(Pin &) { refused(); }
	Pin append(uint32_t *) { refused(); }
	void sync() { refused(); }

private:
	[[noreturn]] static void refused() { throw std::logic_error("this subject only reads"); }
};

} // namespace compare
