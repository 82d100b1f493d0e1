#!/bin/bash
# format.sh SOURCE - every file of C and C++ has the layout of .clang-format, and test cases have names that Catch can print.
#
# As version 19 has it, which Debian 12 and 13 both have; where it is not there the
# test is skipped.
#
# SPDX-License-Identifier: BSD-2-Clause
set -euo pipefail
cd "$1"
# Catch indents a name by what stands before its first ": ", and prints without end when a test fails whose name has no room after that.
if grep -rnP --include='*.cpp' 'TEST_CASE\("(?!.{0,70}: )[^"]*: ' tests; then
	echo "format.sh: such a test could not say that it fails" >&2
	exit 1
fi
command -v clang-format-19 > /dev/null || exit 77
find include src tests stress bench tools servers stores examples -name '*.[ch]' -o -name '*.[ch]pp' |
	xargs clang-format-19 --dry-run -Werror
echo "format.sh: all is well"
