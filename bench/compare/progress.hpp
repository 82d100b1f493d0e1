/*
 * progress.hpp - how far the program is, on standard error.
 *
 * A terminal gets one line that is written over; a log gets a line a workload.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <string>

namespace compare {

class Progress {
public:
	/* What all will take, as estimated: what was done sets it right. */
	explicit Progress(double expected_seconds);

	/* A case begins; the one before has ended. */
	void begin(const std::string &name, double expected_seconds);
	/* A part of it is done, which was expected to take so long. */
	void done(double expected_seconds);
	/* On a line of its own. */
	void say(const std::string &text);
	void end();
	double seconds() const;

private:
	std::string time_left() const;
	void show();

	const bool terminal;
	const double expected;
	const double started;
	double behind = 0;      /* expected seconds that are done */
	double end_of_case = 0; /* what that is when the case has ended */
	std::string name;
	bool shown = false;
};

} // namespace compare
