/*
 * worker.c - a thread that uses the pool at random; see worker.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "hands.h"
#include "page.h"
#include "report.h"
#include "watch.h"

enum {
	SEVERAL_MAX = 8,  /* pages in OP_SEVERAL */
	CLEAN_ONE_IN = 8, /* of the new pages, left as they are */
	KEEP_ONE_IN = 4,  /* of the new pages, kept pinned */
	LIFE_BITS = 32,   /* a writer is named by place and life */
	CANARY = 0xa5,    /* a byte that mpool_stats does not write by chance */
};

#define WRONG_PAGE (MAX_PAGE_NUMBER - 1)

uint64_t worker_pins_max(const struct options *o)
{
	/* SEVERAL_MAX is also more than any other operation pins for itself. */
	uint64_t process = (uint64_t)o->threads * (o->hold + SEVERAL_MAX) + o->handover;

	return o->processes > 0 ? process * o->processes : process;
}

/* --- operations: get and put --------------------------------------------- */

static void do_read(struct worker *w, pgno_t pgno)
{
	struct pin pin;

	if (!enter_page(w, pgno, TRUTH_READ, &pin))
		return;
	check_page(w, "read", pgno, pin.page);
	leave_page(w, &pin);
}

static void do_write(struct worker *w, pgno_t pgno)
{
	struct pin pin;

	if (!enter_page(w, pgno, TRUTH_WRITE, &pin))
		return;
	check_page(w, "write", pgno, pin.page);
	write_page(w, &pin);
	leave_page(w, &pin);
}

static void do_several(struct worker *w, pgno_t pgno)
{
	struct pin pins[SEVERAL_MAX];
	unsigned wanted = 2 + below(w, SEVERAL_MAX - 1), got = 0;
	enum truth_access access = any_access(w);

	if (!enter_page(w, pgno, access, &pins[0]))
		return;
	use_page(w, "several pages, the first", &pins[0], access);
	for (got = 1; got < wanted; got++) {
		access = any_access(w);
		if (!choose_page(w, &pgno) || !enter_further_page(w, pgno, access, &pins[got]))
			break;
		use_page(w, "several pages, a further one", &pins[got], access);
	}
	while (got-- > 0)
		leave_page(w, &pins[got]);
}

static void do_nest(struct worker *w, pgno_t pgno)
{
	struct pin outer, inner;

	if (!enter_page(w, pgno, TRUTH_READ, &outer))
		return;
	inner = (struct pin){.pgno = pgno, .page = get_again(w, &outer)};
	if (inner.page != NULL)
		put_page(w, &inner);
	/* One pin is left, so the page must be. */
	check_page(w, "after one put of a page got twice", pgno, outer.page);
	leave_page(w, &outer);
}

static void do_peek(struct worker *w, pgno_t pgno)
{
	void *page;

	lock_page(w, pgno, TRUTH_READ);
	page = get_page(w, pgno, MPOOL_IGNOREPIN);
	if (page != NULL)
		check_page(w, "get with MPOOL_IGNOREPIN", pgno, page);
	unlock_page(w, pgno);
}

/* --- operations: pins that last ------------------------------------------ */

static bool may_hold(const struct worker *w)
{
	return w->held_count < w->run->o->hold;
}

static void hold(struct worker *w, const struct pin *pin)
{
	w->held[w->held_count++] = *pin;
}

static bool take_held(struct worker *w, struct pin *pin)
{
	unsigned i;

	if (w->held_count == 0)
		return false;
	i = below(w, w->held_count);
	*pin = w->held[i];
	w->held[i] = w->held[--w->held_count];
	return true;
}

static void do_release(struct worker *w)
{
	struct pin pin;

	if (take_held(w, &pin))
		put_page(w, &pin);
}

static void do_hold(struct worker *w, pgno_t pgno)
{
	struct pin pin = {.pgno = pgno};

	if (!may_hold(w)) {
		do_release(w);
		return;
	}
	pin.page = get_page(w, pgno, 0);
	if (pin.page != NULL)
		hold(w, &pin);
}

/* What was written is put dirty now, and the page kept; it is marked then. */
static void save_through_another_pin(struct worker *w, struct pin *pin)
{
	struct pin other = {.pgno = pin->pgno, .version = pin->version};

	other.page = get_again(w, pin);
	if (other.page == NULL)
		return;
	put_page(w, &other);
	pin->version = 0;
	pin->marked = true;
}

static void do_look(struct worker *w)
{
	enum truth_access access = any_access(w);
	struct pin *pin;

	if (w->held_count == 0)
		return;
	pin = &w->held[below(w, w->held_count)];
	lock_page(w, pin->pgno, access);
	use_page(w, "a page kept pinned", pin, access);
	if (pin->version != 0 && flip(w))
		save_through_another_pin(w, pin);
	unlock_page(w, pin->pgno);
}

static bool leave_for_others(struct worker *w, const struct pin *pin)
{
	return handover_give(w->run->handover, below(w, UINT32_MAX), pin);
}

static bool take_of_others(struct worker *w, struct pin *pin)
{
	return handover_take(w->run->handover, below(w, UINT32_MAX), pin);
}

static void do_give(struct worker *w, pgno_t pgno)
{
	struct pin pin = {.pgno = pgno};

	if (flip(w) || !take_held(w, &pin))
		pin.page = get_page(w, pgno, 0);
	if (pin.page != NULL && !leave_for_others(w, &pin))
		put_page(w, &pin);
}

static void do_take(struct worker *w)
{
	enum truth_access access = any_access(w);
	struct pin pin;

	if (!take_of_others(w, &pin))
		return;
	lock_page(w, pin.pgno, access);
	use_page(w, "a page pinned by another thread", &pin, access);
	leave_page(w, &pin);
}

/* The thread ends; its pins need not. */
static void part_with_pins(struct worker *w)
{
	struct pin pin;

	while (take_held(w, &pin)) {
		if (flip(w) && leave_for_others(w, &pin))
			w->tally.orphans++;
		else
			put_page(w, &pin);
	}
}

/* --- operations: pages come and go --------------------------------------- */

/* The file grows evenly over the time of the run, or the first part of a soak. */
static bool reserve_page(struct churn *run)
{
	const struct options *o = run->o;
	double part = report_seconds() / run->growth;
	pgno_t most = o->pages + (pgno_t)((o->pages_max - o->pages) * (part < 1 ? part : 1));
	pgno_t reserved = atomic_load(&run->common->reserved);

	if (most == 0)
		most = 1;
	do
		if (reserved >= most)
			return false;
	while (!atomic_compare_exchange_weak(&run->common->reserved, &reserved, reserved + 1));
	return true;
}

static bool new_page(struct worker *w, struct pin *pin)
{
	MPOOL *pool = w->run->pool;

	*pin = (struct pin){.pgno = WATCH_NO_PAGE};
	watch_doing(w->place, DOING_NEW, WATCH_NO_PAGE);
	pin->page = flip(w) ? mpool_new(pool, &pin->pgno) : mpool_new(pool, &pin->pgno, MPOOL_PAGE_NEXT);
	if (pin->page == NULL) {
		fault("mpool_new: no page (%s)", strerror(errno));
		return false;
	}
	if (pin->pgno >= truth_pages_max(w->run->truth)) {
		fault("mpool_new: page number %" PRIu32 " was skipped to: there are no more than %" PRIu32, pin->pgno,
		      truth_pages_max(w->run->truth));
		put_page(w, pin);
		return false;
	}
	if (!truth_allot(w->run->truth, pin->pgno))
		fault("mpool_new: page number %" PRIu32 " was given twice", pin->pgno);
	return true;
}

static void do_new(struct worker *w)
{
	struct pin pin;

	if (!reserve_page(w->run) || !new_page(w, &pin))
		return;
	if (may_hold(w) && below(w, KEEP_ONE_IN) == 0) {
		hold(w, &pin);
		return;
	}
	/* Others may have got it, and written it, before us. */
	lock_page(w, pin.pgno, TRUTH_WRITE);
	check_page(w, "new page", pin.pgno, pin.page);
	if (below(w, CLEAN_ONE_IN) != 0)
		write_page(w, &pin);
	leave_page(w, &pin);
}

/* The put comes before the unlock: until it is done the page is upset. */
static void rewrite_upset_page(struct worker *w, struct pin *pin)
{
	write_page(w, pin);
	put_page(w, pin);
}

/* What a deleted page may show: any version that reached the file, or a torn one. */
static void check_deleted(struct worker *w, const struct pin *pin)
{
	uint64_t newest = truth_version(w->run->truth, pin->pgno);
	struct page_view view;

	page_read(pin->page, w->run->o->page_size, &view);
	if (view.state == PAGE_FOREIGN || (view.state != PAGE_ZERO && view.pgno != pin->pgno) || view.version > newest)
		fault_page("got again after mpool_delete", pin->pgno, newest, &view);
}

static void do_delete(struct worker *w, pgno_t pgno)
{
	struct pin pin = {.pgno = pgno};

	lock_page(w, pgno, TRUTH_WRITE);
	truth_upset_begin(w->run->truth, pgno);
	pin.page = get_page(w, pgno, 0);
	if (pin.page != NULL) {
		check_page(w, "before mpool_delete", pgno, pin.page);
		watch_doing(w->place, DOING_DELETE, pgno);
		if (mpool_delete(w->run->pool, pin.page) == 0) {
			pin.page = get_page(w, pgno, 0);
			if (pin.page != NULL)
				check_deleted(w, &pin);
		} else if (errno == EBUSY) {
			w->tally.busy++;
		} else {
			fault("mpool_delete: page %" PRIu32 " at %p, pinned: %s", pgno, pin.page, strerror(errno));
		}
	}
	if (pin.page != NULL)
		rewrite_upset_page(w, &pin);
	truth_upset_end(w->run->truth, pgno);
	unlock_page(w, pgno);
}

static void check_requested(struct worker *w, const struct pin *pin, pgno_t wanted)
{
	struct page_view view;

	if (pin->pgno != wanted)
		fault("MPOOL_PAGE_REQUEST: wanted page %" PRIu32 ", got page %" PRIu32, wanted, pin->pgno);
	page_read(pin->page, w->run->o->page_size, &view);
	if (view.state != PAGE_ZERO)
		fault_page("MPOOL_PAGE_REQUEST", wanted, 0, &view);
}

static void do_request(struct worker *w, pgno_t pgno)
{
	struct pin pin = {.pgno = pgno};

	lock_page(w, pgno, TRUTH_WRITE);
	truth_upset_begin(w->run->truth, pgno);
	watch_doing(w->place, DOING_REQUEST, pgno);
	pin.page = mpool_new(w->run->pool, &pin.pgno, MPOOL_PAGE_REQUEST);
	if (pin.page != NULL) {
		check_requested(w, &pin, pgno);
		pin.pgno = pgno;
		rewrite_upset_page(w, &pin);
	} else if (errno != EEXIST) {
		fault("MPOOL_PAGE_REQUEST: page %" PRIu32 ": no page (%s)", pgno, strerror(errno));
	}
	truth_upset_end(w->run->truth, pgno);
	unlock_page(w, pgno);
}

/* --- operations: the rest ------------------------------------------------ */

static void do_sync(struct worker *w)
{
	watch_doing(w->place, DOING_SYNC, WATCH_NO_PAGE);
	if (mpool_sync(w->run->pool) != 0)
		fault("mpool_sync: %s", strerror(errno));
}

static void do_stats(struct worker *w)
{
	const struct options *o = w->run->o;
	struct common *common = w->run->common;
	pgno_t least = atomic_load(&common->cache_given), most;
	struct mpool_stats st;

	watch_doing(w->place, DOING_STATS, WATCH_NO_PAGE);
	if (mpool_stats(w->run->pool, &st, sizeof st) != 0)
		fault("mpool_stats: %s", strerror(errno));
	most = atomic_load(&common->cache_asked);
	if (st.pagesize != o->page_size || st.maxcache < least || st.maxcache > most)
		fault("mpool_stats: page size %" PRIu64 " and cache %" PRIu64 ", opened with %" PRIu32 " and %" PRIu32
		      " to %" PRIu32,
		      st.pagesize, st.maxcache, o->page_size, least, most);

	memset(&st, CANARY, sizeof st);
	mpool_stats(w->run->pool, &st, offsetof(struct mpool_stats, misses));
	if (*(unsigned char *)&st.misses != CANARY)
		fault("mpool_stats: wrote more than the bytes asked for");
}

static void expect_invalid(int result, int error, const char *call)
{
	if (result == 0 || error != EINVAL)
		fault("%s: must fail with EINVAL: %s", call, result == 0 ? "it did not fail" : strerror(error));
}

/* Wrong calls must fail, and change nothing: the other checks would notice. */
static void do_wrong(struct worker *w)
{
	MPOOL *pool = w->run->pool;
	int result;

	watch_doing(w->place, DOING_PUT, WATCH_NO_PAGE);
	result = mpool_put(pool, w, MPOOL_DIRTY);
	expect_invalid(result, errno, "mpool_put of an address that is no page");
	if (w->held_count > 0) {
		result = mpool_put(pool, (char *)w->held[0].page + 1, MPOOL_DIRTY);
		expect_invalid(result, errno, "mpool_put of an address inside a page");
	}
	watch_doing(w->place, DOING_GET, WRONG_PAGE);
	result = mpool_get(pool, WRONG_PAGE, 0) == NULL ? -1 : 0;
	expect_invalid(result, errno, "mpool_get of a page that the file has not");
}

/* --- the thread ----------------------------------------------------------- */

static enum operation choose_operation(struct worker *w)
{
	unsigned draw = below(w, w->weights), i = 0;

	while (draw >= w->run->o->weight[i])
		draw -= w->run->o->weight[i++];
	return (enum operation)i;
}

static void on_page(struct worker *w, enum operation op, pgno_t pgno)
{
	switch (op) {
	case OP_READ:
		do_read(w, pgno);
		break;
	case OP_WRITE:
		do_write(w, pgno);
		break;
	case OP_SEVERAL:
		do_several(w, pgno);
		break;
	case OP_NEST:
		do_nest(w, pgno);
		break;
	case OP_HOLD:
		do_hold(w, pgno);
		break;
	case OP_GIVE:
		do_give(w, pgno);
		break;
	case OP_PEEK:
		do_peek(w, pgno);
		break;
	case OP_DELETE:
		do_delete(w, pgno);
		break;
	case OP_REQUEST:
		do_request(w, pgno);
		break;
	default:
		break;
	}
}

static void operate(struct worker *w, enum operation op)
{
	pgno_t pgno;

	switch (op) {
	case OP_LOOK:
		do_look(w);
		break;
	case OP_RELEASE:
		do_release(w);
		break;
	case OP_TAKE:
		do_take(w);
		break;
	case OP_NEW:
		do_new(w);
		break;
	case OP_SYNC:
		do_sync(w);
		break;
	case OP_STATS:
		do_stats(w);
		break;
	case OP_WRONG:
		do_wrong(w);
		break;
	default:
		if (choose_page(w, &pgno))
			on_page(w, op, pgno);
	}
	w->tally.operation[op]++;
	watch_done(w->place);
}

static struct worker *make_worker(struct churn *run, unsigned place, uint64_t life)
{
	struct worker *w = calloc(1, sizeof *w + run->o->hold * sizeof w->held[0]);

	if (w == NULL)
		trouble("no memory for a thread's pins");
	w->run = run;
	w->place = place;
	w->name = (uint64_t)place << LIFE_BITS | life;
	w->random = draw_start(run->o->seed ^ w->name);
	for (unsigned i = 0; i < OPERATIONS; i++)
		w->weights += run->o->weight[i];
	return w;
}

/* The end of a worker, whose pins may outlive it: of itself, or cancelled. */
static void leave(void *worker)
{
	struct worker *w = worker;

	part_with_pins(w);
	churn_add_tally(w->run, &w->tally);
	watch_rest(w->place);
	free(w);
}

/*
 * A request to cancel the thread may come at any time, in the middle of a call
 * too; but calls on the pool are no cancellation points, and neither is anything
 * else here, but between two operations.
 */
void worker_live(struct churn *run, unsigned place, uint64_t life)
{
	struct worker *w = make_worker(run, place, life);
	unsigned operations = 1 + below(w, 2 * run->o->life);

	w->tally.threads = 1;
	w->tally.cancelled = 1; /* unless it comes to the end of its life */
	pthread_cleanup_push(leave, w);
	while (operations-- > 0 && !churn_over(run)) {
		operate(w, choose_operation(w));
		pthread_testcancel();
	}
	w->tally.cancelled = 0;
	pthread_cleanup_pop(true);
}

void worker_drain(struct churn *run, unsigned leave_pins)
{
	struct worker *w = make_worker(run, watch_main_place(), 0);
	struct pin pin;

	while (take_of_others(w, &pin)) {
		lock_page(w, pin.pgno, TRUTH_READ);
		check_page(w, "a page left pinned by an ended thread", pin.pgno, pin.page);
		unlock_page(w, pin.pgno);
		if (pin.version == 0 && leave_pins > 0)
			leave_pins--;
		else
			put_page(w, &pin);
	}
	watch_rest(w->place);
	free(w);
}
