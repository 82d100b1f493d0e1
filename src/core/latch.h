/*
 * latch.h - latches of pages, and how often a page has changed: a word for each frame.
 *
 * Owns the latch words, the marks of shared latches, and whether the pool has any.  A pool that never latches
 * has no memory for them, and nobody looks.  The words of a segment are a chunk, and so are the marks of a chunk of
 * stripes: made when first needed, and never given back, so that who has found one may go on using it.
 *
 * A latch is the calling thread's, who had the page pinned when it took it, and goes by its stripe.  It is held
 * outside of calls, and keeps the page in its frame when the last pin is put: a window finds its victim busy (window.c).
 *
 * Latch word: waiting (1 bit), shared (1 bit: there may be shared latches), look (1 bit: the page may be abandoned),
 * turn (1 bit: somebody is to be next), owner (22 bits: of an exclusive latch, a stripe's number + 1), version (36
 * bits).  Who may change it:
 *
 *   no owner       --L, any-->         owner                  an exclusive latch is taken; then a release fence
 *   owner          --L, the owner-->   no owner, version + 1  it is released
 *   owner, shared  --L, the owner-->   owner                  the barrier was made, and no mark names the frame
 *   owner, shared  --L, the owner-->   no owner, shared       given back: it was only tried, and nothing was changed
 *   no owner       --L, any-->         shared                 before a mark is set
 *   owner          --L, any-->         waiting                who sleeps is told when the owner is off
 *   waiting        --L, who took the owner off--> not waiting    before it tells
 *   no owner       --L, the claim's owner-->  version + 1     the page is about to leave its frame
 *   owner          --L, who recovers-->  no owner, version + 1   its process or thread is gone
 *   no turn        --L, any-->         turn                   it has waited for long
 *   turn           --L, who has it-->  no turn                with its latch, or without one; then it tells
 *   turn           --L, who recovers--> no turn               whosever it was; then it tells
 *   look on        --L, any-->                                the page is about to be marked abandoned, or was
 *   look off       --L, the claim's owner-->                  another page comes into the frame
 *
 * Marks: a line of eight words for each stripe, written by the stripe's owner alone; a word is 0, or a frame's number
 * + 1: a shared latch, or a try.  Nothing that others write is written by a shared latch, but the bit `shared` once
 * after each exclusive one:
 *
 *   shared     mark <-P- frame; barrier_light; the word again: still shared, and no owner    else mark <-P- 0
 *   exclusive  owner (L); shared was on: barrier_heavy; wait until no mark names the frame; shared off (L)
 *
 * One of the two sees the other.  "Still shared": else an exclusive latch has come and gone, and the next does not look
 * for marks.  Who is to have the latch exclusively is its owner while it waits for the marks to go, so no other comes in.
 *
 *   who goes   mark <-P- 0; barrier_light; the word: an owner: a full fence, wait_notify
 *   exclusive  wait_prepare; a full fence; the marks once more; sleep
 *
 * Turn: who releases a latch wakes those who wait, and may have it again before one of them runs; so may others.  Who
 * has found an owner a few times takes the turn, which one has at a time: nobody but it becomes the owner then.  It
 * wakes by itself when the owner is off, for nobody else goes ahead, and with its latch the turn is off.  Shared latches
 * do not mind the turn: they cannot keep an owner from coming.  Who copies a page (sync.c) takes the turn too, without
 * a latch after it: while it has it, and there is no owner, nobody changes the page.  It waits for nothing meanwhile, and calls
 * no function of the program's.  Of several that have waited for long it is chance which has the turn next.  All of it is
 * for fairness alone: a turn that a recovery takes off too many is asked for again.
 *
 * The version is what optimistic readers compare.  Who takes a page out of its frame changes it before the entry is
 * freed; who loads one need not.  A reader takes a version only of a page whose entry is resident: so it sees the version
 * changed, or the entry closing, or else the page is not taken out.  What tells that there are latches, `on`, is looked
 * at after the entry was closed, and is `ready` after a heavy barrier: so who did not see it has closed its entries
 * before any reader looks.
 *
 *   off --L, any--> on --L, any, the barrier made--> ready
 */
#ifndef MPOOL_LATCH_H
#define MPOOL_LATCH_H

#include "core/core.h"

#define LATCH_WAITING       ((uint64_t)1 << 0)
#define LATCH_SHARED        ((uint64_t)1 << 1)
#define LATCH_LOOK          ((uint64_t)1 << 2)
#define LATCH_TURN          ((uint64_t)1 << 3)
#define LATCH_OWNER_SHIFT   6
#define LATCH_OWNER_BITS    22
#define LATCH_VERSION_SHIFT (LATCH_OWNER_SHIFT + LATCH_OWNER_BITS)
#define LATCH_OWNER         ((((uint64_t)1 << LATCH_OWNER_BITS) - 1) << LATCH_OWNER_SHIFT)
#define LATCH_OTHER         (((uint64_t)1 << LATCH_OWNER_SHIFT) - 1) /* neither owner nor version */
#define LATCH_CHANGE        ((uint64_t)1 << LATCH_VERSION_SHIFT)     /* one more, in the version */
_Static_assert(STRIPES_MAX < 1u << LATCH_OWNER_BITS, "an owner is a stripe's number + 1");

enum { LATCHES_OFF, LATCHES_ON, LATCHES_READY };

struct latch_state {
	_Atomic uint32_t on;      /* LATCHES_... */
	_Atomic uint32_t sharers; /* stripes below this number may have marks */
	_Atomic uint32_t latched; /* 1: MPOOL_LATCHED */
};

/* Does who takes a page out, or looks for latches, have to?  After entries were closed, or slots were loaded. */
static inline bool latches_on(const struct core *c)
{
	/* Sequentially consistent: pairs with latches_make.  Acquire: the words of segment 0 are there. */
	return unlikely(atomic_load(&c->latch->on) != LATCHES_OFF);
}

/* May there be latches, and versions be taken? */
static inline bool latches_ready(const struct core *c)
{
	/* Acquire: pairs with latches_make, too. */
	return likely(atomic_load_explicit(&c->latch->on, memory_order_acquire) == LATCHES_READY);
}

/* The words of segment 0, and from now on there are latches.  0, or ENOMEM.  Of a shared pool by one thread at a time (the pool's lock). */
int latches_make(struct core *c);
/*
 * Have memory for the words of so many frames, if there are any words: of a shared pool whose capacity is about to be that, and
 * once more when it is, for they may have been made meanwhile.  False: no memory.
 */
bool latches_grow(const struct core *c, uint32_t frames);
/* The same for the word of a frame that is claimed, and may be behind the capacity. */
bool latches_reach(const struct core *c, uint32_t frame);
/* Of a shared pool: are the chunks of the sizes that they have to be? */
bool latches_sound(const struct core *c);
/* Bytes of all words and marks. */
uint64_t latches_bytes(const struct core *c);

/* ---- the word ----------------------------------------------------------- */

static inline uint64_t latch_owner(uint32_t me)
{
	return (uint64_t)(me + 1) << LATCH_OWNER_SHIFT;
}
static inline bool latch_owned(uint64_t w)
{
	return w & LATCH_OWNER;
}
/* Is it to be nobody's just now, but whose turn it is? */
static inline bool latch_closed(uint64_t w)
{
	return w & (LATCH_OWNER | LATCH_TURN);
}
static inline bool latch_owned_by(uint64_t w, uint32_t me)
{
	return (w & LATCH_OWNER) == latch_owner(me);
}

/*
 * What callers get as a version: of which frame of segment 0 it is, too, since the page may come back in another,
 * changed there as often.
 */
#define LATCH_SEEN_BITS 36
_Static_assert(FRAMES_MAX / 2 <= UINT64_C(1) << (64 - LATCH_SEEN_BITS), "a frame of segment 0 fits beside");
static inline uint64_t latch_seen(uint32_t frame, uint64_t w)
{
	return (uint64_t)frame << LATCH_SEEN_BITS | (w >> LATCH_VERSION_SHIFT & ((UINT64_C(1) << LATCH_SEEN_BITS) - 1));
}

/* The words of segment 0, by number of frame, where latches are on. */
static inline _Atomic uint64_t *latch_words(const struct core *c)
{
	return region_at(&c->region, CHUNK_LATCHES);
}
/* The word of any frame; NULL: it has none yet, and was never latched. */
_Atomic uint64_t *latch_word(const struct core *c, uint32_t frame);
/* ... made if need be; NULL: no memory. */
_Atomic uint64_t *latch_word_made(struct core *c, uint32_t frame);

/* ... as it is; 0: there is none. */
static inline uint64_t latch_now(const struct core *c, uint32_t frame)
{
	const _Atomic uint64_t *word = latch_word(c, frame);
	/* Acquire: pairs with latch_release: the page's bytes. */
	return word ? atomic_load_explicit(word, memory_order_acquire) : 0;
}

/* May the page be in the middle of a modification?  An owner that waits for shared latches has not begun. */
static inline bool latch_writes(uint64_t w)
{
	return latch_owned(w) && !(w & LATCH_SHARED);
}
/* Was it in none from the one look to the other? */
static inline bool latch_same(uint64_t before, uint64_t after)
{
	return !latch_writes(after) && before >> LATCH_VERSION_SHIFT == after >> LATCH_VERSION_SHIFT;
}

/* What is wrong with a step; `me`: a stripe's number + 1, 0: not known.  NULL: nothing.  In builds that check themselves. */
const char *latch_step_wrong(uint64_t from, uint64_t to, uint32_t me);
#define LATCH_CHECK_STEP(from, to, me) MPOOL_CHECKED_STEP(latch_step_wrong(from, to, me), from, to)

/* no owner -> owner; `off`: LATCH_TURN, or 0, where there is none.  False: *w is what it is.  The marks are another matter. */
static inline bool latch_own(_Atomic uint64_t *word, uint64_t *w, uint32_t me, uint64_t off)
{
	/* Sequentially consistent.  Acquire: pairs with latch_release.  Before a mark is looked for: latch.c. */
	if (!atomic_compare_exchange_strong(word, w, (*w & ~off) | latch_owner(me)))
		return false;
	LATCH_CHECK_STEP(*w, (*w & ~off) | latch_owner(me), me + 1);
	/* Before the page is changed: who reads a byte of that, and looks at the word again, sees the owner. */
	barrier_stores();
	return true;
}

/* owner -> no owner, version + 1.  True: there are waiters, to be told (latch_tell_all). */
static inline bool latch_release(_Atomic uint64_t *word, uint32_t me)
{
	/* Sequentially consistent: before latch_tell looks for waiters.  Release: the page's bytes. */
	uint64_t w = atomic_fetch_add(word, LATCH_CHANGE - latch_owner(me));
	LATCH_CHECK_STEP(w, w + LATCH_CHANGE - latch_owner(me), me + 1);
	return w & LATCH_WAITING;
}

/* waiting -> not waiting, and wake them: the owner is off. */
void latch_tell_all(const struct core *c, uint32_t frame, _Atomic uint64_t *word);
/* Wake those who wait: a mark is off. */
void latch_tell(const struct core *c, uint32_t frame);

/*
 * The page is about to leave its frame, and its entry, which is closing, to be freed: version + 1, where there are
 * latches.  By the holder of the claim, after the scan.
 */
void latch_changed(const struct core *c, uint32_t frame);

/*
 * The page in the frame is abandoned: so says the frame's word, which readers without a pin do not load, unless
 * `look` is on.  It is on first, and stays on until another page is in the frame, forgiven or not.
 */
void latch_abandon(const struct core *c, uint32_t frame, struct frame *fr);
/* By who loads a page into the frame, and before it is published: it is not abandoned. */
void latch_whole(const struct core *c, uint32_t frame);

/* ---- marks --------------------------------------------------------------- */

static inline uint64_t mark_of(uint32_t frame)
{
	return (uint64_t)frame + 1;
}

/* The stripe's marks, made if need be, and looked for from now on; NULL: no memory. */
struct line *latch_marks_made(struct core *c, uint32_t stripe);
/* The stripe's marks; NULL: it has none. */
struct line *latch_marks(const struct core *c, uint32_t stripe);
/* One that is `mark`, or NULL.  Its own thread's. */
static inline _Atomic uint64_t *marks_find(struct line *marks, uint64_t mark)
{
	for (unsigned i = 0; i < LINE_WORDS; i++)
		if (atomic_load_explicit(&marks->word[i], memory_order_relaxed) == mark)
			return &marks->word[i];
	return NULL;
}

/* Call `see` for each mark.  After the owner was seen, or set and a barrier_heavy made: latch.c. */
typedef void mark_seen(void *to, uint32_t frame);
void latch_each_mark(const struct core *c, mark_seen *see, void *to);
/* Of one stripe. */
void latch_marks_of(const struct core *c, uint32_t stripe, mark_seen *see, void *to);

/* A first, or second, look: may a mark of that frame be a shared latch? */
static inline bool latch_sharable(uint64_t w)
{
	return (w & (LATCH_OWNER | LATCH_SHARED)) == LATCH_SHARED;
}

/* The word says that it is sharable.  mark: 0 -> frame; false: not latched, and the word is in *w. */
bool latch_mark(const struct core *c, uint32_t frame, _Atomic uint64_t *word, _Atomic uint64_t *mark, uint64_t *w);
/* mark -> 0. */
void latch_unmark(const struct core *c, uint32_t frame, const _Atomic uint64_t *word, _Atomic uint64_t *mark);

/* ---- to latch ------------------------------------------------------------ */

/* Of a thread that has no latch of the page, and has it pinned.  0; EBUSY, if it is only to be tried. */
int latch_exclusive(struct core *c, uint32_t frame, _Atomic uint64_t *word, uint32_t me, bool only_try);
int latch_shared(struct core *c, uint32_t frame, _Atomic uint64_t *word, _Atomic uint64_t *mark, bool only_try);
/* 0, or EAGAIN: the version is another. */
int latch_upgrade(struct core *c, uint32_t frame, _Atomic uint64_t *word, uint32_t me, uint64_t version);

/*
 * For who is to copy a page that was in the frame, and has nothing claimed.  latch_outlast: sleep until, perhaps, nobody
 * modifies it.  latch_take_turn: until nobody does, nor will before latch_end_turn; false: nobody ever did, or it is there no more.
 */
void latch_outlast(struct core *c, struct stripe *me, uint32_t frame, uint32_t page);
bool latch_take_turn(struct core *c, struct stripe *me, uint32_t frame, uint32_t page);
void latch_end_turn(const struct core *c, uint32_t frame);

/* ---- who is gone --------------------------------------------------------- */

/* Shared latches of that stripe. */
void latch_drop_marks(const struct core *c, const struct stripe *s);
/*
 * Exclusive ones of the stripes for which `gone` is true; `died`: their pages are abandoned, but those that their owner
 * was still waiting for.  In an epoch section, if it may be any stripe.
 */
void latch_recover(const struct core *c, stripe_test *gone, void *of, bool died);

#endif
