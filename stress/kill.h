/*
 * kill.h - one run of the kill mode, as its parts share it.
 *
 * kill.c          the parent: rounds; who is struck, when; who takes its place
 * kill_worker.c   a process that uses the pool, and may be killed anywhere
 * kill_witness.c  a process that is never struck: what must hold when all others rest
 * kill_record.c   what every page must hold, when any writer may die
 * kill_report.c   what is counted and printed
 *
 * All that they tell each other is on the board, in shared memory, and written so
 * that it is right whenever its writer dies: a thread notes what it is about to do
 * before it does it, and that it is done after.  No lock, then, that a dead thread
 * could keep, but the owner words of the pages, which the parent takes from the dead.
 */
#ifndef STRESS_KILL_H
#define STRESS_KILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpool.h"
#include "options.h"

/* What a thread is in. */
enum call {
	CALL_NONE,   /* between two calls */
	CALL_CHANGE, /* changing the bytes of a page */
	CALL_GET,
	CALL_GET_AGAIN, /* of a page that it has pinned already: surely in memory */
	CALL_PUT,
	CALL_PUT_DIRTY,
	CALL_NEW,
	CALL_REQUEST,
	CALL_DELETE,
	CALL_ABANDONED,
	CALL_SYNC,
	CALL_STATS,
	CALL_OPEN,
	CALL_CLOSE,
	CALL_AIMS,                /* those above are what a stroke may be aimed at */
	CALL_THREADS = CALL_AIMS, /* the main thread: its threads are at work */
	CALL_PARKED,              /* waits until it may go on, and has no pins */
	CALL_ENDED,               /* not there, or about to be gone */
	CALLS,
};

extern const char *const kill_call_name[CALLS];

enum { KILL_HELD_MAX = 8, KILL_LINE = 64, KILL_NOT_HELD = 0 };

#define KILL_NO_PAGE MAX_PAGE_NUMBER

/* One thread; its own to write, and the parent's when it is dead. */
struct actor {
	_Alignas(KILL_LINE) _Atomic int call;
	_Atomic pgno_t pgno;    /* that the call is about */
	_Atomic int parked_for; /* CALL_PARKED: until the pause is over that had this number */
	_Atomic uint64_t steps; /* calls begun */
	_Atomic uint64_t gets_begun, gets_done;
	_Atomic pgno_t held[KILL_HELD_MAX]; /* page number + 1: surely pinned */
};

/*
 * A page's bytes are read and changed by its owner alone.
 *
 *   SURE     -> CHANGING   its owner's, with `version` one more, before the bytes change
 *   SURE     -> UPSET      its owner's, before calls that may bring back older bytes
 *   CHANGING, UPSET -> SURE   its owner's, when the put with MPOOL_DIRTY has returned
 *
 * An owner that finds the page other than SURE took it from a dead one, and mends it.
 */
enum phase { PHASE_SURE, PHASE_CHANGING, PHASE_UPSET };

struct record {
	_Atomic uint64_t version;     /* begun */
	_Atomic uint64_t version_put; /* put: it must never be lost */
	_Atomic unsigned owner;       /* an actor's number + 1; 0: nobody's */
	_Atomic int phase;
	_Atomic bool allotted; /* mpool_new has given it */
	/* Deaths with the page pinned: surely, or perhaps.  Changed only while all rest. */
	uint64_t sure_deaths, deaths;
	_Atomic uint64_t deaths_forgiven; /* `deaths` before the last MPOOL_FORGIVE */
	_Atomic uint64_t forgivings;      /* begun */
};

struct member {
	_Atomic bool inside; /* mpool_open has returned, mpool_close is not yet called */
};

/* What the witness and the workers found, added up as it comes. */
struct findings {
	_Atomic uint64_t reads, changes, news, syncs, deletes, opens; /* done */
	_Atomic uint64_t mended_old, mended_new, mended_half, mended_upset;
	_Atomic uint64_t abandoned_seen;
	_Atomic uint64_t checks, files_checked;
	_Atomic uint64_t slowest_recovery, slowest_mark; /* microseconds */
};

struct board {
	_Atomic int pause;     /* counts up; odd: park, with no pins */
	_Atomic bool stop;     /* end */
	_Atomic bool flushing; /* in this round many sync at a time */
	_Atomic bool calm;     /* one is stopped: nothing that may have to wait for it */
	_Atomic uint64_t avoid_count;
	_Atomic pgno_t avoid[KILL_LINE];         /* pages that the stopped one may be loading */
	_Atomic int order;                       /* of the parent to the witness: check; the number counts up */
	_Atomic int done;                        /* the order that it has done */
	_Atomic bool last;                       /* the order is the last one */
	_Atomic pgno_t allotted;                 /* highest number given, plus 1 */
	_Atomic pgno_t reserved;                 /* calls of mpool_new begun, and the pages at the start */
	_Atomic pgno_t may_reserve;              /* up to this many */
	_Atomic uint64_t lost_new;               /* threads that died in mpool_new */
	_Atomic pgno_t cache_asked, cache_given; /* greatest maxcache: asked for, granted */
	/* What the witness must see; set while all rest. */
	unsigned members; /* workers inside */
	uint64_t deaths_least, deaths_most;
	struct findings found;
	struct member member[KILL_LINE];
	struct actor actor[]; /* see kill_actor */
};

struct kill {
	const struct options *o;
	struct board *board;
	size_t board_size;
	struct record *record;
	pgno_t records;
	char *key;
	int fd, plain_fd;
};

/* A worker's threads are 0 to threads - 1, its main thread is the last; after all, the witness. */
static inline unsigned kill_actors_each(const struct options *o)
{
	return o->threads + 1;
}

static inline unsigned kill_actor_number(const struct options *o, unsigned process, unsigned thread)
{
	return process * kill_actors_each(o) + thread;
}

static inline unsigned kill_witness_number(const struct options *o)
{
	return kill_actor_number(o, o->processes, 0);
}

/* The actor begins a call.  Its own line alone is written. */
static inline void kill_begin(struct actor *a, enum call call, pgno_t pgno)
{
	atomic_store(&a->pgno, pgno);
	atomic_store(&a->call, call);
	atomic_store_explicit(&a->steps, atomic_load_explicit(&a->steps, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

static inline void kill_end(struct actor *a)
{
	atomic_store(&a->call, CALL_NONE);
}

/* Waits while *word is `value`; wakes all who do. */
void kill_wait_while(_Atomic int *word, int value);
void kill_wake(_Atomic int *word);

/* --- records ---------------------------------------------------------------- */

struct kill_pin {
	pgno_t pgno;
	void *page;
	unsigned held; /* its place in actor.held */
};

/* One thread and what it needs to use pages. */
struct hand {
	const struct kill *k;
	MPOOL *pool;
	struct actor *a;
	unsigned number; /* the actor's */
	uint64_t random;
	char *buffer; /* of a page's size */
};

bool hand_get(struct hand *h, pgno_t pgno, struct kill_pin *pin);
void hand_put(struct hand *h, const struct kill_pin *pin, bool dirty);
/* The place of a page just got by another call than mpool_get. */
void hand_hold(struct hand *h, struct kill_pin *pin);
bool hand_may_hold(const struct hand *h);
/* Any page, the first ones often; false: none, for it may be held up by one that is stopped. */
bool hand_choose(struct hand *h, pgno_t *pgno);

bool record_own(struct hand *h, pgno_t pgno);
void record_disown(struct hand *h, pgno_t pgno);
/*
 * By its owner: the page is what it must be, or is mended: changed and put through
 * another pin.
 */
void record_check(struct hand *h, const char *where, const struct kill_pin *pin);
/* By its owner: the next version.  Put it dirty, and then call record_saved. */
void record_change(struct hand *h, const struct kill_pin *pin);
void record_saved(struct hand *h, pgno_t pgno);
/* By its owner, before calls that may bring older bytes; record_change ends it. */
void record_upset(struct hand *h, pgno_t pgno);
/* Any page that was given; false: none. */
bool record_allot(const struct kill *k, pgno_t pgno);
/* mpool_abandoned with MPOOL_FORGIVE. */
int record_forgive(struct hand *h, const struct kill_pin *pin);

/* --- processes --------------------------------------------------------------- */

_Noreturn void kill_worker(const struct kill *k, unsigned process, uint64_t incarnation);
_Noreturn void kill_witness(const struct kill *k);

/* Pages that the witness keeps pinned all the time, so that they never leave memory. */
enum { KILL_WATCHED = 2 };

/* --- what is counted and printed ------------------------------------------- */

/* What the strokes met; the parent's alone. */
struct kill_tally {
	unsigned long rounds, killed, killed_inside, together, while_stopped, stopped, quit;
	unsigned long reaped_late, aimed, went_on, waited;
	struct {
		unsigned long threads, with_pins, with_half;
	} by_call[CALLS];
};

void kill_print_start(const struct options *o);
void kill_print_progress(const struct kill *k, const struct kill_tally *t);
void kill_print_summary(const struct kill *k, const struct kill_tally *t);
void kill_print_actors(const struct kill *k);

#endif
