"""charts.py - for the tests of the reports: files in a directory of their own, and whether a chart can be read.

SPDX-License-Identifier: BSD-2-Clause
"""
import contextlib
import csv
import importlib.util
import io
import itertools
import json
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
# What is nearer to its neighbour in a line than that, in parts of its height, is read as one word with it.
SPACE = 0.3


def load(path):
    """The report.py of this folder of the benchmarks."""
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(path, SOURCE / "bench" / path / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Directory(unittest.TestCase):
    """Gives each test a directory, and makes reports of its results there."""
    report, results = None, None  # the module; the name of its results

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.file = self.directory / self.results

    def write(self, lines, about=None):
        """The results, of these lines; and what was measured, beside them."""
        with open(self.file, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([list(self.report.COLUMNS), *lines])
        if about is not None:
            self.file.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")

    def run_main(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.report.main([str(self.file), *arguments])
        return said.getvalue()

    def fails(self, *parts):
        """The report ends with 1 and one line that has these parts."""
        with self.assertRaises(SystemExit) as ended:
            self.run_main()
        self.assertIsInstance(ended.exception.code, str)  # which sys.exit prints, and ends with 1
        self.assertNotIn("\n", ended.exception.code)
        for part in parts:
            self.assertIn(part, ended.exception.code)

    def made(self, name):
        return (self.directory / name).read_text(encoding="utf-8")

    def drawn(self, directory="."):
        return sorted(p.stem for p in (self.directory / directory / "charts").iterdir())

    def check_charts(self, results):
        """No label of the charts stands on another, and no two lines look alike."""
        with self.report.reports.matplotlib.rc_context(self.report.reports.LOOK):
            for name, chart in self.report.charts_of(results).items():
                figure = chart()
                if figure:
                    with self.subTest(chart=name):
                        self.assertEqual(collisions(figure), [])
                        self.assertEqual(lookalikes(figure), [])


def ticks(axis, limits):
    """The labels of ticks that are within the axes."""
    return [label for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels()) if min(limits) <= place <= max(limits)]


def labels(figure):
    """Everything that is written."""
    found = [*figure.texts]
    for legend in figure.legends:
        found += legend.get_texts()
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += ticks(axes.xaxis, axes.get_xlim()) + ticks(axes.yaxis, axes.get_ylim())
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def collisions(figure):
    """The pairs of labels one of which stands on the other, or runs into it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in labels(figure)]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2)
            if max(one.x0, other.x0) - min(one.x1, other.x1) < SPACE * min(one.height, other.height)
            and one.y0 < other.y1 and other.y0 < one.y1]


def lookalikes(figure):
    """The pairs of the legend's lines that have colour and marker in common."""
    lines = [line for legend in figure.legends for line in legend.get_lines()]
    return [(a.get_label(), b.get_label()) for a, b in itertools.combinations(lines, 2)
            if a.get_color() == b.get_color() and a.get_marker() == b.get_marker()]
