/*
 * mpool.cpp - this library, in the ways in which it can be asked for pages.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "peers.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>

#include <mpool.h>

#include "compare/failure.hpp"

namespace device {

using compare::throw_errno;

namespace {

constexpr uint64_t READAHEAD_PAGES = 128; /* half a megabyte */
/* Of a window of prefetched pages so many are asked for at once: what is in flight is never fewer than the rest. */
constexpr uint32_t PARTS_OF_WINDOW = 4;

class Pool : public Peer {
public:
	explicit Pool(const Setup &s) : pool(mpool_open(nullptr, s.fd, PAGE_BYTES, s.cache_pages))
	{
		if (pool == nullptr)
			throw_errno("mpool_open");
	}
	~Pool() override { mpool_close(pool); }
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	void visit(uint32_t page, unsigned thread, bool modify) override
	{
		void *bytes = mpool_get(pool, page, 0);
		if (bytes == nullptr)
			throw_errno("mpool_get");
		look_at(bytes, page, thread, modify);
		put(bytes, modify ? MPOOL_DIRTY : 0);
	}

	void warm(const uint32_t *pages, size_t n) override
	{
		for (size_t done = 0; done < n; done += WARM_TOGETHER)
			get_together(pages + done, std::min<size_t>(n - done, WARM_TOGETHER));
	}

	uint64_t reads() const override { return statistics().reads; }
	uint64_t write_waits() const override { return statistics().write_waits; }

protected:
	struct mpool_stats statistics() const
	{
		struct mpool_stats st;
		if (mpool_stats(pool, &st, sizeof st) != 0)
			throw_errno("mpool_stats");
		return st;
	}

	void get_together(const uint32_t *pages, size_t n)
	{
		addresses.resize(std::max(addresses.size(), n));
		if (mpool_getv(pool, pages, addresses.data(), n, 0) != 0)
			throw_errno("mpool_getv");
		for (size_t i = 0; i < n; i++) {
			check_page(addresses[i], pages[i]);
			put(addresses[i], 0);
		}
	}

	void tune(int what, uint64_t value)
	{
		if (mpool_tune(pool, what, value) != 0)
			throw_errno("mpool_tune");
	}

	void put(void *bytes, unsigned flags)
	{
		if (mpool_put(pool, bytes, flags) != 0)
			throw_errno("mpool_put");
	}

	MPOOL *const pool;

private:
	static constexpr size_t WARM_TOGETHER = 64;

	std::vector<void *> addresses;
};

class Getv : public Pool {
public:
	explicit Getv(const Setup &s) : Pool(s) { tune(MPOOL_IO_DEPTH, s.depth); }

	uint32_t together(uint32_t depth) const override { return depth; }

	void visit_all(const uint32_t *pages, size_t n) override { get_together(pages, n); }
};

/* A window of `depth` pages is on its way; the oldest are got, and as many new ones asked for. */
class Prefetch : public Pool {
public:
	explicit Prefetch(const Setup &s) : Pool(s), depth(s.depth) { tune(MPOOL_IO_DEPTH, s.depth); }

	uint32_t together(uint32_t d) const override { return std::max(d / PARTS_OF_WINDOW, 1u); }

	void visit_all(const uint32_t *pages, size_t n) override
	{
		if (mpool_prefetch(pool, pages, n, -1) < 0)
			throw_errno("mpool_prefetch");
		window.insert(window.end(), pages, pages + n);
		visit_until(depth - std::min(depth, together(depth)));
	}

	void finish() override { visit_until(0); }

private:
	void visit_until(size_t left)
	{
		for (; window.size() > left; window.pop_front())
			visit(window.front(), 0, false);
	}

	const uint32_t depth;
	std::deque<uint32_t> window;
};

class ReadAhead : public Pool {
public:
	explicit ReadAhead(const Setup &s) : Pool(s) { tune(MPOOL_READAHEAD, READAHEAD_PAGES); }
};

/* Of an event loop: only pages that are in memory are got. */
class Events : public Pool {
public:
	using Pool::Pool;

	void visit(uint32_t page, unsigned thread, bool modify) override
	{
		void *bytes = mpool_get(pool, page, MPOOL_CACHED);
		if (bytes == nullptr && errno == EAGAIN)
			return Pool::visit(page, thread, modify); /* it was evicted again */
		if (bytes == nullptr)
			throw_errno("mpool_get");
		look_at(bytes, page, thread, modify);
		put(bytes, modify ? MPOOL_DIRTY : 0);
	}

	bool begin(uint32_t page, int efd) override
	{
		ssize_t begun = mpool_prefetch(pool, &page, 1, efd);
		if (begun < 0)
			throw_errno("mpool_prefetch");
		return begun == 1;
	}
};

class Cleaned : public Pool {
public:
	explicit Cleaned(const Setup &s) : Pool(s) { tune(MPOOL_CLEANERS, 1); }
};

} // namespace

std::vector<Kind> mpool_kinds()
{
	return {
		{"mpool", "libmpool, one at a time", "mpool_get and mpool_put, nothing tuned", open_as<Pool>},
		{"mpool-getv", "libmpool, getv", "mpool_getv of as many pages as the depth", open_as<Getv>},
		{"mpool-prefetch", "libmpool, prefetch",
	         "mpool_prefetch of a quarter of the depth, whenever as many pages of the window were got",
	         open_as<Prefetch>},
		{"mpool-ahead", "libmpool, read-ahead", "MPOOL_READAHEAD of 128 pages", open_as<ReadAhead>},
		{"mpool-events", "libmpool, MPOOL_CACHED",
	         "mpool_get with MPOOL_CACHED, and mpool_prefetch with an eventfd", open_as<Events>},
		{"mpool-cleaner", "libmpool, cleaner", "MPOOL_CLEANERS of 1", open_as<Cleaned>},
	};
}

} // namespace device
