/*
 * crew.cpp - see crew.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "crew.hpp"

#include <chrono>
#include <deque>

#include "child.hpp"
#include "ticks.hpp"
#include "verify.hpp"

namespace compare {

namespace {

/* Members arrive, and go on when all have and the one that runs them lets them. */
class Meeting {
public:
	void attend()
	{
		arrived.post();
		go_on.wait();
	}
	/* `look` throws when a member will not come. */
	void gather(unsigned members, const std::function<void()> &look)
	{
		for (unsigned i = 0; i < members; i++)
			arrived.wait(look);
	}
	void release(unsigned members)
	{
		for (unsigned i = 0; i < members; i++)
			go_on.post();
	}

private:
	Semaphore arrived, go_on;
};

/* What the members of a cell have in common; the flags are all they look at while they run. */
struct Cell {
	Cell(const CellTime &t, const Processors &where, size_t n)
	    : time(t), processors(where), members(static_cast<unsigned>(n))
	{
	}

	alignas(LINE_BYTES) std::atomic<bool> warm{false};
	alignas(LINE_BYTES) std::atomic<bool> over{false};
	alignas(LINE_BYTES) const CellTime &time;
	const Processors &processors;
	const unsigned members;
	Meeting start, finish;
};

} // namespace

static void run_member(Cell &cell, Opened &pool, Member &m)
{
	m.warm_start = nanoseconds();
	m.part.stop = &cell.warm;
	pool.run(m.part);

	uint64_t before = m.part.operations;
	m.part.ticks.clear();
	m.part.stop = &cell.over;
	m.start = nanoseconds();
	pool.run(m.part);
	m.end = nanoseconds();
	m.measured = m.part.operations - before;
}

/* What is thrown is kept for the thread that runs the cell. */
static void attempt(Member &m, const std::function<void()> &what)
{
	try {
		if (!m.failure)
			what();
	} catch (...) {
		m.failure = std::current_exception();
	}
}

/* `sharers` members use the pool as it is open here. */
static void be_member(Cell &cell, Opened &pool, Member &m, unsigned sharers)
{
	cell.processors.bind(m.part.thread, cell.members);
	attempt(m, [&] { pool.touch(m.part.thread % sharers, sharers, cell.time.touched_pages); });
	cell.start.attend();
	attempt(m, [&] { run_member(cell, pool, m); });
	cell.finish.attend();
	attempt(m, [&] { m.wrong = what_is_wrong(m.before, m.part); });
}

static void sleep_for(unsigned milliseconds)
{
	std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

static void conduct(Cell &cell, const std::function<void()> &look)
{
	cell.start.gather(cell.members, look);
	cell.start.release(cell.members);
	sleep_for(cell.time.warm_milliseconds);
	cell.warm.store(true, std::memory_order_relaxed);
	sleep_for(cell.time.milliseconds);
	cell.over.store(true, std::memory_order_relaxed);
	cell.finish.gather(cell.members, look);
	cell.finish.release(cell.members);
}

static void check(const Member &m)
{
	if (m.failure)
		std::rethrow_exception(m.failure);
	if (!m.wrong.empty())
		throw Wrong("thread " + std::to_string(m.part.thread + 1) + ": " + m.wrong);
}

/* ---- threads ---- */

std::vector<Member> run_crew(Opened &pool, std::vector<Part> parts, const CellTime &time, const Processors &processors)
{
	Cell cell(time, processors, parts.size());
	std::vector<Member> members(parts.begin(), parts.end());
	std::vector<std::thread> threads;

	for (Member &m : members)
		threads.emplace_back([&] { be_member(cell, pool, m, cell.members); });
	conduct(cell, [] {}); /* a thread comes, or takes the program with it */
	for (std::thread &t : threads)
		t.join();
	for (const Member &m : members)
		check(m);
	return members;
}

/* ---- processes ---- */

namespace {

/* A member's results, as they come back from its process. */
struct Report {
	Course course;
	Done done;
};

struct Process {
	Process(Cell &cell, Member &m, const std::function<std::unique_ptr<Opened>()> &open)
	    : child([&, this] { be(cell, m, open); })
	{
	}

	Common<Report> report; /* before the child, which writes it */
	Child child;

private:
	void be(Cell &cell, Member &m, const std::function<std::unique_ptr<Opened>()> &open) const
	{
		std::unique_ptr<Opened> pool = open();
		be_member(cell, *pool, m, 1);
		check(m);
		*report = {m, m.part};
	}
};

} // namespace

std::vector<Member> run_processes(const std::function<std::unique_ptr<Opened>()> &open, std::vector<Part> parts,
                                  const CellTime &time, const Processors &processors)
{
	Common<Cell> cell(time, processors, parts.size());
	std::vector<Member> members(parts.begin(), parts.end());
	std::deque<Process> processes;

	for (Member &m : members)
		processes.emplace_back(*cell, m, open);
	conduct(*cell, [&] {
		for (Process &p : processes)
			p.child.look();
	});
	for (size_t i = 0; i < members.size(); i++) {
		processes[i].child.join();
		static_cast<Course &>(members[i]) = processes[i].report->course;
		static_cast<Done &>(members[i].part) = processes[i].report->done;
	}
	return members;
}

/* ---- idlers ---- */

Idlers::Idlers(unsigned n, const std::vector<Opened *> &pools, uint32_t file_pages)
{
	try {
		start(n, pools, file_pages);
	} catch (...) {
		stop();
		throw;
	}
}

Idlers::~Idlers()
{
	stop();
}

void Idlers::start(unsigned n, const std::vector<Opened *> &pools, uint32_t file_pages)
{
	for (unsigned i = 0; i < n; i++)
		threads.emplace_back([this, pools, page = i % file_pages] { idle(pools, page); });
	std::unique_lock<std::mutex> lock(mutex);
	fell_asleep.wait(lock, [&] { return asleep == n; });
	if (failure)
		std::rethrow_exception(failure);
}

void Idlers::idle(const std::vector<Opened *> &pools, uint32_t page)
{
	std::exception_ptr failed;
	try {
		for (Opened *pool : pools)
			if (pool->load(page, 1) != 0)
				throw Wrong("wrong bytes were read");
	} catch (...) {
		failed = std::current_exception();
	}
	std::unique_lock<std::mutex> lock(mutex);
	failure = failed ? failed : failure;
	asleep++;
	fell_asleep.notify_one();
	ended.wait(lock, [this] { return over; });
}

void Idlers::stop()
{
	{
		std::lock_guard<std::mutex> lock(mutex);
		over = true;
		ended.notify_all();
	}
	for (std::thread &t : threads)
		t.join();
}

} // namespace compare
