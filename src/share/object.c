/* object.c - see object.h. */
#include "share/object.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/descriptor.h"
#include "os/file.h"
#include "os/map.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/time.h"
#include "share/header.h"

#define LOCK_FILE      "lock"
#define MAGIC          "mpool\r\n\032"
#define LAYOUT_VERSION 11u
/* Bytes of the file of locks that are no key's: seats.  One of so many instances of inotify is ours; and so many at most. */
#define SEAT_BYTES ((off_t)1 << 62)
#define SEAT_SHARE 4u
#define SEATS_MAX  32u
/* An object's number: below this. */
#define NUMBERS 16u
/* Who waits for a key's lock looks so often whether it has it. */
#define FIRST_NAP_NS 50000
#define LAST_NAP_NS  1000000

uint64_t object_round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* FNV-1a: for names, and to notice damage, not malice. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
	for (const unsigned char *b = bytes; n > 0; n--, b++)
		h = (h ^ *b) * HASH_PRIME;
	return h;
}

uint64_t share_hash_of(const void *bytes, size_t n)
{
	return hash(HASH_START, bytes, n);
}

uint64_t share_hash(struct share_key key)
{
	return share_hash_of(key.at, key.bytes);
}

uint64_t object_check(const struct preamble *pre, const void *key)
{
	struct preamble p = *pre;
	p.check = 0;
	return hash(hash(HASH_START, &p, sizeof p), key, p.key_bytes);
}

/* ---- the directory and its locks ---------------------------------------- */

int share_directory(bool make)
{
	char path[sizeof OBJECTS + 3 * sizeof(uid_t)];
	snprintf(path, sizeof path, OBJECTS, process_user());
	if (make && !file_make_directory(path) && errno != EEXIST) {
		/* No such directory, and not no such file, which the pool's might be taken for. */
		errno = errno == ENOENT || errno == ENOTDIR ? ENOTSUP : errno;
		return -1;
	}
	int dir = file_open_directory(path);
	if (dir < 0) {
		if (errno == ELOOP || errno == ENOTDIR)
			errno = EACCES; /* somebody has put something else there */
		return -1;
	}
	if (file_is_private(dir, S_IFDIR))
		return dir;
	descriptor_close(dir);
	errno = EACCES;
	return -1;
}

static off_t key_byte(uint64_t key_hash)
{
	return (off_t)(key_hash >> 2);
}

/* The file of locks: nobody has one by opening it. */
static int make_lock_file(int dir)
{
	int fd = file_make(dir, LOCK_FILE, false);
	if (fd < 0)
		return errno;
	(void)file_make_private(fd); /* whatever the umask of who made it */
	descriptor_close(fd);
	return 0;
}

/* The kernel waits for such a lock with a signal's help only, so this looks again and again. */
int share_lock_key(struct hold *lock, int dir, uint64_t key_hash, unsigned seconds)
{
	uint64_t nap = FIRST_NAP_NS, napped = 0;
	int error = make_lock_file(dir);
	*lock = (struct hold){NULL, -1};
	while (!error) {
		error = hold_byte(lock, dir, LOCK_FILE, key_byte(key_hash), 1);
		if (error != EAGAIN && error != EACCES && error != EINTR)
			return error;
		if (napped >= seconds * NS_PER_S)
			return ETIMEDOUT;
		error = 0;
		time_nap(nap);
		napped += nap;
		nap = nap < LAST_NAP_NS ? 2 * nap : LAST_NAP_NS;
	}
	return error;
}

bool share_key_locked(int dir, uint64_t key_hash)
{
	int fd = file_open(dir, LOCK_FILE, O_RDONLY);
	if (fd < 0)
		return errno != ENOENT;
	bool locked = lock_bytes_taken(fd, key_byte(key_hash), 1);
	descriptor_close(fd);
	return locked;
}

int share_take_seat(struct hold *seat)
{
	unsigned seats = notify_closings_max(SEATS_MAX * SEAT_SHARE) / SEAT_SHARE;
	int dir = share_directory(false);
	if (dir < 0)
		return errno;
	int error = hold_byte(seat, dir, LOCK_FILE, SEAT_BYTES, seats < SEATS_MAX ? seats : SEATS_MAX);
	descriptor_close(dir);
	return error;
}

/* ---- objects ------------------------------------------------------------ */

void object_place_parts(struct preamble *p)
{
	p->key_at = object_round_up(sizeof *p, map_page());
	p->header_at = object_round_up(p->key_at + p->key_bytes + 1, map_page());
	p->frames_at = object_round_up(p->header_at + sizeof(struct header), map_page());
	p->chunks_at = object_round_up(p->frames_at + frames_bytes(p->pagesize, p->limit), map_page());
}

void object_stamp(struct preamble *p)
{
	memcpy(p->magic, MAGIC, sizeof p->magic);
	p->version = LAYOUT_VERSION;
	p->bytes = sizeof *p;
	p->header_bytes = sizeof(struct header);
}

static bool layout_right(const struct preamble *p, uint64_t size)
{
	if (memcmp(p->magic, MAGIC, sizeof p->magic) != 0 || p->version != LAYOUT_VERSION || p->bytes != sizeof *p ||
	    p->header_bytes != sizeof(struct header) || p->key_bytes > MPOOL_KEY_MAX || p->pagesize == 0 ||
	    p->limit == 0 || p->limit > FRAMES_MAX / 2)
		return false;
	struct preamble right = *p;
	object_place_parts(&right);
	return p->key_at == right.key_at && p->header_at == right.header_at && p->frames_at == right.frames_at &&
	       p->chunks_at == right.chunks_at && p->chunks_at < p->total && p->total == size &&
	       p->path[PATH_MAX - 1] == 0;
}

int share_read_preamble(int object, struct preamble *p, char **key)
{
	uint64_t bytes;
	*key = NULL;
	int error = file_bytes(object, &bytes);
	if (error)
		return error;
	if (!file_read(object, p, sizeof *p, 0) || !layout_right(p, bytes))
		return EBADMSG;
	*key = calloc(1, (size_t)p->key_bytes + 1);
	if (!*key)
		return ENOMEM;
	if (file_read(object, *key, p->key_bytes, p->key_at) && p->check == object_check(p, *key))
		return 0;
	free(*key);
	*key = NULL;
	return EBADMSG;
}

int share_open_object(int dir, const char *name, int mode)
{
	int fd = descriptor_apart(file_open(dir, name, mode | O_NONBLOCK));
	if (fd >= 0 && file_is_private(fd, S_IFREG))
		return fd;
	if (fd >= 0) {
		descriptor_close(fd);
		errno = EACCES;
	} else if (errno == ELOOP || errno == ENXIO) {
		errno = EACCES;
	}
	return -1;
}

/* Is it the object of that key?  0, and *yes; or an errno.  Removes it if it is stale. */
static int check_object(int dir, const char *name, struct share_key key, int *object)
{
	struct preamble p;
	char *its_key;
	int fd = share_open_object(dir, name, O_RDWR);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	int error = 0;
	if (!liveness_any(fd))
		file_remove(dir, name);
	else if ((error = share_read_preamble(fd, &p, &its_key)) == 0) {
		if (share_has_key(&p, its_key, key))
			*object = fd;
		free(its_key);
	}
	if (*object != fd)
		descriptor_close(fd);
	return error;
}

bool share_name_hash(const char *name, uint64_t *its)
{
	char right[OBJECT_NAME_MAX];
	unsigned n;
	if (strlen(name) >= sizeof right || sscanf(name, "%16" SCNx64 "-%u", its, &n) != 2)
		return false;
	snprintf(right, sizeof right, OBJECT_PREFIX "%u", *its, n);
	return strcmp(name, right) == 0;
}

static void name_object(struct sharing *sh, unsigned n)
{
	snprintf(sh->name, sizeof sh->name, OBJECT_PREFIX "%u", sh->hash, n);
}

int object_find(int dir, struct share_key key, struct sharing *sh)
{
	int error = 0;
	sh->object = -1;
	for (unsigned n = 0; n < NUMBERS && sh->object < 0 && !error; n++) {
		name_object(sh, n);
		error = check_object(dir, sh->name, key, &sh->object);
	}
	return error;
}

int object_create(int dir, struct sharing *sh)
{
	for (unsigned n = 0; n < NUMBERS; n++) {
		name_object(sh, n);
		int fd = file_make(dir, sh->name, true);
		sh->object = descriptor_apart(fd);
		if (sh->object >= 0)
			return file_make_private(sh->object) ? 0 : errno;
		int error = errno;
		if (fd >= 0)
			file_remove(dir, sh->name);
		if (fd >= 0 || error != EEXIST)
			return error;
	}
	return ENOSPC;
}

int object_map(struct sharing *sh, uint64_t bytes)
{
	uint64_t device, inode;
	int error = descriptor_identity(sh->object, &device, &inode);
	if (error)
		return error;
	if (bytes > PTRDIFF_MAX)
		return ENOMEM;
	void *map = map_object(sh->object, bytes);
	if (!map)
		return errno;
	sh->map = map;
	sh->bytes = bytes;
	sh->dev = device;
	sh->ino = inode;
	snprintf(sh->path, sizeof sh->path, OBJECTS "/%s", process_user(), sh->name);
	return 0;
}

bool share_object_is_ours(const struct sharing *sh)
{
	struct member_object o = share_object(sh);
	return member_is(o.fd, &o);
}

struct member_object share_object(const struct sharing *sh)
{
	return (struct member_object){sh->object, sh->dev, sh->ino, sh->path[0] ? sh->path : NULL};
}
