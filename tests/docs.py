#!/usr/bin/python3
"""docs.py BUILD - what the documents show is there.

Of each command in a block of README, CONTRIBUTING and their like: the program
exists and can be run; scripts, options, presets, labels, test cases, workloads,
scenarios and planted faults are ones that there are; files that are named match at
least one.  Of inline code, the same where it begins with a program of the project.
Programs are looked for in BUILD, whichever preset's directory the document names.
And the programs that README shows are those of examples/, to the letter; its pictures
are all that there are, and small.

SPDX-License-Identifier: BSD-2-Clause
"""
import functools
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BUILD = None  # set by main

# The documents, and the folder in which their commands are to be run.
DOCUMENTS = {"README.md": ".", "CONTRIBUTING.md": ".", "bench/README.md": ".", "src/README.md": ".",
             "stores/README.md": ".", "stores/rados/README.md": ".", "tests/explore/README.md": ".", "tests/litmus/README.md": "tests/litmus",
             "docs/use.md": ".", "docs/sharing.md": ".", "docs/eviction.md": ".", "docs/evidence.md": "."}

# What a stranger is shown: the README, and what it leads to.
SHOWN = ["README.md", "docs/use.md", "docs/sharing.md", "docs/eviction.md", "docs/evidence.md", "docs/machines.md"]

# The project's programs, as inline code has them; where they are in a build.
PROGRAMS = {"explore": "tests/explore/explore", "mpool-stress": "stress/mpool-stress", "mpool-top": "tools/mpool-top",
            "mpool-bench": "bench/mpool-bench", "mpool-replay": "bench/mpool-replay",
            "mpool-device": "bench/mpool-device", "mpool-trees": "bench/mpool-trees", "mpool-commits": "bench/mpool-commits", "mpool-files": "bench/mpool-files",
            "mpool-speed": "stress/mpool-speed"}
# Those that a reader brings.
SYSTEM = {"cmake", "ctest", "cc", "sudo", "ldconfig", "clang-format", "python3", "nbdkit", "nbdcopy"}
MODES = {"verify", "churn", "kill"}  # of mpool-stress, each with options of its own
# A script gives its options to the program.
PASSED_ON = {"scripts/bench": "mpool-bench", "scripts/bench-device": "mpool-device", "scripts/bench-trees": "mpool-trees",
             "scripts/replay": "mpool-replay"}
# Which know workloads and subjects by name, and end after --list.
MEASURED = ("mpool-bench", "mpool-device", "mpool-trees")
TESTS_WITH_CASES = "tests/test_"
MOST_OF_A_PICTURE = 100_000  # bytes
USAGE = 2  # the exit status of who is used wrongly
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*(\.csv|\.tsv)?(,\.\.\.)?$")


def all_shown():
    return "\n".join((SOURCE / name).read_text(encoding="utf-8") for name in SHOWN)


class Wrong(Exception):
    """What the command names is not there; the text says what."""


def output(*command):
    """What it prints, on either stream, and its exit status."""
    done = subprocess.run(list(map(str, command)), cwd=SOURCE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout, done.returncode


@functools.lru_cache(maxsize=None)
def help_of(*command):
    text, status = output(*command, "--help")
    if status != 0:
        raise Wrong(f"{' '.join(map(str, command))} --help ends with {status}")
    return text


@functools.lru_cache(maxsize=None)
def presets(kind):
    return {p["name"]: p for p in json.loads((SOURCE / "CMakePresets.json").read_text())[f"{kind}Presets"]
            if not p.get("hidden")}


@functools.lru_cache(maxsize=None)
def tests():
    """{name: labels} of ctest's."""
    text, _ = output("ctest", "--test-dir", BUILD, "--show-only=json-v1")
    return {t["name"]: next((p["value"] for p in t.get("properties", []) if p["name"] == "LABELS"), [])
            for t in json.loads(text[text.index("{"):])["tests"]}


# --- what a document shows ---

def blocks(text):
    """The lines of code of a Markdown text: (language, lines); "" is an indented block."""
    found, lines, language = [], [], None
    for line in text.splitlines() + [""]:
        if language is not None:
            if line.startswith("```"):
                found.append((language, lines))
                lines, language = [], None
            else:
                lines.append(line)
        elif line.startswith("```"):
            language = line[3:].strip() or "text"
        elif line.startswith("    ") and (lines or blank):
            lines.append(line[4:])
        elif lines:
            found.append(("", lines))
            lines = []
        blank = not line.strip() or bool(lines)
    return found


def commands(text):
    """Every command line in blocks, and inline code that begins with a program of the project."""
    for language, lines in blocks(text):
        if language in ("", "sh"):
            yield from filter(None, (re.sub(r"(^|\s)# .*", "", line).strip() for line in lines))
    outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", outside):
        first = code.split()[0]
        if first in ("ctest", "cmake") or (first in PROGRAMS and first != code) or re.match(r"(scripts/|build/\w+/)\w", first):
            yield " ".join(code.split())


def simple_commands(line):
    """The words of each command of a line."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "", line).replace("[", " [ ").replace("]", " ] "))
    one = []
    for word in words + ["&&"]:
        if word in ("&&", "||", "|", ";"):
            if one:
                yield one
            one = []
        elif word not in ("[", "]"):
            one.append(word)


# --- is it there? ---

def program_at(word, folder):
    """The file that is run: (path, its name among the project's programs)."""
    if word in PROGRAMS:
        return BUILD / PROGRAMS[word], word
    if word.startswith("build/"):
        _, tree, inside = word.split("/", 2)
        if not any(p.get("binaryDir", "build/" + name).endswith("/" + tree) for name, p in presets("configure").items()):
            raise Wrong(f"no preset builds in build/{tree}")
        return BUILD / inside, os.path.basename(inside)
    if "/" in word:
        return SOURCE / folder / word, str((SOURCE / folder / word).resolve().relative_to(SOURCE))
    if word not in SYSTEM:
        raise Wrong(f"{word} is no program of the project, nor one that tests/docs.py knows a reader to have")
    return Path(shutil.which(word) or "/" + word), word


def options_exist(text, words):
    for word in words:
        option = word.partition("=")[0]
        if re.match(r"--\w", option) and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text):
            raise Wrong(f"there is no {option}")
        if re.match(r"-\w$", option) and not re.search(rf"(?<![\w-]){re.escape(option)}\b", text):
            raise Wrong(f"there is no {option}")


def after(words, option):
    return [b for a, b in zip(words, words[1:]) if a == option]


def check_cmake(words):
    for mode, kind in (("--build", "build"), ("", "configure")):
        if (mode in words) if mode else ("--build" not in words):
            for name in after(words, "--preset"):
                if name not in presets(kind):
                    raise Wrong(f"there is no {kind} preset {name}")
    for directory in after(words, "--install"):
        if directory.removeprefix("build/") not in presets("configure"):
            raise Wrong(f"no preset builds in {directory}")
    for setting in (w for w in words if w.startswith("-D")):
        name = setting[2:].partition("=")[0].partition(":")[0]
        if name.startswith("MPOOL_") and not re.search(rf"^{name}:", (BUILD / "CMakeCache.txt").read_text(), re.M):
            raise Wrong(f"there is no setting {name}")


def check_ctest(words):
    for name in after(words, "--preset"):
        if name not in presets("test"):
            raise Wrong(f"there is no test preset {name}")
    for label in after(words, "-L"):
        if not any(re.search(label, has) for labels in tests().values() for has in labels):
            raise Wrong(f"no test has the label {label}")
    for pattern in after(words, "-R"):
        if not any(re.search(pattern, name) for name in tests()):
            raise Wrong(f"no test is called {pattern}")


def check_cases(path, words):
    """A Catch program: the pattern has test cases."""
    patterns = [w for w in words if not w.startswith("-")]
    text, _ = output(path, "--list-tests", *patterns)
    found = re.search(r"^(\d+) (?:matching )?test case", text, re.M)
    if not found or found[1] == "0":
        raise Wrong(f"{path.name} has no test case {' '.join(patterns)}")


def check_words(path, name, words):
    if name == "cmake":
        return check_cmake(words)
    if name == "ctest":
        return check_ctest(words)
    if name in SYSTEM:
        return None
    if str(path).startswith(str(BUILD / TESTS_WITH_CASES)):
        return check_cases(path, words)
    if name == "scripts/mutants":
        return check_mutants(path, words)
    if name == "scripts/setup":
        return check_setup(path, words)
    program = [BUILD / PROGRAMS[PASSED_ON[name]]] if name in PASSED_ON else [path]
    if name == "mpool-stress":
        if words and words[0] not in MODES:
            raise Wrong(f"mpool-stress has no mode {words[0]}")
        program += words[:1]
    if any(w.startswith("-") for w in words):
        if name == "fuzz_calls":
            options_exist((SOURCE / "tests/fuzz/replay.cpp").read_text(), words)
        else:
            options_exist(help_of(*program), words)
    if PASSED_ON.get(name, name) in MEASURED and not any(PLACEHOLDER.match(w) for w in words):
        text, status = output(*program, *words, "--list")
        if status != 0 and "in this build" not in text:  # another project's pool, which may be missing here
            raise Wrong(text.strip())
    if name == "explore":
        known = help_of(path) and output(path, "--list")[0] + output(path, "--list", "--deaths")[0]
        values = {words[i + 1] for i, w in enumerate(words[:-1]) if w.startswith("--") and w != "--deaths"}
        for scenario in (w for w in words if not w.startswith("-") and w not in values):
            if not re.search(rf"^{re.escape(scenario)}:", known, re.M):
                raise Wrong(f"there is no scenario {scenario}")
    return None


def check_mutants(path, words):
    values = {after for word, after in zip(words, words[1:]) if word in ("--table", "--jobs", "--build")}
    names = [w for w in words if not w.startswith("-") and w not in values and not PLACEHOLDER.match(w)]
    options_exist(help_of(path), [w for w in words if w.startswith("-")])
    text, status = output(path, "--list", *names)
    if status != 0 or not text.strip():
        raise Wrong(f"no fault is called {' '.join(names)}")


def check_setup(path, words):
    for word in words:
        if not re.search(rf"^  {word} ", help_of(path), re.M):
            raise Wrong(f"scripts/setup knows no purpose {word}")


def files_exist(words, folder):
    """What is named below a folder of the project is there."""
    top = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "build"}
    for word in words:
        inside = Path(folder) / word
        first = word.split("/")[0]
        if (("/" in word and first in top) or "*" in word and folder != ".") and not PLACEHOLDER.match(word):
            if "/" in word or folder != ".":
                if not glob.glob(str(SOURCE / (inside if folder != "." else word))):
                    raise Wrong(f"there is no file {word}")


def check(line, folder="."):
    for words in simple_commands(line):
        if words[0] == "sudo":
            words = words[1:]
        path, name = program_at(words[0], folder)
        if name not in SYSTEM and not (path.is_file() and os.access(path, os.X_OK)):
            raise Wrong(f"{words[0]} is no file that can be run")
        check_words(path, name, [w for w in words[1:]])
        files_exist(words[1:] if name != "scripts/mutants" else [], folder)


class Documents(unittest.TestCase):
    def test_commands(self):
        for document, folder in DOCUMENTS.items():
            shown = list(commands((SOURCE / document).read_text(encoding="utf-8")))
            self.assertTrue(shown, f"{document}: no commands are found")
            for line in shown:
                with self.subTest(document=document, command=line):
                    try:
                        check(line, folder)
                    except Wrong as wrong:
                        self.fail(str(wrong))

    def test_what_is_not_there_is_noticed(self):
        for line in ("scripts/bogus", "CONTRIBUTING.md", "cmake --preset bogus", "cmake --build --preset bogus",
                     "cmake --install build/bogus", "ctest --preset bogus", "ctest --preset release -L bogus",
                     "ctest --preset release -R bogus", "build/release/tests/test_bogus", "build/bogus/tests/test_contract",
                     "build/release/tests/test_contract 'bogus*'", "scripts/mutants 'bogus*'", "scripts/setup bogus",
                     "scripts/bench --bogus", "scripts/bench --workload bogus", "mpool-stress churn --bogus",
                     "mpool-stress bogus", "mpool-top --bogus", "explore bogus", "explore --bogus", "bogus",
                     "tests/litmus/litmus.py tests/litmus/bogus*.litmus"):
            with self.subTest(command=line):
                with self.assertRaises(Wrong):
                    check(line)

    def test_figures_are_recorded(self):
        text = all_shown()
        recorded = (SOURCE / "bench/results/summary.md").read_text(encoding="utf-8")
        cells = re.findall(r"\| (\d[\d.,]* \(\d[\d.,]*, \d[\d.,]*\)) (?=\|)", text)
        self.assertGreater(len(cells), 50)
        for cell in cells:
            with self.subTest(figure=cell):
                self.assertIn(f"| {cell} |", recorded)
        replay = (SOURCE / "bench/results/replay/summary.md").read_text(encoding="utf-8")
        head, _, means = re.search(r"^(\| Belady .*)\n(.*)\n(.*)$", text, re.M).groups()
        for policy, mean in zip(head.strip("| ").split(" | "), means.strip("| ").split(" | ")):
            with self.subTest(policy=policy):
                name = "OPT" if policy == "Belady" else policy
                found = re.search(rf"^\| \**{re.escape(name)}\** \| \d+ \| \**([\d.]+)", replay, re.M)
                self.assertEqual(f"{float(found[1]):.3f}", mean.strip("*"))

    def test_pictures_are_those_shown(self):
        shown = {name.removeprefix("../") for name in re.findall(r"!\[[^]]*\]\(([^)]*\.svg)\)", all_shown())}
        kept = {str(p.relative_to(SOURCE)) for p in (SOURCE / "bench").rglob("*.svg")}
        self.assertEqual(kept, shown)
        for name in kept:
            with self.subTest(picture=name):
                self.assertLess((SOURCE / name).stat().st_size, MOST_OF_A_PICTURE)
                self.assertIn("<text", (SOURCE / name).read_text(encoding="utf-8"))

    def test_limits_are_shown(self):
        rows = re.findall(r"^\| (.*) \|$", (SOURCE / "docs/limits.md").read_text(encoding="utf-8"), re.M)[2:]
        self.assertGreater(len(rows), 10)
        code = "".join(p.read_text(encoding="utf-8") for folder in ("src", "include") for p in (SOURCE / folder).rglob("*.h"))
        cases = "".join(p.read_text(encoding="utf-8") for p in (SOURCE / "tests").glob("test_*.cpp"))
        for row in rows:
            what, _, constants, _, shown = row.split("|")
            with self.subTest(limit=what):
                for constant in re.findall(r"`(\w+)`", constants):
                    self.assertRegex(code, rf"\b{constant}\b")
                tests = re.findall(r"`([^`]+)`", shown)
                self.assertTrue(tests, "no test shows it")
                for test in tests:
                    self.assertTrue((SOURCE / test).is_file() or f'TEST_CASE("{test}")' in cases, test)

    def test_programs_say_what_they_are(self):
        """--version and --help, and of wrong usage which option is meant, with one status."""
        version = re.search(r"^CMAKE_PROJECT_VERSION:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)[1]
        for name, path in PROGRAMS.items():
            if name.startswith("mpool-"):
                with self.subTest(program=name):
                    self.assertEqual(output(BUILD / path, "--version"), (f"{name} {version}\n", 0))
                    self.assertEqual(output(BUILD / path, "--help")[1], 0)
                    text, status = output(BUILD / path, "--bogus")
                    self.assertIn("--bogus", text)
                    self.assertEqual(status, USAGE)

    def test_counts_are_of_today(self):
        """How many planted faults, scenarios, litmus tests and cases of the models there are, wherever that is said."""
        cases = [sum(1 for line in (SOURCE / f"tests/model/{model}.runs").read_text().splitlines()
                     if line.strip() and not line.startswith("#")) for model in ("pins", "latches", "extents", "catalog")]
        # A line that is not indented is a name.
        faults = len(re.findall(r"^\w", output(SOURCE / "scripts/mutants", "--list")[0], re.M))
        scenarios = len(re.findall(r"^[\w-]+:", output(BUILD / PROGRAMS["explore"], "--list")[0], re.M))
        litmus = len(list((SOURCE / "tests/litmus").glob("*.litmus")))
        for document, said, count in (
                ("README.md", r"(\d+) planted faults", faults), ("docs/evidence.md", r"^- (\d+) faults to plant", faults),
                ("src/README.md", r"planted faults, one for each line that matters \| (\d+) \|", faults),
                ("docs/evidence.md", r"in (\d+)\nsmall scenarios", scenarios),
                ("src/README.md", r"schedules in (\d+) scenarios", scenarios),
                ("src/README.md", r"(\d+) tests, \d+ verdicts", litmus),
                ("src/README.md", r"(\d+), \d+, \d+ and \d+ cases", cases[0]),
                ("src/README.md", r"\d+, (\d+), \d+ and \d+ cases", cases[1]),
                ("src/README.md", r"\d+, \d+, (\d+) and \d+ cases", cases[2]),
                ("src/README.md", r"\d+, \d+, \d+ and (\d+) cases", cases[3])):
            with self.subTest(document=document, said=said):
                found = re.findall(said, re.sub(r"\n +", "\n", (SOURCE / document).read_text(encoding="utf-8")), re.M)
                self.assertEqual(found, [str(count)])

    def test_lists_of_faults_are_named(self):
        text = (SOURCE / "tests/mutants/README.md").read_text(encoding="utf-8")
        self.assertEqual({p.name for p in (SOURCE / "tests/mutants").glob("*.txt")}, set(re.findall(r"^\| \[(.*?\.txt)\]", text, re.M)))

    def test_labels_are_listed(self):
        text = (SOURCE / "CONTRIBUTING.md").read_text(encoding="utf-8")
        listed = re.search(r"# by label: (.*)", text)[1].split(", ")
        self.assertEqual(sorted(listed), sorted({label for labels in tests().values() for label in labels if label}))

    def test_programs_shown_are_the_examples(self):
        shown = ["\n".join(lines) + "\n" for language, lines in blocks(all_shown()) if language == "c"]
        examples = {p.name: p.read_text() for p in (SOURCE / "examples").glob("*.[ch]")}
        for name, text in examples.items():
            with self.subTest(example=name):
                self.assertEqual(shown.count(text), 1, f"no document shows examples/{name} as it is")
        self.assertEqual(len(shown), len(examples), "a document shows a program that is not in examples/")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: docs.py BUILD")
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
