/*
 * thread.h - the calling thread's stripe of a pool.
 *
 * Owns what a thread knows of the pools it uses: for each an attachment, with its stripe and
 * the further stripes that it took while it had many pins.  All of it is the thread's own
 * memory; other threads see the stripes only.
 *
 * A pool has a serial, never used twice, whose low bits are its place among the open pools
 * of the process; the place is free again after the pool is closed.  A thread has a table of
 * attachments, indexed by the low bits of the serial, and large enough that no two open
 * pools that it uses have the same index.  The attachment of a pool that another thread has
 * closed is dropped when its place in the table is needed, or when the thread ends.  The
 * pool used last is cached in two words of thread-local storage, so that a hit finds its
 * stripe by one comparison, and by two where pools alternate.
 *
 * A thread's end is noticed by the destructor of a key.  A thread that uses a pool in a
 * destructor that runs later, after the C library's last round, would not be noticed: so all
 * threads that use pools are on a list, with their numbers, and each that is added asks the
 * kernel whether two of the earlier ones still exist.
 *
 * When the library is unloaded the key is deleted, and the attachments of all threads are
 * freed, unless pools are open: then either the process is exiting, and its other threads may
 * still use them, or the memory is lost with the pools.
 *
 * Pins beyond those of one stripe go to "spill" stripes, in groups of 1, 2, 4, ...: a pin is
 * in one of two stripes of a group, by the frame's number, so that a thread with a million
 * pins finds one by searching forty stripes.
 */
#ifndef MPOOL_THREAD_H
#define MPOOL_THREAD_H

#include "core/core.h"

struct attachment {
	uint64_t serial; /* of the pool: serials are never used twice */
	struct stripe *stripe;
	struct stripe **spill; /* `groups` groups, one after the other */
	unsigned groups;
	_Atomic uint64_t *peek; /* the slot of an MPOOL_IGNOREPIN, to be emptied in the next call */
	struct core *core;      /* of the last call that was more than a hit, */
	uintptr_t stack;        /* and where on the stack it was made */
	/* evict/clock.h: frames from hints_first on that may be free or evictable, by bit. */
	uint32_t hints, hints_first;
	/* latch.h: its exclusive latches; the marks of `stripe`, once it has had a shared one. */
	uint32_t latches;
	struct line *marks;
	/* api/ahead.h: the last page that the thread has read, and of how many at once. */
	uint32_t ahead_next, ahead_last, ahead_window;
#if MPOOL_CHECK
	uint32_t acted_before; /* check.h: for whom the thread acted when its call began */
#endif
};

/* One line of a thread's table. */
struct known {
	uint64_t serial; /* of `a`; 0: the next call is not to be a hit, or there is none */
	struct stripe *stripe;
	struct attachment *a; /* NULL: none */
};

struct last_used {
	uint64_t serial;
	struct stripe *stripe;
	struct attachment *a; /* of that stripe */
	struct known *known;  /* the thread's table, mask + 1 lines: a power of two */
	uint64_t mask;
};
extern _Thread_local struct last_used thread_last;

/* Has the calling thread used the pool of that serial, and may a hit do?  Its stripe in *s. */
static inline bool thread_knows(uint64_t serial, struct stripe **s)
{
	if (likely(thread_last.serial == serial)) {
		*s = thread_last.stripe;
		return true;
	}
	const struct known *k = &thread_last.known[serial & thread_last.mask];
	if (k->serial != serial)
		return false;
	thread_last.serial = serial;
	thread_last.a = k->a;
	*s = thread_last.stripe = k->stripe;
	return true;
}

/*
 * Open and close of a pool: threads that end must know which pools still are.
 * thread_pool_opened gives the pool its serial; false: no memory, or the process ends.
 */
bool thread_pool_opened(struct core *c);
void thread_pool_closed(struct core *c);
/* From now on *frames, and c->peeked, is 0 in a child of fork, when it begins: for calls that are made in no attachment. */
void thread_views(struct core *c, uint64_t *frames);

/*
 * Around a fork; see fork.h.  What the forking thread knew of its pools is then
 * "inherited": of the child's only thread, but for whichever of these pools is adopted
 * first, by any thread.  Whatever the number of pools, it is one list that moves.
 */
void thread_before_fork(void);
void thread_after_fork(bool child);

/* Is the pool one of the parent's that no thread of this process has adopted yet? */
bool thread_is_parents(const struct core *c);

/*
 * In the child of a fork, a pool of the parent's becomes this process's; one thread at a
 * time.  thread_adopt_begin: false: another thread has done it.  *forked: the attachment
 * of the thread that forked, NULL: it had none.  thread_adopt_end follows in any case:
 * `adopted`: the pool is whole from now on.
 */
bool thread_adopt_begin(const struct core *c, const struct attachment **forked);
void thread_adopt_end(struct core *c, bool adopted);

/*
 * The calling thread is in a call on the pool from now on, until thread_leave; `stack`
 * is where on its stack.  Its attachment, made if need be, its peek dropped; NULL and
 * ENOMEM: no memory; EDEADLK: the thread is in a filter of the pool.  Meanwhile the
 * stripe says that it is busy: should the process die, there may be more to be given
 * back than pins (share/recover.h).
 */
struct attachment *thread_enter(struct core *c, uintptr_t stack);
static inline void thread_leave(struct attachment *a)
{
	/* Release: all that the call held is given back before. */
	atomic_store_explicit(&a->stripe->busy, BUSY_NOT, memory_order_release);
#if MPOOL_CHECK
	check_act_for(a->acted_before);
#endif
}

/*
 * A call that is left out of a filter, or a hook.  By an exception, or the end of the thread: who
 * ends the call sees that the filter has not returned.  By longjmp, which nobody sees:
 * the stripe is busy when the thread makes its next call, or ends.  Or that is a call
 * made in a filter, which is refused: it is made further down the stack.
 */
struct filtering {
	const void *of;  /* whose filter or hook runs; NULL: none's */
	uintptr_t stack; /* where it was called */
};
extern _Thread_local struct filtering thread_filtering; /* hooks.c sets it */

/* An empty slot of the calling thread, for a pin of `frame`; NULL: no memory. */
_Atomic uint64_t *thread_slot(struct core *c, struct attachment *a, uint32_t frame);
/* A slot of the calling thread that pins `frame`, or NULL. */
_Atomic uint64_t *thread_slot_of(const struct attachment *a, uint32_t frame);

/*
 * The stripes in which the thread has what it has of a frame: number 0, 1, ...; NULL: there are no more.  thread_more:
 * there are two more from now on; false: no memory.
 */
struct stripe *thread_stripe(const struct attachment *a, uint32_t frame, unsigned number);
bool thread_more(struct core *c, struct attachment *a);

/* Its stripes. */
void thread_each_stripe(const struct attachment *a, void (*see)(struct stripe *s));

/* `slot` is a peek: see that the thread's next call on the pool ends it. */
void thread_peek(struct attachment *a, _Atomic uint64_t *slot);

#endif
