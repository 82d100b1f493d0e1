/*
 * frame.h - frames: a page's worth of memory, its word, its page number, its mark, its past.
 *
 * Owns the segments.  Segment 0 has as many frames as the pool's capacity, and is never freed;
 * segments 1, 2, ... are the overflow, made while more pages are pinned than the pool holds,
 * and retired afterwards.  Frame numbers run through all segments.  The capacity is lowered and raised again
 * (mpool_tune), and a shared pool's grows when more is asked for by who joins: segment 0 has addresses and numbers for
 * `limit` frames there, and memory is allocated when a frame is first used.  The frames from the
 * capacity on that were used before are the tail, until their pages are evicted; then their memory is given back, and
 * they are as if they had never been used.
 *
 * Frames of a shared pool below `committed` have memory, but for those that a thread has claimed to give it back: it
 * lowers the number before it lets go of them.  So who has claimed a frame for itself, and then looks at the number, knows
 * whether there is memory, or sees to it (frame_memory).  The number is raised by who has allocated, unless it
 * was lowered meanwhile, which its upper half counts.
 *
 * Frame word: used (1 bit), dirty, writing, unsynced (2 bits), abandoned, written while
 * pinned, owner of the claim (24 bits); 0: free.  Who may change it:
 *
 *   free            --L, any-->                claimed          a thread in need of a frame
 *   used, unclaimed --L, any-->                claimed          evictor, sync, delete, check of a put, drain
 *   claimed         --L, the claim's owner-->  used, unclaimed  or free, when no entry names it
 *   claimed         --L, the claim's owner-->  claimed          by another, to whom a load is handed over
 *   dirty: on by a put before it unpins (L, any time); off only by the claim's
 *     owner while the entry is closing and no pin was seen (L), and on again if
 *     the write fails or a get came first; on by sync when fsync fails (L)
 *   writing: on and off by the claim's owner (L)
 *   unsynced: on by the claim's owner when a write is done, in the bit of the
 *     current turn; off by sync when an fsync that began later has succeeded
 *   abandoned: on by who recovers a process that died with the page pinned, or was forked
 *     while another thread had it pinned, or reads a torn page (torn.h) (L); off when
 *     the frame is emptied, or by mpool_abandoned (L)
 *   written while pinned: on by sync when it writes a pinned page, maybe in the middle of a
 *     modification; off when the page is written unpinned (L, the claim's owner)
 *   the claim of a process that died is dropped by who recovers it (recover.h)
 *
 * A build that checks itself holds each locked step against this table (frame_steps in frame.c).
 *
 * The claim makes closing an entry safe: only its owner may close it, so an entry that the
 * owner finds still closing was never rescued in between.
 *
 * The page number is beside the word, and is stored by the claim's owner before the entry
 * becomes resident.
 *
 * The mark, one byte a frame in an array of its own, says whether the page was used since
 * a clock hand last passed the frame, or was brought in ahead of need and not used yet.  A hit
 * stores it only when it does not say "used".
 *
 * The replacement policy's state (policy.h) stands behind segment 0, in arrays of its own:
 * each frame's past, whether it is hot, and the ghosts of evicted pages.  All of it is
 * hints that any thread may change.  The overflow has none: its pages are evicted as soon
 * as they are unpinned.
 */
#ifndef MPOOL_FRAME_H
#define MPOOL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/epoch.h"
#include "core/pin.h"
#include "core/region.h"
#include "core/table.h"
#include "os/check.h"
#include "os/line.h"

#define FRAME_FREE           0u
#define FRAME_USED           (1u << 0)
#define FRAME_DIRTY          (1u << 1)
#define FRAME_WRITING        (1u << 2)
#define FRAME_UNSYNCED(t)    (1u << (3 + (t))) /* t: the turn of sync, 0 or 1 */
#define FRAME_UNSYNCED_ANY   (FRAME_UNSYNCED(0) | FRAME_UNSYNCED(1))
#define FRAME_ABANDONED      (1u << 5)
#define FRAME_WRITTEN_PINNED (1u << 6)
#define FRAME_OWNER_SHIFT    8
#define FRAME_OWNER          (~0u << FRAME_OWNER_SHIFT)
_Static_assert(STRIPES_MAX < FRAME_OWNER >> FRAME_OWNER_SHIFT, "an owner is a stripe's number + 1");

enum mark { MARK_CLEAR, MARK_USED, MARK_AHEAD };

struct frame {
	_Atomic uint32_t word;
	_Atomic uint32_t page;
};

/* Memory of a page starts at a multiple of this, as malloc's would. */
#define PAGE_ALIGN 16u

/* A line of memory has so many words and numbers. */
#define FRAMES_PER_LINE ((uint32_t)(CACHE_LINE / sizeof(struct frame)))

struct segment {
	char *pages;
	struct frame *frame;
	_Atomic uint8_t *mark;
	_Atomic uint64_t *free_bits;    /* of clock.h: hints, one bit a frame */
	_Atomic uint64_t *changed_bits; /* of changed.h, one bit a line of words */
	/* Of segment 0 only; of policy.h. */
	_Atomic uint64_t *hot_bits, *once_bits;
	_Atomic uint32_t *past;
	_Atomic uint32_t *ghost;     /* the past of a page that was evicted; as many as frames, */
	_Atomic uint16_t *ghost_tag; /* and of which page: some of its hash */
	uint32_t first;              /* number of its first frame */
	uint32_t count;
};

struct frame_state {
	_Atomic uint32_t capacity; /* frames of segment 0 that are in use, or may be */
	_Atomic uint32_t fresh;    /* those from here on were never used: memory is touched in order */
	_Atomic uint32_t asked;    /* the most that the capacity may be, as those who opened the pool wanted it */
	_Atomic uint32_t
		known; /* those from here on were never used, nor given back: no word of theirs is anything but free */
	_Atomic uint64_t committed; /* ... and those from here on have no memory, perhaps (of a shared pool) */
	_Atomic uint64_t sweeping;  /* of changed.h: where its bits may be off just now */
};

struct frames {
	struct region *region;
	struct frame_state *state;
	struct segment base; /* segment 0; its count is the limit */
	uint64_t stride;     /* bytes from page to page */
	uint64_t inverse;    /* of the stride's odd part, modulo 2^64 */
	unsigned twos;       /* factors of two in the stride */
	uint32_t unit;       /* frames in segment 1, a power of two */
	size_t page_align;   /* alignment of a segment's pages */
};

/* The frames of a private pool, of FRAMES_MAX / 2 frames at the most.  0, or -1: no memory. */
int frames_init(struct frames *fs, struct region *r, struct frame_state *st, uint32_t pagesize, uint32_t frames,
                size_t page_align);

/* ... of a shared one: segment 0 has been given `chunk`, of frames_bytes, with room for `limit` frames. */
void frames_share(struct frames *fs, struct region *r, struct frame_state *st, uint32_t pagesize, void *chunk,
                  uint32_t limit, uint32_t unit);
uint64_t frames_bytes(uint32_t pagesize, uint32_t limit);
/* What the first overflow segment of a pool for `frames` is to hold. */
uint32_t frames_unit(uint32_t frames);
/*
 * The capacity is to be `frames`, more than it is; by one thread at a time, as all that follow.  False: no memory, or no room.
 * The same, less, or of a private pool, whatever it has addresses for.
 */
bool frames_grow(const struct frames *fs, uint32_t frames);
void frames_limit(const struct frames *fs, uint32_t frames);
/* So many were asked for when the pool was opened, or joined: so large may it become. */
void frames_ask(const struct frames *fs, uint32_t frames);
/*
 * The tail: the frames from the capacity on that may be in use still, up to frames_used; false: there are none.  Those from
 * `from` to before `end`, which is all that were used, are claimed by the caller: they were never used, and their memory is
 * given back, unless it is to be kept.  False: they are not the last.
 */
bool frames_tail(const struct frames *fs, uint32_t *from, uint32_t *end);
bool frames_give_back(const struct frames *fs, uint32_t from, uint32_t end, bool keep);
/* Frames from there on have no memory, perhaps: who was about to say so is gone. */
void frames_given_back(const struct frames *fs, uint32_t from);
/* The caller has claimed the frame, to use it: has it memory?  False: there is none. */
bool frame_memory(const struct frames *fs, uint32_t frame);
/* The frame is used all the same, by one who had found it before. */
void frames_use(const struct frames *fs, uint32_t frame);
/* A frame below `limit` that was never used, claimed.  FRAME_NONE: none, or no memory for it just now. */
uint32_t frame_take_fresh(const struct frames *fs, uint32_t limit, uint32_t me);

/* Are the overflow's segments of the sizes that they have to be, and no frame used that is not there? */
bool frames_sound(const struct frames *fs);

static inline uint32_t frames_capacity(const struct frames *fs)
{
	/* Acquire: pairs with frames_grow. */
	return atomic_load_explicit(&fs->state->capacity, memory_order_acquire);
}

/* Frames of segment 0 that were ever used: those below this number. */
static inline uint32_t frames_used(const struct frames *fs)
{
	return atomic_load(&fs->state->fresh);
}

/* ... or were, and are free, or claimed by who is about to find that they are none. */
static inline uint32_t frames_known(const struct frames *fs)
{
	uint32_t known = atomic_load(&fs->state->known), used = frames_used(fs);
	return known > used ? known : used;
}

/* Frames of segment 0 have numbers below this: that are in use, or may be. */
static inline uint32_t frames_top(const struct frames *fs)
{
	uint32_t capacity = frames_capacity(fs), used = frames_used(fs);
	return capacity > used ? capacity : used;
}

/* Call `see` for every frame that may be in use.  In an epoch section. */
typedef void frame_seen(void *to, uint32_t frame, struct frame *fr);
void frames_each(const struct frames *fs, frame_seen *see, void *to);

/* The segment that frame f >= base.count belongs to; how many frames one has; its first. */
unsigned frame_segment_of(const struct frames *fs, uint32_t f);
uint64_t frame_segment_count(const struct frames *fs, unsigned k);
uint64_t frame_segment_first(const struct frames *fs, unsigned k);
/* Segment k >= 1 in *seg; false: it is absent (or retired). */
bool frame_segment(const struct frames *fs, unsigned k, struct segment *seg);
/* Make overflow segment k.  1: made; 0: another thread was first; -1: no memory. */
int segment_make(const struct frames *fs, unsigned k);
/*
 * Numbers without a gap, for arrays: those of the overflow follow the capacity, or what is above it (frames_top).
 * frames_end: above any of them.
 */
uint32_t frames_end(const struct frames *fs, uint32_t capacity);
static inline uint32_t frame_rank(const struct frames *fs, uint32_t capacity, uint32_t f)
{
	return f < fs->base.count ? f : capacity + (f - fs->base.count);
}

static inline uint32_t claim_owner(uint32_t me)
{
	return (me + 1) << FRAME_OWNER_SHIFT;
}
static inline bool frame_claimed(uint32_t word)
{
	return word & FRAME_OWNER;
}

/* ---- from number to frame, and back ------------------------------------- */

struct frame *frame_of_overflow(const struct frames *fs, uint32_t f, _Atomic uint8_t **mark, char **page);
struct frame *frame_live_overflow(const struct frames *fs, uint32_t f);
uint32_t frame_at_overflow(const struct frames *fs, const void *page);

static inline struct frame *frame_of(const struct frames *fs, uint32_t f)
{
	return likely(f < fs->base.count) ? &fs->base.frame[f] : frame_of_overflow(fs, f, NULL, NULL);
}

/* As frame_of, for a number that may be out of date; NULL: its segment is gone. */
static inline struct frame *frame_live(const struct frames *fs, uint32_t f)
{
	return likely(f < fs->base.count) ? &fs->base.frame[f] : frame_live_overflow(fs, f);
}

static inline char *frame_page_base(const struct frames *fs, uint64_t f)
{
	return fs->base.pages + f * fs->stride;
}

static inline char *frame_page(const struct frames *fs, uint32_t f)
{
	if (likely(f < fs->base.count))
		return frame_page_base(fs, f);
	char *page;
	frame_of_overflow(fs, f, NULL, &page);
	return page;
}

static inline _Atomic uint8_t *frame_mark(const struct frames *fs, uint32_t f)
{
	if (likely(f < fs->base.count))
		return &fs->base.mark[f];
	_Atomic uint8_t *mark;
	frame_of_overflow(fs, f, &mark, NULL);
	return mark;
}

/* Which of the pages from `first` on starts at `page`?  If none does, a huge number. */
static inline uint64_t frame_quotient(const struct frames *fs, const char *first, const void *page)
{
	uint64_t offset = (uint64_t)((const char *)page - first);
	/* Exact division is multiplication by the inverse; an offset that is no
	 * multiple ends up above any quotient. */
	uint64_t q = offset * fs->inverse;
	return q >> fs->twos | q << (-fs->twos & 63);
}

/* The frame in segment 0 whose page starts at `page`, or FRAME_NONE. */
static inline uint32_t frame_at_base(const struct frames *fs, const void *page)
{
	uint64_t q = frame_quotient(fs, fs->base.pages, page);
	return likely(q < fs->base.count) ? (uint32_t)q : FRAME_NONE;
}

/* The frame of any segment whose page starts at `page`, or FRAME_NONE. */
static inline uint32_t frame_at(const struct frames *fs, const void *page)
{
	uint32_t f = frame_at_base(fs, page);
	if (f == FRAME_NONE)
		return frame_at_overflow(fs, page);
	return f < frames_top(fs) ? f : FRAME_NONE;
}

/* Of bits that frames of segment 0 have, one each. */
#define BITS_PER_WORD 64u
static inline bool frame_bit(const _Atomic uint64_t *bits, uint32_t f)
{
	return atomic_load_explicit(&bits[f / BITS_PER_WORD], memory_order_relaxed) >> f % BITS_PER_WORD & 1;
}

/* A page of this frame was used.  The caller has it pinned. */
static inline void mark_set(_Atomic uint8_t *mark)
{
	if (unlikely(atomic_load_explicit(mark, memory_order_relaxed) != MARK_USED))
		atomic_store_explicit(mark, MARK_USED, memory_order_relaxed);
}

static inline void frame_touch_base(const struct frames *fs, uint64_t f)
{
	mark_set(&fs->base.mark[f]);
}

static inline void frame_touch(const struct frames *fs, uint32_t f)
{
	mark_set(frame_mark(fs, f));
}

/* A hand has found the page pinned or latched: it is in use; which of one wanted once only says no more than its get. */
void frame_touch_held(const struct frames *fs, uint32_t f);

/* It was used, which is to leave no mark. */
static inline void frame_not_ahead(const struct frames *fs, uint32_t f)
{
	_Atomic uint8_t *mark = frame_mark(fs, f);
	if (atomic_load_explicit(mark, memory_order_relaxed) == MARK_AHEAD)
		atomic_store_explicit(mark, MARK_CLEAR, memory_order_relaxed);
}

/* ---- the word ----------------------------------------------------------- */

/* What is wrong with the step, of the thread that makes it; NULL: nothing.  In builds that check themselves. */
const char *frame_step_wrong(uint32_t from, uint32_t to);
/* ... with the calling thread's holding the claim of a frame with that page. */
const char *frame_hold_wrong(uint32_t word, uint32_t in_frame, uint32_t page);
#define FRAME_CHECK_STEP(from, to) MPOOL_CHECKED_STEP(frame_step_wrong(from, to), from, to)
#define FRAME_CHECK_HELD(fr, number)                                                                                   \
	MPOOL_CHECKED_STEP(frame_hold_wrong(check_look32(&(fr)->word), check_look32(&(fr)->page), number), (fr)->word, \
	                   (fr)->page)

/* One locked step of the word, from *w, which is what it is if that fails, as it may for no reason. */
static inline bool frame_step(struct frame *fr, uint32_t *w, uint32_t to)
{
	uint32_t from = *w;
	if (!atomic_compare_exchange_weak(&fr->word, w, to))
		return false;
	FRAME_CHECK_STEP(from, to);
	return true;
}

/* free -> claimed.  Acquire: pairs with frame_word_free. */
static inline bool frame_take(struct frame *fr, uint32_t me)
{
	uint32_t w = FRAME_FREE, to = FRAME_USED | claim_owner(me);
	if (atomic_load_explicit(&fr->word, memory_order_relaxed) != FRAME_FREE ||
	    !atomic_compare_exchange_strong(&fr->word, &w, to))
		return false;
	FRAME_CHECK_STEP(w, to);
	return true;
}

/* claimed -> free.  No entry names the frame any more. */
static inline void frame_word_free(struct frame *fr)
{
	uint32_t w = atomic_exchange(&fr->word, FRAME_FREE);
	/* Or its page would be somebody's still, or it would be free twice. */
	MPOOL_ASSERT(frame_claimed(w), "a frame becomes free that nobody had claimed", w, FRAME_FREE);
	FRAME_CHECK_STEP(w, FRAME_FREE);
}

/* The page has left the frame, which is claimed still, and nothing else. */
static inline void frame_word_empty(struct frame *fr)
{
	uint32_t w = atomic_load(&fr->word), to;
	do
		to = (w & FRAME_OWNER) | FRAME_USED;
	while (!atomic_compare_exchange_weak(&fr->word, &w, to));
	/* Without dirty: an fsync that fails just now may set it again.  It is known then that the page is lost. */
	FRAME_CHECK_STEP(w & ~FRAME_DIRTY, to);
}

/* used, unclaimed -> claimed.  Fails when free or claimed. */
static inline bool frame_claim(struct frame *fr, uint32_t me)
{
	uint32_t w = atomic_load_explicit(&fr->word, memory_order_relaxed);
	while (w != FRAME_FREE && !frame_claimed(w))
		if (frame_step(fr, &w, w | claim_owner(me)))
			return true;
	return false;
}

/* claimed by one stripe -> by another.  By the owner. */
static inline void frame_hand_over(struct frame *fr, uint32_t to)
{
	uint32_t w = atomic_load_explicit(&fr->word, memory_order_relaxed);
	while (!frame_step(fr, &w, (w & ~FRAME_OWNER) | claim_owner(to)))
		;
}

/* claimed -> unclaimed.  The caller then tells those who wait (wait_notify). */
static inline void frame_unclaim(struct frame *fr)
{
	uint32_t w = atomic_fetch_and(&fr->word, ~FRAME_OWNER);
	FRAME_CHECK_STEP(w, w & ~FRAME_OWNER);
}

/* abandoned on, unless the frame is free. */
static inline void frame_abandon(struct frame *fr)
{
	uint32_t w = atomic_load(&fr->word);
	while (w != FRAME_FREE && !(w & FRAME_ABANDONED))
		if (frame_step(fr, &w, w | FRAME_ABANDONED))
			return;
}

/* abandoned off, by who has the page pinned.  The word as it was. */
static inline uint32_t frame_forgive(struct frame *fr)
{
	uint32_t w = atomic_fetch_and(&fr->word, ~FRAME_ABANDONED);
	FRAME_CHECK_STEP(w, w & ~FRAME_ABANDONED);
	return w;
}

#endif
