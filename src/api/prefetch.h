/*
 * prefetch.h - pages that are brought in before anybody asks for them.
 *
 * Owns, of each prefetch that is not over, a group: what is to come until its eventfd is told.
 *
 *   a page    inserted, with a frame, by who calls; then handed over to the background's thread
 *             (entry and claim: core/table.h), which alone publishes it or lets it fail
 *   a group   reads of its own are left --the last is finished--> waits for pages that others
 *             load --the background looks now and then--> told
 *
 * What failed is remembered: failed.h.
 */
#ifndef MPOOL_PREFETCH_H
#define MPOOL_PREFETCH_H

#include "api/pool.h"

struct prefetch;

/*
 * Begin to load the `n` pages of the file from `number` on, BATCH_PAGES at the most, that are not in memory, for a thread that is to come to them; in one of its
 * calls.  How many of them are in memory or being loaded then.  Nobody is told what they fail with.
 */
uint32_t prefetch_ahead(MPOOL *mp, struct io *io, struct attachment *a, uint32_t number, uint32_t n);

/* The pool is closed; the background has ended. */
void prefetch_close(MPOOL *mp);

#endif
