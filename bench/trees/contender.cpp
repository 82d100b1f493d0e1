/*
 * contender.cpp - see contender.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "contender.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include "compare/draw.hpp"
#include "compare/failure.hpp"
#include "compare/ticks.hpp"
#include "threads.hpp"

namespace trees {

namespace fs = std::filesystem;

constexpr uint64_t FIRST_FRESH = UINT64_C(1) << 40; /* beyond any number of keys that can be asked for */
constexpr unsigned BATCH = 32;                      /* operations between two looks at the flag */
constexpr uint64_t FRESH_CHECKED = 1000;            /* of each thread's, those put last */

Contender::Contender(const Kind &k, Order o, const std::string &parent)
    : which(k), order(o), directory(parent + "/" + k.id), fresh(FIRST_FRESH)
{
	fs::create_directory(directory);
}

Contender::~Contender()
{
	sessions.clear();
	store.reset();
	std::error_code ignored; /* what is left goes with the scratch directory */
	fs::remove_all(directory, ignored);
}

void Contender::open(Setup s)
{
	s.directory = directory;
	store = which.open(s);
	for (unsigned t = 0; t < s.threads; t++)
		sessions.push_back(store->session());
}

void Contender::close()
{
	if (store) {
		store->checkpoint();
		store->settle();
	}
	sessions.clear();
	store.reset();
}

void Contender::chill() const
{
	for (const auto &entry : fs::recursive_directory_iterator(directory)) {
		int fd = entry.is_regular_file() ? ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		/* What is not written yet is not forgotten. */
		if (fdatasync(fd) != 0)
			compare::throw_errno("flushing", entry.path());
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		::close(fd);
	}
}

/* ---- threads ---- */

Run Contender::run(unsigned threads, unsigned milliseconds, const Work &work, const compare::Processors &processors)
{
	std::atomic<bool> over{false};
	std::atomic<uint64_t> operations{0}, end{0};
	std::promise<void> go;
	std::shared_future<void> gone = go.get_future().share();
	uint64_t start = 0;

	run_threads(
		threads,
		[&](unsigned t) {
			processors.bind(t, threads);
			gone.wait();
			operations += work(*sessions[t], t, over);
			uint64_t now = compare::nanoseconds(), last = end;
			while (last < now && !end.compare_exchange_weak(last, now))
				;
		},
		[&] {
			start = compare::nanoseconds();
			go.set_value();
			if (milliseconds > 0)
				std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
			over = true;
		});
	store->settle();
	return {operations, static_cast<double>(end - start) * 1e-9};
}

void Contender::put(Session &s, uint64_t i) const
{
	const uint64_t number = key_number(order, i);
	s.put(Key(number), Value(number));
}

void Contender::must_find(Session &s, uint64_t i) const
{
	const uint64_t number = key_number(order, i);
	Value value;
	if (!s.get(Key(number), value))
		throw Wrong(std::string(which.id) + ": the key of number " + std::to_string(i) + " is not there");
	if (!value.is_of(number))
		throw Wrong(std::string(which.id) + ": the key of number " + std::to_string(i) +
		            " has another's value");
}

/* ---- the workloads' operations ---- */

Run Contender::insert(unsigned threads, uint64_t first, uint64_t last, const compare::Processors &processors)
{
	const uint64_t keys = last - first;
	auto bound = [&](unsigned t) { return first + keys * t / threads; };
	return run(
		threads, 0,
		[&](Session &s, unsigned t, const std::atomic<bool> &) {
			for (uint64_t i = bound(t); i < bound(t + 1); i++)
				put(s, i);
			return bound(t + 1) - bound(t);
		},
		processors);
}

Run Contender::insert_for(unsigned threads, unsigned milliseconds, const compare::Processors &processors)
{
	std::vector<uint64_t> done(threads);
	Run r = run(
		threads, milliseconds,
		[&](Session &s, unsigned t, const std::atomic<bool> &over) {
			uint64_t n = 0;
			for (; !over; n++)
				put(s, fresh + t + n * threads);
			return done[t] = n;
		},
		processors);
	for (unsigned t = 0; t < threads; t++)
		for (uint64_t n = done[t] - std::min(done[t], FRESH_CHECKED); n < done[t]; n++)
			must_find(*sessions[t], fresh + t + n * threads);
	fresh += *std::max_element(done.begin(), done.end()) * threads;
	return r;
}

Run Contender::look_up_for(unsigned threads, unsigned milliseconds, uint64_t keys, uint64_t seed,
                           const compare::Processors &processors)
{
	return run(
		threads, milliseconds,
		[&](Session &s, unsigned t, const std::atomic<bool> &over) {
			uint64_t state = compare::mixed(seed + t), n = 0;
			for (; !over; n += BATCH)
				for (unsigned i = 0; i < BATCH; i++)
					must_find(s, compare::below(state = compare::next_state(state), keys));
			return n;
		},
		processors);
}

void Contender::look_up(unsigned threads, uint64_t lookups, uint64_t keys, uint64_t seed,
                        const compare::Processors &processors)
{
	run(
		threads, 0,
		[&](Session &s, unsigned t, const std::atomic<bool> &) {
			uint64_t state = compare::mixed(seed + t);
			for (uint64_t i = 0; i < lookups / threads; i++)
				must_find(s, compare::below(state = compare::next_state(state), keys));
			return lookups / threads;
		},
		processors);
}

void Contender::check(uint64_t keys, uint64_t step)
{
	Session &s = *sessions.front();
	Value value;
	for (uint64_t i = 0; i < keys; i += step)
		must_find(s, i);
	if (s.get(Key(key_number(order, fresh)), value))
		throw Wrong(std::string(which.id) + ": a key is there that was never put");
}

} // namespace trees
