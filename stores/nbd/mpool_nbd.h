/*
 * mpool_nbd.h - pages that a server of NBD has: a store for mpool(3).
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Any server will do: nbdkit with any of its plugins, qemu-nbd, a volume of a cloud's.  The library is libmpool_nbd; it
 * uses libnbd(3), and has one thread for each store, for what nobody waits for, and for all where there is TLS.
 *
 * Requests are in flight together, as many as the pool has, on one connection, or on several to a server that says that
 * all of them see the same (NBD_FLAG_CAN_MULTI_CONN).
 *
 * When the server cannot be reached.  A request fails with one of these, and so does the call of the pool's that needs it;
 * what was to be written stays modified:
 *
 *   ECONNRESET  the connection was lost before the answer came: a write may have been made, or not
 *   ETIMEDOUT   there was no answer in time (struct mpool_nbd_options); likewise
 *   ENOTCONN    there is no connection, and none can be made now.  After an attempt that has failed there is none for `retry` ms:
 *               requests fail meanwhile, with this or what the attempt gave, ETIMEDOUT or ESTALE
 *   ESTALE      there is, but to something else: it is smaller, cannot be written to any more, takes requests of other
 *               sizes, or is to be flushed in another way
 *
 * and whatever the server answers: EIO, ENOSPC, EPERM, EINVAL, ENOMEM, EOVERFLOW, EOPNOTSUPP, ESHUTDOWN.
 *
 * The next request connects anew, but for `retry`.  No late answer reaches the pool's memory.  After an ETIMEDOUT while writes were in
 * flight, writes fail with ENOTCONN until that connection has ended at the server too, or the system says that there is
 * nobody any more: so those, should they be made late, are not made over newer ones.  Where there can be one connection
 * only, reads fail until then as well.  (A server that ends a connection before it is done with what came by it, and goes on with that, can do so nevertheless.)
 *
 * A server that has died may have lost what it had answered and not flushed.  So the first flush that is answered after a
 * connection was lost fails with EIO, once, if anything was written over that connection, and answered, since the last flush that
 * succeeded: mpool_sync fails, the pages are modified again, and the next mpool_sync writes them anew.  Where such a page has left
 * memory since it was written, no later mpool_sync succeeds, as after a file's fsync that failed.
 *
 * Fork: a store is the process's that connected it.  In a child its functions fail with EBADF, and close does nothing.
 */
#ifndef MPOOL_NBD_H
#define MPOOL_NBD_H

#include <stddef.h>

#include <mpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each 0: as it says. */
struct mpool_nbd_options {
	unsigned connections; /* at most so many, up to 16, to a server that says that all see the same; 0: 2 */
	unsigned timeout;     /* ms for an answer, or for a connection; 0: a minute */
	unsigned retry;       /* ms from an attempt to connect that has failed to the next; 0: 100 */
};

/*
 * mpool_nbd_connect - connect to a server.
 *
 * `uri` is as for nbd_connect_uri(3): nbd://host:port/export, nbd+unix:///export?socket=path, nbds:// with TLS.  It may
 * name files with certificates and keys, so it is not to come from strangers.  `options` may be NULL; `size` is sizeof *options.
 *
 * Returns the cookie for mpool_nbd_store, which a pool is opened with, or a file attached:
 *
 *   mpool_open_store(&mpool_nbd_store, sizeof mpool_nbd_store, cookie, pagesize, maxcache)
 *
 * The close of the pool, or of the attached handle, disconnects; without one, mpool_nbd_store.close(cookie) does.
 * NULL, and errno, if it fails; nbd_get_error(3) may say more:
 *
 * EINVAL   the URI is NULL, or libnbd does not understand it; more than 16 connections, a time longer than a day, or the options are
 *          of a later version, and have set what this one does not know
 * ENOMEM, EMFILE, ENFILE, EAGAIN  there is no memory, descriptor or thread
 * ECONNREFUSED, ENOENT, EHOSTUNREACH, ...  as connect(2); ENOENT: or there is no such export
 * ETIMEDOUT  there was no connection in time
 * EOPNOTSUPP  the server wants TLS; or it has none, and nbds:// does
 * EPROTO   what answers does not speak NBD; or the host's name is not found
 */
void *mpool_nbd_connect(const char *uri, const struct mpool_nbd_options *options, size_t size);

/*
 * The store.  Its functions, besides what struct mpool_store says of them:
 *
 * size      of the export, as it was when the store was connected
 * readv, submit   offset and length are to be multiples of the least block that the server takes, else EINVAL;
 *           larger than the server takes: several requests
 * writev    EROFS: the server says that the export is read-only.  ENOSPC: beyond its end, which does not move
 * flush     EOPNOTSUPP: the server knows neither flushes nor writes that go to stable storage at once (FUA): it cannot say
 *           that anything is on stable storage.  If it knows the second alone, all writes are such
 * truncate  there is none
 */
extern const struct mpool_store mpool_nbd_store;

/*
 * mpool_open_nbd, mpool_attach_nbd - the same in one call: connect as `options` say, and open a pool, or attach to one.
 *
 * Fail as mpool_nbd_connect, and mpool_open_store or mpool_attach_store; and
 *
 * EINVAL   the page size, or the pool's, is no multiple of the least block that the server takes
 */
MPOOL *mpool_open_nbd(const char *uri, const struct mpool_nbd_options *options, size_t size, pgno_t pagesize,
                      pgno_t maxcache);
MPOOL *mpool_attach_nbd(MPOOL *mp, const char *uri, const struct mpool_nbd_options *options, size_t size);

#ifdef __cplusplus
}
#endif

#endif
