/*
 * slots.h - the files of a shared pool: who holds them, and how they are closed.
 *
 * Owns the states of the catalog's slots (io/catalog.h), and who holds them, which change with the pool's lock.
 *
 * A file that nobody holds any more is closed: its pages leave memory (evict/leave.h), modified or not, then its extents are
 * nobody's, then the slot is free.  By whoever let go of it last; or, where a holder has died, by who recovers it, as far as that needs
 * no waiting: what others are at just then is left to the next who attaches or recovers.  A closer that dies is the same.
 */
#ifndef MPOOL_SLOTS_H
#define MPOOL_SLOTS_H

#include "io/catalog.h"
#include "share/sharing.h"

void slot_state(struct file_slot *s, enum file_state state, uint64_t generation);
/* The slot that has the file, or that is closing it; NULL: none. */
struct file_slot *slot_find(const struct sharing *sh, const struct pageio *file);
void slot_hold(struct file_slot *s, uint32_t member);
/* The member has the file no more.  If that was the last, it is closing, by `closer`; 0: whoever comes.  Was it? */
bool slot_let_go(struct file_slot *s, uint32_t member, uint32_t closer);

/*
 * By whoever is at it.  Who has the pool's lock does not wait: whom he waits for may have died, and be recovered by nobody else.
 * Then the slot stays as it is, for others.
 */
void slot_close(struct sharing *sh, struct io *io, struct stripe *me, bool waits);
/* The same, when it was tried to have its pages leave memory: `out`: they have. */
void slot_left(struct sharing *sh, struct io *io, struct stripe *me, bool out, bool waits);
/* The slot was found closing: it is not any more, or it was waited for, for a moment.  Without the pool's lock. */
void slot_outlast(struct sharing *sh, struct file_slot *s, struct stripe *me);

/* With the pool's lock, by who recovers, or leaves: the member has none any more. */
void slots_forget_member(struct sharing *sh, uint32_t member);
/* A file that nobody holds, and nobody is at, is closed, as far as that needs no waiting: pages that others are at stay.  True: it is closed. */
bool slot_close_left(struct sharing *sh, struct io *io, struct stripe *me);
/* ... and all that are so. */
void slots_close_left(struct sharing *sh, struct stripe *me);
/* Of a call that is gone. */
void slots_recover(struct sharing *sh, stripe_test *dead, void *of);
/* Flushes whose results died with who made them are made again, where this process can be told. */
void slots_settle(struct sharing *sh, struct stripe *me);

#endif
