/* object.c - see object.h. */
#include "share/object.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "share/header.h"

#define LOCK_FILE      "lock"
#define ONLY_THE_USER  0700
#define ONLY_TO_USE    0600
#define FOR_OTHERS     077
#define MAGIC          "mpool\r\n\032"
#define LAYOUT_VERSION 3u
#define NS_PER_S       UINT64_C(1000000000)
/* Bytes of the file of locks that are no key's: seats.  One of so many instances of inotify is ours; and so many at most. */
#define SEAT_BYTES ((off_t)1 << 62)
#define SEAT_SHARE 4u
#define SEATS_MAX  32u
/* An object's number: below this. */
#define NUMBERS 16u
/* Who waits for a key's lock looks so often whether it has it. */
#define FIRST_NAP_NS 50000
#define LAST_NAP_NS  1000000

uint64_t object_memory_page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

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

static bool only_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & FOR_OTHERS);
}

int share_directory(bool make)
{
	char path[sizeof OBJECTS + 3 * sizeof(uid_t)];
	struct stat st;
	snprintf(path, sizeof path, OBJECTS, (unsigned)geteuid());
	bool made = make && mkdir(path, ONLY_THE_USER) == 0;
	if (make && !made && errno != EEXIST) {
		/* No such directory, and not no such file, which the pool's might be taken for. */
		errno = errno == ENOENT || errno == ENOTDIR ? ENOTSUP : errno;
		return -1;
	}
	if (made)
		(void)chmod(path, ONLY_THE_USER); /* whatever the umask; nobody else may put another there */
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0) {
		if (errno == ELOOP || errno == ENOTDIR)
			errno = EACCES; /* somebody has put something else there */
		return -1;
	}
	if (fstat(dir, &st) == 0 && only_ours(&st))
		return dir;
	close(dir);
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
	int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, ONLY_TO_USE);
	if (fd < 0)
		return errno;
	(void)fchmod(fd, ONLY_TO_USE); /* whatever the umask of who made it */
	close(fd);
	return 0;
}

/* The kernel waits for such a lock with a signal's help only, so this looks again and again. */
int share_lock_key(struct hold *lock, int dir, uint64_t key_hash, unsigned seconds)
{
	struct timespec nap = {.tv_nsec = FIRST_NAP_NS};
	uint64_t napped = 0;
	int error = make_lock_file(dir);
	*lock = (struct hold){NULL, -1};
	while (!error) {
		error = hold_byte(lock, dir, LOCK_FILE, key_byte(key_hash), 1);
		if (error != EAGAIN && error != EACCES && error != EINTR)
			return error;
		if (napped >= seconds * NS_PER_S)
			return ETIMEDOUT;
		error = 0;
		nanosleep(&nap, NULL);
		napped += (uint64_t)nap.tv_nsec;
		nap.tv_nsec = nap.tv_nsec < LAST_NAP_NS ? 2 * nap.tv_nsec : LAST_NAP_NS;
	}
	return error;
}

bool share_key_locked(int dir, uint64_t key_hash)
{
	int fd = openat(dir, LOCK_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = key_byte(key_hash), .l_len = 1};
	if (fd < 0)
		return errno != ENOENT;
	/* On error assume that it is locked. */
	bool locked = fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
	close(fd);
	return locked;
}

/* How many instances of inotify the user may have, for all programs. */
static unsigned instances_max(void)
{
	char digits[16] = "";
	int fd = open("/proc/sys/fs/inotify/max_user_instances", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, digits, sizeof digits - 1);
	if (fd >= 0)
		close(fd);
	return n > 0 ? (unsigned)strtoul(digits, NULL, 10) : SEATS_MAX * SEAT_SHARE;
}

int share_take_seat(struct hold *seat)
{
	unsigned seats = instances_max() / SEAT_SHARE;
	int dir = share_directory(false);
	if (dir < 0)
		return errno;
	int error = hold_byte(seat, dir, LOCK_FILE, SEAT_BYTES, seats < SEATS_MAX ? seats : SEATS_MAX);
	close(dir);
	return error;
}

/* ---- objects ------------------------------------------------------------ */

bool share_read(int object, void *to, size_t bytes, uint64_t at)
{
	ssize_t n = pread(object, to, bytes, (off_t)at);
	return n >= 0 && (size_t)n == bytes;
}

void object_place_parts(struct preamble *p)
{
	p->key_at = object_round_up(sizeof *p, object_memory_page());
	p->header_at = object_round_up(p->key_at + p->key_bytes + 1, object_memory_page());
	p->frames_at = object_round_up(p->header_at + sizeof(struct header), object_memory_page());
	p->chunks_at = object_round_up(p->frames_at + frames_bytes(p->pagesize, p->limit), object_memory_page());
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
	struct stat st;
	*key = NULL;
	if (fstat(object, &st) != 0)
		return errno;
	if (!share_read(object, p, sizeof *p, 0) || !layout_right(p, (uint64_t)st.st_size))
		return EBADMSG;
	*key = calloc(1, (size_t)p->key_bytes + 1);
	if (!*key)
		return ENOMEM;
	if (share_read(object, *key, p->key_bytes, p->key_at) && p->check == object_check(p, *key))
		return 0;
	free(*key);
	*key = NULL;
	return EBADMSG;
}

int share_open_object(int dir, const char *name, int mode)
{
	struct stat st;
	int fd = descriptor_apart(openat(dir, name, mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && only_ours(&st))
		return fd;
	if (fd >= 0) {
		close(fd);
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
		unlinkat(dir, name, 0);
	else if ((error = share_read_preamble(fd, &p, &its_key)) == 0) {
		if (share_has_key(&p, its_key, key))
			*object = fd;
		free(its_key);
	}
	if (*object != fd)
		close(fd);
	return error;
}

DIR *share_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	return d;
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
		int fd = openat(dir, sh->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, ONLY_TO_USE);
		sh->object = descriptor_apart(fd);
		if (sh->object >= 0)
			return fchmod(sh->object, ONLY_TO_USE) == 0 ? 0 : errno;
		int error = errno;
		if (fd >= 0)
			unlinkat(dir, sh->name, 0);
		if (fd >= 0 || error != EEXIST)
			return error;
	}
	return ENOSPC;
}

int object_map(struct sharing *sh, uint64_t bytes)
{
	struct stat st;
	if (fstat(sh->object, &st) != 0)
		return errno;
	if (bytes > PTRDIFF_MAX)
		return ENOMEM;
	/* A program may have all that it maps locked in memory (mlockall), where it can be accessed: of this, all of /dev/shm. */
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, sh->object, 0);
	if (map == MAP_FAILED)
		return errno == EAGAIN ? ENOMEM
		                       : errno;   /* all is to be locked in memory, and that is more than may be */
	(void)madvise(map, bytes, MADV_DONTDUMP); /* a core file with all of it could fill the disk */
	if (munlock(map, bytes) != 0 || mprotect(map, bytes, PROT_READ | PROT_WRITE) != 0) {
		int error = errno;
		munmap(map, bytes);
		return error;
	}
	sh->map = map;
	sh->bytes = bytes;
	sh->dev = st.st_dev;
	sh->ino = st.st_ino;
	snprintf(sh->path, sizeof sh->path, OBJECTS "/%s", (unsigned)geteuid(), sh->name);
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
