/* background.c - see background.h. */
#include "io/background.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "os/cancel.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/time.h"
#include "os/transfer.h"

/* How long the thread sleeps while there is something that it has to look at, in microseconds. */
#define LOOK_US 500u
#define LOOK_MS 1
/* Of `error`: it is not known yet. */
#define STARTING (-1)

void background_init(struct background *b, struct core *c, _Atomic int *refused, const _Atomic uint32_t *depth)
{
	b->core = c;
	b->refused = refused;
	b->depth = depth;
	b->wake = -1;
	b->store_wake = -1;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
}

/* ---- the thread --------------------------------------------------------- */

/*
 * Wait until nothing is in flight.  With the lock held, which it lets go of meanwhile.
 */
static void drain(struct background *b)
{
	pthread_mutex_unlock(&b->lock);
	while (b->ring && !ring_idle(b->ring)) {
		struct io_run *r = ring_next(b->ring, 0);
		if (!r)
			continue; /* we are woken: what for is seen afterwards */
		transfer_end();
		run_push(&b->arrived, r);
	}
	pthread_mutex_lock(&b->lock);
}

/*
 * With the lock held, which it lets go of meanwhile.  A filter may wait for what a thread of the
 * program has locked that forks, and so waits for what we have in flight.
 */
static void finish(struct background *b, struct io_run *read)
{
	bool rest = read->file->store && read->result < (ssize_t)run_bytes(read); /* it may be asked for more */
	if (hooks_read(&read->file->hooks) || rest)
		drain(b);
	pthread_mutex_unlock(&b->lock);
	b->above->finish(b->a, read);
	pthread_mutex_lock(&b->lock);
}

/* May a transfer begin?  A fork waits for those in flight: then none is begun before they are done.  With the lock held. */
static bool may_begin(struct background *b, bool idle)
{
	if (transfer_try())
		return true;
	if (!idle)
		return false;
	pthread_mutex_unlock(&b->lock);
	transfer_begin();
	pthread_mutex_lock(&b->lock);
	return true;
}

/* Make one of a store: that may take its time, and a fork waits for what the ring has in flight. */
static void make_of_store(struct background *b, struct io_run *r)
{
	drain(b);
	pthread_mutex_unlock(&b->lock);
	run_now(r);
	pthread_mutex_lock(&b->lock);
	finish(b, r);
}

/* Can the thread help the store, for one that is submitted now?  It waits for one thing at a time: that store, or its ring. */
static bool helps(struct background *b, const struct store *s)
{
	if (!store_waits(s) || b->ring || (b->waited > 0 && b->store != s))
		return false;
	if (b->store_wake < 0)
		b->store_wake = notify_event_open();
	return b->store_wake >= 0;
}

/* It is not the store's. */
static void not_submitted(struct background *b, const struct io_run *r)
{
	b->elsewhere--;
	b->submitted--;
	b->waited -= r->request.waiter != NULL;
}

/* Give it to its store.  False: that does not take it.  By any thread, with the lock held, which it lets go of meanwhile. */
static bool submit(struct background *b, struct io_run *r)
{
	bool waited = helps(b, r->file->store);
	b->elsewhere++;
	b->submitted++;
	if (waited) {
		b->store = r->file->store;
		b->waited++;
	}
	pthread_mutex_unlock(&b->lock);
	bool begun = submit_start(r, background_done, b, waited ? b : NULL);
	pthread_mutex_lock(&b->lock);
	if (!begun)
		not_submitted(b, r);
	return begun;
}

/* Is there one that can be begun? */
static bool may_of_stores(const struct background *b)
{
	const struct io_run *r = b->of_stores.first;
	return r && (!r->submitted || b->submitted < atomic_load(b->depth));
}

/* Begin what was given of stores, as much as may be in flight. */
static void begin_of_stores(struct background *b)
{
	while (may_of_stores(b)) {
		struct io_run *r = run_pop(&b->of_stores);
		if (!r->submitted || !submit(b, r)) {
			r->submitted = false;
			make_of_store(b, r);
		}
	}
}

/* Begin what was given, as much as may be in flight.  Without a ring, or if that takes none any more, by ourselves. */
static void begin_given(struct background *b)
{
	while (b->given.first) {
		bool idle = !b->ring || ring_idle(b->ring);
		if (!may_begin(b, idle))
			return;
		struct io_run *r = run_pop(&b->given);
		if (b->ring && ring_start(b->ring, r))
			continue;
		if (!idle) {
			run_unpop(&b->given, r);
			transfer_end();
			return;
		}
		pthread_mutex_unlock(&b->lock);
		run_now(r);
		transfer_end();
		pthread_mutex_lock(&b->lock);
		finish(b, r);
	}
}

/* A ring that takes no more, and has nothing in flight: the thread does without.  With the lock held. */
static void drop_broken(struct background *b)
{
	struct ring *r = b->ring;
	int broken = r && ring_idle(r) ? ring_broken(r) : 0;
	if (!broken)
		return;
	atomic_store(b->refused, broken);
	atomic_store(&b->ring, NULL);
	ring_close(r);
	close(b->wake);
	b->wake = -1;
}

/* Wait for the ring, or for whoever wakes us; finish what is done.  With the lock held. */
static void wait_for_ring(struct background *b)
{
	b->in_ring = true;
	unsigned wait_us = b->looks ? LOOK_US : 0;
	pthread_mutex_unlock(&b->lock);
	struct io_run *r = ring_next(b->ring, wait_us);
	if (r)
		transfer_end();
	pthread_mutex_lock(&b->lock);
	b->in_ring = false;
	if (r)
		finish(b, r);
}

static void wait_for_change(struct background *b)
{
	if (b->looks) {
		pthread_mutex_unlock(&b->lock);
		time_nap(LOOK_US * NS_PER_US);
		pthread_mutex_lock(&b->lock);
	} else {
		pthread_cond_wait(&b->changed, &b->lock);
	}
}

/* Has anything come that it has to see to? */
static bool anything_new(const struct background *b)
{
	return b->done.first || b->given.first || may_of_stores(b);
}

/* Wait for a store, and help it, or for whoever wakes us. */
static void wait_for_store(struct background *b)
{
	const struct store *store = b->store; /* the next may be another's, if all of its own are done */
	int ms = b->looks ? LOOK_MS : -1, wake_by = b->store_wake;
	b->in_store = true;
	pthread_mutex_unlock(&b->lock);
	bool helped = store_wait(store, b, wake_by, ms);
	pthread_mutex_lock(&b->lock);
	b->in_store = false;
	if (b->store_woken)
		notify_event_take(b->store_wake);
	b->store_woken = false;
	if (!helped && !anything_new(b))
		wait_for_change(b);
}

static void look(struct background *b, bool last)
{
	b->looks = false; /* before: something may come meanwhile */
	pthread_mutex_unlock(&b->lock);
	bool more = b->above->look(b->a, last);
	pthread_mutex_lock(&b->lock);
	b->looks |= more;
}

static void serve(struct background *b)
{
	for (;;) {
		struct io_run *r;
		drop_broken(b);
		begin_given(b);
		begin_of_stores(b);
		while ((r = run_pop(&b->done))) {
			if (r->submitted)
				not_submitted(b, r);
			else
				b->elsewhere--;
			finish(b, r);
		}
		while ((r = run_pop(&b->arrived)))
			finish(b, r);
		if (b->looks)
			look(b, false);
		bool in_flight = b->ring && !ring_idle(b->ring);
		/* As long as reads are in flight, what was given may have to wait for room. */
		if (b->done.first || b->arrived.first || (b->given.first && !in_flight) || may_of_stores(b))
			continue;
		if (in_flight)
			wait_for_ring(b);
		else if (b->ends && b->elsewhere == 0)
			return;
		else if (b->waited > 0)
			wait_for_store(b);
		else
			wait_for_change(b);
	}
}

struct serving {
	struct background *b;
	bool over;
};

static void serve_on(const struct serving *s);

static void serve_to_the_end(struct background *b)
{
	__attribute__((cleanup(serve_on))) struct serving s = {b, false};
	pthread_mutex_lock(&b->lock);
	serve(b);
	look(b, true);
	pthread_mutex_unlock(&b->lock);
	thread_leave(atomic_load(&b->a));
	s.over = true;
}

/* A filter has ended the thread, which others need: it ends when the pool is closed. */
static void serve_on(const struct serving *s)
{
	if (s->over)
		return;
	thread_filtering.of = NULL;
	serve_to_the_end(s->b);
}

static void *run(void *background)
{
	struct background *b = background;
	NO_CANCELLATION;
	struct attachment *a = thread_enter(b->core, (uintptr_t)__builtin_frame_address(0));
	pthread_mutex_lock(&b->lock);
	b->error = a ? 0 : errno;
	b->self = pthread_self();
	atomic_store(&b->a, a);
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	if (a)
		serve_to_the_end(b);
	return NULL;
}

/* ---- who gives ---------------------------------------------------------- */

/* With the lock held. */
static int start(struct background *b)
{
	/* Filters run there. */
	if (!process_thread_begin(&b->thread, false, run, b))
		return EAGAIN;
	b->runs = true;
	b->error = STARTING;
	while (b->error == STARTING)
		pthread_cond_wait(&b->changed, &b->lock);
	if (b->error) {
		pthread_t thread = b->thread; /* the next may be started meanwhile */
		b->runs = false;
		pthread_mutex_unlock(&b->lock);
		process_thread_end(thread);
		pthread_mutex_lock(&b->lock);
	}
	return b->error;
}

struct attachment *background_begin(struct background *b, const struct background_above *above)
{
	/* Acquire by default: the thread's attachment is complete. */
	struct attachment *a = atomic_load(&b->a);
	if (a)
		return a;
	pthread_mutex_lock(&b->lock);
	while (b->runs && b->error == STARTING) /* another thread is starting it */
		pthread_cond_wait(&b->changed, &b->lock);
	if (!b->runs)
		b->above = above; /* the thread, once it runs, loads it without the lock */
	int error = b->runs ? b->error : start(b);
	a = atomic_load(&b->a);
	pthread_mutex_unlock(&b->lock);
	if (!a)
		errno = error;
	return a;
}

/* With the lock held. */
static void wake(struct background *b)
{
	if (b->in_ring)
		notify_event(b->wake);
	if (b->in_store && !b->store_woken) {
		b->store_woken = true;
		notify_event(b->store_wake);
	}
	pthread_cond_broadcast(&b->changed);
}

bool background_has_ring(const struct background *b)
{
	/* Of the thread's, whoever asks only chooses by it. */
	return atomic_load_explicit(&b->ring, memory_order_relaxed);
}

bool background_give_ring(struct background *b, struct ring *r)
{
	int fd = notify_event_open();
	pthread_mutex_lock(&b->lock);
	bool give = fd >= 0 && !b->ring && b->waited == 0;
	if (give) {
		ring_wake_by(r, fd);
		b->wake = fd;
		b->ring = r;
		wake(b);
	}
	pthread_mutex_unlock(&b->lock);
	if (!give && fd >= 0)
		close(fd);
	return give;
}

/* Is it begun, by this thread?  If the thread sleeps, it is to wait for it from now on. */
static bool begin_at_once(struct background *b, struct io_run *read)
{
	if (!read->submitted || b->of_stores.first || b->submitted >= atomic_load(b->depth))
		return false;
	/* From now on it may be done, and gone. */
	bool begun = submit(b, read);
	if (begun && !b->in_store)
		wake(b);
	if (!begun)
		read->submitted = false;
	return begun;
}

void background_read(struct background *b, struct io_run *read)
{
	pthread_mutex_lock(&b->lock);
	if (!begin_at_once(b, read)) {
		run_push(read->file->store ? &b->of_stores : &b->given, read);
		/* Where as much is in flight as may be, it is woken for what is done. */
		if (!read->submitted || may_of_stores(b))
			wake(b);
	}
	pthread_mutex_unlock(&b->lock);
}

void background_elsewhere(struct background *b)
{
	pthread_mutex_lock(&b->lock);
	b->elsewhere++;
	pthread_mutex_unlock(&b->lock);
}

void background_done(void *background, struct io_run *read)
{
	struct background *b = background;
	pthread_mutex_lock(&b->lock);
	run_push(&b->done, read);
	/* It may be the thread itself, in store_wait. */
	if (!pthread_equal(pthread_self(), b->self))
		wake(b);
	pthread_mutex_unlock(&b->lock);
}

void background_look(struct background *b)
{
	pthread_mutex_lock(&b->lock);
	b->looks = true;
	wake(b);
	pthread_mutex_unlock(&b->lock);
}

void background_end(struct background *b)
{
	pthread_mutex_lock(&b->lock);
	bool runs = b->runs;
	b->ends = true;
	wake(b);
	pthread_mutex_unlock(&b->lock);
	if (runs)
		process_thread_end(b->thread);
	if (b->ring)
		ring_close(b->ring);
	if (b->wake >= 0)
		close(b->wake);
	if (b->store_wake >= 0)
		close(b->store_wake);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
}
