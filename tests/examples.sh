#!/bin/bash
# examples.sh HELLO COUNTER - the README's programs do what they are shown for, and say
# why when they cannot.
set -euo pipefail
export LC_ALL=C

hello=$1
counter=$2
key=examples.sh.$$
tmp=$(mktemp -d)
started=()

finish()
{
	[ ${#started[@]} = 0 ] || kill -KILL "${started[@]}" 2> /dev/null || true
	rm -rf "$tmp"
}
trap finish EXIT

fail()
{
	echo "examples.sh: $*" >&2
	exit 1
}

# refused PROGRAM WHY - it ends by itself, with 1 and a sentence.
refused()
{
	local status=0
	"$1" > out 2> err || status=$?
	[ $status = 1 ] || fail "$2: exit status $status: $(cat err)"
	[ -s err ] || fail "$2: nothing is said"
}

echo "== hello"
mkdir "$tmp/hello" && cd "$tmp/hello"
"$hello" > out
[ "$(cat out)" = "page 0: hello" ] || fail "hello says: $(cat out)"
[ "$(head -c 5 pages)" = hello ] || fail "the page is not in the file"
[ "$(stat -c %s pages)" = 4096 ] || fail "the file has not one page"

echo "== counter, by two processes, into pipes; one is killed"
mkdir "$tmp/counter" && cd "$tmp/counter"
mkfifo first second # as a log has it
"$counter" "$key" > first &
started+=($!)
exec 3< first
read -r -u 3 count || fail "nothing comes through a pipe"
[ "$count" = 1 ] || fail "counts from $count"
"$counter" "$key" > second &
started+=($!)
exec 4< second
read -r -u 4 count || fail "nothing comes through the second pipe"
[ "$count" -ge 2 ] || fail "the second process counts by itself: $count"
kill -KILL "${started[0]}"
wait "${started[0]}" 2> /dev/null || true
before=$count
read -r -u 4 count || fail "the second process ends with the first"
[ "$count" -gt "$before" ] || fail "$count after $before"
kill -KILL "${started[1]}"
wait "${started[1]}" 2> /dev/null || true
started=()
before=$(od -A n -t u8 -N 8 count)
[ "$before" -ge "$count" ] || fail "the file has $before, and $count was said to be on the disk"

for what in hello:pages counter:count; do
	program=${what%:*}
	file=${what#*:}
	echo "== $program, where it cannot have its file"
	mkdir -p "$tmp/refused/$file" && cd "$tmp/refused"
	refused "${!program}" "$file is a folder"
	mkdir "$tmp/$program.same" && cd "$tmp/$program.same"
	cp "${!program}" "$file"
	refused "./$file" "$file is the program itself"
	if [ "$(id -u)" != 0 ]; then
		mkdir "$tmp/$program.unwritable" && cd "$tmp/$program.unwritable"
		chmod a-w .
		refused "${!program}" "the folder is not writable"
	fi
done

echo "examples.sh: all is well"
