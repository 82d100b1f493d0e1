#!/usr/bin/python3
"""clients.py PLUGIN [CASE...] - the clients that others wrote, each by its own name.

SPDX-License-Identifier: BSD-2-Clause
"""
import json
import os
import sys

import serving
from serving import Server, check, make_file, need, read_file, run, scratch

SIZE = 16 << 20
# Less than the file has; all of it; O_DIRECT; a cache that two servers have.
SETTINGS = (("cache=2M",), ("cache=32M",), ("cache=2M", "direct=true"))


def some_data(size, random):
    """Half of it zeros, in stretches, so that there are holes."""
    parts = []
    while sum(map(len, parts)) < size:
        n = random.randint(1, 1 << 20)
        parts.append(bytes(n) if random.random() < 0.5 else random.randbytes(n))
    return b"".join(parts)[:size]


def case_nbdinfo():
    need("nbdinfo")
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE, b"a" * 4096)
        with Server(path, "page=8192") as server:
            export = json.loads(run("nbdinfo", "--json", server.uri))["exports"][0]
            for what, wanted in (("export-size", SIZE), ("is_read_only", False), ("can_cache", True), ("can_fast_zero", True),
                                 ("can_flush", True), ("can_fua", True), ("can_multi_conn", True), ("can_trim", True),
                                 ("can_zero", True), ("block_size_minimum", 1), ("block_size_preferred", 8192)):
                check(export[what] == wanted, f"{what} is {export[what]}, not {wanted}")
            extents = json.loads(run("nbdinfo", "--map", "--json", server.uri))
            check(sum(e["length"] for e in extents) == SIZE and extents[-1]["description"] == "hole,zero", extents)


def case_nbdcopy():
    """There and back, by several connections; what is zero is no hole only where the cache is shared."""
    need("nbdcopy")
    random = serving.seeded("nbdcopy")
    with scratch() as directory:
        data = some_data(SIZE, random)
        source, back = make_file(os.path.join(directory, "source"), SIZE, data), os.path.join(directory, "back")
        for options in SETTINGS + (("cache=2M", f"key={serving.key()}"),):
            path = make_file(os.path.join(directory, "disk"), SIZE, random.randbytes(SIZE))
            with Server(path, *options) as server:
                run("nbdcopy", "--flush", "--connections=4", source, server.uri)
                check(read_file(path) == data, f"{options}: the file is not what was copied to it and flushed")
                run("nbdcopy", "--connections=4", server.uri, back)
                check(read_file(back) == data, f"{options}: the copy is another")
                os.unlink(back)


def case_nbdsh():
    need("nbdsh")
    script = """
h.pwrite(b"odd" * 1000, 4095)
assert h.pread(3000, 4095) == b"odd" * 1000
h.zero(100, 4100)
h.trim(8192, 8192, nbd.CMD_FLAG_FUA)
h.cache(1 << 20, 1)
h.flush()
assert h.pread(100, 4100) == bytes(100)
try:
    h.zero(4096, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
    assert False, "zeros that are written are not fast"
except nbd.Error as error:
    assert error.errno == "ENOTSUP", error
h.zero(8192, 0, nbd.CMD_FLAG_FAST_ZERO)
"""
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE)
        with Server(path) as server:
            run("nbdsh", "-u", server.uri, "-c", script)


def case_qemu_img():
    need("qemu-img")
    random = serving.seeded("qemu_img")
    with scratch() as directory:
        data = some_data(SIZE, random)
        source, back = make_file(os.path.join(directory, "source"), SIZE, data), os.path.join(directory, "back")
        for options in SETTINGS:
            path = make_file(os.path.join(directory, "disk"), SIZE, random.randbytes(SIZE))
            with Server(path, *options) as server:
                uri = f"nbd+unix:///?socket={server.socket}"
                run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "8", source, uri)
                run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, uri)
                run("qemu-img", "convert", "-f", "raw", "-O", "raw", uri, back)
                check(read_file(back) == data, f"{options}: the copy is another")
                run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, back)
                run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", uri, back)
                os.unlink(back)
            check(read_file(path) == data, f"{options}: the file is not what was converted to it")


def case_qemu_io():
    need("qemu-io")
    commands = ("write -P 7 0 1M", "write -P 8 1000 333", "write -z 100k 64k", "write -z -u 200k 64k", "write -f -P 9 300k 4k",
                "discard 400k 64k", "flush", "read -P 8 1000 333", "read -P 7 1333 60000", "read -P 0 100k 64k",
                "read -P 0 200k 64k", "read -P 9 300k 4k", "read -P 0 400k 64k", "aio_write -P 3 500k 64k",
                "aio_write -P 4 564k 64k", "aio_flush", "read -P 3 500k 64k", "read -P 4 564k 64k")
    with scratch() as directory:
        for options in SETTINGS:
            path = make_file(os.path.join(directory, "disk"), SIZE)
            with Server(path, *options) as server:
                said = run("qemu-io", "-f", "raw", *[word for c in commands for word in ("-c", c)],
                           f"nbd+unix:///?socket={server.socket}")
                check("failed" not in said.lower(), said)


def case_fio():
    """Four jobs, a connection each, write at random and verify by checksums."""
    need("fio")
    if "nbd" not in run("fio", "--enghelp"):
        serving.skip("fio has no engine nbd")
    with scratch() as directory:
        for options in SETTINGS + (("cache=2M", f"key={serving.key()}"),):
            path = make_file(os.path.join(directory, "disk"), SIZE)
            with Server(path, *options) as server:
                run("fio", "--name=verify", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={server.socket}", "--rw=randwrite",
                    "--bsrange=512-64k", "--bs_unaligned=1", "--iodepth=16", f"--size={SIZE // 4}", f"--offset_increment={SIZE // 4}",
                    "--numjobs=4", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--group_reporting", cwd=directory)


if __name__ == "__main__":
    serving.main(sys.modules[__name__])
