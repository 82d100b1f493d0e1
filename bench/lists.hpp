/*
 * lists.hpp - lists of the command line's, of what stands between commas.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef LISTS_HPP
#define LISTS_HPP

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "number.h"

/* The words of a list, which may not be empty. */
inline std::vector<std::string> words_of(argp_state *state, const char *list, const char *option)
{
	std::vector<std::string> words;
	std::istringstream stream(list);
	for (std::string word; std::getline(stream, word, ',');)
		words.push_back(word);
	if (words.empty())
		argp_error(state, "%s: the list is empty", option);
	return words;
}

/* Numbers from 1 to max, each once, in order. */
inline std::vector<unsigned> numbers_of(argp_state *state, const char *list, const char *option, unsigned max)
{
	std::set<unsigned> numbers;
	for (const std::string &word : words_of(state, list, option))
		numbers.insert(static_cast<unsigned>(number(state, word.c_str(), option, 1, max)));
	return {numbers.begin(), numbers.end()};
}

#endif
