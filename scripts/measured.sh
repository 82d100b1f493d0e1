# measured.sh - for the scripts that have a program of bench/ measure something: bench, bench-device, bench-trees.
#
#   measured PROGRAM FOLDER OPTION...
#
# Looks at the options, installs what is missing, builds the program and has it measure, and bench/FOLDER/report.py write tables
# and charts of that, all into build/NAME, where NAME is the script's own.  The script's comment is its --help.
set -euo pipefail

# Whatever ends the script, this is its last word.
verdict()
{
	local status=$?
	if [ $status = 0 ]; then
		[ ! "${done:-}" ] || echo "$name: results are in $out: results.md, summary.md, charts, results.csv, results.json"
	else
		echo "$name: FAILED"
	fi
}

measured()
{
	local program=$1 folder=$2 built option python
	shift 2
	name=$(basename "$0")
	out=build/$name
	case $#:${1:-} in
	1:--help)
		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
		exit
		;;
	esac
	cd "$(dirname "$0")/.."
	trap verdict EXIT

	scripts/setup bench
	cmake --preset bench
	cmake --build --preset bench --parallel "${JOBS:-$(nproc)}" --target "$program"
	built=build/measure/bench/$program

	for option; do
		case $option in
		--help | --usage | --list | --version)
			"$built" "$option"
			exit
			;;
		esac
	done
	# Nothing of an earlier run goes for options that are none.
	"$built" "$@" --list > /dev/null

	# Debian's python3 has Debian's matplotlib; one that is found earlier may not.
	python=/usr/bin/python3
	[ -x $python ] || python=python3

	# What is there afterwards is of this run.
	rm -rf "$out"
	mkdir -p "$out"
	echo "== measuring"
	"$built" --directory "$out" "$@" --csv "$out/results.csv"
	echo "== writing tables and charts"
	"$python" "bench/$folder/report.py" "$out/results.csv"
	echo
	cat "$out/summary.md"
	echo
	done=yes
}
