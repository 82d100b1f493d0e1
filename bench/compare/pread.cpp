/*
 * pread.cpp - no pool: each get is one pread(2) of the page.
 *
 * What a miss has to pay at least: beside it, the misses of a pool can be read as
 * so many system calls and what the pool adds to them.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "counter.hpp"
#include "own_buffer.hpp"
#include "page_io.hpp"
#include "register.hpp"

namespace {

using namespace compare;

class Pread : public ReadsOnly<AddressPin> {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		return {"pread alone", "", "no pool: every get is one pread of the page into the thread's own buffer"};
	}

	static const char *cannot(const Work &w)
	{
		if (std::string(w.name) == "half" || w.direct)
			return nullptr;
		return "it is there to show what a miss costs at least";
	}

	explicit Pread(const Setup &s) : fd(s.fd), page_bytes(s.page_bytes) {}

	/* The thread has one page at a time. */
	Pin get(uint32_t page)
	{
		unsigned char *bytes = own_buffer();
		count.add(1);
		return {read_whole_page(fd, bytes, page_bytes, page) ? bytes : nullptr};
	}

	void put(Pin &) {}
	uint64_t reads() const { return count.sum(); }

private:
	const int fd;
	const size_t page_bytes;
	Counter count;
};

} // namespace

static const compare::Registered<Pread> registered("pread");
