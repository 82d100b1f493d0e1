/*
 * watch.h - a thread that notices when a process of a shared pool dies.
 *
 * Owns that thread, one for all shared pools of the process, and what it waits for.
 * The kernel tells it whenever a pool's object is closed (inotify(7)), and the last
 * that a dying process does is to close what it had mapped: its liveness lock goes right
 * after (liveness.h).  So the thread sleeps until there is something to look at, looks,
 * and for a moment looks again.
 *
 * A closing is seldom a death, and 200 processes need not look at 200 each: those
 * that are told (`watching` in their records) look each at the members that come
 * after them, up to the next that is told, and at all only when nothing was closed
 * for a while: should the one whose turn it was be stopped, or dead too.
 *
 * Instances of inotify are few, 128 a user, and other programs need them too.  One
 * serves all pools of a process; and it is had with a seat only, a lock as liveness locks
 * are, of which there are a quarter as many as instances (object.h).  Who finds no
 * seat, or no memory, descriptor or watch for it, is told nothing: its thread looks
 * at a neighbour once a second, and tries again; its waiters look by themselves
 * (core_timeout); and those with a seat recover whoever dies in a pool of theirs.
 *
 *   a pool: idle --a closing; it begins to be watched--> restless
 *           restless --nothing closed for LAST_LOOK_MS; nobody else is there--> idle
 *
 * The lists and what follows from them are under one lock, a leaf (fork.h), which is
 * not held while the thread looks; the thread itself is begun and ended under another.
 * In the child of a fork there is none of it.  A program may close descriptors that
 * it does not know: then the thread finds out, within five seconds, and is told nothing
 * any more; it writes to none, and reads of none but what epoll(7) says is ours.
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
	unsigned pause_ms;               /* restless: from this look to the next */
	uint64_t look_ns, all_seen_ns;   /* when to look; when all were looked at */
	bool begun;
};

/* None may be had: then the pool goes without. */
void watch_begin(struct sharing *sh);
/* When it returns the thread is not looking at the pool, and will not. */
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
