#!/usr/bin/env python3
"""probes.py SOURCE LIBRARY - the probes that src/os/probe.h lists are in the library, and others are not.

Each with as many arguments as are listed there; all that the manual page names; what scripts
in tools/ use is there.  None is in a hit: between the first and the last byte of mpool_get and of mpool_put, which have the
fast path in them and nothing else.

SPDX-License-Identifier: BSD-2-Clause
"""
import pathlib
import re
import subprocess
import sys

HITS = ("mpool_get", "mpool_put")
LISTED = re.compile(r"^ \*   (\w+) +(pool(?:, \w+)*)(?:  .*)?$", re.M)
NOTE = re.compile(r"Provider: (\S+)\s+Name: (\S+)\s+Location: (0x[0-9a-f]+),.*?\n\s+Arguments:(.*)")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def notes(text):
    """[(provider, name, address, arguments)] of what readelf -n prints."""
    return [(provider, name, int(at, 16), len(re.findall(r"-?\d+@", arguments)))
            for provider, name, at, arguments in NOTE.findall(text)]


def extent(symbols, name):
    """Where a function is: (from, to)."""
    found = re.search(rf"^\s*\d+: ([0-9a-f]+)\s+(\d+) FUNC\s.* {name}(?:@@\S+)?$", symbols, re.M)
    start = int(found[1], 16)
    return start, start + int(found[2])


def wrong(listed, there, hits, page):
    """All that is not as it is said to be."""
    found = []
    for name, arguments in listed.items():
        has = {n for provider, other, _, n in there if (provider, other) == ("mpool", name)}
        if has != {arguments}:
            found.append(f"the probe {name} is to have {arguments} arguments: {sorted(has) or 'there is none'}")
        if not re.search(rf"^\.It Fn {name} ", page, re.M):
            found.append(f"man/mpool.3 does not name the probe {name}")
    for provider, name, at, _ in there:
        if provider != "mpool" or name not in listed:
            found.append(f"{provider}:{name} is not listed in src/os/probe.h")
        for hit, (start, end) in hits.items():
            if start <= at < end:
                found.append(f"{hit} has a probe, {name}")
    return found


def unknown(listed, script):
    """What a script of bpftrace's uses that is not there."""
    found = []
    for name, body in re.findall(r"^usdt:\*:mpool:(\w+)\n(?:/[^/]*/\n)?\{(.*?)^\}", script, re.M | re.S):
        if name not in listed:
            found.append(f"there is no probe {name}")
        found += [f"the probe {name} has no arg{n}" for n in re.findall(r"\barg(\d+)", body) if int(n) >= listed.get(name, 0)]
    return found


def planted():
    """What it is to see."""
    assert not unknown({"a": 2}, "usdt:*:mpool:a\n/arg0/\n{\n\t@ = arg1;\n}\n")
    assert unknown({"a": 2}, "usdt:*:mpool:a\n{\n\t@ = arg2;\n}\n") and unknown({"a": 2}, "usdt:*:mpool:b\n{\n}\n")
    page = '.It Fn a "b" "c"\n'
    assert not wrong({"a": 2}, [("mpool", "a", 5, 2)], {"hit": (6, 9)}, page)
    for listed, there, hits in (({"a": 2}, [], {}),  # there is none
                                ({"a": 2}, [("mpool", "a", 5, 1)], {}),  # of another number of arguments
                                ({"a": 2}, [("mpool", "a", 5, 2), ("mpool", "a", 6, 1)], {}),
                                ({"a": 2}, [("mpool", "a", 5, 2), ("mpool", "b", 6, 2)], {}),  # not listed
                                ({"a": 2}, [("mpool", "a", 6, 2)], {"hit": (6, 9)})):
        assert wrong(listed, there, hits, page), (listed, there, hits)
    assert wrong({"a": 2}, [("mpool", "a", 5, 2)], {}, "")


def main(source, library):
    planted()
    listed = {name: 1 + arguments.count(",")
              for name, arguments in LISTED.findall((pathlib.Path(source) / "src/os/probe.h").read_text())}
    assert len(listed) > 4, "no list of probes is found"
    symbols = output("readelf", "-sW", library)
    found = wrong(listed, notes(output("readelf", "-nW", library)), {hit: extent(symbols, hit) for hit in HITS},
                  (pathlib.Path(source) / "man/mpool.3").read_text())
    scripts = sorted((pathlib.Path(source) / "tools").glob("*.bt"))
    assert scripts, "no scripts are found"
    found += [f"{path.name}: {what}" for path in scripts for what in unknown(listed, path.read_text())]
    for line in found:
        print("probes.py:", line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
