/*
 * page.cpp - pages as they are made and checked; see page.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "page.hpp"

namespace compare {

static bool is_modified_word(size_t w)
{
	return w >= modified_first && w < modified_first + MODIFIED_WORDS;
}

void fill_page(unsigned char *bytes, size_t page_bytes, uint32_t page)
{
	auto *words = reinterpret_cast<uint64_t *>(bytes);
	uint64_t word = page_word(page);
	for (size_t w = 0; w < page_bytes / WORD_BYTES; w++)
		words[w] = is_modified_word(w) ? 0 : word + w;
}

bool page_is_right(const unsigned char *bytes, size_t page_bytes, uint32_t page, uint64_t *modified)
{
	auto *words = reinterpret_cast<const uint64_t *>(bytes);
	uint64_t word = page_word(page);
	for (size_t w = 0; w < page_bytes / WORD_BYTES; w++)
		if (is_modified_word(w))
			*modified += words[w];
		else if (words[w] != word + w)
			return false;
	return true;
}

bool stamp_is_right(const unsigned char *bytes, size_t page_bytes, uint32_t page)
{
	auto *words = reinterpret_cast<const uint64_t *>(bytes);
	for (size_t w = 0; w < page_bytes / WORD_BYTES; w++) {
		uint64_t wanted = w == read_word_of(page) ? read_value_of(page) : w == modified_first ? page : 0;
		if (words[w] != wanted)
			return false;
	}
	return true;
}

} // namespace compare
