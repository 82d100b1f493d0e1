// main.cpp - Catch's main, a watchdog for each test case and for each value of its
// generators, and a /dev/shm of the program's own.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// "Nobody waits for ever" is a promise, so a test case that hangs must fail by
// itself, with its name: the watchdog sends SIGALRM when its time is over, by a clock
// that goes only as fast as a busy machine lets the test case go (watchdog/fair.h).

#define CATCH_CONFIG_MAIN
#include "catch.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include "sanitizers.hpp"
#include "watchdog/place.h"
#include "watchdog/watchdog.h"

namespace {

void out_of_time(int)
{
	static const char text[] = "\nout of time: ";
	ssize_t done = write(STDERR_FILENO, text, sizeof text - 1);
	done += write(STDERR_FILENO, watchdog_what(), strlen(watchdog_what()));
	done += write(STDERR_FILENO, "\n", 1);
	abort();
}

struct Limit : test::Listener {
	using test::Listener::Listener;

	// Before there are threads.
	void testRunStarting(const Catch::TestRunInfo &info) override
	{
		test::Listener::testRunStarting(info);
		watchdog_start(test::seconds_per_case);
		place_own(nullptr); // or it shares its user's, with keys that nobody else has
	}
	void testRunEnded(const Catch::TestRunStats &) override { watchdog_stop(); }

	void testCaseStarting(const Catch::TestCaseInfo &info) override
	{
		name_ = info.name;
		signal(SIGALRM, out_of_time);
	}

	// A test case is a section too, begun anew with each value of its generators.
	void sectionStarting(const Catch::SectionInfo &info) override
	{
		test::Listener::sectionStarting(info);
		watchdog_begin(name_.c_str());
	}

	void testCaseEnded(const Catch::TestCaseStats &) override { watchdog_end(); }

private:
	std::string name_;
};

} // namespace

CATCH_REGISTER_LISTENER(Limit)
