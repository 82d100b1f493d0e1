#!/usr/bin/python3
"""report.py RESULTS.tsv [--output DIR] [--charts NAME,...] - tables and charts of what mpool-replay measured.

Writes into DIR (where RESULTS.tsv is, when not given):

  results.md     every trace and size
  summary.md     the means, and where libmpool misses more than others
  charts/*.svg   the same as pictures, when matplotlib is there

RESULTS.tsv is what mpool-replay --tsv wrote: a line a trace, size, number of threads
and policy.  Traces from files and the program's own are told apart everywhere, as
their means have nothing to do with each other.  The same TSV gives the same files.

SPDX-License-Identifier: BSD-2-Clause
"""
import math
import sys
from functools import partial
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reports
from reports import OURS, Broken, emphasised, number, picture, spread, table, thousands, threads_text

LRU = "LRU"
OPT = "OPT"  # knows the future: a bound, and nobody's rival
BEST = "the best of the others, chosen for each cell"
# A policy that misses more than this less than libmpool is ahead.
AHEAD = 0.02

KINDS = {"file": "Traces of files", "own": "Own traces"}
SPLITS = {"turns": "whichever thread is free takes the next request",
          "pieces": "the trace is cut into a piece a thread, and they are replayed at once"}
COLUMNS = {"trace": str, "kind": reports.one_of(KINDS), "requests": str, "distinct": str, "cache_pages": int,
           "split": reports.one_of(SPLITS), "threads": int, "policy": str, "miss_ratio": reports.number_between(0, 1)}

# How policies are drawn: colour and marker, Okabe and Ito's first.
LOOKS = {
    OURS: ("#D55E00", "o"), OPT: ("#000000", ""), LRU: ("#7F7F7F", "."), "LIRS": ("#0072B2", "s"),
    "W-TinyLFU": ("#009E73", "^"), "S3-FIFO": ("#56B4E9", "v"), "ARC": ("#CC79A7", "D"), "2Q": ("#E69F00", "P"),
    "Sieve": ("#8C6D31", "X"), "Clock": ("#5E3C99", "<"), "Clock2": ("#B2ABD2", ">"), "FIFO": ("#B0B0B0", "x"),
}

# The one way to write a policy's name, by the other that traces' files may have.
SPELLED = {"WTinyLFU": "W-TinyLFU", "S3FIFO": "S3-FIFO", "TwoQ": "2Q"}

# Of lines that have no policy: together as many pairs as are ever drawn.
MARKERS = "os^vDPX<>*"


# --- what was measured ---

def spelled(policy):
    """The policy, its setting kept, with the name as it is written everywhere."""
    other = next((o for o in SPELLED if policy == o or policy.startswith(o + "-")), "")
    return SPELLED.get(other, "") + policy[len(other):]


def family(policy):
    """Policies of one name and another setting ("NAME-setting") are one curve."""
    return next((n for n in SPELLED.values() if policy == n or policy.startswith(n + "-")), policy.partition("-")[0])


class Cell:
    """One trace, size and number of threads: {policy: miss ratio}."""

    def __init__(self, trace, kind, cache, threads):
        self.trace, self.kind, self.cache, self.threads = trace, kind, cache, threads
        self.ratios = {}

    def name(self):
        return f"{self.trace}, {thousands(self.cache)} pages"

    @property
    def ours(self):
        return self.ratios[OURS]

    def against(self, policy):
        """How much more of the requests libmpool misses; less than 0: fewer."""
        return self.ours - self.ratios[policy]

    def of_family(self, name):
        return min((ratio for policy, ratio in self.ratios.items() if family(policy) == name), default=None)

    def best_other(self):
        """Its name and miss ratio."""
        return min(((p, r) for p, r in self.ratios.items() if p not in (OURS, OPT)), key=lambda pair: pair[1])


class Results:
    def __init__(self, rows):
        found = {}
        for trace, kind, cache, split, threads, policy, ratio in rows:
            cell = found.setdefault((trace, cache, threads), Cell(trace, kind, cache, threads))
            if spelled(policy) in cell.ratios:
                raise Broken(f"{spelled(policy)} of {cell.name()}, {threads_text(threads)}, is there twice")
            cell.ratios[spelled(policy)] = ratio
            self.split = split
        self.all_cells = list(found.values())
        for cell in self.all_cells:
            for policy in (p for p in (OURS, LRU, OPT) if p not in cell.ratios):
                raise Broken(f"{cell.name()}: without {policy}")
        self.threads = sorted({cell.threads for cell in self.all_cells})

    def cells(self, kind, threads=None):
        """In the order of the file; by the least number of threads when not given."""
        return [c for c in self.all_cells if c.kind == kind and c.threads == (threads or self.threads[0])]

    def kinds(self):
        return [kind for kind in KINDS if self.cells(kind)]


def read(path):
    return Results([(trace, kind, cache, split, threads, policy, ratio) for trace, kind, _, _, cache, split, threads, policy, ratio
                    in reports.read_rows(path, COLUMNS, "\t")])


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values)


def families(cells):
    """All policies of the cells but libmpool, without their settings."""
    return list(dict.fromkeys(family(p) for c in cells for p in c.ratios if p != OURS))


def means(cells):
    """(policy, cells that it has, its mean over them, libmpool's over them), the least first."""
    rows = [(OURS, len(cells), mean(c.ours for c in cells), mean(c.ours for c in cells))]
    for name in families(cells):
        having = [c for c in cells if c.of_family(name) is not None]
        rows.append((name, len(having), mean(c.of_family(name) for c in having), mean(c.ours for c in having)))
    if set(families(cells)) - {LRU, OPT}:
        rows.append((BEST, len(cells), mean(c.best_other()[1] for c in cells), rows[0][3]))
    return sorted(rows, key=lambda row: row[2])


def worst(cells):
    return max(cells, key=lambda c: c.against(LRU))


def behind(cells):
    """Cells and the policy that is ahead in each, the worst first."""
    found = [(c, *c.best_other()) for c in cells if c.ours - c.best_other()[1] > AHEAD]
    return sorted(found, key=lambda row: row[2] - row[0].ours)


# --- the report ---

def ratio(value):
    return f"{value:.4f}"


def difference(value):
    return f"{value:+.4f}"


def means_table(cells):
    return table(["", "cells", "mean", "libmpool's is greater by"],
                 [(emphasised(name), count, f"**{ratio(found)}**" if name == OURS else ratio(found),
                   "" if name == OURS else difference(ours - found)) for name, count, found, ours in means(cells)])


def worst_text(cells):
    cell, more = worst(cells), sum(c.against(LRU) > 0 for c in cells)
    return (f"Worst cell against LRU: {difference(cell.against(LRU))} ({cell.name()}: {ratio(cell.ours)}, LRU"
            f" {ratio(cell.ratios[LRU])}). libmpool misses more than LRU in {more} of {len(cells)} cells.")


def behind_table(cells):
    rows = [(c.trace, thousands(c.cache), ratio(c.ours), policy, ratio(found), difference(c.ours - found))
            for c, policy, found in behind(cells)]
    if not rows:
        return [f"No policy is ahead of libmpool by more than {AHEAD} in any cell.", ""]
    return [f"A policy is ahead of libmpool by more than {AHEAD} in {len(rows)} of {len(cells)} cells:", "",
            *table(["trace", "pages", "libmpool", "best other", "its", "difference"], rows)]


def cells_table(cells):
    rows = [(c.trace, thousands(c.cache), f"**{ratio(c.ours)}**", ratio(c.ratios[LRU]), ratio(c.ratios[OPT]), ratio(best), policy,
             difference(c.against(LRU)), difference(c.ours - best)) for c in cells for policy, best in [c.best_other()]]
    return table(["trace", "pages", "libmpool", "LRU", "OPT", "best other", "", "against LRU", "against the best"], rows)


def policies_table(cells):
    """Every cell and policy; the means last, of those that have all cells: another mean would be one of others."""
    found = {name: ratio(mean) if count == len(cells) else "–" for name, count, mean, _ in means(cells) if name != BEST}
    body = []
    for c in cells:
        row = {name: c.ours if name == OURS else c.of_family(name) for name in found}
        least = min(value for name, value in row.items() if value is not None and name != OPT)
        body.append((c.trace, thousands(c.cache),
                     *("–" if v is None else f"**{ratio(v)}**" if v == least and name != OPT else ratio(v) for name, v in row.items())))
    return table(["trace", "pages", *found], [*body, ("mean", "", *found.values())])


def threads_section(results, kind):
    if len(results.threads) < 2:
        return []
    alone = {(c.trace, c.cache): c.ours for c in results.cells(kind)}
    # Pieces are another order of the requests for each number of threads.
    same_order = results.split == "turns"
    rows = []
    for threads in results.threads:
        cells = results.cells(kind, threads)
        last = worst(cells)
        above, name = max((c.ours - alone[c.trace, c.cache], c.name()) for c in cells)
        rows.append([threads, ratio(mean(c.ours for c in cells)), ratio(mean(c.ratios[LRU] for c in cells)),
                     f"{difference(last.against(LRU))} ({last.name()})",
                     *[f"{difference(above)} ({name})" if threads != results.threads[0] else ""] * same_order])
    head = ["threads", "libmpool's mean", "LRU's", "worst against LRU"]
    return [f"Several threads ({SPLITS[results.split]}):", "",
            *table(head + [f"most above {threads_text(results.threads[0])}"] * same_order, rows)]


def kind_summary(results, kind):
    cells = results.cells(kind)
    return [f"## {KINDS[kind]}", "",
            f"Mean miss ratios of {len(cells)} cells (trace and size), {threads_text(results.threads[0])}; all requests count.", "",
            *means_table(cells), worst_text(cells), "", *behind_table(cells), *threads_section(results, kind)]


def summary(results):
    return [line for kind in results.kinds() for line in kind_summary(results, kind)]


def report(results, charts):
    lines = ["# What libmpool's eviction misses", "",
             "Miss ratios of traces replayed through mpool_get and mpool_put. LRU and OPT, which knows the future,"
             " are computed beside; the other policies are those of the traces' anchors.tsv.", ""]
    for kind in results.kinds():
        cells = results.cells(kind)
        lines += [*kind_summary(results, kind), *picture(charts, f"{kind}_means", "Mean miss ratios"),
                  *picture(charts, kind, "Miss ratio against cache size, for each trace"),
                  *picture(charts, f"{kind}_threads", "Miss ratio against threads"), "Every cell:", "", *cells_table(cells)]
        # Where there are no others than LRU and OPT, that has said all.
        if set(families(cells)) - {LRU, OPT}:
            lines += ["Every policy; the least that was missed without knowing the future is bold:", "", *policies_table(cells)]
    return lines


# --- charts ---

def look(policy):
    colour, marker = LOOKS.get(policy, ("#999933", "*"))
    ours = policy == OURS  # thick, and below those that are close to it
    return {"color": colour, "marker": marker, "markersize": 6.5 if ours else 4.5, "linewidth": 2.8 if ours else 1.2,
            "linestyle": "--" if policy == OPT else "-", "zorder": 2 if ours else 3}


def pages_text(count):
    """93, 4,650, 16.8k: five characters at most, so that they stand side by side."""
    return thousands(count) if count < 10_000 else f"{number(count / 1000)}k"


def trace_chart(results, kind):
    """A panel a trace, a curve a policy."""
    cells, drawn = results.cells(kind), {}
    for c in sorted(cells, key=lambda c: c.cache):
        for name in (OPT, *(n for n in families(cells) if n != OPT), OURS):  # its dashed line is over the others
            if c.of_family(name) is not None:
                drawn.setdefault((c.trace, ""), {}).setdefault(name, []).append((c.cache, spread([c.of_family(name)])))
    drawn = {(trace, ""): drawn[trace, ""] for trace in dict.fromkeys(c.trace for c in cells)}  # in the order of the file
    return reports.lines_chart(drawn, {name: look(name) for name in (OURS, *sorted(families(cells)))}, 3, 2.6, "pages in memory",
                               "miss ratio", x_text=pages_text, x_size=8)


def means_chart(results, kind):
    """A bar a policy, of those that have all cells."""
    cells = results.cells(kind)
    rows = {name: (spread([found]), look(name)["color"]) for name, count, found, _ in means(cells) if count == len(cells)}
    return reports.rows_chart({"": rows}, list(rows), f"Mean miss ratio of {len(cells)} cells.", base=0, show=ratio)


def threads_chart(results, kind):
    """A line a trace: the mean of its sizes."""
    if len(results.threads) < 2:
        return None
    lines, looks = {}, {}
    for i, trace in enumerate(dict.fromkeys(c.trace for c in results.cells(kind))):
        # The second time round the colours, each has another marker.
        marker = MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]
        looks[trace] = {"color": f"C{i % len(MARKERS)}", "marker": marker, "markersize": 5, "linewidth": 1.3}
        lines[trace] = [(n, spread([mean(c.ours for c in results.cells(kind, n) if c.trace == trace)])) for n in results.threads]
    return reports.lines_chart({("", ""): lines}, looks, 1, 3.2, "threads", "libmpool's mean miss ratio")


CHARTS = {"{kind}": trace_chart, "{kind}_means": means_chart, "{kind}_threads": threads_chart}


def charts_of(results):
    return {form.format(kind=kind): partial(chart, results, kind) for kind in results.kinds() for form, chart in CHARTS.items()}


def main(arguments=None):
    reports.write_reports("mpool-replay --tsv", "RESULTS.tsv", read, charts_of, report, summary, arguments)


if __name__ == "__main__":
    main()
