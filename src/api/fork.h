/*
 * fork.h - what fork(2) leaves to the child.
 *
 * Owns the handlers that run around each fork of the process.
 *
 * Only the thread that forks is in the child, so whatever lock another thread
 * holds just then stays locked there.  The process-wide locks are therefore
 * taken before a fork and released after it, on both sides.  They are leaves, but for
 * that of the descriptors that are kept, which is taken last, after any other:
 * nobody who holds one takes another of them or allocates, so it does not matter
 * where among other libraries' handlers (jemalloc's, say) ours come, except that
 * locks of the program's are taken before them: so the handlers are registered
 * when the library is loaded, before the program can register any, and run last.
 * The C library removes them when what contains the library is unloaded.
 *
 * Pools have more locks of all kinds (claims, loading entries), whose owners are
 * gone in the child.  That is what recovery is for: a private pool is the child's own
 * copy, all of whose threads but one have died, each at some instruction; the first
 * call on it there adopts it (thread.h), which ends what they were at (recover.h).
 * The handler itself touches no pool, so a fork costs the same however many there are.
 * In the copy is all that any thread had stored before: the kernel interrupts every
 * processor that the process runs on before fork returns, and a thread that comes later
 * waits until the copy is made.
 *
 * Two kinds of pools are not adopted: calls on them fail, nothing is ever written by
 * their descriptors, and they can be closed, for their memory.  In a shared one, a child
 * would be a process that has not joined.  And one that the forking thread itself is in,
 * in a filter: that call is not over, and nobody can end it.
 */
#ifndef MPOOL_FORK_H
#define MPOOL_FORK_H

/* Could the handlers not be registered?  0, or an errno. */
int fork_error(void);

#endif
