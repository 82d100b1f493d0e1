/*
 * histogram.hpp - counts of values, exact to one part in 64.
 *
 * Log-linear: values up to 127 have a bucket each; above, every power of two is
 * divided into 64 buckets.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace compare {

class Histogram {
public:
	void reserve() { counts.resize((64 - SHIFT) * STEPS + STEPS); }

	void clear()
	{
		std::fill(counts.begin(), counts.end(), 0);
		total = greatest = 0;
	}

	/* Only after reserve. */
	void add(uint64_t value)
	{
		counts[bucket_of(value)]++;
		total++;
		greatest = std::max(greatest, value);
	}

	/* What another one counted; both after reserve. */
	void add_all(const Histogram &other)
	{
		for (size_t i = 0; i < counts.size(); i++)
			counts[i] += other.counts[i];
		total += other.total;
		greatest = std::max(greatest, other.greatest);
	}

	uint64_t count() const { return total; }
	uint64_t max() const { return greatest; }

	/* The least value (of a bucket's middle) that `share` of all values do not exceed. */
	uint64_t quantile(double share) const
	{
		auto wanted = static_cast<uint64_t>(share * static_cast<double>(total));
		uint64_t seen = 0;
		for (size_t i = 0; i < counts.size(); i++) {
			seen += counts[i];
			if (seen > wanted)
				return middle_of(i);
		}
		return greatest;
	}

private:
	static constexpr unsigned SHIFT = 6;
	static constexpr size_t STEPS = size_t{1} << SHIFT;

	/* How often a value has to be halved to be below 128. */
	static unsigned halvings(uint64_t value)
	{
		unsigned bits = 64 - static_cast<unsigned>(__builtin_clzll(value | 1));
		return bits > SHIFT + 1 ? bits - SHIFT - 1 : 0;
	}

	static size_t bucket_of(uint64_t value)
	{
		unsigned h = halvings(value);
		return h * STEPS + (value >> h);
	}

	static uint64_t middle_of(size_t bucket)
	{
		if (bucket < 2 * STEPS)
			return bucket;
		auto h = static_cast<unsigned>(bucket / STEPS - 1);
		return ((bucket - h * STEPS) << h) + (uint64_t{1} << h) / 2;
	}

	std::vector<uint64_t> counts;
	uint64_t total = 0;
	uint64_t greatest = 0;
};

} // namespace compare
