/*
 * watch.h - who is doing what, and is anybody stuck?
 *
 * Owns a table, in memory that processes share, with one line for each place that a thread
 * can work at.  It is written so that it is right whenever its writer dies: a thread notes
 * what it is about to do before it does it, and that it is done after.
 *
 * A guard looks at the table now and then, and aborts, with the whole table printed, when
 * some place has been in one call for longer than the limit.  While all is well that is by
 * any clock.  When somebody seems to be stuck, the clock goes only as fast as the machine
 * lets this process and those it has started go (tests/watchdog/fair.h): who waits for a
 * processor does not hang.
 */
#ifndef STRESS_WATCH_H
#define STRESS_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* What a thread is in; a stroke may be aimed at those up to CLOSE. */
#define DOINGS_OF(X)                       \
	X(NOTHING, "between two calls")    \
	X(CHANGE, "changing a page")       \
	X(GET, "get")                      \
	X(GET_AGAIN, "get, page held")     \
	X(PUT, "put")                      \
	X(PUT_DIRTY, "put, dirty")         \
	X(NEW, "new")                      \
	X(REQUEST, "new, requested")       \
	X(DELETE, "delete")                \
	X(ABANDONED, "abandoned")          \
	X(LATCH, "latch")                  \
	X(TRY, "latch, tried")             \
	X(SHARE, "latch, shared")          \
	X(UPGRADE, "upgrade")              \
	X(UNLATCH, "unlatch")              \
	X(UNSHARE, "unlatch, shared")      \
	X(LOOK, "peek, or unchanged")      \
	X(SYNC, "sync")                    \
	X(STATS, "stats")                  \
	X(ATTACH, "attach")                \
	X(DETACH, "close of a file")       \
	X(OPEN, "open")                    \
	X(CLOSE, "close")                  \
	X(THREADS, "its threads at work")  \
	X(PARKED, "at rest, without pins") \
	X(ENDED, "not there")

#define DOING_NUMBER(name, text) DOING_##name,
enum doing { DOINGS_OF(DOING_NUMBER) DOINGS, DOING_AIMS = DOING_CLOSE + 1 };

extern const char *const doing_name[DOINGS];

/* What is counted, after the operations, and what that is called. */
#define COUNTS_OF(X)                           \
	X(GETS_BEGUN, "gets begun")            \
	X(GETS, "gets")                        \
	X(LOCKED, "pages in others' hands")    \
	X(BUSY, "deletes refused")             \
	X(LATCHES, "latches")                  \
	X(SHARED, "  shared")                  \
	X(UPGRADES, "  upgrades")              \
	X(REFUSED, "  refused")                \
	X(LOOKS, "peeks")                      \
	X(NOT_SEEN, "  refused")               \
	X(CHANGED, "  changed meanwhile")      \
	X(IMAGES, "pages written")             \
	X(TORN, "  torn, pinned alone")        \
	X(WITHHELD, "pages withheld")          \
	X(HOOKED, "refused by hooks")          \
	X(OPENS, "opens")                      \
	X(ATTACHED, "files attached")          \
	X(THREADS, "threads")                  \
	X(CANCELLED, "  cancelled")            \
	X(ORPHANS, "pins that outlived")       \
	X(SYNCS, "syncs checked")              \
	X(EXACT, "  pages exact")              \
	X(NEWER, "  being changed")            \
	X(OLD, "died changing: as before")     \
	X(NEW, "  changed")                    \
	X(HALF, "  half, and marked")          \
	X(UPSET, "deleted, or afresh")         \
	X(LOST, "older, as nobody had it")     \
	X(MARKS, "marks of a death")           \
	X(DIED_LATCHED, "latches of the dead") \
	X(KILLED, "processes killed")          \
	X(INSIDE, "  inside the pool")         \
	X(BESIDE, "  beside one stopped")      \
	X(AIMED, "  at a chosen call")         \
	X(STOPPED, "processes stopped")        \
	X(WENT_ON, "  threads went on")        \
	X(WAITED, "  threads might wait")      \
	X(QUIT, "processes that left")

#define COUNT_NUMBER(name, text) COUNT_##name,
enum count { COUNT_AFTER_OPERATIONS = OPERATIONS - 1, COUNTS_OF(COUNT_NUMBER) COUNTS };

enum { HELD_MAX = 16, LATCHED_MAX = 10, LINE_SIZE = 64 /* watching must not slow the watched */ };

/* One thread's; its own to write, and when it was killed, that of the process which killed it. */
struct place {
	_Alignas(LINE_SIZE) _Atomic int doing;
	_Atomic pgno_t pgno;                   /* that the call is about */
	_Atomic int parked_for;                /* DOING_PARKED: the pause that it waits for the end of */
	_Atomic uint64_t steps;                /* calls begun */
	_Atomic uint64_t held[HELD_MAX];       /* page number + 1: surely pinned; 0: none */
	_Atomic uint64_t latched[LATCHED_MAX]; /* ... latched exclusively */
	_Atomic uint64_t count[COUNTS];
	/* The guard's own, and what it had done when one was stopped. */
	uint64_t steps_then;
	uint64_t steps_seen;
	double seen_at; /* by watch_seconds */
};

/* The table, all places ENDED. */
void watch_make(unsigned places, unsigned limit_seconds);
struct place *watch_place(unsigned number);

/* The thread at this place begins a call; and has come back. */
void watch_doing(struct place *at, enum doing doing, pgno_t pgno);
void watch_done(struct place *at);
void watch_count(struct place *at, unsigned count, uint64_t more);

uint64_t watch_sum(unsigned count);
uint64_t watch_operations(void);
void watch_print_counts(void); /* those that are not 0 */

/* The guard's look, again and again; `doubt`: somebody else seems to be stuck. */
void watch_look(bool doubt);
double watch_seconds(void);
/* Waited for as long as that, one seems to be stuck. */
#define WATCH_DOUBT 5.0
/* Says so, calls watch_before_abort, and aborts. */
_Noreturn void watch_hang(const char *what);
extern void (*watch_before_abort)(void);

/* Waits while *word is `value`, but no longer than that; false: it still is.  And wakes all who do. */
bool wait_while(_Atomic int *word, int value, unsigned milliseconds);
void wake(_Atomic int *word);
#define FOREVER UINT32_MAX

/* A thread that does something once a second until it is told to stop. */
struct ticker {
	pthread_t thread;
	void (*tick)(void);
	_Atomic int stop;
};

void ticker_start(struct ticker *t, void (*tick)(void));
void ticker_stop(struct ticker *t);
void watch_guard(void); /* a tick */

void start_thread(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
