/*
 * ceph.c - a word, on the first page of what a Ceph cluster has: one machine writes it, others show it.
 *
 *   ceph POOL NAME          print it
 *   ceph POOL NAME WORD     write it
 */
#include <err.h>
#include <mpool_rados.h>
#include <stdio.h>

enum { PAGE = 4096, CACHE = 256 };

int main(int argc, char *argv[])
{
	if (argc < 3)
		errx(1, "usage: ceph POOL NAME [WORD]");
	const char *word = argv[3]; /* or NULL */
	const struct mpool_rados_how how = {
		.pool = argv[1],
		.name = argv[2],
		.flags = word ? MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE : MPOOL_RADOS_READER,
	};
	MPOOL_RADOS *store;
	MPOOL *mp = mpool_open_rados(&how, sizeof how, PAGE, CACHE, &store);
	if (mp == NULL)
		err(1, "%s", how.name); /* EBUSY: another machine writes */
	char *page = mpool_get(mp, 0, 0);
	if (page == NULL && word != NULL)
		page = mpool_new(mp, &(pgno_t){0}); /* there was none yet */
	if (page == NULL)
		err(1, "page 0");
	if (word != NULL)
		snprintf(page, PAGE, "%s", word);
	printf("page 0: %.*s\n", PAGE, page);
	if (mpool_put(mp, page, word ? MPOOL_DIRTY : 0) != 0)
		err(1, "mpool_put");
	if (word != NULL && mpool_sync(mp) != 0) /* readers that are connected have forgotten what it was */
		err(1, "mpool_sync");
	return mpool_rados_close(store); /* the pool, too */
}
