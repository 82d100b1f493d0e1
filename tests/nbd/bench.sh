#!/bin/bash
# bench.sh PYTHON SOURCE PLUGIN - the comparison of servers runs, and knows its options.
set -euo pipefail
python=$1
nbd=$2/bench/nbd/nbd.py
plugin=$3

fail()
{
	echo "bench.sh: $*" >&2
	exit 1
}

for program in fio nbdkit qemu-nbd; do
	command -v $program > /dev/null || {
		echo "skipped: there is no $program" >&2
		exit 77
	}
done
tmp=$(mktemp -d nbd.XXXXXX)
trap 'rm -rf "$tmp"' EXIT

for wrong in --bogus "--work swim" "--depth none" "--server none" "--rounds 0"; do
	status=0
	"$python" "$nbd" "$plugin" $wrong --list > "$tmp/out" 2>&1 || status=$?
	[ $status = 2 ] || fail "$wrong: exit status $status"
done

"$python" "$nbd" "$plugin" --rounds 1 --seconds 1 --cache 1 --depth 4 --work randrw --place direct --output "$tmp/results" > "$tmp/out"
"$python" "$nbd" --report "$tmp/results/results.csv" > "$tmp/again"
# Five servers, two regions.
[ "$(wc -l < "$tmp/results/results.csv")" = 11 ] || fail "lines are missing: $(cat "$tmp/results/results.csv")"
for part in "libmpool's / the other's" "99.9 %" "| direct | 5 times the cache | half writes | 4 |"; do
	grep -qF "$part" "$tmp/out" || fail "the tables have no \"$part\""
	grep -qF "$part" "$tmp/again" || fail "--report has no \"$part\""
done
echo "bench.sh: all is well"
