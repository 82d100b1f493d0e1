/*
 * share.h - one pool for many processes: the object behind a key.
 *
 * Owns the objects, files in /dev/shm/mpool-<user's number>, which only the user
 * may enter, and what a process knows of the one it has joined.
 *
 * An object is found by its key: its name begins with the key's hash, and the
 * whole key stands in it, so that keys never collide.  Whoever opens or closes a
 * pool of that key holds the key's lock, a lock of the kernel's on one byte of the
 * file "lock" there, which goes with the process that has it.  An object of which
 * no process is alive (member.h) is stale, be it half made or left by a crash of
 * all, and is removed by who comes next.  The last process to leave removes it.
 *
 *   preamble   constant: what is needed to trust the object and to map it
 *   key
 *   header     the pool's shared words (pool.h)
 *   segment 0  with room for `limit` frames: pages, words, hints, marks (frame.h)
 *   chunks     of the region
 *
 * The object is larger than it will ever be, and mapped as a whole, so that
 * nothing in it ever changes its place; it has memory only where that was asked
 * for (region_commit).
 *
 * The file: who makes the pool brings it.  Those who join open it by the path it
 * had, or, should that lead to another file by now, by the descriptor of a process
 * that has it open; device and inode tell that it is the one.
 */
#ifndef MPOOL_SHARE_H
#define MPOOL_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "member.h"
#include "mpool.h"
#include "watch.h"

/* Without a watch: how long to wait before looking whether somebody died. */
#define UNWATCHED_MS 50u

#define OBJECT_NAME_MAX 32u

struct stripe;

/* What this process knows of the pool that it shares. */
struct sharing {
	int object; /* a descriptor of it that holds no lock */
	int file;   /* the pool's file, opened by us; -1: it is the caller's descriptor */
	dev_t dev;  /* of the object */
	ino_t ino;
	char name[OBJECT_NAME_MAX];
	uint64_t hash; /* of the key */
	void *map;
	size_t bytes;
	struct life life;
	struct stripe *keeper; /* for recovering others, under the pool's lock */
	struct watch watch;
};

/*
 * Make, or join, the pool of that key: all of the handle but its serial.  0, or an
 * errno, as mpool_open has it.
 */
int share_open(MPOOL *mp, const char *key, int fd, uint32_t pagesize, uint32_t maxcache);
/* Leave it.  `parents`: in a child, whose parent goes on: only give memory and descriptors back. */
void share_close(MPOOL *mp, bool parents);

/* Is the object's descriptor still what it was?  A program may close what it does not know. */
bool share_object_is_ours(const MPOOL *mp);

/* The child of a fork. */
void share_after_fork_child(void);

#endif
