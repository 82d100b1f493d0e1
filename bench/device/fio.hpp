/*
 * fio.hpp - what the device itself does, by fio.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <string>

#include "peer.hpp"

namespace device {

struct FioJob {
	std::string path;
	const char *rw; /* as fio calls it */
	uint32_t bytes; /* of a request */
	uint32_t pages; /* of the file */
	uint32_t depth;
	Place place;
	unsigned milliseconds;
};

/* Whether it is installed. */
bool has_fio();

/* Pages that it reads and writes in a second; each of the file once at the most. */
double fio_pages_per_second(const FioJob &);

} // namespace device
