/* look.c - see look.h. */
#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "api/pool.h"
#include "api/stat.h"
#include "os/file.h"
#include "share/join.h"
#include "share/object.h"

/* A copy that looks damaged so many times in a row is of a damaged object. */
#define LOOKS 8u
/* Of /proc/PID/maps: the longest name, and as much of a line as has numbers in it. */
enum { MAPS_PATH_MAX = 32, MAPS_LINE_MAX = 512 };

/* ---- a copy ------------------------------------------------------------- */

/* Of an object; what of it was not asked for cannot be touched. */
struct copy {
	int object;
	const struct preamble *p;
	MPOOL *mp;
};

/* No handle, or no place for the copy: NULL. */
static MPOOL *copy_begin(struct copy *c)
{
	struct sharing *sh;
	c->mp = aligned_alloc(_Alignof(MPOOL), sizeof *c->mp);
	if (!c->mp)
		return NULL;
	memset(c->mp, 0, sizeof *c->mp);
	pool_link(c->mp);
	pageio_none(&c->mp->io.file);
	sh = &c->mp->sharing;
	sh->bytes = c->p->total;
	sh->map = mmap(NULL, sh->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	c->mp->io.file.pagesize = c->p->pagesize;
	c->mp->io.file.device = c->p->file_dev;
	c->mp->io.file.inode = c->p->file_ino;
	if (sh->map != MAP_FAILED)
		return c->mp;
	free(c->mp);
	return c->mp = NULL;
}

static void copy_end(struct copy *c)
{
	if (c->mp)
		munmap(c->mp->sharing.map, c->mp->sharing.bytes);
	free(c->mp);
	c->mp = NULL;
}

/* Copy these bytes.  0, or an errno; EBADMSG: the object has none there. */
static int copy(const struct copy *c, uint64_t at, uint64_t bytes)
{
	const struct sharing *sh = &c->mp->sharing;
	uint64_t grain = (uint64_t)sysconf(_SC_PAGESIZE), from = at / grain * grain;
	char *map = sh->map;
	if (at > sh->bytes || bytes > sh->bytes - at)
		return EBADMSG;
	if (mprotect(map + from, at + bytes - from, PROT_READ | PROT_WRITE) != 0)
		return errno;
	return file_read(c->object, map + at, bytes, at) ? 0 : EBADMSG;
}

/* The same, by an address in the copy. */
static int copy_at(const struct copy *c, const void *p, uint64_t bytes)
{
	return copy(c, (uint64_t)((const char *)p - (const char *)c->mp->sharing.map), bytes);
}

/* The header, and those of the tables, which are checked too. */
static int copy_header(const struct copy *c)
{
	int error = copy(c, c->p->header_at, sizeof(struct header));
	if (error)
		return error;
	object_attach(&c->mp->sharing, c->p, MEMBERS_MAX);
	for (unsigned id = CHUNK_TABLES; id < CHUNK_COUNT && !error; id++) {
		const void *table = region_at(&c->mp->core.region, id);
		if (table)
			error = copy_at(c, table, sizeof(struct table));
	}
	return error;
}

/* The words of frames that were ever used, and the marks of segment 0: a pool may have room for many more. */
static int copy_frames(const struct copy *c)
{
	const struct frames *fs = &c->mp->core.frames;
	int error = copy_at(c, fs->base.frame, frames_used(fs) * sizeof(struct frame));
	if (!error)
		error = copy_at(c, fs->base.mark, frames_used(fs));
	for (unsigned k = 1; k < SEGMENT_CHUNKS && !error; k++) {
		struct segment seg;
		if (frame_segment(fs, k, &seg))
			error = copy_at(c, seg.frame, seg.count * sizeof(struct frame));
	}
	return error;
}

/* What is counted: frames and stripes.  After the check. */
static int copy_words(const struct copy *c)
{
	const struct region_state *r = c->mp->core.region.state;
	int error = copy_frames(c);
	for (unsigned id = CHUNK_STRIPES; id < CHUNK_STRIPES + STRIPE_CHUNKS && !error; id++) {
		const void *stripes = region_at(&c->mp->core.region, id);
		if (stripes)
			error = copy_at(c, stripes, atomic_load(&r->bytes[id]));
	}
	return error;
}

/* ---- counting ----------------------------------------------------------- */

static void count_abandoned(void *pool, uint32_t frame, struct frame *fr)
{
	struct look_pool *lp = pool;
	(void)frame;
	lp->abandoned += (atomic_load_explicit(&fr->word, memory_order_relaxed) & FRAME_ABANDONED) != 0;
}

/* A process has a frame pinned. */
struct pin_of {
	uint32_t member, frame;
};

struct pins_of {
	struct pin_of *pin;
	size_t n, room;
};

static void count_slot(void *pins, const struct stripe *s, uint64_t slot)
{
	(void)s;
	(void)slot;
	((struct pins_of *)pins)->room++;
}

static void note_slot(void *pins, const struct stripe *s, uint64_t slot)
{
	struct pins_of *p = pins;
	if (slot_pins(slot, slot_frame(slot)) && p->n < p->room)
		p->pin[p->n++] = (struct pin_of){stripe_member(s), slot_frame(slot)};
}

static int by_member_and_frame(const void *a, const void *b)
{
	const struct pin_of *x = a, *y = b;
	return x->member != y->member ? (x->member > y->member) - (x->member < y->member)
	                              : (x->frame > y->frame) - (x->frame < y->frame);
}

/* Frames that each member has pinned.  False: no memory. */
static bool count_pins(const struct pins *pins, uint64_t pinned[MEMBERS_MAX])
{
	struct pins_of p = {0};
	pin_scan(pins, count_slot, &p);
	p.pin = malloc((p.room + 1) * sizeof *p.pin);
	if (!p.pin)
		return false;
	pin_scan(pins, note_slot, &p);
	qsort(p.pin, p.n, sizeof *p.pin, by_member_and_frame);
	for (size_t i = 0; i < p.n; i++)
		if (p.pin[i].member < MEMBERS_MAX && (i == 0 || by_member_and_frame(&p.pin[i], &p.pin[i - 1]) != 0))
			pinned[p.pin[i].member]++;
	free(p.pin);
	return true;
}

/*
 * Is the process that has this number here one that has the object?  A member has it mapped for as
 * long as it lives.  In another PID namespace the number is another's here, or nobody's.
 */
static enum look_where where_is(int32_t pid, const struct stat *object)
{
	char path[MAPS_PATH_MAX], line[MAPS_LINE_MAX];
	bool found = false;
	snprintf(path, sizeof path, "/proc/%" PRId32 "/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? LOOK_ELSEWHERE : LOOK_NOT_TOLD;
	while (!found && fgets(line, sizeof line, maps)) {
		unsigned int high, low;
		unsigned long ino;
		/* addresses rights offset device inode path */
		found = sscanf(line, "%*s %*s %*s %x:%x %lu", &high, &low, &ino) == 3 && ino == object->st_ino &&
		        makedev(high, low) == object->st_dev;
	}
	bool told = !ferror(maps) || errno == ESRCH;
	fclose(maps);
	return found ? LOOK_HERE : told ? LOOK_ELSEWHERE : LOOK_NOT_TOLD;
}

static struct look_process read_process(const struct copy *c, const struct stat *object, const struct member *m,
                                        uint32_t number, uint64_t pinned)
{
	struct look_process p = {m->pid, m->since, pinned, member_alive(c->object, number), LOOK_HERE};
	if (p.alive) {
		p.where = where_is(m->pid, object);
		/* Its number may be free because it has died since. */
		p.alive = member_alive(c->object, number);
	}
	return p;
}

static int list_processes(const struct copy *c, struct look_pool *lp)
{
	const struct member_state *ms = &c->mp->sharing.header->members;
	uint64_t pinned[MEMBERS_MAX] = {0};
	uint32_t top = member_top(ms);
	free(lp->process);
	lp->processes = 0;
	lp->process = calloc((size_t)top + 1, sizeof *lp->process);
	if (!lp->process || !count_pins(&c->mp->core.pins, pinned))
		return ENOMEM;
	struct stat object;
	if (fstat(c->object, &object) != 0)
		return errno;
	for (uint32_t i = 0; i < top; i++) {
		const struct member *m = &ms->member[i];
		if (member_in(m))
			lp->process[lp->processes++] = read_process(c, &object, m, i, pinned[i]);
	}
	return 0;
}

static int count(const struct copy *c, struct look_pool *lp)
{
	lp->stats = (struct mpool_stats){0};
	lp->abandoned = 0;
	stat_counts(c->mp, &lp->stats);
	frames_each(&c->mp->core.frames, count_abandoned, lp);
	return stat_pinned(c->mp, &lp->stats.pinned) != 0 ? ENOMEM : list_processes(c, lp);
}

/* Once.  0, or an errno; EBADMSG: it looks damaged. */
static int look_once(const struct copy *c, struct look_pool *lp)
{
	int error = copy_header(c);
	if (!error && !share_sound(&c->mp->sharing, c->p))
		error = EBADMSG;
	if (!error)
		error = copy_words(c);
	return error ? error : count(c, lp);
}

static int look_into(struct copy *c, struct look_pool *lp)
{
	int error = copy_begin(c) ? EBADMSG : ENOMEM;
	for (unsigned look = 0; look < LOOKS && error == EBADMSG; look++)
		error = look_once(c, lp);
	copy_end(c);
	return error;
}

/* An empty path leads nowhere. */
static bool path_leads_to(const struct preamble *p)
{
	struct stat st;
	return stat(p->path, &st) == 0 && st.st_dev == p->file_dev && st.st_ino == p->file_ino;
}

static int look_inside(int object, struct look_pool *lp)
{
	struct preamble *p = malloc(sizeof *p);
	int error = p ? share_read_preamble(object, p, &lp->key) : ENOMEM;
	size_t path_bytes = error ? 0 : strlen(p->path) + 1;
	if (!error && !(lp->path = malloc(path_bytes)))
		error = ENOMEM;
	if (!error) {
		memcpy(lp->path, p->path, path_bytes);
		lp->key_bytes = p->key_bytes;
		lp->elsewhere = !path_leads_to(p);
	}
	if (!error)
		error = look_into(&(struct copy){.object = object, .p = p}, lp);
	lp->counted = !error;
	free(p);
	return error;
}

/* ---- an object ---------------------------------------------------------- */

/* Who has it, if it is still there. */
static enum look_state whose(int dir, uint64_t hash, int object)
{
	if (liveness_any(object))
		return LOOK_LIVE;
	if (share_key_locked(dir, hash))
		return LOOK_CHANGING;
	/* Between the two looks it may have got ready. */
	return liveness_any(object) ? LOOK_LIVE : LOOK_STALE;
}

static void pool_forget(struct look_pool *lp)
{
	free(lp->key);
	free(lp->path);
	free(lp->process);
	lp->key = lp->path = NULL;
	lp->key_bytes = 0;
	lp->process = NULL;
	lp->processes = 0;
}

/* 0, or an errno; ENOENT: it is gone. */
static int read_object(int dir, const char *name, uint64_t hash, struct look_pool *lp)
{
	struct stat st;
	memcpy(lp->name, name, strlen(name) + 1); /* it is an object's, so it fits */
	int object = share_open_object(dir, name, O_RDONLY), error = object < 0 ? errno : 0;
	if (error == EACCES && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		lp->state = LOOK_UNTRUSTED;
		lp->ino = st.st_ino;
		return 0;
	}
	if (error)
		return error;
	lp->state = whose(dir, hash, object);
	error = look_inside(object, lp);
	if (error == EBADMSG && lp->state == LOOK_LIVE) {
		/* Who makes it lives before all of it is there, with the key's lock. */
		bool making = share_key_locked(dir, hash);
		if (!making) {
			pool_forget(lp);
			error = look_inside(object, lp);
			lp->state = whose(dir, hash, object);
		}
		if (error == EBADMSG && lp->state == LOOK_LIVE)
			lp->state = making ? LOOK_CHANGING : LOOK_DAMAGED;
	}
	if (error == EBADMSG)
		error = 0;
	if (fstat(object, &st) != 0)
		error = errno;
	else if (st.st_nlink == 0)
		error = ENOENT;
	lp->ino = st.st_ino;
	lp->memory = (uint64_t)st.st_blocks * S_BLKSIZE;
	close(object);
	return error;
}

/* ---- all of them -------------------------------------------------------- */

static int add(struct look *l, int dir, const char *name, uint64_t hash)
{
	struct look_pool lp = {0};
	struct look_pool *more = realloc(l->pool, (l->n + 1) * sizeof *more);
	if (!more)
		return ENOMEM;
	l->pool = more;
	int error = read_object(dir, name, hash, &lp);
	if (error) {
		pool_forget(&lp);
		return error == ENOENT ? 0 : error;
	}
	l->pool[l->n++] = lp;
	return 0;
}

int look_all(struct look *l)
{
	*l = (struct look){0};
	int dir = share_directory(false), error = 0;
	if (dir < 0)
		return errno == ENOENT ? 0 : errno;
	DIR *d = file_entries(dir);
	if (!d)
		error = errno;
	for (const char *name; !error && (name = file_next(d));) {
		uint64_t hash;
		if (share_name_hash(name, &hash))
			error = add(l, dir, name, hash);
	}
	if (d)
		file_entries_end(d);
	close(dir);
	return error;
}

void look_free(struct look *l)
{
	for (size_t i = 0; i < l->n; i++)
		pool_forget(&l->pool[i]);
	free(l->pool);
	*l = (struct look){0};
}

/* ---- removing ----------------------------------------------------------- */

/* Of that key, or of one that cannot be read, which is nobody else's either? */
static bool has_key(int object, struct share_key key)
{
	struct preamble *p = malloc(sizeof *p);
	char *its_key = NULL;
	int error = p ? share_read_preamble(object, p, &its_key) : ENOMEM;
	bool its = error == EBADMSG || (!error && share_has_key(p, its_key, key));
	free(its_key);
	free(p);
	return its;
}

/* With the key's lock held, so that nobody is making or joining it.  `key`: NULL: any. */
static int remove_object(int dir, const char *name, const struct share_key *key)
{
	int object = share_open_object(dir, name, O_RDONLY), error = 0;
	if (object < 0)
		return errno;
	if (key && !has_key(object, *key))
		error = ENOENT;
	else if (liveness_any(object))
		error = EBUSY;
	else if (unlinkat(dir, name, 0) != 0)
		error = errno;
	close(object);
	return error;
}

/* The directory, with the lock of the key held.  0, or an errno. */
static int lock_objects(uint64_t hash, int *dir, struct hold *lock)
{
	*dir = share_directory(false);
	if (*dir < 0)
		return errno;
	int error = share_lock_key(lock, *dir, hash, LOCK_TIMEOUT_S);
	if (error)
		close(*dir);
	return error;
}

int look_remove(const char *name)
{
	uint64_t hash;
	int dir;
	struct hold lock;
	if (!share_name_hash(name, &hash))
		return ENOENT;
	int error = lock_objects(hash, &dir, &lock);
	if (error)
		return error;
	error = remove_object(dir, name, NULL);
	hold_end(&lock);
	close(dir);
	return error;
}

/* All of that key: crashes may have left several.  ENOENT: there is none. */
static int remove_all(int dir, uint64_t hash, struct share_key key)
{
	DIR *d = file_entries(dir);
	if (!d)
		return errno;
	bool removed = false;
	int error = ENOENT;
	for (const char *name; error == ENOENT && (name = file_next(d));) {
		uint64_t its;
		if (!share_name_hash(name, &its) || its != hash)
			continue;
		error = remove_object(dir, name, &key);
		removed = removed || !error;
		if (!error)
			error = ENOENT;
	}
	file_entries_end(d);
	return error == ENOENT && removed ? 0 : error;
}

int look_remove_key(struct share_key key)
{
	uint64_t hash = share_hash(key);
	int dir;
	struct hold lock;
	int error = lock_objects(hash, &dir, &lock);
	if (error)
		return error;
	error = remove_all(dir, hash, key);
	hold_end(&lock);
	close(dir);
	return error;
}
