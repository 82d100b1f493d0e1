/*
 * latch.cpp - this library's latches: a get is a latch of a page that the thread has pinned, and a put ends it.
 *
 * Each thread has the page pinned that it latched last, and puts it when it latches another, or ends.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <mpool.h>

#include "failure.hpp"
#include "register.hpp"

namespace {

using namespace compare;

/* The calling thread's pin. */
struct Pinned {
	MPOOL *pool; /* nullptr: none */
	uint32_t page;
	unsigned char *bytes;

	void end()
	{
		if (pool != nullptr)
			mpool_put(pool, bytes, 0);
		pool = nullptr;
	}
};

/* Looked at in each call: so it has no destructor, which would have a test before each look. */
thread_local Pinned mine;

/* Ends the thread's pin with the thread. */
struct Ender {
	~Ender() { mine.end(); }
	bool there = false;
};
thread_local Ender ender;

/* The modes, as mpool_latch takes them. */
template <unsigned MODE> class Latch : public ReadsOnly<AddressPin> {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		if (MODE == MPOOL_SHARED)
			return {"libmpool, shared latch", MPOOL_VERSION, "the same with MPOOL_SHARED"};
		return {"libmpool, latch", MPOOL_VERSION,
		        "mpool_latch with MPOOL_EXCLUSIVE and mpool_unlatch, of a page that the thread has pinned all the time"};
	}

	static const char *cannot(const Work &w) { return w.latches ? nullptr : "a latch: measured beside locks"; }

	explicit Latch(const Setup &s)
	    : pool(mpool_open(static_cast<void *>(nullptr), s.fd, s.page_bytes, s.cache_pages))
	{
		if (pool == nullptr)
			throw_errno("mpool_open");
	}
	~Latch()
	{
		if (mine.pool == pool)
			mine.end();
		mpool_close(pool);
	}
	Latch(const Latch &) = delete;
	Latch &operator=(const Latch &) = delete;

	Pin get(uint32_t page)
	{
		if (__builtin_expect(mine.page != page || mine.pool != pool, false))
			pin(page);
		if (__builtin_expect(mpool_latch(pool, mine.bytes, MODE) != 0, false))
			throw_errno("mpool_latch");
		return {mine.bytes};
	}

	void put(Pin &p)
	{
		if (__builtin_expect(mpool_unlatch(pool, p.bytes, 0) != 0, false))
			throw_errno("mpool_unlatch");
	}

	uint64_t reads() const { return NOT_COUNTED; }

private:
	[[gnu::noinline]] void pin(uint32_t page)
	{
		mine.end();
		auto *bytes = static_cast<unsigned char *>(mpool_get(pool, page, 0));
		if (bytes == nullptr)
			throw_errno("mpool_get");
		mine = {pool, page, bytes};
		ender.there = true; /* from now on it is to be ended */
	}

	MPOOL *const pool;
};

} // namespace

static const compare::Registered<Latch<MPOOL_EXCLUSIVE>> registered("mpool-latch");
static const compare::Registered<Latch<MPOOL_SHARED>> registered_shared("mpool-latch-shared");
