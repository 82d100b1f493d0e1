/* frame.c - see frame.h. */
#include "core/frame.h"

#include "os/map.h"

/* Segment 1 has a sixteenth of the capacity, within these bounds. */
#define UNIT_SHARE 16u
#define UNIT_MIN   8u
#define UNIT_MAX   1024u

/* Memory of a shared pool's pages is allocated by so much at a time, so that the system call's cost matters little. */
#define COMMIT_BYTES ((size_t)1 << 20)
/* ... and for no more frames at a time: if memory ends then, the frames that have some would overfill the table. */
#define COMMIT_FRAMES 4096u
/*
 * From HUGE_SEGMENT on, pages are in the kernel's huge pages: otherwise a get of one of
 * many pages misses the TLB.  Frames are used in order, so at most one huge page is
 * allocated needlessly.
 */
#define HUGE_PAGE    ((size_t)2 << 20)
#define HUGE_SEGMENT (8 * HUGE_PAGE)

#if MPOOL_CHECK
/* ---- the word's table, as frame.h has it --------------------------------- */

enum step_owner { OWNER_ANY, OWNER_ACTS, OWNER_CLAIMS, OWNER_HANDS, OWNER_DROPS };
#define FRAME_FLAGS (FRAME_OWNER ^ ~0u)

/* From a word with all of `needs` and none of `lacks`, `off` goes, then `on` comes. */
static const struct frame_step {
	uint32_t needs, lacks, off, on;
	enum step_owner owner;
} frame_steps[] = {
	/* free -> claimed */
	{FRAME_FREE, FRAME_FLAGS, 0, FRAME_USED, OWNER_CLAIMS},
	/* used, unclaimed -> claimed */
	{FRAME_USED, FRAME_WRITING, 0, 0, OWNER_CLAIMS},
	/* claimed -> claimed by another */
	{FRAME_USED, FRAME_WRITING | FRAME_DIRTY, 0, 0, OWNER_HANDS},
	/* claimed -> used, unclaimed; free; emptied, and claimed still */
	{FRAME_USED, FRAME_WRITING, 0, 0, OWNER_DROPS},
	{FRAME_USED, FRAME_WRITING, FRAME_FLAGS, FRAME_FREE, OWNER_DROPS},
	{FRAME_USED, FRAME_WRITING | FRAME_DIRTY, FRAME_FLAGS, FRAME_USED, OWNER_ACTS},
	/* dirty on, by a put */
	{FRAME_USED, FRAME_DIRTY, 0, FRAME_DIRTY, OWNER_ANY},
	/* dirty off and writing on, in one; or writing on, the page being pinned */
	{FRAME_USED | FRAME_DIRTY, FRAME_WRITING, FRAME_DIRTY, FRAME_WRITING, OWNER_ACTS},
	{FRAME_USED | FRAME_DIRTY, FRAME_WRITING, 0, FRAME_WRITING | FRAME_WRITTEN_PINNED, OWNER_ACTS},
	/* written unpinned, in either turn; the same, pinned; not written */
	{FRAME_USED | FRAME_WRITING, 0, FRAME_WRITING | FRAME_WRITTEN_PINNED, FRAME_UNSYNCED(0), OWNER_ACTS},
	{FRAME_USED | FRAME_WRITING, 0, FRAME_WRITING | FRAME_WRITTEN_PINNED, FRAME_UNSYNCED(1), OWNER_ACTS},
	{FRAME_USED | FRAME_WRITING | FRAME_DIRTY, 0, FRAME_WRITING, FRAME_UNSYNCED(0), OWNER_ACTS},
	{FRAME_USED | FRAME_WRITING | FRAME_DIRTY, 0, FRAME_WRITING, FRAME_UNSYNCED(1), OWNER_ACTS},
	{FRAME_USED | FRAME_WRITING, 0, FRAME_WRITING, FRAME_DIRTY, OWNER_ACTS},
	/* ... nor was it ever while it was pinned */
	{FRAME_USED | FRAME_WRITING | FRAME_DIRTY, 0, FRAME_WRITING | FRAME_WRITTEN_PINNED, FRAME_DIRTY, OWNER_ACTS},
	/* an fsync succeeds, of either turn; fails, before or after the write was noted */
	{FRAME_USED | FRAME_UNSYNCED(0), 0, FRAME_UNSYNCED(0), 0, OWNER_ANY},
	{FRAME_USED | FRAME_UNSYNCED(1), 0, FRAME_UNSYNCED(1), 0, OWNER_ANY},
	{FRAME_USED | FRAME_UNSYNCED(0), 0, FRAME_UNSYNCED_ANY, FRAME_DIRTY, OWNER_ANY},
	{FRAME_USED | FRAME_UNSYNCED(1), 0, FRAME_UNSYNCED_ANY, FRAME_DIRTY, OWNER_ANY},
	{FRAME_USED | FRAME_WRITING, 0, FRAME_UNSYNCED_ANY, FRAME_DIRTY, OWNER_ANY},
	/* abandoned, on and off */
	{FRAME_USED, FRAME_ABANDONED, 0, FRAME_ABANDONED, OWNER_ANY},
	{FRAME_USED | FRAME_ABANDONED, 0, FRAME_ABANDONED, 0, OWNER_ANY},
	/* the claim of one that is gone, which was writing */
	{FRAME_USED | FRAME_WRITING, 0, FRAME_WRITING, FRAME_DIRTY, OWNER_DROPS},
};

/* Who acts, as the owner of a claim; `otherwise`: that is not known. */
static uint32_t acting_owner(uint32_t otherwise)
{
	return check_actor ? check_actor << FRAME_OWNER_SHIFT : otherwise;
}

static bool owner_steps(const struct frame_step *s, uint32_t from, uint32_t to)
{
	uint32_t acts = acting_owner(from | to);
	switch (s->owner) {
	case OWNER_ANY:
		return from == to;
	case OWNER_ACTS:
		return from == to && from == acts && from;
	case OWNER_CLAIMS:
		return !from && to == acts && to;
	case OWNER_HANDS:
		return (check_actor == 0 || from == acts) && from && to;
	default:
		return from == acts && from && !to;
	}
}

const char *frame_step_wrong(uint32_t from, uint32_t to)
{
	bool flags = from == to, owner = false;
	for (size_t i = 0; i < sizeof frame_steps / sizeof *frame_steps && from != to; i++) {
		const struct frame_step *s = &frame_steps[i];
		if ((from & s->needs) != s->needs || (from & s->lacks) ||
		    (to & FRAME_FLAGS) != (((from & FRAME_FLAGS) & ~s->off) | s->on))
			continue;
		flags = true;
		owner |= owner_steps(s, from & FRAME_OWNER, to & FRAME_OWNER);
	}
	return !flags                 ? "a frame's word makes a step that its table does not have"
	       : !owner && from != to ? "a frame's word is changed by one that does not hold its claim"
	                              : NULL;
}

const char *frame_hold_wrong(uint32_t word, uint32_t in_frame, uint32_t page)
{
	if (!frame_claimed(word) || (word & FRAME_OWNER) != acting_owner(word & FRAME_OWNER))
		return "the entry of a page in memory is changed by one that does not hold its frame's claim";
	return in_frame == page ? NULL : "the entry of a page is changed, and its frame has another";
}
#endif

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint64_t stride_of(uint32_t pagesize)
{
	return round_up(pagesize, PAGE_ALIGN);
}

static uint64_t bits_bytes(uint32_t frames)
{
	return round_up(frames, BITS_PER_WORD) / BITS_PER_WORD * sizeof(uint64_t);
}

/* A bit for each line of words. */
static uint64_t changed_bytes(uint32_t frames)
{
	return bits_bytes((uint32_t)(round_up(frames, FRAMES_PER_LINE) / FRAMES_PER_LINE));
}

/* Where the parts of a segment of n frames are in its chunk; returns its bytes. */
static uint64_t segment_layout(const struct frames *fs, void *chunk, uint32_t n, struct segment *seg)
{
	uint64_t pages = round_up(n * fs->stride, CACHE_LINE);
	uint64_t frame = round_up((uint64_t)n * sizeof(struct frame), CACHE_LINE);
	uint64_t bits = bits_bytes(n), changed = changed_bytes(n);
	/* A number: there is no chunk when only the size is asked for, which may be more than there are addresses. */
	uintptr_t at = (uintptr_t)chunk;
	seg->pages = chunk;
	seg->frame = (struct frame *)(at + (uintptr_t)pages);
	seg->free_bits = (_Atomic uint64_t *)(at + (uintptr_t)(pages + frame));
	seg->changed_bits = (_Atomic uint64_t *)(at + (uintptr_t)(pages + frame + bits));
	seg->mark = (_Atomic uint8_t *)(at + (uintptr_t)(pages + frame + bits + changed));
	seg->count = n;
	return pages + frame + bits + changed + n;
}

/* ... and of segment 0, which has more. */
static uint64_t base_layout(const struct frames *fs, void *chunk, uint32_t n, struct segment *seg)
{
	uint64_t at = round_up(segment_layout(fs, chunk, n, seg), CACHE_LINE);
	uintptr_t from = (uintptr_t)chunk + (uintptr_t)at;
	uintptr_t bits = (uintptr_t)round_up(bits_bytes(n), CACHE_LINE);
	uintptr_t words = (uintptr_t)round_up((uint64_t)n * sizeof(uint32_t), CACHE_LINE);
	seg->hot_bits = (_Atomic uint64_t *)from;
	seg->once_bits = (_Atomic uint64_t *)(from + bits);
	seg->past = (_Atomic uint32_t *)(from + 2 * bits);
	seg->ghost = (_Atomic uint32_t *)(from + 2 * bits + words);
	seg->ghost_tag = (_Atomic uint16_t *)(from + 2 * bits + 2 * words);
	return at + 2 * (uint64_t)bits + 2 * (uint64_t)words + (uint64_t)n * sizeof(uint16_t);
}

static uint64_t base_bytes(const struct frames *fs, uint32_t n)
{
	struct segment unused;
	return base_layout(fs, NULL, n, &unused);
}

static uint64_t segment_bytes(const struct frames *fs, uint32_t n)
{
	struct segment unused;
	return segment_layout(fs, NULL, n, &unused);
}

/* The inverse of an odd number modulo 2^64: Newton's iteration. */
static uint64_t inverse_of(uint64_t odd)
{
	uint64_t x = odd; /* right in the lowest 3 bits; each round doubles that */
	for (int bits = 3; bits < 64; bits *= 2)
		x *= 2 - odd * x;
	return x;
}

static void frames_measure(struct frames *fs, struct region *r, struct frame_state *st, uint32_t pagesize)
{
	fs->region = r;
	fs->state = st;
	fs->stride = stride_of(pagesize);
	fs->twos = (unsigned)__builtin_ctzll(fs->stride);
	fs->inverse = inverse_of(fs->stride >> fs->twos);
}

uint32_t frames_unit(uint32_t frames)
{
	uint32_t unit = UNIT_MIN;
	while (unit < UNIT_MAX && unit < frames / UNIT_SHARE)
		unit *= 2;
	return unit;
}

int frames_init(struct frames *fs, struct region *r, struct frame_state *st, uint32_t pagesize, uint32_t frames,
                size_t page_align)
{
	frames_measure(fs, r, st, pagesize);
	fs->page_align = page_align;
	/* The overflow segments, each twice the one before, take half of the frame numbers. */
	if (frames > FRAMES_MAX / 2)
		frames = FRAMES_MAX / 2;
	uint64_t bytes = base_bytes(fs, frames);
	bool huge = bytes >= HUGE_SEGMENT;
	/* The pages need not be zero: each is filled before it is published. */
	void *chunk = region_alloc_raw(r, CHUNK_SEGMENTS, bytes, huge ? HUGE_PAGE : page_align,
	                               (size_t)(frames * fs->stride));
	if (!chunk)
		return -1;
	if (huge)
		map_huge(chunk, bytes / HUGE_PAGE * HUGE_PAGE);
	base_layout(fs, chunk, frames, &fs->base);
	fs->base.first = 0;
	region_add(r, CHUNK_SEGMENTS, chunk, bytes);
	fs->unit = frames_unit(frames);
	atomic_store(&st->capacity, frames);
	atomic_store(&st->asked, frames);
	return 0;
}

/* ---- segment 0 of a shared pool ----------------------------------------- */

uint64_t frames_bytes(uint32_t pagesize, uint32_t limit)
{
	struct frames fs = {.stride = stride_of(pagesize)};
	return base_bytes(&fs, limit);
}

void frames_share(struct frames *fs, struct region *r, struct frame_state *st, uint32_t pagesize, void *chunk,
                  uint32_t limit, uint32_t unit)
{
	frames_measure(fs, r, st, pagesize);
	fs->page_align = CACHE_LINE; /* a shared region's chunks begin with a page of memory anyway */
	fs->unit = unit;
	base_layout(fs, chunk, limit, &fs->base);
	fs->base.first = 0;
}

/* Is there memory behind so many frames from `first` on, from now on? */
static bool commit_range(const struct frames *fs, uint32_t first, uint32_t n)
{
	const struct segment *b = &fs->base;
	return region_commit(fs->region, &b->frame[first], n * sizeof *b->frame) &&
	       region_commit(fs->region, (const void *)(uintptr_t)&b->mark[first], n * sizeof *b->mark) &&
	       region_commit(fs->region, &b->past[first], n * sizeof *b->past) &&
	       region_commit(fs->region, frame_page_base(fs, first), n * fs->stride);
}

static bool commit_bits(const struct frames *fs, uint32_t frames)
{
	const struct segment *b = &fs->base;
	return region_commit(fs->region, b->free_bits, bits_bytes(frames)) &&
	       region_commit(fs->region, b->changed_bits, changed_bytes(frames)) &&
	       region_commit(fs->region, b->hot_bits, bits_bytes(frames)) &&
	       region_commit(fs->region, b->once_bits, bits_bytes(frames));
}

/* Frames from there on have no memory, perhaps. */
static uint32_t committed_end(uint64_t committed)
{
	return (uint32_t)committed;
}

/*
 * Frames below `end` have memory, if *was is what `committed` is still: not if some was given back since.  Sequentially
 * consistent: who gives memory back says so after that, and before anybody can claim the frames.
 */
static bool raise_committed(const struct frames *fs, uint64_t *was, uint32_t end)
{
	return atomic_compare_exchange_strong(&fs->state->committed, was, *was - committed_end(*was) + end);
}

#define GIVEN_BACK_ONCE ((uint64_t)1 << 32)

void frames_given_back(const struct frames *fs, uint32_t from)
{
	uint64_t was = atomic_load(&fs->state->committed), to;
	do {
		uint32_t end = committed_end(was);
		to = was - end + (end < from ? end : from) + GIVEN_BACK_ONCE;
	} while (!atomic_compare_exchange_weak(&fs->state->committed, &was, to));
}

/* Of frames below `end` that were used, those whose memory was given back have some. */
static bool commit_again(const struct frames *fs, uint32_t end)
{
	uint64_t was = atomic_load(&fs->state->committed);
	while (region_shared(fs->region) && committed_end(was) < end) {
		if (!commit_range(fs, committed_end(was), end - committed_end(was)))
			return false;
		if (raise_committed(fs, &was, end))
			break;
	}
	return true;
}

bool frames_grow(const struct frames *fs, uint32_t frames)
{
	uint32_t used = frames_used(fs);
	if (frames > fs->base.count || !commit_bits(fs, frames) || !commit_again(fs, used < frames ? used : frames))
		return false;
	/* Release: who sees the capacity finds memory there. */
	atomic_store(&fs->state->capacity, frames);
	return true;
}

void frames_ask(const struct frames *fs, uint32_t frames)
{
	if (atomic_load(&fs->state->asked) < frames)
		atomic_store(&fs->state->asked, frames);
}

/* Allocate memory for frame f, and for some after it that are below `limit`; false: there is none. */
static bool commit(const struct frames *fs, uint32_t f, uint32_t limit)
{
	uint64_t was = atomic_load(&fs->state->committed);
	if (!region_shared(fs->region) || f < committed_end(was))
		return true;
	uint32_t n = fs->stride < COMMIT_BYTES ? (uint32_t)(COMMIT_BYTES / fs->stride) : 1;
	n = n < COMMIT_FRAMES ? n : COMMIT_FRAMES;
	n = n < limit - f ? n : limit - f;
	/* If there is not enough for all of them, there may be for f alone. */
	if (!commit_range(fs, f, n) && !commit_range(fs, f, n = 1))
		return false;
	/* Of two threads one says so: then some is committed again.  Nor does who leaves a gap. */
	if (f == committed_end(was))
		(void)raise_committed(fs, &was, f + n);
	return true;
}

bool frame_memory(const struct frames *fs, uint32_t frame)
{
	/* Sequentially consistent, after the claim: pairs with frames_give_back. */
	return !region_shared(fs->region) || frame >= fs->base.count ||
	       frame < committed_end(atomic_load(&fs->state->committed)) || commit_range(fs, frame, 1);
}

/* ---- frames that were never used ---------------------------------------- */

uint32_t frame_take_fresh(const struct frames *fs, uint32_t limit, uint32_t me)
{
	_Atomic uint32_t *fresh = &fs->state->fresh;
	uint32_t f = atomic_load_explicit(fresh, memory_order_relaxed);
	while (f < limit && commit(fs, f, limit)) {
		if (!atomic_compare_exchange_weak(fresh, &f, f + 1))
			continue;
		if (frame_take(&fs->base.frame[f], me))
			return f;
		f = atomic_load_explicit(fresh, memory_order_relaxed);
	}
	return FRAME_NONE;
}

/* ---- the tail ------------------------------------------------------------ */

void frames_limit(const struct frames *fs, uint32_t frames)
{
	/* Sequentially consistent, before anybody looks for frames behind it: pairs with handed_out. */
	atomic_store(&fs->state->capacity, frames);
}

bool frames_tail(const struct frames *fs, uint32_t *from, uint32_t *end)
{
	*from = frames_capacity(fs);
	*end = frames_used(fs);
	return *from < *end;
}

bool frames_give_back(const struct frames *fs, uint32_t from, uint32_t end, bool keep)
{
	struct frame_state *st = fs->state;
	uint32_t was = end;
	/* Before fewer are used: whoever is recovered may have some of them claimed. */
	if (atomic_load(&st->known) < end)
		atomic_store(&st->known, end);
	/* Unless somebody has the next one, who looked at the shards before they were cut. */
	if (!atomic_compare_exchange_strong(&st->fresh, &was, from))
		return false;
	if (keep)
		return true;
	region_discard(fs->region, frame_page_base(fs, from), (size_t)((end - from) * fs->stride));
	/* After it, and before they are let go of: pairs with frame_memory. */
	if (region_shared(fs->region))
		frames_given_back(fs, from);
	return true;
}

void frames_use(const struct frames *fs, uint32_t frame)
{
	uint32_t used = frames_used(fs);
	while (used <= frame && !atomic_compare_exchange_weak(&fs->state->fresh, &used, frame + 1))
		;
}

void frames_each(const struct frames *fs, frame_seen *see, void *to)
{
	for (uint32_t f = 0, end = frames_known(fs); f < end; f++)
		see(to, f, &fs->base.frame[f]);
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++) {
		struct segment seg;
		if (frame_segment(fs, k, &seg))
			for (uint32_t i = 0; i < seg.count; i++)
				see(to, seg.first + i, &seg.frame[i]);
	}
}

void frame_touch_held(const struct frames *fs, uint32_t f)
{
	if (f >= fs->base.count || !frame_bit(fs->base.once_bits, f))
		frame_touch(fs, f);
}

/* ---- the overflow ------------------------------------------------------- */

uint64_t frame_segment_count(const struct frames *fs, unsigned k)
{
	return (uint64_t)fs->unit << (k - 1);
}

uint64_t frame_segment_first(const struct frames *fs, unsigned k)
{
	return fs->base.count + frame_segment_count(fs, k) - fs->unit;
}

bool frame_segment(const struct frames *fs, unsigned k, struct segment *seg)
{
	void *chunk = region_live(fs->region, CHUNK_SEGMENTS + k);
	if (!chunk)
		return false;
	segment_layout(fs, chunk, (uint32_t)frame_segment_count(fs, k), seg);
	seg->first = (uint32_t)frame_segment_first(fs, k);
	return true;
}

bool frames_sound(const struct frames *fs)
{
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++)
		if (region_at(fs->region, CHUNK_SEGMENTS + k) &&
		    (frame_segment_first(fs, k) + frame_segment_count(fs, k) > FRAMES_MAX ||
		     atomic_load(&fs->region->state->bytes[CHUNK_SEGMENTS + k]) !=
		             segment_bytes(fs, (uint32_t)frame_segment_count(fs, k))))
			return false;
	uint32_t limit = fs->base.count;
	return !region_at(fs->region, CHUNK_SEGMENTS) && frames_known(fs) <= limit &&
	       committed_end(atomic_load(&fs->state->committed)) <= limit && atomic_load(&fs->state->asked) <= limit;
}

int segment_make(const struct frames *fs, unsigned k)
{
	uint64_t n = frame_segment_count(fs, k);
	if (frame_segment_first(fs, k) + n > FRAMES_MAX)
		return -1;
	uint64_t bytes = segment_bytes(fs, (uint32_t)n);
	void *chunk = region_alloc(fs->region, CHUNK_SEGMENTS + k, bytes, fs->page_align);
	if (!chunk)
		return -1;
	if (region_add(fs->region, CHUNK_SEGMENTS + k, chunk, bytes))
		return 1;
	region_free(fs->region, CHUNK_SEGMENTS + k, chunk, bytes);
	return 0;
}

uint32_t frames_end(const struct frames *fs, uint32_t capacity)
{
	struct segment seg;
	for (unsigned k = SEGMENT_CHUNKS - 1; k > 0; k--)
		if (frame_segment(fs, k, &seg))
			return frame_rank(fs, capacity, seg.first + seg.count);
	return capacity;
}

/* The segment that frame f >= base.count belongs to. */
unsigned frame_segment_of(const struct frames *fs, uint32_t f)
{
	return 32 - (unsigned)__builtin_clz((f - fs->base.count) / fs->unit + 1);
}

struct frame *frame_of_overflow(const struct frames *fs, uint32_t f, _Atomic uint8_t **mark, char **page)
{
	unsigned k = frame_segment_of(fs, f);
	struct segment seg;
	/* A retired segment too: a caller in an epoch section may still use it. */
	segment_layout(fs, region_at(fs->region, CHUNK_SEGMENTS + k), (uint32_t)frame_segment_count(fs, k), &seg);
	uint32_t i = f - (uint32_t)frame_segment_first(fs, k);
	if (mark)
		*mark = &seg.mark[i];
	if (page)
		*page = seg.pages + i * fs->stride;
	return &seg.frame[i];
}

struct frame *frame_live_overflow(const struct frames *fs, uint32_t f)
{
	struct segment seg;
	return frame_segment(fs, frame_segment_of(fs, f), &seg) ? &seg.frame[f - seg.first] : NULL;
}

uint32_t frame_at_overflow(const struct frames *fs, const void *page)
{
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++) {
		struct segment seg;
		if (!frame_segment(fs, k, &seg))
			continue;
		uint64_t q = frame_quotient(fs, seg.pages, page);
		if (q < seg.count)
			return seg.first + (uint32_t)q;
	}
	return FRAME_NONE;
}
