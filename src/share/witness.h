/*
 * witness.h - which processes of a shared pool can be told that a write-back failed.
 *
 * Owns the rules by which a process gets the pool's witnesses (pageio.h):
 *
 *   makes the pool        opens them, before anything was written: generation 1
 *   joins                 is handed them by a member that has them (hand.h)
 *   ... nobody answers    opens the file by its path, and has no witnesses yet
 *   joins, or syncs without them: asks again; nobody answers, and it has
 *     those of an earlier generation    they are the pool's again
 *     none, and nothing has left        opens new ones: the next generation
 *     none, and something has           a member that has them, or had, is alive, and
 *                                       stopped: EAGAIN, for now; none is: nobody can
 *                                       know any more, EIO, for good
 *
 * "Left" is a page that was written, not synced, and left memory.  New witnesses are as good
 * as the first if nothing depends on what the old ones have to report: they are opened, then
 * every page in memory that was written and not synced is made dirty, then it is checked
 * whether any has left.  If none has, whatever is not synced is written again from here on.
 *
 * Witnesses of an earlier generation were not used since a later one replaced them, and
 * nothing depended on them then: so they will report all failures since.  Those of a later one
 * may have reported to a process that died in its fsync: they are not taken back.
 *
 * The generation, and with it the witnesses of all, changes with the turn to sync only.
 */
#ifndef MPOOL_WITNESS_H
#define MPOOL_WITNESS_H

#include <stdbool.h>

#include "share/sharing.h"

struct stripe;

/* Who makes the pool: open them.  0, or an errno. */
int witness_make(struct sharing *sh, int fd);
/* Who joins, before it is a member: be handed them.  False: it has to open the file. */
bool witness_join(struct sharing *sh);
/* It is a member now, with the pool's lock held. */
void witness_enter(struct sharing *sh);
/* Are this process's those of the pool? */
bool witness_current(const struct sharing *sh);
/* With the turn to flush: have them.  0, or an errno as above. */
int witness_have(struct sharing *sh, struct stripe *me);

#endif
