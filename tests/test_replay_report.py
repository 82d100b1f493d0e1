#!/usr/bin/python3
"""The report of the replay says what the figures say.

Means, the worst cell, and who is ahead are those of the rows; policies of one name
and another setting are one; what is missing or broken is named.
"""
import contextlib
import importlib.util
import io
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

REPORT = Path(__file__).resolve().parent.parent / "bench" / "replay" / "report.py"
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import charts

_spec = importlib.util.spec_from_file_location("replay_report", REPORT)
report = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(report)


def cell(trace, cache, ratios, kind="file", threads=1):
    """The rows of a cell."""
    return [(trace, kind, cache, "turns", threads, policy, ratio) for policy, ratio in ratios.items()]


def ours(found, lru, opt, **others):
    return {"libmpool": found, "LRU": lru, "OPT": opt, **others}


ROWS = [
    *cell("a", 16, {**ours(0.5, 0.6, 0.25), "X-small": 0.45, "Y": 0.55}),
    *cell("a", 100, ours(0.40, 0.25, 0.125, X=0.35, Y=0.38)),
    *cell("a", 16, ours(0.53, 0.6, 0.25), threads=4),
    *cell("a", 100, ours(0.41, 0.25, 0.125), threads=4),
    *cell("own:b", 20, ours(0.7, 0.6, 0.5), kind="own"),
    *cell("own:b", 20, ours(0.6, 0.6, 0.5), kind="own", threads=4),
]


class Figures(unittest.TestCase):
    def setUp(self):
        self.results = report.Results(ROWS)
        self.cells = self.results.cells("file")

    def test_cells_are_told_apart(self):
        self.assertEqual([(c.trace, c.cache) for c in self.cells], [("a", 16), ("a", 100)])
        self.assertEqual([c.ours for c in self.results.cells("file", 4)], [0.53, 0.41])
        self.assertEqual([c.ours for c in self.results.cells("own")], [0.7])

    def test_means(self):
        found = {name: (count, round(mean, 9), round(its, 9)) for name, count, mean, its in report.means(self.cells)}
        self.assertEqual(found, {
            "libmpool": (2, 0.45, 0.45), "LRU": (2, 0.425, 0.45), "OPT": (2, 0.1875, 0.45), "X": (2, 0.4, 0.45),
            "Y": (2, 0.465, 0.45), report.BEST: (2, 0.35, 0.45)})
        self.assertEqual([name for name, *_ in report.means(self.cells)],
                         ["OPT", report.BEST, "X", "LRU", "libmpool", "Y"])

    def test_a_policy_without_some_cells_is_compared_on_those_it_has(self):
        cells = report.Results([*ROWS, *cell("a", 16, {"Z": 0.1})]).cells("file")
        self.assertIn(("Z", 1, 0.1, 0.5), report.means(cells))

    def test_worst_cell_against_lru(self):
        self.assertEqual(report.worst(self.cells).cache, 100)
        self.assertIn("Worst cell against LRU: +0.1500 (a, 100 pages: 0.4000, LRU 0.2500). libmpool misses more than LRU"
                      " in 1 of 2 cells.", report.summary(self.results))

    def test_who_is_ahead(self):
        self.assertEqual([(c.cache, policy, ratio) for c, policy, ratio in report.behind(self.cells)],
                         [(100, "LRU", 0.25), (16, "X-small", 0.45)])

    def test_who_knows_the_future_or_is_close_is_not_ahead(self):
        cells = report.Results(cell("a", 16, ours(0.5, 0.4801, 0.1))).cells("file")
        self.assertEqual(report.behind(cells), [])
        self.assertIn("No policy is ahead", "\n".join(report.behind_table(cells)))

    def test_threads(self):
        lines = report.threads_table(self.results, "file")
        self.assertEqual(lines[2], "| 1 | 0.4500 | 0.4250 | +0.1500 (a, 100 pages) |  |")
        self.assertEqual(lines[3], "| 4 | 0.4700 | 0.4250 | +0.1600 (a, 100 pages) | +0.0300 (a, 16 pages) |")

    def test_pieces_are_no_order_to_compare_with(self):
        rows = [(*row[:3], "pieces", *row[4:]) for row in ROWS]
        self.assertEqual(report.threads_table(report.Results(rows), "file")[3],
                         "| 4 | 0.4700 | 0.4250 | +0.1600 (a, 100 pages) |")

    def test_every_cell_is_in_the_report(self):
        text = report.report(self.results, [])
        self.assertIn("| a | 16 | **0.5000** | 0.6000 | 0.2500 | 0.4500 | X-small | -0.1000 | +0.0500 |", text)
        self.assertIn("| own:b | 20 | **0.7000** | 0.6000 | 0.5000 | 0.6000 | LRU | +0.1000 | +0.1000 |", text)


class Names(unittest.TestCase):
    def test_a_policy_has_one_name(self):
        for given in ("WTinyLFU", "W-TinyLFU"):
            cells = report.Results(cell("a", 16, {**ours(0.5, 0.6, 0.2), f"{given}-w1p": 0.45, given: 0.47})).cells("file")
            self.assertEqual(report.families(cells), ["LRU", "OPT", "W-TinyLFU"])
            self.assertEqual(cells[0].best_other(), ("W-TinyLFU-w1p", 0.45))
        self.assertEqual([report.family(report.spelled(p)) for p in ("S3FIFO", "S3-FIFO-s", "TwoQ-x", "2Q", "LIRS-1")],
                         ["S3-FIFO", "S3-FIFO", "2Q", "2Q", "LIRS"])
        self.assertEqual(set(report.SPELLED.values()) - set(report.LOOKS), set())


@unittest.skipUnless(report.comparison.matplotlib, "there is no matplotlib")
class Charts(unittest.TestCase):
    def test_they_can_be_read(self):
        policies = {p: 0.5 for p in report.LOOKS if p not in (report.OPT, report.LRU)}
        found = []
        for i in range(14):
            for cache in (1680, 8403, 16806, 33613, 84034) if i % 2 else (20, 100, 200, 400, 1000):
                for threads in (1, 2, 4, 16):
                    found += cell(f"own:trace-{i}", cache, {**ours(0.5, 0.6, 0.2), **policies}, "own", threads)
        with report.comparison.matplotlib.rc_context(report.comparison.LOOK):
            for name, chart in report.CHARTS.items():
                with self.subTest(chart=name):
                    figure = chart(report.Results(found), "own")
                    self.assertEqual(charts.collisions(figure), [])
                    self.assertEqual(charts.lookalikes(figure), [])


class Files(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.tsv = self.directory / "results.tsv"

    def write(self, rows):
        lines = [report.HEADER] + [(trace, kind, 1000, 200, cache, split, threads, policy, ratio)
                                   for trace, kind, cache, split, threads, policy, ratio in rows]
        self.tsv.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")

    def fails(self, part):
        with self.assertRaises(SystemExit) as ended:
            report.main([str(self.tsv)])
        self.assertIsInstance(ended.exception.code, str)  # which sys.exit prints, and ends with 1
        self.assertIn(part, ended.exception.code)

    def test_files_are_written_and_the_same_again(self):
        self.write(ROWS)
        made = []
        for _ in range(2):
            with contextlib.redirect_stderr(io.StringIO()):
                report.main([str(self.tsv)])
            made.append({p: p.read_bytes() for p in self.directory.rglob("*") if p.is_file()})
        self.assertEqual(*made)
        self.assertIn(self.directory / "summary.md", made[0])
        if report.comparison.matplotlib:
            charts = {p.stem for p in made[0] if p.suffix == ".svg"}
            self.assertEqual(charts, {f"{kind}{what}" for kind in ("file", "own") for what in ("", "_means", "_threads")})
            for path in (p for p in made[0] if p.suffix == ".svg"):
                xml.etree.ElementTree.parse(path)

    def test_broken_files(self):
        self.fails("No such file")
        self.write([])
        self.fails("no results")
        self.write([*ROWS, *cell("a", 16, {"Y": 0.5})])
        self.fails("Y of a, 16 pages, 1 thread, is there twice")
        self.write(cell("a", 16, {"libmpool": 0.5, "OPT": 0.5}))
        self.fails("a, 16 pages: without LRU")
        self.write(cell("a", 16, ours(1.5, 0.5, 0.5)))
        self.fails("results.tsv:2: no result")
        self.write(cell("a", 16, ours("x", 0.5, 0.5)))
        self.fails("results.tsv:2:")
        self.tsv.write_text("trace\n", encoding="utf-8")
        self.fails("the first line")


if __name__ == "__main__":
    unittest.main()
