/*
 * leave.h - all pages of an attached file leave memory, as the file is closed.
 *
 * Owns no state.  Nobody makes a call on the file any more, so nobody pins a page of it; but others may be at them: what was
 * prefetched is being read, and threads that need room write, and evict.  So each page is waited for, and then taken away,
 * modified or not.  After the last of them nobody has anything of the file's in hand: who has is the page's loader, or
 * has the claim of its frame.
 */
#ifndef MPOOL_LEAVE_H
#define MPOOL_LEAVE_H

#include "evict/clock.h"

/* False: some are in memory still, for others were at them; `waits`: these are waited for. */
bool leave_file(struct evict *ev, struct io *io, struct stripe *me, bool waits);

#endif
