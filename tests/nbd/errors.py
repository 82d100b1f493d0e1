#!/usr/bin/python3
"""errors.py PLUGIN [CASE...] - what the file system refuses is told to the client, and is not the end.

SPDX-License-Identifier: BSD-2-Clause
"""
import errno
import os
import resource
import shutil
import signal
import sys
import tempfile

import serving
from serving import Server, check, make_file, nbd, read_file, scratch

PAGE = 4096
SIZE = 1 << 20
NOBODY = 65534


def fails(wanted, request, *arguments, **keywords):
    try:
        request(*arguments, **keywords)
    except nbd.Error as error:
        check(error.errnum == wanted, f"{error.string}: it is {error.errno}, not {errno.errorcode[wanted]}")
        return
    raise AssertionError(f"{request.__name__}{arguments} has not failed")


def case_no_space():
    """Pages that cannot be written stay modified, and are readable; the others go on."""
    serving.need_nbd()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, resource.RLIM_INFINITY))

    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE)
        with Server(path, before=limit) as server:
            handle = server.connect()
            handle.pwrite(b"a" * PAGE, 0)
            handle.flush()
            handle.pwrite(b"b" * 100, SIZE - PAGE)
            fails(errno.ENOSPC, handle.flush)
            fails(errno.ENOSPC, handle.pwrite, b"c" * 10, SIZE - PAGE + 200, flags=nbd.CMD_FLAG_FUA)
            check(handle.pread(100, SIZE - PAGE) == b"b" * 100)
            handle.pwrite(b"d" * PAGE, PAGE)
            check(handle.pread(2 * PAGE, 0) == b"a" * PAGE + b"d" * PAGE)
            check(read_file(path)[:PAGE] == b"a" * PAGE)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            handle.flush()
            check(read_file(path)[SIZE - PAGE:SIZE - PAGE + 210] == b"b" * 100 + bytes(100) + b"c" * 10)
            handle.shutdown()


def injected(path, call, error):
    """The plugin, in an nbdkit whose first such call fails; the system must let us trace."""
    serving.need("strace")
    return ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=1", "-P", path]


def case_flush_fails():
    """A flush that failed is told, and the next one writes again."""
    serving.need_nbd()
    with scratch() as directory:
        for tail, call in ((0, "fdatasync"), (100, "fdatasync"), (0, "pwrite64")):
            path = make_file(os.path.join(directory, f"disk.{tail}.{call}"), SIZE + tail)
            # strace counts for each thread, so there is one.
            with Server(path, "-t", 1, within=injected(path, call, "EIO")) as server:
                handle = server.connect()
                handle.pwrite(b"a" * PAGE + b"b", 0)
                if tail:
                    handle.pwrite(b"t" * tail, SIZE)
                fails(errno.EIO, handle.flush)
                check(handle.pread(PAGE + 1, 0) == b"a" * PAGE + b"b")
                handle.flush()
                data = read_file(path)
                check(data[:PAGE + 1] == b"a" * PAGE + b"b" and data[SIZE:] == b"t" * tail)
                handle.shutdown()


def case_read_fails():
    """The file is cut short underneath: what is gone cannot be read, the rest can."""
    serving.need_nbd()
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE + 1, b"a" * SIZE)
        with Server(path) as server:
            handle = server.connect()
            os.truncate(path, SIZE // 2)
            fails(errno.EIO, handle.pread, PAGE, SIZE // 2)
            fails(errno.EIO, handle.pread, PAGE * 2, SIZE // 2 - PAGE)
            handle.cache(PAGE, SIZE // 2)  # a hint
            fails(errno.EIO, handle.pread, PAGE, SIZE // 2)
            fails(errno.EIO, handle.pread, 1, SIZE)
            check(handle.pread(PAGE, SIZE // 2 - PAGE) == b"a" * PAGE)
            handle.shutdown()


def case_not_writable():
    """Who may not write the file serves it for reading."""
    serving.need_nbd()

    def nobody():
        os.umask(0)
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    # Nobody may not come to where the test runs, perhaps, nor to the plugin there.
    with scratch(tempfile.gettempdir()) as directory:
        os.chmod(directory, 0o755)
        plugin = shutil.copy(serving.PLUGIN, directory)
        path = make_file(os.path.join(directory, "disk"), SIZE, b"a" * SIZE)
        os.chmod(path, 0o444)
        with Server(path, "cache=64k", before=nobody, owner=NOBODY if os.getuid() == 0 else None,
                    plugin=plugin) as server:
            handle = server.connect()
            check(handle.is_read_only())
            handle.set_strict_mode(0)
            fails(errno.EPERM, handle.pwrite, b"b", 0)
            check(handle.pread(SIZE // 2, 0) == b"a" * (SIZE // 2))
            handle.shutdown()


def case_read_only_server():
    """nbdkit -r: nobody writes."""
    serving.need_nbd()
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE, b"a" * SIZE)
        with Server(path, "-r") as server:
            handle = server.connect()
            check(handle.is_read_only() and handle.pread(PAGE, PAGE) == b"a" * PAGE)
            handle.shutdown()


if __name__ == "__main__":
    serving.main(sys.modules[__name__])
