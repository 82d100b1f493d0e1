/*
 * barrier.h - the asymmetric barrier: readers pay nothing, the evictor pays all.
 *
 * A reader stores to its own line and then loads a shared word; an evictor
 * stores to the shared word and then loads the readers' lines.  One of the two
 * must see the other (Dekker), which takes a store-load barrier on both sides.
 * barrier_light is the reader's side, a compiler barrier; barrier_heavy is the
 * evictor's, and makes every running thread of the process execute a full
 * barrier (membarrier(2)).
 *
 * Where the kernel refuses membarrier both sides are full fences ("fenced").
 * That is a property of a pool, decided when it is made: a reader that believes
 * in the other side's heavy barrier must never meet an evictor without it.
 *
 * Pairs: every barrier_light call names the barrier_heavy it pairs with.
 */
#ifndef MPOOL_BARRIER_H
#define MPOOL_BARRIER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <ck_pr.h>

/* Can this process use membarrier?  Registers it; cheap to call again. */
bool barrier_available(void);

void barrier_heavy(bool fenced);

static inline void barrier_light(bool fenced)
{
	/* CK's fence rather than C11's: ThreadSanitizer refuses to compile that. */
	if (__builtin_expect(fenced, 0))
		ck_pr_fence_memory();
	atomic_signal_fence(memory_order_seq_cst);
}

#endif
