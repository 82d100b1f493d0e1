/*
 * crew.hpp - the threads of one cell, and the threads that only look on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "page.hpp"
#include "part.hpp"
#include "processors.hpp"
#include "register.hpp"

namespace compare {

struct CellTime {
	unsigned warm_milliseconds;
	unsigned milliseconds;
	/* The threads together touch so many pages first: a cell finds in the processor's
	 * caches what other subjects left there, and it would take one thread longer
	 * than two to get its own in by drawing. */
	uint32_t touched_pages;
};

/* A thread and what became of its part.  A line of its own: threads write here. */
struct alignas(LINE_BYTES) Member {
	explicit Member(Part p) : part(std::move(p)), before(part) {}

	Part part;
	Part before;
	uint64_t warm_start = 0, start = 0, end = 0; /* nanoseconds */
	uint64_t measured = 0;                       /* operations from start to end */
	std::string wrong;                           /* what it read was; empty when right */
	std::exception_ptr failure;
};

/*
 * Each part on a thread: warmed up, then measured for the time given.  What was
 * read is checked on the same thread when nobody measures any more; throws Wrong,
 * or what an adaptor threw.
 */
std::vector<Member> run_crew(Opened &pool, std::vector<Part> parts, const CellTime &time,
			     const Processors &processors);

/* Threads that get and put a page of every pool once and then sleep, as long as this exists. */
class Idlers {
public:
	Idlers(unsigned threads, const std::vector<Opened *> &pools, uint32_t file_pages);
	~Idlers();
	Idlers(const Idlers &) = delete;
	Idlers &operator=(const Idlers &) = delete;

private:
	void start(unsigned threads, const std::vector<Opened *> &pools, uint32_t file_pages);
	void idle(const std::vector<Opened *> &pools, uint32_t page);
	void stop();

	std::mutex mutex;
	std::condition_variable fell_asleep, ended;
	unsigned asleep = 0;
	bool over = false;
	std::exception_ptr failure;
	std::vector<std::thread> threads;
};

} // namespace compare
