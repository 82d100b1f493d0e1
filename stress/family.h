/*
 * family.h - one process that starts others.
 *
 * Owns the rules of it: the parent keeps to one thread, so that it can fork at any
 * time; children die with it, whatever ends it; SIGCHLD is blocked in it, and
 * waited for.
 */
#ifndef STRESS_FAMILY_H
#define STRESS_FAMILY_H

#include <sys/types.h>

#include "mpool.h"

void family_start(void);

/* As fork(2), but it does not fail. */
pid_t family_fork(void);

/* Sleeps for so many seconds, or until a child ends or stops, or a signal comes. */
void family_doze(double seconds);

/* A child that ended, within so many seconds; 0: none did, or a signal came. */
pid_t family_wait(double seconds, int *status);

/* Kills a child, and waits for its end; not if it is 0. */
void family_kill(pid_t pid);

/* All who shared the pool of this key were killed: leaves nothing of it. */
void family_sweep_away(char *key, int fd, pgno_t page_size);

#endif
