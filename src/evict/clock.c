/* clock.c - see clock.h. */
#include "evict/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/latch.h"
#include "io/extent.h"
#include "io/writeback.h"

/* A batch is this share of a shard: its pages are evicted sooner than they need to be. */
#define BATCH_SHARE 32u
/* Also of the smallest: a batch of one is a barrier for each miss. */
#define BATCH_LEAST 2u
/* A thread in need of a frame writes no more pages at once than this: the barrier is for many, its wait is its own. */
#define BATCH_DIRTY 32u
/* Where pages wanted once only are this share of a batch, they are all of it: others are not to go for them. */
#define BATCH_ONCE_SHARE 4u
/* A barrier serves other shards too, of which this share of a batch is used up. */
#define USED_UP_SHARE 2
/* All batches together are this share of the pool: were all of it claimed, it would have to grow. */
#define BUDGET_SHARE 2u
/*
 * After a search that found no victim among more than BACKOFF_PINS pins, and so took long,
 * 1/BACKOFF_SHARE as many frames of the overflow are taken before the next.
 */
#define BACKOFF_PINS  1024u
#define BACKOFF_SHARE 8u
/* Frames of an overflow segment that are evicted at once: so many a thread stopped there keeps claimed. */
#define TRIM_BATCH 64u
/* Batches of victims that may all be rescued or pinned before other shards are searched. */
#define EVICT_TRIES 4u
/* Of these, the first take pages wanted once only before others; all of those may be pinned. */
#define ONCE_TRIES 2u
/* Victims that other threads may claim first before other shards are searched: so many times the shard. */
#define SWEEPS 2u
/* Cleaners make this share of a shard evictable at the most, and begin when half of what is wanted is left. */
#define AHEAD_SHARE 16u
#define LOW_SHARE   2
/* Overflow segments 1 to this one are never retired: a small pool needs them often. */
#define SEGMENT_KEPT 1u
/* So many frames of the tail are given back at once: while they are, nobody else changes the capacity. */
#define GIVEN_BACK_AT_ONCE (1u << 14)
/* Hints that a thread takes at once: two lines of frame words. */
#define HINTS_OWN  16u
#define HINTS_MASK ((UINT64_C(1) << HINTS_OWN) - 1)

static uint32_t shards_of(const struct clock_state *c)
{
	/* Acquire: pairs with shard_add. */
	uint32_t n = atomic_load_explicit(&c->shards, memory_order_acquire);
	/* Whatever another process has written there. */
	return n < SHARDS_MAX ? n : SHARDS_MAX;
}

static uint32_t count_of(const struct shard *sh)
{
	/* Acquire: pairs with cover; the frames are there. */
	return atomic_load_explicit(&sh->count, memory_order_acquire);
}

/* Frames that the shards have. */
static uint32_t covered(const struct clock_state *c)
{
	uint32_t n = shards_of(c);
	return n == 0 ? 0 : c->shard[n - 1].first + count_of(&c->shard[n - 1]);
}

/* Whole words of free_bits, so that no two shards write one. */
static uint32_t whole_words(uint32_t frames)
{
	return (frames + BITS_PER_WORD - 1) / BITS_PER_WORD * BITS_PER_WORD;
}

static void set_batch(struct clock_state *c, uint32_t frames)
{
	uint32_t batch = count_of(&c->shard[0]) / BATCH_SHARE;
	if (batch < BATCH_LEAST)
		batch = BATCH_LEAST;
	if (batch > WINDOW_MAX)
		batch = WINDOW_MAX;
	atomic_store_explicit(&c->batch, batch, memory_order_relaxed);
	atomic_store_explicit(&c->budget, frames / BUDGET_SHARE, memory_order_relaxed);
}

static void shard_add(struct clock_state *c, uint32_t first, uint32_t count)
{
	uint32_t n = shards_of(c);
	c->shard[n].first = first;
	atomic_store(&c->shard[n].most, count);
	atomic_store(&c->shard[n].count, count);
	/* Release: who sees the number finds the shard filled in. */
	atomic_store_explicit(&c->made, n + 1, memory_order_release);
	atomic_store_explicit(&c->shards, n + 1, memory_order_release);
}

/* It has so many frames, as it once had, or more. */
static void shard_holds(struct shard *sh, uint32_t count)
{
	if (atomic_load(&sh->most) < count)
		atomic_store(&sh->most, count);
	atomic_store(&sh->count, count);
}

uint32_t clock_shards(uint32_t frames)
{
	uint32_t shards = 1;
	while (shards < SHARDS_MAX && frames / (2 * shards) >= SHARD_FRAMES)
		shards *= 2;
	return shards;
}

void clock_init(struct clock_state *c, uint32_t frames)
{
	uint32_t shards = clock_shards(frames);
	uint32_t count = whole_words(frames / shards);
	for (uint32_t i = 0, first; i < shards && (first = i * count) < frames; i++)
		shard_add(c, first, frames - first < count ? frames - first : count);
	set_batch(c, frames);
}

/* Of so many frames that shards are to be added for, `shards` at the most: the first one's. */
static uint32_t shard_share(uint32_t frames, uint32_t shards)
{
	uint32_t even = whole_words(frames / shards);
	uint32_t share = even < SHARD_FRAMES ? SHARD_FRAMES : even;
	return share < frames ? share : frames;
}

/* Up to `more` frames for the last shard, or for one that there was once.  False: it was never larger, and there are no others. */
static bool cover_again(struct clock_state *c, uint32_t more)
{
	uint32_t n = shards_of(c), count = count_of(&c->shard[n - 1]), most = atomic_load(&c->shard[n - 1].most);
	if (count < most) {
		atomic_store(&c->shard[n - 1].count, more < most - count ? count + more : most);
		return true;
	}
	if (n >= SHARDS_MAX || n >= atomic_load(&c->made))
		return false;
	most = atomic_load(&c->shard[n].most);
	atomic_store(&c->shard[n].count, more < most ? more : most);
	/* Release: as in shard_add. */
	atomic_store_explicit(&c->shards, n + 1, memory_order_release);
	return true;
}

/* The shards are to cover so many frames, if they do not. */
static void cover(struct clock_state *c, uint32_t frames)
{
	uint32_t have;
	while ((have = covered(c)) < frames) {
		uint32_t n = shards_of(c), more = frames - have;
		struct shard *last = &c->shard[n - 1];
		if (cover_again(c, more))
			continue;
		/* To full words first; then up to the size of a shard, or, where no more can be
		 * added, all there is. */
		uint32_t count = count_of(last), size = n == SHARDS_MAX ? count + more : SHARD_FRAMES;
		if (count % BITS_PER_WORD != 0 && whole_words(count) > size)
			size = whole_words(count);
		if (count < size)
			shard_holds(last, more < size - count ? count + more : size);
		else
			shard_add(c, have, shard_share(more, SHARDS_MAX - n));
	}
	set_batch(c, frames);
}

/* They may be changing just now: what is looked at is right at any instant. */
bool clock_sound(const struct clock_state *c, uint32_t limit)
{
	uint32_t n = atomic_load(&c->shards), made = atomic_load(&c->made), end = 0;
	if (n == 0 || n > made || made > SHARDS_MAX)
		return false;
	for (uint32_t i = 0; i < made; i++) {
		const struct shard *sh = &c->shard[i];
		uint32_t count = count_of(sh), most = atomic_load(&sh->most);
		if (sh->first != end || count == 0 || count > most || most > limit - end)
			return false;
		end += most;
	}
	uint32_t batch = atomic_load(&c->batch);
	return batch >= 1 && batch <= WINDOW_MAX;
}

/* ---- frames nobody uses ------------------------------------------------- */

bool victim_take_out(struct evict *ev, struct stripe *me, const struct victim *v)
{
	uint32_t word = victim_word(v);
	struct whose is = whose_page(ev->io, v->page);
	if ((word & FRAME_UNSYNCED_ANY) && pageio_cut_keeps(&is.io->file, is.page)) {
		victim_reopen(v);
		return false;
	}
	/*
	 * Note that it leaves memory, then load its word again.  Pairs with sync_flush,
	 * which makes frames dirty first and then loads what has left.
	 */
	pageio_left(&is.io->file, word & FRAME_UNSYNCED(0), word & FRAME_UNSYNCED(1));
	if (victim_word(v) & FRAME_DIRTY) {
		victim_reopen(v);
		return false;
	}
	FRAME_CHECK_HELD(v->fr, v->page);
	epoch_enter(&ev->core->epoch, me);
	latch_changed(ev->core, v->frame);
	bool freed = table_free(&v->entry, entry_word(v->page, ENTRY_CLOSING, v->frame));
	epoch_leave(me);
	return freed;
}

/*
 * Empty the frame of an evictable page: it stays claimed, and no entry names it.  False: it
 * was rescued, or an fsync has just failed and it is dirty; its entry is open.
 */
static bool victim_empty(struct evict *ev, struct stripe *me, const struct victim *v)
{
	/* Before: without a page in memory its file may be closed. */
	extent_count(ev->io, v->page, IO_EVICTIONS, 1);
	if (!victim_take_out(ev, me, v)) {
		extent_count_not(ev->io, v->page, IO_EVICTIONS);
		return false;
	}
	page_evicted(ev, v->frame, v->page);
	/* From here on the frame is claimed and nothing else. */
	frame_word_empty(v->fr);
	stripe_count(me, COUNT_EVICTIONS, 1);
	MPOOL_PROBE(evict, ev->core, v->page);
	return true;
}

/* Evict the page of frame `f` if it is evictable.  The frame, claimed, or FRAME_NONE. */
static uint32_t take_evictable(struct evict *ev, struct stripe *me, uint32_t f)
{
	struct victim v;
	if (!frame_claim(&ev->core->frames.base.frame[f], me->id))
		return FRAME_NONE;
	epoch_enter(&ev->core->epoch, me);
	bool evictable = victim_evictable(ev->core, &v, f);
	epoch_leave(me);
	if (evictable && victim_empty(ev, me, &v))
		return f;
	victim_release(ev->core, &v);
	return FRAME_NONE;
}

/* A frame that was never used, if there is one still.  A full pool has none, and does no more than look. */
static inline uint32_t take_fresh(struct evict *ev, const struct stripe *me)
{
	const struct frames *fs = &ev->core->frames;
	if (likely(frames_used(fs) >= frames_capacity(fs)))
		return FRAME_NONE;
	return frame_take_fresh(fs, covered(ev->clock), me->id);
}

static struct shard *shard_of_frame(struct clock_state *c, uint32_t f)
{
	/* All have one size, but for those added when a pool grew: search from there. */
	uint32_t n = shards_of(c), last = n > 0 ? n - 1 : 0;
	if (last == 0)
		return &c->shard[0]; /* small pools avoid the division */
	uint32_t each = count_of(&c->shard[0]);
	uint32_t i = each > 0 && f / each < last ? f / each : last;
	while (i > 0 && f < c->shard[i].first)
		i--;
	while (i < last && f - c->shard[i].first >= count_of(&c->shard[i]))
		i++;
	return &c->shard[i];
}

/* Of the shard's hints that many more are of free frames. */
static void spare_add(struct clock_state *c, struct shard *sh, int32_t n)
{
	/* Relaxed: what is lost between two threads costs a page that need not have gone yet. */
	atomic_fetch_add_explicit(&sh->spare, n, memory_order_relaxed);
	if (n > 0 && !atomic_load_explicit(&c->spare, memory_order_relaxed))
		atomic_store_explicit(&c->spare, true, memory_order_relaxed);
}

/* A free frame of segment 0 was taken. */
static void spare_taken(struct evict *ev, uint32_t f)
{
	struct shard *sh = shard_of_frame(ev->clock, f);
	/* Those that a thread keeps the hints of may be counted no more. */
	if (atomic_load_explicit(&sh->spare, memory_order_relaxed) > 0)
		spare_add(ev->clock, sh, -1);
}

/* One of the free frames that have hints in word `at` of them. */
static uint32_t take_spare_in(struct evict *ev, struct shard *sh, uint32_t at, uint32_t me)
{
	_Atomic uint64_t *bits = &ev->core->frames.base.free_bits[at];
	for (uint64_t w = atomic_load_explicit(bits, memory_order_relaxed); w; w &= w - 1) {
		uint32_t f = at * BITS_PER_WORD + (uint32_t)__builtin_ctzll(w);
		uint64_t bit = w & -w;
		if (!frame_take(&ev->core->frames.base.frame[f], me))
			continue;
		/* Another thread may have taken the hint. */
		if (atomic_fetch_and(bits, ~bit) & bit)
			atomic_fetch_sub(&sh->hinted, 1);
		spare_taken(ev, f);
		return f;
	}
	return FRAME_NONE;
}

/* A free frame of the shard that has a hint. */
static uint32_t take_spare_of(struct evict *ev, struct shard *sh, uint32_t me)
{
	int32_t n = atomic_load_explicit(&sh->spare, memory_order_relaxed);
	uint32_t first = sh->first / BITS_PER_WORD, words = whole_words(count_of(sh)) / BITS_PER_WORD;
	uint32_t from = atomic_load_explicit(&sh->hinted_at, memory_order_relaxed), f = FRAME_NONE;
	for (uint32_t i = 0; i < words && n > 0; i++) {
		uint32_t at = (from + i) % words;
		if ((f = take_spare_in(ev, sh, first + at, me)) == FRAME_NONE)
			continue;
		if (i > 0)
			atomic_store_explicit(&sh->hinted_at, at, memory_order_relaxed);
		return f;
	}
	/* There is none, unless one has just come. */
	if (n > 0)
		atomic_compare_exchange_strong(&sh->spare, &n, 0);
	return FRAME_NONE;
}

/* One whose hint the thread keeps for itself. */
static uint32_t take_spare_own(struct evict *ev, struct attachment *a)
{
	for (uint32_t own = a->hints; own; own &= own - 1) {
		uint32_t f = a->hints_first + (uint32_t)__builtin_ctz(own);
		if (!frame_take(&ev->core->frames.base.frame[f], a->stripe->id))
			continue;
		a->hints &= ~(own & -own);
		spare_taken(ev, f);
		return f;
	}
	return FRAME_NONE;
}

__attribute__((noinline)) static uint32_t find_spare(struct evict *ev, struct attachment *a)
{
	struct clock_state *c = ev->clock;
	uint32_t f = take_spare_own(ev, a);
	if (f != FRAME_NONE)
		return f;
	/* Before the shards are looked at: whoever frees a frame after that says so. */
	atomic_store(&c->spare, false);
	for (uint32_t i = 0, n = shards_of(c); i < n && f == FRAME_NONE; i++)
		f = take_spare_of(ev, &c->shard[(a->stripe->id + i) % n], a->stripe->id);
	if (f != FRAME_NONE)
		atomic_store(&c->spare, true); /* there may be others */
	return f;
}

/* A free frame, of any shard, before a page goes that is evictable.  A full pool has none, and does no more than look. */
static inline uint32_t take_spare(struct evict *ev, struct attachment *a)
{
	bool any = atomic_load_explicit(&ev->clock->spare, memory_order_relaxed);
	return likely(!any) ? FRAME_NONE : find_spare(ev, a);
}

/*
 * One of the hinted frames that the thread keeps for itself; or a free one, or one never used, before a page goes that has a
 * hint, which is kept.
 */
static uint32_t take_own(struct evict *ev, struct attachment *a)
{
	uint32_t f = FRAME_NONE;
	while (a->hints && f == FRAME_NONE) {
		uint32_t hinted = a->hints_first + (uint32_t)__builtin_ctz(a->hints);
		if (frame_take(&ev->core->frames.base.frame[hinted], a->stripe->id))
			spare_taken(ev, f = hinted);
		else if ((f = take_fresh(ev, a->stripe)) != FRAME_NONE || (f = take_spare(ev, a)) != FRAME_NONE)
			return f;
		else
			f = take_evictable(ev, a->stripe, hinted);
		a->hints &= a->hints - 1;
	}
	return f;
}

/* A free frame of the shard, or one whose page is evictable; the thread keeps a few more hints for itself. */
static uint32_t take_hinted(struct evict *ev, struct shard *sh, struct attachment *a)
{
	uint32_t first = sh->first / BITS_PER_WORD;
	uint32_t words = whole_words(count_of(sh)) / BITS_PER_WORD;
	uint32_t from = atomic_load_explicit(&sh->hinted_at, memory_order_relaxed);
	for (uint32_t i = 0; i < words && atomic_load_explicit(&sh->hinted, memory_order_relaxed) > 0; i++) {
		uint32_t at = (from + i) % words;
		_Atomic uint64_t *bits = &ev->core->frames.base.free_bits[first + at];
		for (uint64_t w; (w = atomic_load_explicit(bits, memory_order_relaxed));) {
			unsigned shift = (unsigned)__builtin_ctzll(w) / HINTS_OWN * HINTS_OWN;
			uint64_t mask = HINTS_MASK << shift;
			uint64_t got = atomic_fetch_and(bits, ~mask) & mask;
			if (!got)
				continue; /* another thread took them */
			atomic_fetch_sub(&sh->hinted, __builtin_popcountll(got));
			if (i > 0)
				atomic_store_explicit(&sh->hinted_at, at, memory_order_relaxed);
			a->hints = (uint32_t)(got >> shift);
			a->hints_first = (first + at) * BITS_PER_WORD + shift;
			uint32_t f = take_own(ev, a);
			if (f != FRAME_NONE)
				return f;
		}
	}
	return FRAME_NONE;
}

static uint32_t take_hinted_anywhere(struct evict *ev, uint32_t home, struct attachment *a)
{
	struct clock_state *c = ev->clock;
	uint32_t f = FRAME_NONE;
	for (uint32_t i = 0, n = shards_of(c); i < n && f == FRAME_NONE; i++)
		f = take_hinted(ev, &c->shard[(home + i) % n], a);
	return f;
}

/* Note that the frame, of segment 0, is free or its page evictable.  How many hints that adds: 0 or 1. */
static int32_t hint(struct evict *ev, uint32_t f)
{
	uint64_t bit = UINT64_C(1) << f % BITS_PER_WORD;
	return !(atomic_fetch_or(&ev->core->frames.base.free_bits[f / BITS_PER_WORD], bit) & bit);
}

static void hints_add(struct shard *sh, uint32_t f, int32_t n)
{
	atomic_store_explicit(&sh->hinted_at, (f - sh->first) / BITS_PER_WORD, memory_order_relaxed);
	atomic_fetch_add(&sh->hinted, n);
}

/* The frame, of segment 0, is free. */
static void hint_free(struct evict *ev, uint32_t f)
{
	struct shard *sh = shard_of_frame(ev->clock, f);
	hints_add(sh, f, hint(ev, f));
	spare_add(ev->clock, sh, 1);
}

/* Its page is not evictable any more, nor is it free. */
static void unhint(struct evict *ev, uint32_t f)
{
	uint64_t bit = UINT64_C(1) << f % BITS_PER_WORD;
	_Atomic uint64_t *bits = &ev->core->frames.base.free_bits[f / BITS_PER_WORD];
	/* Should the hint come only now, whoever follows it finds no evictable page. */
	if ((atomic_load_explicit(bits, memory_order_relaxed) & bit) && (atomic_fetch_and(bits, ~bit) & bit))
		atomic_fetch_sub(&shard_of_frame(ev->clock, f)->hinted, 1);
}

void frame_rescued(struct evict *ev, uint32_t f)
{
	if (f < frames_capacity(&ev->core->frames))
		unhint(ev, f);
}

/* ---- what the policy is told -------------------------------------------- */

static struct policy_of policy_of(struct evict *ev, struct shard *sh)
{
	uint32_t count = count_of(sh), used = frames_used(&ev->core->frames);
	used = used > sh->first ? used - sh->first : 0;
	return (struct policy_of){&sh->policy, &ev->core->frames, sh->first, count, used < count ? used : count};
}

static struct policy_of policy_of_frame(struct evict *ev, uint32_t f)
{
	return policy_of(ev, shard_of_frame(ev->clock, f));
}

/* Of the page's home shard, by its hash. */
static struct policy_of policy_of_page(struct evict *ev, uint32_t page)
{
	struct clock_state *c = ev->clock;
	return policy_of(ev, &c->shard[hash_place(number_hash(page), shards_of(c))]);
}

void page_installed(struct evict *ev, uint32_t f, uint32_t page, bool once)
{
	if (f >= frames_capacity(&ev->core->frames))
		return;
	struct policy_of o = policy_of_frame(ev, f), home = policy_of_page(ev, page);
	policy_enter(&o, &home, f, page, once);
}

static inline void count_wasted(struct evict *ev, uint32_t f)
{
	if (f < ev->core->frames.base.count &&
	    atomic_load_explicit(frame_mark(&ev->core->frames, f), memory_order_relaxed) == MARK_AHEAD)
		atomic_fetch_add_explicit(&ev->clock->wasted, 1, memory_order_relaxed);
}

void page_forgotten(struct evict *ev, uint32_t f)
{
	count_wasted(ev, f);
}

void page_evicted(struct evict *ev, uint32_t f, uint32_t page)
{
	count_wasted(ev, f);
	if (f >= frames_capacity(&ev->core->frames))
		return;
	struct policy_of o = policy_of_frame(ev, f), home = policy_of_page(ev, page);
	policy_leave(&o, &home, f, page);
}

void ahead_count(struct evict *ev)
{
	atomic_fetch_add_explicit(&ev->clock->ahead, 1, memory_order_relaxed);
}

void ahead_counts(const struct evict *ev, uint64_t *ahead, uint64_t *wasted)
{
	*ahead = atomic_load_explicit(&ev->clock->ahead, memory_order_relaxed);
	*wasted = atomic_load_explicit(&ev->clock->wasted, memory_order_relaxed);
}

void frame_free(struct evict *ev, uint32_t f)
{
	bool base = f < frames_capacity(&ev->core->frames);
	if (base) {
		struct policy_of o = policy_of_frame(ev, f);
		policy_drop(&o, f); /* while it is ours */
	}
	core_free_frame(ev->core, f, frame_of(&ev->core->frames, f));
	if (base)
		hint_free(ev, f);
}

/* ---- the hand ----------------------------------------------------------- */

/*
 * The frames that a hand skips: those that are pinned, as the window would find them only
 * after its barrier; and dirty ones, when they cannot be written.  A hint.
 */
#define PINNED_SET_HERE (1u << 14) /* a pool of so many frames needs no memory for it */

struct pinned_set {
	bool dirty;       /* skip those that are */
	bool unwritten;   /* let go of those that are, writing nothing */
	bool ahead;       /* it is for a page that nobody asked for: skip others of the kind, write nothing */
	bool hinted;      /* skip those that have a hint: they are free or evictable already */
	bool everywhere;  /* search all frames that are not in the set, for otherwise the pool grows */
	bool neighbours;  /* the barrier is to serve other shards too */
	uint32_t emptied; /* frames of the overflow, by trim */
	uint32_t pins;
	uint32_t frames;   /* how many bits; 0: no frame is in the set */
	uint32_t capacity; /* when it was made */
	const struct frames *of;
	uint64_t *bits; /* by frame_rank */
	uint64_t here[PINNED_SET_HERE / BITS_PER_WORD];
};

static void pinned_set_add(void *set, const struct stripe *s, uint64_t slot)
{
	struct pinned_set *ps = set;
	uint32_t f = frame_rank(ps->of, ps->capacity, slot_frame(slot));
	(void)s;
	ps->pins++;
	if (f < ps->frames)
		ps->bits[f / BITS_PER_WORD] |= UINT64_C(1) << f % BITS_PER_WORD;
}

static bool in_pinned_set(const void *set, uint32_t f, uint32_t word)
{
	const struct pinned_set *ps = set;
	if ((ps->dirty || ps->ahead) && word & FRAME_DIRTY)
		return true;
	if (ps->ahead && atomic_load_explicit(&ps->of->base.mark[f], memory_order_relaxed) == MARK_AHEAD)
		return true;
	if (ps->hinted && frame_bit(ps->of->base.free_bits, f))
		return true;
	if (ps->frames == 0)
		return false;
	f = frame_rank(ps->of, ps->capacity, f);
	return f < ps->frames && ps->bits[f / BITS_PER_WORD] >> f % BITS_PER_WORD & 1;
}

static void pinned_set_fill(struct evict *ev, struct pinned_set *ps)
{
	uint32_t capacity = frames_top(&ev->core->frames), frames = frames_end(&ev->core->frames, capacity);
	memset(ps, 0, sizeof *ps);
	ps->everywhere = true;
	ps->of = &ev->core->frames;
	ps->capacity = capacity;
	ps->bits = frames <= PINNED_SET_HERE ? ps->here : calloc(frames / BITS_PER_WORD + 1, sizeof *ps->bits);
	ps->frames = ps->bits ? frames : 0;
	pin_scan(&ev->core->pins, pinned_set_add, ps);
}

/*
 * Whoever looks with the set passes by those of the window that are latched, which no pin need show; and, `refused`, since
 * the program has not let pages be written, by all that are modified still.  False: there is none that is not in it already.
 */
static bool pass_by(struct evict *ev, struct stripe *me, struct pinned_set *ps, const struct window *w, bool refused)
{
	bool any = false;
	epoch_enter(&ev->core->epoch, me); /* they are let go of, and a frame of the overflow may be gone by now */
	for (unsigned i = 0; i < w->n && ps->frames > 0; i++) {
		uint32_t f = frame_rank(ps->of, ps->capacity, w->victim[i].frame);
		uint64_t bit = UINT64_C(1) << f % BITS_PER_WORD;
		const struct frame *fr = frame_live(ps->of, w->victim[i].frame);
		uint32_t word = fr ? atomic_load(&fr->word) : FRAME_FREE;
		bool vain = w->victim[i].latched || (refused && word & FRAME_DIRTY);
		if (f >= ps->frames || !vain || ps->bits[f / BITS_PER_WORD] & bit)
			continue;
		ps->bits[f / BITS_PER_WORD] |= bit;
		any = true;
	}
	epoch_leave(me);
	return any;
}

static void pinned_set_free(struct pinned_set *ps)
{
	if (ps->bits != ps->here)
		free(ps->bits);
}

/*
 * Add to the window at most `n` victims of the shard's policy, and of all that are in it no more
 * than BATCH_DIRTY that are to be written; `once`: pages wanted once only before others.
 * Returns, claimed, a free frame whose hint was lost, if the hand meets one.
 */
static uint32_t sweep(struct evict *ev, struct stripe *me, struct shard *sh, const struct pinned_set *ps, uint32_t n,
                      bool once, struct window *w, uint32_t *dirty)
{
	struct policy_of o = policy_of(ev, sh);
	struct policy_search search = {.skip = in_pinned_set,
	                               .of = ps,
	                               .everywhere = ps->everywhere,
	                               .once = once,
	                               .only_once = once && policy_once(&o) > n / BATCH_ONCE_SHARE,
	                               .gentle = ps->ahead};
	unsigned begin = w->n;
	for (uint32_t i = 0; w->n - begin < n && *dirty < BATCH_DIRTY && i < SWEEPS * o.used; i++) {
		uint32_t f = policy_victim(&o, &search);
		if (f == FRAME_NONE && search.only_once && w->n == begin) {
			search.only_once = false; /* they are all pinned, or claimed */
			continue;
		}
		if (f == FRAME_NONE)
			break;
		struct frame *fr = &ev->core->frames.base.frame[f];
		if (frame_take(fr, me->id)) {
			spare_taken(ev, f);
			return f;
		}
		if (frame_claim(fr, me->id) && window_add(ev->core, w, f))
			*dirty += victim_word(&w->victim[w->n - 1]) & FRAME_DIRTY ? 1 : 0;
	}
	return FRAME_NONE;
}

/* How many victims of the shard are to be chosen, that it has a batch which nobody has taken yet; 0: there is much left. */
static uint32_t used_up(struct evict *ev, struct shard *sh)
{
	struct policy_of o = policy_of(ev, sh);
	int32_t all = (int32_t)policy_batch(&o, atomic_load_explicit(&ev->clock->batch, memory_order_relaxed));
	int32_t left = atomic_load_explicit(&sh->hinted, memory_order_relaxed);
	return left <= all - all / USED_UP_SHARE ? (uint32_t)(all - (left > 0 ? left : 0)) : 0;
}

/* What is left of the window is for shards that will need a batch soon: `most` victims in all. */
static void sweep_neighbours(struct evict *ev, struct stripe *me, struct shard *home, uint32_t most, struct window *w,
                             uint32_t *dirty)
{
	const struct pinned_set ps = {.hinted = true, .of = &ev->core->frames};
	struct clock_state *c = ev->clock;
	uint32_t at = (uint32_t)(home - c->shard);
	for (uint32_t i = 1, n = shards_of(c); i < n && w->n < most; i++) {
		struct shard *sh = &c->shard[(at + i) % n];
		uint32_t wanted = used_up(ev, sh), room = most - w->n;
		uint32_t f = sweep(ev, me, sh, &ps, wanted < room ? wanted : room, true, w, dirty);
		if (f != FRAME_NONE)
			frame_free(ev, f); /* its hint was lost */
	}
}

/* One of the evictable frames for the caller, unless it has one; the others are unclaimed and hinted. */
static uint32_t keep_one(struct evict *ev, struct stripe *me, uint32_t have, const struct evictable *r)
{
	/* Of each shard: how many hints, and where the first is. */
	int32_t hints[SHARDS_MAX] = {0};
	uint32_t first[SHARDS_MAX];
	struct clock_state *c = ev->clock;
	for (unsigned i = 0; i < r->n; i++) {
		const struct victim *v = r->victim[i];
		if (have == FRAME_NONE && victim_empty(ev, me, v)) {
			have = v->frame;
			unhint(ev, have); /* it may have been evictable before */
			continue;
		}
		victim_release(ev->core, v);
		if (v->frame >= frames_capacity(&ev->core->frames))
			continue; /* it has become one of the tail */
		uint32_t sh = (uint32_t)(shard_of_frame(c, v->frame) - c->shard);
		if (hint(ev, v->frame) && hints[sh]++ == 0)
			first[sh] = v->frame;
	}
	for (uint32_t sh = 0, n = shards_of(c); sh < n; sh++)
		if (hints[sh] > 0)
			hints_add(&c->shard[sh], first[sh], hints[sh]);
	return have;
}

/* Of all victims, the calling thread's share, at most `batch`. */
static uint32_t share_begin(struct evict *ev, uint32_t batch)
{
	const struct clock_state *c = ev->clock;
	struct member_state *ms = ev->core->members;
	atomic_fetch_add_explicit(&core_member(ev->core)->evictors, 1, memory_order_relaxed);
	/* Each process counts its own, so that one that dies leaves nothing behind. */
	uint32_t evictors = 0, top = member_top(ms);
	for (uint32_t i = 0; i < top; i++)
		evictors += atomic_load_explicit(&ms->member[i].evictors, memory_order_relaxed);
	/* At least this thread: a recovery may clear its process's count while it is in here. */
	if (evictors == 0)
		evictors = 1;
	uint32_t share = atomic_load_explicit(&c->budget, memory_order_relaxed) / evictors;
	share = share < batch ? share : batch;
	return share == 0 ? 1 : share < WINDOW_MAX ? share : WINDOW_MAX;
}

static void share_end(struct evict *const *evictor)
{
	_Atomic uint32_t *own = &core_member((*evictor)->core)->evictors;
	uint32_t n = atomic_load_explicit(own, memory_order_relaxed);
	/* If it was cleared meanwhile it must not wrap around. */
	while (n > 0 &&
	       !atomic_compare_exchange_weak_explicit(own, &n, n - 1, memory_order_relaxed, memory_order_relaxed))
		;
}

/* Some page was not written, for this process had no descriptor of its file: have it, with no page claimed.  True: it has. */
static bool have_wanted(struct evict *ev, struct stripe *me)
{
	return unlikely(atomic_load_explicit(&ev->io->wanted, memory_order_relaxed)) &&
	       ev->core->above->wanted(ev->core, me);
}

/* Evict a page of this shard.  Its frame, claimed, or FRAME_NONE.  `passed`: `ps`, or NULL: for pages that are to be passed by. */
static uint32_t evict_from(struct evict *ev, struct stripe *me, struct shard *sh, const struct pinned_set *ps,
                           struct pinned_set *passed, int *error)
{
	struct window w;
	struct evictable r;
	struct policy_of o = policy_of(ev, sh);
	uint32_t batch = atomic_load_explicit(&ev->clock->batch, memory_order_relaxed);
	uint32_t f = FRAME_NONE, most = share_begin(ev, ps->neighbours ? WINDOW_MAX : batch);
	w.n = 1;
	/* Also when a filter does not return; after a longjmp the count is too high, and batches smaller. */
	__attribute__((cleanup(share_end), unused)) struct evict *const counted = ev;
	/* Again if all victims were rescued or pinned: that is no reason to grow. */
	for (unsigned i = 0; i < EVICT_TRIES && f == FRAME_NONE && w.n > 0;) {
		uint32_t dirty = 0;
		w.n = 0;
		epoch_enter(&ev->core->epoch, me);
		f = sweep(ev, me, sh, ps, policy_batch(&o, batch < most ? batch : most), i < ONCE_TRIES && !ps->ahead,
		          &w, &dirty);
		if (ps->neighbours && f == FRAME_NONE && w.n > 0)
			sweep_neighbours(ev, me, sh, most, &w, &dirty);
		epoch_leave(me);
		if (w.n == 0)
			break;
		bool refused = false;
		if (ps->ahead || ps->unwritten)
			window_evict_clean(ev->io, me, &w, &r);
		else
			refused = window_evict(ev->io, me, &w, &r, error);
		f = keep_one(ev, me, f, &r);
		i += !(have_wanted(ev, me) || (passed && pass_by(ev, me, passed, &w, refused)));
	}
	return f;
}

static uint32_t evict_any(struct evict *ev, struct stripe *me, uint32_t home, const struct pinned_set *ps,
                          struct pinned_set *passed, int *error)
{
	struct clock_state *c = ev->clock;
	uint32_t f = FRAME_NONE;
	for (uint32_t i = 0, n = shards_of(c); i < n && f == FRAME_NONE; i++)
		f = evict_from(ev, me, &c->shard[(home + i) % n], ps, passed, error);
	return f;
}

/* ---- ahead of need ------------------------------------------------------ */

/* Is the page of a frame that we have claimed evictable already?  Then let go of it, with its hint. */
static bool was_evictable(struct evict *ev, struct shard *sh, uint32_t f)
{
	struct victim v;
	if (!victim_evictable(ev->core, &v, f))
		return false;
	victim_release(ev->core, &v);
	hints_add(sh, f, hint(ev, f));
	return true;
}

/* Fill the window with at most `n` victims of the shard's policy. */
static void sweep_ahead(struct evict *ev, struct stripe *me, struct shard *sh, const struct pinned_set *ps, uint32_t n,
                        struct window *w)
{
	struct policy_of o = policy_of(ev, sh);
	struct policy_search search = {
		.skip = in_pinned_set, .of = ps, .everywhere = ps->everywhere, .once = true, .gentle = ps->ahead};
	w->n = 0;
	for (uint32_t i = 0; w->n < n && i < SWEEPS * o.used; i++) {
		uint32_t f = policy_victim(&o, &search);
		if (f == FRAME_NONE)
			break;
		struct frame *fr = &ev->core->frames.base.frame[f];
		if (frame_take(fr, me->id)) {
			spare_taken(ev, f);
			frame_free(ev, f);
		} else if (frame_claim(fr, me->id) && !was_evictable(ev, sh, f))
			window_add(ev->core, w, f);
	}
}

/* Whoever needs a frame may have these.  How many. */
static uint32_t let_go(struct evict *ev, struct stripe *me, const struct evictable *r)
{
	(void)keep_one(ev, me, 0, r); /* and that for nobody */
	atomic_fetch_add_explicit(&ev->clock->cleaned, r->n, memory_order_relaxed);
	if (r->n > 0 && demand_served(&ev->demand))
		demand_came(&ev->demand, r->n);
	return r->n;
}

/* What a window was of, of victims that were to be made evictable. */
struct found {
	bool some;                 /* there were victims */
	bool others;               /* and others are to be looked for, since some are to be passed by */
	int refused;               /* why the program has not let some be written; 0: it has not happened */
	struct pinned_set *passed; /* that these are added to; NULL */
};

/* Make at most `n` frames of the shard evictable, of one window.  How many. */
static uint32_t clean_some(struct evict *ev, struct stripe *me, struct shard *sh, const struct pinned_set *ps,
                           uint32_t n, struct found *found, int *error)
{
	struct window w;
	struct evictable r;
	struct writing to;
	BUFFER(b, ev->io);
	uint32_t made, batch = share_begin(ev, n);
	/* Also when a filter does not return: see evict_from. */
	__attribute__((cleanup(share_end), unused)) struct evict *const counted = ev;
	epoch_enter(&ev->core->epoch, me);
	sweep_ahead(ev, me, sh, ps, batch, &w);
	epoch_leave(me);
	found->some = w.n > 0;
	if (w.n == 0)
		return 0;
	window_evict_begin(ev->io, me, &w, &r, &b, &to, error);
	made = let_go(ev, me, &r);
	while (window_evict_next(ev->io, me, &to, &r, error))
		made += let_go(ev, me, &r);
	int refused = to.copied.refused;
	found->others = have_wanted(ev, me) ||
	                (found->passed && pass_by(ev, me, found->passed, &w, refused || to.copied.others));
	found->refused = refused ? refused : found->refused;
	return made;
}

/* Make at most `n` frames of the shard evictable.  How many. */
static uint32_t clean_shard(struct evict *ev, struct stripe *me, struct shard *sh, struct pinned_set *ps, uint32_t n,
                            int *refused, int *error)
{
	uint32_t made = 0;
	struct found found = {.some = true, .passed = ps};
	/* Again if all of a window were rescued or pinned, but not for ever. */
	for (unsigned vain = 0; made < n && found.some && vain < EVICT_TRIES;) {
		uint32_t more = clean_some(ev, me, sh, ps, n - made, &found, error);
		made += more;
		vain = more || found.others ? 0 : vain + 1;
		if (*error)
			ps->dirty = true;
	}
	*refused = found.refused ? found.refused : *refused;
	return made;
}

uint32_t clock_clean(struct evict *ev, struct stripe *me, uint32_t n, int *error)
{
	struct clock_state *c = ev->clock;
	struct pinned_set ps;
	uint32_t made = 0;
	int refused = 0;
	pinned_set_fill(ev, &ps);
	ps.hinted = true;
	/* Of each shard its part; then of each whatever is missing. */
	for (unsigned part = 0; part < 2; part++)
		for (uint32_t i = 0, shards = shards_of(c); i < shards && made < n; i++) {
			uint32_t most = part == 0 ? (n - made + shards - i - 1) / (shards - i) : n - made;
			made += clean_shard(ev, me, &c->shard[i], &ps, most, &refused, error);
		}
	if (made == 0 && !*error)
		*error = refused;
	pinned_set_free(&ps);
	return made;
}

/* Frames of the shard that are free, evictable, or about to be. */
static int32_t ready(const struct evict *ev, uint32_t shard)
{
	const struct clock_state *c = ev->clock;
	int32_t fresh = (int32_t)(covered(c) - frames_used(&ev->core->frames));
	return atomic_load_explicit(&c->shard[shard].hinted, memory_order_relaxed) +
	       atomic_load_explicit(&ev->coming[shard], memory_order_relaxed) + (fresh > 0 ? fresh : 0);
}

/*
 * How many are to be, for the shard's part, one of so many, of `next` evictions, and for those who wait; never
 * the pages that came in last.
 */
static int32_t wanted(struct evict *ev, uint32_t shard, uint32_t shards, uint32_t next)
{
	struct policy_of o = policy_of(ev, &ev->clock->shard[shard]);
	uint32_t waiting = atomic_load_explicit(&ev->demand.lined_up, memory_order_relaxed);
	uint32_t n = (next > waiting ? next : waiting) / shards + 1;
	uint32_t most = policy_batch(&o, o.count / AHEAD_SHARE);
	return (int32_t)(n < most ? n : most);
}

/* How many frames were made evictable. */
static uint32_t fill_shard(struct evict *ev, struct stripe *me, uint32_t shard, uint32_t shards, uint32_t next,
                           int *error)
{
	struct pinned_set ps = {.hinted = true, .of = &ev->core->frames};
	struct found found = {.some = true};
	uint32_t made = 0, more = 1;
	for (int32_t n; more > 0 && (n = wanted(ev, shard, shards, next) - ready(ev, shard)) > 0; made += more) {
		if (n > (int32_t)WINDOW_MAX)
			n = WINDOW_MAX;
		atomic_fetch_add_explicit(&ev->coming[shard], n, memory_order_relaxed);
		more = clean_some(ev, me, &ev->clock->shard[shard], &ps, (uint32_t)n, &found, error);
		atomic_fetch_sub_explicit(&ev->coming[shard], n, memory_order_relaxed);
		ps.dirty = *error != 0;
	}
	return made;
}

/* ---- the overflow ------------------------------------------------------- */

/* What is evictable leaves memory, and its frames are nobody's.  How many. */
static uint32_t free_all(struct evict *ev, struct stripe *me, const struct evictable *r)
{
	uint32_t emptied = 0;
	for (unsigned i = 0; i < r->n; i++)
		if (victim_empty(ev, me, r->victim[i])) {
			frame_free(ev, r->victim[i]->frame);
			emptied++;
		} else {
			victim_release(ev->core, r->victim[i]);
		}
	return emptied;
}

/* Fill the window with victims of an overflow segment; returns how many of its frames are in use. */
static uint32_t overflow_victims(struct evict *ev, struct stripe *me, const struct segment *seg,
                                 const struct pinned_set *ps, struct window *w)
{
	uint32_t used = 0;
	for (uint32_t i = 0; i < seg->count && w->n < TRIM_BATCH; i++) {
		uint32_t word = atomic_load_explicit(&seg->frame[i].word, memory_order_relaxed);
		used += word != FRAME_FREE;
		if (word != FRAME_FREE && !frame_claimed(word) && !in_pinned_set(ps, seg->first + i, word) &&
		    frame_claim(&seg->frame[i], me->id))
			window_add(ev->core, w, seg->first + i);
	}
	return used;
}

/* Retire an empty segment: claim all of its frames first, so that nobody can use one again. */
static void retire_segment(struct evict *ev, struct stripe *me, unsigned k)
{
	struct segment seg;
	epoch_enter(&ev->core->epoch, me);
	bool all = frame_segment(&ev->core->frames, k, &seg);
	for (uint32_t i = 0; all && i < seg.count; i++)
		if (!frame_take(&seg.frame[i], me->id)) {
			for (uint32_t j = 0; j < i; j++)
				core_free_frame(ev->core, seg.first + j, &seg.frame[j]);
			all = false;
		}
	epoch_leave(me);
	if (!all)
		return;
	epoch_retire(&ev->core->epoch, me, CHUNK_SEGMENTS + k);
	/* Wake those that wait for one of these claims. */
	wait_notify_all(ev->core->wait);
}

/*
 * Retire a segment that became empty without a trim: its last page was deleted, or a
 * retired segment could not be released yet.
 */
static void retire_empty(struct evict *ev, struct stripe *me)
{
	struct clock_state *c = ev->clock;
	if (!atomic_load(&c->overflow_reclaimable) || atomic_load(&c->overflow_used) || epoch_waiting(&ev->core->epoch))
		return;
	struct segment seg;
	atomic_store(&c->overflow_reclaimable, false);
	for (unsigned k = SEGMENT_CHUNKS - 1; k > SEGMENT_KEPT; k--)
		if (frame_segment(&ev->core->frames, k, &seg)) {
			atomic_store(&c->overflow_reclaimable, true); /* there may be another */
			retire_segment(ev, me, k);
			return;
		}
}

/* Set overflow_used anew: is any frame of the overflow in use?  See the head of clock.h. */
static void check_overflow(struct evict *ev, struct stripe *me)
{
	atomic_store(&ev->clock->overflow_used, false);
	bool used = false;
	epoch_enter(&ev->core->epoch, me);
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++) {
		struct segment seg;
		bool there = frame_segment(&ev->core->frames, k, &seg);
		for (uint32_t i = 0; there && i < seg.count && !used; i++)
			used = atomic_load(&seg.frame[i].word) != FRAME_FREE;
	}
	epoch_leave(me);
	if (used)
		atomic_store(&ev->clock->overflow_used, true);
}

/* Evict what can be evicted of the overflow, and retire its empty segments. */
static void trim(struct evict *ev, struct stripe *me, struct pinned_set *ps, int *error)
{
	bool left = false;
	for (unsigned k = SEGMENT_CHUNKS - 1; k > 0; k--) {
		struct window w;
		struct evictable r;
		struct segment seg;
		w.n = r.n = 0;
		uint32_t used = 0, emptied;
		epoch_enter(&ev->core->epoch, me);
		bool there = frame_segment(&ev->core->frames, k, &seg);
		if (there)
			used = overflow_victims(ev, me, &seg, ps, &w);
		epoch_leave(me);
		if (!there)
			continue;
		bool refused = false;
		if (w.n > 0 && ps->unwritten)
			window_evict_clean(ev->io, me, &w, &r);
		else if (w.n > 0)
			refused = window_evict(ev->io, me, &w, &r, error);
		emptied = free_all(ev, me, &r);
		/* Not while a segment retired before is kept by a thread in a section: it
		 * keeps its number, and growing again would need another each time. */
		if (used == emptied && k > SEGMENT_KEPT && !epoch_waiting(&ev->core->epoch))
			retire_segment(ev, me, k);
		left |= used != emptied;
		ps->emptied += emptied;
		/* Others of the segment: some are not refused; or clean ones have gone before modified ones (writeback.c). */
		if (pass_by(ev, me, ps, &w, refused) ||
		    (!refused && hooks_announce(&ev->io->file.hooks) && emptied > 0 && r.n < w.n))
			k++;
	}
	if (!left)
		check_overflow(ev, me);
}

/* ---- the role of who changes the capacity --------------------------------- */

static bool limit_begin(struct evict *ev, const struct stripe *me)
{
	uint32_t nobody = 0;
	return atomic_compare_exchange_strong(&ev->clock->limiting, &nobody, me->id + 1);
}

static void limit_end(struct evict *ev)
{
	atomic_store(&ev->clock->limiting, 0);
	wait_notify(ev->core->wait, wait_for_limit());
}

/* The same, when nobody else has it.  False: somebody has it still after so many waits. */
#define WAITS_ANY UINT32_MAX
static bool limit_await(struct evict *ev, const struct stripe *me, unsigned waits)
{
	struct wait_queue *q = wait_queue_of(ev->core->wait, wait_for_limit());
	bool begun;
	while (!(begun = limit_begin(ev, me)) && waits > 0) {
		uint32_t count = wait_prepare(q, wait_for_limit());
		/* Sequentially consistent, after the announcement: pairs with limit_end. */
		if (atomic_load(&ev->clock->limiting))
			core_sleep(ev->core, q, count, wait_for_limit());
		waits -= waits != WAITS_ANY;
	}
	return begun;
}

/* ---- the tail ----------------------------------------------------------- */

/* Add frames of the tail to the window, from *f down to `from`, but those that are pinned. */
static void tail_victims(struct evict *ev, struct stripe *me, const struct pinned_set *ps, uint32_t from, uint32_t *f,
                         struct window *w)
{
	w->n = 0;
	epoch_enter(&ev->core->epoch, me);
	while (*f > from && w->n < TRIM_BATCH) {
		struct frame *fr = &ev->core->frames.base.frame[--*f];
		uint32_t word = atomic_load_explicit(&fr->word, memory_order_relaxed);
		if (word != FRAME_FREE && !frame_claimed(word) && !in_pinned_set(ps, *f, word) &&
		    frame_claim(fr, me->id))
			window_add(ev->core, w, *f);
	}
	epoch_leave(me);
}

/* Evict what can be evicted of frames `from` to before `end`, in the tail; `clean`: nothing is written. */
static void trim_tail(struct evict *ev, struct stripe *me, const struct pinned_set *ps, uint32_t from, uint32_t end,
                      bool clean)
{
	while (end > from) {
		struct window w;
		struct evictable r;
		int none = 0; /* a page that cannot be written now stays */
		tail_victims(ev, me, ps, from, &end, &w);
		if (w.n == 0)
			continue;
		if (clean)
			window_evict_clean(ev->io, me, &w, &r);
		else
			window_evict(ev->io, me, &w, &r, &none);
		free_all(ev, me, &r);
	}
}

/*
 * The last of the tail's frames that are free, up to a piece, are none any more.  True: there may be more of them.  With the role: so
 * the capacity does not change meanwhile.
 */
static bool give_back_piece(struct evict *ev, const struct stripe *me)
{
	const struct frames *fs = &ev->core->frames;
	uint32_t from, end, first;
	if (!frames_tail(fs, &from, &end))
		return false;
	uint32_t least = end - from > GIVEN_BACK_AT_ONCE ? end - GIVEN_BACK_AT_ONCE : from;
	for (first = end; first > least && frame_take(&fs->base.frame[first - 1], me->id);)
		first--;
	/* They are claimed: who looks for a page in them without a pin has looked before that, and found latches on. */
	bool keep = region_shared(fs->region) && latches_on(ev->core);
	bool gone = first < end && frames_give_back(fs, first, end, keep);
	for (uint32_t f = first; f < end; f++)
		core_free_frame(ev->core, f, &fs->base.frame[f]);
	return gone && first == least && first > from;
}

/* The frames at the tail's end that are free are none any more, and there may be no tail.  With the role. */
static bool tail_ends(struct evict *ev, const struct stripe *me)
{
	uint32_t from, end;
	/* Before the frames are looked at: whoever takes one after that says so. */
	atomic_store(&ev->clock->tail_used, false);
	bool more = give_back_piece(ev, me);
	if (frames_tail(&ev->core->frames, &from, &end))
		atomic_store(&ev->clock->tail_used, true);
	return more;
}

/* For who needs a frame: look at some of the tail.  `clean`: nothing is written. */
static void trim_some_tail(struct evict *ev, struct stripe *me, bool clean)
{
	static const struct pinned_set none_pinned;
	struct clock_state *c = ev->clock;
	uint32_t from, end, at = atomic_load_explicit(&c->tail_at, memory_order_relaxed);
	if (frames_tail(&ev->core->frames, &from, &end)) {
		at = at > from && at < end ? at : end;
		uint32_t to = at - from > POLICY_STEPS ? at - POLICY_STEPS : from;
		trim_tail(ev, me, &none_pinned, to, at, clean);
		atomic_store_explicit(&c->tail_at, to, memory_order_relaxed);
	}
	if (limit_begin(ev, me)) {
		tail_ends(ev, me);
		limit_end(ev);
	}
}

/* All of the tail. */
static void trim_all_tail(struct evict *ev, struct stripe *me, bool waits)
{
	struct pinned_set ps;
	uint32_t from, end;
	if (frames_tail(&ev->core->frames, &from, &end)) {
		pinned_set_fill(ev, &ps);
		trim_tail(ev, me, &ps, from, end, false);
		/* Where the program is told of writes the clean ones went, and the others are left. */
		if (hooks_write(&ev->io->file.hooks))
			trim_tail(ev, me, &ps, from, end, false);
		pinned_set_free(&ps);
	}
	for (bool more = true; more && (waits ? limit_await(ev, me, WAITS_ANY) : limit_begin(ev, me));) {
		more = tail_ends(ev, me);
		limit_end(ev);
	}
}

/* ---- the overflow grows --------------------------------------------------- */

/* A free frame of the overflow from number `from` on, claimed. */
static uint32_t take_overflow_from(struct evict *ev, uint32_t from, uint32_t me)
{
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++) {
		struct segment seg;
		if (!frame_segment(&ev->core->frames, k, &seg))
			continue;
		for (uint32_t i = from > seg.first ? from - seg.first : 0; i < seg.count; i++)
			if (frame_take(&seg.frame[i], me))
				return seg.first + i;
	}
	return FRAME_NONE;
}

static uint32_t take_overflow(struct evict *ev, struct stripe *me)
{
	struct clock_state *c = ev->clock;
	uint32_t from = atomic_load_explicit(&c->overflow_next, memory_order_relaxed);
	epoch_enter(&ev->core->epoch, me);
	uint32_t f = take_overflow_from(ev, from, me->id);
	if (f == FRAME_NONE && from > 0)
		f = take_overflow_from(ev, 0, me->id);
	epoch_leave(me);
	if (f != FRAME_NONE) {
		atomic_store_explicit(&c->overflow_next, f + 1, memory_order_relaxed);
		atomic_store(&c->overflow_used, true); /* after the taking: see the head of clock.h */
	}
	return f;
}

/* A frame beyond the capacity. */
static uint32_t grow(struct evict *ev, struct stripe *me)
{
	for (;;) {
		uint32_t f = take_overflow(ev, me);
		if (f != FRAME_NONE)
			return f;
		/* The smallest number that is absent; a retired segment has its number still. */
		unsigned k = 1;
		while (k < SEGMENT_CHUNKS && region_at(&ev->core->region, CHUNK_SEGMENTS + k))
			k++;
		int made = k < SEGMENT_CHUNKS ? segment_make(&ev->core->frames, k) : -1;
		if (made < 0)
			return FRAME_NONE;
		if (made && k > SEGMENT_KEPT)
			atomic_store(&ev->clock->overflow_reclaimable, true);
	}
}

/* ---- a frame for a page ------------------------------------------------- */

static bool spend_backoff(struct clock_state *c)
{
	uint32_t n = atomic_load_explicit(&c->backoff, memory_order_relaxed);
	while (n > 0)
		if (atomic_compare_exchange_weak(&c->backoff, &n, n - 1))
			return true;
	return false;
}

/* Has a clean page left the overflow, or does one now?  Then the caller may have its room. */
static bool trim_clean(struct evict *ev, struct stripe *me, struct pinned_set *ps)
{
	int none = 0; /* nothing is written */
	if (ps->emptied == 0 && atomic_load(&ev->clock->overflow_used))
		trim(ev, me, ps, &none);
	return ps->emptied > 0;
}

/* Trim the overflow, then evict from any shard, skipping what is pinned.  `clean`: of clean ones only.  FRAME_NONE: there was no victim. */
static uint32_t search_everywhere(struct evict *ev, struct stripe *me, uint32_t home, bool clean, int *error)
{
	struct pinned_set ps;
	pinned_set_fill(ev, &ps);
	ps.dirty = ps.unwritten = clean;
	if (atomic_load(&ev->clock->overflow_used))
		trim(ev, me, &ps, error);
	uint32_t f = evict_any(ev, me, home, &ps, &ps, error);
	if (f == FRAME_NONE && *error && !clean) {
		/* The dirty ones cannot be written: is there a clean one? */
		ps.dirty = true;
		f = evict_any(ev, me, home, &ps, &ps, error);
	}
	if (f == FRAME_NONE && *error && trim_clean(ev, me, &ps))
		*error = 0;
	pinned_set_free(&ps);
	if (f == FRAME_NONE)
		atomic_store(&ev->clock->backoff, ps.pins > BACKOFF_PINS ? ps.pins / BACKOFF_SHARE : 0);
	return f;
}

/* `waits`: also where somebody else changes the capacity just now. */
static void trim_all(struct evict *ev, struct stripe *me, bool waits)
{
	struct pinned_set ps;
	int error = 0; /* a page that cannot be written now stays */
	if (atomic_load(&ev->clock->overflow_used)) {
		pinned_set_fill(ev, &ps);
		trim(ev, me, &ps, &error);
		pinned_set_free(&ps);
	}
	if (atomic_load(&ev->clock->tail_used))
		trim_all_tail(ev, me, waits);
	retire_empty(ev, me);
}

void clock_trim(struct evict *ev, struct stripe *me)
{
	trim_all(ev, me, false);
}

bool clock_ahead(struct evict *ev, struct stripe *me, uint32_t next, uint32_t *made, int *error)
{
	struct clock_state *c = ev->clock;
	uint32_t shards = shards_of(c), waiting;
	/* Another process may have written that. */
	if (shards == 0)
		return false;
	int32_t low = wanted(ev, 0, shards, next) / LOW_SHARE;
	low = low > 0 ? low : 1;
	atomic_store_explicit(&ev->demand.low, low, memory_order_relaxed);
	if ((atomic_load(&c->overflow_used) || atomic_load(&c->tail_used)) && !spend_backoff(c))
		clock_trim(ev, me); /* who needs a frame writes nothing */
	for (uint32_t i = 0; i < shards; i++)
		*made += fill_shard(ev, me, i, shards, next, error);
	/* Somebody waits, and the hands have not come to a victim: look everywhere. */
	if (*made == 0 && !*error && (waiting = atomic_load(&ev->demand.lined_up)) > 0)
		*made = clock_clean(ev, me, waiting, error);
	bool little = false;
	for (uint32_t i = 0; i < shards; i++)
		little |= ready(ev, i) < low;
	return *made > 0 && little && !*error;
}

#if MPOOL_CHECK > 1
/* Stripes that are looked at for each frame that is handed out: with very many pins there are very many. */
#define CHECKED_STRIPES 64u

/* Does some thread have the frame pinned? */
static bool is_pinned(const struct evict *ev, uint32_t f)
{
	const struct pins *p = &ev->core->pins;
	uint32_t n = atomic_load(&p->state->stripes);
	for (uint32_t id = 0; id < n && id < CHECKED_STRIPES; id++)
		for (unsigned i = 0; i < LINE_WORDS; i++)
			if (slot_pins(check_look64(&pin_stripe(p, id)->slots.word[i]), f))
				return true;
	return false;
}
#endif

/*
 * The frame was taken by a hint of before its memory was given back, and those before it were never used either, and have no hints: one
 * of them instead, or nobody would know of them when it is used.
 */
static uint32_t in_turn(struct evict *ev, const struct stripe *me, uint32_t f)
{
	const struct frames *fs = &ev->core->frames;
	uint32_t fresh = f < frames_used(fs) ? FRAME_NONE : take_fresh(ev, me);
	if (fresh == FRAME_NONE)
		return f;
	core_free_frame(ev->core, f, frame_of(fs, f));
	/* Its turn may have come meanwhile, and whoever had it found it claimed. */
	if (f < frames_used(fs) && f < frames_capacity(fs))
		hint_free(ev, f);
	return fresh;
}

/* The caller has it from now on: claimed and nothing else, and nobody has it pinned.  FRAME_NONE and ENOMEM: there is no memory for it. */
static uint32_t handed_out(struct evict *ev, const struct stripe *me, uint32_t f)
{
	MPOOL_CHECKED(check_look32(&frame_of(&ev->core->frames, f)->word) == (FRAME_USED | claim_owner(me->id)),
	              "a frame is handed out that is not empty", frame_of(&ev->core->frames, f)->word, me->id);
#if MPOOL_CHECK > 1
	MPOOL_CHECKED(!is_pinned(ev, f), "a frame is handed out that is pinned", f, me->id);
#endif
	const struct frames *fs = &ev->core->frames;
	bool memory = frame_memory(fs, f);
	/* Sequentially consistent, after it was taken: who has lowered either before that is seen here, or finds the frame taken. */
	if (unlikely((f >= atomic_load(&fs->state->capacity) || f >= frames_used(fs)) && f < fs->base.count)) {
		f = in_turn(ev, me, f);
		frames_use(fs, f);
		atomic_store(&ev->clock->tail_used, true);
		memory = frame_memory(fs, f) && latches_reach(ev->core, f);
	}
	if (unlikely(!memory)) {
		frame_free(ev, f);
		errno = ENOMEM;
		return FRAME_NONE;
	}
	/* Who looks at the page that was in it, without a pin, and reads a byte of the next, finds that one gone. */
	if (latches_on(ev->core))
		barrier_stores();
	return f;
}

/* A frame that costs no write. */
static uint32_t take_unwritten(struct evict *ev, struct attachment *a, uint32_t home)
{
	struct clock_state *c = ev->clock;
	bool lined_up = demand_lined_up(&ev->demand);
	uint32_t f = take_own(ev, a);
	if (f == FRAME_NONE && !lined_up)
		f = take_hinted(ev, &c->shard[home], a);
	if (f != FRAME_NONE) {
		demand_left(&ev->demand, atomic_load_explicit(&c->shard[home].hinted, memory_order_relaxed));
		return f;
	}
	f = frame_take_fresh(&ev->core->frames, covered(c), a->stripe->id);
	if (f != FRAME_NONE)
		return f;
	demand_left(&ev->demand, 0);
	if (!lined_up)
		f = take_hinted_anywhere(ev, home, a);
	return f;
}

/* Of a thread that has to wait. */
struct waiting {
	bool late, waited;
	int *error;
};

/* While cleaners write, wait for what they leave.  FRAME_NONE: they found none; or it is late. */
static uint32_t await_cleaners(struct evict *ev, struct attachment *a, uint32_t home, bool patient, struct waiting *w)
{
	struct in_line l;
	uint32_t f = FRAME_NONE;
	demand_line_up(&ev->demand, &l);
	while (f == FRAME_NONE && demand_wait(&ev->demand, &l, patient))
		f = take_hinted_anywhere(ev, home, a);
	demand_leave(&ev->demand, &l, w->error);
	w->waited |= l.waited;
	w->late = l.late;
	return f;
}

/* A clean page's, any. */
static uint32_t take_clean(struct evict *ev, struct attachment *a, uint32_t home, int *error)
{
	if (atomic_load(&ev->clock->overflow_used) && spend_backoff(ev->clock))
		return FRAME_NONE;
	return search_everywhere(ev, a->stripe, home, true, error);
}

/* Where there are cleaners. */
static uint32_t alloc_served(struct evict *ev, struct attachment *a, uint32_t home, bool waits, int *error)
{
	retire_empty(ev, a->stripe);
	struct waiting w = {.error = error};
	uint32_t f = take_unwritten(ev, a, home);
	if (f == FRAME_NONE && waits)
		f = await_cleaners(ev, a, home, false, &w);
	if (f == FRAME_NONE)
		f = take_clean(ev, a, home, error);
	if (f == FRAME_NONE && w.late)
		f = await_cleaners(ev, a, home, true, &w);
	if (w.waited)
		atomic_fetch_add_explicit(&ev->clock->waits, 1, memory_order_relaxed);
	return f;
}

/*
 * A frame of the pool as large as it is; FRAME_NONE: there is none, and *error, if it is because a write has failed.
 * `writes`: pages may be written for it.
 */
static uint32_t alloc_alone(struct evict *ev, struct attachment *a, uint32_t home, bool writes, int *error)
{
	struct stripe *me = a->stripe;
	static const struct pinned_set none_pinned = {.neighbours = true};
	static const struct pinned_set clean_only = {.dirty = true, .unwritten = true};
	struct clock_state *c = ev->clock;
	bool overflow_used = atomic_load(&c->overflow_used);
	/* The program has stopped somebody in a write: who can do without one does. */
	bool clean = !writes || hooks_held_up(&ev->io->file.hooks);

	retire_empty(ev, me);
	uint32_t f = take_own(ev, a);
	if (f == FRAME_NONE)
		f = take_hinted(ev, &c->shard[home], a);
	if (f == FRAME_NONE)
		f = frame_take_fresh(&ev->core->frames, covered(c), me->id);
	if (f == FRAME_NONE)
		f = take_spare(ev, a);
	if (f == FRAME_NONE && !overflow_used)
		f = evict_from(ev, me, &c->shard[home], clean ? &clean_only : &none_pinned, NULL, error);
	if (f == FRAME_NONE)
		f = take_hinted_anywhere(ev, home, a);
	if (f != FRAME_NONE || (overflow_used && spend_backoff(c)))
		return f;
	if (clean)
		f = search_everywhere(ev, me, home, true, error);
	if (f != FRAME_NONE || !writes)
		return f;
	if (clean)
		atomic_store(&c->backoff, 0); /* nothing clean was found: that says nothing of the others */
	return search_everywhere(ev, me, home, false, error);
}

/* May others wait for the calling thread, since it has a latch?  Shared ones beyond its first line of marks are not looked for. */
static bool latches_held(const struct attachment *a)
{
	bool held = a->latches > 0;
	for (unsigned i = 0; a->marks && i < LINE_WORDS; i++)
		held |= atomic_load_explicit(&a->marks->word[i], memory_order_relaxed) != 0;
	return held;
}

uint32_t frame_alloc(struct evict *ev, struct attachment *a, uint32_t page, bool waits)
{
	struct stripe *me = a->stripe;
	uint32_t home = hash_place(number_hash(page), shards_of(ev->clock));
	int error = 0;
	bool served = demand_served(&ev->demand), writes = waits || !hooks_write(&ev->io->file.hooks);
	if (unlikely(atomic_load_explicit(&ev->clock->tail_used, memory_order_relaxed)))
		trim_some_tail(ev, me, served || !writes);
	/* Nor for a cleaner does it wait while others may wait for it. */
	uint32_t f = served ? alloc_served(ev, a, home, waits && !latches_held(a), &error)
	                    : alloc_alone(ev, a, home, writes, &error);
	/* Before growing: pins may be those of a dead process, which no other thread may notice. */
	if (f == FRAME_NONE && core_timeout(ev->core) != WAIT_FOR_EVER && core_overdue(ev->core))
		f = search_everywhere(ev, me, home, served || !writes, &error);
	if (f != FRAME_NONE)
		return handed_out(ev, me, f);
	if (error) {
		/* A victim could not be written: growing would only hide the error until
		 * memory is full. */
		errno = error;
		return FRAME_NONE;
	}
	f = grow(ev, me);
	if (f == FRAME_NONE)
		errno = ENOMEM;
	return f == FRAME_NONE ? f : handed_out(ev, me, f);
}

static uint32_t evict_ahead(struct evict *ev, struct stripe *me, uint32_t home)
{
	const struct pinned_set ahead = {.ahead = true, .of = &ev->core->frames};
	int none = 0; /* nothing is written */
	return evict_any(ev, me, home, &ahead, NULL, &none);
}

uint32_t frame_alloc_ahead(struct evict *ev, struct attachment *a, uint32_t page)
{
	struct clock_state *c = ev->clock;
	uint32_t home = hash_place(number_hash(page), shards_of(c));
	/* The pool is fuller than it is to be; or what cleaners make is for who needs it. */
	if (atomic_load(&c->overflow_used) || demand_lined_up(&ev->demand))
		return FRAME_NONE;
	uint32_t f = take_own(ev, a);
	if (f == FRAME_NONE)
		f = take_hinted_anywhere(ev, home, a);
	if (f == FRAME_NONE)
		f = frame_take_fresh(&ev->core->frames, covered(c), a->stripe->id);
	if (f == FRAME_NONE)
		f = evict_ahead(ev, a->stripe, home);
	return f == FRAME_NONE ? f : handed_out(ev, a->stripe, f);
}

/* ---- larger and smaller --------------------------------------------------- */

/* Count the hints anew: the dead process may have taken or set some without counting them. */
static void recount(struct evict *ev, struct shard *sh)
{
	const struct segment *base = &ev->core->frames.base;
	uint32_t first = sh->first / BITS_PER_WORD, words = whole_words(count_of(sh)) / BITS_PER_WORD;
	int32_t n = 0, spare = 0;
	for (uint32_t i = 0; i < words; i++)
		for (uint64_t w = atomic_load_explicit(&base->free_bits[first + i], memory_order_relaxed); w;
		     w &= w - 1) {
			const struct frame *fr =
				&base->frame[(first + i) * BITS_PER_WORD + (uint32_t)__builtin_ctzll(w)];
			n++;
			spare += atomic_load_explicit(&fr->word, memory_order_relaxed) == FRAME_FREE;
		}
	atomic_store_explicit(&sh->hinted, n, memory_order_relaxed);
	atomic_store_explicit(&sh->spare, 0, memory_order_relaxed);
	spare_add(ev->clock, sh, spare);
}

/* The shards end before frame `frames`. */
static void cut_shards(struct clock_state *c, uint32_t frames)
{
	uint32_t n = shards_of(c);
	while (n > 1 && c->shard[n - 1].first >= frames)
		n--;
	atomic_store(&c->shard[n - 1].count, frames - c->shard[n - 1].first);
	atomic_store(&c->shards, n);
	set_batch(c, frames);
}

/* Bits of frames from `from` on. */
static void clear_bits(_Atomic uint64_t *bits, uint32_t from, uint32_t end)
{
	for (uint32_t f = from; f < end; f = f / BITS_PER_WORD * BITS_PER_WORD + BITS_PER_WORD)
		atomic_fetch_and(&bits[f / BITS_PER_WORD], (UINT64_C(1) << f % BITS_PER_WORD) - 1);
}

/*
 * The shards have so many frames, and nobody knows those behind; free ones from `from` on, which were in the tail, have hints.
 */
static void fit(struct evict *ev, uint32_t from, uint32_t frames)
{
	struct clock_state *c = ev->clock;
	const struct segment *base = &ev->core->frames.base;
	uint32_t had = covered(c), known = frames_known(&ev->core->frames), used = frames_used(&ev->core->frames);
	if (had > frames)
		cut_shards(c, frames);
	clear_bits(base->free_bits, covered(c), known);
	clear_bits(base->hot_bits, covered(c), known);
	clear_bits(base->once_bits, covered(c), known);
	cover(c, frames);
	for (uint32_t f = from; f < frames && f < used; f++)
		if (atomic_load(&base->frame[f].word) == FRAME_FREE)
			hint(ev, f);
	for (uint32_t i = 0, n = shards_of(c); i < n; i++) {
		struct policy_of o = policy_of(ev, &c->shard[i]);
		recount(ev, &c->shard[i]);
		policy_recount(&o);
	}
}

/* With the role. */
static void lower(struct evict *ev, uint32_t frames)
{
#if MPOOL_CHECK
	/* Whoever was late may have counted a frame elsewhere.  Relaxed: it is read when nobody is in a call. */
	atomic_store_explicit(&ev->core->recovered, true, memory_order_relaxed);
#endif
	atomic_store(&ev->clock->lowered, true);
	frames_limit(&ev->core->frames, frames);
	fit(ev, frames, frames);
	atomic_store(&ev->clock->tail_used, true);
}

/* With the role.  0, or ENOSPC. */
static int raise(struct evict *ev, uint32_t frames)
{
	uint32_t had = frames_capacity(&ev->core->frames);
	if (!latches_grow(ev->core, frames) || !frames_grow(&ev->core->frames, frames))
		return ENOSPC;
	/* Latches' words may have been made just before it, for fewer. */
	if (!latches_grow(ev->core, frames)) {
		lower(ev, had);
		return ENOSPC;
	}
	/* Nothing is known of frames that were never used. */
	if (atomic_load(&ev->clock->lowered))
		fit(ev, had, frames);
	else
		cover(ev->clock, frames);
	return 0;
}

int clock_limit(struct evict *ev, struct stripe *me, uint32_t frames)
{
	if (frames > atomic_load(&ev->core->frames.state->asked))
		return ENOMEM;
	(void)limit_await(ev, me, WAITS_ANY);
	int error = 0;
	if (frames > frames_capacity(&ev->core->frames))
		error = raise(ev, frames);
	else
		lower(ev, frames);
	limit_end(ev);
	trim_all(ev, me, true); /* the overflow, too */
	return error;
}

int clock_ask(struct evict *ev, const struct stripe *me, uint32_t frames, unsigned waits)
{
	const struct frames *fs = &ev->core->frames;
	int error = 0;
	if (frames > fs->base.count)
		return ENOMEM;
	if (frames <= frames_capacity(fs))
		return 0; /* so many were asked for before */
	if (!limit_await(ev, me, waits))
		return ETIMEDOUT;
	if (frames > frames_capacity(fs))
		error = raise(ev, frames);
	if (!error)
		frames_ask(fs, frames);
	limit_end(ev);
	return error;
}

/* ---- after a death ------------------------------------------------------ */

/* Was it the dead one that changes the capacity? */
static bool limiter_is(const struct evict *ev, stripe_test *dead, void *of)
{
	uint32_t limiting = atomic_load(&ev->clock->limiting);
	return limiting && dead(of, limiting - 1);
}

void clock_recover_claims(struct evict *ev, stripe_test *dead, void *of)
{
	const struct frames *fs = &ev->core->frames;
	/* It had changed the capacity for itself, so whatever it has given back is behind it. */
	if (region_shared(fs->region) && limiter_is(ev, dead, of))
		frames_given_back(fs, frames_capacity(fs));
}

void clock_recover(struct evict *ev, stripe_test *dead, void *of)
{
	struct clock_state *c = ev->clock;
	/* It had changed the capacity, and perhaps not the shards. */
	if (limiter_is(ev, dead, of)) {
		if (atomic_load(&c->lowered))
			fit(ev, 0, frames_capacity(&ev->core->frames));
		else
			cover(c, frames_capacity(&ev->core->frames));
		limit_end(ev);
	}
	for (uint32_t i = 0, n = shards_of(c); i < n; i++) {
		struct policy_of o = policy_of(ev, &c->shard[i]);
		recount(ev, &c->shard[i]);
		policy_recount(&o);
	}
	atomic_store(&c->overflow_used, true);
	atomic_store(&c->overflow_reclaimable, true);
	atomic_store(&c->tail_used, true);
}
