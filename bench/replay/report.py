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
import argparse
import csv
import importlib.util
import math
import sys
from pathlib import Path

# Tables and charts look as those of the comparison do; Python's copies of it are not for the source.
sys.dont_write_bytecode = True
_spec = importlib.util.spec_from_file_location(
    "comparison", Path(__file__).resolve().parent.parent / "compare" / "report.py")
comparison = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(comparison)

OURS = comparison.OURS
LRU = "LRU"
OPT = "OPT"  # knows the future: a bound, and nobody's rival
BEST = "the best of the others, chosen for each cell"
# A policy that misses more than this less than libmpool is ahead.
AHEAD = 0.02

HEADER = ["trace", "kind", "requests", "distinct", "cache_pages", "split", "threads", "policy", "miss_ratio"]
KINDS = {"file": "Traces of files", "own": "Own traces"}
SPLITS = {"turns": "whichever thread is free takes the next request",
          "pieces": "the trace is cut into a piece a thread, and they are replayed at once"}

# How policies are drawn: colour and marker, Okabe and Ito's first.
LOOKS = {
    OPT: ("#000000", ""), LRU: ("#7F7F7F", "."), "LIRS": ("#0072B2", "s"), "W-TinyLFU": ("#009E73", "^"),
    "S3-FIFO": ("#56B4E9", "v"), "ARC": ("#CC79A7", "D"), "2Q": ("#E69F00", "P"), "Sieve": ("#8C6D31", "X"),
    "Clock": ("#5E3C99", "<"), "Clock2": ("#B2ABD2", ">"), "FIFO": ("#B0B0B0", "x"),
}
OTHER_LOOK = ("#999933", "*")

# The one way to write a policy's name, by the other that traces' files may have.
SPELLED = {"WTinyLFU": "W-TinyLFU", "S3FIFO": "S3-FIFO", "TwoQ": "2Q"}

# Of lines that have no policy: together as many pairs as are ever drawn.
MARKERS = "os^vDPX<>*"


class Broken(Exception):
    """What was given cannot be reported on; the text says why."""


# --- what was measured ---

def spelled(policy):
    """The policy, its setting kept, with the name as it is written everywhere."""
    for other, name in SPELLED.items():
        if policy == other or policy.startswith(other + "-"):
            return name + policy[len(other):]
    return policy


def family(policy):
    """Policies of one name and another setting ("NAME-setting") are one curve."""
    for name in SPELLED.values():
        if policy == name or policy.startswith(name + "-"):
            return name
    return policy.partition("-")[0]


class Cell:
    """One trace, size and number of threads: {policy: miss ratio}."""

    def __init__(self, trace, kind, cache, threads):
        self.trace, self.kind, self.cache, self.threads = trace, kind, cache, threads
        self.ratios = {}

    def name(self):
        return f"{self.trace}, {comparison.thousands(self.cache)} pages"

    @property
    def ours(self):
        return self.ratios[OURS]

    def against(self, policy):
        """How much more of the requests libmpool misses; less than 0: fewer."""
        return self.ours - self.ratios[policy]

    def of_family(self, name):
        found = [ratio for policy, ratio in self.ratios.items() if family(policy) == name]
        return min(found) if found else None

    def best_other(self):
        """Its name and miss ratio."""
        return min(((p, r) for p, r in self.ratios.items() if p not in (OURS, OPT)), key=lambda pair: pair[1])


class Results:
    def __init__(self, rows):
        found = {}
        for trace, kind, cache, split, threads, policy, ratio in rows:
            policy = spelled(policy)
            cell = found.setdefault((trace, cache, threads), Cell(trace, kind, cache, threads))
            if policy in cell.ratios:
                raise Broken(f"{policy} of {cell.name()}, {comparison.threads_text(threads)}, is there twice")
            cell.ratios[policy] = ratio
            self.split = split
        self.all_cells = list(found.values())
        for cell in self.all_cells:
            for policy in (OURS, LRU, OPT):
                if policy not in cell.ratios:
                    raise Broken(f"{cell.name()}: without {policy}")
        self.threads = sorted({cell.threads for cell in self.all_cells})

    def cells(self, kind, threads=None):
        """In the order of the file; by the least number of threads when not given."""
        threads = threads or self.threads[0]
        return [c for c in self.all_cells if c.kind == kind and c.threads == threads]

    def kinds(self):
        return [kind for kind in KINDS if self.cells(kind)]


def read(path):
    rows = []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
            if next(lines, None) != HEADER:
                raise Broken(f"{path}: the first line must be {' '.join(HEADER)}, with tabs between them")
            for line in lines:
                if len(line) != len(HEADER):
                    raise Broken(f"{path}:{lines.line_num}: {len(line)} fields, not {len(HEADER)}")
                trace, kind, _, _, cache, split, threads, policy, ratio = line
                try:
                    row = (trace, kind, int(cache), split, int(threads), policy, float(ratio))
                except ValueError as error:
                    raise Broken(f"{path}:{lines.line_num}: {error}") from None
                if kind not in KINDS or split not in SPLITS or not 0 <= row[-1] <= 1:
                    raise Broken(f"{path}:{lines.line_num}: no result")
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Broken(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not rows:
        raise Broken(f"{path}: no results")
    return Results(rows)


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
        rows.append((BEST, len(cells), mean(c.best_other()[1] for c in cells), mean(c.ours for c in cells)))
    return sorted(rows, key=lambda row: row[2])


def worst(cells, policy=LRU):
    return max(cells, key=lambda c: c.against(policy))


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
    rows = [(comparison.emphasised(name), count, f"**{ratio(found)}**" if name == OURS else ratio(found),
             "" if name == OURS else difference(ours - found)) for name, count, found, ours in means(cells)]
    return comparison.table(["", "cells", "mean", "libmpool's is greater by"], rows)


def worst_text(cells):
    cell = worst(cells)
    more = sum(c.against(LRU) > 0 for c in cells)
    return (f"Worst cell against LRU: {difference(cell.against(LRU))} ({cell.name()}: {ratio(cell.ours)}, LRU"
            f" {ratio(cell.ratios[LRU])}). libmpool misses more than LRU in {more} of {len(cells)} cells.")


def behind_table(cells):
    rows = [(c.trace, comparison.thousands(c.cache), ratio(c.ours), policy, ratio(found), difference(c.ours - found))
            for c, policy, found in behind(cells)]
    if not rows:
        return [f"No policy is ahead of libmpool by more than {AHEAD} in any cell.", ""]
    return [f"A policy is ahead of libmpool by more than {AHEAD} in {len(rows)} of {len(cells)} cells:", "",
            *comparison.table(["trace", "pages", "libmpool", "best other", "its", "difference"], rows)]


def cells_table(cells):
    rows = []
    for c in cells:
        policy, best = c.best_other()
        rows.append((c.trace, comparison.thousands(c.cache), f"**{ratio(c.ours)}**", ratio(c.ratios[LRU]),
                     ratio(c.ratios[OPT]), ratio(best), policy, difference(c.against(LRU)),
                     difference(c.ours - best)))
    return comparison.table(["trace", "pages", "libmpool", "LRU", "OPT", "best other", "", "against LRU",
                             "against the best"], rows)


def policies_table(cells):
    """Every cell and policy; the means last."""
    rows = means(cells)
    names = [name for name, *_ in rows if name != BEST]
    body = []
    for c in cells:
        found = [c.ours if name == OURS else c.of_family(name) for name in names]
        least = min(value for name, value in zip(names, found) if value is not None and name != OPT)
        body.append((c.trace, comparison.thousands(c.cache),
                     *("–" if v is None else f"**{ratio(v)}**" if v == least and name != OPT else ratio(v)
                       for name, v in zip(names, found))))
    by_name = {name: (count, found) for name, count, found, _ in rows}
    # A mean of fewer cells would be one of others.
    body.append(("mean", "", *(ratio(by_name[n][1]) if by_name[n][0] == len(cells) else "–" for n in names)))
    return comparison.table(["trace", "pages", *names], body)


def threads_table(results, kind):
    fewest = results.threads[0]
    alone = {(c.trace, c.cache): c.ours for c in results.cells(kind)}
    # Pieces are another order of the requests for each number of threads.
    same_order = results.split == "turns"
    rows = []
    for threads in results.threads:
        cells = results.cells(kind, threads)
        last = worst(cells)
        above, name = max((c.ours - alone[c.trace, c.cache], c.name()) for c in cells)
        row = [threads, ratio(mean(c.ours for c in cells)), ratio(mean(c.ratios[LRU] for c in cells)),
               f"{difference(last.against(LRU))} ({last.name()})"]
        rows.append(row + [f"{difference(above)} ({name})" if threads != fewest else ""] * same_order)
    head = ["threads", "libmpool's mean", "LRU's", "worst against LRU"]
    return comparison.table(head + [f"most above {comparison.threads_text(fewest)}"] * same_order, rows)


def threads_section(results, kind):
    if len(results.threads) < 2:
        return []
    return [f"Several threads ({SPLITS[results.split]}):", "", *threads_table(results, kind)]


def kind_summary(results, kind):
    cells = results.cells(kind)
    return [f"## {KINDS[kind]}", "",
            f"Mean miss ratios of {len(cells)} cells (trace and size), {comparison.threads_text(results.threads[0])};"
            " all requests count.", "",
            *means_table(cells), worst_text(cells), "", *behind_table(cells), *threads_section(results, kind)]


def summary(results):
    lines = []
    for kind in results.kinds():
        lines += kind_summary(results, kind)
    return "\n".join(lines).rstrip() + "\n"


def policies_section(cells):
    """Where there are no others than LRU and OPT, the cells' table has said all."""
    if not set(families(cells)) - {LRU, OPT}:
        return []
    return ["Every policy; the least that was missed without knowing the future is bold:", "", *policies_table(cells)]


def report(results, charts):
    lines = ["# What libmpool's eviction misses", "",
             "Miss ratios of traces replayed through mpool_get and mpool_put. LRU and OPT, which knows the future,"
             " are computed beside; the other policies are those of the traces' anchors.tsv.", ""]
    for kind in results.kinds():
        lines += [*kind_summary(results, kind), *comparison.picture(charts, f"{kind}_means", "Mean miss ratios"),
                  *comparison.picture(charts, kind, "Miss ratio against cache size, for each trace"),
                  *comparison.picture(charts, f"{kind}_threads", "Miss ratio against threads"),
                  "Every cell:", "", *cells_table(results.cells(kind)), *policies_section(results.cells(kind))]
    return "\n".join(lines).rstrip() + "\n"


# --- charts ---

def colour(policy):
    return comparison.colour(OURS) if policy == OURS else LOOKS.get(policy, OTHER_LOOK)[0]


def style(policy):
    if policy == OURS:
        return {**comparison.style(OURS), "zorder": 2}  # thick, and below those that are close to it
    return {"color": colour(policy), "marker": LOOKS.get(policy, OTHER_LOOK)[1], "markersize": 4.5, "linewidth": 1.2,
            "linestyle": "--" if policy == OPT else "-", "zorder": 3}


def pages_text(count):
    """93, 4,650, 16.8k: five characters at most, so that they stand side by side."""
    return comparison.thousands(count) if count < 10_000 else f"{comparison.number(count / 1000)}k"


def log_pages(axes, xs):
    axes.set_xscale("log")
    axes.set_xticks(xs, list(map(pages_text, xs)), fontsize=8)
    comparison.no_minor_ticks(axes.xaxis)


def traces_of(cells):
    by_trace = {}
    for c in cells:
        by_trace.setdefault(c.trace, []).append(c)
    return {trace: sorted(found, key=lambda c: c.cache) for trace, found in by_trace.items()}


def trace_chart(results, kind):
    """A panel a trace, a curve a policy."""
    cells = results.cells(kind)
    drawn = [*families(cells), OURS]
    legend = [OURS, *sorted(families(cells))]
    top = 0.15 + 0.2 * math.ceil(len(legend) / 5)
    by_trace = traces_of(cells)
    figure, all_axes = comparison.panels(len(by_trace), 3, 2.6, top)
    for axes, (trace, found) in zip(all_axes, by_trace.items()):
        for name in drawn:
            points = [(c.cache, c.of_family(name)) for c in found if c.of_family(name) is not None]
            axes.plot([x for x, _ in points], [y for _, y in points], **style(name))
        log_pages(axes, [c.cache for c in found])
        axes.set_title(trace)
    for axes in all_axes[-3:]:
        axes.set_xlabel("pages in memory")
    for axes in all_axes[::3]:
        axes.set_ylabel("miss ratio")
    return comparison.finish(figure, top, handles=[comparison.handle(name, **style(name)) for name in legend])


def means_chart(results, kind):
    """A bar a policy, of those that have all cells."""
    cells = results.cells(kind)
    rows = [(name, found) for name, count, found, _ in means(cells) if count == len(cells)]
    figure, (axes,) = comparison.panels(1, 1, 0.25 * len(rows) + 0.6, 0.4)
    for y, (name, found) in enumerate(rows):
        axes.barh(y, found, height=0.65, color=colour(name), zorder=2)
        axes.text(found, y, f" {ratio(found)}", va="center", fontsize=8)
    axes.margins(x=0.1)
    comparison.rows_of(axes, [name for name, _ in rows])
    return comparison.finish(figure, 0.4, f"Mean miss ratio of {len(cells)} cells.")


def threads_chart(results, kind):
    """A line a trace: the mean of its sizes."""
    if len(results.threads) < 2:
        return None
    top = 0.6
    by_trace = traces_of(results.cells(kind))
    figure, (axes,) = comparison.panels(1, 1, 3.2, top)
    handles = []
    for i, trace in enumerate(by_trace):
        # The second time round the colours, each has another marker.
        marker = MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]
        look = {"color": f"C{i % len(MARKERS)}", "marker": marker, "markersize": 5, "linewidth": 1.3}
        ys = [mean(c.ours for c in results.cells(kind, n) if c.trace == trace) for n in results.threads]
        axes.plot(results.threads, ys, **look)
        handles.append(comparison.handle(trace, **look))
    log_pages(axes, results.threads)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threads")
    axes.set_ylabel("libmpool's mean miss ratio")
    return comparison.finish(figure, top, handles=handles)


CHARTS = {"{kind}": trace_chart, "{kind}_means": means_chart, "{kind}_threads": threads_chart}


def draw(results, directory, wanted=None):
    """The names of the charts written; all that there are, when none are named."""
    if not comparison.matplotlib:
        print("report.py: no charts without matplotlib (Debian's python3-matplotlib)", file=sys.stderr)
        return []
    directory.mkdir(parents=True, exist_ok=True)
    names = []
    with comparison.matplotlib.rc_context(comparison.LOOK):
        for kind in results.kinds():
            for form, chart in CHARTS.items():
                name = form.format(kind=kind)
                figure = chart(results, kind) if not wanted or name in wanted else None
                if figure:
                    names.append(name)
                    comparison.save(figure, directory / f"{name}.svg")
    return names


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="report.py", description="Tables and charts of what mpool-replay measured.")
    parser.add_argument("tsv", metavar="RESULTS.tsv", help="what mpool-replay --tsv wrote")
    parser.add_argument("--output", metavar="DIR", help="where to write; beside RESULTS.tsv when not given")
    parser.add_argument("--charts", metavar="NAME,...", type=lambda names: names.split(","), help="draw these only")
    options = parser.parse_args(arguments)
    output = Path(options.output or Path(options.tsv).parent)
    try:
        results = read(options.tsv)
        output.mkdir(parents=True, exist_ok=True)
        charts = draw(results, output / "charts", options.charts)
        (output / "results.md").write_text(report(results, charts), encoding="utf-8")
        (output / "summary.md").write_text(summary(results), encoding="utf-8")
    except (Broken, OSError) as error:
        sys.exit(f"report.py: {error}")


if __name__ == "__main__":
    main()
