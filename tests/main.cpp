// main.cpp - Catch's main, and a limit of time for each test case, and for each value of its generators.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// "Nobody waits for ever" is a promise, so a test case that hangs must fail by
// itself, with its name: when its time is over, SIGALRM ends the program.

#define CATCH_CONFIG_MAIN
#include "catch.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "sanitizers.hpp"

namespace {

char current[512];

void out_of_time(int)
{
	static const char text[] = "\nout of time: ";
	ssize_t done = write(STDERR_FILENO, text, sizeof text - 1);
	done += write(STDERR_FILENO, current, strlen(current));
	done += write(STDERR_FILENO, "\n", 1);
	abort();
}

struct Limit : test::Listener {
	using test::Listener::Listener;

	void testCaseStarting(const Catch::TestCaseInfo &info) override
	{
		strncpy(current, info.name.c_str(), sizeof current - 1);
		signal(SIGALRM, out_of_time);
	}

	// A test case is a section too, begun anew with each value of its generators.
	void sectionStarting(const Catch::SectionInfo &info) override
	{
		test::Listener::sectionStarting(info);
		alarm(test::seconds_per_case);
	}

	void testCaseEnded(const Catch::TestCaseStats &) override { alarm(0); }
};

} // namespace

CATCH_REGISTER_LISTENER(Limit)
