#!/usr/bin/python3
"""faults.py SOURCE BUILD [NAME...] - faults to plant in the store over NBD, one at a time: do its tests notice?

As tests/nbd/faults.py, whose faults are the server's: each is a line of stores/nbd that a promise hangs on, as it
would be if somebody had got it wrong, and the test, and its case, that says so.

SPDX-License-Identifier: BSD-2-Clause
"""
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # Python's copies are not for the source
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "nbd"))
import faults
from faults import Fault

CALLS, POOL = "nbd_store_calls", "nbd_store_pool"

FAULTS = [
    # A flush fails while anything is lost that was told to nobody,
    Fault("lost-told-to-nobody", "stable.c", "	if (!error && s->lost)\n		error = EIO;\n", "", (CALLS, "nbd store: what was written and*")),
    Fault("lost-not-noted", "connection.c", "	stable_lost(&c->common->stable, c->answered);\n", "",
          (POOL, "nbd pool: a server that lost*")),
    # once,
    Fault("told-for-ever", "stable.c", "		s->lost = 0; /* told */\n", "		s->lost = s->lost; /* told */\n", (CALLS, "nbd stable*")),
    # and not by one that was not made, nor by one that began before.
    Fault("told-unmade", "stable.c", "error && !not_made(error) && s->lost", "error && s->lost", (CALLS, "nbd stable*")),
    Fault("told-early", "stable.c", " && s->lost <= began)", ")", (CALLS, "nbd stable*")),
    Fault("covered-by-later", "stable.h", "last > s->flushed && last > s->lost", "last > s->lost", (CALLS, "nbd stable*")),
    Fault("answered-uncounted", "connection.c", "		c->answered = stable_answered(&c->common->stable);\n",
          "		(void)stable_answered(&c->common->stable);\n", (CALLS, "nbd store: what was written and*")),
    # Nothing is written before the old connection has ended, where writes were in flight.
    Fault("old-overtaken", "loop.c", "command->of->io->op == MPOOL_IO_WRITE && least_busy(l, ENDING)", "!command->of && least_busy(l, ENDING)",
          (CALLS, "nbd store: after a server that hangs*")),
    Fault("old-not-ended", "connection.c", "	shutdown(old, SHUT_WR);\n", "", (CALLS, "nbd store: after a server that hangs*")),
    # What does not answer is left.
    Fault("patience-without-end", "connection.c", "	if (now < connection_until(c))\n", "	if (now > 0)\n",
          (CALLS, "nbd store: a server that hangs*")),
    # What is in flight on a lost connection fails, and with what happened.
    Fault("libnbd-says", "connection.c", "	if (*error == ENOTCONN)\n		return RETIRE; /* the connection is lost: see lose */\n", "",
          (CALLS, "nbd store: a server that dies*")),
    # Another export is not written to.
    Fault("any-size", "connection.c", "now->size >= first->size && ", "", (CALLS, "nbd store: another export*")),
    Fault("any-most", "connection.c", "first->most <= now->most && ", "", (CALLS, "nbd store: another export*")),
    Fault("any-block", "connection.c", "first->least % now->least == 0 &&", "first->least > 0 &&", (CALLS, "nbd store: another export*")),
    # One connection to a server that shares nothing between them.
    Fault("several-anyway", "loop.c", "	if (!error && !l->common.export.several)\n		l->n = 1;\n", "",
          (CALLS, "nbd store: a server that shares nothing*")),
    # What a server cannot do.
    Fault("writes-where-none-are", "store.c", "	if (io->op == MPOOL_IO_WRITE && e->read_only)\n		return EROFS;\n", "",
          (CALLS, "nbd store: what a server does not have*")),
    Fault("flush-of-nothing", "store.c", "e->can_fua ? DONE : EOPNOTSUPP", "e->can_fua ? DONE : DONE",
          (CALLS, "nbd store: what a server does not have*")),
    Fault("write-not-through", "connection.c", "!e->can_flush && e->can_fua ? LIBNBD_CMD_FLAG_FUA : 0", "0",
          (CALLS, "nbd store: what a server does not have*")),
    Fault("end-moves", "store.c", "? ENOSPC : DONE", "? DONE : DONE", (CALLS, "nbd store: an export has an end*")),
    Fault("page-of-no-block", "store.c", "return pagesize % s->loop.common.export.least == 0;", "return pagesize > 0 && s;",
          (POOL, "nbd pool: a store attached*")),
    # Pieces.
    Fault("read-left-in-copy", "request.c", "	if (r->copy && io->op == MPOOL_IO_READ && bytes > 0)\n", "	if (r->copy && bytes < 0)\n",
          (CALLS, "nbd store: pieces*")),
    Fault("write-of-empty-copy", "request.c", "	if (copied && io->op == MPOOL_IO_WRITE)\n", "	if (copied && !io)\n",
          (CALLS, "nbd store: pieces*")),
    Fault("larger-than-taken", "connection.c", "	if (e->most > COMMAND_BYTES)\n", "	if (e->most)\n", (CALLS, "nbd store: pieces*")),
    Fault("failed-part-counts", "request.c", "			return i ? (ssize_t)bytes : -r->command[i].error;\n", "			;\n",
          (CALLS, "nbd store: of a request that fails*")),
    # Who waits has the connection, and the thread is not woken;
    Fault("thread-woken-for-waiters", "loop.c", "		l->serves |= !r->io->waiter;\n", "		l->serves = true;\n", (CALLS, "nbd store: who waits for requests has*")),
    Fault("thread-woken-by-who-drives", "loop.c", "	if (!l->own.rests)\n		wake(", "	wake(", (CALLS, "nbd store: who waits for requests has*")),
    Fault("waiter-always-sleeps", "loop.c", "!told && !l->driven && !l->serves && flies(l, waiter, true)", "!told && !waiter",
          (CALLS, "nbd store: who waits for requests has*")),
    # he returns in time.  (What else is to go on meanwhile, or after him, goes on without these lines, too: when the thread looks around.)
    Fault("other-not-looked-at", "loop.c", "	return !theirs.revents && (", "	return (", (CALLS, "nbd store: who waits returns*")),
    Fault("without-limit", "loop.c", "(there > 0 || ms == NO_LIMIT)", "(there > 0 || ms)", (CALLS, "nbd store: who waits returns*")),
    # A connection that ended while nothing was asked of it is not used, and let go of.
    Fault("ended-and-used", "loop.c", "	while (c && has_ended(l, c));\n", "	while (false);\n", (CALLS, "nbd store: a server that is started anew*")),
    Fault("ended-and-kept", "loop.c", "(!l->serves && !idle)", "!l->serves", (CALLS, "nbd store: a server that ends while*")),
    # With TLS the thread does all.
    Fault("tls-by-callers", "loop.c", "	if (!l->common.tls)\n		begin_waiting", "	if (l)\n		begin_waiting", (CALLS, "nbd store: where there is TLS*")),
    # In a child of fork.
    Fault("child-goes-on", "store.c", "	return s->forks != forks;\n", "	return s->forks > forks;\n",
          (CALLS, "nbd store: in a child*")),
    # What could not be connected to leaves nothing.
    Fault("wake-left-open", "loop.c", "	close(l->own.wake);\n	close(l->caller.wake);\n", "	close(l->own.wake);\n",
          (CALLS, "nbd store: what cannot be connected*")),
    Fault("uri-that-is-none", "store.c", "!uri || ", "", (CALLS, "nbd store: what cannot be connected*")),
    Fault("later-options", "store.c", "		if (byte[i])\n", "		if (false)\n", (CALLS, "nbd store: what cannot be connected*")),
]


def builds(copy, build):
    del copy
    return faults.quiet("cmake", "--build", build, "--target", CALLS, POOL).returncode == 0


def command(test, copy, build):
    del copy
    program, case = test
    # A fault that hangs is one that is noticed.
    return ["timeout", "60", build / "tests/nbd_store" / program, case]


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    faults.main(faults.Planted(FAULTS, "stores/nbd", builds, command))
