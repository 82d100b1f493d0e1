"""serving.py - what the tests of the nbdkit plugin have in common: servers, files, seeds.

A test is TEST.py PLUGIN [CASE...]: it runs the functions of its module whose names begin
with case_, or those named.  It ends with 77, and says so, where something is missing.

SPDX-License-Identifier: BSD-2-Clause
"""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
PLUGIN = None  # set by main
LOOK = 0.01    # seconds between two looks whether a server is there

try:
    import nbd
except ImportError:
    nbd = None


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            skip(f"there is no {program}")


def need_nbd():
    if nbd is None:
        skip("there is no Python module nbd (python3-libnbd)")


def check(true, *seen):
    if not true:
        raise AssertionError(" ".join(map(str, seen)))


def seeded(what):
    """A generator of random numbers; what it was seeded with is printed, and can be given again."""
    seed = int(os.environ.get("MPOOL_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"{what}: MPOOL_TEST_SEED={seed}", flush=True)
    return random.Random(seed)


def run(*command, status=0, **keywords):
    done = subprocess.run(list(map(str, command)), env=environment(command[0]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, text=True, **keywords)
    check(done.returncode == status, f"{' '.join(map(str, command))}: status {done.returncode}, not {status}\n{done.stdout}")
    return done.stdout


def make_file(path, size, data=b""):
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(size)
    return path


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def environment(program="nbdkit"):
    """nbdkit knows nothing of the sanitizer that the plugin was built with."""
    sanitizer = os.environ.get("MPOOL_SANITIZER")
    if program != "nbdkit" or not sanitizer:
        return None
    # What it leaks when it ends is its own.
    asan = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return {**os.environ, "LD_PRELOAD": sanitizer, "ASAN_OPTIONS": asan}


def is_written(pidfile):
    """nbdkit listens by then."""
    return os.path.exists(pidfile) and open(pidfile).read().endswith("\n")


class Server:
    """An nbdkit in a process of its own, with a socket in a directory of its own."""

    def __init__(self, file, *arguments, before=None, within=(), owner=None, plugin=None):
        """
        `before`: what its process does first; `within`: a command that runs it; `owner`: of its directory; `plugin`: a copy
        that it is to take.
        """
        self.directory = tempfile.mkdtemp(prefix="mpool-nbd.")
        self.socket = os.path.join(self.directory, "socket")
        pidfile, log = os.path.join(self.directory, "pid"), os.path.join(self.directory, "log")
        if owner is not None:
            os.chown(self.directory, owner, owner)
        command = [*within, "nbdkit", "-f", "--exit-with-parent", "-P", pidfile, "-U", self.socket, plugin or PLUGIN, f"file={file}"]
        with open(log, "w") as out:
            self.process = subprocess.Popen(command + list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, preexec_fn=before, env=environment())
        self.log = log
        while not is_written(pidfile):
            if self.process.poll() is not None:
                said = self.said()
                shutil.rmtree(self.directory, ignore_errors=True)
                raise AssertionError(f"nbdkit has ended with {self.process.returncode}: {said}")
            time.sleep(LOOK)
        with open(pidfile) as file:
            self.pid = int(file.read())  # that of what runs it may be another

    def said(self):
        with open(self.log) as log:
            return log.read()

    @property
    def uri(self):
        return f"nbd+unix:///?socket={self.socket}"

    def connect(self):
        handle = nbd.NBD()
        handle.connect_unix(self.socket)
        return handle

    def stop(self, how=signal.SIGTERM):
        """What it ended with.  By SIGTERM it does so when its clients have gone."""
        if self.process.poll() is None:
            os.kill(self.pid, how)
        return self.process.wait()

    def forget(self):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            status = self.stop(signal.SIGTERM if kind is None else signal.SIGKILL)
            said = self.said()
        finally:
            self.forget()
        if kind is None:
            check(status in (0, -signal.SIGKILL), f"nbdkit ended with {status}: {said}")
        else:
            print(said, file=sys.stderr)


@contextlib.contextmanager
def scratch(where=None):
    """A directory on a disk: where the test runs, not /tmp, which may be in memory."""
    with tempfile.TemporaryDirectory(prefix="nbd.", dir=where or os.getcwd()) as path:
        yield path


def key():
    """One that no other test has."""
    return f"libmpool.nbd.{os.getpid()}.{time.monotonic_ns()}"


def main(module):
    global PLUGIN
    # Debian's Python has Debian's modules, and the clients are to find it.
    os.environ["PATH"] = os.pathsep.join(["/usr/bin", "/bin", os.environ.get("PATH", "")])
    os.environ["LC_ALL"] = "C"
    sys.stdout.reconfigure(line_buffering=True)
    PLUGIN = os.path.abspath(sys.argv[1])
    need("nbdkit")
    cases = {name[len("case_"):]: case for name, case in vars(module).items() if name.startswith("case_")}
    for name in sys.argv[2:] or cases:
        print(f"== {name}")
        cases[name]()
    print(f"{os.path.basename(sys.argv[0])}: all is well")
