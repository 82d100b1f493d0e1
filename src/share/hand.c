/* hand.c - see hand.h. */
#include "share/hand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "share/object.h"

#define DOOR_PREFIX "door-"
#define DOOR_NAME   DOOR_PREFIX "%016" PRIx64
#define DOOR_TRIES  16u
/* Of who may enter where it is. */
#define DOOR_MODE 0600
/* An asker asks one member, then two more, then four, with so long in between. */
#define FIRST_WAIT_MS 10
#define NS_IN_MS      INT64_C(1000000)
#define MS_IN_S       INT64_C(1000)

/* A question for the witnesses of the pool with that object.  The answer comes by the socket sent with it. */
struct question {
	uint64_t dev, ino;
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
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
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
		close(door.fd);
	door.fd = -1;
	door.pools = NULL;
}

/* ---- messages with descriptors ------------------------------------------ */

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * WITNESSES)];
};

static bool send_with(int socket, const struct sockaddr_un *to, void *bytes, size_t n, const int *fds, unsigned count)
{
	union control c = {0};
	struct iovec iov = {bytes, n};
	struct msghdr m = {.msg_name = (void *)(uintptr_t)to,
	                   .msg_namelen = to ? sizeof *to : 0,
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = &c,
	                   .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
	c.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&c.header), fds, sizeof(int) * count);
	return sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

/* A message of n bytes, and the descriptors that are with it, none of a standard number.  False: there is none, or it is no such. */
static bool receive_with(int socket, void *bytes, size_t n, int *fds, unsigned *count)
{
	union control c;
	struct iovec iov = {bytes, n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	struct low low;
	descriptor_take_low(&low);
	ssize_t got = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	descriptor_give_low(&low);
	*count = 0;
	for (struct cmsghdr *h = got < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			*count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(h), sizeof(int) * *count);
		}
	return got == (ssize_t)n && !(m.msg_flags & MSG_CTRUNC);
}

/* ---- answering ---------------------------------------------------------- */

/* What there is to hand out of that pool.  With the lock held. */
static unsigned to_hand(const struct sharing *sh, struct answer *a, int *fds)
{
	const struct pageio *io = &sh->io->file;
	a->generation = io->generation;
	a->n = 0;
	if (io->generation == 0 || io->generation != atomic_load(&io->state->generation))
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
		if (sh->dev == q->dev && sh->ino == q->ino && to_hand(sh, &a, fds) > 0)
			done = send_with(socket, NULL, &a, sizeof a, fds, a.n);
	hand_unlock();
}

static void answer(void *of)
{
	struct question q;
	int fds[WITNESSES];
	unsigned n;
	(void)of;
	/* The watch sees to it that the descriptor is still the one that it was given. */
	bool right = receive_with(door.fd, &q, sizeof q, fds, &n);
	if (right && n == 1)
		answer_one(&q, fds[0]);
	while (n > 0)
		close(fds[--n]);
}

/* ---- the door ----------------------------------------------------------- */

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, path, strnlen(path, sizeof a.sun_path - 1));
	return a;
}

static void path_of(uint64_t name, char *to, size_t bytes)
{
	snprintf(to, bytes, OBJECTS "/" DOOR_NAME, (unsigned)geteuid(), name);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * MS_IN_S + t.tv_nsec / NS_IN_MS;
}

/* Bind a name that no other socket has.  False: there is none. */
static bool bind_door(int fd)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	for (unsigned i = 0; i < DOOR_TRIES; i++) {
		/* Numbers of processes are not everywhere different ones; the addresses of two stacks seldom are the same. */
		uint64_t seed[] = {(uint64_t)getpid(), (uint64_t)t.tv_sec, (uint64_t)t.tv_nsec, (uintptr_t)&t, i};
		door.name = share_hash_of(seed, sizeof seed) | 1;
		path_of(door.name, door.path, sizeof door.path);
		struct sockaddr_un a = address(door.path);
		if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0)
			return chmod(door.path, DOOR_MODE) == 0;
		if (errno != EADDRINUSE)
			return false;
	}
	return false;
}

static void close_door(void)
{
	hand_lock();
	unlink(door.path);
	if (!descriptor_is_another(door.fd, door.device, door.inode))
		close(door.fd);
	door.fd = -1;
	door.name = 0;
	hand_unlock();
}

static void open_door(void)
{
	struct stat st;
	int fd = descriptor_apart(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	hand_lock();
	door.path[0] = 0;
	door.fd = fd;
	door.device = st.st_dev;
	door.inode = st.st_ino;
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

/* The witnesses under their names, from when this process had the pool before: see descriptor.h. */
static bool had_before(const struct sharing *sh, struct handed *h)
{
	const struct pageio_state *st = sh->io->file.state;
	h->generation = atomic_load(&st->generation);
	h->n = 0;
	for (unsigned i = 0; i < WITNESSES && (atomic_load(&st->witnesses) & 1u << i); i++) {
		h->fd[i] = descriptor_kept(pageio_name(st, h->generation, i));
		if (h->fd[i] < 0)
			break;
		h->n++;
	}
	if (h->n > 0 && (h->n == WITNESSES || !(atomic_load(&st->witnesses) & 1u << h->n)))
		return true;
	while (h->n > 0) {
		h->n--;
		descriptor_let_go(h->fd[h->n], pageio_name(st, h->generation, h->n));
	}
	return false;
}

/* Has the member what is wanted, and a door? */
static uint64_t door_of(const struct sharing *sh, uint32_t member)
{
	const struct member *m = &sh->core->members->member[member];
	if (!member_in(m) || atomic_load(&m->generation) != atomic_load(&sh->io->file.state->generation))
		return 0;
	return member == sh->core->pins.member ? 0 : atomic_load(&m->door);
}

static bool ask(const struct sharing *sh, uint64_t name, int socket, int back)
{
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	struct question q = {sh->dev, sh->ino};
	path_of(name, path, sizeof path);
	struct sockaddr_un a = address(path);
	return send_with(socket, &a, &q, sizeof q, &back, 1);
}

/* An answer that is right. */
static bool take_answer(const struct sharing *sh, int socket, struct handed *h)
{
	struct answer a;
	bool right = receive_with(socket, &a, sizeof a, h->fd, &h->n);
	h->generation = right ? a.generation : 0;
	right = right && h->n > 0 && h->n == a.n && a.generation == atomic_load(&sh->io->file.state->generation);
	for (unsigned i = 0; i < h->n; i++)
		right &= pageio_is_file(&sh->io->file, h->fd[i]);
	while (!right && h->n > 0) {
		h->n--;
		descriptor_let_go(h->fd[h->n], pageio_name(sh->io->file.state, h->generation, h->n));
	}
	return right;
}

/* Wait until one answers, none can any more, or the time is over. */
static bool await_answer(const struct sharing *sh, int socket, int64_t until, struct handed *h)
{
	for (;;) {
		struct pollfd p = {.fd = socket, .events = POLLIN};
		int64_t left = until - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n > 0 && (p.revents & POLLIN) && take_answer(sh, socket, h))
			return true;
		if (left <= 0 || (n > 0 && !(p.revents & POLLIN)))
			return false;
	}
}

static bool ask_around(const struct sharing *sh, int out, const int *pair, struct handed *h)
{
	uint32_t top = member_top(sh->core->members), i = 0;
	int64_t until = now_ms() + ANSWER_MS;
	bool any = false;
	for (unsigned batch = 1; i < top; batch *= 2) {
		unsigned asked = 0;
		for (; asked < batch && i < top; i++) {
			uint64_t name = door_of(sh, i);
			if (name && ask(sh, name, out, pair[1]))
				asked++;
		}
		any |= asked > 0;
		if (asked > 0 && i < top && await_answer(sh, pair[0], now_ms() + FIRST_WAIT_MS, h))
			return true;
	}
	return any && await_answer(sh, pair[0], until, h);
}

bool hand_ask(struct sharing *sh, struct handed *h)
{
	int pair[2];
	if (had_before(sh, h))
		return true;
	int out = descriptor_apart(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (out < 0)
		return false;
	bool answered = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		answered = ask_around(sh, out, pair, h);
		close(pair[0]);
		close(pair[1]);
	}
	close(out);
	return answered;
}

/* ---- doors of the dead --------------------------------------------------- */

void hand_remove_stale(int dir)
{
	DIR *d = share_entries(dir);
	int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t name;
	for (struct dirent *e; d && out >= 0 && (e = readdir(d));) {
		char path[sizeof((struct sockaddr_un *)0)->sun_path];
		if (sscanf(e->d_name, DOOR_PREFIX "%16" SCNx64, &name) != 1)
			continue;
		path_of(name, path, sizeof path);
		struct sockaddr_un a = address(path);
		if (connect(out, (struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED)
			unlink(path);
	}
	if (out >= 0)
		close(out);
	if (d)
		closedir(d);
}
