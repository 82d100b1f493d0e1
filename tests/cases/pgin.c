/*
 * pgin.c - a hash file of DB 1.86 marks the pages that it has not written yet in its
 * filter, and goes by the marks: each page comes in through pgin, whatever was written
 * of the file so far.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "case.h"

enum { PAGE = 512, PAGES = 6, TOUCHED = 5, MARK = 0x5a };

static int seen[PAGES];

static void pgin(void *cookie, pgno_t pgno, void *page)
{
	(void)cookie;
	seen[pgno]++;
	if (((char *)page)[0] == 0)
		((char *)page)[0] = MARK; /* "never written" */
}

static void pgout(void *cookie, pgno_t pgno, void *page)
{
	(void)cookie, (void)pgno;
	if (((char *)page)[0] == MARK)
		((char *)page)[0] = 0;
}

/* All pages but one, of which none was ever written; the pool has room for two. */
static void look(MPOOL *mp, const char *when)
{
	for (pgno_t i = 0; i < PAGES; i++) {
		if (i == TOUCHED)
			continue;
		struct mpool_stats before, after;
		int calls = seen[i];
		MUST(mpool_stats(mp, &before, sizeof before) == 0);
		char *page = mpool_get(mp, i, 0);
		MUST(page);
		RIGHT(page[0] == MARK && page[1] == 0, "%s, page %u begins with %#x", when, i, page[0]);
		MUST(mpool_stats(mp, &after, sizeof after) == 0);
		RIGHT((uint64_t)(seen[i] - calls) == after.misses - before.misses,
			"%s, of page %u pgin was called %d times", when, i, seen[i] - calls);
		MUST(mpool_put(mp, page, 0) == 0);
	}
}

int main(void)
{
	/* A tail that is no page, of bytes that are no page's. */
	int fd = case_file(0);
	MUST(pwrite(fd, "tail", 4, 0) == 4);
	MPOOL *mp = mpool_open(NULL, fd, PAGE, 2);
	MUST(mp);
	mpool_filter(mp, pgin, pgout, NULL);
	pgno_t pgno = TOUCHED;
	char *page = mpool_new(mp, &pgno, MPOOL_PAGE_REQUEST);
	MUST(page);
	RIGHT(seen[TOUCHED] == 0 && page[0] == 0, "pgin ran on a page that was made");
	page[0] = 1;
	MUST(mpool_put(mp, page, MPOOL_DIRTY) == 0);
	look(mp, "before any page was written");
	look(mp, "after that page was evicted");
	MUST(mpool_sync(mp) == 0);
	look(mp, "after a sync");
	page = mpool_get(mp, TOUCHED, 0);
	RIGHT(page && page[0] == 1, "the written page begins with %#x", page[0]);
	MUST(mpool_put(mp, page, 0) == 0 && mpool_close(mp) == 0);
	return 0;
}
