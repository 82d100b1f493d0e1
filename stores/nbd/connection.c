/* connection.c - see connection.h. */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <libnbd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define NS_PER_S 1000000000u
#define NO_FD    (-1)
/* Of an answer, before what was read. */
#define REPLY_BYTES 16u

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void connection_init(struct connection *c, struct common *common)
{
	*c = (struct connection){.common = common, .old = NO_FD};
}

/* ---- connecting -------------------------------------------------------------- */

/* libnbd has an errno for what the system has refused, and none for what the server has. */
static int error_of_nbd(void)
{
	int error = nbd_get_errno();
	return error ? error : EPROTO;
}

/* It could not be made. */
static void give_up(struct connection *c, int error)
{
	nbd_close(c->handle);
	c->handle = NULL;
	c->state = CLOSED;
	c->why = error;
}

/*
 * Simple replies are shorter, and read by fewer calls.  Memory that a read fills is not cleared before: who has asked for it looks
 * at it only if the read has succeeded.
 */
static bool configure(struct nbd_handle *h)
{
	return nbd_set_request_structured_replies(h, false) == 0 && nbd_set_pread_initialize(h, false) == 0 &&
	       nbd_set_uri_allow_local_file(h, true) == 0;
}

bool connection_begin(struct connection *c)
{
	c->handle = nbd_create();
	if (!c->handle || !configure(c->handle) || nbd_aio_connect_uri(c->handle, c->common->uri) != 0) {
		give_up(c, error_of_nbd());
		return false;
	}
	c->state = CONNECTING;
	c->begun = now_ns();
	c->proved = false;
	return true;
}

/* A flag of the export; libnbd fails for handles that are not connected only. */
static bool has(int answer)
{
	return answer > 0;
}

static size_t or_else(int64_t bytes, size_t otherwise)
{
	return bytes > 0 ? (size_t)bytes : otherwise;
}

static void read_export(struct nbd_handle *h, struct export *e)
{
	*e = (struct export){
		.size = (uint64_t)nbd_get_size(h),
		.least = or_else(nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM), 1),
		.most = or_else(nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM), COMMAND_BYTES),
		.read_only = has(nbd_is_read_only(h)),
		.can_flush = has(nbd_can_flush(h)),
		.can_fua = has(nbd_can_fua(h)),
		.several = has(nbd_can_multi_conn(h)),
	};
	if (e->most > COMMAND_BYTES)
		e->most = COMMAND_BYTES / e->least * e->least;
}

/* May what was begun with the one go on with the other? */
static bool export_serves(const struct export *first, const struct export *now)
{
	return now->size >= first->size && now->read_only == first->read_only && first->least % now->least == 0 &&
	       first->most <= now->most && now->can_flush == first->can_flush && now->can_fua == first->can_fua &&
	       (now->several || !first->several);
}

/* The server has agreed. */
static void agreed(struct connection *c)
{
	struct export now, *first = &c->common->export;
	read_export(c->handle, &now);
	if (first->least == 0) {
		*first = now;
		c->common->tls = has(nbd_get_tls_negotiated(c->handle));
	}
	if (now.most == 0 || !export_serves(first, &now)) {
		give_up(c, ESTALE);
		return;
	}
	c->state = READY;
	c->answered = 0;
}

void command_done(struct common *common, struct command *command, int error)
{
	bool flush = command->of->io->op == MPOOL_IO_FLUSH;
	command->error = flush ? stable_flushed(&common->stable, command->wrote, error) : error;
	if (request_done(command->of))
		requests_push(&common->done, command->of);
}

/* ---- losing it --------------------------------------------------------------- */

/* Its handle is closed: nobody uses their memory any more. */
static void commands_lost(struct connection *c, int error)
{
	stable_lost(&c->common->stable, c->answered);
	while (c->flying.first) {
		struct command *command = c->flying.first;
		commands_remove(&c->flying, command);
		command_done(c->common, command, error);
	}
	c->n = 0;
}

static void lose(struct connection *c, int error)
{
	nbd_close(c->handle);
	c->handle = NULL;
	c->state = CLOSED;
	c->why = 0;
	commands_lost(c, error);
}

static bool is_over(struct nbd_handle *h)
{
	return nbd_aio_is_dead(h) || nbd_aio_is_closed(h);
}

static bool writes_fly(const struct connection *c)
{
	for (const struct command *command = c->flying.first; command; command = command->after)
		if (command->of->io->op == MPOOL_IO_WRITE)
			return true;
	return false;
}

/* If the other machine is not there any more, the system says so in the end; there is no such thing between processes of one. */
static void keep_asking(int socket)
{
	const int on = 1, idle_s = 60, between_s = 10, times = 6;
	setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof between_s);
	setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

/* The server does not answer. */
static void leave(struct connection *c)
{
	int old = writes_fly(c) ? fcntl(nbd_aio_get_fd(c->handle), F_DUPFD_CLOEXEC, 0) : NO_FD;
	lose(c, ETIMEDOUT);
	if (old == NO_FD)
		return;
	keep_asking(old);
	shutdown(old, SHUT_WR);
	c->old = old;
	c->state = ENDING;
}

/* What the server says to what we have given up is of no interest, and must not keep it from coming to the end. */
static void read_on(struct connection *c)
{
	char unread[4096];
	ssize_t n = recv(c->old, unread, sizeof unread, MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	close(c->old);
	c->old = NO_FD;
	c->state = CLOSED;
}

/* ---- commands ---------------------------------------------------------------- */

/* By libnbd, when a command is done; it is to forget it. */
static int answered(void *of, int *error)
{
	enum { RETIRE = 1 };
	struct command *command = of;
	struct connection *c = command->on;
	if (*error == ENOTCONN)
		return RETIRE; /* the connection is lost: see lose */
	commands_remove(&c->flying, command);
	c->n--;
	c->proved = true;
	c->heard += REPLY_BYTES + (*error || command->of->io->op != MPOOL_IO_READ ? 0 : command->bytes);
	if (!*error && command->of->io->op == MPOOL_IO_WRITE)
		c->answered = stable_answered(&c->common->stable);
	command_done(c->common, command, *error);
	return RETIRE;
}

static int64_t begin(struct connection *c, struct command *command)
{
	nbd_completion_callback then = {.callback = answered, .user_data = command};
	const struct export *e = &c->common->export;
	switch (command->of->io->op) {
	case MPOOL_IO_READ:
		return nbd_aio_pread(c->handle, command->at, command->bytes, command->offset, then, 0);
	case MPOOL_IO_WRITE:
		/* Where there are no flushes, each write is one, if it can be. */
		return nbd_aio_pwrite(c->handle, command->at, command->bytes, command->offset, then,
		                      !e->can_flush && e->can_fua ? LIBNBD_CMD_FLAG_FUA : 0);
	default:
		command->wrote = c->common->stable.answered;
		return nbd_aio_flush(c->handle, then, 0);
	}
}

bool connection_command(struct connection *c, struct command *command)
{
	command->on = c;
	command->begun = now_ns();
	/* Before it begins: libnbd may call before it returns. */
	commands_push(&c->flying, command);
	c->n++;
	int64_t cookie = begin(c, command);
	bool over = is_over(c->handle);
	if (cookie == -1) { /* nobody has seen it */
		commands_remove(&c->flying, command);
		c->n--;
	}
	if (cookie == -1 && !over)
		command_done(c->common, command, error_of_nbd());
	if (over)
		lose(c, ECONNRESET);
	return cookie != -1 || !over;
}

/* ---- waiting ----------------------------------------------------------------- */

void connection_wants(const struct connection *c, struct pollfd *fd)
{
	*fd = (struct pollfd){.fd = NO_FD};
	if (c->state == ENDING) {
		*fd = (struct pollfd){.fd = c->old, .events = POLLIN};
	} else if (c->handle) {
		unsigned direction = nbd_aio_get_direction(c->handle);
		fd->fd = nbd_aio_get_fd(c->handle);
		fd->events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
		                     (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	}
}

/* Bytes that have come, at least. */
static size_t bytes_there(const struct connection *c)
{
	int bytes;
	return ioctl(nbd_aio_get_fd(c->handle), FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* libnbd takes one answer at a time: as many as are there, but of TLS, where it is not known how many that are.  Like it, 0 or -1. */
static int take_answers(struct connection *c)
{
	size_t there = c->state == READY && !c->common->tls ? bytes_there(c) : 0;
	int failed;
	c->heard = 0;
	do {
		unsigned n = c->n;
		failed = nbd_aio_notify_read(c->handle);
		if (c->n == n)
			break;
	} while (failed == 0 && c->heard < there);
	return failed;
}

static void handle_event(struct connection *c, const struct pollfd *fd)
{
	short ended = POLLHUP | POLLERR;
	int failed = 0;
	if ((fd->events & POLLIN) && (fd->revents & (POLLIN | ended)))
		failed = take_answers(c);
	else if ((fd->events & POLLOUT) && (fd->revents & (POLLOUT | ended)))
		failed = nbd_aio_notify_write(c->handle);
	int error = failed ? error_of_nbd() : ECONNRESET;
	bool over = is_over(c->handle);
	if (c->state == READY && over)
		lose(c, ECONNRESET);
	else if (c->state == CONNECTING && over)
		give_up(c, error);
	else if (c->state == CONNECTING && nbd_aio_is_ready(c->handle))
		agreed(c);
}

void connection_event(struct connection *c, const struct pollfd *fd)
{
	if (!fd->revents)
		return;
	if (c->state == ENDING)
		read_on(c);
	else if (c->handle)
		handle_event(c, fd);
}

uint64_t connection_until(const struct connection *c)
{
	uint64_t since = c->state == CONNECTING ? c->begun : c->flying.first ? c->flying.first->begun : UINT64_MAX;
	return since < UINT64_MAX - c->common->timeout ? since + c->common->timeout : UINT64_MAX;
}

void connection_overdue(struct connection *c, uint64_t now)
{
	if (now < connection_until(c))
		return;
	if (c->state == CONNECTING)
		give_up(c, ETIMEDOUT);
	else
		leave(c);
}

void connection_close(struct connection *c)
{
	if (c->state == READY)
		nbd_aio_disconnect(c->handle, 0);
	nbd_close(c->handle);
	if (c->old != NO_FD)
		close(c->old);
}
