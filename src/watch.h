/*
 * watch.h - a thread that notices when a process of a shared pool dies.
 *
 * Owns that thread, one for each shared pool that is open.  The kernel tells it
 * whenever the object is closed (inotify(7)), and the last that a dying process
 * does is to close what it had mapped: its life lock goes right after (member.h).
 * So the thread sleeps until there is something to look at, looks, and for a
 * moment looks again.
 *
 * Where no watch can be had, for lack of memory, of descriptors or of what the
 * system lets a user watch, those who wait look by themselves from time to time.
 */
#ifndef MPOOL_WATCH_H
#define MPOOL_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "mpool.h"

struct watch {
	pthread_t thread;
	int events; /* what inotify tells */
	int subject;
	bool begun;
	_Atomic bool awake; /* the watch goes on; false: who waits must look by itself */
	_Atomic bool ending;
};

void watch_begin(MPOOL *mp);
void watch_end(MPOOL *mp);
/* In the child of a fork, where there is no such thread. */
void watch_forget(struct watch *w);

#endif
