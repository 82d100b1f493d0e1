/*
 * demand.h - what the threads that need frames want of the cleaners, and their line.
 *
 * Owns what this process's threads and its cleaners (cleaner.h) tell each other of a pool; another
 * process has its own.  Where there are cleaners, a thread that needs a frame writes no page itself:
 * when it finds no evictable one it asks for a round, and waits in the line until
 *
 *   frames came     the first of the line takes one and leaves; if more came, it is the next one's turn
 *   nothing came    the round that it asked for, or a later one, has found nothing, and none is
 *                   under way: it waits for nobody
 *   it takes long   no frame has come for so long that the device may be stuck: it takes a clean page
 *                   that would have stayed, if there is one, and whoever comes does the same before
 *                   he waits, until frames come again
 *
 * As long as rounds find something and somebody is in the line, the next begins at once: who
 * left the line because a round is over would search all of the pool for a clean page.
 *
 * A round is a cleaner's search for victims, their copies and their writes; so who waits, waits
 * while writes are in flight and no longer.  Which frames are evictable the hints tell (clock.h).
 *
 *   cleaner   asleep --asked, or told that little is left--> in a round --> asleep
 *
 * Without cleaners nobody comes here but for one load.
 *
 * The lock is held by nobody while he waits for anything else, and by no thread that finds a
 * frame, but to wake a cleaner that is asleep.
 */
#ifndef MPOOL_DEMAND_H
#define MPOOL_DEMAND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct in_line {
	struct in_line *next;
	uint64_t asked;  /* the round that it asked for */
	uint64_t unseen; /* frames that it looks for just now, or has found one of */
	bool waited;
	bool late; /* it took long */
	/* Its own: a frame wakes the one whose turn it is, not the whole line. */
	pthread_cond_t changed;
};

struct demand {
	_Atomic uint32_t cleaners; /* that there are; 0: whoever needs a frame writes */
	_Atomic uint32_t asleep;   /* of these */
	_Atomic uint32_t lined_up; /* threads in the line */
	_Atomic int32_t low;       /* so few evictable frames of a shard are little */
	pthread_mutex_t lock;      /* guards all that follows */
	pthread_condattr_t of_time;
	pthread_cond_t work;
	struct in_line *first, **end; /* of the line; end: NULL is the same as &first */
	uint64_t asked, begun;        /* rounds */
	uint64_t vain;                /* the last that found nothing; 0: there was one since that did */
	bool useful;                  /* the last has found something */
	uint64_t arrivals;            /* of frames, */
	uint64_t unseen;              /* and those of them that the line has not looked for: about how many */
	bool stuck;                   /* somebody has waited long for the next */
	unsigned rounds;              /* under way */
	bool told;                    /* that little is left */
	uint32_t most;                /* cleaners of this number and above end */
	int error;                    /* of the last round */
	uint64_t since, base, last;   /* demand_estimate */
};

void demand_init(struct demand *d);
/* Nobody is in the line, and there is no cleaner. */
void demand_end(struct demand *d);

static inline bool demand_served(const struct demand *d)
{
	/* Relaxed: what is not served yet, or no more, is done without. */
	return atomic_load_explicit(&d->cleaners, memory_order_relaxed) > 0;
}
/* Is anybody in the line?  Then it is not the turn of who comes now. */
static inline bool demand_lined_up(const struct demand *d)
{
	return atomic_load_explicit(&d->lined_up, memory_order_relaxed) > 0;
}
/* A shard has so few evictable frames: wake a cleaner, if that is little. */
void demand_wake(struct demand *d);
static inline void demand_left(struct demand *d, int32_t evictable)
{
	if (evictable < atomic_load_explicit(&d->low, memory_order_relaxed) &&
	    atomic_load_explicit(&d->asleep, memory_order_relaxed) > 0)
		demand_wake(d);
}

/*
 * Line up, and ask for a round.  Then until demand_wait is false, or a frame was found: look for
 * one.  Unless it is `patient`, that is false, and l->late, when it takes long, too.  Leave the line; *error: errno of the last round, if a write has failed in it.
 */
void demand_line_up(struct demand *d, struct in_line *l);
bool demand_wait(struct demand *d, struct in_line *l, bool patient);
void demand_leave(struct demand *d, struct in_line *l, int *error);

/* By cleaners: so many frames have become evictable. */
void demand_came(struct demand *d, uint32_t n);
/* By cleaner `number`: sleep until there is a round to begin, at once if `again`; false: it is to end. */
bool demand_begin(struct demand *d, uint32_t number, bool again, uint64_t *round);
/* It is over, and has found something, or not. */
void demand_done(struct demand *d, uint64_t round, bool useful, int error);
/* Of evictions so far at this time, in nanoseconds: how many the next tenth of a second is to bring. */
uint64_t demand_estimate(struct demand *d, uint64_t evictions, uint64_t now);
/* There are to be so many. */
void demand_limit(struct demand *d, uint32_t most);
/* One more is there, or one less. */
void demand_count(struct demand *d, int cleaners);

#endif
