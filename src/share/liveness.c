/* liveness.c - see liveness.h. */
#include "share/liveness.h"

#include <errno.h>
#include <fcntl.h>

#include "os/descriptor.h"
#include "os/file.h"
#include "os/time.h"

/* A thread of this process has a pool's lock by the object's own descriptor: one at a time. */
static _Atomic bool by_descriptor;

void member_before_fork(void)
{
	lock_begin();
}

void member_after_fork(bool child)
{
	/* A thread of the parent's may have it, and is not here. */
	if (child)
		atomic_store(&by_descriptor, false);
	lock_begun(-1);
}

static bool is_taken(int error)
{
	return error == EAGAIN || error == EACCES;
}

static bool take_byte(int fd, off_t byte, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (lock_byte(fd, byte + i))
			return true;
		if (!is_taken(errno))
			break;
	}
	return false;
}

int hold_byte(struct hold *h, int dir, const char *name, off_t byte, uint32_t n)
{
	lock_begin();
	int fd = descriptor_apart(file_open(dir, name, O_RDWR));
	int error = fd >= 0 && take_byte(fd, byte, n) && lock_keep(h, fd) ? 0 : errno;
	lock_begun(fd);
	return error;
}

/* ---- the pool's lock ---------------------------------------------------- */

/*
 * The lock is the kernel's, of which C11 knows nothing, nor does ThreadSanitizer: threads of one process that have it one after
 * the other have this, too.
 *
 *   who gives it up   counts on (release)      }  pairs with
 *   who has got it    looks (acquire)          }
 */
static _Atomic uint32_t passed_on;

/* Naps between two tries, and their sum after which member_lock_soon gives up. */
enum { FIRST_NAP_NS = 50000, LAST_NAP_NS = 1000000, SOON_NS = 10000000 };

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
		int fd = descriptor_apart(file_open_path(name[i], mode | follow | O_NONBLOCK));
		if (fd >= 0 && member_is(fd, o))
			return fd;
		if (fd >= 0) {
			descriptor_close(fd);
			errno = ENOENT;
		}
	}
	return -1;
}

/* One try.  0, or an errno, EWOULDBLOCK: another has it.  Opened for reading, it is no closing that the watches are told of. */
static int try_lock(struct hold *h, const struct member_object *o)
{
	lock_begin();
	int fd = open_again(o, O_RDONLY);
	int error = fd >= 0 && lock_file(fd) && lock_keep(h, fd) ? 0 : errno;
	lock_begun(fd);
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
	if (lock_file(o->fd)) {
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
	uint64_t nap = FIRST_NAP_NS;
	for (uint64_t napped = 0;; napped += nap) {
		int error = try_lock(h, o);
		if (error && error != EWOULDBLOCK)
			error = try_lock_by_descriptor(h, o);
		/* Acquire: pairs with member_unlock. */
		(void)atomic_load_explicit(&passed_on, memory_order_acquire);
		if (error != EWOULDBLOCK)
			return error;
		if (napped >= ns)
			return ETIMEDOUT;
		time_nap(nap);
		nap = nap < LAST_NAP_NS ? 2 * nap : LAST_NAP_NS;
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
	/* Release: pairs with lock_within. */
	atomic_fetch_add_explicit(&passed_on, 1, memory_order_release);
	if (!h->map) {
		lock_file_end(h->descriptor);
		atomic_store(&by_descriptor, false);
	}
	hold_end(h);
}

/* ---- liveness ----------------------------------------------------------- */

int liveness_lock(struct hold *liveness, const struct member_object *o, uint32_t member)
{
	lock_begin();
	int fd = open_again(o, O_RDWR);
	int error = fd >= 0 && lock_byte(fd, LIVENESS_BYTES + (off_t)member) && lock_keep(liveness, fd) ? 0 : errno;
	lock_begun(fd);
	return error;
}

bool member_alive(int object, uint32_t member)
{
	return lock_bytes_taken(object, LIVENESS_BYTES + (off_t)member, 1);
}

bool liveness_any(int object)
{
	return lock_bytes_taken(object, LIVENESS_BYTES, MEMBERS_MAX);
}
