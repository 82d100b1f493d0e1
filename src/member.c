/* member.c - see member.h. */
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "descriptor.h"

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

/*
 * A wakeup can be lost with the thread that it woke: A unlocks and wakes W, B takes
 * the lock, which then does not say that others wait, and W is killed before it
 * says so again: B's unlock wakes nobody, however many wait.  (The kernel mends
 * that only if the lock is free when W dies.)  So nobody waits for longer than this
 * without looking again.
 */
enum { LOOK_AGAIN_NS = 10000000, NS_IN_SECOND = 1000000000 };

#ifdef __SANITIZE_THREAD__
/* It knows no pthread_mutex_clocklock, and not that pthread_mutex_timedlock can find the owner dead. */
static int lock_for_a_while(pthread_mutex_t *lock)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	int error = pthread_mutex_trylock(lock);
	if (error != EBUSY)
		return error;
	nanosleep(&pause, NULL);
	return ETIMEDOUT;
}
#else
static int lock_for_a_while(pthread_mutex_t *lock)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_AGAIN_NS;
	if (until.tv_nsec >= NS_IN_SECOND) {
		until.tv_nsec -= NS_IN_SECOND;
		until.tv_sec++;
	}
	return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
}
#endif

int member_lock_soon(pthread_mutex_t *lock)
{
	int error = lock_for_a_while(lock);
	return error == EOWNERDEAD ? pthread_mutex_consistent(lock) : error;
}

int member_lock(pthread_mutex_t *lock, unsigned seconds)
{
	uint64_t looks = (uint64_t)seconds * (NS_IN_SECOND / LOOK_AGAIN_NS);
	int error;
	do
		error = member_lock_soon(lock);
	while (error == ETIMEDOUT && (seconds == 0 || --looks > 0));
	return error;
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
	return descriptor_apart(open(name, O_RDWR | O_CLOEXEC));
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
