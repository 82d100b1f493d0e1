/* cleaner.c - see cleaner.h. */
#include "evict/cleaner.h"

#include <errno.h>

#include "os/cancel.h"
#include "os/process.h"
#include "os/time.h"

void cleaner_init(struct cleaners *c, struct evict *ev)
{
	c->ev = ev;
	atomic_store(&c->wanted, 0);
	c->threads = 0;
	for (unsigned i = 0; i < SHARDS_MAX; i++)
		atomic_store_explicit(&ev->coming[i], 0, memory_order_relaxed);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->begun, NULL);
	demand_init(&ev->demand);
}

/* One round; *made: frames that it has found.  True: there is more to be done. */
static bool clean_round(struct evict *ev, struct stripe *me, uint32_t *made, int *error)
{
	struct demand *d = &ev->demand;
	uint64_t evictions = pin_counter(&ev->core->pins, COUNT_EVICTIONS);
	uint64_t next = demand_estimate(d, evictions, time_ns());
	return clock_ahead(ev, me, next < UINT32_MAX ? (uint32_t)next : UINT32_MAX, made, error);
}

/* Until the end of the block, whichever way it is left: a filter may end the thread, which others wait for. */
struct serving {
	struct demand *d;
	uint64_t round;
	bool in_round;
	uint32_t made;
	int error;
};

static void served(const struct serving *s)
{
	if (s->in_round)
		demand_done(s->d, s->round, s->made > 0, s->error);
	demand_count(s->d, -1);
}

static void serve(struct evict *ev, struct stripe *me, uint32_t number)
{
	__attribute__((cleanup(served))) struct serving s = {.d = &ev->demand};
	bool again = false;
	while ((s.in_round = demand_begin(s.d, number, again, &s.round))) {
		s.made = 0;
		s.error = 0;
		again = clean_round(ev, me, &s.made, &s.error);
		demand_done(s.d, s.round, s.made > 0, s.error);
	}
}

static void *run(void *cleaner)
{
	struct cleaner *c = cleaner;
	struct evict *ev = c->of->ev;
	NO_CANCELLATION;
	struct attachment *a = thread_enter(ev->core, (uintptr_t)__builtin_frame_address(0));
	pthread_mutex_lock(&c->of->lock);
	c->of->error = a ? 0 : errno;
	demand_count(&ev->demand, a != NULL);
	pthread_cond_signal(&c->of->begun);
	pthread_mutex_unlock(&c->of->lock);
	if (!a)
		return NULL;
	serve(ev, a->stripe, c->number);
	thread_leave(a);
	return NULL;
}

/* With the lock held: one thread more. */
static int add_thread(struct cleaners *c)
{
	struct cleaner *next = &c->cleaner[c->threads];
	*next = (struct cleaner){.of = c, .number = c->threads};
	c->error = -1;
	/* Filters run there. */
	if (!process_thread_begin(&next->thread, false, run, next))
		return EAGAIN;
	while (c->error == -1)
		pthread_cond_wait(&c->begun, &c->lock);
	if (c->error)
		process_thread_end(next->thread); /* it does nothing more */
	else
		c->threads++;
	return c->error;
}

/* With the lock held: as many as there are to be, as far as they can be had. */
static int adapt(struct cleaners *c, uint32_t n)
{
	int error = 0;
	demand_limit(&c->ev->demand, n);
	while (c->threads > n)
		process_thread_end(c->cleaner[--c->threads].thread);
	while (c->threads < n && !error)
		error = add_thread(c);
	return error;
}

int cleaner_set(struct cleaners *c, uint64_t n)
{
	if (n > CLEANERS_MAX)
		return EINVAL;
	pthread_mutex_lock(&c->lock);
	uint32_t before = c->threads;
	int error = adapt(c, (uint32_t)n);
	if (error)
		(void)adapt(c, before); /* fewer: that does not fail */
	else
		atomic_store(&c->wanted, (uint32_t)n);
	pthread_mutex_unlock(&c->lock);
	return error;
}

void cleaner_end(struct cleaners *c)
{
	if (c->threads > 0)
		(void)adapt(c, 0);
	pthread_cond_destroy(&c->begun);
	pthread_mutex_destroy(&c->lock);
	demand_end(&c->ev->demand);
}

void cleaner_forked(struct cleaners *c)
{
	uint32_t wanted = atomic_load(&c->wanted);
	cleaner_init(c, c->ev);
	atomic_store(&c->wanted, wanted);
}

void cleaner_again(struct cleaners *c)
{
	uint32_t wanted = atomic_load(&c->wanted);
	if (wanted == 0)
		return;
	pthread_mutex_lock(&c->lock);
	(void)adapt(c, wanted); /* who needs a frame does without */
	pthread_mutex_unlock(&c->lock);
}
