/*
 * berkeley.cpp - Berkeley DB's mpool, alone and with a thread that writes ahead of need.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "compare/berkeley.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "peers.hpp"

namespace device {

namespace {

using namespace compare::berkeley;

compare::Setup setup_of(const Setup &s)
{
	return {s.path, s.fd, false, PAGE_BYTES, s.file_pages, nullptr, s.cache_pages};
}

class Berkeley : public Peer {
public:
	explicit Berkeley(const Setup &s)
	    : env(open_environment(setup_of(s), nullptr)), file(open_file(env.get(), setup_of(s)))
	{
	}

	void visit(uint32_t page, unsigned thread, bool modify) override
	{
		db_pgno_t number = page;
		void *bytes = nullptr;
		if (modify)
			check(__memp_fget(file.get(), &number, nullptr, nullptr, DB_MPOOL_DIRTY, &bytes),
			      "get to modify");
		else
			check(file->get(file.get(), &number, nullptr, 0, &bytes), "get");
		look_at(bytes, page, thread, modify);
		check(file->put(file.get(), bytes, DB_PRIORITY_UNCHANGED, 0), "put");
	}

	void warm(const uint32_t *pages, size_t n) override { visit_all(pages, n); }

	/* Threads that count at once can lose one: libdb adds without a lock. */
	uint64_t reads() const override
	{
		DB_MPOOL_FSTAT **files = nullptr;
		check(env->memp_stat(env.get(), nullptr, &files, 0), "statistics");
		uint64_t n = files != nullptr && files[0] != nullptr ? files[0]->st_page_in : NOT_COUNTED;
		free(files);
		return n;
	}

protected:
	Environment env;

private:
	File file; /* after the environment: closed before it */
};

/* memp_trickle keeps a fifth of the pages clean, as its manual suggests; it is asked again as soon as it has nothing to do. */
class Trickled : public Berkeley {
public:
	explicit Trickled(const Setup &s) : Berkeley(s), trickler([this] { trickle(); }) {}
	~Trickled() override
	{
		ended = true;
		trickler.join();
	}

private:
	static constexpr int CLEAN_PERCENT = 20;
	static constexpr std::chrono::milliseconds PAUSE{1};

	void trickle()
	{
		while (!ended) {
			int written = 0;
			check(env->memp_trickle(env.get(), CLEAN_PERCENT, &written), "trickle");
			if (written == 0)
				std::this_thread::sleep_for(PAUSE);
		}
	}

	std::atomic<bool> ended{false};
	std::thread trickler;
};

} // namespace

std::vector<Kind> berkeley_kinds()
{
	if (__memp_fget == nullptr)
		return {}; /* this libdb's DB_MPOOLFILE->get loses DB_MPOOL_DIRTY */
	return {
		{"bdb", "Berkeley DB", "private, for threads, one cache that holds the pages, a bucket a page",
	         open_as<Berkeley>},
		{"bdb-trickle", "Berkeley DB, trickle",
	         "the same, and a thread that calls memp_trickle for 20 % of clean pages", open_as<Trickled>},
	};
}

} // namespace device
