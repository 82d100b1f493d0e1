/*
 * array.cpp - all pages side by side in memory: the least that a get can cost.
 *
 * The address is computed from the page number; nothing is pinned, found or
 * counted.  In the latency workload, the pages for which there is no room are
 * read from the file each time, by the thread that is not timed.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <cstring>

#include "anonymous.hpp"
#include "own_buffer.hpp"
#include "page_io.hpp"
#include "register.hpp"

namespace {

using namespace compare;

class Array : public ReadsOnly<AddressPin> {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		return {"array", "",
		        "no pool: all pages in one piece of anonymous memory, the address computed from the page "
		        "number. The least that any program can pay"};
	}

	static const char *cannot(const Work &w)
	{
		if (w.modifies || w.appends)
			return "it has no way back to the file";
		if (w.evicts && strcmp(w.name, "latency") != 0)
			return "it holds all pages or none";
		return nullptr;
	}

	explicit Array(const Setup &s)
	    : fd(s.fd), page_bytes(s.page_bytes), pages(s.cache_pages), memory(size_t{s.cache_pages} * s.page_bytes)
	{
		memory.read_from(s.fd);
	}

	Pin get(uint32_t page)
	{
		if (__builtin_expect(page >= pages, false))
			return read(page);
		return {memory.start() + page * page_bytes};
	}

	void put(Pin &) {}
	uint64_t reads() const { return NOT_COUNTED; }

private:
	[[gnu::noinline]] Pin read(uint32_t page)
	{
		unsigned char *bytes = own_buffer();
		return {read_whole_page(fd, bytes, page_bytes, page) ? bytes : nullptr};
	}

	const int fd;
	const size_t page_bytes;
	const uint32_t pages;
	Anonymous memory;
};

} // namespace

static const compare::Registered<Array> registered("array");
