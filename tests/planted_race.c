/*
 * planted_race.c - a data race that ThreadSanitizer must report.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A clean run of the other tests under ThreadSanitizer says something only if
 * it sees races on the bytes of pages, that is, if the pool does not by chance
 * order what two threads do to one page.  Here both pin one page, meet, and
 * write the same byte: no call on the pool stands between the two writes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpool.h>

static pthread_barrier_t meet;

static void *writer(void *arg)
{
	MPOOL *mp = arg;
	char *page = mpool_get(mp, 0, 0);

	if (page == NULL) {
		fprintf(stderr, "mpool_get: %s\n", strerror(errno));
		exit(1);
	}
	pthread_barrier_wait(&meet);
	page[17]++;
	mpool_put(mp, page, MPOOL_DIRTY);
	return NULL;
}

int main(void)
{
	FILE *file = tmpfile();
	pthread_t threads[2];
	MPOOL *mp;

	if (file == NULL || ftruncate(fileno(file), 4096) != 0) {
		perror("tmpfile");
		return 1;
	}
	mp = mpool_open(NULL, fileno(file), 4096, 3);
	if (mp == NULL) {
		perror("mpool_open");
		return 1;
	}
	pthread_barrier_init(&meet, NULL, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, writer, mp);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	mpool_close(mp);
	fclose(file);
	return 0;
}
