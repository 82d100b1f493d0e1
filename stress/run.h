/*
 * run.h - one run of churn or kill, as its parts share it.
 *
 * run.c         makes the pool, sums up; a run in one process
 * files.c       the pool's files, one or several; those that are attached come and go
 * family.c      a run in several processes: who starts, waits for and replaces whom
 * kill.c        ... of which some are struck, in rounds
 * crew.c        a process's threads: they work, park, end and are replaced
 * operations.c  what a thread does
 * hands.c       ... to one page
 * images.c      what goes to the file, and comes from it
 * witness.c     what must hold after a sync, when all rest, and at the end
 *
 * What processes tell each other is on the board and in the watch table, in shared memory,
 * and written so that it is right whenever its writer dies.  No lock, then, that a dead
 * thread could keep, but those of the pages, which the parent takes from the dead.
 */
#ifndef STRESS_RUN_H
#define STRESS_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "draw.h"
#include "options.h"
#include "page.h"
#include "watch.h"

enum {
	AVOID_MAX = 4096,
	HOLD_MAX = 4,    /* pages that a thread keeps from one operation to the next */
	SEVERAL_MAX = 8, /* pages that an operation has at most */
	LEFT_MAX = 64,   /* pins left to other threads */
};

/*
 * What a page must hold, and the lock that orders what threads do to its bytes (which the
 * pool leaves to its users).
 *
 *   version == put, upsets even   the page shows that version
 *   version > put                 its writer is changing it, or has it still to put
 *   upsets odd                    its writer is in calls that may bring back older bytes
 *
 * A page's bytes are read or written under its lock: a latch of the pool's, of the pages of is_latched; of the others
 * one of this program's.  Nobody waits for one of these for long: who finds the page in others' hands does without.  For a
 * latch only a thread waits that has none.  So no two threads wait for each other; and while one is stopped, latches are
 * only tried.  While processes are killed, a page is put before it is
 * unlocked: who locks one that is changing, or upset, has it from a dead one, and mends it.
 */
enum access { ACCESS_READ, ACCESS_WRITE };

struct record {
	_Atomic uint64_t version, upsets;
	_Atomic uint64_t put;  /* a put with MPOOL_DIRTY of it has returned: a sync from now on must save it */
	_Atomic uint32_t lock; /* 0; a writer's place + 1; or how many readers, and READERS */
	_Atomic bool allotted; /* mpool_new has given it */
	/* Deaths with the page pinned: surely; and perhaps, which changes only while all rest. */
	uint64_t sure_deaths, deaths;
	uint64_t deaths_since;            /* the last check: perhaps; the parent's own */
	_Atomic uint64_t deaths_forgiven; /* `deaths` before the last MPOOL_FORGIVE */
	_Atomic uint64_t forgivings;      /* begun */
	_Atomic uint64_t image;           /* the version that was last written to the file */
	/* Of some pages, is_counted: pins, from before they are had until after they were put; and how many there were. */
	_Atomic uint64_t pins, pins_begun;
};

bool record_lock(struct record *r, unsigned place, enum access access);
void record_unlock(struct record *r);

/* Is it known which version the page must show? */
bool record_sure(struct record *r);
/* Was it upset before? */
bool record_upset(struct record *r);
void record_settle(struct record *r);

void raise_to(_Atomic uint64_t *most, uint64_t value);

struct board {
	_Atomic int pause; /* counts up; odd: park, with no pins */
	_Atomic int order; /* to the witness: check; counts up */
	_Atomic int done;  /* the order that it has done */
	_Atomic bool last; /* the order is the last one */
	_Atomic bool interrupted;
	_Atomic bool flushing;        /* in this round many sync at a time */
	_Atomic bool calm;            /* one is stopped: nothing that may have to wait for it */
	_Atomic unsigned avoid_count; /* pages that the stopped one may be loading, or dropping */
	_Atomic pgno_t avoid[AVOID_MAX];
	_Atomic uint64_t rounds;
	_Atomic uint64_t lost_new; /* threads that died in mpool_new */
	/* The greatest maxcache that was asked for: by calls that have begun, that have returned. */
	_Atomic uint64_t cache_asked, cache_given;
	/* mpool_open has returned, mpool_close is not yet called: each worker's, the witness's. */
	_Atomic bool inside[PROCESSES_MAX + 1];
	/* What the witness must see; set while all rest. */
	uint64_t members, deaths_least, deaths_most;
};

static inline bool is_pause(int pause)
{
	return pause % 2 != 0;
}

/*
 * One of the pool's files.  A page has one number for all here, and in its record and its bytes: of the first file it is the
 * pool's; those of the others follow, and the pool is told page_in.
 */
struct file {
	int fd, plain_fd; /* the pool's; the same file's, for reading and writing around the pool */
	ino_t inode;
	pgno_t first, records;     /* its pages' numbers */
	pgno_t pages, pages_max;   /* at the start; at the end */
	_Atomic uint64_t allotted; /* pages; the last one given, plus 1 */
	_Atomic uint64_t reserved; /* calls of mpool_new begun, and the pages at the start */
};

/*
 * What a process has of a file.  Who makes a call with an attached one's handle, or has a page of it pinned, has a share of it,
 * so that it stays.
 */
struct own {
	MPOOL *pool;
	_Atomic uint32_t shares;
};

struct run {
	const struct options *o;
	bool killing;
	struct board *board;
	struct record *record; /* of each page */
	pgno_t records;
	struct file *file; /* the first, and those attached */
	char *key;         /* of the pool; NULL: private */
	double growth;     /* seconds in which the file grows */
	/* This process's own: */
	MPOOL *pool;
	struct own *own; /* of each file */
	unsigned process;
	struct place *main; /* its main thread's */
	double leave_at;    /* on report_seconds' clock */
};

extern struct run run; /* there is one */

/* Places in the watch table: a process's threads, its main thread; after all, the others. */
enum { PLACE_WITNESS, PLACE_TELLER, PLACE_PARENT, PLACES_AFTER };
unsigned place_number(unsigned process, unsigned thread);
struct place *place_of(unsigned process, unsigned thread);
struct place *main_of(unsigned process);
unsigned place_after(unsigned which);

double run_part(void); /* of the time, or the rounds; 1: it is over */
bool run_over(void);   /* that, or too many faults, or a signal */
bool stay_over(void);  /* that, or this process's time in the pool is over */

/* --- files.c ------------------------------------------------------------------- */

void files_make(void);
unsigned files(void); /* the first one too */
struct file *choose_file(struct worker *w);
struct file *file_of(pgno_t pgno);
/* Its number for the pool; of a file's next page, for all here. */
pgno_t page_in(pgno_t pgno);
pgno_t page_end(const struct file *f);
MPOOL *handle_of(const struct file *f);
/* For a page that is pinned: the pool's, or its file's. */
MPOOL *any_handle(struct worker *w, pgno_t pgno);
/* Which the pool writes by this descriptor; NULL: it is this program that writes. */
struct file *file_written(int fd);
/* False: it is away, or has no such page any more.  Who has one gets another. */
bool share_file(struct file *f);
void unshare_file(struct file *f);
bool share_page(pgno_t pgno);
void unshare_page(pgno_t pgno);
/*
 * Nobody may have it attached for a while, but where it is private: then what was put and not synced is lost.  And so the page
 * may be an older one than its last version: not if that is known to be in the file.
 */
bool is_lossy(const struct file *f);
bool may_be_older(pgno_t pgno);
/* Closes a file that nobody of this process uses, or attaches one. */
void file_go_or_come(struct worker *w);
/* Those that are away, when all rest; those that are not lossy; at random. */
enum which { FILES_ALL, FILES_KEPT, FILES_SOME };
void files_come(struct worker *w, enum which which);
/* Those that are lossy; and the pool is closed, with all of them. */
void files_go(struct worker *w);
void files_closed(void);

/* --- run.c --------------------------------------------------------------------- */

/* The calling process opens the pool, by `fd`, which may be -1 when it exists; and leaves it. */
void pool_open(int fd, pgno_t cache);
void pool_close(void);
struct mpool_stats pool_stats(struct place *at);
/* Filters and hooks. */
void pool_settings(struct file *f);
/* From the memory's form of a page to the file's, and back; the cookie is its file, whose numbers these are. */
void to_file(void *cookie, pgno_t pgno, void *page);
void to_memory(void *cookie, pgno_t pgno, void *page);
void print_progress(void); /* a tick */

/* --- hands.c ------------------------------------------------------------------- */

/* One pin, to be put once. */
struct pin {
	pgno_t pgno;
	void *page;
	uint64_t version; /* not 0: the page was modified to this version, to be saved with the put */
	bool marked;      /* another pin was put with MPOOL_DIRTY while this one lasted */
	unsigned noted;   /* its place in place.held */
};

/* Of a thread's own. */
struct latch {
	enum { LATCH_NONE, LATCH_SHARED, LATCH_EXCLUSIVE } kind;
	pgno_t pgno;
};

/* One thread that uses pages. */
struct worker {
	struct place *at;
	bool hired; /* it is of the crew */
	unsigned number;
	uint64_t name;   /* what its pages say of their writer */
	uint64_t random; /* state of the generator */
	char *buffer;    /* of a page's size, and good for O_DIRECT */
	unsigned held_count;
	struct pin held[HOLD_MAX];
	struct latch latch[LATCHED_MAX];
};

struct worker *worker_make(unsigned number, uint64_t life);
void worker_free(struct worker *w);
unsigned below(struct worker *w, unsigned n); /* a random number from 0 to n - 1 */
bool flip(struct worker *w);
enum access any_access(struct worker *w);
/* Any page, of any file, or of this one, the first ones often: many threads must meet at one page.  False: there is none to be got now. */
bool choose_page(struct worker *w, pgno_t *pgno);
bool choose_page_of(struct worker *w, const struct file *f, pgno_t *pgno);

/* It may be in the hands of a process that is stopped. */
bool to_be_avoided(pgno_t pgno);

/* Who looks at such a page, or changes it, latches it. */
bool is_latched(pgno_t pgno);
/* All are, and the pool knows: a pin is no sign of a change. */
bool all_latched(void);
/* False if others have it.  A page to be latched is one that this thread has pinned.  Where some are killed, a reader of
   another has it alone too, and so has one of a page that is to be mended. */
bool lock_page(struct worker *w, const struct pin *pin, enum access access);
void unlock_page(struct worker *w, const struct pin *pin);
/* mpool_upgrade; false: it was changed since. */
bool upgrade_page(struct worker *w, const struct pin *pin, uint64_t version);
/* Notes a latch, and that it is about to be given up. */
void note_latch(struct worker *w, pgno_t pgno, bool exclusive);
void forget_latch(struct worker *w, pgno_t pgno);

/* Of some pages it is counted who has them pinned. */
bool is_counted(pgno_t pgno);
void count_pin(pgno_t pgno);
/* Before it is pinned, with a share of its file; false: that is away.  And after it was put, or could not be had. */
bool pin_begins(pgno_t pgno);
void pin_ends(pgno_t pgno);
/* mpool_get; false: its file is away; else it is a fault, and reported. */
bool get_page(struct worker *w, pgno_t pgno, struct pin *pin);
/* The same of a page that is pinned: it has one address, whoever gets it. */
bool get_again(struct worker *w, const struct pin *pin, struct pin *other);
void put_page(struct worker *w, const struct pin *pin);
/* Notes a page just got by another call, and that it is about to be given up by one. */
void note_pin(struct worker *w, struct pin *pin);
void forget_pin(struct worker *w, const struct pin *pin);

/* Under the page's lock: it must show exactly the last version; or whose writer was killed, and is mended. */
void check_page(struct worker *w, const char *where, struct pin *pin);
/* After mpool_delete: any version that reached the file, or a torn one. */
void check_older(const char *where, pgno_t pgno, const struct page_view *view);
/* The version put last is in the file, unless it is just upset, or changed: then it may be a newer one. */
struct before {
	uint64_t version, put, upsets;
};
struct before look_before(const struct record *r);
bool check_saved(struct worker *w, const char *where, pgno_t pgno, const struct before *before);
/* One mpool_sync, with a share of the file, while others work or rest, then the file against what was put before it.  False: refused. */
bool check_sync(struct worker *w, struct file *f);
/* Under the page's write lock: the next version. */
void write_page(struct worker *w, struct pin *pin);
/* What was written is put dirty now, and the page kept; it is marked then. */
void save_through_another_pin(struct worker *w, struct pin *pin);
/* mpool_abandoned; with MPOOL_FORGIVE, and noted. */
int look_abandoned(struct worker *w, const struct pin *pin, unsigned flags);
int forgive_page(struct worker *w, const struct pin *pin);

/* Gets and locks a page, in either order: users do both.  False: no page, no lock. */
bool enter_page(struct worker *w, pgno_t pgno, enum access access, struct pin *pin);
/* Puts and unlocks it, in either order; but if the thread may be killed, puts it first. */
void leave_page(struct worker *w, const struct pin *pin);

/* --- images.c ------------------------------------------------------------------ */

/* This thread, which is none, or ends. */
void images_thread(struct worker *w);
/* What it writes now may be copied while it is being changed, where that is done under a pin alone. */
void images_may_tear(bool may);
/* A call failed: because a hook refused a page? */
bool is_refusal(void);
extern const struct mpool_hooks image_hooks;

/* --- the rest ------------------------------------------------------------------ */

/* Once a second, with the time since the start: does this process use more and more?  Bytes resident. */
uint64_t soak_look(double now);
enum { SOAK_GROWTH = 15 /* seconds in which the file grows, of a soak */ };

/* Keeps a worker at every place of the process until stay_over, and returns when all have ended. */
void crew_work(uint64_t first_life);
/* While there is a pause. */
void park(struct place *at);

/* The witness's work, from after mpool_open until after mpool_close. */
void witness_work(void);

/* Processes: from the first open of the pool to the last close.  `play` is called until it is over. */
void family_run(void (*play)(void));
struct process {
	pid_t pid;   /* 0: none */
	bool struck; /* dead, and accounted for, but perhaps not yet reaped */
	uint64_t life;
};
extern struct process workers[PROCESSES_MAX];
bool family_alive(unsigned process);
void family_start_missing(void);
void family_see_who_ended(void);                 /* of themselves */
void family_ended(unsigned process, int status); /* this one */
void family_reap(void);                          /* the struck */
/* Sleeps for so many seconds, or until a child ends or stops, or a signal comes. */
void family_doze(double seconds);
/* All park, or go on. */
void family_pause(bool wanted);
/* Waits until something holds, which must come to hold. */
void await(bool (*holds)(void), const char *what);
/* Has the witness check what must hold when all rest. */
void order_check(void);

/* One round, in which somebody is struck. */
void kill_play(void);
void kill_print(void);

/* The mode of that name; the exit status. */
int verify(const struct options *o);

#endif
