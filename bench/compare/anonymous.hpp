/*
 * anonymous.hpp - plain anonymous memory from mmap(2), aligned to 4096.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

#include "failure.hpp"

namespace compare {

class Anonymous {
public:
	explicit Anonymous(size_t bytes) : size(bytes)
	{
		void *got = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (got == MAP_FAILED)
			throw_errno("mmap");
		memory = static_cast<unsigned char *>(got);
	}
	~Anonymous() { munmap(memory, size); }
	Anonymous(const Anonymous &) = delete;
	Anonymous &operator=(const Anonymous &) = delete;

	unsigned char *start() const { return memory; }

	/* Fills all of it from the beginning of a file. */
	void read_from(int fd)
	{
		for (size_t done = 0; done < size;) {
			ssize_t n = pread(fd, memory + done, size - done, static_cast<off_t>(done));
			if (n <= 0)
				throw_errno("reading the file");
			done += static_cast<size_t>(n);
		}
	}

private:
	unsigned char *memory;
	const size_t size;
};

} // namespace compare
