#!/bin/bash
# bench.sh SOURCE PROGRAM - the comparison with fio runs, and knows its options.
set -euo pipefail
store=$1/bench/nbd/store.py
reads=$2

fail()
{
	echo "bench.sh: $*" >&2
	exit 1
}

for program in fio nbdkit nbdcopy; do
	command -v $program > /dev/null || {
		echo "skipped: there is no $program" >&2
		exit 77
	}
done
tmp=$(mktemp -d nbd.XXXXXX)
trap 'rm -rf "$tmp"' EXIT

for wrong in --bogus "--depth none" "--rounds 0"; do
	status=0
	python3 "$store" "$reads" $wrong --list > "$tmp/out" 2>&1 || status=$?
	[ $status = 2 ] || fail "$wrong: exit status $status"
done
python3 "$store" "$reads" --rounds 1 --seconds 1 --depth 4,32 --size 16 --output "$tmp" > "$tmp/out"
# Three readers, two depths.
[ "$(wc -l < "$tmp/results.csv")" = 7 ] || fail "lines are missing: $(cat "$tmp/results.csv")"
grep -q '^| 32 | ' "$tmp/out" || fail "no table: $(cat "$tmp/out")"
for wrong in "" "uri" "uri swim 4 1" "uri getv 0 1"; do
	status=0
	"$reads" $wrong > "$tmp/out" 2>&1 || status=$?
	[ $status = 2 ] || fail "mpool-nbd-reads $wrong: exit status $status"
done
echo "bench.sh: all is well"
