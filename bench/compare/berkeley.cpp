/*
 * berkeley.cpp - Berkeley DB's mpool, which grew out of 4.4BSD's; berkeley.hpp opens it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "berkeley.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "register.hpp"

namespace {

using namespace compare;
using namespace compare::berkeley;

class Berkeley {
public:
	using Pin = AddressPin;

	static Description describe()
	{
		int major, minor, patch;
		db_version(&major, &minor, &patch);
		return {"Berkeley DB",
		        std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch),
		        "DB_PRIVATE and DB_THREAD, so that memory is malloc's and mutexes are pthread's. An environment "
		        "is opened for many threads or for one, and this one is for many at one thread too: without "
		        "DB_THREAD one thread's hits took half as long (hot 28 ns and not 60, uniform-10000 60 ns and "
		        "not 115). One cache, as 2 to 16 gained nothing, sized to hold the pages wanted; a hash bucket a page, and 1024 "
		        "mutexes for the buckets, which one thread likes better than a mutex for each, two threads no "
		        "less. The public get loses DB_MPOOL_DIRTY: to modify, and for new pages (by number, with "
		        "DB_MPOOL_CREATE), the function behind it is called, as by libdb's own B-trees"};
	}

	static const char *cannot(const Work &w)
	{
		if (w.direct)
			return "Debian's libdb is built without O_DIRECT, and its pages are not aligned";
		if ((w.modifies || w.appends) && __memp_fget == nullptr)
			return "this libdb's DB_MPOOLFILE->get loses DB_MPOOL_DIRTY";
		return nullptr;
	}

	explicit Berkeley(const Setup &s) : Berkeley(s, nullptr) {}

	Pin get(uint32_t page)
	{
		db_pgno_t number = page;
		void *bytes = nullptr;
		int error = file->get(file.get(), &number, nullptr, 0, &bytes);
		return pin(error, bytes);
	}

	Pin get_to_modify(uint32_t page) { return get_dirty(page, 0); }

	/*
	 * Numbered here, and zeroed by libdb.  DB_MPOOL_NEW is for one thread at a time
	 * (libdb's own trees hold a metadata page's lock): of two at once, the slower
	 * enters its page in the hash bucket of the quicker one's page number, where no
	 * get finds it.  With a mutex around it, two threads appended less than one.
	 */
	Pin append(uint32_t *page)
	{
		*page = next_page.fetch_add(1, std::memory_order_relaxed);
		return get_dirty(*page, DB_MPOOL_CREATE);
	}

	/* Whether it was modified is known since the get. */
	void put(Pin &pin) { check(file->put(file.get(), pin.bytes, DB_PRIORITY_UNCHANGED, 0), "put"); }
	void put_modified(Pin &pin) { put(pin); }

	/* Writes in the file's order, then fsync; memp_sync does the same and takes as long. */
	void sync() { check(file->sync(file.get()), "sync"); }

	/* Threads that count at once can lose one: libdb adds without a lock. */
	uint64_t reads() const
	{
		DB_MPOOL_FSTAT **files = nullptr;
		check(env->memp_stat(env.get(), nullptr, &files, 0), "statistics");
		uint64_t n = files != nullptr && files[0] != nullptr ? files[0]->st_page_in : 0;
		free(files);
		return n;
	}

protected:
	Berkeley(const Setup &s, const char *home)
	    : env(open_environment(s, home)), file(open_file(env.get(), s)), next_page(s.file_pages)
	{
	}

private:
	Pin get_dirty(uint32_t page, u_int32_t flags)
	{
		db_pgno_t number = page;
		void *bytes = nullptr;
		int error = __memp_fget(file.get(), &number, nullptr, nullptr, flags | DB_MPOOL_DIRTY, &bytes);
		return pin(error, bytes);
	}

	/* libdb's own errors are negative. */
	static Pin pin(int error, void *bytes)
	{
		if (__builtin_expect(error != 0, false)) {
			errno = error > 0 ? error : EIO;
			return {nullptr};
		}
		return {static_cast<unsigned char *>(bytes)};
	}

	Environment env;
	File file; /* after the environment: closed before it */
	std::atomic<uint32_t> next_page;
};

/* The first process that opens the environment makes its regions, the others map them. */
class SharedBerkeley : public Berkeley {
public:
	static Description describe()
	{
		Description d = Berkeley::describe();
		return {d.name + ", shared", d.version,
		        "as Berkeley DB, but without DB_PRIVATE: its regions are files in /dev/shm, mapped by every "
		        "process; memory as with DB_SYSTEM_MEM, but of a kind that goes with its directory"};
	}

	explicit SharedBerkeley(const Setup &s) : Berkeley(s, s.shared) {}
};

} // namespace

static const compare::Registered<Berkeley> registered("bdb");
static const compare::Registered<SharedBerkeley> registered_shared("bdb-shared", compare::Sharing::processes);
