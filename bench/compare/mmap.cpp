/*
 * mmap.cpp - the file mapped into memory: the kernel is the pool.
 *
 * Not bounded: the kernel keeps as much of the file in memory as it likes, so the
 * mapping has no misses where the pools have them.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include <sys/mman.h>
#include <unistd.h>

#include "failure.hpp"
#include "register.hpp"

namespace {

using namespace compare;

/* Addresses for appended pages, and how far ahead of them the file is made longer. */
constexpr size_t RESERVED = size_t{1} << 36;
constexpr uint64_t AHEAD = uint64_t{1} << 26;

class Mapped {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		return {"mmap", "",
		        "the file mapped MAP_SHARED; appends take a number from an atomic counter, the file being made "
		        "longer 64 MiB ahead; sync is msync and fsync. Its memory is not bounded: the cache's size "
		        "does not count for it, and what others miss is in its memory. What it does when a page is "
		        "first modified, others do when they sync"};
	}

	static const char *cannot(const Work &w)
	{
		if (w.direct)
			return "a mapping always goes through the kernel's cache";
		if (strcmp(w.name, "memory") == 0)
			return "its pages are the kernel's: not applicable";
		return nullptr;
	}

	explicit Mapped(const Setup &s)
	    : fd(s.fd), page_bytes(s.page_bytes), size(std::max(size_t{s.file_pages} * s.page_bytes, MINIMUM)),
	      appends(s.file_pages == 0)
	{
		if (appends)
			size = RESERVED;
		/* Beyond the file's end there are only addresses. */
		void *got = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
		if (got == MAP_FAILED)
			throw_errno("mmap");
		memory = static_cast<unsigned char *>(got);
	}

	~Mapped()
	{
		munmap(memory, size);
		if (appends && ftruncate(fd, static_cast<off_t>(pages * page_bytes)) != 0)
			perror("mmap: cutting off what was not used");
	}
	Mapped(const Mapped &) = delete;
	Mapped &operator=(const Mapped &) = delete;

	Pin get(uint32_t page) { return {memory + page * page_bytes}; }
	Pin get_to_modify(uint32_t page) { return get(page); }
	void put(Pin &) {}
	void put_modified(Pin &) {}
	uint64_t reads() const { return NOT_COUNTED; }

	Pin append(uint32_t *page)
	{
		uint64_t number = pages.fetch_add(1, std::memory_order_relaxed);
		uint64_t end = (number + 1) * page_bytes;
		if (end > file_bytes.load(std::memory_order_acquire))
			lengthen(end);
		*page = static_cast<uint32_t>(number);
		return get(*page);
	}

	void sync()
	{
		size_t used = appends ? pages * page_bytes : size;
		if (used != 0 && msync(memory, used, MS_SYNC) != 0)
			throw_errno("msync");
		if (fsync(fd) != 0)
			throw_errno("fsync");
	}

private:
	static constexpr size_t MINIMUM = 4096;

	[[gnu::noinline]] void lengthen(uint64_t end)
	{
		std::lock_guard<std::mutex> lock(lengthening);
		if (end <= file_bytes.load(std::memory_order_relaxed))
			return;
		if (end > RESERVED)
			throw std::runtime_error("no addresses are left for new pages");
		if (ftruncate(fd, static_cast<off_t>(end + AHEAD)) != 0)
			throw_errno("ftruncate");
		file_bytes.store(end + AHEAD, std::memory_order_release);
	}

	const int fd;
	const size_t page_bytes;
	size_t size;
	const bool appends;
	unsigned char *memory;
	std::atomic<uint64_t> pages{0};
	std::atomic<uint64_t> file_bytes{0};
	std::mutex lengthening;
};

} // namespace

static const compare::Registered<Mapped> registered("mmap");
