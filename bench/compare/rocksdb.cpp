/*
 * rocksdb.cpp - RocksDB's block caches: HyperClockCache and LRUCache.
 *
 * One adaptor for both; they differ in how they are made.  A block cache only
 * keeps what is given to it: as in RocksDB's own reader, a lookup that fails
 * is followed by an allocation, a read, and an insertion that keeps the block
 * pinned.  Threads that miss one block at once each read it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <rocksdb/cache.h>
#include <rocksdb/version.h>
#if ROCKSDB_MAJOR >= 8
#include <rocksdb/advanced_cache.h> /* where Cache is now */
#endif

#include "counter.hpp"
#include "page_io.hpp"
#include "register.hpp"

namespace {

using namespace compare;
using rocksdb::Cache;
using rocksdb::Slice;

/* ---- the two caches ---- */

/* Which came with its own way to say who frees a block. */
#if ROCKSDB_MAJOR >= 8
constexpr bool HAS_AUTO_HYPER_CLOCK = true;
#else
constexpr bool HAS_AUTO_HYPER_CLOCK = false;
#endif

/*
 * Capacities are in pages' bytes alone (kDontChargeCacheMetadata).  Each shard has
 * its part of the capacity, and pages do not fall evenly on shards: where all
 * are to stay, the capacity is so much more than the pages that no shard is full.
 */
struct HyperClock {
	static constexpr const char *name = "RocksDB HyperClockCache";
	static constexpr const char *setup =
		HAS_AUTO_HYPER_CLOCK
			? "as many shards as by default; charged for the pages alone; its hash table grows by itself "
			  "(estimated_entry_charge 0), as by default in this version"
			: "as many shards as by default; charged for the pages alone. estimated_entry_charge is 0.72 of the "
			  "page, which leaves at least half of its hash table free: with the page itself, hits of 10,000 "
			  "pages took a third longer, with less than 0.72 no less";

	static constexpr double CHARGE = 0.72;

	/* Its shards have at least 32 MiB: 8192 pages on average, and so never an eighth more. */
	static constexpr size_t room_for_all(size_t pages) { return pages + pages / 8; }

	static std::shared_ptr<Cache> make(const Setup &s, size_t capacity)
	{
		size_t charge = HAS_AUTO_HYPER_CLOCK ? 0 : static_cast<size_t>(CHARGE * capacity / s.cache_pages);
		rocksdb::HyperClockCacheOptions options(capacity, charge);
		options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
		return options.MakeSharedCache();
	}
};

struct Lru {
	static constexpr const char *name = "RocksDB LRUCache";
	static constexpr const char *setup =
		"high_pri_pool_ratio 0.5, as by default; charged for the pages alone; up to 64 shards, as by default, "
		"but 256 where every page stays and each has 32, which made hits with two threads an eighth quicker. "
		"They gained nothing with evictions, nor did adaptive mutexes anywhere";

	/* Shards have at least 32 of the pages on average, by default at least 43, and so never thrice that. */
	static constexpr size_t room_for_all(size_t pages) { return 3 * pages; }

	static constexpr int MANY_SHARDS_BITS = 8;
	static constexpr uint32_t PAGES_FOR_MANY = 32u << MANY_SHARDS_BITS;

	static std::shared_ptr<Cache> make(const Setup &s, size_t capacity)
	{
		rocksdb::LRUCacheOptions options;
		options.capacity = capacity;
		if (s.cache_pages == s.file_pages && s.cache_pages >= PAGES_FOR_MANY)
			options.num_shard_bits = MANY_SHARDS_BITS;
		options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
		return rocksdb::NewLRUCache(options);
	}
};

/* ---- the adaptor ---- */

struct HandlePin {
	unsigned char *bytes;
	Cache::Handle *handle;
};

template <class Kind> class RocksDb : public ReadsOnly<HandlePin> {
public:
	using Pin = HandlePin;

	static Description describe() { return {Kind::name, rocksdb::GetRocksVersionAsString(), Kind::setup}; }

	static const char *cannot(const Work &w)
	{
		if (w.modifies || w.appends || w.syncs)
			return "a cache of blocks that do not change: it writes nothing";
		return nullptr;
	}

	explicit RocksDb(const Setup &s) : fd(s.fd), page_bytes(s.page_bytes), direct(s.direct), cache(make(s))
	{
		if (!cache)
			throw std::runtime_error(std::string(Kind::name) + " could not be made");
	}

	Pin get(uint32_t page)
	{
		Key key(page);
		Cache::Handle *handle = cache->Lookup(key.slice());
		if (__builtin_expect(handle == nullptr, false))
			return read(key, page);
		return {static_cast<unsigned char *>(cache->Value(handle)), handle};
	}

	void put(Pin &pin) { cache->Release(pin.handle); }

	uint64_t reads() const { return pages_read.sum(); }

private:
	/* HyperClockCache takes keys of 16 bytes, which are what RocksDB's blocks have: file and place. */
	class Key {
	public:
		explicit Key(uint32_t page) : words{FILE_NUMBER, page} {}
		Slice slice() const { return Slice(reinterpret_cast<const char *>(words), sizeof words); }

	private:
		static constexpr uint64_t FILE_NUMBER = 1;
		uint64_t words[2];
	};

	static std::shared_ptr<Cache> make(const Setup &s)
	{
		bool all = s.cache_pages == s.file_pages;
		size_t pages = all ? Kind::room_for_all(s.cache_pages) : s.cache_pages;
		return Kind::make(s, pages * s.page_bytes);
	}

#if ROCKSDB_MAJOR >= 8
	static void drop(void *bytes, rocksdb::MemoryAllocator *) { free(bytes); }

	rocksdb::Status put_in(const Slice &key, unsigned char *bytes, Cache::Handle **handle)
	{
		static const Cache::CacheItemHelper helper(rocksdb::CacheEntryRole::kDataBlock, drop);
		return cache->Insert(key, bytes, &helper, page_bytes, handle);
	}
#else
	static void drop(const Slice &, void *bytes) { free(bytes); }

	rocksdb::Status put_in(const Slice &key, unsigned char *bytes, Cache::Handle **handle)
	{
		return cache->Insert(key, bytes, page_bytes, drop, handle);
	}
#endif

	[[gnu::noinline]] Pin read(const Key &key, uint32_t page)
	{
		/* Only O_DIRECT needs the alignment, and RocksDB asks for none otherwise. */
		void *block = direct ? aligned_alloc(page_bytes, page_bytes) : malloc(page_bytes);
		auto *bytes = static_cast<unsigned char *>(block);
		if (bytes == nullptr || !read_whole_page(fd, bytes, page_bytes, page)) {
			free(bytes);
			return {nullptr, nullptr};
		}
		pages_read.add(1);
		return insert(key, bytes);
	}

	Pin insert(const Key &key, unsigned char *bytes)
	{
		Cache::Handle *handle = nullptr;
		if (!put_in(key.slice(), bytes, &handle).ok()) {
			free(bytes);
			errno = ENOMEM;
			return {nullptr, nullptr};
		}
		return {bytes, handle};
	}

	const int fd;
	const size_t page_bytes;
	const bool direct;
	const std::shared_ptr<Cache> cache;
	Counter pages_read;
};

} // namespace

static const compare::Registered<RocksDb<HyperClock>> registered_hyper_clock("hcc");
static const compare::Registered<RocksDb<Lru>> registered_lru("lru");
