/* policy.c - see policy.h. */
#include "policy.h"

#define SHARE_UNIT 20u
#define SHARE_LEAST_DIVISOR 100u
#define TRUST_UNIT 100
#define TRUST_START 25
#define TRUST_ENOUGH 50
#define TRUST_MORE 50
#define TRUST_LESS 2

#define UNITS 256u       /* of time in a shard's worth of misses */
#define STAMP_BITS 20u
#define STAMP_MASK ((1u << STAMP_BITS) - 1)
#define RP_SHIFT STAMP_BITS
#define RP_MASK 0xffu
#define RP_STEPS 3u      /* steps in an octave: 2 to the power of it */
#define PAST_PROVEN (1u << 28)
#define PAST_WAS_HOT (1u << 29)
#define PAST_TAKEN (1u << 30) /* a ghost is there */

#define PROBE_LOOKS 8u
#define COLD_LOOKS 16u
#define BITS 64u

static uint32_t load(const _Atomic uint32_t *w)
{
	return atomic_load_explicit(w, memory_order_relaxed);
}
static void store(_Atomic uint32_t *w, uint32_t v)
{
	atomic_store_explicit(w, v, memory_order_relaxed);
}

/* ---- time --------------------------------------------------------------- */

static uint32_t unit(const struct policy_of *o)
{
	return o->count > UNITS ? o->count / UNITS : 1;
}
static uint32_t stamp_now(const struct policy_of *o)
{
	return load(&o->p->now) / unit(o) & STAMP_MASK;
}
static uint32_t age(const struct policy_of *o, uint32_t stamp)
{
	return ((stamp_now(o) - stamp) & STAMP_MASK) * unit(o);
}

/* Logarithm of r >= 1, never 0. */
static uint32_t rp_of(uint32_t r)
{
	unsigned e = 31 - (unsigned)__builtin_clz(r);
	uint32_t mantissa = e >= RP_STEPS ? r >> (e - RP_STEPS) : r << (RP_STEPS - e);
	return (e << RP_STEPS | (mantissa & ((1u << RP_STEPS) - 1))) + 1;
}
static uint32_t rp_value(uint32_t rp)
{
	if (rp == 0)
		return 0;
	rp--;
	unsigned e = rp >> RP_STEPS;
	uint64_t m = (1u << RP_STEPS) + (rp & ((1u << RP_STEPS) - 1));
	return (uint32_t)(m << e >> RP_STEPS);
}

static uint32_t past_stamp(uint32_t past)
{
	return past & STAMP_MASK;
}
static uint32_t past_rp(uint32_t past)
{
	return rp_value(past >> RP_SHIFT & RP_MASK);
}
static uint32_t restamp(const struct policy_of *o, uint32_t past)
{
	return (past & ~STAMP_MASK) | stamp_now(o);
}

/* ---- what adapts -------------------------------------------------------- */

static uint32_t share_least(const struct policy_of *o)
{
	uint32_t n = o->count / SHARE_LEAST_DIVISOR;
	return (n > 1 ? n : 1) * SHARE_UNIT;
}
static uint32_t share(const struct policy_of *o)
{
	uint32_t s = load(&o->p->share), least = share_least(o);
	return (s > least ? s : least) / SHARE_UNIT;
}
static void share_add(const struct policy_of *o, int32_t by)
{
	int64_t s = load(&o->p->share), least = share_least(o), most = (int64_t)o->count * SHARE_UNIT;
	s = (s > least ? s : least) + by;
	store(&o->p->share, (uint32_t)(s < least ? least : s > most ? most : s));
}
static int32_t trust(const struct policy_of *o)
{
	return atomic_load_explicit(&o->p->trust, memory_order_relaxed) + TRUST_START;
}
static void trust_add(const struct policy_of *o, int32_t by)
{
	int32_t t = trust(o) + by;
	t = t < 0 ? 0 : t > TRUST_UNIT ? TRUST_UNIT : t;
	atomic_store_explicit(&o->p->trust, t - TRUST_START, memory_order_relaxed);
}

/* ---- hot and cold ------------------------------------------------------- */

static bool bit_of(const _Atomic uint64_t *bits, uint32_t f)
{
	return atomic_load_explicit(&bits[f / BITS], memory_order_relaxed) >> f % BITS & 1;
}
/* `n` counts those that are set. */
static void set_bit(_Atomic uint64_t *bits, _Atomic uint32_t *n, uint32_t f, bool on)
{
	uint64_t bit = UINT64_C(1) << f % BITS;
	_Atomic uint64_t *w = &bits[f / BITS];
	if (on && !(atomic_fetch_or_explicit(w, bit, memory_order_relaxed) & bit))
		atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
	else if (!on && (atomic_load_explicit(w, memory_order_relaxed) & bit) &&
	         (atomic_fetch_and_explicit(w, ~bit, memory_order_relaxed) & bit))
		atomic_fetch_sub_explicit(n, 1, memory_order_relaxed);
}
static bool is_hot(const struct policy_of *o, uint32_t f)
{
	return bit_of(o->fs->base.hot_bits, f);
}
static void set_hot(const struct policy_of *o, uint32_t f, bool hot)
{
	set_bit(o->fs->base.hot_bits, &o->p->hot, f, hot);
}
static bool is_once(const struct policy_of *o, uint32_t f)
{
	return bit_of(o->fs->base.once_bits, f);
}
static void set_once(const struct policy_of *o, uint32_t f, bool once)
{
	set_bit(o->fs->base.once_bits, &o->p->once, f, once);
}
static uint32_t hot_room(const struct policy_of *o)
{
	uint32_t s = share(o);
	return s < o->count ? o->count - s : 0;
}

static bool marked(const struct policy_of *o, uint32_t f)
{
	return atomic_load_explicit(&o->fs->base.mark[f], memory_order_relaxed);
}
static void clear_mark(const struct policy_of *o, uint32_t f)
{
	atomic_store_explicit(&o->fs->base.mark[f], 0, memory_order_relaxed);
}
static _Atomic uint32_t *past_of(const struct policy_of *o, uint32_t f)
{
	return &o->fs->base.past[f];
}

/*
 * The next frame at the hand whose bit is set, FRAME_NONE: there is none.  Words without
 * such frames are passed at once.
 */
static uint32_t next_set(const struct policy_of *o, const _Atomic uint64_t *bits, _Atomic uint32_t *hand)
{
	uint32_t at = load(hand), left = o->used;
	while (left > 0) {
		if (at >= o->used)
			at = 0;
		uint32_t f = o->first + at;
		uint64_t w = atomic_load_explicit(&bits[f / BITS], memory_order_relaxed) >> f % BITS;
		uint32_t skip = w ? (uint32_t)__builtin_ctzll(w) : BITS - f % BITS;
		if (w && at + skip < o->used) {
			store(hand, at + skip + 1);
			return f + skip;
		}
		at += skip;
		left = skip < left ? left - skip : 0;
	}
	return FRAME_NONE;
}

/* The hot hand: a frame that nobody used for `r` misses; or, if `any`, the last one it saw. */
static uint32_t probe(const struct policy_of *o, uint32_t r, bool any, frame_spared *spared, const void *of)
{
	uint32_t last = FRAME_NONE;
	for (unsigned i = 0; i < PROBE_LOOKS; i++) {
		uint32_t f = next_set(o, o->fs->base.hot_bits, &o->p->hot_hand);
		if (f == FRAME_NONE)
			break;
		uint32_t word = atomic_load_explicit(&o->fs->base.frame[f].word, memory_order_relaxed);
		if (spared && spared(of, f, word))
			continue;
		last = f;
		uint32_t past = load(past_of(o, f));
		if (marked(o, f)) {
			clear_mark(o, f);
			store(past_of(o, f), restamp(o, past));
		} else if (age(o, past_stamp(past)) >= r) {
			return f;
		}
	}
	return any ? last : FRAME_NONE;
}

/* ---- ghosts ------------------------------------------------------------- */

static uint64_t ghost_hash(uint32_t page)
{
	uint64_t h = (page + UINT64_C(1)) * UINT64_C(0xd6e8feb86659fd93);
	return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The first ghost of the page's bucket; how many there are. */
static uint32_t bucket(const struct policy_of *o, uint64_t h, uint32_t *n)
{
	uint32_t buckets = (o->count + GHOST_BUCKET - 1) / GHOST_BUCKET;
	uint32_t at = (uint32_t)((h >> 32) * buckets >> 32) * GHOST_BUCKET;
	*n = o->count - at < GHOST_BUCKET ? o->count - at : GHOST_BUCKET;
	return o->first + at;
}

/* Where among the n from `at` on the ghost with that tag is; at + n: there is none. */
static uint32_t ghost_find(const struct policy_of *o, uint32_t at, uint32_t n, uint16_t tag)
{
	for (uint32_t i = at; i < at + n; i++)
		if ((load(&o->fs->base.ghost[i]) & PAST_TAKEN) &&
		    atomic_load_explicit(&o->fs->base.ghost_tag[i], memory_order_relaxed) == tag)
			return i;
	return at + n;
}

/* Take the page's ghost out; 0: there is none. */
static uint32_t ghost_take(const struct policy_of *o, uint32_t page)
{
	uint64_t h = ghost_hash(page);
	uint32_t n, at = bucket(o, h, &n);
	if (region_shared(o->fs->region) && load(&o->p->ghosts) < o->count)
		return 0;
	uint32_t i = ghost_find(o, at, n, (uint16_t)h);
	if (i == at + n)
		return 0;
	uint32_t g = load(&o->fs->base.ghost[i]);
	store(&o->fs->base.ghost[i], 0);
	return g;
}

static uint32_t draw(const struct policy_of *o)
{
	uint32_t x = load(&o->p->random) * 1664525u + 1013904223u;
	store(&o->p->random, x);
	return x >> 16;
}

static bool ghosts_there(const struct policy_of *o)
{
	const struct segment *b = &o->fs->base;
	if (!region_shared(o->fs->region) || load(&o->p->ghosts) >= o->count)
		return true;
	if (!region_commit(o->fs->region, &b->ghost[o->first], o->count * sizeof *b->ghost) ||
	    !region_commit(o->fs->region, &b->ghost_tag[o->first], o->count * sizeof *b->ghost_tag))
		return false;
	store(&o->p->ghosts, o->count);
	return true;
}

/*
 * Over what is remembered of it already (it came back wanted once only), into a free place of
 * the bucket, or over one by chance.
 */
static void ghost_leave(const struct policy_of *o, uint32_t page, uint32_t past)
{
	uint64_t h = ghost_hash(page);
	uint32_t n, at = bucket(o, h, &n), i;
	if (!ghosts_there(o))
		return;
	i = ghost_find(o, at, n, (uint16_t)h);
	if (i == at + n)
		for (i = at; i < at + n && (load(&o->fs->base.ghost[i]) & PAST_TAKEN);)
			i++;
	if (i == at + n)
		i = at + draw(o) % n;
	atomic_store_explicit(&o->fs->base.ghost_tag[i], (uint16_t)h, memory_order_relaxed);
	store(&o->fs->base.ghost[i], past | PAST_TAKEN);
}

/* ---- a page comes, and goes --------------------------------------------- */

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* It is remembered.  Does it come in hot? */
static bool enters_hot(const struct policy_of *o, uint32_t ghost, uint32_t r, uint32_t rp)
{
	bool proven = ghost & PAST_PROVEN, was_hot = ghost & PAST_WAS_HOT, hot;
	if (proven && !was_hot && max(r, rp) <= o->count / 2)
		trust_add(o, TRUST_MORE);
	hot = load(&o->p->hot) < hot_room(o);
	if (!hot && (proven || trust(o) >= TRUST_ENOUGH)) {
		uint32_t reach = max(r, proven ? rp : 0);
		uint32_t f = probe(o, reach + reach / 2, false, NULL, NULL);
		if (f != FRAME_NONE) {
			clear_mark(o, f);
			set_hot(o, f, false);
			hot = true;
		}
	}
	if (was_hot)
		share_add(o, -(int32_t)SHARE_UNIT);
	else if (hot && r <= o->count / 5 + share(o))
		share_add(o, 2 * SHARE_UNIT);
	return hot;
}

/* A page of which nothing is known: hot, if there is room. */
static void enter_unknown(const struct policy_of *o, uint32_t f)
{
	bool hot = load(&o->p->hot) + 1 <= hot_room(o);
	set_hot(o, f, hot);
	store(past_of(o, f), stamp_now(o) | (hot ? PAST_WAS_HOT : 0));
}

void policy_enter(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page, bool once)
{
	set_once(o, f, once);
	if (once) {
		set_hot(o, f, false);
		store(past_of(o, f), stamp_now(o));
		return;
	}
	atomic_fetch_add_explicit(&o->p->now, 1, memory_order_relaxed);
	uint32_t ghost = ghost_take(home, page);
	if (!ghost) {
		enter_unknown(o, f);
		return;
	}
	uint32_t r = max(age(home, past_stamp(ghost)), 1);
	bool hot = enters_hot(o, ghost, r, past_rp(ghost));
	set_hot(o, f, hot);
	store(past_of(o, f), PAST_PROVEN | rp_of(r) << RP_SHIFT | stamp_now(o) | (hot ? PAST_WAS_HOT : 0));
}

void policy_leave(const struct policy_of *o, const struct policy_of *home, uint32_t f, uint32_t page)
{
	bool once = is_once(o, f) && !marked(o, f);
	set_hot(o, f, false);
	set_once(o, f, false);
	if (!once)
		ghost_leave(home, page, load(past_of(o, f)));
}

/* ---- victims ------------------------------------------------------------ */

uint32_t policy_batch(const struct policy_of *o, uint32_t most)
{
	uint32_t hot = load(&o->p->hot), cold = o->count > hot ? o->count - hot : 0;
	uint32_t half = max(share(o), cold) / 2, batch = o->count / 64;
	batch = batch < half ? batch : half;
	return batch < 1 ? 1 : batch < most ? batch : most;
}

/* The next cold frame in use; FRAME_NONE: there is none. */
static uint32_t next_cold(const struct policy_of *o, frame_spared *spared, const void *of, uint32_t *looked)
{
	uint32_t at = load(&o->p->cold_hand), left = o->used;
	while (left > 0) {
		if (at >= o->used)
			at = 0;
		uint32_t f = o->first + at;
		uint64_t w = ~atomic_load_explicit(&o->fs->base.hot_bits[f / BITS], memory_order_relaxed) >> f % BITS;
		uint32_t skip = w ? (uint32_t)__builtin_ctzll(w) : BITS - f % BITS;
		if (w && skip == 0) {
			uint32_t word = atomic_load_explicit(&o->fs->base.frame[f].word, memory_order_relaxed);
			++*looked;
			if (!frame_claimed(word) && !spared(of, f, word)) {
				store(&o->p->cold_hand, at + 1);
				return f;
			}
			skip = 1;
		}
		at += skip;
		left = skip < left ? left - skip : 0;
	}
	return FRAME_NONE;
}

/* A hot frame, which is cold from now on. */
static uint32_t hot_victim(const struct policy_of *o, frame_spared *spared, const void *of)
{
	uint32_t f = probe(o, 0, true, spared, of);
	if (f != FRAME_NONE)
		set_hot(o, f, false);
	return f;
}

/* The frame's page was wanted once only.  Not any more, if somebody got it otherwise. */
static bool still_once(const struct policy_of *o, uint32_t f)
{
	if (!marked(o, f))
		return true;
	clear_mark(o, f);
	set_once(o, f, false);
	enter_unknown(o, f);
	return false;
}

/* A page that is wanted once only. */
static uint32_t once_victim(const struct policy_of *o, frame_spared *spared, const void *of, uint32_t *looked)
{
	uint32_t most = load(&o->p->once);
	for (uint32_t i = 0; i < most && i < COLD_LOOKS; i++) {
		uint32_t f = next_set(o, o->fs->base.once_bits, &o->p->once_hand);
		if (f == FRAME_NONE)
			break;
		uint32_t word = atomic_load_explicit(&o->fs->base.frame[f].word, memory_order_relaxed);
		++*looked;
		if (!spared(of, f, word) && still_once(o, f))
			return f;
	}
	return FRAME_NONE;
}

uint32_t policy_victim(const struct policy_of *o, bool once, frame_spared *spared, const void *of, uint32_t *looked)
{
	uint32_t f = FRAME_NONE;
	if (once && (f = once_victim(o, spared, of, looked)) != FRAME_NONE)
		return f;
	if (load(&o->p->hot) > hot_room(o) && (f = hot_victim(o, spared, of)) != FRAME_NONE)
		return f;
	for (unsigned i = 0; i <= COLD_LOOKS; i++) {
		if ((f = next_cold(o, spared, of, looked)) == FRAME_NONE)
			return hot_victim(o, spared, of);
		if (is_once(o, f)) {
			if (still_once(o, f))
				break;
			continue;
		}
		uint32_t past = load(past_of(o, f)), rp = past_rp(past);
		bool early = (past & PAST_PROVEN) && rp > 0 && rp <= o->count / 2;
		if (marked(o, f) && i < COLD_LOOKS) {
			clear_mark(o, f);
			if (early)
				trust_add(o, TRUST_MORE);
			store(past_of(o, f), restamp(o, past) | PAST_PROVEN);
			continue;
		}
		if (early)
			trust_add(o, -TRUST_LESS);
		share_add(o, -1);
		break;
	}
	return f;
}

void policy_recount(const struct policy_of *o)
{
	uint32_t hot = 0, once = 0;
	for (uint32_t f = o->first; f < o->first + o->used; f++) {
		hot += is_hot(o, f);
		once += is_once(o, f);
	}
	store(&o->p->hot, hot);
	store(&o->p->once, once);
}
