/*
 * berkeley.cpp - Berkeley DB's mpool, which grew out of 4.4BSD's.
 *
 * An environment of one cache and nothing else, and one file in it; private, or one
 * that processes share.  What
 * there is to choose is how large the cache is: Berkeley DB counts bytes, its own
 * headers included, and adds to what it is asked for.  The sizes below are those
 * of 5.3.28 for 64 bits, and give the number of pages that is wanted.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include <db.h>

#include "register.hpp"

/*
 * What DB_MPOOLFILE->get ends in, and what libdb's own trees and hashes call.
 * Needed to modify: the public call of 5.3.28 loses DB_MPOOL_DIRTY (the macro
 * FLD_CLR, in a switch that only means to look at the other flags, clears it), so
 * that the page is neither latched for its writer nor ever written.  Weak, for a
 * libdb that has renamed it.
 */
extern "C" [[gnu::weak]] int __memp_fget(DB_MPOOLFILE *, db_pgno_t *, DB_THREAD_INFO *, DB_TXN *, u_int32_t, void *);

namespace {

using namespace compare;

/* ---- errors ---- */

/* What libdb said last to this thread: kept for the exception, not printed. */
thread_local std::string last_words;

void keep_words(const DB_ENV *, const char *, const char *message)
{
	last_words = message;
}

[[noreturn, gnu::cold, gnu::noinline]] void fail(const char *doing, int error)
{
	throw std::runtime_error(std::string("Berkeley DB, ") + doing + ": " + db_strerror(error) + ". " + last_words);
}

inline void check(int error, const char *doing)
{
	if (__builtin_expect(error != 0, false))
		fail(doing, error);
}

/* ---- how large a cache is ---- */

constexpr uint64_t PAGE_HEADER = 88 + 8; /* BH, and the length before every allocation */
constexpr uint64_t BUCKET = 56;          /* DB_MPOOL_HASH */
constexpr uint64_t OTHERS = 1900;        /* between 1704 and 2104, by what fitted */
constexpr uint64_t GRAIN = 8192;         /* of the size of a cache */
constexpr uint64_t SMALLEST = 3 * GRAIN; /* holds 4 pages of 4096, or 18 of 1024 */

/* set_cachesize adds a quarter and this to a smaller size than that. */
constexpr uint64_t ADDED = 37 * BUCKET;
constexpr uint64_t NOT_RAISED = uint64_t{500} << 20;

/* As many as can matter, and few enough to stay in the processor's cache. */
constexpr uint32_t BUCKET_MUTEXES = 1024;

/* A bucket a page.  libdb takes a prime close to a power of two. */
uint32_t buckets_for(uint32_t pages)
{
	uint32_t n = 32;
	while (n < pages)
		n *= 2;
	return n;
}

/* With room to spare when every page is to stay; otherwise the most that is not too much. */
uint64_t cache_bytes(const Setup &s)
{
	uint64_t bytes = OTHERS + buckets_for(s.cache_pages) * BUCKET + s.cache_pages * (s.page_bytes + PAGE_HEADER);
	if (s.cache_pages == s.file_pages)
		bytes += bytes / 16 + 8 * GRAIN;
	return std::max(bytes / GRAIN * GRAIN, SMALLEST);
}

void set_cache_size(DB_ENV *env, uint64_t bytes)
{
	uint64_t asked = bytes >= NOT_RAISED ? bytes : (bytes - ADDED) / 5 * 4;
	check(env->set_cachesize(env, asked >> 30, asked & ((1u << 30) - 1), 1), "cache size");
}

/* ---- the adaptor ---- */

struct Closer {
	void operator()(DB_ENV *env) const { env->close(env, 0); }
	void operator()(DB_MPOOLFILE *file) const { file->close(file, 0); }
};

using Environment = std::unique_ptr<DB_ENV, Closer>;
using File = std::unique_ptr<DB_MPOOLFILE, Closer>;

/* Private when there is no home: then it keeps nothing in files. */
Environment open_environment(const Setup &s, const char *home)
{
	DB_ENV *raw;
	check(db_env_create(&raw, 0), "environment");
	Environment env(raw);
	env->set_errcall(raw, keep_words);
	set_cache_size(raw, cache_bytes(s));
	uint32_t buckets = buckets_for(s.cache_pages);
	check(env->set_mp_tablesize(raw, buckets), "hash table");
	check(env->set_mp_mtxcount(raw, std::min(buckets, BUCKET_MUTEXES)), "mutexes");
	/* From this libdb knows how many mutexes the pages need. */
	check(env->set_mp_pagesize(raw, s.page_bytes), "page size");
	u_int32_t flags = DB_CREATE | DB_INIT_MPOOL | DB_THREAD | (home == nullptr ? DB_PRIVATE : 0u);
	check(env->open(raw, home, flags, 0), "opening the environment");
	return env;
}

/* No page-in or page-out function. */
File open_file(DB_ENV *env, const Setup &s)
{
	DB_MPOOLFILE *raw;
	check(env->memp_fcreate(env, &raw, 0), "file handle");
	File file(raw);
	/* Of a new page libdb clears nothing, unless told to. */
	check(file->set_clear_len(raw, s.page_bytes), "length to clear");
	std::string path = std::filesystem::absolute(s.path).string();
	check(file->open(raw, path.c_str(), DB_NOMMAP, 0, s.page_bytes), "opening the file");
	return file;
}

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
