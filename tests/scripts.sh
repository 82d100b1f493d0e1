#!/bin/bash
# scripts.sh SOURCE [MPOOL_BENCH MPOOL_REPLAY MPOOL_DEVICE MPOOL_TREES] - the scripts look at their options before they do anything.
#
# Each is run in a copy of scripts/ with nothing around it, where cmake and setup
# do nothing: what they would have done shows in a file.
set -euo pipefail
export LC_ALL=C

source=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "scripts.sh: $*" >&2
	exit 1
}

mkdir "$tmp/bin" "$tmp/tree"
cp -r "$source/scripts" "$tmp/tree"
cat > "$tmp/bin/cmake" <<END
#!/bin/sh
echo cmake >> "$tmp/done"
END
chmod +x "$tmp/bin/cmake"
cp "$tmp/bin/cmake" "$tmp/tree/scripts/setup"
export PATH=$tmp/bin:$PATH
cd "$tmp"

# says STATUS WHAT SCRIPT ARGUMENT... - it ends so, and its output has the word.
says()
{
	local expected=$1 what=$2 status=0
	shift 2
	"tree/scripts/$@" > out 2>&1 || status=$?
	[ $status = "$expected" ] || fail "$*: exit status $status: $(cat out)"
	grep -q -- "$what" out || fail "$*: it does not say \"$what\": $(cat out)"
}

for script in try test coverage fuzz bench bench-nbd bench-nbd-store bench-device bench-trees replay mutants rados; do
	echo "== $script"
	says 0 "^$script\|usage: $script" $script --help
	case $script in
	bench | bench-nbd | bench-nbd-store | bench-device | bench-trees | replay) ;; # below, and in the tests bench_nbd and bench_nbd_store
	mutants) says 2 "bogus" $script --bogus ;;
	*)
		says 2 "usage: $script" $script --bogus
		says 2 "usage: $script" $script one two
		;;
	esac
	[ ! -e done ] || fail "$script does something before it has looked at its options"
done
says 2 "usage: replay" replay no/such/directory
[ ! -e done ] || fail "replay does something before it has looked for the directory"

echo "== setup"
cp "$source/scripts/setup" tree/scripts/setup
says 0 "^setup" setup --help
says 2 "usage: setup" setup bogus
says 2 "usage: setup" setup try test
cp bin/cmake tree/scripts/setup

# results PROGRAM SCRIPT NAME OPTION - an earlier run's results are there after options that are none.
results()
{
	mkdir -p "tree/build/$2" tree/build/measure/bench
	echo precious > "tree/build/$2/results.csv"
	ln -sf "$1" "tree/build/measure/bench/$3"
	says 2 "bogus" "$2" --bogus
	says 2 "$4" "$2" "$4" none
	[ "$(cat "tree/build/$2/results.csv")" = precious ] || fail "$2 --bogus deletes the results of an earlier run"
}
if [ $# -gt 1 ]; then
	echo "== results"
	results "$2" bench mpool-bench --threads
	results "$3" replay mpool-replay --threads
	results "$4" bench-device mpool-device --depth
	results "$5" bench-trees mpool-trees --threads
fi

echo "scripts.sh: all is well"
