/* where.c - see where.h. */
#include "api/where.h"

#include <inttypes.h>
#include <stdlib.h>

#include "os/code.h"
#include "os/print.h"

#define BLOCK_STRIPES 64u
#define BLOCKS        (STRIPES_MAX / BLOCK_STRIPES + 1)

struct where_block {
	_Atomic(const void *) from[BLOCK_STRIPES][LINE_WORDS];
};

_Thread_local const void *where_from;

void where_open(struct where *w)
{
	/* Without memory nothing is told. */
	if (code_asked())
		w->block = calloc(BLOCKS, sizeof *w->block);
}

/* The stripe's block; NULL: no memory. */
static struct where_block *block_of(const struct where *w, uint32_t stripe)
{
	_Atomic(struct where_block *) *at = &w->block[stripe / BLOCK_STRIPES];
	struct where_block *none = NULL, *made;
	if (atomic_load(at))
		return atomic_load(at);
	made = calloc(1, sizeof *made);
	if (atomic_compare_exchange_strong(at, &none, made))
		return made;
	free(made); /* another thread was first */
	return none;
}

void where_took(const struct where *w, _Atomic uint64_t *slot)
{
	const struct stripe *s = slot_stripe(slot);
	struct where_block *b = w->block ? block_of(w, s->id) : NULL;
	if (b)
		atomic_store_explicit(&b->from[s->id % BLOCK_STRIPES][slot - s->slots.word], where_from,
		                      memory_order_relaxed);
}

static void tell(const struct core *c, uint64_t slot, const void *from)
{
	struct code_place p;
	uint32_t page = atomic_load_explicit(&frame_of(&c->frames, slot_frame(slot))->page, memory_order_relaxed);
	print_text("libmpool: closed with page %" PRIu32 " pinned, and %" PRIu64 " of its pins never put; ", page,
	           slot_count(slot));
	if (from && code_place_of(from, &p))
		print_text("taken %s%s: addr2line -fpe %s 0x%" PRIxPTR "\n", p.function ? "in " : "at",
		           p.function ? p.function : "", p.object, p.offset);
	else
		print_text("taken at %p\n", from);
}

static void tell_stripe(const struct where *w, const struct core *c, const struct stripe *s)
{
	const struct where_block *b = atomic_load(&w->block[s->id / BLOCK_STRIPES]);
	for (unsigned i = 0; i < LINE_WORDS; i++) {
		uint64_t slot = atomic_load(&s->slots.word[i]);
		if (slot_pins(slot, slot_frame(slot)))
			tell(c, slot, b ? atomic_load(&b->from[s->id % BLOCK_STRIPES][i]) : NULL);
	}
}

void where_close(struct where *w, const struct core *c, bool ours)
{
	if (!w->block)
		return;
	uint32_t n = atomic_load(&c->pins.state->stripes);
	for (uint32_t id = 0; id < n; id++) {
		const struct stripe *s = pin_stripe(&c->pins, id);
		if (ours && stripe_of(s, c->pins.member))
			tell_stripe(w, c, s);
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		free(atomic_load(&w->block[i]));
	free(w->block);
}
