/*
 * draw.h - random numbers for the choices of one thread.
 *
 * The state is the caller's, and never 0.  Marsaglia's xorshift generator.
 */
#ifndef STRESS_DRAW_H
#define STRESS_DRAW_H

#include <stdint.h>

static inline uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* From 0 to n - 1. */
static inline unsigned draw_below(uint64_t *state, unsigned n)
{
	return (unsigned)((draw(state) >> 32) * n >> 32);
}

/* Neighbouring seeds begin alike, so the first draws are thrown away. */
static inline uint64_t draw_start(uint64_t seed)
{
	enum { WARM_UP = 64 };
	uint64_t state = seed | 1;

	for (unsigned i = 0; i < WARM_UP; i++)
		draw(&state);
	return state;
}

#endif
