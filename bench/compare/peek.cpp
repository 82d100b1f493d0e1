/*
 * peek.cpp - this library's optimistic reads: a get is a peek, and a put the question whether the page was unchanged.
 *
 * By calls into the library, and by the header's inline functions.  A page that is not to be peeked at is got and put.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <mpool_peek.h>

#include "failure.hpp"
#include "register.hpp"

namespace {

using namespace compare;

class Peek {
public:
	struct Pin {
		unsigned char *bytes;
		uint64_t version; /* PINNED: there is none */
	};

	static const char *cannot(const Work &w)
	{
		return w.evicts || w.modifies || w.appends || w.syncs ? "measured where every page stays in memory"
		                                                      : nullptr;
	}

	explicit Peek(const Setup &s)
	    : pool(mpool_open(static_cast<void *>(nullptr), s.fd, s.page_bytes, s.cache_pages)),
	      view(pool ? mpool_view(pool, MPOOL_VIEW_LAYOUT) : nullptr)
	{
		if (pool == nullptr)
			throw_errno("mpool_open");
	}
	~Peek() { mpool_close(pool); }
	Peek(const Peek &) = delete;
	Peek &operator=(const Peek &) = delete;

	Pin get_to_modify(uint32_t) { refused(); }
	void put_modified(Pin &) { refused(); }
	Pin append(uint32_t *) { refused(); }
	void sync() { refused(); }

	uint64_t reads() const
	{
		struct mpool_stats st;
		if (mpool_stats(pool, &st, sizeof st) != 0)
			throw_errno("mpool_stats");
		return st.reads;
	}

protected:
	static constexpr uint64_t PINNED = UINT64_MAX;

	static Pin seen(const void *page, uint64_t version)
	{
		return {static_cast<unsigned char *>(const_cast<void *>(page)), version};
	}

	[[gnu::noinline]] Pin pin(uint32_t page)
	{
		return {static_cast<unsigned char *>(mpool_get(pool, page, 0)), PINNED};
	}

	/* It was changed, or was pinned. */
	[[gnu::noinline]] void end(const Pin &pin)
	{
		if (pin.version != PINNED)
			throw std::logic_error("a page has changed that nobody changes");
		if (mpool_put(pool, pin.bytes, 0) != 0)
			throw_errno("mpool_put");
	}

	MPOOL *const pool;
	const struct mpool_view *const view;

private:
	[[noreturn]] static void refused() { throw std::logic_error("this subject only reads"); }
};

class Calls : public Peek {
public:
	static Description describe()
	{
		return {"libmpool, peek", MPOOL_VERSION,
		        "mpool_peek and mpool_unchanged instead of mpool_get and mpool_put, else as libmpool: reads that are "
		        "checked afterwards, where all who write latch"};
	}

	using Peek::Peek;

	Pin get(uint32_t page)
	{
		uint64_t version;
		const void *bytes = mpool_peek(pool, page, &version);
		return __builtin_expect(bytes != nullptr, true) ? seen(bytes, version) : pin(page);
	}
	void put(Pin &p)
	{
		if (__builtin_expect(!mpool_unchanged(pool, p.bytes, p.version), false))
			end(p);
	}
};

class Inline : public Peek {
public:
	static Description describe()
	{
		return {"libmpool, peek inline", MPOOL_VERSION, "the same by the inline functions of mpool_peek.h"};
	}

	using Peek::Peek;

	Pin get(uint32_t page)
	{
		uint64_t version;
		const void *bytes = mpool_peek_view(view, page, &version);
		return __builtin_expect(bytes != nullptr, true) ? seen(bytes, version) : pin(page);
	}
	void put(Pin &p)
	{
		if (__builtin_expect(!mpool_unchanged_view(view, p.bytes, p.version), false))
			end(p);
	}
};

} // namespace

static const compare::Registered<Calls> registered("mpool-peek");
static const compare::Registered<Inline> registered_inline("mpool-peek-inline");
