/*
 * share.h - one pool for many processes: the object behind a key.
 *
 * Owns the objects, files in /dev/shm/mpool-<user's number>, which only the user
 * may enter, and what a process knows of the one it has joined.
 *
 * An object is found by its key: its name is the key's hash and a small number, and
 * the whole key stands in it, so that keys never collide.  Whoever opens or closes a
 * pool of that key holds the key's lock, a lock of the kernel's on one byte of the
 * file "lock" there, held as life locks are (member.h): it goes with the process
 * that has it, and two threads, or two copies of the library, of one process exclude
 * each other by it as two processes do.  An object of which no process is alive is
 * stale, be it half made or left by a crash of all, and is removed by who comes next
 * with that key, or makes other pools: not each time, but as often as there are
 * objects to be looked at.  The last process to leave removes it.
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

#include <inttypes.h>
#include <limits.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "share/member.h"
#include "mpool.h"
#include "share/watch.h"

/* Without a watch: how long to wait before looking whether somebody died. */
#define UNWATCHED_MS 50u

/* Where the user's objects are. */
#define OBJECTS "/dev/shm/mpool-%u"
#define OBJECT_NAME_MAX 32u
#define OBJECT_PATH_MAX 64u
/*
 * Who joins, leaves or removes waits no longer than that for another process that joins,
 * leaves, removes or recovers: in seconds that he has napped.  On a busy machine his naps take
 * longer than he asks for, as what the other does takes longer: who is only slow is waited for.
 */
#define PATIENCE_S 10u
/* An object's name: this, of its key's hash, and a number. */
#define OBJECT_PREFIX "%016" PRIx64 "-"

/* All of it is fixed before anybody else can see the object. */
struct preamble {
	char magic[8];
	uint32_t version, bytes; /* of this layout; of the preamble itself */
	uint32_t header_bytes, pagesize;
	uint32_t limit, unit; /* frames */
	uint32_t barrier, key_bytes; /* at most MPOOL_KEY_MAX */
	uint32_t file_flags, align; /* how the file is opened; for transfers from and to it */
	uint64_t file_dev, file_ino;
	uint64_t total, key_at, header_at, frames_at, chunks_at;
	uint64_t check; /* of all the rest, and the key */
	char path[PATH_MAX];
};

struct stripe;

/* What this process knows of the pool that it shares. */
struct sharing {
	int object; /* a descriptor of it that holds no lock */
	int file;   /* the pool's file, opened by us; -1: it is had by a witness, or the caller's descriptor */
	uint64_t file_name; /* it was a witness of that name; 0: it never was */
	uint64_t file_forks; /* when it was opened; see descriptor.h */
	dev_t dev;  /* of the object */
	ino_t ino;
	char name[OBJECT_NAME_MAX];
	uint64_t hash; /* of the key */
	bool last; /* it was left by us, and nobody else was there */
	void *map;
	size_t bytes;
	char path[OBJECT_PATH_MAX]; /* of the object, when this process opened it */
	struct hold life;
	struct stripe *keeper; /* for recovering others, under the pool's lock */
	struct watch watch;
	MPOOL *next_handed; /* hand room: in the list of those whose witnesses are handed out */
};

/* Any bytes, NUL too; with 0 of them it is a key as any other. */
struct share_key {
	const void *at;
	size_t bytes;
};

/*
 * Make, or join, the pool of that key: all of the handle but its serial.  0, or an
 * errno, as mpool_open has it.
 */
int share_open(MPOOL *mp, struct share_key key, int fd, uint32_t pagesize, uint32_t maxcache);
/* Leave it.  `parents`: in a child, whose parent goes on: only give memory and descriptors back. */
void share_close(MPOOL *mp, bool parents);

/* Is the object's descriptor still what it was?  A program may close what it does not know. */
bool share_object_is_ours(const MPOOL *mp);
/* ... and how to open it again. */
struct member_object share_object(const MPOOL *mp);

/*
 * Of objects that this process need not have joined, for the look room too.
 *
 * The user's directory of them, `make`: made if there is none.  -1 and errno, EACCES:
 * it is not to be trusted.
 */
int share_directory(bool make);
uint64_t share_hash(struct share_key key);
uint64_t share_hash_of(const void *bytes, size_t n);
/* What is in the directory, to be closed by closedir; NULL and errno. */
DIR *share_entries(int dir);
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
bool share_read(int object, void *to, size_t bytes, uint64_t at);
/* The preamble, and the key's p->key_bytes bytes, which the caller frees.  0, or an errno: EBADMSG: it is damaged. */
int share_read_preamble(int object, struct preamble *p, char **key);
/* Is it of that key?  `key`: what was read with it. */
static inline bool share_has_key(const struct preamble *p, const char *its_key, struct share_key key)
{
	return p->key_bytes == key.bytes && memcmp(its_key, key.at, key.bytes) == 0;
}
/* The handle's rooms, for what is mapped; `member` is this process's number. */
void share_rooms(MPOOL *mp, const struct preamble *p, unsigned member);
/* Of what changes, does that look as this code leaves it which would be followed blindly? */
bool share_sound(MPOOL *mp, const struct preamble *p);

/*
 * A seat for an instance of inotify, of those of the user's that pools may take
 * (watch.h).  0, or an errno, EAGAIN: all are taken.
 */
int share_take_seat(struct hold *seat);

#endif
