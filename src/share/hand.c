/* hand.c - see hand.h. */
#include "share/hand.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "io/catalog.h"
#include "os/descriptor.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/time.h"
#include "share/object.h"

#define DOOR_PREFIX "door-"
#define DOOR_NAME   DOOR_PREFIX "%016" PRIx64
#define DOOR_TRIES  16u
/* An asker asks one member, then two more, then four, with so long in between. */
#define FIRST_WAIT_MS 10

_Static_assert(WITNESSES <= SOCKET_DESCRIPTORS_MAX, "all witnesses are handed out by one message");

/*
 * A question for the witnesses of a file of the pool with that object: of the first, or, by its slot's number and 1, and its
 * generation, of one that is attached (files.h).  The answer comes by the socket sent with it.
 */
struct question {
	uint64_t dev, ino;
	uint64_t file, generation;
};

struct answer {
	uint32_t generation;
	uint32_t n; /* descriptors sent with it */
};

/* All of it under the lock, a leaf (fork.h). */
static struct {
	pthread_mutex_t lock;
	struct sharing *pools; /* by next_handed */
	int fd;                /* of the door; -1: there is none */
	uint64_t name, device, inode;
	char path[SOCKET_PATH_MAX];
	struct watch_descriptor watched;
} door = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* One pool at a time is added or taken away, for the watch is begun and ended without the lock. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

void hand_lock(void)
{
	pthread_mutex_lock(&door.lock);
}

void hand_unlock(void)
{
	pthread_mutex_unlock(&door.lock);
}

void hand_after_fork_child(void)
{
	/* Their holders do not exist here. */
	changing = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	if (door.fd >= 0 && !descriptor_is_another(door.fd, door.device, door.inode))
		descriptor_close(door.fd);
	door.fd = -1;
	door.pools = NULL;
}

/* ---- answering ---------------------------------------------------------- */

/* The file that is asked for; NULL: this process has no descriptor of it. */
static const struct io *file_of(const struct sharing *sh, const struct question *q)
{
	const struct catalog *c = sh->io->catalog;
	if (q->file == 0)
		return sh->io;
	if (q->file > catalog_files(c))
		return NULL;
	const struct io *io = &c->file[q->file - 1];
	return atomic_load(&io->here) == q->generation + 1 ? io : NULL;
}

/* What there is to hand out of it.  With the lock held. */
static unsigned to_hand(const struct io *of, struct answer *a, int *fds)
{
	if (!of)
		return 0;
	const struct pageio *io = &of->file;
	a->generation = atomic_load(&io->generation);
	a->n = 0;
	if (a->generation == 0 || a->generation != atomic_load(&io->state->generation))
		return 0;
	for (unsigned i = 0; i < WITNESSES; i++) {
		int w = atomic_load(&io->witness[i]);
		if (w == NO_WITNESS)
			break;
		fds[i] = w == WITNESS_IS_FD ? io->fd : w;
		if (!pageio_is_file(io, fds[i]))
			return 0;
		a->n++;
	}
	return a->n;
}

static void answer_one(const struct question *q, int socket)
{
	struct answer a;
	int fds[WITNESSES];
	bool done = false;
	hand_lock();
	for (struct sharing *sh = door.pools; sh && !done; sh = sh->next_handed)
		if (sh->dev == q->dev && sh->ino == q->ino && to_hand(file_of(sh, q), &a, fds) > 0)
			done = socket_send(socket, NULL, &a, sizeof a, fds, a.n);
	hand_unlock();
}

static void answer(void *of)
{
	struct question q;
	int fds[WITNESSES];
	unsigned n;
	(void)of;
	/* The watch sees to it that the descriptor is still the one that it was given. */
	bool right = socket_receive(door.fd, &q, sizeof q, fds, &n);
	if (right && n == 1)
		answer_one(&q, fds[0]);
	while (n > 0)
		descriptor_close(fds[--n]);
}

/* ---- the door ----------------------------------------------------------- */

static void path_of(uint64_t name, char *to, size_t bytes)
{
	snprintf(to, bytes, OBJECTS "/" DOOR_NAME, process_user(), name);
}

/* Bind a name that no other socket has.  False: there is none. */
static bool bind_door(int fd)
{
	struct time_of_day t = time_of_day();
	for (unsigned i = 0; i < DOOR_TRIES; i++) {
		/* Numbers of processes are not everywhere different ones; the addresses of two stacks seldom are the same. */
		uint64_t seed[] = {(uint64_t)process_id(), t.s, t.ns, (uintptr_t)&t, i};
		door.name = share_hash_of(seed, sizeof seed) | 1;
		path_of(door.name, door.path, sizeof door.path);
		if (socket_bind(fd, door.path))
			return true;
		if (errno != EADDRINUSE)
			return false;
	}
	return false;
}

static void close_door(void)
{
	hand_lock();
	file_remove_path(door.path);
	if (!descriptor_is_another(door.fd, door.device, door.inode))
		descriptor_close(door.fd);
	door.fd = -1;
	door.name = 0;
	hand_unlock();
}

static void open_door(void)
{
	uint64_t device, inode;
	int fd = socket_open();
	if (fd < 0 || descriptor_identity(fd, &device, &inode) != 0) {
		descriptor_close(fd);
		return;
	}
	hand_lock();
	door.path[0] = 0;
	door.fd = fd;
	door.device = device;
	door.inode = inode;
	bool bound = bind_door(fd);
	hand_unlock();
	door.watched = (struct watch_descriptor){.fd = fd, .ready = answer};
	if (!bound || watch_descriptor_begin(&door.watched) != 0)
		close_door();
}

void hand_begin(struct sharing *sh)
{
	pthread_mutex_lock(&changing);
	if (!door.pools)
		open_door();
	hand_lock();
	sh->next_handed = door.pools;
	door.pools = sh;
	atomic_store(&core_member(sh->core)->door, door.name);
	hand_unlock();
	pthread_mutex_unlock(&changing);
}

void hand_end(struct sharing *sh)
{
	pthread_mutex_lock(&changing);
	hand_lock();
	struct sharing **at = &door.pools;
	while (*at && *at != sh)
		at = &(*at)->next_handed;
	if (*at)
		*at = sh->next_handed;
	/* Whoever joins now need not wait for an answer. */
	atomic_store(&core_member(sh->core)->door, 0);
	bool last = !door.pools && door.fd >= 0;
	hand_unlock();
	if (last) {
		watch_descriptor_end(&door.watched);
		close_door();
	}
	pthread_mutex_unlock(&changing);
}

/* ---- asking ------------------------------------------------------------- */

static bool is_of(const struct io *io, int fd)
{
	return io->slot ? descriptor_is(fd, atomic_load(&io->slot->device), atomic_load(&io->slot->inode))
	                : pageio_is_file(&io->file, fd);
}

uint64_t hand_name(const struct sharing *sh, const struct io *io, uint64_t generation)
{
	uint64_t first = sh->io->file.state->name;
	const uint64_t seed[] = {first, io->slot ? io->slot->number : 0, generation};
	return io->slot ? share_hash_of(seed, sizeof seed) | 1 : first;
}

void hand_drop(struct handed *h)
{
	while (h->n > 0) {
		h->n--;
		descriptor_let_go(h->fd[h->n], pageio_name(h->name, h->generation, h->n));
	}
}

/* The witnesses under their names, from when this process had the pool before: see descriptor.h. */
static bool had_before(const struct io *io, struct handed *h)
{
	const struct pageio_state *st = io->file.state;
	h->generation = atomic_load(&st->generation);
	h->n = 0;
	for (unsigned i = 0; i < WITNESSES && (atomic_load(&st->witnesses) & 1u << i); i++) {
		h->fd[i] = descriptor_kept(pageio_name(h->name, h->generation, i));
		if (h->fd[i] < 0)
			break;
		h->n++;
		/* A name may have been another file's, of the slot. */
		if (!is_of(io, h->fd[i])) {
			hand_drop(h);
			return false;
		}
	}
	if (h->n > 0 && (h->n == WITNESSES || !(atomic_load(&st->witnesses) & 1u << h->n)))
		return true;
	hand_drop(h);
	return false;
}

/* Has the member what is wanted, and a door? */
static uint64_t door_of(const struct sharing *sh, const struct io *io, uint32_t member)
{
	const struct member *m = &sh->core->members->member[member];
	bool has = io->slot ? file_held_by(io->slot, member)
	                    : atomic_load(&m->generation) == atomic_load(&io->file.state->generation);
	return member_in(m) && has && member != sh->core->pins.member ? atomic_load(&m->door) : 0;
}

static bool ask(const struct sharing *sh, const struct io *io, uint64_t name, int socket, int back)
{
	char path[SOCKET_PATH_MAX];
	struct question q = {sh->dev, sh->ino, io->slot ? io->slot->number + 1 : 0,
	                     io->slot ? file_generation(io->slot) : 0};
	path_of(name, path, sizeof path);
	return socket_send(socket, path, &q, sizeof q, &back, 1);
}

/* An answer that is right. */
static bool take_answer(const struct io *io, int socket, struct handed *h)
{
	struct answer a;
	bool right = socket_receive(socket, &a, sizeof a, h->fd, &h->n);
	h->generation = right ? a.generation : 0;
	right = right && h->n > 0 && h->n == a.n && a.generation == atomic_load(&io->file.state->generation);
	for (unsigned i = 0; i < h->n; i++)
		right &= is_of(io, h->fd[i]);
	if (!right)
		hand_drop(h);
	return right;
}

/* Wait until one answers, none can any more, or the time is over. */
static bool await_answer(const struct io *io, int socket, int64_t until, struct handed *h)
{
	for (;;) {
		int64_t left = until - (int64_t)time_ms();
		int came = socket_await(socket, left > 0 ? (int)left : 0);
		if (came > 0 && take_answer(io, socket, h))
			return true;
		if (left <= 0 || came < 0)
			return false;
	}
}

static bool ask_around(const struct sharing *sh, const struct io *io, int out, const int *pair, struct handed *h)
{
	uint32_t top = member_top(sh->core->members), i = 0;
	int64_t until = (int64_t)time_ms() + ANSWER_MS;
	bool any = false;
	for (unsigned batch = 1; i < top; batch *= 2) {
		unsigned asked = 0;
		for (; asked < batch && i < top; i++) {
			uint64_t name = door_of(sh, io, i);
			if (name && ask(sh, io, name, out, pair[1]))
				asked++;
		}
		any |= asked > 0;
		if (asked > 0 && i < top && await_answer(io, pair[0], (int64_t)time_ms() + FIRST_WAIT_MS, h))
			return true;
	}
	return any && await_answer(io, pair[0], until, h);
}

bool hand_ask(struct sharing *sh, struct io *io, struct handed *h)
{
	int pair[2];
	h->name = hand_name(sh, io, io->slot ? file_generation(io->slot) : 0);
	if (had_before(io, h))
		return true;
	int out = socket_open();
	if (out < 0)
		return false;
	bool answered = false;
	if (socket_pair(pair)) {
		answered = ask_around(sh, io, out, pair, h);
		descriptor_close(pair[0]);
		descriptor_close(pair[1]);
	}
	descriptor_close(out);
	return answered;
}

/* ---- doors of the dead --------------------------------------------------- */

void hand_remove_stale(int dir)
{
	DIR *d = file_entries(dir);
	int out = socket_open();
	uint64_t door_name;
	for (const char *name; d && out >= 0 && (name = file_next(d));) {
		char path[SOCKET_PATH_MAX];
		if (sscanf(name, DOOR_PREFIX "%16" SCNx64, &door_name) != 1)
			continue;
		path_of(door_name, path, sizeof path);
		if (socket_is_left(out, path))
			file_remove_path(path);
	}
	descriptor_close(out);
	if (d)
		file_entries_end(d);
}
