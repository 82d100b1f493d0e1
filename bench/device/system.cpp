/*
 * system.cpp - the system calls, without a pool: pread, and the file mapped.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <cerrno>
#include <cstdlib>
#include <deque>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compare/failure.hpp"
#include "peers.hpp"

namespace device {

using compare::throw_errno;

namespace {

/* Aligned for O_DIRECT. */
class Buffer {
public:
	explicit Buffer(size_t pages = 1) : bytes(aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES))
	{
		if (bytes == nullptr)
			throw_errno("a buffer");
	}
	~Buffer() { free(bytes); }
	Buffer(const Buffer &) = delete;
	Buffer &operator=(const Buffer &) = delete;

	void *const bytes;
};

off_t offset_of(uint32_t page)
{
	return static_cast<off_t>(page) * PAGE_BYTES;
}

class Pread : public Peer {
public:
	explicit Pread(const Setup &s) : fd(s.fd) {}

	void visit(uint32_t page, unsigned thread, bool modify) override
	{
		static thread_local Buffer buffer; /* for good */

		visit_in(buffer.bytes, page, thread, modify);
	}

protected:
	void visit_in(void *bytes, uint32_t page, unsigned thread, bool modify)
	{
		if (pread(fd, bytes, PAGE_BYTES, offset_of(page)) != PAGE_BYTES)
			throw_errno("pread");
		look_at(bytes, page, thread, modify);
		if (modify && pwrite(fd, bytes, PAGE_BYTES, offset_of(page)) != PAGE_BYTES)
			throw_errno("pwrite");
	}

private:
	const int fd;
};

/* A cache of its size has each page in another place of memory, which the processor's own caches do not hold. */
class PreadFar : public Pread {
public:
	explicit PreadFar(const Setup &s) : Pread(s), places(s.cache_pages) {}

	void visit(uint32_t page, unsigned thread, bool modify) override
	{
		static thread_local Buffer far(places);
		static thread_local size_t next;

		next = (next + FAR) % places;
		visit_in(static_cast<char *>(far.bytes) + next * PAGE_BYTES, page, thread, modify);
	}

private:
	static constexpr size_t FAR = 4099; /* a prime: all places in turn, neighbours seldom */
	const size_t places;
};

/* Pages that are far from each other are not to be read with their neighbours, but ahead of need. */
class Mapped : public Peer {
public:
	explicit Mapped(const Setup &s) : Mapped(s, MADV_RANDOM) {}
	~Mapped() override { munmap(memory, size); }
	Mapped(const Mapped &) = delete;
	Mapped &operator=(const Mapped &) = delete;

	void visit(uint32_t page, unsigned thread, bool modify) override { look_at(at(page), page, thread, modify); }

	uint32_t together(uint32_t d) const override { return d; }

	void visit_all(const uint32_t *pages, size_t n) override
	{
		for (size_t i = 0; i < n && depth > 1; i++)
			if (madvise(at(pages[i]), PAGE_BYTES, MADV_WILLNEED) != 0)
				throw_errno("madvise");
		Peer::visit_all(pages, n);
	}

	void forget() override
	{
		munmap(memory, size);
		memory = map();
	}

protected:
	Mapped(const Setup &s, int how)
	    : fd(s.fd), size(static_cast<size_t>(s.file_pages) * PAGE_BYTES), depth(s.depth), advice(how), memory(map())
	{
	}

private:
	unsigned char *map() const
	{
		void *got = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (got == MAP_FAILED || madvise(got, size, advice) != 0)
			throw_errno("mmap");
		return static_cast<unsigned char *>(got);
	}
	unsigned char *at(uint32_t page) const { return memory + offset_of(page); }

	const int fd;
	const size_t size;
	const uint32_t depth;
	const int advice;
	unsigned char *memory;
};

/* In the file's order. */
class MappedInOrder : public Mapped {
public:
	explicit MappedInOrder(const Setup &s) : Mapped(s, MADV_SEQUENTIAL) {}
};

} // namespace

std::vector<Kind> system_kinds()
{
	return {
		{"pread", "pread alone",
	         "a pread of a page into the thread's own buffer, and a pwrite if it was modified", open_as<Pread>},
		{"pread-far", "pread, each page elsewhere",
	         "as pread alone, but by each thread into as many places in turn as the pools have frames",
	         open_as<PreadFar>},
		{"mmap", "mmap",
	         "MADV_RANDOM, and MADV_WILLNEED of as many pages as the depth; the memory is not bounded",
	         open_as<Mapped>},
		{"mmap-order", "mmap, MADV_SEQUENTIAL", "the file mapped; the memory is not bounded",
	         open_as<MappedInOrder>},
	};
}

} // namespace device
