/*
 * witness.c - what must hold after a sync, when all others rest, and at the end; see run.h.
 *
 * While others work, a page may be pinned and half changed when mpool_sync copies it, and
 * then the file has a mixture until a later sync.  So a page is held to the letter only if
 * it did not change from before the sync until it was read; one that changed must be whole
 * to count, and then no older than what was put before the sync, no newer than what was
 * begun since.
 *
 * MPOOL_WHOLE writes all then but what the witness has pinned.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "page.h"
#include "report.h"
#include "run.h"

enum {
	SYNC_EVERY = 500,    /* milliseconds */
	LOOK_PAUSE = 100000, /* nanoseconds between two looks whether a death has been dealt with */
	FILE_ONE_IN = 4,     /* checks that sync, and look at the file */
	FORGIVE_ONE_IN = 2,
	WATCHED = 2, /* pages that never leave memory, where some are killed */
};

/* --- the file ------------------------------------------------------------------ */

/* Reads a page around the pool; what the file has not is zeros. */
static void read_plainly(struct worker *w, pgno_t pgno, struct page_view *view)
{
	struct file *f = file_of(pgno);
	size_t size = run.o->page_size, done;
	int state;

	/* Nothing that a worker does is a cancellation point: crew.c. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	done = read_at(f->plain_fd, w->buffer, size, (off_t)page_in(pgno) * (off_t)size);
	pthread_setcancelstate(state, NULL);
	memset(w->buffer + done, 0, size - done);
	if (run.o->filter)
		to_memory(f, page_in(pgno), w->buffer);
	page_read(w->buffer, size, view);
}

struct before look_before(const struct record *r)
{
	return (struct before){atomic_load(&r->version), atomic_load(&r->put), atomic_load(&r->upsets)};
}

static bool plausible(const struct page_view *view, pgno_t pgno, uint64_t oldest, uint64_t newest)
{
	switch (view->state) {
	case PAGE_INTACT:
		return view->pgno == pgno && oldest <= view->version && view->version <= newest;
	case PAGE_DAMAGED:
		return view->pgno == pgno; /* copied while it was being changed */
	default:
		return oldest == 0; /* not written, or its first bytes are just being */
	}
}

/* False: the page is just upset. */
bool check_saved(struct worker *w, const char *where, pgno_t pgno, const struct before *before)
{
	struct record *r = &run.record[pgno];
	struct page_view view;
	uint64_t newest;
	bool exact;

	read_plainly(w, pgno, &view);
	/* In this order: what can be in the file was begun before it was read. */
	newest = atomic_load(&r->version);
	if (before->upsets % 2 != 0 || atomic_load(&r->upsets) != before->upsets)
		return false;
	exact = before->version == before->put && newest == before->version;
	if (exact && page_is(&view, pgno, newest))
		raise_to(&r->image, newest);
	watch_count(w->at, exact ? COUNT_EXACT : COUNT_NEWER, 1);
	if (may_be_older(pgno))
		check_older(where, pgno, &view);
	else if (exact ? !page_is(&view, pgno, newest) : !plausible(&view, pgno, before->put, newest))
		fault_page(where, pgno, before->put, &view);
	return exact;
}

bool check_sync(struct worker *w, struct file *f)
{
	pgno_t pages = (pgno_t)atomic_load(&f->allotted), first = f->first;
	struct before *before = malloc((pages + (size_t)1) * sizeof *before);
	bool done;

	if (before == NULL)
		trouble("no memory for the versions before a sync");
	for (pgno_t p = 0; p < pages; p++)
		before[p] = look_before(&run.record[first + p]);
	watch_doing(w->at, DOING_SYNC, NO_PAGE);
	images_may_tear(true);
	done = mpool_sync(handle_of(f)) == 0;
	images_may_tear(false);
	watch_done(w->at);
	if (!done && !is_refusal())
		fault_call("mpool_sync", first);
	for (pgno_t p = 0; p < pages && done && !faults_too_many(); p++)
		check_saved(w, "in the file after mpool_sync", first + p, &before[p]);
	watch_count(w->at, COUNT_SYNCS, done);
	free(before);
	return done;
}

static void check_sync_of(struct worker *w, struct file *f)
{
	if (!share_file(f))
		return;
	check_sync(w, f);
	unshare_file(f);
}

/* When all rest: nothing but these pins is a cause to withhold a page. */
static void check_whole(struct worker *w, const struct file *f, unsigned pinned)
{
	unsigned most = all_latched() ? 0 : pinned;
	ssize_t withheld;

	watch_doing(w->at, DOING_SYNC, NO_PAGE);
	withheld = mpool_sync_range(handle_of(f), 0, MAX_PAGE_NUMBER, MPOOL_WRITE | MPOOL_WHOLE);
	watch_done(w->at);
	if (withheld < 0)
		fault_call("mpool_sync_range", NO_PAGE);
	else if (withheld > most)
		fault("mpool_sync_range: %zd pages are withheld, and %u are pinned", withheld, most);
}

/*
 * When the pool is closed.  Pages at the end that were never written need not be there.
 * With filters, or hooks, they may: a page of zeros has an external form, which the file must have
 * before the page can leave memory.
 */
static void check_file(struct worker *w, const struct file *f)
{
	pgno_t pages = (pgno_t)atomic_load(&f->allotted), written = 0;
	off_t size = lseek(f->plain_fd, 0, SEEK_END), page_size = run.o->page_size;
	bool new_are_written = run.o->filter || run.o->hooks;

	for (pgno_t p = 0; p < pages && !faults_too_many(); p++) {
		struct before now = look_before(&run.record[f->first + p]);

		if (!check_saved(w, "in the file at the end", f->first + p, &now) && faults() == 0)
			fault("page %" PRIu32 ": this program lost a put", f->first + p);
		written = now.version != 0 ? p + 1 : written;
	}
	if (atomic_load(&run.board->lost_new) == 0 &&
	    (size < written * page_size || size > (new_are_written ? pages : written) * page_size ||
	     size % page_size != 0))
		fault("the file has %jd bytes: page %jd of %" PRIu32 " is the last written", (intmax_t)size,
		      (intmax_t)written - 1, pages);
}

/* --- the pool, when all rest --------------------------------------------------- */

/* Has the pool dealt with the deaths? */
static bool dealt_with(const struct mpool_stats *st, unsigned pinned)
{
	return st->processes == run.board->members + 1 && st->pinned == pinned && st->deaths >= run.board->deaths_least;
}

/* The others learn of a death a little after it; all of them rest, so it must come right. */
static void await_recovery(struct worker *w, unsigned pinned)
{
	const struct timespec pause = {.tv_nsec = LOOK_PAUSE};
	double since = watch_seconds();
	struct mpool_stats st = pool_stats(w->at);

	while (run.killing && !dealt_with(&st, pinned) && watch_seconds() - since < run.o->watchdog / 2.0) {
		nanosleep(&pause, NULL);
		st = pool_stats(w->at);
	}
	if (st.pinned != pinned)
		fault_stats("all pins but the witness's are put, or their owners dead", &st);
	if (st.processes != run.board->members + 1)
		fault_stats("other processes than share the pool", &st);
	if (st.deaths < run.board->deaths_least || st.deaths > run.board->deaths_most)
		fault_stats("other deaths than there were", &st);
}

/* Pages that all workers together can have pinned at once, or a few more. */
static uint64_t pins_most(void)
{
	uint64_t each = (uint64_t)run.o->threads * (HOLD_MAX + SEVERAL_MAX) + LEFT_MAX;

	return run.o->processes > 0 ? each * run.o->processes : each;
}

/* What each page's mark says is settled, and so is what is known of it. */
static void check_mark(struct worker *w, const struct pin *pin)
{
	struct record *r = &run.record[pin->pgno];
	bool may_be = r->deaths > atomic_load(&r->deaths_forgiven);
	int marked = look_abandoned(w, pin, 0);

	if (marked == 1 && !may_be)
		fault("mpool_abandoned: page %" PRIu32 " is marked, but nobody died with it since it was forgiven",
		      pin->pgno);
	watch_count(w->at, COUNT_MARKS, marked == 1);
	if (marked == 0)
		atomic_store(&r->deaths_forgiven, r->deaths);
	/* One that is to be mended is forgiven then. */
	if (marked != 1 || !record_sure(r) || below(w, FORGIVE_ONE_IN) != 0)
		return;
	if (forgive_page(w, pin) != 1 || look_abandoned(w, pin, 0) != 0)
		fault("mpool_abandoned: MPOOL_FORGIVE of page %" PRIu32 " does not unmark it", pin->pgno);
}

static void sweep(struct worker *w, const struct file *f)
{
	struct pin pin;

	for (pgno_t p = f->first; p < page_end(f) && !faults_too_many(); p++) {
		if (!get_page(w, p, &pin))
			continue;
		if (!lock_page(w, &pin, ACCESS_WRITE)) {
			fault("page %" PRIu32 ": this program lost a lock", p);
		} else {
			if (run.killing)
				check_mark(w, &pin);
			check_page(w, "when all rest", &pin);
			unlock_page(w, &pin);
		}
		put_page(w, &pin);
	}
}

/* Pages beyond `maxcache` that may stay: each miss gives up one too many, but not those pinned, and the one it gets. */
static uint64_t overflow_left(const struct mpool_stats *before, const struct mpool_stats *now)
{
	uint64_t misses = now->misses - before->misses;
	uint64_t left = before->overflow > misses ? before->overflow - misses : 0;
	uint64_t needed = now->pinned + 1 > now->maxcache ? now->pinned + 1 - now->maxcache : 0;

	return left + needed;
}

/* Of one thread, with nobody else there: each get is a hit or a miss. */
static void check_sweep(const struct mpool_stats *before, const struct mpool_stats *now, uint64_t gets)
{
	uint64_t may_stay = overflow_left(before, now), pages = atomic_load(&run.file->allotted), others = 0;
	uint64_t lost = atomic_load(&run.board->lost_new);

	for (unsigned i = 1; i < files(); i++)
		others += atomic_load(&run.file[i].allotted);
	if (now->hits - before->hits + now->misses - before->misses != gets)
		fault_stats("not each get of one thread is a hit or a miss", now);
	if (now->overflow > may_stay || now->cached > now->maxcache + may_stay)
		fault_stats("no pins, and misses since, but too many pages in memory", now);
	if (before->overflow > before->cached || before->cached - before->overflow > before->maxcache ||
	    (before->overflow > pins_most() && !run.killing))
		fault_stats("more pages in memory than were ever pinned at once beside the cache's", before);
	if (now->dirty > now->cached || now->cached > now->pages + others)
		fault_stats("more pages in memory than in the file, or more modified", now);
	if (now->pages < pages || now->pages > pages + lost)
		fault_stats("other pages in the file than were made", now);
}

/* Also in a pool whose other files have that number. */
static void check_end(const struct file *f)
{
	pgno_t end = page_end(f);

	if (atomic_load(&run.board->lost_new) == 0 &&
	    (mpool_get(handle_of(f), page_in(end), 0) != NULL || errno != EINVAL))
		fault("mpool_get of page %" PRIu32 ", one past the last, does not fail with EINVAL", end);
}

/* --- pages that never leave memory --------------------------------------------- */

static struct {
	struct pin pin;
	uint64_t deaths, forgivings; /* at the last check */
} watched[WATCHED];

static void remember_watched(void)
{
	for (unsigned i = 0; i < WATCHED; i++) {
		watched[i].deaths = run.record[i].sure_deaths;
		watched[i].forgivings = atomic_load(&run.record[i].forgivings);
	}
}

static void pin_watched(struct worker *w)
{
	for (pgno_t p = 0; p < WATCHED; p++)
		if (!get_page(w, p, &watched[p].pin))
			exit(EXIT_FAULTS);
	remember_watched();
}

/* With which somebody surely died, and that nobody forgave.  At last they are put. */
static void check_watched(struct worker *w, bool last)
{
	for (unsigned i = 0; i < WATCHED; i++) {
		struct record *r = &run.record[i];

		if (r->sure_deaths != watched[i].deaths && atomic_load(&r->forgivings) == watched[i].forgivings &&
		    look_abandoned(w, &watched[i].pin, 0) != 1)
			fault("mpool_abandoned: a process died with page %u pinned, which has been in memory all the "
			      "time, and it is not marked",
			      i);
		if (last)
			put_page(w, &watched[i].pin);
	}
}

/* --- the work ------------------------------------------------------------------ */

/* The last one leaves, and nothing is left. */
static void leave(void)
{
	MPOOL *pool;

	pool_close();
	if (run.key == NULL)
		return;
	pool = mpool_open(run.key, -1, run.o->page_size, run.o->cache);
	if (pool == NULL)
		return;
	fault("the last process has left the pool, but it can be opened without a file");
	mpool_close(pool);
}

static void check(struct worker *w, bool last)
{
	unsigned pinned = run.killing && !last ? WATCHED : 0;
	uint64_t gets = atomic_load(&w->at->count[COUNT_GETS_BEGUN]);
	struct mpool_stats before, after;

	await_recovery(w, run.killing ? WATCHED : 0);
	if (run.killing)
		check_watched(w, last);
	before = pool_stats(w->at);
	if (before.pinned != pinned)
		fault_stats("other pins than the witness's", &before);
	if (before.hits + before.misses < watch_sum(COUNT_GETS) ||
	    before.hits + before.misses > watch_sum(COUNT_GETS_BEGUN))
		fault_stats("fewer gets than were done, or more than were begun", &before);
	for (unsigned i = 0; i < files(); i++)
		sweep(w, &run.file[i]);
	after = pool_stats(w->at);
	if (!faults_too_many())
		check_sweep(&before, &after, atomic_load(&w->at->count[COUNT_GETS_BEGUN]) - gets);
	remember_watched();
	if (!last && below(w, FILE_ONE_IN) != 0)
		return;
	for (unsigned i = 0; i < files(); i++) {
		check_end(&run.file[i]);
		check_whole(w, &run.file[i], pinned);
		check_sync_of(w, &run.file[i]);
	}
	after = pool_stats(w->at);
	if (after.dirty > pinned || after.pinned != pinned) /* a pinned page stays marked */
		fault_stats("pages modified after mpool_sync", &after);
}

void witness_work(void)
{
	struct worker *w = worker_make(place_after(PLACE_WITNESS), 1);
	struct ticker teller = {0};
	bool last = false;

	if (run.killing)
		pin_watched(w);
	files_come(w, FILES_KEPT);
	ticker_start(&teller, print_progress);
	while (!last) {
		int done = atomic_load(&run.board->done);

		watch_doing(w->at, DOING_PARKED, NO_PAGE);
		if (!wait_while(&run.board->order, done, run.killing ? FOREVER : SYNC_EVERY)) {
			check_sync_of(w, run.file);
			check_sync_of(w, choose_file(w));
			continue;
		}
		watch_doing(w->at, DOING_NOTHING, NO_PAGE);
		last = atomic_load(&run.board->last);
		if (last)
			ticker_stop(&teller);
		files_come(w, FILES_ALL);
		check(w, last);
		files_go(w);
		if (last) {
			mpool_stat(run.pool);
			leave();
			for (unsigned i = 0; i < files(); i++)
				check_file(w, &run.file[i]);
		}
		atomic_store(&run.board->done, atomic_load(&run.board->order));
	}
	worker_free(w);
}
