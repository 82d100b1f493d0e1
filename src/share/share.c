/* share.c - see share.h. */
#include "share/share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "share/hand.h"
#include "api/pool.h"
#include "share/recover.h"
#include "core/resize.h"
#include "share/witness.h"

#define SHARED_MEMORY  "/dev/shm"
#define LOCK_FILE      "lock"
#define ONLY_THE_USER  0700
#define ONLY_TO_USE    0600
#define FOR_OTHERS     077
#define MAGIC          "mpool\r\n\032"
#define LAYOUT_VERSION 2u
/* Stripes that there is memory for from the start: pages may take all that there is, and pins are needed then. */
#define STRIPES_AT_FIRST 64u
#define NS_PER_S   UINT64_C(1000000000)
/* Bytes of the file of locks that are no key's: seats.  One of so many instances of inotify is ours; and so many at most. */
#define SEAT_BYTES ((off_t)1 << 62)
#define SEAT_SHARE 4u
#define SEATS_MAX  32u
/* So many objects are looked at whenever a pool is made. */
#define STALE_FREE 16u
/* An object's number: below this. */
#define NUMBERS 16u
/* ... and looks so often whether it has the key's lock. */
#define FIRST_NAP_NS 50000
#define LAST_NAP_NS  1000000

/*
 * An object is so many times what its maker asks for, and at least so much, so that
 * others can ask for more; half of it is for the capacity, the rest for tables and
 * the overflow.  Only addresses are used up by that.
 */
#define OBJECT_TIMES 32u
#if UINTPTR_MAX > UINT32_MAX
#define OBJECT_MIN   ((uint64_t)64 << 30)
/* ... and no more than a process can map beside others, */
#define OBJECT_MOST  ((uint64_t)1 << 46)
#else
/* A 32-bit process has 2 to 4 GiB of addresses, for all that it does. */
#define OBJECT_MIN   ((uint64_t)128 << 20)
#define OBJECT_MOST  ((uint64_t)1 << 30)
#endif
/* ... and less only where limits of the process leave no other way. */
#define OBJECT_LEAST ((uint64_t)32 << 20)
/* Bytes a frame takes beside its page, rounded up. */
#define FRAME_OVERHEAD 24u

/* What memory is given and taken back by: 4, 16 or 64 KiB.  Who share an object have one kernel. */
static uint64_t memory_page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t round_up(uint64_t n, uint64_t to)
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

static uint64_t preamble_check(const struct preamble *pre, const void *key)
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
	/* In doubt it is. */
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

/* Where the parts stand, for so many frames of that size and a key of that length. */
static void place_parts(struct preamble *p)
{
	p->key_at = round_up(sizeof *p, memory_page());
	p->header_at = round_up(p->key_at + p->key_bytes + 1, memory_page());
	p->frames_at = round_up(p->header_at + sizeof(struct header), memory_page());
	p->chunks_at = round_up(p->frames_at + frames_bytes(p->pagesize, p->limit), memory_page());
}

static bool layout_right(const struct preamble *p, uint64_t size)
{
	if (memcmp(p->magic, MAGIC, sizeof p->magic) != 0 || p->version != LAYOUT_VERSION || p->bytes != sizeof *p ||
	    p->header_bytes != sizeof(struct header) || p->key_bytes > MPOOL_KEY_MAX || p->pagesize == 0 || p->limit == 0 || p->limit > FRAMES_MAX / 2)
		return false;
	struct preamble right = *p;
	place_parts(&right);
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
	if (share_read(object, *key, p->key_bytes, p->key_at) && p->check == preamble_check(p, *key))
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
static int look_at(int dir, const char *name, struct share_key key, int *object)
{
	struct preamble p;
	char *its_key;
	int fd = share_open_object(dir, name, O_RDWR);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	int error = 0;
	if (!life_any(fd))
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

/* The object of the key among those of its hash, -1: there is none; or an errno. */
static int find_object(int dir, struct share_key key, struct sharing *sh)
{
	int error = 0;
	sh->object = -1;
	for (unsigned n = 0; n < NUMBERS && sh->object < 0 && !error; n++) {
		name_object(sh, n);
		error = look_at(dir, sh->name, key, &sh->object);
	}
	return error;
}

/* With no key's lock held, for one that dies in this must not have two. */
static void remove_if_stale(int dir, const char *name, uint64_t its)
{
	struct hold lock;
	int object = share_open_object(dir, name, O_RDONLY);
	/* It may be one that is just being made: so it is looked at again, with the lock. */
	if (object >= 0 && !life_any(object) && share_lock_key(&lock, dir, its, 0) == 0) {
		if (!life_any(object))
			unlinkat(dir, name, 0);
		hold_end(&lock);
	}
	if (object >= 0)
		close(object);
}

/*
 * What crashes have left under other keys: they may never be opened again.  Whoever
 * makes many pools looks not at all of them for each, but at as many as it makes.
 */
static void remove_stale(int dir)
{
	static _Atomic unsigned made, seen;
	uint64_t its;
	if (atomic_fetch_add(&made, 1) < atomic_load(&seen))
		return;
	unsigned n = 0;
	DIR *d = share_entries(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (share_name_hash(e->d_name, &its)) {
			remove_if_stale(dir, e->d_name, its);
			n++;
		}
	if (d)
		closedir(d);
	hand_remove_stale(dir);
	atomic_store(&seen, n > STALE_FREE ? n : 0);
	atomic_store(&made, 0);
}

/* A new, empty one.  0, or an errno. */
static int create_object(int dir, struct sharing *sh)
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

/* Map all of it.  0, or an errno. */
static int map_object(struct sharing *sh, uint64_t bytes)
{
	struct stat st;
	if (fstat(sh->object, &st) != 0)
		return errno;
	if (bytes > PTRDIFF_MAX)
		return ENOMEM;
	/* A program may have all that it maps locked in memory (mlockall), where it can be accessed: of this, all of /dev/shm. */
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, sh->object, 0);
	if (map == MAP_FAILED)
		return errno == EAGAIN ? ENOMEM : errno; /* all is to be locked in memory, and that is more than may be */
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

bool share_object_is_ours(const MPOOL *mp)
{
	struct member_object o = share_object(mp);
	return member_is(o.fd, &o);
}

struct member_object share_object(const MPOOL *mp)
{
	const struct sharing *sh = &mp->sharing;
	return (struct member_object){sh->object, sh->dev, sh->ino, sh->path[0] ? sh->path : NULL};
}

/* ---- the file ----------------------------------------------------------- */

static bool is_the_file(const struct stat *st, const struct preamble *p)
{
	return st->st_dev == p->file_dev && st->st_ino == p->file_ino;
}

/* Open it by some path; -1 and errno, ENOENT: it is another one. */
static int open_file(const char *path, const struct preamble *p)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return -1;
	/* Another one is left alone: to open and close a pipe, or a device, does something to it. */
	if (!is_the_file(&st, p)) {
		errno = ENOENT;
		return -1;
	}
	/* Whatever has come there meanwhile, opening it must not wait. */
	uint64_t forks = descriptor_forks();
	int fd = descriptor_open(path, (int)p->file_flags | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || (fstat(fd, &st) == 0 && is_the_file(&st, p)))
		return fd;
	descriptor_let_go(fd, descriptor_since(forks));
	errno = ENOENT;
	return -1;
}

/* The pool's file for a process that joins; -1 and errno. */
static int find_file(const struct preamble *p, const struct member_state *ms)
{
	int fd = open_file(p->path, p), error = errno;
	uint32_t top = atomic_load(&ms->top);
	for (uint32_t i = 0; fd < 0 && i < top && i < MEMBERS_MAX; i++) {
		char path[sizeof "/proc//fd/" + 3 * 2 * sizeof(int)];
		const struct member *m = &ms->member[i];
		if (!member_in(m))
			continue;
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)m->pid, (int)m->fd);
		fd = open_file(path, p);
	}
	if (fd < 0)
		errno = error;
	return fd;
}

static int describe_file(struct preamble *p, int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) != 0)
		return errno;
	p->file_flags = (uint32_t)(flags & FILE_FLAGS);
	p->file_dev = st.st_dev;
	p->file_ino = st.st_ino;
	/* Too long for us, or none: it is found by a descriptor then. */
	ssize_t n = descriptor_path(fd, p->path, sizeof p->path - 1);
	p->path[n > 0 ? n : 0] = 0;
	return 0;
}

/* ---- making ------------------------------------------------------------- */

static uint32_t limit_for(uint64_t total, uint32_t pagesize)
{
	uint64_t frames = total / 2 / ((uint64_t)pagesize + FRAME_OVERHEAD + PAGE_ALIGN);
	return frames < FRAMES_MAX / 2 ? (uint32_t)frames : FRAMES_MAX / 2;
}

/* Bytes a file may have in this process: beyond them a signal ends it. */
static uint64_t file_bytes_max(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur != RLIM_INFINITY ? l.rlim_cur : (uint64_t)INT64_MAX;
}

/* Has the process addresses for what it needs besides the object, beginning with its life lock's? */
static bool addresses_left(void)
{
	void *p = mmap(NULL, OBJECT_LEAST, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	munmap(p, OBJECT_LEAST);
	return true;
}

/* Settle the object's size, and map it.  0, or an errno. */
static int size_object(struct sharing *sh, struct preamble *p, uint32_t frames)
{
	uint64_t asked = (uint64_t)frames * ((uint64_t)p->pagesize + FRAME_OVERHEAD);
	asked = asked > OBJECT_MOST / OBJECT_TIMES ? OBJECT_MOST : asked * OBJECT_TIMES;
	uint64_t most = file_bytes_max();
	int error = EFBIG;
	for (uint64_t total = asked > OBJECT_MIN ? asked : OBJECT_MIN; total >= OBJECT_LEAST; total /= 2) {
		p->total = round_up(total, memory_page());
		p->limit = limit_for(total, p->pagesize);
		if (p->limit < frames)
			break;
		place_parts(p);
		if (p->total > most || p->chunks_at >= p->total)
			continue;
		error = ftruncate(sh->object, (off_t)p->total) != 0 ? errno : map_object(sh, p->total);
		if (!error && addresses_left())
			return 0;
		if (!error) {
			munmap(sh->map, sh->bytes);
			sh->map = NULL;
			error = ENOMEM;
		}
	}
	return error;
}

static struct header *header_of(const struct sharing *sh, const struct preamble *p)
{
	return (struct header *)((char *)sh->map + p->header_at);
}

void share_rooms(MPOOL *mp, const struct preamble *p, unsigned member)
{
	struct header *h = header_of(&mp->sharing, p);
	char *map = mp->sharing.map;
	region_share(&mp->region, map, &h->region);
	frames_share(&mp->frames, &mp->region, &h->frame, p->pagesize, map + p->frames_at, p->limit, p->unit);
	pool_rooms(mp, h, (enum barrier)p->barrier, member);
	mp->io.state = &h->pageio;
	mp->io.shared = true;
}

/* The region and the rooms of this process; `member` is its number. */
static void rooms(MPOOL *mp, const struct preamble *p, unsigned member)
{
	char *map = mp->sharing.map;
	share_rooms(mp, p, member);
	(void)madvise(map + p->frames_at, p->chunks_at - p->frames_at, MADV_HUGEPAGE); /* or without */
}

/* All that the object begins with.  0, or an errno. */
static int fill_object(MPOOL *mp, struct preamble *p, const void *key, uint32_t frames, uint32_t pages, bool tail)
{
	struct sharing *sh = &mp->sharing;
	char *map = sh->map;
	struct region whole = {.base = (uintptr_t)map};
	if (!region_commit(&whole, map, p->header_at + sizeof(struct header)))
		return ENOSPC;
	memcpy(map + p->key_at, key, p->key_bytes);
	struct header *h = header_of(sh, p);
	h->region.end = p->total;
	atomic_store(&h->region.top, p->chunks_at);
	rooms(mp, p, 0);
	h->wait.shared = true;
	h->doubt.buckets = DOUBT_BUCKETS;
	epoch_init(&h->epoch);
	atomic_store(&h->pin.users, USERS_MANY); /* and in other processes */
	if (!pin_make(&mp->pins, STRIPES_AT_FIRST) || !frames_grow(&mp->frames, frames) ||
	    table_init(&mp->tables, 0, resize_first(frames, pages)) != 0)
		return ENOSPC;
	clock_init(&h->clock, frames);
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	const uint64_t seed[] = {(uint64_t)t.tv_sec, (uint64_t)t.tv_nsec, (uint64_t)getpid(), sh->dev, sh->ino};
	h->pageio.name = share_hash_of(seed, sizeof seed) | 1;
	pageio_init(&mp->io, &h->pageio, pages, tail);
	mp->io.generation = 1;
	pageio_establish(&mp->io);
	p->check = preamble_check(p, key);
	memcpy(map, p, sizeof *p);
	return 0;
}

/* ---- joining ------------------------------------------------------------ */

bool share_sound(MPOOL *mp, const struct preamble *p)
{
	struct header *h = mp->header;
	struct region_state *r = &h->region;
	uint64_t top = atomic_load(&r->top);
	if (r->end != p->total || top < p->chunks_at || top > p->total || top % memory_page() != 0)
		return false;
	for (unsigned id = 0; id < CHUNK_COUNT; id++) {
		uint64_t place = atomic_load(&r->chunk[id]) & ~CHUNK_FLAGS;
		if (place == 0)
			continue;
		/* Looked at again after the place: a chunk may just have been added, at what was the top. */
		top = atomic_load(&r->top);
		if (top > p->total || place % memory_page() != 0 || place < p->chunks_at || place >= top)
			return false;
		if (id < CHUNK_TABLES ? atomic_load(&r->bytes[id]) > top - place
		                      : !table_sound(region_at(&mp->region, id), id, top - place))
			return false;
	}
	uint32_t head = atomic_load(&h->table.head), stripes = atomic_load(&h->pin.stripes);
	if (head < CHUNK_TABLES || head >= CHUNK_COUNT || !region_at(&mp->region, head) || stripes == 0 ||
	    stripes > STRIPES_MAX || !pins_sound(&mp->pins))
		return false;
	uint32_t capacity = frames_capacity(&mp->frames);
	return capacity > 0 && capacity <= p->limit && clock_sound(&h->clock, capacity) &&
	       atomic_load(&h->members.top) <= MEMBERS_MAX && frames_sound(&mp->frames);
}

/* Become a member, with the pool's lock held.  0, or an errno. */
static int enter(MPOOL *mp, int fd)
{
	struct member_state *ms = &mp->header->members;
	struct sharing *sh = &mp->sharing;
	struct member_object object = share_object(mp);
	int error = EAGAIN; /* as many processes as there may be */
	uint32_t member = 0;
	for (; member < MEMBERS_MAX; member++)
		if (!member_in(&ms->member[member]) &&
		    (error = life_begin(&sh->life, &object, member)) != EAGAIN && error != EACCES)
			break;
	if (error)
		return error;
	struct member *m = &ms->member[member];
	m->pid = getpid();
	m->fd = fd;
	m->since = time(NULL);
	atomic_store(&m->generation, mp->io.generation);
	atomic_store(&m->door, 0);
	atomic_store(&m->evictors, 0);
	if (atomic_load(&ms->top) <= member)
		atomic_store(&ms->top, member + 1);
	/* From here on, should we die, we are recovered. */
	atomic_fetch_or(&m->state, MEMBER_IN);
	mp->pins.member = member;
	mp->region.making = m->making;
	uint32_t from = 0;
	sh->keeper = pin_adopt(&mp->pins, true, &from);
	return sh->keeper ? 0 : ENOMEM;
}

/* Grow to `frames`, with the pool's lock held.  0, or an errno. */
static int grow_to(MPOOL *mp, uint32_t frames)
{
	uint32_t capacity = frames_capacity(&mp->frames);
	if (frames > capacity && !frames_grow(&mp->frames, frames))
		return frames > mp->frames.base.count ? ENOMEM : ENOSPC;
	if (frames > capacity)
		clock_cover(&mp->header->clock, frames);
	return 0;
}

/* The handle's own part is there.  Enter, recover who died, grow.  0, or an errno. */
static int become_member(MPOOL *mp, int fd, uint32_t frames)
{
	struct member_state *ms = &mp->header->members;
	struct hold lock = {NULL, -1};
	struct member_object object = share_object(mp);
	int error = member_lock(&lock, &object, PATIENCE_S);
	if (error)
		return error;
	error = enter(mp, fd);
	if (!error) {
		recover_dead_locked(mp);
		error = grow_to(mp, frames);
	}
	if (!error)
		witness_enter(mp);
	if (error && mp->sharing.keeper)
		recover_leave(mp);
	else if (error && mp->sharing.life.map)
		atomic_fetch_and(&ms->member[mp->pins.member].state, ~MEMBER_IN);
	member_unlock(&lock);
	return error;
}

/* ---- open and close ----------------------------------------------------- */

static int make(MPOOL *mp, int dir, struct share_key key, int fd, uint32_t frames)
{
	struct preamble *p = calloc(1, sizeof *p);
	uint32_t pages;
	bool tail;
	if (!p)
		return ENOMEM;
	uint32_t pagesize = mp->io.pagesize;
	int error = pageio_open(&mp->io, fd, pagesize, &pages, &tail) != 0 ? errno : witness_make(mp, fd);
	if (!error)
		error = describe_file(p, mp->io.fd);
	memcpy(p->magic, MAGIC, sizeof p->magic);
	p->version = LAYOUT_VERSION;
	p->bytes = sizeof *p;
	p->header_bytes = sizeof(struct header);
	p->pagesize = pagesize;
	p->align = (uint32_t)mp->io.align;
	p->key_bytes = (uint32_t)key.bytes;
	p->unit = frames_unit(frames);
	p->barrier = barrier_available(BARRIER_PROCESSES) ? BARRIER_PROCESSES : BARRIER_FENCE;
	if (!error)
		error = create_object(dir, &mp->sharing);
	if (!error)
		error = size_object(&mp->sharing, p, frames);
	if (!error)
		error = fill_object(mp, p, key.at, frames, pages, tail);
	if (!error)
		error = become_member(mp, mp->io.fd, frames);
	if (error && mp->sharing.object >= 0)
		unlinkat(dir, mp->sharing.name, 0);
	free(p);
	return error;
}

/* Is it open for writing? */
static bool writable(int fd)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	return flags != -1 && (flags & O_ACCMODE) != O_RDONLY;
}

static int join_object(MPOOL *mp, const struct preamble *p, int fd, uint32_t frames)
{
	if (p->pagesize != mp->io.pagesize)
		return EINVAL;
	/* Whoever made it could not open the file for writing: nobody's modified pages could be written. */
	if ((p->file_flags & O_ACCMODE) == O_RDONLY && writable(fd))
		return EROFS;
	if (p->barrier != BARRIER_FENCE && !barrier_available(BARRIER_PROCESSES))
		return ENOTSUP;
	int error = map_object(&mp->sharing, p->total);
	if (error)
		return error;
	rooms(mp, p, MEMBERS_MAX);
	if (!share_sound(mp, p))
		return EBADMSG;
	table_join(&mp->tables);
	mp->io.device = p->file_dev;
	mp->io.inode = p->file_ino;
	mp->io.align = p->align;
	mp->sharing.file_forks = descriptor_forks();
	if (!witness_join(mp))
		mp->io.fd = mp->sharing.file = find_file(p, &mp->header->members);
	if (mp->io.fd < 0)
		return errno;
	return become_member(mp, mp->io.fd, frames);
}

static int join(MPOOL *mp, int fd, uint32_t frames)
{
	struct preamble *p = malloc(sizeof *p);
	char *key = NULL;
	int error = p ? share_read_preamble(mp->sharing.object, p, &key) : ENOMEM;
	free(key);
	if (!error)
		error = join_object(mp, p, fd, frames);
	free(p);
	return error;
}

/* The program has closed that descriptor, and has another file by its number: then it is not ours to close. */
static bool is_another(int fd, dev_t dev, ino_t ino)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (st.st_dev != dev || st.st_ino != ino);
}

/* What this process has of the pool, but its membership. */
static void let_go(struct sharing *sh, bool parents)
{
	const struct preamble *p = sh->map; /* NULL: all that was opened is ours yet */
	/* A child has no copy of the life lock's mapping. */
	if (!parents)
		hold_end(&sh->life);
	if (sh->object >= 0 && !(p && is_another(sh->object, sh->dev, sh->ino)))
		close(sh->object);
	if (sh->file >= 0 && !(p && is_another(sh->file, p->file_dev, p->file_ino)))
		descriptor_let_go(sh->file, sh->file_name ? sh->file_name : descriptor_since(sh->file_forks));
	if (sh->map)
		munmap(sh->map, sh->bytes);
}

int share_open(MPOOL *mp, struct share_key key, int fd, uint32_t pagesize, uint32_t maxcache)
{
	struct sharing *sh = &mp->sharing;
	uint32_t frames = maxcache == 0 ? 1 : maxcache < FRAMES_MAX / 2 ? maxcache : FRAMES_MAX / 2;
	sh->object = sh->file = -1;
	if (key.bytes > MPOOL_KEY_MAX)
		return ENAMETOOLONG;
	sh->hash = share_hash(key);
	if (pagesize == 0)
		return EINVAL;
	mp->io.pagesize = pagesize;
	struct hold lock = {NULL, -1};
	int dir = share_directory(true), error = dir < 0 ? errno : share_lock_key(&lock, dir, sh->hash, PATIENCE_S);
	if (!error)
		error = find_object(dir, key, sh);
	bool made = !error && sh->object < 0;
	if (!error)
		error = made ? make(mp, dir, key, fd, frames) : join(mp, fd, frames);
	if (error) {
		pageio_close(&mp->io, !made);
		let_go(sh, false);
	}
	hold_end(&lock);
	if (made)
		remove_stale(dir);
	if (dir >= 0)
		close(dir);
	if (!error) {
		watch_begin(mp);
		hand_begin(mp);
	}
	return error;
}

/* Is the object the one of that name there?  A process that became another user's meanwhile sees another directory. */
static bool has_name(int dir, const struct sharing *sh)
{
	struct stat st;
	return fstatat(dir, sh->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == sh->dev && st.st_ino == sh->ino;
}

/* Give up the membership, and remove the object if that was the last. */
static void leave(MPOOL *mp)
{
	struct sharing *sh = &mp->sharing;
	struct hold key = {NULL, -1}, lock = key;
	struct member_object object = share_object(mp);
	int dir = share_directory(false);
	bool locked = dir >= 0 && share_lock_key(&key, dir, sh->hash, PATIENCE_S) == 0;
	/* Who cannot leave in time is taken for dead, and recovered. */
	if (member_lock(&lock, &object, PATIENCE_S) == 0) {
		recover_leave(mp);
		member_unlock(&lock);
	}
	hold_end(&sh->life);
	/* Without the lock somebody may be joining just now: who comes next removes it. */
	if (locked && share_object_is_ours(mp) && has_name(dir, sh) && !life_any(sh->object))
		sh->last = unlinkat(dir, sh->name, 0) == 0;
	hold_end(&key);
	if (dir >= 0)
		close(dir);
}

void share_close(MPOOL *mp, bool parents)
{
	if (!parents) {
		hand_end(mp);
		watch_end(mp);
		leave(mp);
	}
	pageio_close(&mp->io, !mp->sharing.last);
	let_go(&mp->sharing, parents);
}
