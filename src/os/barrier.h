/*
 * barrier.h - the asymmetric barrier: free for readers, paid for by the evictor.
 *
 * A reader stores to its own line and then loads a shared word; an evictor stores to the
 * shared word and then loads the readers' lines.  One of the two must see the other's store
 * (Dekker), which takes a store-load barrier on both sides.  barrier_light is the reader's
 * side, a compiler barrier only; barrier_heavy is the evictor's, and makes every running
 * thread of the process, or of all processes that share pools, execute a full barrier
 * (membarrier(2)).
 *
 * Where the kernel refuses membarrier both sides are full fences.  Which of the two is used
 * is a property of a pool, decided when it is made: a reader that relies on the heavy
 * barrier of the other side must never meet an evictor that does not make it.
 *
 * While a pool has one thread, its evictor makes no barrier at all: pin_barrier.
 *
 * Pairs: every barrier_light call names the barrier_heavy it pairs with.
 */
#ifndef MPOOL_BARRIER_H
#define MPOOL_BARRIER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <ck_pr.h>

enum barrier {
	BARRIER_PROCESS,   /* reaches the threads of this process */
	BARRIER_PROCESSES, /* ... of every process that may use it too */
	BARRIER_FENCE      /* both sides pay */
};

/* Can this process use membarrier of that kind?  Registers it; cheap to call again. */
bool barrier_available(enum barrier kind);

void barrier_heavy(enum barrier kind);

/*
 * A release fence: who sees what is stored after it, and then makes an acquire fence, sees what was stored before
 * it.  A locked operation alone does not see to that: on ARM plain stores that follow it may be seen before it.
 * CK's, as below; its headers may be those of the machine that builds, and leave out what that does not need.
 */
static inline void barrier_stores(void)
{
#if defined(__x86_64__) || defined(__i386__)
	ck_pr_fence_release();
#else
	ck_pr_fence_memory();
#endif
	atomic_signal_fence(memory_order_seq_cst);
}

/* An acquire fence, the same way: what was loaded before it is loaded before what comes. */
static inline void barrier_loads(void)
{
#if defined(__x86_64__) || defined(__i386__)
	ck_pr_fence_acquire();
#else
	ck_pr_fence_memory();
#endif
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void barrier_light(enum barrier kind)
{
	/* CK's fence rather than C11's: ThreadSanitizer refuses to compile that. */
	if (__builtin_expect(kind == BARRIER_FENCE, 0))
		ck_pr_fence_memory();
	atomic_signal_fence(memory_order_seq_cst);
}

#endif
