#!/usr/bin/python3
"""rados.py PROGRAM CONF [OPTION...] - pages from a Ceph cluster, beside other clients of it.

4 KiB at random, so many in flight: a pool's mpool_getv and mpool_prefetch, and the store alone (PROGRAM, which is
mpool-rados); fio's engine for RBD, whose images are objects of the same size; and `rados bench`, whose objects are of
4 KiB each.  Rounds go round the clients, so that what disturbs the machine disturbs all.

Writes results.csv, a line a round, and results.md: medians (least, greatest), and the ratio to fio's, which is that of one round.

SPDX-License-Identifier: BSD-2-Clause
"""
import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

PAGE, PAGES = 4096, 65536
FIO = "fio, rbd"


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def ours(how):
    return lambda o, depth: float(output(o.program, o.conf, "bench", str(PAGES), how, str(depth), str(o.seconds)).split()[0])


def fio(o, depth):
    said = output("fio", "--ioengine=rbd", "--clientname=admin", "--pool=pages", "--rbdname=bench", "--name=reads", "--rw=randread",
                  "--bs=4k", f"--iodepth={depth}", f"--size={PAGES * PAGE}", "--time_based", f"--runtime={o.seconds}", "--norandommap",
                  "--output-format=json", env={**os.environ, "CEPH_CONF": o.conf})
    return json.loads(said[said.index("{"):])["jobs"][0]["read"]["iops"]


def rados_bench(o, depth):
    said = output("rados", "-c", o.conf, "-p", "pages", "--run-name", "bench", "bench", str(o.seconds), "rand", "-t", str(depth))
    return float(re.search(r"Average IOPS: +([\d.]+)", said)[1])


CLIENTS = {"mpool_getv": ours("getv"), "mpool_prefetch": ours("prefetch"), "the store alone": ours("store"), FIO: fio,
           "rados bench": rados_bench}


def prepare(o):
    output(o.program, o.conf, "bench", str(PAGES))
    output("rbd", "-c", o.conf, "create", "--size", f"{PAGES * PAGE >> 20}M", "--image-feature", "layering", "pages/bench")
    output("rbd", "-c", o.conf, "bench", "--io-type", "write", "--io-size", "1M", "--io-total", str(PAGES * PAGE), "pages/bench")
    output("rados", "-c", o.conf, "-p", "pages", "--run-name", "bench", "bench", "10", "write", "-b", str(PAGE), "-t", "32", "--no-cleanup")


def spread(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}, {max(values):,.0f})"


def tables(rows, depths):
    lines = ["Pages of 4 KiB a second: median (least, greatest); and to fio's of the same round.", ""]
    lines += ["| in flight | " + " | ".join(CLIENTS) + " |", "|---" * (1 + len(CLIENTS)) + "|"]
    for depth in depths:
        rates = {c: [r[3] for r in rows if r[0] == depth and r[2] == c] for c in CLIENTS}
        cells = []
        for c, of in rates.items():
            ratio = statistics.median(a / b for a, b in zip(of, rates[FIO]))
            cells.append(spread(of) + ("" if c == FIO else f" {ratio:.2f}"))
        lines.append(f"| {depth} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(prog="rados.py")
    p.add_argument("program")
    p.add_argument("conf")
    p.add_argument("--depth", default="16,32", help="how many are in flight: %(default)s")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=int, default=3, help="of a round")
    p.add_argument("--output", type=Path, default=Path("."))
    p.add_argument("--list", action="store_true", help="the clients, and measure nothing")
    o = p.parse_args()
    if o.list:
        print(*CLIENTS, sep="\n")
        return
    depths = [int(d) for d in o.depth.split(",")]
    prepare(o)
    rows = []
    for depth in depths:
        for turn in range(o.rounds):
            for name, client in CLIENTS.items():
                rows.append((depth, turn, name, client(o, depth), os.getloadavg()[0]))
                print("{:4} {:3} {:18} {:9.0f}  load {:.1f}".format(*rows[-1]), flush=True)
    with open(o.output / "results.csv", "w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("depth", "round", "client", "pages_a_second", "load"), *rows])
    text = tables(rows, depths)
    (o.output / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
