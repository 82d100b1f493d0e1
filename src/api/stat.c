/* stat.c - mpool_stats and mpool_stat; see stat.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "api/call.h"
#include "api/stat.h"
#include "core/latch.h"
#include "io/engine.h"
#include "os/print.h"

struct frame_count {
	struct mpool_stats *stats;
	struct io *of; /* that file's; NULL: all */
	const struct frames *frames;
	uint64_t unused; /* that were brought in ahead of need */
};

/* Has the frame a page of that file?  NULL: of any. */
static bool has(struct io *of, const struct frame *fr)
{
	return !of || extent_is_of(of, atomic_load_explicit(&fr->page, memory_order_relaxed));
}

static void count_frame(void *count, uint32_t frame, struct frame *fr)
{
	struct frame_count *c = count;
	struct mpool_stats *st = c->stats;
	uint32_t word = atomic_load_explicit(&fr->word, memory_order_relaxed);
	if (!has(c->of, fr))
		return;
	st->cached += word != FRAME_FREE;
	st->overflow += word != FRAME_FREE && frame >= frames_capacity(c->frames);
	c->unused += word != FRAME_FREE && frame < c->frames->base.count &&
	             atomic_load_explicit(&c->frames->base.mark[frame], memory_order_relaxed) == MARK_AHEAD;
	st->dirty += (word & (FRAME_DIRTY | FRAME_WRITING)) != 0;
}

/* The frames of all slots, several pins of one frame included. */
struct pinned_frames {
	uint32_t *frame;
	size_t n, room;
};

static void count_slot(void *pinned, const struct stripe *s, uint64_t slot)
{
	(void)s;
	(void)slot;
	((struct pinned_frames *)pinned)->room++;
}

static void note_slot(void *pinned, const struct stripe *s, uint64_t slot)
{
	struct pinned_frames *p = pinned;
	(void)s;
	if (slot_pins(slot, slot_frame(slot)) && p->n < p->room)
		p->frame[p->n++] = slot_frame(slot);
}

static int by_frame(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static bool has_pinned(MPOOL *mp, struct io *of, uint32_t frame)
{
	const struct frame *fr = frame_live(&mp->core.frames, frame);
	return fr && has(of, fr);
}

/* In an epoch section, if it is of one file. */
static int pinned_of(MPOOL *mp, struct io *of, uint64_t *pinned)
{
	struct pinned_frames p = {0};
	*pinned = 0;
	pin_scan(&mp->core.pins, count_slot, &p);
	if (p.room == 0)
		return 0;
	p.frame = malloc(p.room * sizeof *p.frame);
	if (!p.frame)
		return -1;
	pin_scan(&mp->core.pins, note_slot, &p);
	qsort(p.frame, p.n, sizeof *p.frame, by_frame);
	for (size_t i = 0; i < p.n; i++)
		*pinned += (i == 0 || p.frame[i] != p.frame[i - 1]) && (!of || has_pinned(mp, of, p.frame[i]));
	free(p.frame);
	return 0;
}

int stat_pinned(MPOOL *mp, uint64_t *pinned)
{
	return pinned_of(mp, NULL, pinned);
}

/* Bytes a frame takes beside its page: word and number, mark, a bit of hints. */
static uint64_t frame_bytes(uint64_t frames)
{
	return frames * (sizeof(struct frame) + sizeof(uint8_t)) + frames / 8 + frames / (8 * FRAMES_PER_LINE);
}

/* ... and one of segment 0 besides: past, ghost and its tag, a bit for hot and one for once. */
static uint64_t policy_bytes(uint64_t frames)
{
	return frames * (2 * sizeof(uint32_t) + sizeof(uint16_t)) + frames / 4;
}

static uint64_t metadata_bytes(MPOOL *mp)
{
	uint64_t capacity = frames_capacity(&mp->core.frames), frames = capacity;
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++) {
		struct segment seg;
		if (frame_segment(&mp->core.frames, k, &seg))
			frames += seg.count;
	}
	return frame_bytes(frames) + policy_bytes(capacity) + table_bytes(&mp->core.tables) + latches_bytes(&mp->core);
}

void stat_counts(MPOOL *mp, struct mpool_stats *s)
{
	s->hits = pin_counter(&mp->core.pins, COUNT_HITS);
	s->misses = pin_counter(&mp->core.pins, COUNT_MISSES);
	s->reads = pin_counter(&mp->core.pins, COUNT_READS);
	s->writes = pin_counter(&mp->core.pins, COUNT_WRITES);
	s->evictions = pin_counter(&mp->core.pins, COUNT_EVICTIONS);
	s->rescues = pin_counter(&mp->core.pins, COUNT_RESCUES);
	struct frame_count count = {s, NULL, &mp->core.frames, 0};
	frames_each(&mp->core.frames, count_frame, &count);
	ahead_counts(&mp->evict, &s->ahead, &s->ahead_wasted);
	/* A page may be there before it is counted. */
	uint64_t not_used = s->ahead_wasted + count.unused;
	s->ahead_used = s->ahead > not_used ? s->ahead - not_used : 0;
	const struct engine *e = atomic_load(&mp->io.engine);
	s->engine = e ? engine_kind(e) : 0;
	s->engine_errno = e ? (uint64_t)atomic_load(&e->refused) : 0;
	s->cleaned = atomic_load_explicit(&mp->evict.clock->cleaned, memory_order_relaxed);
	s->write_waits = atomic_load_explicit(&mp->evict.clock->waits, memory_order_relaxed);
	s->write_errno = (uint64_t)pageio_failure(&mp->io.file);
	s->forgotten = atomic_load_explicit(&mp->evict.clock->forgotten, memory_order_relaxed);
	s->pages = pageio_pages(&mp->io.file);
	s->maxcache = frames_capacity(&mp->core.frames);
	s->pagesize = mp->io.file.pagesize;
	s->device = mp->io.file.device;
	s->inode = mp->io.file.inode;
	s->processes = member_count(mp->core.members);
	s->deaths = member_deaths(mp->core.members);
}

/* Of an attached file.  In an epoch section. */
static void count_file(MPOOL *mp, struct io *io, struct mpool_stats *s)
{
	struct frame_count count = {s, io, &mp->core.frames, 0};
	frames_each(&mp->core.frames, count_frame, &count);
	s->misses = atomic_load_explicit(&io->counts[IO_MISSES], memory_order_relaxed);
	s->reads = atomic_load_explicit(&io->counts[IO_READS], memory_order_relaxed);
	s->writes = atomic_load_explicit(&io->counts[IO_WRITES], memory_order_relaxed);
	s->evictions = atomic_load_explicit(&io->counts[IO_EVICTIONS], memory_order_relaxed);
	s->write_errno = (uint64_t)pageio_failure(&io->file);
	s->pages = pageio_pages(&io->file);
	s->maxcache = frames_capacity(&mp->core.frames);
	s->pagesize = io->file.pagesize;
	s->device = io->file.device;
	s->inode = io->file.inode;
	s->processes = io->slot ? file_holders(io->slot) : 1;
}

/* 0, or -1 and errno. */
static int collect(MPOOL *mp, struct mpool_stats *s)
{
	struct io *io = handle_io(mp);
	mp = handle_pool(mp);
	CALL(mp, a);
	*s = (struct mpool_stats){0};
	if (!a)
		return -1;
	epoch_enter(&mp->core.epoch, a->stripe);
	int error = pinned_of(mp, io == &mp->io ? NULL : io, &s->pinned);
	if (io != &mp->io) {
		count_file(mp, io, s);
	} else {
		stat_counts(mp, s);
		s->metadata = metadata_bytes(mp);
	}
	epoch_leave(a->stripe);
	return error;
}

PUBLIC int mpool_stats(MPOOL *mp, struct mpool_stats *st, size_t size)
{
	struct mpool_stats s;
	if (collect(mp, &s) != 0)
		return -1;
	memset(st, 0, size);
	memcpy(st, &s, size < sizeof s ? size : sizeof s);
	return 0;
}

PUBLIC void mpool_stat(MPOOL *mp)
{
	NO_CANCELLATION;
	struct mpool_stats s;
	if (collect(mp, &s) != 0) {
		print_error("mpool_stat");
		return;
	}
	uint64_t gets = s.hits + s.misses;
	print_text("%" PRIu64 " pages in the file, of %" PRIu64 " bytes; device %u:%u, inode %" PRIu64 "\n"
	           "%" PRIu64 " pages in memory, of at most %" PRIu64 " (%" PRIu64 " beyond it); %" PRIu64
	           " modified, %" PRIu64 " pinned\n"
	           "%" PRIu64 " hits, %" PRIu64 " misses (%.2f%% hits), %" PRIu64 " page reads, %" PRIu64
	           " page writes\n"
	           "%" PRIu64 " evictions, %" PRIu64 " called off by a get in time\n"
	           "%" PRIu64 " bytes of bookkeeping\n",
	           s.pages, s.pagesize, major(s.device), minor(s.device), s.inode, s.cached, s.maxcache, s.overflow,
	           s.dirty, s.pinned, s.hits, s.misses, gets ? 100.0 * (double)s.hits / (double)gets : 0.0, s.reads,
	           s.writes, s.evictions, s.rescues, s.metadata);
}
