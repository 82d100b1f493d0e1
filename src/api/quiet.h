/*
 * quiet.h - what must hold of a pool while nobody is in a call on it.
 *
 * Owns nothing.  Only builds that check themselves look (os/check.h, 2): when a private pool is
 * closed; after a sync of a small one that one thread alone has used; and, of what is this
 * process's own, when it leaves a shared pool.  A thread that has left a call by longjmp, and
 * has made no other since, is in it still: then nothing can be told.
 *
 *   stripe   no try, no section, no put under way; what it pins is a frame in use
 *   entry    resident, or closing: evictable; its frame in use, with its page
 *   frame    free, or in use by one entry; no claim, not being written
 *   table    as many entries, spills and far entries as it counts
 *   shard    as many hints, hot frames and frames wanted once as it counts; all shards together
 *            the frames that there are
 *   roles    nobody has any
 *   latch    its owner is a thread of the process; where a mark is, the word says shared
 *
 * After a recovery the counts may be too high, and are not looked at.
 */
#ifndef MPOOL_QUIET_H
#define MPOOL_QUIET_H

#include "api/pool.h"

#if MPOOL_CHECK > 1
void quiet_check_close(MPOOL *mp);
/* `me` is the only thread that has used the pool, or there is more to look at than is worth it. */
void quiet_check_sync(MPOOL *mp, const struct stripe *me);
#else
static inline void quiet_check_close(MPOOL *mp)
{
	(void)mp;
}
static inline void quiet_check_sync(MPOOL *mp, const struct stripe *me)
{
	(void)mp;
	(void)me;
}
#endif

#endif
