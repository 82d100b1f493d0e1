/*
 * transfer.h - transfers in flight, and forks.
 *
 * Owns the number of this process's transfers that other threads, or the kernel by itself, are
 * making to or from memory.  A fork waits until there is none (fork.h): open(2) warns of a fork
 * while a transfer of O_DIRECT goes to private memory, and a child could not tell which of its
 * pages are complete.
 *
 * Who waits to begin one must have none in flight: the fork waits for those.
 */
#ifndef MPOOL_TRANSFER_H
#define MPOOL_TRANSFER_H

#include <stdbool.h>

/* One more; waits while a fork does.  And the same, but false instead of waiting. */
void transfer_begin(void);
bool transfer_try(void);
void transfer_end(void);

/* Around a fork; see fork.h. */
void transfer_before_fork(void);
void transfer_after_fork(bool child);

#endif
