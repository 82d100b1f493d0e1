#include <err.h>
#include <fcntl.h>
#include <mpool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char key[] = "com.example.counter";
	int fd = open("count", O_RDWR | O_CREAT, 0666);
	if (fd < 0 || ftruncate(fd, 4096) != 0) /* one page */
		err(1, "count");
	MPOOL *mp = mpool_open(argc > 1 ? argv[1] : key, fd, 4096, 100);
	if (mp == NULL)
		err(1, "mpool_open");

	for (;; sleep(1)) {
		void *page = mpool_get(mp, 0, 0); /* pinned for all, put by this process */
		if (page == NULL)
			err(1, "mpool_get");
		printf("%lu\n", atomic_fetch_add((_Atomic unsigned long *)page, 1) + 1);
		if (mpool_put(mp, page, MPOOL_DIRTY) != 0)
			err(1, "mpool_put");
		if (mpool_sync(mp) != 0) /* whoever modified it */
			err(1, "count");
		if (fflush(stdout) != 0)
			err(1, "stdout");
	}
}
