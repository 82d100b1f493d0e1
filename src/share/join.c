/* join.c - see join.h. */
#include "share/join.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/resize.h"
#include "io/catalog.h"
#include "os/descriptor.h"
#include "os/file.h"
#include "os/map.h"
#include "os/process.h"
#include "os/time.h"
#include "share/files.h"
#include "share/hand.h"
#include "share/header.h"
#include "share/recover.h"
#include "share/witness.h"

/* Who joins, and asks for more pages, waits so often for one that changes the pool's size: for LOCK_TIMEOUT_S, if that is stopped. */
#define LIMIT_WAITS (LOCK_TIMEOUT_S * 1000u / UNWATCHED_MS)
/* Stripes whose memory is allocated at the start: pages may use up all memory, and pins are needed then. */
#define STRIPES_AT_FIRST 64u
/* Up to so many objects are checked whenever a pool is made. */
#define STALE_FREE 16u

/*
 * An object is so many times what its maker asks for, and at least so much, so that
 * others can ask for more; half of it is for the capacity, the rest for tables and
 * the overflow.  Only addresses are used up by that.
 */
#define OBJECT_TIMES 32u
#if UINTPTR_MAX > UINT32_MAX
#define OBJECT_MIN ((uint64_t)64 << 30)
/* ... and no more than a process can map beside others, */
#define OBJECT_MOST ((uint64_t)1 << 46)
#else
/* A 32-bit process has 2 to 4 GiB of addresses, for all that it does. */
#define OBJECT_MIN  ((uint64_t)128 << 20)
#define OBJECT_MOST ((uint64_t)1 << 30)
#endif
/* ... and less only where limits of the process leave no other way. */
#define OBJECT_LEAST ((uint64_t)32 << 20)
/* Bytes a frame takes beside its page, rounded up. */
#define FRAME_OVERHEAD 24u

/* ---- the file ----------------------------------------------------------- */

/* Open it by some path; -1 and errno, ENOENT: it is another one. */
static int open_file(const char *path, const struct preamble *p)
{
	/* Another one is left alone: to open and close a pipe, or a device, does something to it. */
	if (!file_at_path_is(path, p->file_dev, p->file_ino))
		return -1;
	/* Whatever has come there meanwhile, opening it must not wait. */
	uint64_t forks = descriptor_forks();
	int fd = descriptor_open(path, (int)p->file_flags | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || descriptor_is(fd, p->file_dev, p->file_ino))
		return fd;
	descriptor_let_go(fd, descriptor_since(forks));
	errno = ENOENT;
	return -1;
}

/* The pool's file for a process that joins; -1 and errno. */
static int find_file(const struct preamble *p, const struct member_state *ms)
{
	int fd = open_file(p->path, p), error = errno;
	uint32_t top = member_top(ms);
	for (uint32_t i = 0; fd < 0 && i < top; i++) {
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
	int flags = descriptor_flags(fd),
	    error = flags < 0 ? errno : descriptor_identity(fd, &p->file_dev, &p->file_ino);
	if (error)
		return error;
	p->file_flags = (uint32_t)(flags & FILE_FLAGS);
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

/* Settle the object's size, and map it.  0, or an errno. */
static int size_object(struct sharing *sh, struct preamble *p, uint32_t frames)
{
	uint64_t asked = (uint64_t)frames * ((uint64_t)p->pagesize + FRAME_OVERHEAD);
	asked = asked > OBJECT_MOST / OBJECT_TIMES ? OBJECT_MOST : asked * OBJECT_TIMES;
	uint64_t most = process_file_max();
	int error = EFBIG;
	for (uint64_t total = asked > OBJECT_MIN ? asked : OBJECT_MIN; total >= OBJECT_LEAST; total /= 2) {
		p->total = object_round_up(total, map_page());
		p->limit = limit_for(total, p->pagesize);
		if (p->limit < frames)
			break;
		object_place_parts(p);
		if (p->total > most || p->chunks_at >= p->total)
			continue;
		error = file_set_bytes(sh->object, p->total);
		if (!error)
			error = object_map(sh, p->total);
		/* The process needs addresses besides the object, beginning with its liveness lock's. */
		if (!error && map_addresses_left(OBJECT_LEAST))
			return 0;
		if (!error) {
			map_end(sh->map, sh->bytes);
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

void object_attach(struct sharing *sh, const struct preamble *p, unsigned member)
{
	struct header *h = header_of(sh, p);
	char *map = sh->map;
	region_share(&sh->core->region, map, &h->region);
	frames_share(&sh->core->frames, &sh->core->region, &h->frame, p->pagesize, map + p->frames_at, p->limit,
	             p->unit);
	header_attach(sh, h, (enum barrier)p->barrier, member);
	sh->io->file.state = &h->pageio;
	sh->io->file.shared = true;
}

/* Map the object's parts into the handle: the region first, then the modules; `member` is this process's number. */
static void attach(struct sharing *sh, const struct preamble *p, unsigned member)
{
	char *map = sh->map;
	object_attach(sh, p, member);
	map_huge(map + p->frames_at, p->chunks_at - p->frames_at);
}

/* All that the object begins with.  0, or an errno. */
static int fill_object(struct sharing *sh, struct preamble *p, const void *key, uint32_t frames, uint32_t pages,
                       bool tail)
{
	char *map = sh->map;
	struct region whole = {.base = (uintptr_t)map};
	if (!region_commit(&whole, map, p->header_at + sizeof(struct header)))
		return ENOSPC;
	memcpy(map + p->key_at, key, p->key_bytes);
	struct header *h = header_of(sh, p);
	h->region.end = p->total;
	atomic_store(&h->region.top, p->chunks_at);
	attach(sh, p, 0);
	h->wait.shared = true;
	h->torn.buckets = TORN_BUCKETS;
	epoch_init(&h->epoch);
	atomic_store(&h->pin.users, USERS_MANY); /* and in other processes */
	if (!pin_make(&sh->core->pins, STRIPES_AT_FIRST) || !frames_grow(&sh->core->frames, frames) ||
	    table_init(&sh->core->tables, 0, resize_first(frames, pages)) != 0)
		return ENOSPC;
	frames_ask(&sh->core->frames, frames);
	clock_init(&h->clock, frames);
	struct time_of_day t = time_of_day();
	const uint64_t seed[] = {t.s, t.ns, (uint64_t)process_id(), sh->dev, sh->ino};
	h->pageio.name = share_hash_of(seed, sizeof seed) | 1;
	pageio_init(&sh->io->file, &h->pageio, pages, tail);
	atomic_store(&sh->io->file.generation, 1);
	pageio_establish(&sh->io->file);
	p->check = object_check(p, key);
	memcpy(map, p, sizeof *p);
	return 0;
}

/* ---- joining ------------------------------------------------------------ */

bool share_sound(struct sharing *sh, const struct preamble *p)
{
	struct header *h = sh->header;
	struct region_state *r = &h->region;
	uint64_t top = atomic_load(&r->top);
	if (r->end != p->total || top < p->chunks_at || top > p->total || top % map_page() != 0)
		return false;
	for (unsigned id = 0; id < CHUNK_COUNT; id++) {
		uint64_t place = atomic_load(&r->chunk[id]) & ~CHUNK_FLAGS;
		if (place == 0)
			continue;
		/* Looked at again after the place: a chunk may just have been added, at what was the top. */
		top = atomic_load(&r->top);
		if (top > p->total || place % map_page() != 0 || place < p->chunks_at || place >= top)
			return false;
		if (id < CHUNK_TABLES ? atomic_load(&r->bytes[id]) > top - place
		                      : !table_sound(region_at(&sh->core->region, id), id, top - place))
			return false;
	}
	uint32_t head = atomic_load(&h->table.head), stripes = atomic_load(&h->pin.stripes);
	if (head < CHUNK_TABLES || head >= CHUNK_COUNT || !region_at(&sh->core->region, head) || stripes == 0 ||
	    stripes > STRIPES_MAX || !pins_sound(&sh->core->pins))
		return false;
	uint32_t capacity = frames_capacity(&sh->core->frames);
	return capacity > 0 && capacity <= p->limit && clock_sound(&h->clock, p->limit) &&
	       atomic_load(&h->members.top) <= MEMBERS_MAX && frames_sound(&sh->core->frames) &&
	       latches_sound(sh->core) && (!sh->io->catalog || catalog_sound(sh->io->catalog, p->total));
}

/* Become a member, with the pool's lock held.  0, or an errno. */
static int enter(struct sharing *sh, int fd)
{
	struct member_state *ms = &sh->header->members;
	struct member_object object = share_object(sh);
	int error = EAGAIN; /* as many processes as there may be */
	uint32_t member = 0;
	for (; member < MEMBERS_MAX; member++)
		if (!member_in(&ms->member[member]) &&
		    (error = liveness_lock(&sh->liveness, &object, member)) != EAGAIN && error != EACCES)
			break;
	if (error)
		return error;
	struct member *m = &ms->member[member];
	m->pid = process_id();
	m->fd = fd;
	m->since = time_s();
	atomic_store(&m->generation, atomic_load(&sh->io->file.generation));
	atomic_store(&m->door, 0);
	atomic_store(&m->evictors, 0);
	if (atomic_load(&ms->top) <= member)
		atomic_store(&ms->top, member + 1);
	/* From here on, if this process dies, it is recovered. */
	atomic_fetch_or(&m->state, MEMBER_IN);
	sh->core->pins.member = member;
	sh->core->region.pending = m->pending;
	uint32_t from = 0;
	sh->recovery_stripe = pin_adopt(&sh->core->pins, true, &from);
	return sh->recovery_stripe ? 0 : ENOMEM;
}

/* Enter, and recover who died.  0, or an errno: it is no member. */
static int enter_locked(struct sharing *sh, int fd)
{
	struct hold lock = {NULL, -1};
	struct member_object object = share_object(sh);
	int error = member_lock(&lock, &object, LOCK_TIMEOUT_S);
	if (error)
		return error;
	error = enter(sh, fd);
	if (!error) {
		recover_dead_locked(sh);
		witness_enter(sh);
	} else if (sh->liveness.map) {
		atomic_fetch_and(&sh->header->members.member[sh->core->pins.member].state, ~MEMBER_IN);
	}
	member_unlock(&lock);
	return error;
}

/* It is not to be one after all.  If the lock cannot be had, it is recovered, as one that died. */
static void leave_locked(struct sharing *sh)
{
	struct hold lock = {NULL, -1};
	struct member_object object = share_object(sh);
	if (member_lock(&lock, &object, LOCK_TIMEOUT_S) != 0)
		return;
	recover_leave(sh);
	member_unlock(&lock);
}

/* The pool is to have so many frames at least.  0, or an errno. */
static int grow_to(struct sharing *sh, uint32_t frames)
{
	_Atomic uint8_t *busy = &sh->recovery_stripe->busy;
	/* Should this process die meanwhile, it is recovered as one that is in a call. */
	atomic_store_explicit(busy, BUSY_IN_CALL, memory_order_release);
	int error = clock_ask(sh->evict, sh->recovery_stripe, frames, LIMIT_WAITS);
	/* Release: as at the end of a call (thread.h). */
	atomic_store_explicit(busy, BUSY_NOT, memory_order_release);
	return error;
}

/* The handle's own part is there.  Enter, recover who died, grow.  0, or an errno. */
static int become_member(struct sharing *sh, int fd, uint32_t frames)
{
	int error = enter_locked(sh, fd);
	if (error)
		return error;
	error = grow_to(sh, frames);
	if (error)
		leave_locked(sh);
	return error;
}

/* ---- stale objects ------------------------------------------------------ */

/* With no key's lock held, for one that dies in this must not have two. */
static void remove_if_stale(int dir, const char *name, uint64_t its)
{
	struct hold lock;
	int object = share_open_object(dir, name, O_RDONLY);
	/* It may be one that is being made now: so it is checked again, with the lock. */
	if (object >= 0 && !liveness_any(object) && share_lock_key(&lock, dir, its, 0) == 0) {
		if (!liveness_any(object))
			file_remove(dir, name);
		hold_end(&lock);
	}
	descriptor_close(object);
}

/*
 * Remove what crashes have left under other keys, which may never be opened again.  A process
 * that makes many pools checks all objects only once for as many pools as there are objects.
 */
static void remove_stale(int dir)
{
	static _Atomic unsigned made, seen;
	uint64_t its;
	if (atomic_fetch_add(&made, 1) < atomic_load(&seen))
		return;
	unsigned n = 0;
	DIR *d = file_entries(dir);
	for (const char *name; d && (name = file_next(d));)
		if (share_name_hash(name, &its)) {
			remove_if_stale(dir, name, its);
			n++;
		}
	if (d)
		file_entries_end(d);
	hand_remove_stale(dir);
	atomic_store(&seen, n > STALE_FREE ? n : 0);
	atomic_store(&made, 0);
}

/* ---- open and close ----------------------------------------------------- */

static int make(struct sharing *sh, int dir, struct share_key key, int fd, uint32_t frames)
{
	struct preamble *p = calloc(1, sizeof *p);
	uint32_t pages;
	bool tail;
	if (!p)
		return ENOMEM;
	uint32_t pagesize = sh->io->file.pagesize;
	int error = pageio_open(&sh->io->file, fd, pagesize, &pages, &tail) != 0 ? errno : witness_make(sh, fd);
	if (!error)
		error = describe_file(p, sh->io->file.fd);
	object_stamp(p);
	p->pagesize = pagesize;
	p->align = (uint32_t)sh->io->file.align;
	p->key_bytes = (uint32_t)key.bytes;
	p->unit = frames_unit(frames);
	p->barrier = barrier_available(BARRIER_PROCESSES) ? BARRIER_PROCESSES : BARRIER_FENCE;
	if (!error)
		error = object_create(dir, sh);
	if (!error)
		error = size_object(sh, p, frames);
	if (!error)
		error = fill_object(sh, p, key.at, frames, pages, tail);
	if (!error)
		error = become_member(sh, sh->io->file.fd, frames);
	if (error && sh->object >= 0)
		file_remove(dir, sh->name);
	free(p);
	return error;
}

/* Is it open for writing? */
static bool writable(int fd)
{
	int flags = fd < 0 ? -1 : descriptor_flags(fd);
	return flags != -1 && (flags & O_ACCMODE) != O_RDONLY;
}

static int join_object(struct sharing *sh, const struct preamble *p, int fd, uint32_t frames)
{
	if (p->pagesize != sh->io->file.pagesize)
		return EINVAL;
	/* Whoever made it could not open the file for writing: nobody's modified pages could be written. */
	if ((p->file_flags & O_ACCMODE) == O_RDONLY && writable(fd))
		return EROFS;
	if (p->barrier != BARRIER_FENCE && !barrier_available(BARRIER_PROCESSES))
		return ENOTSUP;
	int error = object_map(sh, p->total);
	if (error)
		return error;
	attach(sh, p, MEMBERS_MAX);
	if (!share_sound(sh, p))
		return EBADMSG;
	/* Of a pool with more files its hits look from the first on. */
	if (core_untold(sh->core))
		core_told(sh->core);
	table_join(&sh->core->tables);
	sh->io->file.device = p->file_dev;
	sh->io->file.inode = p->file_ino;
	sh->io->file.align = p->align;
	sh->file_forks = descriptor_forks();
	if (!witness_join(sh))
		sh->io->file.fd = sh->file = find_file(p, &sh->header->members);
	if (sh->io->file.fd < 0)
		return errno;
	return become_member(sh, sh->io->file.fd, frames);
}

static int join(struct sharing *sh, int fd, uint32_t frames)
{
	struct preamble *p = malloc(sizeof *p);
	char *key = NULL;
	int error = p ? share_read_preamble(sh->object, p, &key) : ENOMEM;
	free(key);
	if (!error)
		error = join_object(sh, p, fd, frames);
	free(p);
	return error;
}

/* Release what this process has of the pool, but for its membership. */
static void let_go(struct sharing *sh, bool parents)
{
	const struct preamble *p = sh->map; /* NULL: all that was opened is ours yet */
	/* A child has no copy of the liveness lock's mapping. */
	if (!parents)
		hold_end(&sh->liveness);
	if (sh->object >= 0 && !(p && descriptor_is_another(sh->object, sh->dev, sh->ino)))
		descriptor_close(sh->object);
	if (sh->file >= 0 && !(p && descriptor_is_another(sh->file, p->file_dev, p->file_ino)))
		descriptor_let_go(sh->file, sh->file_name ? sh->file_name : descriptor_since(sh->file_forks));
	if (sh->map)
		map_end(sh->map, sh->bytes);
}

int share_open(struct sharing *sh, struct share_key key, int fd, uint32_t pagesize, uint32_t maxcache)
{
	uint32_t frames = maxcache == 0 ? 1 : maxcache < FRAMES_MAX / 2 ? maxcache : FRAMES_MAX / 2;
	sh->object = sh->file = -1;
	if (key.bytes > MPOOL_KEY_MAX)
		return ENAMETOOLONG;
	sh->hash = share_hash(key);
	if (pagesize == 0)
		return EINVAL;
	sh->io->file.pagesize = pagesize;
	if (files_join(sh) != 0)
		return ENOMEM;
	struct hold lock = {NULL, -1};
	int dir = share_directory(true), error = dir < 0 ? errno : share_lock_key(&lock, dir, sh->hash, LOCK_TIMEOUT_S);
	if (!error)
		error = object_find(dir, key, sh);
	bool made = !error && sh->object < 0;
	if (!error)
		error = made ? make(sh, dir, key, fd, frames) : join(sh, fd, frames);
	if (error) {
		files_end(sh, false);
		pageio_close(&sh->io->file, !made);
		let_go(sh, false);
	}
	hold_end(&lock);
	if (made)
		remove_stale(dir);
	descriptor_close(dir);
	if (!error) {
		watch_begin(sh);
		hand_begin(sh);
	}
	return error;
}

/* Is the object the one of that name there?  A process that became another user's meanwhile sees another directory. */
static bool has_name(int dir, const struct sharing *sh)
{
	return file_named_is(dir, sh->name, sh->dev, sh->ino);
}

/* Give up the membership, and remove the object if that was the last. */
static void leave(struct sharing *sh)
{
	struct hold key = {NULL, -1}, lock = key;
	struct member_object object = share_object(sh);
	int dir = share_directory(false);
	bool locked = dir >= 0 && share_lock_key(&key, dir, sh->hash, LOCK_TIMEOUT_S) == 0;
	/* A process that cannot leave in time is taken for dead, and recovered. */
	if (member_lock(&lock, &object, LOCK_TIMEOUT_S) == 0) {
		recover_leave(sh);
		member_unlock(&lock);
	}
	hold_end(&sh->liveness);
	/* Without the lock a process may be joining now: then the object is left for the next to remove. */
	if (locked && share_object_is_ours(sh) && has_name(dir, sh) && !liveness_any(sh->object))
		sh->last = file_remove(dir, sh->name);
	hold_end(&key);
	descriptor_close(dir);
}

void share_close(struct sharing *sh, bool parents)
{
	if (!parents) {
		hand_end(sh);
		watch_end(sh);
		leave(sh);
	}
	files_end(sh, parents);
	pageio_close(&sh->io->file, !sh->last);
	let_go(sh, parents);
}
