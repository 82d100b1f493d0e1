/*
 * table.h - the hash table: page number -> frame.
 *
 * Owns the tables: one, and while it is being replaced by a larger or smaller
 * one, the older ones too, newest (the head) first.  An entry is one 64-bit
 * word, and alone decides where a page is:
 *
 *   page + 1 (32 bits), frame, or owner while tentative or loading (29 bits),
 *   state (3 bits; resident is 0, so that a hit need not check it); free: 0.
 *
 *   free      --L, a thread that misses-->    tentative
 *   tentative --L, its owner-->               loading    the rest of the path held no
 *                                                        other entry of the page
 *   tentative --L, anybody-->                 free       retracted, or killed by a rival: at any time
 *   loading   --L, its owner-->               loading    by another owner, to whom it is handed over
 *   loading   --L, its owner-->               resident   read, or free: the read failed
 *   loading   --L, anybody-->                 stale      what is being read is not to be published: the page is to be
 *                                                        forgotten, or its file cut (evict/cut.h)
 *   stale     --L, its owner-->               free       and the page is begun anew; or stale of another, as loading
 *   resident  --L, holder of the claim-->     closing    eviction, sync, delete, check of a put
 *   closing   --L, anybody-->                 resident   rescued by a get, or reopened
 *   closing   --L, holder of the claim-->     closing    not rescued so far: a copy is kept
 *   closing   --L, holder of the claim-->     free       evicted
 *   closing   --L, holder of the claim-->     leaving    no pin was seen, and no get is to rescue it: its file is being cut
 *   leaving   --L, holder of the claim-->     free       it was; or resident: it was not
 *   free      --L, holder of the claim-->     resident   in a newer table, the older table's
 *   resident  --L, holder of the claim-->     free       word following: the entry has moved
 *
 * A build that checks itself holds each step against this table (entry_steps in table.c).
 *
 * All but tentative entries are valid: a page has at most one (two
 * for an instant while it moves, of the same frame).  Hence the order of an
 * insertion: place (L), then scan the whole path again.  Of two threads that
 * insert one page, at least one sees the other, and a tentative entry can be
 * killed before it becomes loading, so at most one of them wins.
 *
 * Path of a page: from its home bucket on, while the bucket's spill count,
 * "entries that wanted a place here and went on", is not zero; in every table,
 * oldest first.  Oldest first because entries move from older to newer: a search
 * that finds an entry gone from the older table finds it in a newer one.  The count
 * is raised before the placing, and lowered by the thread that frees the word.
 *
 * The counts, those of spills and a table's `entries`, are raised before a
 * placing and lowered after the freeing, so a process that dies in between leaves them
 * too high, which costs longer searches, and no more.
 *
 * An older table is unlinked when it is empty for good: all sections in which it
 * was the head are over, and a pass over its words since then found no entry
 * (resize.h).  It is then retired (epoch.h), and cached (region.h) until a table of its
 * size is needed.
 *
 * Callers, but for table_peek's, are in an epoch section; those that hold the
 * entry they refer to (their own tentative or loading one, or any of a frame they
 * have claimed) need one only to free it.
 */
#ifndef MPOOL_TABLE_H
#define MPOOL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/epoch.h"
#include "core/region.h"
#include "os/line.h"

enum entry_state { ENTRY_RESIDENT, ENTRY_CLOSING, ENTRY_LEAVING, ENTRY_LOADING, ENTRY_STALE, ENTRY_TENTATIVE };

#define ENTRY_FREE        ((uint64_t)0)
#define ENTRY_WHO_SHIFT   32
#define ENTRY_STATE_SHIFT 61
#define FRAMES_MAX        (1u << 29) /* numbers of frames and of owners fit in 29 bits */

static inline uint64_t entry_word(uint32_t page, enum entry_state state, uint32_t who)
{
	return (uint64_t)state << ENTRY_STATE_SHIFT | (uint64_t)who << ENTRY_WHO_SHIFT | (page + 1);
}
/* What an entry of the page has in its lower half; PAGE_NONE's is 33 bits, which no entry has. */
static inline uint64_t entry_key(uint32_t page)
{
	return (uint64_t)page + 1;
}
static inline uint32_t entry_page(uint64_t e)
{
	return (uint32_t)e - 1;
}
static inline enum entry_state entry_state(uint64_t e)
{
	return e >> ENTRY_STATE_SHIFT;
}
/* The frame of a resident, closing or leaving entry; the owner of another. */
static inline uint32_t entry_who(uint64_t e)
{
	return e >> ENTRY_WHO_SHIFT & (FRAMES_MAX - 1);
}
/* The frame, if `e` is a resident entry of that key; FRAMES_MAX or more if it is anything else. */
static inline uint64_t entry_resident_frame(uint64_t e, uint64_t key)
{
	/* What is left beside the frame is turned to where it makes a huge number; a
	 * free entry's is huge too, also if the key is of 33 bits. */
	uint64_t rest = e - key;
	return rest >> ENTRY_WHO_SHIFT | rest << ENTRY_WHO_SHIFT;
}
/* It can be got. */
static inline bool entry_in_memory(uint64_t e)
{
	return e != ENTRY_FREE && entry_state(e) <= ENTRY_CLOSING;
}
/* It names a frame. */
static inline bool entry_in_frame(uint64_t e)
{
	return e != ENTRY_FREE && entry_state(e) <= ENTRY_LEAVING;
}
static inline bool entry_valid(uint64_t e)
{
	return e != ENTRY_FREE && entry_state(e) <= ENTRY_STALE;
}
/* Somebody loads it, or is about to take it out: who wants it waits. */
static inline bool entry_waited_for(uint64_t e)
{
	return entry_valid(e) && !entry_in_memory(e);
}
static inline bool entry_loading(uint64_t e)
{
	return entry_valid(e) && !entry_in_frame(e);
}

#define TABLE_NONE 0u
/* Buckets an entry may be away from home; beyond that the table is replaced. */
#define TABLE_PROBES 16u
/* ... in one that was hashed anew as often as may be: few enough that a spill count can hold all entries that skip the bucket. */
#define TABLE_PROBES_MAX 4096u
/* Buckets that a hit looks at: home and next door. */
#define TABLE_NEAR 2u
/* Full at two thirds: 12 bytes an entry, and one entry in 25 away from home. */
#define TABLE_ENTRIES_OF(buckets) ((uint64_t)(buckets) * LINE_WORDS * 2 / 3)

/*
 * A page's home is the fraction of page x factor, a place between 0 and 1: one
 * multiplication, and for nearly all strides of page numbers more even than
 * chance.  For a few it is a disaster, so a table that finds its entries far
 * from home is replaced by one with the next factor.
 */
#define TABLE_FACTORS 8u

struct table {
	uint32_t id; /* its chunk's number */
	uint32_t buckets;
	_Atomic uint64_t factor;        /* fixed while the table is in use; changed while cached */
	_Atomic uint32_t factor_number; /* the same; a joiner looks at it any time */
	_Atomic uint32_t next;          /* the next older table's chunk, or TABLE_NONE */
	_Atomic uint32_t maker;         /* number of the stripe that is to link it, or give it back, + 1; 0: none */
	size_t bytes;
	/* Of resize.h: the drain of a table that is not the head any more. */
	_Atomic uint64_t since;   /* an epoch stamp; 0: none yet */
	_Atomic uint32_t drained; /* buckets that this pass has looked at */
	_Atomic bool left;        /* ... and found entries in that could not be moved */
	_Atomic bool quiet;       /* since this pass began nothing is placed in it any more */
	_Alignas(CACHE_LINE) _Atomic uint64_t entries;
	_Atomic uint64_t far; /* of them, those a hit does not find */
	_Alignas(CACHE_LINE) struct line bucket[];
	/* then: one bucket that stays empty, so that each has one next door;
	 * _Atomic uint16_t spill[buckets] */
};

/* Which of the factors it has. */
static inline uint32_t table_factor_number(const struct table *t)
{
	return atomic_load_explicit(&t->factor_number, memory_order_relaxed);
}

/*
 * Does the pool have, or did it have, more files than one?  A hit of the first file does not look whose page it finds, as long as
 * no page can be another's.  So who makes the second file's first page, in whatever process, sees to it that no plain hit
 * finds it:
 *
 *   attach       `several` <- BEGUN; a new table is the head; `several` <- DONE; an entry of another file's page, in the head
 *   any process  in a call: `several` is not NONE, and it is not told: its hits look; then it is told (core_told)
 *                the head is made known to hits (newest_is): only if `several` is NONE, or it is told
 *
 * A plain hit that has not been told searches a table that was the head before, where there is no such entry.
 */
enum several { SEVERAL_NONE, SEVERAL_BEGUN, SEVERAL_DONE };

struct table_state {
	_Atomic uint32_t head;
	_Atomic uint32_t draining; /* of resize.h: number of the stripe that moves entries + 1; 0: none */
	_Atomic uint32_t several;  /* of a shared pool: SEVERAL_... */
};

struct tables {
	/* This process's own way to the head, for hits: a hint, for it may be late.
	 * A table that was replaced stays where it is, without entries. */
	_Atomic(struct table *) newest;
	struct region *region;
	struct table_state *state;
	_Atomic bool told; /* this process's hits look which file a page is of: see SEVERAL_... */
};

/* Where an entry stands. */
struct table_ref {
	struct table *table;
	uint32_t bucket;
	_Atomic uint64_t *word;
};

/* For numbers that are few or need no speed: two rounds, so that no stride of them clashes. */
static inline uint64_t number_hash(uint32_t n)
{
	uint64_t h = (n + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
	return (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
}

/* One of n places, by a hash. */
static inline uint32_t hash_place(uint64_t hash, uint32_t n)
{
#ifdef __SIZEOF_INT128__
	return (uint32_t)((unsigned __int128)hash * n >> 64);
#else
	/* The same; a 32-bit processor's way. */
	return (uint32_t)(((hash >> 32) * n + ((hash & UINT32_MAX) * n >> 32)) >> 32);
#endif
}

static inline uint32_t table_home_of_key(const struct table *t, uint64_t key)
{
	return hash_place(key * atomic_load_explicit(&t->factor, memory_order_relaxed), t->buckets);
}
static inline uint32_t table_home(const struct table *t, uint32_t page)
{
	return table_home_of_key(t, entry_key(page));
}

static inline struct table *table_head(const struct tables *ts)
{
	/* Acquire: pairs with the new head in table_replace. */
	return region_at(ts->region, atomic_load_explicit(&ts->state->head, memory_order_acquire));
}

/*
 * The fast look, in no epoch section: a word near the home of the page with that key in the
 * newest table that had the key just now.  NULL proves nothing.
 */
static inline _Atomic uint64_t *table_peek(struct tables *ts, uint64_t key)
{
	/* Acquire: pairs with newest_is; the table was filled in before. */
	struct table *t = atomic_load_explicit(&ts->newest, memory_order_acquire);
	struct line *b = &t->bucket[table_home_of_key(t, key)];
	int i = line_find(b, (uint32_t)key);
	/* One page in thirty: most often it is next door. */
	if (unlikely(i == LINE_NONE) && (i = line_find(++b, (uint32_t)key)) == LINE_NONE)
		return NULL;
	return &b->word[(unsigned)i];
}

/* Bytes of a table for so many entries. */
size_t table_bytes_for(uint64_t entries);
/* Make the first table.  0, or -1: no memory. */
int table_init(struct tables *ts, uint32_t me, uint64_t entries);

/* In a process that joins a pool: hits are to look at the head. */
void table_join(struct tables *ts);

/*
 * The entry of `page` on its whole path: a valid one if there is one, else a
 * tentative one, else ENTRY_FREE.
 */
uint64_t table_find(struct tables *ts, uint32_t page, struct table_ref *ref);

enum insertion { INSERT_WON, INSERT_LOST, INSERT_FULL };
/*
 * Become the loader of `page`, of which table_find has just given `seen`: free
 * or tentative.  WON: *ref is the caller's loading entry.  LOST:
 * somebody else's entry is or was there: look again.  FULL: no free word near
 * home in the newest table, which is ref->table: replace it.
 */
enum insertion table_insert(struct tables *ts, uint32_t page, uint32_t me, uint64_t seen, struct table_ref *ref);

/* One transition each (see above); false: the entry was not in the state before.  table_publish: false: the load is stale. */
bool table_publish(const struct table_ref *ref, uint32_t page, uint32_t me, uint32_t frame);
bool table_make_stale(const struct table_ref *ref, uint64_t entry);
bool table_leave(const struct table_ref *ref, uint32_t page, uint32_t frame);
bool table_return(const struct table_ref *ref, uint32_t page, uint32_t frame);
bool table_close(const struct table_ref *ref, uint32_t page, uint32_t frame);
bool table_reopen(const struct table_ref *ref, uint32_t page, uint32_t frame);
bool table_stay_closed(const struct table_ref *ref, uint32_t page, uint32_t frame);
/* To free, from the state that `entry` shows; lowers the counts. */
bool table_free(const struct table_ref *ref, uint64_t entry);
/* The caller's load, stale or not: it is another's, or over. */
void table_hand_over(const struct table_ref *ref, uint32_t page, uint32_t me, uint32_t to);
void table_end_load(const struct table_ref *ref, uint32_t page, uint32_t me);

/* The holder of the frame's claim: the entry at `from` moves to the newest table. */
bool table_move(struct tables *ts, const struct table_ref *from);

/*
 * Replace `old`, if it is the head still, by one for that many entries, with
 * the factor of that number.  0, or -1: no memory.
 */
int table_replace(struct tables *ts, uint32_t me, const struct table *old, uint64_t entries, uint32_t factor_number);
/*
 * Its entries are further from home than chance would have them, and another
 * factor is left to try.  `full`: an insertion has found no place.
 */
bool table_clumped(const struct table *t, bool full);

/* Entries the head has and is meant to have at the most. */
uint64_t table_entries(const struct table *t);

/* The oldest table, if it is not the head as well; else NULL. */
struct table *table_oldest(struct tables *ts);
/*
 * Unlink the oldest table, which is empty for good, and give its memory back but
 * not its addresses; for one thread at a time.
 */
void table_unlink(struct tables *ts, struct table *oldest);

uint64_t table_bytes(struct tables *ts);

/* Call `see` for each valid entry that is there all the while, and maybe for others; for some more than once. */
typedef void entry_seen(void *to, const struct table_ref *at, uint64_t entry);
void table_each(struct tables *ts, entry_seen *see, void *to);

/*
 * For who recovers a dead process (recover.h), whose stripes `dead` tells.
 *
 * table_recover: its tentative, loading and stale entries are freed; whoever waits for a
 * load is to be woken by the caller.  Tables that it was about to link or to give
 * back are retired.
 *
 * table_settle: page's entry that names `frame`, whose claim the dead one held.
 * If the entry was being moved there are two: the older goes.  ENTRY_FREE: none.
 */
void table_recover(struct tables *ts, const struct epoch *e, struct stripe *me, stripe_test *dead, void *of);
uint64_t table_settle(struct tables *ts, uint32_t page, uint32_t frame, struct table_ref *ref);

/* What is wrong with the step, of the thread that makes it; NULL: nothing.  In builds that check themselves. */
const char *entry_step_wrong(uint64_t from, uint64_t to);
/* The same builds': what a table counts, and what an entry in bucket `b` adds to what it should count. */
struct table_counts {
	uint64_t entries, spills, far;
};
struct table_counts table_counts(struct table *t);
void table_count(const struct table *t, uint32_t b, uint64_t e, struct table_counts *n);
/* The next older table, or NULL. */
struct table *table_older(struct tables *ts, const struct table *t);

/* Is it a table as this code makes them, in at most `room` bytes? */
bool table_sound(const struct table *t, unsigned id, uint64_t room);

#endif
