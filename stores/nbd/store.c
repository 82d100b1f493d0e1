/*
 * store.c - the calls of mpool_nbd.h.
 *
 * Owns what a cookie leads to: the loop (loop.h), and what it was made with.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "mpool_nbd.h"

#define PUBLIC __attribute__((visibility("default")))

#define NS_PER_MS     1000000u
#define MS_MAX        86400000u /* a day */
#define CONNECTIONS_0 2u
#define TIMEOUT_MS_0  60000u
#define RETRY_MS_0    100u
#define NO_FD         (-1)
#define NO_LIMIT      (-1)

struct store {
	struct loop loop;
	char *uri;
	unsigned forks; /* that this process is from its parents, when it was made */
};

/* ---- fork -------------------------------------------------------------------- */

/* In a child of fork the thread of its parent's store is not there. */
static _Atomic unsigned forks;

static void was_forked(void)
{
	forks++;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, was_forked);
}

static bool is_parents(const struct store *s)
{
	return s->forks != forks;
}

/* ---- requests ---------------------------------------------------------------- */

/* Of the bytes that are asked for: those that there are. */
static size_t within(const struct export *e, const struct mpool_io *io)
{
	size_t bytes = iov_bytes(io->iov, io->iovcnt);
	uint64_t there = io->offset < e->size ? e->size - io->offset : 0;
	return there < bytes ? (size_t)there : bytes;
}

/* 0: the request is for the server, so many bytes of it; or an errno, or DONE: there is nothing to do. */
#define DONE (-1)
static int check(const struct export *e, const struct mpool_io *io, size_t *bytes)
{
	*bytes = 0;
	if (io->op == MPOOL_IO_FLUSH)
		return e->read_only ? DONE : e->can_flush ? 0 : e->can_fua ? DONE : EOPNOTSUPP;
	*bytes = within(e, io);
	if (io->op == MPOOL_IO_WRITE && e->read_only)
		return EROFS;
	if (*bytes > 0)
		return 0;
	return io->op == MPOOL_IO_WRITE && iov_bytes(io->iov, io->iovcnt) ? ENOSPC : DONE;
}

static int submit(void *cookie, struct mpool_io *io)
{
	struct store *s = cookie;
	const struct export *e = &s->loop.common.export;
	size_t bytes;
	int error = is_parents(s) ? EBADF : check(e, io, &bytes);
	if (error == DONE) {
		io->done(io, 0);
		return 0;
	}
	struct request *r = error ? NULL : request_make(io, bytes, e->most);
	if (!r) {
		errno = error ? error : ENOMEM;
		return -1;
	}
	loop_submit(&s->loop, r);
	return 0;
}

/* ---- requests that are waited for -------------------------------------------- */

struct waiter {
	struct mpool_io io;
	sem_t told;
	ssize_t bytes;
};

static void tell_waiter(struct mpool_io *io, ssize_t bytes)
{
	struct waiter *w = io->own;
	w->bytes = bytes;
	sem_post(&w->told);
}

/* Drive the connections, or be told by whoever does. */
static void await(struct store *s, struct waiter *w)
{
	while (sem_trywait(&w->told) != 0)
		if (!loop_wait(&s->loop, w, NO_FD, NO_LIMIT)) {
			while (sem_wait(&w->told) != 0)
				;
			return;
		}
}

/* As a system call returns. */
static ssize_t make(void *cookie, int op, const struct iovec *iov, int n, uint64_t offset)
{
	struct waiter w = {.io = {op, offset, iov, n, tell_waiter, &w, &w}};
	int cancellable;
	sem_init(&w.told, 0, 0);
	/* The request is the store's until it is told. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
	if (submit(cookie, &w.io) != 0)
		w.bytes = -errno;
	else
		await(cookie, &w);
	pthread_setcancelstate(cancellable, NULL);
	sem_destroy(&w.told);
	if (w.bytes >= 0)
		return w.bytes;
	errno = (int)-w.bytes;
	return -1;
}

static ssize_t readv_nbd(void *cookie, const struct iovec *iov, int n, uint64_t offset)
{
	return make(cookie, MPOOL_IO_READ, iov, n, offset);
}

static ssize_t writev_nbd(void *cookie, const struct iovec *iov, int n, uint64_t offset)
{
	return make(cookie, MPOOL_IO_WRITE, iov, n, offset);
}

static int flush(void *cookie)
{
	return (int)make(cookie, MPOOL_IO_FLUSH, NULL, 0, 0);
}

static int wait_nbd(void *cookie, const void *waiter, int fd, int ms)
{
	struct store *s = cookie;
	int cancellable;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
	bool drove = !is_parents(s) && loop_wait(&s->loop, waiter, fd, ms);
	pthread_setcancelstate(cancellable, NULL);
	return drove ? 0 : -1;
}

static int size(void *cookie, uint64_t *bytes)
{
	const struct store *s = cookie;
	*bytes = s->loop.common.export.size;
	return 0;
}

/* ---- opening and closing ----------------------------------------------------- */

static void close_nbd(void *cookie)
{
	struct store *s = cookie;
	if (is_parents(s))
		return;
	loop_close(&s->loop);
	free(s->uri);
	free(s);
}

PUBLIC const struct mpool_store mpool_nbd_store = {
	.size = size,
	.readv = readv_nbd,
	.writev = writev_nbd,
	.flush = flush,
	.submit = submit,
	.close = close_nbd,
	.wait = wait_nbd,
};

/* What is beyond what this version knows must be zeros. */
static bool options_known(const void *options, size_t size)
{
	const unsigned char *byte = options;
	for (size_t i = sizeof(struct mpool_nbd_options); i < size; i++)
		if (byte[i])
			return false;
	return true;
}

/* With what is to be used for each 0.  False: they cannot be had. */
static bool options_take(struct mpool_nbd_options *o, const struct mpool_nbd_options *given, size_t size)
{
	*o = (struct mpool_nbd_options){0};
	if (given)
		memcpy(o, given, size < sizeof *o ? size : sizeof *o);
	if (given && !options_known(given, size))
		return false;
	o->connections = o->connections ? o->connections : CONNECTIONS_0;
	o->timeout = o->timeout ? o->timeout : TIMEOUT_MS_0;
	o->retry = o->retry ? o->retry : RETRY_MS_0;
	return o->connections <= CONNECTIONS && o->timeout <= MS_MAX && o->retry <= MS_MAX;
}

/* 0, or an errno. */
static int store_open(struct store *s, const char *uri, const struct mpool_nbd_options *o)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_forks);
	*s = (struct store){.uri = strdup(uri), .forks = forks};
	if (!s->uri)
		return ENOMEM;
	s->loop.common.uri = s->uri;
	s->loop.common.timeout = (uint64_t)o->timeout * NS_PER_MS;
	s->loop.retry = (uint64_t)o->retry * NS_PER_MS;
	s->loop.n = o->connections;
	int cancellable;
	/* Connecting waits. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
	int error = loop_open(&s->loop);
	pthread_setcancelstate(cancellable, NULL);
	if (error)
		free(s->uri);
	return error;
}

PUBLIC void *mpool_nbd_connect(const char *uri, const struct mpool_nbd_options *options, size_t size)
{
	struct mpool_nbd_options o;
	if (!uri || !options_take(&o, options, size)) {
		errno = EINVAL;
		return NULL;
	}
	struct store *s = malloc(sizeof *s);
	int error = s ? store_open(s, uri, &o) : ENOMEM;
	if (!error)
		return s;
	free(s);
	errno = error;
	return NULL;
}

/* ---- pools ------------------------------------------------------------------- */

/* A pool of pages of that size can have the store: each is some of the server's blocks. */
static bool pages_fit(const struct store *s, uint64_t pagesize)
{
	return pagesize % s->loop.common.export.least == 0;
}

/* The pool has the store, or the store is not connected any more. */
static MPOOL *or_close(MPOOL *mp, struct store *s)
{
	int error = errno;
	if (!mp)
		close_nbd(s);
	errno = error;
	return mp;
}

PUBLIC MPOOL *mpool_open_nbd(const char *uri, const struct mpool_nbd_options *options, size_t size, pgno_t pagesize,
                             pgno_t maxcache)
{
	struct store *s = mpool_nbd_connect(uri, options, size);
	if (!s)
		return NULL;
	errno = EINVAL;
	return or_close(pages_fit(s, pagesize)
	                        ? mpool_open_store(&mpool_nbd_store, sizeof mpool_nbd_store, s, pagesize, maxcache)
	                        : NULL,
	                s);
}

PUBLIC MPOOL *mpool_attach_nbd(MPOOL *mp, const char *uri, const struct mpool_nbd_options *options, size_t size)
{
	struct mpool_stats stats;
	if (mpool_stats(mp, &stats, sizeof stats) != 0)
		return NULL;
	struct store *s = mpool_nbd_connect(uri, options, size);
	if (!s)
		return NULL;
	errno = EINVAL;
	return or_close(pages_fit(s, stats.pagesize)
	                        ? mpool_attach_store(mp, &mpool_nbd_store, sizeof mpool_nbd_store, s)
	                        : NULL,
	                s);
}
