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
import statistics
import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reports
from reports import OURS, Broken, Goal, Spread, compact, emphasised, number, picture, ratio, spread, table, thousands, threads_text

SHARED, STATIC, ARRAY, HCC, BDB = "libmpool, shared", "libmpool, static", "array", "RocksDB HyperClockCache", "Berkeley DB"
PEEK, PEEK_INLINE = "libmpool, peek", "libmpool, peek inline"
PREAD, PWRITEV = "pread alone", "pwritev in order"

# By mpool-bench's ids: the name, which goals know, and how it is drawn, in Okabe and
# Ito's colours, which the colour-blind can tell apart.  There may be others.
SUBJECTS = {
    "mpool": (OURS, "#D55E00", "o"), "mpool-shared": (SHARED, "#8F3E00", "h"),
    "mpool-static": (STATIC, "#F0B27A", "d"),
    "mpool-peek": (PEEK, "#A6761D", "<"), "mpool-peek-inline": (PEEK_INLINE, "#E6AB02", ">"),
    "bdb": (BDB, "#0072B2", "s"), "bdb-shared": ("Berkeley DB, shared", "#004A75", "p"),
    "hcc": (HCC, "#009E73", "^"), "lru": ("RocksDB LRUCache", "#56B4E9", "v"),
    "sqlite": ("SQLite", "#CC79A7", "D"), "mutex": ("mutex + LRU", "#E69F00", "P"), "mmap": ("mmap", "#8C6D31", "X"),
    "array": (ARRAY, "#000000", "."), "pread": (PREAD, "#7F7F7F", "*"), "pwritev": (PWRITEV, "#7F7F7F", "x"),
}

# What guards a page, likewise; only beside each other.
LATCH, EXCHANGE = "libmpool, latch", "exchange pair"
LOCKS = {
    "mpool-latch": (LATCH, "#D55E00"), "mpool-latch-shared": ("libmpool, shared latch", "#F0B27A"), "exchange": (EXCHANGE, "#000000"),
    "pthread-mutex": ("pthread mutex", "#0072B2"), "pthread-rwlock": ("pthread rwlock", "#009E73"),
    "pthread-rwlock-shared": ("pthread rwlock, shared", "#56B4E9"),
}
LATCHES = {"latch-own": "a page each", "latch-same": "the same page"}

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
COLUMNS = {"workload": str, "parameter": str, "threads": int, "subject": str, "round": int, "metric": str,
           "value": reports.number_between(-sys.float_info.max, sys.float_info.max)}

Key = namedtuple("Key", "workload parameter threads subject metric")


# --- statistics, and what they look like ---

def scaled(found, factor):
    return found and Spread(*(value * factor for value in found))


def median_text(form):
    return lambda found: format(found.median, form) if found else "–"


# --- what was measured ---

class Results:
    """
    The values by Key and round, and what the JSON says.

    A parameter is a count; a workload that is not looked at for its growth is named with it.
    """

    def __init__(self, rows, about):
        self.about, self.machine = about, dict(about.get("machine", {}))
        names = {key: name for key, (name, *_) in (SUBJECTS | LOCKS).items()}
        self.described = {names.setdefault(s["id"], s["name"]): s for s in about.get("subjects", [])}
        self.texts = {w["name"]: w["what"] for w in about.get("workloads", [])}
        self.absent, self.values = {}, {}
        for a in about.get("absent", []):
            self.absent.setdefault((names.get(a["subject"], a["subject"]), a["why"]), []).append(a["workload"])
        for workload, parameter, threads, subject, turn, metric, value in rows:
            if workload not in PARAMETRIC:
                workload, parameter = f"{workload} {parameter}".strip(), ""
            key = Key(workload, parameter, threads, names.get(subject, subject), metric)
            rounds = self.values.setdefault(key, {})
            if turn in rounds:
                raise Broken(f"round {turn} of {', '.join(map(str, key))} is there twice")
            rounds[turn] = value
        self.workloads, found = self.every("workload"), self.every("subject")
        self.subjects = [s for s in self.described if s in found] + [s for s in found if s not in self.described]

    def every(self, field, workload=None, metric=None):
        """All that this field of a key is, as they came."""
        return list(dict.fromkeys(getattr(key, field) for key in self.values
                                  if workload in (None, key.workload) and metric in (None, key.metric)))

    def threads(self, workload, metric=None):
        return sorted(self.every("threads", workload, metric))

    def parameters(self, workload):
        return sorted(self.every("parameter", workload), key=lambda count: (len(count), count))

    def subjects_of(self, workload, metric=None):
        return sorted(self.every("subject", workload, metric), key=self.subjects.index)

    def subjects_of_all(self, workloads, metric=None):
        return [s for s in self.subjects if any(s in self.subjects_of(w, metric or self.metric(w)) for w in workloads)]

    def rounds(self, workload, threads, subject, metric, parameter=""):
        return self.values.get(Key(workload, parameter, threads, subject, metric), {})

    def of(self, *key):
        return spread(self.rounds(*key).values())

    def metric(self, workload):
        """The one that says how much is done in a second; None if none does."""
        return next((m for m in UNITS if m in self.every("metric", workload)), None)

    def throughput(self, workload):
        """The unit; the numbers of threads, or what grows; and {subject: [spread or None at each]}."""
        metric, grows = self.metric(workload), workload in GROWTH
        unit, factor = UNITS[metric]
        cells = [(t, p) for t in self.threads(workload, metric) for p in (self.parameters(workload) if grows else [""])]
        return unit, [int(p) if grows else t for t, p in cells], {
            s: [scaled(self.of(workload, t, s, metric, p), factor) for t, p in cells] for s in self.subjects_of(workload, metric)}

    def throughput_workloads(self):
        return [w for w in self.workloads if w not in GROWTH and self.metric(w)]

    def growth_workloads(self):
        return [w for w in GROWTH if self.metric(w)]

    def goals(self):
        """Those of the workloads that were chosen; all, if nobody says which were."""
        return [g for g in GOALS if not self.texts or g.workload in (*self.texts, *self.workloads)]

    def busy(self):
        """What else the machine did while this was measured, as a paragraph; nothing if it was idle enough."""
        return reports.busy(self.about)

    def what(self, workload):
        """A sentence on what the threads do; "" if nothing is known."""
        text = self.texts.get(workload, "")
        return text and text[0].upper() + text[1:] + "."

    def compared_threads(self, workload):
        """Two; or what there is, in a workload that always has the same number."""
        threads = self.threads(workload)
        return 2 if 2 in threads else threads[0] if len(threads) == 1 else None

    def against(self, workload, peer, threads=None, cost=False):
        """
        The spread of libmpool's throughput / the peer's, or of the time it takes for the same / the peer's; of the peer
        that there is, for YARDSTICK_HEAD.
        """
        if peer == YARDSTICK_HEAD:
            return next(filter(None, (self.against(workload, y, threads) for y in YARDSTICKS)), None)
        threads = threads or self.compared_threads(workload)
        metric = "reads_per_second" if peer == PREAD else self.metric(workload)
        pair = [self.rounds(workload, threads, subject, metric) for subject in (OURS, peer)]
        return ratio(*(reversed(pair) if cost else pair))

    def pair(self, workload, one, other):
        """The spread of the throughput of one / that of the other, two threads."""
        return ratio(*(self.rounds(workload, 2, s, self.metric(workload)) for s in (one, other)))

    def ways(self):
        """[(subject, metric)]: who does the work of PROCESSES, and whether threads or processes do."""
        return [(s, m) for s in self.subjects for m in BY if s in self.subjects_of(PROCESSES, m)]

    def times_threads(self, pages, subject, metric):
        """The spread of the time that an operation takes / what it takes libmpool's threads."""
        return ratio(self.rounds(PROCESSES, 2, subject, metric, pages), self.rounds(PROCESSES, 2, OURS, "ns_by_threads", pages))

    def tail(self, subject):
        return self.rounds("latency", self.compared_threads("latency"), subject, "p999_ns")

    def latency_goal(self):
        """In nanoseconds."""
        theirs = spread(self.tail(HCC).values())
        return theirs and theirs.median / 5

    def comparison(self):
        """{peer: {workload: spread of libmpool's throughput / its}}, of what there is."""
        peers = [s for s in self.subjects if s != OURS and s not in YARDSTICKS] + [YARDSTICK_HEAD]
        found = {p: {w: s for w in self.throughput_workloads() if (s := self.against(w, p))} for p in peers}
        return {p: ratios for p, ratios in found.items() if ratios}

    def compared_workloads(self):
        compared = self.comparison().values()
        return [w for w in self.throughput_workloads() if any(w in ratios for ratios in compared)]


read = partial(reports.read_results, columns=COLUMNS, results=Results, program="mpool-bench")


# --- goals ---

def times(workload, peer, factor, threads=2):
    how = {1: "one thread", 2: "two threads"}[threads]
    return Goal(workload, f"at least {factor} times {peer}, {how}", lambda results: results.against(workload, peer, threads),
                at_least=factor, mark=(peer, factor))


def no_dearer(workload, text, peer, factor, threads=2):
    return Goal(workload, text, lambda results: results.against(workload, peer, threads, cost=True), at_most=factor,
                mark=(YARDSTICK_HEAD if peer in YARDSTICKS else peer, 1 / factor))


def of_threads(results, subject, above, below):
    """Throughput on the hot page with so many threads / with so many."""
    return ratio(*(results.rounds("hot", n, subject, results.metric("hot")) for n in (above, below)))


def array_scaling(results):
    found = of_threads(results, ARRAY, 2, 1)
    return f"the array: {compact(found)}" if found else ""


def array_tail(results):
    goal, floor = results.latency_goal(), spread(results.tail(ARRAY).values())
    if not floor:
        return ""
    if goal and goal < floor.median:
        return f"the goal is below the machine's floor of {number(floor.median)} ns, which the array needs"
    return f"the array, which is the machine's floor: {number(floor.median)} ns"


def processes_goal(pages, text):
    def beside(results):
        found = results.times_threads(pages, SHARED, "ns_by_threads")
        return f"two threads that share it: {compact(found)}" if found else ""

    return Goal(PROCESSES, f"{text}: two processes take at most 1.1 times what two threads take",
                lambda results: results.times_threads(pages, SHARED, "ns_by_processes"), at_most=1.1, beside=beside)


def by_peek(workload, subject, peer, factor):
    """Of peeks, against what peeks at nothing."""
    than = "get and put" if peer == OURS else peer
    return Goal(workload, f"{subject.removeprefix('libmpool, ')}: at least {factor} times {than}, two threads",
                lambda results: results.pair(workload, subject, peer), at_least=factor, beside=lambda results: (
                    f"inline: {compact(found)}" if (found := results.pair(workload, PEEK_INLINE, peer)) else ""))


def peek_costs(workload, subject, factor):
    return Goal(workload, f"{subject.removeprefix('libmpool, ')}: a page of the array is had at most {factor} times as often, two threads",
                lambda results: results.pair(workload, ARRAY, subject), at_most=factor)


def pair_costs(factor):
    """A latch and unlatch."""
    def measure(results):
        return ratio(*(results.rounds("latch-own", 1, s, "pair_ns") for s in (LATCH, EXCHANGE)))
    return Goal("latch-own", f"a latch and unlatch take at most {factor} times what two atomic exchanges take, one thread", measure,
                at_most=factor)


GOALS = [
    times("hot", HCC, 10),
    times("hot", BDB, 40),
    times("hot", STATIC, 0.95),
    Goal("hot", "two threads do at least 1.9 times the work of one",
         lambda results: of_threads(results, OURS, 2, 1), at_least=1.9, beside=array_scaling),
    Goal("hot", "64 threads do at least 1 / 1.2 of the work of two",
         lambda results: of_threads(results, OURS, 64, 2), at_least=1 / 1.2),
    times("uniform-10000", HCC, 5),
    times("uniform-10000", BDB, 12),
    times("uniform-10000", STATIC, 0.95),
    no_dearer("uniform-10000", "the array does at most 2.5 times as much, two threads", ARRAY, 2.5),
    times("btree", HCC, 5),
    times("btree", BDB, 15),
    peek_costs("hot", PEEK, 2.5),
    peek_costs("hot", PEEK_INLINE, 2.0),
    peek_costs("uniform-10000", PEEK, 2.8),
    peek_costs("uniform-10000", PEEK_INLINE, 2.3),
    by_peek("uniform-10000", PEEK, HCC, 8),
    by_peek("uniform-10000", PEEK, BDB, 30),
    by_peek("btree", PEEK, OURS, 1.8),
    by_peek("btree", PEEK, HCC, 8),
    by_peek("btree", PEEK, BDB, 30),
    pair_costs(1.3),
    times("half", BDB, 2.5),
    no_dearer("half", "a miss takes at most 1.5 times what pread alone takes, two threads", PREAD, 1.5),
    times("modify", BDB, 2),
    times("sync", BDB, 3, threads=1),
    no_dearer("sync", "a page takes at most 1.3 times what pwritev in order takes, one thread", PWRITEV, 1.3, threads=1),
    Goal("latency", f"99.9 % of the gets take at most 1/5 of the time of those of {HCC}",
         lambda results: ratio(results.tail(OURS), results.tail(HCC)), at_most=0.2, beside=array_tail),
    processes_goal("1", "one hot page"),
    processes_goal("10000", "uniform, 10,000 pages"),
]


def goals_lines(results):
    return reports.goals_lines(results.goals(), results)


# --- the report: each part is its lines, none if nothing of the kind was measured ---

def rounds_text(results):
    count = len({r for key, rounds in results.values.items() if key.workload != DEATHS for r in rounds})
    text = f"{count} interleaved rounds" if count > 1 else "one round" if count else "no rounds"
    return text + (f" of {results.about['milliseconds']} ms a cell" if count and results.about.get("milliseconds") else "")


def machine_text(results):
    cores = results.machine.get("cores")
    facts = {**results.machine, "cores": cores and f"{cores} core" + "s" * (str(cores) != "1")}
    return "; ".join(filter(None, map(facts.get, ("cpu", "cores", "memory", "kernel", "compiler")))) or "machine not recorded"


def machine_section(results):
    about = results.about
    words = {"cpu": "processor", "thp": "transparent huge pages", "thp_shared": "the same of memory that processes share"}
    rows = [(words.get(name, name), value) for name, value in results.machine.items()]
    took = about.get("took_seconds") and f"in {max(1, round(about['took_seconds'] / 60))} min"
    rows += [("measured", ", ".join(filter(None, (about.get("mode"), rounds_text(results), took))))]
    rows += [("date", about["date"])] if about.get("date") else []
    rows += [(name, s["version"]) for name, s in results.described.items() if s.get("version")]
    return ["## Machine and versions", "", *table(["", ""], rows, left=2), *results.busy()]


def workload_head(results, workload):
    threads = results.compared_threads(workload)
    return workload if threads == 2 else f"{workload} ({threads_text(threads)})"


def ratios_table(results):
    """Rows are workloads, columns are peers."""
    columns = results.comparison()
    lines = table(["", *columns], [[workload_head(results, w), *(compact(found.get(w)) for found in columns.values())]
                                   for w in results.compared_workloads()])
    note = [f"*{YARDSTICK_HEAD.capitalize()}*: the pages that libmpool reads in a second / those of `pread` in a"
            " loop, and the pages that it syncs / those of `pwritev` over the same pages in order.", ""]
    return lines + (note if YARDSTICK_HEAD in columns else [])


def throughput_table(results, workload):
    unit, xs, found = results.throughput(workload)
    head = [f"{unit}; {GROWTH[workload]}:", *map(thousands, xs)] if workload in GROWTH else [unit, *map(threads_text, xs)]
    return table(head, [[emphasised(s), *map(compact, spreads)] for s, spreads in found.items()])


def workload_section(results, workload):
    threads, subjects = results.threads(workload), results.subjects_of(workload, results.metric(workload))
    ratios = {s: [results.against(workload, s, t) for t in threads] for s in subjects if s != OURS}
    note = [f"Every operation of {PREAD} is a read of the file, so libmpool's reads are compared with it.", ""]
    return [f"### {workload}", "", results.what(workload), "", *throughput_table(results, workload),
            *table(["libmpool / it", *map(threads_text, threads)],
                   [[s, *map(compact, found)] for s, found in ratios.items() if any(found)]),
            *(note if PREAD in subjects else [])]


def throughput_section(results, charts):
    return results.throughput_workloads() and [
        "## Throughput", "", "Of all threads together.", "",
        *picture(charts, "throughput", "Throughput against threads, for each workload"),
        "libmpool's / the other's, two threads; more than 1: libmpool does more.", "",
        *picture(charts, "ratios", "libmpool's throughput divided by each other's, for each workload"), *ratios_table(results),
        *(line for w in results.throughput_workloads() for line in workload_section(results, w))]


def locks_section(results, charts):
    columns = {f"{text}, {threads_text(t)}": (w, t) for w, text in LATCHES.items() for t in results.threads(w, "pair_ns")}
    rows = [[s, *(compact(results.of(*column, s, "pair_ns")) for column in columns.values())]
            for s in results.subjects_of_all(LATCHES, "pair_ns")]
    return rows and ["## Latches", "", "Nanoseconds that a latch and unlatch of a pinned page take each thread, or a lock and unlock.",
                     "", *picture(charts, "latches", "Time of a latch and unlatch, beside locks"), *table(["ns", *columns], rows)]


def by_subject_section(results, metric, title, text, show):
    """Rows are workloads and threads, columns are subjects, for a metric that few workloads have."""
    workloads = [w for w in results.throughput_workloads() if results.subjects_of(w, metric)]
    subjects = [s for s in results.subjects_of_all(workloads, metric) if s not in YARDSTICKS or metric != "hit_ratio"]
    rows = [[f"{w}, {threads_text(t)}", *(show(results.of(w, t, s, metric)) for s in subjects)]
            for w in workloads for t in results.threads(w, metric)]
    return rows and [f"## {title}", "", text, "", *table(["", *map(emphasised, subjects)], rows)]


def latency_section(results, charts):
    threads = results.compared_threads("latency")
    rows = [[emphasised(s), *(compact(results.of("latency", threads, s, metric)) for metric in PERCENTILES),
             "" if s == OURS else compact(ratio(results.tail(OURS), results.tail(s))),
             compact(scaled(results.of("latency", threads, s, "evictor_ops_per_second"), 1e-6))]
            for s in results.subjects_of("latency")]
    clock = [value for key, rounds in results.values.items() if key.metric == "clock_ns" for value in rounds.values()]
    note = clock and [f"Reading the clock takes {number(statistics.median(clock))} ns, which is in each figure.", ""]
    return rows and ["## Latency while others evict", "", results.what("latency"), "",
                     *picture(charts, "latency", "Latency of a get while others evict, by percentile"), "Nanoseconds:", "",
                     *table(["", *PERCENTILES.values(), "libmpool's 99.9 % / its", "evictors, Mop/s"], rows), *note]


def growth_section(results, charts):
    lines = [line for w in results.growth_workloads()
             for line in (f"### {w}", "", results.what(w), "", *throughput_table(results, w))]
    return lines and ["## Growth", "", "Two threads at work. Pools that do not fit into memory together take their"
                      " rounds one after the other.", "", *picture(charts, "growth", "Throughput against pages and threads"), *lines]


def memory_section(results, charts):
    subjects, text = results.subjects_of("memory", "bytes_per_page"), median_text(",.0f")
    rows = [[thousands(p), *(text(results.of("memory", 1, s, "bytes_per_page", p)) for s in subjects)]
            for p in results.parameters("memory")]
    return rows and ["## Memory", "", results.what("memory") + " Bytes a page:", "",
                     *picture(charts, "memory", "Memory a page, by page size"),
                     *table(["page bytes", *map(emphasised, subjects)], rows)]


def processes_tables(results):
    ways, pages = results.ways(), results.parameters(PROCESSES)
    heads = [f"{emphasised(subject)}: {BY[metric]}" for subject, metric in ways]
    return [*table(["pages in memory; ns", *heads],
                   [[thousands(p), *(compact(results.of(PROCESSES, 2, *way, p)) for way in ways)] for p in pages]),
            *table([f"the time / that of {OURS}'s threads", *heads],
                   [[thousands(p), *(compact(results.times_threads(p, *way)) for way in ways)]
                    for p in pages if results.of(PROCESSES, 2, OURS, "ns_by_threads", p)])]


def processes_section(results, charts):
    return results.ways() and [
        "## Pools that processes share", "", results.what(PROCESSES), "",
        *picture(charts, "processes", "Time of a get and a put, by threads and by processes"),
        "Nanoseconds that a get and a put take, each of two threads, or each of two processes of one thread:", "",
        *processes_tables(results)]


def deaths_table(results):
    costs = [m for m in COSTS if results.subjects_of(DEATHS, m)]
    rows = [[thousands(p), *(compact(results.of(DEATHS, 2, SHARED, m, p)) for m in costs)] for p in results.parameters(DEATHS)]
    return table(["pages in memory; ms", *map(COSTS.get, costs)], rows if costs else [])


def deaths_section(results, charts):
    counts = [len(rounds) for key, rounds in results.values.items() if key.workload == DEATHS]
    return counts and ["## The death of a process", "", results.what(DEATHS), "",
                       *picture(charts, "deaths", "What the death of a process costs the others"),
                       f"Milliseconds from the kill (pauses aside), of {max(counts)} deaths each:", "", *deaths_table(results)]


def setup_section(results):
    rows = [(emphasised(name), s["setup"]) for name, s in results.described.items() if s.get("setup")]
    return rows and ["## How each is set up", "", *table(["", ""], rows, left=2)]


def absent_section(results):
    def text(absent):
        others = [w for w in results.workloads if w not in absent]
        # Neither list is long.
        return "all but " + ", ".join(others) if 0 < 2 * len(others) < len(absent) else ", ".join(absent)

    rows = [(subject, text(absent), why) for (subject, why), absent in results.absent.items()]
    rows.sort(key=lambda row: (results.subjects + [row[0]]).index(row[0]))
    return rows and ["## Who does not take part, and why", "", *table(["", "workload", "why"], rows, left=3)]


def summary(results):
    return ["libmpool's throughput / the other's, two threads: median (least, greatest) over "
            f"{rounds_text(results)}. More than 1: libmpool does more. {machine_text(results)}.", "", *results.busy(),
            *(ratios_table(results) or ["Nothing to compare was measured.", ""]),
            *processes_tables(results), *deaths_table(results), *goals_lines(results)]


def report(results, charts):
    return ["# libmpool beside other page pools", "",
            "Each figure is the median (least, greatest) over the rounds. The rounds are interleaved, and a ratio is"
            " taken within a round: a machine that is slow for a while is slow for both sides."
            " – is what was not measured.", "",
            *machine_section(results), "## Goals", "", *goals_lines(results), *throughput_section(results, charts),
            *by_subject_section(results, "hit_ratio", "Hit ratios", "The part of all gets that found their page in memory.",
                                median_text(".4f")),
            *by_subject_section(results, "reads_per_second", "Reads",
                                "Pages read from the file, 1,000 a second, counted from the start of the warm-up.",
                                lambda found: compact(scaled(found, 1e-3))),
            *locks_section(results, charts), *latency_section(results, charts), *growth_section(results, charts), *memory_section(results, charts),
            *processes_section(results, charts), *deaths_section(results, charts),
            *setup_section(results), *absent_section(results)]


# --- charts; None when nothing of the kind was measured ---

STYLES = {name: style for name, *style in SUBJECTS.values()}
STYLES[YARDSTICK_HEAD] = STYLES[PREAD]


def colour(subject):
    return STYLES.get(subject, ("#5E3C99", "<"))[0]


def look(subject):
    marker, ours = STYLES.get(subject, ("#5E3C99", "<"))[1], subject == OURS
    return {"color": colour(subject), "marker": marker, "zorder": 5 if ours else 3,
            "linewidth": 2.8 if ours else 1.3, "markersize": 6.5 if ours else {".": 7, "*": 8}.get(marker, 5),
            "linestyle": "--" if subject == ARRAY else ":" if subject in YARDSTICKS else "-"}


def curves_chart(results, workloads, across, height, x_label):
    drawn = {}
    for w in workloads:
        unit, xs, found = results.throughput(w)
        drawn[w, unit] = {s: [(x, y) for x, y in zip(xs, spreads) if y] for s, spreads in found.items()}
    return reports.lines_chart(drawn, {s: look(s) for s in results.subjects_of_all(workloads)}, across, height, x_label, log=True)


def throughput_chart(results):
    return curves_chart(results, results.throughput_workloads(), 3, 2.5, "threads")


def growth_chart(results):
    return curves_chart(results, results.growth_workloads(), 2, 3.6, "how many; two threads at work")


def ratios_chart(results):
    heads = {w: workload_head(results, w) for w in results.compared_workloads()}
    drawn = {p: {heads[w]: (s, colour(p)) for w, s in found.items() if s.least > 0} for p, found in results.comparison().items()}
    marks = {(g.mark[0], heads[g.workload]): g.mark[1] for g in GOALS if g.mark and g.workload in heads}
    return reports.rows_chart(drawn, [h for h in heads.values() if any(h in rows for rows in drawn.values())],
                              "libmpool's throughput / the other's, two threads. Bars: median; thin lines: least to greatest;"
                              " thick strokes: goals.", base=1, height=0.225, marks=marks)


def latency_chart(results):
    subjects, threads = results.subjects_of("latency", "p50_ns"), results.compared_threads("latency")
    drawn = {text: {s: (found, colour(s)) for s in subjects if (found := results.of("latency", threads, s, m)) and found.least > 0}
             for m, text in PERCENTILES.items()}
    goal = results.latency_goal() if OURS in subjects else None
    return reports.rows_chart(drawn, subjects, "One get of a page in memory while others evict; the thick stroke: the goal.",
                              unit="ns", marks={(PERCENTILES["p999_ns"], OURS): goal} if goal else None)


def parameter_chart(results, workload, threads, ways, text, title, **how):
    """A panel a parameter; ways: {name: (subject, metric)}."""
    drawn = {title(p): {name: (found, colour(s)) for name, (s, m) in ways.items()
                        if (found := results.of(workload, threads, s, m, p)) and ("base" in how or found.least > 0)}
             for p in results.parameters(workload)}
    return reports.rows_chart(drawn, list(ways), text, **how)


def pages_title(pages):
    return "1 page" if pages == "1" else f"{thousands(pages)} pages"


def latches_chart(results):
    drawn = {f"{text}, {threads_text(t)}": {name: (found, hue) for name, hue in LOCKS.values()
                                            if (found := results.of(w, t, name, "pair_ns"))}
             for w, text in LATCHES.items() for t in results.threads(w, "pair_ns")}
    return reports.rows_chart(drawn, results.subjects_of_all(LATCHES, "pair_ns"),
                              "A latch and unlatch of a pinned page, beside locks: median, least and greatest.", unit="ns", across=3)


def memory_chart(results):
    ways = {s: (s, "bytes_per_page") for s in results.subjects_of("memory", "bytes_per_page")}
    return parameter_chart(results, "memory", 1, ways, "Resident memory beside the pages' own bytes, bytes a page.",
                           lambda size: f"pages of {thousands(size)} bytes", base=0, show="{:,.0f}".format)


def processes_chart(results):
    return parameter_chart(results, PROCESSES, 2, {f"{s}: {BY[m]}": (s, m) for s, m in results.ways()},
                           "A get and a put of a page in memory, by two threads or by two processes: median, least and greatest.",
                           pages_title, unit="ns")


def deaths_chart(results):
    return parameter_chart(results, DEATHS, 2, {text: (SHARED, m) for m, text in COSTS.items()},
                           "A process that shares the pool is killed: median, least and greatest.", pages_title, unit="ms")


CHARTS = (throughput_chart, ratios_chart, latches_chart, latency_chart, growth_chart, memory_chart, processes_chart, deaths_chart)

charts_of = partial(reports.charts_by_name, CHARTS)


def main(arguments=None):
    reports.write_reports("mpool-bench", "RESULTS.csv", read, charts_of, report, summary, arguments)


if __name__ == "__main__":
    main()
