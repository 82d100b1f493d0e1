// event.hpp - what a prefetch tells that it is done.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_EVENT_HPP
#define MPOOL_TESTS_EVENT_HPP

#include <poll.h>
#include <sys/eventfd.h>

#include "support.hpp"

namespace test {

// An eventfd, and the wait for it.
class Event {
public:
	Event() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { REQUIRE(fd_ >= 0); }
	operator int() const { return fd_; }
	uint64_t await() const
	{
		struct pollfd p = {fd_, POLLIN, 0};
		REQUIRE(poll(&p, 1, -1) == 1);
		return count();
	}
	void tell() const
	{
		const uint64_t one = 1;
		REQUIRE(write(fd_, &one, sizeof one) == sizeof one);
	}
	uint64_t count() const
	{
		uint64_t n = 0;
		return read(fd_, &n, sizeof n) == sizeof n ? n : 0;
	}

private:
	Fd fd_;
};

} // namespace test

#endif
