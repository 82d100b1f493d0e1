/*
 * ring.h - runs in flight by io_uring(7).
 *
 * Owns a ring of the kernel's, which one thread uses at a time.  A run is
 *
 *   queued --ring_next tells the kernel--> in flight --its completion--> returned by ring_next
 *
 * and its memory is the kernel's until it is returned: nothing takes a run back.  Each
 * completion names its run, and has its result, whatever that is: a short count, EINTR,
 * EAGAIN, ECANCELED.  The caller completes such a run by preadv(2) or pwrite(2) (run_finish).
 *
 * A kernel that takes nothing just now (EAGAIN, EBUSY) takes more when something that is in
 * flight is done, which is waited for.  If nothing is, or it is another error, the ring is
 * broken: it takes no more, and its user closes it.
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

#include "io/run.h"

struct ring;

/* A ring of `depth` runs at most; NULL and errno: it is refused. */
struct ring *ring_open(unsigned depth);
unsigned ring_depth(const struct ring *r);
/* 0, or the errno with which the kernel takes no more. */
int ring_broken(const struct ring *r);
/* No run is in flight. */
void ring_close(struct ring *r);

/* Queue a run.  False: `depth` of them are queued or in flight; or the ring is broken. */
bool ring_start(struct ring *r, struct io_run *run);
/* Is no run queued or in flight? */
bool ring_idle(const struct ring *r);
/*
 * Tell the kernel of what is queued, and wait for a run to be done.  NULL: none is queued or
 * in flight, and there is no `wake`; or that can be read, or `wait_us` microseconds have gone by
 * (0: no limit).
 */
struct io_run *ring_next(struct ring *r, unsigned wait_us);
/* ring_next returns when the eventfd `wake`, which does not block, is written to; it takes the count. */
void ring_wake_by(struct ring *r, int wake);

#endif
