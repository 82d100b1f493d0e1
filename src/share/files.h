/*
 * files.h - a process attaches and closes files of a shared pool.
 *
 * Owns what this process has of each file: how many handles, and its descriptors.
 *
 *   attach   the file is in, by its device and inode: this process is one of its holders, with the witnesses of the others
 *            (hand.h), so that whoever syncs it is told of writes that failed, whoever made them (pageio.h)
 *            it is in no slot: it gets one, and this process opens its witnesses
 *            it is closing: that is waited for, or, where nobody is at it any more, done
 *   close    others hold it: this process lets go of it, once no thread of its own writes or reads a page of it
 *            nobody does: it is closed (slots.h)
 *
 * Whoever makes room may come to a modified page of a file that his process has not attached, and so has no descriptor of.
 * Then he takes another, and notes the file (`wanted`); with nothing claimed he asks a holder for its witnesses, and the next time
 * the page can be written; if none answers, nobody of this process asks for one second, or up to eight (ASK_AGAIN_NS).  Neither
 * does a process write a page of a file for which it has not the filters and hooks that its holders agreed upon.  If nobody holds
 * the file, and it could not be closed before, it is now.
 *
 *   writer   frame claimed (L); `here` is the slot's generation and 1: hooks and descriptors are used      }  pairs with
 *   close    `here` <- 0; no frame of the file's is claimed by this process: hooks and descriptors go      }
 */
#ifndef MPOOL_FILES_H
#define MPOOL_FILES_H

#include "share/sharing.h"

/* In a process that makes or joins a pool, and leaves it.  0, or an errno. */
int files_join(struct sharing *sh);
/* Release what this process has.  `parents`: in a child, whose parent goes on. */
void files_end(struct sharing *sh, bool parents);

/* 0 and the file, or an errno: EAGAIN: no process that has it hands it over; EROFS: those have it open for reading only; and
 * what pageio_open and pageio_reopen have. */
int files_attach(struct sharing *sh, struct stripe *me, int fd, struct io **io);
/*
 * A handle is closed; `last`: it is this process's last of the file, of which it has no page in use.  0, or an errno: it is not;
 * EAGAIN: it is the last by now, or not.  files_is_last: is it, just now?
 */
int files_close(struct sharing *sh, struct stripe *me, struct io *io, bool last);
bool files_is_last(struct sharing *sh, const struct io *io);

/* Ask for what a writer has noted, or close it, if nobody has it and nobody is at it.  True: look again. */
bool files_wanted(struct sharing *sh, struct stripe *me);

#endif
