/*
 * machine.c - a process that acts as a machine: it has the pages of a name in a pool, and does what it is told.
 *
 *   machine CONF NAME writer|reader CACHE [lease=S] [watch=S] [check=MS] [notice=S] [timeout=S] [fence=S] [board=FILE]
 *
 * A line of its input is a command, and one of its output says what came of it: `ok ...`, or `error ERRNO`.
 *
 *   new N              so many pages more, with version 0
 *   write P V          page P has version V
 *   read P             the version of page P; `torn` where its words are not of one
 *   pin P, put         of one page
 *   sync, refresh
 *   stats              of the store and the pool
 *   truncate N         there are so many pages
 *   all                each page has the version that was synced last, or a newer one
 *   churn SECONDS SEED write, or read and check, at random, by what the board says
 *   close
 *
 * The board is a file that all machines have in memory: of each page the version that was synced last, and when that sync had returned.
 * It is what readers may rely on, said by other means than Ceph's.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "mpool_rados.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, PAGES_MOST = 4096, BATCH = 20, LINE_MOST = 256 };

struct board {
	_Atomic uint64_t last; /* version that was given out */
	/* Version << 32 | milliseconds, of 32 bits. */
	_Atomic uint64_t synced[PAGES_MOST];
};

static struct board *board;
static MPOOL *mp;
static MPOOL_RADOS *store;
static bool writes;
static void *pinned;

static uint32_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

static void error(void)
{
	printf("error %d\n", errno);
}

/* ---- pages of one version ------------------------------------------------------ */

static void fill(uint64_t *page, pgno_t pgno, uint64_t version)
{
	page[0] = version;
	for (unsigned i = 1; i < WORDS; i++)
		page[i] = version ^ (uint64_t)pgno << 32 ^ (uint64_t)i << 48;
}

/* UINT64_MAX: of several. */
static uint64_t version_of(const uint64_t *page, pgno_t pgno)
{
	uint64_t is[WORDS];
	fill(is, pgno, page[0]);
	return memcmp(is, page, PAGE) == 0 ? page[0] : UINT64_MAX;
}

static int write_page(pgno_t pgno, uint64_t version)
{
	uint64_t *page = mpool_get(mp, pgno, 0);
	if (page == NULL)
		return -1;
	fill(page, pgno, version);
	return mpool_put(mp, page, MPOOL_DIRTY);
}

/* False: errno. */
static bool read_page(pgno_t pgno, uint64_t *version)
{
	uint64_t *page = mpool_get(mp, pgno, 0);
	if (page == NULL)
		return false;
	*version = version_of(page, pgno);
	mpool_put(mp, page, 0);
	return true;
}

/* ---- at random ------------------------------------------------------------------ */

static pgno_t pages(void)
{
	struct mpool_stats st;
	mpool_stats(mp, &st, sizeof st);
	return (pgno_t)st.pages;
}

static void churn_writes(uint32_t until)
{
	unsigned syncs = 0;
	while ((int32_t)(until - now_ms()) > 0) {
		pgno_t which[BATCH];
		uint64_t version = atomic_fetch_add(&board->last, 1) + 1;
		for (unsigned i = 0; i < BATCH; i++)
			if (write_page(which[i] = (pgno_t)rand() % pages(), version) != 0)
				return error();
		if (mpool_sync(mp) != 0)
			return error();
		uint64_t synced = version << 32 | now_ms();
		for (unsigned i = 0; i < BATCH; i++)
			atomic_store(&board->synced[which[i]], synced);
		syncs++;
	}
	printf("ok %u syncs\n", syncs);
}

/* What the board has of the page is what is read, or newer. */
static const char *one_read(void)
{
	struct mpool_rados_stats before, after;
	pgno_t pgno = (pgno_t)rand() % pages();
	bool asks = rand() % 16 == 0;
	uint64_t version = 0;
	uint32_t now = now_ms();
	mpool_rados_stats(store, &before, sizeof before);
	uint64_t synced = atomic_load(&board->synced[pgno]);
	if (asks && mpool_rados_refresh(store) != 0)
		return NULL; /* cut off */
	if (!read_page(pgno, &version))
		return NULL;
	if (version == UINT64_MAX)
		return "torn";
	if (version >= synced >> 32)
		return NULL;
	if (asks)
		return "old after a refresh";
	if (now - (uint32_t)synced > before.age_ms)
		return "older than the store's age";
	/* It is behind.  That is so of who was cut off alone, who then drops everything. */
	if (mpool_rados_refresh(store) != 0)
		return NULL;
	mpool_rados_stats(store, &after, sizeof after);
	return after.dropped > before.dropped ? NULL : "old, without having been cut off";
}

static void churn_reads(uint32_t until)
{
	unsigned reads = 0;
	for (; (int32_t)(until - now_ms()) > 0; reads++) {
		const char *wrong = one_read();
		if (wrong != NULL) {
			printf("wrong: %s\n", wrong);
			return;
		}
	}
	printf("ok %u reads\n", reads);
}

/* Each page is that of its last sync, or newer. */
static void all(void)
{
	uint64_t version;
	for (pgno_t pgno = 0; pgno < pages(); pgno++) {
		if (!read_page(pgno, &version))
			return error();
		uint64_t synced = atomic_load(&board->synced[pgno]) >> 32;
		if (version == UINT64_MAX || version < synced) {
			printf("wrong: page %u has version %" PRIu64 ", and %" PRIu64 " was synced\n", pgno, version,
				synced);
			return;
		}
	}
	puts("ok");
}

/* ---- commands ------------------------------------------------------------------- */

static void stats(void)
{
	struct mpool_rados_stats r;
	struct mpool_stats p;
	mpool_rados_stats(store, &r, sizeof r);
	mpool_stats(mp, &p, sizeof p);
	printf("ok size %" PRIu64 " generation %" PRIu64 " sequence %" PRIu64 " notices %" PRIu64 " unanswered %" PRIu64
	       " dropped %" PRIu64 " age %" PRIu64 " fenced %" PRIu64 " pages %" PRIu64 " dirty %" PRIu64
	       " cached %" PRIu64 " reads %" PRIu64 " forgotten %" PRIu64 "\n",
		r.size, r.generation, r.sequence, r.notices, r.unanswered, r.dropped, r.age_ms, r.fenced, p.pages,
		p.dirty, p.cached, p.reads, p.forgotten);
}

static void more_pages(unsigned n)
{
	pgno_t pgno = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t *page = mpool_new(mp, &pgno);
		if (page == NULL)
			return error();
		fill(page, pgno, 0);
		mpool_put(mp, page, MPOOL_DIRTY);
	}
	printf("ok %u\n", pgno);
}

static void result(bool well)
{
	if (well)
		puts("ok");
	else
		error();
}

static bool command(const char *line)
{
	unsigned a, b;
	uint64_t version;
	if (sscanf(line, "new %u", &a) == 1) {
		more_pages(a);
	} else if (sscanf(line, "write %u %u", &a, &b) == 2) {
		result(write_page(a, b) == 0);
	} else if (sscanf(line, "read %u", &a) == 1) {
		if (!read_page(a, &version))
			error();
		else if (version == UINT64_MAX)
			puts("torn");
		else
			printf("ok %" PRIu64 "\n", version);
	} else if (sscanf(line, "pin %u", &a) == 1) {
		result((pinned = mpool_get(mp, a, 0)) != NULL);
	} else if (strcmp(line, "put\n") == 0) {
		result(mpool_put(mp, pinned, 0) == 0);
	} else if (strcmp(line, "sync\n") == 0) {
		result(mpool_sync(mp) == 0);
	} else if (strcmp(line, "refresh\n") == 0) {
		result(mpool_rados_refresh(store) == 0);
	} else if (sscanf(line, "truncate %u", &a) == 1) {
		result(mpool_truncate(mp, a) == 0);
	} else if (strcmp(line, "all\n") == 0) {
		all();
	} else if (strcmp(line, "stats\n") == 0) {
		stats();
	} else if (sscanf(line, "churn %u %u", &a, &b) == 2) {
		srand(b);
		(writes ? churn_writes : churn_reads)(now_ms() + a * 1000);
	} else if (strcmp(line, "close\n") == 0) {
		result(mpool_rados_close(store) == 0);
		return false;
	} else {
		printf("what is %s", line);
	}
	return true;
}

static void see_board(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *board) != 0)
		exit(2);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		exit(2);
	close(fd);
}

int main(int argc, char **argv)
{
	char line[LINE_MOST];
	if (argc < 5)
		return 2;
	writes = strcmp(argv[3], "writer") == 0;
	struct mpool_rados_how how = {.conf = argv[1],
		.pool = "pages",
		.name = argv[2],
		.object = 64 << 10,
		.flags = writes ? MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE : MPOOL_RADOS_READER};
	const struct option {
		const char *name;
		unsigned int *value;
	} options[] = {{"lease=", &how.lease}, {"watch=", &how.watch}, {"check=", &how.check_ms},
		{"notice=", &how.notice}, {"timeout=", &how.timeout}, {"fence=", &how.fence}};
	for (int i = 5; i < argc; i++) {
		for (size_t k = 0; k < sizeof options / sizeof options[0]; k++)
			if (strncmp(argv[i], options[k].name, strlen(options[k].name)) == 0)
				*options[k].value = (unsigned int)atoi(argv[i] + strlen(options[k].name));
		if (strncmp(argv[i], "board=", 6) == 0)
			see_board(argv[i] + 6);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	mp = mpool_open_rados(&how, sizeof how, PAGE, (pgno_t)atoi(argv[4]), &store);
	result(mp != NULL);
	while (mp != NULL && fgets(line, sizeof line, stdin) != NULL)
		if (!command(line))
			break;
	return 0;
}
