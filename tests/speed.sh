#!/bin/bash
# speed.sh MPOOL_SPEED - it says how fast a file's pages are read, in one line, whatever the
# file system and the kernel refuse.
#
# What they refuse here is refused by strace(1), where that can be used.
set -euo pipefail
export LC_ALL=C

speed=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

fail()
{
	echo "speed.sh: $*" >&2
	exit 1
}

# says WHAT COMMAND... - it ends with 0 and one line, which has the expression.
says()
{
	local what=$1
	shift
	"$@" > out 2> err || fail "$*: exit status $?: $(cat err)"
	[ "$(wc -l < out)" = 1 ] || fail "$*: not one line: $(cat out)"
	grep -qE -- "$what" out || fail "$*: it does not say \"$what\": $(cat out)"
}

rates='[0-9]+ a second one at a time, [0-9]+ by mpool_getv, 32 at once: [0-9.]+ times \((io_uring|threads.*)\)$'
head -c 1M /dev/zero > file
head -c 10000 /dev/zero > small
says "$rates" "$speed" file
says "too few pages .*: 2$" "$speed" small
status=0
"$speed" no/such/file > out 2> err || status=$?
[ $status = 1 ] || fail "a file that is not there: exit status $status"
grep -q "no/such/file" err || fail "a file that is not there: $(cat err)"

if strace -qq -o /dev/null true 2> /dev/null; then
	says "kernel's cache \(no O_DIRECT here\): $rates" \
		strace -qq -o /dev/null -P "$PWD/file" -e inject=openat:error=EINVAL:when=1 "$speed" "$PWD/file"
	# Where it is refused already, it is by another error.
	says "\(threads: io_uring is refused, .+\)$" \
		strace -f -qq -o /dev/null -e trace=io_uring_setup -e inject=io_uring_setup:error=EPERM "$speed" file
fi
echo "speed.sh: all is well"
