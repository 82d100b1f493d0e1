/*
 * ring.h - reads in flight by io_uring(7).
 *
 * Owns a ring of the kernel's, which one thread uses at a time.  A read is
 *
 *   queued --ring_next tells the kernel--> in flight --its completion--> returned by ring_next
 *
 * and its memory is the kernel's until it is returned: nothing takes a read back.  Each
 * completion names its read, and has its result, whatever that is: a short count, EINTR,
 * EAGAIN, ECANCELED.  The caller completes such a read by preadv(2).
 *
 * A ring may be refused: ENOSYS, an old kernel, or a build without liburing; EPERM, by
 * seccomp(2) or kernel.io_uring_disabled; ENOMEM, by the limit of locked memory.
 *
 * After a fork the child has no use for its parent's rings, and lets them be: it may have closed
 * their descriptors, whose numbers are another's then.
 */
#ifndef MPOOL_RING_H
#define MPOOL_RING_H

#include <stdbool.h>

#include "io/read.h"

struct ring;

/* A ring of `depth` reads at most; NULL and errno: it is refused. */
struct ring *ring_open(unsigned depth);
unsigned ring_depth(const struct ring *r);
/* No read is in flight. */
void ring_close(struct ring *r);

/* Queue a read.  False: `depth` of them are queued or in flight; or, if the ring is idle, it takes none any more. */
bool ring_start(struct ring *r, const struct pageio *io, struct io_read *read);
/* Is no read queued or in flight? */
bool ring_idle(const struct ring *r);
/*
 * Tell the kernel of what is queued, and wait for a read to be done.  NULL: none is queued or
 * in flight, and there is no `wake`; or that can be read, or `wait_us` microseconds have gone by
 * (0: no limit).
 */
struct io_read *ring_next(struct ring *r, unsigned wait_us);
/* ring_next returns when the eventfd `wake`, which does not block, is written to; it takes the count. */
void ring_wake_by(struct ring *r, int wake);

#endif
