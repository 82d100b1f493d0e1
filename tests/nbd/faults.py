#!/usr/bin/python3
"""faults.py SOURCE BUILD [NAME...] - faults to plant in the server, one at a time: does its test notice?

Each is a line of servers/nbd that a promise hangs on, as it would be if somebody had got it
wrong, and the test of tests/nbd that says so.  `--check` in place of names: does each still fit
the source, that is, is the text before there exactly once?  Plants them in a copy of the
source, and builds in a folder of its own below BUILD.

SPDX-License-Identifier: BSD-2-Clause
"""
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

Fault = namedtuple("Fault", "name file before after test")

FAULTS = [
    # While a page is made it is zeros: nobody may see it.
    Fault("made-page-seen", "pages.c", "	if (exclusive)\n", "	if (exclusive && p->fd < 0)\n", "halfway"),
    # Nobody can be kept out where processes share the pool: no page is made,
    Fault("made-while-shared", "pages.c", "	if (p->shared)\n		return get_page(p, number);\n", "", "halfway"),
    # and no hole is punched.
    Fault("punched-while-shared", "pages.c", "return !p->shared && atomic", "return atomic", "halfway"),
    # Who dies in the middle leaves a page that counts as modified.
    Fault("not-marked-before", "pages.c", "	if (!p->shared)\n		return 0;\n", "	if (p->size)\n		return 0;\n", "halfway"),
    # A page that is in memory, or being written, must go before its hole is punched.
    Fault("hole-under-a-page", "pages.c", "		if (drop_page(p, b->first + i) != 0)", "		if (p->fd < 0 && drop_page(p, b->first + i) != 0)",
          "model"),
    # What is written is marked.
    Fault("written-not-marked", "pages.c", "0, c.bytes);\n	return put(p, page, MPOOL_DIRTY, 0);", "0, c.bytes);\n	return put(p, page, 0, 0);",
          "model"),
    # Only a page all of which is written need not be read.
    Fault("part-taken-for-all", "pages.c", "	return c.bytes == p->size;", "	return c.bytes >= p->size / 2;", "model"),
    # A flush is of the pages,
    Fault("flush-of-nothing", "disk.c", "return mpool_sync(d->pages.mp) != 0 ? -1 : flush_tail(d);", "return flush_tail(d);", "kill"),
    # and of the tail.
    Fault("flush-without-tail", "disk.c", "mpool_sync(d->pages.mp) != 0 ? -1 : flush_tail(d);", "mpool_sync(d->pages.mp);", "errors"),
    # FUA is a flush before the answer.
    Fault("fua-ignored", "plugin.c", "return flags & NBDKIT_FLAG_FUA ?", "return flags & NBDKIT_FLAG_FUA && bytes == 0 ?", "kill"),
    # What is modified in memory only is no hole: it is written before one looks,
    Fault("extents-of-the-past", "disk.c", "	if (write_modified(d) != 0)\n", "	if (d->fd < 0 && write_modified(d) != 0)\n", "model"),
    # each time that something was modified.
    Fault("modified-uncounted", "disk.c", "	atomic_fetch_add(&d->modified, 1);\n", "	(void)d;\n", "model"),
    # Who ends in order flushes.
    Fault("end-without-flush", "plugin.c", "	if (server.disk.writable && disk_flush", "	if (!server.started && disk_flush", "model"),
    # A key's pool has one file, and one size.
    Fault("any-file-for-a-key", "disk.c", " || stats.inode != st.st_ino)", ")", "options"),
    Fault("any-size-for-a-key", "disk.c", "	if (stats.pages != d->body / o->page)", "	if (stats.pages == 0 && d->body / o->page)", "options"),
    # The protocol has a number for a full device.
    Fault("no-space-is-eio", "plugin.c", "	case EFBIG:\n", "", "errors"),
]


# What is planted in: the folder of the source; builds(copy, build): is it built with that; command(test, copy, build): what tests it.
Planted = namedtuple("Planted", "faults folder builds command")


def misfits(planted, source):
    return [f.name for f in planted.faults if (source / planted.folder / f.file).read_text().count(f.before) != 1]


def quiet(*command, **more):
    return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True, check=False, **more)


def builds(copy, build):
    del copy
    return quiet("cmake", "--build", build, "--target", "nbdkit-mpool-plugin", "nbd_halfway").returncode == 0


def command(test, copy, build):
    return [build / "tests/nbd/nbd_halfway"] if test == "halfway" else \
        [sys.executable, copy / "tests/nbd" / f"{test}.py", build / "servers/nbd/nbdkit-mpool-plugin.so"]


def passes(planted, test, copy, build, scratch):
    """None: it does not build."""
    if not planted.builds(copy, build):
        return None
    return quiet(*planted.command(test, copy, build), cwd=scratch).returncode == 0


def plant(planted, fault, copy, build, scratch):
    path = copy / planted.folder / fault.file
    sound = path.read_text()
    path.write_text(sound.replace(fault.before, fault.after))
    try:
        return passes(planted, fault.test, copy, build, scratch)
    finally:
        path.write_text(sound)


def main(planted):
    source, directory, names = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]
    wrong = misfits(planted, source)
    if wrong:
        sys.exit(f"faults.py: these fit no more: {', '.join(wrong)}")
    if names == ["--check"]:
        print(f"faults.py: {len(planted.faults)} faults fit the source")
        return
    unknown = set(names) - {f.name for f in planted.faults}
    if unknown:
        sys.exit(f"faults.py: there is no {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="faults.", dir=directory) as scratch:
        copy, build = Path(scratch) / "source", Path(scratch) / "build"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("build", ".git"))
        made = quiet("cmake", "-S", copy, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DMPOOL_BUILD_BENCH=OFF",
                     "-DMPOOL_BUILD_STRESS=OFF", "-DMPOOL_BUILD_TOOLS=OFF", "-DMPOOL_JEMALLOC=OFF")
        if made.returncode != 0:
            sys.exit(made.stdout)
        chosen = [f for f in planted.faults if not names or f.name in names]
        for test in sorted({f.test for f in chosen}):
            if not passes(planted, test, copy, build, scratch):
                sys.exit(f"faults.py: {test} does not pass as it is")
        missed = 0
        for fault in chosen:
            passed = plant(planted, fault, copy, build, scratch)
            missed += passed is not False
            said = {None: "does not build", False: "caught", True: "NOT NOTICED"}[passed]
            print(f"{fault.name}: {said}, by {fault.test}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    main(Planted(FAULTS, "servers/nbd", builds, command))
