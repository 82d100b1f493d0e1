/*
 * mpool.h - the 4.4BSD mpool(3) page buffer pool, for many threads and many
 * processes at once.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A pool holds copies of the fixed-size pages of an open file, or of several (mpool_attach), or of what a program
 * has in the place of one (mpool_open_store).  A page is
 * "pinned" from the call that hands out its address (mpool_get, mpool_new) to
 * the mpool_put that gives it back; a pinned page keeps its address.  The address is a
 * multiple of 16, and of the page size if that is a power of two up to 4096.
 *
 * Thread-safety, unless a call says otherwise: every call may be made by any
 * number of threads on one pool at the same time.  What two threads do to the
 * bytes of one pinned page is theirs to order.
 *
 * Signals: no handler of a signal may make a call here.
 *
 * Cancellation (pthread_cancel): no call is a cancellation point, so a thread
 * cancelled in one finishes it first; what it has pinned stays pinned, for others
 * to put.  That is deferred cancellation, the default.  A thread whose
 * cancellation is asynchronous must make no call here.
 *
 * Fork: a process may fork at any time, whatever its threads do, and notices nothing.
 * The child goes on with copies of its parent's private pools, as 4.4BSD's did: with all
 * that was put, and the pins.  Those of the forking thread are that thread's; what the
 * other threads had pinned stays so, for anybody to put, and counts as abandoned
 * (mpool_abandoned): they may have been at it.  Whatever call they were in is undone or
 * ended by the child's first call on the pool.  Parent and child write to one file, each
 * from its own memory, and over each other: one of them is to leave it alone.  So daemon(3)
 * after mpool_open works; the parent, which ends, writes nothing.  A fork waits for the reads
 * that io_uring or threads of the library's have in flight, and for no others: with O_DIRECT,
 * open(2) warns of a fork while another thread may be reading a page.
 * Not to be used by the child, where calls fail with EBADF, and good for mpool_close
 * only: shared pools, which it opens again by their key, one in whose filter or hook it was
 * forked, and those of stores.
 *
 * Processes: those of one user that open the same key share one pool.  A process may
 * die at any instruction; the others go on, and lose nothing that was put.  What
 * two processes do to the bytes of one page is theirs to order, too.
 *
 * Errors: calls that return a pointer return NULL, calls that return an int
 * return -1, and set errno as listed with the call.  A failed call changes
 * nothing that is not listed with it.  All calls but mpool_open, mpool_filter, mpool_hooks and
 * mpool_close fail besides with EBADF in a child of fork, EDEADLK in a filter or hook and ENOTSUP
 * where others have other filters or hooks, as told above and with mpool_filter.
 *
 * The calls and their promises come from 4.4BSD's manual page mpool(3), which
 * Linux and macOS carry too, and from the later BSDs where noted.
 */
#ifndef MPOOL_H
#define MPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A page number; pages are numbered from 0. */
typedef uint32_t pgno_t;

/* No page has this number, so a file has at most this many pages. */
#define MAX_PAGE_NUMBER 0xffffffff

/* A shared pool's key has at most that many bytes. */
#define MPOOL_KEY_MAX 0x100000

/* mpool_put: the page was modified and must reach the file. */
#define MPOOL_DIRTY 0x01
/* mpool_get (later BSDs): hand out the page without pinning it. */
#define MPOOL_IGNOREPIN 0x01
/* mpool_get (this library): the page is wanted once only, as in a scan. */
#define MPOOL_ONCE 0x100
/* mpool_get (this library): only if it is in memory. */
#define MPOOL_CACHED 0x200
/* mpool_new (later BSDs): take the page number in *pgnoaddr ... */
#define MPOOL_PAGE_REQUEST 0x01
/* ... or the next number, as the two-argument call does. */
#define MPOOL_PAGE_NEXT 0x02

typedef struct MPOOL MPOOL;

/* Called for page `pgno` whose bytes are at `page`, with mpool_filter's cookie. */
typedef void mpool_filter_t(void *cookie, pgno_t pgno, void *page);

/*
 * mpool_open - make a pool for the pages of an open file.
 *
 * key       NULL: the pool's buffers are private to this process.  Else a string of
 *           any bytes, at most MPOOL_KEY_MAX: all processes of the user (of one effective
 *           user number, that see one /dev/shm) that open this key share one pool,
 *           until the last of them has closed it or ended.
 * fd        a regular file or a block device, read with pread(2), preadv(2) or
 *           io_uring(7) and (for modified pages) written with pwrite(2): its offset
 *           never moves.  It
 *           stays the caller's, who keeps it open until after mpool_close.
 *           With O_DIRECT the page size must suit the device.  Who joins a pool
 *           that is there need not have the file: fd is ignored, and may be -1; the
 *           pool finds the file, verifies it, and opens it as the first opener did.
 * pagesize  bytes, 1 or more, not necessarily a power of two.  A partial page
 *           at the end of the file is not a page.
 * maxcache  pages to keep in memory; 0 counts as 1.  It is exceeded while more
 *           pages than that are pinned or being read or written at once, and
 *           the misses, syncs and cleaners that follow bring the pool back to it.  Of a shared
 *           pool it is the largest that any opener asked for; the pool grows in
 *           place, and addresses handed out stay valid.  It has addresses for nearly
 *           16 times what its first opener asked for, or for 32 GiB of pages and
 *           what goes with them if that is more.
 *
 * A shared pool's pages have an address of their own in each process, and a pin is
 * its process's: it cannot be put by another.  A process that opens a key twice has
 * two handles, which are to each other as two processes are.  A process that ends,
 * closed or not, gives its pins back; if it died with a page pinned, the next
 * process finds what it left there (mpool_abandoned).  A process has one thread for
 * all its shared pools, asleep, that notices deaths.  What pools that are shared have
 * of memory is left out of core files.
 *
 * EINVAL   pagesize is 0, or not one that the O_DIRECT descriptor can transfer;
 *          or fd is open for writing with O_APPEND, with which Linux writes
 *          every page at the end of the file
 * EBADF    fd is no open descriptor, or names a file only (O_PATH)
 * ESPIPE   fd is neither a regular file nor a block device
 * ENOMEM   no memory, or no addresses for maxcache pages (of more than 2^28 pages, for
 *          so many)
 * and with a key:
 * ENOMEM   maxcache is more than the pool has addresses for; or all memory of the
 *          process is to be locked, mlockall(2) with MCL_FUTURE, and that is more than
 *          its limit lets it lock: it takes 32 MiB at least, of addresses
 * EINVAL   the pool's pages are of another size
 * EROFS    fd is open for writing, and the file cannot be written through the pool:
 *          who made it could not open it for writing
 * EACCES   the place where the user's pools are, or the pool, is not the user's
 *          alone: somebody else made it, or may use it; or the file may not be opened
 * ENOENT   the file is not to be found: it is not at its old path any more, nor
 *          open in any process that shares the pool and may be looked at; or there
 *          is no /proc
 * EBADMSG  what is there under the key, in use, is damaged, or of another version
 * ENAMETOOLONG  the key has more than MPOOL_KEY_MAX bytes
 * ENOTSUP  the pool was made where membarrier(2) can be used, and it cannot be here;
 *          or there is no /dev/shm
 * ENOSPC   no memory for a shared pool: /dev/shm is full, or Linux older than 5.14
 * EFBIG    maxcache pages are more than an object can have (32 TiB and what goes with
 *          them), or than the limits of this process let it have
 * EAGAIN   256 processes share the pool
 * ETIMEDOUT  a process that was stopped while it joined, left or recovered another
 *          keeps the pool's lock, or the key's
 * EMFILE, ENFILE, ... as open(2), mmap(2) and fcntl(2) gave it
 */
MPOOL *mpool_open(void *key, int fd, pgno_t pagesize, pgno_t maxcache);

/*
 * mpool_open_key - the same, of a key of keylen bytes, whatever they are.
 *
 * It is the key that mpool_open knows by the string of the same bytes, if none of
 * them is 0.  No bytes are a key too, as the empty string is.
 *
 * EINVAL   key is NULL
 * and as mpool_open with a key
 */
MPOOL *mpool_open_key(const void *key, size_t keylen, int fd, pgno_t pagesize, pgno_t maxcache);

/*
 * mpool_filter - convert pages between the file's form and the memory's.
 *
 * pgin runs on each page that is brought into memory, pgout before each page written;
 * NULL for none.  pgin is given what the file has, which is zeros where nothing was
 * ever written, be it before the file's end or behind it: as in 4.4BSD it must take
 * a page of zeros for what the program calls a page never written.  It does not run
 * on the zeros of a page that mpool_new makes.  pgout works on a private copy, never on the page that readers see.
 * Both run on several threads at once, for different pages.  They must not
 * call the pool, and are refused with EDEADLK if they do more there than hit, or latch.  They
 * must return: not leave by an exception, longjmp, or the end of the thread.  If one
 * does, the call it was run by is over, and has failed: what that held is given back,
 * so that the page can be got again, and what it was to write is modified still.  After
 * a longjmp that happens in the thread's next call on the pool that is not a hit, or at
 * its end, and others wait until then; the thread cannot be cancelled any more, and
 * memory that the call had is lost, and the pins that an mpool_getv had already stay.  Set
 * filters before the first mpool_get or mpool_new, and not while other threads use the pool.
 *
 * With a filter, every new page counts as modified, so that its zeros reach the
 * file in the file's form.
 *
 * Processes that share a pool set filters each for itself, functions that do the
 * same.  The first call that any makes on the pool but mpool_filter decides whether
 * it is one with filters: in one that is, a process that has set none, and in one
 * that is not, a process that has, gets ENOTSUP from every call.
 */
void mpool_filter(MPOOL *mp, mpool_filter_t *pgin, mpool_filter_t *pgout, void *pgcookie);

/* What a program has done to pages on their way: functions that return 0 or an errno, each of them or NULL, and what they are given. */
struct mpool_hooks {
	int (*in)(void *cookie, pgno_t pgno, void *page);  /* after each read */
	int (*out)(void *cookie, pgno_t pgno, void *page); /* before each write, on a copy */
	/* once before several pages are written */
	int (*before_write)(void *cookie, const pgno_t *pgnos, void *const *pages, size_t n);
	void *cookie;
};

/*
 * mpool_hooks - as mpool_filter, but what is called may refuse a page; and is called before writes, as a
 * write-ahead log must be.
 *
 * Pass sizeof *hooks, so that programs built with another version's struct go on working.
 * The structure is copied.  hooks NULL, or none in it: there are none any more.  Returns 0.
 *
 * in runs on each page that is brought in, as pgin does.  If it returns other than 0 the page does not come
 * in: the call that needed it, whichever that is, fails with that errno, and the next get reads the page anew.  A page that was
 * prefetched, or read ahead, is not in memory then.
 *
 * out runs on a private copy of each page that is to be written.  If it returns other than 0 the page is not
 * written, and stays modified and in memory; the others are written.
 *
 * before_write is called once for each batch of pages that are written together, by whichever call, when all their
 * copies are made and before any of them is written.  pages[i] is the copy of page pgnos[i] as it
 * will be written: after out, in the form of the file.  (So where out enciphers, it leaves readable what before_write has
 * to know, such as the page's place in the log, or keeps the highest that it has seen.)  It may block, for as
 * long as it takes: to bring a log to stable storage, up to the last record of these pages.  If it returns other than 0 none of
 * them is written, and all stay modified.  Who needs room, mpool_clean and cleaners ask then for parts of the batch, at last
 * for each page by itself.
 *
 * A hook that returns what is no errno of the system's, -1 say, counts as one that returned EIO.
 *
 * A write that is refused counts as one that has failed, with what the hook returned: mpool_sync fails with that.  A get that needs room passes
 * by what is refused; it fails with that errno only when nothing else can make room.
 *
 * A thread in out or before_write holds nothing that others need.  Meanwhile pages in memory can be got, those too that are being
 * written; other pages be brought in, if a page that need not be written can make room, or they are let be written (where there
 * are cleaners, after as long as MPOOL_CLEANERS says);
 * and other pages be written by mpool_sync_range.  mpool_getv does not call them while others may wait for
 * pages that it has begun to read: it lets the pool grow.
 *
 * They run in any call but a hit and an mpool_put, on whatever thread makes it, which may have pages pinned, and on threads
 * of the pool's own (mpool_prefetch: in; MPOOL_CLEANERS: the others); several at once.  They must not call the
 * pool, nor wait for a lock that anybody holds while he makes a call on it; and must return: all that
 * is said of filters there holds for hooks.  A pool may have both: the hooks run next to the file, in before pgin, out after pgout.
 * Set them before the first mpool_get or mpool_new, and not while other threads use the pool.
 *
 * With in or out, every new page counts as modified, as with a filter.
 *
 * Processes that share a pool set them each for itself, functions that do the same: any of them writes any
 * page, so all must be able to bring the log to stable storage.  Where one has set others of the three than the
 * process that made the first call, its calls fail with ENOTSUP, as told with mpool_filter.
 *
 * EINVAL   the structure is of a later version, and has set what this one does not know; or size ends within a member
 * EDEADLK  the call was made in a filter or hook of the pool
 */
int mpool_hooks(MPOOL *mp, const struct mpool_hooks *hooks, size_t size);

/*
 * mpool_new - add a page to the file.
 *
 * Stores the next page number, which no other call gets (but after mpool_truncate), in *pgnoaddr and
 * returns the page, pinned and filled with zeros; unless another thread got the page
 * of that number while it was being made: then it is as that get found it, or left it.  The file grows when the page
 * is put with MPOOL_DIRTY and written.
 *
 * Also callable with a third argument, as in the later BSDs: MPOOL_PAGE_REQUEST
 * makes the page numbered *pgnoaddr, which must not be in the pool, afresh:
 * zeros, whatever the file holds there.  MPOOL_PAGE_NEXT, and any other value,
 * is the call above.  mpool_newf is NetBSD's name of that.
 *
 * EFBIG    all page numbers are used
 * EEXIST   the requested page is in the pool
 * EINVAL   the requested page is MAX_PAGE_NUMBER
 * ENOMEM   no memory; the number may be used up, its page is one never written
 * or as mpool_sync when it writes, if that failed to make room
 */
void *mpool_new(MPOOL *mp, pgno_t *pgnoaddr);
void *mpool_new_flags(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags);
void *mpool_newf(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags);

/*
 * mpool_get - pin a page and return its address.
 *
 * However many threads get one page, it is read once and has one address.  A
 * page that was never written reads as zeros, or what pgin makes of them.  Flags other than these are
 * ignored, as in 4.4BSD:
 *
 * A get that has to bring a page in may have to write modified pages first, to make
 * room: it needs a descriptor that can be written, and fails as a write does.
 *
 * MPOOL_IGNOREPIN  the page needs no mpool_put: its bytes stay where they are
 *                  until the calling thread's next call on this pool, or its
 *                  end.
 * MPOOL_ONCE       the page will not be wanted again soon, as in a scan of the file:
 *                  the get is no reason to keep it.  A page that it reads is the
 *                  first to go; one that was in memory stays as long as it would
 *                  have.  A later get without the flag makes it a page as any other.
 *
 * MPOOL_CACHED     the page if it is in memory, else EAGAIN at once: nothing is read
 *                  and nobody waited for, be it that another thread is reading it.
 *                  If a read of the page that mpool_prefetch began has failed, its
 *                  errno instead, once.
 *
 * Any of them may be given together.
 *
 * EAGAIN   with MPOOL_CACHED: the page is not in memory
 * EINVAL   there is no such page: pgno is not below the number of pages
 * EIO      the file ends before the page: it was cut short underneath
 * ENOMEM   no memory
 * or the errno of the read(2) that failed, or as mpool_sync when it writes, if that
 * failed to make room; the next get of the page tries again
 */
void *mpool_get(MPOOL *mp, pgno_t pgno, unsigned int flags);

/*
 * mpool_getv - pin n pages, reading all those that are not in memory at once.
 *
 * Stores the address of page pgnos[i] in addrs[i].  It is n times mpool_get, but that
 * the reads are in flight together, and neighbours in the file are read by one system
 * call.  All or none: if a page cannot be had, those that were are put again, addrs is
 * all NULL, and errno is that of the first page of the list which failed.  A page may
 * be in the list twice: that is two pins.  Calls with overlapping lists do not block
 * each other for good.  n may be more than maxcache: the pool grows as for pins.
 *
 * flags: MPOOL_ONCE and MPOOL_CACHED, as with mpool_get; with the latter all pages are in
 * memory, or the call fails with EAGAIN.
 *
 * EINVAL   one of the pages is not there, or the flags are others
 * and as mpool_get
 */
int mpool_getv(MPOOL *mp, const pgno_t *pgnos, void **addrs, size_t n, unsigned int flags);

/*
 * mpool_prefetch - start reading pages that will be wanted.
 *
 * Starts the reads of pgnos[0], pgnos[1], ... and returns for how many pages of the list, from the
 * first on, that is done: they are in memory, or being read by whomever.  It never waits for a
 * device, but where threads are to read and there can be none; nor lets the pool grow, nor takes
 * the frame of a page that is used often, or was modified, or was prefetched itself and not got
 * yet: when there is no other, it stops there, and returns 0 if that is at the first page; so
 * does it at the first number of which there is no page.  The pages are not pinned.  They come
 * in as pages not used yet, and are the first to go if nobody gets them.  The first
 * prefetch of a pool starts a thread, which is the pool's until it is closed, and
 * completes the reads: with filters, pgin runs there.
 *
 * efd is an eventfd(2), to which 1 is added when all pages of that part are in memory, or
 * could not be read; less than 0: none.  When the call returns 0 or -1 it is not touched.  It is the
 * caller's, who keeps it open until then; mpool_close adds what is due.  A page whose read has failed is
 * not in memory: mpool_get reads it again, and with MPOOL_CACHED tells the errno.
 *
 * EINVAL   the first page is not there
 * EAGAIN   there can be no thread
 * ENOMEM   no memory
 */
ssize_t mpool_prefetch(MPOOL *mp, const pgno_t *pgnos, size_t n, int efd);

/*
 * mpool_clean - make room ahead of need.
 *
 * Makes up to n frames evictable, which whoever brings in a page next takes, and returns
 * how many: those that would be evicted next.  Their pages stay in memory until then,
 * and a get of one finds it there, and keeps it.  Modified ones are written first, those
 * of a batch in the order of the file and several of them in flight at once, as MPOOL_IO_ENGINE says: eight,
 * that a read which comes meanwhile waits for few, and twice as many whenever none has ended for two milliseconds,
 * up to MPOOL_IO_DEPTH.  Each makes room when it is done.  Pages pinned, and frames free or evictable already, do not count.
 *
 * When a write fails, no other is begun, and pages that need none make room; fails with
 * its errno if there are none either.
 *
 * ENOMEM   no memory
 * or as mpool_sync when it writes
 */
ssize_t mpool_clean(MPOOL *mp, size_t n);

/*
 * mpool_put - undo one mpool_get or mpool_new.
 *
 * Any thread may put a page that another got.  MPOOL_DIRTY marks the page
 * modified: it is written before it leaves memory.
 *
 * EINVAL   pgaddr is not the address of a pinned page of this pool
 * ENOMEM   no memory, in the calling thread's first call on this pool
 */
int mpool_put(MPOOL *mp, void *pgaddr, unsigned int flags);

/*
 * mpool_delete - forget a page (FreeBSD, NetBSD).
 *
 * Undoes the mpool_get or mpool_new of a page that nobody else has pinned, and
 * drops the page from memory without writing it, modified or not.  The page
 * number stays used; the next get reads what the file holds.
 *
 * EINVAL   pgaddr is not the address of a pinned page of this pool
 * EBUSY    the page is pinned more than once, or another thread is just getting
 *          it, or peeks at it (MPOOL_IGNOREPIN); or it is latched (mpool_latch), but
 *          exclusively by the calling thread
 * ENOMEM   as in mpool_put
 */
int mpool_delete(MPOOL *mp, void *pgaddr);

/*
 * mpool_sync - write every modified page and flush the file, as fdatasync(2) does.
 *
 * When it returns 0, every modification put before the call is on stable
 * storage.  Other threads get and put meanwhile; a page that stays pinned is
 * written while pinned, and stays marked, unless all latch what they modify (MPOOL_LATCHED).
 * One that is latched exclusively is waited for, and has its writers wait, for a copy, if it is so each time that it is
 * looked at: the caller must have no such latch.
 * On failure, every page that is not
 * known to be on stable storage is still modified, and a later call tries
 * again.  If fdatasync(2) fails after a modified page was written and left memory,
 * this and every later call fails with EIO: that page may be lost.
 *
 * The kernel tells a failed write once to each open file description.  So a pool opens
 * the file anew for itself, by /proc, before its first write, and flushes it by that:
 * whoever else has the file open and flushes it, the pool is told.  Processes that
 * share a pool hand such descriptors on.  Where the file may not be opened again (no
 * /proc, no permission), fd itself is used: then nobody else may flush the file by it, be it
 * another pool, or a child of fork with its copy of this one; else either may get 0 for
 * pages that are lost.
 *
 * If some pages cannot be written, the others are; the error is that of the first write
 * that failed since a sync succeeded, be it another call's or a cleaner's (write_errno of
 * mpool_stats), and the file is not flushed.
 *
 * EAGAIN   whether pages that were written are on stable storage cannot be told just now:
 *          those who could tell are stopped, or have died, in other processes that share
 *          the pool, or in a parent or child of fork.  If a parent or child ended in its
 *          own mpool_sync, and modified pages had left memory by then, it never can
 * EDEADLK  the calling thread has an exclusive latch (mpool_latch).  Beside its shared ones it waits for
 *          modified pages as who latches them would: others are to take latches in an order that allows it
 * EBADF    the file is not open for writing, or its descriptor was closed
 * EFBIG    a modified page lies behind the last byte that the file may have
 * EIO      a page could not be written or flushed, or is lost, perhaps: see above
 * EMFILE, ENFILE  the pool could not open the file for itself
 * ENOMEM   no memory
 * ENOSPC, EDQUOT, ...  as pwrite(2) and fdatasync(2) gave it
 */
int mpool_sync(MPOOL *mp);

/* mpool_sync_range: write modified pages to the file, ... */
#define MPOOL_WRITE 0x01
/* ... flush the file, ... */
#define MPOOL_FLUSH 0x02
/* ... and write no page that could be in the middle of a modification. */
#define MPOOL_WHOLE 0x04

/*
 * mpool_sync_range - write, or flush, or both, the pages first to first + n - 1.
 *
 * MPOOL_WRITE  writes every modification of these pages that was put before the call to the
 *              file.  It takes as long as the writes do, however many other pages are modified.
 * MPOOL_FLUSH  brings what was written to stable storage, by whichever call it was
 *              written: the flush is of the whole file.  Calls that flush at the same
 *              time, mpool_sync too, and in all processes that share the pool, share
 *              one flush, and its failure.  After one that failed, what was
 *              written is modified again, so that a call with this flag alone writes
 *              all modified pages, until one has succeeded, or an mpool_sync.
 * MPOOL_WHOLE  pages that are pinned whenever the call looks at them, and so
 *              may be in the middle of a modification, are left modified.
 *
 * Pages behind the end are left out: there is nothing to write.  Pages are otherwise
 * as with mpool_sync, which is this for all pages, with MPOOL_WRITE and MPOOL_FLUSH.
 *
 * Returns how many pages MPOOL_WHOLE has left modified, or -1.  If a page cannot
 * be written, the others are, and the file is not flushed.
 *
 * EINVAL   neither MPOOL_WRITE nor MPOOL_FLUSH is given, or other flags are
 * and as mpool_sync; EDEADLK with MPOOL_WRITE, or when what was written is to be written again, since a flush has failed
 */
ssize_t mpool_sync_range(MPOOL *mp, pgno_t first, pgno_t n, unsigned int flags);

/*
 * mpool_truncate - the file ends before page `pages` from now on.
 *
 * The pages from there on are dropped from memory, modified or not, and the file is cut, as by ftruncate(2): so
 * mpool_new gives the number `pages` next, and its page is zeros.  Where `pages` is more than there are the file is
 * made longer: those between were never written.  The new length is on stable storage after mpool_sync.  If
 * that fails, and so the length that there was before may come back, the file is cut again, and what was written behind
 * the end since is modified again: the next mpool_sync that returns 0 has brought both to stable storage, and fails as
 * ftruncate(2) does if the file cannot be cut.  What others write behind the end before that may be cut off with it; but a file that
 * they have made longer than it ever was is left so.  (A cut of before a fork is the parent's to be made again, not the child's.)
 *
 * Nothing is changed if it fails.  It waits for reads and writes of these pages that are under way, and for a flush; what those have read
 * nobody gets.  Gets, prefetches and mpool_new of such pages wait meanwhile, and then find that there is no such page
 * (EINVAL), but MPOOL_CACHED, which does not wait, says that it is not in memory; a number that mpool_new has
 * just been given is given anew.  All other calls go on.  Calls that cut the file
 * wait for each other.  In a shared pool it is so for all processes; should the one that makes
 * the call die, the file is cut or as it was.  Versions that mpool_peek gave of these pages are changed.
 *
 * EBUSY    one of the pages is pinned, by whomever, the caller too, or looked at (MPOOL_IGNOREPIN), or latched
 *          (mpool_latch)
 * EBADF    the file is not open for writing, or its descriptor was closed
 * EFBIG    the file cannot be so long; or it is a pool's first, and others have, or had, such numbers (mpool_attach)
 * EINVAL   the file is a block device
 * ENOMEM   no memory
 * ENOTSUP  it is a store that has no truncate
 * EIO, EPERM, ...  as ftruncate(2), or the store's truncate, gave it
 */
int mpool_truncate(MPOOL *mp, pgno_t pages);

/*
 * mpool_invalidate - forget the pages first to first + n - 1, so that they are read anew.
 *
 * For files that others write too, another machine say: what the file has when the call is made is what gets
 * that begin after it find.  Those of the pages that are in memory, not modified and not pinned, are dropped; the others
 * stay, and the call fails with EBUSY.  Reads of such pages that are under way are waited for, and nobody gets what they
 * have read: their pages are read anew.  So are writes waited for.  Versions that mpool_peek gave of what is dropped are
 * changed.  Pages behind the end are none; n may reach beyond it, MAX_PAGE_NUMBER too.  How long the file is now is asked:
 * pages of the pool's that it did not have before are read from it.  How many pages the pool has does not change.
 *
 * EBUSY    some of the pages are modified, or pinned, or looked at (MPOOL_IGNOREPIN), or latched (mpool_latch): all
 *          others are forgotten
 * ENOMEM   no memory: none is forgotten
 * EIO, ...  as fstat(2), or the store's size, gave it: none is forgotten
 */
int mpool_invalidate(MPOOL *mp, pgno_t first, pgno_t n);

/* mpool_latch: beside others, who read the page too; alone; only if that takes no waiting. */
#define MPOOL_SHARED    0x01
#define MPOOL_EXCLUSIVE 0x02
#define MPOOL_TRY       0x04

/*
 * mpool_latch, mpool_unlatch - order what threads, and processes, do to the bytes of a page.
 *
 * mpool_latch latches a page that the calling thread has pinned: MPOOL_SHARED, which any number of threads may have at a
 * time, or MPOOL_EXCLUSIVE, which one has alone.  It waits until it can be had; with MPOOL_TRY it fails instead, as it may
 * if another thread tries at the same time, or has waited for long.  Who is to have an exclusive latch lets no new shared ones in.
 * Nobody is passed by for ever: who has waited while others had the latch a few times is next, or one is that has waited so too;
 * of several it is chance which.  Who comes meanwhile waits until that one has it, be it that its process is stopped.
 * Pins of pages that are latched are put by who got them: of several pins of a page, the pool cannot tell which was meant.
 *
 * mpool_unlatch ends the calling thread's latch of the page; with MPOOL_DIRTY, the page is marked as modified first, as
 * by mpool_put.  A thread that has put its last pin may keep the latch: the page stays in memory, at its address,
 * until it is unlatched, and cannot be latched again without a pin.
 *
 * The latch is the thread's: no other can end it.  When a thread ends with a latch, or its process dies, or, in a child
 * of fork, it was another thread's of the parent, the latch is free, and a page that was latched exclusively counts as
 * abandoned (mpool_abandoned).  mpool_close ends the process's latches.  mpool_delete ends the caller's exclusive latch
 * of the page; a page that is latched otherwise is busy.
 *
 * A page whose writers all latch it exclusively is written to the file only as it was at one instant.  A pool without
 * latches has no memory for them: from the first one on it has 8 bytes for each page of maxcache.
 *
 * EINVAL   page is not the address of a page of this pool that the calling thread has pinned (mpool_unlatch: of a page);
 *          or the flags are others
 * EBUSY    MPOOL_TRY: another thread has it
 * EDEADLK  the calling thread has a latch of the page already
 * EPERM    mpool_unlatch: it has none
 * ENOMEM   no memory
 * ETIMEDOUT  the first latch of a shared pool: a process that was stopped while it joined, left or recovered another
 *          keeps the pool's lock
 */
int mpool_latch(MPOOL *mp, void *page, unsigned int flags);
int mpool_unlatch(MPOOL *mp, void *page, unsigned int flags);

/*
 * mpool_upgrade - latch a page exclusively, if it is unchanged since mpool_peek gave that version.
 *
 * The page is one that the calling thread has pinned, since.  It waits for shared latches to end, and for nothing else.
 *
 * EAGAIN   the page was changed, or evicted, since; or the version is another page's; or the page is latched exclusively, or about to be
 * and as mpool_latch
 */
int mpool_upgrade(MPOOL *mp, void *page, uint64_t version);

/*
 * mpool_peek - the address of a page in memory, without a pin; and the page's version.
 *
 * It is for reads that are checked afterwards: until mpool_unchanged has said that nothing was changed meanwhile,
 * what was read may be of any page, and lengths and offsets in it may be garbage.  The address stays one of
 * memory that can be read until mpool_close.  mpool_peek.h has the usual loop, loads that are right in it, and both
 * calls as inline functions; mpool_peek(3) tells how a tree is read this way.
 *
 * It writes nothing that others use but, now and then, that the page is in use; it is no hit to the statistics.  A
 * pool's first peek takes the memory that mpool_latch tells of.
 *
 * EAGAIN   the page is not in memory, or about to leave it, or latched exclusively, or about to be, or abandoned, or
 *          beyond maxcache: get it
 * ENOMEM, ETIMEDOUT  as mpool_latch
 */
const void *mpool_peek(MPOOL *mp, pgno_t pgno, uint64_t *version);

/*
 * mpool_unchanged - is the page still the one that mpool_peek gave, as it was then?
 *
 * 1: all that was read of it since mpool_peek was the page at one instant, and is so still.  0: it was latched
 * exclusively, or evicted, deleted or forgotten, since.  Who modifies a page under a pin alone is not seen.
 * Which page it is asked of the version says alone: with another address the answer is the same.
 */
int mpool_unchanged(MPOOL *mp, const void *page, uint64_t version);

/* What can be set, of a pool as this process has it, but MPOOL_LATCHED and MPOOL_MAXCACHE.  A child of fork has its parent's settings. */
#define MPOOL_MAXCACHE  1 /* pages to keep in memory; 0 counts as 1.  As mpool_open had it, at first */
#define MPOOL_CLEANERS  2 /* threads of the pool's that write ahead of need; 0, as it is at first: none; 64 at most */
#define MPOOL_READAHEAD 3 /* pages that are read at once at the most; 0, as it is at first: one at a time */
#define MPOOL_IO_ENGINE 4 /* how reads, and the writes of mpool_clean and of MPOOL_CLEANERS, are in flight at once: */
#define MPOOL_IO_DEPTH  5 /* how many, at the most: 1 to 1024; 64 at first */
#define MPOOL_LATCHED   6 /* 1: all who modify pages of this pool latch them exclusively; 0 at first */

#define MPOOL_IO_AUTO    0 /* as MPOOL_IO_RING; by threads where that is refused, and in shared pools; see below */
#define MPOOL_IO_PLAIN   1 /* one after the other, by the thread that waits for them, or completes a prefetch */
#define MPOOL_IO_RING    2 /* by io_uring(7); of a store, by its `submit` */
#define MPOOL_IO_WORKERS 3 /* by threads */

/*
 * mpool_tune, mpool_tuned - set, and get, one of the settings above.
 *
 * By any thread at any time.
 *
 * MPOOL_MAXCACHE: the pool keeps so many pages from now on, for all processes that share it.  Where that is fewer than before the pages for which
 * there is no room any more are evicted, modified ones written, and their memory is given back to the system, before the
 * call returns; what is pinned or latched stays, can be put, and goes with the misses and syncs that come after that.
 * So does what cannot be written just now.  Memory goes back from the end down to the highest frame in use: one page that stays
 * keeps what was allocated below it, until it has gone too.  While other threads get pages the call may return with more of them in
 * memory than it allows; later misses bring it down.  Where
 * it is more, the pool fills as a new one does.  It has addresses for as many pages as mpool_open was asked for, of a
 * shared pool by whoever asked for most, and no
 * more: who may want more later opens it for that, and tunes it down at once, which costs addresses and no memory.
 * Who opens a shared pool that was made smaller, and asks for more pages than it keeps now, makes it so much larger again.
 * Gets, puts, and all other calls go on meanwhile.  A shared pool whose pages were ever latched or peeked at keeps
 * the memory of its pages for them, which who peeks may still look at.
 *
 * MPOOL_CLEANERS: so many threads do what mpool_clean does, each by itself and as much
 * as the misses of the next tenth of a second will need, by those of the last.  A call that brings in a page
 * then writes nothing: when there is no room that they have made it waits, first
 * come first served, while a cleaner's write is in flight; when none has ended for ten milliseconds it takes
 * a page that need not be written instead, if there is one.  When cleaners find nothing
 * that can make room the pool grows, as for pins; when their write fails the call fails with its errno,
 * if there is no page that need not be written.  mpool_getv, which has begun to read other pages, does not
 * wait: the pool grows.  Processes that share a pool have cleaners each for itself: a
 * process that has none writes itself.  pgout, and the hooks of writes, run on these threads.  The child of a fork begins as
 * many anew in its first call.
 *
 * MPOOL_READAHEAD: a thread that misses pages in the order of the file reads more of them
 * at each miss, up to so many and no more than 256, neighbours by one system call.  Those that
 * it did not ask for take the frames that mpool_prefetch would take.  Of a file that is open with O_DIRECT, in a
 * pool without filters that change pages, the next of them are on their way while the thread works, as mpool_prefetch
 * begins them, and it waits for those alone that are not there when it comes to them.
 *
 * MPOOL_LATCHED is the pool's, of all processes that share it: then a pin alone is no sign of a modification, and
 * when a process dies only the pages that it had latched exclusively are abandoned.
 *
 * MPOOL_IO_ENGINE: with MPOOL_IO_AUTO writes to a file that is not open with O_DIRECT, which end
 * in the kernel's memory, are one after the other.  What io_uring has in flight may arrive when its process
 * is dead: whoever opens the file after one that was killed, and writes to it, should wait for that, as
 * a lock of flock(2) on the pool's descriptor does, which is let go of after the last of it.  Whether MPOOL_IO_RING can be set the
 * pool's first file, or store, says; a store that is attached is asked by its `submit` then, or, if it has none, by threads.
 * In a pool of which one file is a store (mpool_attach_store), pages of files that are read or written together with that
 * are so by threads.
 *
 * EINVAL   there is no such setting, or it cannot have that value: MPOOL_IO_RING in a
 *          shared pool, where the kernel's late reads and writes would arrive after their process
 *          has died, or one whose first is a store that has no submit; MPOOL_MAXCACHE: 2^32 or more
 * EAGAIN   there can be no thread
 * ENOMEM   MPOOL_MAXCACHE: more than mpool_open was asked for, and less than 2^32
 * ENOSPC   MPOOL_MAXCACHE of a shared pool: there is no memory in /dev/shm for what more pages need besides
 * EPERM, ENOSYS, ENOMEM, ...  io_uring is refused, as io_uring_setup(2) tells
 * ENOMEM   no memory
 */
int mpool_tune(MPOOL *mp, int what, uint64_t value);
int mpool_tuned(MPOOL *mp, int what, uint64_t *value);

/*
 * mpool_attach - have the pages of one more file in the pool.
 *
 * Returns a handle for that file, for all calls.  Its pages are of the pool's size, are numbered from 0, and compete for the
 * pool's memory with those of all its files: whichever pages are used are kept, whosever they are.  The file has filters,
 * hooks, syncs, errors and statistics of its own.  What is tuned, and mpool_clean, is the pool's, by any of its handles; and
 * by any of them a page may be put, latched, deleted and asked about that was got by another.
 *
 * fd is as for mpool_open, and stays the caller's, who keeps it open until after the mpool_close of the handle.  Any thread
 * may attach, while others use the pool.  A file that is attached twice to a private pool, or that is the pool's first too, in any, is two files to
 * the pool, which knows nothing of the one when it writes the other.
 *
 * In a shared pool a file is known by its device and inode.  Whoever attaches one that any process has attached gets a handle for the
 * same pages, with one length; what one of them syncs is synced.  Handles of one process have one set of filters and hooks,
 * which must be those of the others, or calls fail with ENOTSUP.  The pool opens the file again, three times in each process that
 * attaches it, or writes a page of it: by descriptors that a process which has it attached hands over, as those of the first file are.
 * Processes that have not attached a file make room as others do: they write its modified pages, by such a descriptor, or, if none of
 * those that have it answers, or it has filters or hooks, take other pages, or the pool grows.
 *
 * mpool_close of the handle takes the file's pages out of memory, without writing any, and leaves all others.  In a shared pool it
 * does so when no process has the file attached any more; a process that dies has closed its handles.  It fails with EBUSY if a page is in use;
 * in a shared pool: by this process, of which it is the last handle of the file.
 * The first file's handle closes the pool, and with it all files that are attached: their handles are not to be used any
 * more.
 *
 * In a pool with more than one file, also when the others are closed, a get of a page in memory looks in one more place, at the
 * file's map of its pages to the pool's own numbers, before and after: five loads more, and one in a put.  The numbers are given
 * out 256 at a time, and the first file's are its own; 256 numbers of which no page is in memory may be given to another file.
 * mpool_stats of such a handle tells its pages (in the file, in memory, modified, pinned), misses, evictions, reads, writes and errors;
 * hits, what was forgotten and what was read ahead are counted for the pool, in what the first file's handle
 * tells, which has all files' sums but for the number of pages.  Of a shared pool's file they are all processes' counts, and `processes` is how many
 * have it attached.  The bytes of bookkeeping, the engine and its refusal, rescues,
 * and what cleaners did, are told by that handle alone too, and are 0 here.  A get that has to write another file's page to make room
 * fails with what that write fails with.
 *
 * EINVAL, EBADF, ESPIPE, ENOMEM  as with mpool_open
 * in a shared pool:
 * EAGAIN   others have the file attached, and none of them hands its descriptors over: they are stopped, or this process has none left
 * EROFS    they could not open it for writing, and fd is open for that
 * EMFILE, ENFILE  no more descriptors; ENFILE also: 16,384 files are attached
 * ETIMEDOUT  for some ten seconds others have kept the pool's lock, so that mpool_close of the handle may fail, too; or a process that
 *          is stopped was closing the file
 * and besides, mpool_get, mpool_getv and mpool_new of any of the files:
 * EFBIG    all of the pool's numbers, 2^32 less the pages of its first file, are of 256 pages one of which is in memory (in a shared
 *          pool: one of which was in memory since the file was attached);
 *          or it is a new page of the first file, whose number the others have, or had
 */
MPOOL *mpool_attach(MPOOL *mp, int fd);

/* What a store is asked for.  `submit` is given reads and writes only: flushes are made by `flush`. */
#define MPOOL_IO_READ  1
#define MPOOL_IO_WRITE 2
#define MPOOL_IO_FLUSH 3

/* One request to a store: whole pages, from a byte on that a page begins with. */
struct mpool_io {
	int op;                  /* MPOOL_IO_... */
	uint64_t offset;         /* in bytes; of a flush: 0 */
	const struct iovec *iov; /* of a flush: NULL */
	int iovcnt;
	/* To be called once, by any thread, when the request is done: with how many bytes, or an errno's negative. */
	void (*done)(struct mpool_io *io, ssize_t bytes);
	void *own;          /* the store's, to use as it likes */
	const void *waiter; /* for whom `wait` is going to be called until it is done; NULL: nobody */
};

/*
 * struct mpool_store - where pages live that are not in a file: what a pool calls to have them.
 *
 * Functions return what system calls return: -1, and errno, when they fail.  That errno is the one of the call that needed the
 * page, or the size; but after EINTR the function is called again, whichever it is.  An errno that the system does not have, and more
 * bytes than were asked for, count as EIO.  A store had better not fail with EAGAIN, EINVAL, EBADF, EBUSY or EDEADLK, which are passed on
 * but for a flush's EAGAIN: calls give them other meanings, as mpool_get with MPOOL_CACHED does EAGAIN.
 * Any number of threads call them at the same time, but for one page one at a time.  They must not call the pool, which is refused
 * with EDEADLK where it is noticed, nor wait for a lock that anybody holds while he makes a call on it; and must return.  Who calls
 * them may have pages pinned and latched, and holds nothing else that others need but the page.
 *
 * size      how many bytes there are: asked when it is opened or attached, and by mpool_invalidate, which does not change how many
 *           pages the pool has, but where what may be read ends
 * readv     read from a byte on, as preadv(2).  Fewer bytes than asked for: the rest is asked for anew.  None: it ends there, EIO
 * writev    write, as pwritev(2); what is written beyond the end moves the end, and what was skipped is zeros.  Fewer bytes, or none:
 *           the same
 * flush     when it returns 0, all whose write had succeeded before it was called is on stable storage, also what flushes that failed were
 *           called for.  See below
 * truncate  it ends there; what it has beyond, if it is made longer, is zeros.  After a flush that failed it may be called while pages
 *           behind are written; those are written again.  NULL: mpool_truncate fails with ENOTSUP
 * submit    begin a request, and return 0: `done` is called once, by whichever thread, perhaps before submit
 *           returns; or return -1 and errno: it is not called, and the request is made by readv or writev.  Must not wait for the
 *           store, but may for room.  The request and its memory are the store's until `done` is called, which never
 *           calls the store, nor waits for it; a store may hold locks of its own meanwhile that it takes in submit.
 *           NULL: it has none; threads call readv and writev
 * close     the pool is closed, or the handle, and nothing is in flight.  NULL: nothing is to be done
 * wait      called by a thread that waits for requests whose `waiter` is that one, so that a store can do with this thread what it would
 *           have others wake it for: have requests go on, whosever they are, and call `done` of those that are.  Return 0 once
 *           `done` was called of some, or `fd` can be read (-1: there is none), or so many ms have passed (-1: there is no limit); it may
 *           return sooner, and is called again.  Return -1 at once: others see to it, that is, the waiter's requests are done
 *           some time without him, and he sleeps.  Requests without a waiter are done without any call of this.  NULL: it has none
 *
 * When a flush fails, what was written since the last that did not fail counts as modified again, as far as it is in memory.  With
 * ETIMEDOUT, ENOTCONN, ECONNRESET, ECONNABORTED, ECONNREFUSED, EPIPE, ESHUTDOWN, EHOSTDOWN, EHOSTUNREACH, ENETDOWN,
 * ENETUNREACH and ENETRESET the store could not be reached, and has said nothing of what it had been given: that is the next flush's matter.
 * With any other errno (a flush's EAGAIN counts as EIO) it says that some of that may be lost: if a page of it has left memory since, mpool_sync
 * fails with EIO from then on, as with a file.  So a store that may have lost what it had taken, as when a server began anew,
 * has to fail the next flush with EIO, once.
 */
struct mpool_store {
	int (*size)(void *cookie, uint64_t *bytes);
	ssize_t (*readv)(void *cookie, const struct iovec *iov, int n, uint64_t offset);
	ssize_t (*writev)(void *cookie, const struct iovec *iov, int n, uint64_t offset);
	int (*flush)(void *cookie);
	int (*truncate)(void *cookie, uint64_t bytes);
	int (*submit)(void *cookie, struct mpool_io *io);
	void (*close)(void *cookie);
	int (*wait)(void *cookie, const void *waiter, int fd, int ms);
};

/*
 * mpool_open_store - make a private pool for the pages of a store.
 *
 * Pass sizeof *store, so that programs built with another version's struct go on working: members that a smaller one has not are NULL.
 * The structure is copied.  Sizes are as with mpool_open, and so is a partial page at the store's end.
 *
 * What is said of files holds for stores, but for what is said here.  A get that misses a page calls readv by itself.
 * Where several reads or writes are in flight, as mpool_getv, mpool_prefetch, MPOOL_READAHEAD, mpool_clean and
 * MPOOL_CLEANERS have them, and whoever writes pages that are no neighbours, they are given to `submit`; where there is none,
 * threads call readv and writev.  So do threads for pages of files that are read or written together with a store's.
 * MPOOL_IO_DEPTH is how many each call has in flight at the most, and those together that nobody
 * waits for.
 *
 * Nothing is published of a read that fails, and the next get reads anew; a page whose write fails stays modified.  So a store
 * that could not be reached, and can be again, has lost nothing of what was in memory.
 *
 * A pool one of whose files is a store, or was, is not for a child of fork: its calls fail there with EBADF, and mpool_close calls
 * nothing of the store's.  A fork waits for no store.
 *
 * mpool_close waits until nothing is in flight, and calls `close` once.  When mpool_open_store fails the cookie stays the
 * caller's, and `close` is not called.
 *
 * EINVAL   store is NULL, or has no size, readv, writev or flush; or the structure is of a later version, and has set what this
 *          one does not know; or size ends within a member; or pagesize is 0
 * ENOMEM   no memory, or no addresses for maxcache pages
 * and what `size` fails with
 */
MPOOL *mpool_open_store(const struct mpool_store *store, size_t size, void *cookie, pgno_t pagesize, pgno_t maxcache);

/*
 * mpool_attach_store - have the pages of a store in a private pool, be that of a file or of a store: as mpool_attach does those
 * of a file.
 *
 * mpool_close of the handle calls `close`, if it does not fail; so does that of the pool.
 *
 * ENOTSUP  the pool is shared
 * and as mpool_open_store, and mpool_attach
 */
MPOOL *mpool_attach_store(MPOOL *mp, const struct mpool_store *store, size_t size, void *cookie);

/*
 * mpool_close - free the pool and all its pages, without writing any.
 *
 * Returns 0.  Pages still pinned are gone too.  No other thread may be in, or
 * make, a call on the pool.
 *
 * Of a handle that mpool_attach gave: the pages of its file leave memory.  No other thread may be in, or make,
 * a call with that handle, but with others of the pool.
 *
 * EBUSY    a page of the attached file is pinned or latched, or a thread that was given one with MPOOL_IGNOREPIN has made no
 *          call since: nothing has changed
 * EDEADLK  an attached file's close was called in a filter or hook of the pool
 * ENOMEM   the same, by a thread that has not used the pool, and there is no memory
 */
int mpool_close(MPOOL *mp);

/* mpool_abandoned: the caller has checked the page, or mended it. */
#define MPOOL_FORGIVE 0x01

/*
 * mpool_abandoned - was the page left half-modified by a process that died, or, in a
 * child of fork, by a thread of its parent's?
 *
 * For a page that the caller has pinned.  1: a process that shared the pool died while
 * it had the page pinned, and the page was neither forgiven nor made anew since: its
 * bytes are as that process left them, be it in the middle of a modification.  That
 * is told also when the page was written so, evicted and read again; should it have
 * been evicted unwritten, its bytes are those that the file has, and it is not told.
 * The same is told of a page that a thread had latched exclusively (mpool_latch) when it
 * ended, or its process died; and where all latch what they modify (MPOOL_LATCHED), of such pages only.
 * 0: none did.  With MPOOL_FORGIVE the page is forgiven: it counts as whole
 * from now on.  The pool remembers some thousand such pages that are not in memory;
 * of more than 16 it may forget one.
 *
 * EINVAL   pgaddr is not the address of a page of this pool that this process has
 *          pinned
 * ENOMEM   no memory, in the calling thread's first call on this pool
 */
int mpool_abandoned(MPOOL *mp, void *pgaddr, unsigned int flags);

/* mpool_stat - print the statistics below, from hits to metadata, and the file, to standard error, for a person. */
void mpool_stat(MPOOL *mp);

/*
 * What a pool did since it was opened, and what it holds.  Counts are exact
 * while no other thread is in a call, near otherwise.
 */
struct mpool_stats {
	uint64_t hits;      /* gets of pages that were in memory */
	uint64_t misses;    /* gets that had to fetch the page themselves */
	uint64_t reads;     /* pages read from the file */
	uint64_t writes;    /* pages written to the file */
	uint64_t evictions; /* pages dropped to make room */
	uint64_t rescues;   /* evictions called off because a get came first */
	uint64_t cached;    /* pages in memory now */
	uint64_t dirty;     /* of these: modified, not yet written */
	uint64_t pinned;    /* of these: pinned */
	uint64_t overflow;  /* of these: beyond maxcache */
	uint64_t pages;     /* pages in the file, those still unwritten too */
	uint64_t maxcache;  /* pages to keep in memory */
	uint64_t pagesize;  /* bytes */
	uint64_t metadata;  /* bytes of bookkeeping, page bytes and threads' own aside */
	uint64_t processes; /* that share the pool now; 1: it is private */
	uint64_t deaths;    /* of processes that shared it */
	uint64_t device;    /* the pool's file, as stat(2) names it: st_dev */
	uint64_t inode;     /* ... and st_ino */
	/* Of pages that were read before anybody asked for them, by mpool_prefetch and MPOOL_READAHEAD: */
	uint64_t ahead;        /* how many */
	uint64_t ahead_used;   /* of these: got since */
	uint64_t ahead_wasted; /* of these: dropped before that */
	uint64_t engine;       /* MPOOL_IO_..., which serves in this process; 0: none was needed so far */
	uint64_t engine_errno; /* with which io_uring was refused; 0: it was not */
	uint64_t cleaned;      /* frames that mpool_clean and MPOOL_CLEANERS made room in, ahead of need */
	uint64_t write_waits;  /* calls that waited for the cleaners to write */
	uint64_t write_errno;  /* of the first write that failed since a sync succeeded; 0: none did */
	uint64_t forgotten;    /* pages that mpool_truncate and mpool_invalidate took out of memory */
};

/*
 * mpool_stats - fill the first `size` bytes of *st (pass sizeof *st, so that
 * programs built with another version's struct go on working).  Returns 0.
 * It takes no lock and stops nobody.
 *
 * ENOMEM   no memory
 */
int mpool_stats(MPOOL *mp, struct mpool_stats *st, size_t size);

#ifdef __cplusplus
}
#endif

/*
 * A key, by the argument's type.  No BSD ever looked at the key, and programs pass
 * it whatever they have at hand.  So a pointer to plain, signed or unsigned char or
 * to void, const or not, is a key, and so is an array of such chars; 0, NULL,
 * nullptr and whatever else the call takes, such as a pointer to a structure or to
 * something volatile, is none: the pool is private.  It is evaluated once.
 *
 * The function itself, (mpool_open)(...) or its address, takes any pointer for a
 * key; so does the call in C of compilers that have no _Generic.
 */
#ifdef __cplusplus
/* Also where the program has this header in an extern "C" of its own. */
extern "C++" {

template <typename T> struct mpool_key_type {
	static void *key(T *) { return 0; }
};
template <typename T> struct mpool_key_char {
	static void *key(const T *k) { return const_cast<T *>(k); }
};
template <> struct mpool_key_type<char> : mpool_key_char<char> {};
template <> struct mpool_key_type<signed char> : mpool_key_char<signed char> {};
template <> struct mpool_key_type<unsigned char> : mpool_key_char<unsigned char> {};
template <> struct mpool_key_type<const char> : mpool_key_char<char> {};
template <> struct mpool_key_type<const signed char> : mpool_key_char<signed char> {};
template <> struct mpool_key_type<const unsigned char> : mpool_key_char<unsigned char> {};
template <> struct mpool_key_type<const void> : mpool_key_char<void> {};

/* void *, 0, NULL and nullptr are the function's. */
template <typename T> inline MPOOL *mpool_open(T *key, int fd, pgno_t pagesize, pgno_t maxcache)
{
	return mpool_open(mpool_key_type<T>::key(key), fd, pagesize, maxcache);
}

/* The later BSDs' three-argument call. */
inline void *mpool_new(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	return mpool_new_flags(mp, pgnoaddr, flags);
}
}
#else
#if defined(__GNUC__) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
static __inline__ MPOOL *mpool_open_string(const void *key, int fd, pgno_t pagesize, pgno_t maxcache)
{
	return (mpool_open)((void *)(uintptr_t)key, fd, pagesize, maxcache);
}

static __inline__ MPOOL *mpool_open_private(const volatile void *no_key, int fd, pgno_t pagesize, pgno_t maxcache)
{
	(void)no_key;
	return (mpool_open)(NULL, fd, pagesize, maxcache);
}

#define MPOOL_OPEN(key, ...)                              \
	__extension__ _Generic((key),                     \
	        char *: mpool_open_string,                \
	        const char *: mpool_open_string,          \
	        signed char *: mpool_open_string,         \
	        const signed char *: mpool_open_string,   \
	        unsigned char *: mpool_open_string,       \
	        const unsigned char *: mpool_open_string, \
	        void *: mpool_open_string,                \
	        const void *: mpool_open_string,          \
	        default: mpool_open_private)(key, __VA_ARGS__)
#define mpool_open(...) MPOOL_OPEN(__VA_ARGS__)
#endif

/* mpool_new(mp, pgnoaddr) and mpool_new(mp, pgnoaddr, flags) both compile. */
#define MPOOL_NEW_2(mp, pgnoaddr, unused, ...) (mpool_new)(mp, pgnoaddr)
#define MPOOL_NEW_3(mp, pgnoaddr, flags, ...)  mpool_new_flags(mp, pgnoaddr, flags)
#define MPOOL_NEW_PICK(a, b, c, pick, ...)     pick
#define mpool_new(...)                         MPOOL_NEW_PICK(__VA_ARGS__, MPOOL_NEW_3, MPOOL_NEW_2, 0, 0)(__VA_ARGS__, 0, 0)
#endif

#endif /* MPOOL_H */
