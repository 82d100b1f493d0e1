#!/usr/bin/env python3
"""layout.py SOURCE [--write] - whoever changes what processes share raises its version.

Hashes the definitions, without comments and spaces, of all that stands in a shared
object: the preamble, the header and what it contains, stripes, tables, frames; and the
bits and sizes by which they are read.  tests/layout.txt has the hash of each version of
the layout.  --write adds that of a new version; an old one's stays, unless names only
have changed, which is for who writes it to know: then the line is removed first.

Before it looks at the library it changes a field, and must see it.
"""
import hashlib
import pathlib
import re
import sys

ROOTS = ["preamble", "header", "stripe", "table", "frame", "line", "catalog_state", "file_slot", "extent_owner"]
# Macros and enums that give meaning to bits, or sizes to arrays.
MEANING = re.compile(r"^#define ((?:FRAME|ENTRY|SLOT|CHUNK|MEMBER|STRIPE|STRIPES|BUSY|PAST|TORN|WAIT_QUEUES|SHARDS_MAX|SHARD|"
                     r"MEMBERS_MAX|PENDING_MAX|LINE_WORDS|CACHE_LINE|PAGE_ALIGN|TABLE|LATCH|WITNESSES|SUMMARY|USERS|COUNT|"
                     r"FILE|FILES|EXTENT|OWNER|CLOSER|CATALOG|CUT|END|FORM)\w*)(.*)$",
                     re.M)
STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\}", re.M | re.S)
VERSION = re.compile(r"^#define LAYOUT_VERSION +(\d+)u", re.M)


def plain(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"\\\n", " ", text)


def definitions(text):
    """Of the structs that the roots lead to, and of the macros and enums."""
    bodies = dict(STRUCT.findall(text))
    seen, todo = [], list(ROOTS)
    while todo:
        name = todo.pop(0)
        if name in seen or name not in bodies:
            continue
        seen.append(name)
        todo += re.findall(r"struct (\w+) (?!\*)", bodies[name])
    missing = [name for name in ROOTS if name not in seen]
    if missing:
        sys.exit(f"layout.py: there is no struct {missing[0]} any more")
    parts = [f"struct {name} {{{bodies[name]}}}" for name in seen]
    parts += [f"{name} {value}" for name, value in sorted(MEANING.findall(text))]
    parts += sorted(re.findall(r"^enum[^;{]*\{.*?\}", text, re.M | re.S))
    return ["".join(part.split()) for part in parts]


def hashed(text):
    return hashlib.sha256("\n".join(definitions(text)).encode()).hexdigest()[:16]


def main():
    source = pathlib.Path(sys.argv[1])
    text = plain("\n".join(p.read_text() for p in sorted((source / "src").glob("*/*.h"))))
    now, version = hashed(text), VERSION.search((source / "src/share/object.c").read_text())[1]
    for field in ("uint32_t evictors;", "uint32_t drained;", "uint64_t total,"):
        assert text.count(field) == 1 and hashed(text.replace(field, field.replace("_t ", "_t other_"))) != now, field
    record = source / "tests/layout.txt"
    known = dict(line.split() for line in record.read_text().splitlines() if not line.startswith("#"))
    if sys.argv[2:] == ["--write"]:
        if version in known and known[version] != now:
            sys.exit(f"layout.py: version {version} has another hash: raise LAYOUT_VERSION in src/share/object.c")
        if version not in known:
            with record.open("a") as f:
                f.write(f"{version} {now}\n")
        return
    if known.get(version) != now:
        sys.exit(f"layout.py: what processes share is not that of version {version}: raise LAYOUT_VERSION in "
                 "src/share/object.c, and run tests/layout.py SOURCE --write")
    print(f"layout.py: version {version}, {len(definitions(text))} definitions: {now}")


if __name__ == "__main__":
    main()
