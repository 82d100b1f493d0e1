#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""coverage.py - compare what gcovr found with the list of what is not run, and why.

usage: coverage.py COVERAGE.json LIST.md [--list]

Prints a table of lines and branches by file.  Exit status 1: a line is not run
and not in LIST.md, or one that is in the list is run, or is no longer there.
--list  print what is not run, or only by chance, as rows for the list, with the reasons that it has

The list is a table of file, function, line and reason.  A line is known by its
function and its text, so that it may move, and the function to another file.  A reason that begins with "chance:" is for what some
runs come by and others do not.
"""
import json
import os
import re
import sys

DEFINITION = re.compile(r"^[A-Za-z_].*?\b(\w+)\(")
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| ``? ?(.+?) ?``? \| (.+) \|$")
CHANCE = "chance:"


def functions(source):
    """The function that each line is in, by its number."""
    name, out = "", {}
    for number, line in enumerate(source, 1):
        found = DEFINITION.match(line)
        if found and not line.rstrip().endswith(";"):
            name = found.group(1)
        out[number] = name
    return out


def read_list(path):
    rows = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            found = ROW.match(line.rstrip("\n"))
            if found:
                file, function, text, reason = found.groups()
                rows[function, text.replace("\\|", "|")] = reason
    return rows


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "–"


class File:
    def __init__(self, entry):
        self.name = os.path.basename(entry["file"])
        with open(entry["file"], encoding="utf-8") as f:
            source = f.read().split("\n")
        inside = functions(source)
        lines = [l for l in entry["lines"] if not l.get("gcovr/noncode")]
        self.keys = {}  # of each line: was one of that text run, was one not?
        for line in lines:
            number = line["line_number"]
            key = (inside[number], source[number - 1].strip())
            self.keys.setdefault(key, set()).add(line["count"] > 0)
        self.lines, self.run = len(lines), sum(l["count"] > 0 for l in lines)
        branches = [b for l in lines for b in l["branches"]]
        self.branches, self.taken = len(branches), sum(b["count"] > 0 for b in branches)


def table(files):
    print("| file | lines | run | branches | taken |")
    print("|---|--:|--:|--:|--:|")
    for f in files:
        print(f"| {f.name} | {f.lines} | {percent(f.run, f.lines)} | {f.branches} | {percent(f.taken, f.branches)} |")
    lines, run, branches, taken = (sum(getattr(f, what) for f in files) for what in ("lines", "run", "branches", "taken"))
    print(f"| all | {lines} | {percent(run, lines)} | {branches} | {percent(taken, branches)} |")


def row(file, key, reason):
    function, text = key
    return f"| `{file}` | `{function}` | `` {text.replace('|', chr(92) + '|')} `` | {reason} |"


def main(arguments):
    if len(arguments) not in (2, 3) or arguments[2:] not in ([], ["--list"]):
        print(__doc__, file=sys.stderr)
        return 2
    with open(arguments[0], encoding="utf-8") as f:
        files = [File(entry) for entry in sorted(json.load(f)["files"], key=lambda e: e["file"])]
    seen, where = {}, {}
    for f in files:
        for key, runs in f.keys.items():
            seen.setdefault(key, set()).update(runs)
            where[key] = f.name
    not_run = [key for key, runs in seen.items() if False in runs]
    listed = read_list(arguments[1])
    if arguments[2:]:
        chance = [key for key in listed if key in seen and listed[key].startswith(CHANCE)]
        for key in sorted({*not_run, *chance}, key=lambda k: (where[k], k)):
            print(row(where[key], key, listed.get(key, "")))
        return 0
    table(files)
    missing = [key for key in not_run if key not in listed]
    gone = [key for key in listed if key not in seen]
    run = [key for key in listed if key in seen and False not in seen[key] and not listed[key].startswith(CHANCE)]
    for what, keys in (("not run, and not in the list", missing), ("in the list, but run", run),
                       ("in the list, but not in the source", gone)):
        if keys:
            print(f"\n{what}:\n")
            for key in keys:
                print("- " + ": ".join((where.get(key, "?"), *key)))
    chance = sum(reason.startswith(CHANCE) for reason in listed.values())
    print(f"\n{len(not_run)} lines not run; {len(listed)} in the list, of which {chance} by chance")
    return 1 if missing or gone or run else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
