/* descriptor.c - see descriptor.h. */
#include "os/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool descriptor_name(int fd, unsigned way, char name[DESCRIPTOR_NAME_MAX])
{
	static const char *const of[] = {"thread-self", "self"};
	if (way >= sizeof of / sizeof *of)
		return false;
	snprintf(name, DESCRIPTOR_NAME_MAX, "/proc/%s/fd/%d", of[way], fd);
	return true;
}

void descriptor_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int descriptor_apart(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int apart = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
	close(fd);
	/* EINVAL: the limit is so low that there can be none above. */
	errno = error == EINVAL ? EMFILE : error;
	return apart;
}

int descriptor_identity(int fd, uint64_t *device, uint64_t *inode)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return errno;
	*device = st.st_dev;
	*inode = st.st_ino;
	return 0;
}

int descriptor_flags(int fd)
{
	return fcntl(fd, F_GETFL);
}

bool descriptor_is(int fd, uint64_t device, uint64_t inode)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (uint64_t)st.st_dev == device && st.st_ino == inode;
}

bool descriptor_is_another(int fd, uint64_t device, uint64_t inode)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return errno == EBADF;
	return (uint64_t)st.st_dev != device || st.st_ino != inode;
}

/* ---- above the standard ones -------------------------------------------- */

void descriptor_take_low(struct low *low)
{
	low->n = 0;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			continue;
		int taken = open("/", O_PATH | O_CLOEXEC);
		if (taken > STDERR_FILENO)
			close(taken);
		else if (taken >= 0)
			low->fd[low->n++] = taken;
	}
}

void descriptor_give_low(struct low *low)
{
	int error = errno;
	while (low->n > 0)
		close(low->fd[--low->n]);
	errno = error;
}

/* ---- those that are kept ------------------------------------------------ */

struct kept {
	int fd, flags;
	uint64_t name;
	dev_t dev;
	ino_t ino;
};

static struct {
	pthread_mutex_t lock; /* a leaf; taken after every other lock: see fork.h */
	_Atomic unsigned n;   /* changed with the lock held; looked at without */
	struct kept at[KEPT_MAX];
	_Atomic uint64_t forks;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER, .forks = 1};

/* Held from descriptor_begin to descriptor_noted. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

void descriptor_begin(void)
{
	pthread_mutex_lock(&opening);
}

void descriptor_noted(void)
{
	pthread_mutex_unlock(&opening);
}

/* The process that is made has all of them, too, and counts on from here. */
void descriptor_before_fork(void)
{
	descriptor_begin();
	pthread_mutex_lock(&kept.lock);
	atomic_fetch_add(&kept.forks, 1);
	for (unsigned i = 0; i < kept.n; i++)
		if (kept.at[i].name == 0)
			kept.at[i].name = DESCRIPTOR_ELSEWHERE;
}

void descriptor_after_fork(void)
{
	pthread_mutex_unlock(&kept.lock);
	descriptor_noted();
}

uint64_t descriptor_forks(void)
{
	return atomic_load(&kept.forks);
}

uint64_t descriptor_since(uint64_t forks)
{
	return forks == descriptor_forks() ? 0 : DESCRIPTOR_ELSEWHERE;
}

/* Is it still what it was?  A program may close what it does not know. */
static bool still_it(const struct kept *k)
{
	return descriptor_is(k->fd, k->dev, k->ino);
}

/* Has anybody a POSIX lock on the file?  Where that cannot be asked there are no such locks. */
static bool locked(int fd)
{
	/* A writer's lock on all of it: any other is in its way. */
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
}

static void drop(unsigned i)
{
	unsigned n = kept.n - 1;
	memmove(&kept.at[i], &kept.at[i + 1], (n - i) * sizeof kept.at[0]);
	kept.n = n;
}

/* Close those that may be closed by now. */
static void look_through(void)
{
	for (unsigned i = 0; i < kept.n;) {
		const struct kept k = kept.at[i];
		if (still_it(&k) && locked(k.fd)) {
			i++;
			continue;
		}
		if (still_it(&k))
			close(k.fd);
		drop(i);
	}
}

static int take_kept(const struct kept *wanted)
{
	int fd = -1;
	pthread_mutex_lock(&kept.lock);
	look_through();
	for (unsigned i = 0; i < kept.n && fd < 0; i++) {
		const struct kept *k = &kept.at[i];
		bool same = k->dev == wanted->dev && k->ino == wanted->ino && k->flags == wanted->flags;
		bool named = k->name != 0 && k->name != DESCRIPTOR_ELSEWHERE;
		if (k->name != wanted->name || !(named || same))
			continue;
		fd = k->fd;
		drop(i);
	}
	pthread_mutex_unlock(&kept.lock);
	return fd;
}

/* Relaxed: one that is kept just now is found the next time. */
static bool none_kept(void)
{
	return atomic_load_explicit(&kept.n, memory_order_relaxed) == 0;
}

int descriptor_kept(uint64_t name)
{
	return none_kept() ? -1 : take_kept(&(struct kept){.name = name});
}

int descriptor_elsewhere(int fd, int flags)
{
	struct stat st;
	if (none_kept() || fstat(fd, &st) != 0)
		return -1;
	return take_kept(&(struct kept){
		.flags = flags & FILE_FLAGS, .name = DESCRIPTOR_ELSEWHERE, .dev = st.st_dev, .ino = st.st_ino});
}

static void keep(const struct kept *k)
{
	if (kept.n == KEPT_MAX) {
		close(kept.at[0].fd);
		drop(0);
	}
	kept.at[kept.n++] = *k;
}

void descriptor_let_go(int fd, uint64_t name)
{
	struct stat st;
	struct kept k = {.fd = fd, .flags = fcntl(fd, F_GETFL) & FILE_FLAGS, .name = name};
	bool file = fstat(fd, &st) == 0;
	k.dev = file ? st.st_dev : 0;
	k.ino = file ? st.st_ino : 0;
	pthread_mutex_lock(&kept.lock);
	if (kept.n > 0)
		look_through();
	if (file && locked(fd))
		keep(&k);
	else
		close(fd);
	pthread_mutex_unlock(&kept.lock);
}

/* ---- opening ------------------------------------------------------------ */

int descriptor_open(const char *path, int flags)
{
	struct low low;
	descriptor_take_low(&low);
	int fd = open(path, flags | O_CLOEXEC);
	descriptor_give_low(&low);
	return fd;
}

/* The file that `wanted` tells of, by some path; -1 and errno. */
static int open_same(const char *path, int flags, const struct kept *wanted)
{
	struct kept k = *wanted;
	uint64_t forks = descriptor_forks();
	k.fd = descriptor_open(path, flags);
	if (k.fd < 0 || still_it(&k))
		return k.fd;
	descriptor_let_go(k.fd, descriptor_since(forks));
	errno = ENOENT;
	return -1;
}

int descriptor_again(int fd, int flags)
{
	struct stat st;
	char path[DESCRIPTOR_NAME_MAX];
	if (fstat(fd, &st) != 0)
		return -1;
	const struct kept wanted = {.flags = flags & FILE_FLAGS, .dev = st.st_dev, .ino = st.st_ino};
	int again = none_kept() ? -1 : take_kept(&wanted);
	if (again >= 0) {
		/* What went wrong before is no business of who opens the file now. */
		(void)fsync(again);
		(void)lseek(again, 0, SEEK_SET);
		return again;
	}
	errno = ENOENT;
	for (unsigned way = 0; again < 0 && errno == ENOENT && descriptor_name(fd, way, path); way++)
		again = open_same(path, flags, &wanted);
	return again;
}

ssize_t descriptor_path(int fd, char *to, size_t bytes)
{
	char name[DESCRIPTOR_NAME_MAX];
	ssize_t n = -1;
	errno = ENOENT;
	for (unsigned way = 0; n < 0 && errno == ENOENT && descriptor_name(fd, way, name); way++)
		n = readlink(name, to, bytes);
	return n;
}
