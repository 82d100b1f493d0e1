/*
 * log.h - the tree's write-ahead log.
 *
 * The log is a stream of records.  A place in it is a number of bytes, 64 bits, that only grows; an "LSN" is the
 * place where a record ends.  The file is a ring of `size` bytes behind a header, and place x is in it at x % size.
 *
 *      base ................. written ........ end        flushed <= written
 *      needed to recover      in the file      in `ring`
 *
 * A record is one operation of the tree, with the changes of all pages that it concerns, so it is in the log or it is not,
 * and nothing is ever undone.  A change is what has been done to a page, by slot number.  The first change of a page after
 * a checkpoint has began (its lsn is not above `redo`) brings the page's image as it was before: so whoever reads the log
 * from there on can make the page anew, whatever the file has of it, be it torn by a power cut, or memory, left by a
 * process that was killed.
 *
 * What appenders share (struct log_state, with the bytes that are not in the file yet) is memory of this process,
 * or of several: FILE.shm.  Its mutexes are robust.  Who dies in one leaves nothing half-done: bytes behind `end`
 * count for nothing, and the places move when all is done that they say.
 *
 * The mutexes are held over no call on the pool, since the pool calls log_flush (before_write); but for `checkpoint`,
 * which log_flush does not take.
 */
#ifndef TREE_LOG_H
#define TREE_LOG_H

#include <pthread.h>
#include <stdatomic.h>

#include "page.h"

enum {
	LOG_BUFFER = 1 << 20,
	LOG_SIZE_LEAST = 4 * LOG_BUFFER,
	CHANGES_MAX = 4, /* of a record */
};

enum change_what {
	CHANGE_INSERT = 1, /* key and value, at slot */
	CHANGE_REPLACE,    /* the entry at slot, by key and value */
	CHANGE_REMOVE,     /* the entry at slot */
	CHANGE_CUT,        /* from slot on; key: the upper fence */
	CHANGE_SPACE,      /* of page 0: link and pages */
	CHANGE_IMAGE,      /* value: the image */
};

struct change {
	pgno_t pgno;
	enum change_what what;
	struct page *page; /* where it is, for who logs the change */
	unsigned slot;
	struct bytes key, value;
	const struct page *image; /* for who logs CHANGE_IMAGE; value is for who reads it */
	uint32_t link, pages;
	struct bytes before; /* the page's image before; at NULL: it is not there */
};

/* Make the change: of a page that the caller has latched exclusively.  false: the change is none. */
bool change_make(struct page *p, const struct change *c);

struct log_state;
struct log {
	int fd;
	struct log_state *state;
};

/*
 * Opens FILE.log and what is shared: with other processes, in FILE.shm; else nobody.  0 or an errno.  What is shared is
 * as it was left until log_begin.
 */
int log_open(struct log *log, const char *file, bool shared);
void log_close(struct log *log);

/* Calls for each change of each record from `base` on, in order; lsn: of the record.  Until one is not 0. */
typedef int log_seen(void *arg, const struct change *c, uint64_t lsn);
/*
 * By the first who has the log: reads what a crash has left of it, or begins a new one of that size (a multiple of
 * LOG_BUFFER).  When the pages that the changes concern are in the file, they are to be cut off (log_cut).  0 or an errno.
 */
int log_begin(struct log *log, uint64_t size, log_seen *seen, void *arg);
/* By who comes later: has log_begin succeeded? */
bool log_has_begun(const struct log *log);
/* Reads all that is in the log now.  0 or an errno. */
int log_read(struct log *log, log_seen *seen, void *arg);

/*
 * Appends one record: n changes of pages that the caller has latched exclusively, not made yet.  0 or an errno: nothing
 * is appended.  *lsn: where it ends.
 */
int log_append(struct log *log, const struct change *c, unsigned n, uint64_t *lsn);
/* Brings the log to stable storage, up to there at least.  Those who wait for a flush share the next.  0 or an errno. */
int log_flush(struct log *log, uint64_t lsn);
/* Where it ends now. */
uint64_t log_end(const struct log *log);

/*
 * A checkpoint: pages that are changed from now on bring their image.  When all earlier changes
 * are in the file, the log is cut at the place that log_mark gave.  0 or an errno.
 */
int log_mark(struct log *log, uint64_t *redo);
int log_cut(struct log *log, uint64_t redo);
/* Who makes checkpoints locks it.  0, or an errno: EBUSY, if somebody has it and it is only to be tried. */
int log_lock(struct log *log, bool only_try);
void log_unlock(struct log *log);

/* How full it is: 0 to 100. */
unsigned log_full(const struct log *log);

#endif
