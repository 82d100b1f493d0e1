#!/bin/bash
# examples.sh HELLO COUNTER SCAN EVENTLOOP WAL PEEK FILES STORE [NBD] - the documents' programs do what they are shown for,
# and say why when they cannot.
set -euo pipefail
export LC_ALL=C

hello=$1
counter=$2
scan=$3
eventloop=$4
wal=$5
peek=$6
files=$7
store=$8
nbd=${9:-}
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

# refused PROGRAM WHY [ARGUMENT] - it ends by itself, with 1 and a sentence.
refused()
{
	local status=0
	"$1" ${3+"$3"} > out 2> err || status=$?
	[ $status = 1 ] || fail "$2: exit status $status: $(cat err)"
	[ -s err ] || fail "$2: nothing is said"
}

echo "== hello"
mkdir "$tmp/hello" && cd "$tmp/hello"
"$hello" > out
[ "$(cat out)" = "page 0: hello" ] || fail "hello says: $(cat out)"
[ "$(head -c 5 pages)" = hello ] || fail "the page is not in the file"
[ "$(stat -c %s pages)" = 4096 ] || fail "the file has not one page"

echo "== store"
mkdir "$tmp/store" && cd "$tmp/store"
mkdir pages
"$store" pages 7 hello
"$store" pages 99 "the last"
"$store" pages 7 "hello again"
[ "$("$store" pages)" = "7: hello again"$'\n'"99: the last" ] || fail "store has: $("$store" pages)"
[ "$(echo pages/*)" = "pages/000007 pages/000099" ] || fail "store has $(echo pages/*)"
refused "$store" "no directory" nowhere

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

echo "== scan, with read-ahead and without"
mkdir "$tmp/scan" && cd "$tmp/scan"
pages=2500 # more than it has room for
# Each byte of page n is n % 251.
python3 -c 'import sys; sys.stdout.buffer.write(b"".join(bytes([n % 251]) * 4096 for n in range(int(sys.argv[1]))))' $pages > file
sum=$(python3 -c 'import sys; print(sum(4096 * (n % 251) for n in range(int(sys.argv[1]))))' $pages)
for ahead in 0 64; do
	"$scan" file $ahead > out || fail "scan with $ahead: exit status $?"
	grep -q "^$pages pages, [0-9]* a second, sum $sum$" out || fail "scan with $ahead, not $sum: $(cat out)"
	[[ $(tail -1 out) =~ ^waited\ ([0-9]+)\ times\;\ read\ ahead:\ ([0-9]+),\ used\ ([0-9]+),\ for\ nothing\ 0$ ]] ||
		fail "scan with $ahead: $(cat out)"
	waited=${BASH_REMATCH[1]}
	[ $((waited + BASH_REMATCH[3])) = $pages ] || fail "not each page was read once: $(cat out)"
	if [ $ahead = 0 ]; then
		[ "$waited" = $pages ] || fail "pages are read ahead though none are to be: $(cat out)"
	else
		[ "$waited" -lt $((pages / 10)) ] || fail "few pages are read ahead: $(cat out)"
	fi
done

echo "== eventloop, on a file of many pages, and of one"
"$eventloop" file > out || fail "eventloop: exit status $?"
[[ $(cat out) =~ ^64000\ requests:\ ([0-9]+)\ at\ once,\ ([0-9]+)\ after\ a\ read,\ ([0-9]+)\ by\ waiting$ ]] ||
	fail "eventloop: $(cat out)"
[ $((BASH_REMATCH[1] + BASH_REMATCH[2] + BASH_REMATCH[3])) = 64000 ] || fail "eventloop: not all are answered: $(cat out)"
[ "${BASH_REMATCH[2]}" -gt 0 ] || fail "eventloop: nobody has waited for an event: $(cat out)"
head -c 4096 file > one
"$eventloop" one > out || fail "eventloop, one page: exit status $?"

echo "== wal, killed"
mkdir "$tmp/wal" && cd "$tmp/wal"
"$wal" 400 > out || fail "wal: exit status $?"
[ "$(cat out)" = "0 records replayed, 1000000 in all accounts
400 transfers, 1000000 in all accounts" ] || fail "wal: $(cat out)"
mkfifo says
"$wal" 4000000000 > says &
started=($!)
exec 5< says
read -r -u 5 line || fail "wal says nothing"
size=$(stat -c %s log)
# Until it is at work.
while [ "$(stat -c %s log)" -lt $((size + 64000)) ]; do
	kill -0 "${started[0]}" || fail "wal has ended"
done
kill -KILL "${started[0]}"
wait "${started[0]}" 2> /dev/null || true
started=()
"$wal" 4 > out || fail "wal, after it was killed: exit status $?"
[[ $(head -1 out) =~ ^[0-9]+\ records\ replayed,\ 1000000\ in\ all\ accounts$ ]] || fail "wal: money is lost: $(cat out)"
[ "$(tail -1 out)" = "4 transfers, 1000000 in all accounts" ] || fail "wal: $(cat out)"
refused "$wal" "wal: without an argument"
mkdir "$tmp/wal.full" && cd "$tmp/wal.full"
mkdir log
refused "$wal" "wal: log is a folder" 0

echo "== peek"
mkdir "$tmp/peek" && cd "$tmp/peek"
"$peek" 20000 > out || fail "peek: exit status $?"
[[ $(cat out) =~ ^([0-9]+)\ sums,\ ([0-9]+)\ looks\ more$ ]] || fail "peek: $(cat out)"
[ "${BASH_REMATCH[1]}" -ge 32 ] || fail "peek: not each page was looked at by both: $(cat out)"
mkdir accounts.d && rm accounts && mv accounts.d accounts
refused "$peek" "peek: accounts is a folder"

echo "== files"
mkdir "$tmp/files" && cd "$tmp/files"
head -c 8192 /dev/zero > zeros
tr '\0' a < zeros > letters
: > empty
"$files" zeros letters empty letters > out || fail "files: exit status $?"
[ "$(cat out)" = "00 8192
61 16384" ] || fail "files: $(cat out)"

if [ -n "$nbd" ] && command -v nbdkit > /dev/null; then
	echo "== nbd"
	mkdir "$tmp/nbd" && cd "$tmp/nbd"
	head -c 8192 /dev/zero > disk
	# It ends with the command that it runs.
	nbdkit -U - file disk --run "'$nbd' \"\$uri\" hello && '$nbd' \"\$uri\"" > out || fail "nbd: exit status $?"
	[ "$(cat out)" = "page 0: hello
page 0: hello" ] || fail "nbd: $(cat out)"
	[ "$(head -c 5 disk)" = hello ] || fail "nbd: the page is not on the disk"
	refused "$nbd" "nbd: there is no server" "nbd+unix:///?socket=$tmp/nowhere"
fi

for program in scan eventloop files; do
	refused "${!program}" "$program: there is no such file" "$tmp/no file"
done
: > empty
refused "$eventloop" "eventloop: the file has no page" empty

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
