/*
 * inside.h - what must hold of a pool's words, whatever its threads are doing.
 *
 * Looks at the newest values in memory, and is no part of the run: compiled as
 * it stands, its loads are nobody's.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef EXPLORE_INSIDE_H
#define EXPLORE_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mpool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pin as its holder sees it. */
struct inside_pin {
	const void *page;
	uint32_t number;
};

/*
 * One frame for a page, one page for a frame, no page in a free frame, and every
 * pin's page in its frame.  `deletes`: a page may be deleted under the pin of who
 * deletes it, so that its slot names no page for a moment.
 * NULL: all is well.
 */
const char *inside_wrong(MPOOL *mp, const struct inside_pin *pins, unsigned n, bool deletes);

/* How many pins are held, not fewer than are `known`: of those of threads that are gone nobody may know. */
unsigned inside_pins(MPOOL *mp, unsigned known);

/*
 * Nobody is in a call, and `pins` pins are held: no claim, count, wait or frame is left
 * over.  `died`: a process has, and so counts may be too high; never too low.
 */
const char *inside_left_over(MPOOL *mp, unsigned pins, bool died, bool limited);

/* The pool's first file has all numbers but those of one extent. */
void inside_narrow(MPOOL *mp);
/* From now on every scan unlists. */
void inside_unlist(MPOOL *mp);
/* The pool's own thread ends when all that it was given is done. */
void inside_end_background(MPOOL *mp);
/* Recover who has died; see recover.h. */
void inside_recover(MPOOL *mp);
/*
 * A process died while it had that page pinned: it is marked abandoned when the pin
 * goes, *gone, and not later.
 */
const char *inside_abandoned_wrong(MPOOL *mp, MPOOL *dead, const void *page, bool *gone);
/* The version that a look at the page gives; false: it has none just now. */
bool inside_version(MPOOL *mp, const void *page, uint64_t *version);
/* Whose exclusive latch that is, in the pool's words; 0: nobody's. */
uint32_t inside_latch_owner(MPOOL *mp, const void *page);
/* An owner that is gone had the page latched: it is marked abandoned when the latch goes, and not later. */
const char *inside_dead_latch_wrong(MPOOL *mp, const void *page, uint32_t number, uint32_t owner);
/* The page is modified, and not yet written. */
bool inside_modified(MPOOL *mp, const void *page);

/* A private pool's witness, when it is asked by somebody; `offset`: the file's.  -1: it is not. */
int inside_asked(MPOOL *mp, off_t (*offset)(int fd));
/* The witnesses of the file, as another process's `io` has it, if that process has them. */
struct handed;
struct io;
struct sharing;
bool inside_hand(const struct sharing *sh, const struct io *io, struct handed *h);

/* What stands at `at`, in words. */
void inside_name(MPOOL *mp, const void *at, char *name, size_t bytes);

/* The bucket that page `n` would be in. */
uint32_t inside_home(MPOOL *mp, uint32_t n);
/* The numbers of the first extent that an attached file has begin with it. */
uint32_t inside_numbers_attached(void);

#ifdef __cplusplus
}
#endif

#endif
