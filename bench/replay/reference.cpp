/*
 * reference.cpp - see reference.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "reference.hpp"

#include <queue>
#include <utility>
#include <vector>

namespace replay {

namespace {

/* The pages in memory in a ring, from the one requested last to the one requested longest ago. */
class Ring {
public:
	explicit Ring(uint32_t pages) : head(pages), next(pages + 1, NONE), before(pages + 1, NONE)
	{
		next[head] = before[head] = head;
	}

	bool has(uint32_t page) const { return next[page] != NONE; }

	void add(uint32_t page)
	{
		next[page] = next[head];
		before[page] = head;
		before[next[page]] = page;
		next[head] = page;
	}

	void remove(uint32_t page)
	{
		next[before[page]] = next[page];
		before[next[page]] = before[page];
		next[page] = NONE;
	}

	uint32_t oldest() const { return before[head]; }

private:
	static constexpr uint32_t NONE = UINT32_MAX;

	const uint32_t head; /* no page: before the first and after the last */
	std::vector<uint32_t> next, before;
};

} // namespace

uint32_t lru_misses(const Trace &t, uint32_t cache_pages)
{
	Ring ring(t.distinct);
	uint32_t misses = 0, cached = 0;

	for (uint32_t page : t.ranks) {
		if (ring.has(page)) {
			ring.remove(page);
		} else {
			misses++;
			if (cached == cache_pages)
				ring.remove(ring.oldest());
			else
				cached++;
		}
		ring.add(page);
	}
	return misses;
}

/* For each request, when its page is requested next; NEVER. */
constexpr uint32_t NEVER = UINT32_MAX;

static std::vector<uint32_t> next_requests(const Trace &t)
{
	std::vector<uint32_t> next(t.ranks.size()), of_page(t.distinct, NEVER);

	for (uint32_t i = t.requests(); i-- > 0;) {
		next[i] = of_page[t.ranks[i]];
		of_page[t.ranks[i]] = i;
	}
	return next;
}

uint32_t opt_misses(const Trace &t, uint32_t cache_pages)
{
	std::vector<uint32_t> next = next_requests(t);
	std::vector<bool> has(t.distinct);
	/* When a page is requested next, and the page, the latest first.  What was true before the page's last
	 * request is still there, but that time is past: it never comes first while a page in memory has another. */
	std::priority_queue<std::pair<uint32_t, uint32_t>> latest;
	uint32_t misses = 0, cached = 0;

	for (uint32_t i = 0; i < t.requests(); i++) {
		uint32_t page = t.ranks[i];
		if (!has[page]) {
			misses++;
			if (cached == cache_pages) {
				has[latest.top().second] = false;
				latest.pop();
			} else {
				cached++;
			}
			has[page] = true;
		}
		latest.emplace(next[i], page);
	}
	return misses;
}

} // namespace replay
