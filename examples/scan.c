/* scan FILE [AHEAD] - add up all bytes of a file's pages, in the file's order, AHEAD pages a read. */
#include <err.h>
#include <fcntl.h>
#include <mpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PAGE = 4096, CACHE = 1000 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: scan FILE [AHEAD]");
	int fd = open(argv[1], O_RDONLY);
	MPOOL *mp = fd < 0 ? NULL : mpool_open(NULL, fd, PAGE, CACHE);
	if (mp == NULL)
		err(1, "%s", argv[1]);
	if (mpool_tune(mp, MPOOL_READAHEAD, argc > 2 ? strtoul(argv[2], NULL, 10) : 64) != 0)
		err(1, "read-ahead");

	struct mpool_stats s;
	mpool_stats(mp, &s, sizeof s);
	unsigned long sum = 0;
	double began = now();
	for (pgno_t i = 0; i < s.pages; i++) {
		unsigned char *page = mpool_get(mp, i, MPOOL_ONCE); /* what others use stays in memory */
		if (page == NULL)
			err(1, "page %lu", (unsigned long)i);
		for (int b = 0; b < PAGE; b++)
			sum += page[b];
		mpool_put(mp, page, 0);
	}
	double seconds = now() - began;

	mpool_stats(mp, &s, sizeof s);
	printf("%lu pages, %.0f a second, sum %lu\n", (unsigned long)s.pages, (double)s.pages / seconds, sum);
	printf("waited %lu times; read ahead: %lu, used %lu, for nothing %lu\n", (unsigned long)s.misses,
	       (unsigned long)s.ahead, (unsigned long)s.ahead_used, (unsigned long)s.ahead_wasted);
	return mpool_close(mp);
}
