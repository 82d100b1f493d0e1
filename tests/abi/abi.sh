#!/bin/bash
# abi.sh LIBRARY - programs built with the last release go on working with this library.
# abi.sh --write LIBRARY INCLUDE - print what a release's library offers, for libmpool.abi.
#
# libmpool.abi has the last release's symbols and the types that its header shows.
# What is added is fine; what is gone or changed is not.  LIBRARY needs debugging
# information.  Then references that are not this library's are held against it,
# so that a comparison that has gone blind is noticed.
#
# SPDX-License-Identifier: BSD-2-Clause
set -euo pipefail
export LC_ALL=C

case ${1:---help} in --help)
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
	exit
	;;
esac

dump()
{
	abidw --no-architecture --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash \
		--exported-interfaces-only --drop-undefined-syms "$@" | sed "s| path='[^']*/src/| path='src/|"
}

if [ "$1" = --write ]; then
	dump --drop-private-types --headers-dir "$3" "$2"
	exit
fi
command -v abidiff > /dev/null || exit 77 # the test is skipped
library=$1
reference=$(dirname "$0")/libmpool.abi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
dump "$library" > "$tmp/library.abi"

# Callers say how large their struct mpool_stats is, so it may grow at its end; to
# abidiff that is a change like any other, so it is looked at here.
cat > "$tmp/growing" <<END
[suppress_type]
name = mpool_stats
END

# stats ABI - the members of struct mpool_stats, in order, and where they are.
stats()
{
	sed -n "/<class-decl name='mpool_stats'/,/<\/class-decl>/s/.*\(layout-offset-in-bits='[0-9]*'\|var-decl name='[a-z]*'\).*/\1/p" "$1"
}

# same REFERENCE - the library has all of it, as it was.
same()
{
	local status=0 before now
	abidiff --no-architecture --no-added-syms --suppressions "$tmp/growing" "$1" "$library" || status=$?
	# 1 and 2: abidiff could not do it.
	[ $((status & 3)) = 0 ] || exit 1
	before=$(stats "$1")
	now=$(stats "$tmp/library.abi")
	if [ -z "$before" ] || [[ $now != "$before"* ]]; then
		printf 'struct mpool_stats is not what it was, with more at its end.  It was:\n%s\nIt is:\n%s\n' "$before" "$now"
		status=4
	fi
	[ $status = 0 ]
}

fail()
{
	echo "abi.sh: $*" >&2
	exit 1
}

same "$reference" || fail "programs built with the last release would not work with this library"

# planted WHAT SED_EXPRESSION - the reference, changed so, is another library's.
planted()
{
	sed "$2" "$reference" > "$tmp/planted.abi"
	! cmp -s "$reference" "$tmp/planted.abi" || fail "$1: the reference does not change"
	! same "$tmp/planted.abi" > "$tmp/said" || fail "$1 is not noticed"
}
pointer=$(sed -n "s/.*type-id='\([0-9a-f]*\)' name='mp'.*/\1/p" "$reference" | head -n 1)
planted "a call that is gone" "s|\( *<elf-symbol name='mpool_s\)tats\('.*\)|&\n\1pare\2|"
planted "a parameter of another type" \
	"/<function-decl name='mpool_get'/,/<\/function-decl>/s/type-id='[0-9a-f]*' name='page'/type-id='$pointer' name='page'/"
planted "a member that has moved" "/name='mpool_stats'/,/<\/class-decl>/s/layout-offset-in-bits='64'/layout-offset-in-bits='32'/"
planted "a member that is gone" "/name='mpool_stats'/,/<\/class-decl>/s/name='deaths'/name='births'/"
echo "abi.sh: all is well"
