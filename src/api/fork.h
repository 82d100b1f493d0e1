/*
 * fork.h - what fork(2) leaves to the child.
 *
 * Owns the handlers that run around each fork of the process.
 *
 * Only the thread that forks is in the child, so a lock that another thread holds at that
 * moment stays locked there.  The process-wide locks are therefore taken before a fork and
 * released after it, on both sides.  They are leaves, but for that of the kept descriptors,
 * which is taken last, after any other: a thread that holds one of them takes no other and
 * does not allocate.  So the order of our handlers among those of other libraries (jemalloc's,
 * say) does not matter, except that locks of the program are taken before them: the handlers
 * are registered when the library is loaded, before the program can register any, and so run
 * last.  The C library removes them when the library is unloaded.
 *
 * Pools have more locks of all kinds (claims, loading entries), whose owners do not exist in
 * the child.  Recovery ends these: a private pool is the child's own copy, all of whose
 * threads but one have died, each at some instruction; the first call on it there adopts it
 * (thread.h), and recovers it (recover.h).  The handler itself touches no pool, so a fork costs
 * the same however many there are, but for the reads in flight by threads or rings, which it
 * waits for first (os/transfer.h).  The copy contains all that any thread had stored before:
 * the kernel interrupts every processor that the process runs on before fork returns, and a
 * thread that comes later waits until the copy is made.
 *
 * Two kinds of pools are not adopted: calls on them fail, nothing is ever written by their
 * descriptors, and they can be closed, to free their memory.  These are shared pools, since
 * the child is a process that has not joined; and a pool in whose filter the forking thread
 * is, since that call is not over, and nobody can end it.
 */
#ifndef MPOOL_FORK_H
#define MPOOL_FORK_H

/* Could the handlers not be registered?  0, or an errno. */
int fork_error(void);

#endif
