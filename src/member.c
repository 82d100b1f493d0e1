/* member.c - see member.h. */
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- the lock ----------------------------------------------------------- */

int member_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	int error = pthread_mutexattr_init(&attr);
	if (error)
		return error;
	error = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!error)
		error = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!error)
		error = pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return error;
}

int member_lock(pthread_mutex_t *lock, unsigned seconds)
{
	int error;
	if (seconds == 0) {
		error = pthread_mutex_lock(lock);
	} else {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += seconds;
		error = pthread_mutex_timedlock(lock, &until);
	}
	return error == EOWNERDEAD ? pthread_mutex_consistent(lock) : error;
}

uint32_t member_count(const struct member_state *ms)
{
	uint32_t n = 0, top = atomic_load(&ms->top);
	for (uint32_t i = 0; i < top; i++)
		n += member_in(&ms->member[i]);
	return n;
}

uint64_t member_deaths(const struct member_state *ms)
{
	uint64_t n = 0;
	uint32_t top = atomic_load(&ms->top);
	for (uint32_t i = 0; i < top; i++)
		n += atomic_load(&ms->member[i].state) / MEMBER_DEATH;
	return n;
}

/* ---- life --------------------------------------------------------------- */

/*
 * A child forked between the opening of the object and its closing would hold the
 * life lock too.  A leaf: see fork.h.
 */
static pthread_mutex_t beginning = PTHREAD_MUTEX_INITIALIZER;

void member_before_fork(void)
{
	pthread_mutex_lock(&beginning);
}

void member_after_fork(void)
{
	pthread_mutex_unlock(&beginning);
}

static struct flock life_lock(short type, uint32_t member, uint32_t members)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = LIFE_BYTES + (off_t)member, .l_len = (off_t)members};
}

/* The same object, opened once more: a lock is its opener's. */
static int open_again(int object)
{
	char name[sizeof "/proc/self/fd/" + 3 * sizeof object];
	snprintf(name, sizeof name, "/proc/self/fd/%d", object);
	return open(name, O_RDWR | O_CLOEXEC);
}

/* Have the open file `fd` held by a mapping, and nothing else. */
static void *hold(int fd)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return NULL;
	if (madvise(map, bytes, MADV_DONTFORK) == 0)
		return map;
	munmap(map, bytes);
	return NULL;
}

int life_begin(struct life *life, int object, uint32_t member)
{
	struct flock lock = life_lock(F_WRLCK, member, 1);
	int error = 0;
	pthread_mutex_lock(&beginning);
	int fd = open_again(object);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0 || !(life->map = hold(fd)))
		error = errno;
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&beginning);
	return error;
}

void life_end(struct life *life)
{
	if (life->map)
		munmap(life->map, (size_t)sysconf(_SC_PAGESIZE));
	life->map = NULL;
}

static bool life_held(int object, uint32_t member, uint32_t members)
{
	struct flock lock = life_lock(F_WRLCK, member, members);
	/* In doubt it lives. */
	return fcntl(object, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool life_goes_on(int object, uint32_t member)
{
	return life_held(object, member, 1);
}

bool life_any(int object)
{
	return life_held(object, 0, MEMBERS_MAX);
}
