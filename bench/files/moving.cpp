/*
 * moving.cpp - see moving.hpp.
 *
 * The files are holes in memory.  The filter that the pool calls for each page that it has read writes whose page it is, and
 * every get looks for that.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "moving.hpp"

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <mpool.h>

#include "compare/draw.hpp"
#include "compare/failure.hpp"

namespace files {

namespace {

using compare::throw_errno;

constexpr pgno_t PAGE_BYTES = 64;
constexpr uint64_t SEED = 1;
constexpr uint32_t OF_TEN = 9;

/* A file, and its handle: of a pool of its own with so much memory, or of a pool that is there. */
class File {
public:
	File(uint32_t number, uint32_t pages, uint32_t memory_pages) : File(number, pages)
	{
		begin(mpool_open(nullptr, fd, PAGE_BYTES, memory_pages));
	}
	File(uint32_t number, uint32_t pages, const File &first) : File(number, pages)
	{
		begin(mpool_attach(first.mp, fd));
	}
	~File()
	{
		if (mp != nullptr)
			mpool_close(mp);
		if (fd >= 0)
			close(fd);
	}
	File(const File &) = delete;
	File &operator=(const File &) = delete;

	void get_and_put(uint32_t page) const
	{
		void *bytes = mpool_get(mp, page, 0);
		if (bytes == nullptr)
			throw_errno("mpool_get of page", std::to_string(page));
		uint32_t found[2];
		memcpy(found, bytes, sizeof found);
		if (mpool_put(mp, bytes, 0) != 0)
			throw_errno("mpool_put");
		if (found[0] != number || found[1] != page)
			throw std::runtime_error("page " + std::to_string(page) + " of file " + std::to_string(number) +
			                         " is another");
	}

	/* Of the pool, if the file is its first. */
	uint64_t misses() const
	{
		struct mpool_stats st;
		if (mpool_stats(mp, &st, sizeof st) != 0)
			throw_errno("mpool_stats");
		return st.misses;
	}

private:
	File(uint32_t file_number, uint32_t pages) : number(file_number), fd(memfd_create("mpool-files", MFD_CLOEXEC))
	{
		if (fd < 0 || ftruncate(fd, static_cast<off_t>(pages) * PAGE_BYTES) != 0)
			throw_errno("making a file");
	}

	void begin(MPOOL *handle)
	{
		if (handle == nullptr)
			throw_errno("opening a file");
		mp = handle;
		mpool_filter(mp, sign, nullptr, this);
	}

	static void sign(void *self, pgno_t page, void *bytes)
	{
		const uint32_t whose[] = {static_cast<const File *>(self)->number, page};
		memcpy(bytes, whose, sizeof whose);
	}

	const uint32_t number;
	const int fd;
	MPOOL *mp = nullptr;
};

} // namespace

std::vector<Request> requests_of(const Moving &m)
{
	std::vector<Request> all(m.requests);
	uint64_t state = compare::mixed(SEED);
	const auto below = [&](uint32_t range) { return compare::below(state = compare::next_state(state), range); };
	for (uint32_t i = 0; i < m.requests; i++) {
		const uint32_t used = i / m.stay % FILES;
		const uint32_t file = below(10) < OF_TEN ? used : below(FILES);
		all[i] = {file, below(m.file_pages)};
	}
	return all;
}

uint64_t one_pool_misses(const Moving &m, const std::vector<Request> &requests)
{
	std::vector<std::unique_ptr<File>> files;
	files.push_back(std::make_unique<File>(0, m.file_pages, m.memory_pages));
	for (uint32_t i = 1; i < FILES; i++)
		files.push_back(std::make_unique<File>(i, m.file_pages, *files[0]));
	for (const Request &r : requests)
		files[r.file]->get_and_put(r.page);
	const uint64_t misses = files[0]->misses();
	while (!files.empty())
		files.pop_back(); /* the first is the pool */
	return misses;
}

uint64_t one_file_misses(const Moving &m, const std::vector<Request> &requests)
{
	const File file(0, FILES * m.file_pages, m.memory_pages);
	for (const Request &r : requests)
		file.get_and_put(r.file * m.file_pages + r.page);
	return file.misses();
}

uint64_t pool_each_misses(const Moving &m, const std::vector<Request> &requests)
{
	std::vector<std::unique_ptr<File>> files;
	for (uint32_t i = 0; i < FILES; i++)
		files.push_back(std::make_unique<File>(i, m.file_pages, m.memory_pages / FILES));
	for (const Request &r : requests)
		files[r.file]->get_and_put(r.page);
	uint64_t misses = 0;
	for (const auto &file : files)
		misses += file->misses();
	return misses;
}

} // namespace files
