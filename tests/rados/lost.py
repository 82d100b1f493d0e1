"""lost.py MACHINE [CASE...] - the cluster is lost, and comes back: calls fail meanwhile, or wait, and nothing is lost.

It breaks the cluster that the tests have, so it runs when the others are done.

SPDX-License-Identifier: BSD-2-Clause
"""
import errno
import os
import signal
import tempfile
import time

from machines import Machine, cluster, fresh, is_error, needs_cluster, osd, run

PAGES = 100
WAIT = 2**32 - 1


def until_ok(machine, command):
    """The cluster is there again, soon: until then it says that it is not."""
    while (said := machine.does(command)) != "ok":
        is_error(said, errno.ETIMEDOUT)


def lose(gone, back):
    """Writes and reads fail; what was modified stays so, and is written when the cluster is back."""
    name = fresh()
    w = Machine(name, "writer", cache=PAGES, timeout=2, lease=60)
    w.ok(f"new {PAGES}")
    w.ok("sync")
    w.close()
    w = Machine(name, "writer", cache=PAGES, timeout=2, lease=60)
    r = Machine(name, "reader", cache=PAGES, timeout=2)
    for page in range(20):
        assert r.read(page) == 0
        w.ok(f"write {page} 1")
    gone()
    is_error(w.does("sync"), errno.ETIMEDOUT)
    assert w.stats()["dirty"] == 20
    is_error(w.does("read 50"), errno.ETIMEDOUT)
    is_error(r.does("refresh"), errno.ETIMEDOUT)
    # What is in memory is there for all that.
    w.ok("write 0 2")
    assert w.read(0) == 2 and r.read(1) == 0 and r.stats()["age"] > 0
    back()
    until_ok(w, "sync")
    until_ok(r, "refresh")
    assert w.stats()["dirty"] == 0 and w.stats()["fenced"] == 0
    for page in range(PAGES):
        assert r.read(page) == (2 if page == 0 else 1 if page < 20 else 0), page
    # They are told again.
    w.ok("write 60 3")
    until_ok(w, "sync")
    until_ok(r, "refresh")
    assert r.read(60) == 3
    w.close()
    r.close()


def stopped():
    """The OSD is stopped, and goes on."""
    pid = osd()
    try:
        lose(lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT))
    finally:
        os.kill(pid, signal.SIGCONT)


def killed():
    """The OSD is killed, and begins anew."""
    lose(lambda: cluster("kill-osd"), lambda: cluster("start-osd"))


def load():
    """The OSD is killed under load, of machines that wait."""
    name, board = fresh(), tempfile.mktemp(prefix="board.")
    common = {"board": board, "timeout": WAIT, "notice": 3600, "lease": 60, "check": 500}
    w = Machine(name, "writer", cache=PAGES // 2, **common)
    w.ok(f"new {PAGES}")
    w.ok("sync")
    readers = [Machine(name, "reader", cache=PAGES // 2, **common) for _ in range(2)]
    for i, m in enumerate([w, *readers]):
        m.begin(f"churn 5 {i}")
    time.sleep(1)
    cluster("kill-osd")
    cluster("start-osd")
    for m in [w, *readers]:
        said = m.answer()
        assert said.startswith("ok"), f"{m.name}: {said}"
    for r in readers:
        r.ok("refresh")
        r.ok("all")
    assert w.stats()["dirty"] == 0
    os.unlink(board)


needs_cluster()
run(stopped, killed, load)
