#!/usr/bin/python3
"""The report of the replay says what the figures say.

Means, the worst cell, and who is ahead are those of the rows; policies of one name
and another setting are one; what is missing or broken is named.
"""
import unittest
import xml.etree.ElementTree

import charts

report = charts.load("replay")
draws = unittest.skipUnless(report.reports.matplotlib, "there is no matplotlib")


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


def cells_of(rows):
    return report.Results(rows).cells("file")


class Figures(unittest.TestCase):
    results, cells = report.Results(ROWS), cells_of(ROWS)

    def test_cells_are_told_apart(self):
        self.assertEqual([(c.trace, c.cache) for c in self.cells], [("a", 16), ("a", 100)])
        self.assertEqual([c.ours for c in self.results.cells("file", 4)], [0.53, 0.41])
        self.assertEqual([c.ours for c in self.results.cells("own")], [0.7])

    def test_means(self):
        self.assertEqual([(name, count, round(mean, 9), round(its, 9)) for name, count, mean, its in report.means(self.cells)], [
            ("OPT", 2, 0.1875, 0.45), (report.BEST, 2, 0.35, 0.45), ("X", 2, 0.4, 0.45), ("LRU", 2, 0.425, 0.45),
            ("libmpool", 2, 0.45, 0.45), ("Y", 2, 0.465, 0.45)])
        # A policy without some cells is compared on those that it has.
        self.assertIn(("Z", 1, 0.1, 0.5), report.means(cells_of([*ROWS, *cell("a", 16, {"Z": 0.1})])))

    def test_worst_cell_against_lru(self):
        self.assertEqual(report.worst(self.cells).cache, 100)
        self.assertIn("Worst cell against LRU: +0.1500 (a, 100 pages: 0.4000, LRU 0.2500). libmpool misses more than LRU"
                      " in 1 of 2 cells.", report.summary(self.results))

    def test_who_is_ahead(self):
        self.assertEqual([(c.cache, policy, ratio) for c, policy, ratio in report.behind(self.cells)],
                         [(100, "LRU", 0.25), (16, "X-small", 0.45)])
        # Not who is close, or knows the future.
        close = cells_of(cell("a", 16, ours(0.5, 0.4801, 0.1)))
        self.assertEqual(report.behind(close), [])
        self.assertIn("No policy is ahead", "\n".join(report.behind_table(close)))

    def test_threads(self):
        lines = report.threads_section(self.results, "file")[2:]
        self.assertEqual(lines[2:4], ["| 1 | 0.4500 | 0.4250 | +0.1500 (a, 100 pages) |  |",
                                      "| 4 | 0.4700 | 0.4250 | +0.1600 (a, 100 pages) | +0.0300 (a, 16 pages) |"])
        # Pieces are no order to compare with.
        pieces = report.Results([(*row[:3], "pieces", *row[4:]) for row in ROWS])
        self.assertEqual(report.threads_section(pieces, "file")[5], "| 4 | 0.4700 | 0.4250 | +0.1600 (a, 100 pages) |")

    def test_every_cell_is_in_the_report(self):
        lines = report.report(self.results, [])
        for line in ("| a | 16 | **0.5000** | 0.6000 | 0.2500 | 0.4500 | X-small | -0.1000 | +0.0500 |",
                     "| own:b | 20 | **0.7000** | 0.6000 | 0.5000 | 0.6000 | LRU | +0.1000 | +0.1000 |",
                     "| a | 16 | 0.2500 | **0.4500** | 0.6000 | 0.5000 | 0.5500 |"):
            self.assertIn(line, lines)

    def test_a_policy_has_one_name(self):
        for given in ("WTinyLFU", "W-TinyLFU"):
            cells = cells_of(cell("a", 16, {**ours(0.5, 0.6, 0.2), f"{given}-w1p": 0.45, given: 0.47}))
            self.assertEqual(report.families(cells), ["LRU", "OPT", "W-TinyLFU"])
            self.assertEqual(cells[0].best_other(), ("W-TinyLFU-w1p", 0.45))
        self.assertEqual([report.family(report.spelled(p)) for p in ("S3FIFO", "S3-FIFO-s", "TwoQ-x", "2Q", "LIRS-1")],
                         ["S3-FIFO", "S3-FIFO", "2Q", "2Q", "LIRS"])
        self.assertEqual(set(report.SPELLED.values()) - set(report.LOOKS), set())


class Files(charts.Directory):
    report, results = report, "results.tsv"

    def write(self, rows):
        lines = [report.COLUMNS] + [(trace, kind, 1000, 200, cache, split, threads, policy, ratio)
                                    for trace, kind, cache, split, threads, policy, ratio in rows]
        self.file.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")

    def test_files_are_written_and_the_same_again(self):
        self.write(ROWS)
        made = []
        for _ in range(2):
            self.run_main()
            made.append({p: p.read_bytes() for p in self.directory.rglob("*") if p.is_file()})
        self.assertEqual(*made)
        self.assertIn(self.directory / "summary.md", made[0])
        if report.reports.matplotlib:
            self.assertEqual(self.drawn(), [f"{kind}{what}" for kind in ("file", "own") for what in ("", "_means", "_threads")])
            for path in (p for p in made[0] if p.suffix == ".svg"):
                xml.etree.ElementTree.parse(path)

    @draws
    def test_charts_can_be_read(self):
        policies = {p: 0.5 for p in report.LOOKS if p not in (report.OURS, report.OPT, report.LRU)}
        found = []
        for i in range(14):
            for cache in (1680, 8403, 16806, 33613, 84034) if i % 2 else (20, 100, 200, 400, 1000):
                for threads in (1, 2, 4, 16):
                    found += cell(f"own:trace-{i}", cache, {**ours(0.5, 0.6, 0.2), **policies}, "own", threads)
        self.check_charts(report.Results(found))

    def test_broken_files(self):
        self.fails("No such file")
        for rows, said in (([], "no results"), ([*ROWS, *cell("a", 16, {"Y": 0.5})], "Y of a, 16 pages, 1 thread, is there twice"),
                           (cell("a", 16, {"libmpool": 0.5, "OPT": 0.5}), "a, 16 pages: without LRU"),
                           (cell("a", 16, ours(1.5, 0.5, 0.5)), "results.tsv:2: no result"),
                           (cell("a", 16, ours("x", 0.5, 0.5)), "results.tsv:2:"),
                           (cell("a", 16, ours(0.5, 0.5, 0.5), kind="bogus"), "results.tsv:2: no result")):
            self.write(rows)
            self.fails(said)
        self.file.write_text("trace\n", encoding="utf-8")
        self.fails("the first line")


if __name__ == "__main__":
    unittest.main()
