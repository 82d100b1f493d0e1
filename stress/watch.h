/*
 * watch.h - who is doing what, and is anybody stuck?
 *
 * Owns a table with one line for each place a thread can work at, and two
 * threads.  The guard looks at the table once a second and aborts, with the
 * whole table printed, when some place has been at one step for longer than
 * the limit, by a clock that is patient with a busy machine (patience.h).  The teller calls the mode's progress function once a second;
 * that looks at the pool, so it can get stuck itself, and the guard cannot.
 *
 * The table is in memory that processes share, so one guard serves them all: that
 * of the process that made it.
 */
#ifndef STRESS_WATCH_H
#define STRESS_WATCH_H

#include <stdint.h>

#include "mpool.h"

enum doing {
	DOING_NOTHING, /* or waiting for something that is no pool call: never stuck */
	DOING_LOCK,
	DOING_CHECK,
	DOING_GET,
	DOING_PUT,
	DOING_NEW,
	DOING_REQUEST,
	DOING_DELETE,
	DOING_SYNC,
	DOING_STATS,
	DOING_OPEN,
	DOING_CLOSE,
	DOING_COUNT,
};

#define WATCH_NO_PAGE MAX_PAGE_NUMBER

/* `places` places for the mode's threads; two more are the main thread's and the teller's. */
void watch_start(unsigned places, unsigned limit_seconds);
void watch_stop(void);

/*
 * The same for a process that is to fork, and so starts no thread: it calls
 * watch_look once a second itself.
 */
void watch_make(unsigned places, unsigned limit_seconds);
void watch_free(void);
void watch_look(void);
/* Called before a hang ends the program. */
void watch_before_abort(void (*call)(void));
/* In a forked process: its main thread's place is this one, of the mode's. */
void watch_move_main(unsigned place);

/* Progress once a second from now on, and none after watch_quiet has returned. */
void watch_tell(void (*progress)(void *), void *arg);
void watch_quiet(void);

unsigned watch_main_place(void);

/* The thread at this place begins something. */
void watch_doing(unsigned place, enum doing doing, pgno_t pgno);
/* It has done one operation. */
void watch_done(unsigned place);
/* It is idle, or gone. */
void watch_rest(unsigned place);

uint64_t watch_operations(void); /* done so far, by all */

#endif
