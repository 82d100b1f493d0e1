/*
 * counter.hpp - a count that many threads add to without meeting.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <atomic>
#include <cstdint>

#include "page.hpp"

namespace compare {

class Counter {
public:
	void add(uint64_t n)
	{
		/* Two threads share a place when there are more than PLACES: hence atomic. */
		places[own_place()].value.fetch_add(n, std::memory_order_relaxed);
	}

	uint64_t sum() const
	{
		uint64_t n = 0;
		for (const Place &p : places)
			n += p.value.load(std::memory_order_relaxed);
		return n;
	}

private:
	static constexpr unsigned PLACES = 64;

	struct alignas(LINE_BYTES) Place {
		std::atomic<uint64_t> value{0};
	};

	static unsigned own_place()
	{
		static std::atomic<unsigned> next{0};
		static thread_local unsigned own = next.fetch_add(1, std::memory_order_relaxed) % PLACES;
		return own;
	}

	Place places[PLACES];
};

} // namespace compare
