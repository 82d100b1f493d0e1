/*
 * lists.hpp - lists of the command line's, of what stands between commas.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef LISTS_HPP
#define LISTS_HPP

#include <algorithm>
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

/* The same, each of them what `name` gives of one of the known; else it is said that there is none `where`. */
template <class Known, class Name>
std::vector<std::string> known_words_of(argp_state *state, const char *list, const char *option, const Known &known,
                                        Name name, const char *where = "")
{
	std::vector<std::string> words = words_of(state, list, option);
	for (const std::string &word : words)
		if (std::none_of(known.begin(), known.end(), [&](const auto &k) { return word == name(k); }))
			argp_error(state, "%s: there is no '%s'%s; see --list", option, word.c_str(), where);
	return words;
}

/* Of what was asked for, all if that is nothing. */
inline bool is_wanted(const std::vector<std::string> &wanted, const std::string &name)
{
	return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
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
