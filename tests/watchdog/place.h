/*
 * place.h - shared pools of the tests in a place of their own.
 *
 * The pools of a user are files in /dev/shm.  A test whose process has a /dev/shm of its
 * own sees nobody else's, disturbs none, and finds room whatever others have left there.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TESTS_PLACE_H
#define MPOOL_TESTS_PLACE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Give this process, and those that it starts from now on, an empty /dev/shm: by root's
 * right, or else in a user namespace, in which it is who it was and may do no more than
 * mount.  False: the system lets it have none, and nothing has changed.
 *
 * Before there are threads.  A second call gives another one, of that size (as mount(8)
 * has it; NULL: the usual).
 */
bool place_own(const char *size);
/* Has it been given one? */
bool place_is_own(void);

#ifdef __cplusplus
}
#endif

#endif
