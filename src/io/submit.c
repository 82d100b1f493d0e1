/* submit.c - see submit.h. */
#include "io/submit.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "os/cancel.h"
#include "os/time.h"

void submits_init(struct submits *s)
{
	pthread_mutex_init(&s->lock, NULL);
}

void submits_end(struct submits *s)
{
	pthread_mutex_destroy(&s->lock);
}

/* ---- the store's -------------------------------------------------------- */

/* By any thread, which may be the program's, and be cancelled. */
static void request_done(struct mpool_io *request, ssize_t bytes)
{
	NO_CANCELLATION;
	struct io_run *r = (struct io_run *)(void *)((char *)request - offsetof(struct io_run, request));
	r->result = store_answer(bytes, run_bytes(r));
	r->called = true;
	r->done(r->of, r);
}

bool submit_start(struct io_run *run, void (*done)(void *, struct io_run *), void *of, const void *waiter)
{
	run->done = done;
	run->of = of;
	run->request = (struct mpool_io){.op = run->write ? MPOOL_IO_WRITE : MPOOL_IO_READ,
	                                 .offset = (uint64_t)pageio_offset(run->file, run->page),
	                                 .iov = run->iov,
	                                 .iovcnt = (int)run_pieces(run),
	                                 .done = request_done,
	                                 .waiter = waiter};
	return store_submit(run->file->store, &run->request);
}

/* ---- who waits ---------------------------------------------------------- */

void submit_begin(struct submit_call *c, struct submits *s, const struct store *store, bool each)
{
	pthread_condattr_t of_time;
	*c = (struct submit_call){.of = s, .store = store, .each = each};
	pthread_condattr_init(&of_time);
	pthread_condattr_setclock(&of_time, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &of_time);
	pthread_condattr_destroy(&of_time);
}

void submit_end(struct submit_call *c)
{
	pthread_cond_destroy(&c->changed);
}

static void arrived(void *call, struct io_run *run)
{
	struct submit_call *c = call;
	struct submits *s = c->of; /* the call may be over once the lock is free */
	pthread_mutex_lock(&s->lock);
	run_push(&c->arrived, run);
	c->left--;
	if (c->each || c->left <= c->low)
		pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&s->lock);
}

void submit_add(struct submit_call *c, struct io_run *run, bool submit, struct workers *w)
{
	pthread_mutex_lock(&c->of->lock);
	c->left++;
	pthread_mutex_unlock(&c->of->lock);
	submit = submit && store_submits(run->file->store);
	if (submit && submit_start(run, arrived, c, c->store ? c : NULL))
		return;
	if (!submit && w) {
		workers_start(w, run, arrived, c);
		return;
	}
	run_now(run);
	arrived(c, run);
}

/* With the lock held.  False: the time is over; 0: it never is. */
static bool await(struct submit_call *c, uint64_t until)
{
	struct timespec t = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
	if (until == 0)
		return pthread_cond_wait(&c->changed, &c->of->lock) == 0;
	return pthread_cond_timedwait(&c->changed, &c->of->lock, &t) != ETIMEDOUT;
}

/* Has the call what it waits for?  With the lock held. */
static bool has_enough(const struct submit_call *c)
{
	return c->left == 0 || (c->arrived.first && (c->each || c->left <= c->low));
}

/* What is left of the time, in ms, rounded up; -1: there is no limit. */
static int ms_left(uint64_t until)
{
	uint64_t now = until ? time_ns() : 0, ns = until > now ? until - now : 0;
	return until ? (int)((ns + NS_PER_MS - 1) / NS_PER_MS) : -1;
}

/* Have the store go on, by this thread; the lock is held, but not meanwhile.  False: the store does without. */
static bool help(struct submit_call *c, uint64_t until)
{
	if (!c->store)
		return false;
	pthread_mutex_unlock(&c->of->lock);
	bool helped = store_wait(c->store, c, -1, ms_left(until));
	pthread_mutex_lock(&c->of->lock);
	return helped;
}

struct io_run *submit_next(struct submit_call *c, unsigned low, unsigned wait_us)
{
	uint64_t until = c->each && wait_us ? time_ns() + (uint64_t)wait_us * NS_PER_US : 0;
	pthread_mutex_lock(&c->of->lock);
	c->low = low;
	bool wait = !c->arrived.first;
	while (wait && !has_enough(c)) {
		if (help(c, until))
			wait = !until || time_ns() < until;
		else if (!has_enough(c))
			wait = await(c, until);
	}
	struct io_run *r = run_pop(&c->arrived);
	pthread_mutex_unlock(&c->of->lock);
	return r;
}
