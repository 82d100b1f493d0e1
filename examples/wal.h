/*
 * wal.h - a write-ahead log for the pages of a pool.
 *
 * A record says what one update changes, of some pages all of it or nothing.  It is appended before the pages are
 * modified; each of them begins with the record's end, its LSN.  No page is written before the log is
 * on the disk up to its LSN: wal_before_write.  After a crash the log is replayed.
 */
#ifndef WAL_H
#define WAL_H

#include <errno.h>
#include <mpool.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { WAL_CHANGES = 3, WAL_FIRST = 512 /* records begin behind the sector that says where they begin */ };

struct wal_change {
	uint32_t page, at; /* where, a multiple of 8, not 0 */
	uint64_t value;
};

struct wal_record {
	uint64_t end, sum;                     /* its LSN; a checksum: the disk may have half of it */
	struct wal_change change[WAL_CHANGES]; /* unused ones: at 0 */
};

struct wal {
	int fd, error;
	uint64_t end, flushed;
	pthread_mutex_t
		lock; /* initialized by the program; never held over a call on the pool, which may wait for wal_before_write */
};

static inline uint64_t wal_sum(const struct wal_record *r)
{
	uint64_t sum = r->end;
	for (int i = 0; i < WAL_CHANGES; i++)
		sum = (sum ^ r->change[i].value ^ ((uint64_t)r->change[i].page << 32 | r->change[i].at)) *
		      0x9e3779b97f4a7c15;
	return sum ^ sum >> 32;
}

/* The record's LSN; 0 and errno: there is none, and nothing may be modified. */
static inline uint64_t wal_append(struct wal *w, const struct wal_change change[WAL_CHANGES])
{
	struct wal_record r;
	pthread_mutex_lock(&w->lock);
	memcpy(r.change, change, sizeof r.change);
	r.end = w->end + sizeof r;
	r.sum = wal_sum(&r);
	if (w->error)
		errno = w->error;
	if (!w->error && pwrite(w->fd, &r, sizeof r, (off_t)w->end) == (ssize_t)sizeof r)
		w->end = r.end;
	else
		r.end = 0;
	pthread_mutex_unlock(&w->lock);
	return r.end;
}

/* Bring the log to the disk, up to that LSN at least: that commits.  0, or an errno. */
static inline int wal_flush(struct wal *w, uint64_t lsn)
{
	pthread_mutex_lock(&w->lock);
	uint64_t end = w->end;
	int done = w->flushed >= lsn || w->error, error = w->error;
	pthread_mutex_unlock(&w->lock);
	if (done)
		return error;
	error = fdatasync(w->fd) == 0 ? 0 : errno;
	pthread_mutex_lock(&w->lock);
	if (error)
		w->error = error; /* the kernel tells it once: what was to be flushed may be lost */
	else if (w->flushed < end)
		w->flushed = end;
	pthread_mutex_unlock(&w->lock);
	return error;
}

/* For mpool_hooks; the cookie is the log. */
static inline int wal_before_write(void *wal, const pgno_t *pgnos, void *const *pages, size_t n)
{
	uint64_t newest = 0, lsn;
	(void)pgnos;
	for (size_t i = 0; i < n; i++) {
		memcpy(&lsn, pages[i], sizeof lsn);
		newest = lsn > newest ? lsn : newest;
	}
	return wal_flush((struct wal *)wal, newest);
}

/*
 * What is before `start` is on the disk in the pages: the log begins there from now on.  0, or an errno.  (The room can be
 * had back by fallocate(2), which punches a hole.)
 */
static inline int wal_cut(struct wal *w, uint64_t start)
{
	return pwrite(w->fd, &start, sizeof start, 0) == (ssize_t)sizeof start && fdatasync(w->fd) == 0 ? 0 : errno;
}

/* Take the log that was left, and do again what it says.  The number of its records, or -1 and errno. */
static inline long wal_replay(struct wal *w, int fd, MPOOL *mp)
{
	struct wal_record r;
	long n = 0;
	w->fd = fd;
	w->error = 0;
	w->flushed = 0; /* of what is read some may be in the kernel's memory alone */
	w->end = 0;
	(void)pread(fd, &w->end, sizeof w->end, 0);
	if (w->end < WAL_FIRST)
		w->end = WAL_FIRST; /* it was never cut */
	while (pread(fd, &r, sizeof r, (off_t)w->end) == (ssize_t)sizeof r && r.end == w->end + sizeof r &&
	       r.sum == wal_sum(&r)) {
		pthread_mutex_lock(&w->lock);
		w->end = r.end;
		pthread_mutex_unlock(&w->lock);
		for (int i = 0; i < WAL_CHANGES && r.change[i].at; i++) {
			char *page = (char *)mpool_get(mp, r.change[i].page, 0);
			if (!page)
				return -1;
			memcpy(page, &r.end, sizeof r.end);
			memcpy(page + r.change[i].at, &r.change[i].value, sizeof r.change[i].value);
			mpool_put(mp, page, MPOOL_DIRTY);
		}
		n++;
	}
	/* What was behind is of no use, and must not be taken for the continuation of what comes. */
	return ftruncate(fd, (off_t)w->end) == 0 ? n : -1;
}

#endif
