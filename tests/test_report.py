#!/usr/bin/python3
"""The report of the comparison says what the figures say.

Medians and ratios are those of the rounds, goals are judged by them, what is
missing is left out, and a broken file is named with its line.
"""
import contextlib
import csv
import importlib.util
import io
import json
import re
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree
from pathlib import Path

REPORT = Path(__file__).resolve().parent.parent / "bench" / "compare" / "report.py"
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import charts

_spec = importlib.util.spec_from_file_location("report", REPORT)
report = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(report)

HAVE_MATPLOTLIB = report.matplotlib is not None
MILLION = 1_000_000


def rows(workload, threads, subject, values, metric="ops_per_second", parameter=""):
    """A cell of the CSV, a value a round."""
    return [(workload, parameter, threads, subject, i, metric, value) for i, value in enumerate(values, 1)]


def goal(workload, part):
    """The one goal of the workload with this in its text."""
    found, = [g for g in report.GOALS if g.workload == workload and part in g.text]
    return found



class Directory(unittest.TestCase):
    """Gives each test a directory, and makes reports of CSVs in it."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.csv = self.directory / "results.csv"

    def write(self, lines, about=None):
        with open(self.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([report.HEADER, *lines])
        if about is not None:
            self.csv.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")

    def run_main(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            report.main([str(self.csv), *arguments])
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


class Statistics(unittest.TestCase):
    def test_spread(self):
        self.assertEqual(report.spread([3, 1, 2]), (2, 1, 3))
        self.assertEqual(report.spread([1, 2, 4, 10]), (3, 1, 10))
        self.assertIsNone(report.spread([]))

    def test_ratios_are_taken_within_a_round(self):
        # The machine is twice as fast in round 2; the medians' ratio would be 4 / 3 in rounds 1 to 3.
        ours = {1: 10.0, 2: 40.0, 3: 20.0}
        theirs = {1: 5.0, 2: 10.0, 3: 15.0}
        self.assertEqual(report.ratio(ours, theirs), (2.0, 20 / 15, 4.0))

    def test_only_rounds_that_both_have(self):
        self.assertEqual(report.ratio({1: 10.0, 2: 99.0}, {1: 5.0, 3: 1.0}), (2, 2, 2))
        self.assertIsNone(report.ratio({1: 10.0}, {2: 5.0}))
        self.assertIsNone(report.ratio({1: 10.0}, {1: 0.0}))

    def test_numbers(self):
        for value, text in ((0, "0"), (0.01234, "0.0123"), (0.9996, "1.00"), (1.234, "1.23"), (9.996, "10.0"),
                            (12.34, "12.3"), (99.96, "100"), (123.4, "123"), (999.6, "1,000"), (1234, "1,230")):
            self.assertEqual(report.number(value), text)

    def test_times(self):
        for value, text in ((21, "21.0 ns"), (999.9, "1.00 µs"), (12345, "12.3 µs"),
                            (4.5e6, "4.50 ms"), (2e9, "2.00 s")):
            self.assertEqual(report.nanoseconds(value), text)

    def test_order_of_parameters(self):
        lines = [line for p in ("1000", "64", "100000") for line in rows("growth-pages", 2, "mpool", [1], parameter=p)]
        self.assertEqual(report.Results(lines, {}).parameters("growth-pages"), ["64", "1000", "100000"])


class Goals(unittest.TestCase):
    def judge(self, workload, part, lines):
        return goal(workload, part).judge(report.Results(lines, {}))

    def test_reached(self):
        lines = rows("hot", 2, "libmpool", [120, 130, 110]) + rows("hot", 2, report.HCC, [10, 10, 10])
        found, verdict = self.judge("hot", report.HCC, lines)
        self.assertEqual((found, verdict), ((12, 11, 13), "reached"))

    def test_reached_exactly(self):
        lines = rows("btree", 2, "libmpool", [50]) + rows("btree", 2, report.HCC, [10])
        self.assertEqual(self.judge("btree", report.HCC, lines)[1], "reached")

    def test_reached_by_the_median_alone(self):
        lines = rows("hot", 2, "libmpool", [120, 130, 90]) + rows("hot", 2, report.HCC, [10, 10, 10])
        self.assertEqual(self.judge("hot", report.HCC, lines)[1], "reached, not in every round")

    def test_missed(self):
        lines = rows("hot", 2, "libmpool", [80, 85, 75]) + rows("hot", 2, report.HCC, [10, 10, 10])
        self.assertEqual(self.judge("hot", report.HCC, lines), ((8, 7.5, 8.5), "missed by 20 %"))
        lines = rows("hot", 2, "libmpool", [80, 105, 75]) + rows("hot", 2, report.HCC, [10, 10, 10])
        self.assertEqual(self.judge("hot", report.HCC, lines)[1], "missed by 20 %, reached in some rounds")
        lines = rows("hot", 2, "libmpool", [99.9]) + rows("hot", 2, report.HCC, [10])
        self.assertEqual(self.judge("hot", report.HCC, lines)[1], "missed by less than 1 %")

    def test_missed_by_far(self):
        for value, verdict in ((50, "50 %"), (40, "a factor of 2.50"), (0.5, "a factor of 200")):
            lines = rows("hot", 2, "libmpool", [value]) + rows("hot", 2, report.HCC, [10])
            self.assertEqual(self.judge("hot", report.HCC, lines)[1], f"missed by {verdict}")
        for value, verdict in ((500, "100 %"), (600, "a factor of 2.40")):
            lines = rows("uniform-10000", 2, "array", [value]) + rows("uniform-10000", 2, "libmpool", [100])
            self.assertEqual(self.judge("uniform-10000", "array", lines)[1], f"missed by {verdict}")

    def test_other_numbers_of_threads_do_not_count(self):
        lines = rows("hot", 1, "libmpool", [120]) + rows("hot", 1, report.HCC, [10])
        self.assertEqual(self.judge("hot", report.HCC, lines), (None, "not measured"))

    def test_scaling(self):
        lines = [line for threads, values in ((1, [100, 100]), (2, [195, 205]), (64, [160, 150]))
                 for line in rows("hot", threads, "libmpool", values)]
        found, verdict = self.judge("hot", "two threads do", lines)
        self.assertEqual((found.median, verdict), (2.0, "reached"))
        found, verdict = self.judge("hot", "64 threads", lines)
        self.assertAlmostEqual(found.median, (160 / 195 + 150 / 205) / 2)
        self.assertEqual(verdict, "missed by 7 %")

    def test_no_more_than(self):
        lines = rows("uniform-10000", 2, "array", [300, 500, 400]) + rows("uniform-10000", 2, "libmpool", [100] * 3)
        self.assertEqual(self.judge("uniform-10000", "array", lines), ((4, 3, 5), "missed by 60 %"))
        lines = rows("uniform-10000", 2, "array", [200, 300, 250]) + rows("uniform-10000", 2, "libmpool", [100] * 3)
        self.assertEqual(self.judge("uniform-10000", "array", lines)[1], "reached, not in every round")

    def test_misses_are_compared_with_pread(self):
        lines = (rows("half", 2, "libmpool", [1000, 1000]) + rows("half", 2, "libmpool", [500, 400], "reads_per_second")
                 + rows("half", 2, report.PREAD, [600, 600], "reads_per_second"))
        found, verdict = self.judge("half", "pread alone", lines)
        self.assertAlmostEqual(found.least, 1.2)
        self.assertAlmostEqual(found.greatest, 1.5)
        self.assertEqual(verdict, "reached")

    def test_sync_is_of_one_thread(self):
        lines = (rows("sync", 1, "libmpool", [300], "pages_per_second")
                 + rows("sync", 1, report.BDB, [150], "pages_per_second")
                 + rows("sync", 1, report.PWRITEV, [480], "pages_per_second"))
        self.assertEqual(self.judge("sync", report.BDB, lines), ((2, 2, 2), "missed by 33 %"))
        found, verdict = self.judge("sync", "pwritev", lines)
        self.assertAlmostEqual(found.median, 1.6)
        self.assertEqual(verdict, "missed by 23 %")

    def test_latency(self):
        lines = (rows("latency", 4, "libmpool", [190, 200], "p999_ns")
                 + rows("latency", 4, report.HCC, [1000, 1000], "p999_ns")
                 + rows("latency", 4, "array", [90, 110], "p999_ns"))
        self.assertEqual(self.judge("latency", "1/5", lines), ((0.195, 0.19, 0.2), "reached"))
        self.assertEqual(goal("latency", "1/5").beside(report.Results(lines, {})),
                         "the array, which is the machine's floor: 100 ns")

    def test_processes_are_compared_with_threads_of_a_private_pool(self):
        lines = (rows("processes", 2, "libmpool", [10, 20, 10], "ns_by_threads", 1)
                 + rows("processes", 2, "mpool-shared", [5, 5, 5], "ns_by_threads", 1)
                 + rows("processes", 2, "mpool-shared", [10, 21, 15], "ns_by_processes", 1))
        found, verdict = self.judge("processes", "hot page", [(*line[:1], str(line[1]), *line[2:]) for line in lines])
        self.assertEqual((found, verdict), ((1.05, 1, 1.5), "reached, not in every round"))

    def test_a_goal_below_the_floor(self):
        lines = rows("latency", 2, report.HCC, [450, 460], "p999_ns") + rows("latency", 2, "array", [100], "p999_ns")
        self.assertEqual(goal("latency", "1/5").beside(report.Results(lines, {})),
                         "the goal is below the machine's floor of 100 ns, which the array needs")


class Reports(Directory):
    ABOUT = {
        "machine": {"cpu": "Some processor", "cores": 2, "thp": "madvise"},
        "mode": "quick", "rounds": 3, "milliseconds": 50, "date": "2025-01-02",
        "subjects": [
            {"id": "libmpool", "name": "libmpool", "version": "1.0", "setup": "As it comes."},
            {"id": "array", "name": "array", "version": "", "setup": "One array."},
            {"id": "bdb", "name": "Berkeley DB", "version": "5.3", "setup": "Its own cache."},
        ],
        "absent": [{"workload": "scan", "subject": "array", "why": "it has no file"},
                   {"workload": "half", "subject": "array", "why": "it has no file"}],
    }

    def everything(self):
        lines = []
        for workload in ("hot", "uniform-10000", "half"):
            for threads in (1, 2, 64):
                lines += rows(workload, threads, "libmpool", [90 * MILLION, 80 * MILLION, 100 * MILLION])
                lines += rows(workload, threads, "Berkeley DB", [MILLION, 2 * MILLION, 4 * MILLION])
                lines += rows(workload, threads, "array", [MILLION * 300] * 3)
        lines += rows("half", 2, "libmpool", [0.25, 0.5, 0.75], "hit_ratio")
        lines += rows("half", 2, "libmpool", [2e6, 3e6, 4e6], "reads_per_second")
        lines += rows("half", 2, "pread alone", [1e6] * 3)
        lines += rows("half", 2, "pread alone", [1e6] * 3, "reads_per_second")
        lines += rows("sync", 1, "libmpool", [200000] * 3, "pages_per_second")
        lines += rows("sync", 1, "pwritev in order", [100000] * 3, "pages_per_second")
        for metric, value in (("p50_ns", 20), ("p99_ns", 40), ("p999_ns", 80), ("max_ns", 5e6), ("clock_ns", 7),
                              ("evictor_ops_per_second", MILLION)):
            lines += rows("latency", 2, "libmpool", [value] * 3, metric)
            lines += rows("latency", 2, report.HCC, [value * 10] * 3, metric)
        for parameter in (1000, 100000):
            lines += rows("growth-pages", 1, "libmpool", [MILLION * 100] * 3, parameter=parameter)
        for parameter in (1, 64):
            lines += rows("growth-threads", 1, "libmpool", [MILLION * 100] * 3, parameter=parameter)
        for parameter in (512, 4096):
            lines += rows("memory", 1, "libmpool", [100] * 3, "bytes_per_page", parameter)
        for parameter in (1, 10000):
            lines += rows("processes", 2, "libmpool", [10, 20, 10], "ns_by_threads", parameter)
            lines += rows("processes", 2, "mpool-shared", [10, 10, 20], "ns_by_threads", parameter)
            lines += rows("processes", 2, "mpool-shared", [10, 21, 15], "ns_by_processes", parameter)
            lines += rows("processes", 2, "bdb-shared", [50, 60, 70], "ns_by_processes", parameter)
        for metric, value in zip(report.COSTS, (7, 1, 2, 3, 0.4, 0.05)):
            lines += rows("deaths", 2, "mpool-shared", [value] * 20, metric, 1000)
        return lines

    def test_everything(self):
        self.write(self.everything(), self.ABOUT)
        self.run_main()
        text = self.made("results.md")
        self.assertIn("| processor | Some processor |", text)
        self.assertIn("3 interleaved rounds of 50 ms", text)
        self.assertIn("| **libmpool** | 90.0 (80.0, 100) | 90.0 (80.0, 100) | 90.0 (80.0, 100) |", text)
        self.assertIn("| Berkeley DB | 40.0 (25.0, 90.0) |", text)     # the median of 90, 40 and 25
        self.assertIn("| half, 2 threads | 0.5000 |", text)
        self.assertIn("| **libmpool** | 20.0 (20.0, 20.0) | 40.0", text)
        self.assertIn("| Mop/s; pages: | 1,000 | 100,000 |", text)
        self.assertIn("| **libmpool** | 100 (100, 100) | 100 (100, 100) |", text)
        self.assertIn("| 4,096 | 100 |", text)
        self.assertIn("| array | scan, half | it has no file |", text)
        self.assertIn("| Berkeley DB | Its own cache. |", text)
        self.assertIn("| pages in memory; ns | **libmpool**: threads | libmpool, shared: threads"
                      " | libmpool, shared: processes | Berkeley DB, shared: processes |", text)
        self.assertIn("| 10,000 | 10.0 (10.0, 20.0) | 10.0 (10.0, 20.0) | 15.0 (10.0, 21.0) | 60.0 (50.0, 70.0) |",
                      text)
        self.assertIn("of 20 deaths each", text)
        self.assertIn("| 1,000 | 7.00 (7.00, 7.00) | 1.00 (1.00, 1.00) | 2.00 (2.00, 2.00) | 3.00 (3.00, 3.00)"
                      " | 0.400 (0.400, 0.400) | 0.0500 (0.0500, 0.0500) |", text)
        for chart in re.findall(r"\((charts/[^)]*)\)", text):
            self.assertTrue((self.directory / chart).exists(), chart)

    def test_summary(self):
        self.write(self.everything(), self.ABOUT)
        self.run_main()
        text = self.made("summary.md")
        self.assertIn("|  | array | Berkeley DB | system calls alone |", text)  # in the JSON's order
        self.assertIn("| hot | 0.300 (0.267, 0.333) | 40.0 (25.0, 90.0) | – |", text)
        self.assertIn("| half | 0.300 (0.267, 0.333) | 40.0 (25.0, 90.0) | 3.00 (2.00, 4.00) |", text)
        self.assertIn("| sync (1 thread) | – | – | 2.00 (2.00, 2.00) |", text)
        self.assertIn("9 of 17 goals reached, 2 missed, 6 not measured.", text)

    def test_workloads_that_were_not_chosen_are_not_missed(self):
        lines = rows("hot", 2, "libmpool", [MILLION] * 3) + rows("hot", 2, report.BDB, [2 * MILLION] * 3)
        self.write(lines, {"workloads": [{"name": "hot", "what": "get the one page"}]})
        self.run_main()
        text = self.made("summary.md")
        self.assertIn("0 of 4 goals reached, 1 missed, 3 not measured.", text)
        self.assertIn("| hot | at least 40 times Berkeley DB, two threads | 0.500", text)
        self.assertNotIn("| sync |", text)
        self.write(rows("scan", 2, "libmpool", [MILLION]), {"workloads": [{"name": "scan", "what": "get pages"}]})
        self.run_main()
        self.assertIn("No goal is about what was measured.", self.made("summary.md"))

    def test_a_busy_machine_is_said(self):
        lines = rows("hot", 2, "libmpool", [MILLION] * 3) + rows("hot", 2, report.BDB, [2 * MILLION] * 3)
        about = {"machine": {"cores": "2"}, "others": {"processors": "1.35", "stolen": "0.25", "load_average": "7.5"}}
        self.write(lines, about)
        self.run_main()
        said = ("**The machine was busy while this was measured: other programs took 1.35 and the machine's host took 0.250 of"
                " 2 processors (load average at the beginning: 7.50). Times, and verdicts on them, are of that.**")
        for name in ("summary.md", "results.md"):
            self.assertIn(said, self.made(name))
        self.assertIn("| **missed by a factor of 80.0, on a busy machine** |", self.made("summary.md"))
        about["others"] = {"processors": "0.04", "stolen": "0.00", "load_average": "7.5"}
        self.write(lines, about)
        self.run_main()
        self.assertNotIn("busy", self.made("summary.md"))

    def test_subjects_may_be_named_by_id(self):
        lines = (rows("hot", 2, "mpool", [40.0]) + rows("hot", 2, "bdb", [1.0])
                 + rows("hot", 2, "new", [2.0]))
        about = {"subjects": [{"id": "bdb", "name": "BDB"}, {"id": "new", "name": "Newcomer"}]}
        self.write(lines, about)
        self.run_main()
        self.assertIn("|  | Berkeley DB | Newcomer |", self.made("summary.md"))
        self.assertIn("| hot | 40.0 (40.0, 40.0) | 20.0 (20.0, 20.0) |", self.made("summary.md"))
        self.csv.with_suffix(".json").unlink()
        self.run_main()
        self.assertIn("| hot | 40.0 (40.0, 40.0) | 20.0 (20.0, 20.0) |", self.made("summary.md"))

    def test_unknown_workloads_and_subjects(self):
        self.write(rows("new one", 2, "newcomer", [10.0]) + rows("new one", 2, "bdb", [5.0])
                   + rows("new one", 2, "libmpool", [20.0]), {"subjects": [{"id": "bdb", "name": "Berkeley DB"}]})
        self.run_main()
        text = self.made("summary.md")
        self.assertIn("|  | Berkeley DB | newcomer |", text)
        self.assertIn("| new one | 4.00 (4.00, 4.00) | 2.00 (2.00, 2.00) |", text)

    def test_parameters_are_not_mixed(self):
        self.write(rows("zipf", 2, "libmpool", [MILLION], parameter="0.9")
                   + rows("zipf", 2, "libmpool", [2 * MILLION], parameter="0.99"))
        self.run_main()
        text = self.made("results.md")
        self.assertIn("### zipf 0.9\n", text)
        self.assertIn("### zipf 0.99\n", text)

    def test_one_cell_is_enough(self):
        for line in (line for line in self.everything() if line[4] == 1):
            with self.subTest(line=line[:6]):
                self.write([line])
                self.run_main()
                self.assertIn("not measured", self.made("summary.md"))

    def test_nothing_done(self):
        self.write(rows("half", 2, "libmpool", [0.0]) + rows("half", 2, "libmpool", [0.0], "reads_per_second")
                   + rows("half", 2, "pread", [0.0]) + rows("half", 2, "bdb", [0.0])
                   + rows("growth-pages", 2, "libmpool", [0.0], parameter=1)
                   + rows("memory", 1, "libmpool", [-3.0], "bytes_per_page", 512))
        self.run_main()
        self.assertIn("0 of 17 goals reached", self.made("summary.md"))

    def test_without_libmpool(self):
        self.write([line for line in self.everything() if line[3] != "libmpool"], self.ABOUT)
        self.run_main()
        self.assertIn("Nothing to compare", self.made("summary.md"))

    def test_output_elsewhere(self):
        self.write(self.everything())
        self.run_main("--output", str(self.directory / "there" / "and here"))
        self.assertTrue((self.directory / "there" / "and here" / "results.md").exists())
        self.assertFalse((self.directory / "results.md").exists())

    def test_without_matplotlib(self):
        self.write(self.everything())
        with unittest.mock.patch.object(report, "matplotlib", None):
            said = self.run_main()
        self.assertIn("python3-matplotlib", said)
        self.assertIn("| hot |", self.made("summary.md"))
        self.assertNotIn("](charts/", self.made("results.md"))

    @unittest.skipUnless(HAVE_MATPLOTLIB, "there is no matplotlib")
    def test_charts(self):
        self.write(self.everything(), self.ABOUT)
        self.run_main()
        names = ["deaths", "growth", "latency", "memory", "processes", "ratios", "throughput"]
        self.assertEqual(sorted(p.stem for p in (self.directory / "charts").iterdir()), names)
        for name in names:
            tree = xml.etree.ElementTree.fromstring(self.made(f"charts/{name}.svg"))
            self.assertEqual(tree.tag, "{http://www.w3.org/2000/svg}svg")
            self.assertIn("fill: #ffffff", self.made(f"charts/{name}.svg"))  # readable on dark pages
            self.assertEqual(re.findall(r' (?:[xydc]\w*|points)="[^"]*\.\d\d', self.made(f"charts/{name}.svg")), [])
        self.assertIn(">0.300</text>", self.made("charts/ratios.svg"))  # figures are not rounded

    @unittest.skipUnless(HAVE_MATPLOTLIB, "there is no matplotlib")
    def test_charts_that_are_wanted(self):
        self.write(self.everything(), self.ABOUT)
        self.run_main("--charts", "ratios,memory")
        self.assertEqual(sorted(p.stem for p in (self.directory / "charts").iterdir()), ["memory", "ratios"])
        self.assertEqual(self.made("results.md").count("](charts/"), 2)

    def check_charts(self, results):
        with report.matplotlib.rc_context(report.LOOK):
            for chart in report.CHARTS:
                figure = chart(results)
                if figure:
                    with self.subTest(chart=chart.__name__):
                        self.assertEqual(charts.collisions(figure), [])
                        self.assertEqual(charts.lookalikes(figure), [])

    @unittest.skipUnless(HAVE_MATPLOTLIB, "there is no matplotlib")
    def test_charts_can_be_read(self):
        self.write(self.everything(), self.ABOUT)
        self.check_charts(report.read(self.csv))

    @unittest.skipUnless(HAVE_MATPLOTLIB, "there is no matplotlib")
    def test_charts_of_all_subjects_can_be_read(self):
        lines = []
        for subject in report.SUBJECTS:
            for threads in (1, 2, 4, 16, 64):
                lines += rows("half", threads, subject, [MILLION] * 3)
            for metric, value in zip(report.PERCENTILES, (20, 40, 80, 5e6)):
                lines += rows("latency", 2, subject, [value] * 3, metric)
            for parameter in (512, 1024, 4096):
                lines += rows("memory", 1, subject, [1234], "bytes_per_page", parameter)
        self.write(lines)
        self.check_charts(report.read(self.csv))

    @unittest.skipUnless(HAVE_MATPLOTLIB, "there is no matplotlib")
    def test_the_same_again(self):
        self.write(self.everything(), self.ABOUT)
        self.run_main("--output", str(self.directory / "a"))
        self.run_main("--output", str(self.directory / "b"))
        files = sorted(p.relative_to(self.directory / "a") for p in (self.directory / "a").rglob("*.*"))
        self.assertEqual(len(files), 9)
        for file in files:
            self.assertEqual(self.made(f"a/{file}"), self.made(f"b/{file}"), file)

    @unittest.skipUnless(HAVE_MATPLOTLIB, "there is no matplotlib")
    def test_charts_of_an_earlier_run_go(self):
        self.write(self.everything())
        self.run_main()
        self.write(rows("hot", 2, "libmpool", [MILLION]))
        self.run_main()
        self.assertEqual([p.stem for p in (self.directory / "charts").iterdir()], ["throughput"])


class Broken(Directory):
    def test_no_file(self):
        self.fails("results.csv", "No such file")

    def test_empty(self):
        self.csv.write_text("")
        self.fails("results.csv", "the first line must be")

    def test_other_header(self):
        self.csv.write_text("a,b\n1,2\n")
        self.fails("the first line must be workload,parameter,threads,subject,round,metric,value")

    def test_no_results(self):
        self.write([])
        self.fails("no results")

    def test_cut_off(self):
        self.write(rows("hot", 2, "libmpool", [1.0, 2.0]))
        self.csv.write_text(self.csv.read_text() + "hot,,2,libm")
        self.fails("results.csv:4:", "4 fields")

    def test_no_number(self):
        for value in ("fast", "", "nan", "inf"):
            with self.subTest(value=value):
                self.write(rows("hot", 2, "libmpool", [value]))
                self.fails("results.csv:2:")

    def test_no_round(self):
        self.write([("hot", "", 2, "libmpool", "first", "ops_per_second", 1)])
        self.fails("results.csv:2:", "first")

    def test_twice(self):
        self.write(rows("hot", 2, "libmpool", [1.0]) * 2)
        self.fails("round 1", "hot", "libmpool", "twice")

    def test_not_text(self):
        self.csv.write_bytes(b"\xff\xfe\x00")
        self.fails("results.csv")

    def test_broken_json(self):
        self.write(rows("hot", 2, "libmpool", [1.0]))
        for text in ("{", "[]", "7", '{"machine": 1}', '{"subjects": [1]}'):
            with self.subTest(text=text):
                self.csv.with_suffix(".json").write_text(text)
                self.fails("results.json")


if __name__ == "__main__":
    unittest.main()
