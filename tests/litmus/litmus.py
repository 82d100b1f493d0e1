#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""litmus.py - does C11's memory model, as RC11 has it, allow the outcome of a litmus test?

usage: litmus.py [--plain DIRECTORY] FILE...

Each FILE is a test in herd7's C format.  All executions of it that RC11 allows
are enumerated.  In the first comment stands what must come out:

    expect forbidden    no execution has the outcome, and none has a data race (if nothing is said)
    expect allowed      some execution has it
    expect racy         some execution has a data race
    weaken P1: `a` -> `b`           with `a` in P1 replaced by `b` the outcome must show, or a data race
    weaken fenced P1: `a` -> `b`    the same, in that mode only (see below)
    modes membarrier                the test is meant for that mode only

Beyond herd7's format, barrier_light() and barrier_heavy() are those of src/os/barrier.h.
A test that has them is checked in two modes: "membarrier", where the light side
is nothing and the heavy side is membarrier(2), and "fenced", where both are
sequentially consistent fences.

--plain  write the tests as herd7 reads them, without the two barriers, to DIRECTORY

Exit status: 0 all came out as expected, 1 some did not, 2 a file cannot be read.
"""
import os
import re
import sys

# ---- the format --------------------------------------------------------------

ORDERS = ("relaxed", "acquire", "release", "acq_rel", "seq_cst")
TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(==|!=|<=|>=|&&|\|\||[-+*&|!<>=(){};,]))")
FETCH = {
    "atomic_exchange_explicit": lambda old, v: v,
    "atomic_fetch_add_explicit": lambda old, v: old + v,
    "atomic_fetch_sub_explicit": lambda old, v: old - v,
    "atomic_fetch_or_explicit": lambda old, v: old | v,
    "atomic_fetch_and_explicit": lambda old, v: old & v,
}
CAS = ("atomic_compare_exchange_strong_explicit", "atomic_compare_exchange_weak_explicit")


class Wrong(Exception):
    """A file that is not a litmus test of the kind known here."""


def tokens(text):
    out, at = [], 0
    text = text.rstrip()
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise Wrong(f"not understood: {text[at:at + 30]!r}")
        out.append(int(m.group(1)) if m.group(1) else m.group(2) or m.group(3))
        at = m.end()
    return out


class Parser:
    """A thread's statements, as nested tuples."""

    def __init__(self, text):
        self.left = tokens(text)
        self.left.reverse()

    def peek(self):
        return self.left[-1] if self.left else None

    def take(self, want=None):
        if not self.left or (want is not None and self.left[-1] != want):
            raise Wrong(f"{want!r} expected before {self.left[::-1][:6]}")
        return self.left.pop()

    def block(self):
        out = []
        while self.left and self.peek() != "}":
            out.append(self.statement())
        return out

    def body(self):
        if self.peek() != "{":
            return [self.statement()]
        self.take("{")
        out = self.block()
        self.take("}")
        return out

    def statement(self):
        word = self.take()
        if word == "if":
            self.take("(")
            condition = self.expression()
            self.take(")")
            yes, no = self.body(), []
            if self.peek() == "else":
                self.take()
                no = self.body()
            return ("if", condition, yes, no)
        if word == "*":
            place = self.take()
            self.take("=")
            out = ("do", None, ("store", place, self.expression(), "na"))
        elif word == "int":
            name = self.take()
            if self.peek() == "=":
                self.take()
                out = ("do", name, self.value())
            else:
                out = ("do", name, ("is", 0))
        elif self.peek() == "=":
            self.take()
            out = ("do", word, self.value())
        else:
            out = ("do", None, self.call(word))
        self.take(";")
        return out

    def order(self):
        word = self.take()
        if not str(word).startswith("memory_order_") or word[13:] not in ORDERS:
            raise Wrong(f"no memory order: {word}")
        return word[13:]

    def comma(self):
        self.take(",")

    def call(self, name):
        self.take("(")
        if name in ("barrier_light", "barrier_heavy"):
            out = (name,)
        elif name == "atomic_thread_fence":
            out = ("fence", self.order())
        else:
            place = self.take()
            if name == "atomic_load_explicit":
                self.comma()
                out = ("load", place, self.order())
            elif name == "atomic_store_explicit":
                self.comma()
                value = self.expression()
                self.comma()
                out = ("store", place, value, self.order())
            elif name in FETCH:
                self.comma()
                value = self.expression()
                self.comma()
                out = ("fetch", place, name, value, self.order())
            elif name in CAS:
                self.comma()
                expected = self.take()
                self.comma()
                value = self.expression()
                self.comma()
                good = self.order()
                self.comma()
                out = ("cas", place, expected, value, good, self.order())
            else:
                raise Wrong(f"no such call: {name}")
        self.take(")")
        return out

    def value(self):
        word = self.peek()
        if word == "*":
            self.take()
            return ("load", self.take(), "na")
        if isinstance(word, str) and word.startswith("atomic_"):
            return self.call(self.take())
        return ("is", self.expression())

    LEVELS = (("||",), ("&&",), ("|",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"))

    def expression(self, level=0):
        if level == len(self.LEVELS):
            word = self.take()
            if word == "(":
                out = self.expression()
                self.take(")")
                return out
            return ("!", self.expression(level)) if word == "!" else word
        out = self.expression(level + 1)
        while self.peek() in self.LEVELS[level]:
            operator = self.take()
            out = (operator, out, self.expression(level + 1))
        return out


OPERATORS = {
    "||": lambda a, b: int(bool(a or b)), "&&": lambda a, b: int(bool(a and b)),
    "|": lambda a, b: a | b, "&": lambda a, b: a & b, "+": lambda a, b: a + b, "-": lambda a, b: a - b,
    "==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b), "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b), "<=": lambda a, b: int(a <= b), ">=": lambda a, b: int(a >= b),
}


def evaluate(e, local):
    if isinstance(e, int):
        return e
    if isinstance(e, str):
        if e not in local:
            raise Wrong(f"no such variable: {e}")
        return local[e]
    if e[0] == "!":
        return int(not evaluate(e[1], local))
    return OPERATORS[e[0]](evaluate(e[1], local), evaluate(e[2], local))


class Test:
    def __init__(self, path, text):
        self.path = path
        comments = re.findall(r"\(\*(.*?)\*\)", text, re.S)
        self.says = comments[0] if comments else ""
        bare = re.sub(r"\(\*.*?\*\)", " ", text, flags=re.S)
        m = re.match(r"\s*C\s+(\S+)\s*\{(.*?)\}(.*?)(?:\bfilter\b(.*?))?\bexists\b\s*(.*)$", bare, re.S)
        if not m:
            raise Wrong("not a C litmus test")
        self.name, start, threads, self.filter, self.outcome = m.groups()
        self.start = {k: int(v) for k, v in re.findall(r"\[?(\w+)\]?\s*=\s*(\d+)", start)}
        self.threads = []  # (parameters, text)
        for piece in re.split(r"\bP\d+\s*\(", threads)[1:]:
            parameters, _, body = piece.partition(")")
            self.threads.append((parameters, body.strip()[1:].rpartition("}")[0]))
        self.expect = (re.search(r"expect (\w+)", self.says) or [None, "forbidden"])[1]
        self.weaker = re.findall(r"weaken( \w+)? P(\d+): `([^`]*)` -> `([^`]*)`", self.says)

    def bodies(self):
        return [body for _, body in self.threads]

    def asymmetric(self):
        return any("barrier_" in body for body in self.bodies())

    def modes(self):
        if "modes membarrier" in self.says:
            return ("membarrier",)
        return ("membarrier", "fenced") if self.asymmetric() else ("",)


# ---- threads -------------------------------------------------------------------


class Thread:
    """What a thread does next, given what its loads have found."""

    def __init__(self, body, parameters, start):
        p = Parser(body)
        self.code = p.block()
        if p.left:
            raise Wrong("a } too many")
        self.parameters = parameters
        self.start = start
        self.memo = {}

    def run(self, code, local):
        for s in code:
            if s[0] == "if":
                yield from self.run(s[2] if evaluate(s[1], local) else s[3], local)
                continue
            _, name, what = s
            if what[0] == "is":
                got = evaluate(what[1], local)
            elif what[0] == "store":
                got = yield ("store", what[1], evaluate(what[2], local), what[3])
            elif what[0] == "fetch":
                operand, change = evaluate(what[3], local), FETCH[what[2]]
                got = yield ("rmw", what[1], lambda old, c=change, v=operand: c(old, v), what[4], what[4])
            elif what[0] == "cas":
                expected, new = local.get(what[2], self.start.get(what[2], 0)), evaluate(what[3], local)
                old = yield ("rmw", what[1], lambda old, e=expected, n=new: n if old == e else None, what[4], what[5])
                got = int(old == expected)
                local[what[2]] = old
            else:
                got = yield what
            if name is not None:
                local[name] = got

    def next(self, found):
        """The next event, or None and the variables at the end."""
        if found not in self.memo:
            local = {}
            steps = self.run(self.code, local)
            try:
                event = next(steps)
                for value in found:
                    event = steps.send(value)
                self.memo[found] = (event, None)
            except StopIteration:
                self.memo[found] = (None, local)
        return self.memo[found]


# ---- executions ----------------------------------------------------------------

# An event's number is thread * WIDTH + its place there; the first writes have a thread of their own.
WIDTH = 32
ACQUIRES = ("acquire", "acq_rel", "seq_cst")
RELEASES = ("release", "acq_rel", "seq_cst")


class Event:
    """kind: R, W, U (read-modify-write) or F.  before: the events that happen before it, as a
    set of bits.  gives: what is passed on to who acquires from this write."""
    __slots__ = ("kind", "place", "order", "got", "value", "source", "before", "gives")

    def __init__(self, kind, place, order, got, value, source, before, gives):
        self.kind, self.place, self.order = kind, place, order
        self.got, self.value, self.source = got, value, source
        self.before, self.gives = before, gives


class State:
    """An execution under way.  Equal keys: the same execution, however it came about."""
    __slots__ = ("events", "counts", "found", "mo", "heavy")

    def copy(self):
        s = State()
        s.events = dict(self.events)
        s.counts, s.found, s.heavy = list(self.counts), list(self.found), dict(self.heavy)
        s.mo = dict(self.mo)
        return s

    def key(self):
        rf = tuple(sorted((i, e.source if e.kind != "F" else (e.got,)) for i, e in self.events.items()
                          if e.source is not None or e.kind == "F"))
        return tuple(self.counts), tuple(self.found), tuple(self.mo.items()), rf, tuple(sorted(self.heavy.items()))


class Explorer:
    """All executions of the threads, built event by event: since no execution has a cycle of
    program order and reads-from, every one can be, and what happens before an event is known
    when it is added."""

    def __init__(self, threads, start, fenced):
        self.threads, self.fenced = threads, fenced
        self.places = sorted(start)
        s = State()
        s.events, s.mo, s.heavy = {}, {}, {}
        s.counts, s.found = [0] * len(threads), [()] * len(threads)
        self.first = 0
        for i, place in enumerate(self.places):
            number = len(threads) * WIDTH + i
            s.events[number] = Event("W", place, "na", None, start[place], None, 0, 0)
            s.mo[place] = (number,)
            self.first |= 1 << number
        self.start = s
        # Does anybody else's membarrier reach thread t?
        self.reached = [not fenced and any("barrier_heavy" in repr(o.code) for o in threads if o is not t)
                        for t in threads]

    def executions(self):
        seen, todo = set(), [self.start]
        while todo:
            s = todo.pop()
            more = self.steps(s)
            if more is None:
                yield s
                continue
            for n in more:
                key = n.key()
                if key not in seen:
                    seen.add(key)
                    todo.append(n)

    def steps(self, s):
        """The states after one more event; None: there is nothing left to do."""
        out, busy = [], False
        for t, thread in enumerate(self.threads):
            event, _ = thread.next(s.found[t])
            busy = busy or event is not None
            for caller in s.heavy:
                if caller != t and not s.heavy[caller][1] >> t & 1:
                    out.append(self.interrupt(s, caller, t))
            if event is None:
                continue
            new = self.step(s, t, event)
            # A step that depends on no other thread's: the others can wait for it.
            if event[0] in ("store", "fence", "barrier_light") and not self.reached[t]:
                return new
            out += new
        if not busy and not out:
            return None
        return out

    def step(self, s, t, event):
        if event[0] == "fence":
            return [self.fence(s, t, event[1])]
        if event[0] == "barrier_light":
            return [self.fence(s, t, "seq_cst")] if self.fenced else [self.nothing(s, t)]
        if event[0] == "barrier_heavy":
            return [self.fence(s, t, "seq_cst")] if self.fenced else self.membarrier(s, t)
        if event[0] == "store":
            return self.store(s, t, event)
        return self.load(s, t, event)

    # -- one event more

    def own(self, s, t):
        """What is before the next event of thread t."""
        n = s.counts[t]
        if n == 0:
            return self.first
        last = t * WIDTH + n - 1
        return s.events[last].before | 1 << last

    def add(self, s, t, event, found=None):
        n = s.copy()
        number = t * WIDTH + n.counts[t]
        if n.counts[t] == WIDTH:
            raise Wrong("a thread of too many events")
        n.counts[t] += 1
        n.events[number] = event
        if found is not None:
            n.found[t] = n.found[t] + found
        return n, number

    def nothing(self, s, t):
        n = s.copy()
        n.found[t] = n.found[t] + (0,)
        return n

    def of_thread(self, s, t):
        return [s.events[t * WIDTH + i] for i in range(s.counts[t])]

    def fence(self, s, t, order, before=0, found=(0,)):
        before |= self.own(s, t)
        if order in ACQUIRES:
            for e in self.of_thread(s, t):
                if e.source is not None and e.order != "na":
                    before |= s.events[e.source].gives
        return self.add(s, t, Event("F", None, order, None, None, None, before, 0), found)[0]

    # membarrier(2): a fence of the caller's, then one in every other thread, wherever that is
    # just then, then one of the caller's again.

    def membarrier(self, s, t):
        if t not in s.heavy:
            n = self.fence(s, t, "seq_cst", found=())
            n.heavy[t] = (t * WIDTH + n.counts[t] - 1, 1 << t)
            return [n]
        if s.heavy[t][1] != (1 << len(self.threads)) - 1:
            return []
        before = 0
        for number, e in s.events.items():
            if e.kind == "F" and e.got == t:
                before |= e.before | 1 << number
        n = self.fence(s, t, "seq_cst", before)
        del n.heavy[t]
        return [n]

    def interrupt(self, s, caller, t):
        number, reached = s.heavy[caller]
        before = s.events[number].before | 1 << number
        n = self.fence(s, t, "seq_cst", before, ())
        n.events[t * WIDTH + n.counts[t] - 1].got = caller
        n.heavy[caller] = (number, reached | 1 << t)
        return n

    def release(self, s, t, order, before, number):
        """What a write of that order gives to those who acquire."""
        if order in RELEASES:
            return before | 1 << number
        if order == "na":
            return 0
        for i in range(s.counts[t] - 1, -1, -1):
            e = s.events[t * WIDTH + i]
            if e.kind == "F" and e.order in RELEASES:
                return e.before | 1 << (t * WIDTH + i)
        return 0

    def floor(self, s, place, before):
        """How far in the modification order one is that comes after those events."""
        line, at = s.mo[place], 0
        for i, w in enumerate(line):
            if before >> w & 1:
                at = i
        for number, e in s.events.items():
            if e.source is not None and e.place == place and before >> number & 1:
                at = max(at, line.index(e.source))
        return at

    def readers(self, s, w):
        return any(e.kind == "U" and e.source == w for e in s.events.values())

    def store(self, s, t, event):
        _, place, value, order = event
        before = self.own(s, t)
        number = t * WIDTH + s.counts[t]
        line, out = s.mo[place], []
        for at in range(self.floor(s, place, before), len(line)):
            if self.readers(s, line[at]):
                continue  # nothing comes between a read-modify-write and what it read
            e = Event("W", place, order, None, value, None, before, self.release(s, t, order, before, number))
            n, _ = self.add(s, t, e, (0,))
            n.mo[place] = line[:at + 1] + (number,) + line[at + 1:]
            out.append(n)
        return out

    def load(self, s, t, event):
        place, change = event[1], event[2] if event[0] == "rmw" else None
        own = self.own(s, t)
        number = t * WIDTH + s.counts[t]
        line, out = s.mo[place], []
        for at in range(self.floor(s, place, own), len(line)):
            source = line[at]
            w = s.events[source]
            value = change(w.value) if change else None
            if value is not None and self.readers(s, source):
                continue
            order = event[2] if not change else event[3] if value is not None else event[4]
            before = own | (w.gives if order in ACQUIRES else 0)
            if self.floor(s, place, before) > at:
                continue
            gives = w.gives | self.release(s, t, order, before, number) if value is not None else 0
            e = Event("R" if value is None else "U", place, order, w.value, value, source, before, gives)
            n, _ = self.add(s, t, e, (w.value,))
            if value is not None:
                n.mo[place] = line[:at + 1] + (number,) + line[at + 1:]
            out.append(n)
        return out


# ---- what RC11 asks of a whole execution -----------------------------------------


def compose(a, b):
    """Relations are lists: for each event the set of its successors, as bits."""
    out = []
    for s in a:
        r = 0
        while s:
            low = s & -s
            r |= b[low.bit_length() - 1]
            s ^= low
        out.append(r)
    return out


def union(*relations):
    return [x | y for x, y in zip(relations[0], union(*relations[1:]))] if len(relations) > 1 else relations[0]


def closure(r):
    r = list(r)
    for k in range(len(r)):
        for i in range(len(r)):
            if r[i] >> k & 1:
                r[i] |= r[k]
    return r


class Execution:
    def __init__(self, state):
        self.numbers = sorted(state.events)
        self.events = [state.events[n] for n in self.numbers]
        at = {n: i for i, n in enumerate(self.numbers)}
        n = len(self.numbers)
        self.hb, self.sb, self.mo, self.rb, self.rf = ([0] * n for _ in range(5))
        for j, number in enumerate(self.numbers):
            before = self.events[j].before
            for i, other in enumerate(self.numbers):
                if before >> other & 1:
                    self.hb[i] |= 1 << j
                    if other // WIDTH == number // WIDTH:
                        self.sb[i] |= 1 << j
        for line in state.mo.values():
            for i, a in enumerate(line):
                for b in line[i + 1:]:
                    self.mo[at[a]] |= 1 << at[b]
        for j, e in enumerate(self.events):
            if e.source is not None:
                self.rf[at[e.source]] |= 1 << j
                self.rb[j] = self.mo[at[e.source]] & ~(1 << j)

    def same_place(self, r):
        return [sum(1 << j for j in range(len(r)) if s >> j & 1 and e.place is not None and self.events[j].place == e.place)
                for e, s in zip(self.events, r)]

    def only(self, r, left, right):
        return [s & right if left >> i & 1 else 0 for i, s in enumerate(r)]

    def consistent(self):
        """The axiom of sequential consistency: psc has no cycle."""
        sc = sum(1 << i for i, e in enumerate(self.events) if e.order == "seq_cst")
        if not sc:
            return True
        fences = sum(1 << i for i, e in enumerate(self.events) if e.order == "seq_cst" and e.kind == "F")
        one = [1 << i for i in range(len(self.events))]
        hb, sb = self.hb, self.sb
        elsewhere = [s & ~p for s, p in zip(sb, self.same_place(sb))]
        scb = union(sb, compose(compose(elsewhere, hb), elsewhere), self.same_place(hb), self.mo, self.rb)
        hb_or_one = union(one, hb)
        left = union(self.only(one, sc, sc), self.only(hb_or_one, fences, ~0))
        right = union(self.only(one, sc, sc), self.only(hb_or_one, ~0, fences))
        base = compose(compose(left, scb), right)
        eco = closure(union(self.rf, self.mo, self.rb))
        between = self.only(union(hb, compose(compose(hb, eco), hb)), fences, fences)
        psc = closure(union(base, between))
        return not any(s >> i & 1 for i, s in enumerate(psc))

    def racy(self):
        for i, a in enumerate(self.events):
            for j in range(i):
                b = self.events[j]
                if (a.place is not None and a.place == b.place and "na" in (a.order, b.order) and
                        (a.kind != "R" or b.kind != "R") and
                        not (self.hb[i] >> j & 1 or self.hb[j] >> i & 1)):
                    return True
        return False


# ---- a test --------------------------------------------------------------------


def outcome(text):
    """The condition, as a function of what a name stands for."""
    text = text.replace("/\\", " and ").replace("\\/", " or ").replace("~", " not ")
    names = []

    def name(m):
        names.append((m.group(1), m.group(2)))
        return f"(v({len(names) - 1}) == {m.group(3)})"

    code = re.sub(r"(?:(\d+):)?([A-Za-z_]\w*)\s*=\s*(\d+)", name, text)
    if not re.fullmatch(r"(?:\(v\(\d+\) == \d+\)|and|or|not|true|[()\s])*", code):
        raise Wrong(f"outcome not understood: {text}")
    compiled = compile(code.replace("true", "True").strip(), "outcome", "eval")
    return lambda find: eval(compiled, {"v": lambda i: find(*names[i])})  # of nothing but what was matched


def shared_places(test, threads):
    """Locations: what the tests start with, but for the words a compare-exchange expects."""
    expected = set()
    for t in threads:
        expected |= set(re.findall(r"\('cas', '\w+', '(\w+)'", repr(t.code)))
    names = {n for p, _ in test.threads for n in re.findall(r"\*\s*(\w+)", p)} | set(test.start)
    return {n: test.start.get(n, 0) for n in names - expected}


def check(test, bodies, fenced):
    """[executions, those with the outcome, those with a data race]."""
    threads = [Thread(b, p, test.start) for b, (p, _) in zip(bodies, test.threads)]
    explorer = Explorer(threads, shared_places(test, threads), fenced)
    holds, counts_at_all = outcome(test.outcome), outcome(test.filter or "true")
    counts = [0, 0, 0]
    for s in explorer.executions():
        e = Execution(s)
        if not e.consistent():
            continue
        variables = [t.next(f)[1] for t, f in zip(threads, s.found)]

        def find(thread, name):
            if thread is None:
                return s.events[s.mo[name][-1]].value
            return variables[int(thread)].get(name)

        if not counts_at_all(find):
            continue
        counts[0] += 1
        counts[1] += bool(holds(find))
        counts[2] += e.racy()
    return counts


def weakened(test, thread, a, b):
    bodies = test.bodies()
    if bodies[thread].count(a) != 1:
        raise Wrong(f"`{a}` is {bodies[thread].count(a)} times in P{thread}")
    bodies[thread] = bodies[thread].replace(a, b)
    return bodies


def cases(test):
    """(what, mode, bodies, expected)"""
    modes = test.modes()
    for mode in modes:
        yield "as it is", mode, test.bodies(), test.expect
    for only, thread, a, b in test.weaker:
        for mode in modes:
            if not only or only.strip() == mode:
                yield f"P{thread}: {b.strip() or 'without ' + a}", mode, weakened(test, int(thread), a, b), "shows"


def verdict(counts):
    return "racy" if counts[2] else "allowed" if counts[1] else "forbidden"


def run(test):
    """How many of the test's cases there are, and how many came out wrong."""
    n = wrong = 0
    for what, mode, bodies, expected in cases(test):
        counts = check(test, bodies, mode == "fenced")
        got = verdict(counts)
        good = counts[0] > 0 and (got != "forbidden" if expected == "shows" else got == expected)
        print(f"{'ok  ' if good else 'FAIL'} {test.name}{', ' + mode if mode else ''}, {what}: {got} "
              f"({counts[1]} of {counts[0]} executions{f', {counts[2]} racy' if counts[2] else ''})", flush=True)
        n += 1
        wrong += not good
    return n, wrong


# ---- for herd7 -----------------------------------------------------------------


def statements(body):
    """Where a statement may be put in: the ends of those that are there."""
    return [0] + [m.end() for m in re.finditer(r"[;{}]", body)]


def functions(test, bodies, extra):
    out = []
    for i, (body, (parameters, _)) in enumerate(zip(bodies, test.threads)):
        out.append(f"P{i} ({parameters}{''.join(', atomic_int* ' + e for e in extra)}) {{{body}}}\n")
    return "\n".join(out)


def plain(test):
    """(name, text) of what herd7 can read.  membarrier: each light thread is interrupted at one
    place, told by a flag, and says so by another; the caller's fences are around both."""
    start = "{ " + " ".join(f"{k}={v};" for k, v in test.start.items()) + " }"
    fence = "atomic_thread_fence(memory_order_seq_cst);"

    def text(name, bodies, only="", extra=()):
        return name, f"C {name}\n\n{start}\n\n{functions(test, bodies, extra)}\n{only}exists {test.outcome.strip()}\n"

    if not test.asymmetric():
        yield text(test.name, test.bodies())
        return
    if "fenced" in test.modes():
        yield text(test.name + "-fenced", [re.sub(r"barrier_\w+\(\);", fence, b) for b in test.bodies()])
    heavy = [i for i, b in enumerate(test.bodies()) if "barrier_heavy" in b]
    if len(heavy) != 1 or test.bodies()[heavy[0]].count("barrier_heavy") != 1:
        return
    caller, others = heavy[0], [i for i in range(len(test.threads)) if i != heavy[0]]
    extra = [w + str(i) for i in others for w in ("told", "done")]
    places = [[]]
    for i in others:
        places = [p + [(i, at)] for p in places for at in statements(test.bodies()[i])]
    for k, where in enumerate(places):
        bodies = [b.replace("barrier_light();", "") for b in test.bodies()]
        only = []
        call = [fence] + [f"atomic_store_explicit(told{i}, 1, memory_order_release);" for i in others]
        call += [f"int m{i} = atomic_load_explicit(done{i}, memory_order_acquire);" for i in others] + [fence]
        bodies[caller] = bodies[caller].replace("barrier_heavy();", " ".join(call))
        for i, at in where:
            body = test.bodies()[i]
            interrupt = (f" int m{i} = atomic_load_explicit(told{i}, memory_order_acquire); {fence} "
                         f"atomic_store_explicit(done{i}, 1, memory_order_release); ")
            bodies[i] = (body[:at] + interrupt + body[at:]).replace("barrier_light();", "")
            only += [f"{i}:m{i}=1", f"{caller}:m{i}=1"]
        yield text(f"{test.name}-membarrier-{k}", bodies, "filter (" + " /\\ ".join(only) + ")\n", extra)


def write_plain(test, directory):
    os.makedirs(directory, exist_ok=True)
    for name, text in plain(test):
        with open(os.path.join(directory, name + ".litmus"), "w", encoding="ascii") as f:
            f.write(text)


def main(arguments):
    directory = None
    if arguments[:1] == ["--plain"] and len(arguments) > 1:
        directory = arguments[1]
        arguments = arguments[2:]
    if arguments == ["--help"]:
        print(__doc__)
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(f"litmus.py: there is no option {arguments[0]}" if arguments else "litmus.py: no file is named",
              file=sys.stderr)
        print("usage: litmus.py [--plain DIRECTORY] FILE...", file=sys.stderr)
        return 2
    n = wrong = 0
    for path in arguments:
        try:
            with open(path, encoding="ascii") as f:
                test = Test(path, f.read())
            if directory:
                write_plain(test, directory)
                continue
            some, bad = run(test)
            n, wrong = n + some, wrong + bad
        except (Wrong, OSError) as problem:
            print(f"{path}: {problem}", file=sys.stderr)
            return 2
    if not directory:
        print(f"{n} cases, {wrong} unexpected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
