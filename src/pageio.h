/*
 * pageio.h - pages to and from the file.
 *
 * Owns the descriptor (the caller's, used with pread and pwrite only), the
 * number of pages, what of the file was ever written, the filters, and what is
 * known to be on stable storage.
 *
 * A page below `extent` is in the file; a page from there on was never written,
 * and is zeros without a read.  So is the page that begins with the file's partial
 * tail, until it is written: those bytes are no page's.  Zeros go through pgin as
 * what was read does, for `extent` says nothing of a page below it: a hole of the
 * file must not come in another way when a page behind it was written.
 *
 * Stable storage.  After fsync fails, the kernel may drop what was written
 * before it returned, and say so only once.  So a frame remembers, as
 * "unsynced", that its page was written since the last success, and becomes
 * dirty again when fsync fails, as does one that is being written just then.  A
 * page that was written and left memory cannot: a failure then is for good
 * (`lost`).
 *
 *   writer  pwrite, then load turn, then unsynced(turn) on      }  pairs with
 *   sync    turn flipped (L), fsync, then unsynced(old) off     }
 *
 * A writer that still loads the old turn finished its pwrite before the flip,
 * so that fsync covers it.
 *
 * Filters are each process's own.  A process that has none must not read or write
 * pages of a pool that has, nor the other way round: the first that uses a shared
 * pool decides of which form it is, and who differs is refused (pageio_agrees).
 */
#ifndef MPOOL_PAGEIO_H
#define MPOOL_PAGEIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpool.h"

#define PAGE_NONE MAX_PAGE_NUMBER

struct pageio_state {
	_Atomic uint32_t pages;  /* in the file, and made by mpool_new */
	_Atomic uint32_t extent; /* pages 0 .. extent - 1 are in the file */
	_Atomic uint32_t tail;   /* the page that begins with the partial tail; PAGE_NONE: none */
	_Atomic uint32_t turn;   /* of sync: 0 or 1 */
	_Atomic bool left[2];    /* a page left memory unsynced, in that turn */
	_Atomic bool lost;       /* ... and its fsync failed */
	_Atomic uint32_t syncing; /* writeback room: number of the stripe that syncs + 1; 0: none */
	_Atomic uint32_t form;   /* enum form: what the processes that share the pool have agreed upon */
};

/* Of a shared pool's pages in memory and in the file: the first call on it decides. */
enum form { FORM_OPEN, FORM_PLAIN, FORM_FILTERED };

struct pageio {
	struct pageio_state *state;
	int fd;
	bool shared;
	uint32_t pagesize;
	size_t align; /* of memory that is read into or written from */
	uint64_t device, inode; /* which file it is */
	void (*pgin)(void *, pgno_t, void *);
	void (*pgout)(void *, pgno_t, void *);
	void *cookie;
};

/* Check the file and size it up: what mpool_open promises.  0, or -1 and errno. */
int pageio_open(struct pageio *io, int fd, uint32_t pagesize, uint32_t *pages, bool *tail);
void pageio_init(struct pageio *io, struct pageio_state *st, uint32_t pages, bool tail);

/* Do this process's filters suit a shared pool? */
bool pageio_agrees(const struct pageio *io);

/* Pages in the file, and made by mpool_new. */
uint32_t pageio_pages(const struct pageio *io);
/*
 * Page `page`, or with PAGE_NONE the next one, is in the file from now on.
 * Returns its number, or PAGE_NONE: all are used.
 */
uint32_t pageio_extend(const struct pageio *io, uint32_t page);

/*
 * Fill `to` with page `page`, in the memory's form.  1: read; 0: it was never
 * written; -1 and errno.
 *
 * `made`: mpool_new has just given out the number.  The page is zeros, and those
 * that the file has there do not go through pgin; unless another thread was so quick that
 * it has got, modified and put the page, and it was written, before mpool_new
 * came to it: then it is what was written.
 */
int pageio_read(const struct pageio *io, uint32_t page, void *to, bool made);

/* A page's copy, in the form that the file has. */
void pageio_encode(const struct pageio *io, uint32_t page, void *copy);
/*
 * Write `n` pages from `page` on.  Returns how many were written whole; fewer
 * than `n`: errno tells why.
 */
uint32_t pageio_write(const struct pageio *io, uint32_t page, uint32_t n, const void *from);

/* The turn to note a write in that is done. */
unsigned pageio_turn(const struct pageio *io);
/* A page leaves memory that was written, not synced, in these turns. */
void pageio_left(const struct pageio *io, bool turn0, bool turn1);

#endif
