/*
 * cancel.h - no call of the library is a cancellation point.
 *
 * Owns nothing.  A thread that were cancelled in a pread, pwrite or fsync of
 * ours would leave its claims, its loading entry and locks behind, for others to
 * wait for.  So every call that may do such a thing first makes the thread one
 * that cannot be cancelled, and leaves it as it found it; a request that came
 * meanwhile is dealt with at the thread's next cancellation point.  The hit has
 * no such calls and needs none of this.
 *
 * Neither is a system call.  Asynchronous cancellation is out of reach: it may
 * strike before the first line here.
 */
#ifndef MPOOL_CANCEL_H
#define MPOOL_CANCEL_H

#include <pthread.h>

static inline int cancel_forbid(void)
{
	int before;
	/* It cannot fail: the state is a valid one. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void cancel_as_before(const int *before)
{
	(void)pthread_setcancelstate(*before, NULL);
}

/* From here to the end of the block, whichever way it is left. */
#define NO_CANCELLATION __attribute__((cleanup(cancel_as_before), unused)) const int cancel_before_ = cancel_forbid()

#endif
