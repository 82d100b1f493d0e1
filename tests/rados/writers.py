"""writers.py MACHINE [CASE...] - one machine writes, and when it is gone the next does.

SPDX-License-Identifier: BSD-2-Clause
"""
import errno
import struct

from machines import Machine, PAGE, fresh, is_error, needs_cluster, rados, run, takes_over

OBJECT = 64 << 10


def tool():
    """The `rados` tool reads the pool's pages, and what it writes the pool reads."""
    name = fresh()
    w = Machine(name, "writer")
    w.ok("new 40")
    for page in range(40):
        w.ok(f"write {page} {page + 100}")
    w.ok("sync")
    seen = b"".join(rados("get", f"{name}.{number:016x}", "-") for number in range(3))
    assert len(seen) == 40 * PAGE
    for page in range(40):
        assert struct.unpack_from("<Q", seen, page * PAGE)[0] == page + 100
    state = rados("getxattr", name, "mpool.state").decode().split()
    assert state[:6] == ["mpool", "1", "object", str(OBJECT), "size", str(40 * PAGE)], state
    w.close()


def killed():
    """A writer is killed; the next has what was synced, and readers are told to forget the rest."""
    name = fresh()
    w = Machine(name, "writer", lease=2)
    w.ok("new 30")
    w.ok("sync")
    r = Machine(name, "reader")
    for page in range(30):
        assert r.read(page) == 0
        w.ok(f"write {page} 7")
    w.ok("sync")
    for page in range(30):
        assert r.read(page) == 7
    w.ok("write 3 8")
    w.kill()
    second = Machine(name, "writer", lease=2)
    next_one = second if second.said == "ok" else takes_over(name, lease=2)
    assert next_one.stats()["generation"] == 2
    for page in range(30):
        assert next_one.read(page) in ((7, 8) if page == 3 else (7,))
    next_one.ok("write 5 9")
    next_one.ok("sync")
    assert r.read(5) == 9
    seen = r.stats()
    assert seen["generation"] == 2 and seen["dropped"] >= 1, seen
    next_one.close()
    r.close()


def fenced():
    """A writer is stopped for longer than its lease; when it goes on nothing of it arrives."""
    name = fresh()
    old = Machine(name, "writer", cache=16, lease=2)
    old.ok("new 60")
    old.ok("sync")
    for page in range(8):
        old.ok(f"write {page} 1")
    old.stop()
    # What it is about to do: write them, and bring others in, which writes too.
    old.begin("sync")
    new = takes_over(name, lease=2)
    r = Machine(name, "reader")
    for page in range(60):
        new.ok(f"write {page} 2")
    new.ok("sync")
    old.go_on()
    is_error(old.answer(), errno.ESHUTDOWN)
    said = [old.does(f"write {page} 3") for page in range(60)] + [old.does("sync")]
    is_error(said[-1], errno.ESHUTDOWN)
    assert old.stats()["fenced"] == 1
    for page in range(60):
        assert r.read(page) == 2
    new.ok("sync")
    new.close()
    # Nor when nobody else is there, and the lease is free.
    is_error(old.does("sync"), errno.ESHUTDOWN)
    last = Machine(name, "writer")
    assert [last.read(page) for page in range(60)] == [2] * 60
    last.close()
    # It ends all the same.
    old.close()
    r.close()


def grown():
    """A writer dies that has written beyond what it had said there is: nobody finds that, and what comes there is new."""
    name = fresh()
    w = Machine(name, "writer", cache=4, lease=2)
    w.ok("new 10")
    w.ok("sync")
    w.ok("new 100")
    for page in range(10, 100):
        w.ok(f"write {page} 5")
    assert w.stats()["reads"] + 1 and len(rados("get", f"{name}.{3:016x}", "-")) > 0
    w.kill()
    w = takes_over(name, lease=2)
    assert w.stats()["pages"] == 10
    assert f"{name}.{3:016x}".encode() not in rados("ls").split()
    w.ok("new 50")
    w.ok("sync")
    assert w.stats()["pages"] == 60
    r = Machine(name, "reader")
    assert [r.read(page) for page in range(60)] == [0] * 60
    # The end comes nearer, and readers have no page beyond.
    w.ok("truncate 20")
    w.ok("sync")
    assert r.stats()["pages"] == 20
    is_error(r.does("read 30"), errno.EINVAL)
    w.ok("new 15")
    w.ok("write 30 4")
    w.ok("sync")
    assert r.read(30) == 4 and r.read(25) == 0
    w.close()
    r.close()


needs_cluster()
run(tool, killed, fenced, grown)
