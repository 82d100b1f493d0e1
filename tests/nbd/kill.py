#!/usr/bin/python3
"""kill.py PLUGIN [CASE...] - servers are killed in mid-write.

What was flushed is there, always; what was not is, byte for byte, one of the versions
that were written since.  Where another server has the same key, all that was answered is
there, and what anybody has read stays so.

SPDX-License-Identifier: BSD-2-Clause
"""
import os
import select
import signal
import sys

import serving
from serving import Server, check, make_file, nbd, read_file, scratch

BLOCK = 1000       # bytes: a page has parts of several, and one may be in two
BLOCKS = 600
SIZE = BLOCK * BLOCKS
IN_FLIGHT = 16     # of a connection
CONNECTIONS = 3    # to a server
ROUNDS = 12
ANSWERS = 250      # of a round, at most
FILLS = 251        # versions of a block that can be told apart


def fill(version):
    return version % FILLS


class Gone(Exception):
    """The server has died."""


class Blocks:
    """What is known of each block: the versions that were begun, answered, flushed."""

    def __init__(self, random):
        self.random = random
        self.begun, self.answered, self.flushed = ([0] * BLOCKS for _ in range(3))
        self.busy = set()

    def free(self):
        while True:
            block = self.random.randrange(BLOCKS)
            if block not in self.busy:
                self.busy.add(block)
                return block

    def check(self, data, since, what):
        """`data` is the disk; each byte is of a version from `since` to the last one begun."""
        for block in range(BLOCKS):
            check(self.begun[block] - since[block] < FILLS, "too many versions to tell apart")
            wanted = {fill(v) for v in range(since[block], self.begun[block] + 1)}
            seen = set(data[block * BLOCK:(block + 1) * BLOCK])
            check(seen <= wanted, f"{what}: block {block} has {sorted(seen)}, not of {sorted(wanted)}: "
                  f"flushed {self.flushed[block]}, answered {self.answered[block]}, begun {self.begun[block]}")

    def settle(self, handle):
        """Nothing is in flight: every block anew, and flushed, so that all are known."""
        self.busy.clear()
        for block in range(BLOCKS):
            self.begun[block] += 1
            handle.pwrite(bytes([fill(self.begun[block])]) * BLOCK, block * BLOCK)
        handle.flush()
        self.answered, self.flushed = list(self.begun), list(self.begun)


class Connection:
    """Has requests in flight, until its server dies."""

    def __init__(self, server, blocks):
        self.handle, self.blocks = server.connect(), blocks
        self.flying = {}   # cookie: what is to be done when it has ended
        self.dead = False

    def begin(self):
        while not self.dead and len(self.flying) < IN_FLIGHT:
            if self.blocks.random.random() < 0.02:
                self.flush()
            else:
                self.write(self.blocks.free())

    def flush(self):
        answered = list(self.blocks.answered)
        self.fly(self.handle.aio_flush, lambda: self.was_flushed(answered), None)

    def write(self, block):
        b = self.blocks
        b.begun[block] += 1
        version = b.begun[block]
        buffer = nbd.Buffer.from_bytearray(bytearray([fill(version)]) * BLOCK)
        fua = nbd.CMD_FLAG_FUA if b.random.random() < 0.02 else 0
        self.fly(lambda: self.handle.aio_pwrite(buffer, block * BLOCK, flags=fua),
                 lambda: self.was_answered(block, version, fua), buffer)

    def fly(self, request, done, keep):
        try:
            self.flying[request()] = (done, keep)
        except nbd.Error:
            self.die()

    def was_answered(self, block, version, fua):
        b = self.blocks
        b.busy.discard(block)
        b.answered[block] = version
        if fua:
            b.flushed[block] = version

    def was_flushed(self, answered):
        b = self.blocks
        b.flushed = [max(pair) for pair in zip(b.flushed, answered)]

    def die(self):
        self.dead = True  # what was in flight stays busy

    def see(self, events):
        """How many requests have ended."""
        try:
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self.handle.aio_notify_read()
            elif events & select.POLLOUT:
                self.handle.aio_notify_write()
        except nbd.Error:
            pass  # its answers that have come count still
        ended = 0
        for cookie in list(self.flying):
            try:
                if not self.handle.aio_command_completed(cookie):
                    continue
            except nbd.Error:
                self.die()
                continue
            done, _ = self.flying.pop(cookie)
            done()
            ended += 1
        if self.handle.aio_is_dead() or self.handle.aio_is_closed():
            self.die()
        return ended

    def wants(self):
        direction = self.handle.aio_get_direction()
        return (select.POLLIN if direction & nbd.AIO_DIRECTION_READ else 0) | \
               (select.POLLOUT if direction & nbd.AIO_DIRECTION_WRITE else 0)


def write(connections, answers):
    """Until so many have come, or, with None, until all that is in flight has ended; or its server has."""
    while True:
        if answers is not None:
            for connection in connections:
                connection.begin()
        alive = [c for c in connections if not c.dead and c.flying]
        if not alive or (answers is not None and answers <= 0):
            return
        poll = select.poll()
        by_fd = {}
        for connection in alive:
            fd = connection.handle.aio_get_fd()
            by_fd[fd] = connection
            poll.register(fd, connection.wants())
        for fd, events in poll.poll():
            ended = by_fd[fd].see(events)
            answers = None if answers is None else answers - ended


def connect(server, blocks):
    return [Connection(server, blocks) for _ in range(CONNECTIONS)]


def read_all(server):
    handle = server.connect()
    data = b"".join(bytes(handle.pread(min(1 << 16, SIZE - at), at)) for at in range(0, SIZE, 1 << 16))
    handle.shutdown()
    return data


def new_disk(directory):
    return make_file(os.path.join(directory, "disk"), SIZE)


def one_server(what, *options):
    serving.need_nbd()
    blocks = Blocks(serving.seeded(what))
    with scratch() as directory:
        path = new_disk(directory)
        for _ in range(ROUNDS):
            with Server(path, *options) as server:
                blocks.check(read_all(server), blocks.flushed, "after the restart")
                blocks.settle(server.connect())
                connections = connect(server, blocks)
                write(connections, blocks.random.randint(1, ANSWERS))
                server.stop(signal.SIGKILL)
                write(connections, None)
            blocks.check(read_file(path), blocks.flushed, "in the file")


def case_buffered():
    one_server("buffered", "cache=128k")


def case_direct():
    one_server("direct", "direct=true", "cache=128k")


def case_all_cached():
    one_server("all_cached")


def two_servers(what, *options):
    serving.need_nbd()
    blocks = Blocks(serving.seeded(what))
    with scratch() as directory:
        path = new_disk(directory)
        options += (f"key={serving.key()}",)
        with Server(path, *options) as second:
            for _ in range(ROUNDS):
                with Server(path, *options) as first:
                    blocks.settle(second.connect())
                    check(read_all(first) == read_all(second), "two servers, two disks")
                    connections = connect(first, blocks)
                    others = connect(second, blocks)
                    write(connections + others, blocks.random.randint(1, ANSWERS))
                    first.stop(signal.SIGKILL)
                    write(others, blocks.random.randint(1, ANSWERS))
                    write(connections + others, None)
                check(not any(c.dead for c in others), "the other has died as well")
                data = read_all(second)
                # All that either has answered, whether flushed or not.
                blocks.check(data, blocks.answered, "after one was killed")
                check(read_all(second) == data, "what was read is not what is read later")
                second.connect().flush()
                check(read_file(path) == data, "the file is not what was read")
            # Both at once: the cache is gone with them.
            with Server(path, *options) as first:
                blocks.settle(first.connect())
                connections = connect(first, blocks) + connect(second, blocks)
                write(connections, ANSWERS)
                for server in (first, second):
                    os.kill(server.pid, signal.SIGKILL)
                for server in (first, second):
                    server.stop()
                write(connections, None)
        with Server(path, *options) as server:
            blocks.check(read_all(server), blocks.flushed, "after both were killed")


def case_key():
    two_servers("key", "cache=256k")


def case_key_all_cached():
    two_servers("key_all_cached")


def case_key_direct():
    two_servers("key_direct", "direct=true", "cache=256k")


if __name__ == "__main__":
    serving.main(sys.modules[__name__])
