/*
 * pages.c - see pages.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A part of a request within one group. */
struct batch {
	pgno_t first;
	uint32_t n;  /* pages */
	uint32_t at; /* of the first page, where it begins */
	uint32_t bytes;
	uint64_t done; /* bytes of the request before it */
};

/* The next part of a request of `bytes` from `offset`; b->n is 0 to begin with.  False: there is none. */
static bool batch_next(const struct pages *p, struct batch *b, uint64_t bytes, uint64_t offset)
{
	uint64_t done = b->n == 0 ? 0 : b->done + b->bytes, group = (uint64_t)p->size * GROUP_PAGES;
	if (done == bytes)
		return false;
	uint64_t from = offset + done, room = group - from % group, left = bytes - done;
	*b = (struct batch){.first = (pgno_t)(from / p->size),
	                    .at = (uint32_t)(from % p->size),
	                    .bytes = (uint32_t)(left < room ? left : room),
	                    .done = done};
	b->n = (uint32_t)(((uint64_t)b->at + b->bytes + p->size - 1) / p->size);
	return true;
}

/* The bytes of a batch that are in its page `i`. */
struct piece {
	uint32_t at; /* in the page */
	uint32_t bytes;
	uint64_t done; /* bytes of the request before it */
};

static struct piece piece_of(const struct pages *p, const struct batch *b, uint32_t i)
{
	uint64_t from = i == 0 ? b->at : (uint64_t)i * p->size, end = (uint64_t)b->at + b->bytes;
	uint64_t next = (uint64_t)(i + 1) * p->size;
	return (struct piece){.at = (uint32_t)(from % p->size),
	                      .bytes = (uint32_t)((next < end ? next : end) - from),
	                      .done = b->done + from - b->at};
}

static bool is_whole(const struct pages *p, struct piece c)
{
	return c.bytes == p->size;
}

/* ---- the group's lock; none in a shared pool, see pages.h ------------------- */

static pthread_rwlock_t *group_lock(const struct pages *p, const struct batch *b)
{
	return &p->groups[b->first / GROUP_PAGES % GROUPS].lock;
}

static void hold(const struct pages *p, const struct batch *b, bool exclusive)
{
	if (p->shared)
		return;
	if (exclusive)
		pthread_rwlock_wrlock(group_lock(p, b));
	else
		pthread_rwlock_rdlock(group_lock(p, b));
}

static void let_go(const struct pages *p, const struct batch *b)
{
	if (!p->shared)
		pthread_rwlock_unlock(group_lock(p, b));
}

/* ---- pages ------------------------------------------------------------------ */

/* Unpin, and keep the errno of what failed before. */
static int put(const struct pages *p, void *page, unsigned int flags, int result)
{
	int error = errno;
	if (mpool_put(p->mp, page, flags) != 0)
		return -1;
	errno = error;
	return result;
}

static void *get_page(const struct pages *p, pgno_t number)
{
	return mpool_get(p->mp, number, 0);
}

/*
 * The pinned page is about to be modified.  In a pool that is shared it is marked before: if we
 * die in the middle, others have read bytes that would be others later, were the page evicted
 * unwritten.  While it is pinned the mark stays, whoever syncs.
 */
static int mark_before(const struct pages *p, void *page, pgno_t number)
{
	if (!p->shared)
		return 0;
	if (get_page(p, number) == NULL)
		return -1;
	return put(p, page, MPOOL_DIRTY, 0);
}

/* A page all of which will be written, pinned.  It is not read if it can be helped. */
static void *make_page(const struct pages *p, pgno_t number)
{
	if (p->shared)
		return get_page(p, number);
	void *page = mpool_get(p->mp, number, MPOOL_CACHED);
	if (page != NULL)
		return page;
	pgno_t wanted = number;
	page = mpool_new(p->mp, &wanted, MPOOL_PAGE_REQUEST);
	/* It is just being read: a prefetch. */
	return page == NULL && errno == EEXIST ? get_page(p, number) : page;
}

static void number_pages(const struct batch *b, pgno_t number[GROUP_PAGES])
{
	for (uint32_t i = 0; i < b->n; i++)
		number[i] = b->first + i;
}

/* Pin a batch's pages; all or none. */
static int pin(const struct pages *p, const struct batch *b, void **page)
{
	if (b->n == 1)
		return (page[0] = get_page(p, b->first)) == NULL ? -1 : 0;
	pgno_t number[GROUP_PAGES];
	number_pages(b, number);
	return mpool_getv(p->mp, number, page, b->n, 0);
}

static void unpin(const struct pages *p, void *const *page, uint32_t n)
{
	while (n > 0)
		(void)put(p, page[--n], 0, 0);
}

/* Start reading a batch's pages, as far as there is room: it is a hint. */
static int prefetch(const struct pages *p, const struct batch *b)
{
	pgno_t number[GROUP_PAGES];
	number_pages(b, number);
	return mpool_prefetch(p->mp, number, b->n, -1) < 0 ? -1 : 0;
}

/* ---- reading ------------------------------------------------------------------ */

static int read_batch(const struct pages *p, const struct batch *b, char *to)
{
	void *page[GROUP_PAGES];
	if (pin(p, b, page) != 0)
		return -1;
	for (uint32_t i = 0; i < b->n; i++) {
		struct piece c = piece_of(p, b, i);
		memcpy(to + c.done, (char *)page[i] + c.at, c.bytes);
	}
	unpin(p, page, b->n);
	return 0;
}

int pages_read(struct pages *p, void *to, uint64_t bytes, uint64_t offset)
{
	int result = 0;
	for (struct batch b = {0}; result == 0 && batch_next(p, &b, bytes, offset);) {
		hold(p, &b, false);
		result = read_batch(p, &b, to);
		let_go(p, &b);
	}
	return result;
}

int pages_prefetch(struct pages *p, uint64_t bytes, uint64_t offset)
{
	int result = 0;
	for (struct batch b = {0}; result == 0 && batch_next(p, &b, bytes, offset);) {
		hold(p, &b, false);
		result = prefetch(p, &b);
		let_go(p, &b);
	}
	return result;
}

/* ---- writing ------------------------------------------------------------------ */

/* from NULL: zeros. */
static int write_piece(const struct pages *p, pgno_t number, struct piece c, const char *from)
{
	char *page = is_whole(p, c) ? make_page(p, number) : get_page(p, number);
	if (page == NULL)
		return -1;
	if (mark_before(p, page, number) != 0)
		return put(p, page, 0, -1);
	if (from)
		memcpy(page + c.at, from + c.done, c.bytes);
	else
		memset(page + c.at, 0, c.bytes);
	return put(p, page, MPOOL_DIRTY, 0);
}

static int write_batch(const struct pages *p, const struct batch *b, const char *from)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (write_piece(p, b->first + i, piece_of(p, b, i), from) != 0)
			return -1;
	return 0;
}

/* Is there a page of it that is made? */
static bool has_whole(const struct pages *p, const struct batch *b)
{
	return b->n > 2 || is_whole(p, piece_of(p, b, 0)) || is_whole(p, piece_of(p, b, b->n - 1));
}

int pages_write(struct pages *p, const void *from, uint64_t bytes, uint64_t offset)
{
	int result = 0;
	for (struct batch b = {0}; result == 0 && batch_next(p, &b, bytes, offset);) {
		hold(p, &b, has_whole(p, &b));
		result = write_batch(p, &b, from);
		let_go(p, &b);
	}
	return result;
}

/* ---- zeros -------------------------------------------------------------------- */

/* The page is in memory no more, nor being written; or it is zeros, and modified. */
static int drop_page(const struct pages *p, pgno_t number)
{
	void *page = make_page(p, number);
	if (page == NULL)
		return -1;
	if (mpool_delete(p->mp, page) == 0)
		return 0;
	memset(page, 0, p->size);
	return put(p, page, MPOOL_DIRTY, 0);
}

/* A hole for pages `from` to before `to` of the batch.  Under the group's lock, so that nobody reads them in between. */
static int punch(struct pages *p, const struct batch *b, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (drop_page(p, b->first + i) != 0)
			return -1;
	if (fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(b->first + (uint64_t)from) * p->size,
	              (off_t)(to - from) * p->size) == 0)
		return 0;
	atomic_store_explicit(&p->holes, false, memory_order_relaxed); /* a hint */
	return -1;
}

static int zero_batch(struct pages *p, const struct batch *b, bool holes)
{
	uint32_t from = b->at > 0, to = is_whole(p, piece_of(p, b, b->n - 1)) ? b->n : b->n - 1;
	if (!holes || from >= to || punch(p, b, from, to) != 0)
		return write_batch(p, b, NULL);
	for (uint32_t i = 0; i < b->n; i++)
		if ((i < from || i >= to) && write_piece(p, b->first + i, piece_of(p, b, i), NULL) != 0)
			return -1;
	return 0;
}

bool pages_punch(const struct pages *p)
{
	return !p->shared && atomic_load_explicit(&p->holes, memory_order_relaxed);
}

int pages_zero(struct pages *p, uint64_t bytes, uint64_t offset, bool holes)
{
	int result = 0;
	for (struct batch b = {0}; result == 0 && batch_next(p, &b, bytes, offset);) {
		hold(p, &b, has_whole(p, &b));
		result = zero_batch(p, &b, holes && pages_punch(p));
		let_go(p, &b);
	}
	return result;
}

/* ---- open and close ------------------------------------------------------------ */

int pages_open(struct pages *p, MPOOL *mp)
{
	p->groups = aligned_alloc(GROUP_ALIGN, GROUPS * sizeof *p->groups);
	if (p->groups == NULL)
		return -1;
	for (unsigned i = 0; i < GROUPS; i++)
		pthread_rwlock_init(&p->groups[i].lock, NULL);
	p->mp = mp;
	return 0;
}

void pages_close(struct pages *p)
{
	for (unsigned i = 0; i < GROUPS; i++)
		pthread_rwlock_destroy(&p->groups[i].lock);
	free(p->groups);
	p->groups = NULL;
	(void)mpool_close(p->mp);
	p->mp = NULL;
}
