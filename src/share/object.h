/*
 * object.h - the object behind a key, which the processes of a pool share.
 *
 * Owns the objects, files in /dev/shm/mpool-<user's number>, which only the user may enter,
 * and what a process knows of the one it has joined.
 *
 * An object is found by its key: its name is the key's hash and a small number, and the whole
 * key is stored in it, so that keys never collide.  Whoever opens or closes a pool of that key
 * holds the key's lock, a lock of the kernel's on one byte of the file "lock" there, held as
 * liveness locks are (liveness.h): it is released with the process, and excludes two threads,
 * or two copies of the library, of one process as it does two processes.  An object without a
 * living process is stale, whether it is half made or left when all its processes crashed.
 * It is removed when the same key is opened next, or when a process makes other pools: once
 * for about as many pools made as there are objects.  The last process to leave removes it.
 *
 *   preamble   constant: what is needed to trust the object and to map it
 *   key
 *   header     the pool's shared words (header.h)
 *   segment 0  addresses for `limit` frames: pages, words, hints, marks (frame.h)
 *   chunks     of the region
 *
 * The object is larger than it will ever need, and mapped as a whole, so that nothing in it
 * ever moves; it has memory only where that was allocated (region_commit).
 */
#ifndef MPOOL_OBJECT_H
#define MPOOL_OBJECT_H

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "share/key.h"
#include "share/sharing.h"

/* Where the user's objects are. */
#define OBJECTS "/dev/shm/mpool-%u"
/*
 * For how long a process that joins, leaves or removes waits for another that joins, leaves,
 * removes or recovers, in seconds of its naps.  On a busy machine naps take longer than asked
 * for, as does the other's work: a process that is only slow is waited for.
 */
#define LOCK_TIMEOUT_S 10u
/* An object's name: this, of its key's hash, and a number. */
#define OBJECT_PREFIX "%016" PRIx64 "-"

/* All of it is fixed before anybody else can see the object. */
struct preamble {
	char magic[8];
	uint32_t version, bytes; /* of this layout; of the preamble itself */
	uint32_t header_bytes, pagesize;
	uint32_t limit, unit;        /* frames */
	uint32_t barrier, key_bytes; /* at most MPOOL_KEY_MAX */
	uint32_t file_flags, align;  /* how the file is opened; for transfers from and to it */
	uint64_t file_dev, file_ino;
	uint64_t total, key_at, header_at, frames_at, chunks_at;
	uint64_t check; /* of all the rest, and the key */
	char path[PATH_MAX];
};

/* The object of the key among those of its hash: sh->object, -1: there is none; or an errno.  With the key's lock. */
int object_find(int dir, struct share_key key, struct sharing *sh);
/* A new, empty one.  0, or an errno. */
int object_create(int dir, struct sharing *sh);
/* Map all of it.  0, or an errno. */
int object_map(struct sharing *sh, uint64_t bytes);
/* Where its parts stand, for so many frames of that size and a key of that length. */
void object_place_parts(struct preamble *p);
/* The magic and the version of this layout. */
void object_stamp(struct preamble *p);
uint64_t object_check(const struct preamble *pre, const void *key);

uint64_t object_round_up(uint64_t n, uint64_t to);

/* Is the object's descriptor still what it was?  A program may close what it does not know. */
bool share_object_is_ours(const struct sharing *sh);
/* ... and how to open it again. */
struct member_object share_object(const struct sharing *sh);

/*
 * Of objects that this process need not have joined, for tools/look.c too.
 *
 * The user's directory of them, `make`: made if there is none.  -1 and errno, EACCES:
 * it is not to be trusted.
 */
int share_directory(bool make);
uint64_t share_hash(struct share_key key);
uint64_t share_hash_of(const void *bytes, size_t n);
/* Is it an object's name?  The hash in it. */
bool share_name_hash(const char *name, uint64_t *hash);
/*
 * The lock of a key, until hold_end.  0, or an errno; ETIMEDOUT: another, or another
 * thread of this process, has kept it for so many seconds (0: has it).
 */
int share_lock_key(struct hold *lock, int dir, uint64_t key_hash, unsigned seconds);
/* Has anybody that lock? */
bool share_key_locked(int dir, uint64_t key_hash);
/* Open an object, if it is one that may be trusted so far.  -1 and errno, EACCES: it is not. */
int share_open_object(int dir, const char *name, int mode);
/* The preamble, and the key's p->key_bytes bytes, which the caller frees.  0, or an errno: EBADMSG: it is damaged. */
int share_read_preamble(int object, struct preamble *p, char **key);
/* Is it of that key?  `key`: what was read with it. */
static inline bool share_has_key(const struct preamble *p, const char *its_key, struct share_key key)
{
	return p->key_bytes == key.bytes && memcmp(its_key, key.at, key.bytes) == 0;
}
/*
 * A seat for an instance of inotify, of those of the user's that pools may take
 * (watch.h).  0, or an errno, EAGAIN: all are taken.
 */
int share_take_seat(struct hold *seat);

#endif
