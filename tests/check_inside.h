/*
 * check_inside.h - wrong steps, for test_check.cpp: each is made in a process of its own.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TESTS_CHECK_INSIDE_H
#define MPOOL_TESTS_CHECK_INSIDE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct MPOOL;

/*
 * `make` is given a pool of four frames, of which the calling thread has pinned page 0, at
 * `page`; pages 1 to 3 are in the others, clean.  Then the pool is closed.
 */
struct planted {
	const char *what;
	const char *says; /* of what is said */
	void (*make)(struct MPOOL *mp, char *page);
};
extern const struct planted planted[];
extern const size_t planted_steps;

/* Steps from state to state of an entry that pass, of all that there are. */
size_t planted_entry_steps(size_t *of);

#ifdef __cplusplus
}
#endif

#endif
