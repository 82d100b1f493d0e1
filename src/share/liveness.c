/* liveness.c - see liveness.h. */
#include "share/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/descriptor.h"

/* ---- locks released with the process's memory --------------------------- */

/*
 * A child forked between the opening of a file and its closing would hold the lock
 * too.  A leaf: see fork.h.
 */
static pthread_mutex_t beginning = PTHREAD_MUTEX_INITIALIZER;
/* A thread of this process has a pool's lock by the object's own descriptor: one at a time. */
static _Atomic bool by_descriptor;

void member_before_fork(void)
{
	pthread_mutex_lock(&beginning);
}

void member_after_fork(bool child)
{
	/* A thread of the parent's may have it, and is not here. */
	if (child)
		atomic_store(&by_descriptor, false);
	pthread_mutex_unlock(&beginning);
}

/* Have the open file `fd` held by a mapping, and nothing else. */
static void *hold(int fd)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		/* That is what a lack of memory that may be locked is called (mlockall); here it would be taken for another's lock. */
		errno = errno == EAGAIN ? ENOMEM : errno;
		return NULL;
	}
	if (madvise(map, bytes, MADV_DONTFORK) == 0)
		return map;
	munmap(map, bytes);
	return NULL;
}

void hold_end(struct hold *h)
{
	if (h->map)
		munmap(h->map, (size_t)sysconf(_SC_PAGESIZE));
	h->map = NULL;
}

static struct flock byte_lock(short type, off_t byte, uint32_t n)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = (off_t)n};
}

static bool take_byte(int fd, off_t byte, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct flock lock = byte_lock(F_WRLCK, byte + i, 1);
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return true;
		if (errno != EAGAIN && errno != EACCES)
			break;
	}
	return false;
}

int hold_byte(struct hold *h, int dir, const char *name, off_t byte, uint32_t n)
{
	int error = 0;
	pthread_mutex_lock(&beginning);
	int fd = descriptor_apart(openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0 || !take_byte(fd, byte, n) || !(h->map = hold(fd)))
		error = errno;
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&beginning);
	return error;
}

/* ---- the pool's lock ---------------------------------------------------- */

/* Naps between two tries, and their sum after which member_lock_soon gives up. */
enum { FIRST_NAP_NS = 50000, LAST_NAP_NS = 1000000, SOON_NS = 10000000 };
#define NS_PER_S UINT64_C(1000000000)

bool member_is(int fd, const struct member_object *o)
{
	return descriptor_is(fd, o->dev, o->ino);
}

/* The same object, opened once more; by its name where there is no /proc, or the program has closed the descriptor.  -1 and errno. */
static int open_again(const struct member_object *o, int mode)
{
	char of_thread[DESCRIPTOR_NAME_MAX], of_process[DESCRIPTOR_NAME_MAX];
	(void)descriptor_name(o->fd, 0, of_thread);
	(void)descriptor_name(o->fd, 1, of_process);
	const char *name[] = {of_thread, of_process, o->path};
	errno = ENOENT;
	/* ENXIO: the program has closed the object, and what has the number now cannot be opened again. */
	for (unsigned i = 0; i < sizeof name / sizeof *name && name[i] && (errno == ENOENT || errno == ENXIO); i++) {
		int follow = name[i] == o->path ? O_NOFOLLOW : 0;
		int fd = descriptor_apart(open(name[i], mode | follow | O_NONBLOCK | O_CLOEXEC));
		if (fd >= 0 && member_is(fd, o))
			return fd;
		if (fd >= 0) {
			close(fd);
			errno = ENOENT;
		}
	}
	return -1;
}

/* One try.  0, or an errno, EWOULDBLOCK: another has it.  Opened for reading, it is no closing that the watches are told of. */
static int try_lock(struct hold *h, const struct member_object *o)
{
	int error = 0;
	pthread_mutex_lock(&beginning);
	int fd = open_again(o, O_RDONLY);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || !(h->map = hold(fd)))
		error = errno;
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&beginning);
	return error;
}

/*
 * Where no file can be opened or mapped, so that nobody fails to leave for that: by
 * the descriptor there is.  A child that a fork made has it too: should the holder
 * die just now, the lock goes with both.
 */
static int try_lock_by_descriptor(struct hold *h, const struct member_object *o)
{
	if (!member_is(o->fd, o))
		return EBADF;
	if (atomic_exchange(&by_descriptor, true))
		return EWOULDBLOCK;
	if (flock(o->fd, LOCK_EX | LOCK_NB) == 0) {
		h->descriptor = o->fd;
		return 0;
	}
	int error = errno;
	atomic_store(&by_descriptor, false);
	return error;
}

/* The time is the sum of the naps: no clock is read. */
static int lock_within(struct hold *h, const struct member_object *o, uint64_t ns)
{
	struct timespec nap = {.tv_nsec = FIRST_NAP_NS};
	for (uint64_t napped = 0;; napped += (uint64_t)nap.tv_nsec) {
		int error = try_lock(h, o);
		if (error && error != EWOULDBLOCK)
			error = try_lock_by_descriptor(h, o);
		if (error != EWOULDBLOCK)
			return error;
		if (napped >= ns)
			return ETIMEDOUT;
		nanosleep(&nap, NULL);
		nap.tv_nsec = nap.tv_nsec < LAST_NAP_NS ? 2 * nap.tv_nsec : LAST_NAP_NS;
	}
}

int member_lock(struct hold *h, const struct member_object *o, unsigned seconds)
{
	return lock_within(h, o, seconds * NS_PER_S);
}

int member_lock_soon(struct hold *h, const struct member_object *o)
{
	return lock_within(h, o, SOON_NS);
}

void member_unlock(struct hold *h)
{
	if (!h->map) {
		(void)flock(h->descriptor, LOCK_UN);
		atomic_store(&by_descriptor, false);
	}
	hold_end(h);
}

/* ---- liveness ----------------------------------------------------------- */

int liveness_lock(struct hold *liveness, const struct member_object *o, uint32_t member)
{
	struct flock lock = byte_lock(F_WRLCK, LIVENESS_BYTES + (off_t)member, 1);
	int error = 0;
	pthread_mutex_lock(&beginning);
	int fd = open_again(o, O_RDWR);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0 || !(liveness->map = hold(fd)))
		error = errno;
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&beginning);
	return error;
}

static bool liveness_held(int object, uint32_t member, uint32_t members)
{
	struct flock lock = byte_lock(F_WRLCK, LIVENESS_BYTES + (off_t)member, members);
	/* On error assume that it is alive. */
	return fcntl(object, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool member_alive(int object, uint32_t member)
{
	return liveness_held(object, member, 1);
}

bool liveness_any(int object)
{
	return liveness_held(object, 0, MEMBERS_MAX);
}
