#!/usr/bin/python3
"""The report of the device's figures says what they say.

Goals are judged by ratios that are taken within a round, what is missing is left out, and
a broken file is named with its line.
"""
import unittest

import charts

report = charts.load("device")
reports = report.reports
draws = unittest.skipUnless(reports.matplotlib, "there is no matplotlib")

ABOUT = {
    "machine": {"cores": "2"}, "milliseconds": 500, "pages": 131072, "subjects": [{"id": "mpool", "name": "libmpool", "setup": "nothing"}],
    "workloads": [{"name": "mix", "what": "two threads", "parameter": "threads"}],
}


def rows(work, place, parameter, subject, metric, values):
    """A cell's figure, a value a round."""
    return [(work, place, parameter, subject, i, metric, value) for i, value in enumerate(values, 1)]


def everything():
    """Of every workload something, of three rounds."""
    lines = []
    for subject in report.SUBJECTS:
        for place in report.PLACES:
            for depth in (1, 4, 16, 32, 64):
                lines += rows("random", place, depth, subject, "pages_per_second", [1e4 * depth, 2e4 * depth, 1e4])
            lines += rows("order", place, 1, subject, "pages_per_second", [400_000] * 3)
            lines += rows("order", place, 1, subject, "cpu_us", [2.5] * 3)
            for metric, value in zip(report.PERCENTILES, (1, 100, 2000, 40_000)):
                lines += rows("mix", place, 2, subject, metric, [value, 2 * value, 3 * value])
            for metric in ("alone_p50_us", "beside_p50_us", "beside_p999_us"):
                lines += rows("loop", place, 8, subject, metric, [7, 8, 4_000])
    return lines


class Goals(unittest.TestCase):
    def check(self, part, lines, verdict, median=None):
        """The one goal with this in its text."""
        goal, = [g for g in report.GOALS if part in g.text]
        found, said = goal.judge(report.Results(lines, {}))
        self.assertEqual(said, verdict)
        if median is not None:
            self.assertAlmostEqual(found.median, median)

    def test_the_better_of_two_in_each_round(self):
        def lines(getv, prefetch):
            return [line for subject, values in (("mpool-getv", getv), ("mpool-prefetch", prefetch), ("fio", [100, 200, 100]))
                    for line in rows("random", "direct", 32, subject, "pages_per_second", values)]
        self.check("random order", lines([95, 10, 10], [10, 180, 95]), "reached", 0.95)
        self.check("random order", lines([45, 10, 10], [10, 90, 45]), "missed by 50 %", 0.45)
        # Of another depth, or another place.
        self.check("random order", rows("random", "direct", 16, "fio", "pages_per_second", [1]), "not measured")

    def test_a_tail_beside_that_of_reads_alone(self):
        def lines(place, cleaner):
            return (rows("mix", place, 2, "mpool-cleaner", "p999_us", cleaner) + rows("mix", place, 2, "mpool-reads", "p999_us", [100] * 3)
                    + rows("mix", place, 2, "mpool", "p999_us", [2000] * 3))
        self.check("O_DIRECT: p99.9 of a get", lines("direct", [150, 190, 210]), "reached, not in every round", 1.9)
        self.check("O_DIRECT: p99.9 of a get", lines("direct", [500] * 3), "missed by a factor of 2.50", 5)
        self.check("O_DIRECT: p99.9 of a get", lines("cached", [150] * 3), "not measured")
        text = "\n".join(report.summary(report.Results(lines("direct", [150] * 3), {})))
        self.assertIn("1.50 (1.50, 1.50); without a cleaner: 20.0 (20.0, 20.0) | reached |", text)

    def test_points_of_the_hit_ratio(self):
        def lines(with_cleaner):
            return [line for subject, values in (("mpool", [0.66, 0.5]), ("mpool-cleaner", with_cleaner))
                    for line in rows("mix", "direct", 2, subject, "hit_ratio", values)]
        self.check("hit ratio", lines([0.659, 0.498]), "reached", 0.15)
        self.check("hit ratio", lines([0.67, 0.51]), "reached", -1)
        self.check("hit ratio", lines([0.65, 0.49]), "missed by a factor of 3.33", 1)

    def test_none_is_late(self):
        def lines(cleaner):
            return [line for subject, values in (("mpool-cleaner", cleaner), ("mpool-reads", [0, 1, 0]))
                    for line in rows("open", "direct", 8, subject, "late_per_1000", values)]
        self.check("open loop", lines([0, 0.5, 0]), "reached", 0)
        self.check("open loop", lines([0.25, 2, 0.5]), "missed by 0.500", 0.5)

    def test_two_threads_beside_one(self):
        def lines(two):
            return [line for subject, threads, values in (("mpool", 1, [10, 10]), ("mpool", 2, two), ("pread", 1, [20, 20]), ("pread", 2, [30, 40]))
                    for line in rows("half", "cached", threads, subject, "pages_per_second", values)]
        self.check("two threads / one", lines([15, 20]), "reached", 1)
        self.check("two threads / one", lines([12, 16]), "missed by 20 %", 0.8)

    def test_a_miss_beside_reads(self):
        lines = [line for subject, metric, values in (("mpool", "reads_per_second", [10, 20]), ("pread", "reads_per_second", [20, 20]),
                                                      ("pread", "pages_per_second", [20, 20]), ("pread-far", "pages_per_second", [10, 5]))
                 for line in rows("half", "cached", 2, subject, metric, values)]
        self.check("a miss takes", lines, "missed by 3 %, reached in some rounds", 1.5)
        text = "\n".join(report.summary(report.Results(lines, {})))
        self.assertIn("each page elsewhere, / pread alone: 3.00 (2.00, 4.00)", text)

    def test_each_has_a_name(self):
        self.assertEqual(len({g.text for g in report.GOALS}), len(report.GOALS))


class Written(charts.Directory):
    report, results = report, "results.csv"

    def test_report(self):
        self.write(everything(), ABOUT)
        self.run_main()
        text = self.made("results.md")
        self.assertIn("Two threads.", text)
        self.assertIn("| libmpool | nothing |", text)
        self.assertIn("cores: 2.", text)
        self.assertIn("131,072 pages", text)
        self.assertIn("| libmpool, getv | 320 (10.0, 640) |", text)
        self.assertIn("goals reached", self.made("summary.md"))

    def test_what_is_missing_is_left_out(self):
        self.write(rows("order", "direct", 1, "fio", "pages_per_second", [5.0]))
        self.run_main()
        text = self.made("results.md")
        self.assertIn("| fio | 0.00500 (0.00500, 0.00500) |", text)
        for absent in ("## mix", "Set-up", "cleaner"):
            self.assertNotIn(absent, text)

    @draws
    def test_charts(self):
        self.write(everything(), ABOUT)
        self.run_main()
        self.assertEqual(self.drawn(), ["loop", "mix", "order", "random"])
        self.check_charts(report.read(self.file))

    @draws
    def test_a_scale_has_no_place_for_nothing(self):
        self.write(rows("mix", "direct", 2, "fio", "p50_us", [0]) + rows("mix", "direct", 2, "mpool", "p50_us", [0, 3])
                   + rows("mix", "direct", 2, "mpool-cleaner", "p50_us", [2]) + rows("mix", "direct", 2, "fio", "p99_us", [0]))
        self.run_main()
        self.assertEqual(self.drawn(), ["mix"])
        self.write(rows("mix", "direct", 2, "fio", "p50_us", [0]))
        self.assertIsNone(report.mix_chart(report.read(self.file)))

    def test_broken_files(self):
        self.fails("results.csv", "No such file")
        for lines, parts in ((rows("mix", "direct", 2, "nobody", "p50_us", [1]), ["results.csv:2:", "nobody"]),
                             (rows("mix", "nowhere", 2, "fio", "p50_us", [1]), ["results.csv:2:", "nowhere"]),
                             (rows("mix", "direct", 2, "fio", "p50_us", [-1]), ["results.csv:2:"]),
                             (rows("mix", "direct", 2, "fio", "p50_us", [1]) * 2, ["round 1", "fio", "twice"]), ([], ["no results"])):
            with self.subTest(lines=lines):
                self.write(lines)
                self.fails(*parts)
        self.write(rows("mix", "direct", 2, "fio", "p50_us", [1]))
        self.file.with_suffix(".json").write_text("[")
        self.fails("results.json")


if __name__ == "__main__":
    unittest.main()
