/*
 * rocksdb.cpp - RocksDB: a log-structured merge tree.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>

namespace trees {

namespace {

using rocksdb::Slice;

constexpr uint64_t BUFFER_MOST = 64 << 20, BUFFER_LEAST = 1 << 20; /* 64 MiB by default */
constexpr uint64_t BUFFERS_OF_CACHE = 4;                           /* a quarter of the memory at most */
constexpr double FILTER_BITS = 10;
constexpr unsigned BLOCK_BYTES = 4096;
constexpr std::chrono::milliseconds LOOK_AGAIN{1};

void must(const rocksdb::Status &s)
{
	if (__builtin_expect(!s.ok(), false))
		throw std::runtime_error("RocksDB: " + s.ToString());
}

template <class Bytes> Slice slice(const Bytes &bytes)
{
	return Slice(reinterpret_cast<const char *>(&bytes), sizeof bytes);
}

rocksdb::Options options_of(const Setup &s)
{
	rocksdb::Options o;
	o.create_if_missing = true;
	o.compression = rocksdb::kNoCompression;
	o.IncreaseParallelism(static_cast<int>(s.threads));
	/* One is filled while another is written. */
	o.write_buffer_size = std::clamp(s.cache_bytes / BUFFERS_OF_CACHE / 2, BUFFER_LEAST, BUFFER_MOST);
	rocksdb::BlockBasedTableOptions table;
	table.block_size = BLOCK_BYTES;
	table.block_cache = rocksdb::NewLRUCache(s.cache_bytes - std::min(s.cache_bytes, 2 * o.write_buffer_size));
	table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(FILTER_BITS));
	table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
	o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
	return o;
}

class Thread : public Session {
public:
	Thread(rocksdb::DB *database, Durable d) : db(database) { writes.sync = d == Durable::each; }

	void put(const Key &key, const Value &value) override
	{
		must(db->Put(writes, db->DefaultColumnFamily(), slice(key.bytes), slice(value.words)));
	}

	bool get(const Key &key, Value &value) override
	{
		found.Reset();
		rocksdb::Status s = db->Get(reads, db->DefaultColumnFamily(), slice(key.bytes), &found);
		if (s.IsNotFound())
			return false;
		must(s);
		if (found.size() != sizeof value.words)
			return false;
		memcpy(value.words, found.data(), sizeof value.words);
		return true;
	}

private:
	rocksdb::DB *const db;
	rocksdb::WriteOptions writes;
	rocksdb::ReadOptions reads;
	rocksdb::PinnableSlice found;
};

class RocksDb : public Store {
public:
	explicit RocksDb(const Setup &s) : durable(s.durable)
	{
		rocksdb::DB *raw = nullptr;
		must(rocksdb::DB::Open(options_of(s), s.directory, &raw));
		db.reset(raw);
	}

	std::unique_ptr<Session> session() override { return std::make_unique<Thread>(db.get(), durable); }
	void checkpoint() override { must(db->Flush(rocksdb::FlushOptions())); }

	void settle() override
	{
		for (const char *what : {"rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes",
		                         "rocksdb.compaction-pending", "rocksdb.num-running-compactions"}) {
			uint64_t n = 0;
			while (db->GetIntProperty(what, &n) && n != 0)
				std::this_thread::sleep_for(LOOK_AGAIN);
		}
	}

private:
	std::unique_ptr<rocksdb::DB> db;
	const Durable durable;
};

} // namespace

Kind rocksdb_kind()
{
	return {"rocksdb", "RocksDB", rocksdb::GetRocksVersionAsString(),
	        "not compressed, blocks of 4096 bytes, Bloom filters of 10 bits a key, a hash index in blocks; memtables of up "
	        "to 64 MiB, and not more than a quarter of its memory, the rest is the block cache; compaction that still "
	        "goes on when a cell has ended is waited for, and not counted; durable: WriteOptions::sync",
	        open_as<RocksDb>};
}

} // namespace trees
