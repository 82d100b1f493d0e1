/*
 * recover.h - give back what a dead process held, or what a fork's child has of its parent.
 *
 * Owns nothing.  The thread that notices a death (the watch, a join, or a wait that timed out
 * where there is no watch) recovers the dead process under the pool's lock.  It may die in
 * that itself: each step can be repeated, and the records that lead to it, the stripes'
 * owners and the member's, are cleared last.
 *
 *   held by the dead process    becomes
 *   pin, try, peek              empty slot; the page of a pin is marked abandoned, unless all latch what they modify
 *   exclusive latch             free; the page is marked abandoned, its version changed
 *   shared latch                free
 *   tentative, loading entry    free, and those that wait for the page check again
 *   the turn to cut the file    nobody's; the cut is ended if the file is cut, else undone
 *   claimed frame, in the table its entry resident, unclaimed; what was being
 *                               written is dirty
 *   claimed frame, in no table  free
 *   entry in two tables         the one in the newer
 *   drain's, reclaimer's role   nobody's
 *   an attached file            closed, if nobody else has it
 *   the catalog's role          nobody's; links are made anew
 *   table not yet linked, chunk given back: finished or taken back
 *   the change of the capacity  finished, and what it was giving back counts as given back
 *   the turn to sync            nobody's; all that was written since the last
 *                               fsync is dirty again
 *
 * A process that was in no call but hits (`busy` of its stripes) held only pins and latches, and nothing
 * else is searched.
 *
 * In the child of a fork, all threads of the parent but the one that forked have died at some
 * instruction, and the child has a copy of what they held of a private pool.  The same is
 * done for them, with two differences: their pins stay, since this process has the addresses;
 * and no other thread is in the pool meanwhile (thread.c).  The steps may be repeated here
 * too: a child may be forked while another thread is recovering.
 */
#ifndef MPOOL_RECOVER_H
#define MPOOL_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "share/sharing.h"

/* Which processes to check. */
enum recover_reach {
	RECOVER_ALL,
	RECOVER_STRETCH,  /* those that come after this one, up to the next that is told of deaths (watch.h) */
	RECOVER_NEIGHBOUR /* the next, */
};
/*
 * Has one of the processes that share the pool died, and nobody has recovered it yet?
 * RECOVER_NEIGHBOUR: `also`, modulo their number, is checked as well.
 */
bool recover_due_within(const struct sharing *sh, enum recover_reach reach, uint32_t also);
bool recover_due(const struct sharing *sh);
/* Is no other process in the pool, dead or alive? */
bool recover_alone(const struct sharing *sh);
/*
 * Recover the processes that have died.  False: none has; or another process has the pool's
 * lock, and may be stopped: the caller does not wait for it, but checks again later.
 */
bool recover_dead(struct sharing *sh);
/* The same, one being due. */
bool recover_now(struct sharing *sh);
/* The same, with the pool's lock held. */
bool recover_dead_locked(struct sharing *sh);

/*
 * In the child of a fork, one thread at a time: a private pool of the parent's becomes
 * this process's.  Nobody else is in it.  `forked`: the attachment of the thread that
 * forked, which was in no call on the pool; NULL: it had none.
 */
struct attachment;
struct stripe;
void recover_fork(struct sharing *sh, const struct attachment *forked);

/*
 * A thread left a call in the middle, out of a filter; the stripe is its own.  What the
 * call held is given back, and what it was writing is modified still.  By the thread
 * itself, or by who deals with its end.
 */
void recover_call(struct sharing *sh, struct stripe *s);

/* This process leaves the pool, with the pool's lock held, and no thread of it is in a call. */
void recover_leave(struct sharing *sh);

#endif
