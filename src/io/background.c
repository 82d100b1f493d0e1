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
/* Of `error`: it is not known yet. */
#define STARTING (-1)

void background_init(struct background *b, struct core *c, const struct pageio *io, _Atomic int *refused)
{
	b->core = c;
	b->io = io;
	b->refused = refused;
	b->wake = -1;
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
	if (hooks_read(&b->io->hooks))
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

/* Begin what was given, as much as may be in flight.  Without a ring, or if that takes none any more, by ourselves. */
static void begin_given(struct background *b)
{
	while (b->given.first) {
		bool idle = !b->ring || ring_idle(b->ring);
		if (!may_begin(b, idle))
			return;
		struct io_run *r = run_pop(&b->given);
		if (b->ring && ring_start(b->ring, b->io, r))
			continue;
		if (!idle) {
			run_unpop(&b->given, r);
			transfer_end();
			return;
		}
		pthread_mutex_unlock(&b->lock);
		run_now(b->io, r);
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
		while ((r = run_pop(&b->done))) {
			b->elsewhere--;
			finish(b, r);
		}
		while ((r = run_pop(&b->arrived)))
			finish(b, r);
		if (b->looks)
			look(b, false);
		bool in_flight = b->ring && !ring_idle(b->ring);
		/* As long as reads are in flight, what was given may have to wait for room. */
		if (b->done.first || b->arrived.first || (b->given.first && !in_flight))
			continue;
		if (in_flight)
			wait_for_ring(b);
		else if (b->ends && b->elsewhere == 0)
			return;
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
	bool give = fd >= 0 && !b->ring;
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

void background_read(struct background *b, struct io_run *read)
{
	pthread_mutex_lock(&b->lock);
	run_push(&b->given, read);
	wake(b);
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
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
}
