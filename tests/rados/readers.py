"""readers.py MACHINE [CASE...] - many machines read what one writes: what they may rely on, when they are killed and cut off.

SPDX-License-Identifier: BSD-2-Clause
"""
import errno
import os
import random
import tempfile
import time

from machines import Machine, fresh, is_error, needs_cluster, run, takes_over

SECONDS = int(os.environ.get("MPOOL_RADOS_SECONDS", "6"))
PAGES = 200


def told():
    """When a sync has returned all readers read what it wrote; and forget nothing else."""
    name = fresh()
    w = Machine(name, "writer")
    w.ok(f"new {PAGES}")
    w.ok("sync")
    readers = [Machine(name, "reader", cache=PAGES) for _ in range(3)]
    for r in readers:
        assert [r.read(page) for page in range(50)] == [0] * 50
    for version in range(1, 6):
        for page in (version, 30 + version):
            w.ok(f"write {page} {version}")
        w.ok("sync")
        for r in readers:
            before = r.stats()["reads"]
            assert [r.read(page) for page in (version, 30 + version)] == [version] * 2
            assert [r.read(page) for page in range(6, 30)] == [0] * 24
            assert r.stats()["reads"] == before + 2
    # Pages that come are read, those that were new to the reader too.
    w.ok("new 10")
    w.ok(f"write {PAGES + 5} 6")
    w.ok("sync")
    for r in readers:
        assert r.read(PAGES + 5) == 6 and r.stats()["dropped"] == 1  # when its pool was opened
    assert w.stats()["unanswered"] == 0
    for r in readers:
        r.close()
    w.close()


def pinned():
    """A reader answers when the pages that have changed are put, and a sync waits for that; it does not wait for ever."""
    name = fresh()
    w = Machine(name, "writer", notice=3600)
    w.ok("new 10")
    w.ok("sync")
    r = Machine(name, "reader")
    assert r.read(3) == 0
    r.ok("pin 3")
    w.ok("write 3 1")
    w.ok("write 4 1")
    w.begin("sync")
    while r.read(4) != 1:  # the others are forgotten
        pass
    assert r.read(3) == 0
    r.ok("put")
    assert w.answer() == "ok"
    assert r.read(3) == 1
    w.close()
    w = Machine(name, "writer", notice=1)
    r.ok("refresh")
    r.ok("pin 3")
    w.ok("write 3 2")
    w.ok("sync")
    assert w.stats()["unanswered"] == 1
    # It knows that it is behind.
    time.sleep(0.1)
    assert r.stats()["age"] >= 100
    r.ok("put")
    r.ok("refresh")
    assert r.read(3) == 2
    r.close()
    w.close()


def cut_off():
    """A reader that is stopped keeps no writer waiting for longer than it is watched; when it goes on it forgets all."""
    name = fresh()
    w = Machine(name, "writer", notice=3600)
    w.ok("new 20")
    w.ok("sync")
    r = Machine(name, "reader", watch=2, check=3600000)
    assert [r.read(page) for page in range(20)] == [0] * 20
    dropped = r.stats()["dropped"]
    r.stop()
    w.ok("write 3 1")
    w.ok("sync")  # when the cluster has given the reader up
    w.ok("write 4 1")
    w.ok("sync")
    r.go_on()
    r.ok("refresh")
    assert [r.read(page) for page in (3, 4, 5)] == [1, 1, 0]
    while r.stats()["dropped"] == dropped:
        pass
    # It is told again.
    w.ok("write 5 2")
    w.ok("sync")
    assert r.read(5) == 2
    r.close()
    w.close()


def churn():
    """A writer and readers at random, the writer killed and replaced, readers stopped, killed and begun anew."""
    name = fresh()
    # Syncs wait for readers until these are given up: so who has not been given up has been told.
    common = {"notice": 3600, "lease": 2, "watch": 3, "check": 500}
    board = tempfile.mktemp(prefix="board.")
    rng = random.Random(SECONDS)
    w = Machine(name, "writer", board=board, **common)
    w.ok(f"new {PAGES}")
    w.ok("sync")

    def reader():
        r = Machine(name, "reader", cache=PAGES // 2, board=board, **common)
        assert r.said == "ok", r.said
        r.begin(f"churn {SECONDS} {rng.randrange(10000)}")
        r.until = time.monotonic() + SECONDS
        return r

    readers = [reader() for _ in range(3)]
    undisturbed = readers[0]
    w.begin(f"churn {SECONDS} 1")
    end = time.monotonic() + SECONDS
    stopped, old = {}, []
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.1, 0.6))
        for r in [r for r, until in stopped.items() if time.monotonic() > until]:
            r.go_on()
            del stopped[r]
        kind = rng.randrange(5)
        victim = rng.choice(readers[1:])
        if kind == 0 and victim not in stopped:
            victim.kill()
            readers[readers.index(victim)] = reader()
        elif kind in (1, 2) and victim not in stopped:
            victim.stop()
            stopped[victim] = time.monotonic() + rng.uniform(0.1, 5)
        elif kind == 3 and len(old) < 2:
            if rng.random() < 0.5:
                w.kill()
            else:
                w.stop()
                old.append(w)
            w = takes_over(name, board=board, **common)
            w.begin(f"churn {max(1, int(end - time.monotonic()))} {rng.randrange(10000)}")
    for r in stopped:
        r.go_on()
    for o in old:
        o.go_on()
        said = o.answer()
        if said.startswith("ok"):  # its time was over when it was stopped, or it was between two calls
            o.does("write 0 1")
            said = o.does("sync")
        is_error(said, errno.ESHUTDOWN)
    syncs = w.answer()
    assert syncs.startswith("ok"), syncs
    for r in readers:
        said = r.answer()
        assert said.startswith("ok"), f"{r.name}{' (undisturbed)' if r is undisturbed else ''}: {said}"
    # Nothing that was synced is lost.
    last = Machine(name, "reader", board=board)
    last.ok("all")
    os.unlink(board)
    print(f"churn: {syncs}; readers {[r.stats()['dropped'] for r in readers]} times everything")


needs_cluster()
run(told, pinned, cut_off, churn)
