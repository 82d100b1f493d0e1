#!/usr/bin/python3
"""The report of the trees' figures says what they say.

Goals are judged by the number of threads with which libmpool is least ahead, in each round; what is missing is left
out, and a broken file is named with its line.
"""
import unittest

import charts

report = charts.load("trees")
reports = report.reports
draws = unittest.skipUnless(reports.matplotlib, "there is no matplotlib")

ABOUT = {
    "machine": {"cores": "2"}, "milliseconds": 300, "keys": 2000000,
    "subjects": [{"id": "mpool", "name": "libmpool", "version": "2.0", "setup": "nothing"}],
    "workloads": [{"name": "lookup", "what": "lookups of keys"}],
}


def rows(work, threads, subject, values, metric=report.DONE):
    """A cell's figure, a value a round."""
    return [(work, threads, subject, i, metric, value) for i, value in enumerate(values, 1)]


def everything():
    lines = []
    for i, subject in enumerate(report.SUBJECTS, 1):
        for work in report.WORKS:
            for threads in (1, 2):
                lines += rows(work, threads, subject, [2e6 * threads / i, 1e6 * threads / i, 3e6 * threads / i])
        lines += rows("insert-random", report.ALL_THREADS, subject, [5e5 / i], report.WITH_CHECKPOINT)
    return lines


class Goals(unittest.TestCase):
    def check(self, work, peer, lines, verdict, median=None):
        goal, = [g for g in report.GOALS if g.workload == work and report.SUBJECTS[peer][0] in g.text]
        found, said = goal.judge(report.Results(lines, {}))
        self.assertEqual(said, verdict)
        if median is not None:
            self.assertAlmostEqual(found.median, median)

    def test_the_threads_with_which_it_is_least_ahead(self):
        def lines(one, two):
            return [*rows("lookup", 1, "mpool", one), *rows("lookup", 2, "mpool", two), *rows("lookup", 1, "lmdb", [100] * 3),
                    *rows("lookup", 2, "lmdb", [200] * 3)]
        self.check("lookup", "lmdb", lines([150, 160, 170], [300, 260, 250]), "reached", 1.3)
        self.check("lookup", "lmdb", lines([150, 160, 170], [300, 260, 190]), "reached, not in every round", 1.3)
        self.check("lookup", "lmdb", lines([50, 60, 70], [300, 260, 250]), "missed by 40 %", 0.6)
        self.check("lookup", "bdb", lines([150], [300]), "not measured")

    def test_loads_by_a_log_structured_store_are_no_goal(self):
        with self.assertRaises(ValueError):
            self.check("insert-random", "rocksdb", [], "not measured")

    def test_each_has_a_name(self):
        self.assertEqual(len({g.text for g in report.GOALS}), len(report.GOALS))


class Written(charts.Directory):
    report, results = report, "results.csv"

    def test_report(self):
        self.write(everything(), ABOUT)
        self.run_main()
        text = self.made("results.md")
        for part in ("2,000,000 keys", "Lookups of keys.", "| libmpool 2.0 | nothing |", "3 interleaved rounds, a cell 300 ms",
                     "| **libmpool** | 2,000 (1,000, 3,000) | 4,000 (2,000, 6,000) |",
                     "| LMDB | 667 (333, 1,000) | 1,330 (667, 2,000) | 167 (167, 167) |"):
            self.assertIn(part, text)
        self.assertIn("| lookups | 2 | 2.00 (2.00, 2.00) | 3.00 (3.00, 3.00) | 4.00 (4.00, 4.00) | 5.00 (5.00, 5.00) |",
                      self.made("summary.md"))

    def test_a_part(self):
        self.write(rows("commit", 2, "mpool", [100, 200]) + rows("commit", 2, "sqlite", [50, 100]))
        self.run_main()
        self.assertIn("| durable inserts | 2 | 2.00 (2.00, 2.00) |", self.made("summary.md"))
        self.assertIn("1 of 4 goals reached, 3 not measured.", self.made("summary.md"))

    @draws
    def test_charts(self):
        self.write(everything(), ABOUT)
        self.run_main()
        self.assertEqual(self.drawn(), ["trees"])
        self.check_charts(report.read(self.file))

    def test_broken(self):
        self.write([*rows("lookup", 1, "mpool", [1]), *rows("lookup", 1, "mpool", [2])])
        self.fails("results.csv", "round 1 of lookup, 1, mpool, ops_per_second is there twice")
        for bad in (("lookup", 1, "bogus", 1, report.DONE, 1), ("bogus", 1, "mpool", 1, report.DONE, 1),
                    ("lookup", 1, "mpool", 1, "bogus", 1), ("lookup", 1, "mpool", 1, report.DONE, "nan")):
            self.write([bad])
            self.fails("results.csv:2")


if __name__ == "__main__":
    unittest.main()
