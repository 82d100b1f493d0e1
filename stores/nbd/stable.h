/*
 * stable.h - what a server may have lost, of what it has answered.
 *
 * Owns the numbers of writes, which count as they are answered.  Guarded by the loop's lock (loop.h).
 *
 *   answered --a flush that began later succeeds--> on stable storage
 *   answered --its connection is lost-------------> told to nobody --a flush that is answered--> told
 *
 * A flush covers what was answered when it began.  It fails, whatever the server says, while anything is told to nobody:
 * another server may have made it, which never had those writes.  So it tells of all that was answered when it began; what
 * was answered since, and lost, is for the next one.  A flush that could not be made tells of nothing: with its errno the
 * pool waits for one that can.
 */
#ifndef NBD_STABLE_H
#define NBD_STABLE_H

#include <stdint.h>

struct stable {
	uint64_t answered; /* writes, ever; their numbers are 1 to this */
	uint64_t flushed;  /* the last of those that a flush has covered */
	uint64_t lost;     /* the last that may be lost and was told to nobody; 0: none */
};

/* A write was answered: its number. */
static inline uint64_t stable_answered(struct stable *s)
{
	return ++s->answered;
}

/* A connection is lost; the last write that was answered on it had this number, 0: there was none. */
static inline void stable_lost(struct stable *s, uint64_t last)
{
	if (last > s->flushed && last > s->lost)
		s->lost = last;
}

/* A flush has ended that began when `answered` was `began`, with this errno or 0.  What to say of it. */
int stable_flushed(struct stable *s, uint64_t began, int error);

#endif
