/*
 * call.h - a public call that is more than a hit.
 *
 * Owns nothing.  What every such call begins and ends with: it checks that the pool is this
 * process's and that the filters suit it, gets the thread's attachment, and gives back what
 * the call holds if a filter does not return.
 */
#ifndef MPOOL_CALL_H
#define MPOOL_CALL_H

#include "api/pool.h"
#include "core/thread.h"
#include "os/cancel.h"

/*
 * `a` is the calling thread's attachment for the rest of the block, NULL and errno:
 * ENOMEM; EBADF: it is a parent's pool, and cannot be adopted; EDEADLK: the thread is in
 * a filter of the pool; ENOTSUP: it is shared, and other processes' pages have another
 * form in the file.
 */
#define CALL(mp, a)      \
	NO_CANCELLATION; \
	__attribute__((cleanup(call_ends))) struct attachment *const a = call_begin(mp)

struct attachment *call_begin(MPOOL *mp);
/* The same, on pages of that file. */
#define CALL_ON(mp, io, a) \
	NO_CANCELLATION;   \
	__attribute__((cleanup(call_ends))) struct attachment *const a = call_begin_on(mp, io)
struct attachment *call_begin_on(MPOOL *mp, const struct io *io);
/* In the child of a fork, of a pool that was its parent's: what threads had that are not here. */
void call_forked(MPOOL *mp);
/* A filter has not returned: by an exception, or its thread has ended (core/thread.h). */
void call_left(struct attachment *a);

static inline void call_ends(struct attachment *const *a)
{
	if (*a && unlikely(thread_filtering.of))
		call_left(*a);
	if (*a)
		thread_leave(*a);
}

/* The core's calls to the folders above it. */
extern const struct core_above call_above;

#endif
