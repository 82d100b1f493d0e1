"""machines.py - for the tests of the store over RADOS: processes that act as machines, and the cluster.

A Machine is a process of rados_machine (machine.c).  It is stopped and goes on, is killed, and is told what to do; what it
is told while it is stopped it does later.

SPDX-License-Identifier: BSD-2-Clause
"""
import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = 77
PAGE = 4096
CONF = os.environ.get("MPOOL_RADOS_CONF", "")
MACHINE = sys.argv[1] if len(sys.argv) > 1 else ""


def needs_cluster():
    if not os.path.exists(CONF):
        print("SKIPPED: no cluster: MPOOL_RADOS_CONF is not set, or one-node was skipped")
        sys.exit(SKIPPED)


def fresh():
    return f"machines.{os.getpid()}.{time.monotonic_ns()}"


class Machine:
    """A process; `said` is what it answered when it had opened its pages."""
    all = []

    def __init__(self, name, role, cache=64, board=None, wait=True, **options):
        given = [f"{k}={v}" for k, v in options.items()] + ([f"board={board}"] if board else [])
        self.process = subprocess.Popen([MACHINE, CONF, name, role, str(cache), *given], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.name = f"{role} {self.process.pid}"
        Machine.all.append(self)
        self.said = self.answer() if wait else None

    def begin(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().rstrip("\n")

    def does(self, command):
        self.begin(command)
        return self.answer()

    def ok(self, command):
        said = self.does(command)
        assert said.split()[:1] == ["ok"], f"{self.name}: {command}: {said or 'it has died'}"
        return said[3:]

    def stats(self):
        return {k: int(v) for k, v in re.findall(r"(\w+) (\d+)", self.ok("stats"))}

    def read(self, page):
        return int(self.ok(f"read {page}"))

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.ok("close")
        assert self.process.wait() == 0, f"{self.name} ends with {self.process.returncode}"


def is_error(said, number):
    assert said == f"error {number}", f"it says {said}, not {errno.errorcode[number]}"


def takes_over(name, **options):
    """A writer, as soon as the last one's lease has ended."""
    while True:
        w = Machine(name, "writer", **options)
        if w.said == "ok":
            return w
        is_error(w.said, errno.EBUSY)
        w.process.wait()
        time.sleep(0.1)


def cluster(*what):
    """kill-osd or start-osd."""
    subprocess.run([HERE / "one-node", *[f"--{w}" for w in what], Path(CONF).parent], check=True)


def osd():
    """The OSD's process."""
    return int(Path(CONF).with_name("run").joinpath("osd.0.pid").read_text())


def rados(*arguments):
    """What the `rados` tool says, as bytes."""
    return subprocess.run(["rados", "-c", CONF, "-p", "pages", *arguments], check=True, stdout=subprocess.PIPE).stdout


def run(*cases):
    """Each of them; whatever comes of it, no machine is left."""
    chosen = sys.argv[2:]
    for case in cases:
        if chosen and case.__name__ not in chosen:
            continue
        begun = time.monotonic()
        try:
            case()
        finally:
            for m in Machine.all:
                if m.process.poll() is None:
                    m.kill()
            Machine.all.clear()
        print(f"{case.__name__}: ok, {time.monotonic() - begun:.1f} s", flush=True)
