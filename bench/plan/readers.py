#!/usr/bin/python3
"""readers.py [--output DIR] [--notices N] [--seed N] - one writer, many readers: what telling them of changes costs.

A simulation of what stores/rados does (docs/machines.md has the assumptions, and what they are taken from): after each sync the
writer writes the head, and notifies its watchers of the ranges that have changed; the primary OSD of the head sends the
notice to one reader after the other, and takes their answers one after the other; a reader forgets the ranges, and answers;
the notice ends when all have answered, or its time is up.  What is synced meanwhile goes with the next notice.

Prints the table, and writes into DIR plan.md and, when matplotlib is there, charts/staleness.svg.  The same seed gives the same
figures.

SPDX-License-Identifier: BSD-2-Clause
"""
import argparse
import math
import random
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reports

MS, US = 1e-3, 1e-6


@dataclass(frozen=True)
class Plan:
    """What is assumed; seconds and bytes where nothing else is said."""
    name: str
    readers: int = 1000
    heads: int = 1  # objects that are watched, each on another primary; readers are shared out among them
    syncs: float = 20  # asked for in a second
    pages: int = 100  # changed by a sync, each a range of its own
    page: int = 4096
    # Of stores/rados: notice.c, ranges.h, mpool_rados.h, reader.c.
    fields: int = 40
    range: int = 16
    ranges_most: int = 512
    notice_timeout: float = 5
    watch_timeout: float = 15
    check: float = 2
    # The cluster.
    header: int = 300  # of a message, with its frames
    send: float = 20 * US  # the primary's time for a message to a reader
    answer: float = 100 * US  # ... for an answer, a small operation in the object's placement group
    network: float = 25e9 / 8  # bytes a second of a node
    trip: float = 0.1 * MS  # one way
    head_write: float = 2 * MS
    watcher: int = 80  # bytes of a watcher in the object's info, which every write of the object writes
    disk: float = 500e6  # bytes a second for that
    osds: int = 48
    osd_reads: float = 20000  # in a second, of 4 KiB
    # A reader.
    wake: float = 0.2 * MS  # median, log-normal
    wake_sigma: float = 0.6
    forget: float = 2 * US  # a range
    pause: float = 0.001  # of the notices find a reader in a pause
    pause_mean: float = 50 * MS  # exponential
    dies: float = 30 * 86400  # mean time between two deaths, or losses of connection, of a reader
    has: float = 0.3  # of the pages that change a reader has, and wants again before the next change

    def notice_bytes(self, ranges):
        return self.fields + self.range * min(ranges, self.ranges_most)

    def head_time(self):
        return self.head_write + self.readers / self.heads * self.watcher / self.disk

    def fan_out(self, ranges):
        """The primary's time for one notice, and that of its network."""
        per = self.readers / self.heads
        return per * (self.send + self.answer), per * (self.notice_bytes(ranges) + self.header) / self.network

    def reloads(self, pages_a_second):
        return pages_a_second * self.readers * self.has


PLANS = (
    Plan("100 readers", readers=100),
    Plan("1,000 readers"),
    Plan("10,000 readers", readers=10000),
    Plan("10,000, 32 heads", readers=10000, heads=32),
    Plan("10,000, 32 heads, short timeouts", readers=10000, heads=32, notice_timeout=0.25, watch_timeout=2, check=0.5),
    Plan("10,000, the same, a cluster of ten times", readers=10000, heads=32, notice_timeout=0.25, watch_timeout=2, check=0.5, osds=480),
)


@dataclass
class Outcome:
    plan: Plan
    seconds: float = 0
    notices: int = 0
    sent: int = 0  # bytes of notices, each once
    forgotten: int = 0  # pages
    timed_out: int = 0
    primary: float = 0  # seconds that the busiest one was busy
    syncs: list = field(default_factory=list)  # how long each took, from when it was asked for
    stale: list = field(default_factory=list)  # how long a page that had changed was read as it was before

    def rate(self):
        return self.notices / self.seconds

    def busy(self):
        """{what: which part of what it can do}, of the time, or of the cluster's reads."""
        bytes_a_notice = self.sent / self.notices + self.plan.header
        return {
            "the head's primary": self.primary / self.seconds,
            "its network": self.rate() * self.plan.readers / self.plan.heads * bytes_a_notice / self.plan.network,
            "reads of what was forgotten": self.plan.reloads(self.forgotten / self.seconds) / (self.plan.osds * self.plan.osd_reads),
        }


def quantile(values, part):
    return values[min(len(values) - 1, int(part * len(values)))]


def head_answers(plan, chance, readers, begun, ranges):
    """When a head's readers have forgotten, when its last answer is taken, and how long its primary was busy."""
    message = max(plan.send, (plan.notice_bytes(ranges) + plan.header) / plan.network)
    forgotten = []
    for place in range(readers):
        came = begun + (place + 1) * message + plan.trip
        delay = plan.wake * math.exp(chance.gauss(0, plan.wake_sigma)) + ranges * plan.forget
        if chance.random() < plan.pause:
            delay += chance.expovariate(1 / plan.pause_mean)
        forgotten.append(came + delay)
    end = begun + readers * message
    for came in sorted(forgotten):
        end = max(end, came + plan.trip) + plan.answer
    return forgotten, end, readers * (message + plan.answer)


def simulate(plan, notices, seed):
    chance = random.Random(seed)
    out = Outcome(plan)
    now, asked, next_sync = 0.0, [], chance.expovariate(plan.syncs)
    deaf = []  # until when the cluster waits for a reader that has died
    next_death = chance.expovariate(plan.readers / plan.dies)
    shares = [plan.readers // plan.heads + (i < plan.readers % plan.heads) for i in range(plan.heads)]
    for _ in range(notices):
        now = max(now, next_sync)
        while next_sync <= now:
            asked.append(next_sync)
            next_sync += chance.expovariate(plan.syncs)
        while next_death <= now:
            deaf.append(next_death + plan.watch_timeout)
            out.stale.append(plan.check)  # it finds out itself, if it lives
            next_death += chance.expovariate(plan.readers / plan.dies)
        pages = plan.pages * len(asked)
        begun = now + plan.head_time() + plan.trip
        ends, primary = [], 0
        for share in shares:
            forgotten, end, work = head_answers(plan, chance, share, begun, min(pages, plan.ranges_most))
            out.stale += [at - now for at in forgotten]
            ends.append(end)
            primary = max(primary, work)
        # Who has died is waited for until the cluster notices; and nobody for longer than a notice's time.
        answered = max(ends + [until for until in deaf if until > begun])
        end = min(answered, begun + plan.notice_timeout)
        out.timed_out += answered > end
        deaf = [until for until in deaf if until > end]
        end += plan.trip
        out.syncs += [end - at for at in asked]
        out.notices += 1
        out.sent += plan.notice_bytes(pages)
        out.forgotten += pages
        out.primary += primary
        asked, now = [], end
    out.seconds = now
    out.syncs.sort()
    out.stale.sort()
    return out


def most_notices(plan):
    """{what: notices a second at which it has nothing left}, of the notices' least size; what a change costs does not go by notices."""
    primary, network = plan.fan_out(plan.pages)
    one_by_one = plan.head_time() + 4 * plan.trip + primary + plan.wake
    return {"one notice after the other": 1 / one_by_one, "the head's primary": 1 / primary, "its network": 1 / network}


def deaths_share(plan):
    """Which part of the time some reader that has died is waited for."""
    return 1 - math.exp(-plan.readers / plan.dies * plan.watch_timeout)


def ms(seconds):
    return reports.number(seconds / MS)


def percent(part):
    return f"{reports.number(100 * part)} %"


def lines_of(outcomes):
    rows, most = [], []
    for o in outcomes:
        busiest = max(o.busy(), key=o.busy().get)
        rows.append((o.plan.name, reports.number(o.rate()), reports.number(o.sent / o.notices), reports.number(len(o.syncs) / o.notices),
                     ms(quantile(o.syncs, 0.5)), ms(quantile(o.syncs, 0.99)),
                     *(ms(quantile(o.stale, part)) for part in (0.5, 0.99, 0.999)), ms(o.stale[-1]),
                     *map(percent, o.busy().values()), busiest))
        limits = most_notices(o.plan)
        most.append((o.plan.name, *(reports.number(limit) for limit in limits.values()), percent(deaths_share(o.plan)),
                     reports.thousands(o.plan.reloads(o.plan.syncs * o.plan.pages))))
    return [
        *reports.table(["", "notices a second", "bytes a notice", "syncs a notice", "a sync, ms", "99 %", "stale, ms", "99 %", "99.9 %", "the worst",
                        *outcomes[0].busy(), "busiest"], rows),
        *reports.table(["the most notices a second", *most_notices(outcomes[0].plan), "of the time some dead reader is waited for", "reads again a second"],
                       most),
    ]


INKS = ("#7F7F7F", "#D55E00", "#0072B2", "#56B4E9", "#009E73", "#CC79A7")


def staleness_chart(outcomes):
    figure, (axes,) = reports.panels(1, 1, 3.4, 0.6)
    for ink, o in zip(INKS, outcomes):
        parts = [10 ** (-i / 20) for i in range(81)]
        axes.plot([quantile(o.stale, 1 - part) / MS for part in parts], parts, color=ink)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("ms after a sync began to write the head")
    axes.set_ylabel("of the readers and notices")
    reports.titles(axes, "Who still reads what was before", "simulated")
    return reports.finish(figure, 0.6, looks={o.plan.name: {"color": ink} for ink, o in zip(INKS, outcomes)})


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="readers.py", description="One writer, many readers: what telling them of changes costs.")
    parser.add_argument("--output", metavar="DIR", help="write plan.md and charts/staleness.svg there")
    parser.add_argument("--notices", metavar="N", type=int, default=300, help="of each plan (300)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of what is drawn (1)")
    options = parser.parse_args(arguments)
    outcomes = [simulate(plan, options.notices, options.seed) for plan in PLANS]
    lines = lines_of(outcomes)
    print("\n".join(lines))
    if options.output:
        output = Path(options.output)
        output.mkdir(parents=True, exist_ok=True)
        reports.draw({"staleness": lambda: staleness_chart(outcomes)}, output / "charts")
        (output / "plan.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
