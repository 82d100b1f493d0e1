/*
 * cancel.h - no call of the library is a cancellation point.
 *
 * Owns nothing.  A thread cancelled in a pread, pwrite or fsync of the library would never
 * release its claims, loading entries and locks.  So each call that may make such a system
 * call disables cancellation first, and restores the state at its end; a request that came
 * meanwhile takes effect at the thread's next cancellation point.  The hit makes no such
 * calls, and needs none of this.
 *
 * Disabling and restoring make no system call.  Asynchronous cancellation cannot be kept
 * out: it may come before the first line here.
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
