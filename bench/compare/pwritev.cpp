/*
 * pwritev.cpp - no pool: what a sync has to pay at least.
 *
 * All pages are in memory, and it is known which are modified: sync writes them
 * in the file's order, adjacent ones with one pwritev(2), and flushes the file.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <algorithm>
#include <climits>
#include <vector>

#include <sys/uio.h>

#include "anonymous.hpp"
#include "register.hpp"

namespace {

using namespace compare;

class Pwritev {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		return {"pwritev in order", "",
		        "no pool: all pages in an array; sync writes those modified in the file's order, adjacent ones "
		        "with one pwritev, and calls fsync"};
	}

	static const char *cannot(const Work &w)
	{
		return std::string(w.name) == "sync" ? nullptr : "it is there to show what a sync costs at least";
	}

	explicit Pwritev(const Setup &s)
	    : fd(s.fd), page_bytes(s.page_bytes), memory(size_t{s.file_pages} * s.page_bytes)
	{
		memory.read_from(s.fd);
	}

	Pin get(uint32_t page) { return {memory.start() + page * page_bytes}; }
	Pin get_to_modify(uint32_t page) { return get(page); }
	void put(Pin &) {}

	/* By one thread, as the workload has only one. */
	void put_modified(Pin &pin)
	{
		modified.push_back(static_cast<uint32_t>(static_cast<size_t>(pin.bytes - memory.start()) / page_bytes));
	}

	void sync()
	{
		std::sort(modified.begin(), modified.end());
		modified.erase(std::unique(modified.begin(), modified.end()), modified.end());
		for (size_t i = 0; i < modified.size();)
			i += write_run(i);
		modified.clear();
		if (fsync(fd) != 0)
			throw_errno("fsync");
	}

	Pin append(uint32_t *) { throw std::runtime_error("it has no room for new pages"); }
	uint64_t reads() const { return NOT_COUNTED; }

private:
	/* The pages from modified[first] on that stand side by side; returns how many. */
	size_t write_run(size_t first)
	{
		iovec parts[IOV_MAX];
		size_t n = 0;
		while (n < IOV_MAX && first + n < modified.size() && modified[first + n] == modified[first] + n) {
			parts[n] = {get(modified[first + n]).bytes, page_bytes};
			n++;
		}
		if (pwritev(fd, parts, static_cast<int>(n), static_cast<off_t>(modified[first] * page_bytes)) !=
		    static_cast<ssize_t>(n * page_bytes))
			throw_errno("pwritev");
		return n;
	}

	const int fd;
	const size_t page_bytes;
	Anonymous memory;
	std::vector<uint32_t> modified;
};

} // namespace

static const compare::Registered<Pwritev> registered("pwritev");
