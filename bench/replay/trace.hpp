/*
 * trace.hpp - the requests that are replayed: page numbers, in the order of time.
 *
 * A trace is read from a file, or is one of our own (made.hpp), and does not change
 * afterwards.  A file is either numbers of 32 bits, the least byte first, one a
 * request, or text: decimal numbers with blanks or line ends between them.  It is
 * text unless its name ends in .u32, or it has a zero byte.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace replay {

struct Trace {
	std::string name;
	std::string directory;                 /* that its file is in; empty: one of our own */
	std::vector<uint32_t> pages;           /* one a request */
	std::vector<uint32_t> ranks;           /* the same requests, pages numbered as they first come */
	uint32_t distinct = 0;                 /* pages */
	bool (*once)(uint32_t page) = nullptr; /* requests of which pages are made with MPOOL_ONCE; null: of none */

	bool own() const { return directory.empty(); }
	uint32_t requests() const { return static_cast<uint32_t>(pages.size()); }
	uint32_t greatest_page() const;
	bool wanted_once(uint32_t page) const { return once != nullptr && once(page); }
};

/* Fills in the ranks.  There is at least one request. */
Trace trace_of(std::string name, std::string directory, std::vector<uint32_t> pages);

/* Named as the file, without what follows the last dot. */
Trace read_trace(const std::string &path);

/* The traces of a directory: its files *.u32 and *.txt, by name. */
std::vector<std::string> trace_files(const std::string &directory);

/* Writes the page numbers as a .u32 file; which are wanted once only it cannot say. */
void write_trace(const Trace &, const std::string &path);

/*
 * The trace cut into so many pieces, which follow each other in time, and are
 * replayed at once: the first request of each, the second of each, and so on.
 */
Trace in_pieces(const Trace &, unsigned pieces);

} // namespace replay
