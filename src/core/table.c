/* table.c - see table.h. */
#include "core/table.h"

#include <ck_pr.h>

#include "os/check.h"

/* By chance one entry in 200 of a full table is too far from home for a hit; one in 16 is worth a new table. */
#define FAR_SHARE 16u
#define FAR_FEW   16u

/* How often an inserter loads a tentative entry again before it kills it. */
#define TENTATIVE_RETRIES 64

/* ---- an entry's table, as table.h has it --------------------------------- */

#if MPOOL_CHECK
#define ENTRY_NONE (-1)

/* `acts`: it is its owner alone who may make the step, as long as it has one; `hands`: and another's afterwards. */
static const struct {
	int from, to;
	bool acts, hands;
} entry_steps[] = {
	{ENTRY_LOADING, ENTRY_LOADING, true, true},
	{ENTRY_STALE, ENTRY_STALE, true, true},
	{ENTRY_NONE, ENTRY_TENTATIVE, true, false},
	{ENTRY_TENTATIVE, ENTRY_LOADING, true, false},
	{ENTRY_TENTATIVE, ENTRY_NONE, false, false}, /* retracted, or killed */
	{ENTRY_LOADING, ENTRY_RESIDENT, true, false},
	{ENTRY_LOADING, ENTRY_NONE, true, false},
	{ENTRY_LOADING, ENTRY_STALE, false, false}, /* another does not want it to be published */
	{ENTRY_STALE, ENTRY_NONE, true, false},
	{ENTRY_RESIDENT, ENTRY_CLOSING, false, false}, /* here and below whoever makes it sees to the claim */
	{ENTRY_CLOSING, ENTRY_RESIDENT, false, false},
	{ENTRY_CLOSING, ENTRY_CLOSING, false, false},
	{ENTRY_CLOSING, ENTRY_NONE, false, false},
	{ENTRY_CLOSING, ENTRY_LEAVING, false, false},
	{ENTRY_LEAVING, ENTRY_RESIDENT, false, false},
	{ENTRY_LEAVING, ENTRY_NONE, false, false},
	{ENTRY_NONE, ENTRY_RESIDENT, false, false}, /* it moves: here, ... */
	{ENTRY_RESIDENT, ENTRY_NONE, false, false}, /* ... and from there */
};

static int state_of(uint64_t e)
{
	return e == ENTRY_FREE ? ENTRY_NONE : (int)entry_state(e);
}

static bool owner_acts(uint64_t e)
{
	return e == ENTRY_FREE || entry_in_frame(e) || check_actor == 0 || entry_who(e) + 1 == check_actor;
}

const char *entry_step_wrong(uint64_t from, uint64_t to)
{
	int before = state_of(from), after = state_of(to);
	unsigned i = 0, n = sizeof entry_steps / sizeof *entry_steps;
	while (i < n && (entry_steps[i].from != before || entry_steps[i].to != after))
		i++;
	if (i == n)
		return "an entry makes a step that its table does not have";
	if (entry_steps[i].acts && !(owner_acts(from) && (entry_steps[i].hands || owner_acts(to))))
		return "an entry that is being loaded is changed by one that does not own it";
	if (from != ENTRY_FREE && to != ENTRY_FREE && entry_page(from) != entry_page(to))
		return "an entry becomes one of another page";
	if (entry_in_frame(from) && entry_in_frame(to) && entry_who(from) != entry_who(to))
		return "an entry becomes one of another frame";
	return NULL;
}
#endif
#define ENTRY_CHECK_STEP(from, to) MPOOL_CHECKED_STEP(entry_step_wrong(from, to), from, to)

/* ---- counts ------------------------------------------------------------- */

static inline _Atomic uint16_t *spill_of(struct table *t, uint32_t bucket)
{
	return (_Atomic uint16_t *)(void *)&t->bucket[t->buckets + 1] + bucket;
}

static inline uint32_t probe_bucket(const struct table *t, uint32_t home, uint32_t i)
{
	uint32_t b = home + i;
	return b < t->buckets ? b : b - t->buckets;
}

static void spill_sub(struct table *t, uint32_t bucket)
{
	uint16_t n = atomic_fetch_sub(spill_of(t, bucket), 1);
	MPOOL_CHECKED(n > 0, "a bucket counts fewer spills than none", n, bucket);
}

/* Lower the spill counts of the buckets from home to before `end`; returns how many these are. */
static uint32_t spill_lower(struct table *t, uint32_t home, uint32_t end)
{
	uint32_t i = 0;
	for (uint32_t b; (b = probe_bucket(t, home, i)) != end; i++)
		spill_sub(t, b);
	return i;
}

static void entries_sub(struct table *t)
{
	uint64_t n = atomic_fetch_sub(&t->entries, 1);
	MPOOL_CHECKED(n > 0, "a table counts fewer entries than none", n, t->id);
}

/* ---- tables ------------------------------------------------------------- */

/* The golden ratio, which spreads runs of pages best; the others are arbitrary. */
static const uint64_t factors[TABLE_FACTORS] = {
	UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf58476d1ce4e5b9), UINT64_C(0x94d049bb133111eb),
	UINT64_C(0xd6e8feb86659fd93), UINT64_C(0xff51afd7ed558ccd), UINT64_C(0xc4ceb9fe1a85ec53),
	UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db),
};

static uint32_t buckets_for(uint64_t entries)
{
	return (uint32_t)((entries * 3 + 2 * LINE_WORDS - 1) / (2 * LINE_WORDS));
}

static size_t table_size(uint32_t buckets)
{
	return sizeof(struct table) + (buckets + (size_t)1) * sizeof(struct line) + buckets * sizeof(uint16_t);
}

size_t table_bytes_for(uint64_t entries)
{
	return table_size(buckets_for(entries));
}

static struct table *table_make(struct tables *ts, uint32_t me, uint32_t buckets)
{
	struct table *t = region_alloc(ts->region, CHUNK_ANY, table_size(buckets), CACHE_LINE);
	if (!t)
		return NULL;
	t->buckets = buckets;
	t->bytes = table_size(buckets);
	atomic_store(&t->maker, me + 1);
	for (unsigned i = 0; i < TABLE_CHUNKS; i++) {
		t->id = CHUNK_TABLES + i;
		if (region_add(ts->region, t->id, t, t->bytes))
			return t;
	}
	region_free(ts->region, CHUNK_ANY, t, t->bytes);
	return NULL;
}

/* A cached table of `least` to `most` buckets, live again, or NULL. */
static struct table *table_revive(struct tables *ts, uint32_t me, uint32_t least, uint32_t most)
{
	for (unsigned id = CHUNK_TABLES; id < CHUNK_TABLES + TABLE_CHUNKS; id++) {
		struct table *t = region_cached(ts->region, id) ? region_at(ts->region, id) : NULL;
		uint32_t nobody = 0;
		/* Its maker first: once it is live, a table that is linked nowhere and has
		 * none is lost (retire_lost). */
		if (!t || t->buckets < least || t->buckets > most ||
		    !atomic_compare_exchange_strong(&t->maker, &nobody, me + 1))
			continue;
		if (region_revive(ts->region, id)) {
			/* A process that died may have left some too high. */
			for (uint32_t b = 0; b < t->buckets; b++)
				atomic_store_explicit(spill_of(t, b), 0, memory_order_relaxed);
			return t;
		}
		atomic_store(&t->maker, 0);
	}
	return NULL;
}

/*
 * A table keeps its number for good, and a shared pool that grows now and then wants one
 * of another size each time.  So once half of the numbers are taken, one up to twice as
 * large will do, and what is made has one of so few sizes that there is a number for each.
 */
static bool numbers_are_few(const struct tables *ts)
{
	return region_at(ts->region, CHUNK_TABLES + TABLE_CHUNKS / 2);
}

static uint32_t power_of_two_from(uint32_t n)
{
	uint32_t power = 1;
	while (power < n)
		power *= 2;
	return power;
}

/* An empty table that is not linked yet; NULL: no memory. */
static struct table *table_get(struct tables *ts, uint32_t me, uint64_t entries, uint32_t factor_number)
{
	uint32_t buckets = buckets_for(entries);
	struct table *t = table_revive(ts, me, buckets, buckets);
	if (!t && numbers_are_few(ts)) {
		t = table_revive(ts, me, buckets, 2 * buckets - 1);
		buckets = power_of_two_from(buckets);
	}
	if (!t && !(t = table_make(ts, me, buckets)))
		return NULL;
	atomic_store_explicit(&t->factor_number, factor_number, memory_order_relaxed);
	atomic_store_explicit(&t->factor, factors[factor_number], memory_order_relaxed);
	atomic_store_explicit(&t->next, TABLE_NONE, memory_order_relaxed);
	atomic_store_explicit(&t->since, 0, memory_order_relaxed);
	atomic_store_explicit(&t->drained, 0, memory_order_relaxed);
	atomic_store_explicit(&t->left, false, memory_order_relaxed);
	atomic_store_explicit(&t->quiet, false, memory_order_relaxed);
	atomic_store_explicit(&t->far, 0, memory_order_relaxed);
	atomic_store(&t->entries, 0);
	return t;
}

/* Hits search `t` from now on.  Of two threads at once the older table may be stored last: it is a hint. */
static void newest_is(struct tables *ts, struct table *t)
{
	if (atomic_load_explicit(&ts->newest, memory_order_relaxed) == t)
		return;
	/* Sequentially consistent, after the head: pairs with the attach; and with core_told, which is before the store. */
	if (atomic_load(&ts->state->several) != SEVERAL_NONE && !atomic_load(&ts->told))
		return;
	/* Release: a thread that finds the table here sees its contents. */
	atomic_store_explicit(&ts->newest, t, memory_order_release);
}

/* It is linked, or cached again: its maker need not be recorded any more. */
static void table_made(struct table *t)
{
	atomic_store(&t->maker, 0);
}

int table_init(struct tables *ts, uint32_t me, uint64_t entries)
{
	struct table *t = table_get(ts, me, entries, 0);
	if (!t)
		return -1;
	atomic_store(&ts->state->head, t->id);
	table_made(t);
	newest_is(ts, t);
	return 0;
}

void table_join(struct tables *ts)
{
	newest_is(ts, table_head(ts));
}

int table_replace(struct tables *ts, uint32_t me, const struct table *old, uint64_t entries, uint32_t factor_number)
{
	uint32_t head = old->id;
	if (atomic_load(&ts->state->head) != head)
		return 0;
	struct table *t = table_get(ts, me, entries, factor_number);
	if (!t)
		return -1;
	atomic_store(&t->next, head);
	/* Sequentially consistent: an inserter that places in the new table scans
	 * the old one afterwards, and one that placed in the old one before loads
	 * the head afterwards (insert_alone): one of them sees the other. */
	if (atomic_compare_exchange_strong(&ts->state->head, &head, t->id)) {
		table_made(t);
		newest_is(ts, t);
	} else if (region_withdraw(ts->region, t->id)) {
		/* Another thread was first, and ours was never linked. */
		region_release(ts->region, t->id);
		table_made(t);
	}
	return 0;
}

static bool table_sparse(const struct table *t)
{
	return table_entries(t) * 2 < (uint64_t)t->buckets * LINE_WORDS;
}

bool table_clumped(const struct table *t, bool full)
{
	uint64_t far = atomic_load_explicit(&t->far, memory_order_relaxed);
	if (table_factor_number(t) + 1 == TABLE_FACTORS)
		return false;
	return full ? table_sparse(t) : far > FAR_FEW + table_entries(t) / FAR_SHARE;
}

uint64_t table_entries(const struct table *t)
{
	return atomic_load_explicit(&t->entries, memory_order_relaxed);
}

static struct table *table_next(struct tables *ts, const struct table *t)
{
	uint32_t next = atomic_load(&t->next);
	return next == TABLE_NONE ? NULL : region_at(ts->region, next);
}

struct table *table_oldest(struct tables *ts)
{
	struct table *head = table_head(ts), *t = head;
	for (struct table *next; (next = table_next(ts, t)); t = next)
		;
	return t == head ? NULL : t;
}

void table_unlink(struct tables *ts, struct table *oldest)
{
	table_made(oldest); /* if its maker died before it did that; see retire_lost */
	for (struct table *t = table_head(ts), *next; (next = table_next(ts, t)); t = next)
		if (next == oldest) {
			atomic_store(&t->next, TABLE_NONE);
			break;
		}
	/* All words of its buckets are zero, and stay so.  In a shared pool the memory is
	 * kept, for a late hit may still read it. */
	if (!region_shared(ts->region))
		mem_discard(oldest->bucket, oldest->buckets * sizeof(struct line));
}

uint64_t table_bytes(struct tables *ts)
{
	uint64_t sum = 0;
	for (struct table *t = table_head(ts); t; t = table_next(ts, t))
		sum += t->bytes;
	return sum;
}

/* ---- searching ---------------------------------------------------------- */

/*
 * Search `t` for words of `page`, except `mine`.  A valid entry ends the
 * search; a tentative one is kept in case there is none.
 * Sequentially consistent loads: in an insertion they come after the placing.
 */
static uint64_t scan_table(struct table *t, uint32_t page, const _Atomic uint64_t *mine, struct table_ref *ref)
{
	uint32_t home = table_home(t, page);
	uint64_t tentative = ENTRY_FREE;
	for (uint32_t i = 0; i < t->buckets; i++) {
		uint32_t b = probe_bucket(t, home, i);
		for (unsigned s = 0; s < LINE_WORDS; s++) {
			_Atomic uint64_t *word = &t->bucket[b].word[s];
			uint64_t e = atomic_load(word);
			if ((uint32_t)e != entry_key(page) || word == mine)
				continue;
			if (!entry_valid(e) && tentative != ENTRY_FREE)
				continue;
			*ref = (struct table_ref){t, b, word};
			if (entry_valid(e))
				return e;
			tentative = e;
		}
		if (atomic_load(spill_of(t, b)) == 0)
			break;
	}
	return tentative;
}

/* Scan every table, oldest first, and again if the head has changed since. */
static uint64_t scan_path(struct tables *ts, uint32_t page, const _Atomic uint64_t *mine, struct table_ref *ref)
{
	for (;;) {
		struct table *chain[TABLE_CHUNKS];
		unsigned n = 0;
		uint32_t head = atomic_load(&ts->state->head);
		struct table *t = region_at(ts->region, head);
		newest_is(ts, t);
		for (; t && n < TABLE_CHUNKS; t = table_next(ts, t))
			chain[n++] = t;
		uint64_t tentative = ENTRY_FREE;
		while (n > 0) {
			struct table_ref at;
			uint64_t e = scan_table(chain[--n], page, mine, &at);
			if (e == ENTRY_FREE)
				continue;
			*ref = at;
			if (entry_valid(e))
				return e;
			tentative = e;
		}
		if (atomic_load(&ts->state->head) == head)
			return tentative;
	}
}

uint64_t table_find(struct tables *ts, uint32_t page, struct table_ref *ref)
{
	return scan_path(ts, page, NULL, ref);
}

static void each_of(struct table *t, entry_seen *see, void *to)
{
	for (uint32_t b = 0; b < t->buckets; b++)
		for (unsigned s = 0; s < LINE_WORDS; s++) {
			struct table_ref at = {t, b, &t->bucket[b].word[s]};
			/* Sequentially consistent: pairs with the placing, before the end of the file is looked at (pageio_stands). */
			uint64_t e = atomic_load(at.word);
			if (entry_valid(e))
				see(to, &at, e);
		}
}

void table_each(struct tables *ts, entry_seen *see, void *to)
{
	uint32_t head;
	/* As scan_path: what moves meanwhile is met where it goes. */
	do {
		struct table *chain[TABLE_CHUNKS];
		unsigned n = 0;
		head = atomic_load(&ts->state->head);
		for (struct table *t = region_at(ts->region, head); t && n < TABLE_CHUNKS; t = table_next(ts, t))
			chain[n++] = t;
		while (n > 0)
			each_of(chain[--n], see, to);
	} while (atomic_load(&ts->state->head) != head);
}

/* ---- placing and freeing ------------------------------------------------ */

static _Atomic uint64_t *free_word(struct line *b)
{
	for (unsigned s = 0; s < LINE_WORDS; s++)
		if (atomic_load_explicit(&b->word[s], memory_order_relaxed) == ENTRY_FREE)
			return &b->word[s];
	return NULL;
}

/*
 * How far from home an entry may be placed.  If no word is free within that, the table is
 * replaced: by a larger one, or, if it is sparse, by one with the next factor.  A sparse table
 * that has the last factor takes entries farther away.
 */
static uint32_t place_probes(const struct table *t)
{
	bool walk = table_factor_number(t) + 1 == TABLE_FACTORS && table_sparse(t);
	uint32_t most = walk ? TABLE_PROBES_MAX : TABLE_PROBES;
	return t->buckets < most ? t->buckets : most;
}

/* Count an entry at this distance from its home that was placed (+1) or freed (-1). */
static void far_add(struct table *t, uint32_t distance, int by)
{
	if (unlikely(distance >= TABLE_NEAR))
		atomic_fetch_add_explicit(&t->far, (uint64_t)by, memory_order_relaxed);
}

/* Put `entry` into a free word on the path of its page in `t`. */
static bool place(struct table *t, uint64_t entry, struct table_ref *ref)
{
	atomic_fetch_add(&t->entries, 1);
	uint32_t home = table_home(t, entry_page(entry)), probes = place_probes(t);
	for (uint32_t i = 0; i < probes; i++) {
		uint32_t b = probe_bucket(t, home, i);
		for (_Atomic uint64_t *word; (word = free_word(&t->bucket[b]));) {
			uint64_t none = ENTRY_FREE;
			/* Sequentially consistent: the scan that follows comes after. */
			if (atomic_compare_exchange_strong(word, &none, entry)) {
				ENTRY_CHECK_STEP(ENTRY_FREE, entry);
				*ref = (struct table_ref){t, b, word};
				far_add(t, i, 1);
				return true;
			}
		}
		/* Before the placing further on: a search that does not find our entry here
		 * must go on to it. */
		uint16_t spilt = atomic_fetch_add(spill_of(t, b), 1);
		MPOOL_CHECKED(spilt < UINT16_MAX, "a bucket counts more spills than it can", spilt, b);
	}
	for (uint32_t i = 0; i < probes; i++)
		spill_sub(t, probe_bucket(t, home, i));
	entries_sub(t);
	return false;
}

bool table_free(const struct table_ref *ref, uint64_t entry)
{
	uint32_t home = table_home(ref->table, entry_page(entry));
	struct table *t = ref->table;
	if (!atomic_compare_exchange_strong(ref->word, &entry, ENTRY_FREE))
		return false;
	ENTRY_CHECK_STEP(entry, ENTRY_FREE);
	uint32_t distance = spill_lower(t, home, ref->bucket);
	far_add(t, distance, -1);
	entries_sub(t);
	return true;
}

static bool entry_step(const struct table_ref *ref, uint64_t from, uint64_t to)
{
	if (!atomic_compare_exchange_strong(ref->word, &from, to))
		return false;
	ENTRY_CHECK_STEP(from, to);
	return true;
}

bool table_publish(const struct table_ref *ref, uint32_t page, uint32_t me, uint32_t frame)
{
	return entry_step(ref, entry_word(page, ENTRY_LOADING, me), entry_word(page, ENTRY_RESIDENT, frame));
}

bool table_make_stale(const struct table_ref *ref, uint64_t entry)
{
	return entry_step(ref, entry, entry_word(entry_page(entry), ENTRY_STALE, entry_who(entry)));
}

void table_hand_over(const struct table_ref *ref, uint32_t page, uint32_t me, uint32_t to)
{
	/* If not the one, then the other: it may become stale any time, and stays so. */
	if (!entry_step(ref, entry_word(page, ENTRY_LOADING, me), entry_word(page, ENTRY_LOADING, to)))
		(void)entry_step(ref, entry_word(page, ENTRY_STALE, me), entry_word(page, ENTRY_STALE, to));
}

void table_end_load(const struct table_ref *ref, uint32_t page, uint32_t me)
{
	/* The same. */
	if (!table_free(ref, entry_word(page, ENTRY_LOADING, me)))
		(void)table_free(ref, entry_word(page, ENTRY_STALE, me));
}

bool table_close(const struct table_ref *ref, uint32_t page, uint32_t frame)
{
	return entry_step(ref, entry_word(page, ENTRY_RESIDENT, frame), entry_word(page, ENTRY_CLOSING, frame));
}

bool table_reopen(const struct table_ref *ref, uint32_t page, uint32_t frame)
{
	return entry_step(ref, entry_word(page, ENTRY_CLOSING, frame), entry_word(page, ENTRY_RESIDENT, frame));
}

bool table_leave(const struct table_ref *ref, uint32_t page, uint32_t frame)
{
	return entry_step(ref, entry_word(page, ENTRY_CLOSING, frame), entry_word(page, ENTRY_LEAVING, frame));
}

bool table_return(const struct table_ref *ref, uint32_t page, uint32_t frame)
{
	return entry_step(ref, entry_word(page, ENTRY_LEAVING, frame), entry_word(page, ENTRY_RESIDENT, frame));
}

bool table_stay_closed(const struct table_ref *ref, uint32_t page, uint32_t frame)
{
	uint64_t closing = entry_word(page, ENTRY_CLOSING, frame);
	return entry_step(ref, closing, closing);
}

/*
 * Nobody else's entry of `page`, valid or tentative, is on the path.  Of two
 * tentative ones the lower owner's stays: two that killed each other would start
 * over together, again and again.
 */
static bool insert_alone(struct tables *ts, uint32_t page, uint32_t me, const struct table_ref *mine)
{
	struct table_ref other;
	uint64_t e;
	while ((e = scan_path(ts, page, mine->word, &other)) != ENTRY_FREE) {
		if (entry_valid(e) || entry_who(e) < me)
			return false;
		table_free(&other, e);
	}
	return true;
}

/* Another thread is inserting the page: wait a moment, then kill its entry.  False: it is valid now. */
static bool tentative_gone(struct tables *ts, uint32_t page)
{
	struct table_ref other;
	uint64_t e;
	for (unsigned n = 0; (e = scan_path(ts, page, NULL, &other)) != ENTRY_FREE; n++) {
		if (entry_valid(e))
			return false;
		if (n >= TENTATIVE_RETRIES)
			table_free(&other, e);
		ck_pr_stall();
	}
	return true;
}

enum insertion table_insert(struct tables *ts, uint32_t page, uint32_t me, uint64_t seen, struct table_ref *ref)
{
	if (seen != ENTRY_FREE && !tentative_gone(ts, page))
		return INSERT_LOST;
	uint64_t tentative = entry_word(page, ENTRY_TENTATIVE, me);
	ref->table = table_head(ts);
	if (!place(ref->table, tentative, ref))
		return ref->table == table_head(ts) ? INSERT_FULL : INSERT_LOST;
	if (!insert_alone(ts, page, me, ref)) {
		table_free(ref, tentative); /* or it was killed, which comes to the same */
		return INSERT_LOST;
	}
	/* It may have been killed. */
	return entry_step(ref, tentative, entry_word(page, ENTRY_LOADING, me)) ? INSERT_WON : INSERT_LOST;
}

bool table_move(struct tables *ts, const struct table_ref *from)
{
	uint64_t e = atomic_load(from->word);
	struct table *head = table_head(ts);
	struct table_ref to;
	if (head == from->table || !place(head, e, &to))
		return false;
	/* Resident in both for an instant: a get finds it in either, and the frame
	 * is the same, so its pins stay valid. */
	table_free(from, e);
	return true;
}

#if MPOOL_CHECK > 1
/* ---- what a table should count ------------------------------------------ */

struct table_counts table_counts(struct table *t)
{
	struct table_counts n = {atomic_load(&t->entries), 0, atomic_load(&t->far)};
	for (uint32_t b = 0; b < t->buckets; b++)
		n.spills += atomic_load(spill_of(t, b));
	return n;
}

void table_count(const struct table *t, uint32_t b, uint64_t e, struct table_counts *n)
{
	uint32_t distance = 0;
	while (probe_bucket(t, table_home(t, entry_page(e)), distance) != b)
		distance++;
	n->entries++;
	n->spills += distance;
	n->far += distance >= TABLE_NEAR;
}

struct table *table_older(struct tables *ts, const struct table *t)
{
	return table_next(ts, t);
}
#endif

/* ---- after a death ------------------------------------------------------ */

bool table_sound(const struct table *t, unsigned id, uint64_t room)
{
	return room >= sizeof *t && t->id == id && t->buckets > 0 && t->bytes <= room &&
	       t->bytes == table_size(t->buckets) && table_factor_number(t) < TABLE_FACTORS;
}

static bool linked(struct tables *ts, const struct table *wanted)
{
	struct table *t = table_head(ts);
	while (t && t != wanted)
		t = table_next(ts, t);
	return t;
}

/* Retire tables that are not linked, and that no living process is to link or retire.  In no section. */
static void retire_lost(struct tables *ts, const struct epoch *e, const struct stripe *me, stripe_test *dead, void *of)
{
	uint32_t drainer = atomic_load(&ts->state->draining);
	bool drained = drainer && dead(of, drainer - 1);
	for (unsigned id = CHUNK_TABLES; id < CHUNK_TABLES + TABLE_CHUNKS; id++) {
		struct table *t = region_at(ts->region, id);
		uint32_t maker = t ? atomic_load(&t->maker) : 0;
		bool made = maker && dead(of, maker - 1);
		/* A linked table is unlinked only by the holder of the drain's role, which
		 * clears the maker first. */
		bool live = region_live(ts->region, id);
		if (live && (made || (maker == 0 && drained)) && !linked(ts, t) && atomic_load(&t->maker) == maker)
			epoch_retire(e, me, id);
		if (made)
			table_made(t);
	}
	if (drained)
		atomic_store(&ts->state->draining, 0);
}

void table_recover(struct tables *ts, const struct epoch *e, struct stripe *me, stripe_test *dead, void *of)
{
	epoch_enter(e, me);
	for (struct table *t = table_head(ts); t; t = table_next(ts, t))
		for (uint32_t b = 0; b < t->buckets; b++)
			for (unsigned s = 0; s < LINE_WORDS; s++) {
				struct table_ref ref = {t, b, &t->bucket[b].word[s]};
				uint64_t x = atomic_load(ref.word);
				if (x != ENTRY_FREE && !entry_in_frame(x) && dead(of, entry_who(x))) {
					uint32_t before = check_act_for(entry_who(x) + 1);
					table_free(&ref, x);
					check_act_for(before);
				}
			}
	epoch_leave(me);
	retire_lost(ts, e, me, dead, of);
}

uint64_t table_settle(struct tables *ts, uint32_t page, uint32_t frame, struct table_ref *ref)
{
	uint64_t found = ENTRY_FREE;
	/* Newest first, as the newest is to stay. */
	for (struct table *t = table_head(ts); t; t = table_next(ts, t)) {
		struct table_ref at;
		uint64_t x = scan_table(t, page, NULL, &at);
		if (!entry_in_frame(x) || entry_who(x) != frame)
			continue;
		if (found == ENTRY_FREE) {
			*ref = at;
			found = x;
		} else {
			/* A get may just have loaded it: the frame is the same. */
			while (!table_free(&at, x))
				x = atomic_load(at.word);
		}
	}
	return found;
}
