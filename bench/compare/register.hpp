/*
 * register.hpp - how an adaptor becomes a subject of the comparison.
 *
 * An adaptor's source file includes this header, defines its class in an unnamed
 * namespace (subject.hpp says of what shape), and ends with one line:
 *
 *   static const compare::Registered<Berkeley> registered("bdb");
 *
 * A pool that processes share says so, by a second argument, Sharing::processes:
 * every object of the class that is made with one Setup, in whatever process, is then
 * to be of one pool.
 *
 * The name is what --subject takes and what the CSV file says; order.cpp has the
 * order in which subjects stand in tables, and must list it.  No header is needed.
 *
 * An adaptor that does not know how many pages it read returns NOT_COUNTED from
 * reads().  One that counts them itself can use counter.hpp, so that threads do
 * not meet there.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loops.hpp"
#include "part.hpp"
#include "subject.hpp"

namespace compare {

/* A pool that is open on a file, whichever it is. */
class Opened {
public:
	virtual ~Opened() = default;
	/* Runs the part's loop until its flag is set. */
	virtual void run(Part &) = 0;
	/* Gets and puts each page once; returns how many were not as the file was made. */
	virtual uint32_t load(uint32_t first, uint32_t pages) = 0;
	/* The same for pages that were appended. */
	virtual uint32_t load_appended(uint32_t pages) = 0;
	/* Gets and puts every stride-th page of the file. */
	virtual void touch(uint32_t first, uint32_t stride, uint32_t pages) = 0;
	/* Modifies these pages, as thread `thread` would. */
	virtual void modify(const std::vector<uint32_t> &pages, unsigned thread) = 0;
	/* Keeps pages pinned until release, by the same thread. */
	virtual void hold(uint32_t first, uint32_t pages) = 0;
	virtual void release() = 0;
	virtual void sync() = 0;
	virtual uint64_t reads() const = 0;
	/* So many threads will use it at once, until the next call. */
	virtual void threads(unsigned) = 0;
};

/* An adaptor need not care how many threads there are. */
template <class Adaptor> auto tell_threads(Adaptor &pool, unsigned n, int) -> decltype(pool.threads(n))
{
	pool.threads(n);
}
template <class Adaptor> void tell_threads(Adaptor &, unsigned, long)
{
}

template <class Adaptor> class OpenedAs final : public Opened {
public:
	explicit OpenedAs(const Setup &setup) : page_bytes(setup.page_bytes), pool(setup) {}

	void run(Part &part) override { run_loop(pool, part); }
	uint32_t load(uint32_t first, uint32_t pages) override
	{
		return load_pages(pool, first, pages, [this](const unsigned char *bytes, uint32_t page) {
			uint64_t modified = 0;
			return page_is_right(bytes, page_bytes, page, &modified);
		});
	}
	uint32_t load_appended(uint32_t pages) override
	{
		return load_pages(pool, 0, pages, [this](const unsigned char *bytes, uint32_t page) {
			return stamp_is_right(bytes, page_bytes, page);
		});
	}
	void touch(uint32_t first, uint32_t stride, uint32_t pages) override
	{
		touch_pages(pool, first, stride, pages);
	}
	void modify(const std::vector<uint32_t> &pages, unsigned thread) override { modify_pages(pool, pages, thread); }
	void hold(uint32_t first, uint32_t pages) override
	{
		for (uint32_t i = 0; i < pages; i++)
			held.push_back(must(pool.get(first + i), first + i));
	}
	void release() override
	{
		for (auto &pin : held)
			pool.put(pin);
		held.clear();
	}
	void sync() override { pool.sync(); }
	uint64_t reads() const override { return pool.reads(); }
	void threads(unsigned n) override { tell_threads(pool, n, 0); }

private:
	const size_t page_bytes;
	Adaptor pool;
	std::vector<typename Adaptor::Pin> held;
};

enum class Sharing { none, processes };

struct Subject {
	std::string id;
	Sharing sharing;
	Description (*describe)();
	const char *(*cannot)(const Work &);
	std::unique_ptr<Opened> (*open)(const Setup &);
};

/* All that registered, in no order. */
std::vector<Subject> &registered_subjects();

/* The same in the order of the tables (order.cpp). */
std::vector<Subject> subjects_in_order();

template <class Adaptor> class Registered {
public:
	explicit Registered(const char *id, Sharing sharing = Sharing::none)
	{
		registered_subjects().push_back({id, sharing, Adaptor::describe, Adaptor::cannot, open});
	}

private:
	static std::unique_ptr<Opened> open(const Setup &setup) { return std::make_unique<OpenedAs<Adaptor>>(setup); }
};

} // namespace compare
