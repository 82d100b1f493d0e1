#!/usr/bin/python3
"""report.py RESULTS.csv [--output DIR] [--charts NAME,...] - tables and charts of what mpool-bench measured.

Writes into DIR (where RESULTS.csv is, when not given):

  results.md     everything: machine, goals, every workload, setup of each pool
  summary.md     libmpool against each pool in one table, and the goals
  charts/*.svg   the same as pictures, when matplotlib is there

RESULTS.csv has one line a round and cell: workload,parameter,threads,subject,
round,metric,value.  What mpool-bench says of the machine and the subjects is
taken from the file beside it, RESULTS.json, if there is one.

A ratio is taken within a round, and then the median, the least and the greatest
over the rounds are printed: a machine that is slow for a while is slow for both
sides.  The same CSV and JSON give the same files.

SPDX-License-Identifier: BSD-2-Clause
"""
import argparse
import csv
import io
import json
import math
import re
import statistics
import sys
from collections import namedtuple
from pathlib import Path

try:
    import matplotlib.figure
except ImportError:
    matplotlib = None

OURS = "libmpool"
SHARED = "libmpool, shared"
ARRAY = "array"
HCC = "RocksDB HyperClockCache"
BDB = "Berkeley DB"
PREAD = "pread alone"
PWRITEV = "pwritev in order"

# By mpool-bench's ids: the name, which goals know, and how it is drawn, in Okabe and
# Ito's colours, which the colour-blind can tell apart.  There may be others.
SUBJECTS = {
    "mpool": (OURS, "#D55E00", "o"),
    "mpool-shared": (SHARED, "#8F3E00", "h"),
    "bdb": (BDB, "#0072B2", "s"),
    "bdb-shared": ("Berkeley DB, shared", "#004A75", "p"),
    "hcc": (HCC, "#009E73", "^"),
    "lru": ("RocksDB LRUCache", "#56B4E9", "v"),
    "sqlite": ("SQLite", "#CC79A7", "D"),
    "mutex": ("mutex + LRU", "#E69F00", "P"),
    "mmap": ("mmap", "#8C6D31", "X"),
    "array": (ARRAY, "#000000", "."),
    "pread": (PREAD, "#7F7F7F", "*"),
    "pwritev": (PWRITEV, "#7F7F7F", "x"),
}

# The system calls without a pool: in one workload or two each, so they share a column.
YARDSTICKS = (PREAD, PWRITEV)
YARDSTICK_HEAD = "system calls alone"

GROWTH = {"growth-pages": "pages", "growth-threads": "sleeping threads"}
PROCESSES, DEATHS = "processes", "deaths"
PARAMETRIC = (*GROWTH, "memory", PROCESSES, DEATHS)  # whose parameter is a count
BY = {"ns_by_threads": "threads", "ns_by_processes": "processes"}
COSTS = {"ended_ms": "the kernel has ended the process", "noticed_ms": "the death is counted", "released_ms": "its pins are released",
         "waited_ms": "a get that waited for its read returns", "pause_ms": "longest pause of another's hits",
         "pause_before_ms": "the same before the death"}
UNITS = {"ops_per_second": ("Mop/s", 1e-6), "pages_per_second": ("1,000 pages/s", 1e-3)}  # and what to multiply by
PERCENTILES = {"p50_ns": "median", "p99_ns": "99 %", "p999_ns": "99.9 %", "max_ns": "greatest"}
# Processors that other programs or the hypervisor took meanwhile: with more than that, times say little.
BUSY = 0.1
HEADER = ["workload", "parameter", "threads", "subject", "round", "metric", "value"]

Spread = namedtuple("Spread", "median least greatest")


class Broken(Exception):
    """What was given cannot be reported on; the text says why."""


# --- statistics ---

def spread(values):
    """Median, least and greatest; None of nothing."""
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def ratio(above, below):
    """The spread of above / below ({round: value} both), each taken within a round."""
    return spread(above[r] / below[r] for r in above if below.get(r, 0) > 0)


def scaled(found, factor):
    return found and Spread(*(value * factor for value in found))


# --- what was measured ---

class Results:
    """
    The values by (workload, parameter, threads, subject, metric) and round, and what the JSON says.

    A parameter is a count; a workload that is not looked at for its growth is named with it.
    """

    def __init__(self, rows, about):
        self.about = about
        self.machine = dict(about.get("machine", {}))
        self.names = {key: name for key, (name, *_) in SUBJECTS.items()}
        self.described = {}
        for s in about.get("subjects", []):
            self.described[self.names.setdefault(s["id"], s["name"])] = s
        self.texts = {w["name"]: w["what"] for w in about.get("workloads", [])}
        self.absent = {}
        for a in about.get("absent", []):
            subject = self.names.get(a["subject"], a["subject"])
            self.absent.setdefault((subject, a["why"]), []).append(a["workload"])
        self.values = {}
        for workload, parameter, threads, subject, number, metric, value in rows:
            if workload not in PARAMETRIC:
                workload, parameter = f"{workload} {parameter}".strip(), ""
            key = (workload, parameter, threads, self.names.get(subject, subject), metric)
            rounds = self.values.setdefault(key, {})
            if number in rounds:
                raise Broken(f"round {number} of {', '.join(map(str, key))} is there twice")
            rounds[number] = value
        self.workloads = self._every(0)
        found = self._every(3)
        self.subjects = [s for s in self.described if s in found] + [s for s in found if s not in self.described]

    def _every(self, field, workload=None, metric=None):
        """All that this field of a key is, as they came."""
        return list(dict.fromkeys(key[field] for key in self.values
                                  if workload in (None, key[0]) and metric in (None, key[4])))

    def threads(self, workload, metric=None):
        return sorted(self._every(2, workload, metric))

    def parameters(self, workload):
        return sorted(self._every(1, workload), key=lambda count: (len(count), count))

    def subjects_of(self, workload, metric=None):
        found = self._every(3, workload, metric)
        return [s for s in self.subjects if s in found]

    def subjects_of_all(self, workloads):
        return [s for s in self.subjects if any(s in self.subjects_of(w, self.metric(w)) for w in workloads)]

    def rounds(self, workload, threads, subject, metric, parameter=""):
        return self.values.get((workload, parameter, threads, subject, metric), {})

    def of(self, workload, threads, subject, metric, parameter=""):
        return spread(self.rounds(workload, threads, subject, metric, parameter).values())

    def metric(self, workload):
        """The one that says how much is done in a second; None if none does."""
        found = self._every(4, workload)
        return next((m for m in UNITS if m in found), None)

    def throughput(self, workload):
        """The unit; the numbers of threads, or what grows; and {subject: [spread or None at each]}."""
        metric = self.metric(workload)
        unit, factor = UNITS[metric]
        grows = workload in GROWTH
        cells = [(t, p) for t in self.threads(workload, metric) for p in (self.parameters(workload) if grows else [""])]
        return unit, [int(p) if grows else t for t, p in cells], {
            s: [scaled(self.of(workload, t, s, metric, p), factor) for t, p in cells]
            for s in self.subjects_of(workload, metric)}

    def throughput_workloads(self):
        return [w for w in self.workloads if w not in GROWTH and self.metric(w)]

    def growth_workloads(self):
        return [w for w in GROWTH if self.metric(w)]

    def goals(self):
        """Those of the workloads that were chosen; all, if nobody says which were."""
        chosen = set(self.texts) | set(self.workloads)
        return [g for g in GOALS if g.workload in chosen] if self.texts else GOALS

    def busy(self):
        """What else the machine did while this was measured, in a sentence; "" if it was idle enough."""
        others = {name: float(value) for name, value in self.about.get("others", {}).items()}
        parts = [f"{text} took {number(others[name])}" for name, text in
                 (("processors", "other programs"), ("stolen", "the machine's host")) if others.get(name, 0) > BUSY]
        if not parts:
            return ""
        cores = f" of {self.machine['cores']}" if self.machine.get("cores") else ""
        return (f"The machine was busy while this was measured: {' and '.join(parts)}{cores} processors"
                f" (load average at the beginning: {number(others.get('load_average', 0))}). Times, and verdicts on them,"
                " are of that.")

    def what(self, workload):
        """A sentence on what the threads do; "" if nothing is known."""
        text = self.texts.get(workload, "")
        return text and text[0].upper() + text[1:] + "."

    def compared_threads(self, workload):
        """Two; or what there is, in a workload that always has the same number."""
        threads = self.threads(workload)
        return 2 if 2 in threads else threads[0] if len(threads) == 1 else None

    def pair(self, workload, peer, threads=None):
        """The throughputs to be compared, libmpool's and the peer's, by round."""
        threads = threads or self.compared_threads(workload)
        metric = "reads_per_second" if peer == PREAD else self.metric(workload)
        return self.rounds(workload, threads, OURS, metric), self.rounds(workload, threads, peer, metric)

    def against(self, workload, peer, threads=None):
        """The spread of libmpool's throughput / the peer's; of the peer that there is, for YARDSTICK_HEAD."""
        if peer == YARDSTICK_HEAD:
            return next(filter(None, (self.against(workload, y, threads) for y in YARDSTICKS)), None)
        return ratio(*self.pair(workload, peer, threads))

    def cost(self, workload, peer, threads):
        """The spread of the time that libmpool takes for the same / the peer's."""
        ours, theirs = self.pair(workload, peer, threads)
        return ratio(theirs, ours)

    def ways(self):
        """[(subject, metric)]: who does the work of PROCESSES, and whether threads or processes do."""
        return [(s, m) for s in self.subjects for m in BY if s in self.subjects_of(PROCESSES, m)]

    def times_threads(self, pages, subject, metric):
        """The spread of the time that an operation takes / what it takes libmpool's threads."""
        return ratio(self.rounds(PROCESSES, 2, subject, metric, pages),
                     self.rounds(PROCESSES, 2, OURS, "ns_by_threads", pages))

    def comparison(self):
        """{peer: {workload: spread of libmpool's throughput / its}}, of what there is."""
        peers = [s for s in self.subjects if s != OURS and s not in YARDSTICKS] + [YARDSTICK_HEAD]
        found = {p: {w: self.against(w, p) for w in self.throughput_workloads()} for p in peers}
        found = {p: {w: s for w, s in ratios.items() if s} for p, ratios in found.items()}
        return {p: ratios for p, ratios in found.items() if ratios}

    def compared_workloads(self):
        return [w for w in self.throughput_workloads() if any(w in ratios for ratios in self.comparison().values())]


def read_csv(path):
    """The rows of the CSV, numbers as numbers."""
    rows = []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = csv.reader(file, strict=True)
            if next(lines, None) != HEADER:
                raise Broken(f"{path}: the first line must be {','.join(HEADER)}")
            for line in lines:
                if len(line) != len(HEADER):
                    raise Broken(f"{path}:{lines.line_num}: {len(line)} fields, not {len(HEADER)}")
                workload, parameter, threads, subject, number, metric, value = line
                try:
                    row = (workload, parameter, int(threads), subject, int(number), metric, float(value))
                except ValueError as error:
                    raise Broken(f"{path}:{lines.line_num}: {error}") from None
                if not math.isfinite(row[-1]):
                    raise Broken(f"{path}:{lines.line_num}: {value} is no result")
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Broken(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not rows:
        raise Broken(f"{path}: no results")
    return rows


def read(path):
    rows = read_csv(path)
    beside = Path(path).with_suffix(".json")
    try:
        return Results(rows, json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {})
    except Broken as error:
        raise Broken(f"{path}: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Broken(f"{beside}: not what mpool-bench writes: {error}") from None


# --- figures as text ---

def number(value):
    """Three digits that count, and a comma for each three more: 0.0123, 1.23, 12.3, 1,230."""
    digits = 2 - int(f"{value:.2e}".partition("e")[2]) if value else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def compact(found):
    """Median (least, greatest)."""
    return f"{number(found.median)} ({number(found.least)}, {number(found.greatest)})" if found else "–"


def nanoseconds(value):
    for unit in ("ns", "µs", "ms"):
        if value < 999.5:
            return f"{number(value)} {unit}"
        value /= 1000
    return f"{number(value)} s"


def thousands(count):
    return f"{int(count):,}"


def short(count):
    """10 k, 4 M."""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if count >= unit and count % (unit / 10) == 0:
            return f"{count / unit:g}{letter}"
    return f"{count:,.10g}"


def threads_text(threads):
    return "1 thread" if threads == 1 else f"{threads} threads"


# --- goals ---

class Goal:
    """
    One promise on one figure.

    measure  of Results, the spread that is judged; None if that was not measured
    mark     (column of the ratio chart, ratio of libmpool to it that is wanted)
    beside   of Results, a text to stand beside the figure
    """

    def __init__(self, workload, text, measure, at_least=None, at_most=None, mark=None, beside=lambda results: ""):
        self.workload, self.text, self.measure = workload, text, measure
        self.at_least, self.at_most, self.mark, self.beside = at_least, at_most, mark, beside

    def met(self, value):
        return value >= self.at_least if self.at_least else value <= self.at_most

    def missed_by(self, value):
        """A factor when it is more than 2, a part of what is wanted otherwise."""
        factor = self.at_least / max(value, 1e-9) if self.at_least else value / self.at_most
        if factor > 2:
            return f"a factor of {number(factor)}"
        part = 1 - 1 / factor if self.at_least else factor - 1
        return "less than 1 %" if part < 0.01 else f"{part * 100:.0f} %"

    def judge(self, results):
        """The figure and what is to be said of it."""
        found = self.measure(results)
        if not found:
            return None, "not measured"
        worst, best = (found.least, found.greatest) if self.at_least else (found.greatest, found.least)
        if self.met(found.median):
            return found, "reached" if self.met(worst) else "reached, not in every round"
        return found, (f"missed by {self.missed_by(found.median)}"
                       + (", reached in some rounds" if self.met(best) else ""))


def times(workload, peer, factor, threads=2):
    how = {1: "one thread", 2: "two threads"}[threads]
    return Goal(workload, f"at least {factor} times {peer}, {how}",
                lambda results: results.against(workload, peer, threads), at_least=factor, mark=(peer, factor))


def no_dearer(workload, text, peer, factor, threads=2):
    return Goal(workload, text, lambda results: results.cost(workload, peer, threads), at_most=factor,
                mark=(YARDSTICK_HEAD if peer in YARDSTICKS else peer, 1 / factor))


def of_threads(results, subject, above, below):
    """Throughput on the hot page with so many threads / with so many."""
    return ratio(*(results.rounds("hot", n, subject, results.metric("hot")) for n in (above, below)))


def array_scaling(results):
    found = of_threads(results, ARRAY, 2, 1)
    return f"the array: {compact(found)}" if found else ""


def tail(results, subject):
    return results.rounds("latency", results.compared_threads("latency"), subject, "p999_ns")


def latency_goal(results):
    """In nanoseconds."""
    theirs = spread(tail(results, HCC).values())
    return theirs and theirs.median / 5


def array_tail(results):
    goal, floor = latency_goal(results), spread(tail(results, ARRAY).values())
    if not floor:
        return ""
    if goal and goal < floor.median:
        return f"the goal is below the machine's floor of {nanoseconds(floor.median)}, which the array needs"
    return f"the array, which is the machine's floor: {nanoseconds(floor.median)}"


def processes_goal(pages, text):
    def beside(results):
        found = results.times_threads(pages, SHARED, "ns_by_threads")
        return f"two threads that share it: {compact(found)}" if found else ""

    return Goal(PROCESSES, f"{text}: two processes take at most 1.1 times what two threads take",
                lambda results: results.times_threads(pages, SHARED, "ns_by_processes"), at_most=1.1, beside=beside)


GOALS = [
    times("hot", HCC, 10),
    times("hot", BDB, 40),
    Goal("hot", "two threads do at least 1.9 times the work of one",
         lambda results: of_threads(results, OURS, 2, 1), at_least=1.9, beside=array_scaling),
    Goal("hot", "64 threads do at least 1 / 1.2 of the work of two",
         lambda results: of_threads(results, OURS, 64, 2), at_least=1 / 1.2),
    times("uniform-10000", HCC, 5),
    times("uniform-10000", BDB, 12),
    no_dearer("uniform-10000", "the array does at most 2.5 times as much, two threads", ARRAY, 2.5),
    times("btree", HCC, 5),
    times("btree", BDB, 15),
    times("half", BDB, 2.5),
    no_dearer("half", "a miss takes at most 1.5 times what pread alone takes, two threads", PREAD, 1.5),
    times("modify", BDB, 2),
    times("sync", BDB, 3, threads=1),
    no_dearer("sync", "a page takes at most 1.3 times what pwritev in order takes, one thread", PWRITEV, 1.3,
              threads=1),
    Goal("latency", f"99.9 % of the gets take at most 1/5 of the time of those of {HCC}",
         lambda results: ratio(tail(results, OURS), tail(results, HCC)), at_most=0.2, beside=array_tail),
    processes_goal("1", "one hot page"),
    processes_goal("10000", "uniform, 10,000 pages"),
]


# --- the report ---

def table(head, rows, left=1):
    """A Markdown table, the first `left` columns to the left; nothing of no rows."""
    def line(cells):
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    if not rows:
        return []
    return [line(head), "|" + "|".join(["---"] * left + ["--:"] * (len(head) - left)) + "|", *map(line, rows), ""]


def emphasised(subject):
    return f"**{subject}**" if subject == OURS else subject


def picture(charts, name, text):
    return [f"![{text}](charts/{name}.svg)", ""] if name in charts else []


def rounds_text(results):
    count = len({r for (workload, *_), rounds in results.values.items() if workload != DEATHS for r in rounds})
    if not count:
        return "no rounds"
    text = f"{count} interleaved rounds" if count > 1 else "one round"
    return text + (f" of {results.about['milliseconds']} ms a cell" if results.about.get("milliseconds") else "")


def machine_text(results):
    facts = {**results.machine}
    facts["cores"] = facts.get("cores") and f"{facts['cores']} core" + "s" * (str(facts["cores"]) != "1")
    parts = [facts.get(name) for name in ("cpu", "cores", "memory", "kernel", "compiler")]
    return "; ".join(filter(None, parts)) or "machine not recorded"


def machine_section(results):
    about = results.about
    words = {"cpu": "processor", "thp": "transparent huge pages",
             "thp_shared": "the same of memory that processes share"}
    rows = [(words.get(name, name), value) for name, value in results.machine.items()]
    took = about.get("took_seconds") and f"in {max(1, round(about['took_seconds'] / 60))} min"
    rows += [("measured", ", ".join(filter(None, (about.get("mode"), rounds_text(results), took))))]
    rows += [("date", about["date"])] if about.get("date") else []
    rows += [(name, s["version"]) for name, s in results.described.items() if s.get("version")]
    return ["## Machine and versions", "", *table(["", ""], rows, left=2), *busy_text(results)]


def goals_table(results):
    rows = []
    for goal in results.goals():
        found, verdict = goal.judge(results)
        if results.busy() and found and not verdict.startswith("reached"):
            verdict += ", on a busy machine"
        measured = "; ".join(filter(None, (compact(found), found and goal.beside(results))))
        rows.append((goal.workload, goal.text, measured,
                     verdict if verdict.startswith("reached") else f"**{verdict}**"))
    return table(["workload", "goal", "measured", "verdict"], rows, left=4)


def goals_count(results):
    verdicts = [goal.judge(results)[1].replace(",", " ").split()[0] for goal in results.goals()]
    if not verdicts:
        return "No goal is about what was measured."
    parts = [f"{verdicts.count('reached')} of {len(verdicts)} goals reached"]
    parts += [f"{verdicts.count(word)} {text}" for word, text in (("missed", "missed"), ("not", "not measured"))
              if word in verdicts]
    return ", ".join(parts) + "."


def workload_head(results, workload):
    threads = results.compared_threads(workload)
    return workload if threads == 2 else f"{workload} ({threads_text(threads)})"


def ratios_table(results):
    """Rows are workloads, columns are peers."""
    columns = results.comparison()
    lines = table(["", *columns], [[workload_head(results, w), *(compact(found.get(w)) for found in columns.values())]
                                   for w in results.compared_workloads()])
    if YARDSTICK_HEAD in columns:
        lines += [f"*{YARDSTICK_HEAD.capitalize()}*: the pages that libmpool reads in a second / those of `pread` in a"
                  " loop, and the pages that it syncs / those of `pwritev` over the same pages in order.", ""]
    return lines


def busy_text(results):
    return [f"**{results.busy()}**", ""] if results.busy() else []


def summary(results):
    lines = ["libmpool's throughput / the other's, two threads: median (least, greatest) over "
             f"{rounds_text(results)}. More than 1: libmpool does more. {machine_text(results)}.", "",
             *busy_text(results),
             *(ratios_table(results) or ["Nothing to compare was measured.", ""]),
             *processes_tables(results), *deaths_table(results),
             goals_count(results), "", *goals_table(results)]
    return "\n".join(lines).rstrip() + "\n"


def throughput_table(results, workload):
    unit, xs, found = results.throughput(workload)
    grows = GROWTH.get(workload)
    head = [f"{unit}; {grows}:", *map(thousands, xs)] if grows else [unit, *map(threads_text, xs)]
    return table(head, [[emphasised(s), *map(compact, spreads)] for s, spreads in found.items()])


def workload_section(results, workload):
    threads = results.threads(workload)
    subjects = results.subjects_of(workload, results.metric(workload))
    ratios = [[s, *(compact(results.against(workload, s, t)) for t in threads)] for s in subjects
              if s != OURS and any(results.against(workload, s, t) for t in threads)]
    note = [f"Every operation of {PREAD} is a read of the file, so libmpool's reads are compared with it.", ""]
    return [f"### {workload}", "", results.what(workload), "", *throughput_table(results, workload),
            *table(["libmpool / it", *map(threads_text, threads)], ratios), *(note if PREAD in subjects else [])]


def by_subject_section(results, metric, title, text, show):
    """Rows are workloads and threads, columns are subjects, for a metric that few workloads have."""
    workloads = [w for w in results.throughput_workloads() if results.subjects_of(w, metric)]
    subjects = [s for s in results.subjects if any(s in results.subjects_of(w, metric) for w in workloads)
                and (s not in YARDSTICKS or metric != "hit_ratio")]
    rows = [[f"{w}, {threads_text(t)}", *(show(results.of(w, t, s, metric)) for s in subjects)]
            for w in workloads for t in results.threads(w, metric)]
    return [f"## {title}", "", text, "", *table(["", *map(emphasised, subjects)], rows)] if rows else []


def latency_section(results, charts):
    if "latency" not in results.workloads:
        return []
    threads = results.compared_threads("latency")
    rows = [[emphasised(s), *(compact(results.of("latency", threads, s, metric)) for metric in PERCENTILES),
             "" if s == OURS else compact(ratio(tail(results, OURS), tail(results, s))),
             compact(scaled(results.of("latency", threads, s, "evictor_ops_per_second"), 1e-6))]
            for s in results.subjects_of("latency")]
    clock = [value for (*_, metric), rounds in results.values.items() if metric == "clock_ns"
             for value in rounds.values()]
    note = [f"Reading the clock takes {number(statistics.median(clock or [0]))} ns, which is in each figure.", ""]
    return ["## Latency while others evict", "", results.what("latency"), "",
            *picture(charts, "latency", "Latency of a get while others evict, by percentile"), "Nanoseconds:", "",
            *table(["", *PERCENTILES.values(), "libmpool's 99.9 % / its", "evictors, Mop/s"], rows),
            *(note if clock else [])]


def growth_section(results, charts):
    lines = []
    for w in results.growth_workloads():
        lines += [f"### {w}", "", results.what(w), "", *throughput_table(results, w)]
    return lines and ["## Growth", "", "Two threads at work. Pools that do not fit into memory together take their"
                      " rounds one after the other.", "",
                      *picture(charts, "growth", "Throughput against pages and threads"), *lines]


def memory_section(results, charts):
    subjects = results.subjects_of("memory", "bytes_per_page")

    def text(found):
        return f"{found.median:,.0f}" if found else "–"

    rows = [[thousands(p), *(text(results.of("memory", 1, s, "bytes_per_page", p)) for s in subjects)]
            for p in results.parameters("memory")]
    return rows and ["## Memory", "", results.what("memory") + " Bytes a page:", "",
                     *picture(charts, "memory", "Memory a page, by page size"),
                     *table(["page bytes", *map(emphasised, subjects)], rows)]


def way_text(subject, metric):
    return f"{emphasised(subject)}: {BY[metric]}"


def processes_tables(results):
    ways = results.ways()
    times = [[thousands(p), *(compact(results.of(PROCESSES, 2, *way, p)) for way in ways)]
             for p in results.parameters(PROCESSES)]
    ratios = [[thousands(p), *(compact(results.times_threads(p, *way)) for way in ways)]
              for p in results.parameters(PROCESSES) if results.of(PROCESSES, 2, OURS, "ns_by_threads", p)]
    heads = [way_text(*way) for way in ways]
    return [*table(["pages in memory; ns", *heads], times),
            *table([f"the time / that of {OURS}'s threads", *heads], ratios)]


def processes_section(results, charts):
    return results.ways() and [
        "## Pools that processes share", "", results.what(PROCESSES), "",
        *picture(charts, "processes", "Time of a get and a put, by threads and by processes"),
        "Nanoseconds that a get and a put take, each of two threads, or each of two processes of one thread:", "",
        *processes_tables(results)]


def deaths_table(results):
    costs = [m for m in COSTS if results.subjects_of(DEATHS, m)]
    rows = [[thousands(p), *(compact(results.of(DEATHS, 2, SHARED, m, p)) for m in costs)]
            for p in results.parameters(DEATHS)]
    return table(["pages in memory; ms", *(COSTS[m] for m in costs)], rows) if costs else []


def deaths_section(results, charts):
    counts = {len(rounds) for (workload, *_), rounds in results.values.items() if workload == DEATHS}
    return counts and ["## The death of a process", "", results.what(DEATHS), "",
                       *picture(charts, "deaths", "What the death of a process costs the others"),
                       f"Milliseconds from the kill (pauses aside), of {max(counts)} deaths each:", "",
                       *deaths_table(results)]


def setup_section(results):
    rows = [(emphasised(name), s.get("setup", "")) for name, s in results.described.items() if s.get("setup")]
    return ["## How each is set up", "", *table(["", ""], rows, left=2)] if rows else []


def absent_section(results):
    def text(absent):
        others = [w for w in results.workloads if w not in absent]
        # Neither list is long.
        return "all but " + ", ".join(others) if 0 < 2 * len(others) < len(absent) else ", ".join(absent)

    rows = [(subject, text(absent), why) for (subject, why), absent in results.absent.items()]
    rows.sort(key=lambda row: (results.subjects + [row[0]]).index(row[0]))
    return ["## Who does not take part, and why", "", *table(["", "workload", "why"], rows, left=3)] if rows else []


def report(results, charts):
    lines = ["# libmpool beside other page pools", "",
             "Each figure is the median (least, greatest) over the rounds. The rounds are interleaved, and a ratio is"
             " taken within a round: a machine that is slow for a while is slow for both sides."
             " – is what was not measured.", "",
             *machine_section(results),
             "## Goals", "", goals_count(results), "", *goals_table(results)]
    if results.throughput_workloads():
        lines += ["## Throughput", "", "Of all threads together.", "",
                  *picture(charts, "throughput", "Throughput against threads, for each workload"),
                  "libmpool's / the other's, two threads; more than 1: libmpool does more.", "",
                  *picture(charts, "ratios", "libmpool's throughput divided by each other's, for each workload"),
                  *ratios_table(results)]
        for workload in results.throughput_workloads():
            lines += workload_section(results, workload)
    lines += by_subject_section(results, "hit_ratio", "Hit ratios",
                                "The part of all gets that found their page in memory.",
                                lambda found: f"{found.median:.4f}" if found else "–")
    lines += by_subject_section(results, "reads_per_second", "Reads",
                                "Pages read from the file, 1,000 a second, counted from the start of the warm-up.",
                                lambda found: compact(scaled(found, 1e-3)))
    lines += [*latency_section(results, charts), *growth_section(results, charts), *memory_section(results, charts),
              *processes_section(results, charts), *deaths_section(results, charts),
              *setup_section(results), *absent_section(results)]
    return "\n".join(lines).rstrip() + "\n"


# --- charts; None when nothing of the kind was measured ---

FONT = "'DejaVu Sans'"
WIDTH = 10.5  # inches, of every chart
LOOK = {
    "svg.fonttype": "none",      # text, not outlines
    "svg.hashsalt": "libmpool",  # the same names of parts in every run
    "font.family": "DejaVu Sans", "font.size": 9,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#666666",
    "axes.axisbelow": True, "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.7,
    "xtick.color": "#333333", "ytick.color": "#333333", "legend.frameon": False,
}
STYLES = {name: style for name, *style in SUBJECTS.values()}
STYLES[YARDSTICK_HEAD] = STYLES[PREAD]
OTHER_STYLE = ("#5E3C99", "<")


def colour(subject):
    return STYLES.get(subject, OTHER_STYLE)[0]


def style(subject):
    marker = STYLES.get(subject, OTHER_STYLE)[1]
    ours = subject == OURS
    return {"color": colour(subject), "marker": marker, "zorder": 5 if ours else 3,
            "linewidth": 2.8 if ours else 1.3, "markersize": 6.5 if ours else {".": 7, "*": 8}.get(marker, 5),
            "linestyle": "--" if subject == ARRAY else ":" if subject in YARDSTICKS else "-"}


def handle(label, **look):
    return matplotlib.lines.Line2D([], [], label=label, **look)


def panels(count, columns, height, top):
    """A figure and `count` axes in it, each so many inches high with all that belongs to it."""
    rows = math.ceil(count / columns)
    figure = matplotlib.figure.Figure(figsize=(WIDTH, top + rows * height))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def finish(figure, top, text="", handles=()):
    """Puts text and a legend above the panels, in so many inches."""
    height = figure.get_figheight()
    figure.text(0.1 / WIDTH, 1 - 0.2 / height, text, va="center")
    if handles:
        legend = figure.legend(handles=handles, loc="upper left", ncol=5, handlelength=2.6, columnspacing=1.6,
                               bbox_to_anchor=(0.005, 1 - (0.3 if text else 0) / height))
        embolden(legend.get_texts())
    figure.tight_layout(rect=(0, 0, 1, 1 - top / height), w_pad=1.5, h_pad=1.5)
    return figure


def embolden(labels):
    for label in labels:
        if label.get_text() == OURS:
            label.set_weight("bold")


def no_minor_ticks(axis):
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


def curves(axes, results, workload):
    """Medians joined by a line, least to greatest as a stroke."""
    unit, xs, points = results.throughput(workload)
    values = []
    for i, (subject, spreads) in reversed(list(enumerate(points.items()))):
        # Of one x alone, side by side and not above each other.
        found = [(x if len(xs) > 1 else i, y) for x, y in zip(xs, spreads) if y and y.least > 0]
        axes.plot([x for x, _ in found], [y.median for _, y in found], **style(subject))
        axes.vlines([x for x, _ in found], [y.least for _, y in found], [y.greatest for _, y in found],
                    color=colour(subject), linewidth=1, zorder=2)
        values += [value for _, y in found for value in y]
    if len(xs) > 1:
        axes.set_xscale("log")
        axes.set_xlim(xs[0] / 1.3, xs[-1] * 1.3)
        axes.set_xticks(xs, list(map(short, xs)))
    else:
        axes.set_xlim(-0.8, len(points) - 0.2)
        axes.set_xticks([(len(points) - 1) / 2], [short(xs[0])])
        axes.grid(False, axis="x")
    no_minor_ticks(axes.xaxis)
    y_axis(axes, values or [1])
    axes.set_title(workload)
    axes.set_title(unit, loc="right", fontsize=9, fontweight="normal", color="#333333")


def y_axis(axes, values):
    decades = math.log10(max(values) / min(values))
    # Half a decade at least: differences of nothing are not to look like much.
    room = 10 ** max(0.25 - decades / 2, 0.07)
    axes.set_yscale("log")
    axes.set_ylim(min(values) / room, max(values) * room)
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if decades < 2 else (1,), numticks=20))
    no_minor_ticks(axes.yaxis)
    axes.yaxis.set_major_formatter("{x:,.10g}")


def rows_of(axes, names, labelled=True):
    """One below the other, from the top."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names if labelled else [])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    embolden(axes.get_yticklabels())


def goal_mark(axes, x, y):
    """A stroke that stands out, on a dark bar too."""
    for hue, width in (("white", 4.5), ("#222222", 2.2)):
        axes.plot([x, x], [y - 0.42, y + 0.42], color=hue, linewidth=width, zorder=5, solid_capstyle="butt")


def slim(svg):
    """The same picture in half the bytes: coordinates to a tenth of a point, each style once, no names of parts."""
    head, _, body = svg.partition("</style>")
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r' id="(\w*_\d+|matplotlib\.\w+)"| transform="rotate\(-0 [^"]*\)"', "", body)
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"),
                                                re.sub(r"\s+", " ", tag[0])), body)
    styles = list(dict.fromkeys(re.findall(r' style="([^"]*)"', body)))
    body = re.sub(r' style="([^"]*)"', lambda found: f' class="c{styles.index(found[1])}"', body)
    body = re.sub(r"\n\s*", "\n", body)
    for empty in (r"<g>\s*</g>\n", r"<defs>\s*</defs>\n"):
        body = re.sub(empty, "", body)
    # Verdana has the same widths, where DejaVu is not.
    rules = "".join(f"\n.c{i}{{{style}}}" for i, style in enumerate(styles)).replace(FONT, f"{FONT}, Verdana, sans-serif")
    return head + rules + "</style>" + body


def save(figure, path):
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", facecolor="white",
                   metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    path.write_text(slim(drawn.getvalue()), encoding="utf-8")


def throughput_chart(results):
    workloads = results.throughput_workloads()
    if not workloads:
        return None
    subjects = results.subjects_of_all(workloads)
    top = 0.15 + 0.2 * math.ceil(len(subjects) / 5)
    figure, all_axes = panels(len(workloads), 3, 2.5, top)
    for axes, w in zip(all_axes, workloads):
        curves(axes, results, w)
    for axes in all_axes[-3:]:
        axes.set_xlabel("threads")
    return finish(figure, top, handles=[handle(s, **style(s)) for s in subjects])


def growth_chart(results):
    workloads = results.growth_workloads()
    if not workloads:
        return None
    figure, all_axes = panels(len(workloads), len(workloads), 3.6, 0.35)
    for axes, w in zip(all_axes, workloads):
        curves(axes, results, w)
        axes.set_xlabel(f"{GROWTH[w]}; two threads at work")
    return finish(figure, 0.35, handles=[handle(s, **style(s)) for s in results.subjects_of_all(workloads)])


def ratios_chart(results):
    columns = {p: {w: s for w, s in found.items() if s.least > 0} for p, found in results.comparison().items()}
    workloads = [w for w in results.compared_workloads() if any(w in found for found in columns.values())]
    if not workloads:
        return None
    goals = {(g.workload, g.mark[0]): g.mark[1] for g in GOALS if g.mark}
    goals = {(w, p): goal for (w, p), goal in goals.items() if w in columns.get(p, {})}
    values = [1, *goals.values(), *(v for found in columns.values() for s in found.values() for v in s)]
    decades = math.log10(max(values) / min(values)) + 0.5
    across = min(4, len(columns))
    figure, all_axes = panels(len(columns), across, 0.225 * len(workloads) + 0.6, 0.4)
    for i, (axes, (peer, found)) in enumerate(zip(all_axes, columns.items())):
        for y, w in enumerate(workloads):
            if w not in found:
                continue
            s, goal = found[w], goals.get((w, peer))
            axes.barh(y, s.median - 1, left=1, height=0.62, color=colour(peer), alpha=0.85, zorder=2)
            axes.plot([s.least, s.greatest], [y, y], color="#222222", linewidth=1, zorder=3)
            if goal:
                goal_mark(axes, goal, y)
            right = max(1, s.greatest, goal or 0) * 10 ** (decades * 0.025)
            axes.text(right, y, number(s.median), va="center", fontsize=8, zorder=5)
        axes.axvline(1, color="#444444", linewidth=1, zorder=3)
        axes.set_xscale("log")
        ticks = [10.0 ** e for e in range(-12, 13, math.ceil(decades / 4))]
        axes.set_xticks(ticks, list(map(short, ticks)))
        no_minor_ticks(axes.xaxis)
        axes.set_xlim(min(values) / 10 ** (decades * 0.04), max(values) * 10 ** (decades * 0.38))  # with the figures
        rows_of(axes, [workload_head(results, w) for w in workloads], labelled=i % across == 0)
        axes.set_title(peer, fontsize=9)
    return finish(figure, 0.4, "libmpool's throughput / the other's, two threads. Bars: median; thin lines:"
                               " least to greatest; thick strokes: goals.")


def latency_chart(results):
    subjects = results.subjects_of("latency", "p50_ns")
    if not subjects:
        return None
    markers = dict(zip(PERCENTILES, "osD|"))

    def look(metric):
        return {"marker": markers[metric], "linestyle": "", "markersize": 13 if metric == "max_ns" else 6.5,
                "markeredgewidth": 2 if metric == "max_ns" else 1}

    figure, (axes,) = panels(1, 1, 0.34 * len(subjects) + 0.6, 0.65)
    for y, subject in enumerate(subjects):
        found = {m: results.of("latency", results.compared_threads("latency"), subject, m) for m in markers}
        found = {m: max(s.median, 0.5) for m, s in found.items() if s}
        axes.plot([min(found.values()), max(found.values())], [y, y], color=colour(subject), alpha=0.5,
                  linewidth=4 if subject == OURS else 2, zorder=2, solid_capstyle="butt")
        for metric, value in found.items():
            axes.plot(value, y, color=colour(subject), zorder=4, **look(metric))
    handles = [handle(text, color="#444444", **look(metric)) for metric, text in PERCENTILES.items()]
    if latency_goal(results) and OURS in subjects:
        goal_mark(axes, latency_goal(results), subjects.index(OURS))
        handles.append(handle("goal for 99.9 %", color="#222222", linewidth=2.2))
    axes.set_xscale("log")
    no_minor_ticks(axes.xaxis)
    axes.xaxis.set_major_formatter(lambda value, _: nanoseconds(value).replace(".00", "").replace(".0", ""))
    rows_of(axes, subjects)
    return finish(figure, 0.65, "One get of a page in memory while others evict: medians over the rounds.", handles)


def memory_chart(results):
    parameters, subjects = results.parameters("memory"), results.subjects_of("memory", "bytes_per_page")
    if not subjects:
        return None
    figure, all_axes = panels(len(parameters), len(parameters), 0.27 * len(subjects) + 0.6, 0.4)
    for i, (axes, parameter) in enumerate(zip(all_axes, parameters)):
        for y, subject in enumerate(subjects):
            found = results.of("memory", 1, subject, "bytes_per_page", parameter)
            if found:
                axes.barh(y, found.median, height=0.65, color=colour(subject), zorder=2)
                axes.text(max(found.median, 0), y, f" {found.median:,.0f}", va="center", fontsize=8)
        axes.margins(x=0.1)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axes.xaxis.set_major_formatter("{x:,.10g}")
        rows_of(axes, subjects, labelled=i == 0)
        axes.set_title(f"pages of {thousands(parameter)} bytes", fontsize=9)
    return finish(figure, 0.4, "Resident memory beside the pages' own bytes, bytes a page.")


def dots(axes, y, found, hue):
    """The median as a dot, least to greatest as a stroke, the figure beside it."""
    axes.plot([found.least, found.greatest], [y, y], color=hue, linewidth=2, alpha=0.5, zorder=2)
    axes.plot(found.median, y, color=hue, marker="o", markersize=6.5, zorder=4)
    axes.text(found.greatest, y, f"  {number(found.median)}", va="center", fontsize=8, zorder=5)


def dots_chart(results, workload, rows, unit, text):
    """A panel a number of pages; rows: [(name, subject, metric)]."""
    parameters = [p for p in results.parameters(workload) if any(results.of(workload, 2, s, m, p) for _, s, m in rows)]
    if not parameters:
        return None
    figure, all_axes = panels(len(parameters), len(parameters), 0.3 * len(rows) + 0.6, 0.4)
    for i, (axes, p) in enumerate(zip(all_axes, parameters)):
        spreads = [results.of(workload, 2, s, m, p) for _, s, m in rows]
        for y, (found, (_, subject, _)) in enumerate(zip(spreads, rows)):
            if found and found.least > 0:
                dots(axes, y, found, colour(subject))
        values = [value for found in spreads if found for value in found if value > 0] or [1]
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 1.6, max(values) * (max(values) / min(values)) ** 0.25 * 1.6)
        axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=6))
        no_minor_ticks(axes.xaxis)
        axes.xaxis.set_major_formatter("{x:,.10g}")
        rows_of(axes, [name for name, *_ in rows], labelled=i == 0)
        axes.set_title("1 page" if p == "1" else f"{thousands(p)} pages", fontsize=9)
        axes.set_title(unit, loc="right", fontsize=9, fontweight="normal", color="#333333")
    return finish(figure, 0.4, text)


def processes_chart(results):
    return dots_chart(results, PROCESSES, [(f"{s}: {BY[m]}", s, m) for s, m in results.ways()], "ns",
                      "A get and a put of a page in memory, by two threads or by two processes: median, least and"
                      " greatest.")


def deaths_chart(results):
    return dots_chart(results, DEATHS, [(text, SHARED, m) for m, text in COSTS.items()], "ms",
                      "A process that shares the pool is killed: median, least and greatest.")


CHARTS = (throughput_chart, ratios_chart, latency_chart, growth_chart, memory_chart, processes_chart, deaths_chart)


def draw(results, directory, wanted=None):
    """The names of the charts written; all that there are, when none are named."""
    if not matplotlib:
        print("report.py: no charts without matplotlib (Debian's python3-matplotlib)", file=sys.stderr)
        return []
    directory.mkdir(parents=True, exist_ok=True)
    names = []
    with matplotlib.rc_context(LOOK):
        for chart in CHARTS:
            name = chart.__name__.partition("_")[0]
            figure = chart(results) if not wanted or name in wanted else None
            if figure:
                names.append(name)
                save(figure, directory / f"{name}.svg")
            else:
                (directory / f"{name}.svg").unlink(missing_ok=True)  # of an earlier run
    return names


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="report.py", description="Tables and charts of what mpool-bench measured.")
    parser.add_argument("csv", metavar="RESULTS.csv", help="what mpool-bench wrote; RESULTS.json is read too")
    parser.add_argument("--output", metavar="DIR", help="where to write; beside RESULTS.csv when not given")
    parser.add_argument("--charts", metavar="NAME,...", type=lambda names: names.split(","), help="draw these only")
    options = parser.parse_args(arguments)
    output = Path(options.output or Path(options.csv).parent)
    try:
        results = read(options.csv)
        output.mkdir(parents=True, exist_ok=True)
        charts = draw(results, output / "charts", options.charts)
        (output / "results.md").write_text(report(results, charts), encoding="utf-8")
        (output / "summary.md").write_text(summary(results), encoding="utf-8")
    except (Broken, OSError) as error:
        sys.exit(f"report.py: {error}")


if __name__ == "__main__":
    main()
