/*
 * mpool.cpp - this library.
 *
 * Compiled twice: for the shared library, which is how its users have it, and with MPOOL_ALONE for an
 * object that has a static one in it, whose calls no other object sees (bench/CMakeLists.txt).  So all
 * here is in an unnamed namespace, and calls the library's functions themselves and not the
 * header's inline ones, of which the linker would keep one copy for both.
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
		        "mpool_open with maxcache as the workload says, nothing else to set; " MPOOL_LINKED ", "
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
	Pin append(uint32_t *page)
	{
		return {static_cast<unsigned char *>(mpool_new_flags(pool, page, MPOOL_PAGE_NEXT))};
	}
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
	    : pool(mpool_open(static_cast<void *>(const_cast<char *>(key)), s.fd, s.page_bytes, s.cache_pages))
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

#ifdef MPOOL_ALONE
/* What the way of linking costs shows where every page is in memory. */
class StaticMpool : public Mpool {
public:
	static Description describe()
	{
		return {"libmpool, static", MPOOL_VERSION,
		        "as libmpool, but linked statically, from the same objects: no call goes through a table"};
	}

	static const char *cannot(const Work &w)
	{
		return w.evicts || w.modifies || w.appends || w.syncs ? "measured where every page stays in memory"
		                                                      : nullptr;
	}

	explicit StaticMpool(const Setup &s) : Mpool(s, nullptr) {}
};
#else
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
#endif

} // namespace

#ifdef MPOOL_ALONE
static const compare::Registered<StaticMpool> registered("mpool-static");
#else
static const compare::Registered<Mpool> registered("mpool");
static const compare::Registered<SharedMpool> registered_shared("mpool-shared", compare::Sharing::processes);
#endif
