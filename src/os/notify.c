/* notify.c - see notify.h. */
#include "os/notify.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/file.h"

static bool control(const struct notify *n, int what, int fd, uint32_t events, void *is)
{
	struct epoll_event e = {.events = events, .data.ptr = is};
	return epoll_ctl(n->poller, what, fd, &e) == 0;
}

bool notify_add(const struct notify *n, int fd, void *is)
{
	return control(n, EPOLL_CTL_ADD, fd, EPOLLIN, is);
}

void notify_remove(const struct notify *n, int fd)
{
	(void)control(n, EPOLL_CTL_DEL, fd, 0, NULL);
}

bool notify_has(const struct notify *n, int fd)
{
	if (n->poller < 0 || fd < 0)
		return false;
	if (control(n, EPOLL_CTL_ADD, fd, 0, NULL)) {
		notify_remove(n, fd);
		return false;
	}
	return errno == EEXIST;
}

static void forget(struct notify *n, bool ours)
{
	if (ours) {
		descriptor_close(n->waker);
		descriptor_close(n->poller);
	}
	*n = (struct notify){-1, -1};
}

bool notify_open(struct notify *n)
{
	n->poller = descriptor_apart(epoll_create1(EPOLL_CLOEXEC));
	n->waker = n->poller < 0 ? -1 : descriptor_apart(eventfd(1, EFD_CLOEXEC));
	if (n->waker >= 0 && notify_add(n, n->waker, NULL))
		return true;
	forget(n, true);
	return false;
}

void notify_close(struct notify *n)
{
	forget(n, notify_has(n, n->waker));
}

void notify_wake(const struct notify *n)
{
	(void)control(n, EPOLL_CTL_MOD, n->waker, EPOLLIN | EPOLLONESHOT, NULL);
}

bool notify_wake_no_more(const struct notify *n)
{
	return control(n, EPOLL_CTL_MOD, n->waker, 0, NULL);
}

void *notify_wait(int poller, int ms)
{
	struct epoll_event e;
	return epoll_wait(poller, &e, 1, ms) == 1 ? e.data.ptr : NULL;
}

/* ---- events ------------------------------------------------------------- */

int notify_event_open(void)
{
	return descriptor_apart(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void notify_event(int event)
{
	static const uint64_t one = 1;
	(void)!write(event, &one, sizeof one); /* if its count is full, who waits knows */
}

void notify_event_of_program(int event)
{
	struct pollfd p = {.fd = event, .events = POLLOUT};
	/* It may block when its count is full: then it can be read, as it is to be. */
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		notify_event(event);
}

void notify_event_take(int event)
{
	uint64_t n;
	(void)!read(event, &n, sizeof n);
}

/* ---- closings ----------------------------------------------------------- */

int notify_closings_open(void)
{
	return descriptor_apart(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
}

unsigned notify_closings_max(unsigned unknown)
{
	return file_number("/proc/sys/fs/inotify/max_user_instances", unknown);
}

int notify_closings_of(int instance, int fd)
{
	char name[DESCRIPTOR_NAME_MAX];
	int number = -1;
	errno = ENOENT;
	for (unsigned way = 0; number < 0 && errno == ENOENT && descriptor_name(fd, way, name); way++)
		number = inotify_add_watch(instance, name, IN_CLOSE_WRITE);
	return number;
}

void notify_closings_end(int instance, int number)
{
	(void)inotify_rm_watch(instance, number);
}

bool notify_hear(int instance, struct closings *c)
{
	ssize_t n = read(instance, c->said, sizeof c->said);
	c->bytes = n > 0 ? (size_t)n : 0;
	c->at = 0;
	return n > 0;
}

bool notify_next(struct closings *c, int *number)
{
	if (c->at >= c->bytes)
		return false;
	const struct inotify_event *e = (const void *)&c->said[c->at];
	*number = e->mask & IN_Q_OVERFLOW ? NOTIFY_ANY : e->wd;
	c->at += sizeof *e + e->len;
	return true;
}
