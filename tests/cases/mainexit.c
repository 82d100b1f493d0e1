/* The main thread has ended: /proc/self is a dead one's, and pools are opened as ever. */
#include "case.h"

#include <pthread.h>

static pthread_t first;

static void *rest(void *unused)
{
	(void)unused;
	pthread_join(first, NULL);
	int fd = case_file(1 << 20);
	char *keys[] = {NULL, case_key()};
	for (int i = 0; i < 2; i++) {
		MPOOL *mp = mpool_open(keys[i], fd, 4096, 10);
		RIGHT(mp, "open: %s", strerror(errno));
		char *page = mpool_get(mp, 3, 0);
		RIGHT(page && (*page = 1) && mpool_put(mp, page, MPOOL_DIRTY) == 0, "get: %s", strerror(errno));
		RIGHT(mpool_sync(mp) == 0 && mpool_close(mp) == 0, "sync: %s", strerror(errno));
	}
	exit(0);
}

int main(void)
{
	pthread_t t;
	first = pthread_self();
	MUST(pthread_create(&t, NULL, rest, NULL) == 0);
	pthread_exit(NULL);
}
