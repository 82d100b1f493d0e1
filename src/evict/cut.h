/*
 * cut.h - pages leave memory because the file ends before them, or because it may have others by now.
 *
 * (Of a pool with several files: each has its own turn and its own end.  Lists are of the pool's numbers, and what is done to an
 * entry is done when its page is known to be the file's.)
 *
 * Owns the turn to cut the file (`cut` of pageio.h), which one thread of all processes has at a time, and with it the
 * entries that are leaving.
 *
 * To forget pages is to evict those that are clean and unpinned, in windows (core/window.h), and to make what is being loaded
 * stale (core/table.h): its loader begins anew.  So what was read before the call is not to be got after it.
 *
 * A file is cut in two steps, since nothing may have changed if one of its pages is pinned:
 *
 *   1. The end is "being cut": whoever inserts an entry of a page behind it takes that back, and waits.  Loads are made
 *      stale, and waited for.  Then all pages there are closed, and looked at in windows; those that are unpinned become
 *      leaving, their claims kept: who wants one waits, and nobody rescues it.  One that is pinned: all others are
 *      resident again, the end is not being cut any more, EBUSY.
 *   2. Nobody has any of these pages, reads or writes it.  The file is cut.  The entries are freed, the frames are free, the
 *      end is where it is to be, and cut once more.
 *
 *   cut.step   BEGUN --the turn's owner-->         FILE   all pages behind the end are leaving
 *              FILE  --the same-->                 DONE   the file is cut; or BEGUN: it cannot be
 *
 * Whoever recovers the owner ends the second step if the file is cut, and undoes the first if it is not: a process that has
 * died is not in a system call any more.  Who has no descriptor of the file (an attached one's, share/files.h) takes it for cut, and the next sync cuts
 * it again.  A fork waits for what is between FILE and DONE (os/transfer.h), so that a child
 * cuts no file, and has either.
 *
 * A thread in here sleeps for the claims of others, while it has those of leaving pages.  Nobody else sleeps for a
 * claim while he has one: so they do not wait in a circle.
 */
#ifndef MPOOL_CUT_H
#define MPOOL_CUT_H

#include "evict/clock.h"

/* The file ends before page `pages` from now on.  0, or an errno: nothing has changed. */
int cut_to(struct evict *ev, struct io *io, struct stripe *me, uint32_t pages);
/* Pages first to first + n - 1 are forgotten.  0; EBUSY: but some; ENOMEM, or what pageio_look_again has: none is. */
int cut_forget(struct evict *ev, struct io *io, struct stripe *me, uint32_t first, uint32_t n);
/* Sleep if it is being decided whether there is such a page; it may be still. */
void cut_outlast(struct evict *ev, const struct io *io, uint32_t page);
/* The stripe that has the turn may be gone: `dead` tells.  In an epoch section; its claims are dropped afterwards. */
void cut_recover(struct evict *ev, struct io *io, stripe_test *dead, void *of);

#endif
