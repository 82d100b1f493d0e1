/*
 * opened.cpp - a cell's peer and file; see measure.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "measure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "compare/failure.hpp"

namespace device {

using compare::throw_errno;

constexpr size_t WARM_BYTES = 1 << 20; /* a call */

Opened::Opened(const Bench &b, const Cell &c, uint32_t file_pages, uint32_t cache_pages)
    : place(c.place), file(b.file.path(), c.place == Place::direct)
{
	const Kind *kind = kind_of(subject_of(c.subject).peer);
	peer = kind->open({b.file.path().c_str(), file.number(), place, file_pages, cache_pages, c.parameter,
	                   b.scratch.path("")});
	if (place == Place::cached)
		warm();
}

/* What was written is on the device before the next cell begins. */
Opened::~Opened()
{
	peer.reset();
	fdatasync(file.number());
}

void Opened::chill()
{
	if (place != Place::cold)
		return;
	peer->forget();
	int failed = posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
	if (failed != 0) {
		errno = failed;
		throw_errno("posix_fadvise");
	}
}

void Opened::warm() const
{
	std::vector<char> bytes(WARM_BYTES);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(file.number(), bytes.data(), bytes.size(), at)) > 0)
		at += n;
	if (n < 0)
		throw_errno("pread");
}

} // namespace device
