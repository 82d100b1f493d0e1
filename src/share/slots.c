/* slots.c - see slots.h. */
#include "share/slots.h"

#include "evict/cut.h"
#include "evict/leave.h"
#include "io/extent.h"
#include "io/sync.h"
#include "os/time.h"

static struct catalog *catalog_of(const struct sharing *sh)
{
	return sh->io->catalog;
}

/* ---- slots, with the pool's lock ------------------------------------------ */

void slot_state(struct file_slot *s, enum file_state state, uint64_t generation)
{
	atomic_store(&s->state, generation << FILE_STATE_BITS | (uint64_t)state);
}

static bool is_of_file(const struct file_slot *s, const struct pageio *file)
{
	return atomic_load(&s->device) == file->device && atomic_load(&s->inode) == file->inode;
}

struct file_slot *slot_find(const struct sharing *sh, const struct pageio *file)
{
	const struct catalog *c = catalog_of(sh);
	for (uint32_t i = 0, n = catalog_files(c); i < n; i++) {
		struct file_slot *s = catalog_slot(c, i);
		if (file_state_of(s) != FILE_FREE && is_of_file(s, file))
			return s;
	}
	return NULL;
}

void slot_hold(struct file_slot *s, uint32_t member)
{
	atomic_fetch_or(&s->holders[member / 64], member_bit(member));
}

static uint64_t closer_word(uint64_t generation, uint64_t who)
{
	return generation << CLOSER_GENERATION_SHIFT | who;
}

bool slot_let_go(struct file_slot *s, uint32_t member, uint32_t closer)
{
	if (file_state_of(s) != FILE_IN)
		return false;
	atomic_fetch_and(&s->holders[member / 64], ~member_bit(member));
	/* Nobody holds it: by this, or by one that died here. */
	if (file_holders(s) > 0)
		return false;
	/* Before it can be seen to be closing: a slot that nobody is at is closed by others. */
	atomic_store(&s->closer, closer_word(file_generation(s), closer));
	slot_state(s, FILE_CLOSING, file_generation(s));
	return true;
}

/* ---- closing -------------------------------------------------------------- */

static void free_slot(const struct sharing *sh, struct file_slot *s)
{
	/* From here on it may be another file's. */
	slot_state(s, FILE_FREE, file_generation(s) + 1);
	wait_notify(sh->core->wait, wait_for_catalog());
}

void slot_left(struct sharing *sh, struct io *io, struct stripe *me, bool out, bool waits)
{
	struct file_slot *s = io->slot;
	if (out && catalog_take_back(catalog_of(sh), me, s, waits)) {
		free_slot(sh, s);
	} else {
		atomic_store(&s->closer, closer_word(file_generation(s), 0));
		wait_notify(sh->core->wait, wait_for_catalog());
	}
}

void slot_close(struct sharing *sh, struct io *io, struct stripe *me, bool waits)
{
	slot_left(sh, io, me, leave_file(sh->evict, io, me, waits), waits);
}

/* Whose closer is gone, or was none.  False: somebody is at it, or it is closed. */
static bool take_over(struct file_slot *s, const struct stripe *me)
{
	uint64_t nobody = closer_word(file_generation(s), 0);
	/* Nobody is at the closing of that generation: it is closing. */
	return file_state_of(s) == FILE_CLOSING &&
	       atomic_compare_exchange_strong(&s->closer, &nobody, nobody | (me->id + 1));
}

void slot_outlast(struct sharing *sh, struct file_slot *s, struct stripe *me)
{
	struct wait_queue *q = wait_queue_of(sh->core->wait, wait_for_catalog());
	if (take_over(s, me)) {
		slot_close(sh, catalog_file(catalog_of(sh), s->number), me, true);
		return;
	}
	uint32_t count = wait_prepare(q, wait_for_catalog());
	/* Sequentially consistent, after the announcement: pairs with free_slot, and slot_left. */
	if (file_state_of(s) == FILE_CLOSING && (uint32_t)atomic_load(&s->closer) &&
	    !wait_sleep_ns(sh->core->wait, q, count, UNWATCHED_MS * NS_PER_MS))
		core_overdue(sh->core);
}

/* ---- recovery ------------------------------------------------------------- */

void slots_forget_member(struct sharing *sh, uint32_t member)
{
	const struct catalog *c = catalog_of(sh);
	for (uint32_t i = 0, n = c ? catalog_files(c) : 0; i < n; i++)
		(void)slot_let_go(catalog_slot(c, i), member, 0);
}

bool slot_close_left(struct sharing *sh, struct io *io, struct stripe *me)
{
	if (!take_over(io->slot, me))
		return false;
	uint64_t generation = file_generation(io->slot);
	slot_close(sh, io, me, false);
	return file_generation(io->slot) != generation;
}

void slots_close_left(struct sharing *sh, struct stripe *me)
{
	struct catalog *c = catalog_of(sh);
	/* The thread may be in a call of its own. */
	uint32_t before = check_act_for(me->id + 1);
	for (uint32_t i = 0, n = c ? catalog_files(c) : 0; i < n; i++)
		(void)slot_close_left(sh, catalog_file(c, i), me);
	(void)check_act_for(before);
}

/* What recovers a file's turns. */
struct recovering {
	struct sharing *sh;
	stripe_test *dead;
	void *of;
};

static void recover_file(struct io *io, void *recovering)
{
	const struct recovering *r = recovering;
	uint64_t closer = io->slot ? atomic_load(&io->slot->closer) : 0;
	sync_recover(io, r->dead, r->of);
	cut_recover(r->sh->evict, io, r->dead, r->of);
	if ((uint32_t)closer && r->dead(r->of, (uint32_t)closer - 1))
		atomic_compare_exchange_strong(&io->slot->closer, &closer,
		                               closer_word(closer >> CLOSER_GENERATION_SHIFT, 0));
}

void slots_recover(struct sharing *sh, stripe_test *dead, void *of)
{
	/* First: to see whose a page is needs no links, but to give extents does. */
	catalog_recover(catalog_of(sh), dead, of);
	extent_each_file(sh->io, recover_file, &(struct recovering){sh, dead, of});
}

void slots_settle(struct sharing *sh, struct stripe *me)
{
	struct catalog *c = catalog_of(sh);
	for (uint32_t i = 0, n = c ? catalog_files(c) : 0; i < n; i++) {
		struct io *io = catalog_file(c, i);
		if (file_state_of(io->slot) == FILE_IN && file_here(io))
			sync_settle(io, me);
	}
}
