#!/usr/bin/python3
"""The report of the comparison says what the figures say.

Medians and ratios are those of the rounds, goals are judged by them, what is
missing is left out, and a broken file is named with its line.
"""
import re
import unittest
import unittest.mock
import xml.etree.ElementTree

import charts

report = charts.load("compare")
reports = report.reports
OURS, HCC, BDB = report.OURS, report.HCC, report.BDB
MILLION = 1_000_000
draws = unittest.skipUnless(reports.matplotlib, "there is no matplotlib")


def rows(workload, threads, subject, values, metric="ops_per_second", parameter=""):
    """A cell of the CSV, a value a round."""
    return [(workload, str(parameter), threads, subject, i, metric, value) for i, value in enumerate(values, 1)]


def cells(workload, subjects, threads=2, metric="ops_per_second", parameter=""):
    """{subject: values}."""
    return [line for subject, values in subjects.items() for line in rows(workload, threads, subject, values, metric, parameter)]


class Statistics(unittest.TestCase):
    def test_spread(self):
        for values, found in (([3, 1, 2], (2, 1, 3)), ([1, 2, 4, 10], (3, 1, 10)), ([], None)):
            self.assertEqual(report.spread(values), found)

    def test_ratios_are_taken_within_a_round(self):
        # The machine is twice as fast in round 2; the medians' ratio would be 4 / 3 in rounds 1 to 3.
        self.assertEqual(report.ratio({1: 10.0, 2: 40.0, 3: 20.0}, {1: 5.0, 2: 10.0, 3: 15.0}), (2.0, 20 / 15, 4.0))
        # Only rounds that both have count.
        self.assertEqual(report.ratio({1: 10.0, 2: 99.0}, {1: 5.0, 3: 1.0}), (2, 2, 2))
        self.assertIsNone(report.ratio({1: 10.0}, {2: 5.0}))
        self.assertIsNone(report.ratio({1: 10.0}, {1: 0.0}))

    def test_numbers(self):
        for value, text in ((0, "0"), (0.01234, "0.0123"), (0.9996, "1.00"), (1.234, "1.23"), (9.996, "10.0"),
                            (12.34, "12.3"), (99.96, "100"), (123.4, "123"), (999.6, "1,000"), (1234, "1,230")):
            self.assertEqual(report.number(value), text)

    def test_order_of_parameters(self):
        lines = [line for p in ("1000", "64", "100000") for line in rows("growth-pages", 2, "mpool", [1], parameter=p)]
        self.assertEqual(report.Results(lines, {}).parameters("growth-pages"), ["64", "1000", "100000"])


class Goals(unittest.TestCase):
    def goal(self, workload, part):
        """The one goal of the workload with this in its text."""
        found, = [g for g in report.GOALS if g.workload == workload and part in g.text]
        return found

    def check(self, workload, part, lines, verdict, found=None):
        measured, said = self.goal(workload, part).judge(report.Results(lines, {}))
        self.assertEqual(said, verdict)
        for value, wanted in zip(measured or (), found or ()):
            self.assertAlmostEqual(value, wanted)

    def test_at_least(self):
        for ours, verdict, found in (
                ([120, 130, 110], "reached", (12, 11, 13)), ([100, 100, 100], "reached", (10, 10, 10)),
                ([120, 130, 90], "reached, not in every round", (12, 9, 13)),
                ([80, 85, 75], "missed by 20 %", (8, 7.5, 8.5)),
                ([80, 105, 75], "missed by 20 %, reached in some rounds", (8, 7.5, 10.5)),
                ([99.9] * 3, "missed by less than 1 %", (9.99,)), ([50] * 3, "missed by 50 %", (5,)),
                ([40] * 3, "missed by a factor of 2.50", (4,)), ([0.5] * 3, "missed by a factor of 200", (0.05,))):
            with self.subTest(ours=ours):
                self.check("hot", HCC, cells("hot", {OURS: ours, HCC: [10] * 3}), verdict, found)
        # Other numbers of threads do not count.
        self.check("hot", HCC, cells("hot", {OURS: [120], HCC: [10]}, threads=1), "not measured")

    def test_at_most(self):
        for array, verdict, found in (
                ([300, 500, 400], "missed by 60 %", (4, 3, 5)), ([500] * 3, "missed by 100 %", (5,)),
                ([200, 300, 250], "reached, not in every round", (2.5,)), ([600] * 3, "missed by a factor of 2.40", (6,))):
            with self.subTest(array=array):
                self.check("uniform-10000", "the array does", cells("uniform-10000", {"array": array, OURS: [100] * 3}), verdict, found)

    def test_scaling(self):
        lines = [line for threads, values in ((1, [100, 100]), (2, [195, 205]), (64, [160, 150]))
                 for line in rows("hot", threads, OURS, values)]
        self.check("hot", "two threads do", lines, "reached", (2.0,))
        self.check("hot", "64 threads", lines, "missed by 7 %", ((160 / 195 + 150 / 205) / 2,))

    def test_misses_are_compared_with_pread(self):
        lines = (rows("half", 2, OURS, [1000, 1000])
                 + cells("half", {OURS: [500, 400], report.PREAD: [600, 600]}, metric="reads_per_second"))
        self.check("half", "pread alone", lines, "reached", (1.35, 1.2, 1.5))

    def test_sync_is_of_one_thread(self):
        lines = cells("sync", {OURS: [300], BDB: [150], report.PWRITEV: [480]}, 1, "pages_per_second")
        self.check("sync", BDB, lines, "missed by 33 %", (2, 2, 2))
        self.check("sync", "pwritev", lines, "missed by 23 %", (1.6,))

    def test_peeks(self):
        def lines(workload, peek, others):
            return cells(workload, {report.PEEK: peek, report.PEEK_INLINE: [1000] * 3, **others})
        for peek, verdict, found in (([800, 900, 1000], "reached", (9,)), ([400] * 3, "missed by 50 %", (4,))):
            self.check("btree", f"at least 8 times {HCC}", lines("btree", peek, {HCC: [100] * 3}), verdict, found)
        self.check("btree", "at least 1.8 times get and put", lines("btree", [400, 380, 300], {OURS: [200] * 3}),
                   "reached, not in every round", (1.9,))
        self.check("hot", "peek: a page of the array", lines("hot", [400, 500, 400], {"array": [1000] * 3}), "reached", (2.5,))
        self.check("hot", "peek inline: a page", lines("hot", [400] * 3, {"array": [2500] * 3}), "missed by 25 %", (2.5,))
        beside = self.goal("btree", "at least 8 times").beside
        self.assertEqual(beside(report.Results(lines("btree", [1], {HCC: [100] * 3}), {})), "inline: 10.0 (10.0, 10.0)")

    def test_latches(self):
        def lines(latch):
            return cells("latch-own", {report.LATCH: latch, report.EXCHANGE: [10] * 3}, 1, "pair_ns")
        self.check("latch-own", "exchanges", lines([12, 13, 14]), "reached, not in every round", (1.3,))
        self.check("latch-own", "exchanges", lines([26] * 3), "missed by 100 %", (2.6,))

    def test_latency(self):
        lines = cells("latency", {OURS: [190, 200], HCC: [1000, 1000], "array": [90, 110]}, 4, "p999_ns")
        self.check("latency", "1/5", lines, "reached", (0.195, 0.19, 0.2))
        beside = self.goal("latency", "1/5").beside
        self.assertEqual(beside(report.Results(lines, {})), "the array, which is the machine's floor: 100 ns")
        lines = cells("latency", {HCC: [450, 460], "array": [100, 100]}, 2, "p999_ns")
        self.assertEqual(beside(report.Results(lines, {})),
                         "the goal is below the machine's floor of 100 ns, which the array needs")

    def test_processes_are_compared_with_threads_of_a_private_pool(self):
        lines = (cells("processes", {OURS: [10, 20, 10], "mpool-shared": [5, 5, 5]}, 2, "ns_by_threads", 1)
                 + rows("processes", 2, "mpool-shared", [10, 21, 15], "ns_by_processes", 1))
        self.check("processes", "hot page", lines, "reached, not in every round", (1.05, 1, 1.5))


class Directory(charts.Directory):
    report, results = report, "results.csv"

    def summary(self, lines, about=None):
        self.write(lines, about)
        self.run_main()
        return self.made("summary.md")


ABOUT = {
    "machine": {"cpu": "Some processor", "cores": 2, "thp": "madvise"},
    "mode": "quick", "rounds": 3, "milliseconds": 50, "date": "2025-01-02",
    "subjects": [{"id": "libmpool", "name": "libmpool", "version": "1.0", "setup": "As it comes."},
                 {"id": "array", "name": "array", "version": "", "setup": "One array."},
                 {"id": "bdb", "name": "Berkeley DB", "version": "5.3", "setup": "Its own cache."}],
    "absent": [{"workload": "scan", "subject": "array", "why": "it has no file"},
               {"workload": "half", "subject": "array", "why": "it has no file"}],
}


def everything():
    lines = []
    for workload in ("hot", "uniform-10000", "half"):
        for threads in (1, 2, 64):
            lines += cells(workload, {OURS: [90 * MILLION, 80 * MILLION, 100 * MILLION], "array": [MILLION * 300] * 3,
                                      BDB: [MILLION, 2 * MILLION, 4 * MILLION]}, threads)
    lines += rows("half", 2, OURS, [0.25, 0.5, 0.75], "hit_ratio") + rows("half", 2, "pread alone", [1e6] * 3)
    lines += cells("half", {OURS: [2e6, 3e6, 4e6], "pread alone": [1e6] * 3}, 2, "reads_per_second")
    lines += cells("sync", {OURS: [200000] * 3, "pwritev in order": [100000] * 3}, 1, "pages_per_second")
    for metric, value in (("p50_ns", 20), ("p99_ns", 40), ("p999_ns", 80), ("max_ns", 5e6), ("clock_ns", 7),
                          ("evictor_ops_per_second", MILLION)):
        lines += cells("latency", {OURS: [value] * 3, HCC: [value * 10] * 3}, 2, metric)
    for workload, metric, value, parameters in (
            ("growth-pages", "ops_per_second", MILLION * 100, (1000, 100000)),
            ("growth-threads", "ops_per_second", MILLION * 100, (1, 64)), ("memory", "bytes_per_page", 100, (512, 4096))):
        for parameter in parameters:
            lines += rows(workload, 1, OURS, [value] * 3, metric, parameter)
    for workload in report.LATCHES:
        for threads in (1, 2):
            lines += cells(workload, {s: [8, 10, 9] for s in report.LOCKS}, threads, "pair_ns")
    for parameter in (1, 10000):
        lines += cells("processes", {OURS: [10, 20, 10], "mpool-shared": [10, 10, 20]}, 2, "ns_by_threads", parameter)
        lines += cells("processes", {"mpool-shared": [10, 21, 15], "bdb-shared": [50, 60, 70]}, 2, "ns_by_processes", parameter)
    for metric, value in zip(report.COSTS, (7, 1, 2, 3, 0.4, 0.05)):
        lines += rows("deaths", 2, "mpool-shared", [value] * 20, metric, 1000)
    return lines


class Reports(Directory):
    def test_everything(self):
        summary = self.summary(everything(), ABOUT)
        text = self.made("results.md")
        for part in ("| processor | Some processor |", "3 interleaved rounds of 50 ms",
                     "| **libmpool** | 90.0 (80.0, 100) | 90.0 (80.0, 100) | 90.0 (80.0, 100) |",
                     "| Berkeley DB | 40.0 (25.0, 90.0) |",  # the median of 90, 40 and 25
                     "| half, 2 threads | 0.5000 |", "| **libmpool** | 20.0 (20.0, 20.0) | 40.0",
                     "| Mop/s; pages: | 1,000 | 100,000 |", "| **libmpool** | 100 (100, 100) | 100 (100, 100) |",
                     "| 4,096 | 100 |", "| array | scan, half | it has no file |", "| Berkeley DB | Its own cache. |",
                     "| pages in memory; ns | **libmpool**: threads | libmpool, shared: threads"
                     " | libmpool, shared: processes | Berkeley DB, shared: processes |",
                     "| 10,000 | 10.0 (10.0, 20.0) | 10.0 (10.0, 20.0) | 15.0 (10.0, 21.0) | 60.0 (50.0, 70.0) |",
                     "of 20 deaths each", "| 1,000 | 7.00 (7.00, 7.00) | 1.00 (1.00, 1.00) | 2.00 (2.00, 2.00) | 3.00 (3.00, 3.00)"
                     " | 0.400 (0.400, 0.400) | 0.0500 (0.0500, 0.0500) |"):
            self.assertIn(part, text)
        for chart in re.findall(r"\((charts/[^)]*)\)", text):
            self.assertTrue((self.directory / chart).exists(), chart)
        for part in ("|  | array | Berkeley DB | system calls alone |",  # in the JSON's order
                     "| hot | 0.300 (0.267, 0.333) | 40.0 (25.0, 90.0) | – |",
                     "| half | 0.300 (0.267, 0.333) | 40.0 (25.0, 90.0) | 3.00 (2.00, 4.00) |",
                     "| sync (1 thread) | – | – | 2.00 (2.00, 2.00) |", "10 of 29 goals reached, 2 missed, 17 not measured."):
            self.assertIn(part, summary)

    def test_workloads_that_were_not_chosen_are_not_missed(self):
        text = self.summary(cells("hot", {OURS: [MILLION] * 3, BDB: [2 * MILLION] * 3}),
                            {"workloads": [{"name": "hot", "what": "get the one page"}]})
        self.assertIn("0 of 7 goals reached, 1 missed, 6 not measured.", text)
        self.assertIn("| hot | at least 40 times Berkeley DB, two threads | 0.500", text)
        self.assertNotIn("| sync |", text)
        self.assertIn("No goal is about what was measured.", self.summary(
            rows("scan", 2, OURS, [MILLION]), {"workloads": [{"name": "scan", "what": "get pages"}]}))

    def test_a_busy_machine_is_said(self):
        lines = cells("hot", {OURS: [MILLION] * 3, BDB: [2 * MILLION] * 3})
        about = {"machine": {"cores": "2"}, "others": {"processors": "1.35", "stolen": "0.25", "load_average": "7.5"}}
        said = ("**The machine was busy while this was measured: other programs took 1.35 and the machine's host took 0.250 of"
                " 2 processors (load average at the beginning: 7.50). Times, and verdicts on them, are of that.**")
        text = self.summary(lines, about)
        self.assertIn(said, text)
        self.assertIn(said, self.made("results.md"))
        self.assertIn("| **missed by a factor of 80.0, on a busy machine** |", text)
        about["others"] = {"processors": "0.04", "stolen": "0.00", "load_average": "7.5"}
        self.assertNotIn("busy", self.summary(lines, about))

    def test_subjects_may_be_named_by_id_and_be_unknown(self):
        lines = cells("hot", {"mpool": [40.0], "bdb": [1.0], "new": [2.0]})
        text = self.summary(lines, {"subjects": [{"id": "bdb", "name": "BDB"}, {"id": "new", "name": "Newcomer"}]})
        self.assertIn("|  | Berkeley DB | Newcomer |", text)
        self.file.with_suffix(".json").unlink()
        self.assertIn("|  | Berkeley DB | new |", self.summary(lines))  # in the order of the file
        for text in (text, self.made("summary.md")):
            self.assertIn("| hot | 40.0 (40.0, 40.0) | 20.0 (20.0, 20.0) |", text)
        text = self.summary(cells("new one", {"newcomer": [10.0], "bdb": [5.0], OURS: [20.0]}),
                            {"subjects": [{"id": "bdb", "name": "Berkeley DB"}]})
        self.assertIn("|  | Berkeley DB | newcomer |", text)
        self.assertIn("| new one | 4.00 (4.00, 4.00) | 2.00 (2.00, 2.00) |", text)

    def test_parameters_are_not_mixed(self):
        self.summary(rows("zipf", 2, OURS, [MILLION], parameter="0.9") + rows("zipf", 2, OURS, [2 * MILLION], parameter="0.99"))
        for title in ("### zipf 0.9\n", "### zipf 0.99\n"):
            self.assertIn(title, self.made("results.md"))

    def test_little_and_nothing(self):
        with unittest.mock.patch.object(reports, "matplotlib", None):  # the next test draws
            for line in (line for line in everything() if line[4] == 1):
                with self.subTest(line=line[:6]):
                    self.assertIn("not measured", self.summary([line]))
            self.assertIn("Nothing to compare", self.summary([line for line in everything() if line[3] != OURS], ABOUT))

    def test_nothing_done(self):
        self.assertIn("0 of 29 goals reached", self.summary(
            cells("half", {OURS: [0.0], "pread": [0.0], "bdb": [0.0]}) + rows("half", 2, OURS, [0.0], "reads_per_second")
            + rows("growth-pages", 2, OURS, [0.0], parameter=1) + rows("memory", 1, OURS, [-3.0], "bytes_per_page", 512)))

    def test_without_matplotlib(self):
        self.write(everything())
        with unittest.mock.patch.object(reports, "matplotlib", None):
            self.assertIn("python3-matplotlib", self.run_main("--output", str(self.directory / "there" / "and here")))
        self.assertIn("| hot |", self.made("there/and here/summary.md"))
        self.assertNotIn("](charts/", self.made("there/and here/results.md"))
        self.assertFalse((self.directory / "results.md").exists())

    @draws
    def test_charts(self):
        self.write(everything(), ABOUT)
        self.run_main("--output", str(self.directory / "a"))
        self.run_main("--output", str(self.directory / "b"))  # the same again
        names = ["deaths", "growth", "latches", "latency", "memory", "processes", "ratios", "throughput"]
        self.assertEqual(self.drawn("a"), names)
        for name in ("results.md", "summary.md", *(f"charts/{name}.svg" for name in names)):
            text = self.made(f"a/{name}")
            self.assertEqual(text, self.made(f"b/{name}"), name)
            if name.endswith("svg"):
                self.assertEqual(xml.etree.ElementTree.fromstring(text).tag, "{http://www.w3.org/2000/svg}svg")
                self.assertIn("fill: #ffffff", text)  # readable on dark pages
                self.assertEqual(re.findall(r' (?:[xydc]\w*|points)="[^"]*\.\d\d', text), [])
        self.assertIn(">0.300</text>", self.made("a/charts/ratios.svg"))  # figures are not rounded
        # Those of an earlier run go, and those that are not wanted are not drawn.
        self.run_main("--output", str(self.directory / "a"), "--charts", "ratios,memory")
        self.assertEqual(self.drawn("a"), ["memory", "ratios"])
        self.assertEqual(self.made("a/results.md").count("](charts/"), 2)
        self.check_charts(report.read(self.file))

    @draws
    def test_charts_of_all_subjects_can_be_read(self):
        lines = []
        for subject in report.SUBJECTS:
            for threads in (1, 2, 4, 16, 64):
                lines += rows("half", threads, subject, [MILLION] * 3)
            for metric, value in zip(report.PERCENTILES, (20, 40, 80, 5e6)):
                lines += rows("latency", 2, subject, [value] * 3, metric)
            for parameter in (512, 1024, 4096):
                lines += rows("memory", 1, subject, [1234], "bytes_per_page", parameter)
        self.check_charts(report.Results(lines, {}))


class Broken(Directory):
    def test_files(self):
        self.fails("results.csv", "No such file")
        for text, parts in ((b"", ["results.csv", "the first line must be"]), (b"\xff\xfe\x00", ["results.csv"]),
                            (b"a,b\n1,2\n", ["the first line must be workload,parameter,threads,subject,round,metric,value"])):
            with self.subTest(text=text):
                self.file.write_bytes(text)
                self.fails(*parts)
        self.write(rows("hot", 2, OURS, [1.0, 2.0]))
        self.file.write_text(self.file.read_text() + "hot,,2,libm")
        self.fails("results.csv:4:", "4 fields")

    def test_rows(self):
        for lines, parts in (*((rows("hot", 2, OURS, [value]), ["results.csv:2:"]) for value in ("fast", "", "nan", "inf")),
                             ([("hot", "", 2, OURS, "first", "ops_per_second", 1)], ["results.csv:2:", "first"]),
                             (rows("hot", 2, OURS, [1.0]) * 2, ["round 1", "hot", OURS, "twice"]), ([], ["no results"])):
            with self.subTest(lines=lines):
                self.write(lines)
                self.fails(*parts)

    def test_json(self):
        self.write(rows("hot", 2, OURS, [1.0]))
        for text in ("{", "[]", "7", '{"machine": 1}', '{"subjects": [1]}'):
            with self.subTest(text=text):
                self.file.with_suffix(".json").write_text(text)
                self.fails("results.json")


if __name__ == "__main__":
    unittest.main()
