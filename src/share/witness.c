/* witness.c - see witness.h. */
#include "share/witness.h"

#include <errno.h>

#include "io/sync.h"
#include "os/descriptor.h"
#include "share/hand.h"

int witness_make(struct sharing *sh, int fd)
{
	int error = pageio_reopen(&sh->io->file, fd, WITNESSES, true);
	int w = atomic_load(&sh->io->file.witness[0]);
	if (!error && w >= 0)
		sh->io->file.fd = w;
	return error;
}

/* These are this process's witnesses from now on. */
static void adopt(struct sharing *sh, const struct handed *h)
{
	struct pageio *io = &sh->io->file;
	hand_lock();
	/* Threads read and write by it. */
	if (io->fd >= 0 && atomic_load(&io->witness[0]) == io->fd) {
		sh->file = io->fd;
		sh->file_name = pageio_name(io->state->name, atomic_load(&io->generation), 0);
		atomic_store(&io->witness[0], NO_WITNESS);
	}
	pageio_close(io, true);
	for (unsigned i = 0; i < h->n; i++)
		atomic_store(&io->witness[i], h->fd[i]);
	atomic_store(&io->generation, h->generation);
	hand_unlock();
}

bool witness_join(struct sharing *sh)
{
	struct handed h;
	if (!hand_ask(sh, sh->io, &h))
		return false;
	adopt(sh, &h);
	sh->io->file.fd = h.fd[0];
	return true;
}

/* Has any other living process the witnesses of this generation, or of one that may be the pool's again? */
static bool somebody_has(const struct sharing *sh)
{
	uint32_t top = member_top(sh->core->members), now = atomic_load(&sh->io->file.state->generation);
	for (uint32_t i = 0; i < top; i++) {
		const struct member *m = &sh->core->members->member[i];
		uint32_t its = atomic_load(&m->generation);
		if (i != sh->core->pins.member && member_in(m) && its != 0 && its <= now && member_alive(sh->object, i))
			return true;
	}
	return false;
}

/* Open new ones, if nothing depends on the old. */
static int renew(struct sharing *sh, struct stripe *me)
{
	struct pageio fresh = sh->io->file;
	for (unsigned i = 0; i < WITNESSES; i++)
		atomic_store(&fresh.witness[i], NO_WITNESS);
	int error = pageio_reopen(&fresh, sh->io->file.fd, WITNESSES, false);
	if (error)
		return error;
	epoch_enter(&sh->core->epoch, me);
	sync_distrust(sh->io);
	epoch_leave(me);
	/* After the frames, as in a flush. */
	if (pageio_left_any(&sh->io->file)) {
		pageio_close(&fresh, false);
		if (somebody_has(sh))
			return EAGAIN;
		atomic_store(&sh->io->file.state->lost, true);
		return EIO;
	}
	struct handed h = {.generation = atomic_load(&sh->io->file.state->newest) + 1};
	while (h.n < WITNESSES && atomic_load(&fresh.witness[h.n]) != NO_WITNESS) {
		h.fd[h.n] = atomic_load(&fresh.witness[h.n]);
		h.n++;
	}
	adopt(sh, &h);
	pageio_establish(&sh->io->file);
	return 0;
}

bool witness_current(const struct sharing *sh)
{
	const struct pageio *io = &sh->io->file;
	return !io->shared || atomic_load(&io->generation) == atomic_load(&io->state->generation);
}

int witness_have(struct sharing *sh, struct stripe *me)
{
	struct handed h;
	if (witness_current(sh))
		return 0;
	uint32_t own = atomic_load(&sh->io->file.generation);
	int error = 0;
	if (hand_ask(sh, sh->io, &h))
		adopt(sh, &h);
	else if (own != 0 && own < atomic_load(&sh->io->file.state->generation))
		pageio_establish(&sh->io->file);
	else
		error = renew(sh, me);
	if (!error)
		atomic_store(&core_member(sh->core)->generation, atomic_load(&sh->io->file.generation));
	return error;
}

void witness_enter(struct sharing *sh)
{
	struct stripe *me = sh->recovery_stripe;
	if (witness_current(sh))
		return;
	/* If this process dies here, the turn has to be given back. */
	atomic_store_explicit(&me->busy, 1, memory_order_release);
	/* If it fails, a sync tries again. */
	if (sync_try(sh->io, me)) {
		if (renew(sh, me) == 0)
			atomic_store(&core_member(sh->core)->generation, atomic_load(&sh->io->file.generation));
		sync_end(sh->io);
	}
	/* Release: as at the end of a call (thread.h). */
	atomic_store_explicit(&me->busy, 0, memory_order_release);
}
