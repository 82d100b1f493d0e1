/* doubt.c - see doubt.h. */
#include "io/doubt.h"

#include "core/table.h"

static unsigned bucket_of(const struct doubt_state *d, uint32_t page)
{
	return hash_place(number_hash(page), d->buckets);
}

/* The page's place in its bucket, or DOUBT_PLACES. */
static unsigned place_of(const struct doubt_state *d, uint32_t page)
{
	const _Atomic uint32_t *place = d->page[bucket_of(d, page)];
	unsigned i = 0;
	while (i < DOUBT_PLACES && atomic_load(&place[i]) != page + 1)
		i++;
	return i;
}

bool doubt_has(const struct doubt_state *d, uint32_t page)
{
	return atomic_load(&d->any) && place_of(d, page) < DOUBT_PLACES;
}

void doubt_add(struct doubt_state *d, uint32_t page)
{
	_Atomic uint32_t *place = d->page[bucket_of(d, page)];
	/* Before the page: who does not see it does not see the page either. */
	atomic_store(&d->any, 1);
	/* Only who holds the claim of its frame adds a page, so it cannot come twice. */
	if (doubt_has(d, page))
		return;
	for (unsigned i = 0; i < DOUBT_PLACES; i++) {
		uint32_t none = 0;
		if (atomic_compare_exchange_strong(&place[i], &none, page + 1))
			return;
	}
	atomic_store(&place[0], page + 1);
}

void doubt_remove(struct doubt_state *d, uint32_t page)
{
	uint32_t its = page + 1;
	if (!atomic_load(&d->any))
		return;
	unsigned i = place_of(d, page);
	/* Unless another page has taken the place meanwhile. */
	if (i < DOUBT_PLACES)
		atomic_compare_exchange_strong(&d->page[bucket_of(d, page)][i], &its, 0);
}
