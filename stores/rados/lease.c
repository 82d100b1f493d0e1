/*
 * lease.c - who is the writer: two locks of RADOS's on the head, and the list of clients that the cluster refuses.
 *
 * mpool.lease ends by itself unless it is renewed: who can take it knows that no writer has said anything for so long.
 * mpool.writer never ends by itself, so it always names the last one that wrote, by the address that the cluster knows it
 * by.  A writer has both.  It takes the lease; then, if mpool.writer is another's, it has the cluster refuse that
 * one (the blocklist), and only then breaks its lock and takes it; then it raises the generation in the head.  From the
 * refusal on nothing that the other sends is done, be it that it was stopped and goes on later.  Without the
 * second lock the name of whom to refuse would end with the lease.
 *
 * Time alone refuses nobody: clocks decide when somebody may be replaced, the cluster's list whether he can write.
 * Entries of that list end, after how.fence; so a writer that could not renew its lease for half of that writes nothing
 * until it has.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "stripe.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>

#define LEASE  "mpool.lease"
#define WRITER "mpool.writer"
#define COOKIE "mpool"
enum {
	LIST_MAX = 4096,
	TIMES_A_LEASE = 4, /* that it is renewed */
	FENCE_PART = 2,    /* of the fence's time, after which a writer that knows nothing of its lease stops */
};

static int renew_lease(struct mpool_rados *r)
{
	struct timeval duration = {.tv_sec = (time_t)r->how.lease};
	return rados_lock_exclusive(r->io, r->name, LEASE, COOKIE, "", &duration, LIBRADOS_LOCK_FLAG_MAY_RENEW);
}

/* Whoever has WRITER is refused from now on, and has it no more. */
static int fence(struct mpool_rados *r)
{
	int exclusive;
	char tag[LIST_MAX], clients[LIST_MAX], cookies[LIST_MAX], addresses[LIST_MAX];
	size_t tag_length = sizeof tag, clients_length = sizeof clients, cookies_length = sizeof cookies,
	       addresses_length = sizeof addresses;
	ssize_t n = rados_list_lockers(r->io, r->name, WRITER, &exclusive, tag, &tag_length, clients, &clients_length,
	                               cookies, &cookies_length, addresses, &addresses_length);
	if (n == 0 || n == -ENOENT)
		return 0;
	if (n < 0)
		return (int)n;
	/* An exclusive lock has one locker: the first of the list is all of it. */
	int error = rados_blocklist_add(r->cluster, addresses, r->how.fence);
	if (error == 0)
		error = rados_wait_for_latest_osdmap(r->cluster);
	if (error == 0)
		error = rados_break_lock(r->io, r->name, WRITER, clients, cookies);
	return error == -ENOENT ? 0 : error;
}

static int take_writer(struct mpool_rados *r)
{
	int error;
	/* The lease may have ended since, and another have become the writer, who is not to be refused. */
	while ((error = rados_lock_exclusive(r->io, r->name, WRITER, COOKIE, "", NULL, 0)) == -EBUSY)
		if ((error = renew_lease(r)) != 0 || (error = fence(r)) != 0)
			break;
	return error;
}

/* The next generation begins: what readers have of the last one's is forgotten, since not all of it was told. */
static int begin(struct mpool_rados *r)
{
	struct head h;
	int error = head_read(r->io, r->name, &h);
	if (error != 0)
		return error;
	uint64_t last = h.generation;
	h.generation++;
	h.sequence++;
	error = head_write(r->io, r->name, last, &h);
	if (error != 0)
		return error == -ECANCELED ? -EBUSY : error;
	/* A writer that died may have left more than it had said there is. */
	r->head = h;
	error = stripe_cut(r, h.size, h.reach);
	return error != 0 ? error : notice_send(r, &h, NULL, true);
}

int lease_take(struct mpool_rados *r)
{
	uint64_t before = now_ms();
	int error = renew_lease(r);
	if (error != 0)
		return error;
	error = take_writer(r);
	if (error == 0)
		error = begin(r);
	if (error != 0) {
		lease_give(r);
		return error;
	}
	r->confirmed = before;
	r->size = r->head.size;
	r->reach = r->head.reach;
	r->generation = r->head.generation;
	r->sequence = r->head.sequence;
	return 0;
}

/* Nothing of this writer's is on its way: who comes next need not refuse it. */
void lease_give(struct mpool_rados *r)
{
	rados_unlock(r->io, r->name, WRITER, COOKIE);
	rados_unlock(r->io, r->name, LEASE, COOKIE);
}

/* Is WRITER still this one's?  That is asked too: the lease alone may have been another's, who is gone. */
static int renew(struct mpool_rados *r)
{
	int error = renew_lease(r);
	if (error == 0)
		error = rados_lock_exclusive(r->io, r->name, WRITER, COOKIE, "", NULL, LIBRADOS_LOCK_FLAG_MUST_RENEW);
	return error;
}

void *lease_keep(void *of)
{
	struct mpool_rados *r = of;
	pthread_mutex_lock(&r->lock);
	while (!r->stop && !r->fenced) {
		uint64_t before = now_ms();
		pthread_mutex_unlock(&r->lock);
		int error = renew(r);
		pthread_mutex_lock(&r->lock);
		if (error == 0)
			r->confirmed = before;
		else if (error == -EBUSY || error == -ENOENT || error == -ESHUTDOWN)
			r->fenced = true;
		uint64_t until = before + (uint64_t)r->how.lease * MS / TIMES_A_LEASE;
		for (uint64_t now; !r->stop && (now = now_ms()) < until;)
			wait_ms(r, until - now);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

bool lease_holds(const struct mpool_rados *r)
{
	return !r->fenced && now_ms() - r->confirmed < (uint64_t)r->how.fence * MS / FENCE_PART;
}

int lease_told(struct mpool_rados *r, int error)
{
	if (error != -ESHUTDOWN && error != -ECANCELED)
		return error;
	pthread_mutex_lock(&r->lock);
	r->fenced = true;
	pthread_mutex_unlock(&r->lock);
	return -ESHUTDOWN;
}
