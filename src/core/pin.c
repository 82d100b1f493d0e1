/* pin.c - see pin.h. */
#include "core/pin.h"

#include "os/time.h"

/* Yields, before the first nap; each nap is twice as long as the one before, a millisecond at the most. */
#define YIELDS        8u
#define NAP_FIRST_NS  UINT64_C(1000)
#define NAP_DOUBLINGS 10u

/* A summary's word has two bits for each of so many stripes: pin.h has their states. */
#define SUMMARY_BITS    2u
#define SUMMARY_STRIPES (64u / SUMMARY_BITS)
#define SUMMARY_STATE   UINT64_C(3)                  /* a stripe's bits */
#define SUMMARY_EACH    UINT64_C(0x5555555555555555) /* the lower one of each */
enum { SUMMARY_IDLE, SUMMARY_LISTED, SUMMARY_LEAVING };

/* So many visits of empty stripes cost as much as unlisting them, and listing again those that are used. */
#define UNLIST_AFTER 4096u
/* Scans that visit no more empty stripes than that are not worth shortening. */
#define STRIPES_FEW 4u

#if MPOOL_CHECK
const char *slot_step_wrong(_Atomic uint64_t *slot, bool is)
{
	uint16_t owner = check_look16(&slot_stripe(slot)->owner);
	if ((owner & ((1u << OWNER_STATE_BITS) - 1)) != STRIPE_OWNED)
		return "a slot changes whose stripe no thread has";
	return is ? NULL : "a slot makes a step that its table does not have";
}

const char *stripe_rest_wrong(const struct stripe *s, bool empty)
{
	for (unsigned i = 0; i < LINE_WORDS; i++) {
		uint64_t w = check_look64(&s->slots.word[i]);
		if (slot_trying(w))
			return "a stripe that no thread is in tries for a page";
		if (empty && !slot_empty(w))
			return "a stripe is given up, and holds a page";
	}
	return check_look64(&s->section) ? "a stripe that no thread is in is in an epoch section" : NULL;
}
#endif

void pin_enter_user(const struct pins *p)
{
	uint32_t none = USERS_NONE;
	if (!atomic_compare_exchange_strong(&p->state->users, &none, USERS_ONE))
		atomic_store(&p->state->users, USERS_MANY);
	/* The full fence: what this thread loads from here on comes after that. */
	barrier_light(BARRIER_FENCE);
}

bool pin_again(_Atomic uint64_t *slot, uint32_t frame)
{
	uint64_t w = atomic_load_explicit(slot, memory_order_relaxed);
	while (slot_pins(w, frame) && slot_count(w) < slot_count(SLOT_COUNT_MASK))
		if (atomic_compare_exchange_weak(slot, &w, w + SLOT_ONE))
			return true;
	return false;
}

/*
 * Let a thread run that is between two stores of a put.  It may have a lower priority, for
 * which a yield does nothing: only sleeping leaves it the processor.
 */
static void give_way(unsigned look)
{
	unsigned doublings = look < YIELDS ? 0 : look - YIELDS;
	if (look < YIELDS)
		time_yield();
	else
		time_nap(NAP_FIRST_NS << (doublings < NAP_DOUBLINGS ? doublings : NAP_DOUBLINGS));
}

void pin_lock_puts(struct pins *p)
{
	uint32_t plain = PUTS_PLAIN;
	if (likely(atomic_load(&p->puts) == PUTS_LOCKED))
		return;
	/* Each thread that gets here makes the barrier and waits itself, so that it
	 * depends on the putting threads only. */
	atomic_compare_exchange_strong(&p->puts, &plain, PUTS_SWITCHING);
	barrier_heavy(BARRIER_PROCESS);
	uint32_t n = atomic_load(&p->state->stripes);
	for (uint32_t id = 0; id < n; id++) {
		const struct stripe *s = pin_stripe(p, id);
		/* Acquire: pairs with the release at the end of pin_drop_own. */
		for (unsigned look = 0;
		     stripe_of(s, p->member) && atomic_load_explicit(&s->putting, memory_order_acquire); look++)
			give_way(look);
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

uint32_t pin_place(uint32_t id, unsigned *chunk)
{
	*chunk = stripe_chunk(id);
	return id - chunk_first(*chunk);
}

uint32_t pin_chunk_stripes(unsigned chunk)
{
	return chunk_stripes(chunk);
}

/* The summary comes first, in so many bytes that stripes stay at multiples of their size. */
static size_t summary_bytes(unsigned k)
{
	size_t words = (chunk_stripes(k) + SUMMARY_STRIPES - 1) / SUMMARY_STRIPES;
	return (words * sizeof(uint64_t) + sizeof(struct stripe) - 1) / sizeof(struct stripe) * sizeof(struct stripe);
}

static size_t chunk_bytes(unsigned k)
{
	return summary_bytes(k) + chunk_stripes(k) * sizeof(struct stripe);
}

static struct stripe *chunk_stripe(char *chunk, unsigned k, uint32_t i)
{
	return (struct stripe *)(void *)(chunk + summary_bytes(k)) + i;
}

struct stripe *pin_stripe(const struct pins *p, uint32_t id)
{
	unsigned k = stripe_chunk(id);
	char *chunk = region_at(p->region, CHUNK_STRIPES + k);
	return chunk ? chunk_stripe(chunk, k, id - chunk_first(k)) : NULL;
}

static bool chunk_make(const struct pins *p, unsigned k)
{
	char *chunk = region_alloc(p->region, CHUNK_STRIPES + k, chunk_bytes(k), sizeof(struct stripe));
	if (!chunk)
		return false;
	for (uint32_t i = 0; i < chunk_stripes(k); i++)
		chunk_stripe(chunk, k, i)->id = (chunk_first(k) + i) & ((1u << STRIPE_ID_BITS) - 1);
	if (!region_add(p->region, CHUNK_STRIPES + k, chunk, chunk_bytes(k)))
		region_free(p->region, CHUNK_STRIPES + k, chunk,
		            chunk_bytes(k)); /* another thread was first: its will do */
	return true;
}

size_t pin_first_bytes(void)
{
	return chunk_bytes(0);
}

bool pin_make(const struct pins *p, uint32_t stripes)
{
	bool made = true;
	for (unsigned k = 0; made && k < STRIPE_CHUNKS && chunk_first(k) < stripes; k++)
		made = chunk_make(p, k);
	return made;
}

static bool stripe_has_room(const struct stripe *s, bool empty)
{
	unsigned pins = 0;
	for (unsigned i = 0; i < LINE_WORDS; i++)
		/* Acquire: whoever emptied the slot does not use its page any more, and passes
		 * on, by our next store there, what it did to it. */
		pins += !slot_empty(atomic_load_explicit(&s->slots.word[i], memory_order_acquire));
	return empty ? pins == 0 : pins < LINE_WORDS;
}

/* Make the caller the owner of the stripe, if it is unused or an orphan of this process. */
static bool adopt(const struct pins *p, struct stripe *s, bool empty)
{
	uint16_t owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
	if ((owner != STRIPE_UNUSED && owner != stripe_owner(STRIPE_ORPHAN, p->member)) || !stripe_has_room(s, empty) ||
	    /* Acquire: pairs with the release in pin_orphan and pin_give_up. */
	    !atomic_compare_exchange_strong(&s->owner, &owner, stripe_owner(STRIPE_OWNED, p->member)))
		return false;
	STRIPE_CHECK_REST(s, owner == STRIPE_UNUSED, owner);
	/* The last owner may have died in pin_list, between the two. */
	atomic_store_explicit(&s->listed, 0, memory_order_relaxed);
	return true;
}

static struct stripe *adopt_any(const struct pins *p, bool empty, uint32_t *from)
{
	uint32_t n = atomic_load(&p->state->stripes);
	while (*from < n) {
		struct stripe *s = pin_stripe(p, (*from)++);
		if (adopt(p, s, empty))
			return s;
	}
	*from = UINT32_MAX; /* stripes from here on have owners */
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
	STRIPE_CHECK_REST(s, false, STRIPE_ORPHAN);
	/* Release: the next owner continues with our counters and slots. */
	atomic_store_explicit(&s->owner, stripe_owner(STRIPE_ORPHAN, p->member), memory_order_release);
}

void pin_give_up(struct stripe *s)
{
	atomic_store_explicit(&s->section, 0, memory_order_relaxed);
	atomic_store_explicit(&s->putting, 0, memory_order_relaxed);
	atomic_store_explicit(&s->busy, 0, memory_order_relaxed);
	STRIPE_CHECK_REST(s, true, STRIPE_UNUSED);
	/* Release: as above. */
	atomic_store_explicit(&s->owner, STRIPE_UNUSED, memory_order_release);
}

/* ---- which stripes are listed ------------------------------------------- */

/* The word of the summary that has stripe `id`, and where in it its two bits are. */
static _Atomic uint64_t *summary_of(const struct pins *p, uint32_t id, unsigned *shift)
{
	unsigned k = stripe_chunk(id);
	uint32_t i = id - chunk_first(k);
	_Atomic uint64_t *summary = region_at(p->region, CHUNK_STRIPES + k);
	*shift = i % SUMMARY_STRIPES * SUMMARY_BITS;
	return &summary[i / SUMMARY_STRIPES];
}

/* The stripes of a word that are listed, and leaving, each by the lower of its bits. */
static uint64_t word_listed(uint64_t word)
{
	return word & SUMMARY_EACH;
}
static uint64_t word_leaving(uint64_t word)
{
	return word >> 1 & SUMMARY_EACH;
}

void pin_list(const struct pins *p, struct stripe *s)
{
	unsigned shift;
	_Atomic uint64_t *summary = summary_of(p, s->id, &shift);
	/* Before the summary: who makes the stripe leave after it clears what this sets. */
	atomic_store_explicit(&s->listed, 1, memory_order_relaxed);
	uint64_t w = atomic_load_explicit(summary, memory_order_relaxed);
	/* Release: passes on the slot, or the section, to who makes the stripe leave. */
	while (!atomic_compare_exchange_weak(summary, &w,
	                                     (w & ~(SUMMARY_STATE << shift)) | (uint64_t)SUMMARY_LISTED << shift))
		;
}

/* Load the next word of the summary that has stripes which are not idle; false: there is none. */
static bool listed_word(struct listed *l, _Atomic uint64_t **summary)
{
	if (l->next >= l->end)
		return false;
	unsigned k = stripe_chunk(l->next), shift;
	uint32_t i = l->next - chunk_first(k), left = chunk_stripes(k) - i;
	*summary = summary_of(l->pins, l->next, &shift);
	/* Acquire: pairs with pin_list: the slot it was called for is seen. */
	uint64_t w = atomic_load_explicit(*summary, memory_order_acquire);
	l->bits = word_listed(w) | word_leaving(w);
	l->stripe = pin_stripe(l->pins, l->next);
	l->next += left < SUMMARY_STRIPES ? left : SUMMARY_STRIPES;
	return true;
}

/* The next stripe of the word, and in *bit its place; NULL: there is none. */
static struct stripe *word_next(struct listed *l, uint64_t *bit)
{
	struct stripe *s = l->bits ? &l->stripe[(unsigned)__builtin_ctzll(l->bits) / SUMMARY_BITS] : NULL;
	*bit = l->bits & -l->bits;
	l->bits &= l->bits - 1;
	return s;
}

struct stripe *listed_next(struct listed *l)
{
	_Atomic uint64_t *summary;
	uint64_t bit;
	while (!l->bits)
		if (!listed_word(l, &summary))
			return NULL;
	return word_next(l, &bit);
}

/* No slot and no section is set. */
static bool stripe_vacant(const struct stripe *s)
{
	/* Acquire: after its owner's listing, if that came after our load of the summary. */
	uint64_t any = atomic_load_explicit(&s->section, memory_order_acquire);
	for (unsigned i = 0; i < LINE_WORDS; i++)
		any |= atomic_load_explicit(&s->slots.word[i], memory_order_acquire);
	return any == 0;
}

/* The stripes of a word that are vacant. */
static uint64_t word_vacant(struct listed *l)
{
	uint64_t vacant = 0, bit;
	for (const struct stripe *s; (s = word_next(l, &bit));)
		vacant |= stripe_vacant(s) ? bit : 0;
	return vacant;
}

bool pin_unlist_begin(const struct pins *p, const struct stripe *me)
{
	struct pin_state *st = p->state;
	uint32_t nobody = 0;
	if (likely(atomic_load_explicit(&st->vain, memory_order_relaxed) < UNLIST_AFTER) ||
	    !atomic_compare_exchange_strong(&st->unlister, &nobody, me->id + 1))
		return false;
	atomic_fetch_sub_explicit(&st->vain, UNLIST_AFTER, memory_order_relaxed);
	struct listed l = LISTED_FIRST(p);
	for (_Atomic uint64_t *summary; listed_word(&l, &summary);) {
		struct stripe *first = l.stripe;
		uint64_t vacant = word_vacant(&l);
		/* Listed to leaving, which only the unlister does; leaving ones stay so. */
		uint64_t leaves = vacant & word_listed(atomic_load(summary));
		if (leaves)
			/* Locked, before `listed`: see the head of pin.h. */
			atomic_fetch_xor(summary, leaves | leaves << 1);
		struct listed gone = {p, 0, 0, vacant, first};
		for (struct stripe *s; (s = listed_next(&gone));)
			atomic_store_explicit(&s->listed, 0, memory_order_relaxed);
	}
	return true;
}

/* After the barrier: stripes that are vacant still, and leaving, become idle. */
static void unlist(const struct pins *p)
{
	struct listed l = LISTED_FIRST(p);
	for (_Atomic uint64_t *summary; listed_word(&l, &summary);) {
		uint64_t w = atomic_load(summary), idle;
		l.bits = word_leaving(w);
		uint64_t vacant = word_vacant(&l);
		/* Those that their owners have listed meanwhile stay listed. */
		do
			idle = vacant & word_leaving(w);
		while (idle && !atomic_compare_exchange_weak(summary, &w, w & ~(idle << 1)));
	}
}

void pin_unlist_end(const struct pins *p, bool begun, uint32_t vain)
{
	if (begun) {
		unlist(p);
		atomic_store(&p->state->unlister, 0);
	} else if (vain > STRIPES_FEW) {
		/* Limited to the cost of one unlisting. */
		atomic_fetch_add_explicit(&p->state->vain, vain < UNLIST_AFTER ? vain : UNLIST_AFTER,
		                          memory_order_relaxed);
	}
}

void pin_recover(const struct pins *p, stripe_test *dead, void *of)
{
	uint32_t unlister = atomic_load(&p->state->unlister);
	/* The stripes that it has made leave are left to the next unlister. */
	if (unlister && dead(of, unlister - 1))
		atomic_store(&p->state->unlister, 0);
}

uint32_t pin_scan(const struct pins *p, pin_seen *see, void *to)
{
	uint32_t vain = 0;
	struct listed l = LISTED_FIRST(p);
	for (const struct stripe *s; (s = listed_next(&l));) {
		bool any = false;
		for (unsigned i = 0; i < LINE_WORDS; i++) {
			/* Acquire: pairs with the stores above: a slot found empty means
			 * that its thread is done with the page. */
			uint64_t w = atomic_load_explicit(&s->slots.word[i], memory_order_acquire);
			if (slot_empty(w))
				continue;
			see(to, s, w);
			any = true;
		}
		vain += !any;
	}
	return vain;
}

_Atomic uint64_t *pin_find(const struct pins *p, uint32_t frame)
{
	struct listed l = LISTED_FIRST(p);
	for (struct stripe *s; (s = listed_next(&l));) {
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
		    atomic_load(&p->region->state->bytes[CHUNK_STRIPES + k]) != chunk_bytes(k))
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
