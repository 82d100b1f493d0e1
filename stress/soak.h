/*
 * soak.h - does the process use more and more of the machine?
 *
 * Owns the bounds.  What is used at most during the warm-up is the measure: the
 * file has grown by its end, all threads were there, every kind of call was made.
 * Later, resident memory may exceed it by SOAK_RESIDENT, the address space by
 * SOAK_ADDRESSES, and descriptors by none.  Sanitizers keep memory for purposes of
 * their own, so of a sanitized program only the descriptors are looked at.
 */
#ifndef STRESS_SOAK_H
#define STRESS_SOAK_H

#include <stdint.h>

enum {
	SOAK_WARM_UP = 30, /* seconds */
	SOAK_GROWTH = 15,  /* of which the file grows in these */
};
#define SOAK_RESIDENT  (UINT64_C(32) << 20)
#define SOAK_ADDRESSES (UINT64_C(512) << 20)

/* Once a second, with the time since the start. */
void soak_look(double now);
/* Bytes resident when it was looked last. */
uint64_t soak_resident(void);

#endif
