/*
 * trace.cpp - see trace.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "trace.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include <mpool.h>

#include "compare/failure.hpp"

namespace replay {

namespace fs = std::filesystem;
using compare::throw_errno;

constexpr size_t NUMBER_BYTES = 4; /* of a page number in a file */
constexpr unsigned BYTE_BITS = 8;
constexpr size_t REQUESTS_MAX = UINT32_MAX - 1; /* a time is one number, and "never" another */

uint32_t Trace::greatest_page() const
{
	return *std::max_element(pages.begin(), pages.end());
}

static void number_as_they_come(Trace &t)
{
	std::unordered_map<uint32_t, uint32_t> rank_of;

	t.ranks.reserve(t.pages.size());
	for (uint32_t page : t.pages)
		t.ranks.push_back(rank_of.emplace(page, static_cast<uint32_t>(rank_of.size())).first->second);
	t.distinct = static_cast<uint32_t>(rank_of.size());
}

Trace trace_of(std::string name, std::string directory, std::vector<uint32_t> pages)
{
	if (pages.empty() || pages.size() > REQUESTS_MAX)
		throw std::runtime_error(name + ": a trace has from 1 to " + std::to_string(REQUESTS_MAX) +
		                         " requests, this one " + std::to_string(pages.size()));
	Trace t;
	t.name = std::move(name);
	t.directory = std::move(directory);
	t.pages = std::move(pages);
	if (t.greatest_page() == MAX_PAGE_NUMBER)
		throw std::runtime_error(t.name + ": no page has the number " + std::to_string(MAX_PAGE_NUMBER));
	number_as_they_come(t);
	return t;
}

/* ---- files ---- */

static std::string bytes_of(const std::string &path)
{
	std::ifstream file(path, std::ios::binary);
	std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());

	if (!file.is_open() || file.bad())
		throw_errno("reading", path);
	return bytes;
}

static std::vector<uint32_t> numbers_of_bytes(const std::string &bytes, const std::string &path)
{
	if (bytes.size() % NUMBER_BYTES != 0)
		throw std::runtime_error(path + ": " + std::to_string(bytes.size()) +
		                         " bytes are no whole number of page numbers");
	std::vector<uint32_t> pages(bytes.size() / NUMBER_BYTES);
	for (size_t i = 0; i < bytes.size(); i++)
		pages[i / NUMBER_BYTES] |= uint32_t{static_cast<unsigned char>(bytes[i])}
		                           << i % NUMBER_BYTES * BYTE_BITS;
	return pages;
}

/* The number that is all of `word`; throws when it is none, or too large. */
static uint32_t number_of_word(const std::string &word, unsigned line, const std::string &path)
{
	uint64_t n = 0;
	bool is_number = !word.empty();

	for (char c : word) {
		is_number = is_number && isdigit(static_cast<unsigned char>(c)) && n <= UINT32_MAX;
		n = n * 10 + static_cast<uint64_t>(c - '0');
	}
	if (!is_number || n > UINT32_MAX)
		throw std::runtime_error(path + ":" + std::to_string(line) + ": '" + word.substr(0, 20) +
		                         "' is no page number (numbers of 32 bits are read from files named .u32)");
	return static_cast<uint32_t>(n);
}

static std::vector<uint32_t> numbers_of_text(const std::string &text, const std::string &path)
{
	std::vector<uint32_t> pages;
	std::string word;
	unsigned line = 1;

	for (char c : text + '\n') {
		if (!isspace(static_cast<unsigned char>(c))) {
			word += c;
			continue;
		}
		if (!word.empty())
			pages.push_back(number_of_word(word, line, path));
		word.clear();
		line += c == '\n';
	}
	return pages;
}

Trace read_trace(const std::string &path)
{
	fs::path p(path);
	std::string bytes = bytes_of(path);
	bool text = p.extension() != ".u32" && bytes.find('\0') == std::string::npos;
	fs::path parent = p.parent_path();

	return trace_of(p.stem(), parent.empty() ? "." : parent.string(),
	                text ? numbers_of_text(bytes, path) : numbers_of_bytes(bytes, path));
}

std::vector<std::string> trace_files(const std::string &directory)
{
	std::vector<std::string> files;

	for (const fs::directory_entry &entry : fs::directory_iterator(directory))
		if (entry.path().extension() == ".u32" || entry.path().extension() == ".txt")
			files.push_back(entry.path());
	std::sort(files.begin(), files.end());
	if (files.empty())
		throw std::runtime_error(directory + ": there is no trace, no file named .u32 or .txt");
	return files;
}

void write_trace(const Trace &t, const std::string &path)
{
	std::string bytes;

	for (uint32_t page : t.pages)
		for (unsigned i = 0; i < NUMBER_BYTES; i++)
			bytes += static_cast<char>(page >> i * BYTE_BITS & UINT8_MAX);
	std::ofstream file(path, std::ios::binary);
	file << bytes << std::flush;
	if (!file)
		throw_errno("writing", path);
}

/* ---- pieces ---- */

Trace in_pieces(const Trace &t, unsigned pieces)
{
	std::vector<uint32_t> pages;
	size_t all = t.pages.size(), length = (all + pieces - 1) / pieces;

	pages.reserve(all);
	for (size_t i = 0; i < length; i++)
		for (size_t at = i; at < all; at += length)
			pages.push_back(t.pages[at]);
	Trace cut = trace_of(t.name, t.directory, std::move(pages));
	cut.once = t.once;
	return cut;
}

} // namespace replay
