#!/bin/bash
# tidy.sh SOURCE BUILD - clang-tidy has nothing to say about the library, nor about the servers and stores that are built;
# .clang-tidy has what it looks for.
#
# As version 19 has it, which Debian 12 and 13 both have; where it is not there the
# test is skipped.  BUILD has compile_commands.json.  A file that is compiled several times is looked at once: where
# there is one, as in the library that checks itself, which has all code that the plain one has, and more.
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
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 - "$2/compile_commands.json" > "$tmp/compile_commands.json" << 'EOF'
import json, sys

commands = json.load(open(sys.argv[1]))
# Of those with one name the last stays.
print(json.dumps(list({c["file"]: c for c in sorted(commands, key=lambda c: "mpool_checked.dir" in c["command"])}.values())))
EOF
find "${folders[@]}" -name '*.c' | xargs -n 4 -P 2 clang-tidy-19 -p "$tmp" --quiet
echo "tidy.sh: all is well"
