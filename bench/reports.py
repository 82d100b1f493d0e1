"""reports.py - what the benchmarks' reports have in common: reading a table, Markdown, the look of charts.

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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable

try:
    import matplotlib.figure
except ImportError:
    matplotlib = None

OURS = "libmpool"


class Broken(Exception):
    """What was given cannot be reported on; the text says why."""


# --- reading ---

def number_between(least, greatest):
    """Of a column: its fields are such numbers."""
    def kind(text):
        if not least <= float(text) <= greatest:  # nan is not
            raise ValueError(f"no result: {text}")
        return float(text)
    return kind


def one_of(words):
    def kind(text):
        if text not in words:
            raise ValueError(f"no result: {text}")
        return text
    return kind


def read_rows(path, columns, separator):
    """The rows of a table whose first line names its columns: {name: what makes a value of the text}."""
    rows = []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
            lines = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
            if next(lines, None) != list(columns):
                raise Broken(f"{path}: the first line must be {separator.join(columns)}")
            for line in lines:
                if len(line) != len(columns):
                    raise Broken(f"{path}:{lines.line_num}: {len(line)} fields, not {len(columns)}")
                try:
                    rows.append([kind(text) for kind, text in zip(columns.values(), line)])
                except ValueError as error:
                    raise Broken(f"{path}:{lines.line_num}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Broken(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not rows:
        raise Broken(f"{path}: no results")
    return rows


def read_results(path, columns, results, program):
    """What `results` makes of the rows of a CSV file, and of what the JSON beside it says: {} if there is none."""
    rows = read_rows(path, columns, ",")
    beside = Path(path).with_suffix(".json")
    try:
        return results(rows, json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {})
    except Broken as error:
        raise Broken(f"{path}: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Broken(f"{beside}: not what {program} writes: {error}") from None


class Measured:
    """The values by KEY, whose last field is the metric, and round; and what the JSON says.  The goals of a report are GOALS."""
    KEY, GOALS = None, ()

    def __init__(self, rows, about):
        self.about, self.values = about, {}
        self.texts = {w["name"]: w for w in about.get("workloads", [])}
        for *key, turn, metric, value in rows:
            rounds = self.values.setdefault(self.KEY(*key, metric), {})
            if turn in rounds:
                raise Broken(f"round {turn} of {', '.join(map(str, (*key, metric)))} is there twice")
            rounds[turn] = value

    def every(self, field, **wanted):
        """All that this field of a key is, as they came, of keys that have these fields."""
        return list(dict.fromkeys(getattr(key, field) for key in self.values
                                  if all(getattr(key, name) == value for name, value in wanted.items())))

    def rounds(self, *key):
        return self.values.get(self.KEY(*key), {})

    def busy(self):
        return busy(self.about)

    def goals(self):
        return [g for g in self.GOALS if g.workload in self.every("work")]

    def rounds_text(self):
        count = len({r for rounds in self.values.values() for r in rounds})
        return "one round" if count == 1 else f"{count} interleaved rounds"

    def machine_text(self):
        facts = [f"{name}: {value}" for name, value in dict(self.about.get("machine", {})).items()]
        return ["Measured on: " + "; ".join(facts) + ".", ""] if facts else []

    def setup_section(self):
        subjects = self.about.get("subjects", [])
        return subjects and ["## Set-up", "", *table(["subject", "set-up"], [
            (f"{s['name']} {s.get('version', '')}".strip(), s["setup"]) for s in subjects], left=2)]


# --- figures, and as text ---

Spread = namedtuple("Spread", "median least greatest")


def spread(values):
    """Median, least and greatest; None of nothing."""
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def number(value):
    """Three digits that count, and a comma for each three more: 0.0123, 1.23, 12.3, 1,230."""
    digits = 2 - int(f"{value:.2e}".partition("e")[2]) if value else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def short(count):
    """10 k, 4 M."""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if count >= unit and count % (unit / 10) == 0:
            return f"{count / unit:g}{letter}"
    return f"{count:,.10g}"


def thousands(count):
    return f"{int(count):,}"


def threads_text(threads):
    return "1 thread" if threads == 1 else f"{threads} threads"


def emphasised(name):
    return f"**{name}**" if name == OURS else name


def table(head, rows, left=1):
    """A Markdown table, the first `left` columns to the left; nothing of no rows."""
    def line(cells):
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    if not rows:
        return []
    return [line(head), "|" + "|".join(["---"] * left + ["--:"] * (len(head) - left)) + "|", *map(line, rows), ""]


def picture(charts, name, text):
    return [f"![{text}](charts/{name}.svg)", ""] if name in charts else []


def ratio(above, below):
    """The spread of above / below ({round: value} both), each taken within a round."""
    return spread(above[r] / below[r] for r in above if below.get(r, 0) > 0)


def compact(found):
    """Median (least, greatest)."""
    return f"{number(found.median)} ({number(found.least)}, {number(found.greatest)})" if found else "–"


# --- goals ---

@dataclass
class Goal:
    """
    One promise on one figure.

    measure  of Results, the spread that is judged; None if that was not measured
    mark     (column of the ratio chart, ratio of libmpool to it that is wanted)
    beside   of Results, a text to stand beside the figure
    """
    workload: str
    text: str
    measure: Callable
    at_least: float = None
    at_most: float = None
    mark: tuple = None
    beside: Callable = lambda results: ""

    def met(self, value):
        return value >= self.at_least if self.at_least else value <= self.at_most

    def missed_by(self, value):
        """A factor when it is more than 2, a part of what is wanted otherwise; itself where nothing is wanted."""
        if self.at_most == 0:
            return number(value)
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
        return found, f"missed by {self.missed_by(found.median)}" + (", reached in some rounds" if self.met(best) else "")


def goals_lines(goals, results):
    """How many are reached, and the table."""
    rows, verdicts = [], []
    for goal in goals:
        found, verdict = goal.judge(results)
        verdicts.append(verdict.replace(",", " ").split()[0])
        if results.busy() and found and verdicts[-1] != "reached":
            verdict += ", on a busy machine"
        rows.append((goal.workload, goal.text, "; ".join(filter(None, (compact(found), found and goal.beside(results)))),
                     verdict if verdicts[-1] == "reached" else f"**{verdict}**"))
    if not rows:
        return ["No goal is about what was measured.", ""]
    parts = [f"{verdicts.count('reached')} of {len(verdicts)} goals reached"]
    parts += [f"{verdicts.count(word)} {text}" for word, text in (("missed", "missed"), ("not", "not measured")) if word in verdicts]
    return [", ".join(parts) + ".", "", *table(["workload", "goal", "measured", "verdict"], rows, left=4)]


# Processors that other programs or the hypervisor took meanwhile: with more than that, times say little.
BUSY = 0.1


def busy(about):
    """What else the machine did while this was measured, as a paragraph; nothing if it was idle enough."""
    others = {name: float(value) for name, value in about.get("others", {}).items()}
    parts = [f"{text} took {number(others[name])}" for name, text in
             (("processors", "other programs"), ("stolen", "the machine's host")) if others.get(name, 0) > BUSY]
    machine = dict(about.get("machine", {}))
    cores = f" of {machine['cores']}" if machine.get("cores") else ""
    return parts and [f"**The machine was busy while this was measured: {' and '.join(parts)}{cores} processors"
                      f" (load average at the beginning: {number(others.get('load_average', 0))}). Times, and verdicts"
                      " on them, are of that.**", ""]


# --- charts ---

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


def panels(count, across, height, top):
    """A figure and `count` axes in it, each so many inches high with all that belongs to it."""
    rows = math.ceil(count / across)
    figure = matplotlib.figure.Figure(figsize=(WIDTH, top + rows * height))
    axes = list(figure.subplots(rows, across, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def finish(figure, top, text="", looks=()):
    """Puts text, or a legend of {name: look}, above the panels, in so many inches."""
    height = figure.get_figheight()
    figure.text(0.1 / WIDTH, 1 - 0.2 / height, text, va="center")
    if looks:
        lines = [matplotlib.lines.Line2D([], [], label=name, **look) for name, look in looks.items()]
        embolden(figure.legend(handles=lines, loc="upper left", ncol=5, handlelength=2.6, columnspacing=1.6,
                               bbox_to_anchor=(0.005, 1)).get_texts())
    figure.tight_layout(rect=(0, 0, 1, 1 - top / height), w_pad=1.5, h_pad=1.5)
    return figure


def embolden(labels):
    for label in labels:
        if label.get_text() == OURS:
            label.set_weight("bold")


def titles(axes, title, unit, size=10):
    axes.set_title(title, fontsize=size)
    axes.set_title(unit, loc="right", fontsize=9, fontweight="normal", color="#333333")


def log_x(axes, ticks, texts, **look):
    axes.set_xscale("log")
    axes.set_xticks(ticks, texts, **look)
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())


def log_y(axes, values):
    least, greatest = min(values, default=1), max(values, default=1)
    decades = math.log10(greatest / least)
    # Half a decade at least: differences of nothing are not to look like much.
    room = 10 ** max(0.25 - decades / 2, 0.07)
    axes.set_yscale("log")
    axes.set_ylim(least / room, greatest * room)
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if decades < 2 else (1,), numticks=20))
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.yaxis.set_major_formatter("{x:,.10g}")


def lines_chart(drawn, looks, across, height, x_label, y_label="", log=False, x_text=short, x_size=9):
    """
    A panel each of {(title, unit): {name: [(x, spread)]}}: medians joined by a line, least to greatest as a stroke; {name: look}
    is the legend.  None of no panels.
    """
    if not drawn:
        return None
    top = 0.15 + 0.2 * math.ceil(len(looks) / 5)
    figure, all_axes = panels(len(drawn), across, height, top)
    for i, (axes, ((title, unit), lines)) in enumerate(zip(all_axes, drawn.items())):
        xs = sorted({x for points in lines.values() for x, _ in points})
        values = []
        for place, (name, points) in reversed(list(enumerate(lines.items()))):
            points = [(x, y) for x, y in points if y.least > 0 or not log]
            values += [value for _, y in points for value in y]
            # Of one x alone, side by side and not above each other.
            at = [x if len(xs) > 1 else place for x, _ in points]
            axes.plot(at, [y.median for _, y in points], **looks[name])
            strokes = [(a, y.least, y.greatest) for a, (_, y) in zip(at, points) if y.least < y.greatest]
            if strokes:
                axes.vlines(*zip(*strokes), color=looks[name]["color"], linewidth=1, zorder=2)
        if len(xs) > 1:
            log_x(axes, xs, list(map(x_text, xs)), fontsize=x_size)
            axes.set_xlim(xs[0] / 1.3, xs[-1] * 1.3)
        else:
            axes.set_xlim(-0.8, len(lines) - 0.2)
            axes.set_xticks([(len(lines) - 1) / 2], list(map(x_text, xs)))
            axes.grid(False, axis="x")
        if log:
            log_y(axes, values)
        titles(axes, title, unit)
        axes.set_xlabel(x_label if i >= len(drawn) - across else "")
        axes.set_ylabel(y_label if i % across == 0 else "")
    return finish(figure, top, looks=looks)


def rows_chart(drawn, names, text, base=None, unit="", show=number, across=4, height=0.25, marks=None):
    """
    A panel each of {title: {name: (spread, colour)}}, a row a name: a bar from `base` to the median, or a dot where there is
    none; least to greatest as a stroke; the figure; and a thick stroke where marks has {(title, name): value}.  The scale is
    logarithmic but for bars from 0, and leaves out what it has no place for.  None of no panels.
    """
    if base != 0:
        drawn = {title: {name: row for name, row in rows.items() if row[0].least > 0} for title, rows in drawn.items()}
    drawn, marks = {title: rows for title, rows in drawn.items() if rows}, marks or {}
    if not drawn:
        return None
    across = min(across, len(drawn))
    figure, all_axes = panels(len(drawn), across, height * len(names) + 0.6, 0.4)
    shared = [v for rows in drawn.values() for found, _ in rows.values() for v in found] + list(marks.values())
    for i, (axes, (title, rows)) in enumerate(zip(all_axes, drawn.items())):
        # Ratios are to be compared from panel to panel.
        values = [1, *shared] if base == 1 else [v for found, _ in rows.values() for v in found]
        decades = math.log10(max(values) / min(values)) + 0.5 if base != 0 else 0
        for y, name in ((y, name) for y, name in enumerate(names) if name in rows):
            found, hue = rows[name]
            mark = marks.get((title, name))
            if base is None:
                axes.plot(found.median, y, color=hue, marker="o", markersize=6.5, zorder=4)
            else:
                axes.barh(y, found.median - base, left=base, height=0.62, color=hue, alpha=0.85, zorder=2)
            axes.plot([found.least, found.greatest], [y, y], color=hue if base is None else "#222222", linewidth=1, zorder=3)
            for ink, width in (("white", 4.5), ("#222222", 2.2)) if mark else ():  # it stands out on a dark bar too
                axes.plot([mark, mark], [y - 0.42, y + 0.42], color=ink, linewidth=width, zorder=5, solid_capstyle="butt")
            right = max(base or 0, found.greatest, mark or 0)
            axes.annotate(show(found.median), (right, y), (5, 0), textcoords="offset points", va="center", fontsize=8, zorder=5)
        if base == 0:
            axes.set_xlim(0, max(values + [1e-9]) * 1.25)
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
            axes.xaxis.set_major_formatter("{x:,.10g}")
        else:
            ticks = [10.0 ** e for e in range(-12, 13, math.ceil(decades / 4))]
            log_x(axes, ticks, list(map(short, ticks)))
            axes.set_xlim(min(values) / 10 ** (decades * 0.08), max(values) * 10 ** (decades * 0.38))  # with the figures
        if base == 1:
            axes.axvline(1, color="#444444", linewidth=1, zorder=3)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), names if i % across == 0 else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        embolden(axes.get_yticklabels())
        titles(axes, title, unit, size=9)
    return finish(figure, 0.4, text)


def slim(svg):
    """The same picture in half the bytes: coordinates to a tenth of a point, each style once, no names of parts."""
    head, _, body = svg.partition("</style>")
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r' id="(\w*_\d+|matplotlib\.\w+)"| transform="rotate\(-0 [^"]*\)"', "", body)
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"),
                                                re.sub(r"\s+", " ", tag[0])), body)
    styles = list(dict.fromkeys(re.findall(r' style="([^"]*)"', body)))
    body = re.sub(r' style="([^"]*)"', lambda found: f' class="c{styles.index(found[1])}"', body)
    for needless, instead in ((r"\n\s*", "\n"), (r"<g>\s*</g>\n", ""), (r"<defs>\s*</defs>\n", "")):
        body = re.sub(needless, instead, body)
    # Verdana has the same widths, where DejaVu is not.
    rules = "".join(f"\n.c{i}{{{style}}}" for i, style in enumerate(styles)).replace(FONT, f"{FONT}, Verdana, sans-serif")
    return head + rules + "</style>" + body


def draw(charts, directory, wanted=None):
    """The names of those that were written, of {name: what makes the figure, or None}; only the wanted ones, if any are."""
    if not matplotlib:
        print("report.py: no charts without matplotlib (Debian's python3-matplotlib)", file=sys.stderr)
        return []
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(LOOK):
        for name, chart in charts.items():
            figure = chart() if not wanted or name in wanted else None
            path = directory / f"{name}.svg"
            if figure:
                drawn = io.StringIO()
                figure.savefig(drawn, format="svg", facecolor="white",
                               metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
                path.write_text(slim(drawn.getvalue()), encoding="utf-8")
                written.append(name)
            else:
                path.unlink(missing_ok=True)  # of an earlier run
    return written


# --- the program ---

def charts_by_name(charts, results):
    """Of functions called NAME_chart: by name, how each is drawn of the results."""
    return {chart.__name__.partition("_")[0]: partial(chart, results) for chart in charts}


def write_reports(program, given, read, charts, report, summary, arguments=None):
    """What report.py does: of the results that `read` makes of the file, charts, results.md and summary.md."""
    parser = argparse.ArgumentParser(prog="report.py", description=f"Tables and charts of what {program} measured.")
    parser.add_argument("file", metavar=given, help=f"what {program} wrote")
    parser.add_argument("--output", metavar="DIR", help=f"where to write; beside {given} when not given")
    parser.add_argument("--charts", metavar="NAME,...", type=lambda names: names.split(","), help="draw these only")
    options = parser.parse_args(arguments)
    output = Path(options.output or Path(options.file).parent)
    try:
        results = read(options.file)
        output.mkdir(parents=True, exist_ok=True)
        drawn = draw(charts(results), output / "charts", options.charts)
        for name, lines in (("results.md", report(results, drawn)), ("summary.md", summary(results))):
            (output / name).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    except (Broken, OSError) as error:
        sys.exit(f"report.py: {error}")
