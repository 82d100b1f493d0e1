/* torn.c - see torn.h. */
#include "io/torn.h"

#include "core/table.h"

static unsigned bucket_of(const struct torn_state *t, uint32_t page)
{
	return hash_place(number_hash(page), t->buckets);
}

/* The page's place in its bucket, or TORN_PLACES. */
static unsigned place_of(const struct torn_state *t, uint32_t page)
{
	const _Atomic uint32_t *place = t->page[bucket_of(t, page)];
	unsigned i = 0;
	while (i < TORN_PLACES && atomic_load(&place[i]) != page + 1)
		i++;
	return i;
}

bool torn_has(const struct torn_state *t, uint32_t page)
{
	return atomic_load(&t->any) && place_of(t, page) < TORN_PLACES;
}

void torn_add(struct torn_state *t, uint32_t page)
{
	_Atomic uint32_t *place = t->page[bucket_of(t, page)];
	/* Before the page: who does not see it does not see the page either. */
	atomic_store(&t->any, 1);
	/* Only who holds the claim of its frame adds a page, so it cannot come twice. */
	if (torn_has(t, page))
		return;
	for (unsigned i = 0; i < TORN_PLACES; i++) {
		uint32_t none = 0;
		if (atomic_compare_exchange_strong(&place[i], &none, page + 1))
			return;
	}
	atomic_store(&place[0], page + 1);
}

void torn_remove(struct torn_state *t, uint32_t page)
{
	uint32_t its = page + 1;
	if (!atomic_load(&t->any))
		return;
	unsigned i = place_of(t, page);
	/* Unless another page has taken the place meanwhile. */
	if (i < TORN_PLACES)
		atomic_compare_exchange_strong(&t->page[bucket_of(t, page)][i], &its, 0);
}

void torn_cut(struct torn_state *t, torn_test *behind, void *to)
{
	if (!atomic_load(&t->any))
		return;
	for (uint32_t b = 0; b < t->buckets; b++)
		for (unsigned i = 0; i < TORN_PLACES; i++) {
			uint32_t its = atomic_load(&t->page[b][i]);
			/* Others add and remove pages before the end meanwhile. */
			if (its != 0 && behind(to, its - 1))
				atomic_compare_exchange_strong(&t->page[b][i], &its, 0);
		}
}
