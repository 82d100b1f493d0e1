/*
 * store.c - open and close; the store's functions; and the head, as a writer changes it.
 *
 * The order of a flush: the writes are done, and so on stable storage, when RADOS acknowledges them; then the head has the
 * size and the next sequence number; then readers are told, and have forgotten.  Whatever fails of this fails the flush, and
 * what was to be told is told by the next one.  A number is used once, also where it is not known what became of it.
 *
 * reach, in the head, is beyond all that any object has, and is written before it: who opens after a writer that died
 * between a write and its flush, or in the middle of a truncate, removes what is between size and reach.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "stripe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	OBJECT = 4 << 20,
	OBJECT_LEAST = 64 << 10,
	OBJECT_MOST = 32 << 20,
	TIMEOUT = 30,
	LEASE = 15,
	FENCE = 24 * 60 * 60,
	NOTICE = 5,
	WATCH = 15,
	CHECK_MS = 2000,
	TICK = 5, /* seconds between two times that librados says that a watch is there, and looks what is late, at the most */
	TICK_PART = 4, /* and as a part of how.watch */
	LATE = 10,     /* seconds after which librados asks for a newer map, at the most */
	LATE_PART = 4, /* and as a part of how.timeout */
	MOUNT = 300,   /* seconds that who waits for ever waits for the first connection */
	AHEAD = 16,    /* objects, and as a part of all, that reach goes beyond what is written */
	AHEAD_PART = 8,
	ROLES = MPOOL_RADOS_READER | MPOOL_RADOS_WRITER,
};

/* ---- what the parts have in common --------------------------------------------- */

uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * MS + (uint64_t)t.tv_nsec / NS_PER_MS;
}

void wait_ms(struct mpool_rados *r, uint64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / MS);
	t.tv_nsec += (long)(ms % MS) * NS_PER_MS;
	if (t.tv_nsec >= MS * NS_PER_MS) {
		t.tv_sec++;
		t.tv_nsec -= MS * NS_PER_MS;
	}
	pthread_cond_timedwait(&r->woken, &r->lock, &t);
}

int failed(int error)
{
	errno = -error;
	return -1;
}

int start_thread(pthread_t *thread, void *(*run)(void *), void *of)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(thread, NULL, run, of);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

/* ---- the head ------------------------------------------------------------------ */

/* With `heading` held: the head becomes *h. */
static int write_head(struct mpool_rados *r, const struct head *h)
{
	int error = lease_told(r, head_write(r->io, r->name, r->head.generation, h));
	if (error == 0)
		r->head = *h;
	pthread_mutex_lock(&r->lock);
	r->generation = r->head.generation;
	r->sequence = r->head.sequence;
	r->reach = r->head.reach;
	pthread_mutex_unlock(&r->lock);
	return error;
}

/* Have reach beyond that byte. */
static int reach(struct mpool_rados *r, uint64_t end)
{
	int error = 0;
	pthread_mutex_lock(&r->heading);
	struct head h = r->head;
	if (end > h.reach) {
		h.reach = (end / r->object + 1 + AHEAD + end / r->object / AHEAD_PART) * r->object;
		error = write_head(r, &h);
	}
	pthread_mutex_unlock(&r->heading);
	return error;
}

static int tell(struct mpool_rados *r)
{
	struct ranges changed;
	struct head h = r->head;
	pthread_mutex_lock(&r->lock);
	bool holds = lease_holds(r);
	bool same = r->changed.n == 0 && r->size == h.size;
	h.size = r->size;
	changed = r->changed;
	if (holds && !same)
		r->changed = (struct ranges){0};
	pthread_mutex_unlock(&r->lock);
	if (!holds)
		return -ESHUTDOWN;
	if (same)
		return 0;
	/* A number that may be in the head, but was told to nobody, is not told later: who has looked there has dropped all for it. */
	h.sequence = ++r->head.sequence;
	int error = write_head(r, &h);
	if (error == 0)
		error = notice_send(r, &h, &changed, false);
	if (error != 0) {
		pthread_mutex_lock(&r->lock);
		ranges_add_all(&r->changed, &changed);
		pthread_mutex_unlock(&r->lock);
	}
	return error;
}

static int flush(struct mpool_rados *r)
{
	pthread_mutex_lock(&r->heading);
	int error = tell(r);
	pthread_mutex_unlock(&r->heading);
	return error;
}

/* The head says that it ends there, then what is beyond is removed, then the head says that it is. */
static int cut(struct mpool_rados *r, uint64_t bytes)
{
	struct head h = r->head;
	pthread_mutex_lock(&r->lock);
	uint64_t size = r->size;
	pthread_mutex_unlock(&r->lock);
	h.size = bytes;
	if (bytes > h.reach)
		h.reach = bytes;
	int error = write_head(r, &h);
	if (error == 0 && bytes < size)
		error = lease_told(r, stripe_cut(r, bytes, r->head.reach));
	if (error == 0 && bytes < size) {
		h.reach = bytes;
		error = write_head(r, &h);
	}
	pthread_mutex_lock(&r->lock);
	if (r->head.size == bytes) {
		r->size = bytes;
		ranges_add(&r->changed, bytes < size ? bytes : size, bytes < size ? size : bytes);
	}
	pthread_mutex_unlock(&r->lock);
	return error;
}

/* ---- the store's functions ----------------------------------------------------- */

static int store_size(void *cookie, uint64_t *bytes)
{
	struct mpool_rados *r = cookie;
	pthread_mutex_lock(&r->lock);
	*bytes = r->size;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

/* What stands against a write to that byte: 0, or an errno's negative; *far: reach must be written first. */
static int may_write(struct mpool_rados *r, uint64_t end, bool *far)
{
	pthread_mutex_lock(&r->lock);
	int error = lease_holds(r) ? 0 : -ESHUTDOWN;
	*far = end > r->reach;
	pthread_mutex_unlock(&r->lock);
	return error;
}

static void hand_to_helper(struct request *q)
{
	struct mpool_rados *r = q->r;
	pthread_mutex_lock(&r->lock);
	*r->last = q;
	r->last = &q->next;
	pthread_cond_broadcast(&r->woken);
	pthread_mutex_unlock(&r->lock);
}

static void help(struct request *q)
{
	if (q->io->op == MPOOL_IO_FLUSH) {
		stripe_end(q, flush(q->r));
		return;
	}
	int error = reach(q->r, q->offset + q->bytes);
	if (error != 0)
		stripe_end(q, error);
	else
		stripe_go(q);
}

static void *helper(void *of)
{
	struct mpool_rados *r = of;
	pthread_mutex_lock(&r->lock);
	for (;;) {
		struct request *q = r->first;
		if (q == NULL && r->stop)
			break;
		if (q == NULL) {
			pthread_cond_wait(&r->woken, &r->lock);
			continue;
		}
		if ((r->first = q->next) == NULL)
			r->last = &r->first;
		pthread_mutex_unlock(&r->lock);
		help(q);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static int store_submit(void *cookie, struct mpool_io *io)
{
	struct mpool_rados *r = cookie;
	bool read = io->op == MPOOL_IO_READ, far = false;
	if (!read && !r->writer)
		return failed(-EBADF);
	struct request *q = stripe_request(r, io);
	if (q == NULL)
		return failed(-ENOMEM);
	int error = read ? 0 : may_write(r, q->offset + q->bytes, &far);
	if (error != 0)
		stripe_end(q, error);
	else if (io->op == MPOOL_IO_FLUSH || far)
		hand_to_helper(q);
	else
		stripe_go(q);
	return 0;
}

/* A request that its thread waits for. */
struct awaited {
	struct mpool_io io;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
	ssize_t result;
};

static void awaited_done(struct mpool_io *io, ssize_t result)
{
	struct awaited *a = io->own;
	pthread_mutex_lock(&a->lock);
	a->result = result;
	a->done = true;
	pthread_cond_signal(&a->over);
	pthread_mutex_unlock(&a->lock);
}

static ssize_t await(struct mpool_rados *r, int op, const struct iovec *iov, int n, uint64_t offset)
{
	struct awaited a = {
		.io = {.op = op, .offset = offset, .iov = iov, .iovcnt = n, .done = awaited_done},
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.over = PTHREAD_COND_INITIALIZER,
	};
	a.io.own = &a;
	if (store_submit(r, &a.io) != 0)
		return -1;
	pthread_mutex_lock(&a.lock);
	while (!a.done)
		pthread_cond_wait(&a.over, &a.lock);
	pthread_mutex_unlock(&a.lock);
	pthread_mutex_destroy(&a.lock);
	pthread_cond_destroy(&a.over);
	return a.result < 0 ? failed((int)a.result) : a.result;
}

static ssize_t store_readv(void *cookie, const struct iovec *iov, int n, uint64_t offset)
{
	return await(cookie, MPOOL_IO_READ, iov, n, offset);
}

static ssize_t store_writev(void *cookie, const struct iovec *iov, int n, uint64_t offset)
{
	return await(cookie, MPOOL_IO_WRITE, iov, n, offset);
}

static int store_flush(void *cookie)
{
	struct mpool_rados *r = cookie;
	int error = r->writer ? flush(r) : 0;
	return error != 0 ? failed(error) : 0;
}

static int store_truncate(void *cookie, uint64_t bytes)
{
	struct mpool_rados *r = cookie;
	if (!r->writer) {
		/* A reader's own thread tells the pool of the end that there is by now. */
		pthread_mutex_lock(&r->lock);
		bool is_so = bytes >= r->size && r->page != 0 && bytes - r->size < r->page;
		pthread_mutex_unlock(&r->lock);
		return is_so ? 0 : failed(-EBADF);
	}
	pthread_mutex_lock(&r->heading);
	int error = cut(r, bytes);
	pthread_mutex_unlock(&r->heading);
	return error != 0 ? failed(error) : 0;
}

/* ---- open and close ------------------------------------------------------------ */

static void stop_threads(struct mpool_rados *r)
{
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->woken);
	pthread_mutex_unlock(&r->lock);
}

static void disconnect(struct mpool_rados *r)
{
	if (r->io != NULL)
		rados_ioctx_destroy(r->io);
	if (r->cluster != NULL)
		rados_shutdown(r->cluster);
	pthread_cond_destroy(&r->woken);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->heading);
	free(r);
}

static void store_close(void *cookie)
{
	struct mpool_rados *r = cookie;
	stop_threads(r);
	if (r->writer) {
		pthread_join(r->keeper, NULL);
		pthread_join(r->helper, NULL);
		if (!r->fenced)
			lease_give(r);
	} else {
		reader_stop(r);
	}
	disconnect(r);
}

static int set_number(struct mpool_rados *r, const char *option, double value)
{
	char text[32];
	snprintf(text, sizeof text, "%.17g", value);
	return rados_conf_set(r->cluster, option, text);
}

static double less(double one, double other)
{
	return one < other ? one : other;
}

static unsigned int or_usual(unsigned int value, unsigned int usual)
{
	return value == 0 ? usual : value;
}

static int set_options(struct mpool_rados *r)
{
	double timeout = r->how.timeout != MPOOL_RADOS_WAIT ? r->how.timeout : 0,
	       tick = less(TICK, (double)r->how.watch / TICK_PART);
	double late = LATE;
	/* Who gives up before he asks for a newer map would never hear of an OSD that is somewhere else by now. */
	if (timeout != 0) {
		late = less(late, timeout / LATE_PART);
		tick = less(tick, late / 2);
	}
	const struct {
		const char *option;
		double value;
	} options[] = {
		/* What is in flight is the caller's choice: librados would have it wait. */
		{"objecter_inflight_ops", 1 << 20},
		{"objecter_inflight_op_bytes", 1 << 30},
		{"rados_osd_op_timeout", timeout},
		{"rados_mon_op_timeout", timeout},
		{"client_mount_timeout", timeout != 0 ? timeout : MOUNT},
		{"objecter_timeout", late},
		{"objecter_tick_interval", tick},
	};
	int error = 0;
	for (size_t i = 0; error == 0 && i < sizeof options / sizeof options[0]; i++)
		error = set_number(r, options[i].option, options[i].value);
	return error;
}

static int connect_cluster(struct mpool_rados *r, const struct mpool_rados_how *how)
{
	int error = rados_create(&r->cluster, how->client != NULL ? how->client : "admin");
	if (error == 0)
		error = rados_conf_read_file(r->cluster, how->conf);
	if (error == 0)
		error = set_options(r);
	if (error == 0)
		error = rados_connect(r->cluster);
	if (error == 0)
		error = rados_ioctx_create(r->cluster, how->pool, &r->io);
	return error;
}

static int begin_writer(struct mpool_rados *r)
{
	int error = lease_take(r);
	if (error != 0)
		return error;
	error = start_thread(&r->keeper, lease_keep, r);
	if (error == 0) {
		error = start_thread(&r->helper, helper, r);
		if (error != 0) {
			stop_threads(r);
			pthread_join(r->keeper, NULL);
		}
	}
	if (error != 0)
		lease_give(r);
	return error;
}

static int begin(struct mpool_rados *r)
{
	struct head h;
	int error = 0;
	if (r->how.flags & MPOOL_RADOS_CREATE)
		error = head_create(r->io, r->name, r->how.object);
	if (error == 0)
		error = head_read(r->io, r->name, &h);
	if (error != 0)
		return error;
	r->object = h.object;
	return r->writer ? begin_writer(r) : reader_start(r);
}

static bool makes_sense(const struct mpool_rados_how *how)
{
	unsigned int role = how->flags & ROLES;
	return how->pool != NULL && how->name != NULL && how->name[0] != 0 && strlen(how->name) <= NAME_MOST &&
	       (role == MPOOL_RADOS_READER || role == MPOOL_RADOS_WRITER) &&
	       (how->flags & ~(unsigned int)(ROLES | MPOOL_RADOS_CREATE)) == 0 && how->object >= OBJECT_LEAST &&
	       how->object <= OBJECT_MOST && (how->object & (how->object - 1)) == 0;
}

PUBLIC MPOOL_RADOS *mpool_rados_open(const struct mpool_rados_how *given, size_t size)
{
	struct mpool_rados_how how = {0};
	memcpy(&how, given, size < sizeof how ? size : sizeof how);
	how.object = or_usual(how.object, OBJECT);
	how.timeout = or_usual(how.timeout, TIMEOUT);
	how.lease = or_usual(how.lease, LEASE);
	how.fence = or_usual(how.fence, FENCE);
	how.notice = or_usual(how.notice, NOTICE);
	how.watch = or_usual(how.watch, WATCH);
	how.check_ms = or_usual(how.check_ms, CHECK_MS);
	if (!makes_sense(&how)) {
		errno = EINVAL;
		return NULL;
	}
	struct mpool_rados *r = calloc(1, sizeof *r);
	if (r == NULL)
		return NULL;
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->heading, NULL);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->woken, &clock);
	pthread_condattr_destroy(&clock);
	r->how = how;
	r->writer = (how.flags & MPOOL_RADOS_WRITER) != 0;
	r->last = &r->first;
	r->queue_last = &r->queue;
	strcpy(r->name, how.name);
	int error = connect_cluster(r, &how);
	if (error == 0)
		error = begin(r);
	if (error != 0) {
		disconnect(r);
		errno = -error;
		return NULL;
	}
	r->how.conf = r->how.client = r->how.pool = r->how.name = NULL;
	return r;
}

PUBLIC const struct mpool_store *mpool_rados_calls(void)
{
	static const struct mpool_store calls = {
		.size = store_size,
		.readv = store_readv,
		.writev = store_writev,
		.flush = store_flush,
		.truncate = store_truncate,
		.submit = store_submit,
		.close = store_close,
	};
	return &calls;
}

PUBLIC int mpool_rados_close(MPOOL_RADOS *r)
{
	MPOOL *mp = r->mp;
	mpool_rados_serve(r, NULL);
	if (mp != NULL)
		return mpool_close(mp);
	mpool_rados_calls()->close(r);
	return 0;
}

PUBLIC int mpool_rados_stats(MPOOL_RADOS *r, struct mpool_rados_stats *st, size_t size)
{
	pthread_mutex_lock(&r->lock);
	struct mpool_rados_stats now = {
		.size = r->size,
		.object = r->object,
		.generation = r->generation,
		.sequence = r->sequence,
		.notices = r->notices,
		.unanswered = r->unanswered,
		.dropped = r->dropped,
		.age_ms = r->writer ? 0 : now_ms() - r->current,
		.fenced = r->writer && !lease_holds(r),
	};
	pthread_mutex_unlock(&r->lock);
	memcpy(st, &now, size < sizeof now ? size : sizeof now);
	return 0;
}
