/*
 * twopools FILE BACK MOUNT: two private pools on one descriptor, a write-back by the
 * kernel that fails, both sync.  BACK is a full tmpfs behind the file system of FILE.
 */
#include "case.h"

int main(int argc, char **argv)
{
	char filler[4096];
	MUST(argc == 4);
	int mount = open(argv[3], O_RDONLY), fd = open(argv[1], O_RDWR);
	MUST(mount >= 0 && fd >= 0);
	MPOOL *a = mpool_open(NULL, fd, 4096, 8), *b = mpool_open(NULL, fd, 4096, 8);
	MUST(a && b);
	for (pgno_t i = 0; i < 100; i++) {
		char *page = mpool_get(a, i, 0);
		MUST(page);
		memset(page, 'N', 4096);
		MUST(mpool_put(a, page, MPOOL_DIRTY) == 0);
	}
	(void)syncfs(mount);
	snprintf(filler, sizeof filler, "%s/filler", argv[2]);
	MUST(unlink(filler) == 0);
	(void)mpool_sync(b);
	for (int i = 0; i < 2; i++)
		RIGHT(mpool_sync(a) != 0 && errno == EIO, "sync %d of the pool whose pages are lost: %s", i,
			strerror(errno));
	mpool_close(a);
	mpool_close(b);
	return 0;
}
