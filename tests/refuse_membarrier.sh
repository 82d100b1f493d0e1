#!/bin/bash
# refuse_membarrier.sh COMMAND... - run a command for which the kernel has no membarrier(2).
#
# For programs that cannot refuse it to themselves, as tests do under an emulator
# without seccomp.  Fails also if the command never asked for it: then it would
# not have been another mode that was tested.
#
# SPDX-License-Identifier: BSD-2-Clause
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
strace --seccomp-bpf --follow-forks --quiet=all --trace=membarrier --inject=membarrier:error=ENOSYS --output="$log" "$@"
grep -q INJECTED "$log" || {
	echo "refuse_membarrier: nobody asked for membarrier" >&2
	exit 1
}
