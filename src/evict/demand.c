/* demand.c - see demand.h. */
#include "evict/demand.h"

#include <errno.h>
#include <time.h>

#include "os/time.h"

/* For how long frames are made evictable ahead. */
#define AHEAD_NS (100 * NS_PER_MS)
/* A device that has written nothing for so long may be stuck. */
#define PATIENCE_NS (10 * NS_PER_MS)

void demand_init(struct demand *d)
{
	*d = (struct demand){0};
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	pthread_condattr_init(&d->of_time);
	pthread_condattr_setclock(&d->of_time, CLOCK_MONOTONIC);
}

void demand_end(struct demand *d)
{
	pthread_cond_destroy(&d->work);
	pthread_condattr_destroy(&d->of_time);
	pthread_mutex_destroy(&d->lock);
}

/* ---- who needs a frame -------------------------------------------------- */

void demand_wake(struct demand *d)
{
	pthread_mutex_lock(&d->lock);
	d->told = true;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

void demand_line_up(struct demand *d, struct in_line *l)
{
	pthread_mutex_lock(&d->lock);
	*l = (struct in_line){.asked = ++d->asked};
	pthread_cond_init(&l->changed, &d->of_time);
	*(d->first ? d->end : &d->first) = l;
	d->end = &l->next;
	atomic_fetch_add(&d->lined_up, 1);
	d->unseen += d->unseen == 0; /* what has come before, nobody has looked for since it is in the line */
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

/* Will nothing come? */
static bool is_over(const struct demand *d, const struct in_line *l)
{
	return d->rounds == 0 && (d->vain >= l->asked || atomic_load_explicit(&d->cleaners, memory_order_relaxed) == 0);
}

/* Is it its turn, with frames that the line has not looked for? */
static bool may_look(const struct demand *d, const struct in_line *l)
{
	return d->first == l && d->unseen > 0;
}

/* Something has changed, with the lock held: wake those of the line whom it concerns.  Who is before another has asked before him. */
static void wake_line(struct demand *d)
{
	for (struct in_line *l = d->first; l && (may_look(d, l) || is_over(d, l)); l = l->next)
		pthread_cond_signal(&l->changed);
}

/* Until something changes, or nothing has come for long: then false.  With the lock held. */
static bool wait_for_news(struct demand *d, struct in_line *l, bool patient)
{
	uint64_t end = time_ns() + PATIENCE_NS, before = d->arrivals;
	struct timespec t = {.tv_sec = (time_t)(end / NS_PER_S), .tv_nsec = (long)(end % NS_PER_S)};
	l->waited |= patient || !d->stuck;
	if (patient)
		return pthread_cond_wait(&l->changed, &d->lock) == 0;
	return !d->stuck && (pthread_cond_timedwait(&l->changed, &d->lock, &t) != ETIMEDOUT || d->arrivals != before);
}

bool demand_wait(struct demand *d, struct in_line *l, bool patient)
{
	bool look;
	pthread_mutex_lock(&d->lock);
	while (!(look = may_look(d, l)) && !is_over(d, l) && !l->late) {
		l->late = !wait_for_news(d, l, patient);
		d->stuck |= l->late;
	}
	/* If it finds one, the others are the next one's; if none, there are none. */
	l->unseen = look ? d->unseen : 0;
	d->unseen = look ? 0 : d->unseen;
	pthread_mutex_unlock(&d->lock);
	return look;
}

void demand_leave(struct demand *d, struct in_line *l, int *error)
{
	pthread_mutex_lock(&d->lock);
	struct in_line **at = &d->first;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	if (!l->next)
		d->end = at;
	d->unseen += l->unseen > 0 ? l->unseen - 1 : 0;
	atomic_fetch_sub(&d->lined_up, 1);
	*error = d->error;
	if (d->first && may_look(d, d->first))
		pthread_cond_signal(&d->first->changed); /* it is the next one's turn */
	pthread_mutex_unlock(&d->lock);
	pthread_cond_destroy(&l->changed);
}

/* ---- cleaners ----------------------------------------------------------- */

void demand_came(struct demand *d, uint32_t n)
{
	pthread_mutex_lock(&d->lock);
	d->arrivals += n;
	d->unseen += n;
	d->stuck = false;
	wake_line(d);
	pthread_mutex_unlock(&d->lock);
}

bool demand_begin(struct demand *d, uint32_t number, bool again, uint64_t *round)
{
	pthread_mutex_lock(&d->lock);
	atomic_fetch_add(&d->asleep, 1);
	while (number < d->most && !again && !d->told && d->asked == d->begun && !(d->first && d->useful))
		pthread_cond_wait(&d->work, &d->lock);
	atomic_fetch_sub(&d->asleep, 1);
	bool begin = number < d->most;
	if (begin) {
		d->told = false;
		*round = d->begun = d->asked;
		d->rounds++;
	} else {
		pthread_cond_signal(&d->work); /* what there is to do is another's */
	}
	pthread_mutex_unlock(&d->lock);
	return begin;
}

void demand_done(struct demand *d, uint64_t round, bool useful, int error)
{
	pthread_mutex_lock(&d->lock);
	d->rounds--;
	d->error = error;
	d->useful = useful;
	if (useful)
		d->vain = 0;
	else if (d->vain < round)
		d->vain = round;
	wake_line(d);
	pthread_mutex_unlock(&d->lock);
}

uint64_t demand_estimate(struct demand *d, uint64_t evictions, uint64_t now)
{
	pthread_mutex_lock(&d->lock);
	uint64_t n = evictions - d->base, passed = now - d->since;
	if (passed >= AHEAD_NS) {
		d->last = d->since == 0 ? 0 : (uint64_t)((double)n * (double)AHEAD_NS / (double)passed);
		d->base = evictions;
		d->since = now;
		n = 0;
	}
	/* It may have become more just now. */
	uint64_t next = n > d->last ? n : d->last;
	pthread_mutex_unlock(&d->lock);
	return next;
}

void demand_limit(struct demand *d, uint32_t most)
{
	pthread_mutex_lock(&d->lock);
	d->most = most;
	pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);
}

void demand_count(struct demand *d, int cleaners)
{
	pthread_mutex_lock(&d->lock);
	atomic_fetch_add(&d->cleaners, (uint32_t)cleaners);
	wake_line(d); /* who is in the line may be served no more */
	pthread_mutex_unlock(&d->lock);
}
