/*
 * ring_full.h - a ring whose kernel takes nothing just now, for test_ahead_faults.cpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef RING_FULL_H
#define RING_FULL_H

#ifdef __cplusplus
extern "C" {
#endif

/* One read is in flight, and another is queued, of which the kernel does not want to hear, with this errno, until the first is done. */
struct ring_full {
	unsigned told;     /* how often it was told meanwhile */
	unsigned waited;   /* and how often it was waited for something to be done */
	int first, second; /* what became of the two: bytes, or minus an errno */
	int broken;
};
/* -1: there are no rings here. */
int ring_full(int error, struct ring_full *result);

#ifdef __cplusplus
}
#endif

#endif
