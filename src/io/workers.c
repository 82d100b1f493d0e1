/* workers.c - see workers.h. */
#include "io/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "os/process.h"
#include "os/transfer.h"

struct workers {
	const struct pageio *io;
	pthread_mutex_t lock; /* guards all that follows, and what `of` leads to of those that somebody waits for */
	pthread_cond_t queued, done;
	struct read_queue queue;
	unsigned length; /* of the queue */
	unsigned room, most, threads, idle;
	bool ends;
	pthread_t thread[];
};

struct workers *workers_open(const struct pageio *io, unsigned room)
{
	struct workers *w = calloc(1, sizeof *w + room * sizeof w->thread[0]);
	if (!w)
		return NULL;
	w->io = io;
	w->room = w->most = room;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->queued, NULL);
	pthread_cond_init(&w->done, NULL);
	return w;
}

void workers_limit(struct workers *w, unsigned most)
{
	pthread_mutex_lock(&w->lock);
	w->most = most < w->room ? most : w->room;
	pthread_mutex_unlock(&w->lock);
}

/* Make the first read of the queue.  With the lock held, which it lets go of meanwhile.  False: there is none. */
static bool read_one(struct workers *w)
{
	struct io_read *r = read_pop(&w->queue);
	if (!r)
		return false;
	w->length--;
	pthread_mutex_unlock(&w->lock);
	transfer_begin();
	read_now(w->io, r);
	transfer_end();
	/* It is the maker's again, once it is told. */
	void (*done)(void *, struct io_read *) = r->done;
	if (done)
		done(r->of, r);
	pthread_mutex_lock(&w->lock);
	if (!done && --*(unsigned *)r->of == 0)
		pthread_cond_broadcast(&w->done);
	return true;
}

static void *work(void *workers)
{
	struct workers *w = workers;
	pthread_mutex_lock(&w->lock);
	while (!w->ends || w->queue.first)
		if (!read_one(w)) {
			w->idle++;
			pthread_cond_wait(&w->queued, &w->lock);
			w->idle--;
		}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* One thread more, if it can be had.  With the lock held. */
static void add_thread(struct workers *w)
{
	if (process_thread_begin(&w->thread[w->threads], true, work, w))
		w->threads++;
}

/* With the lock held. */
static void push(struct workers *w, struct io_read *r)
{
	read_push(&w->queue, r);
	w->length++;
	if (w->length > w->idle && w->threads < w->most)
		add_thread(w);
	pthread_cond_signal(&w->queued);
}

void workers_read(struct workers *w, struct io_read *reads, unsigned n)
{
	unsigned left = n;
	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < n; i++) {
		reads[i].done = NULL;
		reads[i].of = &left;
		push(w, &reads[i]);
	}
	while (left > 0)
		/* Help: it is one thread more, and there may be no other. */
		if (!read_one(w) && left > 0)
			pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void workers_start(struct workers *w, struct io_read *read, void (*done)(void *of, struct io_read *read), void *of)
{
	read->done = done;
	read->of = of;
	pthread_mutex_lock(&w->lock);
	push(w, read);
	while (w->threads == 0 && read_one(w))
		;
	pthread_mutex_unlock(&w->lock);
}

void workers_close(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_broadcast(&w->queued);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->threads; i++)
		process_thread_end(w->thread[i]);
	pthread_cond_destroy(&w->queued);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void workers_drop(struct workers *w)
{
	free(w);
}
