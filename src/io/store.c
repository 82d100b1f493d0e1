/* store.c - see store.h. */
#include "io/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/thread.h"
#include "os/file.h"
#include "os/given.h"

/* ---- which functions there are ------------------------------------------ */

int store_open(struct store **s, const struct mpool_store *own, size_t size, void *cookie, const void *pool)
{
	struct mpool_store known = {0};
	if (!own || given_take(&known, sizeof known, own, size) != 0)
		return EINVAL;
	if (!known.size || !known.readv || !known.writev || !known.flush)
		return EINVAL;
	*s = malloc(sizeof **s);
	if (!*s)
		return ENOMEM;
	**s = (struct store){known, cookie, pool};
	return 0;
}

/* ---- the calls ---------------------------------------------------------- */

/* In the caller's frame: what is called from there is further down the stack. */
__attribute__((always_inline)) static inline struct filtering begin(const struct store *s)
{
	struct filtering before = thread_filtering;
	thread_filtering = (struct filtering){s->pool, (uintptr_t)__builtin_frame_address(0)};
	errno = 0; /* it may fail without one */
	return before;
}

/* It has failed, but may not have said how. */
static int errno_of(int error)
{
	return error ? given_errno(error) : EIO;
}

static size_t bytes_of(const struct iovec *iov, int n)
{
	size_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* -1 and errno. */
static ssize_t transferred(ssize_t returned, size_t asked)
{
	if (returned >= 0 && (size_t)returned <= asked)
		return returned;
	errno = returned < 0 ? errno_of(errno) : EIO;
	return -1;
}

/* 0, or an errno. */
static int result(int returned)
{
	return returned == 0 ? 0 : errno_of(errno);
}

ssize_t store_own_readv(const struct store *s, const struct iovec *iov, int n, off_t at)
{
	struct filtering before = begin(s);
	ssize_t got = s->own.readv(s->cookie, iov, n, (uint64_t)at);
	thread_filtering = before;
	return transferred(got, bytes_of(iov, n));
}

ssize_t store_own_writev(const struct store *s, const struct iovec *iov, int n, off_t at)
{
	struct filtering before = begin(s);
	ssize_t put = s->own.writev(s->cookie, iov, n, (uint64_t)at);
	thread_filtering = before;
	return transferred(put, bytes_of(iov, n));
}

bool store_submit(const struct store *s, struct mpool_io *request)
{
	struct filtering before = begin(s);
	int returned = s->own.submit(s->cookie, request);
	thread_filtering = before;
	return returned == 0;
}

bool store_wait(const struct store *s, const void *waiter, int fd, int ms)
{
	struct filtering before = begin(s);
	int returned = s->own.wait(s->cookie, waiter, fd, ms);
	thread_filtering = before;
	return returned == 0;
}

ssize_t store_answer(ssize_t bytes, size_t asked)
{
	if (bytes < 0)
		return bytes >= -ERRNO_MOST ? bytes : -EIO;
	return (size_t)bytes <= asked ? bytes : -EIO;
}

int store_bytes(const struct store *s, int fd, uint64_t *bytes)
{
	if (!s)
		return file_bytes(fd, bytes);
	struct filtering before = begin(s);
	int returned;
	do
		returned = result(s->own.size(s->cookie, bytes));
	while (returned == EINTR);
	thread_filtering = before;
	return returned;
}

int store_set_bytes(const struct store *s, int fd, uint64_t bytes)
{
	if (!s)
		return file_set_bytes(fd, bytes);
	if (!s->own.truncate)
		return ENOTSUP;
	struct filtering before = begin(s);
	int returned;
	do
		returned = result(s->own.truncate(s->cookie, bytes));
	while (returned == EINTR);
	thread_filtering = before;
	return returned;
}

int store_flush(const struct store *s)
{
	struct filtering before = begin(s);
	int returned;
	do
		returned = result(s->own.flush(s->cookie));
	while (returned == EINTR);
	thread_filtering = before;
	return returned;
}

bool store_unreached(int error)
{
	switch (error) {
	case ETIMEDOUT:
	case ENOTCONN:
	case ECONNRESET:
	case ECONNABORTED:
	case ECONNREFUSED:
	case EPIPE:
	case ESHUTDOWN:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENETUNREACH:
	case ENETRESET:
		return true;
	default:
		return false;
	}
}

void store_close(struct store *s, bool tell)
{
	if (s && tell && s->own.close)
		s->own.close(s->cookie);
	free(s);
}
