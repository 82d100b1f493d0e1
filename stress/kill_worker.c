/*
 * kill_worker.c - a process that uses the pool, and may be killed anywhere; see kill.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "kill.h"
#include "page.h"
#include "report.h"

enum {
	KEPT_MAX = 3,    /* pins that a thread keeps from one operation to the next */
	SEVERAL_MAX = 3, /* pages changed at once; with those kept, no more than a thread can hold */
	FORGIVE_ONE_IN = 8,
	NAME_BITS = 32,
};

_Static_assert(KEPT_MAX + SEVERAL_MAX + 1 <= KILL_HELD_MAX, "a thread has a place for every pin");

struct worker {
	struct hand hand;
	struct actor *main;
	unsigned kept_count;
	struct kill_pin kept[KEPT_MAX];
};

/* --- what is done to pages ------------------------------------------------------- */

static void do_read(struct worker *w, pgno_t pgno)
{
	struct hand *h = &w->hand;
	struct kill_pin pin;

	if (!hand_get(h, pgno, &pin))
		return;
	if (record_own(h, pgno)) {
		record_check(h, "read", &pin);
		if (draw_below(&h->random, FORGIVE_ONE_IN) == 0 && record_forgive(h, &pin) == 1)
			h->k->board->found.abandoned_seen++;
		record_disown(h, pgno);
	}
	hand_put(h, &pin, false);
	h->k->board->found.reads++;
}

static void save(struct hand *h, const struct kill_pin *pin)
{
	hand_put(h, pin, true);
	record_saved(h, pin->pgno);
	record_disown(h, pin->pgno);
	h->k->board->found.changes++;
}

/* Got and owned; else neither. */
static bool enter(struct hand *h, pgno_t pgno, struct kill_pin *pin)
{
	if (!hand_get(h, pgno, pin))
		return false;
	if (record_own(h, pgno))
		return true;
	hand_put(h, pin, false);
	return false;
}

static void do_several(struct worker *w, pgno_t pgno, unsigned wanted)
{
	struct kill_pin pins[SEVERAL_MAX];
	unsigned got = 0;

	do {
		if (!enter(&w->hand, pgno, &pins[got]))
			break;
		record_check(&w->hand, "change", &pins[got]);
		record_change(&w->hand, &pins[got]);
		got++;
	} while (got < wanted && hand_choose(&w->hand, &pgno));
	while (got-- > 0)
		save(&w->hand, &pins[got]);
}

static void do_keep(struct worker *w, pgno_t pgno)
{
	if (w->kept_count < KEPT_MAX && hand_get(&w->hand, pgno, &w->kept[w->kept_count]))
		w->kept_count++;
}

static void do_release(struct worker *w)
{
	if (w->kept_count > 0)
		hand_put(&w->hand, &w->kept[--w->kept_count], false);
}

/* A page kept: checked, and sometimes changed and saved through another pin. */
static void do_look(struct worker *w)
{
	struct hand *h = &w->hand;
	struct kill_pin *pin, other;

	if (w->kept_count == 0)
		return;
	pin = &w->kept[draw_below(&h->random, w->kept_count)];
	if (!record_own(h, pin->pgno))
		return;
	record_check(h, "a page kept pinned", pin);
	if (draw_below(&h->random, 2) == 0 && hand_get(h, pin->pgno, &other)) {
		record_change(h, pin);
		save(h, &other);
	} else {
		record_disown(h, pin->pgno);
	}
}

/* --- pages come and go ------------------------------------------------------------- */

static bool reserve(struct board *b)
{
	pgno_t reserved = atomic_load(&b->reserved);

	do
		if (reserved >= atomic_load(&b->may_reserve))
			return false;
	while (!atomic_compare_exchange_weak(&b->reserved, &reserved, reserved + 1));
	return true;
}

static bool new_page(struct hand *h, struct kill_pin *pin)
{
	*pin = (struct kill_pin){.pgno = KILL_NO_PAGE};
	kill_begin(h->a, CALL_NEW, KILL_NO_PAGE);
	pin->page = mpool_new(h->pool, &pin->pgno);
	if (pin->page == NULL)
		fault("mpool_new: no page (%s)", strerror(errno));
	else if (pin->pgno >= h->k->records)
		fault("mpool_new: page number %" PRIu32 " was skipped to", pin->pgno);
	else if (!record_allot(h->k, pin->pgno))
		fault("mpool_new: page number %" PRIu32 " was given twice", pin->pgno);
	else
		hand_hold(h, pin);
	kill_end(h->a);
	return pin->page != NULL && pin->pgno < h->k->records;
}

static void do_new(struct worker *w)
{
	struct hand *h = &w->hand;
	struct kill_pin pin;

	if (!reserve(h->k->board) || !new_page(h, &pin))
		return;
	h->k->board->found.news++;
	if (!record_own(h, pin.pgno)) {
		hand_put(h, &pin, false);
		return;
	}
	record_check(h, "new page", &pin);
	record_change(h, &pin);
	save(h, &pin);
}

static bool delete_page(struct hand *h, const struct kill_pin *pin)
{
	bool deleted;

	kill_begin(h->a, CALL_DELETE, pin->pgno);
	atomic_store(&h->a->held[pin->held], KILL_NOT_HELD);
	deleted = mpool_delete(h->pool, pin->page) == 0;
	if (!deleted && errno != EBUSY)
		fault("mpool_delete: page %" PRIu32 " at %p, pinned: %s", pin->pgno, pin->page, strerror(errno));
	if (!deleted)
		atomic_store(&h->a->held[pin->held], pin->pgno + 1);
	kill_end(h->a);
	return deleted;
}

static void do_delete(struct worker *w, pgno_t pgno)
{
	struct hand *h = &w->hand;
	struct kill_pin pin;

	if (!enter(h, pgno, &pin))
		return;
	record_check(h, "before mpool_delete", &pin);
	record_upset(h, pgno);
	if (delete_page(h, &pin)) {
		h->k->board->found.deletes++;
		if (!hand_get(h, pgno, &pin))
			return;
	}
	record_change(h, &pin);
	save(h, &pin);
}

static void do_request(struct worker *w, pgno_t pgno)
{
	struct hand *h = &w->hand;
	struct kill_pin pin = {.pgno = pgno};
	int before;

	if (!record_own(h, pgno))
		return;
	before = atomic_exchange(&h->k->record[pgno].phase, PHASE_UPSET);
	kill_begin(h->a, CALL_REQUEST, pgno);
	pin.page = mpool_new(h->pool, &pin.pgno, MPOOL_PAGE_REQUEST);
	if (pin.page != NULL)
		hand_hold(h, &pin);
	else if (errno != EEXIST)
		fault("MPOOL_PAGE_REQUEST: page %" PRIu32 ": no page (%s)", pgno, strerror(errno));
	kill_end(h->a);
	if (pin.page != NULL) {
		record_change(h, &pin);
		save(h, &pin);
	} else {
		atomic_store(&h->k->record[pgno].phase, before);
		record_disown(h, pgno);
	}
}

/* --- the rest --------------------------------------------------------------------------- */

static void do_sync(struct worker *w)
{
	struct hand *h = &w->hand;

	kill_begin(h->a, CALL_SYNC, KILL_NO_PAGE);
	if (mpool_sync(h->pool) != 0)
		fault("mpool_sync: %s", strerror(errno));
	kill_end(h->a);
	h->k->board->found.syncs++;
}

static void do_stats(struct worker *w)
{
	struct hand *h = &w->hand;
	pgno_t least = atomic_load(&h->k->board->cache_given), most;
	struct mpool_stats st;

	kill_begin(h->a, CALL_STATS, KILL_NO_PAGE);
	if (mpool_stats(h->pool, &st, sizeof st) != 0)
		fault("mpool_stats: %s", strerror(errno));
	kill_end(h->a);
	most = atomic_load(&h->k->board->cache_asked);
	if (st.pagesize != h->k->o->page_size || st.maxcache < least || st.maxcache > most)
		fault("mpool_stats: page size %" PRIu64 " and cache %" PRIu64 ", opened with %" PRIu32 " and %" PRIu32
		      " to %" PRIu32,
		      st.pagesize, st.maxcache, h->k->o->page_size, least, most);
}

enum operation_of_kill {
	DO_READ,
	DO_CHANGE,
	DO_SEVERAL,
	DO_KEEP,
	DO_RELEASE,
	DO_LOOK,
	DO_NEW,
	DO_DELETE,
	DO_REQUEST,
	DO_SYNC,
	DO_STATS,
	DOS
};

/* A thousand in all.  A sync flushes the disk, so it must be rare. */
static const unsigned weight[DOS] = {
	[DO_READ] = 220, [DO_CHANGE] = 250, [DO_SEVERAL] = 128, [DO_KEEP] = 100, [DO_RELEASE] = 80, [DO_LOOK] = 100,
	[DO_NEW] = 40,   [DO_DELETE] = 30,  [DO_REQUEST] = 30,  [DO_SYNC] = 2,   [DO_STATS] = 20,
};
enum { WEIGHTS = 1000 };

static enum operation_of_kill choose(struct hand *h)
{
	unsigned drawn = draw_below(&h->random, WEIGHTS), i = 0;

	while (drawn >= weight[i])
		drawn -= weight[i++];
	return (enum operation_of_kill)i;
}

/* While another process is stopped, calls that may wait for it are left out. */
static bool may_wait(enum operation_of_kill op)
{
	return op == DO_SYNC || op == DO_DELETE || op == DO_REQUEST;
}

static void operate(struct worker *w)
{
	enum operation_of_kill op = choose(&w->hand);
	pgno_t pgno;

	/* Most of the time syncs are rare, for they take long; but they must meet. */
	if (op == DO_STATS && atomic_load(&w->hand.k->board->flushing))
		op = DO_SYNC;
	if (!hand_choose(&w->hand, &pgno) || (may_wait(op) && atomic_load(&w->hand.k->board->calm)))
		return;
	switch (op) {
	case DO_READ:
		do_read(w, pgno);
		break;
	case DO_CHANGE:
		do_several(w, pgno, 1);
		break;
	case DO_SEVERAL:
		do_several(w, pgno, SEVERAL_MAX);
		break;
	case DO_KEEP:
		do_keep(w, pgno);
		break;
	case DO_RELEASE:
		do_release(w);
		break;
	case DO_LOOK:
		do_look(w);
		break;
	case DO_NEW:
		do_new(w);
		break;
	case DO_DELETE:
		do_delete(w, pgno);
		break;
	case DO_REQUEST:
		do_request(w, pgno);
		break;
	case DO_SYNC:
		do_sync(w);
		break;
	case DO_STATS:
		do_stats(w);
		break;
	default:
		break;
	}
}

/* --- threads ------------------------------------------------------------------------------ */

static bool is_pause(int pause)
{
	return pause % 2 != 0;
}

static void park(struct board *b, struct actor *a)
{
	int pause = atomic_load(&b->pause);

	if (!is_pause(pause))
		return;
	atomic_store(&a->parked_for, pause);
	kill_begin(a, CALL_PARKED, KILL_NO_PAGE);
	kill_wait_while(&b->pause, pause);
	kill_begin(a, CALL_NONE, KILL_NO_PAGE);
}

static void release_all(struct worker *w)
{
	while (w->kept_count > 0)
		do_release(w);
}

struct start {
	const struct kill *k;
	MPOOL *pool;
	unsigned number;
	uint64_t seed;
	unsigned life; /* operations */
};

static void *work(void *arg)
{
	const struct start *s = arg;
	struct board *b = s->k->board;
	struct worker w = {.hand = {.k = s->k,
	                            .pool = s->pool,
	                            .number = s->number,
	                            .a = &b->actor[s->number],
	                            .random = draw_start(s->seed)}};
	unsigned life = s->life;

	w.hand.buffer = malloc(s->k->o->page_size);
	if (w.hand.buffer == NULL)
		trouble("no memory for a page");
	while (!atomic_load(&b->stop) && !faults_too_many() && (life > 0 || atomic_load(&b->calm))) {
		if (is_pause(atomic_load(&b->pause))) {
			release_all(&w);
			park(b, w.hand.a);
			continue;
		}
		operate(&w);
		life -= life > 0;
	}
	release_all(&w);
	free(w.hand.buffer);
	kill_begin(w.hand.a, CALL_ENDED, KILL_NO_PAGE);
	return NULL;
}

static void run_threads(const struct kill *k, MPOOL *pool, unsigned process, uint64_t *random)
{
	unsigned n = k->o->threads, life = 1 + draw_below(random, 2 * k->o->life);
	struct start *start = calloc(n, sizeof *start);
	pthread_t *thread = calloc(n, sizeof *thread);

	if (start == NULL || thread == NULL)
		trouble("no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		unsigned number = kill_actor_number(k->o, process, i);

		kill_begin(&k->board->actor[number], CALL_NONE, KILL_NO_PAGE);
		start[i] = (struct start){.k = k, .pool = pool, .number = number, .seed = draw(random), .life = life};
	}
	kill_begin(&k->board->actor[kill_actor_number(k->o, process, n)], CALL_THREADS, KILL_NO_PAGE);
	for (unsigned i = 0; i < n; i++) {
		errno = pthread_create(&thread[i], NULL, work, &start[i]);
		if (errno != 0)
			trouble("starting a thread");
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	free(thread);
	free(start);
}

/* --- the process ----------------------------------------------------------------------------- */

static void raise_to(_Atomic pgno_t *most, pgno_t cache)
{
	pgno_t seen = atomic_load(most);

	while (seen < cache && !atomic_compare_exchange_weak(most, &seen, cache))
		;
}

/* From mpool_open to mpool_close. */
static void stay(const struct kill *k, unsigned process, struct actor *a, uint64_t *random)
{
	struct board *b = k->board;
	pgno_t cache = k->o->cache + draw_below(random, k->o->cache + 1);
	MPOOL *pool;

	raise_to(&b->cache_asked, cache == 0 ? 1 : cache);
	kill_begin(a, CALL_OPEN, KILL_NO_PAGE);
	pool = mpool_open(k->key, draw_below(random, 2) == 0 ? -1 : k->fd, k->o->page_size, cache);
	if (pool == NULL) {
		fault("mpool_open of the pool that others have open: %s", strerror(errno));
		return;
	}
	raise_to(&b->cache_given, cache);
	atomic_store(&b->member[process].inside, true);
	kill_end(a);
	b->found.opens++;
	run_threads(k, pool, process, random);
	kill_begin(a, CALL_CLOSE, KILL_NO_PAGE);
	atomic_store(&b->member[process].inside, false);
	if (mpool_close(pool) != 0)
		fault("mpool_close: %s", strerror(errno));
	kill_end(a);
}

_Noreturn void kill_worker(const struct kill *k, unsigned process, uint64_t incarnation)
{
	struct actor *a = &k->board->actor[kill_actor_number(k->o, process, k->o->threads)];
	uint64_t random = draw_start(k->o->seed ^ ((uint64_t)process << NAME_BITS | incarnation));

	/* The parent decides who ends, and when. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	do {
		park(k->board, a);
		if (!atomic_load(&k->board->stop))
			stay(k, process, a, &random);
	} while (!atomic_load(&k->board->stop) && !faults_too_many() && draw_below(&random, 2) == 0);
	kill_begin(a, CALL_ENDED, KILL_NO_PAGE);
	exit(EXIT_OK);
}
