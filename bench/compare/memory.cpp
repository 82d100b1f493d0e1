/*
 * memory.cpp - see memory.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "memory.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.hpp"
#include "machine.hpp"

namespace compare {

/* Signed: another part of the process may have given memory back. */
static double growth_by_loading(Entrant &entrant)
{
	auto before = static_cast<double>(resident_memory());
	entrant.open();
	entrant.load();
	return static_cast<double>(resident_memory()) - before;
}

/* Nothing that the parent prepared for its own end may run here. */
[[noreturn]] static void be_child(Entrant &entrant, int pipe_end)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	try {
		double growth = growth_by_loading(entrant);
		_exit(write(pipe_end, &growth, sizeof growth) == sizeof growth ? 0 : 1);
	} catch (const std::exception &e) {
		fprintf(stderr, "mpool-bench: %s\n", e.what());
		_exit(1);
	}
}

static double growth_in_child(Entrant &entrant)
{
	int ends[2];
	double growth = 0;

	if (pipe(ends) != 0)
		throw_errno("making a pipe");
	pid_t child = fork();
	if (child < 0)
		throw_errno("making a process");
	if (child == 0)
		be_child(entrant, ends[1]);
	close(ends[1]);
	bool told = read(ends[0], &growth, sizeof growth) == sizeof growth;
	close(ends[0]);
	int status = 0;
	waitpid(child, &status, 0);
	if (!told || status != 0)
		throw std::runtime_error("the process that was to measure its memory failed");
	return growth;
}

double bytes_beside_a_page(Entrant &entrant, const Case &c)
{
	double pages = c.file_pages;
	return std::max(0.0, growth_in_child(entrant) / pages - c.page_bytes);
}

} // namespace compare
