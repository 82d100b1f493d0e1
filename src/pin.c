/* pin.c - see pin.h. */
#include "pin.h"

#include <sched.h>

bool pin_again(_Atomic uint64_t *slot, uint32_t frame)
{
	uint64_t w = atomic_load_explicit(slot, memory_order_relaxed);
	while (slot_pins(w, frame) && slot_count(w) < slot_count(SLOT_COUNT_MASK))
		if (atomic_compare_exchange_weak(slot, &w, w + SLOT_ONE))
			return true;
	return false;
}

void pin_lock_puts(struct pins *p)
{
	uint32_t plain = PUTS_PLAIN;
	if (likely(atomic_load(&p->puts) == PUTS_LOCKED))
		return;
	/* Every thread that comes by makes the barrier and waits for itself: there
	 * is nobody it depends on but the putters. */
	atomic_compare_exchange_strong(&p->puts, &plain, PUTS_SWITCHING);
	barrier_heavy(BARRIER_PROCESS);
	uint32_t n = atomic_load(&p->state->stripes);
	for (uint32_t id = 0; id < n; id++) {
		const struct stripe *s = pin_stripe(p, id);
		/* Acquire: pairs with the release at the end of pin_drop_own. */
		while (stripe_of(s, p->member) && atomic_load_explicit(&s->putting, memory_order_acquire))
			sched_yield();
	}
	atomic_store(&p->puts, PUTS_LOCKED);
}

/* Chunk k holds the stripes from FIRST * (2^k - 1), FIRST * 2^k of them. */
static unsigned stripe_chunk(uint32_t id)
{
	return 31 - (unsigned)__builtin_clz(id / STRIPES_FIRST + 1);
}

static uint32_t chunk_first(unsigned k)
{
	return STRIPES_FIRST * ((1u << k) - 1);
}

static uint32_t chunk_stripes(unsigned k)
{
	return STRIPES_FIRST << k;
}

struct stripe *pin_stripe(const struct pins *p, uint32_t id)
{
	unsigned k = stripe_chunk(id);
	struct stripe *s = region_at(p->region, CHUNK_STRIPES + k);
	return s ? &s[id - chunk_first(k)] : NULL;
}

static bool chunk_make(const struct pins *p, unsigned k)
{
	size_t bytes = chunk_stripes(k) * sizeof(struct stripe);
	struct stripe *s = region_alloc(p->region, CHUNK_STRIPES + k, bytes, sizeof *s);
	if (!s)
		return false;
	for (uint32_t i = 0; i < chunk_stripes(k); i++)
		s[i].id = chunk_first(k) + i;
	if (!region_add(p->region, CHUNK_STRIPES + k, s, bytes))
		region_free(p->region, CHUNK_STRIPES + k, s, bytes); /* another thread was first: its will do */
	return true;
}

static bool stripe_has_room(const struct stripe *s, bool empty)
{
	unsigned pins = 0;
	for (unsigned i = 0; i < LINE_WORDS; i++)
		/* Acquire: whoever emptied the slot is done with its page, and so passes
		 * on, by our next store there, what it did to it. */
		pins += !slot_empty(atomic_load_explicit(&s->slots.word[i], memory_order_acquire));
	return empty ? pins == 0 : pins < LINE_WORDS;
}

/* Make an orphan of this process's, or one that nobody uses, the caller's. */
static bool adopt(const struct pins *p, struct stripe *s, bool empty)
{
	uint16_t owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
	return (owner == STRIPE_UNUSED || owner == stripe_owner(STRIPE_ORPHAN, p->member)) &&
	       stripe_has_room(s, empty) &&
	       /* Acquire: pairs with the release in pin_orphan and pin_give_up. */
	       atomic_compare_exchange_strong(&s->owner, &owner, stripe_owner(STRIPE_OWNED, p->member));
}

static struct stripe *adopt_any(const struct pins *p, bool empty, uint32_t *from)
{
	uint32_t n = atomic_load(&p->state->stripes);
	while (*from < n) {
		struct stripe *s = pin_stripe(p, (*from)++);
		if (adopt(p, s, empty))
			return s;
	}
	*from = UINT32_MAX; /* what is numbered from here on is owned already */
	return NULL;
}

struct stripe *pin_adopt(const struct pins *p, bool empty, uint32_t *from)
{
	struct stripe *s = adopt_any(p, empty, from);
	while (!s) {
		uint32_t n = atomic_load(&p->state->stripes);
		if (n >= STRIPES_MAX)
			return NULL;
		if (!pin_stripe(p, n) && !chunk_make(p, stripe_chunk(n)))
			return NULL;
		/* Sequentially consistent: a scan that does not see the new number
		 * comes before it, so its closed entries are seen by our re-checks.
		 * Another thread may be faster to adopt it than who raised the number. */
		if (atomic_compare_exchange_strong(&p->state->stripes, &n, n + 1) && adopt(p, pin_stripe(p, n), empty))
			s = pin_stripe(p, n);
	}
	return s;
}

void pin_orphan(const struct pins *p, struct stripe *s)
{
	/* Release: the next owner's counters and slots go on from ours. */
	atomic_store_explicit(&s->owner, stripe_owner(STRIPE_ORPHAN, p->member), memory_order_release);
}

void pin_give_up(struct stripe *s)
{
	atomic_store_explicit(&s->section, 0, memory_order_relaxed);
	atomic_store_explicit(&s->putting, 0, memory_order_relaxed);
	atomic_store_explicit(&s->busy, 0, memory_order_relaxed);
	/* Release: as above. */
	atomic_store_explicit(&s->owner, STRIPE_UNUSED, memory_order_release);
}

void pin_scan(const struct pins *p, pin_seen *see, void *to)
{
	uint32_t n = atomic_load(&p->state->stripes);
	for (uint32_t id = 0; id < n; id++) {
		struct stripe *s = pin_stripe(p, id);
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			/* Acquire: pairs with the stores above: a slot found empty means
			 * that its thread is done with the page. */
			uint64_t w = atomic_load_explicit(&s->slots.word[i], memory_order_acquire);
			if (!slot_empty(w))
				see(to, s, w);
		}
	}
}

_Atomic uint64_t *pin_find(const struct pins *p, uint32_t frame)
{
	uint32_t n = atomic_load(&p->state->stripes);
	for (uint32_t id = 0; id < n; id++) {
		struct stripe *s = pin_stripe(p, id);
		_Atomic uint64_t *slot = stripe_of(s, p->member) ? stripe_slot_of(s, frame) : NULL;
		if (slot)
			return slot;
	}
	return NULL;
}

bool pins_sound(const struct pins *p)
{
	uint32_t n = atomic_load(&p->state->stripes);
	for (unsigned k = 0; k < STRIPE_CHUNKS && chunk_first(k) < n; k++)
		if (!region_at(p->region, CHUNK_STRIPES + k) ||
		    atomic_load(&p->region->state->bytes[CHUNK_STRIPES + k]) != chunk_stripes(k) * sizeof(struct stripe))
			return false;
	return true;
}

uint64_t pin_counter(const struct pins *p, enum counter c)
{
	uint64_t sum = 0;
	uint32_t n = atomic_load(&p->state->stripes);
	for (uint32_t id = 0; id < n; id++)
		sum += atomic_load_explicit(&pin_stripe(p, id)->counter[c], memory_order_relaxed);
	return sum;
}
