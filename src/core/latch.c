/* latch.c - see latch.h. */
#include "core/latch.h"

#include <errno.h>

#include "core/changed.h"

#if MPOOL_CHECK
/* ---- the word's table, as latch.h has it --------------------------------- */

/* By the owner. */
static bool owner_step(uint64_t from, uint64_t to, uint64_t owner)
{
	return from & LATCH_SHARED ? to == (from & ~LATCH_SHARED) || to == (from & ~LATCH_OWNER)
	                           : to == from + LATCH_CHANGE - owner;
}

static bool is_step(uint64_t from, uint64_t to, uint32_t me)
{
	uint64_t owner = from & LATCH_OWNER;
	/* The turn goes with any step, but stays with none to an owner. */
	if (!owner && (to & LATCH_OWNER) && (to & LATCH_TURN))
		return false;
	bool closed = latch_closed(from);
	from &= ~LATCH_TURN;
	to &= ~LATCH_TURN;
	if (closed && to == (from | LATCH_WAITING))
		return true;
	if (to == from || to == (from & ~LATCH_WAITING) || (to ^ from) == LATCH_LOOK)
		return true;
	if (owner)
		return owner == latch_owner(me - 1) && owner_step(from, to, owner);
	return to == (from | latch_owner(me - 1)) || to == (from | LATCH_SHARED) || to == from + LATCH_CHANGE;
}

const char *latch_step_wrong(uint64_t from, uint64_t to, uint32_t me)
{
	if (is_step(from, to, me))
		return NULL;
	return latch_owned(from) && !latch_owned_by(from, me - 1)
	               ? "a latch is changed by one that does not own it"
	               : "a latch's word makes a step that its table does not have";
}
#endif

/* ---- memory -------------------------------------------------------------- */

static uint64_t words_bytes(uint64_t frames)
{
	return frames * sizeof(uint64_t);
}

static uint64_t marks_bytes(unsigned chunk)
{
	return (uint64_t)pin_chunk_stripes(chunk) * sizeof(struct line);
}

/* Chunk `id`, made if need be; of a shared pool `now` bytes of it have memory.  False: no memory. */
static bool chunk_made(struct core *c, unsigned id, uint64_t bytes, uint64_t now)
{
	if (region_at(&c->region, id))
		return true;
	void *chunk = region_alloc_part(&c->region, id, bytes, CACHE_LINE, now);
	if (!chunk)
		return false;
	if (!region_add(&c->region, id, chunk, bytes))
		region_free(&c->region, id, chunk, bytes); /* another thread was first: its will do */
	return true;
}

/* Pages of segment 0 only are looked at without a pin. */
static void look_on(const struct core *c, uint32_t frame)
{
	if (!latches_on(c) || frame >= c->frames.base.count)
		return;
	uint64_t w = atomic_fetch_or(&latch_words(c)[frame], LATCH_LOOK);
	LATCH_CHECK_STEP(w, w | LATCH_LOOK, 0);
	(void)w;
}

void latch_abandon(const struct core *c, uint32_t frame, struct frame *fr)
{
	look_on(c, frame);
	frame_abandon(fr);
	/* Once more: there may be latches since.  Pairs with latches_make, which sets `on`, and then looks for abandoned pages. */
	look_on(c, frame);
}

void latch_whole(const struct core *c, uint32_t frame)
{
	if (!latches_on(c) || frame >= c->frames.base.count)
		return;
	_Atomic uint64_t *word = &latch_words(c)[frame];
	if (!(atomic_load_explicit(word, memory_order_relaxed) & LATCH_LOOK))
		return;
	uint64_t w = atomic_fetch_and(word, ~LATCH_LOOK);
	LATCH_CHECK_STEP(w, w & ~LATCH_LOOK, 0);
	(void)w;
}

/* Sequentially consistent, as are its counterparts: who makes the words looks for frames after that, and who adds frames for words. */
static const _Atomic uint64_t *words_now(const struct core *c)
{
	return atomic_load(&c->region.word[CHUNK_LATCHES]) ? latch_words(c) : NULL;
}

static uint32_t frames_now(const struct core *c)
{
	uint32_t capacity = atomic_load(&c->frames.state->capacity), used = frames_used(&c->frames);
	return capacity > used ? capacity : used;
}

int latches_make(struct core *c)
{
	uint32_t off = LATCHES_OFF;
	if (!chunk_made(c, CHUNK_LATCHES, words_bytes(c->frames.base.count), words_bytes(frames_now(c))))
		return ENOMEM;
	/* Once they can be found: who made the pool larger before that, or uses a frame behind it, has looked for them in vain. */
	if (!latches_grow(c, frames_now(c)))
		return ENOMEM;
	atomic_compare_exchange_strong(&c->latch->on, &off, LATCHES_ON);
	/* Who has closed an entry, and found it off: who finds it ready sees the entry closed. */
	pin_barrier(&c->pins, c->barrier);
	for (uint32_t f = 0, end = frames_used(&c->frames); f < end; f++)
		if (atomic_load(&c->frames.base.frame[f].word) & FRAME_ABANDONED)
			look_on(c, f);
	atomic_store(&c->latch->on, LATCHES_READY);
	return 0;
}

bool latches_grow(const struct core *c, uint32_t frames)
{
	const _Atomic uint64_t *words = words_now(c);
	return !words || region_commit(&c->region, words, words_bytes(frames));
}

bool latches_reach(const struct core *c, uint32_t frame)
{
	const _Atomic uint64_t *words = words_now(c);
	return !words || frame >= c->frames.base.count || region_commit(&c->region, &words[frame], sizeof *words);
}

bool latches_sound(const struct core *c)
{
	const struct region *r = &c->region;
	for (unsigned k = 0; k < SEGMENT_CHUNKS; k++) {
		uint64_t frames = k == 0 ? c->frames.base.count : frame_segment_count(&c->frames, k);
		if (region_at(r, CHUNK_LATCHES + k) &&
		    atomic_load(&r->state->bytes[CHUNK_LATCHES + k]) != words_bytes(frames))
			return false;
	}
	for (unsigned k = 0; k < STRIPE_CHUNKS; k++)
		if (region_at(r, CHUNK_MARKS + k) && atomic_load(&r->state->bytes[CHUNK_MARKS + k]) != marks_bytes(k))
			return false;
	return atomic_load(&c->latch->on) <= LATCHES_READY && atomic_load(&c->latch->sharers) <= STRIPES_MAX &&
	       (atomic_load(&c->latch->on) == LATCHES_OFF || latch_words(c));
}

uint64_t latches_bytes(const struct core *c)
{
	uint64_t bytes = region_at(&c->region, CHUNK_LATCHES) ? words_bytes(frames_capacity(&c->frames)) : 0;
	for (unsigned k = 1; k < SEGMENT_CHUNKS; k++)
		if (region_at(&c->region, CHUNK_LATCHES + k))
			bytes += words_bytes(frame_segment_count(&c->frames, k));
	return bytes;
}

/* ---- words --------------------------------------------------------------- */

_Atomic uint64_t *latch_word(const struct core *c, uint32_t frame)
{
	const struct frames *fs = &c->frames;
	unsigned k = frame < fs->base.count ? 0 : frame_segment_of(fs, frame);
	_Atomic uint64_t *words = region_at(&c->region, CHUNK_LATCHES + k);
	return words ? &words[frame - (k ? frame_segment_first(fs, k) : 0)] : NULL;
}

_Atomic uint64_t *latch_word_made(struct core *c, uint32_t frame)
{
	if (frame >= c->frames.base.count) {
		unsigned k = frame_segment_of(&c->frames, frame);
		uint64_t bytes = words_bytes(frame_segment_count(&c->frames, k));
		if (!chunk_made(c, CHUNK_LATCHES + k, bytes, bytes))
			return NULL;
	}
	return latch_word(c, frame);
}

void latch_tell(const struct core *c, uint32_t frame)
{
	wait_notify(c->wait, wait_for_latch(frame));
}

void latch_tell_all(const struct core *c, uint32_t frame, _Atomic uint64_t *word)
{
	/* Before: who sleeps after it, because of the bit, has announced that before, and is woken. */
	uint64_t w = atomic_fetch_and(word, ~LATCH_WAITING);
	LATCH_CHECK_STEP(w, w & ~LATCH_WAITING, 0);
	(void)w;
	latch_tell(c, frame);
}

void latch_changed(const struct core *c, uint32_t frame)
{
	_Atomic uint64_t *word = latches_on(c) ? latch_word(c, frame) : NULL;
	uint64_t w = word ? atomic_load_explicit(word, memory_order_relaxed) : LATCH_OWNER;
	/* With an owner, the page was rescued: the entry is not freed. */
	while (!latch_owned(w))
		/* Release, before the entry is freed: pairs with the acquire of who looks at the page without a pin. */
		if (atomic_compare_exchange_weak(word, &w, w + LATCH_CHANGE)) {
			LATCH_CHECK_STEP(w, w + LATCH_CHANGE, 0);
			return;
		}
}

/* ---- marks --------------------------------------------------------------- */

struct line *latch_marks(const struct core *c, uint32_t stripe)
{
	unsigned k;
	uint32_t i = pin_place(stripe, &k);
	struct line *marks = region_at(&c->region, CHUNK_MARKS + k);
	return marks ? &marks[i] : NULL;
}

struct line *latch_marks_made(struct core *c, uint32_t stripe)
{
	unsigned k;
	(void)pin_place(stripe, &k);
	if (!chunk_made(c, CHUNK_MARKS + k, marks_bytes(k), marks_bytes(k)))
		return NULL;
	/* Sequentially consistent, before the first mark: who does not see the number comes before it, and is seen as the
	 * owner by our second look. */
	uint32_t n = atomic_load(&c->latch->sharers);
	while (n <= stripe && !atomic_compare_exchange_weak(&c->latch->sharers, &n, stripe + 1))
		;
	return latch_marks(c, stripe);
}

void latch_marks_of(const struct core *c, uint32_t stripe, mark_seen *see, void *to)
{
	const struct line *marks = latch_marks(c, stripe);
	for (unsigned i = 0; marks && i < LINE_WORDS; i++) {
		/* Acquire: pairs with latch_unmark: what its thread read of the page is read. */
		uint64_t m = atomic_load_explicit(&marks->word[i], memory_order_acquire);
		if (m)
			see(to, (uint32_t)(m - 1));
	}
}

void latch_each_mark(const struct core *c, mark_seen *see, void *to)
{
	uint32_t n = atomic_load(&c->latch->sharers);
	for (uint32_t id = 0; id < n; id++)
		latch_marks_of(c, id, see, to);
}

struct look_for {
	uint32_t frame;
	bool found;
};

static void look(void *look_for, uint32_t frame)
{
	struct look_for *l = look_for;
	l->found |= l->frame == frame;
}

static bool is_marked(const struct core *c, uint32_t frame)
{
	struct look_for l = {frame, false};
	latch_each_mark(c, look, &l);
	return l.found;
}

bool latch_mark(const struct core *c, uint32_t frame, _Atomic uint64_t *word, _Atomic uint64_t *mark, uint64_t *w)
{
	/* Release: as latch_unmark's, of the page before. */
	atomic_store_explicit(mark, mark_of(frame), memory_order_release);
	barrier_light(c->barrier); /* pairs with pin_barrier in outwait */
	/* Acquire: pairs with latch_release: the page's bytes. */
	*w = atomic_load_explicit(word, memory_order_acquire);
	if (likely(latch_sharable(*w)))
		return true;
	latch_unmark(c, frame, word, mark);
	return false;
}

void latch_unmark(const struct core *c, uint32_t frame, const _Atomic uint64_t *word, _Atomic uint64_t *mark)
{
	/* Release: what was read of the page is read before. */
	atomic_store_explicit(mark, 0, memory_order_release);
	barrier_light(c->barrier); /* pairs with pin_barrier in outwait */
	if (likely(!latch_owned(atomic_load_explicit(word, memory_order_relaxed))))
		return;
	/* The owner may have made its barrier before: the full fence pairs with the other, in outwait. */
	barrier_light(BARRIER_FENCE);
	latch_tell(c, frame);
}

/* ---- waiting ------------------------------------------------------------- */

/* So often who waits finds another before it, until it asks for its turn.  (The explorer's threads ask soon.) */
#ifndef LATCH_PATIENCE
#define LATCH_PATIENCE 4u
#endif

/* One that waits. */
struct waiter {
	bool minds_turn;       /* another's turn is in its way */
	unsigned vain;         /* so often it has slept */
	bool turn;             /* it has the turn */
	struct stripe *copies; /* who is to copy `page`, and has not pinned it; NULL */
	uint32_t page;
};

/* Not for one that is to copy the page by an owner that waits for shared latches, which may be its caller's. */
static bool blocked(const struct waiter *me, uint64_t w)
{
	return (me->copies ? latch_writes(w) : latch_owned(w)) || (me->minds_turn && !me->turn && (w & LATCH_TURN));
}

/*
 * Is it another page's latch by now, for which it is not to wait?  After the word: whose owner was seen came into the
 * frame before, or had its page there, and tells when it leaves.
 */
static bool page_is_gone(struct core *c, uint32_t frame, const struct waiter *me)
{
	if (!me->copies)
		return false;
	epoch_enter(&c->epoch, me->copies);
	const struct frame *fr = frame_live(&c->frames, frame);
	bool gone = !fr || atomic_load(&fr->page) != me->page;
	epoch_leave(me->copies);
	return gone;
}

/* Sleep while it is blocked; or until, perhaps, it is not.  It may have the turn then.  False: for nothing. */
static bool wait_behind(struct core *c, uint32_t frame, _Atomic uint64_t *word, struct waiter *me)
{
	struct wait_queue *q = wait_queue_of(c->wait, wait_for_latch(frame));
	uint32_t count = wait_prepare(q, wait_for_latch(frame));
	/* Sequentially consistent, after the announcement: pairs with latch_release, give_back or latch_end_turn, and latch_tell. */
	uint64_t w = atomic_load(word), to = w;
	bool asks = false;
	do {
		if (!blocked(me, w))
			return true;
		if (page_is_gone(c, frame, me))
			return false;
		asks = me->vain >= LATCH_PATIENCE && !(w & LATCH_TURN);
		to = w | LATCH_WAITING | (asks ? LATCH_TURN : 0);
	} while (to != w && !atomic_compare_exchange_weak(word, &w, to));
	LATCH_CHECK_STEP(w, to, 0);
	me->turn |= asks;
	me->vain++;
	core_sleep(c, q, count, wait_for_latch(frame));
	return true;
}

/* Its owner, which has it for itself from now on: shared off. */
static void unshare(_Atomic uint64_t *word, uint32_t me)
{
	uint64_t w = atomic_fetch_and(word, ~LATCH_SHARED);
	LATCH_CHECK_STEP(w, w & ~LATCH_SHARED, me + 1);
	(void)w;
	(void)me;
	/* Before the page is changed: who copies a byte of that, and looks at the word again, finds shared off. */
	barrier_stores();
}

/* Its owner, which has changed nothing: owner off. */
static void give_back(struct core *c, uint32_t frame, _Atomic uint64_t *word, uint32_t me)
{
	uint64_t w = atomic_fetch_and(word, ~LATCH_OWNER);
	LATCH_CHECK_STEP(w, w & ~LATCH_OWNER, me + 1);
	(void)me;
	if (w & LATCH_WAITING)
		latch_tell_all(c, frame, word);
}

/* The owner waits for the shared latches to go.  0; EBUSY: it does not, and is the owner no more. */
static int outwait(struct core *c, uint32_t frame, _Atomic uint64_t *word, uint32_t me, bool only_try)
{
	struct wait_queue *q = wait_queue_of(c->wait, wait_for_latch(frame));
	/* Once: pairs with barrier_light in latch_mark and latch_unmark.  Marks that are set later are taken back. */
	pin_barrier(&c->pins, c->barrier);
	bool marked = is_marked(c, frame);
	if (marked && only_try) {
		give_back(c, frame, word, me);
		return EBUSY;
	}
	while (marked) {
		uint32_t count = wait_prepare(q, wait_for_latch(frame));
		barrier_light(BARRIER_FENCE); /* pairs with the same in latch_unmark */
		marked = is_marked(c, frame);
		if (marked)
			core_sleep(c, q, count, wait_for_latch(frame));
	}
	unshare(word, me);
	return 0;
}

/* ---- to latch ------------------------------------------------------------ */

int latch_exclusive(struct core *c, uint32_t frame, _Atomic uint64_t *word, uint32_t me, bool only_try)
{
	struct waiter wait = {.minds_turn = true};
	for (;;) {
		uint64_t w = atomic_load(word);
		if (!blocked(&wait, w) && latch_own(word, &w, me, LATCH_TURN))
			return w & LATCH_SHARED ? outwait(c, frame, word, me, only_try) : 0;
		if (!blocked(&wait, w))
			continue;
		if (only_try)
			return EBUSY;
		wait_behind(c, frame, word, &wait);
	}
}

int latch_upgrade(struct core *c, uint32_t frame, _Atomic uint64_t *word, uint32_t me, uint64_t version)
{
	uint64_t w = atomic_load(word);
	/* No version was ever seen of a page of the overflow, whose numbers may be more than a version has room for. */
	if (frame >= c->frames.base.count)
		return EAGAIN;
	while (!latch_closed(w) && latch_seen(frame, w) == version)
		if (latch_own(word, &w, me, 0))
			return w & LATCH_SHARED ? outwait(c, frame, word, me, false) : 0;
	return EAGAIN;
}

/* no owner -> shared.  False: *w is what it is. */
static bool share(_Atomic uint64_t *word, uint64_t *w)
{
	/* Sequentially consistent.  Before the mark: who becomes the owner later looks for marks. */
	if (!atomic_compare_exchange_strong(word, w, *w | LATCH_SHARED))
		return false;
	LATCH_CHECK_STEP(*w, *w | LATCH_SHARED, 0);
	return true;
}

void latch_end_turn(const struct core *c, uint32_t frame)
{
	_Atomic uint64_t *word = latch_word(c, frame);
	uint64_t w = atomic_fetch_and(word, ~LATCH_TURN);
	LATCH_CHECK_STEP(w, w & ~LATCH_TURN, 0);
	if (w & LATCH_WAITING)
		latch_tell_all(c, frame, word);
}

int latch_shared(struct core *c, uint32_t frame, _Atomic uint64_t *word, _Atomic uint64_t *mark, bool only_try)
{
	struct waiter wait = {0};
	for (;;) {
		uint64_t w = atomic_load(word);
		if (!latch_owned(w) && (w & LATCH_SHARED || share(word, &w)) && latch_mark(c, frame, word, mark, &w)) {
			if (wait.turn)
				latch_end_turn(c, frame);
			return 0;
		}
		if (!latch_owned(w))
			continue;
		if (only_try)
			return EBUSY;
		wait_behind(c, frame, word, &wait);
	}
}

/* ---- to copy ------------------------------------------------------------- */

void latch_outlast(struct core *c, struct stripe *me, uint32_t frame, uint32_t page)
{
	_Atomic uint64_t *word = latch_word(c, frame);
	struct waiter wait = {.copies = me, .page = page};
	if (word)
		wait_behind(c, frame, word, &wait);
}

bool latch_take_turn(struct core *c, struct stripe *me, uint32_t frame, uint32_t page)
{
	_Atomic uint64_t *word = latch_word(c, frame);
	struct waiter wait = {.minds_turn = true, .vain = LATCH_PATIENCE, .copies = me, .page = page};
	uint64_t w = word ? atomic_load(word) : 0;
	while (word && !(wait.turn && !latch_writes(w))) {
		if (!blocked(&wait, w)) {
			wait.turn = atomic_compare_exchange_strong(word, &w, w | LATCH_TURN);
		} else if (wait_behind(c, frame, word, &wait)) {
			w = atomic_load(word);
		} else {
			if (wait.turn)
				latch_end_turn(c, frame);
			return false;
		}
	}
	return word;
}

/* ---- who is gone --------------------------------------------------------- */

void latch_drop_marks(const struct core *c, const struct stripe *s)
{
	struct line *marks = s->id < atomic_load(&c->latch->sharers) ? latch_marks(c, s->id) : NULL;
	for (unsigned i = 0; marks && i < LINE_WORDS; i++) {
		uint64_t m = atomic_load_explicit(&marks->word[i], memory_order_relaxed);
		/* It may have been unlatched as modified. */
		if (m)
			changed_see_to(&c->frames, (uint32_t)(m - 1));
		if (m)
			latch_unmark(c, (uint32_t)(m - 1), latch_word(c, (uint32_t)(m - 1)), &marks->word[i]);
	}
}

struct gone_owners {
	const struct core *c;
	stripe_test *gone;
	void *of;
	bool died;
};

static void free_latch(void *gone_owners, uint32_t frame, struct frame *fr)
{
	const struct gone_owners *g = gone_owners;
	_Atomic uint64_t *word = latch_word(g->c, frame);
	uint64_t w = word ? atomic_load(word) : 0, to;
	if (!latch_owned(w) || !g->gone(g->of, (uint32_t)((w & LATCH_OWNER) >> LATCH_OWNER_SHIFT) - 1))
		return;
	/* It may have been unlatched as modified. */
	changed_see_to(&g->c->frames, frame);
	/* Shared still: it was waiting, and has not touched the page.  The mark first: who latches the page next is to
	 * find it. */
	if (g->died && !(w & LATCH_SHARED))
		latch_abandon(g->c, frame, fr);
	do
		to = (w & ~LATCH_OWNER) + LATCH_CHANGE;
	while (!atomic_compare_exchange_weak(word, &w, to));
	latch_tell_all(g->c, frame, word);
}

/*
 * Turns, whosever they are: who has one notes it nowhere.  Of all words, for who copies a page has it not pinned, and an
 * overflow segment may be gone, and come back.
 */
static void end_turns(const struct core *c)
{
	for (unsigned k = 0; k < SEGMENT_CHUNKS; k++) {
		const _Atomic uint64_t *words = region_at(&c->region, CHUNK_LATCHES + k);
		uint32_t n = k == 0 ? frames_used(&c->frames) : (uint32_t)frame_segment_count(&c->frames, k);
		uint32_t first = k == 0 ? 0 : (uint32_t)frame_segment_first(&c->frames, k);
		for (uint32_t i = 0; words && i < n; i++)
			if (atomic_load_explicit(&words[i], memory_order_relaxed) & LATCH_TURN)
				latch_end_turn(c, first + i);
	}
}

void latch_recover(const struct core *c, stripe_test *gone, void *of, bool died)
{
	struct gone_owners g = {c, gone, of, died};
	frames_each(&c->frames, free_latch, &g);
	end_turns(c);
}
