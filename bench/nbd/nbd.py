#!/usr/bin/python3
"""nbd.py PLUGIN [OPTION...] - the nbdkit plugin beside nbdkit's file plugin, its cache filter, and qemu-nbd.

fio reads and writes 4 KiB at random through a Unix socket: a region of half the cache, and
one of five times the cache, at each depth, buffered and past the kernel's cache.  Every
server has a file of its own and runs all the time; the rounds of a cell go round the servers,
so that what disturbs the machine disturbs all.

Writes results.csv, a line a round, and results.md: tables of medians (least, greatest), and
of ratios, which are those of one round.  `--report CSV` makes the tables of an earlier run.

SPDX-License-Identifier: BSD-2-Clause
"""
import argparse
import contextlib
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reports
from reports import OURS, Broken, emphasised, number, spread, table

BLOCK = 4096
HOT, COLD = "half the cache", "5 times the cache"
PLACES = {"buffered": False, "direct": True}
REGIONS = {HOT: 0.5, COLD: 5}
WORKS = {"randread": "reads", "randwrite": "writes", "randrw": "half writes"}
LOOK = 0.01  # seconds between two looks whether a server is there
MICRO = 1000  # nanoseconds
COLUMNS = {"place": reports.one_of(PLACES), "region": reports.one_of(REGIONS), "work": reports.one_of(WORKS), "depth": int,
           "round": int, "server": str, "iops": float, "p50": float, "p99": float, "p999": float, "processor": float}


# --- the servers ---

def nbdkit(socket, pidfile, *arguments):
    return ["nbdkit", "-f", "--exit-with-parent", "-U", socket, "-P", pidfile, *arguments]


def mpool(o, path, direct, *more):
    return [o.plugin, f"file={path}", f"cache={o.cache}", f"direct={direct}", *more]


def file_plugin(path, direct):
    # It has no O_DIRECT; this is what comes next to it.
    return ["file", path, "fadvise=random", *(["cache=none"] if direct else [])]


SERVERS = {
    OURS: lambda o, s, p, path, direct: nbdkit(s, p, *mpool(o, path, direct)),
    "libmpool, key": lambda o, s, p, path, direct: nbdkit(s, p, *mpool(o, path, direct, f"key=bench.{os.getpid()}.{direct}")),
    "file plugin": lambda o, s, p, path, direct: nbdkit(s, p, *file_plugin(path, direct)),
    "cache filter": lambda o, s, p, path, direct: nbdkit(
        s, p, "--filter=cache", *file_plugin(path, False), f"cache-max-size={o.cache}", "cache-on-read=true",
        f"cache-min-block-size={BLOCK}"),
    "qemu-nbd": lambda o, s, p, path, direct: [
        "qemu-nbd", "--format=raw", f"--cache={'none' if direct else 'writeback'}", f"--aio={'native' if direct else 'threads'}",
        "--persistent", "--shared=0", f"--socket={s}", f"--pid-file={p}", path],
}


@contextlib.contextmanager
def served(o, name, path, direct):
    """Its socket, and its number, while it runs."""
    with tempfile.TemporaryDirectory(prefix="mpool-nbd.") as directory:
        socket, pidfile = (os.path.join(directory, what) for what in ("socket", "pid"))
        # The cache filter's copy is to be on the same disk as the file.
        environment = dict(os.environ, TMPDIR=os.path.dirname(path))
        process = subprocess.Popen(SERVERS[name](o, socket, pidfile, path, direct), env=environment, stdin=subprocess.DEVNULL)
        try:
            while not (os.path.exists(socket) and os.path.exists(pidfile)):
                if process.poll() is not None:
                    raise Broken(f"{name} ended with {process.returncode}")
                time.sleep(LOOK)
            yield socket, process.pid
        finally:
            process.kill()
            process.wait()


# --- measuring ---

def fio(socket, region, *options):
    command = ["fio", "--name=bench", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={socket}", f"--size={region}",
               "--output-format=json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"fio: {done.stderr or done.stdout}")
    return json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]


def processor_time(pid):
    """Seconds that it has had, of the program's own and the kernel's."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def measure(o, server, region, work, depth):
    socket, pid = server
    before = processor_time(pid)
    job = fio(socket, region, f"--rw={work}", f"--bs={BLOCK}", f"--iodepth={depth}", "--time_based", f"--runtime={o.seconds}",
              "--randrepeat=0", "--percentile_list=50:99:99.9")
    sides = [job[side] for side in ("read", "write") if job[side]["total_ios"]]
    # Of a mix, the slower side's.
    late = [max(side["clat_ns"]["percentile"][p] for side in sides) / MICRO for p in ("50.000000", "99.000000", "99.900000")]
    took = (processor_time(pid) - before) / sum(side["total_ios"] for side in sides)
    return [sum(side["iops"] for side in sides), *late, took * 1e6]


def cells(o):
    return [(work, depth) for work in o.work for depth in o.depth]


def warm(socket, region):
    fio(socket, region, "--rw=read", "--bs=256k", "--iodepth=4")


def measure_region(o, write, place, region, directory):
    size = int(o.cache_bytes * REGIONS[region]) // BLOCK * BLOCK
    with contextlib.ExitStack() as running:
        running_servers = {}
        for i, name in enumerate(o.server):
            path = os.path.join(directory, f"disk{i}")
            make_file(path, size)
            running_servers[name] = running.enter_context(served(o, name, path, PLACES[place]))
            warm(running_servers[name][0], size)
        for work, depth in cells(o):
            for turn in range(o.rounds):
                names = o.server[turn % len(o.server):] + o.server[:turn % len(o.server)]
                for name in names:
                    write([place, region, work, depth, turn, name, *measure(o, running_servers[name], size, work, depth)])
            print(f"nbd: {place}, {region}, {WORKS[work]}, depth {depth}: done", file=sys.stderr, flush=True)


def make_file(path, size):
    """Not of holes, which the kernel reads from nowhere."""
    with open(path, "wb") as file:
        for at in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - at)))
        file.flush()
        os.fsync(file.fileno())
        # The kernel keeps in large pieces what was written at a stretch, and cache=none drops no piece in part.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_all(o):
    with open(o.output / "results.csv", "w", newline="", encoding="utf-8") as out:
        lines = csv.writer(out)
        lines.writerow(COLUMNS)

        def write(row):
            lines.writerow(row[:6] + [f"{value:.6g}" for value in row[6:]])
            out.flush()

        for place in o.place:
            for region in REGIONS:
                with tempfile.TemporaryDirectory(prefix="nbd.", dir=o.output) as directory:
                    measure_region(o, write, place, region, directory)


# --- the tables ---

def spread_text(found, show=number):
    return f"{show(found.median)} ({show(found.least)}, {show(found.greatest)})" if found else "–"


def by_cell(rows):
    """{(place, region, work, depth): {server: {round: row}}}, in the order measured."""
    found = {}
    for row in rows:
        found.setdefault(tuple(row[:4]), {}).setdefault(row[5], {})[row[4]] = row
    return found


def label(cell):
    return [cell[0], cell[1], WORKS[cell[2]], cell[3]]


def figures(found, names, column, show=number):
    return table(["place", "region", "work", "depth", *map(emphasised, names)],
                 [label(cell) + [spread_text(spread(row[column] for row in servers[name].values()), show) if name in servers else "–"
                                 for name in names] for cell, servers in found.items()], left=3)


def ratios(found, names):
    """Ours over the others', of each round."""
    def ratio(servers, name):
        if OURS not in servers or name not in servers:
            return None
        return spread(row[6] / servers[name][turn][6] for turn, row in servers[OURS].items() if turn in servers[name])
    others = [name for name in names if name != OURS]
    return table(["place", "region", "work", "depth", *others],
                 [label(cell) + [spread_text(ratio(servers, name)) for name in others] for cell, servers in found.items()], left=3)


def kilo(value):
    return number(value / 1000)


def report(rows, about):
    found, names = by_cell(rows), list(dict.fromkeys(row[5] for row in rows))
    lines = ["# The server for nbdkit", "", *about, ""]
    lines += ["## Requests a second: libmpool's / the other's", "", *ratios(found, names)]
    lines += ["## Thousand requests a second", "", *figures(found, names, 6, kilo)]
    for column, what in ((7, "half of the requests take at most, µs"), (8, "99 % of the requests take at most, µs"),
                         (9, "99.9 % of the requests take at most, µs"),
                         (10, "the server's processor time a request, µs")):
        lines += [f"## {what[0].upper()}{what[1:]}", "", *figures(found, names, column)]
    return "\n".join(lines)


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].strip()


def about(o):
    return [f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}; {version('nbdkit', '--version')}, "
            f"{version('qemu-nbd', '--version')}, {version('fio', '--version')}. The caches have {o.cache}; {o.rounds} rounds of "
            f"{o.seconds} s; medians (least, greatest).",
            "", "*direct*: past the kernel's cache. libmpool and qemu-nbd use O_DIRECT; the file plugin has none, and runs with "
            "`cache=none`. The cache filter keeps its copy in a file, and has the kernel's cache for both in either case."]


# --- the program ---

def words(among):
    def kind(text):
        chosen = text.split(",")
        for word in chosen:
            if word not in among:
                raise argparse.ArgumentTypeError(f"{word} is none of {', '.join(among)}")
        return chosen
    return kind


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def depths(text):
    return list(map(positive, text.split(",")))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugin", type=os.path.abspath, nargs="?")
    parser.add_argument("--rounds", type=positive, default=3, help="of each cell (3)")
    parser.add_argument("--seconds", type=positive, default=2, help="of each round (2)")
    parser.add_argument("--cache", type=positive, default=64, metavar="MIB", help="what each may keep (64)")
    parser.add_argument("--depth", type=depths, default=[1, 16, 64], metavar="N,...", help="requests in flight (1,16,64)")
    parser.add_argument("--place", type=words(PLACES), default=list(PLACES), metavar="NAME,...", help=", ".join(PLACES))
    parser.add_argument("--work", type=words(WORKS), default=list(WORKS), metavar="NAME,...", help=", ".join(WORKS))
    parser.add_argument("--server", type=words(SERVERS_BY_WORD), default=list(SERVERS_BY_WORD), metavar="NAME,...",
                        help=", ".join(SERVERS_BY_WORD))
    parser.add_argument("--output", type=Path, default=Path("."), metavar="DIRECTORY", help="for results, and files meanwhile")
    parser.add_argument("--report", type=Path, metavar="CSV", help="of an earlier run: its tables, on the standard output")
    parser.add_argument("--list", action="store_true", help="the servers, and nothing else")
    o = parser.parse_args()
    if o.plugin is None and o.report is None and not o.list:
        parser.error("the plugin's path is needed")
    o.server = [SERVERS_BY_WORD[word] for word in o.server]
    o.cache_bytes, o.cache = o.cache << 20, f"{o.cache}M"
    return o


SERVERS_BY_WORD = {"mpool": OURS, "key": "libmpool, key", "file": "file plugin", "cache": "cache filter", "qemu": "qemu-nbd"}


def main():
    o = options()
    if o.report:
        print(report(reports.read_rows(o.report, COLUMNS, ","), []))
        return
    if o.list:
        print("\n".join(f"{word}: {name}" for word, name in SERVERS_BY_WORD.items()))
        return
    for program in ("fio", "nbdkit", "qemu-nbd"):
        if shutil.which(program) is None:
            raise Broken(f"there is no {program}")
    o.output = o.output.resolve()
    o.output.mkdir(parents=True, exist_ok=True)
    measure_all(o)
    text = report(reports.read_rows(o.output / "results.csv", COLUMNS, ","), about(o))
    (o.output / "results.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except Broken as error:
        sys.exit(f"nbd: {error}")
