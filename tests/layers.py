#!/usr/bin/env python3
"""layers.py SOURCE OBJECT... - who calls whom in the library.

A module is a .c and .h of src/FOLDER/.  It may include, and call, modules of its own
folder and of those below it; no two modules call each other, by whatever way round.
Calls are what nm(1) tells of the library's object files, so one without its header is
seen too; and no two headers include each other.

A pointer to a function may lead upwards without being seen: so there is a list here of
those that there are, and what for.

The system is called by os/ and io/ alone.  Outside of them an object file may want of the C
library what is in the list here, and nothing else: so whoever wraps the system's calls, to
make them fail or to run them in any order, knows where they come from.  Whatever else these two
want, the explorer must know: its CMakeLists.txt has a list of what it wraps, and of what it need not.

The servers and stores are as users' programs: they include mpool.h and their own headers, nothing of src/.

Before it looks at the library it plants a call upwards, a circle and a call of the system's,
and must see them.
"""
import collections
import pathlib
import re
import subprocess
import sys

FOLDERS = ["os", "core", "io", "evict", "share", "api"]  # from below

# file: name of the pointer, or of its type
POINTERS = {
    "core/core.h": {
        "overdue": "a wait has taken long: look whether somebody died",
        "left": "a thread has left a call: give back what it held",
        "wanted": "a page was not written: ask for its file's descriptor"},
    "core/frame.h": {"frame_seen": "told of each frame"},
    "core/latch.h": {"mark_seen": "told of each mark"},
    "core/pin.h": {"pin_seen": "told of each slot", "stripe_test": "is it that stripe?"},
    "core/table.h": {"entry_seen": "told of each entry"},
    "core/thread.h": {"see": "told of each stripe of the thread"},
    "core/thread.c": {"see": "the same"},
    "evict/policy.h": {"skip": "is this frame passed by?"},
    "io/background.h": {
        "finish": "a read that nobody waits for is done: its pages are to be published",
        "look": "has what others load come?"},
    "io/torn.h": {"torn_test": "is that page cut off?"},
    "io/run.h": {"done": "who is told of a worker's read"},
    "io/submit.c": {"done": "the same, of a store's"},
    "io/submit.h": {"done": "the same"},
    "io/workers.c": {"done": "the same"},
    "io/workers.h": {"done": "the same"},
    "io/catalog.h": {"extent_seen": "told of each extent of a file"},
    "io/extent.h": {"see": "told of each file that is attached"},
    "io/extent.c": {"see": "the same"},
    "io/hooks.h": {"pgin": "the user's filter", "pgout": "the user's filter"},
    "io/hooks.c": {"by": "the user's hook"},
    "os/process.h": {"run": "what a thread of the library's own does"},
    "os/process.c": {"run": "the same"},
    "share/recover.c": {"stripe_seen": "told of each stripe"},
    "share/watch.h": {"ready": "the door's descriptor can be read"},
}
POINTER = re.compile(r"\(\*(\w+)\)\(|^typedef \w+ (\w+)\(", re.M)

# Whose objects may call the system.
DOORS = {"os", "io"}
# What the C library does within the process, or makes system calls for of its own accord.
LIBRARY = {
    "bytes and text": "memcpy memmove memset memcmp strlen strnlen strcmp snprintf sscanf qsort",
    "the process's memory": "malloc calloc realloc aligned_alloc free",
    "locks of its threads": "pthread_mutex_init pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_cond_wait"
                            " pthread_cond_broadcast pthread_mutex_destroy pthread_cond_init pthread_cond_signal"
                            " pthread_cond_destroy pthread_cond_timedwait pthread_condattr_init"
                            " pthread_condattr_setclock pthread_condattr_destroy",
    "to be called when a thread ends, or the process forks": "pthread_key_create pthread_key_delete"
                                                             " pthread_setspecific pthread_atfork",
    "os/cancel.h, which is all in its header": "pthread_setcancelstate",
    "errno, and the parts of a device's number": "__errno_location gnu_dev_major gnu_dev_minor",
}
# The same, in the two alone: text, the end, and jemalloc, which the explorer is built without.
LIBRARY_OF_DOORS = "strtoul perror vfprintf stderr abort sigfillset mallctl mallocx dallocx __cmsg_nxthdr" \
                   " pthread_attr_init pthread_attr_setstacksize pthread_attr_destroy"
EXPLORED = re.compile(r"^set\((?:of_the_system|refused|as_it_is) ([^)]*)\)", re.M)
WITHIN = {name for names in LIBRARY.values() for name in names.split()}
# snprintf and others, as compilers and libraries name them that check more, follow a newer standard, or have longer numbers.
ALIAS = re.compile(r"_*(?:isoc\d+_)?(\w+?)(?:_chk|64|_time64)*$")
# What the compiler calls of its own accord: to unwind, for arithmetic and atomic operations, to count.
COMPILER = re.compile(r"_GLOBAL_OFFSET_TABLE_|_Unwind_\w+|__gcc_personality_\w+|_*tls_get_addr|__stack_chk_fail\w*"
                      r"|__\w+[dst]i[2-4]|__(aarch64|atomic|gcov)_\w+|__llvm_\w+")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def folder(module):
    return FOLDERS.index(module.split("/")[0])


def upward(edges):
    """The edges that lead up: (from, to, by what)."""
    return [(a, b, by) for (a, b), by in sorted(edges.items()) if folder(b) > folder(a)]


def circles(edges):
    """Sets of modules each of which reaches all others (Tarjan's strongly connected components)."""
    after = collections.defaultdict(set)
    for a, b in edges:
        if a != b:
            after[a].add(b)
    index, low, stack, found = {}, {}, [], []

    def visit(a):
        index[a] = low[a] = len(index)
        stack.append(a)
        for b in sorted(after[a]):
            if b not in index:
                visit(b)
                low[a] = min(low[a], low[b])
            elif b in stack:
                low[a] = min(low[a], index[b])
        if low[a] == index[a]:
            at = stack.index(a)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for a in sorted(after):
        if a not in index:
            visit(a)
    return found


def beyond(wanted, known):
    """Those wants, (module, name), whose name is not known."""
    def is_known(name):
        alias = ALIAS.match(name)
        return name in known or (alias and alias[1] in known) or COMPILER.fullmatch(name)

    return [(module, name) for module, name in wanted if not is_known(name)]


def past_the_doors(wanted):
    """What modules want of the system that are not its door: (module, name)."""
    return beyond([(m, name) for m, name in wanted if m.split("/")[0] not in DOORS], WITHIN)


def not_explored(wanted, lists):
    """What those that are want, and the explorer has not heard of."""
    known = {name for names in EXPLORED.findall(lists) for name in names.split()}
    return beyond([(m, name) for m, name in wanted if m.split("/")[0] in DOORS],
                  known | WITHIN | set(LIBRARY_OF_DOORS.split()))


def includes(src, pattern):
    edges, wrong = {}, []
    for path in sorted(src.glob(pattern)):
        module = str(path.relative_to(src).with_suffix(""))
        for name in INCLUDE.findall(path.read_text()):
            if name in ("mpool.h", "mpool_peek.h"):
                continue
            if not (src / name).is_file() or "/" not in name:
                wrong.append(f"{path.relative_to(src)} includes {name}, which is not FOLDER/MODULE.h")
                continue
            edges[module, str(pathlib.PurePath(name).with_suffix(""))] = "#include"
    return edges, wrong


def calls(objects):
    """The calls between modules, and what each wants that none of them has: (module, name)."""
    defined, wanted = {}, []
    for path in objects:
        module = "/".join(pathlib.Path(path[:-len(".c.o")]).parts[-2:])
        out = subprocess.run(["nm", path], check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            kind, name = line.split()[-2:]
            if kind == "U":
                wanted.append((module, name))
            elif kind in "TDBRVW":
                defined[name] = module
    edges = {}
    for module, name in wanted:
        to = defined.get(name, module)
        if to != module:
            edges[module, to] = name
    return edges, [(module, name) for module, name in wanted if name not in defined]


def pointers(src):
    wrong, unused = [], {(f, n) for f, names in POINTERS.items() for n in names}
    for path in sorted(src.glob("*/*.[ch]")):
        its = str(path.relative_to(src))
        for one, other in POINTER.findall(path.read_text()):
            name = one or other
            if name not in POINTERS.get(its, ()):
                wrong.append(f"{its}: a pointer to a function, {name}, that is not in the list of {__file__}")
            unused.discard((its, name))
    return wrong + [f"{f} has no pointer to a function {n} any more" for f, n in sorted(unused)]


def from_outside(folder):
    """What a server or store includes that is neither its own nor installed."""
    wrong = []
    for path in sorted(folder.glob("*/*.[ch]")):
        for name in INCLUDE.findall(path.read_text()):
            if not (path.parent / name).is_file() or "/" in name:
                wrong.append(f"{path.relative_to(folder.parent)} includes {name}, which is not its own")
    return wrong


def planted():
    assert upward({("os/mem", "core/pin"): "x"}) and not upward({("core/pin", "os/mem"): "x"})
    assert circles({("io/a", "io/b"): "x", ("io/b", "core/c"): "x", ("core/c", "io/a"): "x"})
    assert not circles({("io/a", "io/b"): "x", ("io/a", "core/c"): "x", ("io/b", "core/c"): "x"})
    assert not_explored([("os/time", "nanosleep"), ("os/time", "usleep")], "set(refused a nanosleep\n b)") == [
        ("os/time", "usleep")]
    assert past_the_doors([("core/pin", "nanosleep")]) and past_the_doors([("share/join", "__open_2")])
    assert not past_the_doors([("os/time", "nanosleep"), ("core/pin", "memset"), ("core/pin", "__memset_chk"),
                               ("share/hand", "__isoc23_sscanf"), ("api/get", "_Unwind_Resume")])


def main():
    planted()
    src = pathlib.Path(sys.argv[1]) / "src"
    included, wrong = includes(src, "*/*.[ch]")
    headers, _ = includes(src, "*/*.h")
    called, wanted = calls(sys.argv[2:])
    explorer = (src.parent / "tests/explore/CMakeLists.txt").read_text()
    if len(called) < len(FOLDERS) or not wanted:
        wrong.append("no calls found")
    wrong += [f"{a} leads up to {b}, by {by}" for edges in (included, called) for a, b, by in upward(edges)]
    wrong += ["a circle of calls: " + ", ".join(c) for c in circles(called)]
    wrong += ["a circle of headers: " + ", ".join(c) for c in circles(headers)]
    wrong += [f"{module} calls {name}: only {' and '.join(sorted(DOORS))} call the system"
              for module, name in past_the_doors(wanted)]
    wrong += [f"{module} calls {name}, which the explorer has not heard of: name it in tests/explore/CMakeLists.txt"
              for module, name in not_explored(wanted, explorer)]
    wrong += pointers(src)
    wrong += from_outside(src.parent / "servers") + from_outside(src.parent / "stores")
    for line in wrong:
        print(f"layers: {line}", file=sys.stderr)
    modules = {m for edge in {**included, **called} for m in edge}
    print(f"layers: {len(modules)} modules, {len(called)} pairs that call, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
