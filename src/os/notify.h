/*
 * notify.h - a thread waits for descriptors, and is told when files are closed.
 *
 * Owns nothing: what it opens is the caller's.  epoll(7) has what is waited for, and inotify(7)
 * tells of closings.
 *
 * A program may close descriptors that it does not know, and have others by their numbers.
 * So there is no writing to a descriptor to wake the thread up, and none is read that the
 * poller does not say it waits for (notify_has): what wakes the thread up is an eventfd
 * that can always be read, and that the poller waits for, or not.
 */
#ifndef MPOOL_NOTIFY_H
#define MPOOL_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/types.h>

/* Where a thread waits; and what wakes it up.  -1: not open. */
struct notify {
	int poller, waker;
};

/* None is open if it is false. */
bool notify_open(struct notify *n);
/* Close what is still ours. */
void notify_close(struct notify *n);

/* Wait for that descriptor too, which `is` stands for.  False and errno. */
bool notify_add(const struct notify *n, int fd, void *is);
void notify_remove(const struct notify *n, int fd);
/* Is it waited for?  Then both are ours still. */
bool notify_has(const struct notify *n, int fd);

/* The next notify_wait returns at once.  Harmless if the poller is another file by now. */
void notify_wake(const struct notify *n);
/* ... it does not, if nothing is said any more.  False: the poller is not ours any more. */
bool notify_wake_no_more(const struct notify *n);
/* Until a descriptor can be read, or is hung up: what stands for it.  NULL: woken up, a signal, or so long has passed. */
void *notify_wait(int poller, int ms);

/* ---- events ------------------------------------------------------------- */

/* A descriptor that can be read once something has happened, until that is taken; it does not block.  -1 and errno. */
int notify_event_open(void);
/* It has. */
void notify_event(int event);
/* The same of one that is the program's, which has made of it what it likes: it may block. */
void notify_event_of_program(int event);
void notify_event_take(int event);

/* ---- closings ----------------------------------------------------------- */

/* An instance of inotify, which is read and does not wait.  -1 and errno. */
int notify_closings_open(void);
/* How many the user may have, for all programs; `unknown`. */
unsigned notify_closings_max(unsigned unknown);
/* Be told when anybody closes what `fd` is and was opened for writing: its number there; -1 and errno. */
int notify_closings_of(int instance, int fd);
void notify_closings_end(int instance, int number);

/* What the kernel says: many at once. */
struct closings {
	_Alignas(struct inotify_event) char said[4096];
	size_t bytes, at;
};
/* Read what there is.  False: nothing. */
bool notify_hear(int instance, struct closings *c);
/* The next of them: the number of what was closed; NOTIFY_ANY: it may be any, for there were too many.  False: there is none. */
#define NOTIFY_ANY (-1)
bool notify_next(struct closings *c, int *number);

#endif
