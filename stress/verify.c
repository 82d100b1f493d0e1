/*
 * verify.c - the verify mode: a file read through a pool against the same file read plainly.
 *
 * Several threads read every page through one small pool, each in an order of its own, and
 * compare it with what read(2) gives; one more takes the SHA-256 of the whole file through
 * the pool, which must be what sha256sum(1) says.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "run.h"

enum { MEGA = 1000000, OFFSET_MARK = 0 /* where the descriptor's offset is, and must stay */ };

enum order { ORDER_FORWARD, ORDER_BACKWARD, ORDER_RANDOM, ORDERS };

/* A SHA-256 as text. */
struct digest {
	char text[2 * EVP_MAX_MD_SIZE + 1];
};

static struct {
	const struct options *o;
	MPOOL *pool;
	int fd, plain_fd;
	off_t size;
	pgno_t pages;
} v;

static EVP_MD_CTX *digest_begin(void)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		trouble("no SHA-256");
	return md;
}

/* With the bytes after the last whole page, which are no page of the pool's. */
static struct digest digest_end(EVP_MD_CTX *md, char *buffer)
{
	off_t pages_size = (off_t)v.pages * v.o->page_size;
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct digest d = {""};

	EVP_DigestUpdate(md, buffer, read_at(v.plain_fd, buffer, (size_t)(v.size - pages_size), pages_size));
	if (EVP_DigestFinal_ex(md, bytes, &length) != 1)
		trouble("SHA-256 failed");
	for (unsigned i = 0; i < length; i++)
		snprintf(d.text + 2 * i, 3, "%02x", bytes[i]);
	EVP_MD_CTX_free(md);
	return d;
}

static void read_plainly(char *buffer, pgno_t pgno)
{
	if (read_at(v.plain_fd, buffer, v.o->page_size, (off_t)pgno * v.o->page_size) != v.o->page_size)
		trouble("%s became shorter", v.o->file);
}

/* --- through the pool ---------------------------------------------------------- */

/* And adds it to the digest, if there is one. */
static void check_page_of(struct place *at, pgno_t pgno, char *buffer, EVP_MD_CTX *md)
{
	void *page;

	read_plainly(buffer, pgno);
	watch_doing(at, DOING_GET, pgno);
	page = mpool_get(v.pool, pgno, 0);
	watch_done(at);
	if (page == NULL) {
		fault_call("mpool_get", pgno);
		return;
	}
	if (memcmp(page, buffer, v.o->page_size) != 0)
		fault("page %" PRIu32 " differs from the file's", pgno);
	if (md != NULL)
		EVP_DigestUpdate(md, page, v.o->page_size);
	watch_doing(at, DOING_PUT, pgno);
	if (mpool_put(v.pool, page, 0) != 0)
		fault_call("mpool_put", pgno);
	watch_done(at);
	watch_count(at, COUNT_GETS, 1);
}

/* All page numbers, in that order. */
static pgno_t *make_order(enum order order, uint64_t random)
{
	pgno_t *all = malloc((v.pages + (size_t)1) * sizeof *all);

	if (all == NULL)
		trouble("no memory for an order of %" PRIu32 " pages", v.pages);
	for (pgno_t p = 0; p < v.pages; p++) {
		pgno_t other = order == ORDER_RANDOM ? draw_below(&random, p + 1) : p;

		all[p] = all[other];
		all[other] = order == ORDER_BACKWARD ? v.pages - 1 - p : p;
	}
	return all;
}

static void *run_reader(void *arg)
{
	unsigned number = *(unsigned *)arg;
	char *buffer = page_buffer(v.o->page_size);
	pgno_t *order = make_order((enum order)(number % ORDERS), draw_start(v.o->seed + number));

	for (pgno_t p = 0; p < v.pages && !faults_too_many(); p++)
		check_page_of(watch_place(number), order[p], buffer, NULL);
	free(order);
	free(buffer);
	return NULL;
}

/* The main thread takes the digest while the others read. */
static void read_through_pool(char *buffer, EVP_MD_CTX *md)
{
	unsigned n = v.o->threads, *number = calloc(n, sizeof *number);
	pthread_t *thread = calloc(n, sizeof *thread);

	if (number == NULL || thread == NULL)
		trouble("no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		number[i] = i;
		start_thread(&thread[i], run_reader, &number[i]);
	}
	for (pgno_t p = 0; p < v.pages && !faults_too_many(); p++)
		check_page_of(watch_place(n), p, buffer, md);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	free(thread);
	free(number);
}

/* --- the verdict --------------------------------------------------------------- */

static void check_stats(const struct mpool_stats *st)
{
	uint64_t gets = watch_sum(COUNT_GETS);

	if (st->pages != v.pages || st->pinned != 0 || st->dirty != 0 || st->writes != 0)
		fault_stats("of a file that is only read, with no pins", st);
	if (st->cached - st->overflow > st->maxcache || st->overflow > st->cached)
		fault_stats("more pages than the cache has", st);
	if (faults() == 0 && st->hits + st->misses != gets)
		fault_stats("other gets than were made", st);
	if (mpool_get(v.pool, v.pages, 0) != NULL || errno != EINVAL)
		fault("mpool_get of page %" PRIu32 ", one past the last, does not fail with EINVAL", v.pages);
}

static void print_summary(const struct mpool_stats *st, double seconds)
{
	uint64_t gets = watch_sum(COUNT_GETS), counted = st->hits + st->misses;

	printf("file              %" PRIu64 " bytes: %" PRIu32 " pages of %u\n", (uint64_t)v.size, v.pages,
	       v.o->page_size);
	printf("gets              %" PRIu64 " by %u threads\n", gets, v.o->threads + 1);
	printf("hits              %.1f %%  (%" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64 " reads)\n",
	       counted == 0 ? 0 : 100.0 * (double)st->hits / (double)counted, st->hits, st->misses, st->reads);
	printf("throughput        %.1f MB/s in %.2f s\n", (double)gets * v.o->page_size / seconds / MEGA, seconds);
}

static void open_file(void)
{
	v.fd = open(v.o->file, O_RDONLY | O_CLOEXEC | (v.o->direct ? O_DIRECT : 0));
	v.plain_fd = open(v.o->file, O_RDONLY | O_CLOEXEC);
	if (v.fd < 0 || v.plain_fd < 0)
		trouble("opening %s", v.o->file);
	v.size = lseek(v.fd, 0, SEEK_END);
	if (v.size < 0 || lseek(v.fd, OFFSET_MARK, SEEK_SET) < 0)
		trouble("%s", v.o->file);
	if (v.size / v.o->page_size >= MAX_PAGE_NUMBER) {
		errno = EFBIG;
		trouble("%s", v.o->file);
	}
	v.pages = (pgno_t)(v.size / v.o->page_size);
	v.pool = mpool_open(NULL, v.fd, v.o->page_size, v.o->cache);
	if (v.pool == NULL)
		trouble("mpool_open");
}

int verify(const struct options *o)
{
	struct ticker guard = {0};
	struct mpool_stats st = {0};
	struct digest plain, pooled;
	EVP_MD_CTX *md = digest_begin();
	char *buffer = page_buffer(o->page_size);
	double start;

	v.o = o;
	printf("verify: %u threads and one, cache %u, seed %u\n", o->threads, o->cache, o->seed);
	open_file();
	report_start(o);
	watch_make(o->threads + 1, o->watchdog);
	ticker_start(&guard, watch_guard);
	for (pgno_t p = 0; p < v.pages; p++) {
		read_plainly(buffer, p);
		EVP_DigestUpdate(md, buffer, o->page_size);
	}
	plain = digest_end(md, buffer);
	md = digest_begin();
	start = report_seconds();
	read_through_pool(buffer, md);
	pooled = digest_end(md, buffer);

	mpool_stats(v.pool, &st, sizeof st);
	printf("SHA-256, plain    %s\nSHA-256, pooled   %s\n", plain.text, pooled.text);
	print_summary(&st, report_seconds() - start);
	check_stats(&st);
	if (strcmp(plain.text, pooled.text) != 0)
		fault("the file's SHA-256 through the pool differs");
	if (mpool_close(v.pool) != 0)
		fault_call("mpool_close", NO_PAGE);
	if (lseek(v.fd, 0, SEEK_CUR) != OFFSET_MARK)
		fault("the pool moved the descriptor's offset");
	ticker_stop(&guard);
	free(buffer);
	close(v.fd);
	close(v.plain_fd);
	return report_verdict();
}
