/*
 * mpool.c - the public calls, composed of the rooms.
 *
 * Owns no state.  Every call is a fast path that needs the calling thread's
 * stripe and nothing else of its own, and a slow path that may do everything.
 * None calls another by its public name, which may be somebody else's in a program.
 * mpool.h says what the calls promise, README.md in this folder how.
 */
#include "mpool.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/fork.h"
#include "api/pool.h"
#include "share/recover.h"
#include "core/resize.h"
#include "core/tsan.h"
#include "io/writeback.h"

#undef mpool_open
#undef mpool_new
#define PUBLIC __attribute__((visibility("default")))

/* ---- open and close ----------------------------------------------------- */

void pool_rooms(MPOOL *mp, struct header *h, enum barrier barrier, unsigned member)
{
	mp->header = h;
	mp->members = &h->members;
	mp->doubt = &h->doubt;
	mp->barrier = barrier;
	mp->pins = (struct pins){&mp->region, &h->pin, barrier == BARRIER_FENCE ? PUTS_LOCKED : PUTS_PLAIN, member};
	mp->epoch = (struct epoch){&mp->region, &mp->pins, &h->epoch, barrier};
	mp->tables = (struct tables){NULL, &mp->region, &h->table};
}

void pool_fence(MPOOL *mp)
{
	mp->barrier = mp->epoch.barrier = BARRIER_FENCE;
	atomic_store(&mp->pins.puts, PUTS_LOCKED);
}

/*
 * A private pool's header has the shards there are; then comes the state of its one
 * member, then that of pages in doubt, of which a small pool has few.
 */
#define WHOLE_LINES(bytes) (((bytes) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE)
struct private_header {
	size_t members, doubt, bytes; /* where they are; all of it */
	uint32_t doubt_buckets;
};

static struct private_header measure_header(uint32_t frames)
{
	struct private_header h;
	h.members = offsetof(struct header, clock.shard) + clock_shards(frames) * sizeof(struct shard);
	h.doubt = h.members + WHOLE_LINES(offsetof(struct member_state, member) + sizeof(struct member));
	h.doubt_buckets = frames / DOUBT_PLACES < DOUBT_BUCKETS ? frames / DOUBT_PLACES + 1 : DOUBT_BUCKETS;
	h.bytes = h.doubt + offsetof(struct doubt_state, page) + h.doubt_buckets * sizeof(((struct doubt_state *)0)->page[0]);
	return h;
}

/* What it takes to open a private pool comes from one block; the pages too if they are few. */
static void begin_block(MPOOL *mp, size_t header, uint32_t pages, uint32_t frames)
{
	size_t table = table_bytes_for(resize_first(frames, pages));
	size_t bytes = header + pin_first_bytes() + table + 2 * sizeof(struct stripe) + CACHE_LINE;
	uint64_t segment = frames_bytes(mp->io.pagesize, frames) + mp->io.align;
	mem_block_begins(&mp->region.mem, bytes + segment <= MEM_BLOCK_MAX ? bytes + segment : bytes);
}

/* A pool of this process's own.  0, or an errno. */
static int open_private(MPOOL *mp, int fd, uint32_t pagesize, uint32_t maxcache)
{
	uint32_t pages, frames = maxcache ? maxcache : 1;
	bool tail;
	if (pageio_open(&mp->io, fd, pagesize, &pages, &tail) != 0)
		return errno;
	struct private_header at = measure_header(frames);
	begin_block(mp, at.bytes, pages, frames);
	struct header *h = region_alloc(&mp->region, CHUNK_HEADER, at.bytes, CACHE_LINE);
	if (!h)
		return ENOMEM;
	region_add(&mp->region, CHUNK_HEADER, h, at.bytes);
	pool_rooms(mp, h, barrier_available(BARRIER_PROCESS) ? BARRIER_PROCESS : BARRIER_FENCE, 0);
	mp->members = (struct member_state *)(void *)((char *)h + at.members);
	mp->doubt = (struct doubt_state *)(void *)((char *)h + at.doubt);
	mp->doubt->buckets = at.doubt_buckets;
	/* The pages last: they are the least likely to fit, and what they begin with leaves a gap. */
	if (!pin_make(&mp->pins, 1) || table_init(&mp->tables, 0, resize_first(frames, pages)) != 0 ||
	    frames_init(&mp->frames, &mp->region, &h->frame, pagesize, frames, mp->io.align) != 0)
		return ENOMEM;
	mem_block_ends(&mp->region.mem);
	epoch_init(&h->epoch);
	frames = frames_capacity(&mp->frames);
	clock_init(&h->clock, frames);
	atomic_store(&mp->members->top, 1);
	atomic_store(&mp->members->member[0].state, MEMBER_IN);
	mp->region.making = mp->members->member[0].making;
	pageio_init(&mp->io, &h->pageio, pages, tail);
	return 0;
}

/* `key`: at NULL: the pool is private. */
static MPOOL *open_pool(struct share_key key, int fd, pgno_t pagesize, pgno_t maxcache)
{
	NO_CANCELLATION;
	if (fork_error()) {
		errno = ENOMEM;
		return NULL;
	}
	MPOOL *mp = aligned_alloc(_Alignof(MPOOL), sizeof *mp);
	if (!mp)
		return NULL;
	memset(mp, 0, sizeof *mp);
	if (!thread_pool_opened(mp)) {
		free(mp);
		errno = ENOMEM;
		return NULL;
	}
	region_init(&mp->region);
	pageio_none(&mp->io);
	int error = key.at ? share_open(mp, key, fd, pagesize, maxcache) : open_private(mp, fd, pagesize, maxcache);
	if (error) {
		thread_pool_closed(mp);
		region_fini(&mp->region);
		free(mp);
		errno = error;
		return NULL;
	}
	return mp;
}

PUBLIC MPOOL *mpool_open(void *key, int fd, pgno_t pagesize, pgno_t maxcache)
{
	/* One that is too long need not be looked at to its end. */
	return open_pool((struct share_key){key, key ? strnlen(key, MPOOL_KEY_MAX + 1) : 0}, fd, pagesize, maxcache);
}

PUBLIC MPOOL *mpool_open_key(const void *key, size_t keylen, int fd, pgno_t pagesize, pgno_t maxcache)
{
	if (key)
		return open_pool((struct share_key){key, keylen}, fd, pagesize, maxcache);
	errno = EINVAL;
	return NULL;
}

PUBLIC int mpool_close(MPOOL *mp)
{
	NO_CANCELLATION;
	bool parents = thread_is_parents(mp);
	thread_pool_closed(mp);
	if (region_shared(&mp->region))
		share_close(mp, parents);
	else
		pageio_close(&mp->io, false);
	for (unsigned i = 0; i < SPARES; i++)
		if (mp->spare[i])
			mem_free(&mp->region.mem, mp->spare[i]);
	region_fini(&mp->region);
	free(mp);
	return 0;
}

PUBLIC void mpool_filter(MPOOL *mp, mpool_filter_t *pgin, mpool_filter_t *pgout, void *pgcookie)
{
	mp->io.pgin = pgin;
	mp->io.pgout = pgout;
	mp->io.cookie = pgcookie;
}

/* ---- getting a page ----------------------------------------------------- */

/* What is wanted of a page. */
enum how {
	HOW_READ,  /* mpool_get: read it, unless it is in memory */
	HOW_NEW,   /* mpool_new: zeros, unless a get came first */
	HOW_AFRESH /* mpool_new, requested: zeros; EEXIST if it is in memory */
};

struct want {
	uint32_t page;
	enum how how;
	uint64_t as;    /* 0: a pin; SLOT_PEEK */
	bool once;      /* MPOOL_ONCE */
	uint32_t frame; /* one to load it into, claimed already; FRAME_NONE: none yet */
};

/* A pin, or peek, of the calling thread's. */
struct pinned {
	uint32_t frame; /* FRAME_NONE: not pinned */
	_Atomic uint64_t *slot;
};
static const struct pinned not_pinned = {FRAME_NONE, NULL};

/*
 * After the slot was set: is the page of `e` still in its frame?  Rescues it if
 * it is on its way out.
 */
static bool entry_holds(struct attachment *a, const struct table_ref *at, uint64_t e)
{
	uint32_t page = entry_page(e), f = entry_who(e);
	for (;;) {
		/* Acquire: pairs with table_publish: the page's bytes are there. */
		uint64_t now = atomic_load_explicit(at->word, memory_order_acquire);
		if (now == entry_word(page, ENTRY_RESIDENT, f))
			return true;
		if (now != entry_word(page, ENTRY_CLOSING, f))
			return false;
		/* Rescue: the closer's next step on the entry will fail. */
		if (table_reopen(at, page, f)) {
			stripe_count(a->stripe, COUNT_RESCUES, 1);
			return true;
		}
	}
}

/*
 * Pin the frame of `e`, which was just seen at `at`.  Not pinned: the entry has
 * changed (*error stays 0), or no memory.
 */
static struct pinned pin_entry(MPOOL *mp, struct attachment *a, const struct table_ref *at, uint64_t e, uint64_t as,
                               int *error)
{
	uint32_t f = entry_who(e);
	_Atomic uint64_t *slot = thread_slot(mp, a, f);
	if (!slot) {
		*error = ENOMEM;
		return not_pinned;
	}
	pin_try(slot, f);
	pin_show(&mp->pins, slot_stripe(slot), mp->barrier); /* pairs with barrier_heavy in window_scan */
	if (!entry_holds(a, at, e)) {
		pin_back_out(slot);
		return not_pinned;
	}
	/* A frame that the thread has pinned already is counted up there, under
	 * cover of the try: a thousand pins of one page are one slot. */
	_Atomic uint64_t *pinned = as ? NULL : thread_slot_of(a, f);
	if (pinned && pin_again(pinned, f)) {
		pin_back_out(slot);
		return (struct pinned){f, pinned};
	}
	pin_confirm(slot, f, as);
	return (struct pinned){f, slot};
}

/* Undo an insertion: the page could not be had. */
static struct pinned load_failed(MPOOL *mp, struct attachment *a, uint32_t page, const struct table_ref *at,
                                 uint32_t frame)
{
	int error = errno;
	epoch_enter(&mp->epoch, a->stripe);
	table_free(at, entry_word(page, ENTRY_LOADING, a->stripe->id));
	epoch_leave(a->stripe);
	if (frame != FRAME_NONE)
		clock_give(mp, frame);
	wait_tell(&mp->header->wait, wait_for_page(page));
	errno = error;
	return not_pinned;
}

/* Fill the frame.  1: read; 0: zeros; -1 and errno. */
static int fill(MPOOL *mp, const struct want *want, uint32_t f)
{
	char *bytes = tsan_take(&mp->region, frame_page(&mp->frames, f));
	int reads = 0;
	if (want->how == HOW_AFRESH)
		memset(bytes, 0, mp->io.pagesize);
	else
		reads = pageio_read(&mp->io, want->page, bytes, want->how == HOW_NEW);
	/* Zeros of ours have an external form only once they were written. */
	if (want->how != HOW_READ && (mp->io.pgin || mp->io.pgout))
		frame_set_dirty(frame_of(&mp->frames, f));
	return reads;
}

/* The frame's page, about to be published: is it as a process left it that died? */
static void judge(MPOOL *mp, const struct want *want, struct frame *fr)
{
	if (want->how == HOW_AFRESH)
		doubt_remove(mp->doubt, want->page);
	else if (doubt_has(mp->doubt, want->page))
		atomic_fetch_or(&fr->word, FRAME_ABANDONED);
}

/* The caller has won the insertion at `at`, and is the only loader of the page. */
static struct pinned load(MPOOL *mp, struct attachment *a, struct want *want, const struct table_ref *at)
{
	uint32_t page = want->page;
	uint32_t f = want->frame != FRAME_NONE ? want->frame : clock_take(mp, a, page);
	want->frame = FRAME_NONE; /* used up, or given back */
	if (f == FRAME_NONE)
		return load_failed(mp, a, page, at, f);
	struct frame *fr = frame_of(&mp->frames, f);
	int reads = fill(mp, want, f);
	if (reads < 0)
		return load_failed(mp, a, page, at, f);
	_Atomic uint64_t *slot = thread_slot(mp, a, f);
	if (!slot) {
		errno = ENOMEM;
		return load_failed(mp, a, page, at, f);
	}
	judge(mp, want, fr);
	atomic_store_explicit(&fr->page, page, memory_order_relaxed);
	atomic_store_explicit(frame_mark(&mp->frames, f), 0, memory_order_relaxed);
	clock_came(mp, f, page, want->once);
	/* The slot before the entry: who evicts the page must see the pin.  Trying
	 * until then: no put may take it for one. */
	pin_try(slot, f);
	pin_show(&mp->pins, slot_stripe(slot), mp->barrier);
	tsan_give(&mp->region, frame_page(&mp->frames, f)); /* another process may move the entry */
	table_publish(at, page, a->stripe->id, f);
	pin_confirm(slot, f, want->as);
	pool_unclaim(mp, f, fr);
	wait_tell(&mp->header->wait, wait_for_page(page));
	stripe_count(a->stripe, COUNT_MISSES, want->how == HOW_READ);
	stripe_count(a->stripe, COUNT_READS, (uint64_t)reads);
	return (struct pinned){f, slot};
}

/* Sleep until somebody's read of `page` has ended. */
static void wait_for_load(MPOOL *mp, struct attachment *a, uint32_t page)
{
	struct wait_queue *q = wait_queue_of(&mp->header->wait, wait_for_page(page));
	struct table_ref at;
	uint32_t count = wait_begin(q, wait_for_page(page));
	epoch_enter(&mp->epoch, a->stripe);
	bool loading = entry_state(table_find(&mp->tables, page, &at)) == ENTRY_LOADING;
	epoch_leave(a->stripe);
	if (loading && !wait_sleep(&mp->header->wait, q, count, pool_patience(mp)))
		recover_dead(mp);
}

/* One look at the table, and what follows.  Not pinned and *error 0: look again. */
static struct pinned obtain_once(MPOOL *mp, struct attachment *a, struct want *want, int *error)
{
	struct table_ref at;
	struct pinned p = not_pinned;
	uint32_t page = want->page;
	epoch_enter(&mp->epoch, a->stripe);
	uint64_t e = table_find(&mp->tables, page, &at);
	if (entry_in_memory(e) && want->how != HOW_AFRESH) {
		p = pin_entry(mp, a, &at, e, want->as, error);
		if (p.frame != FRAME_NONE)
			resize_hit(mp, a->stripe, &at, e);
		epoch_leave(a->stripe);
		if (p.frame != FRAME_NONE) {
			if (!want->once)
				frame_touch(&mp->frames, p.frame);
			stripe_count(a->stripe, COUNT_HITS, want->how == HOW_READ);
		}
		return p;
	}
	enum insertion in = entry_valid(e) ? INSERT_LOST : table_insert(&mp->tables, page, a->stripe->id, e, &at);
	if (in == INSERT_FULL && resize_grow(mp, a->stripe->id, at.table) != 0)
		*error = ENOMEM;
	epoch_leave(a->stripe);
	if (in == INSERT_WON) {
		p = load(mp, a, want, &at);
		if (p.frame == FRAME_NONE)
			*error = errno;
		resize_step(mp, a->stripe);
	} else if (entry_in_memory(e)) {
		*error = EEXIST;
	} else if (entry_valid(e)) {
		wait_for_load(mp, a, page);
	}
	return p;
}

/* Not pinned: errno tells why. */
static struct pinned obtain(MPOOL *mp, struct attachment *a, struct want want)
{
	struct pinned p;
	int error = 0;
	do
		p = obtain_once(mp, a, &want, &error);
	while (p.frame == FRAME_NONE && !error);
	if (want.frame != FRAME_NONE)
		clock_give(mp, want.frame);
	if (error)
		errno = error;
	return p;
}

/* Any get that the fast path below did not finish. */
__attribute__((noinline)) static void *get_slow(MPOOL *mp, pgno_t page, unsigned flags)
{
	CALL(mp, a);
	if (!a)
		return NULL;
	if (page >= pageio_pages(&mp->io)) {
		errno = EINVAL;
		return NULL;
	}
	bool peek = flags & MPOOL_IGNOREPIN;
	struct pinned p =
		obtain(mp, a, (struct want){page, HOW_READ, peek ? SLOT_PEEK : 0, flags & MPOOL_ONCE, FRAME_NONE});
	if (p.frame == FRAME_NONE)
		return NULL;
	if (peek)
		thread_peek(a, p.slot);
	return tsan_take(&mp->region, frame_page(&mp->frames, p.frame));
}

/*
 * The hit: three plain stores to the thread's own two lines, and no other write.
 * It takes the page at its home in the newest table, in segment 0, neither of
 * which ever goes away, so it needs no epoch section; get_slow does all else.
 */
PUBLIC void *mpool_get(MPOOL *mp, pgno_t page, unsigned int flags)
{
	struct stripe *s;
	if (unlikely(!thread_knows(mp->serial, &s) || (flags & (MPOOL_IGNOREPIN | MPOOL_ONCE))))
		return get_slow(mp, page, flags);
	_Atomic uint64_t *word = table_peek(&mp->tables, page);
	if (unlikely(!word))
		return get_slow(mp, page, flags);
	/* Acquire: pairs with table_publish: the page's bytes are there. */
	uint64_t e = atomic_load_explicit(word, memory_order_acquire);
	uint64_t f = entry_resident_frame(e, page);
	_Atomic uint64_t *slot;
	if (unlikely(f >= mp->frames.base.count || !stripe_find(s, 0, &slot)))
		return get_slow(mp, page, flags);
	pin_try(slot, f);
	barrier_light(mp->barrier); /* pairs with barrier_heavy in window_scan */
	if (unlikely(atomic_load_explicit(word, memory_order_acquire) != e || !stripe_listed(s))) {
		pin_back_out(slot);
		return get_slow(mp, page, flags);
	}
	pin_confirm(slot, f, 0);
	frame_touch_base(&mp->frames, f);
	stripe_count(s, COUNT_HITS, 1);
	return tsan_take(&mp->region, frame_page_base(&mp->frames, f));
}

/* ---- new pages ---------------------------------------------------------- */

static void *new_page(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	bool request = flags == MPOOL_PAGE_REQUEST; /* anything else: the next, as in FreeBSD */
	CALL(mp, a);
	if (!a)
		return NULL;
	if (request ? *pgnoaddr == PAGE_NONE : pageio_pages(&mp->io) == PAGE_NONE) {
		errno = request ? EINVAL : EFBIG;
		return NULL;
	}
	/* The frame first, so that no number is used up when there is none; then
	 * the number, which no other call gets from here on. */
	uint32_t f = clock_take(mp, a, request ? *pgnoaddr : pageio_pages(&mp->io));
	if (f == FRAME_NONE)
		return NULL;
	uint32_t page = pageio_extend(&mp->io, request ? *pgnoaddr : PAGE_NONE);
	if (page == PAGE_NONE) {
		clock_give(mp, f);
		errno = EFBIG;
		return NULL;
	}
	struct pinned p = obtain(mp, a, (struct want){page, request ? HOW_AFRESH : HOW_NEW, 0, false, f});
	if (p.frame == FRAME_NONE)
		return NULL;
	*pgnoaddr = page;
	return tsan_take(&mp->region, frame_page(&mp->frames, p.frame));
}

PUBLIC void *mpool_new(MPOOL *mp, pgno_t *pgnoaddr)
{
	return new_page(mp, pgnoaddr, MPOOL_PAGE_NEXT);
}

PUBLIC void *mpool_new_flags(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	return new_page(mp, pgnoaddr, flags);
}

PUBLIC void *mpool_newf(MPOOL *mp, pgno_t *pgnoaddr, unsigned int flags)
{
	return new_page(mp, pgnoaddr, flags);
}

/* ---- putting and deleting ----------------------------------------------- */

enum proof { PROOF_AGAIN, PROOF_CLAIMED, PROOF_UNPINNED };

/*
 * Is the frame unpinned?  A scan that finds no pin proves nothing, since a pin
 * can move from slot to slot behind it; a closed window in which nobody is about
 * to pin does.  Called in an epoch section, which it leaves.
 */
static enum proof prove(MPOOL *mp, struct attachment *a, uint32_t frame, struct frame *fr)
{
	struct window w;
	w.n = 0;
	bool claimed = frame_claim(fr, a->stripe->id);
	bool closed = claimed && window_add(mp, &w, frame);
	epoch_leave(a->stripe);
	if (!closed)
		return claimed ? PROOF_AGAIN : PROOF_CLAIMED;
	const struct victim *v = &w.victim[0];
	window_scan(mp, a->stripe, &w);
	bool rescued = !victim_reopen(v);
	victim_release(mp, v);
	/* What other processes have pinned is not for this one to put. */
	return v->own > 0 || rescued ? PROOF_AGAIN : PROOF_UNPINNED;
}

/*
 * A put that found no pin, of a frame somebody else has claimed: the claim may
 * be a loader's, who reads, so sleep; but a legal put finds its pin in another
 * look or two, and must not wait for a stranger.
 */
#define PUT_LOOKS 64

/* Any put that the fast path below did not finish. */
__attribute__((noinline)) static int put_slow(MPOOL *mp, const void *pgaddr, unsigned flags)
{
	CALL(mp, a);
	if (!a)
		return -1;
	for (unsigned look = 1;; look++) {
		epoch_enter(&mp->epoch, a->stripe);
		uint32_t f = frame_at(&mp->frames, pgaddr);
		struct frame *fr = f == FRAME_NONE ? NULL : frame_live(&mp->frames, f);
		if (!fr || atomic_load(&fr->word) == FRAME_FREE) {
			epoch_leave(a->stripe);
			break;
		}
		_Atomic uint64_t *slot = thread_slot_of(a, f);
		if (!slot) {
			pin_lock_puts(&mp->pins);
			slot = pin_find(&mp->pins, f);
		}
		if (!slot) {
			uint32_t page = atomic_load_explicit(&fr->page, memory_order_relaxed);
			enum proof proof = prove(mp, a, f, fr);
			if (proof == PROOF_UNPINNED)
				break;
			if (proof == PROOF_CLAIMED && look % PUT_LOOKS == 0)
				frame_wait(mp, a->stripe, f, page);
			continue;
		}
		if (flags & MPOOL_DIRTY)
			frame_set_dirty(fr);
		tsan_give(&mp->region, pgaddr);
		bool dropped = pin_drop(slot, f);
		epoch_leave(a->stripe);
		if (dropped)
			return 0;
	}
	errno = EINVAL;
	return -1;
}

PUBLIC int mpool_put(MPOOL *mp, void *pgaddr, unsigned int flags)
{
	struct stripe *s;
	if (unlikely(!thread_knows(mp->serial, &s)))
		return put_slow(mp, pgaddr, flags);
	uint64_t f = frame_quotient(&mp->frames, mp->frames.base.pages, pgaddr);
	_Atomic uint64_t *slot;
	if (unlikely(f >= mp->frames.base.count || !stripe_find(s, slot_pin(f), &slot)))
		return put_slow(mp, pgaddr, flags);
	/* Dirty before unpinned: an evictor that finds no pin must find the mark. */
	if (flags & MPOOL_DIRTY)
		frame_set_dirty(&mp->frames.base.frame[f]);
	tsan_give(&mp->region, pgaddr);
	if (likely(pin_drop_own(&mp->pins, s, slot, (uint32_t)f)))
		return 0;
	return put_slow(mp, pgaddr, flags);
}

/* The closed window of mpool_delete.  0, or an errno; EAGAIN: try again. */
static int delete_victim(MPOOL *mp, struct stripe *me, const struct victim *v)
{
	if (v->pins != 1 || v->tries + v->peeks > 0 || v->own == 0) {
		int error = v->own == 0 ? EINVAL : v->pins > 0 ? EBUSY : EAGAIN;
		if (!victim_reopen(v))
			error = EAGAIN; /* rescued: there is one pin more */
		victim_release(mp, v);
		return error;
	}
	/* What was written of the page before is as much at risk as any. */
	uint32_t word = atomic_load(&v->fr->word);
	pageio_left(&mp->io, word & FRAME_UNSYNCED(0), word & FRAME_UNSYNCED(1));
	if (word & FRAME_AS_IT_STOOD)
		victim_note_doubt(mp, v);
	tsan_give(&mp->region, frame_page(&mp->frames, v->frame));
	epoch_enter(&mp->epoch, me);
	bool freed = table_free(&v->entry, entry_word(v->page, ENTRY_CLOSING, v->frame));
	epoch_leave(me);
	if (!freed) {
		victim_release(mp, v);
		return EAGAIN;
	}
	pin_lock_puts(&mp->pins);
	_Atomic uint64_t *slot = pin_find(&mp->pins, v->frame);
	if (slot)
		pin_drop(slot, v->frame);
	clock_give(mp, v->frame);
	return 0;
}

PUBLIC int mpool_delete(MPOOL *mp, void *pgaddr)
{
	CALL(mp, a);
	if (!a)
		return -1;
	int error;
	do {
		struct window w;
		w.n = 0;
		error = EAGAIN;
		epoch_enter(&mp->epoch, a->stripe);
		uint32_t f = frame_at(&mp->frames, pgaddr);
		struct frame *fr = f == FRAME_NONE ? NULL : frame_live(&mp->frames, f);
		uint32_t word = fr ? atomic_load(&fr->word) : FRAME_FREE;
		uint32_t page = fr ? atomic_load_explicit(&fr->page, memory_order_relaxed) : PAGE_NONE;
		bool claimed = fr && frame_claim(fr, a->stripe->id);
		bool closed = claimed && window_add(mp, &w, f);
		epoch_leave(a->stripe);
		if (closed) {
			window_scan(mp, a->stripe, &w);
			/* One look may miss a get that counts up (pin_entry): its count in the one
			 * slot before, its try in the other after.  Who sees no try the first time
			 * sees the count the second time, and no get can begin in between. */
			if (w.victim[0].pins == 1 && w.victim[0].tries == 0)
				window_scan(mp, a->stripe, &w);
			error = delete_victim(mp, a->stripe, &w.victim[0]);
		} else if (word == FRAME_FREE) {
			error = EINVAL;
		} else if (!claimed) {
			frame_wait(mp, a->stripe, f, page);
		}
	} while (error == EAGAIN);
	if (!error)
		return 0;
	errno = error;
	return -1;
}

/* ---- pages of the dead -------------------------------------------------- */

/* A pinned frame's word, as it was.  The word before the list: doubt.h. */
static uint32_t forgive(MPOOL *mp, struct frame *fr)
{
	uint32_t word = atomic_fetch_and(&fr->word, ~FRAME_ABANDONED);
	doubt_remove(mp->doubt, atomic_load_explicit(&fr->page, memory_order_relaxed));
	return word;
}

PUBLIC int mpool_abandoned(MPOOL *mp, void *pgaddr, unsigned int flags)
{
	CALL(mp, a);
	if (!a)
		return -1;
	epoch_enter(&mp->epoch, a->stripe);
	uint32_t f = frame_at(&mp->frames, pgaddr);
	struct frame *fr = f == FRAME_NONE ? NULL : frame_live(&mp->frames, f);
	bool pinned = fr && (thread_slot_of(a, f) || pin_find(&mp->pins, f));
	uint32_t word = !pinned ? 0 : flags & MPOOL_FORGIVE ? forgive(mp, fr) : atomic_load(&fr->word);
	epoch_leave(a->stripe);
	if (pinned)
		return (word & FRAME_ABANDONED) != 0;
	errno = EINVAL;
	return -1;
}

/* ---- sync --------------------------------------------------------------- */

PUBLIC int mpool_sync(MPOOL *mp)
{
	CALL(mp, a);
	if (!a || writeback_sync(mp, a->stripe) != 0)
		return -1;
	clock_trim(mp, a->stripe); /* all is clean: a good time */
	return 0;
}
