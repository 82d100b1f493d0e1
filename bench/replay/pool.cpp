/*
 * pool.cpp - see pool.hpp.
 *
 * Misses are counted where pages are read: by the filter that the pool calls for each
 * page that it has read.  The filter writes the page's number into the page, as the
 * hole has only zeros, and every get looks for it there.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "pool.hpp"

#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <mpool.h>

#include "compare/failure.hpp"

namespace replay {

namespace {

using compare::throw_errno;

/* In memory, and without memory, as nobody writes it. */
class Hole {
public:
	explicit Hole(uint64_t bytes) : fd(memfd_create("mpool-replay", MFD_CLOEXEC))
	{
		if (fd < 0)
			throw_errno("making a file");
		if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
			close(fd);
			throw_errno("making a file of", std::to_string(bytes) + " bytes");
		}
	}

	~Hole() { close(fd); }
	Hole(const Hole &) = delete;
	Hole &operator=(const Hole &) = delete;

	const int fd;
};

class Pool {
public:
	Pool(int fd, const PoolSetup &s) : mp(mpool_open(nullptr, fd, s.page_bytes, s.cache_pages))
	{
		if (mp == nullptr)
			throw_errno("mpool_open");
		mpool_filter(mp, count, nullptr, this);
	}

	~Pool() { mpool_close(mp); }
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	void get_and_put(uint32_t page, bool once)
	{
		void *bytes = mpool_get(mp, page, once ? MPOOL_ONCE : 0);
		if (bytes == nullptr)
			throw_errno("mpool_get of page", std::to_string(page));
		uint32_t found;
		memcpy(&found, bytes, sizeof found);
		if (mpool_put(mp, bytes, 0) != 0)
			throw_errno("mpool_put");
		if (found != page)
			throw std::runtime_error("mpool_get gave page " + std::to_string(found) + " for page " +
			                         std::to_string(page));
	}

	/* After so many gets, while nobody is in a call. */
	uint64_t pages_read(uint64_t gets) const
	{
		struct mpool_stats st;
		if (mpool_stats(mp, &st, sizeof st) != 0)
			throw_errno("mpool_stats");
		check("pages read", reads, st.reads);
		check("gets", gets, st.hits + st.misses);
		return reads;
	}

private:
	static void check(const char *what, uint64_t ours, uint64_t theirs)
	{
		if (ours != theirs)
			throw std::runtime_error(std::string(what) + ": " + std::to_string(ours) +
			                         ", and mpool_stats says " + std::to_string(theirs));
	}

	static void count(void *self, pgno_t number, void *page)
	{
		static_cast<Pool *>(self)->reads.fetch_add(1, std::memory_order_relaxed);
		memcpy(page, &number, sizeof number);
	}

	MPOOL *const mp;
	std::atomic<uint64_t> reads{0};
};

/* The threads that replay one trace, and what they share. */
class Crew {
public:
	Crew(const Trace &t, Pool &p) : trace(t), pool(p) {}

	void work(unsigned threads)
	{
		std::vector<std::thread> crew;
		for (unsigned i = 0; i < threads; i++)
			crew.emplace_back(&Crew::work_alone, this);
		for (std::thread &thread : crew)
			thread.join();
		if (failure)
			std::rethrow_exception(failure);
	}

private:
	void work_alone()
	{
		try {
			size_t i;
			while ((i = next.fetch_add(1, std::memory_order_relaxed)) < trace.pages.size())
				pool.get_and_put(trace.pages[i], trace.wanted_once(trace.pages[i]));
		} catch (...) {
			std::lock_guard<std::mutex> lock(mutex);
			failure = std::current_exception();
			next = trace.pages.size(); /* the others need not go on */
		}
	}

	const Trace &trace;
	Pool &pool;
	std::atomic<size_t> next{0}; /* request that nobody has taken */
	std::mutex mutex;            /* of `failure` */
	std::exception_ptr failure;
};

} // namespace

uint64_t pool_misses(const Trace &t, const PoolSetup &s)
{
	Hole file((uint64_t{t.greatest_page()} + 1) * s.page_bytes);
	Pool pool(file.fd, s);
	Crew(t, pool).work(s.threads);
	return pool.pages_read(t.requests());
}

} // namespace replay
