/*
 * peer.hpp - who brings pages from the device: what it has to offer to take part in mpool-device.
 *
 * Calls go through a table here, unlike in mpool-bench: each stands for a read of a page at least.
 * Whoever looks at a page compares the word of it that page.hpp says.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "compare/page.hpp"

namespace device {

constexpr uint32_t PAGE_BYTES = 4096;

/* Where the file's pages are when they are read. */
enum class Place {
	direct, /* O_DIRECT: on the device */
	cold,   /* the kernel has none of them in its memory */
	cached, /* the kernel has all of them */
};

struct Setup {
	const char *path;
	int fd; /* open on it for reading and writing, as `place` says */
	Place place;
	uint32_t file_pages;
	uint32_t cache_pages;
	uint32_t depth;      /* reads in flight at once */
	std::string scratch; /* a directory for files of its own, which stay until the program ends */
};

class Peer {
public:
	virtual ~Peer() = default;

	/* The page is looked at, and modified if `modify`.  By any thread at any time. */
	virtual void visit(uint32_t page, unsigned thread, bool modify) = 0;

	/* So many pages it wants to be told at once, where `depth` reads are to be in flight. */
	virtual uint32_t together(uint32_t) const { return 1; }

	/* The pages are looked at, perhaps only by the end of finish().  By one thread. */
	virtual void visit_all(const uint32_t *pages, size_t n)
	{
		for (size_t i = 0; i < n; i++)
			visit(pages[i], 0, false);
	}
	virtual void finish() {}

	/* The pages are got in this order, as quickly as it can, so that in memory is what it keeps of them. */
	virtual void warm(const uint32_t *, size_t) {}

	/* The kernel is to forget the file: nothing of it may be in use. */
	virtual void forget() {}

	/* true: the page is on its way, and 1 will be added to the eventfd when visit() has not to wait for it. */
	virtual bool begin(uint32_t, int) { return false; }

	/* Pages read from the file since it was opened; NOT_COUNTED. */
	virtual uint64_t reads() const;
	/* Calls that waited for a thread that writes ahead of need, as reads(). */
	virtual uint64_t write_waits() const;
};

constexpr uint64_t NOT_COUNTED = UINT64_MAX;

inline uint64_t Peer::reads() const
{
	return NOT_COUNTED;
}

inline uint64_t Peer::write_waits() const
{
	return NOT_COUNTED;
}

/* A peer that is set up in one of the ways that are measured. */
struct Kind {
	const char *id;
	const char *name;  /* in tables */
	const char *setup; /* how, and why so */
	std::unique_ptr<Peer> (*open)(const Setup &);
};

/* All that this build has. */
const std::vector<Kind> &kinds();

/* nullptr: this build is without it. */
const Kind *kind_of(const std::string &id);

inline void check_page(const void *bytes, uint32_t page)
{
	if (compare::read_page(static_cast<const unsigned char *>(bytes), page) != compare::read_value_of(page))
		throw std::logic_error("page " + std::to_string(page) + " is not the right one");
}

/* Checks it, and counts a modification if there is one. */
inline void look_at(void *bytes, uint32_t page, unsigned thread, bool modify)
{
	check_page(bytes, page);
	if (modify)
		compare::modify_page(static_cast<unsigned char *>(bytes), thread);
}

} // namespace device
