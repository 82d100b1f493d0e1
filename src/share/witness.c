/* witness.c - see witness.h. */
#include "share/witness.h"

#include <errno.h>

#include "os/descriptor.h"
#include "share/hand.h"
#include "api/pool.h"
#include "io/writeback.h"

static struct member *own_record(MPOOL *mp)
{
	return &mp->members->member[mp->pins.member];
}

int witness_make(MPOOL *mp, int fd)
{
	int error = pageio_reopen(&mp->io, fd, WITNESSES, true);
	int w = atomic_load(&mp->io.witness[0]);
	if (!error && w >= 0)
		mp->io.fd = w;
	return error;
}

/* These are this process's witnesses from now on. */
static void adopt(MPOOL *mp, const struct handed *h)
{
	struct pageio *io = &mp->io;
	hand_lock();
	/* Threads read and write by it. */
	if (io->fd >= 0 && atomic_load(&io->witness[0]) == io->fd) {
		mp->sharing.file = io->fd;
		mp->sharing.file_name = pageio_name(io->state, io->generation, 0);
		atomic_store(&io->witness[0], NO_WITNESS);
	}
	pageio_close(io, true);
	for (unsigned i = 0; i < h->n; i++)
		atomic_store(&io->witness[i], h->fd[i]);
	io->generation = h->generation;
	hand_unlock();
}

bool witness_join(MPOOL *mp)
{
	struct handed h;
	if (!hand_ask(mp, &h))
		return false;
	adopt(mp, &h);
	mp->io.fd = h.fd[0];
	return true;
}

/* Has anybody else who is alive those of the generation that it is, or of one that it may be again? */
static bool somebody_has(const MPOOL *mp)
{
	uint32_t top = atomic_load(&mp->members->top), now = atomic_load(&mp->io.state->generation);
	for (uint32_t i = 0; i < top; i++) {
		const struct member *m = &mp->members->member[i];
		uint32_t its = atomic_load(&m->generation);
		if (i != mp->pins.member && member_in(m) && its != 0 && its <= now &&
		    life_goes_on(mp->sharing.object, i))
			return true;
	}
	return false;
}

/* New ones, if they are as good. */
static int renew(MPOOL *mp, struct stripe *me)
{
	struct pageio fresh = mp->io;
	for (unsigned i = 0; i < WITNESSES; i++)
		atomic_store(&fresh.witness[i], NO_WITNESS);
	int error = pageio_reopen(&fresh, mp->io.fd, WITNESSES, false);
	if (error)
		return error;
	epoch_enter(&mp->epoch, me);
	writeback_distrust(mp);
	epoch_leave(me);
	/* After the frames, as in a flush. */
	if (pageio_left_any(&mp->io)) {
		pageio_close(&fresh, false);
		if (somebody_has(mp))
			return EAGAIN;
		atomic_store(&mp->io.state->lost, true);
		return EIO;
	}
	struct handed h = {.generation = atomic_load(&mp->io.state->newest) + 1};
	while (h.n < WITNESSES && atomic_load(&fresh.witness[h.n]) != NO_WITNESS) {
		h.fd[h.n] = atomic_load(&fresh.witness[h.n]);
		h.n++;
	}
	adopt(mp, &h);
	pageio_establish(&mp->io);
	return 0;
}

int witness_have(MPOOL *mp, struct stripe *me)
{
	struct handed h;
	if (!mp->io.shared || mp->io.generation == atomic_load(&mp->io.state->generation))
		return 0;
	int error = 0;
	if (hand_ask(mp, &h))
		adopt(mp, &h);
	else if (mp->io.generation != 0 && mp->io.generation < atomic_load(&mp->io.state->generation))
		pageio_establish(&mp->io);
	else
		error = renew(mp, me);
	if (!error)
		atomic_store(&own_record(mp)->generation, mp->io.generation);
	return error;
}

void witness_enter(MPOOL *mp)
{
	struct stripe *me = mp->sharing.keeper;
	if (mp->io.generation == atomic_load(&mp->io.state->generation))
		return;
	/* Should we die in this, the turn is to be given back. */
	atomic_store_explicit(&me->busy, 1, memory_order_release);
	/* In vain: then a sync tries again. */
	if (writeback_turn(mp, me)) {
		if (renew(mp, me) == 0)
			atomic_store(&own_record(mp)->generation, mp->io.generation);
		writeback_turn_over(mp);
	}
	/* Release: as at the end of a call (thread.h). */
	atomic_store_explicit(&me->busy, 0, memory_order_release);
}
