/*
 * nbd.c - a word, kept on the first page of whatever a server of NBD has.
 *
 *   nbd URI          print it
 *   nbd URI WORD     write it
 */
#include <err.h>
#include <mpool_nbd.h>
#include <stdio.h>

enum { PAGE = 4096, CACHE = 256 };

int main(int argc, char *argv[])
{
	if (argc < 2)
		errx(1, "usage: nbd URI [WORD]");
	MPOOL *mp = mpool_open_nbd(argv[1], NULL, 0, PAGE, CACHE);
	if (mp == NULL)
		err(1, "%s", argv[1]);
	char *page = mpool_get(mp, 0, 0);
	if (page == NULL)
		err(1, "page 0");
	if (argc > 2)
		snprintf(page, PAGE, "%s", argv[2]);
	printf("page 0: %.*s\n", PAGE, page);
	if (mpool_put(mp, page, argc > 2 ? MPOOL_DIRTY : 0) != 0)
		err(1, "mpool_put");
	if (mpool_sync(mp) != 0) /* it is on the server's stable storage */
		err(1, "mpool_sync");
	return mpool_close(mp); /* and disconnects */
}
