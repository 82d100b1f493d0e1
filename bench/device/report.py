#!/usr/bin/python3
"""report.py RESULTS.csv [--output DIR] [--charts NAME,...] - tables and charts of what mpool-device measured.

Writes into DIR (where RESULTS.csv is, when not given):

  results.md     everything
  summary.md     the goals
  charts/*.svg   the same as pictures, when matplotlib is there

RESULTS.csv is what mpool-device wrote, a line a figure; the .json beside it, if there is
one, says on what machine.  The same files give the same report.

SPDX-License-Identifier: BSD-2-Clause
"""
import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reports
from reports import Goal, compact, number, picture, ratio, spread, table, thousands

# By mpool-device's ids: the name, and how it is drawn; libmpool's are warm, in Okabe and Ito's colours.
SUBJECTS = {
    "mpool": ("libmpool, one at a time", "#8F3E00", "."), "mpool-getv": ("libmpool, getv", "#D55E00", "o"),
    "mpool-prefetch": ("libmpool, prefetch", "#E69F00", "P"), "mpool-ahead": ("libmpool, read-ahead", "#D55E00", "h"),
    "mpool-cleaner": ("libmpool, cleaner", "#D55E00", "D"), "mpool-reads": ("libmpool, reads alone", "#F0B27A", "v"),
    "mpool-events": ("libmpool, MPOOL_CACHED", "#D55E00", "<"), "mpool-waits": ("libmpool, gets that wait", "#8F3E00", ">"),
    "bdb": ("Berkeley DB", "#0072B2", "s"), "bdb-trickle": ("Berkeley DB, trickle", "#56B4E9", "p"),
    "rocksdb": ("RocksDB MultiGet", "#009E73", "^"), "mmap": ("mmap", "#8C6D31", "X"),
    "mmap-order": ("mmap, MADV_SEQUENTIAL", "#8C6D31", "d"), "pread": ("pread alone", "#7F7F7F", "*"),
    "pread-far": ("pread, each page elsewhere", "#B5B5B5", "1"), "fio": ("fio", "#000000", "x"),
}
PLACES = {"direct": "O_DIRECT", "cold": "buffered, cold", "cached": "in the kernel's memory"}
SHORT = {"direct": "O_DIRECT", "cold": "cold", "cached": "buffered"}  # in a chart's titles
# Text and what to multiply by.
METRICS = {
    "pages_per_second": ("1,000 pages/s", 1e-3), "cpu_us": ("µs of processor a page", 1), "reads_per_second": ("1,000 reads/s", 1e-3),
    "hit_ratio": ("hits, %", 100), "rate": ("requests/s", 1), "late_per_1000": ("late of 1,000", 1),
    "waits_per_1000": ("that waited for a cleaner", 1), "p50_us": ("p50, µs", 1),
    "p99_us": ("p99, µs", 1), "p999_us": ("p99.9, µs", 1), "p9999_us": ("p99.99, µs", 1),
    "alone_p50_us": ("alone: p50, µs", 1), "alone_p99_us": ("p99, µs", 1), "alone_p999_us": ("p99.9, µs", 1),
    "beside_p50_us": ("beside: p50, µs", 1), "beside_p99_us": ("p99, µs ", 1), "beside_p999_us": ("p99.9, µs ", 1),
    "cold_per_second": ("1,000 cold pages/s", 1e-3),
}
PERCENTILES = {"p50_us": "p50", "p99_us": "p99", "p999_us": "p99.9", "p9999_us": "p99.99"}
COLUMNS = {"work": str, "place": reports.one_of(PLACES), "parameter": int, "subject": reports.one_of(SUBJECTS), "round": int,
           "metric": reports.one_of(METRICS), "value": reports.number_between(0, sys.float_info.max)}

Key = namedtuple("Key", "work place parameter subject metric")


# --- what was measured ---

class Results(reports.Measured):
    KEY = Key


read = partial(reports.read_results, columns=COLUMNS, results=Results, program="mpool-device")


# --- the goals ---

PAGES = "pages_per_second"


def of(work, place, parameter, subject, metric=PAGES):
    """Of results, {round: value}."""
    return lambda results: results.rounds(work, place, parameter, subject, metric)


def best(*some):
    """In each round the greatest."""
    def measure(results):
        found = [s(results) for s in some]
        return {r: max(f[r] for f in found if r in f) for r in set().union(*found)}
    return measure


def divided(above, below):
    return lambda results: ratio(above(results), below(results))


def less(one, other, factor=1):
    """The first less the second, a round at a time."""
    def measure(results):
        a, b = one(results), other(results)
        return spread((a[r] - b[r]) * factor for r in a if r in b)
    return measure


def quotients(above, below):
    """As divided, but {round: ratio}."""
    def measure(results):
        a, b = above(results), below(results)
        return {r: a[r] / b[r] for r in a if b.get(r, 0) > 0}
    return measure


def scaling(subject, metric):
    """Two threads / one."""
    return quotients(of("half", "cached", 2, subject, metric), of("half", "cached", 1, subject, metric))


def beside(name, measure, factor=1):
    """The figure of another, or in pages a second."""
    def text(results):
        found = spread(value * factor for value in measure(results).values())
        return f"{name}: {compact(found)}" if found else ""
    return text


def tail(place, at_most=2):
    return Goal("mix", f"{PLACES[place]}: p99.9 of a get while others write, with a cleaner, is at most {at_most} times that of reads alone",
                divided(of("mix", place, 2, "mpool-cleaner", "p999_us"), of("mix", place, 2, "mpool-reads", "p999_us")),
                at_most=at_most, beside=lambda results: without_cleaner(results, place))


def without_cleaner(results, place):
    found = ratio(*(results.rounds("mix", place, 2, s, "p999_us") for s in ("mpool", "mpool-reads")))
    return f"without a cleaner: {compact(found)}" if found else ""


def half_modify(threads):
    return Goal("half-modify", f"half cached, half modify: at least 1.5 times Berkeley DB, a cleaner on both sides, {threads} threads",
                divided(of("half-modify", "cached", threads, "mpool-cleaner"), of("half-modify", "cached", threads, "bdb-trickle")),
                at_least=1.5)


LATE = "late_per_1000"

GOALS = [
    Goal("random", "O_DIRECT, random order, one thread: getv or prefetch at depth 32, the better of the two, at least 0.9 of fio",
         divided(best(of("random", "direct", 32, "mpool-getv"), of("random", "direct", 32, "mpool-prefetch")),
                 of("random", "direct", 32, "fio")), at_least=0.9,
         beside=beside("fio, 1,000 pages/s", of("random", "direct", 32, "fio"), 1e-3)),
    Goal("order", "O_DIRECT, file order, one thread: with read-ahead at least 0.7 of fio with reads of 1 MiB",
         divided(of("order", "direct", 1, "mpool-ahead"), of("order", "direct", 1, "fio")), at_least=0.7,
         beside=beside("fio, 1,000 pages/s", of("order", "direct", 1, "fio"), 1e-3)),
    Goal("order", "in the kernel's memory, file order, one thread: with read-ahead at least twice what one at a time gives",
         divided(of("order", "cached", 1, "mpool-ahead"), of("order", "cached", 1, "mpool")), at_least=2,
         beside=beside("1,000 pages/s", of("order", "cached", 1, "mpool-ahead"), 1e-3)),
    tail("direct"),
    Goal("mix", "O_DIRECT: the hit ratio with a cleaner is at most 0.3 points less than without",
         less(of("mix", "direct", 2, "mpool", "hit_ratio"), of("mix", "direct", 2, "mpool-cleaner", "hit_ratio"), 100), at_most=0.3),
    Goal("mix", "O_DIRECT: with a cleaner at least 1.5 times the throughput without",
         divided(of("mix", "direct", 2, "mpool-cleaner"), of("mix", "direct", 2, "mpool")), at_least=1.5),
    tail("cached"),
    Goal("open", "O_DIRECT, open loop at half of fio's rate: requests of 1,000 that are late, with a cleaner, less those of reads alone",
         less(of("open", "direct", 8, "mpool-cleaner", LATE), of("open", "direct", 8, "mpool-reads", LATE)), at_most=0,
         beside=beside("that waited for the cleaner", of("open", "direct", 8, "mpool-cleaner", "waits_per_1000"))),
    Goal("loop", "O_DIRECT: p50 of hot requests in an event loop beside 8 cold readers is at most 1.5 times that alone",
         divided(of("loop", "direct", 8, "mpool-events", "beside_p50_us"), of("loop", "direct", 8, "mpool-events", "alone_p50_us")),
         at_most=1.5, beside=beside("gets that wait, beside, µs", of("loop", "direct", 8, "mpool-waits", "beside_p50_us"))),
    Goal("half", "half cached: at least 1.7 times Berkeley DB, two threads",
         divided(of("half", "cached", 2, "mpool"), of("half", "cached", 2, "bdb")), at_least=1.7),
    Goal("half", "half cached: a miss takes at most 1.45 times what pread alone takes, two threads",
         divided(of("half", "cached", 2, "pread", "reads_per_second"), of("half", "cached", 2, "mpool", "reads_per_second")),
         at_most=1.45, beside=beside("pread, each page elsewhere, / pread alone",
                                     quotients(of("half", "cached", 2, "pread"), of("half", "cached", 2, "pread-far")))),
    Goal("half", "half cached: two threads / one, at least that of pread alone",
         divided(scaling("mpool", PAGES), scaling("pread", PAGES)), at_least=1,
         beside=beside("pread's own", scaling("pread", PAGES))),
    half_modify(2),
    half_modify(64),
]
Results.GOALS = GOALS


# --- the report ---

def rounds_text(results):
    long = results.about.get("milliseconds")
    return results.rounds_text() + (f", a cell {long} ms, or four times that where pages are modified" if long else "")


def machine_text(results):
    pages = results.about.get("pages")
    return [*results.machine_text(), *([f"The file has {thousands(pages)} pages of 4096 bytes."] if pages else []), ""]


def goals_lines(results):
    return reports.goals_lines(results.goals(), results)


def summary(results):
    return [f"What libmpool promises of a device: median (least, greatest) over {rounds_text(results)}; ratios are taken within a round.",
            "", *results.busy(), *goals_lines(results)]


def metrics_of(results, **wanted):
    there = results.every("metric", **wanted)
    return [m for m in METRICS if m in there]


def group_table(results, work, place, parameter):
    """A row a subject, a column a metric."""
    metrics = metrics_of(results, work=work, place=place, parameter=parameter)
    subjects = [s for s in SUBJECTS if s in results.every("subject", work=work, place=place, parameter=parameter)]
    rows = [[SUBJECTS[s][0], *(compact(spread(value * METRICS[m][1] for value in results.rounds(work, place, parameter, s, m).values()))
                               for m in metrics)] for s in subjects]
    return table([PLACES[place], *(METRICS[m][0] for m in metrics)], rows)


def work_section(results, work, charts):
    text = results.texts.get(work, {})
    lines = [f"## {work}", ""] + ([f"{text['what'][0].upper() + text['what'][1:]}.", ""] if text else [])
    lines += picture(charts, work, work)
    for place in results.every("place", work=work):
        for parameter in results.every("parameter", work=work, place=place):
            lines += [f"{text.get('parameter', 'parameter')}: {parameter}", "", *group_table(results, work, place, parameter)]
    return lines


def report(results, charts):
    return ["# libmpool and a device", "",
            f"Each figure is the median (least, greatest) over {rounds_text(results)}. – is what was not measured.", "",
            *results.busy(), *machine_text(results), "## Goals", "", *goals_lines(results),
            *(line for work in results.every("work") for line in work_section(results, work, charts)), *results.setup_section()]


# --- charts; None when nothing of the kind was measured ---

def look(subject):
    _, colour, marker = SUBJECTS[subject]
    ours = subject.startswith("mpool")
    return {"color": colour, "marker": marker, "linewidth": 2.2 if ours else 1.3, "markersize": 5.5, "zorder": 4 if ours else 3,
            "linestyle": "--" if subject == "fio" else "-"}


def random_chart(results):
    """Pages a second against the depth."""
    drawn, there = {}, results.every("subject", work="random", metric=PAGES)
    for place in results.every("place", work="random"):
        lines = {}
        for s in (s for s in SUBJECTS if s in there):
            points = [(d, spread(v / 1000 for v in results.rounds("random", place, d, s, PAGES).values()))
                      for d in sorted(results.every("parameter", work="random", place=place, subject=s))]
            if points:
                lines[SUBJECTS[s][0]] = points
        drawn[f"random order, {PLACES[place]}", "1,000 pages/s"] = lines
    looks = {SUBJECTS[s][0]: look(s) for s in SUBJECTS if s in there}
    return reports.lines_chart(drawn, looks, 2, 3, "reads in flight", log=True)


def bars(results, work, metric, title, factor=1):
    """A panel a place, a row a subject."""
    drawn = {title(place): {SUBJECTS[s][0]: (spread(v * factor for v in found.values()), SUBJECTS[s][1])
                            for s in SUBJECTS for found in [results.rounds(work, place, parameter, s, metric)] if found}
             for place in results.every("place", work=work)
             for parameter in results.every("parameter", work=work, place=place)[:1]}
    return drawn


def rows_of(drawn):
    there = {name for rows in drawn.values() for name in rows}
    return [name for name, *_ in SUBJECTS.values() if name in there]


def order_chart(results):
    drawn = bars(results, "order", PAGES, PLACES.get, 1e-3)
    return reports.rows_chart(drawn, rows_of(drawn), "The file from its beginning to its end, one thread: 1,000 pages a second.", base=0,
                              across=3)


def mix_chart(results):
    """A panel a place and percentile, a row a subject."""
    drawn = {}
    for place in results.every("place", work="mix"):
        for metric, text in PERCENTILES.items():
            drawn |= {f"{SHORT[place]}, {text}": rows for p, rows in
                      ((p, r) for p, r in bars(results, "mix", metric, lambda p: p).items() if p == place)}
    return reports.rows_chart(drawn, rows_of(drawn), "Gets of pages half of which are modified: time of a get, in µs.", across=4)


def loop_chart(results):
    drawn = {}
    for metric, text in (("alone_p50_us", "alone, p50"), ("beside_p50_us", "beside, p50"), ("beside_p999_us", "beside, p99.9")):
        for place, rows in bars(results, "loop", metric, lambda p: p).items():
            drawn[f"{SHORT[place]}, {text}"] = rows
    return reports.rows_chart(drawn, rows_of(drawn), "Hot requests in an event loop, beside 8 readers of cold pages: µs.", across=2)


CHARTS = (random_chart, order_chart, mix_chart, loop_chart)

charts_of = partial(reports.charts_by_name, CHARTS)


def main(arguments=None):
    reports.write_reports("mpool-device", "RESULTS.csv", read, charts_of, report, summary, arguments)


if __name__ == "__main__":
    main()
