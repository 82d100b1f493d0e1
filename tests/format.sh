#!/bin/bash
# format.sh SOURCE - every file of C and C++ has the layout of .clang-format.
#
# As version 19 has it, which Debian 12 and 13 both have; where it is not there the
# test is skipped.
#
# SPDX-License-Identifier: BSD-2-Clause
set -euo pipefail
cd "$1"
command -v clang-format-19 > /dev/null || exit 77
find include src tests stress bench tools servers examples -name '*.[ch]' -o -name '*.[ch]pp' |
	xargs clang-format-19 --dry-run -Werror
echo "format.sh: all is well"
