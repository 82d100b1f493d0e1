#!/usr/bin/python3
"""store.py PROGRAM [OPTION...] - reads through a pool over NBD, beside fio's engine for NBD, of the same server.

4 KiB at random, so many in flight: mpool_getv and mpool_prefetch of PROGRAM (mpool-nbd-reads), and fio; an nbdkit with
its memory plugin serves all of them, one after the other in each round.  Prints a table of medians (least, greatest),
and of ratios, which are those of one round; and writes both, and results.csv.

SPDX-License-Identifier: BSD-2-Clause
"""
import argparse
import contextlib
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import nbd
from reports import Broken, number, spread, table

FIO = "fio"
COLUMNS = ["depth", "round", "reader", "reads"]


@contextlib.contextmanager
def served(size):
    """The socket of a server whose memory has bytes, not holes."""
    with tempfile.TemporaryDirectory(prefix="mpool-nbd.") as directory:
        socket, pidfile, image = (os.path.join(directory, what) for what in ("socket", "pid", "image"))
        process = subprocess.Popen(nbd.nbdkit(socket, pidfile, "memory", f"{size}M"), stdin=subprocess.DEVNULL)
        try:
            while not os.path.exists(pidfile):
                if process.poll() is not None:
                    raise Broken(f"nbdkit ended with {process.returncode}")
                time.sleep(nbd.LOOK)
            nbd.make_file(image, size << 20)
            subprocess.run(["nbdcopy", image, uri(socket)], check=True)
            os.unlink(image)
            yield socket
        finally:
            process.kill()
            process.wait()


def uri(socket):
    return f"nbd+unix:///?socket={socket}"


def reads(o, reader, socket, depth):
    """A second."""
    if reader == FIO:
        job = nbd.fio(socket, o.size << 20, "--rw=randread", f"--bs={nbd.BLOCK}", f"--iodepth={depth}", "--time_based",
                      f"--runtime={o.seconds}", "--randrepeat=0")
        return job["read"]["iops"]
    done = subprocess.run([o.program, uri(socket), reader, str(depth), str(o.seconds)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"{o.program}: {done.stderr}")
    return float(done.stdout)


READERS = ["getv", "prefetch", FIO]


def measure(o):
    rows = []
    with served(o.size) as socket:
        for depth in o.depth:
            for turn in range(o.rounds):
                first = turn % len(READERS)
                for reader in READERS[first:] + READERS[:first]:
                    rows.append([depth, turn, reader, reads(o, reader, socket, depth)])
    return rows


def cell(found, show):
    return f"{show(found.median)} ({show(found.least)}, {show(found.greatest)})"


def report(rows):
    by = {(depth, reader, turn): value for depth, turn, reader, value in rows}
    depths, turns = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    thousands = [[depth] + [cell(spread(by[depth, reader, turn] / 1000 for turn in turns), number) for reader in READERS] for depth in depths]
    ratios = [[depth] + [cell(spread(by[depth, reader, turn] / by[depth, FIO, turn] for turn in turns), number) for reader in READERS[:-1]]
              for depth in depths]
    return "\n".join(["## Thousand reads a second", "", *table(["depth", *READERS], thousands),
                      "## Beside fio: libmpool's / fio's", "", *table(["depth", *READERS[:-1]], ratios)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--rounds", type=nbd.positive, default=7, help="of each depth (7)")
    parser.add_argument("--seconds", type=nbd.positive, default=2, help="of each reader in a round (2)")
    parser.add_argument("--depth", type=nbd.depths, default=[1, 32], metavar="N,...", help="requests in flight (1,32)")
    parser.add_argument("--size", type=nbd.positive, default=256, metavar="MIB", help="of what is served (256)")
    parser.add_argument("--output", type=Path, default=Path("."), metavar="DIRECTORY", help="for results")
    parser.add_argument("--list", action="store_true", help="the readers, and nothing else")
    o = parser.parse_args()
    if o.list:
        print("\n".join(READERS))
        return
    rows = measure(o)
    o.output.mkdir(parents=True, exist_ok=True)
    with open(o.output / "results.csv", "w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([COLUMNS, *rows])
    text = report(rows)
    (o.output / "results.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except (Broken, subprocess.CalledProcessError) as error:
        sys.exit(f"store: {error}")
