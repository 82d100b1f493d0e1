/*
 * json.hpp - figures and texts as the benchmarks write them down.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace compare::json {

inline std::string number(double value)
{
	char text[40];

	snprintf(text, sizeof text, "%.9g", value);
	return text;
}

inline std::string quoted(const std::string &text)
{
	std::string q = "\"";
	for (char c : text) {
		auto code = static_cast<unsigned char>(c);
		char escape[8];
		if (code < 0x20) {
			snprintf(escape, sizeof escape, "\\u%04x", code);
			q += escape;
			continue;
		}
		if (c == '"' || c == '\\')
			q += '\\';
		q += c;
	}
	return q + "\"";
}

using Fields = std::vector<std::pair<std::string, std::string>>;

/* On one line; all values are text. */
inline std::string object(const Fields &fields)
{
	std::string all;
	for (const auto &field : fields)
		all += (all.empty() ? "" : ", ") + quoted(field.first) + ": " + quoted(field.second);
	return "{" + all + "}";
}

template <class Items>
std::string list(const Items &items, std::function<std::string(typename Items::const_reference)> text)
{
	std::string all;
	for (const auto &item : items)
		all += (all.empty() ? "\n    " : ",\n    ") + text(item);
	return "[" + all + "\n  ]";
}

} // namespace compare::json
