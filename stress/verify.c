/*
 * verify.c - the verify mode: a file read through a pool against the same file
 * read plainly.
 *
 * Several threads read every page through one small pool, each in an order of
 * its own, and compare checksums; one more takes the SHA-256 of the whole file
 * through the pool, which must be what sha256sum(1) says.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Compiled here, not called in libxxhash: ThreadSanitizer is to see its reads of pages. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "modes.h"
#include "mpool.h"
#include "report.h"
#include "watch.h"

enum {
	BUFFER_ALIGNMENT = 4096, /* serves O_DIRECT too */
	MEGA = 1000000,
	OFFSET_MARK = 0, /* where the descriptor's offset is, and must stay */
};

enum order { ORDER_FORWARD, ORDER_BACKWARD, ORDER_RANDOM, ORDERS };

/* A SHA-256 as text. */
struct digest {
	char text[2 * EVP_MAX_MD_SIZE + 1];
};

struct verify {
	const struct options *o;
	MPOOL *pool;
	int fd;
	off_t size;
	pgno_t pages;
	size_t rest; /* bytes after the last whole page */
	char *rest_bytes;
	XXH64_hash_t *sum; /* of each page, read plainly */
	struct digest plain, pooled;
};

struct reader {
	struct verify *v;
	unsigned place;
	pthread_t thread;
};

/* --- SHA-256 -------------------------------------------------------------------- */

static EVP_MD_CTX *digest_begin(void)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		trouble("no SHA-256");
	return md;
}

static void digest_add(EVP_MD_CTX *md, const void *bytes, size_t size)
{
	if (EVP_DigestUpdate(md, bytes, size) != 1)
		trouble("SHA-256 failed");
}

static struct digest digest_end(EVP_MD_CTX *md)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct digest d = {""};

	if (EVP_DigestFinal_ex(md, bytes, &length) != 1)
		trouble("SHA-256 failed");
	for (unsigned i = 0; i < length; i++)
		snprintf(d.text + 2 * i, 3, "%02x", bytes[i]);
	EVP_MD_CTX_free(md);
	return d;
}

/* --- reading plainly -------------------------------------------------------------- */

static size_t read_fully(int fd, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buffer + done, size - done);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			trouble("reading the file");
		if (n > 0)
			done += (size_t)n;
	}
	return done;
}

static char *make_buffer(size_t size)
{
	char *buffer =
		aligned_alloc(BUFFER_ALIGNMENT, (size + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT);

	if (buffer == NULL)
		trouble("no memory for a page");
	return buffer;
}

/* On a descriptor of its own, so that the pool's offset stays where it is. */
static void read_plainly(struct verify *v)
{
	int fd = open(v->o->file, O_RDONLY | O_CLOEXEC);
	char *buffer = make_buffer(v->o->page_size);
	EVP_MD_CTX *md = digest_begin();

	if (fd < 0)
		trouble("opening %s", v->o->file);
	for (pgno_t p = 0; p < v->pages; p++) {
		if (read_fully(fd, buffer, v->o->page_size) != v->o->page_size)
			trouble("%s became shorter", v->o->file);
		v->sum[p] = XXH3_64bits(buffer, v->o->page_size);
		digest_add(md, buffer, v->o->page_size);
	}
	if (read_fully(fd, buffer, v->rest) != v->rest)
		trouble("%s became shorter", v->o->file);
	digest_add(md, buffer, v->rest);
	v->rest_bytes = buffer;
	v->plain = digest_end(md);
	close(fd);
}

/* --- reading through the pool -------------------------------------------------------- */

/* The page, checked and still pinned. */
static void *get_checked(struct verify *v, unsigned place, pgno_t pgno)
{
	void *page;

	watch_doing(place, DOING_GET, pgno);
	page = mpool_get(v->pool, pgno, 0);
	if (page == NULL) {
		fault("mpool_get: page %" PRIu32 ": no page (%s)", pgno, strerror(errno));
		return NULL;
	}
	watch_doing(place, DOING_CHECK, pgno);
	if (XXH3_64bits(page, v->o->page_size) != v->sum[pgno])
		fault("page %" PRIu32 " differs from the file's", pgno);
	return page;
}

static void put(struct verify *v, unsigned place, pgno_t pgno, void *page)
{
	watch_doing(place, DOING_PUT, pgno);
	if (mpool_put(v->pool, page, 0) != 0)
		fault("mpool_put: page %" PRIu32 ": %s", pgno, strerror(errno));
	watch_done(place);
}

static void read_page(struct verify *v, unsigned place, pgno_t pgno)
{
	void *page = get_checked(v, place, pgno);

	if (page != NULL)
		put(v, place, pgno, page);
}

/* All page numbers, shuffled. */
static pgno_t *make_random_order(pgno_t pages, uint64_t seed)
{
	pgno_t *order = malloc((pages + (size_t)1) * sizeof *order);
	struct drand48_data state;
	double draw;

	if (order == NULL)
		trouble("no memory for an order of %" PRIu32 " pages", pages);
	srand48_r((long)seed, &state);
	for (pgno_t p = 0; p < pages; p++) {
		pgno_t other;

		drand48_r(&state, &draw);
		other = (pgno_t)(draw * ((double)p + 1));
		order[p] = order[other];
		order[other] = p;
	}
	return order;
}

static void read_all(struct verify *v, unsigned place, enum order order)
{
	pgno_t *shuffled = NULL;

	if (order == ORDER_RANDOM)
		shuffled = make_random_order(v->pages, v->o->seed + place);
	for (pgno_t p = 0; p < v->pages && !faults_too_many(); p++) {
		switch (order) {
		case ORDER_FORWARD:
			read_page(v, place, p);
			break;
		case ORDER_BACKWARD:
			read_page(v, place, v->pages - 1 - p);
			break;
		default:
			read_page(v, place, shuffled[p]);
			break;
		}
	}
	free(shuffled);
}

static void *run_reader(void *arg)
{
	struct reader *r = arg;

	/* From pass to pass the order changes too. */
	for (unsigned pass = 0; pass < r->v->o->passes; pass++)
		read_all(r->v, r->place, (enum order)((r->place + pass) % ORDERS));
	watch_rest(r->place);
	return NULL;
}

/* The main thread does this while the readers read. */
static void digest_through_pool(struct verify *v)
{
	unsigned place = watch_main_place();
	EVP_MD_CTX *md = digest_begin();

	for (pgno_t p = 0; p < v->pages && !faults_too_many(); p++) {
		void *page = get_checked(v, place, p);

		if (page == NULL)
			continue;
		digest_add(md, page, v->o->page_size);
		put(v, place, p, page);
	}
	digest_add(md, v->rest_bytes, v->rest);
	v->pooled = digest_end(md);
	watch_rest(place);
}

static void read_through_pool(struct verify *v)
{
	unsigned n = v->o->threads;
	struct reader *reader = calloc(n, sizeof *reader);

	if (reader == NULL)
		trouble("no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		reader[i] = (struct reader){.v = v, .place = i};
		errno = pthread_create(&reader[i].thread, NULL, run_reader, &reader[i]);
		if (errno != 0)
			trouble("starting a thread");
	}
	digest_through_pool(v);
	for (unsigned i = 0; i < n; i++)
		pthread_join(reader[i].thread, NULL);
	free(reader);
}

/* --- the verdict ------------------------------------------------------------------- */

static void check_stats(struct verify *v, const struct mpool_stats *st)
{
	uint64_t gets = watch_operations();

	if (st->pages != v->pages)
		fault("mpool_stats: %" PRIu64 " pages in a file of %" PRIu32, st->pages, v->pages);
	if (st->pinned != 0 || st->dirty != 0 || st->writes != 0)
		fault("nothing is pinned or modified, but mpool_stats has %" PRIu64 " pinned, %" PRIu64
		      " dirty, %" PRIu64 " writes",
		      st->pinned, st->dirty, st->writes);
	if (st->cached - st->overflow > st->maxcache || st->overflow > st->cached)
		fault("%" PRIu64 " pages in memory, %" PRIu64 " of them overflow, do not fit a cache of %" PRIu64,
		      st->cached, st->overflow, st->maxcache);
	if (faults() == 0 && st->hits + st->misses > gets)
		fault("mpool_stats: %" PRIu64 " hits and %" PRIu64 " misses from %" PRIu64 " gets", st->hits,
		      st->misses, gets);
	if (mpool_get(v->pool, v->pages, 0) != NULL || errno != EINVAL)
		fault("mpool_get of page %" PRIu32 ", one past the last, does not fail with EINVAL", v->pages);
}

static void print_summary(const struct verify *v, const struct mpool_stats *st, double seconds)
{
	double bytes = (double)watch_operations() * v->o->page_size;
	uint64_t counted = st->hits + st->misses;

	printf("SHA-256, plain    %s\n", v->plain.text);
	printf("SHA-256, pooled   %s\n", v->pooled.text);
	printf("file              %" PRIu64 " bytes: %" PRIu32 " pages of %" PRIu32 ", and %zu bytes\n",
	       (uint64_t)v->size, v->pages, v->o->page_size, v->rest);
	printf("gets              %" PRIu64 " by %u threads\n", watch_operations(), v->o->threads + 1);
	printf("hits              %.1f %%  (%" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64 " reads)\n",
	       counted == 0 ? 0 : 100.0 * (double)st->hits / (double)counted, st->hits, st->misses, st->reads);
	printf("throughput        %.1f MB/s in %.2f s\n", bytes / seconds / MEGA, seconds);
}

static void open_file(struct verify *v)
{
	v->fd = open(v->o->file, O_RDONLY | O_CLOEXEC | (v->o->direct ? O_DIRECT : 0));
	if (v->fd < 0)
		trouble("opening %s", v->o->file);
	v->size = lseek(v->fd, 0, SEEK_END);
	if (v->size < 0 || lseek(v->fd, OFFSET_MARK, SEEK_SET) < 0)
		trouble("%s", v->o->file);
	if (v->size / v->o->page_size >= MAX_PAGE_NUMBER) {
		errno = EFBIG;
		trouble("%s", v->o->file);
	}
	v->pages = (pgno_t)(v->size / v->o->page_size);
	v->rest = (size_t)(v->size % v->o->page_size);
	v->sum = malloc((v->pages + (size_t)1) * sizeof *v->sum);
	if (v->sum == NULL)
		trouble("no memory for the checksums of %" PRIu32 " pages", v->pages);
}

int verify(const struct options *o)
{
	struct verify v = {.o = o};
	struct mpool_stats st = {0};
	double start, seconds;

	printf("verify: %u threads and one, cache %" PRIu32 ", seed %" PRIu64 "\n", o->threads, o->cache, o->seed);
	open_file(&v);
	read_plainly(&v);
	v.pool = mpool_open(NULL, v.fd, o->page_size, o->cache);
	if (v.pool == NULL)
		trouble("mpool_open");
	report_start(o->faults, o->seed, o->again);
	watch_start(o->threads, o->watchdog);

	start = report_seconds();
	read_through_pool(&v);
	seconds = report_seconds() - start;
	mpool_stats(v.pool, &st, sizeof st);
	check_stats(&v, &st);
	if (strcmp(v.plain.text, v.pooled.text) != 0)
		fault("the file's SHA-256 through the pool differs");
	if (mpool_close(v.pool) != 0)
		fault("mpool_close: %s", strerror(errno));
	if (lseek(v.fd, 0, SEEK_CUR) != OFFSET_MARK)
		fault("the pool moved the descriptor's offset");

	print_summary(&v, &st, seconds);
	watch_stop();
	free(v.sum);
	free(v.rest_bytes);
	close(v.fd);
	return report_verdict();
}
