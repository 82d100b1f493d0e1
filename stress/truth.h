/*
 * truth.h - what every page must hold.
 *
 * Owns the last version written to each page, and the locks that order what
 * threads do to one page's bytes (which the pool leaves to its users): a table
 * of reader/writer locks, each shared by the pages that hash to it.  All of it is
 * in memory that the run's processes share.
 *
 * Rules: a page's bytes are read or written under its lock.  A thread that
 * holds a lock takes further ones by truth_try_* only, so no two threads wait
 * for each other.  Nobody waits for anything but the pool while holding one.
 */
#ifndef STRESS_TRUTH_H
#define STRESS_TRUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "mpool.h"

struct truth;

enum truth_access { TRUTH_READ, TRUTH_WRITE };

struct truth *truth_make(pgno_t pages_max);
void truth_free(struct truth *t);
pgno_t truth_pages_max(const struct truth *t);

void truth_lock(struct truth *t, pgno_t pgno, enum truth_access access);
bool truth_try_lock(struct truth *t, pgno_t pgno, enum truth_access access);
void truth_unlock(struct truth *t, pgno_t pgno);

/*
 * The version that the page shows to everybody.  Under the page's lock it is
 * exact; without, it is at least what the bytes show or will show at once.
 */
uint64_t truth_version(const struct truth *t, pgno_t pgno);

/* The next version, to be written now; under the write lock, before the bytes change. */
uint64_t truth_advance(struct truth *t, pgno_t pgno);

/* A put with MPOOL_DIRTY of this version has returned: a sync from now on must save it. */
void truth_put(struct truth *t, pgno_t pgno, uint64_t version);
uint64_t truth_version_put(const struct truth *t, pgno_t pgno);

/*
 * Under the write lock, around calls that may show older bytes of the page, or
 * zeros, until it is written anew: odd while it lasts.
 */
void truth_upset_begin(struct truth *t, pgno_t pgno);
void truth_upset_end(struct truth *t, pgno_t pgno);
uint64_t truth_upsets(const struct truth *t, pgno_t pgno);

/* mpool_new gave this number: false if it had been given before. */
bool truth_allot(struct truth *t, pgno_t pgno);
/* The highest number given, plus 1: calls that give those below have at least begun. */
pgno_t truth_allotted(const struct truth *t);

#endif
