/*
 * crew.cpp - see crew.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "crew.hpp"

#include <chrono>
#include <functional>

#include <pthread.h>

#include "ticks.hpp"
#include "verify.hpp"

namespace compare {

namespace {

class Barrier {
public:
	explicit Barrier(size_t threads) { pthread_barrier_init(&barrier, nullptr, static_cast<unsigned>(threads)); }
	~Barrier() { pthread_barrier_destroy(&barrier); }
	Barrier(const Barrier &) = delete;
	Barrier &operator=(const Barrier &) = delete;

	void wait() { pthread_barrier_wait(&barrier); }

private:
	pthread_barrier_t barrier;
};

/* What the threads of a cell have in common; the flags are all they look at while they run. */
struct Cell {
	Cell(Opened &p, const CellTime &t, const Processors &where, size_t n)
	    : pool(p), time(t), processors(where), threads(static_cast<unsigned>(n)), barrier(n + 1)
	{
	}

	alignas(LINE_BYTES) std::atomic<bool> warm{false};
	alignas(LINE_BYTES) std::atomic<bool> over{false};
	alignas(LINE_BYTES) Opened &pool;
	const CellTime &time;
	const Processors &processors;
	const unsigned threads;
	Barrier barrier; /* the threads and the one that runs them */
};

} // namespace

static void run_member(Cell &cell, Member &m)
{
	m.warm_start = nanoseconds();
	m.part.stop = &cell.warm;
	cell.pool.run(m.part);

	uint64_t before = m.part.operations;
	m.part.ticks.clear();
	m.part.stop = &cell.over;
	m.start = nanoseconds();
	cell.pool.run(m.part);
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

static void be_member(Cell &cell, Member &m)
{
	cell.processors.bind(m.part.thread, cell.threads);
	attempt(m, [&] { cell.pool.touch(m.part.thread, cell.threads, cell.time.touched_pages); });
	cell.barrier.wait();
	attempt(m, [&] { run_member(cell, m); });
	cell.barrier.wait();
	attempt(m, [&] { m.wrong = what_is_wrong(m.before, m.part); });
}

static void sleep_for(unsigned milliseconds)
{
	std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

static void conduct(Cell &cell)
{
	cell.barrier.wait();
	sleep_for(cell.time.warm_milliseconds);
	cell.warm.store(true, std::memory_order_relaxed);
	sleep_for(cell.time.milliseconds);
	cell.over.store(true, std::memory_order_relaxed);
	cell.barrier.wait();
}

std::vector<Member> run_crew(Opened &pool, std::vector<Part> parts, const CellTime &time,
			     const Processors &processors)
{
	Cell cell(pool, time, processors, parts.size());
	std::vector<Member> members(parts.begin(), parts.end());
	std::vector<std::thread> threads;

	for (Member &m : members)
		threads.emplace_back([&cell, &m] { be_member(cell, m); });
	conduct(cell);
	for (std::thread &t : threads)
		t.join();
	for (const Member &m : members) {
		if (m.failure)
			std::rethrow_exception(m.failure);
		if (!m.wrong.empty())
			throw Wrong("thread " + std::to_string(m.part.thread + 1) + ": " + m.wrong);
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
