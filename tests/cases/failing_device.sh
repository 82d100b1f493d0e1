#!/bin/bash
# failing_device.sh PROGRAM ARGS... - run PROGRAM FILE BACK MOUNT ARGS... on a file system whose
# device has no room: a loop device over a sparse image on a tmpfs that is full.  77: not to be had here.
set -u
if [ -z "${MPOOL_CASE_INSIDE-}" ]; then
	[ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null || { echo "skipped: no mounts of its own" >&2; exit 77; }
	exec env MPOOL_CASE_INSIDE=1 unshare -m bash "$0" "$@"
fi
program=$1; shift
dir=$(mktemp -d); back=$dir/back; fs=$dir/fs; loop=
clean() { umount "$fs" 2> /dev/null; [ -n "$loop" ] && losetup -d "$loop"; umount "$back" 2> /dev/null; rm -rf "$dir"; }
trap clean EXIT
skip() { echo "skipped: $1" >&2; exit 77; }
mkdir "$back" "$fs"
mount -t tmpfs -o size=48M none "$back" || skip "no tmpfs"
truncate -s 200M "$back/img"
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 "$back/img" || skip "no mkfs.ext4"
loop=$(losetup -f --show "$back/img") || skip "no loop device"
mount "$loop" "$fs" || skip "the loop device cannot be mounted"
truncate -s 1M "$fs/f" && fallocate -l 409600 "$fs/f" && sync -f "$fs" || skip "no file on it"
dd if=/dev/zero of="$back/filler" bs=4k 2> /dev/null
"$program" "$fs/f" "$back" "$fs" "$@"
