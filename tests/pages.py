#!/usr/bin/env python3
"""pages.py SOURCE COMPILER - the manual pages' programs compile, without a warning; of each call of mpool.h, and of the
stores' headers, there is a page.

SPDX-License-Identifier: BSD-2-Clause
"""
import pathlib
import re
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
LITERAL = re.compile(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", re.M | re.S)
DECLARED = re.compile(r"^(?!typedef)[A-Za-z_][\w ]*?[ *](mpool_\w+)\(", re.M)


def programs(page):
    """What is shown in it that has a main, as mandoc would print it."""
    return [text.replace(r"\e", "\\") for text in LITERAL.findall(page) if re.search(r"^main\(", text, re.M)]


def compiles(compiler, headers, text):
    """What the compiler says against it."""
    folders = [f"-I{folder}" for folder in sorted({header.parent for header in headers})]
    done = subprocess.run([compiler, *WARNINGS, "-fsyntax-only", *folders, "-x", "c", "-"], input=text,
                          capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def main(source, compiler):
    source = pathlib.Path(source)
    pages = {path.name: path.read_text() for path in sorted((source / "man").glob("*.3"))}
    headers = [source / "include/mpool.h", source / "stores/nbd/mpool_nbd.h", source / "stores/rados/mpool_rados.h"]
    found = []
    assert compiles(compiler, headers, '#include <mpool.h>\nint main(void) { return mpool_bogus(); }\n')
    for name, page in pages.items():
        shown = programs(page)
        if not shown:
            found.append(f"{name} has no program")
        found += [f"{name}: {wrong}" for text in shown if (wrong := compiles(compiler, headers, text))]
    named = {call for page in pages.values() for call in re.findall(r"^\.Nm (mpool_\w+)", page, re.M)}
    declared = {call for header in headers for call in DECLARED.findall(header.read_text().split("#ifdef __cplusplus\n}")[0])}
    assert len(declared) > 10, "no declarations are found"
    found += [f"no page is about {call}" for call in sorted(declared - named)]
    for line in found:
        print("pages.py:", line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
