#!/bin/bash
# watchdog.sh WATCHED HANGS - what hangs is ended and described; what is only slow, because
# others use the machine, is not; and neither meets its user's pools.
set -euo pipefail
export LC_ALL=C

watched=$1
hangs=$2
tmp=$(mktemp -d)
others=()

finish()
{
	[ ${#others[@]} = 0 ] || kill -KILL "${others[@]}" 2> /dev/null || true
	rm -rf "$tmp"
}
trap finish EXIT

fail()
{
	echo "watchdog.sh: $*" >&2
	exit 1
}

# ends WITH COMMAND...
ends()
{
	local with=$1 status=0
	shift
	"$@" > "$tmp/out" 2> "$tmp/err" || status=$?
	[ $status = "$with" ] || fail "$*: ended with $status, not $with: $(cat "$tmp/err")"
}

says()
{
	cat "$tmp/out" "$tmp/err" | grep -q -- "$1" || fail "not said: $1, but: $(cat "$tmp/err")"
}

work='n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); done'

echo "== it ends as the command does"
ends 0 "$watched" true
ends 3 "$watched" sh -c 'exit 3'
ends 143 "$watched" sh -c 'kill -TERM $$'

echo "== who sleeps for ever, or spins, is ended, with all that it has started"
ends 124 "$watched" --seconds 1 sh -c 'echo $$ > '"$tmp"'/pid; sleep 100000; true'
says "out of time: sh -c"
says "sleep: state S"
ends 124 "$watched" --seconds 1 sh -c 'while :; do :; done'
says "out of time: sh -c"
# Whoever adopted it may not have waited for it yet.
for ((look = 0; look < 100; look++)); do
	kill -0 "$(cat "$tmp/pid")" 2> /dev/null || break
	sleep 0.1
done
! kill -0 "$(cat "$tmp/pid")" 2> /dev/null || fail "it is still there"

echo "== a test case too, by its name"
export MPOOL_TEST_SECONDS=1
ends 134 "$hangs" "a child that sleeps for ever"
says "out of time: a child that sleeps for ever"
says "state S"
ends 134 "$hangs" "a loop without end"
says "out of time: a loop without end"
unset MPOOL_TEST_SECONDS

echo "== who has to wait for a processor is not"
seconds=5
TIMEFORMAT=%U
took=$( { time sh -c "$work"; } 2>&1) # of processor time
rounds=$((1000 * seconds / 5 / (10#${took/./} + 1) + 1)) # a part of what it has
for _ in $(seq $((6 * $(nproc)))); do
	sh -c 'while :; do :; done' &
	others+=($!)
done
begun=$SECONDS
ends 0 "$watched" --seconds $seconds sh -c "m=0; while [ \$m -lt $rounds ]; do m=\$((m + 1)); $work; done"
echo "$((SECONDS - begun)) seconds by the wall clock, where $seconds would have been a hang"
kill -KILL "${others[@]}"
wait "${others[@]}" 2> /dev/null || true
others=()

echo "== a /dev/shm of its own"
ends 0 "$watched" ls -A /dev/shm
if [ ! -s "$tmp/err" ]; then
	[ ! -s "$tmp/out" ] || fail "others' objects are seen: $(cat "$tmp/out")"
else
	cat "$tmp/err"
fi

echo "watchdog.sh: all is well"
