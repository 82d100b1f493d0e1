/*
 * progress.cpp - see progress.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "progress.hpp"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include "ticks.hpp"

namespace compare {

static double now()
{
	return static_cast<double>(nanoseconds()) * 1e-9;
}

Progress::Progress(double expected_seconds)
    : terminal(isatty(STDERR_FILENO)), expected(std::max(expected_seconds, 1.0)), started(now())
{
}

double Progress::seconds() const
{
	return now() - started;
}

/* In the first percents the estimate counts for more than what was seen. */
std::string Progress::time_left() const
{
	double faith = expected * 0.05;
	double pace = (seconds() + faith) / (behind + faith);
	auto left = static_cast<unsigned>(std::max(expected - behind, 0.0) * pace);
	char text[40];

	snprintf(text, sizeof text, "about %u:%02u left", left / 60, left % 60);
	return text;
}

void Progress::show()
{
	fprintf(stderr, "\r%3.0f %%  %s, %s\033[K", std::min(100 * behind / expected, 100.0), name.c_str(),
	        time_left().c_str());
	shown = true;
}

void Progress::begin(const std::string &what, double expected_seconds)
{
	name = what;
	behind = end_of_case;
	end_of_case += expected_seconds;
	if (terminal)
		show();
	else
		fprintf(stderr, "%s (%s)\n", name.c_str(), time_left().c_str());
}

void Progress::done(double expected_seconds)
{
	behind = std::min(behind + expected_seconds, end_of_case);
	if (terminal)
		show();
}

void Progress::say(const std::string &text)
{
	fprintf(stderr, "%s%s\n", shown ? "\r\033[K" : "", text.c_str());
	shown = false;
}

void Progress::end()
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}

} // namespace compare
