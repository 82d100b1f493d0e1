/*
 * look.h - the pools of the user, seen from outside: for mpool-top.
 *
 * Owns nothing, and is no part of the libraries.  It joins no pool, writes to no object, and
 * waits for no process: it copies the words it needs out of the object with pread(2) into
 * memory of its own, and builds a handle for that copy, so that the library's modules work on
 * it as on any pool.  Reading where an object has no memory gives zeros and allocates nothing,
 * unlike a mapping; a copy does not change after its contents were checked, as a joining
 * process checks them; and no change of the object meanwhile, not even truncation, can crash
 * the reader.
 *
 * A copy is not of one instant, and may look damaged because it was being changed: the
 * object counts as damaged if several copies in a row are.
 *
 * A pool's state, as it is shown:
 *
 *   live       a process has its liveness lock (share/liveness.h)
 *   damaged    ... but what is in it no process could join: it is damaged, or was made by
 *              another version of the library
 *   changing   the key's lock is held, and no process has a liveness lock, or the object is not
 *              complete yet: it is being made or removed
 *   stale      no process has a liveness lock: left when all its processes crashed
 *   untrusted  not a plain file that only the user may use
 */
#ifndef MPOOL_LOOK_H
#define MPOOL_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mpool.h"
#include "share/key.h"

enum look_state { LOOK_LIVE, LOOK_CHANGING, LOOK_STALE, LOOK_DAMAGED, LOOK_UNTRUSTED };

/* Whether its number is its number here too: not in another PID namespace, as a container has one. */
enum look_where { LOOK_HERE, LOOK_ELSEWHERE, LOOK_NOT_TOLD };

struct look_process {
	int32_t pid;
	int64_t since; /* in seconds of the day's clock */
	uint64_t pinned;
	bool alive; /* false: it died and is not recovered yet */
	enum look_where where;
};

struct look_pool {
	enum look_state state;
	char name[OBJECT_NAME_MAX];
	ino_t ino;
	uint64_t memory; /* bytes that the object takes */
	char *key;       /* NULL: it cannot be read */
	size_t key_bytes;
	char *path;     /* of the file, when the pool was made; NULL: the same */
	bool elsewhere; /* there is another file at that path now, or none */
	bool counted;   /* all below is known */
	struct mpool_stats stats;
	uint64_t abandoned;
	uint32_t processes;
	struct look_process *process;
};

struct look {
	size_t n;
	struct look_pool *pool;
};

/* All objects of the user's directory, in no order.  0, or an errno; *l is to be freed in any case. */
int look_all(struct look *l);
void look_free(struct look *l);

/*
 * Remove a stale object, by its name or by its key.  0, or an errno: EBUSY: a process
 * lives that has it; ETIMEDOUT: somebody is opening or closing it, and does not end; ENOENT: there is none;
 * EACCES: it is not to be trusted.
 */
int look_remove(const char *name);
int look_remove_key(struct share_key key);

#endif
