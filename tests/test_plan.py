#!/usr/bin/python3
"""The plan of many readers assumes of stores/rados what is in its source, and simulates what it says."""
import contextlib
import importlib.util
import io
import random
import re
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("readers", SOURCE / "bench/plan/readers.py")
plan = sys.modules["readers"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plan)

SMALL = replace(plan.PLANS[0], readers=20)
# Nothing is drawn but when a sync is asked for, and what is asked for is much.
EVEN = replace(SMALL, wake_sigma=0, pause=0, dies=1e30, syncs=1e6, pages=1)


def number_in(path, pattern):
    found = re.search(pattern, (SOURCE / "stores/rados" / path).read_text(encoding="utf-8"))
    return int(found[1])


class Plans(unittest.TestCase):
    def test_is_of_the_store(self):
        words = re.search(r"enum \{ (MAGIC[A-Z, ]*)FIELDS \}", (SOURCE / "stores/rados/notice.c").read_text(encoding="utf-8"))[1]
        p = plan.Plan("")
        self.assertEqual(p.fields, 8 * words.count(","))
        self.assertEqual(p.range, 8 * number_in("notice.c", r"PAIR = (\d+)"))
        self.assertEqual(p.ranges_most, number_in("ranges.h", r"RANGES_MAX = (\d+)"))
        self.assertEqual(p.notice_timeout, number_in("mpool_rados.h", r"int notice; .*; (\d+) \*/"))
        self.assertEqual(p.watch_timeout, number_in("mpool_rados.h", r"int watch; .*; (\d+) \*/"))
        self.assertEqual(p.check, number_in("mpool_rados.h", r"int check_ms; .*; (\d+) \*/") / 1000)

    def test_is_the_same_in_every_run(self):
        first, second, other = (plan.simulate(SMALL, 20, seed) for seed in (1, 1, 2))
        self.assertEqual(first, second)
        self.assertNotEqual(first.stale, other.stale)

    def test_a_notice_takes_what_its_parts_take(self):
        ranges = 3
        forgotten, end, busy = plan.head_answers(EVEN, random.Random(1), 20, 0, ranges)
        first = EVEN.send + EVEN.trip + EVEN.wake + ranges * EVEN.forget
        self.assertAlmostEqual(forgotten[0], first)
        self.assertAlmostEqual(forgotten[-1], first + 19 * EVEN.send)
        # Answers take longer than messages: they stand in a row from the first on.
        self.assertAlmostEqual(end, first + EVEN.trip + 20 * EVEN.answer)
        self.assertAlmostEqual(busy, 20 * (EVEN.send + EVEN.answer))

    def test_notices_are_no_more_than_can_be(self):
        for p in (EVEN, replace(EVEN, readers=200), replace(EVEN, readers=200, heads=4)):
            found = plan.simulate(p, 50, 1)
            self.assertLessEqual(found.rate(), plan.most_notices(p)["the head's primary"])
            self.assertGreater(found.rate(), 0.5 * plan.most_notices(p)["one notice after the other"])

    def test_who_has_died_is_waited_for_and_for_no_longer_than_a_notice_has(self):
        p = replace(EVEN, dies=0.1, notice_timeout=0.2, watch_timeout=1)
        found = plan.simulate(p, 20, 1)
        self.assertGreater(found.timed_out, 10)
        self.assertLessEqual(found.seconds / found.notices, p.notice_timeout + 10 * plan.MS)

    def test_the_program_writes_what_it_prints(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
            plan.main(["--notices", "2", "--output", folder])
            self.assertEqual((Path(folder) / "plan.md").read_text(encoding="utf-8").strip(), printed.getvalue().strip())
            if plan.reports.matplotlib:
                self.assertIn("<svg", (Path(folder) / "charts/staleness.svg").read_text(encoding="utf-8"))
        for p in plan.PLANS:
            self.assertIn(f"| {p.name} |", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
