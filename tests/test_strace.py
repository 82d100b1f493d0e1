#!/usr/bin/env python3
# test_strace.py - real system calls fail: strace makes the first, the second, ...
# of a kind fail, until a run needs no more.  The pool of tests/fault_client.c
# must recover from each; mpool-stress, refused a thread, must say so and end.
#
# SPDX-License-Identifier: BSD-2-Clause
#
# test_strace.py FAULT_CLIENT DIRECTORY [MPOOL_STRESS]   77: strace cannot be used here

import errno
import os
import subprocess
import sys
import tempfile

SKIPPED = 77

# (system call, what strace makes of it, errno the pool may fail with, must some call fail?)
FAULTS = [
    ("pread64", "error=EIO", errno.EIO, True),
    ("pread64", "error=EINTR", errno.EINTR, False),
    ("pread64", "retval=0", errno.EIO, True),  # the end of the file
    ("pwrite64", "error=EIO", errno.EIO, True),
    ("pwrite64", "error=ENOSPC", errno.ENOSPC, True),
    ("pwrite64", "error=EINTR", errno.EINTR, False),
    ("fdatasync", "error=EIO", errno.EIO, True),
    ("fdatasync", "error=EINTR", errno.EINTR, False),
]
LEAST_RUNS = 80  # fewer are not the sweep that this is meant to be
THREADS = 4


def trace(log, inject, command, paths=()):
    """Run the command with one call failing.  Was there such a call; and the process that ended."""
    words = ["strace", "-f", "-o", log, "-e", "inject=" + inject, "-e", "trace=" + inject.split(":")[0]]
    for path in paths:
        words += ["-P", path]
    done = subprocess.run(words + command, capture_output=True, text=True)
    with open(log) as lines:
        return "(INJECTED)" in lines.read(), done


def fail(what, done):
    sys.exit("%s: status %d\n%s%s" % (what, done.returncode, done.stdout, done.stderr))


def sweep_client(client, directory):
    runs = 0
    path, log = os.path.join(directory, "pages"), os.path.join(directory, "log")
    for call, fault, number, must in FAULTS:
        n = 0
        met = True
        while met:
            n += 1
            met, done = trace(log, "%s:%s:when=%d" % (call, fault, n), [client, path, str(number)], [path])
            what = "%s, %s, call %d" % (call, fault, n)
            if done.returncode != 0:
                fail(what, done)
            failures = int(done.stdout)
            # A write may fail unseen: another page is evicted instead.
            if failures > (1 if must and met else 0) or (met and must and failures == 0 and call != "pwrite64"):
                fail(what + ", %d calls of the pool failed" % failures, done)
        runs += n - 1
    return runs


def refuse_threads(stress, directory):
    runs = 0
    log = os.path.join(directory, "log")
    data = os.path.join(directory, "data")
    with open(data, "wb") as out:
        out.write(os.urandom(1 << 20))
    for mode in (["churn", "--threads", str(THREADS), "--seconds", "1", "--pages", "64", directory],
                 ["verify", "--threads", str(THREADS), data]):
        n = 0
        met = True
        while met and n < 2 * THREADS:
            n += 1
            met, done = trace(log, "clone3:error=EAGAIN:when=%d" % n, [stress] + mode)
            what = "%s, thread %d refused" % (mode[0], n)
            if met and (done.returncode not in (1, 2) or os.strerror(errno.EAGAIN) not in done.stderr):
                fail(what, done)
            if not met and done.returncode != 0:
                fail(mode[0] + ", no thread refused", done)
        if n <= THREADS:
            sys.exit("%s: only %d threads were asked for" % (mode[0], n - 1))
        runs += n - 1
    return runs


def main():
    client, directory = sys.argv[1:3]
    probe = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        print("skipped: strace cannot trace here: " + probe.stderr.strip())
        sys.exit(SKIPPED)
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        runs = sweep_client(client, scratch)
        print("%d runs with a system call that failed" % runs)
        if runs < LEAST_RUNS:
            sys.exit("too few")
        if len(sys.argv) > 3:
            print("%d runs of mpool-stress that was refused a thread" % refuse_threads(sys.argv[3], scratch))


main()
