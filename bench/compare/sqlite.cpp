/*
 * sqlite.cpp - SQLite's page cache, pcache1, as SQLite itself gets at it.
 *
 * pcache1 gives a page's memory and chooses what to evict; it neither reads nor
 * counts pins.  Both are done above it, as in SQLite's pcache.c and pager.c: in the
 * bytes that follow a page are the number of its pins and whether it was read, and
 * only the last put unpins it.  One cache of several threads is SQLite's
 * shared cache, where one mutex guards all this, reads of the file included; that
 * of one thread is a connection's own, which needs none.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include <pthread.h>
#include <sqlite3.h>

#include "page_io.hpp"
#include "register.hpp"

namespace {

using namespace compare;

/* ---- SQLite's set-up, once in the process ---- */

void check(int error, const char *doing)
{
	if (error != SQLITE_OK)
		throw std::runtime_error(std::string("SQLite, ") + doing + ": " + sqlite3_errstr(error));
}

/*
 * Without statistics of memory, as its manual advises for speed.  "Pages for all
 * caches, in memory that was not given" makes each cache take what it can hold in
 * one allocation, up to 2 GiB.
 */
sqlite3_pcache_methods2 initialized()
{
	sqlite3_pcache_methods2 methods = {};
	check(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), "memory statistics");
	check(sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, INT_MAX), "pages in one allocation");
	check(sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &methods), "the page cache's methods");
	check(sqlite3_initialize(), "initialization");
	return methods;
}

const sqlite3_pcache_methods2 &pcache_methods()
{
	static const sqlite3_pcache_methods2 methods = initialized();
	return methods;
}

/* ---- the adaptor ---- */

/* glibc's mutex that spins for a while before it sleeps. */
class AdaptiveMutex {
public:
	void lock() { pthread_mutex_lock(&mutex); }
	void unlock() { pthread_mutex_unlock(&mutex); }

private:
	pthread_mutex_t mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
};

/* What follows a page.  pcache1 zeroes the first eight bytes when the page is new. */
struct State {
	uint64_t was_read;
	uint64_t pins;
};

struct PagePin {
	unsigned char *bytes;
	sqlite3_pcache_page *page;
};

class Sqlite : public ReadsOnly<PagePin> {
public:
	using Pin = PagePin;

	static Description describe()
	{
		return {"SQLite", sqlite3_libversion(),
		        "pcache1, SQLITE_CONFIG_MEMSTATUS off, pages in one allocation; with one thread no mutex, as a "
		        "connection's own cache; with several one mutex around it, as a shared cache has it. It is an "
		        "adaptive mutex: with two threads, hits took less than half as long as with SQLite's plain one"};
	}

	static const char *cannot(const Work &w)
	{
		if (w.modifies || w.appends || w.syncs)
			return "it writes nothing: SQLite's pager does, and keeps modified pages pinned until then";
		if (w.direct)
			return "its pages are not aligned, and SQLite does not use O_DIRECT";
		return nullptr;
	}

	/* It makes room when one page less than its size is there, hence one more. */
	explicit Sqlite(const Setup &s) : fd(s.fd), page_bytes(s.page_bytes), methods(pcache_methods()), cache(make(s))
	{
		methods.xCachesize(cache.get(), static_cast<int>(s.cache_pages + 1));
	}

	void threads(unsigned n) { alone = n == 1; }

	Pin get(uint32_t page)
	{
		Lock lock = locked();
		sqlite3_pcache_page *found = methods.xFetch(cache.get(), key_of(page), ALLOCATE);
		if (__builtin_expect(found == nullptr, false)) {
			errno = ENOMEM;
			return {nullptr, nullptr};
		}
		State *state = state_of(found);
		if (__builtin_expect(state->was_read == 0, false) && !read(found, page))
			return {nullptr, nullptr};
		state->pins++;
		return {static_cast<unsigned char *>(found->pBuf), found};
	}

	void put(Pin &pin)
	{
		Lock lock = locked();
		if (--state_of(pin.page)->pins == 0)
			methods.xUnpin(cache.get(), pin.page, KEEP);
	}

	uint64_t reads() const { return pages_read.load(std::memory_order_relaxed); }

private:
	static constexpr int ALLOCATE = 2; /* beyond the cache's size, if all pages are pinned */
	static constexpr int KEEP = 0, DISCARD = 1;
	static constexpr int PURGEABLE = 1;

	struct Destroyer {
		void operator()(sqlite3_pcache *c) const { pcache_methods().xDestroy(c); }
	};
	using Cache = std::unique_ptr<sqlite3_pcache, Destroyer>;

	static Cache make(const Setup &s)
	{
		Cache c(pcache_methods().xCreate(static_cast<int>(s.page_bytes), sizeof(State), PURGEABLE));
		if (!c)
			throw std::runtime_error("SQLite has no memory for a page cache");
		return c;
	}

	using Lock = std::unique_lock<AdaptiveMutex>;

	Lock locked() { return alone ? Lock(mutex, std::defer_lock) : Lock(mutex); }

	/* SQLite's pages count from 1. */
	static unsigned key_of(uint32_t page) { return page + 1; }
	static State *state_of(sqlite3_pcache_page *page) { return static_cast<State *>(page->pExtra); }

	[[gnu::noinline]] bool read(sqlite3_pcache_page *into, uint32_t page)
	{
		if (!read_whole_page(fd, static_cast<unsigned char *>(into->pBuf), page_bytes, page)) {
			int error = errno;
			methods.xUnpin(cache.get(), into, DISCARD);
			errno = error;
			return false;
		}
		*state_of(into) = {1, 0};
		pages_read.store(pages_read.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
		return true;
	}

	const int fd;
	const size_t page_bytes;
	const sqlite3_pcache_methods2 methods;
	const Cache cache;
	AdaptiveMutex mutex;
	bool alone = false;                  /* one thread uses it, without the mutex */
	std::atomic<uint64_t> pages_read{0}; /* by whoever has the mutex */
};

} // namespace

static const compare::Registered<Sqlite> registered("sqlite");
