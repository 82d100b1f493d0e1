#!/usr/bin/python3
"""model.py PLUGIN [CASE...] - requests at random, of any offset and length, held against a plain array of bytes.

Several connections have requests in flight at once that share pages but no byte; when
they have ended, any connection sees what they did, and after a flush the file has it.
Where the server says that there is a hole, there are zeros.

SPDX-License-Identifier: BSD-2-Clause
"""
import os
import sys

import serving
from serving import Server, check, make_file, nbd, read_file, scratch

CONNECTIONS = 4
ROUNDS = 150
IN_FLIGHT = 12      # requests of a round, at most
LONGEST = 200_000   # bytes of a request
PAGE = 4096


class Disk:
    """What the file should have; and the connections, to one server or several."""

    def __init__(self, path, size, servers, random):
        self.path, self.random = path, random
        self.bytes = bytearray(read_file(path))
        check(len(self.bytes) == size)
        self.handles = [self.connected(servers[i % len(servers)]) for i in range(CONNECTIONS)]

    @staticmethod
    def connected(server):
        handle = nbd.NBD()
        handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
        handle.connect_unix(server.socket)
        return handle

    def any(self):
        return self.random.choice(self.handles)

    def ranges(self):
        """Some that share no byte, in any order; neighbours often, and often of whole pages."""
        r, size = self.random, len(self.bytes)
        at = r.randrange(size)
        found = []
        for _ in range(r.randint(1, IN_FLIGHT)):
            length = r.choice([1, r.randint(1, 20), r.randint(1, PAGE), PAGE, r.randint(1, LONGEST)])
            if r.random() < 0.3:
                at -= at % PAGE
                length = PAGE * r.randint(1, 9)
            if found and at < sum(found[-1]):
                at = sum(found[-1])
            length = min(length, size - at)
            if length <= 0:
                break
            found.append((at, length))
            at += length + r.choice([0, 0, r.randint(0, 100), r.randint(0, 10 * PAGE)])
        r.shuffle(found)
        return found

    def begin(self, at, length):
        """A request; what it makes of the bytes, or None."""
        r, h = self.random, self.any()
        flags = r.choice([0, 0, 0, 0, 0, nbd.CMD_FLAG_FUA])
        kind = r.choice(["write", "write", "write", "zero", "no hole", "trim", "read", "cache"])
        if kind == "write":
            data = r.randbytes(length)
            buffer = nbd.Buffer.from_bytearray(bytearray(data))
            return h, h.aio_pwrite(buffer, at, flags=flags), (at, data, None), buffer
        if kind == "read":
            buffer = nbd.Buffer(length)
            return h, h.aio_pread(buffer, at), (at, None, buffer), buffer
        if kind == "cache":
            return h, h.aio_cache(length, at), (at, None, None), None
        if kind == "trim":
            return h, h.aio_trim(length, at, flags=flags), (at, bytes(length), None), None
        if kind == "no hole":
            flags |= nbd.CMD_FLAG_NO_HOLE
        return h, h.aio_zero(length, at, flags=flags), (at, bytes(length), None), None

    def end(self, h, cookie, effect):
        while not h.aio_command_completed(cookie):
            h.poll(-1)
        at, data, read = effect
        if data is not None:
            self.bytes[at:at + len(data)] = data
        if read is not None:
            seen = bytes(read.to_bytearray())
            self.compare(seen, at)

    def compare(self, seen, at):
        wanted = self.bytes[at:at + len(seen)]
        if seen != wanted:
            first = next(i for i, (a, b) in enumerate(zip(seen, wanted)) if a != b)
            raise AssertionError(f"byte {at + first} is {seen[first]}, not {wanted[first]}")

    def holes(self):
        h = self.any()
        found = []
        h.block_status(len(self.bytes), 0, lambda context, at, entries, error: found.append((at, list(entries))))
        for at, entries in found:
            for length, state in zip(entries[::2], entries[1::2]):
                if state & nbd.STATE_ZERO:
                    check(not any(self.bytes[at:at + length]), f"bytes {at} to {at + length} are not zero, but a hole")
                at += length

    def round(self):
        # A bytearray's bytes are copied by no request before its end, so buffers are kept.
        begun = [self.begin(at, length) for at, length in self.ranges()]
        for h, cookie, effect, _ in begun:
            self.end(h, cookie, effect)
        for h, _, (at, data, read), _ in begun:
            if data is not None:
                self.compare(bytes(self.any().pread(len(data), at)), at)
        if self.random.random() < 0.1:
            self.holes()
        if self.random.random() < 0.1:
            self.any().flush()
            self.compare(read_file(self.path), 0)


def play(what, size, *options, servers=1):
    serving.need_nbd()
    random = serving.seeded(what)
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), size, random.randbytes(size // 2))
        running = [Server(path, *options) for _ in range(servers)]
        try:
            disk = Disk(path, size, running, random)
            for _ in range(ROUNDS):
                disk.round()
            for handle in disk.handles:
                disk.compare(bytes(handle.pread(1 << 20, 0)), 0)
                handle.shutdown()
            for server in running:
                check(server.stop() == 0, server.said())
            # Nobody has flushed the last of it; who ends in order does.
            disk.compare(read_file(path), 0)
        finally:
            for server in running:
                print(server.said(), end="", file=sys.stderr)
                server.forget()


SIZE = 2 << 20


def case_small_cache():
    play("small_cache", SIZE, "cache=64k")


def case_no_cleaners():
    play("no_cleaners", SIZE, "cache=64k", "cleaners=0")


def case_all_cached():
    play("all_cached", SIZE)


def case_tail():
    play("tail", SIZE + 1234, "cache=256k")


def case_direct():
    play("direct", SIZE, "direct=true", "cache=256k")


def case_direct_small_pages():
    play("direct_small_pages", SIZE, "direct=true", "page=512", "cache=64k")


def case_direct_tail():
    play("direct_tail", SIZE + 4095, "direct=true", "cache=1M")


def case_large_pages():
    play("large_pages", SIZE + 512, "page=64k", "cache=1M")


def case_two_servers():
    play("two_servers", SIZE + 77, "cache=256k", f"key={serving.key()}", servers=2)


def case_three_servers_direct():
    play("three_servers_direct", SIZE, "direct=true", "cache=1M", f"key={serving.key()}", servers=3)


if __name__ == "__main__":
    serving.main(sys.modules[__name__])
