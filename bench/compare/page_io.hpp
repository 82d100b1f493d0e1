/*
 * page_io.hpp - one page from a file or to it, for adaptors that do this themselves.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <unistd.h>

namespace compare {

/* Both set errno when not all of the page was transferred. */
inline bool page_was_moved(ssize_t moved, size_t page_bytes)
{
	if (moved >= 0 && moved != static_cast<ssize_t>(page_bytes))
		errno = EIO;
	return moved == static_cast<ssize_t>(page_bytes);
}

inline bool read_whole_page(int fd, unsigned char *bytes, size_t page_bytes, uint32_t page)
{
	return page_was_moved(pread(fd, bytes, page_bytes, static_cast<off_t>(page * page_bytes)), page_bytes);
}

inline bool write_whole_page(int fd, const unsigned char *bytes, size_t page_bytes, uint32_t page)
{
	return page_was_moved(pwrite(fd, bytes, page_bytes, static_cast<off_t>(page * page_bytes)), page_bytes);
}

} // namespace compare
