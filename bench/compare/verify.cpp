/*
 * verify.cpp - see verify.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "verify.hpp"

#include <cstdio>
#include <memory>
#include <vector>

#include <sys/stat.h>

#include "draw.hpp"
#include "failure.hpp"
#include "page.hpp"

namespace compare {

/* ---- sums ---- */

template <class Source> static uint64_t sum_of(const Part &before, uint64_t operations)
{
	Source source(before);
	uint64_t sum = 0;
	for (uint64_t i = 0; i < operations; i++)
		sum += read_value_of(source.next());
	return sum;
}

static uint64_t sum_of_descents(const Part &before, uint64_t operations)
{
	Uniform source(before);
	uint64_t sum = 0;
	for (uint64_t i = 0; i < operations; i++) {
		uint32_t leaf = source.next();
		sum += read_value_of(ROOT) + read_value_of(inner_page(leaf)) + read_value_of(leaf_page(leaf));
	}
	return sum;
}

static uint64_t sum_of_loop(const Part &before, uint64_t operations)
{
	switch (before.loop) {
	case Loop::read:
	case Loop::modify:
		return sum_of<Uniform>(before, operations);
	case Loop::sequence:
		return sum_of<Sequence>(before, operations);
	case Loop::scan:
	case Loop::scan_once:
	case Loop::timed:
		return sum_of<InTurn>(before, operations);
	case Loop::descend:
		return sum_of_descents(before, operations);
	case Loop::append:
		break;
	}
	return 0;
}

static uint64_t modifications_of(const Part &before, uint64_t operations)
{
	if (before.loop != Loop::modify)
		return 0;
	Uniform source(before);
	uint64_t n = 0;
	for (uint64_t i = 0; i < operations; i++) {
		source.next();
		n += source.modify() ? 1 : 0;
	}
	return n;
}

std::string what_is_wrong(const Part &before, const Part &after)
{
	if (after.sum != sum_of_loop(before, after.operations))
		return "wrong bytes were read: the words do not add up";
	if (after.modified != modifications_of(before, after.operations))
		return "the loop's modifications are not as many as were drawn";
	return "";
}

/* ---- files ---- */

namespace {

struct Closer {
	void operator()(FILE *f) const { fclose(f); }
};

/* A file's pages from first to last, through the kernel's cache. */
class Reader {
public:
	Reader(const char *path, uint32_t page_bytes) : file(fopen(path, "rb")), page(page_bytes)
	{
		if (!file)
			throw_errno("opening", path);
	}

	/* nullptr at the end. */
	const unsigned char *next()
	{
		return fread(page.data(), page.size(), 1, file.get()) == 1 ? page.data() : nullptr;
	}

private:
	std::unique_ptr<FILE, Closer> file;
	std::vector<unsigned char> page;
};

} // namespace

static std::string page_name(uint64_t page)
{
	return "in the file, page " + std::to_string(page);
}

uint64_t modified_in_file(const char *path, uint32_t page_bytes, uint32_t pages)
{
	Reader reader(path, page_bytes);
	uint64_t modified = 0;
	for (uint32_t p = 0; p < pages; p++) {
		const unsigned char *bytes = reader.next();
		if (bytes == nullptr)
			throw Wrong(page_name(p) + " is missing");
		if (!page_is_right(bytes, page_bytes, p, &modified))
			throw Wrong(page_name(p) + " has wrong bytes");
	}
	return modified;
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		throw_errno("looking at", path);
	return static_cast<uint64_t>(st.st_size);
}

void check_appended_file(const char *path, uint32_t page_bytes, uint64_t pages)
{
	uint64_t found = size_of(path) / page_bytes;
	if (found != pages)
		throw Wrong(std::to_string(pages) + " pages were appended, and the file has " + std::to_string(found));
	Reader reader(path, page_bytes);
	for (uint32_t p = 0; p < pages; p++) {
		const unsigned char *bytes = reader.next();
		if (bytes == nullptr || !stamp_is_right(bytes, page_bytes, p))
			throw Wrong(page_name(p) + " is not what was appended");
	}
}

} // namespace compare
