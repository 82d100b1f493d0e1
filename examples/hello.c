#include <err.h>
#include <fcntl.h>
#include <mpool.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	int fd = open("pages", O_RDWR | O_CREAT, 0666);
	if (fd < 0)
		err(1, "pages");
	MPOOL *mp = mpool_open(NULL, fd, 4096, 1000); /* keep 1,000 pages of 4096 bytes */
	if (mp == NULL)
		err(1, "mpool_open");

	pgno_t number;
	char *page = mpool_new(mp, &number); /* pinned, all zeros */
	if (page == NULL)
		err(1, "mpool_new");
	strcpy(page, "hello");
	if (mpool_put(mp, page, MPOOL_DIRTY) != 0) /* modified; unpinned */
		err(1, "mpool_put");

	if ((page = mpool_get(mp, number, 0)) == NULL) /* from any thread */
		err(1, "mpool_get");
	printf("page %lu: %s\n", (unsigned long)number, page);
	if (mpool_put(mp, page, 0) != 0)
		err(1, "mpool_put");

	if (mpool_sync(mp) != 0 || mpool_close(mp) != 0)
		err(1, "pages"); /* what is not on the disk, and why */
	return 0;
}
