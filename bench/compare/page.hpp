/*
 * page.hpp - what the pages of the comparison contain.
 *
 * Page p of a file has in word w the value page_word(p) + w, but for the words
 * that threads modify: modified_first + t is thread t's count of what it did to
 * the page, 0 at first.  So every read and every modification can be added up
 * and compared with what was asked for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace compare {

constexpr size_t LINE_BYTES = 64;
constexpr size_t WORD_BYTES = 8;
constexpr unsigned MODIFIED_WORDS = 64; /* the last of a page, one a thread */

/* splitmix64's mixing. */
inline uint64_t mixed(uint64_t n)
{
	uint64_t x = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

inline uint64_t page_word(uint32_t page)
{
	return mixed(page);
}

/* Of a page: lines that are read, and the first of the words that threads modify.  Set once a workload. */
inline unsigned read_lines;
inline unsigned modified_first;

inline void set_page_bytes(uint32_t page_bytes)
{
	modified_first = page_bytes / WORD_BYTES - MODIFIED_WORDS;
	read_lines = modified_first * WORD_BYTES / LINE_BYTES;
}

/*
 * The word of the page that a get reads: the first of some line of it, for each
 * page another, or all pages together would compete for a few sets of the caches.
 */
inline unsigned read_word_of(uint32_t page)
{
	auto line = static_cast<unsigned>(uint64_t{page * UINT32_C(2654435761)} * read_lines >> 32);
	return line * (LINE_BYTES / WORD_BYTES);
}

/* What is read there. */
inline uint64_t read_value_of(uint32_t page)
{
	return page_word(page) + read_word_of(page);
}

inline uint64_t read_page(const unsigned char *bytes, uint32_t page)
{
	/* Volatile: the load can neither be left out nor be done once for many. */
	return *reinterpret_cast<const volatile uint64_t *>(bytes + read_word_of(page) * WORD_BYTES);
}

inline void modify_page(unsigned char *bytes, unsigned thread)
{
	auto *word = reinterpret_cast<volatile uint64_t *>(bytes) + modified_first + thread % MODIFIED_WORDS;
	*word = *word + 1;
}

/* What is written in an appended page: the word that is read, and one more. */
inline void stamp_page(unsigned char *bytes, uint32_t page)
{
	auto *words = reinterpret_cast<volatile uint64_t *>(bytes);
	words[read_word_of(page)] = read_value_of(page);
	words[modified_first] = page;
}

void fill_page(unsigned char *bytes, size_t page_bytes, uint32_t page);

/* Whether a page is as fill_page made it; adds what threads modified to *modified. */
bool page_is_right(const unsigned char *bytes, size_t page_bytes, uint32_t page, uint64_t *modified);

/* Whether a page holds what stamp_page wrote, and zeros. */
bool stamp_is_right(const unsigned char *bytes, size_t page_bytes, uint32_t page);

} // namespace compare
