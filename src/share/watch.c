/* watch.c - see watch.h. */
#include "share/watch.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>

#include "os/descriptor.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/time.h"
#include "share/object.h"
#include "share/recover.h"

/* After a closing: check at once, and again after 1, 2, 4, ... milliseconds, up to this. */
#define LAST_LOOK_MS 64
/* Period of the checks by a thread that is not told of all pools, */
#define TICK_MS 1000
/* ... and by one that is: are the descriptors its own still? */
#define REST_MS 5000

/*
 * Under `lock`, but for what only the thread touches.  `changing` is held while the
 * thread is begun or ended; whoever has it may take `lock`, not the other way round.
 */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER; /* `busy` is another */
static struct watch_ring pools = {&pools, &pools}, restless = {&restless, &restless};
static struct watch_ring descriptors = {&descriptors, &descriptors};
static pthread_t thread;
static bool running, ending;
static const void *busy;               /* what the thread uses without the lock */
static uint64_t forgotten;             /* how many have ended being watched */
static struct notify waits = {-1, -1}; /* where it waits */
static int instance = -1;              /* of inotify; -1: none */
static struct hold seat;               /* for it.  The thread's */
static uint64_t tick_ns;               /* the next one */
static uint32_t turn;                  /* whom to check in it.  The thread's */
static struct watch_ring *next_untold; /* where it is in that */

#define RING_OF(type, ring, at) ((type *)(void *)((char *)(at) - offsetof(type, ring)))
#define POOL_OF(w)              RING_OF(struct sharing, watch, w)

static void ring_add(struct watch_ring *to, struct watch_ring *it)
{
	it->next = to;
	it->before = to->before;
	to->before->next = it;
	to->before = it;
}

static void ring_remove(struct watch_ring *it)
{
	if (it->next) {
		it->before->next = it->next;
		it->next->before = it->before;
	}
	it->next = it->before = NULL;
}

static bool ring_empty(const struct watch_ring *r)
{
	return r->next == r;
}

/* ---- what the kernel tells ---------------------------------------------- */

/* Make the thread read the lists again; under the lock. */
static void wake_up(void)
{
	notify_wake(&waits);
}

/* A program may close what it does not know, and use the numbers. */
static bool ours(int fd)
{
	return notify_has(&waits, fd);
}

static void close_instance(bool its_ours)
{
	if (its_ours)
		descriptor_close(instance);
	instance = -1;
}

static void close_all(void)
{
	close_instance(ours(instance));
	notify_close(&waits);
}

/* One instance, for a seat.  The thread's. */
static void open_instance(void)
{
	if (instance >= 0 || share_take_seat(&seat) != 0)
		return;
	pthread_mutex_lock(&lock);
	instance = notify_closings_open();
	if (instance >= 0 && !notify_add(&waits, instance, &instance))
		close_instance(true);
	bool none = instance < 0;
	pthread_mutex_unlock(&lock);
	if (none)
		hold_end(&seat);
}

static _Atomic uint32_t *watching(struct sharing *sh)
{
	return &core_member(sh->core)->watching;
}

/* Under the lock. */
static void subscribe(struct watch *w)
{
	struct sharing *sh = POOL_OF(w);
	/* What holds a liveness lock was opened for writing; who only looks (look.h), or has the pool's lock, is of no interest. */
	w->subject = notify_closings_of(instance, sh->object);
	atomic_store(&sh->core->deaths_told, w->subject >= 0);
	atomic_store(watching(sh), w->subject >= 0);
}

/* Check the pool from now on.  Under the lock. */
static void disturb(struct watch *w, uint64_t now)
{
	if (!w->restless.next) {
		ring_add(&restless, &w->restless);
		w->all_seen_ns = now;
	}
	w->pause_ms = 1;
	w->look_ns = now;
}

/* ---- checking ----------------------------------------------------------- */

/* Without the lock; watch_end waits for it. */
static void check_pool(struct watch *w, enum recover_reach reach, uint32_t also)
{
	struct sharing *sh = POOL_OF(w);
	busy = w;
	pthread_mutex_unlock(&lock);
	/* The holder of the pool's lock may be stopped, and this pool be closed meanwhile: if recovery fails it is tried again. */
	bool due = recover_due_within(sh, reach, also), in_vain = due && !recover_now(sh),
	     alone = !due && recover_alone(sh);
	pthread_mutex_lock(&lock);
	busy = NULL;
	pthread_cond_broadcast(&done);
	if (w->begun && alone) {
		ring_remove(&w->restless);
	} else if (w->begun && in_vain) {
		disturb(w, time_ns() + LAST_LOOK_MS * NS_PER_MS);
		w->pause_ms = LAST_LOOK_MS;
	}
}

static struct watch *due_at(uint64_t now)
{
	for (struct watch_ring *r = restless.next; r != &restless; r = r->next)
		if (RING_OF(struct watch, restless, r)->look_ns <= now)
			return RING_OF(struct watch, restless, r);
	return NULL;
}

/* Under the lock, which it releases meanwhile. */
static void check_restless(void)
{
	for (struct watch *w; !ending && (w = due_at(time_ns()));) {
		uint64_t now = time_ns();
		bool last = w->pause_ms > LAST_LOOK_MS, all = last || now - w->all_seen_ns > TICK_MS * NS_PER_MS;
		w->look_ns = now + w->pause_ms * NS_PER_MS;
		w->pause_ms *= 2;
		if (all)
			w->all_seen_ns = now;
		if (last)
			ring_remove(&w->restless);
		check_pool(w, all ? RECOVER_ALL : RECOVER_STRETCH, 0);
	}
}

/* Read which objects were closed.  Under the lock. */
static void hear(void)
{
	struct closings said;
	while (ours(instance) && notify_hear(instance, &said)) {
		uint64_t now = time_ns();
		for (int closed; notify_next(&said, &closed);)
			for (struct watch_ring *r = pools.next; r != &pools; r = r->next) {
				struct watch *w = RING_OF(struct watch, all, r);
				if (w->subject >= 0 && (closed == w->subject || closed == NOTIFY_ANY))
					disturb(w, now);
			}
	}
}

/* Check the pools of whose closings nothing is told.  Under the lock, which it releases meanwhile. */
static void check_untold(void)
{
	bool all_told = instance >= 0;
	for (next_untold = pools.next; !ending && next_untold != &pools;) {
		struct watch *w = RING_OF(struct watch, all, next_untold);
		next_untold = next_untold->next; /* unless that one ends meanwhile */
		if (w->subject < 0 && ours(instance))
			subscribe(w);
		else if (w->subject >= 0)
			continue;
		if (w->subject >= 0) {
			disturb(w, time_ns());
			continue;
		}
		all_told = false;
		check_pool(w, RECOVER_NEIGHBOUR, turn);
	}
	turn++;
	tick_ns = time_ns() + (all_told ? REST_MS : TICK_MS) * NS_PER_MS;
}

/* ---- the thread --------------------------------------------------------- */

/* How long until the next check is due.  Under the lock. */
static int sleep_ms(void)
{
	uint64_t now = time_ns(), until = tick_ns;
	for (struct watch_ring *r = restless.next; r != &restless; r = r->next)
		if (RING_OF(struct watch, restless, r)->look_ns < until)
			until = RING_OF(struct watch, restless, r)->look_ns;
	return until <= now ? 0 : (int)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

/* The descriptor may have ended meanwhile: if not, it is reported again.  Under the lock, which it releases meanwhile. */
static void serve(void *ready)
{
	struct watch_descriptor *d = ready;
	busy = d;
	pthread_mutex_unlock(&lock);
	d->ready(d->of);
	pthread_mutex_lock(&lock);
	busy = NULL;
	pthread_cond_broadcast(&done);
}

/* The program has closed what was ours. */
static void be_told_nothing(void)
{
	for (struct watch_ring *r = pools.next; r != &pools; r = r->next) {
		struct watch *w = RING_OF(struct watch, all, r);
		w->subject = -1;
		atomic_store(&POOL_OF(w)->core->deaths_told, false);
		atomic_store(watching(POOL_OF(w)), 0);
	}
	close_all();
	hold_end(&seat);
}

/* Under the lock, which it releases meanwhile. */
static void sleep_and_serve(void)
{
	void *ready = NULL;
	int ms = sleep_ms();
	uint64_t before = forgotten;
	if (waits.poller >= 0 && !notify_wake_no_more(&waits))
		be_told_nothing();
	int from = waits.poller;
	pthread_mutex_unlock(&lock);
	if (from < 0)
		time_nap((uint64_t)(ms < (int)UNWATCHED_MS ? ms : (int)UNWATCHED_MS) * NS_PER_MS);
	else
		ready = notify_wait(from, ms);
	pthread_mutex_lock(&lock);
	if (!ready || before != forgotten)
		return;
	if (ready == &instance)
		hear();
	else
		serve(ready);
}

static void *watch(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	tick_ns = 0;
	while (!ending) {
		if (time_ns() >= tick_ns) {
			if (waits.poller >= 0 && instance < 0) {
				pthread_mutex_unlock(&lock);
				open_instance();
				pthread_mutex_lock(&lock);
			}
			check_untold();
		}
		check_restless();
		if (!ending)
			sleep_and_serve();
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* With `changing` held: there is a thread.  False: none can be had. */
static bool have_thread(void)
{
	if (running)
		return true;
	pthread_mutex_lock(&lock);
	bool opened = notify_open(&waits);
	pthread_mutex_unlock(&lock);
	running = opened && process_thread_begin(&thread, true, watch, NULL);
	if (opened && !running) {
		pthread_mutex_lock(&lock);
		close_all();
		pthread_mutex_unlock(&lock);
	}
	return running;
}

/* End the thread if there is nothing to watch. */
static void end_thread(void)
{
	pthread_mutex_lock(&changing);
	pthread_mutex_lock(&lock);
	ending = running && ring_empty(&pools) && ring_empty(&descriptors);
	bool end = ending;
	if (end)
		wake_up();
	pthread_mutex_unlock(&lock);
	if (end) {
		process_thread_end(thread);
		pthread_mutex_lock(&lock);
		running = ending = false;
		close_all();
		pthread_mutex_unlock(&lock);
		hold_end(&seat);
	}
	pthread_mutex_unlock(&changing);
}

/* ---- pools -------------------------------------------------------------- */

void watch_begin(struct sharing *sh)
{
	struct watch *w = &sh->watch;
	atomic_store(&sh->core->deaths_told, false);
	w->subject = -1;
	pthread_mutex_lock(&changing);
	if (have_thread()) {
		pthread_mutex_lock(&lock);
		w->begun = true;
		ring_add(&pools, &w->all);
		if (ours(instance))
			subscribe(w);
		/* A death before that was not told. */
		uint64_t now = time_ns();
		disturb(w, now);
		if (w->subject < 0 && tick_ns > now + TICK_MS * NS_PER_MS)
			tick_ns = now + TICK_MS * NS_PER_MS;
		wake_up();
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_unlock(&changing);
}

/* It was taken off its list: wait until the thread does not use it any more.  Under the lock. */
static void wait_until_done(const void *with)
{
	forgotten++;
	while (busy == with)
		pthread_cond_wait(&done, &lock);
}

void watch_end(struct sharing *sh)
{
	struct watch *w = &sh->watch;
	if (!w->begun)
		return;
	pthread_mutex_lock(&lock);
	w->begun = false;
	if (next_untold == &w->all)
		next_untold = w->all.next;
	ring_remove(&w->all);
	ring_remove(&w->restless);
	if (w->subject >= 0 && ours(instance))
		notify_closings_end(instance, w->subject);
	atomic_store(watching(sh), 0);
	wait_until_done(w);
	pthread_mutex_unlock(&lock);
	end_thread();
}

/* ---- descriptors -------------------------------------------------------- */

int watch_descriptor_begin(struct watch_descriptor *d)
{
	int error = EAGAIN;
	pthread_mutex_lock(&changing);
	if (have_thread()) {
		pthread_mutex_lock(&lock);
		error = notify_add(&waits, d->fd, d) ? 0 : errno;
		if (!error)
			ring_add(&descriptors, &d->all);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_unlock(&changing);
	if (error)
		end_thread();
	return error;
}

void watch_descriptor_end(struct watch_descriptor *d)
{
	pthread_mutex_lock(&lock);
	ring_remove(&d->all);
	notify_remove(&waits, d->fd);
	wait_until_done(d);
	pthread_mutex_unlock(&lock);
	end_thread();
}

/* ---- fork --------------------------------------------------------------- */

void watch_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void watch_after_fork(bool child)
{
	if (child) {
		/* The parent's go on: nothing is done to them but to close what this process has of them. */
		close_all();
		pools = (struct watch_ring){&pools, &pools};
		restless = (struct watch_ring){&restless, &restless};
		descriptors = (struct watch_ring){&descriptors, &descriptors};
		running = ending = false;
		busy = NULL;
		seat = (struct hold){0}; /* no such mapping is here */
		/* Threads of the parent's may have been at it, and are not here. */
		changing = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
		done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	}
	pthread_mutex_unlock(&lock);
}
