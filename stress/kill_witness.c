/*
 * kill_witness.c - what must hold when all others rest; see kill.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "draw.h"
#include "kill.h"
#include "page.h"
#include "patience.h"
#include "report.h"

enum {
	LOOK_PAUSE = 100000, /* nanoseconds between two looks whether a death has been dealt with */
	MICRO = 1000000,
	FILE_ONE_IN = 8, /* checks that sync, and look at the file */
	FORGIVE_ONE_IN = 2,
	BUFFER_ALIGNMENT = 4096,
};

struct witness {
	struct hand hand;
	struct kill_pin watched[KILL_WATCHED];
	uint64_t watched_deaths[KILL_WATCHED], watched_forgivings[KILL_WATCHED]; /* at the last check */
	char *plain;                                                             /* a page of the file */
};

static struct mpool_stats stats_of(const struct witness *w)
{
	struct mpool_stats st = {0};

	if (mpool_stats(w->hand.pool, &st, sizeof st) != 0)
		fault("mpool_stats: %s", strerror(errno));
	return st;
}

/* --- the deaths are dealt with ------------------------------------------------------ */

static bool dealt_with(const struct board *b, const struct mpool_stats *st, unsigned pinned)
{
	return st->processes == b->members + 1 && st->pinned == pinned && st->deaths >= b->deaths_least;
}

/* The others learn of a death a little after it; all of them rest, so it must come right. */
static void await_recovery(struct witness *w, unsigned pinned)
{
	const struct timespec pause = {.tv_nsec = LOOK_PAUSE};
	struct board *b = w->hand.k->board;
	double begun = report_seconds(), took = 0, patient_since = patience_seconds();
	struct mpool_stats st = stats_of(w);

	while (!dealt_with(b, &st, pinned) && patience_seconds() - patient_since < w->hand.k->o->watchdog / 2.0) {
		nanosleep(&pause, NULL);
		st = stats_of(w);
		took = report_seconds() - begun;
	}
	if (st.pinned != pinned)
		fault("all pins but %u are put or their owners dead, but mpool_stats has %" PRIu64 " pages pinned",
		      pinned, st.pinned);
	if (st.processes != b->members + 1)
		fault("%u processes share the pool, mpool_stats has %" PRIu64, b->members + 1, st.processes);
	if (st.deaths < b->deaths_least || st.deaths > b->deaths_most)
		fault("%" PRIu64 " to %" PRIu64 " processes died in the pool, mpool_stats has %" PRIu64,
		      b->deaths_least, b->deaths_most, st.deaths);
	if ((uint64_t)(took * MICRO) > b->found.slowest_recovery)
		b->found.slowest_recovery = (uint64_t)(took * MICRO);
}

/* --- mpool_abandoned ------------------------------------------------------------------ */

/* All rest: what the pool says of a page is settled, and so is what is known of it. */
static void check_mark(struct witness *w, const struct kill_pin *pin)
{
	struct record *r = &w->hand.k->record[pin->pgno];
	bool may_be = r->deaths > atomic_load(&r->deaths_forgiven);
	int marked = mpool_abandoned(w->hand.pool, pin->page, 0);

	if (marked < 0)
		fault("mpool_abandoned: page %" PRIu32 ", pinned: %s", pin->pgno, strerror(errno));
	if (marked == 1 && !may_be)
		fault("mpool_abandoned: page %" PRIu32 " is marked, but nobody died with it since it was forgiven",
		      pin->pgno);
	if (marked == 1)
		w->hand.k->board->found.abandoned_seen++;
	if (marked == 0)
		atomic_store(&r->deaths_forgiven, r->deaths);
	/* One that is to be mended is forgiven then. */
	if (marked != 1 || atomic_load(&r->phase) != PHASE_SURE || draw_below(&w->hand.random, FORGIVE_ONE_IN) != 0)
		return;
	if (record_forgive(&w->hand, pin) != 1 || mpool_abandoned(w->hand.pool, pin->page, 0) != 0)
		fault("mpool_abandoned: MPOOL_FORGIVE of page %" PRIu32 " does not unmark it", pin->pgno);
}

/* A page that never left memory, with which somebody surely died, and that nobody forgave. */
static void check_watched(struct witness *w)
{
	for (unsigned i = 0; i < KILL_WATCHED; i++) {
		const struct kill_pin *pin = &w->watched[i];
		struct record *r = &w->hand.k->record[pin->pgno];

		if (r->sure_deaths != w->watched_deaths[i] && atomic_load(&r->forgivings) == w->watched_forgivings[i] &&
		    mpool_abandoned(w->hand.pool, pin->page, 0) != 1)
			fault("mpool_abandoned: a process died with page %" PRIu32
			      " pinned, which has been in memory all the time, and it is not marked",
			      pin->pgno);
	}
}

static void remember_watched(struct witness *w)
{
	for (unsigned i = 0; i < KILL_WATCHED; i++) {
		w->watched_deaths[i] = w->hand.k->record[i].sure_deaths;
		w->watched_forgivings[i] = atomic_load(&w->hand.k->record[i].forgivings);
	}
}

/* --- every page --------------------------------------------------------------------- */

static void sweep(struct witness *w, pgno_t pages)
{
	struct kill_pin pin;

	for (pgno_t p = 0; p < pages && !faults_too_many(); p++) {
		if (!hand_get(&w->hand, p, &pin))
			continue;
		if (!record_own(&w->hand, p))
			fault("page %" PRIu32 ": this program lost an owner", p);
		check_mark(w, &pin);
		record_check(&w->hand, "when all rest", &pin);
		record_disown(&w->hand, p);
		hand_put(&w->hand, &pin, false);
	}
}

static void check_gets(const struct witness *w, const struct mpool_stats *st)
{
	const struct kill *k = w->hand.k;
	uint64_t begun = 0, done = 0;

	for (unsigned i = 0; i <= kill_witness_number(k->o); i++) {
		begun += atomic_load(&k->board->actor[i].gets_begun);
		done += atomic_load(&k->board->actor[i].gets_done);
	}
	if (st->hits + st->misses < done || st->hits + st->misses > begun)
		fault("mpool_stats: %" PRIu64 " hits and %" PRIu64 " misses, but %" PRIu64
		      " gets were begun and %" PRIu64 " done",
		      st->hits, st->misses, begun, done);
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
static void check_sweep(const struct witness *w, const struct mpool_stats *before, uint64_t gets)
{
	struct mpool_stats now = stats_of(w);
	uint64_t misses = now.misses - before->misses;
	uint64_t may_stay = overflow_left(before, &now);
	const struct board *b = w->hand.k->board;

	if (now.hits - before->hits + misses != gets)
		fault("mpool_stats: %" PRIu64 " gets by one thread count as %" PRIu64 " hits and %" PRIu64 " misses",
		      gets, now.hits - before->hits, misses);
	if (now.overflow > may_stay || now.cached > now.maxcache + may_stay)
		fault("no pins, and %" PRIu64 " misses since, but %" PRIu64 " pages in memory, %" PRIu64
		      " of them overflow (%" PRIu64 " before), of a cache of %" PRIu64,
		      misses, now.cached, now.overflow, before->overflow, now.maxcache);
	if (now.dirty > now.cached || now.cached > now.pages)
		fault("mpool_stats: %" PRIu64 " pages dirty of %" PRIu64 " in memory of %" PRIu64, now.dirty,
		      now.cached, now.pages);
	if (now.pages < atomic_load(&b->allotted) || now.pages > atomic_load(&b->allotted) + atomic_load(&b->lost_new))
		fault("mpool_stats: %" PRIu64 " pages in the file, %" PRIu32 " were made and %" PRIu64
		      " threads died making one",
		      now.pages, atomic_load(&b->allotted), atomic_load(&b->lost_new));
}

/* --- the file ---------------------------------------------------------------------------- */

static void check_file_page(struct witness *w, pgno_t pgno)
{
	const struct kill *k = w->hand.k;
	size_t size = k->o->page_size;
	ssize_t n = pread(k->plain_fd, w->plain, size, (off_t)pgno * (off_t)size);
	struct page_view view;

	if (n < 0)
		trouble("reading page %" PRIu32 " of the file", pgno);
	memset(w->plain + n, 0, size - (size_t)n);
	page_read(w->plain, size, &view);
	if (!page_is(&view, pgno, atomic_load(&k->record[pgno].version)))
		fault_page("in the file after mpool_sync", pgno, atomic_load(&k->record[pgno].version), &view);
}

static void check_file(struct witness *w, pgno_t pages, unsigned pinned)
{
	struct mpool_stats st;

	kill_begin(w->hand.a, CALL_SYNC, KILL_NO_PAGE);
	if (mpool_sync(w->hand.pool) != 0)
		fault("mpool_sync: %s", strerror(errno));
	kill_end(w->hand.a);
	st = stats_of(w);
	if (st.dirty > pinned) /* a pinned page stays marked */
		fault("after mpool_sync: %" PRIu64 " pages still dirty", st.dirty);
	for (pgno_t p = 0; p < pages && !faults_too_many(); p++)
		check_file_page(w, p);
	w->hand.k->board->found.files_checked++;
}

/* --- orders ------------------------------------------------------------------------------- */

static void check(struct witness *w, unsigned pinned, bool with_file)
{
	struct board *b = w->hand.k->board;
	pgno_t pages = atomic_load(&b->allotted);
	uint64_t gets = w->hand.a->gets_begun;
	struct mpool_stats before;

	await_recovery(w, pinned);
	before = stats_of(w);
	check_gets(w, &before);
	check_watched(w);
	sweep(w, pages);
	if (!faults_too_many())
		check_sweep(w, &before, w->hand.a->gets_begun - gets);
	remember_watched(w);
	if (with_file)
		check_file(w, pages, pinned);
	b->found.checks++;
}

static void open_and_watch(struct witness *w)
{
	const struct kill *k = w->hand.k;
	pgno_t cache = k->o->cache == 0 ? 1 : k->o->cache;

	atomic_store(&k->board->cache_asked, cache);
	w->hand.pool = mpool_open(k->key, k->fd, k->o->page_size, k->o->cache);
	if (w->hand.pool == NULL)
		trouble("mpool_open");
	atomic_store(&k->board->cache_given, cache);
	for (pgno_t p = 0; p < KILL_WATCHED; p++)
		if (!hand_get(&w->hand, p, &w->watched[p]))
			exit(EXIT_FAULTS);
	remember_watched(w);
}

/* The last one leaves, and nothing is left. */
static void leave(struct witness *w)
{
	const struct kill *k = w->hand.k;
	MPOOL *pool;

	if (mpool_close(w->hand.pool) != 0)
		fault("mpool_close: %s", strerror(errno));
	pool = mpool_open(k->key, -1, k->o->page_size, k->o->cache);
	if (pool == NULL)
		return;
	fault("the last process has left the pool, but it can be opened without a file");
	mpool_close(pool);
}

_Noreturn void kill_witness(const struct kill *k)
{
	struct board *b = k->board;
	unsigned number = kill_witness_number(k->o);
	struct witness w = {
		.hand = {.k = k, .a = &b->actor[number], .number = number, .random = draw_start(k->o->seed)}};
	size_t size = (k->o->page_size + (size_t)BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	w.hand.buffer = aligned_alloc(BUFFER_ALIGNMENT, size);
	w.plain = aligned_alloc(BUFFER_ALIGNMENT, size);
	if (w.hand.buffer == NULL || w.plain == NULL)
		trouble("no memory for a page");
	open_and_watch(&w);
	atomic_store(&b->done, 0);
	while (!atomic_load(&b->last)) {
		int done = atomic_load(&b->done);

		kill_begin(w.hand.a, CALL_PARKED, KILL_NO_PAGE);
		kill_wait_while(&b->order, done);
		kill_begin(w.hand.a, CALL_NONE, KILL_NO_PAGE);
		if (atomic_load(&b->last))
			for (pgno_t p = 0; p < KILL_WATCHED; p++)
				hand_put(&w.hand, &w.watched[p], false);
		check(&w, atomic_load(&b->last) ? 0 : KILL_WATCHED,
		      atomic_load(&b->last) || draw_below(&w.hand.random, FILE_ONE_IN) == 0);
		atomic_store(&b->done, atomic_load(&b->order));
	}
	kill_begin(w.hand.a, CALL_CLOSE, KILL_NO_PAGE);
	leave(&w);
	free(w.hand.buffer);
	free(w.plain);
	exit(EXIT_OK);
}
