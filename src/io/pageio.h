/*
 * pageio.h - pages to and from the file.
 *
 * Owns the descriptors of the file (read and written at given offsets only, so that the
 * offset of the caller's never moves), the number of pages and who is changing where the file ends,
 * how much of the file was ever written, and what is known to be on stable storage.
 *
 * The end: a word of its own says how many pages there are, how often the file was cut, and whether it is being cut
 * (evict/cut.h); `cut` says by whom, and where.
 *
 *   pages           --L, mpool_new-->     more
 *   not being cut   --L, who has `cut`--> being cut
 *   being cut       --L, the same-->      not being cut
 *   being cut       --L, the same-->      not being cut, other pages, cut once more
 *
 * Who inserts an entry looks at it afterwards (pageio_stands), and takes the entry back if there is no such page, or may
 * not be one soon.  A number that mpool_new was given is worth nothing once the file was cut: it may be given again.
 *
 *   who inserts   entry <-L- loading; then the end loaded    }  pairs with
 *   who cuts      the end <-L- being cut; then entries loaded }
 *
 * A page below `extent` is in the file; a page from there on was never written, and is zeros
 * without a read.  So is the page that begins with the file's partial tail, until it is
 * written: those bytes belong to no page.  Zeros go through pgin as bytes that were read do,
 * for a page below `extent` may also be a hole of the file: whether a page was never written
 * must not change what the filter sees once a later page is written.
 *
 * Witnesses.  The kernel reports a failed write-back once to each open file description, and
 * to one opened later only if it has reported it to none before.  So an fsync through a
 * descriptor that others share, or that was opened after the pages were written, may return
 * 0 although pages are lost.  A pool has open file descriptions of its own, its witnesses,
 * that existed before its first write and through which nobody else calls fsync: a private
 * pool one, from its first write on; a shared pool WITNESSES of them, from the beginning,
 * that each process has (witness.h).
 *
 * A process that dies in an fsync loses its result.  So it is recorded of each witness that
 * somebody has called fsync through it and not yet noted the result (`doubtful`): it is not
 * used again before another witness has reported that nothing failed, since then there was
 * nothing to report.  A process that gets a failure calls fsync through all other witnesses
 * too before it notes it: it is one failure, and no later fsync is to fail for it.
 *
 *   doubtful  of a witness   on   before its fsync
 *             of all         on   before those of the others, after a failure
 *             of all         off  when the result is noted: frames, then left and lost;
 *                                 and by who recovers, if all are on, and what has left
 *                                 is lost, or nothing has left
 *
 * The witness of a private pool is shared with children of a fork.  What any of them was told
 * is recorded where all of them see it, in the witness's file offset, which has no other use:
 * how many are in an fsync through it now, and how often one has failed; 0 when it is opened.
 * A process that finds that another was told takes the failure as told to itself, also if it
 * was forked before the failure was noted, and does with the frames what follows from it.  So
 * a descriptor that was released may be a witness again, whoever else has it.  A child gets a
 * witness of its own as soon as no earlier write depends on the old one: it is opened, then
 * all that was written and not synced is made dirty, then it is checked whether a page has
 * left memory.
 *
 * Where a file may not be opened again, the caller's descriptor is the only witness.
 *
 * A store of the program's (store.h) answers for itself: it has no descriptor and no witnesses, and its pool is private.
 *
 * Stable storage.  After fsync fails, the kernel may drop what was written before it
 * returned, and reports it only once.  So a frame remembers, as "unsynced", that its page was
 * written since the last success, and becomes dirty again when fsync fails, as does one that
 * is being written at that moment.  A page that was written and left memory cannot: a failure
 * then is final (`lost`); unless it is that of a store which was not to be reached, and so has said nothing of what
 * it was given before: then the next flush that succeeds speaks for that, too (pageio_unreached).
 *
 *   writer  pwrite, then load turn, then unsynced(turn) on      }  pairs with
 *   sync    turn flipped (L), fsync, then unsynced(old) off     }
 *
 * A writer that still loads the old turn finished its pwrite before the flip, so that fsync
 * covers it.  The turn is the number of flushes that have begun, modulo 2, so that who
 * waits for a flush of others goes by the same step (sync.h).
 *
 * Nor may a cut be, once a flush has failed: then it is made again, by who has the turn to flush.  All that was written behind
 * it is modified again then, and what is written there until it is made stays in memory: so the file can be cut to
 * where it was, and made as long as it had become; or, if it is that still, is told so once more.  Where a page had left memory by then nothing is cut: either it is lost, or
 * the next flush that succeeds speaks for the cut, too.  (A child of fork makes no cut of its parent's again.)
 *
 *   uncut   none      --the turn's owner, a cut-->       where to
 *           where to  --the same, a flush succeeds-->    none
 *   recut   0         --the same, a flush has failed-->  doubt   before frames are dirty again
 *           0         --who recovers a cut, and cannot look at the file-->  again
 *           doubt     --the same-->                      again   a page has left: 0
 *           again     --the same, the file is cut-->     0       what was written meanwhile is dirty again; or, with an errno, again
 *
 *   who evicts  recut loaded, then left on, then the frame's word loaded       }  pairs with
 *   who has     doubt on, then frames dirty (L), then left loaded              }
 *
 * On their way pages go through the program's filters and hooks (hooks.h).
 */
#ifndef MPOOL_PAGEIO_H
#define MPOOL_PAGEIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "io/hooks.h"
#include "io/store.h"
#include "mpool.h"

#define PAGE_NONE MAX_PAGE_NUMBER
/* So many deaths in an fsync in a row, each with a page gone since the last success, leave nobody to ask. */
#define WITNESSES 3u
/* The offset of a private pool's: how many are in an fsync, and, above, how often it has failed. */
#define ASKING     ((off_t)1)
#define ASKING_ALL ((off_t)1023)
#define TOLD       (ASKING_ALL + 1)
#define NO_WITNESS (-1)
/* Where the system does not let the file be opened again. */
#define WITNESS_IS_FD (-2)

/* The word of the end: pages in the file, and made by mpool_new; being cut; and how often it was. */
#define END_CUTTING    ((uint64_t)1 << 32)
#define END_CUTS_SHIFT 33
/* Who is cutting: where to; how far that is (CUT_...); the number of the stripe + 1. */
#define CUT_STEP_SHIFT  32
#define CUT_STEP        ((uint64_t)3 << CUT_STEP_SHIFT)
#define CUT_OWNER_SHIFT 34

/* The cuts that no flush has covered yet: how short they made the file, and, above, how many pages it had before. */
#define UNCUT_NONE       ((uint64_t)PAGE_NONE)
#define UNCUT_FROM_SHIFT 32
/* What a flush that has failed says of them; above, the errno with which they could not be made again. */
#define RECUT_DOUBT       1u
#define RECUT_AGAIN       2u
#define RECUT_ERRNO_SHIFT 2

/* pageio_begin sets each of them, but the name. */
struct pageio_state {
	_Atomic uint64_t end;       /* END_... */
	_Atomic uint64_t cut;       /* CUT_...; 0: nobody */
	_Atomic uint64_t uncut;     /* UNCUT_... */
	_Atomic uint32_t recut;     /* RECUT_...; 0: there is no doubt */
	_Atomic uint32_t length;    /* that the last cut gave it, in pages: it may be longer than what was written */
	_Atomic uint32_t limit;     /* the file has no pages from there on (extent.h); PAGE_NONE: as many as it likes */
	_Atomic uint32_t extent;    /* pages 0 .. extent - 1 are in the file */
	_Atomic uint32_t tail;      /* the page that begins with the partial tail; PAGE_NONE: none */
	_Atomic uint32_t flushes;   /* that have begun; the turn that writes are noted in is this, modulo 2 */
	_Atomic uint32_t flushed;   /* ... the last of them that has ended, and that anybody knows of */
	_Atomic bool left[2];       /* a page left memory unsynced, in that turn */
	_Atomic bool lost;          /* ... and its fsync failed */
	_Atomic uint32_t syncing;   /* of sync.h: number of the stripe that syncs + 1; 0: none */
	_Atomic uint32_t form;      /* of hooks.h: what the processes that share the pool have agreed upon */
	_Atomic uint32_t doubtful;  /* witnesses, by bits */
	_Atomic uint32_t witnesses; /* those that there are, by bits */
	_Atomic uint32_t generation; /* of a shared pool's witnesses */
	_Atomic uint32_t newest;     /* that there was */
	_Atomic int32_t failed;      /* errno of the first write that failed since a sync succeeded; 0: none */
	/*
	 * Of sync.h: how often what had been written became modified again, and for which flush; and that word
	 * as it was when all that was modified was written and flushed.
	 */
	_Atomic uint64_t undone, mended;
	/* Of sync.h, all of them hints: how many have come to be flushed; ... before the last flush began; */
	_Atomic uint32_t came, came_before;
	_Atomic uint32_t together; /* were in it, or waiting, when it ended; */
	_Atomic uint32_t wanted;   /* `came`, when whoever has the turn waits no longer; */
	_Atomic uint64_t flush_ns; /* and how long that flush took */
	uint64_t name;             /* of the pool, for its witnesses' names; 0: it is private */
};

struct pageio {
	struct pageio_state *state;
	struct store *store;            /* NULL: it is a file; else there are no descriptors, nor witnesses */
	int fd;                         /* to read and write */
	_Atomic int witness[WITNESSES]; /* or NO_WITNESS: there is none, `fd` serves */
	_Atomic uint32_t generation;    /* of these; they are right while it is the pool's */
	_Atomic int64_t told;           /* a private pool's: how often the witness has told of a failure, as noted */
	_Atomic int64_t heard;  /* ... as the flush found it whose answer is to be noted, and 1; 0: there is none */
	_Atomic uint64_t forks; /* when they were opened (descriptor.h); 0: others may have it */
	bool shared;
	uint32_t pagesize;
	size_t align;           /* of memory that is read into or written from */
	uint64_t device, inode; /* which file it is */
	struct hooks hooks;
};

/* Check the file and size it up: what mpool_open promises.  0, or -1 and errno. */
int pageio_open(struct pageio *io, int fd, uint32_t pagesize, uint32_t *pages, bool *tail);
/* The same of a store, as the caller compiled the structure, of `size` bytes.  0, or an errno. */
int pageio_open_store(struct pageio *io, const struct mpool_store *own, size_t size, void *cookie, uint32_t pagesize,
                      uint32_t *pages, bool *tail);
/* Nothing is in flight.  Of a file it does nothing.  `tell`: the program is told. */
void pageio_close_store(struct pageio *io, bool tell);
/* Is the descriptor one of the file? */
bool pageio_is_file(const struct pageio *io, int fd);
/* Nothing is open. */
void pageio_none(struct pageio *io);
/*
 * Open `n` witnesses of the file that `fd` is, to read and write if `write`, else as
 * `fd` is.  0, or an errno: EMFILE and the like.
 */
int pageio_reopen(struct pageio *io, int fd, unsigned n, bool write);
/* They are, with their generation, what this shared pool's members are to have from now on. */
void pageio_establish(const struct pageio *io);
/* Their names, in all processes: see descriptor.h. */
uint64_t pageio_name(uint64_t first, uint32_t generation, unsigned i);
/* Let them go.  `shared`: other processes have them. */
void pageio_close(struct pageio *io, bool shared);
/* The same of a shared pool's file, by the name that it had when they were had: its state may be another's by now. */
void pageio_close_named(struct pageio *io, uint64_t name);
void pageio_init(struct pageio *io, struct pageio_state *st, uint32_t pages, bool tail);
/* The state is a file's that has so many pages.  Who has just emptied a frame of the file before may look at it still. */
void pageio_begin(struct pageio_state *st, uint32_t pages, bool tail);

/* Do this process's filters and hooks suit a shared pool? */
bool pageio_agrees(const struct pageio *io);

/* Pages in the file, and made by mpool_new. */
uint32_t pageio_pages(const struct pageio *io);
/* Is it one of these? */
static inline bool pageio_has(const struct pageio *io, uint32_t page)
{
	return page < (uint32_t)atomic_load(&io->state->end) && page < atomic_load(&io->state->limit);
}
/*
 * Page `page`, or with PAGE_NONE the next one, is in the file from now on.
 * Returns its number, or PAGE_NONE: all are used.  *cuts: how often the file was cut when it was given.
 */
uint32_t pageio_extend(const struct pageio *io, uint32_t page, uint64_t *cuts);
/*
 * Is there such a page?  After an entry of it was inserted, or it was pinned.  `cuts`: that number's; NULL: it is not one that
 * was given just now.  LATER: that is being decided.
 */
enum stands { STANDS, STANDS_NOT, STANDS_LATER };
enum stands pageio_stands(const struct pageio *io, uint32_t page, const uint64_t *cuts);
/*
 * For evict/cut.c, which has all pages from `pages` on.  pageio_cut: the file ends there, or an errno: it does not.
 * pageio_is_cut: does it, or sooner?  pageio_cut_noted: what is known of these pages is forgotten.
 */
int pageio_cut(const struct pageio *io, uint32_t pages);
bool pageio_is_cut(const struct pageio *io, uint32_t pages);
void pageio_cut_noted(const struct pageio *io, uint32_t pages);
/*
 * With the turn to flush.  pageio_cut_doubted: a flush has failed, or may have; before the frames are dirty.
 * pageio_cut_decided: after that; a doubtful cut is to be made again, or nobody can know.  pageio_is_cut_again: is one
 * to be?  pageio_cut_again: it is made; 0, or an errno.  pageio_cut_settled: it is done (0), or could not be.
 * pageio_cut_flushed: there is none to be made again.
 */
void pageio_cut_doubted(const struct pageio *io);
void pageio_cut_decided(const struct pageio *io);
/* Who recovers the cut cannot look at the file: the next sync makes it again. */
void pageio_cut_unseen(const struct pageio *io);
bool pageio_is_cut_again(const struct pageio *io);
int pageio_cut_again(const struct pageio *io);
void pageio_cut_settled(const struct pageio *io, int error);
void pageio_cut_flushed(const struct pageio *io);
/* May page `page`, which is written and not flushed, not leave memory just now? */
static inline bool pageio_cut_keeps(const struct pageio *io, uint32_t page)
{
	/* Sequentially consistent: see above. */
	return unlikely(atomic_load(&io->state->recut)) && page >= (uint32_t)atomic_load(&io->state->uncut);
}
/* What others have written behind what this pool has may be read; nobody cuts the file meanwhile.  0, or an errno. */
int pageio_look_again(const struct pageio *io);
/* The file has no pages from `limit` on, for ever.  False: it has, or may have. */
bool pageio_limit(struct pageio *io, uint32_t limit);

/*
 * Fill `to` with page `page`, in the memory's form.  1: read; 0: it was never
 * written; -1 and errno, which may be the hook's.
 *
 * `made`: mpool_new has just given out the number.  The page is zeros, and those
 * that the file has there do not go through pgin; unless another thread was so quick that
 * it has got, modified and put the page, and it was written, before mpool_new
 * came to it: then it is what was written.
 */
int pageio_read(const struct pageio *io, uint32_t page, void *to, bool made);

/*
 * The parts of that, for pages that are read several at a time: was the page never written,
 * so that it is zeros, and not to be read; read the `n` pages from `page` on, each to the
 * piece of `iov` that is its own, of which the first `done` bytes are there already; and
 * give a page, which was read or is zeros, the memory's form: 0, or the errno of the hook that refuses it.
 *
 * pageio_readv returns how many pages were read whole, from the first on; fewer than `n`:
 * errno tells why.
 */
bool pageio_unwritten(const struct pageio *io, uint32_t page);
uint32_t pageio_readv(const struct pageio *io, uint32_t page, struct iovec *iov, uint32_t n, size_t done);
int pageio_decode(const struct pageio *io, uint32_t page, void *bytes, bool made);
off_t pageio_offset(const struct pageio *io, uint32_t page);
/* Do transfers go past the kernel's memory, just now? */
bool pageio_direct(const struct pageio *io);

/*
 * Give a page's copy the form that the file has; and, before the first of a batch's copies is written, tell the program.
 * 0, or the errno of the hook that refuses it, which is kept as that of a write that failed.
 */
int pageio_encode(struct pageio *io, uint32_t page, void *copy);
int pageio_before_write(struct pageio *io, const pgno_t *page, void *const *copy, size_t n);
/*
 * Write `n` pages from `page` on.  Returns how many were written whole; fewer
 * than `n`: errno tells why.
 */
uint32_t pageio_write(struct pageio *io, uint32_t page, uint32_t n, const void *from);
/*
 * The parts of that, for pages that engines write: may they be written?  0, or an errno; and
 * write them, of which the first `done` bytes are written already, and note it.
 */
int pageio_may_write(struct pageio *io, uint32_t page, uint32_t n);
uint32_t pageio_write_rest(const struct pageio *io, uint32_t page, uint32_t n, const void *from, size_t done);

/*
 * Flush, through a witness that can be believed, and what it says is not noted yet: 0,
 * or an errno, EAGAIN: another process may just have been told.  pageio_noted: it is.  Both with the turn to sync.
 */
int pageio_flush(struct pageio *io);
/*
 * A new witness for a private pool, NO_WITNESS: none; and to have it, if no page has left.
 * Between the two a fork waits (descriptor.h).
 */
int pageio_fresh(const struct pageio *io);
void pageio_renew(struct pageio *io, int fresh);
void pageio_noted(struct pageio *io);
/* Is it a store that has failed with that as it was not to be reached?  A file never is. */
bool pageio_unreached(const struct pageio *io, int error);
/* Has a page left memory unsynced since the last success? */
bool pageio_left_any(const struct pageio *io);
/* Who made a flush died in it: is there nobody any more who could tell? */
bool pageio_blind(const struct pageio *io);

/*
 * Keep the errno of a write that failed, unless one is kept already; the kept one, or 0; and,
 * everything being on stable storage, forget the one that was kept when that began.
 */
void pageio_failed(const struct pageio *io, int error);
int pageio_failure(const struct pageio *io);
void pageio_forget_failure(const struct pageio *io, int kept);

/* The turn that is left when flush number `flushes` + 1 begins; and that to note a write in that is done. */
static inline unsigned pageio_turn_of(uint32_t flushes)
{
	return flushes % 2;
}
unsigned pageio_turn(const struct pageio *io);
/* A page leaves memory that was written, not synced, in these turns. */
void pageio_left(const struct pageio *io, bool turn0, bool turn1);

#endif
