/*
 * mpool.cpp - this library.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <mpool.h>

#include "failure.hpp"
#include "register.hpp"

namespace {

using namespace compare;

class Mpool {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		return {"libmpool", MPOOL_VERSION,
		        "mpool_open with maxcache as the workload says, nothing else to set; linked statically, "
		        "jemalloc in the program, which the other subjects have as their malloc, too"};
	}

	static const char *cannot(const Work &) { return nullptr; }

	explicit Mpool(const Setup &s) : Mpool(s, nullptr) {}
	~Mpool() { mpool_close(pool); }
	Mpool(const Mpool &) = delete;
	Mpool &operator=(const Mpool &) = delete;

	Pin get(uint32_t page) { return {static_cast<unsigned char *>(mpool_get(pool, page, 0))}; }
	Pin get_once(uint32_t page) { return {static_cast<unsigned char *>(mpool_get(pool, page, MPOOL_ONCE))}; }
	Pin get_to_modify(uint32_t page) { return get(page); }
	Pin append(uint32_t *page) { return {static_cast<unsigned char *>(mpool_new(pool, page, MPOOL_PAGE_NEXT))}; }
	void put(Pin &pin) { put(pin, 0); }
	void put_modified(Pin &pin) { put(pin, MPOOL_DIRTY); }

	void sync()
	{
		if (mpool_sync(pool) != 0)
			throw_errno("mpool_sync");
	}

	uint64_t reads() const
	{
		struct mpool_stats st;
		if (mpool_stats(pool, &st, sizeof st) != 0)
			throw_errno("mpool_stats");
		return st.reads;
	}

protected:
	Mpool(const Setup &s, const char *key)
	    : pool(mpool_open(const_cast<char *>(key), s.fd, s.page_bytes, s.cache_pages))
	{
		if (pool == nullptr)
			throw_errno("mpool_open");
	}

private:
	void put(Pin &pin, unsigned flags)
	{
		if (__builtin_expect(mpool_put(pool, pin.bytes, flags) != 0, false))
			throw_errno("mpool_put");
	}

	MPOOL *const pool;
};

/* By its key. */
class SharedMpool : public Mpool {
public:
	static Description describe()
	{
		return {"libmpool, shared", MPOOL_VERSION,
		        "as libmpool, but with a key, by which every process opens the pool for itself"};
	}

	explicit SharedMpool(const Setup &s) : Mpool(s, s.shared) {}
};

} // namespace

static const compare::Registered<Mpool> registered("mpool");
static const compare::Registered<SharedMpool> registered_shared("mpool-shared", compare::Sharing::processes);
