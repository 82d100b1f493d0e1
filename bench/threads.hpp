/*
 * threads.hpp - some threads that do the same, and what they threw.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <vector>

/* Each runs `work`; what the first of them threw is thrown here, after all have ended. */
inline void run_threads(unsigned threads, const std::function<void(unsigned)> &work,
                        const std::function<void()> &meanwhile)
{
	std::vector<std::exception_ptr> failures(threads);
	std::vector<std::thread> running;

	for (unsigned t = 0; t < threads; t++)
		running.emplace_back([&, t] {
			try {
				work(t);
			} catch (...) {
				failures[t] = std::current_exception();
			}
		});
	meanwhile();
	for (std::thread &t : running)
		t.join();
	for (const std::exception_ptr &f : failures)
		if (f)
			std::rethrow_exception(f);
}
