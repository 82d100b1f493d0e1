/*
 * port.c - does the library work on this system at all?
 *
 * Threads get, modify and put the pages of a file that is larger than the pool, of a
 * private pool and of one that two processes share; then all of it is in the file.
 * A file of more than 4 GiB; more pages than there are addresses for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>

#include "case.h"

enum { PAGE = 4096, PAGES = 64, CACHE = 12, THREADS = 4, ROUNDS = 50 };

static MPOOL *pool;

/* Each counts up a word of its own in each page. */
static void *work(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	for (pgno_t i = 0; i < ROUNDS * PAGES; i++) {
		uint32_t *page = mpool_get(pool, (pgno_t)(i * (2 * me + 1) % PAGES), 0);
		RIGHT(page, "mpool_get: %s", strerror(errno));
		page[me]++;
		RIGHT(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put: %s", strerror(errno));
	}
	return NULL;
}

static void threads(uintptr_t first)
{
	pthread_t t[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++)
		MUST(pthread_create(&t[i], NULL, work, (void *)(first + i)) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		MUST(pthread_join(t[i], NULL) == 0);
}

static void check(int fd, unsigned words)
{
	uint32_t page[PAGE / sizeof(uint32_t)];
	for (pgno_t i = 0; i < PAGES; i++) {
		MUST(pread(fd, page, sizeof page, (off_t)i * PAGE) == PAGE);
		for (unsigned w = 0; w < words; w++)
			RIGHT(page[w] == ROUNDS, "page %u, word %u: %u", (unsigned)i, w, (unsigned)page[w]);
	}
}

static void private_pool(void)
{
	int fd = case_file((off_t)PAGES * PAGE);
	struct mpool_stats st;
	pool = mpool_open(NULL, fd, PAGE, CACHE);
	RIGHT(pool, "mpool_open: %s", strerror(errno));
	threads(0);
	RIGHT(mpool_sync(pool) == 0, "mpool_sync: %s", strerror(errno));
	RIGHT(mpool_stats(pool, &st, sizeof st) == 0 && st.evictions > 0 && st.cached <= CACHE, "%u cached",
		(unsigned)st.cached);
	MUST(mpool_close(pool) == 0);
	check(fd, THREADS);
}

static void shared_pool(void)
{
	int fd = case_file((off_t)PAGES * PAGE), status, ready[2];
	char *key = case_key(), c = 0;
	MUST(pipe(ready) == 0);
	pid_t child = fork();
	MUST(child >= 0);
	if (child == 0)
		MUST(read(ready[0], &c, 1) == 1); /* its parent has made the pool */
	pool = mpool_open(key, child ? fd : -1, PAGE, CACHE);
	RIGHT(pool, "mpool_open: %s", strerror(errno));
	MUST(child == 0 || write(ready[1], &c, 1) == 1);
	threads(child ? 0 : THREADS);
	RIGHT(mpool_sync(pool) == 0, "mpool_sync: %s", strerror(errno));
	if (child == 0)
		_exit(mpool_close(pool) == 0 ? 0 : CASE_WRONG);
	MUST(waitpid(child, &status, 0) == child);
	RIGHT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the other process ended with %#x", (unsigned)status);
	MUST(mpool_close(pool) == 0);
	check(fd, 2 * THREADS);
}

static void far_away(void)
{
	int fd = case_file(0);
	pgno_t pgno = (pgno_t)(((uint64_t)5 << 30) / PAGE);
	char byte = 0;
	MPOOL *mp = mpool_open(NULL, fd, PAGE, CACHE);
	MUST(mp);
	char *page = mpool_new_flags(mp, &pgno, MPOOL_PAGE_REQUEST);
	RIGHT(page, "mpool_new: %s", strerror(errno));
	page[PAGE - 1] = 7;
	MUST(mpool_put(mp, page, MPOOL_DIRTY) == 0);
	RIGHT(mpool_sync(mp) == 0, "mpool_sync: %s", strerror(errno));
	RIGHT(pread(fd, &byte, 1, (off_t)(pgno + UINT64_C(1)) * PAGE - 1) == 1 && byte == 7, "not where it belongs");
	MUST(mpool_close(mp) == 0);
}

/* Either it is refused, or there are as many. */
static void too_many(const char *what, void *key)
{
	int fd = case_file((off_t)PAGES * PAGE);
	struct mpool_stats st;
	const pgno_t size[] = {PAGE, 1u << 20, 3u << 29};
	for (unsigned i = 0; i < sizeof size / sizeof *size; i++) {
		MPOOL *mp = mpool_open(key, fd, size[i], UINT32_MAX / 16);
		if (!mp) {
			RIGHT(errno == ENOMEM || errno == EFBIG, "%s: %s", what, strerror(errno));
			continue;
		}
		RIGHT(mpool_stats(mp, &st, sizeof st) == 0 && st.maxcache * size[i] < SIZE_MAX, "%s: %llu pages of %u",
			what, (unsigned long long)st.maxcache, (unsigned)size[i]);
		MUST(mpool_close(mp) == 0);
	}
}

int main(void)
{
	private_pool();
	shared_pool();
	far_away();
	too_many("private", NULL);
	too_many("shared", case_key());
	return 0;
}
