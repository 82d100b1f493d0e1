/* changed.c - see changed.h. */
#include "core/changed.h"

/* The word `sweeping`: the first frame of the stretch + 1, 0: nowhere; and, above, a count. */
#define SWEEPING_COUNT ((uint64_t)1 << 32)

/* The segment that has the frame, and its number there; false: it is gone. */
static bool place(const struct frames *fs, uint32_t f, struct segment *seg, uint32_t *i)
{
	*seg = fs->base;
	if (f >= fs->base.count && !frame_segment(fs, frame_segment_of(fs, f), seg))
		return false;
	*i = f - seg->first;
	return true;
}

void frame_set_dirty(const struct frames *fs, uint32_t f)
{
	struct segment seg;
	uint32_t i;
	if (!place(fs, f, &seg, &i))
		return;
	frame_mark_dirty(&seg.frame[i]);
	changed_note(seg.changed_bits, i);
}

/* ---- to look -------------------------------------------------------------- */

/* Its frames that were ever used; those of a shared pool have memory no farther. */
static uint32_t end_of(const struct frames *fs, const struct segment *seg)
{
	return seg->frame == fs->base.frame ? frames_used(fs) : seg->count;
}

static bool is_changed(const struct segment *seg, uint32_t i)
{
	/* Sequentially consistent, after the bit went off: pairs with a put. */
	return atomic_load(&seg->frame[i].word) & FRAME_CHANGED;
}

/* The bits of word `w` of the segment, all of them where somebody sweeps. */
static uint64_t bits_now(const struct frames *fs, const struct segment *seg, uint32_t w)
{
	_Atomic uint64_t *sweeping = &fs->state->sweeping;
	uint32_t here = seg->first + w * CHANGED_STRETCH + 1;
	uint64_t before = atomic_load(sweeping);
	uint64_t bits = atomic_load(&seg->changed_bits[w]);
	return atomic_load(sweeping) == before && (uint32_t)before != here ? bits : ~(uint64_t)0;
}

/* Call `see` for the frames of these bits. */
static void see_frames(const struct frames *fs, const struct segment *seg, uint32_t w, uint64_t bits, frame_seen *see,
                       void *to)
{
	for (uint32_t end = end_of(fs, seg); bits; bits &= bits - 1) {
		uint32_t i = w * CHANGED_STRETCH + (uint32_t)__builtin_ctzll(bits) * FRAMES_PER_LINE;
		for (uint32_t last = i + FRAMES_PER_LINE; i < last && i < end; i++)
			see(to, seg->first + i, &seg->frame[i]);
	}
}

/* ---- to sweep ------------------------------------------------------------- */

/* Of these bits, those without a changed frame. */
static uint64_t unchanged(const struct frames *fs, const struct segment *seg, uint32_t w, uint64_t bits)
{
	/* Loaded after the bits went off: a frame that is used for the first time was counted before it is changed. */
	uint32_t end = end_of(fs, seg);
	uint64_t none = bits;
	for (; bits; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(bits);
		uint32_t i = w * CHANGED_STRETCH + bit * FRAMES_PER_LINE;
		for (uint32_t last = i + FRAMES_PER_LINE; i < last && i < end; i++)
			if (is_changed(seg, i))
				none &= ~((uint64_t)1 << bit);
	}
	return none;
}

static void sweep_at(const struct frames *fs, uint32_t here)
{
	_Atomic uint64_t *sweeping = &fs->state->sweeping;
	/* Who has the turn is alone in this. */
	atomic_store(sweeping, (atomic_load(sweeping) / SWEEPING_COUNT + 1) * SWEEPING_COUNT + here);
}

static void sweep(const struct frames *fs, const struct segment *seg, uint32_t w, uint64_t bits)
{
	uint64_t off = unchanged(fs, seg, w, bits);
	if (!off)
		return;
	/* Before the bits: who finds one off knows that it may be on again. */
	sweep_at(fs, seg->first + w * CHANGED_STRETCH + 1);
	atomic_fetch_and(&seg->changed_bits[w], ~off);
	/* And then the words once more: a put that came before has found the bit on. */
	uint64_t on = off & ~unchanged(fs, seg, w, off);
	if (on)
		atomic_fetch_or(&seg->changed_bits[w], on);
	sweep_at(fs, 0);
}

/* ---- all segments --------------------------------------------------------- */

static void each_word(const struct frames *fs, const struct segment *seg, frame_seen *see, void *to, bool sweeps)
{
	uint32_t words = (end_of(fs, seg) + CHANGED_STRETCH - 1) / CHANGED_STRETCH;
	for (uint32_t w = 0; w < words; w++) {
		uint64_t bits = sweeps ? atomic_load(&seg->changed_bits[w]) : bits_now(fs, seg, w);
		see_frames(fs, seg, w, bits, see, to);
		if (sweeps && bits)
			sweep(fs, seg, w, bits);
	}
}

static void each(const struct frames *fs, frame_seen *see, void *to, bool sweeps)
{
	each_word(fs, &fs->base, see, to, sweeps);
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++) {
		struct segment seg;
		if (frame_segment(fs, k, &seg))
			each_word(fs, &seg, see, to, sweeps);
	}
}

void changed_each(const struct frames *fs, frame_seen *see, void *to)
{
	each(fs, see, to, false);
}

void changed_sweep(const struct frames *fs, frame_seen *see, void *to)
{
	each(fs, see, to, true);
}

/* ---- who is gone ---------------------------------------------------------- */

bool changed_told(const struct frames *fs, uint32_t f)
{
	struct segment seg;
	uint32_t i;
	return !place(fs, f, &seg, &i) || !is_changed(&seg, i) || changed_bit(seg.changed_bits, i);
}

void changed_see_to(const struct frames *fs, uint32_t f)
{
	struct segment seg;
	uint32_t i;
	if (place(fs, f, &seg, &i) && is_changed(&seg, i))
		changed_note(seg.changed_bits, i);
}

void changed_recover_sweep(const struct frames *fs)
{
	uint32_t here = (uint32_t)atomic_load(&fs->state->sweeping), i;
	struct segment seg;
	if (!here)
		return;
	if (place(fs, here - 1, &seg, &i))
		atomic_store(&seg.changed_bits[i / CHANGED_STRETCH], ~(uint64_t)0);
	sweep_at(fs, 0);
}
