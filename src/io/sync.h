/*
 * sync.h - write all modified pages, and bring them to stable storage.
 *
 * Owns the turn to sync, which one thread of all processes has at a time:
 *
 *   sync_begin -> sync_write -> sync_flush -> sync_end
 *
 * Sync closes the entries of what it writes as eviction does (core/window.h), reopens
 * them (L) once the copy is made, and frees nothing.  A page that stays pinned is
 * written while pinned, and stays dirty.
 */
#ifndef MPOOL_SYNC_H
#define MPOOL_SYNC_H

#include <stdbool.h>

#include "io/io.h"

/* Take the turn: wait for it; or if nobody has it.  Give it back. */
void sync_begin(struct io *io, const struct stripe *me);
bool sync_try(struct io *io, const struct stripe *me);
void sync_end(struct io *io);

/* Write every page that is modified now.  0, or errno. */
int sync_write(struct io *io, struct stripe *me);
/* fsync, and what it means for the pages written since the last one.  0, or errno. */
int sync_flush(struct io *io, struct stripe *me);

/*
 * A process died, to which the stripes belong for which `dead` is true.  If it died in a
 * sync, the result of its fsync is lost: what was written since the last one is dirty
 * again.  In an epoch section.
 */
void sync_recover(struct io *io, stripe_test *dead, void *of);

/*
 * The result of writes since the last fsync may be reported to another process: they are
 * dirty again.  In an epoch section.
 */
void sync_distrust(struct io *io);

/*
 * Somebody died in an fsync, and pages had left: ask another witness at once, for should
 * all who ask die, nobody could know any more.  With the pool's lock, in no epoch section.
 */
void sync_settle(struct io *io, struct stripe *me);

#endif
