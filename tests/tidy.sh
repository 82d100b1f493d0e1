#!/bin/bash
# tidy.sh SOURCE BUILD - clang-tidy has nothing to say about the library, nor about the servers and stores that are built;
# .clang-tidy has what it looks for.
#
# As version 19 has it, which Debian 12 and 13 both have; where it is not there the
# test is skipped.  BUILD has compile_commands.json.
#
# SPDX-License-Identifier: BSD-2-Clause
set -euo pipefail
cd "$1"
command -v clang-tidy-19 > /dev/null || exit 77
folders=(src)
! grep -q nbdkit-mpool-plugin "$2/compile_commands.json" || folders+=(servers)
for store in stores/*/; do
	! grep -q "/$store" "$2/compile_commands.json" || folders+=("$store")
done
find "${folders[@]}" -name '*.c' | xargs -n 4 -P 2 clang-tidy-19 -p "$2" --quiet
echo "tidy.sh: all is well"
