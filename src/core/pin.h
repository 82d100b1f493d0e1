/*
 * pin.h - pins: which thread holds which frame.
 *
 * Owns the stripes.  A stripe is one line of eight slots written by one thread; a slot
 * counts that thread's pins of one frame.  A frame's pins are the sum over all stripes and
 * nothing else: there is no other count.  A thread owns one stripe from its first call on
 * the pool to its end, and more while it holds more pins than one stripe has slots.
 *
 * Slot word: frame + 1 (32 bits), count (31 bits), peek (1 bit); empty: 0.  A slot that
 * names a frame and counts none is a try.
 *
 *   empty  --P, owner-->            {f, 0}           a get, before its re-check: trying
 *   trying --P, owner-->            {f, 1}           the re-check succeeded: a pin
 *   trying --P, owner-->            {f, 1, peek}     the same, for MPOOL_IGNOREPIN
 *   peek   --P, owner-->            empty            the owner's next call
 *   trying --P, owner-->            empty            the re-check failed
 *   {f, n} --L, owner-->            {f, n + 1}       a get by the slow path, of a frame that
 *                                                    the thread has pinned already, while
 *                                                    another slot of it still tries that frame
 *   {f, 1} --P, owner-->            empty            a put, plain (see below)
 *   {f, n} --L, any of the process--> {f, n - 1} or empty   any other put
 *
 * P is a plain release store, L a locked operation.  A build that checks itself holds each step
 * against this table (SLOT_CHECK_STEP).  Only the owner changes a trying slot or
 * a peek: a put that took another thread's trying slot for a pin would leave the real pin
 * set for ever.
 *
 * An owner's put may be plain as long as no other thread ever put in its slots.  The first
 * put of another thread's pin ends that for the pool, for good:
 *
 *   owner's put   putting <-P- 1; barrier_light;      }  pairs with  { mode <-L- SWITCHING;
 *                 mode still PLAIN: slot <-P- empty   }              { barrier_heavy; wait for every
 *                 putting <-P- 0                      }              { putting to be 0; mode <- LOCKED
 *
 * Only in mode LOCKED may a thread put in another's slot.  The wait is for threads between
 * two of these stores, once in a pool's life; it sleeps, since a real-time thread that only
 * yields would keep them from running.  Where barriers are fences, a plain put would not be
 * cheaper than a locked one.
 *
 * Owner word of a stripe, which also says of which process (member.h) it is:
 *
 *   unused --L, any--> owned --P, owner's end--> orphan --L, any of the process--> owned
 *   owned, orphan --P, the process leaves, or who recovers a dead one--> unused
 *
 * An orphan keeps its pins, to be put by other threads, and goes to a new thread with them.
 * An unused stripe has none.
 *
 * A scan skips the stripes of threads that sleep, or have ended, with nothing pinned: each
 * chunk of stripes begins with a summary of two bits a stripe, and the owner sees by
 * `listed`, in its own line, that it need not load the summary:
 *
 *   idle, leaving --L, owner (pin_list)--> listed    after a slot or section was set, `listed` being 0
 *   listed --L, the unlister--> leaving              the stripe was found empty
 *   leaving --L, the unlister--> idle                ... and is empty still after the barrier
 *
 * Only an idle stripe is skipped.  One thread at a time unlists, as part of a scan for a
 * window; another one's scan meanwhile only scans.  Two Dekker pairs make it safe:
 *
 *   owner      slot or section <-P-; barrier_light; `listed` still 1: goes on
 *   unlister   leaving (L); `listed` <-P- 0; barrier_heavy; the slots and the section empty: idle (L)
 *
 *   owner      `listed` was 0: `listed` <-P- 1; listed (L); barrier_light; the entry loaded (again)
 *   evictor    entry <-L- closing; barrier_heavy; summary loaded
 *
 * `listed` is set before the summary, and cleared after the summary says leaving: so an
 * unlister that makes a stripe leave which has just been listed clears the owner's `listed`,
 * and a stripe is never idle while its owner, outside pin_list, has `listed` set.  An
 * unlister that stops anywhere leaves stripes that are scanned needlessly.
 *
 * While only one thread has used a private pool, that thread is the one that closes entries
 * and withdraws chunks, and needs no barrier.  The pool's `users` never go back:
 *
 *   none --L, the first thread--> one --L, any other, before all else--> many
 *
 *   the one    entry <-L- closing, or chunk withdrawn (L); users still one (sequentially consistent)
 *   another    users <-L- many; a fence; every entry and chunk that it loads then is closing, or withdrawn
 *
 * In the child of a fork the thread that forked counts as the same user.  Shared pools have
 * many from the start.
 *
 * Counters beside the slots are written by the owner alone; the next owner of the stripe
 * continues them.
 */
#ifndef MPOOL_PIN_H
#define MPOOL_PIN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/region.h"
#include "os/barrier.h"
#include "os/check.h"
#include "os/line.h"

#define SLOT_PEEK       ((uint64_t)1 << 63)
#define SLOT_ONE        ((uint64_t)1 << 32) /* one pin, in the count */
#define SLOT_COUNT_MASK (SLOT_PEEK - SLOT_ONE)

#define FRAME_NONE UINT32_MAX

enum stripe_state { STRIPE_UNUSED, STRIPE_ORPHAN, STRIPE_OWNED };
#define OWNER_STATE_BITS 2u

static inline uint16_t stripe_owner(enum stripe_state state, unsigned member)
{
	return (uint16_t)(member << OWNER_STATE_BITS | state);
}

enum counter { COUNT_HITS, COUNT_MISSES, COUNT_READS, COUNT_WRITES, COUNT_EVICTIONS, COUNT_RESCUES, COUNTERS };

enum {
	BUSY_NOT,
	BUSY_IN_CALL, /* one that is more than a hit */
	BUSY_FORKED   /* of the thread that forked, while another is about to end what the others were at (recover.h) */
};

#define STRIPE_ID_BITS 24u

struct stripe {
	struct line slots;
	/* The line beside the slots. */
	_Atomic uint64_t section; /* of epoch.h: the epoch this thread reads in; 0: outside */
	_Atomic uint16_t owner;
	_Atomic uint8_t putting; /* 1: the owner is in a plain put */
	_Atomic uint8_t busy;    /* the owner is in a call: BUSY_... */
	uint32_t id : STRIPE_ID_BITS;
	_Atomic uint8_t listed; /* 0: the summary may say idle.  Set by the owner, cleared by the unlister too */
	_Atomic uint64_t counter[COUNTERS];
};
_Static_assert(sizeof(struct stripe) == 2 * CACHE_LINE, "a stripe is its slots and one line beside");

#define STRIPES_FIRST 8u /* stripes in the first chunk; each next one has twice as many */
#define STRIPES_MAX   (STRIPES_FIRST * ((1u << STRIPE_CHUNKS) - 1))
_Static_assert(STRIPES_MAX <= 1u << STRIPE_ID_BITS, "a stripe's number fits its bits");

enum { PUTS_PLAIN, PUTS_SWITCHING, PUTS_LOCKED };
enum { USERS_NONE, USERS_ONE, USERS_MANY };

struct pin_state {
	_Atomic uint32_t stripes;  /* stripes 0 .. stripes - 1 may hold pins */
	_Atomic uint32_t vain;     /* empty stripes that scans have visited since some were unlisted */
	_Atomic uint32_t unlister; /* number of the stripe that unlists + 1; 0: none */
	_Atomic uint32_t users;    /* threads that have used the pool: USERS_... */
};

struct pins {
	struct region *region;
	struct pin_state *state;
	_Atomic uint32_t puts; /* this process's mode; where barriers are fences LOCKED from the start */
	unsigned member;       /* this process's number among those that share the pool */
};

/* The process it belongs to; 0 for one that is unused. */
static inline unsigned stripe_member(const struct stripe *s)
{
	return atomic_load_explicit(&s->owner, memory_order_relaxed) >> OWNER_STATE_BITS;
}

/* Does the stripe belong to that process?  No other process changes that. */
static inline bool stripe_of(const struct stripe *s, unsigned member)
{
	uint16_t owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
	return owner == stripe_owner(STRIPE_OWNED, member) || owner == stripe_owner(STRIPE_ORPHAN, member);
}

static inline uint64_t slot_try(uint64_t frame)
{
	return frame + 1;
}
/* One pin. */
static inline uint64_t slot_pin(uint64_t frame)
{
	return slot_try(frame) | SLOT_ONE;
}
/* The stripe that a slot is in. */
static inline struct stripe *slot_stripe(_Atomic uint64_t *slot)
{
	return (struct stripe *)((uintptr_t)slot & ~(uintptr_t)(sizeof(struct stripe) - 1));
}
static inline bool slot_empty(uint64_t w)
{
	return w == 0;
}
static inline uint32_t slot_frame(uint64_t w)
{
	return (uint32_t)w - 1;
}
static inline uint64_t slot_count(uint64_t w)
{
	return (w & SLOT_COUNT_MASK) >> 32;
}
static inline bool slot_trying(uint64_t w)
{
	return !slot_empty(w) && slot_count(w) == 0;
}
static inline bool slot_peek(uint64_t w)
{
	return w & SLOT_PEEK;
}
/* A pin of `frame`, not a try or a peek. */
static inline bool slot_pins(uint64_t w, uint32_t frame)
{
	return slot_frame(w) == frame && slot_count(w) > 0 && !slot_peek(w);
}
static inline uint64_t slot_minus_one(uint64_t w)
{
	return slot_count(w) == 1 ? 0 : w - SLOT_ONE;
}

/*
 * Stripes are searched word by word from the first: it is most often the one,
 * and a vector load would wait for the owner's own stores to leave the store
 * buffer (20 ns a get).
 */

/* The owner's: a slot of `s` that is just this word; 0: an empty one. */
static inline bool stripe_find(struct stripe *s, uint64_t word, _Atomic uint64_t **slot)
{
	for (unsigned i = 0; i < LINE_WORDS; i++) {
		*slot = &s->slots.word[i];
		/* Acquire: the thread that emptied the slot by a put does not use its page
		 * any more, and our next store there passes that on. */
		if (likely(atomic_load_explicit(*slot, memory_order_acquire) == word))
			return true;
	}
	return false;
}

/* A slot of `s` that pins `frame`, or NULL. */
static inline _Atomic uint64_t *stripe_slot_of(struct stripe *s, uint32_t frame)
{
	for (unsigned i = 0; i < LINE_WORDS; i++)
		if (slot_pins(atomic_load_explicit(&s->slots.word[i], memory_order_relaxed), frame))
			return &s->slots.word[i];
	return NULL;
}

static inline void stripe_count(struct stripe *s, enum counter c, uint64_t n)
{
	/* The owner alone writes it: a plain add, read by mpool_stats whenever. */
	uint64_t v = atomic_load_explicit(&s->counter[c], memory_order_relaxed);
	atomic_store_explicit(&s->counter[c], v + n, memory_order_relaxed);
}

/*
 * The owner's plain store of `to` comes next.  What is wrong with the slot before; `is`: what is
 * there is right.  In builds that check themselves.
 */
const char *slot_step_wrong(_Atomic uint64_t *slot, bool is);
/* ... with a stripe that comes to a thread, or that no thread is in any more. */
const char *stripe_rest_wrong(const struct stripe *s, bool empty);
#define SLOT_CHECK_STEP(slot, is, to)      MPOOL_CHECKED_STEP(slot_step_wrong(slot, is), check_look64(slot), to)
#define STRIPE_CHECK_REST(s, empty, owner) MPOOL_CHECKED_STEP(stripe_rest_wrong(s, empty), (s)->id, owner)
/*
 * The owner's three plain stores.  pin_try is followed by barrier_light and a
 * re-check of the table entry: it pairs with the evictor's closing of the entry,
 * barrier_heavy and load of the slot (pin_scan).
 *
 * Release: an evictor that loads the slot later sees all that the thread did
 * with the page of its previous pin.
 */
static inline void pin_try(_Atomic uint64_t *slot, uint64_t frame)
{
	SLOT_CHECK_STEP(slot, slot_empty(check_look64(slot)), slot_try(frame));
	atomic_store_explicit(slot, slot_try(frame), memory_order_release);
}

/* `as`: 0, a pin, or SLOT_PEEK. */
static inline void pin_confirm(_Atomic uint64_t *slot, uint64_t frame, uint64_t as)
{
	SLOT_CHECK_STEP(slot, check_look64(slot) == slot_try(frame), slot_pin(frame) | as);
	atomic_store_explicit(slot, slot_pin(frame) | as, memory_order_release);
}

static inline void pin_back_out(_Atomic uint64_t *slot)
{
	SLOT_CHECK_STEP(slot, slot_trying(check_look64(slot)) || slot_peek(check_look64(slot)), 0);
	atomic_store_explicit(slot, 0, memory_order_release);
}

/* By the owner, after barrier_light: is the stripe listed?  If not, pin_list lists it. */
static inline bool stripe_listed(const struct stripe *s)
{
	return likely(atomic_load_explicit(&s->listed, memory_order_relaxed));
}
void pin_list(const struct pins *p, struct stripe *s);

/*
 * By the owner, between setting a slot or the section and loading what it guards:
 * pairs with barrier_heavy in window_scan, epoch_retire and epoch_passed.
 */
static inline void pin_show(const struct pins *p, struct stripe *s, enum barrier barrier)
{
	barrier_light(barrier);
	if (stripe_listed(s))
		return;
	pin_list(p, s);
	barrier_light(barrier); /* pairs with the same, between the change and listed_next */
}

/*
 * One pin less in `slot`, if it still pins `frame`.  Locked: the owner and
 * others of the process may put at once.  Release: what was done to the page is
 * done before the pin is gone (pairs with the acquire in pin_scan).  Acquire:
 * what another thread did before its put in this slot is passed on by ours.
 */
static inline bool pin_drop(_Atomic uint64_t *slot, uint32_t frame)
{
	uint64_t w = atomic_load_explicit(slot, memory_order_relaxed);
	while (slot_pins(w, frame))
		if (atomic_compare_exchange_weak_explicit(slot, &w, slot_minus_one(w), memory_order_acq_rel,
		                                          memory_order_relaxed))
			return true;
	return false;
}

/*
 * The owner's put of a frame that it has pinned once in the slot, as the caller
 * has just seen: plain if that may be.
 */
static inline bool pin_drop_own(const struct pins *p, struct stripe *s, _Atomic uint64_t *slot, uint32_t frame)
{
	atomic_store_explicit(&s->putting, 1, memory_order_relaxed);
	barrier_light(BARRIER_PROCESS); /* pairs with barrier_heavy in pin_lock_puts */
	/* Acquire: a stripe that pin_lock_puts has not seen must not make a plain put. */
	bool plain = likely(atomic_load_explicit(&p->puts, memory_order_acquire) == PUTS_PLAIN);
	if (plain) {
		SLOT_CHECK_STEP(slot, check_look64(slot) == slot_pin(frame), 0);
		/* Nobody else ever changed a slot of ours.  Release: as in pin_drop. */
		atomic_store_explicit(slot, 0, memory_order_release);
	}
	/* Release: pairs with the wait in pin_lock_puts. */
	atomic_store_explicit(&s->putting, 0, memory_order_release);
	return plain || pin_drop(slot, frame);
}

/* The thread's first use of the pool: before it loads anything of it. */
void pin_enter_user(const struct pins *p);

/*
 * After entries were closed or chunks withdrawn, before slots and sections are loaded:
 * barrier_heavy, unless only one thread has used the pool.
 */
static inline void pin_barrier(const struct pins *p, enum barrier barrier)
{
	/* Sequentially consistent: pairs with pin_enter_user. */
	if (atomic_load(&p->state->users) != USERS_ONE)
		barrier_heavy(barrier);
}

/* From here on pins in other threads' slots may be put. */
void pin_lock_puts(struct pins *p);

/* One pin more in `slot` (L), if it still pins `frame`. */
bool pin_again(_Atomic uint64_t *slot, uint32_t frame);

/* Bytes of the first chunk of stripes. */
size_t pin_first_bytes(void);
/* Allocate the chunks of the first so many stripes in advance.  False: no memory. */
bool pin_make(const struct pins *p, uint32_t stripes);

struct stripe *pin_stripe(const struct pins *p, uint32_t id);
/* The chunk that stripe `id` is in, and its number there; how many a chunk has. */
uint32_t pin_place(uint32_t id, unsigned *chunk);
uint32_t pin_chunk_stripes(unsigned chunk);

/*
 * A stripe for the calling thread: an orphan, or a new one.  `empty`: only one
 * without pins will do.  *from: where to look for orphans; start with 0, and go
 * on with what it is then when adopting several.  NULL: no memory.
 */
struct stripe *pin_adopt(const struct pins *p, bool empty, uint32_t *from);
void pin_orphan(const struct pins *p, struct stripe *s);
/* The stripe, of a process that is gone, is unused from now on; its slots are empty. */
void pin_give_up(struct stripe *s);

/* The stripes that are not idle, one after the other: start with LISTED_FIRST. */
struct listed {
	const struct pins *pins;
	uint32_t end, next;    /* number of stripes; the first that is in none of the words loaded so far */
	uint64_t bits;         /* of the last word: those to come, by their lower bits */
	struct stripe *stripe; /* the first of that word */
};
#define LISTED_FIRST(p) {p, atomic_load(&(p)->state->stripes), 0, 0, NULL}
struct stripe *listed_next(struct listed *l);

/*
 * Call `see` for each slot that is not empty, tries too.  After barrier_heavy
 * it meets every pin of a frame whose entry was closed before the barrier.
 * Returns how many of the stripes that it read were empty.
 */
typedef void pin_seen(void *to, const struct stripe *s, uint64_t slot_word);
uint32_t pin_scan(const struct pins *p, pin_seen *see, void *to);

/*
 * Around the barrier_heavy and the pin_scan of a window: when scans have read very many
 * empty stripes, these are unlisted.  `begun`: the result of pin_unlist_begin; `vain`:
 * that of the scan.
 */
bool pin_unlist_begin(const struct pins *p, const struct stripe *me);
void pin_unlist_end(const struct pins *p, bool begun, uint32_t vain);

/* The unlister's role is free again if it was a dead process's (epoch_recover has `dead`). */
typedef bool stripe_test(void *of, uint32_t stripe);
void pin_recover(const struct pins *p, stripe_test *dead, void *of);

/* Some slot of any stripe of this process that pins `frame` (no try), or NULL. */
_Atomic uint64_t *pin_find(const struct pins *p, uint32_t frame);

/* Are the chunks of all stripes below the number there? */
bool pins_sound(const struct pins *p);

uint64_t pin_counter(const struct pins *p, enum counter c);

#endif
