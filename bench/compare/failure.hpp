/*
 * failure.hpp - a system call failed.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace compare {

[[noreturn]] inline void throw_errno(const std::string &doing, const std::string &what)
{
	throw std::system_error(errno, std::generic_category(), doing + " " + what);
}

[[noreturn]] inline void throw_errno(const std::string &doing)
{
	throw std::system_error(errno, std::generic_category(), doing);
}

} // namespace compare
