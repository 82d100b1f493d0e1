#!/usr/bin/python3
"""options.py PLUGIN [CASE...] - what the plugin says of itself, and of what it cannot do.

SPDX-License-Identifier: BSD-2-Clause
"""
import os
import sys

import serving
from serving import Server, check, make_file, run, scratch

SIZE = 1 << 20


def refused(what, *arguments):
    """It does not begin to serve, and says so before it goes into the background."""
    said = run("nbdkit", "-U", "-", serving.PLUGIN, *arguments, "--run", "true", status=1)
    check(what in said, f"{arguments}: it does not say {what!r}: {said}")


def case_help():
    said = run("nbdkit", serving.PLUGIN, "--help")
    for word in ("plugin: mpool", "file=", "cache=", "cleaners=", "direct=", "key=", "page="):
        check(word in said, f"--help has no {word}: {said}")


def case_dump_plugin():
    said = run("nbdkit", "--dump-plugin", serving.PLUGIN).splitlines()
    for line in ("name=mpool", "max_thread_model=parallel", "thread_model=parallel", "magic_config_key=file",
                 "mpool_key=yes", "mpool_direct=yes", "mpool_page_default=4096"):
        check(line in said, f"--dump-plugin has no {line}: {said}")


def case_wrong_options():
    with scratch() as directory:
        disk = make_file(os.path.join(directory, "disk"), SIZE)
        refused("you must supply the file=")
        refused("No such file", f"file={directory}/none")
        refused("neither a regular file nor a block device", "file=/dev/null")
        refused("unknown parameter 'bogus'", disk, "bogus=1")
        for cache in ("x", "-1", "12x"):
            refused("size", disk, f"cache={cache}")
        refused("room for a page", disk, "cache=0")
        refused("less than a page", disk, "cache=4095")
        for page in ("0", "256", "1000", "2M", "4G"):
            refused("power of two", disk, f"page={page}")
        refused("64 at most", disk, "cleaners=65")
        refused("cleaners", disk, "cleaners=some")
        refused("boolean", disk, "direct=perhaps")
        refused("key=", disk, "key=")


def case_tail_and_direct():
    """What is no page is not for O_DIRECT; where it would share a page of the kernel's with the pool, it is refused."""
    with scratch() as directory:
        disk = make_file(os.path.join(directory, "disk"), SIZE + 100)
        refused("no multiple of page=512", disk, "direct=true", "page=512")
        with Server(disk, "direct=true", "page=4096"):
            pass


def case_key_of_another():
    """What the servers of a key must have in common."""
    with scratch() as directory:
        disk, other = (make_file(os.path.join(directory, name), SIZE) for name in ("disk", "other"))
        key = serving.key()
        with Server(disk, f"key={key}"):
            refused("another file", other, f"key={key}")
            refused("another size", disk, f"key={key}", "page=8192")
            os.truncate(disk, 2 * SIZE)
            refused("another size than when", disk, f"key={key}")
            os.truncate(disk, SIZE)
            with Server(disk, f"key={key}", "cache=1M"):
                pass


def case_background():
    """nbdkit forks, changes its directory, and serves a file that was named by a relative path."""
    serving.need("nbdinfo")
    with scratch() as directory:
        make_file(os.path.join(directory, "disk"), SIZE)
        socket, pidfile = os.path.join(directory, "s"), os.path.join(directory, "pid")
        for key in ((), (f"key={serving.key()}",)):
            run("nbdkit", "-P", pidfile, "-U", socket, serving.PLUGIN, "disk", *key, cwd=directory)
            # It has forked by now.
            while not serving.is_written(pidfile):
                serving.time.sleep(serving.LOOK)
            pid = int(open(pidfile).read())
            said = run("nbdinfo", "--size", f"nbd+unix:///?socket={socket}")
            check(said.strip() == str(SIZE), said)
            os.kill(pid, serving.signal.SIGTERM)
            while os.path.exists(f"/proc/{pid}/cwd"):
                serving.time.sleep(serving.LOOK)
            os.unlink(pidfile)
            os.unlink(socket)


if __name__ == "__main__":
    serving.main(sys.modules[__name__])
