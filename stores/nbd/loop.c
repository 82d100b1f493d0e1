/* loop.c - see loop.h. */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#define NS_PER_MS 1000000u
#define NO_FD     (-1)
#define NO_LIMIT  (-1) /* ms of poll(2) */

/* ---- finding a connection ---------------------------------------------------- */

/* Of those in that state the one that has the least in flight, or NULL. */
static struct connection *least_busy(struct loop *l, enum connection_state state)
{
	struct connection *best = NULL;
	for (unsigned i = 0; i < l->n; i++) {
		struct connection *c = &l->connection[i];
		if (c->state == state && (!best || c->n < best->n))
			best = c;
	}
	return best;
}

/* Why there is no connection, to the pool. */
static int error_of_attempt(int why)
{
	return why == ETIMEDOUT || why == ESTALE ? why : ENOTCONN;
}

static void refused(struct loop *l, int why)
{
	l->not_before = now_ns() + l->retry;
	l->refused = error_of_attempt(why);
}

/* A connection that has just failed, or was lost without an answer, is not made anew at once. */
static void look_back(struct loop *l, const struct connection *c, enum connection_state before)
{
	if (c->state != CLOSED || (before != CONNECTING && before != READY))
		return;
	if (before == CONNECTING || !c->proved)
		refused(l, c->why);
}

static void see_to(struct loop *l, struct connection *c, const struct pollfd *fd, uint64_t now)
{
	enum connection_state before = c->state;
	connection_event(c, fd);
	connection_overdue(c, now);
	look_back(l, c, before);
}

/* It has much in flight, and the oldest for long: another one would do. */
static bool is_slow(const struct connection *c, uint64_t now)
{
	return c->n >= BUSY && now >= c->flying.first->begun + SLOW_NS;
}

/* The first that is ready and not slow; else the one that has the least in flight, or NULL. */
static struct connection *fastest(struct loop *l)
{
	uint64_t now = now_ns();
	for (unsigned i = 0; i < l->n; i++)
		if (l->connection[i].state == READY && !is_slow(&l->connection[i], now))
			return &l->connection[i];
	return least_busy(l, READY);
}

/* Has it ended?  Of one that nothing is in flight on, nobody may have looked. */
static bool has_ended(struct loop *l, struct connection *c)
{
	struct pollfd fd;
	if (c->n > 0)
		return false;
	connection_wants(c, &fd);
	if (poll(&fd, 1, 0) <= 0)
		return false;
	l->turn++;
	see_to(l, c, &fd, now_ns());
	return c->state != READY;
}

/* The one for the next command, or NULL. */
static struct connection *next_connection(struct loop *l)
{
	struct connection *c;
	do
		c = fastest(l);
	while (c && has_ended(l, c));
	return c;
}

/* 0: a connection is being made; or an errno. */
static int connect_one(struct loop *l)
{
	struct connection *c = least_busy(l, CLOSED);
	if (least_busy(l, CONNECTING))
		return 0;
	if (!c)
		return ENOTCONN;
	if (now_ns() < l->not_before)
		return l->refused;
	if (!connection_begin(c)) {
		refused(l, c->why);
		return l->refused;
	}
	return 0;
}

/* When another connection is wanted than those that are slow; UINT64_MAX: not now. */
static uint64_t another_from(struct loop *l)
{
	uint64_t from = 0;
	if (!least_busy(l, CLOSED) || least_busy(l, CONNECTING) || !least_busy(l, READY))
		return UINT64_MAX;
	for (unsigned i = 0; i < l->n; i++) {
		const struct connection *c = &l->connection[i];
		if (c->state == READY && c->n < BUSY)
			return UINT64_MAX;
		if (c->state == READY && c->flying.first->begun + SLOW_NS > from)
			from = c->flying.first->begun + SLOW_NS;
	}
	return from > l->not_before ? from : l->not_before;
}

static bool wants_another(struct loop *l)
{
	uint64_t from = another_from(l);
	return from != UINT64_MAX && now_ns() >= from;
}

/* ---- beginning --------------------------------------------------------------- */

static void fail(struct loop *l, struct command *command, int error)
{
	commands_remove(&l->waiting, command);
	command->wrote = l->common.stable.answered;
	command_done(&l->common, command, error);
}

/* An old write of the same bytes may be under way: see connection.h. */
static bool may_be_overtaken(struct loop *l, const struct command *command)
{
	return command->of->io->op == MPOOL_IO_WRITE && least_busy(l, ENDING);
}

/* Begin what waits, or let it wait for a connection, which the thread makes. */
static void begin_waiting(struct loop *l, bool may_connect)
{
	while (l->waiting.first) {
		struct command *command = l->waiting.first;
		struct connection *c = next_connection(l);
		int error = !c && may_connect ? connect_one(l) : 0;
		if (may_be_overtaken(l, command))
			error = ENOTCONN;
		if (error) {
			fail(l, command, error);
			continue;
		}
		if (!c)
			return; /* until the one is there that is being made */
		commands_remove(&l->waiting, command);
		if (!connection_command(c, command))
			commands_push(&l->waiting, command);
	}
	if (may_connect && wants_another(l))
		(void)connect_one(l);
}

/* What has been handed over waits from now on. */
static void take(struct loop *l)
{
	pthread_mutex_lock(&l->queue);
	struct request *r = l->handed.first;
	l->handed.first = NULL;
	pthread_mutex_unlock(&l->queue);
	for (; r; r = r->next) {
		l->serves |= !r->io->waiter;
		for (unsigned i = 0; i < r->n; i++)
			commands_push(&l->waiting, &r->command[i]);
	}
}

/* ---- who drives -------------------------------------------------------------- */

static void wake(struct poller *p)
{
	const uint64_t one = 1;
	if (!p->polls)
		return;
	p->polls = false;
	while (write(p->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void was_woken(const struct poller *p)
{
	uint64_t times;
	while (read(p->wake, &times, sizeof times) < 0 && errno == EINTR)
		;
}

/* Until when it may wait, ns. */
static uint64_t until(struct loop *l, const struct poller *p)
{
	uint64_t first = p == &l->own ? another_from(l) : UINT64_MAX;
	for (unsigned i = 0; i < l->n; i++) {
		uint64_t one = connection_until(&l->connection[i]);
		first = one < first ? one : first;
	}
	return first;
}

/* Does it not wait for all that is to be waited for? */
static bool misses(struct loop *l, const struct poller *p)
{
	bool misses = p->rests || until(l, p) < p->until;
	for (unsigned i = 0; i < l->n && !misses; i++) {
		struct pollfd wants;
		connection_wants(&l->connection[i], &wants);
		misses = wants.fd != p->wants[i].fd || wants.events != p->wants[i].events;
	}
	return misses;
}

/* Is anything in flight that is another's than the waiter's?  `is`: that is the waiter's? */
static bool flies(const struct loop *l, const void *waiter, bool is)
{
	for (unsigned i = 0; i < l->n; i++)
		for (const struct command *c = l->connection[i].flying.first; c; c = c->after)
			if ((c->of->io->waiter == waiter) == is)
				return true;
	return false;
}

/* Is there what the thread alone does? */
static bool is_for_thread(struct loop *l)
{
	return l->waiting.first || least_busy(l, CONNECTING) || least_busy(l, ENDING) || wants_another(l);
}

/* Something has changed: who is in poll(2) is told, if he has to look. */
static void have_driven(struct loop *l)
{
	l->serves |= is_for_thread(l);
	if (l->driven && l->caller.polls && (l->serves || misses(l, &l->caller)))
		wake(&l->caller);
	if (l->serves && !l->driven && l->own.polls && (l->waiting.first || misses(l, &l->own)))
		wake(&l->own);
}

/* ---- the lock ---------------------------------------------------------------- */

static void begin_handed(struct loop *l)
{
	take(l);
	if (!l->common.tls)
		begin_waiting(l, false);
	have_driven(l);
}

static void tell(struct request *r)
{
	for (struct request *next; r; r = next) {
		next = r->next;
		request_tell(r);
	}
}

static bool anything_handed(struct loop *l)
{
	pthread_mutex_lock(&l->queue);
	bool any = l->handed.first;
	pthread_mutex_unlock(&l->queue);
	return any;
}

/*
 * Let go of the lock, tell of what is done, and see to what was handed over meanwhile: who has done that may have found the
 * lock taken.  Whoever comes after the look into the queue finds it free.
 */
static void let_go(struct loop *l)
{
	do {
		struct request *done = l->common.done.first;
		l->common.done.first = NULL;
		pthread_mutex_unlock(&l->lock);
		tell(done);
		if (!anything_handed(l) || pthread_mutex_trylock(&l->lock) != 0)
			return;
		begin_handed(l);
	} while (true);
}

void loop_submit(struct loop *l, struct request *r)
{
	pthread_mutex_lock(&l->queue);
	requests_push(&l->handed, r);
	pthread_mutex_unlock(&l->queue);
	if (pthread_mutex_trylock(&l->lock) != 0)
		return;
	begin_handed(l);
	let_go(l);
}

/* ---- driving ----------------------------------------------------------------- */

/* For poll(2), rounded up: -1: for ever. */
static int ms_until(uint64_t ns)
{
	const uint64_t long_enough = 1000;
	uint64_t now = now_ns(), ms = ns > now ? (ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
	if (ns == UINT64_MAX)
		return NO_LIMIT;
	return (int)(ms < long_enough ? ms : long_enough);
}

static int shorter(int ms, int than)
{
	return than == NO_LIMIT || (ms != NO_LIMIT && ms < than) ? ms : than;
}

/*
 * With the lock held, which it lets go of meanwhile: wait for what the poller wants, and for `other`, which is told of by its revents.  How many
 * can be read or written; `said`: of the connections.
 */
static int wait_for(struct loop *l, struct poller *p, int ms, struct pollfd *said, struct pollfd *other)
{
	struct pollfd fd[CONNECTIONS + 2];
	unsigned n = l->n;
	for (unsigned i = 0; i < n; i++)
		fd[i] = p->rests ? (struct pollfd){.fd = NO_FD} : p->wants[i];
	fd[n] = (struct pollfd){.fd = p->wake, .events = POLLIN};
	fd[n + 1] = *other;
	p->polls = true;
	let_go(l);
	int there = poll(fd, n + 2, p->rests ? ms : shorter(ms_until(p->until), ms));
	pthread_mutex_lock(&l->lock);
	p->polls = false;
	if (there > 0 && fd[n].revents)
		was_woken(p);
	other->revents = (short)(there > 0 ? fd[n + 1].revents : 0);
	memcpy(said, fd, n * sizeof fd[0]);
	return there;
}

/* As wait_for, and see to the connections.  False: the time is over, or `other` can be read. */
static bool drive(struct loop *l, struct poller *p, int other, int ms)
{
	struct pollfd said[CONNECTIONS], theirs = {.fd = other, .events = POLLIN};
	for (unsigned i = 0; i < l->n; i++)
		connection_wants(&l->connection[i], &p->wants[i]);
	p->until = until(l, p);
	p->rests = false;
	uint64_t turn = l->turn;
	int there = wait_for(l, p, ms, said, &theirs);
	if (there < 0) /* a signal, or no memory for the moment */
		return true;
	/* Unless somebody else was there meanwhile: then it may have been seen to. */
	uint64_t now = now_ns();
	if (turn == l->turn++)
		for (unsigned i = 0; i < l->n; i++)
			see_to(l, &l->connection[i], &said[i], now);
	return !theirs.revents && (there > 0 || ms == NO_LIMIT);
}

/* A caller drives. */
static void drive_as(struct loop *l, const void *waiter, int fd, int ms)
{
	l->driven = true;
	if (!l->own.rests)
		wake(&l->own); /* that it does not wait for the same */
	while (!l->common.done.first && !l->serves && flies(l, waiter, true) && drive(l, &l->caller, fd, ms))
		l->serves |= is_for_thread(l);
	l->driven = false;
	l->serves |= flies(l, waiter, false);
}

bool loop_wait(struct loop *l, const void *waiter, int fd, int ms)
{
	pthread_mutex_lock(&l->lock);
	begin_handed(l);
	bool told = l->common.done.first, drives = !told && !l->driven && !l->serves && flies(l, waiter, true);
	if (drives) {
		drive_as(l, waiter, fd, ms);
		have_driven(l);
	}
	let_go(l);
	return told || drives;
}

/* ---- the thread -------------------------------------------------------------- */

/* Sleep until there is something for it; or for that long.  True: nothing has happened. */
static bool sleep_for(struct loop *l, int ms)
{
	struct pollfd said[CONNECTIONS], none = {.fd = NO_FD};
	l->own.rests = true;
	uint64_t turn = l->turn;
	return wait_for(l, &l->own, ms, said, &none) == 0 && turn == l->turn && !l->driven;
}

static void serve(struct loop *l)
{
	l->serves |= is_for_thread(l);
	if (!l->serves)
		return;
	begin_waiting(l, true);
	l->serves = flies(l, NULL, true) || flies(l, NULL, false) || is_for_thread(l);
}

static void *run(void *loop)
{
	struct loop *l = loop;
	bool idle = false;
	pthread_mutex_lock(&l->lock);
	while (!l->ends) {
		if (!l->driven)
			serve(l);
		idle = idle && !l->serves;
		if (l->driven || (!l->serves && !idle))
			idle = sleep_for(l, IDLE_MS);
		else
			(void)drive(l, &l->own, NO_FD, NO_LIMIT);
	}
	let_go(l);
	return NULL;
}

/* ---- opening and closing ----------------------------------------------------- */

/* The first connection, in whoever's thread opens the store. */
static int connect_first(struct loop *l)
{
	struct connection *c = &l->connection[0];
	pthread_mutex_lock(&l->lock);
	if (connection_begin(c))
		while (c->state == CONNECTING)
			(void)drive(l, &l->own, NO_FD, NO_LIMIT);
	int error = c->state == READY ? 0 : c->why;
	let_go(l);
	return error;
}

/* It has no signals: they are the program's. */
static int begin_thread(struct loop *l)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_setname_np(l->thread, "mpool-nbd");
	return error;
}

static void close_all(struct loop *l)
{
	for (unsigned i = 0; i < l->n; i++)
		connection_close(&l->connection[i]);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->queue);
	close(l->own.wake);
	close(l->caller.wake);
}

/* Two descriptors, or none and an errno. */
static int open_wakes(struct loop *l)
{
	l->own.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->own.wake < 0)
		return errno;
	l->caller.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int error = l->caller.wake < 0 ? errno : 0;
	if (error)
		close(l->own.wake);
	return error;
}

int loop_open(struct loop *l)
{
	int error = open_wakes(l);
	if (error)
		return error;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->queue, NULL);
	for (unsigned i = 0; i < l->n; i++)
		connection_init(&l->connection[i], &l->common);
	error = connect_first(l);
	if (!error && !l->common.export.several)
		l->n = 1;
	if (!error)
		error = begin_thread(l);
	if (error)
		close_all(l);
	return error;
}

void loop_close(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->ends = true;
	wake(&l->own);
	let_go(l);
	pthread_join(l->thread, NULL);
	close_all(l);
}
