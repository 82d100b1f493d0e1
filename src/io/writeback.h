/*
 * writeback.h - the victims of a closed window are written, and made evictable.
 *
 * Owns the write buffers that are not in use.  A dirty page is copied, and the copy written; core/window.h
 * has what may happen to the page meanwhile.  Adjacent pages are written by one call.
 */
#ifndef MPOOL_WRITEBACK_H
#define MPOOL_WRITEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/window.h"
#include "io/io.h"

/*
 * Make the victims evictable that can be evicted: they are in *r, claimed still.  Dirty ones
 * are written first, in page order.  All other claims are dropped.  *error: errno of a write
 * that failed, or was refused.  True: the program has refused one by itself.
 */
bool window_evict(struct io *io, struct stripe *me, struct window *w, struct evictable *r, int *error);

/*
 * The same in steps, for who lets others have each victim as soon as it can go.  First the clean
 * ones are in *r, and copies of the dirty ones in *c and `b`, which has no memory yet; each step writes
 * a run of these, from number `from` on, which are in *r then, and returns the next number, c->n
 * after the last.  The program is told before the first (hooks.h).
 */
struct buffer;
struct copied;
void window_evict_begin(struct io *io, struct stripe *me, struct window *w, struct evictable *r, struct buffer *b,
                        struct copied *c, int *error);
unsigned window_evict_next(struct io *io, struct stripe *me, const struct buffer *b, struct copied *c, unsigned from,
                           struct evictable *r, int *error);

/* Those from number `from` on are not written: they are dirty still, and let go of. */
void window_evict_none(struct io *io, const struct copied *c, unsigned from);

/* The same, but that dirty ones are let go of: nothing is written. */
void window_evict_clean(struct io *io, struct stripe *me, struct window *w, struct evictable *r);

/* The file has, or soon will have, the victim's page as it is now: if its frame is marked abandoned, put it on the torn-page list. */
void victim_note_torn(struct io *io, const struct victim *v);

/* ---- of sync's use too -------------------------------------------------- */

/* Copies of pages, one after the other.  Given back also when a filter does not return. */
struct buffer {
	struct io *io;
	char *bytes;
	unsigned pages; /* that fit */
	unsigned used;
	bool small; /* it is not kept */
};
#define BUFFER(b, its_io) __attribute__((cleanup(write_buffer_put))) struct buffer b = {.io = its_io}
/* `most`: more pages are not needed. */
bool write_buffer_get(struct io *io, struct buffer *b, size_t most);
void write_buffer_put(struct buffer *b);
/* Where the next page goes in the buffer. */
char *write_buffer_room(const struct io *io, const struct buffer *b);

/*
 * Copy a page that others may be modifying: one that sync writes while it is pinned, or
 * one that is rescued during the copy.  A torn copy does no harm: the first stays dirty
 * and is written again, the second is thrown away.
 */
void writeback_copy_racy(char *to, const char *from, size_t bytes);
/*
 * Copy a dirty page that the scan found unpinned.  `reopen`: the entry, which is
 * closing, is open again afterwards.  False: rescued meanwhile, or, *refused, the program does not
 * let it be written: open, and dirty again.
 */
bool writeback_copy_unpinned(struct io *io, const struct victim *v, struct buffer *b, bool reopen, int *refused);

/* Victims that were copied, in page order; their copies stand in the buffer one after the other. */
struct copied {
	unsigned n;
	struct victim *victim[WINDOW_MAX];
	bool written[WINDOW_MAX];
	int refused; /* why the program has not let others be written; 0: it has */
};
/*
 * Write the copies, adjacent pages in one call, if the program lets them be.  Notes for each whether it was
 * written; returns 0, or the first errno.
 */
int writeback_write(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b);
/* The write of an unpinned page is done, or failed. */
void writeback_done(struct io *io, const struct victim *v, bool written);

#endif
