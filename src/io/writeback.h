/*
 * writeback.h - the victims of a closed window are written, and made evictable.
 *
 * Owns the write buffers that are not in use.  A dirty page is copied, and the copy written; core/window.h
 * has what may happen to the page meanwhile.  Adjacent pages are written by one call.  Who makes room
 * ahead of need has all calls of a window in flight at once; others make one after the other.
 */
#ifndef MPOOL_WRITEBACK_H
#define MPOOL_WRITEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/window.h"
#include "io/engine.h"
#include "io/io.h"
#include "io/run.h"

/*
 * Make the victims evictable that can be evicted: they are in *r, claimed still.  Dirty ones
 * are written first, in page order.  All other claims are dropped.  *error: errno of a write
 * that failed, or was refused.  True: the program has refused one by itself, be it that it first refused
 * several; or one is of a file that this process cannot write (share/files.h).  Where it has a before_write, and some of the victims are clean, dirty ones are let go of.
 */
bool window_evict(struct io *io, struct stripe *me, struct window *w, struct evictable *r, int *error);

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
	bool small;
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
	bool others; /* others are of files that only other processes can write, as of now: no error, but they stay */
};
/*
 * Write the copies, adjacent pages in one call, if the program lets them be.  Notes for each whether it was
 * written; returns 0, or the first errno.
 */
int writeback_write(struct io *io, struct stripe *me, struct copied *c, const struct buffer *b);
/* Its copy gets the form that its file has: 0, or an errno.  Which turn of its file's a write is noted in. */
int writeback_encode(struct io *io, const struct victim *v, void *copy);
unsigned writeback_turn(struct io *io, const struct victim *v);
/* The write of an unpinned page is done, or failed. */
void writeback_done(struct io *io, const struct victim *v, bool written);

/* ---- runs in flight together -------------------------------------------- */

/* Copies on their way to the file: those of adjacent pages are one run. */
struct writing {
	const struct buffer *buffer;
	struct copied copied;
	bool begun;
	unsigned n;
	struct io_run run[WINDOW_MAX];
	struct iovec iov[WINDOW_MAX];
	struct flight flight;
};

/*
 * window_evict in steps, for who lets others have each victim as soon as it can go; all runs
 * are in flight at once, if the engine can (engine.h).  First the clean ones are in *r, and `b`,
 * which has no memory yet, gets it for the copies of the others.  Each further step waits for a
 * run, and *r has what was written of it; false: there was none left.  Before the first of these the
 * program is told (hooks.h); what it refuses is noted in to->copied.  After one that failed no
 * other is begun: their victims are let go of, dirty.  *error: errno of the first that failed.
 */
void window_evict_begin(struct io *io, struct stripe *me, struct window *w, struct evictable *r, struct buffer *b,
                        struct writing *to, int *error);
bool window_evict_next(struct io *io, struct stripe *me, struct writing *to, struct evictable *r, int *error);

#endif
