/* recover.c - see recover.h. */
#include "share/recover.h"

#include "core/changed.h"
#include "core/latch.h"
#include "evict/cut.h"
#include "io/extent.h"
#include "io/sync.h"
#include "share/object.h"
#include "share/slots.h"

/* A process that is gone, or a call that is. */
struct gone {
	struct sharing *sh;
	unsigned member;
	bool died;   /* or left */
	bool forked; /* the parent, in its child: all of its threads, for the one that forked was in no call */
	const struct stripe *one; /* NULL; or the thread whose call was left, and nobody else */
};

static bool is_gone(void *gone, uint32_t stripe)
{
	const struct gone *g = gone;
	const struct pins *p = &g->sh->core->pins;
	if (g->one)
		return stripe == g->one->id;
	return stripe < atomic_load(&p->state->stripes) && (g->forked || stripe_of(pin_stripe(p, stripe), g->member));
}

/* ---- pins --------------------------------------------------------------- */

/* Mark the page of a dead process's pin: it may have been in the middle of a modification. */
static void abandon(struct sharing *sh, uint32_t frame)
{
	struct frame *fr = frame_live(&sh->core->frames, frame);
	if (fr)
		latch_abandon(sh->core, frame, fr);
}

/* Whoever had the pin may have been putting it, as modified. */
static void was_put(const struct sharing *sh, uint32_t frame)
{
	changed_see_to(&sh->core->frames, frame);
}

/* Do pins say nothing of modifications?  MPOOL_LATCHED. */
static bool latched_only(const struct sharing *sh)
{
	return atomic_load(&sh->core->latch->latched);
}

/* The mark before the pin is dropped: a thread that evicts or pins the page then must find the mark. */
static void drop_pins(const struct gone *g, struct stripe *s)
{
	for (unsigned i = 0; i < LINE_WORDS; i++) {
		uint64_t w = atomic_load(&s->slots.word[i]);
		if (g->died && slot_pins(w, slot_frame(w)))
			was_put(g->sh, slot_frame(w));
		if (g->died && slot_pins(w, slot_frame(w)) && !latched_only(g->sh))
			abandon(g->sh, slot_frame(w));
		if (!slot_empty(w))
			atomic_store(&s->slots.word[i], 0);
	}
}

/* ---- latches, which are held outside of calls ---------------------------- */

static void drop_marks(const struct gone *g, struct stripe *s)
{
	latch_drop_marks(g->sh->core, s);
}

static bool owner_is_gone(void *gone, uint32_t stripe)
{
	const struct gone *g = gone;
	/* In the child of a fork the thread that forked keeps its own. */
	return is_gone(gone, stripe) &&
	       !(g->forked && atomic_load(&pin_stripe(&g->sh->core->pins, stripe)->busy) == BUSY_FORKED);
}

typedef void stripe_seen(const struct gone *g, struct stripe *s);

static void each_stripe(struct gone *g, stripe_seen *see)
{
	uint32_t n = atomic_load(&g->sh->core->pins.state->stripes);
	for (uint32_t id = 0; id < n; id++)
		if (is_gone(g, id))
			see(g, pin_stripe(&g->sh->core->pins, id));
}

static void give_up(const struct gone *g, struct stripe *s)
{
	(void)g;
	pin_give_up(s);
}

/* In an epoch section. */
static void drop_latches(struct gone *g)
{
	if (!latches_on(g->sh->core))
		return;
	each_stripe(g, drop_marks);
	latch_recover(g->sh->core, owner_is_gone, g, g->died);
}

static bool was_busy(struct gone *g)
{
	uint32_t n = atomic_load(&g->sh->core->pins.state->stripes);
	for (uint32_t id = 0; id < n; id++)
		if (is_gone(g, id) && atomic_load(&pin_stripe(&g->sh->core->pins, id)->busy))
			return true;
	return false;
}

/* ---- what a call holds -------------------------------------------------- */

static void acts_as_before(const uint32_t *before)
{
	check_act_for(*before);
}

/* The entry first: a frame that is unclaimed and clean, its entry closing, is evictable. */
static void end_claim(void *gone, uint32_t frame, struct frame *fr)
{
	const struct gone *g = gone;
	struct table_ref ref;
	uint32_t w = atomic_load(&fr->word), to;
	/* Of a page that was put by who had not pinned it. */
	if (w & FRAME_CHANGED)
		changed_see_to(&g->sh->core->frames, frame);
	if (!frame_claimed(w) || !is_gone(gone, (w >> FRAME_OWNER_SHIFT) - 1))
		return;
	__attribute__((cleanup(acts_as_before), unused)) const uint32_t before = check_act_for(w >> FRAME_OWNER_SHIFT);
	uint32_t page = atomic_load_explicit(&fr->page, memory_order_relaxed);
	uint64_t e = table_settle(&g->sh->core->tables, page, frame, &ref);
	if (e == ENTRY_FREE) {
		frame_free(g->sh->evict, frame);
		return;
	}
	if (entry_state(e) == ENTRY_CLOSING)
		table_reopen(&ref, page, frame);
	do
		to = (w & ~(FRAME_OWNER | FRAME_WRITING)) | (w & FRAME_WRITING ? FRAME_DIRTY : 0);
	while (!frame_step(fr, &w, to));
}

static void end_calls(struct gone *g, struct stripe *me)
{
	struct sharing *sh = g->sh;
#if MPOOL_CHECK > 1
	/* Relaxed: it is read when nobody is in a call. */
	atomic_store_explicit(&sh->core->recovered, true, memory_order_relaxed);
#endif
	table_recover(&sh->core->tables, &sh->core->epoch, me, is_gone, g);
	epoch_enter(&sh->core->epoch, me);
	slots_recover(sh, is_gone, g);
	cut_recover(sh->evict, sh->io, is_gone, g);
	clock_recover_claims(sh->evict, is_gone, g);
	frames_each(&sh->core->frames, end_claim, g);
	sync_recover(sh->io, is_gone, g);
	epoch_leave(me);
	epoch_recover(&sh->core->epoch, is_gone, g);
	pin_recover(&sh->core->pins, is_gone, g);
	clock_recover(sh->evict, is_gone, g);
}

/* ---- a process ---------------------------------------------------------- */

static void clear_member(struct gone *g)
{
	struct sharing *sh = g->sh;
	struct member *m = &sh->core->members->member[g->member];
	epoch_enter(&sh->core->epoch, sh->recovery_stripe);
	each_stripe(g, drop_pins);
	drop_latches(g);
	epoch_leave(sh->recovery_stripe);
	bool busy = g->died && was_busy(g);
	if (busy)
		end_calls(g, sh->recovery_stripe);
	/* Those that wait for something it held check again. */
	if (busy || (g->died && latches_on(sh->core)))
		wait_wake_all(sh->core->wait);
	slots_forget_member(sh, g->member);
	/* Who leaves closes what he was the last to have, his pins being gone; the last process takes all of it with it. */
	if (!g->died && !recover_alone(sh))
		slots_close_left(sh, sh->recovery_stripe);
	/* A thread's first call makes stripes before it is busy. */
	region_recover(&sh->core->region, m->pending);
	atomic_store(&m->evictors, 0);
	atomic_store(&m->watching, 0);
	/* From here on it is not known any more what belonged to it. */
	each_stripe(g, give_up);
	/* In one step: a thread that repeats this after us counts no death twice. */
	uint32_t deaths = atomic_load(&m->state) & ~MEMBER_IN;
	atomic_store(&m->state, deaths + (g->died ? MEMBER_DEATH : 0));
}

static bool is_dead(const struct sharing *sh, uint32_t member)
{
	const struct member *m = &sh->core->members->member[member];
	return member != sh->core->pins.member && member_in(m) && !member_alive(sh->object, member);
}

bool recover_dead_locked(struct sharing *sh)
{
	struct stripe *me = sh->recovery_stripe;
	bool any = false;
	uint32_t top = member_top(sh->core->members);
	/* If this process dies here, its roles and chunks have to be given back too.  Who joins may be at something already. */
	uint8_t busy = atomic_load_explicit(&me->busy, memory_order_relaxed);
	atomic_store_explicit(&me->busy, BUSY_IN_CALL, memory_order_release);
	for (uint32_t i = 0; i < top; i++)
		if (is_dead(sh, i)) {
			clear_member(&(struct gone){sh, i, true, false, NULL});
			any = true;
		}
	sync_settle(sh->io, me);
	slots_settle(sh, me);
	slots_close_left(sh, me);
	/* Release: as at the end of a call (thread.h). */
	atomic_store_explicit(&me->busy, busy, memory_order_release);
	return any;
}

static bool any_dead(const struct sharing *sh, enum recover_reach reach, uint32_t top, uint32_t also)
{
	const struct member *m = sh->core->members->member;
	for (uint32_t n = 1; n < top; n++) {
		uint32_t i = (sh->core->pins.member + n) % top;
		if (!member_in(&m[i]))
			continue;
		if (is_dead(sh, i))
			return true;
		if (reach == RECOVER_NEIGHBOUR)
			return is_dead(sh, also % top);
		if (reach == RECOVER_STRETCH && atomic_load(&m[i].watching))
			break;
	}
	return false;
}

bool recover_due_within(const struct sharing *sh, enum recover_reach reach, uint32_t also)
{
	if (!region_shared(&sh->core->region) || recover_alone(sh) || !share_object_is_ours(sh))
		return false;
	return any_dead(sh, reach, member_top(sh->core->members), also);
}

bool recover_due(const struct sharing *sh)
{
	return recover_due_within(sh, RECOVER_ALL, 0);
}

bool recover_alone(const struct sharing *sh)
{
	const struct member_state *ms = sh->core->members;
	uint32_t top = member_top(ms);
	for (uint32_t i = 0; i < top; i++)
		if (i != sh->core->pins.member && member_in(&ms->member[i]))
			return false;
	return true;
}

bool recover_now(struct sharing *sh)
{
	struct hold lock = {NULL, -1};
	struct member_object object = share_object(sh);
	if (member_lock_soon(&lock, &object) != 0)
		return false;
	bool any = recover_dead_locked(sh);
	member_unlock(&lock);
	return any;
}

bool recover_dead(struct sharing *sh)
{
	return recover_due(sh) && recover_now(sh);
}

void recover_leave(struct sharing *sh)
{
	/* If this process dies here, what it is closing is others'. */
	atomic_store_explicit(&sh->recovery_stripe->busy, BUSY_IN_CALL, memory_order_release);
	clear_member(&(struct gone){sh, sh->core->pins.member, false, false, NULL});
}

void recover_call(struct sharing *sh, struct stripe *s)
{
	end_calls(&(struct gone){.sh = sh, .member = sh->core->pins.member, .died = true, .one = s}, s);
	wait_wake_all(sh->core->wait);
	/* Release: as at the end of a call (thread.h). */
	atomic_store_explicit(&s->busy, BUSY_NOT, memory_order_release);
}

/* ---- the child of a fork ------------------------------------------------ */

/* A child that was forked while another thread was in here finds such marks. */
static void unmark(const struct gone *g, struct stripe *s)
{
	(void)g;
	if (atomic_load(&s->busy) == BUSY_FORKED)
		atomic_store(&s->busy, BUSY_NOT);
}

static void mark(struct stripe *s)
{
	atomic_store(&s->busy, BUSY_FORKED);
}

static void end_thread(const struct gone *g, struct stripe *s)
{
	bool goes_on = atomic_load(&s->busy) == BUSY_FORKED;
	atomic_store(&s->section, EPOCH_OUTSIDE);
	atomic_store(&s->putting, 0);
	/* Its owner may have been listing it; whatever it has pinned, that is done. */
	if (!goes_on)
		atomic_store(&s->listed, 0);
	for (unsigned i = 0; i < LINE_WORDS && !goes_on; i++) {
		uint64_t w = atomic_load(&s->slots.word[i]);
		if (slot_pins(w, slot_frame(w)))
			was_put(g->sh, slot_frame(w));
		if (!slot_pins(w, slot_frame(w)))
			atomic_store(&s->slots.word[i], 0);
		else if (!latched_only(g->sh))
			abandon(g->sh, slot_frame(w)); /* it stays, to be put by others */
	}
	if (!goes_on)
		latch_drop_marks(g->sh->core, s);
	if (!goes_on && atomic_load(&s->owner) == stripe_owner(STRIPE_OWNED, g->member))
		pin_orphan(&g->sh->core->pins, s);
}

/* The pin of a page that was being deleted: it is in no table any more, and its frame free by now. */
static void end_deletes(const struct gone *g, struct stripe *s)
{
	for (unsigned i = 0; i < LINE_WORDS; i++) {
		uint64_t w = atomic_load(&s->slots.word[i]);
		const struct frame *fr = slot_empty(w) ? NULL : frame_live(&g->sh->core->frames, slot_frame(w));
		if (fr && atomic_load(&fr->word) == FRAME_FREE)
			atomic_store(&s->slots.word[i], 0);
	}
	atomic_store(&s->busy, BUSY_NOT);
}

/* What was written and not synced is dirty again, and it has a witness of this process's own if it may. */
static void fork_file(struct io *io, void *me)
{
	int fresh = pageio_fresh(&io->file);
	epoch_enter(&io->core->epoch, me);
	sync_distrust(io);
	epoch_leave(me);
	pageio_renew(&io->file, fresh);
	/* The parent's cut is the parent's to make again. */
	pageio_cut_flushed(&io->file);
	pageio_cut_settled(&io->file, 0);
	/* Barriers may be fences from now on. */
	if (io->handle && io->core->barrier == BARRIER_FENCE)
		atomic_store(&io->handle->hits, HITS_OTHER);
}

void recover_fork(struct sharing *sh, const struct attachment *forked)
{
	struct gone g = {.sh = sh, .member = sh->core->pins.member, .died = true, .forked = true};
	struct member *m = &sh->core->members->member[g.member];
	if (sh->core->barrier != BARRIER_FENCE && !barrier_available(sh->core->barrier))
		core_fence(sh->core);
	region_recover(&sh->core->region, m->pending);
	if (atomic_load(&sh->core->pins.state->stripes) == 0)
		return; /* not used yet */
	each_stripe(&g, unmark);
	bool busy = was_busy(&g);
	if (forked)
		thread_each_stripe(forked, mark);
	each_stripe(&g, end_thread);
	/* No other thread is in the pool, so any stripe will do. */
	struct stripe *me = pin_stripe(&sh->core->pins, 0);
	if (latches_on(sh->core)) {
		epoch_enter(&sh->core->epoch, me);
		latch_recover(sh->core, owner_is_gone, &g, true);
		epoch_leave(me);
	}
	if (busy)
		end_calls(&g, me);
	atomic_store(&m->evictors, 0);
	table_join(&sh->core->tables);
	fork_file(sh->io, me);
	atomic_store(&sh->io->sweeping, false);
	extent_each_file(sh->io, fork_file, me);
	/* Last, since it takes `busy` off: a child that is forked meanwhile does all of this again. */
	each_stripe(&g, end_deletes);
}
