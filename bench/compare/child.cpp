/*
 * child.cpp - see child.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "child.hpp"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace compare {

/* ---- semaphores ---- */

void Semaphore::wait()
{
	while (sem_wait(&semaphore) != 0)
		continue; /* a signal */
}

static timespec soon()
{
	constexpr long LOOK_EVERY = 20000000, A_SECOND = 1000000000; /* nanoseconds */
	timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += LOOK_EVERY;
	t.tv_sec += t.tv_nsec / A_SECOND;
	t.tv_nsec %= A_SECOND;
	return t;
}

void Semaphore::wait(const std::function<void()> &look)
{
	for (timespec until = soon(); sem_timedwait(&semaphore, &until) != 0; until = soon())
		look();
}

/* ---- processes ---- */

Child::Child(const std::function<void()> &work)
{
	id = fork();
	if (id < 0)
		throw_errno("making a process");
	if (id == 0)
		run(work);
}

/* Nothing that the parent prepared for its own end may run here. */
void Child::run(const std::function<void()> &work)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	try {
		work();
		_exit(0);
	} catch (const std::exception &e) {
		snprintf(last_words->text, LONGEST, "%s", e.what());
		_exit(1);
	}
}

Child::~Child()
{
	kill();
	wait(0);
}

/* Whether it has ended. */
bool Child::wait(int flags)
{
	while (!ended) {
		pid_t got = waitpid(id, &status, flags);
		if (got == 0)
			break;
		ended = got == id;
	}
	return ended;
}

std::string Child::end() const
{
	if (WIFSIGNALED(status))
		return std::string("a process was killed by ") + strsignal(WTERMSIG(status));
	if (last_words->text[0] != '\0')
		return last_words->text;
	return "a process ended too early";
}

bool Child::has_ended()
{
	return wait(WNOHANG);
}

void Child::look()
{
	if (has_ended())
		throw std::runtime_error(end());
}

void Child::join()
{
	wait(0);
	if (status != 0)
		throw std::runtime_error(end());
}

void Child::kill()
{
	if (!ended)
		::kill(id, SIGKILL);
}

} // namespace compare
