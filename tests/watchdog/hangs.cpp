// hangs.cpp - a test program that never ends, for watchdog.sh.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "../support.hpp"

using namespace test;

TEST_CASE("a child that sleeps for ever")
{
	REQUIRE(in_child([] {
		for (;;)
			pause();
		return 0;
	}) == 0);
}

TEST_CASE("a loop without end")
{
	std::atomic<bool> over{false};
	while (!over)
		;
}
