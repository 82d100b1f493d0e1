/*
 * crew.hpp - the threads or processes of one cell, and the threads that only look on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
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

/* When it was done, in nanoseconds, and how many operations from start to end. */
struct Course {
	uint64_t warm_start = 0, start = 0, end = 0;
	uint64_t measured = 0;
};

/* A thread and what became of its part.  A line of its own: threads write here. */
struct alignas(LINE_BYTES) Member : Course {
	explicit Member(Part p) : part(std::move(p)), before(part) {}

	Part part;
	Part before;
	std::string wrong; /* what it read was; empty when right */
	std::exception_ptr failure;
};

/*
 * Each part on a thread: warmed up, then measured for the time given.  What was
 * read is checked on the same thread when nobody measures any more; throws Wrong,
 * or what an adaptor threw.
 */
std::vector<Member> run_crew(Opened &pool, std::vector<Part> parts, const CellTime &time, const Processors &processors);

/*
 * The same, each part in a process of one thread, which opens the pool by itself.  A
 * process that fails, or dies, ends the cell: throws std::runtime_error.
 */
std::vector<Member> run_processes(const std::function<std::unique_ptr<Opened>()> &open, std::vector<Part> parts,
                                  const CellTime &time, const Processors &processors);

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
