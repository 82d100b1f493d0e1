#!/usr/bin/python3
"""overlap.py PLUGIN [CASE...] - requests in flight at once for the same pages.

The protocol leaves open which of two comes first.  But a reader sees what somebody
wrote, old or new, and never the zeros of a page that is just being made; and what
was trimmed is zero when all have ended, though others have read it meanwhile.

SPDX-License-Identifier: BSD-2-Clause
"""
import os
import sys
import threading

import serving
from serving import Server, check, make_file, scratch

PAGE = 4096
PAGES = 64
SIZE = PAGE * PAGES
FEW = f"cache={PAGE * 8}"   # so that pages come and go
REQUESTS = 1500
THREADS = 3


def together(*functions):
    """Each in a thread of its own; what one fails with is what all fail with."""
    failures = []

    def caught(function):
        try:
            function()
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=caught, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def case_written_and_read():
    """Of whole pages, which are not read before they are overwritten."""
    serving.need_nbd()
    random = serving.seeded("written_and_read")
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE, b"\1" * SIZE)
        for options in ((FEW,), (FEW, "direct=true"), (FEW, f"key={serving.key()}")):
            with Server(path, *options) as server:
                def write(seed):
                    r, handle = serving.random.Random(seed), server.connect()
                    for _ in range(REQUESTS):
                        first = r.randrange(PAGES - 2)
                        handle.pwrite(bytes([r.randint(1, 255)]) * PAGE * r.randint(1, 2), first * PAGE)
                    handle.shutdown()

                def read(seed):
                    r, handle = serving.random.Random(seed), server.connect()
                    for _ in range(REQUESTS):
                        seen = handle.pread(PAGE, r.randrange(PAGES) * PAGE)
                        check(0 not in seen, "a reader saw zeros that nobody wrote")
                    handle.shutdown()

                seeds = [random.random() for _ in range(2 * THREADS)]
                together(*[lambda s=s: write(s) for s in seeds[:THREADS]], *[lambda s=s: read(s) for s in seeds[THREADS:]])


def case_trimmed_and_read():
    """Holes are punched while others bring the pages in."""
    serving.need_nbd()
    random = serving.seeded("trimmed_and_read")
    with scratch() as directory:
        path = make_file(os.path.join(directory, "disk"), SIZE)
        for options in ((FEW,), (FEW, "direct=true"), (FEW, f"key={serving.key()}")):
            with Server(path, *options) as server:
                handle, other = server.connect(), server.connect()
                for _ in range(REQUESTS // 5):
                    first, n = random.randrange(PAGES - 8), random.randint(1, 8)
                    handle.pwrite(b"\1" * n * PAGE, first * PAGE)
                    if random.random() < 0.5:
                        handle.flush()
                    together(lambda: handle.trim(n * PAGE, first * PAGE),
                             lambda: [other.pread(PAGE, (first + i) * PAGE) for i in range(n)])
                    for h in (handle, other):
                        check(not any(h.pread(n * PAGE, first * PAGE)), f"what was trimmed is there: {options}")
                handle.shutdown()
                other.shutdown()


if __name__ == "__main__":
    serving.main(sys.modules[__name__])
