/*
 * proof.c - what must hold in the file after a sync, and everywhere at the end;
 * see proof.h.
 *
 * While others work, a page may be pinned and half changed when mpool_sync
 * copies it, and then the file has a mixture until a later sync.  So a page is
 * held to the letter only if it did not change from before the sync until it
 * was read; one that changed must be whole to count, and then no older than
 * what was put before the sync, no newer than what was begun since.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "proof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page.h"
#include "report.h"
#include "watch.h"
#include "worker.h"

enum { BUFFER_ALIGNMENT = 4096 }; /* serves O_DIRECT too */

struct before {
	uint64_t version;
	uint64_t version_put;
	uint64_t upsets;
};

static void *make_page_buffer(const struct churn *run)
{
	size_t size = run->o->page_size;
	void *buffer =
		aligned_alloc(BUFFER_ALIGNMENT, (size + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT);

	if (buffer == NULL)
		trouble("no memory for a page");
	return buffer;
}

/* Reads a page around the pool; what the file has not is zeros. */
static void read_plainly(const struct churn *run, pgno_t pgno, char *buffer, struct page_view *view)
{
	size_t size = run->o->page_size, done = 0;
	off_t start = (off_t)pgno * (off_t)size;

	while (done < size) {
		ssize_t n = pread(run->plain_fd, buffer + done, size - done, start + (off_t)done);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			trouble("reading page %" PRIu32 " of the file", pgno);
		if (n > 0)
			done += (size_t)n;
	}
	memset(buffer + done, 0, size - done);
	if (run->o->filter)
		churn_to_memory(NULL, pgno, buffer);
	page_read(buffer, size, view);
}

static struct before *look_before(const struct churn *run, pgno_t pages)
{
	struct before *all = malloc((pages + (size_t)1) * sizeof *all);

	if (all == NULL)
		trouble("no memory for the versions before a sync");
	for (pgno_t p = 0; p < pages; p++)
		all[p] = (struct before){.version = truth_version(run->truth, p),
		                         .version_put = truth_version_put(run->truth, p),
		                         .upsets = truth_upsets(run->truth, p)};
	return all;
}

static bool plausible(const struct page_view *view, pgno_t pgno, uint64_t oldest, uint64_t newest)
{
	switch (view->state) {
	case PAGE_ZERO:
		return oldest == 0;
	case PAGE_INTACT:
		return view->pgno == pgno && oldest <= view->version && view->version <= newest;
	case PAGE_DAMAGED:
		return view->pgno == pgno; /* copied while it was being changed */
	default:
		return oldest == 0; /* its first bytes were just being written */
	}
}

static void check_saved(struct churn *run, pgno_t pgno, const struct before *before, char *buffer, struct tally *t)
{
	struct page_view view;
	uint64_t newest;

	read_plainly(run, pgno, buffer, &view);
	/* In this order: what can be in the file was begun before it was read. */
	newest = truth_version(run->truth, pgno);
	if (before->upsets % 2 != 0 || truth_upsets(run->truth, pgno) != before->upsets)
		return;
	if (before->version == before->version_put && newest == before->version) {
		t->pages_exact++;
		if (!page_is(&view, pgno, newest))
			fault_page("in the file after mpool_sync", pgno, newest, &view);
	} else {
		t->pages_newer++;
		if (!plausible(&view, pgno, before->version_put, newest))
			fault_page("in the file after mpool_sync, while it is changed (that version or a newer one)",
			           pgno, before->version_put, &view);
	}
}

void proof_sync(struct churn *run, unsigned place, struct tally *t)
{
	pgno_t pages = truth_allotted(run->truth);
	struct before *before = look_before(run, pages);
	char *buffer = make_page_buffer(run);
	int result;

	watch_doing(place, DOING_SYNC, WATCH_NO_PAGE);
	result = mpool_sync(run->pool);
	if (result != 0) {
		fault("mpool_sync: %s", strerror(errno));
	} else {
		t->syncs_checked++;
		for (pgno_t p = 0; p < pages && !faults_too_many(); p++) {
			watch_doing(place, DOING_CHECK, p);
			check_saved(run, p, &before[p], buffer, t);
		}
	}
	watch_done(place);
	free(buffer);
	free(before);
}

/* --- the end --------------------------------------------------------------- */

static struct mpool_stats read_stats(const struct churn *run)
{
	struct mpool_stats st;

	if (mpool_stats(run->pool, &st, sizeof st) != 0)
		fault("mpool_stats: %s", strerror(errno));
	return st;
}

static void check_nothing_pinned(const struct churn *run, const char *when)
{
	struct mpool_stats st = read_stats(run);

	if (st.pinned != 0)
		fault("%s: every pin is put, but mpool_stats has %" PRIu64 " pages pinned", when, st.pinned);
	if (st.cached - st.overflow > st.maxcache || st.overflow > st.cached)
		fault("%s: %" PRIu64 " pages in memory, %" PRIu64 " of them overflow, do not fit a cache of %" PRIu64,
		      when, st.cached, st.overflow, st.maxcache);
	if (st.overflow > worker_pins_max(run->o))
		fault("%s: %" PRIu64 " pages of overflow, though no more than %" PRIu64 " were ever pinned at once",
		      when, st.overflow, worker_pins_max(run->o));
	if (st.dirty > st.cached)
		fault("%s: %" PRIu64 " pages dirty of %" PRIu64 " in memory", when, st.dirty, st.cached);
}

static void sweep_page(struct churn *run, pgno_t pgno)
{
	uint64_t expected = truth_version(run->truth, pgno);
	struct page_view view;
	void *page;

	watch_doing(watch_main_place(), DOING_GET, pgno);
	page = mpool_get(run->pool, pgno, 0);
	if (page == NULL) {
		fault("mpool_get at the end: page %" PRIu32 ": no page (%s)", pgno, strerror(errno));
		return;
	}
	page_read(page, run->o->page_size, &view);
	if (!page_is(&view, pgno, expected))
		fault_page("in the pool at the end", pgno, expected, &view);
	if (mpool_put(run->pool, page, 0) != 0)
		fault("mpool_put at the end: page %" PRIu32 ": %s", pgno, strerror(errno));
}

/* Gets of one thread: each is a hit or a miss, and each miss gives up a page too many. */
static void check_sweep(const struct mpool_stats *old, const struct mpool_stats *now, pgno_t pages)
{
	uint64_t hits = now->hits - old->hits, misses = now->misses - old->misses;
	uint64_t may_stay = old->overflow > misses ? old->overflow - misses : 0;

	if (hits + misses != pages)
		fault("mpool_stats: %" PRIu32 " gets by one thread count as %" PRIu64 " hits and %" PRIu64 " misses",
		      pages, hits, misses);
	if (now->overflow > may_stay)
		fault("no pins, and %" PRIu64 " misses since, but %" PRIu64 " pages of overflow (%" PRIu64 " before)",
		      misses, now->overflow, old->overflow);
	if (now->pages != pages)
		fault("mpool_stats: %" PRIu64 " pages in the file, %" PRIu32 " were made", now->pages, pages);
}

void proof_idle(struct churn *run, struct tally *t)
{
	pgno_t pages = truth_allotted(run->truth);
	struct mpool_stats before = read_stats(run), after;

	check_nothing_pinned(run, "after the last worker");
	for (pgno_t p = 0; p < pages && !faults_too_many(); p++)
		sweep_page(run, p);
	if (faults_too_many())
		return;
	t->gets += pages;
	after = read_stats(run);
	check_nothing_pinned(run, "after one more get of every page");
	check_sweep(&before, &after, pages);
	if (mpool_get(run->pool, pages, 0) != NULL || errno != EINVAL)
		fault("mpool_get of page %" PRIu32 ", one past the last, does not fail with EINVAL", pages);
}

void proof_synced(struct churn *run, const struct tally *t)
{
	struct mpool_stats st;

	watch_doing(watch_main_place(), DOING_SYNC, WATCH_NO_PAGE);
	if (mpool_sync(run->pool) != 0)
		fault("the last mpool_sync: %s", strerror(errno));
	check_nothing_pinned(run, "after the last mpool_sync");
	st = read_stats(run);
	if (st.dirty != 0)
		fault("after the last mpool_sync: %" PRIu64 " pages still dirty", st.dirty);
	if (st.hits + st.misses > t->gets)
		fault("mpool_stats: %" PRIu64 " hits and %" PRIu64 " misses, but no more than %" PRIu64 " gets",
		      st.hits, st.misses, t->gets);
	watch_rest(watch_main_place());
}

/*
 * Pages at the end that were never written need not be there.  With filters
 * they may: a page of zeros has an external form, which the file must have
 * before the page can leave memory.
 */
static void check_file_size(const struct churn *run, pgno_t written, pgno_t pages)
{
	uint64_t least = (uint64_t)written * run->o->page_size;
	uint64_t most = run->o->filter ? (uint64_t)pages * run->o->page_size : least;
	struct stat st;

	if (fstat(run->plain_fd, &st) != 0)
		trouble("looking at the file");
	if ((uint64_t)st.st_size < least || (uint64_t)st.st_size > most || st.st_size % run->o->page_size != 0)
		fault("the file has %" PRIu64 " bytes: page %" PRId64 " of %" PRIu32 " is the last written",
		      (uint64_t)st.st_size, (int64_t)written - 1, pages);
}

void proof_file(struct churn *run)
{
	pgno_t pages = truth_allotted(run->truth), written = 0;
	char *buffer = make_page_buffer(run);
	struct page_view view;

	for (pgno_t p = 0; p < pages; p++) {
		uint64_t expected = truth_version(run->truth, p);

		if (truth_version_put(run->truth, p) != expected && faults() == 0)
			fault("page %" PRIu32 ": this program lost a put", p);
		if (expected != 0)
			written = p + 1;
		read_plainly(run, p, buffer, &view);
		if (!page_is(&view, p, expected))
			fault_page("in the file at the end", p, expected, &view);
	}
	check_file_size(run, written, pages);
	free(buffer);
}
