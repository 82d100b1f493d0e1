#!/usr/bin/python3
"""report.py RESULTS.csv [--output DIR] [--charts NAME,...] - tables and charts of what mpool-trees measured.

Writes into DIR (where RESULTS.csv is, when not given):

  results.md     everything
  summary.md     the goals, and the tree on libmpool against each store in one table
  charts/*.svg   the same as pictures, when matplotlib is there

RESULTS.csv is what mpool-trees wrote, a line a figure; the .json beside it, if there is
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
from reports import OURS, Goal, compact, emphasised, number, picture, spread, table, thousands, threads_text

# By mpool-trees's ids: the name, and its colour, of Okabe and Ito's.
SUBJECTS = {
    "mpool": (OURS, "#D55E00"), "bdb": ("Berkeley DB", "#0072B2"), "lmdb": ("LMDB", "#CC79A7"),
    "rocksdb": ("RocksDB", "#009E73"), "sqlite": ("SQLite", "#8C6D31"),
}
PEERS = [s for s in SUBJECTS if s != "mpool"]
# The unit, and what to multiply by.
METRICS = {"ops_per_second": ("1,000/s", 1e-3), "with_checkpoint_per_second": ("all, with the checkpoint", 1e-3)}
DONE, WITH_CHECKPOINT = METRICS
ALL_THREADS = 0  # of a figure that is of the whole load, by whatever threads
# By name: what a reader is told in few words, and whether it is a load, in which a log-structured store may be ahead.
WORKS = {
    "insert-random": ("inserts, random", True), "insert-order": ("inserts, in order", True), "lookup": ("lookups", False),
    "commit": ("durable inserts", False), "lookup-large": ("lookups, 5 times the cache", False),
    "insert-large": ("inserts, 5 times the cache", False),
}
COLUMNS = {"work": reports.one_of(WORKS), "threads": int, "subject": reports.one_of(SUBJECTS), "round": int,
           "metric": reports.one_of(METRICS), "value": reports.number_between(0, sys.float_info.max)}

Key = namedtuple("Key", "work threads subject metric")


# --- what was measured ---

class Results(reports.Measured):
    KEY = Key

    def threads(self, work):
        return sorted(set(self.every("threads", work=work)) - {ALL_THREADS})

    def works(self):
        there = self.every("work")
        return [w for w in WORKS if w in there]

    def of(self, *key):
        return spread(value * METRICS[key[-1]][1] for value in self.rounds(*key).values())

    def ratios(self, work, threads, peer, metric=DONE):
        """{round: what libmpool does / what the other does}."""
        ours, theirs = (self.rounds(work, threads, s, metric) for s in ("mpool", peer))
        return {r: ours[r] / theirs[r] for r in ours if theirs.get(r, 0) > 0}

    def least_ratios(self, work, peer):
        """In each round that of the number of threads with which libmpool is least ahead."""
        found = [self.ratios(work, t, peer) for t in self.threads(work)]
        return {r: min(f[r] for f in found) for r in (found[0] if found else ()) if all(r in f for f in found)}


read = partial(reports.read_results, columns=COLUMNS, results=Results, program="mpool-trees")


# --- the goals ---

# Whom a log-structured store's or a bulk load's nature puts ahead there.
BUT_FOR_LOADS = ("rocksdb", "sqlite")


def ahead(work, peer):
    return Goal(work, f"{WORKS[work][0]}: ahead of {SUBJECTS[peer][0]}, with each number of threads",
                lambda results: spread(results.least_ratios(work, peer).values()), at_least=1)


GOALS = [ahead(work, peer) for work, (_, load) in WORKS.items() for peer in PEERS if not load or peer not in BUT_FOR_LOADS]
Results.GOALS = GOALS


# --- the report ---

def rounds_text(results):
    long = results.about.get("milliseconds")
    return results.rounds_text() + (f", a cell {long} ms, or a part of the load" if long else "")


def keys_text(results):
    keys = results.about.get("keys")
    return [f"{thousands(keys)} keys of 8 bytes with values of 120.", ""] if keys else []


def there(results, **wanted):
    found = results.every("subject", **wanted)
    return [s for s in SUBJECTS if s in found]


def ratios_table(results):
    """A row a workload and number of threads, a column a peer."""
    peers = [s for s in there(results) if s != "mpool"]
    rows = [[WORKS[w][0], t, *(compact(spread(results.ratios(w, t, p).values())) for p in peers)]
            for w in results.works() for t in results.threads(w)]
    return table(["libmpool / the other", "threads", *(SUBJECTS[p][0] for p in peers)], rows if peers else [])


def work_section(results, work):
    """A row a subject, a column a number of threads."""
    what, threads = results.texts.get(work, {}).get("what", ""), results.threads(work)
    columns = {f"{threads_text(t)}, {METRICS[DONE][0]}": (t, DONE) for t in threads}
    if results.every("threads", work=work, metric=WITH_CHECKPOINT):
        columns[METRICS[WITH_CHECKPOINT][0]] = (ALL_THREADS, WITH_CHECKPOINT)
    rows = [[emphasised(SUBJECTS[s][0]), *(compact(results.of(work, t, s, m)) for t, m in columns.values())]
            for s in there(results, work=work)]
    return [f"## {WORKS[work][0]}", "", *([what[0].upper() + what[1:] + ".", ""] if what else []), *table(["", *columns], rows)]


def goals_lines(results):
    return reports.goals_lines(results.goals(), results)


def summary(results):
    return ["What a tree on libmpool does / what another store does: median (least, greatest) over "
            f"{rounds_text(results)}; ratios are taken within a round.", "", *keys_text(results), *results.busy(),
            *ratios_table(results), *goals_lines(results)]


def report(results, charts):
    return ["# A tree on libmpool beside others", "",
            f"Each figure is the median (least, greatest) over {rounds_text(results)}. – is what was not measured.", "",
            *results.busy(), *results.machine_text(), *keys_text(results), "## Goals", "", *goals_lines(results),
            "## Ratios", "", *picture(charts, "trees", "What each store does in a second"), *ratios_table(results),
            *(line for work in results.works() for line in work_section(results, work)), *results.setup_section()]


# --- charts; None when nothing of the kind was measured ---

def trees_chart(results):
    """A panel a workload and number of threads, a row a subject."""
    drawn = {f"{WORKS[w][0]}, {threads_text(t)}": {SUBJECTS[s][0]: (found, SUBJECTS[s][1]) for s in SUBJECTS
                                                   if (found := results.of(w, t, s, DONE))}
             for w in results.works() for t in results.threads(w)}
    return reports.rows_chart(drawn, [SUBJECTS[s][0] for s in there(results)], "Operations, 1,000 a second: median, least and greatest.",
                              show=number, across=2)


CHARTS = (trees_chart,)

charts_of = partial(reports.charts_by_name, CHARTS)


def main(arguments=None):
    reports.write_reports("mpool-trees", "RESULTS.csv", read, charts_of, report, summary, arguments)


if __name__ == "__main__":
    main()
