/* workers.c - see workers.h. */
#include "io/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "os/process.h"
#include "os/time.h"
#include "os/transfer.h"

struct worker {
	struct workers *of;
	unsigned number;
	pthread_t thread;
};

struct workers {
	pthread_mutex_t limit; /* held while there are to be other than so many */
	pthread_mutex_t lock;  /* guards all that follows, and what `of` leads to of those that somebody waits for */
	pthread_cond_t queued, done;
	struct run_queue queue;
	unsigned length; /* of the queue */
	unsigned room, most, threads, idle;
	bool ends;
	struct worker worker[];
};

struct workers *workers_open(unsigned room)
{
	struct workers *w = calloc(1, sizeof *w + room * sizeof w->worker[0]);
	if (!w)
		return NULL;
	w->room = w->most = room;
	pthread_mutex_init(&w->limit, NULL);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->queued, NULL);
	pthread_condattr_t of_time;
	pthread_condattr_init(&of_time);
	pthread_condattr_setclock(&of_time, CLOCK_MONOTONIC);
	pthread_cond_init(&w->done, &of_time);
	pthread_condattr_destroy(&of_time);
	return w;
}

/* With the lock held, which it lets go of meanwhile: the threads of this number and above end. */
static void end_from(struct workers *w, unsigned number)
{
	pthread_cond_broadcast(&w->queued);
	while (w->threads > number) {
		pthread_t thread = w->worker[--w->threads].thread;
		pthread_mutex_unlock(&w->lock);
		process_thread_end(thread);
		pthread_mutex_lock(&w->lock);
	}
}

void workers_limit(struct workers *w, unsigned most)
{
	pthread_mutex_lock(&w->limit); /* none is to find that it may go on after all */
	pthread_mutex_lock(&w->lock);
	w->most = most < w->room ? most : w->room;
	end_from(w, w->most);
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_unlock(&w->limit);
}

/* With the lock held: the run of somebody who waits is made. */
static void made(struct workers *w, struct io_run *r)
{
	struct workers_call *c = r->of;
	run_push(&c->done, r);
	if (--c->left == 0 || c->each)
		pthread_cond_broadcast(&w->done);
}

/* No fork waits for a store. */
static void make(struct io_run *r)
{
	bool file = !r->file->store;
	if (file)
		transfer_begin();
	run_now(r);
	if (file)
		transfer_end();
}

/* Make the first run of the queue.  With the lock held, which it lets go of meanwhile.  False: there is none. */
static bool make_one(struct workers *w)
{
	struct io_run *r = run_pop(&w->queue);
	if (!r)
		return false;
	w->length--;
	pthread_mutex_unlock(&w->lock);
	make(r);
	/* It is the maker's again, once it is told. */
	void (*done)(void *, struct io_run *) = r->done;
	if (done)
		done(r->of, r);
	pthread_mutex_lock(&w->lock);
	if (!done)
		made(w, r);
	return true;
}

static void *work(void *worker)
{
	const struct worker *own = worker;
	struct workers *w = own->of;
	pthread_mutex_lock(&w->lock);
	while (own->number < w->most && (!w->ends || w->queue.first))
		if (!make_one(w)) {
			w->idle++;
			pthread_cond_wait(&w->queued, &w->lock);
			w->idle--;
		}
	/* It may have been woken for a run, which others are to make. */
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* One thread more, if it can be had.  With the lock held. */
static void add_thread(struct workers *w)
{
	struct worker *next = &w->worker[w->threads];
	next->of = w;
	next->number = w->threads;
	if (process_thread_begin(&next->thread, true, work, next))
		w->threads++;
}

/* With the lock held. */
static void push(struct workers *w, struct io_run *r)
{
	run_push(&w->queue, r);
	w->length++;
	if (w->length > w->idle && w->threads < w->most)
		add_thread(w);
	pthread_cond_signal(&w->queued);
}

void workers_begin(struct workers_call *c, bool each)
{
	*c = (struct workers_call){.each = each};
}

void workers_add(struct workers *w, struct workers_call *c, struct io_run *run)
{
	run->done = NULL;
	run->of = c;
	pthread_mutex_lock(&w->lock);
	c->left++;
	push(w, run);
	pthread_mutex_unlock(&w->lock);
}

/* With the lock held. */
static bool is_awaited(const struct workers_call *c)
{
	return c->left > 0 && !(c->each && c->done.first);
}

/* With the lock held.  False: the time is over; 0: it never is. */
static bool await_done(struct workers *w, uint64_t until)
{
	struct timespec t = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
	if (until == 0)
		return pthread_cond_wait(&w->done, &w->lock) == 0;
	return pthread_cond_timedwait(&w->done, &w->lock, &t) != ETIMEDOUT;
}

struct io_run *workers_next(struct workers *w, struct workers_call *c, unsigned wait_us)
{
	uint64_t until = wait_us ? time_ns() + (uint64_t)wait_us * NS_PER_US : 0;
	bool in_time = true;
	pthread_mutex_lock(&w->lock);
	while (in_time && is_awaited(c)) {
		/*
		 * Help: it is one thread more, and there may be no other.  But who waits for each is
		 * to see the next that is made, and not to be held up by one that is slow.
		 */
		bool help = !c->each || w->threads == 0;
		if (!(help && make_one(w)) && is_awaited(c))
			in_time = await_done(w, until);
	}
	struct io_run *r = c->each || c->left == 0 ? run_pop(&c->done) : NULL;
	pthread_mutex_unlock(&w->lock);
	return r;
}

void workers_start(struct workers *w, struct io_run *run, void (*done)(void *of, struct io_run *run), void *of)
{
	run->done = done;
	run->of = of;
	pthread_mutex_lock(&w->lock);
	push(w, run);
	while (w->threads == 0 && make_one(w))
		;
	pthread_mutex_unlock(&w->lock);
}

void workers_close(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	end_from(w, 0);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->queued);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->limit);
	free(w);
}

void workers_drop(struct workers *w)
{
	free(w);
}
