/*
 * watch.h - a thread that notices when a process of a shared pool dies.
 *
 * Owns that thread, one for all shared pools of the process, and what it waits for.  The
 * kernel tells it whenever a pool's object is closed (inotify(7)), and a dying process closes
 * last what it had mapped: its liveness lock is released right after (liveness.h).  So the
 * thread sleeps until an object is closed, checks for dead processes, and repeats that for a
 * moment.
 *
 * A closing is seldom a death, and 200 processes need not check 200 each: the processes that
 * are told of closings (`watching` in their records) check the members with the numbers after
 * theirs, up to the next that is told.  All members are checked only when nothing was closed
 * for a while, in case the process whose turn it was is stopped, or dead too.
 *
 * Instances of inotify are few, 128 a user, and other programs need them too.  One serves all
 * pools of a process; and it is only taken with a seat, a lock held as liveness locks are, of
 * which there are a quarter as many as instances (object.h).  A process without a seat, or
 * without memory, a descriptor or a watch for it, is told nothing: its thread checks a
 * neighbour once a second, and tries to get a seat again; its waiters check after a timeout
 * (core_timeout); and processes with a seat recover those that die in their pools.
 *
 *   a pool: idle --a closing; it begins to be watched--> restless
 *           restless --nothing closed for LAST_LOOK_MS; nobody else is there--> idle
 *
 * The lists and the other state are under one lock, a leaf (fork.h), which is not held while
 * the thread checks a pool; the thread itself is started and ended under another.  In the
 * child of a fork there is none of it.  A program may close descriptors that it does not know:
 * the thread notices within five seconds, and is told nothing from then on; it writes to no
 * descriptor, and reads only those that epoll(7) says are still ours.
 */
#ifndef MPOOL_WATCH_H
#define MPOOL_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sharing;

struct watch_ring {
	struct watch_ring *next, *before;
};

/* Of a shared pool. */
struct watch {
	struct watch_ring all, restless; /* restless.next NULL: idle */
	int subject;                     /* what inotify calls the object; -1: it tells nothing of it */
	unsigned pause_ms;               /* restless: from this check to the next */
	uint64_t look_ns, all_seen_ns;   /* when to check; when all members were checked */
	bool begun;
};

/* If there can be no thread, the pool is not watched. */
void watch_begin(struct sharing *sh);
/* After it the thread does not use the pool any more. */
void watch_end(struct sharing *sh);

/*
 * A descriptor that the same thread waits for: whenever it can be read, or is hung up,
 * `ready` is called, by the thread, with all signals blocked.  It must not wait, nor
 * begin or end anything here.  The caller's; not to be moved between begin and end.
 */
struct watch_descriptor {
	struct watch_ring all;
	int fd;
	void (*ready)(void *of);
	void *of;
};
/* 0, or an errno. */
int watch_descriptor_begin(struct watch_descriptor *d);
/* When it returns `ready` is not running, and will not.  The descriptor is still open. */
void watch_descriptor_end(struct watch_descriptor *d);

/* Around a fork; see fork.h.  In the child nothing is watched, and pools that were are not to be ended. */
void watch_before_fork(void);
void watch_after_fork(bool child);

#endif
