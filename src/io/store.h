/*
 * store.h - where pages are when they are not in memory: a file, or a store of the program's.
 *
 * Owns the program's functions, and what it has them called with.  Of a file there is no struct store, but a descriptor: each
 * call here is made with both, and asks which it is by one branch.  Above, everything is the same for the two.
 *
 *   read, write, size, truncate   a try, as the system's calls are: fewer bytes than asked for, or an errno
 *   flush                         the store's own answer is believed; a file has witnesses (pageio.h)
 *   submit                        begun now, told of later; a file has engines (engine.h)
 *
 * A function of the program's runs as a hook does (hooks.h): who makes a call on the pool there is refused.  What it returns
 * that makes no sense, an errno that the system does not have, or more bytes than it was asked for, counts as EIO.
 *
 * No fork waits for it: its pool is the parent's alone (api/call.c).
 */
#ifndef MPOOL_STORE_H
#define MPOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/core.h"
#include "mpool.h"

struct store {
	struct mpool_store own; /* whole, but for what may be NULL */
	void *cookie;
	const void *pool; /* hooks.h: whose filter runs, while one of them does */
};

/* As the caller compiled the structure, of `size` bytes.  0, or an errno: EINVAL, ENOMEM. */
int store_open(struct store **s, const struct mpool_store *own, size_t size, void *cookie, const void *pool);
/* NULL: nothing is to be done.  `tell`: the program is told. */
void store_close(struct store *s, bool tell);

/* One try; s NULL: of the file.  -1 and errno. */
ssize_t store_own_readv(const struct store *s, const struct iovec *iov, int n, off_t at);
ssize_t store_own_writev(const struct store *s, const struct iovec *iov, int n, off_t at);

static inline ssize_t store_read(const struct store *s, int fd, void *to, size_t bytes, off_t at)
{
	return likely(!s) ? pread(fd, to, bytes, at) : store_own_readv(s, &(struct iovec){to, bytes}, 1, at);
}

static inline ssize_t store_readv(const struct store *s, int fd, const struct iovec *iov, int n, off_t at)
{
	return likely(!s) ? preadv(fd, iov, n, at) : store_own_readv(s, iov, n, at);
}

static inline ssize_t store_write(const struct store *s, int fd, const void *from, size_t bytes, off_t at)
{
	return likely(!s) ? pwrite(fd, from, bytes, at)
	                  : store_own_writev(s, &(struct iovec){(void *)(uintptr_t)from, bytes}, 1, at);
}

/* Has it a submit?  Begin a request; false: it is not begun.  What its answer comes to, of so many bytes: as many, or minus an errno. */
static inline bool store_submits(const struct store *s)
{
	return s && s->own.submit;
}
bool store_submit(const struct store *s, struct mpool_io *request);
/* Has it a wait?  By him who waits for what was begun with that `waiter`; false: he is to sleep. */
static inline bool store_waits(const struct store *s)
{
	return s && s->own.wait;
}
bool store_wait(const struct store *s, const void *waiter, int fd, int ms);
ssize_t store_answer(ssize_t bytes, size_t asked);

/* How many bytes there are, and a change of that.  0, or an errno. */
int store_bytes(const struct store *s, int fd, uint64_t *bytes);
int store_set_bytes(const struct store *s, int fd, uint64_t bytes);
/* Of a store alone: 0, or an errno. */
int store_flush(const struct store *s);
/* Does what has failed with that say nothing, as the store was not to be reached: nor a flush of what was written, nor a read of other pages? */
bool store_unreached(int error);

#endif
