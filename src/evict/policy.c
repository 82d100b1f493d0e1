/* policy.c - see policy.h. */
#include "evict/policy.h"

/* The share is counted in 20ths of a frame, and is at least a 50th of the shard. */
#define SHARE_UNIT   20
#define SHARE_LEAST  50u
#define SHARE_EARLY  (2 * SHARE_UNIT) /* a page that was hot and came back early: so many more */
#define SHARE_HOT    (-SHARE_UNIT)    /* one that was hot before: so many fewer */
#define SHARE_SHORT  (4 * SHARE_UNIT) /* all cold ones are claimed or pinned by other threads: so many more */
#define SHARE_VICTIM (-1)             /* each cold victim: it shrinks when nothing else happens */

/* Trust, in percent; it is stored less TRUST_START, so that zeroed memory will do. */
#define TRUST_MOST   100
#define TRUST_START  25
#define TRUST_ENOUGH 50
#define TRUST_KEPT   50   /* an early return was followed by another use */
#define TRUST_BROKEN (-2) /* ... or was not */

/* An early return is one within half of the shard's worth of misses; */
#define EARLY_SHARE 2u
/* of a page that came in hot, within a quarter, and the share. */
#define EARLY_HOT_SHARE 4u

/*
 * So much of the shard, of the frames that may be hot, is reserved for pages that come back: above
 * all for hot pages that were evicted when all cold frames were claimed.
 */
#define ROOM_KEPT_SHARE 8u

/* Frames that a hand looks at, at the most, for one victim, without those that it skips. */
#define HOT_LOOKS  8u
#define COLD_LOOKS 16u

/* Twice around, since the first round only clears marks; and a word without any frame of the kind before each frame. */
#define ALL_STEPS 4u

#define UNITS        256u /* of time in a shard's worth of misses */
#define STAMP_BITS   20u
#define STAMP_MASK   ((1u << STAMP_BITS) - 1)
#define AWAY_SHIFT   STAMP_BITS
#define AWAY_MASK    0xffu
#define AWAY_STEPS   3u        /* in an octave: 2 to the power of it */
#define AGE_MOST     INT32_MAX /* its logarithm has room in 8 bits */
#define PAST_PROVEN  (1u << 28)
#define PAST_WAS_HOT (1u << 29)
#define PAST_GHOST   (1u << 30) /* there is a ghost; of an empty frame: its last page left one */

/* Ghosts of a bucket, in which a page's ghost is searched: two lines. */
#define GHOST_BUCKET 8u

static uint32_t load(const _Atomic uint32_t *w)
{
	return atomic_load_explicit(w, memory_order_relaxed);
}

static void store(_Atomic uint32_t *w, uint32_t v)
{
	atomic_store_explicit(w, v, memory_order_relaxed);
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int64_t within(int64_t n, int64_t least, int64_t most)
{
	return n < least ? least : n > most ? most : n;
}

/* ---- time --------------------------------------------------------------- */

/* Misses for each unit of a stamp. */
static uint32_t unit(const struct policy_of *o)
{
	return max(o->count / UNITS, 1);
}

static uint32_t stamp_now(const struct policy_of *o)
{
	uint64_t now = atomic_load_explicit(&o->p->now, memory_order_relaxed);
	uint32_t each = unit(o);
	/* In a small shard nothing is to be divided, and nothing waits for it. */
	return (uint32_t)(each == 1 ? now : now / each) & STAMP_MASK;
}

/* Misses since the stamp of a past. */
static uint32_t age(const struct policy_of *o, uint32_t past)
{
	uint64_t n = (uint64_t)((stamp_now(o) - past) & STAMP_MASK) * unit(o);
	return n < AGE_MOST ? (uint32_t)n : AGE_MOST;
}

static uint32_t restamp(const struct policy_of *o, uint32_t past)
{
	return (past & ~STAMP_MASK) | stamp_now(o);
}

/* The same age by another shard's time. */
static uint32_t carry(const struct policy_of *from, const struct policy_of *to, uint32_t past)
{
	if (from->p == to->p)
		return past;
	uint32_t units = min(age(from, past) / unit(to), STAMP_MASK);
	return (past & ~STAMP_MASK) | ((stamp_now(to) - units) & STAMP_MASK);
}

/* The logarithm of n >= 1, and back. */
static uint32_t away_of(uint32_t n)
{
	uint32_t e = 31 - (uint32_t)__builtin_clz(n);
	uint32_t steps = (uint32_t)((uint64_t)n << AWAY_STEPS >> e) - (1u << AWAY_STEPS);
	return (e << AWAY_STEPS) + steps + 1; /* 0: it was never away */
}

static uint32_t away(uint32_t past)
{
	uint32_t log = past >> AWAY_SHIFT & AWAY_MASK;
	if (log == 0)
		return 0;
	uint64_t steps = (1u << AWAY_STEPS) + ((log - 1) & ((1u << AWAY_STEPS) - 1));
	return (uint32_t)(steps << ((log - 1) >> AWAY_STEPS) >> AWAY_STEPS);
}

static bool is_early(const struct policy_of *o, uint32_t n)
{
	return n <= o->count / EARLY_SHARE;
}

/* ---- what adapts -------------------------------------------------------- */

/* `s`, limited to what the share may be: from SHARE_LEAST up to all frames. */
static uint32_t share_within(const struct policy_of *o, int64_t s)
{
	int64_t least = (int64_t)max(o->count / SHARE_LEAST, 1) * SHARE_UNIT, all = (int64_t)o->count * SHARE_UNIT;
	return (uint32_t)within(s, least, all < UINT32_MAX ? all : UINT32_MAX);
}

/* Frames that are to be cold. */
static uint32_t share(const struct policy_of *o)
{
	return share_within(o, load(&o->p->share)) / SHARE_UNIT;
}

static void share_add(const struct policy_of *o, int by)
{
	store(&o->p->share, share_within(o, (int64_t)share_within(o, load(&o->p->share)) + by));
}

static int trust(const struct policy_of *o)
{
	return atomic_load_explicit(&o->p->trust, memory_order_relaxed) + TRUST_START;
}

static void trust_add(const struct policy_of *o, int by)
{
	int t = (int)within(trust(o) + by, 0, TRUST_MOST);
	atomic_store_explicit(&o->p->trust, t - TRUST_START, memory_order_relaxed);
}

/* ---- hot and cold ------------------------------------------------------- */

/* A bit a frame, and how many are set. */
static void bit_on(_Atomic uint64_t *bits, _Atomic int32_t *count, uint32_t f)
{
	uint64_t bit = UINT64_C(1) << f % BITS_PER_WORD;
	if (!(atomic_fetch_or_explicit(&bits[f / BITS_PER_WORD], bit, memory_order_relaxed) & bit))
		atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static void bit_off(_Atomic uint64_t *bits, _Atomic int32_t *count, uint32_t f)
{
	uint64_t bit = UINT64_C(1) << f % BITS_PER_WORD;
	if (!frame_bit(bits, f))
		return; /* as most are: without a locked operation */
	if (atomic_fetch_and_explicit(&bits[f / BITS_PER_WORD], ~bit, memory_order_relaxed) & bit)
		atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
}

static void set_hot(const struct policy_of *o, uint32_t f)
{
	bit_on(o->fs->base.hot_bits, &o->p->hot, f);
}

static void set_cold(const struct policy_of *o, uint32_t f)
{
	bit_off(o->fs->base.hot_bits, &o->p->hot, f);
}

static void set_once(const struct policy_of *o, uint32_t f)
{
	bit_on(o->fs->base.once_bits, &o->p->once, f);
}

static void set_lasting(const struct policy_of *o, uint32_t f)
{
	bit_off(o->fs->base.once_bits, &o->p->once, f);
}

static bool is_once(const struct policy_of *o, uint32_t f)
{
	return frame_bit(o->fs->base.once_bits, f);
}

static uint32_t hot_frames(const struct policy_of *o)
{
	int32_t n = atomic_load_explicit(&o->p->hot, memory_order_relaxed);
	return (uint32_t)within(n, 0, o->count);
}

uint32_t policy_once(const struct policy_of *o)
{
	int32_t n = atomic_load_explicit(&o->p->once, memory_order_relaxed);
	return (uint32_t)within(n, 0, o->count);
}

static uint32_t hot_room(const struct policy_of *o)
{
	return o->count - share(o);
}

static void recount(const struct policy_of *o, const _Atomic uint64_t *bits, _Atomic int32_t *count)
{
	int32_t n = 0;
	for (uint32_t i = 0; i < o->used; i += BITS_PER_WORD)
		n += __builtin_popcountll(
			atomic_load_explicit(&bits[(o->first + i) / BITS_PER_WORD], memory_order_relaxed));
	atomic_store_explicit(count, n, memory_order_relaxed);
}

void policy_recount(const struct policy_of *o)
{
	recount(o, o->fs->base.hot_bits, &o->p->hot);
	recount(o, o->fs->base.once_bits, &o->p->once);
}

static bool is_marked(const struct policy_of *o, uint32_t f)
{
	return atomic_load_explicit(&o->fs->base.mark[f], memory_order_relaxed) == MARK_USED;
}

static _Atomic uint32_t *past_of(const struct policy_of *o, uint32_t f)
{
	return &o->fs->base.past[f];
}

/* Clear the mark: the page was used since the hand last passed, which counts as now. */
static void take_mark(const struct policy_of *o, uint32_t f, uint32_t proven)
{
	atomic_store_explicit(&o->fs->base.mark[f], MARK_CLEAR, memory_order_relaxed);
	store(past_of(o, f), restamp(o, load(past_of(o, f))) | proven);
}

/* ---- the hands ---------------------------------------------------------- */

/* May the frame be chosen: unclaimed, and not to be skipped? */
static bool is_open(const struct policy_of *o, const struct policy_search *s, uint32_t f)
{
	uint32_t word = atomic_load_explicit(&o->fs->base.frame[f].word, memory_order_relaxed);
	return !frame_claimed(word) && !(s->skip && s->skip(s->of, f, word));
}

enum kind { KIND_COLD, KIND_HOT, KIND_ONCE, KINDS };

static _Atomic uint32_t *hand_of(const struct policy_of *o, enum kind kind)
{
	struct policy *p = o->p;
	return kind == KIND_COLD ? &p->cold_hand : kind == KIND_HOT ? &p->hot_hand : &p->once_hand;
}

/* Which of the 64 frames that `f` is among are of the kind. */
static uint64_t word_of(const struct policy_of *o, enum kind kind, uint32_t f)
{
	const _Atomic uint64_t *bits = kind == KIND_ONCE ? o->fs->base.once_bits : o->fs->base.hot_bits;
	uint64_t word = atomic_load_explicit(&bits[f / BITS_PER_WORD], memory_order_relaxed);
	return kind == KIND_COLD ? ~word : word;
}

/*
 * Advance a hand to the next frame of its kind that may be chosen, and behind it.  Words
 * without a frame of the kind are one step.  FRAME_NONE: there is none in the shard, or
 * none within `*left` steps.
 */
static uint32_t next_frame(const struct policy_of *o, struct policy_search *s, enum kind kind, uint32_t *left)
{
	_Atomic uint32_t *hand = hand_of(o, kind);
	uint32_t at = load(hand), found = FRAME_NONE;
	for (uint32_t passed = 0; passed < o->used && *left > 0 && found == FRAME_NONE; --*left, s->steps++) {
		at = at < o->used ? at : 0;
		uint32_t f = o->first + at, bit = f % BITS_PER_WORD, skip = 0;
		uint64_t rest = word_of(o, kind, f) >> bit;
		if (rest & 1) {
			found = is_open(o, s, f) ? f : FRAME_NONE;
			skip = 1;
		} else {
			skip = rest ? (uint32_t)__builtin_ctzll(rest) : BITS_PER_WORD - bit;
			skip = min(skip, o->used - at); /* what follows the last frame is not passed */
		}
		at += skip;
		passed += skip;
	}
	store(hand, at);
	return found;
}

static uint32_t steps_of(const struct policy_of *o, const struct policy_search *s)
{
	return s->everywhere ? ALL_STEPS * o->used : POLICY_STEPS / KINDS;
}

/* The hot hand: a frame not used for `r` misses; if there is none and `any`, the last one that it looked at. */
static uint32_t hot_hand(const struct policy_of *o, struct policy_search *s, uint32_t r, bool any)
{
	uint32_t last = FRAME_NONE, left = steps_of(o, s), f;
	for (unsigned i = 0; i < HOT_LOOKS && (f = next_frame(o, s, KIND_HOT, &left)) != FRAME_NONE; i++) {
		if (is_marked(o, f))
			take_mark(o, f, 0);
		else if (age(o, load(past_of(o, f))) >= r)
			return f;
		last = f;
	}
	return any ? last : FRAME_NONE;
}

/*
 * A page without a ghost is hot while fewer frames are hot than may be.  If a page was evicted
 * for it, ROOM_KEPT_SHARE of these is left to pages that come back.
 */
static void enter_unknown(const struct policy_of *o, uint32_t f)
{
	bool evicted = load(past_of(o, f)) & PAST_GHOST;
	uint32_t kept = evicted ? o->count / ROOM_KEPT_SHARE : 0;
	bool hot = hot_frames(o) + kept < hot_room(o);
	(hot ? set_hot : set_cold)(o, f);
	store(past_of(o, f), restamp(o, 0) | (hot ? PAST_WAS_HOT : 0));
}

/*
 * If a frame wanted once was used again, as its mark says, make its page one that has just
 * come in, without a ghost.  False: it was not.
 */
static bool promote_once(const struct policy_of *o, uint32_t f)
{
	if (!is_marked(o, f))
		return false;
	set_lasting(o, f);
	take_mark(o, f, 0);
	enter_unknown(o, f);
	return true;
}

/* A frame wanted once. */
static uint32_t once_hand(const struct policy_of *o, struct policy_search *s)
{
	uint32_t left = steps_of(o, s), f;
	if (policy_once(o) == 0)
		return FRAME_NONE;
	while ((f = next_frame(o, s, KIND_ONCE, &left)) != FRAME_NONE)
		if (!promote_once(o, f))
			return f;
	return FRAME_NONE;
}

/* The cold hand: an unmarked frame; or the one after COLD_LOOKS marked ones. */
static uint32_t cold_hand(const struct policy_of *o, struct policy_search *s)
{
	uint32_t left = steps_of(o, s), f;
	for (unsigned i = 0; (f = next_frame(o, s, KIND_COLD, &left)) != FRAME_NONE; i++) {
		if (is_once(o, f)) {
			if (!promote_once(o, f))
				return f;
			continue;
		}
		uint32_t past = load(past_of(o, f));
		bool early = (past & PAST_PROVEN) && away(past) > 0 && is_early(o, away(past));
		bool victim = !is_marked(o, f) || i == COLD_LOOKS;
		if (early)
			trust_add(o, victim ? TRUST_BROKEN : TRUST_KEPT);
		if (victim) {
			share_add(o, SHARE_VICTIM);
			return f;
		}
		/* It stays cold: a use while it is in memory does not tell how long it would have been away. */
		take_mark(o, f, PAST_PROVEN);
	}
	return FRAME_NONE;
}

uint32_t policy_victim(const struct policy_of *o, struct policy_search *search)
{
	search->steps = 0;
	uint32_t f = search->once ? once_hand(o, search) : FRAME_NONE;
	if (f != FRAME_NONE || search->only_once)
		return f;
	bool hot_first = hot_frames(o) > hot_room(o);
	f = hot_first ? FRAME_NONE : cold_hand(o, search);
	if (f != FRAME_NONE)
		return f;
	if (!hot_first)
		share_add(o, SHARE_SHORT);
	if ((f = hot_hand(o, search, 0, !search->gentle)) != FRAME_NONE)
		set_cold(o, f);
	return f == FRAME_NONE && hot_first ? cold_hand(o, search) : f;
}

uint32_t policy_batch(const struct policy_of *o, uint32_t most)
{
	uint32_t cold = max(share(o), o->count - hot_frames(o));
	return max(min(cold, most), 1);
}

/* ---- ghosts ------------------------------------------------------------- */

/* Not the hash that chooses a page's shard: in one shard its high bits are the same. */
static uint64_t ghost_hash(uint32_t page)
{
	uint64_t h = (page + UINT64_C(1)) * UINT64_C(0xd6e8feb86659fd93);
	return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Where a page's ghost may be. */
struct bucket {
	uint32_t first, n;
	uint16_t tag;
};

static struct bucket bucket_of(const struct policy_of *o, uint32_t page)
{
	uint64_t h = ghost_hash(page);
	uint32_t buckets = (o->count + GHOST_BUCKET - 1) / GHOST_BUCKET;
	uint32_t at = hash_place(h, buckets) * GHOST_BUCKET;
	return (struct bucket){o->first + at, min(o->count - at, GHOST_BUCKET), (uint16_t)h};
}

static bool ghosts_there(const struct policy_of *o)
{
	return !region_shared(o->fs->region) || load(&o->p->ghosts) >= o->count;
}

/* Allocate the memory of the shard's ghosts; false: there is none. */
static bool ghosts_commit(const struct policy_of *o)
{
	const struct segment *b = &o->fs->base;
	if (ghosts_there(o))
		return true;
	if (!region_commit(o->fs->region, &b->ghost[o->first], o->count * sizeof *b->ghost) ||
	    !region_commit(o->fs->region, &b->ghost_tag[o->first], o->count * sizeof *b->ghost_tag))
		return false;
	store(&o->p->ghosts, o->count);
	return true;
}

/* Remove the page's ghost and return it; 0: there is none. */
static uint32_t ghost_take(const struct policy_of *o, uint32_t page)
{
	const struct segment *base = &o->fs->base;
	struct bucket b = bucket_of(o, page);
	for (uint32_t i = b.first; ghosts_there(o) && i < b.first + b.n; i++) {
		uint32_t ghost = load(&base->ghost[i]);
		if ((ghost & PAST_GHOST) && atomic_load_explicit(&base->ghost_tag[i], memory_order_relaxed) == b.tag) {
			store(&base->ghost[i], 0);
			return ghost;
		}
	}
	return 0;
}

static uint32_t draw(const struct policy_of *o, uint32_t below)
{
	/* A linear congruential generator, whose low bits are not random: only the high ones count. */
	uint32_t x = load(&o->p->random) * 1664525u + 1013904223u;
	store(&o->p->random, x);
	return (uint32_t)((uint64_t)x * below >> 32);
}

/* Where the page's ghost in its bucket is; else the first free place; else b->n. */
static uint32_t ghost_place(const struct segment *base, const struct bucket *b)
{
	uint32_t place = b->n;
	for (uint32_t i = 0; i < b->n; i++) {
		if (!(load(&base->ghost[b->first + i]) & PAST_GHOST))
			place = min(place, i);
		else if (atomic_load_explicit(&base->ghost_tag[b->first + i], memory_order_relaxed) == b->tag)
			return i;
	}
	return place;
}

/*
 * Store the page's ghost: in place of one that it has already (it came back wanted once only), in
 * a free place of the bucket, or in place of a random one.  So some ghosts stay long, and a loop
 * longer than all ghosts still finds them.
 */
static void ghost_leave(const struct policy_of *o, uint32_t page, uint32_t past)
{
	const struct segment *base = &o->fs->base;
	struct bucket b = bucket_of(o, page);
	if (!ghosts_commit(o))
		return;
	uint32_t i = ghost_place(base, &b);
	if (i == b.n)
		i = draw(o, b.n);
	atomic_store_explicit(&base->ghost_tag[b.first + i], b.tag, memory_order_relaxed);
	store(&base->ghost[b.first + i], past | PAST_GHOST);
}

/* ---- a page comes, and goes --------------------------------------------- */

/* Make a hot frame cold that was unused for one and a half times `r`, how long a page was away.  False: there is none. */
static bool demote_older(const struct policy_of *o, uint32_t r)
{
	struct policy_search all = {0};
	uint32_t f = hot_hand(o, &all, r + r / 2, false);
	if (f != FRAME_NONE)
		set_cold(o, f);
	return f != FRAME_NONE;
}

/* A page comes back after `r` misses: adapt share and trust to it, and return whether it is to be hot. */
static bool earns_hot(const struct policy_of *o, uint32_t ghost, uint32_t r)
{
	bool proven = ghost & PAST_PROVEN, was_hot = ghost & PAST_WAS_HOT;
	uint32_t longest = max(r, away(ghost));
	if (proven && !was_hot && is_early(o, longest))
		trust_add(o, TRUST_KEPT);
	bool hot = hot_frames(o) < hot_room(o);
	if (!hot && (proven || trust(o) >= TRUST_ENOUGH))
		hot = demote_older(o, proven ? longest : r);
	if (was_hot)
		share_add(o, SHARE_HOT);
	else if (hot && r <= o->count / EARLY_HOT_SHARE + share(o))
		share_add(o, SHARE_EARLY);
	return hot;
}

void policy_enter(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page, bool once)
{
	if (once) {
		set_cold(o, f);
		set_once(o, f);
		return;
	}
	set_lasting(o, f);
	atomic_fetch_add_explicit(&o->p->now, 1, memory_order_relaxed);
	uint32_t ghost = ghost_take(home, page);
	if (!ghost) {
		enter_unknown(o, f);
		return;
	}
	uint32_t r = max(age(home, ghost), 1);
	bool hot = earns_hot(o, ghost, r);
	(hot ? set_hot : set_cold)(o, f);
	store(past_of(o, f), restamp(o, PAST_PROVEN | away_of(r) << AWAY_SHIFT) | (hot ? PAST_WAS_HOT : 0));
}

void policy_drop(const struct policy_of *o, uint32_t f)
{
	set_cold(o, f);
	set_lasting(o, f);
}

void policy_leave(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page)
{
	bool once = is_once(o, f) && !is_marked(o, f);
	policy_drop(o, f);
	if (once)
		return;
	ghost_leave(home, page, carry(o, home, load(past_of(o, f))));
	store(past_of(o, f), PAST_GHOST);
}
