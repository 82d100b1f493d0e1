/*
 * berkeley.hpp - Berkeley DB's mpool, opened for a file: what all adaptors of it share.
 *
 * An environment of one cache and nothing else, and one file in it; private, or one
 * that processes share.  What
 * there is to choose is how large the cache is: Berkeley DB counts bytes, its own
 * headers included, and adds to what it is asked for.  The sizes below are those
 * of 5.3.28 for 64 bits, and give the number of pages that is wanted.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include <db.h>

#include "subject.hpp"

/*
 * What DB_MPOOLFILE->get ends in, and what libdb's own trees and hashes call.
 * Needed to modify: the public call of 5.3.28 loses DB_MPOOL_DIRTY (the macro
 * FLD_CLR, in a switch that only means to look at the other flags, clears it), so
 * that the page is neither latched for its writer nor ever written.  Weak, for a
 * libdb that has renamed it.
 */
extern "C" [[gnu::weak]] int __memp_fget(DB_MPOOLFILE *, db_pgno_t *, DB_THREAD_INFO *, DB_TXN *, u_int32_t, void *);

namespace compare::berkeley {

/* ---- errors ---- */

/* What libdb said last to this thread: kept for the exception, not printed. */
inline thread_local std::string last_words;

inline void keep_words(const DB_ENV *, const char *, const char *message)
{
	last_words = message;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail(const char *doing, int error)
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
inline uint32_t buckets_for(uint32_t pages)
{
	uint32_t n = 32;
	while (n < pages)
		n *= 2;
	return n;
}

/* With room to spare when every page is to stay; otherwise the most that is not too much. */
inline uint64_t cache_bytes(const Setup &s)
{
	uint64_t bytes = OTHERS + buckets_for(s.cache_pages) * BUCKET + s.cache_pages * (s.page_bytes + PAGE_HEADER);
	if (s.cache_pages == s.file_pages)
		bytes += bytes / 16 + 8 * GRAIN;
	return std::max(bytes / GRAIN * GRAIN, SMALLEST);
}

inline void set_cache_size(DB_ENV *env, uint64_t bytes)
{
	uint64_t asked = bytes >= NOT_RAISED ? bytes : (bytes - ADDED) / 5 * 4;
	check(env->set_cachesize(env, asked >> 30, asked & ((1u << 30) - 1), 1), "cache size");
}

/* ---- opened ---- */

struct Closer {
	void operator()(DB_ENV *env) const { env->close(env, 0); }
	void operator()(DB_MPOOLFILE *file) const { file->close(file, 0); }
};

using Environment = std::unique_ptr<DB_ENV, Closer>;
using File = std::unique_ptr<DB_MPOOLFILE, Closer>;

/* Private when there is no home: then it keeps nothing in files. */
inline Environment open_environment(const Setup &s, const char *home)
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
inline File open_file(DB_ENV *env, const Setup &s)
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

} // namespace compare::berkeley
