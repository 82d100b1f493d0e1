/*
 * reader.c - what a reader forgets, and when.
 *
 * The head is watched (watch/notify of RADOS's).  A notice is put into a queue by librados's thread; the reader's own takes it out,
 * has the pool forget what it names, and then answers it, which the writer's sync waits for.  Pages that are pinned
 * cannot be forgotten: it tries until they can, and answers after that.
 *
 * What is missing of notices is seen by their numbers, and by the head's, which is read every how.check_ms: a
 * gap, another generation, a watch that has failed, a number in the head that no notice has come with in time: then
 * everything is forgotten.  After another generation that is done by the cluster's newest map, by which the last writer is
 * refused everywhere: what is read then is not written by it afterwards.
 *
 * `current` is a time: the head was read then, or later, and all that it told has been forgotten.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notice.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>

enum {
	COMES_WITHIN_MS = 500, /* a notice, after its number is in the head */
	LOOK_MS = 50,          /* between two looks whether it has */
	PINNED_MS = 1,         /* between two tries to forget pages that are pinned, at first */
	PINNED_MOST_MS = 50,
	AGAIN_MS = 200, /* between two tries to watch */
};

/* ---- librados's threads -------------------------------------------------------- */

static void has_come(void *of, uint64_t id, uint64_t watch, uint64_t notifier, void *data, size_t bytes)
{
	struct mpool_rados *r = of;
	struct notice *n = notice_read(data, bytes);
	(void)notifier;
	pthread_mutex_lock(&r->lock);
	if (n == NULL) {
		/* It is not answered. */
		r->missed = r->wanted = true;
	} else {
		n->id = id;
		n->watch = watch;
		*r->queue_last = n;
		r->queue_last = &n->next;
	}
	pthread_cond_broadcast(&r->woken);
	pthread_mutex_unlock(&r->lock);
}

static void has_failed(void *of, uint64_t watch, int error)
{
	struct mpool_rados *r = of;
	(void)error;
	pthread_mutex_lock(&r->lock);
	if (watch == r->watch || !r->watching)
		r->broken = true;
	pthread_cond_broadcast(&r->woken);
	pthread_mutex_unlock(&r->lock);
}

/* ---- forgetting: by the reader's thread, with `lock` held, which is let go meanwhile ----- */

/* Have the pool do it, again until it can: pages may be pinned.  Returns then, or when there is no pool any more. */
static void have_pool(struct mpool_rados *r, int (*call)(MPOOL *mp, uint64_t page, const void *of), const void *of)
{
	unsigned int pause = PINNED_MS;
	while (!r->stop && r->mp != NULL) {
		MPOOL *mp = r->mp;
		uint64_t page = r->page;
		r->in_pool = true;
		pthread_mutex_unlock(&r->lock);
		int error = call(mp, page, of);
		pthread_mutex_lock(&r->lock);
		r->in_pool = false;
		pthread_cond_broadcast(&r->woken);
		if (error == 0)
			return;
		wait_ms(r, pause);
		pause = pause * 2 < PINNED_MOST_MS ? pause * 2 : PINNED_MOST_MS;
	}
}

static int invalidate(MPOOL *mp, uint64_t page, const void *of)
{
	const struct range *bytes = of;
	uint64_t from = bytes->first / page, n = (bytes->end + page - 1) / page - from;
	return mpool_invalidate(mp, (pgno_t)from, n < MAX_PAGE_NUMBER ? (pgno_t)n : MAX_PAGE_NUMBER);
}

/* Bytes first to end - 1, and what is beyond the end that there is by now. */
static void forget(struct mpool_rados *r, uint64_t first, uint64_t end)
{
	have_pool(r, invalidate, &(struct range){first, end});
}

static int set_pages(MPOOL *mp, uint64_t page, const void *of)
{
	const uint64_t *size = of;
	uint64_t pages = (*size + page - 1) / page;
	struct mpool_stats st;
	int error = mpool_stats(mp, &st, sizeof st);
	return error == 0 && st.pages != pages ? mpool_truncate(mp, (pgno_t)pages) : error;
}

/* There are so many bytes now: the pool has the pages of these.  Those that are more are read after what is forgotten next. */
static void resize(struct mpool_rados *r, uint64_t size)
{
	r->size = size;
	have_pool(r, set_pages, &size);
}

/* After another writer's beginning: from the map on by which the last one is refused. */
static int newest_map(struct mpool_rados *r, uint64_t generation)
{
	if (generation == r->generation)
		return 0;
	pthread_mutex_unlock(&r->lock);
	int error = rados_wait_for_latest_osdmap(r->cluster);
	pthread_mutex_lock(&r->lock);
	return error;
}

/* Everything; from now on notices after that number are waited for. */
static int forget_all(struct mpool_rados *r, uint64_t generation, uint64_t sequence, uint64_t size)
{
	int error = newest_map(r, generation);
	if (error != 0)
		return error;
	resize(r, size);
	forget(r, 0, UINT64_MAX / 2);
	r->dropped++;
	r->generation = generation;
	r->sequence = sequence;
	return 0;
}

static int follow(struct mpool_rados *r, const struct notice *n)
{
	if (n->generation < r->generation)
		return 0; /* of a writer that is none any more */
	if (n->all || n->generation != r->generation || n->sequence > r->sequence + 1)
		return forget_all(r, n->generation, n->sequence, n->size);
	if (n->sequence > r->sequence)
		resize(r, n->size);
	for (unsigned int i = 0; i < n->n; i++)
		forget(r, n->at[i].first, n->at[i].end);
	if (n->sequence > r->sequence)
		r->sequence = n->sequence;
	return 0;
}

static void take_notice(struct mpool_rados *r)
{
	struct notice *n = r->queue;
	if ((r->queue = n->next) == NULL)
		r->queue_last = &r->queue;
	r->notices++;
	int error = follow(r, n);
	if (error != 0)
		r->missed = r->wanted = true;
	bool answer = error == 0 && !r->stop;
	pthread_mutex_unlock(&r->lock);
	if (answer)
		rados_notify_ack(r->io, r->name, n->id, n->watch, NULL, 0);
	free(n);
	pthread_mutex_lock(&r->lock);
}

/* ---- looking whether anything was missed ----------------------------------------- */

static int read_head(struct mpool_rados *r, struct head *h)
{
	pthread_mutex_unlock(&r->lock);
	int error = head_read(r->io, r->name, h);
	pthread_mutex_lock(&r->lock);
	return error;
}

/* A number is in the head that no notice has come with: give it time; then it is missing. */
static bool comes_late(struct mpool_rados *r, const struct head *h, uint64_t since)
{
	while (!r->stop && !r->broken && !r->missed && now_ms() - since < COMES_WITHIN_MS) {
		while (r->queue != NULL && !r->stop)
			take_notice(r);
		if (r->generation == h->generation && r->sequence >= h->sequence)
			return true;
		wait_ms(r, LOOK_MS);
	}
	return false;
}

static int look(struct mpool_rados *r)
{
	struct head h;
	uint64_t before = now_ms();
	bool missed = r->missed;
	r->missed = false;
	int error = read_head(r, &h);
	if (error == 0 && (missed || !comes_late(r, &h, now_ms())))
		error = forget_all(r, h.generation, h.sequence, h.size);
	if (error == 0 && !r->stop && !r->broken)
		r->current = before;
	if (error != 0)
		r->missed = r->missed || missed;
	return error;
}

/* Give up the watch that has failed, if there is one, and begin another. */
static int watch(struct mpool_rados *r)
{
	uint64_t last = r->watch, next = 0;
	bool watching = r->watching;
	r->watching = r->broken = false;
	pthread_mutex_unlock(&r->lock);
	if (watching)
		rados_unwatch2(r->io, last);
	int error = rados_watch3(r->io, r->name, &next, has_come, has_failed, r->how.watch, r);
	pthread_mutex_lock(&r->lock);
	if (error == 0) {
		r->watch = next;
		r->watching = true;
	} else {
		r->broken = true;
	}
	return error;
}

static void *run(void *of)
{
	struct mpool_rados *r = of;
	uint64_t next = now_ms();
	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		uint64_t now = now_ms();
		if (r->broken) {
			r->missed = true;
			r->looked = watch(r);
			if (r->looked != 0) {
				r->looks++;
				pthread_cond_broadcast(&r->woken);
				wait_ms(r, AGAIN_MS);
			}
		} else if (r->queue != NULL) {
			take_notice(r);
		} else if (r->wanted || now >= next) {
			r->wanted = false;
			r->looked = look(r);
			r->looks++;
			next = now_ms() + (r->looked == 0 ? r->how.check_ms : AGAIN_MS);
			pthread_cond_broadcast(&r->woken);
		} else {
			wait_ms(r, next - now);
		}
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- for others ---------------------------------------------------------------- */

int reader_start(struct mpool_rados *r)
{
	struct head h;
	pthread_mutex_lock(&r->lock);
	int error = watch(r);
	if (error == 0)
		error = read_head(r, &h);
	if (error == 0) {
		/* There is no page yet, so nothing that is old. */
		r->size = h.size;
		r->generation = h.generation;
		r->sequence = h.sequence;
		r->current = now_ms();
	}
	pthread_mutex_unlock(&r->lock);
	if (error == 0)
		error = start_thread(&r->reader, run, r);
	if (error != 0 && r->watching) {
		rados_unwatch2(r->io, r->watch);
		rados_watch_flush(r->cluster);
	}
	return error;
}

void reader_stop(struct mpool_rados *r)
{
	pthread_join(r->reader, NULL);
	if (r->watching)
		rados_unwatch2(r->io, r->watch);
	rados_watch_flush(r->cluster);
	while (r->queue != NULL) {
		struct notice *n = r->queue;
		r->queue = n->next;
		free(n);
	}
}

PUBLIC int mpool_rados_refresh(MPOOL_RADOS *r)
{
	if (r->writer)
		return 0;
	uint64_t asked = now_ms();
	int error = 0;
	pthread_mutex_lock(&r->lock);
	while (error == 0 && r->current <= asked) {
		uint64_t looks = r->looks;
		r->wanted = true;
		pthread_cond_broadcast(&r->woken);
		while (looks == r->looks)
			pthread_cond_wait(&r->woken, &r->lock);
		/* A look that began before this call may have failed for what is over. */
		if (r->looked != 0 && looks != r->looks)
			error = r->looked;
	}
	pthread_mutex_unlock(&r->lock);
	return error != 0 ? failed(error) : 0;
}

PUBLIC int mpool_rados_serve(MPOOL_RADOS *r, MPOOL *mp)
{
	struct mpool_stats st = {0};
	if (mp != NULL)
		mpool_stats(mp, &st, sizeof st);
	pthread_mutex_lock(&r->lock);
	r->mp = NULL;
	pthread_cond_broadcast(&r->woken);
	while (r->in_pool)
		pthread_cond_wait(&r->woken, &r->lock);
	r->mp = mp;
	r->page = st.pagesize;
	r->missed = true;
	pthread_mutex_unlock(&r->lock);
	/* Of a writer there is nothing to be forgotten. */
	return mp != NULL && !r->writer ? mpool_rados_refresh(r) : 0;
}
