/*
 * catch.hpp - Catch2, whichever of its versions is there: 2 has one header, 3 has many.
 *
 * Nothing else includes Catch2's headers.  What the versions call differently has one name here.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TESTS_CATCH_HPP
#define MPOOL_TESTS_CATCH_HPP

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_all.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>

namespace test {
using Catch::Approx;
using Listener = Catch::EventListenerBase;
using Catch::Matchers::ContainsSubstring;
} // namespace test

#else
#include <catch2/catch.hpp>

namespace test {
#if defined(CATCH_CONFIG_MAIN) || defined(CATCH_CONFIG_RUNNER)
using Listener = Catch::TestEventListenerBase;
#endif
using Catch::Detail::Approx;
inline auto ContainsSubstring(const std::string &part)
{
	return Catch::Contains(part);
}
} // namespace test
#endif

#endif
