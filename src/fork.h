/*
 * fork.h - what fork(2) leaves to the child.
 *
 * Owns the handlers that run around each fork of the process.
 *
 * Only the thread that forks is in the child, so whatever lock another thread
 * holds just then stays locked there.  The process-wide locks are therefore
 * taken before a fork and released after it, on both sides.  They are leaves:
 * nobody who holds one takes another lock or allocates, so it does not matter
 * where among other libraries' handlers (jemalloc's, say) ours come, except that
 * locks of the program's are taken before them: so the handlers are registered
 * when the library is loaded, before the program can register any, and run last.
 * The C library removes them when what contains the library is unloaded.
 *
 * Pools have more locks of all kinds (claims, loading entries), whose owners are
 * gone in the child.  A parent's pool is of no use there, then: the handler marks
 * it, calls on it fail, and nothing is ever written by its descriptor.  It can be
 * closed, for its memory.
 */
#ifndef MPOOL_FORK_H
#define MPOOL_FORK_H

/* Could the handlers not be registered?  0, or an errno. */
int fork_error(void);

#endif
