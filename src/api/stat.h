/*
 * stat.h - statistics: what the pool has done, and what it holds.
 *
 * Owns no state: it adds up the counters beside the stripes, and reads every frame's word.
 */
#ifndef MPOOL_STAT_H
#define MPOOL_STAT_H

#include <stdint.h>

#include "mpool.h"

/* How many frames are pinned.  0, or -1: no memory. */
int stat_pinned(MPOOL *mp, uint64_t *pinned);
/* All else but the bytes of bookkeeping; added to what is in *s.  In an epoch section. */
void stat_counts(MPOOL *mp, struct mpool_stats *s);

#endif
