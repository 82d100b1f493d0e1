/* watch.c - see watch.h. */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "descriptor.h"
#include "pool.h"
#include "recover.h"

/* After a closing: look at once, and again after 1, 2, 4, ... milliseconds, up to this. */
#define LAST_LOOK_MS 64
#define FOR_EVER     (-1)

enum waited { WAITED_IN_VAIN, WAITED_CLOSED, WAITED_FAILED };

/* Wait until something was closed, or for so long. */
static enum waited wait_for_close(struct watch *w, int ms)
{
	char events[4096];
	struct pollfd p = {.fd = w->events, .events = POLLIN};
	int n = poll(&p, 1, ms);
	if (n == 0 || (n < 0 && errno == EINTR))
		return WAITED_IN_VAIN;
	/* What exactly it says does not matter: whatever it is, all are looked at. */
	if (n == 1 && p.revents == POLLIN && (read(w->events, events, sizeof events) > 0 || errno == EINTR))
		return WAITED_CLOSED;
	return WAITED_FAILED;
}

static void *watch(void *pool)
{
	MPOOL *mp = pool;
	struct watch *w = &mp->sharing.watch;
	enum waited waited = WAITED_CLOSED;
	for (int ms = 1; waited != WAITED_FAILED && !atomic_load(&w->ending);) {
		/* Whoever keeps the pool's lock may be stopped, and this pool be closed meanwhile. */
		if (recover_due(mp) && !recover_dead(mp) && recover_due(mp))
			ms = LAST_LOOK_MS;
		waited = wait_for_close(w, ms <= LAST_LOOK_MS ? ms : FOR_EVER);
		ms = waited == WAITED_CLOSED || ms > LAST_LOOK_MS ? 1 : 2 * ms;
	}
	atomic_store(&w->awake, false);
	return NULL;
}

static bool look_at(struct watch *w, int object)
{
	char name[sizeof "/proc/self/fd/" + 3 * sizeof object];
	snprintf(name, sizeof name, "/proc/self/fd/%d", object);
	w->events = descriptor_apart(inotify_init1(IN_CLOEXEC));
	/* What holds a life lock was opened for writing; who only looks (look.h) is of no interest. */
	w->subject = w->events < 0 ? -1 : inotify_add_watch(w->events, name, IN_CLOSE_WRITE);
	return w->subject >= 0;
}

/* The program's signals are not for a thread that it does not know of. */
static bool start(MPOOL *mp)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_store(&mp->sharing.watch.awake, true);
	int error = pthread_create(&mp->sharing.watch.thread, NULL, watch, mp);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0;
}

void watch_begin(MPOOL *mp)
{
	struct watch *w = &mp->sharing.watch;
	w->begun = look_at(w, mp->sharing.object) && start(mp);
	if (!w->begun) {
		atomic_store(&w->awake, false);
		if (w->events >= 0)
			close(w->events);
	}
}

void watch_forget(struct watch *w)
{
	if (w->begun)
		close(w->events);
	w->begun = false;
}

void watch_end(MPOOL *mp)
{
	struct watch *w = &mp->sharing.watch;
	if (!w->begun)
		return;
	atomic_store(&w->ending, true);
	/* That is something to be told of. */
	inotify_rm_watch(w->events, w->subject);
	pthread_join(w->thread, NULL);
	close(w->events);
	w->begun = false;
}
