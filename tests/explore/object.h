/*
 * object.h - the object that the processes of a run share.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef EXPLORE_OBJECT_H
#define EXPLORE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mpool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Its descriptor, another when it is opened again, and where in it the liveness locks are. */
#define OBJECT_FD    1001
#define OBJECT_AGAIN 1002
extern const off_t object_liveness;

/*
 * A run begins; the first mpool_open makes the pool.  `most` frames: room for the capacity to grow.
 * `silent`: who is asked for descriptors does not answer, being stopped.
 */
size_t object_bytes(uint32_t pagesize, uint32_t most);
void object_begin(void *at, uint32_t most, bool watched, bool silent);

/* Who runs from now on is of that process. */
#define OBJECT_PROCESSES 4
void object_process(unsigned p);
unsigned object_process_now(void);
/* No process has a pool open, or a thread that uses one. */
void object_processes_begin(void);

/* A thread of process 0 forks: before, and in the child.  Must it wait for who has that lock? */
void object_forks(void);
void object_forked(void);
/* A run begins: no transfer is in flight. */
void object_transfers_begin(void);
bool object_fork_waits_for(const void *mutex);

bool object_lives(unsigned process);
/* Is this process dead?  Its memory is given back nevertheless. */
bool object_dead(void);
/* Is it one that was opened, and not closed? */
bool object_open(MPOOL *mp);
/* A run was given up: what it left open is not. */
void object_forget_all(void);

#ifdef __cplusplus
}
#endif

#endif
