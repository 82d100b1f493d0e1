/*
 * rocksdb.cpp - RocksDB: a database whose values are the pages, in place of the file.
 *
 * It has no cache of pages of a file that could be asked for many at once, but MultiGet.
 * The database is made once a run, compacted, and has the same pages in the same order.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include "compare/page.hpp"
#include "peers.hpp"

namespace device {

namespace {

using rocksdb::Slice;

constexpr uint32_t PAGES_A_BATCH = 256;

void must(const rocksdb::Status &s)
{
	if (!s.ok())
		throw std::runtime_error("RocksDB: " + s.ToString());
}

/* Keys are compared byte by byte: the greatest first. */
class Key {
public:
	explicit Key(uint32_t page)
	    : bytes{static_cast<char>(page >> 24), static_cast<char>(page >> 16), static_cast<char>(page >> 8),
	            static_cast<char>(page)}
	{
	}
	Slice slice() const { return Slice(bytes, sizeof bytes); }

private:
	char bytes[4];
};

rocksdb::Options options_of(const Setup &s)
{
	rocksdb::BlockBasedTableOptions table;
	table.block_size = PAGE_BYTES;
	table.block_cache = rocksdb::NewLRUCache(static_cast<size_t>(s.cache_pages) * PAGE_BYTES);
	rocksdb::Options o;
	o.create_if_missing = true;
	o.compression = rocksdb::kNoCompression;
	o.use_direct_reads = s.place == Place::direct;
	o.advise_random_on_open = true;
	o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
	return o;
}

class RocksDb : public Peer {
public:
	explicit RocksDb(const Setup &s) : directory(s.scratch + "/rocksdb")
	{
		bool is_new = !std::filesystem::exists(directory);
		rocksdb::DB *raw = nullptr;
		must(rocksdb::DB::Open(options_of(s), directory, &raw));
		db.reset(raw);
		if (is_new)
			fill(s.file_pages);
		options.verify_checksums = false; /* as all others */
		options.async_io = true;
	}

	void visit(uint32_t page, unsigned thread, bool) override
	{
		rocksdb::PinnableSlice value;
		must(db->Get(options, db->DefaultColumnFamily(), Key(page).slice(), &value));
		look_at(const_cast<char *>(value.data()), page, thread, false);
	}

	uint32_t together(uint32_t d) const override { return d; }

	void visit_all(const uint32_t *pages, size_t n) override
	{
		std::vector<Key> keys(pages, pages + n);
		std::vector<Slice> slices;
		for (const Key &k : keys)
			slices.push_back(k.slice());
		std::vector<rocksdb::PinnableSlice> values(n);
		std::vector<rocksdb::Status> found(n);
		db->MultiGet(options, db->DefaultColumnFamily(), n, slices.data(), values.data(), found.data());
		for (size_t i = 0; i < n; i++) {
			must(found[i]);
			check_page(values[i].data(), pages[i]);
		}
	}

	void forget() override
	{
		for (const auto &entry : std::filesystem::directory_iterator(directory)) {
			int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue; /* a directory's entry that went meanwhile */
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
			close(fd);
		}
	}

private:
	void fill(uint32_t pages)
	{
		rocksdb::WriteOptions unlogged;
		unlogged.disableWAL = true;
		std::vector<unsigned char> bytes(PAGE_BYTES);
		for (uint32_t first = 0; first < pages; first += PAGES_A_BATCH) {
			rocksdb::WriteBatch batch;
			for (uint32_t p = first; p < first + PAGES_A_BATCH && p < pages; p++) {
				compare::fill_page(bytes.data(), PAGE_BYTES, p);
				must(batch.Put(Key(p).slice(),
				               Slice(reinterpret_cast<const char *>(bytes.data()), PAGE_BYTES)));
			}
			must(db->Write(unlogged, &batch));
		}
		must(db->Flush(rocksdb::FlushOptions()));
		must(db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
	}

	const std::string directory;
	std::unique_ptr<rocksdb::DB> db;
	rocksdb::ReadOptions options;
};

} // namespace

std::vector<Kind> rocksdb_kinds()
{
	return {{"rocksdb", "RocksDB MultiGet",
	         "a database of the same pages, compacted, not compressed, checksums off, a block cache as large as "
	         "the pool; MultiGet with async_io, which reads by io_uring if the package was built so",
	         open_as<RocksDb>}};
}

} // namespace device
